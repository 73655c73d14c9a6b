/* Sign-ins that are decided from what the directory remembers: each kind of change is known to the
 * very next one, on whatever thread it was made, and nothing but a yes is said from memory. */
#include "base/time.h"
#include "identity/device.h"
#include "registry/password.h"
#include "tests/check.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#define SECRET "a secret of the device, long"
#define OTHER_SECRET "another secret of it, as long"

enum { ARENA_BYTES = 8 << 20, ROUNDS = 300 };

static struct world {
    struct gh_store *store;
    struct gh_directory *directory;
    struct gh_device_passwords *passwords;
    struct gh_arena arena;
    struct gh_error error;
    int64_t tenant, registry;
    uint64_t device;
    struct gh_device_group group;
} world;

static void world_open(void)
{
    struct gh_tenant tenant = {.name = GH_SLICE("plant")};
    struct gh_registry registry = {
        .name = GH_SLICE("fleet"), .mqtt_enabled = true, .log_level = GH_DEVICE_LOG_ERROR};
    struct gh_device device = {
        .id = GH_SLICE("pump"),
        .credentials = {{.format = GH_CREDENTIAL_PASSWORD, .secret = GH_SLICE(SECRET)}},
        .credentials_count = 1};

    world = (struct world){.tenant = 0};
    gh_arena_init(&world.arena, ARENA_BYTES);
    world.store = gh_store_open(check_folder(), GH_STORE_CREATE, &world.error);
    REQUIRE("a store", world.store != NULL);
    world.directory = gh_directory_open(world.store, NULL, NULL, &world.error);
    world.passwords = gh_device_passwords_with(GH_SLICE("a key of 32 bytes for this test.."));
    REQUIRE("a directory", world.directory != NULL && world.passwords != NULL);
    gh_directory_use_passwords(world.directory, world.passwords);
    REQUIRE("a tenant",
            gh_directory_tenant_create(world.directory, &tenant, &world.error) == GH_OK);
    registry.tenant = world.tenant = tenant.number;
    REQUIRE("a registry",
            gh_directory_registry_create(world.directory, &registry, &world.error) == GH_OK);
    device.registry = world.registry = registry.number;
    REQUIRE("a device", gh_directory_device_create(world.directory, &device, &world.arena,
                                                   &world.error) == GH_OK);
    world.device = device.number;
    REQUIRE("a group",
            gh_directory_group_create(world.directory, world.tenant, GH_SLICE("pumps"),
                                      &world.error) == GH_OK &&
                gh_directory_group_find(world.directory, world.tenant, GH_SLICE("pumps"),
                                        &world.arena, &world.group, &world.error) == GH_OK);
}

static void world_close(void)
{
    gh_directory_close(world.directory);
    gh_device_passwords_close(world.passwords);
    gh_store_close(world.store);
    gh_arena_deinit(&world.arena);
}

/* --- signing in --- */

static enum gh_identity_reason ask(const char *secret, bool at_once, struct gh_arena *arena,
                                   struct gh_identity_verdict *out)
{
    struct gh_identity_claim claim = {.tenant = GH_SLICE("plant"),
                                      .registry = GH_SLICE("fleet"),
                                      .device = GH_SLICE("pump"),
                                      .secret = gh_slice_text(secret),
                                      .at_once = at_once};
    return gh_identity_device(world.directory, &claim, gh_time_utc_ms(), arena, out);
}

static enum gh_identity_reason at_once(const char *secret)
{
    struct gh_identity_verdict verdict;
    return ask(secret, true, &world.arena, &verdict);
}

static enum gh_identity_reason in_full(const char *secret)
{
    struct gh_identity_verdict verdict;
    return ask(secret, false, &world.arena, &verdict);
}

/* How many policies the device has, or -1 when they are not remembered. */
static int policies(bool from_memory)
{
    struct gh_policy_row *rows;
    size_t count;
    struct gh_policy_target target = {.tenant = world.tenant,
                                      .registry = world.registry,
                                      .device = world.device,
                                      .credential = GH_SLICE("none")};
    return gh_directory_sign_in_policies(world.directory, &target, from_memory, &world.arena, &rows,
                                         &count, &world.error) == GH_OK
               ? (int)count
               : -1;
}

static void says_yes_from_memory_and_nothing_else(void)
{
    struct gh_identity_verdict full, quick;
    world_open();
    CHECK("nothing is remembered yet", at_once(SECRET) == GH_IDENTITY_UNAVAILABLE);
    REQUIRE("in full", ask(SECRET, false, &world.arena, &full) == GH_IDENTITY_ACCEPTED);
    REQUIRE("from memory", ask(SECRET, true, &world.arena, &quick) == GH_IDENTITY_ACCEPTED);
    CHECK("the same device, the same credential",
          quick.principal.device == full.principal.device &&
              quick.valid_until_s == full.valid_until_s &&
              gh_slice_equal(quick.principal.credential_id, full.principal.credential_id) &&
              gh_slice_equal(quick.device->tenant_name, full.device->tenant_name) &&
              gh_slice_equal(quick.device->registry_name, full.device->registry_name) &&
              quick.registry->number == full.registry->number);
    CHECK("a no is not said from memory", at_once(OTHER_SECRET) == GH_IDENTITY_UNAVAILABLE);
    CHECK("but from the database", in_full(OTHER_SECRET) == GH_IDENTITY_SECRET);
    CHECK("times and uses are no change",
          gh_directory_flush(world.directory, &world.error) == GH_OK &&
              at_once(SECRET) == GH_IDENTITY_ACCEPTED);
    CHECK("nor is a document",
          gh_directory_config_set(world.directory, world.device, GH_SLICE("{}"), 0, NULL,
                                  &world.error) == GH_OK &&
              at_once(SECRET) == GH_IDENTITY_ACCEPTED);
    world_close();
}

/* --- each change --- */

static bool update_device(unsigned fields, const struct gh_device *change)
{
    return gh_directory_device_update(world.directory, world.device, fields, change, &world.arena,
                                      NULL, &world.error) == GH_OK;
}

static bool block(void)
{
    return update_device(GH_DEVICE_BLOCKED, &(struct gh_device){.blocked = true});
}

static bool ban(void)
{
    return update_device(GH_DEVICE_BAN,
                         &(struct gh_device){.banned_until_ms = GH_DEVICE_BANNED_FOR_EVER});
}

static bool put_secret(const char *secret, bool disabled)
{
    return update_device(GH_DEVICE_CREDENTIALS,
                         &(struct gh_device){.credentials = {{.format = GH_CREDENTIAL_PASSWORD,
                                                              .secret = gh_slice_text(secret),
                                                              .says_state = true,
                                                              .disabled = disabled}},
                                             .credentials_count = 1});
}

static bool rotate(void)
{
    return put_secret(OTHER_SECRET, false);
}

static bool disable_credential(void)
{
    return put_secret(SECRET, true);
}

static bool take_credentials(void)
{
    return update_device(GH_DEVICE_CREDENTIALS, &(struct gh_device){.credentials_count = 0});
}

static bool delete_device(void)
{
    return gh_directory_device_delete(world.directory, world.device, &world.error) == GH_OK;
}

static bool disable_tenant(void)
{
    return gh_directory_tenant_disable(world.directory, world.tenant, true, &world.error) == GH_OK;
}

static bool switch_mqtt_off(void)
{
    return gh_directory_registry_update(world.directory, world.registry, GH_REGISTRY_MQTT,
                                        &(struct gh_registry){.mqtt_enabled = false}, &world.arena,
                                        NULL, &world.error) == GH_OK;
}

static bool change_attributes(void)
{
    struct gh_attribute attribute = {GH_SLICE("hall"), GH_SLICE("7")};
    return update_device(GH_DEVICE_ATTRIBUTES,
                         &(struct gh_device){.attributes = &attribute, .attributes_count = 1});
}

static const struct {
    const char *claim;
    bool (*change)(void);
    enum gh_identity_reason then;
} changes[] = {
    {"a blocked device", block, GH_IDENTITY_BLOCKED},
    {"a banned device", ban, GH_IDENTITY_BANNED},
    {"a secret that was replaced", rotate, GH_IDENTITY_SECRET},
    {"a disabled credential", disable_credential, GH_IDENTITY_CREDENTIAL_DISABLED},
    {"credentials taken away", take_credentials, GH_IDENTITY_NO_CREDENTIAL},
    {"a deleted device", delete_device, GH_IDENTITY_UNKNOWN_DEVICE},
    {"a disabled tenant", disable_tenant, GH_IDENTITY_TENANT_DISABLED},
    {"MQTT switched off", switch_mqtt_off, GH_IDENTITY_MQTT_DISABLED},
    {"attributes, which policies may name", change_attributes, GH_IDENTITY_ACCEPTED},
};

static void knows_each_change(void)
{
    for (size_t i = 0; i < GH_COUNT(changes); i++) {
        world_open();
        CHECK(changes[i].claim, in_full(SECRET) == GH_IDENTITY_ACCEPTED);
        CHECK(changes[i].claim, at_once(SECRET) == GH_IDENTITY_ACCEPTED);
        REQUIRE(changes[i].claim, changes[i].change());
        CHECK(changes[i].claim, at_once(SECRET) == GH_IDENTITY_UNAVAILABLE);
        CHECK(changes[i].claim, in_full(SECRET) == changes[i].then);
        CHECK(changes[i].claim, (at_once(SECRET) == GH_IDENTITY_ACCEPTED) ==
                                    (changes[i].then == GH_IDENTITY_ACCEPTED));
        world_close();
    }
}

/* --- policies --- */

static bool put_policy(const char *name)
{
    return gh_directory_policy_put(world.directory, world.tenant, gh_slice_text(name),
                                   GH_SLICE("{}"), (struct gh_slice){0}, &world.arena, NULL,
                                   &world.error) == GH_OK;
}

static bool attach(const char *name, const struct gh_policy_target *target)
{
    return gh_directory_policy_attach(world.directory, gh_slice_text(name), target, &world.error) ==
           GH_OK;
}

static void knows_each_policy(void)
{
    world_open();
    const struct gh_policy_target all = {.tenant = world.tenant, .registry = world.registry},
                                  one = {.tenant = world.tenant, .device = world.device},
                                  few = {.tenant = world.tenant, .group = world.group.number};
    REQUIRE("policies", put_policy("a") && put_policy("b") && put_policy("c"));
    CHECK("none, and not remembered", policies(true) == -1 && policies(false) == 0);
    CHECK("none, from memory", policies(true) == 0);
    REQUIRE("the registry's", attach("a", &all));
    CHECK("known at once", policies(true) == -1 && policies(false) == 1 && policies(true) == 1);
    REQUIRE("a group's", attach("b", &few));
    CHECK("what may differ from device to device is not remembered",
          policies(false) == 1 && policies(true) == -1);
    REQUIRE("the device comes into it",
            gh_directory_group_add(world.directory, &world.group, world.device, &world.error) ==
                GH_OK);
    CHECK("its own and the group's", policies(false) == 2);
    REQUIRE("its own", attach("c", &one));
    CHECK("all of them", policies(false) == 3);
    REQUIRE("detached", gh_directory_policy_detach(world.directory, GH_SLICE("c"), &one,
                                                   &world.error) == GH_OK &&
                            gh_directory_policy_detach(world.directory, GH_SLICE("b"), &few,
                                                       &world.error) == GH_OK);
    CHECK("the registry's again", policies(false) == 1 && policies(true) == 1);
    REQUIRE("replaced", put_policy("a"));
    CHECK("a document that was replaced", policies(true) == -1);
    world_close();
}

/* --- changes and sign-ins at the same time --- */

struct flapper {
    atomic_bool ended;
    atomic_int blocked; /* what the last change that has returned said; -1: one is under way */
};

/* Signs in, in both ways, and must never be let in by a device that was blocked before it asked and
 * after it was answered. */
static void *sign_in_all_the_time(void *context)
{
    struct flapper *flapper = context;
    struct gh_arena arena;
    size_t wrong = 0;
    gh_arena_init(&arena, ARENA_BYTES);
    for (bool quick = false; !atomic_load(&flapper->ended); quick = !quick) {
        struct gh_identity_verdict verdict;
        int before = atomic_load(&flapper->blocked);
        enum gh_identity_reason reason = ask(SECRET, quick, &arena, &verdict);
        int after = atomic_load(&flapper->blocked);
        wrong += before > 0 && before == after && reason == GH_IDENTITY_ACCEPTED;
        gh_arena_reset(&arena);
    }
    gh_arena_deinit(&arena);
    return wrong == 0 ? NULL : context;
}

static void never_lets_in_what_was_blocked(void)
{
    struct flapper flapper = {.blocked = 0};
    pthread_t threads[2];
    world_open();
    for (size_t i = 0; i < GH_COUNT(threads); i++)
        REQUIRE("a thread", pthread_create(&threads[i], NULL, sign_in_all_the_time, &flapper) == 0);
    for (int round = 1; round <= ROUNDS; round++) {
        atomic_store(&flapper.blocked, -1);
        bool blocks = round % 2 == 1;
        CHECK("changed", update_device(GH_DEVICE_BLOCKED, &(struct gh_device){.blocked = blocks}));
        atomic_store(&flapper.blocked, blocks ? round : 0); /* each block has a number of its own */
        CHECK("the next sign-in knows", (in_full(SECRET) == GH_IDENTITY_BLOCKED) == blocks &&
                                            (at_once(SECRET) == GH_IDENTITY_ACCEPTED) == !blocks);
    }
    atomic_store(&flapper.ended, true);
    for (size_t i = 0; i < GH_COUNT(threads); i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        CHECK("nobody was let in by what was", wrong == NULL);
    }
    world_close();
}

int main(void)
{
    says_yes_from_memory_and_nothing_else();
    knows_each_change();
    knows_each_policy();
    never_lets_in_what_was_blocked();
    return check_report();
}
