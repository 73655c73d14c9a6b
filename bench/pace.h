/* The pace of an open-loop load: message number n of all publishers together is due at
 * start + n / rate, to the nanosecond below, whatever has become of those before it. A publisher
 * that could not send in time sends late and not less, and its latencies count from when its
 * messages were due: so the answer to a broker that stalls is not that nobody asked meanwhile.
 * Publishers take turns. Pure: time is an argument. */
#ifndef BENCH_PACE_H
#define BENCH_PACE_H

#include "base/attributes.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pace {
    int64_t start_ns;
    uint64_t rate, publishers; /* messages a second of all together; both at least 1 */
    uint64_t released;         /* messages that have become due */
};

/* When the message `own` (from 0) of the publisher is due. */
int64_t pace_due_ns(const struct pace *pace, size_t publisher, uint64_t own);
/* Whether it has been released. */
bool pace_has_released(const struct pace *pace, size_t publisher, uint64_t own);
/* When the next to be released is due. */
int64_t pace_next_ns(const struct pace *pace);
/* Releases the next when it is due by `now_ns`, and names its publisher; false when none is. */
GH_MUST_USE bool pace_release(struct pace *pace, int64_t now_ns, size_t *publisher);
#endif
