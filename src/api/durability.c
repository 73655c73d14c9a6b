#include "api/call_internal.h"
#include "api/tenant_settings_internal.h"
#include "route/broker.h"
#include "wire/mqtt/topic.h"

/* Which of a tenant's topics may be acknowledged before they are safe. The default is none. Kept as
 * a document of the tenant, told to the broker at start and with every change. */

enum { FILTERS_MAX = 64, FILTER_BYTES_MAX = 1024, BYTES_MAX = 256 * 1024 };

/* The filters of {"relaxed": […]}; false with `error` filled when one is none. */
static bool read_filters(const json_t *object, struct gh_slice out[FILTERS_MAX], size_t *count,
                         struct gh_error *error)
{
    static const char *const keys[] = {"relaxed"};
    json_t *list = NULL;
    *count = 0;
    if (!gh_json_only(object, keys, GH_COUNT(keys), error) ||
        !gh_json_get_array(object, keys[0], GH_JSON_REQUIRED, &list, error))
        return false;
    if (json_array_size(list) > FILTERS_MAX) {
        gh_error_set(error, GH_ERROR_LIMIT, "relaxed: more than %d filters", FILTERS_MAX);
        return false;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct gh_slice filter = gh_json_slice(json_array_get(list, i));
        if (filter.size > FILTER_BYTES_MAX || !gh_mqtt_filter_valid(filter) ||
            gh_slice_starts(filter, GH_SLICE("$share/"))) {
            gh_error_set(error, GH_ERROR_INVALID, "relaxed[%zu] is not a topic filter", i);
            return false;
        }
        out[(*count)++] = filter;
    }
    return true;
}

static bool tell_broker(const struct gh_api_services *services, int64_t tenant,
                        const json_t *object, struct gh_error *error)
{
    struct gh_slice filters[FILTERS_MAX];
    size_t count;
    if (!read_filters(object, filters, &count, error))
        return false;
    if (services->broker == NULL || gh_broker_relax(services->broker, tenant, filters, count))
        return true;
    gh_error_set(error, GH_ERROR_MEMORY, "relaxed filters");
    return false;
}

const struct tenant_setting durability_setting = {.kind = GH_SLICE_INIT("durability"),
                                                  .name = GH_SLICE_INIT("relaxed"),
                                                  .bytes_max = BYTES_MAX,
                                                  .without = "has all its topics durable",
                                                  .deed = "DURABILITY",
                                                  .tell = tell_broker};

json_t *durability_to_json(struct call *call, int64_t tenant)
{
    json_t *value = tenant_setting_get(call, &durability_setting, tenant);
    return value != NULL ? value : json_pack("{s:[]}", "relaxed");
}

enum gh_error_code api_durability_get(struct call *call)
{
    call->answer = durability_to_json(call, call->tenant.number);
    return GH_OK;
}

enum gh_error_code api_durability_put(struct call *call)
{
    struct gh_slice filters[FILTERS_MAX];
    size_t count;
    if (!read_filters(call->body, filters, &count, &call->error))
        return call->error.code;
    enum gh_error_code code = tenant_setting_put(call, &durability_setting);
    if (code == GH_OK)
        call->answer = json_incref(call->body);
    return code;
}
