/* Map: byte keys to pointers, a hash table with open addressing under a random SipHash key, so that
 * a peer who chooses the names cannot choose the collisions. Keys are copied; one of at most eight
 * bytes costs no block of its own. The table is given back with the last entry of many. Threads:
 * one at a time. */
#ifndef GH_BASE_MAP_H
#define GH_BASE_MAP_H

#include "base/slice.h"

struct gh_map {
    struct gh_map_slot *slots;
    size_t count, used, capacity; /* live; live and deleted; a power of two or 0 */
    uint8_t key[16];
    bool borrows;
};

void gh_map_init(struct gh_map *map);
/* The same, of a map whose keys are not copied: each lives as long as its entry, mostly in the
 * value. An entry that is replaced has the new key. */
void gh_map_init_borrowing(struct gh_map *map);
/* Frees the keys; the values are the caller's. */
void gh_map_deinit(struct gh_map *map);

/* NULL when it is not there. */
void *gh_map_get(const struct gh_map *map, struct gh_slice key);
/* Replaces; the value before (or NULL) goes to `*before` unless that is NULL. `value` is not NULL.
 * False when there is no memory; the map is as before then. */
GH_MUST_USE bool gh_map_put(struct gh_map *map, struct gh_slice key, void *value, void **before);
/* Returns the value, or NULL when it was not there. */
void *gh_map_remove(struct gh_map *map, struct gh_slice key);

/* Walks in no order: `*at` begins at 0; false at the end. The map must not be changed meanwhile,
 * but for the removal of the entry at hand. */
bool gh_map_next(const struct gh_map *map, size_t *at, struct gh_slice *key, void **value);
#endif
