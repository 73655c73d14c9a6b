#include "dialect/google/rest_testbed.h"

/* IAM: policies of a registry, and the table of roles and methods (docs/protocols/google.md,
 * "IAM"): every role x every method, granted on the project and on one registry. */

#define V1 "/v1/projects/acme/locations/eu1/registries"

static const struct testbed_row policy_rows[] = {
    {"a registry", "POST", V1, "{\"id\":\"raa\"}", 200, .says = {"raa"}},
    {"another", "POST", V1, "{\"id\":\"rbb\"}", 200, .says = {"rbb"}},
    {"a device", "POST", V1 "/raa/devices", "{\"id\":\"daa\"}", 200, .says = {"daa"}},
    {"no policy yet", "POST", V1 "/raa:getIamPolicy", "{}", 200, .says = {"{"},
     .says_not = {"bindings"}},
    {"set", "POST", V1 "/raa:setIamPolicy",
     "{\"policy\":{\"bindings\":[{\"members\":[\"user:a@b.c\"],\"role\":\"roles/"
     "cloudiot.viewer\"}]}}",
     200, .says = {"\"role\":\"roles/cloudiot.viewer\"", "\"user:a@b.c\"", "\"version\":1"},
     .keep = "etag", .slot = 0},
    {"get", "POST", V1 "/raa:getIamPolicy", "{\"options\":{\"requestedPolicyVersion\":3}}", 200,
     .says = {"\"etag\":\"$0\"", "roles/cloudiot.viewer"}},
    {"get through a group", "POST", V1 "/raa/groups/g:getIamPolicy", "", 200,
     .says = {"\"etag\":\"$0\""}},
    {"set with the etag", "POST", V1 "/raa:setIamPolicy",
     "{\"policy\":{\"etag\":\"$0\",\"bindings\":[{\"role\":\"roles/"
     "cloudiot.editor\",\"members\":[\"group:g\"]}]},\"updateMask\":\"bindings,etag\"}",
     200, .says = {"roles/cloudiot.editor"}, .says_not = {"viewer"}},
    {"set with the etag of before", "POST", V1 "/raa:setIamPolicy",
     "{\"policy\":{\"etag\":\"$0\"}}", 409, .says = {"\"code\":409", "ABORTED"}},
    {"set an unknown role", "POST", V1 "/raa:setIamPolicy",
     "{\"policy\":{\"bindings\":[{\"role\":\"roles/x\",\"members\":[]}]}}", 400,
     .says = {"INVALID_ARGUMENT", "role"}},
    {"set a condition", "POST", V1 "/raa:setIamPolicy",
     "{\"policy\":{\"bindings\":[{\"role\":\"roles/"
     "viewer\",\"members\":[],\"condition\":{\"expression\":\"true\"}}]}}",
     400, .says = {"INVALID_ARGUMENT", "condition"}},
    {"set nothing", "POST", V1 "/raa:setIamPolicy", "{}", 400, .says = {"policy"}},
    {"set with another mask", "POST", V1 "/raa:setIamPolicy",
     "{\"policy\":{},\"updateMask\":\"auditConfigs\"}", 400, .says = {"updateMask"}},
    {"set an empty policy", "POST", V1 "/raa:setIamPolicy", "{\"policy\":{}}", 200, .says = {"{"},
     .says_not = {"bindings"}},
    {"policy of what is not there", "POST", V1 "/rzz:getIamPolicy", "{}", 404,
     .says = {"NOT_FOUND"}},
    {"test permissions", "POST", V1 "/raa:testIamPermissions",
     "{\"permissions\":[\"cloudiot.devices.get\",\"cloudiot.registries.setIamPolicy\",\"cloudiot."
     "nothing\",\"devices.get\",\"storage.buckets.get\"]}",
     200,
     .says = {"{\"permissions\":[\"cloudiot.devices.get\",\"cloudiot.registries.setIamPolicy\"]}"}},
    {"test on what is not there", "POST", V1 "/rzz:testIamPermissions",
     "{\"permissions\":[\"cloudiot.devices.get\"]}", 200, .says = {"{}"}},
    {"test on a project that is not there", "POST",
     "/v1/projects/none/locations/eu1/registries/raa:testIamPermissions",
     "{\"permissions\":[\"cloudiot.devices.get\"]}", 200, .says = {"{}"}},
};

/* The methods in the order of the document, each in a form that changes nothing when it is allowed.
 * `least` is the first of the five roles that may. */
enum role { VIEWER, CONTROLLER, PROVISIONER, EDITOR, ADMIN, ROLES };
static const char *const role_names[ROLES] = {
    "roles/cloudiot.viewer", "roles/cloudiot.deviceController", "roles/cloudiot.provisioner",
    "roles/cloudiot.editor", "roles/cloudiot.admin"};
static const struct {
    const char *name, *method, *path, *body;
    enum role least;
    bool of_project; /* a binding on a registry does not reach it */
} methods[] = {
    {"CreateDeviceRegistry", "POST", V1, "{\"id\":\"$1\"}", EDITOR, true},
    {"GetDeviceRegistry", "GET", V1 "/$1", "", VIEWER, false},
    {"UpdateDeviceRegistry", "PATCH", V1 "/$1?updateMask=none", "{}", EDITOR, false},
    {"DeleteDeviceRegistry", "DELETE", V1 "/$1", "", EDITOR, false},
    {"ListDeviceRegistries", "GET", V1, "", VIEWER, true},
    {"CreateDevice", "POST", V1 "/$1/devices", "{\"id\":\"daa\"}", PROVISIONER, false},
    {"GetDevice", "GET", V1 "/$1/devices/daa", "", VIEWER, false},
    {"UpdateDevice", "PATCH", V1 "/$1/devices/daa?updateMask=none", "{}", PROVISIONER, false},
    {"DeleteDevice", "DELETE", V1 "/$1/devices/dzz", "", PROVISIONER, false},
    {"ListDevices", "GET", V1 "/$1/devices", "", VIEWER, false},
    {"ModifyCloudToDeviceConfig", "POST", V1 "/$1/devices/dzz:modifyCloudToDeviceConfig", "{}",
     CONTROLLER, false},
    {"ListDeviceConfigVersions", "GET", V1 "/$1/devices/daa/configVersions", "", VIEWER, false},
    {"ListDeviceStates", "GET", V1 "/$1/devices/daa/states", "", VIEWER, false},
    {"SendCommandToDevice", "POST", V1 "/$1/devices/daa:sendCommandToDevice",
     "{\"binaryData\":\"AA==\"}", CONTROLLER, false},
    {"BindDeviceToGateway", "POST", V1 "/$1:bindDeviceToGateway", "{}", PROVISIONER, false},
    {"UnbindDeviceFromGateway", "POST", V1 "/$1:unbindDeviceFromGateway", "{}", PROVISIONER, false},
    {"GetIamPolicy", "POST", V1 "/$1:getIamPolicy", "{}", ADMIN, false},
    {"SetIamPolicy", "POST", V1 "/$1:setIamPolicy", "{}", ADMIN, false},
};

static int try_method(struct testbed *bed, size_t m, const char *registry)
{
    static const struct gh_caller caller = {
        .kind = GH_CALLER_TOKEN, .name = GH_SLICE_INIT("m"), .member = GH_SLICE_INIT("user:m@x.y")};
    char *path, *body, *said;
    testbed_keep(bed, 1, gh_slice_text(registry));
    path = testbed_fill(bed, methods[m].path);
    body = testbed_fill(bed, methods[m].body);
    int status = testbed_ask(bed, &caller, methods[m].method, path, body, &said);
    if (status == 403)
        CHECK(methods[m].name, strstr(said, "PERMISSION_DENIED") != NULL);
    free(said);
    free(body);
    free(path);
    return status;
}

static void grant(struct testbed *bed, bool on_project, enum role role)
{
    char policy[256];
    struct gh_error error;
    struct gh_arena arena;
    struct gh_slice etag, text;
    struct gh_registry registry;
    struct gh_directory *directory = bed->services.directory;
    gh_arena_init(&arena, TESTBED_ARENA_MAX);
    snprintf(policy, sizeof(policy),
             "{\"bindings\":[{\"role\":\"%s\",\"members\":[\"user:m@x.y\"]}]}", role_names[role]);
    text = gh_slice_text(policy);
    REQUIRE("the registry",
            gh_directory_registry_find(directory, bed->tenant.number, GH_SLICE("raa"),
                                       (struct gh_slice){0}, &arena, &registry, &error) == GH_OK);
    REQUIRE("the project's policy",
            gh_directory_tenant_policy_set(directory, bed->tenant.number,
                                           on_project ? text : (struct gh_slice){0},
                                           (struct gh_slice){0}, &arena, &etag, &error) == GH_OK);
    REQUIRE("the registry's policy",
            gh_directory_registry_policy_set(directory, registry.number,
                                             on_project ? (struct gh_slice){0} : text,
                                             (struct gh_slice){0}, &arena, &etag, &error) == GH_OK);
    gh_arena_deinit(&arena);
}

static void check_matrix(struct testbed *bed)
{
    for (int role = VIEWER; role < ROLES; role++) {
        for (int on_project = 0; on_project < 2; on_project++) {
            grant(bed, on_project != 0, (enum role)role);
            for (size_t m = 0; m < GH_COUNT(methods); m++) {
                char claim[160];
                bool may = role >= (int)methods[m].least;
                snprintf(claim, sizeof(claim), "%s %s on the %s", role_names[role], methods[m].name,
                         on_project ? "project" : "registry");
                CHECK(claim, (try_method(bed, m, "raa") != 403) ==
                                 (may && (on_project || !methods[m].of_project)));
                CHECK(claim, (try_method(bed, m, "rbb") != 403) == (may && on_project));
            }
        }
    }
}

int main(void)
{
    struct testbed bed;
    testbed_open(&bed);
    testbed_run(&bed, policy_rows, GH_COUNT(policy_rows));
    check_matrix(&bed);
    testbed_close(&bed);
    return check_report();
}
