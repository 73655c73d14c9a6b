/* Ids that may be used once, or no more. */
#include "store/sqlite/sqlite_internal.h"

enum { SPENT_PUT, SPENT_FIND };

static const char *const sql[] = {
    [SPENT_PUT] = "INSERT INTO spent(hash, expires_at_ms) VALUES(?1, ?2)",
    [SPENT_FIND] = "SELECT 1 FROM spent WHERE hash = ?1",
};

enum gh_error_code gh_store_spent_put(struct gh_store *store, struct gh_slice hash,
                                      int64_t expires_at_ms, struct gh_error *error)
{
    struct gh_link *link;
    assert(hash.size == GH_TOKEN_HASH_BYTES);
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[SPENT_PUT]);
    gh_sql_put_bytes(&q, hash);
    gh_sql_put_int(&q, expires_at_ms);
    return gh_write_end(link, gh_sql_run(&q, NULL, error), error);
}

enum gh_error_code gh_store_spent_find(struct gh_store *store, struct gh_slice hash,
                                       struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[SPENT_FIND]);
    gh_sql_put_bytes(&q, hash);
    bool found = gh_sql_next(&q);
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    return code == GH_OK && !found
               ? gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such spent id")
               : code;
}
