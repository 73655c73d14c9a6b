/* Trail: what happened to each device and why: connects, disconnects, refusals with their exact
 * reason, denied publishes, configs, commands, operators' changes. Loops note, one thread writes to
 * the store in batches, readers see an entry as soon as it was noted. Not the operators'
 * tamper-evident audit, and not telemetry.
 *
 * Bounds: GH_TRAIL_PENDING_MAX entries wait in memory; when the store cannot keep up (a full disk)
 * further ones are dropped and counted (trail_dropped_total). The store keeps the newest 1,000
 * entries of a device, the newest 10,000 of unknown devices, and 1,000,000 in all. A crash loses
 * what was noted in the last GH_TRAIL_FLUSH_MS at most. Threads: any; gh_trail_list and
 * gh_trail_close block, the others do not wait for the disk. */
#ifndef GH_OBSERVE_TRAIL_H
#define GH_OBSERVE_TRAIL_H

#include "base/arena.h"
#include "base/error.h"
#include "base/metric.h"
#include "store/records.h"
#include "store/store.h"

struct gh_trail;

enum {
    GH_TRAIL_PENDING_MAX = 16384, /* entries in memory */
    GH_TRAIL_FLUSH_MS = 200,      /* how long an entry waits for others before the commit */
    GH_TRAIL_TEXT_MAX = 512,      /* bytes of one text of an entry; longer ones are cut */
};

/* `store` and `metrics` (may be NULL) outlive the trail. NULL with `error` filled on failure. */
GH_MUST_USE struct gh_trail *gh_trail_open(struct gh_store *store, struct gh_metrics *metrics,
                                           struct gh_error *error);
/* Writes what is pending, then ends the thread. No other call may be running. */
void gh_trail_close(struct gh_trail *trail);

/* Copies `entry`; `sequence` is made here, an `at_ms` of 0 becomes now. Never waits for the disk.
 */
void gh_trail_note(struct gh_trail *trail, const struct gh_trail_entry *entry);

/* Newest first, what is not yet written included. */
GH_MUST_USE enum gh_error_code gh_trail_list(struct gh_trail *trail,
                                             const struct gh_trail_filter *filter,
                                             struct gh_arena *arena, struct gh_trail_entry **out,
                                             size_t *count, struct gh_error *error);

/* Live listeners: each entry once, in order, on the trail's thread, at once after a quiet moment
 * and within some ten milliseconds where much is noted (the thread is not woken for each). `fn`
 * must not block; the entry is borrowed for the call. Returns a handle, NULL without memory. */
struct gh_trail_watch;
typedef void gh_trail_watch_fn(void *context, const struct gh_trail_entry *entry);
GH_MUST_USE struct gh_trail_watch *gh_trail_watch(struct gh_trail *trail, gh_trail_watch_fn *fn,
                                                  void *context);
/* After the return `fn` is not called again. Not from inside `fn`. */
void gh_trail_unwatch(struct gh_trail *trail, struct gh_trail_watch *watch);

/* "connect", "publish_denied": the spelling of the API. */
const char *gh_trail_kind_name(enum gh_trail_kind kind);
/* False for a name that is none. */
GH_MUST_USE bool gh_trail_kind_parse(struct gh_slice name, enum gh_trail_kind *out);

/* Waits until all that was noted before is written, or the store fails; for tests. */
GH_MUST_USE enum gh_error_code gh_trail_flush(struct gh_trail *trail, struct gh_error *error);
#endif
