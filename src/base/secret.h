/* Secrets in memory: compared in constant time, wiped when they go, kept out of core dumps and swap
 * where the system allows it. Nothing here can be printed. Threads: one at a time. */
#ifndef GH_BASE_SECRET_H
#define GH_BASE_SECRET_H

#include "base/slice.h"

/* A block of its own pages: locked in memory, left out of core dumps, empty in a child process, and
 * wiped at close. NULL when there is no memory. Where RLIMIT_MEMLOCK is too low for it the log says
 * so, once, and the block is as good as it can be. */
struct gh_secret;
GH_MUST_USE struct gh_secret *gh_secret_open(struct gh_slice bytes);
void gh_secret_close(struct gh_secret *secret);
/* Borrowed; never to be logged. */
struct gh_slice gh_secret_bytes(const struct gh_secret *secret);

/* Time depends on the sizes only. */
bool gh_secret_equal(struct gh_slice a, struct gh_slice b);
/* Not removed by the optimiser. */
void gh_secret_wipe(void *block, size_t size);
/* Fills the block from the kernel's generator; ends the process when the kernel has none to give.
 */
void gh_random(void *block, size_t size);
#endif
