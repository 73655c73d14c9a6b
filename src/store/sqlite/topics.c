/* Topics, subscriptions and snapshots. */
#include "store/sqlite/sqlite_internal.h"

enum {
    TOPIC_CREATE,
    TOPIC_UPDATE,
    TOPIC_DELETE,
    TOPIC_LIST,
    SUBSCRIPTION_CREATE,
    SUBSCRIPTION_UPDATE,
    SUBSCRIPTION_DELETE,
    SUBSCRIPTION_LIST,
    SNAPSHOT_CREATE,
    SNAPSHOT_UPDATE,
    SNAPSHOT_DELETE,
    SNAPSHOT_LIST,
    SNAPSHOT_STATE,
};

static const char *const sql[] = {
    [TOPIC_CREATE] = "INSERT INTO topics(tenant, name, settings, created_at_ms, retention_s) "
                     "VALUES(?1, ?2, ?3, ?4, ?5)",
    [TOPIC_UPDATE] =
        "UPDATE topics SET settings = ?2, retention_s = ?3, policy = ?4 WHERE number = ?1",
    [TOPIC_DELETE] = "DELETE FROM topics WHERE number = ?1",
    [TOPIC_LIST] =
        "SELECT number, tenant, name, settings, created_at_ms, retention_s, policy FROM topics "
        "ORDER BY number",
    [SUBSCRIPTION_CREATE] =
        "INSERT INTO subscriptions(tenant, topic, topic_name, name, ack_deadline_s, retention_s, "
        "first_offset, settings, created_at_ms, rules) "
        "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    [SUBSCRIPTION_UPDATE] =
        "UPDATE subscriptions SET ack_deadline_s = ?2, retention_s = ?3, settings = ?4, "
        "rules = ?5, policy = ?6 WHERE number = ?1",
    [SUBSCRIPTION_DELETE] = "DELETE FROM subscriptions WHERE number = ?1",
    [SUBSCRIPTION_LIST] =
        "SELECT number, tenant, topic, topic_name, name, ack_deadline_s, retention_s, "
        "first_offset, settings, created_at_ms, rules, policy FROM subscriptions ORDER BY number",
    [SNAPSHOT_CREATE] = "INSERT INTO snapshots(tenant, topic, topic_name, name, settings, "
                        "from_offset, expires_at_ms, state) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [SNAPSHOT_UPDATE] = "UPDATE snapshots SET settings = ?2, expires_at_ms = ?3 WHERE number = ?1",
    [SNAPSHOT_DELETE] = "DELETE FROM snapshots WHERE number = ?1",
    [SNAPSHOT_LIST] = "SELECT number, tenant, topic, topic_name, name, settings, from_offset, "
                      "expires_at_ms FROM snapshots ORDER BY number",
    [SNAPSHOT_STATE] = "SELECT state FROM snapshots WHERE number = ?1",
};

/* ---- what the three do alike */

/* One statement that changes a row, in a transaction of its own. */
struct change {
    struct gh_link *link;
    struct gh_sql q;
};

static enum gh_error_code change_begin(struct gh_store *store, const char *text,
                                       struct change *change, struct gh_error *error)
{
    enum gh_error_code code = gh_write_begin(store, &change->link, error);
    if (code == GH_OK)
        change->q = gh_sql_open(change->link, text);
    return code;
}

/* Of the one row named by its number; NOT_FOUND when there is none. */
static enum gh_error_code change_end(struct change *change, const char *noun,
                                     struct gh_error *error)
{
    int64_t changed = 0;
    enum gh_error_code code = gh_sql_run(&change->q, &changed, error);
    if (code == GH_OK && changed == 0)
        code = gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such %s", noun);
    return gh_write_end(change->link, code, error);
}

/* Of a row that is made; `*number` becomes what names it. */
static enum gh_error_code create_end(struct change *change, const char *noun, struct gh_slice name,
                                     int64_t *number, struct gh_error *error)
{
    enum gh_error_code code = gh_sql_run(&change->q, NULL, error);
    if (code == GH_ERROR_EXISTS)
        gh_error_set(error, code, "%s %.*s: the name is taken", noun, GH_PRINT(name));
    if (code == GH_ERROR_PRECONDITION)
        code = gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such tenant or topic");
    if (code == GH_OK)
        *number = sqlite3_last_insert_rowid(change->link->db);
    return gh_write_end(change->link, code, error);
}

/* Deletes the row of that number. */
static enum gh_error_code delete_one(struct gh_store *store, const char *text, int64_t number,
                                     const char *noun, struct gh_error *error)
{
    struct change change;
    enum gh_error_code code = change_begin(store, text, &change, error);
    if (code != GH_OK)
        return code;
    gh_sql_put_int(&change.q, number);
    return change_end(&change, noun, error);
}

/* All rows of a statement without values, each read into an item of `rows`. */
static enum gh_error_code
list_all(struct gh_store *store, const char *text, struct gh_rows *rows,
         void (*read)(struct gh_sql *q, struct gh_arena *arena, void *item), struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, text);
    void *item;
    while (gh_sql_next(&q) && (item = gh_rows_add(rows, &q)) != NULL)
        read(&q, rows->arena, item);
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    return code;
}

/* ---- topics */

enum gh_error_code gh_store_topic_create(struct gh_store *store, struct gh_topic_row *row,
                                         struct gh_error *error)
{
    struct change change;
    enum gh_error_code code = change_begin(store, sql[TOPIC_CREATE], &change, error);
    if (code != GH_OK)
        return code;
    gh_sql_put_int(&change.q, row->tenant);
    gh_sql_put_text(&change.q, row->name);
    gh_sql_put_text(&change.q, row->settings);
    gh_sql_put_int(&change.q, row->created_at_ms);
    gh_sql_put_int(&change.q, row->retention_s);
    return create_end(&change, "topic", row->name, &row->number, error);
}

enum gh_error_code gh_store_topic_update(struct gh_store *store, const struct gh_topic_row *row,
                                         struct gh_error *error)
{
    struct change change;
    enum gh_error_code code = change_begin(store, sql[TOPIC_UPDATE], &change, error);
    if (code != GH_OK)
        return code;
    gh_sql_put_int(&change.q, row->number);
    gh_sql_put_text(&change.q, row->settings);
    gh_sql_put_int(&change.q, row->retention_s);
    gh_sql_put_text(&change.q, row->policy);
    return change_end(&change, "topic", error);
}

enum gh_error_code gh_store_topic_delete(struct gh_store *store, int64_t number,
                                         struct gh_error *error)
{
    return delete_one(store, sql[TOPIC_DELETE], number, "topic", error);
}

static void read_topic(struct gh_sql *q, struct gh_arena *arena, void *item)
{
    struct gh_topic_row *row = item;
    row->number = gh_sql_int(q);
    row->tenant = gh_sql_int(q);
    row->name = gh_sql_text(q, arena);
    row->settings = gh_sql_text(q, arena);
    row->created_at_ms = gh_sql_int(q);
    row->retention_s = gh_sql_int(q);
    row->policy = gh_sql_text(q, arena);
}

enum gh_error_code gh_store_topic_list(struct gh_store *store, struct gh_arena *arena,
                                       struct gh_topic_row **out, size_t *count,
                                       struct gh_error *error)
{
    struct gh_rows rows = {.arena = arena, .item_size = sizeof **out};
    enum gh_error_code code = list_all(store, sql[TOPIC_LIST], &rows, read_topic, error);
    *out = rows.items;
    *count = rows.count;
    return code;
}

/* ---- subscriptions */

enum gh_error_code gh_store_subscription_create(struct gh_store *store,
                                                struct gh_subscription_row *row,
                                                struct gh_error *error)
{
    struct change change;
    enum gh_error_code code = change_begin(store, sql[SUBSCRIPTION_CREATE], &change, error);
    if (code != GH_OK)
        return code;
    gh_sql_put_int(&change.q, row->tenant);
    gh_sql_put_int(&change.q, row->topic);
    gh_sql_put_text(&change.q, row->topic_name);
    gh_sql_put_text(&change.q, row->name);
    gh_sql_put_int(&change.q, row->ack_deadline_s);
    gh_sql_put_int(&change.q, row->retention_s);
    gh_sql_put_int(&change.q, (int64_t)row->first_offset);
    gh_sql_put_text(&change.q, row->settings);
    gh_sql_put_int(&change.q, row->created_at_ms);
    gh_sql_put_text(&change.q, row->rules);
    return create_end(&change, "subscription", row->name, &row->number, error);
}

enum gh_error_code gh_store_subscription_update(struct gh_store *store,
                                                const struct gh_subscription_row *row,
                                                struct gh_error *error)
{
    struct change change;
    enum gh_error_code code = change_begin(store, sql[SUBSCRIPTION_UPDATE], &change, error);
    if (code != GH_OK)
        return code;
    gh_sql_put_int(&change.q, row->number);
    gh_sql_put_int(&change.q, row->ack_deadline_s);
    gh_sql_put_int(&change.q, row->retention_s);
    gh_sql_put_text(&change.q, row->settings);
    gh_sql_put_text(&change.q, row->rules);
    gh_sql_put_text(&change.q, row->policy);
    return change_end(&change, "subscription", error);
}

enum gh_error_code gh_store_subscription_delete(struct gh_store *store, int64_t number,
                                                struct gh_error *error)
{
    return delete_one(store, sql[SUBSCRIPTION_DELETE], number, "subscription", error);
}

static void read_subscription(struct gh_sql *q, struct gh_arena *arena, void *item)
{
    struct gh_subscription_row *row = item;
    row->number = gh_sql_int(q);
    row->tenant = gh_sql_int(q);
    row->topic = gh_sql_int(q); /* NULL reads as 0 */
    row->topic_name = gh_sql_text(q, arena);
    row->name = gh_sql_text(q, arena);
    row->ack_deadline_s = gh_sql_int(q);
    row->retention_s = gh_sql_int(q);
    row->first_offset = (uint64_t)gh_sql_int(q);
    row->settings = gh_sql_text(q, arena);
    row->created_at_ms = gh_sql_int(q);
    row->rules = gh_sql_text(q, arena);
    row->policy = gh_sql_text(q, arena);
}

enum gh_error_code gh_store_subscription_list(struct gh_store *store, struct gh_arena *arena,
                                              struct gh_subscription_row **out, size_t *count,
                                              struct gh_error *error)
{
    struct gh_rows rows = {.arena = arena, .item_size = sizeof **out};
    enum gh_error_code code =
        list_all(store, sql[SUBSCRIPTION_LIST], &rows, read_subscription, error);
    *out = rows.items;
    *count = rows.count;
    return code;
}

/* ---- snapshots */

enum gh_error_code gh_store_snapshot_create(struct gh_store *store, struct gh_snapshot_row *row,
                                            struct gh_slice state, struct gh_error *error)
{
    struct change change;
    enum gh_error_code code = change_begin(store, sql[SNAPSHOT_CREATE], &change, error);
    if (code != GH_OK)
        return code;
    gh_sql_put_int(&change.q, row->tenant);
    gh_sql_put_reference(&change.q, row->topic);
    gh_sql_put_text(&change.q, row->topic_name);
    gh_sql_put_text(&change.q, row->name);
    gh_sql_put_text(&change.q, row->settings);
    gh_sql_put_int(&change.q, (int64_t)row->from_offset);
    gh_sql_put_int(&change.q, row->expires_at_ms);
    gh_sql_put_bytes(&change.q, state);
    return create_end(&change, "snapshot", row->name, &row->number, error);
}

enum gh_error_code gh_store_snapshot_update(struct gh_store *store,
                                            const struct gh_snapshot_row *row,
                                            struct gh_error *error)
{
    struct change change;
    enum gh_error_code code = change_begin(store, sql[SNAPSHOT_UPDATE], &change, error);
    if (code != GH_OK)
        return code;
    gh_sql_put_int(&change.q, row->number);
    gh_sql_put_text(&change.q, row->settings);
    gh_sql_put_int(&change.q, row->expires_at_ms);
    return change_end(&change, "snapshot", error);
}

enum gh_error_code gh_store_snapshot_delete(struct gh_store *store, int64_t number,
                                            struct gh_error *error)
{
    return delete_one(store, sql[SNAPSHOT_DELETE], number, "snapshot", error);
}

static void read_snapshot(struct gh_sql *q, struct gh_arena *arena, void *item)
{
    struct gh_snapshot_row *row = item;
    row->number = gh_sql_int(q);
    row->tenant = gh_sql_int(q);
    row->topic = gh_sql_int(q); /* NULL reads as 0 */
    row->topic_name = gh_sql_text(q, arena);
    row->name = gh_sql_text(q, arena);
    row->settings = gh_sql_text(q, arena);
    row->from_offset = (uint64_t)gh_sql_int(q);
    row->expires_at_ms = gh_sql_int(q);
}

enum gh_error_code gh_store_snapshot_list(struct gh_store *store, struct gh_arena *arena,
                                          struct gh_snapshot_row **out, size_t *count,
                                          struct gh_error *error)
{
    struct gh_rows rows = {.arena = arena, .item_size = sizeof **out};
    enum gh_error_code code = list_all(store, sql[SNAPSHOT_LIST], &rows, read_snapshot, error);
    *out = rows.items;
    *count = rows.count;
    return code;
}

enum gh_error_code gh_store_snapshot_state(struct gh_store *store, int64_t number,
                                           struct gh_arena *arena, struct gh_slice *out,
                                           struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[SNAPSHOT_STATE]);
    gh_sql_put_int(&q, number);
    bool found = gh_sql_next(&q);
    *out = found ? gh_sql_text(&q, arena) : (struct gh_slice){0};
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    return code == GH_OK && !found
               ? gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such snapshot")
               : code;
}
