/* Invitations: whoever holds one chooses the password of an operator, once, within 15 minutes. So
 * the first operator, or one who has lost the password, comes in without anybody else ever knowing
 * one. It replaces the password only: second factors are asked for as ever.
 *
 *     base64url of: u64 end (UTC, ms), HMAC-SHA-256 over it, the operator's number and name, and
 *     what is stored of the password
 *
 * Nothing is stored. It is good once because what is stored changes with the password that it
 * brings; any other new password ends it too. Memory: none kept. Threads: any; blocks on the store,
 * and accepting on argon2id. */
#ifndef GH_IDENTITY_INVITATION_H
#define GH_IDENTITY_INVITATION_H

#include "identity/operator.h"

enum { GH_INVITATION_MAX = 54 + 1, GH_INVITATION_S = 15 * 60 };

/* NOT_FOUND when there is no such operator. NUL-terminated. */
GH_MUST_USE enum gh_error_code gh_operators_invite(struct gh_operators *operators,
                                                   struct gh_slice name, int64_t now_ms,
                                                   char out[GH_INVITATION_MAX],
                                                   struct gh_error *error);

struct gh_acceptance {
    struct gh_slice name, invitation, password;
};
/* Whether the invitation is good, which is quick: UNAUTHENTICATED for any reason that it is not,
 * an unknown name among them. */
GH_MUST_USE enum gh_error_code gh_operators_invited(struct gh_operators *operators,
                                                    const struct gh_acceptance *acceptance,
                                                    int64_t now_ms, struct gh_error *error);
/* The same, and the password is the operator's, whose sessions end. Of two at once one comes too
 * late. INVALID for a password that breaks a rule: the invitation stays good. */
GH_MUST_USE enum gh_error_code gh_operators_accept(struct gh_operators *operators,
                                                   const struct gh_acceptance *acceptance,
                                                   int64_t now_ms, struct gh_error *error);
#endif
