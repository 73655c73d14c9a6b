#include "apps/climate/swarm/site.h"
#include "tests/check.h"
#include "wire/json.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { HEATING = 3, COOLING = 4, WEATHER = GH_SITE_DEVICES - 1, MINUTE_MS = 60000 };

static const struct {
    const char *claim, *json;
    bool valid;
} commands[] = {
    {"a command", "{\"id\":\"a-1\",\"sequence\":1,\"level\":1,\"lease_s\":900}", true},
    {"unknown members are ignored",
     "{\"id\":\"a\",\"sequence\":1,\"level\":0,\"lease_s\":1,\"x\":[]}", true},
    {"all stages", "{\"id\":\"a\",\"sequence\":1,\"level\":2,\"lease_s\":900}", true},
    {"more than all stages", "{\"id\":\"a\",\"sequence\":1,\"level\":3,\"lease_s\":900}", false},
    {"less than none", "{\"id\":\"a\",\"sequence\":1,\"level\":-1,\"lease_s\":900}", false},
    {"half a stage", "{\"id\":\"a\",\"sequence\":1,\"level\":0.5,\"lease_s\":900}", false},
    {"no number", "{\"id\":\"a\",\"level\":1,\"lease_s\":900}", false},
    {"number 0", "{\"id\":\"a\",\"sequence\":0,\"level\":1,\"lease_s\":900}", false},
    {"a number beyond 64 bits",
     "{\"id\":\"a\",\"sequence\":99999999999999999999,\"level\":1,\"lease_s\":9}", false},
    {"no lease", "{\"id\":\"a\",\"sequence\":1,\"level\":1}", false},
    {"a lease of nothing", "{\"id\":\"a\",\"sequence\":1,\"level\":1,\"lease_s\":0}", false},
    {"a lease for ever", "{\"id\":\"a\",\"sequence\":1,\"level\":1,\"lease_s\":99999999999}",
     false},
    {"no id", "{\"sequence\":1,\"level\":1,\"lease_s\":900}", false},
    {"an empty id", "{\"id\":\"\",\"sequence\":1,\"level\":1,\"lease_s\":900}", false},
    {"an id that would break out of JSON",
     "{\"id\":\"a\\\"b\",\"sequence\":1,\"level\":1,\"lease_s\":9}", false},
    {"a member twice", "{\"id\":\"a\",\"id\":\"b\",\"sequence\":1,\"level\":1,\"lease_s\":9}",
     false},
    {"an array", "[1]", false},
    {"half of it", "{\"id\":\"a\",\"sequence\":1,\"lev", false},
    {"nothing", "", false},
};

static struct gh_weather *weather;
static const int64_t begin_ms = INT64_C(1768460400000); /* 2026-01-15T07:00:00Z, a Thursday */

static struct gh_site *open_site(void)
{
    struct gh_site *site = gh_site_open(weather, begin_ms, 3);
    REQUIRE("a site", site != NULL);
    return site;
}

static enum gh_actuator_answer command(struct gh_site *site, size_t index, int sequence, int level,
                                       int lease_s)
{
    char json[128];
    struct gh_error error = {0};
    enum gh_actuator_answer answer = GH_ACTUATOR_REPEATED;
    snprintf(json, sizeof json, "{\"id\":\"t-%d\",\"sequence\":%d,\"level\":%d,\"lease_s\":%d}",
             sequence, sequence, level, lease_s);
    REQUIRE(json, gh_site_command(site, index, gh_slice_text(json), &answer, &error));
    return answer;
}

static void check_commands(void)
{
    struct gh_error error;
    for (size_t i = 0; i < GH_COUNT(commands); i++) {
        struct gh_site *site = open_site();
        enum gh_actuator_answer answer;
        CHECK(commands[i].claim, gh_site_command(site, HEATING, gh_slice_text(commands[i].json),
                                                 &answer, &error) == commands[i].valid);
        CHECK("a probe takes none",
              !gh_site_command(site, 0, gh_slice_text(commands[i].json), &answer, &error));
        gh_site_close(site);
    }

    struct gh_site *site = open_site();
    const struct gh_actuator *heating = gh_site_actuator(site, 0, GH_UNIT_HEATING);
    CHECK("a command is obeyed", command(site, HEATING, 5, 1, 900) == GH_ACTUATOR_OBEYED);
    CHECK("and seen",
          heating->level == 1 && heating->commanded && gh_site_take_change(site, HEATING));
    CHECK("once", !gh_site_take_change(site, HEATING));
    CHECK("its repeat has no effect", command(site, HEATING, 5, 2, 900) == GH_ACTUATOR_REPEATED);
    CHECK("nor has an older one", command(site, HEATING, 4, 2, 900) == GH_ACTUATOR_REPEATED);
    CHECK("the level stands", heating->level == 1 && heating->sequence == 5);
    CHECK("but both are answered", gh_site_take_change(site, HEATING));
    gh_site_advance(site, begin_ms + 14 * MINUTE_MS);
    CHECK("the lease holds", heating->commanded);
    gh_site_advance(site, begin_ms + 16 * MINUTE_MS);
    CHECK("and ends", !heating->commanded && gh_site_take_change(site, HEATING));
    CHECK("the number stays", heating->sequence == 5);
    gh_site_close(site);
}

/* Days without any command: the machines' own thermostats keep the goods safe. */
static void check_local(void)
{
    struct gh_site *site = open_site();
    int levels[GH_UNIT_COUNT] = {0}, changes = 0;
    int64_t changed_ms[GH_UNIT_COUNT] = {0};
    for (int minute = 0; minute < 10 * 1440; minute++) {
        gh_site_advance(site, begin_ms + (int64_t)minute * MINUTE_MS);
        for (unsigned hall = 0; hall < GH_SITE_HALLS; hall++) {
            double air_c = gh_site_hall(site, hall).air_c;
            CHECK("a hall left alone stays in its band", air_c > 14.5 && air_c < 25.5);
        }
        for (int unit = GH_UNIT_HEATING; unit <= GH_UNIT_COOLING; unit++) {
            const struct gh_actuator *actuator = gh_site_actuator(site, 0, (enum gh_unit)unit);
            if (actuator->level == levels[unit])
                continue;
            CHECK("ten minutes between changes",
                  changed_ms[unit] == 0 ||
                      gh_site_now_ms(site) - changed_ms[unit] >= 10 * MINUTE_MS);
            levels[unit] = actuator->level;
            changed_ms[unit] = gh_site_now_ms(site);
            changes++;
        }
    }
    CHECK("it heated", changes > 0);
    gh_site_close(site);
}

static void report(struct gh_site *site, size_t index, char *out, size_t size)
{
    struct gh_buffer buffer = gh_buffer_fixed(out, size - 1);
    REQUIRE("a report", gh_site_report(site, index, &buffer));
    out[buffer.size] = '\0';
}

static void check_reports(void)
{
    char text[512];
    struct gh_site *site = open_site();
    struct gh_error error;
    gh_site_advance(site, begin_ms + 5 * MINUTE_MS);
    static const struct {
        size_t index;
        const char *members[7];
    } shapes[] = {
        {0, {"temperature_c", "humidity_pct", "site_time"}},
        {2, {"co2_ppm", "pm25_ugm3", "site_time"}},
        {HEATING, {"level", "stages", "power_w", "command", "sequence", "mode", "site_time"}},
        {WEATHER, {"temperature_c", "humidity_pct", "ghi_wm2", "site_time"}},
    };
    for (size_t i = 0; i < GH_COUNT(shapes); i++) {
        report(site, shapes[i].index, text, sizeof text);
        json_t *json = gh_json_read(gh_slice_text(text), &error);
        REQUIRE(text, json != NULL);
        size_t members = 0;
        while (members < GH_COUNT(shapes[i].members) && shapes[i].members[members] != NULL)
            CHECK(text, json_object_get(json, shapes[i].members[members++]) != NULL);
        CHECK(text, json_object_size(json) == members);
        json_decref(json);
    }
    CHECK("names by hall", strcmp(gh_site_device(site, 7)->id, "hall-2-climate-a") == 0 &&
                               strcmp(gh_site_device(site, 20)->id, "hall-3-dehumidifier") == 0 &&
                               strcmp(gh_site_device(site, WEATHER)->id, "site-weather") == 0);
    gh_site_close(site);
}

static void check_keeping(void)
{
    struct gh_error error;
    struct gh_site *site = open_site(), *other;
    command(site, HEATING, 7, 2, 3600);
    gh_site_advance(site, begin_ms + 50 * MINUTE_MS);
    json_t *saved = gh_site_save(site);
    REQUIRE("saved", saved != NULL);
    other = gh_site_open(weather, begin_ms + INT64_C(86400000), 9);
    REQUIRE("another run", other != NULL && gh_site_restore(other, saved, &error));
    CHECK("time goes on", gh_site_now_ms(other) == gh_site_now_ms(site));
    struct gh_hall_state a = gh_site_hall(site, 0), b = gh_site_hall(other, 0);
    CHECK("the hall is as warm",
          fabs(a.air_c - b.air_c) < 1e-9 && fabs(a.mass_c - b.mass_c) < 1e-9);
    const struct gh_actuator *heating = gh_site_actuator(other, 0, GH_UNIT_HEATING);
    CHECK("the machine obeys still",
          heating->commanded && heating->level == 2 && heating->sequence == 7);
    CHECK("a command of before has no second effect",
          command(other, HEATING, 7, 1, 900) == GH_ACTUATOR_REPEATED);

    static const struct {
        const char *claim, *key;
        json_int_t value;
    } damages[] = {{"another version", "version", 2},
                   {"a time that is none", "site_time", 5},
                   {"no halls", "halls", 0}};
    for (size_t i = 0; i < GH_COUNT(damages); i++) {
        json_t *damaged = json_deep_copy(saved);
        json_object_set_new(damaged, damages[i].key, json_integer(damages[i].value));
        CHECK(damages[i].claim, !gh_site_restore(other, damaged, &error));
        json_decref(damaged);
    }
    json_t *hot = json_deep_copy(saved);
    json_object_set_new(json_array_get(json_object_get(hot, "halls"), 2), "air_c", json_real(900));
    CHECK("a hall of 900 C", !gh_site_restore(other, hot, &error));
    CHECK("a refused file changes nothing",
          gh_site_now_ms(other) == gh_site_now_ms(site) && fabs(gh_site_hall(other, 2).air_c) < 50);
    json_decref(hot);
    json_decref(saved);
    gh_site_close(site);
    gh_site_close(other);
}

static void check_faults(void)
{
    char text[512], first[512], later[512];
    struct gh_error error;
    struct gh_site *site = open_site();
    struct gh_buffer buffer = gh_buffer_fixed(text, sizeof text);
    CHECK("fault", gh_site_add_fault(site, "hall-1-climate-a=silent@600-1200", &error));
    CHECK("fault", gh_site_add_fault(site, "hall-1-climate-b=stuck@600", &error));
    CHECK("fault", gh_site_add_fault(site, "hall-1-heating=dead@0", &error));
    CHECK("fault", gh_site_add_fault(site, "hall-2-air=offline@600", &error));
    static const char *const wrong[] = {"hall-9-air=silent@1",
                                        "hall-1-air=loud@1",
                                        "hall-1-air=silent",
                                        "hall-1-air=silent@",
                                        "hall-1-air=silent@9-5",
                                        "silent@1",
                                        ""};
    for (size_t i = 0; i < GH_COUNT(wrong); i++)
        CHECK(wrong[i], !gh_site_add_fault(site, wrong[i], &error));
    gh_site_advance(site, begin_ms + 5 * MINUTE_MS);
    CHECK("not yet", gh_site_report(site, 0, &buffer) && !gh_site_is_offline(site, 9));
    gh_site_advance(site, begin_ms + 11 * MINUTE_MS);
    CHECK("silent", !gh_site_report(site, 0, &buffer));
    CHECK("offline", gh_site_is_offline(site, 9) && !gh_site_is_offline(site, 8));
    report(site, 1, first, sizeof first);
    double before_c = gh_site_hall(site, 0).air_c;
    command(site, HEATING, 1, 2, 36000);
    gh_site_advance(site, begin_ms + 60 * MINUTE_MS);
    report(site, 1, later, sizeof later);
    CHECK("stuck", strncmp(first, later, strcspn(first, "s")) == 0);
    CHECK("a dead machine heats nothing", gh_site_hall(site, 0).air_c < before_c + 0.5);
    CHECK("silent no more", gh_site_report(site, 0, &buffer));
    gh_site_close(site);
}

int main(void)
{
    struct gh_error error;
    weather = gh_weather_open_demo(&error);
    REQUIRE("weather", weather != NULL);
    check_commands();
    check_local();
    check_reports();
    check_keeping();
    check_faults();
    gh_weather_close(weather);
    return check_report();
}
