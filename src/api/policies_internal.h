/* Device policies: what the questions about them share. */
#ifndef GH_API_POLICIES_INTERNAL_H
#define GH_API_POLICIES_INTERNAL_H

#include "api/call_internal.h"
#include "policy/statement.h"

/* What holds for the device, compiled; `besides` (or NULL) as if it were attached too. The device
 * is the path's, into `device`, unless that was found before. `client` empty: the device's id;
 * `credential` empty: none, and what is attached to one does not hold. */
GH_MUST_USE enum gh_error_code policy_compile(struct call *call, struct gh_device *device,
                                              struct gh_slice client, struct gh_slice credential,
                                              const struct gh_policy_row *besides,
                                              struct gh_statements **out);
/* The variables without a value; a new reference. */
json_t *policy_unresolved(const struct gh_statements *statements);
#endif
