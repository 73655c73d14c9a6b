#include "api/call_internal.h"
#include "api/tenant_settings_internal.h"
#include "route/quota.h"

/* A tenant's own ceilings, where it has them, in place of the server's: a document of the tenant,
 * told to route/ at start and with every change. */

enum { BYTES_MAX = 1024 };

static const char *const keys[] = {"connections_max", "messages_per_second"};

/* What is not there, or null, is the server's. */
static bool read_limits(const json_t *object, struct gh_quota_limits *limits,
                        struct gh_error *error)
{
    uint32_t *const numbers[] = {&limits->connections_max, &limits->messages_per_second};
    if (!gh_json_only(object, keys, GH_COUNT(keys), error))
        return false;
    for (size_t i = 0; i < GH_COUNT(keys); i++) {
        uint64_t number = *numbers[i];
        if (!json_is_null(json_object_get(object, keys[i])) &&
            !gh_json_get_u64(object, keys[i], 0, &number, error))
            return false;
        if (number > UINT32_MAX) {
            gh_error_set(error, GH_ERROR_RANGE, "%s is a number from 0 to %u", keys[i], UINT32_MAX);
            return false;
        }
        *numbers[i] = (uint32_t)number;
    }
    return true;
}

static bool tell_route(const struct gh_api_services *services, int64_t tenant, const json_t *object,
                       struct gh_error *error)
{
    if (services->quotas == NULL)
        return true;
    struct gh_quota_limits limits = gh_quotas_limits(services->quotas);
    if (!read_limits(object, &limits, error))
        return false;
    if (gh_quotas_set(services->quotas, tenant, &limits))
        return true;
    gh_error_set(error, GH_ERROR_MEMORY, "limits of a tenant");
    return false;
}

const struct tenant_setting limits_setting = {
    .kind = "limits",
    .name = "limits",
    .bytes_max = BYTES_MAX,
    .deed = "LIMITS",
    .otherwise = "it has the server's limits",
    .tell = tell_route,
};

/* What holds, which of it is the tenant's own, and what is used. */
enum gh_error_code api_limits_get(struct call *call)
{
    const struct gh_api_services *services = &call->api->services;
    struct gh_quota_limits limits = {0};
    size_t connections = 0;
    struct gh_quota *quota =
        services->quotas != NULL ? gh_quotas_of(services->quotas, call->tenant.number) : NULL;
    if (quota != NULL) {
        limits = gh_quota_limits(quota);
        connections = gh_quota_connections(quota);
    }
    json_t *own = tenant_setting_get(call, call->tenant.number, &limits_setting);
    call->answer = json_pack("{s:I, s:I, s:I, s:o}", keys[0], (json_int_t)limits.connections_max,
                             keys[1], (json_int_t)limits.messages_per_second, "connections",
                             (json_int_t)connections, "own", own != NULL ? own : json_object());
    return GH_OK;
}

enum gh_error_code api_limits_put(struct call *call)
{
    struct gh_quota_limits limits = {0};
    if (!read_limits(call->body, &limits, &call->error))
        return call->error.code;
    enum gh_error_code code = tenant_setting_put(call, &limits_setting);
    return code == GH_OK ? api_limits_get(call) : code;
}
