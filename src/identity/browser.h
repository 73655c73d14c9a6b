/* Known browsers: where a person has signed in, the browser keeps a token that says so. It lets
 * nobody in; it only tells the owner's next attempt from the guesses of strangers, so that these do
 * not delay it (identity/operator.h). It names the account by being of no use with any other:
 *
 *     base64url of: u64 end (UTC, ms), 16 random bytes, HMAC-SHA-256 over both and the account
 *
 * Nothing is stored. Pure functions: key, time and random bytes are arguments. Memory: none kept.
 * Threads: any. */
#ifndef GH_IDENTITY_BROWSER_H
#define GH_IDENTITY_BROWSER_H

#include "base/slice.h"

enum {
    GH_BROWSER_NONCE_BYTES = 16,
    GH_BROWSER_MAX = 75 + 1,
    GH_BROWSER_DAYS = 180,
};

/* NUL-terminated. */
void gh_browser_make(struct gh_slice key, struct gh_slice account,
                     const uint8_t nonce[GH_BROWSER_NONCE_BYTES], int64_t now_ms,
                     char out[GH_BROWSER_MAX]);
/* Whether the token is one of this account's that has not ended; then `nonce` tells it from the
 * account's other ones. */
GH_MUST_USE bool gh_browser_check(struct gh_slice key, struct gh_slice account,
                                  struct gh_slice text, int64_t now_ms,
                                  uint8_t nonce[GH_BROWSER_NONCE_BYTES]);
#endif
