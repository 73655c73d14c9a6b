/* Matching of one pattern. Chunks between runs are looked for from the left, which finds a match
 * where there is one: a run takes as little as it can, so nothing is ever tried twice. */
#include "policy/statement_internal.h"
#include <string.h>

uint64_t gh_pattern_head(struct gh_slice bytes)
{
    uint64_t head = 0;
    if (bytes.size >= sizeof head)
        memcpy(&head, bytes.data, sizeof head); /* of a size that the compiler knows: one load */
    else if (bytes.size > 0)
        memcpy(&head, bytes.data, bytes.size);
    return head;
}

static bool continues(uint8_t byte) /* a byte inside a UTF-8 character */
{
    return (byte & 0xc0u) == 0x80u;
}

/* Reads the chunk at the front of `bytes`; `*size` is how many bytes that took. */
static bool chunk_reads(struct gh_slice chunk, struct gh_slice bytes, size_t *size)
{
    size_t at = 0;
    for (size_t i = 0; i < chunk.size; i++) {
        if (at == bytes.size)
            return false;
        if (chunk.data[i] == '\0') {
            for (at++; at < bytes.size && continues(bytes.data[at]);)
                at++;
        } else if (chunk.data[i] == bytes.data[at]) {
            at++;
        } else {
            return false;
        }
    }
    *size = at;
    return true;
}

/* Reads the chunk at the end of `bytes`; `*at` is where it begins. */
static bool chunk_ends(struct gh_slice chunk, struct gh_slice bytes, size_t *at)
{
    size_t left = bytes.size;
    for (size_t i = chunk.size; i > 0; i--) {
        if (left == 0)
            return false;
        left--;
        if (chunk.data[i - 1] == '\0') {
            while (left > 0 && continues(bytes.data[left]))
                left--;
        } else if (chunk.data[i - 1] != bytes.data[left]) {
            return false;
        }
    }
    *at = left;
    return true;
}

/* Looks for the chunk; `*end` is where it ends. */
static bool chunk_find(const struct gh_chunk *how, struct gh_slice chunk, struct gh_slice bytes,
                       size_t *end)
{
    size_t size;
    if (!how->has_one) {
        const uint8_t *found =
            bytes.size == 0 ? NULL : memmem(bytes.data, bytes.size, chunk.data, chunk.size);
        if (found == NULL)
            return false;
        *end = (size_t)(found - bytes.data) + chunk.size;
        return true;
    }
    for (size_t at = 0; at < bytes.size; at++) {
        if (continues(bytes.data[at]) ||
            !chunk_reads(chunk, gh_slice_sub(bytes, at, bytes.size), &size))
            continue;
        *end = at + size;
        return true;
    }
    return false;
}

static struct gh_slice text_of(const struct gh_pattern_pool *pool, const struct gh_chunk *chunk)
{
    return gh_slice(pool->text + chunk->at, chunk->size);
}

/* Chunks with a run between each two; the first and the last one may be empty. */
static bool glob_matches(const struct gh_pattern_pool *pool, const struct gh_pattern *pattern,
                         struct gh_slice resource)
{
    const struct gh_chunk *chunks = pool->chunks + pattern->first;
    size_t front, back, last = pattern->count - 1;

    if (!chunk_reads(text_of(pool, &chunks[0]), resource, &front))
        return false;
    if (last == 0)
        return front == resource.size;
    if (!chunk_ends(text_of(pool, &chunks[last]), resource, &back) || back < front)
        return false;
    for (size_t i = 1; i < last; i++) {
        size_t end;
        if (!chunk_find(&chunks[i], text_of(pool, &chunks[i]),
                        gh_slice_sub(resource, front, back - front), &end))
            return false;
        front += end;
    }
    return true;
}

/* The head has been compared already. */
static bool form_matches(const struct gh_pattern_pool *pool, const struct gh_pattern *pattern,
                         struct gh_slice resource)
{
    struct gh_slice chunk;
    switch ((enum gh_pattern_form)pattern->form) {
    case GH_PATTERN_ANY:
        return true;
    case GH_PATTERN_EXACT:
        return gh_slice_equal(resource, text_of(pool, pool->chunks + pattern->first));
    case GH_PATTERN_PREFIX:
        chunk = text_of(pool, pool->chunks + pattern->first);
        return chunk.size <= sizeof pattern->head || gh_slice_starts(resource, chunk);
    case GH_PATTERN_GLOB:
        return glob_matches(pool, pattern, resource);
    case GH_PATTERN_NONE_OF:
        break;
    }
    return false;
}

bool gh_pattern_match(const struct gh_pattern_pool *pool, const struct gh_pattern *pattern,
                      struct gh_slice resource, uint64_t head)
{
    if (((head ^ pattern->head) & pattern->mask) != 0)
        return false;
    if (pattern->form != GH_PATTERN_NONE_OF)
        return form_matches(pool, pattern, resource);
    for (size_t i = 0; i < pattern->count; i++)
        if (gh_pattern_match(pool, pool->members + pattern->first + i, resource, head))
            return false;
    return true;
}
