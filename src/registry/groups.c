/* The directory's groups of devices: names, and who is told of a change. */
#include "base/time.h"
#include "registry/directory_internal.h"

enum gh_error_code gh_directory_group_create(struct gh_directory *directory, int64_t tenant,
                                             struct gh_slice name, struct gh_error *error)
{
    struct gh_device_group group = {
        .tenant = tenant, .name = name, .created_at_ms = gh_time_utc_ms()};
    if (!gh_policy_name_valid(name))
        return gh_error_set(error, GH_ERROR_INVALID,
                            "group name: 1 to %d of a-z A-Z 0-9 _ + = , . @ -",
                            GH_POLICY_NAME_BYTES_MAX);
    return gh_store_group_create(directory->store, &group, GH_GROUPS_MAX, error);
}

enum gh_error_code gh_directory_group_find(struct gh_directory *directory, int64_t tenant,
                                           struct gh_slice name, struct gh_arena *arena,
                                           struct gh_device_group *out, struct gh_error *error)
{
    return gh_store_group_find(directory->store, tenant, name, arena, out, error);
}

enum gh_error_code gh_directory_group_list(struct gh_directory *directory, int64_t tenant,
                                           struct gh_arena *arena, struct gh_device_group **out,
                                           size_t *count, struct gh_error *error)
{
    return gh_store_group_list(directory->store, tenant, arena, out, count, error);
}

/* Its members are known no more when it is gone: the whole tenant is told. */
enum gh_error_code gh_directory_group_delete(struct gh_directory *directory,
                                             const struct gh_device_group *group,
                                             struct gh_error *error)
{
    enum gh_error_code code = gh_store_group_delete(directory->store, group->number, error);
    if (code == GH_OK)
        gh_directory_tell_policies(directory, group->tenant, 0, 0);
    return code;
}

enum gh_error_code gh_directory_group_add(struct gh_directory *directory,
                                          const struct gh_device_group *group, uint64_t device,
                                          struct gh_error *error)
{
    enum gh_error_code code =
        gh_store_group_add(directory->store, group->number, device, GH_GROUPS_OF_DEVICE_MAX, error);
    if (code == GH_OK)
        gh_directory_tell_policies(directory, group->tenant, 0, device);
    return code;
}

enum gh_error_code gh_directory_group_remove(struct gh_directory *directory,
                                             const struct gh_device_group *group, uint64_t device,
                                             struct gh_error *error)
{
    enum gh_error_code code = gh_store_group_remove(directory->store, group->number, device, error);
    if (code == GH_OK)
        gh_directory_tell_policies(directory, group->tenant, 0, device);
    return code;
}

enum gh_error_code gh_directory_group_members(struct gh_directory *directory,
                                              const struct gh_device_group *group, uint64_t after,
                                              size_t limit, struct gh_arena *arena,
                                              struct gh_device_group_member **out, size_t *count,
                                              struct gh_error *error)
{
    return gh_store_group_members(directory->store, group->number, after, limit, arena, out, count,
                                  error);
}
