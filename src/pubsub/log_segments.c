/* The table of segments: what each of them holds, and who reads it. */
#include "base/log.h"
#include "pubsub/log_internal.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE_BYTES = 4096 };

char *gh_log_segment_path(const struct gh_log *log, uint64_t base, const char *suffix,
                          char out[GH_LOG_PATH_MAX])
{
    snprintf(out, GH_LOG_PATH_MAX, "%s/%020" PRIu64 "%s", log->folder, base, suffix);
    return out;
}

void gh_log_segment_forget(struct gh_log_segment *segment)
{
    segment->last = segment->header.base - 1;
    segment->end = GH_SEGMENT_HEADER_BYTES;
    segment->first_ms = segment->last_ms = segment->header.created_at_ms;
    segment->marks_count = segment->tags_count = 0;
    segment->tags_unknown = false;
}

struct gh_log_segment *gh_log_segment_new(const struct gh_segment_header *header)
{
    struct gh_log_segment *segment = calloc(1, sizeof *segment);
    if (segment == NULL)
        return NULL;
    segment->header = *header;
    segment->file = -1;
    gh_log_segment_forget(segment);
    return segment;
}

static void segment_free(struct gh_log *log, struct gh_log_segment *segment)
{
    if (segment->file >= 0)
        log->files->close(log->files->context, segment->file);
    free(segment->marks);
    free(segment->tags);
    free(segment);
}

void gh_log_segments_free(struct gh_log *log)
{
    for (size_t i = 0; i < log->segments_count; i++)
        segment_free(log, log->segments[i]);
    free(log->segments);
}

/* Room for one more; false: no memory. */
static bool room(void **array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return true;
    size_t wanted = *capacity == 0 ? 8 : 2 * *capacity;
    void *grown = reallocarray(*array, wanted, size);
    if (grown == NULL)
        return false;
    *array = grown;
    *capacity = wanted;
    return true;
}

bool gh_log_segments_add(struct gh_log *log, struct gh_log_segment *segment)
{
    void *array = log->segments;
    bool fits = room(&array, log->segments_count, &log->segments_capacity, sizeof(segment));
    log->segments = array;
    if (fits)
        log->segments[log->segments_count++] = segment;
    atomic_store(&log->segments_seen, log->segments_count);
    return fits;
}

/* Index of the first entry whose tag is not below `tag`. */
static size_t tag_place(const struct gh_log_segment *segment, uint32_t tag)
{
    size_t low = 0, high = segment->tags_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (segment->tags[middle].tag < tag)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool gh_log_segment_tag(struct gh_log_segment *segment, uint32_t tag, uint64_t offset)
{
    size_t at = tag_place(segment, tag);
    if (at < segment->tags_count && segment->tags[at].tag == tag) {
        segment->tags[at].last = offset;
        return true;
    }
    void *array = segment->tags;
    bool fits = segment->tags_count < GH_LOG_TAGS_MAX &&
                room(&array, segment->tags_count, &segment->tags_capacity, sizeof *segment->tags);
    segment->tags = array;
    if (!fits)
        return false;
    memmove(segment->tags + at + 1, segment->tags + at,
            (segment->tags_count - at) * sizeof *segment->tags);
    segment->tags[at] = (struct gh_log_tag){.tag = tag, .last = offset};
    segment->tags_count++;
    return true;
}

void gh_log_segment_mark(struct gh_log_segment *segment, struct gh_log_mark mark)
{
    void *array = segment->marks;
    bool fits = room(&array, segment->marks_count, &segment->marks_capacity, sizeof mark);
    segment->marks = array;
    if (fits)
        segment->marks[segment->marks_count++] = mark;
}

void gh_log_segment_note(struct gh_log_segment *segment, const struct gh_log_record *record,
                         uint32_t end)
{
    assert(record->offset > segment->last || segment->last == segment->header.base - 1);
    if (segment->last == segment->header.base - 1)
        segment->first_ms = record->at_ms;
    if (segment->marks_count == 0 ||
        record->position - segment->marks[segment->marks_count - 1].position >= GH_LOG_MARK_BYTES)
        gh_log_segment_mark(segment, (struct gh_log_mark){.offset = record->offset,
                                                          .at_ms = record->at_ms,
                                                          .position = record->position});
    if (!segment->tags_unknown)
        segment->tags_unknown = !gh_log_segment_tag(segment, record->tag, record->offset);
    segment->last = record->offset;
    segment->last_ms = record->at_ms;
    segment->end = end;
}

bool gh_log_segment_has(const struct gh_log_segment *segment, uint32_t tag, uint64_t offset)
{
    if (segment->unreadable || segment->last < offset)
        return false;
    if (tag == GH_LOG_ANY_TAG || segment->tags_unknown)
        return true;
    size_t at = tag_place(segment, tag);
    return at < segment->tags_count && segment->tags[at].tag == tag &&
           segment->tags[at].last >= offset;
}

size_t gh_log_segments_find(const struct gh_log *log, uint64_t offset)
{
    size_t low = 0, high = log->segments_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (log->segments[middle]->last < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint32_t gh_log_segment_seek(const struct gh_log_segment *segment, uint64_t offset)
{
    size_t low = 0, high = segment->marks_count; /* the first mark above `offset` */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (segment->marks[middle].offset <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 ? GH_SEGMENT_HEADER_BYTES : segment->marks[low - 1].position;
}

/* Gives back the file of a segment nobody reads, so that a long log does not use up the
 * descriptors. */
static void close_one_idle(struct gh_log *log)
{
    for (size_t i = 0; i < log->segments_count; i++) {
        struct gh_log_segment *segment = log->segments[i];
        if (segment->refs == 0 && segment->file >= 0) {
            log->files->close(log->files->context, segment->file);
            segment->file = -1;
            log->files_open--;
            return;
        }
    }
}

bool gh_log_segment_ref(struct gh_log *log, struct gh_log_segment *segment)
{
    char path[GH_LOG_PATH_MAX];
    if (segment->file < 0) {
        if (log->files_open >= GH_LOG_FILES_OPEN_MAX)
            close_one_idle(log);
        gh_log_segment_path(log, segment->header.base, ".seg", path);
        segment->file = log->files->open(log->files->context, path, O_RDONLY, 0);
        if (segment->file < 0)
            return false;
        log->files_open++;
    }
    segment->refs++;
    return true;
}

void gh_log_segment_unref(struct gh_log *log, struct gh_log_segment *segment)
{
    pthread_mutex_lock(&log->lock);
    assert(segment->refs > 0);
    if (--segment->refs == 0 && segment->removed) {
        log->files_open--;
        segment_free(log, segment);
    }
    pthread_mutex_unlock(&log->lock);
}

void gh_log_segments_drop_empty(struct gh_log *log)
{
    pthread_mutex_lock(&log->lock);
    struct gh_log_segment *last =
        log->segments_count > 0 ? log->segments[log->segments_count - 1] : NULL;
    if (last != NULL && last->last < last->header.base) {
        log->segments_count--;
        last->removed = true;
        if (last->refs == 0) {
            log->files_open -= last->file >= 0;
            segment_free(log, last);
        }
    }
    pthread_mutex_unlock(&log->lock);
}

void gh_log_segments_drop_first(struct gh_log *log)
{
    char path[GH_LOG_PATH_MAX];
    struct gh_log_segment *segment = log->segments[0];
    uint64_t base = segment->header.base;

    assert(log->segments_count > 1 && segment->sealed);
    pthread_mutex_lock(&log->lock);
    log->segments_count--;
    memmove(log->segments, log->segments + 1, log->segments_count * sizeof *log->segments);
    segment->removed = true;
    if (segment->refs == 0) {
        if (segment->file >= 0)
            log->files_open--;
        segment_free(log, segment);
    }
    pthread_mutex_unlock(&log->lock);
    log->files->remove(log->files->context, gh_log_segment_path(log, base, ".seg", path));
    log->files->remove(log->files->context, gh_log_segment_path(log, base, ".idx", path));
    atomic_store(&log->segments_seen, log->segments_count);
    atomic_store(&log->first, log->segments[0]->header.base);
}

void gh_log_damage(struct gh_log *log, struct gh_log_segment *segment, uint32_t from, uint32_t to)
{
    struct gh_error error;
    char line[GH_ERROR_LINE_MAX];

    pthread_mutex_lock(&log->lock);
    bool fresh = from >= segment->reported_to;
    if (fresh) {
        segment->reported_to = to;
        segment->damaged++;
    }
    pthread_mutex_unlock(&log->lock);
    if (!fresh)
        return;
    atomic_fetch_add(&log->damaged, 1);
    gh_error_set(&error, GH_ERROR_LOG_CORRUPT,
                 "segment %s/%020" PRIu64 ".seg: bytes %" PRIu32 " to %" PRIu32
                 " are not readable records; reading goes on behind them",
                 log->folder, segment->header.base, from, to);
    gh_log(GH_LOG_ERROR, "log", "%s", gh_error_line(&error, line));
}

long gh_log_source_read(void *context, void *into, size_t size, uint32_t position)
{
    const struct gh_log_source *source = context;
    const struct gh_log_files *files = source->files;
    size_t done = 0;
    while (done < size) {
        uint8_t *at = (uint8_t *)into + done;
        int64_t from = (int64_t)position + (int64_t)done;
        long got = files->read(files->context, source->file, at, size - done, from);
        if (got < 0 &&
            errno == EIO) { /* page by page, so that one bad sector hides no more than its page */
            size_t page = PAGE_BYTES - (size_t)(from % PAGE_BYTES);
            page = page < size - done ? page : size - done;
            got = files->read(files->context, source->file, at, page, from);
            if (got < 0 && errno == EIO) {
                memset(at, 0, page);
                got = (long)page;
            }
        }
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (long)done;
}
