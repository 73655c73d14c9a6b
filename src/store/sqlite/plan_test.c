/* How SQLite runs the statements: each one that the calls below have prepared is explained, and a
 * walk over a whole table or a sort in memory is a failure unless it is named here with its reason.
 */
#include "store/audit.h"
#include "store/sqlite/sqlite_internal.h"
#include "store/trust.h"
#include "tests/check.h"
#include <stdio.h>
#include <string.h>

static struct gh_store *store;
static struct gh_arena arena;
static struct gh_error error;

/* Parts of statements that may walk or sort. */
static const struct {
    const char *statement, *step, *reason;
} allowed[] = {
    {"FROM tenants ORDER BY name", "SCAN tenants", "all tenants are asked for"},
    {"FROM operators", "SCAN operators", "all operators are asked for"},
    {"FROM tokens t LEFT JOIN operators o ON o.number = t.operator ORDER BY", "SCAN t",
     "all tokens are asked for"},
    {"FROM tokens t LEFT JOIN operators o ON o.number = t.operator ORDER BY", "TEMP B-TREE",
     "they are few"},
    {"FROM sign_ins s", "TEMP B-TREE", "an operator has few"},
    {"DELETE FROM tokens WHERE expires", "SCAN tokens", "they are few"},
    {"DELETE FROM sign_ins WHERE expires", "SCAN sign_ins", "they are few"},
    {"FROM topics ORDER BY number", "SCAN topics", "all topics are asked for"},
    {"FROM subscriptions ORDER BY number", "SCAN subscriptions", "all subscriptions are asked for"},
    {"FROM snapshots ORDER BY number", "SCAN snapshots", "all snapshots are asked for"},
    {"SELECT count(*) FROM", "SCAN", "a count reads an index from end to end"},
    {"LIKE ?5", "SCAN attributes", "a search reads all attributes, once"},
    {"json_each", "SCAN json_each", "the ids that were given"},
    {"json_each", "TEMP B-TREE", "the ids that were given"},
    {"FROM trail WHERE ?1 = 0 AND ?2 = ''", "SCAN trail", "backwards by key, ends at the limit"},
    {"LIMIT ?1)", "SCAN trail", "forwards by key, ends at the limit"},
    {"FROM policy_attachments a", "TEMP B-TREE", "of one policy"},
    {"FROM policies WHERE number IN", "TEMP B-TREE", "those of one device"},
    {"FROM roles WHERE coalesce(tenant, 0) IN", "TEMP B-TREE", "they are few"},
    {"instr(policy", "SCAN", "before a role is deleted every policy is looked at"},
    {"FROM device_group_members m JOIN grants", "TEMP B-TREE", "those of one device"},
    {"NOT IN (SELECT anchor, serial FROM certificate_uses", "TEMP B-TREE", "of one device"},
    {"FROM (SELECT anchor, serial", "TEMP B-TREE", "of one device"},
    {"FROM (SELECT anchor, serial", "SCAN c", "of one device"},
    {"FROM audit r", "SCAN r", "by key, ends at the limit"},
    {"FROM audit_checkpoints WHERE", "SCAN audit_checkpoints", "by key, ends at the limit"},
    {"FROM audit ORDER BY seq DESC", "SCAN audit", "backwards by key, one row"},
    {"DELETE FROM audit_names WHERE last_seq", "SCAN audit_names", "with a cut, once a day"},
    {"", "SCAN CONSTANT ROW", "no table at all"},
};

static bool is_allowed(const char *statement, const char *step)
{
    for (size_t i = 0; i < GH_COUNT(allowed); i++)
        if (strstr(statement, allowed[i].statement) != NULL &&
            strstr(step, allowed[i].step) != NULL)
            return true;
    return false;
}

static size_t explain(struct gh_link *link)
{
    size_t explained = 0;
    for (size_t i = 0; i < GH_STORE_STATEMENTS_MAX; i++) {
        char text[4096];
        sqlite3_stmt *steps;
        if (link->slots[i].text == NULL)
            continue;
        snprintf(text, sizeof text, "EXPLAIN QUERY PLAN %s", link->slots[i].text);
        REQUIRE("explained", sqlite3_prepare_v2(link->db, text, -1, &steps, NULL) == SQLITE_OK);
        while (sqlite3_step(steps) == SQLITE_ROW) {
            const char *step = (const char *)sqlite3_column_text(steps, 3);
            bool slow = strstr(step, "SCAN") != NULL || strstr(step, "TEMP B-TREE") != NULL ||
                        strstr(step, "AUTOMATIC") != NULL;
            if (!CHECK("no walk over a table", !slow || is_allowed(link->slots[i].text, step)))
                fprintf(stderr, "    %s\n    in %s\n", step, link->slots[i].text);
        }
        sqlite3_finalize(steps);
        explained++;
    }
    return explained;
}

/* Runs every statement once; what they find does not matter here. */
static void run_writes(int64_t *tenant_out, int64_t *registry_out)
{
    enum gh_error_code code;
    struct gh_slice one = GH_SLICE("one"), hash = GH_SLICE("0123456789abcdef0123456789abcdef");
    struct gh_tenant tenant = {
        .name = one, .google_project = one, .azure_hub = one, .aws_account = one};
    code = gh_store_tenant_create(store, &tenant, &error);
    code = gh_store_tenant_policy_set(store, tenant.number, one, one, one, &error);
    struct gh_route route = {one, one};
    struct gh_registry registry = {.tenant = tenant.number,
                                   .name = one,
                                   .routes = &route,
                                   .routes_count = 1,
                                   .certificates = {one},
                                   .certificates_count = 1};
    code = gh_store_registry_create(store, &registry, &error);
    code = gh_store_registry_update(store, registry.number, 63, &registry, &error);
    code = gh_store_registry_policy_set(store, registry.number, one, one, (struct gh_slice){0},
                                        &error);
    struct gh_attribute attribute = {one, one};
    struct gh_device devices[] = {
        {.number = 1, .registry = registry.number, .id = GH_SLICE("gate"), .is_gateway = true},
        {.number = 2,
         .registry = registry.number,
         .id = one,
         .attributes = &attribute,
         .attributes_count = 1,
         .credentials_count = 1}};
    size_t failed;
    bool taken;
    code = gh_store_devices_create(store, devices, 2, &failed, &taken, &error);
    REQUIRE("devices", code == GH_OK);
    code = gh_store_device_update(store, 2, 31, &devices[1], &error);
    code = gh_store_gateway_bind(store, 1, 2, &(struct gh_gateway_limits){0}, &error);
    code = gh_store_gateway_unbind(store, 1, 2, &error);
    int64_t version;
    for (int i = 0; i < 12; i++) {
        code = gh_store_config_set(store, 2, one, 0, 1, &version, &error);
        code = gh_store_state_set(store, 2, one, 1, &error);
    }
    code = gh_store_config_acknowledged(store, 2, 1, 1, &error);
    code = gh_store_activity_put(store, &(struct gh_activity_times){.device = 2}, 1, &error);
    struct gh_operator_row operator= {.name = one};
    code = gh_store_operator_create(store, &operator, & error);
    code = gh_store_operator_update(store, &operator, & error);
    struct gh_sign_in_row sign_in = {.hash = hash, .operator_number = operator.number };
    code = gh_store_sign_in_create(store, &sign_in, &error);
    code = gh_store_sign_in_seen(store, hash, 1, &error);
    code = gh_store_sign_in_delete(store, hash, &error);
    code = gh_store_operator_delete(store, operator.number, &error);
    code = gh_store_token_create(store, &(struct gh_token_row){.hash = hash}, &error);
    code = gh_store_token_delete(store, hash, &error);
    code = gh_store_expire(store, 1, 1, &error);
    struct gh_topic_row topic = {.tenant = tenant.number, .name = one};
    code = gh_store_topic_create(store, &topic, &error);
    struct gh_subscription_row subscription = {
        .tenant = tenant.number, .topic = topic.number, .name = one};
    code = gh_store_subscription_create(store, &subscription, &error);
    code = gh_store_topic_update(store, &topic, &error);
    code = gh_store_subscription_update(store, &subscription, &error);
    struct gh_snapshot_row snapshot = {.tenant = tenant.number, .topic = topic.number, .name = one};
    code = gh_store_snapshot_create(store, &snapshot, one, &error);
    code = gh_store_snapshot_update(store, &snapshot, &error);
    code = gh_store_snapshot_delete(store, snapshot.number, &error);
    code = gh_store_subscription_delete(store, subscription.number, &error);
    code = gh_store_topic_delete(store, topic.number, &error);
    struct gh_document_row document = {.tenant = tenant.number, .kind = one, .name = one};
    code = gh_store_document_put(store, &document, &error);
    code = gh_store_document_delete(store, tenant.number, one, one, &error);
    struct gh_policy_row policy = {.tenant = tenant.number, .name = one};
    code = gh_store_policy_put(store, &policy, (struct gh_slice){0}, 9, &error);
    struct gh_policy_target targets[] = {{.tenant = tenant.number},
                                         {.tenant = tenant.number, .registry = registry.number},
                                         {.tenant = tenant.number, .device = 2}};
    for (size_t i = 0; i < GH_COUNT(targets); i++) {
        code = gh_store_policy_attach(store, one, &targets[i], 9, &error);
        REQUIRE("attached", code == GH_OK);
        code = gh_store_policy_detach(store, one, &targets[i], &error);
        REQUIRE("detached", code == GH_OK);
    }
    code = gh_store_policy_delete(store, tenant.number, one, &error);
    struct gh_trail_entry entry = {.sequence = 1, .kind = GH_TRAIL_CONNECT};
    code = gh_store_trail_append(store, &entry, 1, &error);
    code = gh_store_blocks_put(store, &(struct gh_block_row){.device = 2}, 1, 1, &error);
    size_t removed;
    code = gh_store_blocks_trim(store, 1, &removed, &error);
    REQUIRE("the last one", code == GH_OK);
    *tenant_out = tenant.number;
    *registry_out = registry.number;
}

static void run_device_reads(int64_t tenant, int64_t registry)
{
    enum gh_error_code code;
    struct gh_slice one = GH_SLICE("one");
    struct gh_device device, *devices;
    struct gh_config *configs;
    struct gh_state *states;
    size_t count;
    uint64_t total;
    bool more;
    const struct gh_device_query queries[] = {
        {.page_size = 1, .parts = GH_DEVICE_PART_ALL, .text = one},
        {.page_size = 1, .tenant = tenant},
        {.page_size = 1, .registry = registry},
        {.page_size = 1, .registry = registry, .ids = &one, .ids_count = 1},
    };
    for (size_t i = 0; i < GH_COUNT(queries); i++) {
        code = gh_store_device_list(store, &queries[i], 0, (struct gh_slice){0}, &arena, &devices,
                                    &count, &more, &error);
        CHECK("listed", code == GH_OK && count == 1);
        code = gh_store_device_count(store, &queries[i], &total, &error);
    }
    code = gh_store_device_get(store, 2, &arena, &device, &error);
    code = gh_store_device_find(store, tenant, one, one, one, 0, &arena, &device, &error);
    code = gh_store_device_find(store, tenant, one, one, one, 2, &arena, &device, &error);
    code = gh_store_gateway_bound(store, 1, 2, &more, &error);
    code = gh_store_config_list(store, 2, 10, &arena, &configs, &count, &error);
    code = gh_store_state_list(store, 2, 10, &arena, &states, &count, &error);
    CHECK("the last one", code == GH_OK && count == 10);
}

static bool visit(void *context, const struct gh_block_row *block)
{
    (void)context, (void)block;
    return false;
}

static void run_reads(int64_t tenant)
{
    enum gh_error_code code;
    struct gh_slice one = GH_SLICE("one"), value;
    struct gh_tenant row, *tenants;
    struct gh_registry registry, *registries;
    struct gh_operator_row operator, * operators;
    struct gh_sign_in_row sign_in, *sign_ins;
    struct gh_factor_row *factors;
    struct gh_token_row token, *tokens;
    struct gh_topic_row *topics;
    struct gh_subscription_row *subscriptions;
    struct gh_snapshot_row *snapshots;
    struct gh_document_row document, *documents;
    struct gh_policy_row policy, *policies;
    struct gh_policy_target *targets;
    struct gh_trail_entry *entries;
    int64_t sequence;
    size_t count;
    bool more;
    code = gh_store_tenant_get(store, tenant, &arena, &row, &error);
    code = gh_store_tenant_find(store, one, &arena, &row, &error);
    code = gh_store_tenant_find_google(store, one, &arena, &row, &error);
    code = gh_store_tenant_list(store, &arena, &tenants, &count, &error);
    code = gh_store_registry_find(store, tenant, one, one, &arena, &registry, &error);
    code = gh_store_registry_get(store, registry.number, &arena, &registry, &error);
    code = gh_store_registry_list(store, &(struct gh_registry_query){.page_size = 1}, 0,
                                  (struct gh_slice){0}, &arena, &registries, &count, &more, &error);
    code = gh_store_operator_find(store, one, &arena, &operator, & error);
    code = gh_store_operator_list(store, &arena, &operators, &count, &error);
    code = gh_store_operator_find_outside(store, one, one, &arena, &operator, & error);
    code = gh_store_operator_find_outside(store, (struct gh_slice){0}, one, &arena,
                                          &operator, & error);
    code = gh_store_sign_in_find(store, one, &arena, &sign_in, &error);
    code = gh_store_sign_in_list(store, 1, &arena, &sign_ins, &count, &error);
    code = gh_store_factor_list(store, 1, &arena, &factors, &count, &error);
    code = gh_store_token_find(store, one, &arena, &token, &error);
    code = gh_store_token_list(store, &arena, &tokens, &count, &error);
    code = gh_store_topic_list(store, &arena, &topics, &count, &error);
    code = gh_store_subscription_list(store, &arena, &subscriptions, &count, &error);
    code = gh_store_snapshot_list(store, &arena, &snapshots, &count, &error);
    code = gh_store_snapshot_state(store, 1, &arena, &value, &error);
    code = gh_store_document_get(store, tenant, one, one, &arena, &document, &error);
    code = gh_store_document_list(store, tenant, one, &arena, &documents, &count, &error);
    code = gh_store_meta_get(store, one, &arena, &value, &error);
    code = gh_store_policy_get(store, tenant, one, &arena, &policy, &error);
    code = gh_store_policy_list(store, tenant, &arena, &policies, &count, &error);
    code = gh_store_policy_put(store, &(struct gh_policy_row){.tenant = tenant, .name = one},
                               (struct gh_slice){0}, 9, &error);
    code = gh_store_policy_targets(store, tenant, one, &arena, &targets, &count, &error);
    struct gh_device_group group = {.tenant = tenant, .name = one}, *groups;
    struct gh_device_group_member *members;
    code = gh_store_group_create(store, &group, 9, &error);
    code = gh_store_group_find(store, tenant, one, &arena, &group, &error);
    code = gh_store_group_list(store, tenant, &arena, &groups, &count, &error);
    code = gh_store_group_add(store, group.number, 1, 9, &error);
    code = gh_store_group_members(store, group.number, 0, 9, &arena, &members, &count, &error);
    code = gh_store_group_remove(store, group.number, 1, &error);
    code = gh_store_policy_attach(
        store, one, &(struct gh_policy_target){.tenant = tenant, .group = group.number}, 9, &error);
    code = gh_store_policy_attach(
        store, one, &(struct gh_policy_target){.tenant = tenant, .device = 1, .credential = one}, 9,
        &error);
    struct gh_grant_row grant = {.tenant = tenant, .group = group.number, .policy = one}, *grants;
    struct gh_custom_role role = {.tenant = tenant, .name = one}, *roles;
    bool made;
    code = gh_store_grant_set(store, &grant, one, &error);
    code = gh_store_grant_set(store, &grant, (struct gh_slice){0}, &error);
    grant = (struct gh_grant_row){.tenant = tenant, .device = 1};
    code = gh_store_grant_set(store, &grant, one, &error);
    code = gh_store_grant_get(store, &grant, &arena, &error);
    code = gh_store_grants_of_device(store, 1, &arena, &grants, &count, &error);
    code = gh_store_role_put(store, &role, (struct gh_slice){0}, 9, &made, &error);
    code = gh_store_role_put(store, &role, (struct gh_slice){0}, 9, &made, &error);
    code = gh_store_role_list(store, tenant, &arena, &roles, &count, &error);
    code = gh_store_role_delete(store, tenant, one, 0, &error);
    code = gh_store_group_delete(store, group.number, &error);
    code = gh_store_policy_effective(store, &(struct gh_policy_target){.tenant = tenant}, &arena,
                                     &policies, &count, &error);
    bool personal;
    struct gh_device asked;
    code = gh_store_policy_personal(store, tenant, &personal, &error);
    code = gh_store_device_sign_in(store, 1, one, 0, &arena, &asked, &error);
    code = gh_store_device_sign_in(store, 1, one, 1, &arena, &asked, &error);
    const struct gh_trail_filter filters[] = {{.limit = 1},
                                              {.limit = 1, .device = 1},
                                              {.limit = 1, .tenant = one},
                                              {.limit = 1, .kinds = 2}};
    for (size_t i = 0; i < GH_COUNT(filters); i++)
        code = gh_store_trail_list(store, &filters[i], &arena, &entries, &count, &error);
    code = gh_store_trail_last(store, &sequence, &error);
    code = gh_store_blocks_each(store, 2, 0, 1, visit, NULL, &error);
    CHECK("the last one", code == GH_OK);
}

/* The audit trail: rows, a checkpoint, a cut. */
static void run_audit(void)
{
    struct gh_slice one = GH_SLICE("one");
    const struct gh_audit_note note = {.action = one, .actor = one};
    struct gh_audit_filter filter = {.result = -1, .limit = 1};
    struct gh_audit_checkpoint checkpoint = {.seq = 1}, *checkpoints;
    struct gh_audit_entry *entries;
    int64_t first, last;
    size_t count;
    enum gh_error_code code = gh_store_audit_append(store, &note, NULL, &error);
    code = gh_store_audit_list(store, &filter, &arena, &entries, &count, &error);
    filter.oldest_first = true;
    code = gh_store_audit_list(store, &filter, &arena, &entries, &count, &error);
    code = gh_store_audit_ends(store, &first, &last, &error);
    code = gh_store_audit_checkpoint_put(store, &checkpoint, &error);
    code = gh_store_audit_checkpoint_list(store, 0, 1, &arena, &checkpoints, &count, &error);
    code = gh_store_audit_checkpoint_at(store, 1, &arena, &checkpoint, &error);
    code = gh_store_audit_cut(store, 1, &note, &error);
    code = gh_store_audit_forget(store, one, &note, &error);
    CHECK("the last one", code == GH_OK);
}

/* Uses and marks of credentials, what responders said, and the house's bindings. */
static void run_trust(void)
{
    const struct gh_slice one = GH_SLICE("1"), policy = GH_SLICE("{\"bindings\":[]}");
    const struct gh_credential_use uses[] = {{.device = 2, .credential = one, .at_ms = 1},
                                             {.device = 2, .anchor = 1, .serial = one}};
    const struct gh_credential_mark mark = {.device = 2, .credential = one, .mark = one};
    struct gh_ocsp_row answer = {.anchor = 1, .serial = one}, *answers;
    struct gh_certificate_use *certificates;
    struct gh_credential_mark *marks;
    struct gh_slice etag, stored;
    size_t count;
    enum gh_error_code code = gh_store_credential_uses_put(store, uses, 2, &error);
    code = gh_store_credential_marks_put(store, &mark, 1, &error);
    code = gh_store_credential_unmarked(store, &mark, 1, &arena, &marks, &count, &error);
    code = gh_store_certificate_use_list(store, 2, 1, &arena, &certificates, &count, &error);
    code = gh_store_ocsp_put(store, &answer, &error);
    code = gh_store_ocsp_find(store, 1, one, &answer, &error);
    code = gh_store_ocsp_due(store, 1, 1, &arena, &answers, &count, &error);
    code = gh_store_ocsp_delete(store, 1, one, &error);
    code = gh_store_house_policy_set(store, policy, one, (struct gh_slice){0}, &error);
    code = gh_store_house_policy_get(store, &arena, &stored, &etag, &error);
    (void)code;
}

int main(void)
{
    int64_t tenant, registry;
    gh_arena_init(&arena, 16 << 20);
    store = gh_store_open(check_folder(), GH_STORE_CREATE, &error);
    REQUIRE("the store opens", store != NULL);
    run_writes(&tenant, &registry);
    run_device_reads(tenant, registry);
    run_reads(tenant);
    run_audit();
    run_trust();
    size_t explained = explain(&store->writer) + explain(store->readers[0]);
    printf("%zu statements explained\n", explained);
    CHECK("most of them", explained > 90);
    gh_store_close(store);
    gh_arena_deinit(&arena);
    return check_report();
}
