/* Time: monotonic nanoseconds inside, UTC at the edges. Protocol cores take the time as an argument
 * and call nothing here; the rim reads the clocks. UTC is milliseconds since 1970 without leap
 * seconds. Threads: any. */
#ifndef GH_BASE_TIME_H
#define GH_BASE_TIME_H

#include "base/slice.h"

#define GH_MS_NS INT64_C(1000000)
#define GH_SECOND_NS INT64_C(1000000000)

int64_t gh_time_monotonic_ns(void);
int64_t gh_time_utc_ms(void);

enum { GH_TIME_TEXT_MAX = 32 };
/* RFC 3339 in UTC with three digits of milliseconds, "2026-11-24T03:30:00.000Z", NUL-terminated;
 * years 0001 to 9999, others are cut to that range. Returns `out`. */
char *gh_time_print(int64_t utc_ms, char out[GH_TIME_TEXT_MAX]);
/* RFC 3339 with 0 to 9 fraction digits, Z or an offset; a leap second counts as the next second. */
GH_MUST_USE bool gh_time_parse(struct gh_slice text, int64_t *utc_ms);
#endif
