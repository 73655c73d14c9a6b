#include "wire/http/head.h"
#include <http_parser.h>
#include <string.h>

/* RFC 9110 §5.6.2: letters, digits and these. */
static const char token_marks[] = "!#$%&'*+-.^_`|~";

/* What libhttp-parser has reported so far. */
struct collector {
    struct gh_http_head *head;
    bool too_many, whole;
};

static struct gh_slice slice_of(const char *at, size_t size)
{
    return gh_slice(at, size);
}

static int on_target(http_parser *parser, const char *at, size_t size)
{
    struct collector *collector = parser->data;
    collector->head->target = slice_of(at, size);
    return 0;
}

static int on_name(http_parser *parser, const char *at, size_t size)
{
    struct collector *collector = parser->data;
    struct gh_http_head *head = collector->head;

    if (head->headers_count == GH_HTTP_HEADERS_MAX) {
        collector->too_many = true;
        return 1;
    }
    head->headers[head->headers_count++] = (struct gh_http_header){.name = slice_of(at, size)};
    return 0;
}

static int on_value(http_parser *parser, const char *at, size_t size)
{
    struct collector *collector = parser->data;
    struct gh_http_head *head = collector->head;
    struct gh_slice value = slice_of(at, size);

    while (value.size > 0 &&
           (value.data[value.size - 1] == ' ' || value.data[value.size - 1] == '\t'))
        value.size--;
    if (head->headers_count > 0)
        head->headers[head->headers_count - 1].value = value;
    return 0;
}

/* Stops the parser behind the head: bodies are wire/http/body.h's. */
static int on_complete(http_parser *parser)
{
    struct collector *collector = parser->data;
    collector->whole = true;
    http_parser_pause(parser, 1);
    return 0;
}

static const http_parser_settings settings = {
    .on_url = on_target,
    .on_header_field = on_name,
    .on_header_value = on_value,
    .on_headers_complete = on_complete,
};

static enum gh_http_status refuse(struct gh_http_head *out, int status, const char *why)
{
    out->refusal = status;
    out->why = why;
    return GH_HTTP_REFUSED;
}

bool gh_http_is_token(struct gh_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        bool is_alphanumeric = (byte >= '0' && byte <= '9') ||
                               ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z' && byte < 0x80);
        if (!is_alphanumeric && (byte == '\0' || strchr(token_marks, byte) == NULL))
            return false;
    }
    return text.size > 0;
}

bool gh_http_is_value(struct gh_slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if ((text.data[i] < 0x20 && text.data[i] != '\t') || text.data[i] == 0x7f)
            return false;
    return true;
}

bool gh_http_header_find(const struct gh_http_header *headers, size_t count, const char *name,
                         struct gh_slice *out)
{
    struct gh_slice wanted = gh_slice_text(name);

    for (size_t i = 0; i < count; i++) {
        if (gh_slice_equal_nocase(headers[i].name, wanted)) {
            *out = headers[i].value;
            return true;
        }
    }
    return false;
}

static struct gh_slice trimmed(struct gh_slice text)
{
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t'))
        text = gh_slice_sub(text, 1, text.size);
    while (text.size > 0 && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t'))
        text.size--;
    return text;
}

bool gh_http_list_has(struct gh_slice value, const char *token)
{
    while (value.size > 0)
        if (gh_slice_equal_nocase(trimmed(gh_slice_split(&value, ',')), gh_slice_text(token)))
            return true;
    return false;
}

/* Every line ends with CRLF and no line begins with white space: a lone LF or CR and folded lines
 * (RFC 9112 §2.2, §5.2) are what two parsers read differently. */
static bool lines_are_strict(struct gh_slice head)
{
    for (size_t i = 0; i < head.size; i++) {
        uint8_t next = i + 1 < head.size ? head.data[i + 1] : 0;
        if (head.data[i] == '\r' && next != '\n')
            return false;
        if (head.data[i] == '\n' &&
            (i == 0 || head.data[i - 1] != '\r' || next == ' ' || next == '\t'))
            return false;
    }
    return true;
}

/* Fields that decide where the message ends. */
struct framing {
    size_t hosts, lengths, encodings, expectations;
    struct gh_slice host, length, encoding, expectation;
    bool close, keep_alive;
};

static void note(struct gh_slice value, size_t *count, struct gh_slice *last)
{
    (*count)++;
    *last = value;
}

static struct framing framing_of(const struct gh_http_head *head)
{
    struct framing found = {0};

    for (size_t i = 0; i < head->headers_count; i++) {
        struct gh_slice name = head->headers[i].name, value = head->headers[i].value;
        if (gh_slice_equal_nocase(name, GH_SLICE("host"))) {
            note(value, &found.hosts, &found.host);
        } else if (gh_slice_equal_nocase(name, GH_SLICE("content-length"))) {
            note(value, &found.lengths, &found.length);
        } else if (gh_slice_equal_nocase(name, GH_SLICE("transfer-encoding"))) {
            note(value, &found.encodings, &found.encoding);
        } else if (gh_slice_equal_nocase(name, GH_SLICE("expect"))) {
            note(value, &found.expectations, &found.expectation);
        } else if (gh_slice_equal_nocase(name, GH_SLICE("connection"))) {
            found.close |= gh_http_list_has(value, "close");
            found.keep_alive |= gh_http_list_has(value, "keep-alive");
        }
    }
    return found;
}

static enum gh_http_status read_framing(struct gh_http_head *out, const struct framing *found,
                                        enum gh_http_kind kind)
{
    if (found->lengths > 1)
        return refuse(out, 400, "more than one Content-Length");
    if (found->lengths > 0 && found->encodings > 0)
        return refuse(out, 400, "both Content-Length and Transfer-Encoding");
    if (found->encodings > 0) {
        if (found->encodings > 1 || out->minor == 0)
            return refuse(out, 400, "Transfer-Encoding twice or in HTTP/1.0");
        if (!gh_slice_equal_nocase(found->encoding, GH_SLICE("chunked")))
            return refuse(out, 501, "a transfer coding other than chunked");
        out->framing = GH_HTTP_CHUNKED;
    } else if (found->lengths > 0) {
        if (!gh_slice_to_u64(found->length, &out->content_length))
            return refuse(out, 400, "Content-Length is not a number");
        out->framing = out->content_length > 0 ? GH_HTTP_LENGTH : GH_HTTP_NO_BODY;
    } else {
        out->framing = kind == GH_HTTP_REQUEST ? GH_HTTP_NO_BODY : GH_HTTP_UNTIL_CLOSE;
    }
    if (kind == GH_HTTP_RESPONSE &&
        (out->status < 200 || out->status == 204 || out->status == 304)) {
        out->framing = GH_HTTP_NO_BODY;
        out->content_length = 0;
    }
    return GH_HTTP_OK;
}

static bool host_is_valid(struct gh_slice host)
{
    for (size_t i = 0; i < host.size; i++)
        if (host.data[i] <= 0x20 || host.data[i] >= 0x7f ||
            strchr("/@?#,\\\"<>", host.data[i]) != NULL)
            return false;
    return true;
}

/* RFC 9112 §3.2: origin form, absolute form (its authority is read past), or "*" for OPTIONS. */
static bool split_target(struct gh_http_head *out)
{
    struct gh_slice rest = out->target;

    for (size_t i = 0; i < rest.size; i++)
        if (rest.data[i] <= 0x20 || rest.data[i] >= 0x7f || rest.data[i] == '#')
            return false;
    if (gh_slice_equal(rest, GH_SLICE("*"))) {
        out->path = rest;
        return gh_slice_equal(out->method, GH_SLICE("OPTIONS"));
    }
    for (size_t scheme = 7; scheme <= 8; scheme++) { /* "http://" and "https://" */
        if (!gh_slice_equal_nocase(gh_slice_sub(rest, 0, scheme),
                                   scheme == 7 ? GH_SLICE("http://") : GH_SLICE("https://")))
            continue;
        struct gh_slice authority = gh_slice_sub(rest, scheme, rest.size);
        size_t slash = gh_slice_find(authority, '/'), mark = gh_slice_find(authority, '?');
        rest = gh_slice_sub(authority, slash < mark ? slash : mark, authority.size);
        if (rest.size == 0 || rest.data[0] == '?') {
            out->path = GH_SLICE("/");
            out->query = gh_slice_sub(rest, 1, rest.size);
            return true;
        }
        break;
    }
    out->query = rest;
    out->path = gh_slice_split(&out->query, '?');
    return out->path.size > 0 && out->path.data[0] == '/';
}

static enum gh_http_status check_request(struct gh_http_head *out, const struct framing *found)
{
    if (gh_slice_equal(out->method, GH_SLICE("CONNECT")))
        return refuse(out, 501, "CONNECT: this is no proxy");
    if (!split_target(out))
        return refuse(out, 400, "malformed request target");
    if (found->hosts > 1 || (found->hosts == 0 && out->minor > 0) || !host_is_valid(found->host))
        return refuse(out, 400, "not exactly one valid Host");
    if (found->expectations > 0 &&
        !gh_slice_equal_nocase(found->expectation, GH_SLICE("100-continue")))
        return refuse(out, 417, "an expectation other than 100-continue");
    out->expect_continue = found->expectations > 0 && out->minor > 0;
    return GH_HTTP_OK;
}

/* Takes `prefix` off the front. */
static bool skip(struct gh_slice *rest, struct gh_slice prefix)
{
    if (!gh_slice_starts(*rest, prefix))
        return false;
    *rest = gh_slice_sub(*rest, prefix.size, rest->size);
    return true;
}

/* The library as Debian builds it is not strict: it takes any four letters for "HTTP", and any
 * number of spaces. So the first line is compared with what it must be: method SP target SP
 * "HTTP/1." digit. */
static bool first_line_is_strict(struct gh_slice head, const struct gh_http_head *out,
                                 enum gh_http_kind kind)
{
    struct gh_slice line = gh_slice_split(&head, '\r');

    if (kind == GH_HTTP_RESPONSE)
        return gh_slice_starts(line, GH_SLICE("HTTP/1."));
    return skip(&line, out->method) && skip(&line, GH_SLICE(" ")) && skip(&line, out->target) &&
           skip(&line, GH_SLICE(" HTTP/1.")) && line.size == 1;
}

static enum gh_http_status check_whole(struct gh_http_head *out, const http_parser *parser,
                                       struct gh_slice head, enum gh_http_kind kind)
{
    struct framing found = framing_of(out);

    if (kind == GH_HTTP_REQUEST)
        out->method = gh_slice_text(http_method_str((enum http_method)parser->method));
    if (parser->http_major != 1)
        return refuse(out, 505, "not HTTP/1");
    if (!first_line_is_strict(head, out, kind))
        return refuse(out, 400, "malformed first line");
    for (size_t i = 0; i < out->headers_count; i++)
        if (!gh_http_is_token(out->headers[i].name) || !gh_http_is_value(out->headers[i].value))
            return refuse(out, 400, "malformed field");
    out->minor = parser->http_minor;
    out->keep_alive = out->minor > 0 ? !found.close : found.keep_alive && !found.close;
    if (kind == GH_HTTP_REQUEST) {
        enum gh_http_status status = check_request(out, &found);
        if (status != GH_HTTP_OK)
            return status;
    } else {
        out->status = (int)parser->status_code;
        if (out->status < 100 || out->status > 599)
            return refuse(out, 400, "malformed status code");
    }
    return read_framing(out, &found, kind);
}

static enum gh_http_status refuse_syntax(struct gh_http_head *out, enum http_errno error,
                                         struct gh_slice in)
{
    struct gh_slice method = gh_slice_split(&in, ' ');

    if (error == HPE_INVALID_VERSION)
        return refuse(out, 505, "malformed HTTP version");
    if (error != HPE_INVALID_METHOD)
        return refuse(out, 400, http_errno_description(error));
    for (size_t i = 0; i < method.size; i++)
        if (method.data[i] < 'A' || method.data[i] > 'Z')
            return refuse(out, 400, "malformed method");
    return refuse(out, 501, "unknown method");
}

/* Parsing begins anew with every call. Only a whole line can change the verdict, so a head that
 * arrives byte by byte costs a scan for its end and no more. */
static bool is_worth_parsing(struct gh_slice in)
{
    return in.data[in.size - 1] == '\n' || memmem(in.data, in.size, "\r\n\r\n", 4) != NULL;
}

static enum gh_http_status refuse_long(struct gh_slice in, enum gh_http_kind kind,
                                       struct gh_http_head *out)
{
    if (kind == GH_HTTP_REQUEST && gh_slice_find(in, '\n') == in.size)
        return refuse(out, 414, "the request line is too long");
    return refuse(out, 431, "the head is too long");
}

enum gh_http_status gh_http_head_read(struct gh_slice in, enum gh_http_kind kind, size_t size_max,
                                      struct gh_http_head *out)
{
    struct collector collector = {.head = out};
    size_t skipped = 0;
    http_parser parser;

    out->size = out->headers_count = 0;
    out->status = out->refusal = 0;
    out->why = NULL;
    out->content_length = 0;
    out->method = out->target = out->path = out->query = (struct gh_slice){0};
    out->expect_continue = false;
    if (gh_slice_starts(in, GH_SLICE("\r\n"))) /* one empty line before a message: RFC 9112 §2.2 */
        skipped = 2;
    struct gh_slice rest = gh_slice_sub(in, skipped, in.size);
    if (rest.size == 0)
        return GH_HTTP_MORE;
    if (rest.data[0] == '\r' || rest.data[0] == '\n')
        return rest.size == 1 && skipped == 0 && rest.data[0] == '\r'
                   ? GH_HTTP_MORE
                   : refuse(out, 400, "an empty line instead of a message");
    struct gh_slice looked_at = gh_slice_sub(rest, 0, size_max);
    if (!is_worth_parsing(looked_at))
        return rest.size < size_max ? GH_HTTP_MORE : refuse_long(looked_at, kind, out);

    http_parser_init(&parser, kind == GH_HTTP_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE);
    parser.data = &collector;
    size_t read =
        http_parser_execute(&parser, &settings, (const char *)looked_at.data, looked_at.size);
    if (collector.too_many)
        return refuse(out, 431, "too many fields");
    if (!collector.whole && HTTP_PARSER_ERRNO(&parser) != HPE_OK)
        return refuse_syntax(out, HTTP_PARSER_ERRNO(&parser), rest);
    if (!lines_are_strict(gh_slice_sub(looked_at, 0, collector.whole ? read + 1 : read)))
        return refuse(out, 400, "a line that does not end with CRLF, or a folded line");
    if (!collector.whole)
        return rest.size < size_max ? GH_HTTP_MORE : refuse_long(looked_at, kind, out);
    out->size = skipped + read + 1; /* paused at the last LF, which is not counted */
    return check_whole(out, &parser, rest, kind);
}
