/* The service thread: follows the log, tells each subscription of its messages, answers pulls,
 * writes acknowledgements, brings messages back whose deadline passed.
 *
 * One reader goes through the log once for all subscriptions that are up to date. One that is not
 * (after a restart, or because it has as many messages waiting as it may) reads on from its own
 * place when it has room, passing over segments without its topic, until it has caught up. */
#include "base/log.h"
#include "base/time.h"
#include "pubsub/pubsub_internal.h"
#include <poll.h>
#include <string.h>
#include <unistd.h>

enum {
    TURN_RECORDS = 8192, /* in one turn, so that calls are not kept waiting */
    JOURNALLED_MAX = 200000,
    LONG_WAIT_MS = 1000,
};
#define CHECKPOINT_EVERY_NS (30 * GH_SECOND_NS)
#define HOLD_EVERY_NS (10 * GH_SECOND_NS)
#define EXPIRE_EVERY_NS (60 * GH_SECOND_NS)

void gh_pubsub_pull_open(struct gh_letter *letter)
{
    struct gh_pull *pull = (struct gh_pull *)((char *)letter - offsetof(struct gh_pull, inbound));
    struct gh_pubsub *ps = pull->owner;
    struct gh_pubsub_subscription *subscription =
        gh_map_get(&ps->subscriptions_by_number, gh_pubsub_number_key(&pull->subscription));
    if (subscription == NULL) {
        gh_pubsub_pull_end(ps, pull, GH_ERROR_NOT_FOUND);
        return;
    }
    size_t waiting = 0;
    for (const struct gh_pull *other = subscription->pulls; other != NULL; other = other->next)
        waiting++;
    if (waiting >= GH_PUBSUB_PULLS_MAX) { /* one subscription must not use up the calls of all */
        gh_pubsub_pull_end(ps, pull, GH_ERROR_UNAVAILABLE);
        return;
    }
    subscription->active_at_ms = gh_pubsub_now_ms(ps);
    *subscription->pulls_end = pull;
    subscription->pulls_end = &pull->next;
}

void gh_pubsub_pulls_end(struct gh_pubsub *ps, struct gh_pubsub_subscription *subscription,
                         enum gh_error_code result)
{
    struct gh_pull *pull = subscription->pulls;
    subscription->pulls = NULL;
    subscription->pulls_end = &subscription->pulls;
    for (struct gh_pull *next; pull != NULL; pull = next) {
        next = pull->next;
        gh_pubsub_pull_end(ps, pull, result);
    }
}

/* Tells a subscription of a message of its topic. False: it has no room for it now. */
static bool feed(struct gh_pubsub_subscription *subscription, const struct gh_log_record *record)
{
    struct gh_message_attribute attributes[GH_MESSAGE_ATTRIBUTES_MAX];
    struct gh_delivery *delivery = &subscription->delivery;
    struct gh_message message;
    uint64_t key = 0;
    if (subscription->filter != NULL || subscription->what.is_ordered) {
        bool wanted =
            gh_message_decode(record->body, attributes, &message) &&
            (subscription->filter == NULL || gh_filter_matches(subscription->filter, &message));
        if (!wanted) {
            gh_delivery_read_to(delivery, record->offset + 1);
            return true;
        }
        key = subscription->what.is_ordered ? gh_pubsub_order_key(message.ordering_key) : 0;
    }
    return gh_delivery_has_room(delivery) &&
           gh_delivery_add(delivery, record->offset, record->position, key);
}

/* Follows the log for all subscriptions that are up to date. True: there is more. */
static bool follow(struct gh_pubsub *ps)
{
    struct gh_log_record record;
    enum gh_log_read step = GH_LOG_READ_RECORD;
    if (ps->subscriptions.count == 0)
        gh_log_reader_seek(ps->reader, gh_log_next(ps->log));
    for (int i = 0; i < TURN_RECORDS && step == GH_LOG_READ_RECORD; i++) {
        step = gh_log_reader_next(ps->reader, GH_LOG_ANY_TAG, &record);
        if (step != GH_LOG_READ_RECORD || record.tag == GH_PUBSUB_JOURNAL_TAG)
            continue;
        const struct gh_pubsub_topic *topic =
            gh_map_get(&ps->topics_by_number, gh_pubsub_number_key(&record.tag));
        struct gh_pubsub_subscription *subscription = topic == NULL ? NULL : topic->subscriptions;
        for (; subscription != NULL; subscription = subscription->next_of_topic) {
            struct gh_delivery *delivery = &subscription->delivery;
            if (!subscription->live || record.offset < delivery->read_to)
                continue; /* it was made after this message */
            gh_delivery_read_to(delivery, record.offset);
            subscription->live = feed(subscription, &record);
            ps->changed = true;
        }
    }
    ps->read_to = gh_log_reader_offset(ps->reader);
    if (step == GH_LOG_READ_FAILED)
        ps->retry_at_ns = gh_pubsub_now_ns(ps) + GH_SECOND_NS;
    return step == GH_LOG_READ_RECORD;
}

static void caught_up(struct gh_pubsub *ps, struct gh_pubsub_subscription *subscription)
{
    gh_delivery_read_to(&subscription->delivery, ps->read_to);
    gh_log_reader_close(subscription->reader);
    subscription->reader = NULL;
    subscription->live = true;
}

/* Half empty: reading goes in long strides. */
static bool wants_more(const struct gh_pubsub_subscription *subscription)
{
    return subscription->delivery.waiting_count <= subscription->delivery.waiting_max / 2;
}

/* Reads on for one that is behind. True: there is more. */
static bool catch_up(struct gh_pubsub *ps, struct gh_pubsub_subscription *subscription)
{
    struct gh_delivery *delivery = &subscription->delivery;
    uint32_t topic = subscription->what.topic_number;
    struct gh_log_record record;
    enum gh_log_read step = GH_LOG_READ_RECORD;

    if (topic == GH_LOG_ANY_TAG || delivery->read_to >= ps->read_to) {
        caught_up(ps, subscription); /* a topic that nobody knows any more has no messages */
        return false;
    }
    if (!wants_more(subscription))
        return false;
    if (subscription->reader == NULL)
        subscription->reader = gh_log_reader_open(ps->log);
    if (subscription->reader == NULL) {
        ps->retry_at_ns = gh_pubsub_now_ns(ps) + GH_SECOND_NS;
        return false;
    }
    gh_log_reader_seek(subscription->reader, delivery->read_to);
    while (gh_delivery_has_room(delivery)) {
        step = gh_log_reader_next(subscription->reader, topic, &record);
        if (step != GH_LOG_READ_RECORD || record.offset >= ps->read_to)
            break;
        ps->changed = true;
        gh_delivery_read_to(delivery, record.offset);
        if (!feed(subscription, &record)) {
            ps->retry_at_ns = gh_pubsub_now_ns(ps) + GH_SECOND_NS;
            return false;
        }
    }
    if (step == GH_LOG_READ_FAILED) {
        ps->retry_at_ns = gh_pubsub_now_ns(ps) + GH_SECOND_NS;
        return false;
    }
    uint64_t at = gh_log_reader_offset(subscription->reader);
    if (at >= ps->read_to)
        caught_up(ps, subscription);
    else
        gh_delivery_read_to(delivery, at);
    return step == GH_LOG_READ_PAUSE && !subscription->live;
}

enum fill { FILLED, FILL_SKIPPED, FILL_STOP };

/* Puts one leased message into the pull. */
static enum fill fill_one(struct gh_pubsub *ps, struct gh_pubsub_subscription *subscription,
                          struct gh_pull *pull, const struct gh_delivery_entry *entry,
                          size_t *bytes, struct gh_received *out)
{
    struct gh_message_attribute attributes[GH_MESSAGE_ATTRIBUTES_MAX], *kept;
    struct gh_delivery *delivery = &subscription->delivery;
    struct gh_log_record record;
    struct gh_slice body;

    enum gh_log_fetched fetched =
        gh_log_fetch(ps->log, entry->offset, entry->position, &ps->fetched, &record);
    if (fetched == GH_LOG_FETCHED && *bytes + record.body.size > pull->bytes_max && *bytes > 0)
        fetched = GH_LOG_FETCH_FAILED; /* full: the next pull begins with it */
    else if (fetched == GH_LOG_FETCH_FAILED)
        ps->retry_at_ns = gh_pubsub_now_ns(ps) + GH_SECOND_NS;
    if (fetched == GH_LOG_FETCH_FAILED) {
        gh_delivery_unlease(delivery, entry->offset);
        return FILL_STOP;
    }
    bool expired = fetched == GH_LOG_FETCHED &&
                   record.at_ms < gh_pubsub_now_ms(ps) - gh_pubsub_kept_ms(ps, subscription);
    if (fetched == GH_LOG_FETCH_GONE || expired ||
        !gh_message_decode(record.body, attributes, &out->message) ||
        (subscription->filter != NULL && /* a snapshot of another subscription holds it */
         !gh_filter_matches(subscription->filter, &out->message))) {
        gh_delivery_drop(delivery, entry->offset);
        return FILL_SKIPPED;
    }
    kept = gh_arena_array(&pull->arena, out->message.attributes_count + 1, sizeof *kept);
    if (kept == NULL || !gh_arena_copy(&pull->arena, record.body, &body) ||
        !gh_message_decode(body, kept, &out->message)) {
        gh_delivery_unlease(delivery, entry->offset);
        return FILL_STOP;
    }
    out->id = entry->offset;
    out->at_ms = record.at_ms;
    out->attempt = entry->failures + UINT32_C(1);
    gh_pubsub_ack_id_write(ps, subscription->what.number, entry->offset, entry->attempts,
                           out->ack_id);
    *bytes += record.body.size;
    return FILLED;
}

/* Hands out what waits, as much as the pull takes. */
static void fill(struct gh_pubsub *ps, struct gh_pubsub_subscription *subscription,
                 struct gh_pull *pull)
{
    struct gh_delivery *delivery = &subscription->delivery;
    uint32_t deadline_s =
        pull->ack_deadline_s != 0 ? pull->ack_deadline_s : subscription->what.ack_deadline_s;
    int64_t deadline_ns = gh_pubsub_now_ns(ps) + (int64_t)deadline_s * GH_SECOND_NS;
    size_t most =
        pull->messages_max < delivery->waiting_count ? pull->messages_max : delivery->waiting_count;
    struct gh_delivery_entry entry;
    size_t bytes = 0;

    struct gh_received *messages = gh_arena_array(&pull->arena, most + 1, sizeof *messages);
    if (messages == NULL)
        return;
    pull->messages = messages;
    while (pull->count < most && gh_delivery_lease(delivery, deadline_ns, &entry)) {
        enum fill filled = fill_one(ps, subscription, pull, &entry, &bytes, &messages[pull->count]);
        if (filled == FILL_STOP)
            break;
        pull->count += filled == FILLED;
        ps->changed = true;
    }
    gh_delivery_batch_end(delivery);
    subscription->active_at_ms = gh_pubsub_now_ms(ps);
    if (pull->count == 0) { /* it waits on, and its memory must not grow with every look */
        pull->messages = NULL;
        gh_arena_reset(&pull->arena);
    }
}

/* Whether a pull that got nothing is to be answered all the same. What the log already has is read
 * first, so that a pull which does not wait finds what was published before it; but not what is not
 * read before somebody has taken what waits, on which the thread would turn round without rest. */
static bool is_over(const struct gh_pubsub *ps, const struct gh_pubsub_subscription *subscription,
                    const struct gh_pull *pull, int64_t now_ns)
{
    bool behind = !subscription->live && wants_more(subscription);
    if (atomic_load(&pull->cancelled))
        return true;
    return now_ns >= pull->until_ns && (ps->retry_at_ns != 0 || (!behind && !ps->behind));
}

/* Answers the pulls that can be answered now. */
static void serve(struct gh_pubsub *ps, struct gh_pubsub_subscription *subscription, int64_t now_ns)
{
    struct gh_pull **at = &subscription->pulls;
    while (*at != NULL) {
        struct gh_pull *pull = *at;
        if (subscription->delivery.waiting.count > 0 && !pull->only_waits &&
            !atomic_load(&pull->cancelled))
            fill(ps, subscription, pull);
        if (pull->count == 0 && !is_over(ps, subscription, pull, now_ns)) {
            at = &pull->next;
            continue;
        }
        *at = pull->next;
        pull->next = NULL;
        gh_pubsub_pull_end(ps, pull, GH_OK);
    }
    subscription->pulls_end = at;
}

/* Where begins what the subscription needs: the first message that it has not acknowledged, or may
 * seek back to. */
static uint64_t needed_from(struct gh_pubsub *ps, struct gh_pubsub_subscription *subscription)
{
    if (subscription->what.retains_acked)
        return subscription->first_offset;
    return subscription->live && subscription->delivery.count == 0
               ? ps->read_to
               : gh_delivery_acked_to(&subscription->delivery);
}

/* Which segments are still needed: by what is not acknowledged or retained and not past its time,
 * by topics that keep their messages, by snapshots, and by the journal behind the checkpoint. */
static void hold_move(struct gh_pubsub *ps)
{
    uint64_t lowest = ps->replay_from < ps->read_to ? ps->replay_from : ps->read_to;
    int64_t now_ms = gh_pubsub_now_ms(ps);
    struct gh_slice key;
    void *value;
    for (size_t at = 0; gh_map_next(&ps->subscriptions, &at, &key, &value);) {
        struct gh_pubsub_subscription *subscription = value;
        uint64_t needed = needed_from(ps, subscription);
        if (needed >= lowest)
            continue;
        uint64_t kept = gh_log_offset_at(ps->log, now_ms - gh_pubsub_kept_ms(ps, subscription));
        needed = needed < kept ? kept : needed;
        lowest = needed < lowest ? needed : lowest;
    }
    for (size_t at = 0; gh_map_next(&ps->topics, &at, &key, &value);) {
        const struct gh_topic *topic = &((const struct gh_pubsub_topic *)value)->topic;
        uint64_t kept = topic->retention_ms == 0
                            ? lowest
                            : gh_log_offset_at(ps->log, now_ms - topic->retention_ms);
        lowest = kept < lowest ? kept : lowest;
    }
    for (size_t at = 0; gh_map_next(&ps->snapshots, &at, &key, &value);) {
        const struct gh_pubsub_snapshot *snapshot = value;
        if (snapshot->what.expires_at_ms > now_ms && snapshot->from_offset < lowest)
            lowest = snapshot->from_offset;
    }
    gh_log_hold_move(ps->hold, lowest);
}

static void keep_house(struct gh_pubsub *ps, int64_t now_ns)
{
    if (now_ns >= ps->checkpoint_at_ns || ps->journalled >= JOURNALLED_MAX) {
        if (ps->changed && !gh_pubsub_checkpoint(ps))
            gh_log(GH_LOG_WARN, "pubsub",
                   "%s/subscriptions.state cannot be written; acknowledgements are safe in the log",
                   ps->folder);
        ps->journalled = 0;
        ps->checkpoint_at_ns = now_ns + CHECKPOINT_EVERY_NS;
    }
    if (now_ns >= ps->hold_at_ns) {
        hold_move(ps);
        ps->hold_at_ns = now_ns + HOLD_EVERY_NS;
    }
}

/* Everything that can be done now. True: there is more. `*due_ns` becomes when to look again. */
static bool turn(struct gh_pubsub *ps, int64_t *due_ns)
{
    int64_t now_ns = gh_pubsub_now_ns(ps);
    struct gh_slice key;
    void *value;

    if (ps->retry_at_ns <= now_ns)
        ps->retry_at_ns = 0;
    gh_mailbox_deliver(&ps->inbox);
    ps->behind = ps->retry_at_ns == 0 && follow(ps);
    bool more = ps->behind;
    keep_house(ps, now_ns);
    *due_ns = ps->checkpoint_at_ns < ps->hold_at_ns ? ps->checkpoint_at_ns : ps->hold_at_ns;
    for (size_t at = 0; gh_map_next(&ps->subscriptions, &at, &key, &value);) {
        struct gh_pubsub_subscription *subscription = value;
        struct gh_delivery *delivery = &subscription->delivery;
        if (!subscription->live && ps->retry_at_ns == 0)
            more = catch_up(ps, subscription) || more;
        gh_delivery_expire(delivery, now_ns);
        gh_pubsub_bury(ps, subscription);
        if (subscription->pulls != NULL)
            serve(ps, subscription, now_ns);
        int64_t deadline_ns = gh_delivery_deadline_ns(delivery);
        *due_ns = deadline_ns < *due_ns ? deadline_ns : *due_ns;
        if (subscription->pulls == NULL)
            continue;
        if (!subscription->live && ps->retry_at_ns == 0 && wants_more(subscription))
            more = true; /* the pulls took what had been read */
        int64_t until_ns = subscription->pulls->until_ns;
        for (const struct gh_pull *pull = subscription->pulls; pull != NULL; pull = pull->next)
            until_ns = pull->until_ns < until_ns ? pull->until_ns : until_ns;
        *due_ns = until_ns < *due_ns ? until_ns : *due_ns;
    }
    if (ps->retry_at_ns != 0 && ps->retry_at_ns < *due_ns)
        *due_ns = ps->retry_at_ns;
    return more;
}

static void sleep_until(struct gh_pubsub *ps, int64_t due_ns)
{
    uint64_t rings;
    struct pollfd bell = {.fd = ps->bell, .events = POLLIN};
    int64_t wait_ms = (due_ns - gh_pubsub_now_ns(ps) + GH_MS_NS - 1) / GH_MS_NS;
    wait_ms = wait_ms < 0 ? 0 : wait_ms > LONG_WAIT_MS ? LONG_WAIT_MS : wait_ms;
    if (poll(&bell, 1, (int)wait_ms) > 0)
        (void)!read(ps->bell, &rings, sizeof rings);
}

/* Ends what waits; false while journal records are under way. */
static bool wind_up(struct gh_pubsub *ps)
{
    struct gh_slice key;
    void *subscription;
    gh_mailbox_deliver(&ps->inbox);
    for (size_t at = 0; gh_map_next(&ps->subscriptions, &at, &key, &subscription);)
        gh_pubsub_pulls_end(ps, subscription, GH_ERROR_UNAVAILABLE);
    return ps->acks_under_way == 0 && atomic_load(&ps->calls) == 0;
}

void *gh_pubsub_service_run(void *context)
{
    struct gh_pubsub *ps = context;
    int64_t due_ns = 0;
    bool done = false;
    pthread_mutex_lock(&ps->lock); /* callers are at work already */
    ps->checkpoint_at_ns = ps->hold_at_ns =
        gh_pubsub_now_ns(ps); /* at once, so that the key is kept */
    ps->expire_at_ns = ps->hold_at_ns + EXPIRE_EVERY_NS;
    ps->changed = true;
    pthread_mutex_unlock(&ps->lock);
    while (!done) {
        bool more = false;
        pthread_mutex_lock(&ps->lock);
        if (atomic_load(&ps->closing))
            done = wind_up(ps);
        else
            more = turn(ps, &due_ns);
        if (done)
            (void)gh_pubsub_checkpoint(ps);
        pthread_mutex_unlock(&ps->lock);
        if (!done && gh_pubsub_now_ns(ps) >= ps->expire_at_ns) {
            gh_pubsub_expire(ps);
            ps->expire_at_ns = gh_pubsub_now_ns(ps) + EXPIRE_EVERY_NS;
        }
        if (!done && !more)
            sleep_until(ps, due_ns < ps->expire_at_ns ? due_ns : ps->expire_at_ns);
    }
    return NULL;
}
