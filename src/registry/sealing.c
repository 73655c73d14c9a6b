#include "registry/sealing.h"
#include "base/time.h"
#include "store/registry.h"
#include "wire/base64.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { TEXT_MAX = 4 * (GH_SEAL_TEXT_BYTES_MAX + GH_SEAL_EXTRA_BYTES) / 3 + 64 };

static const struct gh_slice prefix = GH_SLICE_INIT("$sealed$v=1$");
static const struct gh_slice key_field = GH_SLICE_INIT("data key");
static const struct gh_slice credential_field = GH_SLICE_INIT("credential");
static const struct gh_slice issuer_field = GH_SLICE_INIT("issuing CA");

struct gh_sealing {
    struct gh_store *store;
    const struct gh_sealing_keys *keys;
    void *context;
    pthread_rwlock_t rotating; /* shared by whoever needs a key to stay, a rotation alone */
    pthread_mutex_t making;    /* a tenant's first key */
    pthread_mutex_t lock;      /* guards what follows */
    uint64_t clock;            /* one more with each use */
    struct remembered {
        int64_t tenant;
        uint32_t number;
        uint64_t used; /* 0: empty */
        struct gh_secret *key;
    } cache[GH_SEALING_CACHE_MAX];
};

/* --- data keys under the keyring --- */

static struct gh_seal_place key_place(int64_t tenant, uint32_t number, char row[16])
{
    snprintf(row, 16, "%u", (unsigned)number);
    return (struct gh_seal_place){tenant, key_field, gh_slice_text(row)};
}

enum gh_error_code gh_sealing_key_make(struct gh_keyring *keyring, int64_t tenant, uint32_t number,
                                       uint8_t key[GH_SEAL_KEY_BYTES], struct gh_buffer *sealed,
                                       struct gh_error *error)
{
    char row[16];
    struct gh_seal_place place = key_place(tenant, number, row);
    gh_random(key, GH_SEAL_KEY_BYTES);
    return gh_keyring_seal(keyring, &place, gh_slice(key, GH_SEAL_KEY_BYTES), sealed, error);
}

enum gh_error_code gh_sealing_key_open(struct gh_keyring *keyring, int64_t tenant, uint32_t number,
                                       struct gh_slice sealed, uint8_t key[GH_SEAL_KEY_BYTES],
                                       struct gh_error *error)
{
    char row[16];
    uint8_t block[GH_SEAL_KEY_BYTES + 1]; /* a byte more, as unsealing asks for */
    struct gh_seal_place place = key_place(tenant, number, row);
    struct gh_buffer plain = gh_buffer_fixed(block, sizeof block);
    enum gh_error_code code = gh_keyring_unseal(keyring, &place, sealed, &plain, error);
    if (code == GH_OK && plain.size != GH_SEAL_KEY_BYTES)
        code = gh_error_set(error, GH_ERROR_KEYS, "data key %u of tenant %lld is no key",
                            (unsigned)number, (long long)tenant);
    for (size_t i = 0; code == GH_OK && i < GH_SEAL_KEY_BYTES; i++)
        key[i] = block[i];
    gh_secret_wipe(block, sizeof block);
    return code;
}

enum gh_error_code gh_sealing_key_rewrap(struct gh_keyring *keyring, int64_t tenant,
                                         uint32_t number, struct gh_slice sealed,
                                         struct gh_buffer *out, struct gh_error *error)
{
    char row[16];
    uint8_t key[GH_SEAL_KEY_BYTES];
    struct gh_seal_place place = key_place(tenant, number, row);
    enum gh_error_code code = gh_sealing_key_open(keyring, tenant, number, sealed, key, error);
    if (code == GH_OK)
        code = gh_keyring_seal(keyring, &place, gh_slice(key, sizeof key), out, error);
    gh_secret_wipe(key, sizeof key);
    return code;
}

static enum gh_error_code keyring_make(void *context, int64_t tenant, uint32_t number,
                                       uint8_t key[GH_SEAL_KEY_BYTES], struct gh_buffer *sealed,
                                       struct gh_error *error)
{
    return gh_sealing_key_make(context, tenant, number, key, sealed, error);
}

static enum gh_error_code keyring_open(void *context, int64_t tenant, uint32_t number,
                                       struct gh_slice sealed, uint8_t key[GH_SEAL_KEY_BYTES],
                                       struct gh_error *error)
{
    return gh_sealing_key_open(context, tenant, number, sealed, key, error);
}

static enum gh_error_code keyring_renew(void *context, struct gh_error *error)
{
    return gh_keyring_renew(context, error);
}

static enum gh_error_code keyring_rewrap(void *context, int64_t tenant, uint32_t number,
                                         struct gh_slice sealed, struct gh_buffer *out,
                                         struct gh_error *error)
{
    return gh_sealing_key_rewrap(context, tenant, number, sealed, out, error);
}

static enum gh_error_code keyring_settle(void *context, struct gh_error *error)
{
    return gh_keyring_settle(context, error);
}

const struct gh_sealing_keys gh_sealing_keyring = {.make = keyring_make,
                                                   .open = keyring_open,
                                                   .renew = keyring_renew,
                                                   .rewrap = keyring_rewrap,
                                                   .settle = keyring_settle};

/* --- what is remembered --- */

struct gh_sealing *gh_sealing_open(struct gh_store *store, const struct gh_sealing_keys *keys,
                                   void *context)
{
    struct gh_sealing *sealing = calloc(1, sizeof *sealing);
    if (sealing == NULL)
        return NULL;
    sealing->store = store;
    sealing->keys = keys;
    sealing->context = context;
    pthread_rwlock_init(&sealing->rotating, NULL); /* prefers readers: one may hold it twice */
    pthread_mutex_init(&sealing->making, NULL);
    pthread_mutex_init(&sealing->lock, NULL);
    return sealing;
}

static void slot_clear(struct remembered *slot)
{
    gh_secret_close(slot->key);
    *slot = (struct remembered){0};
}

void gh_sealing_close(struct gh_sealing *sealing)
{
    if (sealing == NULL)
        return;
    for (size_t i = 0; i < GH_SEALING_CACHE_MAX; i++)
        slot_clear(&sealing->cache[i]);
    pthread_mutex_destroy(&sealing->lock);
    pthread_mutex_destroy(&sealing->making);
    pthread_rwlock_destroy(&sealing->rotating);
    free(sealing);
}

void gh_sealing_hold(struct gh_sealing *sealing)
{
    if (sealing != NULL)
        pthread_rwlock_rdlock(&sealing->rotating);
}

void gh_sealing_release(struct gh_sealing *sealing)
{
    if (sealing != NULL)
        pthread_rwlock_unlock(&sealing->rotating);
}

void gh_sealing_forget(struct gh_sealing *sealing, int64_t tenant)
{
    pthread_mutex_lock(&sealing->lock);
    for (size_t i = 0; i < GH_SEALING_CACHE_MAX; i++)
        if (sealing->cache[i].used != 0 && sealing->cache[i].tenant == tenant)
            slot_clear(&sealing->cache[i]);
    pthread_mutex_unlock(&sealing->lock);
}

/* A copy of the key, for the time of one use. */
static bool recall(struct gh_sealing *sealing, int64_t tenant, uint32_t number,
                   uint8_t key[GH_SEAL_KEY_BYTES])
{
    bool found = false;
    pthread_mutex_lock(&sealing->lock);
    for (size_t i = 0; !found && i < GH_SEALING_CACHE_MAX; i++) {
        struct remembered *slot = &sealing->cache[i];
        if (slot->used == 0 || slot->tenant != tenant || slot->number != number)
            continue;
        slot->used = ++sealing->clock;
        struct gh_slice bytes = gh_secret_bytes(slot->key);
        for (size_t at = 0; at < GH_SEAL_KEY_BYTES; at++)
            key[at] = bytes.data[at];
        found = true;
    }
    pthread_mutex_unlock(&sealing->lock);
    return found;
}

/* Without memory it is not remembered, and asked for again. */
static void remember(struct gh_sealing *sealing, int64_t tenant, uint32_t number,
                     const uint8_t key[GH_SEAL_KEY_BYTES])
{
    struct gh_secret *secret = gh_secret_open(gh_slice(key, GH_SEAL_KEY_BYTES));
    if (secret == NULL)
        return;
    pthread_mutex_lock(&sealing->lock);
    struct remembered *slot = &sealing->cache[0];
    for (size_t i = 1; i < GH_SEALING_CACHE_MAX; i++)
        if (sealing->cache[i].used < slot->used)
            slot = &sealing->cache[i];
    slot_clear(slot);
    *slot = (struct remembered){tenant, number, ++sealing->clock, secret};
    pthread_mutex_unlock(&sealing->lock);
}

/* --- finding the key --- */

/* The tenant's first key, unless another thread was faster: one makes at a time, as the row of
 * another one cannot be read before it is committed. */
static enum gh_error_code make_first(struct gh_sealing *sealing, int64_t tenant,
                                     uint8_t key[GH_SEAL_KEY_BYTES], struct gh_arena *arena,
                                     struct gh_data_key_row *row, bool *made,
                                     struct gh_error *error)
{
    uint8_t block[GH_SEALING_KEY_SEALED_MAX];
    struct gh_buffer sealed = gh_buffer_fixed(block, sizeof block);
    pthread_mutex_lock(&sealing->making);
    enum gh_error_code code = gh_store_data_key_get(sealing->store, tenant, 0, arena, row, error);
    *made = code == GH_ERROR_NOT_FOUND;
    if (*made)
        code = sealing->keys->make(sealing->context, tenant, 1, key, &sealed, error);
    if (*made && code == GH_OK) {
        *row = (struct gh_data_key_row){tenant, 1, gh_buffer_slice(&sealed), gh_time_utc_ms()};
        code = gh_store_data_key_create(sealing->store, row, error);
    }
    pthread_mutex_unlock(&sealing->making);
    return code;
}

/* `*number` 0: the newest, made when there is none. No rotation may be under way. */
static enum gh_error_code find_key(struct gh_sealing *sealing, int64_t tenant, uint32_t *number,
                                   uint8_t key[GH_SEAL_KEY_BYTES], struct gh_arena *arena,
                                   struct gh_error *error)
{
    struct gh_data_key_row row = {0};
    bool made = false;
    enum gh_error_code code =
        gh_store_data_key_get(sealing->store, tenant, *number, arena, &row, error);
    if (code == GH_ERROR_NOT_FOUND && *number != 0)
        return gh_error_set(error, GH_ERROR_KEYS,
                            "data key %u of tenant %lld is gone: what was sealed under it stays "
                            "closed",
                            (unsigned)*number, (long long)tenant);
    if (code == GH_ERROR_NOT_FOUND)
        code = make_first(sealing, tenant, key, arena, &row, &made, error);
    if (code == GH_OK && !made && !recall(sealing, tenant, row.number, key)) {
        code = sealing->keys->open(sealing->context, tenant, row.number, row.sealed, key, error);
        if (code == GH_OK)
            remember(sealing, tenant, row.number, key);
    }
    *number = row.number;
    return code;
}

/* --- sealing --- */

static enum gh_error_code seal_with(const uint8_t key[GH_SEAL_KEY_BYTES], uint32_t number,
                                    const struct gh_seal_place *place, struct gh_slice plain,
                                    struct gh_arena *arena, struct gh_slice *out,
                                    struct gh_error *error)
{
    uint8_t nonce[GH_SEAL_NONCE_BYTES];
    struct gh_seal_cipher cipher = gh_seal_cipher(key);
    struct gh_buffer sealed, text;
    gh_buffer_init(&sealed, GH_SEAL_TEXT_BYTES_MAX + GH_SEAL_EXTRA_BYTES);
    gh_buffer_init(&text, TEXT_MAX);
    gh_random(nonce, sizeof nonce);
    gh_buffer_put(&text, prefix);
    bool done = gh_seal(&cipher, number, place, nonce, plain, &sealed) == GH_SEAL_OK &&
                gh_base64_encode(gh_buffer_slice(&sealed), GH_BASE64_URL_NOPAD, &text) &&
                gh_arena_copy(arena, gh_buffer_slice(&text), out);
    gh_buffer_deinit(&sealed);
    gh_buffer_deinit(&text);
    return done ? GH_OK : gh_error_set(error, GH_ERROR_MEMORY, "no memory to seal a secret");
}

enum gh_error_code gh_sealing_seal(struct gh_sealing *sealing, const struct gh_seal_place *place,
                                   struct gh_slice plain, struct gh_arena *arena,
                                   struct gh_slice *text, struct gh_error *error)
{
    uint8_t key[GH_SEAL_KEY_BYTES];
    uint32_t number = 0;
    gh_sealing_hold(sealing);
    enum gh_error_code code = find_key(sealing, place->tenant, &number, key, arena, error);
    if (code == GH_OK)
        code = seal_with(key, number, place, plain, arena, text, error);
    gh_sealing_release(sealing);
    gh_secret_wipe(key, sizeof key);
    return code;
}

static enum gh_error_code damaged(const struct gh_seal_place *place, const char *why,
                                  struct gh_error *error)
{
    return gh_error_set(error, GH_ERROR_KEYS, "%.*s %.*s of tenant %lld cannot be opened: %s",
                        GH_PRINT(place->field), GH_PRINT(place->row), (long long)place->tenant,
                        why);
}

/* `rotates`: the rotation itself asks, which keeps everybody else out. A key that is remembered
 * waits for none. */
static enum gh_error_code unseal(struct gh_sealing *sealing, const struct gh_seal_place *place,
                                 struct gh_slice text, bool rotates, struct gh_buffer *out,
                                 struct gh_error *error)
{
    uint8_t key[GH_SEAL_KEY_BYTES];
    struct gh_sealed read;
    struct gh_buffer sealed;
    struct gh_arena arena;
    enum gh_error_code code = GH_OK;
    gh_buffer_init(&sealed, GH_SEAL_TEXT_BYTES_MAX + GH_SEAL_EXTRA_BYTES);
    gh_arena_init(&arena, 64 * 1024);
    if (!gh_slice_starts(text, prefix) ||
        !gh_base64_decode(gh_slice_sub(text, prefix.size, text.size), GH_BASE64_STRICT_URL,
                          &sealed) ||
        gh_sealed_read(gh_buffer_slice(&sealed), &read) != GH_SEAL_OK || read.key == 0)
        code = damaged(place, "it is no seal that this version knows", error);
    if (code == GH_OK && !recall(sealing, place->tenant, read.key, key)) {
        gh_sealing_hold(rotates ? NULL : sealing);
        code = find_key(sealing, place->tenant, &read.key, key, &arena, error);
        gh_sealing_release(rotates ? NULL : sealing);
    }
    if (code == GH_OK) {
        struct gh_seal_cipher cipher = gh_seal_cipher(key);
        enum gh_seal_status status = gh_unseal(&cipher, place, gh_buffer_slice(&sealed), out);
        if (status != GH_SEAL_OK)
            code = damaged(place,
                           status == GH_SEAL_REFUSED ? "it was changed, or belongs somewhere else"
                                                     : "there is no room for it",
                           error);
    }
    gh_secret_wipe(key, sizeof key);
    gh_arena_deinit(&arena);
    gh_buffer_deinit(&sealed);
    return code;
}

enum gh_error_code gh_sealing_unseal(struct gh_sealing *sealing, const struct gh_seal_place *place,
                                     struct gh_slice text, struct gh_buffer *out,
                                     struct gh_error *error)
{
    return unseal(sealing, place, text, false, out, error);
}

bool gh_sealing_is_sealed(struct gh_slice text)
{
    return gh_slice_starts(text, prefix);
}

struct gh_seal_place gh_sealing_issuer(int64_t tenant, struct gh_slice fingerprint)
{
    return (struct gh_seal_place){tenant, issuer_field, fingerprint};
}

struct gh_seal_place gh_sealing_credential(int64_t tenant, uint64_t device,
                                           struct gh_slice credential, char row[GH_SEALING_ROW_MAX])
{
    struct gh_slice id = gh_slice_sub(credential, 0, 64);
    snprintf(row, GH_SEALING_ROW_MAX, "%llu/%.*s", (unsigned long long)device, GH_PRINT(id));
    return (struct gh_seal_place){tenant, credential_field, gh_slice_text(row)};
}

/* --- rotation --- */

static enum gh_error_code reseal(struct gh_sealing *sealing, const struct gh_data_key_row *new_key,
                                 const uint8_t key[GH_SEAL_KEY_BYTES], struct gh_sealed_row *row,
                                 struct gh_arena *arena, struct gh_error *error)
{
    char name[GH_SEALING_ROW_MAX];
    struct gh_seal_place place =
        row->anchor != 0
            ? gh_sealing_issuer(new_key->tenant, row->credential)
            : gh_sealing_credential(new_key->tenant, row->device, row->credential, name);
    struct gh_buffer plain;
    enum gh_error_code code = GH_OK;
    gh_buffer_init(&plain, GH_SEAL_TEXT_BYTES_MAX + 1);
    if (row->anchor != 0 && !gh_sealing_is_sealed(row->text))
        gh_buffer_put(&plain, row->text); /* of a version that did not seal it for the tenant */
    else
        code = unseal(sealing, &place, row->text, true, &plain, error);
    if (code == GH_OK)
        code = seal_with(key, new_key->number, &place, gh_buffer_slice(&plain), arena, &row->text,
                         error);
    if (plain.data != NULL)
        gh_secret_wipe(plain.data, plain.capacity);
    gh_buffer_deinit(&plain);
    return code;
}

static enum gh_error_code rotate(struct gh_sealing *sealing, int64_t tenant, struct gh_arena *arena,
                                 size_t *count, struct gh_error *error)
{
    uint8_t key[GH_SEAL_KEY_BYTES], block[GH_SEALING_KEY_SEALED_MAX];
    struct gh_buffer sealed = gh_buffer_fixed(block, sizeof block);
    struct gh_data_key_row before = {0},
                           row = {.tenant = tenant, .created_at_ms = gh_time_utc_ms()};
    struct gh_sealed_row *rows = NULL;
    *count = 0;
    enum gh_error_code code =
        gh_store_data_key_get(sealing->store, tenant, 0, arena, &before, error);
    bool had_none = code == GH_ERROR_NOT_FOUND;
    if (code == GH_OK || had_none)
        code = gh_store_sealed_list(sealing->store, tenant, arena, &rows, count, error);
    if (code == GH_OK && had_none && *count == 0)
        return GH_OK; /* nothing was ever sealed */
    row.number = before.number + 1;
    if (code == GH_OK)
        code = sealing->keys->make(sealing->context, tenant, row.number, key, &sealed, error);
    row.sealed = gh_buffer_slice(&sealed);
    for (size_t i = 0; code == GH_OK && i < *count; i++)
        code = reseal(sealing, &row, key, &rows[i], arena, error);
    if (code == GH_OK)
        code = gh_store_data_key_replace(sealing->store, &row, rows, *count, error);
    gh_secret_wipe(key, sizeof key);
    gh_sealing_forget(sealing, tenant);
    return code;
}

enum gh_error_code gh_sealing_rotate(struct gh_sealing *sealing, int64_t tenant,
                                     struct gh_arena *arena, size_t *count, struct gh_error *error)
{
    pthread_rwlock_wrlock(&sealing->rotating);
    enum gh_error_code code = rotate(sealing, tenant, arena, count, error);
    pthread_rwlock_unlock(&sealing->rotating);
    gh_store_tidy(sealing->store); /* the old key leaves the write-ahead log now, not later */
    return code;
}

static enum gh_error_code rewrap_all(struct gh_store *store, const struct gh_sealing_keys *keys,
                                     void *context, struct gh_arena *arena, size_t *count,
                                     struct gh_error *error)
{
    struct gh_data_key_row *rows = NULL;
    *count = 0;
    enum gh_error_code code = gh_store_data_key_list(store, arena, &rows, count, error);
    for (size_t i = 0; code == GH_OK && i < *count; i++) {
        uint8_t block[GH_SEALING_KEY_SEALED_MAX];
        struct gh_buffer sealed = gh_buffer_fixed(block, sizeof block);
        code =
            keys->rewrap(context, rows[i].tenant, rows[i].number, rows[i].sealed, &sealed, error);
        if (code == GH_OK && !gh_arena_copy(arena, gh_buffer_slice(&sealed), &rows[i].sealed))
            code = gh_error_set(error, GH_ERROR_MEMORY, "no memory for the data keys");
    }
    return code == GH_OK && *count > 0 ? gh_store_data_keys_update(store, rows, *count, error)
                                       : code;
}

enum gh_error_code gh_sealing_rewrap(struct gh_store *store, struct gh_keyring *keyring,
                                     struct gh_arena *arena, size_t *count, struct gh_error *error)
{
    return rewrap_all(store, &gh_sealing_keyring, keyring, arena, count, error);
}

enum gh_error_code gh_sealing_rotate_kek(struct gh_sealing *sealing, struct gh_arena *arena,
                                         size_t *count, struct gh_error *error)
{
    *count = 0;
    pthread_rwlock_wrlock(&sealing->rotating);
    enum gh_error_code code = sealing->keys->renew(sealing->context, error);
    if (code == GH_OK)
        code = rewrap_all(sealing->store, sealing->keys, sealing->context, arena, count, error);
    if (code == GH_OK)
        code = sealing->keys->settle(sealing->context, error);
    pthread_rwlock_unlock(&sealing->rotating);
    gh_store_tidy(sealing->store);
    return code;
}
