/* HTTP/2's bounds, on the wire's own bytes: who floods is told so and disconnected. */
#include "io/rpc_internal.h"
#include "tests/check.h"
#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
/* :method POST, :scheme http, then literals. */
#define FIELDS                                                                                     \
    "\x83\x86"                                                                                     \
    "\0\5:path\6/p.S/M\0\12:authority\1x"                                                          \
    "\0\14content-type\20application/grpc"
enum { STEPS = 12 * 1000, OUT_MAX = 64 * 1024 };

static size_t begun, over;
static void on_message(void *context, struct gh_rpc *rpc, struct gh_slice body)
{
    (void)context, (void)rpc, (void)body;
}
static void on_ended(void *context, struct gh_rpc *rpc)
{
    (void)context, (void)rpc;
}
static void on_over(void *context, struct gh_rpc *rpc)
{
    (void)context, (void)rpc;
    over++;
}
static void begin(void *context, struct gh_rpc *rpc)
{
    static const struct gh_rpc_taker taker = {
        .message = on_message, .ended = on_ended, .gone = on_over};
    (void)context;
    begun++;
    gh_rpc_take(rpc, &taker, NULL, true);
}
static void no_wake(void *context)
{
    (void)context;
}

/* Each row repeats one frame (of stream 0 or 1), or opens calls and resets them. */
static const struct {
    const char *claim;
    uint8_t type;
    bool of_call, resets;
    const char *body;
    size_t size, steps;
    const char *why; /* NULL: the connection goes on */
} rows[] = {
    {"an ordinary number of pings", 6, false, false, "12345678", 8, 100, NULL},
    {"a flood of pings", 6, false, false, "12345678", 8, STEPS, "flood"},
    {"a flood of settings", 4, false, false, "", 0, STEPS, "flood"},
    {"a flood of window updates", 8, false, false, "\0\0\0\1", 4, STEPS, "flood"},
    {"some calls that are given up", 3, false, true, "\0\0\0\x08", 4, 100, NULL},
    {"rapid reset", 3, false, true, "\0\0\0\x08", 4, STEPS, "flood"},
    {"data that is none", 0, true, false, "", 0, STEPS, "flood"},
};

static void put_frame(struct gh_buffer *out, uint8_t type, uint8_t flags, uint32_t stream,
                      struct gh_slice body)
{
    gh_buffer_u8(out, 0);
    gh_buffer_u16(out, (uint16_t)body.size);
    gh_buffer_u8(out, type);
    gh_buffer_u8(out, flags);
    gh_buffer_u32(out, stream);
    gh_buffer_put(out, body);
}

static void step(struct http2 *http2, struct gh_buffer *in)
{
    struct gh_buffer out;
    gh_buffer_init(&out, 4 * OUT_MAX);
    http2_read(http2, gh_buffer_slice(in), 1);
    http2_write(http2, &out, OUT_MAX);
    gh_buffer_deinit(&out);
    gh_buffer_clear(in);
}

static struct http2 *open_http2(void)
{
    static const struct gh_rpc_config config = {
        .begin = begin, .message_max = 1024, .answer_ms = 1000, .idle_ms = 1000};
    struct http2_setup setup = {.config = &config, .peer = "test", .wake = no_wake};
    begun = over = 0;
    return http2_open(&setup, 1);
}

static void each_flood(void)
{
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        struct http2 *http2 = open_http2();
        struct gh_buffer in;
        gh_buffer_init(&in, OUT_MAX);
        gh_buffer_put(&in, GH_SLICE(PREFACE));
        if (rows[i].of_call)
            put_frame(&in, 1, 4, 1, GH_SLICE(FIELDS));
        step(http2, &in);
        for (uint32_t n = 0; n < rows[i].steps && http2_why(http2) == NULL; n++) {
            uint32_t stream = rows[i].resets ? 2 * n + 1 : rows[i].of_call ? 1 : 0;
            if (rows[i].resets)
                put_frame(&in, 1, 4, stream, GH_SLICE(FIELDS));
            put_frame(&in, rows[i].type, 0, stream, gh_slice(rows[i].body, rows[i].size));
            step(http2, &in);
        }
        const char *why = http2_why(http2);
        CHECK(rows[i].claim,
              rows[i].why == NULL ? why == NULL : why != NULL && strstr(why, rows[i].why) != NULL);
        CHECK(rows[i].claim, !rows[i].resets || begun > 0);
        http2_close(http2);
        CHECK("every call that began is over, once", begun == over);
        gh_buffer_deinit(&in);
    }
}

static void continuations(void)
{
    struct http2 *http2 = open_http2();
    struct gh_buffer in;
    gh_buffer_init(&in, OUT_MAX);
    gh_buffer_put(&in, GH_SLICE(PREFACE));
    put_frame(&in, 1, 0, 1, GH_SLICE(FIELDS));
    for (int i = 0; i < 20; i++)
        put_frame(&in, 9, 0, 1, GH_SLICE(""));
    step(http2, &in);
    CHECK("a header without end is refused", http2_why(http2) != NULL && begun == 0);
    http2_close(http2);
    gh_buffer_deinit(&in);
}

/* The grpc-status in what was written; -1: none. Frames are looked at until the one that has it. */
static int status_in(struct gh_slice out)
{
    nghttp2_hd_inflater *inflater;
    int status = -1;
    REQUIRE("an inflater", nghttp2_hd_inflate_new(&inflater) == 0);
    for (size_t at = 0; at + 9 <= out.size;) {
        const uint8_t *head = out.data + at;
        size_t size = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2], used = 0;
        for (int more = 1; head[3] == 1 && used < size && more;) {
            nghttp2_nv field;
            int flags = 0;
            ssize_t taken =
                nghttp2_hd_inflate_hd2(inflater, &field, &flags, head + 9 + used, size - used, 1);
            used += taken > 0 ? (size_t)taken : 0;
            more = taken >= 0 && (flags & NGHTTP2_HD_INFLATE_FINAL) == 0;
            if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0 && field.namelen == 11 &&
                memcmp(field.name, "grpc-status", 11) == 0)
                status = atoi((const char *)field.value);
        }
        if (head[3] == 1)
            nghttp2_hd_inflate_end_headers(inflater);
        at += 9 + size;
    }
    nghttp2_hd_inflate_del(inflater);
    return status;
}

static int write_status(struct http2 *http2)
{
    struct gh_buffer out;
    gh_buffer_init(&out, 4 * OUT_MAX);
    http2_write(http2, &out, OUT_MAX);
    int status = status_in(gh_buffer_slice(&out));
    gh_buffer_deinit(&out);
    return status;
}

static void open_call(struct gh_buffer *in, uint32_t stream, struct gh_slice more)
{
    struct gh_buffer fields;
    gh_buffer_init(&fields, 1024);
    gh_buffer_put(&fields, GH_SLICE(FIELDS));
    gh_buffer_put(&fields, more);
    put_frame(in, 1, 4, stream, gh_buffer_slice(&fields));
    gh_buffer_deinit(&fields);
}

static void deadline(void)
{
    struct http2 *http2 = open_http2();
    struct gh_buffer in;
    gh_buffer_init(&in, OUT_MAX);
    gh_buffer_put(&in, GH_SLICE(PREFACE));
    open_call(&in, 1, GH_SLICE("\0\14grpc-timeout\0025m"));
    open_call(&in, 3, GH_SLICE("\0\14grpc-timeout\00350m"));
    step(http2, &in);
    CHECK("the nearest deadline", begun == 2 && http2_deadline(http2) == 5000001);
    http2_tick(http2, 0, 5000000);
    CHECK("not before it", write_status(http2) == -1 && over == 0);
    http2_tick(http2, 0, 5000001);
    CHECK("DEADLINE_EXCEEDED", write_status(http2) == GH_GRPC_DEADLINE_EXCEEDED && over == 1);
    CHECK("the other call goes on", http2_deadline(http2) == 50000001 && http2_why(http2) == NULL);
    http2_close(http2);
    gh_buffer_deinit(&in);
}

/* Calls whose messages never become whole, 4 MiB each. */
static void held_bytes(void)
{
    enum { MESSAGE = 4 * 1024 * 1024, FRAME = 16 * 1024, CALLS = 9 };
    static const struct gh_rpc_config config = {
        .begin = begin, .message_max = MESSAGE, .answer_ms = 1000, .idle_ms = 1000};
    static uint8_t frame[FRAME];
    struct http2_setup setup = {.config = &config, .peer = "test", .wake = no_wake};
    struct http2 *http2 = http2_open(&setup, 1);
    struct gh_buffer in;
    int status = -1;
    size_t sent = 0;
    begun = over = 0;
    gh_buffer_init(&in, OUT_MAX);
    gh_buffer_put(&in, GH_SLICE(PREFACE));
    for (uint32_t call = 0; call < CALLS; call++) {
        open_call(&in, 2 * call + 1, GH_SLICE(""));
        put_frame(&in, 0, 0, 2 * call + 1, GH_SLICE("\0\0\100\0\0"));
        for (size_t i = 1; status == -1 && i < MESSAGE / FRAME; i++) {
            put_frame(&in, 0, 0, 2 * call + 1, gh_slice(frame, FRAME));
            http2_read(http2, gh_buffer_slice(&in), 1);
            gh_buffer_clear(&in);
            status = write_status(http2);
            sent += status == -1 ? FRAME : 0;
        }
    }
    CHECK("within 32 MiB they are held",
          sent <= GH_RPC_HELD_BYTES_MAX && sent > GH_RPC_HELD_BYTES_MAX - MESSAGE / 8);
    CHECK("the call that goes past them ends", status == GH_GRPC_RESOURCE_EXHAUSTED && over == 1);
    CHECK("and no other", http2_why(http2) == NULL);
    http2_close(http2);
    CHECK("all are over", begun == over);
    gh_buffer_deinit(&in);
}

static void stop(void)
{
    struct http2 *http2 = open_http2();
    struct gh_buffer in, out;
    gh_buffer_init(&in, OUT_MAX);
    gh_buffer_init(&out, OUT_MAX);
    gh_buffer_put(&in, GH_SLICE(PREFACE));
    open_call(&in, 1, GH_SLICE(""));
    step(http2, &in);
    http2_stop(http2);
    http2_write(http2, &out, OUT_MAX);
    CHECK("its calls may be repeated elsewhere",
          status_in(gh_buffer_slice(&out)) == GH_GRPC_UNAVAILABLE && over == 1);
    bool said = false;
    for (size_t at = 0; at + 9 <= out.size;
         at += 9 + ((size_t)out.data[at + 1] << 8 | out.data[at + 2]))
        said |= out.data[at + 3] == 7;
    CHECK("GOAWAY", said);
    http2_close(http2);
    gh_buffer_deinit(&in);
    gh_buffer_deinit(&out);
}

int main(void)
{
    deadline();
    held_bytes();
    stop();
    each_flood();
    continuations();
    return check_report();
}
