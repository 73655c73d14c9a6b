/* Signing in, the second factor, proving anew, signing out. */
#include "api/session_internal.h"
#include "base/secret.h"
#include "identity/invitation.h"
#include <stdio.h>
#include <string.h>

enum { DAY_S = 24 * 3600 };

void session_cookie(char cookie[CALL_COOKIE_MAX], const char *name, const char *value,
                    int max_age_s, const char *same_site)
{
    snprintf(cookie, CALL_COOKIE_MAX, "%s=%s; Path=/; Secure; HttpOnly; SameSite=%s; Max-Age=%d",
             name, value, same_site, max_age_s);
}

static const char *stage_name(enum gh_sign_in_stage stage)
{
    static const char *const names[] = {[GH_SIGN_IN_WHOLE] = "whole",
                                        [GH_SIGN_IN_NEEDS_FACTOR] = "second-factor",
                                        [GH_SIGN_IN_MUST_ENROL] = "enrol"};
    return names[stage];
}

/* What can be shown as the second factor: names for the console to offer. */
static json_t *ways_to_json(struct call *call, int64_t operator_number)
{
    struct gh_factors factors;
    json_t *ways = json_array();
    if (gh_factors_of(call->api->services.operators, operator_number, call->arena, &factors,
                      NULL) != GH_OK)
        return ways;
    const struct {
        enum gh_factor_kind kind;
        bool there;
    } kinds[] = {{GH_FACTOR_WEBAUTHN, factors.has_webauthn},
                 {GH_FACTOR_TOTP, factors.has_totp},
                 {GH_FACTOR_RECOVERY, factors.recovery_left > 0}};
    for (size_t i = 0; i < GH_COUNT(kinds); i++)
        if (kinds[i].there)
            json_array_append_new(ways, json_string(gh_factor_name(kinds[i].kind)));
    return ways;
}

json_t *session_to_json(struct call *call, const struct gh_operator_session *session)
{
    const struct gh_sign_in_row *row = &session->row;
    json_t *person =
        json_pack("{s:o, s:o}", "name", json_slice(row->operator_name), "role",
                  json_slice(row->stage == GH_SIGN_IN_WHOLE ? row->role : (struct gh_slice){0}));
    return json_pack("{s:o, s:o, s:s, s:o, s:o, s:o}", "operator", person, "expires_at",
                     json_time(row->expires_at_ms), "stage", stage_name(row->stage), "method",
                     json_slice(row->method), "factors", ways_to_json(call, row->operator_number),
                     "proved_at", json_time(row->proved_at_ms));
}

enum gh_error_code session_answer(struct call *call, struct gh_sign_in_outcome *outcome)
{
    session_cookie(call->cookies[0], CALL_COOKIE_SESSION, outcome->cookie, GH_OPERATOR_ABSOLUTE_S,
                   "Strict");
    if (outcome->browser[0] != '\0')
        session_cookie(call->cookies[1], CALL_COOKIE_BROWSER, outcome->browser,
                       GH_BROWSER_DAYS * DAY_S, "Strict");
    call->answer = session_to_json(call, &outcome->session);
    gh_secret_wipe(outcome->cookie, sizeof outcome->cookie);
    gh_secret_wipe(outcome->browser, sizeof outcome->browser);
    return GH_OK;
}

void session_forget(struct call *call)
{
    session_cookie(call->cookies[0], CALL_COOKIE_SESSION, "", 0, "Strict");
}

void account_note(struct call *call, const char *what, struct gh_slice about)
{
    char *more = about.size > 0 ? gh_arena_print(call->arena, "of %.*s", GH_PRINT(about)) : NULL;
    call_note(call, what, (struct gh_slice){0}, NULL, gh_slice_text(more));
}

/* --- a name and a password: let through first, then checked where it may take its time */

struct signing_in {
    struct gh_sign_in sign_in;
    struct gh_attempt attempt;
};

static enum gh_error_code check(struct call *call)
{
    struct signing_in *in = call->pending;
    struct gh_sign_in_outcome outcome;
    enum gh_error_code code =
        gh_operators_check(call->api->services.operators, &in->sign_in, &in->attempt, call->now_ms,
                           call->arena, &outcome, &call->error);
    call_deed_sign_in(call, in->sign_in.name, code == GH_OK);
    return code == GH_OK ? session_answer(call, &outcome) : code;
}

static void withdraw(struct call *call)
{
    const struct signing_in *in = call->pending;
    gh_operators_withdraw(call->api->services.operators, &in->attempt);
}

/* `name` of who it is; the password is the body's. */
static enum gh_error_code admit(struct call *call, struct gh_slice name, struct gh_slice password,
                                handler *slow)
{
    struct signing_in *in = gh_arena_alloc(call->arena, sizeof *in);
    if (in == NULL)
        return call_fail(call, GH_ERROR_MEMORY, "no memory for the call");
    in->sign_in = (struct gh_sign_in){.name = name,
                                      .password = password,
                                      .source = call_source(call),
                                      .browser = call_cookie(call->request, CALL_COOKIE_BROWSER),
                                      .agent = gh_http_header_get(call->request, "user-agent")};
    enum gh_error_code code =
        gh_operators_admit(call->api->services.operators, &in->sign_in, call->now_ms, &in->attempt,
                           &call->retry_after_s, &call->error);
    if (code != GH_OK) {
        call_deed_sign_in(call, name, false);
        return code;
    }
    call->pending = in;
    return call_slowly(call, slow, withdraw);
}

enum gh_error_code api_sign_in(struct call *call)
{
    static const char *const keys[] = {"name", "password"};
    struct gh_slice name, password;
    if (!gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_text(call->body, "name", GH_JSON_REQUIRED, &name, &call->error) ||
        !gh_json_get_text(call->body, "password", GH_JSON_REQUIRED, &password, &call->error))
        return call->error.code;
    if (call_is_foreign(call))
        return call_fail(call, GH_ERROR_DENIED, "a page of another origin signs nobody in");
    return admit(call, name, password, check);
}

/* --- an invitation: looked at first, then accepted where that may take its time */

static enum gh_error_code accept(struct call *call)
{
    const struct gh_acceptance *acceptance = call->pending;
    enum gh_error_code code =
        gh_operators_accept(call->api->services.operators, acceptance, call->now_ms, &call->error);
    call_deed_sign_in(call, acceptance->name, code == GH_OK);
    return code;
}

/* {name, invitation, password}: whoever was invited signs in afterwards, as everybody does. */
enum gh_error_code api_session_invitation(struct call *call)
{
    static const char *const keys[] = {"name", "invitation", "password"};
    struct gh_acceptance *acceptance = gh_arena_alloc(call->arena, sizeof *acceptance);
    if (acceptance == NULL)
        return call_fail(call, GH_ERROR_MEMORY, "no memory for the call");
    if (!gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_text(call->body, keys[0], GH_JSON_REQUIRED, &acceptance->name, &call->error) ||
        !gh_json_get_text(call->body, keys[1], GH_JSON_REQUIRED, &acceptance->invitation,
                          &call->error) ||
        !gh_json_get_text(call->body, keys[2], GH_JSON_REQUIRED, &acceptance->password,
                          &call->error))
        return call->error.code;
    if (call_is_foreign(call))
        return call_fail(call, GH_ERROR_DENIED, "a page of another origin accepts no invitation");
    enum gh_error_code code =
        gh_operators_invited(call->api->services.operators, acceptance, call->now_ms, &call->error);
    if (code != GH_OK) {
        call_deed_sign_in(call, acceptance->name, false);
        return code;
    }
    call->pending = acceptance;
    return call_slowly(call, accept, NULL);
}

enum gh_error_code api_session(struct call *call)
{
    if (call->session.row.operator_number != 0) {
        call->answer = session_to_json(call, &call->session);
        return GH_OK;
    }
    call->answer = json_pack("{s:{s:o, s:o}, s:o}", "operator", "name",
                             json_slice(call->caller.name), "role", json_slice(call->caller.role),
                             "expires_at", json_time(call->caller.expires_at_ms));
    return GH_OK;
}

enum gh_error_code api_sign_out(struct call *call)
{
    struct gh_slice cookie = call_cookie(call->request, CALL_COOKIE_SESSION);
    if (cookie.size == 0)
        return call_fail(call, GH_ERROR_PRECONDITION,
                         "there is no session to end; a token expires by itself");
    session_forget(call);
    return gh_operators_sign_out(call->api->services.operators, cookie, &call->error);
}

/* --- the second factor, and proofs anew */

/* One of these members says which. */
static enum gh_error_code read_proof(struct call *call, struct gh_factor_proof *proof)
{
    json_t *assertion = NULL;
    if (gh_json_object(call->body, gh_factor_name(GH_FACTOR_WEBAUTHN), &assertion)) {
        proof->kind = GH_FACTOR_WEBAUTHN;
        return security_key_read(call, assertion, &proof->assertion);
    }
    static const enum gh_factor_kind kinds[] = {GH_FACTOR_TOTP, GH_FACTOR_RECOVERY};
    for (size_t i = 0; i < GH_COUNT(kinds); i++)
        if (gh_json_text(call->body, gh_factor_name(kinds[i]), &proof->code)) {
            proof->kind = kinds[i];
            return GH_OK;
        }
    return call_fail(call, GH_ERROR_INVALID, "the body needs totp, webauthn or recovery");
}

/* The proof of the body, and the session that goes on from it as a whole one. */
static enum gh_error_code prove(struct call *call)
{
    struct gh_operators *operators = call->api->services.operators;
    struct gh_factor_proof proof = {0};
    struct gh_sign_in_outcome outcome;
    enum gh_error_code code = read_proof(call, &proof);
    if (code == GH_OK)
        code = gh_factor_prove(operators, &call->session, &proof, call->now_ms, call->arena,
                               &call->retry_after_s, &call->error);
    if (code == GH_OK)
        code = gh_operators_go_on(operators, &call->session, GH_SIGN_IN_WHOLE,
                                  gh_factor_name(proof.kind), call->now_ms, call->arena, &outcome,
                                  &call->error);
    return code == GH_OK ? session_answer(call, &outcome) : code;
}

enum gh_error_code api_session_factor(struct call *call)
{
    return call->session.row.stage == GH_SIGN_IN_NEEDS_FACTOR
               ? prove(call)
               : call_fail(call, GH_ERROR_PRECONDITION, "no second factor is asked for");
}

/* The password anew. */
static enum gh_error_code prove_password(struct call *call)
{
    struct signing_in *in = call->pending;
    struct gh_operators *operators = call->api->services.operators;
    struct gh_sign_in_outcome outcome;
    enum gh_error_code code = gh_operators_confirm(operators, &in->sign_in, &in->attempt,
                                                   call->now_ms, call->arena, &call->error);
    if (code == GH_OK)
        code = gh_operators_go_on(operators, &call->session, GH_SIGN_IN_WHOLE, "password",
                                  call->now_ms, call->arena, &outcome, &call->error);
    return code == GH_OK ? session_answer(call, &outcome) : code;
}

/* A password is checked slowly, and its deed begins there; any other proof at once. */
enum gh_error_code api_session_prove(struct call *call)
{
    struct gh_slice password;
    if (gh_json_text(call->body, "password", &password))
        return admit(call, call->session.row.operator_name, password, prove_password);
    enum gh_error_code code = gh_audit_begin(&call->deed, GH_AUDIT_LAST, &call->error);
    return code == GH_OK ? prove(call) : code;
}
