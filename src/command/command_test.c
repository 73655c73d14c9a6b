#include "command/command.h"
#include "tests/check.h"
#include <string.h>

static const struct {
    const char *claim;
    struct gh_slice channel;
    bool valid;
} cases[] = {
    {"none", GH_SLICE_INIT(""), true},
    {"one level", GH_SLICE_INIT("set"), true},
    {"several levels", GH_SLICE_INIT("a/b/c"), true},
    {"two-byte letters", GH_SLICE_INIT("\xc3\xa4"), true},
    {"a wildcard +", GH_SLICE_INIT("a/+"), false},
    {"a wildcard #", GH_SLICE_INIT("#"), false},
    {"a NUL", GH_SLICE_INIT("a\0b"), false},
    {"a line end", GH_SLICE_INIT("a\n"), false},
};

int main(void)
{
    for (size_t i = 0; i < GH_COUNT(cases); i++)
        CHECK(cases[i].claim, gh_command_channel_valid(cases[i].channel) == cases[i].valid);
    char wide[2 * GH_COMMAND_CHANNEL_CHARACTERS_MAX + 1];
    for (size_t i = 0; i < sizeof(wide); i++)
        wide[i] = i % 2 == 0 ? '\xc3' : '\xa4';
    CHECK("256 letters of two bytes",
          gh_command_channel_valid(gh_slice(wide, 2 * GH_COMMAND_CHANNEL_CHARACTERS_MAX)));
    CHECK("one letter more", !gh_command_channel_valid(gh_slice(wide, sizeof(wide))));
    CHECK("outcomes have names",
          strcmp(gh_command_outcome_name(GH_COMMAND_NOT_SUBSCRIBED), "NOT_SUBSCRIBED") == 0);
    return check_report();
}
