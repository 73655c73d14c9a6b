/* Operators, as administrators look after them, and what signing in demands. */
#include "api/session_internal.h"
#include "api/tenant_names_internal.h"
#include "base/secret.h"
#include "identity/invitation.h"
#include "identity/sign_in_policy.h"
#include "policy/permission.h"

static json_t *operator_to_json(const struct call *call, const struct gh_operator_row *row)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:b, s:b, s:o, s:o}", "name", json_slice(row->name),
                     "role", json_slice(row->role), "tenant",
                     json_slice(tenant_names_get(call->api->tenants, row->tenant)), "email",
                     json_slice(row->email), "disabled", row->disabled, "has_password",
                     row->password_hash.size > 0, "subject", json_slice(row->subject), "created_at",
                     json_time(row->created_at_ms));
}

enum gh_error_code account_administrates(struct call *call)
{
    const struct gh_tenant none = {0};
    struct gh_policy_scope server;
    enum gh_error_code code = call_scope(call, &none, &server);
    return code == GH_OK ? call_covers(call, GH_SLICE("administrator"), &server) : code;
}

static enum gh_error_code find_operator(struct call *call, struct gh_operator_row *out)
{
    return gh_store_operator_find(call->api->services.store, call->captures[0], call->arena, out,
                                  &call->error);
}

enum gh_error_code api_operator_list(struct call *call)
{
    struct gh_operator_row *rows;
    size_t count = 0;
    enum gh_error_code code =
        gh_store_operator_list(call->api->services.store, call->arena, &rows, &count, &call->error);
    json_t *list = json_array();
    for (size_t i = 0; code == GH_OK && i < count; i++)
        json_array_append_new(list, operator_to_json(call, &rows[i]));
    call->answer = json_pack("{s:o}", "operators", list);
    return code;
}

enum gh_error_code api_operator_get(struct call *call)
{
    struct gh_operator_row row;
    struct gh_factors factors;
    enum gh_error_code code = find_operator(call, &row);
    if (code == GH_OK)
        code = gh_factors_of(call->api->services.operators, row.number, call->arena, &factors,
                             &call->error);
    if (code != GH_OK)
        return code;
    call->answer = operator_to_json(call, &row);
    json_object_set_new(call->answer, "factors", factors_to_json(&factors));
    json_object_set_new(call->answer, "recovery_codes_left",
                        json_integer((json_int_t)factors.recovery_left));
    return GH_OK;
}

/* Role and tenant of somebody who is to have them: both are there, and the caller gives no more
 * than he has. */
static enum gh_error_code check_role(struct call *call, struct gh_slice role,
                                     struct gh_slice tenant_name, int64_t *tenant_number)
{
    struct gh_tenant tenant = {0};
    struct gh_policy_scope scope;
    enum gh_role known;
    enum gh_error_code code = GH_OK;
    if (tenant_name.size > 0)
        code = gh_directory_tenant_find(call->api->services.directory, tenant_name, call->arena,
                                        &tenant, &call->error);
    if (code == GH_OK)
        code = call_scope(call, &tenant, &scope);
    if (code != GH_OK)
        return code;
    bool is_own = gh_role_find(role, &known) && gh_role_is_own(known);
    if (!is_own && gh_role_custom(&scope.roles, role) == NULL)
        return call_fail(call, GH_ERROR_INVALID, "role: there is none of this name here");
    *tenant_number = tenant.number;
    return call_covers(call, role, &scope);
}

/* What `create` keeps between its two halves. */
struct creation {
    struct gh_operator_draft draft;
    bool made; /* the password was made here and is shown once */
    char password[GH_PASSWORD_MADE_MAX];
};

static enum gh_error_code create(struct call *call)
{
    struct creation *creation = call->pending;
    enum gh_error_code code = gh_operators_create(call->api->services.operators, &creation->draft,
                                                  call->now_ms, &call->error);
    if (code == GH_OK) {
        call->status = 201;
        call->answer = json_pack("{s:o, s:o}", "name", json_slice(creation->draft.name), "role",
                                 json_slice(creation->draft.role));
        if (creation->made)
            json_object_set_new(call->answer, "password", json_string(creation->password));
        account_note(call, "OPERATOR_CREATED", creation->draft.name);
    }
    gh_secret_wipe(creation->password, sizeof creation->password);
    return code;
}

/* {name, role, tenant?, email?, password?, no_password?}; a password that is not said is made. */
enum gh_error_code api_operator_create(struct call *call)
{
    static const char *const keys[] = {"name",  "role",     "tenant",
                                       "email", "password", "no_password"};
    struct creation *creation = gh_arena_alloc(call->arena, sizeof *creation);
    struct gh_slice tenant = {0};
    bool without = false;
    if (creation == NULL)
        return call_fail(call, GH_ERROR_MEMORY, "no memory for the call");
    struct gh_operator_draft *draft = &creation->draft;
    if (!gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_text(call->body, "name", GH_JSON_REQUIRED, &draft->name, &call->error) ||
        !gh_json_get_text(call->body, "role", GH_JSON_REQUIRED, &draft->role, &call->error) ||
        !gh_json_get_text(call->body, "tenant", 0, &tenant, &call->error) ||
        !gh_json_get_text(call->body, "email", 0, &draft->email, &call->error) ||
        !gh_json_get_text(call->body, "password", 0, &draft->password, &call->error) ||
        !gh_json_get_bool(call->body, "no_password", 0, &without, &call->error))
        return call->error.code;
    enum gh_error_code code = check_role(call, draft->role, tenant, &draft->tenant);
    if (code != GH_OK)
        return code;
    creation->made = draft->password.size == 0 && !without;
    if (creation->made) {
        gh_password_make(creation->password);
        draft->password = gh_slice_text(creation->password);
    }
    call->pending = creation;
    return call_slowly(call, create, NULL);
}

/* {role?, tenant?, email?, disabled?, provider?, subject?}; the operator's sessions end. */
enum gh_error_code api_operator_update(struct call *call)
{
    static const char *const keys[] = {"role",     "tenant",   "email",
                                       "disabled", "provider", "subject"};
    struct gh_operator_row row;
    enum gh_error_code code = find_operator(call, &row);
    struct gh_slice tenant = {0};
    if (code != GH_OK)
        return code;
    tenant = tenant_names_get(call->api->tenants, row.tenant);
    if (!gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_text(call->body, "role", 0, &row.role, &call->error) ||
        !gh_json_get_text(call->body, "tenant", 0, &tenant, &call->error) ||
        !gh_json_get_text(call->body, "email", 0, &row.email, &call->error) ||
        !gh_json_get_text(call->body, "provider", 0, &row.provider, &call->error) ||
        !gh_json_get_text(call->body, "subject", 0, &row.subject, &call->error) ||
        !gh_json_get_bool(call->body, "disabled", 0, &row.disabled, &call->error))
        return call->error.code;
    code = gh_operator_email_check(row.email, &call->error);
    if (code == GH_OK)
        code = check_role(call, row.role, tenant, &row.tenant);
    if (code == GH_OK)
        code = gh_store_operator_update(call->api->services.store, &row, &call->error);
    if (code != GH_OK)
        return code;
    account_note(call, "OPERATOR_CHANGED", row.name);
    call->answer = operator_to_json(call, &row);
    return GH_OK;
}

enum gh_error_code api_operator_delete(struct call *call)
{
    struct gh_operator_row row;
    enum gh_error_code code = find_operator(call, &row);
    if (code == GH_OK && row.number == call->caller.operator_number)
        return call_fail(call, GH_ERROR_PRECONDITION, "nobody deletes himself");
    if (code == GH_OK)
        code = gh_store_operator_delete(call->api->services.store, row.number, &call->error);
    if (code == GH_OK)
        account_note(call, "OPERATOR_DELETED", row.name);
    return code;
}

static enum gh_error_code give_password(struct call *call)
{
    char password[GH_PASSWORD_MADE_MAX];
    gh_password_make(password);
    enum gh_error_code code = gh_operators_set_password(
        call->api->services.operators, call->captures[0], gh_slice_text(password), &call->error);
    if (code == GH_OK) {
        call->answer =
            json_pack("{s:o, s:s}", "name", json_slice(call->captures[0]), "password", password);
        account_note(call, "PASSWORD_GIVEN", call->captures[0]);
    }
    gh_secret_wipe(password, sizeof password);
    return code;
}

/* A new password, made here and shown once; the operator's sessions end. Whoever knows it is that
 * operator: it takes all rights of one. */
enum gh_error_code api_operator_password(struct call *call)
{
    return account_administrates(call) == GH_OK ? call_slowly(call, give_password, NULL)
                                                : call->error.code;
}

/* {name, path, expires_at}: who follows the path on this console chooses the operator's password.
 * As above it takes all rights. */
enum gh_error_code api_operator_invite(struct call *call)
{
    char invitation[GH_INVITATION_MAX];
    if (account_administrates(call) != GH_OK)
        return call->error.code;
    struct gh_slice name = call->captures[0];
    enum gh_error_code code = gh_operators_invite(call->api->services.operators, name, call->now_ms,
                                                  invitation, &call->error);
    if (code != GH_OK)
        return code;
    call->answer =
        json_pack("{s:o, s:o, s:o}", "name", json_slice(name), "path",
                  json_slice(gh_slice_text(gh_arena_print(call->arena, "/invitation#%.*s:%s",
                                                          GH_PRINT(name), invitation))),
                  "expires_at", json_time(call->now_ms + INT64_C(1000) * GH_INVITATION_S));
    gh_secret_wipe(invitation, sizeof invitation);
    account_note(call, "INVITED", name);
    return GH_OK;
}

/* For who has lost them: all second factors and recovery codes go, and the sessions end. */
enum gh_error_code api_operator_factors(struct call *call)
{
    struct gh_operator_row row;
    if (account_administrates(call) != GH_OK)
        return call->error.code;
    enum gh_error_code code = find_operator(call, &row);
    if (code == GH_OK)
        code = gh_store_factor_replace(call->api->services.store, row.number, 0, NULL, 0,
                                       &call->error);
    if (code == GH_OK)
        code = gh_store_sign_in_clear(call->api->services.store, row.number, (struct gh_slice){0},
                                      &call->error);
    if (code == GH_OK)
        account_note(call, "FACTORS_REMOVED", row.name);
    return code;
}

enum gh_error_code api_operator_sessions(struct call *call)
{
    struct gh_operator_row row;
    enum gh_error_code code = find_operator(call, &row);
    if (code == GH_OK)
        code = gh_store_sign_in_clear(call->api->services.store, row.number, (struct gh_slice){0},
                                      &call->error);
    if (code == GH_OK)
        account_note(call, "SESSIONS_ENDED", row.name);
    return code;
}

/* --- what is demanded: of the house, or of the tenant of the path */

enum gh_error_code api_sign_in_policy_get(struct call *call)
{
    struct gh_sign_in_policy policy;
    enum gh_error_code code = gh_sign_in_policy_get(call->api->services.store, call->tenant.number,
                                                    &policy, &call->error);
    if (code == GH_OK)
        call->answer = json_pack("{s:b}", "second_factor", policy.second_factor);
    return code;
}

enum gh_error_code api_sign_in_policy_put(struct call *call)
{
    static const char *const keys[] = {"second_factor"};
    struct gh_sign_in_policy policy = {0};
    if (!gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_bool(call->body, "second_factor", GH_JSON_REQUIRED, &policy.second_factor,
                          &call->error))
        return call->error.code;
    enum gh_error_code code = gh_sign_in_policy_put(call->api->services.store, call->tenant.number,
                                                    &policy, call->now_ms, &call->error);
    if (code != GH_OK)
        return code;
    account_note(call, "SIGN_IN_POLICY", (struct gh_slice){0});
    return api_sign_in_policy_get(call);
}
