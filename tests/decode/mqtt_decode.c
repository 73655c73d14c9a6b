/* mqtt-decode: reads lines "server|client VERSION HEX" from standard input, decodes the frame at
 * the start of the bytes as a packet, and prints one line for each: the packet as JSON, or "fault
 * NAME", or "frame STATUS". VERSION is 4 or 5. Bytes and texts are printed in hexadecimal, so that
 * nothing needs escaping and nothing is lost; properties are pairs of identifier and value in their
 * order. Exit 0, or 2 when a line is not of this form. */
#include "wire/mqtt/packet.h"
#include "wire/mqtt/property.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES_MAX = 1 << 18 };

static void print_hex(const char *before, struct gh_slice bytes)
{
    printf("%s\"", before);
    for (size_t i = 0; i < bytes.size; i++)
        printf("%02x", bytes.data[i]);
    putchar('"');
}

static const char *bool_text(bool value)
{
    return value ? "true" : "false";
}

static void print_properties(struct gh_slice properties)
{
    struct gh_mqtt_property_value value;
    const char *between = "";

    printf(",\"properties\":[");
    while (gh_mqtt_property_next(&properties, &value)) {
        printf("%s[%u,%u,", between, (unsigned)value.id, value.number);
        print_hex("", value.text);
        print_hex(",", value.value);
        putchar(']');
        between = ",";
    }
    putchar(']');
}

static void print_connect(const struct gh_mqtt_packet *packet)
{
    const struct gh_mqtt_connect *c = &packet->connect;

    printf(",\"version\":%d,\"clean\":%s,\"keepalive\":%u", (int)c->version, bool_text(c->clean),
           c->keep_alive_s);
    print_hex(",\"clientId\":", c->client_id);
    if (c->has_user_name)
        print_hex(",\"username\":", c->user_name);
    if (c->has_password)
        print_hex(",\"password\":", c->password);
    if (c->has_will) {
        printf(",\"will\":{\"qos\":%u,\"retain\":%s,\"delay\":%u", c->will_qos,
               bool_text(c->will_retain), c->will_delay_s);
        print_hex(",\"topic\":", c->will_topic);
        print_hex(",\"payload\":", c->will_payload);
        print_properties(c->will_properties);
        putchar('}');
    }
    print_properties(c->properties);
    printf(",\"decoded\":[%u,%u,%u,%u,%s,%s,%s", c->session_expiry_s, c->receive_max,
           c->packet_bytes_max, c->topic_alias_max, bool_text(c->request_problem),
           bool_text(c->request_response), bool_text(c->has_auth));
    print_hex(",", c->auth_method);
    print_hex(",", c->auth_data);
    putchar(']');
}

static void print_connack(const struct gh_mqtt_packet *packet)
{
    printf(",\"sessionPresent\":%s,\"code\":%u", bool_text(packet->connack.session_present),
           packet->connack.code);
    print_properties(packet->connack.properties);
}

static void print_publish(const struct gh_mqtt_packet *packet)
{
    const struct gh_mqtt_publish *p = &packet->publish;

    printf(",\"qos\":%u,\"dup\":%s,\"retain\":%s,\"id\":%u", p->qos, bool_text(p->dup),
           bool_text(p->retain), p->packet_id);
    print_hex(",\"topic\":", p->topic);
    print_hex(",\"payload\":", p->payload);
    print_properties(p->properties);
    printf(",\"decoded\":[%u,%s,%s,%u]", p->topic_alias, bool_text(p->payload_is_text),
           bool_text(p->has_expiry), p->expiry_s);
}

static void print_ack(const struct gh_mqtt_packet *packet)
{
    printf(",\"id\":%u,\"code\":%u", packet->ack.packet_id, packet->ack.reason);
    print_properties(packet->ack.properties);
}

static void print_filters(const struct gh_mqtt_packet *packet)
{
    struct gh_mqtt_filters at = packet->filters;
    struct gh_mqtt_filter filter;
    const char *between = "";

    printf(",\"id\":%u,\"identifier\":%u,\"filters\":[", at.packet_id, at.identifier);
    while (gh_mqtt_filter_next(&at, &filter)) {
        printf("%s[%u,%s,%s,%u,", between, filter.qos, bool_text(filter.no_local),
               bool_text(filter.retain_as_published), filter.retain_handling);
        print_hex("", filter.filter);
        putchar(']');
        between = ",";
    }
    putchar(']');
    print_properties(packet->filters.properties);
}

static void print_suback(const struct gh_mqtt_packet *packet)
{
    printf(",\"id\":%u", packet->suback.packet_id);
    print_hex(",\"codes\":", packet->suback.codes);
    print_properties(packet->suback.properties);
}

static void print_reason(const struct gh_mqtt_packet *packet)
{
    printf(",\"code\":%u", packet->reason.reason);
    print_properties(packet->reason.properties);
}

static void print_empty(const struct gh_mqtt_packet *packet)
{
    (void)packet;
}

static void (*const printers[16])(const struct gh_mqtt_packet *packet) = {
    [GH_MQTT_CONNECT] = print_connect, [GH_MQTT_CONNACK] = print_connack,
    [GH_MQTT_PUBLISH] = print_publish, [GH_MQTT_PUBACK] = print_ack,
    [GH_MQTT_PUBREC] = print_ack,      [GH_MQTT_PUBREL] = print_ack,
    [GH_MQTT_PUBCOMP] = print_ack,     [GH_MQTT_SUBSCRIBE] = print_filters,
    [GH_MQTT_SUBACK] = print_suback,   [GH_MQTT_UNSUBSCRIBE] = print_filters,
    [GH_MQTT_UNSUBACK] = print_suback, [GH_MQTT_PINGREQ] = print_empty,
    [GH_MQTT_PINGRESP] = print_empty,  [GH_MQTT_DISCONNECT] = print_reason,
    [GH_MQTT_AUTH] = print_reason,
};

static const char *const statuses[] = {
    [GH_MQTT_FRAME_OK] = "OK",
    [GH_MQTT_FRAME_MORE] = "MORE",
    [GH_MQTT_FRAME_MALFORMED] = "MALFORMED",
    [GH_MQTT_FRAME_TOO_LARGE] = "TOO_LARGE",
};

static void decode(struct gh_slice bytes, enum gh_mqtt_version version, enum gh_mqtt_reader reader)
{
    struct gh_mqtt_frame frame;
    struct gh_mqtt_packet packet;
    enum gh_mqtt_frame_status status = gh_mqtt_frame_read(bytes, LINE_BYTES_MAX, &frame);

    if (status != GH_MQTT_FRAME_OK) {
        printf("frame %s\n", statuses[status]);
        return;
    }
    enum gh_mqtt_fault fault = gh_mqtt_packet_read(&frame, version, reader, &packet);
    if (fault != GH_MQTT_FAULT_NONE) {
        printf("fault %s\n", gh_mqtt_fault_name(fault));
        return;
    }
    printf("{\"type\":\"%s\",\"size\":%zu", gh_mqtt_type_name(packet.type), frame.size);
    printers[packet.type](&packet);
    printf("}\n");
}

/* Reads hexadecimal in place; false when it is none. */
static bool from_hex(char *text, struct gh_slice *out)
{
    size_t size = strcspn(text, "\n");
    uint8_t *bytes = (uint8_t *)text;

    if (size % 2 != 0)
        return false;
    for (size_t i = 0; i < size / 2; i++) {
        char pair[3] = {text[2 * i], text[2 * i + 1], '\0'}, *end;
        bytes[i] = (uint8_t)strtoul(pair, &end, 16);
        if (end != pair + 2)
            return false;
    }
    *out = gh_slice(bytes, size / 2);
    return true;
}

int main(void)
{
    static char line[LINE_BYTES_MAX];
    struct gh_slice bytes;
    char reader[8];
    int version, offset;

    while (fgets(line, sizeof line, stdin) != NULL) {
        if (sscanf(line, "%7s %d %n", reader, &version, &offset) != 2 ||
            (version != GH_MQTT_V311 && version != GH_MQTT_V5) ||
            (strcmp(reader, "server") != 0 && strcmp(reader, "client") != 0) ||
            !from_hex(line + offset, &bytes)) {
            fprintf(stderr, "mqtt-decode: expected \"server|client 4|5 HEX\"\n");
            return 2;
        }
        decode(bytes, (enum gh_mqtt_version)version,
               reader[0] == 's' ? GH_MQTT_SERVER : GH_MQTT_CLIENT);
    }
    return 0;
}
