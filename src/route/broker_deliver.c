/* What a connection sends next, and what its peer acknowledges. */
#include "route/broker_internal.h"
#include "wire/mqtt/topic.h"
#include <assert.h>
#include <stdlib.h>

enum { TOKEN_MARK = 2, TOKEN_SHIFT = 2, ENDING_MAX = 64 };

static uint64_t token_of(uint64_t sequence)
{
    return sequence << TOKEN_SHIFT | TOKEN_MARK;
}

static uint64_t sequence_of(uint64_t token)
{
    assert((token & 3) == TOKEN_MARK);
    return token >> TOKEN_SHIFT;
}

/* The same after every restart, so that a receiver knows a repeated QoS 2 message again. */
static uint16_t packet_id_of(uint64_t sequence)
{
    return (uint16_t)((sequence - 1) % BROKER_PACKET_IDS + 1);
}

static bool expired(const struct gh_route_message *message, int64_t now_ms)
{
    return message->expires_at_ms != 0 && message->expires_at_ms <= now_ms;
}

static void journal(struct session *session, enum gh_journal_kind kind, uint64_t sequence)
{
    if (!session->stored)
        return;
    struct gh_journal_change change = {
        .kind = kind, .session = session->inbox->number, .sequence = sequence};
    port_change(session->home, &change);
}

void session_end_entry(struct session *session, struct port *here, uint64_t sequence)
{
    struct gh_queue_entry *entry = gh_queue_entry(&session->inbox->queue, sequence);
    if (entry == NULL)
        return;
    if (entry->state == GH_QUEUE_SENT || entry->state == GH_QUEUE_RECEIVED)
        session->inbox->inflight -= session->inbox->inflight > 0;
    session->inbox->queue_bytes -= entry->size;
    session_drop_body(session, entry);
    if (session->stored)
        atomic_fetch_sub(&broker_of(session)->live_bytes, entry->size + LIVE_OVERHEAD_BYTES);
    gh_queue_done(&session->inbox->queue, sequence, NULL);
    broker_count_queued(broker_of(session), here, -1);
    journal(session, GH_JOURNAL_DONE, sequence);
}

/* Identifiers of the session's subscriptions that match [MQTT-3.3.4-3] [MQTT-3.3.4-4]. */
static void find_identifiers(struct gh_attachment *attachment, struct gh_delivery *out)
{
    const struct session *session = attachment->session;
    struct port *port = attachment->port;
    size_t count = 0;
    for (const struct subscription *s = session->inbox->subscriptions; s != NULL; s = s->next) {
        if (s->identifier == 0 || !gh_mqtt_filter_matches(s->inner, out->message->topic))
            continue;
        if (count == port->identifiers_capacity) {
            size_t capacity = count == 0 ? 4 : 2 * count;
            uint32_t *list = reallocarray(port->identifiers, capacity, sizeof *list);
            if (list == NULL)
                break;
            port->identifiers = list;
            port->identifiers_capacity = capacity;
        }
        port->identifiers[count++] = s->identifier;
    }
    out->identifiers = port->identifiers;
    out->identifiers_count = count;
}

static void lend(struct gh_attachment *attachment, struct gh_route_message *message, uint8_t flags,
                 int64_t now_ms, struct gh_delivery *out)
{
    /* Of a stored session the publisher's loop may drop a body. */
    attachment->session->inbox->current =
        attachment->session->stored ? gh_route_message_ref(message) : NULL;
    out->message = message;
    out->qos = flags & GH_TARGET_QOS;
    out->retain = (flags & GH_TARGET_RETAIN) != 0;
    out->has_expiry = message->expires_at_ms != 0;
    if (out->has_expiry && message->expires_at_ms > now_ms) /* rounded up [MQTT-3.3.2-6] */
        out->expiry_s = (uint32_t)((message->expires_at_ms - now_ms + 999) / 1000);
    if (attachment->session->inbox->identifiers_count > 0)
        find_identifiers(attachment, out);
}

/* The same packet id is still out with an older message. */
static bool id_is_taken(const struct session *session, uint64_t sequence)
{
    while (sequence > BROKER_PACKET_IDS &&
           sequence - BROKER_PACKET_IDS >= session->inbox->queue.head) {
        sequence -= BROKER_PACKET_IDS;
        if (gh_queue_entry(&session->inbox->queue, sequence) != NULL)
            return true;
    }
    return false;
}

enum found { FOUND_ONE, FOUND_NOTHING, FOUND_ON_DISK };

/* The next of the queue; the lock is held. Passes what was sent, drops what has expired. */
static enum found next_queued(struct gh_attachment *attachment, int64_t now_ms,
                              struct gh_delivery *out)
{
    struct session *session = attachment->session;
    struct gh_queue_entry *entry;
    while ((entry = gh_queue_next(&session->inbox->queue, &session->inbox->cursor)) != NULL) {
        uint64_t sequence = session->inbox->cursor;
        if (entry->state == GH_QUEUE_WAITING)
            return FOUND_NOTHING; /* in order, or not at all [MQTT-4.6.0-6] */
        *out =
            (struct gh_delivery){.token = token_of(sequence), .packet_id = packet_id_of(sequence)};
        if (entry->state == GH_QUEUE_RECEIVED && (entry->flags & ENTRY_RESUME) != 0) {
            out->release = true;
            out->qos = 2;
            return FOUND_ONE;
        }
        if (entry->state != GH_QUEUE_READY) {
            session->inbox->cursor++;
            continue;
        }
        if (entry->body == NULL)
            return FOUND_ON_DISK;
        if (id_is_taken(session, sequence))
            return FOUND_NOTHING;
        if ((entry->flags & ENTRY_DUP) == 0 && expired(entry->body, now_ms)) {
            session_end_entry(session, attachment->port, sequence); /* [MQTT-3.3.2-5] */
            continue;
        }
        out->dup = (entry->flags & ENTRY_DUP) != 0;
        lend(attachment, entry->body, (uint8_t)entry->flags, now_ms, out);
        return FOUND_ONE;
    }
    return FOUND_NOTHING;
}

static void lane_pop(struct session *session)
{
    struct lane *lane = session->inbox->lane;
    struct lane_item *item = &lane->ring[lane->first];
    lane->bytes -= item->message->payload.size;
    gh_route_message_unref(item->message);
    lane->first = (lane->first + 1) & (lane->capacity - 1);
    if (--lane->count == 0)
        lane_clear(session);
}

static bool next_in_lane(struct gh_attachment *attachment, int64_t now_ms, struct gh_delivery *out)
{
    struct session *session = attachment->session;
    const struct lane *lane;
    while ((lane = session->inbox->lane) != NULL &&
           expired(lane->ring[lane->first].message, now_ms))
        lane_pop(session);
    if (lane == NULL)
        return false;
    *out = (struct gh_delivery){.token = token_of(0)};
    lend(attachment, lane->ring[lane->first].message, lane->ring[lane->first].flags, now_ms, out);
    return true;
}

void inbox_take_back(struct inbox *inbox)
{
    gh_route_message_unref(inbox->current);
    inbox->current = NULL;
}

bool gh_attachment_next(struct gh_attachment *attachment, int64_t now_ms, bool qos0_only,
                        struct gh_delivery *out)
{
    struct session *session = attachment->session;
    enum found found = FOUND_NOTHING;
    assert(attachment->holds);
    if (session->inbox == NULL)
        return false;
    inbox_take_back(session->inbox);
    if (session->inbox->walks != NULL)
        session_walk(session);
    gh_latch_take(&session->lock);
    attachment_note(attachment);
    if (!qos0_only)
        found = next_queued(attachment, now_ms, out);
    bool any = found == FOUND_ONE || next_in_lane(attachment, now_ms, out);
    gh_latch_give(&session->lock);
    if (found == FOUND_ON_DISK)
        session_fetch(session);
    return any;
}

static void note_sent(struct session *session)
{
    struct inbox *inbox = session->inbox;
    if (inbox == NULL || inbox->sent == 0)
        return;
    uint64_t sequence = sequence_of(inbox->sent);
    struct gh_queue_entry *entry = sequence == 0 ? NULL : gh_queue_entry(&inbox->queue, sequence);
    inbox->sent = 0;
    if (sequence == 0) {
        lane_pop(session);
    } else if (entry != NULL) {
        if (entry->state == GH_QUEUE_READY)
            entry->state = GH_QUEUE_SENT;
        entry->flags &= (uint16_t)~ENTRY_RESUME;
        inbox->inflight++;
        inbox->cursor = sequence + 1;
        if (sequence >= inbox->sent_to)
            inbox->sent_to = sequence + 1;
    }
}

void attachment_note(struct gh_attachment *attachment)
{
    struct port *port = attachment->port;
    note_sent(attachment->session);
    if (port->ending != attachment)
        return;
    port->ending = NULL;
    for (size_t i = 0; i < port->ending_count; i++)
        session_end_entry(attachment->session, port, port->ending_first + i);
}

/* The next call for the attachment takes the lock anyway. */
void gh_attachment_sent(struct gh_attachment *attachment, uint64_t token)
{
    struct inbox *inbox = attachment->session->inbox;
    assert(inbox->sent == 0);
    inbox->sent = token;
}

static void end_acknowledged(struct port *port)
{
    struct gh_attachment *attachment = port->ending;
    if (attachment == NULL)
        return;
    gh_latch_take(&attachment->session->lock);
    attachment_note(attachment);
    gh_latch_give(&attachment->session->lock);
}

static void drop_from_lane(struct gh_attachment *attachment)
{
    struct session *session = attachment->session;
    gh_latch_take(&session->lock);
    attachment_note(attachment);
    lane_pop(session);
    gh_latch_give(&session->lock);
}

/* One read often brings many a PUBACK, in the order of what went out: one lock for them. */
void gh_attachment_done(struct gh_attachment *attachment, uint64_t token)
{
    struct port *port = attachment->port;
    uint64_t sequence = sequence_of(token);
    if (!attachment->holds)
        return;
    if (sequence == 0) {
        drop_from_lane(attachment);
        return;
    }
    bool follows =
        port->ending == attachment && sequence == port->ending_first + port->ending_count;
    if (!follows || port->ending_count == ENDING_MAX) {
        end_acknowledged(port);
        port->ending = attachment;
        port->ending_first = sequence;
        port->ending_count = 0;
    }
    port->ending_count++;
}

struct receiving {
    struct waiter waiter; /* first */
    uint64_t token;
    void (*done)(void *context, uint64_t token, bool stored);
    void *context;
};

static void received(struct waiter *waiter, bool stored)
{
    struct receiving *receiving = (struct receiving *)waiter;
    receiving->done(receiving->context, receiving->token, stored);
    free(receiving);
}

void gh_attachment_pubrec(struct gh_attachment *attachment, uint64_t token,
                          void (*done)(void *context, uint64_t token, bool stored), void *context)
{
    struct session *session = attachment->session;
    uint64_t sequence = sequence_of(token);
    gh_latch_take(&session->lock);
    attachment_note(attachment);
    struct gh_queue_entry *entry = gh_queue_entry(&session->inbox->queue, sequence);
    if (entry != NULL)
        entry->state = GH_QUEUE_RECEIVED;
    if (entry != NULL)
        session_drop_body(session, entry);
    journal(session, GH_JOURNAL_RECEIVED, sequence);
    gh_latch_give(&session->lock);
    struct receiving *receiving = session->stored ? malloc(sizeof *receiving) : NULL;
    if (receiving == NULL) {
        done(context, token, !session->stored);
        return;
    }
    *receiving = (struct receiving){{.call = received}, token, done, context};
    port_wait(attachment->port, &receiving->waiter);
}

void gh_attachment_wake(struct gh_attachment *attachment)
{
    struct session *session = attachment->session;
    if (session->inbox == NULL)
        return;
    gh_latch_take(&session->lock);
    attachment_note(attachment);
    session_notify_late(session);
    gh_latch_give(&session->lock);
}

struct gh_slice gh_attachment_client(const struct gh_attachment *attachment)
{
    return session_client(attachment->session);
}

size_t gh_attachment_dropped(struct gh_attachment *attachment)
{
    struct session *session = attachment->session;
    struct inbox *inbox = session->inbox;
    if (inbox == NULL)
        return 0;
    gh_latch_take(&session->lock);
    size_t count = inbox->dropped - inbox->dropped_told;
    inbox->dropped_told = inbox->dropped;
    gh_latch_give(&session->lock);
    return count;
}

/* --- the publisher's side of QoS 2, and waiting for what was changed */

struct syncing {
    struct waiter waiter; /* first */
    void (*done)(void *context, uint16_t tag, bool stored, bool);
    void *context;
    uint16_t tag;
};

static void synced(struct waiter *waiter, bool stored)
{
    struct syncing *syncing = (struct syncing *)waiter;
    syncing->done(syncing->context, syncing->tag, stored, false);
    free(syncing);
}

void gh_attachment_sync(struct gh_attachment *attachment,
                        void (*done)(void *context, uint16_t tag, bool stored, bool), void *context,
                        uint16_t tag)
{
    bool stored = attachment->session->stored;
    struct syncing *syncing = stored ? malloc(sizeof *syncing) : NULL;
    if (syncing == NULL) {
        done(context, tag, !stored, false);
        return;
    }
    *syncing = (struct syncing){{.call = synced}, done, context, tag};
    port_wait(attachment->port, &syncing->waiter);
}

void gh_attachment_release(struct gh_attachment *attachment, uint16_t packet_id,
                           void (*done)(void *context, uint16_t packet_id, bool stored, bool),
                           void *context)
{
    struct session *session = attachment->session;
    if (session->stored) {
        struct gh_journal_change change = {
            .kind = GH_JOURNAL_RELEASED, .session = session->inbox->number, .packet_id = packet_id};
        session_remove_taken(session, packet_id);
        port_change(attachment->port, &change);
    }
    gh_attachment_sync(attachment, done, context, packet_id);
}

const uint16_t *gh_attachment_received(const struct gh_attachment *attachment, size_t *count)
{
    struct port *port = attachment->port;
    struct session *session = attachment->session;
    const struct inbox *inbox = session->inbox;
    *count = 0;
    if (inbox == NULL)
        return NULL;
    gh_latch_take(&session->lock);
    if (inbox->taken_count > port->received_capacity) {
        uint16_t *list = reallocarray(port->received, inbox->taken_count, sizeof *list);
        if (list != NULL) {
            port->received = list;
            port->received_capacity = inbox->taken_count;
        }
    }
    for (; *count < inbox->taken_count && *count < port->received_capacity; ++*count)
        port->received[*count] = inbox->taken[*count].packet_id;
    gh_latch_give(&session->lock);
    return port->received;
}

/* --- subscriptions of a connection */

uint8_t gh_attachment_subscribe(struct gh_attachment *attachment,
                                const struct gh_broker_filter *filter)
{
    struct session *session = attachment->session;
    bool existed;
    uint8_t code =
        session_subscribe(session, filter, broker_of(session)->limits.subscriptions_max, &existed);
    if (code > 2)
        return code;
    struct subscription *subscription = session_find(session, filter->filter);
    if (session->stored) {
        struct gh_journal_change change = {.kind = GH_JOURNAL_FILTER,
                                           .session = session->inbox->number,
                                           .filter = filter->filter,
                                           .options = subscription_options(subscription),
                                           .identifier = filter->identifier};
        port_change(attachment->port, &change);
    }
    /* None for shared subscriptions (MQTT 5.0 §4.8.2). */
    if (subscription->group == NULL &&
        (filter->retain_handling == 0 || (filter->retain_handling == 1 && !existed)))
        session_add_walk(session, subscription);
    return code;
}

bool gh_attachment_unsubscribe(struct gh_attachment *attachment, struct gh_slice filter)
{
    struct session *session = attachment->session;
    if (!session_unsubscribe(session, filter))
        return false;
    if (session->stored) {
        struct gh_journal_change change = {
            .kind = GH_JOURNAL_FILTER_GONE, .session = session->inbox->number, .filter = filter};
        port_change(attachment->port, &change);
    }
    return true;
}
