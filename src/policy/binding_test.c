#include "policy/binding.h"
#include "tests/check.h"
#include "wire/json.h"
#include <string.h>

static const struct gh_custom_role custom[] = {
    {.tenant = 7, .name = GH_SLICE_INIT("care"), .permissions = GH_SLICE_INIT("devices.get")},
    {.tenant = 0, .name = GH_SLICE_INIT("night"), .permissions = GH_SLICE_INIT("devices.kick")},
};
static const struct gh_policy_roles roles = {custom, GH_COUNT(custom)};

/* Policies and what is kept of them, in either grammar; NULL: refused. */
static const struct {
    const char *claim, *policy, *kept;
} cases[] = {
    {"as the Node client sends it",
     "{\"bindings\":[{\"members\":[\"user:a@b.c\"],\"role\":\"roles/"
     "cloudiot.provisioner\"}],\"etag\":\"eA==\"}",
     "{\"version\":1,\"bindings\":[{\"role\":\"roles/"
     "cloudiot.provisioner\",\"members\":[\"user:a@b.c\"]}]}"},
    {"an empty policy", "{}", "{\"version\":1,\"bindings\":[]}"},
    {"a binding without members", "{\"version\":3,\"bindings\":[{\"role\":\"roles/owner\"}]}",
     "{\"version\":1,\"bindings\":[{\"role\":\"roles/owner\",\"members\":[]}]}"},
    {"a device with an access token",
     "{\"bindings\":[{\"role\":\"roles/viewer\",\"members\":[\"device:acme/hall/probe-1\"]}]}",
     "{\"version\":1,\"bindings\":[{\"role\":\"roles/viewer\",\"members\":[\"device:acme/hall/"
     "probe-1\"]}]}"},
    {"an unknown role", "{\"bindings\":[{\"role\":\"roles/root\",\"members\":[]}]}", NULL},
    {"a condition",
     "{\"bindings\":[{\"role\":\"roles/viewer\",\"members\":[],\"condition\":{\"title\":\"t\"}}]}",
     NULL},
    {"everybody", "{\"bindings\":[{\"role\":\"roles/viewer\",\"members\":[\"allUsers\"]}]}", NULL},
    {"a member without a name",
     "{\"bindings\":[{\"role\":\"roles/viewer\",\"members\":[\"user:\"]}]}", NULL},
    {"a member that is no text", "{\"bindings\":[{\"role\":\"roles/viewer\",\"members\":[1]}]}",
     NULL},
    {"an unknown field", "{\"auditConfigs\":[]}", NULL},
    {"an unknown version", "{\"version\":2}", NULL},
    {"bindings that are no list", "{\"bindings\":{}}", NULL},
    {"no object", "[]", NULL},
};

/* What IAM's grammar refuses and ours keeps. */
static const struct {
    const char *claim, *policy, *kept;
} native_cases[] = {
    {"a role of tokens", "{\"bindings\":[{\"role\":\"administrator\",\"members\":[]}]}",
     "{\"version\":1,\"bindings\":[{\"role\":\"administrator\",\"members\":[]}]}"},
    {"a role of the tenant", "{\"bindings\":[{\"role\":\"custom/care\",\"members\":[\"user:a\"]}]}",
     "{\"version\":1,\"bindings\":[{\"role\":\"custom/care\",\"members\":[\"user:a\"]}]}"},
    {"a role of the house", "{\"bindings\":[{\"role\":\"house/night\"}]}",
     "{\"version\":1,\"bindings\":[{\"role\":\"house/night\",\"members\":[]}]}"},
    {"the house's role is not the tenant's", "{\"bindings\":[{\"role\":\"custom/night\"}]}", NULL},
    {"a condition of ours",
     "{\"bindings\":[{\"role\":\"roles/"
     "viewer\",\"members\":[],\"condition\":{\"hours\":\"08:00-17:00\"}}]}",
     "{\"version\":1,\"bindings\":[{\"role\":\"roles/"
     "viewer\",\"members\":[],\"condition\":{\"hours\":\"08:00-17:00\"}}]}"},
};

static void check_member_limit(void)
{
    json_t *members = json_array();
    struct gh_error error;
    for (size_t i = 0; i < GH_BINDINGS_MEMBERS_MAX; i++)
        json_array_append_new(members, json_string("user:a"));
    json_t *policy =
        json_pack("{s:[{s:s, s:O}]}", "bindings", "role", "roles/viewer", "members", members);
    json_t *kept = gh_bindings_check(policy, NULL, &error);
    CHECK("as many members as the limit", kept != NULL);
    json_decref(kept);
    json_array_append_new(members, json_string("user:a"));
    CHECK("one member too many", gh_bindings_check(policy, NULL, &error) == NULL);
    json_decref(policy);
    json_decref(members);
}

static void check_case(const char *claim, const char *text, const char *expected,
                       const struct gh_policy_roles *grammar)
{
    struct gh_error error = {0};
    json_t *policy = gh_json_read(gh_slice_text(text), &error);
    REQUIRE(claim, policy != NULL);
    json_t *kept = gh_bindings_check(policy, grammar, &error);
    CHECK(claim, (kept != NULL) == (expected != NULL));
    if (kept != NULL && expected != NULL) {
        struct gh_buffer written;
        gh_buffer_init(&written, 4096);
        gh_json_write(kept, &written);
        CHECK(claim, gh_slice_equal(gh_buffer_slice(&written), gh_slice_text(expected)));
        gh_buffer_deinit(&written);
    } else {
        CHECK(claim, error.code == GH_ERROR_INVALID);
    }
    json_decref(kept);
    json_decref(policy);
}

int main(void)
{
    for (size_t i = 0; i < GH_COUNT(cases); i++) {
        check_case(cases[i].claim, cases[i].policy, cases[i].kept, NULL);
        check_case(cases[i].claim, cases[i].policy, cases[i].kept, &roles);
    }
    for (size_t i = 0; i < GH_COUNT(native_cases); i++) {
        check_case(native_cases[i].claim, native_cases[i].policy, NULL, NULL);
        check_case(native_cases[i].claim, native_cases[i].policy, native_cases[i].kept, &roles);
    }
    check_member_limit();
    return check_report();
}
