#include "dialect/google/google.h"
#include "base/log.h"
#include "dialect/google/answers.h"
#include "dialect/google/rest_internal.h"
#include "identity/bearer.h"
#include "io/http_server.h"
#include "io/worker.h"
#include "observe/trail.h"
#include <assert.h>
#include <stdlib.h>

struct gh_google {
    struct gh_google_services services;
    struct google_answers *answers;
};

/* One request on its way through a worker; lives in the exchange's arena. */
struct visit {
    struct gh_job job; /* first: `run` is given its address */
    struct google_call call;
    struct gh_exchange *exchange; /* a reference, given back with the answer */
};

static const struct gh_slice prefixes[] = {GH_SLICE_INIT("/v1/projects/"),
                                           GH_SLICE_INIT("/v1beta1/projects/")};
static const struct gh_slice no_more = GH_SLICE_INIT("/v1/projects");
enum { ANSWER_BYTES_MAX = GH_EXCHANGE_ANSWER_BYTES_MAX };

struct gh_google *gh_google_open(const struct gh_google_services *services)
{
    struct gh_google *google = calloc(1, sizeof(*google));
    assert(services->directory != NULL && services->utc_ms != NULL);
    if (google == NULL)
        return NULL;
    google->services = *services;
    google->answers = google_answers_open();
    if (google->answers != NULL)
        return google;
    free(google);
    return NULL;
}

void gh_google_close(struct gh_google *google)
{
    if (google != NULL)
        google_answers_close(google->answers);
    free(google);
}

static void answer(struct gh_exchange *exchange, int status, struct gh_slice body)
{
    static const struct gh_http_header challenge = {GH_SLICE_INIT("www-authenticate"),
                                                    GH_SLICE_INIT("Bearer")};
    gh_exchange_answer(exchange, &(struct gh_http_answer){
                                     .status = status,
                                     .content_type = "application/json; charset=UTF-8",
                                     .body = body,
                                     .headers = &challenge,
                                     .headers_count = status == 401 ? 1 : 0,
                                 });
}

static struct visit *visit_of(struct google_call *call)
{
    return (struct visit *)((char *)call - offsetof(struct visit, call));
}

static void on_gone(struct google_call *call, void (*fn)(void *context), void *context)
{
    gh_exchange_on_gone(visit_of(call)->exchange, fn, context);
}

/* `finish` of the call: any thread. */
static void finish(struct google_call *call)
{
    struct gh_exchange *exchange = visit_of(call)->exchange;
    struct gh_buffer body;
    gh_buffer_init(&body, ANSWER_BYTES_MAX);
    int status = google_call_print(call, &body);
    answer(exchange, status, gh_buffer_slice(&body));
    gh_buffer_deinit(&body);
    google_call_deinit(call);
    gh_exchange_unref(exchange); /* the visit goes with it */
}

const struct gh_google_services *google_services_of(const struct gh_google *google)
{
    return &google->services;
}

struct google_answers *google_answers_of(const struct gh_google *google)
{
    return google->answers;
}

struct gh_slice google_token_of(struct gh_slice authorization, struct gh_slice api_key)
{
    if (authorization.size == 0)
        return api_key;
    struct gh_slice scheme = gh_slice_split(&authorization, ' ');
    while (authorization.size > 0 && authorization.data[0] == ' ')
        authorization = gh_slice_sub(authorization, 1, authorization.size);
    return gh_slice_equal_nocase(scheme, GH_SLICE("Bearer")) ? authorization : (struct gh_slice){0};
}

/* A token that was refused: the peer is told nothing, the operator everything. */
static void note_refusal(const struct google_call *call, const struct gh_identity_verdict *verdict,
                         int64_t now_ms)
{
    struct gh_trail_entry entry = {.at_ms = now_ms, .address = gh_slice_text(call->peer)};
    if (!gh_bearer_refusal(verdict, &entry))
        return;
    gh_log(GH_LOG_WARN, "google", "refused a token from %s: %.*s, %s", call->peer,
           GH_PRINT(entry.reason), verdict->detail);
    if (call->services->trail != NULL)
        gh_trail_note(call->services->trail, &entry);
}

enum gh_error_code google_call_authenticate(struct google_call *call, struct gh_slice token)
{
    struct gh_identity_verdict verdict;
    struct gh_error error;
    const struct gh_bearer_services services = {.store = call->services->store,
                                                .directory = call->services->directory,
                                                .access = call->services->access};
    const struct gh_bearer bearer = {.token = token,
                                     .chain = call->chain,
                                     .chain_count = call->chain_count,
                                     .now_ms = call->services->utc_ms()};
    call->token = token;
    if (token.size == 0)
        return GH_OK; /* nobody */
    enum gh_error_code code =
        gh_bearer_check(&services, &bearer, call->arena, &call->caller, &verdict, &error);
    if (code == GH_OK)
        return GH_OK;
    note_refusal(call, &verdict, bearer.now_ms);
    call->caller = (struct gh_caller){.kind = GH_CALLER_NOBODY};
    /* Else the store failed. */
    return code == GH_ERROR_UNAUTHENTICATED ? GH_OK : google_fail(call, code, "%s", error.text);
}

static void run(struct gh_job *job)
{
    struct visit *visit = (struct visit *)job;
    struct google_call *call = &visit->call;
    const struct gh_http_request *request = gh_exchange_request(visit->exchange);
    struct gh_slice token = google_token_of(gh_http_header_get(request, "authorization"),
                                            gh_http_header_get(request, "x-goog-api-key"));
    if (google_bridge_find(call)) {
        call->token = token;
        google_bridge_run(call);
        return;
    }
    enum gh_error_code code = google_call_authenticate(call, token);
    if (code == GH_OK)
        google_call_run(call);
    else
        google_call_end(call, code);
}

static bool claims(struct gh_slice path)
{
    return gh_slice_starts(path, prefixes[0]) || gh_slice_starts(path, prefixes[1]) ||
           gh_slice_equal(path, no_more);
}

bool gh_google_http(struct gh_google *google, struct gh_exchange *exchange)
{
    const struct gh_http_request *request = gh_exchange_request(exchange);
    if (!claims(request->path))
        return false;
    struct visit *visit = gh_arena_alloc(gh_exchange_arena(exchange), sizeof(*visit));
    if (visit != NULL) {
        visit->call = (struct google_call){
            .services = &google->services,
            .answers = google->answers,
            .arena = gh_exchange_arena(exchange),
            .method = request->method,
            .path = request->path,
            .query = request->query,
            .body = request->body,
            .peer = request->peer,
            .chain = request->certificates,
            .chain_count = request->certificates_count,
            .finish = finish,
            .on_gone = on_gone,
        };
        visit->exchange = gh_exchange_ref(exchange);
        visit->job.run = run;
        if (gh_workers_submit(google->services.workers, &visit->job))
            return true;
        gh_exchange_unref(exchange);
    }
    answer(exchange, 503,
           GH_SLICE("{\"error\":{\"code\":503,\"message\":\"the server is busy, try "
                    "again shortly\",\"status\":\"UNAVAILABLE\"}}"));
    return true;
}
