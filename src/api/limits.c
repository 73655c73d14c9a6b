#include "api/call_internal.h"
#include "api/tenant_settings_internal.h"
#include "base/log.h"
#include "route/quota.h"

/* A tenant's own ceilings, where it has them, in place of the server's: a document of the tenant,
 * told to route/ at start and with every change. */

enum { BYTES_MAX = 1024, ARENA_MAX = 16 << 20 };

static const struct gh_slice kind = GH_SLICE_INIT("limits"), name = GH_SLICE_INIT("limits");
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

bool limits_load(struct gh_api *api, struct gh_error *error)
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
        if (object == NULL || !tell_route(&api->services, rows[i].tenant, object, &why))
            gh_log(GH_LOG_ERROR, "api", "tenant %lld has the server's limits: %s",
                   (long long)rows[i].tenant, why.text);
        json_decref(object);
    }
    gh_arena_deinit(&arena);
    return good;
}

/* What holds, which of it is the tenant's own, and what is used. */
enum gh_error_code api_limits_get(struct call *call)
{
    const struct gh_api_services *services = &call->api->services;
    struct gh_quota_limits limits = {0};
    struct gh_document_row row;
    struct gh_error ignored = {0};
    size_t connections = 0;
    json_t *own = NULL;
    struct gh_quota *quota =
        services->quotas != NULL ? gh_quotas_of(services->quotas, call->tenant.number) : NULL;
    if (quota != NULL) {
        limits = gh_quota_limits(quota);
        connections = gh_quota_connections(quota);
    }
    if (gh_store_document_get(services->store, call->tenant.number, kind, name, call->arena, &row,
                              &ignored) == GH_OK)
        own = gh_json_read(row.json, NULL);
    call->answer = json_pack("{s:I, s:I, s:I, s:o}", keys[0], (json_int_t)limits.connections_max,
                             keys[1], (json_int_t)limits.messages_per_second, "connections",
                             (json_int_t)connections, "own", own != NULL ? own : json_object());
    return GH_OK;
}

enum gh_error_code api_limits_put(struct call *call)
{
    struct gh_quota_limits limits = {0};
    struct gh_buffer text;
    if (!read_limits(call->body, &limits, &call->error))
        return call->error.code;
    gh_buffer_init(&text, BYTES_MAX);
    enum gh_error_code code = GH_OK;
    if (!gh_json_write(call->body, &text))
        code = call_fail(call, GH_ERROR_INVALID, "limits: more than %d bytes", BYTES_MAX);
    struct gh_document_row row = {.tenant = call->tenant.number,
                                  .kind = kind,
                                  .name = name,
                                  .json = gh_buffer_slice(&text),
                                  .updated_at_ms = call->now_ms};
    pthread_mutex_lock(&call->api->settings_lock); /* what is stored last is what holds */
    if (code == GH_OK)
        code = gh_store_document_put(call->api->services.store, &row, &call->error);
    if (code == GH_OK &&
        !tell_route(&call->api->services, call->tenant.number, call->body, &call->error))
        code = call->error.code;
    pthread_mutex_unlock(&call->api->settings_lock);
    gh_buffer_deinit(&text);
    if (code != GH_OK)
        return code;
    tenant_note(call, "LIMITS");
    return api_limits_get(call);
}
