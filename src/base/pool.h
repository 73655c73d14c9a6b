/* Pool: blocks that come and go with every message. Each thread keeps what it has freed, by size,
 * for what it needs next, without a lock and up to a bound; beyond that, and for large blocks, it
 * is malloc and free. A block may be given back on another thread than took it, which keeps it. A
 * thread that ends frees what it kept. Under the address sanitizer nothing is kept, so that a use
 * behind the end is seen. Threads: any. */
#ifndef GH_BASE_POOL_H
#define GH_BASE_POOL_H

#include "base/attributes.h"
#include <stddef.h>

/* Uninitialised; NULL when there is no memory. */
GH_MUST_USE void *gh_pool_take(size_t size);
/* `size` is what was asked for. NULL is allowed. */
void gh_pool_give(void *block, size_t size);
#endif
