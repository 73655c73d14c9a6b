/* What IoT Core let a project do in a minute, and a back end to a device or registry in a second.
 */
#include "dialect/google/rest_internal.h"

/* Permissions that are not here are of calls that it did not count. */
static const struct {
    enum gh_permission permission;
    enum gh_rate_kind kind;
} of_route[] = {
    {GH_PERMISSION_REGISTRIES_GET, GH_RATE_READS},
    {GH_PERMISSION_REGISTRIES_LIST, GH_RATE_READS},
    {GH_PERMISSION_DEVICES_GET, GH_RATE_READS},
    {GH_PERMISSION_DEVICES_LIST, GH_RATE_READS},
    {GH_PERMISSION_REGISTRIES_CREATE, GH_RATE_CHANGES},
    {GH_PERMISSION_REGISTRIES_DELETE, GH_RATE_CHANGES},
    {GH_PERMISSION_DEVICES_CREATE, GH_RATE_CHANGES},
    {GH_PERMISSION_DEVICES_DELETE, GH_RATE_CHANGES},
    {GH_PERMISSION_DEVICES_UPDATE_CONFIG, GH_RATE_CONFIGS},
};

enum gh_error_code google_rate_check(struct google_call *call, int64_t tenant, uint64_t number,
                                     enum gh_rate_kind kind)
{
    const struct gh_rate_thing thing = {tenant, number, kind};
    if (call->services->rates == NULL || gh_rates_take(call->services->rates, &thing, call->now_ms))
        return GH_OK;
    return google_fail(call, GH_ERROR_LIMIT, "over the rate of %s", gh_rate_kind_name(kind));
}

enum gh_error_code google_rate_check_bytes(struct google_call *call,
                                           const struct gh_rate_thing *bytes, size_t size)
{
    enum gh_error_code code = google_rate_check(call, bytes->tenant, bytes->number, bytes->kind);
    if (code == GH_OK && call->services->rates != NULL)
        (void)gh_rates_charge_ms(call->services->rates, bytes, (uint32_t)size, call->now_ms);
    return code;
}

enum gh_error_code google_rate_check_route(struct google_call *call)
{
    for (size_t i = 0; i < GH_COUNT(of_route); i++)
        if (of_route[i].permission == call->route->permission)
            return google_rate_check(call, call->tenant.number, 0, of_route[i].kind);
    return GH_OK;
}
