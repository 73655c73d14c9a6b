#include "crypto/openssl_internal.h"
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>

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
