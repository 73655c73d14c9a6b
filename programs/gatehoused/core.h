/* The `core` process: opens every room, joins them, and serves until it is told to end. The order
 * of opening is the order of the storeys; closing goes the other way. It holds no key but the one
 * of its own short-lived certificate, which it has certified by the `keys` process at start and
 * again at two thirds of its life. */
#ifndef GATEHOUSED_CORE_H
#define GATEHOUSED_CORE_H

#include "programs/gatehoused/config.h"

/* The body of the process. `keys` is the socket to the keys process; a byte is written to `ready`
 * when it serves. Returns the exit code. */
int core_run(const struct config *config, int keys, int ready);
#endif
