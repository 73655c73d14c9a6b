#include "store/sqlite/sqlite_internal.h"

enum {
    REGISTRY_CREATE,
    REGISTRY_GET,
    REGISTRY_FIND,
    REGISTRY_LIST,
    REGISTRY_UPDATE,
    REGISTRY_DELETE,
    REGISTRY_POLICY_GET,
    REGISTRY_POLICY_SET,
    ROUTE_CREATE,
    ROUTE_LIST,
    ROUTE_CLEAR,
    CERTIFICATE_CREATE,
    CERTIFICATE_LIST,
    CERTIFICATE_CLEAR,
};

#define SELECT                                                                                     \
    "SELECT r.number, r.tenant, t.name, t.google_project, r.name, r.location, r.state_topic, "     \
    "r.mqtt_enabled, "                                                                             \
    "r.http_enabled, r.log_level, r.policy, r.policy_etag, r.created_at_ms, r.activity_topic "     \
    "FROM registries r JOIN tenants t ON t.number = r.tenant "

static const char *const sql[] = {
    [REGISTRY_CREATE] =
        "INSERT INTO registries(tenant, name, location, state_topic, mqtt_enabled, http_enabled, "
        "log_level, created_at_ms, activity_topic) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [REGISTRY_GET] = SELECT "WHERE r.number = ?1",
    [REGISTRY_FIND] =
        SELECT "WHERE r.tenant = ?1 AND r.name = ?2 AND (?3 = '' OR r.location IN ('', ?3))",
    [REGISTRY_LIST] =
        SELECT "WHERE (r.tenant, r.name) > (?1, ?2) AND (?3 = 0 OR r.tenant = ?3) "
               "AND (?4 = '' OR r.location IN ('', ?4)) ORDER BY r.tenant, r.name LIMIT ?5",
    [REGISTRY_UPDATE] =
        "UPDATE registries SET "
        "state_topic = CASE WHEN ?2 & 2 THEN ?3 ELSE state_topic END, "
        "mqtt_enabled = CASE WHEN ?2 & 4 THEN ?4 ELSE mqtt_enabled END, "
        "http_enabled = CASE WHEN ?2 & 8 THEN ?5 ELSE http_enabled END, "
        "log_level = CASE WHEN ?2 & 16 THEN ?6 ELSE log_level END, "
        "activity_topic = CASE WHEN ?2 & 64 THEN ?7 ELSE activity_topic END WHERE number = ?1",
    [REGISTRY_DELETE] = "DELETE FROM registries WHERE number = ?1",
    [REGISTRY_POLICY_GET] = "SELECT tenant, policy_etag FROM registries WHERE number = ?1",
    [REGISTRY_POLICY_SET] = "UPDATE registries SET policy = ?2, policy_etag = ?3 WHERE number = ?1",
    [ROUTE_CREATE] =
        "INSERT INTO routes(registry, position, channel, topic) VALUES(?1, ?2, ?3, ?4)",
    [ROUTE_LIST] = "SELECT channel, topic FROM routes WHERE registry = ?1 ORDER BY position",
    [ROUTE_CLEAR] = "DELETE FROM routes WHERE registry = ?1",
    [CERTIFICATE_CREATE] = "INSERT INTO certificates(registry, position, pem) VALUES(?1, ?2, ?3)",
    [CERTIFICATE_LIST] = "SELECT pem FROM certificates WHERE registry = ?1 ORDER BY position",
    [CERTIFICATE_CLEAR] = "DELETE FROM certificates WHERE registry = ?1",
};

static_assert(GH_REGISTRY_STATE_TOPIC == 2 && GH_REGISTRY_MQTT == 4 && GH_REGISTRY_HTTP == 8 &&
                  GH_REGISTRY_LOG_LEVEL == 16 && GH_REGISTRY_ACTIVITY_TOPIC == 64,
              "the bits in REGISTRY_UPDATE");

/* A statement with a registry's number alone. */
static enum gh_error_code run_for(struct gh_link *link, const char *text, int64_t number,
                                  int64_t *changed, struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, text);
    gh_sql_put_int(&q, number);
    return gh_sql_run(&q, changed, error);
}

static enum gh_error_code routes_write(struct gh_link *link, int64_t number,
                                       const struct gh_registry *row, struct gh_error *error)
{
    enum gh_error_code code = run_for(link, sql[ROUTE_CLEAR], number, NULL, error);
    for (size_t i = 0; code == GH_OK && i < row->routes_count; i++) {
        struct gh_sql q = gh_sql_open(link, sql[ROUTE_CREATE]);
        gh_sql_put_int(&q, number);
        gh_sql_put_int(&q, (int64_t)i);
        gh_sql_put_text(&q, row->routes[i].channel);
        gh_sql_put_text(&q, row->routes[i].topic);
        code = gh_sql_run(&q, NULL, error);
    }
    return code;
}

static enum gh_error_code certificates_write(struct gh_link *link, int64_t number,
                                             const struct gh_registry *row, struct gh_error *error)
{
    enum gh_error_code code = run_for(link, sql[CERTIFICATE_CLEAR], number, NULL, error);
    for (size_t i = 0; code == GH_OK && i < row->certificates_count; i++) {
        struct gh_sql q = gh_sql_open(link, sql[CERTIFICATE_CREATE]);
        gh_sql_put_int(&q, number);
        gh_sql_put_int(&q, (int64_t)i);
        gh_sql_put_text(&q, row->certificates[i]);
        code = gh_sql_run(&q, NULL, error);
    }
    return code;
}

static enum gh_error_code create(struct gh_link *link, struct gh_registry *row,
                                 struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[REGISTRY_CREATE]);
    gh_sql_put_int(&q, row->tenant);
    gh_sql_put_text(&q, row->name);
    gh_sql_put_text(&q, row->location);
    gh_sql_put_text(&q, row->state_topic);
    gh_sql_put_int(&q, row->mqtt_enabled);
    gh_sql_put_int(&q, row->http_enabled);
    gh_sql_put_int(&q, row->log_level);
    gh_sql_put_int(&q, row->created_at_ms);
    gh_sql_put_text(&q, row->activity_topic);
    enum gh_error_code code = gh_sql_run(&q, NULL, error);
    if (code == GH_ERROR_EXISTS)
        return gh_error_set(error, code, "registry %.*s: the tenant has one of this name",
                            GH_PRINT(row->name));
    if (code == GH_ERROR_PRECONDITION)
        return gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such tenant");
    row->number = sqlite3_last_insert_rowid(link->db);
    if (code == GH_OK)
        code = routes_write(link, row->number, row, error);
    if (code == GH_OK)
        code = certificates_write(link, row->number, row, error);
    return code;
}

enum gh_error_code gh_store_registry_create(struct gh_store *store, struct gh_registry *row,
                                            struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    return code == GH_OK ? gh_write_end(link, create(link, row, error), error) : code;
}

static void row_read(struct gh_sql *q, struct gh_arena *arena, struct gh_registry *row)
{
    row->number = gh_sql_int(q);
    row->tenant = gh_sql_int(q);
    row->tenant_name = gh_sql_text(q, arena);
    row->google_project = gh_sql_text(q, arena);
    row->name = gh_sql_text(q, arena);
    row->location = gh_sql_text(q, arena);
    row->state_topic = gh_sql_text(q, arena);
    row->mqtt_enabled = gh_sql_bool(q);
    row->http_enabled = gh_sql_bool(q);
    row->log_level = (int)gh_sql_int(q);
    row->policy = gh_sql_text(q, arena);
    row->policy_etag = gh_sql_text(q, arena);
    row->created_at_ms = gh_sql_int(q);
    row->activity_topic = gh_sql_text(q, arena);
}

/* Routes and certificates of a row that was read. */
static enum gh_error_code lists_read(struct gh_link *link, struct gh_arena *arena,
                                     struct gh_registry *row, struct gh_error *error)
{
    struct gh_rows routes = {.arena = arena, .item_size = sizeof *row->routes};
    struct gh_route *route;
    struct gh_sql q = gh_sql_open(link, sql[ROUTE_LIST]);
    gh_sql_put_int(&q, row->number);
    while (gh_sql_next(&q) && (route = gh_rows_add(&routes, &q)) != NULL) {
        route->channel = gh_sql_text(&q, arena);
        route->topic = gh_sql_text(&q, arena);
    }
    row->routes = routes.items;
    row->routes_count = routes.count;
    enum gh_error_code code = gh_sql_close(&q, error);
    if (code != GH_OK)
        return code;
    q = gh_sql_open(link, sql[CERTIFICATE_LIST]);
    gh_sql_put_int(&q, row->number);
    while (row->certificates_count < GH_REGISTRY_CERTIFICATES_MAX && gh_sql_next(&q))
        row->certificates[row->certificates_count++] = gh_sql_text(&q, arena);
    return gh_sql_close(&q, error);
}

/* The one row of a statement whose values are bound. */
static enum gh_error_code read_one(struct gh_sql *q, struct gh_arena *arena,
                                   struct gh_registry *out, struct gh_error *error)
{
    struct gh_link *link = q->link;
    bool found = gh_sql_next(q);
    *out = (struct gh_registry){0};
    if (found)
        row_read(q, arena, out);
    enum gh_error_code code = gh_sql_close(q, error);
    if (code == GH_OK && !found)
        code = gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such registry");
    return code == GH_OK ? lists_read(link, arena, out, error) : code;
}

enum gh_error_code gh_store_registry_get(struct gh_store *store, int64_t number,
                                         struct gh_arena *arena, struct gh_registry *out,
                                         struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[REGISTRY_GET]);
    gh_sql_put_int(&q, number);
    code = read_one(&q, arena, out, error);
    gh_read_end(link);
    return code;
}

enum gh_error_code gh_store_registry_find(struct gh_store *store, int64_t tenant,
                                          struct gh_slice name, struct gh_slice location,
                                          struct gh_arena *arena, struct gh_registry *out,
                                          struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[REGISTRY_FIND]);
    gh_sql_put_int(&q, tenant);
    gh_sql_put_text(&q, name);
    gh_sql_put_text(&q, location);
    code = read_one(&q, arena, out, error);
    gh_read_end(link);
    return code;
}

static enum gh_error_code list(struct gh_sql *q, size_t page_size, struct gh_arena *arena,
                               struct gh_rows *rows, bool *more, struct gh_error *error)
{
    struct gh_link *link = q->link;
    struct gh_registry *row;
    *more = false;
    while (gh_sql_next(q)) {
        *more = rows->count == page_size; /* one row beyond the page was asked for */
        if (*more || (row = gh_rows_add(rows, q)) == NULL)
            break;
        row_read(q, arena, row);
    }
    enum gh_error_code code = gh_sql_close(q, error);
    for (size_t i = 0; code == GH_OK && i < rows->count; i++)
        code = lists_read(link, arena, (struct gh_registry *)rows->items + i, error);
    return code;
}

enum gh_error_code gh_store_registry_list(struct gh_store *store,
                                          const struct gh_registry_query *query,
                                          int64_t after_tenant, struct gh_slice after_name,
                                          struct gh_arena *arena, struct gh_registry **out,
                                          size_t *count, bool *more, struct gh_error *error)
{
    struct gh_rows rows = {.arena = arena, .item_size = sizeof **out};
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[REGISTRY_LIST]);
    gh_sql_put_int(&q, after_tenant);
    gh_sql_put_text(&q, after_name);
    gh_sql_put_int(&q, query->tenant);
    gh_sql_put_text(&q, query->location);
    gh_sql_put_int(&q, (int64_t)query->page_size + 1);
    code = list(&q, query->page_size, arena, &rows, more, error);
    gh_read_end(link);
    *out = rows.items;
    *count = rows.count;
    return code;
}

static enum gh_error_code update(struct gh_link *link, int64_t number, unsigned fields,
                                 const struct gh_registry *change, struct gh_error *error)
{
    int64_t changed = 0;
    struct gh_sql q = gh_sql_open(link, sql[REGISTRY_UPDATE]);
    gh_sql_put_int(&q, number);
    gh_sql_put_int(&q, fields);
    gh_sql_put_text(&q, change->state_topic);
    gh_sql_put_int(&q, change->mqtt_enabled);
    gh_sql_put_int(&q, change->http_enabled);
    gh_sql_put_int(&q, change->log_level);
    gh_sql_put_text(&q, change->activity_topic);
    enum gh_error_code code = gh_sql_run(&q, &changed, error);
    if (code == GH_OK && changed == 0)
        code = gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such registry");
    if (code == GH_OK && (fields & GH_REGISTRY_ROUTES))
        code = routes_write(link, number, change, error);
    if (code == GH_OK && (fields & GH_REGISTRY_CERTIFICATES))
        code = certificates_write(link, number, change, error);
    return code;
}

enum gh_error_code gh_store_registry_update(struct gh_store *store, int64_t number, unsigned fields,
                                            const struct gh_registry *change,
                                            struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    return code == GH_OK ? gh_write_end(link, update(link, number, fields, change, error), error)
                         : code;
}

enum gh_error_code gh_store_registry_delete(struct gh_store *store, int64_t number,
                                            struct gh_error *error)
{
    struct gh_link *link;
    int64_t changed = 0;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    code = run_for(link, sql[REGISTRY_DELETE], number, &changed, error);
    if (code == GH_ERROR_PRECONDITION)
        gh_error_set(error, code, "the registry still has devices");
    else if (code == GH_OK && changed == 0)
        code = gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such registry");
    atomic_store(&store->erased, true);
    return gh_write_end(link, code, error);
}

/* Compares and replaces. */
static enum gh_error_code policy_set(struct gh_link *link, int64_t number, struct gh_slice policy,
                                     struct gh_slice etag, struct gh_slice etag_before,
                                     struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[REGISTRY_POLICY_GET]);
    gh_sql_put_int(&q, number);
    bool found = gh_sql_next(&q);
    int64_t tenant = found ? gh_sql_int(&q) : 0;
    bool same = found && gh_sql_etag_same(gh_sql_borrow(&q), etag_before);
    enum gh_error_code code = gh_sql_close(&q, error);
    if (code != GH_OK)
        return code;
    if (!found)
        return gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such registry");
    if (!same)
        return gh_error_set(error, GH_ERROR_CONFLICT, "the policy was changed in between");
    code = gh_roles_check(link, tenant, policy, error);
    if (code != GH_OK)
        return code;
    q = gh_sql_open(link, sql[REGISTRY_POLICY_SET]);
    gh_sql_put_int(&q, number);
    gh_sql_put_text(&q, policy);
    gh_sql_put_text(&q, etag);
    return gh_sql_run(&q, NULL, error);
}

enum gh_error_code gh_store_registry_policy_set(struct gh_store *store, int64_t number,
                                                struct gh_slice policy, struct gh_slice etag,
                                                struct gh_slice etag_before, struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    return code == GH_OK
               ? gh_write_end(link, policy_set(link, number, policy, etag, etag_before, error),
                              error)
               : code;
}
