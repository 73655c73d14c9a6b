#include "identity/delay.h"
#include "tests/check.h"
#include <stdio.h>

static const struct gh_slice alice = GH_SLICE_INIT("account alice"),
                             bob = GH_SLICE_INIT("account bob");

static void doubles(void)
{
    static const int64_t waits_s[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300};
    struct gh_delays delays;
    int64_t now_ms = 1000;

    gh_delays_init(&delays, 16);
    CHECK("nobody waits at first", gh_delays_wait_ms(&delays, alice, now_ms) == 0);
    for (size_t i = 0; i < GH_COUNT(waits_s); i++) {
        gh_delays_wrong(&delays, alice, now_ms);
        CHECK("the wait doubles up to 300 s",
              gh_delays_wait_ms(&delays, alice, now_ms) == waits_s[i] * 1000);
        CHECK("others do not wait", gh_delays_wait_ms(&delays, bob, now_ms) == 0);
        now_ms += waits_s[i] * 1000;
        CHECK("it ends by itself", gh_delays_wait_ms(&delays, alice, now_ms) == 0);
        CHECK("and not a millisecond earlier", gh_delays_wait_ms(&delays, alice, now_ms - 1) == 1);
    }
    gh_delays_clear(&delays, alice);
    gh_delays_wrong(&delays, alice, now_ms);
    CHECK("cleared, it begins anew", gh_delays_wait_ms(&delays, alice, now_ms) == 1000);
    gh_delays_wrong(&delays, alice, now_ms += 1000);
    gh_delays_wrong(&delays, alice, now_ms += GH_DELAY_FORGET_MS);
    CHECK("a quarter of an hour clears too", gh_delays_wait_ms(&delays, alice, now_ms) == 1000);
    gh_delays_deinit(&delays);
}

static void bounded(void)
{
    struct gh_delays delays;
    char name[32];

    gh_delays_init(&delays, 4);
    gh_delays_wrong(&delays, alice, 0);
    for (int i = 0; i < 1000; i++) {
        int size = snprintf(name, sizeof name, "source %d", i);
        gh_delays_wrong(&delays, gh_slice(name, (size_t)size), i);
        CHECK("the table keeps its bound", delays.names.count <= 4);
        if (i < 2)
            CHECK("the quiet ones stay while there is room",
                  gh_delays_wait_ms(&delays, alice, 1) > 0);
    }
    CHECK("the one that was quiet for longest is forgotten",
          gh_delays_wait_ms(&delays, alice, 999) == 0);
    CHECK("the last one is not", gh_delays_wait_ms(&delays, GH_SLICE("source 999"), 999) > 0);
    CHECK("nor the fourth last", gh_delays_wait_ms(&delays, GH_SLICE("source 996"), 999) > 0);
    CHECK("but the fifth last", gh_delays_wait_ms(&delays, GH_SLICE("source 995"), 999) == 0);
    gh_delays_deinit(&delays);
}

int main(void)
{
    doubles();
    bounded();
    return check_report();
}
