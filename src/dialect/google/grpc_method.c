#include "dialect/google/grpc_internal.h"
#include "google.pb-c.h"
#include <stdio.h>

#define TYPES(in, out)                                                                             \
    .request = &google__##in##__descriptor, .response = &google__##out##__descriptor
#define IOT "/google.cloud.iot.v1.DeviceManager/"
#define PUBLISHER "/google.pubsub.v1.Publisher/"
#define SUBSCRIBER "/google.pubsub.v1.Subscriber/"
#define IAM "/google.iam.v1.IAMPolicy/"

/* Columns as in struct google_method. */
static const struct google_method methods[] = {
    {IOT "CreateDeviceRegistry", TYPES(create_device_registry_request, device_registry), "POST",
     "parent", "/registries", "deviceRegistry", google_registry_create, NULL},
    {IOT "GetDeviceRegistry", TYPES(name_request, device_registry), "GET", "name", "", NULL,
     google_registry_get, NULL},
    {IOT "UpdateDeviceRegistry", TYPES(update_device_registry_request, device_registry), "PATCH",
     "deviceRegistry.name", "", "deviceRegistry", google_registry_update, NULL},
    {IOT "DeleteDeviceRegistry", TYPES(name_request, empty), "DELETE", "name", "", NULL,
     google_registry_delete, NULL},
    {IOT "ListDeviceRegistries", TYPES(page_request, list_device_registries_response), "GET",
     "parent", "/registries", NULL, google_registry_list, NULL},
    {IOT "CreateDevice", TYPES(create_device_request, device), "POST", "parent", "/devices",
     "device", google_device_create, NULL},
    {IOT "GetDevice", TYPES(get_device_request, device), "GET", "name", "", NULL, google_device_get,
     NULL},
    {IOT "UpdateDevice", TYPES(update_device_request, device), "PATCH", "device.name", "", "device",
     google_device_update, NULL},
    {IOT "DeleteDevice", TYPES(name_request, empty), "DELETE", "name", "", NULL,
     google_device_delete, NULL},
    {IOT "ListDevices", TYPES(list_devices_request, list_devices_response), "GET", "parent",
     "/devices", NULL, google_device_list, NULL},
    {IOT "ModifyCloudToDeviceConfig", TYPES(modify_cloud_to_device_config_request, device_config),
     "POST", "name", ":modifyCloudToDeviceConfig", "*", google_config_modify, NULL},
    {IOT "ListDeviceConfigVersions",
     TYPES(list_device_config_versions_request, list_device_config_versions_response), "GET",
     "name", "/configVersions", NULL, google_config_versions, NULL},
    {IOT "ListDeviceStates", TYPES(list_device_states_request, list_device_states_response), "GET",
     "name", "/states", NULL, google_states, NULL},
    {IOT "SetIamPolicy", TYPES(set_iam_policy_request, policy), "POST", "resource", ":setIamPolicy",
     "*", google_policy_set, NULL},
    {IOT "GetIamPolicy", TYPES(get_iam_policy_request, policy), "POST", "resource", ":getIamPolicy",
     "*", google_policy_get, NULL},
    {IOT "TestIamPermissions", TYPES(test_iam_permissions_request, test_iam_permissions_response),
     "POST", "resource", ":testIamPermissions", "*", google_policy_test, NULL},
    {IOT "SendCommandToDevice", TYPES(send_command_to_device_request, empty), "POST", "name",
     ":sendCommandToDevice", "*", NULL, google_command_send},
    {IOT "BindDeviceToGateway", TYPES(gateway_binding_request, empty), "POST", "parent",
     ":bindDeviceToGateway", "*", google_gateway_bind, NULL},
    {IOT "UnbindDeviceFromGateway", TYPES(gateway_binding_request, empty), "POST", "parent",
     ":unbindDeviceFromGateway", "*", google_gateway_unbind, NULL},

    {PUBLISHER "CreateTopic", TYPES(topic, topic), "PUT", "name", "", "*", google_topic_create,
     NULL},
    {PUBLISHER "GetTopic", TYPES(name_request, topic), "GET", "name", "", NULL, google_topic_get,
     NULL},
    {PUBLISHER "DeleteTopic", TYPES(name_request, empty), "DELETE", "name", "", NULL,
     google_topic_delete, NULL},
    {PUBLISHER "ListTopics", TYPES(page_request, list_topics_response), "GET", "parent", "/topics",
     NULL, google_topic_list, NULL},
    {PUBLISHER "ListTopicSubscriptions", TYPES(page_request, list_topic_subscriptions_response),
     "GET", "parent", "/subscriptions", NULL, google_topic_subscriptions, NULL},
    {PUBLISHER "UpdateTopic", TYPES(update_topic_request, topic), "PATCH", "topic.name", "", "*",
     google_topic_update, NULL},
    {PUBLISHER "ListTopicSnapshots", TYPES(page_request, list_topic_snapshots_response), "GET",
     "parent", "/snapshots", NULL, google_topic_snapshots, NULL},
    {PUBLISHER "DetachSubscription", TYPES(name_request, empty), "POST", "name", ":detach", NULL,
     google_detach, NULL},
    {PUBLISHER "Publish", TYPES(publish_request, publish_response), "POST", "topic", ":publish",
     "*", google_publish, NULL},

    {SUBSCRIBER "CreateSubscription", TYPES(subscription, subscription), "PUT", "name", "", "*",
     google_subscription_create, NULL},
    {SUBSCRIBER "GetSubscription", TYPES(name_request, subscription), "GET", "name", "", NULL,
     google_subscription_get, NULL},
    {SUBSCRIBER "UpdateSubscription", TYPES(update_subscription_request, subscription), "PATCH",
     "subscription.name", "", "*", google_subscription_update, NULL},
    {SUBSCRIBER "DeleteSubscription", TYPES(name_request, empty), "DELETE", "name", "", NULL,
     google_subscription_delete, NULL},
    {SUBSCRIBER "ListSubscriptions", TYPES(page_request, list_subscriptions_response), "GET",
     "parent", "/subscriptions", NULL, google_subscription_list, NULL},
    {SUBSCRIBER "ModifyPushConfig", TYPES(modify_push_config_request, empty), "POST",
     "subscription", ":modifyPushConfig", "*", google_modify_push, NULL},
    {SUBSCRIBER "Pull", TYPES(pull_request, pull_response), "POST", "subscription", ":pull", "*",
     NULL, google_pull},
    {SUBSCRIBER "Acknowledge", TYPES(acknowledge_request, empty), "POST", "subscription",
     ":acknowledge", "*", google_acknowledge, NULL},
    {SUBSCRIBER "ModifyAckDeadline", TYPES(modify_ack_deadline_request, empty), "POST",
     "subscription", ":modifyAckDeadline", "*", google_modify_deadline, NULL},
    {SUBSCRIBER "CreateSnapshot", TYPES(create_snapshot_request, snapshot), "PUT", "name", "", "*",
     google_snapshot_create, NULL},
    {SUBSCRIBER "GetSnapshot", TYPES(name_request, snapshot), "GET", "name", "", NULL,
     google_snapshot_get, NULL},
    {SUBSCRIBER "UpdateSnapshot", TYPES(update_snapshot_request, snapshot), "PATCH",
     "snapshot.name", "", "*", google_snapshot_update, NULL},
    {SUBSCRIBER "DeleteSnapshot", TYPES(name_request, empty), "DELETE", "name", "", NULL,
     google_snapshot_delete, NULL},
    {SUBSCRIBER "ListSnapshots", TYPES(page_request, list_snapshots_response), "GET", "parent",
     "/snapshots", NULL, google_snapshot_list, NULL},
    {SUBSCRIBER "Seek", TYPES(seek_request, empty), "POST", "subscription", ":seek", "*",
     google_seek, NULL},

    {IAM "SetIamPolicy", TYPES(set_iam_policy_request, policy), "POST", "resource", ":setIamPolicy",
     "*", google_pubsub_policy_set, NULL},
    {IAM "GetIamPolicy", TYPES(get_iam_policy_request, policy), "GET", "resource", ":getIamPolicy",
     NULL, google_pubsub_policy_get, NULL},
    {IAM "TestIamPermissions", TYPES(test_iam_permissions_request, test_iam_permissions_response),
     "POST", "resource", ":testIamPermissions", "*", google_pubsub_policy_test, NULL},
};

enum { QUERY_BYTES_MAX = 4 * 1024 * 1024, NAME_MAX_BYTES = 128 };

const struct google_method *google_method_find(struct gh_slice path)
{
    for (size_t i = 0; i < GH_COUNT(methods); i++) {
        if (gh_slice_equal(path, gh_slice_text(methods[i].name)))
            return &methods[i];
    }
    return NULL;
}

/* ---- its request as path, query and document */

/* Percent-encoded, but for what RFC 3986 leaves alone and, in a path, the slash. */
static void put_encoded(struct gh_buffer *out, struct gh_slice text, bool is_path)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~' ||
                        (is_path && c == '/');
        if (is_plain)
            gh_buffer_u8(out, c);
        else
            gh_buffer_print(out, "%%%02X", c);
    }
}

static void put_parameter(struct gh_buffer *out, const char *name, json_t *value)
{
    char text[32];
    if (json_is_integer(value))
        snprintf(text, sizeof text, "%lld", (long long)json_integer_value(value));
    gh_buffer_print(out, "%s%s=", out->size == 0 ? "" : "&", name);
    put_encoded(out, json_is_string(value) ? gh_json_slice(value) : gh_slice_text(text), false);
}

/* Every member a parameter: lists repeat their name, members of messages are named with a dot. */
static void put_query(struct gh_buffer *out, const char *prefix, json_t *object)
{
    char name[NAME_MAX_BYTES];
    const char *key;
    json_t *value, *each;
    size_t i;
    json_object_foreach(object, key, value)
    {
        snprintf(name, sizeof name, "%s%s%s", prefix, *prefix == '\0' ? "" : ".", key);
        if (json_is_object(value))
            put_query(out, name, value);
        else if (!json_is_array(value))
            put_parameter(out, name, value);
        json_array_foreach(value, i, each) put_parameter(out, name, each);
    }
}

static bool finish_text(struct google_call *call, struct gh_buffer *text, struct gh_slice *out)
{
    bool done = !text->overflow && gh_arena_copy(call->arena, gh_buffer_slice(text), out);
    gh_buffer_deinit(text);
    return done;
}

/* Takes the name of the resource out of the request. */
static bool set_path(const struct google_method *method, json_t *request, struct google_call *call)
{
    struct gh_slice rest = gh_slice_text(method->resource), resource = {0};
    struct gh_slice first = gh_slice_split(&rest, '.');
    const char *member = gh_arena_text(call->arena, rest.size != 0 ? rest : first);
    const char *outer = gh_arena_text(call->arena, first);
    json_t *owner = request;
    struct gh_buffer path;

    if (member == NULL || outer == NULL)
        return false;
    if (rest.size != 0)
        owner = json_object_get(request, outer);
    gh_json_text(owner, member, &resource);
    gh_buffer_init(&path, 64 * 1024);
    gh_buffer_print(&path, "/v1/");
    put_encoded(&path, resource, true);
    gh_buffer_print(&path, "%s", method->suffix);
    (void)json_object_del(owner, member);
    return finish_text(call, &path, &call->path);
}

static json_t *take_member(json_t *request, const char *name)
{
    json_t *value = json_incref(json_object_get(request, name));
    (void)json_object_del(request, name);
    return value != NULL ? value : json_object();
}

enum gh_error_code google_method_call(const struct google_method *method, json_t *request,
                                      struct google_call *call)
{
    struct gh_buffer query;

    call->method = gh_slice_text(method->http);
    call->handler = method->handler;
    call->waiting = method->waiting;
    gh_buffer_init(&query, QUERY_BYTES_MAX);
    bool done = set_path(method, request, call);
    if (method->body != NULL && gh_slice_equal(gh_slice_text(method->body), GH_SLICE("*"))) {
        call->document = request;
        request = NULL;
    } else if (method->body != NULL) {
        call->document = take_member(request, method->body);
    }
    put_query(&query, "", request);
    done &= finish_text(call, &query, &call->query);
    json_decref(request);
    return done ? GH_OK : google_fail(call, GH_ERROR_LIMIT, "the request is too large");
}
