/* Second factors of operators: one-time codes by time (identity/totp.h), security keys
 * (identity/webauthn.h) and recovery codes. Which are there, adding them, showing them. A wrong one
 * lets the operator wait 1, 2, 4 … 300 s, as passwords do; a right one counts once: the last step
 * of one-time codes and the counter of a key are kept in the same write that accepts them, and a
 * recovery code is gone with its use. Secrets of one-time codes rest sealed under a key of the
 * keyring, recovery codes as HMAC-SHA-256 under another.
 *
 * Memory: texts are the arena's. Threads: any; blocks on the store. */
#ifndef GH_IDENTITY_FACTOR_H
#define GH_IDENTITY_FACTOR_H

#include "identity/operator.h"
#include "identity/webauthn.h"

enum {
    GH_FACTORS_MAX = 16, /* of an operator, recovery codes aside */
    GH_FACTOR_LABEL_MAX = 64,
    GH_RECOVERY_CODES = 10,
    GH_RECOVERY_CODE_MAX = 16 + 3 + 1, /* 80 bits in base32, in groups of four */
    GH_TOTP_SECRET_MAX = 32 + 1,       /* base32 */
    GH_FACTOR_URI_MAX = 512,
};

/* What an operator has. */
struct gh_factors {
    struct gh_factor_row *rows; /* recovery codes are not among them */
    size_t count;
    size_t recovery_left;
    bool has_totp, has_webauthn; /* confirmed */
};
GH_MUST_USE enum gh_error_code gh_factors_of(struct gh_operators *operators,
                                             int64_t operator_number, struct gh_arena *arena,
                                             struct gh_factors *out, struct gh_error *error);

/* A secret for an authenticator app: it proves nothing until a code of it was shown. */
struct gh_totp_offer {
    int64_t factor;
    char secret[GH_TOTP_SECRET_MAX]; /* shown once, then wiped */
    char uri[GH_FACTOR_URI_MAX];     /* otpauth://, the same for a QR code */
};
GH_MUST_USE enum gh_error_code
gh_factor_offer_totp(struct gh_operators *operators, const struct gh_operator_session *session,
                     struct gh_slice label, int64_t now_ms, struct gh_arena *arena,
                     struct gh_totp_offer *out, struct gh_error *error);
/* UNAUTHENTICATED when the code is wrong; LIMIT with `*retry_after_s` while one has to wait. */
GH_MUST_USE enum gh_error_code
gh_factor_confirm_totp(struct gh_operators *operators, const struct gh_operator_session *session,
                       int64_t factor, struct gh_slice code, int64_t now_ms, struct gh_arena *arena,
                       int64_t *retry_after_s, struct gh_error *error);
/* Whether a key has to know its person (UV) for this session: when it is shown anew in the place of
 * the password, by somebody who may just have found an unlocked machine with the key in it. As the
 * second factor it stands beside the password. */
bool gh_factor_must_know_person(const struct gh_operator_session *session);
/* A challenge for a ceremony of this session, in place of one that was not answered. */
GH_MUST_USE enum gh_error_code gh_factor_challenge(struct gh_operators *operators,
                                                   const struct gh_operator_session *session,
                                                   uint8_t challenge[GH_WEBAUTHN_CHALLENGE_BYTES],
                                                   struct gh_error *error);
/* A new security key, that the last challenge asked for; the site's challenge is filled in here.
 * INVALID with what is wrong; EXISTS when it is somebody's already. */
GH_MUST_USE enum gh_error_code
gh_factor_add_webauthn(struct gh_operators *operators, const struct gh_operator_session *session,
                       struct gh_slice label, struct gh_webauthn_site site,
                       struct gh_slice client_data, struct gh_slice attestation, int64_t now_ms,
                       struct gh_arena *arena, struct gh_error *error);
/* Ten new ones in place of those that are left. */
GH_MUST_USE enum gh_error_code
gh_factor_make_recovery(struct gh_operators *operators, int64_t operator_number, int64_t now_ms,
                        char codes[GH_RECOVERY_CODES][GH_RECOVERY_CODE_MAX],
                        struct gh_error *error);
/* With the last factor the recovery codes go too. PRECONDITION for the last one where one is
 * demanded: whoever has found out the password could else put one of his own in its place. */
GH_MUST_USE enum gh_error_code gh_factor_remove(struct gh_operators *operators,
                                                const struct gh_operator_session *session,
                                                int64_t factor, struct gh_arena *arena,
                                                struct gh_error *error);

/* One of them, shown. */
struct gh_factor_proof {
    enum gh_factor_kind kind;
    struct gh_slice code;                          /* TOTP, RECOVERY */
    const struct gh_webauthn_assertion *assertion; /* WEBAUTHN; its challenge is filled in here */
};
/* GH_OK when it is one of the operator's and counts now; else UNAUTHENTICATED, with one text for
 * every cause; LIMIT with `*retry_after_s`. */
GH_MUST_USE enum gh_error_code gh_factor_prove(struct gh_operators *operators,
                                               const struct gh_operator_session *session,
                                               const struct gh_factor_proof *proof, int64_t now_ms,
                                               struct gh_arena *arena, int64_t *retry_after_s,
                                               struct gh_error *error);
/* "totp", "webauthn", "recovery": for the session's method. */
const char *gh_factor_name(enum gh_factor_kind kind);
#endif
