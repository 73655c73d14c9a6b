/* SUBSCRIBE, SUBACK, UNSUBSCRIBE and UNSUBACK (MQTT 3.1.1 and 5.0, §3.8 to §3.11). */
#include "wire/mqtt/packet_internal.h"
#include "wire/mqtt/topic.h"
#include "wire/utf8.h"
#include <assert.h>

/* Subscription options (§3.8.3.1); 3.1.1 has the QoS only. */
enum {
    OPTION_QOS = 0x03,
    OPTION_NO_LOCAL = 0x04,
    OPTION_RETAIN_AS_PUBLISHED = 0x08,
    OPTION_RETAIN_HANDLING = 0x30,
    OPTION_RESERVED = 0xc0,
};
enum { RETAIN_HANDLING_SHIFT = 4 };

static enum gh_mqtt_fault options_fault(uint8_t options, struct gh_slice filter,
                                        enum gh_mqtt_version version)
{
    struct gh_slice name, inner;

    if (version == GH_MQTT_V311)
        return options <= 2 ? GH_MQTT_FAULT_NONE : GH_MQTT_FAULT_QOS;
    if ((options & OPTION_RESERVED) != 0)
        return GH_MQTT_FAULT_OPTIONS;
    if ((options & OPTION_QOS) == 3)
        return GH_MQTT_FAULT_QOS;
    if ((options & OPTION_RETAIN_HANDLING) == OPTION_RETAIN_HANDLING)
        return GH_MQTT_FAULT_RETAIN_HANDLING;
    if ((options & OPTION_NO_LOCAL) != 0 && gh_mqtt_share_split(filter, &name, &inner))
        return GH_MQTT_FAULT_NO_LOCAL;
    return GH_MQTT_FAULT_NONE;
}

static enum gh_mqtt_fault read_filter(struct gh_mqtt_reading *in, bool with_options)
{
    struct gh_slice filter;
    uint8_t options;

    if (!gh_cursor_take16(&in->at, &filter))
        return GH_MQTT_FAULT_TRUNCATED;
    if (!gh_mqtt_filter_valid(filter))
        return gh_utf8_valid_mqtt(filter) ? GH_MQTT_FAULT_FILTER : GH_MQTT_FAULT_UTF8;
    if (!with_options)
        return GH_MQTT_FAULT_NONE;
    return gh_cursor_u8(&in->at, &options) ? options_fault(options, filter, in->version)
                                           : GH_MQTT_FAULT_TRUNCATED;
}

/* §3.8.2.1 */
static void take_property(const struct gh_mqtt_property_value *value, struct gh_mqtt_packet *out)
{
    if (value->id == GH_MQTT_PROPERTY_SUBSCRIPTION_ID)
        out->filters.identifier = value->number;
}

/* Checks every entry now, so that walking them later cannot fail. */
static enum gh_mqtt_fault read_filters(struct gh_mqtt_reading *in, bool with_options,
                                       struct gh_mqtt_packet *out)
{
    struct gh_mqtt_filters *filters = &out->filters;

    *filters = (struct gh_mqtt_filters){.with_options = with_options};
    enum gh_mqtt_fault fault = gh_mqtt_read_packet_id(&in->at, &filters->packet_id);
    if (fault == GH_MQTT_FAULT_NONE)
        fault = gh_mqtt_read_properties(in, in->type, take_property, out, &filters->properties);
    filters->entries = in->at.rest;
    if (fault == GH_MQTT_FAULT_NONE && gh_cursor_left(&in->at) == 0)
        fault = GH_MQTT_FAULT_NO_FILTER;
    while (fault == GH_MQTT_FAULT_NONE && gh_cursor_left(&in->at) != 0) {
        fault = read_filter(in, with_options);
        filters->count++;
    }
    return fault;
}

enum gh_mqtt_fault gh_mqtt_read_subscribe(struct gh_mqtt_reading *in, struct gh_mqtt_packet *out)
{
    return read_filters(in, true, out);
}

enum gh_mqtt_fault gh_mqtt_read_unsubscribe(struct gh_mqtt_reading *in, struct gh_mqtt_packet *out)
{
    return read_filters(in, false, out);
}

bool gh_mqtt_filter_next(struct gh_mqtt_filters *at, struct gh_mqtt_filter *out)
{
    struct gh_cursor cursor = gh_cursor(at->entries);
    uint8_t options = 0;

    *out = (struct gh_mqtt_filter){0};
    if (!gh_cursor_take16(&cursor, &out->filter) ||
        (at->with_options && !gh_cursor_u8(&cursor, &options)))
        return false;
    out->qos = options & OPTION_QOS;
    out->no_local = (options & OPTION_NO_LOCAL) != 0;
    out->retain_as_published = (options & OPTION_RETAIN_AS_PUBLISHED) != 0;
    out->retain_handling = (uint8_t)((options & OPTION_RETAIN_HANDLING) >> RETAIN_HANDLING_SHIFT);
    at->entries = cursor.rest;
    return true;
}

static uint8_t options_of(enum gh_mqtt_version version, const struct gh_mqtt_filter *filter)
{
    assert(filter->qos <= 2);
    assert(filter->retain_handling <= 2);
    if (version == GH_MQTT_V311)
        return filter->qos;
    return (uint8_t)(filter->qos | (filter->no_local ? OPTION_NO_LOCAL : 0) |
                     (filter->retain_as_published ? OPTION_RETAIN_AS_PUBLISHED : 0) |
                     filter->retain_handling << RETAIN_HANDLING_SHIFT);
}

bool gh_mqtt_write_filters(enum gh_mqtt_version version, enum gh_mqtt_type type,
                           const struct gh_mqtt_filters *head,
                           const struct gh_mqtt_filter filters[], size_t count,
                           struct gh_buffer *out)
{
    bool with_options = type == GH_MQTT_SUBSCRIBE;
    size_t size = 2 + gh_mqtt_properties_size(version, head->properties);

    assert(type == GH_MQTT_SUBSCRIBE || type == GH_MQTT_UNSUBSCRIBE);
    assert(head->packet_id != 0 && count != 0);
    for (size_t i = 0; i < count; i++) {
        size += 2 + filters[i].filter.size + (with_options ? 1u : 0u);
        if (filters[i].filter.size > UINT16_MAX) {
            out->overflow = true;
            return false;
        }
    }
    if (!gh_mqtt_write_header(type, 0x02, size, out))
        return false;
    gh_buffer_u16(out, head->packet_id);
    gh_mqtt_put_properties(version, head->properties, out);
    for (size_t i = 0; i < count; i++) {
        gh_buffer_put16(out, filters[i].filter);
        if (with_options)
            gh_buffer_u8(out, options_of(version, &filters[i]));
    }
    return true;
}

static bool code_valid(const struct gh_mqtt_reading *in, uint8_t code)
{
    return in->version == GH_MQTT_V5 ? gh_mqtt_reason_allowed(code, in->type, in->reader)
                                     : code <= 2 || code == GH_MQTT_SUBACK_REFUSED;
}

enum gh_mqtt_fault gh_mqtt_read_suback(struct gh_mqtt_reading *in, struct gh_mqtt_packet *out)
{
    struct gh_mqtt_suback *suback = &out->suback;

    *suback = (struct gh_mqtt_suback){0};
    enum gh_mqtt_fault fault = gh_mqtt_read_packet_id(&in->at, &suback->packet_id);
    if (fault == GH_MQTT_FAULT_NONE)
        fault = gh_mqtt_read_properties(in, in->type, NULL, out, &suback->properties);
    if (fault != GH_MQTT_FAULT_NONE)
        return fault;
    if (gh_cursor_left(&in->at) == 0 ||
        !gh_cursor_take(&in->at, gh_cursor_left(&in->at), &suback->codes))
        return GH_MQTT_FAULT_TRUNCATED;
    for (size_t i = 0; i < suback->codes.size; i++) {
        if (!code_valid(in, suback->codes.data[i]))
            return GH_MQTT_FAULT_CODE;
    }
    return GH_MQTT_FAULT_NONE;
}

/* In 3.1.1 an UNSUBACK says no more than its packet id. */
enum gh_mqtt_fault gh_mqtt_read_unsuback(struct gh_mqtt_reading *in, struct gh_mqtt_packet *out)
{
    if (in->version == GH_MQTT_V5)
        return gh_mqtt_read_suback(in, out);
    out->suback = (struct gh_mqtt_suback){0};
    return gh_mqtt_read_packet_id(&in->at, &out->suback.packet_id);
}

bool gh_mqtt_write_suback(enum gh_mqtt_version version, enum gh_mqtt_type type,
                          struct gh_mqtt_suback suback, struct gh_buffer *out)
{
    bool with_codes = type == GH_MQTT_SUBACK || version == GH_MQTT_V5;
    size_t size = 2 + gh_mqtt_properties_size(version, suback.properties) +
                  (with_codes ? suback.codes.size : 0);

    assert(type == GH_MQTT_SUBACK || type == GH_MQTT_UNSUBACK);
    assert(suback.packet_id != 0);
    assert(!with_codes || suback.codes.size != 0);
    return gh_mqtt_write_header(type, 0, size, out) && gh_buffer_u16(out, suback.packet_id) &&
           gh_mqtt_put_properties(version, suback.properties, out) &&
           (!with_codes || gh_buffer_put(out, suback.codes));
}
