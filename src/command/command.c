#include "command/command.h"
#include <assert.h>

static const struct {
    const char *name, *text;
} outcomes[] = {
    [GH_COMMAND_OK] = {"OK", "The device has the command."},
    [GH_COMMAND_NOT_CONNECTED] = {"NOT_CONNECTED", "The device is not connected."},
    [GH_COMMAND_NOT_SUBSCRIBED] = {"NOT_SUBSCRIBED",
                                   "The device is connected but not subscribed to its commands."},
    [GH_COMMAND_TIMEOUT] = {"TIMEOUT", "The device did not acknowledge the command in time."},
    [GH_COMMAND_FULL] = {"FULL", "Too many commands wait for this device's acknowledgement."},
};

const char *gh_command_outcome_name(enum gh_command_outcome outcome)
{
    assert((size_t)outcome < GH_COUNT(outcomes));
    return outcomes[outcome].name;
}

const char *gh_command_outcome_text(enum gh_command_outcome outcome)
{
    assert((size_t)outcome < GH_COUNT(outcomes));
    return outcomes[outcome].text;
}

bool gh_command_channel_valid(struct gh_slice channel)
{
    size_t characters = 0;
    for (size_t i = 0; i < channel.size; i++) {
        uint8_t byte = channel.data[i];
        if (byte < 0x20 || byte == 0x7f || byte == '+' || byte == '#')
            return false;
        characters += (byte & 0xc0u) != 0x80u; /* UTF-8: every byte but a continuation */
    }
    return characters <= GH_COMMAND_CHANNEL_CHARACTERS_MAX;
}
