/* Operators and bearer tokens. */
#include "store/sqlite/sqlite_internal.h"
#include <assert.h>

enum {
    OPERATOR_CREATE,
    OPERATOR_FIND,
    OPERATOR_LIST,
    OPERATOR_UPDATE,
    OPERATOR_DELETE,
    OPERATOR_REHASH,
    OPERATOR_BY_SUBJECT,
    OPERATOR_BY_EMAIL,
    SIGN_IN_CLEAR,
    SIGN_IN_EXPIRE,
    TOKEN_CREATE,
    TOKEN_FIND,
    TOKEN_LIST,
    TOKEN_USED,
    TOKEN_DELETE,
    TOKEN_EXPIRE,
    SPENT_EXPIRE,
};

#define OPERATOR                                                                                   \
    "SELECT number, name, password_hash, role, tenant, disabled, created_at_ms, email, provider, " \
    "subject FROM operators "
#define TOKEN                                                                                      \
    "SELECT t.hash, t.role, t.member, t.tenant, t.created_at_ms, t.expires_at_ms, t.operator, "    \
    "t.label, t.permissions, t.used_at_ms, t.service_key, o.name, o.role, o.tenant, "              \
    "o.disabled "                                                                                  \
    "FROM tokens t LEFT JOIN operators o ON o.number = t.operator "

static const char *const sql[] = {
    [OPERATOR_CREATE] =
        "INSERT INTO operators(name, password_hash, role, tenant, disabled, created_at_ms, email, "
        "provider, subject) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [OPERATOR_FIND] = OPERATOR "WHERE name = ?1",
    [OPERATOR_LIST] = OPERATOR "ORDER BY name",
    [OPERATOR_UPDATE] =
        "UPDATE operators SET password_hash = ?2, role = ?3, tenant = ?4, disabled = ?5, "
        "email = ?6, provider = ?7, subject = ?8 WHERE number = ?1",
    [OPERATOR_REHASH] = "UPDATE operators SET password_hash = ?3 "
                        "WHERE number = ?1 AND password_hash = ?2",
    [OPERATOR_BY_SUBJECT] = OPERATOR "WHERE provider = ?1 AND subject = ?2 AND subject > ''",
    [OPERATOR_BY_EMAIL] = OPERATOR "WHERE email = ?1 AND email > ''",
    [OPERATOR_DELETE] = "DELETE FROM operators WHERE number = ?1",
    [SIGN_IN_CLEAR] = "DELETE FROM sign_ins WHERE operator = ?1",
    [SIGN_IN_EXPIRE] = "DELETE FROM sign_ins WHERE expires_at_ms <= ?1 OR seen_at_ms < ?2",
    [TOKEN_CREATE] =
        "INSERT INTO tokens(hash, role, member, tenant, created_at_ms, expires_at_ms, operator, "
        "label, permissions, service_key) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    [TOKEN_FIND] =
        TOKEN "WHERE t.hash = ?1 AND (t.service_key IS NULL OR EXISTS("
              "SELECT 1 FROM service_keys k JOIN service_accounts a ON a.number = k.account "
              "WHERE k.number = t.service_key AND NOT k.disabled AND NOT a.disabled))",
    [TOKEN_LIST] = TOKEN "ORDER BY t.created_at_ms, t.hash",
    [TOKEN_USED] = "UPDATE tokens SET used_at_ms = max(used_at_ms, ?2) WHERE hash = ?1",
    [TOKEN_DELETE] = "DELETE FROM tokens WHERE hash = ?1",
    [TOKEN_EXPIRE] = "DELETE FROM tokens WHERE expires_at_ms <= ?1",
    [SPENT_EXPIRE] = "DELETE FROM spent WHERE expires_at_ms <= ?1",
};

static void operator_read(struct gh_sql *q, struct gh_arena *arena, struct gh_operator_row *row)
{
    row->number = gh_sql_int(q);
    row->name = gh_sql_text(q, arena);
    row->password_hash = gh_sql_text(q, arena);
    row->role = gh_sql_text(q, arena);
    row->tenant = gh_sql_int(q); /* NULL reads as 0 */
    row->disabled = gh_sql_bool(q);
    row->created_at_ms = gh_sql_int(q);
    row->email = gh_sql_text(q, arena);
    row->provider = gh_sql_text(q, arena);
    row->subject = gh_sql_text(q, arena);
}

enum gh_error_code gh_store_operator_create(struct gh_store *store, struct gh_operator_row *row,
                                            struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[OPERATOR_CREATE]);
    gh_sql_put_text(&q, row->name);
    gh_sql_put_text(&q, row->password_hash);
    gh_sql_put_text(&q, row->role);
    gh_sql_put_reference(&q, row->tenant);
    gh_sql_put_int(&q, row->disabled);
    gh_sql_put_int(&q, row->created_at_ms);
    gh_sql_put_text(&q, row->email);
    gh_sql_put_text(&q, row->provider);
    gh_sql_put_text(&q, row->subject);
    code = gh_sql_run(&q, NULL, error);
    if (code == GH_ERROR_EXISTS)
        gh_error_set(error, code, "operator %.*s: the name, e-mail address or subject is taken",
                     GH_PRINT(row->name));
    if (code == GH_ERROR_PRECONDITION)
        code = gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such tenant");
    if (code == GH_OK)
        row->number = sqlite3_last_insert_rowid(link->db);
    return gh_write_end(link, code, error);
}

/* The one row of a statement with one or two values; `second` may be empty. */
static enum gh_error_code operator_find(struct gh_store *store, const char *text,
                                        struct gh_slice first, const struct gh_slice *second,
                                        struct gh_arena *arena, struct gh_operator_row *out,
                                        struct gh_error *error)
{
    struct gh_link *link;
    *out = (struct gh_operator_row){0};
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, text);
    gh_sql_put_text(&q, first);
    if (second != NULL)
        gh_sql_put_text(&q, *second);
    bool found = gh_sql_next(&q);
    if (found)
        operator_read(&q, arena, out);
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    return code == GH_OK && !found
               ? gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such operator")
               : code;
}

enum gh_error_code gh_store_operator_find(struct gh_store *store, struct gh_slice name,
                                          struct gh_arena *arena, struct gh_operator_row *out,
                                          struct gh_error *error)
{
    return operator_find(store, sql[OPERATOR_FIND], name, NULL, arena, out, error);
}

enum gh_error_code gh_store_operator_find_outside(struct gh_store *store, struct gh_slice provider,
                                                  struct gh_slice subject_or_email,
                                                  struct gh_arena *arena,
                                                  struct gh_operator_row *out,
                                                  struct gh_error *error)
{
    return provider.size > 0 ? operator_find(store, sql[OPERATOR_BY_SUBJECT], provider,
                                             &subject_or_email, arena, out, error)
                             : operator_find(store, sql[OPERATOR_BY_EMAIL], subject_or_email, NULL,
                                             arena, out, error);
}

enum gh_error_code gh_store_operator_list(struct gh_store *store, struct gh_arena *arena,
                                          struct gh_operator_row **out, size_t *count,
                                          struct gh_error *error)
{
    struct gh_rows rows = {.arena = arena, .item_size = sizeof **out};
    struct gh_link *link;
    struct gh_operator_row *row;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[OPERATOR_LIST]);
    while (gh_sql_next(&q) && (row = gh_rows_add(&rows, &q)) != NULL)
        operator_read(&q, arena, row);
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    *out = rows.items;
    *count = rows.count;
    return code;
}

static enum gh_error_code sign_ins_clear(struct gh_link *link, int64_t number,
                                         struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[SIGN_IN_CLEAR]);
    gh_sql_put_int(&q, number);
    return gh_sql_run(&q, NULL, error);
}

enum gh_error_code gh_store_operator_update(struct gh_store *store,
                                            const struct gh_operator_row *row,
                                            struct gh_error *error)
{
    struct gh_link *link;
    int64_t changed = 0;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[OPERATOR_UPDATE]);
    gh_sql_put_int(&q, row->number);
    gh_sql_put_text(&q, row->password_hash);
    gh_sql_put_text(&q, row->role);
    gh_sql_put_reference(&q, row->tenant);
    gh_sql_put_int(&q, row->disabled);
    gh_sql_put_text(&q, row->email);
    gh_sql_put_text(&q, row->provider);
    gh_sql_put_text(&q, row->subject);
    code = gh_sql_run(&q, &changed, error);
    if (code == GH_ERROR_EXISTS)
        code = gh_error_set(error, code, "another operator has this e-mail address or subject");
    if (code == GH_ERROR_PRECONDITION)
        code = gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such tenant");
    if (code == GH_OK && changed == 0)
        code = gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such operator");
    if (code == GH_OK)
        code = sign_ins_clear(link, row->number, error);
    atomic_store(&store->erased, true);
    return gh_write_end(link, code, error);
}

enum gh_error_code gh_store_operator_rehash(struct gh_store *store, int64_t number,
                                            struct gh_slice before, struct gh_slice after,
                                            struct gh_error *error)
{
    struct gh_link *link;
    int64_t changed = 0;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[OPERATOR_REHASH]);
    gh_sql_put_int(&q, number);
    gh_sql_put_text(&q, before);
    gh_sql_put_text(&q, after);
    code = gh_sql_run(&q, &changed, error);
    if (code == GH_OK && changed == 0)
        code = gh_error_set(error, GH_ERROR_CONFLICT, "the password has changed");
    return gh_write_end(link, code, error);
}

/* Deletes by a statement with one value; NOT_FOUND when nothing went. */
static enum gh_error_code delete_end(struct gh_link *link, struct gh_sql *q, const char *what,
                                     struct gh_error *error)
{
    int64_t changed = 0;
    enum gh_error_code code = gh_sql_run(q, &changed, error);
    if (code == GH_OK && changed == 0)
        code = gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such %s", what);
    atomic_store(&link->store->erased, true);
    return gh_write_end(link, code, error);
}

enum gh_error_code gh_store_operator_delete(struct gh_store *store, int64_t number,
                                            struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[OPERATOR_DELETE]);
    gh_sql_put_int(&q, number);
    return delete_end(link, &q, "operator", error);
}

enum gh_error_code gh_store_token_create(struct gh_store *store, const struct gh_token_row *row,
                                         struct gh_error *error)
{
    struct gh_link *link;
    assert(row->hash.size == GH_TOKEN_HASH_BYTES);
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[TOKEN_CREATE]);
    gh_sql_put_bytes(&q, row->hash);
    gh_sql_put_text(&q, row->role);
    gh_sql_put_text(&q, row->member);
    gh_sql_put_reference(&q, row->tenant);
    gh_sql_put_int(&q, row->created_at_ms);
    gh_sql_put_int(&q, row->expires_at_ms);
    gh_sql_put_reference(&q, row->operator_number);
    gh_sql_put_text(&q, row->label);
    gh_sql_put_text(&q, row->permissions);
    gh_sql_put_reference(&q, row->service_key);
    code = gh_sql_run(&q, NULL, error);
    if (code == GH_ERROR_PRECONDITION)
        code = gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such %s",
                            row->service_key != 0 ? "key" : "tenant or operator");
    return gh_write_end(link, code, error);
}

enum gh_error_code gh_store_token_used(struct gh_store *store, struct gh_slice hash, int64_t at_ms,
                                       struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[TOKEN_USED]);
    gh_sql_put_bytes(&q, hash);
    gh_sql_put_int(&q, at_ms);
    return gh_write_end(link, gh_sql_run(&q, NULL, error), error);
}

static void token_read(struct gh_sql *q, struct gh_arena *arena, struct gh_token_row *row)
{
    row->hash = gh_sql_text(q, arena);
    row->role = gh_sql_text(q, arena);
    row->member = gh_sql_text(q, arena);
    row->tenant = gh_sql_int(q);
    row->created_at_ms = gh_sql_int(q);
    row->expires_at_ms = gh_sql_int(q);
    row->operator_number = gh_sql_int(q);
    row->label = gh_sql_text(q, arena);
    row->permissions = gh_sql_text(q, arena);
    row->used_at_ms = gh_sql_int(q);
    row->service_key = gh_sql_int(q);
    row->operator_name = gh_sql_text(q, arena);
    row->operator_role = gh_sql_text(q, arena);
    row->operator_tenant = gh_sql_int(q);
    row->operator_disabled = gh_sql_bool(q);
}

enum gh_error_code gh_store_token_find(struct gh_store *store, struct gh_slice hash,
                                       struct gh_arena *arena, struct gh_token_row *out,
                                       struct gh_error *error)
{
    struct gh_link *link;
    *out = (struct gh_token_row){0};
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[TOKEN_FIND]);
    gh_sql_put_bytes(&q, hash);
    bool found = gh_sql_next(&q);
    if (found)
        token_read(&q, arena, out);
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    return code == GH_OK && !found
               ? gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such token")
               : code;
}

enum gh_error_code gh_store_token_list(struct gh_store *store, struct gh_arena *arena,
                                       struct gh_token_row **out, size_t *count,
                                       struct gh_error *error)
{
    struct gh_rows rows = {.arena = arena, .item_size = sizeof **out};
    struct gh_link *link;
    struct gh_token_row *row;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[TOKEN_LIST]);
    while (gh_sql_next(&q) && (row = gh_rows_add(&rows, &q)) != NULL)
        token_read(&q, arena, row);
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    *out = rows.items;
    *count = rows.count;
    return code;
}

enum gh_error_code gh_store_token_delete(struct gh_store *store, struct gh_slice hash,
                                         struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[TOKEN_DELETE]);
    gh_sql_put_bytes(&q, hash);
    return delete_end(link, &q, "token", error);
}

enum gh_error_code gh_store_expire(struct gh_store *store, int64_t now_ms, int64_t idle_before_ms,
                                   struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[SIGN_IN_EXPIRE]);
    gh_sql_put_int(&q, now_ms);
    gh_sql_put_int(&q, idle_before_ms);
    code = gh_sql_run(&q, NULL, error);
    if (code == GH_OK) {
        q = gh_sql_open(link, sql[TOKEN_EXPIRE]);
        gh_sql_put_int(&q, now_ms);
        code = gh_sql_run(&q, NULL, error);
    }
    if (code == GH_OK) {
        q = gh_sql_open(link, sql[SPENT_EXPIRE]);
        gh_sql_put_int(&q, now_ms);
        code = gh_sql_run(&q, NULL, error);
    }
    return gh_write_end(link, code, error);
}
