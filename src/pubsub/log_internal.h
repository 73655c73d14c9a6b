/* The inside of the message log, shared by its files: the table of segments (log_segments.c), what
 * is found at open (log_load.c), the writer (log_writer.c), the readers (log_reader.c), open, close
 * and status (log.c).
 *
 * `lock` guards the table and what segments know of themselves; it is held for moments, never while
 * a file is written or synced. The log thread alone changes them, so it reads them without the
 * lock. */
#ifndef GH_PUBSUB_LOG_INTERNAL_H
#define GH_PUBSUB_LOG_INTERNAL_H

#include "pubsub/log.h"
#include "pubsub/segment.h"
#include <pthread.h>

enum {
    GH_LOG_PATH_MAX = 4096,
    GH_LOG_MARK_BYTES = 256 * 1024, /* one mark of the sparse index for so many bytes */
    GH_LOG_TAGS_MAX = 4096,     /* of a segment's summary; with more it is searched for any tag */
    GH_LOG_FILES_OPEN_MAX = 64, /* segments kept open for reading */
};

struct gh_log_mark {
    uint64_t offset;
    int64_t at_ms;
    uint32_t position;
};

struct gh_log_tag {
    uint32_t tag;
    uint64_t last; /* the last offset with it */
};

struct gh_log_segment {
    struct gh_segment_header header;
    uint64_t last; /* the last durable offset; base - 1 when there is none */
    uint32_t end;  /* the position behind it: readers stop here */
    int64_t first_ms, last_ms;
    uint64_t damaged;     /* regions found */
    uint32_t reported_to; /* damage before this position was reported */
    bool sealed;          /* nothing will be appended */
    bool unreadable;      /* its header is damaged: nothing of it can be read */
    int file;             /* for reading, -1: not open */
    unsigned refs;
    bool removed; /* out of the table; goes with the last reference */
    struct gh_log_mark *marks;
    size_t marks_count, marks_capacity;
    struct gh_log_tag *tags; /* by tag */
    size_t tags_count, tags_capacity;
    bool tags_unknown;
};

struct gh_log_hold {
    struct gh_log *log;
    struct gh_log_hold *next;
    char name[64];
    _Atomic uint64_t from;
};

/* The segment that is written to; the log thread's own. */
struct gh_log_active {
    struct gh_log_segment *segment; /* NULL: the next write begins a new one */
    int file;
    uint32_t zeroed_to; /* the file is zeros from the segment's end to here */
};

struct gh_log {
    struct gh_log_options options; /* defaults filled in */
    char *folder;
    const struct gh_log_files *files;
    int folder_file, lock_file;

    pthread_mutex_t lock;
    struct gh_log_segment **segments; /* in order of their offsets */
    size_t segments_count, segments_capacity;
    unsigned files_open;
    struct gh_log_hold *holds;

    _Atomic uint64_t next; /* the first offset that is not durable */
    _Atomic uint64_t first, bytes, damaged, segments_seen;
    _Atomic bool full;

    /* The way to the log thread. */
    struct gh_mailbox inbox;
    int bell; /* eventfd */
    _Atomic uint32_t queued;
    _Atomic size_t queued_bytes;
    _Atomic bool closing, tidy_wanted;
    pthread_t thread;

    /* The log thread's own. */
    struct gh_log_active active;
    int64_t last_ms;
    int64_t tidy_at_ns;
    struct gh_buffer stage;
    struct gh_log_record *staged;
    struct gh_append **staged_appends;
    size_t staged_count, staged_capacity;
};

/* log.c */
int64_t gh_log_monotonic_ns(const struct gh_log *log);
int64_t gh_log_utc_ms(const struct gh_log *log);
void gh_log_ring(struct gh_log *log);

/* log_segments.c. Paths are written to `out`, which they return. */
char *gh_log_segment_path(const struct gh_log *log, uint64_t base, const char *suffix,
                          char out[GH_LOG_PATH_MAX]);
void gh_log_segments_free(struct gh_log *log);
GH_MUST_USE struct gh_log_segment *gh_log_segment_new(const struct gh_segment_header *header);
/* Appends to the table. False: no memory. */
GH_MUST_USE bool gh_log_segments_add(struct gh_log *log, struct gh_log_segment *segment);
/* Counts a record that ends at `end` into the segment's index. Under the lock once the table is
 * shared; missing memory only makes the index coarser. */
void gh_log_segment_note(struct gh_log_segment *segment, const struct gh_log_record *record,
                         uint32_t end);
/* Takes the oldest out of the table and removes its files. */
void gh_log_segments_drop_first(struct gh_log *log);
/* Takes a last segment without records out of the table: its name is about to be used again. */
void gh_log_segments_drop_empty(struct gh_log *log);
/* Reports a damaged region, once. */
void gh_log_damage(struct gh_log *log, struct gh_log_segment *segment, uint32_t from, uint32_t to);
/* Whether the segment may hold records of `tag` at or above `offset`. Under the lock. */
bool gh_log_segment_has(const struct gh_log_segment *segment, uint32_t tag, uint64_t offset);
/* Index of the segment that holds `offset`, or of the next one; segments_count when there is none.
 * Under the lock. */
size_t gh_log_segments_find(const struct gh_log *log, uint64_t offset);
/* The position at or before which `offset` stands. Under the lock. */
uint32_t gh_log_segment_seek(const struct gh_log_segment *segment, uint64_t offset);
/* Opens the file when it is not; counts the reference. Under the lock; false: it cannot be opened.
 */
GH_MUST_USE bool gh_log_segment_ref(struct gh_log *log, struct gh_log_segment *segment);
void gh_log_segment_unref(struct gh_log *log, struct gh_log_segment *segment); /* takes the lock */
/* A source for scans of an open segment's file. A page that the disk cannot read reads as zeros, so
 * that it counts as damage and what follows it stays readable. */
struct gh_log_source {
    const struct gh_log_files *files;
    int file;
};
long gh_log_source_read(void *context, void *into, size_t size, uint32_t position);

/* Parts of `note`, for what comes from an index file. False: no memory, or too many tags. */
bool gh_log_segment_tag(struct gh_log_segment *segment, uint32_t tag, uint64_t offset);
void gh_log_segment_mark(struct gh_log_segment *segment, struct gh_log_mark mark);
/* Back to what it was before any of its records was known. */
void gh_log_segment_forget(struct gh_log_segment *segment);

/* log_load.c */
/* Reads what is in the folder. */
GH_MUST_USE enum gh_error_code gh_log_segments_load(struct gh_log *log, struct gh_error *error);
/* Writes the index file of a sealed segment. That it fails costs a scan at the next open. */
void gh_log_segment_save(struct gh_log *log, const struct gh_log_segment *segment);

/* log_writer.c */
void *gh_log_writer_run(void *log);
#endif
