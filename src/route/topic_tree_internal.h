/* The nodes of the topic tree and the container of their children, for topic_tree.c alone. */
#ifndef GH_ROUTE_TOPIC_TREE_INTERNAL_H
#define GH_ROUTE_TOPIC_TREE_INTERNAL_H

#include "route/topic_tree.h"

/* `label` is the piece of a filter between the parent's and the children's: whole levels with their
 * separators between, one at least but for the root. A `#` ends its filter, hence such a node has
 * no children. Every node but the root carries entries or has two children or more, except where a
 * fold found no memory. */
struct gh_topic_node {
    struct gh_topic_entry *entries;
    struct gh_topic_branch *branch; /* NULL: no children */
    uint16_t size;
    uint8_t levels;   /* of the label; 0: the root */
    bool wild : 1;    /* some level is a wildcard */
    bool endless : 1; /* the last one is `#` */
    uint8_t label[];
};

/* An array in no order, or a table with linear probing: tag is the level's first bytes and size
 * there, its keyed hash here. */
struct gh_topic_slot {
    uint64_t tag;
    struct gh_topic_node *child; /* NULL: empty */
};

struct gh_topic_branch {
    struct gh_topic_node *plus, *rest; /* the children that begin with `+`, with `#` */
    uint32_t count, capacity;          /* of the slots; above GH_TOPIC_TREE_ARRAY_MAX a table */
    struct gh_topic_slot slots[];
};

/* One level of a topic. Its hash is made when a table asks for it first, and once only, however
 * many nodes ask. */
struct gh_topic_level {
    struct gh_slice text;
    uint64_t hash;
    bool hashed;
};

/* A node with the label `front`, or "front/back" when there is a `back`; NULL when there is no
 * memory. */
struct gh_topic_node *gh_topic_node_new(struct gh_topic_tree *tree, struct gh_slice front,
                                        const struct gh_slice *back);
/* Entries and children are left alone; NULL is nothing. */
void gh_topic_node_free(struct gh_topic_tree *tree, struct gh_topic_node *node);
struct gh_slice gh_topic_node_label(const struct gh_topic_node *node);
/* What hangs on `from` hangs on `to` afterwards, which had nothing. */
void gh_topic_node_take(struct gh_topic_node *to, struct gh_topic_node *from);
/* The level at the front of a piece of a filter. */
struct gh_slice gh_topic_first_level(struct gh_slice piece);

/* Makes room for `count` more children; false when there is no memory. */
GH_MUST_USE bool gh_topic_branch_reserve(struct gh_topic_tree *tree, struct gh_topic_node *node,
                                         uint32_t count);
/* There is room, and no child that begins with the same level. */
void gh_topic_branch_insert(const struct gh_topic_tree *tree, struct gh_topic_node *node,
                            struct gh_topic_node *child);
/* The place of the child that begins with the literal level; NULL when there is none. */
struct gh_topic_node **gh_topic_branch_literal(const struct gh_topic_tree *tree,
                                               struct gh_topic_branch *branch,
                                               struct gh_topic_level *level);
/* The same will be asked soon: begins to fetch what it reads, so that two branches are waited for
 * once. */
void gh_topic_branch_expect(const struct gh_topic_tree *tree, const struct gh_topic_branch *branch,
                            struct gh_topic_level *level);
/* The same for any level of a filter. */
struct gh_topic_node **gh_topic_branch_find(const struct gh_topic_tree *tree,
                                            struct gh_topic_branch *branch, struct gh_slice level);
/* Takes out the child at `place`; gives memory back when it pays. */
void gh_topic_branch_drop(struct gh_topic_tree *tree, struct gh_topic_node *node,
                          struct gh_topic_node **place);
size_t gh_topic_branch_children(const struct gh_topic_branch *branch);
/* Some child, of which there is one at least. */
struct gh_topic_node *gh_topic_branch_any(const struct gh_topic_branch *branch);
void gh_topic_branch_free(struct gh_topic_tree *tree, struct gh_topic_branch *branch);
#endif
