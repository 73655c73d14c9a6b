/* Any bytes as telemetry of each kind of device, and as a saved state: the core goes on deciding.
 */
#include "apps/climate/backend/core.h"
#include "wire/json.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A restored core learns the time from two messages and hears of its machines. */
static void feed(struct gh_core *core)
{
    static const char *const sends[][2] = {
        {"site-weather",
         "{\"temperature_c\":5,\"humidity_pct\":80,\"site_time\":\"2026-01-12T06:00:00Z\"}"},
        {"hall-1-climate-a",
         "{\"temperature_c\":14,\"humidity_pct\":70,\"site_time\":\"2026-01-12T06:04:00Z\"}"},
        {"hall-1-heating",
         "{\"level\":1,\"stages\":2,\"power_w\":1,\"command\":\"\",\"sequence\":3,"
         "\"mode\":\"local\",\"site_time\":\"2026-01-12T06:05:00Z\"}"},
    };
    struct gh_error error;
    for (size_t i = 0; i < GH_COUNT(sends); i++)
        gh_core_take(core, gh_slice_text(sends[i][0]), gh_slice_text(sends[i][1]),
                     1000 + (int64_t)i * 4000, &error);
}

static void use(struct gh_core *core)
{
    struct gh_core_command command;
    for (int64_t now_ms = 1000; now_ms <= 20000; now_ms += 5000) {
        gh_core_step(core, now_ms);
        for (size_t at = 0; gh_core_due(core, now_ms, &at, &command);)
            gh_core_sent(core, &command, GH_CORE_UNKNOWN, now_ms);
    }
    for (size_t i = 0; i < gh_core_zones(core); i++)
        json_decref(gh_core_zone(core, i, 20000));
    json_decref(gh_core_save(core));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const devices[] = {"hall-1-climate-a", "hall-1-air", "hall-1-heating",
                                          "site-weather"};
    struct gh_error error;
    struct gh_slice bytes = gh_slice(data, size);
    struct gh_core *core = gh_core_open("demo", 1), *restored = gh_core_open("demo", 1);
    assert(core != NULL && restored != NULL);
    for (size_t i = 0; i < GH_COUNT(devices); i++)
        gh_core_take(core, gh_slice_text(devices[i]), bytes, 1000 + (int64_t)i * 4000, &error);
    use(core);
    json_t *saved = gh_json_read(bytes, &error);
    if (saved != NULL && gh_core_restore(restored, saved, &error)) {
        feed(restored);
        use(restored);
    }
    json_decref(saved);
    gh_core_close(core);
    gh_core_close(restored);
    return 0;
}
