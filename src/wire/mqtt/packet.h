/* MQTT packets: reads and writes the variable header and payload of every control packet of MQTT
 * 3.1.1 and MQTT 5.0, as server and as client. One packet, no memory of others: what may follow
 * what, whether a topic alias is known and which features a server offers is the session's
 * business, what a topic means the dialect's. Paragraph numbers are of MQTT 5.0 unless they say
 * otherwise.
 *
 * Memory: a packet read borrows from its frame. A packet written is appended to the caller's buffer
 * as a whole or not at all; then the writer returns false and, when it did not fit, marks the
 * overflow. Threads: any. */
#ifndef GH_WIRE_MQTT_PACKET_H
#define GH_WIRE_MQTT_PACKET_H

#include "base/buffer.h"
#include "wire/mqtt/frame.h"
#include "wire/mqtt/reason.h"

/* The protocol level on the wire. */
enum gh_mqtt_version {
    GH_MQTT_V311 = 4,
    GH_MQTT_V5 = 5,
};

/* Who reads: a server takes what clients send and the other way round. */
enum gh_mqtt_reader { GH_MQTT_SERVER, GH_MQTT_CLIENT };

/* CONNACK return codes of 3.1.1 (3.1.1 §3.2.2.3). */
enum gh_mqtt_connack_code {
    GH_MQTT_ACCEPTED = 0,
    GH_MQTT_REFUSED_LEVEL = 1,
    GH_MQTT_REFUSED_CLIENT_ID = 2,
    GH_MQTT_REFUSED_UNAVAILABLE = 3,
    GH_MQTT_REFUSED_CREDENTIALS = 4,
    GH_MQTT_REFUSED_UNAUTHORISED = 5,
};
enum { GH_MQTT_SUBACK_REFUSED = 0x80 };

/* Every `properties` is a block as wire/mqtt/property.h walks it, valid as a whole when it was
 * read: only identifiers that may stand there, none twice but those that may, values in range. It
 * is empty in 3.1.1. Fields marked [p] are decoded out of the block for the reader's convenience,
 * with the standard's default where the block has none; writers write the block and ignore them. */

struct gh_mqtt_connect {
    enum gh_mqtt_version version;
    uint8_t level;            /* as on the wire; differs from `version` only at FAULT_PROTOCOL */
    struct gh_slice protocol; /* likewise; writers write "MQTT" and `version` */
    struct gh_slice client_id, user_name, password;
    bool has_user_name, has_password;
    bool clean;            /* clean session, in MQTT 5 clean start */
    uint16_t keep_alive_s; /* 0: off */

    bool has_will;
    struct gh_slice will_topic, will_payload;
    uint8_t will_qos;
    bool will_retain;
    struct gh_slice will_properties;
    uint32_t will_delay_s; /* [p] of the will's */

    struct gh_slice properties;
    uint32_t session_expiry_s; /* [p] 0: ends with the connection; UINT32_MAX: never */
    uint32_t packet_bytes_max; /* [p] largest packet the client takes; 0: any */
    uint16_t receive_max;      /* [p] 65535 */
    uint16_t topic_alias_max;  /* [p] 0 */
    bool request_problem;      /* [p] true: reason strings and user properties are welcome */
    bool request_response;     /* [p] false */
    bool has_auth;             /* [p] an authentication method is there */
    struct gh_slice auth_method, auth_data; /* [p] */
};

struct gh_mqtt_connack {
    bool session_present;
    uint8_t code; /* enum gh_mqtt_connack_code in 3.1.1, gh_mqtt_reason_code in MQTT 5 */
    struct gh_slice properties;
};

struct gh_mqtt_publish {
    struct gh_slice topic; /* may be empty in MQTT 5 when there is an alias */
    struct gh_slice payload;
    uint8_t qos;
    bool dup, retain;
    uint16_t packet_id; /* 0 at QoS 0 */

    uint16_t topic_alias; /* [p] 0: none */
    bool payload_is_text; /* [p] payload format 1; whether it truly is UTF-8 was not checked */
    bool has_expiry;      /* [p] */
    uint32_t expiry_s;    /* [p] */
    struct gh_slice properties;
};

/* PUBACK, PUBREC, PUBREL, PUBCOMP. */
struct gh_mqtt_ack {
    uint16_t packet_id;
    uint8_t reason; /* enum gh_mqtt_reason_code; 0 in 3.1.1 */
    struct gh_slice properties;
};

/* One entry of SUBSCRIBE or UNSUBSCRIBE. The latter, and in 3.1.1 both, leave what they do not have
 * at 0. */
struct gh_mqtt_filter {
    struct gh_slice filter; /* valid; wire/mqtt/topic.h splits shared ones */
    uint8_t qos;
    bool no_local, retain_as_published;
    uint8_t retain_handling; /* 0: send retained at subscribe; 1: only if new; 2: do not */
};

/* SUBSCRIBE, UNSUBSCRIBE: `entries` is already checked; walk it with gh_mqtt_filter_next. */
struct gh_mqtt_filters {
    uint16_t packet_id;
    size_t count;
    struct gh_slice entries;
    bool with_options;
    uint32_t identifier; /* [p] subscription identifier; 0: none */
    struct gh_slice properties;
};

/* SUBACK, UNSUBACK. */
struct gh_mqtt_suback {
    uint16_t packet_id;
    /* One for each filter: in 3.1.1 0, 1, 2 or GH_MQTT_SUBACK_REFUSED, and none at all in UNSUBACK;
     * in MQTT 5 enum gh_mqtt_reason_code. */
    struct gh_slice codes;
    struct gh_slice properties;
};

/* DISCONNECT, AUTH. */
struct gh_mqtt_reason {
    uint8_t reason; /* enum gh_mqtt_reason_code; 0 in 3.1.1 */
    struct gh_slice properties;
};

/* Only the member of `type` is set. */
struct gh_mqtt_packet {
    enum gh_mqtt_type type;
    union {
        struct gh_mqtt_connect connect;
        struct gh_mqtt_connack connack;
        struct gh_mqtt_publish publish;
        struct gh_mqtt_ack ack;         /* PUBACK, PUBREC, PUBREL, PUBCOMP */
        struct gh_mqtt_filters filters; /* SUBSCRIBE, UNSUBSCRIBE */
        struct gh_mqtt_suback suback;   /* SUBACK, UNSUBACK */
        struct gh_mqtt_reason reason;   /* DISCONNECT, AUTH */
    };
};

/* Why a packet is refused. */
enum gh_mqtt_fault {
    GH_MQTT_FAULT_NONE = 0,
    GH_MQTT_FAULT_TYPE,      /* this packet does not go in this direction, or not in this version */
    GH_MQTT_FAULT_TRUNCATED, /* the body ends inside a field */
    GH_MQTT_FAULT_TRAILING,  /* the body goes on after the last field */
    GH_MQTT_FAULT_INTEGER,   /* a variable byte integer in more bytes than it needs, or than four */
    GH_MQTT_FAULT_PROTOCOL,  /* another protocol or level: a server answers CONNACK 1; only `level`
                                and `protocol` of the connect are set */
    GH_MQTT_FAULT_CONNECT_FLAGS,  /* reserved bit, or will bits without a will, or will QoS 3 */
    GH_MQTT_FAULT_PASSWORD_ALONE, /* 3.1.1 only */
    GH_MQTT_FAULT_CLIENT_ID, /* 3.1.1: empty with clean session 0: a server answers CONNACK 2 */
    GH_MQTT_FAULT_UTF8,
    GH_MQTT_FAULT_TOPIC,     /* a name that is empty, with a wildcard, or too many levels */
    GH_MQTT_FAULT_NO_TOPIC,  /* MQTT 5: neither topic nor alias */
    GH_MQTT_FAULT_FILTER,    /* as TOPIC of a filter: a wildcard out of place, a wrong $share */
    GH_MQTT_FAULT_PACKET_ID, /* 0 */
    GH_MQTT_FAULT_DUP,       /* DUP at QoS 0 */
    GH_MQTT_FAULT_NO_FILTER,
    GH_MQTT_FAULT_QOS,
    GH_MQTT_FAULT_OPTIONS,         /* reserved bits of the subscription options */
    GH_MQTT_FAULT_RETAIN_HANDLING, /* 3 */
    GH_MQTT_FAULT_NO_LOCAL,        /* on a shared subscription */
    GH_MQTT_FAULT_CODE, /* a return or reason code or acknowledge flag that does not exist there */
    GH_MQTT_FAULT_PROPERTY,           /* an identifier that is not of this packet */
    GH_MQTT_FAULT_PROPERTY_DIRECTION, /* one that only the other side may send in this packet */
    GH_MQTT_FAULT_PROPERTY_TWICE,
    GH_MQTT_FAULT_PROPERTY_VALUE, /* a number out of its range */
    GH_MQTT_FAULT_TOPIC_ALIAS,    /* 0 */
    GH_MQTT_FAULT_AUTH_METHOD,    /* authentication data, or an AUTH packet, without a method */
    GH_MQTT_FAULT_COUNT,
};
/* A sentence with the numbers of the normative statements: of 3.1.1 before the stroke, of 5.0
 * behind it. */
const char *gh_mqtt_fault_text(enum gh_mqtt_fault fault);
/* "TRUNCATED", for counters and tests. */
const char *gh_mqtt_fault_name(enum gh_mqtt_fault fault);
/* What MQTT 5 answers it with in CONNACK or DISCONNECT: enum gh_mqtt_reason_code. */
uint8_t gh_mqtt_fault_reason(enum gh_mqtt_fault fault);

/* Reads the body of a frame. A CONNECT has its version in itself, whatever `version` says. `*out`
 * is whole on NONE, and has what PROTOCOL names; otherwise only its type is to be used. */
GH_MUST_USE enum gh_mqtt_fault gh_mqtt_packet_read(const struct gh_mqtt_frame *frame,
                                                   enum gh_mqtt_version version,
                                                   enum gh_mqtt_reader reader,
                                                   struct gh_mqtt_packet *out);

/* The next filter of a packet that was read; `*at` begins as a copy of `packet.filters`. False at
 * the end. */
bool gh_mqtt_filter_next(struct gh_mqtt_filters *at, struct gh_mqtt_filter *out);

/* Writers. The caller keeps to the rules (a packet id that is not 0, a valid topic, properties that
 * may stand there); asserted where it is cheap. For 3.1.1 properties, reasons and options that it
 * does not have are left out, so that one message goes to subscribers of both versions. In MQTT 5
 * the shortest form is written. A field of more than 65535 bytes or a packet over
 * GH_MQTT_BODY_BYTES_MAX is refused with the overflow marked. */
bool gh_mqtt_write_connect(const struct gh_mqtt_connect *connect, struct gh_buffer *out);
bool gh_mqtt_write_connack(enum gh_mqtt_version version, struct gh_mqtt_connack connack,
                           struct gh_buffer *out);
bool gh_mqtt_write_publish(enum gh_mqtt_version version, const struct gh_mqtt_publish *publish,
                           struct gh_buffer *out);
/* PUBACK, PUBREC, PUBREL or PUBCOMP. */
bool gh_mqtt_write_ack(enum gh_mqtt_version version, enum gh_mqtt_type type, struct gh_mqtt_ack ack,
                       struct gh_buffer *out);
/* SUBSCRIBE or UNSUBSCRIBE, with packet id and properties from `head`, whose entries are ignored.
 */
bool gh_mqtt_write_filters(enum gh_mqtt_version version, enum gh_mqtt_type type,
                           const struct gh_mqtt_filters *head,
                           const struct gh_mqtt_filter filters[], size_t count,
                           struct gh_buffer *out);
/* SUBACK or UNSUBACK. */
bool gh_mqtt_write_suback(enum gh_mqtt_version version, enum gh_mqtt_type type,
                          struct gh_mqtt_suback suback, struct gh_buffer *out);
/* DISCONNECT, or AUTH in MQTT 5. */
bool gh_mqtt_write_reason(enum gh_mqtt_version version, enum gh_mqtt_type type,
                          struct gh_mqtt_reason reason, struct gh_buffer *out);
/* PINGREQ, PINGRESP, or a DISCONNECT that has nothing to say; the same in both versions. */
bool gh_mqtt_write_empty(enum gh_mqtt_type type, struct gh_buffer *out);

/* Size on the wire of a PUBLISH, so that room can be checked before writing. */
size_t gh_mqtt_publish_size(enum gh_mqtt_version version, const struct gh_mqtt_publish *publish);
#endif
