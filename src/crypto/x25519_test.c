/* Keys of X25519 that are made here, beside what OpenSSL says of them. */
#include "crypto/openssl_internal.h"
#include "tests/check.h"
#include <openssl/core_dispatch.h>
#include <openssl/provider.h>
#include <string.h>

enum { KEY_BYTES = 32, PAIRS = 64 };

struct raw {
    uint8_t private_key[KEY_BYTES], public_key[KEY_BYTES];
};

static struct raw raw_of(const EVP_PKEY *key)
{
    struct raw raw = {0};
    size_t private_size = KEY_BYTES, public_size = KEY_BYTES;
    REQUIRE("both halves",
            EVP_PKEY_get_raw_private_key(key, raw.private_key, &private_size) == 1 &&
                EVP_PKEY_get_raw_public_key(key, raw.public_key, &public_size) == 1 &&
                private_size == KEY_BYTES && public_size == KEY_BYTES);
    return raw;
}

static void share(EVP_PKEY *mine, EVP_PKEY *theirs, uint8_t out[KEY_BYTES])
{
    size_t size = KEY_BYTES;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(gh_library(), mine, NULL);
    CHECK("a shared secret", EVP_PKEY_derive_init(context) == 1 &&
                                 EVP_PKEY_derive_set_peer(context, theirs) == 1 &&
                                 EVP_PKEY_derive(context, out, &size) == 1 && size == KEY_BYTES);
    EVP_PKEY_CTX_free(context);
}

/* OpenSSL makes the public key of a private one by its own way. */
static void pairs(void)
{
    struct raw before = {0};
    for (size_t i = 0; i < PAIRS; i++) {
        uint8_t ours[KEY_BYTES], theirs[KEY_BYTES];
        EVP_PKEY *made = EVP_PKEY_Q_keygen(gh_library(), NULL, "X25519");
        REQUIRE("made", made != NULL);
        struct raw raw = raw_of(made);
        EVP_PKEY *again = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, raw.private_key,
                                                       sizeof raw.private_key);
        REQUIRE("read", again != NULL);
        struct raw expected = raw_of(again);
        CHECK("the public key is the private one's",
              memcmp(raw.public_key, expected.public_key, KEY_BYTES) == 0);
        CHECK("clamped", (raw.private_key[0] & 7) == 0 && raw.private_key[KEY_BYTES - 1] >> 6 == 1);
        CHECK("another each time", memcmp(raw.private_key, before.private_key, KEY_BYTES) != 0);
        before = raw;
        EVP_PKEY *peer = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
        share(made, peer, ours);
        share(peer, made, theirs);
        CHECK("both sides share the same secret", memcmp(ours, theirs, KEY_BYTES) == 0);
        EVP_PKEY_free(peer);
        EVP_PKEY_free(again);
        EVP_PKEY_free(made);
    }
}

/* As a server takes its client's share. */
static void parameters(void)
{
    static const uint8_t base[KEY_BYTES] = {9};
    uint8_t back[KEY_BYTES] = {0};
    size_t size = KEY_BYTES;
    EVP_PKEY *blank = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(gh_library(), "X25519", NULL);
    REQUIRE("parameters alone", EVP_PKEY_paramgen_init(context) == 1 &&
                                    EVP_PKEY_CTX_set_group_name(context, "x25519") == 1 &&
                                    EVP_PKEY_paramgen(context, &blank) == 1);
    CHECK("take a key", EVP_PKEY_set1_encoded_public_key(blank, base, sizeof base) == 1 &&
                            EVP_PKEY_get_raw_public_key(blank, back, &size) == 1 &&
                            memcmp(back, base, KEY_BYTES) == 0);
    EVP_PKEY_free(blank);
    EVP_PKEY_CTX_free(context);
}

static const OSSL_DISPATCH *keys_of(OSSL_LIB_CTX *library, const char *provider_name)
{
    int no_cache;
    OSSL_PROVIDER *provider = OSSL_PROVIDER_load(library, provider_name);
    const OSSL_ALGORITHM *at = OSSL_PROVIDER_query_operation(provider, OSSL_OP_KEYMGMT, &no_cache);
    while (at->algorithm_names != NULL && strncmp(at->algorithm_names, "X25519", 6) != 0)
        at++;
    return at->implementation;
}

static void (*maker_of(const OSSL_DISPATCH *at))(void)
{
    while (at->function_id != 0 && at->function_id != OSSL_FUNC_KEYMGMT_GEN)
        at++;
    return at->function;
}

static void functions(void)
{
    static const OSSL_DISPATCH none[] = {{0, NULL}};
    const OSSL_DISPATCH *theirs = keys_of(NULL, "default");
    CHECK("handshakes make them here",
          maker_of(keys_of(gh_library(), "gatehouse")) != maker_of(theirs));
    CHECK("without an exchange nothing changes", gh_x25519_keys(theirs, none) == theirs);
}

int main(void)
{
    pairs();
    parameters();
    functions();
    return check_report();
}
