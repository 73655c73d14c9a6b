/* Bearer tokens: those that stand for themselves, and those of operators. */
#include "api/session_internal.h"
#include "api/tenant_names_internal.h"
#include "base/secret.h"
#include "identity/token.h"
#include "policy/permission.h"

enum {
    TTL_DEFAULT_S = 3600,
    PERSONAL_TTL_DEFAULT_S = 30 * 24 * 3600,
    PERSONAL_MAX = 64, /* of one operator */
    LABEL_MAX = 64,
    PERMISSIONS_BYTES_MAX = 4096,
};

static const struct gh_slice administrator = GH_SLICE_INIT("administrator");

json_t *token_to_json(const struct call *call, const struct gh_token_row *row)
{
    char id[GH_SESSION_ID_MAX];
    struct gh_slice tenant = tenant_names_get(call->api->tenants, row->tenant);
    struct gh_slice rest = row->permissions;
    json_t *permissions = json_array();
    while (rest.size > 0)
        json_array_append_new(permissions, json_slice(gh_slice_split(&rest, ' ')));
    json_t *token = json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id", gh_session_id(row->hash, id),
        "label", json_slice(row->label), "operator", json_slice(row->operator_name), "role",
        json_slice(row->operator_number != 0 ? row->operator_role : row->role), "member",
        json_slice(row->member), "tenant", json_slice(tenant), "permissions", permissions,
        "created_at", json_time(row->created_at_ms), "expires_at", json_time(row->expires_at_ms),
        "last_used_at", json_time(row->used_at_ms));
    return token;
}

/* Of one operator, or (0) all. */
static enum gh_error_code list_tokens(struct call *call, int64_t operator_number)
{
    struct gh_token_row *rows;
    size_t count = 0;
    enum gh_error_code code =
        gh_store_token_list(call->api->services.store, call->arena, &rows, &count, &call->error);
    json_t *list = json_array();
    for (size_t i = 0; code == GH_OK && i < count; i++)
        if (rows[i].expires_at_ms > call->now_ms &&
            (operator_number == 0 || rows[i].operator_number == operator_number))
            json_array_append_new(list, token_to_json(call, &rows[i]));
    call->answer = json_pack("{s:o}", "tokens", list);
    return code;
}

/* By its id, of one operator or (0) of anybody. It proves nothing from the next call on. */
static enum gh_error_code delete_token(struct call *call, int64_t operator_number,
                                       struct gh_slice id)
{
    struct gh_token_row *rows;
    size_t count = 0;
    char text[GH_SESSION_ID_MAX];
    enum gh_error_code code =
        gh_store_token_list(call->api->services.store, call->arena, &rows, &count, &call->error);
    for (size_t i = 0; code == GH_OK && i < count; i++) {
        if ((operator_number != 0 && rows[i].operator_number != operator_number) ||
            !gh_slice_equal(gh_slice_text(gh_session_id(rows[i].hash, text)), id))
            continue;
        code = gh_store_token_delete(call->api->services.store, rows[i].hash, &call->error);
        if (code == GH_OK)
            account_note(call, "TOKEN_REVOKED", id);
        return code;
    }
    return code == GH_OK ? call_fail(call, GH_ERROR_NOT_FOUND, "there is no such token") : code;
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

/* The names that a token is limited to, as it keeps them. */
static enum gh_error_code read_permissions(struct call *call, struct gh_slice *out)
{
    json_t *list = NULL, *each;
    size_t i;
    struct gh_buffer names;
    enum gh_permission known;
    if (!gh_json_get_array(call->body, "permissions", 0, &list, &call->error))
        return call->error.code;
    enum gh_error_code code = GH_OK;
    gh_buffer_init(&names, PERMISSIONS_BYTES_MAX);
    json_array_foreach(list, i, each)
    {
        struct gh_slice name = gh_json_slice(each);
        if (!gh_permission_find(name, &known)) {
            code = call_fail(call, GH_ERROR_INVALID, "permissions: there is none \"%.*s\"",
                             GH_PRINT(gh_slice_sub(name, 0, 64)));
            break;
        }
        gh_buffer_print(&names, "%s%.*s", names.size > 0 ? " " : "", GH_PRINT(name));
    }
    if (code == GH_OK && (names.overflow || (list != NULL && names.size == 0) ||
                          !gh_arena_copy(call->arena, gh_buffer_slice(&names), out)))
        code = call_fail(call, GH_ERROR_INVALID, "permissions: too many, or none");
    gh_buffer_deinit(&names);
    return code;
}

/* {label?, tenant?, ttl_s?, permissions?}: what every token may be given. */
static enum gh_error_code read_grant(struct call *call, struct gh_token_grant *grant,
                                     struct gh_tenant *tenant)
{
    struct gh_slice tenant_name = {0};
    if (!gh_json_get_text(call->body, "label", 0, &grant->label, &call->error) ||
        !gh_json_get_text(call->body, "tenant", 0, &tenant_name, &call->error) ||
        !gh_json_get_i64(call->body, "ttl_s", 0, &grant->ttl_s, &call->error))
        return call->error.code;
    if (grant->label.size > LABEL_MAX)
        return call_fail(call, GH_ERROR_RANGE, "label has at most %d bytes", LABEL_MAX);
    if (grant->ttl_s < 1 || grant->ttl_s > GH_TOKEN_TTL_S_MAX)
        return call_fail(call, GH_ERROR_RANGE, "ttl_s is from 1 to %d", GH_TOKEN_TTL_S_MAX);
    if (tenant_name.size > 0) {
        enum gh_error_code found = gh_directory_tenant_find(
            call->api->services.directory, tenant_name, call->arena, tenant, &call->error);
        if (found != GH_OK)
            return found;
        grant->tenant = tenant->number;
    }
    return read_permissions(call, &grant->permissions);
}

/* The token's text, shown this once. */
static enum gh_error_code mint(struct call *call, const struct gh_token_grant *grant)
{
    char text[GH_TOKEN_TEXT_MAX];
    enum gh_error_code code =
        gh_token_mint(call->api->services.store, grant, call->now_ms, text, &call->error);
    if (code == GH_OK) {
        call->status = 201;
        call->answer = json_pack("{s:s, s:o}", "token", text, "expires_at",
                                 json_time(call->now_ms + grant->ttl_s * 1000));
    }
    gh_secret_wipe(text, sizeof text);
    return code;
}

/* {role, tenant?, ttl_s?, member?, label?, permissions?} */
enum gh_error_code api_token_create(struct call *call)
{
    static const char *const keys[] = {"role", "tenant", "ttl_s", "member", "label", "permissions"};
    struct gh_token_grant grant = {.ttl_s = TTL_DEFAULT_S};
    struct gh_tenant tenant = {0};
    if (!gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_text(call->body, "role", 0, &grant.role, &call->error) ||
        !gh_json_get_text(call->body, "member", 0, &grant.member, &call->error))
        return call->error.code;
    if (grant.role.size == 0 && grant.member.size == 0)
        return call_fail(call, GH_ERROR_INVALID,
                         "a token needs a role, or a member that bindings name");
    enum gh_error_code code = read_grant(call, &grant, &tenant);
    if (code == GH_OK)
        code = check_grant(call, &grant, &tenant);
    return code == GH_OK ? mint(call, &grant) : code;
}

enum gh_error_code api_token_list(struct call *call)
{
    return list_tokens(call, 0);
}

enum gh_error_code api_token_delete(struct call *call)
{
    return delete_token(call, 0, call->captures[0]);
}

/* --- of operators */

/* A token with the operator's role of the moment, in his tenant, limited further at will. */
static enum gh_error_code create_for(struct call *call, const struct gh_operator_row *owner)
{
    static const char *const keys[] = {"label", "tenant", "ttl_s", "permissions"};
    struct gh_token_grant grant = {.ttl_s = PERSONAL_TTL_DEFAULT_S,
                                   .operator_number = owner->number};
    struct gh_tenant tenant = {0};
    struct gh_token_row *rows;
    size_t count = 0, his = 0;
    if (!gh_json_only(call->body, keys, GH_COUNT(keys), &call->error))
        return call->error.code;
    enum gh_error_code code = read_grant(call, &grant, &tenant);
    if (code == GH_OK && owner->tenant != 0 && grant.tenant != 0 && grant.tenant != owner->tenant)
        return call_fail(call, GH_ERROR_DENIED, "the operator belongs to another tenant");
    if (code == GH_OK)
        code = gh_store_token_list(call->api->services.store, call->arena, &rows, &count,
                                   &call->error);
    if (code != GH_OK)
        return code;
    for (size_t i = 0; i < count; i++)
        his += rows[i].operator_number == owner->number;
    if (his >= PERSONAL_MAX)
        return call_fail(call, GH_ERROR_LIMIT, "an operator has at most %d tokens", PERSONAL_MAX);
    code = mint(call, &grant);
    if (code == GH_OK)
        account_note(call, "TOKEN_MADE", owner->name);
    return code;
}

static enum gh_error_code find_owner(struct call *call, struct gh_slice name,
                                     struct gh_operator_row *out)
{
    return gh_store_operator_find(call->api->services.store, name, call->arena, out, &call->error);
}

enum gh_error_code api_account_tokens(struct call *call)
{
    return list_tokens(call, call->session.row.operator_number);
}

enum gh_error_code api_account_token_create(struct call *call)
{
    struct gh_operator_row owner;
    enum gh_error_code code = find_owner(call, call->session.row.operator_name, &owner);
    return code == GH_OK ? create_for(call, &owner) : code;
}

enum gh_error_code api_account_token_delete(struct call *call)
{
    return delete_token(call, call->session.row.operator_number, call->captures[0]);
}

/* Whoever holds it is that operator, as far as his role goes: it takes all rights of one. */
enum gh_error_code api_operator_token_create(struct call *call)
{
    struct gh_operator_row owner;
    if (account_administrates(call) != GH_OK)
        return call->error.code;
    enum gh_error_code code = find_owner(call, call->captures[0], &owner);
    return code == GH_OK ? create_for(call, &owner) : code;
}
