/* Latch: mutual exclusion in four bytes, for what there are a hundred thousand of; a
 * pthread_mutex_t has forty. Zeroed means free; there is nothing to give back. Not recursive, not
 * fair, for short sections and without a condition: that needs a pthread_mutex_t. Who has to wait
 * sleeps in the kernel (U. Drepper, "Futexes Are Tricky", the third mutex). Threads: any. */
#ifndef GH_BASE_LATCH_H
#define GH_BASE_LATCH_H

#include <stdatomic.h>

struct gh_latch {
    atomic_uint state; /* 0: free, 1: held, 2: held, and somebody may wait */
};

/* Of gh_latch_take, when somebody has it. */
void gh_latch_wait(struct gh_latch *lock);
/* Of gh_latch_give, when somebody may wait. */
void gh_latch_wake(struct gh_latch *lock);

static inline void gh_latch_take(struct gh_latch *lock)
{
    unsigned is_free = 0;
    if (!atomic_compare_exchange_strong_explicit(&lock->state, &is_free, 1, memory_order_acquire,
                                                 memory_order_relaxed))
        gh_latch_wait(lock);
}

static inline void gh_latch_give(struct gh_latch *lock)
{
    if (atomic_exchange_explicit(&lock->state, 0, memory_order_release) == 2)
        gh_latch_wake(lock);
}
#endif
