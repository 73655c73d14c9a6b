#include "io/worker.h"
#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { NICER = 5 }; /* than the loops: a third of their share of a core */

struct worker {
    struct gh_workers *all;
    pthread_t thread;
    pthread_cond_t called;
    struct worker *below; /* while it rests */
    bool rests;
};

/* Who began to rest last is called first: what it has in its caches, and its part of the heap, are
 * still warm. */
struct gh_workers {
    pthread_mutex_t lock;
    struct worker *resting; /* a stack */
    struct gh_job *first, **end;
    size_t waiting, queue_max;
    bool closing;
    bool joined; /* by whoever stopped them */
    unsigned count;
    struct worker each[];
};

/* A signature that waits delays one newcomer, a loop that waits delays all who are there: when
 * cores are scarce, loops go first. Where this cannot be set, nothing is lost but that. Under a
 * real-time policy all stay alike: locks of the C library turn round without rest while somebody
 * hands one over, and a loop that does so above a worker on its core never lets it finish. */
static void step_back(void)
{
    struct sched_param param;
    int policy;

    if (pthread_getschedparam(pthread_self(), &policy, &param) == 0 && policy == SCHED_OTHER)
        /* of this thread alone, on Linux */
        (void)setpriority(PRIO_PROCESS, (id_t)gettid(), getpriority(PRIO_PROCESS, 0) + NICER);
}

/* Under the lock; NULL when all are at work. */
static struct worker *rouse(struct gh_workers *workers)
{
    struct worker *worker = workers->resting;
    if (worker == NULL)
        return NULL;
    workers->resting = worker->below;
    worker->rests = false;
    return worker;
}

/* Under the lock; until it is roused. */
static void rest(struct worker *worker)
{
    worker->below = worker->all->resting;
    worker->all->resting = worker;
    worker->rests = true;
    while (worker->rests)
        pthread_cond_wait(&worker->called, &worker->all->lock);
}

static void *work(void *context)
{
    struct worker *worker = context;
    struct gh_workers *workers = worker->all;

    step_back();
    pthread_mutex_lock(&workers->lock);
    for (;;) {
        while (workers->first == NULL && !workers->closing)
            rest(worker);
        struct gh_job *job = workers->first;
        if (job == NULL)
            break; /* closing, and nothing is left */
        workers->first = job->next;
        if (workers->first == NULL)
            workers->end = &workers->first;
        workers->waiting--;
        pthread_mutex_unlock(&workers->lock);
        job->run(job);
        pthread_mutex_lock(&workers->lock);
    }
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

struct gh_workers *gh_workers_open(unsigned threads, size_t queue_max, struct gh_error *error)
{
    struct gh_workers *workers = calloc(1, sizeof *workers + threads * sizeof workers->each[0]);

    assert(threads > 0 && queue_max > 0);
    if (workers == NULL) {
        gh_error_set(error, GH_ERROR_MEMORY, "%u worker threads", threads);
        return NULL;
    }
    workers->queue_max = queue_max;
    workers->end = &workers->first;
    pthread_mutex_init(&workers->lock, NULL);
    for (; workers->count < threads; workers->count++) {
        struct worker *worker = &workers->each[workers->count];
        worker->all = workers;
        pthread_cond_init(&worker->called, NULL);
        if (pthread_create(&worker->thread, NULL, work, worker) != 0) {
            pthread_cond_destroy(&worker->called);
            gh_error_set(error, GH_ERROR_MEMORY, "worker thread %u of %u", workers->count + 1,
                         threads);
            gh_workers_close(workers);
            return NULL;
        }
    }
    return workers;
}

void gh_workers_stop(struct gh_workers *workers)
{
    if (workers == NULL)
        return;
    pthread_mutex_lock(&workers->lock);
    workers->closing = true;
    for (struct worker *worker; (worker = rouse(workers)) != NULL;)
        pthread_cond_signal(&worker->called);
    pthread_mutex_unlock(&workers->lock);
    for (unsigned i = 0; i < workers->count && !workers->joined; i++)
        pthread_join(workers->each[i].thread, NULL);
    workers->joined = true;
}

void gh_workers_close(struct gh_workers *workers)
{
    if (workers == NULL)
        return;
    gh_workers_stop(workers);
    for (unsigned i = 0; i < workers->count; i++)
        pthread_cond_destroy(&workers->each[i].called);
    pthread_mutex_destroy(&workers->lock);
    free(workers);
}

bool gh_workers_submit(struct gh_workers *workers, struct gh_job *job)
{
    struct worker *worker = NULL;

    pthread_mutex_lock(&workers->lock);
    bool has_room = workers->waiting < workers->queue_max && !workers->closing;
    if (has_room) {
        job->next = NULL;
        *workers->end = job;
        workers->end = &job->next;
        workers->waiting++;
        worker = rouse(workers);
    }
    pthread_mutex_unlock(&workers->lock);
    if (worker != NULL) /* without the lock, which is the first that it takes */
        pthread_cond_signal(&worker->called);
    return has_room;
}

size_t gh_workers_waiting(struct gh_workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    size_t waiting = workers->waiting;
    pthread_mutex_unlock(&workers->lock);
    return waiting;
}
