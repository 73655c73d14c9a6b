/* The built-in CA for devices: one issuing CA for each tenant, made at its first use, and renewed
 * over the same key when there is another intermediate CA (identity/authorities.h) or the last
 * third of its life has begun. It issues to
 * a device that exists and to nobody else; every certificate is written down before it is given
 * away, so that it can be revoked. The CA's key is in the `keys` process: what is done with it is a
 * table of functions given at start. What lies in the database is what that process sealed, sealed
 * once more under the tenant's data key (registry/sealing.h), with which it goes.
 *
 * One-time enrolment tokens let a device come by its first certificate (EST, api/est.c): 256 random
 * bits, shown once, stored as a hash, good once and for one device.
 *
 * Memory: results live in the caller's arena. Threads: any; blocks on the store and on the keys
 * process. */
#ifndef GH_IDENTITY_ISSUING_H
#define GH_IDENTITY_ISSUING_H

#include "base/buffer.h"
#include "crypto/ocsp.h"
#include "identity/authorities.h"
#include "identity/device.h"
#include "registry/anchors.h"

enum {
    GH_ISSUING_DAYS = 7, /* of a leaf, unless asked otherwise */
    GH_ISSUING_DAYS_MAX = 90,
    GH_ISSUING_CRL_HOURS = 24,
    GH_ISSUING_OCSP_S = 3600, /* how long an answer may be kept */
    GH_ISSUING_PEM_MAX = 16 * 1024,
    GH_ENROLMENT_TTL_S_MAX = 30 * 86400,
};

struct gh_issuing_leaf {
    struct gh_slice certificate_pem, sealed_key; /* of the issuing CA */
    struct gh_slice common_name, uri, public_key_pem;
    struct gh_slice pki; /* where the CA publishes (crypto/issuer.h) */
    int64_t from_s, to_s;
};

/* What the keys process does; each may fail with UNAVAILABLE. */
struct gh_issuing_signer {
    void *context;
    enum gh_error_code (*create)(void *context, struct gh_slice name,
                                 struct gh_buffer *certificate_pem, struct gh_buffer *sealed_key,
                                 struct gh_error *error);
    enum gh_error_code (*renew)(void *context, const struct gh_anchor *ca,
                                struct gh_buffer *certificate_pem, struct gh_buffer *sealed_key,
                                struct gh_error *error);
    enum gh_error_code (*issue)(void *context, const struct gh_issuing_leaf *leaf,
                                struct gh_buffer *out, struct gh_error *error);
    enum gh_error_code (*crl)(void *context, const struct gh_anchor *ca, int64_t from_s,
                              int64_t to_s, const struct gh_revocation *rows, size_t count,
                              struct gh_buffer *out, struct gh_error *error);
    enum gh_error_code (*ocsp)(void *context, const struct gh_anchor *ca, struct gh_slice request,
                               const struct gh_ocsp_answer *answer, struct gh_buffer *out,
                               struct gh_error *error);
};

struct gh_issuing;
/* NULL without memory. */
GH_MUST_USE struct gh_issuing *gh_issuing_open(struct gh_directory *directory,
                                               struct gh_store *store,
                                               const struct gh_issuing_signer *signer,
                                               struct gh_authorities *authorities);
void gh_issuing_close(struct gh_issuing *issuing);
/* Where certificates say that the CAs publish, "https://host:port", copied: before any other thread
 * calls. Without it they say nothing. False without memory. */
GH_MUST_USE bool gh_issuing_set_place(struct gh_issuing *issuing, struct gh_slice place);

/* The tenant's issuing CA; with `make` it is made when there is none, else NOT_FOUND. */
GH_MUST_USE enum gh_error_code gh_issuing_ca(struct gh_issuing *issuing,
                                             const struct gh_tenant *tenant, bool make,
                                             struct gh_arena *arena, struct gh_anchor *out,
                                             struct gh_error *error);
/* A certificate for the device over this key (PEM, proven by its holder or given by an operator);
 * `out->pem` is the leaf. `days` 0: GH_ISSUING_DAYS. PRECONDITION while the device or the CA is
 * disabled. */
GH_MUST_USE enum gh_error_code
gh_issuing_issue(struct gh_issuing *issuing, const struct gh_tenant *tenant,
                 const struct gh_device *device, struct gh_slice public_key_pem, int64_t days,
                 struct gh_arena *arena, struct gh_issued *out, struct gh_error *error);
/* Newest first. */
GH_MUST_USE enum gh_error_code gh_issuing_list(struct gh_issuing *issuing, uint64_t device,
                                               size_t limit, struct gh_arena *arena,
                                               struct gh_issued **out, size_t *count,
                                               struct gh_error *error);
/* The revocation list of the tenant's CA, DER, valid for GH_ISSUING_CRL_HOURS; signed anew
 * when something was revoked or the last one is five minutes old. */
GH_MUST_USE enum gh_error_code gh_issuing_crl(struct gh_issuing *issuing,
                                              const struct gh_tenant *tenant,
                                              struct gh_arena *arena, struct gh_slice *out,
                                              struct gh_error *error);

/* The answer to an OCSP request about a certificate of the tenant's CA, DER; one that is no request
 * is answered as OCSP does. `*max_age_s` is how long it may be kept: signed once, it is given again
 * for a quarter of its life while the status is the same. */
GH_MUST_USE enum gh_error_code gh_issuing_ocsp(struct gh_issuing *issuing,
                                               const struct gh_tenant *tenant,
                                               struct gh_slice request, struct gh_arena *arena,
                                               struct gh_slice *out, int64_t *max_age_s,
                                               struct gh_error *error);

/* What a certificate of the built-in CA says whose it is: "TENANT:REGISTRY:DEVICE" out of its URI
 * (identity/device.h), in the arena. A name alone: gh_identity_device decides. False when it has no
 * such name. */
GH_MUST_USE bool gh_identity_certificate_name(struct gh_slice der, struct gh_arena *arena,
                                              struct gh_slice *out);

/* A token for the device, text in the arena, a secret. */
GH_MUST_USE enum gh_error_code gh_issuing_enrolment(struct gh_issuing *issuing, uint64_t device,
                                                    int64_t ttl_s, struct gh_arena *arena,
                                                    struct gh_slice *token, int64_t *expires_at_ms,
                                                    struct gh_error *error);
/* Takes it, once: ACCEPTED, or why not, with the detail for the operator. */
GH_MUST_USE enum gh_identity_reason gh_issuing_redeem(struct gh_issuing *issuing, uint64_t device,
                                                      struct gh_slice token,
                                                      char detail[GH_IDENTITY_DETAIL_MAX]);
/* The device's tokens, newest first, without their secrets: those that were used or have expired
 * too, until the next one is made after their end. */
GH_MUST_USE enum gh_error_code gh_issuing_enrolment_list(struct gh_issuing *issuing,
                                                         uint64_t device, struct gh_arena *arena,
                                                         struct gh_enrolment **out, size_t *count,
                                                         struct gh_error *error);
/* NOT_FOUND when the device has none of this id. */
GH_MUST_USE enum gh_error_code gh_issuing_enrolment_disable(struct gh_issuing *issuing,
                                                            uint64_t device, struct gh_slice id,
                                                            bool disabled, struct gh_error *error);
#endif
