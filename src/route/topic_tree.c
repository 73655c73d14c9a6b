#include "route/topic_tree.h"
#include "base/secret.h"
#include "route/topic_tree_internal.h"
#include "wire/mqtt/topic.h"
#include <assert.h>
#include <string.h>

void gh_topic_tree_init(struct gh_topic_tree *tree)
{
    *tree = (struct gh_topic_tree){0};
    gh_random(tree->key, sizeof tree->key);
}

/* As deep as there are levels, GH_MQTT_TOPIC_LEVELS_MAX at most. */
static void free_all(struct gh_topic_tree *tree, struct gh_topic_node *node)
{
    if (node == NULL)
        return;
    struct gh_topic_branch *branch = node->branch;
    if (branch != NULL) {
        free_all(tree, branch->plus);
        free_all(tree, branch->rest);
        for (uint32_t i = 0; i < branch->capacity; i++)
            free_all(tree, branch->slots[i].child);
    }
    gh_topic_branch_free(tree, branch);
    gh_topic_node_free(tree, node);
}

void gh_topic_tree_deinit(struct gh_topic_tree *tree)
{
    free_all(tree, tree->root);
    assert(tree->bytes == 0);
    tree->root = NULL;
    tree->count = 0;
}

size_t gh_topic_tree_count(const struct gh_topic_tree *tree)
{
    return tree->count;
}

size_t gh_topic_tree_bytes(const struct gh_topic_tree *tree)
{
    return tree->bytes;
}

/* Adding. */

static void hang(struct gh_topic_node *node, struct gh_topic_entry *entry)
{
    entry->next = node->entries;
    entry->link = &node->entries;
    if (entry->next != NULL)
        entry->next->link = &entry->next;
    node->entries = entry;
}

/* How many bytes at the front of both are levels that they share; the first level is one. */
static size_t common_size(struct gh_slice a, struct gh_slice b)
{
    size_t common = 0;
    for (size_t i = 0;; i++) {
        bool a_ends = i == a.size || a.data[i] == '/', b_ends = i == b.size || b.data[i] == '/';
        if (a_ends && b_ends)
            common = i;
        if (i == a.size || i == b.size || a.data[i] != b.data[i])
            return common;
    }
}

/* A new leaf under `node` for the levels in `piece`. */
static bool grow(struct gh_topic_tree *tree, struct gh_topic_node *node, struct gh_slice piece,
                 struct gh_topic_entry *entry)
{
    struct gh_topic_node *leaf = gh_topic_node_new(tree, piece, NULL);
    if (leaf == NULL || !gh_topic_branch_reserve(tree, node, 1)) {
        gh_topic_node_free(tree, leaf);
        return false;
    }
    gh_topic_branch_insert(tree, node, leaf);
    hang(leaf, entry);
    return true;
}

/* Cuts the node at `place` in two after the first `common` bytes of its label, which `piece` has
 * too, and hangs the entry on the upper half, or on a new leaf beside the lower. */
static bool split(struct gh_topic_tree *tree, struct gh_topic_node **place, size_t common,
                  struct gh_slice piece, struct gh_topic_entry *entry)
{
    struct gh_topic_node *node = *place, *leaf = NULL;
    struct gh_slice label = gh_topic_node_label(node);
    bool forks = common < piece.size;
    struct gh_topic_node *upper = gh_topic_node_new(tree, gh_slice_sub(label, 0, common), NULL);
    struct gh_topic_node *lower =
        gh_topic_node_new(tree, gh_slice_sub(label, common + 1, label.size), NULL);

    if (forks)
        leaf = gh_topic_node_new(tree, gh_slice_sub(piece, common + 1, piece.size), NULL);
    if (upper == NULL || lower == NULL || (forks && leaf == NULL) ||
        !gh_topic_branch_reserve(tree, upper, 2)) {
        gh_topic_node_free(tree, upper);
        gh_topic_node_free(tree, lower);
        gh_topic_node_free(tree, leaf);
        return false;
    }
    gh_topic_node_take(lower, node);
    gh_topic_branch_insert(tree, upper, lower);
    if (forks)
        gh_topic_branch_insert(tree, upper, leaf);
    hang(forks ? leaf : upper, entry);
    *place = upper;
    gh_topic_node_free(tree, node);
    return true;
}

static bool add(struct gh_topic_tree *tree, struct gh_slice filter, struct gh_topic_entry *entry)
{
    struct gh_topic_node *node = tree->root;
    for (size_t at = 0; at <= filter.size;) {
        struct gh_slice piece = gh_slice_sub(filter, at, filter.size);
        struct gh_topic_node **child =
            gh_topic_branch_find(tree, node->branch, gh_topic_first_level(piece));
        if (child == NULL)
            return grow(tree, node, piece, entry);
        size_t common = common_size(gh_topic_node_label(*child), piece);
        if (common < (*child)->size)
            return split(tree, child, common, piece, entry);
        node = *child;
        at += common + 1;
    }
    hang(node, entry);
    return true;
}

static void drop_root(struct gh_topic_tree *tree)
{
    gh_topic_node_free(tree, tree->root);
    tree->root = NULL;
}

bool gh_topic_tree_add(struct gh_topic_tree *tree, struct gh_slice filter,
                       struct gh_topic_entry *entry)
{
    assert(gh_mqtt_filter_valid(filter));
    assert(!gh_topic_entry_added(entry));
    if (tree->root == NULL) {
        tree->root = gh_topic_node_new(tree, (struct gh_slice){0}, NULL);
        if (tree->root == NULL)
            return false;
        tree->root->levels = 0;
    }
    if (!add(tree, filter, entry)) {
        if (tree->count == 0)
            drop_root(tree);
        return false;
    }
    tree->count++;
    return true;
}

/* Removing. */

struct path {
    struct gh_topic_node **places[GH_MQTT_TOPIC_LEVELS_MAX + 1];
    size_t depth; /* of the last one; 0 is the root */
};

static bool find(struct gh_topic_tree *tree, struct gh_slice filter, struct path *path)
{
    path->places[0] = &tree->root;
    path->depth = 0;
    if (tree->root == NULL)
        return false;
    for (size_t at = 0; at <= filter.size;) {
        struct gh_slice piece = gh_slice_sub(filter, at, filter.size);
        struct gh_topic_node **child = gh_topic_branch_find(
            tree, (*path->places[path->depth])->branch, gh_topic_first_level(piece));
        if (child == NULL || common_size(gh_topic_node_label(*child), piece) < (*child)->size)
            return false;
        path->places[++path->depth] = child;
        at += (size_t)(*child)->size + 1;
    }
    return true;
}

/* A node that only leads to its one child becomes one with it. Without memory it stays: that costs
 * a step, not an answer. */
static void fold(struct gh_topic_tree *tree, struct gh_topic_node **place)
{
    struct gh_topic_node *node = *place, *child = gh_topic_branch_any(node->branch);
    struct gh_slice tail = gh_topic_node_label(child);
    struct gh_topic_node *both = gh_topic_node_new(tree, gh_topic_node_label(node), &tail);

    if (both == NULL)
        return;
    gh_topic_node_take(both, child);
    *place = both;
    gh_topic_branch_free(tree, node->branch);
    gh_topic_node_free(tree, node);
    gh_topic_node_free(tree, child);
}

static void prune(struct gh_topic_tree *tree, struct path *path)
{
    for (; path->depth > 0; path->depth--) {
        struct gh_topic_node **place = path->places[path->depth], *node = *place;
        size_t children = gh_topic_branch_children(node->branch);
        if (node->entries != NULL || children > 1)
            return;
        if (children == 1) {
            fold(tree, place);
            return;
        }
        gh_topic_branch_drop(tree, *path->places[path->depth - 1], place);
        gh_topic_node_free(tree, node);
    }
    if (tree->root->branch == NULL)
        drop_root(tree);
}

bool gh_topic_tree_remove(struct gh_topic_tree *tree, struct gh_slice filter,
                          struct gh_topic_entry *entry)
{
    struct path path;
    if (!gh_topic_entry_added(entry) || !find(tree, filter, &path))
        return false;
    *entry->link = entry->next;
    if (entry->next != NULL)
        entry->next->link = entry->link;
    *entry = (struct gh_topic_entry){0};
    tree->count--;
    prune(tree, &path);
    return true;
}

/* Matching: depth first, with a stack of what is still to be visited. A step takes one node off and
 * puts two on at most, which are one level further: the stack has no more than levels + 1. */

enum { NO_MATCH = GH_MQTT_TOPIC_LEVELS_MAX + 1 };

struct match {
    const struct gh_topic_tree *tree;
    struct gh_slice topic;
    void (*visit)(void *context, struct gh_topic_entry *entry);
    void *context;
    size_t levels, touched, depth;
    struct {
        const struct gh_topic_node *node;
        size_t level; /* how many of the topic's levels the path to it has matched */
    } stack[GH_MQTT_TOPIC_LEVELS_MAX + 2];
    struct gh_topic_level level[GH_MQTT_TOPIC_LEVELS_MAX];
};

static void cut_levels(struct match *match)
{
    const uint8_t *at = match->topic.data, *end = at + match->topic.size, *slash;
    match->levels = 0;
    do {
        assert(match->levels < GH_MQTT_TOPIC_LEVELS_MAX);
        for (slash = at; slash < end && *slash != '/';)
            slash++;
        struct gh_topic_level *level = &match->level[match->levels++];
        level->text = gh_slice(at, (size_t)(slash - at));
        level->hashed = false;
        at = slash + 1;
    } while (slash < end);
}

static void visit_all(struct match *match, const struct gh_topic_node *node)
{
    for (struct gh_topic_entry *entry = node->entries, *next; entry != NULL; entry = next) {
        next = entry->next;
        match->visit(match->context, entry);
    }
}

/* The label level by level: how many of the topic's are matched after it. */
static size_t follow_wild(const struct match *match, const struct gh_topic_node *node, size_t level)
{
    const uint8_t *at = node->label, *end = at + node->size, *slash;
    for (;; at = slash + 1, level++) {
        for (slash = at; slash < end && *slash != '/';)
            slash++;
        struct gh_slice want = gh_slice(at, (size_t)(slash - at));
        if (want.size == 1 && *at == '#')
            return match->levels;
        if (level == match->levels ||
            (!(want.size == 1 && *at == '+') && !gh_slice_equal(want, match->level[level].text)))
            return NO_MATCH;
        if (slash == end)
            return level + 1;
    }
}

/* Without wildcards the label stands in the topic as it is. */
static size_t follow(const struct match *match, const struct gh_topic_node *node, size_t level)
{
    if (node->wild)
        return follow_wild(match, node, level);
    const uint8_t *at = match->level[level].text.data;
    size_t left = (size_t)(match->topic.data + match->topic.size - at);
    if (left < node->size || memcmp(at, node->label, node->size) != 0 ||
        (left > node->size && at[node->size] != '/'))
        return NO_MATCH;
    return level + node->levels;
}

static void enter(struct match *match, const struct gh_topic_node *node, size_t level)
{
    match->touched++;
    level = follow(match, node, level);
    if (level == NO_MATCH)
        return;
    if (node->endless) {
        visit_all(match, node);
        return;
    }
    if (level < match->levels)
        gh_topic_branch_expect(match->tree, node->branch, &match->level[level]);
    assert(match->depth < GH_COUNT(match->stack));
    match->stack[match->depth].node = node;
    match->stack[match->depth++].level = level;
}

static void step(struct match *match, const struct gh_topic_node *node, size_t level)
{
    struct gh_topic_branch *branch = node->branch;
    /* The root's wildcards are the leading ones. */
    bool wildcards = node->levels > 0 || match->topic.data[0] != '$';

    if (level == match->levels)
        visit_all(match, node);
    if (branch == NULL)
        return;
    if (wildcards && branch->rest != NULL) { /* `a/#` matches `a` too */
        match->touched++;
        visit_all(match, branch->rest);
    }
    if (level == match->levels)
        return;
    if (wildcards && branch->plus != NULL)
        enter(match, branch->plus, level);
    struct gh_topic_node **child =
        gh_topic_branch_literal(match->tree, branch, &match->level[level]);
    if (child != NULL)
        enter(match, *child, level);
}

size_t gh_topic_tree_match(const struct gh_topic_tree *tree, struct gh_slice topic,
                           void (*visit)(void *context, struct gh_topic_entry *entry),
                           void *context)
{
    __attribute__((uninitialized)) struct match match; /* 6 KiB, of which little is used */

    assert(topic.size > 0);
    if (tree->root == NULL)
        return 0;
    match.tree = tree;
    match.topic = topic;
    match.visit = visit;
    match.context = context;
    match.touched = 1;
    cut_levels(&match);
    match.depth = 1;
    match.stack[0].node = tree->root;
    match.stack[0].level = 0;
    while (match.depth > 0) {
        match.depth--;
        step(&match, match.stack[match.depth].node, match.stack[match.depth].level);
    }
    return match.touched;
}
