#include "route/queue.h"
#include "route/topic_draw.h"
#include "tests/check.h"
#include <stdio.h>
#include <string.h>

/* `+`: push answers the number; `-`: done; `=`: restore; `>`: resume; a trailing `!` says that it
 * is refused. What is there afterwards, and the number of the next push. */
static const struct {
    const char *claim, *script;
    size_t span_max;
    const char *there;
    uint64_t next;
} scripts[] = {
    {"numbers start at 1", "+1 +2 +3", 8, "1 2 3 ", 4},
    {"entries end in any order", "+1 +2 +3 -2", 8, "1 3 ", 4},
    {"nothing ends twice", "+1 +2 -1 -1!", 8, "2 ", 3},
    {"nothing ends before it began", "+1 -2! -0!", 8, "1 ", 2},
    {"numbers never go back", "+1 +2 -1 -2 +3", 8, "3 ", 4},
    {"full is full", "+1 +2 +3 +4!", 3, "1 2 3 ", 4},
    {"the oldest makes room", "+1 +2 +3 -1 +4", 3, "2 3 4 ", 5},
    {"holes count as long as the oldest stays", "+1 +2 +3 -2 -3 +4!", 3, "1 ", 4},
    {"and then no more", "+1 +2 +3 -2 -3 -1 +4", 3, "4 ", 5},
    {"it grows", "+1 +2 +3 +4 +5 +6 +7 +8 +9 -1 -5", 16, "2 3 4 6 7 8 9 ", 10},
    {"a ring that has gone round grows", "+1 +2 +3 +4 -1 -2 +5 +6 +7", 16, "3 4 5 6 7 ", 8},
    {"restored upwards", "=5 =7 =9", 16, "5 7 9 ", 10},
    {"restored downwards", "=9 =7 =5 =2", 16, "2 5 7 9 ", 10},
    {"restored far from the start", "=1000 =998 +1001", 16, "998 1000 1001 ", 1002},
    {"not beyond the span", "=100 =120! =80! =107 =93! =101", 8, "100 101 107 ", 108},
    {"resumed behind what was given", "=5 >9 +9", 16, "5 9 ", 10},
    {"resumed empty", ">9 +9", 16, "9 ", 10},
    {"resumed empty, far", ">1000000 +1000000", 16, "1000000 ", 1000001},
    {"resuming does not go back", "=5 >3 +6", 16, "5 6 ", 7},
    {"resuming keeps to the span", "=5 >22! +6", 16, "5 6 ", 7},
    {"an entry behind the next number", ">9 =5 +9", 16, "5 9 ", 10},
    {"again after it was empty", "=5 -5 =3 +6", 16, "3 6 ", 7},
};

static bool run(struct gh_queue *queue, char what, uint64_t seq)
{
    struct gh_queue_entry entry = {.offset = seq, .state = GH_QUEUE_WAITING}, before;
    switch (what) {
    case '+':
        return gh_queue_push(queue, &entry) == seq;
    case '-':
        return gh_queue_done(queue, seq, &before) && before.offset == seq;
    case '=':
        return gh_queue_restore(queue, seq, &entry);
    default:
        return gh_queue_resume(queue, seq);
    }
}

static void check_scripts(void)
{
    for (size_t i = 0; i < GH_COUNT(scripts); i++) {
        struct gh_queue queue;
        char there[128] = "";
        uint64_t seq = 0;
        size_t count = 0;
        gh_queue_init(&queue, scripts[i].span_max);
        for (const char *at = scripts[i].script; *at != '\0'; at += *at == ' ') {
            char what = *at++;
            uint64_t number = 0;
            for (; *at >= '0' && *at <= '9'; at++)
                number = number * 10 + (uint64_t)(*at - '0');
            bool refused = *at == '!';
            CHECK(scripts[i].claim, run(&queue, what, number) != refused);
            at += refused;
        }
        for (struct gh_queue_entry *entry; (entry = gh_queue_next(&queue, &seq)) != NULL; seq++) {
            snprintf(there + strlen(there), sizeof there - strlen(there), "%llu ",
                     (unsigned long long)seq);
            CHECK(scripts[i].claim, entry->offset == seq && entry == gh_queue_entry(&queue, seq));
            count++;
        }
        CHECK(scripts[i].claim, strcmp(there, scripts[i].there) == 0);
        CHECK(scripts[i].claim, seq == scripts[i].next);
        CHECK(scripts[i].claim, gh_queue_count(&queue) == count);
        gh_queue_deinit(&queue);
    }
}

/* Against an array that says which numbers are there. */
static void check_random(uint64_t seed)
{
    enum { STEPS = 100000, SPAN = 300 };
    static bool there[STEPS + 2];
    struct gh_queue queue;
    uint64_t next = 1, head = 1;
    size_t live = 0, wrong = 0;

    memset(there, 0, sizeof there);
    gh_queue_init(&queue, SPAN);
    for (size_t i = 0; i < STEPS; i++) {
        bool filling = i / 500 % 2 == 0;
        if (draw(&seed, 4) < (filling ? 3 : 1)) {
            struct gh_queue_entry entry = {.offset = next, .state = GH_QUEUE_READY};
            uint64_t seq = gh_queue_push(&queue, &entry);
            bool fits = live == 0 || next - head < SPAN;
            wrong += seq != (fits ? next : 0);
            if (seq == 0)
                continue;
            there[next++] = true;
            live++;
        } else {
            uint64_t seq = next - 1 - draw(&seed, 100) % next;
            wrong += gh_queue_done(&queue, seq, NULL) != there[seq];
            live -= there[seq];
            there[seq] = false;
            if (!filling)
                for (; head < next && draw(&seed, 3) > 0; head++) { /* the oldest ones go too */
                    gh_queue_done(&queue, head, NULL);
                    live -= there[head];
                    there[head] = false;
                }
        }
        while (head < next && !there[head])
            head++;
        uint64_t seq = 0;
        struct gh_queue_entry *first = gh_queue_next(&queue, &seq);
        wrong += seq != head || (first != NULL) != (live > 0) || gh_queue_count(&queue) != live;
        wrong += (live == 0) != (gh_queue_bytes(&queue) == 0);
        uint64_t some = draw(&seed, (uint32_t)next);
        wrong += (gh_queue_entry(&queue, some) != NULL) != there[some];
    }
    CHECK("as the array says", wrong == 0);
    gh_queue_deinit(&queue);
}

int main(void)
{
    check_scripts();
    check_random(1);
    check_random(20240229);
    return check_report();
}
