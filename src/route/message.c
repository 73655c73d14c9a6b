#include "route/message.h"
#include "base/buffer.h"
#include "base/cursor.h"
#include "base/pool.h"
#include <assert.h>
#include <limits.h>
#include <string.h>

enum {
    VERSION = 1,
    FLAG_QOS = 0x03,
    FLAG_RETAINED = 0x04,
    HEAD_BYTES = 1 + 1 + 4 * 8 + 2, /* up to the packet id */
    TARGET_BYTES = 8 + 8 + 1,
};

static size_t record_bytes(const struct gh_route_draft *draft)
{
    return HEAD_BYTES + 2 + draft->topic.size + 4 + draft->properties.size + 4 +
           draft->payload.size + 4 + draft->targets_max * TARGET_BYTES;
}

static struct gh_slice put_field(struct gh_buffer *out, struct gh_slice field)
{
    bool fits = gh_buffer_put32(out, field);
    assert(fits);
    return gh_slice(out->data + out->size - field.size, field.size);
}

static void put_head(struct gh_buffer *out, const struct gh_route_draft *draft)
{
    gh_buffer_u8(out, VERSION);
    gh_buffer_u8(out, (uint8_t)(draft->qos | (draft->retained ? FLAG_RETAINED : 0)));
    gh_buffer_u64(out, (uint64_t)draft->tenant);
    gh_buffer_u64(out, (uint64_t)draft->published_at_ms);
    gh_buffer_u64(out, (uint64_t)draft->expires_at_ms);
    gh_buffer_u64(out, draft->publisher);
    gh_buffer_u16(out, draft->packet_id);
}

static void write_record(struct gh_route_message *message, const struct gh_route_draft *draft)
{
    struct gh_buffer out = gh_buffer_fixed(message->record, message->capacity);
    put_head(&out, draft);
    gh_buffer_put16(&out, draft->topic);
    message->topic = gh_slice(out.data + out.size - draft->topic.size, draft->topic.size);
    message->properties = put_field(&out, draft->properties);
    message->payload = put_field(&out, draft->payload);
    gh_buffer_u32(&out, 0);
    assert(!out.overflow);
    message->size = out.size;
    message->targets = gh_slice(out.data + out.size, 0);
}

static struct gh_slice copy_field(uint8_t **at, struct gh_slice field)
{
    struct gh_slice copy = gh_slice(*at, field.size);
    if (field.size > 0)
        memcpy(*at, field.data, field.size);
    *at += field.size;
    return copy;
}

static void copy_fields(struct gh_route_message *message, const struct gh_route_draft *draft)
{
    uint8_t *at = message->record;
    message->topic = copy_field(&at, draft->topic);
    message->properties = copy_field(&at, draft->properties);
    message->payload = copy_field(&at, draft->payload);
}

struct gh_route_message *gh_route_message_new(const struct gh_route_draft *draft)
{
    size_t capacity = draft->recorded
                          ? record_bytes(draft)
                          : draft->topic.size + draft->properties.size + draft->payload.size;
    struct gh_route_message *message = gh_pool_take(sizeof *message + capacity);
    if (message == NULL)
        return NULL;
    assert(draft->qos <= 2 && draft->topic.size <= UINT16_MAX);
    assert(draft->recorded || draft->targets_max == 0);
    *message = (struct gh_route_message){.qos = draft->qos,
                                         .retained = draft->retained,
                                         .tenant = draft->tenant,
                                         .published_at_ms = draft->published_at_ms,
                                         .expires_at_ms = draft->expires_at_ms,
                                         .publisher = draft->publisher,
                                         .packet_id = draft->packet_id,
                                         .capacity = capacity,
                                         .record = (uint8_t *)(message + 1)};
    assert(draft->shares < UINT_MAX);
    atomic_init(&message->refs, 1 + (unsigned)draft->shares);
    if (draft->recorded)
        write_record(message, draft);
    else
        copy_fields(message, draft);
    return message;
}

void gh_route_message_add(struct gh_route_message *message, const struct gh_route_target *target)
{
    struct gh_buffer out =
        gh_buffer_fixed(message->record + message->size, message->capacity - message->size);
    gh_buffer_u64(&out, target->session);
    gh_buffer_u64(&out, target->sequence);
    gh_buffer_u8(&out, target->flags);
    assert(!out.overflow);
    message->size += out.size;
    message->targets.size += out.size;
    struct gh_buffer count = gh_buffer_fixed((uint8_t *)(uintptr_t)message->targets.data - 4, 4);
    gh_buffer_u32(&count, (uint32_t)gh_route_targets_count(message));
}

void gh_route_message_no_longer_retained(struct gh_route_message *message)
{
    message->retained = false;
    if (message->size > 0)
        message->record[1] = (uint8_t)(message->record[1] & ~FLAG_RETAINED);
}

size_t gh_route_targets_count(const struct gh_route_message *message)
{
    return message->targets.size / TARGET_BYTES;
}

struct gh_route_message *gh_route_message_ref(struct gh_route_message *message)
{
    atomic_fetch_add_explicit(&message->refs, 1, memory_order_relaxed);
    return message;
}

void gh_route_message_unref(struct gh_route_message *message)
{
    if (message != NULL)
        gh_route_message_unref_many(message, 1);
}

void gh_route_message_unref_many(struct gh_route_message *message, size_t count)
{
    unsigned given = (unsigned)count;
    assert(count >= 1);
    if (atomic_fetch_sub_explicit(&message->refs, given, memory_order_acq_rel) == given)
        gh_pool_give(message, sizeof *message + message->capacity);
}

struct gh_slice gh_route_message_record(const struct gh_route_message *message)
{
    assert(message->size > 0);
    return gh_slice(message->record, message->size);
}

static bool read_head(struct gh_cursor *at, struct gh_route_message *out)
{
    uint8_t version, flags;
    uint64_t tenant, published, expires;
    if (!gh_cursor_u8(at, &version) || version != VERSION || !gh_cursor_u8(at, &flags) ||
        (flags & ~(FLAG_QOS | FLAG_RETAINED)) != 0 || (flags & FLAG_QOS) > 2 ||
        !gh_cursor_u64(at, &tenant) || !gh_cursor_u64(at, &published) ||
        !gh_cursor_u64(at, &expires) || published > INT64_MAX || expires > INT64_MAX ||
        !gh_cursor_u64(at, &out->publisher) || !gh_cursor_u16(at, &out->packet_id))
        return false;
    out->qos = flags & FLAG_QOS;
    out->retained = (flags & FLAG_RETAINED) != 0;
    out->tenant = (int64_t)tenant;
    out->published_at_ms = (int64_t)published;
    out->expires_at_ms = (int64_t)expires;
    return true;
}

bool gh_route_message_read(struct gh_slice record, struct gh_route_message *out)
{
    struct gh_cursor at = gh_cursor(record);
    struct gh_route_target target;
    uint32_t count;

    memset(out, 0, sizeof *out);
    if (!read_head(&at, out) || !gh_cursor_take16(&at, &out->topic) ||
        !gh_cursor_take32(&at, &out->properties) || !gh_cursor_take32(&at, &out->payload) ||
        !gh_cursor_u32(&at, &count) || gh_cursor_left(&at) != (size_t)count * TARGET_BYTES)
        return false;
    out->targets = at.rest;
    for (struct gh_slice rest = out->targets; gh_route_target_next(&rest, &target);)
        if ((target.flags & GH_TARGET_QOS) == 3 || target.sequence == 0)
            return false;
    out->record = (uint8_t *)(uintptr_t)record.data;
    out->size = out->capacity = record.size;
    return true;
}

struct gh_route_message *gh_route_message_copy(const struct gh_route_message *read)
{
    return gh_route_message_new(&(struct gh_route_draft){.tenant = read->tenant,
                                                         .topic = read->topic,
                                                         .properties = read->properties,
                                                         .payload = read->payload,
                                                         .qos = read->qos,
                                                         .retained = read->retained,
                                                         .published_at_ms = read->published_at_ms,
                                                         .expires_at_ms = read->expires_at_ms,
                                                         .publisher = read->publisher,
                                                         .packet_id = read->packet_id});
}

bool gh_route_target_next(struct gh_slice *at, struct gh_route_target *out)
{
    struct gh_cursor cursor = gh_cursor(*at);
    if (!gh_cursor_u64(&cursor, &out->session) || !gh_cursor_u64(&cursor, &out->sequence) ||
        !gh_cursor_u8(&cursor, &out->flags))
        return false;
    *at = cursor.rest;
    return true;
}
