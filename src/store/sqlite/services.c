/* Service accounts and the public halves of their keys. */
#include "store/service.h"
#include "store/sqlite/sqlite_internal.h"

enum {
    ACCOUNT_COUNT,
    ACCOUNT_CREATE,
    ACCOUNT_FIND,
    ACCOUNT_LIST,
    ACCOUNT_DISABLE,
    ACCOUNT_DELETE,
    KEY_COUNT,
    KEY_ADD,
    KEY_LIST,
    KEY_DISABLE,
    KEY_DELETE,
    KEY_USED,
};

#define ACCOUNT                                                                                    \
    "SELECT a.number, a.tenant, t.name, a.email, a.title, a.disabled, a.created_at_ms, "           \
    "t.disabled "                                                                                  \
    "FROM service_accounts a JOIN tenants t ON t.number = a.tenant "

static const char *const sql[] = {
    [ACCOUNT_COUNT] = "SELECT count(*) FROM service_accounts WHERE tenant = ?1",
    [ACCOUNT_CREATE] = "INSERT INTO service_accounts(tenant, email, title, disabled, created_at_ms)"
                       " VALUES(?1, ?2, ?3, ?4, ?5)",
    [ACCOUNT_FIND] = ACCOUNT "WHERE a.email = ?1",
    [ACCOUNT_LIST] = ACCOUNT "WHERE a.tenant = ?1 ORDER BY a.email",
    [ACCOUNT_DISABLE] = "UPDATE service_accounts SET disabled = ?2 WHERE number = ?1",
    [ACCOUNT_DELETE] = "DELETE FROM service_accounts WHERE number = ?1",
    [KEY_COUNT] = "SELECT count(*) FROM service_keys WHERE account = ?1",
    [KEY_ADD] = "INSERT INTO service_keys(account, id, public_key, disabled, created_at_ms, "
                "expires_at_ms) VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
    [KEY_LIST] = "SELECT number, account, id, public_key, disabled, created_at_ms, expires_at_ms, "
                 "last_used_at_ms FROM service_keys WHERE account = ?1 ORDER BY number",
    [KEY_DISABLE] = "UPDATE service_keys SET disabled = ?2 WHERE number = ?1",
    [KEY_DELETE] = "DELETE FROM service_keys WHERE number = ?1",
    [KEY_USED] =
        "UPDATE service_keys SET last_used_at_ms = max(last_used_at_ms, ?2) WHERE number = ?1",
};

static void account_read(struct gh_sql *q, struct gh_arena *arena, struct gh_service_account *row)
{
    row->number = gh_sql_int(q);
    row->tenant = gh_sql_int(q);
    row->tenant_name = gh_sql_text(q, arena);
    row->email = gh_sql_text(q, arena);
    row->title = gh_sql_text(q, arena);
    row->disabled = gh_sql_bool(q);
    row->created_at_ms = gh_sql_int(q);
    row->tenant_disabled = gh_sql_bool(q);
}

/* LIMIT when `count` of the statement for `owner` has reached `count_max`. */
static enum gh_error_code check_room(struct gh_link *link, const char *count, int64_t owner,
                                     size_t count_max, const char *what, struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, count);
    gh_sql_put_int(&q, owner);
    int64_t there = gh_sql_next(&q) ? gh_sql_int(&q) : 0;
    enum gh_error_code code = gh_sql_close(&q, error);
    if (code == GH_OK && there >= (int64_t)count_max)
        code = gh_error_set(error, GH_ERROR_LIMIT, "there are at most %zu %s", count_max, what);
    return code;
}

/* Runs an insert; `*number` is that of the new row. */
static enum gh_error_code insert(struct gh_sql *q, int64_t *number, const char *owner,
                                 struct gh_error *error)
{
    enum gh_error_code code = gh_sql_run(q, NULL, error);
    if (code == GH_OK)
        *number = sqlite3_last_insert_rowid(q->link->db);
    return code == GH_ERROR_PRECONDITION
               ? gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such %s", owner)
               : code;
}

static enum gh_error_code create(struct gh_link *link, struct gh_service_account *row,
                                 size_t accounts_max, struct gh_error *error)
{
    enum gh_error_code code = check_room(link, sql[ACCOUNT_COUNT], row->tenant, accounts_max,
                                         "service accounts of a tenant", error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[ACCOUNT_CREATE]);
    gh_sql_put_int(&q, row->tenant);
    gh_sql_put_text(&q, row->email);
    gh_sql_put_text(&q, row->title);
    gh_sql_put_int(&q, row->disabled);
    gh_sql_put_int(&q, row->created_at_ms);
    code = insert(&q, &row->number, "tenant", error);
    return code == GH_ERROR_EXISTS
               ? gh_error_set(error, code, "service account %.*s", GH_PRINT(row->email))
               : code;
}

enum gh_error_code gh_store_service_create(struct gh_store *store, struct gh_service_account *row,
                                           size_t accounts_max, struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    return code == GH_OK ? gh_write_end(link, create(link, row, accounts_max, error), error) : code;
}

enum gh_error_code gh_store_service_find(struct gh_store *store, struct gh_slice email,
                                         struct gh_arena *arena, struct gh_service_account *out,
                                         struct gh_error *error)
{
    struct gh_link *link;
    *out = (struct gh_service_account){0};
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[ACCOUNT_FIND]);
    gh_sql_put_text(&q, email);
    bool found = gh_sql_next(&q);
    if (found)
        account_read(&q, arena, out);
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    return code == GH_OK && !found ? gh_error_set(error, GH_ERROR_NOT_FOUND, "service account %.*s",
                                                  GH_PRINT(gh_slice_sub(email, 0, 256)))
                                   : code;
}

enum gh_error_code gh_store_service_list(struct gh_store *store, int64_t tenant,
                                         struct gh_arena *arena, struct gh_service_account **out,
                                         size_t *count, struct gh_error *error)
{
    struct gh_rows rows = {.arena = arena, .item_size = sizeof **out};
    struct gh_service_account *row;
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    *out = NULL;
    *count = 0;
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[ACCOUNT_LIST]);
    gh_sql_put_int(&q, tenant);
    while (gh_sql_next(&q) && (row = gh_rows_add(&rows, &q)) != NULL)
        account_read(&q, arena, row);
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    *out = rows.items;
    *count = rows.count;
    return code;
}

/* One statement about the row `number`, with `value` behind it unless that is NULL. NOT_FOUND when
 * it changes nothing and `what` is a name. */
static enum gh_error_code change(struct gh_store *store, const char *text, int64_t number,
                                 const int64_t *value, const char *what, struct gh_error *error)
{
    struct gh_link *link;
    int64_t changed;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, text);
    gh_sql_put_int(&q, number);
    if (value != NULL)
        gh_sql_put_int(&q, *value);
    code = gh_sql_run(&q, &changed, error);
    if (code == GH_OK && changed == 0 && what != NULL)
        code = gh_error_set(error, GH_ERROR_NOT_FOUND, "the %s is gone", what);
    return gh_write_end(link, code, error);
}

enum gh_error_code gh_store_service_disable(struct gh_store *store, int64_t number, bool disabled,
                                            struct gh_error *error)
{
    return change(store, sql[ACCOUNT_DISABLE], number, &(int64_t){disabled}, "service account",
                  error);
}

enum gh_error_code gh_store_service_delete(struct gh_store *store, int64_t number,
                                           struct gh_error *error)
{
    return change(store, sql[ACCOUNT_DELETE], number, NULL, "service account", error);
}

static enum gh_error_code add_key(struct gh_link *link, struct gh_service_key *row, size_t keys_max,
                                  struct gh_error *error)
{
    enum gh_error_code code = check_room(link, sql[KEY_COUNT], row->account, keys_max,
                                         "keys of a service account", error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[KEY_ADD]);
    gh_sql_put_int(&q, row->account);
    gh_sql_put_text(&q, row->id);
    gh_sql_put_text(&q, row->public_key);
    gh_sql_put_int(&q, row->disabled);
    gh_sql_put_int(&q, row->created_at_ms);
    gh_sql_put_int(&q, row->expires_at_ms);
    code = insert(&q, &row->number, "service account", error);
    return code == GH_ERROR_EXISTS
               ? gh_error_set(error, code, "the account has a key %.*s", GH_PRINT(row->id))
               : code;
}

enum gh_error_code gh_store_service_key_add(struct gh_store *store, struct gh_service_key *row,
                                            size_t keys_max, struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    return code == GH_OK ? gh_write_end(link, add_key(link, row, keys_max, error), error) : code;
}

enum gh_error_code gh_store_service_key_list(struct gh_store *store, int64_t account,
                                             struct gh_arena *arena, struct gh_service_key **out,
                                             size_t *count, struct gh_error *error)
{
    struct gh_rows rows = {.arena = arena, .item_size = sizeof **out};
    struct gh_service_key *row;
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    *out = NULL;
    *count = 0;
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[KEY_LIST]);
    gh_sql_put_int(&q, account);
    while (gh_sql_next(&q) && (row = gh_rows_add(&rows, &q)) != NULL) {
        row->number = gh_sql_int(&q);
        row->account = gh_sql_int(&q);
        row->id = gh_sql_text(&q, arena);
        row->public_key = gh_sql_text(&q, arena);
        row->disabled = gh_sql_bool(&q);
        row->created_at_ms = gh_sql_int(&q);
        row->expires_at_ms = gh_sql_int(&q);
        row->last_used_at_ms = gh_sql_int(&q);
    }
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    *out = rows.items;
    *count = rows.count;
    return code;
}

enum gh_error_code gh_store_service_key_disable(struct gh_store *store, int64_t number,
                                                bool disabled, struct gh_error *error)
{
    return change(store, sql[KEY_DISABLE], number, &(int64_t){disabled}, "key", error);
}

enum gh_error_code gh_store_service_key_delete(struct gh_store *store, int64_t number,
                                               struct gh_error *error)
{
    return change(store, sql[KEY_DELETE], number, NULL, "key", error);
}

enum gh_error_code gh_store_service_key_used(struct gh_store *store, int64_t number, int64_t at_ms,
                                             struct gh_error *error)
{
    return change(store, sql[KEY_USED], number, &at_ms, NULL, error);
}
