/* Queue: the messages of one MQTT session that are not yet done with, from the moment they are
 * routed to it until they are dropped, sent (QoS 0) or acknowledged. Every entry has a sequence
 * number: they start at 1, rise by one and never go back, so that a record on disk can name an
 * entry.
 *
 * A ring indexed by the sequence number, from the oldest entry that is there to the newest. Entries
 * end in any order; one that stays keeps the place of all after it, hence the bound is on the span
 * from oldest to newest, holes included. Full is full: push refuses, and what gives way (the new
 * message, an old one, the connection) is the caller's rule.
 *
 * Memory: the ring comes from malloc, doubles when full and is given back when the queue is empty.
 * `body` is the caller's: gh_queue_done hands it back. Threads: the caller locks. */
#ifndef GH_ROUTE_QUEUE_H
#define GH_ROUTE_QUEUE_H

#include "base/slice.h"

enum gh_queue_state {
    GH_QUEUE_NONE,     /* a hole: done, dropped, or never loaded */
    GH_QUEUE_WAITING,  /* not durable yet */
    GH_QUEUE_READY,    /* may be sent */
    GH_QUEUE_SENT,     /* no PUBACK, PUBREC yet */
    GH_QUEUE_RECEIVED, /* QoS 2: PUBREC seen, PUBCOMP is missing */
};

struct gh_queue_entry {
    uint64_t offset;   /* where the message is in the log, */
    void *body;        /* or in memory: a shared message, or NULL */
    uint32_t position; /* within the record at `offset` */
    uint8_t qos;
    uint8_t state; /* enum gh_queue_state */
    uint16_t flags;
    uint32_t size; /* of its payload, for the bound in bytes */
};

struct gh_queue {
    struct gh_queue_entry *ring;
    uint64_t head, tail; /* sequence numbers: the oldest entry (tail: none), the next to be given */
    uint32_t count, capacity,
        span_max; /* entries there; a power of two or 0; tail - head at most */
};

/* `span_max` is at least 1 and at most 2^31. */
void gh_queue_init(struct gh_queue *queue, size_t span_max);
/* Frees the ring; bodies are the caller's: take them out by gh_queue_done first. */
void gh_queue_deinit(struct gh_queue *queue);

/* Appends a copy of `entry`, whose state is not NONE, and returns its sequence number; 0 when the
 * queue is full or there is no memory, and the queue is as before then. */
GH_MUST_USE uint64_t gh_queue_push(struct gh_queue *queue, const struct gh_queue_entry *entry);

/* At restart, in any order: puts back the entry that had the number `seq` (1 or more, not there
 * yet). Numbers that are never put back are holes. False when the span would pass its bound or
 * there is no memory; the queue is as before then. */
GH_MUST_USE bool gh_queue_restore(struct gh_queue *queue, uint64_t seq,
                                  const struct gh_queue_entry *entry);
/* At restart: numbers below `next` have been given out and are never given again. Nothing happens
 * when the queue is past it. Called when all entries are restored; false when the span would pass
 * its bound or there is no memory. */
GH_MUST_USE bool gh_queue_resume(struct gh_queue *queue, uint64_t next);

/* The entry, to be read and changed in place (but not to NONE), until the next push, restore or
 * resume; NULL when it is a hole, over, or not given yet. */
struct gh_queue_entry *gh_queue_entry(const struct gh_queue *queue, uint64_t seq);
/* Ends an entry and copies it to `*before` unless that is NULL. False when it is not there. */
bool gh_queue_done(struct gh_queue *queue, uint64_t seq, struct gh_queue_entry *before);

/* The first entry whose number is `*seq` or higher, and its number to `*seq`. At the end NULL, and
 * the number of the next push. Begin with 0; add one for the following entry. */
struct gh_queue_entry *gh_queue_next(const struct gh_queue *queue, uint64_t *seq);

size_t gh_queue_count(const struct gh_queue *queue);
/* Memory of the ring. */
size_t gh_queue_bytes(const struct gh_queue *queue);
#endif
