#include "identity/invitation.h"
#include "base/cursor.h"
#include "base/secret.h"
#include "identity/operator_internal.h"
#include "wire/base64.h"
#include <assert.h>
#include <string.h>

enum {
    END_BYTES = 8,
    BYTES = END_BYTES + GH_SHA256_BYTES,
    SIGNED_MAX = 2 * END_BYTES + 2 * GH_SHA256_BYTES,
    ARENA_MAX = 64 * 1024,
};
static_assert((BYTES * 4 + 2) / 3 + 1 == GH_INVITATION_MAX, "base64url without padding, NUL");

static void put_digest(struct gh_buffer *out, struct gh_slice of)
{
    uint8_t digest[GH_SHA256_BYTES];
    gh_sha256(of, digest);
    gh_buffer_put(out, gh_slice(digest, sizeof digest));
}

static void mac_of(const struct gh_operators *operators, const struct gh_operator_row *row,
                   uint64_t end_ms, uint8_t mac[GH_SHA256_BYTES])
{
    uint8_t block[SIGNED_MAX];
    struct gh_buffer bytes = gh_buffer_fixed(block, sizeof block);
    gh_buffer_u64(&bytes, end_ms);
    gh_buffer_u64(&bytes, (uint64_t)row->number);
    put_digest(&bytes, row->name);
    put_digest(&bytes, row->password_hash);
    assert(!bytes.overflow);
    gh_hmac_sha256(operator_key(operators, OPERATOR_KEY_INVITATIONS), gh_buffer_slice(&bytes), mac);
}

static void print(const struct gh_operators *operators, const struct gh_operator_row *row,
                  uint64_t end_ms, char out[GH_INVITATION_MAX])
{
    uint8_t block[BYTES], mac[GH_SHA256_BYTES];
    char room[GH_INVITATION_MAX + 2]; /* the encoder rounds up */
    struct gh_buffer bytes = gh_buffer_fixed(block, sizeof block);
    struct gh_buffer text = gh_buffer_fixed(room, sizeof room);
    mac_of(operators, row, end_ms, mac);
    gh_buffer_u64(&bytes, end_ms);
    gh_buffer_put(&bytes, gh_slice(mac, sizeof mac));
    gh_base64_encode(gh_buffer_slice(&bytes), GH_BASE64_URL_NOPAD, &text);
    gh_buffer_u8(&text, '\0');
    assert(!bytes.overflow && !text.overflow && text.size == GH_INVITATION_MAX);
    memcpy(out, room, GH_INVITATION_MAX);
}

static bool is_good(const struct gh_operators *operators, const struct gh_operator_row *row,
                    struct gh_slice text, int64_t now_ms)
{
    uint8_t block[BYTES + 1] /* the decoder rounds up */, mac[GH_SHA256_BYTES];
    struct gh_buffer bytes = gh_buffer_fixed(block, sizeof block);
    uint64_t end_ms;
    if (text.size != GH_INVITATION_MAX - 1 ||
        !gh_base64_decode(text, GH_BASE64_STRICT_URL, &bytes) || bytes.size != BYTES)
        return false;
    struct gh_cursor at = gh_cursor(gh_buffer_slice(&bytes));
    if (!gh_cursor_u64(&at, &end_ms))
        return false;
    mac_of(operators, row, end_ms, mac);
    return gh_secret_equal(at.rest, gh_slice(mac, sizeof mac)) && end_ms > (uint64_t)now_ms;
}

enum gh_error_code gh_operators_invite(struct gh_operators *operators, struct gh_slice name,
                                       int64_t now_ms, char out[GH_INVITATION_MAX],
                                       struct gh_error *error)
{
    struct gh_operator_row row;
    struct gh_arena arena;
    gh_arena_init(&arena, ARENA_MAX);
    enum gh_error_code code = gh_store_operator_find(operators->store, name, &arena, &row, error);
    if (code == GH_OK)
        print(operators, &row, (uint64_t)(now_ms + INT64_C(1000) * GH_INVITATION_S), out);
    gh_arena_deinit(&arena);
    return code;
}

/* Whom it is for. The same work for a name that nobody has. */
static enum gh_error_code find_invited(struct gh_operators *operators,
                                       const struct gh_acceptance *acceptance, int64_t now_ms,
                                       struct gh_arena *arena, struct gh_operator_row *row,
                                       struct gh_error *error)
{
    *row = (struct gh_operator_row){.name = acceptance->name};
    enum gh_error_code found =
        gh_store_operator_find(operators->store, acceptance->name, arena, row, error);
    if (found != GH_OK && found != GH_ERROR_NOT_FOUND)
        return found;
    bool good = is_good(operators, row, acceptance->invitation, now_ms);
    return good && found == GH_OK && !row->disabled
               ? GH_OK
               : gh_error_set(error, GH_ERROR_UNAUTHENTICATED,
                              "the invitation is not good, or not any more");
}

enum gh_error_code gh_operators_invited(struct gh_operators *operators,
                                        const struct gh_acceptance *acceptance, int64_t now_ms,
                                        struct gh_error *error)
{
    struct gh_operator_row row;
    struct gh_arena arena;
    gh_arena_init(&arena, ARENA_MAX);
    enum gh_error_code code = find_invited(operators, acceptance, now_ms, &arena, &row, error);
    gh_arena_deinit(&arena);
    return code;
}

static enum gh_error_code accept(struct gh_operators *operators,
                                 const struct gh_acceptance *acceptance, int64_t now_ms,
                                 struct gh_arena *arena, struct gh_error *error)
{
    char block[OPERATOR_STORED_MAX];
    struct gh_buffer stored = gh_buffer_fixed(block, sizeof block);
    struct gh_operator_row row;
    enum gh_error_code code = find_invited(operators, acceptance, now_ms, arena, &row, error);
    if (code == GH_OK)
        code = operator_hash_new(operators, &row, acceptance->password, arena, &stored, error);
    if (code == GH_OK)
        code = gh_store_operator_rehash(operators->store, row.number, row.password_hash,
                                        gh_buffer_slice(&stored), error);
    return code == GH_OK
               ? gh_store_sign_in_clear(operators->store, row.number, (struct gh_slice){0}, error)
               : code;
}

enum gh_error_code gh_operators_accept(struct gh_operators *operators,
                                       const struct gh_acceptance *acceptance, int64_t now_ms,
                                       struct gh_error *error)
{
    struct gh_arena arena;
    gh_arena_init(&arena, ARENA_MAX);
    enum gh_error_code code = accept(operators, acceptance, now_ms, &arena, error);
    gh_arena_deinit(&arena);
    return code == GH_ERROR_CONFLICT ? gh_error_set(error, GH_ERROR_UNAUTHENTICATED,
                                                    "the invitation is not good, or not any more")
                                     : code;
}
