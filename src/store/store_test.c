#include "store/registry.h"
#include "store/store.h"
#include "tests/check.h"
#include <stdio.h>
#include <string.h>

static struct gh_store *store;
static struct gh_arena arena;
static struct gh_error error;

static bool same(struct gh_slice a, const char *text)
{
    return gh_slice_equal(a, gh_slice_text(text));
}

static int64_t tenant_make(const char *name)
{
    struct gh_slice slice = gh_slice_text(name);
    struct gh_tenant tenant = {
        .name = slice, .google_project = slice, .azure_hub = slice, .aws_account = slice};
    REQUIRE("a tenant", gh_store_tenant_create(store, &tenant, &error) == GH_OK);
    return tenant.number;
}

static void keeps_meta(void)
{
    struct gh_slice value;
    CHECK("not there yet",
          gh_store_meta_get(store, GH_SLICE("k"), &arena, &value, &error) == GH_ERROR_NOT_FOUND);
    CHECK("put", gh_store_meta_put(store, GH_SLICE("k"), GH_SLICE("a\0b"), &error) == GH_OK);
    CHECK("read", gh_store_meta_get(store, GH_SLICE("k"), &arena, &value, &error) == GH_OK &&
                      gh_slice_equal(value, GH_SLICE("a\0b")));
    CHECK("replaced by nothing",
          gh_store_meta_put(store, GH_SLICE("k"), (struct gh_slice){0}, &error) == GH_OK);
    CHECK("read", gh_store_meta_get(store, GH_SLICE("k"), &arena, &value, &error) == GH_OK &&
                      value.size == 0);
    struct gh_arena small;
    gh_arena_init(&small, 64);
    CHECK("long",
          gh_store_meta_put(store, GH_SLICE("k"), gh_slice(memset((char[100]){0}, 'x', 100), 100),
                            &error) == GH_OK);
    CHECK("an arena at its ceiling is said",
          gh_store_meta_get(store, GH_SLICE("k"), &small, &value, &error) == GH_ERROR_MEMORY);
    gh_arena_deinit(&small);
}

static void keeps_operators(void)
{
    struct gh_operator_row row = {.name = GH_SLICE("ann"),
                                  .password_hash = GH_SLICE("$argon2id$1"),
                                  .role = GH_SLICE("administrator"),
                                  .created_at_ms = 5};
    struct gh_operator_row other = {
        .name = GH_SLICE("bob"), .role = GH_SLICE("viewer"), .tenant = tenant_make("bobs")};
    struct gh_operator_row got, *all;
    struct gh_sign_in_row sign_in = {.hash = GH_SLICE("0123456789abcdef0123456789abcdef"),
                                     .created_at_ms = 10,
                                     .seen_at_ms = 10,
                                     .expires_at_ms = 1000};
    struct gh_sign_in_row found;
    size_t count;
    CHECK("created", gh_store_operator_create(store, &row, &error) == GH_OK && row.number > 0);
    CHECK("the name is taken", gh_store_operator_create(store, &row, &error) == GH_ERROR_EXISTS);
    CHECK("another", gh_store_operator_create(store, &other, &error) == GH_OK);
    CHECK("found", gh_store_operator_find(store, GH_SLICE("ann"), &arena, &got, &error) == GH_OK &&
                       got.number == row.number && same(got.password_hash, "$argon2id$1") &&
                       same(got.role, "administrator") && got.tenant == 0 && !got.disabled &&
                       got.created_at_ms == 5);
    CHECK("not found", gh_store_operator_find(store, GH_SLICE("ANN"), &arena, &got, &error) ==
                           GH_ERROR_NOT_FOUND);
    CHECK("listed by name", gh_store_operator_list(store, &arena, &all, &count, &error) == GH_OK &&
                                count == 2 && same(all[0].name, "ann") &&
                                all[1].tenant == other.tenant);

    sign_in.operator_number = row.number;
    CHECK("signed in", gh_store_sign_in_create(store, &sign_in, &error) == GH_OK);
    CHECK("found", gh_store_sign_in_find(store, sign_in.hash, &arena, &found, &error) == GH_OK &&
                       same(found.operator_name, "ann") && found.operator_number == row.number &&
                       found.seen_at_ms == 10 && found.expires_at_ms == 1000 &&
                       !found.operator_disabled);
    CHECK("seen", gh_store_sign_in_seen(store, sign_in.hash, 20, &error) == GH_OK);
    CHECK("seen moves forward only",
          gh_store_sign_in_seen(store, sign_in.hash, 15, &error) == GH_OK &&
              gh_store_sign_in_find(store, sign_in.hash, &arena, &found, &error) == GH_OK &&
              found.seen_at_ms == 20);
    CHECK("not yet idle",
          gh_store_expire(store, 999, 20, &error) == GH_OK &&
              gh_store_sign_in_find(store, sign_in.hash, &arena, &found, &error) == GH_OK);
    CHECK("idle", gh_store_expire(store, 999, 21, &error) == GH_OK &&
                      gh_store_sign_in_find(store, sign_in.hash, &arena, &found, &error) ==
                          GH_ERROR_NOT_FOUND);
    CHECK("again", gh_store_sign_in_create(store, &sign_in, &error) == GH_OK);
    row.disabled = true;
    row.password_hash = GH_SLICE("$argon2id$2");
    CHECK("updated",
          gh_store_operator_update(store, &row, &error) == GH_OK &&
              gh_store_operator_find(store, GH_SLICE("ann"), &arena, &got, &error) == GH_OK &&
              got.disabled && same(got.password_hash, "$argon2id$2"));
    CHECK("an update ends the sign-ins",
          gh_store_sign_in_find(store, sign_in.hash, &arena, &found, &error) == GH_ERROR_NOT_FOUND);
    CHECK("deleting what is not there",
          gh_store_sign_in_delete(store, sign_in.hash, &error) == GH_ERROR_NOT_FOUND);
    CHECK("again", gh_store_sign_in_create(store, &sign_in, &error) == GH_OK);
    CHECK("deleted with the sign-ins",
          gh_store_operator_delete(store, row.number, &error) == GH_OK &&
              gh_store_sign_in_delete(store, sign_in.hash, &error) == GH_ERROR_NOT_FOUND);
    CHECK("gone", gh_store_operator_delete(store, row.number, &error) == GH_ERROR_NOT_FOUND &&
                      gh_store_operator_update(store, &row, &error) == GH_ERROR_NOT_FOUND);
    CHECK("no sign-in for nobody",
          gh_store_sign_in_create(store, &sign_in, &error) == GH_ERROR_NOT_FOUND);
    CHECK("a tenant's operators go with it",
          gh_store_tenant_delete(store, other.tenant, &error) == GH_OK &&
              gh_store_operator_find(store, GH_SLICE("bob"), &arena, &got, &error) ==
                  GH_ERROR_NOT_FOUND);
}

static void keeps_tokens(void)
{
    struct gh_token_row row = {.hash = GH_SLICE("0123456789abcdef0123456789abcde1"),
                               .role = GH_SLICE("viewer"),
                               .member = GH_SLICE("user:ann@example.com"),
                               .tenant = tenant_make("tokens"),
                               .created_at_ms = 1,
                               .expires_at_ms = 100};
    struct gh_token_row got, *all;
    size_t count;
    CHECK("created", gh_store_token_create(store, &row, &error) == GH_OK);
    CHECK("not twice", gh_store_token_create(store, &row, &error) == GH_ERROR_EXISTS);
    CHECK("found", gh_store_token_find(store, row.hash, &arena, &got, &error) == GH_OK &&
                       got.tenant == row.tenant && same(got.member, "user:ann@example.com") &&
                       got.expires_at_ms == 100);
    CHECK("listed",
          gh_store_token_list(store, &arena, &all, &count, &error) == GH_OK && count == 1);
    CHECK("not yet expired",
          gh_store_expire(store, 99, 0, &error) == GH_OK &&
              gh_store_token_find(store, row.hash, &arena, &got, &error) == GH_OK);
    CHECK("expired",
          gh_store_expire(store, 100, 0, &error) == GH_OK &&
              gh_store_token_find(store, row.hash, &arena, &got, &error) == GH_ERROR_NOT_FOUND);
    CHECK("again", gh_store_token_create(store, &row, &error) == GH_OK);
    CHECK("deleted", gh_store_token_delete(store, row.hash, &error) == GH_OK &&
                         gh_store_token_delete(store, row.hash, &error) == GH_ERROR_NOT_FOUND);
    row.tenant = 999;
    CHECK("no token for no tenant",
          gh_store_token_create(store, &row, &error) == GH_ERROR_NOT_FOUND);
}

static void keeps_topics(void)
{
    int64_t tenant = tenant_make("topics");
    struct gh_topic_row topic = {.tenant = tenant,
                                 .name = GH_SLICE("telemetry"),
                                 .settings = GH_SLICE("{}"),
                                 .created_at_ms = 3};
    struct gh_topic_row *topics;
    struct gh_subscription_row row = {.tenant = tenant,
                                      .name = GH_SLICE("climate"),
                                      .topic_name = GH_SLICE("telemetry"),
                                      .ack_deadline_s = 10,
                                      .retention_s = 600,
                                      .first_offset = UINT64_C(1) << 40,
                                      .settings = GH_SLICE("{\"a\":1}"),
                                      .created_at_ms = 4};
    struct gh_subscription_row *rows;
    size_t count;
    CHECK("a topic", gh_store_topic_create(store, &topic, &error) == GH_OK && topic.number > 0);
    CHECK("not twice", gh_store_topic_create(store, &topic, &error) == GH_ERROR_EXISTS);
    CHECK("listed", gh_store_topic_list(store, &arena, &topics, &count, &error) == GH_OK &&
                        count == 1 && same(topics[0].name, "telemetry") &&
                        topics[0].created_at_ms == 3);
    row.topic = 999;
    CHECK("no subscription without topic",
          gh_store_subscription_create(store, &row, &error) == GH_ERROR_NOT_FOUND);
    row.topic = topic.number;
    CHECK("a subscription", gh_store_subscription_create(store, &row, &error) == GH_OK);
    CHECK("not twice", gh_store_subscription_create(store, &row, &error) == GH_ERROR_EXISTS);
    row.ack_deadline_s = 20;
    CHECK("updated",
          gh_store_subscription_update(store, &row, &error) == GH_OK &&
              gh_store_subscription_list(store, &arena, &rows, &count, &error) == GH_OK &&
              count == 1 && rows[0].ack_deadline_s == 20 &&
              rows[0].first_offset == UINT64_C(1) << 40 && rows[0].topic == topic.number &&
              same(rows[0].settings, "{\"a\":1}"));
    struct gh_snapshot_row snapshot = {.tenant = tenant,
                                       .topic = topic.number,
                                       .name = GH_SLICE("snap"),
                                       .from_offset = UINT64_C(1) << 41,
                                       .expires_at_ms = 5};
    struct gh_snapshot_row *snapshots;
    struct gh_slice state;
    topic.policy = GH_SLICE("{}");
    topic.retention_s = 700;
    CHECK("what a topic keeps",
          gh_store_topic_update(store, &topic, &error) == GH_OK &&
              gh_store_topic_list(store, &arena, &topics, &count, &error) == GH_OK &&
              topics[0].retention_s == 700 && same(topics[0].policy, "{}"));
    CHECK("a snapshot",
          gh_store_snapshot_create(store, &snapshot, GH_SLICE("a\0b"), &error) == GH_OK &&
              gh_store_snapshot_create(store, &snapshot, GH_SLICE(""), &error) == GH_ERROR_EXISTS);
    snapshot.expires_at_ms = 6;
    CHECK("updated", gh_store_snapshot_update(store, &snapshot, &error) == GH_OK);
    CHECK("listed", gh_store_snapshot_list(store, &arena, &snapshots, &count, &error) == GH_OK &&
                        count == 1 && snapshots[0].from_offset == UINT64_C(1) << 41 &&
                        snapshots[0].expires_at_ms == 6);
    CHECK("its state",
          gh_store_snapshot_state(store, snapshot.number, &arena, &state, &error) == GH_OK &&
              gh_slice_equal(state, GH_SLICE("a\0b")));
    CHECK("deleted", gh_store_snapshot_delete(store, snapshot.number, &error) == GH_OK &&
                         gh_store_snapshot_state(store, snapshot.number, &arena, &state, &error) ==
                             GH_ERROR_NOT_FOUND);
    CHECK("a tenant with topics stays",
          gh_store_tenant_delete(store, tenant, &error) == GH_ERROR_PRECONDITION);
    CHECK("the topic goes",
          gh_store_topic_delete(store, topic.number, &error) == GH_OK &&
              gh_store_topic_delete(store, topic.number, &error) == GH_ERROR_NOT_FOUND);
    CHECK("its subscription stays",
          gh_store_subscription_list(store, &arena, &rows, &count, &error) == GH_OK && count == 1 &&
              rows[0].topic == 0 && same(rows[0].topic_name, "telemetry"));
    CHECK("a tenant with subscriptions stays",
          gh_store_tenant_delete(store, tenant, &error) == GH_ERROR_PRECONDITION);
    CHECK("the subscription goes",
          gh_store_subscription_delete(store, row.number, &error) == GH_OK &&
              gh_store_subscription_delete(store, row.number, &error) == GH_ERROR_NOT_FOUND &&
              gh_store_subscription_update(store, &row, &error) == GH_ERROR_NOT_FOUND);
    int64_t number = topic.number;
    CHECK("the same name again", gh_store_topic_create(store, &topic, &error) == GH_OK);
    CHECK("numbers are not given twice", topic.number > number);
}

static void keeps_documents(void)
{
    int64_t first = tenant_make("docs-a"), second = tenant_make("docs-b");
    struct gh_document_row row = {.tenant = first,
                                  .kind = GH_SLICE("zone"),
                                  .name = GH_SLICE("hall-1"),
                                  .json = GH_SLICE("{}"),
                                  .updated_at_ms = 7};
    struct gh_document_row got, *all;
    size_t count;
    CHECK("put", gh_store_document_put(store, &row, &error) == GH_OK);
    row.json = GH_SLICE("{\"a\":1}");
    CHECK("replaced", gh_store_document_put(store, &row, &error) == GH_OK &&
                          gh_store_document_get(store, first, row.kind, row.name, &arena, &got,
                                                &error) == GH_OK &&
                          same(got.json, "{\"a\":1}") && got.updated_at_ms == 7);
    row.tenant = second;
    CHECK("another tenant's", gh_store_document_put(store, &row, &error) == GH_OK);
    CHECK("one tenant's list",
          gh_store_document_list(store, first, row.kind, &arena, &all, &count, &error) == GH_OK &&
              count == 1 && all[0].tenant == first);
    CHECK("all tenants' list",
          gh_store_document_list(store, 0, row.kind, &arena, &all, &count, &error) == GH_OK &&
              count == 2);
    CHECK("another kind's list", gh_store_document_list(store, 0, GH_SLICE("other"), &arena, &all,
                                                        &count, &error) == GH_OK &&
                                     count == 0);
    CHECK("deleted", gh_store_document_delete(store, second, row.kind, row.name, &error) == GH_OK &&
                         gh_store_document_delete(store, second, row.kind, row.name, &error) ==
                             GH_ERROR_NOT_FOUND &&
                         gh_store_document_get(store, second, row.kind, row.name, &arena, &got,
                                               &error) == GH_ERROR_NOT_FOUND);
    row.tenant = 999;
    CHECK("no document of no tenant",
          gh_store_document_put(store, &row, &error) == GH_ERROR_NOT_FOUND);
}

static struct gh_trail_entry entry_of(int64_t sequence, uint64_t device, const char *tenant,
                                      enum gh_trail_kind kind)
{
    return (struct gh_trail_entry){.sequence = sequence,
                                   .at_ms = sequence * 10,
                                   .device = device,
                                   .tenant = gh_slice_text(tenant),
                                   .registry = GH_SLICE("r"),
                                   .device_id = GH_SLICE("d"),
                                   .kind = kind,
                                   .reason = GH_SLICE("WHY"),
                                   .detail = GH_SLICE("detail"),
                                   .address = GH_SLICE("127.0.0.1:1")};
}

static size_t trail_count(struct gh_trail_filter filter, int64_t *newest)
{
    struct gh_trail_entry *entries;
    size_t count = 0;
    CHECK("listed", gh_store_trail_list(store, &filter, &arena, &entries, &count, &error) == GH_OK);
    if (newest != NULL)
        *newest = count > 0 ? entries[0].sequence : 0;
    for (size_t i = 1; i < count; i++)
        CHECK("newest first", entries[i].sequence < entries[i - 1].sequence);
    gh_arena_reset(&arena);
    return count;
}

static void keeps_the_trail(void)
{
    enum { BATCH = 500 };
    static struct gh_trail_entry batch[BATCH];
    int64_t sequence = 0, newest;
    struct gh_trail_entry first[] = {
        entry_of(1, 5, "a", GH_TRAIL_CONNECT), entry_of(2, 6, "a", GH_TRAIL_REFUSAL),
        entry_of(3, 0, "b", GH_TRAIL_REFUSAL), entry_of(4, 5, "a", GH_TRAIL_DISCONNECT)};
    CHECK("empty", gh_store_trail_last(store, &sequence, &error) == GH_OK && sequence == 0);
    CHECK("appended", gh_store_trail_append(store, first, 4, &error) == GH_OK);
    CHECK("last", gh_store_trail_last(store, &sequence, &error) == GH_OK && sequence == 4);
    static const struct {
        const char *claim;
        struct gh_trail_filter filter;
        size_t count;
        int64_t newest;
    } lists[] = {
        {"all", {.limit = 10}, 4, 4},
        {"of a device", {.device = 5, .limit = 10}, 2, 4},
        {"of a tenant", {.tenant = GH_SLICE_INIT("a"), .limit = 10}, 3, 4},
        {"of a kind", {.kinds = 1u << GH_TRAIL_REFUSAL, .limit = 10}, 2, 3},
        {"of two kinds",
         {.kinds = 1u << GH_TRAIL_REFUSAL | 1u << GH_TRAIL_CONNECT, .limit = 10},
         3,
         3},
        {"of a device and a kind",
         {.device = 5, .kinds = 1u << GH_TRAIL_CONNECT, .limit = 10},
         1,
         1},
        {"of a device and another tenant",
         {.device = 5, .tenant = GH_SLICE_INIT("b"), .limit = 10},
         0,
         0},
        {"of a tenant and a kind",
         {.tenant = GH_SLICE_INIT("a"), .kinds = 1u << GH_TRAIL_REFUSAL, .limit = 10},
         1,
         2},
        {"from a time on", {.from_ms = 20, .limit = 10}, 3, 4},
        {"up to a time, not with it", {.to_ms = 40, .limit = 10}, 3, 3},
        {"below a sequence", {.before = 3, .limit = 10}, 2, 2},
        {"the newest one", {.limit = 1}, 1, 4},
    };
    for (size_t i = 0; i < GH_COUNT(lists); i++)
        CHECK(lists[i].claim,
              trail_count(lists[i].filter, &newest) == lists[i].count && newest == lists[i].newest);

    for (int round = 0; round < 24;
         round++) { /* 12,000 of nobody's, among them a few of device 7 */
        for (int i = 0; i < BATCH; i++)
            batch[i] = entry_of(++sequence, i == 0 ? 7 : 0, "b", GH_TRAIL_REFUSAL);
        CHECK("appended", gh_store_trail_append(store, batch, BATCH, &error) == GH_OK);
    }
    CHECK("nobody's entries have a cap",
          trail_count((struct gh_trail_filter){.tenant = GH_SLICE("b"), .limit = 20000}, NULL) ==
              10000 + 24);
    CHECK("a device's entries are not washed away",
          trail_count((struct gh_trail_filter){.device = 7, .limit = 100}, NULL) == 24);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < BATCH; i++)
            batch[i] = entry_of(++sequence, 7, "b", GH_TRAIL_CONNECT);
        CHECK("appended", gh_store_trail_append(store, batch, BATCH, &error) == GH_OK);
    }
    CHECK("a device keeps its newest 1,000",
          trail_count((struct gh_trail_filter){.device = 7, .limit = 5000}, &newest) == 1000 &&
              newest == sequence);
    CHECK("others keep theirs",
          trail_count((struct gh_trail_filter){.device = 5, .limit = 10}, NULL) == 2);
}

static void keeps_spent_ids(void)
{
    const struct gh_slice one = GH_SLICE("0123456789abcdef0123456789abcde1"),
                          two = GH_SLICE("0123456789abcdef0123456789abcde2");
    CHECK("not there", gh_store_spent_find(store, one, &error) == GH_ERROR_NOT_FOUND);
    CHECK("spent once", gh_store_spent_put(store, one, 100, &error) == GH_OK);
    CHECK("not twice", gh_store_spent_put(store, one, 200, &error) == GH_ERROR_EXISTS);
    CHECK("another one", gh_store_spent_put(store, two, 101, &error) == GH_OK);
    CHECK("found", gh_store_spent_find(store, one, &error) == GH_OK);
    CHECK("those whose time is over go", gh_store_expire(store, 100, 0, &error) == GH_OK);
    CHECK("gone", gh_store_spent_find(store, one, &error) == GH_ERROR_NOT_FOUND);
    CHECK("the others stay", gh_store_spent_find(store, two, &error) == GH_OK);
}

static bool visit_two(void *context, const struct gh_block_row *block)
{
    int64_t *seen = context;
    seen[++seen[0]] = block->last_ms;
    return seen[0] < 2;
}

static void keeps_blocks(void)
{
    struct gh_block_row blocks[] = {
        {.device = 9, .first_ms = 0, .last_ms = 99, .count = 3, .bytes = GH_SLICE("one")},
        {.device = 9, .first_ms = 100, .last_ms = 199, .count = 4, .bytes = GH_SLICE("two\0two")},
        {.device = 9, .first_ms = 200, .last_ms = 299, .count = 5, .bytes = GH_SLICE("three")},
        {.device = 8, .first_ms = 100, .last_ms = 199, .count = 1, .bytes = GH_SLICE("other")},
    };
    struct gh_block_row *got;
    uint64_t offset = 1;
    size_t count;
    int64_t seen[4] = {0};
    CHECK("nothing sealed", gh_store_blocks_sealed(store, &offset, &error) == GH_OK && offset == 0);
    CHECK("put", gh_store_blocks_put(store, blocks, 4, UINT64_C(1) << 50, &error) == GH_OK);
    CHECK("sealed", gh_store_blocks_sealed(store, &offset, &error) == GH_OK && offset == UINT64_C(1)
                                                                                             << 50);
    CHECK("all",
          gh_store_blocks_list(store, 9, 0, 1000, INT64_MAX, 10, &arena, &got, &count, &error) ==
                  GH_OK &&
              count == 3 && got[0].last_ms == 299 && gh_slice_equal(got[1].bytes, blocks[1].bytes));
    CHECK("touching [100,200)", gh_store_blocks_list(store, 9, 100, 200, INT64_MAX, 10, &arena,
                                                     &got, &count, &error) == GH_OK &&
                                    count == 1 && got[0].count == 4);
    CHECK("touching [99,201)", gh_store_blocks_list(store, 9, 99, 201, INT64_MAX, 10, &arena, &got,
                                                    &count, &error) == GH_OK &&
                                   count == 3);
    CHECK("the newest that ended by 199",
          gh_store_blocks_list(store, 9, 0, 1000, 199, 1, &arena, &got, &count, &error) == GH_OK &&
              count == 1 && got[0].last_ms == 199);
    CHECK("one by one, until told to stop",
          gh_store_blocks_each(store, 9, 0, 1000, visit_two, seen, &error) == GH_OK &&
              seen[0] == 2 && seen[1] == 299 && seen[2] == 199);
    CHECK("old ones go", gh_store_blocks_trim(store, 199, &count, &error) == GH_OK && count == 1);
    CHECK("not more", gh_store_blocks_trim(store, 199, &count, &error) == GH_OK && count == 0);
}

int main(void)
{
    gh_arena_init(&arena, 16 << 20);
    store = gh_store_open(check_folder(), GH_STORE_CREATE, &error);
    REQUIRE("the store opens", store != NULL);
    keeps_meta();
    keeps_operators();
    keeps_tokens();
    keeps_topics();
    keeps_documents();
    keeps_the_trail();
    keeps_blocks();
    keeps_spent_ids();
    gh_store_close(store);
    gh_arena_deinit(&arena);
    return check_report();
}
