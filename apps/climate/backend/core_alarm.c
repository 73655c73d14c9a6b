#include "apps/climate/backend/core_internal.h"
#include "base/time.h"
#include <stdio.h>

static const int64_t minute_ms = INT64_C(60000);

/* How long a condition holds before it is an alarm, in site time. Those of a unit stand for all
 * units. */
static const struct {
    const char *kind;
    int64_t delay_min;
} rules[] = {
    [GH_CORE_ALARM_FROST] = {"frost", 0},
    [GH_CORE_ALARM_TEMPERATURE] = {"temperature", 15},
    [GH_CORE_ALARM_HUMIDITY] = {"humidity", 60},
    [GH_CORE_ALARM_CO2] = {"co2", 15},
    [GH_CORE_ALARM_PROBE_A] = {"probe", 0},
    [GH_CORE_ALARM_PROBE_B] = {"probe", 0},
    [GH_CORE_ALARM_PROBE_AIR] = {"probe", 0},
    [GH_CORE_ALARM_OUTDOOR] = {"probe", 0},
    [GH_CORE_ALARM_UNIT_SILENT] = {"equipment", 0},
};

static enum gh_core_alarm rule_of(int alarm)
{
    return alarm < GH_CORE_ALARM_UNIT_SILENT ? (enum gh_core_alarm)alarm
                                             : GH_CORE_ALARM_UNIT_SILENT;
}

/* A machine is silent when it neither confirms a command for long nor reports. */
static bool unit_is_silent(const struct gh_core *core, const struct gh_core_unit *unit,
                           int64_t site_ms, int64_t now_ms)
{
    const int64_t answer_ms = 30000; /* real time */
    if (!unit->report.known)
        return false;
    bool unanswered = unit->waiting && now_ms - unit->made_ms > answer_ms;
    int64_t age_max_ms = 30 * minute_ms + (int64_t)((double)answer_ms * core->speed);
    return unanswered || site_ms - unit->report.at_ms > age_max_ms;
}

static bool holds(const struct gh_core *core, const struct gh_core_zone *zone, int alarm,
                  int64_t site_ms, int64_t now_ms)
{
    const struct gh_control_decision *now = &zone->decision;
    const struct gh_control_settings *limits = &core->settings;
    bool measured = !now->fallback;
    /* Beyond the noise and the steps of the probes; once begun, the edge of the band itself ends
     * it. */
    double begins_k = zone->alarm_begin_ms[GH_CORE_ALARM_TEMPERATURE] == 0 ? 0.2 : 0.0;
    switch (alarm) {
    case GH_CORE_ALARM_FROST:
        return measured && now->air_c < limits->frost_c;
    case GH_CORE_ALARM_TEMPERATURE:
        return measured &&
               (now->air_c < limits->low_c - begins_k || now->air_c > limits->high_c + begins_k);
    case GH_CORE_ALARM_HUMIDITY:
        return measured && now->humidity_pct > limits->humidity_max_pct + 3.0;
    case GH_CORE_ALARM_CO2:
        return now->air_ok && now->co2_ppm > limits->co2_high_ppm;
    case GH_CORE_ALARM_PROBE_A:
    case GH_CORE_ALARM_PROBE_B:
        return !now->climate_ok[alarm - GH_CORE_ALARM_PROBE_A];
    case GH_CORE_ALARM_PROBE_AIR:
        return !now->air_ok;
    case GH_CORE_ALARM_OUTDOOR:
        return !now->outdoor_ok;
    default:
        break;
    }
    if (alarm < GH_CORE_ALARM_UNIT_EFFECT)
        return unit_is_silent(core, &zone->units[alarm - GH_CORE_ALARM_UNIT_SILENT], site_ms,
                              now_ms);
    const struct gh_core_unit *unit = &zone->units[alarm - GH_CORE_ALARM_UNIT_EFFECT];
    return measured && unit->on && !unit->effective && site_ms - unit->on_ms > 40 * minute_ms;
}

void gh_core_check_alarms(struct gh_core *core, struct gh_core_zone *zone, int64_t site_ms,
                          int64_t now_ms)
{
    for (int i = 0; i < GH_CORE_ALARM_COUNT; i++) {
        if (!holds(core, zone, i, site_ms, now_ms)) {
            zone->changed = zone->changed || zone->alarm_since_ms[i] != 0;
            zone->alarm_begin_ms[i] = 0;
            zone->alarm_since_ms[i] = 0;
            continue;
        }
        if (zone->alarm_begin_ms[i] == 0)
            zone->alarm_begin_ms[i] = site_ms;
        if (zone->alarm_since_ms[i] == 0 &&
            site_ms - zone->alarm_begin_ms[i] >= rules[rule_of(i)].delay_min * minute_ms) {
            zone->alarm_since_ms[i] = zone->alarm_begin_ms[i];
            zone->changed = true;
        }
    }
}

static void print_text(const struct gh_core *core, const struct gh_core_zone *zone, int alarm,
                       char *out, size_t size)
{
    const struct gh_control_decision *now = &zone->decision;
    const struct gh_control_settings *limits = &core->settings;
    switch (alarm) {
    case GH_CORE_ALARM_FROST:
        snprintf(out, size, "%.1f C is below the frost limit of %.0f C", now->air_c,
                 limits->frost_c);
        return;
    case GH_CORE_ALARM_TEMPERATURE:
        snprintf(out, size, "%.1f C is outside %.0f to %.0f C", now->air_c, limits->low_c,
                 limits->high_c);
        return;
    case GH_CORE_ALARM_HUMIDITY:
        snprintf(out, size, "%.0f %% humidity is above %.0f %%", now->humidity_pct,
                 limits->humidity_max_pct);
        return;
    case GH_CORE_ALARM_CO2:
        snprintf(out, size, "%.0f ppm CO2 is above %.0f ppm", now->co2_ppm, limits->co2_high_ppm);
        return;
    case GH_CORE_ALARM_PROBE_A:
    case GH_CORE_ALARM_PROBE_B:
        snprintf(out, size, "%s-climate-%c is silent", zone->name,
                 alarm == GH_CORE_ALARM_PROBE_A ? 'a' : 'b');
        return;
    case GH_CORE_ALARM_PROBE_AIR:
        snprintf(out, size, "%s-air is silent", zone->name);
        return;
    case GH_CORE_ALARM_OUTDOOR:
        snprintf(out, size, "site-weather is silent");
        return;
    default:
        break;
    }
    if (alarm < GH_CORE_ALARM_UNIT_EFFECT)
        snprintf(out, size, "%s-%s does not answer", zone->name,
                 gh_unit_name((enum gh_unit)(alarm - GH_CORE_ALARM_UNIT_SILENT)));
    else
        snprintf(out, size, "%s-%s is on without effect", zone->name,
                 gh_unit_name((enum gh_unit)(alarm - GH_CORE_ALARM_UNIT_EFFECT)));
}

json_t *gh_core_alarms(const struct gh_core *core, const struct gh_core_zone *zone)
{
    json_t *alarms = json_array();
    for (int i = 0; i < GH_CORE_ALARM_COUNT; i++) {
        char text[160], since[GH_TIME_TEXT_MAX];
        if (zone->alarm_since_ms[i] == 0)
            continue;
        print_text(core, zone, i, text, sizeof text);
        gh_time_print(zone->alarm_since_ms[i], since);
        json_array_append_new(alarms, json_pack("{s:s, s:s, s:s}", "kind", rules[rule_of(i)].kind,
                                                "text", text, "since", since));
    }
    return alarms;
}
