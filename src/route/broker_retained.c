/* Retained messages: the last one of each topic, and the walk that brings them to a new
 * subscription, a few at a time, as its connection takes them. */
#include "route/broker_internal.h"
#include <stdlib.h>
#include <string.h>

enum {
    WALK_STEP = 32,        /* messages that one step queues */
    WALK_LOOKS = 4096,     /* topics that one step looks at */
    WALK_BACKLOG_MAX = 64, /* messages in the queues at which walks wait */
    TARGETS_KEPT_BYTES = 512,
};

static size_t bytes_of(const struct gh_route_message *message)
{
    return message->topic.size + message->payload.size + message->properties.size;
}

static void free_retained(struct space *space, struct retained *retained)
{
    if (retained == NULL)
        return;
    space->retained_bytes -= bytes_of(retained->message);
    atomic_fetch_sub(&space->broker->live_bytes,
                     (int64_t)bytes_of(retained->message) + LIVE_OVERHEAD_BYTES);
    atomic_fetch_sub(&space->broker->retained, 1);
    gh_route_message_unref(retained->message);
    free(retained);
}

bool retained_fits(const struct space *space, const struct gh_broker_publish *publish)
{
    const struct gh_broker_limits *limits = &space->broker->limits;
    const struct retained *there = gh_retained_tree_get(&space->retained, publish->topic);
    size_t count = gh_retained_tree_count(&space->retained) + (there == NULL);
    size_t bytes = space->retained_bytes + publish->topic.size + publish->payload.size +
                   publish->properties.size - (there == NULL ? 0 : bytes_of(there->message));
    return publish->payload.size == 0 ||
           (count <= limits->retained_messages_max && bytes <= limits->retained_bytes_max);
}

void retained_clear(struct space *space, struct gh_slice topic)
{
    free_retained(space, gh_retained_tree_remove(&space->retained, topic));
}

bool retained_set(struct space *space, struct gh_route_message *message, uint64_t offset,
                  uint32_t position)
{
    void *before = NULL;
    if (message->payload.size == 0) { /* [MQTT-3.3.1-10]; 5.0: [MQTT-3.3.1-6] */
        retained_clear(space, message->topic);
        return true;
    }
    struct retained *made = malloc(sizeof *made);
    if (made == NULL)
        return false;
    *made = (struct retained){gh_route_message_ref(message), offset, position};
    if (!gh_retained_tree_put(&space->retained, message->topic, made, &before)) {
        gh_route_message_unref(message);
        free(made);
        return false;
    }
    space->retained_bytes += bytes_of(message);
    atomic_fetch_add(&space->broker->live_bytes, (int64_t)bytes_of(message) + LIVE_OVERHEAD_BYTES);
    atomic_fetch_add(&space->broker->retained, 1);
    free_retained(space, before);
    return true;
}

/* A message carries the list of who got it, which can be much larger than itself: what is kept for
 * long does without. */
static void trim(struct retained *retained)
{
    const struct gh_route_message *message = retained->message;
    if (message->capacity <= 2 * (message->size - message->targets.size) + TARGETS_KEPT_BYTES)
        return;
    struct gh_route_message *copy = gh_route_message_copy(message);
    if (copy == NULL)
        return;
    gh_route_message_unref(retained->message);
    retained->message = copy;
}

void retained_located(struct space *space, const struct gh_route_message *message, uint64_t offset,
                      uint32_t position)
{
    pthread_mutex_lock(&space->retained_lock);
    struct retained *there = gh_retained_tree_get(&space->retained, message->topic);
    if (there != NULL && there->message == message) {
        there->offset = offset;
        there->position = position;
        trim(there);
    }
    pthread_mutex_unlock(&space->retained_lock);
}

void retained_free(struct space *space)
{
    for (void *retained; (retained = gh_retained_tree_pop(&space->retained)) != NULL;)
        free_retained(space, retained);
    gh_retained_tree_deinit(&space->retained);
}

/* --- walks */

void session_add_walk(struct session *session, struct subscription *subscription)
{
    struct walk *walk = calloc(1, sizeof *walk + subscription->inner.size);
    if (walk == NULL)
        return;
    session_end_walk(subscription); /* it begins again */
    memcpy(walk->text, subscription->inner.data, subscription->inner.size);
    walk->filter = gh_slice(walk->text, subscription->inner.size);
    walk->qos = subscription->qos;
    walk->subscription = subscription;
    subscription->walk = walk;
    walk->link = &session->inbox->walks;
    while (*walk->link != NULL)
        walk->link = &(*walk->link)->next;
    *walk->link = walk;
}

static void free_walk(struct walk *walk)
{
    *walk->link = walk->next;
    if (walk->next != NULL)
        walk->next->link = walk->link;
    if (walk->subscription != NULL)
        walk->subscription->walk = NULL;
    free((void *)(uintptr_t)walk->after.data);
    free(walk);
}

void session_end_walk(struct subscription *subscription)
{
    if (subscription->walk != NULL)
        free_walk(subscription->walk);
}

void session_free_walks(struct session *session)
{
    while (session->inbox->walks != NULL)
        free_walk(session->inbox->walks);
}

struct step {
    struct gh_route_message *messages[WALK_STEP];
    size_t count;
    int64_t now_ms;
};

static bool visit(void *context, struct gh_slice topic, void *value)
{
    struct step *step = context;
    struct gh_route_message *message = ((struct retained *)value)->message;
    (void)topic;
    if (message->expires_at_ms == 0 || message->expires_at_ms > step->now_ms)
        step->messages[step->count++] = gh_route_message_ref(message);
    return step->count < WALK_STEP;
}

/* False: it is at its end, or there is no memory to go on. */
static bool move_on(struct walk *walk, struct gh_slice after)
{
    uint8_t *copy = after.size == 0 ? NULL : malloc(after.size);
    if (copy == NULL)
        return false;
    memcpy(copy, after.data, after.size);
    free((void *)(uintptr_t)walk->after.data);
    walk->after = gh_slice(copy, after.size);
    return true;
}

static bool backlog(struct session *session)
{
    gh_latch_take(&session->lock);
    bool full = gh_queue_count(&session->inbox->queue) >= WALK_BACKLOG_MAX ||
                session_lane_count(session) >= WALK_BACKLOG_MAX;
    gh_latch_give(&session->lock);
    return full;
}

void session_walk(struct session *session)
{
    struct space *space = session->space;
    struct walk *walk = session->inbox->walks;
    struct step step = {.now_ms = broker_now_ms(broker_of(session))};
    if (backlog(session))
        return;
    pthread_mutex_lock(&space->retained_lock);
    struct gh_slice after = gh_retained_tree_walk(&space->retained, walk->filter, walk->after,
                                                  WALK_LOOKS, visit, &step);
    bool more = move_on(walk, after);
    pthread_mutex_unlock(&space->retained_lock);
    for (size_t i = 0; i < step.count; i++) {
        struct gh_route_message *message = step.messages[i];
        uint8_t qos = message->qos < walk->qos ? message->qos : walk->qos;
        (void)session_send(session->home, session, message, (uint8_t)(qos | GH_TARGET_RETAIN),
                           &(struct publish_call){0});
        gh_route_message_unref(message);
    }
    if (!more)
        free_walk(session->inbox->walks);
    if (session->inbox->walks != NULL && step.count == 0) { /* nothing will come to ask again */
        gh_latch_take(&session->lock);
        session_notify_late(session);
        gh_latch_give(&session->lock);
    }
}
