#include "api/call_internal.h"
#include "api/tenant_names_internal.h"
#include "api/tenant_settings_internal.h"

static json_t *tenant_to_json(const struct gh_tenant *tenant)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:b, s:o}", "name", json_slice(tenant->name),
                     "google_project", json_slice(tenant->google_project), "azure_hub",
                     json_slice(tenant->azure_hub), "aws_account", json_slice(tenant->aws_account),
                     "disabled", tenant->disabled, "created_at", json_time(tenant->created_at_ms));
}

enum gh_error_code api_tenant_list(struct call *call)
{
    struct gh_tenant *tenants;
    size_t count;
    enum gh_error_code code = gh_directory_tenant_list(call->api->services.directory, call->arena,
                                                       &tenants, &count, &call->error);
    if (code != GH_OK)
        return code;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        if (call_may(call, GH_PERMISSION_TENANTS_GET, tenants[i].number))
            json_array_append_new(list, tenant_to_json(&tenants[i]));
    call->answer = json_pack("{s:o}", "tenants", list);
    return GH_OK;
}

enum gh_error_code api_tenant_create(struct call *call)
{
    static const char *const keys[] = {"name", "google_project", "azure_hub", "aws_account"};
    struct gh_tenant tenant = {0};
    if (!gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_text(call->body, "name", GH_JSON_REQUIRED, &tenant.name, &call->error) ||
        !gh_json_get_text(call->body, "google_project", 0, &tenant.google_project, &call->error) ||
        !gh_json_get_text(call->body, "azure_hub", 0, &tenant.azure_hub, &call->error) ||
        !gh_json_get_text(call->body, "aws_account", 0, &tenant.aws_account, &call->error))
        return call->error.code;
    enum gh_error_code code =
        gh_directory_tenant_create(call->api->services.directory, &tenant, &call->error);
    if (code != GH_OK)
        return code;
    code = gh_directory_tenant_get(call->api->services.directory, tenant.number, call->arena,
                                   &tenant, &call->error);
    tenant_names_add(call->api->tenants, tenant.number, tenant.name);
    call->status = 201;
    call->answer = tenant_to_json(&tenant);
    return code;
}

enum gh_error_code api_tenant_get(struct call *call)
{
    call->answer = tenant_to_json(&call->tenant);
    json_object_set_new(call->answer, "durability", durability_to_json(call, call->tenant.number));
    return GH_OK;
}

/* {"disabled": true or false} */
enum gh_error_code api_tenant_update(struct call *call)
{
    static const char *const keys[] = {"disabled"};
    if (!gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_bool(call->body, "disabled", GH_JSON_REQUIRED, &call->tenant.disabled,
                          &call->error))
        return call->error.code;
    call->scope.tenant_disabled = true; /* who could not enable it again does not disable it */
    if (!gh_policy_may(&call->caller, GH_PERMISSION_TENANTS_DISABLE, &call->scope, NULL))
        return call_fail(call, GH_ERROR_DENIED, "%s in all tenants",
                         gh_permission_name(GH_PERMISSION_TENANTS_DISABLE));
    enum gh_error_code code = gh_directory_tenant_disable(
        call->api->services.directory, call->tenant.number, call->tenant.disabled, &call->error);
    if (code != GH_OK)
        return code;
    call_tenant_note(call, call->tenant.disabled ? "TENANT_DISABLED" : "TENANT_ENABLED");
    call->answer = tenant_to_json(&call->tenant);
    return GH_OK;
}

enum gh_error_code api_tenant_delete(struct call *call)
{
    return gh_directory_tenant_delete(call->api->services.directory, call->tenant.number,
                                      &call->error);
}
