/* The end of a session that was a member of shared subscriptions: what it had and did not
 * acknowledge goes to other members, at QoS 1; at QoS 2 it must not (MQTT 5.0 §4.8.2). A worker
 * does it, since bodies may have to be read back. Until then the session is found by its number, so
 * that the cleaner keeps its messages, but under its key no more. */
#include "base/time.h"
#include "route/broker_internal.h"
#include "wire/mqtt/topic.h"
#include <stdlib.h>

enum { GROUPS_MAX = 64 };
#define AGAIN_NS (20 * GH_MS_NS)

struct passing {
    struct gh_job job;
    struct gh_letter letter;
    struct session *session; /* a reference */
    struct port *port;       /* its last home */
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
    pthread_mutex_lock(&session->lock);
    while (!found && (entry = gh_queue_next(&session->queue, &passed->sequence)) != NULL) {
        found = (entry->flags & GH_TARGET_SHARED) != 0 && entry->qos == 1;
        if (!found) {
            passed->sequence++;
            continue;
        }
        passed->offset = entry->offset;
        passed->position = entry->position;
        passed->message = entry->body == NULL ? NULL : gh_route_message_ref(entry->body);
    }
    pthread_mutex_unlock(&session->lock);
    return found;
}

/* The cleaner may move a record while it is looked for: then it is where the entry says next. */
static void read_back(struct session *session, struct passed *passed)
{
    struct gh_log_record record;
    struct gh_route_message read;
    struct gh_buffer body;
    uint64_t offset = 0;
    gh_buffer_init(&body, SIZE_MAX / 2);
    while (passed->message == NULL && passed->offset != offset) {
        offset = passed->offset;
        if (gh_log_fetch(session->broker->log, passed->offset, passed->position, &body, &record) ==
                GH_LOG_FETCHED &&
            gh_route_message_read(record.body, &read))
            passed->message = gh_route_message_copy(&read);
        else if (!next_shared(session, passed))
            break;
    }
    gh_buffer_deinit(&body);
}

static void give_to_other(const struct passing *passing, struct gh_route_message *message)
{
    for (size_t i = 0; i < passing->count; i++) {
        struct target how;
        if (!gh_mqtt_filter_matches(passing->groups[i]->inner, message->topic))
            continue;
        for (struct session *other; (other = group_choose(passing->groups[i], &how)) != NULL;) {
            bool there = session_send(passing->port, other, message, GH_TARGET_SHARED | 1);
            session_unref(other);
            if (there)
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
            read_back(passing->session, &passed);
        if (passed.message != NULL)
            give_to_other(passing, passed.message);
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

static void passed_on(struct gh_letter *letter)
{
    struct passing *passing = (struct passing *)((char *)letter - offsetof(struct passing, letter));
    session_bury(passing->session);
}

static void try_again(struct gh_timer *timer)
{
    session_pass_on((struct session *)((char *)timer - offsetof(struct session, timer)));
}

struct passing *passing_new(struct session *session)
{
    struct passing *passing = NULL;
    for (struct subscription *s = session->subscriptions; s != NULL; s = s->next) {
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
    struct passing *passing = session->passing;
    struct passed first = {0};
    bool any =
        passing != NULL && !atomic_load(&session->broker->stopped) && next_shared(session, &first);
    gh_route_message_unref(first.message);
    if (!any) {
        session_bury(session);
        return;
    }
    passing->session = session;
    passing->port = session->home;
    passing->job.run = work;
    passing->letter.open = passed_on;
    if (!gh_workers_submit(session->broker->options.workers, &passing->job))
        gh_timer_set(session->home->loop, &session->timer, gh_time_monotonic_ns() + AGAIN_NS,
                     try_again);
}
