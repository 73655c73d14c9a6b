/* A disk for the tests of the log: the system's files with failures put in between. It can be full,
 * fail a sync, stand still until it is let go, and lose power: then every write since the last sync
 * of its file is kept or lost sector by sector, by a seeded choice, and so are names of files in a
 * folder that was not synced. Threads: any. */
#ifndef GH_PUBSUB_LOG_DISK_H
#define GH_PUBSUB_LOG_DISK_H

#include "pubsub/log.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DISK_SECTOR_BYTES = 512 };

/* One change that no sync has made durable yet, with what stood there before. */
struct disk_change {
    struct disk_change *next; /* newest first */
    char path[512];
    bool created;    /* the file came into being; otherwise bytes changed */
    int64_t at;      /* the changed bytes */
    size_t size;     /* how many there were before (less than written at the end of the file) */
    int64_t written; /* how many were written; -1: a truncate */
    int64_t file_size;
    uint8_t bytes[];
};

struct disk {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    struct gh_log_files files;
    int64_t space;          /* bytes that files may still grow by */
    int fail_writes;        /* so many writes fail with EIO */
    int fail_syncs;         /* so many syncs fail with EIO */
    bool held;              /* syncs wait */
    unsigned syncs_waiting; /* so many do */
    bool dead;              /* power is gone: nothing reaches the disk any more */
    int64_t dies_after;     /* this many operations, when >= 0 */
    bool remembers;         /* keeps changes for a loss of power */
    uint64_t random;
    unsigned syncs, writes;
    struct disk_change *changes;
};

static inline uint64_t disk_random(struct disk *disk) /* xorshift64, seeded by the test */
{
    disk->random ^= disk->random << 13;
    disk->random ^= disk->random >> 7;
    disk->random ^= disk->random << 17;
    return disk->random;
}

static inline void disk_path(int file, char out[512])
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t size = readlink(link, out, 511);
    out[size < 0 ? 0 : size] = '\0';
}

static inline int64_t disk_size(int file)
{
    struct stat about;
    return fstat(file, &about) == 0 ? about.st_size : 0;
}

/* Under the lock: one more operation. False: power is gone. */
static inline bool disk_lives(struct disk *disk)
{
    if (disk->dies_after >= 0 && disk->dies_after-- == 0)
        disk->dead = true;
    if (disk->dead)
        errno = EIO;
    return !disk->dead;
}

static inline void disk_remember(struct disk *disk, int file, int64_t at, int64_t written)
{
    if (!disk->remembers)
        return;
    int64_t file_size = disk_size(file);
    int64_t end = written < 0 ? file_size : at + written;
    size_t size = at >= file_size ? 0 : (size_t)((end < file_size ? end : file_size) - at);
    struct disk_change *change = calloc(1, sizeof *change + size);
    assert(change != NULL);
    disk_path(file, change->path);
    change->at = at;
    change->size = size;
    change->written = written;
    change->file_size = file_size;
    if (size > 0 && pread(file, change->bytes, size, at) != (ssize_t)size)
        change->size = 0;
    change->next = disk->changes;
    disk->changes = change;
}

/* A sync makes the changes of one file durable; a folder's makes the names in it durable. */
static inline void disk_forget(struct disk *disk, int file)
{
    char path[512];
    struct stat about;
    disk_path(file, path);
    bool folder = fstat(file, &about) == 0 && S_ISDIR(about.st_mode);
    for (struct disk_change **at = &disk->changes; *at != NULL;) {
        struct disk_change *change = *at;
        bool durable = folder ? change->created : !change->created && !strcmp(change->path, path);
        if (!durable) {
            at = &change->next;
            continue;
        }
        *at = change->next;
        free(change);
    }
}

static inline int disk_open(void *context, const char *path, int flags, unsigned mode)
{
    struct disk *disk = context;
    int file = -1;
    pthread_mutex_lock(&disk->lock);
    bool writes = (flags & (O_WRONLY | O_RDWR)) != 0;
    if (!writes || disk_lives(disk)) {
        bool there = access(path, F_OK) == 0;
        file = open(path, flags | O_CLOEXEC, (mode_t)mode);
        if (file >= 0 && !there && disk->remembers) {
            struct disk_change *change = calloc(1, sizeof *change);
            assert(change != NULL);
            disk_path(file, change->path);
            change->created = true;
            change->next = disk->changes;
            disk->changes = change;
        }
    }
    pthread_mutex_unlock(&disk->lock);
    return file;
}

static inline int disk_close(void *context, int file)
{
    (void)context;
    return close(file);
}

static inline long disk_read(void *context, int file, void *into, size_t size, int64_t position)
{
    (void)context;
    return pread(file, into, size, position);
}

static inline long disk_write(void *context, int file, const void *from, size_t size,
                              int64_t position)
{
    struct disk *disk = context;
    long put = -1;
    pthread_mutex_lock(&disk->lock);
    int64_t grows = position + (int64_t)size - disk_size(file);
    disk->writes++;
    if (!disk_lives(disk)) {
        put = -1;
    } else if (disk->fail_writes > 0) {
        disk->fail_writes--;
        errno = EIO;
    } else {
        if (grows > disk->space) { /* as much as fits, then none */
            int64_t fits = (int64_t)size - (grows - disk->space);
            size = fits > 0 ? (size_t)fits : 0;
            grows = disk->space;
        }
        if (size == 0) {
            errno = ENOSPC;
        } else {
            disk_remember(disk, file, position, (int64_t)size);
            put = pwrite(file, from, size, position);
            disk->space -= grows > 0 ? grows : 0;
        }
    }
    pthread_mutex_unlock(&disk->lock);
    return put;
}

static inline int disk_sync(void *context, int file)
{
    struct disk *disk = context;
    int result = -1;
    pthread_mutex_lock(&disk->lock);
    disk->syncs_waiting++;
    pthread_cond_broadcast(&disk->moved);
    while (disk->held)
        pthread_cond_wait(&disk->moved, &disk->lock);
    disk->syncs_waiting--;
    disk->syncs++;
    if (disk_lives(disk)) {
        if (disk->fail_syncs > 0) {
            disk->fail_syncs--;
            errno = EIO;
        } else {
            disk_forget(disk, file);
            result = 0;
        }
    }
    pthread_mutex_unlock(&disk->lock);
    return result;
}

static inline int disk_truncate(void *context, int file, int64_t size)
{
    struct disk *disk = context;
    int result = -1;
    pthread_mutex_lock(&disk->lock);
    if (disk_lives(disk)) {
        int64_t before = disk_size(file);
        if (size < before)
            disk_remember(disk, file, size, -1);
        result = ftruncate(file, size);
        disk->space += before - size;
    }
    pthread_mutex_unlock(&disk->lock);
    return result;
}

static inline int disk_remove(void *context, const char *path)
{
    struct disk *disk = context;
    pthread_mutex_lock(&disk->lock);
    int result = disk_lives(disk) ? unlink(path) : -1;
    pthread_mutex_unlock(&disk->lock);
    return result;
}

static inline int disk_rename(void *context, const char *from, const char *to)
{
    struct disk *disk = context;
    pthread_mutex_lock(&disk->lock);
    int result = disk_lives(disk) ? rename(from, to) : -1;
    pthread_mutex_unlock(&disk->lock);
    return result;
}

static inline void disk_init(struct disk *disk, uint64_t seed)
{
    *disk = (struct disk){.lock = PTHREAD_MUTEX_INITIALIZER,
                          .moved = PTHREAD_COND_INITIALIZER,
                          .space = INT64_MAX / 2,
                          .dies_after = -1,
                          .random = seed * 2654435761u + 1};
    disk->files = (struct gh_log_files){.open = disk_open,
                                        .close = disk_close,
                                        .read = disk_read,
                                        .write = disk_write,
                                        .sync_data = disk_sync,
                                        .sync_all = disk_sync,
                                        .truncate = disk_truncate,
                                        .remove = disk_remove,
                                        .rename = disk_rename,
                                        .context = disk};
}

static inline void disk_set(struct disk *disk, int64_t space, int fail_writes, int fail_syncs)
{
    pthread_mutex_lock(&disk->lock);
    disk->space = space;
    disk->fail_writes = fail_writes;
    disk->fail_syncs = fail_syncs;
    pthread_mutex_unlock(&disk->lock);
}

static inline void disk_hold(struct disk *disk, bool held)
{
    pthread_mutex_lock(&disk->lock);
    disk->held = held;
    pthread_cond_broadcast(&disk->moved);
    pthread_mutex_unlock(&disk->lock);
}

/* Waits until a sync stands still. */
static inline void disk_await_sync(struct disk *disk)
{
    pthread_mutex_lock(&disk->lock);
    while (disk->syncs_waiting == 0)
        pthread_cond_wait(&disk->moved, &disk->lock);
    pthread_mutex_unlock(&disk->lock);
}

/* Undoes one unsynced change, each of its sectors with a chance of one half. */
static inline void disk_undo(struct disk *disk, const struct disk_change *change)
{
    if (change->created) {
        if (disk_random(disk) & 1)
            unlink(change->path);
        return;
    }
    int file = open(change->path, O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return;
    int64_t end = change->at + (int64_t)change->size;
    int64_t last = change->written < 0 ? end : change->at + change->written;
    for (int64_t at = change->at; at < last;) {
        int64_t next = (at / DISK_SECTOR_BYTES + 1) * DISK_SECTOR_BYTES;
        next = next < last ? next : last;
        if (disk_random(disk) & 1) {
            static const uint8_t zeros[DISK_SECTOR_BYTES];
            size_t had = at >= end ? 0 : (size_t)((next < end ? next : end) - at);
            if (had > 0)
                assert(pwrite(file, change->bytes + (at - change->at), had, at) == (ssize_t)had);
            size_t rest = (size_t)(next - at) - had; /* lies behind the old end of the file */
            if (rest > 0 && disk_size(file) > at + (int64_t)had)
                assert(pwrite(file, zeros, rest, at + (int64_t)had) == (ssize_t)rest);
        }
        at = next;
    }
    if (change->written >= 0 && disk_size(file) > change->file_size && (disk_random(disk) & 1))
        assert(ftruncate(file, change->file_size) == 0);
    close(file);
}

/* After the log on it was closed: makes the folder what a machine finds when power returns. */
static inline void disk_power_returns(struct disk *disk)
{
    for (struct disk_change *change = disk->changes, *next; change != NULL; change = next) {
        next = change->next;
        disk_undo(disk, change);
        free(change);
    }
    disk->changes = NULL;
    disk->dead = false;
    disk->dies_after = -1;
}
#endif
