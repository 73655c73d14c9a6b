/* Rates: how often one thing may be done, whatever connection, request or loop it comes by: a
 * device reports its state or publishes over HTTP, a back end changes a device, all of a tenant's
 * devices connect. Each is a bucket kept as one time (generic cell rate algorithm). The ceilings
 * are settings of the server, and each may be a tenant's own; the defaults are those of Google IoT
 * Core, which its devices and back ends keep ("compat"). Bytes are counted after the fact: what is
 * over delays what comes next.
 *
 * Memory: one entry per thing and kind that came lately; entries whose bucket is full again are
 * dropped when their shard has grown; some 100 bytes per tenant with ceilings of its own. Without
 * memory nothing is refused. Threads: any, a sharded lock inside. */
#ifndef GH_ROUTE_RATE_H
#define GH_ROUTE_RATE_H

#include "base/attributes.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gh_rate_kind {
    GH_RATE_STATES,           /* of a device: reported documents, by any protocol */
    GH_RATE_HTTP_EVENTS,      /* of a device: events by requests */
    GH_RATE_DEVICE_UPDATES,   /* of a device: changes of its record by back ends */
    GH_RATE_REGISTRY_UPDATES, /* of a registry: the same */
    GH_RATE_READS,            /* of a tenant, as what follows: calls of back ends that read, */
    GH_RATE_CHANGES,          /* make or delete, */
    GH_RATE_CONFIGS,          /* write configs */
    GH_RATE_REQUESTS,         /* connections and requests of devices */
    GH_RATE_BYTES_IN,         /* of a device: topics and payloads that it publishes, */
    GH_RATE_BYTES_OUT,        /* payloads of commands to it */
    GH_RATE_CONFIG_INTERVAL,  /* no bucket: ms between two configs of a device, see gh_rates_own */
    GH_RATE_KIND_COUNT
};
/* "state updates": for texts. Static. */
const char *gh_rate_kind_name(enum gh_rate_kind kind);
/* "states_per_second": of the setting. Static. */
const char *gh_rate_kind_key(enum gh_rate_kind kind);

/* `count` in each `period_ms`, and as many at once; count 0: no ceiling. */
struct gh_rate {
    uint32_t count;
    int64_t period_ms;
};

/* As documented: one state, and one change of a record, a second; a minute 6,000 events by HTTP,
 * and of a tenant 30,000 reads, 3,000 changes, 6,000 configs and 60,000 requests; 512 KiB a second
 * each way, and 1,000 ms. */
extern const struct gh_rate gh_rates_compat[GH_RATE_KIND_COUNT];

struct gh_rates;
/* NULL when there is no memory. */
GH_MUST_USE struct gh_rates *gh_rates_open(const struct gh_rate ceilings[GH_RATE_KIND_COUNT]);
void gh_rates_close(struct gh_rates *rates);
/* The tenant has these counts from now on, in the periods of the server's ceilings; NULL: the
 * server's again. False when there is no memory. */
GH_MUST_USE bool gh_rates_set(struct gh_rates *rates, int64_t tenant,
                              const uint32_t counts[GH_RATE_KIND_COUNT]);
/* What holds for the tenant (0: the server's). */
void gh_rates_counts(struct gh_rates *rates, int64_t tenant, uint32_t out[GH_RATE_KIND_COUNT]);
/* The same of one kind. */
uint32_t gh_rates_own(struct gh_rates *rates, int64_t tenant, enum gh_rate_kind kind);

/* What is counted: of a device its number, of a registry its, of a tenant 0. */
struct gh_rate_thing {
    int64_t tenant;
    uint64_t number;
    enum gh_rate_kind kind;
};
/* Whether one more is within the rate; then it is counted. `now_ms` is UTC: a clock that is set
 * back by more than the period begins anew. */
GH_MUST_USE bool gh_rates_take(struct gh_rates *rates, const struct gh_rate_thing *thing,
                               int64_t now_ms);
/* The same; 0 when it is counted, else in how many milliseconds one more is within the rate. */
GH_MUST_USE int64_t gh_rates_wait_ms(struct gh_rates *rates, const struct gh_rate_thing *thing,
                                     int64_t now_ms);
/* Counts `amount`, within the rate or not. 0 when one more is within it, else in how many
 * milliseconds one is. */
int64_t gh_rates_charge_ms(struct gh_rates *rates, const struct gh_rate_thing *thing,
                           uint32_t amount, int64_t now_ms);
/* How many buckets are kept; for tests and status. */
size_t gh_rates_count(struct gh_rates *rates);
#endif
