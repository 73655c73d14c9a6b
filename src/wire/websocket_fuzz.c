/* A stream of frames, read twice: whole, and in pieces whose size the first byte chooses. Both
 * readings must agree on data, answers and verdict, whatever the cut. */
#include "wire/websocket.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FRAME_MAX = 4096, PIECE_MAX = 64 };

struct reading {
    struct gh_websocket socket;
    struct gh_buffer data, answers;
};

static void read_pieces(struct reading *reading, struct gh_slice in, size_t piece)
{
    size_t data_size, size_max = in.size;

    gh_websocket_init(&reading->socket, FRAME_MAX);
    gh_buffer_init(&reading->data, size_max + 1);
    gh_buffer_init(&reading->answers, 64 + 2 * size_max);
    while (in.size > 0) {
        size_t size = piece < in.size ? piece : in.size;
        uint8_t *block = malloc(size); /* of its own, so that a byte too far is seen */
        if (block == NULL)
            abort();
        memcpy(block, in.data, size);
        (void)gh_websocket_read(&reading->socket, block, size, &data_size, &reading->answers);
        if (data_size > size || !gh_buffer_put(&reading->data, gh_slice(block, data_size)))
            abort();
        free(block);
        in = gh_slice_sub(in, size, in.size);
    }
}

static void done(struct reading *reading)
{
    gh_websocket_deinit(&reading->socket);
    gh_buffer_deinit(&reading->data);
    gh_buffer_deinit(&reading->answers);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reading whole, pieces;

    if (size < 2)
        return 0;
    struct gh_slice in = gh_slice(data + 1, size - 1);
    read_pieces(&whole, in, in.size);
    read_pieces(&pieces, in, 1 + data[0] % PIECE_MAX);
    if (whole.socket.status != pieces.socket.status || whole.socket.code != pieces.socket.code ||
        whole.socket.why != pieces.socket.why || whole.answers.overflow ||
        !gh_slice_equal(gh_buffer_slice(&whole.data), gh_buffer_slice(&pieces.data)) ||
        !gh_slice_equal(gh_buffer_slice(&whole.answers), gh_buffer_slice(&pieces.answers)))
        abort();
    if (!whole.socket.in_payload && whole.socket.control.data != NULL)
        abort(); /* between frames nothing is held */
    done(&whole);
    done(&pieces);
    return 0;
}
