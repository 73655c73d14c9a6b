/* The HTTP bridge of IoT Core: what a device that speaks no MQTT asks for, one request at a time,
 * each with its token: publishEvent, setState and the configuration (docs/protocols/google.md). A
 * call of it is a google_call whose caller is a device instead of a back end. */
#include "base/log.h"
#include "base/time.h"
#include "dialect/google/mqtt.h"
#include "dialect/google/rest_internal.h"
#include "identity/device.h"
#include "observe/absence.h"
#include "observe/trail.h"
#include "pubsub/pubsub.h"
#include "route/quota.h"
#include "route/rate.h"
#include "wire/base64.h"
#include "wire/http/path.h"
#include <stdio.h>
#include <stdlib.h>

enum { CAPTURES = 4, GRPC_FAILED_PRECONDITION = 9 };

/* --- messages */

static const struct google_field gateway_info_fields[] = {
    {.name = "gatewayId"},
    {.name = "delegatedDeviceId"},
};
static const struct google_message gateway_info_message = GOOGLE_FIELDS(gateway_info_fields);
/* Bytes are read as text here, so that a wrong one can be named as the field that it was. */
static const struct google_field event_fields[] = {
    {.name = "binaryData"},
    {.name = "subFolder"},
    {.name = "gatewayInfo", .type = GOOGLE_MESSAGE, .message = &gateway_info_message},
};
static const struct google_field state_value_fields[] = {
    {.name = "updateTime", .output = true},
    {.name = "binaryData"},
};
static const struct google_message state_value_message = GOOGLE_FIELDS(state_value_fields);
static const struct google_field state_fields[] = {
    {.name = "state", .type = GOOGLE_MESSAGE, .message = &state_value_message},
    {.name = "gatewayInfo", .type = GOOGLE_MESSAGE, .message = &gateway_info_message},
};
static const struct google_message event_message = GOOGLE_FIELDS(event_fields);
static const struct google_message state_message = GOOGLE_FIELDS(state_fields);

/* --- one visit */

/* Who speaks, for whom, through what: lives in the call's arena until the answer. */
struct bridge {
    struct google_call *call;
    struct gh_identity_verdict verdict; /* of the one whose path and token it was */
    struct gh_slice project;            /* as the path says */
    const struct gh_registry *registry;
    struct gh_device device; /* whose event, state or configuration it is */
    struct gh_slice gateway; /* id of the one between; empty: none */
    char number[24];         /* of the device, in decimal */
    struct gh_slice data;    /* decoded */
    struct gh_operation operation;
};

typedef void bridge_handler(struct bridge *bridge);
static bridge_handler publish_event, set_state, get_config;

static const struct bridge_route {
    const char *method, *patterns[2];
    const struct google_message *body;
    bridge_handler *handler;
    enum gh_chronicle_kind kind; /* as which it is told, and of what */
    const char *matter;
    const char *parameters[4];
} routes[] = {
#define PATHS(suffix)                                                                              \
    {                                                                                              \
        "/v1/projects/{p}/locations/{l}/registries/{r}/devices/{d}" suffix,                        \
            "/v1beta1/projects/{p}/locations/{l}/registries/{r}/devices/{d}" suffix                \
    }
    {"POST",
     PATHS(":publishEvent"),
     &event_message,
     publish_event,
     GH_CHRONICLE_PUBLISH,
     "EVENTS",
     {NULL}},
    {"POST", PATHS(":setState"), &state_message, set_state, GH_CHRONICLE_PUBLISH, "STATE", {NULL}},
    {"GET",
     PATHS("/config"),
     NULL,
     get_config,
     GH_CHRONICLE_SEND,
     "CONFIG",
     {"localVersion", "gatewayInfo.gatewayId", "gatewayInfo.delegatedDeviceId"}},
};

bool google_bridge_find(struct google_call *call)
{
    struct gh_slice captures[CAPTURES];
    for (size_t i = 0; i < GH_COUNT(routes); i++) {
        for (size_t k = 0; k < GH_COUNT(routes[i].patterns); k++) {
            if (!gh_slice_equal(call->method, gh_slice_text(routes[i].method)) ||
                !gh_path_match(routes[i].patterns[k], call->path, captures, CAPTURES, call->arena))
                continue;
            call->bridge_route = &routes[i];
            call->project = captures[0];
            call->location = captures[1];
            call->registry_name = captures[2];
            call->target = captures[3];
            return true;
        }
    }
    return false;
}

/* --- who it is */

static void note(struct bridge *bridge, const struct gh_device *device, enum gh_trail_kind kind,
                 const char *reason, struct gh_slice detail)
{
    struct google_call *call = bridge->call;
    const struct gh_registry *registry = bridge->verdict.registry;
    if (call->services->trail == NULL)
        return;
    gh_trail_note(call->services->trail,
                  &(struct gh_trail_entry){
                      .at_ms = call->now_ms,
                      .device = device == NULL ? 0 : device->number,
                      .tenant = device == NULL ? call->project : device->tenant_name,
                      .registry = registry == NULL ? call->registry_name : registry->name,
                      .device_id = device == NULL ? call->target : device->id,
                      .kind = kind,
                      .reason = gh_slice_text(reason),
                      .detail = detail,
                      .address = gh_slice_text(call->peer)});
}

/* The peer is told of one answer for all that its token may be wrong in; the operator, exactly. */
static enum gh_error_code refuse(struct bridge *bridge)
{
    struct google_call *call = bridge->call;
    const struct gh_identity_verdict *verdict = &bridge->verdict;
    const char *reason = gh_identity_reason_name(verdict->reason);
    gh_log(GH_LOG_WARN, "bridge", "refused %.*s/%.*s/%.*s from %s: %s, %s", GH_PRINT(call->project),
           GH_PRINT(call->registry_name), GH_PRINT(call->target), call->peer, reason,
           verdict->detail);
    note(bridge, verdict->device, GH_TRAIL_REFUSAL, reason, gh_slice_text(verdict->detail));
    if (call->services->metrics != NULL)
        gh_metric_add_for(call->services->metrics, GH_METRIC_FAMILY_connects_refused_total, reason,
                          1);
    if (verdict->reason == GH_IDENTITY_UNAVAILABLE)
        return google_fail(call, GH_ERROR_UNAVAILABLE, "the device cannot be checked now");
    if (verdict->reason == GH_IDENTITY_BLOCKED || verdict->reason == GH_IDENTITY_BANNED ||
        verdict->reason == GH_IDENTITY_HTTP_DISABLED)
        return google_fail(call, GH_ERROR_DENIED, "the device may not use the HTTP bridge");
    return google_fail(call, GH_ERROR_UNAUTHENTICATED, "no valid token");
}

static enum gh_error_code authenticate(struct bridge *bridge)
{
    struct google_call *call = bridge->call;
    struct gh_identity_claim claim = {.by = GH_IDENTITY_BY_GOOGLE_PROJECT,
                                      .over = GH_IDENTITY_OVER_HTTP,
                                      .tenant = call->project,
                                      .location = call->location,
                                      .registry = call->registry_name,
                                      .device = call->target,
                                      .token = call->token,
                                      .policy = gh_jwt_google};
    claim.policy.audience = call->project;
    if (gh_identity_device(call->services->directory, &claim, call->now_ms, call->arena,
                           &bridge->verdict) != GH_IDENTITY_ACCEPTED)
        return refuse(bridge);
    bridge->registry = bridge->verdict.registry;
    bridge->device = *bridge->verdict.device;
    return GH_OK;
}

/* --- gatewayInfo */

static enum gh_error_code find_other(struct bridge *bridge, struct gh_slice id,
                                     struct gh_device *out)
{
    struct google_call *call = bridge->call;
    enum gh_error_code code = gh_directory_device_find(
        call->services->directory, bridge->registry->tenant, call->registry_name, call->location,
        id, call->arena, out, &call->error);
    return code == GH_ERROR_NOT_FOUND || code == GH_ERROR_INVALID
               ? google_fail(call, GH_ERROR_DENIED, "gatewayInfo: the device is not bound to it")
               : code;
}

static enum gh_error_code check_bound(struct bridge *bridge, const struct gh_device *gateway,
                                      const struct gh_device *device)
{
    struct google_call *call = bridge->call;
    bool bound = false;
    enum gh_error_code code = gh_directory_gateway_bound(call->services->directory, gateway->number,
                                                         device->number, &bound, &call->error);
    if (code == GH_OK && (!bound || gateway->blocked || device->blocked))
        code = google_fail(call, GH_ERROR_DENIED, "gatewayInfo: the device is not bound to it");
    if (code == GH_OK)
        bridge->gateway = gateway->id;
    return code;
}

/* Both shapes: path and token of the device with the gateway named, or the other way round. */
static enum gh_error_code read_gateway(struct bridge *bridge, struct gh_slice gateway_id,
                                       struct gh_slice delegated_id)
{
    struct google_call *call = bridge->call;
    struct gh_device other;
    enum gh_error_code code;
    if (gateway_id.size == 0 && delegated_id.size == 0)
        return GH_OK;
    if (gateway_id.size != 0 && delegated_id.size != 0)
        return google_fail(call, GH_ERROR_INVALID,
                           "gatewayInfo: either gatewayId or delegatedDeviceId");
    code = find_other(bridge, gateway_id.size != 0 ? gateway_id : delegated_id, &other);
    if (code != GH_OK)
        return code;
    if (gateway_id.size != 0)
        return check_bound(bridge, &other, &bridge->device);
    struct gh_device gateway = bridge->device;
    if (gateway.gateway_auth != GH_GATEWAY_AUTH_ASSOCIATION) /* else its own token is due */
        return google_fail(call, GH_ERROR_DENIED,
                           "gatewayInfo: the gateway may not speak for devices without their "
                           "tokens");
    bridge->device = other;
    return check_bound(bridge, &gateway, &other);
}

static enum gh_error_code read_gateway_info(struct bridge *bridge)
{
    struct google_call *call = bridge->call;
    json_t *info = NULL;
    struct gh_slice gateway = {0}, delegated = {0};
    if (call->bridge_route->body == NULL) {
        gateway = google_query(call, "gatewayInfo.gatewayId");
        delegated = google_query(call, "gatewayInfo.delegatedDeviceId");
    } else if (gh_json_object(call->input, "gatewayInfo", &info)) {
        gh_json_text(info, "gatewayId", &gateway);
        gh_json_text(info, "delegatedDeviceId", &delegated);
    }
    return read_gateway(bridge, gateway, delegated);
}

/* --- what all three share */

static struct gh_speaker speaker_of(struct bridge *bridge)
{
    int size = snprintf(bridge->number, sizeof bridge->number, "%llu",
                        (unsigned long long)bridge->device.number);
    return (struct gh_speaker){.id = bridge->device.id,
                               .number = bridge->device.number,
                               .number_text = gh_slice(bridge->number, (size_t)size),
                               .tenant = bridge->registry->google_project,
                               .registry = bridge->registry->name,
                               .location = bridge->registry->location,
                               .through = bridge->gateway};
}

/* What was done, or why it was not, for those who follow the device's activity. */
static void tell(struct bridge *bridge, enum gh_error_code code)
{
    static const struct {
        enum gh_error_code code;
        const char *reason;
    } reasons[] = {{GH_ERROR_INVALID, "INVALID"},
                   {GH_ERROR_RANGE, "INVALID"},
                   {GH_ERROR_LIMIT, "RATE"},
                   {GH_ERROR_DENIED, "NOT_BOUND"},
                   {GH_ERROR_PRECONDITION, "NO_TELEMETRY_TOPIC"}};
    struct google_call *call = bridge->call;
    struct gh_chronicle_entry entry = {
        .kind = call->bridge_route->kind, .protocol = "HTTP", .matter = call->bridge_route->matter};
    if (bridge->registry == NULL || bridge->registry->activity_topic.size == 0)
        return;
    if (code != GH_OK) {
        entry.reason = "UNAVAILABLE";
        entry.detail = call->error.text;
        for (size_t i = 0; i < GH_COUNT(reasons); i++)
            if (reasons[i].code == code)
                entry.reason = reasons[i].reason;
    }
    struct gh_speaker speaker = speaker_of(bridge);
    struct gh_chronicle chronicle = {.dialect = &gh_google_dialect,
                                     .pubsub = call->services->pubsub,
                                     .tenant = bridge->registry->tenant,
                                     .topic = bridge->registry->activity_topic,
                                     .device_level = bridge->device.log_level,
                                     .registry_level = bridge->registry->log_level,
                                     .now_ms = call->now_ms};
    gh_chronicle_write(&chronicle, &speaker, &entry);
}

static void end(struct bridge *bridge, enum gh_error_code code)
{
    tell(bridge, code);
    google_call_end(bridge->call, code);
}

/* Both alphabets, with padding or without. */
static enum gh_error_code read_data(struct bridge *bridge, json_t *object, size_t bytes_max)
{
    struct google_call *call = bridge->call;
    struct gh_slice text = {0};
    gh_json_text(object, "binaryData", &text);
    uint8_t *room = gh_arena_alloc(call->arena, text.size / 4 * 3 + 4);
    if (room == NULL)
        return google_fail(call, GH_ERROR_MEMORY, "binary_data");
    struct gh_buffer bytes = gh_buffer_fixed(room, text.size / 4 * 3 + 4);
    if (!gh_base64_decode(text, GH_BASE64_ANY, &bytes)) {
        call->bad_field = "binary_data";
        return google_fail(call, GH_ERROR_INVALID, "binary_data: it is not base64");
    }
    if (bytes.size > bytes_max) {
        call->bad_field = "binary_data";
        return google_fail(call, GH_ERROR_INVALID, "binary_data: at most %zu bytes", bytes_max);
    }
    bridge->data = gh_buffer_slice(&bytes);
    return GH_OK;
}

/* The tenant's messages per second, which the connections of its devices share. */
static bool is_within_quota(struct bridge *bridge)
{
    struct gh_quotas *quotas = bridge->call->services->quotas;
    struct gh_quota *quota = quotas == NULL ? NULL : gh_quotas_of(quotas, bridge->registry->tenant);
    return quota == NULL || gh_quota_message(quota, gh_time_monotonic_ns());
}

static enum gh_error_code check_rate(struct bridge *bridge, enum gh_rate_kind kind)
{
    struct google_call *call = bridge->call;
    const struct gh_rate_thing bytes = {bridge->registry->tenant, bridge->device.number,
                                        GH_RATE_BYTES_IN};
    gh_metric_add(call->services->metrics, GH_METRIC_messages_received_total, 1);
    if (!is_within_quota(bridge)) {
        note(bridge, &bridge->device, GH_TRAIL_PUBLISH_DENIED, "TENANT_RATE", (struct gh_slice){0});
        return google_fail(call, GH_ERROR_LIMIT, "the tenant is over its messages per second");
    }
    enum gh_error_code code = google_rate_check(call, bytes.tenant, bytes.number, kind);
    if (code == GH_OK) {
        kind = bytes.kind;
        code = google_rate_check_bytes(call, &bytes, bridge->data.size);
    }
    if (code != GH_OK)
        note(bridge, &bridge->device, GH_TRAIL_PUBLISH_DENIED, "RATE",
             gh_slice_text(gh_rate_kind_name(kind)));
    return code;
}

/* A message on its way to the log; its bridge is NULL when nobody waits for it. */
struct posting {
    struct gh_publication publication; /* first */
    struct bridge *bridge;
};

static void posted(void *context, struct gh_letter *letter)
{
    struct posting *posting = (struct posting *)letter;
    struct bridge *bridge = posting->bridge;
    enum gh_error_code result = posting->publication.result;
    (void)context;
    if (bridge != NULL && result == GH_OK)
        gh_directory_note(bridge->call->services->directory, bridge->device.number,
                          GH_ACTIVITY_EVENT, posting->publication.at_ms);
    free(posting);
    if (bridge != NULL)
        end(bridge, result == GH_OK ? GH_OK
                                    : google_fail(bridge->call, GH_ERROR_UNAVAILABLE,
                                                  "the message log cannot take the message"));
}

static enum gh_error_code post(struct bridge *bridge, struct gh_slice topic,
                               const struct gh_message *message, bool waits)
{
    struct google_call *call = bridge->call;
    struct posting *posting = calloc(1, sizeof *posting);
    if (posting == NULL)
        return google_fail(call, GH_ERROR_MEMORY, "the message");
    posting->publication.reply = posted;
    posting->bridge = waits ? bridge : NULL;
    enum gh_error_code code =
        gh_pubsub_publish(call->services->pubsub, bridge->registry->tenant, topic, message,
                          &posting->publication, &call->error);
    if (code != GH_OK)
        free(posting);
    return code;
}

/* --- publishEvent */

static struct gh_slice topic_of(const struct bridge *bridge)
{
    const struct gh_registry *registry = bridge->registry;
    for (size_t i = 0; i < registry->routes_count; i++)
        if (gh_google_dialect.route_fits(registry->routes[i].channel, bridge->operation.channel))
            return registry->routes[i].topic;
    return (struct gh_slice){0};
}

static enum gh_error_code no_topic(struct bridge *bridge)
{
    static const char why[] = "the registry has no topic for this event";
    struct google_call *call = bridge->call;
    gh_directory_note_error(call->services->directory, bridge->device.number,
                            GRPC_FAILED_PRECONDITION, gh_slice_text(why), call->now_ms);
    note(bridge, &bridge->device, GH_TRAIL_PUBLISH_DENIED, "NO_TELEMETRY_TOPIC",
         bridge->operation.channel);
    return google_fail(call, GH_ERROR_PRECONDITION, "%s", why);
}

static enum gh_error_code post_event(struct bridge *bridge)
{
    struct gh_message_attribute attributes[GH_DIALECT_ATTRIBUTES_MAX];
    struct gh_speaker speaker = speaker_of(bridge);
    struct gh_slice topic = topic_of(bridge);
    if (topic.size == 0)
        return no_topic(bridge);
    struct gh_message message = {
        .data = bridge->data,
        .attributes = attributes,
        .attributes_count = gh_google_dialect.attributes(&speaker, &bridge->operation, attributes),
        .device = bridge->device.number,
        .channel = bridge->operation.channel};
    enum gh_error_code code = post(bridge, topic, &message, true);
    return code == GH_ERROR_NOT_FOUND ? no_topic(bridge) : code;
}

static void publish_event(struct bridge *bridge)
{
    struct google_call *call = bridge->call;
    enum gh_error_code code = read_data(bridge, call->input, GH_GOOGLE_EVENT_BYTES_MAX);
    bridge->operation.kind = GH_OPERATION_EVENT;
    gh_json_text(call->input, "subFolder", &bridge->operation.channel);
    if (code == GH_OK && !gh_channel_valid(bridge->operation.channel))
        code = google_fail(call, GH_ERROR_INVALID, "sub_folder: it is not allowed");
    if (code == GH_OK)
        code = check_rate(bridge, GH_RATE_HTTP_EVENTS);
    if (code == GH_OK)
        code = post_event(bridge);
    if (code != GH_OK) /* else it ends with its reply */
        end(bridge, code);
}

/* --- setState */

/* Best effort: the state itself is safe in the device's history. */
static void notify_state(struct bridge *bridge)
{
    struct gh_message_attribute attributes[GH_DIALECT_ATTRIBUTES_MAX];
    struct gh_speaker speaker = speaker_of(bridge);
    struct gh_message message = {
        .data = bridge->data,
        .attributes = attributes,
        .attributes_count = gh_google_dialect.attributes(&speaker, &bridge->operation, attributes)};
    if (bridge->registry->state_topic.size > 0)
        (void)!post(bridge, bridge->registry->state_topic, &message, false);
}

static void set_state(struct bridge *bridge)
{
    struct google_call *call = bridge->call;
    json_t *state = NULL;
    enum gh_error_code code = GH_OK;
    bridge->operation.kind = GH_OPERATION_STATE;
    if (!gh_json_object(call->input, "state", &state))
        code = google_fail(call, GH_ERROR_INVALID, "state: it must be given");
    if (code == GH_OK)
        code = read_data(bridge, state, GH_GOOGLE_STATE_BYTES_MAX);
    if (code == GH_OK)
        code = check_rate(bridge, GH_RATE_STATES);
    if (code == GH_OK)
        code = gh_directory_state_set(call->services->directory, bridge->device.number,
                                      bridge->data, call->now_ms, &call->error);
    if (code == GH_OK)
        notify_state(bridge);
    end(bridge, code);
}

/* --- config */

/* The newest one; each device has one. */
static enum gh_error_code read_config(struct bridge *bridge, struct gh_config *out)
{
    struct google_call *call = bridge->call;
    struct gh_config *newest;
    size_t count;
    enum gh_error_code code =
        gh_directory_config_list(call->services->directory, bridge->device.number, 1, call->arena,
                                 &newest, &count, &call->error);
    if (code == GH_OK && count == 0)
        code = google_fail(call, GH_ERROR_NOT_FOUND, "the device has been deleted");
    if (code == GH_OK)
        *out = newest[0];
    return code;
}

static enum gh_error_code write_config(struct bridge *bridge, const struct gh_config *config,
                                       uint64_t local_version)
{
    static const struct google_status out_of_range = {"OUT_OF_RANGE", 11, 400, false};
    struct google_call *call = bridge->call;
    if (local_version > (uint64_t)config->version) {
        call->status = &out_of_range;
        return google_fail(call, GH_ERROR_RANGE, "local_version: the newest version is %lld",
                           (long long)config->version);
    }
    struct gh_config answer = {.version = config->version};
    if (local_version != (uint64_t)config->version)
        answer.data = config->data;
    call->output = google_config_write(call, &answer);
    return GH_OK;
}

static void get_config(struct bridge *bridge)
{
    struct google_call *call = bridge->call;
    struct gh_slice text = google_query(call, "localVersion");
    char detail[48];
    uint64_t local_version = 0;
    struct gh_config config;
    enum gh_error_code code = GH_OK;
    if (text.size != 0 && (!gh_slice_to_u64(text, &local_version) || local_version > INT64_MAX))
        code = google_fail(call, GH_ERROR_INVALID, "local_version: it must be a number");
    if (code == GH_OK)
        code = read_config(bridge, &config);
    if (code == GH_OK)
        code = write_config(bridge, &config, local_version);
    if (code == GH_OK) {
        int size =
            snprintf(detail, sizeof detail, "version %lld by HTTP", (long long)config.version);
        gh_directory_note(call->services->directory, bridge->device.number, GH_ACTIVITY_CONFIG_SEND,
                          call->now_ms);
        note(bridge, &bridge->device, GH_TRAIL_CONFIG_SENT, "", gh_slice(detail, (size_t)size));
    }
    end(bridge, code);
}

/* --- the way of a call */

static enum gh_error_code check_requests(struct bridge *bridge)
{
    enum gh_error_code code =
        google_rate_check(bridge->call, bridge->registry->tenant, 0, GH_RATE_REQUESTS);
    if (code != GH_OK)
        note(bridge, &bridge->device, GH_TRAIL_REFUSAL, "TENANT_REQUESTS", (struct gh_slice){0});
    return code;
}

static enum gh_error_code read_body(struct google_call *call)
{
    if (call->bridge_route->body == NULL)
        return GH_OK;
    json_t *body = call->body.size == 0
                       ? json_object()
                       : gh_json_read_limited(call->body, call->body.size, &call->error);
    if (body == NULL)
        return call->body.size == 0 ? google_fail(call, GH_ERROR_MEMORY, "body") : call->error.code;
    call->input = google_message_read(call->bridge_route->body, body, &call->error);
    json_decref(body);
    return call->input == NULL ? call->error.code : GH_OK;
}

void google_bridge_run(struct google_call *call)
{
    call->now_ms = call->services->utc_ms();
    struct bridge *bridge = gh_arena_alloc(call->arena, sizeof *bridge);
    if (bridge == NULL) {
        google_call_end(call, google_fail(call, GH_ERROR_MEMORY, "the request"));
        return;
    }
    *bridge = (struct bridge){.call = call};
    enum gh_error_code code = authenticate(bridge);
    if (code == GH_OK)
        code = check_requests(bridge);
    if (code == GH_OK && call->services->absence != NULL)
        gh_absence_note(call->services->absence, bridge->device.number, GH_ABSENCE_HEARD,
                        call->now_ms);
    if (code == GH_OK)
        code = google_query_check(call, call->bridge_route->parameters,
                                  GH_COUNT(call->bridge_route->parameters));
    if (code == GH_OK)
        code = read_body(call);
    if (code == GH_OK)
        code = read_gateway_info(bridge);
    if (code == GH_OK)
        call->bridge_route->handler(bridge);
    else
        end(bridge, code);
}
