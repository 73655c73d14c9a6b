/* Fleet: the devices of the simulated warehouse on the wire, all on one loop.
 *
 * Carries site time (real time times the speed), reports of the devices and commands to them; keeps
 * the site's state in a file, written before a machine reports that it obeyed. Probes report every
 * site minute, once a real second at most; machines on change and at every fifth such beat. Memory:
 * the fleet's. Threads: gh_fleet_open and gh_fleet_close while the loop does not run; gh_fleet_stop
 * any thread. */
#ifndef GH_CLIMATE_FLEET_H
#define GH_CLIMATE_FLEET_H

#include "apps/climate/swarm/link.h"
#include "apps/climate/swarm/site.h"

struct gh_fleet_options {
    struct gh_link_place place;
    const char *keys;  /* folder with ID.pem for each device that is to run */
    const char *state; /* file; NULL keeps nothing */
    double speed;      /* site seconds for each real second, 1 .. 3600 */
    int report_s;      /* a line on standard output so often; 0 never */
};

struct gh_fleet;

/* `site` is borrowed; it has been restored from the file by gh_fleet_load. Devices without a key
 * stay away; NULL with `error` when none has one, or a key cannot be read. */
GH_MUST_USE struct gh_fleet *gh_fleet_open(const struct gh_fleet_options *options,
                                           struct gh_site *site, struct gh_error *error);
void gh_fleet_close(struct gh_fleet *fleet);
/* Saves, says DISCONNECT for every device, and ends the loop. */
void gh_fleet_stop(struct gh_fleet *fleet);

/* Restores the site from a state file. False when the file is there and cannot be used. */
GH_MUST_USE bool gh_fleet_load(struct gh_site *site, const char *path, struct gh_error *error);
#endif
