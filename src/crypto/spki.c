/* SubjectPublicKeyInfo without OpenSSL's decoders: in 3.0 they take longer (0.15 ms) than the
 * verification that follows (0.02 to 0.1 ms), and every CONNECT opens its device's key. The two
 * forms read here are those that tools write, to the byte; anything else is left to OpenSSL. Values
 * that come out are judged by the same rules as all others. */
#include "base/cursor.h"
#include "crypto/openssl_internal.h"
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <string.h>

enum { POINT_BYTES = 65 };

/* SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING } up to the uncompressed point
 * (RFC 5480 §2). */
static const uint8_t p256_head[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                    0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                                    0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};
/* SEQUENCE { rsaEncryption, NULL } (RFC 8017 A.1). */
static const uint8_t rsa_algorithm[] = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                        0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00};

static EVP_PKEY *make(const char *type, OSSL_PARAM *parameters)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *native = NULL;

    if (context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &native, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
        native = NULL;
    EVP_PKEY_CTX_free(context);
    return native;
}

static EVP_PKEY *read_p256(struct gh_slice der)
{
    char group[] = "prime256v1";
    uint8_t point[POINT_BYTES];

    if (der.size != sizeof p256_head + sizeof point ||
        !gh_slice_starts(der, gh_slice(p256_head, sizeof p256_head)))
        return NULL;
    memcpy(point, der.data + sizeof p256_head, sizeof point);
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point),
        OSSL_PARAM_construct_end()};
    return make("EC", parameters);
}

/* A value with its tag and a length in the shortest form of one to three bytes. */
static bool take_value(struct gh_cursor *at, uint8_t tag, struct gh_slice *out)
{
    uint8_t first, length;
    uint16_t longer;
    size_t size;

    if (!gh_cursor_u8(at, &first) || first != tag || !gh_cursor_u8(at, &length))
        return false;
    size = length;
    if (length == 0x81) {
        if (!gh_cursor_u8(at, &length) || length < 0x80)
            return false;
        size = length;
    } else if (length == 0x82) {
        if (!gh_cursor_u16(at, &longer) || longer < 0x100)
            return false;
        size = longer;
    } else if (length >= 0x80) {
        return false;
    }
    return gh_cursor_take(at, size, out);
}

/* A positive INTEGER without needless zeros. */
static BIGNUM *take_number(struct gh_cursor *at)
{
    struct gh_slice value;
    if (!take_value(at, 0x02, &value) || value.size == 0 || (value.data[0] & 0x80u) != 0 ||
        (value.size > 1 && value.data[0] == 0 && (value.data[1] & 0x80u) == 0))
        return NULL;
    return BN_bin2bn(value.data, (int)value.size, NULL);
}

static EVP_PKEY *make_rsa(const BIGNUM *modulus, const BIGNUM *exponent)
{
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    OSSL_PARAM *parameters = NULL;
    EVP_PKEY *native = NULL;

    if (builder != NULL && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent) == 1 &&
        (parameters = OSSL_PARAM_BLD_to_param(builder)) != NULL)
        native = make("RSA", parameters);
    OSSL_PARAM_free(parameters);
    OSSL_PARAM_BLD_free(builder);
    return native;
}

static EVP_PKEY *read_rsa(struct gh_slice der)
{
    struct gh_cursor at = gh_cursor(der), inner, pair;
    struct gh_slice info, algorithm, bits, numbers;
    uint8_t unused_bits;
    BIGNUM *modulus = NULL, *exponent = NULL;
    EVP_PKEY *native = NULL;

    if (!take_value(&at, 0x30, &info) || gh_cursor_left(&at) != 0)
        return NULL;
    inner = gh_cursor(info);
    if (!gh_cursor_take(&inner, sizeof rsa_algorithm, &algorithm) ||
        !gh_slice_equal(algorithm, gh_slice(rsa_algorithm, sizeof rsa_algorithm)) ||
        !take_value(&inner, 0x03, &bits) || gh_cursor_left(&inner) != 0)
        return NULL;
    inner = gh_cursor(bits);
    if (!gh_cursor_u8(&inner, &unused_bits) || unused_bits != 0 ||
        !take_value(&inner, 0x30, &numbers) || gh_cursor_left(&inner) != 0)
        return NULL;
    pair = gh_cursor(numbers);
    if ((modulus = take_number(&pair)) != NULL && (exponent = take_number(&pair)) != NULL &&
        gh_cursor_left(&pair) == 0)
        native = make_rsa(modulus, exponent);
    BN_free(modulus);
    BN_free(exponent);
    return native;
}

EVP_PKEY *gh_spki_read(struct gh_slice der)
{
    EVP_PKEY *native = read_p256(der);
    return native != NULL ? native : read_rsa(der);
}

static bool write_p256(const EVP_PKEY *native, struct gh_buffer *out)
{
    BIGNUM *x = NULL, *y = NULL;
    uint8_t point[POINT_BYTES] = {0x04};
    enum { HALF = (POINT_BYTES - 1) / 2 };
    bool done = EVP_PKEY_get_bn_param(native, OSSL_PKEY_PARAM_EC_PUB_X, &x) == 1 &&
                EVP_PKEY_get_bn_param(native, OSSL_PKEY_PARAM_EC_PUB_Y, &y) == 1 &&
                BN_bn2binpad(x, point + 1, HALF) == HALF &&
                BN_bn2binpad(y, point + 1 + HALF, HALF) == HALF &&
                gh_buffer_put(out, gh_slice(p256_head, sizeof p256_head)) &&
                gh_buffer_put(out, gh_slice(point, sizeof point));
    BN_free(x);
    BN_free(y);
    return done;
}

bool gh_spki_write(const struct gh_key *key, struct gh_buffer *out)
{
    unsigned char *der = NULL;

    if (gh_key_kind(key) == GH_KEY_P256)
        return write_p256(gh_key_native(key), out);
    int size = i2d_PUBKEY(gh_key_native(key), &der);
    bool done = size > 0 && gh_buffer_put(out, gh_slice(der, (size_t)size));
    OPENSSL_free(der);
    return done;
}
