#include "crypto/key.h"
#include "base/secret.h"
#include "crypto/openssl_internal.h"
#include <assert.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

enum {
    P256_BYTES = 32,
    /* SEQUENCE, then two INTEGERs of at most 33 bytes each. */
    ES256_DER_MAX = 2 + 2 * (2 + P256_BYTES + 1),
    SPKI_BYTES_MAX = 1024,      /* RSA-4096 takes some 550 */
    RSA_EXPONENT_BITS_MAX = 64, /* a larger one only buys an expensive verification */
};
static_assert(ES256_DER_MAX == 72, "RFC 7518 §3.4 in DER");
static_assert(GH_KEY_ES256_BYTES == 2 * P256_BYTES, "r||s");

struct gh_key {
    EVP_PKEY *native;
    enum gh_key_kind kind;
    enum gh_key_form form;
    unsigned bits;
};

struct gh_private_key {
    EVP_PKEY *native;
    enum gh_key_kind kind;
};

static bool refuse(struct gh_error *error, const char *why)
{
    (void)gh_error_set(error, GH_ERROR_INVALID, "%s", why);
    return false;
}

/* Moduli made by the RSALib of Infineon chips (CVE-2017-15361) are powers of 65537 modulo every
 * small prime; a healthy modulus passes all these tests with a probability below 2^-50. The primes
 * to 353 divide the library's M for every size from 992 bits on. */
static bool is_roca(const BIGNUM *modulus)
{
    static const uint16_t primes[] = {
        3,   5,   7,   11,  13,  17,  19,  23,  29,  31,  37,  41,  43,  47,  53,  59,  61,  67,
        71,  73,  79,  83,  89,  97,  101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157,
        163, 167, 173, 179, 181, 191, 193, 197, 199, 211, 223, 227, 229, 233, 239, 241, 251, 257,
        263, 269, 271, 277, 281, 283, 293, 307, 311, 313, 317, 331, 337, 347, 349, 353};

    for (size_t i = 0; i < GH_COUNT(primes); i++) {
        BN_ULONG prime = primes[i], rest = BN_mod_word(modulus, prime), power = 1;
        do {
            power = power * (65537 % prime) % prime;
        } while (power != rest && power != 1);
        if (power != rest)
            return false;
    }
    return true;
}

static bool check_rsa(EVP_PKEY *native, struct gh_error *error)
{
    BIGNUM *modulus = NULL, *exponent = NULL;
    const char *why = NULL;

    if (EVP_PKEY_get_bn_param(native, OSSL_PKEY_PARAM_RSA_N, &modulus) != 1 ||
        EVP_PKEY_get_bn_param(native, OSSL_PKEY_PARAM_RSA_E, &exponent) != 1)
        why = "the RSA key is damaged";
    else if (BN_num_bits(modulus) < GH_KEY_RSA_BITS_MIN)
        why = "the RSA key has less than 2048 bits";
    else if (BN_num_bits(modulus) > GH_KEY_RSA_BITS_MAX)
        why = "the RSA key has more than 4096 bits";
    else if (BN_num_bits(modulus) % 8 != 0 || !BN_is_odd(modulus))
        why = "the RSA modulus is even or not a whole number of bytes";
    else if (!BN_is_odd(exponent) || BN_get_word(exponent) < 65537 ||
             BN_num_bits(exponent) > RSA_EXPONENT_BITS_MAX)
        why = "the RSA exponent is even, below 65537 or over 64 bits";
    else if (is_roca(modulus))
        why = "the RSA key was made by a faulty generator (ROCA, CVE-2017-15361)";
    BN_free(modulus);
    BN_free(exponent);
    return why == NULL || refuse(error, why);
}

static bool check_p256(EVP_PKEY *native, struct gh_error *error)
{
    char group[32];
    size_t size;
    int is_explicit = 0;

    if (EVP_PKEY_get_utf8_string_param(native, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group,
                                       &size) != 1 ||
        strcmp(group, SN_X9_62_prime256v1) != 0)
        return refuse(error, "the EC key is not on the curve P-256");
    if (EVP_PKEY_get_int_param(native, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
                               &is_explicit) == 1 &&
        is_explicit != 0)
        return refuse(error, "the EC key spells its curve out instead of naming it");
    return true;
}

/* The rules of the header, for the public half of any key. 0 when they do not hold. */
static enum gh_key_kind kind_by_rules(EVP_PKEY *native, struct gh_error *error)
{
    switch (EVP_PKEY_get_base_id(native)) {
    case EVP_PKEY_EC:
        return check_p256(native, error) ? GH_KEY_P256 : GH_KEY_ANY;
    case EVP_PKEY_RSA:
        return check_rsa(native, error) ? GH_KEY_RSA : GH_KEY_ANY;
    default:
        (void)refuse(error, "the key is neither P-256 nor RSA");
        return GH_KEY_ANY;
    }
}

struct gh_key *gh_key_adopt(EVP_PKEY *native, enum gh_key_form form, struct gh_error *error)
{
    enum gh_key_kind kind = kind_by_rules(native, error);
    struct gh_key *key = NULL;

    if (kind != GH_KEY_ANY) {
        key = calloc(1, sizeof *key);
        if (key == NULL) {
            (void)gh_error_set(error, GH_ERROR_MEMORY, "no memory for a public key");
        } else {
            (void)EVP_PKEY_up_ref(native);
            *key = (struct gh_key){native, kind, form, (unsigned)EVP_PKEY_get_bits(native)};
        }
    }
    ERR_clear_error();
    return key;
}

static struct gh_key *open_certificate(const unsigned char *der, long size, struct gh_error *error)
{
    uint8_t digest[GH_SHA256_BYTES];
    X509 *certificate = gh_x509_read(gh_slice(der, (size_t)size), digest);
    struct gh_key *key = NULL;

    if (certificate == NULL || X509_get0_pubkey(certificate) == NULL)
        (void)refuse(error, "the certificate is damaged or its key is of an unknown kind");
    else
        key = gh_key_adopt(X509_get0_pubkey(certificate), GH_KEY_FORM_CERTIFICATE, error);
    X509_free(certificate);
    return key;
}

static struct gh_key *open_public(const unsigned char *der, long size, struct gh_error *error)
{
    const unsigned char *at = der;
    EVP_PKEY *native = gh_spki_read(gh_slice(der, (size_t)size));
    struct gh_key *key = NULL;

    if (native != NULL)
        at += size;
    else
        native = d2i_PUBKEY(NULL, &at, size);
    if (native == NULL || at != der + size)
        (void)refuse(error, "the public key is damaged or of an unknown kind");
    else
        key = gh_key_adopt(native, GH_KEY_FORM_PUBLIC_KEY, error);
    EVP_PKEY_free(native);
    return key;
}

struct gh_key *gh_key_open(struct gh_slice pem, struct gh_error *error)
{
    char label[GH_PEM_LABEL_MAX];
    unsigned char *der;
    long size;
    struct gh_key *key = NULL;

    if (!gh_pem_read(pem, NULL, label, &der, &size, error))
        return NULL;
    if (strcmp(label, PEM_STRING_PUBLIC) == 0)
        key = open_public(der, size, error);
    else if (strcmp(label, PEM_STRING_X509) == 0)
        key = open_certificate(der, size, error);
    else
        (void)refuse(error, "the PEM block is neither PUBLIC KEY nor CERTIFICATE");
    OPENSSL_clear_free(der, (size_t)size);
    ERR_clear_error();
    return key;
}

void gh_key_close(struct gh_key *key)
{
    if (key == NULL)
        return;
    EVP_PKEY_free(key->native);
    free(key);
}

bool gh_key_sound(const struct gh_key *key, struct gh_error *error)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key->native, NULL);
    bool sound = context != NULL && EVP_PKEY_public_check(context) == 1;

    EVP_PKEY_CTX_free(context);
    ERR_clear_error();
    return sound || refuse(error, "the key is mathematically unsound");
}

EVP_PKEY *gh_key_native(const struct gh_key *key)
{
    return key->native;
}

enum gh_key_kind gh_key_kind(const struct gh_key *key)
{
    return key->kind;
}

enum gh_key_form gh_key_form(const struct gh_key *key)
{
    return key->form;
}

unsigned gh_key_bits(const struct gh_key *key)
{
    return key->bits;
}

static struct gh_slice algorithm(enum gh_key_kind kind)
{
    return kind == GH_KEY_P256 ? GH_SLICE("ES256") : GH_SLICE("RS256");
}

struct gh_slice gh_key_algorithm(const struct gh_key *key)
{
    return algorithm(key->kind);
}

bool gh_key_fingerprint(const struct gh_key *key, char out[GH_SHA256_HEX_MAX])
{
    uint8_t block[SPKI_BYTES_MAX];
    struct gh_buffer der = gh_buffer_fixed(block, sizeof block);
    bool done = gh_spki_write(key, &der);

    (void)gh_sha256_hex(gh_buffer_slice(&der), out);
    ERR_clear_error();
    return done;
}

static bool verify_digest(EVP_PKEY *native, struct gh_slice message, struct gh_slice signature)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good =
        context != NULL && EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, native) == 1 &&
        EVP_DigestVerify(context, signature.data, signature.size, message.data, message.size) == 1;

    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return good;
}

/* 1 … n-1 of P-256 (SEC 2 §2.4.2), big-endian. */
static bool in_range(const uint8_t number[P256_BYTES])
{
    static const uint8_t zero[P256_BYTES];
    static const uint8_t order[P256_BYTES] = {0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00,
                                              0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                              0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84,
                                              0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};
    return memcmp(number, zero, P256_BYTES) != 0 && memcmp(number, order, P256_BYTES) < 0;
}

/* A positive INTEGER in DER: no leading zeros but the one that keeps it positive. */
static void put_integer(struct gh_buffer *out, struct gh_slice number)
{
    while (number.size > 1 && number.data[0] == 0)
        number = gh_slice_sub(number, 1, number.size);
    bool high = (number.data[0] & 0x80u) != 0;
    (void)gh_buffer_u8(out, 0x02);
    (void)gh_buffer_u8(out, (uint8_t)(number.size + high));
    if (high)
        (void)gh_buffer_u8(out, 0);
    (void)gh_buffer_put(out, number);
}

bool gh_key_verify_es256(const struct gh_key *key, struct gh_slice message,
                         struct gh_slice signature)
{
    uint8_t block[ES256_DER_MAX], body_block[ES256_DER_MAX - 2];
    struct gh_buffer der = gh_buffer_fixed(block, sizeof block);
    struct gh_buffer body = gh_buffer_fixed(body_block, sizeof body_block);

    if (key->kind != GH_KEY_P256 || signature.size != GH_KEY_ES256_BYTES)
        return false;
    if (!in_range(signature.data) || !in_range(signature.data + P256_BYTES))
        return false;
    put_integer(&body, gh_slice_sub(signature, 0, P256_BYTES));
    put_integer(&body, gh_slice_sub(signature, P256_BYTES, P256_BYTES));
    (void)gh_buffer_u8(&der, 0x30);
    (void)gh_buffer_u8(&der, (uint8_t)body.size);
    (void)gh_buffer_put(&der, gh_buffer_slice(&body));
    assert(!body.overflow && !der.overflow);
    return verify_digest(key->native, message, gh_buffer_slice(&der));
}

bool gh_key_verify_es256_der(const struct gh_key *key, struct gh_slice message,
                             struct gh_slice signature)
{
    /* OpenSSL encodes what it decoded and compares, so anything but strict DER is refused there. */
    return key->kind == GH_KEY_P256 && signature.size <= ES256_DER_MAX &&
           verify_digest(key->native, message, signature);
}

bool gh_key_verify_rs256(const struct gh_key *key, struct gh_slice message,
                         struct gh_slice signature)
{
    /* OpenSSL builds the one padded DigestInfo that is right and compares; nothing is parsed. */
    return key->kind == GH_KEY_RSA && signature.size == key->bits / 8 &&
           verify_digest(key->native, message, signature);
}

bool gh_key_verify(const struct gh_key *key, struct gh_slice message, struct gh_slice signature)
{
    return key->kind == GH_KEY_P256 ? gh_key_verify_es256(key, message, signature)
                                    : gh_key_verify_rs256(key, message, signature);
}

struct gh_private_key *gh_private_key_adopt(EVP_PKEY *native, struct gh_error *error)
{
    enum gh_key_kind kind = kind_by_rules(native, error);
    struct gh_private_key *key = kind == GH_KEY_ANY ? NULL : calloc(1, sizeof *key);

    if (key == NULL) {
        if (kind != GH_KEY_ANY)
            (void)gh_error_set(error, GH_ERROR_MEMORY, "no memory for a private key");
        EVP_PKEY_free(native);
        return NULL;
    }
    key->native = native;
    key->kind = kind;
    return key;
}

struct gh_private_key *gh_private_key_generate(enum gh_key_kind kind, struct gh_error *error)
{
    assert(kind == GH_KEY_P256 || kind == GH_KEY_RSA);
    EVP_PKEY *native = kind == GH_KEY_P256
                           ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256")
                           : EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)GH_KEY_RSA_BITS_MIN);
    ERR_clear_error();
    if (native == NULL) {
        (void)gh_error_set(error, GH_ERROR_INTERNAL, "OpenSSL cannot generate a key");
        return NULL;
    }
    return gh_private_key_adopt(native, error);
}

struct gh_private_key *gh_private_key_open(struct gh_slice pem, struct gh_error *error)
{
    static const struct {
        const char *label;
        int type; /* what the block says the key is; PKCS#8 says it inside */
    } forms[] = {{PEM_STRING_PKCS8INF, EVP_PKEY_NONE},
                 {PEM_STRING_ECPRIVATEKEY, EVP_PKEY_EC},
                 {PEM_STRING_RSA, EVP_PKEY_RSA}};
    char label[GH_PEM_LABEL_MAX];
    unsigned char *der;
    long size;
    EVP_PKEY *native = NULL;

    if (!gh_pem_read(pem, NULL, label, &der, &size, error))
        return NULL;
    const unsigned char *at = der;
    for (size_t i = 0; i < GH_COUNT(forms); i++) {
        if (strcmp(label, forms[i].label) != 0)
            continue;
        native = forms[i].type == EVP_PKEY_NONE ? d2i_AutoPrivateKey(NULL, &at, size)
                                                : d2i_PrivateKey(forms[i].type, NULL, &at, size);
    }
    if (native != NULL && at != der + size) {
        EVP_PKEY_free(native);
        native = NULL;
    }
    OPENSSL_clear_free(der, (size_t)size);
    ERR_clear_error();
    if (native == NULL) {
        (void)refuse(error, "the PEM block holds no private key that can be read");
        return NULL;
    }
    return gh_private_key_adopt(native, error);
}

void gh_private_key_close(struct gh_private_key *key)
{
    if (key == NULL)
        return;
    EVP_PKEY_free(key->native);
    free(key);
}

EVP_PKEY *gh_private_key_native(const struct gh_private_key *key)
{
    return key->native;
}

enum gh_key_kind gh_private_key_kind(const struct gh_private_key *key)
{
    return key->kind;
}

struct gh_slice gh_private_key_algorithm(const struct gh_private_key *key)
{
    return algorithm(key->kind);
}

static int write_private(BIO *bio, const void *native)
{
    return PEM_write_bio_PKCS8PrivateKey(bio, native, NULL, NULL, 0, NULL, NULL);
}

static int write_public(BIO *bio, const void *native)
{
    return PEM_write_bio_PUBKEY(bio, native);
}

bool gh_private_key_print(const struct gh_private_key *key, struct gh_buffer *out)
{
    return gh_bio_print(out, write_private, key->native);
}

bool gh_private_key_print_public(const struct gh_private_key *key, struct gh_buffer *out)
{
    return gh_bio_print(out, write_public, key->native);
}

/* DER to r||s, each padded to 32 bytes. */
static bool der_to_raw(const uint8_t *der, size_t size, uint8_t raw[GH_KEY_ES256_BYTES])
{
    const unsigned char *at = der;
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)size);
    bool done = pair != NULL &&
                BN_bn2binpad(ECDSA_SIG_get0_r(pair), raw, P256_BYTES) == P256_BYTES &&
                BN_bn2binpad(ECDSA_SIG_get0_s(pair), raw + P256_BYTES, P256_BYTES) == P256_BYTES;

    ECDSA_SIG_free(pair);
    return done;
}

bool gh_private_key_sign(const struct gh_private_key *key, struct gh_slice message,
                         uint8_t out[GH_KEY_SIGNATURE_MAX], size_t *size)
{
    uint8_t block[GH_KEY_SIGNATURE_MAX];
    size_t made = sizeof block;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool done = context != NULL &&
                EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key->native) == 1 &&
                EVP_DigestSign(context, block, &made, message.data, message.size) == 1;

    EVP_MD_CTX_free(context);
    if (done && key->kind == GH_KEY_P256) {
        done = der_to_raw(block, made, out);
        *size = GH_KEY_ES256_BYTES;
    } else if (done) {
        memcpy(out, block, made);
        *size = made;
    }
    ERR_clear_error();
    return done;
}
