#include "apps/climate/swarm/fleet.h"
#include "apps/climate/keep/keep.h"
#include "apps/climate/model/psychro.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/time.h"
#include "wire/json.h"
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STATE_BYTES_MAX = 256 * 1024, REPORT_BYTES_MAX = 1024, START_SPREAD_MS = 40 };

static const int64_t turn_ns = INT64_C(250) * GH_MS_NS;
static const int64_t save_ns = 10 * GH_SECOND_NS;
static const int64_t state_gap_ns = 1200 * GH_MS_NS; /* the dialect takes one state a second */

struct member {
    struct gh_link link;
    struct gh_fleet *fleet;
    size_t index;
    int64_t report_at_ns, state_at_ns; /* next report; when a state may be sent again */
    bool state_waits;
};

struct gh_fleet {
    struct gh_fleet_options options;
    struct gh_site *site;
    struct member members[GH_SITE_DEVICES];
    struct gh_timer turn, status;
    struct gh_letter stop;
    int64_t begin_ns, begin_site_ms, saved_ns;
    bool dirty, save_failed, stopping;
    uint64_t commands, repeats, refused;
};

bool gh_fleet_load(struct gh_site *site, const char *path, struct gh_error *error)
{
    struct gh_buffer text;
    gh_buffer_init(&text, STATE_BYTES_MAX);
    enum gh_keep_status status = gh_keep_read(path, &text, error);
    bool loaded = status == GH_KEEP_ABSENT;
    if (status == GH_KEEP_OK) {
        json_t *saved = gh_json_read(gh_buffer_slice(&text), error);
        loaded = saved != NULL && gh_site_restore(site, saved, error);
        json_decref(saved);
    }
    gh_buffer_deinit(&text);
    return loaded;
}

static void save(struct gh_fleet *fleet)
{
    struct gh_error error = {0};
    struct gh_buffer text;
    if (fleet->options.state == NULL)
        return;
    gh_buffer_init(&text, STATE_BYTES_MAX);
    json_t *saved = gh_site_save(fleet->site);
    bool good = gh_json_write(saved, &text) &&
                gh_keep_write(fleet->options.state, gh_buffer_slice(&text), &error) == GH_KEEP_OK;
    json_decref(saved);
    gh_buffer_deinit(&text);
    fleet->saved_ns = gh_loop_now_ns(fleet->options.place.loop);
    fleet->dirty = !good;
    if (!good && !fleet->save_failed)
        gh_log(GH_LOG_ERROR, "swarm", "the site's state is not saved: %s",
               error.code != GH_OK ? error.text : "no memory");
    fleet->save_failed = !good;
}

static void on_command(struct gh_link *link, struct gh_slice payload)
{
    struct member *member = (struct member *)((char *)link - offsetof(struct member, link));
    struct gh_fleet *fleet = member->fleet;
    struct gh_error error = {0};
    enum gh_actuator_answer answer;
    if (!gh_site_command(fleet->site, member->index, payload, &answer, &error)) {
        fleet->refused++;
        gh_log(GH_LOG_WARN, "swarm", "%s: command refused: %s", link->device, error.text);
        return;
    }
    fleet->commands++;
    fleet->repeats += answer == GH_ACTUATOR_REPEATED;
    fleet->dirty = true;
}

static void send_report(struct gh_fleet *fleet, struct member *member, bool changed, int64_t now_ns)
{
    const struct gh_site_device *device = gh_site_device(fleet->site, member->index);
    uint8_t block[REPORT_BYTES_MAX];
    char tail[64];
    struct gh_buffer report = gh_buffer_fixed(block, sizeof block);
    if (!gh_site_report(fleet->site, member->index, &report))
        return;
    snprintf(tail, sizeof tail, "events/%s", device->channel);
    gh_link_publish(&member->link, tail, gh_buffer_slice(&report));
    if (device->kind != GH_SITE_EQUIPMENT || (!changed && !member->state_waits))
        return;
    member->state_waits = now_ns < member->state_at_ns ||
                          !gh_link_publish(&member->link, "state", gh_buffer_slice(&report));
    if (!member->state_waits)
        member->state_at_ns = now_ns + state_gap_ns;
}

static int64_t beat_ns(const struct gh_fleet *fleet, const struct gh_site_device *device)
{
    int64_t minute_ns = (int64_t)(60.0 / fleet->options.speed * (double)GH_SECOND_NS);
    int64_t beat = minute_ns > GH_SECOND_NS ? minute_ns : GH_SECOND_NS;
    return device->kind == GH_SITE_EQUIPMENT ? 5 * beat : beat;
}

static void serve_member(struct gh_fleet *fleet, struct member *member, int64_t now_ns)
{
    if (member->link.key == NULL)
        return;
    bool offline = gh_site_is_offline(fleet->site, member->index);
    if (offline && gh_link_is_wanted(&member->link))
        gh_link_stop(&member->link);
    else if (!offline && !gh_link_is_wanted(&member->link))
        gh_link_start(&member->link, 0);
    bool changed = gh_site_take_change(fleet->site, member->index);
    bool due = now_ns >= member->report_at_ns;
    bool state_due = member->state_waits && now_ns >= member->state_at_ns;
    if (!changed && !due && !state_due)
        return;
    if (due)
        member->report_at_ns = now_ns + beat_ns(fleet, gh_site_device(fleet->site, member->index));
    if (gh_link_is_connected(&member->link))
        send_report(fleet, member, changed, now_ns);
    else
        member->state_waits = member->state_waits || changed;
}

static void on_turn(struct gh_timer *timer)
{
    struct gh_fleet *fleet = (struct gh_fleet *)((char *)timer - offsetof(struct gh_fleet, turn));
    struct gh_loop *loop = fleet->options.place.loop;
    int64_t now_ns = gh_loop_now_ns(loop);
    double site_ms = (double)(now_ns - fleet->begin_ns) / (double)GH_MS_NS * fleet->options.speed;
    gh_site_advance(fleet->site, fleet->begin_site_ms + (int64_t)site_ms);
    if (fleet->dirty || now_ns - fleet->saved_ns >= save_ns)
        save(fleet); /* before the reports below say that a command was obeyed */
    for (size_t i = 0; i < GH_SITE_DEVICES; i++)
        serve_member(fleet, &fleet->members[i], now_ns);
    gh_timer_set(loop, &fleet->turn, now_ns + turn_ns, on_turn);
}

static void print_hall(const struct gh_fleet *fleet, unsigned index)
{
    struct gh_hall_state hall = gh_site_hall(fleet->site, index);
    double humidity =
        gh_psychro_humidity(hall.air_c, hall.w, gh_site_weather(fleet->site).pressure_pa);
    printf(" | hall-%u %.1f C %.0f %% %.0f ppm", index + 1, hall.air_c, humidity * 100.0,
           hall.co2_ppm);
    for (int unit = 0; unit < GH_UNIT_COUNT; unit++) {
        const struct gh_actuator *actuator =
            gh_site_actuator(fleet->site, index, (enum gh_unit)unit);
        printf(" %c%d%s", "HCVD"[unit], actuator -> level, actuator -> commanded ? "" : "*");
    }
}

static void on_status(struct gh_timer *timer)
{
    struct gh_fleet *fleet = (struct gh_fleet *)((char *)timer - offsetof(struct gh_fleet, status));
    struct gh_loop *loop = fleet->options.place.loop;
    char when[GH_TIME_TEXT_MAX];
    unsigned connected = 0, running = 0;
    uint64_t sent = 0, acknowledged = 0, dropped = 0;
    for (size_t i = 0; i < GH_SITE_DEVICES; i++) {
        const struct gh_link *link = &fleet->members[i].link;
        running += link->key != NULL;
        connected += gh_link_is_connected(link);
        sent += link->sent;
        acknowledged += link->acknowledged;
        dropped += link->dropped;
    }
    printf("%s x%g | %u/%u connected | sent %llu acknowledged %llu dropped %llu | commands %llu "
           "repeated "
           "%llu | outdoors %.1f C",
           gh_time_print(gh_site_now_ms(fleet->site), when), fleet->options.speed, connected,
           running, (unsigned long long)sent, (unsigned long long)acknowledged,
           (unsigned long long)dropped, (unsigned long long)fleet->commands,
           (unsigned long long)fleet->repeats, gh_site_weather(fleet->site).temperature_c);
    for (unsigned hall = 0; hall < GH_SITE_HALLS; hall++)
        print_hall(fleet, hall);
    putchar('\n');
    fflush(stdout);
    gh_timer_set(loop, &fleet->status,
                 gh_loop_now_ns(loop) + fleet->options.report_s * GH_SECOND_NS, on_status);
}

/* NULL without error when there is no such file: the device stays away. */
static struct gh_private_key *read_key(const char *folder, const char *device,
                                       struct gh_error *error)
{
    char path[PATH_MAX];
    struct gh_buffer pem;
    struct gh_private_key *key = NULL;
    gh_buffer_init(&pem, GH_KEY_PEM_MAX);
    snprintf(path, sizeof path, "%s/%s.pem", folder, device);
    if (gh_keep_read(path, &pem, error) == GH_KEEP_OK)
        key = gh_private_key_open(gh_buffer_slice(&pem), error);
    if (pem.data != NULL)
        gh_secret_wipe(pem.data, pem.capacity);
    gh_buffer_deinit(&pem);
    return key;
}

static bool read_keys(struct gh_fleet *fleet, struct gh_error *error)
{
    size_t found = 0;
    for (size_t i = 0; i < GH_SITE_DEVICES; i++) {
        struct member *member = &fleet->members[i];
        struct gh_error why = {0};
        const char *device = gh_site_device(fleet->site, i)->id;
        member->link.key = read_key(fleet->options.keys, device, &why);
        found += member->link.key != NULL;
        if (why.code != GH_OK) {
            gh_error_set(error, why.code, "key of %s: %s", device, why.text);
            return false;
        }
    }
    if (found == 0)
        gh_error_set(error, GH_ERROR_FILE,
                     "no device has a key in %s (hall-1-climate-a.pem and so on)",
                     fleet->options.keys);
    else if (found < GH_SITE_DEVICES)
        gh_log(GH_LOG_WARN, "swarm", "%zu of %d devices have no key in %s and stay away",
               GH_SITE_DEVICES - found, GH_SITE_DEVICES, fleet->options.keys);
    return found > 0;
}

struct gh_fleet *gh_fleet_open(const struct gh_fleet_options *options, struct gh_site *site,
                               struct gh_error *error)
{
    struct gh_fleet *fleet = calloc(1, sizeof *fleet);
    if (fleet == NULL) {
        gh_error_set(error, GH_ERROR_MEMORY, "no memory for the fleet");
        return NULL;
    }
    fleet->options = *options;
    fleet->site = site;
    if (!read_keys(fleet, error)) {
        gh_fleet_close(fleet);
        return NULL;
    }
    fleet->begin_ns = gh_time_monotonic_ns();
    fleet->begin_site_ms = gh_site_now_ms(site);
    for (size_t i = 0; i < GH_SITE_DEVICES; i++) {
        struct member *member = &fleet->members[i];
        member->fleet = fleet;
        member->index = i;
        member->report_at_ns = fleet->begin_ns + (int64_t)i * START_SPREAD_MS * GH_MS_NS;
        member->link.place = &fleet->options.place;
        member->link.device = gh_site_device(site, i)->id;
        member->link.command = on_command;
        gh_random(&member->link.random, sizeof member->link.random);
        if (member->link.key != NULL)
            gh_link_start(&member->link, (int64_t)i * START_SPREAD_MS);
    }
    gh_timer_set(options->place.loop, &fleet->turn, fleet->begin_ns, on_turn);
    if (options->report_s > 0)
        gh_timer_set(options->place.loop, &fleet->status, fleet->begin_ns + GH_SECOND_NS,
                     on_status);
    return fleet;
}

void gh_fleet_close(struct gh_fleet *fleet)
{
    if (fleet == NULL)
        return;
    for (size_t i = 0; i < GH_SITE_DEVICES; i++)
        gh_private_key_close(fleet->members[i].link.key);
    free(fleet);
}

static void on_stop(struct gh_letter *letter)
{
    struct gh_fleet *fleet = (struct gh_fleet *)((char *)letter - offsetof(struct gh_fleet, stop));
    struct gh_loop *loop = fleet->options.place.loop;
    save(fleet);
    gh_timer_cancel(loop, &fleet->turn);
    gh_timer_cancel(loop, &fleet->status);
    for (size_t i = 0; i < GH_SITE_DEVICES; i++) {
        if (fleet->members[i].link.key != NULL)
            gh_link_stop(&fleet->members[i].link);
    }
    gh_loop_stop(loop);
}

void gh_fleet_stop(struct gh_fleet *fleet)
{
    fleet->stop.open = on_stop;
    gh_loop_send(fleet->options.place.loop, &fleet->stop);
}
