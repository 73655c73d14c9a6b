#include "base/latch.h"
#include "base/slice.h"
#include "tests/check.h"
#include <pthread.h>
#include <sched.h>

enum { THREADS = 4, TURNS = 50000 };

/* Two numbers that are equal whenever nobody has the lock. */
static struct {
    struct gh_latch lock;
    long first, second;
    bool broken; /* of the lock's holder, as all of this */
} shared;

static void *count(void *ignored)
{
    (void)ignored;
    for (int i = 0; i < TURNS; i++) {
        gh_latch_take(&shared.lock);
        shared.broken |= shared.first != shared.second;
        shared.first++;
        shared.second++;
        gh_latch_give(&shared.lock);
    }
    return NULL;
}

static void *take_once(void *ignored)
{
    (void)ignored;
    gh_latch_take(&shared.lock);
    shared.first = -1;
    gh_latch_give(&shared.lock);
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS], late;
    for (size_t i = 0; i < THREADS; i++)
        REQUIRE("a thread", pthread_create(&threads[i], NULL, count, NULL) == 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK("one at a time", !shared.broken);
    CHECK("each turn counts", shared.first == (long)THREADS * TURNS);

    gh_latch_take(&shared.lock);
    REQUIRE("a thread", pthread_create(&late, NULL, take_once, NULL) == 0);
    while (atomic_load(&shared.lock.state) != 2) /* it sleeps, or is about to */
        sched_yield();
    CHECK("who waits has done nothing", shared.first > 0);
    gh_latch_give(&shared.lock);
    pthread_join(late, NULL);
    CHECK("and is woken", shared.first == -1);
    CHECK("free at the end", atomic_load(&shared.lock.state) == 0);
    return check_report();
}
