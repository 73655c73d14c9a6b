#include "dialect/google/answers.h"
#include <pthread.h>
#include <stdlib.h>

struct google_answers {
    pthread_mutex_t lock;
    struct google_listener *first;
};

struct google_answers *google_answers_open(void)
{
    struct google_answers *answers = calloc(1, sizeof *answers);
    if (answers != NULL)
        pthread_mutex_init(&answers->lock, NULL);
    return answers;
}

void google_answers_close(struct google_answers *answers)
{
    if (answers != NULL)
        pthread_mutex_destroy(&answers->lock);
    free(answers);
}

void google_answers_add(struct google_answers *answers, struct google_listener *listener)
{
    if (answers == NULL)
        return;
    pthread_mutex_lock(&answers->lock);
    listener->next = answers->first;
    listener->place = &answers->first;
    if (answers->first != NULL)
        answers->first->place = &listener->next;
    answers->first = listener;
    pthread_mutex_unlock(&answers->lock);
}

void google_answers_remove(struct google_answers *answers, struct google_listener *listener)
{
    if (answers == NULL)
        return;
    pthread_mutex_lock(&answers->lock);
    *listener->place = listener->next;
    if (listener->next != NULL)
        listener->next->place = listener->place;
    pthread_mutex_unlock(&answers->lock);
}

void google_answers_tell(struct google_answers *answers, const struct gh_slice ack_ids[],
                         size_t count, int64_t deadline_s)
{
    if (answers == NULL)
        return;
    pthread_mutex_lock(&answers->lock);
    for (struct google_listener *each = answers->first; each != NULL; each = each->next)
        each->answered(each, ack_ids, count, deadline_s);
    pthread_mutex_unlock(&answers->lock);
}
