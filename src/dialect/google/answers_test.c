#include "dialect/google/answers.h"
#include "tests/check.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* A stream that remembers what it was told: "a b 10". */
struct ear {
    struct google_listener listener;
    struct google_answers *answers;
    unsigned calls;
    char heard[64];
    bool tells_on; /* what it hears it tells another subscription */
};

static void hear(struct google_listener *listener, const struct google_answer *answer)
{
    struct ear *ear = (struct ear *)(void *)listener;
    size_t used = 0;
    ear->calls++;
    for (size_t i = 0; i < answer->count; i++)
        used += (size_t)snprintf(ear->heard + used, sizeof ear->heard - used, "%.*s ",
                                 GH_PRINT(answer->ack_ids[i]));
    snprintf(ear->heard + used, sizeof ear->heard - used, "%d", (int)answer->deadline_s);
    if (ear->tells_on)
        google_answers_tell(ear->answers, 1, GH_SLICE("other"), answer);
}

static void join(struct google_answers *answers, struct ear *ear, int64_t tenant, const char *name)
{
    ear->listener.answered = hear;
    ear->answers = answers;
    CHECK("joins", google_answers_join(answers, tenant, gh_slice_text(name), &ear->listener));
}

static void tell(struct google_answers *answers, int64_t tenant, const char *name,
                 int64_t deadline_s)
{
    const struct gh_slice ids[] = {GH_SLICE("a"), GH_SLICE("b")};
    google_answers_tell(answers, tenant, gh_slice_text(name),
                        &(struct google_answer){ids, GH_COUNT(ids), deadline_s});
}

/* Three streams of one subscription, and strangers beside them. */
static void check_who_hears(struct google_answers *answers)
{
    static const struct {
        const char *claim;
        int64_t tenant;
        const char *name;
        unsigned calls[5]; /* of each ear */
    } cases[] = {
        {"all of a subscription", 1, "telemetry", {1, 1, 1, 0, 0}},
        {"those of another", 1, "other", {0, 0, 0, 1, 0}},
        {"of another tenant", 2, "telemetry", {0, 0, 0, 0, 1}},
        {"nobody, where nobody listens", 2, "other", {0}},
        {"a part of a name is another name", 1, "telemetr", {0}},
    };
    struct ear ears[5] = {0};
    for (size_t i = 0; i < GH_COUNT(ears); i++)
        join(answers, &ears[i], i == 4 ? 2 : 1, i == 3 ? "other" : "telemetry");
    for (size_t i = 0; i < GH_COUNT(cases); i++) {
        for (size_t e = 0; e < GH_COUNT(ears); e++)
            ears[e].calls = 0;
        tell(answers, cases[i].tenant, cases[i].name, 10);
        for (size_t e = 0; e < GH_COUNT(ears); e++)
            CHECK(cases[i].claim, ears[e].calls == cases[i].calls[e]);
    }
    CHECK("what was answered", !strcmp(ears[0].heard, "a b 10"));
    for (size_t i = 0; i < GH_COUNT(ears); i++)
        google_answers_leave(answers, &ears[i].listener);
}

/* The one in the middle, the first and the last leave a list. */
static void check_leaving(struct google_answers *answers)
{
    static const size_t order[] = {1, 2, 0};
    struct ear ears[3] = {0};
    for (size_t i = 0; i < GH_COUNT(ears); i++)
        join(answers, &ears[i], 1, "telemetry");
    join(answers, &ears[0], 1, "other");
    for (size_t gone = 0; gone < GH_COUNT(order); gone++) {
        google_answers_leave(answers, &ears[order[gone]].listener);
        google_answers_leave(answers, &ears[order[gone]].listener);
        tell(answers, 1, "telemetry", 0);
        tell(answers, 1, "other", 0);
    }
    CHECK("one is told as long as it listens, and of where it joined first",
          ears[1].calls == 0 && ears[2].calls == 1 && ears[0].calls == 2);
    join(answers, &ears[0], 1, "other");
    tell(answers, 1, "other", 0);
    CHECK("it can join again", ears[0].calls == 3);
    google_answers_leave(answers, &ears[0].listener);
}

/* A single lock over everybody would stand still here. */
static void check_strangers_do_not_wait(struct google_answers *answers)
{
    struct ear one = {.tells_on = true}, other = {0};
    join(answers, &one, 1, "telemetry");
    join(answers, &other, 1, "other");
    tell(answers, 1, "telemetry", 0);
    CHECK("another subscription is told while one is", other.calls == 1);
    google_answers_leave(answers, &one.listener);
    google_answers_leave(answers, &other.listener);
}

enum { ROUNDS = 2000 };

static void *come_and_go(void *context)
{
    struct google_answers *answers = context;
    for (int i = 0; i < ROUNDS; i++) {
        struct ear ear = {0};
        join(answers, &ear, 1, "telemetry");
        tell(answers, 1, "telemetry", 0);
        google_answers_leave(answers, &ear.listener);
    }
    return NULL;
}

/* For the sanitizers: nobody is told once it has left, no list goes while it is used. */
static void check_threads(struct google_answers *answers)
{
    pthread_t threads[3];
    for (size_t i = 0; i < GH_COUNT(threads); i++)
        REQUIRE("a thread", pthread_create(&threads[i], NULL, come_and_go, answers) == 0);
    for (size_t i = 0; i < GH_COUNT(threads); i++)
        pthread_join(threads[i], NULL);
}

int main(void)
{
    struct google_answers *answers = google_answers_open();
    REQUIRE("opens", answers != NULL);
    check_who_hears(answers);
    check_leaving(answers);
    check_strangers_do_not_wait(answers);
    check_threads(answers);
    google_answers_close(answers); /* asserts that every list is gone */
    google_answers_tell(NULL, 1, GH_SLICE("telemetry"), &(struct google_answer){0});
    google_answers_close(NULL);
    return check_report();
}
