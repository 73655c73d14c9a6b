/* Sessions of operators: a random secret in a cookie, its digest in the store. */
#include "base/secret.h"
#include "identity/operator_internal.h"
#include "wire/base64.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    COOKIE_BYTES = 32,
    SEEN_STEP_MS =
        60 * 1000, /* how exact the idle time is: one write a minute, not one a request */
    STAGE_MS = GH_OPERATOR_STEP_S * 1000,
};

char *gh_session_id(struct gh_slice hash, char out[GH_SESSION_ID_MAX])
{
    assert(hash.size >= 8);
    for (size_t i = 0; i < 8; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", hash.data[i]);
    return out;
}

static void fill_caller(struct gh_caller *caller, const struct gh_sign_in_row *row)
{
    *caller = (struct gh_caller){.kind = GH_CALLER_NOBODY};
    if (row->stage == GH_SIGN_IN_WHOLE)
        *caller = (struct gh_caller){.kind = GH_CALLER_OPERATOR,
                                     .name = row->operator_name,
                                     .role = row->role,
                                     .tenant = row->tenant,
                                     .operator_number = row->operator_number,
                                     .expires_at_ms = row->expires_at_ms};
}

/* The secret of a cookie and its digest. */
static void make_cookie(char cookie[GH_OPERATOR_COOKIE_MAX], uint8_t hash[GH_SHA256_BYTES])
{
    uint8_t secret[COOKIE_BYTES];
    struct gh_buffer text = gh_buffer_fixed(cookie, GH_OPERATOR_COOKIE_MAX);

    gh_random(secret, sizeof secret);
    (void)gh_base64_encode(gh_slice(secret, sizeof secret), GH_BASE64_URL_NOPAD, &text);
    gh_secret_wipe(secret, sizeof secret);
    gh_sha256(gh_buffer_slice(&text), hash);
    (void)gh_buffer_u8(&text, '\0');
    assert(!text.overflow && text.size == GH_OPERATOR_COOKIE_MAX);
}

enum gh_error_code operator_session_begin(struct gh_operators *operators,
                                          const struct gh_sign_in_row *row, struct gh_slice before,
                                          struct gh_arena *arena, struct gh_sign_in_outcome *out,
                                          struct gh_error *error)
{
    uint8_t hash[GH_SHA256_BYTES], nonce[GH_BROWSER_NONCE_BYTES];
    struct gh_sign_in_row session = *row;

    *out = (struct gh_sign_in_outcome){.session.caller.kind = GH_CALLER_NOBODY};
    make_cookie(out->cookie, hash);
    if (!gh_arena_copy(arena, gh_slice(hash, sizeof hash), &session.hash))
        return gh_error_set(error, GH_ERROR_MEMORY, "no memory for a session");
    session.challenge = (struct gh_slice){0};
    enum gh_error_code result =
        before.size == 0 ? gh_store_sign_in_create(operators->store, &session, error)
                         : gh_store_sign_in_replace(operators->store, before, &session, error);
    if (result != GH_OK) {
        gh_secret_wipe(out->cookie, sizeof out->cookie);
        return result == GH_ERROR_NOT_FOUND
                   ? gh_error_set(error, GH_ERROR_UNAUTHENTICATED, "the session has ended")
                   : result;
    }
    out->session.row = session;
    fill_caller(&out->session.caller, &session);
    if (session.stage == GH_SIGN_IN_WHOLE) {
        gh_random(nonce, sizeof nonce);
        gh_browser_make(operator_key(operators, OPERATOR_KEY_BROWSERS), session.operator_name,
                        nonce, session.seen_at_ms, out->browser);
        gh_metric_add(operators->metrics, GH_METRIC_sign_ins_total, 1);
    }
    return GH_OK;
}

static bool has_ended(const struct gh_sign_in_row *row, int64_t now_ms)
{
    return row->operator_disabled || row->expires_at_ms <= now_ms ||
           row->seen_at_ms + INT64_C(1000) * GH_OPERATOR_IDLE_S <= now_ms ||
           (row->stage != GH_SIGN_IN_WHOLE && row->created_at_ms + STAGE_MS <= now_ms);
}

enum gh_error_code gh_operators_look(struct gh_operators *operators, struct gh_slice cookie,
                                     int64_t now_ms, struct gh_arena *arena,
                                     struct gh_operator_session *out, struct gh_error *error)
{
    uint8_t digest[GH_SHA256_BYTES] = {0};
    struct gh_slice hash = gh_slice(digest, sizeof digest);
    enum gh_error_code found = GH_ERROR_NOT_FOUND;

    *out = (struct gh_operator_session){.caller.kind = GH_CALLER_NOBODY};
    if (cookie.size == GH_OPERATOR_COOKIE_MAX - 1) {
        gh_sha256(cookie, digest);
        found = gh_store_sign_in_find(operators->store, hash, arena, &out->row, error);
    }
    if (found != GH_OK && found != GH_ERROR_NOT_FOUND)
        return found;
    if (found == GH_ERROR_NOT_FOUND || !gh_secret_equal(out->row.hash, hash) ||
        has_ended(&out->row, now_ms)) {
        out->row = (struct gh_sign_in_row){0};
        return gh_error_set(error, GH_ERROR_UNAUTHENTICATED, "the session has ended");
    }
    fill_caller(&out->caller, &out->row);
    return GH_OK;
}

enum gh_error_code gh_operators_session(struct gh_operators *operators, struct gh_slice cookie,
                                        int64_t now_ms, struct gh_arena *arena,
                                        struct gh_operator_session *out, struct gh_error *error)
{
    enum gh_error_code found = gh_operators_look(operators, cookie, now_ms, arena, out, error);
    if (found != GH_OK || now_ms - out->row.seen_at_ms < SEEN_STEP_MS)
        return found;
    enum gh_error_code seen = gh_store_sign_in_seen(operators->store, out->row.hash, now_ms, error);
    return seen == GH_ERROR_NOT_FOUND ? GH_OK : seen;
}

bool gh_operator_session_is_proven(const struct gh_operator_session *session, int64_t now_ms)
{
    return now_ms < session->row.proved_at_ms + INT64_C(1000) * GH_OPERATOR_PROVEN_S;
}

/* "password" and "totp" are "password+totp"; what is there already is not said twice. */
static bool add_method(struct gh_slice method, const char *proof, struct gh_arena *arena,
                       struct gh_slice *out)
{
    struct gh_slice rest = method, word = gh_slice_text(proof);
    *out = method;
    while (rest.size > 0)
        if (gh_slice_equal(gh_slice_split(&rest, '+'), word))
            return true;
    char *text = gh_arena_print(arena, "%.*s+%s", GH_PRINT(method), proof);
    *out = gh_slice_text(text);
    return text != NULL;
}

enum gh_error_code gh_operators_go_on(struct gh_operators *operators,
                                      const struct gh_operator_session *session,
                                      enum gh_sign_in_stage stage, const char *proof,
                                      int64_t now_ms, struct gh_arena *arena,
                                      struct gh_sign_in_outcome *out, struct gh_error *error)
{
    struct gh_sign_in_row row = session->row;

    row.stage = stage;
    row.seen_at_ms = now_ms;
    if (proof != NULL) {
        row.proved_at_ms = now_ms;
        if (!add_method(session->row.method, proof, arena, &row.method))
            return gh_error_set(error, GH_ERROR_MEMORY, "no memory for a session");
    }
    return operator_session_begin(operators, &row, session->row.hash, arena, out, error);
}

enum gh_error_code gh_operators_begin_again(struct gh_operators *operators,
                                            const struct gh_operator_session *session,
                                            int64_t now_ms, struct gh_arena *arena,
                                            struct gh_sign_in_outcome *out, struct gh_error *error)
{
    struct gh_sign_in_row row = session->row;

    row.seen_at_ms = now_ms;
    return operator_session_begin(operators, &row, (struct gh_slice){0}, arena, out, error);
}

enum gh_error_code gh_operators_sign_out(struct gh_operators *operators, struct gh_slice cookie,
                                         struct gh_error *error)
{
    uint8_t digest[GH_SHA256_BYTES];

    gh_sha256(cookie, digest);
    enum gh_error_code code =
        gh_store_sign_in_delete(operators->store, gh_slice(digest, sizeof digest), error);
    return code == GH_ERROR_NOT_FOUND ? GH_OK : code;
}

enum gh_error_code gh_operators_end_session(struct gh_operators *operators, int64_t operator_number,
                                            struct gh_slice id, struct gh_arena *arena,
                                            struct gh_error *error)
{
    struct gh_sign_in_row *rows;
    size_t count = 0;
    char text[GH_SESSION_ID_MAX];
    enum gh_error_code code =
        gh_store_sign_in_list(operators->store, operator_number, arena, &rows, &count, error);
    for (size_t i = 0; code == GH_OK && i < count; i++)
        if (gh_slice_equal(gh_slice_text(gh_session_id(rows[i].hash, text)), id))
            return gh_store_sign_in_delete(operators->store, rows[i].hash, error);
    return code == GH_OK ? gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such session")
                         : code;
}
