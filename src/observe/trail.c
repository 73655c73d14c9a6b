/* The trail: a bounded queue in front of the store. The queue keeps an entry until its commit, so
 * that a reader who looks at the queue first and at the store after it, below the lowest sequence
 * of the queue, sees each entry exactly once. */
#include "observe/trail.h"
#include "base/log.h"
#include "base/time.h"
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    BATCH_MAX = 1024,  /* entries in one transaction */
    SHOW_MS = 10,      /* between two looks at what is new, when much is noted */
    RETRY_MS = 1000,   /* after the store refused a batch */
    LIMIT_MAX = 10000, /* of one list */
    TEXTS = 6,         /* of an entry */
};

/* An entry with its texts behind it, in one block. */
struct pending {
    struct pending *next;
    struct gh_trail_entry entry;
    char texts[];
};

struct gh_trail_watch {
    struct gh_trail_watch *next;
    gh_trail_watch_fn *fn;
    void *context;
};

struct gh_trail {
    struct gh_store *store;
    struct gh_metrics *metrics;
    pthread_t thread;

    pthread_mutex_t lock; /* guards all down to `failing`; never held over a call of the store */
    pthread_cond_t noted; /* something to do */
    pthread_cond_t done;  /* `written` or `failed` changed */
    struct pending *first,
        **last; /* in the order of their sequences, contiguous up to `sequence` */
    size_t count;
    struct pending *unseen; /* the first that no watch has seen, NULL when they have seen all */
    int64_t sequence;       /* of the newest entry */
    int64_t written;        /* all up to here are in the store */
    uint64_t failures;      /* of the store */
    struct gh_error error;  /* of the last failure */
    bool hurry, stopping;
    bool rests;            /* the thread has just looked, and looks again by itself */
    int64_t rest_until_ns; /* how long it rests */
    int64_t write_at_ns;   /* when the first entry is written at the latest; 0: not set */
    bool failing;

    struct gh_trail_entry *batch; /* the thread's own */
    pthread_mutex_t watch_lock;   /* held while the watches are called */
    struct gh_trail_watch *watches;
};

static const char *const kind_names[] = {
    [GH_TRAIL_CONNECT] = "connect",
    [GH_TRAIL_DISCONNECT] = "disconnect",
    [GH_TRAIL_REFUSAL] = "refusal",
    [GH_TRAIL_PUBLISH_DENIED] = "publish_denied",
    [GH_TRAIL_SUBSCRIBE_DENIED] = "subscribe_denied",
    [GH_TRAIL_CONFIG_SENT] = "config_sent",
    [GH_TRAIL_CONFIG_ACK] = "config_ack",
    [GH_TRAIL_COMMAND] = "command",
    [GH_TRAIL_OPERATOR] = "operator",
    [GH_TRAIL_PUBLISH] = "publish",
    [GH_TRAIL_SUBSCRIBE] = "subscribe",
    [GH_TRAIL_HEARTBEAT] = "heartbeat",
    [GH_TRAIL_TOKEN] = "token",
    [GH_TRAIL_ATTACH] = "attach",
    [GH_TRAIL_DETACH] = "detach",
    [GH_TRAIL_ALERT] = "alert",
};
static_assert(GH_COUNT(kind_names) == GH_TRAIL_KIND_END, "a name for each kind");

const char *gh_trail_kind_name(enum gh_trail_kind kind)
{
    return kind >= GH_TRAIL_CONNECT && kind < GH_TRAIL_KIND_END ? kind_names[kind] : "unknown";
}

bool gh_trail_kind_parse(struct gh_slice name, enum gh_trail_kind *out)
{
    for (int kind = GH_TRAIL_CONNECT; kind < GH_TRAIL_KIND_END; kind++)
        if (gh_slice_equal(name, gh_slice_text(kind_names[kind]))) {
            *out = (enum gh_trail_kind)kind;
            return true;
        }
    return false;
}

/* --- noting --- */

/* The texts of an entry, in the order in which they are copied. */
static void texts_of(struct gh_trail_entry *entry, struct gh_slice *texts[TEXTS])
{
    struct gh_slice *all[TEXTS] = {&entry->tenant, &entry->registry, &entry->device_id,
                                   &entry->reason, &entry->detail,   &entry->address};
    memcpy(texts, all, sizeof all);
}

/* At most GH_TRAIL_TEXT_MAX bytes, not cut inside a character of UTF-8. */
static struct gh_slice cut(struct gh_slice text)
{
    size_t size = text.size;
    if (size > GH_TRAIL_TEXT_MAX)
        for (size = GH_TRAIL_TEXT_MAX; size > 0 && (text.data[size] & 0xc0) == 0x80;)
            size--;
    return gh_slice(text.data, size);
}

/* A copy in one block; NULL without memory. */
static struct pending *pending_make(const struct gh_trail_entry *entry)
{
    struct gh_trail_entry copy = *entry;
    struct gh_slice *texts[TEXTS];
    size_t size = 0, at = 0;
    texts_of(&copy, texts);
    for (size_t i = 0; i < TEXTS; i++) {
        *texts[i] = cut(*texts[i]);
        size += texts[i]->size;
    }
    struct pending *pending = malloc(sizeof *pending + size);
    if (pending == NULL)
        return NULL;
    for (size_t i = 0; i < TEXTS; i++) {
        if (texts[i]->size > 0)
            memcpy(pending->texts + at, texts[i]->data, texts[i]->size);
        *texts[i] = gh_slice(pending->texts + at, texts[i]->size);
        at += texts[i]->size;
    }
    if (copy.at_ms == 0)
        copy.at_ms = gh_time_utc_ms();
    pending->next = NULL;
    pending->entry = copy;
    return pending;
}

/* Whether there is enough for a write. After a failure only time or haste brings the next attempt.
 * The lock is held. */
static bool is_full(const struct gh_trail *trail)
{
    return trail->count >= BATCH_MAX && !trail->failing;
}

/* Puts the entry at the end; true when the thread is to be woken for it. To wake it for each entry
 * of a crowd would cost more than the entry. The lock is held. */
static bool append(struct gh_trail *trail, struct pending *pending)
{
    bool first = trail->unseen == NULL;
    pending->entry.sequence = ++trail->sequence;
    *trail->last = pending;
    trail->last = &pending->next;
    trail->count++;
    if (first)
        trail->unseen = pending;
    return trail->rests ? trail->count == BATCH_MAX : first;
}

void gh_trail_note(struct gh_trail *trail, const struct gh_trail_entry *entry)
{
    assert(entry->kind >= GH_TRAIL_CONNECT && entry->kind < GH_TRAIL_KIND_END);
    struct pending *pending = pending_make(entry);
    pthread_mutex_lock(&trail->lock);
    bool kept = pending != NULL && trail->count < GH_TRAIL_PENDING_MAX;
    bool wake = kept && append(trail, pending);
    pthread_mutex_unlock(&trail->lock);
    if (wake)
        pthread_cond_signal(&trail->noted);
    gh_metric_add(trail->metrics,
                  kept ? GH_METRIC_trail_noted_total : GH_METRIC_trail_dropped_total, 1);
    if (!kept)
        free(pending);
}

/* --- the thread --- */

/* Shows the watches what they have not seen. An entry stays in the queue until the thread itself
 * writes it, so it is safe to read here without the lock. */
static void show(struct gh_trail *trail, struct pending *from, int64_t to)
{
    pthread_mutex_lock(&trail->watch_lock);
    for (struct gh_trail_watch *watch = trail->watches; watch != NULL; watch = watch->next)
        for (struct pending *at = from; at != NULL && at->entry.sequence <= to;
             at = at->entry.sequence < to ? at->next : NULL)
            watch->fn(watch->context, &at->entry);
    pthread_mutex_unlock(&trail->watch_lock);
}

/* Writes the first entries of the queue, up to the sequence `to`, and drops them from it. What was
 * noted since the watches were shown stays: `unseen` points to it. */
static bool write_batch(struct gh_trail *trail, struct gh_trail_entry *batch, int64_t to)
{
    struct gh_error error = {0};
    size_t count = 0;
    pthread_mutex_lock(&trail->lock);
    for (struct pending *at = trail->first;
         at != NULL && at->entry.sequence <= to && count < BATCH_MAX; at = at->next)
        batch[count++] = at->entry;
    pthread_mutex_unlock(&trail->lock);
    if (count == 0)
        return true;
    enum gh_error_code code = gh_store_trail_append(trail->store, batch, count, &error);
    struct pending *written = NULL;
    pthread_mutex_lock(&trail->lock);
    if (code == GH_OK) {
        written = trail->first;
        struct pending **end = &trail->first;
        for (size_t i = 0; i < count; i++)
            end = &(*end)->next;
        trail->first = *end;
        *end = NULL;
        if (trail->first == NULL)
            trail->last = &trail->first;
        trail->count -= count;
        trail->written = batch[count - 1].sequence;
    } else {
        trail->failures++;
        trail->error = error;
    }
    pthread_cond_broadcast(&trail->done);
    pthread_mutex_unlock(&trail->lock);
    while (written != NULL) {
        struct pending *next = written->next;
        free(written);
        written = next;
    }
    return code == GH_OK;
}

/* False once it is `until_ns`. The lock is held. */
static bool wait_until(struct gh_trail *trail, int64_t until_ns)
{
    struct timespec at = {.tv_sec = until_ns / GH_SECOND_NS, .tv_nsec = until_ns % GH_SECOND_NS};
    return pthread_cond_timedwait(&trail->noted, &trail->lock, &at) == 0;
}

static bool is_called(const struct gh_trail *trail)
{
    return trail->hurry || trail->stopping || is_full(trail);
}

/* Waits for something to show or to write: first the rest, then for what is noted. The lock is
 * held. */
static void wait_for_work(struct gh_trail *trail)
{
    trail->rests = trail->rest_until_ns != 0;
    while (trail->rests && !is_called(trail))
        trail->rests = wait_until(trail, trail->rest_until_ns);
    trail->rests = false;
    while (trail->unseen == NULL && !is_called(trail)) {
        if (trail->first == NULL)
            pthread_cond_wait(&trail->noted, &trail->lock);
        else if (!wait_until(trail, trail->write_at_ns))
            break;
    }
}

/* Whether the queue's first entries are to be written now: they have waited for others, they fill a
 * batch, or somebody waits for them. The lock is held. */
static bool write_is_due(struct gh_trail *trail, int64_t now_ns)
{
    bool hurry = trail->hurry || trail->stopping;
    trail->hurry = false;
    if (trail->first == NULL)
        return false;
    if (trail->write_at_ns == 0)
        trail->write_at_ns = now_ns + GH_TRAIL_FLUSH_MS * GH_MS_NS;
    return hurry || now_ns >= trail->write_at_ns || is_full(trail);
}

/* One turn: show what is new, write what is due. False at the end. */
static bool turn(struct gh_trail *trail, struct gh_trail_entry *batch)
{
    pthread_mutex_lock(&trail->lock);
    wait_for_work(trail);
    struct pending *unseen = trail->unseen;
    int64_t newest = trail->sequence, now_ns = gh_time_monotonic_ns();
    bool due = write_is_due(trail, now_ns), stopping = trail->stopping;
    trail->unseen = NULL;
    trail->rest_until_ns = unseen == NULL ? 0 : now_ns + SHOW_MS * GH_MS_NS;
    pthread_mutex_unlock(&trail->lock);
    if (unseen != NULL)
        show(trail, unseen, newest);
    if (!due)
        return !stopping;
    bool good = write_batch(trail, batch, newest);
    if (!good && !trail->failing)
        gh_log(GH_LOG_WARN, "trail", "entries wait in memory: %s", trail->error.text);
    trail->failing = !good;
    trail->write_at_ns = good ? 0 : now_ns + RETRY_MS * GH_MS_NS;
    return good || !stopping;
}

static void *run(void *context)
{
    struct gh_trail *trail = context;
    while (turn(trail, trail->batch))
        continue;
    return NULL;
}

/* --- reading --- */

static bool matches(const struct gh_trail_entry *entry, const struct gh_trail_filter *filter)
{
    return (filter->device == 0 || entry->device == filter->device) &&
           (filter->tenant.size == 0 || gh_slice_equal(entry->tenant, filter->tenant)) &&
           (filter->kinds == 0 || (filter->kinds >> entry->kind & 1) != 0) &&
           entry->at_ms >= filter->from_ms &&
           (filter->to_ms == 0 || entry->at_ms < filter->to_ms) &&
           (filter->before == 0 || entry->sequence < filter->before);
}

static bool entry_copy(struct gh_arena *arena, const struct gh_trail_entry *entry,
                       struct gh_trail_entry *out)
{
    struct gh_slice *texts[TEXTS];
    *out = *entry;
    texts_of(out, texts);
    for (size_t i = 0; i < TEXTS; i++)
        if (!gh_arena_copy(arena, *texts[i], texts[i]))
            return false;
    return true;
}

/* The entries of the queue that match, newest first, at most `limit`; the lock is held. NULL
 * without memory. */
static struct gh_trail_entry *list_pending(struct gh_trail *trail,
                                           const struct gh_trail_filter *filter,
                                           struct gh_arena *arena, size_t *count)
{
    size_t found = 0;
    for (struct pending *at = trail->first; at != NULL; at = at->next)
        found += matches(&at->entry, filter);
    size_t kept = found < filter->limit ? found : filter->limit, place = found;
    struct gh_trail_entry *entries = gh_arena_array(arena, kept + 1, sizeof *entries);
    *count = kept;
    for (struct pending *at = trail->first; entries != NULL && at != NULL; at = at->next)
        if (matches(&at->entry, filter) && place-- <= kept &&
            !entry_copy(arena, &at->entry, &entries[place]))
            return NULL;
    return entries;
}

/* `stored` behind `pending` in one array. */
static enum gh_error_code join(struct gh_arena *arena, struct gh_trail_entry **pending,
                               size_t *count, const struct gh_trail_entry *stored,
                               size_t stored_count, struct gh_error *error)
{
    if (stored_count == 0)
        return GH_OK;
    struct gh_trail_entry *all = gh_arena_array(arena, *count + stored_count, sizeof *all);
    if (all == NULL)
        return gh_error_set(error, GH_ERROR_MEMORY, "the list does not fit its memory limit");
    memcpy(all, *pending, *count * sizeof *all);
    memcpy(all + *count, stored, stored_count * sizeof *all);
    *pending = all;
    *count += stored_count;
    return GH_OK;
}

enum gh_error_code gh_trail_list(struct gh_trail *trail, const struct gh_trail_filter *filter,
                                 struct gh_arena *arena, struct gh_trail_entry **out, size_t *count,
                                 struct gh_error *error)
{
    *out = NULL;
    *count = 0;
    if (filter->limit == 0 || filter->limit > LIMIT_MAX)
        return gh_error_set(error, GH_ERROR_RANGE, "limit: 1 to %d", LIMIT_MAX);
    struct gh_trail_filter rest = *filter;
    pthread_mutex_lock(&trail->lock);
    int64_t lowest = trail->first == NULL ? trail->sequence + 1 : trail->first->entry.sequence;
    *out = list_pending(trail, filter, arena, count);
    pthread_mutex_unlock(&trail->lock);
    if (*out == NULL)
        return gh_error_set(error, GH_ERROR_MEMORY, "the list does not fit its memory limit");
    if (rest.before == 0 || rest.before > lowest)
        rest.before = lowest;
    rest.limit -= *count;
    if (rest.limit == 0)
        return GH_OK;
    struct gh_trail_entry *stored;
    size_t stored_count;
    enum gh_error_code code =
        gh_store_trail_list(trail->store, &rest, arena, &stored, &stored_count, error);
    return code == GH_OK ? join(arena, out, count, stored, stored_count, error) : code;
}

/* --- watching --- */

struct gh_trail_watch *gh_trail_watch(struct gh_trail *trail, gh_trail_watch_fn *fn, void *context)
{
    struct gh_trail_watch *watch = malloc(sizeof *watch);
    if (watch == NULL)
        return NULL;
    *watch = (struct gh_trail_watch){.fn = fn, .context = context};
    pthread_mutex_lock(&trail->watch_lock);
    watch->next = trail->watches;
    trail->watches = watch;
    pthread_mutex_unlock(&trail->watch_lock);
    return watch;
}

void gh_trail_unwatch(struct gh_trail *trail, struct gh_trail_watch *watch)
{
    pthread_mutex_lock(&trail->watch_lock);
    struct gh_trail_watch **at = &trail->watches;
    while (*at != watch)
        at = &(*at)->next;
    *at = watch->next;
    pthread_mutex_unlock(&trail->watch_lock);
    free(watch);
}

enum gh_error_code gh_trail_flush(struct gh_trail *trail, struct gh_error *error)
{
    enum gh_error_code code = GH_OK;
    pthread_mutex_lock(&trail->lock);
    int64_t target = trail->sequence;
    uint64_t failures = trail->failures;
    while (trail->written < target && trail->failures == failures) {
        trail->hurry = true;
        pthread_cond_signal(&trail->noted);
        pthread_cond_wait(&trail->done, &trail->lock);
    }
    if (trail->written < target)
        code = gh_error_set(error, trail->error.code, "%s", trail->error.text);
    pthread_mutex_unlock(&trail->lock);
    return code;
}

/* --- opening --- */

static void deinit(struct gh_trail *trail)
{
    while (trail->first != NULL) {
        struct pending *next = trail->first->next;
        free(trail->first);
        trail->first = next;
    }
    while (trail->watches != NULL) {
        struct gh_trail_watch *next = trail->watches->next;
        free(trail->watches);
        trail->watches = next;
    }
    pthread_mutex_destroy(&trail->watch_lock);
    pthread_mutex_destroy(&trail->lock);
    pthread_cond_destroy(&trail->noted);
    pthread_cond_destroy(&trail->done);
    free(trail->batch);
    free(trail);
}

struct gh_trail *gh_trail_open(struct gh_store *store, struct gh_metrics *metrics,
                               struct gh_error *error)
{
    struct gh_trail *trail = calloc(1, sizeof *trail);
    struct gh_trail_entry *batch = calloc(BATCH_MAX, sizeof *batch);
    pthread_condattr_t monotonic;
    if (trail == NULL || batch == NULL) {
        free(trail);
        free(batch);
        gh_error_set(error, GH_ERROR_MEMORY, "no memory for the trail");
        return NULL;
    }
    *trail = (struct gh_trail){
        .store = store, .metrics = metrics, .last = &trail->first, .batch = batch};
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&trail->noted, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_cond_init(&trail->done, NULL);
    pthread_mutex_init(&trail->lock, NULL);
    pthread_mutex_init(&trail->watch_lock, NULL);
    enum gh_error_code code = gh_store_trail_last(store, &trail->sequence, error);
    trail->written = trail->sequence;
    if (code == GH_OK && pthread_create(&trail->thread, NULL, run, trail) != 0)
        code = gh_error_set(error, GH_ERROR_MEMORY, "no thread for the trail");
    if (code != GH_OK) {
        deinit(trail);
        return NULL;
    }
    return trail;
}

void gh_trail_close(struct gh_trail *trail)
{
    if (trail == NULL)
        return;
    pthread_mutex_lock(&trail->lock);
    trail->stopping = true;
    pthread_cond_signal(&trail->noted);
    pthread_mutex_unlock(&trail->lock);
    pthread_join(trail->thread, NULL);
    if (trail->first != NULL)
        gh_log(GH_LOG_WARN, "trail", "%zu entries are lost: %s", trail->count, trail->error.text);
    deinit(trail);
}
