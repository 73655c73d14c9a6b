#include "base/log.h"
#include "dialect/google/rest_internal.h"
#include "observe/trail.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- permission ---- */

bool google_may(struct google_call *call, enum gh_permission permission)
{
    return gh_policy_may(&call->caller, permission, &call->scope, NULL);
}

/* The peer without its port. */
static struct gh_slice address_of(const struct google_call *call)
{
    struct gh_slice peer = gh_slice_text(call->peer);
    for (size_t i = peer.size; i > 0; i--)
        if (peer.data[i - 1] == ':')
            return gh_slice_sub(peer, 0, i - 1);
    return peer;
}

/* The bindings of the device that the path names and of its groups; none when there is no such. */
static enum gh_error_code scope_device(struct google_call *call)
{
    struct gh_directory *directory = call->services->directory;
    struct gh_grant_row *rows;
    struct gh_device device;
    size_t count;
    enum gh_error_code code = google_device_find(call, &device);
    if (code == GH_ERROR_NOT_FOUND)
        return GH_OK;
    if (code == GH_OK)
        code = gh_directory_grants_of_device(directory, device.number, call->arena, &rows, &count,
                                             &call->error);
    if (code != GH_OK)
        return code;
    struct gh_policy_grant *grants = gh_arena_array(call->arena, count + 1, sizeof *grants);
    if (grants == NULL)
        return google_fail(call, GH_ERROR_MEMORY, "bindings");
    for (size_t i = 0; i < count; i++)
        grants[i] = rows[i].device != 0
                        ? (struct gh_policy_grant){"device", device.id, rows[i].policy}
                        : (struct gh_policy_grant){"group", rows[i].group_name, rows[i].policy};
    call->scope.grants = grants;
    call->scope.grants_count = count;
    return GH_OK;
}

/* Where the path points; what the table of roles decides alone is not looked up. */
static enum gh_error_code fill_scope(struct google_call *call)
{
    struct gh_custom_role *roles;
    struct gh_slice etag;
    enum gh_role role;
    call->scope = (struct gh_policy_scope){.tenant = call->tenant_found ? call->tenant.number : 0,
                                           .tenant_disabled = call->tenant.disabled,
                                           .tenant_policy = call->tenant.policy,
                                           .registry_policy = call->registry.policy,
                                           .now_ms = call->now_ms,
                                           .address = address_of(call)};
    if (gh_role_find(call->caller.role, &role))
        return GH_OK;
    enum gh_error_code code =
        gh_directory_role_list(call->services->directory, call->scope.tenant, call->arena, &roles,
                               &call->scope.roles.count, &call->error);
    call->scope.roles.items = roles;
    if (code == GH_OK)
        code = gh_directory_house_policy_get(call->services->directory, call->arena,
                                             &call->scope.house_policy, &etag, &call->error);
    if (code != GH_OK || call->target.size == 0)
        return code;
    if (call->registry_name.size == 0) /* a topic's or subscription's own, in its place */
        return google_pubsub_policy_find(call, &call->scope.registry_policy) == GH_ERROR_MEMORY
                   ? GH_ERROR_MEMORY
                   : GH_OK;
    return call->registry_found ? scope_device(call) : GH_OK;
}

/* What the path names. That it does not exist is not told before permission was checked. */
static enum gh_error_code look_up(struct google_call *call)
{
    struct gh_directory *directory = call->services->directory;
    enum gh_error_code code = gh_directory_tenant_find_google(directory, call->project, call->arena,
                                                              &call->tenant, &call->error);
    call->tenant_found = code == GH_OK;
    if (!call->tenant_found || call->registry_name.size == 0)
        return code;
    code = gh_directory_registry_find(directory, call->tenant.number, call->registry_name,
                                      call->location, call->arena, &call->registry, &call->error);
    call->registry_found = code == GH_OK;
    return code;
}

static void note_denial(struct google_call *call, const char *why)
{
    char detail[GH_POLICY_WHY_MAX + 128];
    snprintf(detail, sizeof(detail), "%.*s: %s", GH_PRINT(gh_slice_sub(call->caller.name, 0, 64)),
             why);
    gh_log(GH_LOG_INFO, "google", "denied %.*s %.*s from %s: %s", GH_PRINT(call->method),
           GH_PRINT(gh_slice_sub(call->path, 0, 512)), call->peer, detail);
    if (call->services->trail == NULL)
        return;
    gh_trail_note(call->services->trail,
                  &(struct gh_trail_entry){.at_ms = call->now_ms,
                                           .tenant = call->tenant.name,
                                           .registry = call->registry.name,
                                           .kind = GH_TRAIL_OPERATOR,
                                           .reason = GH_SLICE("PERMISSION_DENIED"),
                                           .detail = gh_slice_text(detail),
                                           .address = gh_slice_text(call->peer)});
}

static enum gh_error_code authorise(struct google_call *call)
{
    char why[GH_POLICY_WHY_MAX];
    enum gh_error_code found = look_up(call);
    if (found != GH_OK && found != GH_ERROR_NOT_FOUND)
        return found;
    enum gh_error_code filled = fill_scope(call);
    if (filled != GH_OK)
        return filled;
    if (call->route->permission == GH_PERMISSION_COUNT) /* the handler decides */
        return GH_OK;
    if (gh_policy_may(&call->caller, call->route->permission, &call->scope, why))
        return found;
    note_denial(call, why);
    gh_metric_add(call->services->metrics, GH_METRIC_api_denied_total, 1);
    const char *name = google_permission_print(call, call->route->permission);
    return google_fail(call, GH_ERROR_DENIED,
                       "the caller does not have %s on this resource, or it does not exist",
                       name == NULL ? "the permission" : name);
}

/* ---- reading the request ---- */

static enum gh_error_code read_body(struct google_call *call)
{
    if (call->route->body == NULL)
        return GH_OK;
    json_t *body = call->document != NULL ? json_incref(call->document)
                   : call->body.size == 0
                       ? json_object()
                       : gh_json_read_limited(call->body, call->body.size, &call->error);
    if (body == NULL)
        return call->body.size == 0 ? google_fail(call, GH_ERROR_MEMORY, "body") : call->error.code;
    call->input = google_message_read(call->route->body, body, &call->error);
    json_decref(body);
    return call->input == NULL ? call->error.code : GH_OK;
}

/* ---- the way of a call ---- */

enum gh_error_code google_fail(struct google_call *call, enum gh_error_code code,
                               const char *format, ...)
{
    char text[GH_ERROR_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    return gh_error_set(&call->error, code, "%s", text);
}

void google_note(struct google_call *call, const struct gh_device *device, const char *what)
{
    if (call->services->trail == NULL)
        return;
    gh_trail_note(call->services->trail,
                  &(struct gh_trail_entry){
                      .at_ms = call->now_ms,
                      .device = device == NULL ? 0 : device->number,
                      .tenant = call->tenant.name,
                      .registry = call->registry.name,
                      .device_id = device == NULL ? (struct gh_slice){0} : device->id,
                      .kind = GH_TRAIL_OPERATOR,
                      .reason = gh_slice_text(what),
                      .detail = call->caller.name,
                      .address = gh_slice_text(call->peer),
                  });
}

static enum gh_error_code known(struct google_call *call)
{
    if (call->caller.kind != GH_CALLER_NOBODY)
        return GH_OK;
    gh_metric_add(call->services->metrics, GH_METRIC_api_unauthenticated_total, 1);
    return google_fail(call, GH_ERROR_UNAUTHENTICATED, "no valid token");
}

enum gh_error_code google_call_judge(struct google_call *call)
{
    call->now_ms = call->services->utc_ms();
    enum gh_error_code code =
        call->token.size > 0 ? google_call_authenticate(call, call->token) : GH_OK;
    if (code == GH_OK)
        code = known(call);
    return code == GH_OK ? authorise(call) : code;
}

/* ---- the row in the audit trail ---- */

static bool is_audited(const struct google_route *route)
{
    return route->audit != GOOGLE_AUDIT_NOT && strcmp(route->method, "GET") != 0;
}

static void deed_open(struct google_call *call)
{
    static const struct gh_slice methods[] = {
        [GH_CALLER_NOBODY] = GH_SLICE_INIT("none"),
        [GH_CALLER_TOKEN] = GH_SLICE_INIT("token"),
        [GH_CALLER_DEVICE] = GH_SLICE_INIT("device"),
        [GH_CALLER_OPERATOR] = GH_SLICE_INIT("session"),
        [GH_CALLER_LOCAL] = GH_SLICE_INIT("socket"),
    };
    const struct gh_audit_note note = {
        .method = methods[call->caller.kind],
        .face = call->face.size > 0 ? call->face : GH_SLICE("google"),
        .action = gh_slice_text(gh_audit_action(gh_slice_text(call->route->method),
                                                gh_slice_text(call->route->pattern), call->action)),
        .object = call->path,
        .actor = call->caller.name,
        .source = address_of(call)};
    gh_audit_deed_init(&call->deed, call->services->audit, &note, call->body);
}

static enum gh_error_code deed_begin(struct google_call *call)
{
    call->deed.note.tenant = call->tenant.name;
    return gh_audit_begin(&call->deed,
                          call->route->audit == GOOGLE_AUDIT_AHEAD ? GH_AUDIT_AHEAD : GH_AUDIT_RIDE,
                          &call->error);
}

static enum gh_error_code prepare(struct google_call *call)
{
    enum gh_error_code code = google_route_find(call);
    if (code == GH_OK && is_audited(call->route))
        deed_open(call);
    enum gh_error_code unknown = known(call);
    if (unknown != GH_OK)
        return unknown;
    if (code == GH_OK)
        code = authorise(call);
    if (code == GH_OK)
        code = google_rate_check_route(call);
    if (code == GH_OK)
        code = google_parameters_check(call);
    if (code == GH_OK)
        code = read_body(call);
    if (code == GH_OK)
        code = deed_begin(call);
    return code;
}

void google_call_run(struct google_call *call)
{
    assert(call->finish != NULL);
    call->now_ms = call->services->utc_ms();
    enum gh_error_code code = prepare(call);
    if (code == GH_OK && call->route->waiting != NULL)
        call->route->waiting(call);
    else
        google_call_end(call, code == GH_OK ? call->route->handler(call) : code);
}

void google_call_end(struct google_call *call, enum gh_error_code code)
{
    code = gh_audit_end(&call->deed, code, &call->error);
    call->code = code;
    if (code == GH_OK && call->write_failed)
        call->code = google_fail(call, GH_ERROR_MEMORY, "the answer");
    call->finish(call);
}

static bool is_explained(const struct google_call *call, const struct google_status *status)
{
    return !status->hidden && call->error.code == call->code && call->error.text[0] != '\0';
}

const struct google_status *google_call_explain(struct google_call *call, char *out, size_t size)
{
    const struct google_status *status =
        call->status != NULL ? call->status : google_status_of(call->code);
    const struct gh_error_info *info = gh_error_info(call->code);
    if (status->hidden && status->http >= 500)
        gh_log(GH_LOG_WARN, "google", "GH%d %.*s %.*s: %s", (int)call->code, GH_PRINT(call->method),
               GH_PRINT(gh_slice_sub(call->path, 0, 512)), call->error.text);
    if (!is_explained(call, status))
        snprintf(out, size, "%s", info->meaning);
    else if (call->code == GH_ERROR_UNSUPPORTED)
        snprintf(out, size, "%s: %s", call->error.text, info->meaning);
    else
        snprintf(out, size, "%s", call->error.text);
    return status;
}

/* {"error":{"code":404,"message":"…","status":"NOT_FOUND"}} */
static json_t *error_body(const struct google_call *call, const struct google_status *status,
                          const char *text)
{
    json_t *details = NULL; /* left out of the body then */
    if (call->bad_field != NULL)
        details = json_pack("[{s:s, s:[{s:s, s:s}]}]", "@type",
                            "type.googleapis.com/google.rpc.BadRequest", "fieldViolations", "field",
                            call->bad_field, "description", call->error.text);
    return json_pack("{s:{s:i, s:o, s:s, s:o*}}", "error", "code", status->http, "message",
                     gh_json_new_text(gh_slice_text(text)), "status", status->name, "details",
                     details);
}

int google_call_print(struct google_call *call, struct gh_buffer *out)
{
    if (call->code == GH_OK) {
        if (call->output == NULL ? gh_buffer_put(out, GH_SLICE("{}"))
                                 : gh_json_write(call->output, out))
            return 200;
        gh_buffer_clear(out);
        call->code = google_fail(call, GH_ERROR_MEMORY, "the answer");
    }
    char text[2 * GH_ERROR_TEXT_MAX];
    const struct google_status *status = google_call_explain(call, text, sizeof(text));
    json_t *body = error_body(call, status, text);
    if (!gh_json_write(body, out)) {
        gh_buffer_clear(out);
        gh_buffer_put(out, GH_SLICE("{\"error\":{\"code\":503,\"message\":\"there is no memory for "
                                    "this work\",\"status\":\"UNAVAILABLE\"}}"));
    }
    json_decref(body);
    return status->http;
}

void google_call_deinit(struct google_call *call)
{
    json_decref(call->input);
    json_decref(call->output);
    json_decref(call->document);
    call->input = call->output = call->document = NULL;
}
