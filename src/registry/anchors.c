#include "registry/anchors.h"
#include "base/secret.h"
#include "base/time.h"
#include "crypto/crl.h"
#include "crypto/lint.h"
#include "registry/directory_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLOCK_SKEW_S = 300, URL_BYTES_MAX = 2048, REASON_MAX = 10 };

/* --- the id that a session carries --- */

static const struct gh_slice prefix = GH_SLICE_INIT("ca-");

void gh_anchor_credential_print(int64_t anchor, struct gh_slice serial,
                                char out[GH_ANCHOR_CREDENTIAL_MAX])
{
    (void)snprintf(out, GH_ANCHOR_CREDENTIAL_MAX, "ca-%lld-%.*s", (long long)anchor,
                   GH_PRINT(gh_slice_sub(serial, 0, GH_SERIAL_HEX_MAX - 1)));
}

bool gh_anchor_credential_split(struct gh_slice credential, int64_t *anchor,
                                struct gh_slice *serial)
{
    uint64_t number;
    if (!gh_slice_starts(credential, prefix))
        return false;
    struct gh_slice rest = gh_slice_sub(credential, prefix.size, credential.size);
    if (!gh_slice_to_u64(gh_slice_split(&rest, '-'), &number) || number > INT64_MAX)
        return false;
    *anchor = (int64_t)number;
    *serial = rest;
    return true;
}

bool gh_anchor_credential_read(struct gh_slice credential, int64_t anchor, struct gh_slice *serial)
{
    int64_t number;
    return gh_anchor_credential_split(credential, &number, serial) &&
           (anchor == 0 || number == anchor);
}

enum gh_error_code gh_directory_certificate_uses(struct gh_directory *directory, uint64_t device,
                                                 int64_t now_ms, struct gh_arena *arena,
                                                 struct gh_certificate_use **out, size_t *count,
                                                 struct gh_error *error)
{
    return gh_store_certificate_use_list(directory->store, device, now_ms, arena, out, count,
                                         error);
}

/* --- who is told --- */

struct asked {
    int64_t anchor;
    struct gh_slice serial;   /* empty: any */
    const struct gh_crl *crl; /* NULL: `serial` decides */
};

static bool is_refused(void *context, struct gh_slice credential)
{
    const struct asked *asked = context;
    struct gh_slice serial;
    if (!gh_anchor_credential_read(credential, asked->anchor, &serial))
        return false;
    if (asked->crl != NULL)
        return gh_crl_lists_serial(asked->crl, serial);
    return asked->serial.size == 0 || gh_slice_equal(asked->serial, serial);
}

static void tell(struct gh_directory *directory, const struct gh_anchor *anchor,
                 struct asked *asked)
{
    if (directory->watch.credentials_refused != NULL)
        directory->watch.credentials_refused(directory->watch_context, anchor->tenant,
                                             anchor->registry, is_refused, asked);
}

/* --- anchors --- */

static enum gh_error_code anchor_check(const struct gh_certificate *certificate, int64_t now_s,
                                       struct gh_error *error)
{
    const char *broken = gh_lint_issued(certificate, GH_LINT_ANCHOR);
    if (broken != NULL)
        return gh_error_set(error, GH_ERROR_INVALID, "the CA certificate is not sound: %s", broken);
    if (gh_certificate_not_after_s(certificate) < now_s)
        return gh_error_set(error, GH_ERROR_INVALID, "the CA certificate has expired");
    return GH_OK;
}

static bool code_make(struct gh_arena *arena, struct gh_slice *out)
{
    uint64_t random[2];
    gh_random(random, sizeof random);
    char *text = gh_arena_print(arena, "%016llx%016llx", (unsigned long long)random[0],
                                (unsigned long long)random[1]);
    *out = gh_slice_text(text);
    return text != NULL;
}

static bool is_place(struct gh_slice url)
{
    return url.size == 0 ||
           (url.size <= URL_BYTES_MAX && gh_slice_starts(url, GH_SLICE("http://")));
}

enum gh_error_code gh_directory_anchor_add(struct gh_directory *directory,
                                           const struct gh_registry *registry, struct gh_slice pem,
                                           const struct gh_anchor_places *places,
                                           struct gh_arena *arena, struct gh_anchor *out,
                                           struct gh_error *error)
{
    char fingerprint[GH_SHA256_HEX_MAX];
    int64_t now_ms = gh_time_utc_ms();
    *out = (struct gh_anchor){.tenant = registry->tenant,
                              .registry = registry->number,
                              .pem = pem,
                              .crl_url = places->crl_url,
                              .ocsp_url = places->ocsp_url,
                              .created_at_ms = now_ms};
    if (!is_place(places->crl_url) || !is_place(places->ocsp_url))
        return gh_error_set(error, GH_ERROR_INVALID,
                            "%s: http://… of at most %d bytes (what comes is signed itself)",
                            is_place(places->crl_url) ? "ocsp_url" : "crl_url", URL_BYTES_MAX);
    struct gh_certificate *certificate = gh_certificate_open(pem, error);
    if (certificate == NULL)
        return GH_ERROR_INVALID;
    enum gh_error_code code = anchor_check(certificate, now_ms / 1000, error);
    if (code == GH_OK && (!gh_certificate_fingerprint(certificate, fingerprint) ||
                          !gh_arena_copy(arena, gh_slice_text(fingerprint), &out->fingerprint) ||
                          !code_make(arena, &out->code)))
        code = gh_error_set(error, GH_ERROR_MEMORY, "no memory for the CA");
    gh_certificate_close(certificate);
    out->id = gh_slice_sub(out->fingerprint, 0, 16);
    return code == GH_OK ? gh_store_anchor_create(directory->store, out, error) : code;
}

enum gh_error_code gh_directory_anchor_list(struct gh_directory *directory, int64_t tenant,
                                            int64_t registry, struct gh_arena *arena,
                                            struct gh_anchor **out, size_t *count,
                                            struct gh_error *error)
{
    return gh_store_anchor_list(directory->store, tenant, registry, arena, out, count, error);
}

enum gh_error_code gh_directory_anchor_find(struct gh_directory *directory, int64_t tenant,
                                            int64_t registry, struct gh_slice id,
                                            struct gh_arena *arena, struct gh_anchor *out,
                                            struct gh_error *error)
{
    struct gh_anchor *anchors;
    size_t count;
    enum gh_error_code code =
        gh_store_anchor_list(directory->store, tenant, registry, arena, &anchors, &count, error);
    for (size_t i = 0; code == GH_OK && i < count; i++)
        if (gh_slice_equal(anchors[i].id, id) || gh_slice_equal(anchors[i].fingerprint, id)) {
            *out = anchors[i];
            return GH_OK;
        }
    return code != GH_OK ? code
                         : gh_error_set(error, GH_ERROR_NOT_FOUND, "the registry has no CA %.*s",
                                        GH_PRINT(gh_slice_sub(id, 0, 64)));
}

static enum gh_error_code proof_check(const struct gh_anchor *anchor,
                                      const struct gh_certificate *issuer,
                                      const struct gh_certificate *proof, int64_t now_s,
                                      struct gh_error *error)
{
    uint8_t block[256];
    struct gh_buffer name = gh_buffer_fixed(block, sizeof block);
    if (!gh_certificate_signed_by(proof, issuer))
        return gh_error_set(error, GH_ERROR_INVALID,
                            "the verification certificate is not signed by this CA");
    if (!gh_certificate_print_common_name(proof, &name) ||
        !gh_slice_equal(gh_buffer_slice(&name), anchor->code))
        return gh_error_set(error, GH_ERROR_INVALID,
                            "the common name of the verification certificate is not %.*s",
                            GH_PRINT(anchor->code));
    if (gh_certificate_not_before_s(proof) > now_s + CLOCK_SKEW_S ||
        gh_certificate_not_after_s(proof) < now_s)
        return gh_error_set(error, GH_ERROR_INVALID,
                            "the verification certificate is not valid now");
    return GH_OK;
}

enum gh_error_code gh_directory_anchor_verify(struct gh_directory *directory,
                                              struct gh_anchor *anchor, struct gh_slice proof,
                                              struct gh_error *error)
{
    int64_t now_ms = gh_time_utc_ms();
    if (anchor->state != GH_ANCHOR_PENDING)
        return gh_error_set(error, GH_ERROR_PRECONDITION, "this CA has been verified");
    struct gh_certificate *issuer = gh_certificate_open(anchor->pem, error);
    struct gh_certificate *shown = issuer == NULL ? NULL : gh_certificate_open(proof, error);
    enum gh_error_code code =
        shown == NULL ? GH_ERROR_INVALID : proof_check(anchor, issuer, shown, now_ms / 1000, error);
    gh_certificate_close(shown);
    gh_certificate_close(issuer);
    if (code != GH_OK)
        return code;
    anchor->state = GH_ANCHOR_ACTIVE;
    anchor->code = (struct gh_slice){0};
    anchor->verified_at_ms = now_ms;
    return gh_store_anchor_set_state(directory->store, anchor, error);
}

enum gh_error_code gh_directory_anchor_enable(struct gh_directory *directory,
                                              struct gh_anchor *anchor, bool enabled,
                                              struct gh_error *error)
{
    struct asked asked = {.anchor = anchor->number};
    if (enabled && anchor->verified_at_ms == 0)
        return gh_error_set(error, GH_ERROR_PRECONDITION,
                            "this CA has not been verified: nobody has shown to hold its key");
    anchor->state = enabled ? GH_ANCHOR_ACTIVE : GH_ANCHOR_DISABLED;
    enum gh_error_code code = gh_store_anchor_set_state(directory->store, anchor, error);
    if (code == GH_OK && !enabled)
        tell(directory, anchor, &asked);
    return code;
}

enum gh_error_code gh_directory_anchor_remove(struct gh_directory *directory,
                                              const struct gh_anchor *anchor,
                                              struct gh_error *error)
{
    struct asked asked = {.anchor = anchor->number};
    enum gh_error_code code = gh_store_anchor_delete(directory->store, anchor->number, error);
    if (code == GH_OK)
        tell(directory, anchor, &asked);
    return code;
}

/* --- revocation --- */

/* "00:1A:2b" as "1a2b"; false when it is no serial number. */
static bool serial_read(struct gh_slice text, char out[GH_SERIAL_HEX_MAX])
{
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        bool upper = byte >= 'A' && byte <= 'F';
        if (byte == ':' || (byte == '0' && size == 0))
            continue;
        if ((!upper && !(byte >= '0' && byte <= '9') && !(byte >= 'a' && byte <= 'f')) ||
            size + 1 == GH_SERIAL_HEX_MAX)
            return false;
        out[size++] = (char)(upper ? byte - 'A' + 'a' : byte);
    }
    out[size] = '\0';
    return size > 0;
}

enum gh_error_code gh_directory_certificate_revoke(struct gh_directory *directory,
                                                   const struct gh_anchor *anchor,
                                                   struct gh_slice serial, int reason,
                                                   struct gh_error *error)
{
    char text[GH_SERIAL_HEX_MAX];
    if (!serial_read(serial, text))
        return gh_error_set(error, GH_ERROR_INVALID,
                            "serial: 1 to 20 octets in hex, as openssl x509 -serial prints them");
    if (reason < 0 || reason > REASON_MAX || reason == 7 || reason == 8)
        return gh_error_set(error, GH_ERROR_INVALID, "reason: %d is none", reason);
    struct gh_revocation row = {.anchor = anchor->number,
                                .serial = gh_slice_text(text),
                                .reason = reason,
                                .at_ms = gh_time_utc_ms()};
    struct asked asked = {.anchor = anchor->number, .serial = row.serial};
    enum gh_error_code code = gh_store_revocation_put(directory->store, &row, error);
    if (code == GH_OK)
        tell(directory, anchor, &asked);
    return code;
}

static enum gh_error_code crl_check(const struct gh_anchor *anchor, const struct gh_crl *crl,
                                    int64_t now_s, struct gh_error *error)
{
    struct gh_certificate *issuer = gh_certificate_open(anchor->pem, error);
    bool is_signed = issuer != NULL && gh_crl_signed_by(crl, issuer);
    gh_certificate_close(issuer);
    if (!is_signed)
        return gh_error_set(error, GH_ERROR_INVALID, "the list is not signed by this CA");
    if (gh_crl_this_update_s(crl) > now_s + CLOCK_SKEW_S || gh_crl_next_update_s(crl) < now_s)
        return gh_error_set(error, GH_ERROR_INVALID, "the list is not valid now");
    if (gh_crl_number(crl) < anchor->crl_number)
        return gh_error_set(error, GH_ERROR_INVALID,
                            "the list has number %lld, older than %lld, which was read before",
                            (long long)gh_crl_number(crl), (long long)anchor->crl_number);
    return GH_OK;
}

/* The entries of the list as rows; NULL without memory. The caller frees it. */
static struct gh_revocation *rows_of(const struct gh_crl *crl, char (*serials)[GH_SERIAL_HEX_MAX],
                                     size_t *count)
{
    size_t all = gh_crl_count(crl), kept = 0;
    struct gh_revocation *rows = calloc(all + 1, sizeof *rows);
    for (size_t i = 0; rows != NULL && i < all; i++) {
        struct gh_crl_entry entry;
        if (!gh_crl_entry(crl, i, &entry))
            continue;
        memcpy(serials[kept], entry.serial, GH_SERIAL_HEX_MAX);
        rows[kept] = (struct gh_revocation){.serial = gh_slice_text(serials[kept]),
                                            .reason = entry.reason,
                                            .at_ms = entry.at_s * 1000};
        kept++;
    }
    *count = kept;
    return rows;
}

static enum gh_error_code crl_keep(struct gh_directory *directory, const struct gh_anchor *anchor,
                                   const struct gh_crl *crl, size_t *revoked,
                                   struct gh_error *error)
{
    char(*serials)[GH_SERIAL_HEX_MAX] = calloc(gh_crl_count(crl) + 1, sizeof *serials);
    struct gh_revocation *rows = serials == NULL ? NULL : rows_of(crl, serials, revoked);
    enum gh_error_code code =
        rows == NULL ? gh_error_set(error, GH_ERROR_MEMORY, "no memory for the list")
                     : gh_store_crl_put(directory->store, anchor, rows, *revoked, error);
    free(rows);
    free(serials);
    return code;
}

enum gh_error_code gh_directory_crl_import(struct gh_directory *directory, struct gh_anchor *anchor,
                                           struct gh_slice bytes, size_t *revoked,
                                           struct gh_error *error)
{
    int64_t now_ms = gh_time_utc_ms();
    if (anchor->key.size > 0)
        return gh_error_set(error, GH_ERROR_PRECONDITION,
                            "the built-in CA makes its revocation list itself");
    struct gh_crl *crl = gh_crl_open(bytes, error);
    if (crl == NULL)
        return error->code;
    enum gh_error_code code = crl_check(anchor, crl, now_ms / 1000, error);
    if (code == GH_OK) {
        anchor->crl_next_ms = gh_crl_next_update_s(crl) * 1000;
        anchor->crl_read_ms = now_ms;
        anchor->crl_number = gh_crl_number(crl);
        code = crl_keep(directory, anchor, crl, revoked, error);
    }
    if (code == GH_OK) {
        struct asked asked = {.anchor = anchor->number, .crl = crl};
        tell(directory, anchor, &asked);
    }
    gh_crl_close(crl);
    return code;
}

enum gh_error_code gh_directory_anchor_list_fetched(struct gh_directory *directory,
                                                    struct gh_arena *arena, struct gh_anchor **out,
                                                    size_t *count, struct gh_error *error)
{
    return gh_store_anchor_list_fetched(directory->store, arena, out, count, error);
}

enum gh_error_code gh_directory_revocation_find(struct gh_directory *directory, int64_t anchor,
                                                struct gh_slice serial, bool *found,
                                                struct gh_revocation *out, struct gh_error *error)
{
    return gh_store_revocation_find(directory->store, anchor, serial, found, out, error);
}

enum gh_error_code gh_directory_revocation_list(struct gh_directory *directory, int64_t anchor,
                                                size_t limit, struct gh_arena *arena,
                                                struct gh_revocation **out, size_t *count,
                                                struct gh_error *error)
{
    return gh_store_revocation_list(directory->store, anchor, limit, arena, out, count, error);
}
