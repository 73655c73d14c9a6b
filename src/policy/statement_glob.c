/* Matching of one pattern. Chunks between runs are looked for from the left, which finds a match
 * where there is one: a run takes as little as it can, so nothing is ever tried twice. */
#include "policy/statement_internal.h"
#include <string.h>

uint64_t gh_probe_pair(uint8_t first, uint8_t second)
{
    uint32_t mixed = ((uint32_t)first << 8 | second) * UINT32_C(2654435761); /* Knuth 6.4 */
    return UINT64_C(1) << (mixed >> 26);
}

struct gh_probe gh_probe(struct gh_slice resource)
{
    struct gh_probe probe = {.resource = resource, .pairs = ~UINT64_C(0)};
    size_t word = sizeof probe.head;
    if (resource.size >= word) {
        memcpy(&probe.head, resource.data, word); /* of a known size: one load */
        memcpy(&probe.tail, resource.data + resource.size - word, word);
    } else if (resource.size > 0) {
        memcpy(&probe.head, resource.data, resource.size);
        memcpy((uint8_t *)&probe.tail + word - resource.size, resource.data, resource.size);
    }
    return probe;
}

void gh_probe_read_pairs(struct gh_probe *probe)
{
    if (probe->pairs != ~UINT64_C(0))
        return;
    probe->pairs = 0;
    for (size_t i = 1; i < probe->resource.size; i++)
        probe->pairs |= gh_probe_pair(probe->resource.data[i - 1], probe->resource.data[i]);
}

static bool continues(uint8_t byte) /* a byte inside a UTF-8 character */
{
    return (byte & 0xc0u) == 0x80u;
}

static struct gh_slice text_of(const struct gh_pattern_pool *pool, const struct gh_chunk *chunk)
{
    return gh_slice(pool->text + chunk->at, chunk->size);
}

/* What stands in place of a byte of a chunk, when that is a variable's; NULL: it is a letter. */
static const struct gh_slice *value_at(const struct gh_pattern_pool *pool, uint8_t byte)
{
    return byte < GH_VARIABLE_BYTE || pool->values == NULL ? NULL
                                                           : &pool->values[byte - GH_VARIABLE_BYTE];
}

/* Reads the chunk at the front of `bytes`; `*size` is how many bytes that took. */
static bool chunk_reads(const struct gh_pattern_pool *pool, struct gh_slice chunk,
                        struct gh_slice bytes, size_t *size)
{
    size_t at = 0;
    for (size_t i = 0; i < chunk.size; i++) {
        const struct gh_slice *value = value_at(pool, chunk.data[i]);
        if (at == bytes.size)
            return false;
        if (value != NULL) {
            if (!gh_slice_starts(gh_slice_sub(bytes, at, bytes.size), *value))
                return false;
            at += value->size;
        } else if (chunk.data[i] == '\0') {
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
static bool chunk_ends(const struct gh_pattern_pool *pool, struct gh_slice chunk,
                       struct gh_slice bytes, size_t *at)
{
    size_t left = bytes.size;
    for (size_t i = chunk.size; i > 0; i--) {
        const struct gh_slice *value = value_at(pool, chunk.data[i - 1]);
        if (left == 0)
            return false;
        if (value != NULL) {
            if (!gh_slice_ends(gh_slice_sub(bytes, 0, left), *value))
                return false;
            left -= value->size;
            continue;
        }
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
static bool chunk_find(const struct gh_pattern_pool *pool, const struct gh_chunk *how,
                       struct gh_slice bytes, size_t *end)
{
    struct gh_slice chunk = text_of(pool, how);
    size_t size;
    if (!how->is_special) {
        const uint8_t *found =
            bytes.size == 0 ? NULL : memmem(bytes.data, bytes.size, chunk.data, chunk.size);
        if (found == NULL)
            return false;
        *end = (size_t)(found - bytes.data) + chunk.size;
        return true;
    }
    for (size_t at = 0; at < bytes.size; at++) {
        if ((chunk.data[0] == '\0' && continues(bytes.data[at])) ||
            !chunk_reads(pool, chunk, gh_slice_sub(bytes, at, bytes.size), &size))
            continue;
        *end = at + size;
        return true;
    }
    return false;
}

/* Chunks with a run between each two; the first and the last one may be empty. */
static bool glob_matches(const struct gh_pattern_pool *pool, const struct gh_pattern *pattern,
                         struct gh_slice resource)
{
    const struct gh_chunk *chunks = pool->chunks + pattern->first;
    size_t front, back, last = pattern->count - 1;

    if (!chunk_reads(pool, text_of(pool, &chunks[0]), resource, &front))
        return false;
    if (last == 0)
        return front == resource.size;
    if (!chunk_ends(pool, text_of(pool, &chunks[last]), resource, &back) || back < front)
        return false;
    for (size_t i = 1; i < last; i++) {
        size_t end;
        if (!chunk_find(pool, &chunks[i], gh_slice_sub(resource, front, back - front), &end))
            return false;
        front += end;
    }
    return true;
}

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

static bool can_match(const struct gh_pattern *pattern, const struct gh_probe *probe)
{
    return (((probe->head ^ pattern->head) & pattern->head_mask) |
            ((probe->tail ^ pattern->tail) & pattern->tail_mask) |
            (pattern->pairs & ~probe->pairs)) == 0;
}

bool gh_pattern_matches(const struct gh_pattern_pool *pool, const struct gh_pattern *pattern,
                        const struct gh_probe *probe)
{
    if (!can_match(pattern, probe))
        return false;
    return pattern->form == GH_PATTERN_NONE_OF
               ? gh_patterns_find(pool, pool->members + pattern->first, pattern->count, probe) ==
                     NULL
               : form_matches(pool, pattern, probe->resource);
}

const struct gh_pattern *gh_patterns_find(const struct gh_pattern_pool *pool,
                                          const struct gh_pattern *patterns, size_t count,
                                          const struct gh_probe *probe)
{
    for (size_t i = 0; i < count; i++)
        if (gh_pattern_matches(pool, &patterns[i], probe))
            return &patterns[i];
    return NULL;
}
