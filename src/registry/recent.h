/* Recent: what sign-ins have read lately of tenants, registries, policies and devices, so that the
 * next one need not ask the database for it. For the directory's own files.
 *
 * What is kept is true as long as the store's generation (store/registry.h) is the one that was
 * taken before it was read; with the first look at a higher one everything is forgotten. So whoever
 * changed something and has his answer finds no sign-in that does not know it, on any thread. A
 * sign-in that looked before the change was answered is where one stands that has just read the
 * database: the change's orders come after it and find its session, or the epoch that it compares
 * (route/sessions.h).
 *
 * Only values that prove nothing by themselves are kept: rows as they stand in the database, never
 * a secret that was shown, nor that one was right.
 *
 * Bounds: GH_RECENT_BYTES_MAX in all, the longest unused going first; and nothing after two calls
 * of gh_recent_rest without a look in between. Memory: values are copied in and out. Threads: any,
 * a lock inside that is never held over a call of the store; never blocks longer than a copy. */
#ifndef GH_REGISTRY_RECENT_H
#define GH_REGISTRY_RECENT_H

#include "base/arena.h"
#include "store/store.h"

enum {
    GH_RECENT_BYTES_MAX = 2 << 20,
    GH_RECENT_VALUE_BYTES_MAX = 256 * 1024, /* a larger one is not kept */
};

/* A kind of value: its size, and how one is copied with all that it points to; false at the arena's
 * ceiling. */
struct gh_recent_kind {
    size_t size;
    bool (*copy)(struct gh_arena *arena, const void *from, void *to);
};

struct gh_recent;
/* The store outlives it. NULL without memory. */
GH_MUST_USE struct gh_recent *gh_recent_open(struct gh_store *store);
void gh_recent_close(struct gh_recent *recent); /* NULL is fine */

enum gh_recent_answer { GH_RECENT_FOUND, GH_RECENT_UNKNOWN, GH_RECENT_MEMORY };

/* The value of that key, copied to `out` and the arena. A key stands for one kind. UNKNOWN:
 * `*generation` is what gh_recent_keep wants to know once the value has been read. */
GH_MUST_USE enum gh_recent_answer gh_recent_find(struct gh_recent *recent,
                                                 const struct gh_recent_kind *kind,
                                                 struct gh_slice key, struct gh_arena *arena,
                                                 void *out, uint64_t *generation);
/* Keeps a copy; passes it over when the generation has moved on, or there is no memory. */
void gh_recent_keep(struct gh_recent *recent, const struct gh_recent_kind *kind,
                    struct gh_slice key, const void *value, uint64_t generation);
/* Called about once a second. */
void gh_recent_rest(struct gh_recent *recent);
size_t gh_recent_bytes(struct gh_recent *recent); /* what it holds now */
#endif
