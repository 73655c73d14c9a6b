/* Readers of the log: they share nothing with the writer but the table of segments. */
#include "base/cursor.h"
#include "base/log.h"
#include "pubsub/log_internal.h"
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

enum { STEPS_MAX = 8192 };         /* records of other tags in one call */
enum { FETCH_FIRST_BYTES = 2048 }; /* most records are fetched with one read */

struct gh_log_reader {
    struct gh_log *log;
    uint64_t offset;                /* the next one wanted */
    struct gh_log_segment *segment; /* held open; NULL: to be looked up */
    struct gh_log_source source;
    struct gh_segment_scan scan;
};

struct gh_log_reader *gh_log_reader_open(struct gh_log *log)
{
    struct gh_log_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL)
        return NULL;
    reader->log = log;
    reader->offset = 1;
    reader->source = (struct gh_log_source){.files = log->files, .file = -1};
    return reader;
}

static void leave(struct gh_log_reader *reader)
{
    if (reader->segment == NULL)
        return;
    gh_segment_scan_deinit(&reader->scan);
    gh_log_segment_unref(reader->log, reader->segment);
    reader->segment = NULL;
}

void gh_log_reader_close(struct gh_log_reader *reader)
{
    if (reader == NULL)
        return;
    leave(reader);
    free(reader);
}

void gh_log_reader_seek(struct gh_log_reader *reader, uint64_t offset)
{
    if (offset == reader->offset)
        return;
    if (offset < reader->offset || reader->segment == NULL || offset > reader->scan.offset_max)
        leave(reader); /* otherwise the scan comes by it */
    reader->offset = offset;
}

uint64_t gh_log_reader_offset(const struct gh_log_reader *reader)
{
    return reader->offset;
}

enum enter { ENTERED, ENTER_NOTHING, ENTER_FAILED };

/* Finds the segment for the wanted offset, passing over those without the tag. */
static enum enter enter(struct gh_log_reader *reader, uint32_t tag)
{
    struct gh_log *log = reader->log;
    enum enter outcome = ENTER_NOTHING;

    pthread_mutex_lock(&log->lock);
    size_t at = gh_log_segments_find(log, reader->offset);
    while (at < log->segments_count && !gh_log_segment_has(log->segments[at], tag, reader->offset))
        at++;
    if (at < log->segments_count) {
        struct gh_log_segment *segment = log->segments[at];
        outcome = gh_log_segment_ref(log, segment) ? ENTERED : ENTER_FAILED;
        if (outcome == ENTERED) {
            if (reader->offset < segment->header.base)
                reader->offset = segment->header.base;
            reader->segment = segment;
            reader->source.file = segment->file;
            gh_segment_scan_init(&reader->scan,
                                 (struct gh_segment_source){gh_log_source_read, &reader->source},
                                 &segment->header, log->options.record_bytes_max);
            reader->scan.position = gh_log_segment_seek(segment, reader->offset);
            reader->scan.end = segment->end;
            reader->scan.offset_max = segment->last;
        }
    }
    pthread_mutex_unlock(&log->lock);
    return outcome;
}

/* At the end of what the scan knew: has the segment grown? False: no; `*sealed` says whether it
 * can. */
static bool refresh(struct gh_log_reader *reader, bool *sealed)
{
    struct gh_log *log = reader->log;
    pthread_mutex_lock(&log->lock);
    bool grown = reader->segment->end > reader->scan.end;
    reader->scan.end = reader->segment->end;
    reader->scan.offset_max = reader->segment->last;
    *sealed = reader->segment->sealed;
    pthread_mutex_unlock(&log->lock);
    return grown;
}

/* The segment's records are passed: on to what follows it. False: nothing does yet. */
static bool pass(struct gh_log_reader *reader)
{
    bool sealed;
    if (reader->scan.position < reader->scan.end) { /* durable once, and no good record now */
        gh_log_damage(reader->log, reader->segment, reader->scan.position, reader->scan.end);
        reader->scan.position = reader->scan.end;
    }
    if (refresh(reader, &sealed))
        return true;
    if (reader->offset <= reader->scan.offset_max)
        reader->offset = reader->scan.offset_max + 1;
    if (!sealed)
        return false;
    leave(reader);
    return true;
}

enum gh_log_read gh_log_reader_next(struct gh_log_reader *reader, uint32_t tag,
                                    struct gh_log_record *out)
{
    struct gh_segment_record record;
    struct gh_slice body;
    uint32_t from, steps = 0;

    for (;;) {
        uint64_t next = gh_log_next(reader->log);
        if (reader->offset >= next)
            return GH_LOG_READ_END;
        if (reader->segment == NULL) {
            enum enter entered = enter(reader, tag);
            if (entered == ENTER_NOTHING)
                reader->offset = next; /* what is durable by now has no such record */
            if (entered != ENTERED)
                return entered == ENTER_NOTHING ? GH_LOG_READ_END : GH_LOG_READ_FAILED;
        }
        switch (gh_segment_scan_next(&reader->scan, &record, &body, &from)) {
        case GH_SEGMENT_RECORD:
            if (record.offset < reader->offset)
                continue;
            reader->offset = record.offset + 1;
            if (tag != GH_LOG_ANY_TAG && record.tag != tag) {
                if (++steps == STEPS_MAX)
                    return GH_LOG_READ_PAUSE;
                continue;
            }
            *out = (struct gh_log_record){.offset = record.offset,
                                          .at_ms = record.at_ms,
                                          .tag = record.tag,
                                          .position = reader->scan.position - record.length -
                                                      GH_SEGMENT_RECORD_BYTES,
                                          .body = body};
            return GH_LOG_READ_RECORD;
        case GH_SEGMENT_DAMAGE:
            gh_log_damage(reader->log, reader->segment, from, reader->scan.position);
            continue;
        case GH_SEGMENT_FAILED:
            return GH_LOG_READ_FAILED;
        case GH_SEGMENT_END:
            if (!pass(reader))
                return GH_LOG_READ_END;
        }
    }
}

/* The segment that holds `offset`, open. */
static enum gh_log_fetched segment_with(struct gh_log *log, uint64_t offset,
                                        struct gh_log_segment **out, uint32_t *end)
{
    enum gh_log_fetched outcome = GH_LOG_FETCH_GONE;
    pthread_mutex_lock(&log->lock);
    size_t at = gh_log_segments_find(log, offset);
    struct gh_log_segment *segment = at < log->segments_count ? log->segments[at] : NULL;
    if (segment != NULL && segment->header.base <= offset && !segment->unreadable) {
        outcome = gh_log_segment_ref(log, segment) ? GH_LOG_FETCHED : GH_LOG_FETCH_FAILED;
        *out = segment;
        *end = segment->end;
    }
    pthread_mutex_unlock(&log->lock);
    return outcome;
}

/* Reads until `into` holds `size` bytes from `position` on. */
static bool read_to(struct gh_log_source *source, uint32_t position, size_t size,
                    struct gh_buffer *into)
{
    if (into->size >= size)
        return true;
    size_t more = size - into->size;
    uint8_t *room = gh_buffer_reserve(into, more);
    if (room == NULL ||
        gh_log_source_read(source, room, more, position + (uint32_t)into->size) != (long)more)
        return false;
    gh_buffer_commit(into, more);
    return true;
}

/* The record at `position`, all of it in `into`. GONE: there is no such record. */
static enum gh_log_fetched fetch_from(struct gh_log *log, const struct gh_log_segment *segment,
                                      uint64_t offset, uint32_t position, uint32_t left,
                                      struct gh_buffer *into, struct gh_segment_record *record)
{
    struct gh_log_source source = {.files = log->files, .file = segment->file};
    if (!read_to(&source, position, left < FETCH_FIRST_BYTES ? left : FETCH_FIRST_BYTES, into))
        return GH_LOG_FETCH_FAILED;
    if (!gh_segment_record_read(segment->header.salt, into->data, record) ||
        record->offset != offset || record->length > left - GH_SEGMENT_RECORD_BYTES)
        return GH_LOG_FETCH_GONE;
    if (!read_to(&source, position, GH_SEGMENT_RECORD_BYTES + (size_t)record->length, into))
        return GH_LOG_FETCH_FAILED;
    return GH_LOG_FETCHED;
}

enum gh_log_fetched gh_log_fetch(struct gh_log *log, uint64_t offset, uint32_t position,
                                 struct gh_buffer *into, struct gh_log_record *out)
{
    struct gh_log_segment *segment;
    struct gh_segment_record record;
    uint32_t end;

    gh_buffer_clear(into);
    enum gh_log_fetched outcome = segment_with(log, offset, &segment, &end);
    if (outcome != GH_LOG_FETCHED)
        return outcome;
    outcome = GH_LOG_FETCH_GONE;
    if (position < end && end - position >= GH_SEGMENT_RECORD_BYTES)
        outcome = fetch_from(log, segment, offset, position, end - position, into, &record);
    if (outcome == GH_LOG_FETCHED) {
        struct gh_slice body = gh_slice(into->data + GH_SEGMENT_RECORD_BYTES, record.length);
        *out = (struct gh_log_record){.offset = offset,
                                      .at_ms = record.at_ms,
                                      .tag = record.tag,
                                      .position = position,
                                      .body = body};
        if (!gh_segment_body_valid(segment->header.salt, &record, body)) {
            gh_log_damage(log, segment, position,
                          position + GH_SEGMENT_RECORD_BYTES + record.length);
            outcome = GH_LOG_FETCH_GONE;
        }
    }
    gh_log_segment_unref(log, segment);
    return outcome;
}

/* The first mark whose record is not older than `utc_ms` bounds the search from above, the one
 * before it from below; false: no such record here. Under the lock. */
static bool segment_at(const struct gh_log_segment *segment, int64_t utc_ms, uint64_t *from)
{
    if (segment->unreadable || segment->last < segment->header.base || segment->last_ms < utc_ms)
        return false;
    *from = segment->header.base;
    for (size_t i = 0; i < segment->marks_count && segment->marks[i].at_ms < utc_ms; i++)
        *from = segment->marks[i].offset;
    return true;
}

uint64_t gh_log_offset_at(struct gh_log *log, int64_t utc_ms)
{
    struct gh_log_record record;
    uint64_t from = gh_log_next(log);
    bool found = false;

    pthread_mutex_lock(&log->lock);
    for (size_t i = 0; i < log->segments_count && !found; i++)
        found = segment_at(log->segments[i], utc_ms, &from);
    pthread_mutex_unlock(&log->lock);
    struct gh_log_reader *reader = found ? gh_log_reader_open(log) : NULL;
    if (reader == NULL)
        return from;
    gh_log_reader_seek(reader, from);
    while (gh_log_reader_next(reader, GH_LOG_ANY_TAG, &record) == GH_LOG_READ_RECORD) {
        from = record.offset;
        if (record.at_ms >= utc_ms)
            break;
        from++;
    }
    gh_log_reader_close(reader);
    return from;
}
