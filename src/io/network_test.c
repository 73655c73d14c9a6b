#include "io/network.h"
#include "tests/check.h"
#include <stdio.h>
#include <string.h>

static const struct {
    const char *network, *address; /* the address NULL: the network is refused */
    bool has;
} cases[] = {
    {"10.0.0.0/8", "10.255.0.1:1", true},
    {"10.0.0.0/8", "11.0.0.1:1", false},
    {"192.0.2.128/25", "192.0.2.128:1", true},
    {"192.0.2.128/25", "192.0.2.127:1", false},
    {"192.0.2.1", "192.0.2.1:9", true},
    {"192.0.2.1", "192.0.2.2:9", false},
    {"0.0.0.0/0", "203.0.113.9:1", true},
    {"0.0.0.0/0", "[::1]:1", false},
    {"0.0.0.0/0", "/run/x", false},
    {"::/0", "[2001:db8::1]:1", true},
    {"::/0", "127.0.0.1:1", false},
    {"2001:db8::/32", "[2001:db8:ffff::1]:1", true},
    {"2001:db8::/32", "[2001:db9::1]:1", false},
    {"2001:db8:8000::/33", "[2001:db8:7fff::1]:1", false},
    {"::1", "[::1]:1", true},
    {"10.0.0.1/8", NULL, false},
    {"2001:db8::1/64", NULL, false},
    {"10.0.0.0/33", NULL, false},
    {"::/129", NULL, false},
    {"10.0.0.0/", NULL, false},
    {"10.0.0.0/-1", NULL, false},
    {"10.0.0.0/8/8", NULL, false},
    {"10.0.0", NULL, false},
    {"", NULL, false},
    {"localhost", NULL, false},
};

static void each_network(void)
{
    for (size_t i = 0; i < GH_COUNT(cases); i++) {
        struct gh_network network;
        struct gh_address address;
        bool valid = gh_network_parse(cases[i].network, &network);
        CHECK(cases[i].network, valid == (cases[i].address != NULL));
        if (!valid || cases[i].address == NULL)
            continue;
        REQUIRE("an address", gh_address_parse(cases[i].address, &address));
        CHECK(cases[i].address, gh_network_has(&network, &address) == cases[i].has);
    }
}

static void from_bytes(void)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *printed; /* NULL: refused */
    } rows[] = {
        {"\xc0\x00\x02\x01", 4, "192.0.2.1:7"},
        {"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07", 16, "[2001:db8::7]:7"},
        {"\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x01", 16, "192.0.2.1:7"},
        {"", 0, NULL},
        {"\1\2\3", 3, NULL},
    };
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        struct gh_address address;
        char text[GH_ADDRESS_TEXT_MAX];
        bool set = gh_address_set(gh_slice(rows[i].bytes, rows[i].size), 7, &address);
        CHECK("taken or not", set == (rows[i].printed != NULL));
        if (set && rows[i].printed != NULL)
            CHECK(rows[i].printed, strcmp(gh_address_print(&address, text), rows[i].printed) == 0);
    }
}

int main(void)
{
    each_network();
    from_bytes();
    return check_report();
}
