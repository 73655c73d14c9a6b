/* The inside of the `core` process, shared by its files, which open it storey by storey: what is
 * remembered (core_memory.c), threads and the broker (core_route.c), who may come and the faces
 * that are shown (core_faces.c), the server's certificate (core_tls.c), listeners and loops
 * (core_rim.c). The order of opening and of closing stands in core.c.
 *
 * An opener opens its part, for which everything above it in `struct core` is there, and says false
 * with core->error filled; what it has opened by then stays, to be closed with the rest. Threads:
 * the main one. */
#ifndef GATEHOUSED_CORE_INTERNAL_H
#define GATEHOUSED_CORE_INTERNAL_H

#include "api/api.h"
#include "audit/audit.h"
#include "base/time.h"
#include "dialect/front.h"
#include "io/http_server.h"
#include "io/listener.h"
#include "io/worker.h"
#include "programs/gatehoused/core.h"
#include "programs/gatehoused/keys.h"
#include "programs/gatehoused/ocsps.h"
#include <pthread.h>

enum {
    CORE_LOOPS_MAX = 256,
    CORE_LISTENERS_MAX = 2 * CONFIG_LISTENERS_MAX + 2,
    CORE_PEM_MAX = 64 * 1024,
    CORE_DAY_S = 86400,
};

struct core {
    const struct config *config;
    struct keys_line keys;
    struct gh_metrics metrics;
    struct gh_store *store;
    struct gh_device_passwords *device_passwords;
    struct gh_sealing *sealing;
    struct gh_broker *broker;
    struct gh_directory *directory;
    struct gh_pubsub *pubsub;
    struct gh_telemetry *telemetry;
    struct gh_trail *trail;
    struct gh_audit *audit;
    struct gh_operators *operators;
    struct gh_oidc *oidc;
    struct gh_access *access;
    struct gh_authorities *authorities;
    struct gh_issuing *issuing;
    struct ocsps *ocsps;
    struct gh_workers *workers, *passwords;
    struct gh_sessions *sessions;
    struct gh_traces *traces;
    struct gh_quotas *quotas;
    struct gh_rates *rates;
    struct gh_absence *absence;
    struct gh_front *front;
#ifdef GH_DIALECT_GOOGLE
    struct gh_google *google;
    struct gh_google_push *push;
    const char *push_hosts[CONFIG_NAMES_MAX];
#endif
    struct gh_api *api;
    struct gh_api_door door, local_door;
    struct gh_http_server *http, *local_http;
    struct gh_rpc_server *rpc; /* gRPC; NULL without a dialect that has it */
    struct gh_listener_protocol http2;
    struct gh_websocket_config websocket;
    const char *origins[CONFIG_NAMES_MAX];
    struct gh_network proxy_from[CONFIG_NAMES_MAX];
    struct gh_crowd *crowd;
    struct gh_tls_context *tls;
    uint64_t tls_generation; /* of the intermediate CA that certified it */
    struct gh_loop *loops[CORE_LOOPS_MAX];
    pthread_t threads[CORE_LOOPS_MAX];
    size_t loops_count, threads_count;
    struct gh_listener *listeners[CORE_LISTENERS_MAX];
    const char *kinds[CORE_LISTENERS_MAX]; /* "tls", "plain", "admin" */
    size_t listeners_count;
    struct gh_error error;
};

bool core_open_memory(struct core *core);  /* core_memory.c */
bool core_open_threads(struct core *core); /* core_route.c */
bool core_open_broker(struct core *core);
bool core_open_faces(struct core *core);     /* core_faces.c */
bool core_open_listeners(struct core *core); /* core_rim.c */
/* Who is the issuer of tokens, now that the listeners have their addresses. */
bool core_set_issuer(struct core *core);
/* DIR/listeners: what is really bound, for whoever let the kernel choose the port. */
bool core_write_listeners(struct core *core);
bool core_start_loops(struct core *core);
/* Nobody comes in any more, and the threads of the loops and the workers have ended. */
void core_close_rim(struct core *core);

/* core_tls.c: a fresh key, certified by the keys process; `*out` is the caller's. */
bool core_make_tls(struct core *core, struct gh_tls_context **out);
/* The same for all listeners. */
bool core_renew_tls(struct core *core);

/* core_route.c */
struct gh_rates *core_open_rates(const struct config *config);
#endif
