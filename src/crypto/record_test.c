/* The trace of RFC 8448 §3 in both roles, and two ends of our own for what it does not show. */
#include "crypto/record.h"
#include "tests/check.h"
#include <stdio.h>
#include <string.h>

enum { BLOCK = 2 * GH_RECORD_BYTES_MAX };

struct end {
    struct gh_record *record;
    struct gh_record_desk *desk;
};

static const uint8_t one[GH_RECORD_SECRET_MAX] = {1}, two[GH_RECORD_SECRET_MAX] = {2};

static struct end end_open(enum gh_record_suite suite, const uint8_t *reads, const uint8_t *writes,
                           uint64_t written)
{
    struct gh_record_keys keys = {.suite = suite,
                                  .read_secret = reads,
                                  .write_secret = writes,
                                  .write_count = written,
                                  .text_max = GH_RECORD_TEXT_MAX};
    struct end end = {gh_record_open(&keys), gh_record_desk_open()};
    REQUIRE("an end", end.record != NULL && end.desk != NULL);
    return end;
}

static void end_close(struct end *end)
{
    gh_record_close(end->record);
    gh_record_desk_close(end->desk);
}

static size_t unhex(const char *hex, uint8_t *out)
{
    size_t count = 0;
    for (; hex[0] != '\0'; hex += 2) {
        unsigned byte;
        REQUIRE("hex", sscanf(hex, "%2x", &byte) == 1);
        out[count++] = (uint8_t)byte;
    }
    return count;
}

/* ---- RFC 8448 §3 */

static const char client_secret[] =
    "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5";
static const char server_secret[] =
    "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643";
static const char client_data[] =
    "1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20441e"
    "2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4";
static const char server_data[] =
    "17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90e6dffc602dcb501a59"
    "a8fcc49c4bf2e5f0a21c0047c2abf332540dd032e167c2955d";
static const char client_close[] = "1703030013c9872760655666b74d7ff1153efd6db6d0b0e3";
static const char server_close[] = "1703030013b58fd67166ebf599d24720cfbe7efa7a8864a9";

/* What one side sent, as its peer and as itself. `before`: records of the same key that the trace
 * has in front (the server's ticket). */
static void trace(const char *claim, const char *secret, uint64_t before, const char *data,
                  const char *close)
{
    uint8_t key[GH_RECORD_SECRET_MAX] = {0}, block[256], made_block[256], text[50];
    struct gh_record_keys keys = {.suite = GH_RECORD_AES_128_GCM_SHA256,
                                  .read_secret = key,
                                  .write_secret = key,
                                  .read_count = before,
                                  .write_count = before,
                                  .text_max = GH_RECORD_TEXT_MAX};
    struct gh_buffer made = gh_buffer_fixed(made_block, sizeof made_block);
    struct gh_record_opened opened;
    (void)unhex(secret, key);
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)i;
    struct end end = {gh_record_open(&keys), gh_record_desk_open()};
    REQUIRE("an end", end.record != NULL && end.desk != NULL);

    CHECK(claim, gh_record_write(end.record, end.desk, GH_RECORD_DATA, gh_slice(text, sizeof text),
                                 &made));
    CHECK(claim, gh_record_write_alert(end.record, end.desk, GH_RECORD_CLOSE_NOTIFY, &made));
    size_t size = unhex(data, block), closing = unhex(close, block + size);
    CHECK("what we write is the trace's, to the byte",
          gh_slice_equal(gh_buffer_slice(&made), gh_slice(block, size + closing)));

    CHECK(claim,
          gh_record_read(end.record, end.desk, block, size + closing, &opened) == GH_RECORD_TEXT);
    CHECK("the trace's text",
          opened.size == size && gh_slice_equal(opened.text, gh_slice(text, sizeof text)));
    CHECK("and its end",
          gh_record_read(end.record, end.desk, block + size, closing, &opened) == GH_RECORD_END);
    end_close(&end);
}

/* ---- two ends */

static void each_suite(void)
{
    static uint8_t block[BLOCK], text[GH_RECORD_TEXT_MAX];
    static const size_t sizes[] = {1, 2, 255, 4096, GH_RECORD_TEXT_MAX};
    for (size_t suite = 0; suite < GH_RECORD_SUITE_COUNT; suite++) {
        struct end a = end_open((enum gh_record_suite)suite, one, two, 0),
                   b = end_open((enum gh_record_suite)suite, two, one, 0);
        for (size_t i = 0; i < GH_COUNT(sizes); i++) {
            struct gh_buffer out = gh_buffer_fixed(block, sizeof block);
            struct gh_record_opened opened;
            memset(text, (int)i + 1, sizes[i]);
            CHECK("written", gh_record_write(a.record, a.desk, GH_RECORD_DATA,
                                             gh_slice(text, sizes[i]), &out));
            for (size_t cut = 0; cut < out.size; cut += cut < 64 ? 1 : 997)
                CHECK("a piece is no record, and is left as it is",
                      gh_record_read(b.record, b.desk, block, cut, &opened) == GH_RECORD_MORE);
            CHECK("read",
                  gh_record_read(b.record, b.desk, block, out.size, &opened) == GH_RECORD_TEXT);
            CHECK("the text", gh_slice_equal(opened.text, gh_slice(text, sizes[i])));
        }
        end_close(&a);
        end_close(&b);
    }
}

/* Each update is asked for by one side and answered by the other before its next data. */
static void updates(void)
{
    uint8_t block[1024];
    struct end a = end_open(GH_RECORD_AES_256_GCM_SHA384, one, two, 0),
               b = end_open(GH_RECORD_AES_256_GCM_SHA384, two, one, 0);
    for (int round = 0; round < 5; round++) {
        struct gh_record_opened opened;
        struct end *from = &a, *to = &b;
        gh_record_renew(a.record, true);
        for (int way = 0; way < 2; way++) {
            struct gh_buffer out = gh_buffer_fixed(block, sizeof block);
            CHECK("written", gh_record_write(from->record, from->desk, GH_RECORD_DATA,
                                             GH_SLICE("text"), &out));
            CHECK("the update comes first",
                  gh_record_read(to->record, to->desk, block, out.size, &opened) == GH_RECORD_IDLE);
            CHECK("then text under the new key",
                  gh_record_read(to->record, to->desk, block + opened.size, out.size - opened.size,
                                 &opened) == GH_RECORD_TEXT &&
                      gh_slice_equal(opened.text, GH_SLICE("text")));
            from = &b, to = &a;
        }
    }
    end_close(&a);
    end_close(&b);
}

/* A key is renewed long before its limit. */
static void limit(void)
{
    uint8_t block[256];
    struct gh_buffer out = gh_buffer_fixed(block, sizeof block);
    struct end a = end_open(GH_RECORD_AES_128_GCM_SHA256, one, two, 1u << 23);
    CHECK("written", gh_record_write(a.record, a.desk, GH_RECORD_DATA, GH_SLICE("x"), &out));
    CHECK("two records", out.size == 5 + 5 + 1 + 16 + 5 + 1 + 1 + 16);
    gh_buffer_clear(&out);
    CHECK("written", gh_record_write(a.record, a.desk, GH_RECORD_DATA, GH_SLICE("x"), &out));
    CHECK("one record", out.size == 5 + 1 + 1 + 16);
    end_close(&a);
}

static const struct content {
    const char *claim;
    int type; /* of what is protected */
    const char *text;
    size_t size;
    enum gh_record_status status;
    enum gh_record_alert alert;
} contents[] = {
    {"close_notify", 21, "\1\0", 2, GH_RECORD_END, GH_RECORD_NO_ALERT},
    {"close_notify of whatever level", 21, "\2\0", 2, GH_RECORD_END, GH_RECORD_NO_ALERT},
    {"user_canceled", 21, "\1\x5a", 2, GH_RECORD_IDLE, GH_RECORD_NO_ALERT},
    {"a peer's alert", 21, "\2\x28", 2, GH_RECORD_BROKEN, GH_RECORD_NO_ALERT},
    {"half an alert", 21, "\2", 1, GH_RECORD_BROKEN, GH_RECORD_DECODE_ERROR},
    {"an empty alert", 21, "", 0, GH_RECORD_BROKEN, GH_RECORD_DECODE_ERROR},
    {"two alerts", 21, "\1\0\1\0", 4, GH_RECORD_BROKEN, GH_RECORD_DECODE_ERROR},
    {"no data", 23, "", 0, GH_RECORD_IDLE, GH_RECORD_NO_ALERT},
    {"an update", 22, "\x18\0\0\1\0", 5, GH_RECORD_IDLE, GH_RECORD_NO_ALERT},
    {"an update that asks", 22, "\x18\0\0\1\1", 5, GH_RECORD_IDLE, GH_RECORD_NO_ALERT},
    {"an update that says neither", 22, "\x18\0\0\1\2", 5, GH_RECORD_BROKEN,
     GH_RECORD_ILLEGAL_PARAMETER},
    {"a longer update", 22, "\x18\0\0\2\0\0", 6, GH_RECORD_BROKEN, GH_RECORD_UNEXPECTED_MESSAGE},
    {"an update of another length", 22, "\x18\0\0\2\0", 5, GH_RECORD_BROKEN,
     GH_RECORD_DECODE_ERROR},
    {"something behind an update", 22, "\x18\0\0\1\0\x18", 6, GH_RECORD_BROKEN,
     GH_RECORD_UNEXPECTED_MESSAGE},
    {"the first bytes of an update", 22, "\x18\0", 2, GH_RECORD_IDLE, GH_RECORD_NO_ALERT},
    {"an empty message", 22, "", 0, GH_RECORD_BROKEN, GH_RECORD_UNEXPECTED_MESSAGE},
    {"a second ClientHello", 22, "\1\0\0\1\0", 5, GH_RECORD_BROKEN, GH_RECORD_UNEXPECTED_MESSAGE},
    {"a ticket", 22, "\4\0\0\1\0", 5, GH_RECORD_BROKEN, GH_RECORD_UNEXPECTED_MESSAGE},
    {"ChangeCipherSpec", 20, "\1", 1, GH_RECORD_BROKEN, GH_RECORD_UNEXPECTED_MESSAGE},
    {"padding alone", 0, "", 0, GH_RECORD_BROKEN, GH_RECORD_UNEXPECTED_MESSAGE},
    {"an unknown type", 99, "x", 1, GH_RECORD_BROKEN, GH_RECORD_UNEXPECTED_MESSAGE},
};

static void each_content(void)
{
    for (size_t i = 0; i < GH_COUNT(contents); i++) {
        uint8_t block[256];
        const struct content *row = &contents[i];
        struct gh_buffer out = gh_buffer_fixed(block, sizeof block);
        struct gh_record_opened opened;
        struct end a = end_open(GH_RECORD_CHACHA20_POLY1305_SHA256, one, two, 0),
                   b = end_open(GH_RECORD_CHACHA20_POLY1305_SHA256, two, one, 0);
        CHECK(row->claim, gh_record_write(a.record, a.desk, (enum gh_record_type)row->type,
                                          gh_slice((const uint8_t *)row->text, row->size), &out));
        CHECK(row->claim,
              gh_record_read(b.record, b.desk, block, out.size, &opened) == row->status);
        CHECK(row->claim, opened.alert == row->alert);
        end_close(&a);
        end_close(&b);
    }
}

/* Behind padding the type is found; an update may come in pieces, with nothing between them. */
static void pieces(void)
{
    static const char *const update[] = {"\x18", "\0\0", "\1\1"};
    static const size_t sizes[] = {1, 2, 2};
    uint8_t block[256];
    struct gh_record_opened opened;
    struct end a = end_open(GH_RECORD_AES_128_GCM_SHA256, one, two, 0),
               b = end_open(GH_RECORD_AES_128_GCM_SHA256, two, one, 0);
    for (size_t i = 0; i < GH_COUNT(update); i++) {
        struct gh_buffer out = gh_buffer_fixed(block, sizeof block);
        CHECK("a piece", gh_record_write(a.record, a.desk, GH_RECORD_HANDSHAKE,
                                         gh_slice((const uint8_t *)update[i], sizes[i]), &out));
        CHECK("is kept",
              gh_record_read(b.record, b.desk, block, out.size, &opened) == GH_RECORD_IDLE);
    }
    struct gh_buffer out = gh_buffer_fixed(block, sizeof block);
    CHECK("the old key", gh_record_write(a.record, a.desk, GH_RECORD_DATA, GH_SLICE("x"), &out));
    CHECK("is gone",
          gh_record_read(b.record, b.desk, block, out.size, &opened) == GH_RECORD_BROKEN &&
              opened.alert == GH_RECORD_BAD_RECORD_MAC);
    end_close(&a);
    end_close(&b);

    a = end_open(GH_RECORD_AES_128_GCM_SHA256, one, two, 0);
    b = end_open(GH_RECORD_AES_128_GCM_SHA256, two, one, 0);
    out = gh_buffer_fixed(block, sizeof block);
    CHECK("a piece and data",
          gh_record_write(a.record, a.desk, GH_RECORD_HANDSHAKE, GH_SLICE("\x18"), &out) &&
              gh_record_write(a.record, a.desk, GH_RECORD_DATA, GH_SLICE("x"), &out));
    CHECK("the piece",
          gh_record_read(b.record, b.desk, block, out.size, &opened) == GH_RECORD_IDLE);
    CHECK("data within a message",
          gh_record_read(b.record, b.desk, block + opened.size, out.size - opened.size, &opened) ==
                  GH_RECORD_BROKEN &&
              opened.alert == GH_RECORD_UNEXPECTED_MESSAGE);
    end_close(&a);
    end_close(&b);

    a = end_open(GH_RECORD_AES_128_GCM_SHA256, one, two, 0);
    b = end_open(GH_RECORD_AES_128_GCM_SHA256, two, one, 0);
    out = gh_buffer_fixed(block, sizeof block);
    CHECK("text, its type, padding",
          gh_record_write(a.record, a.desk, (enum gh_record_type)0,
                          gh_slice((const uint8_t *)"text\x17\0\0\0", 8), &out));
    CHECK("is text", gh_record_read(b.record, b.desk, block, out.size, &opened) == GH_RECORD_TEXT &&
                         gh_slice_equal(opened.text, GH_SLICE("text")));
    end_close(&a);
    end_close(&b);
}

static const struct {
    const char *claim;
    uint8_t head[GH_RECORD_HEAD_BYTES];
    enum gh_record_status status;
    enum gh_record_alert alert;
} heads[] = {
    {"an alert in the clear", {21, 3, 3, 0, 2}, GH_RECORD_BROKEN, GH_RECORD_UNEXPECTED_MESSAGE},
    {"ChangeCipherSpec", {20, 3, 3, 0, 1}, GH_RECORD_BROKEN, GH_RECORD_UNEXPECTED_MESSAGE},
    {"text", {'G', 'E', 'T', ' ', '/'}, GH_RECORD_BROKEN, GH_RECORD_UNEXPECTED_MESSAGE},
    {"no room for a type", {23, 3, 3, 0, 16}, GH_RECORD_BROKEN, GH_RECORD_BAD_RECORD_MAC},
    {"the least", {23, 3, 3, 0, 17}, GH_RECORD_MORE, GH_RECORD_NO_ALERT},
    {"whatever version", {23, 9, 9, 0, 17}, GH_RECORD_MORE, GH_RECORD_NO_ALERT},
    {"the most", {23, 3, 3, 0x41, 0}, GH_RECORD_MORE, GH_RECORD_NO_ALERT},
    {"one more", {23, 3, 3, 0x41, 1}, GH_RECORD_BROKEN, GH_RECORD_OVERFLOW},
};

static void each_head(void)
{
    struct end end = end_open(GH_RECORD_AES_128_GCM_SHA256, one, two, 0);
    for (size_t i = 0; i < GH_COUNT(heads); i++) {
        uint8_t block[GH_RECORD_HEAD_BYTES];
        struct gh_record_opened opened;
        memcpy(block, heads[i].head, sizeof block);
        CHECK(heads[i].claim, gh_record_read(end.record, end.desk, block, sizeof block, &opened) ==
                                  heads[i].status);
        CHECK(heads[i].claim, opened.alert == heads[i].alert);
    }
    end_close(&end);
}

/* A record that was changed anywhere, came twice or is missing ends the connection. */
static void tampered(void)
{
    enum { SIZE = 5 + 4 + 1 + 16 };
    uint8_t sent[256], block[256];
    struct gh_record_opened opened;
    struct gh_buffer out = gh_buffer_fixed(sent, sizeof sent);
    struct end a = end_open(GH_RECORD_AES_128_GCM_SHA256, one, two, 0);
    CHECK("two records",
          gh_record_write(a.record, a.desk, GH_RECORD_DATA, GH_SLICE("text"), &out) &&
              gh_record_write(a.record, a.desk, GH_RECORD_DATA, GH_SLICE("more"), &out));
    for (size_t i = 1; i < SIZE; i++) {
        struct end b = end_open(GH_RECORD_AES_128_GCM_SHA256, two, one, 0);
        memcpy(block, sent, SIZE);
        block[i] ^= 1;
        enum gh_record_status status = gh_record_read(b.record, b.desk, block, SIZE, &opened);
        CHECK("changed", status == GH_RECORD_BROKEN || status == GH_RECORD_MORE);
        end_close(&b);
    }
    struct end b = end_open(GH_RECORD_AES_128_GCM_SHA256, two, one, 0);
    memcpy(block, sent + SIZE, SIZE);
    CHECK("the first is missing",
          gh_record_read(b.record, b.desk, block, SIZE, &opened) == GH_RECORD_BROKEN);
    end_close(&b);
    b = end_open(GH_RECORD_AES_128_GCM_SHA256, two, one, 0);
    memcpy(block, sent, SIZE);
    CHECK("once", gh_record_read(b.record, b.desk, block, SIZE, &opened) == GH_RECORD_TEXT);
    memcpy(block, sent, SIZE);
    CHECK("twice", gh_record_read(b.record, b.desk, block, SIZE, &opened) == GH_RECORD_BROKEN);
    end_close(&b);
    end_close(&a);
}

/* A peer that sends records without data for ever is not served for ever. */
static void idle(void)
{
    struct end a = end_open(GH_RECORD_AES_128_GCM_SHA256, one, two, 0),
               b = end_open(GH_RECORD_AES_128_GCM_SHA256, two, one, 0);
    for (int i = 0; i <= GH_RECORD_IDLE_MAX; i++) {
        uint8_t block[64];
        struct gh_buffer out = gh_buffer_fixed(block, sizeof block);
        struct gh_record_opened opened;
        CHECK("nothing", gh_record_write(a.record, a.desk, GH_RECORD_DATA, GH_SLICE(""), &out));
        CHECK("is taken for a while",
              gh_record_read(b.record, b.desk, block, out.size, &opened) ==
                  (i < GH_RECORD_IDLE_MAX ? GH_RECORD_IDLE : GH_RECORD_BROKEN));
    }
    end_close(&a);
    end_close(&b);
}

int main(void)
{
    trace("the client of RFC 8448", client_secret, 0, client_data, client_close);
    trace("the server of RFC 8448", server_secret, 1, server_data, server_close);
    each_suite();
    updates();
    limit();
    each_content();
    pieces();
    each_head();
    tampered();
    idle();
    return check_report();
}
