#include "route/retained_tree.h"
#include "base/secret.h"
#include "wire/mqtt/topic.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { HEIGHT_MAX = GH_RETAINED_TREE_HEIGHT_MAX };

/* The pointers to the following nodes come first, `height` of them; the topic's bytes come last. */
struct gh_retained_node {
    void *value;
    uint16_t size;
    uint8_t height;
    struct gh_retained_node *next[]; /* and behind them the topic */
};

static size_t node_bytes(size_t height, size_t topic_size)
{
    return sizeof(struct gh_retained_node) + height * sizeof(struct gh_retained_node *) +
           topic_size;
}

static struct gh_slice topic_of(const struct gh_retained_node *node)
{
    return gh_slice(node->next + node->height, node->size);
}

void gh_retained_tree_init(struct gh_retained_tree *tree)
{
    *tree = (struct gh_retained_tree){0};
    gh_random(&tree->random, sizeof tree->random);
}

void gh_retained_tree_deinit(struct gh_retained_tree *tree)
{
    for (struct gh_retained_node *node = tree->first[0], *next; node != NULL; node = next) {
        next = node->next[0];
        free(node);
    }
    memset(tree->first, 0, sizeof tree->first);
    tree->count = tree->bytes = 0;
}

size_t gh_retained_tree_count(const struct gh_retained_tree *tree)
{
    return tree->count;
}

size_t gh_retained_tree_bytes(const struct gh_retained_tree *tree)
{
    return tree->bytes;
}

/* A place in the order, which need not be a topic: the pieces one after the other. */
struct place {
    struct gh_slice pieces[3];
};

static struct place place_of(struct gh_slice topic)
{
    return (struct place){{topic}};
}

/* `/` sorts as 0, which no topic contains. */
static int byte_order(uint8_t a, uint8_t b)
{
    return (a == '/' ? 0 : a) - (b == '/' ? 0 : b);
}

/* How many bytes at the front are the same. */
static size_t same_bytes(const uint8_t *a, const uint8_t *b, size_t size)
{
    size_t same = 0;
    for (uint64_t x, y; same + sizeof x <= size; same += sizeof x) {
        memcpy(&x, a + same, sizeof x);
        memcpy(&y, b + same, sizeof y);
        if (x != y)
            break;
    }
    while (same < size && a[same] == b[same])
        same++;
    return same;
}

/* Negative, zero, positive: the topic stands before, at, after the place. */
static int compare(struct gh_slice topic, const struct place *place)
{
    for (size_t i = 0; i < GH_COUNT(place->pieces); i++) {
        struct gh_slice piece = place->pieces[i];
        if (piece.size == 0)
            continue;
        size_t size = topic.size < piece.size ? topic.size : piece.size;
        size_t same = same_bytes(topic.data, piece.data, size);
        if (same < size)
            return byte_order(topic.data[same], piece.data[same]);
        if (size < piece.size)
            return -1;
        topic = gh_slice_sub(topic, size, topic.size);
    }
    return topic.size > 0;
}

/* The last node before the place at every height, as the pointer to its follower. */
struct trail {
    struct gh_retained_node **links[HEIGHT_MAX];
};

/* The first node at the place or behind it (`behind`: only behind); NULL when there is none. */
static struct gh_retained_node *seek(const struct gh_retained_tree *tree, const struct place *place,
                                     bool behind, struct trail *trail)
{
    struct gh_retained_node *const *links = tree->first, *known = NULL;
    for (size_t height = HEIGHT_MAX; height-- > 0;) {
        struct gh_retained_node *node;
        while ((node = links[height]) != known) { /* what stopped us one higher stops us here too */
            if (compare(topic_of(node), place) >= (int)behind) {
                known = node;
                break;
            }
            links = node->next;
        }
        if (trail != NULL)
            trail->links[height] = (struct gh_retained_node **)&links[height];
    }
    return known;
}

static struct gh_retained_node *find(const struct gh_retained_tree *tree, struct gh_slice topic,
                                     struct trail *trail)
{
    struct place place = place_of(topic);
    struct gh_retained_node *node = seek(tree, &place, false, trail);
    return node != NULL && gh_slice_equal(topic_of(node), topic) ? node : NULL;
}

/* 1 three times in four, 2 three times in sixteen, and so on: by splitmix64 (Steele, Lea, Flood
 * 2014), whose seed nobody outside knows. */
static uint8_t height_drawn(struct gh_retained_tree *tree)
{
    uint64_t x = tree->random += UINT64_C(0x9e3779b97f4a7c15);
    uint8_t height = 1;
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    x ^= x >> 31;
    for (; height < HEIGHT_MAX && (x & 3) == 0; x >>= 2)
        height++;
    return height;
}

bool gh_retained_tree_put(struct gh_retained_tree *tree, struct gh_slice topic, void *value,
                          void **before)
{
    struct trail trail;
    struct gh_retained_node *node = find(tree, topic, &trail);

    assert(gh_mqtt_topic_valid(topic));
    assert(value != NULL);
    if (before != NULL)
        *before = node == NULL ? NULL : node->value;
    if (node != NULL) {
        node->value = value;
        return true;
    }
    uint8_t height = height_drawn(tree);
    node = malloc(node_bytes(height, topic.size));
    if (node == NULL)
        return false;
    *node =
        (struct gh_retained_node){.value = value, .size = (uint16_t)topic.size, .height = height};
    memcpy(node->next + height, topic.data, topic.size);
    for (size_t i = 0; i < height; i++) {
        node->next[i] = *trail.links[i];
        *trail.links[i] = node;
    }
    tree->count++;
    tree->bytes += node_bytes(height, topic.size);
    return true;
}

void *gh_retained_tree_get(const struct gh_retained_tree *tree, struct gh_slice topic)
{
    struct gh_retained_node *node = find(tree, topic, NULL);
    return node == NULL ? NULL : node->value;
}

static void *take_out(struct gh_retained_tree *tree, struct gh_retained_node *node,
                      const struct trail *trail)
{
    void *value = node->value;
    for (size_t i = 0; i < node->height; i++)
        *trail->links[i] = node->next[i];
    tree->count--;
    tree->bytes -= node_bytes(node->height, node->size);
    free(node);
    return value;
}

void *gh_retained_tree_remove(struct gh_retained_tree *tree, struct gh_slice topic)
{
    struct trail trail;
    struct gh_retained_node *node = find(tree, topic, &trail);
    return node == NULL ? NULL : take_out(tree, node, &trail);
}

void *gh_retained_tree_pop(struct gh_retained_tree *tree)
{
    struct trail trail;
    for (size_t i = 0; i < HEIGHT_MAX; i++)
        trail.links[i] = &tree->first[i];
    return tree->first[0] == NULL ? NULL : take_out(tree, tree->first[0], &trail);
}

/* The walk. Every topic looked at either matches, or tells where the next one that can match is. */

enum verdict {
    MATCHES,
    ELSEWHERE, /* nothing before `*next` matches */
    FOLLOWS,   /* the next topic may */
    NOTHING,   /* no topic behind this one matches */
};

static bool is_level(struct gh_slice level, uint8_t wildcard)
{
    return level.size == 1 && level.data[0] == wildcard;
}

static struct gh_slice level_at(struct gh_slice topic, size_t at)
{
    struct gh_slice rest = gh_slice_sub(topic, at, topic.size);
    return gh_slice_sub(rest, 0, gh_slice_find(rest, '/'));
}

/* The levels of the filter from `at` to the first wildcard. */
static struct gh_slice literal_run(struct gh_slice filter, size_t at)
{
    size_t end = at;
    while (end <= filter.size) {
        struct gh_slice level = level_at(filter, end);
        if (is_level(level, '+') || is_level(level, '#'))
            break;
        end += level.size + 1;
    }
    return end == at ? (struct gh_slice){0} : gh_slice_sub(filter, at, end - 1 - at);
}

/* Behind everything under the topic's first `size` bytes: no topic contains what sorts between. */
static enum verdict behind_branch(struct gh_slice topic, size_t size, struct place *next)
{
    *next = (struct place){{gh_slice_sub(topic, 0, size), GH_SLICE("\x01")}};
    return ELSEWHERE;
}

/* The topic ends, and the filter goes on at `want_at`, not with `#`: what matches is below. */
static enum verdict below(struct gh_slice filter, size_t want_at, struct gh_slice topic,
                          struct place *next)
{
    struct gh_slice run = literal_run(filter, want_at);
    if (is_level(level_at(filter, want_at), '+'))
        return FOLLOWS;
    *next = (struct place){{topic, GH_SLICE("/"), run}};
    return ELSEWHERE;
}

static enum verdict look(struct gh_slice filter, struct gh_slice topic, struct place *next)
{
    size_t want_at = 0, at = 0, plus_end = 0; /* where the last level that `+` matched ends */
    bool plus = false;

    if (topic.data[0] == '$' && (filter.data[0] == '+' || filter.data[0] == '#')) {
        *next = place_of(GH_SLICE("%")); /* the byte after `$` */
        return ELSEWHERE;
    }
    for (; want_at <= filter.size; want_at = want_at + level_at(filter, want_at).size + 1) {
        struct gh_slice want = level_at(filter, want_at);
        if (is_level(want, '#'))
            return MATCHES;
        if (at > topic.size)
            return below(filter, want_at, topic, next);
        struct gh_slice level = level_at(topic, at);
        if (is_level(want, '+')) {
            plus = true;
            plus_end = at + level.size;
        } else if (!gh_slice_equal(level, want)) {
            if (gh_slice_compare(level, want) > 0)
                return plus ? behind_branch(topic, plus_end, next) : NOTHING;
            *next = (struct place){{gh_slice_sub(topic, 0, at), literal_run(filter, want_at)}};
            return ELSEWHERE;
        }
        at += level.size + 1;
    }
    if (at > topic.size)
        return MATCHES;
    return plus ? behind_branch(topic, plus_end, next) : NOTHING;
}

struct gh_slice gh_retained_tree_walk(const struct gh_retained_tree *tree, struct gh_slice filter,
                                      struct gh_slice after, size_t looks_max,
                                      bool (*visit)(void *context, struct gh_slice topic,
                                                    void *value),
                                      void *context)
{
    struct place next = place_of(after.size > 0 ? after : literal_run(filter, 0));
    enum verdict verdict = after.size > 0 ? look(filter, after, &next) : ELSEWHERE;
    struct gh_retained_node *node =
        verdict == NOTHING ? NULL : seek(tree, &next, verdict != ELSEWHERE, NULL);
    struct gh_slice last = after;

    assert(filter.size > 0);
    assert(looks_max > 0);
    for (size_t looks = 0; node != NULL; looks++) {
        if (looks == looks_max)
            return last;
        last = topic_of(node);
        verdict = look(filter, last, &next);
        if (verdict == NOTHING)
            break;
        if (verdict == MATCHES && !visit(context, last, node->value))
            return last;
        if (verdict == ELSEWHERE) {
            assert(compare(last, &next) < 0);
            node = seek(tree, &next, false, NULL);
        } else {
            node = node->next[0];
        }
    }
    return (struct gh_slice){0};
}
