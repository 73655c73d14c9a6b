#include "io/http_server.h"
#include "base/log.h"
#include "base/time.h"
#include "io/exchange_internal.h"
#include "io/listener.h"
#include "wire/http/body.h"
#include "wire/http/write.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    INPUT_BYTES_MAX = 64 * 1024,
    HEAD_BYTES_MAX = 32 * 1024, /* the most that a configuration may ask for: fits the input */
    BODY_BYTES_DEFAULT = 1024 * 1024,
    /* With more than that unwritten neither the next request is read nor a stream taken from. */
    OUTPUT_BYTES_HIGH = 64 * 1024,
};

struct gh_http_server {
    struct gh_http_server_config config; /* without zeros */
};

enum step {
    IDLE,   /* between requests: idle_ms */
    HEAD,   /* head_ms since its first byte */
    BODY,   /* body_ms since its head */
    ANSWER, /* the handler has it: answer_ms */
    STREAM, /* an answer in pieces: idle_ms without progress while something waits to be written */
    FINISHED, /* the connection is closing */
    UPGRADED, /* it speaks something else from now on */
};

/* One connection. */
struct http_conn {
    struct gh_conn *conn;
    const struct gh_http_server_config *config;
    struct gh_exchange *exchange; /* from BODY to STREAM */
    struct gh_http_body body;
    enum step step;
    bool peer_ended, is_old; /* its first bytes were looked at */
    size_t unwritten;        /* at the last tick */
};

struct gh_http_server *gh_http_server_open(const struct gh_http_server_config *config,
                                           struct gh_error *error)
{
    struct gh_http_server *server = calloc(1, sizeof *server);

    assert(config->handler != NULL && config->head_max <= HEAD_BYTES_MAX);
    if (server == NULL) {
        gh_error_set(error, GH_ERROR_MEMORY, "HTTP server");
        return NULL;
    }
    struct gh_http_server_config *own = &server->config;
    *own = *config;
    own->head_max = own->head_max != 0 ? own->head_max : GH_HTTP_HEAD_BYTES_MAX;
    own->body_max = own->body_max != 0 ? own->body_max : BODY_BYTES_DEFAULT;
    own->head_ms = own->head_ms != 0 ? own->head_ms : 10 * 1000;
    own->body_ms = own->body_ms != 0 ? own->body_ms : 30 * 1000;
    own->idle_ms = own->idle_ms != 0 ? own->idle_ms : 60 * 1000;
    own->answer_ms = own->answer_ms != 0 ? own->answer_ms : 120 * 1000;
    return server;
}

void gh_http_server_close(struct gh_http_server *server)
{
    free(server);
}

static void set_step(struct http_conn *http, enum step step, int limit_ms)
{
    int64_t now_ns = gh_loop_now_ns(gh_conn_loop(http->conn));
    http->step = step;
    http->unwritten = 0;
    gh_conn_set_deadline(http->conn, limit_ms == 0 ? 0 : now_ns + limit_ms * GH_MS_NS);
}

static bool claims(uint8_t first_byte)
{
    return first_byte >= 'A' && first_byte <= 'Z';
}

static void *open_conn(void *context, struct gh_conn *conn)
{
    const struct gh_http_server *server = context;
    struct http_conn *http = calloc(1, sizeof *http);

    if (http == NULL)
        return NULL;
    http->conn = conn;
    http->config = &server->config;
    set_step(http, IDLE, http->config->idle_ms);
    return http;
}

static void on_closed(void *state, const char *why)
{
    struct http_conn *http = state;
    (void)why;
    if (http->exchange != NULL)
        exchange_end(http->exchange);
    free(http);
}

/* ---- refusing */

/* Answers a request that no handler sees, and closes: where the next one would begin is not known.
 */
static void refuse_with(struct http_conn *http, struct gh_http_answer answer, const char *why)
{
    int status = answer.status;

    gh_log(GH_LOG_DEBUG, "http", "%s: %d %s", gh_conn_peer(http->conn), status, why);
    gh_metric_add(gh_conn_metrics(http->conn), GH_METRIC_http_requests_total, 1);
    exchange_write(gh_conn_out(http->conn), http->config, &answer, false, false, 1);
    gh_conn_dirty(http->conn);
    if (http->exchange != NULL) {
        struct gh_exchange *exchange = http->exchange;
        http->exchange = NULL;
        exchange_end(exchange);
    }
    set_step(http, FINISHED, 0);
    gh_conn_close_why(http->conn, why);
}

static void refuse(struct http_conn *http, int status, const char *why)
{
    char text[64];
    snprintf(text, sizeof text, "%s\n", gh_http_reason(status));
    refuse_with(http,
                (struct gh_http_answer){
                    .status = status, .content_type = "text/plain", .body = gh_slice_text(text)},
                why);
}

/* ---- answering */

/* The answer is in the output queue. */
static void complete(struct http_conn *http)
{
    struct gh_exchange *exchange = http->exchange;
    bool goes_on = exchange->keep_alive && !http->peer_ended;

    http->exchange = NULL;
    exchange_end(exchange);
    if (!goes_on) {
        set_step(http, FINISHED, 0);
        gh_conn_close_why(http->conn, "answered");
        return;
    }
    set_step(http, IDLE, http->config->idle_ms);
    gh_conn_resume(http->conn);
}

void http_conn_take(struct http_conn *http)
{
    struct gh_buffer *out = gh_conn_out(http->conn);
    enum exchange_progress progress = exchange_progress(http->exchange);

    if (http->step < ANSWER || progress == EXCHANGE_WAITING)
        return;
    if (http->step == ANSWER && progress == EXCHANGE_STREAMING)
        set_step(http, STREAM, http->config->idle_ms);
    if (http->step == STREAM && out->size > OUTPUT_BYTES_HIGH)
        return; /* on_drained comes back */
    bool is_last = exchange_take(http->exchange, out);
    gh_conn_dirty(http->conn);
    if (is_last)
        complete(http);
}

static void answer_status(struct gh_exchange *exchange, int status)
{
    gh_exchange_answer(exchange,
                       &(struct gh_http_answer){.status = status,
                                                .content_type = "text/plain",
                                                .body = gh_slice_text(gh_http_reason(status))});
}

static void handle(struct http_conn *http)
{
    struct gh_exchange *exchange = http->exchange;

    exchange->request.body = gh_buffer_slice(&exchange->body);
    set_step(http, ANSWER, http->config->answer_ms);
    http->config->handler(http->config->context, exchange);
    if (exchange_progress(exchange) == EXCHANGE_WAITING &&
        atomic_load(&exchange->references) == 1) {
        gh_log(GH_LOG_ERROR, "http", "%.*s %.*s: nobody answers",
               GH_PRINT(exchange->request.method), GH_PRINT(exchange->request.path));
        answer_status(exchange, 500);
    }
    http_conn_take(http); /* what was answered at once need not wait for its letter */
}

/* ---- reading */

static void begin_exchange(struct http_conn *http, const struct gh_http_head *head,
                           struct gh_slice bytes)
{
    struct gh_conn *conn = http->conn;

    http->exchange = exchange_open(http->config, gh_conn_loop(conn), http);
    if (http->exchange == NULL || !exchange_set_head(http->exchange, head, bytes, conn)) {
        refuse(http, 503, "no memory for a request");
        return;
    }
    gh_http_body_init(&http->body, head);
    set_step(http, BODY, http->config->body_ms);
    if (head->expect_continue && head->framing != GH_HTTP_NO_BODY &&
        head->content_length <= http->config->body_max) {
        gh_http_write_status(gh_conn_out(conn), 100);
        gh_http_write_end(gh_conn_out(conn));
        gh_conn_dirty(conn);
    }
}

/* The reason goes to the peer as well: it tells nothing but what stands in RFC 6455 and in the
 * documentation, and who connects a library needs it. */
static void refuse_upgrade(struct http_conn *http, struct gh_websocket_refusal refusal)
{
    static const struct gh_http_header version[] = {
        {GH_SLICE_INIT("sec-websocket-version"), GH_SLICE_INIT("13")},
        {GH_SLICE_INIT("upgrade"), GH_SLICE_INIT("websocket")},
    };
    char text[128];

    snprintf(text, sizeof text, "%s: %s\n", gh_http_reason(refusal.status), refusal.why);
    gh_metric_add(gh_conn_metrics(http->conn), GH_METRIC_websocket_refused_total, 1);
    refuse_with(
        http,
        (struct gh_http_answer){.status = refusal.status,
                                .content_type = "text/plain",
                                .body = gh_slice_text(text),
                                .headers = version,
                                .headers_count = refusal.status == 426 ? GH_COUNT(version) : 0},
        refusal.why);
}

static void upgrade(struct http_conn *http, const struct gh_http_head *head)
{
    struct gh_websocket_refusal refusal =
        gh_websocket_upgrade(http->conn, http->config->websocket, head);

    if (refusal.status != 0) {
        refuse_upgrade(http, refusal);
        return;
    }
    gh_metric_add(gh_conn_metrics(http->conn), GH_METRIC_http_requests_total, 1);
    gh_metric_add(gh_conn_metrics(http->conn), GH_METRIC_websocket_upgrades_total, 1);
    set_step(http, UPGRADED, 0);
    gh_conn_dirty(http->conn);
}

static size_t read_head(struct http_conn *http, struct gh_slice bytes)
{
    struct gh_http_head head;

    switch (gh_http_head_read(bytes, GH_HTTP_REQUEST, http->config->head_max, &head)) {
    case GH_HTTP_OK:
        if (http->config->websocket != NULL && gh_websocket_is_asked(&head))
            upgrade(http, &head);
        else
            begin_exchange(http, &head, gh_slice_sub(bytes, 0, head.size));
        return head.size;
    case GH_HTTP_MORE:
        if (http->step == IDLE && bytes.size > 0)
            set_step(http, HEAD, http->config->head_ms);
        return 0;
    case GH_HTTP_REFUSED:
        refuse(http, head.refusal, head.why);
        return bytes.size;
    }
    return 0;
}

static size_t read_body(struct http_conn *http, struct gh_slice bytes)
{
    size_t consumed;

    switch (gh_http_body_read(&http->body, bytes, &http->exchange->body, &consumed)) {
    case GH_HTTP_OK:
        handle(http);
        break;
    case GH_HTTP_MORE:
        break;
    case GH_HTTP_REFUSED:
        refuse(http, http->body.refusal, "malformed or oversize body");
        break;
    }
    return consumed;
}

/* Looks at the first bytes for HTTP/2's preface. False: they are not HTTP/1.1's to read, now or at
 * all. */
static bool look_at_preface(struct http_conn *http, struct gh_slice bytes)
{
    static const struct gh_slice preface = GH_SLICE_INIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    const struct gh_tls *tls = gh_conn_tls(http->conn);
    bool is_agreed = tls != NULL && gh_slice_equal(gh_tls_alpn(tls), GH_SLICE("h2"));
    struct gh_slice begin = gh_slice_sub(bytes, 0, preface.size);

    http->is_old = begin.size == preface.size || !gh_slice_starts(preface, begin);
    if (http->config->http2 != NULL && (tls == NULL || is_agreed) &&
        gh_slice_starts(preface, begin)) {
        if (http->is_old) {
            set_step(http, UPGRADED, 0);
            gh_conn_hand_over(http->conn, http->config->http2);
        } else if (http->step == IDLE) {
            set_step(http, HEAD, http->config->head_ms);
        }
        return false;
    }
    http->is_old = true;
    if (is_agreed)
        refuse(http, 400, "h2 was agreed on and something else is spoken");
    return !is_agreed;
}

/* One request after the other; what follows the one that is being answered stays with the
 * connection. */
static size_t on_input(void *state, struct gh_slice bytes)
{
    struct http_conn *http = state;
    size_t consumed = 0, taken;
    enum step before;

    if (!http->is_old && bytes.size > 0 && !look_at_preface(http, bytes))
        return http->step == FINISHED ? bytes.size : 0;
    do {
        struct gh_slice rest = gh_slice_sub(bytes, consumed, bytes.size);
        before = http->step;
        taken = 0;
        if (http->step == BODY)
            taken = read_body(http, rest);
        else if (http->step < BODY && rest.size > 0 &&
                 gh_conn_out(http->conn)->size <= OUTPUT_BYTES_HIGH)
            taken = read_head(http, rest);
        consumed += taken;
    } while ((taken > 0 || http->step != before) && http->step < ANSWER);
    return http->step == FINISHED ? bytes.size : consumed;
}

static void on_drained(void *state)
{
    struct http_conn *http = state;

    if (http->step == STREAM)
        http_conn_take(http);
    else if (http->step == IDLE)
        gh_conn_resume(http->conn);
}

static void on_ended(void *state)
{
    struct http_conn *http = state;

    http->peer_ended = true;
    if (http->step != ANSWER)
        gh_conn_close_why(http->conn, "closed by the peer");
}

/* Whether a peer that has something to read has read nothing since the last tick. */
static bool is_stuck(struct http_conn *http)
{
    size_t unwritten = gh_conn_out(http->conn)->size;
    bool stuck = unwritten > 0 && unwritten == http->unwritten;
    http->unwritten = unwritten;
    return stuck;
}

static void tick_again(struct http_conn *http)
{
    gh_conn_set_deadline(http->conn, gh_loop_now_ns(gh_conn_loop(http->conn)) +
                                         http->config->idle_ms * GH_MS_NS);
}

static void on_tick(void *state)
{
    struct http_conn *http = state;

    switch (http->step) {
    case IDLE:
        if (gh_conn_out(http->conn)->size > 0 && !is_stuck(http))
            tick_again(http); /* a large answer over a slow line */
        else
            gh_conn_close_why(http->conn, "idle");
        break;
    case HEAD:
    case BODY:
        refuse(http, 408, "the request took too long");
        break;
    case ANSWER:
        answer_status(http->exchange, 504);
        break;
    case STREAM:
        if (is_stuck(http))
            gh_conn_abort(http->conn, "the peer does not read its stream");
        else
            tick_again(http);
        break;
    case FINISHED:
    case UPGRADED:
        break;
    }
}

const struct gh_protocol gh_http_protocol = {
    .name = "http",
    .input_max = INPUT_BYTES_MAX,
    .output_max = GH_EXCHANGE_ANSWER_BYTES_MAX + 1024 * 1024,
    .claims = claims,
    .open = open_conn,
    .input = on_input,
    .tick = on_tick,
    .drained = on_drained,
    .ended = on_ended,
    .closed = on_closed,
};
