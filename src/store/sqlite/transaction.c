/* Reads and writes as transactions.
 *
 * Writes share commits: whoever has written and sees others waiting for the writer leaves the
 * transaction open to them and waits; the last in line commits for all. A lone write commits at
 * once, so nobody ever waits for time to pass. Each write runs in a savepoint, so that one which
 * fails takes back only its own changes.
 *
 * A thread may have a row of the audit trail ride on its next write: it is added inside that
 * write's savepoint, so that a change costs one commit and never stands without its row. */
#include "store/audit.h"
#include "store/sqlite/sqlite_internal.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    READ_BEGIN,
    READ_END,
    WRITE_BEGIN,
    WRITE_COMMIT,
    ROLLBACK,
    STEP_BEGIN,
    STEP_KEEP,
    STEP_BACK
};

static const char *const sql[] = {
    [READ_BEGIN] = "BEGIN DEFERRED",   [READ_END] = "COMMIT /* read */",
    [WRITE_BEGIN] = "BEGIN IMMEDIATE", [WRITE_COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",           [STEP_BEGIN] = "SAVEPOINT step",
    [STEP_KEEP] = "RELEASE step",      [STEP_BACK] = "ROLLBACK TO step",
};

static enum gh_error_code run(struct gh_link *link, const char *text, struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, text);
    return gh_sql_run(&q, NULL, error);
}

/* SQLite has already rolled back by itself when the disk is full or memory is short. */
static void roll_back(struct gh_link *link)
{
    if (!sqlite3_get_autocommit(link->db) && run(link, sql[ROLLBACK], NULL) != GH_OK)
        assert(sqlite3_get_autocommit(link->db));
}

static enum gh_error_code reader_take(struct gh_store *store, struct gh_link **link,
                                      struct gh_error *error)
{
    enum gh_error_code code = GH_OK;
    pthread_mutex_lock(&store->read_lock);
    store->reads++;
    while (store->idle_count == 0 && store->readers_count == GH_STORE_READERS_MAX)
        pthread_cond_wait(&store->reader_free, &store->read_lock);
    if (store->idle_count > 0) {
        *link = store->idle[--store->idle_count];
    } else if ((*link = calloc(1, sizeof **link)) == NULL) {
        code = gh_error_set(error, GH_ERROR_MEMORY, "no memory for a database connection");
    } else if ((code = gh_link_open(*link, store, SQLITE_OPEN_READONLY, error)) != GH_OK) {
        free(*link);
    } else {
        store->readers[store->readers_count++] = *link;
    }
    pthread_mutex_unlock(&store->read_lock);
    return code;
}

static void reader_give(struct gh_link *link)
{
    struct gh_store *store = link->store;
    pthread_mutex_lock(&store->read_lock);
    store->idle[store->idle_count++] = link;
    pthread_cond_signal(&store->reader_free);
    pthread_mutex_unlock(&store->read_lock);
}

enum gh_error_code gh_read_begin(struct gh_store *store, struct gh_link **link,
                                 struct gh_error *error)
{
    enum gh_error_code code = reader_take(store, link, error);
    if (code != GH_OK)
        return code;
    code = run(*link, sql[READ_BEGIN], error);
    if (code != GH_OK)
        reader_give(*link);
    return code;
}

void gh_read_end(struct gh_link *link)
{
    if (run(link, sql[READ_END], NULL) != GH_OK)
        roll_back(link);
    reader_give(link);
}

static enum gh_error_code group_result(const struct gh_group *group, struct gh_error *error)
{
    return group->code == GH_OK ? GH_OK : gh_error_set(error, group->code, "%s", group->text);
}

static void group_leave(struct gh_group *group)
{
    if (--group->members == 0)
        free(group);
}

/* The transaction is over, well or not: everyone in the group learns how. */
static void group_end(struct gh_store *store, enum gh_error_code code, const struct gh_error *error)
{
    struct gh_group *group = store->group;
    group->code = code;
    if (code != GH_OK)
        snprintf(group->text, sizeof group->text, "%s", error->text);
    group->ended = true;
    store->group = NULL;
    pthread_cond_broadcast(&store->group_ended);
    group_leave(group);
}

/* Before anybody learns that the writes are durable. A commit that failed counts as well: whoever
 * reads again for nothing is not wrong. */
static void count_change(struct gh_store *store)
{
    if (store->writer.changed)
        atomic_fetch_add(&store->generation, 1);
    store->writer.changed = false;
}

uint64_t gh_store_generation(struct gh_store *store)
{
    return atomic_load(&store->generation);
}

static void commit(struct gh_store *store)
{
    struct gh_error error = {0};
    enum gh_error_code code = GH_OK;
    if (store->group->writes > 0)
        code = run(&store->writer, sql[WRITE_COMMIT], &error);
    roll_back(&store->writer); /* does nothing after a commit that went well */
    count_change(store);
    group_end(store, code, &error);
}

/* Commits unless somebody who comes next will. The lock is held. */
static void commit_or_pass_on(struct gh_store *store)
{
    if (store->group != NULL &&
        (atomic_load(&store->writers_waiting) == 0 || store->group->writes >= GH_STORE_GROUP_MAX))
        commit(store);
}

static enum gh_error_code group_join(struct gh_store *store, struct gh_error *error)
{
    if (store->group == NULL) {
        struct gh_group *group = calloc(1, sizeof *group);
        if (group == NULL)
            return gh_error_set(error, GH_ERROR_MEMORY, "no memory for a transaction");
        enum gh_error_code code = run(&store->writer, sql[WRITE_BEGIN], error);
        if (code != GH_OK) {
            free(group);
            return code;
        }
        group->members = 1; /* the store's own, until the end */
        store->group = group;
    }
    return run(&store->writer, sql[STEP_BEGIN], error);
}

enum gh_error_code gh_write_begin(struct gh_store *store, struct gh_link **link,
                                  struct gh_error *error)
{
    atomic_fetch_add(&store->writers_waiting, 1);
    pthread_mutex_lock(&store->write_lock);
    atomic_fetch_sub(&store->writers_waiting, 1);
    enum gh_error_code code = group_join(store, error);
    if (code != GH_OK) {
        commit_or_pass_on(store);
        pthread_mutex_unlock(&store->write_lock);
        return code;
    }
    store->group->members++;
    *link = &store->writer;
    return GH_OK;
}

/* Ends the savepoint. Anything but GH_OK means that this write did not happen. */
static enum gh_error_code step_end(struct gh_link *link, enum gh_error_code code,
                                   struct gh_error *error)
{
    bool open = !sqlite3_get_autocommit(link->db);
    if (open && (code == GH_OK || run(link, sql[STEP_BACK], NULL) == GH_OK) &&
        run(link, sql[STEP_KEEP], NULL) == GH_OK) {
        link->store->group->writes += code == GH_OK;
        return code;
    }
    /* SQLite gave the whole transaction up, as it does on a full disk, or one change cannot be
     * taken out of it: the other writes in it are lost as well, and each of their callers is told.
     */
    struct gh_error lost = {0};
    enum gh_error_code why = code == GH_ERROR_STORE_CORRUPT ? code : GH_ERROR_STORE_WRITE;
    gh_error_set(&lost, why, "%s: the transaction was given up", link->store->path);
    roll_back(link);
    group_end(link->store, why, &lost);
    return code != GH_OK ? code : gh_error_set(error, why, "%s", lost.text);
}

/* The row that waits for a write of this thread. What a thread does for one caller ends before it
 * begins with the next, so the thread is the transaction's natural owner; the other way, a
 * parameter of every function that writes, was not taken. */
static _Thread_local struct rider {
    struct gh_store *store;
    const struct gh_audit_note *note;
    int64_t seq; /* once it is durable */
} rider;

void gh_store_audit_ride(struct gh_store *store, const struct gh_audit_note *note)
{
    assert(rider.note == NULL);
    rider = (struct rider){.store = store, .note = note};
}

int64_t gh_store_audit_alight(struct gh_store *store)
{
    int64_t seq = rider.store == store ? rider.seq : 0;
    rider = (struct rider){0};
    return seq;
}

/* Adds the row that waits, if one does; `*seq` is its number then. */
static enum gh_error_code take_along(struct gh_link *link, int64_t *seq, struct gh_error *error)
{
    *seq = 0;
    return rider.note != NULL && rider.store == link->store && rider.seq == 0
               ? gh_audit_add(link, rider.note, seq, error)
               : GH_OK;
}

enum gh_error_code gh_write_end(struct gh_link *link, enum gh_error_code code,
                                struct gh_error *error)
{
    struct gh_store *store = link->store;
    struct gh_group *group = store->group;
    int64_t seq = 0;
    if (code == GH_OK)
        code = take_along(link, &seq, error);
    code = step_end(link, code, error);
    if (!group->ended)
        commit_or_pass_on(store);
    while (code == GH_OK && !group->ended)
        pthread_cond_wait(&store->group_ended, &store->write_lock);
    if (code == GH_OK)
        code = group_result(group, error);
    group_leave(group);
    pthread_mutex_unlock(&store->write_lock);
    if (code == GH_OK && seq != 0)
        rider.seq = seq;
    return code;
}
