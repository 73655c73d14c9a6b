/* Each row is done by a child of its own that has been confined like a process of the server:
 * either it goes well, or the kernel ends the child. */
#include "base/privilege.h"
#include "programs/gatehoused/sandbox.h"
#include "tests/check.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static bool run_shell(void)
{
    execl("/bin/sh", "sh", "-c", "exit 0", (char *)NULL);
    return false;
}

static bool be_another_user(void)
{
    return syscall(SYS_setuid, 65534) == 0 || errno != 0;
}

static bool see_another_process(void)
{
    char byte;
    struct iovec here = {&byte, 1}, there = {&byte, 1};
    return syscall(SYS_process_vm_writev, getppid(), &here, 1, &there, 1, 0) >= 0 || errno != 0;
}

static bool make_executable(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return page != MAP_FAILED && mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0;
}

static bool map_executable(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
           MAP_FAILED;
}

static bool map_library(void)
{
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0) != MAP_FAILED;
}

static bool map_library_writable(void)
{
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE, file, 0) != MAP_FAILED;
}

static bool open_socket(void)
{
    return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0;
}

static bool open_packets(void)
{
    return socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0) >= 0 || errno != 0;
}

static bool be_dumpable(void)
{
    return prctl(PR_SET_DUMPABLE, 1) == 0;
}

static bool start_process(void)
{
    pid_t child = fork();
    if (child == 0)
        _exit(EXIT_SUCCESS);
    return child > 0 && waitpid(child, NULL, 0) == child;
}

static void *nothing(void *argument)
{
    return argument;
}

static bool start_thread(void)
{
    pthread_t thread;
    return pthread_create(&thread, NULL, nothing, NULL) == 0 && pthread_join(thread, NULL) == 0;
}

static bool mount_over(void)
{
    return syscall(SYS_mount, "none", "/proc", "tmpfs", 0, NULL) == 0 || errno != 0;
}

static bool read_and_log(void)
{
    char byte;
    int file = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    return file >= 0 && read(file, &byte, 1) == 1 && close(file) == 0 && write(1, "", 0) == 0;
}

enum { P = 1 << SANDBOX_PARENT, K = 1 << SANDBOX_KEYS, C = 1 << SANDBOX_CORE };

static const struct {
    const char *claim;
    bool (*act)(void);
    unsigned allowed;
    bool sanitizer; /* needs it, so that its builds allow it */
} acts[] = {
    {"reads and writes", read_and_log, P | K | C, false},
    {"runs a program", run_shell, 0, false},
    {"becomes another user", be_another_user, 0, false},
    {"writes into another process", see_another_process, 0, false},
    {"mounts", mount_over, 0, false},
    {"makes memory executable", make_executable, 0, false},
    {"maps executable memory", map_executable, 0, false},
    {"maps a library", map_library, P | C, false},
    {"maps a library writable and executable", map_library_writable, 0, false},
    {"opens a socket", open_socket, P | C, false},
    {"opens a socket for raw packets", open_packets, 0, false},
    {"lets itself be looked into", be_dumpable, 0, true},
    {"starts a process", start_process, P, true},
    {"starts a thread", start_thread, P | C, true},
};

static const char *const processes[] = {
    [SANDBOX_PARENT] = "parent", [SANDBOX_KEYS] = "keys", [SANDBOX_CORE] = "core"};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const bool sanitized = true;
#else
static const bool sanitized = false;
#endif

/* How the child ended: 0 well, a signal, or -1 when the act failed. */
static int outcome(bool (*act)(void), enum sandbox_process process, enum sandbox_mode mode)
{
    int status = -1;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        struct gh_error error = {0};
        gh_privileges_drop();
        _exit(sandbox_calls(process, mode, &error) == GH_OK && act() ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    REQUIRE("the child ends", child > 0 && waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status) == EXIT_SUCCESS ? 0 : -1;
}

static void test_calls(void)
{
    char claim[128];
    for (size_t i = 0; i < GH_COUNT(acts); i++)
        for (size_t process = 0; process < GH_COUNT(processes); process++) {
            if (acts[i].sanitizer && sanitized)
                continue;
            bool allowed = (acts[i].allowed & 1u << process) != 0;
            int end = outcome(acts[i].act, (enum sandbox_process)process, SANDBOX_ON);
            snprintf(claim, sizeof claim, "%s %s: %s (%d)", processes[process], acts[i].claim,
                     allowed ? "goes well" : "is ended by SIGSYS", end);
            CHECK(claim, end == (allowed ? 0 : SIGSYS));
        }
    CHECK("with the mode log everything goes on",
          outcome(run_shell, SANDBOX_KEYS, SANDBOX_LOG) == 0);
    CHECK("and with the mode off", outcome(run_shell, SANDBOX_KEYS, SANDBOX_OFF) == 0);
}

static bool status_has(const char *line)
{
    char text[8192];
    int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t size = read(file, text, sizeof text - 1);
    close(file);
    text[size < 0 ? 0 : size] = '\0';
    return strstr(text, line) != NULL;
}

/* The bounding set can be emptied by who has CAP_SETPCAP alone, as root has. */
static bool has_dropped(void)
{
    struct rlimit core;
    return getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0 &&
           status_has("\nSeccomp:\t2\n") && status_has("\nNoNewPrivs:\t1\n") &&
           status_has("\nCapPrm:\t0000000000000000\n") &&
           status_has("\nCapEff:\t0000000000000000\n") &&
           (getuid() != 0 || status_has("\nCapBnd:\t0000000000000000\n"));
}

static void test_privileges(void)
{
    CHECK("no capability, no core dump, no new privileges, a filter",
          outcome(has_dropped, SANDBOX_PARENT, SANDBOX_ON) == 0);
}

/* --- paths: a folder with open/, made/ and keys/ in it */

static const char *folder;

static int try_open(const char *name, int flags)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int file = open(path, flags | O_CLOEXEC, 0600);
    int result = file >= 0 ? 0 : errno;
    if (file >= 0)
        close(file);
    return result;
}

static const struct {
    const char *claim, *name;
    int flags, result;
} openings[] = {
    {"a file with a row of its own is read", "read", O_RDONLY, 0},
    {"and written, as its folder may be", "read", O_RDWR, 0},
    {"one in a folder that may be read", "open/file", O_RDONLY, 0},
    {"a new one is made where that is allowed", "new", O_WRONLY | O_CREAT | O_EXCL, 0},
    {"and cannot be read", "new", O_RDONLY, EACCES},
    {"neither can keys", "keys/kek", O_RDONLY, EACCES},
    {"nor what is outside", "../../etc/hostname", O_RDONLY, EACCES},
};

static void in_child(void)
{
    char read[4096], inner[4096];
    snprintf(read, sizeof read, "%s/read", folder);
    snprintf(inner, sizeof inner, "%s/open", folder);
    const struct sandbox_path paths[] = {{folder, SANDBOX_WRITE | SANDBOX_CHANGE},
                                         {read, SANDBOX_READ},
                                         {inner, SANDBOX_READ},
                                         {"/nowhere/at/all", SANDBOX_READ}};
    if (sandbox_paths(paths, GH_COUNT(paths)) == 0)
        _exit(77);
    for (size_t i = 0; i < GH_COUNT(openings); i++)
        if (try_open(openings[i].name, openings[i].flags) != openings[i].result)
            _exit((int)i + 1);
    execl("/bin/true", "true", (char *)NULL);
    _exit(errno == EACCES ? 0 : 100);
}

static void test_paths(void)
{
    char path[4096];
    int status = -1;
    folder = check_folder();
    static const char *const folders[] = {"open", "keys"};
    static const char *const files[] = {"read", "open/file", "keys/kek"};
    for (size_t i = 0; i < GH_COUNT(folders); i++) {
        snprintf(path, sizeof path, "%s/%s", folder, folders[i]);
        REQUIRE("a folder", mkdir(path, 0700) == 0);
    }
    for (size_t i = 0; i < GH_COUNT(files); i++)
        REQUIRE("a file", try_open(files[i], O_WRONLY | O_CREAT) == 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        in_child();
    REQUIRE("the child ends",
            child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
    int end = WEXITSTATUS(status);
    if (end == 77) {
        puts("skipped: this kernel has no Landlock");
        return;
    }
    for (size_t i = 0; i < GH_COUNT(openings); i++)
        CHECK(openings[i].claim, end != (int)i + 1);
    CHECK("and nothing is run", end == 0);
}

int main(void)
{
    test_calls();
    test_privileges();
    test_paths();
    return check_report();
}
