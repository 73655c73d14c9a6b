#include "base/map.h"
#include "base/hash.h"
#include "base/secret.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { CAPACITY_FIRST = 16 };

struct gh_map_slot {
    uint8_t *key; /* NULL: never used, or deleted when `value` is the tombstone */
    size_t key_size;
    uint64_t hash;
    void *value;
};

static char tombstone;

void gh_map_init(struct gh_map *map)
{
    *map = (struct gh_map){0};
    gh_random(map->key, sizeof map->key);
}

void gh_map_deinit(struct gh_map *map)
{
    for (size_t i = 0; i < map->capacity; i++)
        free(map->slots[i].key);
    free(map->slots);
    map->slots = NULL;
    map->count = map->used = map->capacity = 0;
}

static bool holds(const struct gh_map_slot *slot, uint64_t hash, struct gh_slice key)
{
    return slot->key != NULL && slot->hash == hash &&
           gh_slice_equal(gh_slice(slot->key, slot->key_size), key);
}

static struct gh_map_slot *find(const struct gh_map *map, uint64_t hash, struct gh_slice key)
{
    if (map->capacity == 0)
        return NULL;
    for (size_t i = hash & (map->capacity - 1);; i = (i + 1) & (map->capacity - 1)) {
        struct gh_map_slot *slot = &map->slots[i];
        if (holds(slot, hash, key))
            return slot;
        if (slot->key == NULL && slot->value == NULL)
            return NULL;
    }
}

static void place(struct gh_map_slot *slots, size_t capacity, struct gh_map_slot entry)
{
    size_t i = entry.hash & (capacity - 1);
    while (slots[i].key != NULL)
        i = (i + 1) & (capacity - 1);
    slots[i] = entry;
}

/* Keeps a quarter of the slots free; also drops tombstones. */
static bool make_room(struct gh_map *map)
{
    if (map->used + 1 <= map->capacity / 4 * 3)
        return true;
    size_t capacity = CAPACITY_FIRST;
    while (map->count + 1 > capacity / 2)
        capacity *= 2;
    struct gh_map_slot *slots = calloc(capacity, sizeof *slots);
    if (slots == NULL)
        return false;
    for (size_t i = 0; i < map->capacity; i++)
        if (map->slots[i].key != NULL)
            place(slots, capacity, map->slots[i]);
    free(map->slots);
    map->slots = slots;
    map->capacity = capacity;
    map->used = map->count;
    return true;
}

void *gh_map_get(const struct gh_map *map, struct gh_slice key)
{
    struct gh_map_slot *slot = find(map, gh_hash_sip(map->key, key), key);
    return slot == NULL ? NULL : slot->value;
}

bool gh_map_put(struct gh_map *map, struct gh_slice key, void *value, void **before)
{
    uint64_t hash = gh_hash_sip(map->key, key);
    struct gh_map_slot *slot = find(map, hash, key);
    assert(value != NULL);
    if (before != NULL)
        *before = slot == NULL ? NULL : slot->value;
    if (slot != NULL) {
        slot->value = value;
        return true;
    }
    uint8_t *copy = malloc(key.size + 1);
    if (copy == NULL || !make_room(map)) {
        free(copy);
        return false;
    }
    if (key.size != 0)
        memcpy(copy, key.data, key.size);
    place(map->slots, map->capacity,
          (struct gh_map_slot){.key = copy, .key_size = key.size, .hash = hash, .value = value});
    map->count++;
    map->used++;
    return true;
}

void *gh_map_remove(struct gh_map *map, struct gh_slice key)
{
    struct gh_map_slot *slot = find(map, gh_hash_sip(map->key, key), key);
    if (slot == NULL)
        return NULL;
    void *value = slot->value;
    free(slot->key);
    *slot = (struct gh_map_slot){.value = &tombstone};
    map->count--;
    return value;
}

bool gh_map_next(const struct gh_map *map, size_t *at, struct gh_slice *key, void **value)
{
    for (; *at < map->capacity; (*at)++) {
        struct gh_map_slot *slot = &map->slots[*at];
        if (slot->key == NULL)
            continue;
        *key = gh_slice(slot->key, slot->key_size);
        *value = slot->value;
        (*at)++;
        return true;
    }
    return false;
}
