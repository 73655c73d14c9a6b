#include "base/buffer.h"
#include "base/hash.h"
#include "tests/check.h"
#include "wire/proxy.h"
#include <stdlib.h>
#include <string.h>

enum { SIZE_MAX_HERE = 300 };

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define IP4                                                                                        \
    "\xc0\x00\x02\x01\x0a\x00\x00\x01\xcb\xa1\x22\xb3" /* 192.0.2.1:52129 to 10.0.0.1:8883 */
#define IP6                                                                                        \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"                                                   \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\xcb\xa1\x22\xb3"
#define ADDRESS6 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"
#define TEN "0123456789"
#define PATHS                                                                                      \
    "/run/a.sock" TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN  \
    "12345"

/* Bytes written out from the specification, §2.2. */
static const struct {
    const char *claim;
    const char *wire;
    size_t size;
    enum gh_proxy_status status;
    enum gh_proxy_family family;
    const char *address;
    size_t address_size;
    uint16_t port;
} cases[] = {
#define WIRE(text) text, sizeof(text) - 1
    {"TCP over IPv4", WIRE(SIGNATURE "\x21\x11\x00\x0c" IP4), GH_PROXY_OK, GH_PROXY_IP4,
     WIRE("\xc0\x00\x02\x01"), 52129},
    {"TCP over IPv6", WIRE(SIGNATURE "\x21\x21\x00\x24" IP6), GH_PROXY_OK, GH_PROXY_IP6,
     WIRE(ADDRESS6), 52129},
    {"a Unix socket", WIRE(SIGNATURE "\x21\x31\x00\xd8" PATHS), GH_PROXY_OK, GH_PROXY_UNIX,
     WIRE(""), 0},
    {"LOCAL has no address", WIRE(SIGNATURE "\x20\x00\x00\x00"), GH_PROXY_OK, GH_PROXY_UNKNOWN,
     WIRE(""), 0},
    {"what LOCAL says of an address is passed over", WIRE(SIGNATURE "\x20\x11\x00\x0c" IP4),
     GH_PROXY_OK, GH_PROXY_UNKNOWN, WIRE(""), 0},
    {"a family that is not told", WIRE(SIGNATURE "\x21\x00\x00\x03xyz"), GH_PROXY_OK,
     GH_PROXY_UNKNOWN, WIRE(""), 0},
    {"values behind the address",
     WIRE(SIGNATURE "\x21\x11\x00\x14" IP4 "\x04\x00\x01z\xea\x00\x01v"), GH_PROXY_OK, GH_PROXY_IP4,
     WIRE("\xc0\x00\x02\x01"), 52129},
    {"a value that is cut", WIRE(SIGNATURE "\x21\x11\x00\x10" IP4 "\x04\x00\x02z"),
     GH_PROXY_REFUSED, 0, WIRE(""), 0},
    {"half a value's head", WIRE(SIGNATURE "\x21\x11\x00\x0e" IP4 "\x04\x00"), GH_PROXY_REFUSED, 0,
     WIRE(""), 0},
    {"a checksum of two bytes", WIRE(SIGNATURE "\x21\x11\x00\x11" IP4 "\x03\x00\x02zz"),
     GH_PROXY_REFUSED, 0, WIRE(""), 0},
    {"an address that is cut",
     WIRE(SIGNATURE "\x21\x11\x00\x0b"
                    "\xc0\0\2\1\x0a\0\0\1\xcb\xa1\x22"),
     GH_PROXY_REFUSED, 0, WIRE(""), 0},
    {"a datagram", WIRE(SIGNATURE "\x21\x12\x00\x0c" IP4), GH_PROXY_REFUSED, 0, WIRE(""), 0},
    {"an unknown family", WIRE(SIGNATURE "\x21\x41\x00\x0c" IP4), GH_PROXY_REFUSED, 0, WIRE(""), 0},
    {"an unknown command", WIRE(SIGNATURE "\x22\x11\x00\x0c" IP4), GH_PROXY_REFUSED, 0, WIRE(""),
     0},
    {"version 1 in binary", WIRE(SIGNATURE "\x11\x11\x00\x0c" IP4), GH_PROXY_REFUSED, 0, WIRE(""),
     0},
    {"version 1", WIRE("PROXY TCP4 192.0.2.1 10.0.0.1 52129 8883\r\n"), GH_PROXY_REFUSED, 0,
     WIRE(""), 0},
    {"TLS without a header", WIRE("\x16\x03\x01"), GH_PROXY_REFUSED, 0, WIRE(""), 0},
    {"above the limit, known before the block", WIRE(SIGNATURE "\x21\x11\x01\x1d"),
     GH_PROXY_REFUSED, 0, WIRE(""), 0},
    {"the limit", WIRE(SIGNATURE "\x21\x11\x01\x1c"), GH_PROXY_MORE, 0, WIRE(""), 0},
#undef WIRE
};

/* In a block of its own, so that a byte read too far is seen. */
static enum gh_proxy_status read_cut(struct gh_slice wire, size_t size, struct gh_proxy_header *out,
                                     uint8_t **block)
{
    *block = malloc(size + (size == 0));
    REQUIRE("memory", *block != NULL);
    memcpy(*block, wire.data, size);
    return gh_proxy_read(gh_slice(*block, size), SIZE_MAX_HERE, out);
}

static void check_cases(void)
{
    for (size_t i = 0; i < GH_COUNT(cases); i++) {
        struct gh_slice wire = gh_slice(cases[i].wire, cases[i].size);
        struct gh_proxy_header header;
        uint8_t *block;
        enum gh_proxy_status status = read_cut(wire, wire.size, &header, &block);
        CHECK(cases[i].claim, status == cases[i].status);
        CHECK(cases[i].claim, (header.why != NULL) == (status == GH_PROXY_REFUSED));
        if (status == GH_PROXY_OK) {
            CHECK(cases[i].claim, header.size == wire.size && header.family == cases[i].family);
            CHECK(cases[i].claim, header.port == cases[i].port);
            CHECK(cases[i].claim, gh_slice_equal(header.address, gh_slice(cases[i].address,
                                                                          cases[i].address_size)));
        }
        free(block);
        for (size_t cut = 0; status == GH_PROXY_OK && cut < wire.size; cut++) {
            CHECK("every prefix waits for the rest",
                  read_cut(wire, cut, &header, &block) == GH_PROXY_MORE);
            free(block);
        }
    }
}

/* The checksum is taken when it is right; a bit changed anywhere refuses the header. */
static void check_checksum(void)
{
    static const char text[] = SIGNATURE "\x21\x11\x00\x17" IP4 "\xea\x00\x01v\x03\x00\x04\0\0\0\0";
    uint8_t wire[sizeof text - 1];
    struct gh_proxy_header header;
    memcpy(wire, text, sizeof wire);
    uint32_t crc = gh_hash_crc32c(0, gh_slice(wire, sizeof wire));
    for (size_t i = 0; i < 4; i++)
        wire[sizeof wire - 4 + i] = (uint8_t)(crc >> (24 - 8 * i));
    struct gh_slice whole = gh_slice(wire, sizeof wire);
    CHECK("right", gh_proxy_read(whole, SIZE_MAX_HERE, &header) == GH_PROXY_OK);
    for (size_t i = 16; i < 28; i++) { /* the addresses */
        wire[i] ^= 0x10;
        CHECK("changed", gh_proxy_read(whole, SIZE_MAX_HERE, &header) == GH_PROXY_REFUSED);
        wire[i] ^= 0x10;
    }
    wire[sizeof wire - 1] ^= 1;
    CHECK("wrong", gh_proxy_read(whole, SIZE_MAX_HERE, &header) == GH_PROXY_REFUSED);
}

int main(void)
{
    check_cases();
    check_checksum();
    return check_report();
}
