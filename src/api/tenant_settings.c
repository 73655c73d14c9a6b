#include "api/tenant_settings_internal.h"
#include "base/log.h"

enum { ARENA_MAX = 64 << 20 };

static bool load(struct gh_api *api, const struct tenant_setting *setting, struct gh_error *error)
{
    struct gh_document_row *rows;
    struct gh_arena arena;
    size_t count = 0;
    gh_arena_init(&arena, ARENA_MAX);
    bool good = gh_store_document_list(api->services.store, 0, setting->kind, &arena, &rows, &count,
                                       error) == GH_OK;
    for (size_t i = 0; good && i < count; i++) {
        struct gh_error why = {0};
        json_t *value = gh_json_read(rows[i].json, &why);
        if (value == NULL || !setting->tell(&api->services, rows[i].tenant, value, &why))
            gh_log(GH_LOG_ERROR, "api", "tenant %lld %s: %s", (long long)rows[i].tenant,
                   setting->without, why.text);
        json_decref(value);
    }
    gh_arena_deinit(&arena);
    return good;
}

bool tenant_settings_load(struct gh_api *api, struct gh_error *error)
{
    static const struct tenant_setting *const settings[] = {&durability_setting, &limits_setting,
                                                            &alerts_setting};
    bool good = true;
    for (size_t i = 0; good && i < GH_COUNT(settings); i++)
        good = load(api, settings[i], error);
    return good;
}

json_t *tenant_setting_get(struct call *call, const struct tenant_setting *setting, int64_t tenant)
{
    struct gh_document_row row;
    struct gh_error ignored = {0};
    return gh_store_document_get(call->api->services.store, tenant, setting->kind, setting->name,
                                 call->arena, &row, &ignored) == GH_OK
               ? gh_json_read(row.json, NULL)
               : NULL;
}

enum gh_error_code tenant_setting_put(struct call *call, const struct tenant_setting *setting)
{
    struct gh_buffer text;
    gh_buffer_init(&text, setting->bytes_max);
    enum gh_error_code code = GH_OK;
    if (!gh_json_write(call->body, &text))
        code = call_fail(call, GH_ERROR_INVALID, "%.*s: more than %zu bytes",
                         GH_PRINT(setting->name), setting->bytes_max);
    struct gh_document_row row = {.tenant = call->tenant.number,
                                  .kind = setting->kind,
                                  .name = setting->name,
                                  .json = gh_buffer_slice(&text),
                                  .updated_at_ms = call->now_ms};
    pthread_mutex_lock(&call->api->settings_lock); /* what is stored last is what holds */
    if (code == GH_OK)
        code = gh_store_document_put(call->api->services.store, &row, &call->error);
    if (code == GH_OK &&
        !setting->tell(&call->api->services, call->tenant.number, call->body, &call->error))
        code = call->error.code;
    pthread_mutex_unlock(&call->api->settings_lock);
    gh_buffer_deinit(&text);
    if (code == GH_OK)
        call_tenant_note(call, setting->deed);
    return code;
}
