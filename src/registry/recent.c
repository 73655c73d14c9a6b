#include "registry/recent.h"
#include "base/map.h"
#include "store/registry.h"
#include <pthread.h>
#include <stdlib.h>

enum {
    GENERATIONS = 2, /* of values: those looked at lately, and the others */
    QUIET_CALLS = 2, /* of gh_recent_rest, in a row, without a look in between */
};

struct value {
    struct gh_arena arena; /* with what follows */
    void *data;
    size_t bytes;
};

struct shelf {
    struct gh_map values;
    size_t bytes;
};

struct gh_recent {
    struct gh_store *store;
    pthread_mutex_t lock; /* guards what follows */
    uint64_t generation;  /* of all that stands here */
    struct shelf shelves[GENERATIONS];
    uint64_t looks, looks_seen;
    unsigned quiet_calls;
};

struct gh_recent *gh_recent_open(struct gh_store *store)
{
    struct gh_recent *recent = calloc(1, sizeof *recent);
    if (recent == NULL)
        return NULL;
    recent->store = store;
    pthread_mutex_init(&recent->lock, NULL);
    for (size_t i = 0; i < GENERATIONS; i++)
        gh_map_init(&recent->shelves[i].values);
    return recent;
}

static void value_free(struct value *value)
{
    gh_arena_deinit(&value->arena);
    free(value);
}

static void shelf_clear(struct shelf *shelf)
{
    size_t at = 0;
    struct gh_slice key;
    void *value;
    while (gh_map_next(&shelf->values, &at, &key, &value))
        value_free(value);
    gh_map_deinit(&shelf->values);
    gh_map_init(&shelf->values);
    shelf->bytes = 0;
}

static void clear(struct gh_recent *recent)
{
    for (size_t i = 0; i < GENERATIONS; i++)
        shelf_clear(&recent->shelves[i]);
}

void gh_recent_close(struct gh_recent *recent)
{
    if (recent == NULL)
        return;
    clear(recent);
    pthread_mutex_destroy(&recent->lock);
    free(recent);
}

/* To the first shelf, which takes the place of the second when it is full. Takes the value; the
 * lock is held. */
static void put(struct gh_recent *recent, struct gh_slice key, struct value *value)
{
    struct shelf *first = &recent->shelves[0], *second = &recent->shelves[1];
    void *before = NULL;
    if (first->bytes + value->bytes > GH_RECENT_BYTES_MAX / GENERATIONS) {
        shelf_clear(second);
        gh_map_deinit(&second->values);
        *second = *first;
        gh_map_init(&first->values);
        first->bytes = 0;
    }
    if (!gh_map_put(&first->values, key, value, &before)) {
        value_free(value);
        return;
    }
    first->bytes += value->bytes;
    if (before != NULL) { /* two have read it at the same time */
        first->bytes -= ((struct value *)before)->bytes;
        value_free(before);
    }
}

/* NULL: it is not there. The lock is held. */
static struct value *get(struct gh_recent *recent, struct gh_slice key)
{
    struct value *value = gh_map_get(&recent->shelves[0].values, key);
    if (value != NULL || (value = gh_map_remove(&recent->shelves[1].values, key)) == NULL)
        return value;
    recent->shelves[1].bytes -= value->bytes;
    put(recent, key, value);
    return gh_map_get(&recent->shelves[0].values, key);
}

enum gh_recent_answer gh_recent_find(struct gh_recent *recent, const struct gh_recent_kind *kind,
                                     struct gh_slice key, struct gh_arena *arena, void *out,
                                     uint64_t *generation)
{
    enum gh_recent_answer answer = GH_RECENT_UNKNOWN;
    pthread_mutex_lock(&recent->lock);
    *generation = gh_store_generation(recent->store);
    if (recent->generation != *generation)
        clear(recent);
    recent->generation = *generation;
    recent->looks++;
    const struct value *value = get(recent, key);
    if (value != NULL)
        answer = kind->copy(arena, value->data, out) ? GH_RECENT_FOUND : GH_RECENT_MEMORY;
    pthread_mutex_unlock(&recent->lock);
    return answer;
}

static struct value *value_make(const struct gh_recent_kind *kind, const void *from)
{
    struct value *value = malloc(sizeof *value);
    if (value == NULL)
        return NULL;
    gh_arena_init(&value->arena, GH_RECENT_VALUE_BYTES_MAX);
    value->data = gh_arena_alloc(&value->arena, kind->size);
    if (value->data == NULL || !kind->copy(&value->arena, from, value->data)) {
        value_free(value);
        return NULL;
    }
    value->bytes = sizeof *value + gh_arena_held(&value->arena);
    return value;
}

void gh_recent_keep(struct gh_recent *recent, const struct gh_recent_kind *kind,
                    struct gh_slice key, const void *from, uint64_t generation)
{
    struct value *value = value_make(kind, from);
    if (value == NULL)
        return;
    pthread_mutex_lock(&recent->lock);
    if (recent->generation == generation)
        put(recent, key, value);
    else
        value_free(value);
    pthread_mutex_unlock(&recent->lock);
}

void gh_recent_rest(struct gh_recent *recent)
{
    pthread_mutex_lock(&recent->lock);
    recent->quiet_calls = recent->looks == recent->looks_seen ? recent->quiet_calls + 1 : 0;
    recent->looks_seen = recent->looks;
    if (recent->quiet_calls == QUIET_CALLS)
        clear(recent);
    pthread_mutex_unlock(&recent->lock);
}

size_t gh_recent_bytes(struct gh_recent *recent)
{
    pthread_mutex_lock(&recent->lock);
    size_t bytes = recent->shelves[0].bytes + recent->shelves[1].bytes;
    pthread_mutex_unlock(&recent->lock);
    return bytes;
}
