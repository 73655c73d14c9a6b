/* Condition: when, and from where, a binding holds:
 *   {"title":"…","from":"2026-12-01T00:00:00Z","until":"2027-01-01T00:00:00Z",
 *    "hours":"06:00-18:00","weekdays":["mon","tue"],"sources":["10.1.0.0/16","2001:db8::/32"]}
 * All times are UTC; every member may be left out, at least one that restricts is there. `until` is
 * no longer part of the window, nor is the end of the hours (00:00 to 24:00). Hours whose end lies
 * before their beginning go over midnight, and the weekday is then the one on which they began.
 * `sources` are addresses or networks of either family; an IPv4 address in IPv6 form
 * (::ffff:10.1.2.3) is the IPv4 address.
 *
 * What cannot be read, or cannot be compared (no address is known), does not hold. Reads no clock:
 * the caller says what time it is and where the request came from. Memory: borrowed, or as said.
 * Threads: any. */
#ifndef GH_POLICY_CONDITION_H
#define GH_POLICY_CONDITION_H

#include "base/error.h"
#include "base/slice.h"
#include <jansson.h>
#include <stdbool.h>

enum {
    GH_CONDITION_SOURCES_MAX = 32,
    GH_CONDITION_TITLE_BYTES_MAX = 100,
    GH_CONDITION_WHY_MAX = 160,
};

struct gh_condition_facts {
    int64_t now_ms;
    struct gh_slice address; /* of the peer, without its port, with or without [ ]; may be empty */
};

/* Whether `condition` (NULL: none) holds. When not, `why` says which part of it does not. */
GH_MUST_USE bool gh_condition_holds(const json_t *condition, const struct gh_condition_facts *facts,
                                    char why[GH_CONDITION_WHY_MAX]);

/* GH_OK for a condition that can be kept as it is; INVALID naming the member. */
GH_MUST_USE enum gh_error_code gh_condition_check(const json_t *condition, struct gh_error *error);
#endif
