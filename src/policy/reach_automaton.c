#include "policy/reach_internal.h"
#include "wire/utf8.h"
#include <stdlib.h>
#include <string.h>

enum { BITS = 64 };

static void mark(uint64_t *set, size_t node)
{
    set[node / BITS] |= UINT64_C(1) << node % BITS;
}

/* The next node of the set from `*at` on; false at the end. */
static bool next_of(const uint64_t *set, size_t words, size_t *at)
{
    for (size_t word = *at / BITS; word < words; word++) {
        uint64_t bits = set[word];
        if (word == *at / BITS)
            bits &= ~UINT64_C(0) << *at % BITS;
        if (bits != 0) {
            *at = word * BITS + (size_t)__builtin_ctzll(bits);
            return true;
        }
    }
    return false;
}

/* --- building --- */

void gh_automaton_deinit(struct gh_automaton *automaton)
{
    free(automaton->nodes);
    free(automaton->start);
    *automaton = (struct gh_automaton){0};
}

static void node_add(struct gh_automaton *automaton, struct gh_node node)
{
    if (automaton->count >= GH_REACH_NODES_MAX)
        automaton->odd = true;
    if (automaton->odd || automaton->memory_failed)
        return;
    if (automaton->count == automaton->capacity) {
        size_t capacity = automaton->capacity == 0 ? 64 : automaton->capacity * 2;
        struct gh_node *nodes = realloc(automaton->nodes, capacity * sizeof *nodes);
        if (nodes == NULL) {
            automaton->memory_failed = true;
            return;
        }
        automaton->nodes = nodes;
        automaton->capacity = capacity;
    }
    automaton->nodes[automaton->count++] = node;
}

/* The letters of valid UTF-8; NUL is `?` where `chunk` says so. */
static void letters_add(struct gh_automaton *automaton, struct gh_slice text, bool chunk,
                        uint16_t group)
{
    automaton->odd |= !gh_utf8_valid(text);
    for (size_t i = 0; i < text.size && !automaton->odd;) {
        uint8_t first = text.data[i++];
        uint32_t letter = first < 0x80   ? first
                          : first < 0xe0 ? first & 0x1fu
                          : first < 0xf0 ? first & 0x0fu
                                         : first & 0x07u;
        for (; i < text.size && (text.data[i] & 0xc0u) == 0x80u; i++)
            letter = letter << 6 | (text.data[i] & 0x3fu);
        bool one = chunk && letter == 0;
        node_add(automaton, (struct gh_node){.letter = letter,
                                             .group = group,
                                             .kind = one ? GH_NODE_ONE : GH_NODE_LETTER});
    }
}

static void pattern_add(struct gh_automaton *automaton, const struct gh_pattern_pool *pool,
                        const struct gh_pattern *pattern, uint16_t group)
{
    for (size_t i = 0; i < pattern->count; i++) {
        const struct gh_chunk *chunk = &pool->chunks[pattern->first + i];
        if (i > 0)
            node_add(automaton, (struct gh_node){.group = group, .kind = GH_NODE_RUN});
        letters_add(automaton, gh_slice(pool->text + chunk->at, chunk->size), true, group);
    }
    node_add(automaton, (struct gh_node){.group = group, .kind = GH_NODE_END});
}

void gh_automaton_pattern(struct gh_automaton *automaton, const struct gh_pattern_pool *pool,
                          const struct gh_pattern *pattern)
{
    pattern_add(automaton, pool, pattern, 0);
}

void gh_automaton_patterns(struct gh_automaton *automaton, const struct gh_pattern_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct gh_pattern *pattern = &list->items[i];
        if (pattern->form != GH_PATTERN_NONE_OF) {
            pattern_add(automaton, &list->pool, pattern, 0);
            continue;
        }
        automaton->odd |= automaton->groups == UINT16_MAX;
        automaton->groups++;
        for (size_t m = 0; m < pattern->count; m++)
            pattern_add(automaton, &list->pool, &list->pool.members[pattern->first + m],
                        automaton->groups);
    }
}

void gh_automaton_text(struct gh_automaton *automaton, struct gh_slice text)
{
    letters_add(automaton, text, false, 0);
    node_add(automaton, (struct gh_node){.kind = GH_NODE_END});
}

/* Puts the node into the set, and what a run there lets follow. */
static void enter(const struct gh_automaton *automaton, uint64_t *set, size_t node)
{
    mark(set, node);
    if (automaton->nodes[node].kind == GH_NODE_RUN)
        mark(set, node + 1); /* never a second run */
}

void gh_automaton_finish(struct gh_automaton *automaton)
{
    automaton->words = (automaton->count + BITS - 1) / BITS;
    automaton->start = calloc(3 * automaton->words + 1, sizeof *automaton->start);
    if (automaton->start == NULL) {
        automaton->memory_failed = true;
        return;
    }
    automaton->ends = automaton->start + automaton->words;
    automaton->forever = automaton->ends + automaton->words;
    for (size_t i = 0; i < automaton->count; i++) {
        const struct gh_node *node = &automaton->nodes[i];
        if (i == 0 || node[-1].kind == GH_NODE_END)
            enter(automaton, automaton->start, i);
        if (node->kind == GH_NODE_END && node->group == 0) {
            mark(automaton->ends, i);
            if (i > 0 && node[-1].kind == GH_NODE_RUN)
                mark(automaton->forever, i - 1);
        }
    }
}

/* --- reading --- */

/* Where the node leads with the letter; false: nowhere. */
static bool leads(const struct gh_automaton *automaton, size_t node, uint32_t letter, size_t *to)
{
    const struct gh_node *from = &automaton->nodes[node];
    *to = from->kind == GH_NODE_RUN ? node : node + 1;
    return from->kind == GH_NODE_RUN || from->kind == GH_NODE_ONE ||
           (from->kind == GH_NODE_LETTER && from->letter == letter);
}

void gh_automaton_step(const struct gh_automaton *automaton, const uint64_t *from, uint32_t letter,
                       uint64_t *to)
{
    size_t next;
    for (size_t at = 0; next_of(from, automaton->words, &at); at++)
        if (leads(automaton, at, letter, &next))
            enter(automaton, to, next);
}

static bool group_accepts(const struct gh_automaton *automaton, const uint64_t *set, uint16_t group)
{
    for (size_t at = 0; next_of(set, automaton->words, &at); at++)
        if (automaton->nodes[at].group == group && automaton->nodes[at].kind == GH_NODE_END)
            return false;
    return true;
}

bool gh_automaton_accepts(const struct gh_automaton *automaton, const uint64_t *set)
{
    for (size_t i = 0; i < automaton->words; i++)
        if ((set[i] & automaton->ends[i]) != 0)
            return true;
    for (uint16_t group = 1; group <= automaton->groups && group != 0; group++)
        if (group_accepts(automaton, set, group))
            return true;
    return false;
}

bool gh_automaton_for_ever(const struct gh_automaton *automaton, const uint64_t *set)
{
    for (size_t i = 0; i < automaton->words; i++)
        if ((set[i] & automaton->forever[i]) != 0)
            return true;
    return false;
}

void gh_automaton_settle(const struct gh_automaton *automaton, uint64_t *set)
{
    for (size_t i = 0; i < automaton->words; i++) {
        uint64_t runs = set[i] & automaton->forever[i];
        if (runs == 0)
            continue;
        memset(set, 0, automaton->words * sizeof *set);
        enter(automaton, set, i * BITS + (size_t)__builtin_ctzll(runs));
        return;
    }
}

bool gh_automaton_dead(const struct gh_automaton *automaton, const uint64_t *set)
{
    if (automaton->groups > 0)
        return false;
    for (size_t i = 0; i < automaton->words; i++)
        if (set[i] != 0)
            return false;
    return true;
}

/* --- the cover --- */

/* Where the guessed filter is: at the beginning of the topic, at the beginning of a level, inside
 * one that is read letter by letter, behind a +. Behind a # nothing is left to guess. */
enum { FIRST, LEVEL, INSIDE, PLUS, PLACES };

size_t gh_cover_words(const struct gh_automaton *filters)
{
    return PLACES * filters->words + 1;
}

void gh_cover_start(const struct gh_automaton *filters, uint64_t *set)
{
    memcpy(set, filters->start, filters->words * sizeof *set);
}

/* The filter may end at the node. */
static bool ends_at(const struct gh_automaton *filters, size_t node)
{
    const struct gh_node *at = &filters->nodes[node];
    return at->kind == GH_NODE_END || (at->kind == GH_NODE_RUN && at[1].kind == GH_NODE_END);
}

/* `call` for the node and, where it is a run, for what follows. */
#define EACH_CLOSED(filters, node, each)                                                           \
    for (size_t each = (node);                                                                     \
         each <= (node) + ((filters)->nodes[node].kind == GH_NODE_RUN ? 1 : 0); each++)

static bool ends_with_hash(const struct gh_automaton *filters, size_t node)
{
    size_t next;
    return leads(filters, node, '#', &next) && ends_at(filters, next);
}

/* The filter may end here, or with "/#", when the topic does. */
static bool ends_with_level(const struct gh_automaton *filters, size_t node)
{
    size_t next;
    if (filters->nodes[node].kind == GH_NODE_END)
        return true;
    if (!leads(filters, node, '/', &next))
        return false;
    EACH_CLOSED(filters, next, each)
    {
        if (ends_with_hash(filters, each))
            return true;
    }
    return false;
}

static void slash(const struct gh_automaton *filters, size_t node, uint64_t *to)
{
    size_t next;
    if (leads(filters, node, '/', &next))
        enter(filters, to + LEVEL * filters->words, next);
}

/* The topic's `letter` while the filter at the node is at the beginning of a level. */
static void level_step(const struct gh_automaton *filters, size_t node, uint32_t letter,
                       uint64_t *to)
{
    size_t next;
    if (ends_with_hash(filters, node))
        to[PLACES * filters->words] = 1;
    if (!leads(filters, node, '+', &next))
        return;
    if (letter != '/') {
        enter(filters, to + PLUS * filters->words, next);
        return;
    }
    EACH_CLOSED(filters, next, each)
    {
        slash(filters, each, to);
    }
}

static void place_step(const struct gh_automaton *filters, int place, size_t node, uint32_t letter,
                       uint64_t *to)
{
    size_t next;
    if (place == PLUS && letter == '/')
        slash(filters, node, to);
    else if (place == PLUS)
        mark(to + PLUS * filters->words, node);
    else if (leads(filters, node, letter, &next))
        enter(filters, to + (letter == '/' ? LEVEL : INSIDE) * filters->words, next);
    if (place == LEVEL || (place == FIRST && letter != '$'))
        level_step(filters, node, letter, to);
}

void gh_cover_step(const struct gh_automaton *filters, const uint64_t *from, uint32_t letter,
                   uint64_t *to)
{
    size_t words = filters->words;
    to[PLACES * words] = from[PLACES * words];
    for (int place = 0; place < PLACES; place++)
        for (size_t at = 0; next_of(from + (size_t)place * words, words, &at); at++)
            place_step(filters, place, at, letter, to);
    if (to[PLACES * words] != 0) /* settled: what follows does not matter */
        memset(to, 0, PLACES * words * sizeof *to);
}

static bool place_accepts(const struct gh_automaton *filters, int place, size_t node)
{
    size_t next;
    if (ends_with_level(filters, node))
        return true;
    if (place != LEVEL)
        return false;
    if (ends_with_hash(filters, node))
        return true;
    if (!leads(filters, node, '+', &next))
        return false;
    EACH_CLOSED(filters, next, each)
    {
        if (ends_with_level(filters, each))
            return true;
    }
    return false;
}

bool gh_cover_accepts(const struct gh_automaton *filters, const uint64_t *set)
{
    size_t words = filters->words;
    if (set[PLACES * words] != 0)
        return true;
    for (int place = LEVEL; place < PLACES; place++)
        for (size_t at = 0; next_of(set + (size_t)place * words, words, &at); at++)
            if (place_accepts(filters, place, at))
                return true;
    return false;
}
