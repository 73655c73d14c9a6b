/* Arena: the memory of one request. Blocks are handed out and never freed one by one; reset gives
 * all of them back at once. `size_max` is a ceiling: past it, or when the system has no memory, an
 * allocation is NULL, which refuses the one piece of work. Threads: one at a time. */
#ifndef GH_BASE_ARENA_H
#define GH_BASE_ARENA_H

#include "base/slice.h"

struct gh_arena {
    struct gh_arena_chunk *chunks;
    size_t used, size_max;
};

void gh_arena_init(struct gh_arena *arena, size_t size_max);
void gh_arena_deinit(struct gh_arena *arena);
/* Gives everything back; the arena can be used again. */
void gh_arena_reset(struct gh_arena *arena);

/* Bytes of the heap behind it: more than is used, as it takes whole chunks. */
size_t gh_arena_held(const struct gh_arena *arena);

/* Zeroed, aligned for any type; NULL at the ceiling. */
GH_MUST_USE void *gh_arena_alloc(struct gh_arena *arena, size_t size);
GH_MUST_USE void *gh_arena_array(struct gh_arena *arena, size_t count, size_t size);
/* A copy that lives as long as the arena; false at the ceiling, `*out` empty then. */
GH_MUST_USE bool gh_arena_copy(struct gh_arena *arena, struct gh_slice from, struct gh_slice *out);
/* A NUL-terminated copy, for libraries that want one; NULL at the ceiling. */
GH_MUST_USE char *gh_arena_text(struct gh_arena *arena, struct gh_slice from);
/* NULL at the ceiling. */
GH_MUST_USE char *gh_arena_print(struct gh_arena *arena, const char *format, ...) GH_PRINTF(2, 3);
#endif
