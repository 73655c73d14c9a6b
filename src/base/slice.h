/* Slice: bytes that somebody else owns, pointer and length, never NUL-terminated. Everything that
 * came over a wire, out of a file or out of the store is passed as a slice; how long it stays valid
 * is said by whoever hands it out. An empty slice may have a NULL pointer. Threads: any. */
#ifndef GH_BASE_SLICE_H
#define GH_BASE_SLICE_H

#include "base/attributes.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gh_slice {
    const uint8_t *data;
    size_t size;
};

/* A slice over a string literal; GH_SLICE_INIT is the same as the initialiser of a static one. */
#define GH_SLICE_INIT(literal)                                                                     \
    {                                                                                              \
        (const uint8_t *)("" literal), sizeof(literal) - 1                                         \
    }
#define GH_SLICE(literal) ((struct gh_slice)GH_SLICE_INIT(literal))
/* For printf: "%.*s" with GH_PRINT(slice). */
#define GH_PRINT(slice) (int)(slice).size, (const char *)(slice).data

struct gh_slice gh_slice(const void *data, size_t size);
/* The bytes of a NUL-terminated string, without its NUL; empty for NULL. */
struct gh_slice gh_slice_text(const char *text);

bool gh_slice_equal(struct gh_slice a, struct gh_slice b);
/* Byte order; negative, zero or positive, as memcmp. */
int gh_slice_compare(struct gh_slice a, struct gh_slice b);
bool gh_slice_starts(struct gh_slice whole, struct gh_slice prefix);
bool gh_slice_ends(struct gh_slice whole, struct gh_slice suffix);
/* ASCII letters match in either case. */
bool gh_slice_equal_nocase(struct gh_slice a, struct gh_slice b);
/* `from` and `size` are cut to what is there. */
struct gh_slice gh_slice_sub(struct gh_slice whole, size_t from, size_t size);
/* Index of the first `byte`, or `whole.size`. */
size_t gh_slice_find(struct gh_slice whole, uint8_t byte);
/* Cuts the part before the first `separator` off the front of `rest` and drops the separator.
 * Without a separator yields all of it and leaves `rest` empty. */
struct gh_slice gh_slice_split(struct gh_slice *rest, uint8_t separator);
/* Decimal digits only, no sign or space, at most UINT64_MAX; false otherwise. */
GH_MUST_USE bool gh_slice_to_u64(struct gh_slice text, uint64_t *out);
#endif
