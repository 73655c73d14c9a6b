/* Message: one MQTT publish on its way to its subscribers, immutable and shared by reference
 * between loops. Its bytes are those of its record in the journal (route/journal.h), so that what
 * is stored is encoded once and copied nowhere.
 *
 * Record (numbers big-endian):
 *   version u8 | flags u8 | tenant u64 | published ms u64 | expires ms u64 (0: never)
 *   | publisher's session u64 | its packet id u16 (0: none taken)
 *   | topic u16+ | properties u32+ | payload u32+ | targets u32 | each: session u64, sequence u64,
 *     flags u8
 * Flags of the message: QoS (bits 0-1), bit 2: it is the topic's retained message. Flags of a
 * target: QoS (bits 0-1), bit 2: sent with RETAIN set, bit 3: by a shared subscription, bit 4: it
 * had been sent when this record was written (a later copy of an older one).
 *
 * A message that is never written has no record: only its fields are copied.
 *
 * Memory: one block, freed with the last reference. Threads: any; building is one thread's. */
#ifndef GH_ROUTE_MESSAGE_H
#define GH_ROUTE_MESSAGE_H

#include "base/slice.h"
#include <stdatomic.h>

enum {
    GH_TARGET_QOS = 0x03,
    GH_TARGET_RETAIN = 0x04,
    GH_TARGET_SHARED = 0x08,
    GH_TARGET_SENT = 0x10,
};

struct gh_route_message {
    atomic_uint refs;
    uint8_t qos;
    bool retained; /* becomes (or is) the topic's retained message */
    int64_t tenant;
    int64_t published_at_ms, expires_at_ms; /* UTC; expires 0: never */
    uint64_t publisher;                     /* session whose packet id is taken; 0: none */
    uint16_t packet_id;
    struct gh_slice topic, properties, payload; /* in `record`, or what stands for it */
    struct gh_slice targets;                    /* walk with gh_route_target_next */
    size_t size, capacity;                      /* of `record`; size 0: it is not recorded */
    uint8_t *record;
};

struct gh_route_target {
    uint64_t session, sequence;
    uint8_t flags;
};

/* What a message is made of; borrowed. */
struct gh_route_draft {
    int64_t tenant;
    struct gh_slice topic, properties, payload;
    uint8_t qos;
    bool retained;
    int64_t published_at_ms, expires_at_ms;
    uint64_t publisher;
    uint16_t packet_id;
    bool recorded;      /* gh_route_message_record will be asked for */
    size_t targets_max; /* room for so many gh_route_message_add; 0 unless it is recorded */
    size_t shares;      /* references beside the first, for those who will get it */
};

/* Before it is shared. */
void gh_route_message_no_longer_retained(struct gh_route_message *message);
/* With a reference and those of the draft, or NULL when there is no memory. */
GH_MUST_USE struct gh_route_message *gh_route_message_new(const struct gh_route_draft *draft);
/* Adds a target to the record; at most `targets_max` of them, before it is shared. */
void gh_route_message_add(struct gh_route_message *message, const struct gh_route_target *target);
struct gh_route_message *gh_route_message_ref(struct gh_route_message *message); /* returns it */
void gh_route_message_unref(struct gh_route_message *message);                   /* NULL is fine */
/* Gives back `count` references, at least one, in one step. */
void gh_route_message_unref_many(struct gh_route_message *message, size_t count);

/* The whole record, of one that is recorded. */
struct gh_slice gh_route_message_record(const struct gh_route_message *message);
/* Reads a record; `out` borrows from it, has no reference count and must not be ref'd. False: not
 * a record of this format. */
GH_MUST_USE bool gh_route_message_read(struct gh_slice record, struct gh_route_message *out);
/* A message of its own from what was read, without targets and not recorded; NULL when there is no
 * memory. */
GH_MUST_USE struct gh_route_message *gh_route_message_copy(const struct gh_route_message *read);

/* The next target; `*at` begins as message->targets. False at the end. */
bool gh_route_target_next(struct gh_slice *at, struct gh_route_target *out);
size_t gh_route_targets_count(const struct gh_route_message *message);
#endif
