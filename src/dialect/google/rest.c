#include "base/log.h"
#include "dialect/google/rest_internal.h"
#include "observe/trail.h"
#include "wire/http/path.h"
#include "wire/http/query.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

/* ---- the routes ---- */

#define PROJECT "/v1/projects/{p}"
#define REGISTRIES PROJECT "/locations/{l}/registries"
#define REGISTRY REGISTRIES "/{r}"
#define GROUP REGISTRY "/groups/{g}"
#define DEVICE "/devices/{d}"
#define TOPIC PROJECT "/topics/{t}"
#define SUBSCRIPTION PROJECT "/subscriptions/{s}"
#define SNAPSHOT PROJECT "/snapshots/{s}"
#define ANYWHERE GH_PERMISSION_COUNT

/* Google's device manager (cloudiot v1) and Pub/Sub (v1). Of two rows that fit, the first is taken.
 */
static const struct google_route routes[] = {
    {.method = "POST",
     .pattern = REGISTRIES,
     .permission = GH_PERMISSION_REGISTRIES_CREATE,
     .handler = google_registry_create,
     .body = &google_registry_message},
    {.method = "GET",
     .pattern = REGISTRIES,
     .permission = GH_PERMISSION_REGISTRIES_LIST,
     .handler = google_registry_list,
     .parameters = {"pageSize", "pageToken"}},
    {.method = "GET",
     .pattern = REGISTRY,
     .permission = GH_PERMISSION_REGISTRIES_GET,
     .handler = google_registry_get},
    {.method = "PATCH",
     .pattern = REGISTRY,
     .permission = GH_PERMISSION_REGISTRIES_UPDATE,
     .handler = google_registry_update,
     .body = &google_registry_message,
     .parameters = {"updateMask"}},
    {.method = "DELETE",
     .pattern = REGISTRY,
     .permission = GH_PERMISSION_REGISTRIES_DELETE,
     .handler = google_registry_delete},
    {.method = "POST",
     .pattern = REGISTRY ":getIamPolicy",
     .group_pattern = GROUP ":getIamPolicy",
     .permission = GH_PERMISSION_REGISTRIES_GET_IAM_POLICY,
     .handler = google_policy_get,
     .body = &google_policy_get_message},
    {.method = "POST",
     .pattern = REGISTRY ":setIamPolicy",
     .group_pattern = GROUP ":setIamPolicy",
     .permission = GH_PERMISSION_REGISTRIES_SET_IAM_POLICY,
     .handler = google_policy_set,
     .body = &google_policy_set_message},
    {.method = "POST",
     .pattern = REGISTRY ":testIamPermissions",
     .group_pattern = GROUP ":testIamPermissions",
     .permission = ANYWHERE,
     .handler = google_policy_test,
     .body = &google_policy_test_message},
    {.method = "POST",
     .pattern = REGISTRY ":bindDeviceToGateway",
     .group_pattern = GROUP ":bindDeviceToGateway",
     .permission = GH_PERMISSION_DEVICES_BIND_GATEWAY,
     .handler = google_gateway_bind,
     .body = &google_binding_message},
    {.method = "POST",
     .pattern = REGISTRY ":unbindDeviceFromGateway",
     .group_pattern = GROUP ":unbindDeviceFromGateway",
     .permission = GH_PERMISSION_DEVICES_UNBIND_GATEWAY,
     .handler = google_gateway_unbind,
     .body = &google_binding_message},
    {.method = "POST",
     .pattern = REGISTRY "/devices",
     .permission = GH_PERMISSION_DEVICES_CREATE,
     .handler = google_device_create,
     .body = &google_device_message},
    {.method = "GET",
     .pattern = REGISTRY "/devices",
     .group_pattern = GROUP "/devices",
     .permission = GH_PERMISSION_DEVICES_LIST,
     .handler = google_device_list,
     .parameters = {"deviceNumIds", "deviceIds", "fieldMask", "pageSize", "pageToken",
                    "gatewayListOptions.gatewayType", "gatewayListOptions.associationsGatewayId",
                    "gatewayListOptions.associationsDeviceId"}},
    {.method = "GET",
     .pattern = REGISTRY DEVICE,
     .group_pattern = GROUP DEVICE,
     .permission = GH_PERMISSION_DEVICES_GET,
     .handler = google_device_get,
     .parameters = {"fieldMask"}},
    {.method = "PATCH",
     .pattern = REGISTRY DEVICE,
     .group_pattern = GROUP DEVICE,
     .permission = GH_PERMISSION_DEVICES_UPDATE,
     .handler = google_device_update,
     .body = &google_device_message,
     .parameters = {"updateMask"}},
    {.method = "DELETE",
     .pattern = REGISTRY DEVICE,
     .permission = GH_PERMISSION_DEVICES_DELETE,
     .handler = google_device_delete},
    {.method = "POST",
     .pattern = REGISTRY DEVICE ":modifyCloudToDeviceConfig",
     .group_pattern = GROUP DEVICE ":modifyCloudToDeviceConfig",
     .permission = GH_PERMISSION_DEVICES_UPDATE_CONFIG,
     .handler = google_config_modify,
     .body = &google_config_change_message},
    {.method = "GET",
     .pattern = REGISTRY DEVICE "/configVersions",
     .group_pattern = GROUP DEVICE "/configVersions",
     .permission = GH_PERMISSION_DEVICES_GET,
     .handler = google_config_versions,
     .parameters = {"numVersions"}},
    {.method = "GET",
     .pattern = REGISTRY DEVICE "/states",
     .group_pattern = GROUP DEVICE "/states",
     .permission = GH_PERMISSION_DEVICES_GET,
     .handler = google_states,
     .parameters = {"numStates"}},
    {.method = "POST",
     .pattern = REGISTRY DEVICE ":sendCommandToDevice",
     .group_pattern = GROUP DEVICE ":sendCommandToDevice",
     .permission = GH_PERMISSION_DEVICES_SEND_COMMAND,
     .waiting = google_command_send,
     .body = &google_command_message},

    {.method = "GET",
     .pattern = PROJECT "/topics",
     .permission = GH_PERMISSION_TOPICS_LIST,
     .handler = google_topic_list,
     .parameters = {"pageSize", "pageToken"}},
    {.method = "GET",
     .pattern = TOPIC ":getIamPolicy",
     .permission = GH_PERMISSION_TOPICS_GET,
     .handler = google_unserved,
     .parameters = {"options.requestedPolicyVersion"}},
    {.method = "POST",
     .pattern = TOPIC ":setIamPolicy",
     .permission = GH_PERMISSION_TOPICS_CREATE,
     .handler = google_unserved},
    {.method = "POST",
     .pattern = TOPIC ":testIamPermissions",
     .permission = GH_PERMISSION_TOPICS_GET,
     .handler = google_unserved},
    {.method = "PUT",
     .pattern = TOPIC,
     .permission = GH_PERMISSION_TOPICS_CREATE,
     .handler = google_topic_create,
     .body = &google_topic_message},
    {.method = "GET",
     .pattern = TOPIC,
     .permission = GH_PERMISSION_TOPICS_GET,
     .handler = google_topic_get},
    {.method = "PATCH",
     .pattern = TOPIC,
     .permission = GH_PERMISSION_TOPICS_CREATE,
     .handler = google_unserved},
    {.method = "DELETE",
     .pattern = TOPIC,
     .permission = GH_PERMISSION_TOPICS_DELETE,
     .handler = google_topic_delete},
    {.method = "GET",
     .pattern = TOPIC "/subscriptions",
     .permission = GH_PERMISSION_TOPICS_GET,
     .handler = google_topic_subscriptions,
     .parameters = {"pageSize", "pageToken"}},
    {.method = "GET",
     .pattern = TOPIC "/snapshots",
     .permission = GH_PERMISSION_TOPICS_GET,
     .handler = google_unserved},
    {.method = "POST",
     .pattern = TOPIC ":publish",
     .permission = GH_PERMISSION_TOPICS_PUBLISH,
     .handler = google_publish,
     .body = &google_publish_message},

    {.method = "GET",
     .pattern = PROJECT "/subscriptions",
     .permission = GH_PERMISSION_SUBSCRIPTIONS_LIST,
     .handler = google_subscription_list,
     .parameters = {"pageSize", "pageToken"}},
    {.method = "GET",
     .pattern = SUBSCRIPTION ":getIamPolicy",
     .permission = GH_PERMISSION_SUBSCRIPTIONS_GET,
     .handler = google_unserved,
     .parameters = {"options.requestedPolicyVersion"}},
    {.method = "POST",
     .pattern = SUBSCRIPTION ":setIamPolicy",
     .permission = GH_PERMISSION_SUBSCRIPTIONS_UPDATE,
     .handler = google_unserved},
    {.method = "POST",
     .pattern = SUBSCRIPTION ":testIamPermissions",
     .permission = GH_PERMISSION_SUBSCRIPTIONS_GET,
     .handler = google_unserved},
    {.method = "PUT",
     .pattern = SUBSCRIPTION,
     .permission = GH_PERMISSION_SUBSCRIPTIONS_CREATE,
     .handler = google_subscription_create,
     .body = &google_subscription_message},
    {.method = "GET",
     .pattern = SUBSCRIPTION,
     .permission = GH_PERMISSION_SUBSCRIPTIONS_GET,
     .handler = google_subscription_get},
    {.method = "PATCH",
     .pattern = SUBSCRIPTION,
     .permission = GH_PERMISSION_SUBSCRIPTIONS_UPDATE,
     .handler = google_subscription_update,
     .body = &google_subscription_update_message},
    {.method = "DELETE",
     .pattern = SUBSCRIPTION,
     .permission = GH_PERMISSION_SUBSCRIPTIONS_DELETE,
     .handler = google_subscription_delete},
    {.method = "POST",
     .pattern = SUBSCRIPTION ":pull",
     .permission = GH_PERMISSION_SUBSCRIPTIONS_CONSUME,
     .waiting = google_pull,
     .body = &google_pull_message},
    {.method = "POST",
     .pattern = SUBSCRIPTION ":acknowledge",
     .permission = GH_PERMISSION_SUBSCRIPTIONS_CONSUME,
     .handler = google_acknowledge,
     .body = &google_acknowledge_message},
    {.method = "POST",
     .pattern = SUBSCRIPTION ":modifyAckDeadline",
     .permission = GH_PERMISSION_SUBSCRIPTIONS_CONSUME,
     .handler = google_modify_deadline,
     .body = &google_deadline_message},
    {.method = "POST",
     .pattern = SUBSCRIPTION ":modifyPushConfig",
     .permission = GH_PERMISSION_SUBSCRIPTIONS_UPDATE,
     .handler = google_modify_push,
     .body = &google_push_message},
    {.method = "POST",
     .pattern = SUBSCRIPTION ":seek",
     .permission = GH_PERMISSION_SUBSCRIPTIONS_CONSUME,
     .handler = google_unserved},
    {.method = "POST",
     .pattern = SUBSCRIPTION ":detach",
     .permission = GH_PERMISSION_SUBSCRIPTIONS_UPDATE,
     .handler = google_unserved},
    {.method = "GET",
     .pattern = PROJECT "/snapshots",
     .permission = GH_PERMISSION_SUBSCRIPTIONS_LIST,
     .handler = google_unserved},
    {.method = "PUT",
     .pattern = SNAPSHOT,
     .permission = GH_PERMISSION_SUBSCRIPTIONS_CREATE,
     .handler = google_unserved},
    {.method = "GET",
     .pattern = SNAPSHOT,
     .permission = GH_PERMISSION_SUBSCRIPTIONS_GET,
     .handler = google_unserved},
    {.method = "PATCH",
     .pattern = SNAPSHOT,
     .permission = GH_PERMISSION_SUBSCRIPTIONS_UPDATE,
     .handler = google_unserved},
    {.method = "DELETE",
     .pattern = SNAPSHOT,
     .permission = GH_PERMISSION_SUBSCRIPTIONS_DELETE,
     .handler = google_unserved},
};

/* Parameters that every method of Google's front takes and that change nothing here. Credentials
 * are never taken from a URL. */
static const char *const ignored_parameters[] = {
    "alt",      "$alt",         "prettyPrint", "$prettyPrint",    "fields",
    "key",      "quotaUser",    "uploadType",  "upload_protocol", "$.xgafv",
    "callback", "access_token", "oauth_token", "uploadProtocol",
};

/* ---- finding the route ---- */

/* Sets the names of the path; a group stands for its whole registry. */
static void take_captures(struct google_call *call, const char *pattern, struct gh_slice captures[])
{
    size_t count = 0;
    for (const char *at = pattern; *at != '\0'; at++)
        count += *at == '{';
    call->project = captures[0];
    bool of_registry = gh_slice_starts(gh_slice_text(pattern), GH_SLICE(REGISTRIES));
    if (!of_registry) {
        call->target = count > 1 ? captures[1] : (struct gh_slice){0};
        return;
    }
    bool of_group = gh_slice_starts(gh_slice_text(pattern), GH_SLICE(GROUP));
    size_t device = of_group ? 4 : 3;
    call->location = captures[1];
    call->registry_name = count > 2 ? captures[2] : (struct gh_slice){0};
    call->target = count > device ? captures[device] : (struct gh_slice){0};
}

static bool fits(struct google_call *call, const char *pattern)
{
    struct gh_slice captures[GOOGLE_CAPTURES_MAX];
    if (pattern == NULL ||
        !gh_path_match(pattern, call->path, captures, GOOGLE_CAPTURES_MAX, call->arena))
        return false;
    take_captures(call, pattern, captures);
    return true;
}

static enum gh_error_code find_route(struct google_call *call)
{
    for (size_t i = 0; i < GH_COUNT(routes); i++) {
        if (!gh_slice_equal(call->method, gh_slice_text(routes[i].method)) ||
            (!fits(call, routes[i].pattern) && !fits(call, routes[i].group_pattern)))
            continue;
        call->route = &routes[i];
        return GH_OK;
    }
    return google_fail(call, GH_ERROR_NOT_FOUND, "this API has no method %.*s on such a path",
                       GH_PRINT(gh_slice_sub(call->method, 0, 16)));
}

/* ---- permission ---- */

static struct gh_policy_scope scope_of(const struct google_call *call)
{
    return (struct gh_policy_scope){.tenant = call->tenant_found ? call->tenant.number : 0,
                                    .tenant_policy = call->tenant.policy,
                                    .registry_policy = call->registry.policy};
}

bool google_may(struct google_call *call, enum gh_permission permission)
{
    struct gh_policy_scope scope = scope_of(call);
    return gh_policy_may(&call->caller, permission, &scope, NULL);
}

/* What the path names. That it does not exist is not told before permission was checked. */
static enum gh_error_code look_up(struct google_call *call)
{
    struct gh_directory *directory = call->services->directory;
    enum gh_error_code code = gh_directory_tenant_find_google(directory, call->project, call->arena,
                                                              &call->tenant, &call->error);
    call->tenant_found = code == GH_OK;
    if (!call->tenant_found || call->registry_name.size == 0)
        return code;
    code = gh_directory_registry_find(directory, call->tenant.number, call->registry_name,
                                      call->location, call->arena, &call->registry, &call->error);
    call->registry_found = code == GH_OK;
    return code;
}

static void note_denial(struct google_call *call, const char *why)
{
    char detail[GH_POLICY_WHY_MAX + 128];
    snprintf(detail, sizeof(detail), "%.*s: %s", GH_PRINT(gh_slice_sub(call->caller.name, 0, 64)),
             why);
    gh_log(GH_LOG_INFO, "google", "denied %.*s %.*s from %s: %s", GH_PRINT(call->method),
           GH_PRINT(gh_slice_sub(call->path, 0, 512)), call->peer, detail);
    if (call->services->trail == NULL)
        return;
    gh_trail_note(call->services->trail,
                  &(struct gh_trail_entry){.at_ms = call->now_ms,
                                           .tenant = call->tenant.name,
                                           .registry = call->registry.name,
                                           .kind = GH_TRAIL_OPERATOR,
                                           .reason = GH_SLICE("PERMISSION_DENIED"),
                                           .detail = gh_slice_text(detail),
                                           .address = gh_slice_text(call->peer)});
}

static enum gh_error_code authorise(struct google_call *call)
{
    char why[GH_POLICY_WHY_MAX];
    enum gh_error_code found = look_up(call);
    if (found != GH_OK && found != GH_ERROR_NOT_FOUND)
        return found;
    if (call->route->permission == ANYWHERE)
        return GH_OK;
    struct gh_policy_scope scope = scope_of(call);
    if (gh_policy_may(&call->caller, call->route->permission, &scope, why))
        return found;
    note_denial(call, why);
    gh_metric_add(call->services->metrics, GH_METRIC_api_denied_total, 1);
    const char *name = google_permission_print(call, call->route->permission);
    return google_fail(call, GH_ERROR_DENIED,
                       "the caller does not have %s on this resource, or it does not exist",
                       name == NULL ? "the permission" : name);
}

/* ---- reading the request ---- */

static bool listed(struct gh_slice name, const char *const names[], size_t count)
{
    for (size_t i = 0; i < count && names[i] != NULL; i++) {
        if (google_name_equal(name, names[i]))
            return true;
    }
    return false;
}

static enum gh_error_code check_parameters(struct google_call *call)
{
    struct gh_slice rest = call->query, name, value;
    while (gh_query_next(&rest, call->arena, &name, &value)) {
        if (!listed(name, ignored_parameters, GH_COUNT(ignored_parameters)) &&
            !listed(name, call->route->parameters, GH_COUNT(call->route->parameters)))
            return google_fail(call, GH_ERROR_INVALID, "%.*s: there is no such query parameter",
                               GH_PRINT(gh_slice_sub(name, 0, 64)));
    }
    return GH_OK;
}

static enum gh_error_code read_body(struct google_call *call)
{
    if (call->route->body == NULL)
        return GH_OK;
    json_t *body = call->body.size == 0
                       ? json_object()
                       : gh_json_read_limited(call->body, call->body.size, &call->error);
    if (body == NULL)
        return call->body.size == 0 ? google_fail(call, GH_ERROR_MEMORY, "body") : call->error.code;
    call->input = google_message_read(call->route->body, body, &call->error);
    json_decref(body);
    return call->input == NULL ? call->error.code : GH_OK;
}

struct gh_slice google_query(const struct google_call *call, const char *name)
{
    struct gh_slice rest = call->query, value;
    return google_query_each(call, &rest, name, &value) ? value : (struct gh_slice){0};
}

bool google_query_each(const struct google_call *call, struct gh_slice *rest, const char *name,
                       struct gh_slice *out)
{
    struct gh_slice given;
    while (gh_query_next(rest, call->arena, &given, out)) {
        if (google_name_equal(given, name))
            return true;
    }
    return false;
}

enum gh_error_code google_query_number(struct google_call *call, const char *name, size_t *out)
{
    struct gh_slice text = google_query(call, name);
    uint64_t value = 0;
    if (text.size != 0 && (!gh_slice_to_u64(text, &value) || value > INT32_MAX))
        return google_fail(call, GH_ERROR_INVALID, "%s: it must be a number from 0 to 2147483647",
                           name);
    *out = (size_t)value;
    return GH_OK;
}

/* ---- the way of a call ---- */

enum gh_error_code google_fail(struct google_call *call, enum gh_error_code code,
                               const char *format, ...)
{
    char text[GH_ERROR_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    return gh_error_set(&call->error, code, "%s", text);
}

enum gh_error_code google_unserved(struct google_call *call)
{
    return google_fail(call, GH_ERROR_UNSUPPORTED, "this method of Pub/Sub");
}

void google_note(struct google_call *call, const struct gh_device *device, const char *what)
{
    if (call->services->trail == NULL)
        return;
    gh_trail_note(call->services->trail,
                  &(struct gh_trail_entry){
                      .at_ms = call->now_ms,
                      .device = device == NULL ? 0 : device->number,
                      .tenant = call->tenant.name,
                      .registry = call->registry.name,
                      .device_id = device == NULL ? (struct gh_slice){0} : device->id,
                      .kind = GH_TRAIL_OPERATOR,
                      .reason = gh_slice_text(what),
                      .detail = call->caller.name,
                      .address = gh_slice_text(call->peer),
                  });
}

static enum gh_error_code prepare(struct google_call *call)
{
    if (call->caller.kind == GH_CALLER_NOBODY) {
        gh_metric_add(call->services->metrics, GH_METRIC_api_unauthenticated_total, 1);
        return google_fail(call, GH_ERROR_UNAUTHENTICATED, "no valid token");
    }
    enum gh_error_code code = find_route(call);
    if (code == GH_OK)
        code = authorise(call);
    if (code == GH_OK)
        code = check_parameters(call);
    if (code == GH_OK)
        code = read_body(call);
    return code;
}

void google_call_run(struct google_call *call)
{
    assert(call->finish != NULL);
    call->now_ms = call->services->utc_ms();
    enum gh_error_code code = prepare(call);
    if (code == GH_OK && call->route->waiting != NULL)
        call->route->waiting(call);
    else
        google_call_end(call, code == GH_OK ? call->route->handler(call) : code);
}

void google_call_end(struct google_call *call, enum gh_error_code code)
{
    call->code = code;
    if (code == GH_OK && call->write_failed)
        call->code = google_fail(call, GH_ERROR_MEMORY, "the answer");
    call->finish(call);
}

/* {"error":{"code":404,"message":"…","status":"NOT_FOUND"}} */
static json_t *error_body(const struct google_call *call, const struct google_status *status)
{
    const struct gh_error_info *info = gh_error_info(call->code);
    struct gh_slice text = gh_slice_text(call->error.text);
    json_t *message = NULL;
    if (!status->hidden && call->error.code == call->code && text.size != 0)
        message = call->code == GH_ERROR_UNSUPPORTED
                      ? json_sprintf("%s: %s", call->error.text, info->meaning)
                      : gh_json_new_text(text);
    if (message == NULL)
        message = json_string(info->meaning);
    return json_pack("{s:{s:i, s:o, s:s}}", "error", "code", status->http, "message", message,
                     "status", status->name);
}

int google_call_print(struct google_call *call, struct gh_buffer *out)
{
    if (call->code == GH_OK) {
        if (call->output == NULL ? gh_buffer_put(out, GH_SLICE("{}"))
                                 : gh_json_write(call->output, out))
            return 200;
        gh_buffer_clear(out);
        call->code = google_fail(call, GH_ERROR_MEMORY, "the answer");
    }
    const struct google_status *status = google_status_of(call->code);
    if (status->hidden && status->http >= 500)
        gh_log(GH_LOG_WARN, "google", "GH%d %.*s %.*s: %s", (int)call->code, GH_PRINT(call->method),
               GH_PRINT(gh_slice_sub(call->path, 0, 512)), call->error.text);
    json_t *body = error_body(call, status);
    if (!gh_json_write(body, out)) {
        gh_buffer_clear(out);
        gh_buffer_put(out, GH_SLICE("{\"error\":{\"code\":503,\"message\":\"there is no memory for "
                                    "this work\",\"status\":\"UNAVAILABLE\"}}"));
    }
    json_decref(body);
    return status->http;
}

void google_call_deinit(struct google_call *call)
{
    json_decref(call->input);
    json_decref(call->output);
    call->input = call->output = NULL;
}
