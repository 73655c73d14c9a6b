/* What the files of crypto/ share about OpenSSL: its handles behind our types, strict PEM, and its
 * error queue, which is per thread and is always left empty so that nothing of it shows up in a TLS
 * connection's diagnosis. Nobody outside crypto/ includes this. */
#ifndef GH_CRYPTO_OPENSSL_INTERNAL_H
#define GH_CRYPTO_OPENSSL_INTERNAL_H

#include "crypto/certificate.h"
#include "crypto/digest.h"
#include <openssl/evp.h>
#include <openssl/x509.h>

/* Decodes the one PEM block of `pem`. `label` is what its BEGIN line must say, with NULL any label
 * does; the label found goes to `found` unless that is NULL. The DER is OpenSSL's memory, to be
 * freed with OPENSSL_clear_free(*der, *size). False with GH_ERROR_INVALID. */
enum { GH_PEM_LABEL_MAX = 32 };
GH_MUST_USE bool gh_pem_read(struct gh_slice pem, const char *label, char found[GH_PEM_LABEL_MAX],
                             unsigned char **der, long *size, struct gh_error *error);
/* Appends what `write` writes into a memory BIO; false when that fails or the buffer is full. The
 * BIO is wiped. */
GH_MUST_USE bool gh_bio_print(struct gh_buffer *out, int (*write)(BIO *bio, const void *object),
                              const void *object);

/* The key of a SubjectPublicKeyInfo in one of the forms that tools write; NULL for all others,
 * which d2i_PUBKEY may still know. The caller frees it. */
EVP_PKEY *gh_spki_read(struct gh_slice der);
/* Appends it, a point always uncompressed, so that one key has one fingerprint however it came. */
GH_MUST_USE bool gh_spki_write(const struct gh_key *key, struct gh_buffer *out);

/* The context in which certificates are read, and in which handshakes read them; NULL is OpenSSL's
 * own and does as well. */
OSSL_LIB_CTX *gh_library(void);
/* TLS13-KDF by crypto/schedule.h. */
extern const OSSL_DISPATCH gh_schedule_kdf[];
/* X25519's keys by crypto/x25519.c, of the default provider's own functions for keys and for their
 * exchange; `keys` as they are when these are not as expected. Once in a process. */
const OSSL_DISPATCH *gh_x25519_keys(const OSSL_DISPATCH *keys, const OSSL_DISPATCH *exchange);
/* The certificate that `der` is, to its last byte; NULL for anything else. It may be shared: not to
 * be changed. The caller frees it. `digest` is SHA-256 over `der`. */
X509 *gh_x509_read(struct gh_slice der, uint8_t digest[GH_SHA256_BYTES]);
/* Somebody has read `der` already, in gh_library: whoever reads it next may have this. */
void gh_x509_remember(struct gh_slice der, X509 *native);

/* The native handle, borrowed. */
EVP_PKEY *gh_key_native(const struct gh_key *key);
EVP_PKEY *gh_private_key_native(const struct gh_private_key *key);
/* A private key over a native one, which it takes, under the rules of gh_key_open. */
GH_MUST_USE struct gh_private_key *gh_private_key_adopt(EVP_PKEY *native, struct gh_error *error);
X509 *gh_certificate_native(const struct gh_certificate *certificate);
/* A certificate over a native one, of which it takes a reference; NULL without memory. */
GH_MUST_USE struct gh_certificate *gh_certificate_adopt(X509 *native);
/* SHA-256 over its DER; empty when it was adopted, not read. */
struct gh_slice gh_certificate_digest(const struct gh_certificate *certificate);
/* Unix seconds; false for what is no time, NULL included. */
GH_MUST_USE bool gh_time_read(const ASN1_TIME *from, int64_t *out);
/* Appends a serial number in lower-case hex without leading zeros. */
GH_MUST_USE bool gh_serial_print(const ASN1_INTEGER *serial, struct gh_buffer *out);
/* A key over a native one, under the rules of gh_key_open; `native` is borrowed. */
GH_MUST_USE struct gh_key *gh_key_adopt(EVP_PKEY *native, enum gh_key_form form,
                                        struct gh_error *error);
/* The slow part of the rules, done once when a key is registered: the point has the right order,
 * the modulus is neither prime nor has small factors. */
GH_MUST_USE bool gh_key_sound(const struct gh_key *key, struct gh_error *error);
#endif
