#include "dialect/google/protobuf_internal.h"
#include "google.pb-c.h"
#include "tests/check.h"
#include <stdio.h>
#include <string.h>

/* Wire bytes by hand, from protobuf's description of its encoding: tag = number << 3 | wire type.
 */
static const struct {
    const char *claim;
    const ProtobufCMessageDescriptor *type;
    struct gh_slice bytes;
    const char *json; /* NULL: refused */
    enum gh_error_code code;
    bool one_way; /* it is written otherwise: in order, without defaults */
} rows[] = {
    {"nothing", &google__pull_request__descriptor, GH_SLICE_INIT(""), "{}", GH_OK, false},
    {"a text", &google__name_request__descriptor, GH_SLICE_INIT("\x0a\x02hi"), "{\"name\":\"hi\"}",
     GH_OK, false},
    {"a text with a NUL", &google__name_request__descriptor, GH_SLICE_INIT("\x0a\x03h\0i"), NULL,
     GH_ERROR_INVALID, false},
    {"a NUL in an inner text", &google__publish_request__descriptor,
     GH_SLICE_INIT("\x12\x05\x2a\x03k\0k"), NULL, GH_ERROR_INVALID, false},
    {"a NUL in a map", &google__publish_request__descriptor,
     GH_SLICE_INIT("\x12\x09\x12\x07\x0a\x02k\0\x12\x01v"), NULL, GH_ERROR_INVALID, false},
    {"a NUL in bytes is one", &google__pubsub_message__descriptor, GH_SLICE_INIT("\x0a\x03\x61\0b"),
     "{\"data\":\"YQBi\"}", GH_OK, false},
    {"a text that is not UTF-8", &google__name_request__descriptor, GH_SLICE_INIT("\x0a\x01\xff"),
     NULL, GH_ERROR_INVALID, false},
    {"a number and a flag", &google__pull_request__descriptor,
     GH_SLICE_INIT("\x10\x01\x18\xe8\x07"), "{\"returnImmediately\":true,\"maxMessages\":1000}",
     GH_OK, false},
    {"a negative number", &google__modify_ack_deadline_request__descriptor,
     GH_SLICE_INIT("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "{\"ackDeadlineSeconds\":-1}",
     GH_OK, false},
    {"64 bits are text", &google__device__descriptor,
     GH_SLICE_INIT("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
     "{\"numId\":\"18446744073709551615\"}", GH_OK, false},
    {"an enum by name", &google__device__descriptor, GH_SLICE_INIT("\xa8\x01\x1e"),
     "{\"logLevel\":\"INFO\"}", GH_OK, false},
    {"an enum without a name stays a number", &google__device__descriptor,
     GH_SLICE_INIT("\xa8\x01\x1f"), "{\"logLevel\":31}", GH_OK, true},
    {"a list", &google__acknowledge_request__descriptor, GH_SLICE_INIT("\x12\x01\x61\x12\x01\x62"),
     "{\"ackIds\":[\"a\",\"b\"]}", GH_OK, false},
    {"a packed list", &google__streaming_pull_request__descriptor,
     GH_SLICE_INIT("\x1a\x02\x0a\x14"), "{\"modifyDeadlineSeconds\":[10,20]}", GH_OK, false},
    {"the same, not packed", &google__streaming_pull_request__descriptor,
     GH_SLICE_INIT("\x18\x0a\x18\x14"), "{\"modifyDeadlineSeconds\":[10,20]}", GH_OK, true},
    {"a map, its last pair of a key", &google__topic__descriptor,
     GH_SLICE_INIT("\x12\x06\x0a\x01k\x12\x01v\x12\x06\x0a\x01k\x12\x01w"),
     "{\"labels\":{\"k\":\"w\"}}", GH_OK, true},
    {"a time", &google__seek_request__descriptor,
     GH_SLICE_INIT("\x12\x0b\x08\x80\xa8\xd4\xb9\x06\x10\x80\xe1\xeb\x17"),
     "{\"time\":\"2024-11-13T21:02:56.050Z\"}", GH_OK, false},
    {"a time that is none", &google__seek_request__descriptor,
     GH_SLICE_INIT("\x12\x0a\x10\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), NULL, GH_ERROR_INVALID,
     false},
    {"a duration", &google__expiration_policy__descriptor, GH_SLICE_INIT("\x0a\x02\x08\x3c"),
     "{\"ttl\":\"60s\"}", GH_OK, false},
    {"an empty message that is there", &google__subscription__descriptor, GH_SLICE_INIT("\x5a\x00"),
     "{\"expirationPolicy\":{}}", GH_OK, false},
    {"a mask is one text", &google__update_topic_request__descriptor,
     GH_SLICE_INIT("\x12\x06\x0a\x01\x61\x0a\x01\x62"), "{\"updateMask\":\"a,b\"}", GH_OK, true},
    {"a field that is not served", &google__name_request__descriptor, GH_SLICE_INIT("\x52\x00"),
     NULL, GH_ERROR_UNSUPPORTED, false},
    {"cut", &google__name_request__descriptor, GH_SLICE_INIT("\x0a\x05hi"), NULL, GH_ERROR_INVALID,
     false},
    {"a number without an end", &google__pull_request__descriptor,
     GH_SLICE_INIT("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), NULL, GH_ERROR_INVALID,
     false},
};

static void check_row(size_t i)
{
    struct gh_arena arena;
    struct gh_error error = {0};
    struct gh_buffer text;
    struct gh_slice again;
    gh_arena_init(&arena, 1 << 20);
    gh_buffer_init(&text, 1 << 16);
    json_t *read = google_protobuf_read(rows[i].type, rows[i].bytes, &arena, &error);
    if (rows[i].json == NULL) {
        CHECK(rows[i].claim, read == NULL && error.code == rows[i].code);
    } else if (CHECK(rows[i].claim, read != NULL && gh_json_write(read, &text))) {
        if (!CHECK(rows[i].claim,
                   gh_slice_equal(gh_buffer_slice(&text), gh_slice_text(rows[i].json))))
            fprintf(stderr, "  %.*s\n", (int)text.size, text.data);
        if (!rows[i].one_way)
            CHECK(rows[i].claim,
                  google_protobuf_write(rows[i].type, read, &arena, &again, &error) == GH_OK &&
                      gh_slice_equal(again, rows[i].bytes));
    } else {
        fprintf(stderr, "  %s\n", error.text);
    }
    json_decref(read);
    gh_buffer_deinit(&text);
    gh_arena_deinit(&arena);
}

int main(void)
{
    for (size_t i = 0; i < GH_COUNT(rows); i++)
        check_row(i);
    struct gh_arena arena;
    struct gh_error error = {0};
    struct gh_slice out;
    gh_arena_init(&arena, 1 << 16);
    json_t *wrong = json_pack("{s:i}", "name", 7);
    CHECK("a member of another kind is our own mistake",
          google_protobuf_write(&google__name_request__descriptor, wrong, &arena, &out, &error) ==
              GH_ERROR_INTERNAL);
    json_decref(wrong);
    gh_arena_deinit(&arena);
    return check_report();
}
