/* HTTP/1.1 written out: status lines with their reason phrases, header fields, chunks. Appends to a
 * bounded buffer, whose `overflow` tells at the end whether all of it fitted. A field whose name is
 * no token or whose value holds a control character is left out, so that no value that came from
 * outside can begin a line of its own. Threads: any. */
#ifndef GH_WIRE_HTTP_WRITE_H
#define GH_WIRE_HTTP_WRITE_H

#include "base/buffer.h"
#include "wire/http/head.h"

/* "Not Found"; "Unknown" for a number without a name. */
const char *gh_http_reason(int status);

/* "HTTP/1.1 404 Not Found\r\n" */
void gh_http_write_status(struct gh_buffer *out, int status);
/* "GET /path HTTP/1.1\r\n" */
void gh_http_write_request(struct gh_buffer *out, struct gh_slice method, struct gh_slice target);
/* "name: value\r\n" */
void gh_http_write_header(struct gh_buffer *out, struct gh_slice name, struct gh_slice value);
void gh_http_write_length(struct gh_buffer *out, uint64_t content_length);
/* The empty line. */
void gh_http_write_end(struct gh_buffer *out);

/* One chunk (RFC 9112 §7.1); empty bytes write nothing, because an empty chunk would end the body.
 */
void gh_http_write_chunk(struct gh_buffer *out, struct gh_slice bytes);
void gh_http_write_last_chunk(struct gh_buffer *out);
#endif
