#include "apps/climate/backend/core_internal.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Real time, of the network; site time may run faster. */
static const int64_t retry_first_ms = 1000, retry_max_ms = 15000, refused_ms = 60000,
                     confirm_ms = 8000;
static const int64_t lease_s = 900;
static const double lease_real_s = 20.0; /* and at least this long on the wall, in fast motion */

static int64_t lease_of(const struct gh_core *core)
{
    int64_t real = (int64_t)(lease_real_s * core->speed);
    return real > lease_s ? real : lease_s;
}

/* The number is above everything the machine has obeyed and everything that was ever sent. */
static void make_command(struct gh_core *core, struct gh_core_zone *zone, enum gh_unit kind,
                         int level, int64_t site_ms, int64_t now_ms)
{
    struct gh_core_unit *unit = &zone->units[kind];
    assert(unit->sequence >= unit->report.sequence); /* gh_core_confirm sees to it */
    unit->sequence++;
    unit->level = level;
    unit->lease_s = lease_of(core);
    unit->lease_until_ms = site_ms + unit->lease_s * 1000;
    snprintf(unit->id, sizeof unit->id, "%08x-%lld", (unsigned)core->salt,
             (long long)unit->sequence);
    unit->waiting = true;
    if (unit->failures == 0)
        unit->due_ms = now_ms; /* else the pause after the last failure goes on */
    unit->made_ms = now_ms;
    core->dirty = true;
    zone->changed = true;
}

/* A new command is due when the level changes, at half of the lease, and when the machine says that
 * it has gone back to its own thermostat. A waiting one is replaced only by another level: its
 * number stays the same while its fate is unknown. */
static bool command_needed(const struct gh_core_unit *unit, int level, int64_t site_ms)
{
    if (unit->sequence == 0 || level != unit->level)
        return true;
    if (site_ms >= unit->lease_until_ms)
        return true;
    if (unit->waiting)
        return false;
    if (unit->report.known && !unit->report.commanded)
        return true;
    return site_ms >= unit->lease_until_ms - unit->lease_s * 500;
}

void gh_core_command_units(struct gh_core *core, size_t zone_index, int64_t site_ms, int64_t now_ms)
{
    struct gh_core_zone *zone = &core->zones[zone_index];
    for (int i = 0; i < GH_UNIT_COUNT; i++) {
        struct gh_core_unit *unit = &zone->units[i];
        if (!unit->report.known)
            continue; /* never heard of: the hall may not have one */
        int level = zone->decision.level[i];
        if (level > unit->report.stages)
            level = unit->report.stages;
        if (command_needed(unit, level, site_ms))
            make_command(core, zone, (enum gh_unit)i, level, site_ms, now_ms);
    }
}

void gh_core_confirm(struct gh_core *core, struct gh_core_unit *unit)
{
    if (unit->report.sequence > unit->sequence) {
        /* Our state is older than the machine: go on from its number. What it does is unknown to
         * us. */
        unit->sequence = unit->report.sequence;
        unit->lease_until_ms = 0;
        unit->waiting = false;
        core->dirty = true;
    } else if (unit->report.sequence == unit->sequence) {
        unit->waiting = false;
    }
}

bool gh_core_due(const struct gh_core *core, int64_t now_ms, size_t *at,
                 struct gh_core_command *out)
{
    for (; *at < core->zones_count * GH_UNIT_COUNT; ++*at) {
        size_t zone = *at / GH_UNIT_COUNT;
        enum gh_unit kind = (enum gh_unit)(*at % GH_UNIT_COUNT);
        const struct gh_core_unit *unit = &core->zones[zone].units[kind];
        if (!unit->waiting || unit->due_ms > now_ms)
            continue;
        *out = (struct gh_core_command){.zone = zone,
                                        .unit = kind,
                                        .sequence = unit->sequence,
                                        .lease_s = unit->lease_s,
                                        .level = unit->level};
        snprintf(out->device, sizeof out->device, "%s-%s", core->zones[zone].name,
                 gh_unit_name(kind));
        memcpy(out->id, unit->id, sizeof out->id);
        ++*at;
        return true;
    }
    return false;
}

bool gh_core_print_command(const struct gh_core_command *command, struct gh_buffer *out)
{
    return gh_buffer_print(out, "{\"id\":\"%s\",\"sequence\":%lld,\"level\":%d,\"lease_s\":%lld}",
                           command->id, (long long)command->sequence, command->level,
                           (long long)command->lease_s);
}

void gh_core_sent(struct gh_core *core, const struct gh_core_command *command,
                  enum gh_core_outcome outcome, int64_t now_ms)
{
    assert(command->zone < core->zones_count);
    struct gh_core_unit *unit = &core->zones[command->zone].units[command->unit];
    if (unit->sequence != command->sequence)
        return; /* replaced meanwhile */
    if (outcome == GH_CORE_DELIVERED) {
        unit->failures = 0;
        unit->due_ms = now_ms + confirm_ms; /* again, unless the machine's report comes first */
        return;
    }
    unsigned doubled = unit->failures < 6 ? unit->failures : 6;
    int64_t pause_ms = retry_first_ms << doubled;
    int64_t pause_max_ms = outcome == GH_CORE_REFUSED ? refused_ms : retry_max_ms;
    if (outcome == GH_CORE_REFUSED || pause_ms > pause_max_ms)
        pause_ms = pause_max_ms;
    unit->failures++;
    unit->due_ms = now_ms + pause_ms;
}
