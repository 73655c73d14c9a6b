/* The simulated warehouse: three halls with their probes and machines, and a weather station, in
 * site time.
 *
 * Owns the physics and the behaviour of the devices, and nothing of the network: whoever carries
 * messages asks for a report of a device and hands in commands (swarm/fleet.h does, over MQTT;
 * tests do it directly). Deterministic for a seed, a start and a series of calls. What must outlive
 * a restart is saved as one JSON value. Threads: one at a time. */
#ifndef GH_CLIMATE_SITE_H
#define GH_CLIMATE_SITE_H

#include "apps/climate/model/hall.h"
#include "apps/climate/model/weather.h"
#include "apps/climate/swarm/actuator.h"
#include "base/buffer.h"
#include <jansson.h>

enum {
    GH_SITE_HALLS = 3,
    GH_SITE_PER_HALL = 7,
    GH_SITE_DEVICES = GH_SITE_HALLS * GH_SITE_PER_HALL + 1, /* the weather station comes last */
    GH_SITE_ID_MAX = 32,
    GH_SITE_FAULTS_MAX = 16,
};

enum gh_site_kind { GH_SITE_CLIMATE, GH_SITE_AIR, GH_SITE_EQUIPMENT, GH_SITE_WEATHER };

struct gh_site_device {
    char id[GH_SITE_ID_MAX]; /* "hall-1-climate-a" */
    enum gh_site_kind kind;
    enum gh_unit unit;   /* of equipment */
    unsigned hall;       /* 0.., of all but the weather station */
    const char *channel; /* "climate", "air", "equipment", "weather" */
};

struct gh_site;

/* `weather` is borrowed for the site's whole life. NULL when there is no memory. */
GH_MUST_USE struct gh_site *gh_site_open(const struct gh_weather *weather, int64_t start_ms,
                                         uint64_t seed);
void gh_site_close(struct gh_site *site);

/* `index` < GH_SITE_DEVICES in all that follows. */
const struct gh_site_device *gh_site_device(const struct gh_site *site, size_t index);
int64_t gh_site_now_ms(const struct gh_site *site);

/* Steps the physics up to a site time, a day at most in one call; earlier times change nothing. */
void gh_site_advance(struct gh_site *site, int64_t to_ms);

/* Appends the device's report of now as one JSON object; sensors draw their noise. False when a
 * fault keeps the device silent, or the buffer is full. */
GH_MUST_USE bool gh_site_report(struct gh_site *site, size_t index, struct gh_buffer *out);
/* Whether a machine's level or mode changed since the last call for it. */
bool gh_site_take_change(struct gh_site *site, size_t index);
/* A command for a machine; only for equipment. `*answer` is written on true; false with what is
 * wrong. */
GH_MUST_USE bool gh_site_command(struct gh_site *site, size_t index, struct gh_slice json,
                                 enum gh_actuator_answer *answer, struct gh_error *error);

/* Adds a fault, "ID=KIND@FROM" or "ID=KIND@FROM-TO" in seconds of site time after the start of this
 * run. KIND: silent (reports nothing), stuck (a probe repeats one value), dead (a machine reports
 * but has no effect), offline (no connection). False with what is wrong. */
GH_MUST_USE bool gh_site_add_fault(struct gh_site *site, const char *text, struct gh_error *error);
/* Whether the device is to have no connection now. */
bool gh_site_is_offline(const struct gh_site *site, size_t index);

/* A new value, given to the caller; NULL without memory. Restoring refuses what it does not know
 * and leaves the site as it was. */
json_t *gh_site_save(const struct gh_site *site);
GH_MUST_USE bool gh_site_restore(struct gh_site *site, const json_t *saved, struct gh_error *error);

/* One hall for a status line and for tests; the truth, not a reading. */
struct gh_hall_state gh_site_hall(const struct gh_site *site, unsigned hall);
const struct gh_actuator *gh_site_actuator(const struct gh_site *site, unsigned hall,
                                           enum gh_unit unit);
struct gh_weather_point gh_site_weather(const struct gh_site *site);
#endif
