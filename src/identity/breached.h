/* Known passwords: a list of those that have leaked somewhere, which nobody may choose. The list is
 * a file of the operator's: one password a line, or one SHA-1 in hex a line with anything behind it
 * after a colon, as the public lists come. Only 8 bytes of each digest are kept, sorted; a password
 * that is not in the list is taken for one that is once in 2^40 or so. Nothing is asked of anybody
 * outside. Memory: 8 bytes a line, at most GH_BREACHED_MAX lines. Threads: any; it never changes.
 */
#ifndef GH_IDENTITY_BREACHED_H
#define GH_IDENTITY_BREACHED_H

#include "base/error.h"
#include "base/slice.h"

enum { GH_BREACHED_MAX = 16 * 1024 * 1024 };

struct gh_breached;

/* NULL with FILE (cannot be read), LIMIT (too many lines) or MEMORY. */
GH_MUST_USE struct gh_breached *gh_breached_open(const char *path, struct gh_error *error);
void gh_breached_close(struct gh_breached *breached); /* NULL is fine */
/* False with NULL: there is no list. */
bool gh_breached_has(const struct gh_breached *breached, struct gh_slice password);
#endif
