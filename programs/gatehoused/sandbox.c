#include "programs/gatehoused/sandbox.h"
#include <string.h>

bool sandbox_mode_read(const char *name, enum sandbox_mode *out)
{
    static const char *const names[] = {
        [SANDBOX_ON] = "on", [SANDBOX_LOG] = "log", [SANDBOX_OFF] = "off"};
    for (size_t i = 0; i < GH_COUNT(names); i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (enum sandbox_mode)i;
            return true;
        }
    return false;
}
