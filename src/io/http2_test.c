/* HTTP/2's bounds, on the wire's own bytes: who floods is told so and disconnected. */
#include "io/rpc_internal.h"
#include "tests/check.h"
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

int main(void)
{
    each_flood();
    continuations();
    return check_report();
}
