#include "identity/token.h"
#include "base/secret.h"
#include "crypto/digest.h"
#include "store/store.h"
#include "wire/base64.h"
#include <assert.h>
#include <string.h>

enum {
    SECRET_BYTES = 32,
    SECRET_TEXT = 43,
    USED_STEP_MS = 60 * 1000, /* how exact the last use is: one write a minute, not one a request */
};
#define PREFIX "ght_"
static_assert(sizeof PREFIX - 1 + SECRET_TEXT + 1 == GH_TOKEN_TEXT_MAX, "prefix, secret, NUL");
static_assert((int)GH_TOKEN_HASH_BYTES == (int)GH_SHA256_BYTES, "what the store keeps");

enum gh_error_code gh_token_mint(struct gh_store *store, const struct gh_token_grant *grant,
                                 int64_t now_ms, char out[GH_TOKEN_TEXT_MAX],
                                 struct gh_error *error)
{
    uint8_t secret[SECRET_BYTES], hash[GH_SHA256_BYTES];
    struct gh_buffer text = gh_buffer_fixed(out, GH_TOKEN_TEXT_MAX);

    out[0] = '\0';
    bool stands = grant->role.size > 0 || grant->member.size > 0 || grant->operator_number != 0;
    if (!stands || grant->ttl_s < 1 || grant->ttl_s > GH_TOKEN_TTL_S_MAX)
        return gh_error_set(error, GH_ERROR_INVALID,
                            "a token needs a role, a member or an operator, and a lifetime of 1 s "
                            "to %d days",
                            GH_TOKEN_TTL_S_MAX / (24 * 3600));
    gh_random(secret, sizeof secret);
    (void)gh_buffer_put(&text, GH_SLICE(PREFIX));
    (void)gh_base64_encode(gh_slice(secret, sizeof secret), GH_BASE64_URL_NOPAD, &text);
    gh_secret_wipe(secret, sizeof secret);
    gh_sha256(gh_buffer_slice(&text), hash);
    (void)gh_buffer_u8(&text, '\0');
    assert(!text.overflow && text.size == GH_TOKEN_TEXT_MAX);

    struct gh_token_row row = {.hash = gh_slice(hash, sizeof hash),
                               .role = grant->role,
                               .member = grant->member,
                               .tenant = grant->tenant,
                               .created_at_ms = now_ms,
                               .expires_at_ms = now_ms + grant->ttl_s * 1000,
                               .operator_number = grant->operator_number,
                               .label = grant->label,
                               .permissions = grant->permissions,
                               .service_key = grant->service_key};
    enum gh_error_code result = gh_store_token_create(store, &row, error);
    if (result != GH_OK)
        gh_secret_wipe(out, GH_TOKEN_TEXT_MAX);
    return result;
}

static bool looks_like_one(struct gh_slice text)
{
    return text.size == GH_TOKEN_TEXT_MAX - 1 && gh_slice_starts(text, GH_SLICE(PREFIX));
}

static enum gh_error_code refuse(struct gh_error *error)
{
    return gh_error_set(error, GH_ERROR_UNAUTHENTICATED, "the bearer token is not valid");
}

/* Of an operator's token: the operator, within the limits of both. */
static void fill_caller(const struct gh_token_row *row, struct gh_caller *out)
{
    *out = (struct gh_caller){.kind = GH_CALLER_TOKEN,
                              .name = row->member.size > 0 ? row->member : GH_SLICE("token"),
                              .member = row->member,
                              .role = row->role,
                              .tenant = row->tenant,
                              .expires_at_ms = row->expires_at_ms,
                              .operator_number = row->operator_number,
                              .permissions = row->permissions};
    if (row->operator_number == 0)
        return;
    out->name = row->operator_name;
    out->role = row->operator_role;
    out->tenant = row->operator_tenant != 0 ? row->operator_tenant : row->tenant;
}

enum gh_error_code gh_token_check(struct gh_store *store, struct gh_slice text, int64_t now_ms,
                                  struct gh_arena *arena, struct gh_caller *out,
                                  struct gh_error *error)
{
    uint8_t hash[GH_SHA256_BYTES];
    struct gh_token_row row;

    *out = (struct gh_caller){.kind = GH_CALLER_NOBODY};
    if (!looks_like_one(text))
        return refuse(error);
    gh_sha256(text, hash);
    enum gh_error_code found =
        gh_store_token_find(store, gh_slice(hash, sizeof hash), arena, &row, error);
    if (found == GH_ERROR_NOT_FOUND)
        return refuse(error);
    if (found != GH_OK)
        return found;
    if (!gh_secret_equal(row.hash, gh_slice(hash, sizeof hash)) || row.expires_at_ms <= now_ms ||
        (row.operator_number != 0 && row.operator_disabled))
        return refuse(error);
    if (now_ms - row.used_at_ms >= USED_STEP_MS) {
        enum gh_error_code used =
            gh_store_token_used(store, gh_slice(hash, sizeof hash), now_ms, error);
        (void)used; /* a store that takes no writes keeps nobody from reading */
    }
    fill_caller(&row, out);
    return GH_OK;
}

enum gh_error_code gh_token_revoke(struct gh_store *store, struct gh_slice text,
                                   struct gh_error *error)
{
    uint8_t hash[GH_SHA256_BYTES];

    if (!looks_like_one(text))
        return GH_OK;
    gh_sha256(text, hash);
    enum gh_error_code code = gh_store_token_delete(store, gh_slice(hash, sizeof hash), error);
    return code == GH_ERROR_NOT_FOUND ? GH_OK : code;
}
