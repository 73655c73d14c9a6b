#include "crypto/merkle.h"
#include "tests/check.h"
#include <stdio.h>
#include <string.h>

enum { LEAVES = 70 };

static struct gh_merkle_hash leaves[LEAVES];

/* The definition of RFC 9162 §2.1.1, word for word. */
static struct gh_merkle_hash defined(size_t from, size_t count)
{
    size_t half = 1;
    if (count == 1)
        return leaves[from];
    while (half * 2 < count)
        half *= 2;
    struct gh_merkle_hash left = defined(from, half), right = defined(from + half, count - half);
    return gh_merkle_node(&left, &right);
}

/* Roots of the first leaves of the well-known test tree (Certificate Transparency's reference
 * leaves: "", "00", "10", "2021", "3031", "40414243", …), as RFC 9162 defines them. */
static void known(void)
{
    static const struct {
        const char *root;
        size_t size;
        uint8_t bytes[16];
    } rows[] = {
        {"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d", 0, {0}},
        {"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125", 1, {0x00}},
        {"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77", 1, {0x10}},
        {"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7", 2, {0x20, 0x21}},
    };
    struct gh_merkle tree = {0};
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        struct gh_merkle_hash leaf = gh_merkle_leaf(gh_slice(rows[i].bytes, rows[i].size)), root;
        char text[2 * sizeof root + 1];
        gh_merkle_add(&tree, &leaf);
        root = gh_merkle_root(&tree);
        for (size_t at = 0; at < sizeof root.bytes; at++)
            snprintf(text + 2 * at, 3, "%02x", root.bytes[at]);
        CHECK(rows[i].root, strcmp(text, rows[i].root) == 0);
    }
}

/* Every leaf of every tree, whatever was cut before it. */
static void proofs(size_t cut_count, size_t count)
{
    struct gh_merkle cut = {0}, whole = {0};
    for (size_t i = 0; i < count; i++) {
        gh_merkle_add(&whole, &leaves[i]);
        if (i < cut_count)
            gh_merkle_add(&cut, &leaves[i]);
    }
    struct gh_merkle_hash root = gh_merkle_root(&whole), expected = defined(0, count);
    CHECK("the root", gh_merkle_equal(&root, &expected));
    for (size_t i = cut_count; i < count; i++) {
        struct gh_merkle_path path;
        gh_merkle_prove(&cut, leaves + cut_count, count - cut_count, i, &path);
        CHECK("proven", gh_merkle_check(&leaves[i], i, count, &path, &root));
        CHECK("another leaf", !gh_merkle_check(&leaves[(i + 1) % LEAVES], i, count, &path, &root));
        CHECK("another place", !gh_merkle_check(&leaves[i], i + 1, count, &path, &root));
        for (size_t node = 0; node < path.count; node++) {
            path.nodes[node].bytes[0] ^= 1;
            CHECK("another path", !gh_merkle_check(&leaves[i], i, count, &path, &root));
            path.nodes[node].bytes[0] ^= 1;
        }
        if (path.count > 0) {
            path.count--;
            CHECK("too short", !gh_merkle_check(&leaves[i], i, count, &path, &root));
        }
    }
}

static void loads(void)
{
    struct gh_merkle tree = {0}, again;
    for (size_t i = 0; i < 11; i++)
        gh_merkle_add(&tree, &leaves[i]);
    struct gh_slice frontier = gh_merkle_frontier(&tree);
    CHECK("loads", gh_merkle_load(&again, 11, frontier));
    struct gh_merkle_hash before = gh_merkle_root(&tree), after = gh_merkle_root(&again);
    CHECK("the same tree", gh_merkle_equal(&before, &after));
    CHECK("of another size", !gh_merkle_load(&again, 12, frontier));
    CHECK("cut off", !gh_merkle_load(&again, 11, gh_slice_sub(frontier, 0, frontier.size - 1)));
    CHECK("none", gh_merkle_load(&again, 0, (struct gh_slice){0}));
}

int main(void)
{
    for (uint8_t i = 0; i < LEAVES; i++)
        leaves[i] = gh_merkle_leaf(gh_slice(&i, 1));
    known();
    for (size_t count = 1; count <= LEAVES; count++)
        for (size_t cut = 0; cut<count; cut += count> 20 ? 7 : 1)
            proofs(cut, count);
    loads();
    return check_report();
}
