/* The weather of a typical year, hour by hour, as a function of site time.
 *
 * A file is a table with the columns hour, month, day, Tdb_C, Tdp_C, RH_pct, P_Pa, GHI_Wm2 (others
 * are ignored) and 8760 rows from 1 January; 29 February repeats the 28th. Site time is the clock
 * of the file: UTC milliseconds whose calendar is read as the file's own hours. Between two hours
 * values are linear. Not a forecast. Threads: any number may read one weather. */
#ifndef GH_CLIMATE_WEATHER_H
#define GH_CLIMATE_WEATHER_H

#include "base/error.h"

struct gh_weather;

struct gh_weather_point {
    double temperature_c, dew_point_c, humidity; /* fraction */
    double w;                                    /* kg/kg at the station's pressure */
    double pressure_pa, ghi_wm2;
};

enum { GH_WEATHER_HOURS = 8760 };

/* NULL with `error` when the file is not such a table. */
GH_MUST_USE struct gh_weather *gh_weather_open(const char *path, struct gh_error *error);
/* The year that is built in: the Po valley, data/weather_45N8E_pvgis_tmy.tsv. */
GH_MUST_USE struct gh_weather *gh_weather_open_demo(struct gh_error *error);
void gh_weather_close(struct gh_weather *weather);

/* The row of an hour of the year, 0..8759, as it stands in the file. */
struct gh_weather_point gh_weather_hour(const struct gh_weather *weather, unsigned hour);
/* Between the hours. */
struct gh_weather_point gh_weather_at(const struct gh_weather *weather, int64_t site_ms);
#endif
