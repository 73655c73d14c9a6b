#include "base/latch.h"
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

/* It returns at once when the state is no longer `seen`, and may return for no reason: the caller
 * looks again. */
static void sleep_while(struct gh_latch *lock, unsigned seen)
{
    (void)syscall(SYS_futex, &lock->state, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

void gh_latch_wait(struct gh_latch *lock)
{
    /* Whoever gets it here leaves 2 behind: there may be others who sleep. */
    while (atomic_exchange_explicit(&lock->state, 2, memory_order_acquire) != 0)
        sleep_while(lock, 2);
}

void gh_latch_wake(struct gh_latch *lock)
{
    (void)syscall(SYS_futex, &lock->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
