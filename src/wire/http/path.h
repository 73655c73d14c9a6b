/* Paths of HTTP requests against patterns, and percent-encoding (RFC 3986 §2.1, §3.3).
 *
 * A pattern is a path: "/v1/projects/{p}/registries/{r}/devices/{d}:sendCommandToDevice".
 *   {name}       one segment, not empty, percent-decoded after the path was split, so that an
 * encoded slash stays inside its segment {name}:verb  one segment that ends with ":verb"; without a
 * verb in the pattern a colon is part of the segment {name*}      all the rest, slashes included,
 * decoded; may be empty; last in the pattern Everything else matches itself, byte by byte after
 * decoding.
 *
 * Memory: a capture borrows from the path, or from the arena when it had to be decoded. Threads:
 * any. */
#ifndef GH_WIRE_HTTP_PATH_H
#define GH_WIRE_HTTP_PATH_H

#include "base/arena.h"
#include "base/slice.h"

/* Fills `captures` in the order of the pattern, which must not have more than `max`. False when the
 * path does not match, an escape is broken or means NUL, or the arena is at its ceiling. */
GH_MUST_USE bool gh_path_match(const char *pattern, struct gh_slice raw_path,
                               struct gh_slice captures[], size_t max, struct gh_arena *arena);

/* Decodes %XX; a broken escape or one that means NUL is false. Borrows when nothing was encoded. */
GH_MUST_USE bool gh_path_decode(struct gh_slice encoded, struct gh_arena *arena,
                                struct gh_slice *out);
#endif
