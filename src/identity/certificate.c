/* A device that shows a certificate. Two ways, in this order:
 *
 * By thumbprint: the certificate is, byte for byte, one of the device's credentials. It was checked
 * when it was registered, so its issuer does not matter (it may have signed itself); its dates do.
 *
 * By CA: the chain leads to an active anchor of the registry or to its tenant's issuing CA, and the
 * leaf names the device: as its common name, as a host name or URI among its alternative names; a
 * leaf of the tenant's CA, which signs for all its registries, must name registry and device in the
 * URI that the CA itself writes. Then revocation under the anchor.
 *
 * The certificate was shown with proof of its key, in the handshake of this very connection or in
 * the full one that it resumes (crypto/ticket.h): either way everything here is asked anew. */
#include "base/time.h"
#include "crypto/chain.h"
#include "crypto/lint.h"
#include "identity/certificate_internal.h"
#include "identity/credential_internal.h"
#include "identity/detail_internal.h"
#include "registry/anchors.h"
#include <assert.h>

/* What one decision opens and closes again. */
struct shown {
    struct gh_directory *directory;
    const struct gh_identity_claim *claim;
    int64_t now_ms;
    struct gh_arena *arena;
    struct gh_identity_verdict *out;
    struct gh_certificate *chain[GH_IDENTITY_CHAIN_MAX];
    size_t chain_count;
    struct gh_anchor *anchors;
    struct gh_certificate **roots; /* of `anchors`, those that can be read, in their order */
    const struct gh_anchor **of;
    size_t roots_count;
};

static enum gh_identity_reason say(struct shown *s, enum gh_identity_reason reason,
                                   const char *format, ...) GH_PRINTF(3, 4);

static enum gh_identity_reason say(struct shown *s, enum gh_identity_reason reason,
                                   const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    gh_detail_print(s->out->detail, sizeof s->out->detail, format, arguments);
    va_end(arguments);
    s->out->reason = reason;
    return reason;
}

static enum gh_identity_reason open_chain(struct shown *s)
{
    struct gh_error error = {0};
    for (size_t i = 0; i < s->claim->chain_count && i < GH_IDENTITY_CHAIN_MAX; i++) {
        s->chain[i] = gh_certificate_open_der(s->claim->chain[i], &error);
        if (s->chain[i] == NULL)
            return say(s, GH_IDENTITY_CERTIFICATE, "certificate %zu of the chain: %.200s", i + 1,
                       error.text);
        s->chain_count++;
    }
    return GH_IDENTITY_ACCEPTED;
}

static void close_all(struct shown *s)
{
    for (size_t i = 0; i < s->chain_count; i++)
        gh_certificate_close(s->chain[i]);
    for (size_t i = 0; i < s->roots_count; i++)
        gh_certificate_close(s->roots[i]);
}

static enum gh_identity_reason check_dates(struct shown *s)
{
    char text[GH_TIME_TEXT_MAX];
    int64_t from_ms = gh_certificate_not_before_s(s->chain[0]) * 1000,
            to_ms = gh_certificate_not_after_s(s->chain[0]) * 1000;
    if (s->now_ms / 1000 * 1000 < from_ms)
        return say(s, GH_IDENTITY_CERTIFICATE_NOT_YET_VALID, "the certificate is valid from %s",
                   gh_time_print(from_ms, text));
    if (s->now_ms / 1000 * 1000 > to_ms)
        return say(s, GH_IDENTITY_CERTIFICATE_EXPIRED, "the certificate expired at %s",
                   gh_time_print(to_ms, text));
    return GH_IDENTITY_ACCEPTED;
}

static enum gh_identity_reason accept(struct shown *s, struct gh_slice credential, int64_t until_ms,
                                      const char *how)
{
    int64_t to_s = gh_certificate_not_after_s(s->chain[0]);
    s->out->not_before_s = gh_certificate_not_before_s(s->chain[0]);
    s->out->not_after_s = to_s;
    if (until_ms != 0 && until_ms / 1000 < to_s)
        to_s = until_ms / 1000;
    s->out->principal.credential_id = credential;
    s->out->valid_until_s = to_s < GH_IDENTITY_FOR_EVER_S ? to_s : GH_IDENTITY_FOR_EVER_S;
    return say(s, GH_IDENTITY_ACCEPTED, "accepted: %s", how);
}

/* --- by thumbprint --- */

static bool is_registered(const struct shown *s, const struct gh_credential *credential)
{
    if (credential->format != GH_CREDENTIAL_RSA_X509_PEM &&
        credential->format != GH_CREDENTIAL_ES256_X509_PEM)
        return false;
    struct gh_certificate *registered = gh_certificate_open(credential->pem, NULL);
    bool same = registered != NULL && gh_certificate_equal(registered, s->chain[0]);
    gh_certificate_close(registered);
    return same;
}

static const struct gh_credential *find_registered(const struct shown *s)
{
    const struct gh_device *device = s->out->device;
    for (size_t i = 0; i < device->credentials_count; i++)
        if (is_registered(s, &device->credentials[i]))
            return &device->credentials[i];
    return NULL;
}

static enum gh_identity_reason decide_registered(struct shown *s,
                                                 const struct gh_credential *credential)
{
    enum gh_identity_reason reason = gh_identity_check_credential(credential, s->now_ms, s->out);
    if (reason == GH_IDENTITY_ACCEPTED)
        reason = check_dates(s);
    return reason == GH_IDENTITY_ACCEPTED
               ? accept(s, credential->id, credential->expires_at_ms, "a registered certificate")
               : reason;
}

/* --- by CA --- */

static enum gh_identity_reason open_anchors(struct shown *s)
{
    struct gh_error error = {0};
    size_t count;
    const struct gh_principal *principal = &s->out->principal;
    if (gh_directory_anchor_list(s->directory, principal->tenant, principal->registry, s->arena,
                                 &s->anchors, &count, &error) != GH_OK)
        return say(s, GH_IDENTITY_UNAVAILABLE, "the store did not answer: %.200s", error.text);
    s->roots = gh_arena_array(s->arena, count + 1, sizeof *s->roots);
    s->of = gh_arena_array(s->arena, count + 1, sizeof *s->of);
    if (s->roots == NULL || s->of == NULL)
        return say(s, GH_IDENTITY_UNAVAILABLE, "no memory for the decision");
    for (size_t i = 0; i < count; i++) {
        struct gh_certificate *root = gh_certificate_open(s->anchors[i].pem, NULL);
        if (root == NULL)
            continue;
        s->of[s->roots_count] = &s->anchors[i];
        s->roots[s->roots_count++] = root;
    }
    return GH_IDENTITY_ACCEPTED;
}

static const enum gh_identity_reason reasons_of_chains[] = {
    [GH_CHAIN_SOUND] = GH_IDENTITY_ACCEPTED,
    [GH_CHAIN_UNTRUSTED] = GH_IDENTITY_CERTIFICATE_UNKNOWN,
    [GH_CHAIN_EXPIRED] = GH_IDENTITY_CERTIFICATE_EXPIRED,
    [GH_CHAIN_NOT_YET_VALID] = GH_IDENTITY_CERTIFICATE_NOT_YET_VALID,
    [GH_CHAIN_UNSOUND] = GH_IDENTITY_CERTIFICATE,
    [GH_CHAIN_HOST] = GH_IDENTITY_CERTIFICATE_NAME,
    [GH_CHAIN_REVOKED] = GH_IDENTITY_CERTIFICATE_REVOKED,
    [GH_CHAIN_CRL_EXPIRED] = GH_IDENTITY_REVOCATION_UNKNOWN,
    [GH_CHAIN_MEMORY] = GH_IDENTITY_UNAVAILABLE,
};
static_assert(GH_COUNT(reasons_of_chains) == GH_CHAIN_REASON_COUNT, "a reason for each");

static enum gh_identity_reason check_state(struct shown *s, const struct gh_anchor *anchor)
{
    if (anchor->state == GH_ANCHOR_PENDING)
        return say(s, GH_IDENTITY_CA_NOT_VERIFIED, "CA %.*s has not been verified",
                   GH_PRINT(anchor->id));
    if (anchor->state == GH_ANCHOR_DISABLED)
        return say(s, GH_IDENTITY_CA_DISABLED, "CA %.*s is disabled", GH_PRINT(anchor->id));
    return GH_IDENTITY_ACCEPTED;
}

/* Whether the leaf is this device's: the registry is the truth, the certificate only names. */
static enum gh_identity_reason check_name(struct shown *s, const struct gh_anchor *anchor)
{
    uint8_t block[256];
    struct gh_buffer name = gh_buffer_fixed(block, sizeof block);
    const struct gh_principal *principal = &s->out->principal;
    struct gh_slice id = principal->device_id;
    if (anchor->registry == 0) {
        const char *uri =
            gh_arena_print(s->arena, GH_IDENTITY_URI, GH_PRINT(principal->tenant_name),
                           GH_PRINT(principal->registry_name), GH_PRINT(id));
        return uri != NULL && gh_certificate_has_name(s->chain[0], gh_slice_text(uri))
                   ? GH_IDENTITY_ACCEPTED
                   : say(s, GH_IDENTITY_CERTIFICATE_NAME,
                         "the certificate does not name this device (%s)", uri != NULL ? uri : "");
    }
    bool has_name = gh_certificate_print_common_name(s->chain[0], &name);
    if ((has_name && gh_slice_equal(gh_buffer_slice(&name), id)) ||
        gh_certificate_has_name(s->chain[0], id))
        return GH_IDENTITY_ACCEPTED;
    return say(s, GH_IDENTITY_CERTIFICATE_NAME,
               "the certificate is of \"%.*s\", neither its common name nor an alternative name is "
               "this device's id",
               GH_PRINT(gh_detail_quoted(has_name ? gh_buffer_slice(&name) : GH_SLICE(""))));
}

/* Nobody waits for a responder: who comes first is refused until it has said that he is good. */
static enum gh_identity_reason check_responder(struct shown *s, const struct gh_anchor *anchor,
                                               struct gh_slice serial)
{
    struct gh_error error = {0};
    bool good = false;
    int64_t not_after_ms = s->chain_count > 0 ? gh_certificate_not_after_s(s->chain[0]) * 1000 : 0;
    if (gh_directory_ocsp_good(s->directory, anchor, serial, not_after_ms, s->now_ms, &good,
                               &error) != GH_OK)
        return say(s, GH_IDENTITY_UNAVAILABLE, "the store did not answer: %.200s", error.text);
    return good ? GH_IDENTITY_ACCEPTED
                : say(s, GH_IDENTITY_REVOCATION_UNKNOWN,
                      "the responder of CA %.*s has not said that certificate %.*s is good",
                      GH_PRINT(anchor->id), GH_PRINT(serial));
}

static enum gh_identity_reason check_revoked(struct shown *s, const struct gh_anchor *anchor,
                                             struct gh_slice serial)
{
    struct gh_revocation row;
    struct gh_error error = {0};
    char text[GH_TIME_TEXT_MAX];
    bool revoked = false;
    if (gh_directory_revocation_find(s->directory, anchor->number, serial, &revoked, &row,
                                     &error) != GH_OK)
        return say(s, GH_IDENTITY_UNAVAILABLE, "the store did not answer: %.200s", error.text);
    if (revoked)
        return say(s, GH_IDENTITY_CERTIFICATE_REVOKED,
                   "certificate %.*s under CA %.*s was revoked at %s", GH_PRINT(serial),
                   GH_PRINT(anchor->id), gh_time_print(row.at_ms, text));
    if (anchor->crl_next_ms != 0 && anchor->crl_next_ms < s->now_ms)
        return say(s, GH_IDENTITY_REVOCATION_UNKNOWN,
                   "the revocation list of CA %.*s ran out at %s", GH_PRINT(anchor->id),
                   gh_time_print(anchor->crl_next_ms, text));
    return anchor->ocsp_url.size > 0 ? check_responder(s, anchor, serial) : GH_IDENTITY_ACCEPTED;
}

static enum gh_identity_reason decide_anchored(struct shown *s, const struct gh_anchor *anchor,
                                               struct gh_slice serial)
{
    char *credential = gh_arena_alloc(s->arena, GH_ANCHOR_CREDENTIAL_MAX);
    enum gh_identity_reason reason = check_state(s, anchor);
    if (reason == GH_IDENTITY_ACCEPTED)
        reason = check_revoked(s, anchor, serial);
    if (reason == GH_IDENTITY_ACCEPTED)
        reason = check_name(s, anchor);
    if (reason != GH_IDENTITY_ACCEPTED)
        return reason;
    if (credential == NULL)
        return say(s, GH_IDENTITY_UNAVAILABLE, "no memory for the decision");
    gh_anchor_credential_print(anchor->number, serial, credential);
    return accept(s, gh_slice_text(credential), 0, "signed by a CA of the registry");
}

static enum gh_identity_reason decide_chain(struct shown *s)
{
    struct gh_chain_verdict verdict;
    enum gh_identity_reason reason = open_anchors(s);
    if (reason != GH_IDENTITY_ACCEPTED)
        return reason;
    if (s->roots_count == 0)
        return say(s, GH_IDENTITY_CERTIFICATE_UNKNOWN,
                   "it is none of the device's %zu credentials, and the registry has no CA",
                   s->out->device->credentials_count);
    struct gh_chain_question question = {
        .leaf = s->chain[0],
        .others = (const struct gh_certificate *const *)s->chain + 1,
        .others_count = s->chain_count - 1,
        .anchors = (const struct gh_certificate *const *)s->roots,
        .anchors_count = s->roots_count,
        .purpose = GH_CHAIN_CLIENT,
        .now_s = s->now_ms / 1000,
    };
    enum gh_chain_reason found = gh_chain_verify(&question, &verdict);
    if (found != GH_CHAIN_SOUND)
        return say(s, reasons_of_chains[found], "%s", verdict.detail);
    if (verdict.serial[0] == '\0')
        return say(s, GH_IDENTITY_CERTIFICATE, "a CA's own certificate proves no device");
    return decide_anchored(s, s->of[verdict.anchor], gh_slice_text(verdict.serial));
}

enum gh_identity_reason gh_identity_by_certificate(struct gh_directory *directory,
                                                   const struct gh_identity_claim *claim,
                                                   int64_t now_ms, struct gh_arena *arena,
                                                   struct gh_identity_verdict *out)
{
    struct shown s = {
        .directory = directory, .claim = claim, .now_ms = now_ms, .arena = arena, .out = out};
    enum gh_identity_reason reason = open_chain(&s);
    if (reason == GH_IDENTITY_ACCEPTED) {
        const struct gh_credential *registered = find_registered(&s);
        reason = registered != NULL ? decide_registered(&s, registered) : decide_chain(&s);
    }
    close_all(&s);
    return reason;
}

enum gh_identity_reason gh_identity_check_anchored(struct gh_directory *directory,
                                                   struct gh_slice credential, int64_t now_ms,
                                                   struct gh_arena *arena,
                                                   struct gh_identity_verdict *out)
{
    struct shown s = {.directory = directory, .now_ms = now_ms, .arena = arena, .out = out};
    struct gh_slice serial = {0};
    struct gh_error error = {0};
    size_t count = 0, at = 0;
    out->principal.credential_id = credential;
    if (gh_directory_anchor_list(directory, out->principal.tenant, out->principal.registry, arena,
                                 &s.anchors, &count, &error) != GH_OK)
        return say(&s, GH_IDENTITY_UNAVAILABLE, "the store did not answer: %.200s", error.text);
    while (at < count && !gh_anchor_credential_read(credential, s.anchors[at].number, &serial))
        at++;
    if (at == count)
        return say(&s, GH_IDENTITY_NO_CREDENTIAL,
                   "the CA of credential %.*s, for which the token was given, was taken away",
                   GH_PRINT(gh_detail_quoted(credential)));
    enum gh_identity_reason reason = check_state(&s, &s.anchors[at]);
    return reason == GH_IDENTITY_ACCEPTED ? check_revoked(&s, &s.anchors[at], serial) : reason;
}
