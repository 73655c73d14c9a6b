#include "identity/totp.h"
#include "tests/check.h"
#include <string.h>

static const struct gh_slice key = GH_SLICE_INIT("12345678901234567890");

/* RFC 6238 appendix B, the SHA-1 column, its last six digits; RFC 4226 appendix D, counts 0 to 9.
 */
static const struct {
    int64_t step;
    const char *code;
} codes[] = {
    {59 / 30, "287082"},
    {1111111109 / 30, "081804"},
    {1111111111 / 30, "050471"},
    {1234567890 / 30, "005924"},
    {2000000000 / 30, "279037"},
    {20000000000 / 30, "353130"},
    {0, "755224"},
    {1, "287082"},
    {2, "359152"},
    {3, "969429"},
    {4, "338314"},
    {5, "254676"},
    {6, "287922"},
    {7, "162583"},
    {8, "399871"},
    {9, "520489"},
};

static const struct {
    const char *claim, *code;
    int64_t now_s, step_before, step;
} checks[] = {
    {"the code of now", "254676", 5 * 30, 0, 5},
    {"with a blank in it", "254 676", 5 * 30 + 29, 0, 5},
    {"of the step before", "254676", 6 * 30 + 29, 0, 5},
    {"of the step after", "254676", 4 * 30, 0, 5},
    {"two steps late", "254676", 7 * 30, 0, -1},
    {"two steps early", "254676", 3 * 30 + 29, 0, -1},
    {"a step a second time", "254676", 5 * 30, 5, -1},
    {"a step before the last accepted", "338314", 5 * 30, 5, -1},
    {"a step after the last accepted", "287922", 5 * 30, 5, 6},
    {"another code", "254677", 5 * 30, 0, -1},
    {"nothing", "", 5 * 30, 0, -1},
    {"five digits", "25467", 5 * 30, 0, -1},
    {"seven digits", "2546760", 5 * 30, 0, -1},
    {"letters", "abcdef", 5 * 30, 0, -1},
    {"a sign", "+54676", 5 * 30, 0, -1},
};

int main(void)
{
    for (size_t i = 0; i < GH_COUNT(codes); i++) {
        char out[GH_TOTP_DIGITS + 1];
        gh_totp_code(key, codes[i].step, out);
        CHECK(codes[i].code, strcmp(out, codes[i].code) == 0);
    }
    for (size_t i = 0; i < GH_COUNT(checks); i++)
        CHECK(checks[i].claim, gh_totp_check(key, gh_slice_text(checks[i].code), checks[i].now_s,
                                             checks[i].step_before) == checks[i].step);
    return check_report();
}
