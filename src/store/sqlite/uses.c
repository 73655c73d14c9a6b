/* When credentials last proved their devices: those of a device's record, and certificates by CAs,
 * which no record names. */
#include "store/sqlite/sqlite_internal.h"
#include "store/trust.h"

enum { USE_PUT, CERTIFICATE_RAISE, CERTIFICATE_PUT, CERTIFICATE_CUT, CERTIFICATE_LIST };

static const char *const sql[] = {
    [USE_PUT] = "INSERT INTO credential_uses(device, credential, at_ms) "
                "SELECT device, id, ?3 FROM credentials WHERE device = ?1 AND id = ?2 "
                "ON CONFLICT(device, credential) DO UPDATE SET at_ms = max(at_ms, excluded.at_ms)",
    [CERTIFICATE_RAISE] =
        "UPDATE certificate_uses SET at_ms = max(at_ms, ?6), not_before_ms = ?4, not_after_ms = ?5 "
        "WHERE device = ?1 AND anchor = ?2 AND serial = ?3",
    [CERTIFICATE_PUT] =
        "INSERT INTO certificate_uses(device, anchor, serial, not_before_ms, not_after_ms, "
        "first_ms, at_ms) SELECT d.number, a.number, ?3, ?4, ?5, ?6, ?6 "
        "FROM devices d, anchors a WHERE d.number = ?1 AND a.number = ?2",
    [CERTIFICATE_CUT] =
        "DELETE FROM certificate_uses WHERE device = ?1 AND (anchor, serial) NOT IN "
        "(SELECT anchor, serial FROM certificate_uses WHERE device = ?1 "
        "ORDER BY at_ms DESC LIMIT ?2)",
    [CERTIFICATE_LIST] =
        "SELECT c.anchor, substr(a.fingerprint, 1, 16), c.serial, a.state, c.not_before_ms, "
        "c.not_after_ms, c.first_ms, c.at_ms, coalesce(r.at_ms, 0) FROM ("
        "SELECT anchor, serial, not_before_ms, not_after_ms, first_ms, at_ms "
        "FROM certificate_uses WHERE device = ?1 UNION ALL "
        "SELECT anchor, serial, not_before_ms, not_after_ms, issued_at_ms, 0 FROM issued i "
        "WHERE device = ?1 AND not_after_ms > ?2 AND NOT EXISTS (SELECT 1 FROM certificate_uses u "
        "WHERE u.device = i.device AND u.anchor = i.anchor AND u.serial = i.serial)) c "
        "JOIN anchors a ON a.number = c.anchor "
        "LEFT JOIN revocations r ON r.anchor = c.anchor AND r.serial = c.serial "
        "ORDER BY c.at_ms DESC, c.first_ms DESC LIMIT ?3",
};

static enum gh_error_code put_record(struct gh_link *link, const struct gh_credential_use *use,
                                     struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[USE_PUT]);
    gh_sql_put_int(&q, (int64_t)use->device);
    gh_sql_put_text(&q, use->credential);
    gh_sql_put_int(&q, use->at_ms);
    return gh_sql_run(&q, NULL, error);
}

static enum gh_error_code run_certificate(struct gh_link *link, const char *text,
                                          const struct gh_credential_use *use, int64_t *changed,
                                          struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, text);
    gh_sql_put_int(&q, (int64_t)use->device);
    gh_sql_put_int(&q, use->anchor);
    gh_sql_put_text(&q, use->serial);
    gh_sql_put_int(&q, use->not_before_ms);
    gh_sql_put_int(&q, use->not_after_ms);
    gh_sql_put_int(&q, use->at_ms);
    return gh_sql_run(&q, changed, error);
}

/* A certificate that is new to its device pushes out the one that was used least lately. */
static enum gh_error_code put_certificate(struct gh_link *link, const struct gh_credential_use *use,
                                          struct gh_error *error)
{
    int64_t changed = 0;
    enum gh_error_code code = run_certificate(link, sql[CERTIFICATE_RAISE], use, &changed, error);
    if (code == GH_OK && changed == 0)
        code = run_certificate(link, sql[CERTIFICATE_PUT], use, &changed, error);
    else
        return code;
    if (code != GH_OK || changed == 0)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[CERTIFICATE_CUT]);
    gh_sql_put_int(&q, (int64_t)use->device);
    gh_sql_put_int(&q, GH_CERTIFICATE_USES_MAX);
    return gh_sql_run(&q, NULL, error);
}

enum gh_error_code gh_store_credential_uses_put(struct gh_store *store,
                                                const struct gh_credential_use *rows, size_t count,
                                                struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    for (size_t i = 0; code == GH_OK && i < count; i++)
        code = rows[i].anchor != 0 ? put_certificate(link, &rows[i], error)
                                   : put_record(link, &rows[i], error);
    return gh_write_end(link, code, error);
}

enum gh_error_code gh_store_certificate_use_list(struct gh_store *store, uint64_t device,
                                                 int64_t now_ms, struct gh_arena *arena,
                                                 struct gh_certificate_use **out, size_t *count,
                                                 struct gh_error *error)
{
    struct gh_rows rows = {.arena = arena, .item_size = sizeof **out};
    struct gh_certificate_use *row;
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[CERTIFICATE_LIST]);
    gh_sql_put_int(&q, (int64_t)device);
    gh_sql_put_int(&q, now_ms);
    gh_sql_put_int(&q, 2 * GH_CERTIFICATE_USES_MAX);
    while (gh_sql_next(&q) && (row = gh_rows_add(&rows, &q)) != NULL) {
        row->anchor = gh_sql_int(&q);
        row->anchor_id = gh_sql_text(&q, arena);
        row->serial = gh_sql_text(&q, arena);
        row->anchor_state = (enum gh_anchor_state)gh_sql_int(&q);
        row->not_before_ms = gh_sql_int(&q);
        row->not_after_ms = gh_sql_int(&q);
        row->first_ms = gh_sql_int(&q);
        row->last_used_ms = gh_sql_int(&q);
        row->revoked_at_ms = gh_sql_int(&q);
    }
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    *out = rows.items;
    *count = rows.count;
    return code;
}
