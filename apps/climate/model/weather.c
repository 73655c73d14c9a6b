#include "apps/climate/model/weather.h"
#include "apps/climate/model/calendar.h"
#include "apps/climate/model/psychro.h"
#include "apps/climate/model/table.h"
#include <assert.h>
#include <stdlib.h>

struct gh_weather {
    struct gh_weather_point hours[GH_WEATHER_HOURS];
};

/* The demo's year, as the file stands in the tree, so that the programs run from any folder. The
 * build names the file. */
__asm__(".section .rodata\n"
        "demo_begin: .incbin \"" GH_WEATHER_DEMO_FILE "\"\n"
        "demo_end: .byte 0\n"
        ".previous\n");
extern const uint8_t demo_begin[] __attribute__((visibility("hidden")));
extern const uint8_t demo_end[] __attribute__((visibility("hidden")));

enum { FILE_BYTES_MAX = 4 * 1024 * 1024 };

/* The columns read, with the range in which a value can be weather at all. */
enum column { DRY_BULB, DEW_POINT, HUMIDITY, PRESSURE, IRRADIANCE, COLUMN_COUNT };
static const struct {
    const char *name;
    double min, max;
} columns[COLUMN_COUNT] = {
    [DRY_BULB] = {"Tdb_C", -60, 60},     [DEW_POINT] = {"Tdp_C", -80, 45},
    [HUMIDITY] = {"RH_pct", 0, 110},     [PRESSURE] = {"P_Pa", 50e3, 110e3},
    [IRRADIANCE] = {"GHI_Wm2", 0, 1500},
};

static bool read_row(const struct gh_table *table, size_t row, const size_t at[COLUMN_COUNT],
                     struct gh_weather_point *out, struct gh_error *error)
{
    double value[COLUMN_COUNT];
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        if (!gh_table_number(table, row, at[i], &value[i]) || value[i] < columns[i].min ||
            value[i] > columns[i].max) {
            gh_error_set(error, GH_ERROR_FILE,
                         "weather row %zu: %s is '%s', not a number in %g..%g", row + 1,
                         columns[i].name, gh_table_text(table, row, at[i]), columns[i].min,
                         columns[i].max);
            return false;
        }
    }
    double vapour_pa = value[HUMIDITY] / 100.0 * gh_psychro_saturation_pa(value[DRY_BULB]);
    *out = (struct gh_weather_point){
        .temperature_c = value[DRY_BULB],
        .dew_point_c = value[DEW_POINT],
        .humidity = value[HUMIDITY] / 100.0,
        .w = 0.621945 * vapour_pa / (value[PRESSURE] - vapour_pa),
        .pressure_pa = value[PRESSURE],
        .ghi_wm2 = value[IRRADIANCE],
    };
    return true;
}

static bool read_table(const struct gh_table *table, const char *path, struct gh_weather *weather,
                       struct gh_error *error)
{
    size_t at[COLUMN_COUNT];
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        if (!gh_table_column(table, columns[i].name, &at[i])) {
            gh_error_set(error, GH_ERROR_FILE, "%s: there is no column %s", path, columns[i].name);
            return false;
        }
    }
    if (gh_table_rows(table) != GH_WEATHER_HOURS) {
        gh_error_set(error, GH_ERROR_FILE, "%s: %zu rows, a year of hours has %d", path,
                     gh_table_rows(table), GH_WEATHER_HOURS);
        return false;
    }
    for (size_t row = 0; row < GH_WEATHER_HOURS; row++) {
        if (!read_row(table, row, at, &weather->hours[row], error))
            return false;
    }
    return true;
}

/* Takes `table`. */
static struct gh_weather *weather_of(struct gh_table *table, const char *name,
                                     struct gh_error *error)
{
    if (table == NULL)
        return NULL;
    struct gh_weather *weather = calloc(1, sizeof *weather);
    if (weather == NULL) {
        gh_error_set(error, GH_ERROR_MEMORY, "%s: no memory for the year", name);
    } else if (!read_table(table, name, weather, error)) {
        free(weather);
        weather = NULL;
    }
    gh_table_close(table);
    return weather;
}

struct gh_weather *gh_weather_open(const char *path, struct gh_error *error)
{
    return weather_of(gh_table_open(path, FILE_BYTES_MAX, error), path, error);
}

struct gh_weather *gh_weather_open_demo(struct gh_error *error)
{
    const char *name = "the built-in weather";
    struct gh_slice text =
        gh_slice(demo_begin, (size_t)((uintptr_t)demo_end - (uintptr_t)demo_begin));
    return weather_of(gh_table_read(text, name, error), name, error);
}

void gh_weather_close(struct gh_weather *weather)
{
    free(weather);
}

struct gh_weather_point gh_weather_hour(const struct gh_weather *weather, unsigned hour)
{
    assert(hour < GH_WEATHER_HOURS);
    return weather->hours[hour];
}

static double between(double from, double to, double part)
{
    return from + (to - from) * part;
}

struct gh_weather_point gh_weather_at(const struct gh_weather *weather, int64_t site_ms)
{
    double year_hour = gh_calendar_at(site_ms).year_hour;
    unsigned hour = (unsigned)year_hour;
    double part = year_hour - (double)hour;
    const struct gh_weather_point *from = &weather->hours[hour];
    const struct gh_weather_point *to = &weather->hours[(hour + 1) % GH_WEATHER_HOURS];
    return (struct gh_weather_point){
        .temperature_c = between(from->temperature_c, to->temperature_c, part),
        .dew_point_c = between(from->dew_point_c, to->dew_point_c, part),
        .humidity = between(from->humidity, to->humidity, part),
        .w = between(from->w, to->w, part),
        .pressure_pa = between(from->pressure_pa, to->pressure_pa, part),
        .ghi_wm2 = between(from->ghi_wm2, to->ghi_wm2, part),
    };
}
