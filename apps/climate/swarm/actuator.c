#include "apps/climate/swarm/actuator.h"
#include "wire/json.h"
#include <string.h>

static const int64_t local_min_ms = INT64_C(600000); /* on and off, as compressors want */

/* Local thermostats: wide, inside the goods' band, so that two of them never work against each
 * other. */
static const struct {
    double on, off; /* heating below `on`, the others above */
} locally[GH_UNIT_COUNT] = {
    [GH_UNIT_HEATING] = {16.0, 17.5},
    [GH_UNIT_COOLING] = {24.0, 22.5},
    [GH_UNIT_DEHUMIDIFIER] = {64.0, 58.0},
};
enum { LOCAL_AIR_STAGES = 4 }; /* 0.8 m3/s by the clock: the people and the floor */

static bool id_allowed(struct gh_slice id)
{
    if (id.size < 1 || id.size > GH_ACTUATOR_ID_MAX)
        return false;
    for (size_t i = 0; i < id.size; i++) {
        uint8_t c = id.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && c != '.' && c != '_' && c != '-')
            return false;
    }
    return true;
}

static bool read_members(const json_t *object, enum gh_unit unit, struct gh_actuator_command *out,
                         struct gh_error *error)
{
    struct gh_slice id = {0};
    int64_t level = 0;
    if (!gh_json_get_text(object, "id", GH_JSON_REQUIRED, &id, error) ||
        !gh_json_get_i64(object, "sequence", GH_JSON_REQUIRED, &out->sequence, error) ||
        !gh_json_get_i64(object, "level", GH_JSON_REQUIRED, &level, error) ||
        !gh_json_get_i64(object, "lease_s", GH_JSON_REQUIRED, &out->lease_s, error))
        return false;
    const char *wrong = !id_allowed(id)                                              ? "id"
                        : out->sequence < 1                                          ? "sequence"
                        : level < 0 || level > gh_unit_stages(unit)                  ? "level"
                        : out->lease_s < 1 || out->lease_s > GH_ACTUATOR_LEASE_MAX_S ? "lease_s"
                                                                                     : NULL;
    if (wrong != NULL) {
        gh_error_set(error, GH_ERROR_INVALID, "command for %s: %s is not allowed",
                     gh_unit_name(unit), wrong);
        return false;
    }
    out->level = (int)level;
    memcpy(out->id, id.data, id.size);
    out->id[id.size] = '\0';
    return true;
}

bool gh_actuator_read(struct gh_slice json, enum gh_unit unit, struct gh_actuator_command *out,
                      struct gh_error *error)
{
    enum { COMMAND_BYTES_MAX = 4096 };
    json_t *object = gh_json_read_limited(json, COMMAND_BYTES_MAX, error);
    if (object == NULL)
        return false;
    bool read = read_members(object, unit, out, error);
    json_decref(object);
    return read;
}

static void set_level(struct gh_actuator *actuator, int level, int64_t site_ms)
{
    if (actuator->level == level)
        return;
    actuator->level = level;
    actuator->since_ms = site_ms;
}

enum gh_actuator_answer gh_actuator_obey(struct gh_actuator *actuator,
                                         const struct gh_actuator_command *command, int64_t site_ms)
{
    if (command->sequence <= actuator->sequence)
        return GH_ACTUATOR_REPEATED;
    actuator->sequence = command->sequence;
    actuator->lease_ms = site_ms + command->lease_s * 1000;
    actuator->commanded = true;
    memcpy(actuator->command, command->id, sizeof actuator->command);
    set_level(actuator, command->level, site_ms);
    return GH_ACTUATOR_OBEYED;
}

static int local_level(const struct gh_actuator *actuator, const struct gh_actuator_sense *sense)
{
    double on = locally[actuator->unit].on, off = locally[actuator->unit].off;
    double value = sense->temperature_c;
    switch (actuator->unit) {
    case GH_UNIT_VENTILATION:
        return sense->occupied ? LOCAL_AIR_STAGES : 0;
    case GH_UNIT_HEATING: /* the same comparison with the axis turned round */
        value = -value;
        on = -on;
        off = -off;
        break;
    case GH_UNIT_DEHUMIDIFIER:
        value = sense->humidity_pct;
        break;
    case GH_UNIT_COOLING:
    case GH_UNIT_COUNT:
        break;
    }
    if (value > on)
        return gh_unit_stages(actuator->unit);
    return value < off ? 0 : actuator->level;
}

bool gh_actuator_tick(struct gh_actuator *actuator, const struct gh_actuator_sense *sense,
                      int64_t site_ms)
{
    bool ended = actuator->commanded && site_ms >= actuator->lease_ms;
    int before = actuator->level;
    if (ended)
        actuator->commanded = false;
    if (actuator->commanded)
        return false;
    bool rested = actuator->since_ms == 0 || site_ms - actuator->since_ms >= local_min_ms;
    if (rested || actuator->unit == GH_UNIT_VENTILATION)
        set_level(actuator, local_level(actuator, sense), site_ms);
    return ended || actuator->level != before;
}
