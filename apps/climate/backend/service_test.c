#include "apps/climate/backend/service.h"
#include "apps/climate/swarm/site.h"
#include "base/log.h"
#include "base/time.h"
#include "tests/check.h"
#include "wire/base64.h"
#include "wire/json.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* The platform, played: the simulated site publishes into a queue, commands go to the site; answers
 * can be lost and the whole be away. Real time is the test's own. */
struct platform {
    struct gh_site *site;
    json_t *queue; /* of receivedMessages */
    int64_t now_ms, number;
    double speed;
    bool away;           /* no answer at all */
    int refuse;          /* status of every pull; 0 none */
    unsigned lose_every; /* the answer of every so manyth command is lost on its way back; 0 none */
    bool unreachable;    /* no device takes commands */
    bool mute;           /* devices publish nothing */
    unsigned commands, obeyed, repeated, calls;
    json_t *zones; /* the newest document of each */
};

enum { SECONDS_PER_HOUR = 60 }; /* at speed 60 */
static const char *const state_name = "climate.json";

static void publish(struct platform *platform, size_t index)
{
    char text[512], when[GH_TIME_TEXT_MAX];
    uint8_t encoded[1024];
    const struct gh_site_device *device = gh_site_device(platform->site, index);
    struct gh_buffer report = gh_buffer_fixed(text, sizeof text);
    struct gh_buffer data = gh_buffer_fixed(encoded, sizeof encoded);
    if (platform->mute || !gh_site_report(platform->site, index, &report))
        return;
    REQUIRE("encoded", gh_base64_encode(gh_buffer_slice(&report), GH_BASE64_STANDARD, &data));
    json_array_append_new(platform->queue,
                          json_pack("{s:o, s:{s:s%, s:s, s:{s:s, s:s, s:s}}}", "ackId",
                                    json_sprintf("ack-%lld", (long long)platform->number++),
                                    "message", "data", (const char *)data.data, data.size,
                                    "publishTime", gh_time_print(platform->now_ms, when),
                                    "attributes", "deviceId", device->id, "deviceRegistryId",
                                    "warehouse", "subFolder", device->channel));
}

static void pass(struct platform *platform, int64_t real_ms)
{
    platform->now_ms += real_ms;
    gh_site_advance(platform->site,
                    gh_site_now_ms(platform->site) + (int64_t)((double)real_ms * platform->speed));
    for (size_t i = 0; i < GH_SITE_DEVICES; i++) {
        bool machine = gh_site_device(platform->site, i)->kind == GH_SITE_EQUIPMENT;
        if (!machine || gh_site_take_change(platform->site, i) || platform->now_ms % 5000 == 0)
            publish(platform, i);
    }
}

static int answer_pull(struct platform *platform, struct gh_buffer *answer)
{
    json_t *some = json_array();
    if (platform->refuse != 0) {
        json_decref(some);
        return platform->refuse;
    }
    while (json_array_size(some) < 500 && json_array_size(platform->queue) > 0) {
        json_array_append(some, json_array_get(platform->queue, 0));
        json_array_remove(platform->queue, 0);
    }
    json_t *body = json_pack("{s:o}", "receivedMessages", some);
    REQUIRE("written", gh_json_write(body, answer));
    json_decref(body);
    return 200;
}

static int answer_command(struct platform *platform, const char *path, const json_t *body,
                          struct gh_buffer *answer)
{
    uint8_t block[512];
    struct gh_buffer command = gh_buffer_fixed(block, sizeof block);
    struct gh_slice data = {0};
    struct gh_error error;
    enum gh_actuator_answer obeyed;
    platform->commands++;
    if (platform->unreachable) {
        gh_buffer_print(answer, "{\"error\":{\"code\":400,\"status\":\"FAILED_PRECONDITION\"}}");
        return 400;
    }
    REQUIRE("data", gh_json_text(body, "binaryData", &data) &&
                        gh_base64_decode(data, GH_BASE64_ANY, &command));
    const char *device = strstr(path, "/devices/") + 9;
    struct gh_slice id = gh_slice(device, strcspn(device, ":"));
    for (size_t i = 0; i < GH_SITE_DEVICES; i++) {
        if (!gh_slice_equal(id, gh_slice_text(gh_site_device(platform->site, i)->id)))
            continue;
        CHECK("commands are what machines take",
              gh_site_command(platform->site, i, gh_buffer_slice(&command), &obeyed, &error));
        *(obeyed == GH_ACTUATOR_OBEYED ? &platform->obeyed : &platform->repeated) += 1;
    }
    gh_buffer_print(answer, "{}");
    return platform->lose_every != 0 && platform->commands % platform->lose_every == 0 ? 0 : 200;
}

static enum gh_error_code call(void *context, const char *method, const char *path,
                               struct gh_slice body, struct gh_buffer *answer, int *status,
                               struct gh_error *error)
{
    struct platform *platform = context;
    platform->calls++;
    if (platform->away)
        return gh_error_set(error, GH_ERROR_CONNECT, "cannot connect");
    json_t *json = gh_json_read(body, error);
    REQUIRE("a JSON body", json != NULL);
    *status = 200;
    if (strcmp(path, "/v1/projects/demo/subscriptions/climate:pull") == 0)
        *status = answer_pull(platform, answer);
    else if (strcmp(path, "/v1/projects/demo/subscriptions/climate:acknowledge") == 0)
        CHECK("acknowledged", json_array_size(json_object_get(json, "ackIds")) > 0);
    else if (strstr(path, ":sendCommandToDevice") != NULL)
        *status = answer_command(platform, path, json, answer);
    else if (strcmp(method, "PUT") == 0 && strncmp(path, "/api/v1/tenants/demo/zones/", 27) == 0)
        json_object_set(platform->zones, path + 27, json);
    else
        CHECK(path, false);
    json_decref(json);
    return *status == 0 ? gh_error_set(error, GH_ERROR_TIMEOUT, "no answer in time") : GH_OK;
}

static const struct gh_service_transport transport = {.call = call};

static struct gh_service *open_service(struct platform *platform, const char *state)
{
    struct gh_error error = {0};
    struct gh_service_options options = {.project = "demo",
                                         .location = "europe-west1",
                                         .registry = "warehouse",
                                         .tenant = "demo",
                                         .subscription = "climate",
                                         .state_file = state};
    struct gh_service *service = gh_service_open(&options, &transport, platform, &error);
    REQUIRE("a service", service != NULL);
    return service;
}

static struct platform open_platform(const struct gh_weather *weather, const char *start,
                                     char state[512])
{
    static int run;
    struct platform platform = {.now_ms = INT64_C(1780000000000),
                                .speed = 60,
                                .queue = json_array(),
                                .zones = json_object()};
    int64_t start_ms;
    REQUIRE(start, gh_time_parse(gh_slice_text(start), &start_ms));
    platform.site = gh_site_open(weather, start_ms, 5);
    REQUIRE("a site", platform.site != NULL);
    snprintf(state, 512, "%s/%d-%s", check_folder(), run++, state_name);
    return platform;
}

static void close_platform(struct platform *platform)
{
    gh_site_close(platform->site);
    json_decref(platform->queue);
    json_decref(platform->zones);
}

struct watch {
    double min_c, max_c;
    unsigned commanded, watched; /* machine seconds under command, and all */
};

/* So many real seconds, a turn for each. */
static void run(struct platform *platform, struct gh_service *service, int seconds,
                struct watch *watch)
{
    watch->min_c = INFINITY;
    watch->max_c = -INFINITY;
    watch->commanded = watch->watched = 0;
    for (int second = 0; second < seconds; second++) {
        pass(platform, 1000);
        if (service != NULL)
            gh_service_turn(service, platform->now_ms);
        for (unsigned hall = 0; hall < GH_SITE_HALLS; hall++) {
            watch->min_c = fmin(watch->min_c, gh_site_hall(platform->site, hall).air_c);
            watch->max_c = fmax(watch->max_c, gh_site_hall(platform->site, hall).air_c);
            for (int unit = 0; unit < GH_UNIT_COUNT; unit++) {
                watch->watched++;
                watch->commanded +=
                    gh_site_actuator(platform->site, hall, (enum gh_unit)unit)->commanded;
            }
        }
    }
}

static bool has_alarm(const struct platform *platform, const char *zone, const char *text)
{
    json_t *alarms = json_object_get(json_object_get(platform->zones, zone), "alarms");
    for (size_t i = 0; i < json_array_size(alarms); i++) {
        struct gh_slice found = {0};
        if (gh_json_text(json_array_get(alarms, i), "text", &found) &&
            gh_slice_equal(found, gh_slice_text(text)))
            return true;
    }
    return false;
}

/* A day of winter and one of summer at sixtyfold time; open doors let the air swing. */
static void check_days(const struct gh_weather *weather)
{
    static const char *const starts[] = {"2026-01-12T06:00:00Z", "2026-07-13T06:00:00Z"};
    for (size_t i = 0; i < GH_COUNT(starts); i++) {
        char state[512];
        struct watch watch;
        struct platform platform = open_platform(weather, starts[i], state);
        struct gh_service *service = open_service(&platform, state);
        run(&platform, service, 24 * SECONDS_PER_HOUR, &watch);
        printf("%s: %.1f to %.1f C\n", starts[i], watch.min_c, watch.max_c);
        CHECK(starts[i], watch.min_c > 13.5 && watch.max_c < 26);
        CHECK("machines are commanded nearly always", watch.commanded > watch.watched * 98 / 100);
        CHECK("three zones are shown", json_object_size(platform.zones) == 3);
        json_t *zone = json_object_get(platform.zones, "hall-2");
        double speed = 0;
        struct gh_slice mode = {0};
        CHECK("at sixtyfold time", gh_json_number(zone, "speed", &speed) && fabs(speed - 60) < 2);
        CHECK("in auto",
              gh_json_text(zone, "mode", &mode) && gh_slice_equal(mode, GH_SLICE("auto")));
        CHECK("with probes and machines",
              json_array_size(json_object_get(zone, "probes")) == 3 &&
                  json_array_size(json_object_get(zone, "equipment")) == 4);
        CHECK("no message was refused", gh_service_counts(service).refused_messages == 0);
        CHECK("no command was sent twice for nothing", platform.repeated == 0);
        gh_service_close(service);
        close_platform(&platform);
    }
}

/* Answers of commands are lost, and the back end is killed and started at random moments: each
 * number is obeyed once, and a restart does not begin numbers anew. */
static void check_lost_answers_and_restarts(const struct gh_weather *weather)
{
    char state[512];
    struct watch watch;
    struct platform platform = open_platform(weather, "2026-01-12T06:00:00Z", state);
    platform.lose_every = 3;
    int64_t last = 0;
    for (int start = 0; start < 12; start++) {
        struct gh_service *service = open_service(&platform, state);
        run(&platform, service, 20 + 7 * start, &watch);
        int64_t sequence = gh_site_actuator(platform.site, 0, GH_UNIT_HEATING)->sequence;
        CHECK("numbers grow over restarts", sequence >= last);
        last = sequence;
        gh_service_close(service);
    }
    CHECK("answers were lost", platform.repeated > 0);
    CHECK("every number was obeyed once", platform.obeyed + platform.repeated == platform.commands);
    CHECK("machines are commanded", watch.commanded > watch.watched * 9 / 10);
    close_platform(&platform);
}

/* The state file is of yesterday: the machine's own number is taken up. */
static void check_old_state(const struct gh_weather *weather)
{
    char state[512];
    struct watch watch;
    struct platform platform = open_platform(weather, "2026-01-12T06:00:00Z", state);
    struct gh_service *service = open_service(&platform, state);
    run(&platform, service, 120, &watch);
    gh_service_close(service);
    REQUIRE("the file is lost", remove(state) == 0);
    service = open_service(&platform, state);
    run(&platform, service, 120, &watch);
    CHECK("machines obey the new one", watch.commanded > watch.watched * 9 / 10);
    gh_service_close(service);
    close_platform(&platform);
}

static void check_platform_away(const struct gh_weather *weather)
{
    char state[512];
    struct watch watch;
    struct platform platform = open_platform(weather, "2026-01-12T06:00:00Z", state);
    struct gh_service *service = open_service(&platform, state);
    run(&platform, service, 60, &watch);
    platform.away = true;
    platform.calls = 0;
    run(&platform, service, 24 * SECONDS_PER_HOUR, &watch);
    CHECK("away a day: machines hold the goods by themselves",
          watch.min_c > 14.5 && watch.max_c < 25.5);
    CHECK("and the back end asks less and less", platform.calls < 80);
    platform.away = false;
    run(&platform, service, 2 * SECONDS_PER_HOUR, &watch);
    run(&platform, service, 60, &watch);
    CHECK("back: commands again", watch.commanded > watch.watched * 9 / 10);

    static const int statuses[] = {401, 403, 404, 429, 500, 503};
    for (size_t i = 0; i < GH_COUNT(statuses); i++) {
        platform.refuse = statuses[i];
        platform.calls = 0;
        run(&platform, service, 120, &watch);
        CHECK("refused: asked a few times", platform.calls >= 3 && platform.calls < 15);
        platform.refuse = 0;
        run(&platform, service, 60, &watch);
    }
    run(&platform, service, 30, &watch);
    CHECK("and all is well again", watch.commanded > watch.watched * 9 / 10);

    platform.unreachable = true;
    platform.commands = 0;
    run(&platform, service, 300, &watch);
    CHECK("devices away: commands wait longer and longer", platform.commands < 12 * 25);
    platform.unreachable = false;
    run(&platform, service, 120, &watch);
    run(&platform, service, 30, &watch);
    CHECK("devices back", watch.commanded > watch.watched * 9 / 10);
    gh_service_close(service);
    close_platform(&platform);
}

static void check_alarms(const struct gh_weather *weather)
{
    char state[512];
    struct watch watch;
    struct gh_error error;
    struct platform platform = open_platform(weather, "2026-01-12T06:00:00Z", state);
    REQUIRE("fault",
            gh_site_add_fault(platform.site, "hall-1-climate-a=silent@3600-36000", &error) &&
                gh_site_add_fault(platform.site, "hall-2-climate-a=silent@3600", &error) &&
                gh_site_add_fault(platform.site, "hall-2-climate-b=silent@3600", &error) &&
                gh_site_add_fault(platform.site, "hall-3-heating=dead@3600", &error));
    struct gh_service *service = open_service(&platform, state);
    run(&platform, service, 60, &watch);
    CHECK("nothing yet", !has_alarm(&platform, "hall-1", "hall-1-climate-a is silent"));
    run(&platform, service, 120, &watch);
    CHECK("a silent probe", has_alarm(&platform, "hall-1", "hall-1-climate-a is silent"));
    struct gh_slice mode = {0};
    gh_json_text(json_object_get(platform.zones, "hall-1"), "mode", &mode);
    CHECK("the other one is enough", gh_slice_equal(mode, GH_SLICE("auto")));
    gh_json_text(json_object_get(platform.zones, "hall-2"), "mode", &mode);
    CHECK("both silent is fallback", gh_slice_equal(mode, GH_SLICE("fallback")));
    run(&platform, service, 600, &watch);
    CHECK("it speaks again", !has_alarm(&platform, "hall-1", "hall-1-climate-a is silent"));
    run(&platform, service, 24 * SECONDS_PER_HOUR, &watch);
    CHECK("a machine without effect",
          has_alarm(&platform, "hall-3", "hall-3-heating is on without effect"));
    CHECK("only there", !has_alarm(&platform, "hall-1", "hall-1-heating is on without effect"));
    CHECK("a hall by duty table keeps from frost and heat",
          gh_site_hall(platform.site, 1).air_c > 8 && gh_site_hall(platform.site, 1).air_c < 30);
    gh_service_close(service);
    close_platform(&platform);
}

/* What devices send is not always what it should be. */
static void check_messages(const struct gh_weather *weather)
{
    static const char *const wrong[] = {
        "",
        "[]",
        "{",
        "{\"temperature_c\":20}",
        "{\"temperature_c\":\"20\",\"humidity_pct\":50,\"site_time\":\"2026-01-12T09:00:00Z\"}",
        "{\"temperature_c\":900,\"humidity_pct\":50,\"site_time\":\"2026-01-12T09:00:00Z\"}",
        "{\"temperature_c\":20,\"humidity_pct\":50,\"site_time\":\"yesterday\"}",
    };
    char state[512];
    struct watch watch;
    struct platform platform = open_platform(weather, "2026-01-12T06:00:00Z", state);
    struct gh_service *service = open_service(&platform, state);
    run(&platform, service, 10, &watch);
    for (size_t i = 0; i < GH_COUNT(wrong); i++) {
        uint8_t encoded[512];
        struct gh_buffer data = gh_buffer_fixed(encoded, sizeof encoded);
        REQUIRE("encoded", gh_base64_encode(gh_slice_text(wrong[i]), GH_BASE64_STANDARD, &data));
        json_array_append_new(platform.queue,
                              json_pack("{s:s, s:{s:s%, s:s, s:{s:s}}}", "ackId", "x", "message",
                                        "data", data.data == NULL ? "" : (const char *)data.data,
                                        data.size, "publishTime", "2026-06-01T00:00:00Z",
                                        "attributes", "deviceId", "hall-1-climate-a"));
    }
    json_array_append_new(platform.queue, json_pack("{s:s, s:s}", "ackId", "x", "message", "none"));
    run(&platform, service, 10, &watch);
    CHECK("wrong messages are counted",
          gh_service_counts(service).refused_messages == GH_COUNT(wrong));
    CHECK("and change nothing", watch.commanded > 0);
    gh_service_close(service);
    close_platform(&platform);

    struct gh_error error;
    struct gh_service_options options = {.tenant = "demo", .state_file = state};
    FILE *file = fopen(state, "w");
    REQUIRE("a file", file != NULL);
    fputs("{\"version\":1,\"zones\":[{\"zone\":7}]}", file);
    fclose(file);
    CHECK("a damaged state file is said, not overwritten",
          gh_service_open(&options, &transport, NULL, &error) == NULL);
}

int main(void)
{
    struct gh_error error;
    struct gh_weather *weather = gh_weather_open_demo(&error);
    REQUIRE("weather", weather != NULL);
    gh_log_set_level(GH_LOG_ERROR);
    check_days(weather);
    check_lost_answers_and_restarts(weather);
    check_old_state(weather);
    check_platform_away(weather);
    check_alarms(weather);
    check_messages(weather);
    gh_weather_close(weather);
    return check_report();
}
