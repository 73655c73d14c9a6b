/* The bytes of one segment of the message log: a header, then records without gaps, then perhaps
 * zeros (space taken ahead of the writer). Numbers are big-endian.
 *
 *   header, 64 bytes   "GHLOGSEG" | version u32 | salt u32 | base offset u64 | created ms u64 |
 *                      CRC32C of the 32 bytes before u32 | zeros
 *   record, 32 + n     length n u32 | header CRC u32 | body CRC u32 | tag u32 | offset u64 | time
 * u64 | body
 *
 * Both CRCs of a record (CRC-32C) start from the segment's random salt: bytes that a publisher
 * chose can therefore not pass for a record when a damaged region is searched for the next good
 * one, and neither can what the disk's blocks held before. The header has a CRC of its own, so that
 * the search costs 32 bytes a position and not a body.
 *
 * Reads from memory or, through `gh_segment_source`, from a file; writes into the caller's memory.
 * Opens nothing. Threads: any, a scan one at a time. */
#ifndef GH_PUBSUB_SEGMENT_H
#define GH_PUBSUB_SEGMENT_H

#include "base/buffer.h"
#include "base/slice.h"

enum {
    GH_SEGMENT_HEADER_BYTES = 64,
    GH_SEGMENT_RECORD_BYTES = 32, /* of a record's header */
    GH_SEGMENT_VERSION = 1,
};

struct gh_segment_header {
    uint32_t version, salt;
    uint64_t base; /* the lowest offset it may hold */
    int64_t created_at_ms;
};

enum gh_segment_kind {
    GH_SEGMENT_OURS,
    GH_SEGMENT_EMPTY,   /* shorter than a header, or zeros: a crash came before its first record */
    GH_SEGMENT_FOREIGN, /* something else */
    GH_SEGMENT_NEWER,   /* a version that is not known here */
    GH_SEGMENT_DAMAGED, /* ours by its first bytes, but the header's CRC is wrong */
};

void gh_segment_header_write(const struct gh_segment_header *header,
                             uint8_t out[GH_SEGMENT_HEADER_BYTES]);
/* `*out` is written on OURS and, as far as it goes, on NEWER. */
GH_MUST_USE enum gh_segment_kind gh_segment_header_read(struct gh_slice bytes,
                                                        struct gh_segment_header *out);

struct gh_segment_record {
    uint64_t offset;
    int64_t at_ms;
    uint32_t tag;
    uint32_t length; /* of the body */
    uint32_t body_crc;
};

/* Computes body_crc and writes the header that stands before `body`. */
void gh_segment_record_write(uint32_t salt, const struct gh_segment_record *record,
                             struct gh_slice body, uint8_t out[GH_SEGMENT_RECORD_BYTES]);
/* False: no header of this segment. */
GH_MUST_USE bool gh_segment_record_read(uint32_t salt, const uint8_t bytes[GH_SEGMENT_RECORD_BYTES],
                                        struct gh_segment_record *out);
GH_MUST_USE bool gh_segment_body_valid(uint32_t salt, const struct gh_segment_record *record,
                                       struct gh_slice body);

/* Where a scan reads from: as pread, all that is asked for unless the end comes before; negative:
 * failed. */
struct gh_segment_source {
    long (*read)(void *context, void *into, size_t size, uint32_t position);
    void *context;
};

/* Walks the records between two positions. The caller may move `end` forward while it waits at it.
 */
struct gh_segment_scan {
    struct gh_segment_source source;
    uint32_t salt;
    uint32_t position, end; /* the next record's; where to stop */
    uint64_t offset_min,
        offset_max; /* records outside are not this segment's: they count as damage */
    uint32_t record_bytes_max;
    uint32_t window_at; /* position of the first byte of `window` */
    struct gh_buffer window;
};

enum gh_segment_step {
    GH_SEGMENT_RECORD, /* `out` and `body` filled; valid until the next step */
    GH_SEGMENT_DAMAGE, /* bytes [from, position) are damaged; a good record stands at `position` */
    GH_SEGMENT_END,    /* no good record at or after `position` */
    GH_SEGMENT_FAILED, /* reading or memory failed; nothing moved */
};

void gh_segment_scan_init(struct gh_segment_scan *scan, struct gh_segment_source source,
                          const struct gh_segment_header *header, uint32_t record_bytes_max);
void gh_segment_scan_deinit(struct gh_segment_scan *scan);
/* `record` is written on RECORD, `*body` too; `*from` on DAMAGE. The record's own position is
 * `position` less its size. */
GH_MUST_USE enum gh_segment_step gh_segment_scan_next(struct gh_segment_scan *scan,
                                                      struct gh_segment_record *record,
                                                      struct gh_slice *body, uint32_t *from);
/* Whether all bytes from `position` to `end` are zeros; false also when they cannot be read. */
GH_MUST_USE bool gh_segment_scan_rest_is_zero(struct gh_segment_scan *scan);
#endif
