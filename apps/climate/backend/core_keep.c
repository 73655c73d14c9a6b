#include "apps/climate/backend/core_internal.h"
#include "wire/json.h"
#include <math.h>
#include <stddef.h>
#include <string.h>

enum { STATE_VERSION = 1 };

/* Numbers travel as JSON, whose readers may keep 53 bits. */
static const int64_t sequence_max = INT64_C(1) << 53, lease_max_s = INT64_C(7) * 24 * 3600;

/* The controller's state, field by field: what is not named here begins anew after a restart. */
enum kind { FLAG, TIME, REAL };
static const struct {
    const char *name;
    enum kind kind;
    size_t at;
} fields[] = {
    {"started", FLAG, offsetof(struct gh_control_state, started)},
    {"outdoor_started", FLAG, offsetof(struct gh_control_state, outdoor_started)},
    {"warm", FLAG, offsetof(struct gh_control_state, warm)},
    {"free_cooling", FLAG, offsetof(struct gh_control_state, free_cooling)},
    {"at_ms", TIME, offsetof(struct gh_control_state, at_ms)},
    {"measured_ms", TIME, offsetof(struct gh_control_state, measured_ms)},
    {"air_c", REAL, offsetof(struct gh_control_state, air_c)},
    {"humidity_pct", REAL, offsetof(struct gh_control_state, humidity_pct)},
    {"outdoor_c", REAL, offsetof(struct gh_control_state, outdoor_c)},
    {"outdoor_day_c", REAL, offsetof(struct gh_control_state, outdoor_day_c)},
    {"outdoor_week_c", REAL, offsetof(struct gh_control_state, outdoor_week_c)},
    {"heat_on_c", REAL, offsetof(struct gh_control_state, heat_on_c)},
    {"cool_on_c", REAL, offsetof(struct gh_control_state, cool_on_c)},
};

static json_t *save_control(const struct gh_control_state *state)
{
    json_t *object = json_object();
    for (size_t i = 0; i < GH_COUNT(fields); i++) {
        const char *at = (const char *)state + fields[i].at;
        bool flag;
        int64_t time_ms;
        double real;
        json_t *value = NULL;
        switch (fields[i].kind) {
        case FLAG:
            memcpy(&flag, at, sizeof flag);
            value = json_boolean(flag);
            break;
        case TIME:
            memcpy(&time_ms, at, sizeof time_ms);
            value = json_integer(time_ms);
            break;
        case REAL:
            memcpy(&real, at, sizeof real);
            value = json_real(real);
            break;
        }
        json_object_set_new(object, fields[i].name, value);
    }
    return object;
}

/* Years 1 to 9999, like every time that is printed. */
static bool time_is_sane(int64_t ms)
{
    return ms >= -INT64_C(62135596800000) && ms <= INT64_C(253402300799999);
}

static bool restore_control(const json_t *saved, struct gh_control_state *state,
                            struct gh_error *error)
{
    for (size_t i = 0; i < GH_COUNT(fields); i++) {
        char *at = (char *)state + fields[i].at;
        bool flag = false, got = false;
        int64_t time_ms = 0;
        double real = 0.0;
        switch (fields[i].kind) {
        case FLAG:
            got = gh_json_get_bool(saved, fields[i].name, GH_JSON_REQUIRED, &flag, error);
            memcpy(at, &flag, sizeof flag);
            break;
        case TIME:
            got = gh_json_get_i64(saved, fields[i].name, GH_JSON_REQUIRED, &time_ms, error);
            if (got && !time_is_sane(time_ms)) {
                gh_error_set(error, GH_ERROR_FILE, "saved %s is no time", fields[i].name);
                return false;
            }
            memcpy(at, &time_ms, sizeof time_ms);
            break;
        case REAL:
            got = gh_json_get_number(saved, fields[i].name, GH_JSON_REQUIRED, &real, error);
            memcpy(at, &real, sizeof real);
            break;
        }
        if (!got)
            return false;
    }
    return true;
}

static json_t *save_unit(const struct gh_core_zone *zone, int kind)
{
    const struct gh_core_unit *unit = &zone->units[kind];
    return json_pack("{s:s, s:i, s:I, s:I, s:i, s:s, s:I, s:I, s:b}", "unit",
                     gh_unit_name((enum gh_unit)kind), "decided", zone->control.units[kind].level,
                     "changed_ms", (json_int_t)zone->control.units[kind].changed_ms, "sequence",
                     (json_int_t)unit->sequence, "level", unit->level, "id", unit->id, "lease_s",
                     (json_int_t)unit->lease_s, "lease_until_ms", (json_int_t)unit->lease_until_ms,
                     "waiting", unit->waiting ? 1 : 0);
}

static bool restore_unit(const json_t *saved, int kind, struct gh_core_zone *zone,
                         struct gh_error *error)
{
    struct gh_core_unit *unit = &zone->units[kind];
    struct gh_control_unit *control = &zone->control.units[kind];
    struct gh_slice id = {0};
    int64_t decided = 0, level = 0;
    if (!gh_json_get_i64(saved, "decided", GH_JSON_REQUIRED, &decided, error) ||
        !gh_json_get_i64(saved, "changed_ms", GH_JSON_REQUIRED, &control->changed_ms, error) ||
        !gh_json_get_i64(saved, "sequence", GH_JSON_REQUIRED, &unit->sequence, error) ||
        !gh_json_get_i64(saved, "level", GH_JSON_REQUIRED, &level, error) ||
        !gh_json_get_text(saved, "id", GH_JSON_REQUIRED, &id, error) ||
        !gh_json_get_i64(saved, "lease_s", GH_JSON_REQUIRED, &unit->lease_s, error) ||
        !gh_json_get_i64(saved, "lease_until_ms", GH_JSON_REQUIRED, &unit->lease_until_ms, error) ||
        !gh_json_get_bool(saved, "waiting", GH_JSON_REQUIRED, &unit->waiting, error))
        return false;
    int stages = gh_unit_stages((enum gh_unit)kind);
    if (decided < 0 || decided > stages || level < 0 || level > stages || unit->sequence < 0 ||
        unit->sequence > sequence_max || unit->lease_s < 0 || unit->lease_s > lease_max_s ||
        !time_is_sane(control->changed_ms) || !time_is_sane(unit->lease_until_ms) ||
        id.size >= sizeof unit->id) {
        gh_error_set(error, GH_ERROR_FILE, "the saved %s of %s is not one",
                     gh_unit_name((enum gh_unit)kind), zone->name);
        return false;
    }
    control->level = (int)decided;
    unit->level = (int)level;
    memcpy(unit->id, id.data, id.size);
    return true;
}

static json_t *save_zone(const struct gh_core_zone *zone)
{
    json_t *units = json_array();
    for (int i = 0; i < GH_UNIT_COUNT; i++)
        json_array_append_new(units, save_unit(zone, i));
    return json_pack("{s:s, s:o, s:o}", "zone", zone->name, "control", save_control(&zone->control),
                     "units", units);
}

json_t *gh_core_save(struct gh_core *core)
{
    json_t *zones = json_array();
    for (size_t i = 0; i < core->zones_count; i++) {
        json_t *zone = save_zone(&core->zones[i]);
        if (json_array_append_new(zones, zone) != 0) {
            json_decref(zones);
            return NULL;
        }
    }
    json_t *saved = json_pack("{s:i, s:o}", "version", STATE_VERSION, "zones", zones);
    core->dirty = core->dirty && saved == NULL;
    return saved;
}

static bool restore_zone(const json_t *saved, struct gh_core_zone *zone, struct gh_error *error)
{
    struct gh_slice name = {0};
    json_t *control = NULL, *units = NULL;
    if (!gh_json_get_text(saved, "zone", GH_JSON_REQUIRED, &name, error) ||
        !gh_json_get_object(saved, "control", GH_JSON_REQUIRED, &control, error) ||
        !gh_json_get_array(saved, "units", GH_JSON_REQUIRED, &units, error))
        return false;
    if (name.size == 0 || name.size >= sizeof zone->name ||
        json_array_size(units) != GH_UNIT_COUNT) {
        gh_error_set(error, GH_ERROR_FILE, "a saved zone is not one");
        return false;
    }
    memcpy(zone->name, name.data, name.size);
    if (!restore_control(control, &zone->control, error))
        return false;
    for (int i = 0; i < GH_UNIT_COUNT; i++) {
        if (!restore_unit(json_array_get(units, (size_t)i), i, zone, error))
            return false;
    }
    return true;
}

bool gh_core_restore(struct gh_core *core, const json_t *saved, struct gh_error *error)
{
    int64_t version = 0;
    json_t *zones = NULL;
    if (!gh_json_get_i64(saved, "version", GH_JSON_REQUIRED, &version, error) ||
        !gh_json_get_array(saved, "zones", GH_JSON_REQUIRED, &zones, error))
        return false;
    if (version != STATE_VERSION || json_array_size(zones) > GH_CORE_ZONES_MAX) {
        gh_error_set(error, GH_ERROR_FILE, "the saved state has version %lld and %zu zones",
                     (long long)version, json_array_size(zones));
        return false;
    }
    for (size_t i = 0; i < json_array_size(zones); i++) {
        if (!restore_zone(json_array_get(zones, i), &core->zones[i], error)) {
            memset(core->zones, 0, sizeof core->zones);
            core->zones_count = 0;
            return false;
        }
        core->zones_count = i + 1;
    }
    return true;
}
