/* Where a call is to do something, and the policies that decide there. A caller whose role is one
 * of the table needs none of them read. */
#include "api/call_internal.h"
#include <string.h>

static bool has_own_role(const struct call *call)
{
    enum gh_role role;
    return gh_role_find(call->caller.role, &role);
}

enum gh_error_code call_roles(struct call *call, int64_t tenant, struct gh_policy_roles *out)
{
    struct gh_custom_role *rows;
    enum gh_error_code code = gh_directory_role_list(call->api->services.directory, tenant,
                                                     call->arena, &rows, &out->count, &call->error);
    out->items = rows;
    return code;
}

enum gh_error_code call_scope(struct call *call, const struct gh_tenant *tenant,
                              struct gh_policy_scope *out)
{
    struct gh_slice etag;
    *out = (struct gh_policy_scope){.tenant = tenant->number,
                                    .tenant_disabled = tenant->disabled,
                                    .tenant_policy = tenant->policy,
                                    .now_ms = call->now_ms,
                                    .address = call_source(call)};
    enum gh_error_code code = gh_directory_house_policy_get(
        call->api->services.directory, call->arena, &out->house_policy, &etag, &call->error);
    return code == GH_OK ? call_roles(call, tenant->number, &out->roles) : code;
}

enum gh_error_code call_scope_group(struct call *call, const struct gh_device_group *group,
                                    struct gh_policy_scope *scope)
{
    struct gh_grant_row row = {.group = group->number};
    struct gh_policy_grant *grant = gh_arena_alloc(call->arena, sizeof *grant);
    if (grant == NULL)
        return call_fail(call, GH_ERROR_MEMORY, "bindings");
    enum gh_error_code code =
        gh_directory_grant_get(call->api->services.directory, &row, call->arena, &call->error);
    *grant = (struct gh_policy_grant){"group", group->name, row.policy};
    scope->grants = grant;
    scope->grants_count = 1;
    return code;
}

enum gh_error_code call_scope_device(struct call *call, const struct gh_device *device,
                                     struct gh_policy_scope *scope)
{
    struct gh_grant_row *rows;
    size_t count;
    enum gh_error_code code = gh_directory_grants_of_device(
        call->api->services.directory, device->number, call->arena, &rows, &count, &call->error);
    if (code != GH_OK)
        return code;
    struct gh_policy_grant *grants = gh_arena_array(call->arena, count + 1, sizeof *grants);
    if (grants == NULL)
        return call_fail(call, GH_ERROR_MEMORY, "bindings");
    for (size_t i = 0; i < count; i++)
        grants[i] = rows[i].device != 0
                        ? (struct gh_policy_grant){"device", device->id, rows[i].policy}
                        : (struct gh_policy_grant){"group", rows[i].group_name, rows[i].policy};
    scope->grants = grants;
    scope->grants_count = count;
    return GH_OK;
}

/* What does not exist has no bindings. */
static enum gh_error_code or_nothing(struct call *call, enum gh_error_code code)
{
    if (code != GH_ERROR_NOT_FOUND)
        return code;
    call->error = (struct gh_error){0};
    return GH_OK;
}

/* What the path names below the tenant. */
static enum gh_error_code add_path(struct call *call)
{
    struct gh_device_group group;
    struct gh_registry registry;
    struct gh_device device;
    enum gh_error_code code;
    if (call->level == CALL_HOUSE || call->level == CALL_TENANT)
        return GH_OK;
    if (call->level == CALL_GROUP) {
        code = gh_directory_group_find(call->api->services.directory, call->tenant.number,
                                       call->captures[1], call->arena, &group, &call->error);
        return code == GH_OK ? call_scope_group(call, &group, &call->scope)
                             : or_nothing(call, code);
    }
    code = call_registry(call, &registry);
    if (code != GH_OK)
        return or_nothing(call, code);
    call->scope.registry_policy = registry.policy;
    if (call->level == CALL_REGISTRY)
        return GH_OK;
    code = call_device(call, &device);
    return code == GH_OK ? call_scope_device(call, &device, &call->scope) : or_nothing(call, code);
}

enum gh_error_code call_scope_of_path(struct call *call)
{
    call->scope = (struct gh_policy_scope){.tenant = call->tenant.number,
                                           .tenant_disabled = call->tenant.disabled};
    if (has_own_role(call))
        return GH_OK;
    enum gh_error_code code = call_scope(call, &call->tenant, &call->scope);
    return code == GH_OK ? add_path(call) : code;
}

bool call_may(struct call *call, enum gh_permission permission, int64_t tenant)
{
    struct gh_policy_scope scope = {.tenant = tenant};
    struct gh_tenant other = {0};
    if (has_own_role(call))
        return gh_policy_may(&call->caller, permission, &scope, NULL);
    if (call->caller.tenant != 0 && call->caller.tenant != tenant)
        return false;
    if (tenant != 0 && gh_directory_tenant_get(call->api->services.directory, tenant, call->arena,
                                               &other, &call->error) != GH_OK)
        return false;
    return call_scope(call, &other, &scope) == GH_OK &&
           gh_policy_may(&call->caller, permission, &scope, NULL);
}

bool call_may_on_device(struct call *call, enum gh_permission permission,
                        const struct gh_device *device)
{
    struct gh_policy_scope scope;
    struct gh_registry registry;
    return call_scope(call, &call->tenant, &scope) == GH_OK &&
           gh_directory_registry_get(call->api->services.directory, device->registry, call->arena,
                                     &registry, &call->error) == GH_OK &&
           (scope.registry_policy = registry.policy,
            call_scope_device(call, device, &scope) == GH_OK) &&
           gh_policy_may(&call->caller, permission, &scope, NULL);
}

enum gh_error_code call_covers(struct call *call, struct gh_slice role,
                               const struct gh_policy_scope *scope)
{
    enum gh_permission missing;
    if (gh_policy_covers(&call->caller, role, scope, &missing))
        return GH_OK;
    return call_fail(call, GH_ERROR_DENIED, "%.*s has %s, which the caller has not here",
                     GH_PRINT(gh_slice_sub(role, 0, 80)), gh_permission_name(missing));
}
