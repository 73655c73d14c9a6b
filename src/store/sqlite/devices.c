#include "store/sqlite/device_internal.h"
#include <assert.h>

enum {
    DEVICE_CREATE,
    DEVICE_RETIRED,
    DEVICE_REGISTRY,
    DEVICE_GET,
    DEVICE_FIND_ID,
    DEVICE_FIND_NUMBER,
    DEVICE_SIGN_IN_ID,
    DEVICE_SIGN_IN_NUMBER,
    DEVICE_UPDATE,
    DEVICE_DELETE,
    DEVICE_RETIRE,
    DEVICE_BLOCKS_CLEAR,
    CREDENTIAL_HOLDER,
    CREDENTIAL_KEPT,
    CREDENTIAL_CREATE,
    CREDENTIAL_LIST,
    CREDENTIAL_CLEAR,
    USES_CLEAR,
    ATTRIBUTE_CREATE,
    ATTRIBUTE_LIST,
    ATTRIBUTE_CLEAR,
    CONFIG_CREATE,
    STATE_CREATE,
    GATEWAY_PAIR,
    GATEWAY_COUNTS,
    GATEWAY_BIND,
    GATEWAY_UNBIND,
    GATEWAY_BOUND,
    GATEWAY_USED,
};

/* ?1 are the parts wanted (enum gh_device_parts): a part that is not wanted is not read from its
 * pages. */
#define SELECT                                                                                     \
    "SELECT d.number, d.registry, d.tenant, t.name, t.google_project, t.disabled, r.name, "        \
    "r.location, d.id, d.blocked, "                                                                \
    "d.banned_until_ms, d.log_level, d.is_gateway, d.gateway_auth, d.created_at_ms, "              \
    "a.heartbeat_ms, a.event_ms, a.state_ms, a.config_ack_ms, a.config_send_ms, a.error_ms, "      \
    "a.error_code, "                                                                               \
    "a.error_message, c.version, c.updated_at_ms, c.acknowledged_at_ms, CASE WHEN ?1 & 4 THEN "    \
    "c.data END, "                                                                                 \
    "s.sequence, s.updated_at_ms, CASE WHEN ?1 & 8 THEN s.data END, "                              \
    "u.at_ms, (SELECT id FROM devices WHERE number = u.gateway) "                                  \
    "FROM devices d JOIN registries r ON r.number = d.registry JOIN tenants t ON t.number = "      \
    "r.tenant "                                                                                    \
    "LEFT JOIN activity a ON a.device = d.number "                                                 \
    "LEFT JOIN gateway_uses u ON u.device = d.number "                                             \
    "LEFT JOIN configs c ON c.device = d.number "                                                  \
    "AND c.version = (SELECT max(version) FROM configs WHERE device = d.number) "                  \
    "LEFT JOIN states s ON s.device = d.number "                                                   \
    "AND s.sequence = (SELECT max(sequence) FROM states WHERE device = d.number) "
#define INSIDE                                                                                     \
    "d.registry = (SELECT number FROM registries WHERE tenant = ?2 AND name = ?3 AND (?4 = '' OR " \
    "location IN ('', ?4))) "

#define SIGN_IN                                                                                    \
    "SELECT number, tenant, id, blocked, banned_until_ms, log_level, is_gateway, gateway_auth, "   \
    "created_at_ms FROM devices "

static const char *const sql[] = {
    [DEVICE_CREATE] =
        "INSERT INTO devices(number, registry, tenant, id, blocked, log_level, is_gateway, "
        "gateway_auth, created_at_ms) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [DEVICE_RETIRED] =
        "SELECT 1 FROM devices WHERE number = ?1 UNION ALL SELECT 1 FROM retired WHERE number = ?1",
    [DEVICE_REGISTRY] = "SELECT tenant FROM registries WHERE number = ?1",
    [DEVICE_GET] = SELECT "WHERE d.number = ?2",
    [DEVICE_FIND_ID] = SELECT "WHERE " INSIDE "AND d.id = ?5",
    [DEVICE_FIND_NUMBER] = SELECT "WHERE d.number = ?5 AND " INSIDE,
    [DEVICE_SIGN_IN_ID] = SIGN_IN "WHERE registry = ?1 AND id = ?2",
    [DEVICE_SIGN_IN_NUMBER] = SIGN_IN "WHERE number = ?2 AND registry = ?1",
    [DEVICE_UPDATE] =
        "UPDATE devices SET blocked = CASE WHEN ?2 & 1 THEN ?3 ELSE blocked END, "
        "log_level = CASE WHEN ?2 & 8 THEN ?4 ELSE log_level END, "
        "gateway_auth = CASE WHEN ?2 & 16 THEN ?5 ELSE gateway_auth END, "
        "banned_until_ms = CASE WHEN ?2 & 32 THEN ?6 ELSE banned_until_ms END WHERE number = ?1",
    [DEVICE_DELETE] = "DELETE FROM devices WHERE number = ?1",
    [DEVICE_RETIRE] = "INSERT INTO retired(number) VALUES(?1)",
    [DEVICE_BLOCKS_CLEAR] = "DELETE FROM blocks WHERE device = ?1",
    /* ?4: a tenant whose devices do not count, or 0. */
    [CREDENTIAL_HOLDER] =
        "SELECT c.device FROM credentials c JOIN devices d ON d.number = c.device "
        "WHERE c.fingerprint = ?2 AND c.fingerprint > '' AND c.device <> ?1 AND d.tenant <> ?4 "
        "UNION ALL "
        "SELECT c.device FROM credentials c JOIN devices d ON d.number = c.device "
        "WHERE c.mark = ?3 AND c.mark > '' AND c.device <> ?1 AND d.tenant <> ?4 LIMIT 1",
    [CREDENTIAL_KEPT] = "SELECT 1 FROM credentials WHERE device = ?1 AND id = ?2",
    [CREDENTIAL_CREATE] =
        "INSERT INTO credentials(device, position, id, format, pem, fingerprint, mark, disabled, "
        "valid_from_ms, expires_at_ms, created_at_ms) "
        "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    [CREDENTIAL_LIST] =
        "SELECT c.id, c.format, c.pem, c.fingerprint, c.mark, c.disabled, c.valid_from_ms, "
        "c.expires_at_ms, c.created_at_ms, u.at_ms FROM credentials c "
        "LEFT JOIN credential_uses u ON u.device = c.device AND u.credential = c.id "
        "WHERE c.device = ?1 ORDER BY c.position",
    [CREDENTIAL_CLEAR] = "DELETE FROM credentials WHERE device = ?1",
    [USES_CLEAR] = "DELETE FROM credential_uses WHERE device = ?1 AND credential NOT IN "
                   "(SELECT id FROM credentials WHERE device = ?1)",
    [ATTRIBUTE_CREATE] = "INSERT INTO attributes(device, key, value) VALUES(?1, ?2, ?3)",
    [ATTRIBUTE_LIST] = "SELECT key, value FROM attributes WHERE device = ?1 ORDER BY key",
    [ATTRIBUTE_CLEAR] = "DELETE FROM attributes WHERE device = ?1",
    [CONFIG_CREATE] =
        "INSERT INTO configs(device, version, updated_at_ms, acknowledged_at_ms, data) "
        "VALUES(?1, ?2, ?3, 0, ?4)",
    [STATE_CREATE] =
        "INSERT INTO states(device, sequence, updated_at_ms, data) VALUES(?1, 1, ?2, ?3)",
    [GATEWAY_PAIR] =
        "SELECT g.is_gateway, d.is_gateway, g.registry = d.registry FROM devices g, devices d "
        "WHERE g.number = ?1 AND d.number = ?2",
    [GATEWAY_COUNTS] = "SELECT (SELECT count(*) FROM bindings WHERE gateway = ?1), "
                       "(SELECT count(*) FROM bindings WHERE device = ?2)",
    [GATEWAY_BIND] = "INSERT OR IGNORE INTO bindings(gateway, device) VALUES(?1, ?2)",
    [GATEWAY_UNBIND] = "DELETE FROM bindings WHERE gateway = ?1 AND device = ?2",
    [GATEWAY_BOUND] = "SELECT 1 FROM bindings WHERE gateway = ?1 AND device = ?2",
    [GATEWAY_USED] = "INSERT OR REPLACE INTO gateway_uses(device, gateway, at_ms) "
                     "SELECT number, ?2, ?3 FROM devices WHERE number = ?1",
};

static_assert(GH_DEVICE_PART_CONFIG == 4 && GH_DEVICE_PART_STATE == 8, "the bits in SELECT");
static_assert(GH_DEVICE_BLOCKED == 1 && GH_DEVICE_LOG_LEVEL == 8 && GH_DEVICE_GATEWAY_AUTH == 16 &&
                  GH_DEVICE_BAN == 32,
              "the bits in DEVICE_UPDATE");

/* A statement with a device's number alone. */
static enum gh_error_code run_for(struct gh_link *link, const char *text, uint64_t number,
                                  int64_t *changed, struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, text);
    gh_sql_put_int(&q, (int64_t)number);
    return gh_sql_run(&q, changed, error);
}

static enum gh_error_code find_holder(struct gh_link *link, uint64_t number,
                                      const struct gh_credential *credential, int64_t tenant,
                                      uint64_t *holder, struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[CREDENTIAL_HOLDER]);
    gh_sql_put_int(&q, (int64_t)number);
    gh_sql_put_text(&q, credential->fingerprint);
    gh_sql_put_text(&q, credential->mark);
    gh_sql_put_int(&q, tenant);
    *holder = gh_sql_next(&q) ? (uint64_t)gh_sql_int(&q) : 0;
    return gh_sql_close(&q, error);
}

static enum gh_error_code is_kept(struct gh_link *link, uint64_t number, struct gh_slice id,
                                  bool *kept, struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[CREDENTIAL_KEPT]);
    gh_sql_put_int(&q, (int64_t)number);
    gh_sql_put_text(&q, id);
    *kept = gh_sql_next(&q);
    return gh_sql_close(&q, error);
}

/* A key or secret is one device's alone. One that the device had before may stay: of those times in
 * which it could be shared. */
static enum gh_error_code keys_unshared(struct gh_link *link, uint64_t number,
                                        const struct gh_device *row, struct gh_error *error)
{
    enum gh_error_code code = GH_OK;
    for (size_t i = 0; code == GH_OK && i < row->credentials_count; i++) {
        bool kept = false;
        uint64_t holder = 0;
        code = is_kept(link, number, row->credentials[i].id, &kept, error);
        if (code == GH_OK && !kept)
            code = find_holder(link, number, &row->credentials[i],
                               row->shares_keys ? row->tenant : 0, &holder, error);
        if (code == GH_OK && holder != 0)
            code = gh_error_set(error, GH_ERROR_EXISTS,
                                "credentials: number %zu: another device has this key or secret; "
                                "each needs its own",
                                i + 1);
    }
    return code;
}

static enum gh_error_code credentials_write(struct gh_link *link, uint64_t number,
                                            const struct gh_device *row, struct gh_error *error)
{
    enum gh_error_code code = keys_unshared(link, number, row, error);
    if (code == GH_OK)
        code = run_for(link, sql[CREDENTIAL_CLEAR], number, NULL, error);
    for (size_t i = 0; code == GH_OK && i < row->credentials_count; i++) {
        struct gh_sql q = gh_sql_open(link, sql[CREDENTIAL_CREATE]);
        gh_sql_put_int(&q, (int64_t)number);
        gh_sql_put_int(&q, (int64_t)i);
        gh_sql_put_text(&q, row->credentials[i].id);
        gh_sql_put_int(&q, row->credentials[i].format);
        gh_sql_put_text(&q, row->credentials[i].pem);
        gh_sql_put_text(&q, row->credentials[i].fingerprint);
        gh_sql_put_text(&q, row->credentials[i].mark);
        gh_sql_put_int(&q, row->credentials[i].disabled);
        gh_sql_put_int(&q, row->credentials[i].valid_from_ms);
        gh_sql_put_int(&q, row->credentials[i].expires_at_ms);
        gh_sql_put_int(&q, row->credentials[i].created_at_ms);
        code = gh_sql_run(&q, NULL, error);
    }
    return code == GH_OK ? run_for(link, sql[USES_CLEAR], number, NULL, error) : code;
}

enum gh_error_code gh_store_credential_holder(struct gh_store *store, uint64_t device,
                                              const struct gh_credential *credential,
                                              uint64_t *holder, struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    code = find_holder(link, device, credential, 0, holder, error);
    gh_read_end(link);
    return code;
}

static enum gh_error_code attributes_write(struct gh_link *link, uint64_t number,
                                           const struct gh_device *row, struct gh_error *error)
{
    enum gh_error_code code = run_for(link, sql[ATTRIBUTE_CLEAR], number, NULL, error);
    for (size_t i = 0; code == GH_OK && i < row->attributes_count; i++) {
        struct gh_sql q = gh_sql_open(link, sql[ATTRIBUTE_CREATE]);
        gh_sql_put_int(&q, (int64_t)number);
        gh_sql_put_text(&q, row->attributes[i].key);
        gh_sql_put_text(&q, row->attributes[i].value);
        code = gh_sql_run(&q, NULL, error);
    }
    return code;
}

static enum gh_error_code number_unused(struct gh_link *link, uint64_t number, bool *taken,
                                        struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[DEVICE_RETIRED]);
    gh_sql_put_int(&q, (int64_t)number);
    *taken = gh_sql_next(&q);
    enum gh_error_code code = gh_sql_close(&q, error);
    if (code == GH_OK && *taken)
        code = gh_error_set(error, GH_ERROR_EXISTS, "the device number was used before");
    return code;
}

static enum gh_error_code tenant_of(struct gh_link *link, int64_t registry, int64_t *tenant,
                                    struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[DEVICE_REGISTRY]);
    gh_sql_put_int(&q, registry);
    bool found = gh_sql_next(&q);
    *tenant = found ? gh_sql_int(&q) : 0;
    enum gh_error_code code = gh_sql_close(&q, error);
    if (code == GH_OK && !found)
        code = gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such registry");
    return code;
}

static enum gh_error_code device_insert(struct gh_link *link, const struct gh_device *row,
                                        struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[DEVICE_CREATE]);
    gh_sql_put_int(&q, (int64_t)row->number);
    gh_sql_put_int(&q, row->registry);
    gh_sql_put_int(&q, row->tenant);
    gh_sql_put_text(&q, row->id);
    gh_sql_put_int(&q, row->blocked);
    gh_sql_put_int(&q, row->log_level);
    gh_sql_put_int(&q, row->is_gateway);
    gh_sql_put_int(&q, row->gateway_auth);
    gh_sql_put_int(&q, row->created_at_ms);
    enum gh_error_code code = gh_sql_run(&q, NULL, error);
    if (code == GH_ERROR_EXISTS)
        gh_error_set(error, code, "device %.*s: the registry has one of this name",
                     GH_PRINT(row->id));
    return code;
}

/* Its first config, and its state when it comes with one. */
static enum gh_error_code documents_write(struct gh_link *link, struct gh_device *row,
                                          struct gh_error *error)
{
    if (row->config.version == 0)
        row->config.version = 1;
    row->config.updated_at_ms = row->created_at_ms;
    row->config.acknowledged_at_ms = 0;
    struct gh_sql q = gh_sql_open(link, sql[CONFIG_CREATE]);
    gh_sql_put_int(&q, (int64_t)row->number);
    gh_sql_put_int(&q, row->config.version);
    gh_sql_put_int(&q, row->config.updated_at_ms);
    gh_sql_put_bytes(&q, row->config.data);
    enum gh_error_code code = gh_sql_run(&q, NULL, error);
    if (code != GH_OK || !row->state.present)
        return code;
    q = gh_sql_open(link, sql[STATE_CREATE]);
    gh_sql_put_int(&q, (int64_t)row->number);
    gh_sql_put_int(&q, row->state.updated_at_ms);
    gh_sql_put_bytes(&q, row->state.data);
    return gh_sql_run(&q, NULL, error);
}

static enum gh_error_code create(struct gh_link *link, struct gh_device *row, bool *number_taken,
                                 struct gh_error *error)
{
    assert(row->number > 0 && row->number <= INT64_MAX);
    enum gh_error_code code = tenant_of(link, row->registry, &row->tenant, error);
    if (code == GH_OK)
        code = number_unused(link, row->number, number_taken, error);
    if (code == GH_OK)
        code = device_insert(link, row, error);
    if (code == GH_OK && row->credentials_count > 0)
        code = credentials_write(link, row->number, row, error);
    if (code == GH_OK && row->attributes_count > 0)
        code = attributes_write(link, row->number, row, error);
    return code == GH_OK ? documents_write(link, row, error) : code;
}

enum gh_error_code gh_store_devices_create(struct gh_store *store, struct gh_device *rows,
                                           size_t count, size_t *failed, bool *number_taken,
                                           struct gh_error *error)
{
    struct gh_link *link;
    size_t i = 0;
    *number_taken = false;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    for (; code == GH_OK && i < count; i++)
        code = create(link, &rows[i], number_taken, error);
    *failed = code == GH_OK ? 0 : i - 1;
    return gh_write_end(link, code, error);
}

/* The columns from `blocked` to `created_at_ms`. */
static void read_standing(struct gh_sql *q, struct gh_device *out)
{
    out->blocked = gh_sql_bool(q);
    out->banned_until_ms = gh_sql_int(q);
    out->log_level = (int)gh_sql_int(q);
    out->is_gateway = gh_sql_bool(q);
    out->gateway_auth = (int)gh_sql_int(q);
    out->created_at_ms = gh_sql_int(q);
}

static void row_read(struct gh_sql *q, struct gh_arena *arena, struct gh_device *row)
{
    row->number = (uint64_t)gh_sql_int(q);
    row->registry = gh_sql_int(q);
    row->tenant = gh_sql_int(q);
    row->tenant_name = gh_sql_text(q, arena);
    row->google_project = gh_sql_text(q, arena);
    row->tenant_disabled = gh_sql_int(q) != 0;
    row->registry_name = gh_sql_text(q, arena);
    row->location = gh_sql_text(q, arena);
    row->id = gh_sql_text(q, arena);
    read_standing(q, row);
    row->last_heartbeat_ms = gh_sql_int(q);
    row->last_event_ms = gh_sql_int(q);
    row->last_state_ms = gh_sql_int(q);
    row->last_config_ack_ms = gh_sql_int(q);
    row->last_config_send_ms = gh_sql_int(q);
    row->last_error_ms = gh_sql_int(q);
    row->last_error_code = (int)gh_sql_int(q);
    row->last_error_message = gh_sql_text(q, arena);
    row->config.version = gh_sql_int(q);
    row->config.updated_at_ms = gh_sql_int(q);
    row->config.acknowledged_at_ms = gh_sql_int(q);
    row->config.data = gh_sql_text(q, arena);
    row->state.present = gh_sql_int(q) != 0; /* sequences begin at 1, no state reads as 0 */
    row->state.updated_at_ms = gh_sql_int(q);
    row->state.data = gh_sql_text(q, arena);
    row->last_gateway_ms = gh_sql_int(q);
    row->last_gateway = gh_sql_text(q, arena);
}

static enum gh_error_code credentials_read(struct gh_link *link, struct gh_arena *arena,
                                           struct gh_device *row, struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[CREDENTIAL_LIST]);
    gh_sql_put_int(&q, (int64_t)row->number);
    while (row->credentials_count < GH_DEVICE_CREDENTIALS_MAX && gh_sql_next(&q)) {
        struct gh_credential *credential = &row->credentials[row->credentials_count++];
        credential->id = gh_sql_text(&q, arena);
        credential->format = (enum gh_credential_format)gh_sql_int(&q);
        credential->pem = gh_sql_text(&q, arena);
        credential->fingerprint = gh_sql_text(&q, arena);
        credential->mark = gh_sql_text(&q, arena);
        credential->disabled = gh_sql_bool(&q);
        credential->valid_from_ms = gh_sql_int(&q);
        credential->expires_at_ms = gh_sql_int(&q);
        credential->created_at_ms = gh_sql_int(&q);
        credential->last_used_ms = gh_sql_int(&q);
    }
    return gh_sql_close(&q, error);
}

static enum gh_error_code attributes_read(struct gh_link *link, struct gh_arena *arena,
                                          struct gh_device *row, struct gh_error *error)
{
    struct gh_rows rows = {.arena = arena, .item_size = sizeof *row->attributes};
    struct gh_attribute *attribute;
    struct gh_sql q = gh_sql_open(link, sql[ATTRIBUTE_LIST]);
    gh_sql_put_int(&q, (int64_t)row->number);
    while (gh_sql_next(&q) && (attribute = gh_rows_add(&rows, &q)) != NULL) {
        attribute->key = gh_sql_text(&q, arena);
        attribute->value = gh_sql_text(&q, arena);
    }
    row->attributes = rows.items;
    row->attributes_count = rows.count;
    return gh_sql_close(&q, error);
}

/* The one row of a statement whose values are bound, with its lists. */
static enum gh_error_code read_one(struct gh_sql *q, unsigned parts, struct gh_arena *arena,
                                   struct gh_device *out, struct gh_error *error)
{
    struct gh_link *link = q->link;
    bool found = gh_sql_next(q);
    *out = (struct gh_device){0};
    if (found)
        row_read(q, arena, out);
    enum gh_error_code code = gh_sql_close(q, error);
    if (code == GH_OK && !found)
        code = gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such device");
    if (code == GH_OK && (parts & GH_DEVICE_PART_CREDENTIALS))
        code = credentials_read(link, arena, out, error);
    if (code == GH_OK && (parts & GH_DEVICE_PART_ATTRIBUTES))
        code = attributes_read(link, arena, out, error);
    return code;
}

enum gh_error_code gh_device_read(struct gh_link *link, uint64_t number, unsigned parts,
                                  struct gh_arena *arena, struct gh_device *out,
                                  struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[DEVICE_GET]);
    gh_sql_put_int(&q, parts);
    gh_sql_put_int(&q, (int64_t)number);
    return read_one(&q, parts, arena, out, error);
}

enum gh_error_code gh_store_device_get(struct gh_store *store, uint64_t number,
                                       struct gh_arena *arena, struct gh_device *out,
                                       struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    code = gh_device_read(link, number, GH_DEVICE_PART_ALL, arena, out, error);
    gh_read_end(link);
    return code;
}

enum gh_error_code gh_store_device_find(struct gh_store *store, int64_t tenant,
                                        struct gh_slice registry_name, struct gh_slice location,
                                        struct gh_slice id, uint64_t number, struct gh_arena *arena,
                                        struct gh_device *out, struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[number != 0 ? DEVICE_FIND_NUMBER : DEVICE_FIND_ID]);
    gh_sql_put_int(&q, GH_DEVICE_PART_ALL);
    gh_sql_put_int(&q, tenant);
    gh_sql_put_text(&q, registry_name);
    gh_sql_put_text(&q, location);
    if (number != 0)
        gh_sql_put_int(&q, (int64_t)number);
    else
        gh_sql_put_text(&q, id);
    code = read_one(&q, GH_DEVICE_PART_ALL, arena, out, error);
    gh_read_end(link);
    return code;
}

static enum gh_error_code sign_in_read(struct gh_sql *q, struct gh_arena *arena,
                                       struct gh_device *out, struct gh_error *error)
{
    struct gh_link *link = q->link;
    bool found = gh_sql_next(q);
    if (found) {
        out->number = (uint64_t)gh_sql_int(q);
        out->tenant = gh_sql_int(q);
        out->id = gh_sql_text(q, arena);
        read_standing(q, out);
    }
    enum gh_error_code code = gh_sql_close(q, error);
    if (code == GH_OK && !found)
        code = gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such device");
    if (code == GH_OK)
        code = credentials_read(link, arena, out, error);
    return code == GH_OK ? attributes_read(link, arena, out, error) : code;
}

enum gh_error_code gh_store_device_sign_in(struct gh_store *store, int64_t registry,
                                           struct gh_slice id, uint64_t number,
                                           struct gh_arena *arena, struct gh_device *out,
                                           struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    *out = (struct gh_device){.registry = registry};
    struct gh_sql q =
        gh_sql_open(link, sql[number != 0 ? DEVICE_SIGN_IN_NUMBER : DEVICE_SIGN_IN_ID]);
    gh_sql_put_int(&q, registry);
    if (number != 0)
        gh_sql_put_int(&q, (int64_t)number);
    else
        gh_sql_put_text(&q, id);
    code = sign_in_read(&q, arena, out, error);
    gh_read_end(link);
    return code;
}

static enum gh_error_code update(struct gh_link *link, uint64_t number, unsigned fields,
                                 const struct gh_device *change, struct gh_error *error)
{
    int64_t changed = 0;
    struct gh_sql q = gh_sql_open(link, sql[DEVICE_UPDATE]);
    gh_sql_put_int(&q, (int64_t)number);
    gh_sql_put_int(&q, fields);
    gh_sql_put_int(&q, change->blocked);
    gh_sql_put_int(&q, change->log_level);
    gh_sql_put_int(&q, change->gateway_auth);
    gh_sql_put_int(&q, change->banned_until_ms);
    enum gh_error_code code = gh_sql_run(&q, &changed, error);
    if (code == GH_OK && changed == 0)
        code = gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such device");
    if (code == GH_OK && (fields & GH_DEVICE_CREDENTIALS))
        code = credentials_write(link, number, change, error);
    if (code == GH_OK && (fields & GH_DEVICE_ATTRIBUTES))
        code = attributes_write(link, number, change, error);
    return code;
}

enum gh_error_code gh_store_device_update(struct gh_store *store, uint64_t number, unsigned fields,
                                          const struct gh_device *change, struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    if (fields & (GH_DEVICE_CREDENTIALS | GH_DEVICE_ATTRIBUTES))
        atomic_store(&store->erased, true);
    return gh_write_end(link, update(link, number, fields, change, error), error);
}

static enum gh_error_code delete_row(struct gh_link *link, uint64_t number, struct gh_error *error)
{
    int64_t changed = 0;
    enum gh_error_code code = run_for(link, sql[DEVICE_DELETE], number, &changed, error);
    if (code == GH_ERROR_PRECONDITION)
        return gh_error_set(error, code,
                            "the device is bound to a gateway, or devices are bound to it");
    if (code == GH_OK && changed == 0)
        return gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such device");
    if (code == GH_OK)
        code = run_for(link, sql[DEVICE_RETIRE], number, NULL, error);
    if (code == GH_OK)
        code = run_for(link, sql[DEVICE_BLOCKS_CLEAR], number, NULL, error);
    return code;
}

enum gh_error_code gh_store_device_delete(struct gh_store *store, uint64_t number,
                                          struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    atomic_store(&store->erased, true);
    return gh_write_end(link, delete_row(link, number, error), error);
}

/* Both are there, in one registry, and of the right sort. */
static enum gh_error_code pair_check(struct gh_link *link, uint64_t gateway, uint64_t device,
                                     struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[GATEWAY_PAIR]);
    gh_sql_put_int(&q, (int64_t)gateway);
    gh_sql_put_int(&q, (int64_t)device);
    bool found = gh_sql_next(&q);
    bool first_is_gateway = found && gh_sql_bool(&q);
    bool second_is_gateway = found && gh_sql_bool(&q);
    bool together = found && gh_sql_bool(&q);
    enum gh_error_code code = gh_sql_close(&q, error);
    if (code != GH_OK)
        return code;
    if (!found)
        return gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such gateway or device");
    if (!first_is_gateway || second_is_gateway)
        return gh_error_set(error, GH_ERROR_INVALID,
                            first_is_gateway ? "a gateway cannot be bound to a gateway"
                                             : "the device named as gateway is none");
    return together ? GH_OK
                    : gh_error_set(error, GH_ERROR_INVALID,
                                   "gateway and device are not in one registry");
}

/* Runs one statement over a good pair; `*changed`: it made a difference. */
static enum gh_error_code pair_write(struct gh_link *link, const char *text, uint64_t gateway,
                                     uint64_t device, bool *changed, struct gh_error *error)
{
    int64_t rows = 0;
    enum gh_error_code code = pair_check(link, gateway, device, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, text);
    gh_sql_put_int(&q, (int64_t)gateway);
    gh_sql_put_int(&q, (int64_t)device);
    code = gh_sql_run(&q, &rows, error);
    *changed = rows > 0;
    return code;
}

/* LIMIT when one of the two has more of the other than it may. */
static enum gh_error_code pair_limit(struct gh_link *link, uint64_t gateway, uint64_t device,
                                     const struct gh_gateway_limits *limits, struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[GATEWAY_COUNTS]);
    gh_sql_put_int(&q, (int64_t)gateway);
    gh_sql_put_int(&q, (int64_t)device);
    bool counted = gh_sql_next(&q);
    uint64_t devices = counted ? (uint64_t)gh_sql_int(&q) : 0;
    uint64_t gateways = counted ? (uint64_t)gh_sql_int(&q) : 0;
    enum gh_error_code code = gh_sql_close(&q, error);
    if (code == GH_OK && limits->devices_max != 0 && devices > limits->devices_max)
        return gh_error_set(error, GH_ERROR_LIMIT, "devices bound to the gateway: at most %zu",
                            limits->devices_max);
    if (code == GH_OK && limits->gateways_max != 0 && gateways > limits->gateways_max)
        return gh_error_set(error, GH_ERROR_LIMIT, "gateways of the device: at most %zu",
                            limits->gateways_max);
    return code;
}

enum gh_error_code gh_store_gateway_bind(struct gh_store *store, uint64_t gateway, uint64_t device,
                                         const struct gh_gateway_limits *limits,
                                         struct gh_error *error)
{
    struct gh_link *link;
    bool changed = false;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    code = pair_write(link, sql[GATEWAY_BIND], gateway, device, &changed, error);
    if (code == GH_OK && changed)
        code = pair_limit(link, gateway, device, limits, error);
    return gh_write_end(link, code, error);
}

enum gh_error_code gh_store_gateway_unbind(struct gh_store *store, uint64_t gateway,
                                           uint64_t device, struct gh_error *error)
{
    struct gh_link *link;
    bool changed;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    code = pair_write(link, sql[GATEWAY_UNBIND], gateway, device, &changed, error);
    return gh_write_end(link, code, error);
}

enum gh_error_code gh_store_gateway_bound(struct gh_store *store, uint64_t gateway, uint64_t device,
                                          bool *bound, struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[GATEWAY_BOUND]);
    gh_sql_put_int(&q, (int64_t)gateway);
    gh_sql_put_int(&q, (int64_t)device);
    *bound = gh_sql_next(&q);
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    return code;
}

enum gh_error_code gh_store_gateway_used(struct gh_store *store, uint64_t device, uint64_t gateway,
                                         int64_t at_ms, struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[GATEWAY_USED]);
    gh_sql_put_int(&q, (int64_t)device);
    gh_sql_put_int(&q, (int64_t)gateway);
    gh_sql_put_int(&q, at_ms);
    return gh_write_end(link, gh_sql_run(&q, NULL, error), error);
}
