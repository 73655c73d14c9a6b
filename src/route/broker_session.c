/* The life of a session: made at CONNECT, moved from loop to loop, kept without a connection,
 * ended.
 *
 * A connection on another loop than the session's home sends its attachment there (claim). Home
 * makes the connection that holds the session leave, then lets it go: the attachment travels back
 * with it (granted). So a session's state is always touched by one loop at a time. */
#include "base/slots.h"
#include "base/time.h"
#include "route/broker_internal.h"
#include "wire/mqtt/topic.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define NEVER UINT32_MAX

static void claim(struct gh_attachment *attachment);

/* --- memory */

static size_t session_bytes(size_t client_size)
{
    return offsetof(struct session, key) + SESSION_DEVICE_BYTES + client_size;
}

struct session *session_new(struct space *space, uint64_t device, struct gh_slice client_id)
{
    assert(client_id.size <= UINT16_MAX); /* a string of MQTT's */
    struct session *session = gh_slot_take(session_bytes(client_id.size));
    if (session == NULL)
        return NULL;
    atomic_init(&session->refs, 1);
    session->space = space;
    session->client_size = (uint16_t)client_id.size;
    memcpy(session->key, &device, sizeof device);
    if (client_id.size > 0)
        memcpy(session->key + sizeof device, client_id.data, client_id.size);
    return session;
}

bool session_make_inbox(struct session *session, uint64_t number)
{
    struct inbox *inbox = gh_slot_take(sizeof *inbox);
    if (inbox == NULL)
        return false;
    inbox->session = session;
    inbox->number = number;
    gh_queue_init(&inbox->queue, broker_of(session)->limits.queue_messages_max);
    gh_latch_take(&session->lock);
    session->inbox = inbox;
    gh_latch_give(&session->lock);
    return true;
}

bool session_needs_inbox(struct session *session)
{
    struct gh_broker *broker = broker_of(session);
    if (session->inbox != NULL)
        return true;
    pthread_mutex_lock(&broker->lock);
    uint64_t number = ++broker->number_last;
    bool entered = gh_map_put(&broker->by_number, gh_slice(&number, sizeof number), session, NULL);
    bool made = entered && session_make_inbox(session, number);
    if (entered && !made)
        gh_map_remove(&broker->by_number, gh_slice(&number, sizeof number));
    pthread_mutex_unlock(&broker->lock);
    return made;
}

struct session *session_ref(struct session *session)
{
    atomic_fetch_add_explicit(&session->refs, 1, memory_order_relaxed);
    return session;
}

/* It has an inbox. */
static void drop_queue(struct session *session)
{
    struct inbox *inbox = session->inbox;
    uint64_t sequence = 0;
    for (struct gh_queue_entry *entry; (entry = gh_queue_next(&inbox->queue, &sequence)) != NULL;
         sequence++) {
        session_drop_body(session, entry);
        broker_count_queued(broker_of(session), NULL, -1);
        if (session->stored)
            atomic_fetch_sub(&broker_of(session)->live_bytes, entry->size + LIVE_OVERHEAD_BYTES);
    }
    gh_queue_deinit(&inbox->queue);
    gh_queue_init(&inbox->queue, broker_of(session)->limits.queue_messages_max);
    inbox->queue_bytes = inbox->inflight = 0;
    lane_clear(session);
}

static void free_inbox(struct session *session)
{
    assert(session->inbox->subscriptions == NULL);
    drop_queue(session);
    inbox_take_back(session->inbox);
    session_free_walks(session);
    free(session->inbox->taken);
    gh_slot_give(session->inbox, sizeof *session->inbox);
}

void session_unref(struct session *session)
{
    if (atomic_fetch_sub_explicit(&session->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (session->inbox != NULL)
        free_inbox(session);
    free(session->will);
    gh_slot_give(session, session_bytes(session->client_size));
}

bool session_keep_will(struct session *session, const struct gh_journal_will *will)
{
    size_t size = will->topic.size + will->properties.size + will->payload.size;
    struct kept_will *copy = malloc(sizeof *copy + size);
    if (copy == NULL)
        return false;
    *copy = (struct kept_will){.will = *will};
    struct gh_slice *parts[] = {&copy->will.topic, &copy->will.properties, &copy->will.payload};
    uint8_t *at = copy->text;
    for (size_t i = 0; i < GH_COUNT(parts); i++) {
        if (parts[i]->size > 0)
            memcpy(at, parts[i]->data, parts[i]->size);
        parts[i]->data = at;
        at += parts[i]->size;
    }
    free(session->will);
    session->will = copy;
    return true;
}

struct gh_journal_change session_change(const struct session *session)
{
    const struct inbox *inbox = session->inbox;
    struct gh_journal_change change = {.kind = GH_JOURNAL_SESSION,
                                       .session = inbox->number,
                                       .tenant = session->space->tenant,
                                       .device = session_device(session),
                                       .client_id = session_client(session),
                                       .expiry_s = session->expiry_s,
                                       .sequence_next = inbox->queue.tail,
                                       .has_will = session->will != NULL,
                                       .at_ms = session->connected ? 0 : inbox->detached_at_ms};
    if (session->will != NULL)
        change.will = session->will->will;
    return change;
}

/* --- connecting */

static bool copy_connect(struct gh_attachment *attachment, const struct gh_broker_connect *connect)
{
    const struct gh_journal_will *will = &connect->will;
    size_t size = connect->client_id.size;
    if (connect->has_will)
        size += will->topic.size + will->properties.size + will->payload.size;
    struct connecting *connecting = malloc(sizeof *connecting + size);
    if (connecting == NULL)
        return false;
    *connecting = (struct connecting){.attachment = attachment, .wanted = *connect};
    struct gh_broker_connect *copy = &connecting->wanted;
    struct gh_slice *parts[] = {&copy->client_id, &copy->will.topic, &copy->will.properties,
                                &copy->will.payload};
    uint8_t *at = connecting->text;
    for (size_t i = 0; i < (connect->has_will ? GH_COUNT(parts) : 1); i++) {
        if (parts[i]->size > 0)
            memcpy(at, parts[i]->data, parts[i]->size);
        parts[i]->data = at;
        at += parts[i]->size;
    }
    attachment->connecting = connecting;
    return true;
}

static void free_attachment(struct gh_attachment *attachment)
{
    if (attachment->session != NULL)
        session_unref(attachment->session);
    free(attachment->connecting);
    gh_slot_give(attachment, sizeof *attachment);
}

static struct gh_attachment *of_letter(struct gh_letter *letter)
{
    return ((struct connecting *)((char *)letter - offsetof(struct connecting, letter)))
        ->attachment;
}

static void travel(struct gh_attachment *attachment, void (*open)(struct gh_letter *letter))
{
    attachment->connecting->letter.open = open;
    port_send(attachment->port, &attachment->connecting->letter);
}

static void answer(struct gh_attachment *attachment, enum gh_error_code result)
{
    attachment->state = result == GH_OK ? ATTACHMENT_HELD : ATTACHMENT_FAILED;
    free(attachment->connecting);
    attachment->connecting = NULL;
    attachment->host->attached(attachment->context, result,
                               result == GH_OK && attachment->session_present);
}

/* Enters a new session under its key; the broker's lock is held. */
static struct session *enter_new(struct gh_broker *broker, struct space *space,
                                 const struct gh_attachment *attachment)
{
    const struct gh_broker_connect *connect = &attachment->connecting->wanted;
    struct session *session = session_new(space, connect->device, connect->client_id);
    if (session == NULL)
        return NULL;
    session->home = attachment->port;
    session->stored = connect->expiry_s > 0;
    broker_live(session, session_live_bytes(session), 1);
    roster_add(&broker->roster, session);
    atomic_fetch_add(&broker->sessions, 1);
    atomic_fetch_add(&space->sessions, 1);
    return session;
}

static void rewind_queue(struct inbox *inbox)
{
    uint64_t sequence = 0;
    for (struct gh_queue_entry *entry;
         (entry = gh_queue_next(&inbox->queue, &sequence)) != NULL && sequence < inbox->sent_to;
         sequence++) {
        if (entry->state == GH_QUEUE_SENT) {
            entry->state = GH_QUEUE_READY;
            entry->flags |= ENTRY_DUP;
        } else if (entry->state == GH_QUEUE_RECEIVED) {
            entry->flags |= ENTRY_RESUME;
        }
    }
    inbox->cursor = 0;
    inbox->inflight = 0;
}

struct attaching {
    struct waiter waiter; /* first */
    struct gh_attachment *attachment;
};

/* Publishes of the connection before stood in front of this record, so that they are decided; but
 * its loop may not have heard yet which packet ids are taken and which are not. */
static bool landed(struct session *session)
{
    gh_latch_take(&session->lock);
    bool all = session->inbox == NULL || session->inbox->taken_flying == 0;
    gh_latch_give(&session->lock);
    return all;
}

static void settle_attached(struct gh_attachment *attachment);

static void open_attached(struct gh_letter *letter)
{
    settle_attached(of_letter(letter));
}

static void settle_attached(struct gh_attachment *attachment)
{
    if (attachment->state != ATTACHMENT_LEFT && !landed(attachment->session)) {
        travel(attachment, open_attached);
        return;
    }
    attachment->travelling = false;
    if (attachment->state == ATTACHMENT_LEFT)
        free_attachment(attachment);
    else
        answer(attachment, attachment->connecting->result);
}

static void attach_stored(struct waiter *waiter, bool stored)
{
    struct gh_attachment *attachment = ((struct attaching *)waiter)->attachment;
    free(waiter);
    attachment->connecting->result = stored ? GH_OK : GH_ERROR_LOG_FULL;
    settle_attached(attachment);
}

static void journal_attached(struct gh_attachment *attachment, struct session *session)
{
    struct attaching *attaching = malloc(sizeof *attaching);
    if (attaching == NULL) {
        answer(attachment, GH_ERROR_MEMORY);
        return;
    }
    *attaching = (struct attaching){.waiter.call = attach_stored, .attachment = attachment};
    gh_latch_take(&session->lock);
    struct gh_journal_change change = session_change(session);
    port_change(attachment->port, &change);
    gh_latch_give(&session->lock);
    attachment->travelling = true;
    port_wait(attachment->port, &attaching->waiter);
}

static uint32_t within_expiry_max(const struct session *session, uint32_t expiry_s)
{
    uint32_t max_s = broker_of(session)->limits.expiry_max_s;
    return expiry_s < max_s ? expiry_s : max_s;
}

/* At home. */
static void stop_timer(struct session *session)
{
    if (session->inbox != NULL)
        gh_timer_cancel(session->home->loop, &session->inbox->timer);
}

/* The session is at home here and nobody holds it. */
static void attach(struct gh_attachment *attachment, struct session *session, bool present)
{
    const struct gh_broker_connect *connect = &attachment->connecting->wanted;
    bool kept = (connect->expiry_s == 0 && !session->stored) || session_needs_inbox(session);
    stop_timer(session);
    attachment->holds = true;
    gh_latch_take(&session->lock);
    session->attachment = attachment;
    session->live = session->connected = true;
    session->expiry_s = within_expiry_max(session, connect->expiry_s);
    if (session->inbox != NULL)
        rewind_queue(session->inbox);
    free(session->will);
    session->will = NULL;
    if (kept && connect->has_will)
        kept = session_keep_will(session, &connect->will);
    gh_latch_give(&session->lock);
    atomic_fetch_add(&broker_of(session)->connected, 1);
    attachment->session_present = present;
    if (!kept)
        answer(attachment, GH_ERROR_MEMORY);
    else if (session->stored)
        journal_attached(attachment, session);
    else
        answer(attachment, GH_OK);
}

/* Looks the session up: makes a new one, takes one that waits here, or asks for it elsewhere. */
static void look_up(struct gh_attachment *attachment)
{
    struct gh_broker *broker = attachment->port->broker;
    const struct gh_broker_connect *connect = &attachment->connecting->wanted;
    struct space *space = space_of(broker, connect->tenant);
    enum gh_error_code refused = space == NULL ? GH_ERROR_MEMORY : GH_OK;
    bool made = false;

    pthread_mutex_lock(&broker->lock);
    struct session *session = roster_find(&broker->roster, connect->device, connect->client_id);
    if (session == NULL && space != NULL) {
        if (atomic_load(&space->sessions) >= broker->limits.sessions_max)
            refused = GH_ERROR_LIMIT;
        else
            session = enter_new(broker, space, attachment);
        made = session != NULL;
    }
    if (session != NULL)
        attachment->session = session_ref(session);
    pthread_mutex_unlock(&broker->lock);
    if (session == NULL)
        answer(attachment, refused != GH_OK ? refused : GH_ERROR_MEMORY);
    else if (made)
        attach(attachment, session, false);
    else
        claim(attachment);
}

static void grant(struct session *session);
static void give_back(struct gh_attachment *attachment, enum gh_error_code result);

/* A session begins anew [MQTT-3.1.4-4], 3.1.1: [MQTT-3.1.2-6]. */
static void start_clean(struct gh_attachment *attachment)
{
    struct session *session = attachment->session;
    struct gh_attachment *next = session->claimant;
    session->claimant = NULL;
    session_end(session);
    attachment->session = NULL;
    session_unref(session);
    look_up(attachment);
    if (next != NULL) /* finds the new one */
        give_back(next, GH_OK);
}

/* The session has come to the attachment's port, or was there. Somebody else may have claimed it
 * here while it was on its way. */
static void granted(struct gh_attachment *attachment)
{
    struct session *session = attachment->session;
    session->arriving = false;
    if (attachment->state == ATTACHMENT_LEFT) { /* it gave up meanwhile: the session waits here */
        if (session->claimant != NULL)
            grant(session);
        else
            session_set_timer(session);
        free_attachment(attachment);
    } else if (attachment->connecting->wanted.clean_start) {
        start_clean(attachment);
    } else {
        session_ref(session);
        attach(attachment, session, true);
        if (session->claimant != NULL && session->attachment != NULL)
            session->attachment->host->leave(session->attachment->context);
        session_unref(session);
    }
}

static void open_granted(struct gh_letter *letter)
{
    struct gh_attachment *attachment = of_letter(letter);
    attachment->travelling = false;
    granted(attachment);
}

/* It failed, or has to look again because the session is no more: back on its own loop. */
static void come_back(struct gh_attachment *attachment)
{
    attachment->travelling = false;
    if (attachment->state == ATTACHMENT_LEFT) {
        free_attachment(attachment);
    } else if (attachment->connecting->result != GH_OK) {
        answer(attachment, attachment->connecting->result);
    } else {
        session_unref(attachment->session);
        attachment->session = NULL;
        look_up(attachment);
    }
}

static void open_returned(struct gh_letter *letter)
{
    come_back(of_letter(letter));
}

/* At home: hands the session over to who claimed it. */
static void grant(struct session *session)
{
    struct gh_attachment *attachment = session->claimant;
    struct port *home = session->home;
    session->claimant = NULL;
    stop_timer(session);
    if (attachment->port == home) {
        attachment->travelling = false;
        granted(attachment);
        return;
    }
    session->arriving = true;
    port_flush(home); /* what was changed here stands before what will be changed there */
    gh_latch_take(&session->lock);
    session->home = attachment->port;
    gh_latch_give(&session->lock);
    travel(attachment, open_granted);
}

static void give_back(struct gh_attachment *attachment, enum gh_error_code result)
{
    attachment->connecting->result = result;
    travel(attachment, open_returned);
}

/* At the session's home. */
static void claim_here(struct gh_attachment *attachment)
{
    struct session *session = attachment->session;
    if (session->gone) {
        give_back(attachment, GH_OK);
        return;
    }
    if (session->claimant != NULL)
        give_back(session->claimant, GH_ERROR_CONFLICT);
    session->claimant = attachment;
    if (session->arriving) /* then it goes on from there */
        return;
    if (session->attachment == NULL)
        grant(session);
    else /* its detach grants */
        session->attachment->host->leave(session->attachment->context);
}

static struct port *home_of(struct session *session)
{
    gh_latch_take(&session->lock);
    struct port *home = session->home;
    gh_latch_give(&session->lock);
    return home;
}

/* On the loop that was asked: home, unless the session has moved since. */
static void open_claim(struct gh_letter *letter)
{
    struct gh_attachment *attachment = of_letter(letter);
    struct port *home = home_of(attachment->session);
    if (home == attachment->connecting->asked) {
        claim_here(attachment);
        return;
    }
    attachment->connecting->asked = home;
    port_send(home, &attachment->connecting->letter);
}

static void claim(struct gh_attachment *attachment)
{
    struct port *home = home_of(attachment->session);
    attachment->travelling = true;
    if (home == attachment->port) { /* it cannot move away but from here */
        claim_here(attachment);
        return;
    }
    attachment->connecting->asked = home;
    attachment->connecting->letter.open = open_claim;
    port_send(home, &attachment->connecting->letter);
}

struct gh_attachment *gh_broker_connect(struct gh_broker *broker, struct gh_loop *loop,
                                        const struct gh_broker_connect *connect,
                                        const struct gh_attachment_host *host, void *context)
{
    struct gh_attachment *attachment = gh_slot_take(sizeof *attachment);
    if (attachment == NULL)
        return NULL;
    attachment->port = port_of(broker, loop);
    attachment->host = host;
    attachment->context = context;
    if (!copy_connect(attachment, connect)) {
        gh_slot_give(attachment, sizeof *attachment);
        return NULL;
    }
    look_up(attachment);
    return attachment;
}

/* --- leaving */

static void publish_will(struct session *session)
{
    const struct gh_journal_will *will = &session->will->will;
    const struct publish_call call = {0};
    struct gh_broker_publish publish = {.topic = will->topic,
                                        .payload = will->payload,
                                        .properties = will->properties,
                                        .qos = will->qos,
                                        .retain = will->retain,
                                        .has_expiry = will->has_expiry,
                                        .expiry_s = will->expiry_s};
    (void)space_publish(session->home, session->space, &publish, &call);
    gh_latch_take(&session->lock);
    free(session->will);
    session->will = NULL;
    gh_latch_give(&session->lock);
}

static void will_is_due(struct session *session)
{
    publish_will(session);
    if (!session->stored)
        return;
    gh_latch_take(&session->lock);
    struct gh_journal_change change = session_change(session);
    port_change(session->home, &change);
    gh_latch_give(&session->lock);
}

static int64_t expires_at_ms(const struct session *session)
{
    return session->expiry_s == NEVER
               ? INT64_MAX
               : session->inbox->detached_at_ms + (int64_t)session->expiry_s * 1000;
}

/* When its will is to be published; INT64_MAX: none waits. */
static int64_t will_at_ms(const struct session *session)
{
    return session->will == NULL || session->will->at_ms == 0 ? INT64_MAX : session->will->at_ms;
}

static void fire(struct gh_timer *timer)
{
    struct session *session = session_of_timer(timer);
    int64_t now_ms = broker_now_ms(broker_of(session));
    if (will_at_ms(session) <= now_ms)
        will_is_due(session);
    if (expires_at_ms(session) <= now_ms)
        session_end(session);
    else
        session_set_timer(session);
}

void session_set_timer(struct session *session)
{
    assert(session->inbox != NULL); /* what has none ends with its connection */
    int64_t now_ms = broker_now_ms(broker_of(session)), at_ms = expires_at_ms(session);
    if (will_at_ms(session) < at_ms)
        at_ms = will_at_ms(session);
    if (at_ms == INT64_MAX || session->attachment != NULL)
        return;
    int64_t left_ms = at_ms > now_ms ? at_ms - now_ms : 0;
    gh_timer_set(session->home->loop, &session->inbox->timer,
                 gh_time_monotonic_ns() + left_ms * GH_MS_NS, fire);
}

void session_bury(struct session *session)
{
    struct gh_broker *broker = broker_of(session);
    struct inbox *inbox = session->inbox;
    struct passing *passing = inbox == NULL ? NULL : inbox->passing;
    gh_latch_take(&session->lock);
    session->buried = true;
    if (inbox != NULL) {
        inbox->passing = NULL;
        drop_queue(session); /* who still has a reference does not keep what was queued */
    }
    gh_latch_give(&session->lock);
    passing_free(passing);
    broker_live(session, session_live_bytes(session), -1);
    if (session->stored && inbox != NULL) {
        struct gh_journal_change gone = {.kind = GH_JOURNAL_SESSION_GONE, .session = inbox->number};
        port_change(session->home, &gone);
    }
    if (inbox != NULL) {
        pthread_mutex_lock(&broker->lock);
        gh_map_remove(&broker->by_number, gh_slice(&inbox->number, sizeof inbox->number));
        pthread_mutex_unlock(&broker->lock);
    }
    session_unref(session); /* the maps' */
}

void session_end(struct session *session)
{
    struct gh_broker *broker = broker_of(session);
    stop_timer(session);
    if (will_at_ms(session) != INT64_MAX)
        publish_will(session);
    if (session->inbox != NULL)
        session->inbox->passing = passing_new(session->inbox);
    session_unsubscribe_all(session);
    gh_latch_take(&session->lock);
    session->gone = true;
    session->live = false;
    gh_latch_give(&session->lock);
    pthread_mutex_lock(&broker->lock);
    roster_remove(&broker->roster, session);
    pthread_mutex_unlock(&broker->lock);
    atomic_fetch_sub(&broker->sessions, 1);
    atomic_fetch_sub(&session->space->sessions, 1);
    session_pass_on(session);
}

static void journal_detached(struct session *session)
{
    if (!session->stored)
        return;
    struct gh_journal_change change = session_change(session); /* its will and expiry changed too */
    port_change(session->home, &change);
}

static void settle_will(struct session *session, bool wanted, int64_t now_ms)
{
    if (session->will == NULL)
        return;
    if (!wanted) {
        gh_latch_take(&session->lock);
        free(session->will);
        session->will = NULL;
        gh_latch_give(&session->lock);
    } else if (session->will->will.delay_s == 0 || session->expiry_s == 0) {
        publish_will(session);
    } else {
        session->will->at_ms = now_ms + (int64_t)session->will->will.delay_s * 1000;
    }
}

static void release(struct gh_attachment *attachment, const struct gh_detach *detach)
{
    struct session *session = attachment->session;
    int64_t now_ms = broker_now_ms(broker_of(session));
    bool stays = (detach->has_expiry ? detach->expiry_s : session->expiry_s) > 0 &&
                 session_needs_inbox(session);
    attachment->holds = false;
    gh_latch_take(&session->lock);
    attachment_note(attachment);
    session->attachment = NULL;
    session->live = session->connected = false;
    if (detach->has_expiry || !stays)
        session->expiry_s = stays ? within_expiry_max(session, detach->expiry_s) : 0;
    if (session->inbox != NULL) {
        session->inbox->detached_at_ms = now_ms;
        inbox_take_back(session->inbox);
        lane_clear(session);
    }
    gh_latch_give(&session->lock);
    atomic_fetch_sub(&broker_of(session)->connected, 1);
    settle_will(session, detach->will, now_ms);
    bool ends = session->expiry_s == 0;
    if (!ends) {
        gh_latch_take(&session->lock);
        journal_detached(session);
        gh_latch_give(&session->lock);
    }
    if (ends) {
        struct gh_attachment *claimant = session->claimant;
        session->claimant = NULL;
        session_end(session);
        if (claimant != NULL)
            give_back(claimant, GH_OK);
    } else if (session->claimant != NULL) {
        grant(session);
    } else {
        session_set_timer(session);
    }
}

void gh_attachment_detach(struct gh_attachment *attachment, const struct gh_detach *detach)
{
    struct session *session = attachment->session;
    if (session != NULL)
        session_ref(session);
    if (attachment->holds)
        release(attachment, detach);
    if (session != NULL)
        session_unref(session);
    attachment->state = ATTACHMENT_LEFT;
    if (!attachment->travelling)
        free_attachment(attachment);
}

/* --- a device that is no more */

struct forgetting {
    struct gh_letter letter; /* first */
    struct session *session;
    struct port *asked;
};

/* Its connection is being closed; then nothing is kept. */
static void expire_with_connection(struct session *session)
{
    gh_latch_take(&session->lock);
    session->expiry_s = 0;
    gh_latch_give(&session->lock);
}

static void open_forget(struct gh_letter *letter)
{
    struct forgetting *forgetting = (struct forgetting *)letter;
    struct session *session = forgetting->session;
    struct port *home = home_of(session);
    bool arriving = session->arriving && !atomic_load(&broker_of(session)->stopped);
    if (home != forgetting->asked || arriving) { /* who it arrives for is told first */
        forgetting->asked = home;
        port_send(home, letter);
        return;
    }
    if (!session->gone && session->attachment == NULL && session->claimant == NULL)
        session_end(session);
    else if (!session->gone)
        expire_with_connection(session);
    session_unref(session);
    free(forgetting);
}

static void forget(struct session *session)
{
    struct forgetting *forgetting = malloc(sizeof *forgetting);
    if (forgetting == NULL)
        return;
    forgetting->letter.open = open_forget;
    forgetting->session = session_ref(session);
    forgetting->asked = home_of(session);
    gh_loop_send(forgetting->asked->loop, &forgetting->letter);
}

static void forget_of_device(void *device, struct session *session)
{
    if (session_device(session) == *(const uint64_t *)device)
        forget(session);
}

void gh_broker_forget(struct gh_broker *broker, uint64_t device)
{
    pthread_mutex_lock(&broker->lock);
    roster_each(&broker->roster, forget_of_device, &device);
    pthread_mutex_unlock(&broker->lock);
}

bool gh_broker_has(struct gh_broker *broker, uint64_t device, struct gh_slice client_id)
{
    pthread_mutex_lock(&broker->lock);
    bool has = roster_find(&broker->roster, device, client_id) != NULL;
    pthread_mutex_unlock(&broker->lock);
    return has;
}
