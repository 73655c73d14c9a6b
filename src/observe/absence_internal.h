/* The rules of absence (absence_rules.c). */
#ifndef GH_OBSERVE_ABSENCE_INTERNAL_H
#define GH_OBSERVE_ABSENCE_INTERNAL_H

#include "observe/absence.h"

struct absence_rule {
    struct gh_slice registry, device, group; /* empty: any */
    int64_t after_s;
};

/* Reads rule `at` of checked rules; slices borrow. False at the end. */
bool absence_rule_read(const json_t *rules, size_t at, struct absence_rule *out);
/* The topic, without its project; empty when there is none. */
struct gh_slice absence_topic(const json_t *rules);
/* How long the device may be away, 0 for ever: the nearest rule. `*after_s` is filled on GH_OK. */
GH_MUST_USE enum gh_error_code absence_after(struct gh_store *store, const json_t *rules,
                                             const struct gh_device *device, int64_t *after_s,
                                             struct gh_error *error);
#endif
