/* Changes in the journal of sessions: written, read, refused. */
#include "route/journal.h"
#include "tests/check.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct gh_journal_change changes[] = {
    {.kind = GH_JOURNAL_SESSION,
     .session = 3,
     .tenant = 7,
     .device = 9,
     .client_id = GH_SLICE_INIT("bob"),
     .expiry_s = UINT32_MAX,
     .sequence_next = 12,
     .at_ms = 5},
    {.kind = GH_JOURNAL_SESSION,
     .session = UINT64_MAX,
     .client_id = GH_SLICE_INIT(""),
     .has_will = true,
     .will = {.topic = GH_SLICE_INIT("gone"),
              .properties = GH_SLICE_INIT("\x01"),
              .payload = GH_SLICE_INIT("bye"),
              .delay_s = 5,
              .expiry_s = 6,
              .has_expiry = true,
              .retain = true,
              .qos = 2}},
    {.kind = GH_JOURNAL_SESSION_GONE, .session = 3},
    {.kind = GH_JOURNAL_DETACHED, .session = 3, .at_ms = INT64_MAX},
    {.kind = GH_JOURNAL_FILTER,
     .session = 3,
     .filter = GH_SLICE_INIT("$share/g/a/#"),
     .options = 0x0e,
     .identifier = 268435455},
    {.kind = GH_JOURNAL_FILTER_GONE, .session = 3, .filter = GH_SLICE_INIT("a")},
    {.kind = GH_JOURNAL_DONE, .session = 3, .sequence = UINT64_MAX},
    {.kind = GH_JOURNAL_RECEIVED, .session = 3, .sequence = 1},
    {.kind = GH_JOURNAL_TAKEN, .session = 3, .packet_id = 65535},
    {.kind = GH_JOURNAL_RELEASED, .session = 3, .packet_id = 1},
    {.kind = GH_JOURNAL_RETAINED_GONE, .tenant = 7, .filter = GH_SLICE_INIT("a/b")},
};

static bool same(const struct gh_journal_change *a, const struct gh_journal_change *b)
{
    const struct gh_journal_will *will = &a->will, *other = &b->will;
    return a->kind == b->kind && a->session == b->session && a->tenant == b->tenant &&
           a->device == b->device && gh_slice_equal(a->client_id, b->client_id) &&
           a->expiry_s == b->expiry_s && a->sequence_next == b->sequence_next &&
           a->has_will == b->has_will && a->at_ms == b->at_ms &&
           gh_slice_equal(a->filter, b->filter) && a->options == b->options &&
           a->identifier == b->identifier && a->sequence == b->sequence &&
           a->packet_id == b->packet_id && gh_slice_equal(will->topic, other->topic) &&
           gh_slice_equal(will->properties, other->properties) &&
           gh_slice_equal(will->payload, other->payload) && will->delay_s == other->delay_s &&
           will->expiry_s == other->expiry_s && will->has_expiry == other->has_expiry &&
           will->retain == other->retain && will->qos == other->qos;
}

static void test_each(void)
{
    for (size_t i = 0; i < GH_COUNT(changes); i++) {
        char claim[32];
        struct gh_journal_change read;
        struct gh_buffer out;
        snprintf(claim, sizeof claim, "change %zu", i);
        gh_buffer_init(&out, 1024);
        REQUIRE(claim, gh_journal_write(&out, &changes[i]));
        for (size_t size = 1; size <= out.size; size++) {
            uint8_t *block = malloc(size);
            REQUIRE("memory", block != NULL);
            memcpy(block, out.data, size);
            struct gh_slice at = gh_slice(block, size);
            enum gh_journal_read wanted =
                size == out.size ? GH_JOURNAL_CHANGE : GH_JOURNAL_MALFORMED;
            CHECK(claim, gh_journal_next(&at, &read) == wanted);
            if (size == out.size) {
                CHECK(claim, same(&read, &changes[i]));
                CHECK(claim, gh_journal_next(&at, &read) == GH_JOURNAL_END);
            }
            free(block);
        }
        for (size_t room = 0; room < out.size; room++) {
            uint8_t block[256];
            struct gh_buffer small = gh_buffer_fixed(block, room);
            CHECK(claim, !gh_journal_write(&small, &changes[i]) && small.overflow);
        }
        gh_buffer_deinit(&out);
    }
}

static void test_run(void)
{
    struct gh_journal_change read;
    struct gh_buffer out;
    size_t count = 0;
    gh_buffer_init(&out, 4096);
    for (size_t i = 0; i < GH_COUNT(changes); i++)
        REQUIRE("room", gh_journal_write(&out, &changes[i]));
    for (struct gh_slice at = gh_buffer_slice(&out);
         gh_journal_next(&at, &read) == GH_JOURNAL_CHANGE; count++)
        CHECK("one after the other", same(&read, &changes[count]));
    CHECK("all", count == GH_COUNT(changes));
    gh_buffer_deinit(&out);
}

static void test_refused(void)
{
    static const struct {
        const char *claim;
        struct gh_slice bytes;
    } rows[] = {
        {"no kind", GH_SLICE_INIT("\x00\x00\x00\x00\x00\x00\x00\x00\x01")},
        {"a kind of tomorrow", GH_SLICE_INIT("\x0b\x00\x00\x00\x00\x00\x00\x00\x01")},
        {"DONE of number 0", GH_SLICE_INIT("\x06\x00\x00\x00\x00\x00\x00\x00\x01"
                                           "\x00\x00\x00\x00\x00\x00\x00\x00")},
        {"a time before 1970", GH_SLICE_INIT("\x03\x00\x00\x00\x00\x00\x00\x00\x01"
                                             "\x80\x00\x00\x00\x00\x00\x00\x00")},
    };
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        struct gh_journal_change read;
        struct gh_slice at = rows[i].bytes;
        CHECK(rows[i].claim, gh_journal_next(&at, &read) == GH_JOURNAL_MALFORMED);
        CHECK("nothing is consumed", at.size == rows[i].bytes.size);
    }
}

int main(void)
{
    test_each();
    test_run();
    test_refused();
    return check_report();
}
