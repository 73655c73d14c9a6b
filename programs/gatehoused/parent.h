/* The parent: takes the data folder, starts the `keys` and `core` processes, starts them again when
 * they die, and ends them when it is told to. It holds nothing else. When the parent dies, both end
 * too. */
#ifndef GATEHOUSED_PARENT_H
#define GATEHOUSED_PARENT_H

#include "programs/gatehoused/config.h"

/* Runs until SIGTERM or SIGINT. Returns the exit code. */
int parent_run(const struct config *config);
#endif
