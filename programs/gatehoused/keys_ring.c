/* The keyring, and the requests that need nothing else. */
#include "base/log.h"
#include "base/secret.h"
#include "programs/gatehoused/keys_internal.h"
#include "registry/sealing.h"
#include <stdio.h>

bool keys_ring_open(struct keys *keys, struct gh_error *error)
{
    keys->keyring = gh_keyring_take_over(keys->config->data, error);
    return keys->keyring != NULL;
}

void keys_ring_close(struct keys *keys)
{
    gh_keyring_close(keys->keyring);
    keys->keyring = NULL;
}

static enum gh_error_code no_request(struct gh_error *error)
{
    return gh_error_set(error, GH_ERROR_INVALID, "not a request");
}

enum gh_error_code keys_handle_password_key(struct keys *keys, struct gh_cursor *at,
                                            struct gh_buffer *out, struct gh_error *error)
{
    const struct gh_secret *key = gh_keyring_get(keys->keyring, GH_KEYRING_PASSWORDS);
    if (gh_cursor_left(at) != 0 || key == NULL)
        return no_request(error);
    gh_buffer_put(out, gh_secret_bytes(key));
    return GH_OK;
}

enum gh_error_code keys_handle_data_key_make(struct keys *keys, struct gh_cursor *at,
                                             struct gh_buffer *out, struct gh_error *error)
{
    uint64_t tenant;
    uint32_t number;
    uint8_t key[GH_SEAL_KEY_BYTES], block[GH_SEALING_KEY_SEALED_MAX];
    struct gh_buffer sealed = gh_buffer_fixed(block, sizeof block);
    if (!gh_cursor_u64(at, &tenant) || !gh_cursor_u32(at, &number) || gh_cursor_left(at) != 0)
        return no_request(error);
    enum gh_error_code code =
        gh_sealing_key_make(keys->keyring, (int64_t)tenant, number, key, &sealed, error);
    if (code == GH_OK) {
        gh_buffer_put32(out, gh_slice(key, sizeof key));
        gh_buffer_put32(out, gh_buffer_slice(&sealed));
    }
    gh_secret_wipe(key, sizeof key);
    return code;
}

enum gh_error_code keys_handle_data_key_open(struct keys *keys, struct gh_cursor *at,
                                             struct gh_buffer *out, struct gh_error *error)
{
    uint64_t tenant;
    uint32_t number;
    uint8_t key[GH_SEAL_KEY_BYTES];
    struct gh_slice sealed;
    if (!gh_cursor_u64(at, &tenant) || !gh_cursor_u32(at, &number) ||
        !gh_cursor_take32(at, &sealed) || gh_cursor_left(at) != 0)
        return no_request(error);
    enum gh_error_code code =
        gh_sealing_key_open(keys->keyring, (int64_t)tenant, number, sealed, key, error);
    if (code == GH_OK)
        gh_buffer_put(out, gh_slice(key, sizeof key));
    gh_secret_wipe(key, sizeof key);
    return code;
}

enum gh_error_code keys_handle_kek_renew(struct keys *keys, struct gh_cursor *at,
                                         struct gh_buffer *out, struct gh_error *error)
{
    (void)out;
    if (gh_cursor_left(at) != 0)
        return no_request(error);
    enum gh_error_code code = gh_keyring_renew(keys->keyring, error);
    if (code == GH_OK)
        gh_log(GH_LOG_INFO, "keys", "a new key-encryption key is in use");
    return code;
}

enum gh_error_code keys_handle_data_key_rewrap(struct keys *keys, struct gh_cursor *at,
                                               struct gh_buffer *out, struct gh_error *error)
{
    uint64_t tenant;
    uint32_t number;
    struct gh_slice sealed;
    if (!gh_cursor_u64(at, &tenant) || !gh_cursor_u32(at, &number) ||
        !gh_cursor_take32(at, &sealed) || gh_cursor_left(at) != 0)
        return no_request(error);
    return gh_sealing_key_rewrap(keys->keyring, (int64_t)tenant, number, sealed, out, error);
}

enum gh_error_code keys_handle_kek_settle(struct keys *keys, struct gh_cursor *at,
                                          struct gh_buffer *out, struct gh_error *error)
{
    (void)out;
    if (gh_cursor_left(at) != 0)
        return no_request(error);
    enum gh_error_code code = gh_keyring_settle(keys->keyring, error);
    if (code == GH_OK)
        gh_log(GH_LOG_INFO, "keys", "the old key-encryption key is destroyed");
    return code;
}

/* --- the asking end --- */

enum gh_error_code keys_password_key(struct keys_line *line, struct gh_buffer *out,
                                     struct gh_error *error)
{
    return keys_ask(line, KEYS_PASSWORD_KEY, (struct gh_slice){0}, out, error);
}

static enum gh_error_code strange(struct gh_error *error)
{
    return gh_error_set(error, GH_ERROR_INTERNAL, "the keys process answers with something else");
}

static enum gh_error_code ask_make(void *context, int64_t tenant, uint32_t number,
                                   uint8_t key[GH_SEAL_KEY_BYTES], struct gh_buffer *sealed,
                                   struct gh_error *error)
{
    uint8_t block[GH_SEAL_KEY_BYTES + GH_SEALING_KEY_SEALED_MAX + 8], fields_block[16];
    struct gh_buffer answer = gh_buffer_fixed(block, sizeof block);
    struct gh_buffer fields = gh_buffer_fixed(fields_block, sizeof fields_block);
    struct gh_slice plain, text;
    gh_buffer_u64(&fields, (uint64_t)tenant);
    gh_buffer_u32(&fields, number);
    enum gh_error_code code =
        keys_ask(context, KEYS_DATA_KEY_MAKE, gh_buffer_slice(&fields), &answer, error);
    struct gh_cursor at = gh_cursor(gh_buffer_slice(&answer));
    if (code == GH_OK && (!gh_cursor_take32(&at, &plain) || plain.size != GH_SEAL_KEY_BYTES ||
                          !gh_cursor_take32(&at, &text) || !gh_buffer_put(sealed, text)))
        code = strange(error);
    for (size_t i = 0; code == GH_OK && i < GH_SEAL_KEY_BYTES; i++)
        key[i] = plain.data[i];
    gh_secret_wipe(block, sizeof block);
    return code;
}

static enum gh_error_code ask_about(void *context, enum keys_kind kind, int64_t tenant,
                                    uint32_t number, struct gh_slice sealed, struct gh_buffer *out,
                                    struct gh_error *error)
{
    uint8_t block[GH_SEALING_KEY_SEALED_MAX + 32];
    struct gh_buffer fields = gh_buffer_fixed(block, sizeof block);
    gh_buffer_u64(&fields, (uint64_t)tenant);
    gh_buffer_u32(&fields, number);
    gh_buffer_put32(&fields, sealed);
    return fields.overflow
               ? gh_error_set(error, GH_ERROR_KEYS, "the data key of tenant %lld is damaged",
                              (long long)tenant)
               : keys_ask(context, kind, gh_buffer_slice(&fields), out, error);
}

static enum gh_error_code ask_open(void *context, int64_t tenant, uint32_t number,
                                   struct gh_slice sealed, uint8_t key[GH_SEAL_KEY_BYTES],
                                   struct gh_error *error)
{
    struct gh_buffer answer = gh_buffer_fixed(key, GH_SEAL_KEY_BYTES);
    enum gh_error_code code =
        ask_about(context, KEYS_DATA_KEY_OPEN, tenant, number, sealed, &answer, error);
    return code == GH_OK && answer.size != GH_SEAL_KEY_BYTES ? strange(error) : code;
}

static enum gh_error_code ask_rewrap(void *context, int64_t tenant, uint32_t number,
                                     struct gh_slice sealed, struct gh_buffer *out,
                                     struct gh_error *error)
{
    return ask_about(context, KEYS_DATA_KEY_REWRAP, tenant, number, sealed, out, error);
}

static enum gh_error_code ask_plainly(void *context, enum keys_kind kind, struct gh_error *error)
{
    uint8_t nothing[1];
    struct gh_buffer answer = gh_buffer_fixed(nothing, sizeof nothing);
    return keys_ask(context, kind, (struct gh_slice){0}, &answer, error);
}

static enum gh_error_code ask_renew(void *context, struct gh_error *error)
{
    return ask_plainly(context, KEYS_KEK_RENEW, error);
}

static enum gh_error_code ask_settle(void *context, struct gh_error *error)
{
    return ask_plainly(context, KEYS_KEK_SETTLE, error);
}

const struct gh_sealing_keys keys_sealing = {.make = ask_make,
                                             .open = ask_open,
                                             .renew = ask_renew,
                                             .rewrap = ask_rewrap,
                                             .settle = ask_settle};
