/* Absence: alerts about devices that have not been heard of for a time that an operator sets, and
 * about their return. Who is away that long gets one message on the tenant's alert topic, one line
 * in the log and one in the device's trail; who comes back, one of each again. A rule holds for the
 * whole tenant, a registry, a group or a device; of those that fit, the nearest counts, and of
 * several groups the shortest time.
 *
 * A device is there while it has a connection (or its gateway speaks for it); otherwise it is
 * reckoned from the end of its last connection or from what it last sent. One that was never heard
 * of, is blocked or is banned gives no alert. After a start every device gets its full time again,
 * since it could not be heard. The store remembers who is away and whether that was told, so a
 * restart tells nothing twice but what was under way.
 *
 * Costs: no walk over all devices but at the start and when a tenant's rules change; else a heap
 * of those that are gone (observe/deadlines.h), looked at when the first is due. Bounds:
 * GH_ABSENCE_NOTES_MAX things wait for the thread, more are dropped: a device may then be told
 * late or not at all. A topic that does not exist loses the message, not the other lines; while the
 * message log is full it is tried again. Threads: any; gh_absence_note never blocks. */
#ifndef GH_OBSERVE_ABSENCE_H
#define GH_OBSERVE_ABSENCE_H

#include "base/metric.h"
#include "store/absence.h"
#include <jansson.h>

struct gh_absence;
struct gh_directory;
struct gh_pubsub;
struct gh_trail;

enum {
    GH_ABSENCE_RULES_MAX = 100, /* of a tenant */
    GH_ABSENCE_AFTER_S_MIN = 1,
    GH_ABSENCE_AFTER_S_MAX = 90 * 24 * 3600,
    GH_ABSENCE_NOTES_MAX = 65536,
    GH_ABSENCE_RETRY_MS = 5000, /* after a failure of the store or the message log */
};

/* {"topic":"alerts","rules":[{"after_s":600,"registry":"halls","device":"lamp"},
 *  {"after_s":60,"group":"doors"},{"after_s":3600}]}. INVALID naming the field. */
GH_MUST_USE enum gh_error_code gh_absence_rules_check(const json_t *rules, struct gh_error *error);

struct gh_absence_options {
    struct gh_store *store; /* all outlive it */
    struct gh_directory *directory;
    struct gh_pubsub *pubsub;
    struct gh_trail *trail;
    struct gh_metrics *metrics; /* or NULL */
    /* Whether the device has a connection; any thread. */
    bool (*is_connected)(void *context, uint64_t device);
    void *connected_context;
    int64_t (*utc_ms)(void);
};
/* Reads who is away. NULL with `error`. */
GH_MUST_USE struct gh_absence *gh_absence_open(const struct gh_absence_options *options,
                                               struct gh_error *error);
/* Listens to the trail and works on a thread of its own; false with `error`. */
GH_MUST_USE bool gh_absence_start(struct gh_absence *absence, struct gh_error *error);
void gh_absence_close(struct gh_absence *absence); /* NULL is fine */

/* The rules of a tenant, checked before; without any the tenant has no alerts. Copies. False
 * without memory. */
GH_MUST_USE bool gh_absence_set(struct gh_absence *absence, int64_t tenant, const json_t *rules);

enum gh_absence_event {
    GH_ABSENCE_CAME,  /* it connected */
    GH_ABSENCE_LEFT,  /* a connection of it ended */
    GH_ABSENCE_HEARD, /* it sent something without a connection */
};
/* The trail's connects and disconnects come by themselves. */
void gh_absence_note(struct gh_absence *absence, uint64_t device, enum gh_absence_event event,
                     int64_t at_ms);

/* Does what is due. The thread calls it; tests call it instead of the thread. */
void gh_absence_step(struct gh_absence *absence);
#endif
