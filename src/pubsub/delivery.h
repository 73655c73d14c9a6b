/* What one subscription has taken from the log and not finished with: messages that wait to be
 * handed out, leases, and acknowledgements on their way to the disk. A message is named by its
 * offset; its bytes stay in the log.
 *
 * A state machine without I/O: the caller brings the time (monotonic) and tells which offsets there
 * are. Everything of the topic below `read_to` is acknowledged or an entry here. 44 bytes an entry,
 * at most `leases_max` + `waiting_max` of them. Memory: its own. Threads: one at a time. */
#ifndef GH_PUBSUB_DELIVERY_H
#define GH_PUBSUB_DELIVERY_H

#include "base/attributes.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gh_delivery_state {
    GH_DELIVERY_FREE,
    GH_DELIVERY_WAITING,
    GH_DELIVERY_LEASED,
    GH_DELIVERY_ACKING, /* its acknowledgement is being written; it is not handed out meanwhile */
};

struct gh_delivery_entry {
    uint64_t offset;
    int64_t deadline_ns;
    uint32_t position; /* in its segment */
    uint32_t attempts; /* deliveries so far */
    uint32_t place;    /* in the heap of its state; the next free one */
    enum gh_delivery_state state;
};

struct gh_delivery_heap {
    uint32_t *slots;
    size_t count, capacity;
};

struct gh_delivery {
    struct gh_delivery_entry *entries;
    size_t entries_used, entries_capacity;
    uint32_t free_slot; /* chained by `place` */
    uint32_t *index;    /* offset -> slot + 1, open addressing; a power of two */
    size_t index_capacity;
    struct gh_delivery_heap waiting; /* lowest offset first */
    struct gh_delivery_heap leased;  /* nearest deadline first */
    size_t count;
    size_t waiting_max, leases_max;
    uint64_t read_to;
    /* Offsets at or above read_to that were acknowledged (before a restart): they are skipped when
     * they are read. Ascending. */
    uint64_t *acked;
    size_t acked_count, acked_capacity;
};

void gh_delivery_init(struct gh_delivery *delivery, uint64_t read_to, size_t waiting_max,
                      size_t leases_max);
void gh_delivery_deinit(struct gh_delivery *delivery);

/* Whether it takes another message from the log. */
bool gh_delivery_has_room(const struct gh_delivery *delivery);
/* The log has `offset` for it; moves read_to behind it. False: no memory, nothing changed. */
GH_MUST_USE bool gh_delivery_add(struct gh_delivery *delivery, uint64_t offset, uint32_t position,
                                 uint32_t attempts);
/* Everything below `offset` was read. */
void gh_delivery_read_to(struct gh_delivery *delivery, uint64_t offset);

/* Hands out the message with the lowest offset until `deadline_ns`, counting the attempt. False:
 * none waits, or too many are out. */
GH_MUST_USE bool gh_delivery_lease(struct gh_delivery *delivery, int64_t deadline_ns,
                                   struct gh_delivery_entry *out);
/* It could not be handed out after all: waits again, the attempt does not count. */
void gh_delivery_unlease(struct gh_delivery *delivery, uint64_t offset);
/* Moves the deadline of that attempt's lease; 0 ends it at once. False: there is no such lease any
 * more. */
bool gh_delivery_extend(struct gh_delivery *delivery, uint64_t offset, uint32_t attempt,
                        int64_t deadline_ns);
/* Leases whose deadline is not after `now_ns` wait again. */
void gh_delivery_expire(struct gh_delivery *delivery, int64_t now_ns);
/* The nearest deadline, INT64_MAX without leases. */
int64_t gh_delivery_deadline_ns(const struct gh_delivery *delivery);

/* Begins an acknowledgement. False: it was acknowledged before, nothing is to be written. */
GH_MUST_USE bool gh_delivery_ack_begin(struct gh_delivery *delivery, uint64_t offset);
/* It is durable. False: no memory to remember it; the message may be delivered again. */
bool gh_delivery_ack_done(struct gh_delivery *delivery, uint64_t offset);
/* It could not be written: the message waits again at its deadline. */
void gh_delivery_ack_failed(struct gh_delivery *delivery, uint64_t offset);
/* The message is gone from the log or past its retention. */
void gh_delivery_drop(struct gh_delivery *delivery, uint64_t offset);
/* Drops all below `offset`. */
void gh_delivery_drop_below(struct gh_delivery *delivery, uint64_t offset);

/* Everything below is acknowledged. Walks all entries. */
uint64_t gh_delivery_acked_to(const struct gh_delivery *delivery);
#endif
