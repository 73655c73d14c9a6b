/* What `gatehouse-swarm bench` is told: the works by name, one table of options, the help. */
#include "bench/bench.h"
#include "bench/load.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 2, TEXT_AT = 28 };

static const struct mode *const modes[] = {
    &pairs_mode,   &fan_in_mode, &fan_out_mode,   &fleet_mode,        &latency_mode, &publish_mode,
    &connect_mode, &idle_mode,   &power_cut_mode, &hold_mode,         &endure_mode,  &store_mode,
    &collect_mode, &disk_mode,   &devices_mode,   &certificates_mode,
};

/* An option sets a text or a number. A row without a name is the heading of those behind it. */
struct option_row {
    const char *name, *value;
    size_t text, number; /* offsets plus 1; the other is 0 */
    const char *help;
};
#define HEADING(help)                                                                              \
    {                                                                                              \
        NULL, NULL, 0, 0, help                                                                     \
    }
#define TEXT(name, value, member, help)                                                            \
    {                                                                                              \
        name, value, offsetof(struct options, member) + 1, 0, help                                 \
    }
#define NUMBER(name, member, help)                                                                 \
    {                                                                                              \
        name, "N", 0, offsetof(struct options, member) + 1, help                                   \
    }
static const struct option_row rows[] = {
    HEADING("The broker"),
    TEXT("server", "ADDRESS:PORT", server, "where it listens"),
    TEXT("ca", "FILE", ca, "trust anchors, PEM; without them the connection is plain"),
    TEXT("pids", "PID,…", pids,
         "its processes, when they are on this machine: CPU time and memory are read"),
    NUMBER("settle-ms", settle_ms, "wait before the last reading (1000)"),
    HEADING("The clients: templates, in which {n} is the client's number, or a file"),
    TEXT("id", "TEXT", id, "client id (bench-{n})"),
    TEXT("user", "TEXT", user, "user name (none)"),
    TEXT("password", "TEXT", password, "password (none)"),
    TEXT("topic", "TEXT", topic, "topic that the client publishes to (load/{n})"),
    TEXT("clients", "FILE", clients,
         "instead: id, password, topic and perhaps user name, split by tabs, a line for each"),
    TEXT("identities", "FILE", identities,
         "certificate and private key of each client, PEM, one after the other"),
    HEADING("Messages: pairs, fan-in, fan-out, fleet, latency, publish"),
    NUMBER("qos", qos, "0 or 1 (1)"),
    NUMBER("size", size, "bytes of a message, 24 at least (256)"),
    NUMBER("run-ms", seconds_ms, "how long (5000)"),
    NUMBER("rate", rate,
           "messages a second of all together; 0, as fast as the windows allow (latency: 20000)"),
    NUMBER("window", window,
           "messages of a publisher that are not both acknowledged and received (20)"),
    NUMBER("publishers", publishers, "how many (by the work)"),
    NUMBER("subscribers", subscribers, "one for each publisher, or some with --filter"),
    TEXT("filter", "FILTER", filter, "what the subscribers subscribe to (each its topic)"),
    NUMBER("fan-out", fan_out, "1: with --filter every subscriber gets every message"),
    NUMBER("stored", stored, "1: the subscribers' sessions outlive their connections"),
    NUMBER("lag-max", lag_max, "messages under way before publishers pause (20000)"),
    TEXT("pull", "PATH", pull, "/v1/projects/…/subscriptions/… to pull and acknowledge over HTTP"),
    TEXT("token", "TOKEN", token, "bearer token for it"),
    NUMBER("pullers", pullers, "connections that pull (2)"),
    HEADING("Connections: connect, idle, power-cut, hold, endure"),
    NUMBER("count", count, "how many"),
    NUMBER("concurrency", concurrency, "handshakes at a time (32)"),
    NUMBER("resume", resume, "1: each identity shows the TLS ticket that it got last"),
    NUMBER("gateways", gateways, "endure: the first clients of the file are gateways (0)"),
    NUMBER("behind", behind, "endure: devices of each gateway, the next clients (0)"),
    HEADING("What a PUBACK is worth: store, collect, disk; with --stored 1 and --count"),
    NUMBER("kill", kill, "store: 1: --pids are killed the moment the last PUBACK is there"),
    TEXT("folder", "DIR", folder, "disk: where it is written"),
    HEADING("Making clients for Gatehouse: devices, certificates"),
    TEXT("project", "ID", project, "tenant and project (bench)"),
    TEXT("registry", "ID", registry, "registry (fleet)"),
    TEXT("location", "NAME", location, "its location (europe-west1)"),
    TEXT("import", "FILE", import, "written for `gatehouse device import`"),
    TEXT("ca-key", "FILE", ca_key, "written: the private key of the CA in --ca"),
};

static void print_help(void)
{
    puts(
        "gatehouse-swarm bench: load on a broker of MQTT 3.1.1, any broker, and what came of it.\n"
        "\n"
        "  gatehouse-swarm bench WORK --server ADDRESS:PORT [options]\n"
        "\n"
        "Each message carries its publisher's number, its own and the moment of sending, so what\n"
        "is lost, comes twice or comes out of order is counted exactly, for each publisher and\n"
        "subscriber. A publisher goes on when its messages are acknowledged and received: what is\n"
        "measured is carried from end to end and not piled up.\n"
        "\n"
        "Works:");
    for (size_t i = 0; i < GH_COUNT(modes); i++)
        printf("  %-*s%s\n", TEXT_AT - 2, modes[i]->name, modes[i]->help);
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        char option[64];
        if (rows[i].name == NULL) {
            printf("\n%s\n", rows[i].help);
            continue;
        }
        snprintf(option, sizeof option, "--%s %s", rows[i].name, rows[i].value);
        printf("  %-*s%s\n", TEXT_AT - 2, option, rows[i].help);
    }
    puts("\nFirst steps, against a broker on this machine that lets everybody in:\n"
         "  gatehouse-swarm bench pairs   --server 127.0.0.1:1883 --pids $(pidof mosquitto)\n"
         "  gatehouse-swarm bench latency --server 127.0.0.1:1883 --rate 5000 --run-ms 10000\n"
         "  gatehouse-swarm bench connect --server 127.0.0.1:8883 --ca ca.crt --count 3000\n"
         "With passwords: --user 'device-{n}' --password 'secret-{n}' --topic 'plant/{n}/events'.\n"
         "\n"
         "One line of JSON on standard output. lost, duplicates and disordered should be 0;\n"
         "received_per_s is the throughput; server_cpu_us_per_delivery, with --pids, is what one\n"
         "delivery costs the broker and the figure to compare brokers by; puback_us and\n"
         "delivery_us are latencies, from sending (at a rate: from when the message was due).\n"
         "At a rate the load is open: message n is due at start + n / rate, one at a time,\n"
         "whether or not those before it were answered; lateness_us is how long after that it\n"
         "was written to its socket, which the other two contain: what the generator adds;\n"
         "overdue counts those that were due and never sent.\n"
         "Exit codes: 0 all that was sent came, 1 not, 2 usage.");
}

void bench_print_works(void)
{
    for (size_t i = 0; i < GH_COUNT(modes); i++)
        printf(" %s", modes[i]->name);
}

void bench_print_options(void)
{
    for (size_t i = 0; i < GH_COUNT(rows); i++)
        if (rows[i].name != NULL)
            printf(" --%s", rows[i].name);
}

static bool read_number(const char *text, long *out)
{
    char *end = NULL;
    *out = strtol(text, &end, 10);
    return *text != '\0' && *end == '\0' && *out >= 0;
}

static bool read_options(int argc, char **argv, struct options *options)
{
    struct option table[GH_COUNT(rows) + 1] = {{0}};
    for (size_t i = 0, count = 0; i < GH_COUNT(rows); i++)
        if (rows[i].name != NULL)
            table[count++] = (struct option){rows[i].name, required_argument, NULL, (int)i + 1000};
    for (int option; (option = getopt_long(argc, argv, "", table, NULL)) != -1;) {
        if (option == '?')
            return false;
        const struct option_row *row = &rows[option - 1000];
        char *base = (char *)options;
        long value;
        if (row->text != 0) {
            memcpy(base + row->text - 1, &optarg, sizeof optarg);
            continue;
        }
        if (!read_number(optarg, &value)) {
            fprintf(stderr, "gatehouse-swarm bench: --%s %s is no number\n", row->name, optarg);
            return false;
        }
        memcpy(base + row->number - 1, &value, sizeof value);
    }
    if (optind < argc)
        fprintf(stderr, "gatehouse-swarm bench: '%s' is no option\n", argv[optind]);
    return optind == argc;
}

static const struct mode *find_mode(const char *name)
{
    for (size_t i = 0; i < GH_COUNT(modes); i++)
        if (strcmp(name, modes[i]->name) == 0)
            return modes[i];
    return NULL;
}

static void take_shape(const struct mode *mode, struct options *options)
{
    if (mode->shape.publishers == 0)
        return;
    options->publishers = mode->shape.publishers;
    options->subscribers = mode->shape.subscribers;
    options->window = mode->shape.window;
    options->fan_out = mode->shape.fan_out;
    options->filter = mode->shape.filter;
    options->rate = mode->shape.rate;
}

static int usage(void)
{
    fputs("gatehouse-swarm bench: see gatehouse-swarm bench --help\n", stderr);
    return EXIT_USAGE;
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

int bench_main(int argc, char **argv)
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
                              .id = "bench-{n}",
                              .user = "",
                              .password = "",
                              .topic = "load/{n}"};
    if (asks_for_help(argc, argv)) {
        print_help();
        return EXIT_SUCCESS;
    }
    const struct mode *mode = argc > 1 ? find_mode(argv[1]) : NULL;
    if (mode == NULL)
        return usage();
    take_shape(mode, &options);
    if (!read_options(argc - 1, argv + 1, &options) || options.window == 0 ||
        options.window >= UINT16_MAX || options.qos > 1 || options.size > 256 * 1024)
        return usage();
    return load_run(mode, &options);
}
