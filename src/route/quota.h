/* Quota: what one tenant may use at a time over all its connections, whatever loop they are on:
 * connections, and messages per second. Each connection takes a place and gives it back; each
 * message that a device publishes is asked for. The ceilings are the server's unless the tenant has
 * its own, and may change while connections are there: then none of them is closed, but no more are
 * let in.
 *
 * Full: no place; a message over the rate is refused (the caller says how). The rate is a bucket of
 * one second's worth, kept as one time (generic cell rate algorithm).
 *
 * Memory: a quota lives as long as the table, about 100 bytes for each tenant that ever connected.
 * Threads: any; gh_quotas_of and gh_quotas_set lock, the others are a few atomic operations. */
#ifndef GH_ROUTE_QUOTA_H
#define GH_ROUTE_QUOTA_H

#include "base/attributes.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gh_quotas;
struct gh_quota;

/* 0: no ceiling. */
struct gh_quota_limits {
    uint32_t connections_max, messages_per_second;
};

/* `limits` is for tenants without their own. NULL when there is no memory. */
GH_MUST_USE struct gh_quotas *gh_quotas_open(const struct gh_quota_limits *limits);
void gh_quotas_close(struct gh_quotas *quotas);
/* The server's, for tenants without their own. */
struct gh_quota_limits gh_quotas_limits(const struct gh_quotas *quotas);
/* The tenant's; NULL when there is no memory. */
GH_MUST_USE struct gh_quota *gh_quotas_of(struct gh_quotas *quotas, int64_t tenant);
/* The tenant has its own limits from now on; NULL: the server's again. False when there is no
 * memory. */
GH_MUST_USE bool gh_quotas_set(struct gh_quotas *quotas, int64_t tenant,
                               const struct gh_quota_limits *limits);

/* Takes a place. `replaces`: another connection is about to give up its place for this one, so that
 * one is there even at the ceiling. */
GH_MUST_USE bool gh_quota_enter(struct gh_quota *quota, bool replaces);
void gh_quota_leave(struct gh_quota *quota);
/* Whether one more message is within the rate; then it is counted. */
GH_MUST_USE bool gh_quota_message(struct gh_quota *quota, int64_t now_ns);
/* True at most every GH_QUOTA_TELL_S seconds: an entry about the rate is due. */
bool gh_quota_tell(struct gh_quota *quota, int64_t now_ns);
enum { GH_QUOTA_TELL_S = 10 };

struct gh_quota_limits gh_quota_limits(const struct gh_quota *quota);
size_t gh_quota_connections(const struct gh_quota *quota);
#endif
