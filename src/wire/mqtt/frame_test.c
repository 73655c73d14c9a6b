#include "tests/check.h"
#include "wire/mqtt/frame.h"
#include <string.h>

/* Bytes written out from MQTT 3.1.1 §2.2, §3.3, §3.8 and §3.12. */
static const struct {
    const char *claim;
    const char *wire;
    size_t size, size_max;
    enum gh_mqtt_frame_status status;
} cases[] = {
    {"PINGREQ has no body", "\xc0\x00", 2, 64, GH_MQTT_FRAME_OK},
    {"PUBLISH a/b, QoS 0, payload hi",
     "\x30\x07\x00\x03"
     "a/bhi",
     9, 64, GH_MQTT_FRAME_OK},
    {"a frame of exactly the limit passes",
     "\x30\x07\x00\x03"
     "a/bhi",
     9, 9, GH_MQTT_FRAME_OK},
    {"one byte over the limit does not",
     "\x30\x07\x00\x03"
     "a/bhi",
     9, 8, GH_MQTT_FRAME_TOO_LARGE},
    {"too large is known before the body", "\x30\xff\xff\x7f", 4, 1024, GH_MQTT_FRAME_TOO_LARGE},
    {"the largest length there is", "\x30\xff\xff\xff\x7f", 5, 1024, GH_MQTT_FRAME_TOO_LARGE},
    {"a length has four bytes at most", "\x30\xff\xff\xff\xff\x01", 6, 64, GH_MQTT_FRAME_MALFORMED},
    {"a length may be longer than it needs (§2.2.3 does not forbid it)", "\xc0\x80\x00", 3, 64,
     GH_MQTT_FRAME_OK},
    {"SUBSCRIBE without its flag 0x02", "\x80\x00", 2, 64, GH_MQTT_FRAME_MALFORMED},
    {"SUBSCRIBE with its flag", "\x82\x00", 2, 64, GH_MQTT_FRAME_OK},
    {"UNSUBSCRIBE without its flag", "\xa0\x00", 2, 64, GH_MQTT_FRAME_MALFORMED},
    {"PUBREL without its flag", "\x60\x02\x00\x01", 4, 64, GH_MQTT_FRAME_MALFORMED},
    {"PUBREL with its flag", "\x62\x02\x00\x01", 4, 64, GH_MQTT_FRAME_OK},
    {"CONNECT with a flag", "\x11\x00", 2, 64, GH_MQTT_FRAME_MALFORMED},
    {"DISCONNECT with a flag", "\xe1\x00", 2, 64, GH_MQTT_FRAME_MALFORMED},
    {"PUBLISH with QoS 3", "\x36\x00", 2, 64, GH_MQTT_FRAME_MALFORMED},
    {"type 0 is reserved", "\x00\x00", 2, 64, GH_MQTT_FRAME_MALFORMED},
    {"AUTH is a frame", "\xf0\x00", 2, 64, GH_MQTT_FRAME_OK},
    {"an HTTP request", "GET / HTTP/1.1\r\n", 16, 64, GH_MQTT_FRAME_MALFORMED},
    {"a TLS client hello", "\x16\x03\x01\x02\x00", 5, 64, GH_MQTT_FRAME_MALFORMED},
};

int main(void)
{
    for (size_t i = 0; i < GH_COUNT(cases); i++) {
        struct gh_mqtt_frame frame = {0};
        struct gh_slice wire = gh_slice(cases[i].wire, cases[i].size);
        size_t size_max = cases[i].size_max;
        CHECK(cases[i].claim, gh_mqtt_frame_read(wire, size_max, &frame) == cases[i].status);
        if (cases[i].status != GH_MQTT_FRAME_OK)
            continue;
        CHECK(cases[i].claim, frame.size == wire.size);
        for (size_t cut = 0; cut < wire.size; cut++) /* every prefix waits for the rest */
            CHECK(cases[i].claim, gh_mqtt_frame_read(gh_slice(wire.data, cut), size_max, &frame) ==
                                      GH_MQTT_FRAME_MORE);
    }
    CHECK("types have names", strcmp(gh_mqtt_type_name(GH_MQTT_AUTH), "AUTH") == 0);
    CHECK("and what is none has not",
          strcmp(gh_mqtt_type_name((enum gh_mqtt_type)0), "reserved") == 0);
    return check_report();
}
