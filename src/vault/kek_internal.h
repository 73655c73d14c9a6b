/* What the places of a key-encryption key share: each is a row of the table in kek.c. */
#ifndef GH_VAULT_KEK_INTERNAL_H
#define GH_VAULT_KEK_INTERNAL_H

#include "base/secret.h"
#include "vault/kek.h"

struct gh_kek {
    const struct gh_kek_place *place;
    struct gh_secret *key;       /* NULL when it stays in the token */
    struct gh_pkcs11_key *token; /* NULL when it does not */
};

/* `detail` is the text behind the colon, empty without one. */
struct gh_kek_place {
    const char *name;
    enum gh_error_code (*create)(struct gh_kek *kek, const char *folder,
                                 const struct gh_kek_record *record, struct gh_slice detail,
                                 struct gh_buffer *material, struct gh_error *error);
    enum gh_error_code (*open)(struct gh_kek *kek, const char *folder,
                               const struct gh_kek_record *record, struct gh_slice detail,
                               struct gh_error *error);
    enum gh_error_code (*destroy)(const char *folder, const struct gh_kek_record *record,
                                  struct gh_slice detail, struct gh_error *error);
};

extern const struct gh_kek_place gh_kek_file;   /* kek_file.c */
extern const struct gh_kek_place gh_kek_pkcs11; /* kek_pkcs11.c */
extern const struct gh_kek_place gh_kek_tpm;    /* kek_tpm.c */

struct gh_seal_cipher gh_kek_pkcs11_cipher(struct gh_kek *kek);
void gh_kek_pkcs11_close(struct gh_kek *kek);

/* Takes 32 bytes into the KEK and wipes them where they were. */
GH_MUST_USE enum gh_error_code gh_kek_take(struct gh_kek *kek, uint8_t key[GH_SEAL_KEY_BYTES],
                                           struct gh_error *error);
/* A file of at most `size_max` bytes that only its owner may read. */
GH_MUST_USE enum gh_error_code gh_kek_read_file(const char *path, size_t size_max,
                                                struct gh_buffer *out, struct gh_error *error);
#endif
