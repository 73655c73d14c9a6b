/* A machine of the simulated warehouse: obeys numbered commands under a lease, else its own
 * thermostat.
 *
 * A command sets an absolute level and is obeyed when its sequence number is above the last one
 * obeyed, so that a repeat or a late arrival changes nothing. It holds for its lease; when nobody
 * renews it, the machine returns to local control by its own sensor, with its own minimum times.
 * Pure: site time is an argument. No memory. Threads: one at a time. */
#ifndef GH_CLIMATE_ACTUATOR_H
#define GH_CLIMATE_ACTUATOR_H

#include "apps/climate/control/control.h"
#include "base/error.h"

enum { GH_ACTUATOR_ID_MAX = 64, GH_ACTUATOR_LEASE_MAX_S = 7 * 24 * 3600 };

struct gh_actuator {
    enum gh_unit unit;
    int level;
    int64_t since_ms;                     /* of the level */
    int64_t sequence;                     /* of the last command obeyed; 0 none */
    int64_t lease_ms;                     /* until when it holds */
    bool commanded;                       /* else local */
    char command[GH_ACTUATOR_ID_MAX + 1]; /* id of the last command obeyed; may be empty */
};

struct gh_actuator_command {
    char id[GH_ACTUATOR_ID_MAX + 1];
    int64_t sequence, lease_s;
    int level;
};

/* Reads {"id","sequence","level","lease_s"}. The id has 1 to 64 of A-Z a-z 0-9 . _ - and the level
 * is one of the unit's. False with the member that is wrong. */
GH_MUST_USE bool gh_actuator_read(struct gh_slice json, enum gh_unit unit,
                                  struct gh_actuator_command *out, struct gh_error *error);

enum gh_actuator_answer {
    GH_ACTUATOR_OBEYED,
    GH_ACTUATOR_REPEATED /* or overtaken: nothing changed */
};
enum gh_actuator_answer gh_actuator_obey(struct gh_actuator *actuator,
                                         const struct gh_actuator_command *command,
                                         int64_t site_ms);

/* What the machine's own sensor sees. */
struct gh_actuator_sense {
    double temperature_c, humidity_pct;
    bool occupied;
};
/* Ends a lease that has run out and, in local control, follows the machine's own thermostat. True
 * when level or mode changed. */
bool gh_actuator_tick(struct gh_actuator *actuator, const struct gh_actuator_sense *sense,
                      int64_t site_ms);
#endif
