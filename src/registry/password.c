#include "registry/password.h"
#include "base/buffer.h"
#include "base/secret.h"
#include "crypto/digest.h"
#include "crypto/password.h"
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEY_BYTES = 32,
    SALT_BYTES = 16,
    HEX_BYTES = 2 * (SALT_BYTES + GH_SHA256_BYTES) + 1, /* with the dollar between them */
    CACHE_SLOTS = 4096,                                 /* of 32 bytes; a power of two */
    GENERATIONS = 2, /* a short secret always costs at least so many argon2id runs, or one hit */
};

/* Less than for people's passwords, which are asked for once a day: every worker may be at it at
 * the same time. */
static const struct gh_password_cost short_cost = {
    .memory_kib = 19 * 1024, .passes = 2, .lanes = 1};

static const char long_prefix[] = "$hmac-sha256$v=1$";
static const char short_prefix[] = "$argon2id$";
static_assert(sizeof long_prefix + HEX_BYTES <= GH_SECRET_STORED_MAX, "a long secret's text fits");
static_assert((int)GH_PASSWORD_PHC_MAX <= (int)GH_SECRET_STORED_MAX, "a short secret's text fits");
static_assert((int)GH_SECRET_BYTES_MAX <= (int)GH_PASSWORD_BYTES_MAX, "argon2id takes all");

struct gh_device_passwords {
    struct gh_secret *key, *cache_key;
    pthread_mutex_t lock; /* guards the cache */
    uint8_t cache[CACHE_SLOTS][GH_SHA256_BYTES];
};

struct gh_device_passwords *gh_device_passwords_with(struct gh_slice key)
{
    struct gh_device_passwords *passwords = calloc(1, sizeof *passwords);
    uint8_t random[KEY_BYTES];

    if (passwords == NULL)
        return NULL;
    gh_random(random, sizeof random);
    passwords->key = gh_secret_open(key);
    passwords->cache_key = gh_secret_open(gh_slice(random, sizeof random));
    gh_secret_wipe(random, sizeof random);
    pthread_mutex_init(&passwords->lock, NULL);
    if (passwords->key != NULL && passwords->cache_key != NULL)
        return passwords;
    gh_device_passwords_close(passwords);
    return NULL;
}

void gh_device_passwords_close(struct gh_device_passwords *passwords)
{
    if (passwords == NULL)
        return;
    gh_secret_close(passwords->key);
    gh_secret_close(passwords->cache_key);
    pthread_mutex_destroy(&passwords->lock);
    gh_secret_wipe(passwords->cache, sizeof passwords->cache);
    free(passwords);
}

/* --- long secrets --- */

/* HMAC over what it is for, two texts with their sizes, so that no two pairs read the same. */
static void mac(const struct gh_secret *key, const char *label, struct gh_slice a,
                struct gh_slice b, uint8_t out[GH_SHA256_BYTES])
{
    uint8_t block[64 + GH_SECRET_STORED_MAX + GH_SECRET_BYTES_MAX + 4];
    struct gh_buffer text = gh_buffer_fixed(block, sizeof block);
    gh_buffer_put(&text, gh_slice_text(label));
    gh_buffer_put16(&text, a);
    gh_buffer_put16(&text, b);
    assert(!text.overflow);
    gh_hmac_sha256(gh_secret_bytes(key), gh_buffer_slice(&text), out);
    gh_secret_wipe(block, sizeof block);
}

/* Two lower-case digits for each byte, and a NUL. */
static void hex_print(const uint8_t *bytes, size_t size, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15u];
    }
    out[2 * size] = '\0';
}

static void long_print(const struct gh_device_passwords *passwords, struct gh_slice secret,
                       struct gh_slice salt_hex, char out[GH_SECRET_STORED_MAX])
{
    uint8_t digest[GH_SHA256_BYTES];
    int at = snprintf(out, GH_SECRET_STORED_MAX, "%s%.*s$", long_prefix, GH_PRINT(salt_hex));
    mac(passwords->key, "gatehouse device password 1", salt_hex, secret, digest);
    hex_print(digest, sizeof digest, out + at);
    gh_secret_wipe(digest, sizeof digest);
}

/* The salt of a stored text, as it is written there; empty when it is no such text. */
static struct gh_slice salt_of(struct gh_slice stored)
{
    size_t prefix = sizeof long_prefix - 1;
    if (!gh_slice_starts(stored, gh_slice(long_prefix, prefix)) ||
        stored.size != prefix + HEX_BYTES)
        return (struct gh_slice){0};
    return gh_slice_sub(stored, prefix, (size_t)(2 * SALT_BYTES));
}

/* Stands where there is nothing to compare with, so that the work, down to the comparison, is what
 * it is for a device that is there. No secret has this digest. */
static const char nobody[] = "$hmac-sha256$v=1$00000000000000000000000000000000$"
                             "0000000000000000000000000000000000000000000000000000000000000000";

static bool long_is(const struct gh_device_passwords *passwords, struct gh_slice secret,
                    struct gh_slice stored)
{
    char made[GH_SECRET_STORED_MAX], known[GH_SECRET_STORED_MAX];
    if (salt_of(stored).size == 0) /* the text of a short secret */
        stored = gh_slice(nobody, sizeof nobody - 1);
    /* Always in the same place: how long a text takes to load depends on where it lies. */
    memcpy(known, stored.data, stored.size);
    stored = gh_slice(known, stored.size);
    long_print(passwords, secret, salt_of(stored), made);
    bool same = gh_secret_equal(gh_slice_text(made), stored);
    gh_secret_wipe(made, sizeof made);
    return same;
}

static bool verify_long(const struct gh_device_passwords *passwords, struct gh_slice secret,
                        const struct gh_slice *stored, size_t count, size_t *which)
{
    bool found = false;
    for (size_t i = 0; i < count || i < GENERATIONS; i++) {
        if (!long_is(passwords, secret,
                     i < count ? stored[i] : gh_slice(nobody, sizeof nobody - 1)))
            continue;
        *which = i;
        found = true;
    }
    return found;
}

/* --- short secrets --- */

static bool cached(struct gh_device_passwords *passwords, const uint8_t key[GH_SHA256_BYTES],
                   bool remember)
{
    size_t slot = ((size_t)key[0] | (size_t)key[1] << 8) & (CACHE_SLOTS - 1);
    pthread_mutex_lock(&passwords->lock);
    bool hit = gh_secret_equal(gh_slice(passwords->cache[slot], GH_SHA256_BYTES),
                               gh_slice(key, GH_SHA256_BYTES));
    if (remember)
        memcpy(passwords->cache[slot], key, GH_SHA256_BYTES);
    pthread_mutex_unlock(&passwords->lock);
    return hit;
}

static void cache_key(const struct gh_device_passwords *passwords, struct gh_slice stored,
                      struct gh_slice secret, uint8_t out[GH_SHA256_BYTES])
{
    mac(passwords->cache_key, "gatehouse password seen", stored, secret, out);
}

static bool is_short_text(struct gh_slice stored)
{
    return stored.size < GH_SECRET_STORED_MAX &&
           gh_slice_starts(stored, gh_slice(short_prefix, sizeof short_prefix - 1));
}

static bool verify_short(struct gh_device_passwords *passwords, struct gh_slice secret,
                         const struct gh_slice *stored, size_t count, size_t *which)
{
    uint8_t key[GH_SHA256_BYTES];
    size_t runs = 0;

    for (size_t i = 0; i < count; i++) {
        cache_key(passwords, stored[i], secret, key);
        if (is_short_text(stored[i]) && cached(passwords, key, false)) {
            *which = i;
            return true;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (!is_short_text(stored[i]))
            continue;
        runs++;
        if (!gh_password_verify(secret, stored[i]))
            continue;
        cache_key(passwords, stored[i], secret, key);
        (void)cached(passwords, key, true);
        *which = i;
        return true;
    }
    for (; runs < GENERATIONS; runs++)
        (void)!gh_password_verify_nobody(secret, short_cost);
    return false;
}

/* --- both --- */

enum gh_error_code gh_device_password_store(const struct gh_device_passwords *passwords,
                                            struct gh_slice secret, char out[GH_SECRET_STORED_MAX],
                                            struct gh_error *error)
{
    uint8_t salt[SALT_BYTES];
    char hex[2 * SALT_BYTES + 1];

    if (secret.size < GH_SECRET_SHORT_BYTES_MIN || secret.size > GH_SECRET_BYTES_MAX)
        return gh_error_set(error, GH_ERROR_INVALID, "password: %d to %d bytes",
                            GH_SECRET_SHORT_BYTES_MIN, GH_SECRET_BYTES_MAX);
    if (secret.size < GH_SECRET_LONG_BYTES_MIN)
        return gh_password_hash(secret, short_cost, out)
                   ? GH_OK
                   : gh_error_set(error, GH_ERROR_MEMORY, "no memory for the password");
    gh_random(salt, sizeof salt);
    hex_print(salt, sizeof salt, hex);
    long_print(passwords, secret, gh_slice_text(hex), out);
    return GH_OK;
}

bool gh_device_password_mark(const struct gh_device_passwords *passwords, struct gh_slice scope,
                             struct gh_slice secret, char out[GH_SECRET_MARK_MAX])
{
    uint8_t digest[GH_SHA256_BYTES], hash[GH_SHA256_BYTES];
    bool made = secret.size >= GH_SECRET_LONG_BYTES_MIN;
    if (made) {
        mac(passwords->key, "gatehouse secret mark 1", scope, secret, digest);
    } else {
        mac(passwords->key, "gatehouse secret mark salt", scope, GH_SLICE(""), digest);
        made = gh_password_derive(secret, short_cost, gh_slice(digest, sizeof digest), hash);
        mac(passwords->key, "gatehouse short mark 1", scope, gh_slice(hash, sizeof hash), digest);
    }
    hex_print(digest, sizeof digest, out);
    gh_secret_wipe(hash, sizeof hash);
    gh_secret_wipe(digest, sizeof digest);
    return made;
}

bool gh_device_password_verify(struct gh_device_passwords *passwords, struct gh_slice secret,
                               const struct gh_slice *stored, size_t count, size_t *which)
{
    if (secret.size > GH_SECRET_BYTES_MAX) /* was never stored; the work stays the same */
        secret = gh_slice_sub(secret, 0, GH_SECRET_BYTES_MAX), count = 0;
    return secret.size >= GH_SECRET_LONG_BYTES_MIN
               ? verify_long(passwords, secret, stored, count, which)
               : verify_short(passwords, secret, stored, count, which);
}
