/* A publish: found its targets, it goes into their queues; what must be safe goes as one record to
 * the journal and is answered when that is synced. Then what waited in the queues may be sent. */
#include "base/log.h"
#include "base/pool.h"
#include "route/broker_internal.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* With more receivers than that a publish is wide: they are told late, so that it holds nobody up.
 */
enum { NARROW_MAX = 16 };

/* Where the message was put and is to be found again when it is safe. */
struct place {
    struct session *session; /* a reference */
    uint64_t sequence;
};

/* A record on its way to the journal. */
struct post {
    struct gh_append append; /* first */
    struct port *port;
    struct space *space;
    struct gh_route_message *message; /* a reference */
    struct publish_call call;
    struct session *from; /* a reference; NULL: the server itself, or nothing of it is stored */
    uint16_t packet_id;
    bool durable, matched, wide;
    size_t count, places_max;
    struct place places[];
};

/* A message on its way into queues. */
struct handing {
    struct gh_route_message *message;
    size_t shares;     /* references made ahead, of which each queue takes one */
    struct port *here; /* on whose loop this is; NULL: any thread */
    bool wide;         /* `here` publishes to many */
    bool gone;         /* the session that was tried last has ended */
};

/* --- the queues of a session; its lock is held */

void session_drop_body(struct session *session, struct gh_queue_entry *entry)
{
    if (entry->body == NULL)
        return;
    gh_route_message_unref(entry->body);
    entry->body = NULL;
    session->inbox->bodies--;
}

/* A body stays while the session is there to take it, or nothing else has it. */
static void keep_or_drop_body(struct session *session, struct gh_queue_entry *entry)
{
    bool wanted = session->live && session->inbox->bodies <= broker_of(session)->limits.bodies_max;
    if (session->stored && entry->offset != 0 && !wanted)
        session_drop_body(session, entry);
}

void lane_clear(struct session *session)
{
    struct lane *lane = session->inbox->lane;
    session->inbox->lane = NULL;
    for (uint32_t i = 0; lane != NULL && i < lane->count; i++)
        gh_route_message_unref(lane->ring[(lane->first + i) & (lane->capacity - 1)].message);
    free(lane);
}

/* A lane that has room for one more. */
static struct lane *lane_room(struct session *session)
{
    struct lane *lane = session->inbox->lane;
    if (lane != NULL && lane->count < lane->capacity)
        return lane;
    uint32_t capacity = lane == NULL ? 8 : 2 * lane->capacity;
    struct lane *wide = malloc(sizeof *wide + capacity * sizeof wide->ring[0]);
    if (wide == NULL)
        return NULL;
    *wide = (struct lane){.capacity = capacity};
    if (lane != NULL) {
        wide->bytes = lane->bytes;
        wide->count = lane->count;
        for (uint32_t i = 0; i < lane->count; i++)
            wide->ring[i] = lane->ring[(lane->first + i) & (lane->capacity - 1)];
        free(lane);
    }
    return session->inbox->lane = wide;
}

/* The reference of one queue. */
static struct gh_route_message *take_share(struct handing *handing)
{
    if (handing->shares == 0)
        return gh_route_message_ref(handing->message);
    handing->shares--;
    return handing->message;
}

static bool lane_push(struct session *session, struct handing *handing, uint8_t flags)
{
    const struct gh_broker_limits *limits = &broker_of(session)->limits;
    const struct gh_route_message *message = handing->message;
    struct lane *lane = session->inbox->lane;
    size_t bytes = lane == NULL ? 0 : lane->bytes;
    if (session_lane_count(session) >= limits->lane_messages_max ||
        bytes + message->payload.size > limits->lane_bytes_max ||
        (lane = lane_room(session)) == NULL)
        return false;
    lane->ring[(lane->first + lane->count++) & (lane->capacity - 1)] =
        (struct lane_item){take_share(handing), flags};
    lane->bytes += message->payload.size;
    return true;
}

static uint64_t queue_push(struct session *session, struct handing *handing, uint8_t flags,
                           bool waits)
{
    struct gh_route_message *message = handing->message;
    struct gh_queue_entry entry = {.body = message,
                                   .qos = flags & GH_TARGET_QOS,
                                   .state = waits ? GH_QUEUE_WAITING : GH_QUEUE_READY,
                                   .flags = flags,
                                   .size = (uint32_t)message->payload.size};
    if (session->inbox->queue_bytes + entry.size > broker_of(session)->limits.queue_bytes_max &&
        gh_queue_count(&session->inbox->queue) > 0)
        return 0;
    uint64_t sequence = gh_queue_push(&session->inbox->queue, &entry);
    if (sequence == 0)
        return 0;
    (void)take_share(handing); /* `body` is it */
    session->inbox->bodies++;
    session->inbox->queue_bytes += entry.size;
    broker_count_queued(broker_of(session), handing->here, 1);
    return sequence;
}

/* `wide`: the port that publishes to many, or NULL. */
static void notify(struct session *session, struct port *wide)
{
    if (wide != NULL)
        session_notify_wide(session, wide);
    else
        session_notify(session);
}

static void note_dropped(struct session *session)
{
    session->inbox->dropped++;
    gh_metric_add(broker_of(session)->options.metrics, GH_METRIC_messages_dropped_total, 1);
}

/* Puts the message into the right queue. The number of a queue entry; 0 for QoS 0, for what was
 * dropped and for a session that has ended, which `handing->gone` says. */
static uint64_t put(struct session *session, struct handing *handing, uint8_t flags, bool waits)
{
    uint64_t sequence = 0;
    bool taken = true;
    gh_latch_take(&session->lock);
    handing->gone = session->gone;
    if (session->gone || (!session->live && (flags & GH_TARGET_QOS) == 0)) {
        gh_latch_give(&session->lock);
        return 0;
    }
    if ((flags & GH_TARGET_QOS) == 0)
        taken = lane_push(session, handing, flags);
    else
        taken = (sequence = queue_push(session, handing, flags, waits)) != 0;
    if (!taken)
        note_dropped(session);
    if (taken && !waits)
        notify(session, handing->wide ? handing->here : NULL);
    gh_latch_give(&session->lock);
    return sequence;
}

/* --- taken packet ids of stored publishers */

void session_add_taken(struct session *session, uint16_t packet_id)
{
    gh_latch_take(&session->lock);
    if (session->inbox->taken_count == session->inbox->taken_capacity) {
        uint32_t capacity =
            session->inbox->taken_capacity == 0 ? 4 : 2 * session->inbox->taken_capacity;
        struct taken *list = reallocarray(session->inbox->taken, capacity, sizeof *list);
        if (list != NULL) {
            session->inbox->taken = list;
            session->inbox->taken_capacity = capacity;
        }
    }
    if (session->inbox->taken_count < session->inbox->taken_capacity)
        session->inbox->taken[session->inbox->taken_count++] =
            (struct taken){.packet_id = packet_id};
    session->inbox->taken_flying++;
    gh_latch_give(&session->lock);
}

void session_remove_taken(struct session *session, uint16_t packet_id)
{
    gh_latch_take(&session->lock);
    for (size_t i = 0; i < session->inbox->taken_count; i++)
        if (session->inbox->taken[i].packet_id == packet_id) {
            session->inbox->taken[i] = session->inbox->taken[--session->inbox->taken_count];
            break;
        }
    if (session->inbox->taken_count == 0) {
        free(session->inbox->taken);
        session->inbox->taken = NULL;
        session->inbox->taken_capacity = 0;
    }
    gh_latch_give(&session->lock);
}

/* --- the record's way */

static void place_stored(const struct post *post, const struct place *place)
{
    struct session *session = place->session;
    gh_latch_take(&session->lock);
    struct gh_queue_entry *entry = gh_queue_entry(&session->inbox->queue, place->sequence);
    if (entry != NULL && !session->gone) { /* of one that ends, the queue is walked right now */
        entry->offset = post->append.offset;
        entry->position = post->append.position;
        if (entry->state == GH_QUEUE_WAITING) {
            entry->state = GH_QUEUE_READY;
            notify(session, post->wide ? post->port : NULL);
        }
        keep_or_drop_body(session, entry);
    }
    gh_latch_give(&session->lock);
}

/* What could not be written was not taken: nobody gets it, and its publisher sends it again. */
static void place_failed(const struct place *place)
{
    struct session *session = place->session;
    gh_latch_take(&session->lock);
    struct gh_queue_entry *entry = gh_queue_entry(&session->inbox->queue, place->sequence);
    if (entry != NULL && entry->state == GH_QUEUE_WAITING && !session->gone) {
        session->inbox->queue_bytes -= entry->size;
        session_drop_body(session, entry);
        gh_queue_done(&session->inbox->queue, place->sequence, NULL);
        broker_count_queued(broker_of(session), NULL, -1);
        session_notify(session); /* what stands behind it */
    }
    gh_latch_give(&session->lock);
}

static size_t post_bytes(size_t places_max)
{
    return sizeof(struct post) + places_max * sizeof(struct place);
}

/* NULL when there is no memory. */
static struct post *new_post(struct port *port, struct space *space, size_t places_max,
                             const struct publish_call *call)
{
    struct post *post = gh_pool_take(post_bytes(places_max));
    if (post != NULL)
        *post =
            (struct post){.port = port, .space = space, .call = *call, .places_max = places_max};
    return post;
}

static void free_post(struct post *post)
{
    for (size_t i = 0; i < post->count; i++)
        session_unref(post->places[i].session);
    if (post->from != NULL)
        session_unref(post->from);
    gh_route_message_unref(post->message);
    gh_pool_give(post, post_bytes(post->places_max));
}

static void note_landed(struct session *session)
{
    gh_latch_take(&session->lock);
    session->inbox->taken_flying--;
    gh_latch_give(&session->lock);
}

static void finish(struct post *post, bool stored)
{
    struct gh_broker *broker = post->port->broker;
    for (size_t i = 0; i < post->count; i++)
        if (stored)
            place_stored(post, &post->places[i]);
        else
            place_failed(&post->places[i]);
    if (post->from != NULL)
        note_landed(post->from);
    if (stored) {
        int64_t bytes = (int64_t)post->message->payload.size + LIVE_OVERHEAD_BYTES;
        atomic_fetch_add(&broker->live_bytes, bytes * (int64_t)post->count);
        if (post->message->retained)
            retained_located(post->space, post->message, post->append.offset,
                             post->append.position);
    } else {
        if (post->message->retained) /* it stays, but it is nowhere in the journal */
            retained_located(post->space, post->message, RETAINED_NOWHERE, 0);
        if (post->from != NULL && post->durable)
            session_remove_taken(post->from, post->packet_id);
    }
    if (post->call.done != NULL && post->durable)
        post->call.done(post->call.context, post->packet_id, stored, post->matched);
}

static void settled(struct gh_letter *letter)
{
    struct post *post = (struct post *)letter;
    finish(post, post->append.result == GH_OK);
    free_post(post);
}

static void send_to_loop(void *context, struct gh_letter *done)
{
    gh_loop_send(context, done);
}

/* Queues the record. With what it retains, under the lock that orders both. */
static bool append(struct post *post)
{
    struct space *space = post->space;
    struct gh_broker *broker = post->port->broker;
    bool retained = post->message->retained, appended = false;
    post->append = (struct gh_append){.done.open = settled,
                                      .reply = send_to_loop,
                                      .reply_context = post->port->loop,
                                      .tag = GH_JOURNAL_MESSAGE,
                                      .body = gh_route_message_record(post->message)};
    if (retained)
        pthread_mutex_lock(&space->retained_lock);
    if (!retained || retained_set(space, post->message, 0, 0))
        appended = !atomic_load(&broker->stopped) && gh_log_append(broker->log, &post->append);
    if (retained)
        pthread_mutex_unlock(&space->retained_lock);
    return appended;
}

/* --- who gets it */

struct routing {
    struct port *port;
    struct space *space;
    const struct gh_broker_publish *publish;
    struct session *from;
    struct handing handing;
    struct post *post; /* NULL: nothing of it goes to the journal */
    bool matched, waits;
};

/* False: the session has ended. */
static bool route_to(struct routing *routing, struct session *session, const struct target *how,
                     bool shared)
{
    const struct gh_broker_publish *publish = routing->publish;
    struct handing *handing = &routing->handing;
    struct post *post = routing->post;
    uint8_t qos = publish->qos < how->qos ? publish->qos : how->qos;
    uint8_t flags = (uint8_t)(qos | (shared ? GH_TARGET_SHARED : 0) |
                              (publish->retain && how->retain_as_published ? GH_TARGET_RETAIN : 0));
    if (how->no_local && session == routing->from)
        return true;
    routing->matched = true;
    bool stored = post != NULL && session->stored && qos > 0;
    uint64_t sequence = put(session, handing, flags, stored && routing->waits);
    if (sequence == 0 || !stored)
        return !handing->gone;
    gh_route_message_add(handing->message,
                         &(struct gh_route_target){.session = session->inbox->number,
                                                   .sequence = sequence,
                                                   .flags = flags});
    post->places[post->count++] = (struct place){session_ref(session), sequence};
    return true;
}

/* A member that has ended meanwhile is in the group no more: another one is chosen. */
static void route_to_group(struct routing *routing, struct group *group)
{
    struct target how;
    bool there = false;
    for (struct session *session; !there && (session = group_choose(group, &how)) != NULL;) {
        there = route_to(routing, session, &how, true);
        session_unref(session);
    }
}

static void route(struct routing *routing, const struct targets *targets)
{
    for (size_t i = 0; i < targets->count; i++) {
        const struct target *target = &targets->list[i];
        struct subscription *subscription = (struct subscription *)target->leaf;
        if (target->leaf->is_group)
            route_to_group(routing, (struct group *)target->leaf);
        else if (!atomic_load_explicit(&subscription->removed, memory_order_relaxed))
            (void)route_to(routing, subscription->session, target, false);
    }
}

static bool any_stored(const struct targets *targets)
{
    for (size_t i = 0; i < targets->count; i++)
        if (targets->list[i].leaf->is_group ||
            ((const struct subscription *)targets->list[i].leaf)->session->stored)
            return true;
    return false;
}

static struct gh_route_message *make_message(struct port *port, const struct space *space,
                                             const struct gh_broker_publish *publish,
                                             const struct session *from, bool recorded,
                                             size_t receivers)
{
    int64_t now_ms = port_now_ms(port);
    bool takes = from != NULL && from->stored && publish->qos == 2;
    return gh_route_message_new(&(struct gh_route_draft){
        .tenant = space->tenant,
        .topic = publish->topic,
        .properties = publish->properties,
        .payload = publish->payload,
        .qos = publish->qos,
        .retained = publish->retain,
        .published_at_ms = now_ms,
        .expires_at_ms = publish->has_expiry ? now_ms + (int64_t)publish->expiry_s * 1000 : 0,
        .publisher = takes ? from->inbox->number : 0,
        .packet_id = takes ? publish->packet_id : 0,
        .recorded = recorded,
        .targets_max = recorded ? receivers : 0,
        .shares = receivers});
}

static struct post *make_post(struct routing *routing, size_t places_max,
                              const struct publish_call *call)
{
    struct post *post = new_post(routing->port, routing->space, places_max, call);
    if (post == NULL)
        return NULL;
    post->message = gh_route_message_ref(routing->handing.message);
    post->packet_id = routing->publish->packet_id;
    if (routing->from != NULL && routing->handing.message->publisher != 0)
        post->from = session_ref(routing->from);
    return post;
}

/* Writes what was routed, if anything of it is to be kept. */
static enum gh_broker_posted commit(struct routing *routing)
{
    enum gh_broker_posted posted = routing->matched ? GH_BROKER_POSTED : GH_BROKER_NOBODY;
    struct post *post = routing->post;
    if (post == NULL)
        return posted;
    if (post->count == 0 && !routing->handing.message->retained &&
        routing->handing.message->publisher == 0) {
        free_post(post);
        return posted;
    }
    post->matched = routing->matched;
    post->wide = routing->handing.wide;
    post->durable = routing->waits;
    if (post->from != NULL)
        session_add_taken(post->from, post->packet_id);
    if (append(post))
        return routing->waits ? GH_BROKER_PENDING : posted;
    post->call.done = NULL;
    finish(post, false);
    bool waits = post->durable;
    free_post(post);
    return waits ? GH_BROKER_FAILED : posted;
}

static bool over_quota(struct space *space, const struct gh_broker_publish *publish)
{
    if (!publish->retain)
        return false;
    pthread_mutex_lock(&space->retained_lock);
    bool fits = retained_fits(space, publish);
    pthread_mutex_unlock(&space->retained_lock);
    return !fits;
}

enum gh_broker_posted space_publish(struct port *port, struct space *space,
                                    const struct gh_broker_publish *publish,
                                    const struct publish_call *call)
{
    struct routing routing = {.port = port, .space = space, .publish = publish, .from = call->from};
    const struct targets *targets = port_targets(port, space, publish->topic, publish->hint);
    if (targets == NULL)
        return GH_BROKER_FAILED;
    if (over_quota(space, publish))
        return GH_BROKER_QUOTA;
    if (targets->count == 0 && !publish->retain &&
        (publish->qos < 2 || call->from == NULL || !call->from->stored))
        return GH_BROKER_NOBODY;
    bool stores = publish->retain || (publish->qos > 0 && any_stored(targets)) ||
                  (publish->qos == 2 && call->from != NULL && call->from->stored);
    routing.waits = stores && publish->qos > 0 && !targets->relaxed;
    struct handing *handing = &routing.handing;
    handing->here = port;
    handing->wide = targets->count > NARROW_MAX;
    handing->shares = targets->count;
    handing->message = make_message(port, space, publish, call->from, stores, targets->count);
    if (handing->message == NULL)
        return GH_BROKER_FAILED;
    if (stores)
        routing.post = make_post(&routing, targets->count, call);
    enum gh_broker_posted posted = GH_BROKER_FAILED;
    if (!stores || routing.post != NULL) {
        route(&routing, targets);
        posted = commit(&routing);
    }
    gh_route_message_unref_many(handing->message, 1 + handing->shares);
    return posted;
}

/* The message for this session alone gets a record of its own. */
static enum session_sent send_stored(struct port *port, struct session *session,
                                     const struct gh_route_message *message, uint8_t flags,
                                     const struct publish_call *call)
{
    struct gh_route_draft draft = {.tenant = message->tenant,
                                   .topic = message->topic,
                                   .properties = message->properties,
                                   .payload = message->payload,
                                   .qos = message->qos,
                                   .published_at_ms = message->published_at_ms,
                                   .expires_at_ms = message->expires_at_ms,
                                   .recorded = true,
                                   .targets_max = 1};
    struct gh_route_message *copy = gh_route_message_new(&draft);
    struct post *post = new_post(port, session->space, 1, call);
    struct handing handing = {.message = copy};
    bool memory = copy != NULL && post != NULL;
    uint64_t sequence = memory ? put(session, &handing, flags, true) : 0;
    if (sequence == 0) {
        gh_route_message_unref(copy);
        gh_pool_give(post, post_bytes(1));
        return handing.gone ? SESSION_GONE : memory ? SESSION_SENT : SESSION_FAILED;
    }
    gh_route_message_add(copy, &(struct gh_route_target){session->inbox->number, sequence, flags});
    post->message = copy;
    post->durable = true;
    post->places[post->count++] = (struct place){session_ref(session), sequence};
    if (append(post))
        return SESSION_SENDING;
    post->call.done = NULL;
    finish(post, false);
    free_post(post);
    return SESSION_FAILED;
}

enum session_sent session_send(struct port *port, struct session *session,
                               struct gh_route_message *message, uint8_t flags,
                               const struct publish_call *call)
{
    struct handing handing = {.message = message};
    if (session->stored && (flags & GH_TARGET_QOS) > 0)
        return send_stored(port, session, message, flags, call);
    (void)put(session, &handing, flags, false);
    return handing.gone ? SESSION_GONE : SESSION_SENT;
}

/* --- the public face */

enum gh_broker_posted
gh_attachment_publish(struct gh_attachment *attachment, const struct gh_broker_publish *publish,
                      void (*done)(void *context, uint16_t packet_id, bool stored, bool matched),
                      void *context)
{
    struct publish_call call = {.from = attachment->session, .done = done, .context = context};
    assert(attachment->holds);
    return space_publish(attachment->port, attachment->session->space, publish, &call);
}

enum gh_broker_posted gh_broker_publish(struct gh_broker *broker, struct gh_loop *loop,
                                        int64_t tenant, const struct gh_broker_publish *publish)
{
    const struct publish_call call = {0};
    struct space *space = space_of(broker, tenant);
    return space == NULL ? GH_BROKER_FAILED
                         : space_publish(port_of(broker, loop), space, publish, &call);
}
