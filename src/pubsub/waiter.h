/* Waits on one thread for letters that are sent on another: what the blocking functions of this
 * room stand on. Memory: the caller's. Threads: one waits, any reply. */
#ifndef GH_PUBSUB_WAITER_H
#define GH_PUBSUB_WAITER_H

#include "base/mailbox.h"
#include <pthread.h>
#include <stddef.h>

struct gh_waiter {
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    size_t count;
};

void gh_waiter_init(struct gh_waiter *waiter);
/* A reply function whose context is the waiter. */
void gh_waiter_reply(void *waiter, struct gh_letter *letter);
/* Until `count` replies have come. */
void gh_waiter_wait(struct gh_waiter *waiter, size_t count);
#endif
