/* Digests (FIPS 180-4) and HMAC (RFC 2104) over them: SHA-256 for what Gatehouse decides itself,
 * SHA-384 where a suite of TLS asks for it, and SHA-1 where a protocol knows nothing else: a
 * handshake, one-time codes, lists of known passwords. Not for passwords (crypto/password.h) and
 * not for tables (base/hash.h). Cannot fail: allocates nothing, and what was used on the way is
 * wiped. Threads: any. */
#ifndef GH_CRYPTO_DIGEST_H
#define GH_CRYPTO_DIGEST_H

#include "base/slice.h"

enum { GH_SHA256_BYTES = 32, GH_SHA256_HEX_MAX = 2 * GH_SHA256_BYTES + 1, GH_SHA1_BYTES = 20 };
enum { GH_DIGEST_BYTES_MAX = 48 };

enum gh_digest { GH_DIGEST_SHA1, GH_DIGEST_SHA256, GH_DIGEST_SHA384, GH_DIGEST_COUNT };

size_t gh_digest_bytes(enum gh_digest digest);
/* `out` has gh_digest_bytes. */
void gh_digest(enum gh_digest digest, struct gh_slice bytes, uint8_t *out);
/* A key of any length, the empty one included. Compare with gh_secret_equal only. */
void gh_hmac(enum gh_digest digest, struct gh_slice key, struct gh_slice bytes, uint8_t *out);

/* The same by name. */

void gh_sha256(struct gh_slice bytes, uint8_t out[GH_SHA256_BYTES]);
/* Lower-case hex, NUL-terminated. Returns `out`. */
char *gh_sha256_hex(struct gh_slice bytes, char out[GH_SHA256_HEX_MAX]);

/* For WebSocket's opening handshake (RFC 6455 §1.3), where it protects nothing. */
void gh_sha1(struct gh_slice bytes, uint8_t out[GH_SHA1_BYTES]);

void gh_hmac_sha256(struct gh_slice key, struct gh_slice bytes, uint8_t out[GH_SHA256_BYTES]);
/* For one-time codes (RFC 6238), where authenticators know nothing else. */
void gh_hmac_sha1(struct gh_slice key, struct gh_slice bytes, uint8_t out[GH_SHA1_BYTES]);
#endif
