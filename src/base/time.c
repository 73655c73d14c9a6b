#include "base/time.h"
#include <stdio.h>
#include <time.h>

static int64_t read_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * GH_SECOND_NS + now.tv_nsec;
}

int64_t gh_time_monotonic_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t gh_time_utc_ms(void)
{
    return read_clock(CLOCK_REALTIME) / GH_MS_NS;
}

char *gh_time_print(int64_t utc_ms, char out[GH_TIME_TEXT_MAX])
{
    const int64_t first_ms = INT64_C(-62135596800000), last_ms = INT64_C(253402300799999);
    utc_ms = utc_ms < first_ms ? first_ms : utc_ms > last_ms ? last_ms : utc_ms;
    int64_t ms = utc_ms % 1000 < 0 ? utc_ms % 1000 + 1000 : utc_ms % 1000;
    time_t seconds = (time_t)((utc_ms - ms) / 1000);
    struct tm day;
    gmtime_r(&seconds, &day);
    size_t size = strftime(out, GH_TIME_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &day);
    snprintf(out + size, GH_TIME_TEXT_MAX - size, ".%03dZ", (int)ms);
    return out;
}

/* Exactly `count` digits of `text` from `from` on. */
static bool digits(struct gh_slice text, size_t from, size_t count, int low, int high, int *out)
{
    uint64_t value;
    struct gh_slice part = gh_slice_sub(text, from, count);
    if (part.size != count || !gh_slice_to_u64(part, &value) || value > INT32_MAX)
        return false;
    *out = (int)value;
    return *out >= low && *out <= high;
}

static bool fraction(struct gh_slice *rest, int *ms)
{
    int value = 0, scale = 100;
    size_t count = 0;
    *ms = 0;
    if (rest->size == 0 || rest->data[0] != '.')
        return true;
    for (count = 1; count < rest->size && rest->data[count] >= '0' && rest->data[count] <= '9';
         count++) {
        value += (rest->data[count] - '0') * scale;
        scale /= 10;
    }
    *ms = value;
    *rest = gh_slice_sub(*rest, count, rest->size);
    return count >= 2 && count <= 10;
}

static bool offset(struct gh_slice rest, int *minutes)
{
    int hour, minute;
    *minutes = 0;
    if (rest.size == 1)
        return rest.data[0] == 'Z' || rest.data[0] == 'z';
    if (rest.size != 6 || (rest.data[0] != '+' && rest.data[0] != '-') || rest.data[3] != ':' ||
        !digits(rest, 1, 2, 0, 23, &hour) || !digits(rest, 4, 2, 0, 59, &minute))
        return false;
    *minutes = (hour * 60 + minute) * (rest.data[0] == '-' ? -1 : 1);
    return true;
}

bool gh_time_parse(struct gh_slice text, int64_t *utc_ms)
{
    struct tm day = {0};
    int ms, minutes;
    if (text.size < 20 || text.data[4] != '-' || text.data[7] != '-' ||
        (text.data[10] != 'T' && text.data[10] != 't') || text.data[13] != ':' ||
        text.data[16] != ':' || !digits(text, 0, 4, 1, 9999, &day.tm_year) ||
        !digits(text, 5, 2, 1, 12, &day.tm_mon) || !digits(text, 8, 2, 1, 31, &day.tm_mday) ||
        !digits(text, 11, 2, 0, 23, &day.tm_hour) || !digits(text, 14, 2, 0, 59, &day.tm_min) ||
        !digits(text, 17, 2, 0, 60, &day.tm_sec))
        return false;
    struct gh_slice rest = gh_slice_sub(text, 19, text.size);
    if (!fraction(&rest, &ms) || !offset(rest, &minutes))
        return false;
    day.tm_year -= 1900;
    day.tm_mon -= 1;
    struct tm normal = day;
    time_t seconds = timegm(&normal);
    if (normal.tm_mday != day.tm_mday && day.tm_sec < 60) /* 31 April and the like */
        return false;
    *utc_ms = ((int64_t)seconds - (int64_t)minutes * 60) * 1000 + ms;
    return true;
}
