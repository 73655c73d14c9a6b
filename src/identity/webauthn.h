/* Security keys and passkeys (WebAuthn Level 2 §7.1, §7.2): whether what a browser sends proves
 * that its holder was there, at this site, for this challenge. Attestation is "none": which maker a
 * key is of is not asked. A key must have been touched (UP). That it knows its person (UV: a PIN, a
 * finger) is demanded where it stands in for the password, and not where it stands beside one.
 * Which credentials there are and how often each has counted is identity/factor.h's to keep.
 *
 * No I/O: challenge and what is stored are arguments. Memory: texts borrow from the input or the
 * arena. Threads: any. */
#ifndef GH_IDENTITY_WEBAUTHN_H
#define GH_IDENTITY_WEBAUTHN_H

#include "base/arena.h"
#include "base/error.h"

enum { GH_WEBAUTHN_CHALLENGE_BYTES = 32, GH_WEBAUTHN_CLIENT_BYTES_MAX = 8 * 1024 };

/* Where the ceremony is held. */
struct gh_webauthn_site {
    struct gh_slice rp_id;     /* "console.example.org" */
    struct gh_slice origin;    /* "https://console.example.org:8443" */
    struct gh_slice challenge; /* that was given for it; empty: none was */
    bool person_known;         /* the key has to know its person */
};

struct gh_webauthn_credential {
    struct gh_slice id;
    struct gh_slice key; /* COSE */
    int64_t sign_count;
};
/* A new credential. INVALID with what is wrong. */
GH_MUST_USE enum gh_error_code gh_webauthn_register(const struct gh_webauthn_site *site,
                                                    struct gh_slice client_data,
                                                    struct gh_slice attestation,
                                                    struct gh_webauthn_credential *out,
                                                    struct gh_error *error);

/* What a key answers to a challenge, decoded. */
struct gh_webauthn_assertion {
    struct gh_webauthn_site site;
    struct gh_slice credential, client_data, authenticator_data, signature;
};
/* INVALID with what is wrong; whether `*sign_count` has risen is the caller's to check. */
GH_MUST_USE enum gh_error_code gh_webauthn_assert(const struct gh_webauthn_assertion *assertion,
                                                  struct gh_slice key, int64_t *sign_count,
                                                  struct gh_error *error);
#endif
