/* May this gateway speak for that device: the rules of the gateway's authentication method
 * (enum gh_gateway_auth) over identity/device.h. The peer is told yes or no; `detail` is for the
 * operator. Memory: all texts are the arena's. Threads: any; it blocks on the store. */
#ifndef GH_IDENTITY_GATEWAY_H
#define GH_IDENTITY_GATEWAY_H

#include "identity/device.h"

/* `claim` names the device, with its token if the gateway brought one: it is looked at only where
 * the method asks for it. Decides; returns `out->reason`. `now_ms` is UTC. */
GH_MUST_USE enum gh_identity_reason gh_identity_attach(struct gh_directory *directory,
                                                       uint64_t gateway,
                                                       const struct gh_identity_claim *claim,
                                                       int64_t now_ms, struct gh_arena *arena,
                                                       struct gh_identity_verdict *out);
/* Whether a device that is attached may stay so after it was unbound from some gateway. */
GH_MUST_USE enum gh_error_code gh_identity_still_attached(struct gh_directory *directory,
                                                          uint64_t gateway, uint64_t device,
                                                          struct gh_arena *arena, bool *holds,
                                                          struct gh_error *error);
#endif
