/* Marks of secrets that were stored without one. */
#include "store/sqlite/sqlite_internal.h"

enum { UNMARKED, MARK };

static const char *const sql[] = {
    [UNMARKED] = "SELECT c.device, d.tenant, c.id, c.pem FROM credentials c "
                 "JOIN devices d ON d.number = c.device "
                 "WHERE c.format = 6 AND c.mark = '' AND (c.device, c.id) > (?1, ?2) "
                 "ORDER BY c.device, c.id LIMIT ?3",
    [MARK] = "UPDATE credentials SET mark = ?3 WHERE device = ?1 AND id = ?2 AND mark = ''",
};
static_assert(GH_CREDENTIAL_SYMMETRIC == 6, "the format in UNMARKED and in its index");

enum gh_error_code gh_store_credential_unmarked(struct gh_store *store,
                                                const struct gh_credential_mark *after,
                                                size_t limit, struct gh_arena *arena,
                                                struct gh_credential_mark **out, size_t *count,
                                                struct gh_error *error)
{
    struct gh_rows rows = {.arena = arena, .item_size = sizeof **out};
    struct gh_credential_mark *row;
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[UNMARKED]);
    gh_sql_put_int(&q, (int64_t)after->device);
    gh_sql_put_text(&q, after->credential);
    gh_sql_put_int(&q, (int64_t)limit);
    while (gh_sql_next(&q) && (row = gh_rows_add(&rows, &q)) != NULL) {
        row->device = (uint64_t)gh_sql_int(&q);
        row->tenant = gh_sql_int(&q);
        row->credential = gh_sql_text(&q, arena);
        row->sealed = gh_sql_text(&q, arena);
    }
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    *out = rows.items;
    *count = rows.count;
    return code;
}

enum gh_error_code gh_store_credential_marks_put(struct gh_store *store,
                                                 const struct gh_credential_mark *rows,
                                                 size_t count, struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    for (size_t i = 0; code == GH_OK && i < count; i++) {
        if (rows[i].mark.size == 0)
            continue;
        struct gh_sql q = gh_sql_open(link, sql[MARK]);
        gh_sql_put_int(&q, (int64_t)rows[i].device);
        gh_sql_put_text(&q, rows[i].credential);
        gh_sql_put_text(&q, rows[i].mark);
        code = gh_sql_run(&q, NULL, error);
    }
    return gh_write_end(link, code, error);
}
