#include "wire/http/write.h"

static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {499, "Client Closed Request"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

const char *gh_http_reason(int status)
{
    for (size_t i = 0; i < GH_COUNT(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Unknown";
}

void gh_http_write_status(struct gh_buffer *out, int status)
{
    gh_buffer_print(out, "HTTP/1.1 %03d %s\r\n", status, gh_http_reason(status));
}

void gh_http_write_request(struct gh_buffer *out, struct gh_slice method, struct gh_slice target)
{
    gh_buffer_put(out, method);
    gh_buffer_u8(out, ' ');
    gh_buffer_put(out, target);
    gh_buffer_put(out, GH_SLICE(" HTTP/1.1\r\n"));
}

void gh_http_write_header(struct gh_buffer *out, struct gh_slice name, struct gh_slice value)
{
    if (!gh_http_is_token(name) || !gh_http_is_value(value))
        return;
    gh_buffer_put(out, name);
    gh_buffer_put(out, GH_SLICE(": "));
    gh_buffer_put(out, value);
    gh_buffer_put(out, GH_SLICE("\r\n"));
}

void gh_http_write_length(struct gh_buffer *out, uint64_t content_length)
{
    gh_buffer_print(out, "content-length: %llu\r\n", (unsigned long long)content_length);
}

void gh_http_write_end(struct gh_buffer *out)
{
    gh_buffer_put(out, GH_SLICE("\r\n"));
}

void gh_http_write_chunk(struct gh_buffer *out, struct gh_slice bytes)
{
    if (bytes.size == 0)
        return;
    gh_buffer_print(out, "%zx\r\n", bytes.size);
    gh_buffer_put(out, bytes);
    gh_buffer_put(out, GH_SLICE("\r\n"));
}

void gh_http_write_last_chunk(struct gh_buffer *out)
{
    gh_buffer_put(out, GH_SLICE("0\r\n\r\n"));
}
