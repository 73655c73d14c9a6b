#include "policy/binding.h"
#include "tests/check.h"
#include "wire/json.h"
#include <string.h>

/* Bodies of setIamPolicy's `policy` and what is kept of them; NULL: refused. */
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
    {"a role of tokens", "{\"bindings\":[{\"role\":\"administrator\",\"members\":[]}]}", NULL},
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

static void check_member_limit(void)
{
    json_t *members = json_array();
    struct gh_error error;
    for (size_t i = 0; i < GH_BINDINGS_MEMBERS_MAX; i++)
        json_array_append_new(members, json_string("user:a"));
    json_t *policy =
        json_pack("{s:[{s:s, s:O}]}", "bindings", "role", "roles/viewer", "members", members);
    json_t *kept = gh_bindings_check(policy, &error);
    CHECK("as many members as the limit", kept != NULL);
    json_decref(kept);
    json_array_append_new(members, json_string("user:a"));
    CHECK("one member too many", gh_bindings_check(policy, &error) == NULL);
    json_decref(policy);
    json_decref(members);
}

int main(void)
{
    for (size_t i = 0; i < GH_COUNT(cases); i++) {
        struct gh_error error = {0};
        json_t *policy = gh_json_read(gh_slice_text(cases[i].policy), &error);
        REQUIRE(cases[i].claim, policy != NULL);
        json_t *kept = gh_bindings_check(policy, &error);
        CHECK(cases[i].claim, (kept != NULL) == (cases[i].kept != NULL));
        if (kept != NULL) {
            struct gh_buffer text;
            gh_buffer_init(&text, 4096);
            gh_json_write(kept, &text);
            CHECK(cases[i].claim,
                  gh_slice_equal(gh_buffer_slice(&text), gh_slice_text(cases[i].kept)));
            gh_buffer_deinit(&text);
        } else {
            CHECK(cases[i].claim, error.code == GH_ERROR_INVALID);
        }
        json_decref(kept);
        json_decref(policy);
    }
    check_member_limit();
    return check_report();
}
