#include "base/secret.h"
#include "base/time.h"
#include "programs/gatehouse/cli.h"
#include "programs/gatehouse/demo.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Runs the server and, for the demo, the simulated site and the climate back end, in the
 * foreground. Ends all of them when it is told to or when the server ends; a client of the demo
 * that dies is started again. */

enum { READY_MS_MAX = 60000, END_S_MAX = 20, RESTART_S = 2, ARGUMENTS_MAX = 32 };

struct child {
    const char *name;
    char *arguments[ARGUMENTS_MAX];
    size_t count;
    pid_t pid;
};

struct site {
    struct cli *cli;
    const char *data, *folder; /* of the programs */
    struct child server, swarm, climate;
    sigset_t signals;
};

static void add(struct child *child, struct cli *cli, const char *argument)
{
    if (child->count + 1 < ARGUMENTS_MAX)
        child->arguments[child->count++] = gh_arena_text(&cli->arena, gh_slice_text(argument));
}

static void begin(struct child *child, struct site *site, const char *name)
{
    child->name = name;
    add(child, site->cli, gh_arena_print(&site->cli->arena, "%s/%s", site->folder, name));
}

/* Where this program lies, and the others beside it. */
static const char *own_folder(struct cli *cli)
{
    char path[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", path, sizeof path - 1);
    while (size > 0 && path[size - 1] != '/')
        size--;
    return size > 1 ? gh_arena_text(&cli->arena, gh_slice(path, (size_t)size - 1)) : "/usr/bin";
}

static bool start(struct site *site, struct child *child, int out)
{
    fflush(NULL);
    child->pid = fork();
    if (child->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        setpgid(0, 0); /* Ctrl-C is for us; they are ended in order */
        sigprocmask(SIG_UNBLOCK, &site->signals, NULL);
        if (out >= 0)
            dup2(out, STDOUT_FILENO);
        execv(child->arguments[0], child->arguments);
        fprintf(stderr, "gatehouse: cannot run %s: %s\n", child->arguments[0], strerror(errno));
        _exit(127);
    }
    if (child->pid < 0)
        gh_error_set(&site->cli->error, GH_ERROR_UNAVAILABLE, "cannot start %s: %s", child->name,
                     strerror(errno));
    return child->pid > 0;
}

static void end_child(struct child *child)
{
    if (child->pid <= 0)
        return;
    kill(child->pid, SIGTERM);
    for (int waited_ms = 0; waitpid(child->pid, NULL, WNOHANG) == 0; waited_ms += 20) {
        struct timespec pause = {.tv_nsec = 20000000};
        if (waited_ms >= END_S_MAX * 1000)
            kill(child->pid, SIGKILL);
        nanosleep(&pause, NULL);
    }
    child->pid = 0;
}

/* Starts the server and waits for its word. */
static bool start_server(struct site *site)
{
    int out[2];
    char line[64];
    if (pipe2(out, O_CLOEXEC) != 0 || !start(site, &site->server, out[1]))
        return false;
    close(out[1]);
    struct pollfd readable = {.fd = out[0], .events = POLLIN};
    ssize_t got = poll(&readable, 1, READY_MS_MAX) == 1 ? read(out[0], line, sizeof line) : 0;
    if (got >= 6 && memcmp(line, "ready\n", 6) == 0)
        return true; /* the pipe stays open: the server may say more */
    close(out[0]);
    gh_error_set(&site->cli->error, GH_ERROR_UNAVAILABLE,
                 "the server did not start; see the lines above");
    return false;
}

/* The first and second TLS address of DIR/listeners; the second is the first when there is only
 * one. */
static bool read_addresses(struct site *site, char first[GH_ERROR_TEXT_MAX],
                           char second[GH_ERROR_TEXT_MAX])
{
    struct gh_slice rest;
    int count = 0;
    if (!file_load(site->cli, gh_arena_print(&site->cli->arena, "%s/listeners", site->data), &rest))
        return false;
    while (rest.size > 0) {
        struct gh_slice line = gh_slice_split(&rest, '\n');
        if (!gh_slice_equal(gh_slice_split(&line, ' '), GH_SLICE("tls")))
            continue;
        char *to = count++ == 0 ? first : second;
        snprintf(to, GH_ERROR_TEXT_MAX, "%.*s", GH_PRINT(line));
    }
    if (count == 1)
        snprintf(second, GH_ERROR_TEXT_MAX, "%s", first);
    return count > 0;
}

static void describe_swarm(struct site *site, const char *server)
{
    struct cli *cli = site->cli;
    const char *speed = cli_option(cli, "speed");
    const char *const pairs[][2] = {
        {"--server", server},
        {"--ca", gh_arena_print(&cli->arena, "%s/ca.crt", site->data)},
        {"--keys", gh_arena_print(&cli->arena, "%s/demo/keys", site->data)},
        {"--project", DEMO_TENANT},
        {"--location", DEMO_LOCATION},
        {"--registry", DEMO_REGISTRY},
        {"--site", "warehouse"},
        {"--state", gh_arena_print(&cli->arena, "%s/demo/site.json", site->data)},
        {"--speed", speed != NULL ? speed : "60"},
    };
    begin(&site->swarm, site, "gatehouse-swarm");
    for (size_t i = 0; i < GH_COUNT(pairs); i++) {
        add(&site->swarm, cli, pairs[i][0]);
        add(&site->swarm, cli, pairs[i][1]);
    }
}

static void describe_climate(struct site *site, const char *server)
{
    struct cli *cli = site->cli;
    const char *const pairs[][2] = {
        {"--server", gh_arena_print(&cli->arena, "https://%s", server)},
        {"--ca", gh_arena_print(&cli->arena, "%s/ca.crt", site->data)},
        {"--token-file", gh_arena_print(&cli->arena, "%s/demo/climate.token", site->data)},
        {"--tenant", DEMO_TENANT},
        {"--registry", DEMO_REGISTRY},
        {"--subscription", DEMO_SUBSCRIPTION},
        {"--state-file", gh_arena_print(&cli->arena, "%s/demo/climate.json", site->data)},
    };
    begin(&site->climate, site, "gatehouse-climate");
    for (size_t i = 0; i < GH_COUNT(pairs); i++) {
        add(&site->climate, cli, pairs[i][0]);
        add(&site->climate, cli, pairs[i][1]);
    }
}

static bool start_demo(struct site *site, const char *first, const char *second)
{
    puts("Preparing the demo warehouse…");
    if (!demo_prepare(site->cli, site->data))
        return false;
    describe_swarm(site, first);
    describe_climate(site, second);
    return start(site, &site->swarm, -1) && start(site, &site->climate, -1);
}

/* A client of the demo ended by itself. */
static bool restart(struct site *site, struct child *child)
{
    struct timespec pause = {.tv_sec = RESTART_S};
    sigset_t stop = site->signals;
    sigdelset(&stop, SIGCHLD);
    fprintf(stderr, "gatehouse: %s ended; starting it again\n", child->name);
    return sigtimedwait(&stop, NULL, &pause) < 0 && start(site, child, -1);
}

static int watch(struct site *site)
{
    for (;;) {
        int signal = sigwaitinfo(&site->signals, NULL), status;
        if (signal == SIGINT || signal == SIGTERM)
            return EXIT_SUCCESS;
        for (pid_t gone; (gone = waitpid(-1, &status, WNOHANG)) > 0;) {
            if (gone == site->server.pid) {
                site->server.pid = 0;
                fputs("gatehouse: the server ended; see the lines above\n", stderr);
                return CLI_FAILED;
            }
            struct child *child = gone == site->swarm.pid     ? &site->swarm
                                  : gone == site->climate.pid ? &site->climate
                                                              : NULL;
            if (child != NULL && !restart(site, child))
                return EXIT_SUCCESS;
        }
    }
}

static void say_where(const struct site *site, const struct first_operator *person,
                      const char *address)
{
    const char *port = strrchr(address, ':');
    printf("\n"
           "  Console       https://localhost%s/\n"
           "  Trust anchor  %s/ca.crt   (import it, or accept the browser's warning)\n"
           "  Operator      %s\n",
           port != NULL ? port : "", site->data, person->name);
    if (person->password[0] != '\0')
        printf("  Password      %s   (shown this once)\n", person->password);
    else
        puts("  Password      as shown at the first start; `gatehouse operator password` makes a "
             "new one");
    puts("\nCtrl-C ends everything; the next start keeps all data.");
    fflush(stdout);
}

int run_up(struct cli *cli)
{
    struct site site = {.cli = cli, .data = cli_data(cli), .folder = own_folder(cli)};
    char first[GH_ERROR_TEXT_MAX], second[GH_ERROR_TEXT_MAX];
    const char *name = cli_option(cli, "operator"), *demo = cli_option(cli, "demo"), *listen;
    if (demo != NULL && strcmp(demo, "warehouse") != 0)
        return cli_usage(cli, "the only demo is --demo warehouse");
    struct first_operator person = {.name = name != NULL ? name : "admin"};
    sigemptyset(&site.signals);
    sigaddset(&site.signals, SIGINT);
    sigaddset(&site.signals, SIGTERM);
    sigaddset(&site.signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &site.signals, NULL);
    if (!init_exists(site.data) && !init_folder(cli, site.data, &person))
        return cli_fail(cli);
    begin(&site.server, &site, "gatehoused");
    add(&site.server, cli, "--data");
    add(&site.server, cli, site.data);
    for (size_t i = 0; (listen = cli_option_nth(cli, "listen", i)) != NULL; i++) {
        add(&site.server, cli, "--listen");
        add(&site.server, cli, listen);
    }
    int code = CLI_FAILED;
    if (start_server(&site) && read_addresses(&site, first, second) &&
        (demo == NULL || start_demo(&site, first, second))) {
        say_where(&site, &person, second);
        code = watch(&site);
    } else {
        cli_fail(cli);
    }
    gh_secret_wipe(&person, sizeof person);
    end_child(&site.climate);
    end_child(&site.swarm);
    end_child(&site.server);
    return code;
}
