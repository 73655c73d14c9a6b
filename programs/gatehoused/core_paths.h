/* What the core process reaches of the file system: the database, the logs of messages and
 * sessions, what the resolver and TLS read to call out. The folder of keys is not among it: core
 * may be taken over and still not read the key-encryption key. */
#ifndef GATEHOUSED_CORE_PATHS_H
#define GATEHOUSED_CORE_PATHS_H

#include "programs/gatehoused/config.h"

/* Confines the calling thread and all that it starts. The ABI level of Landlock, 0 where there is
 * none. Before the first thread. */
int core_paths(const struct config *config);
#endif
