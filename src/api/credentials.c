/* The credentials of a device, one by one: keys, certificates, passwords and symmetric keys of its
 * record, and its tokens for enrolment. */
#include "api/call_internal.h"
#include "base/time.h"
#include "identity/issuing.h"
#include "observe/trail.h"
#include <assert.h>

static const char *const state_names[] = {
    [GH_CREDENTIAL_ENABLED] = "enabled",
    [GH_CREDENTIAL_DISABLED] = "disabled",
    [GH_CREDENTIAL_NOT_YET_VALID] = "not_yet_valid",
    [GH_CREDENTIAL_EXPIRED] = "expired",
};
static_assert(GH_COUNT(state_names) == GH_CREDENTIAL_STATE_COUNT, "a name for each state");

json_t *credential_to_json(const struct call *call, const struct gh_credential *credential)
{
    static const struct {
        const char *kind, *form;
    } shown[] = {
        [GH_CREDENTIAL_RSA_X509_PEM] = {"RS256", "certificate"},
        [GH_CREDENTIAL_ES256_PEM] = {"ES256", "public_key"},
        [GH_CREDENTIAL_RSA_PEM] = {"RS256", "public_key"},
        [GH_CREDENTIAL_ES256_X509_PEM] = {"ES256", "certificate"},
        [GH_CREDENTIAL_PASSWORD] = {"password", "password"},
        [GH_CREDENTIAL_SYMMETRIC] = {"HS256", "symmetric_key"},
    };
    bool known =
        (size_t)credential->format < GH_COUNT(shown) && shown[credential->format].kind != NULL;
    json_t *value = json_pack(
        "{s:o, s:s, s:s, s:o, s:s, s:o, s:o, s:o, s:o}", "id", json_slice(credential->id), "kind",
        known ? shown[credential->format].kind : "", "form",
        known ? shown[credential->format].form : "", "fingerprint",
        credential->fingerprint.size > 0 ? json_slice(credential->fingerprint) : json_null(),
        "state", state_names[gh_credential_state(credential, call->now_ms)], "valid_from",
        json_time(credential->valid_from_ms), "expires_at", json_time(credential->expires_at_ms),
        "last_used_at", json_time(credential->last_used_ms), "created_at",
        json_time(credential->created_at_ms));
    /* In the answer to the call that made it, and never again. */
    if (credential->format == GH_CREDENTIAL_SYMMETRIC && credential->secret.size > 0)
        json_object_set_new(value, "symmetric_key", json_slice(credential->secret));
    return value;
}

static json_t *enrolment_to_json(const struct call *call, const struct gh_enrolment *row)
{
    const char *state = row->used_at_ms != 0                 ? "used"
                        : row->disabled                      ? "disabled"
                        : row->expires_at_ms <= call->now_ms ? "expired"
                                                             : "enabled";
    return json_pack("{s:o, s:s, s:s, s:o, s:s, s:o, s:o, s:o, s:o}", "id", json_slice(row->id),
                     "kind", "enrolment_token", "form", "enrolment_token", "fingerprint",
                     json_null(), "state", state, "valid_from", json_null(), "expires_at",
                     json_time(row->expires_at_ms), "last_used_at", json_time(row->used_at_ms),
                     "created_at", json_time(row->created_at_ms));
}

static const char *state_of(const struct call *call, const struct gh_certificate_use *row)
{
    return row->revoked_at_ms != 0                   ? "revoked"
           : row->anchor_state == GH_ANCHOR_DISABLED ? "ca_disabled"
           : row->not_after_ms < call->now_ms        ? state_names[GH_CREDENTIAL_EXPIRED]
           : row->not_before_ms > call->now_ms       ? state_names[GH_CREDENTIAL_NOT_YET_VALID]
                                                     : state_names[GH_CREDENTIAL_ENABLED];
}

/* A certificate by a CA: no record of the device, but what it may prove itself with. */
static json_t *certificate_to_json(const struct call *call, const struct gh_certificate_use *row)
{
    char id[GH_ANCHOR_CREDENTIAL_MAX];
    gh_anchor_credential_print(row->anchor, row->serial, id);
    return json_pack("{s:s, s:s, s:s, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "id", id, "kind",
                     "certificate", "form", "certificate_by_ca", "fingerprint", json_null(),
                     "state", state_of(call, row), "valid_from", json_time(row->not_before_ms),
                     "expires_at", json_time(row->not_after_ms), "last_used_at",
                     json_time(row->last_used_ms), "created_at", json_time(row->first_ms), "ca",
                     json_slice(row->anchor_id), "serial", json_slice(row->serial));
}

static enum gh_error_code enrolments_of(struct call *call, uint64_t device,
                                        struct gh_enrolment **rows, size_t *count)
{
    *count = 0;
    return call->api->services.issuing != NULL
               ? gh_issuing_enrolment_list(call->api->services.issuing, device, call->arena, rows,
                                           count, &call->error)
               : GH_OK;
}

enum gh_error_code api_credential_list(struct call *call)
{
    struct gh_device device;
    struct gh_enrolment *rows = NULL;
    struct gh_certificate_use *certificates;
    size_t count = 0, certificates_count;
    enum gh_error_code code = call_device(call, &device);
    if (code == GH_OK)
        code = enrolments_of(call, device.number, &rows, &count);
    if (code == GH_OK)
        code = gh_directory_certificate_uses(call->api->services.directory, device.number,
                                             call->now_ms, call->arena, &certificates,
                                             &certificates_count, &call->error);
    if (code != GH_OK)
        return code;
    json_t *list = json_array();
    for (size_t i = 0; i < device.credentials_count; i++)
        json_array_append_new(list, credential_to_json(call, &device.credentials[i]));
    for (size_t i = 0; i < certificates_count; i++)
        json_array_append_new(list, certificate_to_json(call, &certificates[i]));
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, enrolment_to_json(call, &rows[i]));
    call->answer = json_pack("{s:o}", "credentials", list);
    return GH_OK;
}

/* --- changing one */

struct change {
    struct gh_device device;
    size_t at;          /* among its credentials; their number: it is a token for enrolment */
    struct gh_slice id; /* as the path names it */
};

static enum gh_error_code find(struct call *call, struct change *change)
{
    enum gh_error_code code = call_device(call, &change->device);
    change->id = call->captures[3];
    for (change->at = 0; change->at < change->device.credentials_count; change->at++)
        if (gh_slice_equal(change->device.credentials[change->at].id, change->id))
            break;
    return code;
}

static bool is_enrolment(const struct change *change)
{
    return change->at == change->device.credentials_count;
}

static enum gh_error_code unknown(struct call *call, const struct change *change)
{
    struct gh_slice serial;
    if (gh_anchor_credential_read(change->id, 0, &serial))
        return call_fail(call, GH_ERROR_PRECONDITION,
                         "a certificate by a CA is revoked under its CA, not changed");
    return call_fail(call, GH_ERROR_NOT_FOUND, "the device has no credential %.*s",
                     GH_PRINT(gh_slice_sub(change->id, 0, 64)));
}

static void note(struct call *call, const struct change *change, const char *what)
{
    const struct gh_device *device = &change->device;
    const char *detail =
        gh_arena_print(call->arena, "%.*s, credential %.*s", GH_PRINT(call->caller.name),
                       GH_PRINT(gh_slice_sub(change->id, 0, 64)));
    gh_trail_note(call->api->services.trail,
                  &(struct gh_trail_entry){.at_ms = call->now_ms,
                                           .device = device->number,
                                           .tenant = device->tenant_name,
                                           .registry = device->registry_name,
                                           .device_id = device->id,
                                           .kind = GH_TRAIL_OPERATOR,
                                           .reason = gh_slice_text(what),
                                           .detail = gh_slice_text(detail != NULL ? detail : ""),
                                           .address = gh_slice_text(call->request->peer)});
}

/* A token for enrolment is enabled or disabled, no more. */
static enum gh_error_code change_enrolment(struct call *call, const struct change *change,
                                           bool disabled)
{
    struct gh_enrolment *rows = NULL;
    size_t count = 0;
    if (json_object_size(call->body) != 1 || json_object_get(call->body, "disabled") == NULL)
        return call_fail(call, GH_ERROR_INVALID, "of an enrolment token only disabled changes");
    if (call->api->services.issuing == NULL)
        return unknown(call, change);
    enum gh_error_code code = gh_issuing_enrolment_disable(
        call->api->services.issuing, change->device.number, change->id, disabled, &call->error);
    if (code == GH_ERROR_NOT_FOUND)
        return unknown(call, change);
    if (code == GH_OK)
        code = enrolments_of(call, change->device.number, &rows, &count);
    for (size_t i = 0; code == GH_OK && i < count; i++)
        if (gh_slice_equal(rows[i].id, change->id))
            call->answer = enrolment_to_json(call, &rows[i]);
    return code;
}

/* A time in the body; null takes the bound away. */
static enum gh_error_code read_bound(struct call *call, const char *name, int64_t *out)
{
    struct gh_slice text = {0};
    const json_t *value = json_object_get(call->body, name);
    if (value == NULL)
        return GH_OK;
    if (json_is_null(value))
        *out = 0;
    else if (!gh_json_text(call->body, name, &text) || !gh_time_parse(text, out))
        return call_fail(call, GH_ERROR_INVALID, "%s is not a time like 2033-05-18T03:33:20Z",
                         name);
    return GH_OK;
}

static enum gh_error_code write(struct call *call, struct change *change)
{
    /* Read from the record, so nothing of it is to be kept as it is. */
    for (size_t i = 0; i < change->device.credentials_count; i++)
        change->device.credentials[i].says_state = true;
    return gh_directory_device_update(call->api->services.directory, change->device.number,
                                      GH_DEVICE_CREDENTIALS, &change->device, call->arena,
                                      &change->device, &call->error);
}

/* {"disabled", "valid_from", "expires_at"}, at least one. What it carries ends within a second when
 * it is disabled. */
enum gh_error_code api_credential_update(struct call *call)
{
    static const char *const keys[] = {"disabled", "valid_from", "expires_at"};
    struct change change;
    bool disabled = false, says = json_object_get(call->body, "disabled") != NULL;
    if (!gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_bool(call->body, "disabled", 0, &disabled, &call->error))
        return call->error.code;
    if (json_object_size(call->body) == 0)
        return call_fail(call, GH_ERROR_INVALID, "the body changes nothing");
    enum gh_error_code code = find(call, &change);
    if (code != GH_OK)
        return code;
    if (is_enrolment(&change)) {
        code = change_enrolment(call, &change, disabled);
    } else {
        struct gh_credential *credential = &change.device.credentials[change.at];
        if (says)
            credential->disabled = disabled;
        code = read_bound(call, "valid_from", &credential->valid_from_ms);
        if (code == GH_OK)
            code = read_bound(call, "expires_at", &credential->expires_at_ms);
        if (code == GH_OK)
            code = write(call, &change);
        if (code == GH_OK)
            call->answer = credential_to_json(call, &change.device.credentials[change.at]);
    }
    if (code == GH_OK)
        note(call, &change,
             !says      ? "CREDENTIAL_CHANGED"
             : disabled ? "CREDENTIAL_DISABLED"
                        : "CREDENTIAL_ENABLED");
    return code;
}

/* Takes it away; its sessions end within a second. */
enum gh_error_code api_credential_delete(struct call *call)
{
    struct change change;
    enum gh_error_code code = find(call, &change);
    if (code != GH_OK)
        return code;
    if (is_enrolment(&change))
        return unknown(call, &change); /* it is disabled, and goes when it expires */
    struct gh_credential *list = change.device.credentials;
    for (size_t i = change.at; i + 1 < change.device.credentials_count; i++)
        list[i] = list[i + 1];
    change.device.credentials_count--;
    code = write(call, &change);
    if (code == GH_OK)
        note(call, &change, "CREDENTIAL_REMOVED");
    return code;
}
