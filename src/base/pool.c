#include "base/pool.h"
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

enum {
    STEP_BYTES = 64, /* between two sizes */
    SIZES = 16,
#ifdef __SANITIZE_ADDRESS__
    KEPT_BYTES_MAX = 0,
#else
    KEPT_BYTES_MAX = 1 << 20, /* of one thread */
#endif
};

struct block {
    struct block *next;
};

struct pool {
    struct block *free[SIZES];
    size_t kept_bytes;
    bool known; /* its thread frees it at its end */
};

static _Thread_local struct pool own;
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void end_thread(void *ended)
{
    struct pool *pool = ended;
    for (size_t i = 0; i < SIZES; i++)
        for (struct block *block; (block = pool->free[i]) != NULL;) {
            pool->free[i] = block->next;
            free(block);
        }
    pool->kept_bytes = 0;
    pool->known = false;
}

static void make_key(void)
{
    if (pthread_key_create(&key, end_thread) != 0)
        abort(); /* at the first message, or never */
}

static bool know(struct pool *pool)
{
    pthread_once(&once, make_key);
    return pool->known = pthread_setspecific(key, pool) == 0;
}

/* Which list; SIZES and more: none. */
static size_t list_of(size_t size)
{
    return size == 0 ? 0 : (size - 1) / STEP_BYTES;
}

void *gh_pool_take(size_t size)
{
    size_t list = list_of(size);
    if (list >= SIZES)
        return malloc(size);
    size_t bytes = (list + 1) * STEP_BYTES;
    struct block *block = own.free[list];
    if (block == NULL)
        return malloc(bytes);
    own.free[list] = block->next;
    own.kept_bytes -= bytes;
    return block;
}

void gh_pool_give(void *given, size_t size)
{
    struct block *block = given;
    size_t list = list_of(size), bytes = (list + 1) * STEP_BYTES;
    if (block == NULL || list >= SIZES || own.kept_bytes + bytes > KEPT_BYTES_MAX ||
        !(own.known || know(&own))) {
        free(block);
        return;
    }
    block->next = own.free[list];
    own.free[list] = block;
    own.kept_bytes += bytes;
}
