/* A sealed block: some records of one device, ascending in time, compressed together (zlib). What
 * the store keeps of it is opaque bytes; this file is their schema.
 *
 *   format u8 = 1 | raw size u32 | deflated raw
 *   raw: records u32 | head bytes u32 | heads | payloads
 *   a head: time (the first in full, then the difference), id (likewise), channel length, channel,
 * payload length; numbers in base 128, least first
 *
 * Heads and payloads stand apart because payloads that follow each other compress better.
 * Memory: the reader borrows from its own buffer. Threads: one at a time. */
#ifndef GH_OBSERVE_BLOCK_H
#define GH_OBSERVE_BLOCK_H

#include "base/buffer.h"
#include "base/cursor.h"
#include "observe/telemetry.h"

enum {
    GH_BLOCK_RECORDS_MAX = 4096,
    GH_BLOCK_TARGET_BYTES = 256 * 1024,        /* of payloads; a larger one stands alone */
    GH_BLOCK_RAW_BYTES_MAX = 16 * 1024 * 1024, /* a block that claims more is refused */
};

/* Appends one block. False: no memory, or more than the limits above. */
GH_MUST_USE bool gh_block_seal(const struct gh_telemetry_record *records, size_t count,
                               struct gh_buffer *out);

struct gh_block {
    struct gh_buffer raw;
    struct gh_telemetry_record *records; /* `count` of them, ascending */
    size_t count;
};
void gh_block_init(struct gh_block *block);
void gh_block_deinit(struct gh_block *block);
/* Replaces what the block holds. False: the bytes are not a whole block, or no memory. */
GH_MUST_USE bool gh_block_open(struct gh_block *block, struct gh_slice bytes);
#endif
