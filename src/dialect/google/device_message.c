#include "dialect/google/rest_internal.h"

/* google.cloud.iot.v1.Device, DeviceConfig and DeviceState. */

static const struct google_enum_value key_format_values[] = {
    {"UNSPECIFIED_PUBLIC_KEY_FORMAT", 0},
    {"RSA_X509_PEM", GH_CREDENTIAL_RSA_X509_PEM},
    {"ES256_PEM", GH_CREDENTIAL_ES256_PEM},
    {"RSA_PEM", GH_CREDENTIAL_RSA_PEM},
    {"ES256_X509_PEM", GH_CREDENTIAL_ES256_X509_PEM},
};
enum { TYPE_UNSPECIFIED = 0, TYPE_GATEWAY = 1, TYPE_NON_GATEWAY = 2 };
static const struct google_enum_value gateway_type_values[] = {
    {"GATEWAY_TYPE_UNSPECIFIED", TYPE_UNSPECIFIED},
    {"GATEWAY", TYPE_GATEWAY},
    {"NON_GATEWAY", TYPE_NON_GATEWAY},
};
static const struct google_enum_value auth_method_values[] = {
    {"GATEWAY_AUTH_METHOD_UNSPECIFIED", 0},
    {"ASSOCIATION_ONLY", 1},
    {"DEVICE_AUTH_TOKEN_ONLY", 2},
    {"ASSOCIATION_AND_DEVICE_AUTH_TOKEN", 3},
};
static const struct google_enum key_formats = GOOGLE_VALUES(key_format_values);
static const struct google_enum auth_methods = GOOGLE_VALUES(auth_method_values);
const struct google_enum google_gateway_types = GOOGLE_VALUES(gateway_type_values);

static const struct google_field key_fields[] = {
    {.name = "format", .type = GOOGLE_ENUM, .values = &key_formats},
    {.name = "key"},
};
static const struct google_message key_message = GOOGLE_FIELDS(key_fields);
static const struct google_field credential_fields[] = {
    {.name = "publicKey", .type = GOOGLE_MESSAGE, .message = &key_message},
    {.name = "expirationTime", .type = GOOGLE_TIME},
};
static const struct google_field config_fields[] = {
    {.name = "version", .type = GOOGLE_NUMBER},
    {.name = "cloudUpdateTime", .output = true},
    {.name = "deviceAckTime", .output = true},
    {.name = "binaryData", .type = GOOGLE_BYTES},
};
static const struct google_field state_fields[] = {
    {.name = "updateTime", .type = GOOGLE_TIME},
    {.name = "binaryData", .type = GOOGLE_BYTES},
};
static const struct google_field error_status_fields[] = {
    {.name = "code", .output = true},
    {.name = "message", .output = true},
    {.name = "details", .output = true, .repeated = true},
};
static const struct google_field gateway_fields[] = {
    {.name = "gatewayType", .type = GOOGLE_ENUM, .values = &google_gateway_types},
    {.name = "gatewayAuthMethod", .type = GOOGLE_ENUM, .values = &auth_methods},
    {.name = "lastAccessedGatewayId", .output = true},
    {.name = "lastAccessedGatewayTime", .output = true},
};
static const struct google_message credential_message = GOOGLE_FIELDS(credential_fields);
static const struct google_message config_message = GOOGLE_FIELDS(config_fields);
static const struct google_message state_message = GOOGLE_FIELDS(state_fields);
static const struct google_message error_status_message = GOOGLE_FIELDS(error_status_fields);
static const struct google_message gateway_message = GOOGLE_FIELDS(gateway_fields);

static const struct google_field device_fields[] = {
    {.name = "id"},
    {.name = "name"},
    {.name = "numId", .type = GOOGLE_NUMBER},
    {.name = "credentials",
     .type = GOOGLE_MESSAGE,
     .repeated = true,
     .message = &credential_message},
    {.name = "lastHeartbeatTime", .output = true},
    {.name = "lastEventTime", .output = true},
    {.name = "lastStateTime", .output = true},
    {.name = "lastConfigAckTime", .output = true},
    {.name = "lastConfigSendTime", .output = true},
    {.name = "lastErrorTime", .output = true},
    {.name = "lastErrorStatus", .output = true, .message = &error_status_message},
    {.name = "blocked", .type = GOOGLE_BOOL},
    {.name = "config", .type = GOOGLE_MESSAGE, .message = &config_message},
    {.name = "state", .type = GOOGLE_MESSAGE, .message = &state_message},
    {.name = "logLevel", .type = GOOGLE_ENUM, .values = &google_log_levels},
    {.name = "metadata", .type = GOOGLE_TEXT_MAP},
    {.name = "gatewayConfig", .type = GOOGLE_MESSAGE, .message = &gateway_message},
};
const struct google_message google_device_message = GOOGLE_FIELDS(device_fields);
static const struct google_field import_fields[] = {{.name = "devices",
                                                     .type = GOOGLE_MESSAGE,
                                                     .repeated = true,
                                                     .message = &google_device_message}};
const struct google_message google_import_message = GOOGLE_FIELDS(import_fields);

/* ---- reading ---- */

static enum gh_error_code read_credentials(struct google_call *call, json_t *message,
                                           struct gh_device *out)
{
    json_t *credentials = NULL, *credential;
    size_t i;
    gh_json_array(message, "credentials", &credentials);
    if (json_array_size(credentials) > GH_DEVICE_CREDENTIALS_MAX)
        return google_fail(call, GH_ERROR_INVALID, "credentials: at most %d",
                           GH_DEVICE_CREDENTIALS_MAX);
    json_array_foreach(credentials, i, credential)
    {
        json_t *key = NULL;
        int64_t format = 0;
        gh_json_object(credential, "publicKey", &key);
        gh_json_i64(key, "format", &format);
        if (format == 0 || format == GH_CREDENTIAL_PASSWORD || format == GH_CREDENTIAL_SYMMETRIC)
            return google_fail(call, GH_ERROR_INVALID,
                               "credentials.publicKey.format: it must be given");
        out->credentials[i].format = (enum gh_credential_format)format;
        gh_json_text(key, "key", &out->credentials[i].pem);
        /* 1970-01-01T00:00:00Z is how IoT Core exported "never". */
        gh_json_i64(credential, "expirationTime", &out->credentials[i].expires_at_ms);
        out->credentials_count = i + 1;
    }
    return GH_OK;
}

static enum gh_error_code read_metadata(struct google_call *call, json_t *message,
                                        struct gh_device *out)
{
    json_t *metadata = NULL, *value;
    const char *key;
    gh_json_object(message, "metadata", &metadata);
    out->attributes =
        gh_arena_array(call->arena, json_object_size(metadata) + 1, sizeof(*out->attributes));
    if (out->attributes == NULL)
        return google_fail(call, GH_ERROR_MEMORY, "metadata");
    json_object_foreach(metadata, key, value)
    {
        out->attributes[out->attributes_count++] =
            (struct gh_attribute){gh_slice_text(key), gh_json_slice(value)};
    }
    return GH_OK;
}

enum gh_error_code google_device_read(struct google_call *call, json_t *message,
                                      struct gh_device *out)
{
    json_t *config = NULL, *gateway = NULL;
    int64_t number = 0, level = 0, type = 0, auth = 0;
    enum gh_error_code code = read_credentials(call, message, out);
    if (code == GH_OK)
        code = read_metadata(call, message, out);
    if (code != GH_OK)
        return code;
    gh_json_text(message, "id", &out->id);
    gh_json_i64(message, "numId", &number);
    gh_json_i64(message, "logLevel", &level);
    gh_json_bool(message, "blocked", &out->blocked);
    if (gh_json_object(message, "config", &config)) {
        gh_json_i64(config, "version", &out->config.version);
        out->config.data = gh_json_slice(json_object_get(config, "binaryData"));
    }
    if (gh_json_object(message, "gatewayConfig", &gateway)) {
        gh_json_i64(gateway, "gatewayType", &type);
        gh_json_i64(gateway, "gatewayAuthMethod", &auth);
    }
    out->number = (uint64_t)number;
    out->log_level = (int)level;
    out->is_gateway = type == TYPE_GATEWAY;
    out->gateway_auth = (int)auth;
    return GH_OK;
}

void google_device_read_state(json_t *message, struct gh_device *out)
{
    json_t *state = NULL;
    out->state.present = gh_json_object(message, "state", &state);
    gh_json_i64(state, "updateTime", &out->state.updated_at_ms);
    out->state.data = gh_json_slice(json_object_get(state, "binaryData"));
}

/* ---- writing ---- */

json_t *google_config_write(struct google_call *call, const struct gh_config *config)
{
    json_t *out = json_object();
    google_put_int64(out, "version", config->version, &call->write_failed);
    google_put_time(out, "cloudUpdateTime", config->updated_at_ms, &call->write_failed);
    google_put_time(out, "deviceAckTime", config->acknowledged_at_ms, &call->write_failed);
    google_put_bytes(out, "binaryData", config->data, &call->write_failed);
    return out;
}

json_t *google_state_write(struct google_call *call, const struct gh_state *state)
{
    json_t *out = json_object();
    google_put_time(out, "updateTime", state->updated_at_ms, &call->write_failed);
    google_put_bytes(out, "binaryData", state->data, &call->write_failed);
    return out;
}

static json_t *write_credentials(struct google_call *call, const struct gh_device *device)
{
    json_t *list = json_array();
    for (size_t i = 0; i < device->credentials_count; i++) {
        if (device->credentials[i].format == GH_CREDENTIAL_PASSWORD ||
            device->credentials[i].format == GH_CREDENTIAL_SYMMETRIC)
            continue; /* no client of IoT Core's knows one */
        json_t *credential = json_object(), *key = json_object();
        google_put_enum(key, "format", &key_formats, (int)device->credentials[i].format,
                        &call->write_failed);
        google_put_text(key, "key", device->credentials[i].pem, &call->write_failed);
        google_put_value(credential, "publicKey", key, &call->write_failed);
        google_put_time(credential, "expirationTime", device->credentials[i].expires_at_ms,
                        &call->write_failed);
        google_append(list, credential, &call->write_failed);
    }
    return list;
}

static json_t *write_metadata(struct google_call *call, const struct gh_device *device)
{
    json_t *map = json_object();
    for (size_t i = 0; i < device->attributes_count; i++) {
        const struct gh_attribute *each = &device->attributes[i];
        if (json_object_setn_new_nocheck(map, (const char *)each->key.data, each->key.size,
                                         gh_json_new_text(each->value)) != 0)
            call->write_failed = true;
    }
    return map;
}

static json_t *write_gateway(struct google_call *call, const struct gh_device *device)
{
    json_t *out = json_object();
    if (device->is_gateway)
        google_put_enum(out, "gatewayType", &google_gateway_types, TYPE_GATEWAY,
                        &call->write_failed);
    google_put_enum(out, "gatewayAuthMethod", &auth_methods, device->gateway_auth,
                    &call->write_failed);
    google_put_text(out, "lastAccessedGatewayId", device->last_gateway, &call->write_failed);
    google_put_time(out, "lastAccessedGatewayTime", device->last_gateway_ms, &call->write_failed);
    return out;
}

static void put_last_error(struct google_call *call, json_t *out, const struct gh_device *device)
{
    if (device->last_error_ms == 0)
        return;
    json_t *status = json_object();
    google_put_int32(status, "code", device->last_error_code, &call->write_failed);
    google_put_text(status, "message", device->last_error_message, &call->write_failed);
    google_put_time(out, "lastErrorTime", device->last_error_ms, &call->write_failed);
    google_put_value(out, "lastErrorStatus", status, &call->write_failed);
}

static void put_times(struct google_call *call, json_t *out, const struct gh_device *device)
{
    const struct {
        const char *name;
        int64_t at_ms;
    } times[] = {
        {"lastHeartbeatTime", device->last_heartbeat_ms},
        {"lastEventTime", device->last_event_ms},
        {"lastStateTime", device->last_state_ms},
        {"lastConfigAckTime", device->last_config_ack_ms},
        {"lastConfigSendTime", device->last_config_send_ms},
    };
    for (size_t i = 0; i < GH_COUNT(times); i++)
        google_put_time(out, times[i].name, times[i].at_ms, &call->write_failed);
}

json_t *google_device_write(struct google_call *call, const struct gh_device *device)
{
    json_t *out = json_object();
    const char *name =
        gh_arena_print(call->arena, "projects/%.*s/locations/%.*s/registries/%.*s/devices/%llu",
                       GH_PRINT(call->tenant.google_project),
                       GH_PRINT(device->location.size == 0 ? call->location : device->location),
                       GH_PRINT(call->registry.name), (unsigned long long)device->number);
    call->write_failed |= name == NULL;
    google_put_text(out, "id", device->id, &call->write_failed);
    google_put_text(out, "name", gh_slice_text(name), &call->write_failed);
    google_put_int64(out, "numId", (int64_t)device->number, &call->write_failed);
    google_put_value(out, "credentials", write_credentials(call, device), &call->write_failed);
    put_times(call, out, device);
    put_last_error(call, out, device);
    google_put_bool(out, "blocked", device->blocked, &call->write_failed);
    google_put_value(out, "config", google_config_write(call, &device->config),
                     &call->write_failed);
    if (device->state.present)
        google_put_value(out, "state", google_state_write(call, &device->state),
                         &call->write_failed);
    google_put_enum(out, "logLevel", &google_log_levels, device->log_level, &call->write_failed);
    google_put_value(out, "metadata", write_metadata(call, device), &call->write_failed);
    google_put_value(out, "gatewayConfig", write_gateway(call, device), &call->write_failed);
    return out;
}
