/* Documents of tenants, and meta values. */
#include "store/sqlite/sqlite_internal.h"

enum { META_PUT, META_GET, DOCUMENT_PUT, DOCUMENT_GET, DOCUMENT_DELETE, DOCUMENT_LIST };

#define DOCUMENT "SELECT tenant, kind, name, json, updated_at_ms FROM documents "

static const char *const sql[] = {
    [META_PUT] = "INSERT INTO meta(key, value) VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value "
                 "= excluded.value",
    [META_GET] = "SELECT value FROM meta WHERE key = ?1",
    [DOCUMENT_PUT] =
        "INSERT INTO documents(tenant, kind, name, json, updated_at_ms) VALUES(?1, ?2, ?3, ?4, ?5) "
        "ON CONFLICT(kind, tenant, name) DO UPDATE "
        "SET json = excluded.json, updated_at_ms = excluded.updated_at_ms",
    [DOCUMENT_GET] = DOCUMENT "WHERE kind = ?2 AND tenant = ?1 AND name = ?3",
    [DOCUMENT_DELETE] = "DELETE FROM documents WHERE kind = ?2 AND tenant = ?1 AND name = ?3",
    [DOCUMENT_LIST] =
        DOCUMENT "WHERE kind = ?2 AND (?1 = 0 OR tenant = ?1) ORDER BY kind, tenant, name",
};

enum gh_error_code gh_meta_put(struct gh_link *link, struct gh_slice key, struct gh_slice value,
                               struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[META_PUT]);
    gh_sql_put_text(&q, key);
    gh_sql_put_bytes(&q, value);
    return gh_sql_run(&q, NULL, error);
}

enum gh_error_code gh_store_meta_put(struct gh_store *store, struct gh_slice key,
                                     struct gh_slice value, struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    return code == GH_OK ? gh_write_end(link, gh_meta_put(link, key, value, error), error) : code;
}

enum gh_error_code gh_store_meta_get(struct gh_store *store, struct gh_slice key,
                                     struct gh_arena *arena, struct gh_slice *out,
                                     struct gh_error *error)
{
    struct gh_link *link;
    *out = (struct gh_slice){0};
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[META_GET]);
    gh_sql_put_text(&q, key);
    bool found = gh_sql_next(&q);
    if (found)
        *out = gh_sql_text(&q, arena);
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    if (code == GH_OK && !found)
        code = gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no value %.*s", GH_PRINT(key));
    return code;
}

enum gh_error_code gh_store_document_put(struct gh_store *store, const struct gh_document_row *row,
                                         struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[DOCUMENT_PUT]);
    gh_sql_put_int(&q, row->tenant);
    gh_sql_put_text(&q, row->kind);
    gh_sql_put_text(&q, row->name);
    gh_sql_put_text(&q, row->json);
    gh_sql_put_int(&q, row->updated_at_ms);
    code = gh_sql_run(&q, NULL, error);
    if (code == GH_ERROR_PRECONDITION)
        code = gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such tenant");
    return gh_write_end(link, code, error);
}

static void document_read(struct gh_sql *q, struct gh_arena *arena, struct gh_document_row *row)
{
    row->tenant = gh_sql_int(q);
    row->kind = gh_sql_text(q, arena);
    row->name = gh_sql_text(q, arena);
    row->json = gh_sql_text(q, arena);
    row->updated_at_ms = gh_sql_int(q);
}

static enum gh_error_code document_missing(struct gh_slice name, struct gh_error *error)
{
    return gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no document %.*s", GH_PRINT(name));
}

enum gh_error_code gh_store_document_get(struct gh_store *store, int64_t tenant,
                                         struct gh_slice kind, struct gh_slice name,
                                         struct gh_arena *arena, struct gh_document_row *out,
                                         struct gh_error *error)
{
    struct gh_link *link;
    *out = (struct gh_document_row){0};
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[DOCUMENT_GET]);
    gh_sql_put_int(&q, tenant);
    gh_sql_put_text(&q, kind);
    gh_sql_put_text(&q, name);
    bool found = gh_sql_next(&q);
    if (found)
        document_read(&q, arena, out);
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    return code == GH_OK && !found ? document_missing(name, error) : code;
}

enum gh_error_code gh_store_document_delete(struct gh_store *store, int64_t tenant,
                                            struct gh_slice kind, struct gh_slice name,
                                            struct gh_error *error)
{
    struct gh_link *link;
    int64_t changed = 0;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[DOCUMENT_DELETE]);
    gh_sql_put_int(&q, tenant);
    gh_sql_put_text(&q, kind);
    gh_sql_put_text(&q, name);
    code = gh_sql_run(&q, &changed, error);
    if (code == GH_OK && changed == 0)
        code = document_missing(name, error);
    return gh_write_end(link, code, error);
}

enum gh_error_code gh_store_document_list(struct gh_store *store, int64_t tenant,
                                          struct gh_slice kind, struct gh_arena *arena,
                                          struct gh_document_row **out, size_t *count,
                                          struct gh_error *error)
{
    struct gh_rows rows = {.arena = arena, .item_size = sizeof **out};
    struct gh_link *link;
    struct gh_document_row *row;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[DOCUMENT_LIST]);
    gh_sql_put_int(&q, tenant);
    gh_sql_put_text(&q, kind);
    while (gh_sql_next(&q) && (row = gh_rows_add(&rows, &q)) != NULL)
        document_read(&q, arena, row);
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    *out = rows.items;
    *count = rows.count;
    return code;
}
