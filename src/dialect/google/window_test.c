#include "dialect/google/window.h"
#include "tests/check.h"
#include <stdio.h>

static bool room_is(struct google_window *window, int64_t now_ns, size_t messages, size_t bytes)
{
    size_t got_messages = 1000, got_bytes = 5000;
    google_window_room(window, now_ns, &got_messages, &got_bytes);
    bool same = got_messages == messages && (messages == 0 || got_bytes == bytes);
    if (!same)
        fprintf(stderr, "  %zu messages, %zu bytes\n", got_messages, got_bytes);
    return same;
}

int main(void)
{
    struct google_window window;
    google_window_init(&window, 3, 0);
    CHECK("all of it", room_is(&window, 0, 3, 5000));
    google_window_add(&window, GH_SLICE("a"), 10, 100);
    google_window_add(&window, GH_SLICE("b"), 10, 200);
    google_window_add(&window, GH_SLICE("b"), 10, 200);
    CHECK("one is left", room_is(&window, 0, 1, 5000));
    google_window_add(&window, GH_SLICE("c"), 10, 300);
    CHECK("full", room_is(&window, 99, 0, 0));
    google_window_drop(&window, GH_SLICE("b"));
    google_window_drop(&window, GH_SLICE("b"));
    google_window_drop(&window, GH_SLICE("nothing"));
    CHECK("an answer makes room", room_is(&window, 99, 1, 5000));
    google_window_extend(&window, GH_SLICE("a"), 250);
    google_window_extend(&window, GH_SLICE("nothing"), 250);
    CHECK("its deadline was moved", room_is(&window, 100, 1, 5000));
    CHECK("a deadline that passes makes room", room_is(&window, 250, 2, 5000));
    CHECK("and another", room_is(&window, 300, 3, 5000) && window.bytes == 0);
    google_window_deinit(&window);

    google_window_init(&window, 0, 100);
    google_window_add(&window, GH_SLICE("a"), 60, 100);
    CHECK("bytes are bounded too", room_is(&window, 0, 1000, 40));
    google_window_add(&window, GH_SLICE("b"), 60, 100);
    CHECK("one may go over them, no other comes", room_is(&window, 0, 0, 0));
    google_window_deinit(&window);

    google_window_init(&window, -1, 0);
    google_window_add(&window, GH_SLICE("a"), 60, 100);
    CHECK("no bounds, nothing to remember",
          window.leases.count == 0 && room_is(&window, 0, 1000, 5000));
    google_window_deinit(&window);
    return check_report();
}
