/* Any bytes as messages, one after the other, as a deadline and as the text of a status. */
#include "wire/grpc.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BODY_MAX = 4096 };

static void read_messages(struct gh_slice in)
{
    struct gh_slice body;
    struct gh_buffer again;
    size_t taken;
    while (gh_grpc_message_read(in, BODY_MAX, &body, &taken) == GH_GRPC_MESSAGE) {
        assert(body.size <= BODY_MAX && taken == body.size + GH_GRPC_PREFIX_BYTES);
        gh_buffer_init(&again, taken);
        assert(gh_grpc_message_write(&again, body));
        assert(gh_slice_equal(gh_buffer_slice(&again), gh_slice_sub(in, 0, taken)));
        gh_buffer_deinit(&again);
        in = gh_slice_sub(in, taken, in.size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gh_slice in = gh_slice(data, size);
    struct gh_buffer text;
    int64_t ns;
    read_messages(in);
    if (gh_grpc_timeout_read(in, &ns))
        assert(ns >= 0);
    gh_buffer_init(&text, 3 * GH_GRPC_STATUS_TEXT_MAX);
    gh_grpc_text_write(&text, in);
    for (size_t i = 0; i < text.size; i++)
        assert(text.data[i] >= 0x20 && text.data[i] <= 0x7e);
    gh_buffer_deinit(&text);
    return 0;
}
