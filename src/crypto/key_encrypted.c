/* Private keys under a passphrase. */
#include "base/secret.h"
#include "crypto/openssl_internal.h"
#include <assert.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>

enum { SALT_BYTES = 16 };

static int write_encrypted(BIO *bio, const void *sealed)
{
    return PEM_write_bio_PKCS8(bio, sealed);
}

bool gh_private_key_print_encrypted(const struct gh_private_key *key, struct gh_slice passphrase,
                                    struct gh_buffer *out)
{
    uint8_t salt[SALT_BYTES];
    assert(passphrase.size >= GH_KEY_PASSPHRASE_BYTES_MIN);
    assert(passphrase.size <= GH_KEY_PASSPHRASE_BYTES_MAX);
    gh_random(salt, sizeof salt);
    PKCS8_PRIV_KEY_INFO *plain = EVP_PKEY2PKCS8(gh_private_key_native(key));
    X509_SIG *sealed = plain == NULL
                           ? NULL
                           : PKCS8_encrypt(-1, EVP_aes_256_cbc(), (const char *)passphrase.data,
                                           (int)passphrase.size, salt, sizeof salt,
                                           GH_KEY_PASSPHRASE_ROUNDS, plain);
    bool done = sealed != NULL && gh_bio_print(out, write_encrypted, sealed);
    X509_SIG_free(sealed);
    PKCS8_PRIV_KEY_INFO_free(plain);
    ERR_clear_error();
    return done;
}

struct gh_private_key *gh_private_key_open_encrypted(struct gh_slice pem,
                                                     struct gh_slice passphrase,
                                                     struct gh_error *error)
{
    unsigned char *der;
    long size;
    EVP_PKEY *native = NULL;
    if (!gh_pem_read(pem, PEM_STRING_PKCS8, NULL, &der, &size, error))
        return NULL;
    const unsigned char *at = der;
    X509_SIG *sealed = d2i_X509_SIG(NULL, &at, size);
    PKCS8_PRIV_KEY_INFO *plain =
        sealed == NULL || at != der + size || passphrase.size > GH_KEY_PASSPHRASE_BYTES_MAX
            ? NULL
            : PKCS8_decrypt(sealed, (const char *)passphrase.data, (int)passphrase.size);
    if (plain != NULL)
        native = EVP_PKCS82PKEY(plain);
    PKCS8_PRIV_KEY_INFO_free(plain);
    X509_SIG_free(sealed);
    OPENSSL_clear_free(der, (size_t)size);
    ERR_clear_error();
    if (native != NULL)
        return gh_private_key_adopt(native, error);
    (void)gh_error_set(error, GH_ERROR_INVALID,
                       "the key is damaged, or the passphrase is another one");
    return NULL;
}
