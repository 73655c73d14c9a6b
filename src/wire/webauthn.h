/* The binary parts of WebAuthn (Level 2, §6.1 and §6.5): authenticator data and attestation
 * objects. Forms only: what they have to say is identity/webauthn.h's. Strict: nothing behind the
 * last part, attestation of the format "none" with an empty statement only. Memory: everything
 * borrows from the input. Threads: any. */
#ifndef GH_WIRE_WEBAUTHN_H
#define GH_WIRE_WEBAUTHN_H

#include "base/slice.h"
#include "wire/cose.h"

enum {
    GH_WEBAUTHN_PRESENT = 0x01,    /* UP: the person touched it */
    GH_WEBAUTHN_VERIFIED = 0x04,   /* UV: and said who they are, by finger or number */
    GH_WEBAUTHN_CREDENTIAL = 0x40, /* AT: a new credential is in it */
    GH_WEBAUTHN_EXTENSIONS = 0x80, /* ED */
    GH_WEBAUTHN_CREDENTIAL_BYTES_MAX = 1023,
    GH_WEBAUTHN_RP_HASH_BYTES = 32,
};

struct gh_webauthn_data {
    struct gh_slice rp_hash; /* SHA-256 of the relying party's id */
    uint8_t flags;
    uint32_t sign_count;
    /* With the flag CREDENTIAL. */
    struct gh_slice credential; /* its id */
    struct gh_slice key_bytes;  /* the COSE key as it stands there */
    struct gh_cose_key key;
};
GH_MUST_USE bool gh_webauthn_data_read(struct gh_slice in, struct gh_webauthn_data *out);
/* `*data`: the authenticator data in it. */
GH_MUST_USE bool gh_webauthn_attestation_read(struct gh_slice in, struct gh_slice *data);
#endif
