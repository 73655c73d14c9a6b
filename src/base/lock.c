#include "base/lock.h"
#include "base/time.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum { RETRY_MS = 20 };

int gh_lock_take(const char *path, int wait_ms)
{
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0)
        return -1;
    int64_t give_up_ns = gh_time_monotonic_ns() + wait_ms * GH_MS_NS;
    while (flock(file, LOCK_EX | LOCK_NB) != 0) {
        int why = errno;
        if ((why != EWOULDBLOCK && why != EINTR) || gh_time_monotonic_ns() >= give_up_ns) {
            close(file);
            errno = why;
            return -1;
        }
        nanosleep(&(struct timespec){.tv_nsec = RETRY_MS * GH_MS_NS}, NULL);
    }
    return file;
}
