/* The row that a call leaves in the audit trail (audit/audit.h). The router opens and ends it; a
 * handler says only what the router cannot know. */
#ifndef GH_API_AUDITING_INTERNAL_H
#define GH_API_AUDITING_INTERNAL_H

#include "audit/audit.h"

struct call;

/* By the route: its method of HTTP and the pattern of its path. */
void call_deed_open(struct call *call, const char *method, const char *pattern);
/* Once call->caller and call->tenant are known. */
void call_deed_caller(struct call *call);
/* For handlers that find out themselves which device it is; `device` may be empty. */
void call_deed_device(struct call *call, struct gh_slice tenant, struct gh_slice registry,
                      struct gh_slice device);
/* For signing in: the name that was given, and whether it was right. */
void call_deed_sign_in(struct call *call, struct gh_slice name, bool good);
#endif
