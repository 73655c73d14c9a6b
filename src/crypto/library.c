/* OpenSSL 3.0 looks at all its kinds of keys and all their decoders, some seventy, for the key of
 * each certificate that it reads, and copies the list of all that its providers have: 0.1 ms, as
 * long as a signature takes to verify, and a handshake with a client certificate reads several. So
 * certificates are read, and hands are shaken, in a library context of their own, whose one
 * provider hands on what the default provider has, but only the algorithms that certificates and
 * handshakes here may have. All are the default provider's own but two: the key schedule of TLS 1.3
 * (crypto/schedule.h), and how a key of X25519 is made. And what was read lately is remembered: the
 * certificate that a handshake has read is soon read again by whoever decides about it, and an
 * anchor with each of its devices.
 *
 * Both are the process's and not a server's, unlike all else here: what they hold is the same for
 * everybody and decides nothing, so two servers in one process may share them, and a handle for
 * them would go through every function of every room that reads a certificate. */
#include "crypto/digest.h"
#include "crypto/openssl_internal.h"
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/provider.h>
#include <pthread.h>
#include <string.h>

enum { CHOSEN_MAX = 16, REMEMBERED = 256 };

/* What is handed on, by the first of an algorithm's names; of operations that are not named here
 * nothing is left out. */
static const struct choice {
    int operation;
    const char *names[CHOSEN_MAX];
} choices[] = {
    /* The weak ones so that old certificates are refused for what they are. */
    {OSSL_OP_DIGEST,
     {"MD5", "SHA1", "SHA2-224", "SHA2-256", "SHA2-384", "SHA2-512", "SHA3-256", "SHA3-384",
      "SHA3-512"}},
    {OSSL_OP_CIPHER,
     {"AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305", "AES-256-CBC"}}, /* CBC: of tickets */
    {OSSL_OP_MAC, {"HMAC"}},
    {OSSL_OP_KDF, {"TLS13-KDF", "TLS1-PRF", "HKDF"}},
    {OSSL_OP_KEYMGMT, {"RSA", "RSA-PSS", "EC", "ED25519", "ED448", "X25519", "HMAC"}},
    {OSSL_OP_KEYEXCH, {"ECDH", "X25519"}},
    {OSSL_OP_SIGNATURE, {"RSA", "ED25519", "ED448", "ECDSA", "HMAC"}},
    {OSSL_OP_ASYM_CIPHER, {NULL}},
    {OSSL_OP_KEM, {NULL}},
    {OSSL_OP_DECODER, {"RSA", "RSA-PSS", "EC", "ED25519", "ED448"}}, /* of public keys in DER */
};

/* Made once in a process and never freed, as OpenSSL's own context. */
static struct {
    pthread_once_t once;
    OSSL_LIB_CTX *context;
    OSSL_PROVIDER *whole; /* the default provider, in OpenSSL's own context */
    OSSL_ALGORITHM chosen[GH_COUNT(choices)][CHOSEN_MAX + 1];
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
static bool is_chosen(const struct choice *choice, const OSSL_ALGORITHM *algorithm)
{
    const struct gh_slice name = gh_slice((const uint8_t *)algorithm->algorithm_names,
                                          strcspn(algorithm->algorithm_names, ":"));
    if (choice->operation == OSSL_OP_DECODER &&
        (strstr(algorithm->property_definition, "input=der") == NULL ||
         strstr(algorithm->property_definition, "structure=SubjectPublicKeyInfo") == NULL))
        return false;
    for (size_t i = 0; i < CHOSEN_MAX && choice->names[i] != NULL; i++)
        if (gh_slice_equal(name, gh_slice_text(choice->names[i])))
            return true;
    return false;
}

static void choose(const struct choice *choice, OSSL_ALGORITHM out[CHOSEN_MAX + 1])
{
    int no_cache;
    size_t count = 0;
    const OSSL_ALGORITHM *all =
        OSSL_PROVIDER_query_operation(library.whole, choice->operation, &no_cache);
    for (; all != NULL && all->algorithm_names != NULL && count < CHOSEN_MAX; all++) {
        if (!is_chosen(choice, all))
            continue;
        out[count] = *all;
        if (choice->operation == OSSL_OP_KDF &&
            strcmp(all->algorithm_names, OSSL_KDF_NAME_TLS1_3_KDF) == 0)
            out[count].implementation = gh_schedule_kdf;
        count++;
    }
}

static const OSSL_ALGORITHM *query(void *provider, int operation, int *no_cache)
{
    (void)provider;
    *no_cache = 0;
    for (size_t i = 0; i < GH_COUNT(choices); i++)
        if (choices[i].operation == operation)
            return library.chosen[i];
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

/* The functions of a chosen algorithm; NULL when it was not found. */
static OSSL_ALGORITHM *chosen_of(int operation, const char *name)
{
    for (size_t i = 0; i < GH_COUNT(choices); i++)
        for (OSSL_ALGORITHM *at = library.chosen[i];
             choices[i].operation == operation && at->algorithm_names != NULL; at++)
            if (strncmp(at->algorithm_names, name, strlen(name)) == 0)
                return at;
    return NULL;
}

static void make_own_x25519(void)
{
    OSSL_ALGORITHM *keys = chosen_of(OSSL_OP_KEYMGMT, "X25519"),
                   *exchange = chosen_of(OSSL_OP_KEYEXCH, "X25519");
    if (keys != NULL && exchange != NULL)
        keys->implementation = gh_x25519_keys(keys->implementation, exchange->implementation);
}

static void make(void)
{
    OSSL_LIB_CTX *context = OSSL_LIB_CTX_new();
    library.whole = OSSL_PROVIDER_load(NULL, "default");
    for (size_t i = 0; library.whole != NULL && i < GH_COUNT(choices); i++)
        choose(&choices[i], library.chosen[i]);
    make_own_x25519();
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

X509 *gh_x509_read(struct gh_slice der, uint8_t digest[GH_SHA256_BYTES])
{
    gh_sha256(der, digest);
    X509 *native = recall(digest);
    if (native == NULL && (native = decode(der)) != NULL)
        remember(digest, native);
    return native;
}
