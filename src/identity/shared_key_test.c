/* Devices that sign in with a shared access signature, against a real directory; the clock is an
 * argument. */
#include "base/time.h"
#include "identity/device.h"
#include "identity/sas.h"
#include "registry/password.h"
#include "registry/sealing.h"
#include "tests/check.h"
#include "wire/base64.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define NOW_S INT64_C(1700000000)
#define NOW_MS (NOW_S * 1000)
enum { KEY_BYTES = 32, TOKEN_MAX = 512 };

static struct gh_directory *directory;
static struct gh_arena arena;
static struct gh_error error;

/* Key number `n`: bytes that nobody else has. */
static void key_of(uint8_t n, uint8_t out[KEY_BYTES])
{
    memset(out, n, KEY_BYTES);
}

static struct gh_slice key_text(uint8_t n)
{
    uint8_t key[KEY_BYTES], block[64];
    struct gh_buffer text = gh_buffer_fixed(block, sizeof block);
    struct gh_slice copy = {0};
    key_of(n, key);
    REQUIRE("a key", gh_base64_encode(gh_slice(key, sizeof key), GH_BASE64_STANDARD, &text) &&
                         gh_arena_copy(&arena, gh_buffer_slice(&text), &copy));
    return copy;
}

static struct gh_slice sign(uint8_t n, const char *resource, int64_t expires_at_s, const char *more,
                            char out[TOKEN_MAX])
{
    uint8_t key[KEY_BYTES], digest[GH_SHA256_BYTES], block[64];
    char text[TOKEN_MAX];
    struct gh_buffer base64 = gh_buffer_fixed(block, sizeof block);
    int size = snprintf(text, sizeof text, "%s\n%lld", resource, (long long)expires_at_s);
    key_of(n, key);
    gh_hmac_sha256(gh_slice(key, sizeof key), gh_slice(text, (size_t)size), digest);
    REQUIRE("signed",
            gh_base64_encode(gh_slice(digest, sizeof digest), GH_BASE64_STANDARD, &base64));
    struct gh_slice signature = gh_buffer_slice(&base64);
    size = snprintf(out, TOKEN_MAX, "SharedAccessSignature sr=%s&sig=%.*s&se=%lld%s", resource,
                    GH_PRINT(signature), (long long)expires_at_s, more);
    return gh_slice(out, (size_t)size);
}

static void add(int64_t registry, const char *id, bool blocked, struct gh_credential first,
                struct gh_credential second)
{
    struct gh_device device = {.registry = registry,
                               .id = gh_slice_text(id),
                               .blocked = blocked,
                               .credentials_count = second.format != 0 ? 2 : 1,
                               .credentials = {first, second}};
    REQUIRE(id, gh_directory_device_create(directory, &device, &arena, &error) == GH_OK);
}

static struct gh_credential symmetric(uint8_t n)
{
    return (struct gh_credential){.format = GH_CREDENTIAL_SYMMETRIC, .secret = key_text(n)};
}

static void fill(void)
{
    struct gh_tenant tenant = {.name = GH_SLICE("acme")};
    REQUIRE("a tenant", gh_directory_tenant_create(directory, &tenant, &error) == GH_OK);
    struct gh_registry registry = {.tenant = tenant.number,
                                   .name = GH_SLICE("hall"),
                                   .mqtt_enabled = true,
                                   .log_level = GH_DEVICE_LOG_ERROR};
    REQUIRE("a registry", gh_directory_registry_create(directory, &registry, &error) == GH_OK);
    struct gh_credential disabled = symmetric(4), early = symmetric(5), ends = symmetric(6),
                         none = {0};
    disabled.disabled = true;
    early.valid_from_ms = NOW_MS + 1;
    ends.expires_at_ms = NOW_MS + 60 * 1000;
    add(registry.number, "pump", false, symmetric(1), symmetric(2));
    add(registry.number, "blocked", true, symmetric(3), none);
    add(registry.number, "states", false, disabled, early);
    add(registry.number, "ends", false, ends, none);
    add(registry.number, "secret", false,
        (struct gh_credential){.format = GH_CREDENTIAL_PASSWORD,
                               .secret = GH_SLICE("0123456789abcdef0123")},
        none);
}

#define PUMP "acme%2Fhall%2Fpump"

static void decides(void)
{
    static const struct {
        const char *claim, *device;
        uint8_t key;
        const char *resource;
        int64_t expires_at_s;
        const char *more;
        enum gh_identity_reason reason;
        int64_t valid_until_s;
    } rows[] = {
        {"the primary key", "pump", 1, PUMP, NOW_S + 60, "", GH_IDENTITY_ACCEPTED,
         NOW_S + 60 + GH_SAS_SKEW_S},
        {"the secondary key", "pump", 2, PUMP, NOW_S + 60, "", GH_IDENTITY_ACCEPTED,
         NOW_S + 60 + GH_SAS_SKEW_S},
        {"a resource with slashes", "pump", 1, "acme/hall/pump", NOW_S + 60, "",
         GH_IDENTITY_ACCEPTED, NOW_S + 60 + GH_SAS_SKEW_S},
        {"a clock that is behind", "pump", 1, PUMP, NOW_S - GH_SAS_SKEW_S + 1, "",
         GH_IDENTITY_ACCEPTED, NOW_S + 1},
        {"too far behind", "pump", 1, PUMP, NOW_S - GH_SAS_SKEW_S, "", GH_IDENTITY_TOKEN_EXPIRED,
         0},
        {"for ever", "pump", 1, PUMP, 99999999999, "", GH_IDENTITY_ACCEPTED,
         GH_IDENTITY_FOR_EVER_S},
        {"the key ends before the token", "ends", 6, "acme%2Fhall%2Fends", NOW_S + 600, "",
         GH_IDENTITY_ACCEPTED, NOW_S + 60},
        {"another device's key", "pump", 3, PUMP, NOW_S + 60, "", GH_IDENTITY_SIGNATURE, 0},
        {"another device's resource", "pump", 1, "acme%2Fhall%2Fends", NOW_S + 60, "",
         GH_IDENTITY_SUBJECT, 0},
        {"another tenant's resource", "pump", 1, "other%2Fhall%2Fpump", NOW_S + 60, "",
         GH_IDENTITY_SUBJECT, 0},
        {"a wider resource", "pump", 1, "acme%2Fhall", NOW_S + 60, "", GH_IDENTITY_SUBJECT, 0},
        {"a policy", "pump", 1, PUMP, NOW_S + 60, "&skn=device", GH_IDENTITY_SUBJECT, 0},
        {"no policy", "pump", 1, PUMP, NOW_S + 60, "&skn=", GH_IDENTITY_ACCEPTED,
         NOW_S + 60 + GH_SAS_SKEW_S},
        {"a broken token", "pump", 1, PUMP, NOW_S + 60, "&se=1", GH_IDENTITY_TOKEN_MALFORMED, 0},
        {"a disabled key", "states", 4, "acme%2Fhall%2Fstates", NOW_S + 60, "",
         GH_IDENTITY_CREDENTIAL_DISABLED, 0},
        {"a key of tomorrow", "states", 5, "acme%2Fhall%2Fstates", NOW_S + 60, "",
         GH_IDENTITY_CREDENTIAL_NOT_YET_VALID, 0},
        {"a blocked device", "blocked", 3, "acme%2Fhall%2Fblocked", NOW_S + 60, "",
         GH_IDENTITY_BLOCKED, 0},
        {"a device without such a key", "secret", 1, "acme%2Fhall%2Fsecret", NOW_S + 60, "",
         GH_IDENTITY_NO_CREDENTIAL, 0},
        {"no such device", "nobody", 1, "acme%2Fhall%2Fnobody", NOW_S + 60, "",
         GH_IDENTITY_UNKNOWN_DEVICE, 0},
    };
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        char token[TOKEN_MAX];
        struct gh_identity_verdict verdict;
        struct gh_identity_claim claim = {.by = GH_IDENTITY_BY_TENANT_NAME,
                                          .tenant = GH_SLICE("acme"),
                                          .registry = GH_SLICE("hall"),
                                          .device = gh_slice_text(rows[i].device),
                                          .over = GH_IDENTITY_OVER_MQTT};
        claim.sas = sign(rows[i].key, rows[i].resource, rows[i].expires_at_s, rows[i].more, token);
        if (!CHECK(rows[i].claim, gh_identity_device(directory, &claim, NOW_MS, &arena, &verdict) ==
                                      rows[i].reason))
            fprintf(stderr, "    %s: %s\n", gh_identity_reason_name(verdict.reason),
                    verdict.detail);
        CHECK(rows[i].claim, verdict.valid_until_s == rows[i].valid_until_s);
        CHECK("no detail repeats the signature", strstr(verdict.detail, "sig=") == NULL);
    }
}

static void notes_use(void)
{
    struct gh_tenant tenant;
    struct gh_device device;
    REQUIRE("found", gh_directory_tenant_find(directory, GH_SLICE("acme"), &arena, &tenant,
                                              &error) == GH_OK &&
                         gh_directory_device_find(directory, tenant.number, GH_SLICE("hall"),
                                                  (struct gh_slice){0}, GH_SLICE("states"), &arena,
                                                  &device, &error) == GH_OK);
    CHECK("what was refused was not used", device.credentials[0].last_used_ms == 0);
    REQUIRE("found", gh_directory_device_find(directory, tenant.number, GH_SLICE("hall"),
                                              (struct gh_slice){0}, GH_SLICE("pump"), &arena,
                                              &device, &error) == GH_OK);
    CHECK("what was accepted was", device.credentials[0].last_used_ms == NOW_MS &&
                                       device.credentials[1].last_used_ms == NOW_MS);
}

int main(void)
{
    char keys[4096];
    const char *folder = check_folder();
    snprintf(keys, sizeof keys, "%s/keys", folder);
    REQUIRE("a folder", mkdir(keys, 0700) == 0);
    gh_arena_init(&arena, 16 << 20);
    struct gh_keyring *keyring = gh_keyring_create(folder, GH_SLICE("file"), &error);
    REQUIRE(error.text, keyring != NULL && gh_keyring_save(keyring, &error) == GH_OK);
    struct gh_store *store = gh_store_open(folder, GH_STORE_CREATE, &error);
    struct gh_sealing *sealing = gh_sealing_open(store, &gh_sealing_keyring, keyring);
    struct gh_device_passwords *passwords =
        gh_device_passwords_with(GH_SLICE("a key of 32 bytes for this test.."));
    directory = gh_directory_open(store, NULL, NULL, &error);
    REQUIRE(error.text, sealing != NULL && directory != NULL && passwords != NULL);
    gh_directory_use_sealing(directory, sealing);
    gh_directory_use_passwords(directory, passwords);
    fill();
    decides();
    notes_use();
    gh_directory_close(directory);
    gh_device_passwords_close(passwords);
    gh_sealing_close(sealing);
    gh_store_close(store);
    gh_keyring_close(keyring);
    gh_arena_deinit(&arena);
    return check_report();
}
