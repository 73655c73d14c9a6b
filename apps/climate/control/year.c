#include "apps/climate/control/year.h"
#include "apps/climate/model/psychro.h"
#include "apps/climate/model/sensor.h"
#include <math.h>
#include <string.h>

enum { MINUTES_PER_DAY = 1440, FIRST_YEAR = 2018 }; /* 2018 began on a Monday */

static const double step_s = 60.0;

struct gh_year gh_year_of(const struct gh_weather *weather, enum gh_year_controller controller)
{
    return (struct gh_year){.weather = weather,
                            .plant = gh_hall_plant_reference(),
                            .controller = controller,
                            .settings = gh_control_settings_default(),
                            .cooling_stages = GH_HALL_STAGES,
                            .heating_stages = GH_HALL_STAGES,
                            .seed = 1,
                            .days = 365};
}

/* Controllers A to C: a plain thermostat with both stages, and a rule for the air. */
struct thermostat {
    double heat_on_c, heat_off_c, cool_on_c, cool_off_c;
    bool air_by_co2;
};
static const struct thermostat thermostats[] = {
    [GH_YEAR_A] = {19.0, 20.0, 21.0, 20.0, false},
    [GH_YEAR_B] = {15.5, 16.5, 24.5, 23.5, false},
    [GH_YEAR_C] = {15.5, 16.5, 24.5, 23.5, true},
};

static void run_thermostat(const struct thermostat *rule, const struct gh_hall_state *hall,
                           bool occupied, struct gh_hall_levels *levels)
{
    if (hall->air_c < rule->heat_on_c)
        levels->heating = GH_HALL_STAGES;
    else if (hall->air_c > rule->heat_off_c)
        levels->heating = 0;
    if (hall->air_c > rule->cool_on_c)
        levels->cooling = GH_HALL_STAGES;
    else if (hall->air_c < rule->cool_off_c)
        levels->cooling = 0;
    levels->air_per_h = occupied ? 0.6 : 0.3;
    if (rule->air_by_co2)
        levels->air_per_h =
            fmax(occupied ? 0.15 : 0.0, fmin(1.0, fmax(0.0, (hall->co2_ppm - 700.0) / 300.0)));
}

/* The instruments through which our controller sees the hall. */
struct instruments {
    struct gh_sensor temperature[GH_CONTROL_PROBES], humidity[GH_CONTROL_PROBES], co2, dust;
    struct gh_control_state state;
};

static void seed_instruments(struct instruments *all, uint64_t seed)
{
    memset(all, 0, sizeof *all);
    for (uint64_t i = 0; i < GH_CONTROL_PROBES; i++) {
        all->temperature[i].random = seed * 64 + i;
        all->humidity[i].random = seed * 64 + 16 + i;
    }
    all->co2.random = seed * 64 + 32;
    all->dust.random = seed * 64 + 33;
}

static void run_ours(const struct gh_year *year, int64_t site_ms, const struct gh_hall_state *hall,
                     const struct gh_weather_point *weather, struct instruments *all,
                     struct gh_hall_levels *levels)
{
    double humidity_pct =
        100.0 * gh_psychro_humidity(hall->air_c, hall->w, GH_PSYCHRO_SEA_LEVEL_PA);
    struct gh_control_input input = {.site_ms = site_ms};
    for (int i = 0; i < GH_CONTROL_PROBES; i++) {
        gh_sensor_follow(&all->temperature[i], &gh_sensor_temperature, hall->air_c, step_s);
        gh_sensor_follow(&all->humidity[i], &gh_sensor_humidity, humidity_pct, step_s);
        input.climate[i] = (struct gh_control_climate){
            .known = !year->probe_silent[i],
            .at_ms = site_ms,
            .temperature_c = gh_sensor_read(&all->temperature[i], &gh_sensor_temperature),
            .humidity_pct = gh_sensor_read(&all->humidity[i], &gh_sensor_humidity)};
    }
    gh_sensor_follow(&all->co2, &gh_sensor_co2, hall->co2_ppm, step_s);
    gh_sensor_follow(&all->dust, &gh_sensor_dust, hall->pm25_ugm3, step_s);
    input.air = (struct gh_control_air){.known = !year->air_silent,
                                        .at_ms = site_ms,
                                        .co2_ppm = gh_sensor_read(&all->co2, &gh_sensor_co2),
                                        .pm25_ugm3 = gh_sensor_read(&all->dust, &gh_sensor_dust)};
    input.outdoor = (struct gh_control_climate){.known = true,
                                                .at_ms = site_ms,
                                                .temperature_c = weather->temperature_c,
                                                .humidity_pct = weather->humidity * 100.0};
    struct gh_control_decision decision = gh_control_step(&year->settings, &input, &all->state);
    levels->heating = fmin(decision.level[GH_UNIT_HEATING], year->heating_stages);
    levels->cooling = fmin(decision.level[GH_UNIT_COOLING], year->cooling_stages);
    levels->dehumidifier = decision.level[GH_UNIT_DEHUMIDIFIER];
    levels->air_per_h = decision.level[GH_UNIT_VENTILATION] * GH_VENTILATION_STAGE_PER_H;
}

static void count(struct gh_kpi *kpi, const struct gh_hall_state *hall,
                  const struct gh_hall_flow *flow, const struct gh_hall_levels *levels)
{
    static const struct gh_kpi_limits limits = {
        .low_c = 15.0, .high_c = 25.0, .humidity = 0.65, .co2_ppm = 1000.0};
    struct gh_kpi_sample sample = {
        .step_s = step_s,
        .air_c = hall->air_c,
        .humidity = gh_psychro_humidity(hall->air_c, hall->w, GH_PSYCHRO_SEA_LEVEL_PA),
        .co2_ppm = hall->co2_ppm,
        .heating_el_w = flow->heating_el_w,
        .cooling_el_w = flow->cooling_el_w,
        .dryer_el_w = flow->dryer_el_w,
        .fan_el_w = flow->fan_el_w,
        .heating = (int)levels->heating,
        .cooling = (int)levels->cooling,
    };
    gh_kpi_add(kpi, &limits, &sample);
}

struct gh_kpi gh_year_run(const struct gh_year *year)
{
    struct gh_kpi kpi = {0};
    struct gh_hall_state hall = {
        .air_c = 20, .mass_c = 20, .w = 0.006, .co2_ppm = 420, .pm25_ugm3 = 5};
    struct gh_hall_levels levels = {0};
    struct instruments all;
    int64_t begin_ms = gh_calendar_ms(FIRST_YEAR, 1, 1) + INT64_C(86400000) * year->first_day;

    seed_instruments(&all, year->seed);
    for (unsigned minute = 0; minute < year->days * MINUTES_PER_DAY; minute++) {
        int64_t site_ms = begin_ms + INT64_C(60000) * minute;
        struct gh_calendar now = gh_calendar_at(site_ms);
        bool occupied = gh_calendar_occupied(&now);
        struct gh_weather_point weather = gh_weather_at(year->weather, site_ms);
        if (year->controller == GH_YEAR_OURS)
            run_ours(year, site_ms, &hall, &weather, &all, &levels);
        else
            run_thermostat(&thermostats[year->controller], &hall, occupied, &levels);
        struct gh_hall_load load = {.outdoor_c = weather.temperature_c,
                                    .outdoor_w = weather.w,
                                    .outdoor_pm25_ugm3 = 10,
                                    .pressure_pa = GH_PSYCHRO_SEA_LEVEL_PA,
                                    .ghi_wm2 = weather.ghi_wm2,
                                    .internal_w = occupied ? 12e3 : 2e3,
                                    .people = occupied ? 40 : 0,
                                    .dust_ugs = occupied ? 5000.0 / 60.0 : 0};
        struct gh_hall_flow flow = gh_hall_step(&year->plant, &load, &levels, step_s, &hall);
        count(&kpi, &hall, &flow, &levels);
    }
    return kpi;
}
