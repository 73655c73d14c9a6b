/* CBOR (RFC 8949), read one item at a time, as far as COSE and WebAuthn need it: integers, byte and
 * text strings, arrays, maps and simple values, all of definite length. Tags, floats and indefinite
 * lengths are refused, as CTAP2's canonical form has none of them (CTAP 2.1 §8); a length that goes
 * past the input is refused before anything is done about it. No allocation, no recursion beyond
 * GH_CBOR_DEPTH_MAX. Memory: strings borrow from the input. Threads: any. */
#ifndef GH_WIRE_CBOR_H
#define GH_WIRE_CBOR_H

#include "base/cursor.h"

enum { GH_CBOR_DEPTH_MAX = 8 };

enum gh_cbor_kind {
    GH_CBOR_UNSIGNED = 0, /* `value` */
    GH_CBOR_NEGATIVE = 1, /* -1 - `value` */
    GH_CBOR_BYTES = 2,    /* `bytes` */
    GH_CBOR_TEXT = 3,     /* `bytes`, not checked to be UTF-8 */
    GH_CBOR_ARRAY = 4,    /* `value` items follow */
    GH_CBOR_MAP = 5,      /* `value` pairs follow */
    GH_CBOR_SIMPLE = 7,   /* `value`: 20 false, 21 true, 22 null */
};

struct gh_cbor_item {
    enum gh_cbor_kind kind;
    uint64_t value;
    struct gh_slice bytes;
};

/* The next item, of an array or map only its head. False when there is none that is taken here;
 * the cursor's place is of no use then. */
GH_MUST_USE bool gh_cbor_read(struct gh_cursor *at, struct gh_cbor_item *out);
/* Passes over the next item with all that is in it. */
GH_MUST_USE bool gh_cbor_skip(struct gh_cursor *at);
/* The integer of an item that is one and fits. */
GH_MUST_USE bool gh_cbor_integer(const struct gh_cbor_item *item, int64_t *out);
#endif
