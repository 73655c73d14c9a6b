/* Definitions of subscriptions, in memory as in the store. */
#include "pubsub/pubsub_internal.h"
#include "store/store.h"
#include <assert.h>
#include <stdlib.h>

enum { LOAD_BYTES_MAX = 1 << 30 };

struct gh_pubsub_subscription *gh_pubsub_subscription_named(const struct gh_pubsub *ps,
                                                            int64_t tenant, struct gh_slice name)
{
    uint8_t key[GH_PUBSUB_KEY_MAX];
    return gh_map_get(&ps->subscriptions, gh_pubsub_name_key(tenant, name, key));
}

static void subscription_free(struct gh_pubsub_subscription *subscription)
{
    gh_log_reader_close(subscription->reader);
    gh_delivery_deinit(&subscription->delivery);
    gh_pubsub_uncopy(subscription->what.name);
    gh_pubsub_uncopy(subscription->what.topic);
    gh_pubsub_uncopy(subscription->what.settings);
    free(subscription);
}

void gh_pubsub_subscriptions_free(struct gh_pubsub *ps)
{
    struct gh_slice key;
    void *subscription;
    for (size_t at = 0; gh_map_next(&ps->subscriptions, &at, &key, &subscription);)
        subscription_free(subscription);
    gh_map_deinit(&ps->subscriptions);
    gh_map_deinit(&ps->subscriptions_by_number);
}

void gh_pubsub_topic_join(struct gh_pubsub *ps, struct gh_pubsub_subscription *subscription)
{
    struct gh_pubsub_topic *topic =
        gh_map_get(&ps->topics_by_number, gh_pubsub_number_key(&subscription->what.topic_number));
    if (topic == NULL)
        return;
    subscription->next_of_topic = topic->subscriptions;
    topic->subscriptions = subscription;
}

void gh_pubsub_topic_part(struct gh_pubsub *ps, struct gh_pubsub_subscription *subscription)
{
    struct gh_pubsub_topic *topic =
        gh_map_get(&ps->topics_by_number, gh_pubsub_number_key(&subscription->what.topic_number));
    if (topic == NULL)
        return;
    struct gh_pubsub_subscription **at = &topic->subscriptions;
    while (*at != NULL && *at != subscription)
        at = &(*at)->next_of_topic;
    if (*at != NULL)
        *at = subscription->next_of_topic;
}

void gh_pubsub_orphan(struct gh_pubsub *ps, struct gh_pubsub_topic *topic)
{
    struct gh_pubsub_subscription *subscription = topic->subscriptions;
    (void)ps;
    for (struct gh_pubsub_subscription *next; subscription != NULL; subscription = next) {
        struct gh_slice name;
        next = subscription->next_of_topic;
        subscription->next_of_topic = NULL;
        if (gh_pubsub_copy(GH_SLICE(GH_PUBSUB_DELETED_TOPIC), &name)) {
            gh_pubsub_uncopy(subscription->what.topic);
            subscription->what.topic = name;
        }
    }
    topic->subscriptions = NULL;
}

/* A definition with its state, in no table yet; NULL: no memory. */
static struct gh_pubsub_subscription *subscription_new(const struct gh_subscription_row *row)
{
    struct gh_pubsub_subscription *subscription = calloc(1, sizeof *subscription);
    if (subscription == NULL)
        return NULL;
    struct gh_slice topic = row->topic == 0 ? GH_SLICE(GH_PUBSUB_DELETED_TOPIC) : row->topic_name;
    subscription->what = (struct gh_subscription){.number = (uint32_t)row->number,
                                                  .tenant = row->tenant,
                                                  .topic_number = (uint32_t)row->topic,
                                                  .ack_deadline_s = (uint32_t)row->ack_deadline_s,
                                                  .retention_ms = row->retention_s * 1000,
                                                  .created_at_ms = row->created_at_ms};
    subscription->first_offset = row->first_offset;
    subscription->pulls_end = &subscription->pulls;
    gh_delivery_init(&subscription->delivery, row->first_offset, GH_PUBSUB_WAITING_MAX,
                     GH_PUBSUB_LEASES_MAX);
    if (gh_pubsub_copy(row->name, &subscription->what.name) &&
        gh_pubsub_copy(topic, &subscription->what.topic) &&
        gh_pubsub_copy(row->settings, &subscription->what.settings))
        return subscription;
    subscription_free(subscription);
    return NULL;
}

/* Under `lock` and `names`, written. */
static bool subscription_add(struct gh_pubsub *ps, const struct gh_subscription_row *row)
{
    uint8_t key[GH_PUBSUB_KEY_MAX];
    struct gh_pubsub_subscription *subscription = subscription_new(row);
    if (subscription == NULL)
        return false;
    struct gh_slice name_key = gh_pubsub_name_key(row->tenant, row->name, key);
    struct gh_slice number_key = gh_pubsub_number_key(&subscription->what.number);
    if (!gh_map_put(&ps->subscriptions, name_key, subscription, NULL)) {
        subscription_free(subscription);
        return false;
    }
    if (!gh_map_put(&ps->subscriptions_by_number, number_key, subscription, NULL)) {
        gh_map_remove(&ps->subscriptions, name_key);
        subscription_free(subscription);
        return false;
    }
    gh_pubsub_topic_join(ps, subscription);
    return true;
}

enum gh_error_code gh_pubsub_subscriptions_load(struct gh_pubsub *ps, struct gh_error *error)
{
    struct gh_subscription_row *rows;
    struct gh_arena arena;
    size_t count;
    gh_arena_init(&arena, LOAD_BYTES_MAX);
    enum gh_error_code code = gh_store_subscription_list(ps->store, &arena, &rows, &count, error);
    for (size_t i = 0; code == GH_OK && i < count; i++)
        if (!subscription_add(ps, &rows[i]))
            code = gh_error_set(error, GH_ERROR_MEMORY, "no memory for %zu subscriptions", count);
    gh_arena_deinit(&arena);
    return code;
}

static enum gh_error_code no_subscription(struct gh_slice name, struct gh_error *error)
{
    return gh_error_set(error, GH_ERROR_NOT_FOUND, "subscription %.*s does not exist",
                        name.size > GH_PUBSUB_NAME_MAX ? GH_PUBSUB_NAME_MAX : (int)name.size,
                        (const char *)name.data);
}

static enum gh_error_code subscription_give(const struct gh_subscription *what,
                                            struct gh_arena *arena, struct gh_subscription *out,
                                            struct gh_error *error)
{
    if (out == NULL)
        return GH_OK;
    *out = *what;
    if (!gh_arena_copy(arena, what->name, &out->name) ||
        !gh_arena_copy(arena, what->topic, &out->topic) ||
        !gh_arena_copy(arena, what->settings, &out->settings))
        return gh_error_set(error, GH_ERROR_MEMORY, "no memory for an answer");
    return GH_OK;
}

/* Deadline and retention within their limits; zeros are left alone. */
static enum gh_error_code times_check(const struct gh_subscription *what, struct gh_error *error)
{
    if (what->ack_deadline_s != 0 && (what->ack_deadline_s < GH_PUBSUB_DEADLINE_MIN_S ||
                                      what->ack_deadline_s > GH_PUBSUB_DEADLINE_MAX_S))
        return gh_error_set(error, GH_ERROR_INVALID, "the ack deadline is %d to %d seconds",
                            GH_PUBSUB_DEADLINE_MIN_S, GH_PUBSUB_DEADLINE_MAX_S);
    if (what->retention_ms != 0 && (what->retention_ms < GH_PUBSUB_RETENTION_MIN_MS ||
                                    what->retention_ms > GH_PUBSUB_RETENTION_MAX_MS))
        return gh_error_set(error, GH_ERROR_INVALID, "the retention is 10 minutes to 31 days");
    return GH_OK;
}

static enum gh_error_code create_check(const struct gh_subscription *what, struct gh_error *error)
{
    if (!gh_pubsub_name_valid(what->name))
        return gh_error_set(error, GH_ERROR_INVALID,
                            "a subscription's name has %d to %d letters, digits or -_.~+%%, begins "
                            "with a letter and not with \"goog\"",
                            GH_PUBSUB_NAME_MIN, GH_PUBSUB_NAME_MAX);
    if (what->filter.size > 0)
        return gh_error_set(error, GH_ERROR_PRECONDITION,
                            "subscription %.*s: filters are not supported", GH_PRINT(what->name));
    return times_check(what, error);
}

/* Store first; then the tables, or the store again without it. Under `admin`. */
static enum gh_error_code create(struct gh_pubsub *ps, struct gh_subscription_row *row,
                                 struct gh_error *error)
{
    enum gh_error_code code = gh_store_subscription_create(ps->store, row, error);
    if (code != GH_OK)
        return code;
    pthread_mutex_lock(&ps->lock);
    pthread_rwlock_wrlock(&ps->names);
    bool added = row->number <= UINT32_MAX && subscription_add(ps, row);
    ps->changed = true;
    pthread_rwlock_unlock(&ps->names);
    pthread_mutex_unlock(&ps->lock);
    if (added)
        return GH_OK;
    (void)!gh_store_subscription_delete(ps->store, row->number, NULL);
    return gh_error_set(error, GH_ERROR_MEMORY, "no memory for subscription %.*s",
                        GH_PRINT(row->name));
}

enum gh_error_code gh_pubsub_subscription_create(struct gh_pubsub *ps,
                                                 const struct gh_subscription *what,
                                                 struct gh_arena *arena,
                                                 struct gh_subscription *out,
                                                 struct gh_error *error)
{
    struct gh_subscription_row row = {
        .tenant = what->tenant,
        .name = what->name,
        .ack_deadline_s =
            what->ack_deadline_s == 0 ? GH_PUBSUB_DEADLINE_MIN_S : what->ack_deadline_s,
        .retention_s =
            (what->retention_ms == 0 ? GH_PUBSUB_RETENTION_DEFAULT_MS : what->retention_ms) / 1000,
        .settings = what->settings,
        .created_at_ms = gh_pubsub_now_ms(ps)};
    enum gh_error_code code = create_check(what, error);
    if (code != GH_OK)
        return code;
    pthread_mutex_lock(&ps->admin);
    const struct gh_pubsub_topic *topic = gh_pubsub_topic_named(ps, what->tenant, what->topic);
    if (topic == NULL) {
        code = gh_error_set(error, GH_ERROR_NOT_FOUND,
                            "subscription %.*s: its topic does not exist", GH_PRINT(what->name));
    } else {
        row.topic = topic->topic.number;
        row.topic_name = topic->topic.name;
        row.first_offset = gh_log_next(ps->log);
        code = create(ps, &row, error);
    }
    pthread_mutex_unlock(&ps->admin);
    gh_pubsub_ring(ps);
    return code == GH_OK
               ? gh_pubsub_subscription_get(ps, what->tenant, what->name, arena, out, error)
               : code;
}

enum gh_error_code gh_pubsub_subscription_get(struct gh_pubsub *ps, int64_t tenant,
                                              struct gh_slice name, struct gh_arena *arena,
                                              struct gh_subscription *out, struct gh_error *error)
{
    pthread_rwlock_rdlock(&ps->names);
    const struct gh_pubsub_subscription *subscription =
        gh_pubsub_subscription_named(ps, tenant, name);
    enum gh_error_code code = subscription == NULL
                                  ? no_subscription(name, error)
                                  : subscription_give(&subscription->what, arena, out, error);
    pthread_rwlock_unlock(&ps->names);
    return code;
}

static int by_name(const void *a, const void *b)
{
    return gh_slice_compare(((const struct gh_subscription *)a)->name,
                            ((const struct gh_subscription *)b)->name);
}

enum gh_error_code gh_pubsub_subscription_list(struct gh_pubsub *ps, int64_t tenant,
                                               struct gh_slice topic, struct gh_slice after,
                                               size_t limit, struct gh_arena *arena,
                                               struct gh_subscription **out, size_t *count,
                                               struct gh_error *error)
{
    enum gh_error_code code = GH_OK;
    struct gh_slice key;
    size_t found = 0;
    void *value;

    *count = 0;
    pthread_rwlock_rdlock(&ps->names);
    struct gh_subscription *all = malloc((ps->subscriptions.count + 1) * sizeof *all);
    for (size_t at = 0; all != NULL && gh_map_next(&ps->subscriptions, &at, &key, &value);) {
        const struct gh_subscription *what = &((const struct gh_pubsub_subscription *)value)->what;
        if (what->tenant == tenant && gh_slice_compare(what->name, after) > 0 &&
            (topic.size == 0 || gh_slice_equal(what->topic, topic)))
            all[found++] = *what;
    }
    if (all != NULL)
        qsort(all, found, sizeof *all, by_name);
    found = found < limit ? found : limit;
    *out = gh_arena_array(arena, found + 1, sizeof **out);
    if (all == NULL || *out == NULL)
        code = gh_error_set(error, GH_ERROR_MEMORY, "no memory for a list of subscriptions");
    for (; code == GH_OK && *count < found; ++*count)
        code = subscription_give(&all[*count], arena, &(*out)[*count], error);
    pthread_rwlock_unlock(&ps->names);
    free(all);
    return code;
}

enum gh_error_code gh_pubsub_subscription_update(struct gh_pubsub *ps,
                                                 const struct gh_subscription *what,
                                                 struct gh_arena *arena,
                                                 struct gh_subscription *out,
                                                 struct gh_error *error)
{
    enum gh_error_code code = times_check(what, error);
    if (code != GH_OK)
        return code;
    pthread_mutex_lock(&ps->admin);
    struct gh_pubsub_subscription *subscription =
        gh_pubsub_subscription_named(ps, what->tenant, what->name);
    struct gh_slice settings = {0};
    if (subscription == NULL) {
        code = no_subscription(what->name, error);
    } else {
        struct gh_subscription now = subscription->what;
        now.ack_deadline_s = what->ack_deadline_s != 0 ? what->ack_deadline_s : now.ack_deadline_s;
        now.retention_ms = what->retention_ms != 0 ? what->retention_ms : now.retention_ms;
        now.settings = what->settings.size != 0 ? what->settings : now.settings;
        struct gh_subscription_row row = {.number = now.number,
                                          .ack_deadline_s = now.ack_deadline_s,
                                          .retention_s = now.retention_ms / 1000,
                                          .settings = now.settings};
        if (!gh_pubsub_copy(now.settings, &settings))
            code = gh_error_set(error, GH_ERROR_MEMORY, "no memory for a subscription");
        else
            code = gh_store_subscription_update(ps->store, &row, error);
        if (code == GH_OK) {
            pthread_mutex_lock(&ps->lock);
            pthread_rwlock_wrlock(&ps->names);
            struct gh_slice before = subscription->what.settings;
            now.settings = settings;
            subscription->what = now;
            settings = before;
            pthread_rwlock_unlock(&ps->names);
            pthread_mutex_unlock(&ps->lock);
        }
    }
    gh_pubsub_uncopy(settings);
    pthread_mutex_unlock(&ps->admin);
    return code == GH_OK
               ? gh_pubsub_subscription_get(ps, what->tenant, what->name, arena, out, error)
               : code;
}

enum gh_error_code gh_pubsub_subscription_delete(struct gh_pubsub *ps, int64_t tenant,
                                                 struct gh_slice name, struct gh_error *error)
{
    uint8_t key[GH_PUBSUB_KEY_MAX];
    pthread_mutex_lock(&ps->admin);
    struct gh_pubsub_subscription *subscription = gh_pubsub_subscription_named(ps, tenant, name);
    enum gh_error_code code =
        subscription == NULL
            ? no_subscription(name, error)
            : gh_store_subscription_delete(ps->store, subscription->what.number, error);
    if (code == GH_OK) {
        pthread_mutex_lock(&ps->lock);
        pthread_rwlock_wrlock(&ps->names);
        gh_map_remove(&ps->subscriptions, gh_pubsub_name_key(tenant, name, key));
        gh_map_remove(&ps->subscriptions_by_number,
                      gh_pubsub_number_key(&subscription->what.number));
        pthread_rwlock_unlock(&ps->names);
        gh_pubsub_topic_part(ps, subscription);
        gh_pubsub_pulls_end(ps, subscription, GH_ERROR_NOT_FOUND);
        subscription_free(subscription);
        ps->changed = true;
        pthread_mutex_unlock(&ps->lock);
    }
    pthread_mutex_unlock(&ps->admin);
    return code;
}

enum gh_error_code gh_pubsub_subscription_backlog(struct gh_pubsub *ps, int64_t tenant,
                                                  struct gh_slice name,
                                                  struct gh_subscription_backlog *out,
                                                  struct gh_error *error)
{
    enum gh_error_code code = GH_OK;
    pthread_mutex_lock(&ps->lock);
    struct gh_pubsub_subscription *subscription = gh_pubsub_subscription_named(ps, tenant, name);
    if (subscription == NULL) {
        code = no_subscription(name, error);
    } else {
        struct gh_delivery *delivery = &subscription->delivery;
        if (subscription->live)
            gh_delivery_read_to(delivery, ps->read_to);
        *out = (struct gh_subscription_backlog){.leased = delivery->count - delivery->waiting.count,
                                                .waiting = delivery->waiting.count,
                                                .acked_to = gh_delivery_acked_to(delivery),
                                                .read_to = delivery->read_to};
    }
    pthread_mutex_unlock(&ps->lock);
    return code;
}
