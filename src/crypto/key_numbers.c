#include "crypto/openssl_internal.h"
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <string.h>

/* `fixed_size` 0: as long as the number is. */
static bool read_number(const EVP_PKEY *native, const char *name, size_t fixed_size,
                        uint8_t out[GH_KEY_RSA_BITS_MAX / 8], size_t *size)
{
    BIGNUM *number = NULL;
    bool read = EVP_PKEY_get_bn_param(native, name, &number) == 1;
    *size = fixed_size != 0 ? fixed_size : read ? (size_t)BN_num_bytes(number) : 0;
    read = read && *size <= GH_KEY_RSA_BITS_MAX / 8 &&
           BN_bn2binpad(number, out, (int)*size) == (int)*size;
    BN_free(number);
    ERR_clear_error();
    return read;
}

bool gh_key_numbers(const struct gh_key *key, struct gh_key_numbers *out)
{
    static const struct {
        const char *first, *second;
        size_t fixed_size;
    } names[] = {
        [GH_KEY_P256] = {OSSL_PKEY_PARAM_EC_PUB_X, OSSL_PKEY_PARAM_EC_PUB_Y, 32},
        [GH_KEY_RSA] = {OSSL_PKEY_PARAM_RSA_N, OSSL_PKEY_PARAM_RSA_E, 0},
    };
    const EVP_PKEY *native = gh_key_native(key);
    enum gh_key_kind kind = gh_key_kind(key);
    return read_number(native, names[kind].first, names[kind].fixed_size, out->first,
                       &out->first_size) &&
           read_number(native, names[kind].second, names[kind].fixed_size, out->second,
                       &out->second_size);
}

/* The parameters of a key of that kind; NULL without memory. */
static OSSL_PARAM *print_params(enum gh_key_kind kind, const struct gh_key_numbers *numbers)
{
    uint8_t point[1 + 2 * sizeof numbers->first] = {0x04}; /* uncompressed: SEC 1 §2.3.3 */
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    BIGNUM *first = NULL, *second = NULL;
    OSSL_PARAM *params = NULL;
    bool good = builder != NULL;
    if (good && kind == GH_KEY_P256) {
        memcpy(point + 1, numbers->first, numbers->first_size);
        memcpy(point + 1 + numbers->first_size, numbers->second, numbers->second_size);
        good = OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) &&
               OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point,
                                                1 + numbers->first_size + numbers->second_size);
    } else if (good) {
        first = BN_bin2bn(numbers->first, (int)numbers->first_size, NULL);
        second = BN_bin2bn(numbers->second, (int)numbers->second_size, NULL);
        good = first != NULL && second != NULL &&
               OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, first) &&
               OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, second);
    }
    if (good)
        params = OSSL_PARAM_BLD_to_param(builder);
    OSSL_PARAM_BLD_free(builder);
    BN_free(first);
    BN_free(second);
    return params;
}

struct gh_key *gh_key_from_numbers(enum gh_key_kind kind, const struct gh_key_numbers *numbers,
                                   struct gh_error *error)
{
    OSSL_PARAM *params = print_params(kind, numbers);
    EVP_PKEY_CTX *context =
        EVP_PKEY_CTX_new_from_name(NULL, kind == GH_KEY_P256 ? "EC" : "RSA", NULL);
    EVP_PKEY *native = NULL;
    struct gh_key *key = NULL;
    if (params != NULL && context != NULL && EVP_PKEY_fromdata_init(context) == 1 &&
        EVP_PKEY_fromdata(context, &native, EVP_PKEY_PUBLIC_KEY, params) == 1)
        key = gh_key_adopt(native, GH_KEY_FORM_PUBLIC_KEY, error);
    else
        (void)gh_error_set(error, GH_ERROR_INVALID, "these numbers are no public key");
    EVP_PKEY_free(native);
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    ERR_clear_error();
    return key;
}

bool gh_ed25519_verify(struct gh_slice public_key, struct gh_slice message,
                       struct gh_slice signature)
{
    if (public_key.size != GH_ED25519_BYTES || signature.size != 2 * GH_ED25519_BYTES)
        return false;
    EVP_PKEY *native =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key.data, public_key.size);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good =
        native != NULL && context != NULL &&
        EVP_DigestVerifyInit(context, NULL, NULL, NULL, native) == 1 &&
        EVP_DigestVerify(context, signature.data, signature.size, message.data, message.size) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(native);
    ERR_clear_error();
    return good;
}
