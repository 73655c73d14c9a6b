/* The keys at rest, changed while everybody goes on: the key-encryption key, and the data key of a
 * tenant (registry/sealing.h). */
#include "api/call_internal.h"
#include "observe/trail.h"
#include "registry/sealing.h"

enum { ARENA_MAX = 1024 * 1024 * 1024 }; /* a large tenant's secrets, all at once */

static enum gh_error_code need_sealing(struct call *call, struct gh_sealing **out)
{
    *out = gh_directory_sealing(call->api->services.directory);
    return *out != NULL ? GH_OK
                        : call_fail(call, GH_ERROR_UNSUPPORTED, "this server seals nothing");
}

enum gh_error_code api_keys_rotate(struct call *call)
{
    struct gh_sealing *sealing;
    struct gh_arena arena;
    size_t count = 0;
    enum gh_error_code code = need_sealing(call, &sealing);
    if (code != GH_OK)
        return code;
    gh_arena_init(&arena, ARENA_MAX);
    code = gh_sealing_rotate_kek(sealing, &arena, &count, &call->error);
    gh_arena_deinit(&arena);
    if (code != GH_OK)
        return code;
    gh_trail_note(call->api->services.trail,
                  &(struct gh_trail_entry){.at_ms = call->now_ms,
                                           .kind = GH_TRAIL_OPERATOR,
                                           .reason = GH_SLICE("KEYS_ROTATED"),
                                           .detail = call->caller.name,
                                           .address = gh_slice_text(call->request->peer)});
    call->answer = json_pack("{s:I}", "data_keys", (json_int_t)count);
    return GH_OK;
}

enum gh_error_code api_tenant_keys_rotate(struct call *call)
{
    struct gh_sealing *sealing;
    struct gh_arena arena;
    size_t count = 0;
    enum gh_error_code code = need_sealing(call, &sealing);
    if (code != GH_OK)
        return code;
    gh_arena_init(&arena, ARENA_MAX);
    code = gh_sealing_rotate(sealing, call->tenant.number, &arena, &count, &call->error);
    gh_arena_deinit(&arena);
    if (code != GH_OK)
        return code;
    call_tenant_note(call, "DATA_KEY_ROTATED");
    call->answer = json_pack("{s:o, s:I}", "tenant", json_slice(call->tenant.name), "secrets",
                             (json_int_t)count);
    return GH_OK;
}

/* {name}: a secret of the keyring leaves the house. The command line reads it out of the file,
 * which the server does not have to do with; here is where that gets its row in the audit trail. */
enum gh_error_code api_keys_export(struct call *call)
{
    static const char *const keys[] = {"name"};
    struct gh_slice name;
    return gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) &&
                   gh_json_get_text(call->body, "name", GH_JSON_REQUIRED, &name, &call->error)
               ? GH_OK
               : call->error.code;
}
