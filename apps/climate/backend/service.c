#include "apps/climate/backend/service.h"
#include "apps/climate/backend/core.h"
#include "apps/climate/keep/keep.h"
#include "base/arena.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/time.h"
#include "wire/base64.h"
#include "wire/json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PULL_MESSAGES_MAX = 500,
    ANSWER_BYTES_MAX = 8 << 20,
    STATE_BYTES_MAX = 4 << 20,
    BODY_BYTES_MAX = 1 << 20,
    DATA_BYTES_MAX = 64 * 1024,
    PATH_MAX_BYTES = 512,
    TURN_MS = 300,
    PAUSE_FIRST_MS = 1000,
    PAUSE_MAX_MS = 30000,
    LOG_AGAIN_MS = 60000,
    FAILURES_PER_TURN_MAX =
        3, /* of commands and zones, so that a dead network does not hold the turn */
};

/* What is called; failures are logged and counted for each. */
enum operation { PULL, ACKNOWLEDGE, COMMAND, ZONE, SAVE, OPERATIONS };
static const char *const operation_names[OPERATIONS] = {
    [PULL] = "pulling telemetry",    [ACKNOWLEDGE] = "acknowledging telemetry",
    [COMMAND] = "sending a command", [ZONE] = "publishing a zone",
    [SAVE] = "saving the state",
};

struct trouble {
    bool stands;
    int status; /* of HTTP; 0 no answer */
    int64_t logged_ms;
};

struct gh_service {
    struct gh_service_options options;
    const struct gh_service_transport *transport;
    void *context;
    struct gh_core *core;
    struct trouble troubles[OPERATIONS];
    unsigned failures; /* pulls in a row */
    int64_t pause_until_ms;
    struct gh_service_counts counts;
};

/* What a status means here, and what the operator does about it. */
static const struct {
    int status;
    const char *text;
} meanings[] = {
    {0, "no answer; the site goes on under the machines' leases"},
    {400, "refused as it is"},
    {401, "the token is not accepted; its file is read again for the next try"},
    {403, "the token may not do this; it needs the roles of a device controller"},
    {404, "the subscription, device or tenant does not exist"},
    {429, "a limit is reached; slower from here"},
    {500, "the platform has a fault"},
};

static const char *meaning_of(int status)
{
    const char *text = "an answer that is not understood";
    for (size_t i = 0; i < GH_COUNT(meanings); i++) {
        if (meanings[i].status == status || (meanings[i].status == 500 && status >= 500))
            text = meanings[i].text;
    }
    return text;
}

static void note_failure(struct gh_service *service, enum operation operation, int status,
                         const char *detail, int64_t now_ms)
{
    struct trouble *trouble = &service->troubles[operation];
    service->counts.failed_calls++;
    if (trouble->stands && trouble->status == status && now_ms - trouble->logged_ms < LOG_AGAIN_MS)
        return;
    *trouble = (struct trouble){.stands = true, .status = status, .logged_ms = now_ms};
    if (operation == SAVE)
        gh_log(GH_LOG_ERROR, "climate", "%s failed: %s", operation_names[operation], detail);
    else
        gh_log(GH_LOG_WARN, "climate", "%s failed with %d: %s; %s", operation_names[operation],
               status, detail, meaning_of(status));
}

static void note_success(struct gh_service *service, enum operation operation)
{
    if (service->troubles[operation].stands)
        gh_log(GH_LOG_INFO, "climate", "%s works again", operation_names[operation]);
    service->troubles[operation].stands = false;
}

/* What was called, and the platform's own words about it: both APIs answer {"error":{"message":…}}.
 */
static void explain(const char *path, struct gh_slice answer, struct gh_error *out)
{
    struct gh_slice message = GH_SLICE("no further word");
    struct gh_error ignored;
    json_t *body = gh_json_read(answer, &ignored), *object = NULL;
    if (gh_json_object(body, "error", &object))
        gh_json_text(object, "message", &message);
    gh_error_set(out, GH_ERROR_UNAVAILABLE, "%s: %.*s", path, GH_PRINT(message));
    json_decref(body);
}

/* FAILED_PRECONDITION: the device is not connected or not subscribed; other refusals are ours to
 * mend. */
static bool device_is_away(int status, struct gh_slice answer)
{
    struct gh_error ignored;
    struct gh_slice name = {0};
    json_t *body = status == 400 ? gh_json_read(answer, &ignored) : NULL, *object = NULL;
    if (gh_json_object(body, "error", &object))
        gh_json_text(object, "status", &name);
    bool away = gh_slice_equal(name, GH_SLICE("FAILED_PRECONDITION"));
    json_decref(body);
    return away;
}

/* One call with a JSON body (taken; NULL sends none). The status, or 0 when no answer came. */
static int call(struct gh_service *service, enum operation operation, const char *method,
                const char *path, json_t *body, struct gh_buffer *answer, int64_t now_ms)
{
    struct gh_buffer text;
    struct gh_error error = {0};
    int status = 0;
    gh_buffer_init(&text, BODY_BYTES_MAX);
    if (!gh_json_write(body, &text))
        gh_error_set(&error, GH_ERROR_MEMORY, "the request does not fit");
    else if (service->transport->call(service->context, method, path, gh_buffer_slice(&text),
                                      answer, &status, &error) != GH_OK)
        status = 0;
    json_decref(body);
    gh_buffer_deinit(&text);
    if (status >= 200 && status < 300) {
        note_success(service, operation);
        return status;
    }
    if (status != 0)
        explain(path, gh_buffer_slice(answer), &error);
    if (operation == COMMAND && device_is_away(status, gh_buffer_slice(answer)))
        gh_log(GH_LOG_DEBUG, "climate", "%s",
               error.text); /* the zone's alarm says it to the operator */
    else
        note_failure(service, operation, status, error.text, now_ms);
    return status;
}

static bool good(int status)
{
    return status >= 200 && status < 300;
}

/* Grows from one to thirty seconds; a little of the clock's low digits keeps back ends apart. */
static void pause_after_failure(struct gh_service *service, int64_t now_ms)
{
    unsigned doublings = service->failures < 5 ? service->failures : 5;
    int64_t pause_ms = (int64_t)PAUSE_FIRST_MS << doublings;
    uint16_t jitter_ms;
    gh_random(&jitter_ms, sizeof jitter_ms);
    service->failures++;
    service->pause_until_ms =
        now_ms + (pause_ms > PAUSE_MAX_MS ? PAUSE_MAX_MS : pause_ms) + jitter_ms % 500;
}

static void take_message(struct gh_service *service, const json_t *message)
{
    struct gh_slice data = {0}, device = {0}, registry = {0}, published = {0};
    json_t *attributes = NULL;
    struct gh_error error = {0};
    struct gh_buffer json;
    int64_t published_ms;
    service->counts.messages++;
    if (!gh_json_object(message, "attributes", &attributes) ||
        !gh_json_text(message, "data", &data) || !gh_json_text(attributes, "deviceId", &device) ||
        !gh_json_text(message, "publishTime", &published) ||
        !gh_time_parse(published, &published_ms)) {
        service->counts.refused_messages++;
        return;
    }
    if (gh_json_text(attributes, "deviceRegistryId", &registry) &&
        !gh_slice_equal(registry, gh_slice_text(service->options.registry)))
        return;
    gh_buffer_init(&json, DATA_BYTES_MAX);
    enum gh_core_taken taken = GH_CORE_WRONG;
    if (gh_base64_decode(data, GH_BASE64_ANY, &json))
        taken = gh_core_take(service->core, device, gh_buffer_slice(&json), published_ms, &error);
    gh_buffer_deinit(&json);
    if (taken == GH_CORE_WRONG) {
        service->counts.refused_messages++;
        gh_log(GH_LOG_DEBUG, "climate", "message of %.*s refused: %s", GH_PRINT(device),
               error.text);
    }
}

/* Takes what came and acknowledges it; what is wrong is acknowledged too, or it would come for
 * ever. */
static size_t take_answer(struct gh_service *service, const json_t *answer, int64_t now_ms)
{
    char path[PATH_MAX_BYTES];
    json_t *received = NULL, *message = NULL, *ids = json_array();
    size_t count = 0;
    if (gh_json_array(answer, "receivedMessages", &received))
        count = json_array_size(received);
    for (size_t i = 0; i < count; i++) {
        const json_t *entry = json_array_get(received, i);
        if (gh_json_object(entry, "message", &message))
            take_message(service, message);
        json_array_append(ids, json_object_get(entry, "ackId"));
    }
    if (count == 0) {
        json_decref(ids);
        return 0;
    }
    struct gh_buffer nothing;
    gh_buffer_init(&nothing, ANSWER_BYTES_MAX);
    snprintf(path, sizeof path, "/v1/projects/%s/subscriptions/%s:acknowledge",
             service->options.project, service->options.subscription);
    call(service, ACKNOWLEDGE, "POST", path, json_pack("{s:o}", "ackIds", ids), &nothing, now_ms);
    gh_buffer_deinit(&nothing);
    return count;
}

/* False when the pull failed; `*more` when the backlog goes on. */
static bool pull(struct gh_service *service, int64_t now_ms, bool *more)
{
    char path[PATH_MAX_BYTES];
    struct gh_buffer answer;
    struct gh_error error = {0};
    gh_buffer_init(&answer, ANSWER_BYTES_MAX);
    snprintf(path, sizeof path, "/v1/projects/%s/subscriptions/%s:pull", service->options.project,
             service->options.subscription);
    bool pulled =
        good(call(service, PULL, "POST", path,
                  json_pack("{s:i, s:b}", "maxMessages", PULL_MESSAGES_MAX, "returnImmediately", 1),
                  &answer, now_ms));
    if (pulled) {
        json_t *json = gh_json_read(gh_buffer_slice(&answer), &error);
        pulled = json != NULL;
        if (pulled)
            *more = take_answer(service, json, now_ms) >= PULL_MESSAGES_MAX;
        else
            note_failure(service, PULL, 200, error.text, now_ms);
        json_decref(json);
    }
    gh_buffer_deinit(&answer);
    return pulled;
}

static bool save(struct gh_service *service, int64_t now_ms)
{
    struct gh_error error = {0};
    struct gh_buffer text;
    if (!gh_core_is_dirty(service->core))
        return true;
    gh_buffer_init(&text, STATE_BYTES_MAX);
    json_t *saved = gh_core_save(service->core);
    bool written =
        gh_json_write(saved, &text) &&
        gh_keep_write(service->options.state_file, gh_buffer_slice(&text), &error) == GH_KEEP_OK;
    json_decref(saved);
    gh_buffer_deinit(&text);
    if (written)
        note_success(service, SAVE);
    else
        note_failure(service, SAVE, 0, error.code != GH_OK ? error.text : "no memory", now_ms);
    return written;
}

static enum gh_core_outcome outcome_of(int status, struct gh_slice answer)
{
    if (good(status))
        return GH_CORE_DELIVERED;
    if (device_is_away(status, answer))
        return GH_CORE_UNREACHABLE;
    return status == 400 || status == 403 || status == 404 ? GH_CORE_REFUSED : GH_CORE_UNKNOWN;
}

static json_t *command_body(const struct gh_core_command *command)
{
    uint8_t text_block[256], data_block[512];
    struct gh_buffer text = gh_buffer_fixed(text_block, sizeof text_block);
    struct gh_buffer data = gh_buffer_fixed(data_block, sizeof data_block);
    if (!gh_core_print_command(command, &text) ||
        !gh_base64_encode(gh_buffer_slice(&text), GH_BASE64_STANDARD, &data))
        return NULL;
    return json_pack("{s:s%, s:s}", "binaryData", (const char *)data.data, data.size, "subfolder",
                     "set");
}

static bool send_command(struct gh_service *service, const struct gh_core_command *command,
                         int64_t now_ms)
{
    char path[PATH_MAX_BYTES];
    struct gh_buffer answer;
    const struct gh_service_options *options = &service->options;
    gh_buffer_init(&answer, ANSWER_BYTES_MAX);
    snprintf(path, sizeof path,
             "/v1/projects/%s/locations/%s/registries/%s/devices/%s:sendCommandToDevice",
             options->project, options->location, options->registry, command->device);
    int status = call(service, COMMAND, "POST", path, command_body(command), &answer, now_ms);
    gh_core_sent(service->core, command, outcome_of(status, gh_buffer_slice(&answer)), now_ms);
    gh_buffer_deinit(&answer);
    service->counts.commands++;
    return good(status);
}

static void send_commands(struct gh_service *service, int64_t now_ms)
{
    struct gh_core_command command;
    int failures = 0;
    for (size_t at = 0;
         failures < FAILURES_PER_TURN_MAX && gh_core_due(service->core, now_ms, &at, &command);)
        failures += !send_command(service, &command, now_ms);
}

static void publish_zones(struct gh_service *service, int64_t now_ms)
{
    int failures = 0;
    for (size_t i = 0; i < gh_core_zones(service->core) && failures < FAILURES_PER_TURN_MAX; i++) {
        char path[PATH_MAX_BYTES];
        struct gh_buffer answer;
        if (!gh_core_zone_due(service->core, i, now_ms))
            continue;
        gh_buffer_init(&answer, ANSWER_BYTES_MAX);
        snprintf(path, sizeof path, "/api/v1/tenants/%s/zones/%s", service->options.tenant,
                 gh_core_zone_name(service->core, i));
        int status = call(service, ZONE, "PUT", path, gh_core_zone(service->core, i, now_ms),
                          &answer, now_ms);
        gh_buffer_deinit(&answer);
        failures += !good(status);
        gh_core_zone_published(service->core, i,
                               now_ms); /* a failed one is overtaken by the next */
    }
}

int64_t gh_service_turn(struct gh_service *service, int64_t now_ms)
{
    bool more = false;
    if (now_ms < service->pause_until_ms)
        return service->pause_until_ms - now_ms;
    if (!pull(service, now_ms, &more)) {
        pause_after_failure(service, now_ms);
        return service->pause_until_ms - now_ms;
    }
    service->failures = 0;
    if (more)
        return 0; /* deciding on a backlog would act on the past */
    gh_core_step(service->core, now_ms);
    if (save(service, now_ms))
        send_commands(service, now_ms);
    publish_zones(service, now_ms);
    return TURN_MS;
}

static bool load(struct gh_service *service, struct gh_error *error)
{
    struct gh_buffer text;
    gh_buffer_init(&text, STATE_BYTES_MAX);
    enum gh_keep_status status = gh_keep_read(service->options.state_file, &text, error);
    bool loaded = status == GH_KEEP_ABSENT;
    if (status == GH_KEEP_OK) {
        json_t *saved = gh_json_read(gh_buffer_slice(&text), error);
        loaded = saved != NULL && gh_core_restore(service->core, saved, error);
        json_decref(saved);
    }
    gh_buffer_deinit(&text);
    return loaded;
}

struct gh_service *gh_service_open(const struct gh_service_options *options,
                                   const struct gh_service_transport *transport, void *context,
                                   struct gh_error *error)
{
    uint32_t salt;
    struct gh_service *service = calloc(1, sizeof *service);
    gh_random(&salt, sizeof salt);
    if (service != NULL)
        service->core = gh_core_open(options->tenant, salt);
    if (service == NULL || service->core == NULL) {
        gh_error_set(error, GH_ERROR_MEMORY, "no memory for the back end");
        free(service);
        return NULL;
    }
    service->options = *options;
    service->transport = transport;
    service->context = context;
    if (!load(service, error)) {
        gh_core_close(service->core);
        free(service);
        return NULL;
    }
    return service;
}

void gh_service_close(struct gh_service *service)
{
    if (service == NULL)
        return;
    save(service, gh_time_utc_ms());
    gh_core_close(service->core);
    free(service);
}

struct gh_service_counts gh_service_counts(const struct gh_service *service)
{
    return service->counts;
}
