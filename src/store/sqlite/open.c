/* Opening the database: who owns the folder, whether the file is ours, whole and of a schema we
 * know. Nothing is written before that is sure. */
#include "base/cursor.h"
#include "base/file.h"
#include "base/lock.h"
#include "base/log.h"
#include "store/sqlite/sqlite_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HEADER_BYTES = 100,         /* SQLite file format §1.3 */
    HEADER_APPLICATION_ID = 68, /* big-endian, at this offset */
    CHECK_ALWAYS_BYTES =
        64 << 20, /* a file up to this size is checked at each start (tens of milliseconds) */
};

enum { JOURNAL_WAL, QUICK_CHECK, CHECKPOINT };
static const char *const sql[] = {
    [JOURNAL_WAL] = "PRAGMA journal_mode=WAL",
    [QUICK_CHECK] = "PRAGMA quick_check(1)",
    [CHECKPOINT] = "PRAGMA wal_checkpoint(TRUNCATE)",
};

static enum gh_error_code folder_lock(struct gh_store *store, const char *folder,
                                      struct gh_error *error)
{
    char path[sizeof store->path + 16];
    snprintf(path, sizeof path, "%s/registry.lock", folder);
    store->lock_fd = gh_lock_take(path, GH_LOCK_WAIT_MS);
    if (store->lock_fd >= 0)
        return GH_OK;
    if (errno == EWOULDBLOCK)
        return gh_error_set(error, GH_ERROR_IN_USE, "%s is in use by another process", folder);
    return gh_error_set(error, GH_ERROR_STORE_OPEN, "%s: %s", path, strerror(errno));
}

/* The size in bytes; 0 when there is no such file. */
static int64_t file_bytes(const char *path, const char *suffix)
{
    char name[4200];
    struct stat info;
    snprintf(name, sizeof name, "%s%s", path, suffix);
    return stat(name, &info) == 0 ? info.st_size : 0;
}

/* An empty file with our mode, so that SQLite's own files beside it get that mode too; its name is
 * durable. */
static enum gh_error_code file_make(const struct gh_store *store, struct gh_error *error)
{
    int file = open(store->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool made = file >= 0 && gh_file_sync_name(store->path);
    int why = errno;
    if (file >= 0)
        close(file);
    return made ? GH_OK
                : gh_error_set(error, GH_ERROR_STORE_OPEN, "%s: %s", store->path, strerror(why));
}

/* Looks at the header without SQLite, which would begin to repair what is not ours. */
static enum gh_error_code file_ours(const struct gh_store *store, struct gh_error *error)
{
    uint8_t header[HEADER_BYTES] = {0};
    int file = open(store->path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return gh_error_set(error, GH_ERROR_STORE_OPEN, "%s: %s", store->path, strerror(errno));
    ssize_t size = pread(file, header, sizeof header, 0);
    close(file);
    struct gh_cursor at = gh_cursor(gh_slice(header + HEADER_APPLICATION_ID, 4));
    uint32_t application = 0;
    if (size != HEADER_BYTES || memcmp(header, "SQLite format 3", 16) != 0 ||
        !gh_cursor_u32(&at, &application) || application != GH_STORE_APPLICATION_ID)
        return gh_error_set(error, GH_ERROR_STORE_CORRUPT, "%s: this is no Gatehouse database",
                            store->path);
    return GH_OK;
}

static enum gh_error_code use_wal(struct gh_link *link, struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[JOURNAL_WAL]);
    bool wal = gh_sql_next(&q) && gh_slice_equal(gh_sql_borrow(&q), GH_SLICE("wal"));
    enum gh_error_code code = gh_sql_close(&q, error);
    if (code == GH_OK && !wal)
        code = gh_error_set(error, GH_ERROR_STORE_OPEN,
                            "%s: no write-ahead log on this file system", link->store->path);
    return code;
}

static enum gh_error_code check(struct gh_link *link, struct gh_error *error)
{
    struct gh_sql q = gh_sql_open(link, sql[QUICK_CHECK]);
    char first[200] = "";
    if (gh_sql_next(&q)) {
        struct gh_slice lines = gh_sql_borrow(&q);
        snprintf(first, sizeof first, "%.*s", GH_PRINT(lines));
        for (char *end = first; (end = strchr(end, '\n')) != NULL;)
            *end = ' ';
    }
    enum gh_error_code code = gh_sql_close(&q, error);
    if (code == GH_OK && strcmp(first, "ok") != 0)
        code = gh_error_set(error, GH_ERROR_STORE_CORRUPT, "%s: %s", link->store->path, first);
    return code;
}

static enum gh_error_code open_existing(struct gh_store *store, struct gh_error *error)
{
    int64_t bytes = file_bytes(store->path, ""), log_bytes = file_bytes(store->path, "-wal");
    enum gh_error_code code = file_ours(store, error);
    if (code == GH_OK)
        code = gh_link_open(&store->writer, store, SQLITE_OPEN_READWRITE, error);
    if (code != GH_OK)
        return code;
    /* Until everything is known to be well the file stays as it is, the last close included. */
    sqlite3_db_config(store->writer.db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    bool unclean = log_bytes > 0; /* a clean close removes the write-ahead log */
    if (unclean && bytes > CHECK_ALWAYS_BYTES)
        gh_log(GH_LOG_INFO, "store", "checking %s (%lld MiB) after an unclean end", store->path,
               (long long)(bytes >> 20));
    if (unclean || bytes <= CHECK_ALWAYS_BYTES)
        code = check(&store->writer, error);
    if (code == GH_OK)
        code = gh_schema_update(&store->writer, error);
    if (code == GH_OK)
        code = use_wal(&store->writer, error);
    if (code == GH_OK)
        sqlite3_db_config(store->writer.db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    return code;
}

/* The schema is written before the write-ahead log is switched on, so that the header says at once
 * whose file it is. */
static enum gh_error_code open_new(struct gh_store *store, enum gh_store_mode mode,
                                   struct gh_error *error)
{
    if (file_bytes(store->path, "-wal") > 0)
        return gh_error_set(error, GH_ERROR_STORE_CORRUPT,
                            "%s: gone or empty, but its write-ahead log is there", store->path);
    if (mode != GH_STORE_CREATE)
        return gh_error_set(error, GH_ERROR_STORE_OPEN, "%s: there is no database", store->path);
    enum gh_error_code code = file_make(store, error);
    if (code == GH_OK)
        code = gh_link_open(&store->writer, store, SQLITE_OPEN_READWRITE, error);
    if (code == GH_OK)
        code = gh_schema_create(&store->writer, error);
    if (code == GH_OK)
        code = use_wal(&store->writer, error);
    return code;
}

struct gh_store *gh_store_open(const char *folder, enum gh_store_mode mode, struct gh_error *error)
{
    struct gh_store *store = calloc(1, sizeof *store);
    if (store == NULL) {
        gh_error_set(error, GH_ERROR_MEMORY, "no memory for the store");
        return NULL;
    }
    store->lock_fd = -1;
    store->trail_rows = -1;
    pthread_mutex_init(&store->write_lock, NULL);
    pthread_cond_init(&store->group_ended, NULL);
    pthread_mutex_init(&store->read_lock, NULL);
    pthread_cond_init(&store->reader_free, NULL);
    int length = snprintf(store->path, sizeof store->path, "%s/registry.db", folder);
    enum gh_error_code code = GH_OK;
    if (length < 0 || (size_t)length >= sizeof store->path)
        code = gh_error_set(error, GH_ERROR_STORE_OPEN, "the path of the data folder is too long");
    if (code == GH_OK)
        code = folder_lock(store, folder, error);
    if (code == GH_OK)
        code = file_bytes(store->path, "") == 0 ? open_new(store, mode, error)
                                                : open_existing(store, error);
    if (code != GH_OK) {
        gh_store_close(store);
        return NULL;
    }
    return store;
}

void gh_store_close(struct gh_store *store)
{
    if (store == NULL)
        return;
    for (size_t i = 0; i < store->readers_count; i++) {
        gh_link_close(store->readers[i]);
        free(store->readers[i]);
    }
    gh_link_close(
        &store->writer); /* the last one: SQLite empties and removes the write-ahead log */
    if (store->lock_fd >= 0)
        close(store->lock_fd);
    pthread_cond_destroy(&store->reader_free);
    pthread_mutex_destroy(&store->read_lock);
    pthread_cond_destroy(&store->group_ended);
    pthread_mutex_destroy(&store->write_lock);
    free(store);
}

void gh_store_tidy(struct gh_store *store)
{
    enum { BUSY_MS = 5000 };
    if (!atomic_exchange(&store->erased, false))
        return;
    pthread_mutex_lock(&store->write_lock);
    bool emptied = false;
    if (store->group == NULL) {
        sqlite3_busy_timeout(store->writer.db,
                             0); /* rather later than waiting for readers with the writer held */
        struct gh_sql q = gh_sql_open(&store->writer, sql[CHECKPOINT]);
        emptied = gh_sql_next(&q) && gh_sql_int(&q) == 0;
        emptied = gh_sql_close(&q, NULL) == GH_OK && emptied;
        sqlite3_busy_timeout(store->writer.db, BUSY_MS);
    }
    pthread_mutex_unlock(&store->write_lock);
    if (!emptied)
        atomic_store(&store->erased, true);
}
