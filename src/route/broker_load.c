/* The journal at start. All records are read once, in order; what they say of a session is gathered
 * under its number and made into sessions at the end, because the cleaner may have moved a part of
 * it behind the rest. */
#include "base/log.h"
#include "base/time.h"
#include "route/broker_internal.h"
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What is said of one entry of a queue. DONE counts wherever it stands. */
enum mark_kind { MARK_MESSAGE, MARK_RECEIVED, MARK_DONE };
struct mark {
    uint64_t sequence, offset;
    uint32_t position, size;
    uint8_t kind, flags;
};

struct found_filter {
    struct found_filter *next;
    uint8_t options;
    uint32_t identifier;
    struct gh_slice filter;
    uint8_t text[];
};

struct found {
    uint64_t number;
    bool there, gone; /* a SESSION, a SESSION_GONE was read */
    bool superseded;  /* by a newer one with its key */
    struct session *session;
    uint64_t sequence_next;
    bool noted, connected;
    uint64_t connected_to; /* what stands behind this offset was never sent */
    struct mark *marks;
    size_t marks_count, marks_capacity;
    struct found_filter *filters, **last;
    struct taken *taken;
    size_t taken_count;
};

enum { QUEUE_SPAN_MAX = 1 << 30 };

struct loading {
    struct gh_broker *broker;
    struct gh_map sessions; /* by number */
    struct gh_map newest;   /* found ones that are there, by their keys */
    bool failed;            /* no memory */
    uint64_t malformed;
};

static struct found *find(struct loading *loading, uint64_t number)
{
    struct gh_slice key = gh_slice(&number, sizeof number);
    struct found *found = gh_map_get(&loading->sessions, key);
    if (found != NULL)
        return found;
    found = calloc(1, sizeof *found);
    if (found == NULL || !gh_map_put(&loading->sessions, key, found, NULL)) {
        free(found);
        loading->failed = true;
        return NULL;
    }
    found->number = number;
    found->last = &found->filters;
    if (number > loading->broker->number_last)
        loading->broker->number_last = number;
    return found;
}

static void add_mark(struct loading *loading, struct found *found, struct mark mark)
{
    if (found->marks_count == found->marks_capacity) {
        size_t capacity = found->marks_capacity == 0 ? 4 : 2 * found->marks_capacity;
        struct mark *marks = reallocarray(found->marks, capacity, sizeof *marks);
        if (marks == NULL) {
            loading->failed = true;
            return;
        }
        found->marks = marks;
        found->marks_capacity = capacity;
    }
    found->marks[found->marks_count++] = mark;
}

/* --- records */

static void read_session(struct loading *loading, struct found *found,
                         const struct gh_journal_change *change)
{
    struct gh_broker *broker = loading->broker;
    struct space *space = space_of(broker, change->tenant);
    if (found->session == NULL && space != NULL) {
        found->session = session_new(space, change->device, change->client_id);
        if (found->session != NULL && !session_make_inbox(found->session, found->number)) {
            session_unref(found->session);
            found->session = NULL;
        }
    }
    struct session *session = found->session;
    if (session == NULL) {
        loading->failed = true;
        return;
    }
    found->there = true;
    session->stored = true;
    session->expiry_s = change->expiry_s;
    session->inbox->detached_at_ms = change->at_ms;
    if (change->sequence_next > found->sequence_next)
        found->sequence_next = change->sequence_next;
    free(session->will);
    session->will = NULL;
    if (change->has_will && !session_keep_will(session, &change->will))
        loading->failed = true;
}

static struct found_filter **find_filter(struct found *found, struct gh_slice filter)
{
    struct found_filter **at = &found->filters;
    while (*at != NULL && !gh_slice_equal((*at)->filter, filter))
        at = &(*at)->next;
    return at;
}

static void read_filter(struct loading *loading, struct found *found,
                        const struct gh_journal_change *change)
{
    struct found_filter **at = find_filter(found, change->filter), *filter = *at;
    if (filter == NULL) {
        filter = calloc(1, sizeof *filter + change->filter.size);
        if (filter == NULL) {
            loading->failed = true;
            return;
        }
        memcpy(filter->text, change->filter.data, change->filter.size);
        filter->filter = gh_slice(filter->text, change->filter.size);
        *at = filter;
    }
    filter->options = change->options;
    filter->identifier = change->identifier;
}

static void forget_filter(struct found *found, struct gh_slice text)
{
    struct found_filter **at = find_filter(found, text), *gone = *at;
    if (gone == NULL)
        return;
    *at = gone->next;
    free(gone);
}

static void take(struct loading *loading, struct found *found, uint16_t packet_id)
{
    for (size_t i = 0; i < found->taken_count; i++)
        if (found->taken[i].packet_id == packet_id)
            return;
    struct taken *list = reallocarray(found->taken, found->taken_count + 1, sizeof *list);
    if (list == NULL) {
        loading->failed = true;
        return;
    }
    found->taken = list;
    list[found->taken_count++] = (struct taken){.packet_id = packet_id};
}

static void release(struct found *found, uint16_t packet_id)
{
    for (size_t i = 0; i < found->taken_count; i++)
        if (found->taken[i].packet_id == packet_id)
            found->taken[i--] = found->taken[--found->taken_count];
}

static void note_connected(struct found *found, const struct gh_journal_change *change,
                           uint64_t offset)
{
    if (change->kind != GH_JOURNAL_SESSION && change->kind != GH_JOURNAL_DETACHED)
        return;
    if (found->connected || !found->noted) /* what the cleaner cut off may have been a connection */
        found->connected_to = offset;
    found->noted = true;
    found->connected = change->at_ms == 0;
}

static void read_change(struct loading *loading, const struct gh_journal_change *change,
                        uint64_t offset)
{
    if (change->kind == GH_JOURNAL_RETAINED_GONE) {
        struct space *space = space_of(loading->broker, change->tenant);
        if (space != NULL)
            retained_clear(space, change->filter);
        return;
    }
    struct found *found = find(loading, change->session);
    if (found == NULL)
        return;
    note_connected(found, change, offset);
    switch (change->kind) {
    case GH_JOURNAL_SESSION:
        read_session(loading, found, change);
        break;
    case GH_JOURNAL_SESSION_GONE:
        found->gone = true;
        break;
    case GH_JOURNAL_DETACHED:
        if (found->session != NULL)
            found->session->inbox->detached_at_ms = change->at_ms;
        break;
    case GH_JOURNAL_FILTER:
        read_filter(loading, found, change);
        break;
    case GH_JOURNAL_FILTER_GONE:
        forget_filter(found, change->filter);
        break;
    case GH_JOURNAL_DONE:
        add_mark(loading, found, (struct mark){.sequence = change->sequence, .kind = MARK_DONE});
        break;
    case GH_JOURNAL_RECEIVED:
        add_mark(loading, found,
                 (struct mark){.sequence = change->sequence, .kind = MARK_RECEIVED});
        break;
    case GH_JOURNAL_TAKEN:
        take(loading, found, change->packet_id);
        break;
    case GH_JOURNAL_RELEASED:
        release(found, change->packet_id);
        break;
    case GH_JOURNAL_RETAINED_GONE:
    case GH_JOURNAL_KIND_COUNT:
        break;
    }
}

static void read_changes(struct loading *loading, const struct gh_log_record *record)
{
    struct gh_slice at = record->body;
    struct gh_journal_change change;
    enum gh_journal_read read;
    while ((read = gh_journal_next(&at, &change)) == GH_JOURNAL_CHANGE)
        read_change(loading, &change, record->offset);
    loading->malformed += read == GH_JOURNAL_MALFORMED;
}

static void read_retained(struct loading *loading, const struct gh_log_record *record,
                          const struct gh_route_message *read)
{
    struct space *space = space_of(loading->broker, read->tenant);
    struct gh_route_message *message = gh_route_message_copy(read);
    if (space == NULL || message == NULL ||
        !retained_set(space, message, record->offset, record->position))
        loading->failed = true;
    gh_route_message_unref(message);
}

static void read_message(struct loading *loading, const struct gh_log_record *record)
{
    struct gh_route_message message;
    struct gh_route_target target;
    if (!gh_route_message_read(record->body, &message)) {
        loading->malformed++;
        return;
    }
    if (message.retained)
        read_retained(loading, record, &message);
    if (message.publisher != 0) {
        struct found *found = find(loading, message.publisher);
        if (found != NULL)
            take(loading, found, message.packet_id);
    }
    for (struct gh_slice at = message.targets; gh_route_target_next(&at, &target);) {
        struct found *found = find(loading, target.session);
        if (found != NULL)
            add_mark(loading, found,
                     (struct mark){.sequence = target.sequence,
                                   .offset = record->offset,
                                   .position = record->position,
                                   .size = (uint32_t)message.payload.size,
                                   .kind = MARK_MESSAGE,
                                   .flags = target.flags});
    }
}

/* --- from what was read to sessions */

static int by_sequence(const void *a, const void *b)
{
    const struct mark *first = a, *second = b;
    if (first->sequence != second->sequence)
        return first->sequence < second->sequence ? -1 : 1;
    return first->offset < second->offset ? -1 : first->offset > second->offset;
}

/* The marks of one sequence number: [from, to). */
static void restore_entry(struct loading *loading, struct found *found, size_t from, size_t to)
{
    struct session *session = found->session;
    const struct mark *message = NULL;
    bool received = false;
    for (size_t i = from; i < to; i++) {
        const struct mark *mark = &found->marks[i];
        if (mark->kind == MARK_DONE)
            return;
        received |= mark->kind == MARK_RECEIVED;
        if (mark->kind == MARK_MESSAGE)
            message = mark; /* the newest place */
    }
    if (message == NULL)
        return;
    bool sent = received || found->connected || message->offset < found->connected_to;
    struct gh_queue_entry entry = {.offset = message->offset,
                                   .position = message->position,
                                   .size = message->size,
                                   .qos = message->flags & GH_TARGET_QOS,
                                   .flags = message->flags,
                                   .state = received ? GH_QUEUE_RECEIVED
                                            : sent   ? GH_QUEUE_SENT
                                                     : GH_QUEUE_READY};
    if (!gh_queue_restore(&session->inbox->queue, message->sequence, &entry)) {
        loading->failed = true;
        return;
    }
    if (entry.state != GH_QUEUE_READY || (entry.flags & ENTRY_DUP) != 0)
        session->inbox->sent_to = message->sequence + 1; /* they come in order */
    session->inbox->queue_bytes += entry.size;
    broker_count_queued(session, 1);
    atomic_fetch_add(&loading->broker->live_bytes, entry.size + LIVE_OVERHEAD_BYTES);
}

static void restore_queue(struct loading *loading, struct found *found)
{
    bool sorted = true;
    uint64_t next = found->sequence_next;
    struct gh_queue *queue = &found->session->inbox->queue;
    queue->span_max = QUEUE_SPAN_MAX; /* the bound may have been a higher one */
    for (size_t i = 1; i < found->marks_count && sorted; i++)
        sorted = by_sequence(&found->marks[i - 1], &found->marks[i]) <= 0;
    if (!sorted)
        qsort(found->marks, found->marks_count, sizeof *found->marks, by_sequence);
    for (size_t from = 0, to; from < found->marks_count; from = to) {
        uint64_t sequence = found->marks[from].sequence;
        for (to = from + 1; to < found->marks_count && found->marks[to].sequence == sequence;)
            to++;
        restore_entry(loading, found, from, to);
        next = sequence + 1 > next ? sequence + 1 : next;
    }
    if (!gh_queue_resume(queue, next))
        loading->failed = true;
    queue->span_max = (uint32_t)loading->broker->limits.queue_messages_max;
}

static void restore_filters(struct loading *loading, struct found *found)
{
    enum { QOS = 0x03, NO_LOCAL = 0x04, AS_PUBLISHED = 0x08 };
    for (const struct found_filter *filter = found->filters; filter != NULL;
         filter = filter->next) {
        bool existed;
        struct gh_broker_filter subscribe = {.filter = filter->filter,
                                             .qos = filter->options & QOS,
                                             .no_local = (filter->options & NO_LOCAL) != 0,
                                             .retain_as_published =
                                                 (filter->options & AS_PUBLISHED) != 0,
                                             .identifier = filter->identifier};
        if (session_subscribe(found->session, &subscribe, SIZE_MAX, &existed) > 2)
            loading->failed = true;
    }
}

/* It was connected when the server ended: its connection ends now. */
static void detach_now(struct session *session, int64_t now_ms)
{
    session->inbox->detached_at_ms = now_ms;
    if (session->will != NULL)
        session->will->at_ms = now_ms + (int64_t)session->will->will.delay_s * 1000;
    struct gh_journal_change change = {
        .kind = GH_JOURNAL_DETACHED, .session = session->inbox->number, .at_ms = now_ms};
    port_change(session->home, &change);
}

static void restore_session(struct loading *loading, struct found *found)
{
    struct gh_broker *broker = loading->broker;
    struct session *session = found->session;
    session->home = &broker->ports[session->inbox->number % broker->ports_count];
    restore_queue(loading, found);
    session->inbox->taken = found->taken;
    session->inbox->taken_count = session->inbox->taken_capacity = (uint32_t)found->taken_count;
    found->taken = NULL;
    if (!gh_map_put(&broker->by_number,
                    gh_slice(&session->inbox->number, sizeof session->inbox->number), session,
                    NULL)) {
        loading->failed = true;
        return;
    }
    session_ref(session); /* the tables' */
    if (!found->superseded)
        roster_add(&broker->roster, session);
    atomic_fetch_add(&broker->sessions, 1);
    atomic_fetch_add(&session->space->sessions, 1);
    broker_live(session, session_live_bytes(session), 1);
    restore_filters(loading, found);
}

/* Of two sessions with one key the newer one counts. The older has ended, but that was not written:
 * it was another loop's to write, or it had not passed on yet what it had. */
static void find_newest(struct loading *loading, struct found *found)
{
    void *before = NULL;
    if (!found->there || found->gone)
        return;
    if (!gh_map_put(&loading->newest, session_key(found->session), found, &before)) {
        loading->failed = true;
        return;
    }
    struct found *other = before;
    if (other == NULL)
        return;
    if (other->number > found->number &&
        !gh_map_put(&loading->newest, session_key(found->session), other, NULL))
        loading->failed = true;
    struct found *older = other->number < found->number ? other : found;
    older->superseded = true;
}

/* The time begins for what was loaded. */
static void begin(struct gh_broker *broker, const struct found *found)
{
    struct session *session = found->session;
    if (!found->there || found->gone)
        return;
    if (session->inbox->detached_at_ms == 0)
        detach_now(session, broker_now_ms(broker));
    else if (session->will != NULL)
        session->will->at_ms =
            session->inbox->detached_at_ms + (int64_t)session->will->will.delay_s * 1000;
    if (found->superseded)
        session_end(session);
    else
        session_set_timer(session);
}

static void free_found(struct found *found)
{
    for (struct found_filter *next; found->filters != NULL; found->filters = next) {
        next = found->filters->next;
        free(found->filters);
    }
    if (found->session != NULL)
        session_unref(found->session);
    free(found->marks);
    free(found->taken);
    free(found);
}

static enum gh_error_code read_all(struct loading *loading, struct gh_error *error)
{
    struct gh_log *log = loading->broker->log;
    struct gh_log_reader *reader = gh_log_reader_open(log);
    struct gh_log_record record;
    enum gh_log_read read = GH_LOG_READ_FAILED;
    if (reader == NULL)
        return gh_error_set(error, GH_ERROR_MEMORY, "broker: a reader of the journal");
    gh_log_reader_seek(reader, 0);
    while (!loading->failed) {
        read = gh_log_reader_next(reader, GH_LOG_ANY_TAG, &record);
        if (read == GH_LOG_READ_PAUSE)
            continue;
        if (read != GH_LOG_READ_RECORD)
            break;
        if (record.tag == GH_JOURNAL_MESSAGE)
            read_message(loading, &record);
        else if (record.tag == GH_JOURNAL_CHANGES)
            read_changes(loading, &record);
    }
    gh_log_reader_close(reader);
    return read == GH_LOG_READ_FAILED ? gh_error_set(error, GH_ERROR_LOG_OPEN,
                                                     "the journal of MQTT sessions cannot be read")
                                      : GH_OK;
}

static void restore_all(struct loading *loading)
{
    struct gh_slice key;
    size_t at = 0;
    for (void *found; gh_map_next(&loading->sessions, &at, &key, &found);)
        find_newest(loading, found);
    at = 0;
    for (void *value; !loading->failed && gh_map_next(&loading->sessions, &at, &key, &value);) {
        struct found *found = value;
        if (found->there && !found->gone)
            restore_session(loading, found);
    }
    at = 0;
    for (void *found; !loading->failed && gh_map_next(&loading->sessions, &at, &key, &found);)
        begin(loading->broker, found);
}

static void free_loading(struct loading *loading)
{
    struct gh_slice key;
    size_t at = 0;
    for (void *found; gh_map_next(&loading->sessions, &at, &key, &found);)
        free_found(found);
    gh_map_deinit(&loading->sessions);
    gh_map_deinit(&loading->newest);
}

enum gh_error_code broker_load(struct gh_broker *broker, struct gh_error *error)
{
    struct loading loading = {.broker = broker};
    int64_t began_ns = gh_time_monotonic_ns();
    gh_map_init(&loading.sessions);
    gh_map_init(&loading.newest);
    enum gh_error_code code = read_all(&loading, error);
    if (code == GH_OK)
        restore_all(&loading);
    free_loading(&loading);
    if (code != GH_OK)
        return code;
    if (loading.failed)
        return gh_error_set(error, GH_ERROR_MEMORY,
                            "there is no memory for the stored MQTT sessions");
    if (loading.malformed > 0)
        gh_log(GH_LOG_ERROR, "broker",
               "%" PRIu64 " records of the journal of MQTT sessions are not understood and were "
               "passed over",
               loading.malformed);
    struct gh_broker_status status = gh_broker_status(broker);
    gh_log(GH_LOG_INFO, "broker",
           "%zu stored MQTT sessions, %zu subscriptions, %zu queued and %zu retained messages in "
           "%" PRId64 " ms",
           status.sessions, status.subscriptions, status.queued, status.retained,
           (gh_time_monotonic_ns() - began_ns) / GH_MS_NS);
    return GH_OK;
}
