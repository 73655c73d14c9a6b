/* Groups of devices: what is attached to one holds for all its devices. */
#include "api/call_internal.h"
#include "observe/trail.h"

enum { MEMBERS_PAGE_MAX = 1000 };

static json_t *group_to_json(const struct gh_device_group *group)
{
    return json_pack("{s:o, s:I, s:o}", "name", json_slice(group->name), "members",
                     (json_int_t)group->members, "created_at", json_time(group->created_at_ms));
}

static void note_change(struct call *call, const char *what, struct gh_slice registry,
                        const struct gh_device *device)
{
    call_note(call, what, registry, device, call->captures[1]);
}

/* The group of the path. */
static enum gh_error_code find_group(struct call *call, struct gh_device_group *out)
{
    return gh_directory_group_find(call->api->services.directory, call->tenant.number,
                                   call->captures[1], call->arena, out, &call->error);
}

enum gh_error_code api_group_list(struct call *call)
{
    struct gh_device_group *groups;
    size_t count;
    enum gh_error_code code =
        gh_directory_group_list(call->api->services.directory, call->tenant.number, call->arena,
                                &groups, &count, &call->error);
    if (code != GH_OK)
        return code;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, group_to_json(&groups[i]));
    call->answer = json_pack("{s:o}", "groups", list);
    return GH_OK;
}

enum gh_error_code api_group_create(struct call *call)
{
    struct gh_device_group group;
    enum gh_error_code code = gh_directory_group_create(
        call->api->services.directory, call->tenant.number, call->captures[1], &call->error);
    if (code == GH_OK)
        code = find_group(call, &group);
    if (code != GH_OK)
        return code;
    note_change(call, "GROUP_CREATED", (struct gh_slice){0}, NULL);
    call->status = 201;
    call->answer = group_to_json(&group);
    return GH_OK;
}

/* ?after=NUMBER&limit=N: with a page of its devices, by their numbers. */
enum gh_error_code api_group_get(struct call *call)
{
    struct gh_device_group group;
    struct gh_device_group_member *members;
    uint64_t after, limit;
    size_t count;
    if (!call_query_u64(call, "after", 0, INT64_MAX, 0, &after) ||
        !call_query_u64(call, "limit", 1, MEMBERS_PAGE_MAX, MEMBERS_PAGE_MAX, &limit))
        return call->error.code;
    enum gh_error_code code = find_group(call, &group);
    if (code == GH_OK)
        code =
            gh_directory_group_members(call->api->services.directory, &group, after, (size_t)limit,
                                       call->arena, &members, &count, &call->error);
    if (code != GH_OK)
        return code;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_pack("{s:o, s:o, s:o}", "registry",
                                              json_slice(members[i].registry_name), "device",
                                              json_slice(members[i].device_id), "number",
                                              json_number_text(members[i].device)));
    call->answer = group_to_json(&group);
    json_object_set_new(call->answer, "devices", list);
    return GH_OK;
}

enum gh_error_code api_group_delete(struct call *call)
{
    struct gh_device_group group;
    enum gh_error_code code = find_group(call, &group);
    if (code == GH_OK)
        code = gh_directory_group_delete(call->api->services.directory, &group, &call->error);
    if (code == GH_OK)
        note_change(call, "GROUP_DELETED", (struct gh_slice){0}, NULL);
    return code;
}

/* The right on the group is the route's; the device's is asked here. What is put into a group that
 * has bindings is given into the hands of their members. */
static enum gh_error_code check_device(struct call *call, const struct gh_device_group *group,
                                       const struct gh_device *device, bool puts)
{
    struct gh_grant_row grant = {.group = group->number};
    enum gh_permission needed = GH_PERMISSION_POLICIES_ATTACH;
    enum gh_error_code code =
        gh_directory_grant_get(call->api->services.directory, &grant, call->arena, &call->error);
    if (code != GH_OK)
        return code;
    if (puts && grant.policy.size > 0)
        needed = GH_PERMISSION_BINDINGS_SET;
    return call_may_on_device(call, needed, device)
               ? GH_OK
               : call_fail(call, GH_ERROR_DENIED, "%s on the device%s", gh_permission_name(needed),
                           needed == GH_PERMISSION_BINDINGS_SET
                               ? ", for the group has bindings, which will hold for it"
                               : "");
}

/* {"registry", "device"} */
static enum gh_error_code change_member(struct call *call, const char *what, bool puts,
                                        enum gh_error_code (*change)(struct gh_directory *,
                                                                     const struct gh_device_group *,
                                                                     uint64_t, struct gh_error *))
{
    static const char *const keys[] = {"registry", "device"};
    struct gh_directory *directory = call->api->services.directory;
    struct gh_slice registry = {0}, id = {0};
    struct gh_device_group group;
    struct gh_device device;
    if (!gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_text(call->body, "registry", GH_JSON_REQUIRED, &registry, &call->error) ||
        !gh_json_get_text(call->body, "device", GH_JSON_REQUIRED, &id, &call->error))
        return call->error.code;
    enum gh_error_code code = find_group(call, &group);
    if (code == GH_OK)
        code =
            gh_directory_device_find(directory, call->tenant.number, registry, (struct gh_slice){0},
                                     id, call->arena, &device, &call->error);
    if (code == GH_OK)
        code = check_device(call, &group, &device, puts);
    if (code == GH_OK)
        code = change(directory, &group, device.number, &call->error);
    if (code == GH_OK)
        note_change(call, what, registry, &device);
    return code;
}

enum gh_error_code api_group_add(struct call *call)
{
    return change_member(call, "GROUP_JOINED", true, gh_directory_group_add);
}

enum gh_error_code api_group_remove(struct call *call)
{
    return change_member(call, "GROUP_LEFT", false, gh_directory_group_remove);
}
