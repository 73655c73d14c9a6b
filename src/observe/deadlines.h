/* Deadlines: which of many devices is due next. A binary heap ordered by time with an index by
 * device, so that setting, moving and taking one costs a few steps and nobody walks over all of
 * them. Not for the loops' timers (io/loop.h). Memory: some 60 bytes for each device. Threads: one
 * at a time. */
#ifndef GH_OBSERVE_DEADLINES_H
#define GH_OBSERVE_DEADLINES_H

#include "base/attributes.h"
#include "base/map.h"

struct gh_deadlines {
    struct gh_deadline *items; /* the heap */
    size_t count, capacity;
    struct gh_map index; /* device -> its place in the heap, from 1 */
};

void gh_deadlines_init(struct gh_deadlines *deadlines);
void gh_deadlines_deinit(struct gh_deadlines *deadlines);
/* Sets or moves; false without memory, then nothing is changed. */
GH_MUST_USE bool gh_deadlines_set(struct gh_deadlines *deadlines, uint64_t device, int64_t at_ms);
void gh_deadlines_remove(struct gh_deadlines *deadlines, uint64_t device);
bool gh_deadlines_has(const struct gh_deadlines *deadlines, uint64_t device);
/* The time of the next one; INT64_MAX when there is none. */
int64_t gh_deadlines_next(const struct gh_deadlines *deadlines);
/* Takes one that is due at `now_ms`, the earliest first; false when none is. */
GH_MUST_USE bool gh_deadlines_take(struct gh_deadlines *deadlines, int64_t now_ms,
                                   uint64_t *device);
#endif
