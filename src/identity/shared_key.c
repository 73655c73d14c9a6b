/* A device that shows a token made from one of its symmetric keys. The signature is compared with
 * every such key, disabled and expired ones too, so that the operator reads why; what the token
 * says is believed only behind a good signature. */
#include "base/buffer.h"
#include "base/secret.h"
#include "base/time.h"
#include "identity/credential_internal.h"
#include "identity/detail_internal.h"
#include "identity/shared_key_internal.h"
#include <stdio.h>

enum {
    KEY_BYTES_MAX = 64 + 4, /* what gh_directory_symmetric_key writes */
    TRIES_MIN = 2,          /* a refusal costs at least so many comparisons, as two keys do */
};

static enum gh_identity_reason say(struct gh_identity_verdict *out, enum gh_identity_reason reason,
                                   const char *format, ...) GH_PRINTF(3, 4);

static enum gh_identity_reason say(struct gh_identity_verdict *out, enum gh_identity_reason reason,
                                   const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    gh_detail_print(out->detail, sizeof out->detail, format, arguments);
    va_end(arguments);
    out->reason = reason;
    return reason;
}

void gh_identity_shared_key_of_nobody(const struct gh_sas *sas)
{
    static const uint8_t key[32];
    for (size_t i = 0; i < TRIES_MIN; i++)
        (void)!gh_sas_signed_by(sas, gh_slice(key, sizeof key));
}

/* The key that signed it, or NULL. `*unreadable` counts those that the keys process cannot open. */
static const struct gh_credential *find_signer(struct gh_directory *directory,
                                               const struct gh_device *device,
                                               const struct gh_sas *sas, size_t *count,
                                               struct gh_error *unreadable)
{
    const struct gh_credential *signer = NULL;
    uint8_t block[KEY_BYTES_MAX];
    for (size_t i = 0; i < device->credentials_count; i++) {
        struct gh_buffer key = gh_buffer_fixed(block, sizeof block);
        if (device->credentials[i].format != GH_CREDENTIAL_SYMMETRIC)
            continue;
        ++*count;
        if (gh_directory_symmetric_key(directory, device, &device->credentials[i], &key,
                                       unreadable) == GH_OK &&
            gh_sas_signed_by(sas, gh_buffer_slice(&key)))
            signer = &device->credentials[i];
        gh_secret_wipe(block, sizeof block);
    }
    return signer;
}

static struct gh_slice expected_resource(const struct gh_identity_claim *claim, char *out,
                                         size_t size)
{
    if (claim->resource.size > 0)
        return claim->resource;
    snprintf(out, size, "%.*s/%.*s/%.*s", GH_PRINT(claim->tenant), GH_PRINT(claim->registry),
             GH_PRINT(claim->device));
    return gh_slice_text(out);
}

static enum gh_identity_reason check_words(const struct gh_identity_claim *claim,
                                           const struct gh_sas *sas, int64_t now_ms,
                                           struct gh_identity_verdict *out)
{
    char resource[1024], text[GH_TIME_TEXT_MAX];
    if (sas->policy.size > 0)
        return say(out, GH_IDENTITY_SUBJECT, "the token names the policy \"%.*s\"",
                   GH_PRINT(gh_detail_quoted(sas->policy)));
    if (!gh_slice_equal(sas->resource, expected_resource(claim, resource, sizeof resource)))
        return say(out, GH_IDENTITY_SUBJECT, "the token is for \"%.*s\"",
                   GH_PRINT(gh_detail_quoted(sas->resource)));
    if (sas->expires_at_s + GH_SAS_SKEW_S <= now_ms / 1000)
        return say(out, GH_IDENTITY_TOKEN_EXPIRED, "the token expired at %s",
                   gh_time_print(sas->expires_at_s * 1000, text));
    return GH_IDENTITY_ACCEPTED;
}

enum gh_identity_reason gh_identity_by_shared_key(struct gh_directory *directory,
                                                  const struct gh_identity_claim *claim,
                                                  const struct gh_sas *sas, int64_t now_ms,
                                                  struct gh_identity_verdict *out)
{
    struct gh_error unreadable = {0};
    size_t count = 0;
    const struct gh_credential *signer =
        find_signer(directory, out->device, sas, &count, &unreadable);
    if (count == 0) {
        gh_identity_shared_key_of_nobody(sas);
        return say(out, GH_IDENTITY_NO_CREDENTIAL, "the device has no symmetric key");
    }
    if (signer == NULL && unreadable.code != GH_OK)
        return say(out, GH_IDENTITY_UNAVAILABLE, "a key cannot be opened: %.200s", unreadable.text);
    if (signer == NULL)
        return say(out, GH_IDENTITY_SIGNATURE, "signed by none of its symmetric keys (%zu)", count);
    enum gh_identity_reason reason = gh_identity_check_credential(signer, now_ms, out);
    if (reason == GH_IDENTITY_ACCEPTED)
        reason = check_words(claim, sas, now_ms, out);
    if (reason != GH_IDENTITY_ACCEPTED)
        return reason;
    out->principal.credential_id = signer->id;
    out->token_expires_at_s = sas->expires_at_s;
    out->valid_until_s = sas->expires_at_s + GH_SAS_SKEW_S;
    if (signer->expires_at_ms != 0 && signer->expires_at_ms / 1000 < out->valid_until_s)
        out->valid_until_s = signer->expires_at_ms / 1000;
    if (out->valid_until_s > GH_IDENTITY_FOR_EVER_S)
        out->valid_until_s = GH_IDENTITY_FOR_EVER_S;
    return say(out, GH_IDENTITY_ACCEPTED, "accepted");
}
