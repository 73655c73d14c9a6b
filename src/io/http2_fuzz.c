/* What a client sends on a connection of gRPC, in pieces whose size the first byte chooses. Calls
 * are taken, echo their messages and end; whatever comes, the bounds hold and nothing is left. */
#include "io/rpc_internal.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PIECE_MAX = 256, OUT_MAX = 1 << 20, STEP_NS = 1000 * 1000 };

static void on_message(void *context, struct gh_rpc *rpc, struct gh_slice body)
{
    struct http2 *http2 = context;
    if (gh_rpc_send(rpc, body))
        http2_take(http2, rpc);
}

static void on_ended(void *context, struct gh_rpc *rpc)
{
    gh_rpc_end(rpc, GH_GRPC_OK, GH_SLICE("done"));
    http2_take(context, rpc);
}

static void begin(void *context, struct gh_rpc *rpc)
{
    static const struct gh_rpc_taker taker = {.message = on_message, .ended = on_ended};
    struct http2 **http2 = context;
    gh_rpc_take(rpc, &taker, *http2, false);
}

static void no_wake(void *context)
{
    (void)context;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http2 *http2 = NULL;
    struct gh_rpc_config config = {
        .begin = begin, .context = &http2, .message_max = 1024, .answer_ms = 1000, .idle_ms = 1000};
    struct http2_setup setup = {.config = &config, .peer = "fuzz", .wake = no_wake};
    struct gh_buffer out;
    int64_t now_ns = 1;

    if (size < 1)
        return 0;
    http2 = http2_open(&setup, now_ns);
    gh_buffer_init(&out, 2 * OUT_MAX);
    size_t piece = 1 + data[0] % PIECE_MAX;
    struct gh_slice in = gh_slice(data + 1, size - 1);
    while (http2 != NULL && in.size > 0 && http2_why(http2) == NULL) {
        struct gh_slice part = gh_slice_sub(in, 0, piece);
        uint8_t *block = malloc(part.size); /* of its own, so that a byte too far is seen */
        if (block == NULL)
            abort();
        memcpy(block, part.data, part.size);
        http2_read(http2, gh_slice(block, part.size), now_ns += STEP_NS);
        free(block);
        http2_write(http2, &out, OUT_MAX);
        gh_buffer_clear(&out);
        in = gh_slice_sub(in, piece, in.size);
    }
    if (http2 != NULL) {
        http2_tick(http2, 0, now_ns + INT64_C(120000000000));
        http2_write(http2, &out, OUT_MAX);
        http2_close(http2);
    }
    gh_buffer_deinit(&out);
    return 0;
}
