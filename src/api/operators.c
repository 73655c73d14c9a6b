#include "api/call_internal.h"
#include "base/secret.h"
#include "identity/operator.h"
#include "identity/token.h"
#include "policy/permission.h"
#include <stdio.h>
#include <string.h>

enum { TTL_DEFAULT_S = 3600 };

static const struct gh_slice administrator = GH_SLICE_INIT("administrator");

static json_t *caller_to_json(const struct gh_caller *caller)
{
    return json_pack("{s:o, s:o}", "name", json_slice(caller->name), "role",
                     json_slice(caller->role));
}

enum gh_error_code api_sign_in(struct call *call)
{
    static const char *const keys[] = {"name", "password"};
    struct gh_sign_in sign_in = {.source = call_source(call)};
    struct gh_sign_in_outcome outcome = {0};
    if (!gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_text(call->body, "name", GH_JSON_REQUIRED, &sign_in.name, &call->error) ||
        !gh_json_get_text(call->body, "password", GH_JSON_REQUIRED, &sign_in.password,
                          &call->error))
        return call->error.code;
    enum gh_error_code code = gh_operators_sign_in(
        call->api->services.operators, &sign_in, call->now_ms, call->arena, &outcome, &call->error);
    call_deed_sign_in(call, sign_in.name, code == GH_OK);
    if (code == GH_OK) {
        snprintf(call->cookie, sizeof call->cookie,
                 "__Host-gatehouse=%s; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=%d",
                 outcome.cookie, GH_OPERATOR_ABSOLUTE_S);
        call->answer = json_pack("{s:o, s:o}", "operator", caller_to_json(&outcome.caller),
                                 "expires_at", json_time(outcome.caller.expires_at_ms));
    }
    call->retry_after_s = outcome.retry_after_s;
    gh_secret_wipe(outcome.cookie, sizeof outcome.cookie);
    return code;
}

enum gh_error_code api_session(struct call *call)
{
    call->answer = json_pack("{s:o, s:o}", "operator", caller_to_json(&call->caller), "expires_at",
                             json_time(call->caller.expires_at_ms));
    return GH_OK;
}

enum gh_error_code api_sign_out(struct call *call)
{
    struct gh_slice cookie = call_session_cookie(call->request);
    if (cookie.size == 0)
        return call_fail(call, GH_ERROR_PRECONDITION,
                         "there is no session to end; a token expires by itself");
    snprintf(call->cookie, sizeof call->cookie,
             "__Host-gatehouse=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
    return gh_operators_sign_out(call->api->services.operators, cookie, &call->error);
}

/* A new password, made here and shown once; the operator's sessions end. Whoever knows it is that
 * operator: it takes all rights of one. */
enum gh_error_code api_operator_password(struct call *call)
{
    char password[GH_PASSWORD_MADE_MAX];
    const struct gh_tenant none = {0};
    struct gh_policy_scope server;
    enum gh_error_code code = call_scope(call, &none, &server);
    if (code == GH_OK)
        code = call_covers(call, administrator, &server);
    if (code != GH_OK)
        return code;
    gh_password_make(password);
    code = gh_operators_set_password(call->api->services.operators, call->captures[0],
                                     gh_slice_text(password), call->now_ms, &call->error);
    if (code == GH_OK)
        call->answer =
            json_pack("{s:o, s:s}", "name", json_slice(call->captures[0]), "password", password);
    gh_secret_wipe(password, sizeof password);
    return code;
}

/* A token never has more than its maker. One for a member has what bindings may ever give that
 * member, so that takes all rights. */
static enum gh_error_code check_grant(struct call *call, const struct gh_token_grant *grant,
                                      const struct gh_tenant *tenant)
{
    struct gh_policy_scope scope;
    enum gh_role role;
    if (call->caller.tenant != 0 && grant->tenant != call->caller.tenant)
        return call_fail(call, GH_ERROR_DENIED, "a token for another tenant");
    enum gh_error_code code = call_scope(call, tenant, &scope);
    if (code != GH_OK)
        return code;
    if (grant->role.size == 0)
        return call_covers(call, administrator, &scope);
    bool is_own = gh_role_find(grant->role, &role) && gh_role_is_own(role);
    if (!is_own && gh_role_custom(&scope.roles, grant->role) == NULL)
        return call_fail(
            call, GH_ERROR_INVALID,
            "role is none of administrator, operator, viewer, provisioner, device-controller, "
            "release-manager, auditor, metrics, nor a custom role (custom/NAME of the tenant, "
            "house/NAME)");
    return call_covers(call, grant->role, &scope);
}

/* {role, tenant?, ttl_s?, member?} */
enum gh_error_code api_token_create(struct call *call)
{
    static const char *const keys[] = {"role", "tenant", "ttl_s", "member"};
    struct gh_token_grant grant = {.ttl_s = TTL_DEFAULT_S};
    struct gh_slice tenant_name = {0};
    struct gh_tenant tenant = {0};
    char text[GH_TOKEN_TEXT_MAX];
    if (!gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_text(call->body, "role", 0, &grant.role, &call->error) ||
        !gh_json_get_text(call->body, "member", 0, &grant.member, &call->error) ||
        !gh_json_get_text(call->body, "tenant", 0, &tenant_name, &call->error) ||
        !gh_json_get_i64(call->body, "ttl_s", 0, &grant.ttl_s, &call->error))
        return call->error.code;
    if (grant.role.size == 0 && grant.member.size == 0)
        return call_fail(call, GH_ERROR_INVALID,
                         "a token needs a role, or a member that bindings name");
    if (grant.ttl_s < 1 || grant.ttl_s > GH_TOKEN_TTL_S_MAX)
        return call_fail(call, GH_ERROR_RANGE, "ttl_s is from 1 to %d", GH_TOKEN_TTL_S_MAX);
    if (tenant_name.size > 0) {
        enum gh_error_code found = gh_directory_tenant_find(
            call->api->services.directory, tenant_name, call->arena, &tenant, &call->error);
        if (found != GH_OK)
            return found;
        grant.tenant = tenant.number;
    }
    enum gh_error_code code = check_grant(call, &grant, &tenant);
    if (code != GH_OK)
        return code;
    code = gh_token_mint(call->api->services.store, &grant, call->now_ms, text, &call->error);
    if (code == GH_OK) {
        call->status = 201;
        call->answer = json_pack("{s:s, s:o}", "token", text, "expires_at",
                                 json_time(call->now_ms + grant.ttl_s * 1000));
    }
    gh_secret_wipe(text, sizeof text);
    return code;
}
