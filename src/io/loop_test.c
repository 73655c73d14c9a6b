#include "base/time.h"
#include "io/loop.h"
#include "io/loop_internal.h"
#include "io/rig_internal.h"
#include <stdlib.h>
#include <string.h>

enum { TIMERS = 1000, SENDERS = 4, LETTERS = 5000 };

/* A generator with a fixed seed: what fails, fails again. */
static uint32_t next_number(void)
{
    static uint32_t state = 12345;
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

static struct gh_timer timers[TIMERS];
static int64_t wanted_ns[TIMERS]; /* 0: cancelled */
static size_t fired[TIMERS];
static int64_t last_ns;
static struct gh_timer stop_timer;
static struct gh_loop *loop;

static void on_timer(struct gh_timer *timer)
{
    size_t i = (size_t)(timer - timers);
    fired[i]++;
    CHECK("timers fire in order", timer->at_ns >= last_ns);
    CHECK("not before their time", gh_loop_now_ns(loop) >= wanted_ns[i]);
    last_ns = timer->at_ns;
}

static void on_stop(struct gh_timer *timer)
{
    (void)timer;
    gh_loop_stop(loop);
}

static void heap(bool is_coarse)
{
    int64_t start_ns = gh_time_monotonic_ns();

    loop = gh_loop_open(NULL);
    REQUIRE("a loop", loop != NULL);
    loop->is_coarse = is_coarse;
    last_ns = 0;
    memset(fired, 0, sizeof fired);
    for (size_t round = 0; round < 3; round++) { /* set, move some, cancel some */
        for (size_t i = 0; i < TIMERS; i++) {
            if (round > 0 && next_number() % 3 != 0)
                continue;
            if (round == 2) {
                gh_timer_cancel(loop, &timers[i]);
                wanted_ns[i] = 0;
                CHECK("not set any more", !gh_timer_is_set(&timers[i]));
                continue;
            }
            wanted_ns[i] = start_ns + 1 + (int64_t)(next_number() % 20000000); /* 20 ms */
            gh_timer_set(loop, &timers[i], wanted_ns[i], on_timer);
        }
    }
    gh_timer_set(loop, &stop_timer, start_ns + 21 * GH_MS_NS, on_stop);
    gh_loop_run(loop);
    for (size_t i = 0; i < TIMERS; i++)
        CHECK("once, or never when cancelled", fired[i] == (wanted_ns[i] != 0));
    gh_loop_close(loop);
}

enum { NAP_NS = 500 * 1000, NAPS_MAX = 10000 };

static size_t naps;
static int64_t nap_from_ns, shortest_nap_ns;

/* Until one nap was shorter than the millisecond that a wait in milliseconds takes; on a busy
 * machine most are not. */
static void on_nap(struct gh_timer *timer)
{
    int64_t now_ns = gh_loop_now_ns(loop);
    if (naps++ > 0 && now_ns - nap_from_ns < shortest_nap_ns)
        shortest_nap_ns = now_ns - nap_from_ns;
    nap_from_ns = now_ns;
    if (shortest_nap_ns < GH_MS_NS || naps == NAPS_MAX)
        gh_loop_stop(loop);
    else
        gh_timer_set(loop, timer, now_ns + NAP_NS, on_nap);
}

static void exact(void)
{
    static struct gh_timer napping;
    loop = gh_loop_open(NULL);
    REQUIRE("a loop", loop != NULL);
    shortest_nap_ns = INT64_MAX;
    gh_timer_set(loop, &napping, 0, on_nap);
    gh_loop_run(loop);
    CHECK("no nap ends early", shortest_nap_ns >= NAP_NS);
    CHECK("a wait may be a part of a millisecond", loop->is_coarse || shortest_nap_ns < GH_MS_NS);
    gh_loop_close(loop);
}

static size_t repeats;

static void on_repeat(struct gh_timer *timer)
{
    repeats++;
    gh_timer_set(loop, timer, 0, on_repeat);
}

static void past_times(void)
{
    static struct gh_timer repeating;
    loop = gh_loop_open(NULL);
    REQUIRE("a loop", loop != NULL);
    gh_timer_set(loop, &repeating, 0, on_repeat);
    gh_timer_set(loop, &stop_timer, gh_time_monotonic_ns() + GH_MS_NS, on_stop);
    gh_loop_run(loop);
    CHECK("a timer that is always due does not hold up the others", repeats > 0);
    gh_timer_cancel(loop, &repeating);
    gh_loop_close(loop);
}

struct note {
    struct gh_letter letter;
    size_t sender, number;
};

static size_t expected[SENDERS], received;
static struct tally all_received = TALLY;

static void open_note(struct gh_letter *letter)
{
    struct note *note = (struct note *)(void *)letter;
    CHECK("in the order of their sender", note->number == expected[note->sender]);
    expected[note->sender]++;
    free(note);
    if (++received == SENDERS * LETTERS)
        tally_add(&all_received);
}

static void *send_notes(void *context)
{
    const size_t *sender = context;
    for (size_t i = 0; i < LETTERS; i++) {
        struct note *note = malloc(sizeof *note);
        *note = (struct note){.letter.open = open_note, .sender = *sender, .number = i};
        gh_loop_send(loop, &note->letter);
    }
    return NULL;
}

static void letters(void)
{
    static const size_t numbers[SENDERS] = {0, 1, 2, 3};
    struct rig rig;
    pthread_t senders[SENDERS];

    rig_start(&rig, 1);
    loop = rig.loops[0];
    for (size_t i = 0; i < SENDERS; i++)
        REQUIRE("a sender",
                pthread_create(&senders[i], NULL, send_notes, (void *)(uintptr_t)&numbers[i]) == 0);
    CHECK("every letter arrives", tally_wait(&all_received, 1));
    for (size_t i = 0; i < SENDERS; i++)
        pthread_join(senders[i], NULL);
    rig_stop(&rig);
    struct note *late = malloc(sizeof *late);
    *late = (struct note){.letter.open = open_note, .number = LETTERS};
    gh_loop_send(loop, &late->letter);
    rig_close(&rig);
    CHECK("also one that came after the end", received == SENDERS * LETTERS + 1);
}

int main(void)
{
    heap(false);
    heap(true);
    exact();
    past_times();
    letters();
    return check_report();
}
