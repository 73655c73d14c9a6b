#include "base/buffer.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CAPACITY_FIRST = 256 };

void gh_buffer_init(struct gh_buffer *buffer, size_t size_max)
{
    *buffer = (struct gh_buffer){.size_max = size_max};
}

struct gh_buffer gh_buffer_fixed(void *block, size_t size)
{
    return (struct gh_buffer){.data = block, .capacity = size, .size_max = size, .fixed = true};
}

void gh_buffer_deinit(struct gh_buffer *buffer)
{
    gh_buffer_release(buffer);
}

struct gh_buffer *gh_buffer_new(size_t size_max)
{
    struct gh_buffer *buffer = malloc(sizeof *buffer);
    if (buffer != NULL)
        gh_buffer_init(buffer, size_max);
    return buffer;
}

void gh_buffer_free(struct gh_buffer *buffer)
{
    if (buffer != NULL)
        gh_buffer_deinit(buffer);
    free(buffer);
}

void gh_buffer_clear(struct gh_buffer *buffer)
{
    buffer->size = 0;
    buffer->overflow = false;
}

void gh_buffer_release(struct gh_buffer *buffer)
{
    if (!buffer->fixed) {
        free(buffer->data);
        buffer->data = NULL;
        buffer->capacity = 0;
    }
    gh_buffer_clear(buffer);
}

struct gh_slice gh_buffer_slice(const struct gh_buffer *buffer)
{
    return gh_slice(buffer->data, buffer->size);
}

static bool grow(struct gh_buffer *buffer, size_t needed)
{
    size_t capacity = buffer->capacity < CAPACITY_FIRST ? CAPACITY_FIRST : buffer->capacity;
    if (buffer->fixed)
        return false;
    while (capacity < needed)
        capacity *= 2;
    uint8_t *data = realloc(buffer->data, capacity);
    if (data == NULL)
        return false;
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

uint8_t *gh_buffer_reserve_more(struct gh_buffer *buffer, size_t size)
{
    if (buffer->overflow || size > buffer->size_max - buffer->size ||
        (buffer->size + size > buffer->capacity && !grow(buffer, buffer->size + size)) ||
        (buffer->data == NULL && !grow(buffer, 1))) {
        buffer->overflow = true;
        return NULL;
    }
    return buffer->data + buffer->size;
}

void gh_buffer_commit(struct gh_buffer *buffer, size_t size)
{
    assert(size <= buffer->capacity - buffer->size);
    buffer->size += size;
}

void gh_buffer_drop(struct gh_buffer *buffer, size_t size)
{
    assert(size <= buffer->size);
    buffer->size -= size;
    if (buffer->size != 0)
        memmove(buffer->data, buffer->data + size, buffer->size);
    if (size != 0)
        memset(buffer->data + buffer->size, 0, size);
}

bool gh_buffer_put(struct gh_buffer *buffer, struct gh_slice bytes)
{
    uint8_t *to = gh_buffer_reserve(buffer, bytes.size);
    if (to == NULL)
        return false;
    if (bytes.size != 0)
        memcpy(to, bytes.data, bytes.size);
    buffer->size += bytes.size;
    return true;
}

bool gh_buffer_u32(struct gh_buffer *buffer, uint32_t value)
{
    return gh_buffer_number(buffer, value, 4);
}

bool gh_buffer_u64(struct gh_buffer *buffer, uint64_t value)
{
    return gh_buffer_number(buffer, value, 8);
}

bool gh_buffer_put16(struct gh_buffer *buffer, struct gh_slice bytes)
{
    if (bytes.size > UINT16_MAX)
        buffer->overflow = true;
    return gh_buffer_u16(buffer, (uint16_t)bytes.size) && gh_buffer_put(buffer, bytes);
}

bool gh_buffer_put32(struct gh_buffer *buffer, struct gh_slice bytes)
{
    if (bytes.size > UINT32_MAX)
        buffer->overflow = true;
    return gh_buffer_u32(buffer, (uint32_t)bytes.size) && gh_buffer_put(buffer, bytes);
}

bool gh_buffer_print(struct gh_buffer *buffer, const char *format, ...)
{
    va_list values, again;
    va_start(values, format);
    va_copy(again, values);
    int size = vsnprintf(NULL, 0, format, values);
    va_end(values);
    /* One byte more for vsnprintf's NUL, which the next append overwrites. */
    uint8_t *to = size < 0 ? NULL : gh_buffer_reserve(buffer, (size_t)size + 1);
    if (to != NULL) {
        vsnprintf((char *)to, (size_t)size + 1, format, again);
        buffer->size += (size_t)size;
    } else {
        buffer->overflow = true;
    }
    va_end(again);
    return to != NULL;
}
