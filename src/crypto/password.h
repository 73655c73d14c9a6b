/* Passwords of people: argon2id (RFC 9106) in PHC strings ("$argon2id$v=19$m=65536,t=3,p=1$…").
 * Slow on purpose: one check takes the memory named in the cost for a quarter of a second, so it is
 * called on worker threads behind a bounded queue and behind identity/operator.h, which limits how
 * often. Not for tokens and device secrets, which are random and need only a digest. Memory:
 * nothing is kept; what libargon2 used is wiped by it. Threads: any. */
#ifndef GH_CRYPTO_PASSWORD_H
#define GH_CRYPTO_PASSWORD_H

#include "base/slice.h"

struct gh_password_cost {
    uint32_t memory_kib, passes, lanes;
};
/* 64 MiB, 3 passes, 1 lane: RFC 9106's second choice on one thread. Tests pass less. */
#define GH_PASSWORD_COST                                                                           \
    ((struct gh_password_cost){.memory_kib = 64 * 1024, .passes = 3, .lanes = 1})

enum {
    GH_PASSWORD_BYTES_MIN = 12, /* for a new password; no other rule (NIST SP 800-63B) */
    GH_PASSWORD_BYTES_MAX = 128,
    GH_PASSWORD_PHC_MAX = 128, /* with the NUL */
    GH_PASSWORD_MADE_MAX = 32,
};

/* The PHC string under a fresh 16-byte salt, NUL-terminated. False when memory is short or the
 * password is empty or longer than the maximum. */
GH_MUST_USE bool gh_password_hash(struct gh_slice password, struct gh_password_cost cost,
                                  char phc[GH_PASSWORD_PHC_MAX]);
/* True when it is the password. False also for a string that is no argon2id PHC string. */
GH_MUST_USE bool gh_password_verify(struct gh_slice password, struct gh_slice phc);
/* For a user who does not exist: does the work of a verification and says false. */
GH_MUST_USE bool gh_password_verify_nobody(struct gh_slice password, struct gh_password_cost cost);
/* 32 bytes that are the same for the same password and salt (8 bytes or more): to find a password
 * again, never to be stored as they are. False without memory. */
GH_MUST_USE bool gh_password_derive(struct gh_slice password, struct gh_password_cost cost,
                                    struct gh_slice salt, uint8_t out[32]);
/* True when the string was made with less than `cost`: hash again at the next sign-in. */
bool gh_password_outdated(struct gh_slice phc, struct gh_password_cost cost);
/* A first password of 100 random bits, 20 letters and digits that are not mistaken for each other,
 * in groups of five. NUL-terminated. */
void gh_password_make(char out[GH_PASSWORD_MADE_MAX]);
#endif
