/* Credentials in a directory: a key or secret is one device's alone; state and validity; when each
 * was last used. */
#include "crypto/key.h"
#include "registry/directory.h"
#include "registry/password.h"
#include "registry/sealing.h"
#include "tests/check.h"
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define LONG_1 "0123456789abcdef0123"
#define LONG_2 "0123456789abcdef0124"
#define KEY_1 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define KEY_1_BARE "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

static struct gh_store *store;
static struct gh_keyring *keyring;
static struct gh_sealing *sealing;
static struct gh_device_passwords *passwords;
static struct gh_directory *directory;
static struct gh_arena arena;
static struct gh_error error;
static const char *folder;
static int64_t registries[3]; /* two of one tenant, one of another */

static void open_all(void)
{
    store = gh_store_open(folder, GH_STORE_CREATE, &error);
    REQUIRE(error.text, store != NULL);
    sealing = gh_sealing_open(store, &gh_sealing_keyring, keyring);
    directory = gh_directory_open(store, NULL, NULL, &error);
    passwords = gh_device_passwords_with(GH_SLICE("a key of 32 bytes for this test.."));
    REQUIRE(error.text, sealing != NULL && directory != NULL && passwords != NULL);
    gh_directory_use_sealing(directory, sealing);
    gh_directory_use_passwords(directory, passwords);
}

static void close_all(void)
{
    gh_directory_close(directory);
    gh_sealing_close(sealing);
    gh_device_passwords_close(passwords);
    gh_store_close(store);
}

static int64_t registry_make(int64_t tenant, const char *name)
{
    struct gh_registry registry = {
        .tenant = tenant, .name = gh_slice_text(name), .log_level = GH_DEVICE_LOG_ERROR};
    REQUIRE(name, gh_directory_registry_create(directory, &registry, &error) == GH_OK);
    return registry.number;
}

static int64_t tenant_make(const char *name)
{
    struct gh_tenant tenant = {.name = gh_slice_text(name)};
    REQUIRE(name, gh_directory_tenant_create(directory, &tenant, &error) == GH_OK);
    return tenant.number;
}

static struct gh_slice key_make(void)
{
    uint8_t block[2048];
    struct gh_buffer pem = gh_buffer_fixed(block, sizeof block);
    struct gh_private_key *key = gh_private_key_generate(GH_KEY_P256, NULL);
    struct gh_slice copy = {0};
    REQUIRE("a key", key != NULL && gh_private_key_print_public(key, &pem) &&
                         gh_arena_copy(&arena, gh_buffer_slice(&pem), &copy));
    gh_private_key_close(key);
    return copy;
}

static uint64_t add(int64_t registry, const char *id, struct gh_credential credential)
{
    struct gh_device device = {.registry = registry,
                               .id = gh_slice_text(id),
                               .credentials_count = 1,
                               .credentials = {credential}};
    REQUIRE(id, gh_directory_device_create(directory, &device, &arena, &error) == GH_OK);
    return device.number;
}

static struct gh_device read_device(uint64_t number)
{
    struct gh_device device;
    REQUIRE("it is read",
            gh_directory_device_get(directory, number, &arena, &device, &error) == GH_OK);
    return device;
}

/* --- one device's alone */

static void keys_are_one_devices(void)
{
    struct gh_slice pem = key_make();
    const struct gh_credential key = {.format = GH_CREDENTIAL_ES256_PEM, .pem = pem},
                               symmetric = {.format = GH_CREDENTIAL_SYMMETRIC,
                                            .secret = GH_SLICE(KEY_1)},
                               long_one = {.format = GH_CREDENTIAL_PASSWORD,
                                           .secret = GH_SLICE(LONG_1)},
                               short_one = {.format = GH_CREDENTIAL_PASSWORD,
                                            .secret = GH_SLICE("hunter-2")};
    uint64_t owner = add(registries[0], "with-key", key);
    (void)add(registries[0], "with-symmetric", symmetric);
    (void)add(registries[0], "with-long", long_one);
    (void)add(registries[0], "with-short", short_one);
    const struct {
        const char *claim;
        size_t registry;
        struct gh_credential credential;
        bool shares;
        enum gh_error_code code;
    } rows[] = {
        {"a key in the same registry", 0, key, false, GH_ERROR_EXISTS},
        {"a key in another registry", 1, key, false, GH_ERROR_EXISTS},
        {"a key in another tenant", 2, key, false, GH_ERROR_EXISTS},
        {"Google's, inside the tenant", 1, key, true, GH_OK},
        {"Google's, in another tenant", 2, key, true, GH_ERROR_EXISTS},
        {"a symmetric key", 1, symmetric, false, GH_ERROR_EXISTS},
        {"a symmetric key in another tenant", 2, symmetric, false, GH_ERROR_EXISTS},
        {"the same one written otherwise",
         2,
         {.format = GH_CREDENTIAL_SYMMETRIC, .secret = GH_SLICE(KEY_1_BARE)},
         false,
         GH_ERROR_EXISTS},
        {"one that is made", 0, {.format = GH_CREDENTIAL_SYMMETRIC}, false, GH_OK},
        {"a long secret", 0, long_one, false, GH_ERROR_EXISTS},
        {"a long secret in another tenant", 2, long_one, false, GH_ERROR_EXISTS},
        {"another one",
         0,
         {.format = GH_CREDENTIAL_PASSWORD, .secret = GH_SLICE(LONG_2)},
         false,
         GH_OK},
        {"a short password in the same tenant", 1, short_one, false, GH_ERROR_EXISTS},
        {"whose stranger guesses it learns nothing", 2, short_one, false, GH_OK},
    };
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        char id[16];
        snprintf(id, sizeof id, "other-%zu", i);
        struct gh_device device = {.registry = registries[rows[i].registry],
                                   .id = gh_slice_text(id),
                                   .credentials_count = 1,
                                   .credentials = {rows[i].credential},
                                   .shares_keys = rows[i].shares};
        error = (struct gh_error){0};
        CHECK(rows[i].claim,
              gh_directory_device_create(directory, &device, &arena, &error) == rows[i].code);
        CHECK("nobody else is named", strstr(error.text, "with-") == NULL);
    }
    uint64_t holder = 0;
    struct gh_device of_key = read_device(owner);
    CHECK("who may know is told",
          gh_directory_credential_holder(directory, 1, &of_key.credentials[0], &holder, &error) ==
                  GH_OK &&
              holder != 0);
}

/* Two of one commit, and a change of what is there. */
static void also_at_once(void)
{
    const struct gh_credential made = {.format = GH_CREDENTIAL_ES256_PEM, .pem = key_make()};
    struct gh_device two[2];
    size_t failed = 0;
    for (size_t i = 0; i < 2; i++)
        two[i] = (struct gh_device){.registry = registries[0],
                                    .id = i == 0 ? GH_SLICE("twin-1") : GH_SLICE("twin-2"),
                                    .credentials_count = 1,
                                    .credentials = {made}};
    CHECK("two of one commit", gh_directory_device_create_all(directory, two, 2, &arena, &failed,
                                                              &error) == GH_ERROR_EXISTS &&
                                   failed == 1);
    uint64_t first = add(registries[0], "first", made);
    uint64_t second =
        add(registries[0], "second",
            (struct gh_credential){.format = GH_CREDENTIAL_ES256_PEM, .pem = key_make()});
    struct gh_device change = {.credentials_count = 1, .credentials = {made}};
    CHECK("another device takes it over",
          gh_directory_device_update(directory, second, GH_DEVICE_CREDENTIALS, &change, &arena,
                                     NULL, &error) == GH_ERROR_EXISTS);
    CHECK("its own says it again",
          gh_directory_device_update(directory, first, GH_DEVICE_CREDENTIALS, &change, &arena, NULL,
                                     &error) == GH_OK);
    CHECK("it goes with its device",
          gh_directory_device_delete(directory, first, &error) == GH_OK &&
              gh_directory_device_update(directory, second, GH_DEVICE_CREDENTIALS, &change, &arena,
                                         NULL, &error) == GH_OK);
}

/* --- state, validity, use */

static void states(void)
{
    static const struct {
        const char *claim;
        struct gh_credential credential;
        enum gh_credential_state state;
    } rows[] = {
        {"no bounds", {.disabled = false}, GH_CREDENTIAL_ENABLED},
        {"within", {.valid_from_ms = 100, .expires_at_ms = 101}, GH_CREDENTIAL_ENABLED},
        {"before", {.valid_from_ms = 101}, GH_CREDENTIAL_NOT_YET_VALID},
        {"at its end", {.expires_at_ms = 100}, GH_CREDENTIAL_EXPIRED},
        {"disabled", {.disabled = true, .expires_at_ms = 100}, GH_CREDENTIAL_DISABLED},
    };
    for (size_t i = 0; i < GH_COUNT(rows); i++)
        CHECK(rows[i].claim, gh_credential_state(&rows[i].credential, 100) == rows[i].state);
}

static void keeps_state(void)
{
    uint64_t number = add(registries[0], "stateful",
                          (struct gh_credential){.format = GH_CREDENTIAL_ES256_PEM,
                                                 .pem = key_make(),
                                                 .disabled = true,
                                                 .valid_from_ms = 5});
    struct gh_device device = read_device(number), change = {.credentials_count = 1};
    CHECK("as it was made",
          device.credentials[0].disabled && device.credentials[0].valid_from_ms == 5);
    change.credentials[0] =
        (struct gh_credential){.format = GH_CREDENTIAL_ES256_PEM, .pem = device.credentials[0].pem};
    REQUIRE("said again, by who knows no states",
            gh_directory_device_update(directory, number, GH_DEVICE_CREDENTIALS, &change, &arena,
                                       &device, &error) == GH_OK);
    CHECK("it is disabled still",
          device.credentials[0].disabled && device.credentials[0].valid_from_ms == 5);
    change.credentials[0].says_state = true;
    REQUIRE("enabled", gh_directory_device_update(directory, number, GH_DEVICE_CREDENTIALS, &change,
                                                  &arena, &device, &error) == GH_OK);
    CHECK("it is enabled", !device.credentials[0].disabled);
}

static void notes_uses(void)
{
    uint64_t number =
        add(registries[0], "used",
            (struct gh_credential){.format = GH_CREDENTIAL_ES256_PEM, .pem = key_make()});
    struct gh_device device = read_device(number), change = {.credentials_count = 1};
    struct gh_slice id = device.credentials[0].id;
    CHECK("never used", device.credentials[0].last_used_ms == 0);
    const struct gh_credential_use noted[] = {{number, id, .at_ms = 1000},
                                              {number, id, .at_ms = 900},
                                              {number, GH_SLICE("ca-1"), .at_ms = 2000},
                                              {number, GH_SLICE(""), .at_ms = 2000}};
    for (size_t i = 0; i < GH_COUNT(noted); i++)
        gh_directory_note_use(directory, &noted[i]);
    CHECK("read at once", read_device(number).credentials[0].last_used_ms == 1000);
    REQUIRE("written", gh_directory_flush(directory, &error) == GH_OK);
    close_all();
    open_all();
    CHECK("there after a restart", read_device(number).credentials[0].last_used_ms == 1000);
    device = read_device(number);
    change.credentials[0] = device.credentials[0];
    change.credentials[1] =
        (struct gh_credential){.format = GH_CREDENTIAL_ES256_PEM, .pem = key_make()};
    change.credentials_count = 2;
    REQUIRE("a second one", gh_directory_device_update(directory, number, GH_DEVICE_CREDENTIALS,
                                                       &change, &arena, &device, &error) == GH_OK);
    CHECK("the first was used, the second never",
          device.credentials[0].last_used_ms == 1000 && device.credentials[1].last_used_ms == 0);
}

/* As a database of before there were marks: none of its secrets has one. */
static void forget_marks(void)
{
    char path[4200];
    sqlite3 *other;
    snprintf(path, sizeof path, "%s/registry.db", folder);
    REQUIRE("forgotten", sqlite3_open(path, &other) == SQLITE_OK &&
                             sqlite3_exec(other, "UPDATE credentials SET mark = ''", NULL, NULL,
                                          NULL) == SQLITE_OK);
    sqlite3_close(other);
}

static struct gh_credential symmetric(const char *key)
{
    return (struct gh_credential){.format = GH_CREDENTIAL_SYMMETRIC, .secret = gh_slice_text(key)};
}

static struct gh_credential password(const char *secret)
{
    return (struct gh_credential){.format = GH_CREDENTIAL_PASSWORD,
                                  .secret = gh_slice_text(secret)};
}

static enum gh_error_code register_with(int64_t registry, const char *id,
                                        struct gh_credential credential)
{
    struct gh_device device = {.registry = registry,
                               .id = gh_slice_text(id),
                               .credentials_count = 1,
                               .credentials = {credential}};
    return gh_directory_device_create(directory, &device, &arena, &error);
}

#define KEY_OLD "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="
#define LONG_OLD "a long secret of before"

static void old_secrets_get_marks(void)
{
    struct gh_device old = {.registry = registries[0],
                            .id = GH_SLICE("old"),
                            .credentials_count = 3,
                            .credentials = {symmetric(KEY_OLD), password(LONG_OLD), symmetric("")}};
    REQUIRE("made", gh_directory_device_create(directory, &old, &arena, &error) == GH_OK);
    struct gh_slice made = old.credentials[2].secret;
    CHECK("a key that was made here has a mark", made.size > 0 && old.credentials[2].mark.size > 0);
    forget_marks();
    CHECK("at start all symmetric keys get theirs",
          gh_directory_mark_symmetric(directory, &error) == GH_OK);
    char *key = gh_arena_text(&arena, made);
    CHECK("so that nobody else is given one",
          register_with(registries[2], "new-1", symmetric(KEY_OLD)) == GH_ERROR_EXISTS &&
              register_with(registries[2], "new-2", symmetric(key)) == GH_ERROR_EXISTS);
    struct gh_device now = read_device(old.number);
    CHECK("a password has none until it is shown", now.credentials[1].mark.size == 0);
    gh_directory_mark_used(directory, &now, &now.credentials[1], GH_SLICE(LONG_OLD));
    CHECK("and then as well",
          register_with(registries[2], "new-3", password(LONG_OLD)) == GH_ERROR_EXISTS);
    CHECK("a second time there is nothing to do",
          gh_directory_mark_symmetric(directory, &error) == GH_OK);
}

int main(void)
{
    char keys[4096];
    folder = check_folder();
    snprintf(keys, sizeof keys, "%s/keys", folder);
    REQUIRE("a folder", mkdir(keys, 0700) == 0);
    gh_arena_init(&arena, 16 << 20);
    keyring = gh_keyring_create(folder, GH_SLICE("file"), &error);
    REQUIRE(error.text, keyring != NULL && gh_keyring_save(keyring, &error) == GH_OK);
    open_all();
    int64_t one = tenant_make("one"), two = tenant_make("two");
    registries[0] = registry_make(one, "hall");
    registries[1] = registry_make(one, "yard");
    registries[2] = registry_make(two, "hall");
    keys_are_one_devices();
    also_at_once();
    states();
    keeps_state();
    notes_uses();
    old_secrets_get_marks();
    close_all();
    gh_keyring_close(keyring);
    gh_arena_deinit(&arena);
    return check_report();
}
