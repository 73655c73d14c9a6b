/* Trail rows. Appending trims as it goes: each device keeps its newest entries, unknown devices
 * together keep theirs (whoever knocks without a name cannot wash a device's entries away), and all
 * together have a cap. */
#include "store/sqlite/sqlite_internal.h"
#include <stdlib.h>

enum {
    DEVICE_ROWS_MAX = 1000,
    UNKNOWN_ROWS_MAX = 10000,
    ALL_ROWS_MAX = 1000000,
    TRIM_ROWS_MAX = 2000, /* per append, so that no single commit grows long */
};

enum {
    TRAIL_CREATE,
    TRAIL_TRIM_DEVICE,
    TRAIL_TRIM_OLDEST,
    TRAIL_COUNT,
    TRAIL_LAST,
    TRAIL_LIST_DEVICE,
    TRAIL_LIST_TENANT,
    TRAIL_LIST_KIND,
    TRAIL_LIST_ALL,
};

#define SELECT                                                                                     \
    "SELECT sequence, at_ms, device, tenant, registry, device_id, kind, reason, detail, address "  \
    "FROM trail "
/* ?1 device, ?2 tenant, ?3 the one kind, ?4 kinds as bits, ?5 from, ?6 to, ?7 before, ?8 limit. */
#define CONDITIONS                                                                                 \
    "AND (?4 = 0 OR (?4 >> kind) & 1) AND at_ms >= ?5 AND at_ms < ?6 AND sequence < ?7 "           \
    "ORDER BY sequence DESC LIMIT ?8"

static const char *const sql[] = {
    [TRAIL_CREATE] = "INSERT INTO trail(sequence, at_ms, device, tenant, registry, device_id, "
                     "kind, reason, detail, "
                     "address) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    [TRAIL_TRIM_DEVICE] =
        "DELETE FROM trail WHERE device = ?1 AND sequence <= (SELECT sequence FROM trail "
        "WHERE device = ?1 ORDER BY sequence DESC LIMIT 1 OFFSET ?2)",
    [TRAIL_TRIM_OLDEST] = "DELETE FROM trail WHERE sequence IN (SELECT sequence FROM trail ORDER "
                          "BY sequence LIMIT ?1)",
    [TRAIL_COUNT] = "SELECT count(*) FROM trail",
    [TRAIL_LAST] = "SELECT max(sequence) FROM trail",
    [TRAIL_LIST_DEVICE] = SELECT
    "WHERE device = ?1 AND (?2 = '' OR tenant = ?2) AND (?3 = 0 OR +kind = ?3) " CONDITIONS,
    [TRAIL_LIST_TENANT] =
        SELECT "WHERE tenant = ?2 AND ?1 = 0 AND (?3 = 0 OR +kind = ?3) " CONDITIONS,
    [TRAIL_LIST_KIND] = SELECT "WHERE kind = ?3 AND ?1 = 0 AND ?2 = '' " CONDITIONS,
    [TRAIL_LIST_ALL] = SELECT "WHERE ?1 = 0 AND ?2 = '' AND ?3 = 0 " CONDITIONS,
};

static enum gh_error_code create(struct gh_link *link, const struct gh_trail_entry *entry,
                                 struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[TRAIL_CREATE]);
    gh_sql_put_int(&q, entry->sequence);
    gh_sql_put_int(&q, entry->at_ms);
    gh_sql_put_int(&q, (int64_t)entry->device);
    gh_sql_put_text(&q, entry->tenant);
    gh_sql_put_text(&q, entry->registry);
    gh_sql_put_text(&q, entry->device_id);
    gh_sql_put_int(&q, entry->kind);
    gh_sql_put_text(&q, entry->reason);
    gh_sql_put_text(&q, entry->detail);
    gh_sql_put_text(&q, entry->address);
    return gh_sql_run(&q, NULL, error);
}

static enum gh_error_code trim_device(struct gh_link *link, uint64_t device, int64_t *removed,
                                      struct gh_error *error)
{
    int64_t changed = 0;
    struct gh_sql q = gh_sql_open(link, sql[TRAIL_TRIM_DEVICE]);
    gh_sql_put_int(&q, (int64_t)device);
    gh_sql_put_int(&q, device == 0 ? UNKNOWN_ROWS_MAX : DEVICE_ROWS_MAX);
    enum gh_error_code code = gh_sql_run(&q, &changed, error);
    *removed += changed;
    return code;
}

static enum gh_error_code trim_oldest(struct gh_link *link, int64_t rows, int64_t *removed,
                                      struct gh_error *error)
{
    int64_t changed = 0;
    if (rows <= 0)
        return GH_OK;
    struct gh_sql q = gh_sql_open(link, sql[TRAIL_TRIM_OLDEST]);
    gh_sql_put_int(&q, rows > TRIM_ROWS_MAX ? TRIM_ROWS_MAX : rows);
    enum gh_error_code code = gh_sql_run(&q, &changed, error);
    *removed += changed;
    return code;
}

static enum gh_error_code rows_count(struct gh_link *link, int64_t *count, struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[TRAIL_COUNT]);
    *count = gh_sql_next(&q) ? gh_sql_int(&q) : 0;
    return gh_sql_close(&q, error);
}

static int by_number(const void *a, const void *b)
{
    uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;
    return (first > second) - (first < second);
}

/* One trim for each device of the batch, which walks over all entries that the device keeps: to
 * trim with each of many entries of the same few devices was a third of what their connections
 * cost. */
static enum gh_error_code trim_devices(struct gh_link *link, const struct gh_trail_entry *entries,
                                       size_t count, int64_t *removed, struct gh_error *error)
{
    enum gh_error_code code = GH_OK;
    uint64_t *devices = malloc((count + 1) * sizeof *devices);
    if (devices == NULL)
        return gh_error_set(error, GH_ERROR_MEMORY, "no memory to write the trail");
    for (size_t i = 0; i < count; i++)
        devices[i] = entries[i].device;
    qsort(devices, count, sizeof *devices, by_number);
    for (size_t i = 0; code == GH_OK && i < count; i++)
        if (i == 0 || devices[i] != devices[i - 1])
            code = trim_device(link, devices[i], removed, error);
    free(devices);
    return code;
}

static enum gh_error_code append(struct gh_link *link, const struct gh_trail_entry *entries,
                                 size_t count, int64_t *rows, struct gh_error *error)
{
    int64_t removed = 0;
    enum gh_error_code code = *rows < 0 ? rows_count(link, rows, error) : GH_OK;
    for (size_t i = 0; code == GH_OK && i < count; i++)
        code = create(link, &entries[i], error);
    if (code == GH_OK)
        code = trim_devices(link, entries, count, &removed, error);
    if (code == GH_OK)
        code = trim_oldest(link, *rows + (int64_t)count - removed - ALL_ROWS_MAX, &removed, error);
    *rows += (int64_t)count - removed;
    return code;
}

enum gh_error_code gh_store_trail_append(struct gh_store *store,
                                         const struct gh_trail_entry *entries, size_t count,
                                         struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    int64_t rows = store->trail_rows;
    code = append(link, entries, count, &rows, error);
    store->trail_rows = rows;
    code = gh_write_end(link, code, error);
    if (code == GH_OK)
        return code;
    pthread_mutex_lock(&store->write_lock);
    store->trail_rows = -1; /* counted anew at the next append */
    pthread_mutex_unlock(&store->write_lock);
    return code;
}

static const char *list_statement(const struct gh_trail_filter *filter)
{
    if (filter->device != 0)
        return sql[TRAIL_LIST_DEVICE];
    if (filter->tenant.size > 0)
        return sql[TRAIL_LIST_TENANT];
    bool one_kind = filter->kinds != 0 && (filter->kinds & (filter->kinds - 1)) == 0;
    return sql[one_kind ? TRAIL_LIST_KIND : TRAIL_LIST_ALL];
}

static void filter_put(struct gh_sql *q, const struct gh_trail_filter *filter, bool by_kind)
{
    gh_sql_put_int(q, (int64_t)filter->device);
    gh_sql_put_text(q, filter->tenant);
    gh_sql_put_int(q, by_kind ? __builtin_ctz(filter->kinds) : 0);
    gh_sql_put_int(q, filter->kinds);
    gh_sql_put_int(q, filter->from_ms);
    gh_sql_put_int(q, filter->to_ms == 0 ? INT64_MAX : filter->to_ms);
    gh_sql_put_int(q, filter->before == 0 ? INT64_MAX : filter->before);
    gh_sql_put_int(q, (int64_t)filter->limit);
}

static void entry_read(struct gh_sql *q, struct gh_arena *arena, struct gh_trail_entry *row)
{
    row->sequence = gh_sql_int(q);
    row->at_ms = gh_sql_int(q);
    row->device = (uint64_t)gh_sql_int(q);
    row->tenant = gh_sql_text(q, arena);
    row->registry = gh_sql_text(q, arena);
    row->device_id = gh_sql_text(q, arena);
    row->kind = (enum gh_trail_kind)gh_sql_int(q);
    row->reason = gh_sql_text(q, arena);
    row->detail = gh_sql_text(q, arena);
    row->address = gh_sql_text(q, arena);
}

enum gh_error_code gh_store_trail_list(struct gh_store *store, const struct gh_trail_filter *filter,
                                       struct gh_arena *arena, struct gh_trail_entry **out,
                                       size_t *count, struct gh_error *error)
{
    struct gh_rows rows = {.arena = arena, .item_size = sizeof **out};
    struct gh_link *link;
    struct gh_trail_entry *row;
    const char *text = list_statement(filter);
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, text);
    filter_put(&q, filter, text == sql[TRAIL_LIST_KIND]);
    while (gh_sql_next(&q) && (row = gh_rows_add(&rows, &q)) != NULL)
        entry_read(&q, arena, row);
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    *out = rows.items;
    *count = rows.count;
    return code;
}

enum gh_error_code gh_store_trail_last(struct gh_store *store, int64_t *sequence,
                                       struct gh_error *error)
{
    struct gh_link *link;
    *sequence = 0;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[TRAIL_LAST]);
    if (gh_sql_next(&q))
        *sequence = gh_sql_int(&q);
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    return code;
}
