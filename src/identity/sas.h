/* Shared access signatures: reads the token that a device makes from its symmetric key,
 *   SharedAccessSignature sr=RESOURCE&sig=SIGNATURE&se=EXPIRY[&skn=POLICY]
 * with its fields in any order, each once, and verifies it: SIGNATURE is the base64 of HMAC-SHA-256
 * under the key over RESOURCE, a line feed and EXPIRY, both exactly as they stand in the token
 * (clients write %2F, %2f or a bare slash, and each signs what it wrote). Whose resource it is,
 * whether the time is over and which keys there are is the caller's to know (identity/device.h).
 *
 * No I/O, no clock. Memory: slices borrow from the token or live in the arena. Threads: any. */
#ifndef GH_IDENTITY_SAS_H
#define GH_IDENTITY_SAS_H

#include "base/arena.h"
#include "base/slice.h"
#include "crypto/digest.h"

enum {
    GH_SAS_BYTES_MAX = 4096, /* of a token */
    GH_SAS_SKEW_S = 300,     /* a device's clock may be wrong by this much */
};

struct gh_sas {
    struct gh_slice resource; /* decoded, not empty */
    struct gh_slice policy;   /* decoded; empty: it was made with a key of the device's own */
    int64_t expires_at_s;     /* UTC */
    struct gh_slice signed_resource, signed_expiry; /* as they stand in the token */
    uint8_t signature[GH_SHA256_BYTES];
};

/* Whether the password of a CONNECT is to be read as such a token. */
bool gh_sas_is_one(struct gh_slice password);
/* NULL, and `out` filled; or what is wrong with its form, a static text. */
GH_MUST_USE const char *gh_sas_read(struct gh_slice token, struct gh_arena *arena,
                                    struct gh_sas *out);
/* Compares in constant time. */
GH_MUST_USE bool gh_sas_signed_by(const struct gh_sas *sas, struct gh_slice key);
#endif
