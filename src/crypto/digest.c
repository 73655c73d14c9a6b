/* The hash functions themselves, without objects around them: OpenSSL 3.0 calls them deprecated and
 * has no others that allocate nothing. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/digest.h"
#include "base/secret.h"
#include <assert.h>
#include <openssl/sha.h>
#include <string.h>

enum { BLOCK_MAX = SHA512_CBLOCK };

union state {
    SHA_CTX sha1;
    SHA256_CTX sha256;
    SHA512_CTX sha384;
};

static void begin_1(union state *state)
{
    (void)SHA1_Init(&state->sha1);
}

static void add_1(union state *state, const void *bytes, size_t size)
{
    (void)SHA1_Update(&state->sha1, bytes, size);
}

static void end_1(union state *state, uint8_t *out)
{
    (void)SHA1_Final(out, &state->sha1);
}

static void begin_256(union state *state)
{
    (void)SHA256_Init(&state->sha256);
}

static void add_256(union state *state, const void *bytes, size_t size)
{
    (void)SHA256_Update(&state->sha256, bytes, size);
}

static void end_256(union state *state, uint8_t *out)
{
    (void)SHA256_Final(out, &state->sha256);
}

static void begin_384(union state *state)
{
    (void)SHA384_Init(&state->sha384);
}

static void add_384(union state *state, const void *bytes, size_t size)
{
    (void)SHA384_Update(&state->sha384, bytes, size);
}

static void end_384(union state *state, uint8_t *out)
{
    (void)SHA384_Final(out, &state->sha384);
}

static const struct hash {
    size_t bytes, block;
    void (*begin)(union state *state);
    void (*add)(union state *state, const void *bytes, size_t size);
    void (*end)(union state *state, uint8_t *out);
} hashes[] = {
    [GH_DIGEST_SHA1] = {SHA_DIGEST_LENGTH, SHA_CBLOCK, begin_1, add_1, end_1},
    [GH_DIGEST_SHA256] = {SHA256_DIGEST_LENGTH, SHA256_CBLOCK, begin_256, add_256, end_256},
    [GH_DIGEST_SHA384] = {SHA384_DIGEST_LENGTH, SHA512_CBLOCK, begin_384, add_384, end_384},
};
static_assert(GH_COUNT(hashes) == GH_DIGEST_COUNT, "one for each");
static_assert(GH_SHA1_BYTES == SHA_DIGEST_LENGTH, "as FIPS 180-4 says");
static_assert(GH_SHA256_BYTES == SHA256_DIGEST_LENGTH, "as FIPS 180-4 says");
static_assert(GH_DIGEST_BYTES_MAX == SHA384_DIGEST_LENGTH, "that of the longest");

size_t gh_digest_bytes(enum gh_digest digest)
{
    return hashes[digest].bytes;
}

void gh_digest(enum gh_digest digest, struct gh_slice bytes, uint8_t *out)
{
    const struct hash *hash = &hashes[digest];
    union state state;
    hash->begin(&state);
    hash->add(&state, bytes.data, bytes.size);
    hash->end(&state, out);
    gh_secret_wipe(&state, sizeof state);
}

void gh_hmac(enum gh_digest digest, struct gh_slice key, struct gh_slice bytes, uint8_t *out)
{
    const struct hash *hash = &hashes[digest];
    uint8_t pad[BLOCK_MAX] = {0}, inner[GH_DIGEST_BYTES_MAX];
    union state state;

    if (key.size > hash->block)
        gh_digest(digest, key, pad);
    else if (key.size > 0)
        memcpy(pad, key.data, key.size);
    for (size_t i = 0; i < hash->block; i++)
        pad[i] ^= 0x36;
    hash->begin(&state);
    hash->add(&state, pad, hash->block);
    hash->add(&state, bytes.data, bytes.size);
    hash->end(&state, inner);
    for (size_t i = 0; i < hash->block; i++)
        pad[i] ^= 0x36 ^ 0x5c;
    hash->begin(&state);
    hash->add(&state, pad, hash->block);
    hash->add(&state, inner, hash->bytes);
    hash->end(&state, out);
    gh_secret_wipe(&state, sizeof state);
    gh_secret_wipe(pad, sizeof pad);
    gh_secret_wipe(inner, sizeof inner);
}

/* --- by name --- */

void gh_sha256(struct gh_slice bytes, uint8_t out[GH_SHA256_BYTES])
{
    gh_digest(GH_DIGEST_SHA256, bytes, out);
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
    gh_digest(GH_DIGEST_SHA1, bytes, out);
}

void gh_hmac_sha256(struct gh_slice key, struct gh_slice bytes, uint8_t out[GH_SHA256_BYTES])
{
    gh_hmac(GH_DIGEST_SHA256, key, bytes, out);
}

void gh_hmac_sha1(struct gh_slice key, struct gh_slice bytes, uint8_t out[GH_SHA1_BYTES])
{
    gh_hmac(GH_DIGEST_SHA1, key, bytes, out);
}
