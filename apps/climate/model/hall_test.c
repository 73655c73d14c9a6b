#include "apps/climate/model/hall.h"
#include "apps/climate/model/psychro.h"
#include "apps/climate/model/sensor.h"
#include "apps/climate/model/table.h"
#include "tests/check.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static struct gh_hall_load quiet_load(double outdoor_c, double heat_w)
{
    return (struct gh_hall_load){.outdoor_c = outdoor_c,
                                 .outdoor_w = 0.002,
                                 .pressure_pa = GH_PSYCHRO_SEA_LEVEL_PA,
                                 .internal_w = heat_w};
}

static void run(const struct gh_hall_plant *plant, const struct gh_hall_load *load, double step_s,
                double duration_s, struct gh_hall_state *state)
{
    const struct gh_hall_levels off = {0};
    long steps = lround(duration_s / step_s);
    for (long i = 0; i < steps; i++)
        gh_hall_step(plant, load, &off, step_s, state);
}

/* Columns: case To Q Tg Ta0 Tm0 t Ta Tm. Explicit Euler is of first order: at 60 s it may be 0.03 K
 * off (in the first minutes after a step), and a tenth of the step brings a tenth of the error. */
static void check_steps(void)
{
    struct gh_error error;
    struct gh_table *table =
        gh_table_open("tests/data/climate/step_reference.tsv", 1 << 16, &error);
    REQUIRE("step reference", table != NULL && gh_table_rows(table) == 40);
    double worst_60 = 0, worst_6 = 0;
    for (size_t row = 0; row < gh_table_rows(table); row++) {
        char claim[96];
        double v[9] = {0};
        for (size_t i = 1; i < GH_COUNT(v); i++)
            REQUIRE("a number", gh_table_number(table, row, i, &v[i]));
        snprintf(claim, sizeof claim, "%s at %.0f s", gh_table_text(table, row, 0), v[6]);
        struct gh_hall_plant plant = gh_hall_plant_reference();
        plant.ground_c = v[3];
        struct gh_hall_load load = quiet_load(v[1], v[2]);
        struct gh_hall_state at_60 = {.air_c = v[4], .mass_c = v[5], .w = 0.002, .co2_ppm = 420};
        struct gh_hall_state at_6 = at_60;
        run(&plant, &load, 60, v[6], &at_60);
        run(&plant, &load, 6, v[6], &at_6);
        CHECK(claim, fabs(at_60.air_c - v[7]) < 0.02 && fabs(at_60.mass_c - v[8]) < 0.02);
        CHECK(claim, fabs(at_6.air_c - v[7]) < 0.002 && fabs(at_6.mass_c - v[8]) < 0.002);
        worst_60 = fmax(worst_60, fabs(at_60.air_c - v[7]));
        worst_6 = fmax(worst_6, fabs(at_6.air_c - v[7]));
    }
    CHECK("a tenth of the step, a tenth of the error", worst_6 < worst_60 / 8);
    gh_table_close(table);
}

/* Columns: persons G ACH V C0 Co t C. */
static void check_co2(void)
{
    struct gh_error error;
    struct gh_table *table =
        gh_table_open("tests/data/climate/co2_step_reference.tsv", 1 << 16, &error);
    REQUIRE("CO2 reference", table != NULL && gh_table_rows(table) == 16);
    for (size_t row = 0; row < gh_table_rows(table); row++) {
        char claim[96];
        double v[8];
        for (size_t i = 0; i < GH_COUNT(v); i++)
            REQUIRE("a number", gh_table_number(table, row, i, &v[i]));
        struct gh_hall_plant plant = gh_hall_plant_reference();
        plant.infiltration_per_h = v[2];
        plant.volume_m3 = v[3];
        plant.person_co2_m3s = v[1];
        plant.outdoor_co2_ppm = v[5];
        struct gh_hall_load load = quiet_load(20, 0);
        load.people = v[0];
        struct gh_hall_state state = {.air_c = 20, .mass_c = 20, .w = 0.002, .co2_ppm = v[4]};
        run(&plant, &load, 6, v[6], &state);
        snprintf(claim, sizeof claim, "%.0f people, %.2f/h, %.0f s", v[0], v[2], v[6]);
        CHECK(claim, fabs(state.co2_ppm - v[7]) < 0.5);
    }
    gh_table_close(table);
}

/* One state: no mass, no ground. Tau = Ca / (UA + rho V n cp). */
static void check_closed_forms(void)
{
    static const struct {
        double seconds, air_c;
    } points[] = {{600, 19.91829}, {3600, 19.53300}, {21600, 17.87054}, {86400, 16.04770}};
    struct gh_hall_plant plant = gh_hall_plant_reference();
    plant.exchange_wk = 0;
    plant.ground_wk = 0;
    struct gh_hall_load load = quiet_load(0, 30e3);
    for (size_t i = 0; i < GH_COUNT(points); i++) {
        struct gh_hall_state state = {.air_c = 20, .mass_c = 20, .w = 0.002, .co2_ppm = 420};
        run(&plant, &load, 6, points[i].seconds, &state);
        CHECK("one state, 30 kW", fabs(state.air_c - points[i].air_c) < 1e-3);
    }
    /* A thermostat of 80 kW, on at 19, off at 20: on 1349.9 s, off 1566.8 s. */
    struct gh_hall_state state = {.air_c = 20, .mass_c = 20, .w = 0.002, .co2_ppm = 420};
    double on_s = 0, off_s = 0;
    int cycles = 0;
    for (bool on = false; cycles < 10;) {
        load.internal_w = on ? 80e3 : 0;
        run(&plant, &load, 1, 1, &state);
        *(on ? &on_s : &off_s) += 1;
        if (on ? state.air_c >= 20 : state.air_c <= 19) {
            cycles += on;
            on = !on;
        }
    }
    CHECK("thermostat: time on", fabs(on_s / cycles - 1349.9) < 3);
    CHECK("thermostat: time off", fabs(off_s / cycles - 1566.8) < 3);
    CHECK("thermostat: duty", fabs(on_s / (on_s + off_s) - 0.46282) < 0.001);

    /* Two states at rest: 30 kW, 0 C outdoors. */
    struct gh_hall_plant whole = gh_hall_plant_reference();
    struct gh_hall_state rest = {.air_c = 15, .mass_c = 15, .w = 0.002, .co2_ppm = 420};
    struct gh_hall_load steady = quiet_load(0, 30e3);
    run(&whole, &steady, 60, 90.0 * 86400, &rest);
    CHECK("two states at rest",
          fabs(rest.air_c - 15.14908) < 1e-4 && fabs(rest.mass_c - 15.08733) < 1e-4);
}

/* Random loads and levels: what flows in is what is stored, for heat and for water. */
static void check_balances(void)
{
    struct gh_hall_plant plant = gh_hall_plant_reference();
    struct gh_hall_state state = {.air_c = 18, .mass_c = 17, .w = 0.007, .co2_ppm = 500};
    uint64_t seed = 20260101;
    double heat_j = 0, water_kg = 0, turned_over_j = 0, turned_over_kg = 0;
    struct gh_hall_state begin = state;
    double air_kg = plant.volume_m3 * plant.density_kgm3;
    for (int i = 0; i < 100000; i++) {
        double r[6];
        for (size_t k = 0; k < GH_COUNT(r); k++)
            r[k] = (double)(gh_sensor_random(&seed) >> 11) * 0x1p-53;
        struct gh_hall_load load = {.outdoor_c = -10 + 40 * r[0],
                                    .outdoor_w = 0.015 * r[1],
                                    .pressure_pa = GH_PSYCHRO_SEA_LEVEL_PA,
                                    .ghi_wm2 = 900 * r[2],
                                    .internal_w = 12e3 * r[3],
                                    .people = 40 * r[4],
                                    .doors_per_h = r[5] > 0.9 ? 2 : 0};
        struct gh_hall_levels levels = {.heating = r[0] > 0.6 ? 2 : 0,
                                        .cooling = r[1] > 0.7 ? 1 : 0,
                                        .dehumidifier = r[2] > 0.8 ? 1 : 0,
                                        .air_per_h = r[3]};
        struct gh_hall_flow f = gh_hall_step(&plant, &load, &levels, 60, &state);
        heat_j += 60 * (f.envelope_w + f.ground_w + f.air_w + f.gains_w + f.heating_w +
                        f.cooling_w + f.dryer_w);
        turned_over_j += 60 * (fabs(f.heating_w) + fabs(f.air_w));
        water_kg += 60 * (f.air_water_kgs + f.people_water_kgs - f.coil_water_kgs -
                          f.dryer_water_kgs - f.condensed_kgs);
        turned_over_kg += 60 * fabs(f.air_water_kgs);
    }
    double stored_j =
        plant.air_jk * (state.air_c - begin.air_c) + plant.mass_jk * (state.mass_c - begin.mass_c);
    CHECK("heat is neither made nor lost", fabs(heat_j - stored_j) < 1e-6 * turned_over_j);
    CHECK("water is neither made nor lost",
          fabs(water_kg - air_kg * (state.w - begin.w)) < 1e-6 * turned_over_kg);
    CHECK("air holds no more water than it can",
          state.w <= gh_psychro_saturation_w(state.air_c, GH_PSYCHRO_SEA_LEVEL_PA) + 1e-12);
}

static void check_machines(void)
{
    for (double outdoor = -30; outdoor < 45; outdoor++) {
        double heating = gh_hall_heating_cop(outdoor, 20),
               cooling = gh_hall_cooling_cop(outdoor, 20);
        CHECK("COP within its limits",
              heating >= 1.5 && heating <= 6 && cooling >= 1.5 && cooling <= 6);
        CHECK("warmer outdoors heats more easily", gh_hall_heating_cop(outdoor + 1, 20) >= heating);
        CHECK("warmer outdoors cools less easily", gh_hall_cooling_cop(outdoor + 1, 20) <= cooling);
        if (outdoor < 35)
            CHECK("no better than Carnot",
                  heating < (35 + 273.15) / (35 - outdoor) || outdoor < -15);
    }
    struct gh_hall_plant plant = gh_hall_plant_reference();
    struct gh_hall_load load = quiet_load(20, 0);
    load.outdoor_w = 0.012;
    struct gh_hall_state state = {.air_c = 20, .mass_c = 20, .w = 0.012, .co2_ppm = 420};
    struct gh_hall_levels drying = {.dehumidifier = 1};
    struct gh_hall_flow flow = gh_hall_step(&plant, &load, &drying, 60, &state);
    CHECK("a dehumidifier dries and warms",
          flow.dryer_water_kgs > 0 && flow.dryer_w > flow.dryer_el_w);
    struct gh_hall_levels cooling = {.cooling = 2};
    flow = gh_hall_step(&plant, &load, &cooling, 60, &state);
    CHECK("at least half of cooling is sensible", -flow.cooling_w >= plant.cooling_stage_w);
}

int main(void)
{
    check_steps();
    check_co2();
    check_closed_forms();
    check_balances();
    check_machines();
    return check_report();
}
