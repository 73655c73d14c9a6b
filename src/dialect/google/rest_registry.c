#include "dialect/google/rest_internal.h"

/* The update mask of a registry. The API's own comment names four of these; clients use all. */
static const struct google_mask_field mask_fields[] = {
    {"eventNotificationConfigs", GH_REGISTRY_ROUTES},
    {"stateNotificationConfig", GH_REGISTRY_STATE_TOPIC},
    {"stateNotificationConfig.pubsubTopicName", GH_REGISTRY_STATE_TOPIC},
    {"mqttConfig", GH_REGISTRY_MQTT},
    {"mqttConfig.mqttEnabledState", GH_REGISTRY_MQTT},
    {"httpConfig", GH_REGISTRY_HTTP},
    {"httpConfig.httpEnabledState", GH_REGISTRY_HTTP},
    {"logLevel", GH_REGISTRY_LOG_LEVEL},
    {"credentials", GH_REGISTRY_CERTIFICATES},
};

enum gh_error_code google_registry_create(struct google_call *call)
{
    struct gh_registry registry = {0};
    struct gh_slice name = {0};
    enum gh_error_code code = google_registry_read(call, call->input, &registry);
    if (code != GH_OK)
        return code;
    if (gh_json_text(call->input, "name", &name) && name.size != 0)
        return google_fail(call, GH_ERROR_INVALID, "name: it must be empty; the id is in `id`");
    registry.tenant = call->tenant.number;
    registry.location = call->location;
    code = gh_directory_registry_create(call->services->directory, &registry, &call->error);
    if (code != GH_OK)
        return code;
    call->registry = registry;
    google_note(call, NULL, "registries.create");
    call->output = google_registry_write(call, &registry);
    return GH_OK;
}

enum gh_error_code google_registry_get(struct google_call *call)
{
    call->output = google_registry_write(call, &call->registry);
    return GH_OK;
}

enum gh_error_code google_registry_update(struct google_call *call)
{
    struct gh_registry change = {0}, after;
    unsigned fields;
    enum gh_error_code code = google_mask_read(call, google_query(call, "updateMask"), mask_fields,
                                               GH_COUNT(mask_fields), &fields);
    if (code == GH_OK)
        code = google_registry_read(call, call->input, &change);
    if (code != GH_OK)
        return code;
    if (change.name.size != 0 && !gh_slice_equal(change.name, call->registry.name))
        return google_fail(call, GH_ERROR_INVALID, "id: it cannot be changed");
    code = google_rate_check(call, call->tenant.number, (uint64_t)call->registry.number,
                             GH_RATE_REGISTRY_UPDATES);
    if (code != GH_OK)
        return code;
    code = gh_directory_registry_update(call->services->directory, call->registry.number, fields,
                                        &change, call->arena, &after, &call->error);
    if (code != GH_OK)
        return code;
    google_note(call, NULL, "registries.update");
    call->output = google_registry_write(call, &after);
    return GH_OK;
}

enum gh_error_code google_registry_delete(struct google_call *call)
{
    enum gh_error_code code = gh_directory_registry_delete(call->services->directory,
                                                           call->registry.number, &call->error);
    if (code == GH_OK)
        google_note(call, NULL, "registries.delete");
    return code;
}

enum gh_error_code google_registry_list(struct google_call *call)
{
    struct gh_registry_query query = {.tenant = call->tenant.number,
                                      .location = call->location,
                                      .page_token = google_query(call, "pageToken")};
    struct gh_registry *registries;
    struct gh_slice next;
    size_t count;
    enum gh_error_code code = google_page_size(call, &query.page_size);
    if (code == GH_OK)
        code = gh_directory_registry_list(call->services->directory, &query, call->arena,
                                          &registries, &count, &next, &call->error);
    if (code != GH_OK)
        return code;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        google_append(list, google_registry_write(call, &registries[i]), &call->write_failed);
    call->output = json_object();
    google_put_value(call->output, "deviceRegistries", list, &call->write_failed);
    google_put_text(call->output, "nextPageToken", next, &call->write_failed);
    return GH_OK;
}
