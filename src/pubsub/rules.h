/* How a subscription delivers, as the store keeps it: one JSON object, in which what is not said
 * has its default. Memory: slices that are read borrow from `text`'s copy in the arena. Threads:
 * any. */
#ifndef GH_PUBSUB_RULES_H
#define GH_PUBSUB_RULES_H

#include "base/arena.h"
#include "pubsub/pubsub.h"

/* Appends filter, is_ordered, and what may be changed but deadline, retention, settings and policy.
 * False: no memory, or the buffer is full. */
GH_MUST_USE bool gh_rules_write(const struct gh_subscription *from, struct gh_buffer *out);
/* Fills the same members. False: it is no such text, or there is no memory. */
GH_MUST_USE bool gh_rules_read(struct gh_slice text, struct gh_arena *arena,
                               struct gh_subscription *out);
#endif
