#include "api/call_internal.h"
#include "base/time.h"
#include "observe/trail.h"
#include "wire/base64.h"
#include "wire/http/query.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { PAYLOAD_BYTES_MAX = 1 << 20 };

enum gh_error_code call_fail(struct call *call, enum gh_error_code code, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    vsnprintf(call->error.text, sizeof call->error.text, format, values);
    va_end(values);
    return call->error.code = code;
}

struct gh_slice call_query(struct call *call, const char *name)
{
    struct gh_slice value = {0};
    return gh_query_get(call->request->query, name, call->arena, &value) ? value
                                                                         : (struct gh_slice){0};
}

bool call_query_u64(struct call *call, const char *name, uint64_t low, uint64_t high,
                    uint64_t fallback, uint64_t *out)
{
    struct gh_slice text = call_query(call, name);
    *out = fallback;
    if (text.size == 0)
        return true;
    if (gh_slice_to_u64(text, out) && *out >= low && *out <= high)
        return true;
    call_fail(call, GH_ERROR_RANGE, "%s is a number from %" PRIu64 " to %" PRIu64, name, low, high);
    return false;
}

bool call_query_time(struct call *call, const char *name, int64_t fallback, int64_t *out)
{
    struct gh_slice text = call_query(call, name);
    *out = fallback;
    if (text.size == 0 || gh_time_parse(text, out))
        return true;
    call_fail(call, GH_ERROR_INVALID, "%s is not a time like 2026-11-24T03:30:00Z", name);
    return false;
}

json_t *json_time(int64_t utc_ms)
{
    char text[GH_TIME_TEXT_MAX];
    return utc_ms == 0 ? json_null() : json_string(gh_time_print(utc_ms, text));
}

json_t *json_slice(struct gh_slice text)
{
    json_t *value = gh_json_new_text(text);
    return value != NULL ? value : json_string("");
}

json_t *json_number_text(uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, value);
    return json_string(text);
}

json_t *json_payload(struct gh_slice payload, json_t **base64)
{
    json_t *value = gh_json_read(payload, NULL);
    struct gh_buffer text;
    *base64 = NULL;
    if (value != NULL)
        return value;
    gh_buffer_init(&text, 2 * PAYLOAD_BYTES_MAX);
    gh_base64_encode(payload, GH_BASE64_STANDARD, &text);
    *base64 = json_slice(gh_buffer_slice(&text));
    gh_buffer_deinit(&text);
    return json_null();
}

enum gh_error_code call_read_payload(struct call *call, struct gh_slice *out)
{
    const json_t *data = json_object_get(call->body, "data");
    struct gh_slice base64;
    struct gh_buffer bytes;
    bool good;
    gh_buffer_init(&bytes, PAYLOAD_BYTES_MAX);
    if (data != NULL)
        good = gh_json_write(data, &bytes);
    else
        good = gh_json_text(call->body, "data_base64", &base64) &&
               gh_base64_decode(base64, GH_BASE64_ANY, &bytes);
    good = good && gh_arena_copy(call->arena, gh_buffer_slice(&bytes), out);
    gh_buffer_deinit(&bytes);
    return good
               ? GH_OK
               : call_fail(call, GH_ERROR_INVALID, "the body needs data (any JSON) or data_base64");
}

enum gh_error_code call_registry(struct call *call, struct gh_registry *out)
{
    return gh_directory_registry_find(call->api->services.directory, call->tenant.number,
                                      call->captures[1], (struct gh_slice){0}, call->arena, out,
                                      &call->error);
}

enum gh_error_code call_device(struct call *call, struct gh_device *out)
{
    return gh_directory_device_find(call->api->services.directory, call->tenant.number,
                                    call->captures[1], (struct gh_slice){0}, call->captures[2],
                                    call->arena, out, &call->error);
}

struct gh_slice call_source(const struct call *call)
{
    struct gh_slice peer = gh_slice_text(call->request->peer);
    for (size_t i = peer.size; i > 0; i--)
        if (peer.data[i - 1] == ':')
            return gh_slice_sub(peer, 0, i - 1);
    return peer;
}

void call_note(struct call *call, const char *what, struct gh_slice registry,
               const struct gh_device *device, struct gh_slice more)
{
    char *detail = gh_arena_print(call->arena, "%.*s%s%.*s", GH_PRINT(call->caller.name),
                                  more.size > 0 ? ", " : "", GH_PRINT(more));
    gh_trail_note(
        call->api->services.trail,
        &(struct gh_trail_entry){.at_ms = call->now_ms,
                                 .device = device != NULL ? device->number : 0,
                                 .tenant = call->tenant.name,
                                 .registry = registry,
                                 .device_id = device != NULL ? device->id : (struct gh_slice){0},
                                 .kind = GH_TRAIL_OPERATOR,
                                 .reason = gh_slice_text(what),
                                 .detail = gh_slice_text(detail),
                                 .address = gh_slice_text(call->request->peer)});
}

void call_tenant_note(struct call *call, const char *what)
{
    call_note(call, what, (struct gh_slice){0}, NULL, (struct gh_slice){0});
}
