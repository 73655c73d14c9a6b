#include "wire/mqtt/packet.h"
#include "wire/mqtt/packet_internal.h"
#include "wire/utf8.h"
#include <assert.h>

static enum gh_mqtt_fault read_empty(struct gh_cursor *at, uint8_t flags,
                                     struct gh_mqtt_packet *out)
{
    (void)at, (void)flags, (void)out;
    return GH_MQTT_FAULT_NONE;
}

enum { TO_SERVER = 1 << GH_MQTT_SERVER, TO_CLIENT = 1 << GH_MQTT_CLIENT };

/* Who may read which type (§2.2.1, table 2.1), and its schema. AUTH is of MQTT 5 and has none. */
static const struct {
    unsigned direction;
    enum gh_mqtt_fault (*read)(struct gh_cursor *at, uint8_t flags, struct gh_mqtt_packet *out);
} rules[16] = {
    [GH_MQTT_CONNECT] = {TO_SERVER, gh_mqtt_read_connect},
    [GH_MQTT_CONNACK] = {TO_CLIENT, gh_mqtt_read_connack},
    [GH_MQTT_PUBLISH] = {TO_SERVER | TO_CLIENT, gh_mqtt_read_publish},
    [GH_MQTT_PUBACK] = {TO_SERVER | TO_CLIENT, gh_mqtt_read_ack},
    [GH_MQTT_PUBREC] = {TO_SERVER | TO_CLIENT, gh_mqtt_read_ack},
    [GH_MQTT_PUBREL] = {TO_SERVER | TO_CLIENT, gh_mqtt_read_ack},
    [GH_MQTT_PUBCOMP] = {TO_SERVER | TO_CLIENT, gh_mqtt_read_ack},
    [GH_MQTT_SUBSCRIBE] = {TO_SERVER, gh_mqtt_read_subscribe},
    [GH_MQTT_SUBACK] = {TO_CLIENT, gh_mqtt_read_suback},
    [GH_MQTT_UNSUBSCRIBE] = {TO_SERVER, gh_mqtt_read_unsubscribe},
    [GH_MQTT_UNSUBACK] = {TO_CLIENT, gh_mqtt_read_ack},
    [GH_MQTT_PINGREQ] = {TO_SERVER, read_empty},
    [GH_MQTT_PINGRESP] = {TO_CLIENT, read_empty},
    [GH_MQTT_DISCONNECT] = {TO_SERVER, read_empty},
};

static const char *const fault_texts[] = {
    [GH_MQTT_FAULT_NONE] = "nothing is wrong",
    [GH_MQTT_FAULT_TYPE] = "a packet type that does not go in this direction (2.2.1)",
    [GH_MQTT_FAULT_TRUNCATED] = "the packet ends inside a field (2.2.3)",
    [GH_MQTT_FAULT_TRAILING] = "the packet goes on after its last field (2.2.3)",
    [GH_MQTT_FAULT_PROTOCOL] = "not MQTT 3.1.1 [MQTT-3.1.2-1] [MQTT-3.1.2-2]",
    [GH_MQTT_FAULT_CONNECT_FLAGS] = "wrong connect flags [MQTT-3.1.2-3] [MQTT-3.1.2-11..15]",
    [GH_MQTT_FAULT_PASSWORD_ALONE] = "a password without a user name [MQTT-3.1.2-22]",
    [GH_MQTT_FAULT_CLIENT_ID] = "an empty client id without clean session [MQTT-3.1.3-8]",
    [GH_MQTT_FAULT_UTF8] = "a string is not UTF-8 or has a NUL [MQTT-1.5.3-1] [MQTT-1.5.3-2]",
    [GH_MQTT_FAULT_TOPIC] = "a topic name that is empty, has a wildcard or too many levels "
                            "[MQTT-3.3.2-2] [MQTT-4.7.3-1]",
    [GH_MQTT_FAULT_FILTER] =
        "a topic filter that is empty, has a wildcard out of place or too many levels "
        "[MQTT-4.7.1-2] [MQTT-4.7.1-3]",
    [GH_MQTT_FAULT_PACKET_ID] = "packet id 0 [MQTT-2.3.1-1]",
    [GH_MQTT_FAULT_DUP] = "DUP with QoS 0 [MQTT-3.3.1-2]",
    [GH_MQTT_FAULT_NO_FILTER] = "no topic filter [MQTT-3.8.3-3] [MQTT-3.10.3-2]",
    [GH_MQTT_FAULT_QOS] = "a QoS that does not exist [MQTT-3-8.3-4]",
    [GH_MQTT_FAULT_CODE] = "a return code that does not exist [MQTT-3.2.2-4] [MQTT-3.9.3-2]",
};

const char *gh_mqtt_fault_text(enum gh_mqtt_fault fault)
{
    assert((size_t)fault < GH_COUNT(fault_texts));
    return fault_texts[fault];
}

enum gh_mqtt_fault gh_mqtt_packet_read(const struct gh_mqtt_frame *frame,
                                       enum gh_mqtt_version version, enum gh_mqtt_reader reader,
                                       struct gh_mqtt_packet *out)
{
    struct gh_cursor at = gh_cursor(frame->body);

    assert(version == GH_MQTT_V311);
    (void)version;
    *out = (struct gh_mqtt_packet){.type = frame->type};
    if ((rules[frame->type].direction & 1u << reader) == 0)
        return GH_MQTT_FAULT_TYPE;
    enum gh_mqtt_fault fault = rules[frame->type].read(&at, frame->flags, out);
    if (fault != GH_MQTT_FAULT_NONE)
        return fault;
    return gh_cursor_left(&at) == 0 ? GH_MQTT_FAULT_NONE : GH_MQTT_FAULT_TRAILING;
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

size_t gh_mqtt_packet_size(size_t body_size)
{
    size_t size = 2 + body_size;
    for (size_t length = body_size >> 7; length != 0; length >>= 7)
        size++;
    return size;
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
    gh_buffer_u8(out, (uint8_t)((unsigned)type << 4 | flags));
    do {
        gh_buffer_u8(out, (uint8_t)((body_size & 0x7fu) | (body_size > 0x7fu ? 0x80u : 0)));
        body_size >>= 7;
    } while (body_size != 0);
    return true;
}

bool gh_mqtt_write_empty(enum gh_mqtt_type type, struct gh_buffer *out)
{
    assert(rules[type].read == read_empty);
    return gh_mqtt_write_header(type, 0, 0, out);
}
