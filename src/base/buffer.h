/* Buffer: the bounded writer. Bytes are appended up to `size_max`; what does not fit sets
 * `overflow`, writes nothing, and every later append is refused too, so that a run of appends is
 * checked once at its end. Grows by doubling; memory comes from malloc, or is the caller's own
 * block (gh_buffer_fixed, which never grows). Numbers are big-endian. Threads: one at a time. */
#ifndef GH_BASE_BUFFER_H
#define GH_BASE_BUFFER_H

#include "base/slice.h"

struct gh_buffer {
    uint8_t *data;
    size_t size, capacity, size_max;
    bool fixed, overflow;
};

void gh_buffer_init(struct gh_buffer *buffer, size_t size_max);
/* Over the caller's block; deinit does nothing. */
struct gh_buffer gh_buffer_fixed(void *block, size_t size);
void gh_buffer_deinit(struct gh_buffer *buffer);
/* A block of its own; NULL without memory. */
GH_MUST_USE struct gh_buffer *gh_buffer_new(size_t size_max);
void gh_buffer_free(struct gh_buffer *buffer); /* NULL is allowed */
/* Empties it and clears `overflow`; keeps the memory. */
void gh_buffer_clear(struct gh_buffer *buffer);
/* Empties it and gives its memory back. */
void gh_buffer_release(struct gh_buffer *buffer);
/* Borrowed until the next append. */
struct gh_slice gh_buffer_slice(const struct gh_buffer *buffer);

/* Of gh_buffer_reserve, when there is no room yet. */
GH_MUST_USE uint8_t *gh_buffer_reserve_more(struct gh_buffer *buffer, size_t size);
/* `size` writable bytes at the end, counted once gh_buffer_commit says how many were used; NULL on
 * overflow. */
GH_MUST_USE static inline uint8_t *gh_buffer_reserve(struct gh_buffer *buffer, size_t size)
{
    bool there = size <= buffer->capacity - buffer->size &&
                 size <= buffer->size_max - buffer->size && buffer->capacity != 0 &&
                 !buffer->overflow;
    return there ? buffer->data + buffer->size : gh_buffer_reserve_more(buffer, size);
}
void gh_buffer_commit(struct gh_buffer *buffer, size_t size);
/* Drops `size` bytes at the front, and wipes the room that they leave. */
void gh_buffer_drop(struct gh_buffer *buffer, size_t size);

bool gh_buffer_put(struct gh_buffer *buffer, struct gh_slice bytes);
/* Inline for those below and each size: then it is one store. */
__attribute__((always_inline)) static inline bool gh_buffer_number(struct gh_buffer *buffer,
                                                                   uint64_t value, size_t size)
{
    uint8_t *to = gh_buffer_reserve(buffer, size);
    for (size_t i = 0; to != NULL && i < size; i++)
        to[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
    buffer->size += to != NULL ? size : 0;
    return to != NULL;
}
static inline bool gh_buffer_u8(struct gh_buffer *buffer, uint8_t value)
{
    return gh_buffer_number(buffer, value, sizeof value);
}
static inline bool gh_buffer_u16(struct gh_buffer *buffer, uint16_t value)
{
    return gh_buffer_number(buffer, value, sizeof value);
}
bool gh_buffer_u32(struct gh_buffer *buffer, uint32_t value);
bool gh_buffer_u64(struct gh_buffer *buffer, uint64_t value);
/* With a length before the bytes; refused when the length does not fit. */
bool gh_buffer_put16(struct gh_buffer *buffer, struct gh_slice bytes);
bool gh_buffer_put32(struct gh_buffer *buffer, struct gh_slice bytes);
bool gh_buffer_print(struct gh_buffer *buffer, const char *format, ...) GH_PRINTF(2, 3);
#endif
