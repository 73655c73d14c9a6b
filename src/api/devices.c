#include "api/call_internal.h"
#include "base/secret.h"
#include "base/time.h"
#include "crypto/certificate.h"
#include "identity/device.h"
#include "observe/trail.h"
#include "route/sessions.h"

enum { PAGE_DEFAULT = 100, PAGE_MAX = 1000, IMPORT_MAX = 1000 };

static json_t *connection_to_json(struct call *call, uint64_t device)
{
    struct gh_presence presence;
    if (!gh_sessions_find(call->api->services.sessions, device, &presence))
        return json_pack("{s:s}", "state", "disconnected");
    return json_pack("{s:s, s:o, s:s, s:s, s:s, s:o}", "state", "connected", "since",
                     json_time(presence.since_ms), "address", presence.peer, "dialect",
                     presence.dialect, "credential", presence.credential, "expires_at",
                     presence.expires_at_ms >= GH_IDENTITY_FOR_EVER_S * 1000
                         ? json_null()
                         : json_time(presence.expires_at_ms));
}

json_t *call_last_refusal(struct call *call, uint64_t device)
{
    struct gh_trail_filter filter = {.device = device, .kinds = 1u << GH_TRAIL_REFUSAL, .limit = 1};
    struct gh_trail_entry *entries;
    size_t count = 0;
    if (gh_trail_list(call->api->services.trail, &filter, call->arena, &entries, &count, NULL) !=
            GH_OK ||
        count == 0)
        return json_null();
    return json_pack("{s:o, s:o, s:o, s:o}", "at", json_time(entries[0].at_ms), "reason",
                     json_slice(entries[0].reason), "detail", json_slice(entries[0].detail),
                     "address", json_slice(entries[0].address));
}

/* A ban that is over is none; without an end `until` is null. */
static json_t *ban_to_json(const struct call *call, const struct gh_device *device)
{
    if (device->banned_until_ms <= call->now_ms)
        return json_null();
    return json_pack("{s:o}", "until",
                     device->banned_until_ms == GH_DEVICE_BANNED_FOR_EVER
                         ? json_null()
                         : json_time(device->banned_until_ms));
}

json_t *device_to_json(struct call *call, const struct gh_device *device)
{
    json_t *credentials = json_array(), *attributes = json_object();
    for (size_t i = 0; i < device->credentials_count; i++)
        json_array_append_new(credentials, credential_to_json(call, &device->credentials[i]));
    for (size_t i = 0; i < device->attributes_count; i++) {
        char *key = gh_arena_text(call->arena, device->attributes[i].key);
        if (key != NULL)
            json_object_set_new(attributes, key, json_slice(device->attributes[i].value));
    }
    json_t *value = json_pack(
        "{s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o}", "tenant", json_slice(device->tenant_name),
        "registry", json_slice(device->registry_name), "id", json_slice(device->id), "number",
        json_number_text(device->number), "blocked", device->blocked, "attributes", attributes,
        "credentials", credentials, "connection", connection_to_json(call, device->number),
        "last_refusal", call_last_refusal(call, device->number));
    if (value == NULL)
        return NULL;
    json_object_set_new(value, "ban", ban_to_json(call, device));
    json_object_set_new(value, "last_event_at", json_time(device->last_event_ms));
    json_object_set_new(value, "last_state_at", json_time(device->last_state_ms));
    json_object_set_new(value, "last_heartbeat_at", json_time(device->last_heartbeat_ms));
    json_object_set_new(value, "created_at", json_time(device->created_at_ms));
    json_object_set_new(value, "config",
                        json_pack("{s:I, s:o, s:o}", "version", (json_int_t)device->config.version,
                                  "updated_at", json_time(device->config.updated_at_ms),
                                  "acknowledged_at", json_time(device->config.acknowledged_at_ms)));
    json_object_set_new(value, "state",
                        device->state.present ? json_pack("{s:o}", "updated_at",
                                                          json_time(device->state.updated_at_ms))
                                              : json_null());
    return value;
}

/* ?state=connected|disconnected, told from the live sessions while the list is read. */
struct presence_filter {
    struct gh_sessions *sessions;
    bool connected;
};

static bool keep_by_presence(void *context, uint64_t device)
{
    struct presence_filter *filter = context;
    struct gh_presence presence;
    return gh_sessions_find(filter->sessions, device, &presence) == filter->connected;
}

static enum gh_error_code list_devices(struct call *call, struct gh_device_query *query)
{
    struct presence_filter filter = {.sessions = call->api->services.sessions};
    struct gh_slice state = call_query(call, "state"), next;
    struct gh_device *devices;
    uint64_t page_size, total;
    size_t count;
    if (!call_query_u64(call, "page_size", 1, PAGE_MAX, PAGE_DEFAULT, &page_size))
        return call->error.code;
    filter.connected = gh_slice_equal(state, GH_SLICE("connected"));
    if (state.size > 0 && !filter.connected && !gh_slice_equal(state, GH_SLICE("disconnected")))
        return call_fail(call, GH_ERROR_INVALID, "state is connected or disconnected");
    if (state.size > 0) {
        query->keep = keep_by_presence;
        query->keep_context = &filter;
    }
    query->text = call_query(call, "filter");
    query->page_size = (size_t)page_size;
    query->page_token = call_query(call, "page_token");
    query->parts = GH_DEVICE_PART_CREDENTIALS | GH_DEVICE_PART_ATTRIBUTES;
    struct gh_directory *directory = call->api->services.directory;
    enum gh_error_code code = gh_directory_device_list(directory, query, call->arena, &devices,
                                                       &count, &next, &call->error);
    if (code == GH_OK)
        code = gh_directory_device_count(directory, query, &total, &call->error);
    if (code != GH_OK)
        return code;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, device_to_json(call, &devices[i]));
    call->answer = json_pack("{s:o, s:I}", "devices", list, "total", (json_int_t)total);
    if (next.size > 0)
        json_object_set_new(call->answer, "next_page_token", json_slice(next));
    return GH_OK;
}

enum gh_error_code api_device_list(struct call *call)
{
    struct gh_registry registry;
    enum gh_error_code code = call_registry(call, &registry);
    struct gh_device_query query = {.tenant = call->tenant.number, .registry = registry.number};
    return code == GH_OK ? list_devices(call, &query) : code;
}

/* All devices that the caller may see; ?tenant and ?registry narrow it. */
enum gh_error_code api_fleet(struct call *call)
{
    struct gh_slice tenant_name = call_query(call, "tenant"),
                    registry_name = call_query(call, "registry");
    struct gh_directory *directory = call->api->services.directory;
    struct gh_device_query query = {.tenant = call->caller.tenant};
    if (tenant_name.size > 0) {
        struct gh_tenant tenant;
        enum gh_error_code code =
            gh_directory_tenant_find(directory, tenant_name, call->arena, &tenant, &call->error);
        if (code != GH_OK)
            return code;
        query.tenant = tenant.number;
    }
    if (!call_may(call, GH_PERMISSION_DEVICES_LIST, query.tenant))
        return call_fail(call, GH_ERROR_DENIED, "devices.list");
    if (registry_name.size > 0) {
        struct gh_registry registry;
        if (tenant_name.size == 0)
            return call_fail(call, GH_ERROR_INVALID, "registry needs tenant beside it");
        enum gh_error_code code =
            gh_directory_registry_find(directory, query.tenant, registry_name, (struct gh_slice){0},
                                       call->arena, &registry, &call->error);
        if (code != GH_OK)
            return code;
        query.registry = registry.number;
    }
    return list_devices(call, &query);
}

static enum gh_credential_format format_of(const struct gh_credential_facts *facts)
{
    bool is_certificate = facts->form == GH_KEY_FORM_CERTIFICATE;
    if (facts->kind == GH_KEY_RSA)
        return is_certificate ? GH_CREDENTIAL_RSA_X509_PEM : GH_CREDENTIAL_RSA_PEM;
    return is_certificate ? GH_CREDENTIAL_ES256_X509_PEM : GH_CREDENTIAL_ES256_PEM;
}

static const struct gh_credential *credential_of(const struct gh_device *device, struct gh_slice id)
{
    for (size_t i = 0; device != NULL && i < device->credentials_count; i++)
        if (gh_slice_equal(device->credentials[i].id, id))
            return &device->credentials[i];
    return NULL;
}

/* `true` asks for a new key, a text gives one. */
static enum gh_error_code read_symmetric(struct call *call, const json_t *value,
                                         struct gh_credential *credential)
{
    if (!json_is_true(value) && (!json_is_string(value) || json_string_length(value) == 0))
        return call_fail(call, GH_ERROR_INVALID, "symmetric_key is true or a key in base64");
    credential->format = GH_CREDENTIAL_SYMMETRIC;
    if (json_is_string(value))
        credential->secret = gh_json_slice(value);
    return GH_OK;
}

/* One of {"pem"}, {"password"}, {"symmetric_key"} and {"id"} (one that the device has, to stay),
 * with "disabled", "valid_from" and "expires_at". */
static enum gh_error_code read_credential(struct call *call, const json_t *item,
                                          const struct gh_registry *registry,
                                          const struct gh_device *before,
                                          struct gh_credential *credential)
{
    static const char *const keys[] = {"pem",      "password",   "symmetric_key", "id",
                                       "disabled", "valid_from", "expires_at"};
    struct gh_slice from = {0}, expires = {0}, id = {0};
    bool disabled = false;
    if (!gh_json_only(item, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_text(item, "pem", 0, &credential->pem, &call->error) ||
        !gh_json_get_text(item, "password", 0, &credential->secret, &call->error) ||
        !gh_json_get_text(item, "id", 0, &id, &call->error) ||
        !gh_json_get_bool(item, "disabled", 0, &disabled, &call->error) ||
        !gh_json_get_text(item, "valid_from", 0, &from, &call->error) ||
        !gh_json_get_text(item, "expires_at", 0, &expires, &call->error))
        return call->error.code;
    bool has_pem = json_object_get(item, "pem") != NULL,
         has_password = json_object_get(item, "password") != NULL,
         has_id = json_object_get(item, "id") != NULL;
    const json_t *symmetric = json_object_get(item, "symmetric_key");
    if (has_pem + has_password + has_id + (symmetric != NULL) != 1)
        return call_fail(call, GH_ERROR_INVALID,
                         "a credential is one of pem, password, symmetric_key and id");
    if (has_id) {
        const struct gh_credential *kept = credential_of(before, id);
        if (kept == NULL)
            return call_fail(call, GH_ERROR_INVALID, "the device has no credential %.*s",
                             GH_PRINT(gh_slice_sub(id, 0, 64)));
        *credential = *kept;
    }
    if ((expires.size > 0 && !gh_time_parse(expires, &credential->expires_at_ms)) ||
        (from.size > 0 && !gh_time_parse(from, &credential->valid_from_ms)))
        return call_fail(call, GH_ERROR_INVALID,
                         "valid_from or expires_at is not a time like 2033-05-18T03:33:20Z");
    credential->says_state = json_object_get(item, "disabled") != NULL;
    if (credential->says_state)
        credential->disabled = disabled;
    if (has_password)
        credential->format = GH_CREDENTIAL_PASSWORD;
    if (symmetric != NULL)
        return read_symmetric(call, symmetric, credential);
    if (!has_pem)
        return GH_OK;
    struct gh_credential_facts facts;
    struct gh_credential_offer offer = {.pem = credential->pem,
                                        .registry_certificates = registry->certificates,
                                        .registry_certificates_count =
                                            registry->certificates_count};
    enum gh_error_code code =
        gh_key_check_credential(&offer, call->now_ms / 1000, &facts, &call->error);
    credential->format = code == GH_OK ? format_of(&facts) : credential->format;
    return code;
}

/* "credentials" of `body`; the format of a key is read out of its PEM. `before` is NULL for a new
 * device. */
static enum gh_error_code read_credentials(struct call *call, const json_t *body,
                                           const struct gh_registry *registry,
                                           const struct gh_device *before, struct gh_device *device)
{
    json_t *list = NULL;
    enum gh_error_code code = GH_OK;
    if (!gh_json_get_array(body, "credentials", 0, &list, &call->error))
        return call->error.code;
    if (json_array_size(list) > GH_DEVICE_CREDENTIALS_MAX)
        return call_fail(call, GH_ERROR_INVALID, "a device has at most %d credentials",
                         GH_DEVICE_CREDENTIALS_MAX);
    for (size_t i = 0; code == GH_OK && i < json_array_size(list); i++)
        code = read_credential(call, json_array_get(list, i), registry, before,
                               &device->credentials[device->credentials_count++]);
    return code;
}

static enum gh_error_code read_attributes(struct call *call, const json_t *body,
                                          struct gh_device *device)
{
    json_t *object = NULL, *value;
    const char *key;
    if (!gh_json_get_object(body, "attributes", 0, &object, &call->error))
        return call->error.code;
    device->attributes =
        gh_arena_array(call->arena, json_object_size(object) + 1, sizeof *device->attributes);
    if (device->attributes == NULL)
        return call_fail(call, GH_ERROR_MEMORY, "attributes");
    json_object_foreach(object, key, value)
    {
        if (!json_is_string(value))
            return call_fail(call, GH_ERROR_INVALID, "attribute %s is not a text", key);
        device->attributes[device->attributes_count++] =
            (struct gh_attribute){gh_slice_text(key), gh_json_slice(value)};
    }
    return GH_OK;
}

static void note_change(struct call *call, const struct gh_device *device, const char *what)
{
    gh_trail_note(call->api->services.trail,
                  &(struct gh_trail_entry){.at_ms = call->now_ms,
                                           .device = device->number,
                                           .tenant = device->tenant_name,
                                           .registry = device->registry_name,
                                           .device_id = device->id,
                                           .kind = GH_TRAIL_OPERATOR,
                                           .reason = gh_slice_text(what),
                                           .detail = call->caller.name,
                                           .address = gh_slice_text(call->request->peer)});
}

/* The passwords of a device as a request wrote it, and the request's own text, are of no use any
 * more. */
static void forget_passwords(struct call *call, const json_t *body)
{
    const json_t *list = json_object_get(body, "credentials");
    bool any = false;
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct gh_slice text = {0};
        if ((!gh_json_text(json_array_get(list, i), "password", &text) || text.size == 0) &&
            (!gh_json_text(json_array_get(list, i), "symmetric_key", &text) || text.size == 0))
            continue;
        gh_secret_wipe((void *)(uintptr_t)text.data, text.size); /* this call's own copy */
        any = true;
    }
    if (any && call->request->body.size > 0)
        gh_secret_wipe((void *)(uintptr_t)call->request->body.data, call->request->body.size);
}

/* A device as a request writes it. */
static enum gh_error_code read_device(struct call *call, const json_t *body,
                                      const struct gh_registry *registry, struct gh_device *device)
{
    static const char *const keys[] = {"id", "credentials", "attributes", "blocked"};
    *device = (struct gh_device){.registry = registry->number};
    if (!gh_json_only(body, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_text(body, "id", GH_JSON_REQUIRED, &device->id, &call->error) ||
        !gh_json_get_bool(body, "blocked", 0, &device->blocked, &call->error))
        return call->error.code;
    enum gh_error_code code = read_credentials(call, body, registry, NULL, device);
    return code == GH_OK ? read_attributes(call, body, device) : code;
}

/* Whose key or secret it is: told to who may read that device, in this tenant alone. */
static void name_holder(struct call *call, const struct gh_device *made)
{
    struct gh_directory *directory = call->api->services.directory;
    struct gh_error why = call->error, ignored;
    struct gh_device other;
    uint64_t number = 0;
    if (!gh_slice_starts(gh_slice_text(why.text), GH_SLICE("credentials")))
        return;
    for (size_t i = 0; number == 0 && i < made->credentials_count; i++)
        if (gh_directory_credential_holder(directory, made->number, &made->credentials[i], &number,
                                           &ignored) != GH_OK)
            return;
    if (number == 0 ||
        gh_directory_device_get(directory, number, call->arena, &other, &ignored) != GH_OK ||
        other.tenant != call->tenant.number ||
        !call_may_on_device(call, GH_PERMISSION_DEVICES_GET, &other))
        return;
    (void)call_fail(call, why.code, "%.300s (it is that of %.*s/%.*s)", why.text,
                    GH_PRINT(other.registry_name), GH_PRINT(gh_slice_sub(other.id, 0, 64)));
}

enum gh_error_code api_device_create(struct call *call)
{
    struct gh_directory *directory = call->api->services.directory;
    struct gh_device made, device;
    struct gh_registry registry;
    enum gh_error_code code = call_registry(call, &registry);
    if (code == GH_OK)
        code = read_device(call, call->body, &registry, &made);
    if (code == GH_OK)
        code = gh_directory_device_create(directory, &made, call->arena, &call->error);
    if (code == GH_OK)
        code = gh_directory_device_get(directory, made.number, call->arena, &device, &call->error);
    if (code == GH_ERROR_EXISTS)
        name_holder(call, &made);
    if (code != GH_OK) {
        forget_passwords(call, call->body);
        return code;
    }
    gh_directory_show_new_keys(&made, &device);
    note_change(call, &device, "CREATED");
    call->status = 201;
    call->answer = device_to_json(call, &device);
    forget_passwords(call, call->body); /* a key that was given is part of the answer */
    return GH_OK;
}

/* Many at once: {"devices":[…]}; all are created, or none and the first that is wrong is named. */
enum gh_error_code api_device_import(struct call *call)
{
    static const char *const keys[] = {"devices"};
    struct gh_registry registry;
    json_t *list = NULL;
    size_t count, at = 0;
    enum gh_error_code code = call_registry(call, &registry);
    if (code != GH_OK)
        return code;
    if (!gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_array(call->body, "devices", GH_JSON_REQUIRED, &list, &call->error))
        return call->error.code;
    count = json_array_size(list);
    if (count == 0 || count > IMPORT_MAX)
        return call_fail(call, GH_ERROR_RANGE, "devices: 1 to %d", IMPORT_MAX);
    struct gh_device *devices = gh_arena_array(call->arena, count, sizeof *devices);
    if (devices == NULL)
        return call_fail(call, GH_ERROR_MEMORY, "devices");
    for (size_t i = 0; code == GH_OK && i < count; i++) {
        at = i;
        code = read_device(call, json_array_get(list, i), &registry, &devices[i]);
    }
    if (code == GH_OK)
        code = gh_directory_device_create_all(call->api->services.directory, devices, count,
                                              call->arena, &at, &call->error);
    for (size_t i = 0; i < count; i++)
        forget_passwords(call, json_array_get(list, i));
    if (code != GH_OK) {
        struct gh_error why = call->error;
        return call_fail(call, code, "devices[%zu]: %.400s", at, why.text);
    }
    for (size_t i = 0; i < count; i++) {
        devices[i].tenant_name = call->tenant.name;
        devices[i].registry_name = registry.name;
        note_change(call, &devices[i], "CREATED");
    }
    call->status = 201;
    call->answer = json_pack("{s:I}", "created", (json_int_t)count);
    return GH_OK;
}

enum gh_error_code api_device_get(struct call *call)
{
    struct gh_device device;
    enum gh_error_code code = call_device(call, &device);
    if (code == GH_OK)
        call->answer = device_to_json(call, &device);
    return code;
}

enum gh_error_code api_device_update(struct call *call)
{
    static const char *const keys[] = {"blocked", "attributes", "credentials"};
    static const unsigned bits[] = {GH_DEVICE_BLOCKED, GH_DEVICE_ATTRIBUTES, GH_DEVICE_CREDENTIALS};
    struct gh_directory *directory = call->api->services.directory;
    struct gh_device device, change = {0};
    struct gh_registry registry;
    unsigned fields = 0;
    enum gh_error_code code = call_device(call, &device);
    if (code == GH_OK)
        code = call_registry(call, &registry);
    if (code != GH_OK)
        return code;
    if (!gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_bool(call->body, "blocked", 0, &change.blocked, &call->error))
        return call->error.code;
    for (size_t i = 0; i < GH_COUNT(keys); i++)
        if (json_object_get(call->body, keys[i]) != NULL)
            fields |= bits[i];
    if (fields == 0)
        return call_fail(call, GH_ERROR_INVALID, "the body changes nothing");
    if ((code = read_credentials(call, call->body, &registry, &device, &change)) != GH_OK ||
        (code = read_attributes(call, call->body, &change)) != GH_OK)
        return code;
    code = gh_directory_device_update(directory, device.number, fields, &change, call->arena,
                                      &device, &call->error);
    if (code == GH_OK) {
        note_change(call, &device,
                    fields == GH_DEVICE_BLOCKED ? (device.blocked ? "BLOCKED" : "UNBLOCKED")
                                                : "UPDATED");
        call->answer = device_to_json(call, &device);
    }
    forget_passwords(call, call->body);
    return code;
}

enum gh_error_code api_device_delete(struct call *call)
{
    struct gh_device device;
    enum gh_error_code code = call_device(call, &device);
    if (code == GH_OK)
        code =
            gh_directory_device_delete(call->api->services.directory, device.number, &call->error);
    if (code == GH_OK)
        note_change(call, &device, "DELETED");
    return code;
}
