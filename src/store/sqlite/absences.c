/* Devices that are away. */
#include "store/absence.h"
#include "store/sqlite/sqlite_internal.h"

enum { ABSENCE_PUT, ABSENCE_DELETE, ABSENCE_LIST, GROUP_HAS };

static const char *const sql[] = {
    [ABSENCE_PUT] = "INSERT OR REPLACE INTO absences(device, tenant, since_ms, state) "
                    "SELECT number, tenant, ?2, ?3 FROM devices WHERE number = ?1",
    [ABSENCE_DELETE] = "DELETE FROM absences WHERE device = ?1",
    [ABSENCE_LIST] = "SELECT a.device, a.since_ms, a.state, r.name, d.id FROM absences a "
                     "JOIN devices d ON d.number = a.device "
                     "JOIN registries r ON r.number = d.registry "
                     "WHERE ?1 = 0 OR a.tenant = ?1 ORDER BY a.since_ms LIMIT ?2",
    [GROUP_HAS] = "SELECT 1 FROM devices d JOIN device_groups g ON g.tenant = d.tenant AND "
                  "g.name = ?2 JOIN device_group_members m ON m.device_group = g.number AND "
                  "m.device = d.number WHERE d.number = ?1",
};

enum gh_error_code gh_store_absence_put(struct gh_store *store, const struct gh_absence_row *row,
                                        struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[ABSENCE_PUT]);
    gh_sql_put_int(&q, (int64_t)row->device);
    gh_sql_put_int(&q, row->since_ms);
    gh_sql_put_int(&q, (int64_t)row->state);
    return gh_write_end(link, gh_sql_run(&q, NULL, error), error);
}

enum gh_error_code gh_store_absence_delete(struct gh_store *store, uint64_t device,
                                           struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[ABSENCE_DELETE]);
    gh_sql_put_int(&q, (int64_t)device);
    return gh_write_end(link, gh_sql_run(&q, NULL, error), error);
}

enum gh_error_code gh_store_absence_list(struct gh_store *store, int64_t tenant, size_t limit,
                                         struct gh_arena *arena, struct gh_absence_row **out,
                                         size_t *count, struct gh_error *error)
{
    struct gh_rows rows = {.arena = arena, .item_size = sizeof **out};
    struct gh_absence_row *row;
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    *out = NULL;
    *count = 0;
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[ABSENCE_LIST]);
    gh_sql_put_int(&q, tenant);
    gh_sql_put_int(&q, (int64_t)limit);
    while (gh_sql_next(&q) && (row = gh_rows_add(&rows, &q)) != NULL) {
        row->device = (uint64_t)gh_sql_int(&q);
        row->since_ms = gh_sql_int(&q);
        row->state = (enum gh_absence_state)gh_sql_int(&q);
        row->registry_name = gh_sql_text(&q, arena);
        row->device_id = gh_sql_text(&q, arena);
    }
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    *out = rows.items;
    *count = rows.count;
    return code;
}

enum gh_error_code gh_store_group_has(struct gh_store *store, struct gh_slice group,
                                      uint64_t device, bool *has, struct gh_error *error)
{
    struct gh_link *link;
    *has = false;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[GROUP_HAS]);
    gh_sql_put_int(&q, (int64_t)device);
    gh_sql_put_text(&q, group);
    *has = gh_sql_next(&q);
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    return code;
}
