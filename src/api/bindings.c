/* Bindings: which members have which roles in the whole house, on a tenant, a registry, a group or
 * a device. */
#include "api/call_internal.h"
#include "observe/trail.h"
#include "policy/binding.h"

/* Where the bindings of the path stand, and what decides there. */
struct place {
    struct gh_registry registry;
    struct gh_device device;
    struct gh_grant_row grant;
    struct gh_policy_scope scope;
    struct gh_slice policy, etag;
};

static enum gh_error_code find_grant(struct call *call, struct place *place)
{
    enum gh_error_code code = gh_directory_grant_get(call->api->services.directory, &place->grant,
                                                     call->arena, &call->error);
    place->policy = place->grant.policy;
    place->etag = place->grant.etag;
    return code;
}

static enum gh_error_code find_group(struct call *call, struct place *place)
{
    struct gh_device_group group;
    enum gh_error_code code =
        gh_directory_group_find(call->api->services.directory, call->tenant.number,
                                call->captures[1], call->arena, &group, &call->error);
    place->grant = (struct gh_grant_row){.tenant = call->tenant.number, .group = group.number};
    if (code == GH_OK)
        code = call_scope_group(call, &group, &place->scope);
    return code == GH_OK ? find_grant(call, place) : code;
}

static enum gh_error_code find_below(struct call *call, struct place *place)
{
    enum gh_error_code code = call_registry(call, &place->registry);
    if (code != GH_OK)
        return code;
    place->scope.registry_policy = place->policy = place->registry.policy;
    place->etag = place->registry.policy_etag;
    if (call->level == CALL_REGISTRY)
        return GH_OK;
    code = call_device(call, &place->device);
    place->grant =
        (struct gh_grant_row){.tenant = call->tenant.number, .device = place->device.number};
    if (code == GH_OK)
        code = call_scope_device(call, &place->device, &place->scope);
    return code == GH_OK ? find_grant(call, place) : code;
}

static enum gh_error_code find(struct call *call, struct place *place)
{
    *place = (struct place){0};
    enum gh_error_code code = call_scope(call, &call->tenant, &place->scope);
    if (code != GH_OK)
        return code;
    if (call->level == CALL_HOUSE)
        return gh_directory_house_policy_get(call->api->services.directory, call->arena,
                                             &place->policy, &place->etag, &call->error);
    if (call->level == CALL_GROUP)
        return find_group(call, place);
    if (call->level != CALL_TENANT)
        return find_below(call, place);
    place->policy = call->tenant.policy;
    place->etag = call->tenant.policy_etag;
    return GH_OK;
}

static json_t *bindings_to_json(struct gh_slice policy, struct gh_slice etag)
{
    json_t *root = policy.size > 0 ? gh_json_read(policy, NULL) : NULL, *bindings = NULL;
    json_t *value = gh_json_array(root, "bindings", &bindings)
                        ? json_pack("{s:O}", "bindings", bindings)
                        : json_pack("{s:[]}", "bindings");
    json_object_set_new(value, "etag", json_slice(etag));
    json_decref(root);
    return value;
}

enum gh_error_code api_bindings_get(struct call *call)
{
    struct place *place = gh_arena_alloc(call->arena, sizeof *place);
    if (place == NULL)
        return call_fail(call, GH_ERROR_MEMORY, "bindings");
    enum gh_error_code code = find(call, place);
    if (code == GH_OK)
        call->answer = bindings_to_json(place->policy, place->etag);
    return code;
}

/* --- writing --- */

static bool is_among(const json_t *list, const json_t *binding)
{
    size_t i;
    json_t *each;
    json_array_foreach(list, i, each)
    {
        if (json_equal(each, binding))
            return true;
    }
    return false;
}

/* Nobody gives what he has not himself there. What stood there before may stay. */
static enum gh_error_code check_covered(struct call *call, const struct place *place,
                                        const json_t *kept)
{
    json_t *before = bindings_to_json(place->policy, place->etag), *each;
    enum gh_error_code code = GH_OK;
    size_t i;
    json_array_foreach(json_object_get(kept, "bindings"), i, each)
    {
        if (code == GH_OK && !is_among(json_object_get(before, "bindings"), each))
            code = call_covers(call, gh_json_slice(json_object_get(each, "role")), &place->scope);
    }
    json_decref(before);
    return code;
}

static void note(struct call *call, const struct place *place, const char *what,
                 const json_t *binding, const char *member)
{
    const char *role = json_string_value(json_object_get(binding, "role"));
    bool conditional = json_object_get(binding, "condition") != NULL;
    char *detail = gh_arena_print(
        call->arena, "%.*s: %s for %s%s%s%.*s", GH_PRINT(call->caller.name),
        role != NULL ? role : "", member, conditional ? ", on a condition" : "",
        call->level == CALL_GROUP ? ", on the group " : "",
        GH_PRINT(call->level == CALL_GROUP ? call->captures[1] : (struct gh_slice){0}));
    gh_trail_note(call->api->services.trail,
                  &(struct gh_trail_entry){.at_ms = call->now_ms,
                                           .device = place->device.number,
                                           .tenant = call->tenant.name,
                                           .registry = place->registry.name,
                                           .device_id = place->device.id,
                                           .kind = GH_TRAIL_OPERATOR,
                                           .reason = gh_slice_text(what),
                                           .detail = gh_slice_text(detail),
                                           .address = gh_slice_text(call->request->peer)});
}

/* Whether `member` has the role of `binding`, on the same condition, in `list`. */
static bool has_it(const json_t *list, const json_t *binding, const json_t *member)
{
    size_t i;
    json_t *each;
    const json_t *condition = json_object_get(binding, "condition");
    json_array_foreach(list, i, each)
    {
        const json_t *other = json_object_get(each, "condition");
        bool same = condition == NULL ? other == NULL : json_equal(condition, other) == 1;
        if (same && json_equal(json_object_get(each, "role"), json_object_get(binding, "role")) &&
            is_among(json_object_get(each, "members"), member))
            return true;
    }
    return false;
}

/* An entry for each member of `list` who has a role that he has not in `other`. */
static void note_differences(struct call *call, const struct place *place, const char *what,
                             const json_t *list, const json_t *other)
{
    size_t i, k;
    json_t *binding, *member;
    json_array_foreach(list, i, binding)
    {
        json_array_foreach(json_object_get(binding, "members"), k, member)
        {
            if (!has_it(other, binding, member))
                note(call, place, what, binding, json_string_value(member));
        }
    }
}

static void note_change(struct call *call, const struct place *place, const json_t *kept)
{
    json_t *before = bindings_to_json(place->policy, place->etag);
    const json_t *old = json_object_get(before, "bindings"),
                 *new = json_object_get(kept, "bindings");
    note_differences(call, place, "BOUND", new, old);
    note_differences(call, place, "UNBOUND", old, new);
    json_decref(before);
}

static enum gh_error_code store(struct call *call, const struct place *place,
                                struct gh_slice policy, struct gh_slice before,
                                struct gh_slice *etag)
{
    struct gh_directory *directory = call->api->services.directory;
    struct gh_grant_row grant = place->grant;
    grant.policy = policy;
    if (call->level == CALL_HOUSE)
        return gh_directory_house_policy_set(directory, policy, before, call->arena, etag,
                                             &call->error);
    if (call->level == CALL_TENANT)
        return gh_directory_tenant_policy_set(directory, call->tenant.number, policy, before,
                                              call->arena, etag, &call->error);
    if (call->level == CALL_REGISTRY)
        return gh_directory_registry_policy_set(directory, place->registry.number, policy, before,
                                                call->arena, etag, &call->error);
    return gh_directory_grant_set(directory, &grant, before, call->arena, etag, &call->error);
}

static enum gh_error_code write(struct call *call, const struct place *place, const json_t *kept,
                                struct gh_slice before)
{
    struct gh_buffer text;
    struct gh_slice etag;
    bool empty = json_array_size(json_object_get(kept, "bindings")) == 0;
    gh_buffer_init(&text, GH_POLICY_BYTES_MAX);
    enum gh_error_code code =
        gh_json_write(kept, &text)
            ? store(call, place, empty ? (struct gh_slice){0} : gh_buffer_slice(&text), before,
                    &etag)
            : call_fail(call, GH_ERROR_INVALID, "bindings: at most %d bytes together",
                        GH_POLICY_BYTES_MAX);
    if (code == GH_OK)
        call->answer = bindings_to_json(gh_buffer_slice(&text), etag);
    gh_buffer_deinit(&text);
    return code;
}

/* {"bindings": […], "etag"?}: replaces all that stand there (an empty etag: when none do). The
 * change is made to the bindings that were read here, so that between them and the check of what is
 * given nothing slips in. */
enum gh_error_code api_bindings_put(struct call *call)
{
    struct place *place = gh_arena_alloc(call->arena, sizeof *place);
    struct gh_slice etag = {0};
    if (place == NULL)
        return call_fail(call, GH_ERROR_MEMORY, "bindings");
    enum gh_error_code code = find(call, place);
    if (code != GH_OK)
        return code;
    if (!gh_json_get_text(call->body, "etag", 0, &etag, &call->error))
        return call->error.code;
    if (json_object_get(call->body, "etag") != NULL && !gh_slice_equal(etag, place->etag))
        return call_fail(call, GH_ERROR_CONFLICT, "the bindings were changed in between");
    json_t *kept = gh_bindings_check(call->body, &place->scope.roles, &call->error);
    if (kept == NULL)
        return call->error.code;
    code = check_covered(call, place, kept);
    if (code == GH_OK)
        code = write(call, place, kept, place->etag.size > 0 ? place->etag : GH_SLICE("-"));
    if (code == GH_OK)
        note_change(call, place, kept);
    json_decref(kept);
    return code;
}
