/* gatehouse-swarm: the simulated warehouse. Reads its options, opens the parts, runs the loop until
 * a signal. With the word `bench`: load on a broker instead (bench/). */
#include "apps/climate/keep/keep.h"
#include "apps/climate/swarm/fleet.h"
#include "base/privilege.h"
#include "base/time.h"
#include "bench/bench.h"
#include "io/socket.h"
#include "programs/gatehouse-swarm/options.h"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CA_BYTES_MAX = 256 * 1024, HOST_MAX = 256, EXIT_USAGE = 2 };

struct swarm {
    struct options options;
    char name[HOST_MAX]; /* of the server, as given */
    char host[GH_ADDRESS_TEXT_MAX];
    uint16_t port;
    struct gh_weather *weather;
    struct gh_site *site;
    struct gh_tls_context *tls;
    struct gh_loop *loop;
    struct gh_fleet *fleet;
};

/* "HOST:PORT" or "[ADDRESS]:PORT" into the name that the certificate must bear and an address to
 * dial. */
static bool find_server(struct swarm *swarm, struct gh_error *error)
{
    const char *server = swarm->options.server, *colon = strrchr(server, ':');
    struct gh_address address;
    uint64_t port;
    if (colon == NULL || !gh_slice_to_u64(gh_slice_text(colon + 1), &port) || port == 0 ||
        port > 65535 || (size_t)(colon - server) >= sizeof swarm->name || colon == server) {
        gh_error_set(error, GH_ERROR_USAGE, "--server '%s' is not HOST:PORT", server);
        return false;
    }
    bool bracketed = server[0] == '[' && colon[-1] == ']';
    size_t size = (size_t)(colon - server) - (bracketed ? 2 : 0);
    memcpy(swarm->name, server + (bracketed ? 1 : 0), size);
    swarm->port = (uint16_t)port;
    if (!gh_address_resolve(swarm->name, swarm->port, &address, error))
        return false;
    gh_address_print(&address, swarm->host);
    *strrchr(swarm->host, ':') = '\0';
    size = strlen(swarm->host);
    if (swarm->host[0] == '[') { /* "[::1]" -> "::1" */
        memmove(swarm->host, swarm->host + 1, size - 2);
        swarm->host[size - 2] = '\0';
    }
    return true;
}

static bool open_tls(struct swarm *swarm, struct gh_error *error)
{
    struct gh_buffer pem;
    gh_buffer_init(&pem, CA_BYTES_MAX);
    enum gh_keep_status status = gh_keep_read(swarm->options.ca, &pem, error);
    if (status == GH_KEEP_OK)
        swarm->tls = gh_tls_client_open(gh_buffer_slice(&pem), error);
    else if (status == GH_KEEP_ABSENT)
        gh_error_set(error, GH_ERROR_FILE, "there is no file %s", swarm->options.ca);
    gh_buffer_deinit(&pem);
    return swarm->tls != NULL;
}

static bool open_site(struct swarm *swarm, struct gh_error *error)
{
    const struct options *options = &swarm->options;
    swarm->weather = options->weather != NULL ? gh_weather_open(options->weather, error)
                                              : gh_weather_open_demo(error);
    if (swarm->weather == NULL)
        return false;
    swarm->site = gh_site_open(swarm->weather, options->start_ms, options->seed);
    if (swarm->site == NULL) {
        gh_error_set(error, GH_ERROR_MEMORY, "no memory for the site");
        return false;
    }
    if (options->state != NULL && !gh_fleet_load(swarm->site, options->state, error))
        return false;
    for (size_t i = 0; i < options->faults_count; i++) {
        if (!gh_site_add_fault(swarm->site, options->faults[i], error))
            return false;
    }
    return true;
}

static bool open_fleet(struct swarm *swarm, struct gh_error *error)
{
    const struct options *options = &swarm->options;
    swarm->loop = gh_loop_open(error);
    if (swarm->loop == NULL)
        return false;
    struct gh_fleet_options fleet = {.place = {.loop = swarm->loop,
                                               .host = swarm->host,
                                               .server_name = swarm->name,
                                               .port = swarm->port,
                                               .tls = swarm->tls,
                                               .project = options->project,
                                               .location = options->location,
                                               .registry = options->registry,
                                               .token_ttl_s = options->token_ttl_s},
                                     .keys = options->keys,
                                     .state = options->state,
                                     .speed = options->speed,
                                     .report_s = options->report_s};
    swarm->fleet = gh_fleet_open(&fleet, swarm->site, error);
    return swarm->fleet != NULL;
}

static void *run_loop(void *loop)
{
    gh_loop_run(loop);
    return NULL;
}

static bool run(struct swarm *swarm, const sigset_t *signals, struct gh_error *error)
{
    pthread_t thread;
    int signal;
    if (pthread_create(&thread, NULL, run_loop, swarm->loop) != 0) {
        gh_error_set(error, GH_ERROR_INTERNAL, "cannot start a thread");
        return false;
    }
    while (sigwait(signals, &signal) != 0)
        continue;
    gh_fleet_stop(swarm->fleet);
    pthread_join(thread, NULL);
    return true;
}

static void close_all(struct swarm *swarm)
{
    gh_fleet_close(swarm->fleet);
    if (swarm->loop != NULL)
        gh_loop_close(swarm->loop);
    gh_tls_context_unref(swarm->tls);
    gh_site_close(swarm->site);
    gh_weather_close(swarm->weather);
    options_deinit(&swarm->options);
}

/* Made from the tables of options, so that it is never behind them. */
static int print_completion(void)
{
    fputs("# bash completion for gatehouse-swarm; source it, or put it into "
          "/etc/bash_completion.d/\n"
          "_gatehouse_swarm() {\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} words=\n"
          "    case \"$COMP_CWORD:${COMP_WORDS[1]}\" in\n"
          "    2:bench) words=\"",
          stdout);
    bench_print_works();
    fputs("\" ;;\n    *:bench) words=\"", stdout);
    bench_print_options();
    fputs("\" ;;\n    *) words=\"bench completion", stdout);
    options_print_names();
    puts("\" ;;\n    esac\n"
         "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
         "    [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- \"$cur\"))\n"
         "}\n"
         "complete -F _gatehouse_swarm gatehouse-swarm");
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    static struct swarm swarm;
    struct gh_error error = {0};
    char line[GH_ERROR_LINE_MAX];
    sigset_t signals;
    if (argc > 1 && strcmp(argv[1], "bench") == 0)
        return bench_main(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "completion") == 0)
        return print_completion();
    enum gh_error_code code = options_read(argc, argv, &swarm.options, &error);
    if (code == GH_OK && swarm.options.help) {
        options_help();
        return EXIT_SUCCESS;
    }
    if (code == GH_OK && swarm.options.version) {
        puts("gatehouse-swarm " GH_VERSION);
        return EXIT_SUCCESS;
    }
    gh_privileges_drop();
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    bool done = code == GH_OK && find_server(&swarm, &error) && open_tls(&swarm, &error) &&
                open_site(&swarm, &error) && open_fleet(&swarm, &error) &&
                run(&swarm, &signals, &error);
    if (!done)
        fprintf(stderr, "gatehouse-swarm: %s\n", gh_error_line(&error, line));
    close_all(&swarm);
    return done ? EXIT_SUCCESS : error.code == GH_ERROR_USAGE ? EXIT_USAGE : EXIT_FAILURE;
}
