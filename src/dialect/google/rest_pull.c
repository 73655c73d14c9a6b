#include "base/log.h"
#include "dialect/google/answers.h"
#include "dialect/google/rest_internal.h"
#include "io/worker.h"
#include "pubsub/pubsub.h"
#include <pthread.h>

/* google.pubsub.v1.Subscriber: pulling and acknowledging. */

static const struct google_field pull_fields[] = {
    {.name = "maxMessages", .type = GOOGLE_NUMBER},
    {.name = "returnImmediately", .type = GOOGLE_BOOL},
};
static const struct google_field acknowledge_fields[] = {{.name = "ackIds", .repeated = true}};
static const struct google_field deadline_fields[] = {
    {.name = "ackIds", .repeated = true},
    {.name = "ackDeadlineSeconds", .type = GOOGLE_NUMBER},
};
const struct google_message google_pull_message = GOOGLE_FIELDS(pull_fields);
const struct google_message google_acknowledge_message = GOOGLE_FIELDS(acknowledge_fields);
const struct google_message google_deadline_message = GOOGLE_FIELDS(deadline_fields);

/* ---- pulling ---- */

/* A consumer waits in pieces, and between them is asked again whether it may: one whose token was
 * revoked, or whose right has gone, does not wait for its messages. */
enum { PIECE_MS = 500 };

struct pulling {
    struct gh_job job; /* first: `run` is given its address */
    struct gh_pull pull;
    struct google_call *call;
    size_t messages_max;
    int64_t left_ms;      /* to wait after this piece */
    bool has_attempts;    /* the subscription has a dead letter policy */
    pthread_mutex_t lock; /* around what follows */
    bool started, replied, gone;
    bool woken; /* since it last looked for room */
};

json_t *google_message_write(struct google_call *call, const struct gh_received *received)
{
    json_t *message = json_object(), *attributes = json_object();
    const struct gh_message *from = &received->message;
    google_put_bytes(message, "data", from->data, &call->write_failed);
    for (size_t i = 0; i < from->attributes_count; i++) {
        const struct gh_message_attribute *each = &from->attributes[i];
        if (json_object_setn_new_nocheck(attributes, (const char *)each->key.data, each->key.size,
                                         gh_json_new_text(each->value)) != 0)
            call->write_failed = true;
    }
    google_put_value(message, "attributes", attributes, &call->write_failed);
    google_put_int64(message, "messageId", (int64_t)received->id, &call->write_failed);
    google_put_time(message, "publishTime", received->at_ms, &call->write_failed);
    google_put_text(message, "orderingKey", from->ordering_key, &call->write_failed);
    return message;
}

static json_t *write_received(const struct pulling *pulling, const struct gh_received *received)
{
    struct google_call *call = pulling->call;
    json_t *out = json_object();
    google_put_text(out, "ackId", gh_slice_text(received->ack_id), &call->write_failed);
    google_put_value(out, "message", google_message_write(call, received), &call->write_failed);
    if (pulling->has_attempts)
        google_put_int32(out, "deliveryAttempt", (int)received->attempt, &call->write_failed);
    return out;
}

static void write_messages(struct pulling *pulling)
{
    struct google_call *call = pulling->call;
    const struct gh_pull *pull = &pulling->pull;
    json_t *list = json_array();
    for (size_t i = 0; i < pull->count; i++)
        google_append(list, write_received(pulling, &pull->messages[i]), &call->write_failed);
    call->output = json_object();
    google_put_value(call->output, "receivedMessages", list, &call->write_failed);
}

static void pull_answer(struct pulling *pulling)
{
    struct google_call *call = pulling->call;
    enum gh_error_code code = pulling->pull.result;
    if (code == GH_OK)
        write_messages(pulling);
    else
        google_fail(call, code, "the subscription is gone or detached, or the server is draining");
    gh_pull_release(&pulling->pull);
    google_call_end(call, code);
}

/* Messages on their way to a consumer that has gone are for the next one, now and not at their
 * deadline. */
static void give_back(struct pulling *pulling)
{
    struct google_call *call = pulling->call;
    size_t count = pulling->pull.count;
    struct gh_error error;
    struct gh_slice *ids = gh_arena_array(call->arena, count + 1, sizeof(*ids));
    if (ids == NULL || count == 0)
        return;
    for (size_t i = 0; i < count; i++)
        ids[i] = gh_slice_text(pulling->pull.messages[i].ack_id);
    if (gh_pubsub_modify_deadline_wait(call->services->pubsub, call->tenant.number, call->target,
                                       ids, count, 0, &error) != GH_OK)
        gh_log(GH_LOG_WARN, "google", "messages stay leased: %s", error.text);
}

static void pull_on(struct pulling *pulling);

static void run_answer(struct gh_job *job)
{
    struct pulling *pulling = (struct pulling *)job;
    pthread_mutex_lock(&pulling->lock);
    bool gone = pulling->gone;
    pthread_mutex_unlock(&pulling->lock);
    if (gone)
        give_back(pulling);
    else if (pulling->pull.result == GH_OK && pulling->pull.count == 0 && pulling->left_ms > 0) {
        pull_on(pulling);
        return;
    }
    pull_answer(pulling);
}

/* On the pubsub's thread, which has better things to do than base64. */
static void pull_done(void *context, struct gh_letter *letter)
{
    struct pulling *pulling = context;
    struct gh_workers *workers = pulling->call->services->workers;
    (void)letter;
    pthread_mutex_lock(&pulling->lock);
    pulling->replied = true;
    pthread_mutex_unlock(&pulling->lock);
    pulling->job.run = run_answer;
    if (workers == NULL || !gh_workers_submit(workers, &pulling->job))
        pull_answer(pulling);
}

/* The consumer hung up, or has its answer. */
static void pull_gone(void *context)
{
    struct pulling *pulling = context;
    pthread_mutex_lock(&pulling->lock);
    pulling->gone = true;
    if (pulling->started && !pulling->replied)
        gh_pubsub_pull_cancel(pulling->call->services->pubsub, &pulling->pull);
    pthread_mutex_unlock(&pulling->lock);
}

static enum gh_error_code pull_start(struct google_call *call, struct pulling *pulling)
{
    enum gh_error_code code;
    struct google_pull_terms *terms = call->terms;
    size_t messages = pulling->messages_max, bytes = GOOGLE_PULL_BYTES_MAX;
    pthread_mutex_lock(&pulling->lock);
    pulling->woken = false;
    pthread_mutex_unlock(&pulling->lock);
    if (terms != NULL)
        terms->room(terms->context, &messages, &bytes);
    pulling->pull.only_waits = messages == 0;
    pulling->pull.messages_max = messages == 0 ? 1 : messages;
    pulling->pull.bytes_max = bytes;
    pulling->pull.ack_deadline_s = terms == NULL ? 0 : terms->ack_deadline_s;
    pulling->pull.wait_ms = pulling->left_ms < PIECE_MS ? pulling->left_ms : PIECE_MS;
    pulling->left_ms -= pulling->pull.wait_ms;
    pthread_mutex_lock(&pulling->lock);
    pulling->replied = false;
    if (pulling->pull.only_waits && pulling->woken) /* there is room by now */
        pulling->pull.wait_ms = 0;
    if (pulling->gone)
        code = google_fail(call, GH_ERROR_UNAVAILABLE, "the consumer has gone");
    else
        code = gh_pubsub_pull(call->services->pubsub, call->tenant.number, call->target,
                              &pulling->pull, &call->error);
    pulling->started = code == GH_OK;
    pthread_mutex_unlock(&pulling->lock); /* from here on an answered pull may be gone */
    return code;
}

void google_pull_wake(void *context)
{
    struct pulling *pulling = context;
    pthread_mutex_lock(&pulling->lock);
    pulling->woken = true;
    if (pulling->started && !pulling->replied && pulling->pull.only_waits)
        gh_pubsub_pull_cancel(pulling->call->services->pubsub, &pulling->pull);
    pthread_mutex_unlock(&pulling->lock);
}

/* The next piece. */
static void pull_on(struct pulling *pulling)
{
    struct google_call *call = pulling->call;
    gh_pull_release(&pulling->pull);
    enum gh_error_code code = google_call_judge(call);
    if (code == GH_OK)
        code = pull_start(call, pulling);
    if (code != GH_OK)
        google_call_end(call, code);
}

/* What the subscription says of its messages; one that is pushed is not pulled from. */
static enum gh_error_code look_up(struct google_call *call, struct pulling *pulling)
{
    struct gh_subscription what;
    enum gh_error_code code =
        gh_pubsub_subscription_get(call->services->pubsub, call->tenant.number, call->target,
                                   call->arena, &what, &call->error);
    if (code != GH_OK)
        return code;
    pulling->has_attempts = what.dead_letter_topic.size > 0;
    if (call->terms != NULL)
        call->terms->is_ordered = what.is_ordered;
    return what.push.size == 0
               ? GH_OK
               : google_fail(call, GH_ERROR_PRECONDITION, "the subscription pushes its messages");
}

void google_pull(struct google_call *call)
{
    int64_t messages_max = 0;
    bool immediately = false;
    struct pulling *pulling = gh_arena_alloc(call->arena, sizeof(*pulling));
    gh_json_i64(call->input, "maxMessages", &messages_max);
    gh_json_bool(call->input, "returnImmediately", &immediately);
    if (pulling == NULL || messages_max < 1) {
        google_call_end(call, pulling == NULL
                                  ? google_fail(call, GH_ERROR_MEMORY, "the pull")
                                  : google_fail(call, GH_ERROR_INVALID, "maxMessages: at least 1"));
        return;
    }
    pulling->call = call;
    pthread_mutex_init(&pulling->lock, NULL);
    pulling->pull.reply = pull_done;
    pulling->pull.reply_context = pulling;
    pulling->messages_max =
        messages_max > GH_PUBSUB_PULL_MAX ? GH_PUBSUB_PULL_MAX : (size_t)messages_max;
    pulling->left_ms = immediately ? 0 : INT64_C(1000) * GH_PUBSUB_WAIT_MAX_S;
    if (call->on_gone != NULL)
        call->on_gone(call, pull_gone, pulling);
    enum gh_error_code code = look_up(call, pulling);
    if (code == GH_OK)
        code = pull_start(call, pulling);
    if (code != GH_OK)
        google_call_end(call, code);
}

/* ---- acknowledging ---- */

static enum gh_error_code read_ack_ids(struct google_call *call, struct gh_slice **out,
                                       size_t *count)
{
    json_t *ids = NULL, *each;
    size_t i;
    gh_json_array(call->input, "ackIds", &ids);
    *count = json_array_size(ids);
    if (*count == 0)
        return google_fail(call, GH_ERROR_INVALID, "ackIds: at least one");
    *out = gh_arena_array(call->arena, *count, sizeof(**out));
    if (*out == NULL)
        return google_fail(call, GH_ERROR_MEMORY, "ackIds");
    json_array_foreach(ids, i, each)(*out)[i] = gh_json_slice(each);
    return GH_OK;
}

/* Streams of the subscription hear of it. */
static void tell(const struct google_call *call, const struct gh_slice *ids, size_t count,
                 int64_t deadline_s)
{
    google_answers_tell(call->answers, call->tenant.number, call->target,
                        &(struct google_answer){ids, count, deadline_s});
}

enum gh_error_code google_acknowledge(struct google_call *call)
{
    struct gh_slice *ids;
    size_t count;
    enum gh_error_code code = read_ack_ids(call, &ids, &count);
    if (code == GH_OK)
        code = gh_pubsub_acknowledge_wait(call->services->pubsub, call->tenant.number, call->target,
                                          ids, count, &call->error);
    if (code == GH_OK)
        tell(call, ids, count, 0);
    return code;
}

enum gh_error_code google_modify_deadline(struct google_call *call)
{
    struct gh_slice *ids;
    size_t count;
    int64_t deadline_s = 0;
    gh_json_i64(call->input, "ackDeadlineSeconds", &deadline_s);
    if (deadline_s < 0 || deadline_s > GH_PUBSUB_DEADLINE_MAX_S)
        return google_fail(call, GH_ERROR_INVALID, "ackDeadlineSeconds: 0 to %d",
                           GH_PUBSUB_DEADLINE_MAX_S);
    enum gh_error_code code = read_ack_ids(call, &ids, &count);
    if (code == GH_OK)
        code = gh_pubsub_modify_deadline_wait(call->services->pubsub, call->tenant.number,
                                              call->target, ids, count, (uint32_t)deadline_s,
                                              &call->error);
    if (code == GH_OK)
        tell(call, ids, count, deadline_s);
    return code;
}
