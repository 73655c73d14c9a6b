#include "crypto/certificate.h"
#include "dialect/google/rest_internal.h"
#include <string.h>

/* google.cloud.iot.v1.DeviceRegistry and what is in it. */

static const struct google_enum_value mqtt_state_values[] = {
    {"MQTT_STATE_UNSPECIFIED", 0}, {"MQTT_ENABLED", 1}, {"MQTT_DISABLED", 2}};
static const struct google_enum_value http_state_values[] = {
    {"HTTP_STATE_UNSPECIFIED", 0}, {"HTTP_ENABLED", 1}, {"HTTP_DISABLED", 2}};
static const struct google_enum_value log_level_values[] = {
    {"LOG_LEVEL_UNSPECIFIED", 0}, {"NONE", 10}, {"ERROR", 20}, {"INFO", 30}, {"DEBUG", 40}};
static const struct google_enum_value certificate_format_values[] = {
    {"UNSPECIFIED_PUBLIC_KEY_CERTIFICATE_FORMAT", 0}, {"X509_CERTIFICATE_PEM", 1}};
enum { STATE_ENABLED = 1, STATE_DISABLED = 2, FORMAT_PEM = 1 };

static const struct google_enum mqtt_states = GOOGLE_VALUES(mqtt_state_values);
static const struct google_enum http_states = GOOGLE_VALUES(http_state_values);
static const struct google_enum certificate_formats = GOOGLE_VALUES(certificate_format_values);
const struct google_enum google_log_levels = GOOGLE_VALUES(log_level_values);

static const struct google_field event_fields[] = {{.name = "subfolderMatches"},
                                                   {.name = "pubsubTopicName"}};
static const struct google_field state_fields[] = {{.name = "pubsubTopicName"}};
static const struct google_field mqtt_fields[] = {
    {.name = "mqttEnabledState", .type = GOOGLE_ENUM, .values = &mqtt_states}};
static const struct google_field http_fields[] = {
    {.name = "httpEnabledState", .type = GOOGLE_ENUM, .values = &http_states}};
static const struct google_field certificate_fields[] = {
    {.name = "format", .type = GOOGLE_ENUM, .values = &certificate_formats},
    {.name = "certificate"},
    {.name = "x509Details", .output = true},
};
static const struct google_message event_message = GOOGLE_FIELDS(event_fields);
static const struct google_message state_message = GOOGLE_FIELDS(state_fields);
static const struct google_message mqtt_message = GOOGLE_FIELDS(mqtt_fields);
static const struct google_message http_message = GOOGLE_FIELDS(http_fields);
static const struct google_message certificate_message = GOOGLE_FIELDS(certificate_fields);

static const struct google_field credential_fields[] = {
    {.name = "publicKeyCertificate", .type = GOOGLE_MESSAGE, .message = &certificate_message}};
static const struct google_message credential_message = GOOGLE_FIELDS(credential_fields);

static const struct google_field registry_fields[] = {
    {.name = "id"},
    {.name = "name"},
    {.name = "eventNotificationConfigs",
     .type = GOOGLE_MESSAGE,
     .repeated = true,
     .message = &event_message},
    {.name = "stateNotificationConfig", .type = GOOGLE_MESSAGE, .message = &state_message},
    {.name = "mqttConfig", .type = GOOGLE_MESSAGE, .message = &mqtt_message},
    {.name = "httpConfig", .type = GOOGLE_MESSAGE, .message = &http_message},
    {.name = "logLevel", .type = GOOGLE_ENUM, .values = &google_log_levels},
    {.name = "credentials",
     .type = GOOGLE_MESSAGE,
     .repeated = true,
     .message = &credential_message},
};
const struct google_message google_registry_message = GOOGLE_FIELDS(registry_fields);

/* ---- reading ---- */

static enum gh_error_code read_routes(struct google_call *call, json_t *message,
                                      struct gh_registry *out)
{
    json_t *configs = NULL, *config;
    size_t i;
    gh_json_array(message, "eventNotificationConfigs", &configs);
    if (json_array_size(configs) > GH_REGISTRY_ROUTES_MAX)
        return google_fail(call, GH_ERROR_INVALID, "eventNotificationConfigs: at most %d",
                           GH_REGISTRY_ROUTES_MAX);
    out->routes_count = json_array_size(configs);
    out->routes = gh_arena_array(call->arena, out->routes_count + 1, sizeof(*out->routes));
    if (out->routes == NULL)
        return google_fail(call, GH_ERROR_MEMORY, "eventNotificationConfigs");
    json_array_foreach(configs, i, config)
    {
        struct gh_slice topic = {0};
        gh_json_text(config, "subfolderMatches", &out->routes[i].channel);
        gh_json_text(config, "pubsubTopicName", &topic);
        enum gh_error_code code = google_topic_read(
            call, "eventNotificationConfigs.pubsubTopicName", topic, &out->routes[i].topic);
        if (code != GH_OK)
            return code;
    }
    return GH_OK;
}

static enum gh_error_code read_certificates(struct google_call *call, json_t *message,
                                            struct gh_registry *out)
{
    json_t *credentials = NULL, *credential;
    size_t i;
    gh_json_array(message, "credentials", &credentials);
    if (json_array_size(credentials) > GH_REGISTRY_CERTIFICATES_MAX)
        return google_fail(call, GH_ERROR_INVALID, "credentials: at most %d",
                           GH_REGISTRY_CERTIFICATES_MAX);
    json_array_foreach(credentials, i, credential)
    {
        json_t *certificate = NULL;
        int64_t format = 0;
        gh_json_object(credential, "publicKeyCertificate", &certificate);
        gh_json_i64(certificate, "format", &format);
        if (format != FORMAT_PEM)
            return google_fail(call, GH_ERROR_INVALID,
                               "credentials.publicKeyCertificate.format: it must be "
                               "X509_CERTIFICATE_PEM");
        gh_json_text(certificate, "certificate", &out->certificates[i]);
        out->certificates_count = i + 1;
    }
    return GH_OK;
}

/* The number of the enum `member` in the object `holder`; 0 when either is absent. */
static int64_t nested_enum(json_t *message, const char *holder, const char *member)
{
    json_t *object = NULL;
    int64_t number = 0;
    if (gh_json_object(message, holder, &object))
        gh_json_i64(object, member, &number);
    return number;
}

enum gh_error_code google_registry_read(struct google_call *call, json_t *message,
                                        struct gh_registry *out)
{
    json_t *state = NULL;
    struct gh_slice topic = {0};
    int64_t level = 0;
    enum gh_error_code code = read_routes(call, message, out);
    if (code == GH_OK)
        code = read_certificates(call, message, out);
    if (code != GH_OK)
        return code;
    gh_json_text(message, "id", &out->name);
    gh_json_i64(message, "logLevel", &level);
    out->log_level = (int)level;
    out->mqtt_enabled = nested_enum(message, "mqttConfig", "mqttEnabledState") != STATE_DISABLED;
    out->http_enabled = nested_enum(message, "httpConfig", "httpEnabledState") != STATE_DISABLED;
    if (gh_json_object(message, "stateNotificationConfig", &state))
        gh_json_text(state, "pubsubTopicName", &topic);
    if (topic.size != 0)
        return google_topic_read(call, "stateNotificationConfig.pubsubTopicName", topic,
                                 &out->state_topic);
    return GH_OK;
}

/* ---- writing ---- */

static void put_topic(struct google_call *call, json_t *object, struct gh_slice topic)
{
    const char *name = google_name_print(call, "topics", topic);
    google_put_text(object, "pubsubTopicName", gh_slice_text(name), &call->write_failed);
    call->write_failed |= name == NULL;
}

static json_t *write_routes(struct google_call *call, const struct gh_registry *registry)
{
    json_t *list = json_array();
    for (size_t i = 0; i < registry->routes_count; i++) {
        json_t *config = json_object();
        google_put_text(config, "subfolderMatches", registry->routes[i].channel,
                        &call->write_failed);
        put_topic(call, config, registry->routes[i].topic);
        google_append(list, config, &call->write_failed);
    }
    return list;
}

static void put_name(struct google_call *call, json_t *details, const char *key,
                     const struct gh_certificate *certificate,
                     bool (*print)(const struct gh_certificate *certificate, struct gh_buffer *out))
{
    struct gh_buffer name;
    gh_buffer_init(&name, GH_KEY_PEM_MAX);
    if (print(certificate, &name))
        google_put_text(details, key, gh_buffer_slice(&name), &call->write_failed);
    gh_buffer_deinit(&name);
}

/* `x509Details`: what a person wants to know of a certificate. */
static json_t *write_details(struct google_call *call, struct gh_slice pem)
{
    struct gh_certificate *certificate = gh_certificate_open(pem, NULL);
    json_t *details = json_object();
    bool *failed = &call->write_failed;
    if (certificate == NULL)
        return details;
    struct gh_key *key = gh_certificate_key(certificate, NULL);
    put_name(call, details, "issuer", certificate, gh_certificate_print_issuer);
    put_name(call, details, "subject", certificate, gh_certificate_print_subject);
    google_put_time(details, "startTime", gh_certificate_not_before_s(certificate) * 1000, failed);
    google_put_time(details, "expiryTime", gh_certificate_not_after_s(certificate) * 1000, failed);
    google_put_text(details, "signatureAlgorithm",
                    gh_slice_text(gh_certificate_signature_algorithm(certificate)), failed);
    if (key != NULL)
        google_put_text(details, "publicKeyType",
                        gh_key_kind(key) == GH_KEY_P256 ? GH_SLICE("EC P-256") : GH_SLICE("RSA"),
                        failed);
    gh_key_close(key);
    gh_certificate_close(certificate);
    return details;
}

static json_t *write_certificates(struct google_call *call, const struct gh_registry *registry)
{
    json_t *list = json_array();
    for (size_t i = 0; i < registry->certificates_count; i++) {
        json_t *credential = json_object(), *certificate = json_object();
        google_put_enum(certificate, "format", &certificate_formats, FORMAT_PEM,
                        &call->write_failed);
        google_put_text(certificate, "certificate", registry->certificates[i], &call->write_failed);
        google_put_value(certificate, "x509Details", write_details(call, registry->certificates[i]),
                         &call->write_failed);
        google_put_value(credential, "publicKeyCertificate", certificate, &call->write_failed);
        google_append(list, credential, &call->write_failed);
    }
    return list;
}

static void put_state(struct google_call *call, json_t *out, const char *holder, const char *member,
                      const struct google_enum *states, bool enabled)
{
    json_t *object = json_object();
    google_put_enum(object, member, states, enabled ? STATE_ENABLED : STATE_DISABLED,
                    &call->write_failed);
    google_put_value(out, holder, object, &call->write_failed);
}

json_t *google_registry_write(struct google_call *call, const struct gh_registry *registry)
{
    json_t *out = json_object();
    const char *name =
        gh_arena_print(call->arena, "projects/%.*s/locations/%.*s/registries/%.*s",
                       GH_PRINT(call->tenant.google_project),
                       GH_PRINT(registry->location.size == 0 ? call->location : registry->location),
                       GH_PRINT(registry->name));
    call->write_failed |= name == NULL;
    google_put_text(out, "id", registry->name, &call->write_failed);
    google_put_text(out, "name", gh_slice_text(name), &call->write_failed);
    google_put_value(out, "eventNotificationConfigs", write_routes(call, registry),
                     &call->write_failed);
    if (registry->state_topic.size != 0) {
        json_t *state = json_object();
        put_topic(call, state, registry->state_topic);
        google_put_value(out, "stateNotificationConfig", state, &call->write_failed);
    }
    put_state(call, out, "mqttConfig", "mqttEnabledState", &mqtt_states, registry->mqtt_enabled);
    put_state(call, out, "httpConfig", "httpEnabledState", &http_states, registry->http_enabled);
    google_put_enum(out, "logLevel", &google_log_levels, registry->log_level, &call->write_failed);
    google_put_value(out, "credentials", write_certificates(call, registry), &call->write_failed);
    return out;
}
