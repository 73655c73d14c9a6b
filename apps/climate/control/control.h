/* The controller of one hall: readings and time in, levels of the equipment out.
 *
 * A pure function over its own state: no clock, no network, no memory beyond `struct
 * gh_control_state`, which is plain data and may be written to a file and read back. It knows the
 * goods' band, the season, the machines' minimum times; it does not know how commands travel
 * (backend/core.h does). Rules, strongest first (climate facts, section 4): frost limit; readings
 * that are too old are not used (the other probe, then a duty table by outdoor temperature);
 * minimum on and off times; hysteresis at the edges of the band, never both heat and cold; in the
 * warm season the heavy mass is cooled at night, when the lift is small; humidity by limit; outdoor
 * air by CO2, fine dust, and free cooling where the fans cost less than the compressor. Times are
 * site time in milliseconds. Threads: one at a time per state. */
#ifndef GH_CLIMATE_CONTROL_H
#define GH_CLIMATE_CONTROL_H

#include "apps/climate/model/calendar.h"

enum gh_unit {
    GH_UNIT_HEATING,
    GH_UNIT_COOLING,
    GH_UNIT_VENTILATION,
    GH_UNIT_DEHUMIDIFIER,
    GH_UNIT_COUNT
};

/* The kind as attributes, zones and the console spell it. */
const char *gh_unit_name(enum gh_unit unit);
/* Levels run from 0 to this; a ventilation stage is 200 L/s of outdoor air. */
int gh_unit_stages(enum gh_unit unit);
#define GH_VENTILATION_STAGE_PER_H 0.045 /* in the reference hall of 16 000 m3 */

struct gh_control_settings {
    double low_c, high_c; /* the goods' band */
    double humidity_max_pct;
    double co2_low_ppm, co2_high_ppm; /* outdoor air from the minimum to full between them */
    double dust_low_ugm3, dust_high_ugm3;
    double frost_c;
    /* heating */
    double heat_margin_k, heat_span_k; /* on at low + margin, off `span` above */
    double second_stage_k;             /* a second stage this far below the edge */
    double cool_margin_k, cool_span_k;
    double second_cool_k; /* a second stage this far above the edge */
    double night_c;       /* where the edge goes in warm nights */
    double night_swing_k; /* outdoors this far below the day's mean: the whole way */
    double night_gain;    /* the way, in K for each K that the week is above warm_enter_c */
    double warm_enter_c, warm_leave_c; /* seven-day mean outdoors */
    double set_point_ramp_kh;
    /* air */
    double occupied_air_per_h, demand_air_per_h;
    double free_cooling_lift_k, free_cooling_air_per_h, free_cooling_begin_k, free_cooling_span_k;
    /* water */
    double dry_on_pct, dry_off_pct, dry_second_pct, dry_by_cooling_c;
    /* machines */
    int64_t min_on_ms, min_off_ms, stage_ms, changeover_ms;
    double peak_kw; /* no second heating stage that would pass it, but 1 K below the band */
    /* readings */
    int64_t reading_age_max_ms; /* older ones are silent */
    int64_t hold_ms;            /* the last value stands in this long when all probes are silent */
};
struct gh_control_settings gh_control_settings_default(void);

/* One probe's newest reading; `known` is false before the first. */
struct gh_control_climate {
    bool known;
    int64_t at_ms;
    double temperature_c, humidity_pct;
};
struct gh_control_air {
    bool known;
    int64_t at_ms;
    double co2_ppm, pm25_ugm3;
};

enum { GH_CONTROL_PROBES = 2 };

struct gh_control_input {
    int64_t site_ms;
    struct gh_control_climate climate[GH_CONTROL_PROBES];
    struct gh_control_air air;
    struct gh_control_climate outdoor;
};

struct gh_control_unit {
    int level;
    int64_t changed_ms; /* of the level */
};

/* All zero is a controller that has seen nothing. */
struct gh_control_state {
    bool started, outdoor_started, warm, free_cooling;
    int64_t at_ms;                                   /* of the last step */
    int64_t measured_ms;                             /* when a temperature was last believed */
    double air_c, humidity_pct;                      /* last believed */
    double outdoor_c, outdoor_day_c, outdoor_week_c; /* last believed; running means */
    double heat_on_c, cool_on_c;                     /* set points, ramped */
    struct gh_control_unit units[GH_UNIT_COUNT];
};

struct gh_control_decision {
    int level[GH_UNIT_COUNT];
    bool fallback; /* by the duty table: no temperature to go by */
    bool frost;
    bool climate_ok[GH_CONTROL_PROBES], air_ok, outdoor_ok;
    double air_c, humidity_pct, co2_ppm, pm25_ugm3; /* as believed; meaningless where nothing was */
    enum gh_season season;
};

/* One step; steps may be any time apart, those of a minute are what the settings are tuned for. A
 * step at or before the last one's time changes nothing and repeats its levels. */
struct gh_control_decision gh_control_step(const struct gh_control_settings *settings,
                                           const struct gh_control_input *input,
                                           struct gh_control_state *state);
#endif
