/* The end of a session that was a member of shared subscriptions: what it had and did not
 * acknowledge goes to other members, at QoS 1; at QoS 2 it must not (MQTT 5.0 §4.8.2). A worker
 * does it, since bodies may have to be read back. Until then the session is found by its number, so
 * that the cleaner keeps its messages, but under its key no more. */
#include "base/time.h"
#include "route/broker_internal.h"
#include "wire/mqtt/topic.h"
#include <stdlib.h>

enum { GROUPS_MAX = 64 };
#define AGAIN_NS (100 * GH_MS_NS)

struct passing {
    struct gh_job job;
    struct gh_letter letter;
    struct session *session; /* a reference */
    struct port *port;       /* its last home */
    bool worked;             /* the worker has been through */
    atomic_size_t flying;    /* copies that are not stored yet */
    atomic_bool failed;      /* some could not be written: once more, then */
    size_t count;
    struct group *groups[GROUPS_MAX]; /* references */
};

/* One entry as it is now. */
struct passed {
    uint64_t sequence, offset;
    uint32_t position;
    struct gh_route_message *message; /* a reference, or NULL: on disk */
};

/* The next one at or after `passed->sequence`. */
static bool next_shared(struct session *session, struct passed *passed)
{
    struct gh_queue_entry *entry;
    bool found = false;
    gh_latch_take(&session->lock);
    while (!found && (entry = gh_queue_next(&session->inbox->queue, &passed->sequence)) != NULL) {
        found = (entry->flags & GH_TARGET_SHARED) != 0 && entry->qos == 1;
        if (!found) {
            passed->sequence++;
            continue;
        }
        passed->offset = entry->offset;
        passed->position = entry->position;
        passed->message = entry->body == NULL ? NULL : gh_route_message_ref(entry->body);
    }
    gh_latch_give(&session->lock);
    return found;
}

/* The cleaner may move a record while it is looked for: then it is where the entry says next. */
static void read_back(struct passing *passing, struct passed *passed)
{
    struct gh_log_record record;
    struct gh_route_message read;
    struct gh_buffer body;
    uint64_t offset = 0;
    gh_buffer_init(&body, SIZE_MAX / 2);
    while (passed->message == NULL && passed->offset != offset) {
        offset = passed->offset;
        enum gh_log_fetched fetched = gh_log_fetch(broker_of(passing->session)->log, passed->offset,
                                                   passed->position, &body, &record);
        if (fetched == GH_LOG_FETCHED && gh_route_message_read(record.body, &read))
            passed->message = gh_route_message_copy(&read);
        else if (fetched == GH_LOG_FETCH_FAILED)
            passing->failed = true;
        else if (!next_shared(passing->session, passed))
            break;
    }
    gh_buffer_deinit(&body);
}

/* A copy on its way. */
struct handed {
    struct passing *passing;
    uint64_t sequence;
};

/* What has been passed on is not looked for again. */
static void mark_passed(struct session *session, uint64_t sequence)
{
    gh_latch_take(&session->lock);
    struct gh_queue_entry *entry = gh_queue_entry(&session->inbox->queue, sequence);
    if (entry != NULL)
        entry->flags &= (uint16_t)~GH_TARGET_SHARED;
    gh_latch_give(&session->lock);
}

static void go_on(struct passing *passing);

static void stored(void *context, uint16_t packet_id, bool is_stored, bool matched)
{
    struct handed *handed = context;
    struct passing *passing = handed->passing;
    (void)packet_id, (void)matched;
    if (is_stored)
        mark_passed(passing->session, handed->sequence);
    else
        passing->failed = true;
    free(handed);
    atomic_fetch_sub(&passing->flying, 1);
    go_on(passing);
}

static enum session_sent hand(struct passing *passing, struct session *other,
                              struct gh_route_message *message, uint64_t sequence)
{
    struct handed *handed = malloc(sizeof *handed);
    if (handed == NULL)
        return SESSION_FAILED;
    *handed = (struct handed){passing, sequence};
    const struct publish_call call = {.done = stored, .context = handed};
    atomic_fetch_add(&passing->flying, 1);
    enum session_sent sent =
        session_send(passing->port, other, message, GH_TARGET_SHARED | 1, &call);
    if (sent == SESSION_SENDING)
        return sent;
    atomic_fetch_sub(&passing->flying, 1);
    free(handed);
    if (sent == SESSION_SENT)
        mark_passed(passing->session, sequence);
    return sent;
}

static void give_to_other(struct passing *passing, struct gh_route_message *message,
                          uint64_t sequence)
{
    for (size_t i = 0; i < passing->count; i++) {
        struct target how;
        if (!gh_mqtt_filter_matches(passing->groups[i]->inner, message->topic))
            continue;
        for (struct session *other; (other = group_choose(passing->groups[i], &how)) != NULL;) {
            enum session_sent sent = hand(passing, other, message, sequence);
            session_unref(other);
            if (sent == SESSION_FAILED)
                passing->failed = true;
            if (sent != SESSION_GONE)
                return;
        }
    }
}

static void work(struct gh_job *job)
{
    struct passing *passing = (struct passing *)((char *)job - offsetof(struct passing, job));
    struct passed passed = {0};
    for (; next_shared(passing->session, &passed); passed.sequence++) {
        if (passed.message == NULL)
            read_back(passing, &passed);
        if (passed.message != NULL)
            give_to_other(passing, passed.message, passed.sequence);
        gh_route_message_unref(passed.message);
    }
    gh_loop_send(passing->port->loop, &passing->letter);
}

void passing_free(struct passing *passing)
{
    for (size_t i = 0; passing != NULL && i < passing->count; i++)
        leaf_unref(&passing->groups[i]->leaf);
    free(passing);
}

bool passing_names(const struct passing *passing, struct gh_slice filter)
{
    for (size_t i = 0; passing != NULL && i < passing->count; i++)
        if (gh_slice_equal(passing->groups[i]->key, filter))
            return true;
    return false;
}

static void passed_on(struct gh_letter *letter)
{
    struct passing *passing = (struct passing *)((char *)letter - offsetof(struct passing, letter));
    passing->worked = true;
    go_on(passing);
}

static void try_again(struct gh_timer *timer)
{
    session_pass_on(session_of_timer(timer));
}

static void later(struct session *session)
{
    gh_timer_set(session->home->loop, &session->inbox->timer, gh_time_monotonic_ns() + AGAIN_NS,
                 try_again);
}

/* On the loop: when the worker and the copies are through. Once the broker has stopped, the next
 * start does what is left. */
static void go_on(struct passing *passing)
{
    struct session *session = passing->session;
    if (!passing->worked || atomic_load(&passing->flying) > 0)
        return;
    if (!passing->failed)
        session_bury(session);
    else if (!atomic_load(&broker_of(session)->stopped))
        later(session);
}

struct passing *passing_new(const struct inbox *inbox)
{
    struct passing *passing = NULL;
    for (struct subscription *s = inbox->subscriptions; s != NULL; s = s->next) {
        if (s->group == NULL || (passing == NULL && (passing = calloc(1, sizeof *passing)) == NULL))
            continue;
        if (passing->count == GROUPS_MAX)
            break;
        passing->groups[passing->count++] = s->group;
        atomic_fetch_add(&s->group->leaf.refs, 1);
    }
    return passing;
}

void session_pass_on(struct session *session)
{
    struct passing *passing = session->inbox == NULL ? NULL : session->inbox->passing;
    struct passed first = {0};
    bool any = passing != NULL && !atomic_load(&broker_of(session)->stopped) &&
               next_shared(session, &first);
    gh_route_message_unref(first.message);
    if (!any) {
        session_bury(session);
        return;
    }
    passing->worked = false;
    passing->failed = false;
    passing->session = session;
    passing->port = session->home;
    passing->job.run = work;
    passing->letter.open = passed_on;
    if (!gh_workers_submit(broker_of(session)->options.workers, &passing->job))
        later(session);
}
