/* MQTT packets: reads and writes the variable header and payload of every MQTT 3.1.1 control
 * packet, as server and as client. One packet, no memory of others: what may follow what is the
 * session's business, what a topic means the dialect's. MQTT 5 becomes a second value of
 * gh_mqtt_version.
 *
 * Memory: a packet read borrows from its frame. A packet written is appended to the caller's buffer
 * as a whole or not at all; then the writer returns false and, when it did not fit, marks the
 * overflow. Threads: any. */
#ifndef GH_WIRE_MQTT_PACKET_H
#define GH_WIRE_MQTT_PACKET_H

#include "base/buffer.h"
#include "wire/mqtt/frame.h"

enum gh_mqtt_version {
    GH_MQTT_V311 = 4, /* the protocol level on the wire */
};

/* Who reads: a server takes what clients send and the other way round. */
enum gh_mqtt_reader { GH_MQTT_SERVER, GH_MQTT_CLIENT };

/* CONNACK return codes (§3.2.2.3). */
enum gh_mqtt_connack_code {
    GH_MQTT_ACCEPTED = 0,
    GH_MQTT_REFUSED_LEVEL = 1,
    GH_MQTT_REFUSED_CLIENT_ID = 2,
    GH_MQTT_REFUSED_UNAVAILABLE = 3,
    GH_MQTT_REFUSED_CREDENTIALS = 4,
    GH_MQTT_REFUSED_UNAUTHORISED = 5,
};
enum { GH_MQTT_SUBACK_REFUSED = 0x80 };

struct gh_mqtt_connect {
    uint8_t level;
    struct gh_slice protocol, client_id, user_name, password;
    bool has_user_name, has_password, clean;
    uint16_t keep_alive_s; /* 0: off */
    bool has_will;
    struct gh_slice will_topic, will_payload;
    uint8_t will_qos;
    bool will_retain;
};

struct gh_mqtt_connack {
    bool session_present;
    uint8_t code; /* enum gh_mqtt_connack_code */
};

struct gh_mqtt_publish {
    struct gh_slice topic, payload;
    uint8_t qos;
    bool dup, retain;
    uint16_t packet_id; /* 0 at QoS 0 */
};

/* SUBSCRIBE, UNSUBSCRIBE: `entries` is already checked; walk it with gh_mqtt_filter_next. */
struct gh_mqtt_filters {
    uint16_t packet_id;
    size_t count;
    struct gh_slice entries;
    bool with_qos;
};

struct gh_mqtt_suback {
    uint16_t packet_id;
    struct gh_slice codes; /* 0, 1, 2 or GH_MQTT_SUBACK_REFUSED, one for each filter */
};

struct gh_mqtt_packet {
    enum gh_mqtt_type type;
    union {
        struct gh_mqtt_connect connect;
        struct gh_mqtt_connack connack;
        struct gh_mqtt_publish publish;
        struct gh_mqtt_filters filters; /* SUBSCRIBE, UNSUBSCRIBE */
        struct gh_mqtt_suback suback;
        uint16_t packet_id; /* PUBACK, PUBREC, PUBREL, PUBCOMP, UNSUBACK */
    };
};

/* Why a packet is refused. Each has a text with the number of the normative statement. */
enum gh_mqtt_fault {
    GH_MQTT_FAULT_NONE = 0,
    GH_MQTT_FAULT_TYPE,      /* this packet does not go in this direction, or not in this version */
    GH_MQTT_FAULT_TRUNCATED, /* the body ends inside a field */
    GH_MQTT_FAULT_TRAILING,  /* the body goes on after the last field */
    GH_MQTT_FAULT_PROTOCOL,  /* another protocol or level: a server answers CONNACK 1; only `level`
                                and  `protocol` of the connect are set */
    GH_MQTT_FAULT_CONNECT_FLAGS, /* reserved bit, or will bits without a will, or will QoS 3 */
    GH_MQTT_FAULT_PASSWORD_ALONE,
    GH_MQTT_FAULT_CLIENT_ID, /* empty with clean session 0: a server answers CONNACK 2 */
    GH_MQTT_FAULT_UTF8,
    GH_MQTT_FAULT_TOPIC,     /* empty, with a wildcard, or too many levels */
    GH_MQTT_FAULT_FILTER,    /* the same of a filter, or a wildcard that is not a whole level */
    GH_MQTT_FAULT_PACKET_ID, /* 0 */
    GH_MQTT_FAULT_DUP,       /* DUP at QoS 0 */
    GH_MQTT_FAULT_NO_FILTER,
    GH_MQTT_FAULT_QOS,
    GH_MQTT_FAULT_CODE, /* a return code or acknowledge flag that does not exist */
};
const char *gh_mqtt_fault_text(enum gh_mqtt_fault fault);

/* Reads the body of a frame. `*out` is whole on NONE, and has what PROTOCOL names; otherwise it is
 * not to be used. */
GH_MUST_USE enum gh_mqtt_fault gh_mqtt_packet_read(const struct gh_mqtt_frame *frame,
                                                   enum gh_mqtt_version version,
                                                   enum gh_mqtt_reader reader,
                                                   struct gh_mqtt_packet *out);

/* The next filter of a packet that was read; `*at` begins as a copy of `packet.filters`. False at
 * the end.
 * `*qos` is 0 in UNSUBSCRIBE. */
bool gh_mqtt_filter_next(struct gh_mqtt_filters *at, struct gh_slice *filter, uint8_t *qos);

/* Writers. The caller keeps to the rules (a packet id that is not 0, a valid topic); asserted. A
 * field of more than 65535 bytes or a packet over GH_MQTT_BODY_BYTES_MAX is refused with the
 * overflow marked. */
bool gh_mqtt_write_connect(const struct gh_mqtt_connect *connect, struct gh_buffer *out);
bool gh_mqtt_write_connack(struct gh_mqtt_connack connack, struct gh_buffer *out);
bool gh_mqtt_write_publish(const struct gh_mqtt_publish *publish, struct gh_buffer *out);
/* PUBACK, PUBREC, PUBREL, PUBCOMP or UNSUBACK. */
bool gh_mqtt_write_ack(enum gh_mqtt_type type, uint16_t packet_id, struct gh_buffer *out);
/* `qos` is NULL for UNSUBSCRIBE. */
bool gh_mqtt_write_filters(uint16_t packet_id, const struct gh_slice filters[], const uint8_t qos[],
                           size_t count, struct gh_buffer *out);
bool gh_mqtt_write_suback(struct gh_mqtt_suback suback, struct gh_buffer *out);
/* PINGREQ, PINGRESP or DISCONNECT. */
bool gh_mqtt_write_empty(enum gh_mqtt_type type, struct gh_buffer *out);

/* Size on the wire of a PUBLISH, so that room can be checked before writing. */
size_t gh_mqtt_publish_size(const struct gh_mqtt_publish *publish);
#endif
