/* Keeping a small file whole: what was written last, or what was there before, never a part.
 *
 * Written by base/file.h, so it survives a kill and a power cut at any point. Blocks for the disk.
 * Not for large or growing data. Threads: one writer a file. */
#ifndef GH_CLIMATE_KEEP_H
#define GH_CLIMATE_KEEP_H

#include "base/buffer.h"
#include "base/error.h"

enum gh_keep_status {
    GH_KEEP_OK,
    GH_KEEP_ABSENT, /* no such file: a first start */
    GH_KEEP_FAILED, /* `error` says why */
};

/* Mode 0600. */
GH_MUST_USE enum gh_keep_status gh_keep_write(const char *path, struct gh_slice bytes,
                                              struct gh_error *error);
/* Appends the file to `out`; longer than the buffer may become is FAILED. */
GH_MUST_USE enum gh_keep_status gh_keep_read(const char *path, struct gh_buffer *out,
                                             struct gh_error *error);
#endif
