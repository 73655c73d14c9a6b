/* The key schedule as an algorithm of a provider (provider-kdf(7), EVP_KDF-TLS13_KDF(7)): libssl
 * asks for each key with all that it is made of, so there is nothing to keep between two calls. */
#include "crypto/openssl_internal.h"
#include "crypto/schedule.h"
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <string.h>
#include <strings.h>

struct wish {
    int mode;
    struct gh_slice digest, key, salt, prefix, label, data;
};

static bool read_wish(const OSSL_PARAM *params, struct wish *out)
{
    const struct {
        const char *name;
        struct gh_slice *to;
    } fields[] = {
        {OSSL_KDF_PARAM_DIGEST, &out->digest}, {OSSL_KDF_PARAM_KEY, &out->key},
        {OSSL_KDF_PARAM_SALT, &out->salt},     {OSSL_KDF_PARAM_PREFIX, &out->prefix},
        {OSSL_KDF_PARAM_LABEL, &out->label},   {OSSL_KDF_PARAM_DATA, &out->data},
    };
    *out = (struct wish){.mode = -1};
    for (; params != NULL && params->key != NULL; params++) {
        if (strcmp(params->key, OSSL_KDF_PARAM_MODE) == 0 &&
            OSSL_PARAM_get_int(params, &out->mode) != 1)
            return false;
        for (size_t i = 0; i < GH_COUNT(fields); i++)
            if (strcmp(params->key, fields[i].name) == 0)
                *fields[i].to = gh_slice(params->data, params->data_size);
    }
    return true;
}

static bool find_hash(struct gh_slice name, enum gh_digest *out)
{
    static const struct {
        const char *name;
        enum gh_digest hash;
    } names[] = {{"SHA2-256", GH_DIGEST_SHA256},
                 {"SHA256", GH_DIGEST_SHA256},
                 {"SHA2-384", GH_DIGEST_SHA384},
                 {"SHA384", GH_DIGEST_SHA384}};
    for (size_t i = 0; i < GH_COUNT(names); i++)
        if (name.size == strlen(names[i].name) &&
            strncasecmp((const char *)name.data, names[i].name, name.size) == 0) {
            *out = names[i].hash;
            return true;
        }
    return false;
}

static int derive(void *context, unsigned char *out, size_t size, const OSSL_PARAM *params)
{
    static const uint8_t zeros[GH_SCHEDULE_SECRET_MAX];
    struct wish wish;
    enum gh_digest hash;
    (void)context;
    if (!read_wish(params, &wish) || !find_hash(wish.digest, &hash) ||
        !gh_slice_equal(wish.prefix, GH_SLICE("tls13 ")))
        return 0;
    if (wish.mode == EVP_KDF_HKDF_MODE_EXTRACT_ONLY) {
        if (wish.key.size == 0) /* no input secret */
            wish.key = gh_slice(zeros, gh_digest_bytes(hash));
        return size == gh_digest_bytes(hash) && gh_slice_equal(wish.label, GH_SLICE("derived")) &&
               gh_schedule_next(hash, wish.salt, wish.key, out);
    }
    if (wish.mode != EVP_KDF_HKDF_MODE_EXPAND_ONLY ||
        !gh_schedule_expand(hash, wish.key, wish.label, wish.data, out, size))
        return 0;
    gh_schedule_tell(wish.label, gh_slice(out, size));
    return 1;
}

static void *open_context(void *provider)
{
    return provider; /* there is no state: anything but NULL */
}

static void close_context(void *context)
{
    (void)context;
}

const OSSL_DISPATCH gh_schedule_kdf[] = {{OSSL_FUNC_KDF_NEWCTX, (void (*)(void))open_context},
                                         {OSSL_FUNC_KDF_FREECTX, (void (*)(void))close_context},
                                         {OSSL_FUNC_KDF_DERIVE, (void (*)(void))derive},
                                         {0, NULL}};
