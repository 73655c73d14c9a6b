#include "identity/service_account.h"
#include "base/log.h"
#include "identity/access.h"
#include "identity/detail_internal.h"
#include "identity/jwk.h"
#include "wire/json.h"
#include <stdarg.h>
#include <string.h>

#define DOMAIN ".iam.gserviceaccount.com"

/* iss and sub are set by whoever asks; the audience is looked at here. */
static const struct gh_jwt_policy policy_of_signed = {
    .skew_s = 600, .lifetime_max_s = GH_SERVICE_TTL_S, .audience_any = true};

/* What `aud` may be when the token itself is the bearer: with or without a slash at its end. Beside
 * them our own address. */
static const char *const audiences[] = {"https://cloudiot.googleapis.com",
                                        "https://pubsub.googleapis.com"};
/* At the token endpoint, for files that still name Google's; beside them our own endpoints. */
static const char *const grant_audiences[] = {"https://oauth2.googleapis.com/token",
                                              "https://www.googleapis.com/oauth2/v4/token"};
static const char *const own_endpoints[] = {"", "/oauth2/token", "/token"};

static const char *const scopes[] = {"https://www.googleapis.com/auth/cloud-platform",
                                     "https://www.googleapis.com/auth/cloudiot",
                                     "https://www.googleapis.com/auth/pubsub"};

/* --- accounts --- */

static bool is_address_byte(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '-' ||
           byte == '.' || byte == '_';
}

/* One '@' with something on both sides, in lower case. */
static bool is_address(struct gh_slice text)
{
    size_t at = gh_slice_find(text, '@');
    if (at == 0 || at + 1 >= text.size || text.size > GH_SERVICE_EMAIL_MAX)
        return false;
    for (size_t i = 0; i < text.size; i++)
        if (i != at && !is_address_byte(text.data[i]))
            return false;
    return true;
}

enum gh_error_code gh_service_email(const struct gh_tenant *tenant, struct gh_slice name,
                                    struct gh_arena *arena, struct gh_slice *out,
                                    struct gh_error *error)
{
    if (gh_slice_find(name, '@') == name.size) {
        char *text = gh_arena_print(arena, "%.*s@%.*s" DOMAIN, GH_PRINT(name),
                                    GH_PRINT(tenant->google_project));
        if (text == NULL)
            return gh_error_set(error, GH_ERROR_MEMORY, "no memory for the address");
        if (name.size > GH_SERVICE_NAME_MAX)
            return gh_error_set(error, GH_ERROR_INVALID, "the name has at most %d characters",
                                GH_SERVICE_NAME_MAX);
        name = gh_slice_text(text);
    }
    if (!is_address(name))
        return gh_error_set(error, GH_ERROR_INVALID,
                            "a service account's name is made of a-z, 0-9, '-', '.' and '_', or is "
                            "an e-mail address of these with at most %d characters",
                            GH_SERVICE_EMAIL_MAX);
    *out = name;
    return GH_OK;
}

/* Whether the address says that it is of a project, and that is not the tenant's. */
static bool is_foreign(struct gh_slice email, const struct gh_tenant *tenant)
{
    struct gh_slice domain = GH_SLICE(DOMAIN);
    if (!gh_slice_ends(email, domain))
        return false;
    size_t at = gh_slice_find(email, '@') + 1;
    return !gh_slice_equal(gh_slice_sub(email, at, email.size - domain.size - at),
                           tenant->google_project);
}

enum gh_error_code gh_service_create(struct gh_store *store, const struct gh_tenant *tenant,
                                     struct gh_service_account *account, struct gh_error *error)
{
    if (!is_address(account->email) || is_foreign(account->email, tenant))
        return gh_error_set(error, GH_ERROR_INVALID, "%.*s is not an address of this project",
                            GH_PRINT(gh_slice_sub(account->email, 0, GH_SERVICE_EMAIL_MAX)));
    if (account->title.size > GH_SERVICE_TITLE_MAX)
        return gh_error_set(error, GH_ERROR_INVALID, "the title has at most %d bytes",
                            GH_SERVICE_TITLE_MAX);
    account->tenant = tenant->number;
    account->tenant_name = tenant->name;
    return gh_store_service_create(store, account, GH_SERVICE_ACCOUNTS_MAX, error);
}

/* --- keys --- */

/* Makes an RSA key: all of Google's libraries sign RS256. */
static enum gh_error_code make_key(struct gh_service_key *key, struct gh_buffer *private_pem,
                                   struct gh_arena *arena, struct gh_error *error)
{
    uint8_t block[2048];
    struct gh_buffer public_pem = gh_buffer_fixed(block, sizeof block);
    struct gh_private_key *made = gh_private_key_generate(GH_KEY_RSA, error);
    if (made == NULL)
        return error->code;
    bool good = gh_private_key_print(made, private_pem) &&
                gh_private_key_print_public(made, &public_pem) &&
                gh_arena_copy(arena, gh_buffer_slice(&public_pem), &key->public_key);
    gh_private_key_close(made);
    return good ? GH_OK : gh_error_set(error, GH_ERROR_MEMORY, "no memory for the key");
}

static bool is_key_id(struct gh_slice id)
{
    for (size_t i = 0; i < id.size; i++) {
        uint8_t lower = (uint8_t)(id.data[i] | 0x20);
        if (!is_address_byte(id.data[i]) && !(lower >= 'a' && lower <= 'z'))
            return false;
    }
    return id.size <= GH_SERVICE_KEY_ID_MAX;
}

/* The thumbprint of the key, as its id. */
static enum gh_error_code name_key(struct gh_service_key *key, const struct gh_key *open,
                                   struct gh_arena *arena, struct gh_error *error)
{
    char thumbprint[GH_JWK_THUMBPRINT_MAX];
    if (!is_key_id(key->id))
        return gh_error_set(error, GH_ERROR_INVALID,
                            "a key's id has at most %d letters, digits, '-', '.' and '_'",
                            GH_SERVICE_KEY_ID_MAX);
    if (key->id.size > 0)
        return GH_OK;
    return gh_jwk_thumbprint(open, thumbprint) &&
                   gh_arena_copy(arena, gh_slice_text(thumbprint), &key->id)
               ? GH_OK
               : gh_error_set(error, GH_ERROR_MEMORY, "no memory for the key");
}

enum gh_error_code gh_service_key_create(struct gh_store *store, struct gh_service_key *key,
                                         struct gh_buffer *private_pem, struct gh_arena *arena,
                                         struct gh_error *error)
{
    if (key->expires_at_ms != 0 && key->expires_at_ms <= key->created_at_ms)
        return gh_error_set(error, GH_ERROR_INVALID, "the key would have expired already");
    enum gh_error_code code =
        key->public_key.size == 0 ? make_key(key, private_pem, arena, error) : GH_OK;
    if (code != GH_OK)
        return code;
    struct gh_key *open = gh_key_open(key->public_key, error);
    if (open == NULL)
        return error->code;
    code = name_key(key, open, arena, error);
    gh_key_close(open);
    return code == GH_OK ? gh_store_service_key_add(store, key, GH_SERVICE_KEYS_MAX, error) : code;
}

/* --- tokens --- */

bool gh_service_is_token(struct gh_slice token, struct gh_arena *arena)
{
    struct gh_jose jose;
    struct gh_jose_claims claims;
    return gh_jose_read(token, false, arena, &jose) == GH_JOSE_OK && !gh_access_is_one(&jose) &&
           gh_jose_claims(jose.payload, arena, &claims) == GH_JOSE_OK &&
           gh_slice_find(claims.issuer.text, '@') < claims.issuer.text.size;
}

/* What is found out about one token, from top to bottom. */
struct check {
    struct gh_store *store;
    const struct gh_service_proof *proof;
    struct gh_arena *arena;
    struct gh_jose jose;
    struct gh_jose_claims claims;
    struct gh_service_account account;
    struct gh_service_key *keys, *key; /* all of the account, and the one that verified */
    size_t keys_count;
    int64_t expires_at_s;
    struct gh_identity_verdict *out;
};

static enum gh_identity_reason decide(struct check *check, enum gh_identity_reason reason,
                                      const char *format, ...) GH_PRINTF(3, 4);

static enum gh_identity_reason decide(struct check *check, enum gh_identity_reason reason,
                                      const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    gh_detail_print(check->out->detail, sizeof check->out->detail, format, arguments);
    va_end(arguments);
    return check->out->reason = reason;
}

static enum gh_identity_reason unavailable(struct check *check, const struct gh_error *error)
{
    return decide(check, GH_IDENTITY_UNAVAILABLE, "%s", error->text);
}

/* The account that the token names, and its keys. */
static enum gh_identity_reason find(struct check *check)
{
    struct gh_error error = {0};
    struct gh_slice email;
    if (gh_jose_read(check->proof->token, false, check->arena, &check->jose) != GH_JOSE_OK ||
        gh_jose_claims(check->jose.payload, check->arena, &check->claims) != GH_JOSE_OK)
        return decide(check, GH_IDENTITY_TOKEN_MALFORMED, "the token is not a JWT");
    email = check->claims.issuer.text;
    enum gh_error_code code =
        gh_store_service_find(check->store, email, check->arena, &check->account, &error);
    bool unknown = code == GH_ERROR_NOT_FOUND;
    if (code == GH_OK || unknown) /* of nobody there are none; asking takes as long */
        code = gh_store_service_key_list(check->store, check->account.number, check->arena,
                                         &check->keys, &check->keys_count, &error);
    if (code != GH_OK)
        return unavailable(check, &error);
    if (unknown)
        return decide(check, GH_IDENTITY_UNKNOWN_ACCOUNT, "there is no service account \"%.*s\"",
                      GH_PRINT(gh_detail_quoted(email)));
    check->out->principal.tenant = check->account.tenant;
    check->out->principal.tenant_name = check->account.tenant_name;
    if (check->account.tenant_disabled)
        return decide(check, GH_IDENTITY_TENANT_DISABLED, "%.*s: the tenant is disabled",
                      GH_PRINT(email));
    if (check->account.disabled)
        return decide(check, GH_IDENTITY_ACCOUNT_DISABLED, "%.*s is disabled", GH_PRINT(email));
    if (check->keys_count == 0)
        return decide(check, GH_IDENTITY_NO_CREDENTIAL, "%.*s has no key", GH_PRINT(email));
    return GH_IDENTITY_ACCEPTED;
}

/* The keys that are tried: the one that `kid` names, or without such a one all. Returns how many.
 */
static size_t open_keys(struct check *check, struct gh_key *open[], struct gh_service_key *of[])
{
    size_t count = 0;
    for (size_t i = 0; i < check->keys_count && check->jose.kid.size > 0; i++)
        if (gh_slice_equal(check->keys[i].id, check->jose.kid)) {
            check->keys += i;
            check->keys_count = 1;
            break;
        }
    for (size_t i = 0; i < check->keys_count && count < GH_SERVICE_KEYS_MAX; i++) {
        open[count] = gh_key_open(check->keys[i].public_key, NULL);
        if (open[count] != NULL)
            of[count++] = &check->keys[i];
    }
    return count;
}

/* Signature, issuer, times; and whether the key that signed still holds. */
static enum gh_identity_reason verify(struct check *check, bool subject_needed)
{
    struct gh_key *open[GH_SERVICE_KEYS_MAX];
    struct gh_service_key *of[GH_SERVICE_KEYS_MAX];
    struct gh_jwt_outcome outcome;
    struct gh_jwt_policy policy = policy_of_signed;
    policy.issuer = check->account.email;
    if (subject_needed || check->claims.subject.is != GH_JOSE_ABSENT)
        policy.subject = check->account.email; /* nobody acts for another */
    size_t count = open_keys(check, open, of);
    enum gh_jwt_verdict verdict =
        gh_jwt_verify(check->proof->token, (const struct gh_key *const *)open, count, &policy,
                      check->proof->now_ms / 1000, check->arena, &outcome);
    for (size_t i = 0; i < count; i++)
        gh_key_close(open[i]);
    if (verdict != GH_JWT_ACCEPTED)
        return decide(check, gh_identity_reason_of_token(verdict), "%.*s: %s",
                      GH_PRINT(check->account.email), outcome.detail);
    check->key = of[outcome.key];
    check->expires_at_s = outcome.expires_at_s;
    check->out->principal.credential_id = check->key->id;
    if (check->key->disabled)
        return decide(check, GH_IDENTITY_CREDENTIAL_DISABLED, "%.*s: key %.*s is disabled",
                      GH_PRINT(check->account.email), GH_PRINT(check->key->id));
    if (check->key->expires_at_ms != 0 && check->key->expires_at_ms <= check->proof->now_ms)
        return decide(check, GH_IDENTITY_CREDENTIAL_EXPIRED, "%.*s: key %.*s expired %lld s ago",
                      GH_PRINT(check->account.email), GH_PRINT(check->key->id),
                      (long long)(check->proof->now_ms - check->key->expires_at_ms) / 1000);
    return GH_IDENTITY_ACCEPTED;
}

/* --- a refusal takes as long without an account as with one --- */

/* Public halves of keys that were made for this and whose private halves are gone. */
static const char nobodys_rsa[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAq8EcHVVoCpQZ0l8z1nPz\n"
    "SLzUb/PUNoK9ozcpBuEYOX0MbzOCh+iRDBkZfyEC/I33PeiWZWBvg4+0/YONyhFB\n"
    "yv6pKwf52hApAjgf0nAVxr8giCSkHcKAXPD3m+bgrTygtIz1yJTVdFdxqbGuGvx0\n"
    "/H18iA16fylquObobuiZ4PfpsZ9dMQms8WUMKAls8YofhHgj/U6+TssezWRbV9pi\n"
    "V3Y4SqIe4e0R8q+yqslXVbTAs7mRo9mnUJ1ExgC9r6x0Sh9/WQuW0G9oqcpwAc4i\n"
    "pirJrNisB8aHU1Sq2HV4NOyJdVzZaAGs1MACTexxW0eqtGFVlqlgzgEZTuoH9FYM\n"
    "NwIDAQAB\n"
    "-----END PUBLIC KEY-----\n";
static const char nobodys_p256[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEudS6LHHmxfTw66inbSPR09SdCTpc\n"
    "g4Yya2dXCoCpayuAse392mQYBoO8wpprKmPd9RR3Zu014H1PeipYws2hrQ==\n"
    "-----END PUBLIC KEY-----\n";

/* Does what a wrong signature costs, so that time does not tell a stranger which accounts there
 * are. An account has one key in most cases; with more, and a token that names none of them, it
 * takes longer. */
static void verify_in_vain(const struct check *check)
{
    bool is_rsa = gh_slice_equal(check->jose.algorithm, GH_SLICE("RS256"));
    struct gh_key *key = gh_key_open(gh_slice_text(is_rsa ? nobodys_rsa : nobodys_p256), NULL);
    struct gh_jwt_outcome outcome;
    if (key == NULL)
        return;
    (void)!gh_jwt_verify(check->proof->token, (const struct gh_key *const *)&key, 1,
                         &policy_of_signed, check->proof->now_ms / 1000, check->arena, &outcome);
    gh_key_close(key);
}

/* Refusals before a signature that a stranger must not tell from a wrong one. */
static bool tells_of_account(enum gh_identity_reason reason)
{
    return reason == GH_IDENTITY_UNKNOWN_ACCOUNT || reason == GH_IDENTITY_TENANT_DISABLED ||
           reason == GH_IDENTITY_ACCOUNT_DISABLED || reason == GH_IDENTITY_NO_CREDENTIAL;
}

/* --- what the token is for --- */

static bool is_one_of(struct gh_slice text, const char *const list[], size_t count)
{
    if (text.size > 0 && text.data[text.size - 1] == '/')
        text.size--;
    for (size_t i = 0; i < count; i++)
        if (gh_slice_equal(text, gh_slice_text(list[i])))
            return true;
    return false;
}

/* Whether `text` is our address with one of the ends that are allowed. */
static bool is_ours(const struct check *check, struct gh_slice text, size_t ends)
{
    struct gh_slice issuer = check->proof->issuer;
    return issuer.size > 0 && gh_slice_starts(text, issuer) &&
           is_one_of(gh_slice_sub(text, issuer.size, text.size), own_endpoints, ends);
}

static bool has_scope(const struct check *check)
{
    struct gh_slice rest = {0};
    json_t *payload = gh_json_read(check->jose.payload, NULL);
    bool found = false;
    if (gh_json_text(payload, "scope", &rest))
        while (rest.size > 0 && !found)
            found = is_one_of(gh_slice_split(&rest, ' '), scopes, GH_COUNT(scopes));
    json_decref(payload);
    return found;
}

/* The one audience; empty when there is none or more than one. */
static struct gh_slice audience_of(const struct check *check)
{
    return check->claims.audiences_count == 1 ? check->claims.audiences[0] : (struct gh_slice){0};
}

static enum gh_identity_reason check_bearer(struct check *check)
{
    struct gh_slice audience = audience_of(check);
    if (check->claims.audience != GH_JOSE_ABSENT)
        return is_one_of(audience, audiences, GH_COUNT(audiences)) || is_ours(check, audience, 1)
                   ? GH_IDENTITY_ACCEPTED
                   : decide(check, GH_IDENTITY_AUDIENCE, "%.*s: aud is \"%.*s\"",
                            GH_PRINT(check->account.email), GH_PRINT(gh_detail_quoted(audience)));
    return has_scope(check) ? GH_IDENTITY_ACCEPTED
                            : decide(check, GH_IDENTITY_SCOPE,
                                     "%.*s: there is no aud, and no scope of these services",
                                     GH_PRINT(check->account.email));
}

static enum gh_identity_reason check_assertion(struct check *check)
{
    struct gh_slice audience = audience_of(check);
    if (!is_one_of(audience, grant_audiences, GH_COUNT(grant_audiences)) &&
        !is_ours(check, audience, GH_COUNT(own_endpoints)))
        return decide(check, GH_IDENTITY_AUDIENCE, "%.*s: aud is \"%.*s\"",
                      GH_PRINT(check->account.email), GH_PRINT(gh_detail_quoted(audience)));
    return has_scope(check) ? GH_IDENTITY_ACCEPTED
                            : decide(check, GH_IDENTITY_SCOPE, "%.*s: no scope of these services",
                                     GH_PRINT(check->account.email));
}

/* That it was used is worth a line in the log when it cannot be written down, and nothing more. */
static void note_use(const struct check *check)
{
    struct gh_error error;
    if (check->proof->now_ms - check->key->last_used_at_ms < GH_SERVICE_USE_INTERVAL_MS)
        return;
    if (gh_store_service_key_used(check->store, check->key->number, check->proof->now_ms, &error) !=
        GH_OK)
        gh_log(GH_LOG_WARN, "identity", "last use of a service key: %s", error.text);
}

static enum gh_identity_reason run(struct check *check, bool is_assertion)
{
    *check->out = (struct gh_identity_verdict){0};
    enum gh_identity_reason reason = find(check);
    if (reason == GH_IDENTITY_ACCEPTED)
        reason = verify(check, !is_assertion);
    else if (tells_of_account(reason))
        verify_in_vain(check);
    if (reason == GH_IDENTITY_ACCEPTED)
        reason = is_assertion ? check_assertion(check) : check_bearer(check);
    if (reason == GH_IDENTITY_ACCEPTED)
        note_use(check);
    return reason;
}

/* When what the token proves ends: with itself, or with the key before. */
static int64_t ends_at_ms(const struct check *check)
{
    int64_t ends = check->expires_at_s * 1000, key = check->key->expires_at_ms;
    return key != 0 && key < ends ? key : ends;
}

static char *member_of(const struct check *check)
{
    return gh_arena_print(check->arena, "serviceAccount:%.*s", GH_PRINT(check->account.email));
}

enum gh_identity_reason gh_service_check(struct gh_store *store,
                                         const struct gh_service_proof *proof,
                                         struct gh_arena *arena, struct gh_caller *out,
                                         struct gh_identity_verdict *verdict)
{
    struct check check = {.store = store, .proof = proof, .arena = arena, .out = verdict};
    enum gh_identity_reason reason = run(&check, false);
    if (reason != GH_IDENTITY_ACCEPTED)
        return reason;
    char *member = member_of(&check);
    if (member == NULL)
        return decide(&check, GH_IDENTITY_UNAVAILABLE, "no memory for the caller");
    *out = (struct gh_caller){.kind = GH_CALLER_TOKEN,
                              .name = gh_slice_text(member),
                              .member = gh_slice_text(member),
                              .tenant = check.account.tenant,
                              .expires_at_ms = ends_at_ms(&check)};
    return reason;
}

enum gh_identity_reason gh_service_grant(struct gh_store *store,
                                         const struct gh_service_proof *proof,
                                         struct gh_arena *arena, char token[GH_TOKEN_TEXT_MAX],
                                         int64_t *ttl_s, struct gh_identity_verdict *verdict)
{
    struct check check = {.store = store, .proof = proof, .arena = arena, .out = verdict};
    struct gh_error error = {0};
    enum gh_identity_reason reason = run(&check, true);
    if (reason != GH_IDENTITY_ACCEPTED)
        return reason;
    int64_t until_ms = check.key->expires_at_ms, left_s = (until_ms - proof->now_ms) / 1000;
    *ttl_s = until_ms == 0 || left_s > GH_SERVICE_TTL_S ? GH_SERVICE_TTL_S
             : left_s > 0                               ? left_s
                                                        : 1;
    char *member = member_of(&check);
    struct gh_token_grant grant = {.member = member == NULL ? (struct gh_slice){0}
                                                            : gh_slice_text(member),
                                   .tenant = check.account.tenant,
                                   .ttl_s = *ttl_s,
                                   .service_key = check.key->number};
    if (gh_token_mint(store, &grant, proof->now_ms, token, &error) != GH_OK)
        return unavailable(&check, &error);
    return decide(&check, GH_IDENTITY_ACCEPTED, "%.*s, key %.*s", GH_PRINT(check.account.email),
                  GH_PRINT(check.key->id));
}
