/* Service accounts against a real store; the clock is an argument. */
#include "identity/service_account.h"
#include "store/registry.h"
#include "tests/check.h"
#include "wire/base64.h"
#include <stdio.h>
#include <string.h>

#define NOW_S INT64_C(1700000000)
#define NOW_MS (NOW_S * 1000)
#define ISSUER "https://gatehouse.example:8443"
#define EMAIL "climate@site-1.iam.gserviceaccount.com"
#define SCOPE "\"scope\":\"openid https://www.googleapis.com/auth/pubsub\""
enum { ARENA_BYTES = 16 << 20, PEM_BYTES = 4096, TOKEN_BYTES = 4096 };

static struct {
    struct gh_store *store;
    struct gh_arena arena;
    struct gh_tenant tenant;
    struct gh_service_account account;
    struct gh_service_key key, brief; /* `brief` expires 60 s after NOW */
    struct gh_private_key *private, *brief_private, *strange;
} world;

/* Makes a key of the account; `*private` is what its file would hold. */
static struct gh_service_key make_key(int64_t expires_at_ms, struct gh_private_key **private)
{
    char block[PEM_BYTES];
    struct gh_buffer pem = gh_buffer_fixed(block, sizeof block);
    struct gh_service_key key = {
        .account = world.account.number, .created_at_ms = NOW_MS, .expires_at_ms = expires_at_ms};
    struct gh_error error;
    REQUIRE("a key", gh_service_key_create(world.store, &key, &pem, &world.arena, &error) == GH_OK);
    *private = gh_private_key_open(gh_buffer_slice(&pem), &error);
    REQUIRE("its private half", *private != NULL);
    return key;
}

static void set_up(void)
{
    struct gh_error error;
    gh_arena_init(&world.arena, ARENA_BYTES);
    world.store = gh_store_open(check_folder(), GH_STORE_CREATE, &error);
    world.tenant = (struct gh_tenant){.name = GH_SLICE("site"),
                                      .google_project = GH_SLICE("site-1"),
                                      .azure_hub = GH_SLICE("site"),
                                      .aws_account = GH_SLICE("site")};
    REQUIRE("a tenant", world.store != NULL &&
                            gh_store_tenant_create(world.store, &world.tenant, &error) == GH_OK);
    world.account = (struct gh_service_account){.email = GH_SLICE(EMAIL), .created_at_ms = NOW_MS};
    REQUIRE("an account",
            gh_service_create(world.store, &world.tenant, &world.account, &error) == GH_OK);
    world.key = make_key(0, &world.private);
    world.brief = make_key(NOW_MS + 60000, &world.brief_private);
    world.strange = gh_private_key_generate(GH_KEY_RSA, &error);
    REQUIRE("a stranger's key", world.strange != NULL);
}

/* A token with the claims behind iss; `kid` may be empty. */
static struct gh_slice sign(const struct gh_private_key *key, struct gh_slice kid,
                            const char *claims)
{
    char *block = gh_arena_alloc(&world.arena, TOKEN_BYTES);
    struct gh_buffer token = gh_buffer_fixed(block, TOKEN_BYTES);
    char *header =
        gh_arena_print(&world.arena, "{\"alg\":\"RS256\"%s%.*s%s}",
                       kid.size > 0 ? ",\"kid\":\"" : "", GH_PRINT(kid), kid.size > 0 ? "\"" : "");
    uint8_t signature[GH_KEY_SIGNATURE_MAX];
    size_t size;
    REQUIRE("signed", gh_jose_begin_raw(&token, gh_slice_text(header), gh_slice_text(claims)) &&
                          gh_private_key_sign(key, gh_buffer_slice(&token), signature, &size) &&
                          gh_jose_finish(&token, gh_slice(signature, size)));
    return gh_buffer_slice(&token);
}

static struct gh_service_proof proof_of(struct gh_slice token, int64_t now_ms)
{
    return (struct gh_service_proof){token, GH_SLICE(ISSUER), now_ms};
}

#define TIMES "\"iat\":1700000000,\"exp\":1700003600"
#define SELF "\"iss\":\"" EMAIL "\",\"sub\":\"" EMAIL "\","
#define CLAIMS(rest) "{" SELF TIMES rest "}"

static void bearers(void)
{
    static const struct {
        const char *claim, *claims;
        int64_t at_s; /* after NOW */
        enum gh_identity_reason reason;
    } rows[] = {
        {"a scope", CLAIMS("," SCOPE), 0, GH_IDENTITY_ACCEPTED},
        {"Google's address of a service", CLAIMS(",\"aud\":\"https://pubsub.googleapis.com/\""), 0,
         GH_IDENTITY_ACCEPTED},
        {"the same without its slash", CLAIMS(",\"aud\":\"https://cloudiot.googleapis.com\""), 0,
         GH_IDENTITY_ACCEPTED},
        {"our own address", CLAIMS(",\"aud\":\"" ISSUER "\""), 0, GH_IDENTITY_ACCEPTED},
        {"the token endpoint is no service", CLAIMS(",\"aud\":\"" ISSUER "/oauth2/token\""), 0,
         GH_IDENTITY_AUDIENCE},
        {"something behind our address", CLAIMS(",\"aud\":\"" ISSUER "0\""), 0,
         GH_IDENTITY_AUDIENCE},
        {"another service", CLAIMS(",\"aud\":\"https://storage.googleapis.com/\""), 0,
         GH_IDENTITY_AUDIENCE},
        {"a wrong aud beside a good scope", CLAIMS(",\"aud\":\"x\"," SCOPE), 0,
         GH_IDENTITY_AUDIENCE},
        {"an empty aud", CLAIMS(",\"aud\":\"\"," SCOPE), 0, GH_IDENTITY_AUDIENCE},
        {"an aud that is a number", CLAIMS(",\"aud\":7," SCOPE), 0, GH_IDENTITY_AUDIENCE},
        {"neither", CLAIMS(""), 0, GH_IDENTITY_SCOPE},
        {"a scope of something else", CLAIMS(",\"scope\":\"openid email\""), 0, GH_IDENTITY_SCOPE},
        {"the beginning of a scope", CLAIMS(",\"scope\":\"https://www.googleapis.com/auth/pub\""),
         0, GH_IDENTITY_SCOPE},
        {"a scope that is no text", CLAIMS(",\"scope\":[\"x\"]"), 0, GH_IDENTITY_SCOPE},
        {"no sub", "{\"iss\":\"" EMAIL "\"," TIMES "," SCOPE "}", 0, GH_IDENTITY_CLAIMS},
        {"somebody else's sub", "{\"iss\":\"" EMAIL "\",\"sub\":\"user@b.c\"," TIMES "," SCOPE "}",
         0, GH_IDENTITY_SUBJECT},
        {"no such account", "{\"iss\":\"x@b.c\",\"sub\":\"x@b.c\"," TIMES "," SCOPE "}", 0,
         GH_IDENTITY_UNKNOWN_ACCOUNT},
        {"over an hour", "{" SELF "\"iat\":1700000000,\"exp\":1700003601," SCOPE "}", 0,
         GH_IDENTITY_LIFETIME},
        {"expired inside the skew", CLAIMS("," SCOPE), 3600 + 599, GH_IDENTITY_ACCEPTED},
        {"expired", CLAIMS("," SCOPE), 3600 + 600, GH_IDENTITY_TOKEN_EXPIRED},
        {"from the future", CLAIMS("," SCOPE), -601, GH_IDENTITY_TOKEN_NOT_YET_VALID},
    };
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        struct gh_identity_verdict verdict;
        struct gh_caller caller = {.kind = GH_CALLER_NOBODY};
        struct gh_service_proof proof = proof_of(sign(world.private, world.key.id, rows[i].claims),
                                                 NOW_MS + rows[i].at_s * 1000);
        CHECK(rows[i].claim, gh_service_is_token(proof.token, &world.arena));
        CHECK(rows[i].claim, gh_service_check(world.store, &proof, &world.arena, &caller,
                                              &verdict) == rows[i].reason);
        CHECK(rows[i].claim, verdict.reason == rows[i].reason);
        CHECK(rows[i].claim,
              (caller.kind == GH_CALLER_TOKEN) == (rows[i].reason == GH_IDENTITY_ACCEPTED));
        CHECK("why is said", verdict.reason == GH_IDENTITY_ACCEPTED || verdict.detail[0] != '\0');
    }
}

static enum gh_identity_reason check_with(const struct gh_private_key *key, struct gh_slice kid,
                                          int64_t now_ms, struct gh_caller *caller)
{
    struct gh_identity_verdict verdict;
    struct gh_service_proof proof = proof_of(sign(key, kid, CLAIMS("," SCOPE)), now_ms);
    return gh_service_check(world.store, &proof, &world.arena, caller, &verdict);
}

static void keys(void)
{
    struct gh_caller caller;
    struct gh_error error;
    const struct gh_slice none = {0};
    CHECK("without a kid every key is tried",
          check_with(world.brief_private, none, NOW_MS, &caller) == GH_IDENTITY_ACCEPTED);
    CHECK("it ends with the key", caller.expires_at_ms == NOW_MS + 60000);
    CHECK("its member", gh_slice_equal(caller.member, GH_SLICE("serviceAccount:" EMAIL)));
    CHECK("its tenant", caller.tenant == world.tenant.number && caller.role.size == 0);
    CHECK("a kid that nobody knows says nothing",
          check_with(world.private, GH_SLICE("other"), NOW_MS, &caller) == GH_IDENTITY_ACCEPTED);
    CHECK("a kid chooses",
          check_with(world.private, world.brief.id, NOW_MS, &caller) == GH_IDENTITY_SIGNATURE);
    CHECK("a stranger's key",
          check_with(world.strange, none, NOW_MS, &caller) == GH_IDENTITY_SIGNATURE);
    CHECK("the key has expired", check_with(world.brief_private, world.brief.id, NOW_MS + 60000,
                                            &caller) == GH_IDENTITY_CREDENTIAL_EXPIRED);
    CHECK("disabled",
          gh_store_service_key_disable(world.store, world.key.number, true, &error) == GH_OK &&
              check_with(world.private, none, NOW_MS, &caller) == GH_IDENTITY_CREDENTIAL_DISABLED);
    CHECK("enabled",
          gh_store_service_key_disable(world.store, world.key.number, false, &error) == GH_OK &&
              check_with(world.private, none, NOW_MS, &caller) == GH_IDENTITY_ACCEPTED);
    CHECK("the account is disabled",
          gh_store_service_disable(world.store, world.account.number, true, &error) == GH_OK &&
              check_with(world.private, none, NOW_MS, &caller) == GH_IDENTITY_ACCOUNT_DISABLED &&
              gh_store_service_disable(world.store, world.account.number, false, &error) == GH_OK);
    struct gh_service_key *rows;
    size_t count;
    REQUIRE("listed", gh_store_service_key_list(world.store, world.account.number, &world.arena,
                                                &rows, &count, &error) == GH_OK);
    CHECK("the last use is written",
          count == 2 && rows[0].last_used_at_ms >= NOW_MS && rows[1].last_used_at_ms == NOW_MS);
}

/* What takes time in a check, counted on its way through; the linker puts these before the real
 * ones (--wrap). */
static struct work {
    unsigned keys_decoded, verified[GH_KEY_RSA + 1];
} work;

struct gh_key *__real_gh_key_open(struct gh_slice pem, struct gh_error *error);
struct gh_key *__wrap_gh_key_open(struct gh_slice pem, struct gh_error *error);
bool __real_gh_key_verify(const struct gh_key *key, struct gh_slice message,
                          struct gh_slice signature);
bool __wrap_gh_key_verify(const struct gh_key *key, struct gh_slice message,
                          struct gh_slice signature);

struct gh_key *__wrap_gh_key_open(struct gh_slice pem, struct gh_error *error)
{
    work.keys_decoded++;
    return __real_gh_key_open(pem, error);
}

bool __wrap_gh_key_verify(const struct gh_key *key, struct gh_slice message,
                          struct gh_slice signature)
{
    work.verified[gh_key_kind(key)]++;
    return __real_gh_key_verify(key, message, signature);
}

/* An account of the tenant that has nothing but its name. */
static void make_account(const char *email, bool disabled)
{
    struct gh_service_account account = {.email = gh_slice_text(email), .created_at_ms = NOW_MS};
    struct gh_error error;
    REQUIRE("an account",
            gh_service_create(world.store, &world.tenant, &account, &error) == GH_OK &&
                gh_store_service_disable(world.store, account.number, disabled, &error) == GH_OK);
}

static void a_refusal_costs_a_signature(void)
{
#define OF(email) "{\"iss\":\"" email "\",\"sub\":\"" email "\"," TIMES "," SCOPE "}"
    static const struct {
        const char *claim, *claims;
        enum gh_identity_reason reason;
    } rows[] = {
        {"an account, and the key of another", OF(EMAIL), GH_IDENTITY_SIGNATURE},
        {"no account", OF("climate@site-2.iam.gserviceaccount.com"), GH_IDENTITY_UNKNOWN_ACCOUNT},
        {"a disabled account", OF("off@example.com"), GH_IDENTITY_ACCOUNT_DISABLED},
        {"an account without a key", OF("bare@example.com"), GH_IDENTITY_NO_CREDENTIAL},
    };
#undef OF
    make_account("off@example.com", true);
    make_account("bare@example.com", false);
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        struct gh_identity_verdict verdict;
        struct gh_caller caller;
        const struct gh_service_proof proof =
            proof_of(sign(world.strange, world.key.id, rows[i].claims), NOW_MS);
        work = (struct work){0};
        CHECK(rows[i].claim, gh_service_check(world.store, &proof, &world.arena, &caller,
                                              &verdict) == rows[i].reason);
        CHECK(rows[i].claim, work.keys_decoded == 1 && work.verified[GH_KEY_RSA] == 1 &&
                                 work.verified[GH_KEY_P256] == 0);
    }
}

static enum gh_error_code use(const char *token, int64_t now_ms)
{
    struct gh_caller caller;
    struct gh_error error;
    return gh_token_check(world.store, gh_slice_text(token), now_ms, &world.arena, &caller, &error);
}

static void grants(void)
{
    static const struct {
        const char *claim, *claims;
        enum gh_identity_reason reason;
    } rows[] = {
        {"our endpoint", CLAIMS("," SCOPE ",\"aud\":\"" ISSUER "/oauth2/token\""),
         GH_IDENTITY_ACCEPTED},
        {"the short one", CLAIMS("," SCOPE ",\"aud\":\"" ISSUER "/token\""), GH_IDENTITY_ACCEPTED},
        {"Google's, and no sub",
         "{\"iss\":\"" EMAIL "\"," TIMES "," SCOPE
         ",\"aud\":\"https://oauth2.googleapis.com/token\"}",
         GH_IDENTITY_ACCEPTED},
        {"a service is no token endpoint",
         CLAIMS("," SCOPE ",\"aud\":\"https://pubsub.googleapis.com/\""), GH_IDENTITY_AUDIENCE},
        {"no audience", CLAIMS("," SCOPE), GH_IDENTITY_AUDIENCE},
        {"no scope", CLAIMS(",\"aud\":\"" ISSUER "/token\""), GH_IDENTITY_SCOPE},
        {"for a person",
         "{\"iss\":\"" EMAIL "\",\"sub\":\"user@b.c\"," TIMES "," SCOPE ",\"aud\":\"" ISSUER
         "/token\"}",
         GH_IDENTITY_SUBJECT},
    };
    char token[GH_TOKEN_TEXT_MAX];
    struct gh_identity_verdict verdict;
    struct gh_error error;
    int64_t ttl_s;
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        struct gh_service_proof proof =
            proof_of(sign(world.private, world.key.id, rows[i].claims), NOW_MS);
        CHECK(rows[i].claim, gh_service_grant(world.store, &proof, &world.arena, token, &ttl_s,
                                              &verdict) == rows[i].reason);
    }
    struct gh_service_proof proof =
        proof_of(sign(world.brief_private, world.brief.id, rows[0].claims), NOW_MS);
    CHECK("by a key that ends soon", gh_service_grant(world.store, &proof, &world.arena, token,
                                                      &ttl_s, &verdict) == GH_IDENTITY_ACCEPTED);
    CHECK("so does the token", ttl_s == 60 && use(token, NOW_MS + 59999) == GH_OK &&
                                   use(token, NOW_MS + 60000) == GH_ERROR_UNAUTHENTICATED);
    CHECK("not while the account is disabled",
          gh_store_service_disable(world.store, world.account.number, true, &error) == GH_OK &&
              use(token, NOW_MS) == GH_ERROR_UNAUTHENTICATED &&
              gh_store_service_disable(world.store, world.account.number, false, &error) == GH_OK &&
              use(token, NOW_MS) == GH_OK);
    CHECK("not without its key",
          gh_store_service_key_delete(world.store, world.brief.number, &error) == GH_OK &&
              use(token, NOW_MS) == GH_ERROR_UNAUTHENTICATED);
}

static void names(void)
{
    static const struct {
        const char *name, *email; /* NULL: refused */
    } rows[] = {
        {"climate", EMAIL},
        {"a.b-c_d", "a.b-c_d@site-1.iam.gserviceaccount.com"},
        {"robot@example.com", "robot@example.com"},
        {"", NULL},
        {"Climate", NULL},
        {"a b", NULL},
        {"a@", NULL},
        {"@b", NULL},
        {"a@b@c", NULL},
        {"a\"b", NULL},
        {"a/b", NULL},
    };
    struct gh_service_account account = {.email = GH_SLICE("x@other.iam.gserviceaccount.com")};
    struct gh_slice email;
    struct gh_error error;
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        bool good = gh_service_email(&world.tenant, gh_slice_text(rows[i].name), &world.arena,
                                     &email, &error) == GH_OK;
        CHECK(rows[i].name, good == (rows[i].email != NULL));
        CHECK(rows[i].name, !good || gh_slice_equal(email, gh_slice_text(rows[i].email)));
    }
    CHECK("an address of another project",
          gh_service_create(world.store, &world.tenant, &account, &error) == GH_ERROR_INVALID);
    account.email = GH_SLICE(EMAIL);
    CHECK("an address is there once",
          gh_service_create(world.store, &world.tenant, &account, &error) == GH_ERROR_EXISTS);
}

static void limits(void)
{
    uint8_t block[PEM_BYTES];
    struct gh_buffer pem = gh_buffer_fixed(block, sizeof block);
    struct gh_error error;
    REQUIRE("printed", gh_private_key_print_public(world.strange, &pem));
    struct gh_service_key key = {.account = world.account.number,
                                 .id = GH_SLICE("a/b"),
                                 .public_key = gh_buffer_slice(&pem),
                                 .created_at_ms = NOW_MS};
    CHECK("an id that is none",
          gh_service_key_create(world.store, &key, NULL, &world.arena, &error) == GH_ERROR_INVALID);
    key.id = (struct gh_slice){0};
    key.expires_at_ms = NOW_MS;
    CHECK("expired before it began",
          gh_service_key_create(world.store, &key, NULL, &world.arena, &error) == GH_ERROR_INVALID);
    key.expires_at_ms = 0;
    enum gh_error_code code = GH_OK;
    size_t count = 1; /* one is there */
    for (char id[16]; code == GH_OK && count <= GH_SERVICE_KEYS_MAX; count += code == GH_OK) {
        snprintf(id, sizeof id, "key-%zu", count);
        key.id = gh_slice_text(id);
        code = gh_service_key_create(world.store, &key, NULL, &world.arena, &error);
    }
    CHECK("so many keys and no more", code == GH_ERROR_LIMIT && count == GH_SERVICE_KEYS_MAX);
    key.id = GH_SLICE("key-1");
    CHECK("deleted with its keys",
          gh_store_service_delete(world.store, world.account.number, &error) == GH_OK &&
              gh_service_key_create(world.store, &key, NULL, &world.arena, &error) ==
                  GH_ERROR_NOT_FOUND);
}

int main(void)
{
    set_up();
    names();
    bearers();
    keys();
    a_refusal_costs_a_signature();
    grants();
    limits();
    gh_private_key_close(world.private);
    gh_private_key_close(world.brief_private);
    gh_private_key_close(world.strange);
    gh_store_close(world.store);
    gh_arena_deinit(&world.arena);
    return check_report();
}
