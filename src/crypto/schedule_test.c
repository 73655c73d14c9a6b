/* The secrets of the trace of RFC 8448 §3, and beside OpenSSL's own key schedule. */
#include "crypto/openssl_internal.h"
#include "crypto/schedule.h"
#include "tests/check.h"
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdio.h>
#include <string.h>

static struct gh_slice unhex(const char *hex, uint8_t out[GH_SCHEDULE_SECRET_MAX])
{
    size_t count = 0;
    for (; hex[0] != '\0'; hex += 2) {
        unsigned byte;
        REQUIRE("hex", sscanf(hex, "%2x", &byte) == 1);
        out[count++] = (uint8_t)byte;
    }
    return gh_slice(out, count);
}

/* ---- RFC 8448 §3 */

static const char shared[] = "8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d";
static const char hellos[] = "860c06edc07858ee8e78f0e7428c58edd6b43f2ca3e6e95f02ed063cf0e1cad8";
static const char server_done[] =
    "9608102a0f1ccc6db6250b7b7e417b1a000eaada3daae4777a7686c9ff83df13";
static const char client_done[] =
    "209145a96ee8e2a122ff810047cc952684658d6049e86429426db87c54ad143d";

static const char handshake[] = "1dc826e93606aa6fdc0aadc12f741b01046aa6b99f691ed221a9f0ca043fbeac";
static const char master[] = "18df06843d13a08bf2a449844c5f8a478001bc4d4c627984d5a41da8d0402919";

/* Each step: of the secret before, what is mixed in and what comes out. */
static const struct {
    const char *claim, *salt, *material, *secret;
} steps[] = {
    {"early", "", "0000000000000000000000000000000000000000000000000000000000000000",
     "33ad0a1c607ec03b09e6cd9893680ce210adf300aa1f2660e1b22e10f170f92a"},
    {"handshake", "33ad0a1c607ec03b09e6cd9893680ce210adf300aa1f2660e1b22e10f170f92a", shared,
     handshake},
    {"master", handshake, "0000000000000000000000000000000000000000000000000000000000000000",
     master},
};

static const struct {
    const char *label, *secret, *context, *out;
} labels[] = {
    {"c hs traffic", handshake, hellos,
     "b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21"},
    {"s hs traffic", handshake, hellos,
     "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38"},
    {"key", "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38", "",
     "3fce516009c21727d0f2e4e86ee403bc"},
    {"iv", "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38", "",
     "5d313eb2671276ee13000b30"},
    {"c ap traffic", master, server_done,
     "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5"},
    {"s ap traffic", master, server_done,
     "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643"},
    {"res master", master, client_done,
     "7df235f2031d2a051287d02b0241b0bfdaf86cc856231f2d5aba46c434ec196c"},
    {"resumption", "7df235f2031d2a051287d02b0241b0bfdaf86cc856231f2d5aba46c434ec196c", "0000",
     "4ecd0eb6ec3b4d87f5d6028f922ca4c5851a277fd41311c9e62d2c9492e1c4f3"},
};

static void trace(void)
{
    uint8_t a[GH_SCHEDULE_SECRET_MAX], b[GH_SCHEDULE_SECRET_MAX], c[GH_SCHEDULE_SECRET_MAX],
        out[GH_SCHEDULE_SECRET_MAX];
    for (size_t i = 0; i < GH_COUNT(steps); i++)
        CHECK(steps[i].claim, gh_schedule_next(GH_DIGEST_SHA256, unhex(steps[i].salt, a),
                                               unhex(steps[i].material, b), out) &&
                                  gh_slice_equal(gh_slice(out, 32), unhex(steps[i].secret, c)));
    for (size_t i = 0; i < GH_COUNT(labels); i++) {
        struct gh_slice wanted = unhex(labels[i].out, c);
        CHECK(labels[i].label, gh_schedule_expand(GH_DIGEST_SHA256, unhex(labels[i].secret, a),
                                                  gh_slice_text(labels[i].label),
                                                  unhex(labels[i].context, b), out, wanted.size) &&
                                   gh_slice_equal(gh_slice(out, wanted.size), wanted));
    }
}

/* ---- OpenSSL's */

static bool derive(OSSL_LIB_CTX *library, const char *digest, int mode, const char *label,
                   struct gh_slice secret, struct gh_slice data, uint8_t *out, size_t size)
{
    OSSL_PARAM params[8], *to = params;
    EVP_KDF *kdf = EVP_KDF_fetch(library, OSSL_KDF_NAME_TLS1_3_KDF, NULL);
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);
    bool expands = mode == EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    void *first = (void *)(uintptr_t)secret.data, *second = (void *)(uintptr_t)data.data;
    *to++ = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode);
    *to++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t)digest, 0);
    *to++ = OSSL_PARAM_construct_octet_string(expands ? OSSL_KDF_PARAM_KEY : OSSL_KDF_PARAM_SALT,
                                              first, secret.size);
    *to++ = OSSL_PARAM_construct_octet_string(expands ? OSSL_KDF_PARAM_DATA : OSSL_KDF_PARAM_KEY,
                                              second, data.size);
    *to++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PREFIX, (char[]){"tls13 "}, 6);
    *to++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_LABEL, (void *)(uintptr_t)label,
                                              strlen(label));
    *to = OSSL_PARAM_construct_end();
    bool done = EVP_KDF_derive(context, out, size, params) == 1;
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    return done;
}

static const struct {
    const char *digest, *label;
    int mode;
    size_t size, secret_size;
} kinds[] = {
    {"SHA256", "derived", EVP_KDF_HKDF_MODE_EXTRACT_ONLY, 32, 32},
    {"SHA384", "derived", EVP_KDF_HKDF_MODE_EXTRACT_ONLY, 48, 48},
    {"SHA2-256", "c ap traffic", EVP_KDF_HKDF_MODE_EXPAND_ONLY, 32, 32},
    {"SHA2-384", "s ap traffic", EVP_KDF_HKDF_MODE_EXPAND_ONLY, 48, 48},
    {"SHA384", "iv", EVP_KDF_HKDF_MODE_EXPAND_ONLY, 12, 48},
};

static void beside_openssl(void)
{
    uint8_t secret[GH_SCHEDULE_SECRET_MAX], data[GH_SCHEDULE_SECRET_MAX];
    uint8_t ours[GH_SCHEDULE_SECRET_MAX], theirs[GH_SCHEDULE_SECRET_MAX];
    REQUIRE("a library of our own", gh_library() != NULL);
    for (size_t i = 0; i < GH_COUNT(kinds); i++)
        for (uint8_t seed = 0; seed < 8; seed++) {
            size_t size = kinds[i].size, secret_size = kinds[i].secret_size;
            memset(secret, seed * 7 + 1, sizeof secret);
            memset(data, 255 - seed, sizeof data);
            CHECK(kinds[i].label,
                  derive(gh_library(), kinds[i].digest, kinds[i].mode, kinds[i].label,
                         gh_slice(secret, secret_size), gh_slice(data, secret_size), ours, size) &&
                      derive(NULL, kinds[i].digest, kinds[i].mode, kinds[i].label,
                             gh_slice(secret, secret_size), gh_slice(data, secret_size), theirs,
                             size) &&
                      memcmp(ours, theirs, size) == 0);
        }
    CHECK("another digest", !derive(gh_library(), "SHA1", EVP_KDF_HKDF_MODE_EXPAND_ONLY, "key",
                                    gh_slice(secret, 20), gh_slice(data, 20), ours, 16));
    CHECK("another mode", !derive(gh_library(), "SHA256", EVP_KDF_HKDF_MODE_EXTRACT_AND_EXPAND,
                                  "key", gh_slice(secret, 32), gh_slice(data, 32), ours, 32));
}

static void bounds(void)
{
    static const uint8_t bytes[300];
    uint8_t out[64];
    struct gh_slice secret = gh_slice(bytes, 32);
    CHECK("more than one block", !gh_schedule_expand(GH_DIGEST_SHA256, secret, GH_SLICE("key"),
                                                     (struct gh_slice){0}, out, 33));
    CHECK("a long label", !gh_schedule_expand(GH_DIGEST_SHA256, secret, gh_slice(bytes, 250),
                                              (struct gh_slice){0}, out, 32));
    CHECK("a long context", !gh_schedule_expand(GH_DIGEST_SHA256, secret, GH_SLICE("key"),
                                                gh_slice(bytes, 256), out, 32));
}

static void listening(void)
{
    static const uint8_t bytes[GH_SCHEDULE_SECRET_MAX + 1] = {7};
    struct gh_schedule_secrets secrets = {0};
    gh_schedule_tell(GH_SLICE("res master"), gh_slice(bytes, 32)); /* to nobody */
    CHECK("nobody before", gh_schedule_listen(&secrets) == NULL);
    gh_schedule_tell(GH_SLICE("res master"), gh_slice(bytes, 32));
    gh_schedule_tell(GH_SLICE("c hs traffic"), gh_slice(bytes, 32));
    gh_schedule_tell(GH_SLICE("s ap traffic"), gh_slice(bytes, sizeof bytes));
    CHECK("the one before", gh_schedule_listen(NULL) == &secrets);
    gh_schedule_tell(GH_SLICE("c ap traffic"), gh_slice(bytes, 32));
    CHECK("told", secrets.of[GH_SCHEDULE_RESUMPTION].size == 32 &&
                      secrets.of[GH_SCHEDULE_RESUMPTION].bytes[0] == 7);
    CHECK("not told", secrets.of[GH_SCHEDULE_CLIENT_TRAFFIC].size == 0 &&
                          secrets.of[GH_SCHEDULE_SERVER_TRAFFIC].size == 0);
}

int main(void)
{
    trace();
    beside_openssl();
    bounds();
    listening();
    return check_report();
}
