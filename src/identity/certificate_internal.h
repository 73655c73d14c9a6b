/* Signing in by certificate; called by device.c when the claim has no token and no secret. Nobody
 * outside the folder includes this. */
#ifndef GH_IDENTITY_CERTIFICATE_INTERNAL_H
#define GH_IDENTITY_CERTIFICATE_INTERNAL_H

#include "identity/device.h"

/* The device, its registry and the tenant stand in `out`; it may connect at all. Fills reason,
 * detail, credential and validity of `out`; returns the reason. */
enum gh_identity_reason gh_identity_by_certificate(struct gh_directory *directory,
                                                   const struct gh_identity_claim *claim,
                                                   int64_t now_ms, struct gh_arena *arena,
                                                   struct gh_identity_verdict *out);
/* Whether `credential`, of a certificate that was accepted before by an anchor
 * (registry/anchors.h), still counts: the anchor is there and active, the certificate not revoked.
 * Fills reason, detail and credential of `out`; returns the reason. */
GH_MUST_USE enum gh_identity_reason
gh_identity_check_anchored(struct gh_directory *directory, struct gh_slice credential,
                           int64_t now_ms, struct gh_arena *arena, struct gh_identity_verdict *out);
#endif
