#include "api/call_internal.h"

/* Zones of the climate application: the newest status document of each, kept as it was put but for
 * its names and time, which are the server's. */

enum { ZONE_NAME_MAX = 64, ZONE_BYTES_MAX = 32 * 1024 };

static const struct gh_slice kind = GH_SLICE_INIT("zone");

static json_t *zone_to_json(const struct gh_document_row *row)
{
    return gh_json_read(row->json, NULL);
}

static enum gh_error_code list_zones(struct call *call, int64_t tenant)
{
    struct gh_document_row *rows;
    size_t count;
    enum gh_error_code code = gh_store_document_list(call->api->services.store, tenant, kind,
                                                     call->arena, &rows, &count, &call->error);
    if (code != GH_OK)
        return code;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *zone = call_may(call, GH_PERMISSION_ZONES_READ, rows[i].tenant)
                           ? zone_to_json(&rows[i])
                           : NULL;
        if (zone != NULL)
            json_array_append_new(list, zone);
    }
    call->answer = json_pack("{s:o}", "zones", list);
    return GH_OK;
}

enum gh_error_code api_zone_list(struct call *call)
{
    return list_zones(call, call->tenant.number);
}

enum gh_error_code api_zone_list_all(struct call *call)
{
    return list_zones(call, call->caller.tenant);
}

enum gh_error_code api_zone_get(struct call *call)
{
    struct gh_document_row row;
    enum gh_error_code code =
        gh_store_document_get(call->api->services.store, call->tenant.number, kind,
                              call->captures[1], call->arena, &row, &call->error);
    if (code == GH_OK)
        call->answer = zone_to_json(&row);
    return code;
}

static bool name_is_valid(struct gh_slice name)
{
    if (name.size == 0 || name.size > ZONE_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_' || c == '.'))
            return false;
    }
    return true;
}

enum gh_error_code api_zone_put(struct call *call)
{
    struct gh_buffer text;
    if (!name_is_valid(call->captures[1]))
        return call_fail(call, GH_ERROR_INVALID,
                         "a zone's name has 1 to %d of letters, digits, '-', '_', '.'",
                         ZONE_NAME_MAX);
    json_object_set_new(call->body, "tenant", json_slice(call->tenant.name));
    json_object_set_new(call->body, "zone", json_slice(call->captures[1]));
    json_object_set_new(call->body, "updated_at", json_time(call->now_ms));
    gh_buffer_init(&text, ZONE_BYTES_MAX);
    enum gh_error_code code = GH_OK;
    if (!gh_json_write(call->body, &text))
        code = call_fail(call, GH_ERROR_INVALID, "a zone has at most %d bytes", ZONE_BYTES_MAX);
    struct gh_document_row row = {.tenant = call->tenant.number,
                                  .kind = kind,
                                  .name = call->captures[1],
                                  .json = gh_buffer_slice(&text),
                                  .updated_at_ms = call->now_ms};
    if (code == GH_OK)
        code = gh_store_document_put(call->api->services.store, &row, &call->error);
    if (code == GH_OK) {
        stream_hub_send(call->api->hub, &(struct stream_event){.name = "zone",
                                                               .tenant = call->tenant.number,
                                                               .tenant_name = call->tenant.name,
                                                               .data = row.json});
        call->answer = json_incref(call->body);
    }
    gh_buffer_deinit(&text);
    return code;
}

enum gh_error_code api_zone_delete(struct call *call)
{
    return gh_store_document_delete(call->api->services.store, call->tenant.number, kind,
                                    call->captures[1], &call->error);
}
