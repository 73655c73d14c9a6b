#include "pubsub/message.h"
#include "base/cursor.h"
#include "wire/utf8.h"
#include <assert.h>

enum { FORMAT = 1 };

struct gh_slice gh_message_attribute(const struct gh_message *message, struct gh_slice key)
{
    for (size_t i = 0; i < message->attributes_count; i++)
        if (gh_slice_equal(message->attributes[i].key, key))
            return message->attributes[i].value;
    return gh_slice(NULL, 0);
}

static enum gh_error_code attribute_check(const struct gh_message *message, size_t index,
                                          struct gh_error *error)
{
    const struct gh_message_attribute *attribute = &message->attributes[index];
    struct gh_slice key = attribute->key;
    if (key.size == 0 || key.size > GH_MESSAGE_KEY_BYTES_MAX || !gh_utf8_valid(key) ||
        gh_slice_starts(key, GH_SLICE("goog")))
        return gh_error_set(error, GH_ERROR_INVALID,
                            "attribute %zu: a key has 1 to %d bytes of UTF-8 and does not begin "
                            "with \"goog\"",
                            index + 1, GH_MESSAGE_KEY_BYTES_MAX);
    if (attribute->value.size > GH_MESSAGE_VALUE_BYTES_MAX || !gh_utf8_valid(attribute->value))
        return gh_error_set(error, GH_ERROR_INVALID,
                            "attribute %.*s: a value has at most %d bytes of UTF-8", GH_PRINT(key),
                            GH_MESSAGE_VALUE_BYTES_MAX);
    for (size_t i = 0; i < index; i++)
        if (gh_slice_equal(message->attributes[i].key, key))
            return gh_error_set(error, GH_ERROR_INVALID, "attribute %.*s is there twice",
                                GH_PRINT(key));
    return GH_OK;
}

enum gh_error_code gh_message_check(const struct gh_message *message, struct gh_error *error)
{
    size_t bytes = message->data.size + message->ordering_key.size;
    if (message->data.size == 0 && message->attributes_count == 0)
        return gh_error_set(error, GH_ERROR_INVALID,
                            "a message has data or at least one attribute");
    if (message->attributes_count > GH_MESSAGE_ATTRIBUTES_MAX)
        return gh_error_set(error, GH_ERROR_INVALID, "a message has at most %d attributes",
                            GH_MESSAGE_ATTRIBUTES_MAX);
    for (size_t i = 0; i < message->attributes_count; i++) {
        enum gh_error_code code = attribute_check(message, i, error);
        if (code != GH_OK)
            return code;
        bytes += message->attributes[i].key.size + message->attributes[i].value.size;
    }
    if (message->ordering_key.size > GH_MESSAGE_ORDERING_KEY_BYTES_MAX ||
        !gh_utf8_valid(message->ordering_key))
        return gh_error_set(error, GH_ERROR_INVALID,
                            "an ordering key has at most %d bytes of UTF-8",
                            GH_MESSAGE_ORDERING_KEY_BYTES_MAX);
    if (message->channel.size > GH_MESSAGE_CHANNEL_BYTES_MAX)
        return gh_error_set(error, GH_ERROR_INVALID, "a channel has at most %d bytes",
                            GH_MESSAGE_CHANNEL_BYTES_MAX);
    if (bytes > GH_MESSAGE_BYTES_MAX)
        return gh_error_set(error, GH_ERROR_INVALID, "a message has at most %d bytes",
                            GH_MESSAGE_BYTES_MAX);
    return GH_OK;
}

size_t gh_message_encoded_bytes(const struct gh_message *message)
{
    size_t bytes = 1 + 8 + 2 + message->channel.size + 2 + message->ordering_key.size + 2;
    for (size_t i = 0; i < message->attributes_count; i++)
        bytes += 4 + message->attributes[i].key.size + message->attributes[i].value.size;
    return bytes + message->data.size;
}

bool gh_message_encode(const struct gh_message *message, struct gh_buffer *out)
{
    gh_buffer_u8(out, FORMAT);
    gh_buffer_u64(out, message->device);
    gh_buffer_put16(out, message->channel);
    gh_buffer_put16(out, message->ordering_key);
    gh_buffer_u16(out, (uint16_t)message->attributes_count);
    for (size_t i = 0; i < message->attributes_count; i++) {
        gh_buffer_put16(out, message->attributes[i].key);
        gh_buffer_put16(out, message->attributes[i].value);
    }
    return gh_buffer_put(out, message->data);
}

bool gh_message_decode(struct gh_slice bytes, struct gh_message_attribute *attributes,
                       struct gh_message *out)
{
    struct gh_cursor at = gh_cursor(bytes);
    uint8_t format;
    uint16_t count;
    *out = (struct gh_message){.attributes = attributes};
    if (!gh_cursor_u8(&at, &format) || format != FORMAT || !gh_cursor_u64(&at, &out->device) ||
        !gh_cursor_take16(&at, &out->channel) || !gh_cursor_take16(&at, &out->ordering_key) ||
        !gh_cursor_u16(&at, &count) || count > GH_MESSAGE_ATTRIBUTES_MAX)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!gh_cursor_take16(&at, &attributes[i].key) ||
            !gh_cursor_take16(&at, &attributes[i].value))
            return false;
    out->attributes_count = count;
    out->data = at.rest;
    return true;
}
