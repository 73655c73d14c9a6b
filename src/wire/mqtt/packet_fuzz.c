#include "wire/mqtt/packet_again.h"
#include "wire/mqtt/property.h"
#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Those of MQTT 5 that may be written shorter than they came. */
static bool has_short_form(enum gh_mqtt_type type)
{
    return (type >= GH_MQTT_PUBACK && type <= GH_MQTT_PUBCOMP) || type == GH_MQTT_DISCONNECT ||
           type == GH_MQTT_AUTH;
}

/* Walks to the end, and copies into a block that is the same again. */
static void walk(struct gh_slice properties)
{
    struct gh_mqtt_property_value value, found;
    struct gh_slice at = properties;
    struct gh_buffer out;

    while (gh_mqtt_property_next(&at, &value)) {
        bool there = gh_mqtt_property_find(properties, value.id, &found);
        assert(there && found.id == value.id);
    }
    assert(at.size == 0);
    gh_buffer_init(&out, 1 << 16);
    bool copied = gh_mqtt_property_copy(&out, properties, 0);
    assert(copied && gh_slice_equal(gh_buffer_slice(&out), properties));
    gh_buffer_clear(&out);
    copied = gh_mqtt_property_copy(&out, properties, UINT64_MAX);
    assert(copied && out.size == 0);
    gh_buffer_deinit(&out);
}

static struct gh_slice properties_of(const struct gh_mqtt_packet *packet)
{
    switch (packet->type) {
    case GH_MQTT_CONNECT:
        return packet->connect.properties;
    case GH_MQTT_CONNACK:
        return packet->connack.properties;
    case GH_MQTT_PUBLISH:
        return packet->publish.properties;
    case GH_MQTT_SUBSCRIBE:
    case GH_MQTT_UNSUBSCRIBE:
        return packet->filters.properties;
    case GH_MQTT_SUBACK:
    case GH_MQTT_UNSUBACK:
        return packet->suback.properties;
    case GH_MQTT_DISCONNECT:
    case GH_MQTT_AUTH:
        return packet->reason.properties;
    case GH_MQTT_PINGREQ:
    case GH_MQTT_PINGRESP:
        return GH_SLICE("");
    default:
        return packet->ack.properties;
    }
}

static void read_one(const struct gh_mqtt_frame *frame, enum gh_mqtt_version version,
                     enum gh_mqtt_reader reader)
{
    struct gh_mqtt_packet packet;
    struct gh_mqtt_frame again;
    struct gh_buffer out;

    if (gh_mqtt_packet_read(frame, version, reader, &packet) != GH_MQTT_FAULT_NONE)
        return;
    if (packet.type == GH_MQTT_CONNECT)
        version = packet.connect.version;
    struct gh_slice properties = properties_of(&packet);
    assert(version == GH_MQTT_V5 || properties.size == 0);
    walk(properties);
    if (packet.type == GH_MQTT_CONNECT)
        walk(packet.connect.will_properties);
    gh_buffer_init(&out, 1 << 20);
    if (again_write(version, &packet, &out)) {
        bool read = gh_mqtt_frame_read(gh_buffer_slice(&out), out.size, &again) == GH_MQTT_FRAME_OK;
        assert(read && again.type == frame->type && again.flags == frame->flags);
        if (version == GH_MQTT_V5 && has_short_form(frame->type))
            assert(again.body.size <= frame->body.size);
        else
            assert(gh_slice_equal(again.body, frame->body));
        enum gh_mqtt_fault fault = gh_mqtt_packet_read(&again, version, reader, &packet);
        assert(fault == GH_MQTT_FAULT_NONE);
        assert(gh_slice_equal(properties_of(&packet), properties));
    }
    gh_buffer_deinit(&out);
}

/* A stream of frames: each that can be read as a packet, of either version and by either side, is
 * written back to the same bytes (but for a length in more bytes than it needs, and what MQTT 5
 * says shorter). */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gh_slice rest = gh_slice(data, size);
    struct gh_mqtt_frame frame;

    while (gh_mqtt_frame_read(rest, 1 << 16, &frame) == GH_MQTT_FRAME_OK) {
        read_one(&frame, GH_MQTT_V311, GH_MQTT_SERVER);
        read_one(&frame, GH_MQTT_V311, GH_MQTT_CLIENT);
        read_one(&frame, GH_MQTT_V5, GH_MQTT_SERVER);
        read_one(&frame, GH_MQTT_V5, GH_MQTT_CLIENT);
        rest = gh_slice_sub(rest, frame.size, rest.size - frame.size);
    }
    return 0;
}
