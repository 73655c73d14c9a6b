#include "api/call_internal.h"
#include "api/tenant_settings_internal.h"
#include "base/log.h"
#include "observe/trail.h"
#include "route/broker.h"
#include "wire/mqtt/topic.h"

/* Which of a tenant's topics may be acknowledged before they are safe. The default is none. Kept as
 * a document of the tenant, told to the broker at start and with every change. */

enum { FILTERS_MAX = 64, FILTER_BYTES_MAX = 1024, BYTES_MAX = 256 * 1024, ARENA_MAX = 64 << 20 };

static const struct gh_slice kind = GH_SLICE_INIT("durability"), name = GH_SLICE_INIT("relaxed");

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

bool durability_load(struct gh_api *api, struct gh_error *error)
{
    struct gh_document_row *rows;
    struct gh_arena arena;
    size_t count = 0;
    gh_arena_init(&arena, ARENA_MAX);
    bool good =
        gh_store_document_list(api->services.store, 0, kind, &arena, &rows, &count, error) == GH_OK;
    for (size_t i = 0; good && i < count; i++) {
        struct gh_error why = {0};
        json_t *object = gh_json_read(rows[i].json, &why);
        if (object == NULL || !tell_broker(&api->services, rows[i].tenant, object, &why))
            gh_log(GH_LOG_ERROR, "api", "tenant %lld: all its topics stay durable: %s",
                   (long long)rows[i].tenant, why.text);
        json_decref(object);
    }
    gh_arena_deinit(&arena);
    return good;
}

json_t *durability_to_json(struct call *call, int64_t tenant)
{
    struct gh_document_row row;
    struct gh_error ignored = {0};
    json_t *value = NULL;
    if (gh_store_document_get(call->api->services.store, tenant, kind, name, call->arena, &row,
                              &ignored) == GH_OK)
        value = gh_json_read(row.json, NULL);
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
    struct gh_buffer text;
    size_t count;
    if (!read_filters(call->body, filters, &count, &call->error))
        return call->error.code;
    gh_buffer_init(&text, BYTES_MAX);
    enum gh_error_code code = GH_OK;
    if (!gh_json_write(call->body, &text))
        code = call_fail(call, GH_ERROR_INVALID, "relaxed: more than %d bytes", BYTES_MAX);
    struct gh_document_row row = {.tenant = call->tenant.number,
                                  .kind = kind,
                                  .name = name,
                                  .json = gh_buffer_slice(&text),
                                  .updated_at_ms = call->now_ms};
    pthread_mutex_lock(&call->api->settings_lock); /* what is stored last is what holds */
    if (code == GH_OK)
        code = gh_store_document_put(call->api->services.store, &row, &call->error);
    if (code == GH_OK &&
        !tell_broker(&call->api->services, call->tenant.number, call->body, &call->error))
        code = call->error.code;
    pthread_mutex_unlock(&call->api->settings_lock);
    gh_buffer_deinit(&text);
    if (code != GH_OK)
        return code;
    tenant_note(call, "DURABILITY");
    call->answer = json_incref(call->body);
    return GH_OK;
}
