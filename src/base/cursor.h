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
GH_MUST_USE bool gh_cursor_u8(struct gh_cursor *at, uint8_t *out);
GH_MUST_USE bool gh_cursor_u16(struct gh_cursor *at, uint16_t *out);
GH_MUST_USE bool gh_cursor_u32(struct gh_cursor *at, uint32_t *out);
GH_MUST_USE bool gh_cursor_u64(struct gh_cursor *at, uint64_t *out);
GH_MUST_USE bool gh_cursor_take(struct gh_cursor *at, size_t size, struct gh_slice *out);
/* A 16-bit length and that many bytes: MQTT's strings and binary data. */
GH_MUST_USE bool gh_cursor_take16(struct gh_cursor *at, struct gh_slice *out);
/* A 32-bit length and that many bytes: the log's and the store's fields. */
GH_MUST_USE bool gh_cursor_take32(struct gh_cursor *at, struct gh_slice *out);
#endif
