/* Query strings and form bodies: name=value&name=value (WHATWG URL §5.1): %XX and '+' for a space.
 * A name without '=' has an empty value. Memory: borrows from the query, or from the arena when
 * decoded. Threads: any. */
#ifndef GH_WIRE_HTTP_QUERY_H
#define GH_WIRE_HTTP_QUERY_H

#include "base/arena.h"
#include "base/slice.h"

/* The first value under `name`; false when there is none or it cannot be decoded. */
bool gh_query_get(struct gh_slice query, const char *name, struct gh_arena *arena,
                  struct gh_slice *out);

/* Walks the values under `name`: `*rest` begins as the query. False at the end. */
bool gh_query_each(struct gh_slice *rest, const char *name, struct gh_arena *arena,
                   struct gh_slice *out);

/* Walks all pairs; what cannot be decoded is passed over. */
bool gh_query_next(struct gh_slice *rest, struct gh_arena *arena, struct gh_slice *name,
                   struct gh_slice *value);
#endif
