#include "policy/permission.h"
#include "policy/binding.h"
#include <assert.h>
#include <stdio.h>

enum { NAME_PRINT_MAX = 80 };

static const struct {
    const char *name;
    char grants[GH_ROLE_COUNT + 1]; /* a column for each role */
} permissions[] = {
#define GH_PERMISSION(name, spelling, grants) [GH_PERMISSION_##name] = {spelling, grants},
#include "policy/permission.def"
#undef GH_PERMISSION
};

/* A row that is too short or too long would shift rights to another role. */
#define GH_PERMISSION(name, spelling, grants)                                                      \
    static_assert(sizeof(grants) == GH_ROLE_COUNT + 1, "a column for each role");
#include "policy/permission.def"
#undef GH_PERMISSION

static const char *const roles[] = {
#define GH_ROLE(name, spelling) [GH_ROLE_##name] = spelling,
#include "policy/role.def"
#undef GH_ROLE
};

const char *gh_permission_name(enum gh_permission permission)
{
    assert((size_t)permission < GH_PERMISSION_COUNT);
    return permissions[permission].name;
}

bool gh_permission_find(struct gh_slice name, enum gh_permission *out)
{
    for (size_t i = 0; i < GH_PERMISSION_COUNT; i++) {
        if (gh_slice_equal(name, gh_slice_text(permissions[i].name))) {
            *out = (enum gh_permission)i;
            return true;
        }
    }
    return false;
}

const char *gh_role_name(enum gh_role role)
{
    assert((size_t)role < GH_ROLE_COUNT);
    return roles[role];
}

bool gh_role_find(struct gh_slice name, enum gh_role *out)
{
    for (size_t i = 0; i < GH_ROLE_COUNT; i++) {
        if (gh_slice_equal(name, gh_slice_text(roles[i]))) {
            *out = (enum gh_role)i;
            return true;
        }
    }
    return false;
}

bool gh_role_is_own(enum gh_role role)
{
    return !gh_slice_starts(gh_slice_text(gh_role_name(role)), GH_SLICE("roles/"));
}

bool gh_role_grants(enum gh_role role, enum gh_permission permission)
{
    assert((size_t)role < GH_ROLE_COUNT);
    assert((size_t)permission < GH_PERMISSION_COUNT);
    return permissions[permission].grants[role] == 'x';
}

static bool by_role(const struct gh_caller *caller, enum gh_permission permission, char *why)
{
    enum gh_role role;
    if (!gh_role_find(caller->role, &role) || !gh_role_is_own(role)) {
        snprintf(why, GH_POLICY_WHY_MAX, "there is no role \"%.*s\"",
                 GH_PRINT(gh_slice_sub(caller->role, 0, NAME_PRINT_MAX)));
        return false;
    }
    bool granted = gh_role_grants(role, permission);
    snprintf(why, GH_POLICY_WHY_MAX, "the role %s %s %s", roles[role],
             granted ? "has" : "does not have", permissions[permission].name);
    return granted;
}

static bool by_binding(const struct gh_caller *caller, enum gh_permission permission,
                       const struct gh_policy_scope *scope, char *why)
{
    enum gh_role role;
    bool of_registry = gh_bindings_grant(scope->registry_policy, caller->member, permission, &role);
    if (of_registry || gh_bindings_grant(scope->tenant_policy, caller->member, permission, &role)) {
        snprintf(why, GH_POLICY_WHY_MAX, "a binding of the %s gives %.*s %s",
                 of_registry ? "registry" : "tenant",
                 GH_PRINT(gh_slice_sub(caller->member, 0, NAME_PRINT_MAX)), roles[role]);
        return true;
    }
    snprintf(why, GH_POLICY_WHY_MAX, "no binding here gives %.*s %s",
             GH_PRINT(gh_slice_sub(caller->member, 0, NAME_PRINT_MAX)),
             permissions[permission].name);
    return false;
}

bool gh_policy_may(const struct gh_caller *caller, enum gh_permission permission,
                   const struct gh_policy_scope *scope, char why[GH_POLICY_WHY_MAX])
{
    char unasked[GH_POLICY_WHY_MAX];
    if (why == NULL)
        why = unasked;
    assert((size_t)permission < GH_PERMISSION_COUNT);
    if (caller->kind == GH_CALLER_NOBODY) {
        snprintf(why, GH_POLICY_WHY_MAX, "the caller has not said who it is");
        return false;
    }
    if (caller->tenant != 0 && caller->tenant != scope->tenant) {
        snprintf(why, GH_POLICY_WHY_MAX, "the caller belongs to another tenant");
        return false;
    }
    if (caller->role.size != 0)
        return by_role(caller, permission, why);
    if (caller->member.size != 0)
        return by_binding(caller, permission, scope, why);
    snprintf(why, GH_POLICY_WHY_MAX, "the caller has neither a role nor a member");
    return false;
}
