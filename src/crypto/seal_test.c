#include "base/secret.h"
#include "crypto/seal.h"
#include "tests/check.h"
#include <string.h>

enum { ROOM = 256 };

static const uint8_t key[GH_SEAL_KEY_BYTES] = "the key of the test, 32 bytes!!!";
static const uint8_t other_key[GH_SEAL_KEY_BYTES] = "another key of the test, 32 b!!!";
static const uint8_t nonce[GH_SEAL_NONCE_BYTES] = "twelve bytes";
static const struct gh_seal_place here = {7, GH_SLICE_INIT("credential"),
                                          GH_SLICE_INIT("4711/sk-1")};

/* McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B, cases 13 and 14: key and
 * nonce of zeros. */
static void test_known_answers(void)
{
    static const uint8_t zeros[GH_SEAL_KEY_BYTES];
    static const struct {
        const char *claim;
        size_t size;
        const char *text;
    } rows[] = {
        {"GCM case 13: no text", 0,
         "\x53\x0f\x8a\xfb\xc7\x45\x36\xb9\xa9\x63\xb4\xf1\xc4\xcb\x73\x8b"},
        {"GCM case 14: one block of zeros", 16,
         "\xce\xa7\x40\x3d\x4d\x60\x6b\x6e\x07\x4e\xc5\xd3\xba\xf3\x9d\x18"
         "\xd0\xd1\xc8\xa7\x99\x99\x6b\xf0\x26\x5b\x98\xb5\xd4\x8a\xb9\x19"},
    };
    struct gh_seal_cipher cipher = gh_seal_cipher(zeros);
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        uint8_t out[32], back[17];
        size_t size = rows[i].size + GH_SEAL_TAG_BYTES;
        struct gh_slice zero_nonce = gh_slice(zeros, GH_SEAL_NONCE_BYTES), none = {0};
        CHECK(rows[i].claim,
              cipher.seal(cipher.context, zero_nonce, none, gh_slice(zeros, rows[i].size), out) &&
                  memcmp(out, rows[i].text, size) == 0);
        CHECK(rows[i].claim,
              cipher.open(cipher.context, zero_nonce, none, gh_slice(out, size), back) &&
                  memcmp(back, zeros, rows[i].size) == 0);
    }
}

static struct gh_slice seal(struct gh_slice plain, uint8_t block[ROOM])
{
    struct gh_buffer out = gh_buffer_fixed(block, ROOM);
    struct gh_seal_cipher cipher = gh_seal_cipher(key);
    REQUIRE("sealing", gh_seal(&cipher, 3, &here, nonce, plain, &out) == GH_SEAL_OK);
    return gh_buffer_slice(&out);
}

static enum gh_seal_status unseal(const uint8_t *with, const struct gh_seal_place *place,
                                  struct gh_slice sealed, struct gh_buffer *out)
{
    struct gh_seal_cipher cipher = gh_seal_cipher(with);
    return gh_unseal(&cipher, place, sealed, out);
}

static void test_places(void)
{
    const struct {
        const char *claim;
        const uint8_t *key;
        struct gh_seal_place place;
        enum gh_seal_status status;
    } rows[] = {
        {"opens in its place", key, here, GH_SEAL_OK},
        {"not with another key", other_key, here, GH_SEAL_REFUSED},
        {"not in another tenant", key, {8, here.field, here.row}, GH_SEAL_REFUSED},
        {"not in another field", key, {7, GH_SLICE_INIT("credentiam"), here.row}, GH_SEAL_REFUSED},
        {"not in another row", key, {7, here.field, GH_SLICE_INIT("4712/sk-1")}, GH_SEAL_REFUSED},
        {"names do not run into each other",
         key,
         {7, GH_SLICE_INIT("credential4"), GH_SLICE_INIT("711/sk-1")},
         GH_SEAL_REFUSED},
    };
    uint8_t block[ROOM], plain[ROOM];
    struct gh_slice text = GH_SLICE("a symmetric key"), sealed = seal(text, block);
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        struct gh_buffer out = gh_buffer_fixed(plain, sizeof plain);
        CHECK(rows[i].claim, unseal(rows[i].key, &rows[i].place, sealed, &out) == rows[i].status);
        CHECK(rows[i].claim,
              gh_slice_equal(gh_buffer_slice(&out),
                             rows[i].status == GH_SEAL_OK ? text : (struct gh_slice){0}));
    }
}

/* Every bit of a seal counts, and every prefix of it is refused. */
static void test_changes(void)
{
    uint8_t block[ROOM], plain[ROOM];
    struct gh_slice sealed = seal(GH_SLICE("secret"), block);
    struct gh_sealed read;
    CHECK("the key's number is read", gh_sealed_read(sealed, &read) == GH_SEAL_OK && read.key == 3);
    CHECK("the size is as written", sealed.size == 6 + GH_SEAL_EXTRA_BYTES);
    for (size_t bit = 0; bit < sealed.size * 8; bit++) {
        struct gh_buffer out = gh_buffer_fixed(plain, sizeof plain);
        block[bit / 8] ^= (uint8_t)(1u << bit % 8);
        enum gh_seal_status status = unseal(key, &here, sealed, &out);
        CHECK("a changed bit is seen",
              status == (bit < 16 ? GH_SEAL_UNKNOWN : GH_SEAL_REFUSED) && out.size == 0);
        block[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t size = 0; size < sealed.size; size++) {
        struct gh_buffer out = gh_buffer_fixed(plain, sizeof plain);
        enum gh_seal_status status = unseal(key, &here, gh_slice_sub(sealed, 0, size), &out);
        CHECK("a cut seal is refused",
              status == (size < GH_SEAL_EXTRA_BYTES ? GH_SEAL_MALFORMED : GH_SEAL_REFUSED) &&
                  out.size == 0);
    }
}

static void test_limits(void)
{
    static uint8_t large[GH_SEAL_TEXT_BYTES_MAX + 1], name[GH_SEAL_NAME_BYTES_MAX + 1];
    struct gh_seal_cipher cipher = gh_seal_cipher(key);
    struct gh_buffer out;
    struct gh_seal_place wide = {1, gh_slice(name, sizeof name - 1),
                                 gh_slice(name, sizeof name - 1)};
    struct gh_seal_place too_wide = {1, gh_slice(name, sizeof name), here.row};
    gh_buffer_init(&out, 2 * sizeof large);
    CHECK("the longest text and names",
          gh_seal(&cipher, 1, &wide, nonce, gh_slice(large, sizeof large - 1), &out) == GH_SEAL_OK);
    CHECK("one byte more of text",
          gh_seal(&cipher, 1, &wide, nonce, gh_slice(large, sizeof large), &out) == GH_SEAL_FAILED);
    CHECK("one byte more of a name",
          gh_seal(&cipher, 1, &too_wide, nonce, GH_SLICE("x"), &out) == GH_SEAL_FAILED);
    gh_buffer_deinit(&out);
    uint8_t block[ROOM], small[4];
    struct gh_slice sealed = seal((struct gh_slice){0}, block);
    out = gh_buffer_fixed(small, sizeof small);
    CHECK("an empty text", unseal(key, &here, sealed, &out) == GH_SEAL_OK && out.size == 0);
    sealed = seal(GH_SLICE("longer than four"), block);
    CHECK("no room", unseal(key, &here, sealed, &out) == GH_SEAL_FAILED && out.size == 0);
}

int main(void)
{
    test_known_answers();
    test_places();
    test_changes();
    test_limits();
    return check_report();
}
