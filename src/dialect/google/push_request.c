#include "base/time.h"
#include "dialect/google/message_internal.h"
#include "dialect/google/push_internal.h"
#include "dialect/google/rest_internal.h"
#include "identity/access.h"
#include <stdio.h>
#include <string.h>

enum {
    BODY_BYTES_MAX = 32 * 1024 * 1024,
    TOKEN_TTL_S = 3600,
    HEADER_VALUE_MAX = 1024,
    HOST_BYTES_MAX = 512
};

/* ---- where to */

/* "https://host[:port]/…": the host with its port, 443 when none is said. */
static bool read_host(struct gh_slice url, char *out, size_t size)
{
    static const struct gh_slice scheme = GH_SLICE_INIT("https://");
    size_t end = scheme.size;
    if (!gh_slice_starts(url, scheme))
        return false;
    while (end < url.size && strchr("/?#", url.data[end]) == NULL)
        end++;
    struct gh_slice host = gh_slice_sub(url, scheme.size, end - scheme.size);
    for (size_t i = 0; i < url.size; i++)
        if (url.data[i] <= ' ' || url.data[i] > '~' || url.data[i] == '\\') /* read in two ways */
            return false;
    if (host.size == 0 || gh_slice_find(host, '@') != host.size)
        return false;
    bool has_port = host.data[host.size - 1] != ']' && gh_slice_find(host, ':') != host.size;
    int printed = snprintf(out, size, "%.*s%s", GH_PRINT(host), has_port ? "" : ":443");
    return printed > 0 && (size_t)printed < size;
}

enum gh_error_code google_push_allows(const struct gh_google_push_options *options,
                                      struct gh_slice url, struct gh_error *error)
{
    char host[HOST_BYTES_MAX], listed[HOST_BYTES_MAX];
    if (!read_host(url, host, sizeof host))
        return gh_error_set(error, GH_ERROR_INVALID,
                            "pushConfig.pushEndpoint: it must be an https URL");
    for (size_t i = 0; i < options->hosts_count; i++) {
        const char *one = options->hosts[i];
        snprintf(listed, sizeof listed, "%s%s", one, strchr(one, ':') == NULL ? ":443" : "");
        if (gh_slice_equal_nocase(gh_slice_text(host), gh_slice_text(listed)))
            return GH_OK;
    }
    return gh_error_set(error, GH_ERROR_PRECONDITION,
                        "pushConfig.pushEndpoint: the operator has not listed %s as a push_host",
                        host);
}

/* ---- what it says */

struct request {
    const struct gh_google_push_options *options;
    const struct google_push_message *message;
    json_t *config;
    struct gh_arena *arena;
    const char **headers;
    size_t headers_count;
};

/* A message's attributes become fields when it goes without its envelope; what a field cannot carry
 * is left out. */
static bool fits_field(struct gh_slice text, bool is_name)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        bool is_token = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
        if (is_name ? !is_token : c < 0x20 || c > 0x7e)
            return false;
    }
    return text.size <= HEADER_VALUE_MAX && (text.size > 0 || !is_name);
}

static bool put_header(struct request *request, const char *name, struct gh_slice value)
{
    const char *header = gh_arena_print(request->arena, "%s: %.*s", name, GH_PRINT(value));
    request->headers[request->headers_count] = header;
    request->headers_count += header != NULL;
    return header != NULL;
}

/* {"message":{…},"subscription":"…"}, with both spellings of two fields, as the original has them.
 */
static enum gh_error_code wrap(struct request *request, struct google_push_request *out,
                               struct gh_error *error)
{
    const struct google_push_message *from = request->message;
    struct google_call call = {.arena = request->arena};
    struct gh_buffer text;
    json_t *body = json_object(), *message = google_message_write(&call, from->received);
    json_t *id = json_object_get(message, "messageId"),
           *at = json_object_get(message, "publishTime");
    bool failed = call.write_failed || json_object_set(message, "message_id", id) != 0 ||
                  json_object_set(message, "publish_time", at) != 0;
    google_put_value(body, "message", message, &failed);
    google_put_text(body, "subscription", from->subscription, &failed);
    if (from->has_attempts)
        google_put_int32(body, "deliveryAttempt", (int)from->received->attempt, &failed);
    gh_buffer_init(&text, BODY_BYTES_MAX);
    bool written = !failed && gh_json_write(body, &text) &&
                   gh_arena_copy(request->arena, gh_buffer_slice(&text), &out->body);
    gh_buffer_deinit(&text);
    json_decref(body);
    return written && put_header(request, "content-type", GH_SLICE("application/json"))
               ? GH_OK
               : gh_error_set(error, GH_ERROR_MEMORY, "a message to push");
}

/* The data as they are; what the envelope would say goes into fields when it is asked for. */
static enum gh_error_code bare(struct request *request, const json_t *form,
                               struct google_push_request *out, struct gh_error *error)
{
    const struct gh_received *received = request->message->received;
    bool metadata = false;
    char id[32], at[GH_TIME_TEXT_MAX];
    gh_json_bool(form, "writeMetadata", &metadata);
    out->body = received->message.data;
    bool put = put_header(request, "content-type", GH_SLICE("application/octet-stream"));
    snprintf(id, sizeof id, "%llu", (unsigned long long)received->id);
    if (metadata)
        put = put &&
              put_header(request, "x-goog-pubsub-subscription-name",
                         request->message->subscription) &&
              put_header(request, "x-goog-pubsub-message-id", gh_slice_text(id)) &&
              put_header(request, "x-goog-pubsub-publish-time",
                         gh_slice_text(gh_time_print(received->at_ms, at)));
    for (size_t i = 0; metadata && put && i < received->message.attributes_count; i++) {
        const struct gh_message_attribute *each = &received->message.attributes[i];
        const char *name = gh_arena_text(request->arena, each->key);
        if (fits_field(each->key, true) && fits_field(each->value, false))
            put = name != NULL && put_header(request, name, each->value);
    }
    return put ? GH_OK : gh_error_set(error, GH_ERROR_MEMORY, "a message to push");
}

static enum gh_error_code authorize(struct request *request, const char *url,
                                    struct gh_error *error)
{
    json_t *oidc = NULL;
    struct gh_slice email = {0}, audience = gh_slice_text(url);
    uint8_t block[GH_ACCESS_TOKEN_MAX];
    struct gh_buffer token = gh_buffer_fixed(block, sizeof block);
    if (!gh_json_object(request->config, "oidcToken", &oidc))
        return GH_OK;
    if (request->options->access == NULL)
        return gh_error_set(error, GH_ERROR_PRECONDITION, "nothing signs tokens here");
    gh_json_text(oidc, "serviceAccountEmail", &email);
    gh_json_text(oidc, "audience", &audience);
    const struct gh_access_identity identity = {
        .email = email, .audience = audience, .ttl_s = TOKEN_TTL_S};
    enum gh_error_code code = gh_access_identify(request->options->access, &identity,
                                                 request->options->utc_ms() / 1000, &token, error);
    if (code != GH_OK)
        return code;
    const char *value =
        gh_arena_print(request->arena, "Bearer %.*s", GH_PRINT(gh_buffer_slice(&token)));
    return value != NULL && put_header(request, "authorization", gh_slice_text(value))
               ? GH_OK
               : gh_error_set(error, GH_ERROR_MEMORY, "a message to push");
}

enum gh_error_code google_push_request_make(const struct gh_google_push_options *options,
                                            const struct google_push_message *message,
                                            struct gh_arena *arena, struct google_push_request *out,
                                            struct gh_error *error)
{
    enum { FIELDS_MAX = GH_MESSAGE_ATTRIBUTES_MAX + 8 };
    struct gh_slice url = {0};
    json_t *form = NULL;
    struct request request = {.options = options,
                              .message = message,
                              .config = gh_json_read(message->config, error),
                              .arena = arena,
                              .headers = gh_arena_array(arena, FIELDS_MAX, sizeof(char *))};
    if (request.config == NULL)
        return error->code;
    gh_json_text(request.config, "pushEndpoint", &url);
    out->url = gh_arena_text(arena, url);
    enum gh_error_code code = request.headers == NULL || out->url == NULL
                                  ? gh_error_set(error, GH_ERROR_MEMORY, "a message to push")
                              : gh_json_object(request.config, "noWrapper", &form)
                                  ? bare(&request, form, out, error)
                                  : wrap(&request, out, error);
    if (code == GH_OK)
        code = authorize(&request, out->url, error);
    json_decref(request.config);
    out->headers = request.headers;
    return code;
}
