/* Why somebody may do something, or may not: the decision about people and programs, explained. */
#include "api/call_internal.h"
#include "base/time.h"

struct question {
    struct gh_caller asked;
    struct gh_slice permission, registry, group, device, at, address;
};

static enum gh_error_code read_question(struct call *call, struct question *q)
{
    static const char *const keys[] = {"member", "role",   "permission", "registry",
                                       "group",  "device", "at",         "address"};
    *q = (struct question){.asked = {.kind = GH_CALLER_TOKEN, .tenant = call->tenant.number}};
    if (!gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_text(call->body, "member", 0, &q->asked.member, &call->error) ||
        !gh_json_get_text(call->body, "role", 0, &q->asked.role, &call->error) ||
        !gh_json_get_text(call->body, "permission", GH_JSON_REQUIRED, &q->permission,
                          &call->error) ||
        !gh_json_get_text(call->body, "registry", 0, &q->registry, &call->error) ||
        !gh_json_get_text(call->body, "group", 0, &q->group, &call->error) ||
        !gh_json_get_text(call->body, "device", 0, &q->device, &call->error) ||
        !gh_json_get_text(call->body, "at", 0, &q->at, &call->error) ||
        !gh_json_get_text(call->body, "address", 0, &q->address, &call->error))
        return call->error.code;
    if ((q->asked.member.size == 0) == (q->asked.role.size == 0))
        return call_fail(call, GH_ERROR_INVALID, "either a member or a role is asked about");
    if (q->device.size > 0 && q->registry.size == 0)
        return call_fail(call, GH_ERROR_INVALID, "device needs registry beside it");
    if (q->group.size > 0 && q->registry.size > 0)
        return call_fail(call, GH_ERROR_INVALID, "group stands alone");
    return GH_OK;
}

/* The place that is asked about. */
static enum gh_error_code find_place(struct call *call, const struct question *q,
                                     struct gh_policy_scope *scope)
{
    struct gh_directory *directory = call->api->services.directory;
    struct gh_device_group group;
    struct gh_registry registry;
    struct gh_device device;
    enum gh_error_code code = call_scope(call, &call->tenant, scope);
    if (code == GH_OK && q->group.size > 0) {
        code = gh_directory_group_find(directory, call->tenant.number, q->group, call->arena,
                                       &group, &call->error);
        return code == GH_OK ? call_scope_group(call, &group, scope) : code;
    }
    if (code != GH_OK || q->registry.size == 0)
        return code;
    code = gh_directory_registry_find(directory, call->tenant.number, q->registry,
                                      (struct gh_slice){0}, call->arena, &registry, &call->error);
    if (code != GH_OK)
        return code;
    scope->registry_policy = registry.policy;
    if (q->device.size == 0)
        return GH_OK;
    code =
        gh_directory_device_find(directory, call->tenant.number, q->registry, (struct gh_slice){0},
                                 q->device, call->arena, &device, &call->error);
    return code == GH_OK ? call_scope_device(call, &device, scope) : code;
}

/* {"member" or "role", "permission", "registry"?, "device"?, "group"?, "at"?, "address"?}: the
 * bindings of the tenant, the registry, the groups and the device decide about a member, at that
 * time (now) and from that address (the asker's); the table, or what it is made of, about a role.
 */
enum gh_error_code api_access_explain(struct call *call)
{
    struct question q;
    struct gh_policy_scope scope;
    enum gh_permission permission;
    char why[GH_POLICY_WHY_MAX];
    enum gh_error_code code = read_question(call, &q);
    if (code != GH_OK)
        return code;
    if (!gh_permission_find(q.permission, &permission))
        return call_fail(call, GH_ERROR_INVALID, "there is no permission \"%.*s\"",
                         GH_PRINT(gh_slice_sub(q.permission, 0, 64)));
    code = find_place(call, &q, &scope);
    if (code != GH_OK)
        return code;
    if (q.at.size > 0 && !gh_time_parse(q.at, &scope.now_ms))
        return call_fail(call, GH_ERROR_INVALID, "at is not a time like 2026-11-24T03:30:00Z");
    if (q.address.size > 0)
        scope.address = q.address;
    bool allowed = gh_policy_may(&q.asked, permission, &scope, why);
    call->answer = json_pack("{s:b, s:s, s:s}", "allowed", allowed, "permission",
                             gh_permission_name(permission), "why", why);
    return GH_OK;
}
