/* Custom roles, and the bindings of groups and devices. */
#include "store/sqlite/sqlite_internal.h"
#include <stdio.h>

enum {
    ROLE_COUNT,
    ROLE_FIND,
    ROLE_INSERT,
    ROLE_REPLACE,
    ROLE_LIST,
    ROLE_DELETE,
    ROLE_BOUND,
    GRANT_OWNED_GROUP,
    GRANT_OWNED_DEVICE,
    GRANT_GET,
    GRANT_CLEAR,
    GRANT_SET,
    GRANTS_OF_DEVICE,
    HOUSE_GET,
    HOUSE_SET,
    ROLES_MISSING,
    STATEMENTS
};

/* ROLE_BOUND: ?1 is the tenant, 0 for the house, whose roles may be given anywhere; ?2 what stands
 * in a policy that names the role, ?3 its name as a token has it, ?4 the time. */
static const char *const sql[STATEMENTS] = {
    [ROLE_COUNT] = "SELECT count(*) FROM roles WHERE coalesce(tenant, 0) = ?1",
    [ROLE_FIND] = "SELECT number, etag FROM roles WHERE coalesce(tenant, 0) = ?1 AND name = ?2",
    [ROLE_INSERT] =
        "INSERT INTO roles(tenant, name, title, permissions, etag, created_at_ms, updated_at_ms) "
        "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?6)",
    [ROLE_REPLACE] = "UPDATE roles SET title = ?2, permissions = ?3, etag = ?4, updated_at_ms = ?5 "
                     "WHERE number = ?1",
    [ROLE_LIST] =
        "SELECT number, coalesce(tenant, 0), name, title, permissions, etag, created_at_ms, "
        "updated_at_ms FROM roles WHERE coalesce(tenant, 0) IN (0, ?1) "
        "ORDER BY coalesce(tenant, 0) DESC, name",
    [ROLE_DELETE] = "DELETE FROM roles WHERE number = ?1",
    [ROLE_BOUND] =
        "SELECT EXISTS(SELECT 1 FROM tenants WHERE (?1 = 0 OR number = ?1) "
        "AND instr(policy, ?2) > 0) "
        "OR EXISTS(SELECT 1 FROM registries WHERE (?1 = 0 OR tenant = ?1) "
        "AND instr(policy, ?2) > 0) "
        "OR EXISTS(SELECT 1 FROM grants WHERE (?1 = 0 OR tenant = ?1) AND instr(policy, ?2) > 0) "
        "OR EXISTS(SELECT 1 FROM house WHERE ?1 = 0 AND instr(policy, ?2) > 0), "
        "EXISTS(SELECT 1 FROM tokens WHERE (?1 = 0 OR tenant = ?1) AND role = ?3 "
        "AND expires_at_ms > ?4) "
        "OR EXISTS(SELECT 1 FROM operators WHERE (?1 = 0 OR tenant = ?1) AND role = ?3)",
    [GRANT_OWNED_GROUP] = "SELECT 1 FROM device_groups WHERE number = ?1 AND tenant = ?2",
    [GRANT_OWNED_DEVICE] = "SELECT 1 FROM devices WHERE number = ?1 AND tenant = ?2",
    [GRANT_GET] = "SELECT policy, etag FROM grants WHERE device_group IS ?1 AND device IS ?2",
    [GRANT_CLEAR] = "DELETE FROM grants WHERE device_group IS ?1 AND device IS ?2",
    [GRANT_SET] = "INSERT INTO grants(device_group, device, tenant, policy, etag) "
                  "VALUES(?1, ?2, ?3, ?4, ?5)",
    [GRANTS_OF_DEVICE] =
        "SELECT t.tenant, t.device_group, 0, g.name, t.policy, t.etag "
        "FROM device_group_members m JOIN grants t ON t.device_group = m.device_group "
        "JOIN device_groups g ON g.number = m.device_group WHERE m.device = ?1 "
        "UNION ALL SELECT tenant, 0, device, '', policy, etag FROM grants WHERE device = ?1",
    [HOUSE_GET] = "SELECT policy, etag FROM house WHERE one = 1",
    [HOUSE_SET] = "UPDATE house SET policy = ?1, etag = ?2 WHERE one = 1",
    [ROLES_MISSING] =
        "SELECT role FROM (SELECT json_extract(value, '$.role') AS role "
        "FROM json_each(?1, '$.bindings')) WHERE "
        "(role LIKE 'house/%' AND NOT EXISTS(SELECT 1 FROM roles r WHERE coalesce(r.tenant, 0) = 0 "
        "AND r.name = substr(role, 7))) OR "
        "(role LIKE 'custom/%' AND (?2 = 0 OR NOT EXISTS(SELECT 1 FROM roles r "
        "WHERE coalesce(r.tenant, 0) = ?2 AND r.name = substr(role, 8)))) LIMIT 1",
};

enum gh_error_code gh_roles_check(struct gh_link *link, int64_t tenant, struct gh_slice policy,
                                  struct gh_error *error)
{
    if (policy.size == 0)
        return GH_OK;
    struct gh_sql q = gh_sql_open(link, sql[ROLES_MISSING]);
    gh_sql_put_text(&q, policy);
    gh_sql_put_int(&q, tenant);
    bool missing = gh_sql_next(&q);
    enum gh_error_code code = gh_sql_close(&q, error);
    return code == GH_OK && missing
               ? gh_error_set(error, GH_ERROR_CONFLICT, "a role was deleted in between")
               : code;
}

/* --- roles --- */

/* `*number` is 0 without one of that name; `*same`: `etag_before` is its etag, or says nothing. */
static enum gh_error_code find(struct gh_link *link, int64_t tenant, struct gh_slice name,
                               struct gh_slice etag_before, int64_t *number, bool *same,
                               struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[ROLE_FIND]);
    gh_sql_put_int(&q, tenant);
    gh_sql_put_text(&q, name);
    *number = gh_sql_next(&q) ? gh_sql_int(&q) : 0;
    *same =
        etag_before.size == 0 || (*number != 0 && gh_slice_equal(gh_sql_borrow(&q), etag_before));
    return gh_sql_close(&q, error);
}

static enum gh_error_code insert(struct gh_link *link, const struct gh_custom_role *row,
                                 size_t roles_max, struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[ROLE_COUNT]);
    gh_sql_put_int(&q, row->tenant);
    int64_t count = gh_sql_next(&q) ? gh_sql_int(&q) : 0;
    enum gh_error_code code = gh_sql_close(&q, error);
    if (code == GH_OK && count >= (int64_t)roles_max)
        code = gh_error_set(error, GH_ERROR_LIMIT, "there are at most %zu custom roles", roles_max);
    if (code != GH_OK)
        return code;
    q = gh_sql_open(link, sql[ROLE_INSERT]);
    gh_sql_put_reference(&q, row->tenant);
    gh_sql_put_text(&q, row->name);
    gh_sql_put_text(&q, row->title);
    gh_sql_put_text(&q, row->permissions);
    gh_sql_put_text(&q, row->etag);
    gh_sql_put_int(&q, row->updated_at_ms);
    code = gh_sql_run(&q, NULL, error);
    return code == GH_ERROR_PRECONDITION
               ? gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such tenant")
               : code;
}

static enum gh_error_code put(struct gh_link *link, const struct gh_custom_role *row,
                              struct gh_slice etag_before, size_t roles_max, bool *made,
                              struct gh_error *error)
{
    int64_t number;
    bool same;
    enum gh_error_code code =
        find(link, row->tenant, row->name, etag_before, &number, &same, error);
    if (code != GH_OK)
        return code;
    if (!same)
        return gh_error_set(error, GH_ERROR_CONFLICT, "the role was changed in between");
    *made = number == 0;
    if (*made)
        return insert(link, row, roles_max, error);
    struct gh_sql q = gh_sql_open(link, sql[ROLE_REPLACE]);
    gh_sql_put_int(&q, number);
    gh_sql_put_text(&q, row->title);
    gh_sql_put_text(&q, row->permissions);
    gh_sql_put_text(&q, row->etag);
    gh_sql_put_int(&q, row->updated_at_ms);
    return gh_sql_run(&q, NULL, error);
}

enum gh_error_code gh_store_role_put(struct gh_store *store, const struct gh_custom_role *row,
                                     struct gh_slice etag_before, size_t roles_max, bool *made,
                                     struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    return code == GH_OK
               ? gh_write_end(link, put(link, row, etag_before, roles_max, made, error), error)
               : code;
}

enum gh_error_code gh_store_role_list(struct gh_store *store, int64_t tenant,
                                      struct gh_arena *arena, struct gh_custom_role **out,
                                      size_t *count, struct gh_error *error)
{
    struct gh_rows rows = {.arena = arena, .item_size = sizeof **out};
    struct gh_custom_role *row;
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    *out = NULL;
    *count = 0;
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[ROLE_LIST]);
    gh_sql_put_int(&q, tenant);
    while (gh_sql_next(&q) && (row = gh_rows_add(&rows, &q)) != NULL) {
        row->number = gh_sql_int(&q);
        row->tenant = gh_sql_int(&q);
        row->name = gh_sql_text(&q, arena);
        row->title = gh_sql_text(&q, arena);
        row->permissions = gh_sql_text(&q, arena);
        row->etag = gh_sql_text(&q, arena);
        row->created_at_ms = gh_sql_int(&q);
        row->updated_at_ms = gh_sql_int(&q);
    }
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    *out = rows.items;
    *count = rows.count;
    return code;
}

/* The policies are JSON as gh_json_write writes it, and in a text of it a quote has a backslash
 * before it: what is looked for stands nowhere but in a binding. */
static enum gh_error_code check_bound(struct gh_link *link, int64_t tenant, struct gh_slice name,
                                      int64_t now_ms, struct gh_error *error)
{
    char needle[300], spelled[256];
    bool bound = false, held = false;
    snprintf(spelled, sizeof spelled, "%s%.*s", tenant == 0 ? "house/" : "custom/", GH_PRINT(name));
    snprintf(needle, sizeof needle, "\"role\":\"%s\"", spelled);
    struct gh_sql q = gh_sql_open(link, sql[ROLE_BOUND]);
    gh_sql_put_int(&q, tenant);
    gh_sql_put_text(&q, gh_slice_text(needle));
    gh_sql_put_text(&q, gh_slice_text(spelled));
    gh_sql_put_int(&q, now_ms);
    if (gh_sql_next(&q)) {
        bound = gh_sql_bool(&q);
        held = gh_sql_bool(&q);
    }
    enum gh_error_code code = gh_sql_close(&q, error);
    if (code == GH_OK && (bound || held))
        code = gh_error_set(error, GH_ERROR_PRECONDITION, "the role %s is %s", spelled,
                            bound ? "bound; take the bindings off first"
                                  : "that of a token or an operator");
    return code;
}

static enum gh_error_code delete_role(struct gh_link *link, int64_t tenant, struct gh_slice name,
                                      int64_t now_ms, struct gh_error *error)
{
    int64_t number;
    bool same;
    enum gh_error_code code = find(link, tenant, name, (struct gh_slice){0}, &number, &same, error);
    if (code == GH_OK && number == 0)
        return gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no role %.*s", GH_PRINT(name));
    if (code == GH_OK)
        code = check_bound(link, tenant, name, now_ms, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[ROLE_DELETE]);
    gh_sql_put_int(&q, number);
    return gh_sql_run(&q, NULL, error);
}

enum gh_error_code gh_store_role_delete(struct gh_store *store, int64_t tenant,
                                        struct gh_slice name, int64_t now_ms,
                                        struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    return code == GH_OK ? gh_write_end(link, delete_role(link, tenant, name, now_ms, error), error)
                         : code;
}

/* --- bindings of groups and devices --- */

static void put_place(struct gh_sql *q, const struct gh_grant_row *row)
{
    gh_sql_put_reference(q, row->group);
    gh_sql_put_reference(q, (int64_t)row->device);
}

static enum gh_error_code set(struct gh_link *link, const struct gh_grant_row *row,
                              struct gh_slice etag_before, struct gh_error *error)
{
    struct gh_sql q =
        gh_sql_open(link, sql[row->device != 0 ? GRANT_OWNED_DEVICE : GRANT_OWNED_GROUP]);
    gh_sql_put_int(&q, row->device != 0 ? (int64_t)row->device : row->group);
    gh_sql_put_int(&q, row->tenant);
    bool owned = gh_sql_next(&q), same = true;
    enum gh_error_code code = gh_sql_close(&q, error);
    if (code == GH_OK && !owned)
        return gh_error_set(error, GH_ERROR_NOT_FOUND, "the %s is gone",
                            row->device != 0 ? "device" : "group");
    if (code == GH_OK) {
        struct gh_slice stored = {0};
        q = gh_sql_open(link, sql[GRANT_GET]);
        put_place(&q, row);
        if (gh_sql_next(&q)) {
            gh_sql_skip(&q, 1);
            stored = gh_sql_borrow(&q);
        }
        same = gh_sql_etag_same(stored, etag_before);
        code = gh_sql_close(&q, error);
    }
    if (code != GH_OK)
        return code;
    if (!same)
        return gh_error_set(error, GH_ERROR_CONFLICT, "the policy was changed in between");
    code = gh_roles_check(link, row->tenant, row->policy, error);
    if (code != GH_OK)
        return code;
    q = gh_sql_open(link, sql[GRANT_CLEAR]);
    put_place(&q, row);
    code = gh_sql_run(&q, NULL, error);
    if (code != GH_OK || row->policy.size == 0)
        return code;
    q = gh_sql_open(link, sql[GRANT_SET]);
    put_place(&q, row);
    gh_sql_put_int(&q, row->tenant);
    gh_sql_put_text(&q, row->policy);
    gh_sql_put_text(&q, row->etag);
    return gh_sql_run(&q, NULL, error);
}

enum gh_error_code gh_store_grant_set(struct gh_store *store, const struct gh_grant_row *row,
                                      struct gh_slice etag_before, struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    return code == GH_OK ? gh_write_end(link, set(link, row, etag_before, error), error) : code;
}

enum gh_error_code gh_store_grant_get(struct gh_store *store, struct gh_grant_row *row,
                                      struct gh_arena *arena, struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    row->policy = row->etag = (struct gh_slice){0};
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[GRANT_GET]);
    put_place(&q, row);
    if (gh_sql_next(&q)) {
        row->policy = gh_sql_text(&q, arena);
        row->etag = gh_sql_text(&q, arena);
    }
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    return code;
}

enum gh_error_code gh_store_grants_of_device(struct gh_store *store, uint64_t device,
                                             struct gh_arena *arena, struct gh_grant_row **out,
                                             size_t *count, struct gh_error *error)
{
    struct gh_rows rows = {.arena = arena, .item_size = sizeof **out};
    struct gh_grant_row *row;
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    *out = NULL;
    *count = 0;
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[GRANTS_OF_DEVICE]);
    gh_sql_put_int(&q, (int64_t)device);
    while (gh_sql_next(&q) && (row = gh_rows_add(&rows, &q)) != NULL) {
        row->tenant = gh_sql_int(&q);
        row->group = gh_sql_int(&q);
        row->device = (uint64_t)gh_sql_int(&q);
        row->group_name = gh_sql_text(&q, arena);
        row->policy = gh_sql_text(&q, arena);
        row->etag = gh_sql_text(&q, arena);
    }
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    *out = rows.items;
    *count = rows.count;
    return code;
}

/* --- bindings of the house */

static enum gh_error_code read_house(struct gh_link *link, struct gh_arena *arena,
                                     struct gh_slice *policy, struct gh_slice *etag,
                                     struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[HOUSE_GET]);
    *policy = *etag = (struct gh_slice){0};
    if (gh_sql_next(&q)) {
        *policy = gh_sql_text(&q, arena);
        *etag = gh_sql_text(&q, arena);
    }
    return gh_sql_close(&q, error);
}

enum gh_error_code gh_store_house_policy_get(struct gh_store *store, struct gh_arena *arena,
                                             struct gh_slice *policy, struct gh_slice *etag,
                                             struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    code = read_house(link, arena, policy, etag, error);
    gh_read_end(link);
    return code;
}

static enum gh_error_code set_house(struct gh_link *link, struct gh_slice policy,
                                    struct gh_slice etag, struct gh_slice etag_before,
                                    struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[HOUSE_GET]);
    bool found = gh_sql_next(&q);
    gh_sql_skip(&q, 1);
    bool same = found && gh_sql_etag_same(gh_sql_borrow(&q), etag_before);
    enum gh_error_code code = gh_sql_close(&q, error);
    if (code == GH_OK && !same)
        code = gh_error_set(error, GH_ERROR_CONFLICT, "the policy was changed in between");
    if (code == GH_OK)
        code = gh_roles_check(link, 0, policy, error);
    if (code != GH_OK)
        return code;
    q = gh_sql_open(link, sql[HOUSE_SET]);
    gh_sql_put_text(&q, policy);
    gh_sql_put_text(&q, etag);
    return gh_sql_run(&q, NULL, error);
}

enum gh_error_code gh_store_house_policy_set(struct gh_store *store, struct gh_slice policy,
                                             struct gh_slice etag, struct gh_slice etag_before,
                                             struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    return code == GH_OK
               ? gh_write_end(link, set_house(link, policy, etag, etag_before, error), error)
               : code;
}
