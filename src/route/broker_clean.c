/* The cleaner: keeps the journal near the size of what is alive in it. Its oldest records are read;
 * what still counts is written again at the end, then the old segments go.
 *
 * Each copy keeps its order to other records of the same thing: sessions, filters and taken packet
 * ids are appended under the session's lock, retained messages under the space's. Entries of queues
 * are looked at again when their copy is safe: one that ended meanwhile gets a DONE behind it. */
#include "base/log.h"
#include "base/time.h"
#include "route/broker_internal.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    STEP_BYTES = 16 << 20, /* of old records in one go */
    FLYING_MAX = 1024,     /* copies under way */
};
#define PERIOD_MS INT64_C(1000)
#define SLACK_BYTES (INT64_C(64) << 20)

struct copy {
    struct gh_append append; /* first */
    struct cleaner *cleaner;
    struct copy *next;
    uint64_t old_offset;
    struct gh_route_message *message; /* or */
    struct gh_buffer change;
};

struct cleaner {
    struct gh_broker *broker;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    bool stops;
    size_t flying;
    struct copy *landed; /* to be looked at again */
    atomic_bool failed;
    uint64_t from; /* what stands before it counts no more */
    uint32_t pass;
    int64_t copied;   /* bytes in this pass */
    int64_t rests_to; /* nothing is done before the journal has so many bytes */
    int64_t slack_bytes, period_ms;
};

/* --- copies */

static void landed(void *context, struct gh_letter *letter)
{
    struct copy *copy = (struct copy *)letter;
    struct cleaner *cleaner = context;
    pthread_mutex_lock(&cleaner->lock);
    cleaner->flying--;
    if (copy->append.result != GH_OK)
        cleaner->failed = true;
    copy->next = cleaner->landed;
    cleaner->landed = copy;
    pthread_cond_signal(&cleaner->moved);
    pthread_mutex_unlock(&cleaner->lock);
}

static void free_copy(struct copy *copy)
{
    gh_route_message_unref(copy->message);
    gh_buffer_deinit(&copy->change);
    free(copy);
}

static struct copy *copy_new(struct cleaner *cleaner, uint64_t old_offset)
{
    struct copy *copy = calloc(1, sizeof *copy);
    if (copy == NULL)
        return NULL;
    copy->cleaner = cleaner;
    copy->old_offset = old_offset;
    gh_buffer_init(&copy->change, SIZE_MAX / 2);
    return copy;
}

static void send_copy(struct copy *copy)
{
    struct cleaner *cleaner = copy->cleaner;
    bool message = copy->message != NULL;
    copy->append = (struct gh_append){.reply = landed,
                                      .reply_context = cleaner,
                                      .tag = message ? GH_JOURNAL_MESSAGE : GH_JOURNAL_CHANGES,
                                      .body = message ? gh_route_message_record(copy->message)
                                                      : gh_buffer_slice(&copy->change)};
    pthread_mutex_lock(&cleaner->lock);
    cleaner->flying++;
    pthread_mutex_unlock(&cleaner->lock);
    cleaner->copied += (int64_t)copy->append.body.size;
    if (gh_log_append(cleaner->broker->log, &copy->append))
        return;
    pthread_mutex_lock(&cleaner->lock);
    cleaner->flying--;
    cleaner->failed = true;
    pthread_mutex_unlock(&cleaner->lock);
    free_copy(copy);
}

static void send_change(struct cleaner *cleaner, const struct gh_journal_change *change)
{
    struct copy *copy = copy_new(cleaner, 0);
    if (copy == NULL || !gh_journal_write(&copy->change, change)) {
        cleaner->failed = true;
        if (copy != NULL)
            free_copy(copy);
        return;
    }
    send_copy(copy);
}

static struct session *session_by_number(struct gh_broker *broker, uint64_t number)
{
    pthread_mutex_lock(&broker->lock);
    struct session *session = gh_map_get(&broker->by_number, gh_slice(&number, sizeof number));
    if (session != NULL)
        session_ref(session);
    pthread_mutex_unlock(&broker->lock);
    return session;
}

/* --- what counts of an old record */

static void clean_session(struct cleaner *cleaner, struct session *session)
{
    if (session->inbox->cleaned_pass == cleaner->pass)
        return;
    session->inbox->cleaned_pass = cleaner->pass;
    struct gh_journal_change change = session_change(session);
    send_change(cleaner, &change);
}

static void clean_filter(struct cleaner *cleaner, struct session *session, struct gh_slice filter)
{
    struct subscription *subscription = session->inbox->subscriptions;
    while (subscription != NULL && !gh_slice_equal(subscription->filter, filter))
        subscription = subscription->next;
    if (subscription == NULL || subscription->cleaned_pass == cleaner->pass)
        return;
    subscription->cleaned_pass = cleaner->pass;
    send_change(cleaner, &(struct gh_journal_change){.kind = GH_JOURNAL_FILTER,
                                                     .session = session->inbox->number,
                                                     .filter = subscription->filter,
                                                     .options = subscription_options(subscription),
                                                     .identifier = subscription->identifier});
}

/* Of one that has ended but not passed on yet what it had: after a restart its groups must be
 * known.
 */
static void clean_left_filter(struct cleaner *cleaner, struct session *session,
                              struct gh_slice filter)
{
    if (!passing_names(session->inbox->passing, filter))
        return;
    send_change(cleaner, &(struct gh_journal_change){.kind = GH_JOURNAL_FILTER,
                                                     .session = session->inbox->number,
                                                     .filter = filter,
                                                     .options = 1});
}

static void clean_taken(struct cleaner *cleaner, struct session *session, uint16_t packet_id)
{
    for (size_t i = 0; i < session->inbox->taken_count; i++)
        if (session->inbox->taken[i].packet_id == packet_id) {
            send_change(cleaner, &(struct gh_journal_change){.kind = GH_JOURNAL_TAKEN,
                                                             .session = session->inbox->number,
                                                             .packet_id = packet_id});
            return;
        }
}

static void clean_received(struct cleaner *cleaner, struct session *session, uint64_t sequence)
{
    const struct gh_queue_entry *entry = gh_queue_entry(&session->inbox->queue, sequence);
    if (entry != NULL && entry->state == GH_QUEUE_RECEIVED)
        send_change(cleaner, &(struct gh_journal_change){.kind = GH_JOURNAL_RECEIVED,
                                                         .session = session->inbox->number,
                                                         .sequence = sequence});
}

static void clean_change(struct cleaner *cleaner, const struct gh_journal_change *change)
{
    struct session *session = change->kind == GH_JOURNAL_RETAINED_GONE
                                  ? NULL
                                  : session_by_number(cleaner->broker, change->session);
    if (session == NULL)
        return;
    gh_latch_take(&session->lock);
    if (change->kind == GH_JOURNAL_SESSION || change->kind == GH_JOURNAL_DETACHED) {
        if (!session->buried) /* nothing may stand behind its end */
            clean_session(cleaner, session);
    } else if (session->gone) {
        if (!session->buried && change->kind == GH_JOURNAL_FILTER)
            clean_left_filter(cleaner, session, change->filter);
    } else {
        if (change->kind == GH_JOURNAL_FILTER)
            clean_filter(cleaner, session, change->filter);
        else if (change->kind == GH_JOURNAL_TAKEN)
            clean_taken(cleaner, session, change->packet_id);
        else if (change->kind == GH_JOURNAL_RECEIVED)
            clean_received(cleaner, session, change->sequence);
    }
    gh_latch_give(&session->lock);
    session_unref(session);
}

enum counts { COUNTS_NOT, COUNTS, COUNTS_UNKNOWN /* its queue has not heard of the record yet */ };

/* Of a session that ends, the entries count until they have been passed on. */
static enum counts target_counts(struct gh_broker *broker, struct gh_route_target *target,
                                 uint64_t offset)
{
    enum counts counts = COUNTS_NOT;
    struct session *session = session_by_number(broker, target->session);
    if (session == NULL)
        return COUNTS_NOT;
    gh_latch_take(&session->lock);
    const struct gh_queue_entry *entry = gh_queue_entry(&session->inbox->queue, target->sequence);
    if (entry != NULL && entry->offset == offset)
        counts = COUNTS;
    else if (entry != NULL && entry->offset == 0)
        counts = COUNTS_UNKNOWN;
    if (counts == COUNTS && (entry->state >= GH_QUEUE_SENT || (entry->flags & ENTRY_DUP) != 0))
        target->flags |= GH_TARGET_SENT;
    gh_latch_give(&session->lock);
    session_unref(session);
    return counts;
}

static void clean_publisher(struct cleaner *cleaner, const struct gh_route_message *message)
{
    if (message->publisher == 0)
        return;
    struct session *session = session_by_number(cleaner->broker, message->publisher);
    if (session == NULL)
        return;
    gh_latch_take(&session->lock);
    clean_taken(cleaner, session, message->packet_id);
    gh_latch_give(&session->lock);
    session_unref(session);
}

static struct gh_route_message *copy_message(const struct gh_route_message *old)
{
    return gh_route_message_new(
        &(struct gh_route_draft){.tenant = old->tenant,
                                 .topic = old->topic,
                                 .properties = old->properties,
                                 .payload = old->payload,
                                 .qos = old->qos,
                                 .retained = old->retained,
                                 .published_at_ms = old->published_at_ms,
                                 .expires_at_ms = old->expires_at_ms,
                                 .recorded = true,
                                 .targets_max = gh_route_targets_count(old)});
}

/* The record again with those targets that count; NULL when it has to wait or there is no memory.
 */
static struct copy *copy_record(struct cleaner *cleaner, const struct gh_route_message *old,
                                uint64_t offset)
{
    struct gh_route_target target;
    struct copy *copy = copy_new(cleaner, offset);
    if (copy == NULL)
        return NULL;
    copy->message = copy_message(old);
    bool good = copy->message != NULL;
    for (struct gh_slice at = old->targets; good && gh_route_target_next(&at, &target);) {
        enum counts counts = target_counts(cleaner->broker, &target, offset);
        if (counts == COUNTS)
            gh_route_message_add(copy->message, &target);
        good = counts != COUNTS_UNKNOWN;
    }
    if (good)
        return copy;
    free_copy(copy);
    return NULL;
}

/* Sends the copy if it is still the topic's retained message. Any later one is appended under the
 * same lock, and so behind it. */
static enum counts send_retained(struct cleaner *cleaner, struct copy *copy)
{
    enum counts counts = COUNTS_NOT;
    struct space *space = space_of(cleaner->broker, copy->message->tenant);
    if (space == NULL)
        return COUNTS_UNKNOWN;
    pthread_mutex_lock(&space->retained_lock);
    const struct retained *there = gh_retained_tree_get(&space->retained, copy->message->topic);
    if (there != NULL && there->offset == copy->old_offset)
        counts = COUNTS;
    else if (there != NULL && there->offset == 0)
        counts = COUNTS_UNKNOWN;
    if (counts == COUNTS)
        send_copy(copy);
    pthread_mutex_unlock(&space->retained_lock);
    return counts;
}

/* False: the step ends before this record. */
static bool clean_message(struct cleaner *cleaner, const struct gh_log_record *record)
{
    struct gh_route_message old;
    if (!gh_route_message_read(record->body, &old))
        return true;
    struct copy *copy = copy_record(cleaner, &old, record->offset);
    if (copy == NULL)
        return false;
    enum counts retained = old.retained ? send_retained(cleaner, copy) : COUNTS_NOT;
    if (retained == COUNTS_UNKNOWN) {
        free_copy(copy);
        return false;
    }
    clean_publisher(cleaner, &old);
    if (retained == COUNTS)
        return true;
    gh_route_message_no_longer_retained(copy->message);
    if (gh_route_targets_count(copy->message) > 0)
        send_copy(copy);
    else
        free_copy(copy);
    return true;
}

/* --- when copies are safe */

static void move_target(struct copy *copy, const struct gh_route_target *target)
{
    struct cleaner *cleaner = copy->cleaner;
    struct session *session = session_by_number(cleaner->broker, target->session);
    if (session == NULL)
        return; /* its SESSION_GONE stands behind the copy, or it has no SESSION at all */
    gh_latch_take(&session->lock);
    struct gh_queue_entry *entry = gh_queue_entry(&session->inbox->queue, target->sequence);
    if (entry != NULL && entry->offset == copy->old_offset) {
        entry->offset = copy->append.offset;
        entry->position = copy->append.position;
    } else if (entry == NULL) {
        send_change(cleaner, &(struct gh_journal_change){.kind = GH_JOURNAL_DONE,
                                                         .session = target->session,
                                                         .sequence = target->sequence});
    }
    gh_latch_give(&session->lock);
    session_unref(session);
}

static void move_retained(struct copy *copy)
{
    struct space *space = space_of(copy->cleaner->broker, copy->message->tenant);
    if (space == NULL)
        return;
    pthread_mutex_lock(&space->retained_lock);
    struct retained *there = gh_retained_tree_get(&space->retained, copy->message->topic);
    if (there != NULL && there->offset == copy->old_offset) {
        there->offset = copy->append.offset;
        there->position = copy->append.position;
    }
    pthread_mutex_unlock(&space->retained_lock);
}

static void settle(struct copy *copy)
{
    struct gh_route_target target;
    if (copy->append.result == GH_OK && copy->message != NULL) {
        if (copy->message->retained)
            move_retained(copy);
        for (struct gh_slice at = copy->message->targets; gh_route_target_next(&at, &target);)
            move_target(copy, &target);
    }
    free_copy(copy);
}

/* Waits until at most `flying_max` copies are under way, looking at those that are safe. */
static void drain(struct cleaner *cleaner, size_t flying_max)
{
    pthread_mutex_lock(&cleaner->lock);
    while (cleaner->flying > flying_max || cleaner->landed != NULL) {
        struct copy *copies = cleaner->landed;
        cleaner->landed = NULL;
        if (copies == NULL) {
            pthread_cond_wait(&cleaner->moved, &cleaner->lock);
            continue;
        }
        pthread_mutex_unlock(&cleaner->lock);
        for (struct copy *next; copies != NULL; copies = next) {
            next = copies->next;
            settle(copies);
        }
        pthread_mutex_lock(&cleaner->lock);
    }
    pthread_mutex_unlock(&cleaner->lock);
}

/* --- passes */

static bool clean_record(struct cleaner *cleaner, const struct gh_log_record *record)
{
    struct gh_slice at = record->body;
    struct gh_journal_change change;
    if (record->tag == GH_JOURNAL_MESSAGE)
        return clean_message(cleaner, record);
    if (record->tag == GH_JOURNAL_CHANGES)
        while (gh_journal_next(&at, &change) == GH_JOURNAL_CHANGE)
            clean_change(cleaner, &change);
    return true;
}

/* What made a record count no more may itself be on its way to the disk: it is waited for, in that
 * an empty record behind it is. */
static void wait_for_all(struct cleaner *cleaner)
{
    struct copy *last = copy_new(cleaner, 0);
    if (last == NULL)
        cleaner->failed = true;
    else
        send_copy(last);
    drain(cleaner, 0);
}

/* Looks at records from where the last step ended; the copies themselves are not looked at. */
static size_t clean_some(struct cleaner *cleaner, struct gh_log_reader *reader, uint64_t *from)
{
    struct gh_log_record record;
    size_t bytes = 0;
    uint64_t end = gh_log_next(cleaner->broker->log);
    gh_log_reader_seek(reader, cleaner->from);
    *from = cleaner->from;
    while (bytes < STEP_BYTES && !cleaner->failed && gh_log_reader_offset(reader) < end) {
        enum gh_log_read read = gh_log_reader_next(reader, GH_LOG_ANY_TAG, &record);
        if (read == GH_LOG_READ_PAUSE)
            continue;
        if (read != GH_LOG_READ_RECORD || !clean_record(cleaner, &record))
            break;
        *from = gh_log_reader_offset(reader);
        bytes += record.body.size;
        drain(cleaner, FLYING_MAX);
    }
    return bytes;
}

/* False: nothing was gained. */
static bool clean_step(struct cleaner *cleaner)
{
    struct gh_log *log = cleaner->broker->log;
    struct gh_log_reader *reader = gh_log_reader_open(log);
    uint64_t from;
    if (reader == NULL)
        return false;
    cleaner->pass++;
    cleaner->copied = 0;
    cleaner->failed = false;
    size_t bytes = clean_some(cleaner, reader, &from);
    gh_log_reader_close(reader);
    wait_for_all(cleaner);
    if (cleaner->failed || from == cleaner->from)
        return false;
    cleaner->from = from;
    gh_log_hold_move(cleaner->broker->hold, from);
    gh_log_tidy(log);
    if (cleaner->copied > (int64_t)bytes / 2) /* most of it is alive, whatever the estimate says */
        cleaner->rests_to = (int64_t)gh_log_status(log).bytes + cleaner->slack_bytes / 4;
    return true;
}

static bool worth_it(const struct cleaner *cleaner)
{
    struct gh_broker *broker = cleaner->broker;
    int64_t bytes = (int64_t)gh_log_status(broker->log).bytes;
    return bytes > 2 * atomic_load(&broker->live_bytes) + cleaner->slack_bytes &&
           bytes >= cleaner->rests_to;
}

static void wait_a_while(struct cleaner *cleaner)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t at_ns = until.tv_nsec + cleaner->period_ms * GH_MS_NS;
    until.tv_sec += (time_t)(at_ns / GH_SECOND_NS);
    until.tv_nsec = (long)(at_ns % GH_SECOND_NS);
    pthread_cond_timedwait(&cleaner->moved, &cleaner->lock, &until);
}

static void *run(void *context)
{
    struct cleaner *cleaner = context;
    pthread_mutex_lock(&cleaner->lock);
    while (!cleaner->stops) {
        bool gains = true;
        wait_a_while(cleaner);
        while (gains && !cleaner->stops && worth_it(cleaner)) {
            pthread_mutex_unlock(&cleaner->lock);
            gains = clean_step(cleaner);
            pthread_mutex_lock(&cleaner->lock);
        }
    }
    pthread_mutex_unlock(&cleaner->lock);
    return NULL;
}

struct cleaner *cleaner_open(struct gh_broker *broker)
{
    const struct gh_broker_options *options = &broker->options;
    struct cleaner *cleaner = calloc(1, sizeof *cleaner);
    pthread_condattr_t clock;
    if (cleaner == NULL)
        return NULL;
    cleaner->broker = broker;
    cleaner->from = gh_log_status(broker->log).first;
    cleaner->slack_bytes =
        options->clean_slack_bytes > 0 ? options->clean_slack_bytes : SLACK_BYTES;
    cleaner->period_ms = options->clean_period_ms > 0 ? options->clean_period_ms : PERIOD_MS;
    pthread_mutex_init(&cleaner->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&cleaner->moved, &clock);
    pthread_condattr_destroy(&clock);
    if (pthread_create(&cleaner->thread, NULL, run, cleaner) == 0)
        return cleaner;
    pthread_cond_destroy(&cleaner->moved);
    pthread_mutex_destroy(&cleaner->lock);
    free(cleaner);
    return NULL;
}

void cleaner_close(struct cleaner *cleaner)
{
    if (cleaner == NULL)
        return;
    pthread_mutex_lock(&cleaner->lock);
    cleaner->stops = true;
    pthread_cond_signal(&cleaner->moved);
    pthread_mutex_unlock(&cleaner->lock);
    pthread_join(cleaner->thread, NULL);
    pthread_cond_destroy(&cleaner->moved);
    pthread_mutex_destroy(&cleaner->lock);
    free(cleaner);
}
