#include "observe/deadlines.h"
#include <assert.h>
#include <stdlib.h>

struct gh_deadline {
    int64_t at_ms;
    uint64_t device;
};

void gh_deadlines_init(struct gh_deadlines *deadlines)
{
    *deadlines = (struct gh_deadlines){0};
    gh_map_init(&deadlines->index);
}

void gh_deadlines_deinit(struct gh_deadlines *deadlines)
{
    gh_map_deinit(&deadlines->index);
    free(deadlines->items);
}

/* From 1; 0 when it is not there. */
static size_t place_of(const struct gh_deadlines *deadlines, uint64_t device)
{
    return (uintptr_t)gh_map_get(&deadlines->index, gh_slice(&device, sizeof device));
}

/* The key is in the index already, where replacing a value takes no memory. */
static void put(struct gh_deadlines *deadlines, size_t at, struct gh_deadline item)
{
    deadlines->items[at] = item;
    bool replaced = gh_map_put(&deadlines->index, gh_slice(&item.device, sizeof item.device),
                               (void *)(uintptr_t)(at + 1), NULL);
    assert(replaced);
}

static void rise(struct gh_deadlines *deadlines, size_t at, struct gh_deadline item)
{
    while (at > 0 && deadlines->items[(at - 1) / 2].at_ms > item.at_ms) {
        put(deadlines, at, deadlines->items[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put(deadlines, at, item);
}

static void sink(struct gh_deadlines *deadlines, size_t at, struct gh_deadline item)
{
    const struct gh_deadline *items = deadlines->items;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < deadlines->count && items[child + 1].at_ms < items[child].at_ms)
            child++;
        if (child >= deadlines->count || items[child].at_ms >= item.at_ms)
            break;
        put(deadlines, at, items[child]);
        at = child;
    }
    put(deadlines, at, item);
}

static bool grow(struct gh_deadlines *deadlines)
{
    if (deadlines->count < deadlines->capacity)
        return true;
    size_t capacity = deadlines->capacity == 0 ? 64 : 2 * deadlines->capacity;
    void *items = realloc(deadlines->items, capacity * sizeof *deadlines->items);
    if (items == NULL)
        return false;
    deadlines->items = items;
    deadlines->capacity = capacity;
    return true;
}

bool gh_deadlines_set(struct gh_deadlines *deadlines, uint64_t device, int64_t at_ms)
{
    struct gh_deadline item = {at_ms, device};
    size_t place = place_of(deadlines, device);
    if (place != 0) {
        bool earlier = at_ms < deadlines->items[place - 1].at_ms;
        (earlier ? rise : sink)(deadlines, place - 1, item);
        return true;
    }
    if (!grow(deadlines) || !gh_map_put(&deadlines->index, gh_slice(&device, sizeof device),
                                        (void *)(uintptr_t)1, NULL))
        return false;
    rise(deadlines, deadlines->count++, item);
    return true;
}

static void remove_at(struct gh_deadlines *deadlines, size_t at)
{
    struct gh_deadline gone = deadlines->items[at], last = deadlines->items[--deadlines->count];
    gh_map_remove(&deadlines->index, gh_slice(&gone.device, sizeof gone.device));
    if (at == deadlines->count)
        return;
    (last.at_ms < gone.at_ms ? rise : sink)(deadlines, at, last);
}

void gh_deadlines_remove(struct gh_deadlines *deadlines, uint64_t device)
{
    size_t place = place_of(deadlines, device);
    if (place != 0)
        remove_at(deadlines, place - 1);
}

bool gh_deadlines_has(const struct gh_deadlines *deadlines, uint64_t device)
{
    return place_of(deadlines, device) != 0;
}

int64_t gh_deadlines_next(const struct gh_deadlines *deadlines)
{
    return deadlines->count > 0 ? deadlines->items[0].at_ms : INT64_MAX;
}

bool gh_deadlines_take(struct gh_deadlines *deadlines, int64_t now_ms, uint64_t *device)
{
    if (gh_deadlines_next(deadlines) > now_ms || deadlines->count == 0)
        return false;
    *device = deadlines->items[0].device;
    remove_at(deadlines, 0);
    return true;
}
