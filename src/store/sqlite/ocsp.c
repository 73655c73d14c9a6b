/* What the responders of CAs said. */
#include "store/sqlite/sqlite_internal.h"
#include "store/trust.h"

enum { OCSP_FIND, OCSP_PUT, OCSP_DELETE, OCSP_DUE };

static const char *const sql[] = {
    [OCSP_FIND] = "SELECT good_until_ms, due_ms, not_after_ms FROM ocsp_answers "
                  "WHERE anchor = ?1 AND serial = ?2",
    [OCSP_PUT] =
        "INSERT OR REPLACE INTO ocsp_answers(anchor, serial, good_until_ms, due_ms, not_after_ms) "
        "VALUES(?1, ?2, ?3, ?4, ?5)",
    [OCSP_DELETE] = "DELETE FROM ocsp_answers WHERE anchor = ?1 AND serial = ?2",
    [OCSP_DUE] = "SELECT o.anchor, o.serial, o.good_until_ms, o.due_ms, o.not_after_ms, "
                 "substr(a.fingerprint, 1, 16), a.pem, a.ocsp_url FROM ocsp_answers o "
                 "JOIN anchors a ON a.number = o.anchor WHERE o.due_ms <= ?1 AND a.state = 1 "
                 "ORDER BY o.due_ms LIMIT ?2",
};
static_assert(GH_ANCHOR_ACTIVE == 1, "the state in OCSP_DUE");

enum gh_error_code gh_store_ocsp_find(struct gh_store *store, int64_t anchor,
                                      struct gh_slice serial, struct gh_ocsp_row *out,
                                      struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[OCSP_FIND]);
    gh_sql_put_int(&q, anchor);
    gh_sql_put_text(&q, serial);
    bool found = gh_sql_next(&q);
    *out = (struct gh_ocsp_row){.anchor = anchor, .serial = serial};
    if (found) {
        out->good_until_ms = gh_sql_int(&q);
        out->due_ms = gh_sql_int(&q);
        out->not_after_ms = gh_sql_int(&q);
    }
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    return code == GH_OK && !found
               ? gh_error_set(error, GH_ERROR_NOT_FOUND, "nobody was asked about the certificate")
               : code;
}

enum gh_error_code gh_store_ocsp_put(struct gh_store *store, const struct gh_ocsp_row *row,
                                     struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[OCSP_PUT]);
    gh_sql_put_int(&q, row->anchor);
    gh_sql_put_text(&q, row->serial);
    gh_sql_put_int(&q, row->good_until_ms);
    gh_sql_put_int(&q, row->due_ms);
    gh_sql_put_int(&q, row->not_after_ms);
    code = gh_sql_run(&q, NULL, error);
    if (code == GH_ERROR_PRECONDITION)
        code = gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such CA");
    return gh_write_end(link, code, error);
}

enum gh_error_code gh_store_ocsp_delete(struct gh_store *store, int64_t anchor,
                                        struct gh_slice serial, struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[OCSP_DELETE]);
    gh_sql_put_int(&q, anchor);
    gh_sql_put_text(&q, serial);
    return gh_write_end(link, gh_sql_run(&q, NULL, error), error);
}

enum gh_error_code gh_store_ocsp_due(struct gh_store *store, int64_t now_ms, size_t limit,
                                     struct gh_arena *arena, struct gh_ocsp_row **out,
                                     size_t *count, struct gh_error *error)
{
    struct gh_rows rows = {.arena = arena, .item_size = sizeof **out};
    struct gh_ocsp_row *row;
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    *count = 0;
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[OCSP_DUE]);
    gh_sql_put_int(&q, now_ms);
    gh_sql_put_int(&q, (int64_t)limit);
    while (gh_sql_next(&q) && (row = gh_rows_add(&rows, &q)) != NULL) {
        row->anchor = gh_sql_int(&q);
        row->serial = gh_sql_text(&q, arena);
        row->good_until_ms = gh_sql_int(&q);
        row->due_ms = gh_sql_int(&q);
        row->not_after_ms = gh_sql_int(&q);
        row->anchor_id = gh_sql_text(&q, arena);
        row->pem = gh_sql_text(&q, arena);
        row->url = gh_sql_text(&q, arena);
    }
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    *out = rows.items;
    *count = rows.count;
    return code;
}
