#include "crypto/digest.h"
#include "tests/check.h"
#include <string.h>

#define FIVE(text) text text text text text
#define TWENTY(text) FIVE(text) FIVE(text) FIVE(text) FIVE(text)
#define EIGHTY_AA TWENTY("\xaa\xaa\xaa\xaa")
#define AA_131 EIGHTY_AA TWENTY("\xaa\xaa") "\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa"
#define LARGER "Test Using Larger Than Block-Size Key - Hash Key First"

/* FIPS 180-4 examples as NIST publishes them. */
static const struct {
    const char *claim;
    enum gh_digest digest;
    const char *text, *hex;
} digests[] = {
    {"SHA-256 of the empty text", GH_DIGEST_SHA256, "",
     "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"SHA-256, one block", GH_DIGEST_SHA256, "abc",
     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"SHA-256, two blocks", GH_DIGEST_SHA256,
     "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {"SHA-384, one block", GH_DIGEST_SHA384, "abc",
     "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
     "8086072ba1e7cc2358baeca134c825a7"},
    {"SHA-1, one block", GH_DIGEST_SHA1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
};

/* RFC 4231 §4.2, §4.3 and §4.7, RFC 2202 §3. */
static const struct {
    const char *claim;
    enum gh_digest digest;
    const char *key, *text, *hex;
} macs[] = {
    {"SHA-256, RFC 4231 case 1", GH_DIGEST_SHA256, TWENTY("\x0b"), "Hi There",
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    {"SHA-256, RFC 4231 case 2", GH_DIGEST_SHA256, "Jefe", "what do ya want for nothing?",
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {"SHA-256, a key of more than a block", GH_DIGEST_SHA256, AA_131, LARGER,
     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    {"SHA-256, an empty key is a key, and does not repeat the one before", GH_DIGEST_SHA256, "", "",
     "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"},
    {"SHA-384, RFC 4231 case 1", GH_DIGEST_SHA384, TWENTY("\x0b"), "Hi There",
     "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59c"
     "faea9ea9076ede7f4af152e8b2fa9cb6"},
    {"SHA-384, RFC 4231 case 2", GH_DIGEST_SHA384, "Jefe", "what do ya want for nothing?",
     "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e"
     "8e2240ca5e69e2c78b3239ecfab21649"},
    {"SHA-384, a key of more than a block", GH_DIGEST_SHA384, AA_131, LARGER,
     "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c6"
     "0c2ef6ab4030fe8296248df163f44952"},
    {"SHA-1, RFC 2202 case 1", GH_DIGEST_SHA1, TWENTY("\x0b"), "Hi There",
     "b617318655057264e28bc0b6fb378c8ef146be00"},
    {"SHA-1, a key of more than a block", GH_DIGEST_SHA1, EIGHTY_AA, LARGER,
     "aa4ae5e15272d00e95705637ce8a3b55ed402112"},
};

static bool is_hex(const uint8_t *bytes, size_t size, const char *hex)
{
    static const char digits[] = "0123456789abcdef";
    bool same = strlen(hex) == 2 * size;
    for (size_t i = 0; same && i < size; i++)
        same = hex[2 * i] == digits[bytes[i] >> 4] && hex[2 * i + 1] == digits[bytes[i] & 15];
    return same;
}

static void named(void)
{
    char hex[GH_SHA256_HEX_MAX];
    uint8_t out[GH_DIGEST_BYTES_MAX];
    CHECK("SHA-256 in hex", strcmp(gh_sha256_hex(GH_SLICE("abc"), hex), digests[1].hex) == 0);
    gh_sha1(GH_SLICE("abc"), out);
    CHECK("SHA-1 by name", is_hex(out, GH_SHA1_BYTES, digests[4].hex));
    gh_hmac_sha256(gh_slice_text(macs[1].key), gh_slice_text(macs[1].text), out);
    CHECK("HMAC-SHA-256 by name", is_hex(out, GH_SHA256_BYTES, macs[1].hex));
    gh_hmac_sha1(gh_slice_text(macs[7].key), gh_slice_text(macs[7].text), out);
    CHECK("HMAC-SHA-1 by name", is_hex(out, GH_SHA1_BYTES, macs[7].hex));
}

int main(void)
{
    uint8_t out[GH_DIGEST_BYTES_MAX];

    for (size_t i = 0; i < GH_COUNT(digests); i++) {
        gh_digest(digests[i].digest, gh_slice_text(digests[i].text), out);
        CHECK(digests[i].claim, is_hex(out, gh_digest_bytes(digests[i].digest), digests[i].hex));
    }
    for (size_t i = 0; i < GH_COUNT(macs); i++) {
        gh_hmac(macs[i].digest, gh_slice_text(macs[i].key), gh_slice_text(macs[i].text), out);
        CHECK(macs[i].claim, is_hex(out, gh_digest_bytes(macs[i].digest), macs[i].hex));
    }
    named();
    return check_report();
}
