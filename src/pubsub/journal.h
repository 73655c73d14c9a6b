/* The bytes in which subscriptions remember what was acknowledged: journal records in the message
 * log (one for each acknowledge or seek call), and the checkpoint file that spares a restart from
 * replaying them all.
 *
 *   journal record   format u8 = 1 | subscription u32 | count u32 | offsets, ascending, each as the
 *                    difference to the one before in base 128, least first
 *                    format u8 = 2 | a subscription, which from here on is as this says
 *                    format u8 = 3 | subscription u32 | from u64 | again from u64: what stands
 *                    before the first is acknowledged, what stands from the second on is not
 *   checkpoint       "GHPUBSUB" | format u32 = 2 | ack key 16 bytes | replay from u64 | count u32 |
 *                    subscriptions | CRC32C of all before u32
 *   a subscription   number u32 | topic u32 | read to u64 | active at u64 | entries u32 | (offset
 *                    u64 | position u32 | attempts u32 | failures u32 | key u64)... | acked u32 |
 *                    offset u64...
 *
 * Format 1 of the checkpoint lacks what stands there of activity, failures and keys; it is read,
 * never written. Codecs over memory, no I/O. Threads: any. */
#ifndef GH_PUBSUB_JOURNAL_H
#define GH_PUBSUB_JOURNAL_H

#include "base/buffer.h"
#include "base/cursor.h"

enum { GH_JOURNAL_KEY_BYTES = 16 };

/* `offsets` ascending. False: the buffer is too small. */
GH_MUST_USE bool gh_journal_ack_write(uint32_t subscription, const uint64_t *offsets, size_t count,
                                      struct gh_buffer *out);
struct gh_journal_ack {
    uint32_t subscription;
    uint32_t left; /* offsets not yet read */
    uint64_t last;
    struct gh_cursor at;
};
GH_MUST_USE bool gh_journal_ack_read(struct gh_slice bytes, struct gh_journal_ack *out);
/* False at the end, and when the bytes are not right. */
GH_MUST_USE bool gh_journal_ack_next(struct gh_journal_ack *ack, uint64_t *offset);

/* A subscription's state as a journal record, and as a snapshot keeps it: begin, then its parts as
 * in a checkpoint. */
void gh_journal_state_begin(struct gh_buffer *out);
GH_MUST_USE bool gh_journal_state_open(struct gh_slice bytes, struct gh_cursor *at);

struct gh_journal_seek {
    uint32_t subscription;
    uint64_t from, again_from;
};
GH_MUST_USE bool gh_journal_seek_write(const struct gh_journal_seek *seek, struct gh_buffer *out);
GH_MUST_USE bool gh_journal_seek_read(struct gh_slice bytes, struct gh_journal_seek *out);

enum { GH_CHECKPOINT_FORMAT = 2 };
struct gh_checkpoint {
    uint32_t format; /* of what was read */
    uint8_t ack_key[GH_JOURNAL_KEY_BYTES];
    uint64_t replay_from; /* journal records below are in here already */
    uint32_t count;
};
struct gh_checkpoint_subscription {
    uint32_t number, topic;
    uint64_t read_to;
    uint64_t active_at_ms; /* 0: not known */
};
struct gh_checkpoint_entry {
    uint64_t offset, key;
    uint32_t position, attempts, failures;
};

/* Writing: begin, then for each subscription its head, count and entries, count and acked offsets,
 * then end. */
void gh_checkpoint_begin(struct gh_buffer *out, const struct gh_checkpoint *checkpoint);
void gh_checkpoint_subscription(struct gh_buffer *out,
                                const struct gh_checkpoint_subscription *head);
void gh_checkpoint_entry(struct gh_buffer *out, const struct gh_checkpoint_entry *entry);
GH_MUST_USE bool gh_checkpoint_end(struct gh_buffer *out);

/* Reading checks the CRC first. False: not a checkpoint, or damaged. `format` is the checkpoint's;
 * of a state's parts it is GH_CHECKPOINT_FORMAT. */
GH_MUST_USE bool gh_checkpoint_open(struct gh_slice bytes, struct gh_cursor *at,
                                    struct gh_checkpoint *out);
GH_MUST_USE bool gh_checkpoint_subscription_read(struct gh_cursor *at, uint32_t format,
                                                 struct gh_checkpoint_subscription *out);
GH_MUST_USE bool gh_checkpoint_entry_read(struct gh_cursor *at, uint32_t format,
                                          struct gh_checkpoint_entry *out);
#endif
