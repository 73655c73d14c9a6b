#include "api/call_internal.h"
#include "api/tenant_settings_internal.h"
#include "route/quota.h"
#include "route/rate.h"

/* A tenant's own ceilings, where it has them, in place of the server's: a document of the tenant,
 * told to route/ at start and with every change. */

enum { BYTES_MAX = 2048 };

static const char *const keys[] = {"connections_max", "messages_per_second", "rates"};
enum { RATES = 2, NUMBERS = RATES }; /* the key of an object, and how many are numbers */

/* What is not there, or null, stays as it is. */
static bool read_number(const json_t *object, const char *key, uint32_t *out,
                        struct gh_error *error)
{
    uint64_t number = *out;
    if (!json_is_null(json_object_get(object, key)) &&
        !gh_json_get_u64(object, key, 0, &number, error))
        return false;
    if (number > UINT32_MAX) {
        gh_error_set(error, GH_ERROR_RANGE, "%s is a number from 0 to %u", key, UINT32_MAX);
        return false;
    }
    *out = (uint32_t)number;
    return true;
}

/* {"compat": …, "states_per_second": …}: without compat (false) what is not named has no limit,
 * with it (true) IoT Core's, and where nothing is said the server's. */
static bool read_rates(const json_t *object, uint32_t counts[GH_RATE_KIND_COUNT],
                       struct gh_error *error)
{
    const char *names[GH_RATE_KIND_COUNT + 1] = {"compat"};
    bool compat = false;
    for (size_t i = 0; i < GH_RATE_KIND_COUNT; i++)
        names[i + 1] = gh_rate_kind_key((enum gh_rate_kind)i);
    if (!gh_json_only(object, names, GH_COUNT(names), error) ||
        !gh_json_get_bool(object, "compat", 0, &compat, error))
        return false;
    for (size_t i = 0; i < GH_RATE_KIND_COUNT; i++) {
        if (json_is_boolean(json_object_get(object, "compat")))
            counts[i] = compat ? gh_rates_compat[i].count : 0;
        if (!read_number(object, names[i + 1], &counts[i], error))
            return false;
    }
    return true;
}

/* What is not there, or null, is the server's. */
static bool read_limits(const json_t *object, struct gh_quota_limits *limits,
                        uint32_t rates[GH_RATE_KIND_COUNT], struct gh_error *error)
{
    uint32_t *const numbers[NUMBERS] = {&limits->connections_max, &limits->messages_per_second};
    json_t *object_of_rates = NULL;
    if (!gh_json_only(object, keys, GH_COUNT(keys), error) ||
        !gh_json_get_object(object, keys[RATES], 0, &object_of_rates, error))
        return false;
    for (size_t i = 0; i < NUMBERS; i++)
        if (!read_number(object, keys[i], numbers[i], error))
            return false;
    return object_of_rates == NULL || read_rates(object_of_rates, rates, error);
}

/* The server's when nothing is said about them. */
static bool tell_rates(const struct gh_api_services *services, int64_t tenant, const json_t *object,
                       const uint32_t counts[GH_RATE_KIND_COUNT])
{
    bool has_own = json_object_size(json_object_get(object, keys[RATES])) > 0;
    return services->rates == NULL ||
           gh_rates_set(services->rates, tenant, has_own ? counts : NULL);
}

static bool tell_route(const struct gh_api_services *services, int64_t tenant, const json_t *object,
                       struct gh_error *error)
{
    if (services->quotas == NULL)
        return true;
    struct gh_quota_limits limits = gh_quotas_limits(services->quotas);
    uint32_t rates[GH_RATE_KIND_COUNT] = {0};
    if (services->rates != NULL)
        gh_rates_counts(services->rates, 0, rates);
    if (!read_limits(object, &limits, rates, error))
        return false;
    if (gh_quotas_set(services->quotas, tenant, &limits) &&
        tell_rates(services, tenant, object, rates))
        return true;
    gh_error_set(error, GH_ERROR_MEMORY, "limits of a tenant");
    return false;
}

const struct tenant_setting limits_setting = {.kind = GH_SLICE_INIT("limits"),
                                              .name = GH_SLICE_INIT("limits"),
                                              .bytes_max = BYTES_MAX,
                                              .without = "has the server's limits",
                                              .deed = "LIMITS",
                                              .tell = tell_route};

static json_t *rates_to_json(const struct call *call)
{
    struct gh_rates *rates = call->api->services.rates;
    uint32_t counts[GH_RATE_KIND_COUNT];
    json_t *object = json_object();
    if (rates == NULL)
        return object;
    gh_rates_counts(rates, call->tenant.number, counts);
    for (size_t i = 0; i < GH_RATE_KIND_COUNT; i++)
        json_object_set_new(object, gh_rate_kind_key((enum gh_rate_kind)i),
                            json_integer(counts[i]));
    return object;
}

/* What holds, which of it is the tenant's own, and what is used. */
enum gh_error_code api_limits_get(struct call *call)
{
    const struct gh_api_services *services = &call->api->services;
    struct gh_quota_limits limits = {0};
    size_t connections = 0;
    json_t *own = tenant_setting_get(call, &limits_setting, call->tenant.number);
    struct gh_quota *quota =
        services->quotas != NULL ? gh_quotas_of(services->quotas, call->tenant.number) : NULL;
    if (quota != NULL) {
        limits = gh_quota_limits(quota);
        connections = gh_quota_connections(quota);
    }
    call->answer =
        json_pack("{s:I, s:I, s:o, s:I, s:o}", keys[0], (json_int_t)limits.connections_max, keys[1],
                  (json_int_t)limits.messages_per_second, keys[RATES], rates_to_json(call),
                  "connections", (json_int_t)connections, "own", own != NULL ? own : json_object());
    return GH_OK;
}

enum gh_error_code api_limits_put(struct call *call)
{
    struct gh_quota_limits limits = {0};
    uint32_t rates[GH_RATE_KIND_COUNT] = {0};
    if (!read_limits(call->body, &limits, rates, &call->error))
        return call->error.code;
    enum gh_error_code code = tenant_setting_put(call, &limits_setting);
    return code == GH_OK ? api_limits_get(call) : code;
}
