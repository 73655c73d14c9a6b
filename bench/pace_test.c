#include "base/time.h"
#include "bench/pace.h"
#include "tests/check.h"

#define SECOND GH_SECOND_NS

static const struct {
    const char *claim;
    uint64_t rate, publishers;
    size_t publisher;
    uint64_t own;
    int64_t after_ns; /* the start */
} moments[] = {
    {"the first is due at the start", 20000, 50, 0, 0, 0},
    {"the next publisher's first, one interval later", 20000, 50, 1, 0, 50000},
    {"a publisher's second, a whole turn of them later", 20000, 50, 0, 1, 2500000},
    {"the last publisher's first", 20000, 50, 49, 0, 2450000},
    {"one publisher, one a second", 1, 1, 0, 7, 7 * SECOND},
    {"an interval that is no whole number is cut", 3, 1, 0, 1, 333333333},
    {"and does not add up: a second is a second", 3, 1, 0, 3, SECOND},
    {"more than one a nanosecond", 2000000000, 1, 0, 3, 1},
    {"a year of them", 20000, 50, 3, UINT64_C(31536000) * 400, 31536000 * SECOND + 150000},
};

static void dues(void)
{
    for (size_t i = 0; i < GH_COUNT(moments); i++) {
        struct pace pace = {
            .start_ns = 12345, .rate = moments[i].rate, .publishers = moments[i].publishers};
        CHECK(moments[i].claim, pace_due_ns(&pace, moments[i].publisher, moments[i].own) ==
                                    12345 + moments[i].after_ns);
    }
}

static const struct {
    const char *claim;
    int64_t now_ns;    /* after the start */
    uint64_t released; /* by all calls up to here */
    int64_t next_ns;
} steps[] = {
    {"nothing before the start", -1, 0, 0},
    {"one at the start", 0, 1, 100000},
    {"none a nanosecond early", 99999, 1, 100000},
    {"one in its nanosecond", 100000, 2, 200000},
    {"after a stall all that became due meanwhile", 1000000, 11, 1100000},
    {"the clock stands", 1000000, 11, 1100000},
};

static void releases(void)
{
    enum { PUBLISHERS = 4 };
    struct pace pace = {.start_ns = 5 * SECOND, .rate = 10000, .publishers = PUBLISHERS};
    uint64_t own[PUBLISHERS] = {0}, count = 0;
    for (size_t i = 0; i < GH_COUNT(steps); i++) {
        for (size_t publisher; pace_release(&pace, pace.start_ns + steps[i].now_ns, &publisher);) {
            CHECK("publishers take turns", publisher == count++ % PUBLISHERS);
            CHECK("it is released", pace_has_released(&pace, publisher, own[publisher]));
            own[publisher]++;
            CHECK("its next is not", !pace_has_released(&pace, publisher, own[publisher]));
        }
        CHECK(steps[i].claim, count == steps[i].released && pace.released == count);
        CHECK("when the next is due", pace_next_ns(&pace) == pace.start_ns + steps[i].next_ns);
    }
}

int main(void)
{
    dues();
    releases();
    return check_report();
}
