/* The key-encryption key (KEK): the one key under which all others rest. Where it lives is text of
 * the operator's:
 *
 *     file                  DIR/keys/kek-ID.key, 32 bytes, mode 0400 (the default)
 *     file:PATH             the same, elsewhere: what a service manager decrypts at start; made
 *                           there when it is not there
 *     pkcs11:…              a URI of RFC 7512 that means one token; the key is an AES-256 key that
 *                           never leaves it. module-path=… names the module (without it, the
 *                           modules that p11-kit knows), pin-source=PATH the file with the PIN
 *     tpm[:[pcrs=N,N;][tcti=…]]
 *                           32 bytes sealed by the TPM 2.0 behind the TCTI (device:/dev/tpmrm0),
 *                           which unseals them while the PCRs of the SHA-256 bank named are as
 *                           they were
 *
 * A KEK has a random number; what is sealed with it carries that number (crypto/seal.h). Beside the
 * text, `material` is what the place needs to find it again: the TPM's sealed blob; empty for the
 * others. Not here: what is sealed with it (vault/keyring.h).
 *
 * Errors are KEYS (5005) with the place and the exact reason. Memory: an opened KEK owns its key
 * (locked, wiped at close). Threads: one at a time. */
#ifndef GH_VAULT_KEK_H
#define GH_VAULT_KEK_H

#include "base/buffer.h"
#include "base/error.h"
#include "crypto/seal.h"

enum { GH_KEK_TEXT_MAX = 1024, GH_KEK_MATERIAL_MAX = 4096 };

struct gh_kek_record {
    uint32_t number;
    struct gh_slice text, material;
};

struct gh_kek;

/* Makes a new key at the place `record->text` says, in the data folder where that is no path;
 * appends its material. */
GH_MUST_USE struct gh_kek *gh_kek_create(const char *data_folder,
                                         const struct gh_kek_record *record,
                                         struct gh_buffer *material, struct gh_error *error);
GH_MUST_USE struct gh_kek *gh_kek_open(const char *data_folder, const struct gh_kek_record *record,
                                       struct gh_error *error);
void gh_kek_close(struct gh_kek *kek); /* NULL is fine */
/* Borrowed from the KEK. */
struct gh_seal_cipher gh_kek_cipher(struct gh_kek *kek);
/* Takes the key away for good: overwrites and removes the file, destroys the object in the token.
 * A file:PATH is the operator's and stays. */
GH_MUST_USE enum gh_error_code
gh_kek_destroy(const char *data_folder, const struct gh_kek_record *record, struct gh_error *error);
#endif
