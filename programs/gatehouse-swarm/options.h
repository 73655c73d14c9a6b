/* The options of gatehouse-swarm. Texts are the program's own arguments or live as long as the
 * options. */
#ifndef GH_SWARM_OPTIONS_H
#define GH_SWARM_OPTIONS_H

#include "base/arena.h"
#include "base/error.h"

struct options {
    struct gh_arena arena;
    const char *server, *ca, *keys, *state, *weather;
    const char *project, *location, *registry;
    double speed;
    int report_s;
    int64_t token_ttl_s, start_ms; /* start_ms: site time of a first start */
    uint64_t seed;
    const char *faults[16];
    size_t faults_count;
    bool help, version;
};

/* OK, or USAGE and FILE with what is wrong. `options` is zeroed before. */
GH_MUST_USE enum gh_error_code options_read(int argc, char **argv, struct options *options,
                                            struct gh_error *error);
void options_deinit(struct options *options);
void options_help(void);
void options_print_names(void); /* " --server --ca …" */
#endif
