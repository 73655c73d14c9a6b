/* One owner at a time, and the wait for one that is about to go. */
#include "base/lock.h"
#include "base/time.h"
#include "tests/check.h"
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[4200];
static int held = -1;

static void *let_go(void *ignored)
{
    (void)ignored;
    close(held);
    return NULL;
}

static void test_one_owner(void)
{
    held = gh_lock_take(path, 0);
    REQUIRE("it is taken", held >= 0);
    struct stat info;
    CHECK("only its owner reads it", stat(path, &info) == 0 && (info.st_mode & 0777) == 0600);
    CHECK("not twice", gh_lock_take(path, 0) == -1 && errno == EWOULDBLOCK);

    int64_t before_ns = gh_time_monotonic_ns();
    CHECK("not after a wait either", gh_lock_take(path, 50) == -1 && errno == EWOULDBLOCK);
    CHECK("which was waited", gh_time_monotonic_ns() - before_ns >= 50 * GH_MS_NS);

    int copy = dup(held);
    close(held);
    CHECK("a copy holds it as well", gh_lock_take(path, 0) == -1 && errno == EWOULDBLOCK);
    close(copy);
    held = gh_lock_take(path, 0);
    CHECK("free with the last copy", held >= 0);
}

/* The other's end may come before the first try or after many; the lock is got in any case. */
static void test_waiting(void)
{
    pthread_t other;
    REQUIRE("a thread", pthread_create(&other, NULL, let_go, NULL) == 0);
    int file = gh_lock_take(path, GH_LOCK_WAIT_MS);
    CHECK("taken when the other lets go", file >= 0);
    pthread_join(other, NULL);
    close(file);
}

static void test_no_place(void)
{
    snprintf(path, sizeof path, "%s/nowhere/lock", check_folder());
    CHECK("a folder that is not there", gh_lock_take(path, 0) == -1 && errno == ENOENT);
}

int main(void)
{
    snprintf(path, sizeof path, "%s/lock", check_folder());
    test_one_owner();
    test_waiting();
    test_no_place();
    return check_report();
}
