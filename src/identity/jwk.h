/* Public keys as JSON Web Keys (RFC 7517) and their thumbprints (RFC 7638), which are the key ids
 * of the keys that sign access tokens. Writing only: a key never comes in as a JWK. Memory: the
 * caller's. Threads: any. */
#ifndef GH_IDENTITY_JWK_H
#define GH_IDENTITY_JWK_H

#include "crypto/key.h"
#include <jansson.h>

enum { GH_JWK_THUMBPRINT_MAX = 43 + 1 }; /* base64url of SHA-256, and its NUL */

/* The key with `kty`, its numbers, `use` "sig", `alg` and `kid`. New reference; NULL without
 * memory.
 */
json_t *gh_jwk_new(const struct gh_key *key);
/* RFC 7638 over SHA-256; false without memory. */
GH_MUST_USE bool gh_jwk_thumbprint(const struct gh_key *key, char out[GH_JWK_THUMBPRINT_MAX]);
#endif
