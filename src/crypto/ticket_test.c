#include "crypto/ticket.h"
#include "tests/check.h"
#include <string.h>

enum { LIFE_S = 1000 };

static int64_t now_s;

static int64_t clock_ms(void)
{
    return now_s * 1000;
}

/* ---- evidence */

static const uint8_t der[GH_TICKET_CHAIN_BYTES_MAX + 1] = {0x30};

static const struct {
    const char *claim;
    size_t count, size; /* of each */
    bool fits;
} chains[] = {
    {"nothing was shown", 0, 0, true},
    {"a leaf", 1, 600, true},
    {"as many as there may be", GH_TICKET_CHAIN_MAX, 100, true},
    {"one more", GH_TICKET_CHAIN_MAX + 1, 100, false},
    {"as large as it may be", 1, GH_TICKET_CHAIN_BYTES_MAX, true},
    {"one byte more", 1, GH_TICKET_CHAIN_BYTES_MAX + 1, false},
};

static void each_chain(void)
{
    static uint8_t block[GH_TICKET_CHAIN_BYTES_MAX + 64];
    for (size_t i = 0; i < GH_COUNT(chains); i++) {
        struct gh_slice chain[GH_TICKET_CHAIN_MAX + 1], read[GH_TICKET_CHAIN_MAX];
        struct gh_buffer out = gh_buffer_fixed(block, sizeof block);
        struct gh_evidence given = {12345, chain, chains[i].count}, got;
        for (size_t at = 0; at < chains[i].count; at++)
            chain[at] = gh_slice(der, chains[i].size);
        CHECK(chains[i].claim, gh_evidence_print(&given, &out) == chains[i].fits);
        if (!chains[i].fits)
            continue;
        CHECK(chains[i].claim, gh_evidence_read(gh_buffer_slice(&out), read, &got) &&
                                   got.proved_at_s == 12345 && got.count == given.count);
        for (size_t at = 0; at < got.count; at++)
            CHECK(chains[i].claim, gh_slice_equal(read[at], chain[at]));
        for (size_t cut = 0; cut < out.size; cut++)
            CHECK("cut", !gh_evidence_read(gh_slice(block, cut), read, &got));
        gh_buffer_u8(&out, 0);
        CHECK("one byte more", !gh_evidence_read(gh_buffer_slice(&out), read, &got));
        block[0] = 2;
        CHECK("another version", !gh_evidence_read(gh_buffer_slice(&out), read, &got));
    }
}

/* ---- how long */

static void life(void)
{
    const struct {
        const char *claim;
        int64_t proved_at_s, left_s;
    } rows[] = {
        {"just now", 50000, LIFE_S},     {"a while ago", 49600, 600},
        {"the last second", 49001, 1},   {"too long ago", 49000, 0},
        {"before the epoch", -50000, 0}, {"in the time to come", 50001, 0},
    };
    struct gh_tickets *tickets = gh_tickets_open(LIFE_S, clock_ms);
    now_s = 50000;
    for (size_t i = 0; i < GH_COUNT(rows); i++)
        CHECK(rows[i].claim, gh_tickets_left_s(tickets, rows[i].proved_at_s) == rows[i].left_s);
    gh_tickets_close(tickets);
}

/* ---- keys */

static void rotation(void)
{
    struct gh_tickets *tickets = gh_tickets_open(LIFE_S, clock_ms);
    struct gh_ticket_key first, now, found;
    REQUIRE("tickets", tickets != NULL);
    now_s = 50000;
    REQUIRE("a key", gh_tickets_current(tickets, &first));
    now_s += LIFE_S / 2;
    CHECK("the same for half a life",
          gh_tickets_current(tickets, &now) && memcmp(&now, &first, sizeof now) == 0);
    now_s += 1;
    CHECK("then another", gh_tickets_current(tickets, &now) &&
                              memcmp(now.name, first.name, sizeof now.name) != 0 &&
                              memcmp(now.cipher, first.cipher, sizeof now.cipher) != 0 &&
                              memcmp(now.mac, first.mac, sizeof now.mac) != 0);
    CHECK("the first still opens", gh_tickets_find(tickets, first.name, &found) &&
                                       memcmp(&found, &first, sizeof found) == 0);
    now_s = 50000 + LIFE_S / 2 + LIFE_S;
    CHECK("until its last ticket has run out",
          gh_tickets_find(tickets, first.name, &found) == true);
    REQUIRE("a third", gh_tickets_current(tickets, &now));
    now_s += 1;
    CHECK("and no longer", !gh_tickets_find(tickets, first.name, &found));
    now_s = 10;
    CHECK("a clock that was set back is no trouble", gh_tickets_current(tickets, &now));
    struct gh_tickets *others = gh_tickets_open(LIFE_S, clock_ms);
    CHECK("another server's", !gh_tickets_find(others, now.name, &found));
    gh_tickets_close(others);
    gh_tickets_close(tickets);
    gh_tickets_close(NULL);
}

static void envelope(void)
{
    struct gh_tickets *tickets = gh_tickets_open(LIFE_S, clock_ms);
    uint8_t block[256], again[256];
    struct gh_buffer out = gh_buffer_fixed(block, sizeof block),
                     other = gh_buffer_fixed(again, sizeof again),
                     none = gh_buffer_fixed(again, 40);
    struct gh_slice text = GH_SLICE("a session and its key");
    REQUIRE("sealed",
            gh_tickets_seal(tickets, text, &out) && gh_tickets_seal(tickets, text, &other));
    CHECK("name, IV, two blocks, MAC", out.size == 16 + 16 + 32 + 32);
    CHECK("nobody reads it", memmem(out.data, out.size, "session", 7) == NULL);
    CHECK("never the same twice",
          memcmp(out.data, other.data, 16) == 0 && memcmp(out.data + 16, other.data + 16, 80) != 0);
    CHECK("no room", !gh_tickets_seal(tickets, text, &none));
    gh_tickets_close(tickets);
}

int main(void)
{
    each_chain();
    life();
    rotation();
    envelope();
    return check_report();
}
