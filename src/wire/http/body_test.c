#include "tests/check.h"
#include "wire/http/body.h"
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *claim;
    enum gh_http_framing framing;
    uint64_t length;
    const char *wire;
    size_t size_max;
    int refusal; /* 0: complete */
    const char *body, *left;
} cases[] = {
    {"a length, and what follows is left", GH_HTTP_LENGTH, 3, "abcGET", 8, 0, "abc", "GET"},
    {"a length of exactly the limit", GH_HTTP_LENGTH, 3, "abc", 3, 0, "abc", ""},
    {"a length over the limit", GH_HTTP_LENGTH, 4, "abcd", 3, 413, "", ""},
    {"no body", GH_HTTP_NO_BODY, 0, "GET", 3, 0, "", "GET"},
    {"chunks", GH_HTTP_CHUNKED, 0, "2\r\nab\r\n1\r\nc\r\n0\r\n\r\nGET", 8, 0, "abc", "GET"},
    {"hexadecimal sizes", GH_HTTP_CHUNKED, 0, "0A\r\n0123456789\r\n0\r\n\r\n", 16, 0, "0123456789",
     ""},
    {"extensions are dropped", GH_HTTP_CHUNKED, 0, "1;a=\"b\"\r\nc\r\n0 ;x\r\n\r\n", 8, 0, "c", ""},
    {"trailers are dropped", GH_HTTP_CHUNKED, 0, "1\r\nc\r\n0\r\nA: b\r\nC: d\r\n\r\nGET", 8, 0,
     "c", "GET"},
    {"an empty body", GH_HTTP_CHUNKED, 0, "0\r\n\r\n", 8, 0, "", ""},
    {"chunks of exactly the limit", GH_HTTP_CHUNKED, 0, "3\r\nabc\r\n0\r\n\r\n", 3, 0, "abc", ""},
    {"a chunk over the limit", GH_HTTP_CHUNKED, 0, "4\r\nabcd\r\n0\r\n\r\n", 3, 413, "", ""},
    {"chunks over the limit", GH_HTTP_CHUNKED, 0, "2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n", 3, 413, "",
     ""},
    {"no size", GH_HTTP_CHUNKED, 0, "\r\nab\r\n", 8, 400, "", ""},
    {"no digit", GH_HTTP_CHUNKED, 0, "g\r\n", 8, 400, "", ""},
    {"a sign", GH_HTTP_CHUNKED, 0, "-1\r\n", 8, 400, "", ""},
    {"0x", GH_HTTP_CHUNKED, 0, "0x1\r\na\r\n", 8, 400, "", ""},
    {"a size of 16 digits", GH_HTTP_CHUNKED, 0, "ffffffffffffffff\r\n", 8, 400, "", ""},
    {"lone LF after the size", GH_HTTP_CHUNKED, 0, "1\nc\r\n0\r\n\r\n", 8, 400, "", ""},
    {"lone CR after the size", GH_HTTP_CHUNKED, 0, "1\rc\r\n0\r\n\r\n", 8, 400, "", ""},
    {"LF in an extension", GH_HTTP_CHUNKED, 0, "1;\nc\r\n0\r\n\r\n", 8, 400, "", ""},
    {"data longer than its size", GH_HTTP_CHUNKED, 0, "1\r\ncd\r\n0\r\n\r\n", 8, 400, "", ""},
    {"data ends with LF", GH_HTTP_CHUNKED, 0, "1\r\nc\n0\r\n\r\n", 8, 400, "", ""},
    {"LF in a trailer", GH_HTTP_CHUNKED, 0, "0\r\nA: b\n\r\n", 8, 400, "", ""},
};

static enum gh_http_status feed(size_t i, size_t piece, struct gh_http_body *body,
                                struct gh_buffer *out, size_t *read)
{
    struct gh_http_head head = {.framing = cases[i].framing, .content_length = cases[i].length};
    struct gh_slice wire = gh_slice_text(cases[i].wire);
    enum gh_http_status status = GH_HTTP_MORE;
    size_t consumed;

    gh_http_body_init(body, &head);
    for (*read = 0; status == GH_HTTP_MORE && *read <= wire.size; *read += consumed) {
        struct gh_slice in = gh_slice_sub(wire, *read, piece);
        status = gh_http_body_read(body, in, out, &consumed);
        if (status == GH_HTTP_MORE && consumed == 0)
            break; /* the end of the row */
    }
    return status;
}

int main(void)
{
    for (size_t i = 0; i < GH_COUNT(cases); i++) {
        for (size_t piece = 1; piece <= strlen(cases[i].wire); piece++) { /* cut everywhere */
            struct gh_http_body body;
            struct gh_buffer out;
            size_t read;
            gh_buffer_init(&out, cases[i].size_max);
            enum gh_http_status status = feed(i, piece, &body, &out, &read);
            if (cases[i].refusal != 0) {
                CHECK(cases[i].claim,
                      status == GH_HTTP_REFUSED && body.refusal == cases[i].refusal);
            } else if (CHECK(cases[i].claim, status == GH_HTTP_OK)) {
                CHECK(cases[i].claim,
                      gh_slice_equal(gh_buffer_slice(&out), gh_slice_text(cases[i].body)));
                CHECK(cases[i].claim, strlen(cases[i].wire) - read == strlen(cases[i].left));
            }
            gh_buffer_deinit(&out);
        }
    }
    struct gh_http_head until = {.framing = GH_HTTP_UNTIL_CLOSE};
    struct gh_http_body body;
    struct gh_buffer out;
    size_t consumed;
    gh_buffer_init(&out, 3);
    gh_http_body_init(&body, &until);
    CHECK("until close has no end",
          gh_http_body_read(&body, GH_SLICE("abc"), &out, &consumed) == GH_HTTP_MORE &&
              consumed == 3);
    CHECK("but a limit",
          gh_http_body_read(&body, GH_SLICE("d"), &out, &consumed) == GH_HTTP_REFUSED &&
              body.refusal == 413);
    gh_buffer_deinit(&out);
    return check_report();
}
