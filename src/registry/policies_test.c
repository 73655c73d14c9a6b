#include "crypto/key.h"
#include "registry/directory.h"
#include "tests/check.h"
#include <stdio.h>
#include <string.h>

static struct gh_directory *directory;
static struct gh_arena arena;
static struct gh_error error;

/* What the watch was told last. */
static struct {
    int64_t tenant, registry;
    uint64_t device;
    unsigned times;
} told;

static void policies_changed(void *context, int64_t tenant, int64_t registry, uint64_t device)
{
    (void)context;
    told.tenant = tenant;
    told.registry = registry;
    told.device = device;
    told.times++;
}

static const struct gh_directory_watch watch = {.policies_changed = policies_changed};

static bool told_once(int64_t tenant, int64_t registry, uint64_t device)
{
    bool right = told.times == 1 && told.tenant == tenant && told.registry == registry &&
                 told.device == device;
    told.times = 0;
    return right;
}

static bool same(struct gh_slice a, const char *text)
{
    return gh_slice_equal(a, gh_slice_text(text));
}

static const struct gh_slice document = GH_SLICE_INIT("{\"Statement\":[]}"), none = {0};

static int64_t tenant, other_tenant, registry, other_registry, foreign_registry;
static uint64_t device, other_device;

static int64_t tenant_make(const char *name)
{
    struct gh_tenant row = {.name = gh_slice_text(name)};
    REQUIRE(name, gh_directory_tenant_create(directory, &row, &error) == GH_OK);
    return row.number;
}

static int64_t registry_make(int64_t of, const char *name)
{
    struct gh_registry row = {.tenant = of, .name = gh_slice_text(name)};
    REQUIRE(name, gh_directory_registry_create(directory, &row, &error) == GH_OK);
    return row.number;
}

static uint64_t device_make(const char *id)
{
    struct gh_device row = {.registry = registry, .id = gh_slice_text(id)};
    REQUIRE(id, gh_directory_device_create(directory, &row, &arena, &error) == GH_OK);
    return row.number;
}

static enum gh_error_code put(const char *name)
{
    return gh_directory_policy_put(directory, tenant, gh_slice_text(name), document, none, &arena,
                                   NULL, &error);
}

static enum gh_error_code attach(const char *name, struct gh_policy_target target)
{
    return gh_directory_policy_attach(directory, gh_slice_text(name), &target, &error);
}

static enum gh_error_code detach(const char *name, struct gh_policy_target target)
{
    return gh_directory_policy_detach(directory, gh_slice_text(name), &target, &error);
}

static void keeps_policies(void)
{
    struct gh_policy_row row, again, *rows;
    size_t count;
    REQUIRE("put", gh_directory_policy_put(directory, tenant, GH_SLICE("base"), document, none,
                                           &arena, &row, &error) == GH_OK);
    CHECK("as it was put", same(row.name, "base") && gh_slice_equal(row.document, document) &&
                               row.version == 1 && row.etag.size > 0 && row.number > 0 &&
                               row.attachments == 0 && row.created_at_ms == row.updated_at_ms);
    REQUIRE("put again",
            gh_directory_policy_put(directory, tenant, GH_SLICE("base"), GH_SLICE("{}"), row.etag,
                                    &arena, &again, &error) == GH_OK);
    CHECK("replaced", again.version == 2 && again.number == row.number &&
                          !gh_slice_equal(again.etag, row.etag) && same(again.document, "{}") &&
                          again.created_at_ms == row.created_at_ms);
    CHECK("by who read it before",
          gh_directory_policy_put(directory, tenant, GH_SLICE("base"), document, row.etag, &arena,
                                  NULL, &error) == GH_ERROR_CONFLICT);
    CHECK("must exist, and does",
          gh_directory_policy_put(directory, tenant, GH_SLICE("base"), document, GH_SLICE("*"),
                                  &arena, NULL, &error) == GH_OK);
    CHECK("must exist, and does not",
          gh_directory_policy_put(directory, tenant, GH_SLICE("none"), document, GH_SLICE("*"),
                                  &arena, NULL, &error) == GH_ERROR_CONFLICT);
    CHECK("nobody is told of what is attached nowhere", told.times == 0);
    REQUIRE("another", put("alarms") == GH_OK);
    CHECK("listed by name, without documents",
          gh_directory_policy_list(directory, tenant, &arena, &rows, &count, &error) == GH_OK &&
              count == 2 && same(rows[0].name, "alarms") && same(rows[1].name, "base") &&
              rows[0].document.size == 0);
    CHECK("not those of another tenant", gh_directory_policy_list(directory, other_tenant, &arena,
                                                                  &rows, &count, &error) == GH_OK &&
                                             count == 0);
    CHECK("not found in another tenant",
          gh_directory_policy_get(directory, other_tenant, GH_SLICE("base"), &arena, &row,
                                  &error) == GH_ERROR_NOT_FOUND);
    CHECK("no such tenant",
          gh_directory_policy_put(directory, 999, GH_SLICE("base"), document, none, &arena, NULL,
                                  &error) == GH_ERROR_NOT_FOUND);
    CHECK("deleted",
          gh_directory_policy_delete(directory, tenant, GH_SLICE("alarms"), &error) == GH_OK);
    CHECK("once", gh_directory_policy_delete(directory, tenant, GH_SLICE("alarms"), &error) ==
                      GH_ERROR_NOT_FOUND);
}

static const struct {
    const char *name;
    bool valid;
} names[] = {{"a", true},    {"A_1+=,.@-", true}, {"", false},         {"a b", false},
             {"a/b", false}, {"a\n", false},      {"\xc3\xb6", false}, {"a:b", false}};

static void checks_names(void)
{
    char name[130];
    memset(name, 'n', sizeof name);
    for (size_t i = 0; i < GH_COUNT(names); i++)
        CHECK(names[i].name, (put(names[i].name) == GH_OK) == names[i].valid);
    name[128] = '\0';
    CHECK("128 bytes", put(name) == GH_OK);
    name[128] = 'n', name[129] = '\0';
    CHECK("129 bytes", put(name) == GH_ERROR_INVALID);
    CHECK("an empty document", gh_directory_policy_put(directory, tenant, GH_SLICE("e"), none, none,
                                                       &arena, NULL, &error) == GH_ERROR_INVALID);
}

static const char *effective(struct gh_policy_target target)
{
    static char text[256];
    struct gh_policy_row *rows;
    size_t count, at = 0;
    text[0] = '\0';
    REQUIRE("effective", gh_directory_policy_effective(directory, &target, &arena, &rows, &count,
                                                       &error) == GH_OK);
    for (size_t i = 0; i < count; i++) {
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%.*s", i > 0 ? " " : "",
                               GH_PRINT(rows[i].name));
        CHECK("with its document", rows[i].document.size > 0);
    }
    return text;
}

static void attaches(void)
{
    const struct gh_policy_target whole = {.tenant = tenant},
                                  all = {.tenant = tenant, .registry = registry},
                                  one = {.tenant = tenant, .device = device},
                                  seen = {.tenant = tenant, .registry = registry, .device = device},
                                  other = {.tenant = tenant,
                                           .registry = registry,
                                           .device = other_device};
    struct gh_policy_target *targets;
    size_t count;
    REQUIRE("policies", put("p1") == GH_OK && put("p2") == GH_OK && put("p3") == GH_OK);
    told.times = 0;
    CHECK("to the tenant", attach("p3", whole) == GH_OK && told_once(tenant, 0, 0));
    CHECK("to the registry", attach("p2", all) == GH_OK && told_once(tenant, registry, 0));
    CHECK("to the device", attach("p1", one) == GH_OK && told_once(tenant, 0, device));
    CHECK("the same twice changes nothing", attach("p1", one) == GH_OK);
    told.times = 0;
    CHECK("one policy in two places counts once", attach("p3", one) == GH_OK);
    CHECK("the device has all", strcmp(effective(seen), "p1 p2 p3") == 0);
    CHECK("another device those of registry and tenant", strcmp(effective(other), "p2 p3") == 0);
    CHECK("another registry those of the tenant",
          strcmp(effective((struct gh_policy_target){.tenant = tenant, .registry = other_registry}),
                 "p3") == 0);
    CHECK("another tenant none", strcmp(effective((struct gh_policy_target){
                                            .tenant = other_tenant, .registry = foreign_registry}),
                                        "") == 0);
    REQUIRE("targets", gh_directory_policy_targets(directory, tenant, GH_SLICE("p3"), &arena,
                                                   &targets, &count, &error) == GH_OK);
    CHECK("the tenant, then the device by its names",
          count == 2 && targets[0].registry == 0 && targets[0].device == 0 &&
              targets[1].device == device && targets[1].registry == registry &&
              same(targets[1].registry_name, "r-one") && same(targets[1].device_id, "d-one"));

    told.times = 0;
    CHECK("a replaced policy tells whom it concerns",
          put("p2") == GH_OK && told_once(tenant, registry, 0));
    CHECK("an attached policy stays", gh_directory_policy_delete(directory, tenant, GH_SLICE("p2"),
                                                                 &error) == GH_ERROR_PRECONDITION);
    CHECK("taken off", detach("p2", all) == GH_OK && told_once(tenant, registry, 0));
    CHECK("once", detach("p2", all) == GH_ERROR_NOT_FOUND && told.times == 0);
    CHECK("and can be deleted",
          gh_directory_policy_delete(directory, tenant, GH_SLICE("p2"), &error) == GH_OK);
    CHECK("of a device it goes by its own", detach("p3", whole) == GH_OK &&
                                                strcmp(effective(other), "") == 0 &&
                                                strcmp(effective(seen), "p1 p3") == 0);
    told.times = 0;

    const struct {
        const char *claim, *name;
        struct gh_policy_target target;
    } wrong[] = {
        {"no such policy", "p9", one},
        {"a policy of another tenant", "p1", {.tenant = other_tenant}},
        {"a registry of another tenant", "p1", {.tenant = tenant, .registry = foreign_registry}},
        {"no such device", "p1", {.tenant = tenant, .device = 1}},
    };
    for (size_t i = 0; i < GH_COUNT(wrong); i++)
        CHECK(wrong[i].claim,
              attach(wrong[i].name, wrong[i].target) == GH_ERROR_NOT_FOUND && told.times == 0);
}

static void keeps_limits(void)
{
    char name[16];
    const struct gh_policy_target target = {.tenant = tenant, .registry = other_registry};
    for (int i = 0; i <= GH_POLICIES_OF_TARGET_MAX; i++) {
        snprintf(name, sizeof name, "limit-%d", i);
        REQUIRE(name, put(name) == GH_OK);
        CHECK("ten and no more",
              attach(name, target) == (i < GH_POLICIES_OF_TARGET_MAX ? GH_OK : GH_ERROR_LIMIT));
    }
    CHECK("one of the ten again", attach("limit-0", target) == GH_OK);
}

/* Attributes stand in policies, so that their change is one of them. What goes takes its
 * attachments along. */
static void follows_devices(void)
{
    struct gh_attribute attribute = {GH_SLICE("zone"), GH_SLICE("north")};
    struct gh_device change = {.attributes = &attribute, .attributes_count = 1};
    struct gh_policy_target *targets;
    size_t count;
    told.times = 0;
    CHECK("attributes", gh_directory_device_update(directory, device, GH_DEVICE_ATTRIBUTES, &change,
                                                   &arena, NULL, &error) == GH_OK &&
                            told_once(0, 0, device));
    CHECK("other settings are none",
          gh_directory_device_update(directory, device, GH_DEVICE_BLOCKED, &change, &arena, NULL,
                                     &error) == GH_OK &&
              told.times == 0);
    REQUIRE("the device goes", gh_directory_device_delete(directory, device, &error) == GH_OK);
    CHECK("its attachments too",
          gh_directory_policy_targets(directory, tenant, GH_SLICE("p1"), &arena, &targets, &count,
                                      &error) == GH_OK &&
              count == 0);
    CHECK("and the policy can be deleted",
          gh_directory_policy_delete(directory, tenant, GH_SLICE("p1"), &error) == GH_OK);
    REQUIRE("the foreign registry goes",
            gh_directory_registry_delete(directory, foreign_registry, &error) == GH_OK);
    REQUIRE("a policy of the other tenant",
            gh_directory_policy_put(directory, other_tenant, GH_SLICE("p"), document, none, &arena,
                                    NULL, &error) == GH_OK &&
                attach("p", (struct gh_policy_target){.tenant = other_tenant}) == GH_OK);
    CHECK("a tenant goes with its policies, attached or not",
          gh_directory_tenant_delete(directory, other_tenant, &error) == GH_OK);
}

/* --- groups and credentials --- */

static struct gh_device_group group_make(const char *name)
{
    struct gh_device_group group = {0};
    REQUIRE(name,
            gh_directory_group_create(directory, tenant, gh_slice_text(name), &error) == GH_OK &&
                gh_directory_group_find(directory, tenant, gh_slice_text(name), &arena, &group,
                                        &error) == GH_OK);
    return group;
}

static void knows_groups(void)
{
    struct gh_device_group *groups;
    struct gh_device_group_member *members;
    struct gh_policy_target *targets;
    size_t count;
    struct gh_device_group north = group_make("north"), south = group_make("south");
    struct gh_policy_target member = {.tenant = tenant, .registry = registry, .device = device};
    REQUIRE("a policy", put("grouped") == GH_OK);
    told.times = 0;
    CHECK("a name is taken once", gh_directory_group_create(directory, tenant, GH_SLICE("north"),
                                                            &error) == GH_ERROR_EXISTS);
    CHECK("a name is no path", gh_directory_group_create(directory, tenant, GH_SLICE("a/b"),
                                                         &error) == GH_ERROR_INVALID);
    CHECK("another tenant has no such group",
          gh_directory_group_find(directory, other_tenant, GH_SLICE("north"), &arena, &south,
                                  &error) == GH_ERROR_NOT_FOUND);
    REQUIRE("again", gh_directory_group_find(directory, tenant, GH_SLICE("south"), &arena, &south,
                                             &error) == GH_OK);
    CHECK("a policy is attached to a group",
          attach("grouped", (struct gh_policy_target){.tenant = tenant, .group = north.number}) ==
              GH_OK);
    CHECK("and the tenant is told", told_once(tenant, 0, 0));
    CHECK("it is nobody's yet", strstr(effective(member), "grouped") == NULL);
    CHECK("not the tenant's",
          strstr(effective((struct gh_policy_target){.tenant = tenant}), "grouped") == NULL);
    CHECK("a device joins, twice",
          gh_directory_group_add(directory, &north, device, &error) == GH_OK &&
              gh_directory_group_add(directory, &north, device, &error) == GH_OK);
    told.times = 1;
    CHECK("and is told", told_once(tenant, 0, device));
    CHECK("then it holds", strstr(effective(member), "grouped") != NULL);
    CHECK("for the one",
          strstr(effective((struct gh_policy_target){
                     .tenant = tenant, .registry = registry, .device = other_device}),
                 "grouped") == NULL);
    CHECK("members are listed",
          gh_directory_group_members(directory, &north, 0, 10, &arena, &members, &count, &error) ==
                  GH_OK &&
              count == 1 && members[0].device == device && same(members[0].device_id, "d-one") &&
              same(members[0].registry_name, "r-one"));
    CHECK("and counted",
          gh_directory_group_list(directory, tenant, &arena, &groups, &count, &error) == GH_OK &&
              count == 2 && same(groups[0].name, "north") && groups[0].members == 1);
    CHECK("the target says its name",
          gh_directory_policy_targets(directory, tenant, GH_SLICE("grouped"), &arena, &targets,
                                      &count, &error) == GH_OK &&
              count == 1 && same(targets[0].group_name, "north"));
    CHECK("it leaves", gh_directory_group_remove(directory, &north, device, &error) == GH_OK &&
                           strstr(effective(member), "grouped") == NULL);
    CHECK("once",
          gh_directory_group_remove(directory, &north, device, &error) == GH_ERROR_NOT_FOUND);
    CHECK("a group goes with its attachments",
          gh_directory_group_delete(directory, &north, &error) == GH_OK &&
              gh_directory_policy_delete(directory, tenant, GH_SLICE("grouped"), &error) == GH_OK);
    CHECK("of no tenant",
          attach("base", (struct gh_policy_target){.tenant = other_tenant,
                                                   .group = south.number}) == GH_ERROR_NOT_FOUND);
    for (int i = 0; i < GH_GROUPS_OF_DEVICE_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "g-%d", i);
        struct gh_device_group group = group_make(name);
        REQUIRE(name, gh_directory_group_add(directory, &group, device, &error) == GH_OK);
    }
    CHECK("a device is in ten groups at most",
          gh_directory_group_add(directory, &south, device, &error) == GH_ERROR_LIMIT);
}

/* A fresh public key as PEM, in the arena. */
static struct gh_slice key_make(enum gh_key_kind kind)
{
    struct gh_buffer out;
    struct gh_slice pem = {0};
    gh_buffer_init(&out, GH_KEY_PEM_MAX);
    struct gh_private_key *key = gh_private_key_generate(kind, &error);
    REQUIRE("a key", key != NULL && gh_private_key_print_public(key, &out) &&
                         gh_arena_copy(&arena, gh_buffer_slice(&out), &pem));
    gh_private_key_close(key);
    gh_buffer_deinit(&out);
    return pem;
}

static void knows_credentials(void)
{
    struct gh_device row = {.registry = registry, .id = GH_SLICE("d-keys"), .credentials_count = 1};
    row.credentials[0] =
        (struct gh_credential){.format = GH_CREDENTIAL_ES256_PEM, .pem = key_make(GH_KEY_P256)};
    REQUIRE("a device with a key",
            gh_directory_device_create(directory, &row, &arena, &error) == GH_OK);
    struct gh_device stored;
    REQUIRE("its key has an id",
            gh_directory_device_get(directory, row.number, &arena, &stored, &error) == GH_OK &&
                stored.credentials_count == 1);
    struct gh_policy_target by_key = {.tenant = tenant,
                                      .registry = registry,
                                      .device = row.number,
                                      .credential = stored.credentials[0].id},
                            by_other = by_key, plain = by_key;
    by_other.credential = GH_SLICE("other");
    plain.credential = none;
    REQUIRE("a policy", put("keyed") == GH_OK);
    told.times = 0;
    CHECK("attached to the credential", attach("keyed", by_key) == GH_OK);
    CHECK("the device is told", told_once(tenant, registry, row.number));
    CHECK("not to one that is not there", attach("keyed", by_other) == GH_ERROR_NOT_FOUND);
    CHECK("it holds with it", strstr(effective(by_key), "keyed") != NULL);
    CHECK("not without it", strstr(effective(plain), "keyed") == NULL);
    CHECK("not with another", strstr(effective(by_other), "keyed") == NULL);
    CHECK("the device itself has none", detach("keyed", plain) == GH_ERROR_NOT_FOUND);
    CHECK("taken off",
          detach("keyed", by_key) == GH_OK && strstr(effective(by_key), "keyed") == NULL);
    CHECK("again", attach("keyed", by_key) == GH_OK);
    struct gh_device bare = {.credentials_count = 0};
    REQUIRE("the key is taken away",
            gh_directory_device_update(directory, row.number, GH_DEVICE_CREDENTIALS, &bare, &arena,
                                       NULL, &error) == GH_OK);
    CHECK("attached no more", attach("keyed", by_key) == GH_ERROR_NOT_FOUND);
    CHECK("but taken off when it is gone",
          detach("keyed", by_key) == GH_OK && detach("keyed", by_key) == GH_ERROR_NOT_FOUND &&
              gh_directory_policy_delete(directory, tenant, GH_SLICE("keyed"), &error) == GH_OK);
    struct gh_policy_target by_ca = by_key, foreign = by_key;
    by_ca.credential = foreign.credential = GH_SLICE("ca-7-4d2");
    foreign.tenant = other_tenant;
    REQUIRE("a policy", put("signed") == GH_OK);
    CHECK("to a certificate under a CA", attach("signed", by_ca) == GH_OK &&
                                             strstr(effective(by_ca), "signed") != NULL &&
                                             strstr(effective(plain), "signed") == NULL);
    CHECK("not of another tenant's device", attach("signed", foreign) == GH_ERROR_NOT_FOUND);
    CHECK("and off", detach("signed", by_ca) == GH_OK);
}

int main(void)
{
    gh_arena_init(&arena, 16 << 20);
    struct gh_store *store = gh_store_open(check_folder(), GH_STORE_CREATE, &error);
    REQUIRE("the store opens", store != NULL);
    directory = gh_directory_open(store, &watch, NULL, &error);
    REQUIRE("the directory opens", directory != NULL);
    tenant = tenant_make("t-one");
    other_tenant = tenant_make("t-two");
    registry = registry_make(tenant, "r-one");
    other_registry = registry_make(tenant, "r-two");
    foreign_registry = registry_make(other_tenant, "r-one");
    device = device_make("d-one");
    other_device = device_make("d-two");
    keeps_policies();
    checks_names();
    attaches();
    keeps_limits();
    knows_groups();
    knows_credentials();
    follows_devices();
    gh_directory_close(directory);
    gh_store_close(store);
    gh_arena_deinit(&arena);
    return check_report();
}
