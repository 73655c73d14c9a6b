#include "io/rig_internal.h"
#include "io/worker.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { QUEUE = 8, MANY = 1000 };

struct gate_job {
    struct gh_job job;
    struct tally *arrived, *opened;
};

static atomic_size_t done;

static void run_gate(struct gh_job *job)
{
    struct gate_job *gate = (struct gate_job *)(void *)job;
    tally_add(gate->arrived);
    CHECK("the gate opens", tally_wait(gate->opened, 1));
}

static void run_count(struct gh_job *job)
{
    (void)job;
    atomic_fetch_add(&done, 1);
}

static void full_queue(void)
{
    struct tally arrived = TALLY, opened = TALLY;
    struct gate_job gate = {.job.run = run_gate, .arrived = &arrived, .opened = &opened};
    struct gh_job jobs[QUEUE + 1];
    struct gh_workers *workers = gh_workers_open(1, QUEUE, NULL);

    REQUIRE("a worker", workers != NULL);
    REQUIRE("taken", gh_workers_submit(workers, &gate.job));
    REQUIRE("it runs", tally_wait(&arrived, 1)); /* so that the queue is empty behind it */
    for (size_t i = 0; i < QUEUE; i++) {
        jobs[i] = (struct gh_job){.run = run_count};
        CHECK("up to its ceiling the queue takes", gh_workers_submit(workers, &jobs[i]));
    }
    jobs[QUEUE] = (struct gh_job){.run = run_count};
    CHECK("and refuses the next", !gh_workers_submit(workers, &jobs[QUEUE]));
    CHECK("waiting", gh_workers_waiting(workers) == QUEUE);
    tally_add(&opened);
    gh_workers_stop(workers);
    CHECK("stopping runs what is queued", atomic_load(&done) == QUEUE);
    CHECK("and refuses what comes after it", !gh_workers_submit(workers, &jobs[QUEUE]));
    gh_workers_close(workers);
    CHECK("which never runs", atomic_load(&done) == QUEUE);
}

static void many_threads(void)
{
    static struct gh_job jobs[MANY];
    struct gh_workers *workers = gh_workers_open(4, MANY, NULL);

    REQUIRE("workers", workers != NULL);
    atomic_store(&done, 0);
    for (size_t i = 0; i < MANY; i++) {
        jobs[i].run = run_count;
        CHECK("taken", gh_workers_submit(workers, &jobs[i]));
    }
    gh_workers_close(workers);
    CHECK("each once", atomic_load(&done) == MANY);
}

/* How the kernel runs a thread. */
struct standing {
    int policy, priority, nice;
};

struct look_job {
    struct gh_job job;
    struct standing seen;
};

static struct standing look(void)
{
    struct sched_param param = {0};
    struct standing seen = {.policy = sched_getscheduler(0)};
    CHECK("the thread has a priority", sched_getparam(0, &param) == 0);
    seen.priority = param.sched_priority;
    seen.nice = getpriority(PRIO_PROCESS, (id_t)gettid());
    return seen;
}

static void run_look(struct gh_job *job)
{
    ((struct look_job *)(void *)job)->seen = look();
}

/* As a worker sees itself that this thread opened. */
static struct standing look_of_worker(void)
{
    struct look_job job = {.job.run = run_look};
    struct gh_workers *workers = gh_workers_open(1, QUEUE, NULL);
    REQUIRE("a worker", workers != NULL);
    REQUIRE("taken", gh_workers_submit(workers, &job.job));
    gh_workers_close(workers);
    return job.seen;
}

static void behind_the_loops(void)
{
    struct standing own = look(), seen = look_of_worker();
    if (own.policy != SCHED_OTHER) {
        printf("not looked at: this thread does not run under SCHED_OTHER\n");
        return;
    }
    CHECK("a worker runs as its opener does", seen.policy == own.policy);
    CHECK("but behind it", seen.nice > own.nice || own.nice == 19);
}

static void beside_real_time_loops(void)
{
    static const int policies[] = {SCHED_FIFO, SCHED_RR};
    struct standing before = look();
    struct sched_param first = {.sched_priority = before.priority};
    for (size_t i = 0; i < GH_COUNT(policies); i++) {
        struct sched_param param = {.sched_priority = sched_get_priority_min(policies[i]) + 1};
        int refused = pthread_setschedparam(pthread_self(), policies[i], &param);
        if (refused != 0) {
            printf("not looked at: no real-time policy here: %s\n", strerror(refused));
            return;
        }
        struct standing own = look(), seen = look_of_worker();
        CHECK("a worker keeps the real-time policy", seen.policy == own.policy);
        CHECK("and its priority", seen.priority == own.priority);
        CHECK("and steps back in nothing else", seen.nice == own.nice);
        REQUIRE("as it was before",
                pthread_setschedparam(pthread_self(), before.policy, &first) == 0);
    }
}

int main(void)
{
    full_queue();
    many_threads();
    behind_the_loops();
    beside_real_time_loops();
    return check_report();
}
