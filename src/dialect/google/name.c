#include "dialect/google/rest_internal.h"

static const struct gh_slice iot_prefix = GH_SLICE_INIT("cloudiot.");
static const struct gh_slice pubsub_prefix = GH_SLICE_INIT("pubsub.");

static bool is_iot(struct gh_slice core)
{
    return gh_slice_starts(core, GH_SLICE("registries.")) ||
           gh_slice_starts(core, GH_SLICE("devices."));
}

const char *google_permission_print(struct google_call *call, enum gh_permission permission)
{
    const char *core = gh_permission_name(permission);
    return gh_arena_print(call->arena, "%s%s", is_iot(gh_slice_text(core)) ? "cloudiot." : "",
                          core);
}

bool google_permission_read(struct gh_slice name, enum gh_permission *out)
{
    if (gh_slice_starts(name, pubsub_prefix))
        return gh_permission_find(name, out);
    struct gh_slice core = gh_slice_sub(name, iot_prefix.size, name.size);
    return gh_slice_starts(name, iot_prefix) && is_iot(core) && gh_permission_find(core, out);
}

/* The project's id, its numeric alias, or what the path of this call says. */
static bool is_own_project(const struct google_call *call, struct gh_slice project)
{
    uint64_t number;
    return gh_slice_equal(project, call->tenant.google_project) ||
           gh_slice_equal(project, call->project) ||
           (gh_slice_to_u64(project, &number) && number == (uint64_t)call->tenant.number);
}

enum gh_error_code google_name_read(struct google_call *call, const char *field,
                                    const char *collection, struct gh_slice full,
                                    struct gh_slice *plain)
{
    struct gh_slice rest = full;
    bool is_path = gh_slice_equal(gh_slice_split(&rest, '/'), GH_SLICE("projects"));
    struct gh_slice project = gh_slice_split(&rest, '/');
    is_path = is_path && gh_slice_equal(gh_slice_split(&rest, '/'), gh_slice_text(collection));
    if (!is_path || project.size == 0 || rest.size == 0 || gh_slice_find(rest, '/') != rest.size)
        return google_fail(call, GH_ERROR_INVALID, "%s: it must be projects/PROJECT/%s/NAME", field,
                           collection);
    if (!is_own_project(call, project))
        return google_fail(call, GH_ERROR_INVALID, "%s: it belongs to another project", field);
    *plain = rest;
    return GH_OK;
}

enum gh_error_code google_topic_read(struct google_call *call, const char *field,
                                     struct gh_slice full, struct gh_slice *plain)
{
    return google_name_read(call, field, "topics", full, plain);
}

const char *google_name_print(struct google_call *call, const char *collection,
                              struct gh_slice name)
{
    return gh_arena_print(call->arena, "projects/%.*s/%s/%.*s",
                          GH_PRINT(call->tenant.google_project), collection, GH_PRINT(name));
}
