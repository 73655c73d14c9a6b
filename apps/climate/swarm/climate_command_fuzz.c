/* Any bytes as a command for each kind of machine: what is taken is within its limits. */
#include "apps/climate/swarm/actuator.h"
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int unit = 0; unit < GH_UNIT_COUNT; unit++) {
        struct gh_actuator actuator = {.unit = (enum gh_unit)unit};
        struct gh_actuator_command command;
        struct gh_error error;
        if (!gh_actuator_read(gh_slice(data, size), actuator.unit, &command, &error))
            continue;
        assert(command.level >= 0 && command.level <= gh_unit_stages(actuator.unit));
        assert(command.sequence > 0 && command.lease_s > 0);
        assert(strlen(command.id) > 0);
        assert(gh_actuator_obey(&actuator, &command, 1000) == GH_ACTUATOR_OBEYED);
        assert(gh_actuator_obey(&actuator, &command, 2000) == GH_ACTUATOR_REPEATED);
    }
    return 0;
}
