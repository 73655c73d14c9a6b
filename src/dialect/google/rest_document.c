#include "dialect/google/rest_internal.h"

static const struct google_field config_change_fields[] = {
    {.name = "versionToUpdate", .type = GOOGLE_NUMBER},
    {.name = "binaryData", .type = GOOGLE_BYTES},
};
static const struct google_field command_fields[] = {
    {.name = "binaryData", .type = GOOGLE_BYTES},
    {.name = "subfolder"},
};
const struct google_message google_config_change_message = GOOGLE_FIELDS(config_change_fields);
const struct google_message google_command_message = GOOGLE_FIELDS(command_fields);

/* ---- config and state ---- */

/* Between two new versions of a device is some time; the one of its creation does not count. */
static bool is_too_soon(const struct google_call *call, const struct gh_config *current)
{
    struct gh_rates *rates = call->services->rates;
    int64_t interval_ms = rates == NULL
                              ? gh_rates_compat[GH_RATE_CONFIG_INTERVAL].count
                              : gh_rates_own(rates, call->tenant.number, GH_RATE_CONFIG_INTERVAL);
    return current->version > 1 && call->now_ms >= current->updated_at_ms &&
           call->now_ms - current->updated_at_ms < interval_ms;
}

enum gh_error_code google_config_modify(struct google_call *call)
{
    struct gh_slice data = gh_json_slice(json_object_get(call->input, "binaryData"));
    struct gh_device device;
    struct gh_config after;
    int64_t version = 0;
    gh_json_i64(call->input, "versionToUpdate", &version);
    enum gh_error_code code = google_device_find(call, &device);
    if (code != GH_OK)
        return code;
    if (version != 0 && version != device.config.version)
        return google_fail(call, GH_ERROR_CONFLICT, "versionToUpdate: the current version is %lld",
                           (long long)device.config.version);
    if (is_too_soon(call, &device.config))
        return google_fail(call, GH_ERROR_LIMIT, "over the rate of %s",
                           gh_rate_kind_name(GH_RATE_CONFIG_INTERVAL));
    code = gh_directory_config_set(call->services->directory, device.number, data, version, &after,
                                   &call->error);
    if (code != GH_OK)
        return code;
    google_note(call, &device, "devices.updateConfig");
    call->output = google_config_write(call, &after);
    return GH_OK;
}

enum gh_error_code google_config_versions(struct google_call *call)
{
    struct gh_device device;
    struct gh_config *configs;
    size_t limit, count;
    enum gh_error_code code = google_query_number(call, "numVersions", &limit);
    if (code == GH_OK)
        code = google_device_find(call, &device);
    if (code == GH_OK)
        code = gh_directory_config_list(call->services->directory, device.number, limit,
                                        call->arena, &configs, &count, &call->error);
    if (code != GH_OK)
        return code;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        google_append(list, google_config_write(call, &configs[i]), &call->write_failed);
    call->output = json_object();
    google_put_value(call->output, "deviceConfigs", list, &call->write_failed);
    return GH_OK;
}

enum gh_error_code google_states(struct google_call *call)
{
    struct gh_device device;
    struct gh_state *states;
    size_t limit, count;
    enum gh_error_code code = google_query_number(call, "numStates", &limit);
    if (code == GH_OK)
        code = google_device_find(call, &device);
    if (code == GH_OK)
        code = gh_directory_state_list(call->services->directory, device.number, limit, call->arena,
                                       &states, &count, &call->error);
    if (code != GH_OK)
        return code;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        google_append(list, google_state_write(call, &states[i]), &call->write_failed);
    call->output = json_object();
    google_put_value(call->output, "deviceStates", list, &call->write_failed);
    return GH_OK;
}

/* ---- commands ---- */

struct sending {
    struct gh_command command; /* first: `complete` is given its address */
    struct google_call *call;
};

static const enum gh_error_code code_of_outcome[] = {
    [GH_COMMAND_OK] = GH_OK,
    [GH_COMMAND_NOT_CONNECTED] = GH_ERROR_PRECONDITION,
    [GH_COMMAND_NOT_SUBSCRIBED] = GH_ERROR_PRECONDITION,
    [GH_COMMAND_TIMEOUT] = GH_ERROR_TIMEOUT,
    [GH_COMMAND_FULL] = GH_ERROR_LIMIT,
};

static void command_complete(struct gh_command *command, enum gh_command_outcome outcome)
{
    struct google_call *call = ((struct sending *)command)->call;
    enum gh_error_code code = code_of_outcome[outcome];
    if (code != GH_OK)
        google_fail(call, code, "%s", gh_command_outcome_text(outcome));
    google_call_end(call, code);
}

static enum gh_error_code prepare_command(struct google_call *call, struct sending **out)
{
    struct gh_device device;
    struct sending *sending = gh_arena_alloc(call->arena, sizeof(*sending));
    if (sending == NULL)
        return google_fail(call, GH_ERROR_MEMORY, "the command");
    *out = sending;
    sending->call = call;
    sending->command.complete = command_complete;
    sending->command.payload = gh_json_slice(json_object_get(call->input, "binaryData"));
    gh_json_text(call->input, "subfolder", &sending->command.channel);
    if (sending->command.payload.size > GH_COMMAND_PAYLOAD_BYTES_MAX)
        return google_fail(call, GH_ERROR_INVALID, "binaryData: at most %d bytes",
                           GH_COMMAND_PAYLOAD_BYTES_MAX);
    if (!gh_command_channel_valid(sending->command.channel))
        return google_fail(call, GH_ERROR_INVALID,
                           "subfolder: at most %d characters, without +, # and control characters",
                           GH_COMMAND_CHANNEL_CHARACTERS_MAX);
    enum gh_error_code code = google_device_find(call, &device);
    if (code != GH_OK)
        return code;
    const struct gh_rate_thing bytes = {call->tenant.number, device.number, GH_RATE_BYTES_OUT};
    code = google_rate_check_bytes(call, &bytes, sending->command.payload.size);
    if (code != GH_OK)
        return code;
    sending->command.device = device.number;
    google_note(call, &device, "devices.sendCommand");
    return GH_OK;
}

void google_command_send(struct google_call *call)
{
    struct sending *sending;
    enum gh_error_code code = prepare_command(call, &sending);
    if (code != GH_OK)
        google_call_end(call, code);
    else
        call->services->send_command(call->services->command_context, &sending->command);
}
