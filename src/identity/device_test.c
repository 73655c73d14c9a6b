/* Devices against a real directory in a temporary folder; the clock is an argument. */
#include "identity/device.h"
#include "registry/password.h"
#include "tests/check.h"
#include <stdio.h>
#include <string.h>

#define NOW_S INT64_C(1700000000)
#define NOW_MS (NOW_S * 1000)
enum { PEM_MAX = 2048, TOKEN_MAX = 4096, ARENA_BYTES = 4 << 20 };

struct signer {
    struct gh_private_key *key;
    uint8_t block[PEM_MAX];
    struct gh_slice pem;
};

static void signer_open(struct signer *signer, enum gh_key_kind kind)
{
    struct gh_buffer pem = gh_buffer_fixed(signer->block, sizeof signer->block);
    signer->key = gh_private_key_generate(kind, NULL);
    REQUIRE("a key is generated", signer->key != NULL);
    REQUIRE("its public half is written", gh_private_key_print_public(signer->key, &pem));
    signer->pem = gh_buffer_slice(&pem);
}

#define LONG_SECRET "q8Zt0bWc5vYk2nLr7xHd"

static struct world {
    struct gh_store *store;
    struct gh_directory *directory;
    struct gh_device_passwords *passwords;
    struct gh_arena arena;
    struct signer ec, rsa, old, stranger, silent;
    int64_t tenant;
    uint64_t device;
} world;

static int64_t add_registry(const char *name, bool mqtt, bool http)
{
    struct gh_registry registry = {.tenant = world.tenant,
                                   .name = gh_slice_text(name),
                                   .location = GH_SLICE("europe-west1"),
                                   .mqtt_enabled = mqtt,
                                   .http_enabled = http,
                                   .log_level = GH_DEVICE_LOG_ERROR};
    struct gh_error error = {0};
    REQUIRE("a registry",
            gh_directory_registry_create(world.directory, &registry, &error) == GH_OK);
    return registry.number;
}

static uint64_t add_device(int64_t registry, const char *id, bool blocked,
                           const struct gh_credential *credentials, size_t count)
{
    struct gh_device device = {.registry = registry,
                               .id = gh_slice_text(id),
                               .blocked = blocked,
                               .shares_keys = true,
                               .credentials_count = count};
    struct gh_error error = {0};
    for (size_t i = 0; i < count; i++)
        device.credentials[i] = credentials[i];
    REQUIRE(id,
            gh_directory_device_create(world.directory, &device, &world.arena, &error) == GH_OK);
    return device.number;
}

static void world_open(void)
{
    struct gh_error error = {0};
    struct gh_tenant tenant = {.name = GH_SLICE("demo"),
                               .google_project = GH_SLICE("demo-project")};

    gh_arena_init(&world.arena, ARENA_BYTES);
    world.store = gh_store_open(check_folder(), GH_STORE_CREATE, &error);
    REQUIRE("the store opens", world.store != NULL);
    world.directory = gh_directory_open(world.store, NULL, NULL, &error);
    REQUIRE("the directory opens", world.directory != NULL);
    REQUIRE("a tenant", gh_directory_tenant_create(world.directory, &tenant, &error) == GH_OK);
    world.tenant = tenant.number;
    signer_open(&world.ec, GH_KEY_P256);
    signer_open(&world.rsa, GH_KEY_RSA);
    signer_open(&world.old, GH_KEY_P256);
    signer_open(&world.stranger, GH_KEY_P256);
    signer_open(&world.silent, GH_KEY_P256);

    const struct gh_credential three[] = {
        {.format = GH_CREDENTIAL_ES256_PEM, .pem = world.old.pem, .expires_at_ms = NOW_MS},
        {.format = GH_CREDENTIAL_RSA_PEM, .pem = world.rsa.pem},
        {.format = GH_CREDENTIAL_ES256_PEM, .pem = world.ec.pem, .expires_at_ms = NOW_MS + 1},
    };
    int64_t open = add_registry("warehouse", true, true);
    world.device = add_device(open, "hall-1", false, three, 3);
    (void)add_device(open, "blocked", true, &three[2], 1);
    (void)add_device(open, "bare", false, NULL, 0);
    (void)add_device(open, "rsa-only", false, &three[1], 1);
    (void)add_device(
        add_registry("silent", false, false), "hall-1", false,
        &(struct gh_credential){.format = GH_CREDENTIAL_ES256_PEM, .pem = world.silent.pem}, 1);

    const struct gh_credential passwords[] =
        {
            {.format = GH_CREDENTIAL_PASSWORD, .secret = GH_SLICE(LONG_SECRET)},
            {.format = GH_CREDENTIAL_PASSWORD,
             .secret = GH_SLICE(LONG_SECRET "-old"),
             .expires_at_ms = NOW_MS},
            {.format = GH_CREDENTIAL_ES256_PEM, .pem = world.ec.pem},
        },
                               short_ones[] = {
                                   {.format = GH_CREDENTIAL_PASSWORD,
                                    .secret = GH_SLICE("password"),
                                    .expires_at_ms = NOW_MS + 5000},
                                   {.format = GH_CREDENTIAL_PASSWORD,
                                    .secret = GH_SLICE("password-2")},
                               };
    world.passwords = gh_device_passwords_with(GH_SLICE("a key of 32 bytes for this test.."));
    REQUIRE("passwords", world.passwords != NULL);
    gh_directory_use_passwords(world.directory, world.passwords);
    (void)add_device(open, "pump-1", false, passwords, 3);
    (void)add_device(open, "pump-2", false, short_ones, 2);
    (void)add_device(open, "pump-3", true, short_ones, 2);
}

static void world_close(void)
{
    gh_private_key_close(world.ec.key);
    gh_private_key_close(world.rsa.key);
    gh_private_key_close(world.old.key);
    gh_private_key_close(world.stranger.key);
    gh_private_key_close(world.silent.key);
    gh_directory_close(world.directory);
    gh_device_passwords_close(world.passwords);
    gh_store_close(world.store);
    gh_arena_deinit(&world.arena);
}

/* A token for `audience` issued `age_s` ago that lives for an hour. */
static struct gh_slice sign(const struct signer *signer, const char *audience, int64_t age_s,
                            struct gh_buffer *out)
{
    struct gh_jose_issue issue = {.audience = gh_slice_text(audience),
                                  .issued_at_s = NOW_S - age_s,
                                  .expires_at_s = NOW_S - age_s + 3600};
    gh_buffer_clear(out);
    REQUIRE("a token is signed", gh_jwt_sign(signer->key, &issue, out));
    return gh_buffer_slice(out);
}

static enum gh_identity_reason ask(struct gh_identity_claim claim, struct gh_identity_verdict *out)
{
    enum gh_identity_reason reason =
        gh_identity_device(world.directory, &claim, NOW_MS, &world.arena, out);
    CHECK("the reason is in the verdict", out->reason == reason);
    CHECK("every verdict says something", out->detail[0] != '\0');
    CHECK("a refusal ends nothing later",
          reason == GH_IDENTITY_ACCEPTED || out->valid_until_s == 0);
    return reason;
}

static struct gh_identity_claim claim_of(const char *registry, const char *device,
                                         struct gh_slice token)
{
    return (struct gh_identity_claim){.by = GH_IDENTITY_BY_GOOGLE_PROJECT,
                                      .tenant = GH_SLICE("demo-project"),
                                      .registry = gh_slice_text(registry),
                                      .location = GH_SLICE("europe-west1"),
                                      .device = gh_slice_text(device),
                                      .token = token,
                                      .over = GH_IDENTITY_OVER_MQTT,
                                      .policy = gh_jwt_google};
}

/* google.md 1.2 and 1.3: who is asked for, signed by whom, for which audience, and how long ago. */
static const struct {
    const char *claim, *registry, *device;
    const struct signer *signer;
    const char *audience;
    int64_t age_s;
    enum gh_identity_reason reason;
    const char *detail;
} cases[] = {
    {"the P-256 key", "warehouse", "hall-1", &world.ec, "demo-project", 0, GH_IDENTITY_ACCEPTED,
     "accepted"},
    {"the RSA key", "warehouse", "hall-1", &world.rsa, "demo-project", 0, GH_IDENTITY_ACCEPTED,
     "accepted"},
    {"expired 600 s ago, inside the skew", "warehouse", "hall-1", &world.ec, "demo-project", 4200,
     GH_IDENTITY_ACCEPTED, "accepted"},
    {"expired 912 s ago", "warehouse", "hall-1", &world.ec, "demo-project", 4512,
     GH_IDENTITY_TOKEN_EXPIRED, "token expired 912 s ago, server clock 2023-11-14T22:13:20.000Z"},
    {"issued 700 s ahead", "warehouse", "hall-1", &world.ec, "demo-project", -700,
     GH_IDENTITY_TOKEN_NOT_YET_VALID, "issued 700 s in the future"},
    {"another project", "warehouse", "hall-1", &world.ec, "other", 0, GH_IDENTITY_AUDIENCE,
     "aud is \"other\", expected \"demo-project\""},
    {"a key that is not registered", "warehouse", "hall-1", &world.stranger, "demo-project", 0,
     GH_IDENTITY_SIGNATURE, "signed by none of its credentials (3)"},
    {"a key that has expired", "warehouse", "hall-1", &world.old, "demo-project", 0,
     GH_IDENTITY_CREDENTIAL_EXPIRED, "expired at 2023-11-14T22:13:20.000Z"},
    {"an expired key for another project is first of all expired", "warehouse", "hall-1",
     &world.old, "other", 0, GH_IDENTITY_CREDENTIAL_EXPIRED, "expired at"},
    {"a key of the wrong kind", "warehouse", "rsa-only", &world.ec, "demo-project", 0,
     GH_IDENTITY_ALGORITHM, "alg is \"ES256\", which none of the 1 credentials has"},
    {"a blocked device", "warehouse", "blocked", &world.ec, "demo-project", 0, GH_IDENTITY_BLOCKED,
     "blocked"},
    {"a device without credentials", "warehouse", "bare", &world.ec, "demo-project", 0,
     GH_IDENTITY_NO_CREDENTIAL, "no credential"},
    {"a registry without MQTT", "silent", "hall-1", &world.ec, "demo-project", 0,
     GH_IDENTITY_MQTT_DISABLED, "MQTT is switched off"},
    {"no such device", "warehouse", "hall-9", &world.ec, "demo-project", 0,
     GH_IDENTITY_UNKNOWN_DEVICE, "there is no device \"hall-9\""},
    {"no such registry", "nowhere", "hall-1", &world.ec, "demo-project", 0,
     GH_IDENTITY_UNKNOWN_REGISTRY, "there is no registry \"nowhere\""},
    {"a name that could not be one", "warehouse", "\xff\n", &world.ec, "demo-project", 0,
     GH_IDENTITY_UNKNOWN_DEVICE, "there is no device \"\?\?\""},
    {"an empty name", "warehouse", "", &world.ec, "demo-project", 0, GH_IDENTITY_UNKNOWN_DEVICE,
     "there is no device"},
};

static void judge_cases(void)
{
    struct gh_identity_verdict verdict;
    struct gh_buffer block;

    gh_buffer_init(&block, TOKEN_MAX);
    for (size_t i = 0; i < GH_COUNT(cases); i++) {
        struct gh_slice token = sign(cases[i].signer, cases[i].audience, cases[i].age_s, &block);
        enum gh_identity_reason reason =
            ask(claim_of(cases[i].registry, cases[i].device, token), &verdict);
        if (!CHECK(cases[i].claim, reason == cases[i].reason) ||
            !CHECK(cases[i].claim, strstr(verdict.detail, cases[i].detail) != NULL))
            fprintf(stderr, "  %s: %s\n", gh_identity_reason_name(reason), verdict.detail);
    }
    gh_buffer_deinit(&block);
}

static void accepted(void)
{
    struct gh_identity_verdict verdict;
    struct gh_buffer block;
    char number[32];

    gh_buffer_init(&block, TOKEN_MAX);
    (void)snprintf(number, sizeof number, "%llu", (unsigned long long)world.device);
    struct gh_slice token = sign(&world.ec, "demo-project", 0, &block);
    REQUIRE("by its number",
            ask(claim_of("warehouse", number, token), &verdict) == GH_IDENTITY_ACCEPTED);
    const struct gh_principal *principal = &verdict.principal;
    CHECK("the principal has the number", principal->device == world.device);
    CHECK("and the id", gh_slice_equal(principal->device_id, GH_SLICE("hall-1")));
    CHECK("and its tenant", principal->tenant == world.tenant &&
                                gh_slice_equal(principal->tenant_name, GH_SLICE("demo")));
    CHECK("and its registry", gh_slice_equal(principal->registry_name, GH_SLICE("warehouse")) &&
                                  gh_slice_equal(principal->location, GH_SLICE("europe-west1")));
    CHECK("and the registry's log level", principal->log_level == GH_DEVICE_LOG_ERROR);
    CHECK("and the credential that signed",
          gh_slice_equal(principal->credential_id, verdict.device->credentials[2].id));
    CHECK("the connection ends 600 s after exp",
          verdict.token_expires_at_s == NOW_S + 3600 && verdict.valid_until_s == NOW_S + 4200);

    struct gh_identity_claim claim = claim_of("warehouse", "hall-1", token);
    claim.location = GH_SLICE("us-central1");
    CHECK("in another location it is unknown",
          ask(claim, &verdict) == GH_IDENTITY_UNKNOWN_REGISTRY);
    claim.location = (struct gh_slice){0};
    CHECK("without a location it is found", ask(claim, &verdict) == GH_IDENTITY_ACCEPTED);
    claim.tenant = GH_SLICE("demo-projec");
    CHECK("another project is unknown", ask(claim, &verdict) == GH_IDENTITY_UNKNOWN_TENANT);
    claim.tenant = GH_SLICE("demo");
    CHECK("a tenant's name is not its project", ask(claim, &verdict) == GH_IDENTITY_UNKNOWN_TENANT);
    claim.by = GH_IDENTITY_BY_TENANT_NAME;
    CHECK("the audience is the tenant as claimed", ask(claim, &verdict) == GH_IDENTITY_AUDIENCE);
    claim.policy.audience = GH_SLICE("demo-project");
    CHECK("or what the dialect says", ask(claim, &verdict) == GH_IDENTITY_ACCEPTED);

    /* Some firmware writes the project's number everywhere. */
    (void)snprintf(number, sizeof number, "%lld", (long long)world.tenant);
    claim = claim_of("warehouse", "hall-1", sign(&world.ec, number, 0, &block));
    claim.tenant = gh_slice_text(number);
    CHECK("the number of a project is an alias", ask(claim, &verdict) == GH_IDENTITY_ACCEPTED);
    gh_buffer_deinit(&block);
}

static void over_http(void)
{
    struct gh_identity_verdict verdict;
    struct gh_buffer block;

    gh_buffer_init(&block, TOKEN_MAX);
    struct gh_identity_claim claim =
        claim_of("silent", "hall-1", sign(&world.ec, "demo-project", 0, &block));
    claim.over = GH_IDENTITY_OVER_HTTP;
    CHECK("a registry without HTTP", ask(claim, &verdict) == GH_IDENTITY_HTTP_DISABLED);
    gh_buffer_deinit(&block);
}

/* Malformed comes before everything, and still finds the device's page. */
static void malformed(void)
{
    static const struct {
        const char *token;
        enum gh_identity_reason reason;
    } rows[] = {
        {"", GH_IDENTITY_TOKEN_MALFORMED},
        {"not-a-jwt", GH_IDENTITY_TOKEN_MALFORMED},
        {"a.b.c", GH_IDENTITY_TOKEN_MALFORMED},
        {"eyJhbGciOiJFUzI1NiJ9.e30", GH_IDENTITY_TOKEN_MALFORMED},
        {"eyJhbGciOiJFUzI1NiJ9.W10.c2ln", GH_IDENTITY_TOKEN_MALFORMED}, /* [] */
        {"eyJhbGciOiJub25lIn0.e30.", GH_IDENTITY_ALGORITHM},
        {"eyJhbGciOiJIUzI1NiJ9.e30.c2ln", GH_IDENTITY_ALGORITHM},
        {"eyJhbGciOiJFUzI1NiJ9.e30.c2ln", GH_IDENTITY_SIGNATURE},
    };
    struct gh_identity_verdict verdict;

    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        struct gh_slice token = gh_slice_text(rows[i].token);
        CHECK(rows[i].token,
              ask(claim_of("warehouse", "hall-1", token), &verdict) == rows[i].reason);
        CHECK("the device is known", verdict.principal.device == world.device);
        enum gh_identity_reason unknown = ask(claim_of("warehouse", "hall-9", token), &verdict);
        CHECK("form comes before the lookup, all else after it",
              unknown == (rows[i].reason == GH_IDENTITY_TOKEN_MALFORMED
                              ? GH_IDENTITY_TOKEN_MALFORMED
                              : GH_IDENTITY_UNKNOWN_DEVICE));
        CHECK("an unknown device has no number", verdict.principal.device == 0);
    }
}

/* Secrets: who is asked for, what is shown. */
static const struct {
    const char *claim, *device, *secret;
    enum gh_identity_reason reason;
    const char *detail;
    int64_t valid_until_s;
} secret_cases[] = {
    {"a long one", "pump-1", LONG_SECRET, GH_IDENTITY_ACCEPTED, "accepted", GH_IDENTITY_FOR_EVER_S},
    {"the expired one beside it", "pump-1", LONG_SECRET "-old", GH_IDENTITY_CREDENTIAL_EXPIRED,
     "expired at 2023-11-14T22:13:20.000Z", 0},
    {"none of them", "pump-1", LONG_SECRET "-new", GH_IDENTITY_SECRET,
     "none of the device's 2 passwords", 0},
    {"a short one until its expiry", "pump-2", "password", GH_IDENTITY_ACCEPTED, "accepted",
     NOW_S + 5},
    {"the second generation", "pump-2", "password-2", GH_IDENTITY_ACCEPTED, "accepted",
     GH_IDENTITY_FOR_EVER_S},
    {"another short one", "pump-2", "password-3", GH_IDENTITY_SECRET, "none of", 0},
    {"another device's", "pump-2", LONG_SECRET, GH_IDENTITY_SECRET, "none of", 0},
    {"a blocked device with the right one", "pump-3", "password", GH_IDENTITY_BLOCKED, "blocked",
     0},
    {"a device with keys only", "hall-1", LONG_SECRET, GH_IDENTITY_NO_CREDENTIAL, "no password", 0},
    {"a device with nothing", "bare", LONG_SECRET, GH_IDENTITY_NO_CREDENTIAL, "no credential", 0},
    {"no such device", "pump-9", LONG_SECRET, GH_IDENTITY_UNKNOWN_DEVICE, "there is no device", 0},
    {"no such device, a short one", "pump-9", "password", GH_IDENTITY_UNKNOWN_DEVICE,
     "there is no device", 0},
};

static void judge_secrets(void)
{
    struct gh_identity_verdict verdict;
    struct gh_buffer block;

    for (size_t i = 0; i < GH_COUNT(secret_cases); i++) {
        struct gh_identity_claim claim =
            claim_of("warehouse", secret_cases[i].device, (struct gh_slice){0});
        claim.secret = gh_slice_text(secret_cases[i].secret);
        CHECK(secret_cases[i].claim, ask(claim, &verdict) == secret_cases[i].reason);
        CHECK(verdict.detail, strstr(verdict.detail, secret_cases[i].detail) != NULL);
        CHECK("the secret is not in the detail",
              strstr(verdict.detail, secret_cases[i].secret) == NULL ||
                  strcmp(secret_cases[i].secret, "password") == 0);
        CHECK(secret_cases[i].claim, verdict.valid_until_s == secret_cases[i].valid_until_s);
        CHECK("which credential it was", (verdict.principal.credential_id.size > 0) ==
                                             (secret_cases[i].reason == GH_IDENTITY_ACCEPTED));
    }
    gh_buffer_init(&block, TOKEN_MAX);
    struct gh_identity_claim claim =
        claim_of("warehouse", "pump-1", sign(&world.ec, "demo-project", 0, &block));
    CHECK("a token beside passwords", ask(claim, &verdict) == GH_IDENTITY_ACCEPTED);
    claim.device = GH_SLICE("pump-2");
    CHECK("a token of a device that has only passwords",
          ask(claim, &verdict) == GH_IDENTITY_ALGORITHM);
    gh_directory_use_passwords(world.directory, NULL);
    claim.secret = GH_SLICE(LONG_SECRET);
    CHECK("a server without passwords decides nothing",
          ask(claim, &verdict) == GH_IDENTITY_UNAVAILABLE);
    gh_directory_use_passwords(world.directory, world.passwords);
    gh_buffer_deinit(&block);
}

static void tokens_told_apart(void)
{
    static const struct {
        const char *password;
        bool is_token;
    } rows[] = {{"eyJhbGciOiJFUzI1NiJ9.e30.c2ln", true},
                {"eyJ.e30.c", true},
                {"eyJhbGciOiJFUzI1NiJ9.e30", false},
                {"eyJ.a.b.c", false},
                {"", false},
                {LONG_SECRET, false},
                {"a.b.c", false},
                {"eyJ..", false}};
    for (size_t i = 0; i < GH_COUNT(rows); i++)
        CHECK(rows[i].password,
              gh_identity_is_token(gh_slice_text(rows[i].password)) == rows[i].is_token);
}

static void names(void)
{
    for (int reason = 0; reason < GH_IDENTITY_REASON_COUNT; reason++)
        CHECK("each reason has a name",
              strlen(gh_identity_reason_name((enum gh_identity_reason)reason)) > 4);
}

/* Whoever holds the credential is told; a stranger is refused as ever. */
static void bans(void)
{
    static const struct {
        const char *claim;
        int64_t until_ms;
        bool mine;
        enum gh_identity_reason expected;
    } rows[] = {
        {"a ban that lasts", NOW_MS + 1, true, GH_IDENTITY_BANNED},
        {"a ban until it is lifted", GH_DEVICE_BANNED_FOR_EVER, true, GH_IDENTITY_BANNED},
        {"a stranger learns of no ban", GH_DEVICE_BANNED_FOR_EVER, false, GH_IDENTITY_SIGNATURE},
        {"a ban that is over", NOW_MS, true, GH_IDENTITY_ACCEPTED},
        {"no ban", 0, true, GH_IDENTITY_ACCEPTED},
    };
    struct gh_identity_verdict verdict;
    struct gh_buffer block;

    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        struct gh_device change = {.banned_until_ms = rows[i].until_ms};
        gh_buffer_init(&block, TOKEN_MAX);
        struct gh_identity_claim claim =
            claim_of("warehouse", "hall-1",
                     sign(rows[i].mine ? &world.ec : &world.stranger, "demo-project", 0, &block));
        REQUIRE(rows[i].claim,
                gh_directory_device_update(world.directory, world.device, GH_DEVICE_BAN, &change,
                                           &world.arena, NULL, NULL) == GH_OK);
        CHECK(rows[i].claim, ask(claim, &verdict) == rows[i].expected);
        CHECK(rows[i].claim,
              verdict.reason == rows[i].expected && verdict.principal.device == world.device);
        gh_buffer_deinit(&block);
    }
}

static void changes(void)
{
    struct gh_identity_verdict verdict;
    struct gh_device change = {.blocked = true};
    struct gh_buffer block;
    struct gh_arena tiny;

    gh_buffer_init(&block, TOKEN_MAX);
    struct gh_identity_claim claim =
        claim_of("warehouse", "hall-1", sign(&world.ec, "demo-project", 0, &block));
    gh_arena_init(&tiny, 256);
    CHECK("without memory nothing is decided",
          gh_identity_device(world.directory, &claim, NOW_MS, &tiny, &verdict) ==
              GH_IDENTITY_UNAVAILABLE);
    gh_arena_deinit(&tiny);
    REQUIRE("blocked", gh_directory_device_update(world.directory, world.device, GH_DEVICE_BLOCKED,
                                                  &change, &world.arena, NULL, NULL) == GH_OK);
    CHECK("a block counts at once", ask(claim, &verdict) == GH_IDENTITY_BLOCKED);
    REQUIRE("deleted", gh_directory_device_delete(world.directory, world.device, NULL) == GH_OK);
    CHECK("and so does a deletion", ask(claim, &verdict) == GH_IDENTITY_UNKNOWN_DEVICE);
    gh_buffer_deinit(&block);
}

int main(void)
{
    world_open();
    judge_cases();
    accepted();
    over_http();
    malformed();
    judge_secrets();
    tokens_told_apart();
    names();
    bans();
    changes();
    world_close();
    return check_report();
}
