/* Files that are kept: a small one is there whole or as it was before, also after a kill or a power
 * cut, and so is its name: the folder is synced behind it. Not for large or growing data, and not
 * for reading. Blocks for the disk. What fails says why in errno. Threads: one writer a file. */
#ifndef GH_BASE_FILE_H
#define GH_BASE_FILE_H

#include "base/slice.h"

/* Puts the file in the place of the one that is there, if there is one: written beside it as
 * PATH.new, then moved. */
GH_MUST_USE bool gh_file_replace(const char *path, struct gh_slice bytes, unsigned mode);
/* Makes a file that was not there; EEXIST when it was, which is left as it is. */
GH_MUST_USE bool gh_file_make(const char *path, struct gh_slice bytes, unsigned mode);
GH_MUST_USE bool gh_file_remove(const char *path);
/* Makes durable that there is, or is no more, a file of that name. */
GH_MUST_USE bool gh_file_sync_name(const char *path);
#endif
