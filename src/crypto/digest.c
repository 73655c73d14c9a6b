#include "crypto/digest.h"
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>

static void must(bool done)
{
    if (!done) {
        (void)fputs("gatehouse: OpenSSL cannot compute a digest\n", stderr);
        abort();
    }
}

void gh_sha256(struct gh_slice bytes, uint8_t out[GH_SHA256_BYTES])
{
    must(EVP_Digest(bytes.data, bytes.size, out, NULL, EVP_sha256(), NULL) == 1);
}

char *gh_sha256_hex(struct gh_slice bytes, char out[GH_SHA256_HEX_MAX])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t digest[GH_SHA256_BYTES];

    gh_sha256(bytes, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 0x0f];
    }
    out[2 * sizeof digest] = '\0';
    return out;
}

void gh_sha1(struct gh_slice bytes, uint8_t out[GH_SHA1_BYTES])
{
    must(EVP_Digest(bytes.data, bytes.size, out, NULL, EVP_sha1(), NULL) == 1);
}

static void hmac(const EVP_MD *digest, struct gh_slice key, struct gh_slice bytes, uint8_t *out)
{
    /* HMAC() reads a NULL key as "the one before", so an empty key needs a pointer. */
    static const uint8_t none;
    const void *at = key.size == 0 ? &none : key.data;

    must(key.size <= INT32_MAX);
    must(HMAC(digest, at, (int)key.size, bytes.data, bytes.size, out, NULL) != NULL);
}

void gh_hmac_sha256(struct gh_slice key, struct gh_slice bytes, uint8_t out[GH_SHA256_BYTES])
{
    hmac(EVP_sha256(), key, bytes, out);
}

void gh_hmac_sha1(struct gh_slice key, struct gh_slice bytes, uint8_t out[GH_SHA1_BYTES])
{
    hmac(EVP_sha1(), key, bytes, out);
}
