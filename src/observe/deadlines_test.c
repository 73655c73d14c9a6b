#include "observe/deadlines.h"
#include "tests/check.h"

static void keeps_the_order(void)
{
    struct gh_deadlines deadlines;
    uint64_t device = 0;
    gh_deadlines_init(&deadlines);
    CHECK("nothing is due", gh_deadlines_next(&deadlines) == INT64_MAX &&
                                !gh_deadlines_take(&deadlines, INT64_MAX, &device));
    REQUIRE("set", gh_deadlines_set(&deadlines, 1, 30) && gh_deadlines_set(&deadlines, 2, 10) &&
                       gh_deadlines_set(&deadlines, 3, 20));
    CHECK("the earliest is next", gh_deadlines_next(&deadlines) == 10);
    CHECK("not before its time", !gh_deadlines_take(&deadlines, 9, &device));
    REQUIRE("moved", gh_deadlines_set(&deadlines, 2, 40));
    gh_deadlines_remove(&deadlines, 3);
    gh_deadlines_remove(&deadlines, 99);
    CHECK("moved and removed", gh_deadlines_next(&deadlines) == 30 &&
                                   !gh_deadlines_has(&deadlines, 3) &&
                                   gh_deadlines_has(&deadlines, 2));
    CHECK("in order", gh_deadlines_take(&deadlines, 100, &device) && device == 1 &&
                          gh_deadlines_take(&deadlines, 100, &device) && device == 2 &&
                          !gh_deadlines_take(&deadlines, 100, &device));
    gh_deadlines_deinit(&deadlines);
}

/* Many set, moved and removed by a rule, against a plain table. */
static void agrees_with_a_table(void)
{
    enum { DEVICES = 500, STEPS = 20000 };
    static int64_t table[DEVICES]; /* 0: not set */
    struct gh_deadlines deadlines;
    uint64_t draw = 12345, device;
    gh_deadlines_init(&deadlines);
    for (int step = 0; step < STEPS; step++) {
        draw = draw * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        size_t at = (draw >> 33) % DEVICES;
        if ((draw >> 20) % 4 == 0) {
            gh_deadlines_remove(&deadlines, at + 1);
            table[at] = 0;
        } else {
            table[at] = 1 + (int64_t)((draw >> 40) % 10000);
            REQUIRE("set", gh_deadlines_set(&deadlines, at + 1, table[at]));
        }
    }
    int64_t last = 0;
    size_t left = 0;
    for (size_t i = 0; i < DEVICES; i++)
        left += table[i] != 0;
    CHECK("as many", left == deadlines.count);
    while (gh_deadlines_take(&deadlines, INT64_MAX, &device)) {
        CHECK("each once, in order", table[device - 1] >= last && table[device - 1] != 0);
        last = table[device - 1];
        table[device - 1] = 0;
        left--;
    }
    CHECK("all of them", left == 0);
    gh_deadlines_deinit(&deadlines);
}

int main(void)
{
    keeps_the_order();
    agrees_with_a_table();
    return check_report();
}
