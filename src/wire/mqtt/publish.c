/* PUBLISH (MQTT 3.1.1 and 5.0, §3.3) and its acknowledgements PUBACK, PUBREC, PUBREL and PUBCOMP
 * (§3.4 to §3.7). */
#include "wire/mqtt/packet_internal.h"
#include "wire/mqtt/topic.h"
#include "wire/utf8.h"
#include <assert.h>

enum { FLAG_RETAIN = 0x01, FLAG_QOS = 0x06, FLAG_DUP = 0x08 }; /* §3.3.1 */

/* §3.3.2.3 */
static void take_property(const struct gh_mqtt_property_value *value, struct gh_mqtt_packet *out)
{
    struct gh_mqtt_publish *publish = &out->publish;

    switch ((unsigned)value->id) {
    case GH_MQTT_PROPERTY_PAYLOAD_FORMAT:
        publish->payload_is_text = value->number != 0;
        break;
    case GH_MQTT_PROPERTY_MESSAGE_EXPIRY:
        publish->has_expiry = true;
        publish->expiry_s = value->number;
        break;
    case GH_MQTT_PROPERTY_TOPIC_ALIAS:
        publish->topic_alias = (uint16_t)value->number;
        break;
    }
}

/* In MQTT 5 the name may be left to an alias; whether there is one is known later. */
static enum gh_mqtt_fault read_topic(struct gh_mqtt_reading *in, struct gh_slice *topic)
{
    if (!gh_cursor_take16(&in->at, topic))
        return GH_MQTT_FAULT_TRUNCATED;
    if (topic->size == 0 && in->version == GH_MQTT_V5)
        return GH_MQTT_FAULT_NONE;
    if (!gh_mqtt_topic_valid(*topic))
        return gh_utf8_valid_mqtt(*topic) ? GH_MQTT_FAULT_TOPIC : GH_MQTT_FAULT_UTF8;
    return GH_MQTT_FAULT_NONE;
}

enum gh_mqtt_fault gh_mqtt_read_publish(struct gh_mqtt_reading *in, struct gh_mqtt_packet *out)
{
    struct gh_mqtt_publish *publish = &out->publish;

    *publish = (struct gh_mqtt_publish){.qos = (uint8_t)((in->flags & FLAG_QOS) >> 1),
                                        .dup = (in->flags & FLAG_DUP) != 0,
                                        .retain = (in->flags & FLAG_RETAIN) != 0};
    if (publish->dup && publish->qos == 0)
        return GH_MQTT_FAULT_DUP;
    enum gh_mqtt_fault fault = read_topic(in, &publish->topic);
    if (fault == GH_MQTT_FAULT_NONE && publish->qos > 0)
        fault = gh_mqtt_read_packet_id(&in->at, &publish->packet_id);
    if (fault == GH_MQTT_FAULT_NONE)
        fault =
            gh_mqtt_read_properties(in, GH_MQTT_PUBLISH, take_property, out, &publish->properties);
    if (fault != GH_MQTT_FAULT_NONE)
        return fault;
    if (publish->topic.size == 0 && publish->topic_alias == 0)
        return GH_MQTT_FAULT_NO_TOPIC;
    bool taken = gh_cursor_take(&in->at, gh_cursor_left(&in->at), &publish->payload);
    assert(taken);
    (void)taken;
    return GH_MQTT_FAULT_NONE;
}

static size_t body_size(enum gh_mqtt_version version, const struct gh_mqtt_publish *publish)
{
    return 2 + publish->topic.size + (publish->qos > 0 ? 2u : 0u) +
           gh_mqtt_properties_size(version, publish->properties) + publish->payload.size;
}

size_t gh_mqtt_publish_size(enum gh_mqtt_version version, const struct gh_mqtt_publish *publish)
{
    return gh_mqtt_packet_size(body_size(version, publish));
}

bool gh_mqtt_write_publish(enum gh_mqtt_version version, const struct gh_mqtt_publish *publish,
                           struct gh_buffer *out)
{
    unsigned flags = (unsigned)publish->qos << 1 | (publish->retain ? FLAG_RETAIN : 0) |
                     (publish->dup ? FLAG_DUP : 0);

    assert(publish->qos <= 2);
    assert((publish->packet_id != 0) == (publish->qos > 0));
    if (publish->topic.size > UINT16_MAX) {
        out->overflow = true;
        return false;
    }
    if (!gh_mqtt_write_header(GH_MQTT_PUBLISH, (uint8_t)flags, body_size(version, publish), out))
        return false;
    gh_buffer_put16(out, publish->topic);
    if (publish->qos > 0)
        gh_buffer_u16(out, publish->packet_id);
    gh_mqtt_put_properties(version, publish->properties, out);
    return gh_buffer_put(out, publish->payload);
}

/* In MQTT 5 a packet that ends behind its id means success, and one that ends behind its reason has
 * no properties (§3.4.2.1, §3.4.2.2.1). */
enum gh_mqtt_fault gh_mqtt_read_ack(struct gh_mqtt_reading *in, struct gh_mqtt_packet *out)
{
    struct gh_mqtt_ack *ack = &out->ack;

    *ack = (struct gh_mqtt_ack){0};
    enum gh_mqtt_fault fault = gh_mqtt_read_packet_id(&in->at, &ack->packet_id);
    if (fault != GH_MQTT_FAULT_NONE || in->version == GH_MQTT_V311 ||
        !gh_cursor_u8(&in->at, &ack->reason))
        return fault;
    if (!gh_mqtt_reason_allowed(ack->reason, in->type, in->reader))
        return GH_MQTT_FAULT_CODE;
    return gh_cursor_left(&in->at) == 0
               ? GH_MQTT_FAULT_NONE
               : gh_mqtt_read_properties(in, in->type, NULL, out, &ack->properties);
}

bool gh_mqtt_write_ack(enum gh_mqtt_version version, enum gh_mqtt_type type, struct gh_mqtt_ack ack,
                       struct gh_buffer *out)
{
    bool properties = version == GH_MQTT_V5 && ack.properties.size != 0;
    bool reason = version == GH_MQTT_V5 && (properties || ack.reason != 0);
    size_t size = 2 + (reason ? 1u : 0u) +
                  (properties ? gh_mqtt_properties_size(version, ack.properties) : 0);

    assert(type >= GH_MQTT_PUBACK && type <= GH_MQTT_PUBCOMP);
    assert(ack.packet_id != 0);
    return gh_mqtt_write_header(type, type == GH_MQTT_PUBREL ? 0x02 : 0, size, out) &&
           gh_buffer_u16(out, ack.packet_id) && (!reason || gh_buffer_u8(out, ack.reason)) &&
           (!properties || gh_mqtt_put_properties(version, ack.properties, out));
}
