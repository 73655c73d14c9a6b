#include "route/rate.h"
#include "tests/check.h"

static bool take(struct gh_rates *rates, uint64_t number, enum gh_rate_kind kind, int64_t now_ms)
{
    return gh_rates_take(rates, &(struct gh_rate_thing){1, number, kind}, now_ms);
}

/* One device at a ceiling of two a second. */
static void keeps_the_rate(void)
{
    static const struct {
        const char *claim;
        int64_t at_ms;
        bool within;
    } rows[] = {
        {"the first", 10000, true},
        {"and one more at once", 10000, true},
        {"a third is over", 10000, false},
        {"what was refused does not count", 10499, false},
        {"half a second makes room for one", 10500, true},
        {"for one", 10500, false},
        {"a clock that goes back begins anew", 5000, true},
        {"a long rest fills the bucket", 90000, true},
        {"to two", 90000, true},
        {"and no more", 90000, false},
    };
    const struct gh_rate ceilings[GH_RATE_KIND_COUNT] = {
        [GH_RATE_STATES] = {2, 1000}, [GH_RATE_HTTP_EVENTS] = {0, 1000}};
    struct gh_rates *rates = gh_rates_open(ceilings);
    REQUIRE("rates", rates != NULL);
    for (size_t i = 0; i < GH_COUNT(rows); i++)
        CHECK(rows[i].claim, take(rates, 7, GH_RATE_STATES, rows[i].at_ms) == rows[i].within);
    CHECK("another device has its own", take(rates, 8, GH_RATE_STATES, 90000));
    for (size_t i = 0; i < 10; i++)
        CHECK("0 is no ceiling", take(rates, 7, GH_RATE_HTTP_EVENTS, 90000));
    gh_rates_close(rates);
}

static void compat_is_as_documented(void)
{
    struct gh_rates *rates = gh_rates_open(gh_rates_compat);
    size_t events = 0;
    REQUIRE("rates", rates != NULL);
    CHECK("one state", take(rates, 1, GH_RATE_STATES, 1000));
    CHECK("not two in a second", !take(rates, 1, GH_RATE_STATES, 1999));
    CHECK("the next one after it", take(rates, 1, GH_RATE_STATES, 2000));
    while (take(rates, 1, GH_RATE_HTTP_EVENTS, 1000))
        events++;
    CHECK("6,000 events a minute", events == 6000);
    gh_rates_close(rates);
}

/* Bytes, 1,000 a second. */
static void what_is_over_delays_the_next(void)
{
    static const struct {
        const char *claim;
        uint32_t amount;
        int64_t at_ms, wait_ms;
    } rows[] = {
        {"less than a second's worth delays nothing", 600, 10000, 0},
        {"what is over is to be waited for, and one more", 2600, 10000, 2201},
        {"time makes room", 0, 12200, 1},
        {"all of it", 0, 12201, 0},
        {"what is charged while it waits adds to it", 3000, 11900, 3301},
        {"a clock that is set back a little is waited for", 0, 11500, 3701},
        {"and one that is set back far begins anew", 100, 5000, 0},
    };
    const struct gh_rate ceilings[GH_RATE_KIND_COUNT] = {[GH_RATE_BYTES_IN] = {1000, 1000}};
    const struct gh_rate_thing bytes = {1, 7, GH_RATE_BYTES_IN};
    struct gh_rates *rates = gh_rates_open(ceilings);
    REQUIRE("rates", rates != NULL);
    for (size_t i = 0; i < GH_COUNT(rows); i++)
        CHECK(rows[i].claim,
              gh_rates_charge_ms(rates, &bytes, rows[i].amount, rows[i].at_ms) == rows[i].wait_ms);
    CHECK("0 is no ceiling",
          gh_rates_charge_ms(rates, &(struct gh_rate_thing){1, 7, GH_RATE_STATES}, UINT32_MAX,
                             5000) == 0);
    gh_rates_close(rates);
}

static size_t how_many(struct gh_rates *rates, int64_t tenant, enum gh_rate_kind kind)
{
    size_t count = 0;
    while (count < 100000 && gh_rates_take(rates, &(struct gh_rate_thing){tenant, 0, kind}, 1000))
        count++;
    return count;
}

static void tenants_have_their_own(void)
{
    struct gh_rates *rates = gh_rates_open(gh_rates_compat);
    uint32_t counts[GH_RATE_KIND_COUNT];
    REQUIRE("rates", rates != NULL);
    CHECK("as documented", how_many(rates, 1, GH_RATE_CHANGES) == 3000 &&
                               how_many(rates, 1, GH_RATE_CONFIGS) == 6000 &&
                               how_many(rates, 1, GH_RATE_READS) == 30000 &&
                               how_many(rates, 1, GH_RATE_REQUESTS) == 60000);
    CHECK("each tenant has its bucket", how_many(rates, 2, GH_RATE_CHANGES) == 3000);
    gh_rates_counts(rates, 3, counts);
    counts[GH_RATE_CHANGES] = 7;
    counts[GH_RATE_READS] = 0;
    counts[GH_RATE_CONFIG_INTERVAL] = 50;
    REQUIRE("set", gh_rates_set(rates, 3, counts));
    CHECK("its own", how_many(rates, 3, GH_RATE_CHANGES) == 7);
    CHECK("none at all", how_many(rates, 3, GH_RATE_READS) == 100000);
    CHECK("an interval too", gh_rates_own(rates, 3, GH_RATE_CONFIG_INTERVAL) == 50 &&
                                 gh_rates_own(rates, 4, GH_RATE_CONFIG_INTERVAL) == 1000);
    CHECK("the others as before", how_many(rates, 3, GH_RATE_CONFIGS) == 6000 &&
                                      how_many(rates, 4, GH_RATE_CHANGES) == 3000);
    CHECK("taken back", gh_rates_set(rates, 3, NULL) && how_many(rates, 3, GH_RATE_READS) == 30000);
    gh_rates_counts(rates, 3, counts);
    CHECK("and so it is told", counts[GH_RATE_CHANGES] == 3000);
    gh_rates_close(rates);
}

static void forgets_full_buckets(void)
{
    struct gh_rates *rates = gh_rates_open(gh_rates_compat);
    REQUIRE("rates", rates != NULL);
    for (uint64_t device = 1; device <= 200000; device++)
        if (!take(rates, device, GH_RATE_STATES, 1000 + (int64_t)device * 10))
            CHECK("each device is within its rate", false);
    CHECK("memory follows the devices of the last second", gh_rates_count(rates) < 50000);
    gh_rates_close(rates);
}

int main(void)
{
    keeps_the_rate();
    compat_is_as_documented();
    what_is_over_delays_the_next();
    tenants_have_their_own();
    forgets_full_buckets();
    return check_report();
}
