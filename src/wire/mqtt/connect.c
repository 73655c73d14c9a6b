/* CONNECT (MQTT 3.1.1 §3.1) and CONNACK (§3.2). */
#include "wire/mqtt/packet_internal.h"
#include "wire/mqtt/topic.h"
#include "wire/utf8.h"
#include <assert.h>

/* Connect flags (§3.1.2.3, figure 3.4). */
enum {
    FLAG_RESERVED = 0x01,
    FLAG_CLEAN = 0x02,
    FLAG_WILL = 0x04,
    FLAG_WILL_QOS = 0x18,
    FLAG_WILL_RETAIN = 0x20,
    FLAG_PASSWORD = 0x40,
    FLAG_USER_NAME = 0x80,
};

static uint8_t will_qos(uint8_t flags)
{
    return (uint8_t)((flags & FLAG_WILL_QOS) >> 3);
}

static enum gh_mqtt_fault flags_fault(uint8_t flags)
{
    bool will = (flags & FLAG_WILL) != 0;
    if ((flags & FLAG_RESERVED) != 0 || will_qos(flags) == 3 ||
        (!will && (flags & (FLAG_WILL_QOS | FLAG_WILL_RETAIN)) != 0))
        return GH_MQTT_FAULT_CONNECT_FLAGS;
    if ((flags & FLAG_PASSWORD) != 0 && (flags & FLAG_USER_NAME) == 0)
        return GH_MQTT_FAULT_PASSWORD_ALONE;
    return GH_MQTT_FAULT_NONE;
}

static enum gh_mqtt_fault read_will(struct gh_cursor *at, struct gh_mqtt_connect *connect)
{
    enum gh_mqtt_fault fault = gh_mqtt_read_string(at, &connect->will_topic);
    if (fault != GH_MQTT_FAULT_NONE)
        return fault;
    if (!gh_mqtt_topic_valid(connect->will_topic))
        return GH_MQTT_FAULT_TOPIC;
    return gh_cursor_take16(at, &connect->will_payload) ? GH_MQTT_FAULT_NONE
                                                        : GH_MQTT_FAULT_TRUNCATED;
}

/* Client id, will, user name, password: in this order, as the flags say [MQTT-3.1.3-1]. */
static enum gh_mqtt_fault read_payload(struct gh_cursor *at, struct gh_mqtt_connect *connect)
{
    enum gh_mqtt_fault fault = gh_mqtt_read_string(at, &connect->client_id);

    if (fault == GH_MQTT_FAULT_NONE && connect->has_will)
        fault = read_will(at, connect);
    if (fault == GH_MQTT_FAULT_NONE && connect->has_user_name)
        fault = gh_mqtt_read_string(at, &connect->user_name);
    if (fault != GH_MQTT_FAULT_NONE)
        return fault;
    if (connect->has_password && !gh_cursor_take16(at, &connect->password))
        return GH_MQTT_FAULT_TRUNCATED;
    /* Decided last, so that a broken packet is not answered with CONNACK 2. */
    if (connect->client_id.size == 0 && !connect->clean && gh_cursor_left(at) == 0)
        return GH_MQTT_FAULT_CLIENT_ID;
    return GH_MQTT_FAULT_NONE;
}

enum gh_mqtt_fault gh_mqtt_read_connect(struct gh_cursor *at, uint8_t flags,
                                        struct gh_mqtt_packet *out)
{
    struct gh_mqtt_connect *connect = &out->connect;
    uint8_t connect_flags;

    (void)flags;
    enum gh_mqtt_fault fault = gh_mqtt_read_string(at, &connect->protocol);
    if (fault != GH_MQTT_FAULT_NONE)
        return fault;
    if (!gh_cursor_u8(at, &connect->level))
        return GH_MQTT_FAULT_TRUNCATED;
    if (connect->level != GH_MQTT_V311 || !gh_slice_equal(connect->protocol, GH_SLICE("MQTT")))
        return GH_MQTT_FAULT_PROTOCOL;
    if (!gh_cursor_u8(at, &connect_flags) || !gh_cursor_u16(at, &connect->keep_alive_s))
        return GH_MQTT_FAULT_TRUNCATED;
    fault = flags_fault(connect_flags);
    if (fault != GH_MQTT_FAULT_NONE)
        return fault;
    connect->clean = (connect_flags & FLAG_CLEAN) != 0;
    connect->has_will = (connect_flags & FLAG_WILL) != 0;
    connect->will_qos = will_qos(connect_flags);
    connect->will_retain = (connect_flags & FLAG_WILL_RETAIN) != 0;
    connect->has_user_name = (connect_flags & FLAG_USER_NAME) != 0;
    connect->has_password = (connect_flags & FLAG_PASSWORD) != 0;
    return read_payload(at, connect);
}

static uint8_t flags_of(const struct gh_mqtt_connect *connect)
{
    unsigned flags = 0;
    flags |= connect->clean ? FLAG_CLEAN : 0;
    flags |= connect->has_user_name ? FLAG_USER_NAME : 0;
    flags |= connect->has_password ? FLAG_PASSWORD : 0;
    if (connect->has_will)
        flags |= FLAG_WILL | (unsigned)connect->will_qos << 3 |
                 (connect->will_retain ? FLAG_WILL_RETAIN : 0);
    return (uint8_t)flags;
}

/* The payload's fields in the order of the wire; returns how many. */
static size_t fields_of(const struct gh_mqtt_connect *connect, struct gh_slice fields[5])
{
    size_t count = 0;
    fields[count++] = connect->client_id;
    if (connect->has_will) {
        fields[count++] = connect->will_topic;
        fields[count++] = connect->will_payload;
    }
    if (connect->has_user_name)
        fields[count++] = connect->user_name;
    if (connect->has_password)
        fields[count++] = connect->password;
    return count;
}

bool gh_mqtt_write_connect(const struct gh_mqtt_connect *connect, struct gh_buffer *out)
{
    struct gh_slice fields[5];
    size_t count = fields_of(connect, fields);
    size_t size = 2 + connect->protocol.size + 4;

    assert(connect->will_qos <= 2);
    for (size_t i = 0; i < count; i++) {
        size += 2 + fields[i].size;
        if (fields[i].size > UINT16_MAX) {
            out->overflow = true;
            return false;
        }
    }
    if (!gh_mqtt_write_header(GH_MQTT_CONNECT, 0, size, out))
        return false;
    gh_buffer_put16(out, connect->protocol);
    gh_buffer_u8(out, connect->level);
    gh_buffer_u8(out, flags_of(connect));
    gh_buffer_u16(out, connect->keep_alive_s);
    for (size_t i = 0; i < count; i++)
        gh_buffer_put16(out, fields[i]);
    return true;
}

enum gh_mqtt_fault gh_mqtt_read_connack(struct gh_cursor *at, uint8_t flags,
                                        struct gh_mqtt_packet *out)
{
    struct gh_mqtt_connack *connack = &out->connack;
    uint8_t acknowledge;

    (void)flags;
    if (!gh_cursor_u8(at, &acknowledge) || !gh_cursor_u8(at, &connack->code))
        return GH_MQTT_FAULT_TRUNCATED;
    connack->session_present = acknowledge == 1;
    if (acknowledge > 1 || connack->code > GH_MQTT_REFUSED_UNAUTHORISED ||
        (connack->session_present && connack->code != GH_MQTT_ACCEPTED))
        return GH_MQTT_FAULT_CODE;
    return GH_MQTT_FAULT_NONE;
}

bool gh_mqtt_write_connack(struct gh_mqtt_connack connack, struct gh_buffer *out)
{
    assert(connack.code == GH_MQTT_ACCEPTED || !connack.session_present);
    return gh_mqtt_write_header(GH_MQTT_CONNACK, 0, 2, out) &&
           gh_buffer_u8(out, connack.session_present) && gh_buffer_u8(out, connack.code);
}
