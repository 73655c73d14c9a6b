#include "policy/statement_internal.h"
#include <stdlib.h>
#include <string.h>

enum { RARITY_BITS = 10, WORD_BITS = 32 };

static uint32_t gram_read(const uint8_t *at)
{
    uint32_t gram;
    memcpy(&gram, at, sizeof gram);
    return gram;
}

static uint32_t gram_hash(uint32_t gram)
{
    return gram * UINT32_C(2654435761); /* Knuth 6.4: the upper bits are mixed best */
}

static bool is_literal(const uint8_t *gram)
{
    for (size_t i = 0; i < GH_INDEX_GRAM; i++)
        if (gram[i] == 0 || gram[i] >= GH_VARIABLE_BYTE)
            return false;
    return true;
}

/* The next four letters in a row of the pattern from `*chunk` and `*at` on; NULL at the end. */
static const uint8_t *gram_next(const struct gh_pattern_pool *pool,
                                const struct gh_pattern *pattern, size_t *chunk, size_t *at)
{
    if (pattern->form == GH_PATTERN_NONE_OF)
        return NULL;
    for (; *chunk < pattern->count; ++*chunk, *at = 0) {
        const struct gh_chunk *in = &pool->chunks[pattern->first + *chunk];
        for (; *at + GH_INDEX_GRAM <= in->size; ++*at) {
            const uint8_t *text = pool->text + in->at + *at;
            if (in->is_special && !is_literal(text))
                continue;
            ++*at;
            return text;
        }
    }
    return NULL;
}

/* Puts the pattern under the gram that fewest share. */
static void key(const struct gh_pattern_pool *pool, const struct gh_pattern *patterns, size_t which,
                const uint16_t *rarity, struct gh_pattern_index *out)
{
    size_t chunk = 0, at = 0;
    const uint8_t *text;
    uint32_t best = 0, least = UINT32_MAX;
    while ((text = gram_next(pool, &patterns[which], &chunk, &at)) != NULL) {
        uint32_t gram = gram_read(text),
                 shared = rarity[gram_hash(gram) >> (WORD_BITS - RARITY_BITS)];
        if (shared < least) {
            least = shared;
            best = gram;
        }
    }
    uint16_t *slot =
        least == UINT32_MAX ? &out->unkeyed : &out->slots[gram_hash(best) >> out->shift];
    out->entries[which] = (struct gh_index_entry){.gram = best, .next = *slot};
    *slot = (uint16_t)(which + 1);
}

bool gh_pattern_index_make(const struct gh_pattern_pool *pool, const struct gh_pattern *patterns,
                           size_t count, struct gh_pattern_index *out)
{
    *out = (struct gh_pattern_index){0};
    if (count < GH_INDEX_PATTERNS_MIN || count > GH_INDEX_PATTERNS_MAX)
        return true;
    unsigned bits = 5;
    while (((size_t)1 << bits) < 2 * count)
        bits++;
    uint16_t *rarity = calloc((size_t)1 << RARITY_BITS, sizeof *rarity);
    out->entries =
        calloc(1, count * sizeof *out->entries + ((size_t)1 << bits) * sizeof *out->slots);
    if (rarity == NULL || out->entries == NULL) {
        free(rarity);
        gh_pattern_index_free(out);
        return false;
    }
    out->slots = (uint16_t *)(out->entries + count);
    out->shift = WORD_BITS - bits;
    for (size_t i = 0; i < count; i++) {
        size_t chunk = 0, at = 0;
        const uint8_t *text;
        while ((text = gram_next(pool, &patterns[i], &chunk, &at)) != NULL) {
            uint16_t *shared = &rarity[gram_hash(gram_read(text)) >> (WORD_BITS - RARITY_BITS)];
            *shared = *shared == UINT16_MAX ? UINT16_MAX : (uint16_t)(*shared + 1);
        }
    }
    for (size_t i = count; i-- > 0;) /* so that the first pattern is the first of its slot */
        key(pool, patterns, i, rarity, out);
    free(rarity);
    return true;
}

void gh_pattern_index_free(struct gh_pattern_index *index)
{
    free(index->entries);
    *index = (struct gh_pattern_index){0};
}

const struct gh_pattern *gh_pattern_index_find(const struct gh_pattern_index *index,
                                               const struct gh_pattern_pool *pool,
                                               const struct gh_pattern *patterns,
                                               const struct gh_probe *probe)
{
    for (uint16_t at = index->unkeyed; at != 0; at = index->entries[at - 1].next)
        if (gh_pattern_matches(pool, &patterns[at - 1], probe))
            return &patterns[at - 1];
    for (size_t i = 0; i + GH_INDEX_GRAM <= probe->resource.size; i++) {
        uint32_t gram = gram_read(probe->resource.data + i);
        uint16_t at = index->slots[gram_hash(gram) >> index->shift];
        for (; at != 0; at = index->entries[at - 1].next)
            if (index->entries[at - 1].gram == gram &&
                gh_pattern_matches(pool, &patterns[at - 1], probe))
                return &patterns[at - 1];
    }
    return NULL;
}
