#include "identity/access.h"
#include "base/secret.h"
#include "identity/delay.h"
#include "identity/detail_internal.h"
#include "store/store.h"
#include "wire/base64.h"
#include "wire/json.h"
#include <assert.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ID_BYTES = 16,
    ID_RANDOM_TEXT = 22,
    PAYLOAD_MAX = 2048,
    TRIES_MAX = 2,
    LIST_ARENA_MAX = 64 * 1024
};
#define TYPE "at+jwt" /* RFC 9068 §2.1 */

static const char *const state_names[] = {
    [GH_ACCESS_KEY_NEXT] = "next",
    [GH_ACCESS_KEY_CURRENT] = "current",
    [GH_ACCESS_KEY_PREVIOUS] = "previous",
};

/* The set of published keys: never changed, replaced as a whole. */
struct ring {
    unsigned refs; /* under the lock */
    size_t count;
    struct gh_access_key of[GH_ACCESS_KEYS_MAX];
    struct gh_key *keys[GH_ACCESS_KEYS_MAX];
};

struct gh_access {
    struct gh_store *store;
    struct gh_access_signer signer;
    char *issuer;
    pthread_mutex_t lock; /* guards what follows */
    struct ring *ring;
    struct gh_delays delays;
    int64_t window; /* which stretch of time `spent` counts */
    size_t spent;
};

const char *gh_access_key_state_name(enum gh_access_key_state state)
{
    assert((size_t)state < GH_COUNT(state_names));
    return state_names[state];
}

/* --- the ring */

static void ring_free(struct ring *ring)
{
    for (size_t i = 0; ring != NULL && i < ring->count; i++)
        gh_key_close(ring->keys[i]);
    free(ring);
}

static struct ring *ring_acquire(struct gh_access *access)
{
    pthread_mutex_lock(&access->lock);
    struct ring *ring = access->ring;
    ring->refs++;
    pthread_mutex_unlock(&access->lock);
    return ring;
}

static void ring_release(struct gh_access *access, struct ring *ring)
{
    if (ring == NULL)
        return;
    pthread_mutex_lock(&access->lock);
    bool last = --ring->refs == 0;
    pthread_mutex_unlock(&access->lock);
    if (last)
        ring_free(ring);
}

static bool ring_add(struct ring *ring, const struct gh_access_key_row *row, struct gh_error *error)
{
    struct gh_key *key = gh_key_open(row->pem, error);
    struct gh_access_key *of = &ring->of[ring->count];
    if (key == NULL)
        return false;
    ring->keys[ring->count++] = key;
    of->algorithm = (const char *)gh_key_algorithm(key).data;
    of->state = row->state;
    of->created_at_s = row->created_at_s;
    if (gh_jwk_thumbprint(key, of->kid))
        return true;
    gh_error_set(error, GH_ERROR_MEMORY, "no memory for a key");
    return false;
}

enum gh_error_code gh_access_refresh(struct gh_access *access, struct gh_error *error)
{
    struct gh_access_key_row rows[GH_ACCESS_KEYS_MAX];
    struct gh_arena arena;
    size_t count = 0;
    struct ring *ring = calloc(1, sizeof *ring);
    if (ring == NULL)
        return gh_error_set(error, GH_ERROR_MEMORY, "no memory for the token keys");
    ring->refs = 1;
    gh_arena_init(&arena, LIST_ARENA_MAX);
    enum gh_error_code code =
        access->signer.list(access->signer.context, &arena, rows, &count, error);
    for (size_t i = 0; code == GH_OK && i < count; i++)
        if (!ring_add(ring, &rows[i], error))
            code = GH_ERROR_INTERNAL;
    gh_arena_deinit(&arena);
    if (code != GH_OK) {
        ring_free(ring);
        return code;
    }
    pthread_mutex_lock(&access->lock);
    struct ring *before = access->ring;
    access->ring = ring;
    pthread_mutex_unlock(&access->lock);
    ring_release(access, before);
    return GH_OK;
}

struct gh_access *gh_access_open(struct gh_store *store, const struct gh_access_signer *signer,
                                 struct gh_error *error)
{
    struct gh_access *access = calloc(1, sizeof *access);
    if (access == NULL) {
        gh_error_set(error, GH_ERROR_MEMORY, "no memory for access tokens");
        return NULL;
    }
    access->store = store;
    access->signer = *signer;
    pthread_mutex_init(&access->lock, NULL);
    gh_delays_init(&access->delays, GH_ACCESS_DELAYS_MAX);
    if (gh_access_refresh(access, error) != GH_OK) {
        gh_access_close(access);
        return NULL;
    }
    return access;
}

void gh_access_close(struct gh_access *access)
{
    if (access == NULL)
        return;
    ring_free(access->ring);
    gh_delays_deinit(&access->delays);
    pthread_mutex_destroy(&access->lock);
    free(access->issuer);
    free(access);
}

bool gh_access_set_issuer(struct gh_access *access, struct gh_slice issuer)
{
    char *copy = malloc(issuer.size + 1);
    if (copy == NULL)
        return false;
    memcpy(copy, issuer.data, issuer.size);
    copy[issuer.size] = '\0';
    free(access->issuer);
    access->issuer = copy;
    return true;
}

struct gh_slice gh_access_issuer(const struct gh_access *access)
{
    return gh_slice_text(access->issuer);
}

size_t gh_access_keys(struct gh_access *access, struct gh_access_key out[GH_ACCESS_KEYS_MAX])
{
    static const enum gh_access_key_state order[] = {GH_ACCESS_KEY_CURRENT, GH_ACCESS_KEY_NEXT,
                                                     GH_ACCESS_KEY_PREVIOUS};
    struct ring *ring = ring_acquire(access);
    size_t count = 0;
    for (size_t at = 0; at < GH_COUNT(order); at++)
        for (size_t i = 0; i < ring->count; i++)
            if (ring->of[i].state == order[at])
                out[count++] = ring->of[i];
    ring_release(access, ring);
    return count;
}

json_t *gh_access_jwks(struct gh_access *access)
{
    struct ring *ring = ring_acquire(access);
    json_t *keys = json_array();
    bool good = keys != NULL;
    for (size_t i = 0; good && i < ring->count; i++)
        good = json_array_append_new(keys, gh_jwk_new(ring->keys[i])) == 0;
    ring_release(access, ring);
    json_t *set = good ? json_pack("{s:o}", "keys", keys) : NULL;
    if (!good)
        json_decref(keys);
    return set;
}

enum gh_error_code gh_access_rotate(struct gh_access *access, enum gh_key_kind kind,
                                    struct gh_error *error)
{
    enum gh_error_code code = access->signer.rotate(access->signer.context, kind, error);
    return code == GH_OK ? gh_access_refresh(access, error) : code;
}

/* --- making */

/* The key of that kind which signs now. */
static bool find_signing(struct gh_access *access, enum gh_key_kind kind, struct gh_access_key *out)
{
    struct ring *ring = ring_acquire(access);
    bool found = false;
    for (size_t i = 0; !found && i < ring->count; i++) {
        found = ring->of[i].state == GH_ACCESS_KEY_CURRENT && gh_key_kind(ring->keys[i]) == kind;
        if (found)
            *out = ring->of[i];
    }
    ring_release(access, ring);
    return found;
}

static json_t *claims_of(const struct gh_access *access, const struct gh_access_grant *grant,
                         int64_t now_s, const char *id)
{
    const struct gh_principal *principal = grant->principal;
    uint8_t digest[64];
    struct gh_buffer text = gh_buffer_fixed(digest, sizeof digest);
    json_t *subject =
        json_sprintf("%.*s/%.*s/%.*s", GH_PRINT(principal->tenant_name),
                     GH_PRINT(principal->registry_name), GH_PRINT(principal->device_id));
    json_t *number = json_sprintf("%llu", (unsigned long long)principal->device);
    json_t *claims = json_pack(
        "{s:s, s:s, s:O, s:o, s:I, s:I, s:s, s:o, s:o, s:o}", "iss", access->issuer, "aud",
        access->issuer, "sub", subject, "client_id", subject, "iat", (json_int_t)now_s, "exp",
        (json_int_t)(now_s + grant->ttl_s), "jti", id, "scope", gh_json_new_text(grant->scope),
        "device", number, "credential", gh_json_new_text(principal->credential_id));
    if (claims != NULL && grant->certificate.size > 0 &&
        gh_base64_encode(grant->certificate, GH_BASE64_URL_NOPAD, &text))
        json_object_set_new(
            claims, "cnf",
            json_pack("{s:o}", "x5t#S256", gh_json_new_text(gh_buffer_slice(&text))));
    return claims;
}

bool gh_access_header(const char *algorithm, const char *kid, struct gh_buffer *out)
{
    return gh_buffer_print(out, "{\"alg\":\"%s\",\"kid\":\"%s\",\"typ\":\"" TYPE "\"}", algorithm,
                           kid);
}

bool gh_access_identity_header(const char *algorithm, const char *kid, struct gh_buffer *out)
{
    return gh_buffer_print(out, "{\"alg\":\"%s\",\"kid\":\"%s\",\"typ\":\"JWT\"}", algorithm, kid);
}

/* The header of one kind of token. */
typedef bool header_printer(const char *algorithm, const char *kid, struct gh_buffer *out);

static enum gh_error_code sign_with(struct gh_access *access, const struct gh_access_key *key,
                                    header_printer *print_header, struct gh_slice payload,
                                    struct gh_buffer *out, struct gh_error *error)
{
    uint8_t header_block[160], signature_block[GH_KEY_SIGNATURE_MAX];
    struct gh_buffer header = gh_buffer_fixed(header_block, sizeof header_block);
    struct gh_buffer signature = gh_buffer_fixed(signature_block, sizeof signature_block);
    gh_buffer_clear(out);
    if (!print_header(key->algorithm, key->kid, &header) ||
        !gh_jose_begin_raw(out, gh_buffer_slice(&header), payload))
        return gh_error_set(error, GH_ERROR_MEMORY, "the token does not fit");
    enum gh_error_code code = access->signer.sign(access->signer.context, gh_slice_text(key->kid),
                                                  gh_buffer_slice(out), &signature, error);
    if (code == GH_OK && !gh_jose_finish(out, gh_buffer_slice(&signature)))
        code = gh_error_set(error, GH_ERROR_MEMORY, "the token does not fit");
    return code;
}

/* Keys of a kind that was never asked for are made now; a key that was rotated away meanwhile is
 * looked up again. */
static enum gh_error_code sign(struct gh_access *access, enum gh_key_kind kind,
                               header_printer *print_header, struct gh_slice payload,
                               struct gh_buffer *out, struct gh_error *error)
{
    enum gh_error_code code = GH_OK;
    struct gh_access_key key;
    for (int tries = 0; tries < TRIES_MAX; tries++) {
        if (!find_signing(access, kind, &key)) {
            code = gh_access_rotate(access, kind, error);
            if (code != GH_OK || !find_signing(access, kind, &key))
                break;
        }
        code = sign_with(access, &key, print_header, payload, out, error);
        if (code != GH_ERROR_NOT_FOUND)
            return code;
        code = gh_access_refresh(access, error);
        if (code != GH_OK)
            return code;
    }
    return code != GH_OK
               ? code
               : gh_error_set(error, GH_ERROR_UNAVAILABLE, "there is no key to sign with");
}

enum gh_error_code gh_access_issue(struct gh_access *access, const struct gh_access_grant *grant,
                                   int64_t now_s, struct gh_buffer *out, char id[GH_ACCESS_ID_MAX],
                                   struct gh_error *error)
{
    uint8_t random[ID_BYTES], block[PAYLOAD_MAX];
    struct gh_buffer text = gh_buffer_fixed(id, GH_ACCESS_ID_MAX);
    struct gh_buffer payload = gh_buffer_fixed(block, sizeof block);
    assert(grant->ttl_s > 0 && grant->ttl_s <= GH_ACCESS_TTL_S);
    gh_random(random, sizeof random);
    gh_buffer_print(&text, "%llu.", (unsigned long long)grant->principal->device);
    gh_base64_encode(gh_slice(random, sizeof random), GH_BASE64_URL_NOPAD, &text);
    gh_buffer_u8(&text, '\0');
    assert(!text.overflow);
    json_t *claims = claims_of(access, grant, now_s, id);
    bool written = gh_json_write(claims, &payload);
    json_decref(claims);
    if (!written)
        return gh_error_set(error, GH_ERROR_MEMORY, "the token's claims do not fit");
    return sign(access, grant->kind, gh_access_header, gh_buffer_slice(&payload), out, error);
}

enum gh_error_code gh_access_identify(struct gh_access *access,
                                      const struct gh_access_identity *identity, int64_t now_s,
                                      struct gh_buffer *out, struct gh_error *error)
{
    uint8_t block[PAYLOAD_MAX];
    struct gh_buffer payload = gh_buffer_fixed(block, sizeof block);
    json_t *email = gh_json_new_text(identity->email);
    assert(identity->ttl_s > 0 && identity->ttl_s <= GH_ACCESS_TTL_S);
    json_t *claims =
        json_pack("{s:s, s:o, s:O, s:b, s:o, s:I, s:I}", "iss", access->issuer, "aud",
                  gh_json_new_text(identity->audience), "email", email, "email_verified", 1, "sub",
                  email, "iat", (json_int_t)now_s, "exp", (json_int_t)(now_s + identity->ttl_s));
    bool written = gh_json_write(claims, &payload);
    json_decref(claims);
    if (!written)
        return gh_error_set(error, GH_ERROR_MEMORY, "the token's claims do not fit");
    return sign(access, GH_KEY_RSA, gh_access_identity_header, gh_buffer_slice(&payload), out,
                error);
}

bool gh_access_scope(struct gh_slice asked, struct gh_slice *out)
{
    static const struct gh_slice names[] = {GH_SLICE_INIT("mqtt"), GH_SLICE_INIT("api")};
    static const struct gh_slice given[] = {GH_SLICE_INIT("mqtt api"), GH_SLICE_INIT("mqtt"),
                                            GH_SLICE_INIT("api"), GH_SLICE_INIT("mqtt api")};
    unsigned wanted = 0;
    while (asked.size > 0) {
        struct gh_slice one = gh_slice_split(&asked, ' ');
        unsigned bit = gh_slice_equal(one, names[0]) ? 1 : gh_slice_equal(one, names[1]) ? 2 : 0;
        if (bit == 0)
            return false;
        wanted |= bit;
    }
    *out = given[wanted];
    return true;
}

/* --- ids that are spent: digests of them */

/* Domain and parts, each as a digest, so that no two can be made to meet. */
static void spent_hash(const char *domain, struct gh_slice first, struct gh_slice second,
                       uint8_t out[GH_SHA256_BYTES])
{
    uint8_t digests[3 * GH_SHA256_BYTES];
    gh_sha256(gh_slice_text(domain), digests);
    gh_sha256(first, digests + GH_SHA256_BYTES);
    gh_sha256(second, digests + 2 * GH_SHA256_BYTES);
    gh_sha256(gh_slice(digests, sizeof digests), out);
}

static enum gh_error_code find_spent(struct gh_access *access, struct gh_slice token_id)
{
    uint8_t hash[GH_SHA256_BYTES];
    spent_hash("access", token_id, (struct gh_slice){0}, hash);
    return gh_store_spent_find(access->store, gh_slice(hash, sizeof hash), NULL);
}

/* --- verifying */

static enum gh_identity_reason refuse(char detail[GH_IDENTITY_DETAIL_MAX],
                                      enum gh_identity_reason reason, const char *format, ...)
    GH_PRINTF(3, 4);

static enum gh_identity_reason refuse(char detail[GH_IDENTITY_DETAIL_MAX],
                                      enum gh_identity_reason reason, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    gh_detail_print(detail, GH_IDENTITY_DETAIL_MAX, format, arguments);
    va_end(arguments);
    return reason;
}

bool gh_access_is_one(const struct gh_jose *jose)
{
    return gh_slice_equal_nocase(jose->type, GH_SLICE(TYPE)) ||
           gh_slice_equal_nocase(jose->type, GH_SLICE("application/" TYPE));
}

static bool take_text(const json_t *claims, const char *name, struct gh_arena *arena,
                      struct gh_slice *out)
{
    struct gh_slice text = {0};
    return gh_json_text(claims, name, &text) && gh_arena_copy(arena, text, out);
}

/* TENANT/REGISTRY/DEVICE. */
static bool split_subject(struct gh_access_claims *out)
{
    struct gh_slice rest = out->subject;
    out->tenant = gh_slice_split(&rest, '/');
    out->registry = gh_slice_split(&rest, '/');
    out->device = rest;
    return out->tenant.size > 0 && out->registry.size > 0 && rest.size > 0 &&
           gh_slice_find(rest, '/') == rest.size;
}

static bool take_certificate(const json_t *claims, struct gh_arena *arena, struct gh_slice *out)
{
    json_t *confirmation = json_object_get(claims, "cnf");
    struct gh_slice text = {0};
    if (confirmation == NULL)
        return true;
    enum { ROOM = GH_SHA256_BYTES + 4 }; /* decoding asks for whole groups */
    uint8_t *block = gh_arena_alloc(arena, ROOM);
    struct gh_buffer digest = gh_buffer_fixed(block, block == NULL ? 0 : ROOM);
    if (!gh_json_text(confirmation, "x5t#S256", &text) ||
        !gh_base64_decode(text, GH_BASE64_STRICT_URL, &digest) || digest.size != GH_SHA256_BYTES)
        return false;
    *out = gh_buffer_slice(&digest);
    return true;
}

/* Of a payload whose signature is good: that it lacks something would be a fault of our own. */
static bool read_claims(struct gh_slice payload, struct gh_arena *arena,
                        struct gh_access_claims *out)
{
    json_t *claims = gh_json_read(payload, NULL);
    struct gh_slice number = {0};
    bool good = json_is_object(claims) && take_text(claims, "sub", arena, &out->subject) &&
                take_text(claims, "jti", arena, &out->token_id) &&
                take_text(claims, "scope", arena, &out->scope) &&
                take_text(claims, "credential", arena, &out->credential) &&
                gh_json_text(claims, "device", &number) && gh_slice_to_u64(number, &out->number) &&
                gh_json_i64(claims, "iat", &out->issued_at_s) &&
                gh_json_i64(claims, "exp", &out->expires_at_s) &&
                take_certificate(claims, arena, &out->certificate) && split_subject(out);
    json_decref(claims);
    return good;
}

static const struct {
    enum gh_jwt_verdict verdict;
    enum gh_identity_reason reason;
} reasons[] = {
    {GH_JWT_MALFORMED, GH_IDENTITY_TOKEN_MALFORMED},
    {GH_JWT_HEADER, GH_IDENTITY_TOKEN_HEADER},
    {GH_JWT_ALGORITHM, GH_IDENTITY_ALGORITHM},
    {GH_JWT_SIGNATURE, GH_IDENTITY_SIGNATURE},
    {GH_JWT_CLAIMS, GH_IDENTITY_CLAIMS},
    {GH_JWT_AUDIENCE, GH_IDENTITY_AUDIENCE},
    {GH_JWT_SUBJECT, GH_IDENTITY_SUBJECT},
    {GH_JWT_ISSUER, GH_IDENTITY_ISSUER},
    {GH_JWT_LIFETIME, GH_IDENTITY_LIFETIME},
    {GH_JWT_EXPIRED, GH_IDENTITY_TOKEN_EXPIRED},
    {GH_JWT_NOT_YET_VALID, GH_IDENTITY_TOKEN_NOT_YET_VALID},
};

static enum gh_identity_reason reason_of(enum gh_jwt_verdict verdict)
{
    for (size_t i = 0; i < GH_COUNT(reasons); i++)
        if (reasons[i].verdict == verdict)
            return reasons[i].reason;
    return verdict == GH_JWT_ACCEPTED ? GH_IDENTITY_ACCEPTED : GH_IDENTITY_UNAVAILABLE;
}

/* By the one key that `kid` names; without such a key nothing verifies. */
static enum gh_identity_reason verify_with(struct gh_access *access, struct gh_slice token,
                                           const struct gh_jwt_policy *policy,
                                           const struct gh_jose *jose, int64_t now_s,
                                           struct gh_arena *arena, char *detail)
{
    struct ring *ring = ring_acquire(access);
    struct gh_jwt_outcome outcome = {0};
    const struct gh_key *key = NULL;
    for (size_t i = 0; key == NULL && !jose->kid_refused && i < ring->count; i++)
        if (gh_slice_equal(jose->kid, gh_slice_text(ring->of[i].kid)))
            key = ring->keys[i];
    enum gh_jwt_verdict verdict =
        gh_jwt_verify(token, &key, key != NULL ? 1 : 0, policy, now_s, arena, &outcome);
    ring_release(access, ring);
    if (key == NULL && verdict == GH_JWT_SIGNATURE)
        return refuse(detail, GH_IDENTITY_SIGNATURE, "no token key has the kid \"%.*s\"",
                      GH_PRINT(gh_detail_quoted(jose->kid)));
    return refuse(detail, reason_of(verdict), "%s", outcome.detail);
}

static bool is_signed(enum gh_identity_reason reason)
{
    return reason == GH_IDENTITY_ACCEPTED || reason == GH_IDENTITY_TOKEN_EXPIRED ||
           reason == GH_IDENTITY_TOKEN_NOT_YET_VALID || reason == GH_IDENTITY_AUDIENCE ||
           reason == GH_IDENTITY_ISSUER;
}

enum gh_identity_reason gh_access_verify(struct gh_access *access, struct gh_slice token,
                                         int64_t now_s, struct gh_arena *arena,
                                         struct gh_access_claims *out,
                                         char detail[GH_IDENTITY_DETAIL_MAX])
{
    struct gh_jwt_policy policy = {.audience = gh_access_issuer(access),
                                   .issuer = gh_access_issuer(access),
                                   .type = GH_SLICE(TYPE),
                                   .token_id_needed = true,
                                   .audience_text_only = true,
                                   .skew_s = GH_ACCESS_SKEW_S,
                                   .lifetime_max_s = GH_ACCESS_TTL_S};
    struct gh_jwt_outcome form;
    struct gh_jose jose;

    *out = (struct gh_access_claims){0};
    if (gh_jwt_check_form(token, &policy, arena, &jose, &form) != GH_JWT_ACCEPTED)
        return refuse(detail, reason_of(form.verdict), "%s", form.detail);
    enum gh_identity_reason reason =
        verify_with(access, token, &policy, &jose, now_s, arena, detail);
    if (!is_signed(reason))
        return reason;
    if (!read_claims(jose.payload, arena, out)) {
        *out = (struct gh_access_claims){0};
        return refuse(detail, GH_IDENTITY_CLAIMS, "it lacks a claim of an access token");
    }
    if (reason != GH_IDENTITY_ACCEPTED)
        return reason;
    enum gh_error_code spent = find_spent(access, out->token_id);
    if (spent == GH_OK)
        return refuse(detail, GH_IDENTITY_TOKEN_REVOKED, "the token was revoked");
    return spent == GH_ERROR_NOT_FOUND
               ? reason
               : refuse(detail, GH_IDENTITY_UNAVAILABLE, "the store did not answer");
}

/* --- ids that are spent */

bool gh_access_id_is_of(struct gh_slice token_id, uint64_t device)
{
    uint8_t block[GH_ACCESS_ID_MAX];
    struct gh_buffer own = gh_buffer_fixed(block, sizeof block);
    bool printed = gh_buffer_print(&own, "%llu.", (unsigned long long)device);
    assert(printed);
    return token_id.size == own.size + ID_RANDOM_TEXT &&
           gh_slice_equal(gh_slice_sub(token_id, 0, own.size), gh_buffer_slice(&own));
}

bool gh_access_is_revoked(struct gh_access *access, struct gh_slice token_id)
{
    return find_spent(access, token_id) != GH_ERROR_NOT_FOUND;
}

enum gh_error_code gh_access_revoke(struct gh_access *access, const struct gh_access_claims *claims,
                                    struct gh_error *error)
{
    uint8_t hash[GH_SHA256_BYTES];
    spent_hash("access", claims->token_id, (struct gh_slice){0}, hash);
    int64_t until_ms = (claims->expires_at_s + GH_ACCESS_SKEW_S) * 1000;
    enum gh_error_code code =
        gh_store_spent_put(access->store, gh_slice(hash, sizeof hash), until_ms, error);
    return code == GH_ERROR_EXISTS ? GH_OK : code;
}

/* Whether one more may be remembered in this stretch of time. */
static bool spend_counted(struct gh_access *access, int64_t now_s)
{
    int64_t window = now_s / GH_ACCESS_SPENT_WINDOW_S;
    pthread_mutex_lock(&access->lock);
    if (window != access->window)
        access->spent = 0;
    access->window = window;
    bool may = access->spent < GH_ACCESS_SPENT_MAX;
    access->spent += may;
    pthread_mutex_unlock(&access->lock);
    return may;
}

enum gh_error_code gh_access_spend(struct gh_access *access, struct gh_slice client,
                                   struct gh_slice id, int64_t expires_at_s, int64_t now_s,
                                   struct gh_error *error)
{
    uint8_t hash[GH_SHA256_BYTES];
    if (!spend_counted(access, now_s))
        return gh_error_set(error, GH_ERROR_LIMIT, "too many assertions were used lately");
    spent_hash("assertion", client, id, hash);
    return gh_store_spent_put(access->store, gh_slice(hash, sizeof hash), expires_at_s * 1000,
                              error);
}

/* --- wrong proofs */

int64_t gh_access_wait_ms(struct gh_access *access, struct gh_slice name, int64_t now_ms)
{
    pthread_mutex_lock(&access->lock);
    int64_t wait_ms = gh_delays_wait_ms(&access->delays, name, now_ms);
    pthread_mutex_unlock(&access->lock);
    return wait_ms;
}

void gh_access_proved(struct gh_access *access, struct gh_slice name, bool right, int64_t now_ms)
{
    pthread_mutex_lock(&access->lock);
    if (right)
        gh_delays_clear(&access->delays, name);
    else
        gh_delays_wrong(&access->delays, name, now_ms);
    pthread_mutex_unlock(&access->lock);
}
