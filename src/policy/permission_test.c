#include "policy/permission.h"
#include "tests/check.h"
#include <stdio.h>
#include <string.h>

enum { TENANT = 7, OTHER_TENANT = 8 };

/* What each of the five roles may, from the table of Google's access-control page
 * (docs/protocols/google.md), by name and not by column: each role has its own lines and those of
 * the roles above it. */
static const struct {
    const char *role, *generic;
    const char *permissions[8];
} documented[] = {
    {"roles/cloudiot.viewer",
     "roles/viewer",
     {"registries.get", "registries.list", "devices.get", "devices.list"}},
    {"roles/cloudiot.deviceController", NULL, {"devices.updateConfig", "devices.sendCommand"}},
    {"roles/cloudiot.provisioner",
     NULL,
     {"devices.create", "devices.delete", "devices.update", "devices.bindGateway",
      "devices.unbindGateway"}},
    {"roles/cloudiot.editor",
     "roles/editor",
     {"registries.create", "registries.delete", "registries.update"}},
    {"roles/cloudiot.admin", "roles/owner", {"registries.getIamPolicy", "registries.setIamPolicy"}},
};

static bool listed(const char *const names[8], const char *name)
{
    for (size_t i = 0; i < 8 && names[i] != NULL; i++) {
        if (strcmp(names[i], name) == 0)
            return true;
    }
    return false;
}

static bool is_iot(const char *permission)
{
    return strncmp(permission, "registries.", 11) == 0 || strncmp(permission, "devices.", 8) == 0;
}

static struct gh_caller member(const char *name, int64_t tenant)
{
    return (struct gh_caller){
        .kind = GH_CALLER_TOKEN, .member = gh_slice_text(name), .tenant = tenant};
}

static struct gh_caller own(const char *role, int64_t tenant)
{
    return (struct gh_caller){
        .kind = GH_CALLER_TOKEN, .role = gh_slice_text(role), .tenant = tenant};
}

static void check_cell(const char *role, enum gh_permission permission, bool expected)
{
    char policy[256], claim[128];
    struct gh_caller caller = member("user:a@b.c", TENANT);
    snprintf(policy, sizeof(policy),
             "{\"bindings\":[{\"role\":\"%s\",\"members\":[\"user:a@b.c\"]}]}", role);
    struct gh_slice bindings = gh_slice_text(policy);
    struct gh_policy_scope on_tenant = {.tenant = TENANT, .tenant_policy = bindings};
    struct gh_policy_scope on_registry = {.tenant = TENANT, .registry_policy = bindings};
    struct gh_policy_scope elsewhere = {.tenant = TENANT, .registry_policy = GH_SLICE("{}")};

    snprintf(claim, sizeof(claim), "%s: %s", role, gh_permission_name(permission));
    CHECK(claim, gh_policy_may(&caller, permission, &on_tenant, NULL) == expected);
    CHECK(claim, gh_policy_may(&caller, permission, &on_registry, NULL) == expected);
    CHECK(claim, !gh_policy_may(&caller, permission, &elsewhere, NULL));
}

/* Every documented role x every permission, granted on the project and on one registry. */
static void check_documented(void)
{
    bool has[GH_PERMISSION_COUNT] = {false};
    for (size_t r = 0; r < GH_COUNT(documented); r++) {
        for (size_t p = 0; p < GH_PERMISSION_COUNT; p++) {
            enum gh_permission permission = (enum gh_permission)p;
            const char *name = gh_permission_name(permission);
            has[p] = has[p] || listed(documented[r].permissions, name);
            check_cell(documented[r].role, permission, has[p]);
            if (documented[r].generic != NULL && is_iot(name))
                check_cell(documented[r].generic, permission, has[p]);
        }
    }
    size_t granted = 0;
    for (size_t p = 0; p < GH_PERMISSION_COUNT; p++)
        granted += has[p];
    CHECK("the page names 16 permissions", granted == 16);
}

/* What the face's own roles may not be, whatever else changes. */
static const struct {
    const char *claim, *role, *permission;
    bool expected;
} own_cases[] = {
    {"an administrator may all", "administrator", "tokens.create", true},
    {"an operator runs the fleet", "operator", "registries.delete", true},
    {"an operator gives no rights", "operator", "registries.setIamPolicy", false},
    {"an operator makes no operators", "operator", "operators.create", false},
    {"an operator makes no tokens", "operator", "tokens.create", false},
    {"an operator makes no tenants", "operator", "tenants.create", false},
    {"a viewer sees telemetry", "viewer", "telemetry.read", true},
    {"a viewer sees why devices are refused", "viewer", "trail.read", true},
    {"a viewer sends nothing", "viewer", "devices.sendCommand", false},
    {"a viewer takes no messages away", "viewer", "pubsub.subscriptions.consume", false},
    {"a provisioner makes devices", "provisioner", "devices.create", true},
    {"a provisioner blocks devices", "provisioner", "devices.update", true},
    {"a provisioner deletes devices", "provisioner", "devices.delete", true},
    {"a provisioner changes no registry", "provisioner", "registries.update", false},
    {"a provisioner deletes no registry", "provisioner", "registries.delete", false},
    {"a provisioner makes no registry", "provisioner", "registries.create", false},
    {"a provisioner reads no policy", "provisioner", "registries.getIamPolicy", false},
    {"a provisioner writes no policy", "provisioner", "registries.setIamPolicy", false},
    {"an operator writes device policies", "operator", "policies.put", true},
    {"a provisioner attaches device policies", "provisioner", "policies.attach", true},
    {"a provisioner writes no device policies", "provisioner", "policies.put", false},
    {"a provisioner deletes no device policies", "provisioner", "policies.delete", false},
    {"a viewer sees device policies", "viewer", "policies.get", true},
    {"a viewer attaches nothing", "viewer", "policies.attach", false},
    {"a controller attaches nothing", "device-controller", "policies.attach", false},
    {"an auditor sees device policies", "auditor", "policies.list", true},
    {"metrics sees no policy", "metrics", "policies.list", false},
    {"a controller sends commands", "device-controller", "devices.sendCommand", true},
    {"a controller pulls telemetry", "device-controller", "pubsub.subscriptions.consume", true},
    {"a controller writes zones", "device-controller", "zones.write", true},
    {"an operator kicks", "operator", "devices.kick", true},
    {"a viewer kicks nobody", "viewer", "devices.kick", false},
    {"a controller kicks", "device-controller", "devices.kick", true},
    {"a controller bans nobody", "device-controller", "devices.ban", false},
    {"a provisioner bans", "provisioner", "devices.ban", true},
    {"an operator traces", "operator", "devices.trace", true},
    {"a controller traces nobody", "device-controller", "devices.trace", false},
    {"an auditor traces nobody", "auditor", "devices.trace", false},
    {"an operator sets what a tenant may use", "operator", "tenants.update", true},
    {"a provisioner does not", "provisioner", "tenants.update", false},
    {"a controller makes no devices", "device-controller", "devices.create", false},
    {"a release manager sees devices", "release-manager", "devices.list", true},
    {"a release manager sends no commands", "release-manager", "devices.sendCommand", false},
    {"an auditor reads the trail", "auditor", "trail.read", true},
    {"an auditor reads policies", "auditor", "registries.getIamPolicy", true},
    {"an auditor sees no telemetry", "auditor", "telemetry.read", false},
    {"metrics reads metrics", "metrics", "metrics.read", true},
    {"metrics sees no device", "metrics", "devices.list", false},
};

static void check_own(void)
{
    for (size_t i = 0; i < GH_COUNT(own_cases); i++) {
        struct gh_caller everywhere = own(own_cases[i].role, 0);
        struct gh_caller here = own(own_cases[i].role, TENANT);
        struct gh_policy_scope scope = {.tenant = TENANT};
        enum gh_permission permission;
        char why[GH_POLICY_WHY_MAX] = "";
        REQUIRE(own_cases[i].claim,
                gh_permission_find(gh_slice_text(own_cases[i].permission), &permission));
        CHECK(own_cases[i].claim,
              gh_policy_may(&everywhere, permission, &scope, why) == own_cases[i].expected);
        CHECK(own_cases[i].claim,
              gh_policy_may(&here, permission, &scope, NULL) == own_cases[i].expected);
        CHECK(own_cases[i].claim, strstr(why, own_cases[i].role) != NULL);
        CHECK(own_cases[i].claim, strstr(why, own_cases[i].permission) != NULL);
    }
}

/* Every own role x every permission outside its tenant, and on the server as a whole. */
static void check_tenants(void)
{
    for (size_t r = 0; r < GH_ROLE_COUNT; r++) {
        struct gh_caller caller = own(gh_role_name((enum gh_role)r), TENANT);
        for (size_t p = 0; p < GH_PERMISSION_COUNT; p++) {
            struct gh_policy_scope other = {.tenant = OTHER_TENANT}, whole = {.tenant = 0},
                                   here = {.tenant = TENANT};
            CHECK("nothing in another tenant",
                  !gh_policy_may(&caller, (enum gh_permission)p, &other, NULL));
            CHECK("nothing on the server as a whole",
                  !gh_policy_may(&caller, (enum gh_permission)p, &whole, NULL));
            if (!gh_role_is_own((enum gh_role)r))
                CHECK("a binding's role is no caller's role",
                      !gh_policy_may(&caller, (enum gh_permission)p, &here, NULL));
        }
    }
}

#define VIEWERS(members)                                                                           \
    "{\"bindings\":[{\"role\":\"roles/cloudiot.viewer\",\"members\":[" members "]}]}"
static const struct {
    const char *claim;
    struct gh_caller caller;
    const char *tenant_policy, *registry_policy;
    bool expected;
} binding_cases[] = {
    {"no policy gives nothing",
     {.kind = GH_CALLER_TOKEN, .member = GH_SLICE_INIT("user:a")},
     "",
     "",
     false},
    {"both policies count",
     {.kind = GH_CALLER_TOKEN, .member = GH_SLICE_INIT("user:a")},
     VIEWERS("\"user:b\""),
     VIEWERS("\"user:a\""),
     true},
    {"another member's binding",
     {.kind = GH_CALLER_TOKEN, .member = GH_SLICE_INIT("user:a")},
     VIEWERS("\"user:ab\""),
     VIEWERS("\"user:\""),
     false},
    {"members are compared by case",
     {.kind = GH_CALLER_TOKEN, .member = GH_SLICE_INIT("user:a")},
     VIEWERS("\"user:A\""),
     "",
     false},
    {"a caller without member or role",
     {.kind = GH_CALLER_TOKEN},
     VIEWERS("\"\""),
     VIEWERS("\"\""),
     false},
    {"nobody has nothing, whatever it says",
     {.kind = GH_CALLER_NOBODY,
      .role = GH_SLICE_INIT("administrator"),
      .member = GH_SLICE_INIT("user:a")},
     VIEWERS("\"user:a\""),
     "",
     false},
    {"a role on the token is all it has",
     {.kind = GH_CALLER_TOKEN, .role = GH_SLICE_INIT("metrics"), .member = GH_SLICE_INIT("user:a")},
     VIEWERS("\"user:a\""),
     "",
     false},
    {"a damaged policy gives nothing",
     {.kind = GH_CALLER_TOKEN, .member = GH_SLICE_INIT("user:a")},
     "{\"bindings\":[{\"role\":\"roles/cloudiot.viewer\",\"members\":[\"user:a\"]}]",
     "",
     false},
    {"a binding with a condition that is none gives nothing",
     {.kind = GH_CALLER_TOKEN, .member = GH_SLICE_INIT("user:a")},
     "{\"bindings\":[{\"role\":\"roles/"
     "cloudiot.viewer\",\"members\":[\"user:a\"],\"condition\":{}}]}",
     "",
     false},
    {"an own role in a binding gives its rights",
     {.kind = GH_CALLER_TOKEN, .member = GH_SLICE_INIT("user:a")},
     "{\"bindings\":[{\"role\":\"administrator\",\"members\":[\"user:a\"]}]}",
     "",
     true},
};

static void check_bindings(void)
{
    for (size_t i = 0; i < GH_COUNT(binding_cases); i++) {
        struct gh_policy_scope scope = {
            .tenant = TENANT,
            .tenant_policy = gh_slice_text(binding_cases[i].tenant_policy),
            .registry_policy = gh_slice_text(binding_cases[i].registry_policy)};
        char why[GH_POLICY_WHY_MAX] = "";
        CHECK(binding_cases[i].claim,
              gh_policy_may(&binding_cases[i].caller, GH_PERMISSION_DEVICES_GET, &scope, why) ==
                  binding_cases[i].expected);
        CHECK(binding_cases[i].claim, why[0] != '\0');
    }
}

/* --- custom roles, bindings below the registry, and conditions --- */

static const struct gh_custom_role custom[] = {
    {.tenant = TENANT,
     .name = GH_SLICE_INIT("care"),
     .permissions = GH_SLICE_INIT("devices.get devices.updateConfig")},
    {.tenant = 0, .name = GH_SLICE_INIT("night"), .permissions = GH_SLICE_INIT("devices.kick")},
    {.tenant = TENANT,
     .name = GH_SLICE_INIT("binder"),
     .permissions = GH_SLICE_INIT("bindings.set")},
};
static const struct gh_policy_roles roles = {custom, GH_COUNT(custom)};

#define TO_A(role, more) "{\"bindings\":[{\"role\":\"" role "\",\"members\":[\"user:a\"]" more "}]}"
#define ON_WEDNESDAY ",\"condition\":{\"weekdays\":[\"wed\"]}"
#define FROM_INSIDE ",\"condition\":{\"sources\":[\"10.0.0.0/8\"]}"

/* 1970-01-01T12:00Z, a Thursday, from 10.1.2.3, about a device in one group. */
static const struct {
    const char *claim, *tenant, *registry, *group, *device, *permission, *why;
    bool expected;
} scope_cases[] = {
    {"a custom role of the tenant", TO_A("custom/care", ""), "", "", "", "devices.get",
     "a binding of the tenant gives user:a custom/care", true},
    {"what it does not list", TO_A("custom/care", ""), "", "", "", "devices.getall", NULL, false},
    {"nor a part of what it lists", TO_A("custom/care", ""), "", "", "", "devices.update",
     "no binding here gives user:a devices.update", false},
    {"a custom role of the house, on a registry", "", TO_A("house/night", ""), "", "",
     "devices.kick", "a binding of the registry gives user:a house/night", true},
    {"a custom role that is not there", TO_A("custom/night", ""), "", "", "", "devices.kick", NULL,
     false},
    {"on a group", "", "", TO_A("viewer", ""), "", "devices.get",
     "a binding of the group north gives user:a viewer", true},
    {"on the device", "", "", "", TO_A("device-controller", ""), "devices.sendCommand",
     "a binding of the device pump-1 gives user:a device-controller", true},
    {"and no more than that", "", "", "", TO_A("device-controller", ""), "devices.delete", NULL,
     false},
    {"a condition that holds", "", "", "", TO_A("viewer", FROM_INSIDE), "devices.get",
     "a binding of the device pump-1 gives user:a viewer", true},
    {"a condition that does not", "", "", "", TO_A("viewer", ON_WEDNESDAY), "devices.get",
     "a binding of the device pump-1 would give user:a viewer, but for its condition: it holds on "
     "wed, and it is thu",
     false},
    {"another binding gives it all the same", TO_A("viewer", FROM_INSIDE), "", "",
     TO_A("viewer", ON_WEDNESDAY), "devices.get", "a binding of the tenant gives user:a viewer",
     true},
};

static struct gh_policy_scope scope_of(const struct gh_policy_grant *grants, size_t count,
                                       const char *tenant, const char *registry)
{
    return (struct gh_policy_scope){.tenant = TENANT,
                                    .tenant_policy = gh_slice_text(tenant),
                                    .registry_policy = gh_slice_text(registry),
                                    .grants = grants,
                                    .grants_count = count,
                                    .roles = roles,
                                    .now_ms = 12 * 60 * 60 * 1000,
                                    .address = GH_SLICE("10.1.2.3")};
}

static void check_scopes(void)
{
    for (size_t i = 0; i < GH_COUNT(scope_cases); i++) {
        const struct gh_policy_grant grants[] = {
            {"group", GH_SLICE("north"), gh_slice_text(scope_cases[i].group)},
            {"device", GH_SLICE("pump-1"), gh_slice_text(scope_cases[i].device)}};
        struct gh_policy_scope scope =
            scope_of(grants, 2, scope_cases[i].tenant, scope_cases[i].registry);
        struct gh_caller caller = member("user:a", 0);
        enum gh_permission permission;
        char why[GH_POLICY_WHY_MAX] = "";
        if (!gh_permission_find(gh_slice_text(scope_cases[i].permission), &permission))
            continue; /* a name that is part of none */
        CHECK(scope_cases[i].claim,
              gh_policy_may(&caller, permission, &scope, why) == scope_cases[i].expected);
        if (scope_cases[i].why != NULL)
            CHECK(why, strcmp(why, scope_cases[i].why) == 0);
    }
}

/* A custom role as the caller's own. */
static void check_custom(void)
{
    struct gh_policy_scope scope = scope_of(NULL, 0, "", ""), bare = {.tenant = TENANT};
    struct gh_caller here = own("custom/care", TENANT), house = own("house/night", TENANT),
                     everywhere = own("custom/care", 0), anywhere = own("house/night", 0);
    struct gh_policy_scope other = scope, whole = scope;
    other.tenant = OTHER_TENANT;
    whole.tenant = 0;
    CHECK("a custom role on a token",
          gh_policy_may(&here, GH_PERMISSION_DEVICES_GET, &scope, NULL));
    CHECK("has what it lists only",
          !gh_policy_may(&here, GH_PERMISSION_DEVICES_KICK, &scope, NULL));
    CHECK("in its tenant only", !gh_policy_may(&here, GH_PERMISSION_DEVICES_GET, &other, NULL));
    CHECK("is nothing when it is gone",
          !gh_policy_may(&here, GH_PERMISSION_DEVICES_GET, &bare, NULL));
    CHECK("is no role of all tenants",
          !gh_policy_may(&everywhere, GH_PERMISSION_DEVICES_GET, &scope, NULL));
    CHECK("the house's in a tenant",
          gh_policy_may(&house, GH_PERMISSION_DEVICES_KICK, &scope, NULL));
    CHECK("not on the server then",
          !gh_policy_may(&house, GH_PERMISSION_DEVICES_KICK, &whole, NULL));
    CHECK("the house's for all",
          gh_policy_may(&anywhere, GH_PERMISSION_DEVICES_KICK, &other, NULL));
}

#define VIEWER "{\"bindings\":[{\"role\":\"viewer\",\"members\":[\"user:a@b.c\"]}]}"

/* A tenant that is disabled is open to nobody but those who may in all tenants. */
static void check_disabled(void)
{
    char why[GH_POLICY_WHY_MAX];
    const struct gh_policy_grant grants[] = {{"device", GH_SLICE("pump-1"), GH_SLICE(VIEWER)}};
    struct gh_policy_scope open = scope_of(grants, 1, VIEWER, VIEWER), closed = open, house = {0};
    struct gh_caller someone = member("user:a@b.c", 0), stranger = member("user:b@b.c", 0),
                     here = own("administrator", TENANT), everywhere = own("viewer", 0);
    closed.tenant_disabled = true;
    CHECK("a member by any binding",
          gh_policy_may(&someone, GH_PERMISSION_DEVICES_GET, &open, why));
    CHECK("none of them counts", !gh_policy_may(&someone, GH_PERMISSION_DEVICES_GET, &closed, why));
    CHECK(why, strcmp(why, "the tenant is disabled") == 0);
    CHECK("its administrator", gh_policy_may(&here, GH_PERMISSION_DEVICES_GET, &open, why) &&
                                   !gh_policy_may(&here, GH_PERMISSION_DEVICES_GET, &closed, why));
    CHECK(why, strcmp(why, "the tenant is disabled") == 0);
    CHECK("who has a role in all tenants",
          gh_policy_may(&everywhere, GH_PERMISSION_DEVICES_GET, &closed, why));
    closed.house_policy = house.house_policy = GH_SLICE(VIEWER);
    CHECK("or is bound to one", gh_policy_may(&someone, GH_PERMISSION_DEVICES_GET, &closed, why));
    CHECK(why, strcmp(why, "a binding of the house gives user:a@b.c viewer") == 0);
    CHECK("above the tenants too", gh_policy_may(&someone, GH_PERMISSION_TENANTS_GET, &house, why));
    CHECK("nobody else", !gh_policy_may(&stranger, GH_PERMISSION_TENANTS_GET, &house, why));
}

static void check_covers(void)
{
    struct gh_policy_scope scope = scope_of(NULL, 0, "", "");
    struct gh_caller binder = own("custom/binder", TENANT),
                     admin = own("administrator", TENANT), operator= own("operator", TENANT);
    enum gh_permission missing;
    CHECK("an administrator gives every role",
          gh_policy_covers(&admin, GH_SLICE("administrator"), &scope, &missing) &&
              gh_policy_covers(&admin, GH_SLICE("custom/care"), &scope, &missing));
    CHECK("nobody gives more than he has",
          !gh_policy_covers(&binder, GH_SLICE("viewer"), &scope, &missing) &&
              !gh_policy_covers(&operator, GH_SLICE("administrator"), &scope, &missing));
    CHECK("what he has he may give",
          gh_policy_covers(&binder, GH_SLICE("custom/binder"), &scope, &missing) &&
              gh_policy_covers(&operator, GH_SLICE("viewer"), &scope, &missing));
}

int main(void)
{
    enum gh_permission permission;
    enum gh_role role;
    check_documented();
    check_own();
    check_tenants();
    check_bindings();
    check_scopes();
    check_disabled();
    check_custom();
    check_covers();
    CHECK("an unknown permission is not found",
          !gh_permission_find(GH_SLICE("devices"), &permission));
    CHECK("an unknown role is not found", !gh_role_find(GH_SLICE("root"), &role));
    return check_report();
}
