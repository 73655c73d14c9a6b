/* Documents of devices: configs and states with their history, and the times of activity. */
#include "store/sqlite/sqlite_internal.h"

enum {
    CONFIG_NEWEST,
    CONFIG_CREATE,
    CONFIG_TRIM,
    CONFIG_LIST,
    CONFIG_ACKNOWLEDGED,
    STATE_NEWEST,
    STATE_CREATE,
    STATE_TRIM,
    STATE_LIST,
    ACTIVITY_RAISE,
};

static const char *const sql[] = {
    [CONFIG_NEWEST] = "SELECT max(version) FROM configs WHERE device = ?1",
    [CONFIG_CREATE] =
        "INSERT INTO configs(device, version, updated_at_ms, acknowledged_at_ms, data) "
        "VALUES(?1, ?2, ?3, 0, ?4)",
    [CONFIG_TRIM] = "DELETE FROM configs WHERE device = ?1 AND version <= ?2",
    [CONFIG_LIST] =
        "SELECT version, updated_at_ms, acknowledged_at_ms, data FROM configs WHERE device = ?1 "
        "ORDER BY version DESC LIMIT ?2",
    [CONFIG_ACKNOWLEDGED] = "UPDATE configs SET acknowledged_at_ms = ?3 "
                            "WHERE device = ?1 AND version = ?2 AND acknowledged_at_ms = 0",
    [STATE_NEWEST] = "SELECT (SELECT coalesce(max(sequence), 0) FROM states WHERE device = ?1) "
                     "FROM devices WHERE number = ?1",
    [STATE_CREATE] =
        "INSERT INTO states(device, sequence, updated_at_ms, data) VALUES(?1, ?2, ?3, ?4)",
    [STATE_TRIM] = "DELETE FROM states WHERE device = ?1 AND sequence <= ?2",
    [STATE_LIST] =
        "SELECT updated_at_ms, data FROM states WHERE device = ?1 ORDER BY sequence DESC LIMIT ?2",
    /* Times only move forward; the error's code and text follow its time. A device that is gone
       gets no row. */
    [ACTIVITY_RAISE] = "INSERT INTO activity(device, heartbeat_ms, event_ms, state_ms, "
                       "config_ack_ms, config_send_ms, error_ms, "
                       "error_code, error_message) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 FROM "
                       "devices WHERE number = ?1 "
                       "ON CONFLICT(device) DO UPDATE SET "
                       "heartbeat_ms = max(heartbeat_ms, excluded.heartbeat_ms), "
                       "event_ms = max(event_ms, excluded.event_ms), "
                       "state_ms = max(state_ms, excluded.state_ms), "
                       "config_ack_ms = max(config_ack_ms, excluded.config_ack_ms), "
                       "config_send_ms = max(config_send_ms, excluded.config_send_ms), "
                       "error_code = iif(excluded.error_ms >= error_ms AND excluded.error_ms > 0, "
                       "excluded.error_code, error_code), "
                       "error_message = iif(excluded.error_ms >= error_ms AND excluded.error_ms > "
                       "0, excluded.error_message, "
                       "error_message), "
                       "error_ms = max(error_ms, excluded.error_ms)",
};

/* The newest version or sequence of a device by one of the two statements. */
static enum gh_error_code newest(struct gh_link *link, const char *text, uint64_t device,
                                 int64_t *number, bool *found, struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, text);
    gh_sql_put_int(&q, (int64_t)device);
    *found = gh_sql_next(&q);
    *number = *found ? gh_sql_int(&q) : 0;
    return gh_sql_close(&q, error);
}

/* Adds one row to a device's history and drops what is older than the last GH_DEVICE_HISTORY_MAX.
 */
static enum gh_error_code history_add(struct gh_link *link, int create, int trim, uint64_t device,
                                      int64_t number, int64_t utc_ms, struct gh_slice data,
                                      struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[create]);
    gh_sql_put_int(&q, (int64_t)device);
    gh_sql_put_int(&q, number);
    gh_sql_put_int(&q, utc_ms);
    gh_sql_put_bytes(&q, data);
    enum gh_error_code code = gh_sql_run(&q, NULL, error);
    if (code != GH_OK || number <= GH_DEVICE_HISTORY_MAX)
        return code;
    q = gh_sql_open(link, sql[trim]);
    gh_sql_put_int(&q, (int64_t)device);
    gh_sql_put_int(&q, number - GH_DEVICE_HISTORY_MAX);
    return gh_sql_run(&q, NULL, error);
}

static enum gh_error_code config_set(struct gh_link *link, uint64_t device, struct gh_slice data,
                                     int64_t if_version, int64_t utc_ms, int64_t *version,
                                     struct gh_error *error)
{
    int64_t current;
    bool found;
    enum gh_error_code code = newest(link, sql[CONFIG_NEWEST], device, &current, &found, error);
    if (code != GH_OK)
        return code;
    if (current == 0) /* every device has a config from its creation on */
        return gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such device");
    if (if_version != 0 && if_version != current)
        return gh_error_set(error, GH_ERROR_CONFLICT, "the config is at version %lld, not %lld",
                            (long long)current, (long long)if_version);
    *version = current + 1;
    return history_add(link, CONFIG_CREATE, CONFIG_TRIM, device, *version, utc_ms, data, error);
}

enum gh_error_code gh_store_config_set(struct gh_store *store, uint64_t device,
                                       struct gh_slice data, int64_t if_version, int64_t utc_ms,
                                       int64_t *version, struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    return gh_write_end(link, config_set(link, device, data, if_version, utc_ms, version, error),
                        error);
}

enum gh_error_code gh_store_config_list(struct gh_store *store, uint64_t device, size_t limit,
                                        struct gh_arena *arena, struct gh_config **out,
                                        size_t *count, struct gh_error *error)
{
    struct gh_rows rows = {.arena = arena, .item_size = sizeof **out};
    struct gh_link *link;
    struct gh_config *row;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[CONFIG_LIST]);
    gh_sql_put_int(&q, (int64_t)device);
    gh_sql_put_int(&q, (int64_t)limit);
    while (gh_sql_next(&q) && (row = gh_rows_add(&rows, &q)) != NULL) {
        row->version = gh_sql_int(&q);
        row->updated_at_ms = gh_sql_int(&q);
        row->acknowledged_at_ms = gh_sql_int(&q);
        row->data = gh_sql_text(&q, arena);
    }
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    *out = rows.items;
    *count = rows.count;
    if (code == GH_OK && rows.count == 0) /* every device has a config from its creation on */
        code = gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such device");
    return code;
}

enum gh_error_code gh_store_config_acknowledged(struct gh_store *store, uint64_t device,
                                                int64_t version, int64_t utc_ms,
                                                struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[CONFIG_ACKNOWLEDGED]);
    gh_sql_put_int(&q, (int64_t)device);
    gh_sql_put_int(&q, version);
    gh_sql_put_int(&q, utc_ms);
    return gh_write_end(link, gh_sql_run(&q, NULL, error), error);
}

static enum gh_error_code state_set(struct gh_link *link, uint64_t device, struct gh_slice data,
                                    int64_t utc_ms, struct gh_error *error)
{
    int64_t sequence;
    bool found;
    enum gh_error_code code = newest(link, sql[STATE_NEWEST], device, &sequence, &found, error);
    if (code != GH_OK)
        return code;
    if (!found)
        return gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such device");
    return history_add(link, STATE_CREATE, STATE_TRIM, device, sequence + 1, utc_ms, data, error);
}

enum gh_error_code gh_store_state_set(struct gh_store *store, uint64_t device, struct gh_slice data,
                                      int64_t utc_ms, struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    return code == GH_OK ? gh_write_end(link, state_set(link, device, data, utc_ms, error), error)
                         : code;
}

enum gh_error_code gh_store_state_list(struct gh_store *store, uint64_t device, size_t limit,
                                       struct gh_arena *arena, struct gh_state **out, size_t *count,
                                       struct gh_error *error)
{
    struct gh_rows rows = {.arena = arena, .item_size = sizeof **out};
    struct gh_link *link;
    struct gh_state *row;
    int64_t sequence;
    bool found = false;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[STATE_LIST]);
    gh_sql_put_int(&q, (int64_t)device);
    gh_sql_put_int(&q, (int64_t)limit);
    while (gh_sql_next(&q) && (row = gh_rows_add(&rows, &q)) != NULL) {
        row->present = true;
        row->updated_at_ms = gh_sql_int(&q);
        row->data = gh_sql_text(&q, arena);
    }
    code = gh_sql_close(&q, error);
    if (code == GH_OK)
        code = newest(link, sql[STATE_NEWEST], device, &sequence, &found, error);
    gh_read_end(link);
    *out = rows.items;
    *count = rows.count;
    return code == GH_OK && !found
               ? gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such device")
               : code;
}

static enum gh_error_code activity_raise(struct gh_link *link, const struct gh_activity_times *row,
                                         struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[ACTIVITY_RAISE]);
    gh_sql_put_int(&q, (int64_t)row->device);
    for (size_t i = 0; i < GH_ACTIVITY_COUNT; i++)
        gh_sql_put_int(&q, row->at_ms[i]);
    gh_sql_put_int(&q, row->error_code);
    gh_sql_put_text(&q, row->error_message);
    return gh_sql_run(&q, NULL, error);
}

static_assert(GH_ACTIVITY_HEARTBEAT == 0 && GH_ACTIVITY_EVENT == 1 && GH_ACTIVITY_STATE == 2 &&
                  GH_ACTIVITY_CONFIG_ACK == 3 && GH_ACTIVITY_CONFIG_SEND == 4 &&
                  GH_ACTIVITY_ERROR == 5,
              "the order of the columns in ACTIVITY_RAISE");

enum gh_error_code gh_store_activity_put(struct gh_store *store,
                                         const struct gh_activity_times *rows, size_t count,
                                         struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    for (size_t i = 0; code == GH_OK && i < count; i++)
        code = activity_raise(link, &rows[i], error);
    return gh_write_end(link, code, error);
}
