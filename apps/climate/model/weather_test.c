#include "apps/climate/model/calendar.h"
#include "apps/climate/model/psychro.h"
#include "apps/climate/model/weather.h"
#include "tests/check.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The summaries that stand beside the files' sources. */
static const struct {
    const char *path;
    double min_c, max_c, mean_c, ghi_kwh;
    int hours_above_25, hours_below_0;
} years[] = {
    {"apps/climate/data/weather_chicago_tmy3.tsv", -22.8, 35.0, 9.99, 1407, 797, 1788},
    {"apps/climate/data/weather_45N8E_pvgis_tmy.tsv", -2.3, 34.3, 13.56, 1436, 721, 164},
};

static void check_year(size_t i)
{
    struct gh_error error;
    struct gh_weather *weather = gh_weather_open(years[i].path, &error);
    REQUIRE(years[i].path, weather != NULL);
    double min_c = 100, max_c = -100, sum_c = 0, ghi = 0;
    int warm = 0, cold = 0;
    for (unsigned hour = 0; hour < GH_WEATHER_HOURS; hour++) {
        struct gh_weather_point point = gh_weather_hour(weather, hour);
        min_c = fmin(min_c, point.temperature_c);
        max_c = fmax(max_c, point.temperature_c);
        sum_c += point.temperature_c;
        ghi += point.ghi_wm2 / 1000;
        warm += point.temperature_c > 25;
        cold += point.temperature_c < 0;
    }
    CHECK(years[i].path,
          fabs(min_c - years[i].min_c) < 1e-9 && fabs(max_c - years[i].max_c) < 1e-9);
    CHECK(years[i].path, fabs(sum_c / GH_WEATHER_HOURS - years[i].mean_c) < 0.01);
    CHECK(years[i].path, fabs(ghi - years[i].ghi_kwh) < 1);
    /* counted before the file's values were rounded to tenths */
    CHECK(years[i].path,
          abs(warm - years[i].hours_above_25) <= 5 && abs(cold - years[i].hours_below_0) <= 5);

    int64_t begin_ms = gh_calendar_ms(2026, 1, 1);
    struct gh_weather_point from = gh_weather_hour(weather, 0), to = gh_weather_hour(weather, 1);
    struct gh_weather_point half = gh_weather_at(weather, begin_ms + 1800000);
    CHECK("half an hour is half way",
          fabs(half.temperature_c - (from.temperature_c + to.temperature_c) / 2) < 1e-9);
    struct gh_weather_point last = gh_weather_at(weather, begin_ms - 1);
    CHECK("the year joins its beginning", fabs(last.temperature_c - from.temperature_c) < 1e-4);
    CHECK("29 February is the 28th again",
          fabs(gh_weather_at(weather, gh_calendar_ms(2024, 2, 29)).temperature_c -
               gh_weather_at(weather, gh_calendar_ms(2024, 2, 28)).temperature_c) < 1e-9);
    gh_weather_close(weather);
}

static bool opens(const char *header, const char *row, int rows)
{
    char path[512];
    struct gh_error error;
    snprintf(path, sizeof path, "%s/weather.tsv", check_folder());
    FILE *file = fopen(path, "w");
    REQUIRE("a file", file != NULL);
    fprintf(file, "%s\n", header);
    for (int i = 0; i < rows; i++)
        fprintf(file, "%s\n", row);
    fclose(file);
    struct gh_weather *weather = gh_weather_open(path, &error);
    gh_weather_close(weather);
    return weather != NULL;
}

int main(void)
{
    const char *header = "Tdb_C\tTdp_C\tRH_pct\tP_Pa\tGHI_Wm2", *row = "2.0\t1.2\t94\t99870\t0";
    for (size_t i = 0; i < GH_COUNT(years); i++)
        check_year(i);
    struct gh_error error;
    struct gh_weather *demo = gh_weather_open_demo(&error),
                      *file = gh_weather_open(years[1].path, &error);
    REQUIRE("both", demo != NULL && file != NULL);
    for (unsigned hour = 0; hour < GH_WEATHER_HOURS; hour++)
        CHECK("the built-in year is the file",
              fabs(gh_weather_hour(demo, hour).temperature_c -
                   gh_weather_hour(file, hour).temperature_c) <= 0);
    gh_weather_close(demo);
    gh_weather_close(file);
    CHECK("a year of hours", opens(header, row, GH_WEATHER_HOURS));
    CHECK("an hour short", !opens(header, row, GH_WEATHER_HOURS - 1));
    CHECK("an hour more", !opens(header, row, GH_WEATHER_HOURS + 1));
    CHECK("a column missing", !opens("Tdb_C\tTdp_C\tRH_pct\tP_Pa\tGHI", row, GH_WEATHER_HOURS));
    CHECK("kelvin", !opens(header, "275.1\t1.2\t94\t99870\t0", GH_WEATHER_HOURS));
    CHECK("hectopascal", !opens(header, "2.0\t1.2\t94\t998.7\t0", GH_WEATHER_HOURS));
    CHECK("a word", !opens(header, "cold\t1.2\t94\t99870\t0", GH_WEATHER_HOURS));
    return check_report();
}
