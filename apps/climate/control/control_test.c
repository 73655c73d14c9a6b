#include "apps/climate/control/control.h"
#include "tests/check.h"
#include <math.h>
#include <string.h>

enum { MINUTE_MS = 60000 };

static int64_t noon(unsigned month)
{
    return gh_calendar_ms(2018, month, 3) +
           12 * 60 * MINUTE_MS; /* a working day of 2018 in 1, 4, 5, 7, 10 */
}

static struct gh_control_input input_of(int64_t site_ms, double air_c, double outdoor_c)
{
    struct gh_control_climate probe = {
        .known = true, .at_ms = site_ms, .temperature_c = air_c, .humidity_pct = 50};
    struct gh_control_climate outdoor = {
        .known = true, .at_ms = site_ms, .temperature_c = outdoor_c, .humidity_pct = 60};
    return (struct gh_control_input){
        .site_ms = site_ms,
        .climate = {probe, probe},
        .air = {.known = true, .at_ms = site_ms, .co2_ppm = 450, .pm25_ugm3 = 8},
        .outdoor = outdoor,
    };
}

/* One reading of a fresh controller: which machines run. -1: any level. */
static const struct {
    const char *claim;
    unsigned month;
    double air_c, outdoor_c, humidity_pct, co2_ppm, pm25_ugm3;
    int heating, cooling, dehumidifier;
    int air_min, air_max;
} cases[] = {
    {"in the band nothing runs but the air of the floor", 1, 20, 5, 50, 450, 8, 0, 0, 0, 3, 3},
    {"a little below the band one stage heats", 1, 14.9, 5, 50, 450, 8, 1, 0, 0, 3, 3},
    {"above the band one cools", 7, 25.5, 30, 50, 450, 8, 0, -1, 0, 3, 3},
    {"below the frost limit both stages heat", 1, 4.5, -10, 50, 450, 8, 2, 0, 0, 3, 3},
    {"humid air is dried", 4, 18, 15, 75, 450, 8, 0, 0, 2, 3, 3},
    {"CO2 half way to 1000 opens half of the air", 1, 20, 5, 50, 850, 8, 0, 0, 0, 12, 12},
    {"CO2 at 1000 opens all of it", 1, 20, 5, 50, 1000, 8, 0, 0, 0, 23, 23},
    {"so does fine dust", 1, 20, 5, 50, 450, 80, 0, 0, 0, 23, 23},
};

static void check_single_steps(void)
{
    struct gh_control_settings settings = gh_control_settings_default();
    for (size_t i = 0; i < GH_COUNT(cases); i++) {
        struct gh_control_state state = {0};
        struct gh_control_input input =
            input_of(noon(cases[i].month), cases[i].air_c, cases[i].outdoor_c);
        input.climate[0].humidity_pct = cases[i].humidity_pct;
        input.climate[1].humidity_pct = cases[i].humidity_pct;
        input.air.co2_ppm = cases[i].co2_ppm;
        input.air.pm25_ugm3 = cases[i].pm25_ugm3;
        struct gh_control_decision out = gh_control_step(&settings, &input, &state);
        CHECK(cases[i].claim, out.level[GH_UNIT_HEATING] == cases[i].heating);
        CHECK(cases[i].claim, cases[i].cooling < 0
                                  ? out.level[GH_UNIT_COOLING] > 0
                                  : out.level[GH_UNIT_COOLING] == cases[i].cooling);
        CHECK(cases[i].claim, out.level[GH_UNIT_DEHUMIDIFIER] == cases[i].dehumidifier);
        CHECK(cases[i].claim, out.level[GH_UNIT_VENTILATION] >= cases[i].air_min &&
                                  out.level[GH_UNIT_VENTILATION] <= cases[i].air_max);
        CHECK(cases[i].claim, !out.fallback);
    }
}

/* A temperature that jumps across the whole band every minute: times between changes stay long. */
static void check_minimum_times(void)
{
    struct gh_control_settings settings = gh_control_settings_default();
    struct gh_control_state state = {0};
    int64_t changed_ms[GH_UNIT_COUNT] = {0};
    int level[GH_UNIT_COUNT] = {0}, changes = 0;
    for (int minute = 0; minute < 2000; minute++) {
        int64_t now_ms = noon(4) + (int64_t)minute * MINUTE_MS;
        struct gh_control_input input = input_of(now_ms, minute % 2 == 0 ? 14 : 26, 10);
        struct gh_control_decision out = gh_control_step(&settings, &input, &state);
        for (int unit = GH_UNIT_HEATING; unit <= GH_UNIT_COOLING; unit++) {
            if (out.level[unit] == level[unit])
                continue;
            CHECK("ten minutes between changes",
                  changed_ms[unit] == 0 || now_ms - changed_ms[unit] >= 10 * MINUTE_MS);
            level[unit] = out.level[unit];
            changed_ms[unit] = now_ms;
            changes++;
        }
        CHECK("never both heat and cold",
              level[GH_UNIT_HEATING] == 0 || level[GH_UNIT_COOLING] == 0);
    }
    CHECK("and there were changes", changes > 10);
}

static void check_probes(void)
{
    struct gh_control_settings settings = gh_control_settings_default();
    struct gh_control_state state = {0};
    int64_t now_ms = noon(1);
    struct gh_control_input input = input_of(now_ms, 20, 0);
    struct gh_control_decision out = gh_control_step(&settings, &input, &state);

    now_ms += 20 * MINUTE_MS; /* probe a falls silent at 20 C, b goes on */
    input = input_of(now_ms, 16, 0);
    input.climate[0].at_ms = now_ms - 11 * MINUTE_MS;
    input.climate[0].temperature_c = 20;
    out = gh_control_step(&settings, &input, &state);
    CHECK("a silent probe is not used",
          !out.climate_ok[0] && out.climate_ok[1] && fabs(out.air_c - 16) < 0.01);
    CHECK("one probe is enough", !out.fallback);

    now_ms += 2 * MINUTE_MS; /* b jumps to 60: the one nearer to the past is believed */
    input = input_of(now_ms, 16, 0);
    input.climate[1].temperature_c = 60;
    out = gh_control_step(&settings, &input, &state);
    CHECK("of two that differ the likelier is believed", fabs(out.air_c - 16) < 0.01);

    now_ms += 9 * MINUTE_MS;
    input = input_of(now_ms, 16, 0);
    input.climate[0].known = input.climate[1].known = false;
    out = gh_control_step(&settings, &input, &state);
    CHECK("the last value stands in for ten minutes", !out.fallback && fabs(out.air_c - 16) < 0.01);

    int on = 0, minutes = 0;
    for (; minutes < 600; minutes++) {
        now_ms += MINUTE_MS;
        input = input_of(now_ms, 16, 0);
        input.climate[0].known = input.climate[1].known = false;
        out = gh_control_step(&settings, &input, &state);
        on += out.level[GH_UNIT_HEATING];
    }
    CHECK("then the duty table by outdoor temperature", out.fallback);
    CHECK("0.4 stages at 0 C", fabs((double)on / minutes - 0.4) < 0.05);

    on = 0;
    for (minutes = 0; minutes < 600; minutes++) {
        now_ms += MINUTE_MS;
        input = (struct gh_control_input){.site_ms = now_ms};
        out = gh_control_step(&settings, &input, &state);
        on += minutes >= 240 ? out.level[GH_UNIT_HEATING]
                             : 0; /* the outdoor reading is good for 3 h */
    }
    CHECK("blind in winter half a stage keeps frost out", fabs((double)on / 360 - 0.5) < 0.05);
}

static void check_season(void)
{
    struct gh_control_settings settings = gh_control_settings_default();
    struct gh_control_state state = {0};
    struct gh_control_decision out = {0};
    int64_t now_ms = noon(4);
    double before = 0;
    for (int minute = 0; minute < 30 * 1440; minute++, now_ms += MINUTE_MS) {
        double outdoor_c = 22 + 6 * sin(minute / 1440.0 * 6.283);
        struct gh_control_input input = input_of(now_ms, 21, outdoor_c);
        out = gh_control_step(&settings, &input, &state);
        if (minute > 0)
            CHECK("set points move by 1 K an hour at most",
                  fabs(state.cool_on_c - before) <= settings.set_point_ramp_kh / 60 + 1e-9);
        before = state.cool_on_c;
        CHECK("and stay in the band",
              state.cool_on_c <= settings.high_c && state.heat_on_c >= settings.low_c);
        CHECK("with a dead band between", state.cool_on_c - state.heat_on_c >= 2);
    }
    CHECK("a warm month is the warm season", state.warm);
    CHECK("the calendar names it", out.season == GH_SEASON_SPRING);
    for (int minute = 0; minute < 4 * 1440; minute++, now_ms += MINUTE_MS) {
        struct gh_control_input input = input_of(now_ms, 21, 13);
        out = gh_control_step(&settings, &input, &state);
    }
    CHECK("four cool days do not end it", state.warm);
    for (int minute = 0; minute < 21 * 1440; minute++, now_ms += MINUTE_MS) {
        struct gh_control_input input = input_of(now_ms, 21, 8);
        out = gh_control_step(&settings, &input, &state);
    }
    CHECK("three cold weeks do", !state.warm);
}

static void check_time(void)
{
    struct gh_control_settings settings = gh_control_settings_default();
    struct gh_control_state state = {0};
    struct gh_control_input input = input_of(noon(1), 14, 0);
    struct gh_control_decision first = gh_control_step(&settings, &input, &state);
    struct gh_control_state kept = state;
    struct gh_control_decision again = gh_control_step(&settings, &input, &state);
    CHECK("the same moment twice decides the same",
          memcmp(first.level, again.level, sizeof first.level) == 0);
    CHECK("and moves nothing",
          memcmp(kept.units, state.units, sizeof kept.units) == 0 && kept.at_ms == state.at_ms);
    input = input_of(noon(1) - INT64_C(86400000), 20, 0); /* the site was set back by a day */
    for (int i = 0; i < 12; i++) {
        again = gh_control_step(&settings, &input, &state);
        input = input_of(input.site_ms + MINUTE_MS, 20, 0);
    }
    CHECK("a site set back does not lock the machines", again.level[GH_UNIT_HEATING] == 0);
}

int main(void)
{
    check_single_steps();
    check_minimum_times();
    check_probes();
    check_season();
    check_time();
    return check_report();
}
