/* Sealing: secrets of a tenant that have to be read again (symmetric keys of devices; later the
 * second factors of operators), encrypted field by field (crypto/seal.h) under a data key of that
 * tenant. The data keys rest in the database, sealed under the key-encryption key, which only the
 * `keys` process has: it makes and opens them when it is asked through gh_sealing_keys. Deleting a
 * tenant deletes its data keys, and what was sealed under them stays closed for good, also where a
 * copy of it is left.
 *
 * Opened data keys are remembered, at most GH_SEALING_CACHE_MAX (the one longest unused goes
 * first), locked in memory and wiped when they go. Text stored is "$sealed$v=1$" and base64url. Not
 * for secrets that are only compared (registry/password.h).
 *
 * Keys are rotated while everybody goes on. Whoever seals and then writes the text holds the
 * sealing from the one to the other (gh_sealing_hold), so that no rotation falls between and takes
 * the key away; readers need not, but what they read before a rotation has to be read again.
 *
 * Threads: any, but no loop: a key that is not remembered costs a read and a question to the keys
 * process. */
#ifndef GH_REGISTRY_SEALING_H
#define GH_REGISTRY_SEALING_H

#include "base/arena.h"
#include "store/store.h"
#include "vault/keyring.h"

enum {
    GH_SEALING_CACHE_MAX = 128,
    GH_SEALING_KEY_SEALED_MAX = GH_SEAL_KEY_BYTES + GH_SEAL_EXTRA_BYTES,
};

/* Who makes and opens data keys; these two may be called by several threads at once. The others
 * rotate the KEK: a new one that is current from then on, beside the old one; a data key sealed
 * anew under it, appended; the old one destroyed. */
struct gh_sealing_keys {
    enum gh_error_code (*make)(void *context, int64_t tenant, uint32_t number,
                               uint8_t key[GH_SEAL_KEY_BYTES], struct gh_buffer *sealed,
                               struct gh_error *error);
    enum gh_error_code (*open)(void *context, int64_t tenant, uint32_t number,
                               struct gh_slice sealed, uint8_t key[GH_SEAL_KEY_BYTES],
                               struct gh_error *error);
    enum gh_error_code (*renew)(void *context, struct gh_error *error);
    enum gh_error_code (*rewrap)(void *context, int64_t tenant, uint32_t number,
                                 struct gh_slice sealed, struct gh_buffer *out,
                                 struct gh_error *error);
    enum gh_error_code (*settle)(void *context, struct gh_error *error);
};
/* The same over a keyring (the context) of this process: for the keys process, and for the command
 * line while no server runs. One thread. */
extern const struct gh_sealing_keys gh_sealing_keyring;
GH_MUST_USE enum gh_error_code gh_sealing_key_make(struct gh_keyring *keyring, int64_t tenant,
                                                   uint32_t number, uint8_t key[GH_SEAL_KEY_BYTES],
                                                   struct gh_buffer *sealed,
                                                   struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_sealing_key_open(struct gh_keyring *keyring, int64_t tenant,
                                                   uint32_t number, struct gh_slice sealed,
                                                   uint8_t key[GH_SEAL_KEY_BYTES],
                                                   struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_sealing_key_rewrap(struct gh_keyring *keyring, int64_t tenant,
                                                     uint32_t number, struct gh_slice sealed,
                                                     struct gh_buffer *out, struct gh_error *error);

struct gh_sealing;
/* The store, the table and its context outlive it. NULL without memory. */
GH_MUST_USE struct gh_sealing *gh_sealing_open(struct gh_store *store,
                                               const struct gh_sealing_keys *keys, void *context);
void gh_sealing_close(struct gh_sealing *sealing); /* NULL is fine */

/* Until the release no key is rotated; several threads at once, and one of them again. */
void gh_sealing_hold(struct gh_sealing *sealing); /* NULL is fine */
void gh_sealing_release(struct gh_sealing *sealing);

/* The text to store in `place`, in the arena. The tenant's first data key is made when it is
 * needed. KEYS when the keys process cannot; NOT_FOUND without the tenant. */
GH_MUST_USE enum gh_error_code gh_sealing_seal(struct gh_sealing *sealing,
                                               const struct gh_seal_place *place,
                                               struct gh_slice plain, struct gh_arena *arena,
                                               struct gh_slice *text, struct gh_error *error);
/* Appends the secret to `out`, which is the caller's to wipe. KEYS when the text is none, was
 * changed or moved, or its data key is gone. */
GH_MUST_USE enum gh_error_code gh_sealing_unseal(struct gh_sealing *sealing,
                                                 const struct gh_seal_place *place,
                                                 struct gh_slice text, struct gh_buffer *out,
                                                 struct gh_error *error);
/* Drops what is remembered of the tenant; after it was deleted. */
void gh_sealing_forget(struct gh_sealing *sealing, int64_t tenant);

/* Whether the text is one of these seals. */
bool gh_sealing_is_sealed(struct gh_slice text);
/* Where the key of a tenant's issuing CA stands. */
struct gh_seal_place gh_sealing_issuer(int64_t tenant, struct gh_slice fingerprint);
/* Where a symmetric key of a device stands; `row` is memory for its name. */
enum { GH_SEALING_ROW_MAX = 96 };
struct gh_seal_place gh_sealing_credential(int64_t tenant, uint64_t device,
                                           struct gh_slice credential,
                                           char row[GH_SEALING_ROW_MAX]);

/* --- rotation: waits for those who hold, and they for it */

/* A new data key for the tenant: everything sealed is sealed anew under it and the older keys are
 * removed, in one commit. `*count` is how many secrets that were. */
GH_MUST_USE enum gh_error_code gh_sealing_rotate(struct gh_sealing *sealing, int64_t tenant,
                                                 struct gh_arena *arena, size_t *count,
                                                 struct gh_error *error);
/* A new KEK at the place of the current one, or the end of a rotation that was interrupted: the
 * data keys of all tenants are sealed anew under it, in one commit, then the old KEK is destroyed.
 */
GH_MUST_USE enum gh_error_code gh_sealing_rotate_kek(struct gh_sealing *sealing,
                                                     struct gh_arena *arena, size_t *count,
                                                     struct gh_error *error);
/* The second step of it alone, over a keyring of this process: for a KEK that moved elsewhere. */
GH_MUST_USE enum gh_error_code gh_sealing_rewrap(struct gh_store *store, struct gh_keyring *keyring,
                                                 struct gh_arena *arena, size_t *count,
                                                 struct gh_error *error);
#endif
