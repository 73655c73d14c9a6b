/* StreamingPull: a stream of pulls and of acknowledgements, each of them a call of the service API
 * like those of other clients, with its own permission check, made anew while it waits, so that a
 * stream ends when its token is withdrawn.
 *
 * Pace: the next pull begins when the client's HTTP/2 window has taken what the last one gave, so
 * that a client that stops reading stops being sent to. Messages that a stream took and cannot send
 * any more become free at their deadline. Acknowledgements that wait for a worker are bounded; a
 * client with more of them than that has its stream ended and repeats. */
#include "base/log.h"
#include "dialect/google/grpc_internal.h"
#include "google.pb-c.h"
#include "io/worker.h"
#include "pubsub/pubsub.h"
#include <pthread.h>
#include <stdlib.h>

enum {
    ANSWERS_WAITING_MAX = 64,                /* acknowledgements of one stream */
    STEP_ARENA_BYTES_MAX = 24 * 1024 * 1024, /* one pull's messages, twice */
    MESSAGES_PER_PULL = 1000,
};

/* In the rpc's arena. */
struct stream {
    const struct gh_google_services *services;
    struct gh_rpc *rpc;           /* not counted: every step holds a reference */
    struct gh_slice subscription; /* of the first request; empty before it came */
    pthread_mutex_t lock;         /* around what follows */
    bool is_gone, waits_for_room;
    size_t answers_waiting;
    void (*gone)(void *context); /* of the pull that waits */
    void *gone_context;
};

/* One call on behalf of a stream. */
struct step {
    struct gh_job job; /* first: `run` is given its address */
    struct google_call call;
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

static void send_pulled(struct step *step)
{
    struct google_call *call = &step->call;
    struct gh_rpc *rpc = step->stream->rpc;
    struct gh_slice bytes;
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

static void run_pull(struct gh_job *job)
{
    struct step *step = (struct step *)job;
    step_reset(step, pulled);
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
                 json_pack("{s:o, s:O, s:o}", "subscription",
                           gh_json_new_text(step->stream->subscription), "ackDeadlineSeconds",
                           seconds, "ackIds", run));
    }
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
    bool is_read =
        name.size != 0 && gh_arena_copy(gh_rpc_arena(stream->rpc), name, &stream->subscription);
    json_decref(request);
    json_t *says = json_pack("{s:{}}", "subscriptionProperties");
    if (!is_read)
        gh_rpc_end(stream->rpc, GH_GRPC_INVALID_ARGUMENT,
                   GH_SLICE("the first request must be well-formed and name a subscription"));
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
    pthread_mutex_lock(&stream->lock);
    stream->is_gone = true;
    if (stream->gone != NULL)
        stream->gone(stream->gone_context);
    stream->gone = NULL;
    pthread_mutex_unlock(&stream->lock);
}

static const struct gh_rpc_taker taker = {
    .message = on_message, .ended = on_ended, .drained = on_drained, .gone = on_over};

void google_stream_begin(const struct gh_google_services *services, struct gh_rpc *rpc)
{
    struct stream *stream = gh_arena_alloc(gh_rpc_arena(rpc), sizeof *stream);
    if (stream == NULL) {
        gh_rpc_end(rpc, GH_GRPC_RESOURCE_EXHAUSTED, GH_SLICE("no memory for the call"));
        return;
    }
    stream->services = services;
    stream->rpc = rpc;
    pthread_mutex_init(&stream->lock, NULL);
    gh_rpc_take(rpc, &taker, stream, true);
}
