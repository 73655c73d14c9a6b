#include "dialect/google/push.h"
#include "dialect/google/rest_internal.h"
#include "pubsub/pubsub.h"

/* google.pubsub.v1.PushConfig: whom a subscription is pushed to. It is kept in the form in which it
 * is shown; what the sender does with it is push.h's. */

static const struct google_field oidc_fields[] = {{.name = "serviceAccountEmail"},
                                                  {.name = "audience"}};
static const struct google_message oidc_message = GOOGLE_FIELDS(oidc_fields);
static const struct google_field raw_fields[] = {{.name = "writeMetadata", .type = GOOGLE_BOOL}};
static const struct google_message raw_message = GOOGLE_FIELDS(raw_fields);
static const struct google_message wrapped_message = {.fields = NULL, .count = 0};
static const struct google_field push_config_fields[] = {
    {.name = "attributes", .type = GOOGLE_TEXT_MAP},
    {.name = "pushEndpoint"},
    {.name = "oidcToken", .type = GOOGLE_MESSAGE, .message = &oidc_message},
    {.name = "pubsubWrapper", .type = GOOGLE_MESSAGE, .message = &wrapped_message},
    {.name = "noWrapper", .type = GOOGLE_MESSAGE, .message = &raw_message},
};
const struct google_message google_push_config_message = GOOGLE_FIELDS(push_config_fields);

static enum gh_error_code check(struct google_call *call, json_t *config, struct gh_slice endpoint)
{
    struct gh_slice version = GH_SLICE("v1"), email = {0};
    json_t *attributes = NULL, *oidc = NULL;
    gh_json_object(config, "attributes", &attributes);
    gh_json_text(attributes, "x-goog-version", &version);
    if (json_object_size(attributes) > 1 ||
        (json_object_size(attributes) == 1 && !gh_slice_equal(version, GH_SLICE("v1"))))
        return google_fail(call, GH_ERROR_INVALID,
                           "pushConfig.attributes: \"x-goog-version\": \"v1\" alone");
    if (gh_json_object(config, "oidcToken", &oidc) &&
        (!gh_json_text(oidc, "serviceAccountEmail", &email) || email.size == 0))
        return google_fail(call, GH_ERROR_INVALID,
                           "pushConfig.oidcToken.serviceAccountEmail: it must be given");
    return gh_google_push_allows(call->services->push, endpoint, &call->error);
}

enum gh_error_code google_push_read(struct google_call *call, json_t *config, struct gh_slice *out)
{
    struct gh_slice endpoint = {0};
    struct gh_buffer text;
    *out = (struct gh_slice){0};
    if (!gh_json_text(config, "pushEndpoint", &endpoint) || endpoint.size == 0)
        return GH_OK; /* it is pulled */
    enum gh_error_code code = check(call, config, endpoint);
    if (code != GH_OK)
        return code;
    gh_buffer_init(&text, GOOGLE_SETTINGS_BYTES_MAX);
    if (!gh_json_write(config, &text))
        code = google_fail(call, GH_ERROR_INVALID, "pushConfig: more than %d bytes",
                           GOOGLE_SETTINGS_BYTES_MAX);
    else if (!gh_arena_copy(call->arena, gh_buffer_slice(&text), out))
        code = google_fail(call, GH_ERROR_MEMORY, "pushConfig");
    gh_buffer_deinit(&text);
    return code;
}

void google_put_push(struct google_call *call, json_t *object, struct gh_slice push)
{
    if (push.size == 0)
        return;
    json_t *config = gh_json_read(push, NULL);
    google_put_value(object, "pushConfig", config, &call->write_failed);
}

void google_push_tell(const struct google_call *call)
{
    gh_google_push_look(call->services->push);
}
