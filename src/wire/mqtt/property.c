#include "wire/mqtt/property.h"
#include "wire/mqtt/packet_internal.h"
#include "wire/mqtt/topic.h"
#include "wire/utf8.h"
#include <assert.h>

enum kind {
    KIND_NONE,
    KIND_U8,
    KIND_U16,
    KIND_U32,
    KIND_INTEGER,
    KIND_TEXT,
    KIND_TOPIC,
    KIND_BYTES,
    KIND_PAIR
};

/* The places of properties as bits of the table's columns. */
#define IN(type) (1u << GH_MQTT_##type)
enum {
    WILL = IN(WILL),
    CONNECT = IN(CONNECT),
    CONNACK = IN(CONNACK),
    PUBLISH = IN(PUBLISH),
    SUBSCRIBE = IN(SUBSCRIBE),
    DISCONNECT = IN(DISCONNECT),
    AUTH = IN(AUTH),
    ACKS = IN(PUBACK) | IN(PUBREC) | IN(PUBREL) | IN(PUBCOMP),
    SUBACKS = IN(SUBACK) | IN(UNSUBACK),
    ANY = 0xffff,
};

/* §2.2.2.2, table 2-4, with what the sections of the packets add: where a server may find the
 * property, where a client may, where it may come more than once, and of a number the least and the
 * most it may be. */
struct rule {
    uint8_t kind;
    uint16_t to_server, to_client, repeats;
    uint32_t min, max;
};
static const struct rule rules[] = {
    [GH_MQTT_PROPERTY_PAYLOAD_FORMAT] = {KIND_U8, PUBLISH | WILL, PUBLISH, 0, 0, 1},
    [GH_MQTT_PROPERTY_MESSAGE_EXPIRY] = {KIND_U32, PUBLISH | WILL, PUBLISH, 0, 0, UINT32_MAX},
    [GH_MQTT_PROPERTY_CONTENT_TYPE] = {KIND_TEXT, PUBLISH | WILL, PUBLISH, 0, 0, 0},
    [GH_MQTT_PROPERTY_RESPONSE_TOPIC] = {KIND_TOPIC, PUBLISH | WILL, PUBLISH, 0, 0, 0},
    [GH_MQTT_PROPERTY_CORRELATION_DATA] = {KIND_BYTES, PUBLISH | WILL, PUBLISH, 0, 0, 0},
    /* Only a server puts it into a PUBLISH, and then one for each subscription that matched
     * [MQTT-3.3.4-3..6]. */
    [GH_MQTT_PROPERTY_SUBSCRIPTION_ID] = {KIND_INTEGER, SUBSCRIBE, PUBLISH, PUBLISH, 1,
                                          GH_MQTT_BODY_BYTES_MAX},
    /* Not in a server's DISCONNECT [MQTT-3.14.2-2]. */
    [GH_MQTT_PROPERTY_SESSION_EXPIRY] = {KIND_U32, CONNECT | DISCONNECT, CONNACK, 0, 0, UINT32_MAX},
    [GH_MQTT_PROPERTY_ASSIGNED_CLIENT_ID] = {KIND_TEXT, 0, CONNACK, 0, 0, 0},
    [GH_MQTT_PROPERTY_SERVER_KEEP_ALIVE] = {KIND_U16, 0, CONNACK, 0, 0, UINT16_MAX},
    [GH_MQTT_PROPERTY_AUTH_METHOD] = {KIND_TEXT, CONNECT | AUTH, CONNACK | AUTH, 0, 0, 0},
    [GH_MQTT_PROPERTY_AUTH_DATA] = {KIND_BYTES, CONNECT | AUTH, CONNACK | AUTH, 0, 0, 0},
    [GH_MQTT_PROPERTY_REQUEST_PROBLEM] = {KIND_U8, CONNECT, 0, 0, 0, 1},
    [GH_MQTT_PROPERTY_WILL_DELAY] = {KIND_U32, WILL, 0, 0, 0, UINT32_MAX},
    [GH_MQTT_PROPERTY_REQUEST_RESPONSE] = {KIND_U8, CONNECT, 0, 0, 0, 1},
    [GH_MQTT_PROPERTY_RESPONSE_INFORMATION] = {KIND_TEXT, 0, CONNACK, 0, 0, 0},
    [GH_MQTT_PROPERTY_SERVER_REFERENCE] = {KIND_TEXT, DISCONNECT, CONNACK | DISCONNECT, 0, 0, 0},
    [GH_MQTT_PROPERTY_REASON_STRING] = {KIND_TEXT, ACKS | DISCONNECT | AUTH,
                                        CONNACK | ACKS | SUBACKS | DISCONNECT | AUTH, 0, 0, 0},
    [GH_MQTT_PROPERTY_RECEIVE_MAXIMUM] = {KIND_U16, CONNECT, CONNACK, 0, 1, UINT16_MAX},
    [GH_MQTT_PROPERTY_TOPIC_ALIAS_MAXIMUM] = {KIND_U16, CONNECT, CONNACK, 0, 0, UINT16_MAX},
    [GH_MQTT_PROPERTY_TOPIC_ALIAS] = {KIND_U16, PUBLISH, PUBLISH, 0, 1, UINT16_MAX},
    [GH_MQTT_PROPERTY_MAXIMUM_QOS] = {KIND_U8, 0, CONNACK, 0, 0, 1},
    [GH_MQTT_PROPERTY_RETAIN_AVAILABLE] = {KIND_U8, 0, CONNACK, 0, 0, 1},
    [GH_MQTT_PROPERTY_USER] = {KIND_PAIR, ANY, ANY, ANY, 0, 0},
    [GH_MQTT_PROPERTY_MAXIMUM_PACKET_SIZE] = {KIND_U32, CONNECT, CONNACK, 0, 1, UINT32_MAX},
    [GH_MQTT_PROPERTY_WILDCARD_AVAILABLE] = {KIND_U8, 0, CONNACK, 0, 0, 1},
    [GH_MQTT_PROPERTY_IDENTIFIERS_AVAILABLE] = {KIND_U8, 0, CONNACK, 0, 0, 1},
    [GH_MQTT_PROPERTY_SHARED_AVAILABLE] = {KIND_U8, 0, CONNACK, 0, 0, 1},
};
static_assert(GH_COUNT(rules) <= 64, "a block's identifiers are kept as bits of 64");

static const struct rule *rule_of(unsigned id)
{
    return id < GH_COUNT(rules) && rules[id].kind != KIND_NONE ? &rules[id] : NULL;
}

/* How each kind stands on the wire (§1.5). */

static enum gh_mqtt_fault read_u8(struct gh_cursor *at, struct gh_mqtt_property_value *out)
{
    uint8_t number;
    if (!gh_cursor_u8(at, &number))
        return GH_MQTT_FAULT_TRUNCATED;
    out->number = number;
    return GH_MQTT_FAULT_NONE;
}

static enum gh_mqtt_fault read_u16(struct gh_cursor *at, struct gh_mqtt_property_value *out)
{
    uint16_t number;
    if (!gh_cursor_u16(at, &number))
        return GH_MQTT_FAULT_TRUNCATED;
    out->number = number;
    return GH_MQTT_FAULT_NONE;
}

static enum gh_mqtt_fault read_u32(struct gh_cursor *at, struct gh_mqtt_property_value *out)
{
    return gh_cursor_u32(at, &out->number) ? GH_MQTT_FAULT_NONE : GH_MQTT_FAULT_TRUNCATED;
}

static enum gh_mqtt_fault read_integer(struct gh_cursor *at, struct gh_mqtt_property_value *out)
{
    return gh_mqtt_read_integer(at, &out->number);
}

static enum gh_mqtt_fault read_bytes(struct gh_cursor *at, struct gh_mqtt_property_value *out)
{
    return gh_cursor_take16(at, &out->text) ? GH_MQTT_FAULT_NONE : GH_MQTT_FAULT_TRUNCATED;
}

static enum gh_mqtt_fault read_pair(struct gh_cursor *at, struct gh_mqtt_property_value *out)
{
    return gh_cursor_take16(at, &out->text) && gh_cursor_take16(at, &out->value)
               ? GH_MQTT_FAULT_NONE
               : GH_MQTT_FAULT_TRUNCATED;
}

static enum gh_mqtt_fault (*const readers[])(struct gh_cursor *at,
                                             struct gh_mqtt_property_value *out) = {
    [KIND_U8] = read_u8,           [KIND_U16] = read_u16,    [KIND_U32] = read_u32,
    [KIND_INTEGER] = read_integer, [KIND_TEXT] = read_bytes, [KIND_TOPIC] = read_bytes,
    [KIND_BYTES] = read_bytes,     [KIND_PAIR] = read_pair,
};

/* An identifier is a variable byte integer, but none needs more than one byte. */
static enum gh_mqtt_fault read_value(struct gh_cursor *at, struct gh_mqtt_property_value *out,
                                     const struct rule **rule)
{
    uint8_t id;

    if (!gh_cursor_u8(at, &id))
        return GH_MQTT_FAULT_TRUNCATED;
    *rule = rule_of(id);
    if (*rule == NULL)
        return GH_MQTT_FAULT_PROPERTY;
    *out = (struct gh_mqtt_property_value){.id = (enum gh_mqtt_property)id};
    return readers[(*rule)->kind](at, out);
}

bool gh_mqtt_property_next(struct gh_slice *at, struct gh_mqtt_property_value *out)
{
    struct gh_cursor cursor = gh_cursor(*at);
    const struct rule *rule;

    if (read_value(&cursor, out, &rule) != GH_MQTT_FAULT_NONE)
        return false;
    *at = cursor.rest;
    return true;
}

bool gh_mqtt_property_find(struct gh_slice properties, enum gh_mqtt_property id,
                           struct gh_mqtt_property_value *out)
{
    while (gh_mqtt_property_next(&properties, out)) {
        if (out->id == id)
            return true;
    }
    return false;
}

/* Validation. */

static enum gh_mqtt_fault place_fault(const struct rule *rule, unsigned bit,
                                      enum gh_mqtt_reader reader)
{
    bool server = reader == GH_MQTT_SERVER;
    if (((server ? rule->to_server : rule->to_client) & bit) != 0)
        return GH_MQTT_FAULT_NONE;
    return ((server ? rule->to_client : rule->to_server) & bit) != 0
               ? GH_MQTT_FAULT_PROPERTY_DIRECTION
               : GH_MQTT_FAULT_PROPERTY;
}

static enum gh_mqtt_fault content_fault(const struct rule *rule,
                                        const struct gh_mqtt_property_value *value)
{
    if (rule->kind <= KIND_INTEGER && value->number >= rule->min && value->number <= rule->max)
        return GH_MQTT_FAULT_NONE;
    if (rule->kind <= KIND_INTEGER)
        return value->id == GH_MQTT_PROPERTY_TOPIC_ALIAS ? GH_MQTT_FAULT_TOPIC_ALIAS
                                                         : GH_MQTT_FAULT_PROPERTY_VALUE;
    if (rule->kind == KIND_BYTES)
        return GH_MQTT_FAULT_NONE;
    if (!gh_utf8_valid_mqtt(value->text) || !gh_utf8_valid_mqtt(value->value))
        return GH_MQTT_FAULT_UTF8;
    return rule->kind != KIND_TOPIC || gh_mqtt_topic_valid(value->text) ? GH_MQTT_FAULT_NONE
                                                                        : GH_MQTT_FAULT_TOPIC;
}

/* Reads one property that may stand here; `seen` has the bits of those before it. */
static enum gh_mqtt_fault read_property(struct gh_cursor *at, unsigned place,
                                        enum gh_mqtt_reader reader, uint64_t *seen,
                                        struct gh_mqtt_property_value *out)
{
    const struct rule *rule;
    enum gh_mqtt_fault fault = read_value(at, out, &rule);

    if (fault == GH_MQTT_FAULT_NONE)
        fault = place_fault(rule, 1u << place, reader);
    if (fault != GH_MQTT_FAULT_NONE)
        return fault;
    uint64_t bit = GH_MQTT_PROPERTY_BIT(out->id);
    if ((*seen & bit) != 0 && (rule->repeats & 1u << place) == 0)
        return GH_MQTT_FAULT_PROPERTY_TWICE;
    *seen |= bit;
    return content_fault(rule, out);
}

/* §3.1.2.11.10: data alone is a protocol error; §3.15.2.2.2: an AUTH names its method. */
static enum gh_mqtt_fault auth_fault(unsigned place, uint64_t seen)
{
    bool method = (seen & GH_MQTT_PROPERTY_BIT(GH_MQTT_PROPERTY_AUTH_METHOD)) != 0;
    bool data = (seen & GH_MQTT_PROPERTY_BIT(GH_MQTT_PROPERTY_AUTH_DATA)) != 0;
    return method || (!data && place != GH_MQTT_AUTH) ? GH_MQTT_FAULT_NONE
                                                      : GH_MQTT_FAULT_AUTH_METHOD;
}

enum gh_mqtt_fault gh_mqtt_read_properties(struct gh_mqtt_reading *in, unsigned place,
                                           gh_mqtt_property_taker *take, struct gh_mqtt_packet *out,
                                           struct gh_slice *properties)
{
    uint32_t size;
    uint64_t seen = 0;

    if (in->version != GH_MQTT_V5)
        return GH_MQTT_FAULT_NONE;
    enum gh_mqtt_fault fault = gh_mqtt_read_integer(&in->at, &size);
    if (fault != GH_MQTT_FAULT_NONE)
        return fault;
    if (!gh_cursor_take(&in->at, size, properties))
        return GH_MQTT_FAULT_TRUNCATED;
    struct gh_cursor at = gh_cursor(*properties);
    while (gh_cursor_left(&at) != 0) {
        struct gh_mqtt_property_value value;
        fault = read_property(&at, place, in->reader, &seen, &value);
        if (fault != GH_MQTT_FAULT_NONE)
            return fault;
        if (take != NULL)
            take(&value, out);
    }
    return auth_fault(place, seen);
}

/* Writing. */

size_t gh_mqtt_properties_size(enum gh_mqtt_version version, struct gh_slice properties)
{
    return version == GH_MQTT_V5 ? gh_mqtt_integer_size(properties.size) + properties.size : 0;
}

bool gh_mqtt_put_properties(enum gh_mqtt_version version, struct gh_slice properties,
                            struct gh_buffer *out)
{
    return version != GH_MQTT_V5 ||
           (gh_mqtt_put_integer(out, properties.size) && gh_buffer_put(out, properties));
}

bool gh_mqtt_property_put_number(struct gh_buffer *out, enum gh_mqtt_property id, uint32_t number)
{
    const struct rule *rule = rule_of(id);

    assert(rule != NULL && rule->kind <= KIND_INTEGER);
    assert(number >= rule->min && number <= rule->max);
    /* The largest number has 4 bytes: asking for room first keeps it whole or absent. */
    size_t size = rule->kind == KIND_INTEGER ? gh_mqtt_integer_size(number)
                                             : (size_t)1 << (rule->kind - KIND_U8);
    if (gh_buffer_reserve(out, 1 + size) == NULL)
        return false;
    gh_buffer_u8(out, (uint8_t)id);
    if (rule->kind == KIND_INTEGER)
        return gh_mqtt_put_integer(out, number);
    for (size_t i = size; i > 0; i--)
        gh_buffer_u8(out, (uint8_t)(number >> 8 * (i - 1)));
    return true;
}

bool gh_mqtt_property_put_text(struct gh_buffer *out, enum gh_mqtt_property id,
                               struct gh_slice text)
{
    const struct rule *rule = rule_of(id);

    assert(rule != NULL && rule->kind >= KIND_TEXT && rule->kind <= KIND_BYTES);
    if (text.size > UINT16_MAX) {
        out->overflow = true;
        return false;
    }
    return gh_buffer_reserve(out, 3 + text.size) != NULL && gh_buffer_u8(out, (uint8_t)id) &&
           gh_buffer_put16(out, text);
}

bool gh_mqtt_property_put_pair(struct gh_buffer *out, struct gh_slice name, struct gh_slice value)
{
    if (name.size > UINT16_MAX || value.size > UINT16_MAX) {
        out->overflow = true;
        return false;
    }
    return gh_buffer_reserve(out, 5 + name.size + value.size) != NULL &&
           gh_buffer_u8(out, GH_MQTT_PROPERTY_USER) && gh_buffer_put16(out, name) &&
           gh_buffer_put16(out, value);
}

bool gh_mqtt_property_copy(struct gh_buffer *out, struct gh_slice properties, uint64_t without)
{
    struct gh_mqtt_property_value value;
    struct gh_slice at = properties;

    while (gh_mqtt_property_next(&at, &value)) {
        struct gh_slice one = gh_slice_sub(properties, 0, properties.size - at.size);
        properties = at;
        if ((without & GH_MQTT_PROPERTY_BIT(value.id)) == 0 && !gh_buffer_put(out, one))
            return false;
    }
    return true;
}
