#include "pubsub/segment.h"
#include "base/cursor.h"
#include "base/hash.h"
#include <assert.h>
#include <string.h>

enum {
    HEADER_CRC_AT = 32, /* the CRC covers what stands before it */
    RECORD_REST_AT = 8, /* body CRC, tag, offset, time: behind length and header CRC */
    WINDOW_BYTES = 256 * 1024,
};

static const struct gh_slice magic = GH_SLICE_INIT("GHLOGSEG");

static_assert(8 + 4 + 4 + 8 + 8 == HEADER_CRC_AT, "the layout in segment.h");
static_assert(HEADER_CRC_AT + 4 <= GH_SEGMENT_HEADER_BYTES, "the layout in segment.h");
static_assert(RECORD_REST_AT + 4 + 4 + 8 + 8 == GH_SEGMENT_RECORD_BYTES, "the layout in segment.h");

void gh_segment_header_write(const struct gh_segment_header *header,
                             uint8_t out[GH_SEGMENT_HEADER_BYTES])
{
    struct gh_buffer to = gh_buffer_fixed(out, GH_SEGMENT_HEADER_BYTES);
    memset(out, 0, GH_SEGMENT_HEADER_BYTES);
    gh_buffer_put(&to, magic);
    gh_buffer_u32(&to, header->version);
    gh_buffer_u32(&to, header->salt);
    gh_buffer_u64(&to, header->base);
    gh_buffer_u64(&to, (uint64_t)header->created_at_ms);
    gh_buffer_u32(&to, gh_hash_crc32c(0, gh_slice(out, HEADER_CRC_AT)));
    assert(!to.overflow);
}

static bool all_zero(struct gh_slice bytes)
{
    for (size_t i = 0; i < bytes.size; i++)
        if (bytes.data[i] != 0)
            return false;
    return true;
}

enum gh_segment_kind gh_segment_header_read(struct gh_slice bytes, struct gh_segment_header *out)
{
    struct gh_cursor at = gh_cursor(bytes);
    struct gh_slice first;
    uint64_t created_at_ms;
    uint32_t crc;

    bytes = gh_slice_sub(bytes, 0, GH_SEGMENT_HEADER_BYTES);
    if (all_zero(bytes))
        return GH_SEGMENT_EMPTY;
    if (bytes.size < GH_SEGMENT_HEADER_BYTES) {
        struct gh_slice begun = gh_slice_sub(bytes, 0, magic.size);
        return gh_slice_starts(magic, begun) ? GH_SEGMENT_EMPTY : GH_SEGMENT_FOREIGN;
    }
    if (!gh_cursor_take(&at, magic.size, &first) || !gh_slice_equal(first, magic))
        return GH_SEGMENT_FOREIGN;
    if (!gh_cursor_u32(&at, &out->version) || !gh_cursor_u32(&at, &out->salt) ||
        !gh_cursor_u64(&at, &out->base) || !gh_cursor_u64(&at, &created_at_ms) ||
        !gh_cursor_u32(&at, &crc))
        return GH_SEGMENT_DAMAGED;
    out->created_at_ms = (int64_t)created_at_ms;
    if (crc != gh_hash_crc32c(0, gh_slice_sub(bytes, 0, HEADER_CRC_AT)))
        return GH_SEGMENT_DAMAGED;
    return out->version == GH_SEGMENT_VERSION ? GH_SEGMENT_OURS : GH_SEGMENT_NEWER;
}

/* Over the length and all that stands behind the CRC itself. */
static uint32_t record_crc(uint32_t salt, const uint8_t bytes[GH_SEGMENT_RECORD_BYTES])
{
    uint32_t crc = gh_hash_crc32c(salt, gh_slice(bytes, 4));
    return gh_hash_crc32c(
        crc, gh_slice(bytes + RECORD_REST_AT, GH_SEGMENT_RECORD_BYTES - RECORD_REST_AT));
}

void gh_segment_record_write(uint32_t salt, const struct gh_segment_record *record,
                             struct gh_slice body, uint8_t out[GH_SEGMENT_RECORD_BYTES])
{
    struct gh_buffer to = gh_buffer_fixed(out, GH_SEGMENT_RECORD_BYTES);
    assert(body.size == record->length);
    gh_buffer_u32(&to, record->length);
    gh_buffer_u32(&to, 0);
    gh_buffer_u32(&to, gh_hash_crc32c(salt, body));
    gh_buffer_u32(&to, record->tag);
    gh_buffer_u64(&to, record->offset);
    gh_buffer_u64(&to, (uint64_t)record->at_ms);
    to = gh_buffer_fixed(out + 4, 4);
    gh_buffer_u32(&to, record_crc(salt, out));
}

bool gh_segment_record_read(uint32_t salt, const uint8_t bytes[GH_SEGMENT_RECORD_BYTES],
                            struct gh_segment_record *out)
{
    struct gh_cursor at = gh_cursor(gh_slice(bytes, GH_SEGMENT_RECORD_BYTES));
    uint64_t at_ms;
    uint32_t crc;
    if (!gh_cursor_u32(&at, &out->length) || !gh_cursor_u32(&at, &crc) ||
        !gh_cursor_u32(&at, &out->body_crc) || !gh_cursor_u32(&at, &out->tag) ||
        !gh_cursor_u64(&at, &out->offset) || !gh_cursor_u64(&at, &at_ms))
        return false;
    out->at_ms = (int64_t)at_ms;
    /* Zeros are never a record; and behind the highest number there is none. */
    return out->offset != 0 && out->offset != UINT64_MAX && crc == record_crc(salt, bytes);
}

bool gh_segment_body_valid(uint32_t salt, const struct gh_segment_record *record,
                           struct gh_slice body)
{
    return body.size == record->length && gh_hash_crc32c(salt, body) == record->body_crc;
}

void gh_segment_scan_init(struct gh_segment_scan *scan, struct gh_segment_source source,
                          const struct gh_segment_header *header, uint32_t record_bytes_max)
{
    *scan = (struct gh_segment_scan){.source = source,
                                     .salt = header->salt,
                                     .position = GH_SEGMENT_HEADER_BYTES,
                                     .end = GH_SEGMENT_HEADER_BYTES,
                                     .offset_min = header->base,
                                     .offset_max = UINT64_MAX,
                                     .record_bytes_max = record_bytes_max};
    gh_buffer_init(&scan->window,
                   (size_t)record_bytes_max + GH_SEGMENT_RECORD_BYTES + WINDOW_BYTES);
}

void gh_segment_scan_deinit(struct gh_segment_scan *scan)
{
    gh_buffer_deinit(&scan->window);
}

enum look { LOOK_OK, LOOK_PAST_END, LOOK_FAILED };

/* The bytes [position, position + size), read in large steps. */
static enum look look(struct gh_segment_scan *scan, uint32_t position, size_t size,
                      struct gh_slice *out)
{
    if (position > scan->end || size > scan->end - position)
        return LOOK_PAST_END;
    size_t into = position - scan->window_at;
    if (position < scan->window_at || into + size > scan->window.size) {
        size_t want = size > WINDOW_BYTES ? size : WINDOW_BYTES;
        if (want > scan->end - position)
            want = scan->end - position;
        gh_buffer_clear(&scan->window);
        scan->window_at = position;
        uint8_t *room = gh_buffer_reserve(&scan->window, want);
        long got =
            room == NULL ? -1 : scan->source.read(scan->source.context, room, want, position);
        if (got < 0)
            return LOOK_FAILED;
        gh_buffer_commit(&scan->window, (size_t)got < want ? (size_t)got : want);
        if (scan->window.size < size)
            return LOOK_PAST_END; /* the file is shorter than it should be */
        into = 0;
    }
    *out = gh_slice(scan->window.data + into, size);
    return LOOK_OK;
}

enum found { FOUND, FOUND_HEADER, FOUND_NOTHING, FOUND_FAILED };

/* Is there a good record at `position`? FOUND_HEADER: its header is good, its body is not. */
static enum found record_at(struct gh_segment_scan *scan, uint32_t position,
                            struct gh_segment_record *record, struct gh_slice *body)
{
    struct gh_slice bytes;
    enum look seen = look(scan, position, GH_SEGMENT_RECORD_BYTES, &bytes);
    if (seen != LOOK_OK)
        return seen == LOOK_FAILED ? FOUND_FAILED : FOUND_NOTHING;
    if (!gh_segment_record_read(scan->salt, bytes.data, record) ||
        record->offset < scan->offset_min || record->offset > scan->offset_max ||
        record->length > scan->record_bytes_max)
        return FOUND_NOTHING;
    seen = look(scan, position, GH_SEGMENT_RECORD_BYTES + (size_t)record->length, &bytes);
    if (seen != LOOK_OK)
        return seen == LOOK_FAILED ? FOUND_FAILED : FOUND_NOTHING;
    *body = gh_slice(bytes.data + GH_SEGMENT_RECORD_BYTES, record->length);
    return gh_segment_body_valid(scan->salt, record, *body) ? FOUND : FOUND_HEADER;
}

/* The next good record at or after `position`; leaves `*position` there. */
static enum found search(struct gh_segment_scan *scan, uint32_t *position)
{
    struct gh_segment_record record;
    struct gh_slice body;
    while (*position < scan->end) {
        enum found found = record_at(scan, *position, &record, &body);
        if (found == FOUND || found == FOUND_FAILED)
            return found;
        *position += found == FOUND_HEADER ? GH_SEGMENT_RECORD_BYTES + record.length : 1;
    }
    return FOUND_NOTHING;
}

enum gh_segment_step gh_segment_scan_next(struct gh_segment_scan *scan,
                                          struct gh_segment_record *record, struct gh_slice *body,
                                          uint32_t *from)
{
    if (scan->position >= scan->end)
        return GH_SEGMENT_END;
    enum found found = record_at(scan, scan->position, record, body);
    if (found == FOUND_FAILED)
        return GH_SEGMENT_FAILED;
    if (found == FOUND) {
        scan->position += GH_SEGMENT_RECORD_BYTES + record->length;
        scan->offset_min = record->offset + 1;
        return GH_SEGMENT_RECORD;
    }
    uint32_t next = scan->position + 1;
    if (found == FOUND_HEADER)
        next = scan->position + GH_SEGMENT_RECORD_BYTES + record->length;
    found = search(scan, &next);
    if (found == FOUND_FAILED)
        return GH_SEGMENT_FAILED;
    if (found == FOUND_NOTHING)
        return GH_SEGMENT_END;
    *from = scan->position;
    scan->position = next;
    return GH_SEGMENT_DAMAGE;
}

bool gh_segment_scan_rest_is_zero(struct gh_segment_scan *scan)
{
    struct gh_slice bytes;
    for (uint32_t at = scan->position; at < scan->end;) {
        size_t size = scan->end - at < WINDOW_BYTES ? scan->end - at : WINDOW_BYTES;
        enum look seen = look(scan, at, size, &bytes);
        if (seen == LOOK_PAST_END)
            return true; /* the file ends before: nothing stands there */
        if (seen == LOOK_FAILED || !all_zero(bytes))
            return false;
        at += (uint32_t)size;
    }
    return true;
}
