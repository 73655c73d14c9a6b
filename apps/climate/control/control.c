#include "apps/climate/control/control.h"
#include "apps/climate/model/hall.h"
#include "apps/climate/model/psychro.h"
#include "base/attributes.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>

static const int64_t minute_ms = INT64_C(60000), hour_ms = INT64_C(3600000);

static const struct {
    const char *name;
    int stages;
} units[GH_UNIT_COUNT] = {
    [GH_UNIT_HEATING] = {"heating", GH_HALL_STAGES},
    [GH_UNIT_COOLING] = {"cooling", GH_HALL_STAGES},
    [GH_UNIT_VENTILATION] = {"ventilation", 25},
    [GH_UNIT_DEHUMIDIFIER] = {"dehumidifier", GH_HALL_STAGES},
};

const char *gh_unit_name(enum gh_unit unit)
{
    return units[unit].name;
}

int gh_unit_stages(enum gh_unit unit)
{
    return units[unit].stages;
}

/* Found by search over both typical years (control/year.h) for little energy under the limits on
 * discomfort, starts, humidity and peak that docs/climate.md states; rounded afterwards. */
struct gh_control_settings gh_control_settings_default(void)
{
    return (struct gh_control_settings){
        .low_c = 15.0,
        .high_c = 25.0,
        .humidity_max_pct = 65.0,
        .co2_low_ppm = 700.0,
        .co2_high_ppm = 1000.0,
        .dust_low_ugm3 = 35.0,
        .dust_high_ugm3 = 75.0,
        .frost_c = 5.0,
        .heat_margin_k = 0.0,
        .heat_span_k = 1.5,
        .second_stage_k = 0.8,
        .cool_margin_k = 0.1,
        .cool_span_k = 1.6,
        .second_cool_k = -2.0, /* both: half the hours of circulation fans */
        .night_c = 23.2,
        .night_swing_k = 5.5,
        .night_gain = 0.55,
        .warm_enter_c = 17.0,
        .warm_leave_c = 13.0,
        .set_point_ramp_kh = 1.0,
        .occupied_air_per_h = 0.135, /* 0.3 L/s for each m2 */
        .demand_air_per_h = 1.0,
        .free_cooling_lift_k = 7.0,
        .free_cooling_air_per_h = 0.72,
        .free_cooling_begin_k = 1.7,
        .free_cooling_span_k = 2.9,
        .dry_on_pct = 65.3,
        .dry_off_pct = 63.2,
        .dry_second_pct = 66.0,
        .dry_by_cooling_c = 23.0,
        .min_on_ms = 10 * minute_ms,
        .min_off_ms = 10 * minute_ms,
        .stage_ms = 10 * minute_ms,
        .changeover_ms = 30 * minute_ms,
        .peak_kw = 44.0,
        .reading_age_max_ms = 10 * minute_ms,
        .hold_ms = 10 * minute_ms,
    };
}

static double clamp(double value, double low, double high)
{
    return value < low ? low : value > high ? high : value;
}

static bool fresh(bool known, int64_t at_ms, int64_t now_ms, int64_t age_max_ms)
{
    return known && now_ms - at_ms <= age_max_ms;
}

/* What the step believes: of two probes the mean; when they are 3 K apart, the one nearer to what
 * was believed before, since two cannot outvote each other. */
static void believe(const struct gh_control_settings *settings,
                    const struct gh_control_input *input, struct gh_control_state *state,
                    struct gh_control_decision *out)
{
    const double apart_k = 3.0;
    double sum_c = 0.0, sum_pct = 0.0, nearest_k = INFINITY, nearest_c = 0.0;
    double low_c = INFINITY, high_c = -INFINITY;
    int count = 0;
    for (int i = 0; i < GH_CONTROL_PROBES; i++) {
        const struct gh_control_climate *probe = &input->climate[i];
        out->climate_ok[i] =
            fresh(probe->known, probe->at_ms, input->site_ms, settings->reading_age_max_ms);
        if (!out->climate_ok[i])
            continue;
        count++;
        sum_c += probe->temperature_c;
        sum_pct += probe->humidity_pct;
        low_c = fmin(low_c, probe->temperature_c);
        high_c = fmax(high_c, probe->temperature_c);
        if (fabs(probe->temperature_c - state->air_c) < nearest_k) {
            nearest_k = fabs(probe->temperature_c - state->air_c);
            nearest_c = probe->temperature_c;
        }
    }
    if (count > 0) {
        bool apart = high_c - low_c > apart_k && state->measured_ms != 0;
        state->air_c = apart ? nearest_c : sum_c / count;
        state->humidity_pct = sum_pct / count;
        state->measured_ms = input->site_ms;
    }
    out->fallback =
        state->measured_ms == 0 || input->site_ms - state->measured_ms > settings->hold_ms;
    out->air_c = state->air_c;
    out->humidity_pct = state->humidity_pct;
    out->air_ok =
        fresh(input->air.known, input->air.at_ms, input->site_ms, settings->reading_age_max_ms);
    out->co2_ppm = input->air.co2_ppm;
    out->pm25_ugm3 = input->air.pm25_ugm3;
}

/* Running means of a day and of a week; the first reading starts both. */
static void follow_outdoor(const struct gh_control_settings *settings,
                           const struct gh_control_input *input, double step_h,
                           struct gh_control_state *state, struct gh_control_decision *out)
{
    const struct gh_control_climate *outdoor = &input->outdoor;
    out->outdoor_ok = fresh(outdoor->known, outdoor->at_ms, input->site_ms, 3 * hour_ms);
    if (!out->outdoor_ok)
        return;
    state->outdoor_c = outdoor->temperature_c;
    if (!state->outdoor_started) {
        state->outdoor_started = true;
        state->outdoor_day_c = outdoor->temperature_c;
        state->outdoor_week_c = outdoor->temperature_c;
    }
    state->outdoor_day_c +=
        (outdoor->temperature_c - state->outdoor_day_c) * (1.0 - exp(-step_h / 24.0));
    state->outdoor_week_c +=
        (outdoor->temperature_c - state->outdoor_week_c) * (1.0 - exp(-step_h / 168.0));
    if (state->outdoor_week_c > settings->warm_enter_c)
        state->warm = true;
    else if (state->outdoor_week_c < settings->warm_leave_c)
        state->warm = false;
}

static double toward(double from, double to, double step_max)
{
    return from + clamp(to - from, -step_max, step_max);
}

/* Where heating and cooling begin: at the edges of the band; in the warm season the cooling edge
 * falls at night, the farther the warmer the week, so that the heavy mass takes the next day's
 * heat. */
static void move_set_points(const struct gh_control_settings *settings, double step_h,
                            struct gh_control_state *state)
{
    double heat = settings->low_c + settings->heat_margin_k;
    double cool = settings->high_c - settings->cool_margin_k;
    if (state->warm) {
        double way_k =
            clamp((state->outdoor_week_c - settings->warm_enter_c) * settings->night_gain, 0.0,
                  fmax(0.0, cool - settings->night_c));
        double night =
            clamp((state->outdoor_day_c - state->outdoor_c) / settings->night_swing_k, 0.0, 1.0);
        cool -= night * way_k;
    }
    double ramp_k = settings->set_point_ramp_kh * step_h;
    state->heat_on_c = state->started ? toward(state->heat_on_c, heat, ramp_k) : heat;
    state->cool_on_c = state->started ? toward(state->cool_on_c, cool, ramp_k) : cool;
}

/* Puts a level through the minimum times. `urgent` (frost) passes them. */
static void set_unit(const struct gh_control_settings *settings, int64_t now_ms, bool urgent,
                     int wanted, struct gh_control_unit *unit)
{
    if (wanted == unit->level)
        return;
    int64_t since = now_ms - unit->changed_ms;
    int64_t needed = unit->level == 0 ? settings->min_off_ms
                     : wanted == 0    ? settings->min_on_ms
                                      : settings->stage_ms;
    if (!urgent && unit->changed_ms != 0 && since < needed)
        return;
    unit->level = wanted;
    unit->changed_ms = now_ms;
}

/* Both stages at once run the circulation fans half as long; the peak limit takes the second away.
 */
static int heating_wanted(const struct gh_control_settings *settings,
                          const struct gh_control_state *state)
{
    double air = state->air_c, edge = state->heat_on_c;
    int level = state->units[GH_UNIT_HEATING].level;
    double both_kw = 2 * 60.0 / gh_hall_heating_cop(state->outdoor_c, air) + 3.0;
    if (level == 0 ? air >= edge : air > edge + settings->heat_span_k)
        return 0;
    bool goods_at_risk = air < settings->low_c - 1.0;
    if (both_kw > settings->peak_kw && !goods_at_risk)
        return 1;
    if (air < edge - settings->second_stage_k)
        return 2;
    return level == 0 || air > edge ? 1 : level;
}

static int cooling_wanted(const struct gh_control_settings *settings,
                          const struct gh_control_state *state)
{
    double air = state->air_c, edge = state->cool_on_c;
    int level = state->units[GH_UNIT_COOLING].level;
    bool drying = state->humidity_pct > settings->dry_on_pct && air > settings->dry_by_cooling_c;
    bool dry =
        state->humidity_pct < settings->dry_off_pct || air < settings->dry_by_cooling_c - 1.0;
    if (level == 0 ? air <= edge && !drying : air < edge - settings->cool_span_k && dry)
        return 0;
    if (air > edge + settings->second_cool_k)
        return 2;
    return level == 0 || air < edge ? 1 : level;
}

static int dryer_wanted(const struct gh_control_settings *settings,
                        const struct gh_control_state *state)
{
    int level = state->units[GH_UNIT_DEHUMIDIFIER].level;
    if (state->units[GH_UNIT_COOLING].level > 0 && state->humidity_pct < settings->humidity_max_pct)
        return 0; /* the cooling coil dries already */
    if (state->humidity_pct < settings->dry_off_pct)
        return 0;
    if (state->humidity_pct > settings->dry_second_pct)
        return 2;
    if (level == 0)
        return state->humidity_pct > settings->dry_on_pct ? 1 : 0;
    return level;
}

/* Free cooling: outdoor air is colder by a lift at which the fans cost less than the compressor,
 * and drier than the hall may become. */
static bool free_cooling_pays(const struct gh_control_settings *settings,
                              const struct gh_control_input *input,
                              const struct gh_control_state *state)
{
    double span = state->free_cooling ? 1.0 : 0.0, air = state->air_c;
    double start_c =
        fmin(state->cool_on_c, settings->high_c - 1.0) - settings->free_cooling_begin_k;
    if (!state->warm || air < start_c - span * settings->free_cooling_span_k)
        return false;
    if (air - state->outdoor_c < settings->free_cooling_lift_k - span)
        return false;
    double outdoor_w = gh_psychro_w(input->outdoor.temperature_c,
                                    input->outdoor.humidity_pct / 100.0, GH_PSYCHRO_SEA_LEVEL_PA);
    double allowed_w =
        gh_psychro_w(air, (settings->dry_off_pct - 2.0) / 100.0, GH_PSYCHRO_SEA_LEVEL_PA);
    return outdoor_w < allowed_w;
}

static int ventilation_wanted(const struct gh_control_settings *settings,
                              const struct gh_control_input *input, bool occupied,
                              const struct gh_control_decision *out, struct gh_control_state *state)
{
    double air_per_h = occupied ? settings->occupied_air_per_h : 0.0;
    if (out->air_ok) {
        double co2 = (out->co2_ppm - settings->co2_low_ppm) /
                     (settings->co2_high_ppm - settings->co2_low_ppm);
        double dust = (out->pm25_ugm3 - settings->dust_low_ugm3) /
                      (settings->dust_high_ugm3 - settings->dust_low_ugm3);
        air_per_h = fmax(air_per_h, settings->demand_air_per_h * clamp(fmax(co2, dust), 0.0, 1.0));
    } else if (occupied) {
        air_per_h = 2 * settings->occupied_air_per_h; /* no air probe: what forty people need */
    }
    state->free_cooling =
        out->outdoor_ok && !out->fallback && free_cooling_pays(settings, input, state);
    if (state->free_cooling)
        air_per_h = fmax(air_per_h, settings->free_cooling_air_per_h);
    int level = (int)ceil(air_per_h / GH_VENTILATION_STAGE_PER_H - 1e-6);
    return level > gh_unit_stages(GH_UNIT_VENTILATION) ? gh_unit_stages(GH_UNIT_VENTILATION)
                                                       : level;
}

/* Without a temperature: the share of each two hours that a stage runs, by outdoor temperature
 * along the load line of the hall. With no outdoor temperature either, half a stage from October to
 * April keeps frost out. */
static void by_duty_table(const struct gh_control_input *input, const struct gh_calendar *now,
                          const struct gh_control_decision *out, int wanted[GH_UNIT_COUNT])
{
    static const struct {
        double outdoor_c, heating, cooling; /* stages */
    } duty[] = {{-20, 1.25, 0}, {-10, 0.8, 0}, {0, 0.4, 0},  {8, 0.05, 0}, {12, 0, 0},
                {18, 0, 0},     {22, 0, 0.25}, {26, 0, 0.7}, {30, 0, 1.2}, {36, 0, 1.6}};
    const size_t last = GH_COUNT(duty) - 1;
    double heating = now->month >= 10 || now->month <= 4 ? 0.5 : 0.0, cooling = 0.0;
    if (out->outdoor_ok) {
        double at = clamp(input->outdoor.temperature_c, duty[0].outdoor_c, duty[last].outdoor_c);
        size_t i = 0;
        while (i + 1 < last && duty[i + 1].outdoor_c < at)
            i++;
        double part = (at - duty[i].outdoor_c) / (duty[i + 1].outdoor_c - duty[i].outdoor_c);
        heating = duty[i].heating + part * (duty[i + 1].heating - duty[i].heating);
        cooling = duty[i].cooling + part * (duty[i + 1].cooling - duty[i].cooling);
    }
    double part_of_period = now->hour / 2.0 - floor(now->hour / 2.0);
    wanted[GH_UNIT_HEATING] =
        (int)floor(heating) + (heating - floor(heating) > part_of_period ? 1 : 0);
    wanted[GH_UNIT_COOLING] =
        (int)floor(cooling) + (cooling - floor(cooling) > part_of_period ? 1 : 0);
    wanted[GH_UNIT_DEHUMIDIFIER] = 0;
}

/* One heats or cools, not both, and half an hour lies between. */
static void interlock(const struct gh_control_settings *settings,
                      const struct gh_control_state *state, int64_t now_ms,
                      int wanted[GH_UNIT_COUNT])
{
    const struct gh_control_unit *heating = &state->units[GH_UNIT_HEATING];
    const struct gh_control_unit *cooling = &state->units[GH_UNIT_COOLING];
    bool heated = heating->level > 0 || (heating->changed_ms != 0 &&
                                         now_ms - heating->changed_ms < settings->changeover_ms);
    bool cooled = cooling->level > 0 || (cooling->changed_ms != 0 &&
                                         now_ms - cooling->changed_ms < settings->changeover_ms);
    if (heated)
        wanted[GH_UNIT_COOLING] = 0;
    else if (cooled)
        wanted[GH_UNIT_HEATING] = 0;
}

/* Site time that runs backwards by more than an hour is another run of the site: what was timed is
 * forgotten. */
static void notice_restart(int64_t site_ms, struct gh_control_state *state)
{
    if (!state->started || site_ms > state->at_ms - hour_ms)
        return;
    state->at_ms = site_ms;
    state->measured_ms = 0;
    state->outdoor_started = false;
    for (int i = 0; i < GH_UNIT_COUNT; i++)
        state->units[i].changed_ms = 0;
}

struct gh_control_decision gh_control_step(const struct gh_control_settings *settings,
                                           const struct gh_control_input *input,
                                           struct gh_control_state *state)
{
    struct gh_control_decision out = {0};
    struct gh_calendar now = gh_calendar_at(input->site_ms);
    int wanted[GH_UNIT_COUNT] = {0};

    out.season = gh_calendar_season(&now);
    notice_restart(input->site_ms, state);
    int64_t since_ms = state->started ? input->site_ms - state->at_ms : 0;
    double step_h = (double)(since_ms > 0 ? since_ms : 0) / (double)hour_ms;
    believe(settings, input, state, &out);
    follow_outdoor(settings, input, step_h, state, &out);
    move_set_points(settings, step_h, state);
    if (!state->started || since_ms > 0)
        state->at_ms = input->site_ms;
    state->started = true;

    wanted[GH_UNIT_VENTILATION] =
        ventilation_wanted(settings, input, gh_calendar_occupied(&now), &out, state);
    if (out.fallback) {
        by_duty_table(input, &now, &out, wanted);
    } else {
        wanted[GH_UNIT_HEATING] = heating_wanted(settings, state);
        wanted[GH_UNIT_COOLING] = cooling_wanted(settings, state);
        wanted[GH_UNIT_DEHUMIDIFIER] = dryer_wanted(settings, state);
        out.frost = state->air_c < settings->frost_c;
        if (out.frost)
            wanted[GH_UNIT_HEATING] = GH_HALL_STAGES;
    }
    if (!out.frost)
        interlock(settings, state, input->site_ms, wanted);
    else
        wanted[GH_UNIT_COOLING] = 0;
    for (int i = 0; i < GH_UNIT_COUNT; i++) {
        const struct gh_control_unit *unit = &state->units[i];
        bool urgent = out.frost;
        if (i == GH_UNIT_VENTILATION) /* fans follow at once, but not the noise of a probe */
            urgent = wanted[i] == 0 || unit->level == 0 || abs(wanted[i] - unit->level) > 2;
        set_unit(settings, input->site_ms, urgent, wanted[i], &state->units[i]);
        out.level[i] = state->units[i].level;
    }
    return out;
}
