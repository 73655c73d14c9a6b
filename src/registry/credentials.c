/* What a device may prove itself with: keys and certificates, checked by crypto/ before they are
 * registered. */
#include "base/secret.h"
#include "base/time.h"
#include "crypto/certificate.h"
#include "registry/directory_internal.h"
#include "registry/password.h"
#include "registry/sealing.h"
#include "wire/base64.h"
#include <stdio.h>

enum {
    ID_DIGITS = 16, /* of the fingerprint: unique enough inside one device */
    SYMMETRIC_MAX = 2,
    SYMMETRIC_BYTES_MADE = 32,
    SYMMETRIC_BYTES_MIN = 16, /* Azure IoT Hub takes 16 to 64 */
    SYMMETRIC_BYTES_MAX = 64,
    SYMMETRIC_TEXT_MAX = 4 * (SYMMETRIC_BYTES_MAX + 2) / 3,
    ARENA_AGAIN_MAX = 1 << 20, /* one device */
};

static const struct {
    enum gh_key_kind kind;
    enum gh_key_form form;
} formats[] = {
    [GH_CREDENTIAL_RSA_X509_PEM] = {GH_KEY_RSA, GH_KEY_FORM_CERTIFICATE},
    [GH_CREDENTIAL_ES256_PEM] = {GH_KEY_P256, GH_KEY_FORM_PUBLIC_KEY},
    [GH_CREDENTIAL_RSA_PEM] = {GH_KEY_RSA, GH_KEY_FORM_PUBLIC_KEY},
    [GH_CREDENTIAL_ES256_X509_PEM] = {GH_KEY_P256, GH_KEY_FORM_CERTIFICATE},
};

/* The one of `before` with the same PEM, or NULL. A sealed one is known by its id, as it may have
 * been sealed anew since the caller read it; `credential` then has what stands there now. */
static const struct gh_credential *same_before(const struct gh_device *before,
                                               struct gh_credential *credential)
{
    for (size_t i = 0; before != NULL && i < before->credentials_count; i++) {
        const struct gh_credential *there = &before->credentials[i];
        bool is_sealed = there->format == GH_CREDENTIAL_SYMMETRIC &&
                         credential->format == GH_CREDENTIAL_SYMMETRIC && credential->id.size > 0 &&
                         gh_slice_equal(there->id, credential->id);
        if (!is_sealed && !gh_slice_equal(there->pem, credential->pem))
            continue;
        credential->pem = there->pem;
        return there;
    }
    return NULL;
}

/* The crypto room's word on one credential. Those of before stay valid when the registry's
 * certificates change, so only new ones are held against them. */
static enum gh_error_code pem_check(struct gh_credential *credential,
                                    const struct gh_registry *registry, bool is_new, int64_t now_ms,
                                    struct gh_credential_facts *facts, struct gh_error *error)
{
    if ((size_t)credential->format >= GH_COUNT(formats) ||
        formats[credential->format].kind == GH_KEY_ANY)
        return gh_error_set(error, GH_ERROR_INVALID, "format %d is none", (int)credential->format);
    struct gh_credential_offer offer = {
        .kind = formats[credential->format].kind,
        .form = formats[credential->format].form,
        .pem = credential->pem,
        .registry_certificates = registry->certificates,
        .registry_certificates_count = is_new ? registry->certificates_count : 0,
    };
    /* A certificate that was registered and has expired since is no reason to refuse the other
     * changes. */
    int64_t now_s = is_new ? now_ms / 1000 : INT64_MIN;
    return gh_key_check_credential(&offer, now_s, facts, error);
}

/* Ids come from the key; the same key in two formats gets a digit behind. */
static bool id_make(struct gh_credential *credentials, size_t at, struct gh_arena *arena)
{
    size_t same = 0;
    for (size_t i = 0; i < at; i++)
        same += gh_slice_equal(credentials[i].fingerprint, credentials[at].fingerprint);
    const char *digits = (const char *)credentials[at].fingerprint.data;
    char *id = same == 0 ? gh_arena_print(arena, "%.*s", ID_DIGITS, digits)
                         : gh_arena_print(arena, "%.*s-%zu", ID_DIGITS, digits, same + 1);
    credentials[at].id = gh_slice_text(id);
    return id != NULL;
}

static enum gh_error_code key_check(struct gh_credential *credentials, size_t at,
                                    const struct gh_registry *registry, bool is_new, int64_t now_ms,
                                    struct gh_arena *arena, struct gh_error *error)
{
    struct gh_credential_facts facts;
    enum gh_error_code code = pem_check(&credentials[at], registry, is_new, now_ms, &facts, error);
    if (code != GH_OK)
        return code;
    return gh_arena_copy(arena, gh_slice_text(facts.fingerprint), &credentials[at].fingerprint) &&
                   id_make(credentials, at, arena)
               ? GH_OK
               : gh_error_set(error, GH_ERROR_MEMORY, "no memory for the credentials");
}

/* A secret becomes its stored text; without one the stored text must be of before. The id is
 * random: nothing that is shown may be computed from the secret. */
static enum gh_error_code password_check(const struct gh_directory *directory,
                                         struct gh_credential *credential,
                                         const struct gh_registry *registry,
                                         const struct gh_credential *kept, struct gh_arena *arena,
                                         struct gh_error *error)
{
    char stored[GH_SECRET_STORED_MAX];
    uint64_t random;

    if (directory->passwords == NULL)
        return gh_error_set(error, GH_ERROR_PRECONDITION, "this server keeps no device passwords");
    credential->fingerprint = (struct gh_slice){0};
    if (credential->secret.size == 0 && kept != NULL) {
        credential->id = kept->id;
        credential->mark = kept->mark;
        return GH_OK;
    }
    if (credential->pem.size > 0)
        return gh_error_set(error, GH_ERROR_INVALID, "a password is given as a secret");
    enum gh_error_code code =
        gh_device_password_store(directory->passwords, credential->secret, stored, error);
    if (code != GH_OK)
        return code;
    gh_random(&random, sizeof random);
    char *id = gh_arena_print(arena, "pw-%016llx", (unsigned long long)random);
    credential->id = gh_slice_text(id);
    bool marked =
        gh_mark_secret(directory, registry->tenant, credential, credential->secret, arena);
    credential->secret = (struct gh_slice){0};
    return id != NULL && marked && gh_arena_copy(arena, gh_slice_text(stored), &credential->pem)
               ? GH_OK
               : gh_error_set(error, GH_ERROR_MEMORY, "no memory for the credentials");
}

/* The key of a base64 text, as bytes. */
static bool symmetric_bytes(struct gh_slice text, struct gh_buffer *out)
{
    return text.size <= SYMMETRIC_TEXT_MAX && gh_base64_decode(text, GH_BASE64_ANY, out) &&
           out->size >= SYMMETRIC_BYTES_MIN && out->size <= SYMMETRIC_BYTES_MAX;
}

/* A fresh key as text, in the arena. */
static bool symmetric_make(struct gh_arena *arena, struct gh_slice *out)
{
    uint8_t key[SYMMETRIC_BYTES_MADE], block[SYMMETRIC_TEXT_MAX + 4];
    struct gh_buffer text = gh_buffer_fixed(block, sizeof block);
    gh_random(key, sizeof key);
    bool made = gh_base64_encode(gh_slice(key, sizeof key), GH_BASE64_STANDARD, &text) &&
                gh_arena_copy(arena, gh_buffer_slice(&text), out);
    gh_secret_wipe(key, sizeof key);
    gh_secret_wipe(block, sizeof block);
    return made;
}

/* A given key is looked at, a missing one made; sealing comes when the device has its number. */
static enum gh_error_code symmetric_check(const struct gh_directory *directory,
                                          struct gh_credential *credential,
                                          const struct gh_registry *registry,
                                          const struct gh_credential *kept, struct gh_arena *arena,
                                          struct gh_error *error)
{
    uint8_t block[SYMMETRIC_BYTES_MAX + 4];
    struct gh_buffer key = gh_buffer_fixed(block, sizeof block);
    uint64_t random;

    if (directory->sealing == NULL)
        return gh_error_set(error, GH_ERROR_PRECONDITION, "this server keeps no symmetric keys");
    credential->fingerprint = (struct gh_slice){0};
    if (credential->secret.size == 0 && kept != NULL) {
        credential->id = kept->id;
        credential->mark = kept->mark;
        return GH_OK;
    }
    if (credential->pem.size > 0)
        return gh_error_set(error, GH_ERROR_INVALID, "a symmetric key is given as a secret");
    bool made = credential->secret.size > 0 || symmetric_make(arena, &credential->secret);
    bool is_key = made && symmetric_bytes(credential->secret, &key);
    bool marked = is_key && gh_mark_secret(directory, registry->tenant, credential,
                                           gh_buffer_slice(&key), arena);
    gh_secret_wipe(block, sizeof block);
    if (made && !is_key)
        return gh_error_set(error, GH_ERROR_INVALID, "a symmetric key is %d to %d bytes in base64",
                            SYMMETRIC_BYTES_MIN, SYMMETRIC_BYTES_MAX);
    gh_random(&random, sizeof random);
    char *id = gh_arena_print(arena, "sk-%016llx", (unsigned long long)random);
    credential->id = gh_slice_text(id);
    return id != NULL && marked
               ? GH_OK
               : gh_error_set(error, GH_ERROR_MEMORY, "no memory for the credentials");
}

enum gh_error_code gh_credentials_seal(const struct gh_directory *directory,
                                       struct gh_device *device, struct gh_arena *arena,
                                       struct gh_error *error)
{
    char row[GH_SEALING_ROW_MAX];
    enum gh_error_code code = GH_OK;
    for (size_t i = 0; code == GH_OK && i < device->credentials_count; i++) {
        struct gh_credential *credential = &device->credentials[i];
        if (credential->format != GH_CREDENTIAL_SYMMETRIC || credential->secret.size == 0)
            continue;
        struct gh_seal_place place =
            gh_sealing_credential(device->tenant, device->number, credential->id, row);
        code = gh_sealing_seal(directory->sealing, &place, credential->secret, arena,
                               &credential->pem, error);
    }
    return code;
}

/* What does not open may have been sealed anew since it was read: then what stands there now. */
static enum gh_error_code unseal_again(struct gh_directory *directory,
                                       const struct gh_seal_place *place,
                                       const struct gh_device *device,
                                       const struct gh_credential *credential,
                                       struct gh_buffer *out, struct gh_error *error)
{
    struct gh_device now;
    struct gh_error cause = {0};
    struct gh_arena arena;
    enum gh_error_code code = GH_ERROR_KEYS;
    gh_arena_init(&arena, ARENA_AGAIN_MAX);
    gh_sealing_hold(directory->sealing);
    if (gh_store_device_get(directory->store, device->number, &arena, &now, &cause) != GH_OK)
        now.credentials_count = 0;
    for (size_t i = 0; i < now.credentials_count; i++)
        if (gh_slice_equal(now.credentials[i].id, credential->id) &&
            !gh_slice_equal(now.credentials[i].pem, credential->pem))
            code = gh_sealing_unseal(directory->sealing, place, now.credentials[i].pem, out, error);
    gh_sealing_release(directory->sealing);
    gh_arena_deinit(&arena);
    return code;
}

enum gh_error_code gh_directory_symmetric_key(struct gh_directory *directory,
                                              const struct gh_device *device,
                                              const struct gh_credential *credential,
                                              struct gh_buffer *out, struct gh_error *error)
{
    char row[GH_SEALING_ROW_MAX];
    uint8_t block[SYMMETRIC_TEXT_MAX + 4];
    struct gh_buffer text = gh_buffer_fixed(block, sizeof block);
    struct gh_seal_place place =
        gh_sealing_credential(device->tenant, device->number, credential->id, row);
    if (directory->sealing == NULL || credential->format != GH_CREDENTIAL_SYMMETRIC)
        return gh_error_set(error, GH_ERROR_PRECONDITION, "this is no symmetric key");
    enum gh_error_code code =
        gh_sealing_unseal(directory->sealing, &place, credential->pem, &text, error);
    if (code == GH_ERROR_KEYS)
        code = unseal_again(directory, &place, device, credential, &text, error);
    if (code == GH_OK && !gh_base64_decode(gh_buffer_slice(&text), GH_BASE64_ANY, out))
        code = gh_error_set(error, GH_ERROR_KEYS, "what was sealed is no key");
    gh_secret_wipe(block, sizeof block);
    return code;
}

/* What a credential of this format needs. */
static enum gh_error_code check_one(const struct gh_directory *directory,
                                    struct gh_credential *credentials, size_t at,
                                    const struct gh_registry *registry,
                                    const struct gh_credential *kept, int64_t now_ms,
                                    struct gh_arena *arena, struct gh_error *error)
{
    if (credentials[at].expires_at_ms < 0 || credentials[at].valid_from_ms < 0)
        return gh_error_set(error, GH_ERROR_INVALID, "its validity begins or ends before 1970");
    if (credentials[at].format == GH_CREDENTIAL_PASSWORD)
        return password_check(directory, &credentials[at], registry, kept, arena, error);
    if (credentials[at].format != GH_CREDENTIAL_SYMMETRIC)
        return key_check(credentials, at, registry, kept == NULL, now_ms, arena, error);
    size_t count = 0;
    for (size_t i = 0; i <= at; i++)
        count += credentials[i].format == GH_CREDENTIAL_SYMMETRIC;
    if (count > SYMMETRIC_MAX)
        return gh_error_set(error, GH_ERROR_INVALID, "a device has at most %d symmetric keys",
                            SYMMETRIC_MAX);
    return symmetric_check(directory, &credentials[at], registry, kept, arena, error);
}

enum gh_error_code gh_credentials_check(const struct gh_directory *directory,
                                        struct gh_credential *credentials, size_t count,
                                        const struct gh_registry *registry,
                                        const struct gh_device *before, int64_t now_ms,
                                        struct gh_arena *arena, struct gh_error *error)
{
    if (count > GH_DEVICE_CREDENTIALS_MAX)
        return gh_error_set(error, GH_ERROR_INVALID, "credentials: more than %d",
                            GH_DEVICE_CREDENTIALS_MAX);
    for (size_t i = 0; i < count; i++) {
        struct gh_error why = {0};
        const struct gh_credential *kept =
            credentials[i].pem.size > 0 ? same_before(before, &credentials[i]) : NULL;
        enum gh_error_code code =
            check_one(directory, credentials, i, registry, kept, now_ms, arena, &why);
        if (code != GH_OK)
            return gh_error_set(error, code, "credentials: number %zu: %.400s", i + 1, why.text);
        credentials[i].created_at_ms = kept != NULL ? kept->created_at_ms : now_ms;
        if (kept != NULL && !credentials[i].says_state && credentials[i].valid_from_ms == 0)
            credentials[i].valid_from_ms = kept->valid_from_ms;
        if (kept != NULL && !credentials[i].says_state)
            credentials[i].disabled = kept->disabled;
    }
    return GH_OK;
}

enum gh_credential_state gh_credential_state(const struct gh_credential *credential, int64_t now_ms)
{
    if (credential->disabled)
        return GH_CREDENTIAL_DISABLED;
    if (credential->valid_from_ms > now_ms)
        return GH_CREDENTIAL_NOT_YET_VALID;
    if (credential->expires_at_ms != 0 && credential->expires_at_ms <= now_ms)
        return GH_CREDENTIAL_EXPIRED;
    return GH_CREDENTIAL_ENABLED;
}

enum gh_error_code gh_certificates_check(const struct gh_slice *certificates, size_t count,
                                         int64_t now_ms, struct gh_error *error)
{
    if (count > GH_REGISTRY_CERTIFICATES_MAX)
        return gh_error_set(error, GH_ERROR_INVALID, "certificates: more than %d",
                            GH_REGISTRY_CERTIFICATES_MAX);
    for (size_t i = 0; i < count; i++) {
        struct gh_error why = {0};
        enum gh_error_code code =
            gh_key_check_registry_certificate(certificates[i], now_ms / 1000, &why);
        if (code != GH_OK)
            return gh_error_set(error, code, "certificates: number %zu: %.400s", i + 1, why.text);
    }
    return GH_OK;
}
