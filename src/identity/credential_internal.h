/* What the files of identity/ that prove a device by one of its credentials share. */
#ifndef GH_IDENTITY_CREDENTIAL_INTERNAL_H
#define GH_IDENTITY_CREDENTIAL_INTERNAL_H

#include "identity/device.h"

/* ACCEPTED, and `out` is untouched; or reason and detail of one that is disabled, not valid yet or
 * no more, written into `out`. */
enum gh_identity_reason gh_identity_check_credential(const struct gh_credential *credential,
                                                     int64_t now_ms,
                                                     struct gh_identity_verdict *out);
#endif
