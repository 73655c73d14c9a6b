/* OpenSSL 3.0 tries all its decoders, some seventy, for the key of each certificate that it reads:
 * 0.1 ms, as long as a signature takes to verify, and a handshake with a client certificate reads
 * several. So certificates are read in a library context of their own, whose one provider hands on
 * what the default provider has, but of decoders only those for the keys that certificates here may
 * have. All algorithms are the default provider's own. */
#include "crypto/openssl_internal.h"
#include <openssl/core_dispatch.h>
#include <openssl/provider.h>
#include <pthread.h>
#include <string.h>

static const char *const key_types[] = {"RSA", "RSA-PSS", "EC", "ED25519", "ED448"};

enum { DECODERS_MAX = 16 };

/* Made once in a process and never freed, as OpenSSL's own context. */
static struct {
    pthread_once_t once;
    OSSL_LIB_CTX *context;
    OSSL_PROVIDER *whole; /* the default provider, in OpenSSL's own context */
    OSSL_ALGORITHM decoders[DECODERS_MAX + 1];
} library = {.once = PTHREAD_ONCE_INIT};

/* Of "EC:id-ecPublicKey:1.2.840.10045.2.1" the first name decides. */
static bool is_wanted(const OSSL_ALGORITHM *decoder)
{
    size_t size = strcspn(decoder->algorithm_names, ":");
    if (strstr(decoder->property_definition, "input=der") == NULL ||
        strstr(decoder->property_definition, "structure=SubjectPublicKeyInfo") == NULL)
        return false;
    for (size_t i = 0; i < GH_COUNT(key_types); i++)
        if (gh_slice_equal(gh_slice((const uint8_t *)decoder->algorithm_names, size),
                           gh_slice_text(key_types[i])))
            return true;
    return false;
}

static void choose_decoders(void)
{
    int no_cache;
    size_t count = 0;
    const OSSL_ALGORITHM *all =
        OSSL_PROVIDER_query_operation(library.whole, OSSL_OP_DECODER, &no_cache);
    for (; all != NULL && all->algorithm_names != NULL && count < DECODERS_MAX; all++)
        if (is_wanted(all))
            library.decoders[count++] = *all;
}

static const OSSL_ALGORITHM *query(void *provider, int operation, int *no_cache)
{
    (void)provider;
    *no_cache = 0;
    return operation == OSSL_OP_DECODER
               ? library.decoders
               : OSSL_PROVIDER_query_operation(library.whole, operation, no_cache);
}

/* The groups of TLS. */
static int tell_capabilities(void *provider, const char *capability, OSSL_CALLBACK *callback,
                             void *context)
{
    (void)provider;
    return OSSL_PROVIDER_get_capabilities(library.whole, capability, callback, context);
}

static void end(void *provider)
{
    (void)provider; /* the default provider's */
}

static int begin(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *from_core,
                 const OSSL_DISPATCH **out, void **provider)
{
    static const OSSL_DISPATCH functions[] = {
        {OSSL_FUNC_PROVIDER_TEARDOWN, (void (*)(void))end},
        {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query},
        {OSSL_FUNC_PROVIDER_GET_CAPABILITIES, (void (*)(void))tell_capabilities},
        {0, NULL}};
    (void)handle, (void)from_core;
    *out = functions;
    *provider = OSSL_PROVIDER_get0_provider_ctx(library.whole);
    return 1;
}

static void make(void)
{
    OSSL_LIB_CTX *context = OSSL_LIB_CTX_new();
    library.whole = OSSL_PROVIDER_load(NULL, "default");
    if (library.whole != NULL)
        choose_decoders();
    if (context != NULL && library.whole != NULL &&
        OSSL_PROVIDER_add_builtin(context, "gatehouse", begin) == 1 &&
        OSSL_PROVIDER_load(context, "gatehouse") != NULL)
        library.context = context;
    else
        OSSL_LIB_CTX_free(context); /* OpenSSL's own does the same, slower */
}

OSSL_LIB_CTX *gh_library(void)
{
    (void)pthread_once(&library.once, make);
    return library.context;
}

X509 *gh_x509_read(struct gh_slice der)
{
    const unsigned char *at = der.data;
    X509 *made = X509_new_ex(gh_library(), NULL), *native = made;
    if (made == NULL || der.size > INT32_MAX || d2i_X509(&native, &at, (long)der.size) == NULL ||
        at != der.data + der.size) {
        X509_free(native); /* NULL when d2i_X509 has freed it */
        return NULL;
    }
    return native;
}
