#include "dialect/google/push.h"
#include "base/log.h"
#include "base/time.h"
#include "dialect/google/push_internal.h"
#include "io/http_client.h"
#include "registry/directory.h"
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    LIST_BYTES_MAX = 64 * 1024 * 1024,
    REQUEST_BYTES_MAX = 64 * 1024 * 1024, /* of one message, with its base64 */
    ANSWER_BYTES_MAX = 64 * 1024,
    ORDERED_BATCH = 1, /* of a key one message is under way at a time */
    NAME_MAX_BYTES = 512,
};
#define LOOK_EVERY_NS (30 * GH_SECOND_NS)
#define REST_MIN_NS (100 * GH_MS_NS)
#define REST_MAX_NS (60 * GH_SECOND_NS)

/* A subscription that is pushed; of the manager's list as long as it or one of its batches lives.
 */
struct target {
    struct target *next;
    struct gh_google_push *push;
    uint32_t number;
    int64_t tenant;
    char name[GH_PUBSUB_NAME_MAX + 1], full[NAME_MAX_BYTES];
    char *config; /* as rest_push.c keeps it */
    uint32_t ack_deadline_s;
    bool is_ordered, has_attempts, has_pauses;
    bool is_listed;        /* it still has its configuration */
    struct batch *pulling; /* whose pull waits; NULL: none */
    size_t window, under_way;
    int64_t rest_ns, rests_until_ns;
};

/* What one pull gave. */
struct batch {
    struct gh_pull pull;
    struct target *target;
    size_t left; /* messages that are not done with */
    struct batch *next;
    size_t taken; /* given to senders */
    char *config; /* the target's, when it was pulled */
};

struct gh_google_push {
    struct gh_google_push_options options;
    char *ca_path;
    pthread_t manager, senders[GH_GOOGLE_PUSH_SENDERS];
    size_t senders_count;
    bool has_manager;
    pthread_mutex_t lock; /* around all that follows */
    pthread_cond_t manage, send;
    bool is_closing, is_changed;
    struct target *targets;
    struct batch *ready, **ready_end; /* with messages that no sender has taken */
};

enum gh_error_code gh_google_push_allows(const struct gh_google_push *push, struct gh_slice url,
                                         struct gh_error *error)
{
    static const struct gh_google_push_options nobody = {.hosts_count = 0};
    return google_push_allows(push == NULL ? &nobody : &push->options, url, error);
}

/* ---- targets. Under the lock. */

static void target_free(struct target *target)
{
    free(target->config);
    free(target);
}

/* Lets go of those that are neither listed nor in use. */
static void sweep(struct gh_google_push *push)
{
    for (struct target **at = &push->targets; *at != NULL;) {
        struct target *target = *at;
        if (target->is_listed || target->pulling != NULL || target->under_way > 0) {
            at = &target->next;
            continue;
        }
        *at = target->next;
        target_free(target);
    }
}

static struct target *target_find(struct gh_google_push *push, uint32_t number)
{
    struct target *target = push->targets;
    while (target != NULL && target->number != number)
        target = target->next;
    if (target != NULL || (target = calloc(1, sizeof *target)) == NULL)
        return target;
    target->push = push;
    target->number = number;
    target->window = 1;
    target->next = push->targets;
    push->targets = target;
    return target;
}

static void target_set(struct target *target, const struct gh_subscription *what,
                       struct gh_slice project)
{
    char *config = strndup((const char *)what->push.data, what->push.size);
    if (config == NULL)
        return; /* it goes on as it was */
    if (target->config == NULL || strcmp(config, target->config) != 0)
        target->rest_ns = target->rests_until_ns = 0; /* another endpoint may be well */
    free(target->config);
    target->config = config;
    target->ack_deadline_s = what->ack_deadline_s;
    target->is_ordered = what->is_ordered;
    target->has_attempts = what->dead_letter_topic.size > 0;
    target->has_pauses = what->backoff_max_ms > 0;
    target->is_listed = true;
    if (target->name[0] != '\0')
        return; /* senders read it without the lock, and it never changes */
    target->tenant = what->tenant;
    snprintf(target->name, sizeof target->name, "%.*s", GH_PRINT(what->name));
    snprintf(target->full, sizeof target->full, "projects/%.*s/subscriptions/%.*s",
             GH_PRINT(project), GH_PRINT(what->name));
}

/* ---- the outcome of a message. Under the lock. */

static void succeeded(struct target *target)
{
    target->rest_ns = target->rests_until_ns = 0;
    if (target->window < GH_GOOGLE_PUSH_WINDOW_MAX)
        target->window++;
}

static void failed(struct target *target)
{
    target->window = target->window > 1 ? target->window / 2 : 1;
    if (target->has_pauses) /* each message has its own pause */
        return;
    int64_t now_ns = gh_time_monotonic_ns();
    if (target->rests_until_ns > now_ns)
        return; /* one of several that were under way together */
    target->rest_ns = target->rest_ns == 0 ? REST_MIN_NS : 2 * target->rest_ns;
    target->rest_ns = target->rest_ns < REST_MAX_NS ? target->rest_ns : REST_MAX_NS;
    target->rests_until_ns = now_ns + target->rest_ns;
}

/* ---- pulling */

static void batch_free(struct batch *batch)
{
    gh_pull_release(&batch->pull);
    free(batch->config);
    free(batch);
}

/* On the pubsub's thread. */
static void pulled(void *context, struct gh_letter *letter)
{
    struct batch *batch = context;
    struct target *target = batch->target;
    struct gh_google_push *push = target->push;
    (void)letter;
    pthread_mutex_lock(&push->lock);
    target->pulling = NULL;
    batch->left = batch->pull.result == GH_OK ? batch->pull.count : 0;
    if (batch->left > 0) {
        target->under_way += batch->left;
        *push->ready_end = batch;
        push->ready_end = &batch->next;
        pthread_cond_broadcast(&push->send);
    } else {
        batch_free(batch);
    }
    push->is_changed |= !target->is_listed;
    pthread_cond_signal(&push->manage);
    pthread_mutex_unlock(&push->lock);
}

/* Under the lock, which a pull that is refused at once does not take. */
static void pull(struct target *target)
{
    struct batch *batch = calloc(1, sizeof *batch);
    struct gh_error error;
    if (batch == NULL || (batch->config = strdup(target->config)) == NULL) {
        free(batch);
        return;
    }
    size_t room = target->window - target->under_way;
    batch->target = target;
    batch->pull = (struct gh_pull){.reply = pulled,
                                   .reply_context = batch,
                                   .messages_max = target->is_ordered ? ORDERED_BATCH : room,
                                   .wait_ms = INT64_C(1000) * GH_PUBSUB_WAIT_MAX_S};
    target->pulling = batch;
    if (gh_pubsub_pull(target->push->options.pubsub, target->tenant, gh_slice_text(target->name),
                       &batch->pull, &error) == GH_OK)
        return;
    target->pulling = NULL;
    target->rests_until_ns = gh_time_monotonic_ns() + GH_SECOND_NS;
    gh_arena_init(&batch->pull.arena, 0);
    batch_free(batch);
}

/* ---- the manager */

/* Reads the definitions again. Without the lock: the project's name is the store's to say. */
static void look(struct gh_google_push *push)
{
    struct gh_subscription *all;
    struct gh_tenant tenant;
    struct gh_arena arena;
    struct gh_error error;
    size_t count = 0;
    gh_arena_init(&arena, LIST_BYTES_MAX);
    enum gh_error_code code =
        gh_pubsub_subscription_pushed(push->options.pubsub, &arena, &all, &count, &error);
    if (code != GH_OK) {
        gh_log(GH_LOG_WARN, "google", "push: %s", error.text);
        gh_arena_deinit(&arena);
        return;
    }
    pthread_mutex_lock(&push->lock);
    for (struct target *each = push->targets; each != NULL; each = each->next)
        each->is_listed = false;
    pthread_mutex_unlock(&push->lock);
    for (size_t i = 0; i < count; i++) {
        if (gh_directory_tenant_get(push->options.directory, all[i].tenant, &arena, &tenant,
                                    &error) != GH_OK)
            continue;
        pthread_mutex_lock(&push->lock);
        struct target *target = target_find(push, all[i].number);
        if (target != NULL)
            target_set(target, &all[i], tenant.google_project);
        pthread_mutex_unlock(&push->lock);
    }
    pthread_mutex_lock(&push->lock);
    sweep(push);
    pthread_mutex_unlock(&push->lock);
    gh_arena_deinit(&arena);
}

/* Begins the pulls that can begin; when to look again. Under the lock. */
static int64_t begin_pulls(struct gh_google_push *push, int64_t look_at_ns)
{
    int64_t due_ns = look_at_ns, now_ns = gh_time_monotonic_ns();
    for (struct target *target = push->targets; target != NULL; target = target->next) {
        if (!target->is_listed || target->pulling != NULL || target->under_way >= target->window)
            continue;
        if (target->rests_until_ns <= now_ns)
            pull(target);
        if (target->rests_until_ns > now_ns && target->rests_until_ns < due_ns)
            due_ns = target->rests_until_ns;
    }
    return due_ns;
}

static void *manage(void *context)
{
    struct gh_google_push *push = context;
    int64_t look_at_ns = 0;
    pthread_mutex_lock(&push->lock);
    while (!push->is_closing) {
        if (push->is_changed || gh_time_monotonic_ns() >= look_at_ns) {
            push->is_changed = false;
            pthread_mutex_unlock(&push->lock);
            look(push);
            pthread_mutex_lock(&push->lock);
            look_at_ns = gh_time_monotonic_ns() + LOOK_EVERY_NS;
            continue;
        }
        int64_t due_ns = begin_pulls(push, look_at_ns);
        struct timespec until = {.tv_sec = due_ns / GH_SECOND_NS, .tv_nsec = due_ns % GH_SECOND_NS};
        pthread_cond_timedwait(&push->manage, &push->lock, &until);
    }
    pthread_mutex_unlock(&push->lock);
    return NULL;
}

/* ---- senders */

struct sender {
    struct gh_google_push *push;
    struct gh_http_client *client;
};

static bool is_taken(int status)
{
    static const int taken[] = {102, 200, 201, 202, 204};
    for (size_t i = 0; i < GH_COUNT(taken); i++)
        if (taken[i] == status)
            return true;
    return false;
}

/* Whether the endpoint took it. */
static bool send_one(struct sender *sender, const struct batch *batch,
                     const struct gh_received *received)
{
    const struct target *target = batch->target; /* its texts change under the lock alone */
    struct google_push_request request = {0};
    struct gh_error error = {0};
    struct gh_arena arena;
    struct gh_buffer answer;
    int status = 0;
    char full[NAME_MAX_BYTES];
    pthread_mutex_lock(&sender->push->lock);
    snprintf(full, sizeof full, "%s", target->full);
    int deadline_ms = (int)target->ack_deadline_s * 1000;
    struct google_push_message message = {.received = received,
                                          .config = gh_slice_text(batch->config),
                                          .subscription = gh_slice_text(full),
                                          .has_attempts = target->has_attempts};
    pthread_mutex_unlock(&sender->push->lock);
    gh_arena_init(&arena, REQUEST_BYTES_MAX);
    gh_buffer_init(&answer, ANSWER_BYTES_MAX);
    gh_http_client_set_timeout(sender->client, 0, deadline_ms);
    enum gh_error_code code =
        google_push_request_make(&sender->push->options, &message, &arena, &request, &error);
    if (code == GH_OK) /* the operator's list may be another than when it was made */
        code = gh_google_push_allows(sender->push, gh_slice_text(request.url), &error);
    if (code == GH_OK)
        code = gh_http_client_call(sender->client, "POST", request.url, request.headers,
                                   request.body, &answer, &status, &error);
    if (code != GH_OK || !is_taken(status))
        gh_log(GH_LOG_INFO, "google", "push of %s: message %llu is given back: status %d%s%s", full,
               (unsigned long long)received->id, status, code == GH_OK ? "" : ", ", error.text);
    gh_buffer_deinit(&answer);
    gh_arena_deinit(&arena);
    return code == GH_OK && is_taken(status);
}

static void settle(struct gh_google_push *push, const struct batch *batch,
                   const struct gh_received *received, bool taken)
{
    struct gh_slice id = gh_slice_text(received->ack_id);
    struct gh_slice name = gh_slice_text(batch->target->name);
    struct gh_error error;
    enum gh_error_code code =
        taken ? gh_pubsub_acknowledge_wait(push->options.pubsub, batch->target->tenant, name, &id,
                                           1, &error)
              : gh_pubsub_modify_deadline_wait(push->options.pubsub, batch->target->tenant, name,
                                               &id, 1, 0, &error);
    if (code != GH_OK && code != GH_ERROR_NOT_FOUND && code != GH_ERROR_PRECONDITION)
        gh_log(GH_LOG_WARN, "google", "push of %s: %s", batch->target->full, error.text);
}

/* The next message that no sender has; NULL when there is none. Under the lock. */
static const struct gh_received *take(struct gh_google_push *push, struct batch **out)
{
    struct batch *batch = push->ready;
    if (batch == NULL)
        return NULL;
    *out = batch;
    const struct gh_received *received = &batch->pull.messages[batch->taken++];
    if (batch->taken == batch->pull.count) {
        push->ready = batch->next;
        if (push->ready == NULL)
            push->ready_end = &push->ready;
    }
    return received;
}

static void done(struct gh_google_push *push, struct batch *batch, bool taken)
{
    struct target *target = batch->target;
    pthread_mutex_lock(&push->lock);
    if (taken)
        succeeded(target);
    else
        failed(target);
    target->under_way--;
    if (--batch->left == 0)
        batch_free(batch);
    push->is_changed |= !target->is_listed; /* it goes with its last message */
    pthread_cond_signal(&push->manage);
    pthread_mutex_unlock(&push->lock);
}

static void *send_all(void *context)
{
    struct sender sender = {.push = context};
    struct gh_google_push *push = context;
    struct gh_error error;
    sender.client = gh_http_client_open(push->ca_path, &error);
    if (sender.client == NULL)
        gh_log(GH_LOG_ERROR, "google", "push: %s", error.text);
    pthread_mutex_lock(&push->lock);
    while (!push->is_closing && sender.client != NULL) {
        struct batch *batch;
        const struct gh_received *received = take(push, &batch);
        if (received == NULL) {
            pthread_cond_wait(&push->send, &push->lock);
            continue;
        }
        pthread_mutex_unlock(&push->lock);
        bool taken = send_one(&sender, batch, received);
        settle(push, batch, received, taken);
        done(push, batch, taken);
        pthread_mutex_lock(&push->lock);
    }
    pthread_mutex_unlock(&push->lock);
    gh_http_client_close(sender.client);
    return NULL;
}

/* ---- open and close */

static bool start(struct gh_google_push *push)
{
    push->has_manager = pthread_create(&push->manager, NULL, manage, push) == 0;
    while (push->has_manager && push->senders_count < GH_GOOGLE_PUSH_SENDERS &&
           pthread_create(&push->senders[push->senders_count], NULL, send_all, push) == 0)
        push->senders_count++;
    return push->senders_count == GH_GOOGLE_PUSH_SENDERS;
}

struct gh_google_push *gh_google_push_open(const struct gh_google_push_options *options,
                                           struct gh_error *error)
{
    struct gh_google_push *push = calloc(1, sizeof *push);
    pthread_condattr_t monotonic;
    if (push == NULL) {
        gh_error_set(error, GH_ERROR_MEMORY, "no memory to push messages");
        return NULL;
    }
    push->options = *options;
    push->ca_path = options->ca_path == NULL ? NULL : strdup(options->ca_path);
    push->ready_end = &push->ready;
    pthread_mutex_init(&push->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&push->manage, &monotonic);
    pthread_cond_init(&push->send, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (start(push))
        return push;
    gh_error_set(error, GH_ERROR_MEMORY, "no memory or threads to push messages");
    gh_google_push_close(push);
    return NULL;
}

static bool is_pulling(const struct gh_google_push *push)
{
    const struct target *target = push->targets;
    while (target != NULL && target->pulling == NULL)
        target = target->next;
    return target != NULL;
}

/* Pulls that wait are given up, and what no sender took goes back at its deadline. */
static void wind_up(struct gh_google_push *push)
{
    pthread_mutex_lock(&push->lock);
    for (struct target *each = push->targets; each != NULL; each = each->next)
        if (each->pulling != NULL)
            gh_pubsub_pull_cancel(push->options.pubsub, &each->pulling->pull);
    while (is_pulling(push))
        pthread_cond_wait(&push->manage, &push->lock);
    while (push->ready != NULL) {
        struct batch *batch = push->ready;
        push->ready = batch->next;
        batch->target->under_way -= batch->left;
        batch_free(batch);
    }
    push->ready_end = &push->ready;
    for (struct target *each = push->targets; each != NULL; each = each->next)
        each->is_listed = false;
    sweep(push);
    assert(push->targets == NULL);
    pthread_mutex_unlock(&push->lock);
}

void gh_google_push_close(struct gh_google_push *push)
{
    if (push == NULL)
        return;
    pthread_mutex_lock(&push->lock);
    push->is_closing = true;
    pthread_cond_broadcast(&push->manage);
    pthread_cond_broadcast(&push->send);
    pthread_mutex_unlock(&push->lock);
    if (push->has_manager)
        pthread_join(push->manager, NULL);
    for (size_t i = 0; i < push->senders_count; i++)
        pthread_join(push->senders[i], NULL);
    wind_up(push);
    pthread_mutex_destroy(&push->lock);
    pthread_cond_destroy(&push->manage);
    pthread_cond_destroy(&push->send);
    free(push->ca_path);
    free(push);
}

void gh_google_push_look(struct gh_google_push *push)
{
    if (push == NULL)
        return;
    pthread_mutex_lock(&push->lock);
    push->is_changed = true;
    pthread_cond_signal(&push->manage);
    pthread_mutex_unlock(&push->lock);
}
