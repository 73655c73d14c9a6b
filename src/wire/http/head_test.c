#include "tests/check.h"
#include "wire/http/head.h"
#include "wire/http/write.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST "Host: h\r\n"

/* Requests; 0 in `refusal` means that it is taken. */
static const struct {
    const char *claim, *wire;
    int refusal;
    const char *path, *query;
    enum gh_http_framing framing;
    uint64_t length;
    bool keep_alive;
} requests[] = {
    {"the shortest", "GET / HTTP/1.1\r\n" HOST "\r\n", 0, "/", "", GH_HTTP_NO_BODY, 0, true},
    {"a query begins at the first mark", "GET /a?b=1&c=?2 HTTP/1.1\r\n" HOST "\r\n", 0, "/a",
     "b=1&c=?2", GH_HTTP_NO_BODY, 0, true},
    {"one empty line before it", "\r\nGET / HTTP/1.1\r\n" HOST "\r\n", 0, "/", "", GH_HTTP_NO_BODY,
     0, true},
    {"a length", "POST /a HTTP/1.1\r\n" HOST "Content-Length: 12\r\n\r\n", 0, "/a", "",
     GH_HTTP_LENGTH, 12, true},
    {"a length of zero is no body", "POST /a HTTP/1.1\r\n" HOST "content-length: 0\r\n\r\n", 0,
     "/a", "", GH_HTTP_NO_BODY, 0, true},
    {"chunks", "POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n", 0, "/a", "",
     GH_HTTP_CHUNKED, 0, true},
    {"close is asked for", "GET / HTTP/1.1\r\n" HOST "Connection: foo, Close\r\n\r\n", 0, "/", "",
     GH_HTTP_NO_BODY, 0, false},
    {"HTTP/1.0 closes and needs no Host", "GET / HTTP/1.0\r\n\r\n", 0, "/", "", GH_HTTP_NO_BODY, 0,
     false},
    {"HTTP/1.0 may keep alive", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 0, "/", "",
     GH_HTTP_NO_BODY, 0, true},
    {"absolute form", "GET http://h:1/a/b?c HTTP/1.1\r\n" HOST "\r\n", 0, "/a/b", "c",
     GH_HTTP_NO_BODY, 0, true},
    {"absolute form without a path", "GET https://h?c HTTP/1.1\r\n" HOST "\r\n", 0, "/", "c",
     GH_HTTP_NO_BODY, 0, true},
    {"asterisk form", "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 0, "*", "", GH_HTTP_NO_BODY, 0, true},
    {"asterisk without OPTIONS", "GET * HTTP/1.1\r\n" HOST "\r\n", 400, "", "", 0, 0, false},
    {"a fragment", "GET /a#b HTTP/1.1\r\n" HOST "\r\n", 400, "", "", 0, 0, false},
    {"a control character in the target", "GET /a\x01 HTTP/1.1\r\n" HOST "\r\n", 400, "", "", 0, 0,
     false},
    {"a byte outside ASCII in the target", "GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n", 400, "", "", 0,
     0, false},
    {"no Host", "GET / HTTP/1.1\r\n\r\n", 400, "", "", 0, 0, false},
    {"two Hosts", "GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400, "", "", 0, 0, false},
    {"a Host that is a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "", "", 0, 0, false},
    {"two lengths", "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
     400, "", "", 0, 0, false},
    {"a list of lengths", "POST / HTTP/1.1\r\n" HOST "Content-Length: 1, 1\r\n\r\n", 400, "", "", 0,
     0, false},
    {"a signed length", "POST / HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\n", 400, "", "", 0, 0,
     false},
    {"a length beyond 64 bits",
     "POST / HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551616\r\n\r\n", 400, "", "", 0, 0,
     false},
    {"length and chunks: request smuggling",
     "POST / HTTP/1.1\r\n" HOST "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "",
     "", 0, 0, false},
    {"chunks and length, the other way round",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n", 400, "",
     "", 0, 0, false},
    {"a coding that is not ours",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n", 501, "", "", 0, 0,
     false},
    {"an obfuscated coding",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \x0b"
     "chunked\r\n\r\n",
     400, "", "", 0, 0, false},
    {"chunks in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "", "", 0,
     0, false},
    {"white space before the colon", "GET / HTTP/1.1\r\n" HOST "A : b\r\n\r\n", 400, "", "", 0, 0,
     false},
    {"a folded line", "GET / HTTP/1.1\r\n" HOST "A: b\r\n c\r\n\r\n", 400, "", "", 0, 0, false},
    {"a folded empty line", "GET / HTTP/1.1\r\n" HOST "A:\r\n c\r\n\r\n", 400, "", "", 0, 0, false},
    {"lone LF", "GET / HTTP/1.1\nHost: h\n\n", 400, "", "", 0, 0, false},
    {"one lone LF", "GET / HTTP/1.1\r\nHost: h\nA: b\r\n\r\n", 400, "", "", 0, 0, false},
    {"NUL in a value", "GET / HTTP/1.1\r\n" HOST "A: %\r\n\r\n", 400, "", "", 0, 0, false},
    {"an empty name", "GET / HTTP/1.1\r\n" HOST ": b\r\n\r\n", 400, "", "", 0, 0, false},
    {"no colon", "GET / HTTP/1.1\r\n" HOST "A\r\n\r\n", 400, "", "", 0, 0, false},
    {"no version", "GET /\r\n" HOST "\r\n", 505, "", "", 0, 0, false},
    {"letters that are not HTTP", "GET / HXXP/1.1\r\n" HOST "\r\n", 400, "", "", 0, 0, false},
    {"an empty line in place of letters", "POST /& H\r\n\r\n1.1\r\n" HOST "\r\n", 400, "", "", 0, 0,
     false},
    {"two spaces", "GET  / HTTP/1.1\r\n" HOST "\r\n", 400, "", "", 0, 0, false},
    {"two spaces before the version", "GET /  HTTP/1.1\r\n" HOST "\r\n", 400, "", "", 0, 0, false},
    {"a version of two digits", "GET / HTTP/1.11\r\n" HOST "\r\n", 505, "", "", 0, 0, false},
    {"HTTP/2", "GET / HTTP/2.0\r\n" HOST "\r\n", 505, "", "", 0, 0, false},
    {"a malformed version", "GET / HTTP/x\r\n" HOST "\r\n", 505, "", "", 0, 0, false},
    {"HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\n", 501, "", "", 0, 0, false},
    {"an unknown method", "BREW / HTTP/1.1\r\n" HOST "\r\n", 501, "", "", 0, 0, false},
    {"a method in small letters", "get / HTTP/1.1\r\n" HOST "\r\n", 400, "", "", 0, 0, false},
    {"CONNECT", "CONNECT h:443 HTTP/1.1\r\n" HOST "\r\n", 501, "", "", 0, 0, false},
    {"another expectation", "POST / HTTP/1.1\r\n" HOST "Expect: cake\r\n\r\n", 417, "", "", 0, 0,
     false},
    {"two empty lines before it", "\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n", 400, "", "", 0, 0,
     false},
    {"MQTT", "\x10\x0c\x04MQTT\r\n", 400, "", "", 0, 0, false},
};

static struct gh_http_head head;

static void each_request(void)
{
    for (size_t i = 0; i < GH_COUNT(requests); i++) {
        size_t size = strlen(requests[i].wire);
        char *wire = malloc(size); /* exact, so that ASan sees one byte too many */
        memcpy(wire, requests[i].wire, size);
        for (size_t at = 0; at < size; at++) /* '%' stands for NUL in the one row that needs it */
            if (wire[at] == '%')
                wire[at] = '\0';
        enum gh_http_status status =
            gh_http_head_read(gh_slice(wire, size), GH_HTTP_REQUEST, GH_HTTP_HEAD_BYTES_MAX, &head);
        if (requests[i].refusal != 0) {
            CHECK(requests[i].claim, status == GH_HTTP_REFUSED);
            CHECK(requests[i].claim, head.refusal == requests[i].refusal && head.why != NULL);
        } else if (CHECK(requests[i].claim, status == GH_HTTP_OK)) {
            CHECK(requests[i].claim, head.size == size);
            CHECK(requests[i].claim, gh_slice_equal(head.path, gh_slice_text(requests[i].path)));
            CHECK(requests[i].claim, gh_slice_equal(head.query, gh_slice_text(requests[i].query)));
            CHECK(requests[i].claim, head.framing == requests[i].framing);
            CHECK(requests[i].claim, head.content_length == requests[i].length);
            CHECK(requests[i].claim, head.keep_alive == requests[i].keep_alive);
            for (size_t cut = 0; cut < size; cut++)
                CHECK(requests[i].claim,
                      gh_http_head_read(gh_slice(wire, cut), GH_HTTP_REQUEST,
                                        GH_HTTP_HEAD_BYTES_MAX, &head) == GH_HTTP_MORE);
        }
        free(wire);
    }
}

static void fields(void)
{
    static const char wire[] = "PUT /x HTTP/1.1\r\nHost: h\r\nX-Empty:\r\nX-Spaces:  \t a b \t\r\n"
                               "Expect: 100-Continue\r\n\r\nGET /next";
    struct gh_slice value = {0};
    REQUIRE("taken", gh_http_head_read(gh_slice(wire, sizeof wire - 1), GH_HTTP_REQUEST, 1024,
                                       &head) == GH_HTTP_OK);
    CHECK("what follows is left", head.size == sizeof wire - 1 - strlen("GET /next"));
    CHECK("method", gh_slice_equal(head.method, GH_SLICE("PUT")));
    CHECK("continue", head.expect_continue);
    CHECK("count", head.headers_count == 4);
    CHECK("any case", gh_http_header_find(head.headers, head.headers_count, "x-EMPTY", &value) &&
                          value.size == 0);
    CHECK("trimmed", gh_http_header_find(head.headers, head.headers_count, "x-spaces", &value) &&
                         gh_slice_equal(value, GH_SLICE("a b")));
    CHECK("absent", !gh_http_header_find(head.headers, head.headers_count, "x", &value));
    CHECK("list",
          gh_http_list_has(GH_SLICE("a , B"), "b") && !gh_http_list_has(GH_SLICE("ab"), "a"));
}

static void limits(void)
{
    struct gh_buffer wire;
    gh_buffer_init(&wire, 1 << 20);
    gh_buffer_put(&wire, GH_SLICE("GET / HTTP/1.1\r\nHost: h\r\n"));
    for (int i = 1; i < GH_HTTP_HEADERS_MAX; i++)
        gh_buffer_put(&wire, GH_SLICE("a: b\r\n"));
    size_t before = wire.size;
    gh_buffer_put(&wire, GH_SLICE("\r\n"));
    CHECK("a hundred fields", gh_http_head_read(gh_buffer_slice(&wire), GH_HTTP_REQUEST, wire.size,
                                                &head) == GH_HTTP_OK);
    CHECK("one byte less room", gh_http_head_read(gh_buffer_slice(&wire), GH_HTTP_REQUEST,
                                                  wire.size - 1, &head) == GH_HTTP_REFUSED &&
                                    head.refusal == 431);
    wire.size = before;
    gh_buffer_put(&wire, GH_SLICE("a: b\r\n\r\n"));
    CHECK("one field more", gh_http_head_read(gh_buffer_slice(&wire), GH_HTTP_REQUEST, wire.size,
                                              &head) == GH_HTTP_REFUSED &&
                                head.refusal == 431);
    gh_buffer_clear(&wire);
    gh_buffer_put(&wire, GH_SLICE("GET /"));
    while (wire.size < 200)
        gh_buffer_u8(&wire, 'a');
    CHECK("a long line waits",
          gh_http_head_read(gh_buffer_slice(&wire), GH_HTTP_REQUEST, 201, &head) == GH_HTTP_MORE);
    CHECK("up to the limit", gh_http_head_read(gh_buffer_slice(&wire), GH_HTTP_REQUEST, 200,
                                               &head) == GH_HTTP_REFUSED &&
                                 head.refusal == 414);
    gh_buffer_deinit(&wire);
}

static const struct {
    const char *claim, *wire;
    enum gh_http_status status;
    int code;
    enum gh_http_framing framing;
} responses[] = {
    {"a length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", GH_HTTP_OK, 200, GH_HTTP_LENGTH},
    {"no reason", "HTTP/1.1 404\r\nContent-Length: 2\r\n\r\n", GH_HTTP_OK, 404, GH_HTTP_LENGTH},
    {"until the end", "HTTP/1.0 200 OK\r\n\r\n", GH_HTTP_OK, 200, GH_HTTP_UNTIL_CLOSE},
    {"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", GH_HTTP_OK, 200,
     GH_HTTP_CHUNKED},
    {"204 has no body", "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n", GH_HTTP_OK, 204,
     GH_HTTP_NO_BODY},
    {"100 has no body", "HTTP/1.1 100 Continue\r\n\r\n", GH_HTTP_OK, 100, GH_HTTP_NO_BODY},
    {"a status out of range", "HTTP/1.1 999 No\r\n\r\n", GH_HTTP_REFUSED, 0, 0},
    {"no HTTP", "SSH-2.0-x\r\n", GH_HTTP_REFUSED, 0, 0},
};

static void each_response(void)
{
    for (size_t i = 0; i < GH_COUNT(responses); i++) {
        struct gh_slice wire = gh_slice_text(responses[i].wire);
        CHECK(responses[i].claim,
              gh_http_head_read(wire, GH_HTTP_RESPONSE, 1024, &head) == responses[i].status);
        if (responses[i].status == GH_HTTP_OK) {
            CHECK(responses[i].claim, head.status == responses[i].code);
            CHECK(responses[i].claim, head.framing == responses[i].framing);
        }
    }
}

static void written(void)
{
    struct gh_buffer out;
    gh_buffer_init(&out, 1024);
    gh_http_write_status(&out, 404);
    gh_http_write_header(&out, GH_SLICE("x-a"), GH_SLICE("b"));
    gh_http_write_header(&out, GH_SLICE("x-evil"), GH_SLICE("b\r\nSet-Cookie: c"));
    gh_http_write_header(&out, GH_SLICE("x evil"), GH_SLICE("b"));
    gh_http_write_length(&out, 3);
    gh_http_write_end(&out);
    CHECK("no value begins a line",
          gh_slice_equal(gh_buffer_slice(&out), GH_SLICE("HTTP/1.1 404 Not Found\r\nx-a: b\r\n"
                                                         "content-length: 3\r\n\r\n")));
    CHECK("read back",
          gh_http_head_read(gh_buffer_slice(&out), GH_HTTP_RESPONSE, 1024, &head) == GH_HTTP_OK &&
              head.status == 404 && head.content_length == 3);
    gh_buffer_clear(&out);
    gh_http_write_chunk(&out, GH_SLICE("0123456789abcdef0"));
    gh_http_write_chunk(&out, GH_SLICE(""));
    gh_http_write_last_chunk(&out);
    CHECK("chunks",
          gh_slice_equal(gh_buffer_slice(&out), GH_SLICE("11\r\n0123456789abcdef0\r\n0\r\n\r\n")));
    gh_buffer_deinit(&out);
}

int main(void)
{
    each_request();
    fields();
    limits();
    each_response();
    written();
    return check_report();
}
