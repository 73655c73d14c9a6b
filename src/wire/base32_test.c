#include "tests/check.h"
#include "wire/base32.h"
#include <string.h>

/* RFC 4648 §10, without the padding. */
static const struct {
    const char *bytes, *text;
} cases[] = {
    {"", ""},
    {"f", "MY"},
    {"fo", "MZXQ"},
    {"foo", "MZXW6"},
    {"foob", "MZXW6YQ"},
    {"fooba", "MZXW6YTB"},
    {"foobar", "MZXW6YTBOI"},
    {"12345678901234567890", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"}, /* the key of RFC 6238 */
    {"\xff\xff\xff\xff\xff", "77777777"},
};

int main(void)
{
    for (size_t i = 0; i < GH_COUNT(cases); i++) {
        char block[64];
        struct gh_buffer out = gh_buffer_fixed(block, sizeof block);
        CHECK("it fits", gh_base32_encode(gh_slice_text(cases[i].bytes), &out));
        CHECK(cases[i].text, gh_slice_equal(gh_buffer_slice(&out), gh_slice_text(cases[i].text)));
    }
    char small[3];
    struct gh_buffer out = gh_buffer_fixed(small, sizeof small);
    CHECK("what does not fit is said", !gh_base32_encode(GH_SLICE("foo"), &out));
    return check_report();
}
