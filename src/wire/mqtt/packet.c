#include "wire/mqtt/packet.h"
#include "wire/mqtt/packet_internal.h"
#include "wire/utf8.h"
#include <assert.h>

static enum gh_mqtt_fault read_empty(struct gh_mqtt_reading *in, struct gh_mqtt_packet *out)
{
    (void)in, (void)out;
    return GH_MQTT_FAULT_NONE;
}

enum {
    TO_SERVER = 1 << GH_MQTT_SERVER,
    TO_CLIENT = 1 << GH_MQTT_CLIENT,
    TO_BOTH = TO_SERVER | TO_CLIENT,
};

/* Who may read which type in 3.1.1 and in MQTT 5 (§2.1.2, table 2-1), and its schema. */
static const struct {
    uint8_t v311, v5;
    gh_mqtt_body_reader *read;
} rules[16] = {
    [GH_MQTT_CONNECT] = {TO_SERVER, TO_SERVER, gh_mqtt_read_connect},
    [GH_MQTT_CONNACK] = {TO_CLIENT, TO_CLIENT, gh_mqtt_read_connack},
    [GH_MQTT_PUBLISH] = {TO_BOTH, TO_BOTH, gh_mqtt_read_publish},
    [GH_MQTT_PUBACK] = {TO_BOTH, TO_BOTH, gh_mqtt_read_ack},
    [GH_MQTT_PUBREC] = {TO_BOTH, TO_BOTH, gh_mqtt_read_ack},
    [GH_MQTT_PUBREL] = {TO_BOTH, TO_BOTH, gh_mqtt_read_ack},
    [GH_MQTT_PUBCOMP] = {TO_BOTH, TO_BOTH, gh_mqtt_read_ack},
    [GH_MQTT_SUBSCRIBE] = {TO_SERVER, TO_SERVER, gh_mqtt_read_subscribe},
    [GH_MQTT_SUBACK] = {TO_CLIENT, TO_CLIENT, gh_mqtt_read_suback},
    [GH_MQTT_UNSUBSCRIBE] = {TO_SERVER, TO_SERVER, gh_mqtt_read_unsubscribe},
    [GH_MQTT_UNSUBACK] = {TO_CLIENT, TO_CLIENT, gh_mqtt_read_unsuback},
    [GH_MQTT_PINGREQ] = {TO_SERVER, TO_SERVER, read_empty},
    [GH_MQTT_PINGRESP] = {TO_CLIENT, TO_CLIENT, read_empty},
    [GH_MQTT_DISCONNECT] = {TO_SERVER, TO_BOTH, gh_mqtt_read_reason},
    [GH_MQTT_AUTH] = {0, TO_BOTH, gh_mqtt_read_reason},
};

/* The statements of 3.1.1 before the stroke, of 5.0 behind it. The standard calls malformed what
 * cannot be parsed and a protocol error what can but must not be (§1.2). */
#define MALFORMED GH_MQTT_REASON_MALFORMED_PACKET
#define ERROR GH_MQTT_REASON_PROTOCOL_ERROR
static const struct {
    const char *name;
    uint8_t reason;
    const char *text;
} faults[GH_MQTT_FAULT_COUNT] = {
    [GH_MQTT_FAULT_NONE] = {"NONE", GH_MQTT_REASON_SUCCESS, "nothing is wrong"},
    [GH_MQTT_FAULT_TYPE] = {"TYPE", ERROR,
                            "a packet type that does not go in this direction (2.2.1 / 2.1.2)"},
    [GH_MQTT_FAULT_TRUNCATED] = {"TRUNCATED", MALFORMED,
                                 "the packet ends inside a field (2.2.3 / 2.1.4)"},
    [GH_MQTT_FAULT_TRAILING] = {"TRAILING", MALFORMED,
                                "the packet goes on after its last field (2.2.3 / 2.1.4)"},
    [GH_MQTT_FAULT_INTEGER] = {"INTEGER", MALFORMED,
                               "a length or number in more bytes than it needs [- / MQTT-1.5.5-1]"},
    [GH_MQTT_FAULT_PROTOCOL] = {"PROTOCOL", GH_MQTT_REASON_UNSUPPORTED_VERSION,
                                "neither MQTT 3.1.1 nor MQTT 5 [MQTT-3.1.2-1] [MQTT-3.1.2-2]"},
    [GH_MQTT_FAULT_CONNECT_FLAGS] = {"CONNECT_FLAGS", MALFORMED,
                                     "wrong connect flags [MQTT-3.1.2-3] "
                                     "[MQTT-3.1.2-11..15 / MQTT-3.1.2-11..13]"},
    [GH_MQTT_FAULT_PASSWORD_ALONE] = {"PASSWORD_ALONE", MALFORMED,
                                      "a password without a user name [MQTT-3.1.2-22 / -]"},
    [GH_MQTT_FAULT_CLIENT_ID] = {"CLIENT_ID", GH_MQTT_REASON_CLIENT_ID_INVALID,
                                 "an empty client id without clean session [MQTT-3.1.3-8 / -]"},
    [GH_MQTT_FAULT_UTF8] = {"UTF8", MALFORMED,
                            "a string is not UTF-8 or has a NUL [MQTT-1.5.3-1 / MQTT-1.5.4-1] "
                            "[MQTT-1.5.3-2 / MQTT-1.5.4-2]"},
    [GH_MQTT_FAULT_TOPIC] = {"TOPIC", GH_MQTT_REASON_TOPIC_NAME_INVALID,
                             "a topic name that is empty, has a wildcard or too many levels "
                             "[MQTT-3.3.2-2] [MQTT-4.7.3-1] [- / MQTT-3.3.2-14]"},
    [GH_MQTT_FAULT_NO_TOPIC] = {"NO_TOPIC", ERROR,
                                "neither a topic name nor a topic alias (- / 3.3.2.1)"},
    [GH_MQTT_FAULT_FILTER] = {"FILTER", GH_MQTT_REASON_TOPIC_FILTER_INVALID,
                              "a topic filter that is empty, has a wildcard out of place, too many "
                              "levels or a wrong share [MQTT-4.7.1-2 / MQTT-4.7.1-1] "
                              "[MQTT-4.7.1-3 / MQTT-4.7.1-2] [- / MQTT-4.8.2-1..2]"},
    [GH_MQTT_FAULT_PACKET_ID] = {"PACKET_ID", ERROR,
                                 "packet id 0 [MQTT-2.3.1-1 / MQTT-2.2.1-3..4]"},
    [GH_MQTT_FAULT_DUP] = {"DUP", MALFORMED, "DUP with QoS 0 [MQTT-3.3.1-2]"},
    [GH_MQTT_FAULT_NO_FILTER] = {"NO_FILTER", ERROR,
                                 "no topic filter [MQTT-3.8.3-3 / MQTT-3.8.3-2] [MQTT-3.10.3-2]"},
    [GH_MQTT_FAULT_QOS] = {"QOS", ERROR, "a QoS that does not exist [MQTT-3-8.3-4 / 3.8.3.1]"},
    [GH_MQTT_FAULT_OPTIONS] = {"OPTIONS", MALFORMED,
                               "reserved bits of the subscription options [- / MQTT-3.8.3-5]"},
    [GH_MQTT_FAULT_RETAIN_HANDLING] = {"RETAIN_HANDLING", ERROR,
                                       "a retain handling that does not exist (- / 3.8.3.1)"},
    [GH_MQTT_FAULT_NO_LOCAL] = {"NO_LOCAL", ERROR,
                                "No Local on a shared subscription [- / MQTT-3.8.3-4]"},
    [GH_MQTT_FAULT_CODE] = {"CODE", ERROR,
                            "a code that does not exist in this packet [MQTT-3.2.2-4 / "
                            "MQTT-3.2.2-6..8] [MQTT-3.9.3-2 / MQTT-3.9.3-2] [- / MQTT-3.4.2-1] "
                            "[- / MQTT-3.14.2-1] [- / MQTT-3.15.2-1]"},
    [GH_MQTT_FAULT_PROPERTY] = {"PROPERTY", MALFORMED,
                                "a property that this packet does not have (- / 2.2.2.2)"},
    [GH_MQTT_FAULT_PROPERTY_DIRECTION] = {"PROPERTY_DIRECTION", ERROR,
                                          "a property that only the other side may send "
                                          "[- / MQTT-3.3.4-6] [- / MQTT-3.14.2-2]"},
    [GH_MQTT_FAULT_PROPERTY_TWICE] = {"PROPERTY_TWICE", ERROR,
                                      "a property that comes twice (- / 2.2.2.2)"},
    [GH_MQTT_FAULT_PROPERTY_VALUE] = {"PROPERTY_VALUE", ERROR,
                                      "a property with a value out of its range (- / 3.1.2.11)"},
    [GH_MQTT_FAULT_TOPIC_ALIAS] = {"TOPIC_ALIAS", GH_MQTT_REASON_TOPIC_ALIAS_INVALID,
                                   "a topic alias of 0 [- / MQTT-3.3.2-8]"},
    [GH_MQTT_FAULT_AUTH_METHOD] = {"AUTH_METHOD", ERROR,
                                   "authentication without its method (- / 3.1.2.11.10, "
                                   "3.15.2.2.2)"},
};

const char *gh_mqtt_fault_text(enum gh_mqtt_fault fault)
{
    assert((size_t)fault < GH_COUNT(faults));
    return faults[fault].text;
}

const char *gh_mqtt_fault_name(enum gh_mqtt_fault fault)
{
    assert((size_t)fault < GH_COUNT(faults));
    return faults[fault].name;
}

uint8_t gh_mqtt_fault_reason(enum gh_mqtt_fault fault)
{
    assert((size_t)fault < GH_COUNT(faults));
    return faults[fault].reason;
}

/* After the body, since a CONNECT's version stands in it: all of it was read, and in MQTT 5 its
 * length is written in as few bytes as it needs. */
static enum gh_mqtt_fault length_fault(const struct gh_mqtt_frame *frame,
                                       const struct gh_mqtt_reading *in)
{
    if (gh_cursor_left(&in->at) != 0)
        return GH_MQTT_FAULT_TRAILING;
    return in->version == GH_MQTT_V5 && frame->size != gh_mqtt_packet_size(frame->body.size)
               ? GH_MQTT_FAULT_INTEGER
               : GH_MQTT_FAULT_NONE;
}

enum gh_mqtt_fault gh_mqtt_packet_read(const struct gh_mqtt_frame *frame,
                                       enum gh_mqtt_version version, enum gh_mqtt_reader reader,
                                       struct gh_mqtt_packet *out)
{
    struct gh_mqtt_reading in = {.at = gh_cursor(frame->body),
                                 .type = frame->type,
                                 .flags = frame->flags,
                                 .version = version,
                                 .reader = reader};
    unsigned direction = version == GH_MQTT_V5 ? rules[frame->type].v5 : rules[frame->type].v311;

    assert(version == GH_MQTT_V311 || version == GH_MQTT_V5);
    out->type = frame->type;
    if ((direction & 1u << reader) == 0)
        return GH_MQTT_FAULT_TYPE;
    enum gh_mqtt_fault fault = rules[frame->type].read(&in, out);
    return fault != GH_MQTT_FAULT_NONE ? fault : length_fault(frame, &in);
}

enum gh_mqtt_fault gh_mqtt_read_string(struct gh_cursor *at, struct gh_slice *out)
{
    if (!gh_cursor_take16(at, out))
        return GH_MQTT_FAULT_TRUNCATED;
    return gh_utf8_valid_mqtt(*out) ? GH_MQTT_FAULT_NONE : GH_MQTT_FAULT_UTF8;
}

enum gh_mqtt_fault gh_mqtt_read_packet_id(struct gh_cursor *at, uint16_t *out)
{
    if (!gh_cursor_u16(at, out))
        return GH_MQTT_FAULT_TRUNCATED;
    return *out != 0 ? GH_MQTT_FAULT_NONE : GH_MQTT_FAULT_PACKET_ID;
}

enum { INTEGER_BYTES_MAX = 4 }; /* §1.5.5 */

enum gh_mqtt_fault gh_mqtt_read_integer(struct gh_cursor *at, uint32_t *out)
{
    uint32_t value = 0;
    size_t size = 0;
    uint8_t byte;

    do {
        if (size == INTEGER_BYTES_MAX)
            return GH_MQTT_FAULT_INTEGER;
        if (!gh_cursor_u8(at, &byte))
            return GH_MQTT_FAULT_TRUNCATED;
        value |= (byte & 0x7fu) << (7 * size++);
    } while ((byte & 0x80u) != 0);
    *out = value;
    return size == gh_mqtt_integer_size(value) ? GH_MQTT_FAULT_NONE : GH_MQTT_FAULT_INTEGER;
}

size_t gh_mqtt_integer_size(size_t value)
{
    size_t size = 1;
    for (value >>= 7; value != 0; value >>= 7)
        size++;
    return size;
}

bool gh_mqtt_put_integer(struct gh_buffer *out, size_t value)
{
    while (value > 0x7fu) {
        gh_buffer_u8(out, (uint8_t)((value & 0x7fu) | 0x80u));
        value >>= 7;
    }
    return gh_buffer_u8(out, (uint8_t)value);
}

size_t gh_mqtt_packet_size(size_t body_size)
{
    return 1 + gh_mqtt_integer_size(body_size) + body_size;
}

bool gh_mqtt_write_header(enum gh_mqtt_type type, uint8_t flags, size_t body_size,
                          struct gh_buffer *out)
{
    if (body_size > GH_MQTT_BODY_BYTES_MAX) {
        out->overflow = true;
        return false;
    }
    if (gh_buffer_reserve(out, gh_mqtt_packet_size(body_size)) == NULL)
        return false;
    return gh_buffer_u8(out, (uint8_t)((unsigned)type << 4 | flags)) &&
           gh_mqtt_put_integer(out, body_size);
}

bool gh_mqtt_write_empty(enum gh_mqtt_type type, struct gh_buffer *out)
{
    assert(type == GH_MQTT_PINGREQ || type == GH_MQTT_PINGRESP || type == GH_MQTT_DISCONNECT);
    return gh_mqtt_write_header(type, 0, 0, out);
}
