/* Operators' sign-ins. */
#include "store/sqlite/sqlite_internal.h"
#include <assert.h>

enum {
    SIGN_IN_CREATE,
    SIGN_IN_FIND,
    SIGN_IN_LIST,
    SIGN_IN_SEEN,
    SIGN_IN_CHALLENGE,
    SIGN_IN_DELETE,
    SIGN_IN_CLEAR,
};

#define SIGN_IN                                                                                    \
    "SELECT s.hash, s.operator, o.name, o.role, o.tenant, o.disabled, s.created_at_ms, "           \
    "s.seen_at_ms, s.expires_at_ms, s.stage, s.method, s.proved_at_ms, s.address, s.agent, "       \
    "s.challenge FROM sign_ins s JOIN operators o ON o.number = s.operator "

static const char *const sql[] = {
    [SIGN_IN_CREATE] =
        "INSERT INTO sign_ins(hash, operator, created_at_ms, seen_at_ms, expires_at_ms, stage, "
        "method, proved_at_ms, address, agent) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    [SIGN_IN_FIND] = SIGN_IN "WHERE s.hash = ?1",
    [SIGN_IN_LIST] = SIGN_IN "WHERE s.operator = ?1 ORDER BY s.created_at_ms DESC",
    [SIGN_IN_SEEN] = "UPDATE sign_ins SET seen_at_ms = max(seen_at_ms, ?2) WHERE hash = ?1",
    [SIGN_IN_CHALLENGE] = "UPDATE sign_ins SET challenge = ?2 WHERE hash = ?1",
    [SIGN_IN_DELETE] = "DELETE FROM sign_ins WHERE hash = ?1",
    [SIGN_IN_CLEAR] = "DELETE FROM sign_ins WHERE operator = ?1 AND hash <> ?2",
};

static enum gh_error_code unknown(struct gh_error *error)
{
    return gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such sign-in");
}

static enum gh_error_code insert(struct gh_link *link, const struct gh_sign_in_row *row,
                                 struct gh_error *error)
{
    assert(row->hash.size == GH_TOKEN_HASH_BYTES);
    struct gh_sql q = gh_sql_open(link, sql[SIGN_IN_CREATE]);
    gh_sql_put_bytes(&q, row->hash);
    gh_sql_put_int(&q, row->operator_number);
    gh_sql_put_int(&q, row->created_at_ms);
    gh_sql_put_int(&q, row->seen_at_ms);
    gh_sql_put_int(&q, row->expires_at_ms);
    gh_sql_put_int(&q, (int64_t)row->stage);
    gh_sql_put_text(&q, row->method);
    gh_sql_put_int(&q, row->proved_at_ms);
    gh_sql_put_text(&q, row->address);
    gh_sql_put_text(&q, row->agent);
    enum gh_error_code code = gh_sql_run(&q, NULL, error);
    return code == GH_ERROR_PRECONDITION
               ? gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such operator")
               : code;
}

/* A statement about the sign-in of `hash` alone, whose other values are bound already. */
static enum gh_error_code run_on_one(struct gh_sql *q, struct gh_error *error)
{
    int64_t changed = 0;
    enum gh_error_code code = gh_sql_run(q, &changed, error);
    return code == GH_OK && changed == 0 ? unknown(error) : code;
}

static enum gh_error_code remove_one(struct gh_link *link, struct gh_slice hash,
                                     struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[SIGN_IN_DELETE]);
    gh_sql_put_bytes(&q, hash);
    atomic_store(&link->store->erased, true);
    return run_on_one(&q, error);
}

enum gh_error_code gh_store_sign_in_create(struct gh_store *store, const struct gh_sign_in_row *row,
                                           struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    return code == GH_OK ? gh_write_end(link, insert(link, row, error), error) : code;
}

enum gh_error_code gh_store_sign_in_replace(struct gh_store *store, struct gh_slice before,
                                            const struct gh_sign_in_row *row,
                                            struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    code = remove_one(link, before, error);
    if (code == GH_OK)
        code = insert(link, row, error);
    return gh_write_end(link, code, error);
}

static void sign_in_read(struct gh_sql *q, struct gh_arena *arena, struct gh_sign_in_row *row)
{
    row->hash = gh_sql_text(q, arena);
    row->operator_number = gh_sql_int(q);
    row->operator_name = gh_sql_text(q, arena);
    row->role = gh_sql_text(q, arena);
    row->tenant = gh_sql_int(q);
    row->operator_disabled = gh_sql_bool(q);
    row->created_at_ms = gh_sql_int(q);
    row->seen_at_ms = gh_sql_int(q);
    row->expires_at_ms = gh_sql_int(q);
    row->stage = (enum gh_sign_in_stage)gh_sql_int(q);
    row->method = gh_sql_text(q, arena);
    row->proved_at_ms = gh_sql_int(q);
    row->address = gh_sql_text(q, arena);
    row->agent = gh_sql_text(q, arena);
    row->challenge = gh_sql_text(q, arena);
}

enum gh_error_code gh_store_sign_in_find(struct gh_store *store, struct gh_slice hash,
                                         struct gh_arena *arena, struct gh_sign_in_row *out,
                                         struct gh_error *error)
{
    struct gh_link *link;
    *out = (struct gh_sign_in_row){0};
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[SIGN_IN_FIND]);
    gh_sql_put_bytes(&q, hash);
    bool found = gh_sql_next(&q);
    if (found)
        sign_in_read(&q, arena, out);
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    return code == GH_OK && !found ? unknown(error) : code;
}

enum gh_error_code gh_store_sign_in_list(struct gh_store *store, int64_t operator_number,
                                         struct gh_arena *arena, struct gh_sign_in_row **out,
                                         size_t *count, struct gh_error *error)
{
    struct gh_rows rows = {.arena = arena, .item_size = sizeof **out};
    struct gh_link *link;
    struct gh_sign_in_row *row;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[SIGN_IN_LIST]);
    gh_sql_put_int(&q, operator_number);
    while (gh_sql_next(&q) && (row = gh_rows_add(&rows, &q)) != NULL)
        sign_in_read(&q, arena, row);
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    *out = rows.items;
    *count = rows.count;
    return code;
}

enum gh_error_code gh_store_sign_in_seen(struct gh_store *store, struct gh_slice hash,
                                         int64_t seen_at_ms, struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[SIGN_IN_SEEN]);
    gh_sql_put_bytes(&q, hash);
    gh_sql_put_int(&q, seen_at_ms);
    return gh_write_end(link, run_on_one(&q, error), error);
}

enum gh_error_code gh_store_sign_in_challenge(struct gh_store *store, struct gh_slice hash,
                                              struct gh_slice challenge, struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[SIGN_IN_CHALLENGE]);
    gh_sql_put_bytes(&q, hash);
    gh_sql_put_bytes(&q, challenge);
    return gh_write_end(link, run_on_one(&q, error), error);
}

enum gh_error_code gh_store_sign_in_delete(struct gh_store *store, struct gh_slice hash,
                                           struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    return code == GH_OK ? gh_write_end(link, remove_one(link, hash, error), error) : code;
}

enum gh_error_code gh_store_sign_in_clear(struct gh_store *store, int64_t operator_number,
                                          struct gh_slice but, struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[SIGN_IN_CLEAR]);
    gh_sql_put_int(&q, operator_number);
    gh_sql_put_bytes(&q, but);
    atomic_store(&store->erased, true);
    return gh_write_end(link, gh_sql_run(&q, NULL, error), error);
}
