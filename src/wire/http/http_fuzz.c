/* A stream of requests, read twice: whole, and in pieces whose size the first byte chooses. Both
 * readings must agree on every head and body, whatever the cut: that is what keeps a proxy and us
 * on one story. */
#include "base/arena.h"
#include "wire/http/body.h"
#include "wire/http/path.h"
#include "wire/http/query.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BODY_MAX = 4096, HEAD_MAX = 2048 };

/* One message at the front of `in`; bytes arrive `piece` at a time. Says what was consumed, 0 at
 * the end. */
static size_t read_message(struct gh_slice in, size_t piece, int *verdict, struct gh_buffer *bytes)
{
    static struct gh_http_head head;
    struct gh_http_body body;
    enum gh_http_status status = GH_HTTP_MORE;
    size_t arrived = 0, at, consumed;

    *verdict = 0;
    while (status == GH_HTTP_MORE && arrived < in.size) {
        arrived = arrived + piece < in.size ? arrived + piece : in.size;
        status = gh_http_head_read(gh_slice(in.data, arrived), GH_HTTP_REQUEST, HEAD_MAX, &head);
    }
    if (status != GH_HTTP_OK) {
        *verdict = status == GH_HTTP_REFUSED ? head.refusal : -1;
        return 0;
    }
    if (head.size > HEAD_MAX + 2)
        abort();
    at = head.size;
    gh_http_body_init(&body, &head);
    do {
        struct gh_slice next = gh_slice_sub(in, at, piece);
        status = gh_http_body_read(&body, next, bytes, &consumed);
        if (consumed > next.size || (status == GH_HTTP_MORE && consumed != next.size))
            abort();
        at += consumed;
    } while (status == GH_HTTP_MORE && at < in.size);
    *verdict = status == GH_HTTP_OK ? 200 : status == GH_HTTP_REFUSED ? body.refusal : -2;

    struct gh_arena arena;
    struct gh_slice captures[2], rest = head.query, name, value;
    gh_arena_init(&arena, 8192);
    if (gh_path_match("/v1/{p}/devices/{d}:send", head.path, captures, 2, &arena) &&
        captures[1].size == 0)
        abort();
    while (gh_query_next(&rest, &arena, &name, &value))
        continue;
    gh_arena_deinit(&arena);
    return status == GH_HTTP_OK ? at : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct gh_slice in = gh_slice(data + 1, size - 1);
    size_t piece = 1 + data[0] % 64u, taken = 1;

    while (in.size > 0 && taken > 0) {
        struct gh_buffer whole, pieces;
        int verdict_whole, verdict_pieces;
        gh_buffer_init(&whole, BODY_MAX);
        gh_buffer_init(&pieces, BODY_MAX);
        taken = read_message(in, in.size, &verdict_whole, &whole);
        size_t taken_pieces = read_message(in, piece, &verdict_pieces, &pieces);
        /* What is accepted is accepted however it is cut. A refusal may have two reasons: cut early
         * it may be the first line's, whole the length's. */
        if ((verdict_whole == 200) != (verdict_pieces == 200) || taken != taken_pieces)
            abort();
        if (verdict_whole == 200 &&
            !gh_slice_equal(gh_buffer_slice(&whole), gh_buffer_slice(&pieces)))
            abort();
        gh_buffer_deinit(&whole);
        gh_buffer_deinit(&pieces);
        in = gh_slice_sub(in, taken, in.size);
    }
    return 0;
}
