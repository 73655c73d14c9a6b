/* A message as topics carry it, and its bytes in the log. The data are the device's or publisher's,
 * unchanged; the attributes are what a dialect sets beside them. `device` and `channel` say which
 * device sent an event on which channel (telemetry is kept by them); both are empty for everything
 * else, state notifications included.
 *
 * Memory: a decoded message borrows from the bytes it was read from. Threads: any. */
#ifndef GH_PUBSUB_MESSAGE_H
#define GH_PUBSUB_MESSAGE_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/slice.h"

enum {
    GH_MESSAGE_BYTES_MAX = 10 * 1000 * 1000, /* data and attributes together (Pub/Sub: 10 MB) */
    GH_MESSAGES_PER_PUBLISH_MAX = 1000,
    GH_MESSAGE_ATTRIBUTES_MAX = 100,
    GH_MESSAGE_KEY_BYTES_MAX = 256,
    GH_MESSAGE_VALUE_BYTES_MAX = 1024,
    GH_MESSAGE_ORDERING_KEY_BYTES_MAX = 1024,
    GH_MESSAGE_CHANNEL_BYTES_MAX = 1024,
};

struct gh_message_attribute {
    struct gh_slice key, value;
};

struct gh_message {
    struct gh_slice data;
    const struct gh_message_attribute *attributes;
    size_t attributes_count;
    struct gh_slice ordering_key;
    uint64_t device; /* 0: not a device's event */
    struct gh_slice channel;
};

/* Empty when the key is not there. */
struct gh_slice gh_message_attribute(const struct gh_message *message, struct gh_slice key);

/* The limits above; keys not empty, not twice and not beginning with "goog"; text is UTF-8 where
 * text is asked for; data or an attribute must be present. */
GH_MUST_USE enum gh_error_code gh_message_check(const struct gh_message *message,
                                                struct gh_error *error);

size_t gh_message_encoded_bytes(const struct gh_message *message);
/* Appends; false when the buffer is too small. */
GH_MUST_USE bool gh_message_encode(const struct gh_message *message, struct gh_buffer *out);
/* `attributes` has room for GH_MESSAGE_ATTRIBUTES_MAX and is what out->attributes then points to.
 * False: not a message of this format. */
GH_MUST_USE bool gh_message_decode(struct gh_slice bytes, struct gh_message_attribute *attributes,
                                   struct gh_message *out);
#endif
