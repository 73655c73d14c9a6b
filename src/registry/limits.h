/* Limits: what names and values the directory takes. The numbers are Google IoT Core's, which
 * devices and their tools already keep; they hold for every dialect. Pure functions over slices.
 * Threads: any. */
#ifndef GH_REGISTRY_LIMITS_H
#define GH_REGISTRY_LIMITS_H

#include "base/error.h"
#include "store/records.h"

enum {
    GH_ID_BYTES_MIN = 3,
    GH_ID_BYTES_MAX = 255,
    GH_TENANT_NAME_BYTES_MAX = 63,
    GH_DIALECT_NAME_BYTES_MAX = 255,
    GH_LOCATION_BYTES_MAX = 64,
    GH_CHANNEL_BYTES_MAX = 256,
    GH_TOPIC_BYTES_MAX = 512,
    GH_ATTRIBUTES_MAX = 500,
    GH_ATTRIBUTE_KEY_BYTES_MAX = 128,
    GH_ATTRIBUTE_VALUE_BYTES_MAX = 32 * 1024,
    GH_ATTRIBUTES_BYTES_MAX = 256 * 1024, /* keys and values of one device together */
    GH_CONFIG_BYTES_MAX = 64 * 1024,
    GH_STATE_BYTES_MAX = 64 * 1024,
    GH_PEM_BYTES_MAX = 16 * 1024,
    GH_POLICY_BYTES_MAX = 64 * 1024,
    GH_PAGE_SIZE_MAX = 10000,
    GH_POLICIES_MAX = 1000,         /* device policies of a tenant */
    GH_POLICIES_OF_TARGET_MAX = 10, /* attached to one tenant, registry, group, device or
                                     * credential */
    GH_GROUPS_MAX = 1000,           /* of devices, of a tenant */
    GH_GROUPS_OF_DEVICE_MAX = 10,   /* that one device is in */
    GH_ROLES_MAX = 100,             /* custom ones, of a tenant or of the house */
    GH_ROLE_TITLE_BYTES_MAX = 256,
    GH_POLICY_NAME_BYTES_MAX = 128,
    GH_DEVICE_POLICY_BYTES_MAX = 20 * 1024,
};

/* Registry and device ids: 3 to 255 of [a-zA-Z][-a-zA-Z0-9._+~%]+, not beginning with "goog". */
bool gh_id_valid(struct gh_slice id);
/* Tenant names: 1 to 63 of [a-zA-Z0-9][-a-zA-Z0-9._]*, not only digits (those mean a number). */
bool gh_tenant_name_valid(struct gh_slice name);
/* A tenant's name in a dialect: 1 to 255 of [a-zA-Z0-9][-a-zA-Z0-9._:]*. */
bool gh_dialect_name_valid(struct gh_slice name);
/* Names of device policies, groups and custom roles: 1 to 128 of [a-zA-Z0-9_+=,.@-], as AWS has
 * them. */
bool gh_policy_name_valid(struct gh_slice name);
/* Placement labels: empty, or 1 to 64 of [a-zA-Z0-9][-a-zA-Z0-9]*. */
bool gh_location_valid(struct gh_slice location);
/* Channels: valid UTF-8 without '+', '#', NUL and control characters, no leading '/', at most 256
 * bytes. */
bool gh_channel_valid(struct gh_slice channel);

/* The rules for the lists; the field that breaks one is named in `error`. */
GH_MUST_USE enum gh_error_code gh_attributes_check(const struct gh_attribute *attributes,
                                                   size_t count, struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_routes_check(const struct gh_route *routes, size_t count,
                                               struct gh_error *error);
#endif
