/* Why somebody may do something, or may not: the decision about people and programs, explained. */
#include "api/call_internal.h"

/* {"member" or "role", "permission", "registry"?}: the tenant's bindings and those of
 * the registry decide about a member, the table about a role. */
enum gh_error_code api_access_explain(struct call *call)
{
    static const char *const keys[] = {"member", "role", "permission", "registry"};
    struct gh_caller asked = {.kind = GH_CALLER_TOKEN, .tenant = call->tenant.number};
    struct gh_slice name = {0}, registry_name = {0};
    struct gh_registry registry = {0};
    enum gh_permission permission;
    char why[GH_POLICY_WHY_MAX];
    if (!gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_text(call->body, "member", 0, &asked.member, &call->error) ||
        !gh_json_get_text(call->body, "role", 0, &asked.role, &call->error) ||
        !gh_json_get_text(call->body, "permission", GH_JSON_REQUIRED, &name, &call->error) ||
        !gh_json_get_text(call->body, "registry", 0, &registry_name, &call->error))
        return call->error.code;
    if ((asked.member.size == 0) == (asked.role.size == 0))
        return call_fail(call, GH_ERROR_INVALID, "either a member or a role is asked about");
    if (!gh_permission_find(name, &permission))
        return call_fail(call, GH_ERROR_INVALID, "there is no permission \"%.*s\"",
                         GH_PRINT(gh_slice_sub(name, 0, 64)));
    enum gh_error_code code =
        registry_name.size == 0
            ? GH_OK
            : gh_directory_registry_find(call->api->services.directory, call->tenant.number,
                                         registry_name, (struct gh_slice){0}, call->arena,
                                         &registry, &call->error);
    if (code != GH_OK)
        return code;
    struct gh_policy_scope scope = {.tenant = call->tenant.number,
                                    .tenant_policy = call->tenant.policy,
                                    .registry_policy = registry.policy};
    bool allowed = gh_policy_may(&asked, permission, &scope, why);
    call->answer = json_pack("{s:b, s:s, s:s}", "allowed", allowed, "permission",
                             gh_permission_name(permission), "why", why);
    return GH_OK;
}
