#include "api/call_internal.h"
#include "observe/trail.h"
#include "route/sessions.h"
#include <stdlib.h>
#include <string.h>

/* A document's version as the API shows it: the data as JSON when it is JSON, and as base64 when
 * not. */
static json_t *with_data(json_t *value, struct gh_slice data)
{
    json_t *base64;
    json_object_set_new(value, "data", json_payload(data, &base64));
    if (base64 != NULL)
        json_object_set_new(value, "data_base64", base64);
    return value;
}

static json_t *config_to_json(const struct gh_config *config)
{
    return with_data(json_pack("{s:I, s:o, s:o}", "version", (json_int_t)config->version,
                               "updated_at", json_time(config->updated_at_ms), "acknowledged_at",
                               json_time(config->acknowledged_at_ms)),
                     config->data);
}

enum gh_error_code api_config_list(struct call *call)
{
    struct gh_device device;
    struct gh_config *configs;
    size_t count;
    enum gh_error_code code = call_device(call, &device);
    if (code == GH_OK)
        code = gh_directory_config_list(call->api->services.directory, device.number, 0,
                                        call->arena, &configs, &count, &call->error);
    if (code != GH_OK)
        return code;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, config_to_json(&configs[i]));
    call->answer = json_pack("{s:o}", "configs", list);
    return GH_OK;
}

enum gh_error_code api_config_set(struct call *call)
{
    static const char *const keys[] = {"data", "data_base64", "if_version"};
    struct gh_device device;
    struct gh_config config;
    struct gh_slice data;
    int64_t if_version = 0;
    enum gh_error_code code = call_device(call, &device);
    if (code == GH_OK && (!gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) ||
                          !gh_json_get_i64(call->body, "if_version", 0, &if_version, &call->error)))
        code = call->error.code;
    if (code == GH_OK)
        code = call_read_payload(call, &data);
    if (code == GH_OK)
        code = gh_directory_config_set(call->api->services.directory, device.number, data,
                                       if_version, &config, &call->error);
    if (code == GH_OK)
        call->answer = config_to_json(&config);
    return code;
}

enum gh_error_code api_state_list(struct call *call)
{
    struct gh_device device;
    struct gh_state *states;
    size_t count;
    enum gh_error_code code = call_device(call, &device);
    if (code == GH_OK)
        code = gh_directory_state_list(call->api->services.directory, device.number, 0, call->arena,
                                       &states, &count, &call->error);
    if (code != GH_OK)
        return code;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(
            list, with_data(json_pack("{s:o}", "updated_at", json_time(states[i].updated_at_ms)),
                            states[i].data));
    call->answer = json_pack("{s:o}", "states", list);
    return GH_OK;
}

/* A command under way: it outlives the handler, and answers the exchange when the device has. */
struct sending {
    struct gh_command command;
    struct call *call;
    struct gh_exchange *exchange;
};

static void finish_sending(struct gh_command *command, enum gh_command_outcome outcome)
{
    static const struct {
        int status;
        enum gh_error_code code;
    } answers[] = {
        [GH_COMMAND_OK] = {200, GH_OK},
        [GH_COMMAND_NOT_CONNECTED] = {400, GH_ERROR_PRECONDITION},
        [GH_COMMAND_NOT_SUBSCRIBED] = {400, GH_ERROR_PRECONDITION},
        [GH_COMMAND_TIMEOUT] = {504, GH_ERROR_TIMEOUT},
        [GH_COMMAND_FULL] = {429, GH_ERROR_LIMIT},
    };
    struct sending *sending = (struct sending *)command;
    struct call *call = sending->call;
    if (outcome != GH_COMMAND_OK)
        call_fail(call, answers[outcome].code, "%s", gh_command_outcome_text(outcome));
    call_answer(call, answers[outcome].code);
    struct gh_exchange *exchange = sending->exchange;
    gh_exchange_unref(exchange);
}

static void start_sending(struct call *call)
{
    gh_sessions_command(call->api->services.sessions, &((struct sending *)call->pending)->command);
}

enum gh_error_code api_command_send(struct call *call)
{
    static const char *const keys[] = {"channel", "data", "data_base64"};
    struct gh_device device;
    struct sending *sending = gh_arena_alloc(call->arena, sizeof *sending);
    enum gh_error_code code = call_device(call, &device);
    if (code != GH_OK)
        return code;
    if (sending == NULL)
        return call_fail(call, GH_ERROR_MEMORY, "command");
    *sending = (struct sending){.command = {.device = device.number, .complete = finish_sending},
                                .call = call};
    if (!gh_json_only(call->body, keys, GH_COUNT(keys), &call->error) ||
        !gh_json_get_text(call->body, "channel", 0, &sending->command.channel, &call->error))
        return call->error.code;
    if (!gh_command_channel_valid(sending->command.channel))
        return call_fail(call, GH_ERROR_INVALID,
                         "channel has at most %d characters, no wildcard and no NUL",
                         GH_COMMAND_CHANNEL_CHARACTERS_MAX);
    if ((code = call_read_payload(call, &sending->command.payload)) != GH_OK)
        return code;
    if (sending->command.payload.size > GH_COMMAND_PAYLOAD_BYTES_MAX)
        return call_fail(call, GH_ERROR_INVALID, "a command has at most %d bytes",
                         GH_COMMAND_PAYLOAD_BYTES_MAX);
    struct gh_slice channel; /* the body's JSON goes before the device answers */
    if (!gh_arena_copy(call->arena, sending->command.channel, &channel))
        return call_fail(call, GH_ERROR_MEMORY, "command");
    sending->command.channel = channel;
    sending->exchange = gh_exchange_ref(call->exchange);
    call->pending = sending;
    call->later = start_sending;
    return GH_OK;
}
