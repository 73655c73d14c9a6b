/* The keys that sign access tokens, for operators: which are published, and a new generation. */
#include "api/call_internal.h"
#include "identity/access.h"
#include "observe/trail.h"

static enum gh_error_code answer_keys(struct call *call)
{
    struct gh_access_key keys[GH_ACCESS_KEYS_MAX];
    size_t count = gh_access_keys(call->api->services.access, keys);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o}", "kid", keys[i].kid, "alg",
                                              keys[i].algorithm, "state",
                                              gh_access_key_state_name(keys[i].state), "created_at",
                                              json_time(keys[i].created_at_s * 1000)));
    call->answer =
        json_pack("{s:o, s:o}", "issuer", json_slice(gh_access_issuer(call->api->services.access)),
                  "keys", list);
    return GH_OK;
}

enum gh_error_code api_token_key_list(struct call *call)
{
    enum gh_error_code code = gh_access_refresh(call->api->services.access, &call->error);
    return code == GH_OK ? answer_keys(call) : code;
}

enum gh_error_code api_token_key_rotate(struct call *call)
{
    static const char *const members[] = {"alg"};
    struct gh_slice algorithm = GH_SLICE("ES256");
    if (!gh_json_only(call->body, members, GH_COUNT(members), &call->error) ||
        !gh_json_get_text(call->body, "alg", 0, &algorithm, &call->error))
        return call->error.code;
    bool is_rsa = gh_slice_equal(algorithm, GH_SLICE("RS256"));
    if (!is_rsa && !gh_slice_equal(algorithm, GH_SLICE("ES256")))
        return call_fail(call, GH_ERROR_INVALID, "alg is ES256 or RS256");
    enum gh_error_code code = gh_access_rotate(call->api->services.access,
                                               is_rsa ? GH_KEY_RSA : GH_KEY_P256, &call->error);
    if (code != GH_OK)
        return code;
    gh_trail_note(call->api->services.trail,
                  &(struct gh_trail_entry){.at_ms = call->now_ms,
                                           .kind = GH_TRAIL_OPERATOR,
                                           .reason = GH_SLICE("TOKEN_KEYS_ROTATED"),
                                           .detail = call->caller.name,
                                           .address = gh_slice_text(call->request->peer)});
    return answer_keys(call);
}

/* What a device may know of itself, by its access token. */
enum gh_error_code api_device_self(struct call *call)
{
    struct gh_device device;
    json_t *base64;
    if (call->caller.kind != GH_CALLER_DEVICE)
        return call_fail(call, GH_ERROR_DENIED, "this is for devices with an access token");
    enum gh_error_code code = gh_directory_device_get(call->api->services.directory, call->device,
                                                      call->arena, &device, &call->error);
    if (code != GH_OK)
        return code;
    json_t *data = json_payload(device.config.data, &base64);
    json_t *config = json_pack("{s:I, s:o, s:o}", "version", (json_int_t)device.config.version,
                               "updated_at", json_time(device.config.updated_at_ms), "data", data);
    if (config != NULL && base64 != NULL)
        json_object_set_new(config, "data_base64", base64);
    call->answer =
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "tenant", json_slice(device.tenant_name),
                  "registry", json_slice(device.registry_name), "id", json_slice(device.id),
                  "number", json_number_text(device.number), "config", config, "token_expires_at",
                  json_time(call->caller.expires_at_ms));
    return GH_OK;
}
