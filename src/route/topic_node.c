#include "base/hash.h"
#include "route/topic_tree_internal.h"
#include "wire/mqtt/topic.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { CAPACITY_FIRST = 2, TAG_BYTES = 7 };

static_assert((GH_TOPIC_TREE_ARRAY_MAX & (GH_TOPIC_TREE_ARRAY_MAX - 1)) == 0,
              "capacities are powers of two");
static_assert(GH_MQTT_TOPIC_LEVELS_MAX <= UINT8_MAX && GH_MQTT_TOPIC_BYTES_MAX <= UINT16_MAX,
              "a label's size and levels fit their fields");

static bool is_level(struct gh_slice level, uint8_t wildcard)
{
    return level.size == 1 && level.data[0] == wildcard;
}

static size_t node_bytes(size_t label_size)
{
    size_t bytes = offsetof(struct gh_topic_node, label) + label_size;
    return bytes < sizeof(struct gh_topic_node) ? sizeof(struct gh_topic_node) : bytes;
}

struct gh_topic_node *gh_topic_node_new(struct gh_topic_tree *tree, struct gh_slice front,
                                        const struct gh_slice *back)
{
    size_t size = front.size + (back == NULL ? 0 : 1 + back->size);
    struct gh_topic_node *node = malloc(node_bytes(size));

    assert(size <= GH_MQTT_TOPIC_BYTES_MAX);
    if (node == NULL)
        return NULL;
    *node = (struct gh_topic_node){.size = (uint16_t)size};
    if (front.size > 0)
        memcpy(node->label, front.data, front.size);
    if (back != NULL)
        node->label[front.size] = '/';
    if (back != NULL && back->size > 0)
        memcpy(node->label + front.size + 1, back->data, back->size);
    /* In a valid filter both bytes stand for whole levels only. */
    struct gh_slice label = gh_topic_node_label(node);
    node->levels = (uint8_t)gh_mqtt_topic_levels(label);
    node->endless = size > 0 && label.data[size - 1] == '#';
    node->wild = node->endless || gh_slice_find(label, '+') < size;
    tree->bytes += node_bytes(size);
    return node;
}

void gh_topic_node_free(struct gh_topic_tree *tree, struct gh_topic_node *node)
{
    if (node == NULL)
        return;
    tree->bytes -= node_bytes(node->size);
    free(node);
}

struct gh_slice gh_topic_node_label(const struct gh_topic_node *node)
{
    return gh_slice(node->label, node->size);
}

void gh_topic_node_take(struct gh_topic_node *to, struct gh_topic_node *from)
{
    assert(to->entries == NULL);
    assert(to->branch == NULL);
    to->entries = from->entries;
    to->branch = from->branch;
    from->entries = NULL;
    from->branch = NULL;
    if (to->entries != NULL)
        to->entries->link = &to->entries;
}

struct gh_slice gh_topic_first_level(struct gh_slice piece)
{
    return gh_slice_sub(piece, 0, gh_slice_find(piece, '/'));
}

static size_t branch_bytes(uint32_t capacity)
{
    return sizeof(struct gh_topic_branch) + capacity * sizeof(struct gh_topic_slot);
}

static bool is_table(uint32_t capacity)
{
    return capacity > GH_TOPIC_TREE_ARRAY_MAX;
}

/* All of a short level, so that most comparisons in an array end without touching the child. */
static uint64_t array_tag(struct gh_slice level)
{
    uint64_t tag = 0;
    size_t size = level.size < TAG_BYTES ? level.size : TAG_BYTES;
    for (size_t i = 0; i < size; i++)
        tag = tag << 8 | level.data[i];
    return tag << 8 | (level.size < UINT8_MAX ? level.size : UINT8_MAX);
}

static uint64_t tag_for(const struct gh_topic_tree *tree, uint32_t capacity, struct gh_slice level)
{
    return is_table(capacity) ? gh_hash_sip(tree->key, level) : array_tag(level);
}

static bool begins_with(const struct gh_topic_node *child, struct gh_slice level)
{
    return child->size >= level.size &&
           (level.size == 0 || memcmp(child->label, level.data, level.size) == 0) &&
           (child->size == level.size || child->label[level.size] == '/');
}

static void place(struct gh_topic_branch *branch, uint64_t tag, struct gh_topic_node *child)
{
    uint32_t mask = branch->capacity - 1;
    uint32_t i = branch->count++;
    if (is_table(branch->capacity))
        for (i = (uint32_t)tag & mask; branch->slots[i].child != NULL;)
            i = (i + 1) & mask;
    assert(i < branch->capacity);
    branch->slots[i] = (struct gh_topic_slot){tag, child};
}

static bool resize(struct gh_topic_tree *tree, struct gh_topic_node *node, uint32_t capacity)
{
    struct gh_topic_branch *old = node->branch, *now = calloc(1, branch_bytes(capacity));
    if (now == NULL)
        return false;
    now->capacity = capacity;
    if (old != NULL) {
        bool keep = is_table(old->capacity) && is_table(capacity);
        now->plus = old->plus;
        now->rest = old->rest;
        for (uint32_t i = 0; i < old->capacity; i++) {
            struct gh_topic_slot *slot = &old->slots[i];
            if (slot->child == NULL)
                continue;
            struct gh_slice level = gh_topic_first_level(gh_topic_node_label(slot->child));
            place(now, keep ? slot->tag : tag_for(tree, capacity, level), slot->child);
        }
    }
    gh_topic_branch_free(tree, old);
    tree->bytes += branch_bytes(capacity);
    node->branch = now;
    return true;
}

bool gh_topic_branch_reserve(struct gh_topic_tree *tree, struct gh_topic_node *node, uint32_t count)
{
    uint32_t capacity = node->branch == NULL ? CAPACITY_FIRST : node->branch->capacity;
    uint64_t wanted = (node->branch == NULL ? 0 : node->branch->count) + (uint64_t)count;

    while (wanted > (is_table(capacity) ? capacity / 4 * 3 : capacity))
        capacity *= 2;
    return (node->branch != NULL && capacity == node->branch->capacity) ||
           resize(tree, node, capacity);
}

void gh_topic_branch_insert(const struct gh_topic_tree *tree, struct gh_topic_node *node,
                            struct gh_topic_node *child)
{
    struct gh_topic_branch *branch = node->branch;
    struct gh_slice level = gh_topic_first_level(gh_topic_node_label(child));

    if (is_level(level, '+'))
        branch->plus = child;
    else if (is_level(level, '#'))
        branch->rest = child;
    else
        place(branch, tag_for(tree, branch->capacity, level), child);
}

static struct gh_topic_node **table_find(struct gh_topic_branch *branch, uint64_t hash,
                                         struct gh_slice level)
{
    uint32_t mask = branch->capacity - 1;
    for (uint32_t i = (uint32_t)hash & mask;; i = (i + 1) & mask) {
        struct gh_topic_slot *slot = &branch->slots[i];
        if (slot->child == NULL)
            return NULL;
        if (slot->tag == hash && begins_with(slot->child, level))
            return &slot->child;
    }
}

static uint64_t hash_of(const struct gh_topic_tree *tree, struct gh_topic_level *level)
{
    if (!level->hashed)
        level->hash = gh_hash_sip(tree->key, level->text);
    level->hashed = true;
    return level->hash;
}

void gh_topic_branch_expect(const struct gh_topic_tree *tree, const struct gh_topic_branch *branch,
                            struct gh_topic_level *level)
{
    if (branch != NULL && is_table(branch->capacity))
        __builtin_prefetch(&branch->slots[(uint32_t)hash_of(tree, level) & (branch->capacity - 1)]);
}

struct gh_topic_node **gh_topic_branch_literal(const struct gh_topic_tree *tree,
                                               struct gh_topic_branch *branch,
                                               struct gh_topic_level *level)
{
    if (branch == NULL || branch->count == 0)
        return NULL;
    if (is_table(branch->capacity))
        return table_find(branch, hash_of(tree, level), level->text);
    uint64_t tag = array_tag(level->text);
    for (uint32_t i = 0; i < branch->count; i++) {
        struct gh_topic_slot *slot = &branch->slots[i];
        if (slot->tag == tag &&
            (level->text.size <= TAG_BYTES || begins_with(slot->child, level->text)))
            return &slot->child;
    }
    return NULL;
}

struct gh_topic_node **gh_topic_branch_find(const struct gh_topic_tree *tree,
                                            struct gh_topic_branch *branch, struct gh_slice level)
{
    struct gh_topic_level literal = {.text = level};
    if (branch == NULL)
        return NULL;
    if (is_level(level, '+'))
        return branch->plus == NULL ? NULL : &branch->plus;
    if (is_level(level, '#'))
        return branch->rest == NULL ? NULL : &branch->rest;
    return gh_topic_branch_literal(tree, branch, &literal);
}

/* Empties slot `i` and moves back what probing would no longer find behind the hole (Knuth, TAOCP
 * volume 3, 6.4, algorithm R). */
static void table_empty(struct gh_topic_branch *branch, uint32_t i)
{
    uint32_t mask = branch->capacity - 1;
    for (uint32_t j = (i + 1) & mask; branch->slots[j].child != NULL; j = (j + 1) & mask) {
        uint32_t home = (uint32_t)branch->slots[j].tag & mask;
        if (((j - home) & mask) < ((j - i) & mask))
            continue;
        branch->slots[i] = branch->slots[j];
        i = j;
    }
    branch->slots[i] = (struct gh_topic_slot){0};
}

static void slot_empty(struct gh_topic_branch *branch, struct gh_topic_node **place)
{
    struct gh_topic_slot *slot =
        (struct gh_topic_slot *)((char *)place - offsetof(struct gh_topic_slot, child));
    uint32_t i = (uint32_t)(slot - branch->slots), last = branch->count - 1;

    assert(i < branch->capacity);
    branch->count--;
    if (is_table(branch->capacity)) {
        table_empty(branch, i);
        return;
    }
    branch->slots[i] = branch->slots[last];
    branch->slots[last] = (struct gh_topic_slot){0};
}

void gh_topic_branch_drop(struct gh_topic_tree *tree, struct gh_topic_node *node,
                          struct gh_topic_node **place)
{
    struct gh_topic_branch *branch = node->branch;

    if (place == &branch->plus || place == &branch->rest)
        *place = NULL;
    else
        slot_empty(branch, place);
    if (gh_topic_branch_children(branch) == 0) {
        gh_topic_branch_free(tree, branch);
        node->branch = NULL;
    } else if (branch->capacity > CAPACITY_FIRST && branch->count < branch->capacity / 4) {
        (void)!resize(tree, node, branch->capacity / 2); /* without memory it stays large */
    }
}

size_t gh_topic_branch_children(const struct gh_topic_branch *branch)
{
    return branch == NULL
               ? 0
               : branch->count + (size_t)(branch->plus != NULL) + (size_t)(branch->rest != NULL);
}

struct gh_topic_node *gh_topic_branch_any(const struct gh_topic_branch *branch)
{
    struct gh_topic_node *child = branch->plus != NULL ? branch->plus : branch->rest;
    for (uint32_t i = 0; child == NULL; i++)
        child = branch->slots[i].child;
    return child;
}

void gh_topic_branch_free(struct gh_topic_tree *tree, struct gh_topic_branch *branch)
{
    if (branch == NULL)
        return;
    tree->bytes -= branch_bytes(branch->capacity);
    free(branch);
}
