/* The front door for MQTT: takes a connection from its first packet to its last. It joins what the
 * lower rooms do: session (the protocol), the dialects (what topics mean), identity (who is it),
 * pubsub (events, durable before PUBACK), the directory (state, configuration), route (who else
 * wants something of this device) and the trail (what happened and why).
 *
 * The way of a CONNECT: session -> dialect's claim -> worker: identity -> back on the loop: entered
 * into route/sessions.h -> CONNACK. The way of an event: session -> dialect -> topic of the
 * registry's routes -> log -> PUBACK. What a peer is refused is written to the trail and the log
 * with its exact reason, and the peer is told its protocol's code only.
 *
 * Memory: one front per server, one port per loop, one link per connection. A link lives until its
 * connection is closed and the last job or publication that points to it has come back. Threads:
 * all of it on the connection's loop, but for the jobs, which work on copies. */
#ifndef GH_DIALECT_FRONT_H
#define GH_DIALECT_FRONT_H

#include "dialect/dialect.h"
#include "io/conn.h"
#include "session/session.h"

struct gh_access;
struct gh_broker;
struct gh_front;
struct gh_quotas;
struct gh_rates;
struct gh_sessions;
struct gh_traces;
struct gh_trail;
struct gh_workers;
struct gh_pubsub;

enum {
    GH_FRONT_DIALECTS_MAX = 8,
    GH_FRONT_COMMANDS_MAX = 64,          /* under way, of one device */
    GH_FRONT_PACKET_BYTES_MAX = 1 << 20, /* the most that a dialect's limits may allow */
};

struct gh_front_services {
    struct gh_directory *directory;
    struct gh_access *access; /* our own access tokens; NULL: none are taken */
    struct gh_pubsub *pubsub;
    struct gh_trail *trail;
    struct gh_sessions *sessions;
    struct gh_traces *traces; /* NULL: nobody reads packets */
    struct gh_workers *workers;
    struct gh_metrics *metrics;
    struct gh_loop *const *loops;
    size_t loops_count;
    const struct gh_dialect
        *dialects[GH_FRONT_DIALECTS_MAX];  /* asked in this order; NULL at the end */
    struct gh_session_limits limits;       /* of dialects that do not route, and before CONNECT */
    struct gh_session_limits route_limits; /* of those that do */
    struct gh_broker *broker;              /* NULL: no dialect routes */
    uint32_t expiry_max_s;                 /* of a stored session; UINT32_MAX: for ever */
    struct gh_quotas *quotas;              /* of tenants; NULL: no ceilings */
    struct gh_rates *rates;                /* of devices, in dialects that do not route; or NULL */
    size_t attached_max;                   /* devices of one gateway at a time; 0: 1,000 */
    size_t sessions_of_device_max;         /* connections of one device at a time */
    int64_t (*utc_ms)(void);
};

/* NULL when there is no memory. */
GH_MUST_USE struct gh_front *gh_front_open(const struct gh_front_services *services);
/* The loops and the workers have ended. */
void gh_front_close(struct gh_front *front);

/* For gh_listener_config.protocols, with the front as context. Claims 0x10, with which CONNECT
 * begins. */
extern const struct gh_protocol gh_front_protocol;

/* For gh_directory_watch: tells the live sessions what was changed. `front` is the context. */
void gh_front_device_changed(void *front, uint64_t device, enum gh_device_change what);
void gh_front_registry_changed(void *front, int64_t registry);
void gh_front_policies_changed(void *front, int64_t tenant, int64_t registry, uint64_t device);
void gh_front_tenant_disabled(void *front, int64_t tenant);
void gh_front_credentials_refused(void *front, int64_t tenant, int64_t registry,
                                  bool (*refused)(void *asked, struct gh_slice credential),
                                  void *asked);
#endif
