/* MQTT framing: splits a byte stream into control packets (MQTT 3.1.1 §2.2, MQTT 5.0 §2.1).
 *
 * Knows the fixed header only; variable headers belong to wire/mqtt/packet.h. Holds no state and
 * does no I/O: the caller keeps the stream and drops `size` bytes after each complete frame.
 * Memory: `body` borrows from the input and is valid as long as the input is. Threads: any. */
#ifndef GH_WIRE_MQTT_FRAME_H
#define GH_WIRE_MQTT_FRAME_H

#include "base/slice.h"

enum gh_mqtt_type {
    GH_MQTT_CONNECT = 1,
    GH_MQTT_CONNACK,
    GH_MQTT_PUBLISH,
    GH_MQTT_PUBACK,
    GH_MQTT_PUBREC,
    GH_MQTT_PUBREL,
    GH_MQTT_PUBCOMP,
    GH_MQTT_SUBSCRIBE,
    GH_MQTT_SUBACK,
    GH_MQTT_UNSUBSCRIBE,
    GH_MQTT_UNSUBACK,
    GH_MQTT_PINGREQ,
    GH_MQTT_PINGRESP,
    GH_MQTT_DISCONNECT,
    GH_MQTT_AUTH,
};

enum gh_mqtt_frame_status {
    GH_MQTT_FRAME_OK,
    GH_MQTT_FRAME_MORE,      /* a valid start of a frame; nothing was consumed */
    GH_MQTT_FRAME_MALFORMED, /* close; MQTT 5 reason 0x81 */
    GH_MQTT_FRAME_TOO_LARGE, /* close; MQTT 5 reason 0x95 */
};

enum {
    GH_MQTT_HEADER_BYTES_MAX = 5,
    GH_MQTT_BODY_BYTES_MAX = 268435455, /* 3.1.1 §2.2.3 */
};

struct gh_mqtt_frame {
    enum gh_mqtt_type type;
    uint8_t flags;        /* the low four bits, already checked against the type */
    struct gh_slice body; /* variable header and payload */
    size_t size;          /* whole frame on the wire, fixed header included */
};

/* Reads the frame at the start of `in`. A frame of more than `size_max` bytes is refused once its
 * length is known, before its body has arrived. `*out` is written only on OK. */
GH_MUST_USE enum gh_mqtt_frame_status gh_mqtt_frame_read(struct gh_slice in, size_t size_max,
                                                         struct gh_mqtt_frame *out);

/* "PUBLISH"; "reserved" for what is no type. */
const char *gh_mqtt_type_name(enum gh_mqtt_type type);
#endif
