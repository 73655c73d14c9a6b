/* One-time codes by time (RFC 6238 over RFC 4226): HMAC-SHA-1, steps of 30 s, six digits, as every
 * authenticator app has them. A code is taken one step early and one step late, and each step once:
 * whoever calls keeps the step that was accepted last. Reads no clock and keeps nothing. Memory:
 * none. Threads: any. */
#ifndef GH_IDENTITY_TOTP_H
#define GH_IDENTITY_TOTP_H

#include "base/slice.h"

enum {
    GH_TOTP_KEY_BYTES = 20,
    GH_TOTP_STEP_S = 30,
    GH_TOTP_DIGITS = 6,
    GH_TOTP_WINDOW = 1, /* steps before and after */
};

/* The code of a step, NUL-terminated. */
void gh_totp_code(struct gh_slice key, int64_t step, char out[GH_TOTP_DIGITS + 1]);
/* The step that the code is of, when it is within the window around `now_s` and after
 * `step_before`; -1 otherwise. Blanks in the code are passed over. The time it takes does not
 * depend on the code. */
GH_MUST_USE int64_t gh_totp_check(struct gh_slice key, struct gh_slice code, int64_t now_s,
                                  int64_t step_before);
#endif
