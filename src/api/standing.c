#include "api/call_internal.h"
#include "api/standing_internal.h"
#include "base/time.h"
#include "io/loop.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { JUDGE_BYTES_MAX = 1024 * 1024 };
#define MS_NS (GH_SECOND_NS / 1000)

struct standing_call {
    struct standing_call *next, **at; /* in the list */
    struct standing *standing;
    unsigned refs;
    struct gh_exchange *exchange;
    const struct route *route;
    bool local, over;
    struct gh_slice captures[CALL_CAPTURES_MAX]; /* the exchange's */
};

struct standing {
    struct gh_job job; /* first: `run` is given its address */
    struct gh_api *api;
    struct gh_timer timer;
    pthread_mutex_t lock; /* around what follows, and the list's links and counts */
    bool busy;            /* the job is with the workers */
    size_t count;
    struct standing_call *first;
};

/* --- the list: under the lock */

static void unlink_call(struct standing_call *one)
{
    *one->at = one->next;
    if (one->next != NULL)
        one->next->at = one->at;
    one->standing->count--;
}

static void free_call(struct standing_call *one)
{
    gh_exchange_unref(one->exchange);
    free(one);
}

/* --- judging: on a worker */

static void judge(struct standing_call *one, struct gh_arena *arena)
{
    struct gh_api *api = one->standing->api;
    struct call call = {.api = api,
                        .local = one->local,
                        .exchange = one->exchange,
                        .request = gh_exchange_request(one->exchange),
                        .route = one->route,
                        .arena = arena,
                        .looks = true,
                        .now_ms = api->services.utc_ms()};
    memcpy(call.captures, one->captures, sizeof call.captures);
    enum gh_error_code code = call_judge(&call);
    one->over =
        code == GH_ERROR_UNAUTHENTICATED || code == GH_ERROR_DENIED || code == GH_ERROR_NOT_FOUND;
    if (one->over)
        gh_exchange_finish(one->exchange);
}

/* References to all that stand; NULL when there are none, or no memory. */
static struct standing_call **take_all(struct standing *standing, size_t *count)
{
    *count = 0;
    pthread_mutex_lock(&standing->lock);
    struct standing_call **all = calloc(standing->count + 1, sizeof(struct standing_call *));
    for (struct standing_call *one = standing->first; all != NULL && one != NULL; one = one->next)
        if (!one->over) {
            one->refs++;
            all[(*count)++] = one;
        }
    pthread_mutex_unlock(&standing->lock);
    return all;
}

static void give_back(struct standing_call *one)
{
    pthread_mutex_lock(&one->standing->lock);
    bool last = --one->refs == 0;
    pthread_mutex_unlock(&one->standing->lock);
    if (last)
        free_call(one);
}

static void run(struct gh_job *job)
{
    struct standing *standing = (struct standing *)job;
    struct gh_arena arena;
    size_t count;
    struct standing_call **all = take_all(standing, &count);
    gh_arena_init(&arena, JUDGE_BYTES_MAX);
    for (size_t i = 0; i < count; i++) {
        judge(all[i], &arena);
        give_back(all[i]);
        gh_arena_reset(&arena);
    }
    gh_arena_deinit(&arena);
    free(all);
    pthread_mutex_lock(&standing->lock);
    standing->busy = false;
    pthread_mutex_unlock(&standing->lock);
}

/* --- on the loop */

static void check(struct gh_timer *timer)
{
    struct standing *standing =
        (struct standing *)(void *)((char *)timer - offsetof(struct standing, timer));
    struct gh_loop *loop = standing->api->services.loop;
    pthread_mutex_lock(&standing->lock);
    bool begins = !standing->busy && standing->first != NULL;
    standing->busy = standing->busy || begins;
    if (begins && !gh_workers_submit(standing->api->services.workers, &standing->job))
        standing->busy = false; /* the queue is full: the next time */
    pthread_mutex_unlock(&standing->lock);
    gh_timer_set(loop, timer, gh_loop_now_ns(loop) + STANDING_CHECK_MS * MS_NS, check);
}

struct standing *standing_open(struct gh_api *api)
{
    struct standing *standing = calloc(1, sizeof *standing);
    if (standing == NULL)
        return NULL;
    standing->job.run = run;
    standing->api = api;
    pthread_mutex_init(&standing->lock, NULL);
    if (api->services.loop != NULL) /* set before the loop runs */
        gh_timer_set(api->services.loop, &standing->timer,
                     gh_time_monotonic_ns() + STANDING_CHECK_MS * MS_NS, check);
    return standing;
}

void standing_close(struct standing *standing)
{
    if (standing == NULL)
        return;
    while (standing->first != NULL) {
        struct standing_call *one = standing->first;
        unlink_call(one);
        free_call(one);
    }
    pthread_mutex_destroy(&standing->lock);
    free(standing);
}

struct standing_call *standing_join(struct standing *standing, const struct call *call)
{
    struct standing_call *one = calloc(1, sizeof *one);
    if (one == NULL)
        return NULL;
    one->standing = standing;
    one->refs = 1;
    one->exchange = gh_exchange_ref(call->exchange);
    one->route = call->route;
    one->local = call->local;
    memcpy(one->captures, call->captures, sizeof one->captures);
    pthread_mutex_lock(&standing->lock);
    one->next = standing->first;
    one->at = &standing->first;
    if (one->next != NULL)
        one->next->at = &one->next;
    standing->first = one;
    standing->count++;
    pthread_mutex_unlock(&standing->lock);
    return one;
}

void standing_leave(struct standing_call *one)
{
    if (one == NULL)
        return;
    pthread_mutex_lock(&one->standing->lock);
    unlink_call(one);
    pthread_mutex_unlock(&one->standing->lock);
    give_back(one);
}
