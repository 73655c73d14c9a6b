/* The inside of the store: connections, prepared statements, transactions. Only store/sqlite
 * includes it, and only here is sqlite3.h known.
 *
 * A statement is a row of a file's `sql` table; the connection prepares it once and keeps it.
 * Values are bound and read in order:
 *
 *     struct gh_sql q = gh_sql_open(link, sql[TOPIC_FIND]);
 *     gh_sql_put_int(&q, tenant);
 *     gh_sql_put_text(&q, name);
 *     if (gh_sql_next(&q)) {
 *         row->number = gh_sql_int(&q);
 *         row->settings = gh_sql_text(&q, arena);
 *     }
 *     return gh_sql_close(&q, error);
 *
 * The first failure sticks to `q`: later calls do nothing, and gh_sql_close reports it.
 * Threads: a connection belongs to the thread that began a read or a write on it. */
#ifndef GH_STORE_SQLITE_INTERNAL_H
#define GH_STORE_SQLITE_INTERNAL_H

#include "base/buffer.h"
#include "store/registry.h"
#include <assert.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

enum {
    GH_STORE_APPLICATION_ID = 0x47484731, /* "GHG1" in the database's header */
    GH_STORE_READERS_MAX = 4,
    GH_STORE_STATEMENTS_MAX =
        512,                  /* per connection; a power of two above the number of statements */
    GH_STORE_GROUP_MAX = 256, /* writes in one commit */
};

/* One connection with its prepared statements. */
struct gh_link {
    sqlite3 *db;
    struct gh_store *store;
    struct gh_link_slot {
        const char *text; /* the address of the statement's text is its key */
        sqlite3_stmt *statement;
        bool changes; /* what a sign-in reads */
    } slots[GH_STORE_STATEMENTS_MAX];
    bool changes; /* the statement that was prepared last does */
    bool changed; /* such a statement was opened since the last commit */
};

/* The writes that share one commit. */
struct gh_group {
    unsigned members; /* threads that wait for it or run it */
    unsigned writes;
    bool ended;
    enum gh_error_code code;
    char text[GH_ERROR_TEXT_MAX];
};

struct gh_store {
    char path[4096];
    int lock_fd;

    pthread_mutex_t write_lock; /* guards the writer, `group` and what follows it */
    pthread_cond_t group_ended;
    struct gh_link writer;
    struct gh_group *group; /* the open transaction, NULL when there is none */
    atomic_uint writers_waiting;
    atomic_uint_fast64_t generation;
    atomic_bool erased; /* rows were deleted since the write-ahead log was last emptied */
    int64_t trail_rows; /* -1: not counted yet */

    pthread_mutex_t read_lock; /* guards the pool */
    pthread_cond_t reader_free;
    struct gh_link *readers[GH_STORE_READERS_MAX];
    struct gh_link *idle[GH_STORE_READERS_MAX];
    size_t readers_count, idle_count;
    uint64_t reads;            /* ever */
    uint64_t work_seen, crowd; /* of gh_store_rest: at its last call; since it last had to do */
    unsigned quiet_calls;      /* of that, in a row */
};

/* --- connection.c --- */
GH_MUST_USE enum gh_error_code gh_link_open(struct gh_link *link, struct gh_store *store, int flags,
                                            struct gh_error *error);
void gh_link_close(struct gh_link *link);
/* For the code of SQLite's that is at hand; the text names the database and SQLite's own words. */
enum gh_error_code gh_link_failed(const struct gh_link *link, int code, struct gh_error *error);
/* One statement without values or rows. */
GH_MUST_USE enum gh_error_code gh_link_run(struct gh_link *link, const char *text,
                                           struct gh_error *error);

struct gh_sql {
    struct gh_link *link;
    sqlite3_stmt *statement;
    int result;          /* of SQLite's last step */
    int put_at, take_at; /* the last value bound, the last column read */
    bool memory_failed;  /* the caller's arena is at its ceiling */
};

struct gh_sql gh_sql_open(struct gh_link *link, const char *text);
void gh_sql_put_int(struct gh_sql *q, int64_t value);
void gh_sql_put_text(struct gh_sql *q, struct gh_slice text);   /* borrowed until close */
void gh_sql_put_bytes(struct gh_sql *q, struct gh_slice bytes); /* borrowed until close */
void gh_sql_put_null(struct gh_sql *q);
/* 0 is stored as NULL: references that may be absent. */
void gh_sql_put_reference(struct gh_sql *q, int64_t number);
/* True at a row; its columns are read from the first again. */
bool gh_sql_next(struct gh_sql *q);
int64_t gh_sql_int(struct gh_sql *q);
bool gh_sql_bool(struct gh_sql *q);
/* Text or bytes, copied into the arena; empty for NULL. */
struct gh_slice gh_sql_text(struct gh_sql *q, struct gh_arena *arena);
/* Borrowed until the next step. */
struct gh_slice gh_sql_borrow(struct gh_sql *q);
void gh_sql_skip(struct gh_sql *q, int columns);
/* GH_OK when all steps went well. A broken UNIQUE gives EXISTS, a broken reference PRECONDITION. */
GH_MUST_USE enum gh_error_code gh_sql_close(struct gh_sql *q, struct gh_error *error);
/* In a transaction that writes a policy of `tenant` (0: the house): CONFLICT when it names a custom
 * role that is not there, so that none is deleted in the moment in which it is bound. */
GH_MUST_USE enum gh_error_code gh_roles_check(struct gh_link *link, int64_t tenant,
                                              struct gh_slice policy, struct gh_error *error);
/* Runs a statement that yields no rows to its end and closes it; `*changed` (may be NULL) is how
 * many rows it changed. */
GH_MUST_USE enum gh_error_code gh_sql_run(struct gh_sql *q, int64_t *changed,
                                          struct gh_error *error);

/* Whether what is stored is what the writer saw: `before` empty asks nothing, "-" wants nothing to
 * stand there yet. */
bool gh_sql_etag_same(struct gh_slice stored, struct gh_slice before);

/* A growing array in an arena, for lists whose length is not known. */
struct gh_rows {
    struct gh_arena *arena;
    void *items;
    size_t count, capacity, item_size;
};
/* The next item, zeroed; NULL at the arena's ceiling, and `q` remembers it. */
void *gh_rows_add(struct gh_rows *rows, struct gh_sql *q);

/* --- transaction.c --- */
/* One snapshot on a pooled connection. */
GH_MUST_USE enum gh_error_code gh_read_begin(struct gh_store *store, struct gh_link **link,
                                             struct gh_error *error);
void gh_read_end(struct gh_link *link);
/* The writer, inside a savepoint. */
GH_MUST_USE enum gh_error_code gh_write_begin(struct gh_store *store, struct gh_link **link,
                                              struct gh_error *error);
/* Keeps the changes when `code` is GH_OK and waits until they are durable, else takes them back.
 * Returns `code`, or why the commit failed. */
GH_MUST_USE enum gh_error_code gh_write_end(struct gh_link *link, enum gh_error_code code,
                                            struct gh_error *error);

/* --- schema.c --- */
/* An empty database gets the schema, an older one is brought up to date, a newer one is refused. */
GH_MUST_USE enum gh_error_code gh_schema_create(struct gh_link *link, struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_schema_update(struct gh_link *link, struct gh_error *error);

/* --- audit.c --- */
struct gh_audit_note;
/* Inside a write: adds a row at the end of the chain. */
GH_MUST_USE enum gh_error_code gh_audit_add(struct gh_link *link, const struct gh_audit_note *note,
                                            int64_t *seq, struct gh_error *error);

/* --- tenant_documents.c --- */
/* Inside a write. */
GH_MUST_USE enum gh_error_code gh_meta_put(struct gh_link *link, struct gh_slice key,
                                           struct gh_slice value, struct gh_error *error);
#endif
