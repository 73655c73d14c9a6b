#include "apps/climate/swarm/site_internal.h"
#include "base/time.h"
#include "wire/json.h"
#include <string.h>

enum { STATE_VERSION = 1 };

static json_t *save_actuator(const struct gh_actuator *actuator)
{
    return json_pack("{s:s, s:i, s:I, s:I, s:I, s:b, s:s}", "unit", gh_unit_name(actuator->unit),
                     "level", actuator->level, "since_ms", (json_int_t)actuator->since_ms,
                     "sequence", (json_int_t)actuator->sequence, "lease_ms",
                     (json_int_t)actuator->lease_ms, "commanded", actuator->commanded ? 1 : 0,
                     "command", actuator->command);
}

static json_t *save_hall(const struct gh_site_hall *hall)
{
    json_t *units = json_array();
    for (int unit = 0; unit < GH_UNIT_COUNT; unit++) {
        if (json_array_append_new(units, save_actuator(&hall->actuators[unit])) != 0) {
            json_decref(units);
            return NULL;
        }
    }
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:I, s:f, s:o}", "air_c", hall->state.air_c,
                     "mass_c", hall->state.mass_c, "w", hall->state.w, "co2_ppm",
                     hall->state.co2_ppm, "pm25_ugm3", hall->state.pm25_ugm3, "door_until_ms",
                     (json_int_t)hall->door_until_ms, "door_per_h", hall->door_per_h, "units",
                     units);
}

json_t *gh_site_save(const struct gh_site *site)
{
    char when[GH_TIME_TEXT_MAX];
    json_t *halls = json_array();
    for (unsigned i = 0; i < GH_SITE_HALLS; i++) {
        if (json_array_append_new(halls, save_hall(&site->halls[i])) != 0) {
            json_decref(halls);
            return NULL;
        }
    }
    return json_pack("{s:i, s:s, s:o}", "version", STATE_VERSION, "site_time",
                     gh_time_print(site->now_ms, when), "halls", halls);
}

/* Years 1 to 9999, like every time that is printed. */
static bool time_is_sane(int64_t ms)
{
    return ms >= -INT64_C(62135596800000) && ms <= INT64_C(253402300799999);
}

static bool restore_actuator(const json_t *saved, struct gh_actuator *out, struct gh_error *error)
{
    struct gh_slice unit = {0}, command = {0};
    int64_t level = 0;
    if (!gh_json_get_text(saved, "unit", GH_JSON_REQUIRED, &unit, error) ||
        !gh_json_get_i64(saved, "level", GH_JSON_REQUIRED, &level, error) ||
        !gh_json_get_i64(saved, "since_ms", GH_JSON_REQUIRED, &out->since_ms, error) ||
        !gh_json_get_i64(saved, "sequence", GH_JSON_REQUIRED, &out->sequence, error) ||
        !gh_json_get_i64(saved, "lease_ms", GH_JSON_REQUIRED, &out->lease_ms, error) ||
        !gh_json_get_bool(saved, "commanded", GH_JSON_REQUIRED, &out->commanded, error) ||
        !gh_json_get_text(saved, "command", GH_JSON_REQUIRED, &command, error))
        return false;
    if (!gh_slice_equal(unit, gh_slice_text(gh_unit_name(out->unit))) || level < 0 ||
        level > gh_unit_stages(out->unit) || command.size > GH_ACTUATOR_ID_MAX ||
        out->sequence < 0 || !time_is_sane(out->since_ms) || !time_is_sane(out->lease_ms)) {
        gh_error_set(error, GH_ERROR_FILE, "the saved %s is not one", gh_unit_name(out->unit));
        return false;
    }
    out->level = (int)level;
    memset(out->command, 0, sizeof out->command);
    memcpy(out->command, command.data, command.size);
    return true;
}

/* Numbers that physics can have: what lies outside is a damaged file, not a hall. */
static bool get_within(const json_t *object, const char *key, double min, double max, double *out,
                       struct gh_error *error)
{
    double value = 0.0;
    if (!gh_json_get_number(object, key, GH_JSON_REQUIRED, &value, error))
        return false;
    if (!(value >= min && value <= max)) {
        gh_error_set(error, GH_ERROR_FILE, "saved %s is out of %g..%g", key, min, max);
        return false;
    }
    *out = value;
    return true;
}

static bool restore_hall(const json_t *saved, struct gh_site_hall *out, struct gh_error *error)
{
    json_t *units = NULL;
    if (!get_within(saved, "air_c", -60, 80, &out->state.air_c, error) ||
        !get_within(saved, "mass_c", -60, 80, &out->state.mass_c, error) ||
        !get_within(saved, "w", 0, 0.2, &out->state.w, error) ||
        !get_within(saved, "co2_ppm", 0, 1e5, &out->state.co2_ppm, error) ||
        !get_within(saved, "pm25_ugm3", 0, 1e5, &out->state.pm25_ugm3, error) ||
        !get_within(saved, "door_per_h", 0, 10, &out->door_per_h, error) ||
        !gh_json_get_i64(saved, "door_until_ms", GH_JSON_REQUIRED, &out->door_until_ms, error) ||
        !gh_json_get_array(saved, "units", GH_JSON_REQUIRED, &units, error))
        return false;
    if (json_array_size(units) != GH_UNIT_COUNT) {
        gh_error_set(error, GH_ERROR_FILE, "a saved hall has %zu machines", json_array_size(units));
        return false;
    }
    for (size_t unit = 0; unit < GH_UNIT_COUNT; unit++) {
        if (!restore_actuator(json_array_get(units, unit), &out->actuators[unit], error))
            return false;
    }
    return true;
}

bool gh_site_restore(struct gh_site *site, const json_t *saved, struct gh_error *error)
{
    struct gh_site_hall restored[GH_SITE_HALLS];
    struct gh_slice when = {0};
    json_t *halls = NULL;
    int64_t version = 0, now_ms;
    if (!gh_json_get_i64(saved, "version", GH_JSON_REQUIRED, &version, error) ||
        !gh_json_get_text(saved, "site_time", GH_JSON_REQUIRED, &when, error) ||
        !gh_json_get_array(saved, "halls", GH_JSON_REQUIRED, &halls, error))
        return false;
    if (version != STATE_VERSION || !gh_time_parse(when, &now_ms) ||
        json_array_size(halls) != GH_SITE_HALLS) {
        gh_error_set(error, GH_ERROR_FILE, "the saved state is of another version or site");
        return false;
    }
    memcpy(restored, site->halls, sizeof restored);
    for (size_t i = 0; i < GH_SITE_HALLS; i++) {
        if (!restore_hall(json_array_get(halls, i), &restored[i], error))
            return false;
    }
    memcpy(site->halls, restored, sizeof restored);
    for (size_t i = 0; i < site->faults_count; i++) { /* faults count from the start of this run */
        site->faults[i].from_ms += now_ms - site->start_ms;
        site->faults[i].to_ms += now_ms - site->start_ms;
    }
    site->now_ms = now_ms;
    site->start_ms = now_ms;
    return true;
}
