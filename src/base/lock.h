/* A file that one process owns at a time, by flock(2): the lock lasts as long as the descriptor, in
 * whichever process holds a copy of it, and goes with the last of them, however they end. */
#ifndef GH_BASE_LOCK_H
#define GH_BASE_LOCK_H

#include "base/slice.h"

/* How long a starting server waits for a lock: a predecessor that was killed takes a moment to go,
 * and its files are closed one by one. */
enum { GH_LOCK_WAIT_MS = 5000 };

/* Opens `path`, made with mode 0600 when it is not there, and takes its lock; asks again for at
 * most `wait_ms` milliseconds while another holds it, with 0 once. A descriptor that the caller
 * closes, or -1 with errno: EWOULDBLOCK when another still holds it, else what open(2) or flock(2)
 * said. Threads: any; it sleeps in between. */
GH_MUST_USE int gh_lock_take(const char *path, int wait_ms);
#endif
