#include "dialect/google/mqtt.h"
#include "dialect/google/mqtt_internal.h"

enum { QOS_MAX = 1 };

static bool recognise(const struct gh_mqtt_connect *connect)
{
    return gh_slice_starts(connect->client_id, GH_SLICE("projects/"));
}

/* projects/{p}/locations/{l}/registries/{r}/devices/{d}: eight segments, none of them empty. */
static bool read_device_path(struct gh_slice path, struct gh_identity_claim *out)
{
    static const struct gh_slice words[] = {GH_SLICE_INIT("projects"), GH_SLICE_INIT("locations"),
                                            GH_SLICE_INIT("registries"), GH_SLICE_INIT("devices")};
    struct gh_slice *const names[] = {&out->tenant, &out->location, &out->registry, &out->device};
    for (size_t i = 0; i < GH_COUNT(words); i++) {
        if (!gh_slice_equal(gh_slice_split(&path, '/'), words[i]))
            return false;
        bool last = i + 1 == GH_COUNT(words);
        if (gh_slice_find(path, '/') == path.size ? !last : last)
            return false;
        *names[i] = gh_slice_split(&path, '/');
        if (names[i]->size == 0)
            return false;
    }
    return true;
}

static bool claim(const struct gh_mqtt_connect *connect, struct gh_identity_claim *out,
                  enum gh_session_refusal *refusal, const char **why)
{
    *out = (struct gh_identity_claim){.by = GH_IDENTITY_BY_GOOGLE_PROJECT,
                                      .over = GH_IDENTITY_OVER_MQTT,
                                      .policy = gh_jwt_google};
    if (connect->version != GH_MQTT_V311) {
        *refusal = GH_SESSION_REFUSED_LEVEL;
        *why = "this dialect speaks MQTT 3.1.1 only";
        return false;
    }
    if (!read_device_path(connect->client_id, out)) {
        *refusal = GH_SESSION_REFUSED_CLIENT_ID;
        *why = "the client id is not projects/P/locations/L/registries/R/devices/D";
        return false;
    }
    *refusal = GH_SESSION_REFUSED_CREDENTIALS;
    if (!connect->has_password || connect->password.size == 0) {
        *why = "there is no password; it must be the token";
        return false;
    }
    if (connect->password.size > GH_GOOGLE_PASSWORD_BYTES_MAX) {
        *why = "the password is longer than 4,096 bytes";
        return false;
    }
    out->token = connect->password;
    out->policy.audience = out->tenant;
    return true;
}

/* Section 1.2: a token that is none at all is told apart, everything else is not. */
static enum gh_session_refusal refusal(enum gh_identity_reason reason)
{
    if (reason == GH_IDENTITY_TOKEN_MALFORMED)
        return GH_SESSION_REFUSED_CREDENTIALS;
    return reason == GH_IDENTITY_UNAVAILABLE ? GH_SESSION_REFUSED_UNAVAILABLE
                                             : GH_SESSION_REFUSED_UNAUTHORISED;
}

static struct gh_slice tenant_name(const struct gh_registry *registry)
{
    return registry->google_project;
}

static bool is_speaker(const struct gh_speaker *speaker, struct gh_slice name)
{
    uint64_t number;
    return gh_slice_equal(name, speaker->id) ||
           (gh_slice_to_u64(name, &number) && number == speaker->number);
}

/* Takes "/devices/{d}/" off the front of `topic`; false when it does not begin so. */
static bool take_prefix(struct gh_slice *topic, struct gh_slice *name)
{
    if (gh_slice_split(topic, '/').size != 0 ||
        !gh_slice_equal(gh_slice_split(topic, '/'), GH_SLICE("devices")))
        return false;
    *name = gh_slice_split(topic, '/');
    return name->size > 0;
}

static struct gh_operation sized(enum gh_operation_kind kind, struct gh_slice channel,
                                 const struct gh_mqtt_publish *publish, size_t bytes_max)
{
    if (publish->payload.size > bytes_max)
        return (struct gh_operation){.kind = GH_OPERATION_TOO_LARGE,
                                     .detail = kind == GH_OPERATION_EVENT
                                                   ? "an event has at most 262,144 bytes"
                                                   : "a state has at most 65,536 bytes"};
    return (struct gh_operation){.kind = kind, .channel = channel};
}

static struct gh_operation refused(const char *detail)
{
    return (struct gh_operation){.kind = GH_OPERATION_REFUSED, .detail = detail};
}

static struct gh_operation publish(const struct gh_speaker *speaker,
                                   const struct gh_mqtt_publish *packet)
{
    struct gh_slice rest = packet->topic, name;
    if (!take_prefix(&rest, &name))
        return refused("the topic is not one of this device's own");
    bool has_channel = gh_slice_find(rest, '/') < rest.size;
    struct gh_slice verb = gh_slice_split(&rest, '/');
    if (speaker->is_gateway && !has_channel && gh_slice_equal(verb, GH_SLICE("attach")))
        return (struct gh_operation){.kind = GH_OPERATION_ATTACH, .device = name};
    if (speaker->is_gateway && !has_channel && gh_slice_equal(verb, GH_SLICE("detach")))
        return (struct gh_operation){.kind = GH_OPERATION_DETACH, .device = name};
    if (!is_speaker(speaker, name))
        return speaker->is_gateway
                   ? (struct gh_operation){.kind = GH_OPERATION_OTHER, .device = name}
                   : refused("the topic is not one of this device's own");
    if (gh_slice_equal(verb, GH_SLICE("events")))
        return sized(GH_OPERATION_EVENT, rest, packet, GH_GOOGLE_EVENT_BYTES_MAX);
    if (gh_slice_equal(verb, GH_SLICE("state")) && !has_channel)
        return sized(GH_OPERATION_STATE, rest, packet, GH_GOOGLE_STATE_BYTES_MAX);
    if (gh_slice_equal(verb, GH_SLICE("attach")) || gh_slice_equal(verb, GH_SLICE("detach")))
        return refused("only a gateway attaches and detaches devices");
    return refused("a device publishes to events, events/… and state only");
}

static struct gh_grant subscribe(const struct gh_speaker *speaker, struct gh_slice filter,
                                 uint8_t qos)
{
    struct gh_slice rest = filter, name;
    struct gh_grant grant = {.qos = qos > QOS_MAX ? QOS_MAX : qos};
    if (!take_prefix(&rest, &name))
        return grant;
    if (!is_speaker(speaker, name)) {
        bool is_one =
            gh_slice_find(name, '+') == name.size && gh_slice_find(name, '#') == name.size;
        grant.device = name;
        grant.feed = speaker->is_gateway && is_one ? GH_FEED_OTHER : GH_FEED_NONE;
    } else if (speaker->is_gateway && gh_slice_equal(rest, GH_SLICE("errors"))) {
        grant.feed = GH_FEED_ERRORS;
        grant.qos = 0;
    } else if (gh_slice_equal(rest, GH_SLICE("config"))) {
        grant.feed = GH_FEED_CONFIG;
        grant.base = filter;
    } else if (gh_slice_equal(rest, GH_SLICE("commands/#"))) {
        grant.feed = GH_FEED_COMMANDS;
        grant.base = gh_slice_sub(filter, 0, filter.size - 2);
    }
    return grant;
}

/* Section 5.1; a state notification carries the first five. */
static size_t attributes(const struct gh_speaker *speaker, const struct gh_operation *operation,
                         struct gh_message_attribute out[GH_DIALECT_ATTRIBUTES_MAX])
{
    size_t count = 0;
    out[count++] = (struct gh_message_attribute){GH_SLICE("deviceId"), speaker->id};
    out[count++] = (struct gh_message_attribute){GH_SLICE("deviceNumId"), speaker->number_text};
    out[count++] =
        (struct gh_message_attribute){GH_SLICE("deviceRegistryLocation"), speaker->location};
    out[count++] = (struct gh_message_attribute){GH_SLICE("deviceRegistryId"), speaker->registry};
    out[count++] = (struct gh_message_attribute){GH_SLICE("projectId"), speaker->tenant};
    if (operation->kind == GH_OPERATION_EVENT)
        out[count++] = (struct gh_message_attribute){GH_SLICE("subFolder"), operation->channel};
    if (operation->kind == GH_OPERATION_EVENT && speaker->through.size > 0)
        out[count++] = (struct gh_message_attribute){GH_SLICE("gatewayId"), speaker->through};
    return count;
}

/* Section 1.6: exactly equal, or a catch-all. */
static bool route_fits(struct gh_slice pattern, struct gh_slice channel)
{
    return pattern.size == 0 || gh_slice_equal(pattern, channel);
}

const struct gh_dialect gh_google_dialect = {
    .name = "google",
    .recognise = recognise,
    .claim = claim,
    .refusal = refusal,
    .tenant_name = tenant_name,
    .publish = publish,
    .subscribe = subscribe,
    .attributes = attributes,
    .attach = gh_google_attach,
    .report = gh_google_report,
    .chronicle = gh_google_chronicle,
    .route_fits = route_fits,
};
