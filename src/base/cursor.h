/* Cursor: reading forward through a slice. Every read either takes all it asks for or takes nothing
 * and says false; no read passes the end. What is taken borrows from the slice. Numbers are
 * big-endian, the order of MQTT and of the log. Threads: any. */
#ifndef GH_BASE_CURSOR_H
#define GH_BASE_CURSOR_H

#include "base/slice.h"

struct gh_cursor {
    struct gh_slice rest;
};

struct gh_cursor gh_cursor(struct gh_slice in);
static inline size_t gh_cursor_left(const struct gh_cursor *at)
{
    return at->rest.size;
}
/* Inline, as the numbers are: every packet is read with them. */
GH_MUST_USE static inline bool gh_cursor_take(struct gh_cursor *at, size_t size,
                                              struct gh_slice *out)
{
    if (size > at->rest.size)
        return false;
    *out = (struct gh_slice){size == 0 ? NULL : at->rest.data, size};
    size_t left = at->rest.size - size;
    at->rest = (struct gh_slice){left == 0 ? NULL : at->rest.data + size, left};
    return true;
}

/* A number of `size` bytes, for those below. */
__attribute__((always_inline)) GH_MUST_USE static inline bool
gh_cursor_number(struct gh_cursor *at, size_t size, uint64_t *out)
{
    struct gh_slice bytes;
    if (!gh_cursor_take(at, size, &bytes))
        return false;
    *out = 0;
    for (size_t i = 0; i < size; i++)
        *out = *out << 8 | bytes.data[i];
    return true;
}

GH_MUST_USE static inline bool gh_cursor_u8(struct gh_cursor *at, uint8_t *out)
{
    uint64_t value;
    bool there = gh_cursor_number(at, sizeof *out, &value);
    if (there)
        *out = (uint8_t)value;
    return there;
}

GH_MUST_USE static inline bool gh_cursor_u16(struct gh_cursor *at, uint16_t *out)
{
    uint64_t value;
    bool there = gh_cursor_number(at, sizeof *out, &value);
    if (there)
        *out = (uint16_t)value;
    return there;
}

GH_MUST_USE bool gh_cursor_u32(struct gh_cursor *at, uint32_t *out);
GH_MUST_USE bool gh_cursor_u64(struct gh_cursor *at, uint64_t *out);
/* A 16-bit length and that many bytes: MQTT's strings and binary data. */
GH_MUST_USE bool gh_cursor_take16(struct gh_cursor *at, struct gh_slice *out);
/* A 32-bit length and that many bytes: the log's and the store's fields. */
GH_MUST_USE bool gh_cursor_take32(struct gh_cursor *at, struct gh_slice *out);
#endif
