#include "pubsub/waiter.h"

void gh_waiter_init(struct gh_waiter *waiter)
{
    pthread_mutex_init(&waiter->lock, NULL);
    pthread_cond_init(&waiter->arrived, NULL);
    waiter->count = 0;
}

void gh_waiter_reply(void *context, struct gh_letter *letter)
{
    struct gh_waiter *waiter = context;
    (void)letter;
    pthread_mutex_lock(&waiter->lock);
    waiter->count++;
    pthread_cond_signal(
        &waiter->arrived); /* under the lock: the waiter's memory may end right after */
    pthread_mutex_unlock(&waiter->lock);
}

void gh_waiter_wait(struct gh_waiter *waiter, size_t count)
{
    pthread_mutex_lock(&waiter->lock);
    while (waiter->count < count)
        pthread_cond_wait(&waiter->arrived, &waiter->lock);
    pthread_mutex_unlock(&waiter->lock);
}
