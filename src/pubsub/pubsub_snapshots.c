/* Snapshots, in memory as in the store; their states are in the store alone. */
#include "pubsub/pubsub_internal.h"
#include "store/store.h"
#include <stddef.h>
#include <stdlib.h>

enum { LOAD_BYTES_MAX = 1 << 26 };

static const size_t texts[] = {
    offsetof(struct gh_snapshot, name),
    offsetof(struct gh_snapshot, topic),
    offsetof(struct gh_snapshot, settings),
};

static bool is_of(const void *what, struct gh_slice topic)
{
    return gh_slice_equal(((const struct gh_snapshot *)what)->topic, topic);
}

static const struct gh_pubsub_kind kind = {.noun = "snapshot",
                                           .size = sizeof(struct gh_snapshot),
                                           .tenant = offsetof(struct gh_snapshot, tenant),
                                           .texts = texts,
                                           .texts_count = GH_COUNT(texts),
                                           .is_of = is_of};

static struct gh_pubsub_snapshot *named(const struct gh_pubsub *ps, int64_t tenant,
                                        struct gh_slice name)
{
    return gh_pubsub_named(&ps->snapshots, tenant, name);
}

static void snapshot_free(struct gh_pubsub_snapshot *snapshot)
{
    gh_pubsub_texts_free(&kind, &snapshot->what);
    free(snapshot);
}

void gh_pubsub_snapshots_free(struct gh_pubsub *ps)
{
    struct gh_slice key;
    void *snapshot;
    for (size_t at = 0; gh_map_next(&ps->snapshots, &at, &key, &snapshot);)
        snapshot_free(snapshot);
    gh_map_deinit(&ps->snapshots);
}

/* NULL: no memory. Under `lock` and `names`, written, once there are other threads. */
static struct gh_pubsub_snapshot *snapshot_add(struct gh_pubsub *ps,
                                               const struct gh_snapshot_row *row)
{
    uint8_t key[GH_PUBSUB_KEY_MAX];
    struct gh_pubsub_snapshot *snapshot = calloc(1, sizeof *snapshot);
    if (snapshot == NULL)
        return NULL;
    struct gh_snapshot what = {.number = (uint32_t)row->number,
                               .tenant = row->tenant,
                               .name = row->name,
                               .topic_number = (uint32_t)row->topic,
                               .topic = row->topic == 0 ? GH_SLICE(GH_PUBSUB_DELETED_TOPIC)
                                                        : row->topic_name,
                               .settings = row->settings,
                               .expires_at_ms = row->expires_at_ms};
    snapshot->what = what;
    snapshot->from_offset = row->from_offset;
    if (!gh_pubsub_texts_copy(&kind, &what, &snapshot->what)) {
        free(snapshot);
        return NULL;
    }
    if (gh_map_put(&ps->snapshots, gh_pubsub_name_key(row->tenant, row->name, key), snapshot, NULL))
        return snapshot;
    snapshot_free(snapshot);
    return NULL;
}

enum gh_error_code gh_pubsub_snapshots_load(struct gh_pubsub *ps, struct gh_error *error)
{
    struct gh_snapshot_row *rows;
    struct gh_arena arena;
    size_t count;
    gh_arena_init(&arena, LOAD_BYTES_MAX);
    enum gh_error_code code = gh_store_snapshot_list(ps->store, &arena, &rows, &count, error);
    for (size_t i = 0; code == GH_OK && i < count; i++)
        if (snapshot_add(ps, &rows[i]) == NULL)
            code = gh_error_set(error, GH_ERROR_MEMORY, "no memory for %zu snapshots", count);
    gh_arena_deinit(&arena);
    return code;
}

void gh_pubsub_snapshots_orphan(struct gh_pubsub *ps, uint32_t topic)
{
    struct gh_slice key;
    void *value;
    for (size_t at = 0; gh_map_next(&ps->snapshots, &at, &key, &value);) {
        struct gh_snapshot *what = &((struct gh_pubsub_snapshot *)value)->what;
        struct gh_slice name;
        if (what->topic_number != topic ||
            !gh_pubsub_copy(GH_SLICE(GH_PUBSUB_DELETED_TOPIC), &name))
            continue;
        gh_pubsub_uncopy(what->topic);
        what->topic = name;
    }
}

/* When the oldest message from `offset` on was published; INT64_MAX when there is none. */
static int64_t published_at_ms(struct gh_pubsub *ps, uint64_t offset)
{
    struct gh_log_record record;
    struct gh_log_reader *reader = gh_log_reader_open(ps->log);
    int64_t at_ms = INT64_MAX;
    if (reader == NULL)
        return 0; /* as old as can be: the snapshot is refused */
    gh_log_reader_seek(reader, offset);
    if (gh_log_reader_next(reader, GH_LOG_ANY_TAG, &record) == GH_LOG_READ_RECORD)
        at_ms = record.at_ms;
    gh_log_reader_close(reader);
    return at_ms;
}

/* Fills topic, from_offset and `state` for the subscription. */
static enum gh_error_code capture(struct gh_pubsub *ps, struct gh_slice subscription_name,
                                  struct gh_snapshot_row *row, struct gh_buffer *state,
                                  struct gh_error *error)
{
    enum gh_error_code code = GH_OK;
    pthread_mutex_lock(&ps->lock);
    struct gh_pubsub_subscription *subscription =
        gh_pubsub_subscription_named(ps, row->tenant, subscription_name);
    if (subscription == NULL) {
        code = gh_error_set(error, GH_ERROR_NOT_FOUND, "subscription %.*s does not exist",
                            GH_PRINT(subscription_name));
    } else if (subscription->what.is_detached || subscription->what.topic_number == 0 ||
               gh_map_get(&ps->topics_by_number,
                          gh_pubsub_number_key(&subscription->what.topic_number)) == NULL) {
        code = gh_error_set(error, GH_ERROR_PRECONDITION, "subscription %.*s has no topic",
                            GH_PRINT(subscription_name));
    } else {
        gh_journal_state_begin(state);
        gh_pubsub_state_write(ps, subscription, state);
        row->topic = subscription->what.topic_number;
        row->topic_name = subscription->what.topic; /* lives as long as `admin` is held */
        row->from_offset = gh_delivery_acked_to(&subscription->delivery);
        if (state->overflow)
            code = gh_error_set(error, GH_ERROR_LIMIT, "the subscription has too much to remember");
    }
    pthread_mutex_unlock(&ps->lock);
    return code;
}

/* Into the table first, so that what it needs is held, then into the store. Under `admin`. */
static enum gh_error_code snapshot_keep(struct gh_pubsub *ps, struct gh_snapshot_row *row,
                                        struct gh_slice state, struct gh_error *error)
{
    uint8_t key[GH_PUBSUB_KEY_MAX];
    pthread_mutex_lock(&ps->lock);
    pthread_rwlock_wrlock(&ps->names);
    struct gh_pubsub_snapshot *snapshot = snapshot_add(ps, row);
    pthread_rwlock_unlock(&ps->names);
    pthread_mutex_unlock(&ps->lock);
    if (snapshot == NULL)
        return gh_error_set(error, GH_ERROR_MEMORY, "no memory for a snapshot");
    enum gh_error_code code = gh_store_snapshot_create(ps->store, row, state, error);
    pthread_mutex_lock(&ps->lock);
    pthread_rwlock_wrlock(&ps->names);
    snapshot->what.number = (uint32_t)row->number;
    if (code != GH_OK) {
        gh_map_remove(&ps->snapshots, gh_pubsub_name_key(row->tenant, row->name, key));
        snapshot_free(snapshot);
    }
    pthread_rwlock_unlock(&ps->names);
    pthread_mutex_unlock(&ps->lock);
    return code;
}

/* Its life, and whether there is room for one more of its name. Under `admin`. */
static enum gh_error_code create_check(struct gh_pubsub *ps, struct gh_snapshot_row *row,
                                       struct gh_error *error)
{
    int64_t now_ms = gh_pubsub_now_ms(ps);
    int64_t oldest_ms = published_at_ms(ps, row->from_offset);
    row->expires_at_ms = (oldest_ms < now_ms ? oldest_ms : now_ms) + GH_PUBSUB_SNAPSHOT_MS;
    if (named(ps, row->tenant, row->name) != NULL)
        return gh_error_set(error, GH_ERROR_EXISTS, "snapshot %.*s: the name is taken",
                            GH_PRINT(row->name));
    if (ps->snapshots.count >= GH_PUBSUB_SNAPSHOTS_MAX)
        return gh_error_set(error, GH_ERROR_LIMIT, "there are %d snapshots already",
                            GH_PUBSUB_SNAPSHOTS_MAX);
    if (row->expires_at_ms < now_ms + GH_PUBSUB_SNAPSHOT_MIN_MS)
        return gh_error_set(error, GH_ERROR_PRECONDITION,
                            "the oldest message is so old that the snapshot would expire within "
                            "an hour");
    return GH_OK;
}

enum gh_error_code gh_pubsub_snapshot_create(struct gh_pubsub *ps, const struct gh_snapshot *what,
                                             struct gh_slice subscription, struct gh_arena *arena,
                                             struct gh_snapshot *out, struct gh_error *error)
{
    struct gh_snapshot_row row = {
        .tenant = what->tenant, .name = what->name, .settings = what->settings};
    struct gh_buffer state;
    enum gh_error_code code = gh_pubsub_name_check(&kind, what->name, error);
    if (code != GH_OK)
        return code;
    gh_buffer_init(&state, GH_PUBSUB_STATE_BYTES_MAX);
    pthread_mutex_lock(&ps->admin);
    code = capture(ps, subscription, &row, &state, error);
    if (code == GH_OK)
        code = create_check(ps, &row, error);
    if (code == GH_OK)
        code = snapshot_keep(ps, &row, gh_buffer_slice(&state), error);
    if (code == GH_OK)
        code = gh_pubsub_give(&kind, &named(ps, row.tenant, row.name)->what, arena, out, error);
    pthread_mutex_unlock(&ps->admin);
    gh_buffer_deinit(&state);
    return code;
}

enum gh_error_code gh_pubsub_snapshot_get(struct gh_pubsub *ps, int64_t tenant,
                                          struct gh_slice name, struct gh_arena *arena,
                                          struct gh_snapshot *out, struct gh_error *error)
{
    return gh_pubsub_get(ps, &kind, &ps->snapshots, tenant, name, arena, out, error);
}

enum gh_error_code gh_pubsub_snapshot_list(struct gh_pubsub *ps, int64_t tenant,
                                           struct gh_slice topic, struct gh_slice after,
                                           size_t limit, struct gh_arena *arena,
                                           struct gh_snapshot **out, size_t *count,
                                           struct gh_error *error)
{
    const struct gh_pubsub_part part = {tenant, topic, after, limit};
    void *list;
    enum gh_error_code code =
        gh_pubsub_list(ps, &kind, &ps->snapshots, &part, arena, &list, count, error);
    *out = list;
    return code;
}

/* Under `admin`. */
static enum gh_error_code snapshot_change(struct gh_pubsub *ps, struct gh_pubsub_snapshot *snapshot,
                                          const struct gh_snapshot *after, struct gh_error *error)
{
    struct gh_snapshot_row row = {.number = after->number,
                                  .settings = after->settings,
                                  .expires_at_ms = after->expires_at_ms};
    struct gh_snapshot next = *after;
    int64_t now_ms = gh_pubsub_now_ms(ps);
    if (after->expires_at_ms <= now_ms || after->expires_at_ms > now_ms + GH_PUBSUB_SNAPSHOT_MS)
        return gh_error_set(error, GH_ERROR_INVALID, "a snapshot expires within 7 days from now");
    if (!gh_pubsub_texts_copy(&kind, after, &next))
        return gh_error_set(error, GH_ERROR_MEMORY, "no memory for a snapshot");
    enum gh_error_code code = gh_store_snapshot_update(ps->store, &row, error);
    if (code == GH_OK)
        gh_pubsub_exchange(ps, &kind, &snapshot->what, &next);
    gh_pubsub_texts_free(&kind, &next);
    return code;
}

enum gh_error_code gh_pubsub_snapshot_update(struct gh_pubsub *ps, const struct gh_snapshot *what,
                                             unsigned fields, struct gh_arena *arena,
                                             struct gh_snapshot *out, struct gh_error *error)
{
    pthread_mutex_lock(&ps->admin);
    struct gh_pubsub_snapshot *snapshot = named(ps, what->tenant, what->name);
    enum gh_error_code code = snapshot == NULL ? gh_pubsub_none(&kind, what->name, error) : GH_OK;
    if (code == GH_OK) {
        struct gh_snapshot after = snapshot->what;
        if ((fields & GH_SNAPSHOT_SETTINGS) != 0)
            after.settings = what->settings;
        if ((fields & GH_SNAPSHOT_EXPIRY) != 0)
            after.expires_at_ms = what->expires_at_ms;
        code = snapshot_change(ps, snapshot, &after, error);
    }
    if (code == GH_OK)
        code = gh_pubsub_give(&kind, &snapshot->what, arena, out, error);
    pthread_mutex_unlock(&ps->admin);
    return code;
}

enum gh_error_code gh_pubsub_snapshot_delete(struct gh_pubsub *ps, int64_t tenant,
                                             struct gh_slice name, struct gh_error *error)
{
    uint8_t key[GH_PUBSUB_KEY_MAX];
    pthread_mutex_lock(&ps->admin);
    struct gh_pubsub_snapshot *snapshot = named(ps, tenant, name);
    enum gh_error_code code =
        snapshot == NULL ? gh_pubsub_none(&kind, name, error)
                         : gh_store_snapshot_delete(ps->store, snapshot->what.number, error);
    if (code == GH_OK) {
        pthread_mutex_lock(&ps->lock);
        pthread_rwlock_wrlock(&ps->names);
        gh_map_remove(&ps->snapshots, gh_pubsub_name_key(tenant, name, key));
        snapshot_free(snapshot);
        pthread_rwlock_unlock(&ps->names);
        pthread_mutex_unlock(&ps->lock);
    }
    pthread_mutex_unlock(&ps->admin);
    return code;
}
