#include "registry/directory.h"
#include "registry/sealing.h"
#include "store/registry.h"
#include "tests/check.h"
#include "wire/base64.h"
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What must not be found anywhere: a key that is given, as text and as bytes. */
#define PLANTED "cGxhbnRlZCBzZWNyZXQsIG5vd2hlcmUgaW4gY2xlYXI="

static const char *folder;
static struct gh_store *store;
static struct gh_keyring *keyring;
static struct gh_sealing *sealing;
static struct gh_directory *directory;
static struct gh_arena arena;
static struct gh_error error;
static pthread_mutex_t asking = PTHREAD_MUTEX_INITIALIZER;
static size_t opened; /* questions that the keys process would have got */

static enum gh_error_code count_make(void *context, int64_t tenant, uint32_t number,
                                     uint8_t key[GH_SEAL_KEY_BYTES], struct gh_buffer *sealed,
                                     struct gh_error *why)
{
    pthread_mutex_lock(&asking);
    enum gh_error_code code = gh_sealing_keyring.make(context, tenant, number, key, sealed, why);
    pthread_mutex_unlock(&asking);
    return code;
}

static enum gh_error_code count_open(void *context, int64_t tenant, uint32_t number,
                                     struct gh_slice sealed, uint8_t key[GH_SEAL_KEY_BYTES],
                                     struct gh_error *why)
{
    pthread_mutex_lock(&asking);
    opened++;
    enum gh_error_code code = gh_sealing_keyring.open(context, tenant, number, sealed, key, why);
    pthread_mutex_unlock(&asking);
    return code;
}

/* One question at a time, as the line to the keys process takes them. A rotation is alone anyway.
 */
static struct gh_sealing_keys counting = {.make = count_make, .open = count_open};

static void open_all(void)
{
    store = gh_store_open(folder, GH_STORE_CREATE, &error);
    REQUIRE(error.text, store != NULL);
    sealing = gh_sealing_open(store, &counting, keyring);
    directory = gh_directory_open(store, NULL, NULL, &error);
    REQUIRE(error.text, sealing != NULL && directory != NULL);
    gh_directory_use_sealing(directory, sealing);
}

static void close_all(void)
{
    gh_directory_close(directory);
    gh_sealing_close(sealing);
    gh_store_close(store);
}

static int64_t tenant_make(const char *name)
{
    struct gh_tenant tenant = {.name = gh_slice_text(name)};
    REQUIRE(error.text, gh_directory_tenant_create(directory, &tenant, &error) == GH_OK);
    return tenant.number;
}

static bool opens(const struct gh_seal_place *place, struct gh_slice text, const char *plain)
{
    uint8_t block[256];
    struct gh_buffer out = gh_buffer_fixed(block, sizeof block);
    return gh_sealing_unseal(sealing, place, text, &out, &error) == GH_OK &&
           gh_slice_equal(gh_buffer_slice(&out), gh_slice_text(plain));
}

static bool refuses(const struct gh_seal_place *place, struct gh_slice text, const char *words)
{
    uint8_t block[256];
    struct gh_buffer out = gh_buffer_fixed(block, sizeof block);
    bool as_said = gh_sealing_unseal(sealing, place, text, &out, &error) == GH_ERROR_KEYS &&
                   strstr(error.text, words) != NULL && out.size == 0;
    if (!as_said)
        fprintf(stderr, "said: %s\n", error.text);
    return as_said;
}

static struct gh_slice seal(const struct gh_seal_place *place, const char *plain)
{
    struct gh_slice text = {0};
    REQUIRE("sealing",
            gh_sealing_seal(sealing, place, gh_slice_text(plain), &arena, &text, &error) == GH_OK);
    return text;
}

static void check_fields(void)
{
    int64_t one = tenant_make("one"), two = tenant_make("two");
    struct gh_seal_place place = {one, GH_SLICE("field"), GH_SLICE("row")};
    struct gh_seal_place elsewhere = {two, GH_SLICE("field"), GH_SLICE("row")};
    struct gh_slice text = seal(&place, "a secret"), again = seal(&place, "a secret");
    CHECK("it opens in its place", opens(&place, text, "a secret"));
    CHECK("two seals of one secret differ", !gh_slice_equal(text, again));
    CHECK("another tenant has no key of that number", refuses(&elsewhere, text, "is gone"));
    (void)seal(&elsewhere, "other");
    CHECK("nor a fitting one", refuses(&elsewhere, text, "belongs somewhere else"));
    CHECK("a text that is none", refuses(&place, GH_SLICE("$argon2id$v=19$m"), "no seal"));
    CHECK("cut off", refuses(&place, gh_slice_sub(text, 0, text.size - 4), "cannot be opened"));
    opened = 0;
    for (int i = 0; i < 100; i++)
        (void)opens(&place, text, "a secret");
    CHECK("an opened key is remembered", opened <= 1);
    struct gh_seal_place nobody = {4711, GH_SLICE("field"), GH_SLICE("row")};
    CHECK("there is no such tenant", gh_sealing_seal(sealing, &nobody, GH_SLICE("x"), &arena, &text,
                                                     &error) == GH_ERROR_NOT_FOUND);
}

/* More tenants than are remembered: all still open, the oldest by asking again. */
static void check_cache(void)
{
    struct gh_slice texts[GH_SEALING_CACHE_MAX + 2];
    struct gh_seal_place places[GH_COUNT(texts)];
    char name[32];
    for (size_t i = 0; i < GH_COUNT(texts); i++) {
        snprintf(name, sizeof name, "many-%zu", i);
        places[i] = (struct gh_seal_place){tenant_make(name), GH_SLICE("field"), GH_SLICE("row")};
        texts[i] = seal(&places[i], "a secret");
        CHECK("each opens", opens(&places[i], texts[i], "a secret"));
    }
    opened = 0;
    CHECK("the newest is remembered",
          opens(&places[GH_COUNT(texts) - 1], texts[GH_COUNT(texts) - 1], "a secret") &&
              opened == 0);
    CHECK("the oldest is asked for again", opens(&places[0], texts[0], "a secret") && opened == 1);
}

/* --- a device's keys, and what is found on the disk --- */

static bool file_has(const char *path, struct gh_slice wanted)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    static uint8_t bytes[16 * 1024 * 1024];
    size_t size = fread(bytes, 1, sizeof bytes, file);
    REQUIRE("the whole file is looked at", size < sizeof bytes);
    fclose(file);
    return memmem(bytes, size, wanted.data, wanted.size) != NULL;
}

static bool folder_has(const char *path, struct gh_slice wanted)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    bool found = false;
    size_t files = 0;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char name[4096];
        struct stat info;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] == '.' || stat(name, &info) != 0)
            continue;
        files++;
        found =
            found || (S_ISDIR(info.st_mode) ? folder_has(name, wanted) : file_has(name, wanted));
    }
    if (dir != NULL)
        closedir(dir);
    REQUIRE("there are files to look at", files > 0);
    return found;
}

static void check_scan(const char *claim)
{
    uint8_t block[64];
    struct gh_buffer bytes = gh_buffer_fixed(block, sizeof block);
    REQUIRE("base64", gh_base64_decode(GH_SLICE(PLANTED), GH_BASE64_ANY, &bytes));
    CHECK(claim, !folder_has(folder, GH_SLICE(PLANTED)));
    CHECK(claim, !folder_has(folder, gh_buffer_slice(&bytes)));
}

static struct gh_device device_make(int64_t registry, const char *id, const char *given)
{
    struct gh_device device = {
        .registry = registry,
        .id = gh_slice_text(id),
        .credentials = {{.format = GH_CREDENTIAL_SYMMETRIC, .secret = gh_slice_text(given)},
                        {.format = GH_CREDENTIAL_SYMMETRIC}},
        .credentials_count = 2};
    REQUIRE("a device", gh_directory_device_create(directory, &device, &arena, &error) == GH_OK);
    return device;
}

static bool has_key(const struct gh_device *device, size_t at, struct gh_slice base64)
{
    uint8_t key[64], wanted[64];
    struct gh_buffer out = gh_buffer_fixed(key, sizeof key);
    struct gh_buffer expected = gh_buffer_fixed(wanted, sizeof wanted);
    enum gh_error_code code =
        gh_directory_symmetric_key(directory, device, &device->credentials[at], &out, &error);
    if (code != GH_OK)
        return false;
    return gh_base64_decode(base64, GH_BASE64_ANY, &expected) && out.size >= 16 &&
           gh_slice_equal(gh_buffer_slice(&out), gh_buffer_slice(&expected));
}

static struct gh_device read_device(const struct gh_device *made)
{
    struct gh_device device = {0};
    REQUIRE("read",
            gh_directory_device_get(directory, made->number, &arena, &device, &error) == GH_OK);
    return device;
}

static void check_refused_keys(int64_t registry)
{
    static const struct {
        const char *claim;
        size_t count;
        const char *secret;
    } rows[] = {
        {"15 bytes", 1, "MDEyMzQ1Njc4OWFiY2Rl"},
        {"no base64", 1, "not base64 at all, but long enough"},
        {"three keys", 3, PLANTED},
    };
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        struct gh_device device = {
            .registry = registry, .id = GH_SLICE("refused"), .credentials_count = rows[i].count};
        for (size_t j = 0; j < rows[i].count; j++)
            device.credentials[j] = (struct gh_credential){.format = GH_CREDENTIAL_SYMMETRIC,
                                                           .secret = gh_slice_text(rows[i].secret)};
        CHECK(rows[i].claim,
              gh_directory_device_create(directory, &device, &arena, &error) == GH_ERROR_INVALID);
    }
}

/* Two keys per device: kept, replaced, moved, rotated, shredded. */
static void check_devices(void)
{
    struct gh_registry registry = {.tenant = tenant_make("acme"), .name = GH_SLICE("hall")};
    REQUIRE("a registry", gh_directory_registry_create(directory, &registry, &error) == GH_OK);
    struct gh_device made = device_make(registry.number, "probe", PLANTED), other,
                     device = read_device(&made);
    struct gh_slice second = made.credentials[1].secret;
    CHECK("two keys, no secret in what is read", device.credentials_count == 2 &&
                                                     device.credentials[0].secret.size == 0 &&
                                                     device.credentials[1].secret.size == 0);
    CHECK("the given one", has_key(&device, 0, GH_SLICE(PLANTED)));
    CHECK("the made one has 32 bytes", second.size == 44 && has_key(&device, 1, second));
    check_scan("no key in clear while the store is open");
    made = device_make(registry.number, "other", PLANTED);
    other = read_device(&made);
    other.credentials[0] = device.credentials[0];
    CHECK("a row that was copied to another device stays closed",
          !has_key(&other, 0, GH_SLICE(PLANTED)));

    struct gh_device change = {
        .credentials = {device.credentials[1], {.format = GH_CREDENTIAL_SYMMETRIC}},
        .credentials_count = 2};
    struct gh_device after = {0};
    CHECK("one is replaced",
          gh_directory_device_update(directory, device.number, GH_DEVICE_CREDENTIALS, &change,
                                     &arena, &after, &error) == GH_OK);
    CHECK("the other stays, and the new one is shown once",
          has_key(&after, 0, second) && after.credentials[0].secret.size == 0 &&
              after.credentials[1].secret.size == 44 &&
              has_key(&after, 1, after.credentials[1].secret));
    check_refused_keys(registry.number);

    size_t count = 0;
    struct gh_slice before = after.credentials[0].pem;
    CHECK("the data key is rotated",
          gh_sealing_rotate(sealing, registry.tenant, &arena, &count, &error) == GH_OK &&
              count == 4);
    device = read_device(&after);
    CHECK("what it sealed is sealed anew",
          has_key(&device, 0, second) && !gh_slice_equal(device.credentials[0].pem, before));
    char row[GH_SEALING_ROW_MAX];
    struct gh_seal_place place =
        gh_sealing_credential(device.tenant, device.number, device.credentials[0].id, row);
    CHECK("the old seal stays closed", refuses(&place, before, "data key 1"));
    device.credentials[0].pem = before;
    CHECK("who read it before the rotation gets what stands there now",
          has_key(&device, 0, second));
    change.credentials[0] = device.credentials[0];
    change.credentials_count = 1;
    CHECK("and may keep it",
          gh_directory_device_update(directory, device.number, GH_DEVICE_CREDENTIALS, &change,
                                     &arena, &after, &error) == GH_OK &&
              after.credentials_count == 1 && has_key(&after, 0, second));
}

/* --- everybody goes on while keys are rotated --- */

enum { WRITERS = 3, DEVICES_EACH = 12, ROTATIONS = 8 };
static struct gh_registry busy;
static atomic_int writing;

/* Makes devices and reads their keys back, with an arena of its own. */
static void *write_devices(void *context)
{
    size_t writer = (size_t)(uintptr_t)context, good = 0;
    struct gh_arena own;
    gh_arena_init(&own, 64 * 1024 * 1024);
    for (size_t i = 0; i < DEVICES_EACH; i++) {
        struct gh_error cause = {0};
        uint8_t block[64];
        struct gh_buffer key = gh_buffer_fixed(block, sizeof block);
        struct gh_device read,
            device = {
                .registry = busy.number,
                .id = gh_slice_text(gh_arena_print(&own, "busy-%zu-%zu", writer, i)),
                .credentials = {{.format = GH_CREDENTIAL_SYMMETRIC, .secret = GH_SLICE(PLANTED)}},
                .credentials_count = 1};
        bool done =
            gh_directory_device_create(directory, &device, &own, &cause) == GH_OK &&
            gh_directory_device_get(directory, device.number, &own, &read, &cause) == GH_OK &&
            gh_directory_symmetric_key(directory, &read, &read.credentials[0], &key, &cause) ==
                GH_OK &&
            key.size == 32;
        good += done;
        if (!done)
            fprintf(stderr, "%s\n", cause.text);
    }
    gh_arena_deinit(&own);
    atomic_fetch_sub(&writing, 1);
    return (void *)(uintptr_t)good;
}

static void check_rotating_while_serving(void)
{
    pthread_t threads[WRITERS];
    size_t count = 0, rotations = 0, good = 0;
    busy = (struct gh_registry){.tenant = tenant_make("busy"), .name = GH_SLICE("hall")};
    REQUIRE("a registry", gh_directory_registry_create(directory, &busy, &error) == GH_OK);
    atomic_store(&writing, WRITERS);
    for (size_t i = 0; i < WRITERS; i++)
        REQUIRE("a writer",
                pthread_create(&threads[i], NULL, write_devices, (void *)(uintptr_t)i) == 0);
    while (atomic_load(&writing) > 0 || rotations < ROTATIONS) {
        CHECK("the data key rotates",
              gh_sealing_rotate(sealing, busy.tenant, &arena, &count, &error) == GH_OK);
        CHECK("the KEK rotates", gh_sealing_rotate_kek(sealing, &arena, &count, &error) == GH_OK &&
                                     count > 0 && gh_keyring_keks(keyring) == 1);
        rotations++;
    }
    for (size_t i = 0; i < WRITERS; i++) {
        void *result;
        REQUIRE("joined", pthread_join(threads[i], &result) == 0);
        good += (size_t)(uintptr_t)result;
    }
    CHECK("each device was made and its key read", good == (size_t)WRITERS * DEVICES_EACH);
    CHECK("all is sealed under the newest key",
          gh_sealing_rotate(sealing, busy.tenant, &arena, &count, &error) == GH_OK &&
              count == (size_t)WRITERS * DEVICES_EACH);
}

/* A rotation that was interrupted: new data key not written, or old KEK not yet destroyed. */
static void check_interrupted(void)
{
    struct gh_seal_place place = {tenant_make("halfway"), GH_SLICE("field"), GH_SLICE("row")};
    struct gh_slice text = seal(&place, "a secret");
    size_t count = 0;
    REQUIRE("begun", gh_keyring_renew(keyring, &error) == GH_OK);
    CHECK("two KEKs, and everything opens",
          gh_keyring_keks(keyring) == 2 && opens(&place, text, "a secret"));
    uint32_t current = gh_keyring_kek(keyring, 0).number;
    CHECK("a rotation ends the one under way, and begins no other",
          gh_sealing_rotate_kek(sealing, &arena, &count, &error) == GH_OK &&
              gh_keyring_keks(keyring) == 1 && gh_keyring_kek(keyring, 0).number == current);
    gh_sealing_forget(sealing, place.tenant);
    CHECK("and it still opens", opens(&place, text, "a secret"));
}

/* A copy of everything from before, and the tenant is gone. */
static void check_shredding(void)
{
    int64_t tenant = tenant_make("gone");
    struct gh_seal_place place = {tenant, GH_SLICE("field"), GH_SLICE("row")};
    struct gh_slice text = seal(&place, "a secret");
    struct gh_data_key_row key = {0};
    struct gh_slice key_bytes = {0};
    CHECK("it opens", opens(&place, text, "a secret"));
    REQUIRE("its data key",
            gh_store_data_key_get(store, tenant, 0, &arena, &key, &error) == GH_OK &&
                gh_arena_copy(&arena, key.sealed, &key_bytes));
    CHECK("the data key is in the folder", folder_has(folder, key_bytes));
    CHECK("the tenant goes", gh_directory_tenant_delete(directory, tenant, &error) == GH_OK);
    CHECK("what was sealed for it stays closed at once", refuses(&place, text, "is gone"));
    CHECK("the data key is nowhere in the folder", !folder_has(folder, key_bytes));

    /* Who kept a copy of the database has the data key still, as long as the KEK is there. */
    uint8_t plain[GH_SEAL_KEY_BYTES];
    size_t count = 0;
    CHECK("a kept data key opens under the KEK of its time",
          gh_sealing_key_open(keyring, tenant, key.number, key_bytes, plain, &error) == GH_OK);
    CHECK("the KEK is rotated",
          gh_keyring_rotate(keyring, GH_SLICE("file"), &error) == GH_OK &&
              gh_sealing_rewrap(store, keyring, &arena, &count, &error) == GH_OK && count > 100 &&
              gh_keyring_settle(keyring, &error) == GH_OK);
    CHECK("and then not even that copy opens",
          gh_sealing_key_open(keyring, tenant, key.number, key_bytes, plain, &error) ==
              GH_ERROR_KEYS);
}

int main(void)
{
    char keys[4096];
    folder = check_folder();
    snprintf(keys, sizeof keys, "%s/keys", folder);
    REQUIRE("a folder", mkdir(keys, 0700) == 0);
    gh_arena_init(&arena, 64 * 1024 * 1024);
    counting.renew = gh_sealing_keyring.renew;
    counting.rewrap = gh_sealing_keyring.rewrap;
    counting.settle = gh_sealing_keyring.settle;
    keyring = gh_keyring_create(folder, GH_SLICE("file"), &error);
    REQUIRE(error.text, keyring != NULL && gh_keyring_save(keyring, &error) == GH_OK);
    open_all();
    check_fields();
    check_cache();
    check_devices();
    check_rotating_while_serving();
    check_interrupted();
    check_shredding();
    close_all();
    open_all();
    check_scan("no key in clear after a restart");
    struct gh_tenant tenant = {0};
    REQUIRE("the tenant",
            gh_directory_tenant_find(directory, GH_SLICE("one"), &arena, &tenant, &error) == GH_OK);
    struct gh_seal_place place = {tenant.number, GH_SLICE("field"), GH_SLICE("later")};
    CHECK("after all that, sealing goes on", opens(&place, seal(&place, "more"), "more"));
    close_all();
    gh_keyring_close(keyring);
    gh_arena_deinit(&arena);
    return check_report();
}
