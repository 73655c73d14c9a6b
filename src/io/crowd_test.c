#include "io/crowd.h"
#include "tests/check.h"
#include <stdlib.h>

enum step_kind { ENTER, LEAVE };

/* At most two for each address. */
static const struct {
    const char *claim, *peer;
    enum step_kind kind;
    enum gh_crowd_verdict verdict;
    size_t addresses; /* afterwards */
} steps[] = {
    {"the first", "192.0.2.1:1", ENTER, GH_CROWD_COUNTED, 1},
    {"the second, from another port", "192.0.2.1:2", ENTER, GH_CROWD_COUNTED, 1},
    {"the third does not come in", "192.0.2.1:3", ENTER, GH_CROWD_FULL, 1},
    {"another address does", "192.0.2.2:1", ENTER, GH_CROWD_COUNTED, 2},
    {"who leaves makes room", "192.0.2.1:1", LEAVE, 0, 2},
    {"for one", "192.0.2.1:4", ENTER, GH_CROWD_COUNTED, 2},
    {"and not two", "192.0.2.1:5", ENTER, GH_CROWD_FULL, 2},
    {"IPv6", "[2001:db8:0:1::1]:1", ENTER, GH_CROWD_COUNTED, 3},
    {"its neighbour in the same /64 is the same", "[2001:db8:0:1:ffff::2]:1", ENTER,
     GH_CROWD_COUNTED, 3},
    {"so that a third is too many", "[2001:db8:0:1::3]:1", ENTER, GH_CROWD_FULL, 3},
    {"another /64 is another", "[2001:db8:0:2::1]:1", ENTER, GH_CROWD_COUNTED, 4},
    {"loopback is not counted", "127.0.0.1:1", ENTER, GH_CROWD_FREE, 4},
    {"nor is it in IPv6", "[::1]:1", ENTER, GH_CROWD_FREE, 4},
    {"nor a Unix socket", "/run/x", ENTER, GH_CROWD_FREE, 4},
    {"the last of an address", "192.0.2.2:1", LEAVE, 0, 3},
    {"leaves nothing behind", "192.0.2.1:1", LEAVE, 0, 3},
    {"leaves nothing behind", "192.0.2.1:1", LEAVE, 0, 2},
    {"whichever address of the network", "[2001:db8:0:1::9]:1", LEAVE, 0, 2},
    {"whichever address of the network", "[2001:db8:0:1::9]:1", LEAVE, 0, 1},
    {"and the last", "[2001:db8:0:2::1]:1", LEAVE, 0, 0},
};

int main(void)
{
    struct gh_crowd *crowd = gh_crowd_open(2, NULL);
    REQUIRE("a crowd", crowd != NULL);
    for (size_t i = 0; i < GH_COUNT(steps); i++) {
        struct gh_address peer;
        REQUIRE("an address", gh_address_parse(steps[i].peer, &peer));
        if (steps[i].kind == ENTER)
            CHECK(steps[i].claim, gh_crowd_enter(crowd, &peer) == steps[i].verdict);
        else
            gh_crowd_leave(crowd, &peer);
        CHECK(steps[i].claim, gh_crowd_addresses(crowd) == steps[i].addresses);
    }
    gh_crowd_close(crowd);
    return check_report();
}
