#include "base/log.h"
#include "route/broker_internal.h"
#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct gh_broker_limits gh_broker_limits_default = {
    .queue_messages_max = 1000 * 1000,
    .queue_bytes_max = 256u << 20,
    .lane_messages_max = 10 * 1000,
    .lane_bytes_max = 8u << 20,
    .bodies_max = 1000,
    .subscriptions_max = 10 * 1000,
    .sessions_max = 1000 * 1000,
    .retained_messages_max = 100 * 1000,
    .retained_bytes_max = 256u << 20,
    .expiry_max_s = UINT32_MAX,
};

struct port *port_of(struct gh_broker *broker, const struct gh_loop *loop)
{
    for (size_t i = 0; i < broker->ports_count; i++)
        if (broker->ports[i].loop == loop)
            return &broker->ports[i];
    assert(false && "a loop that the broker does not know");
    return NULL;
}

int64_t port_now_ms(struct port *port)
{
    int64_t turn_ns = gh_loop_now_ns(port->loop);
    if (port->turn_ns != turn_ns) {
        port->turn_ns = turn_ns;
        port->turn_ms = broker_now_ms(port->broker);
    }
    return port->turn_ms;
}

int64_t broker_now_ms(const struct gh_broker *broker)
{
    return broker->options.utc_ms();
}

void port_send(struct port *port, struct gh_letter *letter)
{
    if (atomic_load(&port->broker->stopped))
        letter->open(letter);
    else
        gh_loop_send(port->loop, letter);
}

void broker_count_queued(const struct session *session, int by)
{
    struct queued *queued = &broker_of(session)->queued[session->inbox->number % BROKER_QUEUED];
    atomic_fetch_add_explicit(&queued->count, (size_t)by, memory_order_relaxed);
}

void broker_live(const struct session *session, size_t bytes, int sign)
{
    if (session->stored)
        atomic_fetch_add(&broker_of(session)->live_bytes, sign * (int64_t)bytes);
}

size_t session_live_bytes(const struct session *session)
{
    return session_client(session).size + LIVE_OVERHEAD_BYTES;
}

/* --- spaces */

static struct space *space_new(struct gh_broker *broker, int64_t tenant)
{
    struct space *space = calloc(1, sizeof *space);
    if (space == NULL)
        return NULL;
    space->broker = broker;
    space->tenant = tenant;
    pthread_rwlock_init(&space->lock, NULL);
    pthread_mutex_init(&space->retained_lock, NULL);
    gh_topic_tree_init(&space->tree);
    gh_map_init(&space->groups);
    gh_retained_tree_init(&space->retained);
    atomic_init(&space->generation, 1);
    return space;
}

static void free_relaxed(struct space *space)
{
    for (size_t i = 0; i < space->relaxed_count; i++)
        free((void *)(uintptr_t)space->relaxed[i].data);
    free(space->relaxed);
    space->relaxed = NULL;
    space->relaxed_count = 0;
}

static void space_free(struct space *space)
{
    struct gh_slice key;
    size_t at = 0;
    for (void *group; gh_map_next(&space->groups, &at, &key, &group);)
        leaf_unref(group);
    gh_map_deinit(&space->groups);
    gh_topic_tree_deinit(&space->tree);
    retained_free(space);
    free_relaxed(space);
    pthread_rwlock_destroy(&space->lock);
    pthread_mutex_destroy(&space->retained_lock);
    free(space);
}

struct space *space_of(struct gh_broker *broker, int64_t tenant)
{
    struct gh_slice key = gh_slice(&tenant, sizeof tenant);
    pthread_mutex_lock(&broker->lock);
    struct space *space = gh_map_get(&broker->spaces, key);
    if (space == NULL) {
        space = space_new(broker, tenant);
        if (space != NULL && !gh_map_put(&broker->spaces, key, space, NULL)) {
            space_free(space);
            space = NULL;
        }
    }
    pthread_mutex_unlock(&broker->lock);
    return space;
}

static bool copy_filters(const struct gh_slice filters[], size_t count, struct gh_slice *out)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t *text = malloc(filters[i].size + 1);
        if (text == NULL)
            return false;
        memcpy(text, filters[i].data, filters[i].size);
        out[i] = gh_slice(text, filters[i].size);
    }
    return true;
}

bool gh_broker_relax(struct gh_broker *broker, int64_t tenant, const struct gh_slice filters[],
                     size_t count)
{
    struct space *space = space_of(broker, tenant);
    struct gh_slice *copies = calloc(count + 1, sizeof *copies);
    bool copied = space != NULL && copies != NULL && copy_filters(filters, count, copies);
    if (!copied) {
        for (size_t i = 0; copies != NULL && i < count; i++)
            free((void *)(uintptr_t)copies[i].data);
        free(copies);
        return false;
    }
    pthread_rwlock_wrlock(&space->lock);
    free_relaxed(space);
    space->relaxed = copies;
    space->relaxed_count = count;
    atomic_fetch_add(&space->generation, 1);
    pthread_rwlock_unlock(&space->lock);
    return true;
}

/* --- open and close */

static bool open_ports(struct gh_broker *broker)
{
    broker->ports = calloc(broker->options.loops_count, sizeof *broker->ports);
    if (broker->ports == NULL)
        return false;
    broker->ports_count = broker->options.loops_count;
    for (size_t i = 0; i < broker->ports_count; i++) {
        struct port *port = &broker->ports[i];
        port->broker = broker;
        port->loop = broker->options.loops[i];
        gh_map_init(&port->matches);
        port->line_end = &port->line_first;
        gh_buffer_init(&port->kept, SIZE_MAX / 2);
        gh_buffer_init(&port->key, SIZE_MAX / 2);
    }
    return true;
}

/* The log goes on as long as something in it is alive, which the hold says; age and size are the
 * cleaner's business. */
static struct gh_log *open_log(const struct gh_broker_options *options, struct gh_error *error)
{
    char folder[PATH_MAX];
    struct gh_log_options log = options->log;
    snprintf(folder, sizeof folder, "%s/sessions", options->folder);
    log.folder = folder;
    log.age_max_ms = 1;
    log.keeps_unheld = true; /* before the hold is there, and at close after it */
    log.bytes_max = UINT64_MAX;
    if (log.segment_bytes == 0)
        log.segment_bytes = 16u << 20;
    return gh_log_open(&log, error);
}

struct gh_broker *gh_broker_open(const struct gh_broker_options *options, struct gh_error *error)
{
    struct gh_broker *broker = calloc(1, sizeof *broker);
    if (broker == NULL) {
        gh_error_set(error, GH_ERROR_MEMORY, "broker");
        return NULL;
    }
    broker->options = *options;
    broker->options.folder = NULL; /* the caller's, for the call only */
    broker->limits = options->limits;
    pthread_mutex_init(&broker->lock, NULL);
    gh_map_init(&broker->spaces);
    gh_map_init(&broker->by_number);
    if (!roster_open(&broker->roster))
        gh_error_set(error, GH_ERROR_MEMORY, "broker");
    else
        broker->log = open_log(options, error);
    if (broker->log == NULL) {
        gh_broker_close(broker);
        return NULL;
    }
    broker->hold = gh_log_hold_open(broker->log, "MQTT sessions", gh_log_status(broker->log).first);
    if (broker->hold == NULL || !open_ports(broker))
        gh_error_set(error, GH_ERROR_MEMORY, "broker");
    else if (broker_load(broker, error) == GH_OK) {
        broker->cleaner = cleaner_open(broker);
        if (broker->cleaner != NULL)
            return broker;
        gh_error_set(error, GH_ERROR_MEMORY, "broker: the cleaner's thread");
    }
    gh_broker_stop(broker);
    gh_broker_close(broker);
    return NULL;
}

void gh_broker_stop(struct gh_broker *broker)
{
    if (broker == NULL)
        return;
    cleaner_close(broker->cleaner);
    broker->cleaner = NULL;
    for (size_t i = 0; i < broker->ports_count; i++)
        port_flush(&broker->ports[i]);
    atomic_store(&broker->stopped, true);
    if (broker->hold != NULL)
        gh_log_hold_close(broker->hold);
    broker->hold = NULL;
    if (broker->log != NULL)
        gh_log_close(broker->log);
    broker->log = NULL;
}

static void free_session(struct session *session)
{
    session->gone = true;
    session->attachment = NULL;
    if (session->inbox != NULL)
        passing_free(session->inbox->passing);
    session_unsubscribe_all(session);
    session_unref(session);
}

/* Those that stand in no other table. */
static void free_without_inbox(void *context, struct session *session)
{
    (void)context;
    if (session->inbox == NULL)
        free_session(session);
}

void gh_broker_close(struct gh_broker *broker)
{
    struct gh_slice key;
    size_t at = 0;
    if (broker == NULL)
        return;
    gh_broker_stop(broker);
    for (size_t i = 0; i < broker->ports_count; i++) {
        port_forget_matches(&broker->ports[i]);
        port_serve_line(&broker->ports[i]);
    }
    roster_each(&broker->roster, free_without_inbox, NULL);
    for (void *session; gh_map_next(&broker->by_number, &at, &key, &session);)
        free_session(session);
    for (size_t i = 0; i < broker->ports_count; i++)
        port_close(&broker->ports[i]);
    at = 0;
    for (void *space; gh_map_next(&broker->spaces, &at, &key, &space);)
        space_free(space);
    gh_map_deinit(&broker->spaces);
    roster_close(&broker->roster);
    gh_map_deinit(&broker->by_number);
    pthread_mutex_destroy(&broker->lock);
    free(broker->ports);
    free(broker);
}

/* --- what the operator sees */

struct viewing {
    uint64_t device; /* 0: of all */
    void (*each)(void *context, const struct gh_broker_view *view);
    void *context;
    struct gh_broker_filter filters[GH_BROKER_VIEW_FILTERS_MAX];
};

/* What there is of it without an inbox. */
static struct gh_broker_view face_of(const struct session *session)
{
    return (struct gh_broker_view){.client_id = session_client(session),
                                   .tenant = session->space->tenant,
                                   .device = session_device(session),
                                   .connected = session->connected,
                                   .stored = session->stored,
                                   .expiry_s = session->expiry_s};
}

static void view_inbox(const struct inbox *inbox, struct viewing *viewing,
                       struct gh_broker_view *view)
{
    size_t shown = 0;
    for (const struct subscription *s = inbox->subscriptions;
         s != NULL && shown < GH_BROKER_VIEW_FILTERS_MAX; s = s->next)
        viewing->filters[shown++] =
            (struct gh_broker_filter){.filter = s->filter,
                                      .qos = s->qos,
                                      .no_local = s->no_local,
                                      .retain_as_published = s->retain_as_published,
                                      .identifier = s->identifier};
    view->detached_at_ms = inbox->detached_at_ms;
    view->queued = gh_queue_count(&inbox->queue);
    view->queued_bytes = inbox->queue_bytes;
    view->inflight = inbox->inflight;
    view->dropped = inbox->dropped;
    view->subscriptions_count = inbox->subscriptions_count;
}

static void view_session(void *context, struct session *session)
{
    struct viewing *viewing = context;
    if (viewing->device != 0 && session_device(session) != viewing->device)
        return;
    gh_latch_take(&session->lock);
    struct gh_broker_view view = face_of(session);
    view.lane = session_lane_count(session);
    view.subscriptions = viewing->filters;
    if (session->inbox != NULL)
        view_inbox(session->inbox, viewing, &view);
    viewing->each(viewing->context, &view);
    gh_latch_give(&session->lock);
}

void gh_broker_each(struct gh_broker *broker, uint64_t device,
                    void (*each)(void *context, const struct gh_broker_view *view), void *context)
{
    struct viewing viewing = {.device = device, .each = each, .context = context};
    pthread_mutex_lock(&broker->lock);
    roster_each(&broker->roster, view_session, &viewing);
    pthread_mutex_unlock(&broker->lock);
}

struct gh_broker_status gh_broker_status(struct gh_broker *broker)
{
    size_t queued = 0;
    for (size_t i = 0; i < BROKER_QUEUED; i++)
        queued += atomic_load_explicit(&broker->queued[i].count, memory_order_relaxed);
    return (struct gh_broker_status){
        .sessions = atomic_load(&broker->sessions),
        .connected = atomic_load(&broker->connected),
        .subscriptions = atomic_load(&broker->subscriptions),
        .retained = atomic_load(&broker->retained),
        .queued = queued,
        .journal_bytes = broker->log == NULL ? 0 : gh_log_status(broker->log).bytes};
}
