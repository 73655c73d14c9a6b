/* The automata of reach: patterns as nodes in a row, sets of nodes as bits. A set is always closed:
 * where a run stands, what follows it stands in the set too. Letters are code points. */
#ifndef GH_POLICY_REACH_INTERNAL_H
#define GH_POLICY_REACH_INTERNAL_H

#include "policy/reach.h"
#include "policy/statement_internal.h"

enum gh_node_kind { GH_NODE_LETTER, GH_NODE_ONE, GH_NODE_RUN, GH_NODE_END };

struct gh_node {
    uint32_t letter;
    uint16_t group; /* 0: the pattern is an alternative; else a member of that NotResource */
    uint8_t kind;
};

/* Any number of patterns side by side. It accepts where an alternative has ended, or where no
 * member of some group has. */
struct gh_automaton {
    struct gh_node *nodes;
    size_t count, capacity, words; /* words: of a set */
    uint16_t groups;
    uint64_t *start, *ends, *forever; /* sets: at the beginning; ends of alternatives; the runs that
                                       * close an alternative */
    bool memory_failed, odd;          /* odd: a pattern that is no UTF-8, or too many nodes */
};

void gh_automaton_deinit(struct gh_automaton *automaton);
void gh_automaton_patterns(struct gh_automaton *automaton, const struct gh_pattern_list *list);
/* One alternative. */
void gh_automaton_pattern(struct gh_automaton *automaton, const struct gh_pattern_pool *pool,
                          const struct gh_pattern *pattern);
void gh_automaton_text(struct gh_automaton *automaton, struct gh_slice text);
/* Makes the sets, when all patterns are in. */
void gh_automaton_finish(struct gh_automaton *automaton);

/* `to` (zeroed) gets the set after `letter`. */
void gh_automaton_step(const struct gh_automaton *automaton, const uint64_t *from, uint32_t letter,
                       uint64_t *to);
bool gh_automaton_accepts(const struct gh_automaton *automaton, const uint64_t *set);
/* It accepts whatever follows. */
bool gh_automaton_for_ever(const struct gh_automaton *automaton, const uint64_t *set);
/* Makes all sets that accept whatever follows the same one. */
void gh_automaton_settle(const struct gh_automaton *automaton, uint64_t *set);
/* It will never accept. */
bool gh_automaton_dead(const struct gh_automaton *automaton, const uint64_t *set);

/* --- the cover: all topics that some filter of the automaton matches, read letter by letter of the
 * topic while the filter is guessed beside it --- */

size_t gh_cover_words(const struct gh_automaton *filters);
void gh_cover_start(const struct gh_automaton *filters, uint64_t *set);
void gh_cover_step(const struct gh_automaton *filters, const uint64_t *from, uint32_t letter,
                   uint64_t *to);
bool gh_cover_accepts(const struct gh_automaton *filters, const uint64_t *set);
#endif
