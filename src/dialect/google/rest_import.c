/* Devices that come from elsewhere with all that they had there: numbers, which are part of the
 * client id of some firmware, config versions, which the HTTP bridge compares, and states. Not one
 * of Google's methods; its command line is `gatehouse import google`. */
#include "dialect/google/rest_internal.h"
#include "registry/limits.h"
#include <stdio.h>

enum { IMPORT_MAX = 1000 };

static enum gh_error_code read_one(struct google_call *call, json_t *message, struct gh_device *out)
{
    *out = (struct gh_device){.registry = call->registry.number, .shares_keys = true};
    enum gh_error_code code = google_device_read(call, message, out);
    if (code != GH_OK)
        return code;
    google_device_read_state(message, out);
    out->keeps_number = out->number != 0;
    if (out->state.updated_at_ms == 0)
        out->state.updated_at_ms = call->now_ms;
    if (out->config.version < 0 || out->state.data.size > GH_STATE_BYTES_MAX)
        return google_fail(call, GH_ERROR_INVALID, "%s: it is out of its range",
                           out->config.version < 0 ? "config.version" : "state.binaryData");
    return GH_OK;
}

/* The error's text behind which of the devices it is about: who sent them sends the others again.
 */
static enum gh_error_code name_failed(struct google_call *call, enum gh_error_code code, size_t at)
{
    char text[GH_ERROR_TEXT_MAX];
    snprintf(text, sizeof text, "%s", call->error.text);
    return google_fail(call, code, "devices[%zu]: %s", at, text);
}

/* All or none. */
enum gh_error_code google_device_import(struct google_call *call)
{
    json_t *list = NULL;
    enum gh_error_code code = GH_OK;
    size_t at = 0;
    gh_json_array(call->input, "devices", &list);
    size_t count = json_array_size(list);
    if (count > IMPORT_MAX)
        return google_fail(call, GH_ERROR_INVALID, "devices: at most %d", IMPORT_MAX);
    struct gh_device *devices = gh_arena_array(call->arena, count + 1, sizeof *devices);
    if (devices == NULL)
        return google_fail(call, GH_ERROR_MEMORY, "devices");
    for (size_t i = 0; code == GH_OK && i < count; i++) {
        at = i;
        code = read_one(call, json_array_get(list, i), &devices[i]);
    }
    if (code == GH_OK)
        code = gh_directory_device_create_all(call->services->directory, devices, count,
                                              call->arena, &at, &call->error);
    if (code != GH_OK)
        return at < count ? name_failed(call, code, at) : code;
    for (size_t i = 0; i < count; i++)
        google_note(call, &devices[i], "devices.import");
    return GH_OK;
}
