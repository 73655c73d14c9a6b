/* What a tenant has set for itself: documents of the tenant that the rooms below are told, at start
 * and with every change. */
#ifndef GH_API_TENANT_SETTINGS_INTERNAL_H
#define GH_API_TENANT_SETTINGS_INTERNAL_H

#include "api/call_internal.h"

/* Tells the broker what is stored; a document that cannot be read is logged and passed over. False
 * when the store does not answer. */
GH_MUST_USE bool durability_load(struct gh_api *api, struct gh_error *error);
/* The same for the tenants' own ceilings. */
GH_MUST_USE bool limits_load(struct gh_api *api, struct gh_error *error);
/* {"relaxed": […]}; a new reference. */
json_t *durability_to_json(struct call *call, int64_t tenant);

/* An operator's deed in the trail, about the tenant as a whole. */
void tenant_note(struct call *call, const char *what);
#endif
