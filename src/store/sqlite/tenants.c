#include "store/sqlite/sqlite_internal.h"

enum {
    TENANT_CREATE,
    TENANT_GET,
    TENANT_FIND,
    TENANT_FIND_GOOGLE,
    TENANT_LIST,
    TENANT_DELETE,
    TENANT_DISABLE,
    TENANT_POLICY_GET,
    TENANT_POLICY_SET,
};

#define COLUMNS                                                                                    \
    "number, name, google_project, azure_hub, aws_account, policy, policy_etag, disabled, "        \
    "created_at_ms"

static const char *const sql[] = {
    [TENANT_CREATE] =
        "INSERT INTO tenants(name, google_project, azure_hub, aws_account, created_at_ms) "
        "VALUES(?1, ?2, ?3, ?4, ?5)",
    [TENANT_GET] = "SELECT " COLUMNS " FROM tenants WHERE number = ?1",
    [TENANT_FIND] = "SELECT " COLUMNS " FROM tenants WHERE name = ?1",
    [TENANT_FIND_GOOGLE] = "SELECT " COLUMNS " FROM tenants WHERE google_project = ?1",
    [TENANT_LIST] = "SELECT " COLUMNS " FROM tenants ORDER BY name",
    [TENANT_DELETE] = "DELETE FROM tenants WHERE number = ?1",
    [TENANT_DISABLE] = "UPDATE tenants SET disabled = ?2 WHERE number = ?1",
    [TENANT_POLICY_GET] = "SELECT policy_etag FROM tenants WHERE number = ?1",
    [TENANT_POLICY_SET] = "UPDATE tenants SET policy = ?2, policy_etag = ?3 WHERE number = ?1",
};

static void row_read(struct gh_sql *q, struct gh_arena *arena, struct gh_tenant *row)
{
    row->number = gh_sql_int(q);
    row->name = gh_sql_text(q, arena);
    row->google_project = gh_sql_text(q, arena);
    row->azure_hub = gh_sql_text(q, arena);
    row->aws_account = gh_sql_text(q, arena);
    row->policy = gh_sql_text(q, arena);
    row->policy_etag = gh_sql_text(q, arena);
    row->disabled = gh_sql_int(q) != 0;
    row->created_at_ms = gh_sql_int(q);
}

enum gh_error_code gh_store_tenant_create(struct gh_store *store, struct gh_tenant *row,
                                          struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[TENANT_CREATE]);
    gh_sql_put_text(&q, row->name);
    gh_sql_put_text(&q, row->google_project);
    gh_sql_put_text(&q, row->azure_hub);
    gh_sql_put_text(&q, row->aws_account);
    gh_sql_put_int(&q, row->created_at_ms);
    code = gh_sql_run(&q, NULL, error);
    if (code == GH_ERROR_EXISTS)
        gh_error_set(
            error, code,
            "tenant %.*s: a tenant has this name already, or one of its names in the dialects",
            GH_PRINT(row->name));
    if (code == GH_OK)
        row->number = sqlite3_last_insert_rowid(link->db);
    return gh_write_end(link, code, error);
}

/* The one row of a statement whose values are bound. */
static enum gh_error_code read_one(struct gh_sql *q, struct gh_arena *arena, struct gh_tenant *out,
                                   struct gh_error *error)
{
    bool found = gh_sql_next(q);
    *out = (struct gh_tenant){0};
    if (found)
        row_read(q, arena, out);
    enum gh_error_code code = gh_sql_close(q, error);
    if (code == GH_OK && !found)
        code = gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such tenant");
    return code;
}

enum gh_error_code gh_store_tenant_get(struct gh_store *store, int64_t number,
                                       struct gh_arena *arena, struct gh_tenant *out,
                                       struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[TENANT_GET]);
    gh_sql_put_int(&q, number);
    code = read_one(&q, arena, out, error);
    gh_read_end(link);
    return code;
}

static enum gh_error_code find(struct gh_store *store, const char *text, struct gh_slice name,
                               struct gh_arena *arena, struct gh_tenant *out,
                               struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, text);
    gh_sql_put_text(&q, name);
    code = read_one(&q, arena, out, error);
    gh_read_end(link);
    return code;
}

enum gh_error_code gh_store_tenant_find(struct gh_store *store, struct gh_slice name,
                                        struct gh_arena *arena, struct gh_tenant *out,
                                        struct gh_error *error)
{
    return find(store, sql[TENANT_FIND], name, arena, out, error);
}

enum gh_error_code gh_store_tenant_find_google(struct gh_store *store, struct gh_slice project,
                                               struct gh_arena *arena, struct gh_tenant *out,
                                               struct gh_error *error)
{
    return find(store, sql[TENANT_FIND_GOOGLE], project, arena, out, error);
}

enum gh_error_code gh_store_tenant_list(struct gh_store *store, struct gh_arena *arena,
                                        struct gh_tenant **out, size_t *count,
                                        struct gh_error *error)
{
    struct gh_rows rows = {.arena = arena, .item_size = sizeof **out};
    struct gh_link *link;
    struct gh_tenant *row;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[TENANT_LIST]);
    while (gh_sql_next(&q) && (row = gh_rows_add(&rows, &q)) != NULL)
        row_read(&q, arena, row);
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    *out = rows.items;
    *count = rows.count;
    return code;
}

enum gh_error_code gh_store_tenant_delete(struct gh_store *store, int64_t number,
                                          struct gh_error *error)
{
    struct gh_link *link;
    int64_t changed = 0;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[TENANT_DELETE]);
    gh_sql_put_int(&q, number);
    code = gh_sql_run(&q, &changed, error);
    if (code == GH_ERROR_PRECONDITION)
        gh_error_set(error, code, "the tenant still has registries, topics or subscriptions");
    else if (code == GH_OK && changed == 0)
        code = gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such tenant");
    atomic_store(&store->erased, true);
    return gh_write_end(link, code, error);
}

enum gh_error_code gh_store_tenant_disable(struct gh_store *store, int64_t number, bool disabled,
                                           struct gh_error *error)
{
    struct gh_link *link;
    int64_t changed = 0;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[TENANT_DISABLE]);
    gh_sql_put_int(&q, number);
    gh_sql_put_int(&q, disabled);
    code = gh_sql_run(&q, &changed, error);
    if (code == GH_OK && changed == 0)
        code = gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such tenant");
    return gh_write_end(link, code, error);
}

/* Compares and replaces. */
static enum gh_error_code policy_set(struct gh_link *link, int64_t number, struct gh_slice policy,
                                     struct gh_slice etag, struct gh_slice etag_before,
                                     struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[TENANT_POLICY_GET]);
    gh_sql_put_int(&q, number);
    bool found = gh_sql_next(&q);
    bool same = found && gh_sql_etag_same(gh_sql_borrow(&q), etag_before);
    enum gh_error_code code = gh_sql_close(&q, error);
    if (code != GH_OK)
        return code;
    if (!found)
        return gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such tenant");
    if (!same)
        return gh_error_set(error, GH_ERROR_CONFLICT, "the policy was changed in between");
    code = gh_roles_check(link, number, policy, error);
    if (code != GH_OK)
        return code;
    q = gh_sql_open(link, sql[TENANT_POLICY_SET]);
    gh_sql_put_int(&q, number);
    gh_sql_put_text(&q, policy);
    gh_sql_put_text(&q, etag);
    return gh_sql_run(&q, NULL, error);
}

enum gh_error_code gh_store_tenant_policy_set(struct gh_store *store, int64_t number,
                                              struct gh_slice policy, struct gh_slice etag,
                                              struct gh_slice etag_before, struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    return gh_write_end(link, policy_set(link, number, policy, etag, etag_before, error), error);
}
