#include "base/map.h"
#include "base/hash.h"
#include "base/secret.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { CAPACITY_FIRST = 16 };

/* Numbers are what most keys are: one of eight bytes or less stands in the slot itself. */
enum { INLINE_BYTES = 8 };

struct gh_map_slot {
    void *value; /* NULL: never used; the tombstone: deleted */
    union {
        uint8_t *block;
        uint8_t bytes[INLINE_BYTES];
    } key;
    uint32_t key_size;
    uint32_t hash; /* the lower half */
};
static_assert(sizeof(struct gh_map_slot) == 24, "three words for an entry");

static char tombstone;

static bool is_live(const struct gh_map_slot *slot)
{
    return slot->value != NULL && slot->value != &tombstone;
}

static struct gh_slice key_of(const struct gh_map_slot *slot)
{
    return gh_slice(slot->key_size > INLINE_BYTES ? slot->key.block : slot->key.bytes,
                    slot->key_size);
}

static void free_key(const struct gh_map *map, struct gh_map_slot *slot)
{
    if (!map->borrows && is_live(slot) && slot->key_size > INLINE_BYTES)
        free(slot->key.block);
}

/* False without memory. */
static bool set_key(const struct gh_map *map, struct gh_map_slot *slot, struct gh_slice key)
{
    assert(key.size <= UINT32_MAX);
    slot->key_size = (uint32_t)key.size;
    if (key.size > INLINE_BYTES && map->borrows) {
        slot->key.block = (uint8_t *)(uintptr_t)key.data;
        return true;
    }
    if (key.size > INLINE_BYTES && (slot->key.block = malloc(key.size)) == NULL)
        return false;
    if (key.size > 0)
        memcpy(key.size > INLINE_BYTES ? slot->key.block : slot->key.bytes, key.data, key.size);
    return true;
}

static uint32_t hash_of(const struct gh_map *map, struct gh_slice key)
{
    return (uint32_t)gh_hash_sip(map->key, key);
}

void gh_map_init(struct gh_map *map)
{
    *map = (struct gh_map){0};
    gh_random(map->key, sizeof map->key);
}

void gh_map_init_borrowing(struct gh_map *map)
{
    gh_map_init(map);
    map->borrows = true;
}

void gh_map_deinit(struct gh_map *map)
{
    for (size_t i = 0; i < map->capacity; i++)
        free_key(map, &map->slots[i]);
    free(map->slots);
    map->slots = NULL;
    map->count = map->used = map->capacity = 0;
}

static bool holds(const struct gh_map_slot *slot, uint32_t hash, struct gh_slice key)
{
    return slot->hash == hash && is_live(slot) && gh_slice_equal(key_of(slot), key);
}

static struct gh_map_slot *find(const struct gh_map *map, uint32_t hash, struct gh_slice key)
{
    if (map->capacity == 0)
        return NULL;
    for (size_t i = hash & (map->capacity - 1);; i = (i + 1) & (map->capacity - 1)) {
        struct gh_map_slot *slot = &map->slots[i];
        if (holds(slot, hash, key))
            return slot;
        if (slot->value == NULL)
            return NULL;
    }
}

static void place(struct gh_map_slot *slots, size_t capacity, struct gh_map_slot entry)
{
    size_t i = entry.hash & (capacity - 1);
    while (is_live(&slots[i]))
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
        if (is_live(&map->slots[i]))
            place(slots, capacity, map->slots[i]);
    free(map->slots);
    map->slots = slots;
    map->capacity = capacity;
    map->used = map->count;
    return true;
}

void *gh_map_get(const struct gh_map *map, struct gh_slice key)
{
    struct gh_map_slot *slot = find(map, hash_of(map, key), key);
    return slot == NULL ? NULL : slot->value;
}

bool gh_map_put(struct gh_map *map, struct gh_slice key, void *value, void **before)
{
    uint32_t hash = hash_of(map, key);
    struct gh_map_slot *slot = find(map, hash, key);
    assert(value != NULL);
    if (before != NULL)
        *before = slot == NULL ? NULL : slot->value;
    if (slot != NULL) {
        slot->value = value;
        if (map->borrows)
            (void)!set_key(map, slot, key); /* takes no memory */
        return true;
    }
    struct gh_map_slot entry = {.value = value, .hash = hash};
    if (!set_key(map, &entry, key))
        return false;
    if (!make_room(map)) {
        free_key(map, &entry);
        return false;
    }
    place(map->slots, map->capacity, entry);
    map->count++;
    map->used++;
    return true;
}

/* The memory of many that have gone; also drops tombstones. */
static void give_back(struct gh_map *map)
{
    if (map->count > 0 || map->capacity <= CAPACITY_FIRST)
        return;
    free(map->slots);
    map->slots = NULL;
    map->used = map->capacity = 0;
}

void *gh_map_remove(struct gh_map *map, struct gh_slice key)
{
    struct gh_map_slot *slot = find(map, hash_of(map, key), key);
    if (slot == NULL)
        return NULL;
    void *value = slot->value;
    free_key(map, slot);
    *slot = (struct gh_map_slot){.value = &tombstone};
    map->count--;
    give_back(map);
    return value;
}

bool gh_map_next(const struct gh_map *map, size_t *at, struct gh_slice *key, void **value)
{
    for (; *at < map->capacity; (*at)++) {
        struct gh_map_slot *slot = &map->slots[*at];
        if (!is_live(slot))
            continue;
        *key = key_of(slot);
        *value = slot->value;
        (*at)++;
        return true;
    }
    return false;
}
