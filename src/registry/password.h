/* Device passwords: how the secret of a device is stored and compared. A secret of
 * GH_SECRET_LONG_BYTES_MIN or more is taken for a random one and stored as HMAC-SHA-256 under the
 * server's password key (32 bytes, of the keyring: vault/keyring.h) with a salt of its own, which
 * costs microseconds to verify; a shorter one, which a person may have thought of, as argon2id
 * (19 MiB, 2 passes, 1 lane), and the last successes are remembered in a bounded table so that a
 * reconnecting device does not pay again. Below GH_SECRET_SHORT_BYTES_MIN it is refused.
 *
 * How long a verification takes depends on the size of the secret that is shown, never on whether
 * the device, a password or the right one exists. What is remembered is HMAC-SHA-256 of stored text
 * and secret under a key of this process, so that it stops to fit when the credential changes.
 * Nothing here prints, returns or logs a secret. Not for passwords of people (crypto/password.h).
 *
 * Memory: the value owns its key (locked, wiped at close) and its table. Threads: any. A short
 * secret costs some 20 ms: worker threads only. */
#ifndef GH_REGISTRY_PASSWORD_H
#define GH_REGISTRY_PASSWORD_H

#include "base/error.h"

enum {
    GH_SECRET_SHORT_BYTES_MIN = 8,
    GH_SECRET_LONG_BYTES_MIN = 20,
    GH_SECRET_BYTES_MAX = 128,
    GH_SECRET_STORED_MAX = 160, /* of the stored text, with its NUL */
};

struct gh_device_passwords;

/* The key is copied. NULL without memory. */
GH_MUST_USE struct gh_device_passwords *gh_device_passwords_with(struct gh_slice key);
void gh_device_passwords_close(struct gh_device_passwords *passwords); /* NULL is fine */

/* The text to store, NUL-terminated. INVALID for a secret that is too short or too long. */
GH_MUST_USE enum gh_error_code gh_device_password_store(const struct gh_device_passwords *passwords,
                                                        struct gh_slice secret,
                                                        char out[GH_SECRET_STORED_MAX],
                                                        struct gh_error *error);

/* Hex digits and a NUL that are equal for equal secrets of a scope (any text), and tell nothing
 * without the server's password key; a short secret costs argon2id here too, so that with the key
 * guessing stays as slow as it is for the stored text. */
enum { GH_SECRET_MARK_MAX = 65 };
GH_MUST_USE bool gh_device_password_mark(const struct gh_device_passwords *passwords,
                                         struct gh_slice scope, struct gh_slice secret,
                                         char out[GH_SECRET_MARK_MAX]);

/* Whether one of the stored texts is that of the secret; `*which` says which one then. With none at
 * all (a device that is not there or has no password) it does the same work and says false. */
GH_MUST_USE bool gh_device_password_verify(struct gh_device_passwords *passwords,
                                           struct gh_slice secret, const struct gh_slice *stored,
                                           size_t count, size_t *which);
#endif
