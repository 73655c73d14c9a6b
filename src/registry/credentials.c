/* What a device may prove itself with: keys and certificates, checked by crypto/ before they are
 * registered. */
#include "base/secret.h"
#include "base/time.h"
#include "crypto/certificate.h"
#include "registry/directory_internal.h"
#include "registry/password.h"

enum { ID_DIGITS = 16 }; /* of the fingerprint: unique enough inside one device */

static const struct {
    enum gh_key_kind kind;
    enum gh_key_form form;
} formats[] = {
    [GH_CREDENTIAL_RSA_X509_PEM] = {GH_KEY_RSA, GH_KEY_FORM_CERTIFICATE},
    [GH_CREDENTIAL_ES256_PEM] = {GH_KEY_P256, GH_KEY_FORM_PUBLIC_KEY},
    [GH_CREDENTIAL_RSA_PEM] = {GH_KEY_RSA, GH_KEY_FORM_PUBLIC_KEY},
    [GH_CREDENTIAL_ES256_X509_PEM] = {GH_KEY_P256, GH_KEY_FORM_CERTIFICATE},
};

/* The one of `before` with the same PEM, or NULL. */
static const struct gh_credential *same_before(const struct gh_device *before,
                                               const struct gh_credential *credential)
{
    for (size_t i = 0; before != NULL && i < before->credentials_count; i++)
        if (gh_slice_equal(before->credentials[i].pem, credential->pem))
            return &before->credentials[i];
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
    credential->secret = (struct gh_slice){0};
    return id != NULL && gh_arena_copy(arena, gh_slice_text(stored), &credential->pem)
               ? GH_OK
               : gh_error_set(error, GH_ERROR_MEMORY, "no memory for the credentials");
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
        bool is_password = credentials[i].format == GH_CREDENTIAL_PASSWORD;
        const struct gh_credential *kept =
            credentials[i].pem.size > 0 ? same_before(before, &credentials[i]) : NULL;
        enum gh_error_code code =
            credentials[i].expires_at_ms < 0
                ? gh_error_set(&why, GH_ERROR_INVALID, "the expiry lies before 1970")
            : is_password ? password_check(directory, &credentials[i], kept, arena, &why)
                          : key_check(credentials, i, registry, kept == NULL, now_ms, arena, &why);
        if (code != GH_OK)
            return gh_error_set(error, code, "credentials: number %zu: %.400s", i + 1, why.text);
        credentials[i].created_at_ms = kept != NULL ? kept->created_at_ms : now_ms;
    }
    return GH_OK;
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
