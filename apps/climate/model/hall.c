#include "apps/climate/model/hall.h"
#include "apps/climate/model/psychro.h"
#include <assert.h>
#include <math.h>

static const double second_per_hour = 3600.0;
static const double evaporation_jkg = 2.5e6;
static const double coil_c = 8.0, dryer_coil_c = 5.0; /* surfaces on which water condenses */
static const double coil_contact = 0.8;               /* of the air; the rest passes by */

struct gh_hall_plant gh_hall_plant_reference(void)
{
    const double volume_m3 = 50.0 * 40.0 * 8.0, floor_m2 = 50.0 * 40.0, density = 1.2;
    const double heat_capacity = 1006.0;
    return (struct gh_hall_plant){
        .volume_m3 = volume_m3,
        .floor_m2 = floor_m2,
        .envelope_wk = 1440.0 * 0.35 + 2000.0 * 0.25 + 60.0 * 1.5,
        .ground_wk = 0.2 * floor_m2,
        .ground_c = 12.0,
        .exchange_wk = 5.0 * 4000.0,
        .air_jk = 58e6,
        .mass_jk = 800e6,
        .density_kgm3 = density,
        .heat_capacity_jkgk = heat_capacity,
        .infiltration_per_h = 0.15,
        .solar_m2 = 0.04 * floor_m2,
        .heating_stage_w = 60e3,
        .cooling_stage_w = 40e3,
        .coil_air_kgs = 1.6,
        .dryer_air_kgs = 0.5,
        .dryer_stage_w = 3e3,
        .fan_w_per_m3s = 800.0, /* 400 Pa at 50 % */
        .unit_fan_w = 1500.0,
        .person_vapour_kgs = 0.060 / second_per_hour,
        .person_co2_m3s = 5.2e-6,
        .dust_penetration = 0.8,
        .dust_deposition_per_h = 0.3,
        .dust_filter = 0.5,
        .outdoor_co2_ppm = 420.0,
    };
}

double gh_hall_cop(double cold_c, double hot_c)
{
    /* Carnot between coils 10 K beyond the air on either side, times 0.4. */
    double lift_k = fmax(15.0, (hot_c + 10.0) - (cold_c - 10.0));
    return fmin(6.0, fmax(1.5, 0.4 * (cold_c - 10.0 + 273.15) / lift_k));
}

double gh_hall_heating_cop(double outdoor_c, double air_c)
{
    return gh_hall_cop(outdoor_c, air_c + 15.0);
}

double gh_hall_cooling_cop(double outdoor_c, double air_c)
{
    return gh_hall_cop(air_c, outdoor_c);
}

double gh_hall_electric_w(const struct gh_hall_flow *flow)
{
    return flow->heating_el_w + flow->cooling_el_w + flow->dryer_el_w + flow->fan_el_w;
}

/* Cooling takes water first, but at least half of it stays sensible (a coil with bypass). */
static void run_units(const struct gh_hall_plant *plant, const struct gh_hall_load *load,
                      const struct gh_hall_levels *levels, const struct gh_hall_state *state,
                      struct gh_hall_flow *flow)
{
    double pressure = load->pressure_pa;
    flow->heating_w = levels->heating * plant->heating_stage_w;
    flow->heating_el_w = flow->heating_w / gh_hall_heating_cop(load->outdoor_c, state->air_c);

    double total_w = levels->cooling * plant->cooling_stage_w;
    double over_coil = fmax(0.0, state->w - gh_psychro_saturation_w(coil_c, pressure));
    flow->coil_water_kgs = levels->cooling * plant->coil_air_kgs * over_coil * coil_contact;
    flow->cooling_w = -fmax(total_w / 2, total_w - evaporation_jkg * flow->coil_water_kgs);
    flow->cooling_el_w = total_w / gh_hall_cooling_cop(load->outdoor_c, state->air_c);

    /* The dehumidifier's condenser stands in the hall: electricity and heat of condensation stay.
     */
    double over_dryer = fmax(0.0, state->w - gh_psychro_saturation_w(dryer_coil_c, pressure));
    flow->dryer_water_kgs = levels->dehumidifier * plant->dryer_air_kgs * over_dryer * coil_contact;
    flow->dryer_el_w = levels->dehumidifier * plant->dryer_stage_w;
    flow->dryer_w = flow->dryer_el_w + evaporation_jkg * flow->dryer_water_kgs;

    double air_m3s = plant->volume_m3 * levels->air_per_h / second_per_hour;
    bool unit_runs = levels->heating > 0.0 || levels->cooling > 0.0;
    flow->fan_el_w = plant->fan_w_per_m3s * air_m3s + (unit_runs ? plant->unit_fan_w : 0.0);
}

static double dust_rate(const struct gh_hall_plant *plant, const struct gh_hall_load *load,
                        double fans_per_h, const struct gh_hall_state *state)
{
    double leaks = plant->infiltration_per_h + load->doors_per_h;
    double per_h =
        leaks * (plant->dust_penetration * load->outdoor_pm25_ugm3 - state->pm25_ugm3) +
        fans_per_h * ((1.0 - plant->dust_filter) * load->outdoor_pm25_ugm3 - state->pm25_ugm3) -
        plant->dust_deposition_per_h * state->pm25_ugm3;
    return per_h / second_per_hour + load->dust_ugs / plant->volume_m3;
}

struct gh_hall_flow gh_hall_step(const struct gh_hall_plant *plant, const struct gh_hall_load *load,
                                 const struct gh_hall_levels *levels, double step_s,
                                 struct gh_hall_state *state)
{
    assert(step_s > 0.0 && step_s <= 600.0);
    struct gh_hall_flow flow = {0};
    double air_kg = plant->density_kgm3 * plant->volume_m3;
    double change_per_s =
        (plant->infiltration_per_h + load->doors_per_h + levels->air_per_h) / second_per_hour;

    run_units(plant, load, levels, state, &flow);
    flow.envelope_w = plant->envelope_wk * (load->outdoor_c - state->air_c);
    flow.air_w =
        air_kg * change_per_s * plant->heat_capacity_jkgk * (load->outdoor_c - state->air_c);
    flow.gains_w = load->internal_w + plant->solar_m2 * load->ghi_wm2;
    flow.exchange_w = plant->exchange_wk * (state->mass_c - state->air_c);
    flow.ground_w = plant->ground_wk * (plant->ground_c - state->mass_c);
    flow.air_water_kgs = air_kg * change_per_s * (load->outdoor_w - state->w);
    flow.people_water_kgs = load->people * plant->person_vapour_kgs;

    double co2_rate = change_per_s * (plant->outdoor_co2_ppm - state->co2_ppm) +
                      load->people * plant->person_co2_m3s * 1e6 / plant->volume_m3;
    double dust = dust_rate(plant, load, levels->air_per_h, state);

    state->air_c += step_s / plant->air_jk *
                    (flow.envelope_w + flow.air_w + flow.gains_w + flow.exchange_w +
                     flow.heating_w + flow.cooling_w + flow.dryer_w);
    state->mass_c += step_s / plant->mass_jk * (flow.ground_w - flow.exchange_w);
    state->w +=
        step_s / air_kg *
        (flow.air_water_kgs + flow.people_water_kgs - flow.coil_water_kgs - flow.dryer_water_kgs);
    state->co2_ppm += step_s * co2_rate;
    state->pm25_ugm3 = fmax(0.0, state->pm25_ugm3 + step_s * dust);

    double w_max = gh_psychro_saturation_w(state->air_c, load->pressure_pa);
    if (state->w > w_max) { /* fog and wet walls */
        flow.condensed_kgs = (state->w - w_max) * air_kg / step_s;
        state->w = w_max;
    }
    return flow;
}
