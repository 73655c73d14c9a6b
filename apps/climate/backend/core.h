/* The back end's core: telemetry and time in, commands and zone documents out. No network, no
 * files.
 *
 * Keeps for each zone (a hall) the newest readings, the controller's state, and for each machine
 * the last command with its sequence number; decides what to send, what to repeat and what alarms
 * stand. The shell (backend/service.h) pulls messages, saves the core's state before it sends a
 * command, and reports how the sending went.
 *
 * Commands: a level is absolute and numbered; the number is durable before the command leaves, and
 * a command whose fate is unknown is sent again under the same number, which the machine obeys
 * once. A machine that reports a higher number than ours (an older state file came back) is taken
 * up from there. Leases are renewed at half time, under a new number.
 *
 * Time: `site_time` in the telemetry is the time of control. The core learns how it runs against
 * UTC (the demo's clock is faster) and carries it on between messages. Memory: the core's; fixed
 * numbers of zones. Threads: one at a time. */
#ifndef GH_CLIMATE_CORE_H
#define GH_CLIMATE_CORE_H

#include "apps/climate/control/control.h"
#include "base/buffer.h"
#include "base/error.h"
#include <jansson.h>

enum {
    GH_CORE_ZONES_MAX = 32,
    GH_CORE_NAME_MAX = 64,
    GH_CORE_ID_MAX = 64, /* of a command */
};

struct gh_core;

/* `tenant` names the tenant in zone documents and is copied; `salt` goes into command ids, so that
 * those of two back ends differ. NULL when there is no memory. */
GH_MUST_USE struct gh_core *gh_core_open(const char *tenant, uint32_t salt);
void gh_core_close(struct gh_core *core);

enum gh_core_taken {
    GH_CORE_TAKEN,
    GH_CORE_OLD,     /* not newer than what is known of the device: nothing changed */
    GH_CORE_FOREIGN, /* not a device of a hall */
    GH_CORE_WRONG,   /* not such a message; `error` says why */
};
/* One telemetry message. The device's kind is the end of its id: ZONE-climate-a, ZONE-climate-b,
 * ZONE-air, ZONE-heating, ZONE-cooling, ZONE-ventilation, ZONE-dehumidifier; site-weather is
 * everybody's. `published_ms` is UTC. */
enum gh_core_taken gh_core_take(struct gh_core *core, struct gh_slice device, struct gh_slice json,
                                int64_t published_ms, struct gh_error *error);

/* Runs the controllers at UTC `now_ms`, once the backlog has been taken. Nothing happens before
 * site time is known to run (two messages some seconds apart). */
void gh_core_step(struct gh_core *core, int64_t now_ms);

/* A command that is due now. Texts are the core's and hold until the next call that is not
 * gh_core_due. */
struct gh_core_command {
    size_t zone;
    enum gh_unit unit;
    char device[GH_CORE_NAME_MAX + 16];
    char id[GH_CORE_ID_MAX];
    int64_t sequence, lease_s;
    int level;
};
/* `*at` begins at 0; false when no more are due. The state must be saved before a command is sent.
 */
bool gh_core_due(const struct gh_core *core, int64_t now_ms, size_t *at,
                 struct gh_core_command *out);
/* {"id","sequence","level","lease_s"} */
bool gh_core_print_command(const struct gh_core_command *command, struct gh_buffer *out);

enum gh_core_outcome {
    GH_CORE_DELIVERED,   /* the platform handed it to the device's connection; the device's report
                            confirms */
    GH_CORE_UNREACHABLE, /* the device is not connected: sent again, with growing pauses */
    GH_CORE_UNKNOWN,     /* no answer, or the platform's fault: perhaps delivered; sent again */
    GH_CORE_REFUSED,     /* the platform will not have it; sent again once a minute */
};
void gh_core_sent(struct gh_core *core, const struct gh_core_command *command,
                  enum gh_core_outcome outcome, int64_t now_ms);

/* Zones, in the order in which they were first heard of. */
size_t gh_core_zones(const struct gh_core *core);
const char *gh_core_zone_name(const struct gh_core *core, size_t zone);
/* Whether the zone's document is worth publishing: it changed (once a second at most), or five
 * seconds have passed. Publishing is noted by gh_core_zone_published. */
bool gh_core_zone_due(const struct gh_core *core, size_t zone, int64_t now_ms);
void gh_core_zone_published(struct gh_core *core, size_t zone, int64_t now_ms);
/* The document of PUT /api/v1/tenants/{tenant}/zones/{zone}; given to the caller, NULL without
 * memory. */
json_t *gh_core_zone(const struct gh_core *core, size_t zone, int64_t now_ms);

/* True when something that must outlive a restart changed since the last gh_core_save. */
bool gh_core_is_dirty(const struct gh_core *core);
/* Given to the caller; NULL without memory. */
json_t *gh_core_save(struct gh_core *core);
/* Into a core that has taken nothing yet. False leaves it empty. */
GH_MUST_USE bool gh_core_restore(struct gh_core *core, const json_t *saved, struct gh_error *error);
#endif
