#include "base/arena.h"
#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_SIZE = 4096 };

struct gh_arena_chunk {
    struct gh_arena_chunk *next;
    size_t used, size;
    alignas(max_align_t) uint8_t data[];
};

void gh_arena_init(struct gh_arena *arena, size_t size_max)
{
    *arena = (struct gh_arena){.size_max = size_max};
}

void gh_arena_deinit(struct gh_arena *arena)
{
    gh_arena_reset(arena);
}

void gh_arena_reset(struct gh_arena *arena)
{
    while (arena->chunks != NULL) {
        struct gh_arena_chunk *next = arena->chunks->next;
        free(arena->chunks);
        arena->chunks = next;
    }
    arena->used = 0;
}

size_t gh_arena_held(const struct gh_arena *arena)
{
    size_t held = 0;
    for (const struct gh_arena_chunk *chunk = arena->chunks; chunk != NULL; chunk = chunk->next)
        held += sizeof *chunk + chunk->size;
    return held;
}

static bool add_chunk(struct gh_arena *arena, size_t size)
{
    size_t data_size = size > CHUNK_SIZE ? size : CHUNK_SIZE;
    struct gh_arena_chunk *chunk = malloc(sizeof *chunk + data_size);
    if (chunk == NULL)
        return false;
    *chunk = (struct gh_arena_chunk){.next = arena->chunks, .size = data_size};
    arena->chunks = chunk;
    return true;
}

void *gh_arena_alloc(struct gh_arena *arena, size_t size)
{
    size_t align = alignof(max_align_t);
    if (size > arena->size_max - arena->used)
        return NULL;
    size = (size + align - 1) / align * align;
    if (size > arena->size_max - arena->used)
        return NULL;
    if ((arena->chunks == NULL || arena->chunks->size - arena->chunks->used < size) &&
        !add_chunk(arena, size))
        return NULL;
    void *block = arena->chunks->data + arena->chunks->used;
    arena->chunks->used += size;
    arena->used += size;
    return memset(block, 0, size);
}

void *gh_arena_array(struct gh_arena *arena, size_t count, size_t size)
{
    size_t total;
    return __builtin_mul_overflow(count, size, &total) ? NULL : gh_arena_alloc(arena, total);
}

bool gh_arena_copy(struct gh_arena *arena, struct gh_slice from, struct gh_slice *out)
{
    *out = (struct gh_slice){0};
    if (from.size == 0)
        return true;
    void *block = gh_arena_alloc(arena, from.size);
    if (block == NULL)
        return false;
    *out = gh_slice(memcpy(block, from.data, from.size), from.size);
    return true;
}

char *gh_arena_text(struct gh_arena *arena, struct gh_slice from)
{
    char *text = from.size == SIZE_MAX ? NULL : gh_arena_alloc(arena, from.size + 1);
    if (text != NULL && from.size != 0)
        memcpy(text, from.data, from.size);
    return text;
}

char *gh_arena_print(struct gh_arena *arena, const char *format, ...)
{
    va_list values, again;
    va_start(values, format);
    va_copy(again, values);
    int size = vsnprintf(NULL, 0, format, values);
    char *text = size < 0 ? NULL : gh_arena_alloc(arena, (size_t)size + 1);
    if (text != NULL)
        vsnprintf(text, (size_t)size + 1, format, again);
    va_end(values);
    va_end(again);
    return text;
}
