/* Access tokens and the service that gives them, against a real store; the clock is an argument,
 * and the keys are this program's own. */
#include "identity/access.h"
#include "identity/bearer.h"
#include "identity/oauth.h"
#include "registry/password.h"
#include "tests/check.h"
#include "wire/base64.h"
#include "wire/json.h"
#include <stdio.h>
#include <string.h>

#define NOW_S INT64_C(1700000000)
#define NOW_MS (NOW_S * 1000)
#define SECRET "q8Zt0bWc5vYk2nLr7xHd"
#define ISSUER "https://gatehouse.example"
#define SHOWN "what a peer showed; nobody looks into it here"
enum { TOKEN_MAX = 4096, ARENA_BYTES = 16 << 20 };

/* --- a signer with keys in memory */

static struct {
    struct gh_private_key *of[GH_ACCESS_KEYS_MAX];
    enum gh_access_key_state states[GH_ACCESS_KEYS_MAX];
    size_t count;
} held;

static enum gh_error_code list(void *context, struct gh_arena *arena,
                               struct gh_access_key_row rows[GH_ACCESS_KEYS_MAX], size_t *count,
                               struct gh_error *error)
{
    (void)context;
    for (size_t i = 0; i < held.count; i++) {
        uint8_t block[2048];
        struct gh_buffer pem = gh_buffer_fixed(block, sizeof block);
        if (!gh_private_key_print_public(held.of[i], &pem) ||
            !gh_arena_copy(arena, gh_buffer_slice(&pem), &rows[i].pem))
            return gh_error_set(error, GH_ERROR_MEMORY, "no memory");
        rows[i].state = held.states[i];
        rows[i].created_at_s = NOW_S;
    }
    *count = held.count;
    return GH_OK;
}

static bool has_kid(const struct gh_private_key *key, struct gh_slice kid)
{
    uint8_t block[2048];
    char thumbprint[GH_JWK_THUMBPRINT_MAX];
    struct gh_buffer pem = gh_buffer_fixed(block, sizeof block);
    REQUIRE("printed", gh_private_key_print_public(key, &pem));
    struct gh_key *public = gh_key_open(gh_buffer_slice(&pem), NULL);
    REQUIRE("named", gh_jwk_thumbprint(public, thumbprint));
    gh_key_close(public);
    return gh_slice_equal(kid, gh_slice_text(thumbprint));
}

static enum gh_error_code sign(void *context, struct gh_slice kid, struct gh_slice message,
                               struct gh_buffer *out, struct gh_error *error)
{
    uint8_t signature[GH_KEY_SIGNATURE_MAX];
    size_t size;
    (void)context;
    for (size_t i = 0; i < held.count; i++)
        if (held.states[i] == GH_ACCESS_KEY_CURRENT && has_kid(held.of[i], kid) &&
            gh_private_key_sign(held.of[i], message, signature, &size))
            return gh_buffer_put(out, gh_slice(signature, size))
                       ? GH_OK
                       : gh_error_set(error, GH_ERROR_MEMORY, "no room");
    return gh_error_set(error, GH_ERROR_NOT_FOUND, "no such key");
}

static void hold(enum gh_key_kind kind, enum gh_access_key_state state)
{
    held.of[held.count] = gh_private_key_generate(kind, NULL);
    REQUIRE("a key", held.of[held.count] != NULL);
    held.states[held.count++] = state;
}

static enum gh_error_code rotate(void *context, enum gh_key_kind kind, struct gh_error *error)
{
    bool had = false;
    (void)context, (void)error;
    for (size_t i = 0; i < held.count; i++) {
        if (gh_private_key_kind(held.of[i]) != kind)
            continue;
        had = true;
        held.states[i] =
            held.states[i] == GH_ACCESS_KEY_NEXT ? GH_ACCESS_KEY_CURRENT : GH_ACCESS_KEY_PREVIOUS;
    }
    if (!had)
        hold(kind, GH_ACCESS_KEY_CURRENT);
    hold(kind, GH_ACCESS_KEY_NEXT);
    return GH_OK;
}

/* --- the world */

static struct {
    struct gh_store *store;
    struct gh_directory *directory;
    struct gh_device_passwords *passwords;
    struct gh_access *access;
    struct gh_private_key *key;
    struct gh_arena arena;
    int64_t registry;
    uint64_t device;
} world;

static uint64_t add_device(const char *id, bool blocked)
{
    uint8_t block[2048];
    struct gh_buffer pem = gh_buffer_fixed(block, sizeof block);
    struct gh_error error = {0};
    struct gh_device device = {
        .registry = world.registry,
        .id = gh_slice_text(id),
        .blocked = blocked,
        .shares_keys = true,
        .credentials_count = 2,
        .credentials = {{.format = GH_CREDENTIAL_PASSWORD, .secret = GH_SLICE(SECRET)},
                        {.format = GH_CREDENTIAL_ES256_PEM, .expires_at_ms = NOW_MS + 600 * 1000}}};
    REQUIRE("printed", gh_private_key_print_public(world.key, &pem));
    device.credentials[1].pem = gh_buffer_slice(&pem);
    if (!CHECK(id,
               gh_directory_device_create(world.directory, &device, &world.arena, &error) == GH_OK))
        fprintf(stderr, "  %s\n", error.text);
    return device.number;
}

static void world_open(void)
{
    struct gh_error error = {0};
    struct gh_tenant tenant = {.name = GH_SLICE("acme"),
                               .google_project = GH_SLICE("acme-project")};
    const struct gh_access_signer signer = {.list = list, .sign = sign, .rotate = rotate};
    gh_arena_init(&world.arena, ARENA_BYTES);
    world.store = gh_store_open(check_folder(), GH_STORE_CREATE, &error);
    REQUIRE("the store opens", world.store != NULL);
    world.directory = gh_directory_open(world.store, NULL, NULL, &error);
    REQUIRE("the directory opens", world.directory != NULL);
    world.passwords = gh_device_passwords_with(GH_SLICE("a key of 32 bytes for this test.."));
    gh_directory_use_passwords(world.directory, world.passwords);
    REQUIRE("a tenant", gh_directory_tenant_create(world.directory, &tenant, &error) == GH_OK);
    struct gh_registry registry = {.tenant = tenant.number,
                                   .name = GH_SLICE("hall"),
                                   .location = GH_SLICE("here"),
                                   .mqtt_enabled = true,
                                   .http_enabled = true};
    REQUIRE("a registry",
            gh_directory_registry_create(world.directory, &registry, &error) == GH_OK);
    world.registry = registry.number;
    world.key = gh_private_key_generate(GH_KEY_P256, NULL);
    world.device = add_device("probe-1", false);
    (void)add_device("probe-2", false);
    (void)add_device("blocked", true);
    REQUIRE("keys", rotate(NULL, GH_KEY_P256, NULL) == GH_OK);
    world.access = gh_access_open(world.store, &signer, &error);
    REQUIRE("access", world.access != NULL);
    REQUIRE("the issuer", gh_access_set_issuer(world.access, GH_SLICE(ISSUER)));
}

static void world_close(void)
{
    gh_access_close(world.access);
    gh_private_key_close(world.key);
    while (held.count > 0)
        gh_private_key_close(held.of[--held.count]);
    gh_directory_close(world.directory);
    gh_device_passwords_close(world.passwords);
    gh_store_close(world.store);
    gh_arena_deinit(&world.arena);
}

/* --- asking the token endpoint */

static const char *basic(const char *id, const char *secret)
{
    char *both = gh_arena_print(&world.arena, "%s:%s", id, secret);
    uint8_t *block = gh_arena_alloc(&world.arena, 512);
    struct gh_buffer text = gh_buffer_fixed(block, 512);
    gh_buffer_put(&text, GH_SLICE("Basic "));
    gh_base64_encode(gh_slice_text(both), GH_BASE64_STANDARD, &text);
    gh_buffer_u8(&text, '\0');
    return (const char *)block;
}

struct ask {
    const char *body, *authorization, *source;
    struct gh_slice certificate;
    int64_t now_ms;
};

static enum gh_oauth_error ask(struct ask ask, struct gh_oauth_outcome *out)
{
    const struct gh_oauth_services services = {.directory = world.directory,
                                               .access = world.access};
    const struct gh_oauth_request request = {
        .body = gh_slice_text(ask.body),
        .content_type = GH_SLICE("application/x-www-form-urlencoded; charset=UTF-8"),
        .authorization = gh_slice_text(ask.authorization),
        .source = gh_slice_text(ask.source != NULL ? ask.source : "192.0.2.1"),
        .chain = &ask.certificate,
        .chain_count = ask.certificate.size > 0,
        .now_ms = ask.now_ms != 0 ? ask.now_ms : NOW_MS};
    enum gh_oauth_error error = gh_oauth_token(&services, &request, &world.arena, out);
    CHECK("the error is in the outcome", out->error == error);
    CHECK("every outcome has a reason", out->reason[0] != '\0' && out->detail[0] != '\0');
    CHECK("a token or a refusal", (error == GH_OAUTH_OK) == (out->token.size > 0));
    return error;
}

#define GRANT "grant_type=client_credentials"
#define EXCHANGE "grant_type=urn:ietf:params:oauth:grant-type:token-exchange"
#define JWT_TYPE "&subject_token_type=urn:ietf:params:oauth:token-type:jwt"

static struct gh_slice token_of(const char *fields)
{
    struct gh_oauth_outcome outcome;
    char *body = gh_arena_print(&world.arena, GRANT "%s", fields);
    REQUIRE("a token",
            ask((struct ask){.body = body, .authorization = basic("acme%2Fhall%2Fprobe-1", SECRET)},
                &outcome) == GH_OAUTH_OK);
    return outcome.token;
}

static const struct {
    const char *claim, *body, *id, *secret;
    enum gh_oauth_error error;
    const char *reason;
} requests[] = {
    {"id and secret", GRANT, "acme%2Fhall%2Fprobe-1", SECRET, GH_OAUTH_OK, "TOKEN_ISSUED"},
    {"an id that is not encoded", GRANT, "acme/hall/probe-1", SECRET, GH_OAUTH_OK, "TOKEN_ISSUED"},
    {"both scopes", GRANT "&scope=api+mqtt", "acme/hall/probe-1", SECRET, GH_OAUTH_OK,
     "TOKEN_ISSUED"},
    {"an empty field is none", GRANT "&scope=&resource=", "acme/hall/probe-1", SECRET, GH_OAUTH_OK,
     "TOKEN_ISSUED"},
    {"for us", GRANT "&resource=https%3A%2F%2Fgatehouse.example", "acme/hall/probe-1", SECRET,
     GH_OAUTH_OK, "TOKEN_ISSUED"},
    {"for somebody else", GRANT "&resource=https%3A%2F%2Fgatehouse.example%2F", "acme/hall/probe-1",
     SECRET, GH_OAUTH_INVALID_TARGET, "REQUEST"},
    {"a scope that is none", GRANT "&scope=mqtt+admin", "acme/hall/probe-1", SECRET,
     GH_OAUTH_INVALID_SCOPE, "REQUEST"},
    {"an algorithm that is none", GRANT "&token_signing_alg=none", "acme/hall/probe-1", SECRET,
     GH_OAUTH_INVALID_REQUEST, "REQUEST"},
    {"a field twice", GRANT "&" GRANT, "acme/hall/probe-1", SECRET, GH_OAUTH_INVALID_REQUEST,
     "REQUEST"},
    {"no grant", "scope=api", "acme/hall/probe-1", SECRET, GH_OAUTH_INVALID_REQUEST, "REQUEST"},
    {"the password grant", "grant_type=password&username=a&password=b", "acme/hall/probe-1", SECRET,
     GH_OAUTH_UNSUPPORTED_GRANT_TYPE, "REQUEST"},
    {"a secret in the body", GRANT "&client_secret=" SECRET, "acme/hall/probe-1", SECRET,
     GH_OAUTH_INVALID_CLIENT, "REQUEST"},
    {"another id in the body", GRANT "&client_id=acme/hall/probe-2", "acme/hall/probe-1", SECRET,
     GH_OAUTH_INVALID_REQUEST, "REQUEST"},
    {"no id", GRANT, "", SECRET, GH_OAUTH_INVALID_CLIENT, "CLIENT_ID"},
    {"two names", GRANT, "acme/hall", SECRET, GH_OAUTH_INVALID_CLIENT, "CLIENT_ID"},
    {"four names", GRANT, "acme/hall/probe-1/x", SECRET, GH_OAUTH_INVALID_CLIENT, "CLIENT_ID"},
    {"no secret", GRANT, "acme/hall/probe-1", "", GH_OAUTH_INVALID_CLIENT, "REQUEST"},
    {"an unknown device", GRANT, "acme/hall/nobody", SECRET, GH_OAUTH_INVALID_CLIENT,
     "UNKNOWN_DEVICE"},
    {"a blocked one", GRANT, "acme/hall/blocked", SECRET, GH_OAUTH_INVALID_CLIENT, "BLOCKED"},
    {"a wrong secret", GRANT, "acme/hall/probe-2", SECRET "x", GH_OAUTH_INVALID_CLIENT, "SECRET"},
    {"after which it waits", GRANT, "acme/hall/probe-2", SECRET, GH_OAUTH_SLOW_DOWN, "WAIT"},
};

static void judge_requests(void)
{
    struct gh_oauth_outcome outcome;
    for (size_t i = 0; i < GH_COUNT(requests); i++) {
        struct ask question = {.body = requests[i].body,
                               .authorization = basic(requests[i].id, requests[i].secret)};
        enum gh_oauth_error error = ask(question, &outcome);
        if (!CHECK(requests[i].claim, error == requests[i].error) ||
            !CHECK(requests[i].claim, strcmp(outcome.reason, requests[i].reason) == 0))
            fprintf(stderr, "  %s: %s\n", outcome.reason, outcome.detail);
    }
    struct ask elsewhere = {
        .body = GRANT, .authorization = basic("acme/hall/probe-2", SECRET), .source = "192.0.2.2"};
    CHECK("who asks from elsewhere does not wait", ask(elsewhere, &outcome) == GH_OAUTH_OK);
    struct ask later = {.body = GRANT,
                        .authorization = basic("acme/hall/probe-2", SECRET),
                        .now_ms = NOW_MS + 2000};
    CHECK("nor does who has waited", ask(later, &outcome) == GH_OAUTH_OK);
}

static const char *jwt(const char *payload)
{
    struct gh_buffer out;
    uint8_t signature[GH_KEY_SIGNATURE_MAX];
    size_t size;
    gh_buffer_init(&out, TOKEN_MAX);
    REQUIRE("begun",
            gh_jose_begin_raw(&out, GH_SLICE("{\"alg\":\"ES256\"}"), gh_slice_text(payload)));
    REQUIRE("signed", gh_private_key_sign(world.key, gh_buffer_slice(&out), signature, &size));
    REQUIRE("finished", gh_jose_finish(&out, gh_slice(signature, size)));
    char *text = gh_arena_text(&world.arena, gh_buffer_slice(&out));
    gh_buffer_deinit(&out);
    return text;
}

#define SAID(who, to, until, rest)                                                                 \
    "{\"iss\":\"" who "\",\"sub\":\"acme/hall/probe-1\",\"aud\":" to                               \
    ",\"iat\":1700000000,\"exp\":" until rest "}"

static const struct {
    const char *claim, *payload;
    enum gh_oauth_error error;
    const char *reason;
} assertions[] = {
    {"an assertion", SAID("acme/hall/probe-1", "\"" ISSUER "\"", "1700000060", ",\"jti\":\"1\""),
     GH_OAUTH_OK, "TOKEN_ISSUED"},
    {"the same again", SAID("acme/hall/probe-1", "\"" ISSUER "\"", "1700000060", ",\"jti\":\"1\""),
     GH_OAUTH_INVALID_CLIENT, "TOKEN_REPLAYED"},
    {"five minutes", SAID("acme/hall/probe-1", "\"" ISSUER "\"", "1700000300", ",\"jti\":\"2\""),
     GH_OAUTH_OK, "TOKEN_ISSUED"},
    {"a second more", SAID("acme/hall/probe-1", "\"" ISSUER "\"", "1700000301", ",\"jti\":\"3\""),
     GH_OAUTH_INVALID_CLIENT, "LIFETIME"},
    {"no jti", SAID("acme/hall/probe-1", "\"" ISSUER "\"", "1700000060", ""),
     GH_OAUTH_INVALID_CLIENT, "CLAIMS"},
    {"a jti that is a number",
     SAID("acme/hall/probe-1", "\"" ISSUER "\"", "1700000060", ",\"jti\":4"),
     GH_OAUTH_INVALID_CLIENT, "CLAIMS"},
    {"for the token endpoint",
     SAID("acme/hall/probe-1", "\"" ISSUER "/oauth2/token\"", "1700000060", ",\"jti\":\"5\""),
     GH_OAUTH_INVALID_CLIENT, "AUDIENCE"},
    {"for us among others",
     SAID("acme/hall/probe-1", "[\"" ISSUER "\"]", "1700000060", ",\"jti\":\"6\""),
     GH_OAUTH_INVALID_CLIENT, "AUDIENCE"},
    {"about another", SAID("acme/hall/probe-2", "\"" ISSUER "\"", "1700000060", ",\"jti\":\"7\""),
     GH_OAUTH_INVALID_CLIENT, "ISSUER"},
};

static void judge_assertions(void)
{
    struct gh_oauth_outcome outcome;
    char source[16];
    for (size_t i = 0; i < GH_COUNT(assertions); i++) {
        char *body = gh_arena_print(
            &world.arena,
            GRANT "&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
                  "&client_assertion=%s",
            jwt(assertions[i].payload));
        snprintf(source, sizeof source, "192.0.3.%zu", i); /* nobody waits for another row */
        enum gh_oauth_error error = ask((struct ask){.body = body, .source = source}, &outcome);
        if (!CHECK(assertions[i].claim, error == assertions[i].error) ||
            !CHECK(assertions[i].claim, strcmp(outcome.reason, assertions[i].reason) == 0))
            fprintf(stderr, "  %s: %s\n", outcome.reason, outcome.detail);
        CHECK("a token ends with its credential",
              error != GH_OAUTH_OK || outcome.expires_in_s == 600);
    }
}

static void judge_exchanges(void)
{
    static const struct {
        const char *claim, *id, *payload;
        enum gh_oauth_error error;
        const char *reason;
    } rows[] = {
        {"a native one", "acme/hall/probe-1",
         "{\"aud\":\"acme\",\"sub\":\"probe-1\",\"iat\":1700000000,\"exp\":1700000100}",
         GH_OAUTH_OK, "TOKEN_ISSUED"},
        {"one of Google's", "projects/acme-project/locations/here/registries/hall/devices/probe-1",
         "{\"aud\":\"acme-project\",\"iat\":1700000000,\"exp\":1700000100}", GH_OAUTH_OK,
         "TOKEN_ISSUED"},
        {"a native one as Google's",
         "projects/acme-project/locations/here/registries/hall/devices/probe-1",
         "{\"aud\":\"acme\",\"sub\":\"probe-1\",\"iat\":1700000000,\"exp\":1700000100}",
         GH_OAUTH_INVALID_REQUEST, "AUDIENCE"},
        {"of another device", "acme/hall/probe-1",
         "{\"aud\":\"acme\",\"sub\":\"probe-2\",\"iat\":1700000000,\"exp\":1700000100}",
         GH_OAUTH_INVALID_REQUEST, "SUBJECT"},
        {"nobody's", "", "{}", GH_OAUTH_INVALID_CLIENT, "CLIENT_ID"},
    };
    struct gh_oauth_outcome outcome;
    char source[16];
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        char *body =
            gh_arena_print(&world.arena, EXCHANGE JWT_TYPE "&client_id=%s&subject_token=%s",
                           rows[i].id, jwt(rows[i].payload));
        snprintf(source, sizeof source, "192.0.4.%zu", i);
        enum gh_oauth_error error = ask((struct ask){.body = body, .source = source}, &outcome);
        if (!CHECK(rows[i].claim, error == rows[i].error) ||
            !CHECK(rows[i].claim, strcmp(outcome.reason, rows[i].reason) == 0))
            fprintf(stderr, "  %s: %s\n", outcome.reason, outcome.detail);
    }
}

#define SAS_TYPE "&subject_token_type=urn:gatehouse:params:oauth:token-type:sas"
#define SAS                                                                                        \
    "SharedAccessSignature+sr%3Dacme%252Fhall%252Fprobe-1%26sig%3D"                                \
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%253D%26se%3D1700000100"
#define CLIENT "&client_id=acme/hall/probe-1"

/* What is said to be one kind of token is taken as no other. */
static void judge_subject_types(void)
{
    static const struct {
        const char *claim, *body;
        enum gh_oauth_error error;
        const char *reason;
    } rows[] = {
        {"a SAS of a device without a symmetric key",
         EXCHANGE SAS_TYPE CLIENT "&subject_token=" SAS, GH_OAUTH_INVALID_REQUEST, "NO_CREDENTIAL"},
        {"a SAS as a JWT", EXCHANGE JWT_TYPE CLIENT "&subject_token=" SAS, GH_OAUTH_INVALID_REQUEST,
         "TOKEN_MALFORMED"},
        {"what is no SAS as one", EXCHANGE SAS_TYPE CLIENT "&subject_token=e30.e30.AA",
         GH_OAUTH_INVALID_REQUEST, "TOKEN_MALFORMED"},
        {"a SAS for one of Google's names",
         EXCHANGE SAS_TYPE "&client_id=projects/acme-project/locations/here/registries/hall/devices"
                           "/probe-1&subject_token=" SAS,
         GH_OAUTH_INVALID_CLIENT, "CLIENT_ID"},
        {"a type that is none",
         EXCHANGE CLIENT "&subject_token_type=urn:ietf:params:oauth:token-type:saml2"
                         "&subject_token=" SAS,
         GH_OAUTH_INVALID_REQUEST, "REQUEST"},
        {"no type", EXCHANGE CLIENT "&subject_token=" SAS, GH_OAUTH_INVALID_REQUEST, "REQUEST"},
        {"no token", EXCHANGE SAS_TYPE CLIENT, GH_OAUTH_INVALID_REQUEST, "REQUEST"},
    };
    struct gh_oauth_outcome outcome;
    char source[16];
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        snprintf(source, sizeof source, "192.0.5.%zu", i);
        enum gh_oauth_error error =
            ask((struct ask){.body = rows[i].body, .source = source}, &outcome);
        if (!CHECK(rows[i].claim, error == rows[i].error) ||
            !CHECK(rows[i].claim, strcmp(outcome.reason, rows[i].reason) == 0))
            fprintf(stderr, "  %s: %s\n", outcome.reason, outcome.detail);
    }
}

/* --- verifying */

static enum gh_identity_reason use_as(const char *device, struct gh_slice token,
                                      enum gh_identity_over over, struct gh_slice certificate,
                                      int64_t now_ms)
{
    struct gh_identity_verdict verdict;
    const struct gh_identity_claim claim = {.tenant = GH_SLICE("acme"),
                                            .registry = GH_SLICE("hall"),
                                            .device = gh_slice_text(device),
                                            .token = token,
                                            .chain = &certificate,
                                            .chain_count = certificate.size > 0,
                                            .over = over,
                                            .access = world.access,
                                            .access_taken = true,
                                            .policy = gh_jwt_native};
    enum gh_identity_reason reason =
        gh_identity_device(world.directory, &claim, now_ms, &world.arena, &verdict);
    CHECK("accepted with its id",
          (reason == GH_IDENTITY_ACCEPTED) == (verdict.principal.token_id.size > 0));
    return reason;
}

static enum gh_identity_reason use(struct gh_slice token, enum gh_identity_over over,
                                   struct gh_slice certificate, int64_t now_ms)
{
    return use_as("probe-1", token, over, certificate, now_ms);
}

static void judge_uses(void)
{
    const struct gh_slice none = {0};
    struct gh_slice token = token_of(""), mqtt = token_of("&scope=mqtt"), rsa;
    CHECK("at MQTT", use(token, GH_IDENTITY_OVER_MQTT, none, NOW_MS) == GH_IDENTITY_ACCEPTED);
    CHECK("not as another device",
          use_as("probe-2", token, GH_IDENTITY_OVER_MQTT, none, NOW_MS) == GH_IDENTITY_SUBJECT);
    CHECK("nor as none that is there",
          use_as("nobody", token, GH_IDENTITY_OVER_MQTT, none, NOW_MS) == GH_IDENTITY_SUBJECT);
    CHECK("at the API", use(token, GH_IDENTITY_OVER_HTTP, none, NOW_MS) == GH_IDENTITY_ACCEPTED);
    CHECK("in its last second and the skew",
          use(token, GH_IDENTITY_OVER_MQTT, none, NOW_MS + 3659 * 1000) == GH_IDENTITY_ACCEPTED);
    CHECK("not after", use(token, GH_IDENTITY_OVER_MQTT, none, NOW_MS + 3660 * 1000) ==
                           GH_IDENTITY_TOKEN_EXPIRED);
    CHECK("not before", use(token, GH_IDENTITY_OVER_MQTT, none, NOW_MS - 61 * 1000) ==
                            GH_IDENTITY_TOKEN_NOT_YET_VALID);
    CHECK("for MQTT alone", use(mqtt, GH_IDENTITY_OVER_MQTT, none, NOW_MS) == GH_IDENTITY_ACCEPTED);
    CHECK("and not for the API",
          use(mqtt, GH_IDENTITY_OVER_HTTP, none, NOW_MS) == GH_IDENTITY_SCOPE);
    rsa = token_of("&token_signing_alg=RS256");
    CHECK("signed by RSA", use(rsa, GH_IDENTITY_OVER_MQTT, none, NOW_MS) == GH_IDENTITY_ACCEPTED);

    struct gh_oauth_outcome outcome;
    REQUIRE("a bound one", ask((struct ask){.body = GRANT,
                                            .authorization = basic("acme/hall/probe-1", SECRET),
                                            .certificate = GH_SLICE(SHOWN)},
                               &outcome) == GH_OAUTH_OK);
    CHECK("with its certificate", use(outcome.token, GH_IDENTITY_OVER_MQTT, GH_SLICE(SHOWN),
                                      NOW_MS) == GH_IDENTITY_ACCEPTED);
    CHECK("without one",
          use(outcome.token, GH_IDENTITY_OVER_MQTT, none, NOW_MS) == GH_IDENTITY_TOKEN_BINDING);
    CHECK("with another", use(outcome.token, GH_IDENTITY_OVER_MQTT, GH_SLICE("x" SHOWN), NOW_MS) ==
                              GH_IDENTITY_TOKEN_BINDING);

    /* Every byte of it counts: no changed token is the same token. */
    size_t accepted = 0;
    uint8_t *changed = gh_arena_alloc(&world.arena, token.size);
    for (size_t i = 0; i < token.size; i++) {
        memcpy(changed, token.data, token.size);
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        accepted += use(gh_slice(changed, token.size), GH_IDENTITY_OVER_MQTT, none, NOW_MS) ==
                    GH_IDENTITY_ACCEPTED;
    }
    CHECK("no byte may change", accepted == 0);
    accepted = 0;
    for (size_t size = 0; size < token.size; size++)
        accepted += use(gh_slice_sub(token, 0, size), GH_IDENTITY_OVER_MQTT, none, NOW_MS) ==
                    GH_IDENTITY_ACCEPTED;
    CHECK("none may be missing", accepted == 0);
}

static void judge_revocation(void)
{
    const struct gh_oauth_services services = {.directory = world.directory,
                                               .access = world.access};
    const struct gh_slice none = {0};
    struct gh_slice token = token_of(""), other = token_of("");
    struct gh_identity_verdict verdict;
    struct gh_access_claims claims;
    CHECK("it is active",
          gh_oauth_inspect(&services, token, NOW_MS, &world.arena, &claims, &verdict) &&
              gh_slice_equal(claims.subject, GH_SLICE("acme/hall/probe-1")));
    CHECK("another device cannot end it",
          gh_oauth_revoke(&services, token, world.device + 1, NOW_MS, &world.arena, &claims) ==
              GH_OAUTH_UNAUTHORIZED_CLIENT);
    CHECK("its own does", gh_oauth_revoke(&services, token, world.device, NOW_MS, &world.arena,
                                          &claims) == GH_OAUTH_OK &&
                              claims.number == world.device);
    CHECK("it is revoked", gh_access_is_revoked(world.access, claims.token_id));
    CHECK("at every use",
          use(token, GH_IDENTITY_OVER_MQTT, none, NOW_MS) == GH_IDENTITY_TOKEN_REVOKED);
    CHECK("and no longer active",
          !gh_oauth_inspect(&services, token, NOW_MS, &world.arena, &claims, &verdict));
    CHECK("the other one is",
          use(other, GH_IDENTITY_OVER_MQTT, none, NOW_MS) == GH_IDENTITY_ACCEPTED);
    CHECK("what is no token is no error", gh_oauth_revoke(&services, GH_SLICE("eyJ.a.b"), 0, NOW_MS,
                                                          &world.arena, &claims) == GH_OAUTH_OK &&
                                              claims.subject.size == 0);
}

static void judge_ids(void)
{
    static const struct {
        const char *claim, *id;
        uint64_t device;
        bool is_of;
    } rows[] = {
        {"its own", "17.AAAAAAAAAAAAAAAAAAAAAA", 17, true},
        {"another device's", "17.AAAAAAAAAAAAAAAAAAAAAA", 18, false},
        {"one whose number begins alike", "17.AAAAAAAAAAAAAAAAAAAAAA", 1, false},
        {"one whose number goes on", "1.7AAAAAAAAAAAAAAAAAAAAAA", 17, false},
        {"a number with a zero before", "017.AAAAAAAAAAAAAAAAAAAAAA", 17, false},
        {"a character too few", "17.AAAAAAAAAAAAAAAAAAAAA", 17, false},
        {"a character too many", "17.AAAAAAAAAAAAAAAAAAAAAAA", 17, false},
        {"no number", "AAAAAAAAAAAAAAAAAAAAAA", 17, false},
        {"nothing", "", 0, false},
        {"the largest number", "18446744073709551615.AAAAAAAAAAAAAAAAAAAAAA", UINT64_MAX, true},
    };
    struct gh_access_claims claims;
    char detail[GH_IDENTITY_DETAIL_MAX];
    for (size_t i = 0; i < GH_COUNT(rows); i++)
        CHECK(rows[i].claim,
              gh_access_id_is_of(gh_slice_text(rows[i].id), rows[i].device) == rows[i].is_of);
    CHECK("a token that was given",
          gh_access_verify(world.access, token_of(""), NOW_S, &world.arena, &claims, detail) ==
              GH_IDENTITY_ACCEPTED);
    CHECK("is its device's", gh_access_id_is_of(claims.token_id, world.device));
    CHECK("and no other's", !gh_access_id_is_of(claims.token_id, world.device + 1));
}

static void judge_bearers(void)
{
    struct gh_bearer_services services = {
        .store = world.store, .directory = world.directory, .access = world.access};
    struct gh_bearer bearer = {.token = token_of(""), .now_ms = NOW_MS};
    struct gh_identity_verdict verdict;
    struct gh_caller caller;
    struct gh_error error = {0};
    CHECK("a device is let in as itself",
          gh_bearer_check(&services, &bearer, &world.arena, &caller, &verdict, &error) == GH_OK &&
              caller.kind == GH_CALLER_DEVICE && caller.role.size == 0 && caller.tenant != 0 &&
              gh_slice_equal(caller.member, GH_SLICE("device:acme/hall/probe-1")));
    bearer.token = gh_slice_text(
        jwt("{\"aud\":\"acme\",\"sub\":\"probe-1\",\"iat\":1700000000,\"exp\":1700000100}"));
    CHECK("its token for MQTT is not one for the API",
          gh_bearer_check(&services, &bearer, &world.arena, &caller, &verdict, &error) ==
                  GH_ERROR_UNAUTHENTICATED &&
              caller.kind == GH_CALLER_NOBODY);
    bearer.token = token_of("");
    services.access = NULL;
    CHECK("nor is anything where devices are not let in",
          gh_bearer_check(&services, &bearer, &world.arena, &caller, &verdict, &error) ==
              GH_ERROR_UNAUTHENTICATED);
}

static void judge_rotation(void)
{
    const struct gh_slice none = {0};
    struct gh_access_key before[GH_ACCESS_KEYS_MAX], after[GH_ACCESS_KEYS_MAX];
    struct gh_slice old = token_of("");
    struct gh_error error = {0};
    size_t count = gh_access_keys(world.access, before);
    REQUIRE("two of each kind", count == 4 && before[0].state == GH_ACCESS_KEY_CURRENT);
    CHECK("rotated", gh_access_rotate(world.access, GH_KEY_P256, &error) == GH_OK);
    CHECK("three and two", gh_access_keys(world.access, after) == 5);
    CHECK("a token of before is good",
          use(old, GH_IDENTITY_OVER_MQTT, none, NOW_MS) == GH_IDENTITY_ACCEPTED);
    CHECK("and one of now",
          use(token_of(""), GH_IDENTITY_OVER_MQTT, none, NOW_MS) == GH_IDENTITY_ACCEPTED);
    json_t *set = gh_access_jwks(world.access), *one;
    size_t i;
    CHECK("all are published", json_array_size(json_object_get(set, "keys")) == 5);
    json_array_foreach(json_object_get(set, "keys"), i, one)
    {
        CHECK("public halves alone",
              json_object_get(one, "d") == NULL && json_object_get(one, "alg") != NULL &&
                  json_object_get(one, "use") != NULL && json_object_get(one, "kid") != NULL);
    }
    json_decref(set);
    /* The holder rotated without our knowing: the key is looked up again. */
    REQUIRE("elsewhere", rotate(NULL, GH_KEY_RSA, NULL) == GH_OK);
    CHECK("signed by the newest", use(token_of("&token_signing_alg=RS256"), GH_IDENTITY_OVER_MQTT,
                                      none, NOW_MS) == GH_IDENTITY_ACCEPTED);
}

/* Introspection: what has ended is not active, whatever ended it. */
static void judge_inspection(void)
{
    const struct gh_oauth_services services = {.directory = world.directory,
                                               .access = world.access};
    struct gh_device change = {.blocked = true};
    struct gh_identity_verdict verdict;
    struct gh_access_claims claims;
    struct gh_error error = {0};
    struct gh_slice rsa = token_of("&token_signing_alg=RS256"), token = token_of("");
#define ACTIVE(text, now_ms)                                                                       \
    gh_oauth_inspect(&services, text, now_ms, &world.arena, &claims, &verdict)
    CHECK("active, by either algorithm", ACTIVE(token, NOW_MS) && ACTIVE(rsa, NOW_MS));
    CHECK("to its end and the skew", ACTIVE(token, NOW_MS + 3659 * 1000));
    CHECK("expired", !ACTIVE(token, NOW_MS + 3660 * 1000));
    CHECK("not yet", !ACTIVE(token, NOW_MS - 61 * 1000));
    CHECK("no token at all", !ACTIVE(GH_SLICE("eyJ.a.b"), NOW_MS));
    REQUIRE("blocked", gh_directory_device_update(world.directory, world.device, GH_DEVICE_BLOCKED,
                                                  &change, &world.arena, NULL, &error) == GH_OK);
    CHECK("of a blocked device", !ACTIVE(token, NOW_MS));
    change = (struct gh_device){.banned_until_ms = NOW_MS + 1000};
    REQUIRE("banned", gh_directory_device_update(world.directory, world.device,
                                                 GH_DEVICE_BLOCKED | GH_DEVICE_BAN, &change,
                                                 &world.arena, NULL, &error) == GH_OK);
    CHECK("of a banned one", !ACTIVE(token, NOW_MS));
    CHECK("until the ban is over", ACTIVE(token, NOW_MS + 1000));
    struct gh_device device;
    REQUIRE("read", gh_directory_device_get(world.directory, world.device, &world.arena, &device,
                                            &error) == GH_OK);
    change = (struct gh_device){.credentials_count = 1, .credentials = {device.credentials[1]}};
    REQUIRE("its secret goes",
            gh_directory_device_update(world.directory, world.device, GH_DEVICE_CREDENTIALS,
                                       &change, &world.arena, NULL, &error) == GH_OK);
    CHECK("whose credential was taken away", !ACTIVE(token, NOW_MS + 1000));
#undef ACTIVE
    REQUIRE("deleted", gh_directory_device_delete(world.directory, world.device, &error) == GH_OK);
    world.device = add_device("probe-1", false);
}

/* A device that is deleted and made again under its name is another device. */
static void judge_namesake(void)
{
    const struct gh_slice none = {0};
    struct gh_slice token = token_of("");
    struct gh_error error = {0};
    REQUIRE("deleted", gh_directory_device_delete(world.directory, world.device, &error) == GH_OK);
    const struct gh_oauth_services services = {.directory = world.directory,
                                               .access = world.access};
    struct gh_identity_verdict verdict;
    struct gh_access_claims claims;
    CHECK("and not active",
          !gh_oauth_inspect(&services, token, NOW_MS, &world.arena, &claims, &verdict));
    CHECK("it is gone",
          use(token, GH_IDENTITY_OVER_MQTT, none, NOW_MS) == GH_IDENTITY_UNKNOWN_DEVICE);
    (void)add_device("probe-1", false);
    CHECK("its namesake has no part in its tokens",
          use(token, GH_IDENTITY_OVER_MQTT, none, NOW_MS) == GH_IDENTITY_SUBJECT);
}

int main(void)
{
    world_open();
    judge_requests();
    judge_assertions();
    judge_exchanges();
    judge_subject_types();
    judge_uses();
    judge_revocation();
    judge_ids();
    judge_bearers();
    judge_rotation();
    judge_inspection();
    judge_namesake();
    world_close();
    return check_report();
}
