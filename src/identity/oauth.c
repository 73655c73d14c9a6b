#include "identity/oauth.h"
#include "base/secret.h"
#include "identity/detail_internal.h"
#include "identity/service_account.h"
#include "registry/anchors.h"
#include "wire/base64.h"
#include "wire/http/query.h"
#include <assert.h>
#include <stdarg.h>
#include <string.h>

enum { BASIC_BYTES_MAX = 1024, SOURCE_BYTES_MAX = 64 };

static const struct gh_oauth_error_info infos[] = {
    [GH_OAUTH_OK] = {"", 200},
    [GH_OAUTH_INVALID_REQUEST] = {"invalid_request", 400},
    [GH_OAUTH_INVALID_CLIENT] = {"invalid_client", 401},
    [GH_OAUTH_UNAUTHORIZED_CLIENT] = {"unauthorized_client", 400},
    [GH_OAUTH_UNSUPPORTED_GRANT_TYPE] = {"unsupported_grant_type", 400},
    [GH_OAUTH_INVALID_GRANT] = {"invalid_grant", 400},
    [GH_OAUTH_INVALID_SCOPE] = {"invalid_scope", 400},
    [GH_OAUTH_INVALID_TARGET] = {"invalid_target", 400},
    [GH_OAUTH_SLOW_DOWN] = {"slow_down", 429},
    [GH_OAUTH_UNAVAILABLE] = {"temporarily_unavailable", 503},
};
static_assert(GH_COUNT(infos) == GH_OAUTH_ERROR_COUNT, "a word for each error");

const struct gh_oauth_error_info *gh_oauth_error_info(enum gh_oauth_error error)
{
    assert((size_t)error < GH_COUNT(infos));
    return &infos[error];
}

/* The fields that are looked at. One that comes twice is refused (RFC 6749 §3.2), an empty one is
 * none (§3.1). */
enum field {
    GRANT_TYPE,
    SCOPE,
    RESOURCE,
    AUDIENCE,
    CLIENT_ID,
    CLIENT_SECRET,
    ASSERTION,
    ASSERTION_TYPE,
    SUBJECT_TOKEN,
    SUBJECT_TOKEN_TYPE,
    REQUESTED_TOKEN_TYPE,
    ACTOR_TOKEN,
    SIGNING_ALG,
    TOKEN,
    GRANT_ASSERTION,
    FIELD_COUNT,
};
static const char *const field_names[] = {
    [GRANT_TYPE] = "grant_type",
    [SCOPE] = "scope",
    [RESOURCE] = "resource",
    [AUDIENCE] = "audience",
    [CLIENT_ID] = "client_id",
    [CLIENT_SECRET] = "client_secret",
    [ASSERTION] = "client_assertion",
    [ASSERTION_TYPE] = "client_assertion_type",
    [SUBJECT_TOKEN] = "subject_token",
    [SUBJECT_TOKEN_TYPE] = "subject_token_type",
    [REQUESTED_TOKEN_TYPE] = "requested_token_type",
    [ACTOR_TOKEN] = "actor_token",
    [SIGNING_ALG] = "token_signing_alg",
    [TOKEN] = "token",
    [GRANT_ASSERTION] = "assertion",
};
static_assert(GH_COUNT(field_names) == FIELD_COUNT, "a name for each field");

/* What one request knows; filled from top to bottom. */
struct work {
    const struct gh_oauth_services *services;
    const struct gh_oauth_request *request;
    struct gh_arena *arena;
    struct gh_slice fields[FIELD_COUNT];
    bool ends_with_proof; /* the token lives no longer than what was shown for it */
    struct gh_oauth_outcome *out;
};

static enum gh_oauth_error decide(struct gh_oauth_outcome *out, enum gh_oauth_error error,
                                  const char *reason, const char *format, ...) GH_PRINTF(4, 5);

static enum gh_oauth_error decide(struct gh_oauth_outcome *out, enum gh_oauth_error error,
                                  const char *reason, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    gh_detail_print(out->detail, sizeof out->detail, format, arguments);
    va_end(arguments);
    out->reason = reason;
    return out->error = error;
}

static enum gh_oauth_error bad_request(struct gh_oauth_outcome *out, const char *what)
{
    return decide(out, GH_OAUTH_INVALID_REQUEST, "REQUEST", "%s", what);
}

static bool is_text(struct gh_slice value, const char *text)
{
    return gh_slice_equal(value, gh_slice_text(text));
}

static enum gh_oauth_error read_form(struct work *work)
{
    struct gh_slice type = work->request->content_type, rest = work->request->body, name, value;
    bool seen[FIELD_COUNT] = {false};
    if (!gh_slice_equal_nocase(gh_slice_split(&type, ';'),
                               GH_SLICE("application/x-www-form-urlencoded")))
        return bad_request(work->out, "the content type is not application/x-www-form-urlencoded");
    while (gh_query_next(&rest, work->arena, &name, &value))
        for (size_t i = 0; i < FIELD_COUNT; i++) {
            if (!is_text(name, field_names[i]))
                continue;
            if (seen[i])
                return decide(work->out, GH_OAUTH_INVALID_REQUEST, "REQUEST", "%s comes twice",
                              field_names[i]);
            seen[i] = true;
            work->fields[i] = value;
        }
    return GH_OAUTH_OK;
}

/* --- the client */

/* TENANT/REGISTRY/DEVICE into the claim; false when it is not that. */
static bool name_client(struct gh_slice id, struct gh_identity_claim *claim)
{
    claim->tenant = gh_slice_split(&id, '/');
    claim->registry = gh_slice_split(&id, '/');
    claim->device = id;
    return claim->tenant.size > 0 && claim->registry.size > 0 && id.size > 0 &&
           gh_slice_find(id, '/') == id.size;
}

/* projects/P/locations/L/registries/R/devices/D, the client id of Google's devices. */
static bool name_google(struct gh_slice id, struct gh_identity_claim *claim)
{
    static const char *const words[] = {"projects", "locations", "registries", "devices"};
    struct gh_slice *const parts[] = {&claim->tenant, &claim->location, &claim->registry,
                                      &claim->device};
    for (size_t i = 0; i < GH_COUNT(words); i++) {
        if (!is_text(gh_slice_split(&id, '/'), words[i]))
            return false;
        *parts[i] = gh_slice_split(&id, '/');
        if (parts[i]->size == 0)
            return false;
    }
    claim->by = GH_IDENTITY_BY_GOOGLE_PROJECT;
    return id.size == 0;
}

/* One value that is form-encoded, as RFC 6749 §2.3.1 asks of both halves of Basic. */
static bool decode_half(struct work *work, struct gh_slice half, struct gh_slice *out)
{
    char *query = gh_arena_print(work->arena, "v=%.*s", GH_PRINT(half));
    return query != NULL && gh_slice_find(half, '&') == half.size &&
           gh_query_get(gh_slice_text(query), "v", work->arena, out);
}

static bool read_basic(struct work *work, struct gh_slice *id, struct gh_slice *secret)
{
    const struct gh_slice scheme = GH_SLICE("Basic ");
    struct gh_slice value = work->request->authorization;
    if (!gh_slice_equal_nocase(gh_slice_sub(value, 0, scheme.size), scheme) ||
        value.size > BASIC_BYTES_MAX)
        return false;
    value = gh_slice_sub(value, scheme.size, value.size);
    uint8_t *block = gh_arena_alloc(work->arena, BASIC_BYTES_MAX);
    struct gh_buffer text = gh_buffer_fixed(block, block == NULL ? 0 : BASIC_BYTES_MAX);
    if (!gh_base64_decode(value, GH_BASE64_ANY, &text))
        return false;
    struct gh_slice rest = gh_buffer_slice(&text);
    return decode_half(work, gh_slice_split(&rest, ':'), id) && decode_half(work, rest, secret) &&
           secret->size > 0;
}

static void claim_names(struct gh_oauth_outcome *out, const struct gh_identity_claim *claim)
{
    out->tenant = claim->tenant;
    out->registry = claim->registry;
    out->device = claim->device;
}

/* Who guesses: where from and as whom. */
static struct gh_slice guesser(struct work *work, struct gh_slice client)
{
    char *name = gh_arena_print(work->arena, "%.*s %.*s",
                                GH_PRINT(gh_slice_sub(work->request->source, 0, SOURCE_BYTES_MAX)),
                                GH_PRINT(client));
    return gh_slice_text(name);
}

/* Asks identity, unless wrong proofs came before. `refused` is what the peer is told. */
static enum gh_oauth_error prove(struct work *work, struct gh_slice client,
                                 const struct gh_identity_claim *claim, enum gh_oauth_error refused)
{
    struct gh_oauth_outcome *out = work->out;
    struct gh_slice name = guesser(work, client);
    int64_t now_ms = work->request->now_ms;
    claim_names(out, claim);
    int64_t wait_ms = gh_access_wait_ms(work->services->access, name, now_ms);
    if (wait_ms > 0) {
        out->retry_after_s = (wait_ms + 999) / 1000;
        return decide(out, GH_OAUTH_SLOW_DOWN, "WAIT", "wrong proofs came before, %lld s are left",
                      (long long)out->retry_after_s);
    }
    enum gh_identity_reason reason =
        gh_identity_device(work->services->directory, claim, now_ms, work->arena, &out->verdict);
    if (reason == GH_IDENTITY_UNAVAILABLE)
        return decide(out, GH_OAUTH_UNAVAILABLE, gh_identity_reason_name(reason), "%s",
                      out->verdict.detail);
    gh_access_proved(work->services->access, name, reason == GH_IDENTITY_ACCEPTED, now_ms);
    return decide(out, reason == GH_IDENTITY_ACCEPTED ? GH_OAUTH_OK : refused,
                  gh_identity_reason_name(reason), "%s", out->verdict.detail);
}

static enum gh_oauth_error unnamed(struct work *work, struct gh_slice id)
{
    return decide(work->out, GH_OAUTH_INVALID_CLIENT, "CLIENT_ID",
                  "the client id \"%.*s\" is not TENANT/REGISTRY/DEVICE",
                  GH_PRINT(gh_detail_quoted(id)));
}

static enum gh_oauth_error by_secret(struct work *work)
{
    struct gh_identity_claim claim = {.over = GH_IDENTITY_OVER_TOKEN};
    struct gh_slice id = {0};
    work->out->method = "client_secret_basic";
    if (!read_basic(work, &id, &claim.secret))
        return decide(work->out, GH_OAUTH_INVALID_CLIENT, "REQUEST",
                      "the Authorization header is not Basic with an id and a secret");
    if (!name_client(id, &claim))
        return unnamed(work, id);
    if (work->fields[CLIENT_ID].size > 0 && !gh_slice_equal(work->fields[CLIENT_ID], id))
        return bad_request(work->out, "client_id is not the id of the Authorization header");
    return prove(work, id, &claim, GH_OAUTH_INVALID_CLIENT);
}

/* The id that an assertion claims in `sub`: a stranger's word until it is verified. */
static struct gh_slice asserted_client(struct work *work)
{
    struct gh_jose jose;
    struct gh_jose_claims claims;
    if (gh_jose_read(work->fields[ASSERTION], false, work->arena, &jose) != GH_JOSE_OK ||
        gh_jose_claims(jose.payload, work->arena, &claims) != GH_JOSE_OK)
        return (struct gh_slice){0};
    return claims.subject.text;
}

static enum gh_oauth_error spend(struct work *work, struct gh_slice client)
{
    struct gh_oauth_outcome *out = work->out;
    const struct gh_identity_verdict *verdict = &out->verdict;
    struct gh_error error = {0};
    enum gh_error_code code = gh_access_spend(work->services->access, client, verdict->token_id,
                                              verdict->token_expires_at_s + gh_jwt_assertion.skew_s,
                                              work->request->now_ms / 1000, &error);
    if (code == GH_OK)
        return GH_OAUTH_OK;
    if (code == GH_ERROR_EXISTS)
        return decide(out, GH_OAUTH_INVALID_CLIENT,
                      gh_identity_reason_name(GH_IDENTITY_TOKEN_REPLAYED),
                      "the assertion's jti was used before");
    return decide(out, GH_OAUTH_UNAVAILABLE, gh_identity_reason_name(GH_IDENTITY_UNAVAILABLE), "%s",
                  error.text);
}

static enum gh_oauth_error by_assertion(struct work *work)
{
    struct gh_identity_claim claim = {.over = GH_IDENTITY_OVER_TOKEN,
                                      .token = work->fields[ASSERTION],
                                      .policy = gh_jwt_assertion};
    struct gh_slice id = asserted_client(work);
    work->out->method = "private_key_jwt";
    if (!is_text(work->fields[ASSERTION_TYPE],
                 "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"))
        return bad_request(work->out, "client_assertion_type is not jwt-bearer");
    if (!name_client(id, &claim))
        return unnamed(work, id);
    if (work->fields[CLIENT_ID].size > 0 && !gh_slice_equal(work->fields[CLIENT_ID], id))
        return bad_request(work->out, "client_id is not the assertion's sub");
    claim.policy.audience = gh_access_issuer(work->services->access);
    claim.policy.subject = claim.policy.issuer = id;
    enum gh_oauth_error error = prove(work, id, &claim, GH_OAUTH_INVALID_CLIENT);
    return error == GH_OAUTH_OK ? spend(work, id) : error;
}

static enum gh_oauth_error by_certificate(struct work *work)
{
    struct gh_identity_claim claim = {.over = GH_IDENTITY_OVER_TOKEN,
                                      .by_certificate = true,
                                      .chain = work->request->chain,
                                      .chain_count = work->request->chain_count};
    struct gh_slice id = work->fields[CLIENT_ID], serial;
    work->out->method = "tls_client_auth";
    if (!name_client(id, &claim))
        return unnamed(work, id);
    enum gh_oauth_error error = prove(work, id, &claim, GH_OAUTH_INVALID_CLIENT);
    work->ends_with_proof = true;
    if (error == GH_OAUTH_OK &&
        !gh_anchor_credential_read(work->out->verdict.principal.credential_id, 0, &serial))
        work->out->method = "self_signed_tls_client_auth"; /* it is registered itself */
    return error;
}

/* Exactly one proof (RFC 6749 §2.3). */
static enum gh_oauth_error authenticate(struct work *work)
{
    bool has_header = work->request->authorization.size > 0;
    bool has_assertion = work->fields[ASSERTION].size > 0;
    if (work->fields[CLIENT_SECRET].size > 0)
        return decide(work->out, GH_OAUTH_INVALID_CLIENT, "REQUEST",
                      "client_secret stands in the body; it is taken in HTTP Basic only");
    if (has_header && has_assertion)
        return bad_request(work->out, "there are two proofs, one is taken");
    if (has_header)
        return by_secret(work);
    if (has_assertion)
        return by_assertion(work);
    if (work->request->chain_count > 0)
        return by_certificate(work);
    return decide(work->out, GH_OAUTH_INVALID_CLIENT,
                  gh_identity_reason_name(GH_IDENTITY_NO_CREDENTIAL),
                  "the request brings no secret, assertion or certificate");
}

/* --- grants */

static enum gh_oauth_error grant_client(struct work *work)
{
    return authenticate(work);
}

/* A JWT is the one with which the device signs in, natively or as Google's devices do. */
static bool subject_jwt(struct gh_slice id, struct gh_slice token, struct gh_identity_claim *claim)
{
    claim->token = token;
    claim->policy = gh_jwt_google;
    if (name_google(id, claim))
        return true;
    claim->by = GH_IDENTITY_BY_TENANT_NAME;
    claim->policy = gh_jwt_native;
    bool named = name_client(id, claim);
    claim->policy.subject = claim->device;
    return named;
}

static bool subject_sas(struct gh_slice id, struct gh_slice token, struct gh_identity_claim *claim)
{
    claim->sas = token;
    return name_client(id, claim);
}

/* What may be exchanged: each fills in the claim, or finds that the client id is none. */
static const struct {
    const char *type;
    bool (*read)(struct gh_slice id, struct gh_slice token, struct gh_identity_claim *claim);
} subjects[] = {
    {"urn:ietf:params:oauth:token-type:jwt", subject_jwt},
    {GH_OAUTH_TOKEN_TYPE_SAS, subject_sas},
};

static enum gh_oauth_error prove_subject(struct work *work)
{
    struct gh_identity_claim claim = {.over = GH_IDENTITY_OVER_TOKEN};
    struct gh_slice id = work->fields[CLIENT_ID], type = work->fields[SUBJECT_TOKEN_TYPE];
    for (size_t i = 0; i < GH_COUNT(subjects); i++)
        if (is_text(type, subjects[i].type))
            return subjects[i].read(id, work->fields[SUBJECT_TOKEN], &claim)
                       ? prove(work, id, &claim, GH_OAUTH_INVALID_REQUEST)
                       : unnamed(work, id);
    return bad_request(work->out, "subject_token_type is neither that of a JWT nor of a SAS token");
}

/* RFC 8693: the subject token is the proof. §2.2.2 has invalid_request for one that is not good. */
static enum gh_oauth_error grant_exchange(struct work *work)
{
    const struct gh_slice *fields = work->fields;
    work->out->method = "token-exchange";
    work->out->exchanged = work->ends_with_proof = true;
    if (fields[SUBJECT_TOKEN].size == 0)
        return bad_request(work->out, "there is no subject_token");
    if (fields[ACTOR_TOKEN].size > 0)
        return bad_request(work->out, "nobody acts for a device");
    if (fields[REQUESTED_TOKEN_TYPE].size > 0 &&
        !is_text(fields[REQUESTED_TOKEN_TYPE], "urn:ietf:params:oauth:token-type:access_token"))
        return bad_request(work->out, "access tokens are given, no other type");
    if (work->request->authorization.size > 0 || fields[ASSERTION].size > 0)
        return bad_request(work->out, "the subject token is the proof, there is a second one");
    return prove_subject(work);
}

/* RFC 7523 §2.1: of a service account. Its signature is the proof, which nobody guesses; so nobody
 * has to wait, and a stranger cannot lock an account out by its address. */
static enum gh_oauth_error grant_assertion(struct work *work)
{
    struct gh_oauth_outcome *out = work->out;
    const struct gh_service_proof proof = {.token = work->fields[GRANT_ASSERTION],
                                           .issuer = gh_access_issuer(work->services->access),
                                           .now_ms = work->request->now_ms};
    char token[GH_TOKEN_TEXT_MAX];
    out->method = "jwt-bearer";
    if (proof.token.size == 0)
        return bad_request(out, "there is no assertion");
    if (work->services->store == NULL)
        return decide(out, GH_OAUTH_UNSUPPORTED_GRANT_TYPE, "REQUEST", "no service accounts");
    enum gh_identity_reason reason = gh_service_grant(work->services->store, &proof, work->arena,
                                                      token, &out->expires_in_s, &out->verdict);
    out->tenant = out->verdict.principal.tenant_name;
    if (reason != GH_IDENTITY_ACCEPTED)
        return decide(
            out, reason == GH_IDENTITY_UNAVAILABLE ? GH_OAUTH_UNAVAILABLE : GH_OAUTH_INVALID_GRANT,
            gh_identity_reason_name(reason), "%s", out->verdict.detail);
    bool copied = gh_arena_copy(work->arena, gh_slice_text(token), &out->token);
    gh_secret_wipe(token, sizeof token);
    return copied ? decide(out, GH_OAUTH_OK, "TOKEN_ISSUED", "%s, %s", out->method,
                           out->verdict.detail)
                  : decide(out, GH_OAUTH_UNAVAILABLE, "UNAVAILABLE", "no memory for the token");
}

static const struct {
    const char *name;
    enum gh_oauth_error (*run)(struct work *work);
    bool is_whole; /* the token is made already */
} grants[] = {
    {"client_credentials", grant_client, false},
    {"urn:ietf:params:oauth:grant-type:token-exchange", grant_exchange, false},
    {"urn:ietf:params:oauth:grant-type:jwt-bearer", grant_assertion, true},
};

/* Which scope, for which resource, signed how. */
static enum gh_oauth_error read_wishes(struct work *work, struct gh_access_grant *grant)
{
    static const enum field targets[] = {RESOURCE, AUDIENCE};
    struct gh_slice algorithm = work->fields[SIGNING_ALG];
    grant->kind = is_text(algorithm, "RS256") ? GH_KEY_RSA : GH_KEY_P256;
    if (algorithm.size > 0 && grant->kind != GH_KEY_RSA && !is_text(algorithm, "ES256"))
        return bad_request(work->out, "token_signing_alg is ES256 or RS256");
    for (size_t i = 0; i < GH_COUNT(targets); i++) {
        struct gh_slice target = work->fields[targets[i]];
        if (target.size > 0 && !gh_slice_equal(target, gh_access_issuer(work->services->access)))
            return decide(work->out, GH_OAUTH_INVALID_TARGET, "REQUEST",
                          "a token for \"%.*s\" was asked for", GH_PRINT(gh_detail_quoted(target)));
    }
    if (!gh_access_scope(work->fields[SCOPE], &grant->scope))
        return decide(work->out, GH_OAUTH_INVALID_SCOPE, "REQUEST", "there is no scope \"%.*s\"",
                      GH_PRINT(gh_detail_quoted(work->fields[SCOPE])));
    return GH_OAUTH_OK;
}

/* Not longer than the credential holds, nor than the certificate that was shown or the token that
 * was exchanged. */
static int64_t life_s(const struct work *work)
{
    const struct gh_oauth_outcome *out = work->out;
    int64_t now_ms = work->request->now_ms;
    const struct gh_device *device = out->verdict.device;
    int64_t until_ms = now_ms + GH_ACCESS_TTL_S * INT64_C(1000);
    if (work->ends_with_proof && out->verdict.valid_until_s * 1000 < until_ms)
        until_ms = out->verdict.valid_until_s * 1000;
    for (size_t i = 0; i < device->credentials_count; i++) {
        const struct gh_credential *credential = &device->credentials[i];
        if (gh_slice_equal(credential->id, out->verdict.principal.credential_id) &&
            credential->expires_at_ms != 0 && credential->expires_at_ms < until_ms)
            until_ms = credential->expires_at_ms;
    }
    int64_t life = (until_ms - now_ms) / 1000;
    return life > 0 ? life : 1;
}

static enum gh_oauth_error issue(struct work *work, struct gh_access_grant *grant)
{
    struct gh_oauth_outcome *out = work->out;
    struct gh_error error = {0};
    uint8_t digest[GH_SHA256_BYTES];
    uint8_t *block = gh_arena_alloc(work->arena, GH_ACCESS_TOKEN_MAX);
    struct gh_buffer token = gh_buffer_fixed(block, block == NULL ? 0 : GH_ACCESS_TOKEN_MAX);
    grant->principal = &out->verdict.principal;
    if (work->request->chain_count > 0) {
        gh_sha256(work->request->chain[0], digest);
        grant->certificate = gh_slice(digest, sizeof digest);
    }
    grant->ttl_s = life_s(work);
    if (gh_access_issue(work->services->access, grant, work->request->now_ms / 1000, &token,
                        out->token_id, &error) != GH_OK)
        return decide(out, GH_OAUTH_UNAVAILABLE, gh_identity_reason_name(GH_IDENTITY_UNAVAILABLE),
                      "no token could be made: %s", error.text);
    out->token = gh_buffer_slice(&token);
    out->scope = grant->scope;
    out->expires_in_s = grant->ttl_s;
    return decide(out, GH_OAUTH_OK, "TOKEN_ISSUED", "%s, token %s, scope %.*s", out->method,
                  out->token_id, GH_PRINT(out->scope));
}

static enum gh_oauth_error begin(struct work *work)
{
    *work->out = (struct gh_oauth_outcome){.reason = "", .method = ""};
    return read_form(work);
}

enum gh_oauth_error gh_oauth_token(const struct gh_oauth_services *services,
                                   const struct gh_oauth_request *request, struct gh_arena *arena,
                                   struct gh_oauth_outcome *out)
{
    struct work work = {.services = services, .request = request, .arena = arena, .out = out};
    struct gh_access_grant grant = {0};
    enum gh_oauth_error error = begin(&work);
    if (error != GH_OAUTH_OK)
        return error;
    if (work.fields[GRANT_TYPE].size == 0)
        return bad_request(out, "there is no grant_type");
    for (size_t i = 0; i < GH_COUNT(grants); i++) {
        if (!is_text(work.fields[GRANT_TYPE], grants[i].name))
            continue;
        error = grants[i].run(&work);
        if (grants[i].is_whole)
            return error;
        if (error == GH_OAUTH_OK)
            error = read_wishes(&work, &grant);
        return error == GH_OAUTH_OK ? issue(&work, &grant) : error;
    }
    return decide(out, GH_OAUTH_UNSUPPORTED_GRANT_TYPE, "REQUEST", "grant_type is \"%.*s\"",
                  GH_PRINT(gh_detail_quoted(work.fields[GRANT_TYPE])));
}

enum gh_oauth_error gh_oauth_form(const struct gh_oauth_request *request, struct gh_arena *arena,
                                  struct gh_slice *token, struct gh_oauth_outcome *out)
{
    struct work work = {.request = request, .arena = arena, .out = out};
    enum gh_oauth_error error = begin(&work);
    *token = work.fields[TOKEN];
    return error == GH_OAUTH_OK && token->size == 0 ? bad_request(out, "there is no token") : error;
}

enum gh_oauth_error gh_oauth_client(const struct gh_oauth_services *services,
                                    const struct gh_oauth_request *request, struct gh_arena *arena,
                                    struct gh_slice *token, struct gh_oauth_outcome *out)
{
    struct work work = {.services = services, .request = request, .arena = arena, .out = out};
    enum gh_oauth_error error = begin(&work);
    if (error == GH_OAUTH_OK)
        error = authenticate(&work);
    *token = work.fields[TOKEN];
    return error == GH_OAUTH_OK && token->size == 0 ? bad_request(out, "there is no token") : error;
}

/* --- tokens that are asked about */

bool gh_oauth_inspect(const struct gh_oauth_services *services, struct gh_slice token,
                      int64_t now_ms, struct gh_arena *arena, struct gh_access_claims *claims,
                      struct gh_identity_verdict *verdict)
{
    char detail[GH_IDENTITY_DETAIL_MAX];
    struct gh_identity_claim claim = {.token = token,
                                      .access = services->access,
                                      .access_taken = true,
                                      .over = GH_IDENTITY_OVER_TOKEN};
    if (gh_access_verify(services->access, token, now_ms / 1000, arena, claims, detail) !=
        GH_IDENTITY_ACCEPTED)
        return false;
    return gh_identity_device(services->directory, &claim, now_ms, arena, verdict) ==
           GH_IDENTITY_ACCEPTED;
}

enum gh_oauth_error gh_oauth_revoke(const struct gh_oauth_services *services, struct gh_slice token,
                                    uint64_t owner, int64_t now_ms, struct gh_arena *arena,
                                    struct gh_access_claims *claims)
{
    char detail[GH_IDENTITY_DETAIL_MAX];
    enum gh_identity_reason reason =
        gh_access_verify(services->access, token, now_ms / 1000, arena, claims, detail);
    if (reason == GH_IDENTITY_UNAVAILABLE)
        return GH_OAUTH_UNAVAILABLE;
    if (reason != GH_IDENTITY_ACCEPTED) {
        *claims = (struct gh_access_claims){0};
        return GH_OAUTH_OK;
    }
    if (owner != 0 && claims->number != owner) {
        *claims = (struct gh_access_claims){0};
        return GH_OAUTH_UNAUTHORIZED_CLIENT;
    }
    return gh_access_revoke(services->access, claims, NULL) == GH_OK ? GH_OAUTH_OK
                                                                     : GH_OAUTH_UNAVAILABLE;
}
