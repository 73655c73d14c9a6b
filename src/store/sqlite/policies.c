/* Device policies and where they are attached. */
#include "store/sqlite/sqlite_internal.h"

enum kind { TENANT, REGISTRY, DEVICE, GROUP, CREDENTIAL, KINDS };

enum {
    POLICY_COUNT,
    POLICY_ETAG,
    POLICY_PUT,
    POLICY_GET,
    POLICY_LIST,
    POLICY_DELETE,
    POLICY_TARGETS,
    POLICY_EFFECTIVE,
    POLICY_PERSONAL,
    /* For each kind of target: whether the tenant has it, how many are there, add, remove. */
    OWNED,
    ATTACHED = OWNED + KINDS,
    ATTACH = ATTACHED + KINDS,
    DETACH = ATTACH + KINDS,
    STATEMENTS = DETACH + KINDS
};

#define POLICY                                                                                     \
    "number, tenant, name, etag, version, created_at_ms, updated_at_ms, "                          \
    "(SELECT count(*) FROM policy_attachments a WHERE a.policy = policies.number)"

static const char *const sql[STATEMENTS] = {
    [POLICY_COUNT] = "SELECT count(*) FROM policies WHERE tenant = ?1",
    [POLICY_ETAG] = "SELECT number, etag FROM policies WHERE tenant = ?1 AND name = ?2",
    [POLICY_PUT] =
        "INSERT INTO policies(tenant, name, document, etag, version, created_at_ms, updated_at_ms) "
        "VALUES(?1, ?2, ?3, ?4, 1, ?5, ?5) ON CONFLICT(tenant, name) DO UPDATE SET "
        "document = excluded.document, etag = excluded.etag, version = version + 1, "
        "updated_at_ms = excluded.updated_at_ms",
    [POLICY_GET] = "SELECT " POLICY ", document FROM policies WHERE tenant = ?1 AND name = ?2",
    [POLICY_LIST] = "SELECT " POLICY ", '' FROM policies WHERE tenant = ?1 ORDER BY name",
    [POLICY_DELETE] = "DELETE FROM policies WHERE number = ?1",
    [POLICY_TARGETS] =
        "SELECT a.tenant, coalesce(d.registry, a.registry, 0), coalesce(a.device, 0), "
        "coalesce(r.name, ''), coalesce(d.id, ''), coalesce(a.device_group, 0), "
        "coalesce(g.name, ''), a.credential FROM policy_attachments a "
        "LEFT JOIN devices d ON d.number = a.device "
        "LEFT JOIN device_groups g ON g.number = a.device_group "
        "LEFT JOIN registries r ON r.number = coalesce(d.registry, a.registry) WHERE a.policy = ?1 "
        "ORDER BY a.device IS NOT NULL, a.device_group IS NOT NULL, a.registry IS NOT NULL, "
        "r.name, d.id, g.name, a.credential",
    [POLICY_EFFECTIVE] =
        "SELECT " POLICY ", document FROM policies WHERE number IN ("
        "SELECT policy FROM policy_attachments WHERE tenant = ?1 AND registry IS NULL AND device "
        "IS NULL AND device_group IS NULL "
        "UNION ALL SELECT policy FROM policy_attachments WHERE registry = ?2 "
        "UNION ALL SELECT policy FROM policy_attachments WHERE device = ?3 AND credential = '' "
        "UNION ALL SELECT policy FROM policy_attachments WHERE device = ?3 AND credential = ?4 "
        "UNION ALL SELECT a.policy FROM device_group_members m JOIN policy_attachments a "
        "ON a.device_group = m.device_group WHERE m.device = ?3) ORDER BY name",
    [POLICY_PERSONAL] = "SELECT 1 FROM policy_attachments WHERE tenant = ?1 AND (device IS NOT "
                        "NULL OR device_group IS NOT NULL) LIMIT 1",
    [OWNED + TENANT] = "SELECT 1 FROM tenants WHERE number = ?2",
    [OWNED + REGISTRY] = "SELECT 1 FROM registries WHERE number = ?1 AND tenant = ?2",
    [OWNED + DEVICE] = "SELECT 1 FROM devices WHERE number = ?1 AND tenant = ?2",
    [OWNED + GROUP] = "SELECT 1 FROM device_groups WHERE number = ?1 AND tenant = ?2",
    [OWNED + CREDENTIAL] = "SELECT 1 FROM devices d JOIN credentials c ON c.device = d.number "
                           "WHERE d.number = ?1 AND d.tenant = ?2 AND c.id = ?3",
    [ATTACHED + TENANT] = "SELECT count(*), max(policy = ?2) FROM policy_attachments WHERE tenant "
                          "= ?1 AND registry IS NULL AND device IS NULL AND device_group IS NULL",
    [ATTACHED + REGISTRY] =
        "SELECT count(*), max(policy = ?2) FROM policy_attachments WHERE registry = ?1",
    [ATTACHED + DEVICE] =
        "SELECT count(*), max(policy = ?2) FROM policy_attachments WHERE device = ?1 AND "
        "credential = ''",
    [ATTACHED + GROUP] =
        "SELECT count(*), max(policy = ?2) FROM policy_attachments WHERE device_group = ?1",
    [ATTACHED + CREDENTIAL] = "SELECT count(*), max(policy = ?2) FROM policy_attachments WHERE "
                              "device = ?1 AND credential = ?3",
    [ATTACH + TENANT] = "INSERT INTO policy_attachments(policy, tenant) VALUES(?2, ?3)",
    [ATTACH + REGISTRY] =
        "INSERT INTO policy_attachments(policy, tenant, registry) VALUES(?2, ?3, ?1)",
    [ATTACH + DEVICE] = "INSERT INTO policy_attachments(policy, tenant, device) VALUES(?2, ?3, ?1)",
    [ATTACH + GROUP] =
        "INSERT INTO policy_attachments(policy, tenant, device_group) VALUES(?2, ?3, ?1)",
    [ATTACH + CREDENTIAL] =
        "INSERT INTO policy_attachments(policy, tenant, device, credential) VALUES(?2, ?3, ?1, ?4)",
    [DETACH + TENANT] = "DELETE FROM policy_attachments WHERE tenant = ?1 AND policy = ?2 AND "
                        "registry IS NULL AND device IS NULL AND device_group IS NULL",
    [DETACH + REGISTRY] = "DELETE FROM policy_attachments WHERE registry = ?1 AND policy = ?2",
    [DETACH + DEVICE] = "DELETE FROM policy_attachments WHERE device = ?1 AND policy = ?2 AND "
                        "credential = ''",
    [DETACH + GROUP] = "DELETE FROM policy_attachments WHERE device_group = ?1 AND policy = ?2",
    [DETACH + CREDENTIAL] = "DELETE FROM policy_attachments WHERE device = ?1 AND policy = ?2 AND "
                            "credential = ?3",
};

static enum gh_error_code missing(struct gh_slice name, struct gh_error *error)
{
    return gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no policy %.*s", GH_PRINT(name));
}

/* The policy's number, 0 when there is none; `*same` is whether it has that etag. */
static enum gh_error_code find(struct gh_link *link, int64_t tenant, struct gh_slice name,
                               struct gh_slice etag, int64_t *number, bool *same,
                               struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[POLICY_ETAG]);
    gh_sql_put_int(&q, tenant);
    gh_sql_put_text(&q, name);
    *number = 0;
    *same = false;
    if (gh_sql_next(&q)) {
        *number = gh_sql_int(&q);
        *same = gh_slice_equal(gh_sql_borrow(&q), etag) || gh_slice_equal(etag, GH_SLICE("*"));
    }
    return gh_sql_close(&q, error);
}

static enum gh_error_code count_check(struct gh_link *link, int64_t tenant, size_t policies_max,
                                      struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[POLICY_COUNT]);
    gh_sql_put_int(&q, tenant);
    int64_t count = gh_sql_next(&q) ? gh_sql_int(&q) : 0;
    enum gh_error_code code = gh_sql_close(&q, error);
    if (code == GH_OK && count >= (int64_t)policies_max)
        code =
            gh_error_set(error, GH_ERROR_LIMIT, "a tenant has at most %zu policies", policies_max);
    return code;
}

static enum gh_error_code put(struct gh_link *link, const struct gh_policy_row *row,
                              struct gh_slice etag_before, size_t policies_max,
                              struct gh_error *error)
{
    int64_t number;
    bool same;
    enum gh_error_code code =
        find(link, row->tenant, row->name, etag_before, &number, &same, error);
    if (code == GH_OK && etag_before.size > 0 && !same)
        code = gh_error_set(error, GH_ERROR_CONFLICT, "the policy %.*s was changed in between",
                            GH_PRINT(row->name));
    if (code == GH_OK && number == 0)
        code = count_check(link, row->tenant, policies_max, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[POLICY_PUT]);
    gh_sql_put_int(&q, row->tenant);
    gh_sql_put_text(&q, row->name);
    gh_sql_put_text(&q, row->document);
    gh_sql_put_text(&q, row->etag);
    gh_sql_put_int(&q, row->updated_at_ms);
    code = gh_sql_run(&q, NULL, error);
    return code == GH_ERROR_PRECONDITION
               ? gh_error_set(error, GH_ERROR_NOT_FOUND, "there is no such tenant")
               : code;
}

enum gh_error_code gh_store_policy_put(struct gh_store *store, const struct gh_policy_row *row,
                                       struct gh_slice etag_before, size_t policies_max,
                                       struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    return code == GH_OK
               ? gh_write_end(link, put(link, row, etag_before, policies_max, error), error)
               : code;
}

static void policy_read(struct gh_sql *q, struct gh_arena *arena, struct gh_policy_row *row)
{
    row->number = gh_sql_int(q);
    row->tenant = gh_sql_int(q);
    row->name = gh_sql_text(q, arena);
    row->etag = gh_sql_text(q, arena);
    row->version = gh_sql_int(q);
    row->created_at_ms = gh_sql_int(q);
    row->updated_at_ms = gh_sql_int(q);
    row->attachments = gh_sql_int(q);
    row->document = gh_sql_text(q, arena);
}

enum gh_error_code gh_store_policy_get(struct gh_store *store, int64_t tenant, struct gh_slice name,
                                       struct gh_arena *arena, struct gh_policy_row *out,
                                       struct gh_error *error)
{
    struct gh_link *link;
    *out = (struct gh_policy_row){0};
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[POLICY_GET]);
    gh_sql_put_int(&q, tenant);
    gh_sql_put_text(&q, name);
    bool found = gh_sql_next(&q);
    if (found)
        policy_read(&q, arena, out);
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    return code == GH_OK && !found ? missing(name, error) : code;
}

/* All rows of an opened statement. */
static enum gh_error_code policies_read(struct gh_sql *q, struct gh_arena *arena,
                                        struct gh_policy_row **out, size_t *count,
                                        struct gh_error *error)
{
    struct gh_rows rows = {.arena = arena, .item_size = sizeof **out};
    struct gh_policy_row *row;
    while (gh_sql_next(q) && (row = gh_rows_add(&rows, q)) != NULL)
        policy_read(q, arena, row);
    *out = rows.items;
    *count = rows.count;
    return gh_sql_close(q, error);
}

enum gh_error_code gh_store_policy_list(struct gh_store *store, int64_t tenant,
                                        struct gh_arena *arena, struct gh_policy_row **out,
                                        size_t *count, struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[POLICY_LIST]);
    gh_sql_put_int(&q, tenant);
    code = policies_read(&q, arena, out, count, error);
    gh_read_end(link);
    return code;
}

enum gh_error_code gh_store_policy_effective(struct gh_store *store,
                                             const struct gh_policy_target *target,
                                             struct gh_arena *arena, struct gh_policy_row **out,
                                             size_t *count, struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[POLICY_EFFECTIVE]);
    gh_sql_put_int(&q, target->tenant);
    gh_sql_put_int(&q, target->registry);
    gh_sql_put_int(&q, (int64_t)target->device);
    gh_sql_put_text(&q, target->credential);
    code = policies_read(&q, arena, out, count, error);
    gh_read_end(link);
    return code;
}

enum gh_error_code gh_store_policy_personal(struct gh_store *store, int64_t tenant, bool *personal,
                                            struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[POLICY_PERSONAL]);
    gh_sql_put_int(&q, tenant);
    *personal = gh_sql_next(&q);
    code = gh_sql_close(&q, error);
    gh_read_end(link);
    return code;
}

static enum gh_error_code delete_policy(struct gh_link *link, int64_t tenant, struct gh_slice name,
                                        struct gh_error *error)
{
    int64_t number;
    bool same;
    enum gh_error_code code = find(link, tenant, name, (struct gh_slice){0}, &number, &same, error);
    if (code != GH_OK || number == 0)
        return code != GH_OK ? code : missing(name, error);
    struct gh_sql q = gh_sql_open(link, sql[POLICY_DELETE]);
    gh_sql_put_int(&q, number);
    code = gh_sql_run(&q, NULL, error);
    return code == GH_ERROR_PRECONDITION
               ? gh_error_set(error, code, "the policy %.*s is attached; detach it first",
                              GH_PRINT(name))
               : code;
}

enum gh_error_code gh_store_policy_delete(struct gh_store *store, int64_t tenant,
                                          struct gh_slice name, struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    return code == GH_OK ? gh_write_end(link, delete_policy(link, tenant, name, error), error)
                         : code;
}

/* --- attachments --- */

static enum kind kind_of(const struct gh_policy_target *target)
{
    if (target->device != 0)
        return target->credential.size > 0 ? CREDENTIAL : DEVICE;
    return target->group != 0 ? GROUP : target->registry != 0 ? REGISTRY : TENANT;
}

static int64_t number_of(const struct gh_policy_target *target)
{
    return target->device != 0     ? (int64_t)target->device
           : target->group != 0    ? target->group
           : target->registry != 0 ? target->registry
                                   : target->tenant;
}

/* The last parameter where the target is a credential. */
static void credential_put(struct gh_sql *q, const struct gh_policy_target *target)
{
    if (kind_of(target) == CREDENTIAL)
        gh_sql_put_text(q, target->credential);
}

/* The number of the policy of that name; NOT_FOUND without it or without the target of that kind.
 */
static enum gh_error_code both_find(struct gh_link *link, struct gh_slice name,
                                    const struct gh_policy_target *target, enum kind kind,
                                    int64_t *policy, struct gh_error *error)
{
    static const char *const nouns[] = {"tenant", "registry", "device", "group",
                                        "credential of the device"};
    bool same;
    enum gh_error_code code =
        find(link, target->tenant, name, (struct gh_slice){0}, policy, &same, error);
    if (code != GH_OK || *policy == 0)
        return code != GH_OK ? code : missing(name, error);
    struct gh_sql q = gh_sql_open(link, sql[OWNED + kind]);
    gh_sql_put_int(&q, number_of(target));
    gh_sql_put_int(&q, target->tenant);
    if (kind == CREDENTIAL)
        gh_sql_put_text(&q, target->credential);
    bool owned = gh_sql_next(&q);
    code = gh_sql_close(&q, error);
    return code == GH_OK && !owned
               ? gh_error_set(error, GH_ERROR_NOT_FOUND, "the tenant has no such %s", nouns[kind])
               : code;
}

static enum gh_error_code attach(struct gh_link *link, struct gh_slice name,
                                 const struct gh_policy_target *target, size_t attached_max,
                                 struct gh_error *error)
{
    int64_t policy, count = 0;
    bool there = false;
    /* A certificate under a CA is known by the CA and its serial number, not to the device. */
    enum kind kind = target->credential_of_ca ? DEVICE : kind_of(target);
    enum gh_error_code code = both_find(link, name, target, kind, &policy, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[ATTACHED + kind_of(target)]);
    gh_sql_put_int(&q, number_of(target));
    gh_sql_put_int(&q, policy);
    credential_put(&q, target);
    if (gh_sql_next(&q)) {
        count = gh_sql_int(&q);
        there = gh_sql_bool(&q);
    }
    code = gh_sql_close(&q, error);
    if (code != GH_OK || there)
        return code;
    if (count >= (int64_t)attached_max)
        return gh_error_set(error, GH_ERROR_LIMIT, "at most %zu policies are attached to one thing",
                            attached_max);
    q = gh_sql_open(link, sql[ATTACH + kind_of(target)]);
    gh_sql_put_int(&q, number_of(target));
    gh_sql_put_int(&q, policy);
    gh_sql_put_int(&q, target->tenant);
    credential_put(&q, target);
    return gh_sql_run(&q, NULL, error);
}

enum gh_error_code gh_store_policy_attach(struct gh_store *store, struct gh_slice name,
                                          const struct gh_policy_target *target,
                                          size_t attached_max, struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    return code == GH_OK
               ? gh_write_end(link, attach(link, name, target, attached_max, error), error)
               : code;
}

static enum gh_error_code detach(struct gh_link *link, struct gh_slice name,
                                 const struct gh_policy_target *target, struct gh_error *error)
{
    int64_t policy, changed = 0;
    /* The credential may be gone, and what is attached to it is to be taken off all the same. */
    enum kind kind = kind_of(target) == CREDENTIAL ? DEVICE : kind_of(target);
    enum gh_error_code code = both_find(link, name, target, kind, &policy, error);
    if (code != GH_OK)
        return code;
    struct gh_sql q = gh_sql_open(link, sql[DETACH + kind_of(target)]);
    gh_sql_put_int(&q, number_of(target));
    gh_sql_put_int(&q, policy);
    credential_put(&q, target);
    code = gh_sql_run(&q, &changed, error);
    return code == GH_OK && changed == 0
               ? gh_error_set(error, GH_ERROR_NOT_FOUND, "the policy %.*s is not attached there",
                              GH_PRINT(name))
               : code;
}

enum gh_error_code gh_store_policy_detach(struct gh_store *store, struct gh_slice name,
                                          const struct gh_policy_target *target,
                                          struct gh_error *error)
{
    struct gh_link *link;
    enum gh_error_code code = gh_write_begin(store, &link, error);
    return code == GH_OK ? gh_write_end(link, detach(link, name, target, error), error) : code;
}

enum gh_error_code gh_store_policy_targets(struct gh_store *store, int64_t tenant,
                                           struct gh_slice name, struct gh_arena *arena,
                                           struct gh_policy_target **out, size_t *count,
                                           struct gh_error *error)
{
    struct gh_rows rows = {.arena = arena, .item_size = sizeof **out};
    struct gh_policy_target *row;
    struct gh_link *link;
    int64_t policy;
    bool same;
    *out = NULL;
    *count = 0;
    enum gh_error_code code = gh_read_begin(store, &link, error);
    if (code != GH_OK)
        return code;
    code = find(link, tenant, name, (struct gh_slice){0}, &policy, &same, error);
    if (code == GH_OK && policy == 0)
        code = missing(name, error);
    if (code == GH_OK) {
        struct gh_sql q = gh_sql_open(link, sql[POLICY_TARGETS]);
        gh_sql_put_int(&q, policy);
        while (gh_sql_next(&q) && (row = gh_rows_add(&rows, &q)) != NULL) {
            row->tenant = gh_sql_int(&q);
            row->registry = gh_sql_int(&q);
            row->device = (uint64_t)gh_sql_int(&q);
            row->registry_name = gh_sql_text(&q, arena);
            row->device_id = gh_sql_text(&q, arena);
            row->group = gh_sql_int(&q);
            row->group_name = gh_sql_text(&q, arena);
            row->credential = gh_sql_text(&q, arena);
        }
        code = gh_sql_close(&q, error);
    }
    gh_read_end(link);
    *out = rows.items;
    *count = rows.count;
    return code;
}
