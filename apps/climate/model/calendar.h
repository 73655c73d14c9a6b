/* The calendar of the site: hour of the typical year, working hours, season.
 *
 * Site time is milliseconds since 1970 read as UTC; the site has no daylight saving. Pure. Threads:
 * any. */
#ifndef GH_CLIMATE_CALENDAR_H
#define GH_CLIMATE_CALENDAR_H

#include <stdbool.h>
#include <stdint.h>

struct gh_calendar {
    int year;
    unsigned month, day; /* 1..12, 1..31 */
    unsigned weekday;    /* 0 Monday .. 6 Sunday */
    double hour;         /* 0 <= hour < 24 */
    double year_hour;    /* 0 <= year_hour < 8760; 29 February counts as the 28th */
};

struct gh_calendar gh_calendar_at(int64_t site_ms);
/* The first moment of a day. */
int64_t gh_calendar_ms(int year, unsigned month, unsigned day);

/* Work from 07 to 19 on five of seven days. */
bool gh_calendar_occupied(const struct gh_calendar *now);

enum gh_season { GH_SEASON_WINTER, GH_SEASON_SPRING, GH_SEASON_SUMMER, GH_SEASON_AUTUMN };
/* The season of a month: winter December to February, and so on. */
enum gh_season gh_calendar_season(const struct gh_calendar *now);
const char *gh_season_name(enum gh_season season);
#endif
