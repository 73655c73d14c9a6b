/* What a tenant has set for itself: documents of the tenant that the rooms below are told, at start
 * and with every change. */
#ifndef GH_API_TENANT_SETTINGS_INTERNAL_H
#define GH_API_TENANT_SETTINGS_INTERNAL_H

#include "api/call_internal.h"

struct tenant_setting {
    const char *kind, *name; /* of the document */
    size_t bytes_max;
    const char *deed;      /* in the trail, "LIMITS" */
    const char *otherwise; /* what holds for a tenant whose document cannot be read, for the log */
    /* Tells whom it concerns. False with `error` filled when the object is not sound, or there is
     * no memory. */
    bool (*tell)(const struct gh_api_services *services, int64_t tenant, const json_t *object,
                 struct gh_error *error);
};

/* Tells what is stored; a document that cannot be read is logged and passed over. False when the
 * store does not answer. */
GH_MUST_USE bool tenant_setting_load(struct gh_api *api, const struct tenant_setting *setting,
                                     struct gh_error *error);
/* What the tenant has set; NULL when that is nothing. A new reference. */
json_t *tenant_setting_get(struct call *call, int64_t tenant, const struct tenant_setting *setting);
/* Stores the call's body, which was found to be sound, for its tenant, tells it and notes it. */
GH_MUST_USE enum gh_error_code tenant_setting_put(struct call *call,
                                                  const struct tenant_setting *setting);

extern const struct tenant_setting durability_setting; /* durability.c */
extern const struct tenant_setting limits_setting;     /* limits.c */

/* {"relaxed": […]}; a new reference. */
json_t *durability_to_json(struct call *call, int64_t tenant);
#endif
