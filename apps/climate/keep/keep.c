#include "apps/climate/keep/keep.h"
#include "base/file.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static enum gh_keep_status failed(struct gh_error *error, const char *what, const char *path)
{
    gh_error_set(error, GH_ERROR_FILE, "cannot %s %s: %s", what, path, strerror(errno));
    return GH_KEEP_FAILED;
}

enum gh_keep_status gh_keep_write(const char *path, struct gh_slice bytes, struct gh_error *error)
{
    return gh_file_replace(path, bytes, 0600) ? GH_KEEP_OK : failed(error, "write", path);
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
