/* The message log: append-only segments on disk behind one writer thread with group commit. All
 * that any thread appends while one fdatasync runs goes out with the next single write and the next
 * single fdatasync; only after that the appenders get their letters. An acknowledged record
 * survives kill -9 and loss of power.
 *
 * Knows records only: an offset (counted up from 1, never used twice), a time, a 32-bit tag and
 * bytes. Topics and subscriptions belong to pubsub/pubsub.h; the bytes of a segment are described
 * in pubsub/segment.h.
 *
 * Failure model. A full or failing disk fails the batch at hand (GH4103) and no other: what was
 * written of it is cut off again, and the log recovers by itself, with the next append or within a
 * second, once there is space. A damaged record in the middle is reported (GH4102, segment and
 * position) and stepped over; a torn tail of the last segment, which nobody was told was stored, is
 * cut at open. What is not a log of Gatehouse is refused, not touched.
 *
 * Memory: an append borrows its bytes until its letter is sent; records handed to a visitor or
 * watcher are borrowed for the call. Threads: any, except where a function says otherwise; nothing
 * here blocks but open, close and the reads, which read from the page cache or the disk. */
#ifndef GH_PUBSUB_LOG_H
#define GH_PUBSUB_LOG_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/mailbox.h"
#include "base/metric.h"
#include "base/slice.h"

struct gh_log;
struct gh_log_files;

/* Clocks, so that tests move time by hand. NULL functions mean the system's. */
struct gh_log_clock {
    int64_t (*monotonic_ns)(void *context);
    int64_t (*utc_ms)(void *context);
    void *context;
};

/* One record as it is read back. `position` and `size` say where in its segment it stands, so that
 * it can be fetched again without a search. */
struct gh_log_record {
    uint64_t offset;
    /* UTC. Never less than the record's before it when the clock steps back by less than a minute;
     * by more, a new segment begins and its times with it. */
    int64_t at_ms;
    uint32_t tag;
    uint32_t position;
    struct gh_slice body;
};

/* The writer's own view of what became durable, before the appenders hear of it, so that who was
 * told "stored" finds it everywhere. Called on the log thread: it must be short and must not
 * append-and-wait. */
struct gh_log_watch {
    void (*committed)(void *context, const struct gh_log_record *records, size_t count);
    void *context;
};

struct gh_log_options {
    const char *folder;        /* made (mode 0700) when it is not there; its parent must exist */
    uint32_t segment_bytes;    /* 0: 64 MiB */
    uint32_t record_bytes_max; /* 0: 16 MiB */
    uint32_t queue_count_max;  /* appends that wait or are being written; 0: 65,536 */
    size_t queue_bytes_max;    /* their bytes; 0: 64 MiB. Past either, gh_log_append refuses */
    int64_t age_max_ms;        /* whole segments go when older and nobody holds them; 0: 7 days */
    uint64_t bytes_max;        /* and, held or not, when all segments are larger; 0: 64 GiB */
    bool keeps_unheld;         /* nothing goes by age while nobody holds anything: what is alive is
                                  known to a holder alone, who comes after open and goes before close */
    int64_t retry_ms;          /* how often a full log tries again without appends; 0: 1,000 */
    struct gh_log_clock clock;
    struct gh_log_watch watch;
    const struct gh_log_files *files; /* NULL: the system's */
    struct gh_metrics *metrics;       /* may be NULL */
};

/* Validates the last segment, learns the others from their index files (or by reading them) and
 * starts the writer. NULL with `error` filled: LOG_OPEN (cannot be read, not ours, newer format) or
 * IN_USE. */
GH_MUST_USE struct gh_log *gh_log_open(const struct gh_log_options *options,
                                       struct gh_error *error);
/* Writes what is queued, answers every append, ends the thread. Nobody may append or read any more.
 */
void gh_log_close(struct gh_log *log);

/* One append, embedded in whatever is waiting for it. */
struct gh_append {
    struct gh_letter done; /* `open` is the appender's; given to `reply` on the log thread, once */
    void (*reply)(void *context,
                  struct gh_letter *done); /* e.g. gh_loop_send, or a mailbox and a condition */
    void *reply_context;
    uint32_t tag;
    struct gh_slice body; /* borrowed until the reply */
    /* Valid from the reply on. */
    enum gh_error_code result; /* GH_OK: durable. GH_ERROR_LOG_FULL: not stored */
    uint64_t offset;
    int64_t at_ms;
    uint32_t position; /* for gh_log_fetch */
};
/* Never blocks. False: the queue is full, the record is too large or the log is closing; there is
 * no reply then. Appends of one thread keep their order. */
GH_MUST_USE bool gh_log_append(struct gh_log *log, struct gh_append *append);
/* Appends and waits; for worker threads and tests, never for a loop or the log thread. */
GH_MUST_USE enum gh_error_code gh_log_append_wait(struct gh_log *log, uint32_t tag,
                                                  struct gh_slice body, uint64_t *offset);

struct gh_log_status {
    uint64_t first; /* the oldest offset that can still be read (next, when there is none) */
    uint64_t next;  /* everything below is durable and visible */
    uint64_t bytes, segments;
    uint64_t damaged; /* regions found since open */
    bool full;        /* the last batch failed and nothing has been written since */
};
struct gh_log_status gh_log_status(const struct gh_log *log);
/* As status.next, one atomic load. */
uint64_t gh_log_next(const struct gh_log *log);
/* The first offset whose record is not older than `utc_ms` (next, when all are older). */
uint64_t gh_log_offset_at(struct gh_log *log, int64_t utc_ms);

/* A reader walks forward through the durable records. One thread at a time; many readers beside
 * each other. */
struct gh_log_reader;
GH_MUST_USE struct gh_log_reader *gh_log_reader_open(struct gh_log *log); /* NULL: no memory */
void gh_log_reader_close(struct gh_log_reader *reader);
/* The next record read will be the first one at or after `offset`. */
void gh_log_reader_seek(struct gh_log_reader *reader, uint64_t offset);
/* Where the next read begins: everything below was yielded or is gone. */
uint64_t gh_log_reader_offset(const struct gh_log_reader *reader);
enum gh_log_read {
    GH_LOG_READ_RECORD, /* `out` filled; its body is valid until the next call */
    GH_LOG_READ_END,    /* nothing more is durable now */
    GH_LOG_READ_PAUSE,  /* many records of other tags were stepped over: call again */
    GH_LOG_READ_FAILED, /* the disk or memory failed; the position is unchanged, try again later */
};
enum { GH_LOG_ANY_TAG = 0 };
/* With a tag, records of others are stepped over, whole segments without it by their summary.
 * Damaged records are reported and stepped over. At END with a tag the position is the end of what
 * is durable. */
GH_MUST_USE enum gh_log_read gh_log_reader_next(struct gh_log_reader *reader, uint32_t tag,
                                                struct gh_log_record *out);
enum gh_log_fetched {
    GH_LOG_FETCHED,
    GH_LOG_FETCH_GONE,   /* removed by retention, or damaged (and reported) */
    GH_LOG_FETCH_FAILED, /* the disk or memory failed; try again later */
};
/* Fetches one record by what an earlier read said of it; its body goes to `into` (replaced, not
 * appended). */
GH_MUST_USE enum gh_log_fetched gh_log_fetch(struct gh_log *log, uint64_t offset, uint32_t position,
                                             struct gh_buffer *into, struct gh_log_record *out);

/* A hold keeps segments from going by age: those with offsets at or above `from`. The size ceiling
 * breaks it, with a line in the operator's log that names the holder. NULL: no memory. */
struct gh_log_hold;
GH_MUST_USE struct gh_log_hold *gh_log_hold_open(struct gh_log *log, const char *name,
                                                 uint64_t from);
void gh_log_hold_move(struct gh_log_hold *hold, uint64_t from);
void gh_log_hold_close(struct gh_log_hold *hold);
/* Runs retention soon, instead of at the next segment or minute (tests, and after a hold moved
 * far). It does not run when the log is opened: holds are opened first. */
void gh_log_tidy(struct gh_log *log);

/* The operations on files that the log uses. They return as the system calls do, with errno; tests
 * put failures, slowness and loss of power behind them. `path` and names are NUL-terminated. */
struct gh_log_files {
    int (*open)(void *context, const char *path, int flags, unsigned mode);
    int (*close)(void *context, int file);
    long (*read)(void *context, int file, void *into, size_t size, int64_t position);
    long (*write)(void *context, int file, const void *from, size_t size, int64_t position);
    int (*sync_data)(void *context, int file);
    int (*sync_all)(void *context, int file); /* folders too */
    int (*truncate)(void *context, int file, int64_t size);
    int (*remove)(void *context, const char *path);
    int (*rename)(void *context, const char *from, const char *to);
    void *context;
};
const struct gh_log_files *gh_log_files_system(void);
#endif
