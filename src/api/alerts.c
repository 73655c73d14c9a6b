/* Alerts of a tenant: after which time whose silence is told, and who is away now
 * (observe/absence.h). The rules are a document of the tenant. */
#include "api/call_internal.h"
#include "api/tenant_settings_internal.h"
#include "observe/absence.h"

enum { BYTES_MAX = 64 * 1024, AWAY_PAGE_MAX = 1000 };

static bool tell(const struct gh_api_services *services, int64_t tenant, const json_t *rules,
                 struct gh_error *error)
{
    if (gh_absence_rules_check(rules, error) != GH_OK)
        return false;
    if (services->absence == NULL || gh_absence_set(services->absence, tenant, rules))
        return true;
    gh_error_set(error, GH_ERROR_MEMORY, "alerts of a tenant");
    return false;
}

const struct tenant_setting alerts_setting = {.kind = GH_SLICE_INIT("alerts"),
                                              .name = GH_SLICE_INIT("absence"),
                                              .bytes_max = BYTES_MAX,
                                              .without = "has no alerts",
                                              .deed = "ALERTS",
                                              .tell = tell};

enum gh_error_code api_alerts_get(struct call *call)
{
    call->answer = tenant_setting_get(call, &alerts_setting, call->tenant.number);
    if (call->answer == NULL)
        call->answer = json_pack("{s:s, s:[]}", "topic", "", "rules");
    return GH_OK;
}

enum gh_error_code api_alerts_put(struct call *call)
{
    enum gh_error_code code = gh_absence_rules_check(call->body, &call->error);
    if (code == GH_OK)
        code = tenant_setting_put(call, &alerts_setting);
    return code == GH_OK ? api_alerts_get(call) : code;
}

enum gh_error_code api_away_list(struct call *call)
{
    struct gh_absence_row *rows;
    uint64_t limit;
    size_t count;
    if (!call_query_u64(call, "limit", 1, AWAY_PAGE_MAX, AWAY_PAGE_MAX, &limit))
        return call->error.code;
    enum gh_error_code code =
        gh_store_absence_list(call->api->services.store, call->tenant.number, (size_t)limit,
                              call->arena, &rows, &count, &call->error);
    if (code != GH_OK)
        return code;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        if (rows[i].state != GH_ABSENCE_BACK)
            json_array_append_new(list, json_pack("{s:o, s:o, s:o, s:o}", "registry",
                                                  json_slice(rows[i].registry_name), "device",
                                                  json_slice(rows[i].device_id), "number",
                                                  json_number_text(rows[i].device), "last_seen_at",
                                                  json_time(rows[i].since_ms)));
    call->answer = json_pack("{s:o}", "away", list);
    return GH_OK;
}
