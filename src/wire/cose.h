/* COSE keys (RFC 9052 §7, RFC 9053 §7): the public keys of WebAuthn credentials, of the two
 * algorithms that are taken: ES256 over P-256 and EdDSA over Ed25519. Strict: each label once,
 * integers as labels, exactly the members of the kind and no private one; nothing behind the map.
 * Whether a point is on the curve is crypto/'s to say. Memory: numbers borrow from the input.
 * Threads: any. */
#ifndef GH_WIRE_COSE_H
#define GH_WIRE_COSE_H

#include "base/cursor.h"

enum gh_cose_algorithm {
    GH_COSE_ES256 = -7,
    GH_COSE_EDDSA = -8,
};

enum { GH_COSE_NUMBER_BYTES = 32 };

struct gh_cose_key {
    enum gh_cose_algorithm algorithm;
    struct gh_slice x, y; /* 32 bytes each; EdDSA has no y */
};

/* The key that stands at the cursor; the cursor is behind it then. */
GH_MUST_USE bool gh_cose_key_read(struct gh_cursor *at, struct gh_cose_key *out);
#endif
