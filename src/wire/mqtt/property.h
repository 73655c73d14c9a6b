/* MQTT properties (MQTT 5.0 §2.2.2): the named values that a packet of MQTT 5 carries beside its
 * fields. A packet read by wire/mqtt/packet.h hands its properties on as one block of bytes,
 * already validated; this walks such blocks, finds in them and builds new ones. A block is the
 * properties without the length before them; the writers of packets put the length.
 *
 * Memory: values borrow from the block. Threads: any. */
#ifndef GH_WIRE_MQTT_PROPERTY_H
#define GH_WIRE_MQTT_PROPERTY_H

#include "base/buffer.h"

/* The identifiers on the wire (table 2-4), each with the kind of its value. */
enum gh_mqtt_property {
    GH_MQTT_PROPERTY_PAYLOAD_FORMAT = 0x01,        /* number, 1: UTF-8 */
    GH_MQTT_PROPERTY_MESSAGE_EXPIRY = 0x02,        /* number, seconds */
    GH_MQTT_PROPERTY_CONTENT_TYPE = 0x03,          /* text */
    GH_MQTT_PROPERTY_RESPONSE_TOPIC = 0x08,        /* text, a valid topic name */
    GH_MQTT_PROPERTY_CORRELATION_DATA = 0x09,      /* any bytes */
    GH_MQTT_PROPERTY_SUBSCRIPTION_ID = 0x0B,       /* number, 1 to 268435455 */
    GH_MQTT_PROPERTY_SESSION_EXPIRY = 0x11,        /* number, seconds; 0xffffffff: never */
    GH_MQTT_PROPERTY_ASSIGNED_CLIENT_ID = 0x12,    /* text */
    GH_MQTT_PROPERTY_SERVER_KEEP_ALIVE = 0x13,     /* number, seconds */
    GH_MQTT_PROPERTY_AUTH_METHOD = 0x15,           /* text */
    GH_MQTT_PROPERTY_AUTH_DATA = 0x16,             /* any bytes */
    GH_MQTT_PROPERTY_REQUEST_PROBLEM = 0x17,       /* number, 0 or 1 */
    GH_MQTT_PROPERTY_WILL_DELAY = 0x18,            /* number, seconds */
    GH_MQTT_PROPERTY_REQUEST_RESPONSE = 0x19,      /* number, 0 or 1 */
    GH_MQTT_PROPERTY_RESPONSE_INFORMATION = 0x1A,  /* text */
    GH_MQTT_PROPERTY_SERVER_REFERENCE = 0x1C,      /* text */
    GH_MQTT_PROPERTY_REASON_STRING = 0x1F,         /* text */
    GH_MQTT_PROPERTY_RECEIVE_MAXIMUM = 0x21,       /* number, 1 to 65535 */
    GH_MQTT_PROPERTY_TOPIC_ALIAS_MAXIMUM = 0x22,   /* number, 0 to 65535 */
    GH_MQTT_PROPERTY_TOPIC_ALIAS = 0x23,           /* number, 1 to 65535 */
    GH_MQTT_PROPERTY_MAXIMUM_QOS = 0x24,           /* number, 0 or 1 */
    GH_MQTT_PROPERTY_RETAIN_AVAILABLE = 0x25,      /* number, 0 or 1 */
    GH_MQTT_PROPERTY_USER = 0x26,                  /* a pair of texts */
    GH_MQTT_PROPERTY_MAXIMUM_PACKET_SIZE = 0x27,   /* number, 1 and more */
    GH_MQTT_PROPERTY_WILDCARD_AVAILABLE = 0x28,    /* number, 0 or 1 */
    GH_MQTT_PROPERTY_IDENTIFIERS_AVAILABLE = 0x29, /* number, 0 or 1 */
    GH_MQTT_PROPERTY_SHARED_AVAILABLE = 0x2A,      /* number, 0 or 1 */
};

/* What an identifier does not use is 0 or empty. */
struct gh_mqtt_property_value {
    enum gh_mqtt_property id;
    uint32_t number;
    struct gh_slice text;  /* the text, the bytes, or a user property's name */
    struct gh_slice value; /* a user property's value */
};

/* The next property of a validated block; `*at` begins as the block and moves on. False at the
 * end. */
bool gh_mqtt_property_next(struct gh_slice *at, struct gh_mqtt_property_value *out);
/* The first with this identifier; false when the block has none. */
bool gh_mqtt_property_find(struct gh_slice properties, enum gh_mqtt_property id,
                           struct gh_mqtt_property_value *out);

/* Writers: append one property as a whole or not at all; then they return false and mark the
 * overflow (a text of more than 65535 bytes never fits). The kind must be the identifier's and a
 * number within its range; asserted. That a text is UTF-8 is the caller's to know. */
bool gh_mqtt_property_put_number(struct gh_buffer *out, enum gh_mqtt_property id, uint32_t number);
bool gh_mqtt_property_put_text(struct gh_buffer *out, enum gh_mqtt_property id,
                               struct gh_slice text);
/* A user property. */
bool gh_mqtt_property_put_pair(struct gh_buffer *out, struct gh_slice name, struct gh_slice value);

/* For `without` of gh_mqtt_property_copy. */
#define GH_MQTT_PROPERTY_BIT(id) (UINT64_C(1) << (id))
/* Appends the properties of a validated block in their order, but for those whose bit is in
 * `without`: a message that is passed on keeps all but its alias, its expiry and its subscription
 * identifiers. False with the overflow marked when they do not all fit; some may have been
 * written. */
bool gh_mqtt_property_copy(struct gh_buffer *out, struct gh_slice properties, uint64_t without);
#endif
