#include "bench/load.h"
#include "base/log.h"
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { EXIT_USAGE = 2, FILE_BYTES_MAX = 64 << 20, REPORT_BYTES_MAX = 1 << 20 };

static const struct mode *const modes[] = {
    &publish_mode, &pairs_mode,   &fan_in_mode,       &fan_out_mode, &fleet_mode,  &idle_mode,
    &connect_mode, &devices_mode, &certificates_mode, &hold_mode,    &endure_mode, &power_cut_mode};

/* An option sets a text or a number. */
struct option_row {
    const char *name;
    size_t text, number; /* offsets; the other is 0, which is the text `server` */
    const char *help;
};
#define TEXT(name, member, help)                                                                   \
    {                                                                                              \
        name, offsetof(struct options, member) + 1, 0, help                                        \
    }
#define NUMBER(name, member, help)                                                                 \
    {                                                                                              \
        name, 0, offsetof(struct options, member) + 1, help                                        \
    }
static const struct option_row rows[] = {
    TEXT("server", server, "ADDRESS:PORT of the broker"),
    TEXT("ca", ca, "trust anchors, PEM; without them the connection is plain"),
    TEXT("identities", identities,
         "file: certificate and private key of each client, PEM, one after the other"),
    TEXT("ca-key", ca_key, "certificates: file for the private key of the CA in --ca"),
    TEXT("clients", clients,
         "file: client id, password, topic and perhaps user name, split by tabs, a line for each"),
    TEXT("id", id, "instead of the file: the client id, with {n} for the client's number"),
    TEXT("user", user, "with --id: the user name (none)"),
    TEXT("password", password, "with --id: the password (none)"),
    TEXT("topic", topic, "with --id: the topic (load/{n})"),
    TEXT("pids", pids, "the server's processes, whose CPU time and memory are read"),
    NUMBER("settle-ms", settle_ms, "wait before the last reading (1000)"),
    NUMBER("publishers", publishers, "publish: how many (50)"),
    NUMBER("window", window,
           "publish: messages of each that are not both acknowledged and received (20)"),
    NUMBER("size", size, "publish: bytes of a message (256)"),
    NUMBER("qos", qos, "publish: 0 or 1 (1)"),
    NUMBER("run-ms", seconds_ms, "publish: how long (5000)"),
    NUMBER("rate", rate, "publish: messages a second of all together; 0: as fast as it goes"),
    NUMBER("subscribers", subscribers,
           "publish: MQTT subscribers, one for each publisher or with --filter"),
    NUMBER("fan-out", fan_out, "publish: 1: with --filter every subscriber gets every message"),
    NUMBER("stored", stored, "publish: 1: sessions outlive their connections"),
    TEXT("filter", filter, "publish: what the subscribers subscribe to"),
    TEXT("pull", pull, "publish: /v1/projects/…/subscriptions/… to pull and acknowledge"),
    TEXT("token", token, "publish: bearer token for it"),
    NUMBER("pullers", pullers, "publish: connections that pull (2)"),
    NUMBER("lag-max", lag_max, "publish: messages under way before publishers pause (20000)"),
    NUMBER("count", count, "idle, connect, devices: how many"),
    NUMBER("concurrency", concurrency, "idle, connect: handshakes at a time (32)"),
    NUMBER("gateways", gateways, "endure: the first rows of the clients' file (0)"),
    NUMBER("behind", behind, "endure: devices of each gateway, the next rows (0)"),
    NUMBER("resume", resume, "1: each identity shows the TLS ticket that it got last"),
    TEXT("project", project, "devices: tenant and project (bench)"),
    TEXT("registry", registry, "devices: registry (fleet)"),
    TEXT("location", location, "devices: its location (europe-west1)"),
    TEXT("import", import, "devices: file for `gatehouse device import`"),
};

static int usage(void)
{
    puts("usage: gatehouse-bench-load "
         "publish|idle|connect|power-cut|hold|endure|devices|certificates "
         "[options]\n"
         "       gatehouse-bench-load pairs|fan-in|fan-out|fleet [options of publish]\n\n"
         "Load on an MQTT 3.1.1 broker; one JSON line on standard output. bench/run and\n"
         "bench/compare use it. With --rate, publish and its shapes measure latency.\n");
    for (size_t i = 0; i < GH_COUNT(rows); i++)
        printf("  --%-12s %s\n", rows[i].name, rows[i].help);
    return EXIT_USAGE;
}

static bool read_options(int argc, char **argv, struct options *options)
{
    struct option table[GH_COUNT(rows) + 1] = {{0}};
    for (size_t i = 0; i < GH_COUNT(rows); i++)
        table[i] = (struct option){rows[i].name, required_argument, NULL, (int)i + 1000};
    for (int option; (option = getopt_long(argc, argv, "", table, NULL)) != -1;) {
        if (option == '?')
            return false;
        const struct option_row *row = &rows[option - 1000];
        char *base = (char *)options, *end = NULL;
        if (row->text != 0)
            memcpy(base + row->text - 1, &optarg, sizeof optarg);
        else {
            long value = strtol(optarg, &end, 10);
            memcpy(base + row->number - 1, &value, sizeof value);
            if (*optarg == '\0' || *end != '\0' || value < 0)
                return false;
        }
    }
    return optind == argc;
}

void load_fail(struct load *load, const char *format, ...)
{
    va_list arguments;
    if (load->failed) /* what follows is a consequence */
        return;
    load->failed = true;
    va_start(arguments, format);
    fputs("gatehouse-bench-load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    if (load->loop != NULL)
        gh_loop_stop(load->loop);
}

/* The bytes are the caller's to free. */
static bool read_file(struct load *load, const char *path, struct gh_slice *out)
{
    FILE *file = fopen(path, "re");
    struct gh_buffer bytes;
    gh_buffer_init(&bytes, FILE_BYTES_MAX);
    bool good = file != NULL;
    while (good && !feof(file)) {
        uint8_t *to = gh_buffer_reserve(&bytes, 65536);
        good = to != NULL && !ferror(file);
        if (good)
            gh_buffer_commit(&bytes, fread(to, 1, 65536, file));
    }
    if (file != NULL)
        fclose(file);
    if (!good)
        load_fail(load, "cannot read %s: %s", path, strerror(errno));
    *out = gh_buffer_slice(&bytes);
    return good;
}

static bool read_clients(struct load *load, const char *path)
{
    struct gh_slice text;
    if (path == NULL || load->options->server == NULL)
        return true;
    if (!read_file(load, path, &text))
        return false;
    load->rows_text = text;
    for (size_t i = 0; i < text.size; i++)
        load->rows_count += text.data[i] == '\n';
    load->rows = calloc(load->rows_count + 1, sizeof *load->rows);
    for (size_t i = 0; load->rows != NULL && i < load->rows_count; i++) {
        struct gh_slice line = gh_slice_split(&text, '\n');
        load->rows[i].id = gh_slice_split(&line, '\t');
        load->rows[i].password = gh_slice_split(&line, '\t');
        load->rows[i].topic = gh_slice_split(&line, '\t');
        load->rows[i].user = line;
    }
    return load->rows != NULL;
}

struct gh_slice load_print_name(const char *template, size_t number, struct gh_buffer *out)
{
    size_t from = out->size;
    for (const char *at; (at = strstr(template, "{n}")) != NULL; template = at + 3)
        gh_buffer_print(out, "%.*s%zu", (int)(at - template), template, number);
    gh_buffer_print(out, "%s", template);
    return gh_slice(out->data + from, out->size - from);
}

/* As many as the options speak of. One fixed block, so that the rows may borrow from it. */
static bool make_clients(struct load *load)
{
    const struct options *options = load->options;
    const char *templates[] = {options->id, options->password, options->topic, options->user};
    size_t bytes = 1, count = (size_t)(options->publishers + options->subscribers);
    if (options->count > (long)count)
        count = (size_t)options->count;
    for (size_t i = 0; i < GH_COUNT(templates); i++)
        bytes += (strlen(templates[i]) * 8 + 32) * count;
    uint8_t *text = malloc(bytes);
    load->rows = calloc(count, sizeof *load->rows);
    if (text == NULL || load->rows == NULL)
        return false;
    load->rows_text = gh_slice(text, bytes);
    load->rows_count = count;
    struct gh_buffer out = gh_buffer_fixed(text, bytes);
    for (size_t i = 0; i < count; i++)
        load->rows[i] = (struct client_row){.id = load_print_name(options->id, i, &out),
                                            .password = load_print_name(options->password, i, &out),
                                            .topic = load_print_name(options->topic, i, &out),
                                            .user = load_print_name(options->user, i, &out)};
    return !out.overflow;
}

static bool read_server(struct load *load, const char *text)
{
    const char *colon = strrchr(text, ':');
    uint64_t port;
    if (colon == NULL || (size_t)(colon - text) >= sizeof load->host ||
        !gh_slice_to_u64(gh_slice_text(colon + 1), &port) || port == 0 || port > UINT16_MAX) {
        load_fail(load, "--server is ADDRESS:PORT");
        return false;
    }
    memcpy(load->host, text, (size_t)(colon - text));
    load->port = (uint16_t)port;
    return true;
}

void load_name_peer(const struct load *load, struct peer *peer, size_t row)
{
    const struct client_row *named = &load->rows[row % load->rows_count];
    peer->id = named->id;
    peer->user = named->user;
    peer->password = named->password;
    peer->tls = load->identities == NULL ? NULL : load->identities[row % load->rows_count];
}

static bool open_tls(struct load *load, struct gh_error *error)
{
    struct gh_slice ca = {0}, identities = {0};
    if (!read_file(load, load->options->ca, &ca))
        return false;
    load->tls = gh_tls_client_open(ca, error);
    if (load->tls != NULL && load->options->resume != 0)
        gh_tls_client_resume(load->tls);
    const char *path = load->options->identities;
    bool good = path == NULL ||
                (read_file(load, path, &identities) && load_open_identities(load, identities, ca));
    free((void *)(uintptr_t)ca.data);
    free((void *)(uintptr_t)identities.data);
    return good;
}

static bool open_load(struct load *load)
{
    const struct options *options = load->options;
    struct gh_error error = {0};
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    load->limits = gh_mqtt_client_limits_default;
    load->limits.inflight_max = (uint16_t)options->window;
    if (!(options->id != NULL ? make_clients(load) : read_clients(load, options->clients)) ||
        (options->server != NULL && !read_server(load, options->server)))
        return false;
    if (options->pids != NULL && !processes_parse(options->pids, &load->processes)) {
        load_fail(load, "--pids is a list of numbers");
        return false;
    }
    if (options->ca != NULL && load->port != 0 && !open_tls(load, &error))
        return false;
    load->loop = gh_loop_open(&error);
    if (load->loop == NULL || (options->ca != NULL && load->port != 0 && load->tls == NULL))
        load_fail(load, "%s", error.text);
    return !load->failed;
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static double own_cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

static int run(const struct mode *mode, const struct options *options)
{
    struct load load = {.options = options};
    struct gh_buffer out;
    bool opened = open_load(&load);
    if (opened && !mode->offline && load.port == 0) {
        load_fail(&load, "--server is missing");
        opened = false;
    }
    void *state = opened ? mode->start(&load) : NULL;
    if (state == NULL)
        return EXIT_FAILURE;
    if (!mode->offline)
        gh_loop_run(load.loop);
    gh_buffer_init(&out, REPORT_BYTES_MAX);
    gh_buffer_print(&out, "{\"mode\":\"%s\",\"load_cpu_s\":%.2f", mode->name, own_cpu_s());
    mode->report(state, &out);
    printf("%.*s\n", GH_PRINT(gh_buffer_slice(&out)));
    gh_buffer_deinit(&out);
    gh_loop_close(load.loop);
    gh_tls_context_unref(load.tls);
    for (size_t i = 0; load.identities != NULL && i < load.rows_count; i++)
        gh_tls_context_unref(load.identities[i]);
    free(load.identities);
    free((void *)(uintptr_t)load.rows_text.data);
    free(load.rows);
    return load.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    struct options options = {.publishers = 50,
                              .window = 20,
                              .size = 256,
                              .pullers = 2,
                              .lag_max = 20000,
                              .qos = 1,
                              .seconds_ms = 5000,
                              .settle_ms = 1000,
                              .concurrency = 32,
                              .project = "bench",
                              .registry = "fleet",
                              .location = "europe-west1",
                              .user = "",
                              .password = "",
                              .topic = "load/{n}"};
    const struct mode *mode = NULL;
    for (size_t i = 0; argc > 1 && i < GH_COUNT(modes); i++)
        if (strcmp(argv[1], modes[i]->name) == 0)
            mode = modes[i];
    if (mode == NULL)
        return usage();
    if (mode->shape.publishers != 0) {
        options.publishers = mode->shape.publishers;
        options.subscribers = mode->shape.subscribers;
        options.window = mode->shape.window;
        options.filter = mode->shape.filter;
        options.fan_out = mode->shape.fan_out;
    }
    if (!read_options(argc - 1, argv + 1, &options) || options.window == 0 ||
        options.window >= UINT16_MAX || options.qos > 1 || options.size > 256 * 1024)
        return usage();
    return run(mode, &options);
}
