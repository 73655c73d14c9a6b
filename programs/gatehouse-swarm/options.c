#include "programs/gatehouse-swarm/options.h"
#include "apps/climate/keep/keep.h"
#include "apps/climate/model/calendar.h"
#include "base/time.h"
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_MAX = 64 * 1024, LISTENERS_MAX = 16 * 1024 };

enum key {
    DATA = 256,
    SERVER,
    CA,
    KEYS,
    PROJECT,
    LOCATION,
    REGISTRY,
    SITE,
    SPEED,
    WEATHER,
    SEASON,
    START_DATE,
    STATE,
    REPORT,
    TOKEN_TTL,
    SEED,
    FAULT,
    HELP,
    VERSION,
};

static const struct {
    const char *name;
    enum key key;
    const char *value, *text;
} rows[] = {
    {"server", SERVER, "HOST:PORT", "the server's MQTT listener"},
    {"ca", CA, "FILE", "trust anchors for the server's certificate (DATA/ca.crt)"},
    {"keys", KEYS, "DIR", "ID.pem, the private key of each device that is to run"},
    {"data", DATA, "DIR", "of a server on this host: gives --server, --ca, --keys and --state"},
    {"project", PROJECT, "ID", "Google project of the tenant; default demo"},
    {"location", LOCATION, "NAME", "of the registry; default europe-west1"},
    {"registry", REGISTRY, "NAME", "default warehouse"},
    {"site", SITE, "NAME", "what is simulated; there is one site, warehouse"},
    {"speed", SPEED, "N", "site seconds for each real second, 1 to 3600; default 1"},
    {"weather", WEATHER, "FILE", "a typical year; default the built-in one, Po valley, Italy"},
    {"season", SEASON, "NAME", "first start in winter, spring, summer or autumn; default today"},
    {"start-date", START_DATE, "YYYY-MM-DD", "first start on this day, at 06:00"},
    {"state", STATE, "FILE",
     "keeps the site across restarts; without it every start is a first one"},
    {"report-s", REPORT, "S",
     "a status line on standard output every S seconds; default 10, 0 never"},
    {"token-ttl-s", TOKEN_TTL, "S", "life of a device's JWT, 60 to 86400; default 3600"},
    {"seed", SEED, "N", "of noise and doors; default 1"},
    {"fault", FAULT, "ID=KIND@S[-S]",
     "silent, stuck, dead or offline from a site second of this run to another; may repeat"},
    {"help", HELP, NULL, "this text"},
    {"version", VERSION, NULL, "the version"},
};

void options_help(void)
{
    puts("gatehouse-swarm: a simulated warehouse on the real wire. Three halls with probes, "
         "heating, cooling,\n"
         "ventilation and dehumidifier, and a weather station: 22 devices, each with its own key, "
         "over MQTT\n"
         "and TLS in the Google dialect. What the machines are told changes what the probes "
         "measure.\n\n"
         "  gatehouse-swarm --data DIR [--speed 60]\n"
         "  gatehouse-swarm --server HOST:PORT --ca FILE --keys DIR [--state FILE] [--speed 60]\n"
         "  gatehouse-swarm bench --help      load on any MQTT broker, and what came of it\n"
         "  gatehouse-swarm completion        a script for bash\n");
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        char option[64];
        snprintf(option, sizeof option, "--%s %s", rows[i].name,
                 rows[i].value == NULL ? "" : rows[i].value);
        printf("  %-26s %s\n", option, rows[i].text);
    }
    puts("\nThe status line shows each hall's truth and its machines: H heating, C cooling, V "
         "ventilation,\n"
         "D dehumidifier; * means the machine follows its own thermostat, since nobody commands "
         "it.\n"
         "SIGINT and SIGTERM end it in order. Exit codes: 0 ended, 1 failed, 2 usage.");
}

void options_print_names(void)
{
    for (size_t i = 0; i < GH_COUNT(rows); i++)
        printf(" --%s", rows[i].name);
}

static bool to_number(const char *text, double min, double max, double *out)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= min && value <= max))
        return false;
    *out = value;
    return true;
}

static bool read_season(const char *name, struct options *options)
{
    struct gh_calendar today = gh_calendar_at(gh_time_utc_ms());
    for (int i = GH_SEASON_WINTER; i <= GH_SEASON_AUTUMN; i++) {
        if (strcmp(name, gh_season_name((enum gh_season)i)) == 0) {
            options->start_ms =
                gh_calendar_ms(today.year, (unsigned)(1 + 3 * i), 15) + INT64_C(6) * 3600000;
            return true;
        }
    }
    return false;
}

static bool read_date(const char *text, struct options *options)
{
    char whole[64];
    snprintf(whole, sizeof whole, "%sT06:00:00Z", text);
    return gh_time_parse(gh_slice_text(whole), &options->start_ms);
}

static bool read_value(enum key key, char *value, struct options *options)
{
    double number = 0;
    switch (key) {
    case SPEED:
        return to_number(value, 1, 3600, &options->speed);
    case REPORT:
        if (!to_number(value, 0, 86400, &number))
            return false;
        options->report_s = (int)number;
        return true;
    case TOKEN_TTL:
        if (!to_number(value, 60, 86400, &number))
            return false;
        options->token_ttl_s = (int64_t)number;
        return true;
    case SEED:
        return gh_slice_to_u64(gh_slice_text(value), &options->seed);
    case SEASON:
        return read_season(value, options);
    case START_DATE:
        return read_date(value, options);
    case SITE:
        return strcmp(value, "warehouse") == 0;
    case FAULT:
        if (options->faults_count == GH_COUNT(options->faults))
            return false;
        options->faults[options->faults_count++] = value;
        return true;
    default:
        return false;
    }
}

static bool read_option(enum key key, char *value, struct options *options, const char **data)
{
    const char **text = key == SERVER     ? &options->server
                        : key == CA       ? &options->ca
                        : key == KEYS     ? &options->keys
                        : key == STATE    ? &options->state
                        : key == WEATHER  ? &options->weather
                        : key == PROJECT  ? &options->project
                        : key == LOCATION ? &options->location
                        : key == REGISTRY ? &options->registry
                        : key == DATA     ? data
                                          : NULL;
    options->help = options->help || key == HELP;
    options->version = options->version || key == VERSION;
    if (key == HELP || key == VERSION)
        return true;
    if (text == NULL)
        return read_value(key, value, options);
    *text = value;
    return value[0] != '\0';
}

/* The first line "tls HOST:PORT" of DIR/listeners. */
static const char *read_listener(struct options *options, const char *data, struct gh_error *error)
{
    struct gh_buffer text;
    char *found = NULL;
    const char *path = gh_arena_print(&options->arena, "%s/listeners", data);
    gh_buffer_init(&text, LISTENERS_MAX);
    enum gh_keep_status status = path == NULL ? GH_KEEP_ABSENT : gh_keep_read(path, &text, error);
    struct gh_slice rest = gh_buffer_slice(&text);
    while (status == GH_KEEP_OK && found == NULL && rest.size > 0) {
        struct gh_slice line = gh_slice_split(&rest, '\n');
        if (gh_slice_equal(gh_slice_split(&line, ' '), GH_SLICE("tls")))
            found = gh_arena_text(&options->arena, line);
    }
    if (found == NULL && status != GH_KEEP_FAILED)
        gh_error_set(error, GH_ERROR_FILE, "%s/listeners names no listener; is the server running?",
                     data);
    gh_buffer_deinit(&text);
    return found;
}

static bool fill_from_data(struct options *options, const char *data, struct gh_error *error)
{
    struct gh_arena *arena = &options->arena;
    if (options->server == NULL)
        options->server = read_listener(options, data, error);
    if (options->ca == NULL)
        options->ca = gh_arena_print(arena, "%s/ca.crt", data);
    if (options->keys == NULL)
        options->keys = gh_arena_print(arena, "%s/demo/keys", data);
    if (options->state == NULL)
        options->state = gh_arena_print(arena, "%s/demo/site.json", data);
    return options->server != NULL;
}

enum gh_error_code options_read(int argc, char **argv, struct options *options,
                                struct gh_error *error)
{
    struct option names[GH_COUNT(rows) + 1] = {0};
    const char *data = NULL;
    int key, index = 0;
    gh_arena_init(&options->arena, ARENA_MAX);
    options->project = "demo";
    options->location = "europe-west1";
    options->registry = "warehouse";
    options->speed = 1;
    options->report_s = 10;
    options->token_ttl_s = 3600;
    options->seed = 1;
    options->start_ms = gh_time_utc_ms();
    for (size_t i = 0; i < GH_COUNT(rows); i++)
        names[i] =
            (struct option){.name = rows[i].name,
                            .has_arg = rows[i].value != NULL ? required_argument : no_argument,
                            .val = (int)rows[i].key};
    while ((key = getopt_long(argc, argv, "", names, &index)) != -1) {
        if (key == '?')
            return gh_error_set(error, GH_ERROR_USAGE, "see gatehouse-swarm --help");
        if (!read_option((enum key)key, optarg, options, &data))
            return gh_error_set(error, GH_ERROR_USAGE, "--%s %s is not allowed", names[index].name,
                                optarg == NULL ? "" : optarg);
    }
    if (options->help || options->version)
        return GH_OK;
    if (optind < argc)
        return gh_error_set(error, GH_ERROR_USAGE, "'%s' is no option", argv[optind]);
    if (data != NULL && !fill_from_data(options, data, error))
        return error->code;
    if (options->server == NULL || options->ca == NULL || options->keys == NULL)
        return gh_error_set(error, GH_ERROR_USAGE,
                            "--server, --ca and --keys are needed, or --data");
    return GH_OK;
}

void options_deinit(struct options *options)
{
    gh_arena_deinit(&options->arena);
}
