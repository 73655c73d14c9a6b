/* HTTP/1.1 message bodies (RFC 9112 §6, §7): a known length, or chunks. Chunk extensions and
 * trailer fields are read past and dropped, within limits. Bytes in, bytes out; no I/O. Memory: the
 * state is the caller's and holds no pointer. Threads: one at a time. */
#ifndef GH_WIRE_HTTP_BODY_H
#define GH_WIRE_HTTP_BODY_H

#include "base/buffer.h"
#include "wire/http/head.h"

enum {
    GH_HTTP_CHUNK_LINE_MAX = 256, /* chunk size with its extensions */
    GH_HTTP_TRAILERS_BYTES_MAX = 4096,
};

struct gh_http_body {
    enum gh_http_framing framing;
    unsigned state;
    uint64_t left;     /* of the body or of the chunk */
    size_t line_bytes; /* of the size line or of all trailers */
    int refusal;       /* HTTP status when REFUSED: 400, 413 */
};

void gh_http_body_init(struct gh_http_body *body, const struct gh_http_head *head);

/* Appends what `in` brings of the body to `out` and says in `*consumed` how far it read, whatever
 * it returns. OK: the body is complete. MORE: all of `in` is consumed. REFUSED: malformed (400), or
 * longer than `out->size_max` (413), which is known at once for a length and at the latest at the
 * chunk that is too much. With UNTIL_CLOSE it is never OK; the caller knows when the peer closed.
 */
GH_MUST_USE enum gh_http_status gh_http_body_read(struct gh_http_body *body, struct gh_slice in,
                                                  struct gh_buffer *out, size_t *consumed);
#endif
