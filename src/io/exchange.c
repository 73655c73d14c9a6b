#include "io/exchange_internal.h"
#include "io/peer_internal.h"
#include "wire/http/write.h"
#include <assert.h>
#include <stdlib.h>

enum { HEAD_BYTES_MAX = 64 * 1024 }; /* of an answer */

static void open_letter(struct gh_letter *letter);

struct gh_exchange *exchange_open(const struct gh_http_server_config *config, struct gh_loop *loop,
                                  struct http_conn *owner)
{
    struct gh_exchange *exchange = calloc(1, sizeof *exchange);

    if (exchange == NULL)
        return NULL;
    exchange->references = 1;
    exchange->config = config;
    exchange->loop = loop;
    exchange->owner = owner;
    exchange->letter.open = open_letter;
    gh_arena_init(&exchange->arena, GH_EXCHANGE_ARENA_BYTES_MAX);
    gh_buffer_init(&exchange->body, config->body_max);
    gh_buffer_init(&exchange->head, HEAD_BYTES_MAX + GH_EXCHANGE_ANSWER_BYTES_MAX);
    gh_buffer_init(&exchange->pending, GH_EXCHANGE_STREAM_BYTES_MAX);
    pthread_mutex_init(&exchange->lock, NULL);
    return exchange;
}

struct gh_exchange *gh_exchange_ref(struct gh_exchange *exchange)
{
    atomic_fetch_add_explicit(&exchange->references, 1, memory_order_relaxed);
    return exchange;
}

void gh_exchange_unref(struct gh_exchange *exchange)
{
    if (atomic_fetch_sub_explicit(&exchange->references, 1, memory_order_acq_rel) != 1)
        return;
    gh_arena_deinit(&exchange->arena);
    gh_buffer_deinit(&exchange->body);
    gh_buffer_deinit(&exchange->head);
    gh_buffer_deinit(&exchange->pending);
    pthread_mutex_destroy(&exchange->lock);
    free(exchange);
}

/* ---- the request */

/* The same part of the copy; what does not lie in the original is static text. */
static struct gh_slice moved(struct gh_slice part, struct gh_slice from, struct gh_slice to)
{
    if (part.data == NULL || part.data < from.data || part.data > from.data + from.size)
        return part;
    return gh_slice_sub(to, (size_t)(part.data - from.data), part.size);
}

bool exchange_set_head(struct gh_exchange *exchange, const struct gh_http_head *head,
                       struct gh_slice bytes, const struct gh_conn *conn)
{
    struct gh_arena *arena = &exchange->arena;
    struct gh_http_header *headers =
        gh_arena_array(arena, head->headers_count + 1, sizeof *headers);
    char *peer_text = gh_arena_text(arena, gh_slice_text(gh_conn_peer(conn)));
    struct gh_slice copy;

    if (headers == NULL || peer_text == NULL || !gh_arena_copy(arena, bytes, &copy))
        return false;
    for (size_t i = 0; i < head->headers_count; i++)
        headers[i] = (struct gh_http_header){moved(head->headers[i].name, bytes, copy),
                                             moved(head->headers[i].value, bytes, copy)};
    exchange->request = (struct gh_http_request){.method = moved(head->method, bytes, copy),
                                                 .path = moved(head->path, bytes, copy),
                                                 .query = moved(head->query, bytes, copy),
                                                 .headers = headers,
                                                 .headers_count = head->headers_count,
                                                 .peer = peer_text,
                                                 .secure = gh_conn_is_secure(conn)};
    if (!peer_certificates(gh_conn_tls(conn), arena, &exchange->request.certificates,
                           &exchange->request.certificates_count))
        return false;
    exchange->is_head = gh_slice_equal(head->method, GH_SLICE("HEAD"));
    exchange->keep_alive = head->keep_alive;
    exchange->minor = head->minor;
    return true;
}

const struct gh_http_request *gh_exchange_request(const struct gh_exchange *exchange)
{
    return &exchange->request;
}

struct gh_arena *gh_exchange_arena(struct gh_exchange *exchange)
{
    return &exchange->arena;
}

struct gh_slice gh_http_header_get(const struct gh_http_request *request, const char *name)
{
    struct gh_slice value = {0};
    (void)gh_http_header_find(request->headers, request->headers_count, name, &value);
    return value;
}

/* ---- writing an answer */

static bool is_named(const struct gh_http_answer *answer, struct gh_slice name)
{
    for (size_t i = 0; i < answer->headers_count; i++)
        if (gh_slice_equal_nocase(answer->headers[i].name, name))
            return true;
    return false;
}

/* All but the framing and the empty line. */
static void write_fields(struct gh_buffer *out, const struct gh_http_server_config *config,
                         const struct gh_http_answer *answer)
{
    gh_http_write_status(out, answer->status);
    if (answer->content_type != NULL)
        gh_http_write_header(out, GH_SLICE("content-type"), gh_slice_text(answer->content_type));
    if (!is_named(answer, GH_SLICE("cache-control")))
        gh_http_write_header(out, GH_SLICE("cache-control"), GH_SLICE("no-store"));
    for (size_t i = 0; i < answer->headers_count; i++)
        gh_http_write_header(out, answer->headers[i].name, answer->headers[i].value);
    for (size_t i = 0; i < config->headers_count; i++)
        if (!is_named(answer, config->headers[i].name))
            gh_http_write_header(out, config->headers[i].name, config->headers[i].value);
}

static void write_connection(struct gh_buffer *out, bool keep_alive, unsigned minor)
{
    if (!keep_alive)
        gh_http_write_header(out, GH_SLICE("connection"), GH_SLICE("close"));
    else if (minor == 0)
        gh_http_write_header(out, GH_SLICE("connection"), GH_SLICE("keep-alive"));
}

void exchange_write(struct gh_buffer *out, const struct gh_http_server_config *config,
                    const struct gh_http_answer *answer, bool is_head, bool keep_alive,
                    unsigned minor)
{
    /* RFC 9110 §8.6: these have no body and say nothing about its length. */
    bool has_length = answer->status >= 200 && answer->status != 204 && answer->status != 304;

    write_fields(out, config, answer);
    write_connection(out, keep_alive, minor);
    if (has_length)
        gh_http_write_length(out, answer->body.size);
    gh_http_write_end(out);
    if (has_length && !is_head)
        gh_buffer_put(out, answer->body);
}

/* ---- from any thread to the loop */

/* Under the lock: while the exchange is not over its loop is there. */
static void post(struct gh_exchange *exchange)
{
    if (exchange->letter_is_away)
        return;
    exchange->letter_is_away = true;
    gh_exchange_ref(exchange);
    gh_loop_send(exchange->loop, &exchange->letter);
}

void gh_exchange_answer(struct gh_exchange *exchange, const struct gh_http_answer *answer)
{
    static const struct gh_http_answer too_large = {
        .status = 500,
        .content_type = "text/plain",
        .body = {(const uint8_t *)"answer too large\n", 17}};

    pthread_mutex_lock(&exchange->lock);
    if (exchange->progress == EXCHANGE_WAITING && !exchange->is_over) {
        if (answer->body.size <= GH_EXCHANGE_ANSWER_BYTES_MAX)
            exchange_write(&exchange->head, exchange->config, answer, exchange->is_head,
                           exchange->keep_alive, exchange->minor);
        if (exchange->head.size == 0 || exchange->head.overflow) {
            gh_buffer_release(&exchange->head);
            exchange_write(&exchange->head, exchange->config, &too_large, exchange->is_head,
                           exchange->keep_alive, exchange->minor);
        }
        exchange->progress = EXCHANGE_COMPLETE;
        post(exchange);
    }
    pthread_mutex_unlock(&exchange->lock);
}

bool gh_exchange_stream(struct gh_exchange *exchange, int status, const char *content_type)
{
    pthread_mutex_lock(&exchange->lock);
    bool begins = exchange->progress == EXCHANGE_WAITING && !exchange->is_over;
    if (begins) {
        exchange->is_chunked = exchange->minor > 0;
        exchange->keep_alive &= exchange->is_chunked; /* else its end is the connection's */
        write_fields(&exchange->head, exchange->config,
                     &(struct gh_http_answer){.status = status, .content_type = content_type});
        write_connection(&exchange->head, exchange->keep_alive, exchange->minor);
        if (exchange->is_chunked)
            gh_http_write_header(&exchange->head, GH_SLICE("transfer-encoding"),
                                 GH_SLICE("chunked"));
        gh_http_write_end(&exchange->head);
        exchange->is_chunked &= !exchange->is_head;
        exchange->progress = exchange->is_head ? EXCHANGE_COMPLETE : EXCHANGE_STREAMING;
        post(exchange);
    }
    pthread_mutex_unlock(&exchange->lock);
    return begins;
}

bool gh_exchange_send(struct gh_exchange *exchange, struct gh_slice bytes)
{
    struct gh_buffer *pending = &exchange->pending;

    pthread_mutex_lock(&exchange->lock);
    bool is_taken = exchange->progress == EXCHANGE_STREAMING && !exchange->is_over &&
                    bytes.size <= pending->size_max - pending->size;
    if (is_taken && !gh_buffer_put(pending, bytes)) {
        pending->overflow = false; /* no memory now; what is queued stays whole */
        is_taken = false;
    }
    if (is_taken)
        post(exchange);
    pthread_mutex_unlock(&exchange->lock);
    return is_taken;
}

void gh_exchange_finish(struct gh_exchange *exchange)
{
    pthread_mutex_lock(&exchange->lock);
    if (exchange->progress == EXCHANGE_STREAMING && !exchange->is_over) {
        exchange->progress = EXCHANGE_COMPLETE;
        post(exchange);
    }
    pthread_mutex_unlock(&exchange->lock);
}

void gh_exchange_on_gone(struct gh_exchange *exchange, void (*fn)(void *context), void *context)
{
    pthread_mutex_lock(&exchange->lock);
    bool is_over = exchange->is_over;
    assert(exchange->on_gone == NULL);
    exchange->on_gone = fn;
    exchange->on_gone_context = context;
    pthread_mutex_unlock(&exchange->lock);
    if (is_over)
        fn(context);
}

/* ---- on the loop */

static void open_letter(struct gh_letter *letter)
{
    struct gh_exchange *exchange =
        (struct gh_exchange *)(void *)((char *)letter - offsetof(struct gh_exchange, letter));

    pthread_mutex_lock(&exchange->lock);
    exchange->letter_is_away = false;
    pthread_mutex_unlock(&exchange->lock);
    if (exchange->owner != NULL)
        http_conn_take(exchange->owner);
    gh_exchange_unref(exchange);
}

enum exchange_progress exchange_progress(struct gh_exchange *exchange)
{
    pthread_mutex_lock(&exchange->lock);
    enum exchange_progress progress = exchange->progress;
    pthread_mutex_unlock(&exchange->lock);
    return progress;
}

bool exchange_take(struct gh_exchange *exchange, struct gh_buffer *out)
{
    pthread_mutex_lock(&exchange->lock);
    bool is_last = exchange->progress == EXCHANGE_COMPLETE;
    gh_buffer_put(out, gh_buffer_slice(&exchange->head));
    gh_buffer_release(&exchange->head);
    if (exchange->is_chunked) {
        gh_http_write_chunk(out, gh_buffer_slice(&exchange->pending));
        if (is_last)
            gh_http_write_last_chunk(out);
    } else {
        gh_buffer_put(out, gh_buffer_slice(&exchange->pending));
    }
    gh_buffer_release(&exchange->pending);
    pthread_mutex_unlock(&exchange->lock);
    return is_last;
}

void exchange_end(struct gh_exchange *exchange)
{
    exchange->owner = NULL;
    pthread_mutex_lock(&exchange->lock);
    exchange->is_over = true;
    void (*fn)(void *context) = exchange->on_gone;
    void *context = exchange->on_gone_context;
    pthread_mutex_unlock(&exchange->lock);
    if (fn != NULL)
        fn(context);
    gh_exchange_unref(exchange);
}
