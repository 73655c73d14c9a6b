#include "wire/mqtt/packet.h"
#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FILTERS_MAX = 64 };

static bool write_filters(const struct gh_mqtt_packet *packet, struct gh_buffer *out)
{
    struct gh_mqtt_filters at = packet->filters;
    struct gh_slice filters[FILTERS_MAX];
    uint8_t qos[FILTERS_MAX];
    size_t count = 0;

    if (packet->filters.count > FILTERS_MAX)
        return false;
    while (count < FILTERS_MAX && gh_mqtt_filter_next(&at, &filters[count], &qos[count]))
        count++;
    assert(count == packet->filters.count);
    return gh_mqtt_write_filters(packet->filters.packet_id, filters,
                                 packet->type == GH_MQTT_SUBSCRIBE ? qos : NULL, count, out);
}

static bool write_again(const struct gh_mqtt_packet *packet, struct gh_buffer *out)
{
    switch (packet->type) {
    case GH_MQTT_CONNECT:
        return gh_mqtt_write_connect(&packet->connect, out);
    case GH_MQTT_CONNACK:
        return gh_mqtt_write_connack(packet->connack, out);
    case GH_MQTT_PUBLISH:
        return gh_mqtt_write_publish(&packet->publish, out);
    case GH_MQTT_SUBSCRIBE:
    case GH_MQTT_UNSUBSCRIBE:
        return write_filters(packet, out);
    case GH_MQTT_SUBACK:
        return gh_mqtt_write_suback(packet->suback, out);
    case GH_MQTT_PINGREQ:
    case GH_MQTT_PINGRESP:
    case GH_MQTT_DISCONNECT:
        return gh_mqtt_write_empty(packet->type, out);
    default:
        return gh_mqtt_write_ack(packet->type, packet->packet_id, out);
    }
}

static void read_one(const struct gh_mqtt_frame *frame, enum gh_mqtt_reader reader)
{
    struct gh_mqtt_packet packet;
    struct gh_mqtt_frame again;
    struct gh_buffer out;

    if (gh_mqtt_packet_read(frame, GH_MQTT_V311, reader, &packet) != GH_MQTT_FAULT_NONE)
        return;
    gh_buffer_init(&out, 1 << 20);
    if (write_again(&packet, &out)) {
        bool read = gh_mqtt_frame_read(gh_buffer_slice(&out), out.size, &again) == GH_MQTT_FRAME_OK;
        assert(read && again.type == frame->type && again.flags == frame->flags);
        assert(gh_slice_equal(again.body, frame->body));
    }
    gh_buffer_deinit(&out);
}

/* A stream of frames: each that can be read as a packet is written back to the same bytes (but for
 * a length in more bytes than it needs). */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gh_slice rest = gh_slice(data, size);
    struct gh_mqtt_frame frame;

    while (gh_mqtt_frame_read(rest, 1 << 16, &frame) == GH_MQTT_FRAME_OK) {
        read_one(&frame, GH_MQTT_SERVER);
        read_one(&frame, GH_MQTT_CLIENT);
        rest = gh_slice_sub(rest, frame.size, rest.size - frame.size);
    }
    return 0;
}
