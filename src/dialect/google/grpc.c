#include "dialect/google/grpc_internal.h"
#include "io/worker.h"
#include <pthread.h>

/* Calls with one request and one answer: the same way through a worker, the bearer's check, the
 * permission and the handler that a request of REST takes (google.c, rest.c). */

struct visit {
    struct gh_job job; /* first: `run` is given its address */
    struct google_call call;
    struct gh_rpc *rpc; /* a reference while a worker or a handler has the call */
    const struct google_method *method;
    struct gh_slice request;
    bool is_received;
    pthread_mutex_t lock; /* around what follows */
    bool is_gone;
    void (*gone)(void *context);
    void *gone_context;
};

static struct visit *visit_of(struct google_call *call)
{
    return (struct visit *)(void *)((char *)call - offsetof(struct visit, call));
}

struct gh_slice google_rpc_token(const struct gh_rpc *rpc)
{
    return google_token_of(gh_rpc_header(rpc, "authorization"),
                           gh_rpc_header(rpc, "x-goog-api-key"));
}

void google_rpc_fail(struct gh_rpc *rpc, struct google_call *call)
{
    char text[GH_GRPC_STATUS_TEXT_MAX];
    const struct google_status *status = google_call_explain(call, text, sizeof text);
    gh_rpc_end(rpc, status->grpc, gh_slice_text(text));
}

/* ---- on a worker */

static void answer(struct visit *visit)
{
    struct google_call *call = &visit->call;
    struct gh_slice bytes;
    if (call->code == GH_OK)
        call->code = google_protobuf_write(visit->method->response, call->output, call->arena,
                                           &bytes, &call->error);
    if (call->code != GH_OK)
        google_rpc_fail(visit->rpc, call);
    else if (gh_rpc_send(visit->rpc, bytes))
        gh_rpc_end(visit->rpc, GH_GRPC_OK, (struct gh_slice){0});
    else
        gh_rpc_end(visit->rpc, GH_GRPC_RESOURCE_EXHAUSTED, GH_SLICE("the answer is too large"));
}

/* `finish` of the call: any thread. */
static void finish(struct google_call *call)
{
    struct visit *visit = visit_of(call);
    answer(visit);
    google_call_deinit(call);
    gh_rpc_unref(visit->rpc); /* the visit goes with it */
}

static void on_gone(struct google_call *call, void (*fn)(void *context), void *context)
{
    struct visit *visit = visit_of(call);
    pthread_mutex_lock(&visit->lock);
    bool is_gone = visit->is_gone;
    visit->gone = fn;
    visit->gone_context = context;
    pthread_mutex_unlock(&visit->lock);
    if (is_gone)
        fn(context);
}

/* Nothing of the request is read before its sender is known. */
static enum gh_error_code prepare(struct visit *visit)
{
    struct google_call *call = &visit->call;
    call->body = visit->request;
    enum gh_error_code code = google_call_authenticate(call, google_rpc_token(visit->rpc));
    if (code != GH_OK)
        return code;
    json_t *request =
        google_protobuf_read(visit->method->request, visit->request, call->arena, &call->error);
    return request == NULL ? call->error.code : google_method_call(visit->method, request, call);
}

static void run(struct gh_job *job)
{
    struct visit *visit = (struct visit *)job;
    enum gh_error_code code = prepare(visit);
    if (code == GH_OK)
        google_call_run(&visit->call);
    else
        google_call_end(&visit->call, code);
}

/* ---- on the loop */

static void on_message(void *context, struct gh_rpc *rpc, struct gh_slice body)
{
    struct visit *visit = context;
    if (visit->is_received || !gh_arena_copy(gh_rpc_arena(rpc), body, &visit->request))
        gh_rpc_end(rpc, visit->is_received ? GH_GRPC_INTERNAL : GH_GRPC_RESOURCE_EXHAUSTED,
                   GH_SLICE("one request of an ordinary size is taken"));
    visit->is_received = true;
}

static void on_ended(void *context, struct gh_rpc *rpc)
{
    struct visit *visit = context;
    if (!visit->is_received) {
        gh_rpc_end(rpc, GH_GRPC_INTERNAL, GH_SLICE("the call has no request"));
        return;
    }
    visit->rpc = gh_rpc_ref(rpc);
    if (gh_workers_submit(visit->call.services->workers, &visit->job))
        return;
    gh_rpc_unref(rpc);
    gh_rpc_end(rpc, GH_GRPC_UNAVAILABLE, GH_SLICE("the server is busy, try again shortly"));
}

static void on_over(void *context, struct gh_rpc *rpc)
{
    struct visit *visit = context;
    (void)rpc;
    pthread_mutex_lock(&visit->lock);
    visit->is_gone = true;
    void (*fn)(void *context) = visit->gone;
    pthread_mutex_unlock(&visit->lock);
    if (fn != NULL)
        fn(visit->gone_context);
}

static const struct gh_rpc_taker taker = {
    .message = on_message, .ended = on_ended, .gone = on_over};

static void begin_unary(const struct gh_google *google, struct gh_rpc *rpc,
                        const struct google_method *method)
{
    struct visit *visit = gh_arena_alloc(gh_rpc_arena(rpc), sizeof *visit);
    if (visit == NULL) {
        gh_rpc_end(rpc, GH_GRPC_RESOURCE_EXHAUSTED, GH_SLICE("no memory for the call"));
        return;
    }
    pthread_mutex_init(&visit->lock, NULL);
    visit->job.run = run;
    visit->method = method;
    visit->call = (struct google_call){.services = google_services_of(google),
                                       .answers = google_answers_of(google),
                                       .arena = gh_rpc_arena(rpc),
                                       .peer = gh_rpc_head_of(rpc)->peer,
                                       .chain = gh_rpc_head_of(rpc)->certificates,
                                       .chain_count = gh_rpc_head_of(rpc)->certificates_count,
                                       .face = GH_SLICE("grpc"),
                                       .finish = finish,
                                       .on_gone = on_gone};
    gh_rpc_take(rpc, &taker, visit, false);
}

void gh_google_rpc(struct gh_google *google, struct gh_rpc *rpc)
{
    struct gh_slice path = gh_rpc_head_of(rpc)->path;
    const struct google_method *method = google_method_find(path);
    if (method != NULL)
        begin_unary(google, rpc, method);
    else if (gh_slice_equal(path, GH_SLICE("/google.pubsub.v1.Subscriber/StreamingPull")))
        google_stream_begin(google, rpc);
    else
        gh_rpc_end(rpc, GH_GRPC_UNIMPLEMENTED, GH_SLICE("this method is not served"));
}
