/* The row that a call leaves in the audit trail: who called, from where, for what. */
#include "api/auditing_internal.h"
#include "api/call_internal.h"
#include "store/store.h"

/* How the caller has proved itself. */
static struct gh_slice method_of(const struct gh_caller *caller)
{
    static const struct gh_slice methods[] = {
        [GH_CALLER_NOBODY] = GH_SLICE_INIT("none"),
        [GH_CALLER_TOKEN] = GH_SLICE_INIT("token"),
        [GH_CALLER_DEVICE] = GH_SLICE_INIT("device"),
        [GH_CALLER_OPERATOR] = GH_SLICE_INIT("session"),
        [GH_CALLER_LOCAL] = GH_SLICE_INIT("socket"),
    };
    return methods[caller->kind];
}

static struct gh_slice face_of(const struct call *call)
{
    static const struct {
        struct gh_slice folder, face;
    } faces[] = {{GH_SLICE_INIT("/.well-known/est/"), GH_SLICE_INIT("est")},
                 {GH_SLICE_INIT("/oauth2/"), GH_SLICE_INIT("oauth")},
                 {GH_SLICE_INIT("/token"), GH_SLICE_INIT("oauth")}};
    for (size_t i = 0; i < GH_COUNT(faces); i++)
        if (gh_slice_starts(call->request->path, faces[i].folder))
            return faces[i].face;
    return call->local ? GH_SLICE("socket") : GH_SLICE("api");
}

/* The path, in which an operator's name is left out: persons stand in the row as pseudonyms. */
static struct gh_slice object_of(struct call *call, struct gh_slice *person)
{
    static const struct gh_slice folder = GH_SLICE_INIT("/api/v1/operators/");
    struct gh_slice path = call->request->path;
    if (!gh_slice_starts(path, folder))
        return path;
    struct gh_slice rest = gh_slice_sub(path, folder.size, path.size);
    size_t end = gh_slice_find(rest, '/');
    *person = call->captures[0];
    return gh_slice_text(gh_arena_print(call->arena, "%.*s{o}%.*s", GH_PRINT(folder),
                                        GH_PRINT(gh_slice_sub(rest, end, rest.size))));
}

void call_deed_open(struct call *call, const char *method, const char *pattern)
{
    struct gh_slice person = {0};
    const struct gh_audit_note note = {
        .method = GH_SLICE("none"),
        .face = face_of(call),
        .action = gh_slice_text(
            gh_audit_action(gh_slice_text(method), gh_slice_text(pattern), call->action)),
        .object = object_of(call, &person),
        .subject = person,
        .source = call_source(call)};
    gh_audit_deed_init(&call->deed, call->api->services.audit, &note, call->request->body);
}

void call_deed_caller(struct call *call)
{
    call->deed.note.method = method_of(&call->caller);
    call->deed.note.actor = call->caller.name;
    call->deed.note.tenant = call->tenant.name;
}

void call_deed_device(struct call *call, struct gh_slice tenant, struct gh_slice registry,
                      struct gh_slice device)
{
    call->deed.note.method = GH_SLICE("device");
    call->deed.note.tenant = tenant;
    if (device.size > 0)
        call->deed.note.actor = gh_slice_text(gh_arena_print(
            call->arena, "%.*s/%.*s/%.*s", GH_PRINT(tenant), GH_PRINT(registry), GH_PRINT(device)));
}

void call_deed_sign_in(struct call *call, struct gh_slice name, bool good)
{
    struct gh_operator_row row;
    struct gh_error error;
    call->deed.note.method = GH_SLICE("password");
    /* A name that nobody has is often a password in the wrong field: it is not kept. The look-up is
     * made in either case, so that the time does not tell. */
    bool exists =
        gh_store_operator_find(call->api->services.store, name, call->arena, &row, &error) == GH_OK;
    if (exists && good)
        call->deed.note.actor = name;
    else if (exists)
        call->deed.note.subject = name;
}
