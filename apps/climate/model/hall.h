/* The hall: one warehouse zone as four coupled balances (heat, water, CO2, fine dust), stepped in
 * time.
 *
 * States are the air with its light mass, the heavy mass (stock and slab), humidity ratio, CO2 and
 * PM2.5. Explicit Euler; the fastest pole is about 2500 s, so steps of 60 s and less are stable.
 * Equipment acts as levels that the caller sets; the model neither decides nor delays anything. It
 * is not a building simulation: one zone, no stratification, constant density. Everything is a
 * plain value and the functions are pure. Threads: any. */
#ifndef GH_CLIMATE_HALL_H
#define GH_CLIMATE_HALL_H

#include <stdbool.h>

/* What does not change: geometry, materials, sizes of the equipment. */
struct gh_hall_plant {
    double volume_m3, floor_m2;
    double envelope_wk; /* walls, roof, doors to the outdoor air */
    double ground_wk, ground_c;
    double exchange_wk;     /* air to heavy mass */
    double air_jk, mass_jk; /* heat capacities */
    double density_kgm3, heat_capacity_jkgk;
    double infiltration_per_h; /* all doors closed */
    double solar_m2;           /* of GHI that ends in the hall: absorbed fraction x roof */
    double heating_stage_w, cooling_stage_w; /* thermal, per stage */
    double coil_air_kgs;                     /* through one cooling stage */
    double dryer_air_kgs, dryer_stage_w;     /* of one dehumidifier stage; electric */
    double fan_w_per_m3s, unit_fan_w;        /* outdoor air; circulation while a unit runs */
    double person_vapour_kgs, person_co2_m3s;
    double dust_penetration, dust_deposition_per_h, dust_filter; /* filter efficiency 0..1 */
    double outdoor_co2_ppm;
};

/* Two stages each; the sizes of the reference hall, 50 x 40 x 8 m. */
enum { GH_HALL_STAGES = 2 };
struct gh_hall_plant gh_hall_plant_reference(void);

struct gh_hall_state {
    double air_c, mass_c;
    double w; /* kg/kg */
    double co2_ppm, pm25_ugm3;
};

/* What the hall is exposed to during a step. */
struct gh_hall_load {
    double outdoor_c, outdoor_w, outdoor_pm25_ugm3, pressure_pa, ghi_wm2;
    double internal_w, people;
    double dust_ugs;    /* forklifts and handling */
    double doors_per_h; /* air changes through open dock doors */
};

struct gh_hall_levels {
    double heating, cooling,
        dehumidifier; /* stages running, 0..GH_HALL_STAGES; a mean over the step may be broken */
    double air_per_h; /* outdoor air by the fans */
};

/* What flowed during a step: watts into the hall, kg/s of water, watts of electricity. */
struct gh_hall_flow {
    double envelope_w, ground_w, air_w, gains_w, heating_w, cooling_w, dryer_w;
    double exchange_w; /* mass to air */
    double air_water_kgs, people_water_kgs, coil_water_kgs, dryer_water_kgs, condensed_kgs;
    double heating_el_w, cooling_el_w, dryer_el_w, fan_el_w;
};

/* Advances `state` by `step_s` and says what flowed. Levels and loads hold during the whole step.
 */
struct gh_hall_flow gh_hall_step(const struct gh_hall_plant *plant, const struct gh_hall_load *load,
                                 const struct gh_hall_levels *levels, double step_s,
                                 struct gh_hall_state *state);

/* Coefficients of performance: a fraction of Carnot's, within 1.5..6. */
double gh_hall_cop(double cold_c, double hot_c);
double gh_hall_heating_cop(double outdoor_c, double air_c);
double gh_hall_cooling_cop(double outdoor_c, double air_c);

/* Electricity of a step. */
double gh_hall_electric_w(const struct gh_hall_flow *flow);
#endif
