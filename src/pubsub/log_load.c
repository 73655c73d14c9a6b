/* What stands in the folder when the log is opened, and the index files that spare the next open
 * from reading sealed segments again.
 *
 *   index file   "GHLOGIDX" | version u32 | salt u32 | end u32 | last offset u64 | first ms u64 |
 * last ms u64 | tags unknown u8 | marks u32 | tags u32 | (offset u64 | ms u64 | position u32)... |
 *                (tag u32 | last offset u64)... | CRC32C of all before u32
 *
 * It belongs to the segment with its salt. One that is missing or not whole is written anew. */
#include "base/cursor.h"
#include "base/hash.h"
#include "base/log.h"
#include "pubsub/log_internal.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    NAME_DIGITS = 20,
    INDEX_VERSION = 1,
    INDEX_BYTES_MAX = 4 * 1024 * 1024,
};

static const struct gh_slice index_magic = GH_SLICE_INIT("GHLOGIDX");

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
        gh_log_segment_mark(segment, mark);
    }
    for (uint32_t i = 0; i < tags; i++) {
        struct gh_log_tag tag;
        if (!gh_cursor_u32(at, &tag.tag) || !gh_cursor_u64(at, &tag.last))
            return false;
        if (!gh_log_segment_tag(segment, tag.tag, tag.last))
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
        gh_log_segment_forget(segment);
out:
    free(bytes);
    log->files->close(log->files->context, file);
    return loaded;
}

/* One segment's file while it is looked at. */
struct loading {
    struct gh_log *log;
    char path[GH_LOG_PATH_MAX];
    struct gh_log_source source;
    uint32_t file_bytes;
    uint64_t base, offset_max; /* by its name, and by the name of the next one */
    bool last;                 /* there is no next one */
    struct gh_segment_header header;
    bool readable; /* the header is */
    bool gone;     /* there was nothing in it */
    uint32_t torn; /* bytes behind its last good record */
};

/* Reads a whole segment. */
static enum gh_error_code segment_scan(struct loading *loading, struct gh_log_segment *segment,
                                       struct gh_error *error)
{
    struct gh_log *log = loading->log;
    struct gh_segment_scan scan;
    struct gh_segment_record record;
    struct gh_slice body;
    enum gh_segment_step step;
    uint32_t from;

    gh_segment_scan_init(&scan, (struct gh_segment_source){gh_log_source_read, &loading->source},
                         &segment->header, log->options.record_bytes_max);
    scan.end = loading->file_bytes;
    scan.offset_max = loading->offset_max;
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
    if (step == GH_SEGMENT_END && !gh_segment_scan_rest_is_zero(&scan))
        loading->torn = scan.end - scan.position;
    if (loading->torn > 0 && !loading->last)
        gh_log_damage(log, segment, scan.position, scan.end);
    gh_segment_scan_deinit(&scan);
    return step == GH_SEGMENT_END
               ? GH_OK
               : gh_error_set(error, GH_ERROR_LOG_OPEN, "segment %s cannot be read", loading->path);
}

/* Makes the last segment the one that is written to, without the bytes behind its last good record.
 */
static enum gh_error_code segment_continue(const struct loading *loading,
                                           struct gh_log_segment *segment, struct gh_error *error)
{
    struct gh_log *log = loading->log;
    const struct gh_log_files *files = log->files;
    const char *path = loading->path;
    int file = files->open(files->context, path, O_RDWR, 0);
    if (file < 0 || files->truncate(files->context, file, segment->end) != 0) {
        int why = errno;
        if (file >= 0)
            files->close(files->context, file);
        return gh_error_set(error, GH_ERROR_LOG_OPEN, "segment %s cannot be written: %s", path,
                            strerror(why));
    }
    if (loading->torn > 0)
        gh_log(GH_LOG_WARN, "log",
               "segment %s: a torn tail of %" PRIu32 " bytes behind offset %" PRIu64
               " was cut; it was never acknowledged",
               path, loading->torn, segment->last);
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
static void segment_unreadable(struct loading *loading, struct gh_log_segment *segment)
{
    uint64_t most = loading->base + loading->file_bytes / GH_SEGMENT_RECORD_BYTES;
    segment->unreadable = segment->sealed = true;
    segment->last = most < loading->offset_max ? most : loading->offset_max;
    segment->end = loading->file_bytes;
    segment->first_ms = segment->last_ms = loading->log->last_ms;
    gh_log_damage(loading->log, segment, 0, loading->file_bytes);
}

/* Shorter than a header, or nothing but zeros. */
static bool file_is_zero(struct loading *loading)
{
    struct gh_segment_scan scan;
    struct gh_segment_header none = {0};
    gh_segment_scan_init(&scan, (struct gh_segment_source){gh_log_source_read, &loading->source},
                         &none, 0);
    scan.position = 0;
    scan.end = loading->file_bytes;
    bool zero =
        loading->file_bytes < GH_SEGMENT_HEADER_BYTES || gh_segment_scan_rest_is_zero(&scan);
    gh_segment_scan_deinit(&scan);
    return zero;
}

/* Reads the header; an empty last segment is removed (a crash came before its first record). */
static enum gh_error_code header_load(struct loading *loading, struct gh_error *error)
{
    uint8_t bytes[GH_SEGMENT_HEADER_BYTES];
    long got = gh_log_source_read(&loading->source, bytes, sizeof bytes, 0);
    if (got < 0)
        return gh_error_set(error, GH_ERROR_LOG_OPEN, "segment %s cannot be read: %s",
                            loading->path, strerror(errno));
    enum gh_segment_kind kind =
        gh_segment_header_read(gh_slice(bytes, (size_t)got), &loading->header);
    loading->readable = kind == GH_SEGMENT_OURS;
    loading->gone = kind == GH_SEGMENT_EMPTY && loading->last && file_is_zero(loading);
    if (kind == GH_SEGMENT_FOREIGN)
        return gh_error_set(error, GH_ERROR_LOG_OPEN,
                            "%s is not a segment of Gatehouse's message log; it was not touched",
                            loading->path);
    if (kind == GH_SEGMENT_NEWER)
        return gh_error_set(error, GH_ERROR_STORE_NEWER,
                            "segment %s has format %" PRIu32 ", this program knows %d",
                            loading->path, loading->header.version, GH_SEGMENT_VERSION);
    if (kind == GH_SEGMENT_OURS && loading->header.base != loading->base)
        return gh_error_set(error, GH_ERROR_LOG_OPEN,
                            "segment %s begins with offset %" PRIu64 ": it was renamed",
                            loading->path, loading->header.base);
    loading->header.base = loading->base;
    if (loading->gone)
        loading->log->files->remove(loading->log->files->context, loading->path);
    return GH_OK;
}

static enum gh_error_code records_load(struct loading *loading, struct gh_log_segment *segment,
                                       struct gh_error *error)
{
    if (!loading->readable) {
        segment_unreadable(loading, segment);
        return GH_OK;
    }
    if (!loading->last && index_load(loading->log, segment, loading->file_bytes))
        return GH_OK;
    enum gh_error_code code = segment_scan(loading, segment, error);
    if (code != GH_OK)
        return code;
    if (loading->last)
        return segment_continue(loading, segment, error);
    gh_log_segment_save(loading->log, segment);
    return GH_OK;
}

/* Between two segments no offset is left out, unless a damaged one hides it. */
static void gap_report(struct gh_log *log, uint64_t base)
{
    if (log->segments_count == 0)
        return;
    const struct gh_log_segment *before = log->segments[log->segments_count - 1];
    if (before->last + 1 >= base || before->damaged > 0)
        return;
    atomic_fetch_add(&log->damaged, 1);
    gh_log(GH_LOG_ERROR, "log",
           "GH4102 message log %s: offsets %" PRIu64 " to %" PRIu64
           " are missing: a segment file is gone",
           log->folder, before->last + 1, base - 1);
}

static enum gh_error_code segment_load(struct loading *loading, struct gh_error *error)
{
    struct gh_log *log = loading->log;
    const struct gh_log_files *files = log->files;
    struct stat about;

    gh_log_segment_path(log, loading->base, ".seg", loading->path);
    int file = files->open(files->context, loading->path, O_RDONLY, 0);
    if (file < 0)
        return gh_error_set(error, GH_ERROR_LOG_OPEN, "segment %s cannot be read: %s",
                            loading->path, strerror(errno));
    enum gh_error_code code = GH_OK;
    if (fstat(file, &about) != 0 || about.st_size > UINT32_MAX) {
        code = gh_error_set(error, GH_ERROR_LOG_OPEN, "segment %s is too large for one",
                            loading->path);
        goto out;
    }
    loading->source = (struct gh_log_source){.files = files, .file = file};
    loading->file_bytes = (uint32_t)about.st_size;
    code = header_load(loading, error);
    if (code != GH_OK || loading->gone)
        goto out;
    gap_report(log, loading->base);
    struct gh_log_segment *segment = gh_log_segment_new(&loading->header);
    if (segment == NULL || !gh_log_segments_add(log, segment)) {
        free(segment);
        code = gh_error_set(error, GH_ERROR_MEMORY, "no memory to open %s", log->folder);
        goto out;
    }
    segment->sealed = !loading->last;
    code = records_load(loading, segment, error);
    log->last_ms = segment->last_ms;
out:
    files->close(files->context, file);
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

/* The numbers of the segments in the folder, ascending; false: no memory. */
static bool bases_read(DIR *folder, uint64_t **bases, size_t *count)
{
    size_t capacity = 0;
    uint64_t base;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (!segment_name(entry->d_name, &base))
            continue;
        if (*count == capacity) {
            capacity = capacity == 0 ? 64 : 2 * capacity;
            uint64_t *grown = reallocarray(*bases, capacity, sizeof *grown);
            if (grown == NULL)
                return false;
            *bases = grown;
        }
        (*bases)[(*count)++] = base;
    }
    if (*count > 0)
        qsort(*bases, *count, sizeof base, by_number);
    return true;
}

enum gh_error_code gh_log_segments_load(struct gh_log *log, struct gh_error *error)
{
    uint64_t *bases = NULL;
    size_t count = 0;
    enum gh_error_code code = GH_OK;
    DIR *folder = opendir(log->folder);

    if (folder == NULL)
        return gh_error_set(error, GH_ERROR_LOG_OPEN, "%s cannot be read: %s", log->folder,
                            strerror(errno));
    if (!bases_read(folder, &bases, &count))
        code = gh_error_set(error, GH_ERROR_MEMORY, "no memory to open %s", log->folder);
    for (size_t i = 0; i < count && code == GH_OK; i++) {
        struct loading loading = {.log = log,
                                  .base = bases[i],
                                  .last = i + 1 == count,
                                  .offset_max = i + 1 == count ? UINT64_MAX : bases[i + 1] - 1};
        code = segment_load(&loading, error);
    }
    free(bases);
    closedir(folder);
    return code;
}
