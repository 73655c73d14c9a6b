/* Dead letters: a message that has failed too often is published to another topic, with where it
 * comes from in its attributes (Pub/Sub's names), and then acknowledged. A crash in between
 * publishes it twice. */
#include "base/log.h"
#include "base/time.h"
#include "pubsub/pubsub_internal.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { OWN_ATTRIBUTES = 4 };
#define AGAIN_NS (10 * GH_SECOND_NS) /* when it could not be forwarded */

struct forward {
    struct gh_append append; /* first: the letter is its first member */
    struct gh_pubsub *owner;
    uint32_t subscription;
    uint64_t offset;
    struct gh_buffer bytes;
};

/* The message as it is forwarded. `texts` are what the new attributes point into. */
struct letter {
    struct gh_message message;
    struct gh_message_attribute attributes[GH_MESSAGE_ATTRIBUTES_MAX + OWN_ATTRIBUTES];
    char count[16], time[GH_TIME_TEXT_MAX];
};

static struct gh_pubsub_subscription *subscription_of(struct forward *forward)
{
    return gh_map_get(&forward->owner->subscriptions_by_number,
                      gh_pubsub_number_key(&forward->subscription));
}

static void forward_close(struct forward *forward)
{
    gh_pubsub_call_end(forward->owner);
    gh_buffer_deinit(&forward->bytes);
    free(forward);
}

/* The copy is on disk, or not. On the service thread, under `lock`. */
static void forwarded(struct gh_letter *letter)
{
    struct forward *forward = (struct forward *)(void *)letter;
    struct gh_pubsub *ps = forward->owner;
    struct gh_pubsub_subscription *subscription = subscription_of(forward);
    if (forward->append.result == GH_OK)
        gh_pubsub_ack_one(ps, forward->subscription, forward->offset);
    else if (subscription != NULL)
        gh_delivery_revive(&subscription->delivery, forward->offset,
                           gh_pubsub_now_ns(ps) + AGAIN_NS);
    forward_close(forward);
}

/* What the copy says beside what the message said; what does not fit any more is left out. */
static void address(const struct gh_pubsub_subscription *subscription,
                    const struct gh_delivery_entry *entry, const struct gh_log_record *record,
                    struct letter *letter)
{
    snprintf(letter->count, sizeof letter->count, "%u", (unsigned)entry->failures);
    const struct gh_message_attribute own[OWN_ATTRIBUTES] = {
        {GH_SLICE("CloudPubSubDeadLetterSourceDeliveryCount"), gh_slice_text(letter->count)},
        {GH_SLICE("CloudPubSubDeadLetterSourceSubscription"), subscription->what.name},
        {GH_SLICE("CloudPubSubDeadLetterSourceSubscriptionProject"),
         subscription->what.dead_letter_project},
        {GH_SLICE("CloudPubSubDeadLetterSourceTopicPublishTime"),
         gh_slice_text(gh_time_print(record->at_ms, letter->time))},
    };
    struct gh_message *message = &letter->message;
    for (size_t i = 0; i < OWN_ATTRIBUTES; i++) {
        size_t at = 0; /* in the place of one from an earlier journey */
        while (at < message->attributes_count &&
               !gh_slice_equal(letter->attributes[at].key, own[i].key))
            at++;
        if (at == GH_MESSAGE_ATTRIBUTES_MAX)
            continue;
        letter->attributes[at] = own[i];
        message->attributes_count += at == message->attributes_count;
    }
    message->attributes = letter->attributes;
}

enum outcome { ON_ITS_WAY, GONE, NOT_NOW };

static enum outcome send(struct gh_pubsub *ps, struct gh_pubsub_subscription *subscription,
                         uint32_t topic, const struct gh_delivery_entry *entry)
{
    struct gh_log_record record;
    struct letter letter;
    enum gh_log_fetched fetched =
        gh_log_fetch(ps->log, entry->offset, entry->position, &ps->fetched, &record);
    if (fetched == GH_LOG_FETCH_GONE ||
        (fetched == GH_LOG_FETCHED &&
         !gh_message_decode(record.body, letter.attributes, &letter.message)))
        return GONE;
    struct forward *forward = fetched == GH_LOG_FETCHED ? calloc(1, sizeof *forward) : NULL;
    if (forward == NULL)
        return NOT_NOW;
    address(subscription, entry, &record, &letter);
    forward->owner = ps;
    forward->subscription = subscription->what.number;
    forward->offset = entry->offset;
    gh_buffer_init(&forward->bytes, gh_message_encoded_bytes(&letter.message));
    bool encoded = gh_message_encode(&letter.message, &forward->bytes);
    forward->append = (struct gh_append){.done.open = forwarded,
                                         .reply = gh_pubsub_send,
                                         .reply_context = ps,
                                         .tag = topic,
                                         .body = gh_buffer_slice(&forward->bytes)};
    atomic_fetch_add(&ps->calls, 1);
    if (encoded && gh_log_append(ps->log, &forward->append))
        return ON_ITS_WAY;
    forward_close(forward);
    return NOT_NOW;
}

void gh_pubsub_bury(struct gh_pubsub *ps, struct gh_pubsub_subscription *subscription)
{
    static_assert(offsetof(struct forward, append) == 0 && offsetof(struct gh_append, done) == 0,
                  "the letter is the forward's first member");
    struct gh_delivery *delivery = &subscription->delivery;
    struct gh_delivery_entry entry;
    while (gh_delivery_take_dead(delivery, &entry)) {
        const struct gh_pubsub_topic *topic = gh_pubsub_topic_named(
            ps, subscription->what.tenant, subscription->what.dead_letter_topic);
        enum outcome outcome =
            topic == NULL ? NOT_NOW : send(ps, subscription, topic->topic.number, &entry);
        if (topic == NULL)
            gh_log(GH_LOG_WARN, "pubsub", "subscription %.*s: its dead letter topic is not there",
                   GH_PRINT(subscription->what.name));
        if (outcome == GONE)
            gh_delivery_drop(delivery, entry.offset);
        if (outcome == NOT_NOW)
            gh_delivery_revive(delivery, entry.offset, gh_pubsub_now_ns(ps) + AGAIN_NS);
    }
}
