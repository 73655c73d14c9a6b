#include "crypto/digest.h"
#include "tests/check.h"
#include <string.h>

/* FIPS 180-4 examples as NIST publishes them, and RFC 4231 §4.2, §4.3, §4.7. */
static const struct {
    const char *claim, *text, *hex;
} digests[] = {
    {"the empty text", "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"one block", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"two blocks", "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

static const struct {
    const char *claim, *key, *text, *hex;
} macs[] = {
    {"RFC 4231 case 1",
     "\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b", "Hi There",
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    {"RFC 4231 case 2", "Jefe", "what do ya want for nothing?",
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {"an empty key is a key, and does not repeat the one before", "", "",
     "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"},
};

static void to_hex(const uint8_t digest[GH_SHA256_BYTES], char out[GH_SHA256_HEX_MAX])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < GH_SHA256_BYTES; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
    out[2 * GH_SHA256_BYTES] = '\0';
}

int main(void)
{
    char hex[GH_SHA256_HEX_MAX];
    uint8_t mac[GH_SHA256_BYTES];

    for (size_t i = 0; i < GH_COUNT(digests); i++)
        CHECK(digests[i].claim,
              strcmp(gh_sha256_hex(gh_slice_text(digests[i].text), hex), digests[i].hex) == 0);
    for (size_t i = 0; i < GH_COUNT(macs); i++) {
        gh_hmac_sha256(gh_slice_text(macs[i].key), gh_slice_text(macs[i].text), mac);
        to_hex(mac, hex);
        CHECK(macs[i].claim, strcmp(hex, macs[i].hex) == 0);
    }
    return check_report();
}
