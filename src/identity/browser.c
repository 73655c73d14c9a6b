#include "identity/browser.h"
#include "base/buffer.h"
#include "base/cursor.h"
#include "base/secret.h"
#include "crypto/digest.h"
#include "wire/base64.h"
#include <assert.h>
#include <string.h>

enum {
    HEAD_BYTES = 8 + GH_BROWSER_NONCE_BYTES,
    BYTES = HEAD_BYTES + GH_SHA256_BYTES,
    DAY_MS = 24 * 3600 * 1000,
};
static_assert((BYTES * 4 + 2) / 3 + 1 == GH_BROWSER_MAX, "base64url without padding, NUL");

/* HMAC over the head and the account's digest, which is of one size for every name. */
static void mac_of(struct gh_slice key, struct gh_slice head, struct gh_slice account,
                   uint8_t mac[GH_SHA256_BYTES])
{
    uint8_t block[HEAD_BYTES + GH_SHA256_BYTES];

    assert(head.size == HEAD_BYTES);
    memcpy(block, head.data, HEAD_BYTES);
    gh_sha256(account, block + HEAD_BYTES);
    gh_hmac_sha256(key, gh_slice(block, sizeof block), mac);
}

void gh_browser_make(struct gh_slice key, struct gh_slice account,
                     const uint8_t nonce[GH_BROWSER_NONCE_BYTES], int64_t now_ms,
                     char out[GH_BROWSER_MAX])
{
    uint8_t block[BYTES], mac[GH_SHA256_BYTES];
    struct gh_buffer bytes = gh_buffer_fixed(block, sizeof block);
    struct gh_buffer text = gh_buffer_fixed(out, GH_BROWSER_MAX);

    gh_buffer_u64(&bytes, (uint64_t)(now_ms + (int64_t)GH_BROWSER_DAYS * DAY_MS));
    gh_buffer_put(&bytes, gh_slice(nonce, GH_BROWSER_NONCE_BYTES));
    mac_of(key, gh_buffer_slice(&bytes), account, mac);
    gh_buffer_put(&bytes, gh_slice(mac, sizeof mac));
    gh_base64_encode(gh_buffer_slice(&bytes), GH_BASE64_URL_NOPAD, &text);
    gh_buffer_u8(&text, '\0');
    assert(!bytes.overflow && !text.overflow && text.size == GH_BROWSER_MAX);
}

bool gh_browser_check(struct gh_slice key, struct gh_slice account, struct gh_slice text,
                      int64_t now_ms, uint8_t nonce[GH_BROWSER_NONCE_BYTES])
{
    uint8_t block[BYTES + 1] /* the decoder rounds up */, mac[GH_SHA256_BYTES];
    struct gh_buffer bytes = gh_buffer_fixed(block, sizeof block);
    struct gh_slice shown;
    uint64_t end_ms;

    if (text.size != GH_BROWSER_MAX - 1 || !gh_base64_decode(text, GH_BASE64_STRICT_URL, &bytes) ||
        bytes.size != BYTES)
        return false;
    struct gh_cursor at = gh_cursor(gh_buffer_slice(&bytes));
    mac_of(key, gh_slice(block, HEAD_BYTES), account, mac);
    if (!gh_cursor_u64(&at, &end_ms) || !gh_cursor_take(&at, GH_BROWSER_NONCE_BYTES, &shown) ||
        !gh_secret_equal(at.rest, gh_slice(mac, sizeof mac)) || end_ms <= (uint64_t)now_ms)
        return false;
    memcpy(nonce, shown.data, GH_BROWSER_NONCE_BYTES);
    return true;
}
