#include "route/journal.h"
#include "base/cursor.h"
#include <string.h>

/* Each kind is a row of fields in the order of the record; the two directions walk the same rows.
 */
enum field {
    F_END,
    F_TENANT,
    F_DEVICE,
    F_CLIENT,
    F_EXPIRY,
    F_NEXT,
    F_AT,
    F_FILTER,
    F_OPTIONS,
    F_IDENTIFIER,
    F_SEQUENCE,
    F_PACKET_ID,
    F_WILL,
};

static const uint8_t schema[GH_JOURNAL_KIND_COUNT][8] = {
    [GH_JOURNAL_SESSION] = {F_TENANT, F_DEVICE, F_CLIENT, F_EXPIRY, F_NEXT, F_AT, F_WILL},
    [GH_JOURNAL_DETACHED] = {F_AT},
    [GH_JOURNAL_FILTER] = {F_FILTER, F_OPTIONS, F_IDENTIFIER},
    [GH_JOURNAL_FILTER_GONE] = {F_FILTER},
    [GH_JOURNAL_DONE] = {F_SEQUENCE},
    [GH_JOURNAL_RECEIVED] = {F_SEQUENCE},
    [GH_JOURNAL_TAKEN] = {F_PACKET_ID},
    [GH_JOURNAL_RELEASED] = {F_PACKET_ID},
    [GH_JOURNAL_RETAINED_GONE] = {F_TENANT, F_FILTER},
};

enum {
    WILL_QOS = 0x03,
    WILL_RETAIN = 0x04,
    WILL_EXPIRES = 0x08,
    WILL_THERE = 0x80,
    WILL_FLAGS = WILL_QOS | WILL_RETAIN | WILL_EXPIRES | WILL_THERE,
};

static bool write_will(struct gh_buffer *out, const struct gh_journal_change *change)
{
    const struct gh_journal_will *will = &change->will;
    if (!change->has_will)
        return gh_buffer_u8(out, 0);
    gh_buffer_u8(out, (uint8_t)(WILL_THERE | will->qos | (will->retain ? WILL_RETAIN : 0) |
                                (will->has_expiry ? WILL_EXPIRES : 0)));
    gh_buffer_u32(out, will->delay_s);
    gh_buffer_u32(out, will->expiry_s);
    gh_buffer_put16(out, will->topic);
    gh_buffer_put32(out, will->properties);
    return gh_buffer_put32(out, will->payload);
}

static bool read_will(struct gh_cursor *at, struct gh_journal_change *change)
{
    struct gh_journal_will *will = &change->will;
    uint8_t flags;
    if (!gh_cursor_u8(at, &flags) || (flags & ~WILL_FLAGS) != 0)
        return false;
    change->has_will = (flags & WILL_THERE) != 0;
    if (!change->has_will)
        return flags == 0;
    will->qos = flags & WILL_QOS;
    will->retain = (flags & WILL_RETAIN) != 0;
    will->has_expiry = (flags & WILL_EXPIRES) != 0;
    return will->qos <= 2 && gh_cursor_u32(at, &will->delay_s) &&
           gh_cursor_u32(at, &will->expiry_s) && gh_cursor_take16(at, &will->topic) &&
           gh_cursor_take32(at, &will->properties) && gh_cursor_take32(at, &will->payload);
}

static bool write_field(struct gh_buffer *out, enum field field,
                        const struct gh_journal_change *change)
{
    switch (field) {
    case F_TENANT:
        return gh_buffer_u64(out, (uint64_t)change->tenant);
    case F_DEVICE:
        return gh_buffer_u64(out, change->device);
    case F_CLIENT:
        return gh_buffer_put16(out, change->client_id);
    case F_EXPIRY:
        return gh_buffer_u32(out, change->expiry_s);
    case F_NEXT:
        return gh_buffer_u64(out, change->sequence_next);
    case F_AT:
        return gh_buffer_u64(out, (uint64_t)change->at_ms);
    case F_FILTER:
        return gh_buffer_put16(out, change->filter);
    case F_OPTIONS:
        return gh_buffer_u8(out, change->options);
    case F_IDENTIFIER:
        return gh_buffer_u32(out, change->identifier);
    case F_SEQUENCE:
        return gh_buffer_u64(out, change->sequence);
    case F_PACKET_ID:
        return gh_buffer_u16(out, change->packet_id);
    case F_WILL:
        return write_will(out, change);
    case F_END:
        break;
    }
    return true;
}

static bool read_signed(struct gh_cursor *at, int64_t *out)
{
    uint64_t value;
    if (!gh_cursor_u64(at, &value) || value > INT64_MAX)
        return false;
    *out = (int64_t)value;
    return true;
}

static bool read_field(struct gh_cursor *at, enum field field, struct gh_journal_change *out)
{
    switch (field) {
    case F_TENANT:
        return read_signed(at, &out->tenant);
    case F_DEVICE:
        return gh_cursor_u64(at, &out->device);
    case F_CLIENT:
        return gh_cursor_take16(at, &out->client_id);
    case F_EXPIRY:
        return gh_cursor_u32(at, &out->expiry_s);
    case F_NEXT:
        return gh_cursor_u64(at, &out->sequence_next);
    case F_AT:
        return read_signed(at, &out->at_ms);
    case F_FILTER:
        return gh_cursor_take16(at, &out->filter);
    case F_OPTIONS:
        return gh_cursor_u8(at, &out->options);
    case F_IDENTIFIER:
        return gh_cursor_u32(at, &out->identifier);
    case F_SEQUENCE:
        return gh_cursor_u64(at, &out->sequence) && out->sequence != 0;
    case F_PACKET_ID:
        return gh_cursor_u16(at, &out->packet_id);
    case F_WILL:
        return read_will(at, out);
    case F_END:
        break;
    }
    return true;
}

bool gh_journal_write(struct gh_buffer *out, const struct gh_journal_change *change)
{
    gh_buffer_u8(out, (uint8_t)change->kind);
    if (change->kind != GH_JOURNAL_RETAINED_GONE)
        gh_buffer_u64(out, change->session);
    for (const uint8_t *field = schema[change->kind]; *field != F_END; field++)
        write_field(out, (enum field) * field, change);
    return !out->overflow;
}

enum gh_journal_read gh_journal_next(struct gh_slice *at, struct gh_journal_change *out)
{
    struct gh_cursor cursor = gh_cursor(*at);
    uint8_t kind;

    memset(out, 0, sizeof *out);
    if (!gh_cursor_u8(&cursor, &kind))
        return GH_JOURNAL_END;
    if (kind == 0 || kind >= GH_JOURNAL_KIND_COUNT)
        return GH_JOURNAL_MALFORMED;
    out->kind = (enum gh_journal_kind)kind;
    if (kind != GH_JOURNAL_RETAINED_GONE && !gh_cursor_u64(&cursor, &out->session))
        return GH_JOURNAL_MALFORMED;
    for (const uint8_t *field = schema[kind]; *field != F_END; field++)
        if (!read_field(&cursor, (enum field) * field, out))
            return GH_JOURNAL_MALFORMED;
    *at = cursor.rest;
    return GH_JOURNAL_CHANGE;
}
