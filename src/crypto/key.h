/* Keys of devices and servers: public keys that verify, private keys that sign. Two kinds exist,
 * each with one algorithm that nothing in a message can change: P-256 with ES256 and RSA with RS256
 * (RFC 7518 §3.3, §3.4). Not for TLS (crypto/tls.h), not for encryption.
 *
 * A public key comes out of PEM, once, at the rim, where the strict rules live: P-256 as the named
 * curve with a valid point, or RSA of 2048 to 4096 bits in whole bytes with an odd exponent of at
 * least 65537 and no ROCA fingerprint (CVE-2017-15361); exactly one PEM block, nothing else around
 * it but white space. Memory: opened by gh_key_open, freed by gh_key_close; inputs are borrowed
 * during the call only. Threads: a key never changes once it is open; any number of threads may use
 * it at once. */
#ifndef GH_CRYPTO_KEY_H
#define GH_CRYPTO_KEY_H

#include "base/buffer.h"
#include "base/error.h"
#include "crypto/digest.h"

enum {
    GH_KEY_PEM_MAX = 16 * 1024, /* longer PEM is refused unread */
    GH_KEY_RSA_BITS_MIN = 2048,
    GH_KEY_RSA_BITS_MAX = 4096,
    GH_KEY_ES256_BYTES = 64, /* r||s */
    GH_KEY_SIGNATURE_MAX = GH_KEY_RSA_BITS_MAX / 8,
};

enum gh_key_kind {
    GH_KEY_ANY, /* only in questions: whatever it is */
    GH_KEY_P256,
    GH_KEY_RSA,
};

enum gh_key_form {
    GH_KEY_FORM_ANY, /* only in questions */
    GH_KEY_FORM_PUBLIC_KEY,
    GH_KEY_FORM_CERTIFICATE,
};

struct gh_key;

/* From "BEGIN PUBLIC KEY" (SubjectPublicKeyInfo) or "BEGIN CERTIFICATE" (its key; dates and issuer
 * are not looked at here, see crypto/certificate.h). NULL with GH_ERROR_INVALID and the rule that
 * was broken. */
GH_MUST_USE struct gh_key *gh_key_open(struct gh_slice pem, struct gh_error *error);
void gh_key_close(struct gh_key *key);

enum gh_key_kind gh_key_kind(const struct gh_key *key);
/* Where it came from: a bare key or a certificate. */
enum gh_key_form gh_key_form(const struct gh_key *key);
unsigned gh_key_bits(const struct gh_key *key);
/* The one algorithm of this key: "ES256" or "RS256". Static. */
struct gh_slice gh_key_algorithm(const struct gh_key *key);
/* SHA-256 over the DER SubjectPublicKeyInfo in lower-case hex: the same for a key and its
 * certificate. False when memory is short. */
GH_MUST_USE bool gh_key_fingerprint(const struct gh_key *key, char out[GH_SHA256_HEX_MAX]);

/* The two numbers that the key is made of, big-endian: of P-256 the point's x and y, 32 bytes each;
 * of RSA modulus and exponent without leading zeros. False when memory is short. */
struct gh_key_numbers {
    uint8_t first[GH_KEY_RSA_BITS_MAX / 8], second[GH_KEY_RSA_BITS_MAX / 8];
    size_t first_size, second_size;
};
GH_MUST_USE bool gh_key_numbers(const struct gh_key *key, struct gh_key_numbers *out);

/* A public key out of its numbers, as JWK and COSE carry them, under the same rules; of P-256 both
 * are 32 bytes. NULL with GH_ERROR_INVALID. */
GH_MUST_USE struct gh_key *gh_key_from_numbers(enum gh_key_kind kind,
                                               const struct gh_key_numbers *numbers,
                                               struct gh_error *error);

/* The signature as JOSE carries it: ES256 is exactly 64 bytes r||s, both in 1..n-1 and never DER;
 * RS256 has the size of the modulus. By the key's own algorithm; false for everything else. */
GH_MUST_USE bool gh_key_verify(const struct gh_key *key, struct gh_slice message,
                               struct gh_slice signature);
/* The same for one algorithm; false when the key is of the other kind. */
GH_MUST_USE bool gh_key_verify_es256(const struct gh_key *key, struct gh_slice message,
                                     struct gh_slice signature);
GH_MUST_USE bool gh_key_verify_rs256(const struct gh_key *key, struct gh_slice message,
                                     struct gh_slice signature);
/* ECDSA with SHA-256 as X.509 and most tools write it: strict DER of r and s. Never for JOSE. */
GH_MUST_USE bool gh_key_verify_es256_der(const struct gh_key *key, struct gh_slice message,
                                         struct gh_slice signature);

/* Ed25519 (RFC 8032) with a bare public key of 32 bytes and a signature of 64: for security keys of
 * people, which are not keys of devices. */
enum { GH_ED25519_BYTES = 32 };
GH_MUST_USE bool gh_ed25519_verify(struct gh_slice public_key, struct gh_slice message,
                                   struct gh_slice signature);

/* Private keys: for the authority, for clients that sign tokens, for tests. They live in OpenSSL's
 * memory, which it wipes at close; the PEM made here is a secret and its buffer is the caller's to
 * wipe. */
struct gh_private_key;

/* `kind` is P256 or RSA (2048 bits, exponent 65537). NULL with the cause. */
GH_MUST_USE struct gh_private_key *gh_private_key_generate(enum gh_key_kind kind,
                                                           struct gh_error *error);
/* "BEGIN PRIVATE KEY" (PKCS#8), "BEGIN EC PRIVATE KEY" or "BEGIN RSA PRIVATE KEY", never encrypted;
 * the rules of public keys hold for it. */
GH_MUST_USE struct gh_private_key *gh_private_key_open(struct gh_slice pem, struct gh_error *error);
void gh_private_key_close(struct gh_private_key *key);

/* A private key as it may leave the house: "BEGIN ENCRYPTED PRIVATE KEY" (RFC 5958), AES-256-CBC
 * under PBKDF2 with HMAC-SHA-256 (RFC 8018), which `openssl pkey` reads too. A fifth of a second
 * of work each. */
enum {
    GH_KEY_PASSPHRASE_BYTES_MIN = 12,
    GH_KEY_PASSPHRASE_BYTES_MAX = 1024,
    GH_KEY_PASSPHRASE_ROUNDS = 600000,
};
/* Appends it; false when the buffer is full or memory is short. The passphrase has a length between
 * the two. */
GH_MUST_USE bool gh_private_key_print_encrypted(const struct gh_private_key *key,
                                                struct gh_slice passphrase, struct gh_buffer *out);
/* NULL with INVALID for another passphrase, another form, or a key that breaks the rules. */
GH_MUST_USE struct gh_private_key *gh_private_key_open_encrypted(struct gh_slice pem,
                                                                 struct gh_slice passphrase,
                                                                 struct gh_error *error);

enum gh_key_kind gh_private_key_kind(const struct gh_private_key *key);
struct gh_slice gh_private_key_algorithm(const struct gh_private_key *key);
/* Appends PKCS#8 PEM; false when the buffer is full or memory is short. */
GH_MUST_USE bool gh_private_key_print(const struct gh_private_key *key, struct gh_buffer *out);
/* Appends the public half as SubjectPublicKeyInfo PEM. */
GH_MUST_USE bool gh_private_key_print_public(const struct gh_private_key *key,
                                             struct gh_buffer *out);
/* ES256 as r||s or RS256, by kind. `*size` is 64 or the size of the modulus. */
GH_MUST_USE bool gh_private_key_sign(const struct gh_private_key *key, struct gh_slice message,
                                     uint8_t out[GH_KEY_SIGNATURE_MAX], size_t *size);
#endif
