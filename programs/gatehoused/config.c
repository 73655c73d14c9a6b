#include "programs/gatehoused/config.h"
#include <errno.h>
#include <getopt.h>
#include <ini.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A number of the file that is also an option: one row serves both and the help. */
struct number_key {
    const char *section, *name, *option;
    size_t offset;
    long value, low, high;
    const char *help;
};

static const struct number_key numbers[] = {
    {"server", "loops", "loops", offsetof(struct config, loops), 0, 0, 256,
     "event loops; 0 is one per CPU core"},
    {"server", "workers", "workers", offsetof(struct config, workers), 4, 1, 256,
     "threads for blocking work"},
    {"server", "connections_max", "connections-max", offsetof(struct config, connections_max),
     100000, 1, 10000000, "connections open at a time, all listeners"},
    {"server", "metrics_open", "metrics-open", offsetof(struct config, metrics_open), 0, 0, 1,
     "1: /metrics answers without a token"},
    {"session", "messages_per_second", "messages-per-second",
     offsetof(struct config, messages_per_second), 100, 0, 1000000,
     "what one device may send before it is slowed down; 0 is no limit"},
    {"log", "bytes_max", "log-bytes-max", offsetof(struct config, log_bytes_max), 4L << 30,
     16L << 20, LONG_MAX, "size of the message log on disk, bytes"},
    {"log", "age_days", "log-age-days", offsetof(struct config, log_age_days), 7, 1, 3650,
     "age of the oldest message kept, days"},
    {"tls", "leaf_days", "leaf-days", offsetof(struct config, leaf_days), 7, 1, 90,
     "life of the server's certificate, days; renewed at two thirds"},
};

static long *number_at(struct config *config, const struct number_key *key)
{
    return (long *)(void *)((char *)config + key->offset);
}

static bool read_number(struct config *config, const struct number_key *key, const char *text)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < key->low || value > key->high)
        return false;
    *number_at(config, key) = value;
    return true;
}

static bool copy_text(char *to, size_t size, const char *from)
{
    int length = snprintf(to, size, "%s", from);
    return length > 0 && (size_t)length < size;
}

static bool add_listener(struct config *config, const char *text)
{
    return config->listen_count < CONFIG_LISTENERS_MAX &&
           copy_text(config->listen[config->listen_count++], CONFIG_TEXT_MAX, text);
}

static bool read_level(struct config *config, const char *text)
{
    static const char *const levels[] = {"error", "warn", "info", "debug"};
    for (size_t i = 0; i < GH_COUNT(levels); i++)
        if (strcmp(text, levels[i]) == 0)
            return copy_text(config->log_level, sizeof config->log_level, text);
    return false;
}

/* ini_parse's callback: 1 when the line is good. */
static int read_line(void *context, const char *section, const char *name, const char *value)
{
    struct config *config = context;
    for (size_t i = 0; i < GH_COUNT(numbers); i++)
        if (strcmp(section, numbers[i].section) == 0 && strcmp(name, numbers[i].name) == 0)
            return read_number(config, &numbers[i], value);
    if (strcmp(section, "server") == 0 && strcmp(name, "listen") == 0)
        return add_listener(config, value);
    if (strcmp(section, "server") == 0 && strcmp(name, "listen_plain") == 0)
        return copy_text(config->listen_plain, CONFIG_TEXT_MAX, value);
    if (strcmp(section, "server") == 0 && strcmp(name, "log_level") == 0)
        return read_level(config, value);
    if (strcmp(section, "tls") == 0 && strcmp(name, "name") == 0)
        return config->names_count < CONFIG_NAMES_MAX &&
               copy_text(config->names[config->names_count++], CONFIG_TEXT_MAX, value);
    return 0;
}

enum {
    OPTION_DATA = 1000,
    OPTION_CONFIG,
    OPTION_LISTEN,
    OPTION_PLAIN,
    OPTION_LEVEL,
    OPTION_NUMBER
};

/* Applies the options; with `before_file` only those that say where the file is. */
static enum gh_error_code read_options(int argc, char **argv, bool before_file,
                                       struct config *config, struct gh_error *error)
{
    struct option options[GH_COUNT(numbers) + 6] = {
        {"data", required_argument, NULL, OPTION_DATA},
        {"config", required_argument, NULL, OPTION_CONFIG},
        {"listen", required_argument, NULL, OPTION_LISTEN},
        {"listen-plain", required_argument, NULL, OPTION_PLAIN},
        {"log-level", required_argument, NULL, OPTION_LEVEL},
    };
    for (size_t i = 0; i < GH_COUNT(numbers); i++)
        options[5 + i] =
            (struct option){numbers[i].option, required_argument, NULL, OPTION_NUMBER + (int)i};
    bool good = true, listen_seen = false;
    optind = 1;
    opterr = 0;
    for (int option; good && (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == OPTION_DATA)
            good = copy_text(config->data, sizeof config->data, optarg);
        else if (option == OPTION_CONFIG)
            good = copy_text(config->file, sizeof config->file, optarg);
        else if (option == '?')
            good = false;
        else if (before_file)
            continue;
        else if (option == OPTION_LISTEN) {
            config->listen_count = listen_seen ? config->listen_count : 0;
            listen_seen = true;
            good = add_listener(config, optarg);
        } else if (option == OPTION_PLAIN)
            good = copy_text(config->listen_plain, CONFIG_TEXT_MAX, optarg);
        else if (option == OPTION_LEVEL)
            good = read_level(config, optarg);
        else
            good = read_number(config, &numbers[option - OPTION_NUMBER], optarg);
    }
    if (!good)
        return gh_error_set(error, GH_ERROR_USAGE,
                            "option %s is unknown, lacks its value or has a wrong one",
                            argv[optind - 1]);
    if (optind < argc)
        return gh_error_set(error, GH_ERROR_USAGE, "\"%s\" is not an option", argv[optind]);
    return GH_OK;
}

enum gh_error_code config_load(int argc, char **argv, struct config *out, struct gh_error *error)
{
    *out = (struct config){.log_level = "info"};
    for (size_t i = 0; i < GH_COUNT(numbers); i++)
        *number_at(out, &numbers[i]) = numbers[i].value;
    if (read_options(argc, argv, true, out, error) != GH_OK)
        return error->code;
    if (out->data[0] == '\0')
        return gh_error_set(error, GH_ERROR_USAGE, "--data DIR is missing");
    bool named = out->file[0] != '\0';
    if (!named && (size_t)snprintf(out->file, sizeof out->file, "%s/gatehouse.conf", out->data) >=
                      sizeof out->file)
        return gh_error_set(error, GH_ERROR_USAGE, "the path of the data folder is too long");
    int line = ini_parse(out->file, read_line, out);
    if (line > 0)
        return gh_error_set(error, GH_ERROR_CONFIG,
                            "%s line %d: the section, key or value is not known", out->file, line);
    if (line < 0 && (named || access(out->file, F_OK) == 0))
        return gh_error_set(error, GH_ERROR_CONFIG, "%s: cannot be read", out->file);
    if (read_options(argc, argv, false, out, error) != GH_OK)
        return error->code;
    if (out->listen_count == 0) {
        add_listener(out, "127.0.0.1:8883");
        add_listener(out, "127.0.0.1:8443");
    }
    return GH_OK;
}

void config_help(void)
{
    puts("usage: gatehoused --data DIR [--config FILE] [--listen ADDR:PORT]… [options]\n"
         "\n"
         "The Gatehouse server. DIR is made by `gatehouse init`. Each listener serves MQTT and "
         "HTTPS;\n"
         "the first byte decides. Prints `ready` on standard output when it serves.\n"
         "\n"
         "  --data DIR             the data folder\n"
         "  --config FILE          default DIR/gatehouse.conf\n"
         "  --listen ADDR:PORT     default 127.0.0.1:8883 and 127.0.0.1:8443; [::1]:8883 for IPv6; "
         "port 0\n"
         "                         lets the kernel choose; the addresses are written to "
         "DIR/listeners\n"
         "  --listen-plain ADDR    without TLS, for a proxy on this host: 127.0.0.1:PORT, "
         "[::1]:PORT or a\n"
         "                         path of a Unix socket; anything else is refused\n"
         "  --log-level LEVEL      error, warn, info (default) or debug");
    for (size_t i = 0; i < GH_COUNT(numbers); i++)
        printf("  --%-20s %s (%ld)\n", numbers[i].option, numbers[i].help, numbers[i].value);
    puts(
        "\nThe same keys stand in the file: [server] listen, listen_plain, log_level, loops, …; "
        "[tls] name,\n"
        "leaf_days; [log] bytes_max, age_days. Exit codes: 0 ended when asked, 1 failed, 2 usage.");
}
