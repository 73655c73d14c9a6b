/* DISCONNECT (MQTT 3.1.1 and 5.0, §3.14) and AUTH (5.0 §3.15): a reason and what is said about it.
 */
#include "wire/mqtt/packet_internal.h"
#include <assert.h>

/* An empty body means reason 0. A DISCONNECT may also end behind its reason (§3.14.2.2.1); an AUTH
 * may not, since it names its method (§3.15.2.2.2). */
enum gh_mqtt_fault gh_mqtt_read_reason(struct gh_mqtt_reading *in, struct gh_mqtt_packet *out)
{
    struct gh_mqtt_reason *reason = &out->reason;
    bool empty = gh_cursor_left(&in->at) == 0;

    *reason = (struct gh_mqtt_reason){0};
    if (in->version == GH_MQTT_V311)
        return GH_MQTT_FAULT_NONE;
    if (!empty && !gh_cursor_u8(&in->at, &reason->reason))
        return GH_MQTT_FAULT_TRUNCATED;
    if (!gh_mqtt_reason_allowed(reason->reason, in->type, in->reader))
        return GH_MQTT_FAULT_CODE;
    if (empty || (in->type == GH_MQTT_DISCONNECT && gh_cursor_left(&in->at) == 0))
        return GH_MQTT_FAULT_NONE;
    return gh_mqtt_read_properties(in, in->type, NULL, out, &reason->properties);
}

bool gh_mqtt_write_reason(enum gh_mqtt_version version, enum gh_mqtt_type type,
                          struct gh_mqtt_reason reason, struct gh_buffer *out)
{
    assert(type == GH_MQTT_DISCONNECT || type == GH_MQTT_AUTH);
    assert(type == GH_MQTT_DISCONNECT || version == GH_MQTT_V5);
    if (version == GH_MQTT_V311 || (reason.reason == 0 && reason.properties.size == 0))
        return gh_mqtt_write_header(type, 0, 0, out);
    if (type == GH_MQTT_DISCONNECT && reason.properties.size == 0)
        return gh_mqtt_write_header(type, 0, 1, out) && gh_buffer_u8(out, reason.reason);
    return gh_mqtt_write_header(type, 0, 1 + gh_mqtt_properties_size(version, reason.properties),
                                out) &&
           gh_buffer_u8(out, reason.reason) &&
           gh_mqtt_put_properties(version, reason.properties, out);
}
