#include "apps/climate/model/calendar.h"
#include "base/slice.h"
#include "base/time.h"
#include "tests/check.h"
#include <math.h>
#include <string.h>

static const struct {
    const char *time;
    unsigned weekday;
    double year_hour;
    bool occupied;
    const char *season;
} cases[] = {
    {"1970-01-01T00:00:00Z", 3, 0, false, "winter"},
    {"2018-01-01T07:00:00Z", 0, 7, true, "winter"},
    {"2018-01-01T06:59:59.999Z", 0, 6.9999997, false, "winter"},
    {"2018-01-01T19:00:00Z", 0, 19, false, "winter"},
    {"2018-01-06T12:00:00Z", 5, 5 * 24 + 12, false, "winter"},
    {"2024-02-29T12:00:00Z", 3, 58 * 24 - 24 + 12 + 24, true, "winter"},
    {"2024-03-01T00:00:00Z", 4, 59 * 24, false, "spring"},
    {"2026-06-15T12:30:00Z", 0, 165 * 24 + 12.5, true, "summer"},
    {"2026-09-01T00:00:00Z", 1, 243 * 24, false, "autumn"},
    {"2026-12-31T23:59:59Z", 3, 364 * 24 + 23.999722, false, "winter"},
    {"1969-12-31T12:00:00Z", 2, 364 * 24 + 12, true, "winter"},
};

int main(void)
{
    for (size_t i = 0; i < GH_COUNT(cases); i++) {
        int64_t ms;
        REQUIRE(cases[i].time, gh_time_parse(gh_slice_text(cases[i].time), &ms));
        struct gh_calendar now = gh_calendar_at(ms);
        CHECK(cases[i].time, now.weekday == cases[i].weekday);
        CHECK(cases[i].time, fabs(now.year_hour - cases[i].year_hour) < 1e-3);
        CHECK(cases[i].time, gh_calendar_occupied(&now) == cases[i].occupied);
        CHECK(cases[i].time,
              strcmp(gh_season_name(gh_calendar_season(&now)), cases[i].season) == 0);
        CHECK(cases[i].time, gh_calendar_ms(now.year, now.month, now.day) <= ms &&
                                 ms - gh_calendar_ms(now.year, now.month, now.day) < 86400000);
    }
    return check_report();
}
