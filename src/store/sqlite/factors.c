/* Second factors of operators. */
#include "store/sqlite/sqlite_internal.h"

enum { FACTOR_CREATE, FACTOR_LIST, FACTOR_USE, FACTOR_DELETE, FACTOR_CLEAR };

static const char *const sql[] = {
    [FACTOR_CREATE] =
        "INSERT INTO factors(operator, kind, label, confirmed, secret, credential, counter, "
        "created_at_ms, used_at_ms) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [FACTOR_LIST] = "SELECT number, operator, kind, label, confirmed, secret, credential, counter, "
                    "created_at_ms, used_at_ms FROM factors WHERE operator = ?1 ORDER BY number",
    [FACTOR_USE] = "UPDATE factors SET counter = ?2, used_at_ms = max(used_at_ms, ?3), "
                   "confirmed = 1 WHERE number = ?1 AND (counter < ?2 OR (counter = 0 AND ?2 = 0))",
    [FACTOR_DELETE] = "DELETE FROM factors WHERE number = ?2 AND operator = ?1",
    [FACTOR_CLEAR] = "DELETE FROM factors WHERE operator = ?1 AND (?2 = 0 OR kind = ?2)",
};

static enum gh_error_code insert(struct gh_link *link, struct gh_factor_row *row,
                                 struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[FACTOR_CREATE]);
    gh_sql_put_int(&q, row->operator_number);
    gh_sql_put_int(&q, (int64_t)row->kind);
    gh_sql_put_text(&q, row->label);
    gh_sql_put_int(&q, row->confirmed);
    gh_sql_put_bytes(&q, row->secret);
    gh_sql_put_bytes(&q, row->credential);
    gh_sql_put_int(&q, row->counter);
    gh_sql_put_int(&q, row->created_at_ms);
    gh_sql_put_int(&q, row->used_at_ms);
    enum gh_error_code code = gh_sql_run(&q, NULL, error);
    if (code == GH_ERROR_EXISTS)
        code = gh_error_set(error, code, "this security key is registered already");
    if (code == GH_ERROR_PRECONDITION)
        code = gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such operator");
    if (code == GH_OK)
        row->number = sqlite3_last_insert_rowid(link->db);
    return code;
}

enum gh_error_code gh_store_factor_create(struct gh_store *store, struct gh_factor_row *row,
                                          struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    return code == GH_OK ? gh_write_end(link, insert(link, row, error), error) : code;
}

enum gh_error_code gh_store_factor_list(struct gh_store *store, int64_t operator_number,
                                        struct gh_arena *arena, struct gh_factor_row **out,
                                        size_t *count, struct gh_error *error)
{
    struct gh_rows rows = {.arena = arena, .item_size = sizeof **out};
    struct gh_link *link;
    struct gh_factor_row *row;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[FACTOR_LIST]);
    gh_sql_put_int(&q, operator_number);
    while (gh_sql_next(&q) && (row = gh_rows_add(&rows, &q)) != NULL) {
        row->number = gh_sql_int(&q);
        row->operator_number = gh_sql_int(&q);
        row->kind = (enum gh_factor_kind)gh_sql_int(&q);
        row->label = gh_sql_text(&q, arena);
        row->confirmed = gh_sql_bool(&q);
        row->secret = gh_sql_text(&q, arena);
        row->credential = gh_sql_text(&q, arena);
        row->counter = gh_sql_int(&q);
        row->created_at_ms = gh_sql_int(&q);
        row->used_at_ms = gh_sql_int(&q);
    }
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    *out = rows.items;
    *count = rows.count;
    return code;
}

enum gh_error_code gh_store_factor_use(struct gh_store *store, int64_t number, int64_t counter,
                                       int64_t at_ms, struct gh_error *error)
{
    struct gh_link *link;
    int64_t changed = 0;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[FACTOR_USE]);
    gh_sql_put_int(&q, number);
    gh_sql_put_int(&q, counter);
    gh_sql_put_int(&q, at_ms);
    code = gh_sql_run(&q, &changed, error);
    if (code == GH_OK && changed == 0)
        code = gh_error_set(error, GH_ERROR_CONFLICT, "this proof was used already");
    return gh_write_end(link, code, error);
}

enum gh_error_code gh_store_factor_delete(struct gh_store *store, int64_t operator_number,
                                          int64_t number, struct gh_error *error)
{
    struct gh_link *link;
    int64_t changed = 0;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[FACTOR_DELETE]);
    gh_sql_put_int(&q, operator_number);
    gh_sql_put_int(&q, number);
    code = gh_sql_run(&q, &changed, error);
    if (code == GH_OK && changed == 0)
        code = gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such second factor");
    atomic_store(&store->erased, true);
    return gh_write_end(link, code, error);
}

enum gh_error_code gh_store_factor_replace(struct gh_store *store, int64_t operator_number,
                                           int kind, struct gh_factor_row *rows, size_t count,
                                           struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[FACTOR_CLEAR]);
    gh_sql_put_int(&q, operator_number);
    gh_sql_put_int(&q, kind);
    code = gh_sql_run(&q, NULL, error);
    for (size_t i = 0; code == GH_OK && i < count; i++)
        code = insert(link, &rows[i], error);
    atomic_store(&store->erased, true);
    return gh_write_end(link, code, error);
}
