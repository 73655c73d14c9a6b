/* SUBSCRIBE (MQTT 3.1.1 §3.8), SUBACK (§3.9) and UNSUBSCRIBE (§3.10). */
#include "wire/mqtt/packet_internal.h"
#include "wire/mqtt/topic.h"
#include "wire/utf8.h"
#include <assert.h>

static enum gh_mqtt_fault read_filter(struct gh_cursor *at, bool with_qos)
{
    struct gh_slice filter;
    uint8_t qos = 0;

    if (!gh_cursor_take16(at, &filter))
        return GH_MQTT_FAULT_TRUNCATED;
    if (!gh_mqtt_filter_valid(filter))
        return gh_utf8_valid_mqtt(filter) ? GH_MQTT_FAULT_FILTER : GH_MQTT_FAULT_UTF8;
    if (with_qos && !gh_cursor_u8(at, &qos))
        return GH_MQTT_FAULT_TRUNCATED;
    return qos <= 2 ? GH_MQTT_FAULT_NONE : GH_MQTT_FAULT_QOS;
}

/* Checks every entry now, so that walking them later cannot fail. */
static enum gh_mqtt_fault read_filters(struct gh_cursor *at, bool with_qos,
                                       struct gh_mqtt_filters *filters)
{
    enum gh_mqtt_fault fault = gh_mqtt_read_packet_id(at, &filters->packet_id);

    filters->with_qos = with_qos;
    filters->entries = at->rest;
    if (fault == GH_MQTT_FAULT_NONE && gh_cursor_left(at) == 0)
        fault = GH_MQTT_FAULT_NO_FILTER;
    while (fault == GH_MQTT_FAULT_NONE && gh_cursor_left(at) != 0) {
        fault = read_filter(at, with_qos);
        filters->count++;
    }
    return fault;
}

enum gh_mqtt_fault gh_mqtt_read_subscribe(struct gh_cursor *at, uint8_t flags,
                                          struct gh_mqtt_packet *out)
{
    (void)flags;
    return read_filters(at, true, &out->filters);
}

enum gh_mqtt_fault gh_mqtt_read_unsubscribe(struct gh_cursor *at, uint8_t flags,
                                            struct gh_mqtt_packet *out)
{
    (void)flags;
    return read_filters(at, false, &out->filters);
}

bool gh_mqtt_filter_next(struct gh_mqtt_filters *at, struct gh_slice *filter, uint8_t *qos)
{
    struct gh_cursor cursor = gh_cursor(at->entries);

    *qos = 0;
    if (!gh_cursor_take16(&cursor, filter) || (at->with_qos && !gh_cursor_u8(&cursor, qos)))
        return false;
    at->entries = cursor.rest;
    return true;
}

bool gh_mqtt_write_filters(uint16_t packet_id, const struct gh_slice filters[], const uint8_t qos[],
                           size_t count, struct gh_buffer *out)
{
    enum gh_mqtt_type type = qos != NULL ? GH_MQTT_SUBSCRIBE : GH_MQTT_UNSUBSCRIBE;
    size_t size = 2;

    assert(packet_id != 0 && count != 0);
    for (size_t i = 0; i < count; i++) {
        size += 2 + filters[i].size + (qos != NULL ? 1u : 0u);
        if (filters[i].size > UINT16_MAX) {
            out->overflow = true;
            return false;
        }
    }
    if (!gh_mqtt_write_header(type, 0x02, size, out))
        return false;
    gh_buffer_u16(out, packet_id);
    for (size_t i = 0; i < count; i++) {
        gh_buffer_put16(out, filters[i]);
        if (qos != NULL)
            gh_buffer_u8(out, qos[i]);
    }
    return true;
}

static bool suback_code_valid(uint8_t code)
{
    return code <= 2 || code == GH_MQTT_SUBACK_REFUSED;
}

enum gh_mqtt_fault gh_mqtt_read_suback(struct gh_cursor *at, uint8_t flags,
                                       struct gh_mqtt_packet *out)
{
    struct gh_mqtt_suback *suback = &out->suback;
    enum gh_mqtt_fault fault = gh_mqtt_read_packet_id(at, &suback->packet_id);

    (void)flags;
    if (fault != GH_MQTT_FAULT_NONE)
        return fault;
    if (gh_cursor_left(at) == 0 || !gh_cursor_take(at, gh_cursor_left(at), &suback->codes))
        return GH_MQTT_FAULT_TRUNCATED;
    for (size_t i = 0; i < suback->codes.size; i++) {
        if (!suback_code_valid(suback->codes.data[i]))
            return GH_MQTT_FAULT_CODE;
    }
    return GH_MQTT_FAULT_NONE;
}

bool gh_mqtt_write_suback(struct gh_mqtt_suback suback, struct gh_buffer *out)
{
    assert(suback.packet_id != 0 && suback.codes.size != 0);
    return gh_mqtt_write_header(GH_MQTT_SUBACK, 0, 2 + suback.codes.size, out) &&
           gh_buffer_u16(out, suback.packet_id) && gh_buffer_put(out, suback.codes);
}
