/* PUBLISH (MQTT 3.1.1 §3.3) and the packets of a packet id only: PUBACK, PUBREC, PUBREL, PUBCOMP
 * (§3.4 to §3.7) and UNSUBACK (§3.11). */
#include "wire/mqtt/packet_internal.h"
#include "wire/mqtt/topic.h"
#include "wire/utf8.h"
#include <assert.h>

enum { FLAG_RETAIN = 0x01, FLAG_QOS = 0x06, FLAG_DUP = 0x08 }; /* §3.3.1 */

enum gh_mqtt_fault gh_mqtt_read_publish(struct gh_cursor *at, uint8_t flags,
                                        struct gh_mqtt_packet *out)
{
    struct gh_mqtt_publish *publish = &out->publish;

    publish->retain = (flags & FLAG_RETAIN) != 0;
    publish->dup = (flags & FLAG_DUP) != 0;
    publish->qos = (uint8_t)((flags & FLAG_QOS) >> 1);
    if (publish->dup && publish->qos == 0)
        return GH_MQTT_FAULT_DUP;
    if (!gh_cursor_take16(at, &publish->topic))
        return GH_MQTT_FAULT_TRUNCATED;
    if (!gh_mqtt_topic_valid(publish->topic))
        return gh_utf8_valid_mqtt(publish->topic) ? GH_MQTT_FAULT_TOPIC : GH_MQTT_FAULT_UTF8;
    if (publish->qos > 0) {
        enum gh_mqtt_fault fault = gh_mqtt_read_packet_id(at, &publish->packet_id);
        if (fault != GH_MQTT_FAULT_NONE)
            return fault;
    }
    bool taken = gh_cursor_take(at, gh_cursor_left(at), &publish->payload);
    assert(taken);
    (void)taken;
    return GH_MQTT_FAULT_NONE;
}

static size_t body_size(const struct gh_mqtt_publish *publish)
{
    return 2 + publish->topic.size + (publish->qos > 0 ? 2u : 0u) + publish->payload.size;
}

size_t gh_mqtt_publish_size(const struct gh_mqtt_publish *publish)
{
    return gh_mqtt_packet_size(body_size(publish));
}

bool gh_mqtt_write_publish(const struct gh_mqtt_publish *publish, struct gh_buffer *out)
{
    unsigned flags = (unsigned)publish->qos << 1 | (publish->retain ? FLAG_RETAIN : 0) |
                     (publish->dup ? FLAG_DUP : 0);

    assert(publish->qos <= 2);
    assert((publish->packet_id != 0) == (publish->qos > 0));
    if (publish->topic.size > UINT16_MAX) {
        out->overflow = true;
        return false;
    }
    if (!gh_mqtt_write_header(GH_MQTT_PUBLISH, (uint8_t)flags, body_size(publish), out))
        return false;
    gh_buffer_put16(out, publish->topic);
    if (publish->qos > 0)
        gh_buffer_u16(out, publish->packet_id);
    return gh_buffer_put(out, publish->payload);
}

enum gh_mqtt_fault gh_mqtt_read_ack(struct gh_cursor *at, uint8_t flags, struct gh_mqtt_packet *out)
{
    (void)flags;
    return gh_mqtt_read_packet_id(at, &out->packet_id);
}

bool gh_mqtt_write_ack(enum gh_mqtt_type type, uint16_t packet_id, struct gh_buffer *out)
{
    assert((type >= GH_MQTT_PUBACK && type <= GH_MQTT_PUBCOMP) || type == GH_MQTT_UNSUBACK);
    assert(packet_id != 0);
    return gh_mqtt_write_header(type, type == GH_MQTT_PUBREL ? 0x02 : 0, 2, out) &&
           gh_buffer_u16(out, packet_id);
}
