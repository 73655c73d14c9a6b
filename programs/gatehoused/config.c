#include "programs/gatehoused/config.h"
#include "programs/gatehoused/sockets.h"
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
    {"server", "address_connections_max", "address-connections-max",
     offsetof(struct config, address_connections_max), 10000, 1, 10000000,
     "of them from one address (IPv6: one /64); loopback is not counted"},
    {"server", "handshakes_max", "handshakes-max", offsetof(struct config, handshakes_max), 10000,
     16, 1000000, "handshakes under way at a time on one listener"},
    {"server", "tls_own_records", "tls-own-records", offsetof(struct config, tls_own_records), 1, 0,
     1, "0: a TLS 1.3 connection keeps OpenSSL's state, 10 KiB, after its handshake"},
    {"server", "metrics_open", "metrics-open", offsetof(struct config, metrics_open), 0, 0, 1,
     "1: /metrics answers without a token"},
    {"session", "messages_per_second", "messages-per-second",
     offsetof(struct config, messages_per_second), 100, 0, 1000000,
     "what one device may send before it is slowed down; 0 is no limit"},
    {"device", "messages_per_second", "device-messages-per-second",
     offsetof(struct config, device_messages_per_second), 0, 0, 1000000,
     "what one native connection may send before it is slowed down; 0 is no limit"},
    {"device", "connections_max", "device-connections-max",
     offsetof(struct config, device_connections_max), 1000, 1, 1000000,
     "connections of one native device at a time"},
    {"device", "packet_bytes_max", "device-packet-bytes-max",
     offsetof(struct config, device_packet_bytes_max), 1 << 20, 1024, 1 << 20,
     "size of a packet from a native device, bytes"},
    {"device", "inflight_max", "device-inflight-max", offsetof(struct config, device_inflight_max),
     1000, 1, 65535, "unanswered messages of QoS 1 and 2, in each direction of a connection"},
    {"device", "queue_messages_max", "device-queue-messages-max",
     offsetof(struct config, device_queue_messages_max), 1000000, 1, 100000000,
     "messages of QoS 1 and 2 that wait for one session"},
    {"device", "queue_bytes_max", "device-queue-bytes-max",
     offsetof(struct config, device_queue_bytes_max), 256L << 20, 1L << 10, LONG_MAX,
     "and their payloads, bytes"},
    {"device", "qos0_messages_max", "device-qos0-messages-max",
     offsetof(struct config, device_qos0_messages_max), 10000, 1, 10000000,
     "messages of QoS 0 that wait for one connection"},
    {"device", "qos0_bytes_max", "device-qos0-bytes-max",
     offsetof(struct config, device_qos0_bytes_max), 8L << 20, 1L << 10, LONG_MAX,
     "and their payloads, bytes"},
    {"device", "subscriptions_max", "device-subscriptions-max",
     offsetof(struct config, device_subscriptions_max), 10000, 1, 1000000,
     "subscriptions of one session"},
    {"device", "session_expiry_max_s", "device-session-expiry-max-s",
     offsetof(struct config, device_session_expiry_max_s), UINT32_MAX, 0, UINT32_MAX,
     "how long a session is kept for a client that is away, seconds; 4294967295 is for ever"},
    {"google", "states_per_second", "google-states-per-second",
     offsetof(struct config, google_states_per_second), 1, 0, 1000000,
     "state updates of one device by Google's dialect; 0 is no limit"},
    {"google", "http_events_per_minute", "google-http-events-per-minute",
     offsetof(struct config, google_http_events_per_minute), 6000, 0, 100000000,
     "events of one device by the HTTP bridge; 0 is no limit"},
    {"google", "config_interval_ms", "google-config-interval-ms",
     offsetof(struct config, google_config_interval_ms), 1000, 0, 86400000,
     "between two config versions of one device by Google's API; 0 is none"},
    {"google", "compat", "google-compat", offsetof(struct config, google_compat), 1, 0, 1,
     "0: none of the rates of Google IoT Core, whatever the other keys say"},
    {"google", "device_updates_per_second", "google-device-updates-per-second",
     offsetof(struct config, google_device_updates_per_second), 1, 0, 100000000,
     "changes of one device by Google's API; 0 is no limit"},
    {"google", "registry_updates_per_second", "google-registry-updates-per-second",
     offsetof(struct config, google_registry_updates_per_second), 1, 0, 100000000,
     "changes of one registry by Google's API; 0 is no limit"},
    {"google", "reads_per_minute", "google-reads-per-minute",
     offsetof(struct config, google_reads_per_minute), 30000, 0, 100000000,
     "calls of Google's API that read, of one tenant; 0 is no limit"},
    {"google", "changes_per_minute", "google-changes-per-minute",
     offsetof(struct config, google_changes_per_minute), 3000, 0, 100000000,
     "calls that make or delete, of one tenant; 0 is no limit"},
    {"google", "configs_per_minute", "google-configs-per-minute",
     offsetof(struct config, google_configs_per_minute), 6000, 0, 100000000,
     "config versions of one tenant's devices; 0 is no limit"},
    {"google", "requests_per_minute", "google-requests-per-minute",
     offsetof(struct config, google_requests_per_minute), 60000, 0, 100000000,
     "connections and HTTP requests of one tenant's devices by Google's dialect; 0 is no limit"},
    {"google", "bytes_in_per_second", "google-bytes-in-per-second",
     offsetof(struct config, google_bytes_in_per_second), 512 << 10, 0, 1 << 30,
     "topics and payloads of one device by Google's dialect; 0 is no limit"},
    {"google", "bytes_out_per_second", "google-bytes-out-per-second",
     offsetof(struct config, google_bytes_out_per_second), 512 << 10, 0, 1 << 30,
     "payloads of commands to one device by Google's API; 0 is no limit"},
    {"google", "bound_devices_max", "google-bound-devices-max",
     offsetof(struct config, google_bound_max), 10000, 1, 10000000, "devices bound to one gateway"},
    {"google", "gateways_max", "google-gateways-max", offsetof(struct config, google_gateways_max),
     10, 1, 10000, "gateways that one device is bound to"},
    {"google", "attached_devices_max", "google-attached-devices-max",
     offsetof(struct config, google_attached_max), 1000, 1, 16000,
     "devices attached by one gateway at a time"},
    {"tenant", "connections_max", "tenant-connections-max",
     offsetof(struct config, tenant_connections_max), 0, 0, 10000000,
     "connections of one tenant's devices; 0 is no limit"},
    {"tenant", "messages_per_second", "tenant-messages-per-second",
     offsetof(struct config, tenant_messages_per_second), 0, 0, 100000000,
     "what one tenant's devices may publish in all; 0 is no limit"},
    {"tenant", "sessions_max", "tenant-sessions-max", offsetof(struct config, tenant_sessions_max),
     1000000, 1, 100000000, "MQTT sessions of one tenant, of clients that are away too"},
    {"tenant", "retained_messages_max", "tenant-retained-messages-max",
     offsetof(struct config, tenant_retained_messages_max), 100000, 0, 100000000,
     "retained messages of one tenant"},
    {"tenant", "retained_bytes_max", "tenant-retained-bytes-max",
     offsetof(struct config, tenant_retained_bytes_max), 256L << 20, 0, LONG_MAX,
     "and their bytes"},
    {"log", "bytes_max", "log-bytes-max", offsetof(struct config, log_bytes_max), 4L << 30,
     16L << 20, LONG_MAX, "size of the message log on disk, bytes"},
    {"log", "age_days", "log-age-days", offsetof(struct config, log_age_days), 7, 1, 3650,
     "age of the oldest message kept, days"},
    {"tls", "leaf_days", "leaf-days", offsetof(struct config, leaf_days), 7, 1, 90,
     "life of the server's certificate, days; renewed at two thirds"},
    {"oauth", "key_days", "token-key-days", offsetof(struct config, token_key_days), 30, 1, 3650,
     "how long a key signs access tokens, days; the next one is published before"},
    {"audit", "keep_days", "audit-keep-days", offsetof(struct config, audit_keep_days), 0, 0, 36500,
     "how long rows of the audit trail are kept, days; 0 is for ever"},
    {"audit", "checkpoint_rows", "audit-checkpoint-rows",
     offsetof(struct config, audit_checkpoint_rows), 1000, 1, 1000000,
     "rows after which a checkpoint of the audit trail is signed"},
    {"audit", "checkpoint_s", "audit-checkpoint-s", offsetof(struct config, audit_checkpoint_s), 60,
     1, 86400, "seconds after which one is signed, when there are new rows"},
    {"audit", "syslog", "audit-syslog", offsetof(struct config, audit_syslog), 0, 0, 1,
     "1: checkpoints go to syslog too"},
    {"oidc", "by_email", "oidc-by-email", offsetof(struct config, oidc_by_email), 0, 0, 1,
     "1: an address that the provider has verified names the operator, the first time"},
    {"tls", "crl_fetch_s", "crl-fetch-s", offsetof(struct config, crl_fetch_s), 3600, 1, 86400,
     "between two readings of the revocation lists of CAs, seconds"},
    {"tls", "crl_private", "crl-private", offsetof(struct config, crl_private), 0, 0, 1,
     "1: such lists are also read from private addresses"},
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

/* A key that may come several times. */
struct list_key {
    const char *section, *name, *option; /* the option may be NULL */
    size_t offset, count_offset, max;
    const char *help;
};

static const struct list_key lists[] = {
    {"server", "listen", "listen", offsetof(struct config, listen),
     offsetof(struct config, listen_count), CONFIG_LISTENERS_MAX, NULL},
    {"server", "websocket_origin", "websocket-origin", offsetof(struct config, origins),
     offsetof(struct config, origins_count), CONFIG_NAMES_MAX,
     "pages of https://HOST[:PORT] may open a WebSocket, beside the server's own; \"*\": any"},
    {"server", "proxy_from", "proxy-from", offsetof(struct config, proxy_from),
     offsetof(struct config, proxy_from_count), CONFIG_NAMES_MAX,
     "network (10.0.0.0/8, 2001:db8::1) of load balancers that speak the PROXY protocol"},
    {"google", "push_host", "google-push-host", offsetof(struct config, push_hosts),
     offsetof(struct config, push_hosts_count), CONFIG_NAMES_MAX,
     "HOST[:PORT] to which subscriptions may push messages; without any nothing is pushed"},
    {"google", "push_ca", "google-push-ca", offsetof(struct config, push_ca),
     offsetof(struct config, push_ca_count), 1,
     "PEM file of the CAs of those hosts; without it the system's"},
    {"tls", "name", NULL, offsetof(struct config, names), offsetof(struct config, names_count),
     CONFIG_NAMES_MAX, NULL},
};

/* A key with one text. */
struct text_key {
    const char *section, *name, *option;
    size_t offset; /* CONFIG_TEXT_MAX bytes */
    const char *help;
};

static const struct text_key texts[] = {
    {"operators", "breached_passwords", "breached-passwords",
     offsetof(struct config, breached_passwords),
     "file of known passwords that nobody may choose: one a line, or SHA-1 in hex"},
    {"audit", "webhook_ca_file", "audit-webhook-ca-file", offsetof(struct config, audit_webhook_ca),
     "trust anchors of the audit trail's web hook, PEM; the system's when it is not given"},
    {"oidc", "issuer", "oidc-issuer", offsetof(struct config, oidc_issuer),
     "https://…, an OpenID Connect provider by which operators may sign in"},
    {"oidc", "client_id", "oidc-client-id", offsetof(struct config, oidc_client_id),
     "what this server is called there"},
    {"oidc", "client_secret_file", "oidc-client-secret-file",
     offsetof(struct config, oidc_secret_file), "file whose first line is its secret there"},
    {"oidc", "ca_file", "oidc-ca-file", offsetof(struct config, oidc_ca_file),
     "trust anchors of the provider, PEM; the system's when it is not given"},
    {"oidc", "title", "oidc-title", offsetof(struct config, oidc_title),
     "what the console's door calls the provider"},
};

static bool read_text(struct config *config, const struct text_key *key, const char *text)
{
    return copy_text((char *)config + key->offset, CONFIG_TEXT_MAX, text);
}

static size_t *count_at(struct config *config, const struct list_key *key)
{
    return (size_t *)(void *)((char *)config + key->count_offset);
}

static bool add_text(struct config *config, const struct list_key *key, const char *text)
{
    char(*items)[CONFIG_TEXT_MAX] = (char(*)[CONFIG_TEXT_MAX])((char *)config + key->offset);
    size_t *count = count_at(config, key);
    return *count < key->max && copy_text(items[(*count)++], CONFIG_TEXT_MAX, text);
}

static bool read_level(struct config *config, const char *text)
{
    static const char *const levels[] = {"error", "warn", "info", "debug"};
    for (size_t i = 0; i < GH_COUNT(levels); i++)
        if (strcmp(text, levels[i]) == 0)
            return copy_text(config->log_level, sizeof config->log_level, text);
    return false;
}

/* Whether it is the scheme, a host and perhaps a port, and no more. */
static bool is_place(const char *text, const char *scheme)
{
    size_t length = strlen(text), front = strlen(scheme);
    return strncmp(text, scheme, front) == 0 && length > front &&
           strcspn(text + front, "/?# \"\\") == length - front;
}

/* RFC 8414 §2: https, no query, no fragment; and no path, as the documents stand at the root. */
static bool read_issuer(struct config *config, const char *text)
{
    return is_place(text, "https://") && copy_text(config->issuer, sizeof config->issuer, text);
}

static bool read_pki_place(struct config *config, const char *text)
{
    return (is_place(text, "http://") || is_place(text, "https://")) &&
           copy_text(config->pki_place, sizeof config->pki_place, text);
}

/* ini_parse's callback: 1 when the line is good. */
static int read_line(void *context, const char *section, const char *name, const char *value)
{
    struct config *config = context;
    for (size_t i = 0; i < GH_COUNT(numbers); i++)
        if (strcmp(section, numbers[i].section) == 0 && strcmp(name, numbers[i].name) == 0)
            return read_number(config, &numbers[i], value);
    for (size_t i = 0; i < GH_COUNT(lists); i++)
        if (strcmp(section, lists[i].section) == 0 && strcmp(name, lists[i].name) == 0)
            return add_text(config, &lists[i], value);
    for (size_t i = 0; i < GH_COUNT(texts); i++)
        if (strcmp(section, texts[i].section) == 0 && strcmp(name, texts[i].name) == 0)
            return read_text(config, &texts[i], value);
    if (strcmp(section, "server") == 0 && strcmp(name, "listen_plain") == 0)
        return copy_text(config->listen_plain, CONFIG_TEXT_MAX, value);
    if (strcmp(section, "server") == 0 && strcmp(name, "log_level") == 0)
        return read_level(config, value);
    if (strcmp(section, "server") == 0 && strcmp(name, "sandbox") == 0)
        return sandbox_mode_read(value, &config->sandbox);
    if (strcmp(section, "oauth") == 0 && strcmp(name, "issuer") == 0)
        return read_issuer(config, value);
    if (strcmp(section, "audit") == 0 && strcmp(name, "folder") == 0)
        return copy_text(config->audit_folder, sizeof config->audit_folder, value);
    if (strcmp(section, "audit") == 0 && strcmp(name, "webhook") == 0)
        return strncmp(value, "https://", 8) == 0 &&
               copy_text(config->audit_webhook, sizeof config->audit_webhook, value);
    if (strcmp(section, "tls") == 0 && strcmp(name, "pki_url") == 0)
        return read_pki_place(config, value);
    return 0;
}

enum {
    OPTION_DATA = 1000,
    OPTION_CONFIG,
    OPTION_PLAIN,
    OPTION_LEVEL,
    OPTION_ISSUER,
    OPTION_PKI,
    OPTION_SANDBOX,
    OPTION_LIST,
    OPTION_TEXT = OPTION_LIST + (int)GH_COUNT(lists),
    OPTION_NUMBER = OPTION_TEXT + (int)GH_COUNT(texts),
};

/* The first of a list on the command line takes the place of all that the file said. */
static bool read_list(struct config *config, size_t index, bool seen[], const char *text)
{
    if (!seen[index])
        *count_at(config, &lists[index]) = 0;
    seen[index] = true;
    return add_text(config, &lists[index], text);
}

/* Applies the options; with `before_file` only those that say where the file is. */
static enum gh_error_code read_options(int argc, char **argv, bool before_file,
                                       struct config *config, struct gh_error *error)
{
    struct option options[7 + GH_COUNT(lists) + GH_COUNT(texts) + GH_COUNT(numbers) + 1] = {
        {"data", required_argument, NULL, OPTION_DATA},
        {"config", required_argument, NULL, OPTION_CONFIG},
        {"listen-plain", required_argument, NULL, OPTION_PLAIN},
        {"log-level", required_argument, NULL, OPTION_LEVEL},
        {"token-issuer", required_argument, NULL, OPTION_ISSUER},
        {"pki-url", required_argument, NULL, OPTION_PKI},
        {"sandbox", required_argument, NULL, OPTION_SANDBOX},
    };
    size_t count = 7;
    for (size_t i = 0; i < GH_COUNT(numbers); i++)
        options[count++] =
            (struct option){numbers[i].option, required_argument, NULL, OPTION_NUMBER + (int)i};
    for (size_t i = 0; i < GH_COUNT(lists); i++)
        if (lists[i].option != NULL)
            options[count++] =
                (struct option){lists[i].option, required_argument, NULL, OPTION_LIST + (int)i};
    for (size_t i = 0; i < GH_COUNT(texts); i++)
        options[count++] =
            (struct option){texts[i].option, required_argument, NULL, OPTION_TEXT + (int)i};
    bool good = true, seen[GH_COUNT(lists)] = {false};
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
        else if (option == OPTION_PLAIN)
            good = copy_text(config->listen_plain, CONFIG_TEXT_MAX, optarg);
        else if (option == OPTION_LEVEL)
            good = read_level(config, optarg);
        else if (option == OPTION_ISSUER)
            good = read_issuer(config, optarg);
        else if (option == OPTION_PKI)
            good = read_pki_place(config, optarg);
        else if (option == OPTION_SANDBOX)
            good = sandbox_mode_read(optarg, &config->sandbox);
        else if (option < OPTION_TEXT)
            good = read_list(config, (size_t)(option - OPTION_LIST), seen, optarg);
        else if (option < OPTION_NUMBER)
            good = read_text(config, &texts[option - OPTION_TEXT], optarg);
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
    if (out->audit_folder[0] == '\0' &&
        (size_t)snprintf(out->audit_folder, sizeof out->audit_folder, "%s/audit", out->data) >=
            sizeof out->audit_folder)
        return gh_error_set(error, GH_ERROR_USAGE, "the path of the data folder is too long");
    if (sockets_take(out, error) != GH_OK)
        return error->code;
    if (out->listen_count == 0 && out->sockets_count == 0) {
        (void)add_text(out, &lists[0], "127.0.0.1:8883");
        (void)add_text(out, &lists[0], "127.0.0.1:8443");
    }
    return GH_OK;
}

void config_help(void)
{
    puts("usage: gatehoused --data DIR [--config FILE] [--listen ADDR:PORT]… [options]\n"
         "\n"
         "The Gatehouse server. DIR is made by `gatehouse init`. Each listener serves MQTT, HTTPS "
         "and MQTT\n"
         "over WebSocket; the first byte decides. Prints `ready` on standard output when it "
         "serves.\n"
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
         "  --log-level LEVEL      error, warn, info (default) or debug\n"
         "  --token-issuer URL     https://HOST[:PORT], the issuer of access tokens; made from "
         "names and\n"
         "                         listeners when it is not given\n"
         "  --pki-url URL          http://HOST[:PORT] or https://…, where certificates of the "
         "built-in CA say\n"
         "                         that their CA, its list and its OCSP responder are; the issuer "
         "when it is not given");
    for (size_t i = 0; i < GH_COUNT(lists); i++)
        if (lists[i].help != NULL)
            printf("  --%-25s %s\n", lists[i].option, lists[i].help);
    for (size_t i = 0; i < GH_COUNT(texts); i++)
        printf("  --%-25s %s\n", texts[i].option, texts[i].help);
    for (size_t i = 0; i < GH_COUNT(numbers); i++)
        printf("  --%-25s %s (%ld)\n", numbers[i].option, numbers[i].help, numbers[i].value);
    puts("\nThe same keys stand in the file: [server] listen, listen_plain, log_level, loops, …; "
         "[tls] name,\n"
         "leaf_days, pki_url, …; [log] bytes_max, age_days; [oauth] issuer, key_days; [audit] "
         "folder,\n"
         "webhook, keep_days, …. Exit "
         "codes: "
         "0 ended when asked, 1 failed, 2 usage.");
}
