/* One's own account: password, second factors, sessions. */
#include "api/session_internal.h"
#include "base/secret.h"
#include <string.h>

static struct gh_operators *operators_of(const struct call *call)
{
    return call->api->services.operators;
}

static int64_t own_number(const struct call *call)
{
    return call->session.row.operator_number;
}

json_t *factors_to_json(const struct gh_factors *factors)
{
    json_t *list = json_array();
    for (size_t i = 0; i < factors->count; i++) {
        const struct gh_factor_row *row = &factors->rows[i];
        json_array_append_new(list, json_pack("{s:o, s:s, s:o, s:b, s:o, s:o}", "id",
                                              json_number_text((uint64_t)row->number), "kind",
                                              gh_factor_name(row->kind), "label",
                                              json_slice(row->label), "confirmed", row->confirmed,
                                              "created_at", json_time(row->created_at_ms),
                                              "last_used_at", json_time(row->used_at_ms)));
    }
    return list;
}

enum gh_error_code api_account(struct call *call)
{
    struct gh_operator_row row;
    struct gh_factors factors;
    enum gh_error_code code =
        gh_store_operator_find(call->api->services.store, call->session.row.operator_name,
                               call->arena, &row, &call->error);
    if (code == GH_OK)
        code = gh_factors_of(operators_of(call), row.number, call->arena, &factors, &call->error);
    if (code != GH_OK)
        return code;
    call->answer = json_pack("{s:o, s:o, s:o, s:o, s:b, s:o, s:I}", "name", json_slice(row.name),
                             "role", json_slice(row.role), "email", json_slice(row.email),
                             "created_at", json_time(row.created_at_ms), "has_password",
                             row.password_hash.size > 0, "factors", factors_to_json(&factors),
                             "recovery_codes_left", (json_int_t)factors.recovery_left);
    return GH_OK;
}

/* All sessions end; this one goes on under a new secret. */
static enum gh_error_code set_password(struct call *call)
{
    struct gh_slice password = {0};
    struct gh_sign_in_outcome outcome;
    enum gh_error_code code = GH_ERROR_INVALID;
    if (gh_json_get_text(call->body, "password", GH_JSON_REQUIRED, &password, &call->error))
        code = gh_operators_set_password(operators_of(call), call->session.row.operator_name,
                                         password, &call->error);
    if (code != GH_OK)
        return code;
    account_note(call, "PASSWORD_CHANGED", (struct gh_slice){0});
    code = gh_operators_begin_again(operators_of(call), &call->session, call->now_ms, call->arena,
                                    &outcome, &call->error);
    return code == GH_OK ? session_answer(call, &outcome) : code;
}

enum gh_error_code api_account_password(struct call *call)
{
    static const char *const keys[] = {"password"};
    return gh_json_only(call->body, keys, GH_COUNT(keys), &call->error)
               ? call_slowly(call, set_password, NULL)
               : call->error.code;
}

/* --- second factors */

static bool read_factor_id(struct call *call, int64_t *out)
{
    uint64_t number;
    if (gh_slice_to_u64(call->captures[0], &number) && number <= INT64_MAX) {
        *out = (int64_t)number;
        return true;
    }
    call_fail(call, GH_ERROR_NOT_FOUND, "there is no such second factor");
    return false;
}

enum gh_error_code api_factor_totp(struct call *call)
{
    static const char *const keys[] = {"label"};
    struct gh_slice label = GH_SLICE("Authenticator app");
    struct gh_totp_offer offer;
    if (!gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_text(call->body, "label", 0, &label, &call->error))
        return call->error.code;
    enum gh_error_code code = gh_factor_offer_totp(operators_of(call), &call->session, label,
                                                   call->now_ms, call->arena, &offer, &call->error);
    if (code == GH_OK) {
        call->status = 201;
        call->answer = json_pack("{s:o, s:s, s:s}", "id", json_number_text((uint64_t)offer.factor),
                                 "secret", offer.secret, "uri", offer.uri);
    }
    gh_secret_wipe(&offer, sizeof offer);
    return code;
}

/* Ten new codes as `recovery_codes` of the answer. */
static enum gh_error_code add_recovery_codes(struct call *call)
{
    char codes[GH_RECOVERY_CODES][GH_RECOVERY_CODE_MAX];
    enum gh_error_code code = gh_factor_make_recovery(operators_of(call), own_number(call),
                                                      call->now_ms, codes, &call->error);
    json_t *list = json_array();
    for (size_t i = 0; code == GH_OK && i < GH_RECOVERY_CODES; i++)
        json_array_append_new(list, json_string(codes[i]));
    json_object_set_new(call->answer, "recovery_codes", list);
    gh_secret_wipe(codes, sizeof codes);
    return code;
}

enum gh_error_code account_factor_added(struct call *call, const char *proof)
{
    struct gh_sign_in_outcome outcome;
    struct gh_factors factors;
    enum gh_error_code code =
        gh_operators_go_on(operators_of(call), &call->session, GH_SIGN_IN_WHOLE, proof,
                           call->now_ms, call->arena, &outcome, &call->error);
    if (code == GH_OK)
        code = session_answer(call, &outcome);
    if (code == GH_OK)
        code = gh_factors_of(operators_of(call), own_number(call), call->arena, &factors,
                             &call->error);
    if (code == GH_OK && factors.recovery_left == 0)
        code = add_recovery_codes(call);
    if (code == GH_OK)
        account_note(call, "FACTOR_ADDED", gh_slice_text(proof));
    return code;
}

enum gh_error_code api_factor_confirm(struct call *call)
{
    static const char *const keys[] = {"code"};
    struct gh_slice shown;
    int64_t factor;
    if (!gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_text(call->body, "code", GH_JSON_REQUIRED, &shown, &call->error) ||
        !read_factor_id(call, &factor))
        return call->error.code;
    enum gh_error_code code =
        gh_factor_confirm_totp(operators_of(call), &call->session, factor, shown, call->now_ms,
                               call->arena, &call->retry_after_s, &call->error);
    return code == GH_OK ? account_factor_added(call, gh_factor_name(GH_FACTOR_TOTP)) : code;
}

enum gh_error_code api_factor_delete(struct call *call)
{
    int64_t factor;
    if (!read_factor_id(call, &factor))
        return call->error.code;
    enum gh_error_code code =
        gh_factor_remove(operators_of(call), &call->session, factor, call->arena, &call->error);
    if (code == GH_OK)
        account_note(call, "FACTOR_REMOVED", (struct gh_slice){0});
    return code;
}

enum gh_error_code api_factor_recovery(struct call *call)
{
    struct gh_factors factors;
    enum gh_error_code code =
        gh_factors_of(operators_of(call), own_number(call), call->arena, &factors, &call->error);
    if (code == GH_OK && !factors.has_totp && !factors.has_webauthn)
        return call_fail(call, GH_ERROR_PRECONDITION,
                         "recovery codes stand in for a second factor; "
                         "add one first");
    call->answer = json_object();
    if (code == GH_OK)
        code = add_recovery_codes(call);
    if (code == GH_OK)
        account_note(call, "RECOVERY_CODES_MADE", (struct gh_slice){0});
    return code;
}

/* --- sessions */

static json_t *listed_session(const struct call *call, const struct gh_sign_in_row *row)
{
    char id[GH_SESSION_ID_MAX];
    return json_pack("{s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "id", gh_session_id(row->hash, id),
                     "current", gh_slice_equal(row->hash, call->session.row.hash), "method",
                     json_slice(row->method), "address", json_slice(row->address), "agent",
                     json_slice(row->agent), "created_at", json_time(row->created_at_ms), "seen_at",
                     json_time(row->seen_at_ms), "expires_at", json_time(row->expires_at_ms));
}

enum gh_error_code api_account_sessions(struct call *call)
{
    struct gh_sign_in_row *rows;
    size_t count = 0;
    enum gh_error_code code = gh_store_sign_in_list(call->api->services.store, own_number(call),
                                                    call->arena, &rows, &count, &call->error);
    json_t *list = json_array();
    for (size_t i = 0; code == GH_OK && i < count; i++)
        if (rows[i].stage == GH_SIGN_IN_WHOLE)
            json_array_append_new(list, listed_session(call, &rows[i]));
    call->answer = json_pack("{s:o}", "sessions", list);
    return code;
}

enum gh_error_code api_account_session_end(struct call *call)
{
    return gh_operators_end_session(operators_of(call), own_number(call), call->captures[0],
                                    call->arena, &call->error);
}

/* All but the one that asks. */
enum gh_error_code api_account_sessions_end(struct call *call)
{
    return gh_store_sign_in_clear(call->api->services.store, own_number(call),
                                  call->session.row.hash, &call->error);
}
