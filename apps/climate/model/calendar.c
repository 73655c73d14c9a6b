#include "apps/climate/model/calendar.h"
#include <assert.h>

static const unsigned days_before[13] = {0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
static const int64_t day_ms = INT64_C(86400000);

/* Days since 1970-01-01 and back, for the proleptic Gregorian calendar in eras of 400 years. */
static int64_t days_of(int64_t year, unsigned month, unsigned day)
{
    int64_t shifted =
        month <= 2 ? year - 1 : year; /* the year begins in March: leap days come last */
    int64_t era = (shifted >= 0 ? shifted : shifted - 399) / 400;
    int64_t year_of_era = shifted - era * 400;
    int64_t month_from_march = month > 2 ? (int64_t)month - 3 : (int64_t)month + 9;
    int64_t day_of_year = (153 * month_from_march + 2) / 5 + (int64_t)day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static void date_of(int64_t days, struct gh_calendar *out)
{
    int64_t shifted = days + 719468;
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t day_of_era = shifted - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    out->day = (unsigned)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    out->month = (unsigned)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    out->year = (int)(year_of_era + era * 400 + (out->month <= 2 ? 1 : 0));
}

struct gh_calendar gh_calendar_at(int64_t site_ms)
{
    struct gh_calendar now = {0};
    int64_t days = site_ms / day_ms, rest = site_ms % day_ms;
    if (rest < 0) {
        rest += day_ms;
        days--;
    }
    date_of(days, &now);
    now.weekday = (unsigned)(((days + 3) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
    now.hour = (double)rest / 3.6e6;
    unsigned day = now.month == 2 && now.day == 29 ? 28 : now.day;
    now.year_hour = 24.0 * (double)(days_before[now.month] + day - 1) + now.hour;
    assert(now.year_hour < 8760.0);
    return now;
}

int64_t gh_calendar_ms(int year, unsigned month, unsigned day)
{
    return days_of(year, month, day) * day_ms;
}

bool gh_calendar_occupied(const struct gh_calendar *now)
{
    return now->weekday < 5 && now->hour >= 7.0 && now->hour < 19.0;
}

enum gh_season gh_calendar_season(const struct gh_calendar *now)
{
    return (enum gh_season)(now->month % 12 / 3);
}

const char *gh_season_name(enum gh_season season)
{
    static const char *const names[] = {"winter", "spring", "summer", "autumn"};
    return names[season];
}
