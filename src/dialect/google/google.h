/* Google's service API, REST and JSON: the device manager (cloudiot v1), the part of Pub/Sub
 * that the back ends of IoT Core use, and the HTTP bridge for devices, under /v1/. Turns paths,
 * masks, enums and error bodies into calls of the directory, of pubsub and of the command sender,
 * and back; what is served and what is refused stands in docs/protocols/google.md. The device side
 * of the dialect is mqtt.h.
 *
 * A request is claimed on its event loop and handed to the worker pool whole; there the caller is
 * authenticated, then authorised before anything is told about what exists, then served. A pull
 * that waits and a command to a device are answered from their completions. Memory: the services
 * stay the caller's and outlive this; requests live in their exchange's arena. Threads:
 * gh_google_http on any loop thread. */
#ifndef GH_DIALECT_GOOGLE_GOOGLE_H
#define GH_DIALECT_GOOGLE_GOOGLE_H

#include "base/metric.h"
#include "command/command.h"

struct gh_absence;
struct gh_directory;
struct gh_access;
struct gh_audit;
struct gh_exchange;
struct gh_google;
struct gh_google_push;
struct gh_pubsub;
struct gh_quotas;
struct gh_rates;
struct gh_rpc;
struct gh_store;
struct gh_trail;
struct gh_workers;

struct gh_google_services {
    struct gh_directory *directory;
    struct gh_store *store;   /* tokens, and the tenants' policies */
    struct gh_access *access; /* devices with an access token; NULL: none */
    struct gh_pubsub *pubsub;
    struct gh_workers *workers;
    struct gh_rates *rates;      /* of the HTTP bridge and the API; NULL: a second
                                  * between two configs, and no others */
    struct gh_quotas *quotas;    /* of tenants, at the HTTP bridge; NULL: none */
    struct gh_absence *absence;  /* hears who comes by the HTTP bridge; or NULL */
    struct gh_google_push *push; /* push.h; NULL: nothing is pushed */
    struct gh_trail *trail;      /* what callers changed; or NULL */
    struct gh_audit *audit;      /* a row for each change, refused ones too; NULL: none */
    struct gh_metrics *metrics;  /* or NULL */
    /* Sends a command to its device's session and takes it until `complete` (command/command.h). */
    void (*send_command)(void *context, struct gh_command *command);
    void *command_context;
    size_t bound_max, gateways_max; /* devices of a gateway, gateways of a device; 0: 10,000, 10 */
    /* The clock, UTC milliseconds. */
    int64_t (*utc_ms)(void);
};

/* NULL when there is no memory. */
struct gh_google *gh_google_open(const struct gh_google_services *services);
/* Nothing of it may be under way: the loops and the workers have ended. */
void gh_google_close(struct gh_google *google);

/* Takes the request when its path is one of this API's; false leaves it untouched. */
bool gh_google_http(struct gh_google *google, struct gh_exchange *exchange);
/* The same API over gRPC, for gh_rpc_config.begin: every method is answered by the handler that
 * answers its path over REST. Calls of other services end as UNIMPLEMENTED. */
void gh_google_rpc(struct gh_google *google, struct gh_rpc *rpc);
#endif
