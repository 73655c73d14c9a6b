/* Rates: how often one device may do one thing, whatever connection, request or loop it comes by:
 * report its state, publish over HTTP. Each is a bucket kept as one time (generic cell rate
 * algorithm). The ceilings are settings; the defaults are those of Google IoT Core, which its
 * devices keep ("compat").
 *
 * Memory: one entry per device and kind that came lately; entries whose bucket is full again are
 * dropped when their shard has grown. Without memory nothing is refused. Threads: any, a sharded
 * lock inside. */
#ifndef GH_ROUTE_RATE_H
#define GH_ROUTE_RATE_H

#include "base/attributes.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gh_rate_kind {
    GH_RATE_STATES,      /* reported documents, by any protocol */
    GH_RATE_HTTP_EVENTS, /* events by requests */
    GH_RATE_KIND_COUNT
};
/* "state updates": for texts. Static. */
const char *gh_rate_kind_name(enum gh_rate_kind kind);

/* `count` in each `period_ms`, and as many at once; count 0: no ceiling. */
struct gh_rate {
    uint32_t count;
    int64_t period_ms;
};

/* One state a second; 6,000 events by HTTP a minute. */
extern const struct gh_rate gh_rates_compat[GH_RATE_KIND_COUNT];

struct gh_rates;
/* NULL when there is no memory. */
GH_MUST_USE struct gh_rates *gh_rates_open(const struct gh_rate ceilings[GH_RATE_KIND_COUNT]);
void gh_rates_close(struct gh_rates *rates);
/* Whether one more is within the rate; then it is counted. `now_ms` is UTC: a clock that is set
 * back begins anew. */
GH_MUST_USE bool gh_rates_take(struct gh_rates *rates, uint64_t device, enum gh_rate_kind kind,
                               int64_t now_ms);
/* The same; 0 when it is counted, else in how many milliseconds one more is within the rate. */
GH_MUST_USE int64_t gh_rates_wait_ms(struct gh_rates *rates, uint64_t device,
                                     enum gh_rate_kind kind, int64_t now_ms);
/* How many buckets are kept; for tests and status. */
size_t gh_rates_count(struct gh_rates *rates);
#endif
