/* gatehouse-climate: the climate back end. Reads its options, calls the public API over HTTPS,
 * turns the service until a signal. */
#include "apps/climate/backend/service.h"
#include "apps/climate/keep/keep.h"
#include "base/log.h"
#include "base/privilege.h"
#include "base/secret.h"
#include "base/time.h"
#include "io/http_client.h"
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    EXIT_USAGE = 2,
    TOKEN_BYTES_MAX = 4096,
    URL_MAX = 1024,
    CONNECT_MS = 5000,
    CALL_MS = 5000,
    STATUS_MS = 60000
};

enum key {
    SERVER = 256,
    CA,
    TOKEN_FILE,
    TENANT,
    PROJECT,
    LOCATION,
    REGISTRY,
    SUBSCRIPTION,
    STATE_FILE,
    HELP,
    VERSION
};

struct arguments {
    const char *server, *ca, *token_file, *tenant, *project, *location, *registry, *subscription,
        *state_file;
};

static const struct {
    const char *name;
    enum key key;
    const char *value, *text;
    size_t at; /* in struct arguments */
    bool needed;
} rows[] = {
    {"server", SERVER, "URL", "https://HOST:PORT of the platform",
     offsetof(struct arguments, server), true},
    {"ca", CA, "FILE", "trust anchors for its certificate; default the system's",
     offsetof(struct arguments, ca), false},
    {"token-file", TOKEN_FILE, "FILE", "a bearer token, read again for every call",
     offsetof(struct arguments, token_file), true},
    {"tenant", TENANT, "NAME", "default demo", offsetof(struct arguments, tenant), false},
    {"project", PROJECT, "ID", "Google project of the tenant; default the tenant's name",
     offsetof(struct arguments, project), false},
    {"location", LOCATION, "NAME", "of the registry; default europe-west1",
     offsetof(struct arguments, location), false},
    {"registry", REGISTRY, "NAME", "default warehouse", offsetof(struct arguments, registry),
     false},
    {"subscription", SUBSCRIPTION, "NAME", "default climate",
     offsetof(struct arguments, subscription), false},
    {"state-file", STATE_FILE, "FILE", "numbers of commands and controllers, kept across restarts",
     offsetof(struct arguments, state_file), true},
    {"help", HELP, NULL, "this text", 0, false},
    {"version", VERSION, NULL, "the version", 0, false},
};

static void print_help(void)
{
    puts("gatehouse-climate: climate control for the halls of a warehouse, as a client of the "
         "public API. It\n"
         "pulls telemetry from a subscription, decides for each hall by season, temperature, "
         "humidity and air,\n"
         "sends numbered commands under a lease, and publishes the halls as zones for the "
         "console.\n\n"
         "  gatehouse-climate --server https://127.0.0.1:8443 --ca DATA/ca.crt \\\n"
         "      --token-file DATA/demo/climate.token --state-file DATA/demo/climate.json\n");
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        char option[64];
        snprintf(option, sizeof option, "--%s %s", rows[i].name,
                 rows[i].value == NULL ? "" : rows[i].value);
        printf("  %-22s %s\n", option, rows[i].text);
    }
    puts("\nA hall is what devices named HALL-climate-a, HALL-climate-b, HALL-air, HALL-heating, "
         "HALL-cooling,\n"
         "HALL-ventilation and HALL-dehumidifier have in common. When this program or the platform "
         "is away,\n"
         "machines hold their last level for their lease and then follow their own thermostats.\n"
         "SIGINT and SIGTERM end it in order. Exit codes: 0 ended, 1 failed, 2 usage.");
}

static int fail(const struct gh_error *error)
{
    char line[GH_ERROR_LINE_MAX];
    fprintf(stderr, "gatehouse-climate: %s\n", gh_error_line(error, line));
    return error->code == GH_ERROR_USAGE ? EXIT_USAGE : EXIT_FAILURE;
}

static const char **argument(struct arguments *arguments, size_t row)
{
    return (const char **)(void *)((char *)arguments + rows[row].at);
}

/* OK with `*shown` when a text was asked for and printed. */
static enum gh_error_code read_arguments(int argc, char **argv, struct arguments *out, bool *shown,
                                         struct gh_error *error)
{
    struct option names[GH_COUNT(rows) + 1] = {0};
    int key;
    for (size_t i = 0; i < GH_COUNT(rows); i++)
        names[i] =
            (struct option){.name = rows[i].name,
                            .has_arg = rows[i].value != NULL ? required_argument : no_argument,
                            .val = (int)rows[i].key};
    while ((key = getopt_long(argc, argv, "", names, NULL)) != -1) {
        *shown = key == HELP || key == VERSION;
        if (key == HELP)
            print_help();
        else if (key == VERSION)
            puts("gatehouse-climate " GH_VERSION);
        else if (key == '?')
            return gh_error_set(error, GH_ERROR_USAGE, "see gatehouse-climate --help");
        if (*shown)
            return GH_OK;
        for (size_t i = 0; i < GH_COUNT(rows); i++) {
            if ((int)rows[i].key == key)
                *argument(out, i) = optarg;
        }
    }
    if (optind < argc)
        return gh_error_set(error, GH_ERROR_USAGE, "'%s' is no option", argv[optind]);
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        if (rows[i].needed && *argument(out, i) == NULL)
            return gh_error_set(error, GH_ERROR_USAGE, "--%s is needed", rows[i].name);
    }
    if (strncmp(out->server, "https://", 8) != 0)
        return gh_error_set(error, GH_ERROR_USAGE, "--server '%s' is not https://HOST:PORT",
                            out->server);
    if (out->project == NULL)
        out->project = out->tenant;
    return GH_OK;
}

/* The transport: HTTPS with the token of the file, which may be replaced at any time. */
struct transport {
    const struct arguments *arguments;
    struct gh_http_client *client;
};

static enum gh_error_code call(void *context, const char *method, const char *path,
                               struct gh_slice body, struct gh_buffer *answer, int *status,
                               struct gh_error *error)
{
    struct transport *transport = context;
    char url[URL_MAX], authorization[TOKEN_BYTES_MAX + 32];
    uint8_t block[TOKEN_BYTES_MAX];
    struct gh_buffer token = gh_buffer_fixed(block, sizeof block);
    enum gh_keep_status read = gh_keep_read(transport->arguments->token_file, &token, error);
    if (read != GH_KEEP_OK)
        return read == GH_KEEP_ABSENT
                   ? gh_error_set(error, GH_ERROR_FILE, "there is no token file %s",
                                  transport->arguments->token_file)
                   : error->code;
    struct gh_slice text = gh_buffer_slice(&token);
    while (text.size > 0 && text.data[text.size - 1] <= ' ')
        text.size--;
    snprintf(authorization, sizeof authorization, "Authorization: Bearer %.*s", GH_PRINT(text));
    snprintf(url, sizeof url, "%s%s", transport->arguments->server, path);
    const char *const headers[] = {authorization, "Content-Type: application/json", NULL};
    enum gh_error_code code =
        gh_http_client_call(transport->client, method, url, headers, body, answer, status, error);
    gh_secret_wipe(authorization, sizeof authorization);
    gh_secret_wipe(block, sizeof block);
    return code;
}

static void turn_until_signal(struct gh_service *service)
{
    sigset_t signals;
    int64_t status_at_ms = gh_time_utc_ms() + STATUS_MS;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    for (;;) {
        int64_t wait_ms = gh_service_turn(service, gh_time_utc_ms());
        struct timespec wait = {.tv_sec = wait_ms / 1000, .tv_nsec = wait_ms % 1000 * GH_MS_NS};
        if (sigtimedwait(&signals, NULL, &wait) > 0)
            return;
        if (gh_time_utc_ms() < status_at_ms)
            continue;
        struct gh_service_counts counts = gh_service_counts(service);
        gh_log(GH_LOG_INFO, "climate",
               "%llu messages (%llu refused), %llu commands, %llu failed calls",
               (unsigned long long)counts.messages, (unsigned long long)counts.refused_messages,
               (unsigned long long)counts.commands, (unsigned long long)counts.failed_calls);
        status_at_ms = gh_time_utc_ms() + STATUS_MS;
    }
}

static enum gh_error_code run(const struct arguments *arguments, struct gh_error *error)
{
    static const struct gh_service_transport https = {.call = call};
    struct transport transport = {.arguments = arguments};
    struct gh_service_options options = {.project = arguments->project,
                                         .location = arguments->location,
                                         .registry = arguments->registry,
                                         .tenant = arguments->tenant,
                                         .subscription = arguments->subscription,
                                         .state_file = arguments->state_file};
    transport.client = gh_http_client_open(arguments->ca, error);
    if (transport.client == NULL)
        return error->code;
    gh_http_client_set_timeout(transport.client, CONNECT_MS, CALL_MS);
    struct gh_service *service = gh_service_open(&options, &https, &transport, error);
    if (service != NULL)
        turn_until_signal(service);
    gh_service_close(service);
    gh_http_client_close(transport.client);
    return service != NULL ? GH_OK : error->code;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.tenant = "demo",
                                  .location = "europe-west1",
                                  .registry = "warehouse",
                                  .subscription = "climate"};
    struct gh_error error = {0};
    bool shown = false;
    sigset_t signals;
    if (read_arguments(argc, argv, &arguments, &shown, &error) != GH_OK)
        return fail(&error);
    if (shown)
        return EXIT_SUCCESS;
    gh_privileges_drop();
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    return run(&arguments, &error) == GH_OK ? EXIT_SUCCESS : fail(&error);
}
