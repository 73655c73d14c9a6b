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

static const char *const role_names[] = {
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
    return role_names[role];
}

bool gh_role_find(struct gh_slice name, enum gh_role *out)
{
    for (size_t i = 0; i < GH_ROLE_COUNT; i++) {
        if (gh_slice_equal(name, gh_slice_text(role_names[i]))) {
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

/* --- custom roles --- */

static const struct gh_slice custom_of_tenant = GH_SLICE_INIT("custom/"),
                             custom_of_house = GH_SLICE_INIT("house/");

const struct gh_custom_role *gh_role_custom(const struct gh_policy_roles *roles,
                                            struct gh_slice name)
{
    bool of_house = gh_slice_starts(name, custom_of_house);
    if (!of_house && !gh_slice_starts(name, custom_of_tenant))
        return NULL;
    struct gh_slice kind = of_house ? custom_of_house : custom_of_tenant;
    struct gh_slice own = gh_slice_sub(name, kind.size, name.size);
    for (size_t i = 0; i < roles->count; i++)
        if ((roles->items[i].tenant == 0) == of_house && gh_slice_equal(roles->items[i].name, own))
            return &roles->items[i];
    return NULL;
}

static bool lists(struct gh_slice list, struct gh_slice name)
{
    while (list.size > 0)
        if (gh_slice_equal(gh_slice_split(&list, ' '), name))
            return true;
    return false;
}

bool gh_role_exists(const struct gh_policy_roles *roles, struct gh_slice name)
{
    enum gh_role role;
    return gh_role_find(name, &role) || gh_role_custom(roles, name) != NULL;
}

bool gh_role_has(const struct gh_policy_roles *roles, struct gh_slice name,
                 enum gh_permission permission)
{
    enum gh_role role;
    const struct gh_custom_role *custom = gh_role_custom(roles, name);
    if (custom != NULL)
        return lists(custom->permissions, gh_slice_text(gh_permission_name(permission)));
    return gh_role_find(name, &role) && gh_role_grants(role, permission);
}

void gh_role_print(const struct gh_custom_role *role, char out[GH_ROLE_NAME_MAX])
{
    snprintf(out, GH_ROLE_NAME_MAX, "%.*s%.*s",
             GH_PRINT(role->tenant == 0 ? custom_of_house : custom_of_tenant),
             GH_PRINT(role->name));
}

/* --- decisions --- */

static bool by_role(const struct gh_caller *caller, enum gh_permission permission,
                    const struct gh_policy_scope *scope, char *why)
{
    enum gh_role role;
    bool is_own = gh_role_find(caller->role, &role) && gh_role_is_own(role);
    struct gh_slice name = gh_slice_sub(caller->role, 0, NAME_PRINT_MAX);
    const struct gh_custom_role *custom = gh_role_custom(&scope->roles, caller->role);
    if (!is_own && (custom == NULL || (custom->tenant != 0 && custom->tenant != caller->tenant))) {
        snprintf(why, GH_POLICY_WHY_MAX, "there is no role \"%.*s\"", GH_PRINT(name));
        return false;
    }
    bool granted = gh_role_has(&scope->roles, caller->role, permission);
    snprintf(why, GH_POLICY_WHY_MAX, "the role %.*s %s %s", GH_PRINT(name),
             granted ? "has" : "does not have", permissions[permission].name);
    return granted;
}

/* One policy that may give it. `why` gets the sentence when it does, and when only a condition
 * stands in the way, unless there is such a sentence already. */
static bool ask(const struct gh_policy_grant *place, const struct gh_bindings_question *question,
                char *why)
{
    struct gh_bindings_answer answer;
    bool granted = gh_bindings_grant(place->policy, question, &answer);
    struct gh_slice member = gh_slice_sub(question->member, 0, NAME_PRINT_MAX),
                    name = gh_slice_sub(place->name, 0, NAME_PRINT_MAX);
    const char *gap = name.size > 0 ? " " : "";
    if (granted)
        snprintf(why, GH_POLICY_WHY_MAX, "a binding of the %s%s%.*s gives %.*s %s", place->level,
                 gap, GH_PRINT(name), GH_PRINT(member), answer.role);
    else if (answer.unmet[0] != '\0' && why[0] == '\0')
        snprintf(why, GH_POLICY_WHY_MAX,
                 "a binding of the %s%s%.*s would give %.*s %s, but for its condition: %s",
                 place->level, gap, GH_PRINT(name), GH_PRINT(member), answer.role, answer.unmet);
    return granted;
}

static bool by_binding(const struct gh_caller *caller, enum gh_permission permission,
                       const struct gh_policy_scope *scope, char *why)
{
    const struct gh_bindings_question question = {
        .member = caller->member,
        .permission = permission,
        .roles = scope->roles,
        .facts = {.now_ms = scope->now_ms, .address = scope->address}};
    const struct gh_policy_grant house = {.level = "house", .policy = scope->house_policy},
                                 above[] = {
                                     {.level = "registry", .policy = scope->registry_policy},
                                     {.level = "tenant", .policy = scope->tenant_policy},
                                 };
    bool closed = scope->tenant_disabled;
    why[0] = '\0';
    for (size_t i = closed ? 0 : scope->grants_count; i > 0; i--) /* the device itself is last */
        if (ask(&scope->grants[i - 1], &question, why))
            return true;
    for (size_t i = closed ? GH_COUNT(above) : 0; i < GH_COUNT(above); i++)
        if (ask(&above[i], &question, why))
            return true;
    if (ask(&house, &question, why))
        return true;
    if (why[0] == '\0' && closed)
        snprintf(why, GH_POLICY_WHY_MAX, "the tenant is disabled");
    else if (why[0] == '\0')
        snprintf(why, GH_POLICY_WHY_MAX, "no binding here gives %.*s %s",
                 GH_PRINT(gh_slice_sub(caller->member, 0, NAME_PRINT_MAX)),
                 permissions[permission].name);
    return false;
}

/* Whether a caller that is limited to some permissions has this one among them. */
static bool within_limit(const struct gh_caller *caller, enum gh_permission permission)
{
    struct gh_slice rest = caller->permissions;
    struct gh_slice name = gh_slice_text(gh_permission_name(permission));
    while (rest.size > 0)
        if (gh_slice_equal(gh_slice_split(&rest, ' '), name))
            return true;
    return caller->permissions.size == 0;
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
    if (!within_limit(caller, permission)) {
        snprintf(why, GH_POLICY_WHY_MAX, "the token is limited to other permissions than %s",
                 gh_permission_name(permission));
        return false;
    }
    if (scope->tenant_disabled && caller->tenant != 0) {
        snprintf(why, GH_POLICY_WHY_MAX, "the tenant is disabled");
        return false;
    }
    if (caller->role.size != 0)
        return by_role(caller, permission, scope, why);
    if (caller->member.size != 0)
        return by_binding(caller, permission, scope, why);
    snprintf(why, GH_POLICY_WHY_MAX, "the caller has neither a role nor a member");
    return false;
}

bool gh_policy_covers(const struct gh_caller *caller, struct gh_slice role,
                      const struct gh_policy_scope *scope, enum gh_permission *missing)
{
    for (size_t i = 0; i < GH_PERMISSION_COUNT; i++) {
        *missing = (enum gh_permission)i;
        if (gh_role_has(&scope->roles, role, *missing) &&
            !gh_policy_may(caller, *missing, scope, NULL))
            return false;
    }
    return true;
}
