/* The key schedule of TLS 1.3 (RFC 8446 §7.1): HKDF-Extract, which is HMAC (crypto/digest.h) with
 * the salt as its key, and HKDF-Expand-Label over SHA-256 and SHA-384, for whoever derives keys
 * here and, as the TLS13-KDF of crypto/library.c, for OpenSSL's own handshakes: a handshake derives
 * some twenty keys, and OpenSSL 3.0 makes for each of them a dozen objects that it throws away
 * again, which takes six times as long as the hashing. Here nothing is allocated; what was used on
 * the way is wiped.
 *
 * Three secrets of a handshake outlive it where its connection is taken over (crypto/tls_keys.c):
 * who shakes hands may listen for them. OpenSSL's callback for key logs would tell two of the
 * three, in hexadecimal, and takes longer than all the hashing.
 *
 * Pure but for the listener, which is a thread's own. Threads: any. */
#ifndef GH_CRYPTO_SCHEDULE_H
#define GH_CRYPTO_SCHEDULE_H

#include "crypto/digest.h"

enum { GH_SCHEDULE_SECRET_MAX = GH_DIGEST_BYTES_MAX };

/* HKDF-Expand-Label, the label without "tls13 ". False when label or context are longer than a
 * label of TLS may be, or `size` is more than gh_digest_bytes. */
GH_MUST_USE bool gh_schedule_expand(enum gh_digest hash, struct gh_slice secret,
                                    struct gh_slice label, struct gh_slice context, uint8_t *out,
                                    size_t size);

/* The step between two secrets of the schedule: Derive-Secret(salt, "derived", "") and then
 * HKDF-Extract; an empty salt is the first step. */
GH_MUST_USE bool gh_schedule_next(enum gh_digest hash, struct gh_slice salt,
                                  struct gh_slice material, uint8_t *out);

/* What a server's handshake leaves behind. */
enum gh_schedule_secret {
    GH_SCHEDULE_CLIENT_TRAFFIC, /* client_application_traffic_secret_0 */
    GH_SCHEDULE_SERVER_TRAFFIC,
    GH_SCHEDULE_RESUMPTION, /* resumption_master_secret */
    GH_SCHEDULE_SECRET_COUNT,
};
struct gh_schedule_secrets {
    struct {
        size_t size; /* 0: not told yet */
        uint8_t bytes[GH_SCHEDULE_SECRET_MAX];
    } of[GH_SCHEDULE_SECRET_COUNT];
};
/* From now on the handshakes of this thread tell them to `to`; NULL: to nobody. The one who
 * listened before. */
struct gh_schedule_secrets *gh_schedule_listen(struct gh_schedule_secrets *to);
/* The provider has derived `secret` under this label. */
void gh_schedule_tell(struct gh_slice label, struct gh_slice secret);
#endif
