#include "api/call_internal.h"
#include "api/feeds_internal.h"
#include "api/standing_internal.h"
#include "api/tenant_names_internal.h"
#include "base/buffer.h"
#include "observe/trail.h"
#include "pubsub/pubsub.h"

/* GET /api/v1/stream, and what flows into it: stored events from pubsub's tap, connects and
 * disconnects from the trail. Zones are sent by their own handler. */

enum { DATA_BYTES_MAX = 48 * 1024 };

enum gh_error_code api_stream(struct call *call)
{
    struct stream_scope scope = {.tenant = call->caller.tenant,
                                 .tenant_name = call_query(call, "tenant"),
                                 .registry = call_query(call, "registry"),
                                 .device = call_query(call, "device"),
                                 .until_ms = call->caller.expires_at_ms};
    if (!call_may(call, GH_PERMISSION_TELEMETRY_READ, call->caller.tenant))
        return call_fail(call, GH_ERROR_DENIED, "telemetry.read");
    scope.standing = standing_join(call->api->standing, call);
    if (scope.standing == NULL)
        return call_fail(call, GH_ERROR_MEMORY, "the stream");
    if (!stream_hub_join(call->api->hub, call->exchange, &scope)) {
        standing_leave(scope.standing);
        return call_fail(call, GH_ERROR_LIMIT, "there are %d live streams already",
                         STREAM_LISTENERS_MAX);
    }
    call->taken = true;
    return GH_OK;
}

static void send_json(struct gh_api *api, struct stream_event *event, json_t *value)
{
    struct gh_buffer text;
    gh_buffer_init(&text, DATA_BYTES_MAX);
    if (gh_json_write(value, &text)) {
        event->data = gh_buffer_slice(&text);
        stream_hub_send(api->hub, event);
    }
    gh_buffer_deinit(&text);
    json_decref(value);
}

void stream_tapped(void *context, const struct gh_tapped *tapped)
{
    struct gh_api *api = context;
    const struct gh_message *message = &tapped->message;
    if (stream_hub_idle(api->hub) || message->device == 0)
        return;
    struct stream_event event = {.name = "telemetry",
                                 .tenant = tapped->tenant,
                                 .tenant_name = tenant_names_get(api->tenants, tapped->tenant),
                                 .registry =
                                     gh_message_attribute(message, GH_SLICE("deviceRegistryId")),
                                 .device = gh_message_attribute(message, GH_SLICE("deviceId"))};
    json_t *base64, *data = json_payload(message->data, &base64);
    json_t *value = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o}", "tenant", json_slice(event.tenant_name), "registry",
        json_slice(event.registry), "device", json_slice(event.device), "channel",
        json_slice(message->channel), "at", json_time(tapped->at_ms), "data", data);
    if (base64 != NULL && value != NULL)
        json_object_set_new(value, "data_base64", base64);
    send_json(api, &event, value);
}

void stream_noted(void *context, const struct gh_trail_entry *entry)
{
    struct gh_api *api = context;
    bool connects = entry->kind == GH_TRAIL_CONNECT;
    struct gh_tenant tenant = {0};
    struct gh_arena arena;
    if (stream_hub_idle(api->hub) || (!connects && entry->kind != GH_TRAIL_DISCONNECT))
        return;
    gh_arena_init(&arena, 64 * 1024);
    if (gh_directory_tenant_find(api->services.directory, entry->tenant, &arena, &tenant, NULL) ==
        GH_OK) {
        struct stream_event event = {.name = "connection",
                                     .tenant = tenant.number,
                                     .tenant_name = entry->tenant,
                                     .registry = entry->registry,
                                     .device = entry->device_id};
        send_json(api, &event,
                  json_pack("{s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o}", "tenant",
                            json_slice(entry->tenant), "registry", json_slice(entry->registry),
                            "device", json_slice(entry->device_id), "state",
                            connects ? "connected" : "disconnected", "at", json_time(entry->at_ms),
                            "reason", json_slice(entry->reason), "detail",
                            json_slice(entry->detail), "address", json_slice(entry->address)));
    }
    gh_arena_deinit(&arena);
}
