/* The store's half of alerts about devices that are away: which of them are, and how far that was
 * told. Called by observe/absence.h alone, which owns the rules. The promises of store/store.h
 * hold. */
#ifndef GH_STORE_ABSENCE_H
#define GH_STORE_ABSENCE_H

#include "store/store.h"

enum gh_absence_state {
    GH_ABSENCE_TO_TELL = 0, /* that it is away is yet to be told */
    GH_ABSENCE_TOLD = 1,
    GH_ABSENCE_BACK = 2, /* that it is back is yet to be told; then the row goes */
};

struct gh_absence_row {
    uint64_t device;
    int64_t since_ms; /* when it was last heard of */
    enum gh_absence_state state;
    struct gh_slice registry_name, device_id; /* read only */
};

/* Creates or replaces; GH_OK also when the device is gone. */
GH_MUST_USE enum gh_error_code gh_store_absence_put(struct gh_store *store,
                                                    const struct gh_absence_row *row,
                                                    struct gh_error *error);
/* GH_OK also when there is none. */
GH_MUST_USE enum gh_error_code gh_store_absence_delete(struct gh_store *store, uint64_t device,
                                                       struct gh_error *error);
/* Of one tenant (0: of all), at most `limit`, those that are away longest first. */
GH_MUST_USE enum gh_error_code gh_store_absence_list(struct gh_store *store, int64_t tenant,
                                                     size_t limit, struct gh_arena *arena,
                                                     struct gh_absence_row **out, size_t *count,
                                                     struct gh_error *error);
/* Whether the group of that name in the device's tenant has the device. */
GH_MUST_USE enum gh_error_code gh_store_group_has(struct gh_store *store, struct gh_slice group,
                                                  uint64_t device, bool *has,
                                                  struct gh_error *error);
#endif
