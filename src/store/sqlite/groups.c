/* Groups of devices and who is in them. */
#include "store/sqlite/sqlite_internal.h"

enum {
    GROUP_COUNT,
    GROUP_CREATE,
    GROUP_FIND,
    GROUP_LIST,
    GROUP_DELETE,
    GROUPS_OF,
    GROUP_ADD,
    GROUP_REMOVE,
    GROUP_MEMBERS,
    STATEMENTS
};

#define GROUP                                                                                      \
    "number, tenant, name, created_at_ms, "                                                        \
    "(SELECT count(*) FROM device_group_members m WHERE m.device_group = device_groups.number)"

static const char *const sql[STATEMENTS] = {
    [GROUP_COUNT] = "SELECT count(*) FROM device_groups WHERE tenant = ?1",
    [GROUP_CREATE] = "INSERT INTO device_groups(tenant, name, created_at_ms) VALUES(?1, ?2, ?3)",
    [GROUP_FIND] = "SELECT " GROUP " FROM device_groups WHERE tenant = ?1 AND name = ?2",
    [GROUP_LIST] = "SELECT " GROUP " FROM device_groups WHERE tenant = ?1 ORDER BY name",
    [GROUP_DELETE] = "DELETE FROM device_groups WHERE number = ?1",
    [GROUPS_OF] = "SELECT count(*), coalesce(max(device_group = ?2), 0) FROM device_group_members "
                  "WHERE device = ?1",
    [GROUP_ADD] = "INSERT INTO device_group_members(device_group, device) VALUES(?1, ?2)",
    [GROUP_REMOVE] = "DELETE FROM device_group_members WHERE device_group = ?1 AND device = ?2",
    [GROUP_MEMBERS] = "SELECT m.device, r.name, d.id FROM device_group_members m JOIN devices d "
                      "ON d.number = m.device JOIN registries r ON r.number = d.registry "
                      "WHERE m.device_group = ?1 AND m.device > ?2 ORDER BY m.device LIMIT ?3",
};

static enum gh_error_code create(struct gh_link *link, struct gh_device_group *group,
                                 size_t groups_max, struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[GROUP_COUNT]);
    gh_sql_put_int(&q, group->tenant);
    int64_t count = gh_sql_next(&q) ? gh_sql_int(&q) : 0;
    enum gh_error_code code = gh_sql_close(&q, error);
    if (code == GH_OK && count >= (int64_t)groups_max)
        code = gh_error_set(error, GH_ERROR_LIMIT, "a tenant has at most %zu groups", groups_max);
    if (code != GH_OK)
        return code;
    q = gh_sql_open(link, sql[GROUP_CREATE]);
    gh_sql_put_int(&q, group->tenant);
    gh_sql_put_text(&q, group->name);
    gh_sql_put_int(&q, group->created_at_ms);
    code = gh_sql_run(&q, NULL, error);
    if (code == GH_ERROR_EXISTS)
        return gh_error_set(error, code, "there is a group %.*s", GH_PRINT(group->name));
    if (code == GH_ERROR_PRECONDITION)
        return gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such tenant");
    group->number = sqlite3_last_insert_rowid(link->db);
    return code;
}

enum gh_error_code gh_store_group_create(struct gh_store *store, struct gh_device_group *group,
                                         size_t groups_max, struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    return code == GH_OK ? gh_write_end(link, create(link, group, groups_max, error), error) : code;
}

static void group_read(struct gh_sql *q, struct gh_arena *arena, struct gh_device_group *group)
{
    group->number = gh_sql_int(q);
    group->tenant = gh_sql_int(q);
    group->name = gh_sql_text(q, arena);
    group->created_at_ms = gh_sql_int(q);
    group->members = gh_sql_int(q);
}

enum gh_error_code gh_store_group_find(struct gh_store *store, int64_t tenant, struct gh_slice name,
                                       struct gh_arena *arena, struct gh_device_group *out,
                                       struct gh_error *error)
{
    struct gh_link *link;
    *out = (struct gh_device_group){0};
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[GROUP_FIND]);
    gh_sql_put_int(&q, tenant);
    gh_sql_put_text(&q, name);
    bool found = gh_sql_next(&q);
    if (found)
        group_read(&q, arena, out);
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    return code == GH_OK && !found
               ? gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no group %.*s", GH_PRINT(name))
               : code;
}

enum gh_error_code gh_store_group_list(struct gh_store *store, int64_t tenant,
                                       struct gh_arena *arena, struct gh_device_group **out,
                                       size_t *count, struct gh_error *error)
{
    struct gh_rows rows = {.arena = arena, .item_size = sizeof **out};
    struct gh_device_group *row;
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    *out = NULL;
    *count = 0;
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[GROUP_LIST]);
    gh_sql_put_int(&q, tenant);
    while (gh_sql_next(&q) && (row = gh_rows_add(&rows, &q)) != NULL)
        group_read(&q, arena, row);
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    *out = rows.items;
    *count = rows.count;
    return code;
}

enum gh_error_code gh_store_group_delete(struct gh_store *store, int64_t number,
                                         struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[GROUP_DELETE]);
    gh_sql_put_int(&q, number);
    return gh_write_end(link, gh_sql_run(&q, NULL, error), error);
}

static enum gh_error_code add(struct gh_link *link, int64_t group, uint64_t device,
                              size_t groups_max, struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[GROUPS_OF]);
    int64_t count = 0;
    bool there = false;
    gh_sql_put_int(&q, (int64_t)device);
    gh_sql_put_int(&q, group);
    if (gh_sql_next(&q)) {
        count = gh_sql_int(&q);
        there = gh_sql_bool(&q);
    }
    enum gh_error_code code = gh_sql_close(&q, error);
    if (code != GH_OK || there)
        return code;
    if (count >= (int64_t)groups_max)
        return gh_error_set(error, GH_ERROR_LIMIT, "a device is in at most %zu groups", groups_max);
    q = gh_sql_open(link, sql[GROUP_ADD]);
    gh_sql_put_int(&q, group);
    gh_sql_put_int(&q, (int64_t)device);
    code = gh_sql_run(&q, NULL, error);
    return code == GH_ERROR_PRECONDITION
               ? gh_error_set(error, GH_ERROR_NOT_FOUND, "the group or the device is gone")
               : code;
}

enum gh_error_code gh_store_group_add(struct gh_store *store, int64_t group, uint64_t device,
                                      size_t groups_max, struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    return code == GH_OK ? gh_write_end(link, add(link, group, device, groups_max, error), error)
                         : code;
}

enum gh_error_code gh_store_group_remove(struct gh_store *store, int64_t group, uint64_t device,
                                         struct gh_error *error)
{
    struct gh_link *link;
    int64_t changed = 0;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[GROUP_REMOVE]);
    gh_sql_put_int(&q, group);
    gh_sql_put_int(&q, (int64_t)device);
    code = gh_sql_run(&q, &changed, error);
    if (code == GH_OK && changed == 0)
        code = gh_error_set(error, GH_ERROR_NOT_FOUND, "the device is not in the group");
    return gh_write_end(link, code, error);
}

enum gh_error_code gh_store_group_members(struct gh_store *store, int64_t group, uint64_t after,
                                          size_t limit, struct gh_arena *arena,
                                          struct gh_device_group_member **out, size_t *count,
                                          struct gh_error *error)
{
    struct gh_rows rows = {.arena = arena, .item_size = sizeof **out};
    struct gh_device_group_member *row;
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    *out = NULL;
    *count = 0;
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[GROUP_MEMBERS]);
    gh_sql_put_int(&q, group);
    gh_sql_put_int(&q, (int64_t)after);
    gh_sql_put_int(&q, (int64_t)limit);
    while (gh_sql_next(&q) && (row = gh_rows_add(&rows, &q)) != NULL) {
        row->device = (uint64_t)gh_sql_int(&q);
        row->registry_name = gh_sql_text(&q, arena);
        row->device_id = gh_sql_text(&q, arena);
    }
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    *out = rows.items;
    *count = rows.count;
    return code;
}
