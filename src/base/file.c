#include "base/file.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Closes the file; errno is of what failed first. */
static bool finish(int file, bool good)
{
    int why = errno;
    if (file >= 0 && close(file) != 0 && good)
        return false;
    errno = why;
    return good;
}

static bool write_all(int file, struct gh_slice bytes)
{
    while (bytes.size > 0) {
        ssize_t count = write(file, bytes.data, bytes.size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return false;
        bytes = gh_slice_sub(bytes, (size_t)count, bytes.size);
    }
    return true;
}

/* All but its name is durable then. */
static bool make(const char *path, struct gh_slice bytes, unsigned mode)
{
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, (mode_t)mode);
    return finish(file, file >= 0 && write_all(file, bytes) && fsync(file) == 0);
}

bool gh_file_sync_name(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t size = slash == NULL ? 0 : (size_t)(slash - path) + 1;
    if (size + 2 > sizeof folder) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(folder, path, size);
    memcpy(folder + size, ".", 2);
    int file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return finish(file, file >= 0 && fsync(file) == 0);
}

bool gh_file_make(const char *path, struct gh_slice bytes, unsigned mode)
{
    return make(path, bytes, mode) && gh_file_sync_name(path);
}

bool gh_file_replace(const char *path, struct gh_slice bytes, unsigned mode)
{
    char beside[PATH_MAX];
    int size = snprintf(beside, sizeof beside, "%s.new", path);
    if (size < 0 || (size_t)size >= sizeof beside) {
        errno = ENAMETOOLONG;
        return false;
    }
    (void)unlink(beside); /* what a kill may have left, with whatever mode */
    return make(beside, bytes, mode) && rename(beside, path) == 0 && gh_file_sync_name(path);
}

bool gh_file_remove(const char *path)
{
    return unlink(path) == 0 && gh_file_sync_name(path);
}
