#include "apps/climate/backend/core_internal.h"
#include "base/time.h"
#include <assert.h>
#include <math.h>
#include <stdio.h>

static const int64_t publish_min_ms = 1000, publish_max_ms = 5000; /* UTC */

static double tenths(double value)
{
    return round(value * 10.0) / 10.0;
}

static json_t *time_text(int64_t ms)
{
    char text[GH_TIME_TEXT_MAX];
    return ms == 0 ? json_null() : json_string(gh_time_print(ms, text));
}

static json_t *band(const struct gh_control_settings *limits)
{
    return json_pack("{s:[f,f], s:[f,f], s:[f,f], s:[f,f]}", "temperature_c", limits->low_c,
                     limits->high_c, "humidity_pct", 0.0, limits->humidity_max_pct, "co2_ppm", 0.0,
                     limits->co2_high_ppm, "pm25_ugm3", 0.0, limits->dust_low_ugm3);
}

static json_t *reading(const struct gh_core_zone *zone)
{
    const struct gh_control_decision *now = &zone->decision;
    bool measured = zone->control.measured_ms != 0;
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "temperature_c",
                     measured ? json_real(tenths(now->air_c)) : json_null(), "humidity_pct",
                     measured ? json_real(tenths(now->humidity_pct)) : json_null(), "co2_ppm",
                     zone->air.known ? json_real(zone->air.co2_ppm) : json_null(), "pm25_ugm3",
                     zone->air.known ? json_real(zone->air.pm25_ugm3) : json_null(), "at",
                     time_text(zone->control.measured_ms));
}

static void add_climate_probe(const struct gh_core_zone *zone, int index, json_t *probes)
{
    const struct gh_control_climate *probe = &zone->climate[index];
    char device[GH_CORE_NAME_MAX + 16];
    snprintf(device, sizeof device, "%s-climate-%c", zone->name, 'a' + index);
    if (!probe->known)
        return;
    json_array_append_new(probes,
                          json_pack("{s:s, s:s, s:b, s:f, s:f, s:o}", "device", device, "kind",
                                    "climate", "ok", zone->decision.climate_ok[index] ? 1 : 0,
                                    "temperature_c", probe->temperature_c, "humidity_pct",
                                    probe->humidity_pct, "at", time_text(probe->at_ms)));
}

static json_t *probes(const struct gh_core_zone *zone)
{
    json_t *all = json_array();
    for (int i = 0; i < GH_CONTROL_PROBES; i++)
        add_climate_probe(zone, i, all);
    if (zone->air.known) {
        char device[GH_CORE_NAME_MAX + 16];
        snprintf(device, sizeof device, "%s-air", zone->name);
        json_array_append_new(
            all, json_pack("{s:s, s:s, s:b, s:f, s:f, s:o}", "device", device, "kind", "air", "ok",
                           zone->decision.air_ok ? 1 : 0, "co2_ppm", zone->air.co2_ppm, "pm25_ugm3",
                           zone->air.pm25_ugm3, "at", time_text(zone->air.at_ms)));
    }
    return all;
}

static json_t *equipment(const struct gh_core_zone *zone)
{
    json_t *all = json_array();
    for (int i = 0; i < GH_UNIT_COUNT; i++) {
        const struct gh_core_unit *unit = &zone->units[i];
        char device[GH_CORE_NAME_MAX + 16];
        if (!unit->report.known)
            continue;
        snprintf(device, sizeof device, "%s-%s", zone->name, gh_unit_name((enum gh_unit)i));
        bool ok = zone->alarm_since_ms[GH_CORE_ALARM_UNIT_SILENT + i] == 0 &&
                  zone->alarm_since_ms[GH_CORE_ALARM_UNIT_EFFECT + i] == 0;
        json_array_append_new(
            all, json_pack("{s:s, s:s, s:b, s:i, s:i, s:i, s:f, s:o}", "device", device, "kind",
                           gh_unit_name((enum gh_unit)i), "ok", ok ? 1 : 0, "commanded",
                           unit->sequence == 0 ? unit->report.level : unit->level, "reported",
                           unit->report.level, "stages", unit->report.stages, "power_w",
                           unit->report.power_w, "since", time_text(unit->report.since_ms)));
    }
    return all;
}

static json_t *outdoor(const struct gh_core *core)
{
    if (!core->outdoor.known)
        return json_null();
    return json_pack("{s:f, s:f}", "temperature_c", core->outdoor.temperature_c, "humidity_pct",
                     core->outdoor.humidity_pct);
}

json_t *gh_core_zone(const struct gh_core *core, size_t index, int64_t now_ms)
{
    assert(index < core->zones_count);
    const struct gh_core_zone *zone = &core->zones[index];
    bool local = !zone->decided || zone->decision.fallback;
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:f, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                     "tenant", core->tenant, "zone", zone->name, "name", zone->name, "season",
                     gh_season_name(zone->decision.season), "mode", local ? "fallback" : "auto",
                     "site_time", time_text(gh_core_site_ms(core, now_ms)), "speed",
                     core->speed < 10 ? tenths(core->speed) : round(core->speed), "band",
                     band(&core->settings), "reading", reading(zone), "outdoor", outdoor(core),
                     "probes", probes(zone), "equipment", equipment(zone), "alarms",
                     gh_core_alarms(core, zone), "updated_at", time_text(now_ms));
}

bool gh_core_zone_due(const struct gh_core *core, size_t index, int64_t now_ms)
{
    assert(index < core->zones_count);
    const struct gh_core_zone *zone = &core->zones[index];
    int64_t since_ms = now_ms - zone->published_ms;
    return zone->decided &&
           (since_ms >= publish_max_ms || (zone->changed && since_ms >= publish_min_ms));
}

void gh_core_zone_published(struct gh_core *core, size_t index, int64_t now_ms)
{
    assert(index < core->zones_count);
    core->zones[index].published_ms = now_ms;
    core->zones[index].changed = false;
}
