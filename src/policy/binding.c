#include "policy/binding.h"
#include "wire/json.h"
#include <stdio.h>

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

/* Whether one binding gives it; `answer` learns of a condition that stands in the way. */
static bool gives(const json_t *binding, const struct gh_bindings_question *question,
                  struct gh_bindings_answer *answer)
{
    char why[GH_CONDITION_WHY_MAX] = "";
    struct gh_slice name;
    if (!gh_json_text(binding, "role", &name) ||
        !gh_role_has(&question->roles, name, question->permission) ||
        !names(json_object_get(binding, "members"), question->member))
        return false;
    bool holds = gh_condition_holds(json_object_get(binding, "condition"), &question->facts, why);
    if (holds || answer->unmet[0] == '\0') {
        snprintf(answer->role, sizeof answer->role, "%.*s", GH_PRINT(name));
        snprintf(answer->unmet, sizeof answer->unmet, "%s", holds ? "" : why);
    }
    return holds;
}

bool gh_bindings_grant(struct gh_slice policy, const struct gh_bindings_question *question,
                       struct gh_bindings_answer *answer)
{
    *answer = (struct gh_bindings_answer){0};
    if (policy.size == 0 || question->member.size == 0)
        return false;
    json_t *root = gh_json_read(policy, NULL), *bindings, *each;
    bool granted = false;
    size_t i;
    if (gh_json_array(root, "bindings", &bindings)) {
        json_array_foreach(bindings, i, each)
        {
            granted = gives(each, question, answer);
            if (granted)
                break;
        }
    }
    json_decref(root);
    return granted;
}

bool gh_binding_is_native(const json_t *binding)
{
    struct gh_slice name = gh_json_slice(json_object_get(binding, "role"));
    return json_object_get(binding, "condition") != NULL ||
           !gh_slice_starts(name, GH_SLICE("roles/"));
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

static bool check_condition(const json_t *condition, const struct gh_policy_roles *roles,
                            struct gh_error *error)
{
    if (condition == NULL)
        return true;
    if (roles != NULL)
        return gh_condition_check(condition, error) == GH_OK;
    gh_error_set(error, GH_ERROR_INVALID, "policy.bindings.condition: conditions are not served");
    return false;
}

static bool check_role(struct gh_slice name, const struct gh_policy_roles *roles,
                       struct gh_error *error)
{
    static const struct gh_policy_roles none;
    if (gh_role_exists(roles != NULL ? roles : &none, name) &&
        (roles != NULL || gh_slice_starts(name, GH_SLICE("roles/"))))
        return true;
    gh_error_set(error, GH_ERROR_INVALID, "policy.bindings.role: there is no role \"%.*s\"",
                 GH_PRINT(gh_slice_sub(name, 0, 80)));
    return false;
}

/* Appends the binding to `out`. */
static bool check_binding(const json_t *binding, const struct gh_policy_roles *roles, json_t *out,
                          size_t *count, struct gh_error *error)
{
    static const char *const keys[] = {"role", "members", "condition"};
    struct gh_slice name = {0};
    json_t *members = NULL, *condition = json_object_get(binding, "condition");
    if (!gh_json_only(binding, keys, GH_COUNT(keys), error) ||
        !check_condition(condition, roles, error) ||
        !gh_json_get_text(binding, "role", GH_JSON_REQUIRED, &name, error) ||
        !gh_json_get_array(binding, "members", GH_JSON_OPTIONAL, &members, error) ||
        !check_role(name, roles, error))
        return false;
    json_t *kept = json_pack("{s:o, s:[]}", "role", gh_json_new_text(name), "members");
    if (json_array_append_new(out, kept) != 0 ||
        (condition != NULL && json_object_set(kept, "condition", condition) != 0)) {
        gh_error_set(error, GH_ERROR_MEMORY, "policy.bindings");
        return false;
    }
    return check_members(members, json_object_get(kept, "members"), count, error);
}

json_t *gh_bindings_check(const json_t *policy, const struct gh_policy_roles *roles,
                          struct gh_error *error)
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
        if (!check_binding(each, roles, json_object_get(out, "bindings"), &count, error)) {
            json_decref(out);
            return NULL;
        }
    }
    return out;
}
