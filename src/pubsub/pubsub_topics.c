/* Definitions of topics, in memory as in the store. */
#include "pubsub/pubsub_internal.h"
#include "store/store.h"
#include <stddef.h>
#include <stdlib.h>

enum { LOAD_BYTES_MAX = 1 << 30 };

static const size_t texts[] = {
    offsetof(struct gh_topic, name),
    offsetof(struct gh_topic, settings),
    offsetof(struct gh_topic, policy),
};
static const struct gh_pubsub_kind kind = {.noun = "topic",
                                           .size = sizeof(struct gh_topic),
                                           .tenant = offsetof(struct gh_topic, tenant),
                                           .texts = texts,
                                           .texts_count = GH_COUNT(texts)};

struct gh_pubsub_topic *gh_pubsub_topic_named(const struct gh_pubsub *ps, int64_t tenant,
                                              struct gh_slice name)
{
    return gh_pubsub_named(&ps->topics, tenant, name);
}

static void topic_free(struct gh_pubsub_topic *topic)
{
    gh_pubsub_texts_free(&kind, &topic->topic);
    free(topic);
}

void gh_pubsub_topics_free(struct gh_pubsub *ps)
{
    struct gh_slice key;
    void *topic;
    for (size_t at = 0; gh_map_next(&ps->topics, &at, &key, &topic);)
        topic_free(topic);
    gh_map_deinit(&ps->topics);
    gh_map_deinit(&ps->topics_by_number);
}

/* Puts a row of the store into the tables. Under `names`, written. */
static bool topic_add(struct gh_pubsub *ps, const struct gh_topic_row *row)
{
    uint8_t key[GH_PUBSUB_KEY_MAX];
    struct gh_pubsub_topic *topic = calloc(1, sizeof *topic);
    if (topic == NULL)
        return false;
    struct gh_topic what = {.number = (uint32_t)row->number,
                            .tenant = row->tenant,
                            .name = row->name,
                            .settings = row->settings,
                            .created_at_ms = row->created_at_ms,
                            .retention_ms = row->retention_s * 1000,
                            .policy = row->policy};
    topic->topic = what;
    if (!gh_pubsub_texts_copy(&kind, &what, &topic->topic)) {
        free(topic);
        return false;
    }
    if (!gh_map_put(&ps->topics, gh_pubsub_name_key(row->tenant, row->name, key), topic, NULL)) {
        topic_free(topic);
        return false;
    }
    if (!gh_map_put(&ps->topics_by_number, gh_pubsub_number_key(&topic->topic.number), topic,
                    NULL)) {
        gh_map_remove(&ps->topics, gh_pubsub_name_key(row->tenant, row->name, key));
        topic_free(topic);
        return false;
    }
    return true;
}

enum gh_error_code gh_pubsub_topics_load(struct gh_pubsub *ps, struct gh_error *error)
{
    struct gh_topic_row *rows;
    struct gh_arena arena;
    size_t count;
    gh_arena_init(&arena, LOAD_BYTES_MAX);
    enum gh_error_code code = gh_store_topic_list(ps->store, &arena, &rows, &count, error);
    for (size_t i = 0; code == GH_OK && i < count; i++)
        if (rows[i].number <= 0 || rows[i].number >= GH_PUBSUB_JOURNAL_TAG ||
            !topic_add(ps, &rows[i]))
            code = gh_error_set(error, GH_ERROR_MEMORY, "no memory for %zu topics", count);
    gh_arena_deinit(&arena);
    return code;
}

enum gh_error_code gh_pubsub_topic_create(struct gh_pubsub *ps, int64_t tenant,
                                          struct gh_slice name, struct gh_slice settings,
                                          struct gh_arena *arena, struct gh_topic *out,
                                          struct gh_error *error)
{
    struct gh_topic_row row = {.tenant = tenant,
                               .name = name,
                               .settings = settings,
                               .created_at_ms = gh_pubsub_now_ms(ps)};
    enum gh_error_code code = gh_pubsub_name_check(&kind, name, error);
    if (code != GH_OK)
        return code;
    pthread_mutex_lock(&ps->admin);
    code = gh_store_topic_create(ps->store, &row, error);
    if (code == GH_OK && row.number >= GH_PUBSUB_JOURNAL_TAG)
        code = gh_error_set(error, GH_ERROR_LIMIT, "too many topics were ever made");
    if (code == GH_OK) {
        pthread_mutex_lock(&ps->lock);
        pthread_rwlock_wrlock(&ps->names);
        if (!topic_add(ps, &row))
            code = gh_error_set(error, GH_ERROR_MEMORY, "no memory for topic %.*s", GH_PRINT(name));
        pthread_rwlock_unlock(&ps->names);
        pthread_mutex_unlock(&ps->lock);
        if (code != GH_OK)
            (void)!gh_store_topic_delete(ps->store, row.number, NULL);
    }
    pthread_mutex_unlock(&ps->admin);
    return code == GH_OK ? gh_pubsub_topic_get(ps, tenant, name, arena, out, error) : code;
}

enum gh_error_code gh_pubsub_topic_get(struct gh_pubsub *ps, int64_t tenant, struct gh_slice name,
                                       struct gh_arena *arena, struct gh_topic *out,
                                       struct gh_error *error)
{
    return gh_pubsub_get(ps, &kind, &ps->topics, tenant, name, arena, out, error);
}

bool gh_pubsub_topic_exists(struct gh_pubsub *ps, int64_t tenant, struct gh_slice name)
{
    pthread_rwlock_rdlock(&ps->names);
    bool exists = gh_pubsub_topic_named(ps, tenant, name) != NULL;
    pthread_rwlock_unlock(&ps->names);
    return exists;
}

/* Puts `after` in the place of what the topic says of itself, or leaves all as it was. Under
 * `admin`. */
static enum gh_error_code topic_change(struct gh_pubsub *ps, struct gh_pubsub_topic *topic,
                                       const struct gh_topic *after, struct gh_error *error)
{
    struct gh_topic_row row = {.number = topic->topic.number,
                               .settings = after->settings,
                               .retention_s = after->retention_ms / 1000,
                               .policy = after->policy};
    struct gh_topic next = *after;
    if (!gh_pubsub_texts_copy(&kind, after, &next))
        return gh_error_set(error, GH_ERROR_MEMORY, "no memory for a topic");
    enum gh_error_code code = gh_store_topic_update(ps->store, &row, error);
    if (code == GH_OK)
        gh_pubsub_exchange(ps, &kind, &topic->topic, &next);
    gh_pubsub_texts_free(&kind, &next);
    return code;
}

enum gh_error_code gh_pubsub_topic_update(struct gh_pubsub *ps, const struct gh_topic *what,
                                          unsigned fields, struct gh_arena *arena,
                                          struct gh_topic *out, struct gh_error *error)
{
    if ((fields & GH_TOPIC_RETENTION) != 0 && what->retention_ms != 0 &&
        (what->retention_ms < GH_PUBSUB_RETENTION_MIN_MS ||
         what->retention_ms > GH_PUBSUB_RETENTION_MAX_MS))
        return gh_error_set(error, GH_ERROR_INVALID, "the retention is 10 minutes to 31 days");
    pthread_mutex_lock(&ps->admin);
    struct gh_pubsub_topic *topic = gh_pubsub_topic_named(ps, what->tenant, what->name);
    enum gh_error_code code = topic == NULL ? gh_pubsub_none(&kind, what->name, error) : GH_OK;
    if (code == GH_OK && !gh_pubsub_etag_fits(topic->topic.policy, what->policy_etag))
        code = gh_error_set(error, GH_ERROR_CONFLICT, "the policy was changed since it was read");
    if (code == GH_OK) {
        struct gh_topic after = topic->topic;
        if ((fields & GH_TOPIC_SETTINGS) != 0)
            after.settings = what->settings;
        if ((fields & GH_TOPIC_RETENTION) != 0)
            after.retention_ms = what->retention_ms;
        if ((fields & GH_TOPIC_POLICY) != 0)
            after.policy = what->policy;
        code = topic_change(ps, topic, &after, error);
    }
    if (code == GH_OK)
        code = gh_pubsub_give(&kind, &topic->topic, arena, out, error);
    pthread_mutex_unlock(&ps->admin);
    return code;
}

enum gh_error_code gh_pubsub_topic_list(struct gh_pubsub *ps, int64_t tenant, struct gh_slice after,
                                        size_t limit, struct gh_arena *arena, struct gh_topic **out,
                                        size_t *count, struct gh_error *error)
{
    const struct gh_pubsub_part part = {.tenant = tenant, .after = after, .limit = limit};
    void *list;
    enum gh_error_code code =
        gh_pubsub_list(ps, &kind, &ps->topics, &part, arena, &list, count, error);
    *out = list;
    return code;
}

enum gh_error_code gh_pubsub_topic_delete(struct gh_pubsub *ps, int64_t tenant,
                                          struct gh_slice name, struct gh_error *error)
{
    uint8_t key[GH_PUBSUB_KEY_MAX];
    pthread_mutex_lock(
        &ps->admin); /* nobody else changes definitions: reading needs no other lock */
    struct gh_pubsub_topic *topic = gh_pubsub_topic_named(ps, tenant, name);
    enum gh_error_code code = topic == NULL ? gh_pubsub_none(&kind, name, error) : GH_OK;
    if (code == GH_OK) {
        /* The store forgets which topic its subscriptions read; the checkpoint still knows. */
        pthread_mutex_lock(&ps->lock);
        (void)!gh_pubsub_checkpoint(ps);
        pthread_mutex_unlock(&ps->lock);
        code = gh_store_topic_delete(ps->store, topic->topic.number, error);
    }
    if (code == GH_OK) {
        pthread_mutex_lock(&ps->lock);
        pthread_rwlock_wrlock(&ps->names);
        gh_pubsub_orphan(ps, topic);
        gh_pubsub_snapshots_orphan(ps, topic->topic.number);
        gh_map_remove(&ps->topics, gh_pubsub_name_key(tenant, topic->topic.name, key));
        gh_map_remove(&ps->topics_by_number, gh_pubsub_number_key(&topic->topic.number));
        topic_free(topic);
        pthread_rwlock_unlock(&ps->names);
        pthread_mutex_unlock(&ps->lock);
    }
    pthread_mutex_unlock(&ps->admin);
    return code;
}
