/* StreamingPull: a stream of pulls and of acknowledgements, each of them a call of the service API
 * like those of other clients, with its own permission check, made anew while it waits, so that a
 * stream ends when its token is withdrawn.
 *
 * Pace: a client says how much it takes before it answers (window.h); while its window is full a
 * pull only waits. And the next pull begins when the client's HTTP/2 window has taken what the last
 * one gave, so that a client that stops reading stops being sent to. Messages that a stream took
 * and cannot send any more become free at their deadline. Acknowledgements that wait for a worker
 * are bounded; a client with more of them than that has its stream ended and repeats. */
#include "base/log.h"
#include "base/time.h"
#include "dialect/google/answers.h"
#include "dialect/google/grpc_internal.h"
#include "dialect/google/window.h"
#include "google.pb-c.h"
#include "io/worker.h"
#include "pubsub/pubsub.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    ANSWERS_WAITING_MAX = 64,                /* acknowledgements of one stream */
    STEP_ARENA_BYTES_MAX = 24 * 1024 * 1024, /* one pull's messages, twice */
    MESSAGES_PER_PULL = 1000,
};

/* In the rpc's arena. */
struct stream {
    const struct gh_google_services *services;
    struct google_answers *answers;
    struct gh_rpc *rpc;           /* not counted: every step holds a reference */
    struct gh_slice subscription; /* of the first request; empty before it came */
    pthread_mutex_t ears;         /* around the next two; taken without the lock below, which is
                                   * taken when the listener is called */
    struct google_listener listener;
    bool is_deaf;
    pthread_mutex_t lock; /* around what follows */
    struct google_window window;
    uint32_t ack_deadline_s; /* of what is given; 0: the subscription's */
    bool is_gone, waits_for_room;
    size_t answers_waiting;
    void (*gone)(void *context); /* of the pull that waits */
    void *gone_context;
};

/* One call on behalf of a stream. */
struct step {
    struct gh_job job; /* first: `run` is given its address */
    struct google_call call;
    struct google_pull_terms terms; /* of pulls */
    struct gh_arena arena;
    struct stream *stream;
    struct gh_slice request; /* of acknowledgements: the bytes that came */
};

static void begin_pull(struct stream *stream);

static struct step *step_of(struct google_call *call)
{
    return (struct step *)(void *)((char *)call - offsetof(struct step, call));
}

static struct step *step_open(struct stream *stream, void (*run)(struct gh_job *job))
{
    struct step *step = calloc(1, sizeof *step);
    if (step == NULL)
        return NULL;
    step->stream = stream;
    step->job.run = run;
    gh_arena_init(&step->arena, STEP_ARENA_BYTES_MAX);
    gh_rpc_ref(stream->rpc);
    return step;
}

static void step_close(struct step *step)
{
    struct gh_rpc *rpc = step->stream->rpc;
    gh_arena_deinit(&step->arena);
    free(step);
    gh_rpc_unref(rpc); /* the stream goes with the last one */
}

/* Ready for google_method_call. */
static void step_reset(struct step *step, void (*finish)(struct google_call *call))
{
    const struct gh_rpc_head *head = gh_rpc_head_of(step->stream->rpc);
    google_call_deinit(&step->call);
    step->call = (struct google_call){.services = step->stream->services,
                                      .answers = step->stream->answers,
                                      .arena = &step->arena,
                                      .peer = head->peer,
                                      .chain = head->certificates,
                                      .chain_count = head->certificates_count,
                                      .finish = finish};
}

/* Takes `request`, also when it is NULL for want of memory. */
static void run_call(struct step *step, const char *method, json_t *request)
{
    struct google_call *call = &step->call;
    enum gh_error_code code =
        request == NULL ? google_fail(call, GH_ERROR_MEMORY, "the request") : GH_OK;
    if (code == GH_OK)
        code = google_method_call(google_method_find(gh_slice_text(method)), request, call);
    if (code == GH_OK)
        code = google_call_authenticate(call, google_rpc_token(step->stream->rpc));
    if (code == GH_OK)
        google_call_run(call);
    else
        google_call_end(call, code);
}

/* ---- pulling */

static void on_gone(struct google_call *call, void (*fn)(void *context), void *context)
{
    struct stream *stream = step_of(call)->stream;
    pthread_mutex_lock(&stream->lock);
    bool is_gone = stream->is_gone;
    stream->gone = is_gone ? NULL : fn;
    stream->gone_context = context;
    pthread_mutex_unlock(&stream->lock);
    if (is_gone)
        fn(context);
}

/* The pull is over: nobody calls `gone` any more once this has returned. Says whether it gave
 * messages, after which the next one waits for room. */
static void leave_pull(struct stream *stream, bool gave)
{
    pthread_mutex_lock(&stream->lock);
    stream->gone = NULL;
    stream->waits_for_room = gave;
    pthread_mutex_unlock(&stream->lock);
}

/* What a message weighs: its data and attributes. */
static size_t weight_of(json_t *received)
{
    json_t *message = json_object_get(received, "message"), *value;
    size_t bytes = json_string_length(json_object_get(message, "data")) / 4 * 3;
    const char *key;
    json_object_foreach(json_object_get(message, "attributes"), key, value) bytes +=
        strlen(key) + json_string_length(value);
    return bytes;
}

/* Into the window, before they are sent: an answer may come at once. */
static void count_pulled(struct stream *stream, json_t *list)
{
    json_t *each;
    size_t i;
    pthread_mutex_lock(&stream->lock);
    uint32_t deadline_s =
        stream->ack_deadline_s == 0 ? GH_PUBSUB_DEADLINE_MAX_S : stream->ack_deadline_s;
    int64_t deadline_ns = gh_time_monotonic_ns() + deadline_s * GH_SECOND_NS;
    json_array_foreach(list, i, each)
        google_window_add(&stream->window, gh_json_slice(json_object_get(each, "ackId")),
                          weight_of(each), deadline_ns);
    pthread_mutex_unlock(&stream->lock);
}

/* From the first messages on the stream hears how they are answered; before, nobody but who may
 * pull from a subscription is in its list. */
static void listen_to(struct stream *stream, const struct google_call *call)
{
    pthread_mutex_lock(&stream->ears);
    if (!stream->is_deaf &&
        !google_answers_join(stream->answers, call->tenant.number, call->target, &stream->listener))
        gh_log(GH_LOG_WARN, "google", "%s: no memory: a stream's window opens by deadlines only",
               call->peer);
    pthread_mutex_unlock(&stream->ears);
}

static void stop_listening(struct stream *stream)
{
    pthread_mutex_lock(&stream->ears);
    stream->is_deaf = true;
    google_answers_leave(stream->answers, &stream->listener);
    pthread_mutex_unlock(&stream->ears);
}

static void send_pulled(struct step *step)
{
    struct google_call *call = &step->call;
    struct gh_rpc *rpc = step->stream->rpc;
    struct gh_slice bytes;
    if (step->terms.is_ordered)
        call->write_failed |=
            json_object_set_new(call->output, "subscriptionProperties",
                                json_pack("{s:b}", "messageOrderingEnabled", 1)) != 0;
    listen_to(step->stream, call);
    count_pulled(step->stream, json_object_get(call->output, "receivedMessages"));
    call->code = google_protobuf_write(&google__streaming_pull_response__descriptor, call->output,
                                       call->arena, &bytes, &call->error);
    if (call->code != GH_OK)
        google_rpc_fail(rpc, call);
    else if (!gh_rpc_send(rpc, bytes))
        gh_log(GH_LOG_DEBUG, "google", "%s: a stream has gone with messages on their way",
               call->peer);
}

/* `finish` of a pull: any thread. */
static void pulled(struct google_call *call)
{
    struct step *step = step_of(call);
    struct stream *stream = step->stream;
    bool gave = call->code == GH_OK && json_object_size(call->output) > 0;
    leave_pull(stream, gave);
    if (gave)
        send_pulled(step);
    else if (call->code != GH_OK)
        google_rpc_fail(stream->rpc, call);
    else if (!gh_rpc_is_over(stream->rpc))
        begin_pull(stream);
    google_call_deinit(call);
    step_close(step);
}

static void room_of(void *context, size_t *messages, size_t *bytes)
{
    struct stream *stream = context;
    pthread_mutex_lock(&stream->lock);
    google_window_room(&stream->window, gh_time_monotonic_ns(), messages, bytes);
    pthread_mutex_unlock(&stream->lock);
}

static void run_pull(struct gh_job *job)
{
    struct step *step = (struct step *)job;
    struct stream *stream = step->stream;
    step_reset(step, pulled);
    pthread_mutex_lock(&stream->lock);
    step->terms = (struct google_pull_terms){
        .room = room_of, .context = stream, .ack_deadline_s = stream->ack_deadline_s};
    pthread_mutex_unlock(&stream->lock);
    step->call.terms = &step->terms;
    step->call.on_gone = on_gone;
    run_call(step, "/google.pubsub.v1.Subscriber/Pull",
             json_pack("{s:o, s:i}", "subscription", gh_json_new_text(step->stream->subscription),
                       "maxMessages", MESSAGES_PER_PULL));
}

static void begin_pull(struct stream *stream)
{
    struct step *step = step_open(stream, run_pull);
    if (step != NULL && gh_workers_submit(stream->services->workers, &step->job))
        return;
    gh_rpc_end(stream->rpc, GH_GRPC_UNAVAILABLE, GH_SLICE("the server is busy, try again shortly"));
    if (step != NULL)
        step_close(step);
}

/* ---- acknowledging */

/* What cannot be acknowledged comes again; a stream has no answer for it. */
static void answered(struct google_call *call)
{
    char text[GH_GRPC_STATUS_TEXT_MAX];
    if (call->code == GH_OK)
        return;
    (void)google_call_explain(call, text, sizeof text);
    gh_log(GH_LOG_DEBUG, "google", "%s: acknowledgements of a stream: %s", call->peer, text);
}

/* These have been answered, on this stream or elsewhere: with a deadline they stay in the window
 * until then. */
static void count_answered(struct google_listener *listener, const struct google_answer *answer)
{
    struct stream *stream =
        (struct stream *)(void *)((char *)listener - offsetof(struct stream, listener));
    pthread_mutex_lock(&stream->lock);
    bool was_used = stream->window.leases.count > 0;
    int64_t deadline_ns = gh_time_monotonic_ns() + answer->deadline_s * GH_SECOND_NS;
    for (size_t i = 0; was_used && i < answer->count; i++) {
        if (answer->deadline_s > 0)
            google_window_extend(&stream->window, answer->ack_ids[i], deadline_ns);
        else
            google_window_drop(&stream->window, answer->ack_ids[i]);
    }
    if (was_used && answer->deadline_s == 0 && stream->gone != NULL)
        google_pull_wake(stream->gone_context);
    pthread_mutex_unlock(&stream->lock);
}

static void acknowledge(struct step *step, json_t *ids)
{
    if (json_array_size(ids) == 0)
        return;
    step_reset(step, answered);
    run_call(step, "/google.pubsub.v1.Subscriber/Acknowledge",
             json_pack("{s:o, s:O}", "subscription", gh_json_new_text(step->stream->subscription),
                       "ackIds", ids));
}

/* Neighbours with one deadline are changed together. */
static void modify_deadlines(struct step *step, json_t *ids, json_t *deadlines)
{
    size_t count = json_array_size(ids);
    if (count != json_array_size(deadlines)) {
        gh_rpc_end(step->stream->rpc, GH_GRPC_INVALID_ARGUMENT,
                   GH_SLICE("modify_deadline_ack_ids, modify_deadline_seconds: as many of each"));
        return;
    }
    for (size_t i = 0; i < count;) {
        json_t *seconds = json_array_get(deadlines, i), *run = json_array();
        for (; i < count && json_equal(seconds, json_array_get(deadlines, i)); i++)
            (void)json_array_append(run, json_array_get(ids, i));
        step_reset(step, answered);
        run_call(step, "/google.pubsub.v1.Subscriber/ModifyAckDeadline",
                 json_pack("{s:o, s:O, s:O}", "subscription",
                           gh_json_new_text(step->stream->subscription), "ackDeadlineSeconds",
                           seconds, "ackIds", run));
        json_decref(run);
    }
}

/* The deadline that a request asks for, in the first one with the window. False: it is out of its
 * limits. */
static bool read_terms(struct stream *stream, const json_t *request, bool is_first)
{
    int64_t deadline_s = 0, messages = 0, bytes = 0;
    struct gh_error error;
    gh_json_i64(request, "streamAckDeadlineSeconds", &deadline_s);
    if (deadline_s != 0 &&
        (deadline_s < GH_PUBSUB_DEADLINE_MIN_S || deadline_s > GH_PUBSUB_DEADLINE_MAX_S))
        return false;
    bool read =
        gh_json_get_i64(request, "maxOutstandingMessages", GH_JSON_OR_TEXT, &messages, &error) &&
        gh_json_get_i64(request, "maxOutstandingBytes", GH_JSON_OR_TEXT, &bytes, &error);
    pthread_mutex_lock(&stream->lock);
    if (is_first)
        google_window_init(&stream->window, messages, bytes);
    if (deadline_s != 0)
        stream->ack_deadline_s = (uint32_t)deadline_s;
    pthread_mutex_unlock(&stream->lock);
    return read;
}

static void run_answers(struct gh_job *job)
{
    struct step *step = (struct step *)job;
    struct stream *stream = step->stream;
    struct gh_error error;
    json_t *request = google_protobuf_read(&google__streaming_pull_request__descriptor,
                                           step->request, &step->arena, &error);
    if (request == NULL)
        gh_rpc_end(stream->rpc, google_status_of(error.code)->grpc, gh_slice_text(error.text));
    else if (!read_terms(stream, request, false))
        gh_rpc_end(stream->rpc, GH_GRPC_INVALID_ARGUMENT,
                   GH_SLICE("stream_ack_deadline_seconds: 10 to 600"));
    acknowledge(step, json_object_get(request, "ackIds"));
    modify_deadlines(step, json_object_get(request, "modifyDeadlineAckIds"),
                     json_object_get(request, "modifyDeadlineSeconds"));
    json_decref(request);
    google_call_deinit(&step->call);
    pthread_mutex_lock(&stream->lock);
    stream->answers_waiting--;
    pthread_mutex_unlock(&stream->lock);
    step_close(step);
}

static bool may_answer(struct stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    bool may = stream->answers_waiting < ANSWERS_WAITING_MAX;
    stream->answers_waiting += may ? 1 : 0;
    pthread_mutex_unlock(&stream->lock);
    return may;
}

static void begin_answers(struct stream *stream, struct gh_slice body)
{
    struct step *step = may_answer(stream) ? step_open(stream, run_answers) : NULL;
    if (step != NULL && gh_arena_copy(&step->arena, body, &step->request) &&
        gh_workers_submit(stream->services->workers, &step->job))
        return;
    gh_rpc_end(stream->rpc, GH_GRPC_UNAVAILABLE,
               GH_SLICE("too many acknowledgements are waiting, try again shortly"));
    if (step != NULL)
        step_close(step);
}

/* ---- on the loop */

/* The first request names the subscription. The caller is not known yet: nothing but that name is
 * kept of it, and the pull that follows asks who it is. */
static void begin_stream(struct stream *stream, struct gh_slice body)
{
    struct gh_arena arena;
    struct gh_error error;
    struct gh_slice name = {0}, properties = {0};
    gh_arena_init(&arena, STEP_ARENA_BYTES_MAX);
    json_t *request = body.size > GH_RPC_FIELDS_BYTES_MAX
                          ? NULL
                          : google_protobuf_read(&google__streaming_pull_request__descriptor, body,
                                                 &arena, &error);
    gh_json_text(request, "subscription", &name);
    bool is_read = name.size != 0 && read_terms(stream, request, true) &&
                   gh_arena_copy(gh_rpc_arena(stream->rpc), name, &stream->subscription);
    json_decref(request);
    json_t *says = json_pack("{s:{}}", "subscriptionProperties");
    if (!is_read)
        gh_rpc_end(stream->rpc, GH_GRPC_INVALID_ARGUMENT,
                   GH_SLICE("the first request must be well-formed and name a subscription, and a "
                            "deadline is 10 to 600 seconds"));
    else if (google_protobuf_write(&google__streaming_pull_response__descriptor, says, &arena,
                                   &properties, &error) == GH_OK &&
             gh_rpc_send(stream->rpc, properties))
        begin_pull(stream);
    json_decref(says);
    gh_arena_deinit(&arena);
}

static void on_message(void *context, struct gh_rpc *rpc, struct gh_slice body)
{
    struct stream *stream = context;
    (void)rpc;
    if (stream->subscription.size == 0)
        begin_stream(stream, body);
    else if (body.size != 0) /* an empty request keeps the stream alive */
        begin_answers(stream, body);
}

static void on_ended(void *context, struct gh_rpc *rpc)
{
    (void)context;
    gh_rpc_end(rpc, GH_GRPC_OK, (struct gh_slice){0});
}

static void on_drained(void *context, struct gh_rpc *rpc)
{
    struct stream *stream = context;
    (void)rpc;
    pthread_mutex_lock(&stream->lock);
    bool begins = stream->waits_for_room && !stream->is_gone;
    stream->waits_for_room = false;
    pthread_mutex_unlock(&stream->lock);
    if (begins)
        begin_pull(stream);
}

/* Under the lock, so that the pull cannot end in between. */
static void on_over(void *context, struct gh_rpc *rpc)
{
    struct stream *stream = context;
    (void)rpc;
    stop_listening(stream);
    pthread_mutex_lock(&stream->lock);
    stream->is_gone = true;
    if (stream->gone != NULL)
        stream->gone(stream->gone_context);
    stream->gone = NULL;
    google_window_deinit(&stream->window);
    google_window_init(&stream->window, 0, 0); /* nothing is remembered any more */
    pthread_mutex_unlock(&stream->lock);
}

static const struct gh_rpc_taker taker = {
    .message = on_message, .ended = on_ended, .drained = on_drained, .gone = on_over};

void google_stream_begin(const struct gh_google *google, struct gh_rpc *rpc)
{
    struct stream *stream = gh_arena_alloc(gh_rpc_arena(rpc), sizeof *stream);
    if (stream == NULL) {
        gh_rpc_end(rpc, GH_GRPC_RESOURCE_EXHAUSTED, GH_SLICE("no memory for the call"));
        return;
    }
    stream->services = google_services_of(google);
    stream->answers = google_answers_of(google);
    stream->rpc = rpc;
    google_window_init(&stream->window, 0, 0);
    pthread_mutex_init(&stream->ears, NULL);
    pthread_mutex_init(&stream->lock, NULL);
    stream->listener.answered = count_answered;
    gh_rpc_take(rpc, &taker, stream, true);
}
