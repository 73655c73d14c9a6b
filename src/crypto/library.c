/* OpenSSL 3.0 looks at all its kinds of keys and all their decoders, some seventy, for the key of
 * each certificate that it reads: 0.1 ms, as long as a signature takes to verify, and a handshake
 * with a client certificate reads several. So certificates are read in a library context of their
 * own, whose one provider hands on what the default provider has, but of kinds of keys and of
 * decoders only those that certificates and handshakes here may have. All algorithms are the
 * default provider's own. And what was read lately is remembered: the certificate that a handshake
 * has read is soon read again by whoever decides about it, and an anchor with each of its devices.
 *
 * Both are the process's and not a server's, unlike all else here: what they hold is the same for
 * everybody and decides nothing, so two servers in one process may share them, and a handle for
 * them would go through every function of every room that reads a certificate. */
#include "crypto/digest.h"
#include "crypto/openssl_internal.h"
#include <openssl/core_dispatch.h>
#include <openssl/provider.h>
#include <pthread.h>
#include <string.h>

/* Of certificates; behind them those of key exchange and of tickets. */
static const char *const key_types[] = {"RSA",   "RSA-PSS", "EC",  "ED25519",
                                        "ED448", "X25519",  "HMAC"};

enum { CERTIFICATE_KEY_TYPES = 5, CHOSEN_MAX = 16, REMEMBERED = 256 };

/* Made once in a process and never freed, as OpenSSL's own context. */
static struct {
    pthread_once_t once;
    OSSL_LIB_CTX *context;
    OSSL_PROVIDER *whole; /* the default provider, in OpenSSL's own context */
    OSSL_ALGORITHM decoders[CHOSEN_MAX + 1], keys[CHOSEN_MAX + 1];
} library = {.once = PTHREAD_ONCE_INIT};

/* The certificates read lately, each where the first bytes of its digest say. */
static struct {
    pthread_mutex_t lock;
    struct remembered {
        uint8_t digest[GH_SHA256_BYTES];
        X509 *native; /* NULL: none */
    } at[REMEMBERED];
} memory = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Of "EC:id-ecPublicKey:1.2.840.10045.2.1" the first name decides. */
static bool is_named(const OSSL_ALGORITHM *algorithm, size_t key_types_count)
{
    const struct gh_slice name = gh_slice((const uint8_t *)algorithm->algorithm_names,
                                          strcspn(algorithm->algorithm_names, ":"));
    for (size_t i = 0; i < key_types_count; i++)
        if (gh_slice_equal(name, gh_slice_text(key_types[i])))
            return true;
    return false;
}

static bool is_wanted_key(const OSSL_ALGORITHM *key)
{
    return is_named(key, GH_COUNT(key_types));
}

static bool is_wanted_decoder(const OSSL_ALGORITHM *decoder)
{
    return strstr(decoder->property_definition, "input=der") != NULL &&
           strstr(decoder->property_definition, "structure=SubjectPublicKeyInfo") != NULL &&
           is_named(decoder, CERTIFICATE_KEY_TYPES);
}

static void choose(int operation, bool (*is_wanted)(const OSSL_ALGORITHM *), OSSL_ALGORITHM *out)
{
    int no_cache;
    size_t count = 0;
    const OSSL_ALGORITHM *all = OSSL_PROVIDER_query_operation(library.whole, operation, &no_cache);
    for (; all != NULL && all->algorithm_names != NULL && count < CHOSEN_MAX; all++)
        if (is_wanted(all))
            out[count++] = *all;
}

static const OSSL_ALGORITHM *query(void *provider, int operation, int *no_cache)
{
    (void)provider;
    *no_cache = 0;
    if (operation == OSSL_OP_DECODER)
        return library.decoders;
    if (operation == OSSL_OP_KEYMGMT)
        return library.keys;
    return OSSL_PROVIDER_query_operation(library.whole, operation, no_cache);
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
    if (library.whole != NULL) {
        choose(OSSL_OP_DECODER, is_wanted_decoder, library.decoders);
        choose(OSSL_OP_KEYMGMT, is_wanted_key, library.keys);
    }
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

static struct remembered *place_of(const uint8_t digest[GH_SHA256_BYTES])
{
    return &memory.at[digest[0] % REMEMBERED];
}

/* A reference of its own; NULL when it is not there. */
static X509 *recall(const uint8_t digest[GH_SHA256_BYTES])
{
    const struct remembered *place = place_of(digest);
    X509 *native = NULL;
    pthread_mutex_lock(&memory.lock);
    if (place->native != NULL && memcmp(place->digest, digest, GH_SHA256_BYTES) == 0) {
        native = place->native;
        (void)X509_up_ref(native);
    }
    pthread_mutex_unlock(&memory.lock);
    return native;
}

static void remember(const uint8_t digest[GH_SHA256_BYTES], X509 *native)
{
    struct remembered *place = place_of(digest);
    (void)X509_up_ref(native);
    pthread_mutex_lock(&memory.lock);
    X509 *before = place->native;
    memcpy(place->digest, digest, GH_SHA256_BYTES);
    place->native = native;
    pthread_mutex_unlock(&memory.lock);
    X509_free(before);
}

void gh_x509_remember(struct gh_slice der, X509 *native)
{
    uint8_t digest[GH_SHA256_BYTES];
    gh_sha256(der, digest);
    remember(digest, native);
}

static X509 *decode(struct gh_slice der)
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

X509 *gh_x509_read(struct gh_slice der)
{
    uint8_t digest[GH_SHA256_BYTES];
    gh_sha256(der, digest);
    X509 *native = recall(digest);
    if (native == NULL && (native = decode(der)) != NULL)
        remember(digest, native);
    return native;
}
