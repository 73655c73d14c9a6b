#include "base/map.h"
#include "tests/check.h"
#include <string.h>

/* Keys on both sides of the size that stands in the table itself. */
static void check_sizes(void)
{
    static const size_t sizes[] = {0, 1, 7, 8, 9, 16, 300};
    struct gh_map map;
    uint8_t key[300];
    gh_map_init(&map);
    for (int round = 0; round < 2; round++) { /* each size once of a and once of b */
        memset(key, 'a' + round, sizeof key);
        for (size_t i = 0; i < GH_COUNT(sizes); i++)
            REQUIRE("put", gh_map_put(&map, gh_slice(key, sizes[i]), (void *)&sizes[i], NULL));
    }
    CHECK("the empty key is one", map.count == 2 * GH_COUNT(sizes) - 1);
    for (size_t i = 0; i < GH_COUNT(sizes); i++)
        CHECK("found", gh_map_get(&map, gh_slice(key, sizes[i])) == &sizes[i]);
    key[7] = 'x';
    for (size_t i = 3; i < GH_COUNT(sizes); i++) {
        CHECK("another last byte is another key",
              gh_map_get(&map, gh_slice(key, sizes[i])) == NULL);
        CHECK("and cannot be removed", gh_map_remove(&map, gh_slice(key, sizes[i])) == NULL);
    }
    key[7] = 'b';
    for (size_t i = 0; i < GH_COUNT(sizes); i++) {
        CHECK("removed", gh_map_remove(&map, gh_slice(key, sizes[i])) == &sizes[i]);
        CHECK("once", gh_map_remove(&map, gh_slice(key, sizes[i])) == NULL);
    }
    gh_map_deinit(&map); /* with the other half in it */
}

static void check_replacing(void)
{
    struct gh_map map;
    int first, second;
    void *before;
    gh_map_init(&map);
    REQUIRE("put", gh_map_put(&map, GH_SLICE("key"), &first, &before) && before == NULL);
    REQUIRE("again", gh_map_put(&map, GH_SLICE("key"), &second, &before));
    CHECK("what was there is told", before == &first && map.count == 1);
    CHECK("and replaced", gh_map_get(&map, GH_SLICE("key")) == &second);
    gh_map_deinit(&map);
}

/* Everything is found while numbers come and go, and a walk that removes sees each once. */
static void check_crowd(void)
{
    enum { COUNT = 10000 };
    static uint8_t seen[COUNT];
    struct gh_map map;
    struct gh_slice key;
    void *value;
    size_t at = 0, walked = 0;
    bool all = true;
    gh_map_init(&map);
    for (uint64_t i = 0; i < COUNT; i++) {
        all &= gh_map_put(&map, gh_slice(&i, sizeof i), &seen[i], NULL);
        uint64_t old = i / 2;
        if (i % 2 == 1)
            all &= gh_map_remove(&map, gh_slice(&old, sizeof old)) == &seen[old];
    }
    CHECK("half have gone", all && map.count == COUNT / 2);
    for (uint64_t i = 0; i < COUNT; i++)
        all &= (gh_map_get(&map, gh_slice(&i, sizeof i)) == &seen[i]) == (i >= COUNT / 2);
    CHECK("the others are there", all);
    while (gh_map_next(&map, &at, &key, &value)) {
        ++*(uint8_t *)value;
        walked += gh_map_remove(&map, key) == value;
    }
    for (size_t i = COUNT / 2; i < COUNT; i++)
        all &= seen[i] == 1;
    CHECK("each was walked once", all && walked == COUNT / 2);
    CHECK("the table of many went with the last", map.count == 0 && map.capacity == 0);
    REQUIRE("and comes back", gh_map_put(&map, GH_SLICE("key"), &map, NULL));
    CHECK("found", gh_map_get(&map, GH_SLICE("key")) == &map);
    gh_map_deinit(&map);
}

/* A borrowed key is read where it is, and not freed. */
static void check_borrowing(void)
{
    struct gh_map map;
    char first[] = "a key of many bytes", second[] = "a key of many bytes";
    gh_map_init_borrowing(&map);
    REQUIRE("put", gh_map_put(&map, gh_slice_text(first), first, NULL));
    REQUIRE("short", gh_map_put(&map, GH_SLICE("short"), &map, NULL));
    CHECK("found", gh_map_get(&map, gh_slice_text(second)) == first);
    REQUIRE("replaced", gh_map_put(&map, gh_slice_text(second), second, NULL));
    first[0] = 'b'; /* as if it were gone */
    CHECK("by the new key", gh_map_get(&map, gh_slice_text(second)) == second && map.count == 2);
    CHECK("removed", gh_map_remove(&map, gh_slice_text(second)) == second);
    gh_map_deinit(&map);
}

int main(void)
{
    check_sizes();
    check_replacing();
    check_crowd();
    check_borrowing();
    return check_report();
}
