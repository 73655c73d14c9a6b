#include "observe/trace_line.h"
#include "base/time.h"
#include "wire/base64.h"
#include "wire/json.h"
#include "wire/mqtt/property.h"
#include "wire/utf8.h"
#include <stdio.h>

/* What a line of one packet is made of. */
struct line {
    json_t *object;
    enum gh_mqtt_version version;
    bool with_payload;
};

static void put(struct line *line, const char *name, json_t *value)
{
    json_object_set_new(line->object, name, value);
}

static void put_text(struct line *line, const char *name, struct gh_slice text)
{
    json_t *value = gh_json_new_text(text);
    put(line, name, value != NULL ? value : json_null());
}

static void put_number(struct line *line, const char *name, uint64_t value)
{
    put(line, name, json_integer((json_int_t)value));
}

static void put_flag(struct line *line, const char *name, bool value)
{
    if (value)
        put(line, name, json_true());
}

/* "0x87", and in MQTT 5 its name. */
static void put_reason(struct line *line, uint8_t reason)
{
    char code[8];
    snprintf(code, sizeof code, "0x%02X", (unsigned)reason);
    put(line, "reason", json_string(code));
    if (line->version == GH_MQTT_V5)
        put(line, "reason_name", json_string(gh_mqtt_reason_name(reason)));
}

static void put_reason_string(struct line *line, struct gh_slice properties)
{
    struct gh_mqtt_property_value text;
    if (gh_mqtt_property_find(properties, GH_MQTT_PROPERTY_REASON_STRING, &text))
        put_text(line, "reason_string", text.text);
}

static void put_payload(struct line *line, struct gh_slice payload)
{
    struct gh_slice shown = gh_slice_sub(payload, 0, GH_TRACE_PAYLOAD_BYTES_MAX);
    put_number(line, "payload_size", payload.size);
    if (!line->with_payload)
        return;
    put_flag(line, "payload_cut", shown.size < payload.size);
    json_t *text = gh_utf8_valid_mqtt(shown) ? gh_json_new_text(shown) : NULL; /* no U+0000 */
    if (text != NULL) {
        put(line, "payload", text);
        return;
    }
    struct gh_buffer encoded;
    gh_buffer_init(&encoded, 2 * GH_TRACE_PAYLOAD_BYTES_MAX);
    gh_base64_encode(shown, GH_BASE64_STANDARD, &encoded);
    put_text(line, "payload_base64", gh_buffer_slice(&encoded));
    gh_buffer_deinit(&encoded);
}

/* --- one function for each shape of packet */

static void put_will(struct line *line, const struct gh_mqtt_connect *connect)
{
    json_t *will = json_object();
    struct line inner = {will, line->version, line->with_payload};
    put_text(&inner, "topic", connect->will_topic);
    put_number(&inner, "qos", connect->will_qos);
    put_flag(&inner, "retain", connect->will_retain);
    put_payload(&inner, connect->will_payload);
    if (connect->will_delay_s != 0)
        put_number(&inner, "delay_s", connect->will_delay_s);
    put(line, "will", will);
}

static void put_connect(struct line *line, const struct gh_mqtt_packet *packet)
{
    const struct gh_mqtt_connect *connect = &packet->connect;
    put(line, "mqtt", json_string(connect->version == GH_MQTT_V5 ? "5.0" : "3.1.1"));
    put_text(line, "client_id", connect->client_id);
    if (connect->has_user_name)
        put_text(line, "user_name", connect->user_name);
    put_flag(line, "has_password", connect->has_password);
    put(line, "clean", json_boolean(connect->clean));
    put_number(line, "keep_alive_s", connect->keep_alive_s);
    if (connect->version == GH_MQTT_V5) {
        put_number(line, "session_expiry_s", connect->session_expiry_s);
        put_number(line, "receive_max", connect->receive_max);
    }
    if (connect->has_auth)
        put_text(line, "auth_method", connect->auth_method);
    if (connect->has_will)
        put_will(line, connect);
}

static void put_connack(struct line *line, const struct gh_mqtt_packet *packet)
{
    put_reason(line, packet->connack.code);
    put(line, "session_present", json_boolean(packet->connack.session_present));
    put_reason_string(line, packet->connack.properties);
}

static void put_publish(struct line *line, const struct gh_mqtt_packet *packet)
{
    const struct gh_mqtt_publish *publish = &packet->publish;
    put_text(line, "topic", publish->topic);
    put_number(line, "qos", publish->qos);
    if (publish->qos > 0)
        put_number(line, "packet_id", publish->packet_id);
    put_flag(line, "dup", publish->dup);
    put_flag(line, "retain", publish->retain);
    if (publish->topic_alias != 0)
        put_number(line, "topic_alias", publish->topic_alias);
    if (publish->has_expiry)
        put_number(line, "expiry_s", publish->expiry_s);
    put_payload(line, publish->payload);
}

static void put_ack(struct line *line, const struct gh_mqtt_packet *packet)
{
    put_number(line, "packet_id", packet->ack.packet_id);
    if (line->version == GH_MQTT_V5)
        put_reason(line, packet->ack.reason);
    put_reason_string(line, packet->ack.properties);
}

static void put_filters(struct line *line, const struct gh_mqtt_packet *packet)
{
    struct gh_mqtt_filters at = packet->filters;
    struct gh_mqtt_filter filter;
    json_t *list = json_array();
    put_number(line, "packet_id", at.packet_id);
    if (at.identifier != 0)
        put_number(line, "identifier", at.identifier);
    while (gh_mqtt_filter_next(&at, &filter)) {
        json_t *entry = json_object();
        struct line inner = {entry, line->version, false};
        put_text(&inner, "filter", filter.filter);
        if (packet->type == GH_MQTT_SUBSCRIBE)
            put_number(&inner, "qos", filter.qos);
        put_flag(&inner, "no_local", filter.no_local);
        put_flag(&inner, "retain_as_published", filter.retain_as_published);
        if (filter.retain_handling != 0)
            put_number(&inner, "retain_handling", filter.retain_handling);
        json_array_append_new(list, entry);
    }
    put(line, "filters", list);
}

static void put_suback(struct line *line, const struct gh_mqtt_packet *packet)
{
    struct gh_slice codes = packet->suback.codes;
    json_t *list = json_array();
    put_number(line, "packet_id", packet->suback.packet_id);
    for (size_t i = 0; i < codes.size; i++) {
        char code[8];
        snprintf(code, sizeof code, "0x%02X", (unsigned)codes.data[i]);
        json_array_append_new(list, json_string(code));
    }
    put(line, "codes", list);
    put_reason_string(line, packet->suback.properties);
}

static void put_end(struct line *line, const struct gh_mqtt_packet *packet)
{
    if (line->version == GH_MQTT_V5)
        put_reason(line, packet->reason.reason);
    if (packet->type == GH_MQTT_DISCONNECT) /* those of AUTH hold what signs in */
        put_reason_string(line, packet->reason.properties);
}

static void put_nothing(struct line *line, const struct gh_mqtt_packet *packet)
{
    (void)line, (void)packet;
}

static void (*const shapes[])(struct line *, const struct gh_mqtt_packet *) = {
    [GH_MQTT_CONNECT] = put_connect,  [GH_MQTT_CONNACK] = put_connack,
    [GH_MQTT_PUBLISH] = put_publish,  [GH_MQTT_PUBACK] = put_ack,
    [GH_MQTT_PUBREC] = put_ack,       [GH_MQTT_PUBREL] = put_ack,
    [GH_MQTT_PUBCOMP] = put_ack,      [GH_MQTT_SUBSCRIBE] = put_filters,
    [GH_MQTT_SUBACK] = put_suback,    [GH_MQTT_UNSUBSCRIBE] = put_filters,
    [GH_MQTT_UNSUBACK] = put_suback,  [GH_MQTT_PINGREQ] = put_nothing,
    [GH_MQTT_PINGRESP] = put_nothing, [GH_MQTT_DISCONNECT] = put_end,
    [GH_MQTT_AUTH] = put_end,
};

static void put_packet(struct line *line, const struct gh_trace_packet *traced)
{
    struct gh_mqtt_frame frame;
    struct gh_mqtt_packet packet = {0};
    if (gh_mqtt_frame_read(traced->bytes, SIZE_MAX, &frame) != GH_MQTT_FRAME_OK) {
        put(line, "fault", json_string("FRAME"));
        return;
    }
    put(line, "type", json_string(gh_mqtt_type_name(frame.type)));
    enum gh_mqtt_fault fault = gh_mqtt_packet_read(
        &frame, traced->version, traced->inbound ? GH_MQTT_SERVER : GH_MQTT_CLIENT, &packet);
    if (fault != GH_MQTT_FAULT_NONE)
        put(line, "fault", json_string(gh_mqtt_fault_name(fault)));
    else
        shapes[frame.type](line, &packet);
}

bool gh_trace_line(const struct gh_trace_packet *packet, bool with_payload, struct gh_buffer *out)
{
    struct line line = {json_object(), packet->version, with_payload};
    char at[GH_TIME_TEXT_MAX];
    put(&line, "at", json_string(gh_time_print(packet->at_ms, at)));
    put(&line, "direction", json_string(packet->inbound ? "in" : "out"));
    put_packet(&line, packet);
    put_number(&line, "size", packet->bytes.size);
    put_text(&line, "address", packet->address);
    bool written = gh_json_write(line.object, out);
    json_decref(line.object);
    return written;
}
