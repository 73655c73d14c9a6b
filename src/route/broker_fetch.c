/* Bodies back from disk: a worker reads the messages that a session is about to send. */
#include "base/log.h"
#include "base/time.h"
#include "route/broker_internal.h"
#include <inttypes.h>
#include <stdlib.h>

enum { FETCH_MAX = 64 };
#define AGAIN_NS (20 * GH_MS_NS)

struct item {
    uint64_t sequence, offset;
    uint32_t position;
    bool gone;
    struct gh_route_message *message;
};

struct fetch {
    struct gh_job job;
    struct gh_letter letter;
    struct session *session; /* a reference */
    struct port *port;
    size_t count;
    struct item items[FETCH_MAX];
};

static void read_item(struct gh_log *log, struct item *item, struct gh_buffer *into)
{
    struct gh_log_record record;
    struct gh_route_message read;
    enum gh_log_fetched fetched = gh_log_fetch(log, item->offset, item->position, into, &record);
    if (fetched == GH_LOG_FETCHED && gh_route_message_read(record.body, &read))
        item->message = gh_route_message_copy(&read);
    else
        item->gone = fetched != GH_LOG_FETCH_FAILED;
}

static void work(struct gh_job *job)
{
    struct fetch *fetch = (struct fetch *)((char *)job - offsetof(struct fetch, job));
    struct gh_broker *broker = broker_of(fetch->session);
    struct gh_buffer into;
    gh_buffer_init(&into, SIZE_MAX / 2);
    for (size_t i = 0; i < fetch->count && !atomic_load(&broker->stopped); i++)
        read_item(broker->log, &fetch->items[i], &into);
    gh_buffer_deinit(&into);
    gh_loop_send(fetch->port->loop, &fetch->letter);
}

/* The lock is held. */
static void arrive(struct session *session, struct item *item)
{
    struct gh_queue_entry *entry = gh_queue_entry(&session->inbox->queue, item->sequence);
    if (entry == NULL || entry->offset != item->offset) {
        gh_route_message_unref(item->message); /* acknowledged, or moved, meanwhile */
    } else if (item->gone) {
        gh_log(GH_LOG_ERROR, "broker",
               "a message of the MQTT session %.*s is lost: record %" PRIu64 " cannot be read",
               GH_PRINT(session_client(session)), item->offset);
        session_end_entry(session, item->sequence);
    } else if (entry->body == NULL && item->message != NULL) {
        entry->body = item->message;
        session->inbox->bodies++;
    } else {
        gh_route_message_unref(item->message);
    }
}

static void again(struct gh_timer *timer)
{
    struct session *session = session_of_timer(timer);
    gh_latch_take(&session->lock);
    session_notify(session);
    gh_latch_give(&session->lock);
}

/* The workers or the disk are not able to just now. While a connection holds the session its timer
 * is free for this. */
static void try_later(struct session *session)
{
    if (session->attachment != NULL)
        gh_timer_set(session->home->loop, &session->inbox->timer, gh_time_monotonic_ns() + AGAIN_NS,
                     again);
}

static void fetched(struct gh_letter *letter)
{
    struct fetch *fetch = (struct fetch *)((char *)letter - offsetof(struct fetch, letter));
    struct session *session = fetch->session;
    bool failed = false;
    gh_latch_take(&session->lock);
    struct port *home = session->home;
    if (home != fetch->port) { /* it moved: home must do this */
        gh_latch_give(&session->lock);
        fetch->port = home;
        port_send(home, letter);
        return;
    }
    for (size_t i = 0; i < fetch->count; i++) {
        failed |= fetch->items[i].message == NULL && !fetch->items[i].gone;
        arrive(session, &fetch->items[i]);
    }
    session->inbox->fetching = false;
    if (!failed)
        session_notify(session);
    gh_latch_give(&session->lock);
    if (failed)
        try_later(session);
    session_unref(session);
    free(fetch);
}

static void collect(struct session *session, struct fetch *fetch)
{
    uint64_t sequence = session->inbox->cursor;
    for (struct gh_queue_entry *entry;
         fetch->count < FETCH_MAX &&
         (entry = gh_queue_next(&session->inbox->queue, &sequence)) != NULL;
         sequence++)
        if (entry->state == GH_QUEUE_READY && entry->body == NULL && entry->offset != 0)
            fetch->items[fetch->count++] = (struct item){
                .sequence = sequence, .offset = entry->offset, .position = entry->position};
}

void session_fetch(struct session *session)
{
    if (session->inbox->fetching)
        return;
    struct fetch *fetch = calloc(1, sizeof *fetch);
    if (fetch == NULL) {
        try_later(session);
        return;
    }
    fetch->job.run = work;
    fetch->letter.open = fetched;
    fetch->session = session_ref(session);
    fetch->port = session->home;
    gh_latch_take(&session->lock);
    collect(session, fetch);
    gh_latch_give(&session->lock);
    session->inbox->fetching =
        fetch->count > 0 && gh_workers_submit(broker_of(session)->options.workers, &fetch->job);
    if (!session->inbox->fetching) {
        if (fetch->count > 0)
            try_later(session);
        session_unref(session);
        free(fetch);
    }
}
