/* Digests: SHA-256 (FIPS 180-4) and HMAC-SHA-256 (RFC 2104), the only ones that Gatehouse computes
 * itself; and SHA-1 for what asks for it: a handshake, one-time codes, lists of known passwords.
 * Not for passwords (crypto/password.h) and not for tables (base/hash.h). Cannot fail: the
 * functions end the process when OpenSSL has no memory for them, as no caller could go on without
 * the digest. Memory: nothing is kept. Threads: any. */
#ifndef GH_CRYPTO_DIGEST_H
#define GH_CRYPTO_DIGEST_H

#include "base/slice.h"

enum { GH_SHA256_BYTES = 32, GH_SHA256_HEX_MAX = 2 * GH_SHA256_BYTES + 1, GH_SHA1_BYTES = 20 };

void gh_sha256(struct gh_slice bytes, uint8_t out[GH_SHA256_BYTES]);
/* Lower-case hex, NUL-terminated. Returns `out`. */
char *gh_sha256_hex(struct gh_slice bytes, char out[GH_SHA256_HEX_MAX]);

/* For WebSocket's opening handshake (RFC 6455 §1.3), where it protects nothing. */
void gh_sha1(struct gh_slice bytes, uint8_t out[GH_SHA1_BYTES]);

/* A key of any length, the empty one included. Compare with gh_secret_equal only. */
void gh_hmac_sha256(struct gh_slice key, struct gh_slice bytes, uint8_t out[GH_SHA256_BYTES]);
/* For one-time codes (RFC 6238), where authenticators know nothing else. */
void gh_hmac_sha1(struct gh_slice key, struct gh_slice bytes, uint8_t out[GH_SHA1_BYTES]);
#endif
