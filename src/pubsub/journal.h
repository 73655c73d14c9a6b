/* The bytes in which subscriptions remember what was acknowledged: journal records in the message
 * log (one for each acknowledge call), and the checkpoint file that spares a restart from replaying
 * them all.
 *
 *   journal record   format u8 = 1 | subscription u32 | count u32 | offsets, ascending, each as the
 *                    difference to the one before in base 128, least first
 *   checkpoint       "GHPUBSUB" | format u32 = 1 | ack key 16 bytes | replay from u64 | count u32 |
 *                    subscriptions | CRC32C of all before u32
 *   a subscription   number u32 | topic u32 | read to u64 | entries u32 | (offset u64 | position
 * u32 | attempts u32)... | acked u32 | offset u64...
 *
 * Codecs over memory, no I/O. Threads: any. */
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

struct gh_checkpoint {
    uint8_t ack_key[GH_JOURNAL_KEY_BYTES];
    uint64_t replay_from; /* journal records below are in here already */
    uint32_t count;
};
struct gh_checkpoint_subscription {
    uint32_t number, topic;
    uint64_t read_to;
};
struct gh_checkpoint_entry {
    uint64_t offset;
    uint32_t position, attempts;
};

/* Writing: begin, then for each subscription its head, count and entries, count and acked offsets,
 * then end. */
void gh_checkpoint_begin(struct gh_buffer *out, const struct gh_checkpoint *checkpoint);
void gh_checkpoint_subscription(struct gh_buffer *out,
                                const struct gh_checkpoint_subscription *head);
void gh_checkpoint_entry(struct gh_buffer *out, const struct gh_checkpoint_entry *entry);
GH_MUST_USE bool gh_checkpoint_end(struct gh_buffer *out);

/* Reading checks the CRC first. False: not a checkpoint, or damaged. */
GH_MUST_USE bool gh_checkpoint_open(struct gh_slice bytes, struct gh_cursor *at,
                                    struct gh_checkpoint *out);
GH_MUST_USE bool gh_checkpoint_subscription_read(struct gh_cursor *at,
                                                 struct gh_checkpoint_subscription *out);
GH_MUST_USE bool gh_checkpoint_entry_read(struct gh_cursor *at, struct gh_checkpoint_entry *out);
#endif
