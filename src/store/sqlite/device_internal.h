/* What the files about devices share. */
#ifndef GH_STORE_DEVICE_INTERNAL_H
#define GH_STORE_DEVICE_INTERNAL_H

#include "store/sqlite/sqlite_internal.h"

/* Inside a read or a write. NOT_FOUND when it is gone. */
GH_MUST_USE enum gh_error_code gh_device_read(struct gh_link *link, uint64_t number, unsigned parts,
                                              struct gh_arena *arena, struct gh_device *out,
                                              struct gh_error *error);
#endif
