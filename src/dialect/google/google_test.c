#include "base/time.h"
#include "dialect/google/google.h"
#include "identity/token.h"
#include "io/http_client.h"
#include "io/http_server.h"
#include "io/listener.h"
#include "io/loop.h"
#include "io/worker.h"
#include "registry/directory.h"
#include "tests/check.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* The shell: from a request on a socket to the answer, over a Unix socket in a temporary folder. */

#define REGISTRIES "/v1/projects/acme/locations/eu1/registries"
enum { QUEUE_MAX = 1, BODY_MAX = 1 << 20 };

struct gate {
    struct gh_job job;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool entered, open;
};

struct server {
    struct gh_store *store;
    struct gh_directory *directory;
    struct gh_workers *workers;
    struct gh_google *google;
    struct gh_loop *loop;
    struct gh_http_server *http;
    struct gh_listener *listener;
    struct gh_http_client *client;
    pthread_t thread;
    char token[GH_TOKEN_TEXT_MAX];
    struct gate gate;     /* keeps the only worker busy */
    struct gh_job filler; /* and fills its queue */
};

/* What is not Google's goes on to others. */
static void handle(void *context, struct gh_exchange *exchange)
{
    if (!gh_google_http(context, exchange))
        gh_exchange_answer(exchange, &(struct gh_http_answer){.status = 418});
}

static void *run_loop(void *loop)
{
    gh_loop_run(loop);
    return NULL;
}

static void open_rooms(struct server *server, const char *folder)
{
    struct gh_error error;
    struct gh_tenant tenant = {.name = GH_SLICE("acme")};
    server->store = gh_store_open(folder, GH_STORE_CREATE, &error);
    REQUIRE("the store opens", server->store != NULL);
    server->directory = gh_directory_open(server->store, NULL, NULL, &error);
    REQUIRE("the directory opens", server->directory != NULL);
    REQUIRE("a tenant", gh_directory_tenant_create(server->directory, &tenant, &error) == GH_OK);
    struct gh_token_grant grant = {.role = GH_SLICE("administrator"), .ttl_s = 3600};
    REQUIRE("a token",
            gh_token_mint(server->store, &grant, gh_time_utc_ms(), server->token, &error) == GH_OK);
    server->workers = gh_workers_open(1, QUEUE_MAX, &error);
    REQUIRE("a worker", server->workers != NULL);
    server->google = gh_google_open(&(struct gh_google_services){.directory = server->directory,
                                                                 .store = server->store,
                                                                 .workers = server->workers,
                                                                 .utc_ms = gh_time_utc_ms});
    REQUIRE("the API opens", server->google != NULL);
}

static void open_server(struct server *server)
{
    struct gh_error error;
    char path[256];
    const char *folder = check_folder();
    open_rooms(server, folder);
    snprintf(path, sizeof(path), "%s/socket", folder);
    server->loop = gh_loop_open(&error);
    REQUIRE("a loop", server->loop != NULL);
    struct gh_http_server_config config = {
        .handler = handle, .context = server->google, .body_max = BODY_MAX};
    server->http = gh_http_server_open(&config, &error);
    REQUIRE("a server", server->http != NULL);
    struct gh_listener_protocol protocol = {&gh_http_protocol, server->http};
    struct gh_listener_config listening = {.loops = &server->loop,
                                           .loops_count = 1,
                                           .address = path,
                                           .protocols = &protocol,
                                           .protocols_count = 1};
    server->listener = gh_listener_open(&listening, &error);
    REQUIRE("a listener", server->listener != NULL);
    REQUIRE("a thread", pthread_create(&server->thread, NULL, run_loop, server->loop) == 0);
    server->client = gh_http_client_open_unix(path, &error);
    REQUIRE("a client", server->client != NULL);
}

static void close_server(struct server *server)
{
    gh_http_client_close(server->client);
    gh_listener_close(server->listener);
    gh_loop_stop(server->loop);
    pthread_join(server->thread, NULL);
    gh_workers_close(server->workers);
    gh_loop_close(server->loop);
    gh_http_server_close(server->http);
    gh_google_close(server->google);
    gh_directory_close(server->directory);
    gh_store_close(server->store);
}

/* `header` may have one "%s": the token. Returns the status; the body is in `body`, with a NUL. */
static int ask(struct server *server, const char *method, const char *target, const char *header,
               const char *request, struct gh_buffer *body)
{
    char url[512], line[256];
    const char *headers[] = {line, NULL};
    struct gh_error error;
    const char *hole = strstr(header, "%s");
    int status = 0;
    snprintf(url, sizeof(url), "http://localhost%s", target);
    if (hole != NULL)
        snprintf(line, sizeof(line), "%.*s%s", (int)(hole - header), header, server->token);
    else
        snprintf(line, sizeof(line), "%s", header);
    gh_buffer_clear(body);
    if (gh_http_client_call(server->client, method, url, headers, gh_slice_text(request), body,
                            &status, &error) != GH_OK)
        fprintf(stderr, "%s\n", error.text);
    gh_buffer_u8(body, 0);
    return status;
}

static const struct {
    const char *claim, *method, *target, *header, *body;
    int status;
    const char *says;
} cases[] = {
    {"a bearer token", "POST", REGISTRIES, "authorization: Bearer %s", "{\"id\":\"halls\"}", 200,
     "\"id\":\"halls\""},
    {"its scheme in any case", "GET", REGISTRIES "/halls", "authorization: bEARER  %s", "", 200,
     "halls"},
    {"an API key", "GET", REGISTRIES "/halls", "x-goog-api-key: %s", "", 200, "halls"},
    {"another scheme", "GET", REGISTRIES "/halls", "authorization: Basic %s", "", 401,
     "UNAUTHENTICATED"},
    {"no scheme", "GET", REGISTRIES "/halls", "authorization: %s", "", 401, "UNAUTHENTICATED"},
    {"nothing", "GET", REGISTRIES "/halls", "accept: */*", "", 401, "UNAUTHENTICATED"},
    {"another token", "GET", REGISTRIES "/halls",
     "authorization: Bearer ght_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "", 401,
     "UNAUTHENTICATED"},
    {"delete answers with a body", "DELETE", REGISTRIES "/halls", "authorization: Bearer %s", "",
     200, "{}"},
    {"another face's path", "GET", "/api/v1/status", "authorization: Bearer %s", "", 418, ""},
    {"another version", "GET", "/v2/projects/acme", "authorization: Bearer %s", "", 418, ""},
};

static void check_cases(struct server *server)
{
    struct gh_buffer body;
    gh_buffer_init(&body, BODY_MAX);
    for (size_t i = 0; i < GH_COUNT(cases); i++) {
        int status =
            ask(server, cases[i].method, cases[i].target, cases[i].header, cases[i].body, &body);
        CHECK(cases[i].claim, status == cases[i].status);
        CHECK(cases[i].claim, strstr((const char *)body.data, cases[i].says) != NULL);
    }
    gh_buffer_deinit(&body);
}

/* A token in the query is not a credential. */
static void check_token_in_url(struct server *server)
{
    char target[256];
    struct gh_buffer body;
    gh_buffer_init(&body, BODY_MAX);
    snprintf(target, sizeof(target), REGISTRIES "?access_token=%s&key=%s", server->token,
             server->token);
    CHECK("a token in the URL", ask(server, "GET", target, "accept: */*", "", &body) == 401);
    gh_buffer_deinit(&body);
}

static void wait_at_gate(struct gh_job *job)
{
    struct gate *gate = (struct gate *)job;
    pthread_mutex_lock(&gate->lock);
    gate->entered = true;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->open)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

static void nothing(struct gh_job *job)
{
    (void)job;
}

static void check_full_queue(struct server *server)
{
    struct gate *gate = &server->gate;
    *gate = (struct gate){.job.run = wait_at_gate,
                          .lock = PTHREAD_MUTEX_INITIALIZER,
                          .changed = PTHREAD_COND_INITIALIZER};
    server->filler.run = nothing;
    struct gh_buffer body;
    gh_buffer_init(&body, BODY_MAX);
    REQUIRE("the worker is busy", gh_workers_submit(server->workers, &gate->job));
    pthread_mutex_lock(&gate->lock);
    while (!gate->entered)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
    REQUIRE("the queue is full", gh_workers_submit(server->workers, &server->filler));
    CHECK("a full queue is answered at once",
          ask(server, "GET", REGISTRIES, "authorization: Bearer %s", "", &body) == 503);
    CHECK("as Google says it",
          strstr((const char *)body.data, "\"status\":\"UNAVAILABLE\"") != NULL);
    pthread_mutex_lock(&gate->lock);
    gate->open = true;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
    gh_buffer_deinit(&body);
}

int main(void)
{
    struct server server = {0};
    open_server(&server);
    check_cases(&server);
    check_token_in_url(&server);
    check_full_queue(&server);
    close_server(&server);
    return check_report();
}
