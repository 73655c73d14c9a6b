/* What one subscription has taken from the log and not finished with: messages that wait to be
 * handed out, leases, and acknowledgements on their way to the disk. A message is named by its
 * offset; its bytes stay in the log.
 *
 * A message that is given back or whose deadline passes has failed once more. It waits again at
 * once, or after a pause that doubles from failure to failure; when it has failed often enough it
 * is dead, to be taken by whoever forwards it.
 *
 * Order. Messages may have a key; those of one key are a chain. A batch (what one consumer is given
 * at a time) takes any number of a chain's messages, lowest offset first; until all of them are
 * acknowledged no other batch gets any of that chain. When one fails, the later ones of its chain
 * follow it again, also those that were acknowledged ahead of it: such an acknowledgement counts
 * only once the earlier ones are acknowledged too, and is not durable before.
 *
 * A state machine without I/O: the caller brings the time (monotonic) and tells which offsets there
 * are. Everything of the topic below `read_to` is acknowledged or an entry here. 64 bytes an entry,
 * at most `leases_max` + `waiting_max` of them. Memory: its own. Threads: one at a time. */
#ifndef GH_PUBSUB_DELIVERY_H
#define GH_PUBSUB_DELIVERY_H

#include "base/map.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gh_delivery_state {
    GH_DELIVERY_FREE,
    GH_DELIVERY_WAITING, /* may be handed out */
    GH_DELIVERY_BEHIND,  /* waits for others of its chain */
    GH_DELIVERY_LEASED,
    GH_DELIVERY_PAUSED, /* has failed; waits again at its deadline */
    GH_DELIVERY_DEAD,   /* has failed too often */
    GH_DELIVERY_EARLY,  /* acknowledged ahead of others of its chain */
    GH_DELIVERY_ACKING, /* its acknowledgement is being written; it is not handed out meanwhile */
};

struct gh_delivery_chain;

struct gh_delivery_entry {
    uint64_t offset;
    int64_t deadline_ns;
    struct gh_delivery_chain *chain; /* NULL: without a key */
    uint32_t position;               /* in its segment */
    uint32_t attempts;               /* leases so far: names the lease */
    uint32_t place;                  /* in the heap of its state; the next free one */
    uint32_t before, behind;         /* in its chain */
    uint16_t failures;
    uint8_t state;
};

struct gh_delivery_heap {
    uint32_t *slots;
    size_t count, capacity;
};

struct gh_delivery_rules {
    uint32_t failures_max;              /* then it is dead; 0: never */
    int64_t pause_min_ns, pause_max_ns; /* after the first failure, and at most; 0: none */
};

struct gh_delivery {
    struct gh_delivery_entry *entries;
    size_t entries_used, entries_capacity;
    uint32_t free_slot; /* chained by `place` */
    uint32_t *index;    /* offset -> slot + 1, open addressing; a power of two */
    size_t index_capacity;
    struct gh_delivery_heap waiting; /* lowest offset first */
    struct gh_delivery_heap leased;  /* and paused; nearest deadline first */
    struct gh_delivery_heap dead;    /* lowest offset first */
    size_t count;
    size_t waiting_count; /* waiting, or behind others */
    size_t waiting_max, leases_max;
    uint64_t read_to;
    /* Offsets at or above read_to that were acknowledged (before a restart): they are skipped when
     * they are read. Ascending. */
    uint64_t *acked;
    size_t acked_count, acked_capacity;
    struct gh_delivery_rules rules;
    struct gh_map chains;              /* by key */
    struct gh_delivery_chain *at_hand; /* the chains of the batch that is being made */
};

void gh_delivery_init(struct gh_delivery *delivery, uint64_t read_to, size_t waiting_max,
                      size_t leases_max);
void gh_delivery_deinit(struct gh_delivery *delivery);

/* Whether it takes another message from the log. */
bool gh_delivery_has_room(const struct gh_delivery *delivery);
/* The log has `offset` for it; moves read_to behind it. `key` 0: it is in no chain. False: no
 * memory, nothing changed. */
GH_MUST_USE bool gh_delivery_add(struct gh_delivery *delivery, uint64_t offset, uint32_t position,
                                 uint64_t key);
/* What had happened to an entry before a restart. */
void gh_delivery_recall(struct gh_delivery *delivery, uint64_t offset, uint32_t attempts,
                        uint16_t failures);
/* 0: it has none. */
uint64_t gh_delivery_key(const struct gh_delivery_entry *entry);
/* Everything below `offset` was read. */
void gh_delivery_read_to(struct gh_delivery *delivery, uint64_t offset);

/* Hands out the message with the lowest offset until `deadline_ns`, counting the attempt, as part
 * of the batch that is being made. False: none waits, or too many are out. */
GH_MUST_USE bool gh_delivery_lease(struct gh_delivery *delivery, int64_t deadline_ns,
                                   struct gh_delivery_entry *out);
/* The batch is whole. */
void gh_delivery_batch_end(struct gh_delivery *delivery);
/* It could not be handed out after all: waits again, the attempt does not count. */
void gh_delivery_unlease(struct gh_delivery *delivery, uint64_t offset);
/* Moves the deadline of that attempt's lease. False: there is no such lease any more. */
bool gh_delivery_extend(struct gh_delivery *delivery, uint64_t offset, uint32_t attempt,
                        int64_t deadline_ns);
/* That attempt's lease ends: the message has failed. False: there is no such lease any more. */
bool gh_delivery_nack(struct gh_delivery *delivery, uint64_t offset, uint32_t attempt,
                      int64_t now_ns);
/* Leases whose deadline is not after `now_ns` have failed; pauses that are over end. */
void gh_delivery_expire(struct gh_delivery *delivery, int64_t now_ns);
/* The nearest deadline, INT64_MAX without leases and pauses. */
int64_t gh_delivery_deadline_ns(const struct gh_delivery *delivery);

/* Takes the dead message with the lowest offset, as if its acknowledgement had begun. False: none
 * is dead. */
GH_MUST_USE bool gh_delivery_take_dead(struct gh_delivery *delivery, struct gh_delivery_entry *out);
/* It could not be forwarded: it is tried again as any other message, from `deadline_ns` on. */
void gh_delivery_revive(struct gh_delivery *delivery, uint64_t offset, int64_t deadline_ns);

/* Begins an acknowledgement. False: nothing is to be written now. */
GH_MUST_USE bool gh_delivery_ack_begin(struct gh_delivery *delivery, uint64_t offset);
/* The next message of the chain that was acknowledged ahead and whose turn has come with `offset`:
 * its acknowledgement has begun too. */
GH_MUST_USE bool gh_delivery_ack_next(struct gh_delivery *delivery, uint64_t offset,
                                      uint64_t *next);
/* It is durable. False: no memory to remember it; the message may be delivered again. */
bool gh_delivery_ack_done(struct gh_delivery *delivery, uint64_t offset);
/* It could not be written: the message waits again at its deadline. */
void gh_delivery_ack_failed(struct gh_delivery *delivery, uint64_t offset);
/* The message is gone from the log or past its retention. */
void gh_delivery_drop(struct gh_delivery *delivery, uint64_t offset);
/* Drops all below `offset`. */
void gh_delivery_drop_below(struct gh_delivery *delivery, uint64_t offset);
/* As if all below `from` were acknowledged and nothing from `again_from` on was, which is then read
 * again (UINT64_MAX: acknowledged ones stay so). What is left is handed out anew. False: no memory,
 * nothing changed. */
GH_MUST_USE bool gh_delivery_seek(struct gh_delivery *delivery, uint64_t from, uint64_t again_from);

/* Everything below is acknowledged. Walks all entries. */
uint64_t gh_delivery_acked_to(const struct gh_delivery *delivery);
#endif
