#include "store/sqlite/sqlite_internal.h"

enum {
    KEY_CREATE,
    KEY_GET,
    KEY_NEWEST,
    KEY_LIST,
    KEY_UPDATE,
    KEYS_BEFORE_DELETE,
    SEALED_LIST,
    SEALED_UPDATE,
    SEALED_LIST_OF_CAS,
    SEALED_UPDATE_OF_CA,
};

#define COLUMNS "tenant, number, sealed, created_at_ms"

static const char *const sql[] = {
    [KEY_CREATE] = "INSERT INTO data_keys(" COLUMNS ") VALUES(?1, ?2, ?3, ?4)",
    [KEY_GET] = "SELECT " COLUMNS " FROM data_keys WHERE tenant = ?1 AND number = ?2",
    [KEY_NEWEST] =
        "SELECT " COLUMNS " FROM data_keys WHERE tenant = ?1 ORDER BY number DESC LIMIT 1",
    [KEY_LIST] = "SELECT " COLUMNS " FROM data_keys ORDER BY tenant, number",
    [KEY_UPDATE] = "UPDATE data_keys SET sealed = ?3 WHERE tenant = ?1 AND number = ?2",
    [KEYS_BEFORE_DELETE] = "DELETE FROM data_keys WHERE tenant = ?1 AND number < ?2",
    [SEALED_LIST] = ("SELECT c.device, c.id, c.pem FROM devices d JOIN credentials c "
                     "ON c.device = d.number WHERE d.tenant = ?1 AND c.format = 6 "
                     "ORDER BY d.registry, d.id"),
    [SEALED_UPDATE] = "UPDATE credentials SET pem = ?3 WHERE device = ?1 AND id = ?2",
    [SEALED_LIST_OF_CAS] = ("SELECT number, fingerprint, key FROM anchors "
                            "WHERE tenant = ?1 AND length(key) > 0 ORDER BY number"),
    [SEALED_UPDATE_OF_CA] = "UPDATE anchors SET key = ?2 WHERE number = ?1",
};
static_assert(GH_CREDENTIAL_SYMMETRIC == 6, "the format in SEALED_LIST");

static void row_read(struct gh_sql *q, struct gh_arena *arena, struct gh_data_key_row *row)
{
    row->tenant = gh_sql_int(q);
    row->number = (uint32_t)gh_sql_int(q);
    row->sealed = gh_sql_text(q, arena);
    row->created_at_ms = gh_sql_int(q);
}

static enum gh_error_code create(struct gh_link *link, const struct gh_data_key_row *row,
                                 struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[KEY_CREATE]);
    gh_sql_put_int(&q, row->tenant);
    gh_sql_put_int(&q, row->number);
    gh_sql_put_bytes(&q, row->sealed);
    gh_sql_put_int(&q, row->created_at_ms);
    enum gh_error_code code = gh_sql_run(&q, NULL, error);
    return code == GH_ERROR_PRECONDITION
               ? gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such tenant")
               : code;
}

enum gh_error_code gh_store_data_key_create(struct gh_store *store,
                                            const struct gh_data_key_row *row,
                                            struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    return code == GH_OK ? gh_write_end(link, create(link, row, error), error) : code;
}

enum gh_error_code gh_store_data_key_get(struct gh_store *store, int64_t tenant, uint32_t number,
                                         struct gh_arena *arena, struct gh_data_key_row *out,
                                         struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[number == 0 ? KEY_NEWEST : KEY_GET]);
    gh_sql_put_int(&q, tenant);
    if (number != 0)
        gh_sql_put_int(&q, number);
    bool found = gh_sql_next(&q);
    if (found)
        row_read(&q, arena, out);
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    return code == GH_OK && !found
               ? gh_error_set(error, GH_ERROR_NOT_FOUND, "the tenant has no such data key")
               : code;
}

enum gh_error_code gh_store_data_key_list(struct gh_store *store, struct gh_arena *arena,
                                          struct gh_data_key_row **out, size_t *count,
                                          struct gh_error *error)
{
    struct gh_rows rows = {.arena = arena, .item_size = sizeof **out};
    struct gh_data_key_row *row;
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[KEY_LIST]);
    while (gh_sql_next(&q) && (row = gh_rows_add(&rows, &q)) != NULL)
        row_read(&q, arena, row);
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    *out = rows.items;
    *count = rows.count;
    return code;
}

enum gh_error_code gh_store_data_keys_update(struct gh_store *store,
                                             const struct gh_data_key_row *rows, size_t count,
                                             struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    for (size_t i = 0; code == GH_OK && i < count; i++) {
        struct gh_sql q = gh_sql_open(link, sql[KEY_UPDATE]);
        gh_sql_put_int(&q, rows[i].tenant);
        gh_sql_put_int(&q, rows[i].number);
        gh_sql_put_bytes(&q, rows[i].sealed);
        code = gh_sql_run(&q, NULL, error);
    }
    atomic_store(&store->erased, true);
    return gh_write_end(link, code, error);
}

enum gh_error_code gh_store_sealed_list(struct gh_store *store, int64_t tenant,
                                        struct gh_arena *arena, struct gh_sealed_row **out,
                                        size_t *count, struct gh_error *error)
{
    struct gh_rows rows = {.arena = arena, .item_size = sizeof **out};
    struct gh_sealed_row *row;
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    for (int of_cas = 0; code == GH_OK && of_cas < 2; of_cas++) {
        struct gh_sql q = gh_sql_open(link, sql[of_cas ? SEALED_LIST_OF_CAS : SEALED_LIST]);
        gh_sql_put_int(&q, tenant);
        while (gh_sql_next(&q) && (row = gh_rows_add(&rows, &q)) != NULL) {
            int64_t number = gh_sql_int(&q);
            row->device = of_cas ? 0 : (uint64_t)number;
            row->anchor = of_cas ? number : 0;
            row->credential = gh_sql_text(&q, arena);
            row->text = gh_sql_text(&q, arena);
        }
        code = gh_sql_close(&q, error);
    }
    gh_read_end(link);
    *out = rows.items;
    *count = rows.count;
    return code;
}

static enum gh_error_code replace(struct gh_link *link, const struct gh_data_key_row *key,
                                  const struct gh_sealed_row *rows, size_t count,
                                  struct gh_error *error)
{
    enum gh_error_code code = create(link, key, error);
    for (size_t i = 0; code == GH_OK && i < count; i++) {
        bool of_ca = rows[i].anchor != 0;
        struct gh_sql q = gh_sql_open(link, sql[of_ca ? SEALED_UPDATE_OF_CA : SEALED_UPDATE]);
        gh_sql_put_int(&q, of_ca ? rows[i].anchor : (int64_t)rows[i].device);
        if (of_ca) {
            gh_sql_put_bytes(&q, rows[i].text);
        } else {
            gh_sql_put_text(&q, rows[i].credential);
            gh_sql_put_text(&q, rows[i].text);
        }
        code = gh_sql_run(&q, NULL, error);
    }
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[KEYS_BEFORE_DELETE]);
    gh_sql_put_int(&q, key->tenant);
    gh_sql_put_int(&q, key->number);
    return gh_sql_run(&q, NULL, error);
}

enum gh_error_code gh_store_data_key_replace(struct gh_store *store,
                                             const struct gh_data_key_row *key,
                                             const struct gh_sealed_row *rows, size_t count,
                                             struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    code = replace(link, key, rows, count, error);
    atomic_store(&store->erased, true);
    return gh_write_end(link, code, error);
}
