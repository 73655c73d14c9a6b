/* The hashes of the audit trail: the chain that ties each row to the one before it, and the tree
 * over all rows (RFC 9162 §2.1) by which one row can be shown to belong to a signed root without
 * the others. The tree is kept as its frontier: the roots of the perfect trees that its leaves fall
 * into, largest first, one for each bit of their number; with it leaves are added, and roots taken,
 * when the leaves themselves are gone. No I/O. Threads: any. */
#ifndef GH_CRYPTO_MERKLE_H
#define GH_CRYPTO_MERKLE_H

#include "crypto/digest.h"

enum { GH_MERKLE_LEVELS_MAX = 48 }; /* leaves: fewer than 2^48 */

struct gh_merkle_hash {
    uint8_t bytes[GH_SHA256_BYTES];
};

/* The link of the chain: SHA-256(0x01 || before || row). Before the first row stands all zeros. */
struct gh_merkle_hash gh_chain_next(const struct gh_merkle_hash *before, struct gh_slice row);

/* A leaf's hash: SHA-256(0x00 || row). An inner node: SHA-256(0x01 || left || right). */
struct gh_merkle_hash gh_merkle_leaf(struct gh_slice row);
struct gh_merkle_hash gh_merkle_node(const struct gh_merkle_hash *left,
                                     const struct gh_merkle_hash *right);
bool gh_merkle_equal(const struct gh_merkle_hash *a, const struct gh_merkle_hash *b);

/* A tree, zeroed when it is empty. */
struct gh_merkle {
    uint64_t count; /* of leaves */
    struct gh_merkle_hash frontier[GH_MERKLE_LEVELS_MAX];
    size_t frontier_count; /* the number of ones in `count` */
};

void gh_merkle_add(struct gh_merkle *tree, const struct gh_merkle_hash *leaf);
/* Of no leaves: SHA-256 of nothing. */
struct gh_merkle_hash gh_merkle_root(const struct gh_merkle *tree);
/* From what is stored; false when the bytes do not fit `count`. */
GH_MUST_USE bool gh_merkle_load(struct gh_merkle *tree, uint64_t count, struct gh_slice frontier);
/* The frontier's bytes, borrowed from the tree. */
struct gh_slice gh_merkle_frontier(const struct gh_merkle *tree);

/* The path of an inclusion proof, from the leaf upwards (RFC 9162 §2.1.3.1). */
struct gh_merkle_path {
    struct gh_merkle_hash nodes[GH_MERKLE_LEVELS_MAX];
    size_t count;
};

/* Of the leaf `index` (from 0) in the tree of `cut` and the `leaves` behind it; `cut` holds the
 * leaves that are gone, and the leaf must not be one of those. */
void gh_merkle_prove(const struct gh_merkle *cut, const struct gh_merkle_hash *leaves,
                     size_t leaves_count, uint64_t index, struct gh_merkle_path *out);
/* Whether the leaf stands at `index` in the tree of `count` leaves with that root (RFC 9162
 * §2.1.3.2). */
GH_MUST_USE bool gh_merkle_check(const struct gh_merkle_hash *leaf, uint64_t index, uint64_t count,
                                 const struct gh_merkle_path *path,
                                 const struct gh_merkle_hash *root);
#endif
