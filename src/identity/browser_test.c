#include "identity/browser.h"
#include "tests/check.h"
#include <string.h>

#define NOW_MS INT64_C(1700000000000)
#define DAYS_MS (INT64_C(86400000) * GH_BROWSER_DAYS)

static const struct gh_slice key = GH_SLICE_INIT("0123456789abcdef0123456789abcdef");
static const uint8_t nonce[GH_BROWSER_NONCE_BYTES] = "sixteen bytes !";

static const struct {
    const char *claim, *key, *account;
    int64_t now_ms;
    bool good;
} cases[] = {
    {"its own account", "0123456789abcdef0123456789abcdef", "alice", NOW_MS, true},
    {"until its end", "0123456789abcdef0123456789abcdef", "alice", NOW_MS + DAYS_MS - 1, true},
    {"not after it", "0123456789abcdef0123456789abcdef", "alice", NOW_MS + DAYS_MS, false},
    {"another account", "0123456789abcdef0123456789abcdef", "alicf", NOW_MS, false},
    {"another key", "1123456789abcdef0123456789abcdef", "alice", NOW_MS, false},
};

int main(void)
{
    char text[GH_BROWSER_MAX];
    uint8_t got[GH_BROWSER_NONCE_BYTES];

    gh_browser_make(key, GH_SLICE("alice"), nonce, NOW_MS, text);
    CHECK("75 letters", strlen(text) == GH_BROWSER_MAX - 1);
    for (size_t i = 0; i < GH_COUNT(cases); i++)
        CHECK(cases[i].claim,
              gh_browser_check(gh_slice_text(cases[i].key), gh_slice_text(cases[i].account),
                               gh_slice_text(text), cases[i].now_ms, got) == cases[i].good);
    CHECK("tells which", memcmp(got, nonce, sizeof got) == 0);
    for (size_t i = 0; i < GH_BROWSER_MAX - 1; i++) {
        char before = text[i];
        text[i] = before == 'A' ? 'B' : 'A';
        CHECK("every letter counts",
              !gh_browser_check(key, GH_SLICE("alice"), gh_slice_text(text), NOW_MS, got));
        text[i] = before;
        CHECK("and is needed",
              !gh_browser_check(key, GH_SLICE("alice"), gh_slice(text, i), NOW_MS, got));
    }
    return check_report();
}
