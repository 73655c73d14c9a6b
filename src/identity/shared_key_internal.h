/* Signing in by a shared access signature; called by device.c when the claim has one. Nobody
 * outside the folder includes this. */
#ifndef GH_IDENTITY_SHARED_KEY_INTERNAL_H
#define GH_IDENTITY_SHARED_KEY_INTERNAL_H

#include "identity/device.h"
#include "identity/sas.h"

/* The device, its registry and the tenant stand in `out`; it may connect at all. Fills reason,
 * detail, credential and validity of `out`; returns the reason. */
enum gh_identity_reason gh_identity_by_shared_key(struct gh_directory *directory,
                                                  const struct gh_identity_claim *claim,
                                                  const struct gh_sas *sas, int64_t now_ms,
                                                  struct gh_identity_verdict *out);
/* The work of it, for nothing. */
void gh_identity_shared_key_of_nobody(const struct gh_sas *sas);
#endif
