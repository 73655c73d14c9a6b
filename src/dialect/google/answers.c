#include "dialect/google/answers.h"
#include "base/map.h"
#include "pubsub/pubsub.h"
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_BYTES_MAX = sizeof(int64_t) + GH_PUBSUB_NAME_MAX };

struct google_answers_list {
    size_t users; /* listeners in it and calls under way; under the table's lock */
    size_t key_size;
    uint8_t key[KEY_BYTES_MAX];
    pthread_mutex_t lock; /* around what follows; taken without the table's */
    struct google_listener *first;
};

struct google_answers {
    pthread_mutex_t lock; /* for moments: nobody is called with it held */
    struct gh_map lists;
};

struct google_answers *google_answers_open(void)
{
    struct google_answers *answers = calloc(1, sizeof *answers);
    if (answers == NULL)
        return NULL;
    pthread_mutex_init(&answers->lock, NULL);
    gh_map_init(&answers->lists);
    return answers;
}

void google_answers_close(struct google_answers *answers)
{
    if (answers == NULL)
        return;
    assert(answers->lists.count == 0);
    gh_map_deinit(&answers->lists);
    pthread_mutex_destroy(&answers->lock);
    free(answers);
}

/* The names of a tenant's subscriptions are its own. */
static struct gh_slice key_of(int64_t tenant, struct gh_slice subscription,
                              uint8_t out[KEY_BYTES_MAX])
{
    assert(subscription.size <= GH_PUBSUB_NAME_MAX);
    memcpy(out, &tenant, sizeof tenant);
    memcpy(out + sizeof tenant, subscription.data, subscription.size);
    return gh_slice(out, sizeof tenant + subscription.size);
}

static struct google_answers_list *list_make(struct google_answers *answers, struct gh_slice key)
{
    struct google_answers_list *list = calloc(1, sizeof *list);
    if (list == NULL || !gh_map_put(&answers->lists, key, list, NULL)) {
        free(list);
        return NULL;
    }
    pthread_mutex_init(&list->lock, NULL);
    memcpy(list->key, key.data, key.size);
    list->key_size = key.size;
    return list;
}

/* The list, with one user more; NULL when there is none and none can or is to be made. */
static struct google_answers_list *list_use(struct google_answers *answers, struct gh_slice key,
                                            bool makes)
{
    pthread_mutex_lock(&answers->lock);
    struct google_answers_list *list = gh_map_get(&answers->lists, key);
    if (list == NULL && makes)
        list = list_make(answers, key);
    if (list != NULL)
        list->users++;
    pthread_mutex_unlock(&answers->lock);
    return list;
}

static void list_unuse(struct google_answers *answers, struct google_answers_list *list)
{
    pthread_mutex_lock(&answers->lock);
    assert(list->users > 0);
    if (--list->users == 0) {
        (void)gh_map_remove(&answers->lists, gh_slice(list->key, list->key_size));
        pthread_mutex_destroy(&list->lock);
        free(list);
    }
    pthread_mutex_unlock(&answers->lock);
}

bool google_answers_join(struct google_answers *answers, int64_t tenant,
                         struct gh_slice subscription, struct google_listener *listener)
{
    uint8_t key[KEY_BYTES_MAX];
    if (listener->list != NULL)
        return true;
    struct google_answers_list *list = list_use(answers, key_of(tenant, subscription, key), true);
    if (list == NULL)
        return false;
    pthread_mutex_lock(&list->lock);
    listener->list = list;
    listener->next = list->first;
    listener->place = &list->first;
    if (list->first != NULL)
        list->first->place = &listener->next;
    list->first = listener;
    pthread_mutex_unlock(&list->lock);
    return true;
}

void google_answers_leave(struct google_answers *answers, struct google_listener *listener)
{
    struct google_answers_list *list = listener->list;
    if (list == NULL)
        return;
    pthread_mutex_lock(&list->lock);
    *listener->place = listener->next;
    if (listener->next != NULL)
        listener->next->place = listener->place;
    listener->list = NULL;
    pthread_mutex_unlock(&list->lock);
    list_unuse(answers, list);
}

void google_answers_tell(struct google_answers *answers, int64_t tenant,
                         struct gh_slice subscription, const struct google_answer *answer)
{
    uint8_t key[KEY_BYTES_MAX];
    if (answers == NULL)
        return;
    struct google_answers_list *list = list_use(answers, key_of(tenant, subscription, key), false);
    if (list == NULL)
        return;
    pthread_mutex_lock(&list->lock);
    for (struct google_listener *each = list->first; each != NULL; each = each->next)
        each->answered(each, answer);
    pthread_mutex_unlock(&list->lock);
    list_unuse(answers, list);
}
