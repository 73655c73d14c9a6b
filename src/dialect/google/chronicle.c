/* The activity log of IoT Core's devices: an entry as Cloud Logging exported it to Pub/Sub
 * (docs/protocols/google.md), with one member more, `reason`, which is stable. */
#include "dialect/chronicle.h"
#include "base/time.h"
#include "dialect/google/mqtt_internal.h"
#include "wire/json.h"
#include <assert.h>

static const char *const event_types[] = {
    [GH_CHRONICLE_CONNECT] = "CONNECT",
    [GH_CHRONICLE_DISCONNECT] = "DISCONNECT",
    [GH_CHRONICLE_ATTACH] = "ATTACH_TO_GATEWAY",
    [GH_CHRONICLE_DETACH] = "DETACH_FROM_GATEWAY",
    [GH_CHRONICLE_PUBLISH] = "PUBLISH",
    [GH_CHRONICLE_SEND] = "PUBLISH",
    [GH_CHRONICLE_ACK] = "PUBACK",
    [GH_CHRONICLE_SUBSCRIBE] = "SUBSCRIBE",
    [GH_CHRONICLE_UNSUBSCRIBE] = "UNSUBSCRIBE",
    [GH_CHRONICLE_HEARTBEAT] = "PINGREQ",
};
static_assert(GH_COUNT(event_types) == GH_CHRONICLE_KIND_COUNT, "a name for each kind");

/* google.rpc.Code of each reason; what is not here is UNKNOWN. */
static const struct status {
    const char *reason;
    int code;
    const char *name;
} statuses[] = {
    {"CLIENT_CLOSED", 0, "OK"},
    {"NETWORK", 1, "CANCELLED"},
    {"TAKEN_OVER", 6, "ALREADY_EXISTS"},
    {"TOKEN_EXPIRED", 16, "UNAUTHENTICATED"},
    {"CREDENTIAL_REMOVED", 16, "UNAUTHENTICATED"},
    {"SIGNATURE", 16, "UNAUTHENTICATED"},
    {"KEEPALIVE", 4, "DEADLINE_EXCEEDED"},
    {"IDLE", 4, "DEADLINE_EXCEEDED"},
    {"TOPIC_FORBIDDEN", 7, "PERMISSION_DENIED"},
    {"FILTER_FORBIDDEN", 7, "PERMISSION_DENIED"},
    {"BLOCKED", 7, "PERMISSION_DENIED"},
    {"BANNED", 7, "PERMISSION_DENIED"},
    {"KICKED", 7, "PERMISSION_DENIED"},
    {"REGISTRY_DISABLED", 7, "PERMISSION_DENIED"},
    {"NOT_BOUND", 7, "PERMISSION_DENIED"},
    {"GATEWAY", 7, "PERMISSION_DENIED"},
    {"UNBOUND", 7, "PERMISSION_DENIED"},
    {"NOT_ATTACHED", 5, "NOT_FOUND"},
    {"DELETED", 5, "NOT_FOUND"},
    {"NO_TELEMETRY_TOPIC", 9, "FAILED_PRECONDITION"},
    {"QOS2", 3, "INVALID_ARGUMENT"},
    {"TOO_LARGE", 3, "INVALID_ARGUMENT"},
    {"INVALID", 3, "INVALID_ARGUMENT"},
    {"PROTOCOL", 3, "INVALID_ARGUMENT"},
    {"RATE", 8, "RESOURCE_EXHAUSTED"},
    {"ATTACHED_LIMIT", 8, "RESOURCE_EXHAUSTED"},
    {"OVERLOAD", 14, "UNAVAILABLE"},
    {"UNAVAILABLE", 14, "UNAVAILABLE"},
    {"SHUTDOWN", 14, "UNAVAILABLE"},
};

static const struct status *status_of(const char *reason)
{
    static const struct status ok = {"", 0, "OK"}, unknown = {"", 2, "UNKNOWN"};
    struct gh_slice name = gh_slice_text(reason);
    if (reason == NULL)
        return &ok;
    for (size_t i = 0; i < GH_COUNT(statuses); i++)
        if (gh_slice_equal(name, gh_slice_text(statuses[i].reason)))
            return &statuses[i];
    return &unknown;
}

static const char *severity_of(const struct gh_chronicle_entry *entry, const struct status *status)
{
    if (status->code != 0)
        return "ERROR";
    return entry->kind <= GH_CHRONICLE_DETACH ? "INFO" : "DEBUG";
}

/* A member, unless there is none. */
static void put(json_t *object, const char *key, json_t *value, bool *failed)
{
    if (value == NULL || json_object_set_new(object, key, value) != 0)
        *failed = true;
}

static bool is_end(const struct gh_chronicle_entry *entry)
{
    return entry->kind == GH_CHRONICLE_DISCONNECT || entry->kind == GH_CHRONICLE_DETACH;
}

static json_t *payload_of(const struct gh_speaker *speaker, const struct gh_chronicle_entry *entry,
                          const struct status *status, bool *failed)
{
    json_t *payload = json_object();
    put(payload, "eventType", json_string(event_types[entry->kind]), failed);
    put(payload, "protocol", json_string(entry->protocol), failed);
    put(payload, "serviceName", json_string("cloudiot.googleapis.com"), failed);
    put(payload, "resourceName",
        json_sprintf("projects/%.*s/locations/%.*s/registries/%.*s/devices/%.*s",
                     GH_PRINT(speaker->tenant), GH_PRINT(speaker->location),
                     GH_PRINT(speaker->registry), GH_PRINT(speaker->number_text)),
        failed);
    json_t *told = json_pack("{s:i, s:s}", "code", status->code, "description", status->name);
    if (entry->detail != NULL && entry->detail[0] != '\0')
        put(told, "message",
            json_sprintf("%s%s", is_end(entry) && entry->by_server ? "SERVER: " : "",
                         entry->detail),
            failed);
    put(payload, "status", told, failed);
    if (entry->reason != NULL)
        put(payload, "reason", json_string(entry->reason), failed);
    if (is_end(entry))
        put(payload, "disconnectType", json_string(entry->by_server ? "SERVER" : "CLIENT"), failed);
    if (entry->topic.size > 0)
        put(payload, "mqttTopic", gh_json_new_text(entry->topic), failed);
    if (entry->matter != NULL)
        put(payload,
            entry->kind == GH_CHRONICLE_PUBLISH ? "publishFromDeviceTopicType"
                                                : "publishToDeviceTopicType",
            json_string(entry->matter), failed);
    if (speaker->through.size > 0)
        put(payload, "gateway", json_pack("{s:o}", "id", gh_json_new_text(speaker->through)),
            failed);
    return payload;
}

static json_t *resource_of(const struct gh_speaker *speaker)
{
    return json_pack("{s:s, s:{s:o, s:o, s:o, s:o}}", "type", "cloudiot_device", "labels",
                     "project_id", gh_json_new_text(speaker->tenant), "location",
                     gh_json_new_text(speaker->location), "device_registry_id",
                     gh_json_new_text(speaker->registry), "device_num_id",
                     gh_json_new_text(speaker->number_text));
}

bool gh_google_chronicle(const struct gh_speaker *speaker, const struct gh_chronicle_entry *entry,
                         struct gh_buffer *out)
{
    char at[GH_TIME_TEXT_MAX];
    bool failed = false;
    const struct status *status = status_of(entry->reason);
    json_t *log = json_object();
    put(log, "insertId",
        json_sprintf("%012llx-%08llx", (unsigned long long)entry->at_ms,
                     (unsigned long long)entry->sequence),
        &failed);
    put(log, "logName",
        json_sprintf("projects/%.*s/logs/cloudiot.googleapis.com%%2Fdevice_activity",
                     GH_PRINT(speaker->tenant)),
        &failed);
    put(log, "resource", resource_of(speaker), &failed);
    put(log, "labels", json_pack("{s:o}", "device_id", gh_json_new_text(speaker->id)), &failed);
    put(log, "severity", json_string(severity_of(entry, status)), &failed);
    put(log, "timestamp", json_string(gh_time_print(entry->at_ms, at)), &failed);
    put(log, "jsonPayload", payload_of(speaker, entry, status, &failed), &failed);
    failed = failed || !gh_json_write(log, out);
    json_decref(log);
    return !failed;
}
