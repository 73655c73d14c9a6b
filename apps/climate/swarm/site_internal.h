/* What the files of the simulated warehouse share: site.c (physics, reports), site_keep.c (saving),
 * and site_fault.c (injected faults). Nobody outside the folder includes it. */
#ifndef GH_CLIMATE_SITE_INTERNAL_H
#define GH_CLIMATE_SITE_INTERNAL_H

#include "apps/climate/model/sensor.h"
#include "apps/climate/swarm/site.h"

enum { GH_SITE_FIRST_UNIT = 3 }; /* of a hall's devices; the units follow in their own order */

enum gh_site_fault_kind { GH_SITE_SILENT, GH_SITE_STUCK, GH_SITE_DEAD, GH_SITE_OFFLINE };

struct gh_site_fault {
    size_t device;
    enum gh_site_fault_kind kind;
    int64_t from_ms, to_ms; /* site time */
};

struct gh_site_hall {
    struct gh_hall_plant plant;
    struct gh_hall_state state;
    struct gh_actuator actuators[GH_UNIT_COUNT];
    bool changed[GH_UNIT_COUNT];
    double power_w[GH_UNIT_COUNT];
    double people, door_per_h;
    int64_t door_until_ms;
};

struct gh_site_probe {
    struct gh_sensor first, second; /* temperature and humidity, or CO2 and dust */
    double last[2];                 /* what a stuck probe repeats */
    bool held;
};

struct gh_site {
    const struct gh_weather *weather;
    int64_t now_ms, start_ms;
    uint64_t random;
    struct gh_site_hall halls[GH_SITE_HALLS];
    struct gh_site_probe probes[GH_SITE_DEVICES];
    struct gh_site_device devices[GH_SITE_DEVICES];
    struct gh_site_fault faults[GH_SITE_FAULTS_MAX];
    size_t faults_count;
};
#endif
