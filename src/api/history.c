#include "api/call_internal.h"
#include "observe/telemetry.h"
#include "observe/trail.h"

enum { LOG_DEFAULT = 100, LOG_MAX = 1000, TELEMETRY_DEFAULT = 500 };

static json_t *entry_to_json(const struct gh_trail_entry *entry, bool with_names)
{
    json_t *value =
        json_pack("{s:o, s:s, s:o, s:o, s:o}", "at", json_time(entry->at_ms), "kind",
                  gh_trail_kind_name(entry->kind), "reason", json_slice(entry->reason), "detail",
                  json_slice(entry->detail), "address", json_slice(entry->address));
    if (value != NULL && with_names) {
        json_object_set_new(value, "tenant", json_slice(entry->tenant));
        json_object_set_new(value, "registry", json_slice(entry->registry));
        json_object_set_new(value, "device", json_slice(entry->device_id));
    }
    return value;
}

static enum gh_error_code answer_entries(struct call *call, struct gh_trail_filter *filter,
                                         bool with_names)
{
    struct gh_trail_entry *entries;
    uint64_t limit;
    size_t count;
    if (!call_query_u64(call, "limit", 1, LOG_MAX, LOG_DEFAULT, &limit) ||
        !call_query_time(call, "from", 0, &filter->from_ms) ||
        !call_query_time(call, "to", 0, &filter->to_ms))
        return call->error.code;
    filter->limit = (size_t)limit;
    enum gh_error_code code = gh_trail_list(call->api->services.trail, filter, call->arena,
                                            &entries, &count, &call->error);
    if (code != GH_OK)
        return code;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, entry_to_json(&entries[i], with_names));
    call->answer = json_pack("{s:o}", "entries", list);
    return GH_OK;
}

enum gh_error_code api_device_log(struct call *call)
{
    struct gh_device device;
    struct gh_slice kind_name = call_query(call, "kind");
    enum gh_trail_kind kind = 0;
    enum gh_error_code code = call_device(call, &device);
    if (code != GH_OK)
        return code;
    if (kind_name.size > 0 && !gh_trail_kind_parse(kind_name, &kind))
        return call_fail(call, GH_ERROR_INVALID, "kind is none of connect, disconnect, refusal, …");
    struct gh_trail_filter filter = {.device = device.number,
                                     .kinds = kind_name.size > 0 ? 1u << kind : 0};
    return answer_entries(call, &filter, false);
}

/* Refusals of every device that the caller may know of; those of unknown tenants only for callers
 * of all. */
enum gh_error_code api_refusals(struct call *call)
{
    struct gh_trail_filter filter = {.kinds = 1u << GH_TRAIL_REFUSAL};
    if (!call_may(call, GH_PERMISSION_TRAIL_READ, call->caller.tenant))
        return call_fail(call, GH_ERROR_DENIED, "trail.read");
    if (call->caller.tenant != 0) {
        struct gh_tenant tenant;
        enum gh_error_code code = gh_directory_tenant_get(
            call->api->services.directory, call->caller.tenant, call->arena, &tenant, &call->error);
        if (code != GH_OK)
            return code;
        filter.tenant = tenant.name;
    }
    return answer_entries(call, &filter, true);
}

enum gh_error_code api_telemetry(struct call *call)
{
    struct gh_telemetry_query query = {.channel = call_query(call, "channel")};
    struct gh_telemetry_answer answer;
    struct gh_device device;
    uint64_t limit;
    enum gh_error_code code = call_device(call, &device);
    if (code != GH_OK)
        return code;
    if (!call_query_u64(call, "limit", 1, GH_TELEMETRY_LIMIT_MAX, TELEMETRY_DEFAULT, &limit) ||
        !call_query_time(call, "from", 0, &query.from_ms) ||
        !call_query_time(call, "to", 0, &query.to_ms))
        return call->error.code;
    query.device = device.number;
    query.has_channel = query.channel.size > 0;
    query.limit = (size_t)limit;
    code = gh_telemetry_query(call->api->services.telemetry, &query, call->arena, &answer,
                              &call->error);
    if (code != GH_OK)
        return code;
    json_t *list = json_array();
    for (size_t i = 0; i < answer.count; i++) {
        const struct gh_telemetry_record *record = &answer.records[i];
        json_t *base64, *data = json_payload(record->payload, &base64);
        json_t *value = json_pack("{s:o, s:o, s:o}", "at", json_time(record->at_ms), "channel",
                                  json_slice(record->channel), "data", data);
        if (base64 != NULL)
            json_object_set_new(value, "data_base64", base64);
        json_array_append_new(list, value);
    }
    call->answer = json_pack("{s:o, s:b}", "records", list, "truncated", answer.truncated);
    return GH_OK;
}
