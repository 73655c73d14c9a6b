#include "api/call_internal.h"
#include "observe/trail.h"
#include "route/sessions.h"

/* An operator ends a device's connections, and keeps it out for a while or until the ban is lifted.
 * A ban is not a block: it has an end, it is told to the device as such, and lifting it says
 * nothing about the device's registration. */

enum { BAN_S_MAX = 10 * 366 * 86400 };

static void note(struct call *call, const struct gh_device *device, const char *what,
                 const char *more)
{
    call_note(call, what, device->registry_name, device, gh_slice_text(more));
}

enum gh_error_code api_kick(struct call *call)
{
    struct gh_device device;
    enum gh_error_code code = call_device(call, &device);
    if (code != GH_OK)
        return code;
    size_t count = gh_sessions_count_of(call->api->services.sessions, device.number);
    if (count == 0 ||
        !gh_sessions_order(call->api->services.sessions, device.number, GH_ORDER_KICKED))
        return call_fail(call, GH_ERROR_PRECONDITION, "the device is not connected");
    note(call, &device, "KICKED", "");
    call->answer = json_pack("{s:I}", "connections", (json_int_t)count);
    return GH_OK;
}

static enum gh_error_code set_ban(struct call *call, int64_t until_ms, struct gh_device *device)
{
    struct gh_device change = {.banned_until_ms = until_ms};
    enum gh_error_code code = call_device(call, device);
    if (code == GH_OK)
        code =
            gh_directory_device_update(call->api->services.directory, device->number, GH_DEVICE_BAN,
                                       &change, call->arena, device, &call->error);
    if (code == GH_OK)
        call->answer = device_to_json(call, device);
    return code;
}

/* {"for_s": seconds}; without it until it is lifted. */
enum gh_error_code api_ban(struct call *call)
{
    static const char *const keys[] = {"for_s"};
    struct gh_device device;
    uint64_t for_s = 0;
    if (!gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_u64(call->body, "for_s", 0, &for_s, &call->error))
        return call->error.code;
    bool ends = json_object_get(call->body, "for_s") != NULL;
    if (ends && (for_s == 0 || for_s > BAN_S_MAX))
        return call_fail(call, GH_ERROR_RANGE, "for_s is a number from 1 to %d", BAN_S_MAX);
    enum gh_error_code code = set_ban(
        call, ends ? call->now_ms + (int64_t)for_s * 1000 : GH_DEVICE_BANNED_FOR_EVER, &device);
    const char *how_long =
        ends ? gh_arena_print(call->arena, "for %llu s", (unsigned long long)for_s)
             : "until it is lifted";
    if (code == GH_OK)
        note(call, &device, "BANNED", how_long != NULL ? how_long : "");
    return code;
}

enum gh_error_code api_unban(struct call *call)
{
    struct gh_device device;
    enum gh_error_code code = set_ban(call, 0, &device);
    if (code == GH_OK)
        note(call, &device, "UNBANNED", "");
    return code;
}
