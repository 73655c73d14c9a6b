#include "observe/trace_line.h"
#include "tests/check.h"
#include "wire/json.h"
#include <string.h>

/* Bytes written out from MQTT 3.1.1 §3 and MQTT 5.0 §3; each row says what stands in the line, and
 * what must not. */
static const struct {
    const char *claim;
    const char *wire;
    size_t size;
    int version;
    bool inbound, with_payload;
    const char *has[5], *has_not;
} cases[] = {
    {"CONNECT tells names and never the password",
     "\x10\x17\x00\x04MQTT\x04\xc2\x00\x3c\x00\x01"
     "c\x00\x03usr\x00\x03pw!",
     25,
     4,
     true,
     true,
     {"\"type\":\"CONNECT\"", "\"client_id\":\"c\"", "\"user_name\":\"usr\"",
      "\"has_password\":true", "\"keep_alive_s\":60"},
     "pw!"},
    {"CONNACK of 3.1.1",
     "\x20\x02\x01\x05",
     4,
     4,
     false,
     false,
     {"\"direction\":\"out\"", "\"type\":\"CONNACK\"", NULL},
     "reason_name"},
    {"CONNACK of MQTT 5 has the reason's name",
     "\x20\x03\x00\x87\x00",
     5,
     5,
     false,
     false,
     {"\"reason\":\"0x87\"", "\"reason_name\":\"Not authorized\"", "\"session_present\":false"},
     NULL},
    {"a payload is its size",
     "\x32\x09\x00\x03"
     "a/b\x00\x07"
     "hi",
     11,
     4,
     true,
     false,
     {"\"topic\":\"a/b\"", "\"qos\":1", "\"packet_id\":7", "\"payload_size\":2", "\"size\":11"},
     "hi"},
    {"a payload that was asked for",
     "\x32\x09\x00\x03"
     "a/b\x00\x07"
     "hi",
     11,
     4,
     true,
     true,
     {"\"payload\":\"hi\""},
     "base64"},
    {"one that is not text",
     "\x31\x06\x00\x03"
     "a/b\xff",
     8,
     4,
     true,
     true,
     {"\"payload_base64\":\"/w==\"", "\"retain\":true", "\"qos\":0"},
     "packet_id"},
    {"a zero byte is not text either",
     "\x30\x05\x00\x01"
     "a\x00\x03",
     7,
     4,
     true,
     true,
     {"\"payload_base64\":\"AAM=\""},
     "\"payload\":"},
    {"PUBACK",
     "\x40\x02\x00\x07",
     4,
     4,
     false,
     false,
     {"\"type\":\"PUBACK\"", "\"packet_id\":7"},
     "reason"},
    {"PUBREC with its reason",
     "\x50\x03\x00\x07\x97",
     5,
     5,
     false,
     false,
     {"\"type\":\"PUBREC\"", "\"reason\":\"0x97\""},
     NULL},
    {"SUBSCRIBE with options",
     "\x82\x09\x00\x01\x00\x00\x03"
     "a/#\x0e",
     11,
     5,
     true,
     false,
     {"{\"filter\":\"a/#\",\"qos\":2,\"no_local\":true,\"retain_as_published\":true}"},
     NULL},
    {"SUBACK",
     "\x90\x05\x00\x01\x00\x01\x87",
     7,
     5,
     false,
     false,
     {"\"codes\":[\"0x01\",\"0x87\"]", "\"packet_id\":1"},
     NULL},
    {"UNSUBSCRIBE",
     "\xa2\x07\x00\x02\x00\x03"
     "a/b",
     9,
     4,
     true,
     false,
     {"\"filters\":[{\"filter\":\"a/b\"}]"},
     "qos"},
    {"DISCONNECT with the server's words",
     "\xe0\x06\x98\x04\x1f\x00\x01w",
     8,
     5,
     false,
     false,
     {"\"reason\":\"0x98\"", "\"reason_string\":\"w\""},
     NULL},
    {"AUTH is a secret but for its reason",
     "\xf0\x0b\x19\x09\x15\x00\x01m\x16\x00\x02hs",
     13,
     5,
     true,
     true,
     {"\"type\":\"AUTH\"", "\"reason\":\"0x19\""},
     "hs"},
    {"PINGREQ", "\xc0\x00", 2, 4, true, false, {"\"type\":\"PINGREQ\"", "\"size\":2"}, NULL},
    {"a packet that cannot be read",
     "\x82\x05\x00\x00\x00\x01"
     "a",
     7,
     4,
     true,
     false,
     {"\"type\":\"SUBSCRIBE\"", "\"fault\":"},
     "filters"},
    {"no frame at all", "\x00\x00", 2, 4, true, false, {"\"fault\":\"FRAME\""}, "type"},
};

static bool contains(struct gh_slice text, const char *part)
{
    return memmem(text.data, text.size, part, strlen(part)) != NULL;
}

static void check_line(size_t i)
{
    struct gh_buffer line;
    struct gh_trace_packet packet = {.at_ms = 1700000000123,
                                     .inbound = cases[i].inbound,
                                     .version = (enum gh_mqtt_version)cases[i].version,
                                     .bytes = gh_slice(cases[i].wire, cases[i].size),
                                     .address = GH_SLICE("127.0.0.1:4242")};
    gh_buffer_init(&line, GH_TRACE_LINE_BYTES_MAX);
    CHECK(cases[i].claim, gh_trace_line(&packet, cases[i].with_payload, &line));
    struct gh_slice text = gh_buffer_slice(&line);
    CHECK("when and from where", contains(text, "\"at\":\"2023-11-14T22:13:20.123Z\"") &&
                                     contains(text, "\"address\":\"127.0.0.1:4242\""));
    for (size_t n = 0; n < GH_COUNT(cases[i].has) && cases[i].has[n] != NULL; n++)
        CHECK(cases[i].has[n], contains(text, cases[i].has[n]));
    CHECK(cases[i].claim, cases[i].has_not == NULL || !contains(text, cases[i].has_not));
    for (size_t cut = 0; cut < packet.bytes.size; cut++) { /* a cut packet is told, not read */
        struct gh_trace_packet part = packet;
        part.bytes.size = cut;
        gh_buffer_clear(&line);
        CHECK(cases[i].claim,
              gh_trace_line(&part, true, &line) && contains(gh_buffer_slice(&line), "\"fault\""));
    }
    gh_buffer_deinit(&line);
}

/* A long payload is cut; a buffer that is too small is left marked. */
static void check_bounds(void)
{
    static uint8_t wire[10000], payload[4999];
    struct gh_buffer bytes = gh_buffer_fixed(wire, sizeof wire), line;
    struct gh_mqtt_publish publish = {.topic = GH_SLICE("t"),
                                      .payload = gh_slice(payload, sizeof payload)};
    memset(payload, 'x', sizeof payload);
    REQUIRE("a long one", gh_mqtt_write_publish(GH_MQTT_V311, &publish, &bytes));
    struct gh_trace_packet packet = {
        .inbound = true, .version = GH_MQTT_V311, .bytes = gh_buffer_slice(&bytes)};
    gh_buffer_init(&line, GH_TRACE_LINE_BYTES_MAX);
    CHECK("cut", gh_trace_line(&packet, true, &line) &&
                     contains(gh_buffer_slice(&line), "\"payload_cut\":true") &&
                     contains(gh_buffer_slice(&line), "\"payload_size\":4999") &&
                     line.size < GH_TRACE_PAYLOAD_BYTES_MAX + 300);
    gh_buffer_deinit(&line);
    gh_buffer_init(&line, 64);
    CHECK("no room", !gh_trace_line(&packet, false, &line) && line.overflow);
    gh_buffer_deinit(&line);
}

int main(void)
{
    for (size_t i = 0; i < GH_COUNT(cases); i++)
        check_line(i);
    check_bounds();
    return check_report();
}
