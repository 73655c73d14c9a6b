/* Open and close, publishing, taps. */
#include "pubsub/pubsub.h"
#include "base/time.h"
#include "pubsub/pubsub_internal.h"
#include "pubsub/waiter.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { RECORD_BYTES_MAX = 16 * 1024 * 1024, FETCH_BYTES_MAX = RECORD_BYTES_MAX + 4096 };

int64_t gh_pubsub_now_ns(const struct gh_pubsub *ps)
{
    return ps->clock.monotonic_ns == NULL ? gh_time_monotonic_ns()
                                          : ps->clock.monotonic_ns(ps->clock.context);
}

int64_t gh_pubsub_now_ms(const struct gh_pubsub *ps)
{
    return ps->clock.utc_ms == NULL ? gh_time_utc_ms() : ps->clock.utc_ms(ps->clock.context);
}

void gh_pubsub_ring(struct gh_pubsub *ps)
{
    uint64_t one = 1;
    (void)!write(ps->bell, &one, sizeof one); /* a full counter means that it rings already */
}

void gh_pubsub_wake(struct gh_pubsub *ps)
{
    gh_pubsub_ring(ps);
}

void gh_pubsub_send(void *context, struct gh_letter *letter)
{
    struct gh_pubsub *ps = context;
    if (gh_mailbox_send(&ps->inbox, letter))
        gh_pubsub_ring(ps);
}

/* Fills `out` from a record; false: it is no message. Under `names`. */
static bool tapped_read(const struct gh_pubsub *ps, const struct gh_log_record *record,
                        struct gh_message_attribute *attributes, struct gh_tapped *out)
{
    const struct gh_pubsub_topic *topic =
        gh_map_get(&ps->topics_by_number, gh_pubsub_number_key(&record->tag));
    *out = (struct gh_tapped){.id = record->offset, .at_ms = record->at_ms};
    if (topic != NULL) {
        out->tenant = topic->topic.tenant;
        out->topic = topic->topic.name;
    }
    return record->tag != GH_PUBSUB_JOURNAL_TAG &&
           gh_message_decode(record->body, attributes, &out->message);
}

static void show_taps(struct gh_pubsub *ps, const struct gh_log_record *records, size_t count)
{
    struct gh_message_attribute attributes[GH_MESSAGE_ATTRIBUTES_MAX];
    struct gh_tapped tapped;
    pthread_rwlock_rdlock(&ps->names);
    for (size_t i = 0; i < count; i++)
        if (tapped_read(ps, &records[i], attributes, &tapped))
            for (const struct gh_tap *tap = ps->taps; tap != NULL; tap = tap->next)
                tap->fn(tap->context, &tapped);
    pthread_rwlock_unlock(&ps->names);
}

/* On the log thread, before the publishers hear of it. */
static void committed(void *context, const struct gh_log_record *records, size_t count)
{
    struct gh_pubsub *ps = context;
    int64_t messages = 0;
    for (size_t i = 0; i < count; i++)
        messages += records[i].tag != GH_PUBSUB_JOURNAL_TAG;
    gh_metric_add(ps->metrics, GH_METRIC_messages_stored_total, messages);
    pthread_mutex_lock(&ps->taps_lock);
    if (ps->taps != NULL)
        show_taps(ps, records, count);
    ps->tapped_to = records[count - 1].offset + 1;
    pthread_mutex_unlock(&ps->taps_lock);
    pthread_mutex_lock(&ps->grown_lock);
    pthread_cond_broadcast(&ps->grown);
    pthread_mutex_unlock(&ps->grown_lock);
    gh_pubsub_ring(ps);
}

static char *log_folder(const char *folder)
{
    size_t size = strlen(folder);
    char *path = malloc(size + sizeof "/log");
    if (path == NULL)
        return NULL;
    memcpy(path, folder, size);
    memcpy(path + size, "/log", sizeof "/log");
    return path;
}

static void locks_init(struct gh_pubsub *ps)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&ps->grown, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&ps->admin, NULL);
    pthread_mutex_init(&ps->lock, NULL);
    pthread_rwlock_init(&ps->names, NULL);
    pthread_mutex_init(&ps->taps_lock, NULL);
    pthread_mutex_init(&ps->grown_lock, NULL);
}

static struct gh_pubsub *pubsub_new(const struct gh_pubsub_options *options)
{
    struct gh_pubsub *ps = calloc(1, sizeof *ps);
    if (ps == NULL || (ps->folder = log_folder(options->folder)) == NULL) {
        free(ps);
        return NULL;
    }
    ps->store = options->store;
    ps->metrics = options->metrics;
    ps->clock = options->log.clock;
    ps->files = options->log.files == NULL ? gh_log_files_system() : options->log.files;
    ps->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    locks_init(ps);
    gh_map_init(&ps->topics);
    gh_map_init(&ps->subscriptions);
    gh_map_init(&ps->topics_by_number);
    gh_map_init(&ps->subscriptions_by_number);
    gh_map_init(&ps->snapshots);
    gh_mailbox_init(&ps->inbox);
    gh_buffer_init(&ps->fetched, FETCH_BYTES_MAX);
    return ps;
}

/* In the reverse order of open; what is not there is passed over. */
static void pubsub_free(struct gh_pubsub *ps)
{
    gh_log_reader_close(ps->reader);
    gh_log_hold_close(ps->hold);
    gh_pubsub_subscriptions_free(ps); /* they hold readers of the log */
    gh_log_close(ps->log);
    gh_pubsub_snapshots_free(ps);
    gh_pubsub_topics_free(ps);
    gh_buffer_deinit(&ps->fetched);
    if (ps->bell >= 0)
        close(ps->bell);
    pthread_mutex_destroy(&ps->admin);
    pthread_mutex_destroy(&ps->lock);
    pthread_rwlock_destroy(&ps->names);
    pthread_mutex_destroy(&ps->taps_lock);
    pthread_mutex_destroy(&ps->grown_lock);
    pthread_cond_destroy(&ps->grown);
    free(ps->folder);
    free(ps);
}

static enum gh_error_code start(struct gh_pubsub *ps, struct gh_error *error)
{
    enum gh_error_code code = gh_pubsub_topics_load(ps, error);
    if (code == GH_OK)
        code = gh_pubsub_subscriptions_load(ps, error);
    if (code == GH_OK)
        code = gh_pubsub_snapshots_load(ps, error);
    if (code == GH_OK)
        code = gh_pubsub_restore(ps, error);
    if (code != GH_OK)
        return code;
    /* All subscriptions catch up by themselves: the common reader begins at the end. */
    ps->read_to = ps->tapped_to = gh_log_next(ps->log);
    ps->reader = gh_log_reader_open(ps->log);
    ps->hold = gh_log_hold_open(ps->log, "a subscription", 0);
    if (ps->reader == NULL || ps->hold == NULL || ps->bell < 0)
        return gh_error_set(error, GH_ERROR_MEMORY, "no memory or descriptors for %s", ps->folder);
    gh_log_reader_seek(ps->reader, ps->read_to);
    if (pthread_create(&ps->thread, NULL, gh_pubsub_service_run, ps) != 0)
        return gh_error_set(error, GH_ERROR_MEMORY, "no thread for %s", ps->folder);
    return GH_OK;
}

struct gh_pubsub *gh_pubsub_open(const struct gh_pubsub_options *options, struct gh_error *error)
{
    struct gh_pubsub *ps = pubsub_new(options);
    if (ps == NULL) {
        gh_error_set(error, GH_ERROR_MEMORY, "no memory to open %s", options->folder);
        return NULL;
    }
    struct gh_log_options log = options->log;
    log.folder = ps->folder;
    log.watch = (struct gh_log_watch){.committed = committed, .context = ps};
    log.metrics = options->metrics;
    log.record_bytes_max = RECORD_BYTES_MAX;
    ps->log = gh_log_open(&log, error);
    if (ps->log == NULL || start(ps, error) != GH_OK) {
        pubsub_free(ps);
        return NULL;
    }
    return ps;
}

void gh_pubsub_close(struct gh_pubsub *ps)
{
    if (ps == NULL)
        return;
    assert(ps->taps == NULL);
    atomic_store(&ps->closing, true);
    gh_pubsub_ring(ps);
    pthread_join(ps->thread, NULL);
    pubsub_free(ps);
}

struct gh_log_status gh_pubsub_log_status(const struct gh_pubsub *ps)
{
    return gh_log_status(ps->log);
}

uint64_t gh_pubsub_next(const struct gh_pubsub *ps)
{
    return gh_log_next(ps->log);
}

/* On the log thread. */
static void publication_answer(void *context, struct gh_letter *letter)
{
    struct gh_publication *publication = context;
    (void)letter;
    free(publication->bytes);
    publication->bytes = NULL;
    publication->result = publication->append.result;
    publication->id = publication->append.offset;
    publication->at_ms = publication->append.at_ms;
    publication->reply(publication->reply_context, &publication->done);
}

static enum gh_error_code topic_number(struct gh_pubsub *ps, int64_t tenant, struct gh_slice name,
                                       uint32_t *number, struct gh_error *error)
{
    pthread_rwlock_rdlock(&ps->names);
    const struct gh_pubsub_topic *topic = gh_pubsub_topic_named(ps, tenant, name);
    *number = topic == NULL ? 0 : topic->topic.number;
    pthread_rwlock_unlock(&ps->names);
    if (*number != 0)
        return GH_OK;
    return gh_error_set(error, GH_ERROR_NOT_FOUND, "topic %.*s does not exist",
                        name.size > GH_PUBSUB_NAME_MAX ? GH_PUBSUB_NAME_MAX : (int)name.size,
                        (const char *)name.data);
}

/* The message was checked. */
static enum gh_error_code publish(struct gh_pubsub *ps, uint32_t topic,
                                  const struct gh_message *message,
                                  struct gh_publication *publication, struct gh_error *error)
{
    size_t size = gh_message_encoded_bytes(message);
    publication->bytes = malloc(size);
    if (publication->bytes == NULL)
        return gh_error_set(error, GH_ERROR_MEMORY, "no memory for a message of %zu bytes", size);
    struct gh_buffer encoded = gh_buffer_fixed(publication->bytes, size);
    bool whole = gh_message_encode(message, &encoded);
    assert(whole && encoded.size == size);
    publication->append = (struct gh_append){.reply = publication_answer,
                                             .reply_context = publication,
                                             .tag = topic,
                                             .body = gh_buffer_slice(&encoded)};
    if (whole && gh_log_append(ps->log, &publication->append))
        return GH_OK;
    free(publication->bytes);
    publication->bytes = NULL;
    return gh_error_set(error, GH_ERROR_UNAVAILABLE, "the message log's queue is full");
}

enum gh_error_code gh_pubsub_publish(struct gh_pubsub *ps, int64_t tenant, struct gh_slice topic,
                                     const struct gh_message *message,
                                     struct gh_publication *publication, struct gh_error *error)
{
    uint32_t number;
    enum gh_error_code code = topic_number(ps, tenant, topic, &number, error);
    if (code == GH_OK)
        code = gh_message_check(message, error);
    return code == GH_OK ? publish(ps, number, message, publication, error) : code;
}

static enum gh_error_code messages_check(const struct gh_message *messages, size_t count,
                                         struct gh_error *error)
{
    size_t bytes = 0;
    if (count == 0 || count > GH_MESSAGES_PER_PUBLISH_MAX)
        return gh_error_set(error, GH_ERROR_INVALID, "a publish has 1 to %d messages",
                            GH_MESSAGES_PER_PUBLISH_MAX);
    for (size_t i = 0; i < count; i++) {
        enum gh_error_code code = gh_message_check(&messages[i], error);
        if (code != GH_OK)
            return code;
        bytes += messages[i].data.size;
        for (size_t n = 0; n < messages[i].attributes_count; n++)
            bytes += messages[i].attributes[n].key.size + messages[i].attributes[n].value.size;
    }
    if (bytes > GH_MESSAGE_BYTES_MAX)
        return gh_error_set(error, GH_ERROR_INVALID, "a publish has at most %d bytes",
                            GH_MESSAGE_BYTES_MAX);
    return GH_OK;
}

enum gh_error_code gh_pubsub_publish_wait(struct gh_pubsub *ps, int64_t tenant,
                                          struct gh_slice topic, const struct gh_message *messages,
                                          size_t count, uint64_t *ids, struct gh_error *error)
{
    struct gh_waiter waiter;
    uint32_t number;
    size_t taken = 0;
    enum gh_error_code code = topic_number(ps, tenant, topic, &number, error);
    if (code == GH_OK)
        code = messages_check(messages, count, error);
    if (code != GH_OK)
        return code;
    struct gh_publication *publications = calloc(count, sizeof *publications);
    if (publications == NULL)
        return gh_error_set(error, GH_ERROR_MEMORY, "no memory to publish %zu messages", count);
    gh_waiter_init(&waiter);
    while (code == GH_OK && taken < count) {
        publications[taken].reply = gh_waiter_reply;
        publications[taken].reply_context = &waiter;
        code = publish(ps, number, &messages[taken], &publications[taken], error);
        taken += code == GH_OK;
    }
    gh_waiter_wait(&waiter, taken);
    for (size_t i = 0; i < taken; i++) {
        ids[i] = publications[i].id;
        if (code == GH_OK && publications[i].result != GH_OK)
            code = gh_error_set(error, publications[i].result, "the message could not be stored");
    }
    free(publications);
    return code;
}

struct gh_tap *gh_pubsub_tap(struct gh_pubsub *ps, gh_pubsub_tap_fn *fn, void *context,
                             uint64_t *from)
{
    struct gh_tap *tap = calloc(1, sizeof *tap);
    if (tap == NULL)
        return NULL;
    *tap = (struct gh_tap){.owner = ps, .fn = fn, .context = context};
    pthread_mutex_lock(&ps->taps_lock);
    bool room = ps->taps_count < GH_PUBSUB_TAPS_MAX;
    if (room) {
        tap->next = ps->taps;
        ps->taps = tap;
        ps->taps_count++;
        if (from != NULL)
            *from = ps->tapped_to;
    }
    pthread_mutex_unlock(&ps->taps_lock);
    if (room)
        return tap;
    free(tap);
    return NULL;
}

void gh_pubsub_untap(struct gh_tap *tap)
{
    if (tap == NULL)
        return;
    struct gh_pubsub *ps = tap->owner;
    pthread_mutex_lock(&ps->taps_lock);
    struct gh_tap **at = &ps->taps;
    while (*at != tap)
        at = &(*at)->next;
    *at = tap->next;
    ps->taps_count--;
    pthread_mutex_unlock(&ps->taps_lock);
    free(tap);
}
