#include "io/rig_internal.h"
#include "io/worker.h"
#include <stdatomic.h>

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

int main(void)
{
    full_queue();
    many_threads();
    return check_report();
}
