#include "pubsub/log.h"
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static int files_open(void *context, const char *path, int flags, unsigned mode)
{
    (void)context;
    return open(path, flags | O_CLOEXEC, (mode_t)mode);
}

static int files_close(void *context, int file)
{
    (void)context;
    return close(file);
}

static long files_read(void *context, int file, void *into, size_t size, int64_t position)
{
    (void)context;
    return pread(file, into, size, position);
}

static long files_write(void *context, int file, const void *from, size_t size, int64_t position)
{
    (void)context;
    return pwrite(file, from, size, position);
}

static int files_sync_data(void *context, int file)
{
    (void)context;
    return fdatasync(file);
}

static int files_sync_all(void *context, int file)
{
    (void)context;
    return fsync(file);
}

static int files_truncate(void *context, int file, int64_t size)
{
    (void)context;
    return ftruncate(file, size);
}

static int files_remove(void *context, const char *path)
{
    (void)context;
    return unlink(path);
}

static int files_rename(void *context, const char *from, const char *to)
{
    (void)context;
    return rename(from, to);
}

static const struct gh_log_files system_files = {
    .open = files_open,
    .close = files_close,
    .read = files_read,
    .write = files_write,
    .sync_data = files_sync_data,
    .sync_all = files_sync_all,
    .truncate = files_truncate,
    .remove = files_remove,
    .rename = files_rename,
};

const struct gh_log_files *gh_log_files_system(void)
{
    return &system_files;
}
