#include "tests/check.h"
#include "wire/cbor.h"
#include "wire/cose.h"
#include <string.h>

/* RFC 8949 appendix A, and what is not taken. */
static const struct {
    const char *claim, *wire;
    size_t size;
    bool read;
    enum gh_cbor_kind kind;
    uint64_t value;
} heads[] = {
    {"0", "\x00", 1, true, GH_CBOR_UNSIGNED, 0},
    {"23", "\x17", 1, true, GH_CBOR_UNSIGNED, 23},
    {"24", "\x18\x18", 2, true, GH_CBOR_UNSIGNED, 24},
    {"1000", "\x19\x03\xe8", 3, true, GH_CBOR_UNSIGNED, 1000},
    {"2^64 - 1", "\x1b\xff\xff\xff\xff\xff\xff\xff\xff", 9, true, GH_CBOR_UNSIGNED, UINT64_MAX},
    {"-1", "\x20", 1, true, GH_CBOR_NEGATIVE, 0},
    {"-1000", "\x39\x03\xe7", 3, true, GH_CBOR_NEGATIVE, 999},
    {"h'01020304'", "\x44\x01\x02\x03\x04", 5, true, GH_CBOR_BYTES, 4},
    {"\"IETF\"", "\x64IETF", 5, true, GH_CBOR_TEXT, 4},
    {"[1]", "\x81\x01", 2, true, GH_CBOR_ARRAY, 1},
    {"{1: 2}", "\xa1\x01\x02", 3, true, GH_CBOR_MAP, 1},
    {"true", "\xf5", 1, true, GH_CBOR_SIMPLE, 21},
    {"nothing", "", 0, false, 0, 0},
    {"a length that is cut", "\x19\x03", 2, false, 0, 0},
    {"bytes that are cut", "\x44\x01\x02\x03", 4, false, 0, 0},
    {"bytes of 2^64 - 1", "\x5b\xff\xff\xff\xff\xff\xff\xff\xff", 9, false, 0, 0},
    {"an array of more than there is", "\x9a\xff\xff\xff\xff\x00", 6, false, 0, 0},
    {"a map of more than there is", "\xa1\x01", 2, false, 0, 0},
    {"a reserved length", "\x1c", 1, false, 0, 0},
    {"bytes without a length", "\x5f\x41\x01\xff", 4, false, 0, 0},
    {"a tag", "\xc0\x00", 2, false, 0, 0},
    {"a float", "\xf9\x00\x00", 3, false, 0, 0},
};

static const struct {
    const char *claim, *wire;
    size_t size, left;
    bool passed;
} skips[] = {
    {"a number", "\x01\x02", 2, 1, true},
    {"nested", "\x82\x81\x01\xa1\x01\x02\x03", 7, 1, true},
    {"empty ones", "\x82\x80\xa0\x00", 4, 1, true},
    {"eight deep", "\x81\x81\x81\x81\x81\x81\x81\x01", 8, 0, true},
    {"nine deep", "\x81\x81\x81\x81\x81\x81\x81\x81\x01", 9, 0, false},
    {"one item short", "\x82\x01", 2, 0, false},
};

#define X32 "0123456789abcdef0123456789abcdef"
static const struct {
    const char *claim, *wire;
    size_t size;
    bool read;
} keys[] = {
    {"ES256", "\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20" X32 "\x22\x58\x20" X32, 77, true},
    {"EdDSA", "\xa4\x01\x01\x03\x27\x20\x06\x21\x58\x20" X32, 42, true},
    {"EdDSA in another order", "\xa4\x03\x27\x01\x01\x20\x06\x21\x58\x20" X32, 42, true},
    {"without its y", "\xa4\x01\x02\x03\x26\x20\x01\x21\x58\x20" X32, 42, false},
    {"EdDSA over P-256", "\xa4\x01\x01\x03\x27\x20\x01\x21\x58\x20" X32, 42, false},
    {"ES384", "\xa5\x01\x02\x03\x38\x22\x20\x02\x21\x58\x20" X32 "\x22\x58\x20" X32, 78, false},
    {"an x of 31 bytes", "\xa4\x01\x01\x03\x27\x20\x06\x21\x58\x1f" X32, 42, false},
    {"a label twice", "\xa5\x01\x01\x01\x01\x03\x27\x20\x06\x21\x58\x20" X32, 44, false},
    {"a private member", "\xa5\x01\x01\x03\x27\x20\x06\x21\x58\x20" X32 "\x23\x41\x01", 45, false},
    {"no map", "\x84\x01\x01\x03\x27", 5, false},
};

int main(void)
{
    for (size_t i = 0; i < GH_COUNT(heads); i++) {
        struct gh_cursor at = gh_cursor(gh_slice(heads[i].wire, heads[i].size));
        struct gh_cbor_item item;
        bool read = gh_cbor_read(&at, &item);
        CHECK(heads[i].claim, read == heads[i].read);
        if (read)
            CHECK(heads[i].claim, item.kind == heads[i].kind && item.value == heads[i].value);
    }
    for (size_t i = 0; i < GH_COUNT(skips); i++) {
        struct gh_cursor at = gh_cursor(gh_slice(skips[i].wire, skips[i].size));
        bool passed = gh_cbor_skip(&at);
        CHECK(skips[i].claim, passed == skips[i].passed);
        CHECK(skips[i].claim, !passed || gh_cursor_left(&at) == skips[i].left);
    }
    for (size_t i = 0; i < GH_COUNT(keys); i++) {
        struct gh_cose_key key;
        struct gh_slice wire = gh_slice(keys[i].wire, keys[i].size);
        struct gh_cursor at = gh_cursor(wire);
        CHECK(keys[i].claim, gh_cose_key_read(&at, &key) == keys[i].read);
        for (size_t cut = 0; cut < wire.size; cut++) {
            at = gh_cursor(gh_slice(wire.data, cut));
            CHECK("cut", !gh_cose_key_read(&at, &key));
        }
    }
    return check_report();
}
