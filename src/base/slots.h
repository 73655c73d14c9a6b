/* Slots: blocks that live as long as a connection. They come as a crowd, of a few sizes, and stay
 * when all that was needed to let them in has gone again: from malloc they would stand between the
 * holes that it leaves, each with a head of its own. Here blocks of one size fill pages of theirs,
 * and a page whose blocks have all gone goes back to the system. Not for what comes and goes with
 * every message: that is base/pool.h.
 *
 * What is given back is wiped. A slot may be given back on another thread than took it. Under the
 * address sanitizer slots are malloc's, so that a use behind the end is seen. Threads: any; a lock
 * for each size, held for a few instructions, or while the system takes a page back. */
#ifndef GH_BASE_SLOTS_H
#define GH_BASE_SLOTS_H

#include "base/attributes.h"
#include <stddef.h>

enum { GH_SLOT_BYTES_MAX = 512 }; /* larger ones are malloc's */

/* Zeroed; NULL when there is no memory. */
GH_MUST_USE void *gh_slot_take(size_t size);
/* `size` is what was asked for. NULL is allowed. */
void gh_slot_give(void *slot, size_t size);
/* Memory that slots hold of the system, of all sizes: for tests and figures. */
size_t gh_slots_bytes(void);
#endif
