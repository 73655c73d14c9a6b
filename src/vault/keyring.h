/* The keyring: the server's own long-lived secrets at rest, DIR/keys/keyring (mode 0600), each
 * sealed (crypto/seal.h) under the key-encryption key (vault/kek.h), and which KEK that is:
 *
 *     "GHKR", u8 version 1
 *     u8 KEKs, the current one first, a second one only while a rotation is under way; of each:
 *         u32 number, text16 where it is, text16 material, text16 the seal of a known text
 *     u16 secrets, of each: text16 name, text32 seal
 *
 * The known text tells a wrong KEK from a damaged secret. The file is written beside its place and
 * moved there whole. The keys of tenants are not in it: they rest in the database, sealed by
 * gh_keyring_seal, so that deleting a tenant deletes its key.
 *
 * Belongs to the `keys` process and, while no server runs, to the command line; never to the
 * process that reads the network. Memory: secrets are gh_secret; text is the keyring's. Threads:
 * one at a time. */
#ifndef GH_VAULT_KEYRING_H
#define GH_VAULT_KEYRING_H

#include "base/secret.h"
#include "vault/kek.h"

enum {
    GH_KEYRING_KEKS_MAX = 2,
    GH_KEYRING_SECRETS_MAX = 64,
    GH_KEYRING_NAME_BYTES_MAX = 64,
    GH_KEYRING_SECRET_BYTES_MAX = 16 * 1024,
};

/* --- the file's form, without I/O */

struct gh_keyring_form {
    struct gh_keyring_form_kek {
        struct gh_kek_record record;
        struct gh_slice check;
    } keks[GH_KEYRING_KEKS_MAX];
    size_t keks_count; /* at least 1 */
    struct gh_keyring_form_secret {
        struct gh_slice name, sealed;
    } secrets[GH_KEYRING_SECRETS_MAX];
    size_t secrets_count;
};
/* Everything read borrows from `in`. False for what is no keyring of this version. */
GH_MUST_USE bool gh_keyring_form_read(struct gh_slice in, struct gh_keyring_form *out);
void gh_keyring_form_write(const struct gh_keyring_form *form, struct gh_buffer *out);

/* --- the keyring */

struct gh_keyring;

/* Its secrets; what else the built-in CA has in it stands in vault/ca.h. The key of passwords is 32
 * bytes, of registry/password.h and identity/operator.h. */
#define GH_KEYRING_CA "ca.key" /* PKCS#8 PEM of the root */
#define GH_KEYRING_PASSWORDS "password.key"
#define GH_KEYRING_AUDIT "audit.key"   /* PKCS#8 PEM, signs checkpoints of the audit trail */
#define GH_KEYRING_TOKENS "token.keys" /* those that sign access tokens */

bool gh_keyring_exists(const char *data_folder);
/* A new one with a new KEK at the place `text`; the file is there after gh_keyring_save. The folder
 * DIR/keys must exist. */
GH_MUST_USE struct gh_keyring *gh_keyring_create(const char *data_folder, struct gh_slice text,
                                                 struct gh_error *error);
/* KEYS with the exact reason: not there, others can read it, damaged, the KEK is not there, is
 * another one, or refuses. */
GH_MUST_USE struct gh_keyring *gh_keyring_open(const char *data_folder, struct gh_error *error);
void gh_keyring_close(struct gh_keyring *keyring); /* NULL is fine */
/* Durable when it returns GH_OK. */
GH_MUST_USE enum gh_error_code gh_keyring_save(struct gh_keyring *keyring, struct gh_error *error);

/* The keyring of a data folder for whoever serves it: opens it, and makes it, with a KEK in a file,
 * out of the keys in files that versions before it kept (DIR/keys/ca.key, password.key,
 * token.keys); those files are overwritten and removed once the keyring is durable. */
GH_MUST_USE struct gh_keyring *gh_keyring_take_over(const char *data_folder,
                                                    struct gh_error *error);

/* Borrowed; NULL when there is none of this name. */
const struct gh_secret *gh_keyring_get(const struct gh_keyring *keyring, const char *name);
/* Adds or replaces, in memory until it is saved. */
GH_MUST_USE enum gh_error_code gh_keyring_put(struct gh_keyring *keyring, const char *name,
                                              struct gh_slice bytes, struct gh_error *error);
/* Takes it out, in memory until it is saved; nothing without it. */
void gh_keyring_drop(struct gh_keyring *keyring, const char *name);
size_t gh_keyring_count(const struct gh_keyring *keyring);
const char *gh_keyring_name(const struct gh_keyring *keyring, size_t index);

/* Seals under the current KEK; unseals under the one that the seal names. */
GH_MUST_USE enum gh_error_code gh_keyring_seal(struct gh_keyring *keyring,
                                               const struct gh_seal_place *place,
                                               struct gh_slice plain, struct gh_buffer *out,
                                               struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_keyring_unseal(struct gh_keyring *keyring,
                                                 const struct gh_seal_place *place,
                                                 struct gh_slice sealed, struct gh_buffer *out,
                                                 struct gh_error *error);

/* The KEKs, the current one at 0. */
size_t gh_keyring_keks(const struct gh_keyring *keyring);
struct gh_kek_record gh_keyring_kek(const struct gh_keyring *keyring, size_t index);

/* A rotation: makes a new KEK at the place `text`, seals all secrets anew under it and saves; the
 * old one stays, for what was sealed outside of this file. PRECONDITION while one is under way. */
GH_MUST_USE enum gh_error_code gh_keyring_rotate(struct gh_keyring *keyring, struct gh_slice text,
                                                 struct gh_error *error);
/* The same at the place where the current one is; when a rotation is under way, that one is what is
 * asked for. PRECONDITION where the place is one file (file:PATH), which the key in use fills. */
GH_MUST_USE enum gh_error_code gh_keyring_renew(struct gh_keyring *keyring, struct gh_error *error);
/* Ends it, once nothing is sealed under the old KEK any more: that one is destroyed. Nothing to do
 * without a rotation. */
GH_MUST_USE enum gh_error_code gh_keyring_settle(struct gh_keyring *keyring,
                                                 struct gh_error *error);
#endif
