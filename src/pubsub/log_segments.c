/* The table of segments: what stands in the folder, what each segment holds, and the index files
 * that spare the next start from reading sealed segments again. */
#include "base/cursor.h"
#include "base/hash.h"
#include "base/log.h"
#include "pubsub/log_internal.h"
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    NAME_DIGITS = 20,
    INDEX_VERSION = 1,
    INDEX_BYTES_MAX = 4 * 1024 * 1024,
    PAGE_BYTES = 4096,
};

static const struct gh_slice index_magic = GH_SLICE_INIT("GHLOGIDX");

char *gh_log_segment_path(const struct gh_log *log, uint64_t base, const char *suffix,
                          char out[GH_LOG_PATH_MAX])
{
    snprintf(out, GH_LOG_PATH_MAX, "%s/%020" PRIu64 "%s", log->folder, base, suffix);
    return out;
}

/* What it is before any of its records is known. */
static void segment_forget(struct gh_log_segment *segment)
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
    segment_forget(segment);
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

static bool tag_note(struct gh_log_segment *segment, uint32_t tag, uint64_t offset)
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

static void mark_add(struct gh_log_segment *segment, struct gh_log_mark mark)
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
        mark_add(segment, (struct gh_log_mark){.offset = record->offset,
                                               .at_ms = record->at_ms,
                                               .position = record->position});
    if (!segment->tags_unknown)
        segment->tags_unknown = !tag_note(segment, record->tag, record->offset);
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

void gh_log_segment_save(struct gh_log *log, const struct gh_log_segment *segment)
{
    char path[GH_LOG_PATH_MAX];
    struct gh_buffer out;
    gh_buffer_init(&out, INDEX_BYTES_MAX);
    gh_buffer_put(&out, index_magic);
    gh_buffer_u32(&out, INDEX_VERSION);
    gh_buffer_u32(&out, segment->header.salt);
    gh_buffer_u32(&out, segment->end);
    gh_buffer_u64(&out, segment->last);
    gh_buffer_u64(&out, (uint64_t)segment->first_ms);
    gh_buffer_u64(&out, (uint64_t)segment->last_ms);
    gh_buffer_u8(&out, segment->tags_unknown);
    gh_buffer_u32(&out, (uint32_t)segment->marks_count);
    gh_buffer_u32(&out, (uint32_t)segment->tags_count);
    for (size_t i = 0; i < segment->marks_count; i++) {
        gh_buffer_u64(&out, segment->marks[i].offset);
        gh_buffer_u64(&out, (uint64_t)segment->marks[i].at_ms);
        gh_buffer_u32(&out, segment->marks[i].position);
    }
    for (size_t i = 0; i < segment->tags_count; i++) {
        gh_buffer_u32(&out, segment->tags[i].tag);
        gh_buffer_u64(&out, segment->tags[i].last);
    }
    gh_buffer_u32(&out, gh_hash_crc32c(0, gh_buffer_slice(&out)));
    gh_log_segment_path(log, segment->header.base, ".idx", path);
    int file = out.overflow ? -1
                            : log->files->open(log->files->context, path,
                                               O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file >= 0) {
        /* Not synced: the CRC tells a torn index file, and the segment is read instead. */
        (void)!log->files->write(log->files->context, file, out.data, out.size, 0);
        log->files->close(log->files->context, file);
    }
    gh_buffer_deinit(&out);
}

/* The fields of an index file, whose CRC was right. */
static bool index_read(struct gh_cursor *at, struct gh_log_segment *segment, uint64_t file_bytes)
{
    uint32_t version, salt, marks, tags;
    uint64_t first_ms, last_ms, at_ms;
    uint8_t unknown;
    struct gh_slice magic;
    if (!gh_cursor_take(at, index_magic.size, &magic) || !gh_slice_equal(magic, index_magic) ||
        !gh_cursor_u32(at, &version) || version != INDEX_VERSION || !gh_cursor_u32(at, &salt) ||
        salt != segment->header.salt || !gh_cursor_u32(at, &segment->end) ||
        segment->end > file_bytes || !gh_cursor_u64(at, &segment->last) ||
        !gh_cursor_u64(at, &first_ms) || !gh_cursor_u64(at, &last_ms) ||
        !gh_cursor_u8(at, &unknown) || !gh_cursor_u32(at, &marks) || !gh_cursor_u32(at, &tags))
        return false;
    segment->first_ms = (int64_t)first_ms;
    segment->last_ms = (int64_t)last_ms;
    segment->tags_unknown = unknown != 0;
    for (uint32_t i = 0; i < marks; i++) {
        struct gh_log_mark mark;
        if (!gh_cursor_u64(at, &mark.offset) || !gh_cursor_u64(at, &at_ms) ||
            !gh_cursor_u32(at, &mark.position))
            return false;
        mark.at_ms = (int64_t)at_ms;
        mark_add(segment, mark);
    }
    for (uint32_t i = 0; i < tags; i++) {
        struct gh_log_tag tag;
        if (!gh_cursor_u32(at, &tag.tag) || !gh_cursor_u64(at, &tag.last))
            return false;
        if (!tag_note(segment, tag.tag, tag.last))
            segment->tags_unknown = true;
    }
    return gh_cursor_left(at) == 0;
}

/* True when the index file was there, whole and of this very segment. */
static bool index_load(struct gh_log *log, struct gh_log_segment *segment, uint64_t file_bytes)
{
    char path[GH_LOG_PATH_MAX];
    struct stat about;
    bool loaded = false;
    uint8_t *bytes = NULL;

    gh_log_segment_path(log, segment->header.base, ".idx", path);
    int file = log->files->open(log->files->context, path, O_RDONLY, 0);
    if (file < 0)
        return false;
    if (fstat(file, &about) != 0 || about.st_size < 4 || about.st_size > INDEX_BYTES_MAX)
        goto out;
    size_t size = (size_t)about.st_size;
    struct gh_log_source source = {.files = log->files, .file = file};
    bytes = malloc(size);
    if (bytes == NULL || gh_log_source_read(&source, bytes, size, 0) != (long)size)
        goto out;
    struct gh_cursor tail = gh_cursor(gh_slice(bytes + size - 4, 4));
    uint32_t crc;
    if (!gh_cursor_u32(&tail, &crc) || crc != gh_hash_crc32c(0, gh_slice(bytes, size - 4)))
        goto out;
    struct gh_cursor at = gh_cursor(gh_slice(bytes, size - 4));
    loaded = index_read(&at, segment, file_bytes);
    if (!loaded)
        segment_forget(segment);
out:
    free(bytes);
    log->files->close(log->files->context, file);
    return loaded;
}

/* Reads a whole segment. `*torn` becomes the number of bytes behind its last good record. */
static enum gh_error_code segment_scan(struct gh_log *log, struct gh_log_segment *segment, int file,
                                       uint32_t file_bytes, uint64_t offset_max, bool last,
                                       uint32_t *torn, struct gh_error *error)
{
    struct gh_log_source source = {.files = log->files, .file = file};
    struct gh_segment_scan scan;
    struct gh_segment_record record;
    struct gh_slice body;
    enum gh_segment_step step;
    uint32_t from;

    gh_segment_scan_init(&scan, (struct gh_segment_source){gh_log_source_read, &source},
                         &segment->header, log->options.record_bytes_max);
    scan.end = file_bytes;
    scan.offset_max = offset_max;
    do {
        step = gh_segment_scan_next(&scan, &record, &body, &from);
        if (step == GH_SEGMENT_RECORD) {
            struct gh_log_record note = {.offset = record.offset,
                                         .at_ms = record.at_ms,
                                         .tag = record.tag,
                                         .position = scan.position - record.length -
                                                     GH_SEGMENT_RECORD_BYTES};
            gh_log_segment_note(segment, &note, scan.position);
        } else if (step == GH_SEGMENT_DAMAGE) {
            gh_log_damage(log, segment, from, scan.position);
        }
    } while (step == GH_SEGMENT_RECORD || step == GH_SEGMENT_DAMAGE);
    *torn = gh_segment_scan_rest_is_zero(&scan) ? 0 : file_bytes - scan.position;
    if (*torn > 0 && !last)
        gh_log_damage(log, segment, scan.position, file_bytes);
    gh_segment_scan_deinit(&scan);
    if (step == GH_SEGMENT_FAILED)
        return gh_error_set(error, GH_ERROR_LOG_OPEN,
                            "segment %s/%020" PRIu64 ".seg cannot be read", log->folder,
                            segment->header.base);
    return GH_OK;
}

/* Makes the last segment the one that is written to, without the bytes behind its last good record.
 */
static enum gh_error_code segment_continue(struct gh_log *log, struct gh_log_segment *segment,
                                           uint32_t torn, struct gh_error *error)
{
    const struct gh_log_files *files = log->files;
    char path[GH_LOG_PATH_MAX];

    gh_log_segment_path(log, segment->header.base, ".seg", path);
    int file = files->open(files->context, path, O_RDWR, 0);
    if (file < 0 || files->truncate(files->context, file, segment->end) != 0) {
        int why = errno;
        if (file >= 0)
            files->close(files->context, file);
        return gh_error_set(error, GH_ERROR_LOG_OPEN, "segment %s cannot be written: %s", path,
                            strerror(why));
    }
    if (torn > 0)
        gh_log(GH_LOG_WARN, "log",
               "segment %s: a torn tail of %" PRIu32 " bytes behind offset %" PRIu64
               " was cut; it was never acknowledged",
               path, torn, segment->last);
    if (segment->damaged > 0 || segment->end >= log->options.segment_bytes) {
        files->close(files->context, file);
        segment->sealed = true;
        gh_log_segment_save(log, segment);
        return GH_OK;
    }
    log->active =
        (struct gh_log_active){.segment = segment, .file = file, .zeroed_to = segment->end};
    return GH_OK;
}

/* A segment whose header cannot be trusted: its records are lost to us, the file stays for a person
 * to look at, and its offsets are not given out again. */
static void segment_unreadable(struct gh_log *log, struct gh_log_segment *segment,
                               uint32_t file_bytes, uint64_t offset_max)
{
    uint64_t most = segment->header.base + file_bytes / GH_SEGMENT_RECORD_BYTES;
    segment->unreadable = segment->sealed = true;
    segment->last = most < offset_max ? most : offset_max;
    segment->end = file_bytes;
    segment->first_ms = segment->last_ms = log->last_ms;
    gh_log_damage(log, segment, 0, file_bytes);
}

/* Shorter than a header, or nothing but zeros. */
static bool file_is_zero(struct gh_log_source *source, uint32_t file_bytes)
{
    struct gh_segment_scan scan;
    struct gh_segment_header none = {0};
    gh_segment_scan_init(&scan, (struct gh_segment_source){gh_log_source_read, source}, &none, 0);
    scan.position = 0;
    scan.end = file_bytes;
    bool zero = file_bytes < GH_SEGMENT_HEADER_BYTES || gh_segment_scan_rest_is_zero(&scan);
    gh_segment_scan_deinit(&scan);
    return zero;
}

/* Reads the header; an empty last segment is removed (a crash came before its first record). */
static enum gh_error_code header_load(struct gh_log *log, uint64_t base, int file,
                                      uint32_t file_bytes, bool last,
                                      struct gh_segment_header *header, bool *readable, bool *gone,
                                      struct gh_error *error)
{
    struct gh_log_source source = {.files = log->files, .file = file};
    char path[GH_LOG_PATH_MAX];
    uint8_t bytes[GH_SEGMENT_HEADER_BYTES];

    gh_log_segment_path(log, base, ".seg", path);
    long got = gh_log_source_read(&source, bytes, sizeof bytes, 0);
    if (got < 0)
        return gh_error_set(error, GH_ERROR_LOG_OPEN, "segment %s cannot be read: %s", path,
                            strerror(errno));
    enum gh_segment_kind kind = gh_segment_header_read(gh_slice(bytes, (size_t)got), header);
    *gone = kind == GH_SEGMENT_EMPTY && last && file_is_zero(&source, file_bytes);
    *readable = kind == GH_SEGMENT_OURS;
    if (kind == GH_SEGMENT_FOREIGN)
        return gh_error_set(error, GH_ERROR_LOG_OPEN,
                            "%s is not a segment of Gatehouse's message log; it was not touched",
                            path);
    if (kind == GH_SEGMENT_NEWER)
        return gh_error_set(error, GH_ERROR_STORE_NEWER,
                            "segment %s has format %" PRIu32 ", this program knows %d", path,
                            header->version, GH_SEGMENT_VERSION);
    if (kind == GH_SEGMENT_OURS && header->base != base)
        return gh_error_set(error, GH_ERROR_LOG_OPEN,
                            "segment %s begins with offset %" PRIu64 ": it was renamed", path,
                            header->base);
    if (*gone)
        log->files->remove(log->files->context, path);
    return GH_OK;
}

static enum gh_error_code segment_load(struct gh_log *log, uint64_t base, uint64_t offset_max,
                                       bool last, struct gh_error *error)
{
    struct gh_segment_header header = {.base = base};
    char path[GH_LOG_PATH_MAX];
    struct stat about;
    bool readable = false, gone = false;
    uint32_t torn = 0;

    gh_log_segment_path(log, base, ".seg", path);
    int file = log->files->open(log->files->context, path, O_RDONLY, 0);
    if (file < 0 || fstat(file, &about) != 0 || about.st_size > UINT32_MAX) {
        if (file >= 0)
            log->files->close(log->files->context, file);
        return gh_error_set(error, GH_ERROR_LOG_OPEN, "segment %s cannot be read: %s", path,
                            file < 0 ? strerror(errno) : "too large");
    }
    uint32_t file_bytes = (uint32_t)about.st_size;
    enum gh_error_code code =
        header_load(log, base, file, file_bytes, last, &header, &readable, &gone, error);
    if (code != GH_OK || gone)
        goto out;
    header.base = base;
    struct gh_log_segment *segment = gh_log_segment_new(&header);
    if (segment == NULL || !gh_log_segments_add(log, segment)) {
        free(segment);
        code = gh_error_set(error, GH_ERROR_MEMORY, "no memory to open %s", log->folder);
        goto out;
    }
    segment->sealed = !last;
    if (!readable) {
        segment_unreadable(log, segment, file_bytes, offset_max);
    } else if (last) {
        code = segment_scan(log, segment, file, file_bytes, offset_max, last, &torn, error);
        if (code == GH_OK)
            code = segment_continue(log, segment, torn, error);
    } else if (!index_load(log, segment, file_bytes)) {
        code = segment_scan(log, segment, file, file_bytes, offset_max, last, &torn, error);
        if (code == GH_OK)
            gh_log_segment_save(log, segment);
    }
    log->last_ms = segment->last_ms;
out:
    log->files->close(log->files->context, file);
    return code;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* "00000000000000000001.seg" */
static bool segment_name(const char *name, uint64_t *base)
{
    struct gh_slice text = gh_slice_text(name);
    return text.size == NAME_DIGITS + 4 && gh_slice_ends(text, GH_SLICE(".seg")) &&
           gh_slice_to_u64(gh_slice_sub(text, 0, NAME_DIGITS), base) && *base > 0;
}

enum gh_error_code gh_log_segments_load(struct gh_log *log, struct gh_error *error)
{
    void *bases = NULL;
    size_t count = 0, capacity = 0;
    uint64_t base;
    enum gh_error_code code = GH_OK;
    DIR *folder = opendir(log->folder);

    if (folder == NULL)
        return gh_error_set(error, GH_ERROR_LOG_OPEN, "%s cannot be read: %s", log->folder,
                            strerror(errno));
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (!segment_name(entry->d_name, &base))
            continue;
        if (!room(&bases, count, &capacity, sizeof base)) {
            code = gh_error_set(error, GH_ERROR_MEMORY, "no memory to open %s", log->folder);
            goto out;
        }
        ((uint64_t *)bases)[count++] = base;
    }
    if (count > 0)
        qsort(bases, count, sizeof base, by_number);
    for (size_t i = 0; i < count && code == GH_OK; i++) {
        bool last = i + 1 == count;
        code = segment_load(log, ((uint64_t *)bases)[i],
                            last ? UINT64_MAX : ((uint64_t *)bases)[i + 1] - 1, last, error);
    }
out:
    free(bases);
    closedir(folder);
    return code;
}
