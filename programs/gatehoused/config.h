/* Configuration of gatehoused: the file DIR/gatehouse.conf (INI, one [section] per part) under the
 * options of the command line, which win. Every key has a default. Unknown sections and keys are
 * refused with file and line, so that a slip of the pen is not a silent default. Memory: texts
 * belong to the configuration. Threads: read only after gh_config_load. */
#ifndef GATEHOUSED_CONFIG_H
#define GATEHOUSED_CONFIG_H

#include "base/error.h"
#include "programs/gatehoused/sandbox.h"
#include <limits.h>
#include <stdbool.h>

enum { CONFIG_LISTENERS_MAX = 16, CONFIG_NAMES_MAX = 32, CONFIG_TEXT_MAX = 256 };

/* A listening socket that the service manager gave (programs/gatehoused/sockets.h). */
struct config_socket {
    int fd;
    bool is_plain, expects_proxy;
};

struct config {
    char data[PATH_MAX];                                /* --data */
    char file[PATH_MAX];                                /* --config; DIR/gatehouse.conf */
    char listen[CONFIG_LISTENERS_MAX][CONFIG_TEXT_MAX]; /* [server] listen, --listen */
    size_t listen_count;
    struct config_socket sockets[CONFIG_LISTENERS_MAX];
    size_t sockets_count;
    char listen_plain[CONFIG_TEXT_MAX]; /* [server] listen_plain, --listen-plain; empty: none */
    /* A listener whose text ends in ",proxy" expects the PROXY protocol, from these networks. */
    char proxy_from[CONFIG_NAMES_MAX][CONFIG_TEXT_MAX]; /* [server] proxy_from */
    size_t proxy_from_count;
    char push_hosts[CONFIG_NAMES_MAX][CONFIG_TEXT_MAX]; /* [google] push_host */
    size_t push_hosts_count;
    char push_ca[1][CONFIG_TEXT_MAX]; /* [google] push_ca: whom their endpoints are proved by */
    size_t push_ca_count;
    char names[CONFIG_NAMES_MAX][CONFIG_TEXT_MAX]; /* [tls] name: in the server's certificate */
    size_t names_count;
    char origins[CONFIG_NAMES_MAX][CONFIG_TEXT_MAX]; /* [server] websocket_origin: whose pages may
                                                        open a WebSocket, beside our own */
    size_t origins_count;
    long loops;                   /* [server] loops; 0: one per CPU core */
    long workers;                 /* [server] workers */
    long connections_max;         /* [server] connections_max, of all listeners */
    long address_connections_max; /* [server] address_connections_max, of one peer address */
    long handshakes_max;          /* [server] handshakes_max, under way at a time */
    long tls_own_records;         /* [server] tls_own_records; 0: OpenSSL keeps connections */
    long metrics_open;            /* [server] metrics_open: /metrics without a token */
    long messages_per_second;     /* [session] messages_per_second, of one device; 0: no limit */
    /* [device] and [tenant]: the ceilings of docs/operate/limits.md, in its order */
    long device_messages_per_second, device_connections_max, device_packet_bytes_max,
        device_inflight_max, device_queue_messages_max, device_queue_bytes_max,
        device_qos0_messages_max, device_qos0_bytes_max, device_subscriptions_max,
        device_session_expiry_max_s;
    long tenant_connections_max, tenant_messages_per_second, tenant_sessions_max,
        tenant_retained_messages_max, tenant_retained_bytes_max;
    /* [google]: the limits of IoT Core that are ceilings here, each changeable; 0: none */
    long google_states_per_second, google_http_events_per_minute, google_config_interval_ms,
        google_bound_max, google_gateways_max, google_attached_max,
        google_device_updates_per_second, google_registry_updates_per_second,
        google_reads_per_minute, google_changes_per_minute, google_configs_per_minute,
        google_requests_per_minute, google_bytes_in_per_second, google_bytes_out_per_second;
    long google_compat;           /* 0: none of IoT Core's rates */
    long log_bytes_max;           /* [log] bytes_max */
    long log_age_days;            /* [log] age_days */
    long leaf_days;               /* [tls] leaf_days: life of the server's certificate */
    long token_key_days;          /* [oauth] key_days: how long a key signs access tokens */
    char issuer[CONFIG_TEXT_MAX]; /* [oauth] issuer: https://…; empty: made from the listeners */
    /* [oidc]: the outside sign-in provider; without an issuer there is none */
    char oidc_issuer[CONFIG_TEXT_MAX], oidc_client_id[CONFIG_TEXT_MAX],
        oidc_secret_file[CONFIG_TEXT_MAX], oidc_ca_file[CONFIG_TEXT_MAX],
        oidc_title[CONFIG_TEXT_MAX];
    long oidc_by_email;
    char breached_passwords[CONFIG_TEXT_MAX]; /* [operators] breached_passwords: a list; empty: none
                                               */
    char pki_place[CONFIG_TEXT_MAX]; /* [tls] pki_url: where certificates say that our CAs publish;
                                        empty: the issuer */
    char log_level[16];              /* [server] log_level: error, warn, info, debug */
    enum sandbox_mode sandbox;       /* [server] sandbox, --sandbox */
    /* [audit]: how long rows are kept, 0 for ever; what a checkpoint waits for; syslog */
    long audit_keep_days, audit_checkpoint_rows, audit_checkpoint_s, audit_syslog;
    char audit_folder[PATH_MAX];         /* [audit] folder: DIR/audit */
    char audit_webhook[CONFIG_TEXT_MAX]; /* [audit] webhook: https://…; empty: none */
    char audit_webhook_ca[CONFIG_TEXT_MAX];
    long crl_fetch_s; /* [tls] crl_fetch_s: between two readings of a CA's revocation list */
    long crl_private; /* [tls] crl_private: lists are also fetched from private addresses */
};

/* The defaults, then the file (when it is there; a file named by --config must be), then what
 * `argv` said, which is kept apart until then. A list on the command line replaces the file's. */
GH_MUST_USE enum gh_error_code config_load(int argc, char **argv, struct config *out,
                                           struct gh_error *error);
/* What --help prints. */
void config_help(void);
#endif
