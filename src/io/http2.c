#include "base/log.h"
#include "base/time.h"
#include "io/peer_internal.h"
#include "io/rpc_internal.h"
#include <assert.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    STREAM_WINDOW_BYTES = 256 * 1024,
    CONNECTION_WINDOW_BYTES = 1024 * 1024,
    HEALTH_MS = 60 * 1000,
    CONTINUATIONS_MAX = 8,
    /* The budget of frames that carry nothing: what it holds at most, and what comes in a
     * millisecond. */
    BUDGET_MAX = 10 * 1000,
    BUDGET_PER_MS = 1,
    BUDGET_PER_DATA_SENT = 20, /* which the peer has to answer with window updates and pings */
};

/* What a received frame costs of the budget. A peer that opens calls and resets them ("rapid
 * reset") has paid for 500 at once and 50 a second; pings are 1000 at once and 100 a second. */
static const uint16_t costs[] = {
    [NGHTTP2_PRIORITY] = 1, [NGHTTP2_RST_STREAM] = 20,   [NGHTTP2_SETTINGS] = 100,
    [NGHTTP2_PING] = 10,    [NGHTTP2_WINDOW_UPDATE] = 1, [NGHTTP2_CONTINUATION] = 10,
};
enum { COST_OF_OTHERS = 1, COST_OF_EMPTY_DATA = 10 };

struct http2 {
    struct http2_setup setup;
    nghttp2_session *session;
    struct gh_rpc *calls;
    size_t calls_count, held; /* bytes of all their `in` */
    int64_t now_ns, budget, budget_at_ns, health_ns, idle_since_ns;
    size_t unwritten; /* at the last look at its health */
    bool is_heard, is_asked;
    const char *why;
};

static void fail(struct http2 *http2, uint32_t code, const char *why)
{
    if (http2->why != NULL)
        return;
    http2->why = why;
    (void)nghttp2_session_terminate_session(http2->session, code);
}

/* ---- calls */

static struct gh_rpc *call_of(struct http2 *http2, int32_t stream)
{
    return nghttp2_session_get_stream_user_data(http2->session, stream);
}

static void end_call(struct http2 *http2, struct gh_rpc *rpc)
{
    struct gh_rpc **link = &http2->calls;
    while (*link != rpc)
        link = &(*link)->next;
    *link = rpc->next;
    http2->calls_count--;
    http2->held -= rpc->in.size;
    http2->idle_since_ns = http2->now_ns;
    rpc_over(rpc);
}

/* The call's end is ours: nothing that the client says is of interest any more. */
static void refuse_call(struct http2 *http2, struct gh_rpc *rpc, enum gh_grpc_status status,
                        const char *why)
{
    http2->held -= rpc->in.size;
    gh_buffer_release(&rpc->in);
    rpc->is_deaf = true;
    gh_rpc_end(rpc, (int)status, gh_slice_text(why));
    http2_take(http2, rpc);
}

static void set_deadline(struct http2 *http2, struct gh_rpc *rpc)
{
    struct gh_slice text = gh_rpc_header(rpc, "grpc-timeout");
    int64_t limit_ns = http2->setup.config->answer_ms * GH_MS_NS;
    if (text.size != 0 && !gh_grpc_timeout_read(text, &limit_ns)) {
        refuse_call(http2, rpc, GH_GRPC_INVALID_ARGUMENT, "grpc-timeout cannot be read");
        return;
    }
    rpc->deadline_ns = limit_ns > INT64_MAX - http2->now_ns ? INT64_MAX : http2->now_ns + limit_ns;
}

/* The call may outlive its connection: what it knows of the peer is its own. */
static bool know_peer(const struct http2 *http2, struct gh_rpc *rpc)
{
    rpc->head.peer = gh_arena_text(&rpc->arena, gh_slice_text(http2->setup.peer));
    return rpc->head.peer != NULL &&
           peer_certificates(http2->setup.tls, &rpc->arena, &rpc->head.certificates,
                             &rpc->head.certificates_count);
}

static void begin_call(struct http2 *http2, struct gh_rpc *rpc)
{
    const struct gh_rpc_config *config = http2->setup.config;

    rpc->is_headed = true;
    rpc->head.headers = rpc->headers;
    rpc->head.secure = http2->setup.tls != NULL;
    gh_metric_add(http2->setup.metrics, GH_METRIC_http_requests_total, 1);
    if (!rpc->is_post || !rpc->is_grpc) {
        rpc->is_deaf = true;
        gh_rpc_end(rpc, GH_GRPC_UNKNOWN, (struct gh_slice){0});
        http2_take(http2, rpc);
        return;
    }
    set_deadline(http2, rpc);
    if (!rpc->is_deaf && !know_peer(http2, rpc))
        refuse_call(http2, rpc, GH_GRPC_RESOURCE_EXHAUSTED, "no room for the peer's certificates");
    if (!rpc->is_deaf)
        config->begin(config->context, rpc);
    assert(rpc->taker != NULL || rpc_progress(rpc).is_ended);
    if (rpc->taker == NULL)
        rpc->is_deaf = true;
}

static void end_input(struct gh_rpc *rpc)
{
    if (rpc->peer_ended)
        return;
    rpc->peer_ended = true;
    if (!rpc->is_deaf)
        rpc->taker->ended(rpc->context, rpc);
}

/* ---- what a client says in a call */

static const struct {
    enum gh_grpc_status status;
    const char *why;
} refusals[] = {
    [GH_GRPC_TOO_LARGE] = {GH_GRPC_RESOURCE_EXHAUSTED, "the message is larger than is taken here"},
    [GH_GRPC_COMPRESSED] = {GH_GRPC_UNIMPLEMENTED,
                            "the message is compressed; identity is the only encoding here"},
    [GH_GRPC_MALFORMED] = {GH_GRPC_INTERNAL, "the prefix of the message is malformed"},
};

/* Keeps the part of a message that is there. */
static void hold(struct http2 *http2, struct gh_rpc *rpc, struct gh_slice part)
{
    if (part.size > GH_RPC_HELD_BYTES_MAX - http2->held || !gh_buffer_put(&rpc->in, part)) {
        rpc->in.overflow = false;
        refuse_call(http2, rpc, GH_GRPC_RESOURCE_EXHAUSTED,
                    "too much has been sent of messages that are not whole");
        return;
    }
    http2->held += part.size;
}

/* Reads one message, or as much of it as there is; how many bytes of `part` that takes. */
static size_t feed_one(struct http2 *http2, struct gh_rpc *rpc, struct gh_slice part)
{
    struct gh_slice in = part, body;
    size_t size, before = rpc->in.size;

    if (before > 0) {
        /* No more than its prefix, and then no more than the prefix says. */
        size_t want = GH_GRPC_PREFIX_BYTES;
        const uint8_t *p = rpc->in.data;
        if (before >= want)
            want += (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | (size_t)p[4];
        part = gh_slice_sub(part, 0, want - before);
        hold(http2, rpc, part);
        in = gh_buffer_slice(&rpc->in);
    }
    if (rpc->is_deaf)
        return part.size;
    enum gh_grpc_read read =
        gh_grpc_message_read(in, http2->setup.config->message_max, &body, &size);
    if (read == GH_GRPC_MORE) {
        if (before == 0)
            hold(http2, rpc, part);
        return part.size;
    }
    if (read != GH_GRPC_MESSAGE) {
        refuse_call(http2, rpc, refusals[read].status, refusals[read].why);
        return part.size;
    }
    rpc->taker->message(rpc->context, rpc, body);
    http2->held -= rpc->in.size;
    gh_buffer_release(&rpc->in);
    return before > 0 ? part.size : size;
}

static void feed(struct http2 *http2, struct gh_rpc *rpc, struct gh_slice part)
{
    while (part.size > 0 && !rpc->is_deaf) {
        size_t taken = feed_one(http2, rpc, part);
        part = gh_slice_sub(part, taken, part.size);
    }
}

/* ---- nghttp2 tells what came */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    struct http2 *http2 = context;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    struct gh_rpc *rpc = rpc_open(http2->setup.loop, http2, http2->setup.config->message_max);
    if (rpc == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets the stream */
    rpc->stream = frame->hd.stream_id;
    rpc->next = http2->calls;
    http2->calls = rpc;
    http2->calls_count++;
    (void)nghttp2_session_set_stream_user_data(session, rpc->stream, rpc);
    return 0;
}

static bool keep_field(struct gh_rpc *rpc, struct gh_slice name, struct gh_slice value)
{
    struct gh_http_header *field = &rpc->headers[rpc->head.headers_count];

    if (name.size > 0 && name.data[0] == ':') {
        if (gh_slice_equal(name, GH_SLICE(":method")))
            rpc->is_post = gh_slice_equal(value, GH_SLICE("POST"));
        return !gh_slice_equal(name, GH_SLICE(":path")) ||
               gh_arena_copy(&rpc->arena, value, &rpc->head.path);
    }
    if (gh_slice_equal(name, GH_SLICE("content-type")))
        rpc->is_grpc = gh_slice_equal(value, GH_SLICE("application/grpc")) ||
                       gh_slice_equal(value, GH_SLICE("application/grpc+proto"));
    if (rpc->head.headers_count == RPC_HEADERS_MAX)
        return false;
    rpc->head.headers_count++;
    return gh_arena_copy(&rpc->arena, name, &field->name) &&
           gh_arena_copy(&rpc->arena, value, &field->value);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                     void *context)
{
    struct http2 *http2 = context;
    struct gh_rpc *rpc = call_of(http2, frame->hd.stream_id);
    (void)session, (void)flags;
    if (rpc == NULL)
        return 0;
    rpc->headers_bytes += name_size + value_size + 32; /* as RFC 9113 §6.5.2 counts */
    if (rpc->headers_bytes <= GH_RPC_FIELDS_BYTES_MAX &&
        (rpc->is_headed || keep_field(rpc, gh_slice(name, name_size), gh_slice(value, value_size))))
        return 0;
    fail(http2, NGHTTP2_ENHANCE_YOUR_CALM, "the fields of a request are too large");
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    struct http2 *http2 = context;
    struct gh_rpc *rpc = call_of(http2, frame->hd.stream_id);
    (void)session;
    if (rpc == NULL || (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA))
        return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && !rpc->is_headed)
        begin_call(http2, rpc);
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
        end_input(rpc);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data,
                   size_t size, void *context)
{
    struct http2 *http2 = context;
    struct gh_rpc *rpc = call_of(http2, stream);
    (void)flags;
    if (rpc != NULL)
        feed(http2, rpc, gh_slice(data, size));
    return nghttp2_session_consume(session, stream, size) == 0 ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t code, void *context)
{
    struct http2 *http2 = context;
    struct gh_rpc *rpc = call_of(http2, stream);
    (void)session, (void)code;
    if (rpc != NULL)
        end_call(http2, rpc);
    return 0;
}

/* The budget of the peer's frames. */
static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *head, void *context)
{
    struct http2 *http2 = context;
    int64_t cost = head->type < GH_COUNT(costs) ? costs[head->type] : COST_OF_OTHERS;
    (void)session;
    if (head->type == NGHTTP2_DATA && head->length == 0 &&
        (head->flags & NGHTTP2_FLAG_END_STREAM) == 0)
        cost = COST_OF_EMPTY_DATA;
    int64_t earned = (http2->now_ns - http2->budget_at_ns) / GH_MS_NS * BUDGET_PER_MS;
    if (earned > 0) {
        http2->budget_at_ns = http2->now_ns;
        http2->budget += earned < BUDGET_MAX ? earned : BUDGET_MAX;
        if (http2->budget > BUDGET_MAX)
            http2->budget = BUDGET_MAX;
    }
    http2->budget -= cost;
    if (http2->budget >= 0)
        return 0;
    fail(http2, NGHTTP2_ENHANCE_YOUR_CALM, "a flood of frames that carry nothing");
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* ---- saying */

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    struct http2 *http2 = context;
    struct gh_rpc *rpc = call_of(http2, frame->hd.stream_id);

    if (frame->hd.type == NGHTTP2_DATA && http2->budget < BUDGET_MAX)
        http2->budget += BUDGET_PER_DATA_SENT;
    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR &&
        http2->why == NULL)
        http2->why = nghttp2_http2_strerror(frame->goaway.error_code);
    /* The answer is whole: a client that still sends is asked to stop (RFC 9113 §8.1). */
    if (rpc != NULL && frame->hd.type == NGHTTP2_HEADERS &&
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 && !rpc->peer_ended)
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, rpc->stream, NGHTTP2_NO_ERROR);
    return 0;
}

#define FIELD(name, value) field(GH_SLICE(name), (value))
static nghttp2_nv field(struct gh_slice name, struct gh_slice value)
{
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name.data,
                        .value = (uint8_t *)(uintptr_t)value.data,
                        .namelen = name.size,
                        .valuelen = value.size};
}

enum { STATUS_FIELDS = 2, STATUS_TEXT_MAX = 16 };
struct status_fields {
    nghttp2_nv fields[STATUS_FIELDS];
    size_t count;
    char number[STATUS_TEXT_MAX];
    struct gh_buffer text;
};

/* grpc-status and, when there is a text, grpc-message. The call has ended, so that its status is
 * nobody's to change. */
static void status_open(struct status_fields *out, const struct gh_rpc *rpc)
{
    snprintf(out->number, sizeof out->number, "%d", rpc->status);
    gh_buffer_init(&out->text, (size_t)3 * GH_GRPC_STATUS_TEXT_MAX);
    gh_grpc_text_write(&out->text, gh_slice(rpc->text, rpc->text_size));
    out->fields[0] = FIELD("grpc-status", gh_slice_text(out->number));
    out->fields[1] = FIELD("grpc-message", gh_buffer_slice(&out->text));
    out->count = out->text.size != 0 ? 2 : 1;
}

static ssize_t read_body(nghttp2_session *session, int32_t stream, uint8_t *out, size_t size,
                         uint32_t *flags, nghttp2_data_source *source, void *context)
{
    struct gh_rpc *rpc = source->ptr;
    struct status_fields status;
    size_t taken;
    (void)context;
    struct rpc_progress left = rpc_take_bytes(rpc, out, size, &taken);
    if (left.waiting == 0 && left.is_ended) {
        *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        status_open(&status, rpc);
        int result = nghttp2_submit_trailer(session, stream, status.fields, status.count);
        gh_buffer_deinit(&status.text);
        return result == 0 ? (ssize_t)taken : NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    if (left.waiting == 0 && rpc->taker != NULL && rpc->taker->drained != NULL)
        rpc->taker->drained(rpc->context, rpc);
    if (taken > 0)
        return (ssize_t)taken;
    rpc->is_deferred = true;
    return NGHTTP2_ERR_DEFERRED;
}

/* The head of the answer; with the status in it when nothing else was said. */
static int submit_head(struct http2 *http2, struct gh_rpc *rpc, struct rpc_progress progress)
{
    enum { HEAD_FIELDS = 3 };
    bool is_whole = progress.is_ended && progress.waiting == 0;
    nghttp2_data_provider body = {.source.ptr = rpc, .read_callback = read_body};
    nghttp2_nv fields[HEAD_FIELDS + STATUS_FIELDS] = {
        FIELD(":status", GH_SLICE("200")),
        FIELD("content-type", GH_SLICE("application/grpc")),
        FIELD("grpc-accept-encoding", GH_SLICE("identity")),
    };
    struct status_fields status;

    if (!rpc->is_post || !rpc->is_grpc) {
        fields[0] = FIELD(":status", rpc->is_post ? GH_SLICE("415") : GH_SLICE("405"));
        return nghttp2_submit_response(http2->session, rpc->stream, fields, 1, NULL);
    }
    if (!is_whole)
        return nghttp2_submit_response(http2->session, rpc->stream, fields, HEAD_FIELDS, &body);
    status_open(&status, rpc);
    for (size_t i = 0; i < status.count; i++)
        fields[HEAD_FIELDS + i] = status.fields[i];
    int result = nghttp2_submit_response(http2->session, rpc->stream, fields,
                                         HEAD_FIELDS + status.count, NULL);
    gh_buffer_deinit(&status.text);
    return result;
}

void http2_take(struct http2 *http2, struct gh_rpc *rpc)
{
    struct rpc_progress progress = rpc_progress(rpc);
    int result = 0;

    rpc->is_deaf |= progress.is_ended;
    if (!rpc->is_answered && (progress.waiting > 0 || progress.is_ended)) {
        rpc->is_answered = true;
        result = submit_head(http2, rpc, progress);
    } else if (rpc->is_deferred) {
        rpc->is_deferred = false;
        result = nghttp2_session_resume_data(http2->session, rpc->stream);
    }
    if (result != 0 && nghttp2_is_fatal(result))
        fail(http2, NGHTTP2_INTERNAL_ERROR, "no memory for an answer");
}

void http2_wake(struct http2 *http2, struct gh_rpc *rpc)
{
    http2_take(http2, rpc);
    http2->setup.wake(http2->setup.context);
}

void http2_write(struct http2 *http2, struct gh_buffer *out, size_t high)
{
    const uint8_t *bytes;
    ssize_t size = 0;

    while (out->size < high && (size = nghttp2_session_mem_send(http2->session, &bytes)) > 0)
        gh_buffer_put(out, gh_slice(bytes, (size_t)size));
    if (size < 0 && http2->why == NULL)
        http2->why = nghttp2_strerror((int)size);
    if (http2->why == NULL && !nghttp2_session_want_read(http2->session) &&
        !nghttp2_session_want_write(http2->session))
        http2->why = "ended by the peer";
}

/* ---- its life */

static nghttp2_session_callbacks *callbacks_new(void)
{
    nghttp2_session_callbacks *callbacks;
    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        return NULL;
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
    return callbacks;
}

static bool session_open(struct http2 *http2)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, GH_RPC_STREAMS_MAX},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, GH_RPC_FIELDS_BYTES_MAX},
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
    };
    nghttp2_session_callbacks *callbacks = callbacks_new();
    nghttp2_option *option = NULL;
    bool done = callbacks != NULL && nghttp2_option_new(&option) == 0;
    if (done) {
        nghttp2_option_set_no_auto_window_update(option, 1);
        nghttp2_option_set_no_closed_streams(option, 1);
        nghttp2_option_set_max_continuations(option, CONTINUATIONS_MAX);
        done = nghttp2_session_server_new2(&http2->session, callbacks, http2, option) == 0;
    }
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    return done &&
           nghttp2_submit_settings(http2->session, NGHTTP2_FLAG_NONE, settings,
                                   GH_COUNT(settings)) == 0 &&
           nghttp2_session_set_local_window_size(http2->session, NGHTTP2_FLAG_NONE, 0,
                                                 CONNECTION_WINDOW_BYTES) == 0;
}

struct http2 *http2_open(const struct http2_setup *setup, int64_t now_ns)
{
    struct http2 *http2 = calloc(1, sizeof *http2);

    if (http2 == NULL)
        return NULL;
    http2->setup = *setup;
    http2->now_ns = http2->idle_since_ns = http2->budget_at_ns = now_ns;
    http2->budget = BUDGET_MAX;
    http2->health_ns = now_ns + HEALTH_MS * GH_MS_NS;
    if (session_open(http2))
        return http2;
    http2_close(http2);
    return NULL;
}

void http2_close(struct http2 *http2)
{
    while (http2->calls != NULL)
        end_call(http2, http2->calls);
    nghttp2_session_del(http2->session);
    free(http2);
}

void http2_stop(struct http2 *http2)
{
    if (http2->why != NULL)
        return;
    for (struct gh_rpc *rpc = http2->calls; rpc != NULL; rpc = rpc->next)
        refuse_call(http2, rpc, GH_GRPC_UNAVAILABLE, "the server is stopping");
    (void)nghttp2_submit_goaway(http2->session, NGHTTP2_FLAG_NONE,
                                nghttp2_session_get_last_proc_stream_id(http2->session),
                                NGHTTP2_NO_ERROR, NULL, 0);
}

const char *http2_why(const struct http2 *http2)
{
    return http2->why;
}

void http2_read(struct http2 *http2, struct gh_slice bytes, int64_t now_ns)
{
    http2->now_ns = now_ns;
    http2->is_heard = true;
    if (http2->why != NULL)
        return;
    ssize_t taken = nghttp2_session_mem_recv(http2->session, bytes.data, bytes.size);
    if (taken < 0)
        fail(http2,
             taken == NGHTTP2_ERR_FLOODED || taken == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS
                 ? NGHTTP2_ENHANCE_YOUR_CALM
                 : NGHTTP2_PROTOCOL_ERROR,
             nghttp2_strerror((int)taken));
}

int64_t http2_deadline(const struct http2 *http2)
{
    int64_t at_ns = http2->health_ns;
    for (const struct gh_rpc *rpc = http2->calls; rpc != NULL; rpc = rpc->next) {
        if (rpc->deadline_ns != 0 && rpc->deadline_ns < at_ns)
            at_ns = rpc->deadline_ns;
    }
    return at_ns;
}

static void look_at_health(struct http2 *http2, size_t unwritten)
{
    bool is_stuck = unwritten > 0 && unwritten == http2->unwritten && !http2->is_heard;
    int64_t idle_ns = http2->now_ns - http2->idle_since_ns;

    http2->unwritten = unwritten;
    if (is_stuck || (!http2->is_heard && http2->is_asked))
        fail(http2, NGHTTP2_NO_ERROR, "the peer does not answer");
    else if (http2->calls == NULL && idle_ns >= http2->setup.config->idle_ms * GH_MS_NS)
        fail(http2, NGHTTP2_NO_ERROR, "idle");
    http2->is_asked = !http2->is_heard;
    http2->is_heard = false;
    if (http2->is_asked && http2->why == NULL)
        (void)nghttp2_submit_ping(http2->session, NGHTTP2_FLAG_NONE, NULL);
    http2->health_ns = http2->now_ns + HEALTH_MS * GH_MS_NS;
}

void http2_tick(struct http2 *http2, size_t unwritten, int64_t now_ns)
{
    http2->now_ns = now_ns;
    for (struct gh_rpc *rpc = http2->calls; rpc != NULL; rpc = rpc->next) {
        if (rpc->deadline_ns == 0 || rpc->deadline_ns > now_ns)
            continue;
        rpc->deadline_ns = 0;
        refuse_call(http2, rpc, GH_GRPC_DEADLINE_EXCEEDED, "the deadline has passed");
    }
    if (http2->health_ns <= now_ns)
        look_at_health(http2, unwritten);
}
