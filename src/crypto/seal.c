#include "crypto/seal.h"
#include "base/cursor.h"
#include "base/secret.h"
#include <assert.h>
#include <openssl/err.h>
#include <openssl/evp.h>

enum { VERSION = 1, AES_256_GCM = 1 };

/* --- AES-256-GCM with a key of this process --- */

static bool gcm_seal(void *context, struct gh_slice nonce, struct gh_slice beside,
                     struct gh_slice plain, uint8_t *out)
{
    EVP_CIPHER_CTX *gcm = EVP_CIPHER_CTX_new();
    int size = 0, last = 0;
    assert(nonce.size == GH_SEAL_NONCE_BYTES); /* OpenSSL's default for GCM */
    bool done =
        gcm != NULL && EVP_EncryptInit_ex(gcm, EVP_aes_256_gcm(), NULL, context, nonce.data) == 1 &&
        EVP_EncryptUpdate(gcm, NULL, &size, beside.data, (int)beside.size) == 1 &&
        EVP_EncryptUpdate(gcm, out, &size, plain.data, (int)plain.size) == 1 &&
        EVP_EncryptFinal_ex(gcm, out + size, &last) == 1 &&
        EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_AEAD_GET_TAG, GH_SEAL_TAG_BYTES, out + plain.size) == 1;
    EVP_CIPHER_CTX_free(gcm);
    ERR_clear_error();
    return done;
}

static bool gcm_open(void *context, struct gh_slice nonce, struct gh_slice beside,
                     struct gh_slice text, uint8_t *out)
{
    uint8_t tag[GH_SEAL_TAG_BYTES];
    size_t plain = text.size - GH_SEAL_TAG_BYTES;
    EVP_CIPHER_CTX *gcm = EVP_CIPHER_CTX_new();
    int size = 0, last = 0;
    assert(nonce.size == GH_SEAL_NONCE_BYTES && text.size >= GH_SEAL_TAG_BYTES);
    for (size_t i = 0; i < sizeof tag; i++)
        tag[i] = text.data[plain + i];
    bool done = gcm != NULL &&
                EVP_DecryptInit_ex(gcm, EVP_aes_256_gcm(), NULL, context, nonce.data) == 1 &&
                EVP_DecryptUpdate(gcm, NULL, &size, beside.data, (int)beside.size) == 1 &&
                EVP_DecryptUpdate(gcm, out, &size, text.data, (int)plain) == 1 &&
                EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_AEAD_SET_TAG, GH_SEAL_TAG_BYTES, tag) == 1 &&
                EVP_DecryptFinal_ex(gcm, out + size, &last) == 1;
    if (!done)
        gh_secret_wipe(out, plain); /* what was decrypted before the tag was known to be wrong */
    EVP_CIPHER_CTX_free(gcm);
    ERR_clear_error();
    return done;
}

struct gh_seal_cipher gh_seal_cipher(const uint8_t *key)
{
    return (struct gh_seal_cipher){gcm_seal, gcm_open, (void *)(uintptr_t)key};
}

/* --- the form --- */

enum gh_seal_status gh_sealed_read(struct gh_slice sealed, struct gh_sealed *out)
{
    struct gh_cursor at = gh_cursor(sealed);
    struct gh_sealed read = {0};
    uint8_t version = 0, algorithm = 0;
    if (sealed.size > GH_SEAL_TEXT_BYTES_MAX + GH_SEAL_EXTRA_BYTES ||
        !gh_cursor_u8(&at, &version) || !gh_cursor_u8(&at, &algorithm))
        return GH_SEAL_MALFORMED;
    if (version != VERSION || algorithm != AES_256_GCM)
        return GH_SEAL_UNKNOWN;
    if (!gh_cursor_u32(&at, &read.key) || !gh_cursor_take(&at, GH_SEAL_NONCE_BYTES, &read.nonce) ||
        gh_cursor_left(&at) < GH_SEAL_TAG_BYTES)
        return GH_SEAL_MALFORMED;
    read.text = at.rest;
    *out = read;
    return GH_SEAL_OK;
}

/* What is authenticated beside the text; sizes stand before the names, so that no two places read
 * the same. False for a name over its limit. */
static bool beside_write(struct gh_slice head, const struct gh_seal_place *place,
                         struct gh_buffer *out)
{
    if (place->field.size > GH_SEAL_NAME_BYTES_MAX || place->row.size > GH_SEAL_NAME_BYTES_MAX)
        return false;
    gh_buffer_put(out, head);
    gh_buffer_u64(out, (uint64_t)place->tenant);
    gh_buffer_put16(out, place->field);
    gh_buffer_put16(out, place->row);
    return !out->overflow;
}

enum gh_seal_status gh_seal(const struct gh_seal_cipher *cipher, uint32_t key,
                            const struct gh_seal_place *place,
                            const uint8_t nonce[GH_SEAL_NONCE_BYTES], struct gh_slice plain,
                            struct gh_buffer *out)
{
    uint8_t head_block[GH_SEAL_HEAD_BYTES], beside_block[GH_SEAL_BESIDE_BYTES_MAX];
    struct gh_buffer head = gh_buffer_fixed(head_block, sizeof head_block);
    struct gh_buffer beside = gh_buffer_fixed(beside_block, sizeof beside_block);
    gh_buffer_u8(&head, VERSION);
    gh_buffer_u8(&head, AES_256_GCM);
    gh_buffer_u32(&head, key);
    if (plain.size > GH_SEAL_TEXT_BYTES_MAX ||
        !beside_write(gh_buffer_slice(&head), place, &beside))
        return GH_SEAL_FAILED;
    uint8_t *to = gh_buffer_reserve(out, plain.size + GH_SEAL_EXTRA_BYTES);
    if (to == NULL)
        return GH_SEAL_FAILED;
    struct gh_buffer front = gh_buffer_fixed(to, GH_SEAL_HEAD_BYTES + GH_SEAL_NONCE_BYTES);
    gh_buffer_put(&front, gh_buffer_slice(&head));
    gh_buffer_put(&front, gh_slice(nonce, GH_SEAL_NONCE_BYTES));
    assert(!front.overflow);
    if (!cipher->seal(cipher->context, gh_slice(nonce, GH_SEAL_NONCE_BYTES),
                      gh_buffer_slice(&beside), plain, to + front.size))
        return GH_SEAL_FAILED;
    gh_buffer_commit(out, plain.size + GH_SEAL_EXTRA_BYTES);
    return GH_SEAL_OK;
}

enum gh_seal_status gh_unseal(const struct gh_seal_cipher *cipher,
                              const struct gh_seal_place *place, struct gh_slice sealed,
                              struct gh_buffer *out)
{
    uint8_t beside_block[GH_SEAL_BESIDE_BYTES_MAX];
    struct gh_buffer beside = gh_buffer_fixed(beside_block, sizeof beside_block);
    struct gh_sealed read;
    enum gh_seal_status status = gh_sealed_read(sealed, &read);
    if (status != GH_SEAL_OK)
        return status;
    if (!beside_write(gh_slice_sub(sealed, 0, GH_SEAL_HEAD_BYTES), place, &beside))
        return GH_SEAL_FAILED;
    size_t plain = read.text.size - GH_SEAL_TAG_BYTES;
    uint8_t *to = gh_buffer_reserve(out, plain + 1); /* one more: a reservation is never empty */
    if (to == NULL)
        return GH_SEAL_FAILED;
    if (!cipher->open(cipher->context, read.nonce, gh_buffer_slice(&beside), read.text, to))
        return GH_SEAL_REFUSED;
    gh_buffer_commit(out, plain);
    return GH_SEAL_OK;
}
