/* The hash functions themselves, without objects around them: OpenSSL 3.0 calls them deprecated and
 * has no others that allocate nothing. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/schedule.h"
#include "base/buffer.h"
#include "base/secret.h"
#include <assert.h>
#include <openssl/sha.h>
#include <string.h>

enum { BLOCK_MAX = 128, INFO_MAX = 2 + 1 + 64 + 1 + GH_SCHEDULE_SECRET_MAX + 1 };

union state {
    SHA256_CTX sha256;
    SHA512_CTX sha384;
};

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
    [GH_SCHEDULE_SHA256] = {SHA256_DIGEST_LENGTH, SHA256_CBLOCK, begin_256, add_256, end_256},
    [GH_SCHEDULE_SHA384] = {SHA384_DIGEST_LENGTH, SHA512_CBLOCK, begin_384, add_384, end_384},
};
static_assert(GH_COUNT(hashes) == GH_SCHEDULE_HASH_COUNT, "one for each");

static void digest(const struct hash *hash, struct gh_slice bytes, uint8_t *out)
{
    union state state;
    hash->begin(&state);
    hash->add(&state, bytes.data, bytes.size);
    hash->end(&state, out);
    gh_secret_wipe(&state, sizeof state);
}

/* RFC 2104. */
static void hmac(const struct hash *hash, struct gh_slice key, struct gh_slice bytes, uint8_t *out)
{
    uint8_t pad[BLOCK_MAX] = {0}, inner[GH_SCHEDULE_SECRET_MAX];
    union state state;

    if (key.size > hash->block)
        digest(hash, key, pad);
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

size_t gh_schedule_bytes(enum gh_schedule_hash hash)
{
    return hashes[hash].bytes;
}

void gh_schedule_extract(enum gh_schedule_hash hash, struct gh_slice salt, struct gh_slice material,
                         uint8_t *out)
{
    hmac(&hashes[hash], salt, material, out);
}

/* What is wanted is never longer than one block of HMAC, so one is all that RFC 5869 §2.3 asks
 * for. */
bool gh_schedule_expand(enum gh_schedule_hash hash, struct gh_slice secret, struct gh_slice label,
                        struct gh_slice context, uint8_t *out, size_t size)
{
    static const struct gh_slice prefix = GH_SLICE_INIT("tls13 ");
    uint8_t block[INFO_MAX], bytes[GH_SCHEDULE_SECRET_MAX];
    struct gh_buffer info = gh_buffer_fixed(block, sizeof block);

    if (size > hashes[hash].bytes || label.size > UINT8_MAX - prefix.size ||
        context.size > UINT8_MAX)
        return false;
    gh_buffer_u16(&info, (uint16_t)size);
    gh_buffer_u8(&info, (uint8_t)(prefix.size + label.size));
    gh_buffer_put(&info, prefix);
    gh_buffer_put(&info, label);
    gh_buffer_u8(&info, (uint8_t)context.size);
    gh_buffer_put(&info, context);
    gh_buffer_u8(&info, 1); /* the first block */
    if (info.overflow)
        return false;
    hmac(&hashes[hash], secret, gh_buffer_slice(&info), bytes);
    memcpy(out, bytes, size);
    gh_secret_wipe(bytes, sizeof bytes);
    return true;
}

bool gh_schedule_next(enum gh_schedule_hash hash, struct gh_slice salt, struct gh_slice material,
                      uint8_t *out)
{
    uint8_t nothing[GH_SCHEDULE_SECRET_MAX], derived[GH_SCHEDULE_SECRET_MAX];
    size_t bytes = hashes[hash].bytes;
    bool done = true;

    if (salt.size > 0) {
        digest(&hashes[hash], (struct gh_slice){0}, nothing);
        done = gh_schedule_expand(hash, salt, GH_SLICE("derived"), gh_slice(nothing, bytes),
                                  derived, bytes);
        salt = gh_slice(derived, bytes);
    }
    if (done)
        gh_schedule_extract(hash, salt, material, out);
    gh_secret_wipe(derived, sizeof derived);
    return done;
}

/* ---- who listens */

static _Thread_local struct gh_schedule_secrets *listener;

struct gh_schedule_secrets *gh_schedule_listen(struct gh_schedule_secrets *to)
{
    struct gh_schedule_secrets *before = listener;
    listener = to;
    return before;
}

void gh_schedule_tell(struct gh_slice label, struct gh_slice secret)
{
    static const struct gh_slice labels[] = {
        [GH_SCHEDULE_CLIENT_TRAFFIC] = GH_SLICE_INIT("c ap traffic"),
        [GH_SCHEDULE_SERVER_TRAFFIC] = GH_SLICE_INIT("s ap traffic"),
        [GH_SCHEDULE_RESUMPTION] = GH_SLICE_INIT("res master"),
    };
    static_assert(GH_COUNT(labels) == GH_SCHEDULE_SECRET_COUNT, "one for each");

    for (size_t i = 0; listener != NULL && i < GH_COUNT(labels); i++)
        if (gh_slice_equal(label, labels[i]) && secret.size <= GH_SCHEDULE_SECRET_MAX) {
            memcpy(listener->of[i].bytes, secret.data, secret.size);
            listener->of[i].size = secret.size;
        }
}
