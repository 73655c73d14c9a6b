/* The wheel by itself, on a clock of the test's own. */
#include "base/time.h"
#include "io/conn_internal.h"
#include "io/loop_internal.h"
#include "tests/check.h"
#include <stdlib.h>

enum { BEGIN_MS = 1000003, WAKES_MAX = 3 * WHEEL_LEVELS };

static struct gh_loop loop;
static int64_t ticked_ns;
static size_t ticks;

static void tick(void *state)
{
    (void)state;
    ticked_ns = loop.now_ns;
    ticks++;
}

static const struct gh_protocol protocol = {.name = "test", .tick = tick};

static void begin(void)
{
    loop = (struct gh_loop){.now_ns = BEGIN_MS * GH_MS_NS, .wheel.now_ms = BEGIN_MS};
    loop.pending_end = &loop.pending_first;
    loop.shaking.end = &loop.shaking.first;
    ticks = 0;
}

static struct gh_conn *open_conn(void)
{
    struct gh_conn *conn = calloc(1, sizeof *conn);
    REQUIRE("memory", conn != NULL);
    conn->loop = &loop;
    conn->protocol = &protocol;
    conn->phase = CONN_OPEN;
    conn_wheel_add(conn);
    return conn;
}

static void close_conn(struct gh_conn *conn)
{
    conn_wheel_remove(conn);
    free(conn);
}

/* Sleeps to the next time until something ticks, or nothing is left; how often it woke. */
static size_t sleep_to_tick(void)
{
    size_t before = ticks, wakes = 0;
    int64_t next_ns;
    while (ticks == before && (next_ns = conn_wheel_next_ns(&loop)) < INT64_MAX / 2) {
        CHECK("time goes on", next_ns > loop.now_ns);
        loop.now_ns = next_ns;
        conn_wheel_turn(&loop);
        wakes++;
    }
    return wakes;
}

static void fires_in_its_millisecond(void)
{
    static const int64_t after_ms[] = {1,      2,      63,       64,       65,
                                       127,    4095,   4096,     4097,     262143,
                                       262144, 262145, 16777215, 16777216, 90000000};
    for (size_t i = 0; i < GH_COUNT(after_ms); i++) {
        begin();
        struct gh_conn *conn = open_conn();
        int64_t at_ns = loop.now_ns + after_ms[i] * GH_MS_NS;
        gh_conn_set_deadline(conn, at_ns - 1);
        size_t wakes = sleep_to_tick();
        CHECK("it ticks once, in the millisecond that is asked for",
              ticks == 1 && ticked_ns == at_ns);
        CHECK("it wakes a few times on the way", wakes <= WAKES_MAX);
        CHECK("then nothing is due", sleep_to_tick() == 0 && ticks == 1);
        close_conn(conn);
    }
}

static void follows_its_deadline(void)
{
    begin();
    struct gh_conn *conn = open_conn();
    int64_t at_ns = loop.now_ns + 500 * GH_MS_NS;
    gh_conn_set_deadline(conn, loop.now_ns + 70 * GH_MS_NS);
    gh_conn_set_deadline(conn, at_ns);
    sleep_to_tick();
    CHECK("pushed back, it ticks at the later time", ticked_ns == at_ns);
    gh_conn_set_deadline(conn, loop.now_ns + 9000 * GH_MS_NS);
    gh_conn_set_deadline(conn, at_ns = loop.now_ns + 3 * GH_MS_NS);
    sleep_to_tick();
    CHECK("drawn nearer, at the earlier one", ticked_ns == at_ns && ticks == 2);
    gh_conn_set_deadline(conn, loop.now_ns + 5 * GH_MS_NS);
    gh_conn_set_deadline(conn, 0);
    sleep_to_tick();
    CHECK("cleared, never", ticks == 2);
    gh_conn_set_deadline(conn, loop.now_ns - 1);
    CHECK("what has passed comes with the next millisecond",
          sleep_to_tick() == 1 && ticks == 3 && ticked_ns % GH_MS_NS == 0);
    close_conn(conn);
}

static void wakes_late(void)
{
    begin();
    struct gh_conn *conns[200];
    for (size_t i = 0; i < GH_COUNT(conns); i++) {
        conns[i] = open_conn();
        gh_conn_set_deadline(conns[i], loop.now_ns + (int64_t)(i * i * i) * GH_MS_NS);
    }
    close_conn(conns[7]);
    loop.now_ns += 3600 * GH_SECOND_NS;
    for (int i = 0; i < WAKES_MAX; i++, loop.now_ns += GH_MS_NS)
        conn_wheel_turn(&loop);
    size_t due = 0;
    for (size_t i = 0; i < GH_COUNT(conns); i++)
        due += i != 7 && i * i * i <= 3600 * 1000;
    CHECK("after a long time whoever is due has ticked, once", ticks == due);
    while (sleep_to_tick() > 0)
        continue;
    CHECK("and the others later", ticks == GH_COUNT(conns) - 1);
    for (size_t i = 0; i < GH_COUNT(conns); i++)
        if (i != 7)
            close_conn(conns[i]);
}

static void stands_by_its_limit(void)
{
    static const int limits_ms[] = {300, 100, 300, 200};
    struct gh_conn *conns[GH_COUNT(limits_ms)];
    begin();
    for (size_t i = 0; i < GH_COUNT(conns); i++) {
        conns[i] = open_conn();
        conn_set_phase(conns[i], CONN_HANDSHAKE, limits_ms[i]);
        conn_wheel_begin_shaking(conns[i]);
    }
    CHECK("on their way they stand by their limits",
          loop.shaking.first == conns[1] && conns[1]->next == conns[3] &&
              conns[3]->next == conns[0] && conns[0]->next == conns[2] &&
              loop.shaking.end == &conns[2]->next);
    CHECK("and are waited for", conn_wheel_next_ns(&loop) == conns[1]->limit_ns);
    conn_wheel_line_up(&loop);
    size_t lined_up = 0;
    for (struct gh_conn *conn = loop.pending_first; conn != NULL; conn = conn->pending_next)
        lined_up++;
    CHECK("all can be told something", lined_up == GH_COUNT(conns));
    for (size_t i = GH_COUNT(conns); i-- > 0;) {
        conn_wheel_end_shaking(conns[i]);
        close_conn(conns[i]);
    }
    CHECK("nobody is left", loop.shaking.end == &loop.shaking.first && loop.shaking.first == NULL &&
                                loop.wheel.quiet == NULL);
}

int main(void)
{
    fires_in_its_millisecond();
    follows_its_deadline();
    wakes_late();
    stands_by_its_limit();
    return check_report();
}
