#include "apps/climate/keep/keep.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static enum gh_keep_status failed(struct gh_error *error, const char *what, const char *path)
{
    gh_error_set(error, GH_ERROR_FILE, "cannot %s %s: %s", what, path, strerror(errno));
    return GH_KEEP_FAILED;
}

static bool write_all(int fd, struct gh_slice bytes)
{
    while (bytes.size > 0) {
        ssize_t sent = write(fd, bytes.data, bytes.size);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        bytes = gh_slice_sub(bytes, (size_t)sent, bytes.size);
    }
    return true;
}

/* The rename is durable once the folder is. */
static bool sync_folder(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t size = slash == NULL ? 0 : (size_t)(slash - path) + 1;
    if (size >= sizeof folder)
        return false;
    memcpy(folder, path, size);
    memcpy(folder + size, ".", 2);
    int fd = size + 2 > sizeof folder ? -1 : open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool synced = fsync(fd) == 0;
    close(fd);
    return synced;
}

enum gh_keep_status gh_keep_write(const char *path, struct gh_slice bytes, struct gh_error *error)
{
    char beside[PATH_MAX];
    int length = snprintf(beside, sizeof beside, "%s.new", path);
    if (length < 0 || (size_t)length >= sizeof beside) {
        errno = ENAMETOOLONG;
        return failed(error, "write", path);
    }
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return failed(error, "create", beside);
    bool written = write_all(fd, bytes) && fsync(fd) == 0;
    int cause = errno;
    if (close(fd) != 0 && written) {
        written = false;
        cause = errno;
    }
    errno = cause;
    if (!written)
        return failed(error, "write", beside);
    if (rename(beside, path) != 0)
        return failed(error, "rename over", path);
    if (!sync_folder(path))
        return failed(error, "sync the folder of", path);
    return GH_KEEP_OK;
}

enum gh_keep_status gh_keep_read(const char *path, struct gh_buffer *out, struct gh_error *error)
{
    enum { PART = 4096 };
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? GH_KEEP_ABSENT : failed(error, "open", path);
    enum gh_keep_status status = GH_KEEP_OK;
    uint8_t part[PART];
    for (;;) {
        ssize_t got = read(fd, part, sizeof part);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            status = failed(error, "read", path);
        if (got <= 0)
            break;
        if (!gh_buffer_put(out, gh_slice(part, (size_t)got))) {
            errno = EFBIG;
            status = failed(error, "read", path);
            break;
        }
    }
    close(fd);
    return status;
}
