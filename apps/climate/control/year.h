/* A year of one hall under a controller: the bench on which controllers are compared.
 *
 * Sixty-second steps of the model of a typical year, from 1 January, a Monday, 20 C. The plant may
 * differ from the reference (robustness), probes may fail. Reference controllers A to C are those
 * of the climate facts, section 5.1, and see the true state as the published table's did; our
 * controller sees sensors. Conventions of that table: values between the hours are linear; the
 * hall's own air is at 101 325 Pa; CO2 and dust begin at outdoor values. Threads: any. */
#ifndef GH_CLIMATE_YEAR_H
#define GH_CLIMATE_YEAR_H

#include "apps/climate/control/control.h"
#include "apps/climate/model/hall.h"
#include "apps/climate/model/kpi.h"
#include "apps/climate/model/weather.h"

enum gh_year_controller { GH_YEAR_A, GH_YEAR_B, GH_YEAR_C, GH_YEAR_OURS, GH_YEAR_CONTROLLERS };

struct gh_year {
    const struct gh_weather *weather;
    struct gh_hall_plant plant;
    enum gh_year_controller controller;
    struct gh_control_settings settings; /* of ours */
    bool probe_silent[GH_CONTROL_PROBES], air_silent;
    int cooling_stages, heating_stages; /* that work: GH_HALL_STAGES, or less after a failure */
    uint64_t seed;
    unsigned days;      /* 365, or less */
    unsigned first_day; /* 0 is 1 January */
};

/* The reference plant for a whole year. */
struct gh_year gh_year_of(const struct gh_weather *weather, enum gh_year_controller controller);

struct gh_kpi gh_year_run(const struct gh_year *year);
#endif
