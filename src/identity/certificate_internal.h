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
#endif
