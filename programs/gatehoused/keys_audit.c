/* The key that signs checkpoints of the audit trail. It signs nothing else: what is signed is made
 * here, out of numbers and hashes. */
#include "audit/checkpoint.h"
#include "programs/gatehoused/keys_internal.h"
#include <string.h>

enum { DETAIL_KEY_BYTES = GH_SHA256_BYTES };

/* Made at the first start that has it. */
static bool make_key(struct keys *keys, struct gh_error *error)
{
    uint8_t block[KEYS_PEM_MAX];
    struct gh_buffer pem = gh_buffer_fixed(block, sizeof block);
    struct gh_private_key *key = gh_private_key_generate(GH_KEY_P256, error);
    bool made =
        key != NULL && gh_private_key_print(key, &pem) &&
        gh_keyring_put(keys->keyring, GH_KEYRING_AUDIT, gh_buffer_slice(&pem), error) == GH_OK &&
        gh_keyring_save(keys->keyring, error) == GH_OK;
    gh_private_key_close(key);
    gh_secret_wipe(block, sizeof block);
    return made;
}

bool keys_audit_open(struct keys *keys, struct gh_error *error)
{
    if (gh_keyring_get(keys->keyring, GH_KEYRING_AUDIT) == NULL && !make_key(keys, error))
        return false;
    keys->audit = gh_private_key_open(
        gh_secret_bytes(gh_keyring_get(keys->keyring, GH_KEYRING_AUDIT)), error);
    return keys->audit != NULL;
}

void keys_audit_close(struct keys *keys)
{
    gh_private_key_close(keys->audit);
    keys->audit = NULL;
}

/* The public half, and a key for the digests of what callers sent, which follows from the private
 * one: with neither in the database, no digest there can be guessed at. */
enum gh_error_code keys_handle_audit_key(struct keys *keys, struct gh_cursor *at,
                                         struct gh_buffer *out, struct gh_error *error)
{
    uint8_t block[KEYS_PEM_MAX], detail[DETAIL_KEY_BYTES];
    struct gh_buffer pem = gh_buffer_fixed(block, sizeof block);
    const struct gh_secret *secret = gh_keyring_get(keys->keyring, GH_KEYRING_AUDIT);
    if (gh_cursor_left(at) != 0 || secret == NULL ||
        !gh_private_key_print_public(keys->audit, &pem))
        return gh_error_set(error, GH_ERROR_INVALID, "not a request");
    gh_hmac_sha256(gh_secret_bytes(secret), GH_SLICE("gatehouse audit detail 1"), detail);
    gh_buffer_put32(out, gh_buffer_slice(&pem));
    gh_buffer_put32(out, gh_slice(detail, sizeof detail));
    gh_secret_wipe(detail, sizeof detail);
    return GH_OK;
}

static bool take_hash(struct gh_cursor *at, struct gh_merkle_hash *out)
{
    struct gh_slice bytes;
    if (!gh_cursor_take(at, sizeof out->bytes, &bytes))
        return false;
    memcpy(out->bytes, bytes.data, sizeof out->bytes);
    return true;
}

enum gh_error_code keys_handle_audit_sign(struct keys *keys, struct gh_cursor *at,
                                          struct gh_buffer *out, struct gh_error *error)
{
    struct gh_audit_checkpoint checkpoint = {0};
    uint8_t block[GH_AUDIT_MESSAGE_MAX], signature[GH_KEY_SIGNATURE_MAX];
    struct gh_buffer message = gh_buffer_fixed(block, sizeof block);
    uint64_t seq, at_ms;
    size_t size;
    if (!gh_cursor_u64(at, &seq) || !gh_cursor_u64(at, &at_ms) ||
        !take_hash(at, &checkpoint.hash) || !take_hash(at, &checkpoint.root) ||
        gh_cursor_left(at) != 0 || seq > INT64_MAX || at_ms > INT64_MAX)
        return gh_error_set(error, GH_ERROR_INVALID, "not a request");
    checkpoint.seq = (int64_t)seq;
    checkpoint.at_ms = (int64_t)at_ms;
    gh_audit_checkpoint_message(&checkpoint, &message);
    if (!gh_private_key_sign(keys->audit, gh_buffer_slice(&message), signature, &size))
        return gh_error_set(error, GH_ERROR_MEMORY, "no memory for a signature");
    gh_buffer_put(out, gh_slice(signature, size));
    return GH_OK;
}

/* --- the asking end --- */

enum gh_error_code keys_audit_key(struct keys_line *line, struct gh_buffer *out,
                                  struct gh_slice *public_pem, struct gh_slice *detail_key,
                                  struct gh_error *error)
{
    enum gh_error_code code = keys_ask(line, KEYS_AUDIT_KEY, (struct gh_slice){0}, out, error);
    struct gh_cursor at = gh_cursor(gh_buffer_slice(out));
    if (code == GH_OK && (!gh_cursor_take32(&at, public_pem) || !gh_cursor_take32(&at, detail_key)))
        code = gh_error_set(error, GH_ERROR_INTERNAL, "the keys process answers something else");
    return code;
}

static enum gh_error_code ask_sign(void *context, const struct gh_audit_checkpoint *checkpoint,
                                   uint8_t out[GH_AUDIT_SIGNATURE_BYTES], struct gh_error *error)
{
    uint8_t block[128];
    struct gh_buffer fields = gh_buffer_fixed(block, sizeof block);
    struct gh_buffer answer = gh_buffer_fixed(out, GH_AUDIT_SIGNATURE_BYTES);
    gh_buffer_u64(&fields, (uint64_t)checkpoint->seq);
    gh_buffer_u64(&fields, (uint64_t)checkpoint->at_ms);
    gh_buffer_put(&fields, gh_slice(checkpoint->hash.bytes, sizeof checkpoint->hash.bytes));
    gh_buffer_put(&fields, gh_slice(checkpoint->root.bytes, sizeof checkpoint->root.bytes));
    enum gh_error_code code =
        keys_ask(context, KEYS_AUDIT_SIGN, gh_buffer_slice(&fields), &answer, error);
    return code == GH_OK && answer.size != GH_AUDIT_SIGNATURE_BYTES
               ? gh_error_set(error, GH_ERROR_INTERNAL, "the keys process answers something else")
               : code;
}

struct gh_audit_signer keys_audit_signer(struct keys_line *line)
{
    return (struct gh_audit_signer){.context = line, .sign = ask_sign};
}
