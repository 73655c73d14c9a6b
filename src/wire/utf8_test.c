#include "tests/check.h"
#include "wire/utf8.h"

/* Edges of RFC 3629 §4. */
static const struct {
    const char *claim;
    struct gh_slice text;
    bool valid, valid_mqtt;
} cases[] = {
    {"nothing", GH_SLICE_INIT(""), true, true},
    {"ASCII", GH_SLICE_INIT("a\x7f"), true, true},
    {"NUL", GH_SLICE_INIT("a\0b"), true, false},
    {"U+0080, the first of two bytes", GH_SLICE_INIT("\xc2\x80"), true, true},
    {"U+07FF, the last of two bytes", GH_SLICE_INIT("\xdf\xbf"), true, true},
    {"U+0800, the first of three", GH_SLICE_INIT("\xe0\xa0\x80"), true, true},
    {"U+D7FF, before the surrogates", GH_SLICE_INIT("\xed\x9f\xbf"), true, true},
    {"U+E000, after them", GH_SLICE_INIT("\xee\x80\x80"), true, true},
    {"U+FFFF, a non-character", GH_SLICE_INIT("\xef\xbf\xbf"), true, true},
    {"U+FEFF is data [MQTT-1.5.3-3]", GH_SLICE_INIT("\xef\xbb\xbf"), true, true},
    {"U+10000, the first of four", GH_SLICE_INIT("\xf0\x90\x80\x80"), true, true},
    {"U+10FFFF, the last", GH_SLICE_INIT("\xf4\x8f\xbf\xbf"), true, true},
    {"U+2A6D4 of MQTT 3.1.1 figure 1.2", GH_SLICE_INIT("A\xf0\xaa\x9b\x94"), true, true},
    {"an overlong NUL", GH_SLICE_INIT("\xc0\x80"), false, false},
    {"an overlong slash", GH_SLICE_INIT("\xc1\xaf"), false, false},
    {"overlong in three bytes", GH_SLICE_INIT("\xe0\x9f\xbf"), false, false},
    {"overlong in four bytes", GH_SLICE_INIT("\xf0\x8f\xbf\xbf"), false, false},
    {"U+D800, a surrogate", GH_SLICE_INIT("\xed\xa0\x80"), false, false},
    {"U+DFFF, a surrogate", GH_SLICE_INIT("\xed\xbf\xbf"), false, false},
    {"U+110000, beyond the last", GH_SLICE_INIT("\xf4\x90\x80\x80"), false, false},
    {"a first byte of five", GH_SLICE_INIT("\xf8\x88\x80\x80\x80"), false, false},
    {"a byte that never occurs", GH_SLICE_INIT("\xff"), false, false},
    {"a continuation first", GH_SLICE_INIT("\x80"), false, false},
    {"cut in two", GH_SLICE_INIT("\xc3"), false, false},
    {"cut in three", GH_SLICE_INIT("\xe2\x82"), false, false},
    {"cut in four", GH_SLICE_INIT("\xf0\x9f\x98"), false, false},
    {"a third byte that continues nothing", GH_SLICE_INIT("\xe2\x82\x41"), false, false},
};

int main(void)
{
    for (size_t i = 0; i < GH_COUNT(cases); i++) {
        CHECK(cases[i].claim, gh_utf8_valid(cases[i].text) == cases[i].valid);
        CHECK(cases[i].claim, gh_utf8_valid_mqtt(cases[i].text) == cases[i].valid_mqtt);
    }
    return check_report();
}
