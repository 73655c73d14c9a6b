/* Topic tree: the subscriptions of one tenant, topic filters to sets of entries, and the question
 * of every PUBLISH: whose filter matches this topic (MQTT 3.1.1 and 5.0 §4.7)? An entry is a node
 * that the caller's subscription embeds; what it means is the caller's business, and so are shared
 * subscriptions (route/share.h): their filter comes here without its `$share/NAME/`.
 *
 * A radix tree over levels: a tree node holds as many levels as all filters below it have in
 * common, so that "devices/lamp/commands/#" costs one node beside the shared "devices". The literal
 * children of a node stand in an array, from GH_TOPIC_TREE_ARRAY_MAX on in a hash table with a
 * random SipHash key, so that a peer who chooses the names cannot choose the collisions. `+` and
 * `#` are found without a search.
 *
 * Cost. Adding and removing: the levels of the filter, whatever the number of entries under it; the
 * table of a node with n children is copied when it doubles or halves. Matching touches the tree
 * nodes whose path from the root matches the first levels of the topic, each once. At every level a
 * path goes on by the literal or by `+`, hence at most 2^(levels + 1) nodes, and never more than
 * there are in the tree, which is less than twice its different filters: who wants 2^k paths has to
 * subscribe to some 2^(k - 1) filters first. Bound the filters of a tenant, and the cost of a match
 * is bounded; it is returned, so that it can be measured and charged.
 *
 * Memory: tree nodes come from malloc; entries are the caller's. Matching allocates nothing, and
 * neither matching nor removing fails. Threads: the caller locks; matching changes nothing, so that
 * readers may share a lock. */
#ifndef GH_ROUTE_TOPIC_TREE_H
#define GH_ROUTE_TOPIC_TREE_H

#include "base/slice.h"

enum { GH_TOPIC_TREE_ARRAY_MAX = 8 };

/* Zeroed before it is added for the first time; it must stay where it is while it is in a tree, and
 * is under one filter of one tree at most. */
struct gh_topic_entry {
    struct gh_topic_entry *next;
    struct gh_topic_entry **link; /* what points to this entry; NULL: in no tree */
};

struct gh_topic_tree {
    struct gh_topic_node *root;
    size_t count, bytes;
    uint8_t key[16];
};

/* Takes no memory before the first entry. */
void gh_topic_tree_init(struct gh_topic_tree *tree);
/* Frees the nodes. Entries that are still there are forgotten and not touched. */
void gh_topic_tree_deinit(struct gh_topic_tree *tree);

/* `filter` is valid (gh_mqtt_filter_valid) and copied as far as needed; `entry` is in no tree.
 * False when there is no memory; the tree is as before then. */
GH_MUST_USE bool gh_topic_tree_add(struct gh_topic_tree *tree, struct gh_slice filter,
                                   struct gh_topic_entry *entry);
/* `filter` is the one that the entry was added with; branches that carry nothing any more are cut.
 * False when the entry is in no tree. */
bool gh_topic_tree_remove(struct gh_topic_tree *tree, struct gh_slice filter,
                          struct gh_topic_entry *entry);
static inline bool gh_topic_entry_added(const struct gh_topic_entry *entry)
{
    return entry->link != NULL;
}

/* Calls `visit` once for each entry whose filter matches `topic`, a valid topic name, in no order.
 * A leading wildcard never matches a name that begins with `$` [MQTT-4.7.2-1]. `visit` must not
 * change the tree. Returns the number of tree nodes touched. */
size_t gh_topic_tree_match(const struct gh_topic_tree *tree, struct gh_slice topic,
                           void (*visit)(void *context, struct gh_topic_entry *entry),
                           void *context);

/* Entries under all filters. */
size_t gh_topic_tree_count(const struct gh_topic_tree *tree);
/* What the tree has asked of malloc, without entries and malloc's own overhead. */
size_t gh_topic_tree_bytes(const struct gh_topic_tree *tree);
#endif
