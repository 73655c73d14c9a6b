/* Records of messages: written, read, refused. */
#include "route/message.h"
#include "tests/check.h"
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *claim;
    struct gh_route_draft draft;
    struct gh_route_target targets[3];
    size_t targets_count;
} cases[] = {
    {"the least", {.topic = GH_SLICE_INIT("t")}, {{0}}, 0},
    {"QoS 2 of a publisher who is taken note of",
     {.tenant = 7,
      .topic = GH_SLICE_INIT("a/b"),
      .payload = GH_SLICE_INIT("hello"),
      .qos = 2,
      .published_at_ms = 1000,
      .expires_at_ms = 2000,
      .publisher = 9,
      .packet_id = 77},
     {{1, 5, 2}},
     1},
    {"a retained one with properties and targets",
     {.tenant = INT64_MAX,
      .topic = GH_SLICE_INIT("a"),
      .properties = GH_SLICE_INIT("\x03\x00\x01x"),
      .payload = GH_SLICE_INIT(""),
      .qos = 1,
      .retained = true},
     {{1, 5, 1 | GH_TARGET_RETAIN}, {2, 1, 0}, {UINT64_MAX, UINT64_MAX, 2 | GH_TARGET_SHARED}},
     3},
};

static bool same(const struct gh_route_message *a, const struct gh_route_message *b)
{
    return a->qos == b->qos && a->retained == b->retained && a->tenant == b->tenant &&
           a->published_at_ms == b->published_at_ms && a->expires_at_ms == b->expires_at_ms &&
           a->publisher == b->publisher && a->packet_id == b->packet_id &&
           gh_slice_equal(a->topic, b->topic) && gh_slice_equal(a->properties, b->properties) &&
           gh_slice_equal(a->payload, b->payload);
}

/* Every prefix, in a block of its own so that a read past the end is seen, and one byte more. */
static void check_sizes(const char *claim, struct gh_slice record)
{
    struct gh_route_message read;
    for (size_t size = 0; size <= record.size + 1; size++) {
        uint8_t *block = calloc(size + (size == 0), 1);
        REQUIRE("memory", block != NULL);
        memcpy(block, record.data, size < record.size ? size : record.size);
        CHECK(claim, gh_route_message_read(gh_slice(block, size), &read) == (size == record.size));
        free(block);
    }
}

static void test_round_trip(void)
{
    for (size_t i = 0; i < GH_COUNT(cases); i++) {
        const char *claim = cases[i].claim;
        struct gh_route_message read;
        struct gh_route_target target;
        struct gh_route_draft draft = cases[i].draft;
        size_t count = 0;
        draft.recorded = true;
        draft.targets_max = cases[i].targets_count;
        struct gh_route_message *made = gh_route_message_new(&draft);
        REQUIRE(claim, made != NULL);
        for (size_t t = 0; t < cases[i].targets_count; t++)
            gh_route_message_add(made, &cases[i].targets[t]);
        CHECK(claim, made->size == made->capacity);
        REQUIRE(claim, gh_route_message_read(gh_route_message_record(made), &read));
        CHECK(claim, same(made, &read));
        for (struct gh_slice at = read.targets; gh_route_target_next(&at, &target); count++)
            CHECK(claim, target.session == cases[i].targets[count].session &&
                             target.sequence == cases[i].targets[count].sequence &&
                             target.flags == cases[i].targets[count].flags);
        CHECK(claim, count == cases[i].targets_count && gh_route_targets_count(&read) == count);
        struct gh_route_message *copy = gh_route_message_copy(&read);
        REQUIRE(claim, copy != NULL);
        CHECK(claim, same(copy, &read) && gh_route_targets_count(copy) == 0);
        CHECK(claim, copy->capacity == read.topic.size + read.properties.size + read.payload.size);
        gh_route_message_no_longer_retained(copy);
        CHECK(claim, !copy->retained);
        check_sizes(claim, gh_route_message_record(made));
        gh_route_message_no_longer_retained(made);
        REQUIRE(claim, gh_route_message_read(gh_route_message_record(made), &read));
        CHECK(claim, !read.retained && read.qos == made->qos);
        gh_route_message_unref(copy);
        gh_route_message_unref(gh_route_message_ref(made));
        gh_route_message_unref(made);
    }
}

/* The last reference frees the block, whoever made the others and however many go at once. */
static void test_shares(void)
{
    enum { SHARES = 3 };
    struct gh_route_draft draft = {.topic = GH_SLICE("a/b"), .shares = SHARES};
    struct gh_route_message *made = gh_route_message_new(&draft);
    REQUIRE("a message with shares", made != NULL);
    CHECK("one for the maker and one for each receiver", atomic_load(&made->refs) == 1 + SHARES);
    gh_route_message_unref_many(made, SHARES);
    CHECK("what is left still holds it",
          atomic_load(&made->refs) == 1 && gh_slice_equal(made->topic, GH_SLICE("a/b")));
    gh_route_message_unref(made);
}

enum { FROM_END = 1000 }; /* and more: counted back from the last byte */

/* One byte of a good record is changed. */
static void test_refused(void)
{
    static const struct {
        const char *claim;
        size_t at;
        uint8_t value;
    } rows[] = {
        {"another version", 0, 2},
        {"QoS 3", 1, 3},
        {"a flag that is not", 1, 8},
        {"a time before 1970", 10, 0x80},
        {"an expiry before it", 18, 0x80},
        {"a target at QoS 3", FROM_END, 3},
        {"a target without number", FROM_END + 1, 0},
    };
    struct gh_route_draft draft = {
        .topic = GH_SLICE("t"), .payload = GH_SLICE("x"), .recorded = true, .targets_max = 1};
    struct gh_route_message read, *made = gh_route_message_new(&draft);
    REQUIRE("a message", made != NULL);
    gh_route_message_add(made, &(struct gh_route_target){1, 1, 1});
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        size_t at = rows[i].at < FROM_END ? rows[i].at : made->size - 1 - (rows[i].at - FROM_END);
        uint8_t before = made->record[at];
        made->record[at] = rows[i].value;
        CHECK(rows[i].claim, !gh_route_message_read(gh_route_message_record(made), &read));
        made->record[at] = before;
        CHECK(rows[i].claim, gh_route_message_read(gh_route_message_record(made), &read));
    }
    gh_route_message_unref(made);
}

int main(void)
{
    test_round_trip();
    test_shares();
    test_refused();
    return check_report();
}
