/* JOSE compact serialisation (RFC 7515 §7.1): splits a token, reads its header and, when asked, its
 * claims (RFC 7519 §4.1). Knows no key and verifies nothing: whatever comes out is the word of a
 * stranger until crypto/key.h has checked `signature` over `signing_input`; identity/jwt.h does
 * both in the right order.
 *
 * Strict (RFC 7515 §2, RFC 8725): three parts, base64url without padding or spare bits, header a
 * JSON object without duplicate members, `alg` a string, no `crit`, no `b64` but true. Lenient, for
 * the Google dialect only, takes padding and the standard alphabet too; the signing input is the
 * text as received in both. Memory: decoded parts are the arena's; `signing_input` borrows from the
 * token. Threads: any. */
#ifndef GH_WIRE_JOSE_H
#define GH_WIRE_JOSE_H

#include "base/arena.h"
#include "base/buffer.h"

enum {
    GH_JOSE_TOKEN_MAX = 16 * 1024, /* checked before anything is decoded */
    GH_JOSE_HEADER_MAX = 4 * 1024, /* of the encoded header */
    GH_JOSE_HEADER_DEPTH_MAX = 8,
    GH_JOSE_KID_BYTES_MAX = 128,
};

enum gh_jose_status {
    GH_JOSE_OK,
    GH_JOSE_TOO_LARGE, /* the token or its header is over its limit */
    GH_JOSE_PARTS,     /* not three parts */
    GH_JOSE_BASE64,    /* a part is not base64url */
    GH_JOSE_HEADER,    /* the header is not a JSON object by our rules */
    GH_JOSE_CRITICAL,  /* `crit` or `b64`: an extension that nobody here understands */
    GH_JOSE_CLAIMS,    /* the payload is not a JSON object by our rules */
    GH_JOSE_MEMORY,    /* the arena is full */
};
/* "the token is not three parts joined by dots": for the operator. Static. */
const char *gh_jose_status_text(enum gh_jose_status status);

struct gh_jose {
    struct gh_slice signing_input; /* header, dot, payload, as received */
    struct gh_slice
        algorithm;        /* `alg`; empty when it is absent or no string, which matches nothing */
    struct gh_slice type; /* `typ`; empty when absent */
    bool type_refused;    /* `typ` is there and no text */
    struct gh_slice kid;  /* `kid`; a name among keys that are already trusted, nothing more */
    bool kid_refused;     /* `kid` is there and no text, or too long */
    struct gh_slice payload, signature; /* decoded; either may be empty */
};

/* Splits the token. `*out` is written only on GH_JOSE_OK. */
GH_MUST_USE enum gh_jose_status gh_jose_read(struct gh_slice token, bool lenient,
                                             struct gh_arena *arena, struct gh_jose *out);

enum gh_jose_member {
    GH_JOSE_ABSENT,
    GH_JOSE_PRESENT,
    GH_JOSE_REFUSED, /* it is there and of a type or value that the rules refuse */
};
struct gh_jose_time {
    enum gh_jose_member is;
    int64_t s; /* Unix seconds; a fraction is cut off */
};
struct gh_jose_text {
    enum gh_jose_member is;
    struct gh_slice text;
};
struct gh_jose_claims {
    struct gh_jose_time issued_at, expires_at, not_before; /* JSON numbers in 0..2^53 */
    struct gh_jose_text subject, issuer, token_id;         /* `token_id` is `jti` */
    enum gh_jose_member audience;                          /* a string, or an array of strings */
    bool audience_is_array;
    struct gh_slice *audiences;
    size_t audiences_count;
};
/* Reads the claims out of a decoded payload: GH_JOSE_OK, GH_JOSE_CLAIMS or GH_JOSE_MEMORY. */
GH_MUST_USE enum gh_jose_status gh_jose_claims(struct gh_slice payload, struct gh_arena *arena,
                                               struct gh_jose_claims *out);

/* Writing. A token is begun, which appends the signing input; signed over gh_buffer_slice by
 * whoever has the key; and finished, which appends the signature. All are false when the buffer is
 * full. */

/* What a client says about itself; empty texts are left out. */
struct gh_jose_issue {
    struct gh_slice audience, subject, issuer; /* UTF-8 */
    int64_t issued_at_s, expires_at_s;
};
/* Header {"alg":…,"typ":"JWT"} and the claims. False also when a text is not UTF-8. `out` is empty
 * before. */
GH_MUST_USE bool gh_jose_begin(struct gh_buffer *out, struct gh_slice algorithm,
                               const struct gh_jose_issue *issue);
/* The same over JSON texts as they are. */
GH_MUST_USE bool gh_jose_begin_raw(struct gh_buffer *out, struct gh_slice header,
                                   struct gh_slice payload);
GH_MUST_USE bool gh_jose_finish(struct gh_buffer *out, struct gh_slice signature);
#endif
