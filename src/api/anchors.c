/* The CAs of a registry: register, prove, disable, revoke under them. */
#include "registry/anchors.h"
#include "api/call_internal.h"
#include "crypto/certificate.h"
#include "observe/trail.h"
#include "wire/base64.h"

enum { LIST_MAX = 10000, LIST_DEFAULT = 1000 };

static const char *const states[] = {[GH_ANCHOR_PENDING] = "pending",
                                     [GH_ANCHOR_ACTIVE] = "active",
                                     [GH_ANCHOR_DISABLED] = "disabled"};

void json_add_certificate(json_t *out, struct gh_slice pem)
{
    struct gh_certificate *certificate = gh_certificate_open(pem, NULL);
    struct gh_buffer text;
    char fingerprint[GH_SHA256_HEX_MAX];
    if (certificate == NULL)
        return;
    if (gh_certificate_fingerprint(certificate, fingerprint))
        json_object_set_new(out, "fingerprint", json_string(fingerprint));
    gh_buffer_init(&text, 4096);
    if (gh_certificate_print_subject(certificate, &text))
        json_object_set_new(out, "subject", json_slice(gh_buffer_slice(&text)));
    gh_buffer_clear(&text);
    if (gh_certificate_print_issuer(certificate, &text))
        json_object_set_new(out, "issuer", json_slice(gh_buffer_slice(&text)));
    gh_buffer_deinit(&text);
    json_object_set_new(out, "not_before",
                        json_time(gh_certificate_not_before_s(certificate) * 1000));
    json_object_set_new(out, "not_after",
                        json_time(gh_certificate_not_after_s(certificate) * 1000));
    gh_certificate_close(certificate);
}

json_t *anchor_to_json(const struct gh_anchor *anchor)
{
    json_t *out = json_pack(
        "{s:o, s:o, s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id", json_slice(anchor->id),
        "fingerprint", json_slice(anchor->fingerprint), "state", states[anchor->state], "builtin",
        anchor->registry == 0, "pem", json_slice(anchor->pem), "crl_url",
        json_slice(anchor->crl_url), "ocsp_url", json_slice(anchor->ocsp_url), "crl_next_update",
        json_time(anchor->crl_next_ms), "crl_read_at", json_time(anchor->crl_read_ms), "created_at",
        json_time(anchor->created_at_ms), "verified_at", json_time(anchor->verified_at_ms));
    if (out != NULL && anchor->state == GH_ANCHOR_PENDING)
        json_object_set_new(out, "verification_code", json_slice(anchor->code));
    if (out != NULL)
        json_add_certificate(out, anchor->pem);
    return out;
}

static void note(struct call *call, const struct gh_registry *registry, const char *what,
                 struct gh_slice which)
{
    char *detail =
        gh_arena_print(call->arena, "%.*s, %.*s", GH_PRINT(call->caller.name), GH_PRINT(which));
    gh_trail_note(call->api->services.trail,
                  &(struct gh_trail_entry){.at_ms = call->now_ms,
                                           .tenant = registry->tenant_name,
                                           .registry = registry->name,
                                           .kind = GH_TRAIL_OPERATOR,
                                           .reason = gh_slice_text(what),
                                           .detail = gh_slice_text(detail),
                                           .address = gh_slice_text(call->request->peer)});
}

/* The CA that the captures name. */
static enum gh_error_code find_anchor(struct call *call, struct gh_registry *registry,
                                      struct gh_anchor *out)
{
    enum gh_error_code code = call_registry(call, registry);
    return code == GH_OK ? gh_directory_anchor_find(call->api->services.directory, registry->tenant,
                                                    registry->number, call->captures[2],
                                                    call->arena, out, &call->error)
                         : code;
}

enum gh_error_code api_ca_list(struct call *call)
{
    struct gh_registry registry;
    struct gh_anchor *anchors;
    size_t count;
    enum gh_error_code code = call_registry(call, &registry);
    if (code == GH_OK)
        code =
            gh_directory_anchor_list(call->api->services.directory, registry.tenant,
                                     registry.number, call->arena, &anchors, &count, &call->error);
    if (code != GH_OK)
        return code;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, anchor_to_json(&anchors[i]));
    call->answer = json_pack("{s:o}", "cas", list);
    return GH_OK;
}

enum gh_error_code api_ca_get(struct call *call)
{
    struct gh_registry registry;
    struct gh_anchor anchor;
    enum gh_error_code code = find_anchor(call, &registry, &anchor);
    if (code == GH_OK)
        call->answer = anchor_to_json(&anchor);
    return code;
}

enum gh_error_code api_ca_add(struct call *call)
{
    static const char *const keys[] = {"pem", "crl_url", "ocsp_url"};
    struct gh_slice pem = {0};
    struct gh_anchor_places places = {0};
    struct gh_registry registry;
    struct gh_anchor anchor;
    if (!gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_text(call->body, "pem", GH_JSON_REQUIRED, &pem, &call->error) ||
        !gh_json_get_text(call->body, "crl_url", 0, &places.crl_url, &call->error) ||
        !gh_json_get_text(call->body, "ocsp_url", 0, &places.ocsp_url, &call->error))
        return call->error.code;
    enum gh_error_code code = call_registry(call, &registry);
    if (code == GH_OK)
        code = gh_directory_anchor_add(call->api->services.directory, &registry, pem, &places,
                                       call->arena, &anchor, &call->error);
    if (code != GH_OK)
        return code;
    note(call, &registry, "CA_ADDED", anchor.id);
    call->status = 201;
    call->answer = anchor_to_json(&anchor);
    return GH_OK;
}

enum gh_error_code api_ca_verify(struct call *call)
{
    static const char *const keys[] = {"pem"};
    struct gh_slice pem = {0};
    struct gh_registry registry;
    struct gh_anchor anchor;
    if (!gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_text(call->body, "pem", GH_JSON_REQUIRED, &pem, &call->error))
        return call->error.code;
    enum gh_error_code code = find_anchor(call, &registry, &anchor);
    if (code == GH_OK)
        code =
            gh_directory_anchor_verify(call->api->services.directory, &anchor, pem, &call->error);
    if (code != GH_OK)
        return code;
    note(call, &registry, "CA_VERIFIED", anchor.id);
    call->answer = anchor_to_json(&anchor);
    return GH_OK;
}

/* {"enabled": false} disables it and ends the sessions that it carries. */
enum gh_error_code api_ca_update(struct call *call)
{
    static const char *const keys[] = {"enabled"};
    struct gh_registry registry;
    struct gh_anchor anchor;
    bool enabled = false;
    if (!gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_bool(call->body, "enabled", GH_JSON_REQUIRED, &enabled, &call->error))
        return call->error.code;
    enum gh_error_code code = find_anchor(call, &registry, &anchor);
    if (code == GH_OK)
        code = gh_directory_anchor_enable(call->api->services.directory, &anchor, enabled,
                                          &call->error);
    if (code != GH_OK)
        return code;
    note(call, &registry, enabled ? "CA_ENABLED" : "CA_DISABLED", anchor.id);
    call->answer = anchor_to_json(&anchor);
    return GH_OK;
}

enum gh_error_code api_ca_remove(struct call *call)
{
    struct gh_registry registry;
    struct gh_anchor anchor;
    enum gh_error_code code = find_anchor(call, &registry, &anchor);
    if (code == GH_OK && anchor.registry == 0)
        code = call_fail(call, GH_ERROR_PRECONDITION,
                         "the tenant's own CA is not removed from a registry");
    if (code == GH_OK)
        code = gh_directory_anchor_remove(call->api->services.directory, &anchor, &call->error);
    if (code == GH_OK)
        note(call, &registry, "CA_REMOVED", anchor.id);
    return code;
}

/* {"pem"} or {"der_base64"}: the list as the CA publishes it. */
enum gh_error_code api_ca_crl(struct call *call)
{
    static const char *const keys[] = {"pem", "der_base64"};
    struct gh_slice pem = {0}, base64 = {0};
    struct gh_registry registry;
    struct gh_anchor anchor;
    struct gh_buffer der;
    size_t revoked = 0;
    if (!gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_text(call->body, "pem", 0, &pem, &call->error) ||
        !gh_json_get_text(call->body, "der_base64", 0, &base64, &call->error))
        return call->error.code;
    if ((pem.size > 0) == (base64.size > 0))
        return call_fail(call, GH_ERROR_INVALID, "the body is one of pem and der_base64");
    enum gh_error_code code = find_anchor(call, &registry, &anchor);
    gh_buffer_init(&der, base64.size + 16);
    if (code == GH_OK && base64.size > 0 && !gh_base64_decode(base64, GH_BASE64_ANY, &der))
        code = call_fail(call, GH_ERROR_INVALID, "der_base64 is not base64");
    if (code == GH_OK)
        code = gh_directory_crl_import(call->api->services.directory, &anchor,
                                       pem.size > 0 ? pem : gh_buffer_slice(&der), &revoked,
                                       &call->error);
    gh_buffer_deinit(&der);
    if (code != GH_OK)
        return code;
    note(call, &registry, "CRL_IMPORTED", anchor.id);
    call->answer = json_pack("{s:I, s:o}", "revoked", (json_int_t)revoked, "next_update",
                             json_time(anchor.crl_next_ms));
    return GH_OK;
}

static const char *const reason_names[] = {
    "unspecified", "key_compromise",         "ca_compromise",    "affiliation_changed",
    "superseded",  "cessation_of_operation", "certificate_hold", NULL,
    NULL,          "privilege_withdrawn",    "aa_compromise"};

static const char *reason_name(int reason)
{
    bool known =
        reason >= 0 && reason < (int)GH_COUNT(reason_names) && reason_names[reason] != NULL;
    return known ? reason_names[reason] : reason_names[0];
}

static int reason_of(struct gh_slice name)
{
    for (size_t i = 0; i < GH_COUNT(reason_names); i++)
        if (reason_names[i] != NULL && gh_slice_equal(name, gh_slice_text(reason_names[i])))
            return (int)i;
    return name.size == 0 ? 0 : -1;
}

enum gh_error_code api_ca_revoke(struct call *call)
{
    static const char *const keys[] = {"serial", "reason"};
    struct gh_slice serial = {0}, reason = {0};
    struct gh_registry registry;
    struct gh_anchor anchor;
    if (!gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_text(call->body, "serial", GH_JSON_REQUIRED, &serial, &call->error) ||
        !gh_json_get_text(call->body, "reason", 0, &reason, &call->error))
        return call->error.code;
    enum gh_error_code code = find_anchor(call, &registry, &anchor);
    if (code == GH_OK)
        code = gh_directory_certificate_revoke(call->api->services.directory, &anchor, serial,
                                               reason_of(reason), &call->error);
    if (code != GH_OK)
        return code;
    note(call, &registry, "CERTIFICATE_REVOKED", serial);
    call->answer = json_pack("{s:o, s:s}", "serial", json_slice(serial), "reason",
                             reason_name(reason_of(reason)));
    return GH_OK;
}

enum gh_error_code api_ca_revocations(struct call *call)
{
    struct gh_registry registry;
    struct gh_anchor anchor;
    struct gh_revocation *rows;
    uint64_t limit;
    size_t count;
    if (!call_query_u64(call, "limit", 1, LIST_MAX, LIST_DEFAULT, &limit))
        return call->error.code;
    enum gh_error_code code = find_anchor(call, &registry, &anchor);
    if (code == GH_OK)
        code =
            gh_directory_revocation_list(call->api->services.directory, anchor.number,
                                         (size_t)limit, call->arena, &rows, &count, &call->error);
    if (code != GH_OK)
        return code;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(
            list, json_pack("{s:o, s:s, s:o}", "serial", json_slice(rows[i].serial), "reason",
                            reason_name(rows[i].reason), "revoked_at", json_time(rows[i].at_ms)));
    call->answer = json_pack("{s:o}", "revocations", list);
    return GH_OK;
}
