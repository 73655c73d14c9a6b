/* HTTP/1.1 message heads (RFC 9110, RFC 9112): splits request or status line and header fields off
 * the front of a byte stream. The tokens are libhttp-parser's; on top stand the rules that keep two
 * parsers from reading one message in two ways: CRLF only, no folded lines, one Host, one framing
 * (Content-Length or chunked, never both, never twice), no bytes outside ASCII in the target.
 *
 * No I/O and no state: the caller keeps the stream and drops `size` bytes after a complete head;
 * the body that follows is wire/http/body.h. Memory: everything in `gh_http_head` borrows from the
 * input. Threads: any. */
#ifndef GH_WIRE_HTTP_HEAD_H
#define GH_WIRE_HTTP_HEAD_H

#include "base/slice.h"

enum {
    GH_HTTP_HEAD_BYTES_MAX = 16 * 1024,
    GH_HTTP_HEADERS_MAX = 100,
};

struct gh_http_header {
    struct gh_slice name, value; /* the name as it was sent; compare without case */
};

enum gh_http_kind { GH_HTTP_REQUEST, GH_HTTP_RESPONSE };

enum gh_http_status {
    GH_HTTP_OK,
    GH_HTTP_MORE,    /* a valid start; nothing was consumed */
    GH_HTTP_REFUSED, /* answer with `refusal` and close */
};

enum gh_http_framing {
    GH_HTTP_NO_BODY,
    GH_HTTP_LENGTH, /* `content_length` bytes */
    GH_HTTP_CHUNKED,
    GH_HTTP_UNTIL_CLOSE, /* responses only */
};

struct gh_http_head {
    size_t size;     /* on the wire, with the empty line */
    int status;      /* of a response */
    int refusal;     /* HTTP status when REFUSED: 400, 414, 431, 501, 505 */
    const char *why; /* static text when REFUSED, for the log */
    struct gh_slice method, target;
    struct gh_slice path, query; /* of the target: before and after the first '?', still encoded */
    unsigned minor;              /* HTTP/1.minor */
    bool keep_alive, expect_continue;
    enum gh_http_framing framing;
    uint64_t content_length; /* with GH_HTTP_LENGTH */
    struct gh_http_header headers[GH_HTTP_HEADERS_MAX];
    size_t headers_count;
};

/* Reads the head at the start of `in`. A head of more than `size_max` bytes is refused (431, or 414
 * when it is the request line) as soon as that many are there. `out` is whole on OK; on REFUSED
 * `refusal` and `why` are set. A response to HEAD, and 1xx, 204 and 304, have no body whatever
 * their fields say; only the caller knows about HEAD. */
GH_MUST_USE enum gh_http_status gh_http_head_read(struct gh_slice in, enum gh_http_kind kind,
                                                  size_t size_max, struct gh_http_head *out);

/* A token (RFC 9110 §5.6.2): the letters of methods and field names; not empty. */
bool gh_http_is_token(struct gh_slice text);
/* What a field may carry (RFC 9110 §5.5): no control characters but the tab. */
bool gh_http_is_value(struct gh_slice text);
/* The first value under `name` (any case); false when there is none. */
bool gh_http_header_find(const struct gh_http_header *headers, size_t count, const char *name,
                         struct gh_slice *out);
/* True when the comma-separated list `value` holds `token` (any case). */
bool gh_http_list_has(struct gh_slice value, const char *token);
#endif
