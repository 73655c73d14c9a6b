/* What a tenant has set for itself: documents of the tenant that the rooms below are told, at start
 * and with every change. */
#ifndef GH_API_TENANT_SETTINGS_INTERNAL_H
#define GH_API_TENANT_SETTINGS_INTERNAL_H

#include "api/call_internal.h"

/* One kind of these. */
struct tenant_setting {
    struct gh_slice kind, name; /* of the document */
    size_t bytes_max;
    const char *without; /* what holds when the stored one cannot be read: "has no alerts" */
    const char *deed;    /* of a change, in the trail */
    /* Checks the value and tells it to the room below. False with `error`. */
    bool (*tell)(const struct gh_api_services *services, int64_t tenant, const json_t *value,
                 struct gh_error *error);
};
extern const struct tenant_setting durability_setting, limits_setting, alerts_setting;

/* Tells the rooms below what all tenants have set; what cannot be read is logged and passed over.
 * False when the store does not answer. */
GH_MUST_USE bool tenant_settings_load(struct gh_api *api, struct gh_error *error);
/* What the tenant has set; NULL when it has not. A new reference. */
json_t *tenant_setting_get(struct call *call, const struct tenant_setting *setting, int64_t tenant);
/* Stores and tells the body of the call, which was checked. */
enum gh_error_code tenant_setting_put(struct call *call, const struct tenant_setting *setting);

/* {"relaxed": […]}; a new reference. */
json_t *durability_to_json(struct call *call, int64_t tenant);
#endif
