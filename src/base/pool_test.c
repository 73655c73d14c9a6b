/* Blocks of every size, on one thread and from one to another. */
#include "base/pool.h"
#include "tests/check.h"
#include <pthread.h>
#include <string.h>

enum { SIZE_MAX_TRIED = 2000, BLOCKS = 3000, BLOCK_BYTES = 900 };

/* Two blocks at once never overlap, whatever was given back before. */
static void test_sizes(void)
{
    for (size_t size = 0; size < SIZE_MAX_TRIED; size++) {
        unsigned char *first = gh_pool_take(size), *second = gh_pool_take(size);
        REQUIRE("memory", first != NULL && second != NULL && first != second);
        memset(first, 1, size);
        memset(second, 2, size);
        for (size_t i = 0; i < size; i++)
            REQUIRE("a block is its own", first[i] == 1 && second[i] == 2);
        gh_pool_give(first, size);
        gh_pool_give(second, size);
    }
    gh_pool_give(NULL, 10);
}

static void *blocks[BLOCKS];

static void *give_all(void *ignored)
{
    (void)ignored;
    for (size_t i = 0; i < BLOCKS; i++)
        gh_pool_give(blocks[i], BLOCK_BYTES);
    return NULL;
}

/* More than a thread keeps; what it keeps ends with it, or the leak sanitizer says so. */
static void test_threads(void)
{
    pthread_t thread;
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = gh_pool_take(BLOCK_BYTES);
        REQUIRE("memory", blocks[i] != NULL);
        memset(blocks[i], 3, BLOCK_BYTES);
    }
    REQUIRE("a thread", pthread_create(&thread, NULL, give_all, NULL) == 0);
    pthread_join(thread, NULL);
}

int main(void)
{
    test_sizes();
    test_threads();
    return check_report();
}
