/* Key pairs of X25519 as an algorithm of a provider (provider-keymgmt(7)). A handshake makes one,
 * and it is the dearest thing that it does: OpenSSL 3.0 multiplies the base point by way of the
 * Edwards curve, in portable C, which takes half as long again as the ladder that it has for shared
 * secrets. RFC 7748 §6.1 says what a public key is: X25519(k, 9). So here the public key is the
 * shared secret of the fresh private key and the point 9, by OpenSSL's own ladder, which takes the
 * same time for all keys.
 *
 * All else is the default provider's: the key is its object, and so are all functions but those
 * that begin, make and end a generation. */
#include "base/secret.h"
#include "crypto/openssl_internal.h"
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/rand.h>
#include <stdlib.h>

enum { KEY_BYTES = 32, FUNCTIONS_MAX = 40 };

/* The default provider's. */
struct theirs {
    OSSL_FUNC_keymgmt_new_fn *new_key;
    OSSL_FUNC_keymgmt_free_fn *free_key;
    OSSL_FUNC_keymgmt_import_fn *import;
    OSSL_FUNC_keymgmt_gen_init_fn *gen_init;
    OSSL_FUNC_keymgmt_gen_fn *gen;
    OSSL_FUNC_keymgmt_gen_set_params_fn *set_params;
    OSSL_FUNC_keymgmt_gen_cleanup_fn *cleanup;
    OSSL_FUNC_keyexch_newctx_fn *open_exchange;
    OSSL_FUNC_keyexch_init_fn *init_exchange;
    OSSL_FUNC_keyexch_set_peer_fn *set_peer;
    OSSL_FUNC_keyexch_derive_fn *derive;
    OSSL_FUNC_keyexch_freectx_fn *close_exchange;
};

/* Set once, when the library is made (crypto/library.c). */
static struct theirs x25519;
static OSSL_DISPATCH made_functions[FUNCTIONS_MAX];

struct generation {
    void *provider, *inner;
    bool makes_pair; /* else parameters alone, which the default provider does */
};

static void *begin(void *provider, int selection, const OSSL_PARAM params[])
{
    struct generation *generation = malloc(sizeof *generation);
    void *inner = generation == NULL ? NULL : x25519.gen_init(provider, selection, params);
    if (inner == NULL) {
        free(generation);
        return NULL;
    }
    *generation =
        (struct generation){provider, inner, (selection & OSSL_KEYMGMT_SELECT_KEYPAIR) != 0};
    return generation;
}

static int set_params(void *context, const OSSL_PARAM params[])
{
    return x25519.set_params(((struct generation *)context)->inner, params);
}

static void end(void *context)
{
    struct generation *generation = context;
    if (generation == NULL)
        return;
    x25519.cleanup(generation->inner);
    free(generation);
}

static bool import_pair(void *key, uint8_t private_key[KEY_BYTES], uint8_t public_key[KEY_BYTES])
{
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, private_key, KEY_BYTES),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, public_key, KEY_BYTES),
        OSSL_PARAM_construct_end()};
    return x25519.import(key, OSSL_KEYMGMT_SELECT_KEYPAIR, params) == 1;
}

/* `base` has a public key of 9, and so is its own peer. */
static bool derive_public(void *provider, void *base, uint8_t public_key[KEY_BYTES])
{
    size_t size = 0;
    void *exchange = x25519.open_exchange(provider);
    bool done = exchange != NULL && x25519.init_exchange(exchange, base, NULL) == 1 &&
                x25519.set_peer(exchange, base) == 1 &&
                x25519.derive(exchange, public_key, &size, KEY_BYTES) == 1 && size == KEY_BYTES;
    if (exchange != NULL)
        x25519.close_exchange(exchange);
    return done;
}

static bool make_pair(void *provider, void *base, void *key)
{
    uint8_t private_key[KEY_BYTES], public_key[KEY_BYTES] = {9};
    bool done = RAND_priv_bytes(private_key, sizeof private_key) == 1;
    private_key[0] &= 248; /* RFC 7748 §5: decodeScalar25519 */
    private_key[KEY_BYTES - 1] &= 127;
    private_key[KEY_BYTES - 1] |= 64;
    done = done && import_pair(base, private_key, public_key) &&
           derive_public(provider, base, public_key) && import_pair(key, private_key, public_key);
    gh_secret_wipe(private_key, sizeof private_key);
    return done;
}

static void *generate(void *context, OSSL_CALLBACK *callback, void *callback_context)
{
    const struct generation *generation = context;
    if (!generation->makes_pair)
        return x25519.gen(generation->inner, callback, callback_context);
    void *base = x25519.new_key(generation->provider), *key = x25519.new_key(generation->provider);
    bool done = base != NULL && key != NULL && make_pair(generation->provider, base, key);
    x25519.free_key(base);
    if (done)
        return key;
    x25519.free_key(key);
    return NULL;
}

/* ---- taking the default provider's apart */

/* The one of this number, or the table's end, which has no function. */
static const OSSL_DISPATCH *find(const OSSL_DISPATCH *functions, int id)
{
    while (functions->function_id != 0 && functions->function_id != id)
        functions++;
    return functions;
}

static struct theirs functions_of(const OSSL_DISPATCH *keys, const OSSL_DISPATCH *exchange)
{
    return (struct theirs){
        OSSL_FUNC_keymgmt_new(find(keys, OSSL_FUNC_KEYMGMT_NEW)),
        OSSL_FUNC_keymgmt_free(find(keys, OSSL_FUNC_KEYMGMT_FREE)),
        OSSL_FUNC_keymgmt_import(find(keys, OSSL_FUNC_KEYMGMT_IMPORT)),
        OSSL_FUNC_keymgmt_gen_init(find(keys, OSSL_FUNC_KEYMGMT_GEN_INIT)),
        OSSL_FUNC_keymgmt_gen(find(keys, OSSL_FUNC_KEYMGMT_GEN)),
        OSSL_FUNC_keymgmt_gen_set_params(find(keys, OSSL_FUNC_KEYMGMT_GEN_SET_PARAMS)),
        OSSL_FUNC_keymgmt_gen_cleanup(find(keys, OSSL_FUNC_KEYMGMT_GEN_CLEANUP)),
        OSSL_FUNC_keyexch_newctx(find(exchange, OSSL_FUNC_KEYEXCH_NEWCTX)),
        OSSL_FUNC_keyexch_init(find(exchange, OSSL_FUNC_KEYEXCH_INIT)),
        OSSL_FUNC_keyexch_set_peer(find(exchange, OSSL_FUNC_KEYEXCH_SET_PEER)),
        OSSL_FUNC_keyexch_derive(find(exchange, OSSL_FUNC_KEYEXCH_DERIVE)),
        OSSL_FUNC_keyexch_freectx(find(exchange, OSSL_FUNC_KEYEXCH_FREECTX)),
    };
}

static bool is_whole(const struct theirs *theirs)
{
    return theirs->new_key != NULL && theirs->free_key != NULL && theirs->import != NULL &&
           theirs->gen_init != NULL && theirs->gen != NULL && theirs->set_params != NULL &&
           theirs->cleanup != NULL && theirs->open_exchange != NULL &&
           theirs->init_exchange != NULL && theirs->set_peer != NULL && theirs->derive != NULL &&
           theirs->close_exchange != NULL;
}

/* The functions of a generation that are here, by their numbers. */
static const OSSL_DISPATCH ours[] = {{OSSL_FUNC_KEYMGMT_GEN_INIT, (void (*)(void))begin},
                                     {OSSL_FUNC_KEYMGMT_GEN_SET_PARAMS, (void (*)(void))set_params},
                                     {OSSL_FUNC_KEYMGMT_GEN, (void (*)(void))generate},
                                     {OSSL_FUNC_KEYMGMT_GEN_CLEANUP, (void (*)(void))end},
                                     {0, NULL}};

const OSSL_DISPATCH *gh_x25519_keys(const OSSL_DISPATCH *keys, const OSSL_DISPATCH *exchange)
{
    struct theirs theirs = functions_of(keys, exchange);
    size_t count = 0;

    while (keys[count].function_id != 0)
        count++;
    /* A function that was handed the context of a generation and is not ours would misread it. */
    if (!is_whole(&theirs) || count >= FUNCTIONS_MAX ||
        find(keys, OSSL_FUNC_KEYMGMT_GEN_SET_TEMPLATE)->function != NULL)
        return keys;
    x25519 = theirs;
    for (size_t i = 0; i < count; i++) {
        const OSSL_DISPATCH *replaced = find(ours, keys[i].function_id);
        made_functions[i] = replaced->function != NULL ? *replaced : keys[i];
    }
    return made_functions; /* whose last one is all zero */
}
