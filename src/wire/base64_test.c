#include "tests/check.h"
#include "wire/base64.h"

enum { STRICT = 1, ANY = 2 };

/* RFC 4648 §10, RFC 7515 appendix C, and texts that differ from one of those in one rule.
 * `accepted` says which reading takes the text. */
static const struct {
    const char *claim, *text;
    struct gh_slice bytes;
    int accepted;
} decoded[] = {
    {"nothing is nothing", "", GH_SLICE_INIT(""), STRICT | ANY},
    {"one byte", "Zg", GH_SLICE_INIT("f"), STRICT | ANY},
    {"two bytes", "Zm8", GH_SLICE_INIT("fo"), STRICT | ANY},
    {"three bytes", "Zm9v", GH_SLICE_INIT("foo"), STRICT | ANY},
    {"six bytes", "Zm9vYmFy", GH_SLICE_INIT("foobar"), STRICT | ANY},
    {"one byte padded", "Zg==", GH_SLICE_INIT("f"), ANY},
    {"two bytes padded", "Zm8=", GH_SLICE_INIT("fo"), ANY},
    {"RFC 7515 appendix C", "A-z_4ME", GH_SLICE_INIT("\x03\xec\xff\xe0\xc1"), STRICT | ANY},
    {"the same in the standard alphabet", "A+z/4ME", GH_SLICE_INIT("\x03\xec\xff\xe0\xc1"), ANY},
    {"alphabets mixed", "A-z/4ME=", GH_SLICE_INIT("\x03\xec\xff\xe0\xc1"), ANY},
    {"spare bits set, one byte", "Zh", GH_SLICE_INIT("f"), ANY},
    {"spare bits set, two bytes", "Zm9", GH_SLICE_INIT("fo"), ANY},
    {"a lone digit", "Z", GH_SLICE_INIT(""), 0},
    {"five digits", "Zm9vY", GH_SLICE_INIT(""), 0},
    {"half of the padding", "Zg=", GH_SLICE_INIT(""), 0},
    {"padding too long", "Zm8==", GH_SLICE_INIT(""), 0},
    {"three signs of padding", "Z===", GH_SLICE_INIT(""), 0},
    {"nothing but padding", "====", GH_SLICE_INIT(""), 0},
    {"padding without a text", "==", GH_SLICE_INIT(""), 0},
    {"padding inside", "Zg==Zg==", GH_SLICE_INIT(""), 0},
    {"a space", "Zm9 ", GH_SLICE_INIT(""), 0},
    {"a line break", "Zm9v\n", GH_SLICE_INIT(""), 0},
    {"a sign of no alphabet", "Zm9*", GH_SLICE_INIT(""), 0},
    {"a byte above ASCII", "Zm9\xc3", GH_SLICE_INIT(""), 0},
};

static void decodes(const char *claim, const char *text, enum gh_base64_reading reading,
                    bool accepted, struct gh_slice bytes)
{
    struct gh_buffer out;
    gh_buffer_init(&out, 64);
    gh_buffer_put(&out, GH_SLICE("x"));
    bool took = gh_base64_decode(gh_slice_text(text), reading, &out);
    CHECK(claim, took == accepted);
    CHECK(claim, out.size == (accepted ? bytes.size + 1 : 1));
    if (took)
        CHECK(claim, gh_slice_equal(gh_slice_sub(gh_buffer_slice(&out), 1, 64), bytes));
    gh_buffer_deinit(&out);
}

static void encodes(const char *bytes, const char *standard, const char *url)
{
    struct gh_buffer out;
    gh_buffer_init(&out, 64);
    CHECK(standard, gh_base64_encode(gh_slice_text(bytes), GH_BASE64_STANDARD, &out));
    CHECK(standard, gh_slice_equal(gh_buffer_slice(&out), gh_slice_text(standard)));
    gh_buffer_clear(&out);
    CHECK(url, gh_base64_encode(gh_slice_text(bytes), GH_BASE64_URL_NOPAD, &out));
    CHECK(url, gh_slice_equal(gh_buffer_slice(&out), gh_slice_text(url)));
    gh_buffer_deinit(&out);
}

static void every_length_comes_back(void)
{
    uint8_t bytes[70];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 151 + 7);
    for (size_t size = 0; size <= sizeof bytes; size++) {
        for (int writing = 0; writing < 2; writing++) {
            struct gh_buffer text, back;
            gh_buffer_init(&text, 256);
            gh_buffer_init(&back, 256);
            REQUIRE("writes", gh_base64_encode(gh_slice(bytes, size),
                                               (enum gh_base64_writing)writing, &text));
            CHECK("reads what it wrote",
                  gh_base64_decode(gh_buffer_slice(&text),
                                   writing ? GH_BASE64_STRICT_URL : GH_BASE64_ANY, &back) &&
                      gh_slice_equal(gh_buffer_slice(&back), gh_slice(bytes, size)));
            gh_buffer_deinit(&text);
            gh_buffer_deinit(&back);
        }
    }
}

int main(void)
{
    for (size_t i = 0; i < GH_COUNT(decoded); i++) {
        decodes(decoded[i].claim, decoded[i].text, GH_BASE64_STRICT_URL,
                decoded[i].accepted & STRICT, decoded[i].bytes);
        decodes(decoded[i].claim, decoded[i].text, GH_BASE64_ANY, decoded[i].accepted & ANY,
                decoded[i].bytes);
    }
    encodes("", "", "");
    encodes("f", "Zg==", "Zg");
    encodes("fo", "Zm8=", "Zm8");
    encodes("foo", "Zm9v", "Zm9v");
    encodes("foobar", "Zm9vYmFy", "Zm9vYmFy");
    encodes("\x03\xec\xff\xe0\xc1", "A+z/4ME=", "A-z_4ME");
    every_length_comes_back();

    struct gh_buffer small;
    gh_buffer_init(&small, 3);
    CHECK("a text that does not fit",
          !gh_base64_encode(GH_SLICE("fo"), GH_BASE64_STANDARD, &small));
    CHECK("says so", small.overflow);
    gh_buffer_clear(&small);
    CHECK("bytes that just fit", gh_base64_decode(GH_SLICE("Zm9v"), GH_BASE64_ANY, &small));
    gh_buffer_deinit(&small);
    return check_report();
}
