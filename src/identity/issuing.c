#include "identity/issuing.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/time.h"
#include "crypto/certificate.h"
#include "identity/device.h"
#include "registry/sealing.h"
#include "wire/base64.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DAY_S = 86400,
    CLOCK_SKEW_S = 3600,
    TOKEN_BYTES = 32,
    REVOKED_MAX = 601,
    LISTS_KEPT = 64,
    LIST_KEPT_S = 300,
    LIST_BYTES_MAX = 64 * 1024,
    ANSWERS_KEPT = 256,
    ANSWER_KEPT_S = GH_ISSUING_OCSP_S / 4,
    ANSWER_BYTES_MAX = 2048,
};

/* A list as it was published last. Anybody may ask for it, so it is not signed anew for each. */
struct kept_list {
    int64_t anchor, made_s;
    size_t count;
    struct gh_buffer der;
};

/* An answer as it was signed last, by the digest of CA, request and status: that of a request
 * without a nonce comes again and again. */
struct kept_answer {
    uint8_t key[GH_SHA256_BYTES];
    int64_t made_s; /* 0: there is none */
    struct gh_buffer der;
};

struct gh_issuing {
    struct gh_directory *directory;
    struct gh_store *store;
    struct gh_issuing_signer signer;
    struct gh_authorities *authorities;
    pthread_mutex_t making;  /* one CA is made at a time */
    pthread_mutex_t listing; /* guards what follows */
    struct kept_list lists[LISTS_KEPT];
    struct kept_answer answers[ANSWERS_KEPT];
    char *place; /* NULL: none */
};

struct gh_issuing *gh_issuing_open(struct gh_directory *directory, struct gh_store *store,
                                   const struct gh_issuing_signer *signer,
                                   struct gh_authorities *authorities)
{
    struct gh_issuing *issuing = calloc(1, sizeof *issuing);
    if (issuing == NULL)
        return NULL;
    issuing->directory = directory;
    issuing->store = store;
    issuing->signer = *signer;
    issuing->authorities = authorities;
    pthread_mutex_init(&issuing->making, NULL);
    pthread_mutex_init(&issuing->listing, NULL);
    for (size_t i = 0; i < LISTS_KEPT; i++)
        gh_buffer_init(&issuing->lists[i].der, LIST_BYTES_MAX);
    for (size_t i = 0; i < ANSWERS_KEPT; i++)
        gh_buffer_init(&issuing->answers[i].der, ANSWER_BYTES_MAX);
    return issuing;
}

void gh_issuing_close(struct gh_issuing *issuing)
{
    if (issuing == NULL)
        return;
    for (size_t i = 0; i < LISTS_KEPT; i++)
        gh_buffer_deinit(&issuing->lists[i].der);
    for (size_t i = 0; i < ANSWERS_KEPT; i++)
        gh_buffer_deinit(&issuing->answers[i].der);
    free(issuing->place);
    pthread_mutex_destroy(&issuing->listing);
    pthread_mutex_destroy(&issuing->making);
    free(issuing);
}

bool gh_issuing_set_place(struct gh_issuing *issuing, struct gh_slice place)
{
    free(issuing->place);
    issuing->place = strndup((const char *)place.data, place.size);
    return issuing->place != NULL;
}

/* --- the CA --- */

static enum gh_error_code find_ca(struct gh_issuing *issuing, int64_t tenant,
                                  struct gh_arena *arena, struct gh_anchor *out, bool *found,
                                  struct gh_error *error)
{
    struct gh_anchor *anchors;
    size_t count;
    enum gh_error_code code =
        gh_store_anchor_list(issuing->store, tenant, 0, arena, &anchors, &count, error);
    *found = false;
    for (size_t i = 0; code == GH_OK && i < count; i++)
        if (anchors[i].key.size > 0) { /* the newest one issues */
            *out = anchors[i];
            *found = true;
        }
    return code;
}

/* The key as the keys process knows it. */
static enum gh_error_code open_key(struct gh_issuing *issuing, struct gh_anchor *ca,
                                   struct gh_arena *arena, struct gh_error *error)
{
    struct gh_seal_place place = gh_sealing_issuer(ca->tenant, ca->fingerprint);
    struct gh_buffer key;
    if (!gh_sealing_is_sealed(ca->key)) /* of a version that did not seal it for the tenant */
        return GH_OK;
    if (gh_directory_sealing(issuing->directory) == NULL)
        return gh_error_set(error, GH_ERROR_KEYS, "this server opens no sealed keys");
    gh_buffer_init(&key, GH_ISSUING_PEM_MAX);
    enum gh_error_code code =
        gh_sealing_unseal(gh_directory_sealing(issuing->directory), &place, ca->key, &key, error);
    if (code == GH_OK && !gh_arena_copy(arena, gh_buffer_slice(&key), &ca->key))
        code = gh_error_set(error, GH_ERROR_MEMORY, "no memory for the CA");
    gh_buffer_deinit(&key);
    return code;
}

/* For the tenant's data key. */
static enum gh_error_code seal_key(struct gh_issuing *issuing, int64_t tenant,
                                   struct gh_slice fingerprint, struct gh_slice key,
                                   struct gh_arena *arena, struct gh_slice *out,
                                   struct gh_error *error)
{
    struct gh_sealing *sealing = gh_directory_sealing(issuing->directory);
    struct gh_seal_place place = gh_sealing_issuer(tenant, fingerprint);
    *out = key;
    return sealing != NULL ? gh_sealing_seal(sealing, &place, key, arena, out, error) : GH_OK;
}

static enum gh_error_code keep_ca(struct gh_issuing *issuing, const struct gh_tenant *tenant,
                                  struct gh_slice pem, struct gh_slice sealed_key,
                                  struct gh_arena *arena, struct gh_error *error)
{
    char fingerprint[GH_SHA256_HEX_MAX];
    struct gh_certificate *certificate = gh_certificate_open(pem, error);
    bool known = certificate != NULL && gh_certificate_fingerprint(certificate, fingerprint);
    gh_certificate_close(certificate);
    if (!known)
        return gh_error_set(error, GH_ERROR_INTERNAL, "the new CA cannot be read");
    enum gh_error_code code = seal_key(issuing, tenant->number, gh_slice_text(fingerprint),
                                       sealed_key, arena, &sealed_key, error);
    int64_t now_ms = gh_time_utc_ms();
    struct gh_anchor row = {.tenant = tenant->number,
                            .fingerprint = gh_slice_text(fingerprint),
                            .pem = pem,
                            .key = sealed_key,
                            .state = GH_ANCHOR_ACTIVE,
                            .created_at_ms = now_ms,
                            .verified_at_ms = now_ms};
    return code == GH_OK ? gh_store_anchor_create(issuing->store, &row, error) : code;
}

static enum gh_error_code make_ca(struct gh_issuing *issuing, const struct gh_tenant *tenant,
                                  struct gh_arena *arena, struct gh_error *error)
{
    struct gh_buffer pem, key;
    char *name =
        gh_arena_print(arena, "Devices of %.*s", GH_PRINT(gh_slice_sub(tenant->name, 0, 50)));
    if (name == NULL)
        return gh_error_set(error, GH_ERROR_MEMORY, "no memory for the CA");
    gh_buffer_init(&pem, GH_ISSUING_PEM_MAX);
    gh_buffer_init(&key, GH_ISSUING_PEM_MAX);
    enum gh_error_code code =
        issuing->signer.create(issuing->signer.context, gh_slice_text(name), &pem, &key, error);
    if (code == GH_OK)
        code = keep_ca(issuing, tenant, gh_buffer_slice(&pem), gh_buffer_slice(&key), arena, error);
    gh_buffer_deinit(&pem);
    gh_buffer_deinit(&key);
    return code;
}

static bool is_due(struct gh_issuing *issuing, const struct gh_anchor *ca)
{
    struct gh_certificate *certificate = gh_certificate_open(ca->pem, NULL);
    if (certificate == NULL)
        return false;
    int64_t end_s = gh_certificate_not_after_s(certificate), now_s = gh_time_utc_ms() / 1000;
    int64_t life_s = end_s - gh_certificate_not_before_s(certificate);
    bool due =
        end_s - now_s < life_s / 3 || !gh_authorities_issued(issuing->authorities, certificate);
    gh_certificate_close(certificate);
    return due;
}

/* Its key is the one that was opened. What cannot be renewed now is good as it is, for a while. */
static void renew_ca(struct gh_issuing *issuing, struct gh_anchor *ca, struct gh_arena *arena)
{
    struct gh_buffer pem, key;
    struct gh_error error = {0};
    struct gh_anchor renewed = *ca, row;
    char line[GH_ERROR_LINE_MAX];
    gh_buffer_init(&pem, GH_ISSUING_PEM_MAX);
    gh_buffer_init(&key, GH_ISSUING_PEM_MAX);
    enum gh_error_code code =
        issuing->signer.renew(issuing->signer.context, ca, &pem, &key, &error);
    if (code == GH_OK && (!gh_arena_copy(arena, gh_buffer_slice(&pem), &renewed.pem) ||
                          !gh_arena_copy(arena, gh_buffer_slice(&key), &renewed.key)))
        code = gh_error_set(&error, GH_ERROR_MEMORY, "no memory for the CA");
    row = renewed;
    if (code == GH_OK)
        code = seal_key(issuing, ca->tenant, ca->fingerprint, renewed.key, arena, &row.key, &error);
    if (code == GH_OK)
        code = gh_store_anchor_renew(issuing->store, &row, &error);
    if (code == GH_OK)
        *ca = renewed;
    else
        gh_log(GH_LOG_WARN, "identity", "a tenant's CA was not renewed: %s",
               gh_error_line(&error, line));
    gh_buffer_deinit(&pem);
    gh_buffer_deinit(&key);
}

enum gh_error_code gh_issuing_ca(struct gh_issuing *issuing, const struct gh_tenant *tenant,
                                 bool make, struct gh_arena *arena, struct gh_anchor *out,
                                 struct gh_error *error)
{
    bool found;
    struct gh_sealing *sealing = gh_directory_sealing(issuing->directory);
    pthread_mutex_lock(&issuing->making);
    gh_sealing_hold(sealing);
    enum gh_error_code code = find_ca(issuing, tenant->number, arena, out, &found, error);
    if (code == GH_OK && !found && make) {
        code = make_ca(issuing, tenant, arena, error);
        if (code == GH_OK)
            code = find_ca(issuing, tenant->number, arena, out, &found, error);
    }
    if (code == GH_OK && found)
        code = open_key(issuing, out, arena, error);
    if (code == GH_OK && found && is_due(issuing, out))
        renew_ca(issuing, out, arena);
    gh_sealing_release(sealing);
    pthread_mutex_unlock(&issuing->making);
    return code == GH_OK && !found
               ? gh_error_set(error, GH_ERROR_NOT_FOUND, "the tenant has no issuing CA yet")
               : code;
}

/* --- leaves --- */

/* What was issued, out of the certificate itself. */
static enum gh_error_code read_issued(struct gh_slice pem, struct gh_arena *arena,
                                      struct gh_issued *row, struct gh_error *error)
{
    uint8_t block[GH_SERIAL_HEX_MAX];
    struct gh_buffer serial = gh_buffer_fixed(block, sizeof block);
    struct gh_certificate *certificate = gh_certificate_open(pem, error);
    bool done = certificate != NULL && gh_certificate_print_serial(certificate, &serial) &&
                gh_arena_copy(arena, gh_buffer_slice(&serial), &row->serial) &&
                gh_arena_copy(arena, pem, &row->pem);
    if (done) {
        row->not_before_ms = gh_certificate_not_before_s(certificate) * 1000;
        row->not_after_ms = gh_certificate_not_after_s(certificate) * 1000;
    }
    gh_certificate_close(certificate);
    return done ? GH_OK : gh_error_set(error, GH_ERROR_MEMORY, "no memory for the certificate");
}

static enum gh_error_code issue(struct gh_issuing *issuing, const struct gh_anchor *ca,
                                const struct gh_issuing_leaf *leaf, struct gh_arena *arena,
                                struct gh_issued *out, struct gh_error *error)
{
    struct gh_buffer pem;
    gh_buffer_init(&pem, GH_ISSUING_PEM_MAX);
    enum gh_error_code code = issuing->signer.issue(issuing->signer.context, leaf, &pem, error);
    if (code == GH_OK)
        code = read_issued(gh_buffer_slice(&pem), arena, out, error);
    gh_buffer_deinit(&pem);
    out->anchor = ca->number;
    return code == GH_OK ? gh_store_issued_put(issuing->store, out, error) : code;
}

enum gh_error_code gh_issuing_issue(struct gh_issuing *issuing, const struct gh_tenant *tenant,
                                    const struct gh_device *device, struct gh_slice public_key_pem,
                                    int64_t days, struct gh_arena *arena, struct gh_issued *out,
                                    struct gh_error *error)
{
    struct gh_anchor ca;
    int64_t now_ms = gh_time_utc_ms(), now_s = now_ms / 1000;
    if (days < 0 || days > GH_ISSUING_DAYS_MAX)
        return gh_error_set(error, GH_ERROR_RANGE, "days: 1 to %d", GH_ISSUING_DAYS_MAX);
    if (device->blocked || device->tenant_disabled)
        return gh_error_set(error, GH_ERROR_PRECONDITION, "the %s",
                            device->blocked ? "device is blocked" : "tenant is disabled");
    enum gh_error_code code = gh_issuing_ca(issuing, tenant, true, arena, &ca, error);
    if (code == GH_OK && ca.state != GH_ANCHOR_ACTIVE)
        code = gh_error_set(error, GH_ERROR_PRECONDITION, "the issuing CA is disabled");
    if (code != GH_OK)
        return code;
    char *uri = gh_arena_print(arena, GH_IDENTITY_URI, GH_PRINT(device->tenant_name),
                               GH_PRINT(device->registry_name), GH_PRINT(device->id));
    char *pki = issuing->place == NULL
                    ? ""
                    : gh_arena_print(arena, "%s/pki/%.*s", issuing->place, GH_PRINT(tenant->name));
    if (uri == NULL || pki == NULL)
        return gh_error_set(error, GH_ERROR_MEMORY, "no memory for the certificate");
    struct gh_issuing_leaf leaf = {.certificate_pem = ca.pem,
                                   .sealed_key = ca.key,
                                   .common_name = device->id,
                                   .uri = gh_slice_text(uri),
                                   .public_key_pem = public_key_pem,
                                   .pki = gh_slice_text(pki),
                                   .from_s = now_s - CLOCK_SKEW_S,
                                   .to_s = now_s + (days == 0 ? GH_ISSUING_DAYS : days) * DAY_S};
    *out = (struct gh_issued){.device = device->number,
                              .registry_name = device->registry_name,
                              .device_id = device->id,
                              .issued_at_ms = now_ms};
    return issue(issuing, &ca, &leaf, arena, out, error);
}

enum gh_error_code gh_issuing_list(struct gh_issuing *issuing, uint64_t device, size_t limit,
                                   struct gh_arena *arena, struct gh_issued **out, size_t *count,
                                   struct gh_error *error)
{
    return gh_store_issued_list(issuing->store, 0, device, limit, arena, out, count, error);
}

/* Signs the list anew. */
static enum gh_error_code sign_list(struct gh_issuing *issuing, struct gh_anchor *ca,
                                    const struct gh_revocation *rows, size_t count, int64_t now_s,
                                    struct gh_buffer *der, struct gh_error *error)
{
    gh_buffer_clear(der);
    enum gh_error_code code =
        gh_store_anchor_next_crl(issuing->store, ca->number, &ca->crl_number, error);
    return code == GH_OK
               ? issuing->signer.crl(issuing->signer.context, ca, now_s,
                                     now_s + GH_ISSUING_CRL_HOURS * 3600, rows, count, der, error)
               : code;
}

/* The one kept for this CA, when it is young and nothing was revoked since; else a new one. */
static enum gh_error_code current_list(struct gh_issuing *issuing, struct gh_anchor *ca,
                                       const struct gh_revocation *rows, size_t count,
                                       struct gh_arena *arena, struct gh_slice *out,
                                       struct gh_error *error)
{
    int64_t now_s = gh_time_utc_ms() / 1000;
    enum gh_error_code code = GH_OK;
    pthread_mutex_lock(&issuing->listing);
    struct kept_list *kept = &issuing->lists[(size_t)ca->number % LISTS_KEPT];
    bool fresh = kept->anchor == ca->number && kept->count == count && now_s >= kept->made_s &&
                 now_s - kept->made_s < LIST_KEPT_S;
    if (!fresh) {
        kept->anchor = 0;
        code = sign_list(issuing, ca, rows, count, now_s, &kept->der, error);
    }
    if (code == GH_OK) {
        if (!fresh) {
            kept->anchor = ca->number;
            kept->made_s = now_s;
            kept->count = count;
        }
        if (!gh_arena_copy(arena, gh_buffer_slice(&kept->der), out))
            code = gh_error_set(error, GH_ERROR_MEMORY, "no memory for the list");
    }
    pthread_mutex_unlock(&issuing->listing);
    return code;
}

enum gh_error_code gh_issuing_crl(struct gh_issuing *issuing, const struct gh_tenant *tenant,
                                  struct gh_arena *arena, struct gh_slice *out,
                                  struct gh_error *error)
{
    struct gh_anchor ca;
    struct gh_revocation *rows;
    size_t count;
    enum gh_error_code code = gh_issuing_ca(issuing, tenant, false, arena, &ca, error);
    if (code == GH_OK)
        code = gh_store_revocation_list(issuing->store, ca.number, REVOKED_MAX, arena, &rows,
                                        &count, error);
    return code == GH_OK ? current_list(issuing, &ca, rows, count, arena, out, error) : code;
}

/* What is known of a certificate of the CA: nothing of one that it did not issue. */
static enum gh_error_code status_of(struct gh_issuing *issuing, const struct gh_anchor *ca,
                                    struct gh_slice serial, struct gh_arena *arena,
                                    struct gh_ocsp_answer *out, struct gh_error *error)
{
    struct gh_revocation revoked;
    struct gh_issued issued;
    bool found = false;
    int64_t now_s = gh_time_utc_ms() / 1000;
    *out = (struct gh_ocsp_answer){.status = GH_OCSP_GOOD,
                                   .validity = {now_s, now_s + GH_ISSUING_OCSP_S}};
    enum gh_error_code code =
        gh_store_revocation_find(issuing->store, ca->number, serial, &found, &revoked, error);
    if (code != GH_OK)
        return code;
    if (found) {
        out->status = GH_OCSP_REVOKED;
        out->reason = revoked.reason;
        out->revoked_at_s = revoked.at_ms / 1000;
        return GH_OK;
    }
    code = gh_store_issued_get(issuing->store, ca->number, serial, arena, &issued, error);
    if (code == GH_ERROR_NOT_FOUND)
        out->status = GH_OCSP_UNKNOWN;
    return code == GH_ERROR_NOT_FOUND ? GH_OK : code;
}

/* What decides the answer, but for its time. */
static void answer_key(const struct gh_anchor *ca, struct gh_slice request,
                       const struct gh_ocsp_answer *answer, uint8_t out[GH_SHA256_BYTES])
{
    const int64_t facts[] = {ca->number, answer->status, answer->reason, answer->revoked_at_s};
    uint8_t block[GH_SHA256_BYTES + sizeof facts];
    gh_sha256(request, block);
    memcpy(block + GH_SHA256_BYTES, facts, sizeof facts);
    gh_sha256(gh_slice(block, sizeof block), out);
}

static struct kept_answer *answer_slot(struct gh_issuing *issuing,
                                       const uint8_t key[GH_SHA256_BYTES])
{
    return &issuing->answers[key[0] % ANSWERS_KEPT];
}

/* Appends the kept answer when it is young; `*max_age_s` is what is left of its life. */
static bool find_answer(struct gh_issuing *issuing, const uint8_t key[GH_SHA256_BYTES],
                        int64_t now_s, struct gh_buffer *out, int64_t *max_age_s)
{
    pthread_mutex_lock(&issuing->listing);
    struct kept_answer *kept = answer_slot(issuing, key);
    bool found = kept->made_s != 0 && memcmp(kept->key, key, GH_SHA256_BYTES) == 0 &&
                 now_s >= kept->made_s && now_s - kept->made_s < ANSWER_KEPT_S &&
                 gh_buffer_put(out, gh_buffer_slice(&kept->der));
    *max_age_s = found ? kept->made_s + GH_ISSUING_OCSP_S - now_s : GH_ISSUING_OCSP_S;
    pthread_mutex_unlock(&issuing->listing);
    return found;
}

static void keep_answer(struct gh_issuing *issuing, const uint8_t key[GH_SHA256_BYTES],
                        int64_t now_s, struct gh_slice der)
{
    pthread_mutex_lock(&issuing->listing);
    struct kept_answer *kept = answer_slot(issuing, key);
    gh_buffer_clear(&kept->der);
    kept->made_s = gh_buffer_put(&kept->der, der) ? now_s : 0;
    memcpy(kept->key, key, GH_SHA256_BYTES);
    pthread_mutex_unlock(&issuing->listing);
}

static enum gh_error_code answer_ocsp(struct gh_issuing *issuing, const struct gh_anchor *ca,
                                      struct gh_slice request, struct gh_arena *arena,
                                      struct gh_buffer *out, int64_t *max_age_s,
                                      struct gh_error *error)
{
    uint8_t key[GH_SHA256_BYTES];
    char serial[GH_OCSP_SERIAL_MAX];
    struct gh_ocsp_answer answer;
    if (gh_ocsp_read(request, ca->pem, serial, error) != GH_OK)
        return gh_ocsp_refuse(true, out) ? GH_OK : GH_ERROR_MEMORY;
    enum gh_error_code code = status_of(issuing, ca, gh_slice_text(serial), arena, &answer, error);
    int64_t now_s = answer.validity.from_s;
    answer_key(ca, request, &answer, key);
    if (code == GH_OK && find_answer(issuing, key, now_s, out, max_age_s))
        return GH_OK;
    if (code == GH_OK)
        code = issuing->signer.ocsp(issuing->signer.context, ca, request, &answer, out, error);
    if (code == GH_OK) {
        keep_answer(issuing, key, now_s, gh_buffer_slice(out));
        return code;
    }
    *max_age_s = 0;
    gh_buffer_clear(out);
    return gh_ocsp_refuse(false, out) ? GH_OK : code;
}

enum gh_error_code gh_issuing_ocsp(struct gh_issuing *issuing, const struct gh_tenant *tenant,
                                   struct gh_slice request, struct gh_arena *arena,
                                   struct gh_slice *out, int64_t *max_age_s, struct gh_error *error)
{
    struct gh_anchor ca;
    struct gh_buffer der;
    *max_age_s = 0;
    enum gh_error_code code = gh_issuing_ca(issuing, tenant, false, arena, &ca, error);
    if (code != GH_OK)
        return code;
    gh_buffer_init(&der, GH_ISSUING_PEM_MAX);
    code = answer_ocsp(issuing, &ca, request, arena, &der, max_age_s, error);
    if (code == GH_OK && !gh_arena_copy(arena, gh_buffer_slice(&der), out))
        code = gh_error_set(error, GH_ERROR_MEMORY, "no memory for the answer");
    gh_buffer_deinit(&der);
    return code;
}

bool gh_identity_certificate_name(struct gh_slice der, struct gh_arena *arena, struct gh_slice *out)
{
    struct gh_slice scheme = GH_SLICE("gatehouse:device:");
    struct gh_certificate *certificate = gh_certificate_open_der(der, NULL);
    struct gh_buffer name;
    gh_buffer_init(&name, GH_ISSUING_PEM_MAX);
    bool found =
        certificate != NULL && gh_certificate_print_uri(certificate, scheme, &name) &&
        gh_arena_copy(arena, gh_slice_sub(gh_buffer_slice(&name), scheme.size, name.size), out);
    gh_buffer_deinit(&name);
    gh_certificate_close(certificate);
    return found;
}

/* --- enrolment --- */

enum gh_error_code gh_issuing_enrolment(struct gh_issuing *issuing, uint64_t device, int64_t ttl_s,
                                        struct gh_arena *arena, struct gh_slice *token,
                                        int64_t *expires_at_ms, struct gh_error *error)
{
    uint8_t random[TOKEN_BYTES], hash[GH_SHA256_BYTES], block[2 * TOKEN_BYTES];
    struct gh_buffer text = gh_buffer_fixed(block, sizeof block);
    int64_t now_ms = gh_time_utc_ms();
    if (ttl_s < 1 || ttl_s > GH_ENROLMENT_TTL_S_MAX)
        return gh_error_set(error, GH_ERROR_RANGE, "ttl_s: 1 to %d", GH_ENROLMENT_TTL_S_MAX);
    gh_random(random, sizeof random);
    bool made = gh_base64_encode(gh_slice(random, sizeof random), GH_BASE64_URL_NOPAD, &text) &&
                gh_arena_copy(arena, gh_buffer_slice(&text), token);
    gh_sha256(gh_buffer_slice(&text), hash);
    gh_secret_wipe(random, sizeof random);
    gh_secret_wipe(block, sizeof block);
    if (!made)
        return gh_error_set(error, GH_ERROR_MEMORY, "no memory for the token");
    *expires_at_ms = now_ms + ttl_s * 1000;
    struct gh_enrolment row = {.hash = gh_slice(hash, sizeof hash),
                               .device = device,
                               .created_at_ms = now_ms,
                               .expires_at_ms = *expires_at_ms};
    return gh_store_enrolment_put(issuing->store, &row, error);
}

static enum gh_identity_reason say(char detail[GH_IDENTITY_DETAIL_MAX],
                                   enum gh_identity_reason reason, const char *text,
                                   int64_t time_ms)
{
    char time[GH_TIME_TEXT_MAX];
    snprintf(detail, GH_IDENTITY_DETAIL_MAX, "the enrolment token %s%s", text,
             time_ms != 0 ? gh_time_print(time_ms, time) : "");
    return reason;
}

enum gh_identity_reason gh_issuing_redeem(struct gh_issuing *issuing, uint64_t device,
                                          struct gh_slice token,
                                          char detail[GH_IDENTITY_DETAIL_MAX])
{
    uint8_t hash[GH_SHA256_BYTES];
    struct gh_enrolment row;
    struct gh_error error = {0};
    int64_t now_ms = gh_time_utc_ms();
    gh_sha256(token, hash);
    enum gh_error_code code = gh_store_enrolment_take(
        issuing->store, device, gh_slice(hash, sizeof hash), now_ms, &row, &error);
    if (code == GH_ERROR_NOT_FOUND)
        return say(detail, GH_IDENTITY_SECRET, "is none that was made here", 0);
    if (code != GH_OK)
        return say(detail, GH_IDENTITY_UNAVAILABLE, "could not be looked up", 0);
    if (row.device != device)
        return say(detail, GH_IDENTITY_SUBJECT, "is another device's", 0);
    if (row.used_at_ms != 0)
        return say(detail, GH_IDENTITY_TOKEN_REPLAYED, "was used at ", row.used_at_ms);
    if (row.disabled)
        return say(detail, GH_IDENTITY_CREDENTIAL_DISABLED, "is disabled", 0);
    if (row.expires_at_ms <= now_ms)
        return say(detail, GH_IDENTITY_TOKEN_EXPIRED, "expired at ", row.expires_at_ms);
    return say(detail, GH_IDENTITY_ACCEPTED, "is good", 0);
}

enum gh_error_code gh_issuing_enrolment_list(struct gh_issuing *issuing, uint64_t device,
                                             struct gh_arena *arena, struct gh_enrolment **out,
                                             size_t *count, struct gh_error *error)
{
    return gh_store_enrolment_list(issuing->store, device, arena, out, count, error);
}

enum gh_error_code gh_issuing_enrolment_disable(struct gh_issuing *issuing, uint64_t device,
                                                struct gh_slice id, bool disabled,
                                                struct gh_error *error)
{
    return gh_store_enrolment_disable(issuing->store, device, id, disabled, error);
}
