/* The lists of system calls, by libseccomp. A row that only the parent has is what a start needs:
 * children are started under the parent's list and put their own, shorter one on top once they
 * serve. */
#include "programs/gatehoused/sandbox.h"
#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

enum { P = 1 << SANDBOX_PARENT, K = 1 << SANDBOX_KEYS, C = 1 << SANDBOX_CORE };

static const struct {
    const char *name;
    unsigned processes;
} calls[] = {
    /* the C library and its threads */
    {"brk", P | K | C},
    {"munmap", P | K | C},
    {"mremap", P | K | C},
    {"madvise", P | K | C},
    {"mlock", P | K | C},
    {"munlock", P | K | C},
    {"futex", P | K | C},
    {"sched_yield", P | K | C},
    {"sched_getaffinity", P | C},
    {"sched_getparam", P | C},
    {"sched_getscheduler", P | C},
    {"getpriority", P | C},
    {"setpriority", P | C},        /* a thread that is nicer than it was started, */
    {"sched_setscheduler", P | C}, /* also one that was started with real-time priority */
    {"sched_get_priority_min", P | C},
    {"set_robust_list", P | C},
    {"set_tid_address", P},
    {"rseq", P | C},
    {"membarrier", P | C},
    {"getrandom", P | K | C},
    {"exit", P | K | C},
    {"exit_group", P | K | C},
    {"restart_syscall", P | K | C},
    /* who and where we are; limits */
    {"getpid", P | K | C},
    {"gettid", P | K | C},
    {"getppid", P},
    {"getuid", P | K | C},
    {"geteuid", P | K | C},
    {"getgid", P | K | C},
    {"getegid", P | K | C},
    {"uname", P | K | C},
    {"sysinfo", P | C},
    {"getrusage", P | C},
    {"prlimit64", P | C},
    {"getrlimit", P | C},
    {"setrlimit", P},
    {"capget", P},
    {"capset", P},
    {"seccomp", P | K | C}, /* only ever takes away */
    {"landlock_create_ruleset", P | K | C},
    {"landlock_add_rule", P | K | C},
    {"landlock_restrict_self", P | K | C},
    /* time and signals */
    {"clock_gettime", P | K | C},
    {"clock_getres", P | K | C},
    {"gettimeofday", P | K | C},
    {"time", P | K | C},
    {"nanosleep", P | K | C},
    {"clock_nanosleep", P | K | C},
    {"rt_sigaction", P | K | C},
    {"rt_sigprocmask", P | K | C},
    {"rt_sigreturn", P | K | C},
    {"rt_sigpending", P | C}, /* the HTTP client leaves no SIGPIPE behind */
    {"rt_sigtimedwait", P | C},
    {"rt_sigpending", P | C}, /* libcurl keeps SIGPIPE from the process */
    {"sigaltstack", P | K | C},
    {"tgkill", P | K | C}, /* a failed assertion ends the process by a signal to itself */
    {"kill", P},
    {"wait4", P},
    /* files */
    {"read", P | K | C},
    {"readv", P | C},
    {"pread64", P | K | C},
    {"preadv", P | C},
    {"write", P | K | C},
    {"writev", P | K | C},
    {"pwrite64", P | K | C},
    {"pwritev", P | C},
    {"pwritev2", P | C},
    {"close", P | K | C},
    {"lseek", P | K | C},
    {"fcntl", P | K | C},
    {"dup", P | C},
    {"flock", P | C},
    {"fsync", P | K | C},
    {"fdatasync", P | K | C},
    {"fallocate", P | C},
    {"ftruncate", P | K | C},
    {"fadvise64", P | C},
    {"sync_file_range", P | C},
    {"copy_file_range", P | C},
    {"sendfile", P | C},
    {"open", P | K | C},
    {"openat", P | K | C},
    {"access", P | K | C},
    {"faccessat", P | K | C},
    {"faccessat2", P | K | C},
    {"stat", P | K | C},
    {"lstat", P | K | C},
    {"fstat", P | K | C},
    {"newfstatat", P | K | C},
    {"statx", P | K | C},
    {"statfs", P | C},
    {"fstatfs", P | C},
    {"readlink", P | C},
    {"readlinkat", P | C},
    {"getcwd", P | C},
    {"getdents64", P | K | C},
    {"rename", P | K | C},
    {"renameat", P | K | C},
    {"renameat2", P | K | C},
    {"unlink", P | K | C},
    {"unlinkat", P | K | C},
    {"mkdir", P | C},
    {"mkdirat", P | C},
    {"rmdir", P | C},
    {"umask", P | C},
    {"chmod", P | K | C},
    {"fchmod", P | K | C},
    {"fchmodat", P | C},
    {"fchown", P | C}, /* SQLite gives its files the owner of the database */
    /* waiting */
    {"poll", P | K | C},
    {"ppoll", P | K | C},
    {"select", P | C},
    {"pselect6", P | C},
    {"epoll_create1", P | C},
    {"epoll_ctl", P | C},
    {"epoll_wait", P | C},
    {"epoll_pwait", P | C},
    {"epoll_pwait2", P | C},
    {"eventfd2", P | C},
    {"timerfd_create", P | C},
    {"timerfd_settime", P | C},
    {"pipe2", P | C},
    /* sockets; keys has the one to core, which it was given */
    {"recvfrom", P | K | C},
    {"recvmsg", P | K | C},
    {"recvmmsg", P | C},
    {"sendto", P | K | C},
    {"sendmsg", P | K | C},
    {"sendmmsg", P | C},
    {"shutdown", P | K | C},
    {"socketpair", P | C},
    {"connect", P | C},
    {"bind", P | C}, /* the resolver asks the kernel for its addresses over a bound socket */
    {"listen", P},
    {"accept4", P | C},
    {"getsockname", P | C},
    {"getpeername", P | C},
    {"getsockopt", P | C},
    {"setsockopt", P | C},
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    /* The search for leaks at the end stops all threads by one that traces them. */
    {"clone", P | K | C},
    {"ptrace", P | K | C},
    {"getdents", P | K | C},
    {"wait4", P | K | C},
    {"kill", P | K | C},
    {"prctl", P | K | C},
    {"pipe", P | K | C},
    {"pipe2", P | K | C},
    {"getppid", P | K | C},
    {"getrlimit", P | K | C},
    {"prlimit64", P | K | C},
    {"sched_getaffinity", P | K | C},
    {"readlink", P | K | C},
    {"process_vm_readv", P | K | C},
    {"sysinfo", P | K | C},
    {"personality", P | K | C},
    {"mincore", P | K | C},
    {"msync", P | K | C},
    {"dup2", P | K | C},
    {"ioctl", P | K | C},
#endif
};

/* Calls that are listed for some values of their arguments: an argument under `mask` has to be
 * `value`. Rows of one call are alternatives. */
#define ARGUMENT(number, mask, value)                                                              \
    {                                                                                              \
        number, SCMP_CMP_MASKED_EQ, mask, value                                                    \
    }
static const struct {
    const char *name;
    unsigned processes, count;
    struct scmp_arg_cmp arguments[2];
} guarded[] = {
    /* Memory is not executable, but for the text of a library, which comes from a file. */
    {"mmap", P | K | C, 1, {ARGUMENT(2, PROT_EXEC, 0)}},
    {"mmap",
     P | C,
     2,
     {ARGUMENT(2, PROT_EXEC | PROT_WRITE, PROT_EXEC), ARGUMENT(3, MAP_ANONYMOUS, 0)}},
    {"mprotect", P | K | C, 1, {ARGUMENT(2, PROT_EXEC, 0)}},
    /* The parent starts processes; core starts threads. */
    {"clone", P, 0, {{0}}},
    {"clone", C, 1, {ARGUMENT(0, CLONE_THREAD, CLONE_THREAD)}},
    {"prctl", P, 1, {ARGUMENT(0, UINT32_MAX, PR_SET_PDEATHSIG)}},
    {"prctl", P | K | C, 1, {ARGUMENT(0, UINT32_MAX, PR_SET_NAME)}},
    {"prctl", P | K | C, 1, {ARGUMENT(0, UINT32_MAX, PR_SET_NO_NEW_PRIVS)}}, /* cannot be undone */
    {"prctl", P | K | C, 2, {ARGUMENT(0, UINT32_MAX, PR_SET_DUMPABLE), ARGUMENT(1, UINT32_MAX, 0)}},
    {"socket", P | C, 1, {ARGUMENT(0, UINT32_MAX, AF_INET)}},
    {"socket", P | C, 1, {ARGUMENT(0, UINT32_MAX, AF_INET6)}},
    {"socket", P | C, 1, {ARGUMENT(0, UINT32_MAX, AF_UNIX)}},
    {"socket", P | C, 1, {ARGUMENT(0, UINT32_MAX, AF_NETLINK)}}, /* the resolver's */
    {"ioctl", P | C, 1, {ARGUMENT(1, UINT32_MAX, FIONREAD)}},
    {"ioctl", P | C, 1, {ARGUMENT(1, UINT32_MAX, FIONBIO)}},
};

/* A call whose arguments cannot be looked at: the C library takes `clone` instead. */
static const char without_arguments[] = "clone3";

/* A call that this machine or this libseccomp has no number for needs no rule. */
static int number_of(const char *name)
{
    int number = seccomp_syscall_resolve_name(name);
    return number < 0 ? -1 : number;
}

static int add_calls(scmp_filter_ctx filter, unsigned process)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < GH_COUNT(calls); i++) {
        int number = number_of(calls[i].name);
        if (number >= 0 && (calls[i].processes & process) != 0)
            result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
    }
    return result;
}

static int add_guarded(scmp_filter_ctx filter, unsigned process)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < GH_COUNT(guarded); i++) {
        int number = number_of(guarded[i].name);
        if (number >= 0 && (guarded[i].processes & process) != 0)
            result = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, guarded[i].count,
                                            guarded[i].arguments);
    }
    return result;
}

static int load(scmp_filter_ctx filter, unsigned process)
{
    int number = number_of(without_arguments);
    int result = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (result == 0)
        result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (result == 0 && number >= 0)
        result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), number, 0);
    if (result == 0)
        result = add_calls(filter, process);
    if (result == 0)
        result = add_guarded(filter, process);
    return result == 0 ? seccomp_load(filter) : result;
}

enum gh_error_code sandbox_calls(enum sandbox_process process, enum sandbox_mode mode,
                                 struct gh_error *error)
{
    if (mode == SANDBOX_OFF)
        return GH_OK;
    scmp_filter_ctx filter =
        seccomp_init(mode == SANDBOX_LOG ? SCMP_ACT_LOG : SCMP_ACT_KILL_PROCESS);
    int result = filter == NULL ? -ENOMEM : load(filter, 1u << process);
    seccomp_release(filter);
    return result == 0
               ? GH_OK
               : gh_error_set(error, GH_ERROR_SANDBOX,
                              "the kernel takes no list of system calls: %s", strerror(-result));
}
