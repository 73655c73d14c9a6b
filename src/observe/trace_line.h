/* One line about one MQTT packet, as JSON: for the live trace of a device. Direction, type, packet
 * id, QoS, topic, filters, reason codes and sizes; payloads only when asked for, and cut. Secrets
 * never: of CONNECT's password only that there is one, of AUTH nothing but its reason. A packet
 * that cannot be read is told with the fault that it has.
 *
 * Memory: nothing is kept. Threads: any. */
#ifndef GH_OBSERVE_TRACE_LINE_H
#define GH_OBSERVE_TRACE_LINE_H

#include "wire/mqtt/packet.h"

enum {
    GH_TRACE_PAYLOAD_BYTES_MAX = 4096, /* of a payload that was asked for */
    GH_TRACE_LINE_BYTES_MAX = 512 * 1024,
};

struct gh_trace_packet {
    int64_t at_ms;
    bool inbound;                 /* from the device */
    enum gh_mqtt_version version; /* of the connection */
    struct gh_slice bytes;        /* the whole packet */
    struct gh_slice address;      /* of the connection: tells several of one device apart */
};

/* Appends one object without line ends. False, with `out` marked overflown, when it does not fit or
 * there is no memory. */
bool gh_trace_line(const struct gh_trace_packet *packet, bool with_payload, struct gh_buffer *out);
#endif
