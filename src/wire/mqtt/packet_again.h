/* For the tests and the fuzz target of the packet codec: writes back what was read. */
#ifndef GH_WIRE_MQTT_PACKET_AGAIN_H
#define GH_WIRE_MQTT_PACKET_AGAIN_H

#include "wire/mqtt/packet.h"
#include <assert.h>

enum { AGAIN_FILTERS_MAX = 64 };

static inline bool again_write_filters(enum gh_mqtt_version version,
                                       const struct gh_mqtt_packet *packet, struct gh_buffer *out)
{
    struct gh_mqtt_filters at = packet->filters;
    struct gh_mqtt_filter filters[AGAIN_FILTERS_MAX];
    size_t count = 0;

    if (packet->filters.count > AGAIN_FILTERS_MAX)
        return false;
    while (count < AGAIN_FILTERS_MAX && gh_mqtt_filter_next(&at, &filters[count]))
        count++;
    assert(count == packet->filters.count);
    assert(at.entries.size == 0);
    return gh_mqtt_write_filters(version, packet->type, &packet->filters, filters, count, out);
}

/* False when it does not fit, or has more than AGAIN_FILTERS_MAX filters. */
static inline bool again_write(enum gh_mqtt_version version, const struct gh_mqtt_packet *packet,
                               struct gh_buffer *out)
{
    switch (packet->type) {
    case GH_MQTT_CONNECT:
        return gh_mqtt_write_connect(&packet->connect, out);
    case GH_MQTT_CONNACK:
        return gh_mqtt_write_connack(version, packet->connack, out);
    case GH_MQTT_PUBLISH:
        return gh_mqtt_write_publish(version, &packet->publish, out);
    case GH_MQTT_SUBSCRIBE:
    case GH_MQTT_UNSUBSCRIBE:
        return again_write_filters(version, packet, out);
    case GH_MQTT_SUBACK:
    case GH_MQTT_UNSUBACK:
        return gh_mqtt_write_suback(version, packet->type, packet->suback, out);
    case GH_MQTT_PINGREQ:
    case GH_MQTT_PINGRESP:
        return gh_mqtt_write_empty(packet->type, out);
    case GH_MQTT_DISCONNECT:
    case GH_MQTT_AUTH:
        return gh_mqtt_write_reason(version, packet->type, packet->reason, out);
    default:
        return gh_mqtt_write_ack(version, packet->type, packet->ack, out);
    }
}
#endif
