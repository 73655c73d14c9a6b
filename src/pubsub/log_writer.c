/* The log thread: gathers what waits, writes it once, syncs it once, answers.
 *
 * A group is copied into one staging buffer and written with one pwrite. Gathering with writev was
 * the other choice: it saves copying some hundred bytes a record that are in the cache anyway
 * (their CRC was just taken), and pays with two vectors a record and a system call for every 512
 * records. */
#include "base/log.h"
#include "base/secret.h"
#include "base/time.h"
#include "pubsub/log_internal.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    GROUP_BYTES = 4 * 1024 * 1024,
    GROUP_RECORDS = 16384,
    /* How far ahead of the records the file is filled with zeros. Overwriting blocks that exist
     * already makes an fdatasync of 19 KiB 229 us instead of 355 (appending) or 370 (fallocate,
     * whose unwritten extents have to be converted): measured on ext4. The group that fills them
     * pays for all: at 5 MiB a second a message waits at most (99th percentile) 3.5 ms with 4 MiB,
     * 2.1 ms with 1 MiB, 1.7 ms with 256 or 128 KiB, 2.0 ms with 32 KiB; the rate of storing is the
     * same with each. */
    ZEROS_BYTES = 128 * 1024,
    PROBE_BYTES = 64 * 1024,
};
#define TIDY_EVERY_NS (60 * GH_SECOND_NS)
#define STEP_BACK_MS (INT64_C(60) * 1000)

static bool write_all(struct gh_log *log, int file, const uint8_t *from, size_t size,
                      uint32_t position)
{
    const struct gh_log_files *files = log->files;
    size_t done = 0;
    while (done < size) {
        long put = files->write(files->context, file, from + done, size - done,
                                (int64_t)position + (int64_t)done);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        done += (size_t)put;
    }
    return true;
}

static void close_file(struct gh_log *log, int file)
{
    log->files->close(log->files->context, file);
}

/* Says once that nothing can be stored, and once that it can be again. */
static void set_full(struct gh_log *log, bool full, const char *doing, int why)
{
    if (full)
        gh_metric_add(log->options.metrics, GH_METRIC_log_failures_total, 1);
    if (atomic_exchange(&log->full, full) == full)
        return;
    if (full) {
        struct gh_error error;
        char line[GH_ERROR_LINE_MAX];
        gh_error_set(&error, GH_ERROR_LOG_FULL, "message log %s: %s failed: %s", log->folder, doing,
                     strerror(why));
        gh_log(GH_LOG_ERROR, "log", "%s", gh_error_line(&error, line));
    } else {
        gh_log(GH_LOG_INFO, "log", "message log %s: writing again", log->folder);
    }
}

/* No more records for the active segment. Its file keeps what is durable. */
static void seal(struct gh_log *log)
{
    struct gh_log_segment *segment = log->active.segment;
    if (segment == NULL)
        return;
    /* Gives the zeros ahead back. Should it fail, readers stop at `end` and an open finds zeros. */
    (void)!log->files->truncate(log->files->context, log->active.file, segment->end);
    close_file(log, log->active.file);
    log->active = (struct gh_log_active){.segment = NULL, .file = -1};
    pthread_mutex_lock(&log->lock);
    segment->sealed = true;
    pthread_mutex_unlock(&log->lock);
    gh_log_segment_save(log, segment);
}

static int64_t now_ms(struct gh_log *log)
{
    int64_t now = gh_log_utc_ms(log);
    if (now > log->last_ms)
        log->last_ms = now;
    return log->last_ms;
}

/* Times do not go back within a segment. A clock that was far ahead and is set right must not leave
 * its mark on all records to come, so then a new segment begins; small corrections wait for the
 * clock to come by. */
static void follow_clock(struct gh_log *log)
{
    int64_t now = gh_log_utc_ms(log);
    if (now + STEP_BACK_MS >= log->last_ms)
        return;
    gh_log(GH_LOG_WARN, "log",
           "the clock stepped back by %" PRId64 " s; the message log follows it",
           (log->last_ms - now) / 1000);
    seal(log);
    log->last_ms = now;
}

/* Makes the file of a new segment: header and folder entry are durable before its first record. */
static int segment_create(struct gh_log *log, const struct gh_segment_header *header,
                          const char *path)
{
    const struct gh_log_files *files = log->files;
    uint8_t bytes[GH_SEGMENT_HEADER_BYTES];
    int flags =
        O_RDWR | O_CREAT | O_TRUNC; /* what an attempt before may have left holds no record */

    int file = files->open(files->context, path, flags, 0600);
    if (file < 0)
        return -1;
    gh_segment_header_write(header, bytes);
    if (!write_all(log, file, bytes, sizeof bytes, 0) ||
        files->sync_all(files->context, file) != 0 ||
        files->sync_all(files->context, log->folder_file) != 0) {
        int why = errno;
        close_file(log, file);
        files->remove(files->context, path);
        errno = why;
        return -1;
    }
    return file;
}

/* Begins a new segment. False: not now. */
static bool roll(struct gh_log *log)
{
    struct gh_segment_header header = {.version = GH_SEGMENT_VERSION,
                                       .base = atomic_load(&log->next),
                                       .created_at_ms = now_ms(log)};
    char path[GH_LOG_PATH_MAX];

    seal(log);
    gh_log_segments_drop_empty(log);
    gh_random(&header.salt, sizeof header.salt);
    int file = segment_create(log, &header, gh_log_segment_path(log, header.base, ".seg", path));
    if (file < 0) {
        set_full(log, true, "beginning a segment", errno);
        return false;
    }
    struct gh_log_segment *segment = gh_log_segment_new(&header);
    pthread_mutex_lock(&log->lock);
    bool added = segment != NULL && gh_log_segments_add(log, segment);
    pthread_mutex_unlock(&log->lock);
    if (!added) {
        free(segment);
        close_file(log, file);
        set_full(log, true, "beginning a segment", ENOMEM);
        return false;
    }
    log->active = (struct gh_log_active){
        .segment = segment, .file = file, .zeroed_to = GH_SEGMENT_HEADER_BYTES};
    if (log->segments_count == 1)
        atomic_store(&log->first, header.base);
    atomic_store(&log->tidy_wanted, true);
    return true;
}

/* Fills the file with zeros ahead of `position`. That it fails is no matter: then fdatasync costs
 * more. */
static void zero_ahead(struct gh_log *log, uint32_t position)
{
    static const uint8_t zeros[ZEROS_BYTES];
    struct gh_log_active *active = &log->active;
    if (position <= active->zeroed_to)
        return;
    active->zeroed_to = position;
    if (position >= log->options.segment_bytes)
        return;
    uint32_t size = log->options.segment_bytes - position;
    size = size < ZEROS_BYTES ? size : ZEROS_BYTES;
    if (write_all(log, active->file, zeros, size, position))
        active->zeroed_to = position + size;
}

/* Reads the durable part of a segment back from the disk itself and reports what is missing. */
static void validate_again(struct gh_log *log, struct gh_log_segment *segment)
{
    char path[GH_LOG_PATH_MAX];
    struct gh_segment_scan scan;
    struct gh_segment_record record;
    struct gh_slice body;
    enum gh_segment_step step;
    uint32_t from;

    gh_log_segment_path(log, segment->header.base, ".seg", path);
    struct gh_log_source source = {
        .files = log->files, .file = log->files->open(log->files->context, path, O_RDONLY, 0)};
    if (source.file < 0)
        return;
    (void)posix_fadvise(source.file, 0, 0, POSIX_FADV_DONTNEED); /* not from the page cache */
    gh_segment_scan_init(&scan, (struct gh_segment_source){gh_log_source_read, &source},
                         &segment->header, log->options.record_bytes_max);
    scan.end = segment->end;
    do {
        step = gh_segment_scan_next(&scan, &record, &body, &from);
        if (step == GH_SEGMENT_DAMAGE)
            gh_log_damage(log, segment, from, scan.position);
    } while (step == GH_SEGMENT_RECORD || step == GH_SEGMENT_DAMAGE);
    if (scan.position < segment->end)
        gh_log_damage(log, segment, scan.position, segment->end);
    gh_segment_scan_deinit(&scan);
    close_file(log, source.file);
}

/* A failed fdatasync says that pages were lost, and the kernel marks them clean: a second fdatasync
 * would succeed without having written them (the fsync errors that PostgreSQL met in 2018). So the
 * file is not trusted with another record: it is cut to what earlier syncs made durable, read back,
 * and left. */
static void leave_segment(struct gh_log *log)
{
    struct gh_log_segment *segment = log->active.segment;
    seal(log);
    validate_again(log, segment);
}

/* Cuts off what a failed write may have left, so that no record follows which nobody was promised.
 */
static void cut_back(struct gh_log *log)
{
    struct gh_log_active *active = &log->active;
    if (log->files->truncate(log->files->context, active->file, active->segment->end) != 0) {
        leave_segment(log);
        return;
    }
    active->zeroed_to = active->segment->end;
}

static void answer(struct gh_log *log, struct gh_append *append, enum gh_error_code result)
{
    append->result = result;
    atomic_fetch_sub(&log->queued_bytes, append->body.size + GH_SEGMENT_RECORD_BYTES);
    atomic_fetch_sub(&log->queued, 1);
    append->reply(append->reply_context,
                  &append->done); /* the append is its owner's from here on */
}

/* What was synced becomes visible: index, watcher, then the appenders. */
static void publish(struct gh_log *log)
{
    struct gh_log_segment *segment = log->active.segment;
    const struct gh_log_watch *watch = &log->options.watch;
    size_t count = log->staged_count;
    uint64_t last = log->staged[count - 1].offset;
    uint32_t before = segment->end;

    pthread_mutex_lock(&log->lock);
    for (size_t i = 0; i < count; i++) {
        const struct gh_log_record *record = &log->staged[i];
        uint32_t size = GH_SEGMENT_RECORD_BYTES + (uint32_t)record->body.size;
        gh_log_segment_note(segment, record, record->position + size);
    }
    pthread_mutex_unlock(&log->lock);
    atomic_fetch_add(&log->bytes, segment->end - before);
    atomic_store_explicit(&log->next, last + 1, memory_order_release);
    gh_metric_add(log->options.metrics, GH_METRIC_log_commits_total, 1);
    gh_metric_set(log->options.metrics, GH_METRIC_log_bytes, (int64_t)atomic_load(&log->bytes));
    if (watch->committed != NULL)
        watch->committed(watch->context, log->staged, count);
    for (size_t i = 0; i < count; i++)
        answer(log, log->staged_appends[i], GH_OK);
}

/* Writes and syncs the staged group. False: it failed, and its appenders know. */
static bool group_write(struct gh_log *log)
{
    struct gh_log_active *active = &log->active;
    size_t count = log->staged_count;
    bool stored = true;
    if (count == 0)
        return true;

    uint32_t position = active->segment->end;
    if (!write_all(log, active->file, log->stage.data, log->stage.size, position)) {
        set_full(log, true, "writing", errno);
        cut_back(log);
        stored = false;
    } else {
        zero_ahead(log, position + (uint32_t)log->stage.size);
        if (log->files->sync_data(log->files->context, active->file) != 0) {
            set_full(log, true, "fdatasync", errno);
            leave_segment(log);
            stored = false;
        }
    }
    if (stored) {
        set_full(log, false, "", 0);
        publish(log);
    } else {
        for (size_t i = 0; i < count; i++)
            answer(log, log->staged_appends[i], GH_ERROR_LOG_FULL);
    }
    log->staged_count = 0;
    gh_buffer_clear(&log->stage);
    if (log->stage.capacity > 4 * GROUP_BYTES)
        gh_buffer_release(&log->stage); /* after a very large record */
    return stored;
}

static bool staged_room(struct gh_log *log)
{
    if (log->staged_count < log->staged_capacity)
        return true;
    size_t wanted = log->staged_capacity == 0 ? 256 : 2 * log->staged_capacity;
    void *records = reallocarray(log->staged, wanted, sizeof *log->staged);
    if (records == NULL)
        return false;
    log->staged = records;
    void *appends = reallocarray(log->staged_appends, wanted, sizeof(struct gh_append *));
    if (appends == NULL)
        return false;
    log->staged_appends = appends;
    log->staged_capacity = wanted;
    return true;
}

/* Puts one more record into the group. */
static bool stage(struct gh_log *log, struct gh_append *append)
{
    const struct gh_log_segment *segment = log->active.segment;
    uint8_t *into;
    size_t size = GH_SEGMENT_RECORD_BYTES + append->body.size;

    if (!staged_room(log) || (into = gh_buffer_reserve(&log->stage, size)) == NULL)
        return false;
    append->offset = atomic_load_explicit(&log->next, memory_order_relaxed) + log->staged_count;
    append->at_ms = log->staged_count == 0 ? now_ms(log) : log->last_ms;
    append->position = segment->end + (uint32_t)log->stage.size;
    struct gh_segment_record record = {.offset = append->offset,
                                       .at_ms = append->at_ms,
                                       .tag = append->tag,
                                       .length = (uint32_t)append->body.size};
    gh_segment_record_write(segment->header.salt, &record, append->body, into);
    if (append->body.size > 0)
        memcpy(into + GH_SEGMENT_RECORD_BYTES, append->body.data, append->body.size);
    log->staged[log->staged_count] = (struct gh_log_record){.offset = append->offset,
                                                            .at_ms = append->at_ms,
                                                            .tag = append->tag,
                                                            .position = append->position,
                                                            .body = append->body};
    log->staged_appends[log->staged_count++] = append;
    gh_buffer_commit(&log->stage, size);
    return true;
}

/* Whether `size` more bytes belong into the group at hand. */
static bool group_takes(const struct gh_log *log, size_t size)
{
    const struct gh_log_segment *segment = log->active.segment;
    if (segment == NULL)
        return false;
    bool empty = segment->end == GH_SEGMENT_HEADER_BYTES && log->stage.size == 0;
    return empty || ((size_t)segment->end + log->stage.size + size <= log->options.segment_bytes &&
                     log->stage.size + size <= GROUP_BYTES + (log->stage.size == 0 ? size : 0) &&
                     log->staged_count < GROUP_RECORDS);
}

/* Stages one append, writing groups and beginning segments as it needs. False: the disk failed;
 * this append was answered or will be with its group. */
static bool take(struct gh_log *log, struct gh_append *append)
{
    size_t size = GH_SEGMENT_RECORD_BYTES + append->body.size;
    bool ready = group_takes(log, size);
    if (!ready)
        ready = group_write(log) && (group_takes(log, size) || roll(log));
    if (ready && stage(log, append))
        return true;
    answer(log, append, GH_ERROR_LOG_FULL);
    return ready; /* without memory for one the others go on */
}

/* After a failure the rest of the letters at hand fail too, without asking the disk again for each.
 */
static void write_letters(struct gh_log *log, struct gh_letter *letter)
{
    bool works = true;
    follow_clock(log);
    for (struct gh_letter *next; letter != NULL; letter = next) {
        next = letter->next;
        struct gh_append *append =
            (struct gh_append *)((char *)letter - offsetof(struct gh_append, done));
        if (works)
            works = take(log, append);
        else
            answer(log, append, GH_ERROR_LOG_FULL);
    }
    (void)group_write(log);
}

/* Is there space again? */
static void probe(struct gh_log *log)
{
    static const uint8_t zeros[PROBE_BYTES];
    struct gh_log_active *active = &log->active;
    if (active->segment == NULL ||
        active->segment->end + PROBE_BYTES > log->options.segment_bytes) {
        if (roll(log))
            set_full(log, false, "", 0);
        return;
    }
    uint32_t end = active->segment->end;
    if (!write_all(log, active->file, zeros, sizeof zeros, end)) {
        cut_back(log);
        return;
    }
    if (log->files->sync_data(log->files->context, active->file) != 0) {
        leave_segment(log);
        return;
    }
    if (active->zeroed_to < end + PROBE_BYTES)
        active->zeroed_to = end + PROBE_BYTES;
    set_full(log, false, "", 0);
}

/* The lowest offset that somebody still needs, and who. */
static uint64_t held_from(struct gh_log *log, char name[64])
{
    uint64_t lowest = UINT64_MAX;
    pthread_mutex_lock(&log->lock);
    if (log->options.keeps_unheld && log->holds == NULL)
        lowest = 0;
    for (const struct gh_log_hold *hold = log->holds; hold != NULL; hold = hold->next)
        if (atomic_load(&hold->from) < lowest) {
            lowest = atomic_load(&hold->from);
            memcpy(name, hold->name, sizeof hold->name);
        }
    pthread_mutex_unlock(&log->lock);
    return lowest;
}

/* When the last record of the oldest segment was written at the latest: a clock that was ahead then
 * does not count, as what was written behind it is older. */
static int64_t oldest_written_ms(const struct gh_log *log)
{
    int64_t last_ms = log->segments[0]->last_ms;
    for (size_t i = 1; i < log->segments_count; i++)
        if (log->segments[i]->first_ms < last_ms)
            last_ms = log->segments[i]->first_ms;
    return last_ms;
}

/* Retention: the oldest segments go by age when nobody holds them, by size in any case. */
static void tidy(struct gh_log *log)
{
    char name[64] = "";
    uint64_t held = held_from(log, name);
    int64_t oldest_ms = gh_log_utc_ms(log) - log->options.age_max_ms;

    log->tidy_at_ns = gh_log_monotonic_ns(log) + TIDY_EVERY_NS;
    while (log->segments_count > 1) {
        const struct gh_log_segment *segment = log->segments[0];
        bool too_old = oldest_written_ms(log) < oldest_ms && segment->last < held;
        bool too_much = atomic_load(&log->bytes) > log->options.bytes_max;
        if (!segment->sealed || (!too_old && !too_much))
            break;
        if (!too_old && segment->last >= held)
            gh_log(GH_LOG_WARN, "log",
                   "message log %s is larger than %" PRIu64 " bytes: offsets %" PRIu64
                   " to %" PRIu64 " go although %s still needs them",
                   log->folder, log->options.bytes_max, segment->header.base, segment->last, name);
        atomic_fetch_sub(&log->bytes, segment->end);
        gh_log_segments_drop_first(log);
    }
    gh_metric_set(log->options.metrics, GH_METRIC_log_bytes, (int64_t)atomic_load(&log->bytes));
}

/* Sleeps until the bell rings or something is due. */
static void wait_for_work(struct gh_log *log)
{
    uint64_t rings;
    struct pollfd bell = {.fd = log->bell, .events = POLLIN};
    int64_t wait_ms = (log->tidy_at_ns - gh_log_monotonic_ns(log)) / GH_MS_NS + 1;
    if (atomic_load(&log->full) && log->options.retry_ms < wait_ms)
        wait_ms = log->options.retry_ms;
    if (wait_ms < 0)
        wait_ms = 0;
    int ready = poll(&bell, 1, wait_ms < INT32_MAX ? (int)wait_ms : INT32_MAX);
    if (ready > 0)
        (void)!read(log->bell, &rings, sizeof rings);
    else if (ready == 0 && atomic_load(&log->full))
        probe(log);
}

void *gh_log_writer_run(void *context)
{
    struct gh_log *log = context;
    /* Not at once: who needs the old segments has yet to say so. */
    log->tidy_at_ns = gh_log_monotonic_ns(log) + TIDY_EVERY_NS;
    gh_metric_set(log->options.metrics, GH_METRIC_log_bytes, (int64_t)atomic_load(&log->bytes));
    for (;;) {
        bool closing = atomic_load(&log->closing); /* before the last look into the box */
        struct gh_letter *letters = gh_mailbox_take(&log->inbox);
        if (letters != NULL)
            write_letters(log, letters);
        else if (closing)
            break;
        else
            wait_for_work(log);
        if (atomic_exchange(&log->tidy_wanted, false) ||
            gh_log_monotonic_ns(log) >= log->tidy_at_ns)
            tidy(log);
    }
    if (log->active.segment !=
        NULL) { /* the zeros ahead go, so that the next open reads records only */
        (void)!log->files->truncate(log->files->context, log->active.file,
                                    log->active.segment->end);
        close_file(log, log->active.file);
    }
    return NULL;
}
