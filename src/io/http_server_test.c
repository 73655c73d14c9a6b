#include "io/http_server.h"
#include "io/rig_internal.h"
#include "io/worker.h"
#include "wire/http/path.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define HOST "Host: h\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" HOST "\r\n"
#define LAST(path) "GET " path " HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"

enum { BODY_MAX = 64 * 1024, EVENTS = 200, LARGE = 4 * 1024 * 1024 };
enum { PIECES = 1000, PIECE = 32 * 1024 };
/* The kernel's buffers for one connection, 4 and 6 MiB, and some of ours. */
enum { FLOOD_MAX = 12 * 1024 * 1024 };

static struct rig rig;
static struct rig_pki pki;
static struct gh_metrics metrics;
static struct gh_workers *workers;
static struct tally gone = TALLY, refused_sends = TALLY, streams = TALLY;
static struct tally left = TALLY, late = TALLY; /* of /late */
static uint8_t large[GH_EXCHANGE_ANSWER_BYTES_MAX + 1];

static void answer_text(struct gh_exchange *exchange, int status, struct gh_slice body)
{
    gh_exchange_answer(exchange, &(struct gh_http_answer){
                                     .status = status, .content_type = "text/plain", .body = body});
}

/* "METHOD path?query (n headers) body" */
static void answer_mirror(struct gh_exchange *exchange)
{
    const struct gh_http_request *request = gh_exchange_request(exchange);
    char *text = gh_arena_print(
        gh_exchange_arena(exchange), "%.*s %.*s?%.*s %zu [%.*s] %s %zu <%.*s>",
        GH_PRINT(request->method), GH_PRINT(request->path), GH_PRINT(request->query),
        request->headers_count, GH_PRINT(gh_http_header_get(request, "x-mark")),
        request->secure ? "secure" : "plain", request->body.size,
        request->body.size < 32 ? (int)request->body.size : 0, (const char *)request->body.data);
    answer_text(exchange, 200, gh_slice_text(text));
}

struct job {
    struct gh_job job;
    struct gh_exchange *exchange;
};

static void run_mirror(struct gh_job *job)
{
    struct gh_exchange *exchange = ((struct job *)(void *)job)->exchange;
    answer_mirror(exchange);
    answer_text(exchange, 500, GH_SLICE("a second answer is dropped"));
    gh_exchange_unref(exchange);
}

static void run_events(struct gh_job *job)
{
    struct gh_exchange *exchange = ((struct job *)(void *)job)->exchange;
    for (int i = 0; i < EVENTS; i++) {
        char event[32];
        snprintf(event, sizeof event, "data: %d\n\n", i);
        if (!gh_exchange_send(exchange, gh_slice_text(event)))
            tally_add(&refused_sends);
    }
    gh_exchange_finish(exchange);
    CHECK("nothing after the end", !gh_exchange_send(exchange, GH_SLICE("late")));
    gh_exchange_unref(exchange);
}

/* Sends until nobody takes it any more. */
static void run_flood(struct gh_job *job)
{
    struct gh_exchange *exchange = ((struct job *)(void *)job)->exchange;
    size_t taken = 0;
    for (; gh_exchange_send(exchange, gh_slice(large, 16 * 1024)); taken += 16 * 1024)
        sched_yield();
    CHECK("a slow reader costs its queue and the kernel's buffers, no more", taken <= FLOOD_MAX);
    tally_add(&refused_sends);
    gh_exchange_finish(exchange);
    gh_exchange_unref(exchange);
}

/* Sends to a peer that has left. */
static void run_late(struct gh_job *job)
{
    struct gh_exchange *exchange = ((struct job *)(void *)job)->exchange;
    CHECK("it leaves", tally_wait(&left, 1));
    CHECK("who has left gets nothing", !gh_exchange_send(exchange, GH_SLICE("late")));
    gh_exchange_finish(exchange);
    gh_exchange_unref(exchange);
    tally_add(&late);
}

static void on_gone(void *context)
{
    tally_add(context);
}

static void let_go(void *context)
{
    gh_exchange_unref(context);
}

static void submit(struct gh_exchange *exchange, void (*run)(struct gh_job *job))
{
    struct job *job = gh_arena_alloc(gh_exchange_arena(exchange), sizeof *job);
    *job = (struct job){.job.run = run, .exchange = gh_exchange_ref(exchange)};
    REQUIRE("a worker takes it", gh_workers_submit(workers, &job->job));
}

static void begin_stream(struct gh_exchange *exchange, void (*run)(struct gh_job *job))
{
    CHECK("begun", gh_exchange_stream(exchange, 200, "text/event-stream"));
    CHECK("once", !gh_exchange_stream(exchange, 200, "text/event-stream"));
    gh_exchange_on_gone(exchange, on_gone, &gone);
    tally_add(&streams);
    submit(exchange, run);
}

static void handler(void *context, struct gh_exchange *exchange)
{
    struct gh_slice path = gh_exchange_request(exchange)->path;
    CHECK("the context is the server's", context == &rig);
    if (gh_slice_equal(path, GH_SLICE("/worker")))
        submit(exchange, run_mirror);
    else if (gh_slice_equal(path, GH_SLICE("/events")))
        begin_stream(exchange, run_events);
    else if (gh_slice_equal(path, GH_SLICE("/flood")))
        begin_stream(exchange, run_flood);
    else if (gh_slice_equal(path, GH_SLICE("/piece")))
        answer_text(exchange, 200, gh_slice(large, PIECE));
    else if (gh_slice_equal(path, GH_SLICE("/late"))) {
        CHECK("begun", gh_exchange_stream(exchange, 200, "text/event-stream"));
        gh_exchange_on_gone(exchange, on_gone, &left);
        submit(exchange, run_late);
    } else if (gh_slice_equal(path, GH_SLICE("/large")))
        answer_text(exchange, 200, gh_slice(large, LARGE));
    else if (gh_slice_equal(path, GH_SLICE("/empty")))
        gh_exchange_answer(exchange, &(struct gh_http_answer){.status = 204});
    else if (gh_slice_equal(path, GH_SLICE("/cached")))
        gh_exchange_answer(
            exchange,
            &(struct gh_http_answer){
                .status = 200,
                .headers =
                    (struct gh_http_header[]){{GH_SLICE("Cache-Control"), GH_SLICE("max-age=60")},
                                              {GH_SLICE("x-frame-options"), GH_SLICE("SAMEORIGIN")},
                                              {GH_SLICE("x-evil"), GH_SLICE("a\r\nx-worse: b")}},
                .headers_count = 3});
    else if (gh_slice_equal(path, GH_SLICE("/huge")))
        gh_exchange_answer(exchange, &(struct gh_http_answer){
                                         .status = 200, .body = gh_slice(large, sizeof large)});
    else if (gh_slice_equal(path, GH_SLICE("/forgotten")))
        return;
    else if (gh_slice_equal(path, GH_SLICE("/never"))) {
        gh_exchange_ref(exchange);
        gh_exchange_on_gone(exchange, let_go, exchange);
    } else
        answer_mirror(exchange);
}

static struct gh_http_server *serve(int limit_ms, struct gh_tls_context *tls,
                                    struct gh_listener **listener)
{
    static const struct gh_http_header headers[] = {
        {{(const uint8_t *)"x-frame-options", 15}, {(const uint8_t *)"DENY", 4}}};
    struct gh_http_server_config config = {.handler = handler,
                                           .context = &rig,
                                           .head_max = 4096,
                                           .body_max = BODY_MAX,
                                           .headers = headers,
                                           .headers_count = GH_COUNT(headers),
                                           .head_ms = limit_ms,
                                           .body_ms = limit_ms,
                                           .idle_ms = limit_ms,
                                           .answer_ms = limit_ms};
    struct gh_http_server *server = gh_http_server_open(&config, NULL);
    struct gh_listener_protocol served = {&gh_http_protocol, server};
    struct gh_listener_config listening = {.loops = rig.loops,
                                           .loops_count = rig.count,
                                           .address = "127.0.0.1:0",
                                           .tls = tls,
                                           .protocols = &served,
                                           .protocols_count = 1,
                                           .metrics = &metrics};
    *listener = gh_listener_open(&listening, NULL);
    REQUIRE("served", server != NULL && *listener != NULL);
    return server;
}

/* Each row is one connection: what is sent, what must be in the answer (in this order), and whether
 * the server closes of itself. */
static const struct {
    const char *claim, *sent;
    const char *answer[4];
    bool closes;
} rows[] = {
    {"a request", GET("/a?b=c"), {"HTTP/1.1 200 OK\r\n", "GET /a?b=c 1 [] "}, false},
    {"the fields of every answer",
     LAST("/a"),
     {"content-type: text/plain\r\ncache-control: no-store\r\n", "x-frame-options: DENY\r\n",
      "connection: close\r\n", "content-length: "},
     true},
    {"an answer may say otherwise",
     LAST("/cached"),
     {"200 OK\r\nCache-Control: max-age=60\r\nx-frame-options: SAMEORIGIN\r\nconnection: close\r\n"
      "content-length: 0\r\n\r\n"},
     true},
    {"a body",
     "POST /a HTTP/1.1\r\n" HOST "X-Mark: m\r\nContent-Length: 5\r\n\r\nhello",
     {"POST /a? 3 [m] ", "5 <hello>"},
     false},
    {"chunks",
     "POST /a HTTP/1.1\r\n" HOST
     "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
     {"5 <hello>"},
     false},
    {"pipelined, answered in order",
     GET("/worker?1") GET("/2") "POST /worker HTTP/1.1\r\n" HOST
                                "Content-Length: 1\r\n\r\n3" LAST("/4"),
     {"GET /worker?1 1", "GET /2? 1", "1 <3>", "GET /4? 2"},
     true},
    {"HEAD has no body",
     "HEAD /a HTTP/1.1\r\n" HOST "\r\n" LAST("/b"),
     {"content-type: text/plain", "\r\n\r\nHTTP/1.1 200 OK", "GET /b"},
     true},
    {"204 has neither body nor length",
     LAST("/empty"),
     {"204 No Content\r\ncache-control: no-store\r\nx-frame-options: DENY\r\nconnection: "
      "close\r\n\r\n"},
     true},
    {"HTTP/1.0 closes", "GET /a HTTP/1.0\r\n\r\n", {"HTTP/1.1 200 OK", "connection: close"}, true},
    {"HTTP/1.0 stays when asked to",
     "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
     {"connection: keep-alive\r\n", "GET /a"},
     false},
    {"100-continue",
     "POST /a HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
     {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n", "2 <hi>"},
     false},
    {"100-continue is not said to what is refused",
     "POST /a HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 999999\r\n\r\n",
     {"HTTP/1.1 413 Content Too Large\r\n"},
     true},
    {"events",
     LAST("/events"),
     {"transfer-encoding: chunked\r\n\r\n", "data: 0\n\n", "data: 199\n\n", "\r\n0\r\n\r\n"},
     true},
    {"events, and then the next request",
     GET("/events") LAST("/a"),
     {"data: 199\n\n", "\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n", "GET /a"},
     true},
    {"events without chunks",
     "GET /events HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
     {"connection: close\r\n\r\ndata: 0\n\ndata: 1\n\n", "data: 199\n\n"},
     true},
    {"events for HEAD",
     "HEAD /events HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n",
     {"transfer-encoding: chunked\r\n\r\n"},
     true},
    {"nobody answers", LAST("/forgotten"), {"HTTP/1.1 500 "}, true},
    {"an answer over its ceiling", LAST("/huge"), {"HTTP/1.1 500 ", "answer too large"}, true},
    {"malformed",
     "GET / HTTP/1.1\r\nHost : h\r\n\r\n",
     {"HTTP/1.1 400 Bad Request\r\n", "close"},
     true},
    {"smuggled",
     "POST / HTTP/1.1\r\n" HOST
     "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" GET("/x"),
     {"HTTP/1.1 400 "},
     true},
    {"a malformed chunk",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
     {"HTTP/1.1 400 "},
     true},
    {"no Host", "GET / HTTP/1.1\r\n\r\n", {"HTTP/1.1 400 "}, true},
    {"an unknown method", "BREW / HTTP/1.1\r\n" HOST "\r\n", {"HTTP/1.1 501 "}, true},
    {"a coding that is not ours",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\n",
     {"HTTP/1.1 501 "},
     true},
    {"HTTP/2", "GET / HTTP/2.0\r\n\r\n", {"HTTP/1.1 505 "}, true},
    {"another expectation", "GET / HTTP/1.1\r\n" HOST "Expect: x\r\n\r\n", {"HTTP/1.1 417 "}, true},
    {"after a good request",
     GET("/a") "GET / HTTP/1.1\r\n\r\n",
     {"GET /a? 1", "HTTP/1.1 400 Bad Request\r\n"},
     true},
};

static bool in_order(struct gh_slice heard, const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count && texts[i] != NULL; i++) {
        const uint8_t *at =
            heard.size == 0 ? NULL : memmem(heard.data, heard.size, texts[i], strlen(texts[i]));
        if (at == NULL)
            return false;
        size_t past = (size_t)(at - heard.data) + strlen(texts[i]);
        heard = gh_slice_sub(heard, past, heard.size);
    }
    return true;
}

/* Waits for the texts of the row, or for the end. */
static void check_row(size_t i, struct peer *peer)
{
    struct gh_buffer heard;
    gh_buffer_init(&heard, 1 << 20);
    if (rows[i].closes)
        peer_read_end(peer, &heard);
    else
        while (!peer->ended && !in_order(gh_buffer_slice(&heard), rows[i].answer, 4))
            peer_read(peer, &heard);
    bool held = CHECK(rows[i].claim, in_order(gh_buffer_slice(&heard), rows[i].answer, 4));
    if (!held)
        printf("heard: %.*s\n", GH_PRINT(gh_buffer_slice(&heard)));
    CHECK(rows[i].claim, peer->ended == rows[i].closes);
    if (!rows[i].closes) { /* and goes on */
        gh_buffer_clear(&heard);
        CHECK(rows[i].claim, peer_say(peer, LAST("/next")));
        peer_read_end(peer, &heard);
        CHECK(rows[i].claim, peer_has(&heard, "GET /next"));
    }
    gh_buffer_deinit(&heard);
}

static void each_row(uint16_t port, struct gh_tls_context *tls)
{
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        for (int cut = 0; cut < 2; cut++) { /* whole, and byte by byte */
            struct peer peer = peer_open(port, tls);
            struct gh_slice text = gh_slice_text(rows[i].sent);
            for (size_t at = 0, step = cut ? 1 : text.size; at < text.size; at += step)
                if (!peer_send(&peer, gh_slice_sub(text, at, step)))
                    break; /* it may have closed already */
            check_row(i, &peer);
            peer_close(&peer);
        }
    }
}

static void oversize(uint16_t port, struct gh_tls_context *tls)
{
    static const struct {
        const char *claim, *head;
        size_t filler;
        const char *status;
    } sizes[] = {
        {"a long target", "GET /", 5000, "HTTP/1.1 414 "},
        {"a long field", "GET / HTTP/1.1\r\n" HOST "a: ", 5000, "HTTP/1.1 431 "},
        {"a body over the limit, still being sent",
         "POST / HTTP/1.1\r\n" HOST "Content-Length: 1000000\r\n\r\n", 300000, "HTTP/1.1 413 "},
        {"chunks over the limit, still being sent",
         "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nfffff\r\n", 300000,
         "HTTP/1.1 413 "},
    };
    for (size_t i = 0; i < GH_COUNT(sizes); i++) {
        struct peer peer = peer_open(port, tls);
        struct gh_buffer heard;
        gh_buffer_init(&heard, 1 << 20);
        CHECK(sizes[i].claim, peer_say(&peer, sizes[i].head));
        (void)peer_send(&peer, gh_slice(large, sizes[i].filler));
        peer_read_end(&peer, &heard);
        CHECK(sizes[i].claim, peer_has(&heard, sizes[i].status));
        peer_close(&peer);
        gh_buffer_deinit(&heard);
    }
}

static void large_bodies(uint16_t port, struct gh_tls_context *tls)
{
    struct peer peer = peer_open(port, tls);
    struct gh_buffer heard;
    char head[128];
    gh_buffer_init(&heard, 2 * LARGE);
    snprintf(head, sizeof head, "POST /worker HTTP/1.1\r\n" HOST "Content-Length: %d\r\n\r\n",
             BODY_MAX);
    CHECK("sent", peer_say(&peer, head) && peer_send(&peer, gh_slice(large, BODY_MAX)));
    CHECK("a body of exactly the limit", peer_read_text(&peer, &heard, "65536 <>"));
    gh_buffer_clear(&heard);
    CHECK("sent", peer_say(&peer, GET("/large") LAST("/a")));
    peer_read_end(&peer, &heard);
    CHECK("a large answer, and then the next", heard.size > LARGE && peer_has(&heard, "GET /a?"));
    peer_close(&peer);
    gh_buffer_deinit(&heard);
}

/* More answers than all queues hold, to a peer that first asks for everything and then reads. */
static void asked_ahead(uint16_t port, struct gh_tls_context *tls)
{
    struct peer peer = peer_open(port, tls);
    struct gh_buffer heard;
    size_t total = 0;
    gh_buffer_init(&heard, 1 << 20);
    for (int i = 1; i < PIECES; i++)
        CHECK("sent", peer_say(&peer, GET("/piece")));
    CHECK("sent", peer_say(&peer, LAST("/piece")));
    for (; !peer.ended; gh_buffer_clear(&heard)) {
        peer_read(&peer, &heard);
        total += heard.size;
    }
    CHECK("every answer comes", total > (size_t)PIECES * PIECE);
    peer_close(&peer);
    gh_buffer_deinit(&heard);
}

/* The peer leaves, or does not read, while a stream is sent. */
static void leaving(uint16_t port, struct gh_tls_context *tls)
{
    size_t before_gone = tally_get(&gone), before_refused = tally_get(&refused_sends);
    struct gh_buffer heard;
    gh_buffer_init(&heard, 8 << 20);
    struct peer leaver = peer_open(port, tls);
    CHECK("sent", peer_say(&leaver, GET("/flood")));
    CHECK("it begins", peer_read_text(&leaver, &heard, "text/event-stream"));
    peer_close(&leaver);
    CHECK("the sender learns that the peer is gone",
          tally_wait(&refused_sends, before_refused + 1));
    CHECK("and is told once", tally_wait(&gone, before_gone + 1));
    left.count = late.count = 0; /* nobody looks at them between two runs */
    struct peer silent = peer_open(port, tls);
    CHECK("sent", peer_say(&silent, GET("/late")));
    gh_buffer_clear(&heard);
    CHECK("it begins", peer_read_text(&silent, &heard, "text/event-stream"));
    peer_close(&silent);
    CHECK("a stream that waited for something to say", tally_wait(&late, 1));
    struct peer sleeper = peer_open(port, tls);
    CHECK("sent", peer_say(&sleeper, GET("/flood")));
    CHECK("the sender learns that the peer does not read",
          tally_wait(&refused_sends, before_refused + 2));
    peer_close(&sleeper);
    CHECK("and is told", tally_wait(&gone, before_gone + 2));
    gh_buffer_deinit(&heard);
}

static void half_closed(uint16_t port)
{
    struct peer peer = peer_open(port, NULL);
    struct gh_buffer heard;
    gh_buffer_init(&heard, 1 << 20);
    CHECK("sent", peer_say(&peer, GET("/worker")));
    shutdown(peer.fd, SHUT_WR);
    peer_read_end(&peer, &heard);
    CHECK("who has said all still hears the answer", peer_has(&heard, "GET /worker"));
    peer_close(&peer);
    gh_buffer_deinit(&heard);
}

static void too_slow(void)
{
    static const struct {
        const char *claim, *sent, *heard;
    } slow[] = {
        {"nothing between requests: no answer", GET("/a"), "GET /a"},
        {"half a head", "GET / HTTP/1.1\r\nHos", "HTTP/1.1 408 "},
        {"half a body", "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhe", "HTTP/1.1 408 "},
        {"half a chunk", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\nhe",
         "HTTP/1.1 408 "},
        {"a handler that never answers", GET("/never"), "HTTP/1.1 504 "},
    };
    struct gh_listener *listener;
    struct gh_http_server *server = serve(60, NULL, &listener);
    for (size_t i = 0; i < GH_COUNT(slow); i++) {
        struct peer peer = peer_open(gh_listener_port(listener), NULL);
        struct gh_buffer heard;
        gh_buffer_init(&heard, 1 << 20);
        CHECK(slow[i].claim, peer_say(&peer, slow[i].sent));
        peer_read_end(&peer, &heard);
        CHECK(slow[i].claim, peer_has(&heard, slow[i].heard));
        peer_close(&peer);
        gh_buffer_deinit(&heard);
    }
    gh_listener_close(listener);
    rig_stop(&rig); /* the server must outlive its connections */
    rig_close(&rig);
    gh_http_server_close(server);
}

int main(void)
{
    struct gh_listener *plain, *secure;
    signal(SIGPIPE, SIG_IGN);
    rig_pki_open(&pki);
    rig_start(&rig, 2);
    workers = gh_workers_open(4, 64, NULL);
    REQUIRE("workers", workers != NULL);
    struct gh_http_server *one = serve(0, NULL, &plain), *two = serve(0, pki.server, &secure);
    each_row(gh_listener_port(plain), NULL);
    each_row(gh_listener_port(secure), pki.client);
    oversize(gh_listener_port(plain), NULL);
    oversize(gh_listener_port(secure), pki.client);
    large_bodies(gh_listener_port(plain), NULL);
    large_bodies(gh_listener_port(secure), pki.client);
    leaving(gh_listener_port(plain), NULL);
    asked_ahead(gh_listener_port(plain), NULL);
    leaving(gh_listener_port(secure), pki.client);
    asked_ahead(gh_listener_port(secure), pki.client);
    half_closed(gh_listener_port(plain));
    struct peer waiting = peer_open(gh_listener_port(plain), NULL);
    CHECK("sent", peer_say(&waiting, GET("/never"))); /* open while the loops stop */
    gh_listener_close(plain);
    gh_listener_close(secure);
    rig_stop(&rig);
    gh_workers_close(workers); /* sends its last letters */
    rig_close(&rig);
    CHECK("every stream was told its end once", tally_get(&gone) == tally_get(&streams));
    peer_close(&waiting);
    gh_http_server_close(one);
    gh_http_server_close(two);

    workers = gh_workers_open(4, 64, NULL);
    rig_start(&rig, 1);
    too_slow();
    gh_workers_close(workers);
    rig_pki_close(&pki);
    return check_report();
}
