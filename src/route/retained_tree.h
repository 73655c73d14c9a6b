/* Retained tree: the retained messages of one tenant, exact topics to values, and the walk over
 * those that match a new subscription's filter (MQTT 3.1.1 and 5.0 §3.3.1.3, §4.7). What a value is
 * (a message, its place in the log) is the caller's business.
 *
 * A skip list sorted by topic, chosen because it is at once the exact index (about 2 log2 n
 * comparisons, at heights that no peer can choose) and an order in which a walk can stop and go on
 * by nothing but the last topic, whatever came and went meanwhile; a tree of levels would need a
 * sorted container in every node for the same. `/` sorts before every other byte, so that a topic
 * is followed at once by all topics below it: a walk jumps to the literal levels of its filter and
 * past the branches that cannot match, and does not scan what lies between.
 *
 * Memory: topics are copied, one malloc per topic. Walking allocates nothing. Threads: the caller
 * locks; get and walk change nothing, so that readers may share a lock. */
#ifndef GH_ROUTE_RETAINED_TREE_H
#define GH_ROUTE_RETAINED_TREE_H

#include "base/slice.h"

enum { GH_RETAINED_TREE_HEIGHT_MAX = 12 }; /* a quarter goes one higher: good for 4^12 topics */

struct gh_retained_tree {
    struct gh_retained_node *first[GH_RETAINED_TREE_HEIGHT_MAX];
    size_t count, bytes;
    uint64_t random;
};

void gh_retained_tree_init(struct gh_retained_tree *tree);
/* Frees the topics; the values are the caller's: take them out first, by gh_retained_tree_pop. */
void gh_retained_tree_deinit(struct gh_retained_tree *tree);

/* Replaces; the value before (or NULL) goes to `*before` unless that is NULL. `topic` is valid
 * (gh_mqtt_topic_valid), `value` is not NULL. False when there is no memory; the tree is as before
 * then. Replacing needs no memory. */
GH_MUST_USE bool gh_retained_tree_put(struct gh_retained_tree *tree, struct gh_slice topic,
                                      void *value, void **before);
/* NULL when it is not there. */
void *gh_retained_tree_get(const struct gh_retained_tree *tree, struct gh_slice topic);
/* Returns the value, or NULL when it was not there. */
void *gh_retained_tree_remove(struct gh_retained_tree *tree, struct gh_slice topic);
/* Removes and returns any value; NULL when the tree is empty. */
void *gh_retained_tree_pop(struct gh_retained_tree *tree);

/* Calls `visit` for the values whose topic matches `filter` (valid), in the order of the tree,
 * beginning after the topic `after` (valid, or empty: at the start; it need not be in the tree),
 * until `visit` says false or `looks_max` (1 or more) topics have been looked at, matching or not.
 * A leading wildcard never matches a topic that begins with `$` [MQTT-4.7.2-1]. `visit` must not
 * change the tree.
 *
 * Returns the topic to go on after, borrowed until the tree changes: copy it and call again. Empty
 * when the walk is at its end. A topic that stays in the tree from the first call to the last is
 * visited exactly once. */
struct gh_slice gh_retained_tree_walk(const struct gh_retained_tree *tree, struct gh_slice filter,
                                      struct gh_slice after, size_t looks_max,
                                      bool (*visit)(void *context, struct gh_slice topic,
                                                    void *value),
                                      void *context);

size_t gh_retained_tree_count(const struct gh_retained_tree *tree);
/* What the tree has asked of malloc, without the values and malloc's own overhead. */
size_t gh_retained_tree_bytes(const struct gh_retained_tree *tree);
#endif
