#include "pubsub/journal.h"
#include "base/hash.h"
#include <assert.h>

enum { ACK_FORMAT = 1, STATE_FORMAT, SEEK_FORMAT, CRC_BYTES = 4 };

static const struct gh_slice magic = GH_SLICE_INIT("GHPUBSUB");

static void put_varint(struct gh_buffer *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        gh_buffer_u8(out, (uint8_t)(0x80 | (value & 0x7f)));
    gh_buffer_u8(out, (uint8_t)value);
}

static bool take_varint(struct gh_cursor *at, uint64_t *value)
{
    uint8_t byte;
    *value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (!gh_cursor_u8(at, &byte))
            return false;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            return true;
    }
    return false;
}

bool gh_journal_ack_write(uint32_t subscription, const uint64_t *offsets, size_t count,
                          struct gh_buffer *out)
{
    uint64_t last = 0;
    gh_buffer_u8(out, ACK_FORMAT);
    gh_buffer_u32(out, subscription);
    gh_buffer_u32(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        assert(offsets[i] > last);
        put_varint(out, offsets[i] - last);
        last = offsets[i];
    }
    return !out->overflow;
}

bool gh_journal_ack_read(struct gh_slice bytes, struct gh_journal_ack *out)
{
    uint8_t format;
    *out = (struct gh_journal_ack){.at = gh_cursor(bytes)};
    return gh_cursor_u8(&out->at, &format) && format == ACK_FORMAT &&
           gh_cursor_u32(&out->at, &out->subscription) && gh_cursor_u32(&out->at, &out->left);
}

bool gh_journal_ack_next(struct gh_journal_ack *ack, uint64_t *offset)
{
    uint64_t step;
    if (ack->left == 0 || !take_varint(&ack->at, &step) || step > UINT64_MAX - ack->last)
        return false;
    ack->left--;
    *offset = ack->last += step;
    return true;
}

void gh_journal_state_begin(struct gh_buffer *out)
{
    gh_buffer_u8(out, STATE_FORMAT);
}

bool gh_journal_state_open(struct gh_slice bytes, struct gh_cursor *at)
{
    uint8_t format = 0;
    *at = gh_cursor(bytes);
    return gh_cursor_u8(at, &format) && format == STATE_FORMAT;
}

bool gh_journal_seek_write(const struct gh_journal_seek *seek, struct gh_buffer *out)
{
    gh_buffer_u8(out, SEEK_FORMAT);
    gh_buffer_u32(out, seek->subscription);
    gh_buffer_u64(out, seek->from);
    return gh_buffer_u64(out, seek->again_from);
}

bool gh_journal_seek_read(struct gh_slice bytes, struct gh_journal_seek *out)
{
    struct gh_cursor at = gh_cursor(bytes);
    uint8_t format;
    return gh_cursor_u8(&at, &format) && format == SEEK_FORMAT &&
           gh_cursor_u32(&at, &out->subscription) && gh_cursor_u64(&at, &out->from) &&
           gh_cursor_u64(&at, &out->again_from) && gh_cursor_left(&at) == 0;
}

void gh_checkpoint_begin(struct gh_buffer *out, const struct gh_checkpoint *checkpoint)
{
    gh_buffer_put(out, magic);
    gh_buffer_u32(out, GH_CHECKPOINT_FORMAT);
    gh_buffer_put(out, gh_slice(checkpoint->ack_key, GH_JOURNAL_KEY_BYTES));
    gh_buffer_u64(out, checkpoint->replay_from);
    gh_buffer_u32(out, checkpoint->count);
}

void gh_checkpoint_subscription(struct gh_buffer *out,
                                const struct gh_checkpoint_subscription *head)
{
    gh_buffer_u32(out, head->number);
    gh_buffer_u32(out, head->topic);
    gh_buffer_u64(out, head->read_to);
    gh_buffer_u64(out, head->active_at_ms);
}

void gh_checkpoint_entry(struct gh_buffer *out, const struct gh_checkpoint_entry *entry)
{
    gh_buffer_u64(out, entry->offset);
    gh_buffer_u32(out, entry->position);
    gh_buffer_u32(out, entry->attempts);
    gh_buffer_u32(out, entry->failures);
    gh_buffer_u64(out, entry->key);
}

bool gh_checkpoint_end(struct gh_buffer *out)
{
    return gh_buffer_u32(out, gh_hash_crc32c(0, gh_buffer_slice(out)));
}

bool gh_checkpoint_open(struct gh_slice bytes, struct gh_cursor *at, struct gh_checkpoint *out)
{
    struct gh_slice first, key;
    uint32_t crc;
    if (bytes.size < CRC_BYTES)
        return false;
    struct gh_slice covered = gh_slice_sub(bytes, 0, bytes.size - CRC_BYTES);
    struct gh_cursor tail = gh_cursor(gh_slice_sub(bytes, covered.size, CRC_BYTES));
    if (!gh_cursor_u32(&tail, &crc) || crc != gh_hash_crc32c(0, covered))
        return false;
    *at = gh_cursor(covered);
    if (!gh_cursor_take(at, magic.size, &first) || !gh_slice_equal(first, magic) ||
        !gh_cursor_u32(at, &out->format) || out->format < 1 || out->format > GH_CHECKPOINT_FORMAT ||
        !gh_cursor_take(at, GH_JOURNAL_KEY_BYTES, &key) || !gh_cursor_u64(at, &out->replay_from) ||
        !gh_cursor_u32(at, &out->count))
        return false;
    for (size_t i = 0; i < key.size; i++)
        out->ack_key[i] = key.data[i];
    return true;
}

bool gh_checkpoint_subscription_read(struct gh_cursor *at, uint32_t format,
                                     struct gh_checkpoint_subscription *out)
{
    out->active_at_ms = 0;
    return gh_cursor_u32(at, &out->number) && gh_cursor_u32(at, &out->topic) &&
           gh_cursor_u64(at, &out->read_to) &&
           (format < 2 || gh_cursor_u64(at, &out->active_at_ms));
}

bool gh_checkpoint_entry_read(struct gh_cursor *at, uint32_t format,
                              struct gh_checkpoint_entry *out)
{
    out->failures = 0;
    out->key = 0;
    return gh_cursor_u64(at, &out->offset) && gh_cursor_u32(at, &out->position) &&
           gh_cursor_u32(at, &out->attempts) &&
           (format < 2 || (gh_cursor_u32(at, &out->failures) && gh_cursor_u64(at, &out->key)));
}
