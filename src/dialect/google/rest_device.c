#include "dialect/google/rest_internal.h"

enum { BOUND_MAX = 10000, GATEWAYS_MAX = 10 };

/* `config` and `state` have their methods, the times are the server's, a gateway stays one. */
static const struct google_mask_field mask_fields[] = {
    {"credentials", GH_DEVICE_CREDENTIALS},
    {"blocked", GH_DEVICE_BLOCKED},
    {"metadata", GH_DEVICE_ATTRIBUTES},
    {"logLevel", GH_DEVICE_LOG_LEVEL},
    {"gatewayConfig.gatewayAuthMethod", GH_DEVICE_GATEWAY_AUTH},
};

/* What a list has to read for a field mask, beside what it always reads. */
static const struct {
    const char *field;
    unsigned parts;
} part_of_field[] = {
    {"credentials", GH_DEVICE_PART_CREDENTIALS},
    {"metadata", GH_DEVICE_PART_ATTRIBUTES},
    {"config", GH_DEVICE_PART_CONFIG},
    {"state", GH_DEVICE_PART_STATE},
};

static const struct google_field binding_fields[] = {{.name = "gatewayId"}, {.name = "deviceId"}};
const struct google_message google_binding_message = GOOGLE_FIELDS(binding_fields);

static enum gh_error_code find(struct google_call *call, struct gh_slice id, struct gh_device *out)
{
    return gh_directory_device_find(call->services->directory, call->tenant.number,
                                    call->registry_name, call->location, id, call->arena, out,
                                    &call->error);
}

enum gh_error_code google_device_find(struct google_call *call, struct gh_device *out)
{
    return find(call, call->target, out);
}

enum gh_error_code google_device_create(struct google_call *call)
{
    struct gh_device device = {.registry = call->registry.number, .shares_keys = true};
    struct gh_slice name = {0};
    enum gh_error_code code = google_device_read(call, call->input, &device);
    if (code != GH_OK)
        return code;
    if (gh_json_text(call->input, "name", &name) && name.size != 0)
        return google_fail(call, GH_ERROR_INVALID, "name: it must be empty; the id is in `id`");
    if (device.number != 0 || device.config.version != 0)
        return google_fail(call, GH_ERROR_INVALID, "%s: the server makes it",
                           device.number != 0 ? "numId" : "config.version");
    code =
        gh_directory_device_create(call->services->directory, &device, call->arena, &call->error);
    if (code != GH_OK)
        return code;
    google_note(call, &device, "devices.create");
    call->output = google_device_write(call, &device);
    return GH_OK;
}

/* The device as the field mask wants it; identity is there in any case. */
static enum gh_error_code masked(struct google_call *call, json_t *whole, struct gh_slice mask,
                                 const char *const always[], size_t always_count, json_t **out)
{
    json_t *kept = json_object();
    enum gh_error_code code = google_mask_copy(call, mask, &google_device_message, whole, kept);
    for (size_t i = 0; code == GH_OK && i < always_count; i++) {
        if (json_object_set(kept, always[i], json_object_get(whole, always[i])) != 0)
            call->write_failed = true;
    }
    json_decref(whole);
    *out = kept;
    return code;
}

enum gh_error_code google_device_get(struct google_call *call)
{
    static const char *const always[] = {"id", "name", "numId"};
    struct gh_slice mask = google_query(call, "fieldMask");
    struct gh_device device;
    enum gh_error_code code = google_device_find(call, &device);
    if (code != GH_OK)
        return code;
    json_t *whole = google_device_write(call, &device);
    if (mask.size != 0)
        return masked(call, whole, mask, always, GH_COUNT(always), &call->output);
    call->output = whole;
    return GH_OK;
}

/* A client replaces the keys that it can see; passwords and symmetric keys, which it cannot, stay.
 */
static enum gh_error_code keep_passwords(struct google_call *call, const struct gh_device *before,
                                         struct gh_device *change)
{
    for (size_t i = 0; i < before->credentials_count; i++) {
        if (before->credentials[i].format != GH_CREDENTIAL_PASSWORD &&
            before->credentials[i].format != GH_CREDENTIAL_SYMMETRIC)
            continue;
        if (change->credentials_count == GH_DEVICE_CREDENTIALS_MAX)
            return google_fail(
                call, GH_ERROR_INVALID,
                "credentials: at most %d, its passwords and symmetric keys among them",
                GH_DEVICE_CREDENTIALS_MAX);
        change->credentials[change->credentials_count++] = before->credentials[i];
    }
    return GH_OK;
}

enum gh_error_code google_device_update(struct google_call *call)
{
    struct gh_device before, change = {.shares_keys = true}, after;
    unsigned fields;
    enum gh_error_code code = google_mask_read(call, google_query(call, "updateMask"), mask_fields,
                                               GH_COUNT(mask_fields), &fields);
    if (code == GH_OK)
        code = google_device_read(call, call->input, &change);
    if (code == GH_OK)
        code = google_device_find(call, &before);
    if (code != GH_OK)
        return code;
    if ((change.id.size != 0 && !gh_slice_equal(change.id, before.id)) ||
        (change.number != 0 && change.number != before.number))
        return google_fail(call, GH_ERROR_INVALID, "id: it cannot be changed");
    if ((fields & GH_DEVICE_CREDENTIALS) &&
        (code = keep_passwords(call, &before, &change)) != GH_OK)
        return code;
    code = google_rate_check(call, call->tenant.number, before.number, GH_RATE_DEVICE_UPDATES);
    if (code != GH_OK)
        return code;
    code = gh_directory_device_update(call->services->directory, before.number, fields, &change,
                                      call->arena, &after, &call->error);
    if (code != GH_OK)
        return code;
    google_note(call, &after, "devices.update");
    call->output = google_device_write(call, &after);
    return GH_OK;
}

enum gh_error_code google_device_delete(struct google_call *call)
{
    struct gh_device device;
    enum gh_error_code code = google_device_find(call, &device);
    if (code == GH_OK)
        code = gh_directory_device_delete(call->services->directory, device.number, &call->error);
    if (code == GH_OK)
        google_note(call, &device, "devices.delete");
    return code;
}

/* ---- lists ---- */

/* How often the parameter is in the query. */
static size_t count_values(const struct google_call *call, const char *name)
{
    struct gh_slice rest = call->query, value;
    size_t count = 0;
    while (google_query_each(call, &rest, name, &value))
        count++;
    return count;
}

static enum gh_error_code read_ids(struct google_call *call, struct gh_device_query *query)
{
    struct gh_slice rest = call->query, value;
    size_t ids_count = count_values(call, "deviceIds");
    size_t numbers_count = count_values(call, "deviceNumIds");
    if (ids_count + numbers_count > GOOGLE_ID_FILTERS_MAX)
        return google_fail(call, GH_ERROR_INVALID, "deviceIds, deviceNumIds: at most %d together",
                           GOOGLE_ID_FILTERS_MAX);
    struct gh_slice *ids = gh_arena_array(call->arena, ids_count + 1, sizeof(*ids));
    uint64_t *numbers = gh_arena_array(call->arena, numbers_count + 1, sizeof(*numbers));
    if (ids == NULL || numbers == NULL)
        return google_fail(call, GH_ERROR_MEMORY, "deviceIds");
    while (query->ids_count < ids_count && google_query_each(call, &rest, "deviceIds", &value))
        ids[query->ids_count++] = value;
    rest = call->query;
    while (query->numbers_count < numbers_count &&
           google_query_each(call, &rest, "deviceNumIds", &value)) {
        if (!gh_slice_to_u64(value, &numbers[query->numbers_count++]))
            return google_fail(call, GH_ERROR_INVALID, "deviceNumIds: it must be a number");
    }
    query->ids = ids;
    query->numbers = numbers;
    return GH_OK;
}

static enum gh_error_code read_gateway_filter(struct google_call *call,
                                              struct gh_device_query *query)
{
    static const enum gh_gateway_filter filters[] = {GH_GATEWAY_ANY, GH_GATEWAY_ONLY,
                                                     GH_GATEWAY_NONE};
    struct gh_slice type = google_query(call, "gatewayListOptions.gatewayType");
    struct gh_slice gateway = google_query(call, "gatewayListOptions.associationsGatewayId");
    struct gh_slice device = google_query(call, "gatewayListOptions.associationsDeviceId");
    struct gh_device found;
    int number = 0;
    if ((type.size != 0) + (gateway.size != 0) + (device.size != 0) > 1)
        return google_fail(call, GH_ERROR_INVALID, "gatewayListOptions: only one of its filters");
    if (type.size != 0 && !google_enum_read(&google_gateway_types, type, &number))
        return google_fail(call, GH_ERROR_INVALID, "gatewayListOptions.gatewayType: unknown");
    query->gateway = filters[number];
    if (gateway.size == 0 && device.size == 0)
        return GH_OK;
    enum gh_error_code code = find(call, gateway.size != 0 ? gateway : device, &found);
    if (code == GH_OK && gateway.size != 0)
        query->bound_to = found.number;
    else if (code == GH_OK)
        query->gateways_of = found.number;
    return code;
}

static unsigned parts_of(struct gh_slice mask)
{
    unsigned parts = 0;
    while (mask.size != 0) {
        struct gh_slice path = gh_slice_split(&mask, ',');
        struct gh_slice first = gh_slice_split(&path, '.');
        for (size_t i = 0; i < GH_COUNT(part_of_field); i++) {
            if (google_name_equal(first, part_of_field[i].field))
                parts |= part_of_field[i].parts;
        }
    }
    return parts;
}

static enum gh_error_code write_page(struct google_call *call, const struct gh_device *devices,
                                     size_t count, struct gh_slice mask)
{
    static const char *const always[] = {"id", "numId"};
    json_t *list = json_array();
    enum gh_error_code code = GH_OK;
    for (size_t i = 0; code == GH_OK && i < count; i++) {
        json_t *device;
        code = masked(call, google_device_write(call, &devices[i]), mask, always, GH_COUNT(always),
                      &device);
        google_append(list, device, &call->write_failed);
    }
    google_put_value(call->output, "devices", list, &call->write_failed);
    return code;
}

enum gh_error_code google_device_list(struct google_call *call)
{
    struct gh_slice mask = google_query(call, "fieldMask"), next = {0};
    struct gh_device_query query = {.tenant = call->tenant.number,
                                    .registry = call->registry.number,
                                    .parts = parts_of(mask),
                                    .page_token = google_query(call, "pageToken")};
    struct gh_device *devices = NULL;
    size_t count = 0;
    enum gh_error_code code = google_page_size(call, &query.page_size);
    if (code == GH_OK)
        code = read_ids(call, &query);
    if (code == GH_OK)
        code = read_gateway_filter(call, &query);
    if (code == GH_OK)
        code = gh_directory_device_list(call->services->directory, &query, call->arena, &devices,
                                        &count, &next, &call->error);
    if (code != GH_OK)
        return code;
    call->output = json_object();
    code = write_page(call, devices, count, mask);
    google_put_text(call->output, "nextPageToken", next, &call->write_failed);
    return code;
}

/* ---- gateways ---- */

static enum gh_error_code bind(struct google_call *call, uint64_t gateway, uint64_t device)
{
    const struct gh_google_services *services = call->services;
    const struct gh_gateway_limits limits = {
        .devices_max = services->bound_max == 0 ? BOUND_MAX : services->bound_max,
        .gateways_max = services->gateways_max == 0 ? GATEWAYS_MAX : services->gateways_max};
    return gh_directory_gateway_bind(services->directory, gateway, device, &limits, &call->error);
}

static enum gh_error_code unbind(struct google_call *call, uint64_t gateway, uint64_t device)
{
    return gh_directory_gateway_unbind(call->services->directory, gateway, device, &call->error);
}

static enum gh_error_code change_binding(struct google_call *call, const char *what,
                                         enum gh_error_code (*change)(struct google_call *call,
                                                                      uint64_t gateway,
                                                                      uint64_t device))
{
    struct gh_slice gateway_id = {0}, device_id = {0};
    struct gh_device gateway, device;
    gh_json_text(call->input, "gatewayId", &gateway_id);
    gh_json_text(call->input, "deviceId", &device_id);
    if (gateway_id.size == 0 || device_id.size == 0)
        return google_fail(call, GH_ERROR_INVALID, "gatewayId, deviceId: both must be given");
    enum gh_error_code code = find(call, gateway_id, &gateway);
    if (code == GH_OK)
        code = find(call, device_id, &device);
    if (code == GH_OK)
        code = change(call, gateway.number, device.number);
    if (code == GH_OK)
        google_note(call, &device, what);
    return code;
}

enum gh_error_code google_gateway_bind(struct google_call *call)
{
    return change_binding(call, "devices.bindGateway", bind);
}

enum gh_error_code google_gateway_unbind(struct google_call *call)
{
    return change_binding(call, "devices.unbindGateway", unbind);
}
