/* CONNECT and CONNACK (MQTT 3.1.1 and 5.0, §3.1 and §3.2). */
#include "wire/mqtt/packet_internal.h"
#include "wire/mqtt/topic.h"
#include "wire/utf8.h"
#include <assert.h>

/* Connect flags (§3.1.2.3). */
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

/* MQTT 5 allows a password without a user name (§3.1.2.9). */
static enum gh_mqtt_fault flags_fault(uint8_t flags, enum gh_mqtt_version version)
{
    bool will = (flags & FLAG_WILL) != 0;
    if ((flags & FLAG_RESERVED) != 0 || will_qos(flags) == 3 ||
        (!will && (flags & (FLAG_WILL_QOS | FLAG_WILL_RETAIN)) != 0))
        return GH_MQTT_FAULT_CONNECT_FLAGS;
    if (version == GH_MQTT_V311 && (flags & FLAG_PASSWORD) != 0 && (flags & FLAG_USER_NAME) == 0)
        return GH_MQTT_FAULT_PASSWORD_ALONE;
    return GH_MQTT_FAULT_NONE;
}

/* §3.1.2.11 */
static void take_property(const struct gh_mqtt_property_value *value, struct gh_mqtt_packet *out)
{
    struct gh_mqtt_connect *connect = &out->connect;

    switch ((unsigned)value->id) {
    case GH_MQTT_PROPERTY_SESSION_EXPIRY:
        connect->session_expiry_s = value->number;
        break;
    case GH_MQTT_PROPERTY_RECEIVE_MAXIMUM:
        connect->receive_max = (uint16_t)value->number;
        break;
    case GH_MQTT_PROPERTY_MAXIMUM_PACKET_SIZE:
        connect->packet_bytes_max = value->number;
        break;
    case GH_MQTT_PROPERTY_TOPIC_ALIAS_MAXIMUM:
        connect->topic_alias_max = (uint16_t)value->number;
        break;
    case GH_MQTT_PROPERTY_REQUEST_PROBLEM:
        connect->request_problem = value->number != 0;
        break;
    case GH_MQTT_PROPERTY_REQUEST_RESPONSE:
        connect->request_response = value->number != 0;
        break;
    case GH_MQTT_PROPERTY_AUTH_METHOD:
        connect->has_auth = true;
        connect->auth_method = value->text;
        break;
    case GH_MQTT_PROPERTY_AUTH_DATA:
        connect->auth_data = value->text;
        break;
    }
}

/* §3.1.3.2 */
static void take_will_property(const struct gh_mqtt_property_value *value,
                               struct gh_mqtt_packet *out)
{
    if (value->id == GH_MQTT_PROPERTY_WILL_DELAY)
        out->connect.will_delay_s = value->number;
}

static enum gh_mqtt_fault read_will(struct gh_mqtt_reading *in, struct gh_mqtt_packet *out)
{
    struct gh_mqtt_connect *connect = &out->connect;
    enum gh_mqtt_fault fault = gh_mqtt_read_properties(in, GH_MQTT_WILL, take_will_property, out,
                                                       &connect->will_properties);
    if (fault == GH_MQTT_FAULT_NONE)
        fault = gh_mqtt_read_string(&in->at, &connect->will_topic);
    if (fault != GH_MQTT_FAULT_NONE)
        return fault;
    if (!gh_mqtt_topic_valid(connect->will_topic))
        return GH_MQTT_FAULT_TOPIC;
    return gh_cursor_take16(&in->at, &connect->will_payload) ? GH_MQTT_FAULT_NONE
                                                             : GH_MQTT_FAULT_TRUNCATED;
}

/* Client id, will, user name, password: in this order, as the flags say [MQTT-3.1.3-1]. */
static enum gh_mqtt_fault read_payload(struct gh_mqtt_reading *in, struct gh_mqtt_packet *out)
{
    struct gh_mqtt_connect *connect = &out->connect;
    enum gh_mqtt_fault fault = gh_mqtt_read_string(&in->at, &connect->client_id);

    if (fault == GH_MQTT_FAULT_NONE && connect->has_will)
        fault = read_will(in, out);
    if (fault == GH_MQTT_FAULT_NONE && connect->has_user_name)
        fault = gh_mqtt_read_string(&in->at, &connect->user_name);
    if (fault != GH_MQTT_FAULT_NONE)
        return fault;
    if (connect->has_password && !gh_cursor_take16(&in->at, &connect->password))
        return GH_MQTT_FAULT_TRUNCATED;
    /* Decided last, so that a broken packet is not answered with CONNACK 2. */
    if (connect->version == GH_MQTT_V311 && connect->client_id.size == 0 && !connect->clean &&
        gh_cursor_left(&in->at) == 0)
        return GH_MQTT_FAULT_CLIENT_ID;
    return GH_MQTT_FAULT_NONE;
}

/* Protocol and level; from here on the packet is of the version that it names. */
static enum gh_mqtt_fault read_version(struct gh_mqtt_reading *in, struct gh_mqtt_connect *connect)
{
    enum gh_mqtt_fault fault = gh_mqtt_read_string(&in->at, &connect->protocol);
    if (fault != GH_MQTT_FAULT_NONE)
        return fault;
    if (!gh_cursor_u8(&in->at, &connect->level))
        return GH_MQTT_FAULT_TRUNCATED;
    if ((connect->level != GH_MQTT_V311 && connect->level != GH_MQTT_V5) ||
        !gh_slice_equal(connect->protocol, GH_SLICE("MQTT")))
        return GH_MQTT_FAULT_PROTOCOL;
    in->version = connect->version = (enum gh_mqtt_version)connect->level;
    return GH_MQTT_FAULT_NONE;
}

enum gh_mqtt_fault gh_mqtt_read_connect(struct gh_mqtt_reading *in, struct gh_mqtt_packet *out)
{
    struct gh_mqtt_connect *connect = &out->connect;
    uint8_t flags;

    *connect = (struct gh_mqtt_connect){.receive_max = UINT16_MAX, .request_problem = true};
    enum gh_mqtt_fault fault = read_version(in, connect);
    if (fault != GH_MQTT_FAULT_NONE)
        return fault;
    if (!gh_cursor_u8(&in->at, &flags) || !gh_cursor_u16(&in->at, &connect->keep_alive_s))
        return GH_MQTT_FAULT_TRUNCATED;
    fault = flags_fault(flags, in->version);
    if (fault != GH_MQTT_FAULT_NONE)
        return fault;
    connect->clean = (flags & FLAG_CLEAN) != 0;
    connect->has_will = (flags & FLAG_WILL) != 0;
    connect->will_qos = will_qos(flags);
    connect->will_retain = (flags & FLAG_WILL_RETAIN) != 0;
    connect->has_user_name = (flags & FLAG_USER_NAME) != 0;
    connect->has_password = (flags & FLAG_PASSWORD) != 0;
    fault = gh_mqtt_read_properties(in, GH_MQTT_CONNECT, take_property, out, &connect->properties);
    return fault == GH_MQTT_FAULT_NONE ? read_payload(in, out) : fault;
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

/* The payload's fields in the order of the wire, but for the will's properties, which stand before
 * the second; returns how many. */
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
    struct gh_slice protocol = GH_SLICE("MQTT"), fields[5];
    size_t count = fields_of(connect, fields);
    size_t size =
        2 + protocol.size + 4 + gh_mqtt_properties_size(connect->version, connect->properties);

    assert(connect->version == GH_MQTT_V311 || connect->version == GH_MQTT_V5);
    assert(connect->will_qos <= 2);
    if (connect->has_will)
        size += gh_mqtt_properties_size(connect->version, connect->will_properties);
    for (size_t i = 0; i < count; i++) {
        size += 2 + fields[i].size;
        if (fields[i].size > UINT16_MAX) {
            out->overflow = true;
            return false;
        }
    }
    if (!gh_mqtt_write_header(GH_MQTT_CONNECT, 0, size, out))
        return false;
    gh_buffer_put16(out, protocol);
    gh_buffer_u8(out, (uint8_t)connect->version);
    gh_buffer_u8(out, flags_of(connect));
    gh_buffer_u16(out, connect->keep_alive_s);
    gh_mqtt_put_properties(connect->version, connect->properties, out);
    for (size_t i = 0; i < count; i++) {
        if (i == 1 && connect->has_will)
            gh_mqtt_put_properties(connect->version, connect->will_properties, out);
        gh_buffer_put16(out, fields[i]);
    }
    return true;
}

static bool code_valid(const struct gh_mqtt_reading *in, uint8_t code)
{
    return in->version == GH_MQTT_V5 ? gh_mqtt_reason_allowed(code, in->type, in->reader)
                                     : code <= GH_MQTT_REFUSED_UNAUTHORISED;
}

enum gh_mqtt_fault gh_mqtt_read_connack(struct gh_mqtt_reading *in, struct gh_mqtt_packet *out)
{
    struct gh_mqtt_connack *connack = &out->connack;
    uint8_t flags;

    *connack = (struct gh_mqtt_connack){0};
    if (!gh_cursor_u8(&in->at, &flags) || !gh_cursor_u8(&in->at, &connack->code))
        return GH_MQTT_FAULT_TRUNCATED;
    connack->session_present = flags == 1;
    if (flags > 1 || !code_valid(in, connack->code) ||
        (connack->session_present && connack->code != 0))
        return GH_MQTT_FAULT_CODE;
    return gh_mqtt_read_properties(in, GH_MQTT_CONNACK, NULL, out, &connack->properties);
}

bool gh_mqtt_write_connack(enum gh_mqtt_version version, struct gh_mqtt_connack connack,
                           struct gh_buffer *out)
{
    size_t size = 2 + gh_mqtt_properties_size(version, connack.properties);

    assert(connack.code == 0 || !connack.session_present);
    return gh_mqtt_write_header(GH_MQTT_CONNACK, 0, size, out) &&
           gh_buffer_u8(out, connack.session_present) && gh_buffer_u8(out, connack.code) &&
           gh_mqtt_put_properties(version, connack.properties, out);
}
