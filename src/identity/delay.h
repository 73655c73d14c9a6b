/* Progressive delay: how long a name has to wait after wrong guesses, 1, 2, 4 … 300 s. A name is an
 * account or a source address; what it was is kept as a digest only. Attempts during the wait are
 * refused and do not lengthen it, so that nobody is locked for good; 15 minutes without a wrong
 * guess clear the name. The table is bounded: when it is full it forgets the name that was quiet
 * for longest.
 *
 * Reads no clock. Memory: the table's own. Threads: one at a time (identity/operator.h has the
 * lock). */
#ifndef GH_IDENTITY_DELAY_H
#define GH_IDENTITY_DELAY_H

#include "base/map.h"

enum { GH_DELAY_S_MAX = 300, GH_DELAY_FORGET_MS = 15 * 60 * 1000 };

struct gh_delays {
    struct gh_map names;
    struct gh_delay *quiet_first, *quiet_last; /* by last wrong guess */
    size_t names_max;
};

void gh_delays_init(struct gh_delays *delays, size_t names_max);
void gh_delays_deinit(struct gh_delays *delays);

/* Milliseconds that `name` still has to wait; 0: none. */
int64_t gh_delays_wait_ms(struct gh_delays *delays, struct gh_slice name, int64_t now_ms);
/* A wrong guess: the next wait begins. Without memory the name is not remembered. */
void gh_delays_wrong(struct gh_delays *delays, struct gh_slice name, int64_t now_ms);
/* Forgets the name. */
void gh_delays_clear(struct gh_delays *delays, struct gh_slice name);
#endif
