#include "dialect/native/mqtt.h"
#include "identity/sas.h"

/* TENANT/REGISTRY/DEVICE: three segments, none of them empty. */
static bool read_user_name(struct gh_slice name, struct gh_identity_claim *out)
{
    struct gh_slice *const parts[] = {&out->tenant, &out->registry, &out->device};
    for (size_t i = 0; i < GH_COUNT(parts); i++) {
        bool last = i + 1 == GH_COUNT(parts);
        if ((gh_slice_find(name, '/') == name.size) != last)
            return false;
        *parts[i] = gh_slice_split(&name, '/');
        if (parts[i]->size == 0)
            return false;
    }
    return true;
}

static bool recognise(const struct gh_mqtt_connect *connect)
{
    struct gh_identity_claim claim;
    return connect->has_user_name && read_user_name(connect->user_name, &claim);
}

static bool claim(const struct gh_mqtt_connect *connect, struct gh_identity_claim *out,
                  enum gh_session_refusal *refusal, const char **why)
{
    struct gh_slice proof = connect->has_auth ? connect->auth_data : connect->password;
    *out = (struct gh_identity_claim){.by = GH_IDENTITY_BY_TENANT_NAME,
                                      .over = GH_IDENTITY_OVER_MQTT,
                                      .policy = gh_jwt_native,
                                      .access_taken = true};
    if (connect->has_auth && !gh_slice_equal_nocase(connect->auth_method, GH_SLICE("JWT"))) {
        *refusal = GH_SESSION_REFUSED_AUTH_METHOD;
        *why = "the authentication method is not JWT";
        return false;
    }
    *refusal = GH_SESSION_REFUSED_CREDENTIALS;
    if (!connect->has_user_name || !read_user_name(connect->user_name, out)) {
        *why = "the user name is not TENANT/REGISTRY/DEVICE";
        return false;
    }
    if (proof.size > GH_NATIVE_PASSWORD_BYTES_MAX || (connect->has_auth && proof.size == 0)) {
        *why = "there is no token, or the password is longer than 4,096 bytes";
        return false;
    }
    if (proof.size == 0)
        out->by_certificate = true; /* of the handshake, if it brought one */
    else if (connect->has_auth || gh_identity_is_token(proof))
        out->token = proof;
    else if (gh_sas_is_one(proof))
        out->sas = proof;
    else
        out->secret = proof;
    out->policy.audience = out->tenant;
    out->policy.subject = out->device;
    return true;
}

static void renew(const struct gh_speaker *speaker, struct gh_slice data,
                  struct gh_identity_claim *out)
{
    *out = (struct gh_identity_claim){.by = GH_IDENTITY_BY_TENANT_NAME,
                                      .over = GH_IDENTITY_OVER_MQTT,
                                      .policy = gh_jwt_native,
                                      .access_taken = true,
                                      .tenant = speaker->tenant,
                                      .registry = speaker->registry,
                                      .device = speaker->id,
                                      .token = data};
    out->policy.audience = out->tenant;
    out->policy.subject = out->device;
}

/* One answer for all: what exactly was wrong is the operator's to know. */
static enum gh_session_refusal refusal(enum gh_identity_reason reason)
{
    return reason == GH_IDENTITY_UNAVAILABLE ? GH_SESSION_REFUSED_UNAVAILABLE
           : reason == GH_IDENTITY_BANNED    ? GH_SESSION_REFUSED_BANNED
                                             : GH_SESSION_REFUSED_CREDENTIALS;
}

static struct gh_slice tenant_name(const struct gh_registry *registry)
{
    return registry->tenant_name;
}

static const struct gh_slice own = GH_SLICE_INIT("$gatehouse/");

static struct gh_operation publish(const struct gh_speaker *speaker,
                                   const struct gh_mqtt_publish *packet)
{
    struct gh_slice rest = packet->topic;
    (void)speaker;
    if (rest.size == 0 || rest.data[0] != '$')
        return (struct gh_operation){.kind = GH_OPERATION_ROUTE};
    if (gh_slice_starts(rest, own)) {
        rest = gh_slice_sub(rest, own.size, rest.size);
        struct gh_slice verb = gh_slice_split(&rest, '/');
        if (gh_slice_equal(verb, GH_SLICE("events")))
            return (struct gh_operation){.kind = GH_OPERATION_EVENT, .channel = rest};
        if (gh_slice_equal(verb, GH_SLICE("state")) && rest.size == 0)
            return packet->payload.size <= GH_NATIVE_STATE_BYTES_MAX
                       ? (struct gh_operation){.kind = GH_OPERATION_STATE}
                       : (struct gh_operation){.kind = GH_OPERATION_TOO_LARGE,
                                               .detail = "a state has at most 65,536 bytes"};
    }
    return (struct gh_operation){.kind = GH_OPERATION_REFUSED,
                                 .detail = "topics that begin with $ are the platform's own"};
}

static struct gh_grant subscribe(const struct gh_speaker *speaker, struct gh_slice filter,
                                 uint8_t qos)
{
    struct gh_grant grant = {.qos = qos > 1 ? 1 : qos};
    (void)speaker;
    if (gh_slice_equal(filter, GH_SLICE("$gatehouse/config"))) {
        grant.feed = GH_FEED_CONFIG;
        grant.base = filter;
    } else if (gh_slice_equal(filter, GH_SLICE("$gatehouse/commands/#"))) {
        grant.feed = GH_FEED_COMMANDS;
        grant.base = gh_slice_sub(filter, 0, filter.size - 2);
    } else if (filter.data[0] != '$' || gh_slice_starts(filter, GH_SLICE("$share/"))) {
        grant.feed = GH_FEED_ROUTE;
        grant.qos = qos;
    }
    return grant;
}

static size_t attributes(const struct gh_speaker *speaker, const struct gh_operation *operation,
                         struct gh_message_attribute out[GH_DIALECT_ATTRIBUTES_MAX])
{
    size_t count = 0;
    out[count++] = (struct gh_message_attribute){GH_SLICE("tenant"), speaker->tenant};
    out[count++] = (struct gh_message_attribute){GH_SLICE("registry"), speaker->registry};
    out[count++] = (struct gh_message_attribute){GH_SLICE("device"), speaker->id};
    if (operation->kind == GH_OPERATION_EVENT && operation->channel.size > 0)
        out[count++] = (struct gh_message_attribute){GH_SLICE("channel"), operation->channel};
    return count;
}

static bool route_fits(struct gh_slice pattern, struct gh_slice channel)
{
    return pattern.size == 0 || gh_slice_equal(pattern, channel);
}

const struct gh_dialect gh_native_dialect = {
    .name = "native",
    .routes = true,
    .recognise = recognise,
    .claim = claim,
    .renew = renew,
    .refusal = refusal,
    .tenant_name = tenant_name,
    .publish = publish,
    .subscribe = subscribe,
    .attributes = attributes,
    .route_fits = route_fits,
};
