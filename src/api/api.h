/* The native HTTP API, /api/v1 with its OpenAPI document, and the console's files. Requests are
 * claimed on their event loop and served by plain functions on the worker pool; a live stream is
 * handed to the hub (api/stream_internal.h). Everything else that the listener serves over HTTP (a
 * dialect's REST face) is a guest, asked first whether a request is its own.
 *
 * Who may call: a bearer token of a program, a device's access token, an operator's session cookie,
 * or the door itself: DIR/admin.sock lets in whoever may open it, as administrator. Without one of
 * these only /healthz, signing in, the OpenAPI document, the authentication service (which has
 * proofs of its own), its metadata and keys, and the console's static files answer (and /metrics
 * where the operator opened it). Memory: the services stay the caller's and outlive the API.
 * Threads: gh_api_http on any loop's thread. */
#ifndef GH_API_API_H
#define GH_API_API_H

#include "base/error.h"
#include "base/metric.h"
#include <stdbool.h>

struct gh_access;
struct gh_api;
struct gh_audit;
struct gh_authorities;
struct gh_broker;
struct gh_directory;
struct gh_exchange;
struct gh_log;
struct gh_loop;
struct gh_oidc;
struct gh_operators;
struct gh_pubsub;
struct gh_absence;
struct gh_quotas;
struct gh_rates;
struct gh_sessions;
struct gh_store;
struct gh_telemetry;
struct gh_traces;
struct gh_trail;
struct gh_workers;

/* Another face on the same listener. */
struct gh_api_guest {
    bool (*http)(void *context, struct gh_exchange *exchange); /* false: not mine, untouched */
    void *context;
};

enum { GH_API_GUESTS_MAX = 8 };

struct gh_api_services {
    struct gh_store *store;
    struct gh_directory *directory;
    struct gh_operators *operators;
    struct gh_oidc *oidc;   /* NULL: no outside provider */
    const char *oidc_title; /* what the door calls it */
    struct gh_access *access;
    struct gh_pubsub *pubsub;
    struct gh_telemetry *telemetry;
    struct gh_trail *trail;
    struct gh_audit *audit; /* NULL: calls leave no rows, for tests of single rooms */
    struct gh_sessions *sessions;
    struct gh_broker *broker; /* NULL: no dialect routes */
    struct gh_traces *traces;
    struct gh_quotas *quotas;           /* NULL: tenants have no ceilings */
    struct gh_rates *rates;             /* the same */
    struct gh_absence *absence;         /* NULL: nobody's silence is told */
    struct gh_authorities *authorities; /* NULL: there is no built-in CA */
    struct gh_issuing *issuing;         /* the same */
    struct gh_workers *workers;
    struct gh_workers *passwords; /* GH_OPERATOR_THREADS of their own, for argon2id */
    struct gh_metrics *metrics;
    struct gh_loop *loop; /* for the keep-alives of live streams */
    int64_t (*utc_ms)(void);
    bool metrics_open; /* /metrics answers without a token */
    struct gh_api_guest guests[GH_API_GUESTS_MAX];
    size_t guests_count;
};

GH_MUST_USE struct gh_api *gh_api_open(const struct gh_api_services *services,
                                       struct gh_error *error);
/* Stops listening to pubsub and the trail; before those are closed. */
void gh_api_end_streams(struct gh_api *api);
/* The loops and the workers have ended. */
void gh_api_close(struct gh_api *api);

/* A door of the API: the context of its HTTP server's handler. */
struct gh_api_door {
    struct gh_api *api;
    bool local; /* the socket's file mode is the proof: callers are administrators */
};
/* The handler for io/http_server.h; `context` is a gh_api_door. */
void gh_api_http(void *door, struct gh_exchange *exchange);

/* The security headers of every answer, for gh_http_server_config. */
struct gh_http_header;
const struct gh_http_header *gh_api_headers(size_t *count);
#endif
