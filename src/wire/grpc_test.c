#include "tests/check.h"
#include "wire/grpc.h"
#include <string.h>

static const struct {
    const char *claim, *wire;
    size_t size, body_max, body;
    enum gh_grpc_read read;
} messages[] = {
    {"an empty message", "\0\0\0\0\0", 5, 16, 0, GH_GRPC_MESSAGE},
    {"three bytes", "\0\0\0\0\3abc", 8, 16, 3, GH_GRPC_MESSAGE},
    {"what follows is the next one's", "\0\0\0\0\3abc\0\0", 10, 16, 3, GH_GRPC_MESSAGE},
    {"of exactly the limit", "\0\0\0\0\3abc", 8, 3, 3, GH_GRPC_MESSAGE},
    {"over the limit is known before the body", "\0\0\0\0\4", 5, 3, 0, GH_GRPC_TOO_LARGE},
    {"four gigabytes", "\0\xff\xff\xff\xff", 5, 3, 0, GH_GRPC_TOO_LARGE},
    {"compressed", "\1\0\0\0\3abc", 8, 16, 0, GH_GRPC_COMPRESSED},
    {"another flag", "\2\0\0\0\3abc", 8, 16, 0, GH_GRPC_MALFORMED},
    {"no byte yet", "", 0, 16, 0, GH_GRPC_MORE},
};

static void each_message(void)
{
    for (size_t i = 0; i < GH_COUNT(messages); i++) {
        struct gh_slice wire = gh_slice(messages[i].wire, messages[i].size), body;
        size_t size;
        CHECK(messages[i].claim,
              gh_grpc_message_read(wire, messages[i].body_max, &body, &size) == messages[i].read);
        if (messages[i].read != GH_GRPC_MESSAGE)
            continue;
        CHECK(messages[i].claim, body.size == messages[i].body && size == body.size + 5);
        for (size_t cut = 0; cut < size; cut++)
            CHECK(messages[i].claim,
                  gh_grpc_message_read(gh_slice(wire.data, cut), messages[i].body_max, &body,
                                       &(size_t){0}) == GH_GRPC_MORE);
    }
}

static void each_written(void)
{
    uint8_t block[12];
    struct gh_buffer out = gh_buffer_fixed(block, sizeof block);
    CHECK("a message fits", gh_grpc_message_write(&out, GH_SLICE("abc")));
    CHECK("with its prefix", gh_slice_equal(gh_buffer_slice(&out), GH_SLICE("\0\0\0\0\3abc")));
    CHECK("half a prefix does not fit", !gh_grpc_message_write(&out, GH_SLICE("")));
    CHECK("and leaves it whole", out.size == 8 && !out.overflow);
}

static const struct {
    const char *text;
    int64_t ns; /* -1: refused */
} timeouts[] = {
    {"1H", INT64_C(3600000000000)},
    {"2M", INT64_C(120000000000)},
    {"10S", INT64_C(10000000000)},
    {"60000m", INT64_C(60000000000)},
    {"5u", 5000},
    {"99999999n", 99999999},
    {"99999999H", INT64_MAX / 2},
    {"0S", 0},
    {"", -1},
    {"S", -1},
    {"5", -1},
    {"5s", -1},
    {"-5S", -1},
    {"999999999S", -1},
    {"1 S", -1},
};

static void each_timeout(void)
{
    for (size_t i = 0; i < GH_COUNT(timeouts); i++) {
        int64_t ns = -1;
        bool read = gh_grpc_timeout_read(gh_slice_text(timeouts[i].text), &ns);
        CHECK(timeouts[i].text, read == (timeouts[i].ns >= 0) && ns == timeouts[i].ns);
    }
}

static void each_text(void)
{
    struct gh_buffer out;
    gh_buffer_init(&out, 8192);
    gh_grpc_text_write(&out, GH_SLICE("100% \"d\"\n\xc3\xa9~\x7f"));
    CHECK("a text", gh_slice_equal(gh_buffer_slice(&out), GH_SLICE("100%25 \"d\"%0A%C3%A9~%7F")));
    uint8_t large[2 * GH_GRPC_STATUS_TEXT_MAX];
    memset(large, 0xff, sizeof large);
    gh_buffer_clear(&out);
    gh_grpc_text_write(&out, gh_slice(large, sizeof large));
    CHECK("a long text is cut", out.size == (size_t)3 * GH_GRPC_STATUS_TEXT_MAX);
    gh_buffer_deinit(&out);
}

int main(void)
{
    each_message();
    each_written();
    each_timeout();
    each_text();
    return check_report();
}
