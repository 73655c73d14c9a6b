#include "tests/check.h"
#include "wire/websocket.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRAME_MAX = 70000 };

/* Masked with 37 fa 21 3d, as the examples of RFC 6455 §5.7 are. */
#define MASK "\x37\xfa\x21\x3d"
#define HELLO "\x7f\x9f\x4d\x51\x58" /* "Hello" under it */

static const struct {
    const char *claim;
    const char *wire;
    size_t size;
    const char *data;
    enum gh_websocket_status status;
    uint16_t code;
    const char *answers;
    size_t answers_size;
} cases[] = {
#define WIRE(text) text, sizeof(text) - 1
    {"a binary message", WIRE("\x82\x85" MASK HELLO), "Hello", GH_WEBSOCKET_OPEN, 0, WIRE("")},
    {"an empty message", WIRE("\x82\x80" MASK), "", GH_WEBSOCKET_OPEN, 0, WIRE("")},
    {"two messages, one stream", WIRE("\x82\x85" MASK HELLO "\x82\x85" MASK HELLO), "HelloHello",
     GH_WEBSOCKET_OPEN, 0, WIRE("")},
    {"a message in three fragments, a ping between them",
     WIRE("\x02\x83" MASK "\x7f\x9f\x4d"
          "\x89\x85" MASK HELLO "\x00\x80" MASK "\x80\x82" MASK "\x5b\x95"),
     "Hello", GH_WEBSOCKET_OPEN, 0, WIRE("\x8a\x05Hello")},
    {"a ping is answered with its payload", WIRE("\x89\x85" MASK HELLO), "", GH_WEBSOCKET_OPEN, 0,
     WIRE("\x8a\x05Hello")},
    {"an empty ping", WIRE("\x89\x80" MASK), "", GH_WEBSOCKET_OPEN, 0, WIRE("\x8a\x00")},
    {"a pong is not answered", WIRE("\x8a\x85" MASK HELLO), "", GH_WEBSOCKET_OPEN, 0, WIRE("")},
    {"a close without a code", WIRE("\x88\x80" MASK), "", GH_WEBSOCKET_ENDED, 0, WIRE("\x88\x00")},
    {"a close of code 1000 (3e8)", WIRE("\x88\x82" MASK "\x34\x12"), "", GH_WEBSOCKET_ENDED, 1000,
     WIRE("\x88\x02\x03\xe8")},
    {"what comes before a close counts, what comes after it does not",
     WIRE("\x82\x85" MASK HELLO "\x88\x82" MASK "\x34\x12\x82\x85" MASK HELLO), "Hello",
     GH_WEBSOCKET_ENDED, 1000, WIRE("\x88\x02\x03\xe8")},
    {"a close of one byte", WIRE("\x88\x81" MASK "\x34"), "", GH_WEBSOCKET_REFUSED, 1002,
     WIRE("\x88\x02\x03\xea")},
    {"a close of code 1005, which is for APIs", WIRE("\x88\x82" MASK "\x34\x17"), "",
     GH_WEBSOCKET_REFUSED, 1002, WIRE("\x88\x02\x03\xea")},
    {"a close of code 999", WIRE("\x88\x82" MASK "\x34\x1d"), "", GH_WEBSOCKET_REFUSED, 1002,
     WIRE("\x88\x02\x03\xea")},
    {"a close whose reason is not UTF-8", WIRE("\x88\x83" MASK "\x34\x12\xde"), "",
     GH_WEBSOCKET_REFUSED, 1007, WIRE("\x88\x02\x03\xef")},
    {"a frame that is not masked", WIRE("\x82\x05Hello"), "", GH_WEBSOCKET_REFUSED, 1002,
     WIRE("\x88\x02\x03\xea")},
    {"text", WIRE("\x81\x85" MASK HELLO), "", GH_WEBSOCKET_REFUSED, 1003, WIRE("\x88\x02\x03\xeb")},
    {"a reserved bit", WIRE("\xc2\x85" MASK HELLO), "", GH_WEBSOCKET_REFUSED, 1002,
     WIRE("\x88\x02\x03\xea")},
    {"opcode 3", WIRE("\x83\x85" MASK HELLO), "", GH_WEBSOCKET_REFUSED, 1002,
     WIRE("\x88\x02\x03\xea")},
    {"opcode 11", WIRE("\x8b\x85" MASK HELLO), "", GH_WEBSOCKET_REFUSED, 1002,
     WIRE("\x88\x02\x03\xea")},
    {"a fragmented ping", WIRE("\x09\x85" MASK HELLO), "", GH_WEBSOCKET_REFUSED, 1002,
     WIRE("\x88\x02\x03\xea")},
    {"a ping of 126 bytes", WIRE("\x89\xfe\x00\x7e" MASK), "", GH_WEBSOCKET_REFUSED, 1002,
     WIRE("\x88\x02\x03\xea")},
    {"a continuation of nothing", WIRE("\x80\x85" MASK HELLO), "", GH_WEBSOCKET_REFUSED, 1002,
     WIRE("\x88\x02\x03\xea")},
    {"a message inside another", WIRE("\x02\x85" MASK HELLO "\x82\x85" MASK HELLO), "Hello",
     GH_WEBSOCKET_REFUSED, 1002, WIRE("\x88\x02\x03\xea")},
    {"125 bytes in two bytes of length", WIRE("\x82\xfe\x00\x7d" MASK), "", GH_WEBSOCKET_REFUSED,
     1002, WIRE("\x88\x02\x03\xea")},
    {"65,535 bytes in eight bytes of length", WIRE("\x82\xff\0\0\0\0\0\0\xff\xff" MASK), "",
     GH_WEBSOCKET_REFUSED, 1002, WIRE("\x88\x02\x03\xea")},
    {"the highest bit of a length", WIRE("\x82\xff\x80\0\0\0\0\1\0\0" MASK), "",
     GH_WEBSOCKET_REFUSED, 1002, WIRE("\x88\x02\x03\xea")},
    {"a frame of one byte above the limit, before its payload",
     WIRE("\x82\xff\0\0\0\0\0\1\x11\x71" MASK), "", GH_WEBSOCKET_REFUSED, 1009,
     WIRE("\x88\x02\x03\xf1")},
    {"a frame of the limit", WIRE("\x82\xff\0\0\0\0\0\1\x11\x70" MASK), "", GH_WEBSOCKET_OPEN, 0,
     WIRE("")},
#undef WIRE
};

/* Feeds `piece` bytes at a time, from blocks of their own. */
static void feed(struct gh_websocket *socket, struct gh_slice wire, size_t piece,
                 struct gh_buffer *data, struct gh_buffer *answers)
{
    while (wire.size > 0) {
        size_t size = piece < wire.size ? piece : wire.size, got;
        uint8_t *block = malloc(size);
        REQUIRE("memory", block != NULL);
        memcpy(block, wire.data, size);
        (void)gh_websocket_read(socket, block, size, &got, answers);
        REQUIRE("no more data than bytes", got <= size);
        gh_buffer_put(data, gh_slice(block, got));
        free(block);
        wire = gh_slice_sub(wire, size, wire.size);
    }
}

static void check_cases(void)
{
    for (size_t i = 0; i < GH_COUNT(cases); i++) {
        struct gh_slice wire = gh_slice(cases[i].wire, cases[i].size);
        for (size_t piece = 1; piece <= wire.size; piece++) {
            struct gh_websocket socket;
            struct gh_buffer data, answers;
            gh_buffer_init(&data, 1 << 20);
            gh_buffer_init(&answers, 1 << 20);
            gh_websocket_init(&socket, FRAME_MAX);
            feed(&socket, wire, piece, &data, &answers);
            CHECK(cases[i].claim, socket.status == cases[i].status);
            CHECK(cases[i].claim, socket.code == cases[i].code);
            CHECK(cases[i].claim, (socket.why != NULL) == (socket.status == GH_WEBSOCKET_REFUSED));
            CHECK(cases[i].claim,
                  gh_slice_equal(gh_buffer_slice(&data), gh_slice_text(cases[i].data)));
            CHECK(cases[i].claim,
                  gh_slice_equal(gh_buffer_slice(&answers),
                                 gh_slice(cases[i].answers, cases[i].answers_size)));
            CHECK("nothing is held between frames",
                  socket.in_payload || socket.control.data == NULL);
            gh_websocket_deinit(&socket);
            gh_buffer_deinit(&data);
            gh_buffer_deinit(&answers);
        }
    }
}

/* Every length at which the form of the head changes comes back, whatever the cut. */
static void check_lengths(void)
{
    static const size_t lengths[] = {0, 1, 7, 8, 9, 125, 126, 127, 65535, 65536, FRAME_MAX};
    static uint8_t text[FRAME_MAX];
    static const uint8_t mask[4] = {0x11, 0x22, 0x44, 0x88};

    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)(i * 7);
    for (size_t i = 0; i < GH_COUNT(lengths); i++) {
        for (size_t piece = 1; piece <= 100000; piece = piece * 3 + 1) {
            struct gh_websocket socket;
            struct gh_buffer wire, data, answers;
            uint8_t head[GH_WEBSOCKET_HEAD_MAX];
            gh_buffer_init(&wire, 1 << 20);
            gh_buffer_init(&data, 1 << 20);
            gh_buffer_init(&answers, 1 << 20);
            gh_websocket_init(&socket, FRAME_MAX);
            size_t head_size = gh_websocket_head(GH_WEBSOCKET_BINARY, lengths[i], head);
            head[1] |= 0x80;
            gh_buffer_put(&wire, gh_slice(head, head_size));
            gh_buffer_put(&wire, gh_slice(mask, sizeof mask));
            for (size_t k = 0; k < lengths[i]; k++)
                gh_buffer_u8(&wire, text[k] ^ mask[k % 4]);
            feed(&socket, gh_buffer_slice(&wire), piece, &data, &answers);
            CHECK("as it was sent",
                  gh_slice_equal(gh_buffer_slice(&data), gh_slice(text, lengths[i])));
            CHECK("and the frame is over",
                  socket.status == GH_WEBSOCKET_OPEN && !socket.in_payload && answers.size == 0);
            gh_websocket_deinit(&socket);
            gh_buffer_deinit(&wire);
            gh_buffer_deinit(&data);
            gh_buffer_deinit(&answers);
        }
    }
}

int main(void)
{
    check_cases();
    check_lengths();
    printf("%zu bytes for each WebSocket\n", sizeof(struct gh_websocket));
    return check_report();
}
