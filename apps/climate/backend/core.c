#include "apps/climate/backend/core_internal.h"
#include "base/time.h"
#include "wire/json.h"
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE_BYTES_MAX = 16 * 1024 };

struct gh_core *gh_core_open(const char *tenant, uint32_t salt)
{
    struct gh_core *core = calloc(1, sizeof *core);
    if (core == NULL)
        return NULL;
    snprintf(core->tenant, sizeof core->tenant, "%s", tenant);
    core->salt = salt;
    core->settings = gh_control_settings_default();
    return core;
}

void gh_core_close(struct gh_core *core)
{
    free(core);
}

/* The clock. Speed is measured over at least `learn_ms`, and anew from half of each `window_ms`, so
 * that a change of speed is followed. A pause in the telemetry (site restarted, server away) begins
 * anew. */
static void learn_clock(struct gh_core *core, int64_t site_ms, int64_t utc_ms)
{
    const int64_t learn_ms = 3000, window_ms = 30000, pause_ms = 15000;
    if (site_ms <= core->site_ms)
        return;
    if (core->base_utc_ms == 0 || utc_ms - core->site_utc_ms > pause_ms ||
        utc_ms < core->site_utc_ms) {
        core->base_site_ms = site_ms;
        core->base_utc_ms = utc_ms;
    }
    core->site_ms = site_ms;
    core->site_utc_ms = utc_ms;
    int64_t real_ms = utc_ms - core->base_utc_ms;
    if (real_ms >= learn_ms) {
        double speed = (double)(site_ms - core->base_site_ms) / (double)real_ms;
        core->speed = fmin(10000.0, fmax(0.1, speed));
        core->running = true;
    }
    if (real_ms >= window_ms) {
        core->base_site_ms += (site_ms - core->base_site_ms) / 2;
        core->base_utc_ms += real_ms / 2;
    }
}

/* A message that is newer by UTC and an hour older by site time: the site was set up anew. What was
 * known of the old one is forgotten; numbers of commands stay. */
static void notice_new_site(struct gh_core *core, int64_t site_ms, int64_t utc_ms)
{
    const int64_t hour_ms = INT64_C(3600000);
    if (core->site_ms == 0 || site_ms > core->site_ms - hour_ms || utc_ms <= core->site_utc_ms)
        return;
    core->site_ms = 0;
    core->base_utc_ms = 0;
    core->stepped_ms = 0;
    core->running = false;
    core->outdoor.known = false;
    for (size_t i = 0; i < core->zones_count; i++) {
        struct gh_core_zone *zone = &core->zones[i];
        zone->air.known = false;
        for (int probe = 0; probe < GH_CONTROL_PROBES; probe++)
            zone->climate[probe].known = false;
        for (int unit = 0; unit < GH_UNIT_COUNT; unit++) {
            zone->units[unit].report.known = false;
            zone->units[unit].lease_until_ms = 0;
        }
    }
}

int64_t gh_core_site_ms(const struct gh_core *core, int64_t now_ms)
{
    int64_t since_ms = now_ms - core->site_utc_ms;
    if (since_ms <= 0 || !core->running)
        return core->site_ms;
    return core->site_ms + (int64_t)((double)since_ms * core->speed);
}

/* The kinds of devices by the end of their id. */
enum part {
    PART_CLIMATE_A,
    PART_CLIMATE_B,
    PART_AIR,
    PART_UNIT,
    PART_COUNT = PART_UNIT + GH_UNIT_COUNT
};
static const char *const part_endings[PART_COUNT] = {
    [PART_CLIMATE_A] = "-climate-a",
    [PART_CLIMATE_B] = "-climate-b",
    [PART_AIR] = "-air",
    [PART_UNIT + GH_UNIT_HEATING] = "-heating",
    [PART_UNIT + GH_UNIT_COOLING] = "-cooling",
    [PART_UNIT + GH_UNIT_VENTILATION] = "-ventilation",
    [PART_UNIT + GH_UNIT_DEHUMIDIFIER] = "-dehumidifier",
};

static bool part_of(struct gh_slice device, enum part *part, struct gh_slice *zone)
{
    for (int i = 0; i < PART_COUNT; i++) {
        struct gh_slice ending = gh_slice_text(part_endings[i]);
        if (gh_slice_ends(device, ending) && device.size > ending.size) {
            *part = (enum part)i;
            *zone = gh_slice_sub(device, 0, device.size - ending.size);
            return zone->size < GH_CORE_NAME_MAX;
        }
    }
    return false;
}

/* The zone of that name, made when it is new; NULL when there are too many. */
static struct gh_core_zone *zone_named(struct gh_core *core, struct gh_slice name)
{
    for (size_t i = 0; i < core->zones_count; i++) {
        if (gh_slice_equal(gh_slice_text(core->zones[i].name), name))
            return &core->zones[i];
    }
    if (core->zones_count == GH_CORE_ZONES_MAX)
        return NULL;
    struct gh_core_zone *zone = &core->zones[core->zones_count++];
    memcpy(zone->name, name.data, name.size);
    return zone;
}

/* What a value can be at all; beyond it the probe is broken, and its message is refused. */
static bool get_value(const json_t *json, const char *key, double min, double max, double *out,
                      struct gh_error *error)
{
    double value = 0.0;
    if (!gh_json_get_number(json, key, GH_JSON_REQUIRED, &value, error))
        return false;
    if (!(value >= min && value <= max)) {
        gh_error_set(error, GH_ERROR_RANGE, "%s %g is out of %g..%g", key, value, min, max);
        return false;
    }
    *out = value;
    return true;
}

static enum gh_core_taken take_climate(const json_t *json, int64_t site_ms,
                                       struct gh_control_climate *out, struct gh_error *error)
{
    struct gh_control_climate read = {.known = true, .at_ms = site_ms};
    if (out->known && site_ms <= out->at_ms)
        return GH_CORE_OLD;
    if (!get_value(json, "temperature_c", -60, 80, &read.temperature_c, error) ||
        !get_value(json, "humidity_pct", 0, 110, &read.humidity_pct, error))
        return GH_CORE_WRONG;
    *out = read;
    return GH_CORE_TAKEN;
}

static enum gh_core_taken take_air(const json_t *json, int64_t site_ms, struct gh_control_air *out,
                                   struct gh_error *error)
{
    struct gh_control_air read = {.known = true, .at_ms = site_ms};
    if (out->known && site_ms <= out->at_ms)
        return GH_CORE_OLD;
    if (!get_value(json, "co2_ppm", 0, 1e5, &read.co2_ppm, error) ||
        !get_value(json, "pm25_ugm3", 0, 1e5, &read.pm25_ugm3, error))
        return GH_CORE_WRONG;
    *out = read;
    return GH_CORE_TAKEN;
}

static enum gh_core_taken take_report(struct gh_core *core, const json_t *json, int64_t site_ms,
                                      struct gh_core_unit *unit, struct gh_error *error)
{
    struct gh_core_report read = {.known = true, .at_ms = site_ms};
    struct gh_slice mode = {0};
    double level, stages, sequence;
    /* Reports of one moment differ when a command came in between: the higher number is the later
     * one. */
    if (!get_value(json, "level", 0, 1000, &level, error) ||
        !get_value(json, "stages", 1, 1000, &stages, error) ||
        !get_value(json, "power_w", 0, 1e9, &read.power_w, error) ||
        !get_value(json, "sequence", 0, 9e15, &sequence, error) ||
        !gh_json_get_text(json, "mode", GH_JSON_REQUIRED, &mode, error))
        return GH_CORE_WRONG;
    read.level = (int)level;
    read.stages = (int)stages;
    read.sequence = (int64_t)sequence;
    read.commanded = gh_slice_equal(mode, GH_SLICE("commanded"));
    const struct gh_core_report *last = &unit->report;
    if (last->known &&
        (site_ms < last->at_ms || (site_ms == last->at_ms && read.sequence < last->sequence)))
        return GH_CORE_OLD;
    read.since_ms = last->known && last->level == read.level ? last->since_ms : site_ms;
    unit->report = read;
    gh_core_confirm(core, unit);
    return GH_CORE_TAKEN;
}

static enum gh_core_taken take_json(struct gh_core *core, struct gh_slice device,
                                    const json_t *json, int64_t published_ms,
                                    struct gh_error *error)
{
    struct gh_slice when = {0}, name;
    int64_t site_ms;
    enum part part = PART_COUNT;
    enum gh_core_taken taken;
    bool weather = gh_slice_equal(device, GH_SLICE("site-weather"));
    if (!weather && !part_of(device, &part, &name))
        return GH_CORE_FOREIGN;
    if (!gh_json_get_text(json, "site_time", GH_JSON_REQUIRED, &when, error))
        return GH_CORE_WRONG;
    if (!gh_time_parse(when, &site_ms)) {
        gh_error_set(error, GH_ERROR_INVALID, "site_time is not RFC 3339");
        return GH_CORE_WRONG;
    }
    notice_new_site(core, site_ms, published_ms);
    if (weather) {
        taken = take_climate(json, site_ms, &core->outdoor, error);
    } else {
        struct gh_core_zone *zone = zone_named(core, name);
        if (zone == NULL) {
            gh_error_set(error, GH_ERROR_LIMIT, "more than %d zones", GH_CORE_ZONES_MAX);
            return GH_CORE_WRONG;
        }
        taken = part == PART_AIR ? take_air(json, site_ms, &zone->air, error)
                : part >= PART_UNIT
                    ? take_report(core, json, site_ms, &zone->units[part - PART_UNIT], error)
                    : take_climate(json, site_ms, &zone->climate[part], error);
        zone->changed = zone->changed || taken == GH_CORE_TAKEN;
    }
    if (taken == GH_CORE_TAKEN)
        learn_clock(core, site_ms, published_ms);
    return taken;
}

enum gh_core_taken gh_core_take(struct gh_core *core, struct gh_slice device, struct gh_slice json,
                                int64_t published_ms, struct gh_error *error)
{
    json_t *value = gh_json_read_limited(json, MESSAGE_BYTES_MAX, error);
    if (value == NULL)
        return GH_CORE_WRONG;
    enum gh_core_taken taken = take_json(core, device, value, published_ms, error);
    json_decref(value);
    return taken;
}

/* A reading stays valid for ten minutes of site time, and for a few seconds of real time: in fast
 * motion one report covers more than ten minutes. */
static struct gh_control_settings settings_at_speed(const struct gh_core *core)
{
    const double reports_s = 6.0;
    struct gh_control_settings settings = core->settings;
    int64_t age_ms = (int64_t)(reports_s * 1000.0 * core->speed);
    if (age_ms > settings.reading_age_max_ms) {
        settings.reading_age_max_ms = age_ms;
        settings.hold_ms = age_ms;
    }
    return settings;
}

/* Whether a machine does anything: in its first hour it should move the air by 0.3 K (facts,
 * section 4). Later the day and the doors move it as far, so that the verdict stands until the
 * machine is off. */
static void watch_unit(struct gh_core_unit *unit, double warming, double air_c, int64_t site_ms)
{
    const int64_t hour_ms = INT64_C(3600000);
    bool on = unit->report.known && unit->report.level > 0;
    if (on && !unit->on) {
        unit->on_ms = site_ms;
        unit->on_air_c = air_c;
        unit->effective = false;
    }
    unit->on = on;
    if (on && site_ms - unit->on_ms <= hour_ms && warming * (air_c - unit->on_air_c) >= 0.3)
        unit->effective = true;
}

static void watch_effect(struct gh_core_zone *zone, int64_t site_ms)
{
    watch_unit(&zone->units[GH_UNIT_HEATING], 1.0, zone->decision.air_c, site_ms);
    watch_unit(&zone->units[GH_UNIT_COOLING], -1.0, zone->decision.air_c, site_ms);
}

void gh_core_step(struct gh_core *core, int64_t now_ms)
{
    if (!core->running)
        return;
    int64_t site_ms = gh_core_site_ms(core, now_ms);
    if (site_ms <= core->stepped_ms)
        return;
    core->stepped_ms = site_ms;
    struct gh_control_settings settings = settings_at_speed(core);
    for (size_t i = 0; i < core->zones_count; i++) {
        struct gh_core_zone *zone = &core->zones[i];
        struct gh_control_input input = {
            .site_ms = site_ms, .air = zone->air, .outdoor = core->outdoor};
        memcpy(input.climate, zone->climate, sizeof input.climate);
        struct gh_control_decision before = zone->decision;
        zone->decision = gh_control_step(&settings, &input, &zone->control);
        zone->changed = zone->changed ||
                        memcmp(before.level, zone->decision.level, sizeof before.level) != 0 ||
                        before.fallback != zone->decision.fallback;
        zone->decided = true;
        watch_effect(zone, site_ms);
        gh_core_command_units(core, i, site_ms, now_ms);
        gh_core_check_alarms(core, zone, site_ms, now_ms);
    }
}

size_t gh_core_zones(const struct gh_core *core)
{
    return core->zones_count;
}

const char *gh_core_zone_name(const struct gh_core *core, size_t zone)
{
    assert(zone < core->zones_count);
    return core->zones[zone].name;
}

bool gh_core_is_dirty(const struct gh_core *core)
{
    return core->dirty;
}
