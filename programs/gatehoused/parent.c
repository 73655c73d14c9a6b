#include "programs/gatehoused/parent.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/privilege.h"
#include "base/time.h"
#include "programs/gatehoused/core.h"
#include "programs/gatehoused/keys.h"
#include "programs/gatehoused/sockets.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    END_WAIT_S = 15,
    RESTART_FIRST_S = 1,
    RESTART_MAX_S = 30,
    STEADY_S = 60, /* after so long a life the next restart is quick again */
};

struct family {
    const struct config *config;
    pid_t parent, keys, core;
    sigset_t signals;
    int64_t core_born_ns;
    int restart_s;
    int ready; /* readable once core has served */
};

static void wait_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* The lock is inherited by the children, so it is free when the whole family is gone. */
static enum gh_error_code take_folder(const char *data, struct gh_error *error)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%.*s/lock", PATH_MAX - 16, data);
    if (gh_lock_take(path, GH_LOCK_WAIT_MS) >= 0)
        return GH_OK;
    if (errno == EWOULDBLOCK)
        return gh_error_set(error, GH_ERROR_IN_USE, "data folder %s is served by another process",
                            data);
    return gh_error_set(error, GH_ERROR_FILE,
                        "data folder %s: %s (make it with `gatehouse init --data %s`)", data,
                        strerror(errno), data);
}

/* In a new child: dies with the parent, takes signals as usual. */
static void become_child(const struct family *family)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != family->parent)
        _exit(EXIT_FAILURE);
    signal(SIGPIPE, SIG_IGN);
}

static bool start(struct family *family)
{
    int pair[2], ready[2];
    if (pipe2(ready, O_CLOEXEC | O_NONBLOCK) != 0)
        return false;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return false;
    fflush(NULL);
    family->keys = fork();
    if (family->keys == 0) {
        become_child(family);
        signal(SIGINT, SIG_IGN); /* Ctrl-C reaches the whole group; it ends when core hangs up */
        signal(SIGTERM, SIG_IGN);
        close(pair[0]);
        close(ready[0]);
        close(ready[1]);
        sockets_close(family->config);
        sigprocmask(SIG_UNBLOCK, &family->signals, NULL);
        _exit(keys_run(family->config, pair[1]));
    }
    close(pair[1]);
    family->core = family->keys < 0 ? -1 : fork();
    if (family->core == 0) {
        become_child(family);
        close(ready[0]);
        exit(core_run(family->config, pair[0], ready[1]));
    }
    close(pair[0]);
    close(ready[1]);
    if (family->ready >= 0)
        close(family->ready);
    family->ready = ready[0];
    family->core_born_ns = gh_time_monotonic_ns();
    return family->core > 0;
}

/* Waits for the child at most `seconds`; kills it after that. */
static int reap(pid_t child, int seconds)
{
    int status = 0;
    for (int waited_ms = 0; child > 0 && waitpid(child, &status, WNOHANG) == 0; waited_ms += 20) {
        if (waited_ms >= seconds * 1000)
            kill(child, SIGKILL);
        wait_ms(20);
    }
    return status;
}

static int finish(struct family *family)
{
    kill(family->core, SIGTERM);
    int status = reap(family->core, END_WAIT_S);
    reap(family->keys, 1);
    return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

static void say_end(const struct family *family, pid_t gone, int status, int64_t age_s)
{
    bool by_signal = WIFSIGNALED(status);
    int cause = by_signal ? WTERMSIG(status) : WEXITSTATUS(status);
    gh_log(GH_LOG_ERROR, "parent", "the %s process ended (%s %d%s) after %lld s",
           gone == family->core ? "core" : "keys", by_signal ? "signal" : "exit code", cause,
           by_signal && cause == SIGSYS ? ": a system call that is not on its list" : "",
           (long long)age_s);
}

/* One of the two is gone: takes the other one down and starts both again. */
static bool restart(struct family *family, pid_t gone, int status)
{
    int64_t age_s = (gh_time_monotonic_ns() - family->core_born_ns) / GH_SECOND_NS;
    say_end(family, gone, status, age_s);
    pid_t other = gone == family->core ? family->keys : family->core;
    kill(other, SIGKILL);
    reap(other, 1);
    family->restart_s = age_s >= STEADY_S ? RESTART_FIRST_S : family->restart_s * 2;
    if (family->restart_s > RESTART_MAX_S)
        family->restart_s = RESTART_MAX_S;
    struct timespec pause = {family->restart_s, 0};
    sigset_t stop = family->signals;
    sigdelset(&stop, SIGCHLD);
    if (sigtimedwait(&stop, NULL, &pause) > 0)
        return false;
    return start(family);
}

static int supervise(struct family *family)
{
    for (;;) {
        int signal = sigwaitinfo(&family->signals, NULL), status;
        if (signal == SIGTERM || signal == SIGINT)
            return finish(family);
        for (pid_t gone; (gone = waitpid(-1, &status, WNOHANG)) > 0;) {
            if (gone != family->core && gone != family->keys)
                continue;
            /* A start that fails has said why, unless it was ended; trying again would not help. */
            char byte;
            if (read(family->ready, &byte, 1) != 1) {
                if (WIFSIGNALED(status))
                    say_end(family, gone, status, 0);
                pid_t other = gone == family->core ? family->keys : family->core;
                reap(other, 1);
                return EXIT_FAILURE;
            }
            if (!restart(family, gone, status))
                return EXIT_FAILURE;
        }
    }
}

int parent_run(const struct config *config)
{
    struct gh_error error = {0};
    char line[GH_ERROR_LINE_MAX];
    struct family family = {
        .config = config, .parent = getpid(), .restart_s = RESTART_FIRST_S, .ready = -1};
    gh_privileges_drop();
    if (take_folder(config->data, &error) != GH_OK ||
        sandbox_calls(SANDBOX_PARENT, config->sandbox, &error) != GH_OK) {
        fprintf(stderr, "gatehoused: %s\n", gh_error_line(&error, line));
        return EXIT_FAILURE;
    }
    sigemptyset(&family.signals);
    sigaddset(&family.signals, SIGTERM);
    sigaddset(&family.signals, SIGINT);
    sigaddset(&family.signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &family.signals, NULL);
    if (!start(&family)) {
        fprintf(stderr, "gatehoused: cannot start a process: %s\n", strerror(errno));
        return EXIT_FAILURE;
    }
    return supervise(&family);
}
