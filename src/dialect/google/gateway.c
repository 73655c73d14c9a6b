/* Gateways of IoT Core: what an attach message holds, and the error reports, in the form in which
 * the bridge sent them (docs/protocols/google.md). */
#include "dialect/google/mqtt_internal.h"
#include "wire/json.h"
#include <assert.h>

static const struct {
    const char *type, *before, *after; /* the description, around the device's id */
} reports[] = {
    [GH_REPORT_NOT_ATTACHED] = {"GATEWAY_ATTACHMENT_ERROR", "The device with ID '",
                                "' could not be attached to the gateway."},
    [GH_REPORT_DETACHED] = {"GATEWAY_DETACHMENT_DEVICE_ERROR",
                            "Device detached because of a device error.", NULL},
    [GH_REPORT_MISSING] = {"GATEWAY_DEVICE_NOT_FOUND", "The specified device with ID '",
                           "' is not attached to the gateway."},
};
static_assert(GH_COUNT(reports) == GH_REPORT_KIND_COUNT, "a report for each kind");

/* {"authorization":"<JWT>"}; what is empty, or is no such object, brings no token. */
void gh_google_attach(const struct gh_speaker *gateway, struct gh_slice device,
                      struct gh_slice payload, struct gh_arena *arena,
                      struct gh_identity_claim *out)
{
    struct gh_slice token = {0};
    struct gh_error error;
    json_t *body = payload.size == 0 ? NULL : gh_json_read(payload, &error);
    *out = (struct gh_identity_claim){.by = GH_IDENTITY_BY_GOOGLE_PROJECT,
                                      .over = GH_IDENTITY_OVER_MQTT,
                                      .tenant = gateway->tenant,
                                      .registry = gateway->registry,
                                      .location = gateway->location,
                                      .device = device,
                                      .policy = gh_jwt_google};
    if (body != NULL && gh_json_text(body, "authorization", &token) &&
        !gh_arena_copy(arena, token, &out->token))
        out->token = (struct gh_slice){0};
    json_decref(body);
}

static json_t *packet_info(const struct gh_report *report)
{
    if (report->packet == NULL)
        return NULL;
    json_t *info = json_pack("{s:s, s:o}", "message_type", report->packet, "topic",
                             gh_json_new_text(report->topic));
    if (info != NULL && report->packet_id != 0 &&
        json_object_set_new(info, "packet_id", json_integer(report->packet_id)) != 0) {
        json_decref(info);
        return NULL;
    }
    return info;
}

bool gh_google_report(const struct gh_speaker *gateway, const struct gh_report *report,
                      struct gh_buffer *topic, struct gh_buffer *payload)
{
    const char *before = reports[report->kind].before, *after = reports[report->kind].after;
    json_t *text = after == NULL
                       ? json_string(before)
                       : json_sprintf("%s%.*s%s", before, GH_PRINT(report->device), after);
    json_t *body = json_pack("{s:s, s:o, s:o, s:o*}", "error_type", reports[report->kind].type,
                             "description", text, "device_id", gh_json_new_text(report->device),
                             "mqtt_message_info", packet_info(report));
    bool written = body != NULL && gh_json_write(body, payload);
    json_decref(body);
    return written && gh_buffer_print(topic, "/devices/%.*s/errors", GH_PRINT(gateway->id));
}
