#include "dialect/google/rest_internal.h"
#include "wire/http/path.h"
#include "wire/http/query.h"

/* ---- the routes ---- */

#define PROJECT "/v1/projects/{p}"
#define REGISTRIES PROJECT "/locations/{l}/registries"
#define REGISTRY REGISTRIES "/{r}"
#define GROUP REGISTRY "/groups/{g}"
#define DEVICE "/devices/{d}"
#define TOPIC PROJECT "/topics/{t}"
#define SUBSCRIPTION PROJECT "/subscriptions/{s}"
#define SNAPSHOT PROJECT "/snapshots/{x}"
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
     .audit = GOOGLE_AUDIT_NOT,
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
     .audit = GOOGLE_AUDIT_NOT,
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
    /* Gatehouse's own. */
    {.method = "POST",
     .pattern = REGISTRY "/devices:import",
     .permission = GH_PERMISSION_DEVICES_CREATE,
     .handler = google_device_import,
     .body = &google_import_message},
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
     .audit = GOOGLE_AUDIT_AHEAD,
     .body = &google_command_message},

    {.method = "GET",
     .pattern = PROJECT "/topics",
     .permission = GH_PERMISSION_TOPICS_LIST,
     .handler = google_topic_list,
     .parameters = {"pageSize", "pageToken"}},
    {.method = "GET",
     .pattern = TOPIC ":getIamPolicy",
     .permission = GH_PERMISSION_TOPICS_GET_IAM_POLICY,
     .handler = google_pubsub_policy_get,
     .parameters = {"options.requestedPolicyVersion"}},
    {.method = "POST",
     .pattern = TOPIC ":setIamPolicy",
     .permission = GH_PERMISSION_TOPICS_SET_IAM_POLICY,
     .handler = google_pubsub_policy_set,
     .body = &google_policy_set_message},
    {.method = "POST",
     .pattern = TOPIC ":testIamPermissions",
     .permission = ANYWHERE,
     .handler = google_pubsub_policy_test,
     .body = &google_policy_test_message,
     .audit = GOOGLE_AUDIT_NOT},
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
     .permission = GH_PERMISSION_TOPICS_UPDATE,
     .handler = google_topic_update,
     .body = &google_topic_update_message},
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
     .handler = google_topic_snapshots,
     .parameters = {"pageSize", "pageToken"}},
    {.method = "POST",
     .pattern = TOPIC ":publish",
     .permission = GH_PERMISSION_TOPICS_PUBLISH,
     .handler = google_publish,
     .audit = GOOGLE_AUDIT_NOT,
     .body = &google_publish_message},

    {.method = "GET",
     .pattern = PROJECT "/subscriptions",
     .permission = GH_PERMISSION_SUBSCRIPTIONS_LIST,
     .handler = google_subscription_list,
     .parameters = {"pageSize", "pageToken"}},
    {.method = "GET",
     .pattern = SUBSCRIPTION ":getIamPolicy",
     .permission = GH_PERMISSION_SUBSCRIPTIONS_GET_IAM_POLICY,
     .handler = google_pubsub_policy_get,
     .parameters = {"options.requestedPolicyVersion"}},
    {.method = "POST",
     .pattern = SUBSCRIPTION ":setIamPolicy",
     .permission = GH_PERMISSION_SUBSCRIPTIONS_SET_IAM_POLICY,
     .handler = google_pubsub_policy_set,
     .body = &google_policy_set_message},
    {.method = "POST",
     .pattern = SUBSCRIPTION ":testIamPermissions",
     .permission = ANYWHERE,
     .handler = google_pubsub_policy_test,
     .body = &google_policy_test_message,
     .audit = GOOGLE_AUDIT_NOT},
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
     .audit = GOOGLE_AUDIT_NOT,
     .body = &google_pull_message},
    {.method = "POST",
     .pattern = SUBSCRIPTION ":acknowledge",
     .permission = GH_PERMISSION_SUBSCRIPTIONS_CONSUME,
     .handler = google_acknowledge,
     .audit = GOOGLE_AUDIT_NOT,
     .body = &google_acknowledge_message},
    {.method = "POST",
     .pattern = SUBSCRIPTION ":modifyAckDeadline",
     .permission = GH_PERMISSION_SUBSCRIPTIONS_CONSUME,
     .handler = google_modify_deadline,
     .audit = GOOGLE_AUDIT_NOT,
     .body = &google_deadline_message},
    {.method = "POST",
     .pattern = SUBSCRIPTION ":modifyPushConfig",
     .permission = GH_PERMISSION_SUBSCRIPTIONS_UPDATE,
     .handler = google_modify_push,
     .body = &google_push_message},
    {.method = "POST",
     .pattern = SUBSCRIPTION ":seek",
     .permission = GH_PERMISSION_SUBSCRIPTIONS_CONSUME,
     .handler = google_seek,
     .body = &google_seek_message,
     .audit = GOOGLE_AUDIT_AHEAD},
    {.method = "POST",
     .pattern = SUBSCRIPTION ":detach",
     .permission = GH_PERMISSION_TOPICS_DETACH,
     .handler = google_detach},
    {.method = "GET",
     .pattern = PROJECT "/snapshots",
     .permission = GH_PERMISSION_SNAPSHOTS_LIST,
     .handler = google_snapshot_list,
     .parameters = {"pageSize", "pageToken"}},
    {.method = "PUT",
     .pattern = SNAPSHOT,
     .permission = GH_PERMISSION_SNAPSHOTS_CREATE,
     .handler = google_snapshot_create,
     .body = &google_snapshot_create_message},
    {.method = "GET",
     .pattern = SNAPSHOT,
     .permission = GH_PERMISSION_SNAPSHOTS_GET,
     .handler = google_snapshot_get},
    {.method = "PATCH",
     .pattern = SNAPSHOT,
     .permission = GH_PERMISSION_SNAPSHOTS_UPDATE,
     .handler = google_snapshot_update,
     .body = &google_snapshot_update_message},
    {.method = "DELETE",
     .pattern = SNAPSHOT,
     .permission = GH_PERMISSION_SNAPSHOTS_DELETE,
     .handler = google_snapshot_delete},
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

/* Whether the row may answer: over gRPC the method is named, and its path must not lead elsewhere.
 */
static bool is_meant(const struct google_call *call, const struct google_route *route)
{
    if (call->handler == NULL && call->waiting == NULL)
        return gh_slice_equal(call->method, gh_slice_text(route->method));
    return call->handler == route->handler && call->waiting == route->waiting;
}

enum gh_error_code google_route_find(struct google_call *call)
{
    for (size_t i = 0; i < GH_COUNT(routes); i++) {
        if (!is_meant(call, &routes[i]) ||
            (!fits(call, routes[i].pattern) && !fits(call, routes[i].group_pattern)))
            continue;
        call->route = &routes[i];
        return GH_OK;
    }
    if (call->handler != NULL || call->waiting != NULL)
        return google_fail(call, GH_ERROR_INVALID, "the name of the resource: it has another form");
    return google_fail(call, GH_ERROR_NOT_FOUND, "this API has no method %.*s on such a path",
                       GH_PRINT(gh_slice_sub(call->method, 0, 16)));
}

/* ---- the query ---- */

static bool listed(struct gh_slice name, const char *const names[], size_t count)
{
    for (size_t i = 0; i < count && names[i] != NULL; i++) {
        if (google_name_equal(name, names[i]))
            return true;
    }
    return false;
}

enum gh_error_code google_parameters_check(struct google_call *call)
{
    return google_query_check(call, call->route->parameters, GH_COUNT(call->route->parameters));
}

enum gh_error_code google_query_check(struct google_call *call, const char *const names[],
                                      size_t count)
{
    struct gh_slice rest = call->query, name, value;
    while (gh_query_next(&rest, call->arena, &name, &value)) {
        if (!listed(name, ignored_parameters, GH_COUNT(ignored_parameters)) &&
            !listed(name, names, count))
            return google_fail(call, GH_ERROR_INVALID, "%.*s: there is no such query parameter",
                               GH_PRINT(gh_slice_sub(name, 0, 64)));
    }
    return GH_OK;
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
