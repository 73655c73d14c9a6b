/* Anchors: the CAs whose certificates prove the devices of a registry. Whoever registers one has to
 * show that they hold its key: the anchor is PENDING until a certificate comes that it signed and
 * whose common name is the code made for it. What is revoked under it is written here, by hand or
 * by the CA's own revocation list, and the directory's watch hears of it after the commit, so that
 * sessions end at once.
 *
 * A revocation names the certificate that the anchor itself signed. To revoke below an
 * intermediate, register the intermediate, which is then an anchor of its own.
 *
 * As everywhere in the directory: functions block for the time of their SQL, GH_OK is durable,
 * results live in the caller's arena, any thread may call. */
#ifndef GH_REGISTRY_ANCHORS_H
#define GH_REGISTRY_ANCHORS_H

#include "crypto/ocsp.h"
#include "registry/directory.h"
#include "store/trust.h"

/* Where a CA says what it has revoked: http, as both are signed themselves; either may be empty. */
struct gh_anchor_places {
    struct gh_slice crl_url, ocsp_url;
};
/* INVALID with the rule that the certificate breaks (crypto/lint.h), EXISTS, LIMIT. PENDING, with a
 * fresh code. */
GH_MUST_USE enum gh_error_code
gh_directory_anchor_add(struct gh_directory *directory, const struct gh_registry *registry,
                        struct gh_slice pem, const struct gh_anchor_places *places,
                        struct gh_arena *arena, struct gh_anchor *out, struct gh_error *error);
/* Those of the registry and of its tenant. */
GH_MUST_USE enum gh_error_code gh_directory_anchor_list(struct gh_directory *directory,
                                                        int64_t tenant, int64_t registry,
                                                        struct gh_arena *arena,
                                                        struct gh_anchor **out, size_t *count,
                                                        struct gh_error *error);
/* By its id among those; with `registry` 0 the tenant's own. */
GH_MUST_USE enum gh_error_code gh_directory_anchor_find(struct gh_directory *directory,
                                                        int64_t tenant, int64_t registry,
                                                        struct gh_slice id, struct gh_arena *arena,
                                                        struct gh_anchor *out,
                                                        struct gh_error *error);
/* The proof of possession: INVALID when `proof` is not a certificate that the anchor signed over
 * its code, or is not valid now. ACTIVE then. */
GH_MUST_USE enum gh_error_code gh_directory_anchor_verify(struct gh_directory *directory,
                                                          struct gh_anchor *anchor,
                                                          struct gh_slice proof,
                                                          struct gh_error *error);
/* DISABLED closes every session that it carries; ACTIVE again only when it was proven before
 * (PRECONDITION). */
GH_MUST_USE enum gh_error_code gh_directory_anchor_enable(struct gh_directory *directory,
                                                          struct gh_anchor *anchor, bool enabled,
                                                          struct gh_error *error);
/* With all that was written about it; its sessions are closed. */
GH_MUST_USE enum gh_error_code gh_directory_anchor_remove(struct gh_directory *directory,
                                                          const struct gh_anchor *anchor,
                                                          struct gh_error *error);

/* `serial`: hex, in any case, colons and leading zeros allowed. EXISTS when it was revoked. */
GH_MUST_USE enum gh_error_code gh_directory_certificate_revoke(struct gh_directory *directory,
                                                               const struct gh_anchor *anchor,
                                                               struct gh_slice serial, int reason,
                                                               struct gh_error *error);
/* The anchor's own list, DER or PEM. INVALID when it is not signed by it, is not valid now or is
 * older than the one read before. `*revoked` is how many certificates it names. */
GH_MUST_USE enum gh_error_code gh_directory_crl_import(struct gh_directory *directory,
                                                       struct gh_anchor *anchor,
                                                       struct gh_slice bytes, size_t *revoked,
                                                       struct gh_error *error);
/* Those with a crl_url. */
GH_MUST_USE enum gh_error_code
gh_directory_anchor_list_fetched(struct gh_directory *directory, struct gh_arena *arena,
                                 struct gh_anchor **out, size_t *count, struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_directory_revocation_find(struct gh_directory *directory,
                                                            int64_t anchor, struct gh_slice serial,
                                                            bool *found, struct gh_revocation *out,
                                                            struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_directory_revocation_list(struct gh_directory *directory,
                                                            int64_t anchor, size_t limit,
                                                            struct gh_arena *arena,
                                                            struct gh_revocation **out,
                                                            size_t *count, struct gh_error *error);

/* Whether the responder of the CA, which has one, has said that a certificate is good, and that
 * still holds. About one that it was not asked about it is asked within a second or so; it is asked
 * again until the certificate ends, each time when its answer is about to run out. */
GH_MUST_USE enum gh_error_code gh_directory_ocsp_good(struct gh_directory *directory,
                                                      const struct gh_anchor *anchor,
                                                      struct gh_slice serial, int64_t not_after_ms,
                                                      int64_t now_ms, bool *good,
                                                      struct gh_error *error);
/* What is to be asked now, and what came: `answer` NULL for a responder that could not be reached
 * or gave none. A certificate that it says is revoked is: sessions end. */
GH_MUST_USE enum gh_error_code gh_directory_ocsp_due(struct gh_directory *directory, int64_t now_ms,
                                                     size_t limit, struct gh_arena *arena,
                                                     struct gh_ocsp_row **out, size_t *count,
                                                     struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_directory_ocsp_said(struct gh_directory *directory,
                                                      const struct gh_ocsp_row *row,
                                                      const struct gh_ocsp_answer *answer,
                                                      int64_t now_ms, struct gh_error *error);

/* The certificates by CAs that proved a device or were issued to it; see
 * gh_store_certificate_use_list. What was used is there within about a second. */
GH_MUST_USE enum gh_error_code gh_directory_certificate_uses(struct gh_directory *directory,
                                                             uint64_t device, int64_t now_ms,
                                                             struct gh_arena *arena,
                                                             struct gh_certificate_use **out,
                                                             size_t *count, struct gh_error *error);

/* The credential id of a session that an anchor carries: "ca-7-1a2b3c…", with the serial number of
 * the certificate that the anchor signed. */
enum { GH_ANCHOR_CREDENTIAL_MAX = 72 };
void gh_anchor_credential_print(int64_t anchor, struct gh_slice serial,
                                char out[GH_ANCHOR_CREDENTIAL_MAX]);
/* Whether it is such an id; `*serial` borrows from it. */
bool gh_anchor_credential_split(struct gh_slice credential, int64_t *anchor,
                                struct gh_slice *serial);
/* Whether it is such an id, of this anchor (0: any); `*serial` borrows from it. */
bool gh_anchor_credential_read(struct gh_slice credential, int64_t anchor, struct gh_slice *serial);
#endif
