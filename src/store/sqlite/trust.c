#include "store/trust.h"
#include "store/sqlite/sqlite_internal.h"

enum {
    ANCHOR_COUNT,
    ANCHOR_CREATE,
    ANCHOR_LIST,
    ANCHOR_LIST_FETCHED,
    ANCHOR_GET,
    ANCHOR_SET_STATE,
    ANCHOR_RENEW,
    ANCHOR_SET_CRL,
    ANCHOR_DELETE,
    ANCHOR_NEXT_CRL,
    ANCHOR_CRL_NUMBER,
    REVOCATION_PUT,
    REVOCATION_PUT_LISTED,
    REVOCATION_CLEAR_LISTED,
    REVOCATION_FIND,
    REVOCATION_LIST,
    ISSUED_PUT,
    ISSUED_LIST,
    ISSUED_LIST_DEVICE,
    ISSUED_GET,
    ENROLMENT_PUT,
    ENROLMENT_FIND,
    ENROLMENT_TAKE,
    ENROLMENT_LIST,
    ENROLMENT_DISABLE,
    ENROLMENT_EXPIRE,
};

#define ANCHOR                                                                                     \
    "number, tenant, coalesce(registry, 0), fingerprint, pem, state, code, key, crl_url, "         \
    "ocsp_url, crl_number, crl_next_ms, crl_read_ms, created_at_ms, verified_at_ms"
#define ISSUED                                                                                     \
    "i.anchor, i.serial, i.device, coalesce(r.name, ''), coalesce(d.id, ''), i.not_before_ms, "    \
    "i.not_after_ms, i.issued_at_ms, v.serial IS NOT NULL, coalesce(v.at_ms, 0)"
#define ISSUED_FROM                                                                                \
    " FROM issued i LEFT JOIN devices d ON d.number = i.device "                                   \
    "LEFT JOIN registries r ON r.number = d.registry "                                             \
    "LEFT JOIN revocations v ON v.anchor = i.anchor AND v.serial = i.serial "

static const char *const sql[] = {
    [ANCHOR_COUNT] =
        "SELECT count(*) FROM anchors WHERE tenant = ?1 AND coalesce(registry, 0) = ?2",
    [ANCHOR_CREATE] =
        "INSERT INTO anchors(tenant, registry, fingerprint, pem, state, code, key, crl_url, "
        "ocsp_url, created_at_ms, verified_at_ms) "
        "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    [ANCHOR_LIST] = "SELECT " ANCHOR " FROM anchors WHERE tenant = ?1 AND (registry = ?2 OR "
                    "registry IS NULL) ORDER BY number",
    [ANCHOR_LIST_FETCHED] = "SELECT " ANCHOR " FROM anchors WHERE crl_url > '' ORDER BY crl_url",
    [ANCHOR_GET] = "SELECT " ANCHOR " FROM anchors WHERE number = ?1",
    [ANCHOR_SET_STATE] =
        "UPDATE anchors SET state = ?2, code = ?3, verified_at_ms = ?4 WHERE number = ?1",
    [ANCHOR_RENEW] = "UPDATE anchors SET pem = ?2, key = ?3 WHERE number = ?1",
    [ANCHOR_SET_CRL] = "UPDATE anchors SET crl_next_ms = ?2, crl_read_ms = ?3, crl_number = ?4 "
                       "WHERE number = ?1",
    [ANCHOR_DELETE] = "DELETE FROM anchors WHERE number = ?1",
    [ANCHOR_NEXT_CRL] = "UPDATE anchors SET crl_number = crl_number + 1 WHERE number = ?1",
    [ANCHOR_CRL_NUMBER] = "SELECT crl_number FROM anchors WHERE number = ?1",
    [REVOCATION_PUT] =
        "INSERT INTO revocations(anchor, serial, listed, reason, at_ms) VALUES(?1, ?2, 0, ?3, ?4)",
    [REVOCATION_PUT_LISTED] =
        "INSERT INTO revocations(anchor, serial, listed, reason, at_ms) VALUES(?1, ?2, 1, ?3, ?4) "
        "ON CONFLICT(anchor, serial) DO NOTHING",
    [REVOCATION_CLEAR_LISTED] = "DELETE FROM revocations WHERE anchor = ?1 AND listed = 1",
    [REVOCATION_FIND] = "SELECT reason, at_ms FROM revocations WHERE anchor = ?1 AND serial = ?2",
    [REVOCATION_LIST] = "SELECT anchor, serial, reason, at_ms FROM revocations WHERE anchor = ?1 "
                        "ORDER BY serial LIMIT ?2",
    [ISSUED_PUT] = "INSERT INTO issued(anchor, serial, device, pem, not_before_ms, not_after_ms, "
                   "issued_at_ms) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [ISSUED_LIST] = "SELECT " ISSUED ", ''" ISSUED_FROM
                    "WHERE i.anchor = ?1 ORDER BY i.issued_at_ms DESC LIMIT ?2",
    [ISSUED_LIST_DEVICE] = "SELECT " ISSUED ", ''" ISSUED_FROM
                           "WHERE i.device = ?1 ORDER BY i.issued_at_ms DESC LIMIT ?2",
    [ISSUED_GET] = "SELECT " ISSUED ", i.pem" ISSUED_FROM "WHERE i.anchor = ?1 AND i.serial = ?2",
    [ENROLMENT_PUT] = "INSERT INTO enrolments(hash, device, created_at_ms, expires_at_ms) "
                      "VALUES(?1, ?2, ?3, ?4)",
    [ENROLMENT_FIND] = "SELECT device, disabled, expires_at_ms, used_at_ms FROM enrolments "
                       "WHERE hash = ?1",
    [ENROLMENT_TAKE] = "UPDATE enrolments SET used_at_ms = ?3 WHERE hash = ?1 AND device = ?2 "
                       "AND expires_at_ms > ?3 AND used_at_ms = 0 AND disabled = 0",
    [ENROLMENT_LIST] =
        "SELECT 'en-' || lower(substr(hex(hash), 1, 16)), disabled, created_at_ms, expires_at_ms, "
        "used_at_ms FROM enrolments WHERE device = ?1 ORDER BY created_at_ms DESC",
    [ENROLMENT_DISABLE] = "UPDATE enrolments SET disabled = ?3 WHERE device = ?1 "
                          "AND 'en-' || lower(substr(hex(hash), 1, 16)) = ?2",
    [ENROLMENT_EXPIRE] = "DELETE FROM enrolments WHERE device = ?1 AND expires_at_ms <= ?2",
};

/* --- anchors --- */

static enum gh_error_code anchor_create(struct gh_link *link, struct gh_anchor *row,
                                        struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[ANCHOR_COUNT]);
    gh_sql_put_int(&q, row->tenant);
    gh_sql_put_int(&q, row->registry);
    int64_t count = gh_sql_next(&q) ? gh_sql_int(&q) : 0;
    enum gh_error_code code = gh_sql_close(&q, error);
    if (code == GH_OK && count >= GH_ANCHORS_OF_REGISTRY_MAX)
        code = gh_error_set(error, GH_ERROR_LIMIT, "a registry has at most %d CAs",
                            GH_ANCHORS_OF_REGISTRY_MAX);
    if (code != GH_OK)
        return code;
    q = gh_sql_open(link, sql[ANCHOR_CREATE]);
    gh_sql_put_int(&q, row->tenant);
    gh_sql_put_reference(&q, row->registry);
    gh_sql_put_text(&q, row->fingerprint);
    gh_sql_put_text(&q, row->pem);
    gh_sql_put_int(&q, row->state);
    gh_sql_put_text(&q, row->code);
    gh_sql_put_bytes(&q, row->key);
    gh_sql_put_text(&q, row->crl_url);
    gh_sql_put_text(&q, row->ocsp_url);
    gh_sql_put_int(&q, row->created_at_ms);
    gh_sql_put_int(&q, row->verified_at_ms);
    code = gh_sql_run(&q, NULL, error);
    if (code == GH_ERROR_EXISTS)
        return gh_error_set(error, code, "the registry has this CA already");
    if (code == GH_ERROR_PRECONDITION)
        return gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such registry");
    row->number = sqlite3_last_insert_rowid(link->db);
    return code;
}

enum gh_error_code gh_store_anchor_create(struct gh_store *store, struct gh_anchor *row,
                                          struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    return code == GH_OK ? gh_write_end(link, anchor_create(link, row, error), error) : code;
}

static void anchor_read(struct gh_sql *q, struct gh_arena *arena, struct gh_anchor *row)
{
    row->number = gh_sql_int(q);
    row->tenant = gh_sql_int(q);
    row->registry = gh_sql_int(q);
    row->fingerprint = gh_sql_text(q, arena);
    row->id = gh_slice_sub(row->fingerprint, 0, 16);
    row->pem = gh_sql_text(q, arena);
    row->state = (enum gh_anchor_state)gh_sql_int(q);
    row->code = gh_sql_text(q, arena);
    row->key = gh_sql_text(q, arena);
    row->crl_url = gh_sql_text(q, arena);
    row->ocsp_url = gh_sql_text(q, arena);
    row->crl_number = gh_sql_int(q);
    row->crl_next_ms = gh_sql_int(q);
    row->crl_read_ms = gh_sql_int(q);
    row->created_at_ms = gh_sql_int(q);
    row->verified_at_ms = gh_sql_int(q);
}

static enum gh_error_code anchors_read(struct gh_sql *q, struct gh_arena *arena,
                                       struct gh_anchor **out, size_t *count,
                                       struct gh_error *error)
{
    struct gh_rows rows = {.arena = arena, .item_size = sizeof **out};
    struct gh_anchor *row;
    while (gh_sql_next(q) && (row = gh_rows_add(&rows, q)) != NULL)
        anchor_read(q, arena, row);
    *out = rows.items;
    *count = rows.count;
    return gh_sql_close(q, error);
}

enum gh_error_code gh_store_anchor_list(struct gh_store *store, int64_t tenant, int64_t registry,
                                        struct gh_arena *arena, struct gh_anchor **out,
                                        size_t *count, struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[ANCHOR_LIST]);
    gh_sql_put_int(&q, tenant);
    gh_sql_put_int(&q, registry);
    code = anchors_read(&q, arena, out, count, error);
    gh_read_end(link);
    return code;
}

enum gh_error_code gh_store_anchor_list_fetched(struct gh_store *store, struct gh_arena *arena,
                                                struct gh_anchor **out, size_t *count,
                                                struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[ANCHOR_LIST_FETCHED]);
    code = anchors_read(&q, arena, out, count, error);
    gh_read_end(link);
    return code;
}

enum gh_error_code gh_store_anchor_get(struct gh_store *store, int64_t number,
                                       struct gh_arena *arena, struct gh_anchor *out,
                                       struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[ANCHOR_GET]);
    gh_sql_put_int(&q, number);
    bool found = gh_sql_next(&q);
    *out = (struct gh_anchor){0};
    if (found)
        anchor_read(&q, arena, out);
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    return code == GH_OK && !found ? gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such CA")
                                   : code;
}

/* Ends a write that has to have changed a row. */
static enum gh_error_code end_found(struct gh_link *link, struct gh_sql *q, const char *what,
                                    struct gh_error *error)
{
    int64_t changed = 0;
    enum gh_error_code code = gh_sql_run(q, &changed, error);
    if (code == GH_OK && changed == 0)
        code = gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such %s", what);
    return gh_write_end(link, code, error);
}

enum gh_error_code gh_store_anchor_set_state(struct gh_store *store, const struct gh_anchor *row,
                                             struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[ANCHOR_SET_STATE]);
    gh_sql_put_int(&q, row->number);
    gh_sql_put_int(&q, row->state);
    gh_sql_put_text(&q, row->code);
    gh_sql_put_int(&q, row->verified_at_ms);
    return end_found(link, &q, "CA", error);
}

enum gh_error_code gh_store_anchor_renew(struct gh_store *store, const struct gh_anchor *row,
                                         struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[ANCHOR_RENEW]);
    gh_sql_put_int(&q, row->number);
    gh_sql_put_text(&q, row->pem);
    gh_sql_put_bytes(&q, row->key);
    return end_found(link, &q, "CA", error);
}

enum gh_error_code gh_store_anchor_delete(struct gh_store *store, int64_t number,
                                          struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[ANCHOR_DELETE]);
    gh_sql_put_int(&q, number);
    return end_found(link, &q, "CA", error);
}

static enum gh_error_code next_crl(struct gh_link *link, int64_t number, int64_t *out,
                                   struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[ANCHOR_NEXT_CRL]);
    gh_sql_put_int(&q, number);
    enum gh_error_code code = gh_sql_run(&q, NULL, error);
    if (code != GH_OK)
        return code;
    q = gh_sql_open(link, sql[ANCHOR_CRL_NUMBER]);
    gh_sql_put_int(&q, number);
    *out = gh_sql_next(&q) ? gh_sql_int(&q) : 0;
    return gh_sql_close(&q, error);
}

enum gh_error_code gh_store_anchor_next_crl(struct gh_store *store, int64_t number, int64_t *out,
                                            struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    return code == GH_OK ? gh_write_end(link, next_crl(link, number, out, error), error) : code;
}

/* --- revocations --- */

static enum gh_error_code revocation_write(struct gh_link *link, const char *text, int64_t anchor,
                                           const struct gh_revocation *row, struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, text);
    gh_sql_put_int(&q, anchor);
    gh_sql_put_text(&q, row->serial);
    gh_sql_put_int(&q, row->reason);
    gh_sql_put_int(&q, row->at_ms);
    return gh_sql_run(&q, NULL, error);
}

enum gh_error_code gh_store_revocation_put(struct gh_store *store, const struct gh_revocation *row,
                                           struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    code = revocation_write(link, sql[REVOCATION_PUT], row->anchor, row, error);
    if (code == GH_ERROR_EXISTS)
        (void)gh_error_set(error, code, "the certificate %.*s was revoked before",
                           GH_PRINT(row->serial));
    return gh_write_end(link, code, error);
}

static enum gh_error_code crl_write(struct gh_link *link, const struct gh_anchor *anchor,
                                    const struct gh_revocation *rows, size_t count,
                                    struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[REVOCATION_CLEAR_LISTED]);
    gh_sql_put_int(&q, anchor->number);
    enum gh_error_code code = gh_sql_run(&q, NULL, error);
    for (size_t i = 0; code == GH_OK && i < count; i++)
        code = revocation_write(link, sql[REVOCATION_PUT_LISTED], anchor->number, &rows[i], error);
    if (code != GH_OK)
        return code;
    q = gh_sql_open(link, sql[ANCHOR_SET_CRL]);
    gh_sql_put_int(&q, anchor->number);
    gh_sql_put_int(&q, anchor->crl_next_ms);
    gh_sql_put_int(&q, anchor->crl_read_ms);
    gh_sql_put_int(&q, anchor->crl_number);
    return gh_sql_run(&q, NULL, error);
}

enum gh_error_code gh_store_crl_put(struct gh_store *store, const struct gh_anchor *anchor,
                                    const struct gh_revocation *rows, size_t count,
                                    struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    return code == GH_OK ? gh_write_end(link, crl_write(link, anchor, rows, count, error), error)
                         : code;
}

enum gh_error_code gh_store_revocation_find(struct gh_store *store, int64_t anchor,
                                            struct gh_slice serial, bool *found,
                                            struct gh_revocation *out, struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[REVOCATION_FIND]);
    gh_sql_put_int(&q, anchor);
    gh_sql_put_text(&q, serial);
    *found = gh_sql_next(&q);
    *out = (struct gh_revocation){.anchor = anchor, .serial = serial};
    if (*found) {
        out->reason = (int)gh_sql_int(&q);
        out->at_ms = gh_sql_int(&q);
    }
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    return code;
}

enum gh_error_code gh_store_revocation_list(struct gh_store *store, int64_t anchor, size_t limit,
                                            struct gh_arena *arena, struct gh_revocation **out,
                                            size_t *count, struct gh_error *error)
{
    struct gh_rows rows = {.arena = arena, .item_size = sizeof **out};
    struct gh_revocation *row;
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[REVOCATION_LIST]);
    gh_sql_put_int(&q, anchor);
    gh_sql_put_int(&q, (int64_t)limit);
    while (gh_sql_next(&q) && (row = gh_rows_add(&rows, &q)) != NULL) {
        row->anchor = gh_sql_int(&q);
        row->serial = gh_sql_text(&q, arena);
        row->reason = (int)gh_sql_int(&q);
        row->at_ms = gh_sql_int(&q);
    }
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    *out = rows.items;
    *count = rows.count;
    return code;
}

/* --- issued --- */

enum gh_error_code gh_store_issued_put(struct gh_store *store, const struct gh_issued *row,
                                       struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[ISSUED_PUT]);
    gh_sql_put_int(&q, row->anchor);
    gh_sql_put_text(&q, row->serial);
    gh_sql_put_int(&q, (int64_t)row->device);
    gh_sql_put_text(&q, row->pem);
    gh_sql_put_int(&q, row->not_before_ms);
    gh_sql_put_int(&q, row->not_after_ms);
    gh_sql_put_int(&q, row->issued_at_ms);
    return gh_write_end(link, gh_sql_run(&q, NULL, error), error);
}

static void issued_read(struct gh_sql *q, struct gh_arena *arena, struct gh_issued *row)
{
    row->anchor = gh_sql_int(q);
    row->serial = gh_sql_text(q, arena);
    row->device = (uint64_t)gh_sql_int(q);
    row->registry_name = gh_sql_text(q, arena);
    row->device_id = gh_sql_text(q, arena);
    row->not_before_ms = gh_sql_int(q);
    row->not_after_ms = gh_sql_int(q);
    row->issued_at_ms = gh_sql_int(q);
    row->revoked = gh_sql_bool(q);
    row->revoked_at_ms = gh_sql_int(q);
    row->pem = gh_sql_text(q, arena);
}

enum gh_error_code gh_store_issued_list(struct gh_store *store, int64_t anchor, uint64_t device,
                                        size_t limit, struct gh_arena *arena,
                                        struct gh_issued **out, size_t *count,
                                        struct gh_error *error)
{
    struct gh_rows rows = {.arena = arena, .item_size = sizeof **out};
    struct gh_issued *row;
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[device != 0 ? ISSUED_LIST_DEVICE : ISSUED_LIST]);
    gh_sql_put_int(&q, device != 0 ? (int64_t)device : anchor);
    gh_sql_put_int(&q, (int64_t)limit);
    while (gh_sql_next(&q) && (row = gh_rows_add(&rows, &q)) != NULL)
        issued_read(&q, arena, row);
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    *out = rows.items;
    *count = rows.count;
    return code;
}

enum gh_error_code gh_store_issued_get(struct gh_store *store, int64_t anchor,
                                       struct gh_slice serial, struct gh_arena *arena,
                                       struct gh_issued *out, struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[ISSUED_GET]);
    gh_sql_put_int(&q, anchor);
    gh_sql_put_text(&q, serial);
    bool found = gh_sql_next(&q);
    *out = (struct gh_issued){0};
    if (found)
        issued_read(&q, arena, out);
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    return code == GH_OK && !found
               ? gh_error_set(error, GH_ERROR_NOT_FOUND, "this CA issued no certificate %.*s",
                              GH_PRINT(gh_slice_sub(serial, 0, GH_SERIAL_HEX_MAX)))
               : code;
}

/* --- enrolments --- */

enum gh_error_code gh_store_enrolment_put(struct gh_store *store, const struct gh_enrolment *row,
                                          struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[ENROLMENT_EXPIRE]);
    gh_sql_put_int(&q, (int64_t)row->device);
    gh_sql_put_int(&q, row->created_at_ms);
    code = gh_sql_run(&q, NULL, error);
    if (code == GH_OK) {
        q = gh_sql_open(link, sql[ENROLMENT_PUT]);
        gh_sql_put_bytes(&q, row->hash);
        gh_sql_put_int(&q, (int64_t)row->device);
        gh_sql_put_int(&q, row->created_at_ms);
        gh_sql_put_int(&q, row->expires_at_ms);
        code = gh_sql_run(&q, NULL, error);
    }
    return gh_write_end(link, code, error);
}

enum gh_error_code gh_store_enrolment_take(struct gh_store *store, uint64_t device,
                                           struct gh_slice hash, int64_t now_ms,
                                           struct gh_enrolment *out, struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[ENROLMENT_FIND]);
    gh_sql_put_bytes(&q, hash);
    bool found = gh_sql_next(&q);
    *out = (struct gh_enrolment){.device = found ? (uint64_t)gh_sql_int(&q) : 0};
    if (found) {
        out->disabled = gh_sql_bool(&q);
        out->expires_at_ms = gh_sql_int(&q);
        out->used_at_ms = gh_sql_int(&q);
    }
    code = gh_sql_close(&q, error);
    if (code == GH_OK && !found)
        code = gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such enrolment token");
    if (code == GH_OK) {
        q = gh_sql_open(link, sql[ENROLMENT_TAKE]);
        gh_sql_put_bytes(&q, hash);
        gh_sql_put_int(&q, (int64_t)device);
        gh_sql_put_int(&q, now_ms);
        code = gh_sql_run(&q, NULL, error);
    }
    return gh_write_end(link, code, error);
}

enum gh_error_code gh_store_enrolment_list(struct gh_store *store, uint64_t device,
                                           struct gh_arena *arena, struct gh_enrolment **out,
                                           size_t *count, struct gh_error *error)
{
    struct gh_link *link;
    struct gh_enrolment *row;
    struct gh_rows rows = {.arena = arena, .item_size = sizeof **out};
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[ENROLMENT_LIST]);
    gh_sql_put_int(&q, (int64_t)device);
    while (gh_sql_next(&q) && (row = gh_rows_add(&rows, &q)) != NULL) {
        row->id = gh_sql_text(&q, arena);
        row->device = device;
        row->disabled = gh_sql_bool(&q);
        row->created_at_ms = gh_sql_int(&q);
        row->expires_at_ms = gh_sql_int(&q);
        row->used_at_ms = gh_sql_int(&q);
    }
    *out = rows.items;
    *count = rows.count;
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    return code;
}

enum gh_error_code gh_store_enrolment_disable(struct gh_store *store, uint64_t device,
                                              struct gh_slice id, bool disabled,
                                              struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[ENROLMENT_DISABLE]);
    gh_sql_put_int(&q, (int64_t)device);
    gh_sql_put_text(&q, id);
    gh_sql_put_int(&q, disabled);
    return end_found(link, &q, "enrolment token", error);
}
