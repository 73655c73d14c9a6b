#include "identity/totp.h"
#include "base/secret.h"
#include "crypto/digest.h"
#include <stdio.h>

enum { DIGITS_MODULUS = 1000000 };

void gh_totp_code(struct gh_slice key, int64_t step, char out[GH_TOTP_DIGITS + 1])
{
    uint8_t counter[8], mac[GH_SHA1_BYTES];

    for (size_t i = 0; i < sizeof counter; i++)
        counter[i] = (uint8_t)((uint64_t)step >> (8 * (sizeof counter - 1 - i)));
    gh_hmac_sha1(key, gh_slice(counter, sizeof counter), mac);
    size_t at = mac[GH_SHA1_BYTES - 1] & 0x0fu; /* RFC 4226 §5.3: dynamic truncation */
    uint32_t number = (uint32_t)(mac[at] & 0x7fu) << 24 | (uint32_t)mac[at + 1] << 16 |
                      (uint32_t)mac[at + 2] << 8 | mac[at + 3];
    (void)snprintf(out, GH_TOTP_DIGITS + 1, "%06u", (unsigned)(number % DIGITS_MODULUS));
    gh_secret_wipe(mac, sizeof mac);
}

int64_t gh_totp_check(struct gh_slice key, struct gh_slice code, int64_t now_s, int64_t step_before)
{
    char digits[GH_TOTP_DIGITS], wanted[GH_TOTP_DIGITS + 1];
    size_t count = 0;
    int64_t found = -1, now = now_s / GH_TOTP_STEP_S;

    for (size_t i = 0; i < code.size; i++) {
        if (code.data[i] == ' ')
            continue;
        if (count == sizeof digits)
            return -1;
        digits[count++] = (char)code.data[i];
    }
    if (count != sizeof digits)
        return -1;
    for (int64_t step = now - GH_TOTP_WINDOW; step <= now + GH_TOTP_WINDOW; step++) {
        gh_totp_code(key, step, wanted);
        bool same = gh_secret_equal(gh_slice(digits, sizeof digits), gh_slice_text(wanted));
        found = same && step > step_before && found < 0 ? step : found;
    }
    gh_secret_wipe(wanted, sizeof wanted);
    return found;
}
