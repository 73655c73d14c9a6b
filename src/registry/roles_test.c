#include "base/time.h"
#include "registry/directory.h"
#include "tests/check.h"
#include <stdio.h>
#include <string.h>

static struct gh_store *store;
static struct gh_directory *directory;
static struct gh_arena arena;
static struct gh_error error;
static const struct gh_slice none = {0};
static int64_t tenant, other_tenant, registry;
static uint64_t device;

static enum gh_error_code put(int64_t of, const char *name, const char *etag)
{
    struct gh_custom_role role = {.tenant = of,
                                  .name = gh_slice_text(name),
                                  .title = GH_SLICE("Care of devices"),
                                  .permissions = GH_SLICE("devices.get devices.kick")};
    return gh_directory_role_put(directory, &role, gh_slice_text(etag), NULL, &error);
}

static enum gh_error_code drop(int64_t of, const char *name)
{
    return gh_directory_role_delete(directory, of, gh_slice_text(name), &error);
}

static void make_places(void)
{
    struct gh_tenant row = {.name = GH_SLICE("acme")}, other = {.name = GH_SLICE("other")};
    REQUIRE("tenant", gh_directory_tenant_create(directory, &row, &error) == GH_OK);
    REQUIRE("tenant", gh_directory_tenant_create(directory, &other, &error) == GH_OK);
    tenant = row.number;
    other_tenant = other.number;
    struct gh_registry plant = {.tenant = tenant, .name = GH_SLICE("plant")};
    REQUIRE("registry", gh_directory_registry_create(directory, &plant, &error) == GH_OK);
    registry = plant.number;
    struct gh_device pump = {.registry = registry, .id = GH_SLICE("pump-1")};
    REQUIRE("device", gh_directory_device_create(directory, &pump, &arena, &error) == GH_OK);
    device = pump.number;
}

static void keeps_roles(void)
{
    struct gh_custom_role role, *rows;
    size_t count;
    CHECK("a role of the tenant", put(tenant, "care", "") == GH_OK);
    CHECK("another's may be called the same", put(other_tenant, "care", "") == GH_OK);
    CHECK("the house's too", put(0, "care", "") == GH_OK && put(0, "audit", "") == GH_OK);
    REQUIRE("listed",
            gh_directory_role_list(directory, tenant, &arena, &rows, &count, &error) == GH_OK);
    CHECK("the tenant's first, then the house's",
          count == 3 && rows[0].tenant == tenant && rows[1].tenant == 0 &&
              gh_slice_equal(rows[1].name, GH_SLICE("audit")) &&
              gh_slice_equal(rows[0].permissions, GH_SLICE("devices.get devices.kick")) &&
              gh_slice_equal(rows[0].title, GH_SLICE("Care of devices")));
    CHECK("the house's alone",
          gh_directory_role_list(directory, 0, &arena, &rows, &count, &error) == GH_OK &&
              count == 2);
    REQUIRE("read", gh_directory_role_get(directory, tenant, GH_SLICE("care"), &arena, &role,
                                          &error) == GH_OK);
    CHECK("changed in between", put(tenant, "care", "stale") == GH_ERROR_CONFLICT);
    char etag[32];
    snprintf(etag, sizeof etag, "%.*s", GH_PRINT(role.etag));
    CHECK("replaced", put(tenant, "care", etag) == GH_OK);
    CHECK("once only", put(tenant, "care", etag) == GH_ERROR_CONFLICT);
    CHECK("a name that is none", put(tenant, "a b", "") == GH_ERROR_INVALID);
    CHECK("a tenant that is none", put(999, "care", "") == GH_ERROR_NOT_FOUND);
    CHECK("none of that name", drop(tenant, "nothing") == GH_ERROR_NOT_FOUND);
    CHECK("deleted", drop(0, "audit") == GH_OK && drop(0, "audit") == GH_ERROR_NOT_FOUND);
}

static enum gh_error_code grant(int64_t group, uint64_t of, const char *policy, const char *etag)
{
    struct gh_slice made;
    struct gh_grant_row row = {
        .tenant = tenant, .group = group, .device = of, .policy = gh_slice_text(policy)};
    return gh_directory_grant_set(directory, &row, gh_slice_text(etag), &arena, &made, &error);
}

static void keeps_grants(void)
{
    struct gh_device_group group;
    struct gh_grant_row row = {.device = device}, *rows;
    size_t count;
    REQUIRE("a group",
            gh_directory_group_create(directory, tenant, GH_SLICE("north"), &error) == GH_OK &&
                gh_directory_group_find(directory, tenant, GH_SLICE("north"), &arena, &group,
                                        &error) == GH_OK);
    CHECK("nothing yet", gh_directory_grants_of_device(directory, device, &arena, &rows, &count,
                                                       &error) == GH_OK &&
                             count == 0);
    CHECK("on the device", grant(0, device, "{\"a\":1}", "-") == GH_OK);
    CHECK("only when nothing stands there",
          grant(0, device, "{\"b\":1}", "-") == GH_ERROR_CONFLICT);
    CHECK("on the group", grant(group.number, 0, "{\"b\":1}", "") == GH_OK);
    REQUIRE("read", gh_directory_grant_get(directory, &row, &arena, &error) == GH_OK);
    CHECK("as set", gh_slice_equal(row.policy, GH_SLICE("{\"a\":1}")) && row.etag.size == 16);
    CHECK("changed in between", grant(0, device, "{}", "stale") == GH_ERROR_CONFLICT);
    REQUIRE("in the group", gh_directory_group_add(directory, &group, device, &error) == GH_OK);
    REQUIRE("of the device", gh_directory_grants_of_device(directory, device, &arena, &rows, &count,
                                                           &error) == GH_OK);
    CHECK("its groups', then its own", count == 2 && rows[0].group == group.number &&
                                           gh_slice_equal(rows[0].group_name, GH_SLICE("north")) &&
                                           rows[1].device == device);
    CHECK("a device of nobody", grant(0, 99, "{}", "") == GH_ERROR_NOT_FOUND);
    struct gh_grant_row foreign = {.tenant = other_tenant, .group = group.number};
    struct gh_slice etag;
    CHECK("a group of another tenant", gh_directory_grant_set(directory, &foreign, none, &arena,
                                                              &etag, &error) == GH_ERROR_NOT_FOUND);
    CHECK("taken off", grant(0, device, "", "") == GH_OK);
    CHECK("gone with the group", gh_directory_group_delete(directory, &group, &error) == GH_OK &&
                                     gh_directory_grants_of_device(directory, device, &arena, &rows,
                                                                   &count, &error) == GH_OK &&
                                     count == 0);
}

#define GIVES(role) "{\"bindings\":[{\"role\":\"" role "\",\"members\":[\"user:a\"]}]}"

/* What gives a role keeps it from being deleted. */
static void keeps_bound_roles(void)
{
    struct gh_slice etag;
    int64_t now_ms = gh_time_utc_ms();
    enum gh_error_code code;
    code = gh_directory_tenant_policy_set(directory, other_tenant, GH_SLICE(GIVES("custom/care")),
                                          none, &arena, &etag, &error);
    REQUIRE("another tenant's", code == GH_OK && put(tenant, "care", "") == GH_OK);
    CHECK("is its own matter", drop(tenant, "care") == GH_OK && put(tenant, "care", "") == GH_OK);
    CHECK("bound on the tenant", drop(other_tenant, "care") == GH_ERROR_PRECONDITION);
    code = gh_directory_registry_policy_set(directory, registry,
                                            GH_SLICE(GIVES("\\\"role\\\":\\\"custom/care\\\"")),
                                            none, &arena, &etag, &error);
    CHECK("a text that looks like it",
          code == GH_OK && drop(tenant, "care") == GH_OK && put(tenant, "care", "") == GH_OK);
    code = gh_directory_registry_policy_set(directory, registry, GH_SLICE(GIVES("house/care")),
                                            none, &arena, &etag, &error);
    CHECK("on a registry, the house's", code == GH_OK && drop(0, "care") == GH_ERROR_PRECONDITION);
    CHECK("and only that", drop(tenant, "care") == GH_OK && put(tenant, "care", "") == GH_OK);
    CHECK("on a device", grant(0, device, GIVES("custom/care"), "") == GH_OK &&
                             drop(tenant, "care") == GH_ERROR_PRECONDITION);
    CHECK("no longer", grant(0, device, "", "") == GH_OK && drop(tenant, "care") == GH_OK &&
                           put(tenant, "care", "") == GH_OK);
    struct gh_token_row token = {.hash = GH_SLICE("0123456789abcdef0123456789abcdef"),
                                 .role = GH_SLICE("custom/care"),
                                 .tenant = tenant,
                                 .created_at_ms = 1,
                                 .expires_at_ms = now_ms - 1};
    CHECK("a token that is over", gh_store_token_create(store, &token, &error) == GH_OK &&
                                      drop(tenant, "care") == GH_OK &&
                                      put(tenant, "care", "") == GH_OK);
    token.hash = GH_SLICE("1123456789abcdef0123456789abcdef");
    token.expires_at_ms = now_ms + 3600 * 1000;
    CHECK("a token that is not", gh_store_token_create(store, &token, &error) == GH_OK &&
                                     drop(tenant, "care") == GH_ERROR_PRECONDITION);
}

/* However a binding and the end of its role meet, none is left that names nothing. */
static void binds_what_is_there(void)
{
    static const struct {
        const char *claim, *role;
        bool in_house, in_tenant;
    } rows[] = {
        {"one of the table", "viewer", true, true},
        {"the house's", "house/kept", true, true},
        {"the tenant's", "custom/kept", false, true},
        {"the house's that is gone", "house/gone", false, false},
        {"the tenant's that is gone", "custom/gone", false, false},
        {"another tenant's", "custom/theirs", false, false},
    };
    REQUIRE("roles", put(0, "kept", "") == GH_OK && put(tenant, "kept", "") == GH_OK &&
                         put(other_tenant, "theirs", "") == GH_OK);
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        struct gh_slice etag,
            policy = gh_slice_text(gh_arena_print(&arena,
                                                  "{\"bindings\":[{\"members\":[\"user:a@b.c\"],"
                                                  "\"role\":\"%s\"}]}",
                                                  rows[i].role));
        enum gh_error_code in_house = rows[i].in_house ? GH_OK : GH_ERROR_CONFLICT,
                           in_tenant = rows[i].in_tenant ? GH_OK : GH_ERROR_CONFLICT;
        struct gh_grant_row grant = {.tenant = tenant, .device = device, .policy = policy};
        CHECK(rows[i].claim, gh_directory_house_policy_set(directory, policy, none, &arena, &etag,
                                                           &error) == in_house);
        CHECK(rows[i].claim, gh_directory_tenant_policy_set(directory, tenant, policy, none, &arena,
                                                            &etag, &error) == in_tenant);
        CHECK(rows[i].claim, gh_directory_registry_policy_set(directory, registry, policy, none,
                                                              &arena, &etag, &error) == in_tenant);
        CHECK(rows[i].claim,
              gh_directory_grant_set(directory, &grant, none, &arena, &etag, &error) == in_tenant);
    }
    CHECK("bound in the house it stays", drop(0, "kept") == GH_ERROR_PRECONDITION);
}

int main(void)
{
    gh_arena_init(&arena, 1 << 20);
    store = gh_store_open(check_folder(), GH_STORE_CREATE, &error);
    REQUIRE("a store", store != NULL);
    directory = gh_directory_open(store, NULL, NULL, &error);
    REQUIRE("a directory", directory != NULL);
    make_places();
    keeps_roles();
    keeps_grants();
    keeps_bound_roles();
    binds_what_is_there();
    gh_directory_close(directory);
    gh_store_close(store);
    gh_arena_deinit(&arena);
    return check_report();
}
