#include "tests/check.h"
#include "wire/mqtt/packet.h"
#include "wire/mqtt/property.h"
#include <stdio.h>
#include <string.h>

/* Every property in every packet (MQTT 5.0 §2.2.2.2, table 2-4): accepted where the table says so,
 * refused elsewhere, twice, cut short and out of range. */

/* The places of properties by a letter: w the will, the others packets. */
static const struct place {
    char letter;
    const char *name;
    uint8_t first; /* byte of the frame */
    enum gh_mqtt_reader readers[2];
    size_t readers_count;
    struct gh_slice before, after; /* the body around the properties and their length */
} places[] = {
    {'c',
     "CONNECT",
     0x10,
     {GH_MQTT_SERVER},
     1,
     GH_SLICE_INIT("\0\x04MQTT\x05\x02\0\0"),
     GH_SLICE_INIT("\0\0")},
    {'w',
     "will",
     0x10,
     {GH_MQTT_SERVER},
     1,
     GH_SLICE_INIT("\0\x04MQTT\x05\x06\0\0\0\0\0"),
     GH_SLICE_INIT("\0\x01t\0\0")},
    {'k', "CONNACK", 0x20, {GH_MQTT_CLIENT}, 1, GH_SLICE_INIT("\0\0"), GH_SLICE_INIT("")},
    {'p',
     "PUBLISH",
     0x30,
     {GH_MQTT_SERVER, GH_MQTT_CLIENT},
     2,
     GH_SLICE_INIT("\0\x01t"),
     GH_SLICE_INIT("")},
    {'a',
     "PUBACK",
     0x40,
     {GH_MQTT_SERVER, GH_MQTT_CLIENT},
     2,
     GH_SLICE_INIT("\0\x01\0"),
     GH_SLICE_INIT("")},
    {'a',
     "PUBREC",
     0x50,
     {GH_MQTT_SERVER, GH_MQTT_CLIENT},
     2,
     GH_SLICE_INIT("\0\x01\0"),
     GH_SLICE_INIT("")},
    {'a',
     "PUBREL",
     0x62,
     {GH_MQTT_SERVER, GH_MQTT_CLIENT},
     2,
     GH_SLICE_INIT("\0\x01\0"),
     GH_SLICE_INIT("")},
    {'a',
     "PUBCOMP",
     0x70,
     {GH_MQTT_SERVER, GH_MQTT_CLIENT},
     2,
     GH_SLICE_INIT("\0\x01\0"),
     GH_SLICE_INIT("")},
    {'s',
     "SUBSCRIBE",
     0x82,
     {GH_MQTT_SERVER},
     1,
     GH_SLICE_INIT("\0\x01"),
     GH_SLICE_INIT("\0\x01t\0")},
    {'S', "SUBACK", 0x90, {GH_MQTT_CLIENT}, 1, GH_SLICE_INIT("\0\x01"), GH_SLICE_INIT("\0")},
    {'u',
     "UNSUBSCRIBE",
     0xa2,
     {GH_MQTT_SERVER},
     1,
     GH_SLICE_INIT("\0\x01"),
     GH_SLICE_INIT("\0\x01t")},
    {'S', "UNSUBACK", 0xb0, {GH_MQTT_CLIENT}, 1, GH_SLICE_INIT("\0\x01"), GH_SLICE_INIT("\0")},
    {'d',
     "DISCONNECT",
     0xe0,
     {GH_MQTT_SERVER, GH_MQTT_CLIENT},
     2,
     GH_SLICE_INIT("\0"),
     GH_SLICE_INIT("")},
    {'h',
     "AUTH",
     0xf0,
     {GH_MQTT_SERVER, GH_MQTT_CLIENT},
     2,
     GH_SLICE_INIT("\x18"),
     GH_SLICE_INIT("")},
};

#define ANYWHERE "cwkpasSudh"
static const struct row {
    const char *name;
    enum gh_mqtt_property id;
    const char *to_server, *to_client, *repeats; /* letters of places */
    struct gh_slice value, wrong;                /* bytes; `wrong` is a value out of its range */
    enum gh_mqtt_fault fault;                    /* of `wrong` */
} rows[] = {
    {"payload format", 0x01, "wp", "p", "", GH_SLICE_INIT("\x01"), GH_SLICE_INIT("\x02"),
     GH_MQTT_FAULT_PROPERTY_VALUE},
    {"message expiry", 0x02, "wp", "p", "", GH_SLICE_INIT("\0\0\0\0"), GH_SLICE_INIT(""), 0},
    {"content type", 0x03, "wp", "p", "", GH_SLICE_INIT("\0\x01x"), GH_SLICE_INIT("\0\x01\xff"),
     GH_MQTT_FAULT_UTF8},
    {"response topic", 0x08, "wp", "p", "", GH_SLICE_INIT("\0\x01x"), GH_SLICE_INIT("\0\x01#"),
     GH_MQTT_FAULT_TOPIC},
    {"correlation data", 0x09, "wp", "p", "", GH_SLICE_INIT("\0\x02\0\xff"), GH_SLICE_INIT(""), 0},
    {"subscription identifier", 0x0b, "s", "p", "p", GH_SLICE_INIT("\xff\xff\xff\x7f"),
     GH_SLICE_INIT("\0"), GH_MQTT_FAULT_PROPERTY_VALUE},
    {"session expiry", 0x11, "cd", "k", "", GH_SLICE_INIT("\xff\xff\xff\xff"), GH_SLICE_INIT(""),
     0},
    {"assigned client id", 0x12, "", "k", "", GH_SLICE_INIT("\0\x01x"), GH_SLICE_INIT("\0\x01\0"),
     GH_MQTT_FAULT_UTF8},
    {"server keep-alive", 0x13, "", "k", "", GH_SLICE_INIT("\0\0"), GH_SLICE_INIT(""), 0},
    {"authentication method", 0x15, "ch", "kh", "", GH_SLICE_INIT("\0\x01x"),
     GH_SLICE_INIT("\0\x01\x80"), GH_MQTT_FAULT_UTF8},
    {"authentication data", 0x16, "ch", "kh", "", GH_SLICE_INIT("\0\x02\0\xff"), GH_SLICE_INIT(""),
     0},
    {"request problem information", 0x17, "c", "", "", GH_SLICE_INIT("\0"), GH_SLICE_INIT("\x02"),
     GH_MQTT_FAULT_PROPERTY_VALUE},
    {"will delay", 0x18, "w", "", "", GH_SLICE_INIT("\0\0\0\x01"), GH_SLICE_INIT(""), 0},
    {"request response information", 0x19, "c", "", "", GH_SLICE_INIT("\x01"),
     GH_SLICE_INIT("\xff"), GH_MQTT_FAULT_PROPERTY_VALUE},
    {"response information", 0x1a, "", "k", "", GH_SLICE_INIT("\0\x01x"),
     GH_SLICE_INIT("\0\x02\xc0\x80"), GH_MQTT_FAULT_UTF8},
    {"server reference", 0x1c, "d", "kd", "", GH_SLICE_INIT("\0\x01x"),
     GH_SLICE_INIT("\0\x03\xed\xa0\x80"), GH_MQTT_FAULT_UTF8},
    {"reason string", 0x1f, "adh", "kaSdh", "", GH_SLICE_INIT("\0\x01x"),
     GH_SLICE_INIT("\0\x01\xff"), GH_MQTT_FAULT_UTF8},
    {"receive maximum", 0x21, "c", "k", "", GH_SLICE_INIT("\0\x01"), GH_SLICE_INIT("\0\0"),
     GH_MQTT_FAULT_PROPERTY_VALUE},
    {"topic alias maximum", 0x22, "c", "k", "", GH_SLICE_INIT("\0\0"), GH_SLICE_INIT(""), 0},
    {"topic alias", 0x23, "p", "p", "", GH_SLICE_INIT("\xff\xff"), GH_SLICE_INIT("\0\0"),
     GH_MQTT_FAULT_TOPIC_ALIAS},
    {"maximum QoS", 0x24, "", "k", "", GH_SLICE_INIT("\x01"), GH_SLICE_INIT("\x02"),
     GH_MQTT_FAULT_PROPERTY_VALUE},
    {"retain available", 0x25, "", "k", "", GH_SLICE_INIT("\0"), GH_SLICE_INIT("\x02"),
     GH_MQTT_FAULT_PROPERTY_VALUE},
    {"user property", 0x26, ANYWHERE, ANYWHERE, ANYWHERE, GH_SLICE_INIT("\0\x01k\0\x01v"),
     GH_SLICE_INIT("\0\x01k\0\x01\xff"), GH_MQTT_FAULT_UTF8},
    {"maximum packet size", 0x27, "c", "k", "", GH_SLICE_INIT("\0\0\0\x01"),
     GH_SLICE_INIT("\0\0\0\0"), GH_MQTT_FAULT_PROPERTY_VALUE},
    {"wildcard available", 0x28, "", "k", "", GH_SLICE_INIT("\0"), GH_SLICE_INIT("\x02"),
     GH_MQTT_FAULT_PROPERTY_VALUE},
    {"identifiers available", 0x29, "", "k", "", GH_SLICE_INIT("\x01"), GH_SLICE_INIT("\x02"),
     GH_MQTT_FAULT_PROPERTY_VALUE},
    {"shared available", 0x2a, "", "k", "", GH_SLICE_INIT("\x01"), GH_SLICE_INIT("\x02"),
     GH_MQTT_FAULT_PROPERTY_VALUE},
};

/* Reads the packet of `place` with `block` as its properties. */
static enum gh_mqtt_fault read_with(const struct place *place, enum gh_mqtt_reader reader,
                                    struct gh_slice block)
{
    uint8_t bytes[128];
    struct gh_buffer out = gh_buffer_fixed(bytes, sizeof bytes);
    struct gh_mqtt_frame frame;
    struct gh_mqtt_packet packet;

    REQUIRE("a short block", block.size < 64);
    gh_buffer_u8(&out, place->first);
    gh_buffer_u8(&out, (uint8_t)(place->before.size + 1 + block.size + place->after.size));
    gh_buffer_put(&out, place->before);
    gh_buffer_u8(&out, (uint8_t)block.size);
    gh_buffer_put(&out, block);
    gh_buffer_put(&out, place->after);
    REQUIRE(place->name, !out.overflow && gh_mqtt_frame_read(gh_buffer_slice(&out), sizeof bytes,
                                                             &frame) == GH_MQTT_FRAME_OK);
    return gh_mqtt_packet_read(&frame, GH_MQTT_V5, reader, &packet);
}

static bool has(const char *letters, char letter)
{
    return strchr(letters, letter) != NULL;
}

/* An AUTH has a method, and authentication data wants one before it. */
static void begin_block(const struct place *place, const struct row *row, struct gh_buffer *block)
{
    gh_buffer_clear(block);
    if (row->id != GH_MQTT_PROPERTY_AUTH_METHOD && has("chk", place->letter))
        gh_buffer_put(block, GH_SLICE("\x15\0\x01m"));
}

static void append(const struct row *row, struct gh_slice value, struct gh_buffer *block)
{
    gh_buffer_u8(block, (uint8_t)row->id);
    gh_buffer_put(block, value);
}

static void in_place(const struct place *place, enum gh_mqtt_reader reader, const struct row *row)
{
    uint8_t bytes[64];
    struct gh_buffer block = gh_buffer_fixed(bytes, sizeof bytes);
    char claim[96];

    snprintf(claim, sizeof claim, "%s in %s to a %s", row->name, place->name,
             reader == GH_MQTT_SERVER ? "server" : "client");
    const char *mine = reader == GH_MQTT_SERVER ? row->to_server : row->to_client;
    const char *others = reader == GH_MQTT_SERVER ? row->to_client : row->to_server;
    begin_block(place, row, &block);
    size_t start = block.size;
    append(row, row->value, &block);
    enum gh_mqtt_fault fault = read_with(place, reader, gh_buffer_slice(&block));
    if (!has(mine, place->letter)) {
        CHECK(claim, fault == (has(others, place->letter) ? GH_MQTT_FAULT_PROPERTY_DIRECTION
                                                          : GH_MQTT_FAULT_PROPERTY));
        return;
    }
    CHECK(claim, fault == GH_MQTT_FAULT_NONE);
    for (size_t cut = start + 1; cut < block.size; cut++)
        CHECK(claim, read_with(place, reader, gh_slice(bytes, cut)) == GH_MQTT_FAULT_TRUNCATED);
    append(row, row->value, &block);
    CHECK(claim, read_with(place, reader, gh_buffer_slice(&block)) ==
                     (has(row->repeats, place->letter) ? GH_MQTT_FAULT_NONE
                                                       : GH_MQTT_FAULT_PROPERTY_TWICE));
    if (row->wrong.size == 0)
        return;
    begin_block(place, row, &block);
    append(row, row->wrong, &block);
    CHECK(claim, read_with(place, reader, gh_buffer_slice(&block)) == row->fault);
}

static void unknown_identifiers(const struct place *place, enum gh_mqtt_reader reader)
{
    for (unsigned id = 0; id < 256; id++) {
        uint8_t block[8] = {(uint8_t)id};
        size_t row = 0;
        while (row < GH_COUNT(rows) && rows[row].id != id)
            row++;
        if (row == GH_COUNT(rows))
            CHECK(place->name, read_with(place, reader, gh_slice(block, sizeof block)) ==
                                   GH_MQTT_FAULT_PROPERTY);
    }
}

static void writers_and_walk(void)
{
    uint8_t bytes[64], copied[64];
    struct gh_buffer out = gh_buffer_fixed(bytes, sizeof bytes);
    struct gh_buffer copy = gh_buffer_fixed(copied, sizeof copied);
    struct gh_slice wire = GH_SLICE("\x01\x01\x02\0\0\x01\x02\x23\x01\x02\x0b\x80\x01"
                                    "\x03\0\x01x\x09\0\x02\0\xff\x26\0\x01k\0\x01v");
    struct gh_mqtt_property_value value = {0};

    gh_mqtt_property_put_number(&out, GH_MQTT_PROPERTY_PAYLOAD_FORMAT, 1);
    gh_mqtt_property_put_number(&out, GH_MQTT_PROPERTY_MESSAGE_EXPIRY, 258);
    gh_mqtt_property_put_number(&out, GH_MQTT_PROPERTY_TOPIC_ALIAS, 258);
    gh_mqtt_property_put_number(&out, GH_MQTT_PROPERTY_SUBSCRIPTION_ID, 128);
    gh_mqtt_property_put_text(&out, GH_MQTT_PROPERTY_CONTENT_TYPE, GH_SLICE("x"));
    gh_mqtt_property_put_text(&out, GH_MQTT_PROPERTY_CORRELATION_DATA, GH_SLICE("\0\xff"));
    gh_mqtt_property_put_pair(&out, GH_SLICE("k"), GH_SLICE("v"));
    CHECK("each kind is written", gh_slice_equal(gh_buffer_slice(&out), wire));

    struct gh_slice at = wire;
    size_t count = 0;
    while (gh_mqtt_property_next(&at, &value))
        count++;
    CHECK("the walk ends at the end", count == 7 && at.size == 0);
    CHECK("the last is the pair", value.id == GH_MQTT_PROPERTY_USER && value.number == 0 &&
                                      gh_slice_equal(value.text, GH_SLICE("k")) &&
                                      gh_slice_equal(value.value, GH_SLICE("v")));
    CHECK("a number is found",
          gh_mqtt_property_find(wire, GH_MQTT_PROPERTY_SUBSCRIPTION_ID, &value) &&
              value.number == 128 && value.text.size == 0);
    CHECK("a text is found", gh_mqtt_property_find(wire, GH_MQTT_PROPERTY_CONTENT_TYPE, &value) &&
                                 gh_slice_equal(value.text, GH_SLICE("x")));
    CHECK("what is not there is not",
          !gh_mqtt_property_find(wire, GH_MQTT_PROPERTY_RESPONSE_TOPIC, &value));
    CHECK("copied without some",
          gh_mqtt_property_copy(&copy, wire,
                                GH_MQTT_PROPERTY_BIT(GH_MQTT_PROPERTY_TOPIC_ALIAS) |
                                    GH_MQTT_PROPERTY_BIT(GH_MQTT_PROPERTY_SUBSCRIPTION_ID) |
                                    GH_MQTT_PROPERTY_BIT(GH_MQTT_PROPERTY_USER)) &&
              gh_slice_equal(gh_buffer_slice(&copy), GH_SLICE("\x01\x01\x02\0\0\x01\x02"
                                                              "\x03\0\x01x\x09\0\x02\0\xff")));
}

/* A property that does not fit leaves nothing of itself. */
static void whole_or_absent(void)
{
    static uint8_t large[65536];
    uint8_t bytes[16];
    struct gh_slice too_long = gh_slice(large, sizeof large);

    for (size_t size = 0; size <= 9; size++) {
        struct gh_buffer out = gh_buffer_fixed(bytes, size);
        bool written = gh_mqtt_property_put_number(&out, GH_MQTT_PROPERTY_WILL_DELAY, 1);
        CHECK("a number", written == (size >= 5) && out.size == (written ? 5 : 0));
        out = gh_buffer_fixed(bytes, size);
        written = gh_mqtt_property_put_number(&out, GH_MQTT_PROPERTY_SUBSCRIPTION_ID, 16384);
        CHECK("an integer", written == (size >= 4) && out.size == (written ? 4 : 0));
        out = gh_buffer_fixed(bytes, size);
        written = gh_mqtt_property_put_text(&out, GH_MQTT_PROPERTY_REASON_STRING, GH_SLICE("abc"));
        CHECK("a text", written == (size >= 6) && out.size == (written ? 6 : 0));
        out = gh_buffer_fixed(bytes, size);
        written = gh_mqtt_property_put_pair(&out, GH_SLICE("ab"), GH_SLICE("cd"));
        CHECK("a pair", written == (size >= 9) && out.size == (written ? 9 : 0));
        CHECK("the overflow is marked", out.overflow == !written);
    }
    struct gh_buffer out = gh_buffer_fixed(bytes, sizeof bytes);
    CHECK("65536 bytes of text",
          !gh_mqtt_property_put_text(&out, GH_MQTT_PROPERTY_REASON_STRING, too_long) &&
              out.overflow && out.size == 0);
    out = gh_buffer_fixed(bytes, sizeof bytes);
    CHECK("65536 bytes of a pair", !gh_mqtt_property_put_pair(&out, GH_SLICE(""), too_long) &&
                                       out.overflow && out.size == 0);
}

int main(void)
{
    for (size_t p = 0; p < GH_COUNT(places); p++) {
        for (size_t r = 0; r < places[p].readers_count; r++) {
            for (size_t i = 0; i < GH_COUNT(rows); i++)
                in_place(&places[p], places[p].readers[r], &rows[i]);
            unknown_identifiers(&places[p], places[p].readers[r]);
        }
    }
    writers_and_walk();
    whole_or_absent();
    return check_report();
}
