/* Custom roles: of a tenant, and of the house for all tenants. */
#include "api/call_internal.h"
#include "observe/trail.h"

enum { PERMISSIONS_BYTES_MAX = 8 * 1024 };

static struct gh_slice name_of(const struct call *call)
{
    return call->captures[call->tenant.number != 0 ? 1 : 0];
}

static void note_change(struct call *call, const char *what)
{
    char *detail =
        gh_arena_print(call->arena, "%.*s: %s%.*s", GH_PRINT(call->caller.name),
                       call->tenant.number != 0 ? "custom/" : "house/", GH_PRINT(name_of(call)));
    gh_trail_note(call->api->services.trail,
                  &(struct gh_trail_entry){.at_ms = call->now_ms,
                                           .tenant = call->tenant.name,
                                           .kind = GH_TRAIL_OPERATOR,
                                           .reason = gh_slice_text(what),
                                           .detail = gh_slice_text(detail),
                                           .address = gh_slice_text(call->request->peer)});
}

static json_t *permissions_to_json(struct gh_slice list)
{
    json_t *array = json_array();
    while (list.size > 0)
        json_array_append_new(array, json_slice(gh_slice_split(&list, ' ')));
    return array;
}

static json_t *custom_to_json(const struct gh_custom_role *role)
{
    char name[GH_ROLE_NAME_MAX];
    gh_role_print(role, name);
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "name", name, "of",
                     role->tenant != 0 ? "tenant" : "house", "title", json_slice(role->title),
                     "permissions", permissions_to_json(role->permissions), "etag",
                     json_slice(role->etag), "created_at", json_time(role->created_at_ms),
                     "updated_at", json_time(role->updated_at_ms));
}

static json_t *built_in_to_json(enum gh_role role)
{
    json_t *permissions = json_array();
    for (size_t i = 0; i < GH_PERMISSION_COUNT; i++)
        if (gh_role_grants(role, (enum gh_permission)i))
            json_array_append_new(permissions,
                                  json_string(gh_permission_name((enum gh_permission)i)));
    return json_pack("{s:s, s:s, s:s, s:o}", "name", gh_role_name(role), "of", "gatehouse", "title",
                     "", "permissions", permissions);
}

/* Whatever may be given in the tenant (or on the server): its own, the house's, and those that are
 * always there. */
enum gh_error_code api_role_list(struct call *call)
{
    struct gh_policy_roles roles;
    enum gh_error_code code = call_roles(call, call->tenant.number, &roles);
    if (code != GH_OK)
        return code;
    json_t *list = json_array();
    for (size_t i = 0; i < roles.count; i++)
        json_array_append_new(list, custom_to_json(&roles.items[i]));
    for (size_t i = 0; i < GH_ROLE_COUNT; i++)
        json_array_append_new(list, built_in_to_json((enum gh_role)i));
    call->answer = json_pack("{s:o}", "roles", list);
    return GH_OK;
}

enum gh_error_code api_role_get(struct call *call)
{
    struct gh_custom_role role;
    enum gh_error_code code =
        gh_directory_role_get(call->api->services.directory, call->tenant.number, name_of(call),
                              call->arena, &role, &call->error);
    if (code == GH_OK)
        call->answer = custom_to_json(&role);
    return code;
}

/* The names, each once, into `out`. */
static enum gh_error_code read_permissions(struct call *call, const json_t *list,
                                           struct gh_buffer *out)
{
    bool seen[GH_PERMISSION_COUNT] = {false};
    size_t i;
    json_t *each;
    json_array_foreach(list, i, each)
    {
        enum gh_permission permission;
        if (!json_is_string(each) || !gh_permission_find(gh_json_slice(each), &permission))
            return call_fail(call, GH_ERROR_INVALID, "permissions: there is none \"%.*s\"",
                             GH_PRINT(gh_slice_sub(gh_json_slice(each), 0, 64)));
        /* Its face does not ask whether the giver has what he gives. */
        if (permission == GH_PERMISSION_REGISTRIES_SET_IAM_POLICY)
            return call_fail(call, GH_ERROR_INVALID,
                             "permissions: registries.setIamPolicy is for the roles of Google's "
                             "face; bindings.set is its like");
        if (!seen[permission])
            gh_buffer_print(out, "%s%s", out->size > 0 ? " " : "", gh_permission_name(permission));
        seen[permission] = true;
    }
    return out->overflow ? call_fail(call, GH_ERROR_MEMORY, "permissions") : GH_OK;
}

/* Nobody makes a role of more than he has: it holds for those who have it already, and he may be
 * one of them. */
static enum gh_error_code check_covered(struct call *call, const struct gh_custom_role *role)
{
    char name[GH_ROLE_NAME_MAX];
    struct gh_policy_scope scope;
    enum gh_error_code code = call_scope(call, &call->tenant, &scope);
    if (code != GH_OK)
        return code;
    gh_role_print(role, name);
    for (size_t i = 0; i < GH_PERMISSION_COUNT; i++) {
        enum gh_permission permission = (enum gh_permission)i;
        const struct gh_policy_roles only = {role, 1};
        if (gh_role_has(&only, gh_slice_text(name), permission) &&
            !gh_policy_may(&call->caller, permission, &scope, NULL))
            return call_fail(call, GH_ERROR_DENIED,
                             "the role would have %s, which its maker has not",
                             gh_permission_name(permission));
    }
    return GH_OK;
}

static enum gh_error_code put(struct call *call, struct gh_custom_role *role, struct gh_slice etag,
                              const json_t *permissions)
{
    struct gh_buffer names;
    bool made;
    gh_buffer_init(&names, PERMISSIONS_BYTES_MAX);
    enum gh_error_code code = read_permissions(call, permissions, &names);
    role->permissions = gh_buffer_slice(&names);
    if (code == GH_OK)
        code = check_covered(call, role);
    if (code == GH_OK)
        code =
            gh_directory_role_put(call->api->services.directory, role, etag, &made, &call->error);
    gh_buffer_deinit(&names);
    if (code == GH_OK && made)
        call->status = 201;
    return code;
}

/* {"permissions": […], "title"?, "etag"?}: creates or replaces; holds at once for whoever has it.
 */
enum gh_error_code api_role_put(struct call *call)
{
    static const char *const keys[] = {"permissions", "title", "etag"};
    struct gh_custom_role role = {.tenant = call->tenant.number, .name = name_of(call)};
    struct gh_slice etag = {0};
    json_t *permissions = NULL;
    if (!gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_array(call->body, "permissions", GH_JSON_REQUIRED, &permissions,
                           &call->error) ||
        !gh_json_get_text(call->body, "title", 0, &role.title, &call->error) ||
        !gh_json_get_text(call->body, "etag", 0, &etag, &call->error))
        return call->error.code;
    enum gh_error_code code = put(call, &role, etag, permissions);
    if (code != GH_OK)
        return code;
    note_change(call, "ROLE_PUT");
    return api_role_get(call);
}

enum gh_error_code api_role_delete(struct call *call)
{
    enum gh_error_code code = gh_directory_role_delete(
        call->api->services.directory, call->tenant.number, name_of(call), &call->error);
    if (code == GH_OK)
        note_change(call, "ROLE_DELETED");
    return code;
}
