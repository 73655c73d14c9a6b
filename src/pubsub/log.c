#include "pubsub/log.h"
#include "base/lock.h"
#include "base/time.h"
#include "pubsub/log_internal.h"
#include "pubsub/waiter.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SEGMENT_BYTES = 64 * 1024 * 1024,
    RECORD_BYTES_MAX = 16 * 1024 * 1024,
    QUEUE_COUNT_MAX = 65536,
    QUEUE_BYTES_MAX = 64 * 1024 * 1024,
    RETRY_MS = 1000,
    STAGE_BYTES_MAX = 64 * 1024 * 1024, /* a group, or one record */
};
#define AGE_MAX_MS (INT64_C(7) * 24 * 3600 * 1000)
#define BYTES_MAX (UINT64_C(64) << 30)

int64_t gh_log_monotonic_ns(const struct gh_log *log)
{
    const struct gh_log_clock *clock = &log->options.clock;
    return clock->monotonic_ns == NULL ? gh_time_monotonic_ns()
                                       : clock->monotonic_ns(clock->context);
}

int64_t gh_log_utc_ms(const struct gh_log *log)
{
    const struct gh_log_clock *clock = &log->options.clock;
    return clock->utc_ms == NULL ? gh_time_utc_ms() : clock->utc_ms(clock->context);
}

void gh_log_ring(struct gh_log *log)
{
    uint64_t one = 1;
    (void)!write(log->bell, &one, sizeof one); /* a full counter means that it rings already */
}

static struct gh_log_options with_defaults(struct gh_log_options options)
{
    if (options.segment_bytes == 0)
        options.segment_bytes = SEGMENT_BYTES;
    if (options.record_bytes_max == 0)
        options.record_bytes_max = RECORD_BYTES_MAX;
    if (options.queue_count_max == 0)
        options.queue_count_max = QUEUE_COUNT_MAX;
    if (options.queue_bytes_max == 0)
        options.queue_bytes_max = QUEUE_BYTES_MAX;
    if (options.age_max_ms == 0)
        options.age_max_ms = AGE_MAX_MS;
    if (options.bytes_max == 0)
        options.bytes_max = BYTES_MAX;
    if (options.retry_ms == 0)
        options.retry_ms = RETRY_MS;
    if (options.files == NULL)
        options.files = gh_log_files_system();
    return options;
}

/* The folder, its lock and its descriptor. */
static enum gh_error_code folder_open(struct gh_log *log, struct gh_error *error)
{
    char path[GH_LOG_PATH_MAX];
    if (mkdir(log->folder, 0700) != 0 && errno != EEXIST)
        return gh_error_set(error, GH_ERROR_LOG_OPEN, "%s cannot be made: %s", log->folder,
                            strerror(errno));
    log->folder_file = open(log->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    size_t length = strlen(log->folder);
    if (log->folder_file < 0 || length > GH_LOG_PATH_MAX - 64)
        return gh_error_set(error, GH_ERROR_LOG_OPEN, "%s cannot be read: %s", log->folder,
                            log->folder_file < 0 ? strerror(errno) : "its path is too long");
    memcpy(path, log->folder, length);
    memcpy(path + length, "/lock", sizeof "/lock");
    log->lock_file = gh_lock_take(path, GH_LOCK_WAIT_MS);
    if (log->lock_file >= 0)
        return GH_OK;
    if (errno == EWOULDBLOCK)
        return gh_error_set(error, GH_ERROR_IN_USE, "%s is written by another process",
                            log->folder);
    return gh_error_set(error, GH_ERROR_LOG_OPEN, "%s cannot be opened: %s", path, strerror(errno));
}

static void learn_state(struct gh_log *log)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < log->segments_count; i++)
        bytes += log->segments[i]->end;
    atomic_store(&log->bytes, bytes);
    gh_metric_set(log->options.metrics, GH_METRIC_log_bytes, (int64_t)bytes);
    if (log->segments_count > 0) {
        atomic_store(&log->first, log->segments[0]->header.base);
        atomic_store(&log->next, log->segments[log->segments_count - 1]->last + 1);
    }
}

static void log_free(struct gh_log *log)
{
    gh_log_segments_free(log);
    gh_buffer_deinit(&log->stage);
    free(log->staged);
    free(log->staged_appends);
    if (log->bell >= 0)
        close(log->bell);
    if (log->lock_file >= 0)
        close(log->lock_file);
    if (log->folder_file >= 0)
        close(log->folder_file);
    pthread_mutex_destroy(&log->lock);
    free(log->folder);
    free(log);
}

struct gh_log *gh_log_open(const struct gh_log_options *options, struct gh_error *error)
{
    struct gh_log *log = calloc(1, sizeof *log);
    if (log == NULL || (log->folder = strdup(options->folder)) == NULL) {
        free(log);
        gh_error_set(error, GH_ERROR_MEMORY, "no memory to open %s", options->folder);
        return NULL;
    }
    log->options = with_defaults(*options);
    log->files = log->options.files;
    log->folder_file = log->lock_file = log->active.file = -1;
    log->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&log->lock, NULL);
    gh_mailbox_init(&log->inbox);
    gh_buffer_init(&log->stage, STAGE_BYTES_MAX);
    atomic_init(&log->first, 1);
    atomic_init(&log->next, 1);
    if (log->bell < 0) {
        gh_error_set(error, GH_ERROR_LOG_OPEN, "no descriptor for the log: %s", strerror(errno));
        goto failed;
    }
    if (folder_open(log, error) != GH_OK || gh_log_segments_load(log, error) != GH_OK)
        goto failed;
    learn_state(log);
    if (pthread_create(&log->thread, NULL, gh_log_writer_run, log) != 0) {
        gh_error_set(error, GH_ERROR_MEMORY, "no thread for the log %s", log->folder);
        goto failed;
    }
    return log;
failed:
    if (log->active.file >= 0)
        log->files->close(log->files->context, log->active.file);
    log_free(log);
    return NULL;
}

void gh_log_close(struct gh_log *log)
{
    if (log == NULL)
        return;
    atomic_store(&log->closing, true);
    gh_log_ring(log);
    pthread_join(log->thread, NULL);
    assert(log->holds == NULL && atomic_load(&log->queued) == 0);
    log_free(log);
}

bool gh_log_append(struct gh_log *log, struct gh_append *append)
{
    size_t size = append->body.size + GH_SEGMENT_RECORD_BYTES;
    assert(append->reply != NULL && append->tag != GH_LOG_ANY_TAG);
    if (append->body.size > log->options.record_bytes_max || atomic_load(&log->closing))
        return false;
    if (atomic_fetch_add(&log->queued, 1) >= log->options.queue_count_max) {
        atomic_fetch_sub(&log->queued, 1);
        return false;
    }
    if (atomic_fetch_add(&log->queued_bytes, size) + size > log->options.queue_bytes_max) {
        atomic_fetch_sub(&log->queued_bytes, size);
        atomic_fetch_sub(&log->queued, 1);
        return false;
    }
    if (gh_mailbox_send(&log->inbox, &append->done))
        gh_log_ring(log);
    return true;
}

enum gh_error_code gh_log_append_wait(struct gh_log *log, uint32_t tag, struct gh_slice body,
                                      uint64_t *offset)
{
    struct gh_waiter waiter;
    struct gh_append append = {
        .reply = gh_waiter_reply, .reply_context = &waiter, .tag = tag, .body = body};
    gh_waiter_init(&waiter);
    if (!gh_log_append(log, &append))
        return GH_ERROR_UNAVAILABLE;
    gh_waiter_wait(&waiter, 1);
    if (offset != NULL)
        *offset = append.offset;
    return append.result;
}

uint64_t gh_log_next(const struct gh_log *log)
{
    return atomic_load_explicit(&log->next, memory_order_acquire);
}

struct gh_log_status gh_log_status(const struct gh_log *log)
{
    return (struct gh_log_status){.first = atomic_load(&log->first),
                                  .next = atomic_load(&log->next),
                                  .bytes = atomic_load(&log->bytes),
                                  .segments = atomic_load(&log->segments_seen),
                                  .damaged = atomic_load(&log->damaged),
                                  .full = atomic_load(&log->full)};
}

struct gh_log_hold *gh_log_hold_open(struct gh_log *log, const char *name, uint64_t from)
{
    struct gh_log_hold *hold = calloc(1, sizeof *hold);
    if (hold == NULL)
        return NULL;
    hold->log = log;
    strncpy(hold->name, name, sizeof hold->name - 1);
    atomic_init(&hold->from, from);
    pthread_mutex_lock(&log->lock);
    hold->next = log->holds;
    log->holds = hold;
    pthread_mutex_unlock(&log->lock);
    return hold;
}

void gh_log_hold_move(struct gh_log_hold *hold, uint64_t from)
{
    atomic_store(&hold->from, from);
}

void gh_log_hold_close(struct gh_log_hold *hold)
{
    if (hold == NULL)
        return;
    struct gh_log *log = hold->log;
    pthread_mutex_lock(&log->lock);
    for (struct gh_log_hold **at = &log->holds; *at != NULL; at = &(*at)->next)
        if (*at == hold) {
            *at = hold->next;
            break;
        }
    pthread_mutex_unlock(&log->lock);
    free(hold);
}

void gh_log_tidy(struct gh_log *log)
{
    atomic_store(&log->tidy_wanted, true);
    gh_log_ring(log);
}
