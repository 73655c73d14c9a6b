/* Definitions of topics, in memory as in the store. */
#include "pubsub/pubsub_internal.h"
#include "store/store.h"
#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { LOAD_BYTES_MAX = 1 << 30 };

static bool name_byte(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || (byte != 0 && strchr("-_.~+%", byte) != NULL);
}

bool gh_pubsub_name_valid(struct gh_slice name)
{
    if (name.size < GH_PUBSUB_NAME_MIN || name.size > GH_PUBSUB_NAME_MAX)
        return false;
    uint8_t first = name.data[0] | 0x20;
    if (first < 'a' || first > 'z' || gh_slice_starts(name, GH_SLICE("goog")))
        return false;
    for (size_t i = 0; i < name.size; i++)
        if (!name_byte(name.data[i]))
            return false;
    return true;
}

struct gh_slice gh_pubsub_name_key(int64_t tenant, struct gh_slice name,
                                   uint8_t out[GH_PUBSUB_KEY_MAX])
{
    struct gh_buffer key = gh_buffer_fixed(out, GH_PUBSUB_KEY_MAX);
    gh_buffer_u64(&key, (uint64_t)tenant);
    gh_buffer_put(&key,
                  name); /* a name that is too long is none: the key without it finds nothing */
    return gh_buffer_slice(&key);
}

struct gh_slice gh_pubsub_number_key(const uint32_t *number)
{
    return gh_slice(number, sizeof *number);
}

bool gh_pubsub_copy(struct gh_slice from, struct gh_slice *out)
{
    *out = gh_slice(NULL, 0);
    if (from.size == 0)
        return true;
    uint8_t *bytes = malloc(from.size);
    if (bytes == NULL)
        return false;
    memcpy(bytes, from.data, from.size);
    *out = gh_slice(bytes, from.size);
    return true;
}

void gh_pubsub_uncopy(struct gh_slice slice)
{
    free((void *)(uintptr_t)slice.data);
}

struct gh_pubsub_topic *gh_pubsub_topic_named(const struct gh_pubsub *ps, int64_t tenant,
                                              struct gh_slice name)
{
    uint8_t key[GH_PUBSUB_KEY_MAX];
    return gh_map_get(&ps->topics, gh_pubsub_name_key(tenant, name, key));
}

bool gh_pubsub_texts_copy(const void *from, void *out, const size_t *texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        *(struct gh_slice *)((char *)out + texts[i]) = gh_slice(NULL, 0);
    for (size_t i = 0; i < count; i++) {
        if (gh_pubsub_copy(*(const struct gh_slice *)((const char *)from + texts[i]),
                           (struct gh_slice *)((char *)out + texts[i])))
            continue;
        gh_pubsub_texts_free(out, texts, count);
        return false;
    }
    return true;
}

void gh_pubsub_texts_free(void *what, const size_t *texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        gh_pubsub_uncopy(*(struct gh_slice *)((char *)what + texts[i]));
}

bool gh_pubsub_texts_give(const void *from, void *out, const size_t *texts, size_t count,
                          struct gh_arena *arena)
{
    for (size_t i = 0; i < count; i++)
        if (!gh_arena_copy(arena, *(const struct gh_slice *)((const char *)from + texts[i]),
                           (struct gh_slice *)((char *)out + texts[i])))
            return false;
    return true;
}

static const size_t topic_texts[] = {
    offsetof(struct gh_topic, name),
    offsetof(struct gh_topic, settings),
    offsetof(struct gh_topic, policy),
};

static void topic_free(struct gh_pubsub_topic *topic)
{
    gh_pubsub_texts_free(&topic->topic, topic_texts, GH_COUNT(topic_texts));
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
    if (!gh_pubsub_texts_copy(&what, &topic->topic, topic_texts, GH_COUNT(topic_texts))) {
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

static enum gh_error_code no_topic(struct gh_slice name, struct gh_error *error)
{
    return gh_error_set(error, GH_ERROR_NOT_FOUND, "topic %.*s does not exist",
                        name.size > GH_PUBSUB_NAME_MAX ? GH_PUBSUB_NAME_MAX : (int)name.size,
                        (const char *)name.data);
}

/* `out` may be NULL. */
static enum gh_error_code topic_give(const struct gh_topic *topic, struct gh_arena *arena,
                                     struct gh_topic *out, struct gh_error *error)
{
    if (out == NULL)
        return GH_OK;
    *out = *topic;
    if (!gh_pubsub_texts_give(topic, out, topic_texts, GH_COUNT(topic_texts), arena))
        return gh_error_set(error, GH_ERROR_MEMORY, "no memory for an answer");
    return GH_OK;
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
    if (!gh_pubsub_name_valid(name))
        return gh_error_set(error, GH_ERROR_INVALID,
                            "a topic's name has %d to %d letters, digits or -_.~+%%, begins with a "
                            "letter and not with \"goog\"",
                            GH_PUBSUB_NAME_MIN, GH_PUBSUB_NAME_MAX);
    pthread_mutex_lock(&ps->admin);
    enum gh_error_code code = gh_store_topic_create(ps->store, &row, error);
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
    pthread_rwlock_rdlock(&ps->names);
    const struct gh_pubsub_topic *topic = gh_pubsub_topic_named(ps, tenant, name);
    enum gh_error_code code =
        topic == NULL ? no_topic(name, error) : topic_give(&topic->topic, arena, out, error);
    pthread_rwlock_unlock(&ps->names);
    return code;
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
    struct gh_topic next = *after, before = topic->topic;
    if (!gh_pubsub_texts_copy(after, &next, topic_texts, GH_COUNT(topic_texts)))
        return gh_error_set(error, GH_ERROR_MEMORY, "no memory for a topic");
    enum gh_error_code code = gh_store_topic_update(ps->store, &row, error);
    if (code == GH_OK) {
        pthread_mutex_lock(&ps->lock);
        pthread_rwlock_wrlock(&ps->names);
        topic->topic = next;
        next = before;
        pthread_rwlock_unlock(&ps->names);
        pthread_mutex_unlock(&ps->lock);
    }
    gh_pubsub_texts_free(&next, topic_texts, GH_COUNT(topic_texts));
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
    enum gh_error_code code = topic == NULL ? no_topic(what->name, error) : GH_OK;
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
        code = topic_give(&topic->topic, arena, out, error);
    pthread_mutex_unlock(&ps->admin);
    return code;
}

static int by_name(const void *a, const void *b)
{
    return gh_slice_compare(((const struct gh_topic *)a)->name, ((const struct gh_topic *)b)->name);
}

enum gh_error_code gh_pubsub_topic_list(struct gh_pubsub *ps, int64_t tenant, struct gh_slice after,
                                        size_t limit, struct gh_arena *arena, struct gh_topic **out,
                                        size_t *count, struct gh_error *error)
{
    enum gh_error_code code = GH_OK;
    struct gh_slice key;
    size_t found = 0;
    void *value;

    *count = 0;
    pthread_rwlock_rdlock(&ps->names);
    struct gh_topic *topics = malloc((ps->topics.count + 1) * sizeof *topics);
    for (size_t at = 0; topics != NULL && gh_map_next(&ps->topics, &at, &key, &value);) {
        const struct gh_topic *topic = &((const struct gh_pubsub_topic *)value)->topic;
        if (topic->tenant == tenant && gh_slice_compare(topic->name, after) > 0)
            topics[found++] = *topic;
    }
    if (topics != NULL)
        qsort(topics, found, sizeof *topics, by_name);
    found = found < limit ? found : limit;
    *out = gh_arena_array(arena, found + 1, sizeof **out);
    if (topics == NULL || *out == NULL)
        code = gh_error_set(error, GH_ERROR_MEMORY, "no memory for a list of topics");
    for (; code == GH_OK && *count < found; ++*count)
        code = topic_give(&topics[*count], arena, &(*out)[*count], error);
    pthread_rwlock_unlock(&ps->names);
    free(topics);
    return code;
}

enum gh_error_code gh_pubsub_topic_delete(struct gh_pubsub *ps, int64_t tenant,
                                          struct gh_slice name, struct gh_error *error)
{
    uint8_t key[GH_PUBSUB_KEY_MAX];
    pthread_mutex_lock(
        &ps->admin); /* nobody else changes definitions: reading needs no other lock */
    struct gh_pubsub_topic *topic = gh_pubsub_topic_named(ps, tenant, name);
    enum gh_error_code code = topic == NULL ? no_topic(name, error) : GH_OK;
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
