/* Definitions of subscriptions, in memory as in the store. */
#include "base/hash.h"
#include "base/time.h"
#include "pubsub/pubsub_internal.h"
#include "pubsub/rules.h"
#include "store/store.h"
#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

enum { LOAD_BYTES_MAX = 1 << 30, RULES_BYTES_MAX = 64 * 1024, PUSH_BYTES_MAX = 16 * 1024 };

static const size_t texts[] = {
    offsetof(struct gh_subscription, name),
    offsetof(struct gh_subscription, topic),
    offsetof(struct gh_subscription, settings),
    offsetof(struct gh_subscription, filter),
    offsetof(struct gh_subscription, dead_letter_topic),
    offsetof(struct gh_subscription, dead_letter_project),
    offsetof(struct gh_subscription, push),
    offsetof(struct gh_subscription, policy),
};

static bool is_of(const void *what, struct gh_slice topic)
{
    const struct gh_subscription *subscription = what;
    return gh_slice_equal(subscription->topic, topic) && !subscription->is_detached;
}

static const struct gh_pubsub_kind kind = {.noun = "subscription",
                                           .size = sizeof(struct gh_subscription),
                                           .tenant = offsetof(struct gh_subscription, tenant),
                                           .texts = texts,
                                           .texts_count = GH_COUNT(texts),
                                           .is_of = is_of};

struct gh_pubsub_subscription *gh_pubsub_subscription_named(const struct gh_pubsub *ps,
                                                            int64_t tenant, struct gh_slice name)
{
    return gh_pubsub_named(&ps->subscriptions, tenant, name);
}

static void subscription_free(struct gh_pubsub_subscription *subscription)
{
    gh_log_reader_close(subscription->reader);
    gh_delivery_deinit(&subscription->delivery);
    gh_filter_close(subscription->filter);
    gh_pubsub_texts_free(&kind, &subscription->what);
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

void gh_pubsub_rules_apply(struct gh_pubsub_subscription *subscription)
{
    const struct gh_subscription *what = &subscription->what;
    subscription->delivery.rules = (struct gh_delivery_rules){
        .failures_max = what->dead_letter_topic.size == 0 ? 0 : what->attempts_max,
        .pause_min_ns = what->backoff_min_ms * GH_MS_NS,
        .pause_max_ns = what->backoff_max_ms * GH_MS_NS};
}

void gh_pubsub_delivery_begin(struct gh_pubsub_subscription *subscription, uint64_t read_to)
{
    gh_delivery_deinit(&subscription->delivery);
    gh_delivery_init(&subscription->delivery, read_to, GH_PUBSUB_WAITING_MAX, GH_PUBSUB_LEASES_MAX);
    gh_pubsub_rules_apply(subscription);
}

uint64_t gh_pubsub_order_key(struct gh_slice ordering_key)
{
    /* Two keys with one number would only be delivered in one order: no secret is needed. */
    static const uint8_t open[16];
    uint64_t key = ordering_key.size == 0 ? 0 : gh_hash_sip(open, ordering_key);
    return ordering_key.size != 0 && key == 0 ? 1 : key;
}

void gh_pubsub_etag(struct gh_slice policy, uint8_t out[GH_PUBSUB_ETAG_BYTES])
{
    static const uint8_t open[16];
    struct gh_buffer etag = gh_buffer_fixed(out, GH_PUBSUB_ETAG_BYTES);
    gh_buffer_u64(&etag, gh_hash_sip(open, policy));
}

bool gh_pubsub_etag_fits(struct gh_slice policy, struct gh_slice etag)
{
    uint8_t now[GH_PUBSUB_ETAG_BYTES];
    gh_pubsub_etag(policy, now);
    return etag.size == 0 || gh_slice_equal(etag, gh_slice(now, sizeof now));
}

int64_t gh_pubsub_kept_ms(const struct gh_pubsub *ps,
                          const struct gh_pubsub_subscription *subscription)
{
    const struct gh_pubsub_topic *topic =
        gh_map_get(&ps->topics_by_number, gh_pubsub_number_key(&subscription->what.topic_number));
    int64_t kept_ms = subscription->what.retention_ms;
    return topic != NULL && topic->topic.retention_ms > kept_ms ? topic->topic.retention_ms
                                                                : kept_ms;
}

void gh_pubsub_topic_join(struct gh_pubsub *ps, struct gh_pubsub_subscription *subscription)
{
    struct gh_pubsub_topic *topic =
        gh_map_get(&ps->topics_by_number, gh_pubsub_number_key(&subscription->what.topic_number));
    if (topic == NULL || subscription->what.is_detached)
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

static bool fill(const struct gh_subscription_row *row, struct gh_arena *arena,
                 struct gh_subscription *out)
{
    *out = (struct gh_subscription){.number = (uint32_t)row->number,
                                    .tenant = row->tenant,
                                    .name = row->name,
                                    .topic_number = (uint32_t)row->topic,
                                    .topic = row->topic == 0 ? GH_SLICE(GH_PUBSUB_DELETED_TOPIC)
                                                             : row->topic_name,
                                    .settings = row->settings,
                                    .policy = row->policy,
                                    .ack_deadline_s = (uint32_t)row->ack_deadline_s,
                                    .retention_ms = row->retention_s * 1000,
                                    .created_at_ms = row->created_at_ms};
    return gh_rules_read(row->rules, arena, out);
}

/* A definition with its state, in no table yet; NULL: no memory. */
static struct gh_pubsub_subscription *subscription_new(const struct gh_pubsub *ps,
                                                       const struct gh_subscription_row *row)
{
    struct gh_pubsub_subscription *subscription = calloc(1, sizeof *subscription);
    struct gh_subscription what;
    struct gh_arena arena;
    struct gh_error error;
    if (subscription == NULL)
        return NULL;
    gh_arena_init(&arena, RULES_BYTES_MAX);
    bool whole = fill(row, &arena, &what);
    if (whole && what.filter.size > 0)
        whole = (subscription->filter = gh_filter_open(what.filter, &error)) != NULL;
    subscription->what = what;
    whole = gh_pubsub_texts_copy(&kind, &what, &subscription->what) && whole;
    gh_arena_deinit(&arena);
    subscription->first_offset = row->first_offset;
    subscription->pulls_end = &subscription->pulls;
    subscription->active_at_ms = gh_pubsub_now_ms(ps);
    gh_delivery_init(&subscription->delivery, row->first_offset, GH_PUBSUB_WAITING_MAX,
                     GH_PUBSUB_LEASES_MAX);
    gh_pubsub_rules_apply(subscription);
    if (whole)
        return subscription;
    subscription_free(subscription);
    return NULL;
}

/* Under `lock` and `names`, written. */
static bool subscription_add(struct gh_pubsub *ps, const struct gh_subscription_row *row)
{
    uint8_t key[GH_PUBSUB_KEY_MAX];
    struct gh_pubsub_subscription *subscription = subscription_new(ps, row);
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

/* Each within its limits; zeros are left alone. */
static enum gh_error_code times_check(const struct gh_subscription *what, struct gh_error *error)
{
    if (what->ack_deadline_s != 0 && (what->ack_deadline_s < GH_PUBSUB_DEADLINE_MIN_S ||
                                      what->ack_deadline_s > GH_PUBSUB_DEADLINE_MAX_S))
        return gh_error_set(error, GH_ERROR_INVALID, "the ack deadline is %d to %d seconds",
                            GH_PUBSUB_DEADLINE_MIN_S, GH_PUBSUB_DEADLINE_MAX_S);
    if (what->retention_ms != 0 && (what->retention_ms < GH_PUBSUB_RETENTION_MIN_MS ||
                                    what->retention_ms > GH_PUBSUB_RETENTION_MAX_MS))
        return gh_error_set(error, GH_ERROR_INVALID, "the retention is 10 minutes to 31 days");
    if (what->backoff_min_ms < 0 || what->backoff_min_ms > what->backoff_max_ms ||
        what->backoff_max_ms > GH_PUBSUB_BACKOFF_MAX_MS)
        return gh_error_set(error, GH_ERROR_INVALID,
                            "the backoff is 0 to 600 seconds, and its minimum below its maximum");
    if (what->expires_after_ms != 0 && what->expires_after_ms < GH_PUBSUB_EXPIRY_MIN_MS)
        return gh_error_set(error, GH_ERROR_INVALID, "the life without activity is at least a day");
    return GH_OK;
}

static enum gh_error_code rules_check(const struct gh_subscription *what, struct gh_error *error)
{
    enum gh_error_code code = times_check(what, error);
    if (code != GH_OK)
        return code;
    if (what->dead_letter_topic.size > 0 && (what->attempts_max < GH_PUBSUB_ATTEMPTS_MIN ||
                                             what->attempts_max > GH_PUBSUB_ATTEMPTS_MAX))
        return gh_error_set(error, GH_ERROR_INVALID, "the delivery attempts are %d to %d",
                            GH_PUBSUB_ATTEMPTS_MIN, GH_PUBSUB_ATTEMPTS_MAX);
    if (what->push.size > PUSH_BYTES_MAX)
        return gh_error_set(error, GH_ERROR_INVALID, "the push configuration has at most %d bytes",
                            PUSH_BYTES_MAX);
    return GH_OK;
}

static enum gh_error_code create_check(const struct gh_subscription *what, struct gh_error *error)
{
    enum gh_error_code code = gh_pubsub_name_check(&kind, what->name, error);
    if (code != GH_OK)
        return code;
    struct gh_filter *filter = what->filter.size > 0 ? gh_filter_open(what->filter, error) : NULL;
    if (what->filter.size > 0 && filter == NULL)
        return error == NULL ? GH_ERROR_INVALID : error->code;
    gh_filter_close(filter);
    return rules_check(what, error);
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
    struct gh_buffer rules;
    enum gh_error_code code = create_check(what, error);
    if (code != GH_OK)
        return code;
    gh_buffer_init(&rules, RULES_BYTES_MAX);
    if (!gh_rules_write(what, &rules))
        code = gh_error_set(error, GH_ERROR_MEMORY, "no memory for a subscription");
    row.rules = gh_buffer_slice(&rules);
    pthread_mutex_lock(&ps->admin);
    const struct gh_pubsub_topic *topic = gh_pubsub_topic_named(ps, what->tenant, what->topic);
    if (code == GH_OK && topic == NULL) {
        code = gh_error_set(error, GH_ERROR_NOT_FOUND,
                            "subscription %.*s: its topic does not exist", GH_PRINT(what->name));
    } else if (code == GH_OK) {
        row.topic = topic->topic.number;
        row.topic_name = topic->topic.name;
        row.first_offset = gh_log_next(ps->log);
        code = create(ps, &row, error);
    }
    pthread_mutex_unlock(&ps->admin);
    gh_buffer_deinit(&rules);
    gh_pubsub_ring(ps);
    return code == GH_OK
               ? gh_pubsub_subscription_get(ps, what->tenant, what->name, arena, out, error)
               : code;
}

enum gh_error_code gh_pubsub_subscription_get(struct gh_pubsub *ps, int64_t tenant,
                                              struct gh_slice name, struct gh_arena *arena,
                                              struct gh_subscription *out, struct gh_error *error)
{
    return gh_pubsub_get(ps, &kind, &ps->subscriptions, tenant, name, arena, out, error);
}

enum gh_error_code gh_pubsub_subscription_list(struct gh_pubsub *ps, int64_t tenant,
                                               struct gh_slice topic, struct gh_slice after,
                                               size_t limit, struct gh_arena *arena,
                                               struct gh_subscription **out, size_t *count,
                                               struct gh_error *error)
{
    const struct gh_pubsub_part part = {tenant, topic, after, limit};
    void *list;
    enum gh_error_code code =
        gh_pubsub_list(ps, &kind, &ps->subscriptions, &part, arena, &list, count, error);
    *out = list;
    return code;
}

enum gh_error_code gh_pubsub_subscription_pushed(struct gh_pubsub *ps, struct gh_arena *arena,
                                                 struct gh_subscription **out, size_t *count,
                                                 struct gh_error *error)
{
    enum gh_error_code code = GH_OK;
    struct gh_slice key;
    void *value;
    *count = 0;
    pthread_rwlock_rdlock(&ps->names);
    *out = gh_arena_array(arena, ps->subscriptions.count + 1, sizeof **out);
    if (*out == NULL)
        code = gh_error_set(error, GH_ERROR_MEMORY, "no memory for a list of subscriptions");
    for (size_t at = 0; code == GH_OK && gh_map_next(&ps->subscriptions, &at, &key, &value);) {
        const struct gh_subscription *what = &((const struct gh_pubsub_subscription *)value)->what;
        if (what->push.size > 0 && !what->is_detached)
            code = gh_pubsub_give(&kind, what, arena, &(*out)[(*count)++], error);
    }
    pthread_rwlock_unlock(&ps->names);
    return code;
}

/* What it says of itself with those fields of `what` that are named. */
static struct gh_subscription changed(const struct gh_subscription *now,
                                      const struct gh_subscription *what, unsigned fields)
{
    struct gh_subscription after = *now;
    if ((fields & GH_SUBSCRIPTION_DEADLINE) != 0)
        after.ack_deadline_s =
            what->ack_deadline_s == 0 ? GH_PUBSUB_DEADLINE_MIN_S : what->ack_deadline_s;
    if ((fields & GH_SUBSCRIPTION_RETENTION) != 0)
        after.retention_ms =
            what->retention_ms == 0 ? GH_PUBSUB_RETENTION_DEFAULT_MS : what->retention_ms;
    if ((fields & GH_SUBSCRIPTION_SETTINGS) != 0)
        after.settings = what->settings;
    if ((fields & GH_SUBSCRIPTION_RETAINS) != 0)
        after.retains_acked = what->retains_acked;
    if ((fields & GH_SUBSCRIPTION_DEAD_LETTER) != 0) {
        after.dead_letter_topic = what->dead_letter_topic;
        after.dead_letter_project = what->dead_letter_project;
        after.attempts_max = what->attempts_max;
    }
    if ((fields & GH_SUBSCRIPTION_BACKOFF) != 0) {
        after.backoff_min_ms = what->backoff_min_ms;
        after.backoff_max_ms = what->backoff_max_ms;
    }
    if ((fields & GH_SUBSCRIPTION_EXPIRY) != 0)
        after.expires_after_ms = what->expires_after_ms;
    if ((fields & GH_SUBSCRIPTION_PUSH) != 0)
        after.push = what->push;
    if ((fields & GH_SUBSCRIPTION_DETACHED) != 0)
        after.is_detached = after.is_detached || what->is_detached;
    if ((fields & GH_SUBSCRIPTION_POLICY) != 0)
        after.policy = what->policy;
    return after;
}

/* The definition changes; the one before is freed. Under `admin`. */
static void replace(struct gh_pubsub *ps, struct gh_pubsub_subscription *subscription,
                    const struct gh_subscription *after)
{
    struct gh_subscription before = subscription->what;
    pthread_mutex_lock(&ps->lock);
    pthread_rwlock_wrlock(&ps->names);
    subscription->what = *after;
    pthread_rwlock_unlock(&ps->names);
    gh_pubsub_rules_apply(subscription);
    subscription->active_at_ms = gh_pubsub_now_ms(ps);
    if (after->is_detached && !before.is_detached) {
        gh_pubsub_topic_part(ps, subscription);
        gh_pubsub_pulls_end(ps, subscription, GH_ERROR_PRECONDITION);
        gh_pubsub_delivery_begin(subscription, gh_log_next(ps->log));
    }
    ps->changed = true;
    pthread_mutex_unlock(&ps->lock);
    gh_pubsub_texts_free(&kind, &before);
    gh_pubsub_ring(ps);
}

/* Under `admin`. */
static enum gh_error_code change(struct gh_pubsub *ps, struct gh_pubsub_subscription *subscription,
                                 const struct gh_subscription *after, struct gh_error *error)
{
    struct gh_subscription next = *after;
    struct gh_buffer rules;
    enum gh_error_code code = rules_check(after, error);
    if (code != GH_OK)
        return code;
    if (!gh_pubsub_texts_copy(&kind, after, &next))
        return gh_error_set(error, GH_ERROR_MEMORY, "no memory for a subscription");
    gh_buffer_init(&rules, RULES_BYTES_MAX);
    struct gh_subscription_row row = {.number = after->number,
                                      .ack_deadline_s = after->ack_deadline_s,
                                      .retention_s = after->retention_ms / 1000,
                                      .settings = after->settings,
                                      .policy = after->policy};
    if (!gh_rules_write(after, &rules))
        code = gh_error_set(error, GH_ERROR_MEMORY, "no memory for a subscription");
    row.rules = gh_buffer_slice(&rules);
    if (code == GH_OK)
        code = gh_store_subscription_update(ps->store, &row, error);
    gh_buffer_deinit(&rules);
    if (code == GH_OK)
        replace(ps, subscription, &next);
    else
        gh_pubsub_texts_free(&kind, &next);
    return code;
}

enum gh_error_code gh_pubsub_subscription_update(struct gh_pubsub *ps,
                                                 const struct gh_subscription *what,
                                                 unsigned fields, struct gh_arena *arena,
                                                 struct gh_subscription *out,
                                                 struct gh_error *error)
{
    pthread_mutex_lock(&ps->admin);
    struct gh_pubsub_subscription *subscription =
        gh_pubsub_subscription_named(ps, what->tenant, what->name);
    enum gh_error_code code =
        subscription == NULL ? gh_pubsub_none(&kind, what->name, error) : times_check(what, error);
    if (code == GH_OK && !gh_pubsub_etag_fits(subscription->what.policy, what->policy_etag))
        code = gh_error_set(error, GH_ERROR_CONFLICT, "the policy was changed since it was read");
    if (code == GH_OK) {
        struct gh_subscription after = changed(&subscription->what, what, fields);
        code = change(ps, subscription, &after, error);
    }
    if (code == GH_OK)
        code = gh_pubsub_give(&kind, &subscription->what, arena, out, error);
    pthread_mutex_unlock(&ps->admin);
    return code;
}

enum gh_error_code gh_pubsub_subscription_delete(struct gh_pubsub *ps, int64_t tenant,
                                                 struct gh_slice name, struct gh_error *error)
{
    uint8_t key[GH_PUBSUB_KEY_MAX];
    pthread_mutex_lock(&ps->admin);
    struct gh_pubsub_subscription *subscription = gh_pubsub_subscription_named(ps, tenant, name);
    enum gh_error_code code =
        subscription == NULL
            ? gh_pubsub_none(&kind, name, error)
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
        code = gh_pubsub_none(&kind, name, error);
    } else {
        struct gh_delivery *delivery = &subscription->delivery;
        if (subscription->live)
            gh_delivery_read_to(delivery, ps->read_to);
        *out = (struct gh_subscription_backlog){.leased = delivery->count - delivery->waiting_count,
                                                .waiting = delivery->waiting_count,
                                                .acked_to = gh_delivery_acked_to(delivery),
                                                .read_to = delivery->read_to};
    }
    pthread_mutex_unlock(&ps->lock);
    return code;
}
