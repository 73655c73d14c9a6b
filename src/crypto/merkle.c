#include "crypto/merkle.h"
#include <assert.h>
#include <string.h>

enum { ROW_MAX = 4096 }; /* of a chained row: more than its canonical form can be */

/* SHA-256 over a mark and two pieces. */
static struct gh_merkle_hash hash(uint8_t mark, struct gh_slice first, struct gh_slice second)
{
    uint8_t block[1 + GH_SHA256_BYTES + ROW_MAX];
    struct gh_merkle_hash out;
    assert(first.size + second.size < sizeof block);
    block[0] = mark;
    if (first.size > 0)
        memcpy(block + 1, first.data, first.size);
    if (second.size > 0)
        memcpy(block + 1 + first.size, second.data, second.size);
    gh_sha256(gh_slice(block, 1 + first.size + second.size), out.bytes);
    return out;
}

static struct gh_slice bytes_of(const struct gh_merkle_hash *node)
{
    return gh_slice(node->bytes, sizeof node->bytes);
}

struct gh_merkle_hash gh_chain_next(const struct gh_merkle_hash *before, struct gh_slice row)
{
    return hash(0x01, bytes_of(before), row);
}

struct gh_merkle_hash gh_merkle_leaf(struct gh_slice row)
{
    return hash(0x00, row, (struct gh_slice){0});
}

struct gh_merkle_hash gh_merkle_node(const struct gh_merkle_hash *left,
                                     const struct gh_merkle_hash *right)
{
    return hash(0x01, bytes_of(left), bytes_of(right));
}

bool gh_merkle_equal(const struct gh_merkle_hash *a, const struct gh_merkle_hash *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

/* --- the tree --- */

void gh_merkle_add(struct gh_merkle *tree, const struct gh_merkle_hash *leaf)
{
    struct gh_merkle_hash node = *leaf;
    /* Each one at the end of the number is a perfect tree of the size that has just grown. */
    for (uint64_t ones = tree->count; (ones & 1) != 0; ones >>= 1)
        node = gh_merkle_node(&tree->frontier[--tree->frontier_count], &node);
    assert(tree->frontier_count < GH_MERKLE_LEVELS_MAX);
    tree->frontier[tree->frontier_count++] = node;
    tree->count++;
}

struct gh_merkle_hash gh_merkle_root(const struct gh_merkle *tree)
{
    struct gh_merkle_hash root;
    if (tree->count == 0) {
        gh_sha256((struct gh_slice){0}, root.bytes);
        return root;
    }
    root = tree->frontier[tree->frontier_count - 1];
    for (size_t i = tree->frontier_count - 1; i > 0; i--)
        root = gh_merkle_node(&tree->frontier[i - 1], &root);
    return root;
}

bool gh_merkle_load(struct gh_merkle *tree, uint64_t count, struct gh_slice frontier)
{
    size_t ones = (size_t)__builtin_popcountll(count);
    *tree = (struct gh_merkle){.count = count, .frontier_count = ones};
    if (ones > GH_MERKLE_LEVELS_MAX || frontier.size != ones * sizeof tree->frontier[0])
        return false;
    if (ones > 0)
        memcpy(tree->frontier, frontier.data, frontier.size);
    return true;
}

struct gh_slice gh_merkle_frontier(const struct gh_merkle *tree)
{
    return gh_slice(tree->frontier, tree->frontier_count * sizeof tree->frontier[0]);
}

/* --- proofs --- */

/* All leaves of a proof: those that are gone, and those that are there. */
struct ground {
    const struct gh_merkle *cut;
    const struct gh_merkle_hash *leaves;
};

/* The largest power of two below `size`, which is at least 2. */
static uint64_t half_of(uint64_t size)
{
    return UINT64_C(1) << (63 - __builtin_clzll(size - 1));
}

/* The root of a perfect tree of the frontier of what was cut, by where it begins. */
static const struct gh_merkle_hash *cut_root(const struct gh_merkle *cut, uint64_t from)
{
    uint64_t at = 0;
    for (size_t i = 0; i < cut->frontier_count; i++) {
        if (at == from)
            return &cut->frontier[i];
        at += UINT64_C(1) << (63 - __builtin_clzll(cut->count - at));
    }
    return NULL;
}

/* The root over `size` leaves from `from` on. What lies wholly in the cut is one tree of its
 * frontier: a subtree beside a leaf that is still there cannot be a smaller part of one. */
static struct gh_merkle_hash root_of(const struct ground *ground, uint64_t from, uint64_t size)
{
    if (from + size <= ground->cut->count) {
        const struct gh_merkle_hash *root = cut_root(ground->cut, from);
        assert(root != NULL);
        return *root;
    }
    if (size == 1)
        return ground->leaves[from - ground->cut->count];
    uint64_t half = half_of(size);
    struct gh_merkle_hash left = root_of(ground, from, half);
    struct gh_merkle_hash right = root_of(ground, from + half, size - half);
    return gh_merkle_node(&left, &right);
}

void gh_merkle_prove(const struct gh_merkle *cut, const struct gh_merkle_hash *leaves,
                     size_t leaves_count, uint64_t index, struct gh_merkle_path *out)
{
    const struct ground ground = {cut, leaves};
    uint64_t from = 0, size = cut->count + leaves_count;
    struct gh_merkle_hash downwards[GH_MERKLE_LEVELS_MAX];
    assert(index >= cut->count && index < size);
    out->count = 0;
    while (size > 1) {
        uint64_t half = half_of(size);
        bool right = index >= from + half;
        assert(out->count < GH_MERKLE_LEVELS_MAX);
        downwards[out->count++] =
            right ? root_of(&ground, from, half) : root_of(&ground, from + half, size - half);
        from = right ? from + half : from;
        size = right ? size - half : half;
    }
    for (size_t i = 0; i < out->count; i++)
        out->nodes[i] = downwards[out->count - 1 - i];
}

bool gh_merkle_check(const struct gh_merkle_hash *leaf, uint64_t index, uint64_t count,
                     const struct gh_merkle_path *path, const struct gh_merkle_hash *root)
{
    struct gh_merkle_hash node = *leaf;
    uint64_t at = index, last = count - 1;
    if (index >= count)
        return false;
    for (size_t i = 0; i < path->count; i++) {
        if (last == 0)
            return false;
        if ((at & 1) != 0 || at == last) {
            node = gh_merkle_node(&path->nodes[i], &node);
            while ((at & 1) == 0 && at != 0) {
                at >>= 1;
                last >>= 1;
            }
        } else {
            node = gh_merkle_node(&node, &path->nodes[i]);
        }
        at >>= 1;
        last >>= 1;
    }
    return last == 0 && gh_merkle_equal(&node, root);
}
