#include "base/cursor.h"
#include "base/secret.h"
#include "identity/jwt.h"
#include "identity/oidc_internal.h"
#include "store/store.h"
#include "wire/base64.h"
#include "wire/json.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    STATE_BYTES = 16,
    NONCE_BYTES = 16,
    VERIFIER_BYTES = 32,
    TEXT_MAX = 43 + 1,
    KEPT_BYTES = 8 + STATE_BYTES + NONCE_BYTES + VERIFIER_BYTES,
    FORM_MAX = 16 * 1024,
    SKEW_S = 60,
    SEAL_KEY_NUMBER = 1,
};

static const struct gh_seal_place place = {.field = GH_SLICE_INIT("oidc.cookie"),
                                           .row = GH_SLICE_INIT("-")};

struct gh_oidc *gh_oidc_open(const struct gh_oidc_options *options, struct gh_error *error)
{
    struct gh_oidc *oidc = calloc(1, sizeof *oidc);
    if (oidc != NULL) {
        oidc->store = options->store;
        oidc->by_email = options->by_email;
        oidc->issuer = strdup(options->issuer);
        oidc->client_id = strdup(options->client_id);
        oidc->ca_path = options->ca_path != NULL ? strdup(options->ca_path) : NULL;
        oidc->secret = options->secret.size > 0 ? gh_secret_open(options->secret) : NULL;
        gh_random(oidc->key, sizeof oidc->key);
        int failed = pthread_mutex_init(&oidc->lock, NULL);
        assert(failed == 0);
        if (oidc->issuer != NULL && oidc->client_id != NULL &&
            (oidc->ca_path != NULL) == (options->ca_path != NULL) &&
            (oidc->secret != NULL) == (options->secret.size > 0))
            return oidc;
    }
    gh_oidc_close(oidc);
    gh_error_set(error, GH_ERROR_MEMORY, "the sign-in provider");
    return NULL;
}

void gh_oidc_close(struct gh_oidc *oidc)
{
    if (oidc == NULL)
        return;
    oidc_provider_clear(&oidc->provider);
    (void)pthread_mutex_destroy(&oidc->lock);
    gh_secret_close(oidc->secret);
    gh_secret_wipe(oidc->key, sizeof oidc->key);
    free(oidc->issuer);
    free(oidc->client_id);
    free(oidc->ca_path);
    free(oidc);
}

void oidc_put_escaped(struct gh_buffer *out, struct gh_slice text)
{
    struct gh_slice plain = GH_SLICE("-._~");
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        bool is_plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                        (byte >= '0' && byte <= '9') || gh_slice_find(plain, byte) < plain.size;
        if (is_plain)
            gh_buffer_u8(out, byte);
        else
            gh_buffer_print(out, "%%%02X", (unsigned)byte);
    }
}

/* "name=value" behind what is there. */
static void put_pair(struct gh_buffer *out, const char *name, struct gh_slice value)
{
    gh_buffer_print(out, "%s%s=", out->size > 0 ? "&" : "", name);
    oidc_put_escaped(out, value);
}

/* What the browser keeps, opened. */
struct kept {
    uint64_t end_ms;
    uint8_t state[STATE_BYTES], nonce[NONCE_BYTES], verifier[VERIFIER_BYTES];
};

static struct gh_slice print64(const uint8_t *bytes, size_t size, char out[TEXT_MAX])
{
    struct gh_buffer text = gh_buffer_fixed(out, TEXT_MAX);
    gh_base64_encode(gh_slice(bytes, size), GH_BASE64_URL_NOPAD, &text);
    assert(!text.overflow);
    return gh_buffer_slice(&text);
}

static bool kept_seal(const struct gh_oidc *oidc, const struct kept *kept,
                      char cookie[GH_OIDC_COOKIE_MAX])
{
    uint8_t plain_block[KEPT_BYTES], sealed_block[KEPT_BYTES + GH_SEAL_EXTRA_BYTES];
    uint8_t nonce[GH_SEAL_NONCE_BYTES];
    struct gh_buffer plain = gh_buffer_fixed(plain_block, sizeof plain_block);
    struct gh_buffer sealed = gh_buffer_fixed(sealed_block, sizeof sealed_block);
    struct gh_buffer text = gh_buffer_fixed(cookie, GH_OIDC_COOKIE_MAX);
    struct gh_seal_cipher cipher = gh_seal_cipher(oidc->key);
    gh_buffer_u64(&plain, kept->end_ms);
    gh_buffer_put(&plain, gh_slice(kept->state, STATE_BYTES));
    gh_buffer_put(&plain, gh_slice(kept->nonce, NONCE_BYTES));
    gh_buffer_put(&plain, gh_slice(kept->verifier, VERIFIER_BYTES));
    gh_random(nonce, sizeof nonce);
    return gh_seal(&cipher, SEAL_KEY_NUMBER, &place, nonce, gh_buffer_slice(&plain), &sealed) ==
               GH_SEAL_OK &&
           gh_base64_encode(gh_buffer_slice(&sealed), GH_BASE64_URL_NOPAD, &text) &&
           gh_buffer_u8(&text, '\0');
}

static bool kept_open(const struct gh_oidc *oidc, struct gh_slice cookie, int64_t now_ms,
                      struct kept *out)
{
    uint8_t sealed_block[GH_OIDC_COOKIE_MAX], plain_block[KEPT_BYTES + 1];
    struct gh_buffer sealed = gh_buffer_fixed(sealed_block, sizeof sealed_block);
    struct gh_buffer plain = gh_buffer_fixed(plain_block, sizeof plain_block);
    struct gh_seal_cipher cipher = gh_seal_cipher(oidc->key);
    struct gh_slice state, nonce, verifier;
    if (!gh_base64_decode(cookie, GH_BASE64_STRICT_URL, &sealed) ||
        gh_unseal(&cipher, &place, gh_buffer_slice(&sealed), &plain) != GH_SEAL_OK)
        return false;
    struct gh_cursor at = gh_cursor(gh_buffer_slice(&plain));
    if (!gh_cursor_u64(&at, &out->end_ms) || !gh_cursor_take(&at, STATE_BYTES, &state) ||
        !gh_cursor_take(&at, NONCE_BYTES, &nonce) ||
        !gh_cursor_take(&at, VERIFIER_BYTES, &verifier))
        return false;
    memcpy(out->state, state.data, STATE_BYTES);
    memcpy(out->nonce, nonce.data, NONCE_BYTES);
    memcpy(out->verifier, verifier.data, VERIFIER_BYTES);
    return out->end_ms > (uint64_t)now_ms;
}

/* The query of the authorization request. */
static void put_request(const struct gh_oidc *oidc, const struct kept *kept,
                        struct gh_slice redirect_uri, struct gh_buffer *out)
{
    char state[TEXT_MAX], nonce[TEXT_MAX], verifier[TEXT_MAX], challenge[TEXT_MAX];
    uint8_t digest[GH_SHA256_BYTES];
    gh_sha256(print64(kept->verifier, VERIFIER_BYTES, verifier), digest);
    put_pair(out, "response_type", GH_SLICE("code"));
    put_pair(out, "client_id", gh_slice_text(oidc->client_id));
    put_pair(out, "redirect_uri", redirect_uri);
    put_pair(out, "scope", oidc->by_email ? GH_SLICE("openid email") : GH_SLICE("openid"));
    put_pair(out, "state", print64(kept->state, STATE_BYTES, state));
    put_pair(out, "nonce", print64(kept->nonce, NONCE_BYTES, nonce));
    put_pair(out, "code_challenge", print64(digest, sizeof digest, challenge));
    put_pair(out, "code_challenge_method", GH_SLICE("S256"));
}

enum gh_error_code gh_oidc_begin(struct gh_oidc *oidc, struct gh_slice redirect_uri, int64_t now_ms,
                                 struct gh_arena *arena, struct gh_oidc_start *out,
                                 struct gh_error *error)
{
    char endpoint[OIDC_URL_MAX];
    struct kept kept = {.end_ms = (uint64_t)now_ms + GH_OIDC_MINUTES * 60000u};
    struct gh_buffer query;
    (void)pthread_mutex_lock(&oidc->lock);
    enum gh_error_code code = oidc_provider_refresh(oidc, now_ms, error);
    (void)snprintf(endpoint, sizeof endpoint, "%s", oidc->provider.authorization);
    (void)pthread_mutex_unlock(&oidc->lock);
    if (code != GH_OK)
        return code;
    gh_random(kept.state, sizeof kept.state);
    gh_random(kept.nonce, sizeof kept.nonce);
    gh_random(kept.verifier, sizeof kept.verifier);
    gh_buffer_init(&query, FORM_MAX);
    put_request(oidc, &kept, redirect_uri, &query);
    char *location =
        gh_arena_print(arena, "%s%c%.*s", endpoint, strchr(endpoint, '?') == NULL ? '?' : '&',
                       GH_PRINT(gh_buffer_slice(&query)));
    bool good = !query.overflow && location != NULL && kept_seal(oidc, &kept, out->cookie);
    gh_buffer_deinit(&query);
    gh_secret_wipe(&kept, sizeof kept);
    out->location = gh_slice_text(location);
    return good ? GH_OK : gh_error_set(error, GH_ERROR_MEMORY, "the sign-in provider");
}

static enum gh_error_code refuse(struct gh_error *error, const char *why)
{
    return gh_error_set(error, GH_ERROR_UNAUTHENTICATED, "sign-in provider: %s", why);
}

/* "Basic …" of id and secret, form-encoded first (RFC 6749 §2.3.1); false without memory. */
static bool print_authorization(const struct gh_oidc *oidc, struct gh_buffer *out)
{
    struct gh_buffer pair;
    gh_buffer_init(&pair, FORM_MAX);
    oidc_put_escaped(&pair, gh_slice_text(oidc->client_id));
    gh_buffer_u8(&pair, ':');
    oidc_put_escaped(&pair, gh_secret_bytes(oidc->secret));
    gh_buffer_put(out, GH_SLICE("authorization: Basic "));
    bool good = !pair.overflow &&
                gh_base64_encode(gh_buffer_slice(&pair), GH_BASE64_STANDARD, out) &&
                gh_buffer_u8(out, '\0');
    if (pair.data != NULL)
        gh_secret_wipe(pair.data, pair.capacity);
    gh_buffer_deinit(&pair);
    return good;
}

/* The code for an ID token, in the arena. */
static enum gh_error_code redeem(struct gh_oidc *oidc, const struct gh_oidc_return *back,
                                 const struct kept *kept, const char *endpoint,
                                 struct gh_arena *arena, struct gh_slice *token,
                                 struct gh_error *error)
{
    char verifier[TEXT_MAX];
    struct gh_buffer form, authorization;
    struct gh_slice text = {0};
    gh_buffer_init(&form, FORM_MAX);
    gh_buffer_init(&authorization, FORM_MAX);
    put_pair(&form, "grant_type", GH_SLICE("authorization_code"));
    put_pair(&form, "code", back->code);
    put_pair(&form, "redirect_uri", back->redirect_uri);
    put_pair(&form, "code_verifier", print64(kept->verifier, VERIFIER_BYTES, verifier));
    if (oidc->secret == NULL)
        put_pair(&form, "client_id", gh_slice_text(oidc->client_id));
    bool good = gh_buffer_u8(&form, '\0') && !form.overflow &&
                (oidc->secret == NULL || print_authorization(oidc, &authorization));
    json_t *answer = good ? oidc_fetch(oidc, endpoint, (const char *)form.data,
                                       (const char *)authorization.data, error)
                          : NULL;
    good = gh_json_text(answer, "id_token", &text) && gh_arena_copy(arena, text, token);
    json_decref(answer);
    if (authorization.data != NULL)
        gh_secret_wipe(authorization.data, authorization.capacity);
    gh_buffer_deinit(&form);
    gh_buffer_deinit(&authorization);
    return good ? GH_OK : refuse(error, "it gives no ID token for the code");
}

/* Signature, issuer, audience and times; the payload of a token that is good. */
static enum gh_error_code check_token(struct gh_oidc *oidc, struct gh_slice token, int64_t now_ms,
                                      struct gh_arena *arena, struct gh_jwt_outcome *outcome,
                                      struct gh_slice *payload, struct gh_error *error)
{
    const struct gh_key *keys[OIDC_KEYS_MAX];
    size_t count = 0;
    struct gh_jose jose;
    struct gh_jwt_policy policy = gh_jwt_native;
    policy.audience = gh_slice_text(oidc->client_id);
    policy.issuer = gh_slice_text(oidc->issuer);
    policy.audience_text_only = true; /* a token for others too would need its `azp` looked at */
    policy.skew_s = SKEW_S;
    if (gh_jwt_check_form(token, &policy, arena, &jose, outcome) != GH_JWT_ACCEPTED)
        return refuse(error, outcome->detail);
    enum gh_error_code code = oidc_provider_keys(oidc, jose.kid, now_ms, keys, &count, error);
    if (code != GH_OK)
        return code;
    *payload = jose.payload;
    return gh_jwt_verify(token, keys, count, &policy, now_ms / 1000, arena, outcome) ==
                   GH_JWT_ACCEPTED
               ? GH_OK
               : refuse(error, outcome->detail);
}

/* By subject; else by a verified address, which then is linked to the subject. */
static enum gh_error_code find_operator(struct gh_oidc *oidc, struct gh_slice subject,
                                        const json_t *claims, struct gh_arena *arena,
                                        struct gh_operator_row *out, struct gh_error *error)
{
    struct gh_slice issuer = gh_slice_text(oidc->issuer), email = {0};
    bool verified = false;
    enum gh_error_code code =
        gh_store_operator_find_outside(oidc->store, issuer, subject, arena, out, error);
    if (code != GH_ERROR_NOT_FOUND)
        return code;
    if (!oidc->by_email || !gh_json_text(claims, "email", &email) || email.size == 0 ||
        !gh_json_bool(claims, "email_verified", &verified) || !verified)
        return refuse(error, "the subject is linked to nobody here");
    code =
        gh_store_operator_find_outside(oidc->store, (struct gh_slice){0}, email, arena, out, error);
    if (code == GH_ERROR_NOT_FOUND || (code == GH_OK && out->subject.size > 0))
        return refuse(error, "the address is nobody's here who could still be linked");
    if (code != GH_OK)
        return code;
    out->provider = issuer;
    out->subject = subject;
    return gh_store_operator_update(oidc->store, out, error);
}

/* What the token says beside who signed it. */
static enum gh_error_code check_claims(struct gh_oidc *oidc, const struct kept *kept,
                                       const struct gh_jwt_outcome *outcome,
                                       struct gh_slice payload, struct gh_arena *arena,
                                       struct gh_operator_row *out, struct gh_error *error)
{
    char nonce[TEXT_MAX];
    struct gh_slice said = {0};
    json_t *claims = gh_json_read(payload, NULL);
    enum gh_error_code code;
    if (!gh_json_text(claims, "nonce", &said) ||
        !gh_secret_equal(said, print64(kept->nonce, NONCE_BYTES, nonce)))
        code = refuse(error, "the nonce is another one");
    else if (outcome->subject.size == 0)
        code = refuse(error, "there is no subject");
    else
        code = find_operator(oidc, outcome->subject, claims, arena, out, error);
    json_decref(claims);
    return code == GH_OK && out->disabled ? refuse(error, "the operator is disabled") : code;
}

enum gh_error_code gh_oidc_finish(struct gh_oidc *oidc, const struct gh_oidc_return *back,
                                  int64_t now_ms, struct gh_arena *arena,
                                  struct gh_operator_row *out, struct gh_error *error)
{
    char state[TEXT_MAX], endpoint[OIDC_URL_MAX];
    struct kept kept;
    struct gh_slice token, payload = {0};
    struct gh_jwt_outcome outcome;
    if (!kept_open(oidc, back->cookie, now_ms, &kept))
        return refuse(error, "this browser did not begin it, or too long ago");
    if (!gh_secret_equal(back->state, print64(kept.state, STATE_BYTES, state)))
        return refuse(error, "the state is another one");
    if (back->issuer.size > 0 && !gh_slice_equal(back->issuer, gh_slice_text(oidc->issuer)))
        return refuse(error, "it comes back from another issuer");
    if (back->code.size == 0)
        return refuse(error, "it comes back without a code");
    (void)pthread_mutex_lock(&oidc->lock);
    enum gh_error_code code = oidc_provider_refresh(oidc, now_ms, error);
    (void)snprintf(endpoint, sizeof endpoint, "%s", oidc->provider.token);
    (void)pthread_mutex_unlock(&oidc->lock);
    if (code == GH_OK)
        code = redeem(oidc, back, &kept, endpoint, arena, &token, error);
    if (code != GH_OK)
        return code;
    (void)pthread_mutex_lock(&oidc->lock); /* the keys stay as they are while they verify */
    code = check_token(oidc, token, now_ms, arena, &outcome, &payload, error);
    (void)pthread_mutex_unlock(&oidc->lock);
    return code == GH_OK ? check_claims(oidc, &kept, &outcome, payload, arena, out, error) : code;
}
