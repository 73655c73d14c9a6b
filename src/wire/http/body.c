#include "wire/http/body.h"
#include "base/cursor.h"
#include <assert.h>

/* Where a chunked body is; a line may be cut anywhere by the stream. */
enum state {
    SIZE_FIRST, /* at least one digit */
    SIZE,
    EXTENSION, /* from ';' or white space to CR, dropped */
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER, /* at the beginning of a line */
    TRAILER_TEXT,
    TRAILER_LF,
    LAST_LF,
    DONE,
    BROKEN,
};

enum { SIZE_DIGITS_MAX = 15 }; /* stays below 2^60, so that sums do not wrap */

void gh_http_body_init(struct gh_http_body *body, const struct gh_http_head *head)
{
    *body = (struct gh_http_body){.framing = head->framing, .left = head->content_length};
    if (head->framing == GH_HTTP_NO_BODY)
        body->state = DONE;
    else if (head->framing != GH_HTTP_CHUNKED)
        body->state = DATA;
}

static enum gh_http_status refuse(struct gh_http_body *body, int status)
{
    body->state = BROKEN;
    body->refusal = status;
    return GH_HTTP_REFUSED;
}

static int digit_of(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* One byte of a size line: hexadecimal digits, then perhaps extensions, then CRLF (RFC 9112 §7.1).
 */
static unsigned next_in_size(struct gh_http_body *body, uint8_t byte)
{
    int digit = digit_of(byte);

    if (++body->line_bytes > GH_HTTP_CHUNK_LINE_MAX)
        return BROKEN;
    if (body->state == EXTENSION)
        return byte == '\r' ? SIZE_LF : byte == '\n' || byte == '\0' ? BROKEN : EXTENSION;
    if (digit >= 0) {
        body->left = body->left << 4 | (unsigned)digit;
        return body->line_bytes <= SIZE_DIGITS_MAX ? SIZE : BROKEN;
    }
    if (body->state == SIZE_FIRST)
        return BROKEN;
    return byte == '\r' ? SIZE_LF : byte == ';' || byte == ' ' || byte == '\t' ? EXTENSION : BROKEN;
}

static unsigned next_in_trailer(struct gh_http_body *body, uint8_t byte)
{
    if (++body->line_bytes > GH_HTTP_TRAILERS_BYTES_MAX || byte == '\0')
        return BROKEN;
    if (byte == '\r')
        return body->state == TRAILER ? LAST_LF : TRAILER_LF;
    return byte == '\n' ? BROKEN : TRAILER_TEXT;
}

/* The state after one byte that is not data. */
static unsigned next_state(struct gh_http_body *body, uint8_t byte)
{
    switch (body->state) {
    case SIZE_FIRST:
    case SIZE:
    case EXTENSION:
        return next_in_size(body, byte);
    case SIZE_LF:
        body->line_bytes = 0;
        return byte != '\n' ? BROKEN : body->left > 0 ? DATA : TRAILER;
    case DATA_CR:
        return byte == '\r' ? DATA_LF : BROKEN;
    case DATA_LF:
        return byte == '\n' ? SIZE_FIRST : BROKEN;
    case TRAILER:
    case TRAILER_TEXT:
        return next_in_trailer(body, byte);
    case TRAILER_LF:
        return byte == '\n' ? TRAILER : BROKEN;
    case LAST_LF:
        return byte == '\n' ? DONE : BROKEN;
    default:
        return BROKEN;
    }
}

/* Takes what there is of the body or of the current chunk. False when it is more than fits. */
static bool take_data(struct gh_http_body *body, struct gh_cursor *at, struct gh_buffer *out)
{
    struct gh_slice data;
    size_t size = gh_cursor_left(at);

    if (body->framing != GH_HTTP_UNTIL_CLOSE) {
        if (body->left > out->size_max - out->size)
            return false;
        if (size > body->left)
            size = (size_t)body->left;
    }
    if (!gh_cursor_take(at, size, &data) || !gh_buffer_put(out, data))
        return false;
    if (body->framing == GH_HTTP_UNTIL_CLOSE)
        return true;
    body->left -= size;
    if (body->left == 0)
        body->state = body->framing == GH_HTTP_CHUNKED ? DATA_CR : DONE;
    return true;
}

enum gh_http_status gh_http_body_read(struct gh_http_body *body, struct gh_slice in,
                                      struct gh_buffer *out, size_t *consumed)
{
    struct gh_cursor at = gh_cursor(in);
    enum gh_http_status status = GH_HTTP_MORE;
    uint8_t byte;

    assert(body->state <= BROKEN);
    if (body->state == DATA && body->framing == GH_HTTP_LENGTH &&
        body->left > out->size_max - out->size)
        status = refuse(body, 413); /* before any of it has arrived */
    while (status == GH_HTTP_MORE && body->state != DONE) {
        if (body->state == DATA) {
            if (gh_cursor_left(&at) == 0)
                break;
            if (!take_data(body, &at, out))
                status = refuse(body, 413);
            continue;
        }
        if (!gh_cursor_u8(&at, &byte))
            break;
        body->state = next_state(body, byte);
        if (body->state == BROKEN)
            status = refuse(body, 400);
    }
    *consumed = in.size - gh_cursor_left(&at);
    return body->state == DONE ? GH_HTTP_OK : status;
}
