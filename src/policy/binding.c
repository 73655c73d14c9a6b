#include "policy/binding.h"
#include "wire/json.h"

/* ---- reading ---- */

static bool names(const json_t *members, struct gh_slice member)
{
    size_t i;
    json_t *each;
    json_array_foreach(members, i, each)
    {
        if (json_is_string(each) && gh_slice_equal(gh_json_slice(each), member))
            return true;
    }
    return false;
}

bool gh_bindings_grant(struct gh_slice policy, struct gh_slice member,
                       enum gh_permission permission, enum gh_role *role)
{
    if (policy.size == 0 || member.size == 0)
        return false;
    json_t *root = gh_json_read(policy, NULL), *bindings, *each;
    bool granted = false;
    size_t i;
    if (gh_json_array(root, "bindings", &bindings)) {
        json_array_foreach(bindings, i, each)
        {
            struct gh_slice name;
            enum gh_role given;
            if (!gh_json_text(each, "role", &name) || !gh_role_find(name, &given) ||
                gh_role_is_own(given) || json_object_get(each, "condition") != NULL ||
                !gh_role_grants(given, permission) ||
                !names(json_object_get(each, "members"), member))
                continue;
            *role = given;
            granted = true;
            break;
        }
    }
    json_decref(root);
    return granted;
}

/* ---- checking ---- */

static const struct gh_slice member_kinds[] = {
    GH_SLICE_INIT("user:"),   GH_SLICE_INIT("serviceAccount:"), GH_SLICE_INIT("group:"),
    GH_SLICE_INIT("domain:"), GH_SLICE_INIT("device:"),
};

static bool member_valid(struct gh_slice member)
{
    if (member.size > GH_BINDINGS_MEMBER_BYTES_MAX)
        return false;
    for (size_t i = 0; i < GH_COUNT(member_kinds); i++) {
        if (gh_slice_starts(member, member_kinds[i]))
            return member.size > member_kinds[i].size;
    }
    return false;
}

/* Appends the members to `out` and counts them. */
static bool check_members(const json_t *members, json_t *out, size_t *count, struct gh_error *error)
{
    size_t i;
    json_t *each;
    json_array_foreach(members, i, each)
    {
        struct gh_slice member = gh_json_slice(each);
        if (!json_is_string(each) || !member_valid(member)) {
            gh_error_set(error, GH_ERROR_INVALID,
                         "policy.bindings.members: \"%.*s\" is not user:, serviceAccount:, group:, "
                         "domain: or device: and a name",
                         GH_PRINT(gh_slice_sub(member, 0, 80)));
            return false;
        }
        if (++*count > GH_BINDINGS_MEMBERS_MAX) {
            gh_error_set(error, GH_ERROR_INVALID, "policy.bindings: more than %d members",
                         GH_BINDINGS_MEMBERS_MAX);
            return false;
        }
        if (json_array_append(out, each) != 0) {
            gh_error_set(error, GH_ERROR_MEMORY, "policy.bindings");
            return false;
        }
    }
    return true;
}

/* Appends the binding to `out`. */
static bool check_binding(const json_t *binding, json_t *out, size_t *count, struct gh_error *error)
{
    static const char *const keys[] = {"role", "members"};
    struct gh_slice name;
    json_t *members = NULL;
    enum gh_role role;
    if (json_is_object(binding) && json_object_get(binding, "condition") != NULL) {
        gh_error_set(error, GH_ERROR_INVALID,
                     "policy.bindings.condition: conditions are not served");
        return false;
    }
    if (!gh_json_only(binding, keys, GH_COUNT(keys), error) ||
        !gh_json_get_text(binding, "role", GH_JSON_REQUIRED, &name, error) ||
        !gh_json_get_array(binding, "members", GH_JSON_OPTIONAL, &members, error))
        return false;
    if (!gh_role_find(name, &role) || gh_role_is_own(role)) {
        gh_error_set(error, GH_ERROR_INVALID, "policy.bindings.role: there is no role \"%.*s\"",
                     GH_PRINT(gh_slice_sub(name, 0, 80)));
        return false;
    }
    json_t *kept = json_pack("{s:s, s:[]}", "role", gh_role_name(role), "members");
    if (json_array_append_new(out, kept) != 0) {
        gh_error_set(error, GH_ERROR_MEMORY, "policy.bindings");
        return false;
    }
    return check_members(members, json_object_get(kept, "members"), count, error);
}

json_t *gh_bindings_check(const json_t *policy, struct gh_error *error)
{
    static const char *const keys[] = {"version", "bindings", "etag"};
    json_t *bindings = NULL, *each, *out;
    int64_t version = 1;
    size_t i, count = 0;
    if (!gh_json_only(policy, keys, GH_COUNT(keys), error) ||
        !gh_json_get_i64(policy, "version", GH_JSON_OPTIONAL, &version, error) ||
        !gh_json_get_array(policy, "bindings", GH_JSON_OPTIONAL, &bindings, error))
        return NULL;
    if (version != 0 && version != 1 && version != 3) { /* 2 never existed; 3 allows conditions */
        gh_error_set(error, GH_ERROR_INVALID, "policy.version: 1 is the only one served");
        return NULL;
    }
    out = json_pack("{s:i, s:[]}", "version", 1, "bindings");
    if (out == NULL) {
        gh_error_set(error, GH_ERROR_MEMORY, "policy");
        return NULL;
    }
    json_array_foreach(bindings, i, each)
    {
        if (!check_binding(each, json_object_get(out, "bindings"), &count, error)) {
            json_decref(out);
            return NULL;
        }
    }
    return out;
}
