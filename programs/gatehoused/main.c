/* gatehoused: the Gatehouse server. Reads its options and hands over to the parent process. */
#include "base/log.h"
#include "programs/gatehoused/parent.h"
#include <stdio.h>
#include <string.h>

static void set_log_level(const char *name)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    for (size_t i = 0; i < GH_COUNT(names); i++)
        if (strcmp(name, names[i]) == 0)
            gh_log_set_level((enum gh_log_level)i);
}

int main(int argc, char **argv)
{
    static struct config config;
    struct gh_error error = {0};
    char line[GH_ERROR_LINE_MAX];
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            config_help();
            return 0;
        }
        if (strcmp(argv[i], "--version") == 0) {
            puts("gatehoused " GH_VERSION);
            return 0;
        }
    }
    enum gh_error_code code = config_load(argc, argv, &config, &error);
    if (code != GH_OK) {
        fprintf(stderr, "gatehoused: %s\n", gh_error_line(&error, line));
        return code == GH_ERROR_USAGE ? 2 : 1;
    }
    set_log_level(config.log_level);
    return parent_run(&config);
}
