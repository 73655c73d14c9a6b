/* What the files of the back end's core share: core.c (readings, clock, steps), core_command.c
 * (numbers, leases, repeats), core_alarm.c, core_zone.c (the document), core_keep.c (saving). */
#ifndef GH_CLIMATE_CORE_INTERNAL_H
#define GH_CLIMATE_CORE_INTERNAL_H

#include "apps/climate/backend/core.h"

/* What a machine last said. */
struct gh_core_report {
    bool known, commanded;
    int64_t at_ms; /* site time */
    int level, stages;
    double power_w;
    int64_t sequence, since_ms;
};

struct gh_core_unit {
    struct gh_core_report report;
    /* the last command made; sequence 0: none */
    int64_t sequence, lease_until_ms, lease_s; /* site time */
    int level;
    char id[GH_CORE_ID_MAX];
    bool waiting;      /* not confirmed yet */
    int64_t due_ms;    /* UTC: when to send it (again) */
    int64_t made_ms;   /* UTC */
    unsigned failures; /* in a row, of this machine's commands */
    /* whether it does anything: the air when it was switched on */
    bool on, effective;
    int64_t on_ms; /* site time */
    double on_air_c;
};

enum gh_core_alarm {
    GH_CORE_ALARM_FROST,
    GH_CORE_ALARM_TEMPERATURE,
    GH_CORE_ALARM_HUMIDITY,
    GH_CORE_ALARM_CO2,
    GH_CORE_ALARM_PROBE_A,
    GH_CORE_ALARM_PROBE_B,
    GH_CORE_ALARM_PROBE_AIR,
    GH_CORE_ALARM_OUTDOOR,
    GH_CORE_ALARM_UNIT_SILENT, /* and one for each unit */
    GH_CORE_ALARM_UNIT_EFFECT = GH_CORE_ALARM_UNIT_SILENT + GH_UNIT_COUNT,
    GH_CORE_ALARM_COUNT = GH_CORE_ALARM_UNIT_EFFECT + GH_UNIT_COUNT,
};

struct gh_core_zone {
    char name[GH_CORE_NAME_MAX];
    struct gh_control_state control;
    struct gh_control_decision decision;
    bool decided;
    struct gh_control_climate climate[GH_CONTROL_PROBES];
    struct gh_control_air air;
    struct gh_core_unit units[GH_UNIT_COUNT];
    int64_t alarm_begin_ms[GH_CORE_ALARM_COUNT]; /* site time since when the condition holds; 0: it
                                                    does not */
    int64_t alarm_since_ms[GH_CORE_ALARM_COUNT]; /* site time since when it is an alarm; 0: none */
    int64_t published_ms;                        /* UTC */
    bool changed;
};

struct gh_core {
    char tenant[GH_CORE_NAME_MAX];
    uint32_t salt;
    struct gh_control_settings settings;
    struct gh_control_climate outdoor;
    struct gh_core_zone zones[GH_CORE_ZONES_MAX];
    size_t zones_count;
    /* site time against UTC: the newest pair, the pair the speed is measured from, the speed */
    int64_t site_ms, site_utc_ms, base_site_ms, base_utc_ms;
    double speed;
    bool running;
    int64_t stepped_ms; /* site time of the last step */
    bool dirty;
};

/* Site time at a moment of UTC, carried on from the last message. */
int64_t gh_core_site_ms(const struct gh_core *core, int64_t now_ms);

/* Makes or repeats commands after a decision. */
void gh_core_command_units(struct gh_core *core, size_t zone, int64_t site_ms, int64_t now_ms);
/* What a new report means for the command that waits. */
void gh_core_confirm(struct gh_core *core, struct gh_core_unit *unit);
void gh_core_check_alarms(struct gh_core *core, struct gh_core_zone *zone, int64_t site_ms,
                          int64_t now_ms);
/* The alarms as a JSON array, given to the caller. */
json_t *gh_core_alarms(const struct gh_core *core, const struct gh_core_zone *zone);
#endif
