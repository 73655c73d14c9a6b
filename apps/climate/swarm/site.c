#include "apps/climate/swarm/site.h"
#include "apps/climate/model/psychro.h"
#include "apps/climate/model/sensor.h"
#include "apps/climate/swarm/site_internal.h"
#include "base/time.h"
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t step_ms = INT64_C(60000), day_ms = INT64_C(86400000);
static const double outdoor_dust_ugm3 = 10.0;

/* What stands in each hall, in the order of the devices. */
static const struct {
    const char *name, *channel;
    enum gh_site_kind kind;
    enum gh_unit unit;
} furniture[GH_SITE_PER_HALL] = {
    {"climate-a", "climate", GH_SITE_CLIMATE, GH_UNIT_COUNT},
    {"climate-b", "climate", GH_SITE_CLIMATE, GH_UNIT_COUNT},
    {"air", "air", GH_SITE_AIR, GH_UNIT_COUNT},
    {"heating", "equipment", GH_SITE_EQUIPMENT, GH_UNIT_HEATING},
    {"cooling", "equipment", GH_SITE_EQUIPMENT, GH_UNIT_COOLING},
    {"ventilation", "equipment", GH_SITE_EQUIPMENT, GH_UNIT_VENTILATION},
    {"dehumidifier", "equipment", GH_SITE_EQUIPMENT, GH_UNIT_DEHUMIDIFIER},
};

/* The halls differ as buildings do: insulation, tightness, people. */
static const struct {
    double envelope, infiltration, people;
} differences[GH_SITE_HALLS] = {{1.0, 1.0, 1.0}, {1.15, 1.2, 0.7}, {0.9, 0.85, 1.2}};

static void furnish(struct gh_site *site, uint64_t seed)
{
    for (unsigned hall = 0; hall < GH_SITE_HALLS; hall++) {
        struct gh_site_hall *at = &site->halls[hall];
        at->plant = gh_hall_plant_reference();
        at->plant.envelope_wk *= differences[hall].envelope;
        at->plant.infiltration_per_h *= differences[hall].infiltration;
        at->people = 40.0 * differences[hall].people;
        for (unsigned i = 0; i < GH_SITE_PER_HALL; i++) {
            size_t index = (size_t)hall * GH_SITE_PER_HALL + i;
            struct gh_site_device *device = &site->devices[index];
            *device = (struct gh_site_device){.kind = furniture[i].kind,
                                              .unit = furniture[i].unit,
                                              .hall = hall,
                                              .channel = furniture[i].channel};
            snprintf(device->id, sizeof device->id, "hall-%u-%s", hall + 1, furniture[i].name);
            site->probes[index].first.random = seed * 4096 + index * 2;
            site->probes[index].second.random = seed * 4096 + index * 2 + 1;
        }
        for (int unit = 0; unit < GH_UNIT_COUNT; unit++)
            at->actuators[unit].unit = (enum gh_unit)unit;
    }
    site->devices[GH_SITE_DEVICES - 1] = (struct gh_site_device){
        .id = "site-weather", .kind = GH_SITE_WEATHER, .unit = GH_UNIT_COUNT, .channel = "weather"};
}

struct gh_site *gh_site_open(const struct gh_weather *weather, int64_t start_ms, uint64_t seed)
{
    struct gh_site *site = calloc(1, sizeof *site);
    if (site == NULL)
        return NULL;
    site->weather = weather;
    site->now_ms = start_ms;
    site->start_ms = start_ms;
    site->random = seed;
    furnish(site, seed);
    struct gh_weather_point outdoor = gh_weather_at(weather, start_ms);
    /* A hall that has been looked after: inside the band, towards the season. */
    double inside_c = fmin(23.0, fmax(16.5, outdoor.temperature_c));
    for (unsigned hall = 0; hall < GH_SITE_HALLS; hall++)
        site->halls[hall].state = (struct gh_hall_state){
            .air_c = inside_c,
            .mass_c = inside_c,
            .w = fmin(outdoor.w + 0.0005, gh_psychro_w(inside_c, 0.60, outdoor.pressure_pa)),
            .co2_ppm = 450,
            .pm25_ugm3 = 6};
    return site;
}

void gh_site_close(struct gh_site *site)
{
    free(site);
}

const struct gh_site_device *gh_site_device(const struct gh_site *site, size_t index)
{
    assert(index < GH_SITE_DEVICES);
    return &site->devices[index];
}

int64_t gh_site_now_ms(const struct gh_site *site)
{
    return site->now_ms;
}

static bool fault_now(const struct gh_site *site, size_t index, enum gh_site_fault_kind kind)
{
    for (size_t i = 0; i < site->faults_count; i++) {
        const struct gh_site_fault *fault = &site->faults[i];
        if (fault->device == index && fault->kind == kind && site->now_ms >= fault->from_ms &&
            site->now_ms < fault->to_ms)
            return true;
    }
    return false;
}

bool gh_site_is_offline(const struct gh_site *site, size_t index)
{
    return fault_now(site, index, GH_SITE_OFFLINE);
}

static double uniform(struct gh_site *site)
{
    return (double)(gh_sensor_random(&site->random) >> 11) * 0x1p-53;
}

/* Dock doors: about one opening an hour at work, five to fifteen minutes. */
static double doors_per_h(struct gh_site *site, struct gh_site_hall *hall, bool occupied,
                          double step_h)
{
    const double openings_per_h = 1.0;
    if (site->now_ms < hall->door_until_ms)
        return hall->door_per_h;
    if (!occupied || uniform(site) >= openings_per_h * step_h)
        return 0.0;
    hall->door_until_ms = site->now_ms + (int64_t)((5.0 + 10.0 * uniform(site)) * 60000.0);
    hall->door_per_h = 1.0 + 2.0 * uniform(site);
    return hall->door_per_h;
}

static double effective(const struct gh_site *site, unsigned hall, enum gh_unit unit)
{
    size_t index = (size_t)hall * GH_SITE_PER_HALL + GH_SITE_FIRST_UNIT + (size_t)unit;
    return fault_now(site, index, GH_SITE_DEAD) ? 0.0 : site->halls[hall].actuators[unit].level;
}

static void step_hall(struct gh_site *site, unsigned index, const struct gh_weather_point *outdoor,
                      bool occupied, double step_s)
{
    struct gh_site_hall *hall = &site->halls[index];
    struct gh_hall_load load = {
        .outdoor_c = outdoor->temperature_c,
        .outdoor_w = outdoor->w,
        .outdoor_pm25_ugm3 = outdoor_dust_ugm3,
        .pressure_pa = outdoor->pressure_pa,
        .ghi_wm2 = outdoor->ghi_wm2,
        .internal_w = occupied ? 12e3 : 2e3,
        .people = occupied ? hall->people : 0.0,
        .dust_ugs = occupied ? 5000.0 / 60.0 : 0.0,
        .doors_per_h = doors_per_h(site, hall, occupied, step_s / 3600.0),
    };
    struct gh_hall_levels levels = {
        .heating = effective(site, index, GH_UNIT_HEATING),
        .cooling = effective(site, index, GH_UNIT_COOLING),
        .dehumidifier = effective(site, index, GH_UNIT_DEHUMIDIFIER),
        .air_per_h = effective(site, index, GH_UNIT_VENTILATION) * GH_VENTILATION_STAGE_PER_H,
    };
    struct gh_hall_flow flow = gh_hall_step(&hall->plant, &load, &levels, step_s, &hall->state);
    hall->power_w[GH_UNIT_HEATING] = flow.heating_el_w;
    hall->power_w[GH_UNIT_COOLING] = flow.cooling_el_w;
    hall->power_w[GH_UNIT_DEHUMIDIFIER] = flow.dryer_el_w;
    hall->power_w[GH_UNIT_VENTILATION] = flow.fan_el_w;
}

/* The lagging elements of the hall's probes, and the machines' own thermostats. */
static void step_devices(struct gh_site *site, unsigned index,
                         const struct gh_weather_point *outdoor, bool occupied, double step_s)
{
    struct gh_site_hall *hall = &site->halls[index];
    double humidity_pct =
        100.0 * gh_psychro_humidity(hall->state.air_c, hall->state.w, outdoor->pressure_pa);
    struct gh_site_probe *probe = &site->probes[(size_t)index * GH_SITE_PER_HALL];
    for (int i = 0; i < GH_CONTROL_PROBES; i++, probe++) {
        gh_sensor_follow(&probe->first, &gh_sensor_temperature, hall->state.air_c, step_s);
        gh_sensor_follow(&probe->second, &gh_sensor_humidity, humidity_pct, step_s);
    }
    gh_sensor_follow(&probe->first, &gh_sensor_co2, hall->state.co2_ppm, step_s);
    gh_sensor_follow(&probe->second, &gh_sensor_dust, hall->state.pm25_ugm3, step_s);

    struct gh_actuator_sense sense = {
        .temperature_c = hall->state.air_c, .humidity_pct = humidity_pct, .occupied = occupied};
    for (int unit = 0; unit < GH_UNIT_COUNT; unit++) {
        if (gh_actuator_tick(&hall->actuators[unit], &sense, site->now_ms))
            hall->changed[unit] = true;
    }
}

void gh_site_advance(struct gh_site *site, int64_t to_ms)
{
    if (to_ms - site->now_ms > day_ms)
        to_ms = site->now_ms + day_ms;
    while (site->now_ms < to_ms) {
        int64_t by_ms = to_ms - site->now_ms < step_ms ? to_ms - site->now_ms : step_ms;
        double step_s = (double)by_ms / 1000.0;
        struct gh_weather_point outdoor = gh_weather_at(site->weather, site->now_ms);
        struct gh_calendar now = gh_calendar_at(site->now_ms);
        bool occupied = gh_calendar_occupied(&now);
        for (unsigned hall = 0; hall < GH_SITE_HALLS; hall++)
            step_hall(site, hall, &outdoor, occupied, step_s);
        site->now_ms += by_ms;
        for (unsigned hall = 0; hall < GH_SITE_HALLS; hall++)
            step_devices(site, hall, &outdoor, occupied, step_s);
    }
}

/* Both values of a probe; a stuck one repeats those of its first report after the fault began. */
static void read_probe(struct gh_site *site, size_t index, const struct gh_sensor_kind *first,
                       const struct gh_sensor_kind *second, double out[2])
{
    struct gh_site_probe *probe = &site->probes[index];
    bool stuck = fault_now(site, index, GH_SITE_STUCK);
    if (!stuck || !probe->held) {
        probe->last[0] = gh_sensor_read(&probe->first, first);
        probe->last[1] = gh_sensor_read(&probe->second, second);
    }
    probe->held = stuck;
    out[0] = probe->last[0];
    out[1] = probe->last[1];
}

static bool print_equipment(const struct gh_site *site, const struct gh_site_device *device,
                            const char *when, struct gh_buffer *out)
{
    const struct gh_site_hall *hall = &site->halls[device->hall];
    const struct gh_actuator *actuator = &hall->actuators[device->unit];
    return gh_buffer_print(out,
                           "{\"level\":%d,\"stages\":%d,\"power_w\":%.0f,\"command\":\"%s\","
                           "\"sequence\":%lld,\"mode\":\"%s\",\"site_time\":\"%s\"}",
                           actuator->level, gh_unit_stages(device->unit),
                           hall->power_w[device->unit], actuator->command,
                           (long long)actuator->sequence,
                           actuator->commanded ? "commanded" : "local", when);
}

bool gh_site_report(struct gh_site *site, size_t index, struct gh_buffer *out)
{
    const struct gh_site_device *device = gh_site_device(site, index);
    char when[GH_TIME_TEXT_MAX];
    double value[2];
    if (fault_now(site, index, GH_SITE_SILENT))
        return false;
    gh_time_print(site->now_ms, when);
    switch (device->kind) {
    case GH_SITE_CLIMATE:
        read_probe(site, index, &gh_sensor_temperature, &gh_sensor_humidity, value);
        return gh_buffer_print(
            out, "{\"temperature_c\":%.1f,\"humidity_pct\":%.1f,\"site_time\":\"%s\"}", value[0],
            value[1], when);
    case GH_SITE_AIR:
        read_probe(site, index, &gh_sensor_co2, &gh_sensor_dust, value);
        return gh_buffer_print(out, "{\"co2_ppm\":%.0f,\"pm25_ugm3\":%.1f,\"site_time\":\"%s\"}",
                               value[0], value[1], when);
    case GH_SITE_WEATHER: {
        struct gh_weather_point point = gh_site_weather(site);
        return gh_buffer_print(out,
                               "{\"temperature_c\":%.1f,\"humidity_pct\":%.1f,\"ghi_wm2\":%.0f,"
                               "\"site_time\":\"%s\"}",
                               point.temperature_c, point.humidity * 100.0, point.ghi_wm2, when);
    }
    case GH_SITE_EQUIPMENT:
        break;
    }
    return print_equipment(site, device, when, out);
}

bool gh_site_take_change(struct gh_site *site, size_t index)
{
    const struct gh_site_device *device = gh_site_device(site, index);
    if (device->kind != GH_SITE_EQUIPMENT)
        return false;
    bool *changed = &site->halls[device->hall].changed[device->unit];
    bool was = *changed;
    *changed = false;
    return was;
}

bool gh_site_command(struct gh_site *site, size_t index, struct gh_slice json,
                     enum gh_actuator_answer *answer, struct gh_error *error)
{
    const struct gh_site_device *device = gh_site_device(site, index);
    struct gh_actuator_command command;
    if (device->kind != GH_SITE_EQUIPMENT) {
        gh_error_set(error, GH_ERROR_INVALID, "%s takes no commands", device->id);
        return false;
    }
    if (!gh_actuator_read(json, device->unit, &command, error))
        return false;
    struct gh_site_hall *hall = &site->halls[device->hall];
    *answer = gh_actuator_obey(&hall->actuators[device->unit], &command, site->now_ms);
    hall->changed[device->unit] =
        true; /* a repeat is answered by a report too: the first may be lost */
    return true;
}

struct gh_hall_state gh_site_hall(const struct gh_site *site, unsigned hall)
{
    assert(hall < GH_SITE_HALLS);
    return site->halls[hall].state;
}

const struct gh_actuator *gh_site_actuator(const struct gh_site *site, unsigned hall,
                                           enum gh_unit unit)
{
    assert(hall < GH_SITE_HALLS);
    return &site->halls[hall].actuators[unit];
}

struct gh_weather_point gh_site_weather(const struct gh_site *site)
{
    return gh_weather_at(site->weather, site->now_ms);
}
