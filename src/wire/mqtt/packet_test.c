#include "wire/mqtt/packet_testbed.h"

#define NONE GH_MQTT_FAULT_NONE

/* Bytes written out from MQTT 3.1.1 chapter 3. */
static const struct testbed_case cases[] = {
    /* §3.1 CONNECT */
    {"CONNECT, client id only", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01"
                   "a"),
     NONE, 0},
    {"CONNECT, figure 3.6 with will, user name and password", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x1a\0\x04MQTT\x04\xce\0\x0a\0\x01"
                   "a\0\x01t\0\x01w\0\x01u\0\x02"
                   "pw"),
     NONE, 0},
    {"CONNECT, retained will with QoS 2", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x12\0\x04MQTT\x04\x36\0\x0a\0\x01"
                   "a\0\x01t\0\0"),
     NONE, 0},
    {"CONNECT, Google's C SDK: flags c2, empty user name", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x12\0\x04MQTT\x04\xc2\0\x14\0\x01"
                   "a\0\0\0\x01p"),
     NONE, 0},
    {"CONNECT, a password is any bytes", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x13\0\x04MQTT\x04\xc2\0\x14\0\x01"
                   "a\0\0\0\x02\0\xff"),
     NONE, 0},
    {"CONNECT, empty client id with clean session", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x0c\0\x04MQTT\x04\x02\0\0\0\0"), NONE, 0},
    {"CONNECT, clean session 0", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x0d\0\x04MQTT\x04\0\0\0\0\x01"
                   "a"),
     NONE, 0},
    {"CONNECT, empty client id without clean session", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x0c\0\x04MQTT\x04\0\0\0\0\0"), GH_MQTT_FAULT_CLIENT_ID, 0},
    {"CONNECT, MQTT 3.1", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x0f\0\x06MQIsdp\x03\x02\0\0\0\x01"
                   "a"),
     GH_MQTT_FAULT_PROTOCOL, 0},
    {"CONNECT, MQTT 6", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x0e\0\x04MQTT\x06\x02\0\0\0\0\x01"
                   "a"),
     GH_MQTT_FAULT_PROTOCOL, 0},
    {"CONNECT, a bridge's level", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x0d\0\x04MQTT\x84\x02\0\0\0\x01"
                   "a"),
     GH_MQTT_FAULT_PROTOCOL, 0},
    {"CONNECT, another protocol", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x0d\0\x04mqtt\x04\x02\0\0\0\x01"
                   "a"),
     GH_MQTT_FAULT_PROTOCOL, 0},
    {"CONNECT, reserved flag", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x0d\0\x04MQTT\x04\x03\0\0\0\x01"
                   "a"),
     GH_MQTT_FAULT_CONNECT_FLAGS, 0},
    {"CONNECT, will QoS without will", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x0d\0\x04MQTT\x04\x0a\0\0\0\x01"
                   "a"),
     GH_MQTT_FAULT_CONNECT_FLAGS, 0},
    {"CONNECT, will retain without will", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x0d\0\x04MQTT\x04\x22\0\0\0\x01"
                   "a"),
     GH_MQTT_FAULT_CONNECT_FLAGS, 0},
    {"CONNECT, will QoS 3", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x12\0\x04MQTT\x04\x1e\0\0\0\x01"
                   "a\0\x01t\0\0"),
     GH_MQTT_FAULT_CONNECT_FLAGS, 0},
    {"CONNECT, will topic with a wildcard", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x12\0\x04MQTT\x04\x06\0\0\0\x01"
                   "a\0\x01#\0\0"),
     GH_MQTT_FAULT_TOPIC, 0},
    {"CONNECT, password without user name", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x10\0\x04MQTT\x04\x42\0\0\0\x01"
                   "a\0\x01p"),
     GH_MQTT_FAULT_PASSWORD_ALONE, 0},
    {"CONNECT, client id is not UTF-8", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01\xff"), GH_MQTT_FAULT_UTF8, 0},
    {"CONNECT, NUL in the client id", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01\0"), GH_MQTT_FAULT_UTF8, 0},
    {"CONNECT, surrogate in the user name", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x12\0\x04MQTT\x04\x82\0\0\0\x01"
                   "a\0\x03\xed\xa0\x80"),
     GH_MQTT_FAULT_UTF8, 0},
    {"CONNECT, a byte behind the payload", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x0e\0\x04MQTT\x04\x02\0\0\0\x01"
                   "ax"),
     GH_MQTT_FAULT_TRAILING, 0},
    {"CONNECT, a password the flags do not name", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x10\x10\0\x04MQTT\x04\x02\0\0\0\x01"
                   "a\0\x01p"),
     GH_MQTT_FAULT_TRAILING, 0},
    {"CONNECT, empty", GH_MQTT_SERVER, GH_SLICE_INIT("\x10\0"), GH_MQTT_FAULT_TRUNCATED, 0},
    {"CONNECT to a client", GH_MQTT_CLIENT,
     GH_SLICE_INIT("\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01"
                   "a"),
     GH_MQTT_FAULT_TYPE, 0},
    /* §3.2 CONNACK */
    {"CONNACK, accepted", GH_MQTT_CLIENT, GH_SLICE_INIT("\x20\x02\0\0"), NONE, 0},
    {"CONNACK, session present", GH_MQTT_CLIENT, GH_SLICE_INIT("\x20\x02\x01\0"), NONE, 0},
    {"CONNACK, not authorised", GH_MQTT_CLIENT, GH_SLICE_INIT("\x20\x02\0\x05"), NONE, 0},
    {"CONNACK, code 6", GH_MQTT_CLIENT, GH_SLICE_INIT("\x20\x02\0\x06"), GH_MQTT_FAULT_CODE, 0},
    {"CONNACK, reserved flags", GH_MQTT_CLIENT, GH_SLICE_INIT("\x20\x02\x02\0"), GH_MQTT_FAULT_CODE,
     0},
    {"CONNACK, refused with session present", GH_MQTT_CLIENT, GH_SLICE_INIT("\x20\x02\x01\x05"),
     GH_MQTT_FAULT_CODE, 0},
    {"CONNACK, three bytes", GH_MQTT_CLIENT, GH_SLICE_INIT("\x20\x03\0\0\0"),
     GH_MQTT_FAULT_TRAILING, 0},
    {"CONNACK to a server", GH_MQTT_SERVER, GH_SLICE_INIT("\x20\x02\0\0"), GH_MQTT_FAULT_TYPE, 0},
    /* §3.3 PUBLISH */
    {"PUBLISH, figure 3.11: QoS 1, id 10", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x32\x07\0\x03"
                   "a/b\0\x0a"),
     NONE, 0},
    {"PUBLISH, QoS 0 with payload", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x30\x07\0\x03"
                   "a/bhi"),
     NONE, 2},
    {"PUBLISH, DUP, retain, QoS 1", GH_MQTT_CLIENT,
     GH_SLICE_INIT("\x3b\x08\0\x03"
                   "a/b\xff\xff!"),
     NONE, 1},
    {"PUBLISH, QoS 2", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x34\x05\0\x01"
                   "a\0\x01"),
     NONE, 0},
    {"PUBLISH, a payload is any bytes", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x30\x05\0\x01"
                   "a\0\xff"),
     NONE, 2},
    {"PUBLISH, DUP at QoS 0", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x38\x03\0\x01"
                   "a"),
     GH_MQTT_FAULT_DUP, 0},
    {"PUBLISH, packet id 0", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x32\x05\0\x01"
                   "a\0\0"),
     GH_MQTT_FAULT_PACKET_ID, 0},
    {"PUBLISH, no topic", GH_MQTT_SERVER, GH_SLICE_INIT("\x30\x02\0\0"), GH_MQTT_FAULT_TOPIC, 0},
    {"PUBLISH, wildcard #", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x30\x05\0\x03"
                   "a/#"),
     GH_MQTT_FAULT_TOPIC, 0},
    {"PUBLISH, wildcard +", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x30\x05\0\x03"
                   "+/a"),
     GH_MQTT_FAULT_TOPIC, 0},
    {"PUBLISH, NUL in the topic", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x30\x04\0\x02"
                   "a\0"),
     GH_MQTT_FAULT_UTF8, 0},
    {"PUBLISH, topic is not UTF-8", GH_MQTT_SERVER, GH_SLICE_INIT("\x30\x04\0\x02\xc3\x28"),
     GH_MQTT_FAULT_UTF8, 0},
    {"PUBLISH, topic longer than the packet", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x30\x03\0\x02"
                   "a"),
     GH_MQTT_FAULT_TRUNCATED, 0},
    {"PUBLISH, QoS 1 without id", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x32\x03\0\x01"
                   "a"),
     GH_MQTT_FAULT_TRUNCATED, 0},
    {"PUBLISH, empty", GH_MQTT_SERVER, GH_SLICE_INIT("\x30\0"), GH_MQTT_FAULT_TRUNCATED, 0},
    /* §3.4 to §3.7, §3.11 */
    {"PUBACK", GH_MQTT_SERVER, GH_SLICE_INIT("\x40\x02\x01\x02"), NONE, 0},
    {"PUBACK to a client", GH_MQTT_CLIENT, GH_SLICE_INIT("\x40\x02\x01\x02"), NONE, 0},
    {"PUBREC", GH_MQTT_SERVER, GH_SLICE_INIT("\x50\x02\0\x01"), NONE, 0},
    {"PUBREL", GH_MQTT_SERVER, GH_SLICE_INIT("\x62\x02\0\x01"), NONE, 0},
    {"PUBCOMP", GH_MQTT_SERVER, GH_SLICE_INIT("\x70\x02\0\x01"), NONE, 0},
    {"UNSUBACK", GH_MQTT_CLIENT, GH_SLICE_INIT("\xb0\x02\0\x01"), NONE, 0},
    {"UNSUBACK to a server", GH_MQTT_SERVER, GH_SLICE_INIT("\xb0\x02\0\x01"), GH_MQTT_FAULT_TYPE,
     0},
    {"PUBACK, id 0", GH_MQTT_SERVER, GH_SLICE_INIT("\x40\x02\0\0"), GH_MQTT_FAULT_PACKET_ID, 0},
    {"PUBACK, three bytes as in MQTT 5", GH_MQTT_SERVER, GH_SLICE_INIT("\x40\x03\0\x01\0"),
     GH_MQTT_FAULT_TRAILING, 0},
    {"PUBACK, empty", GH_MQTT_SERVER, GH_SLICE_INIT("\x40\0"), GH_MQTT_FAULT_TRUNCATED, 0},
    /* §3.8 SUBSCRIBE */
    {"SUBSCRIBE, figure 3.23: a/b QoS 1, c/d QoS 2", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x82\x0e\0\x0a\0\x03"
                   "a/b\x01\0\x03"
                   "c/d\x02"),
     NONE, 1},
    {"SUBSCRIBE, wildcards", GH_MQTT_SERVER, GH_SLICE_INIT("\x82\x0a\0\x01\0\x05+/a/#\0"), NONE, 0},
    {"SUBSCRIBE, no filter", GH_MQTT_SERVER, GH_SLICE_INIT("\x82\x02\0\x01"),
     GH_MQTT_FAULT_NO_FILTER, 0},
    {"SUBSCRIBE, id 0", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x82\x06\0\0\0\x01"
                   "a\0"),
     GH_MQTT_FAULT_PACKET_ID, 0},
    {"SUBSCRIBE, QoS 3", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x82\x06\0\x01\0\x01"
                   "a\x03"),
     GH_MQTT_FAULT_QOS, 0},
    {"SUBSCRIBE, reserved bits of the QoS", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x82\x06\0\x01\0\x01"
                   "a\x04"),
     GH_MQTT_FAULT_QOS, 0},
    {"SUBSCRIBE, the second QoS is wrong", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x82\x0a\0\x01\0\x01"
                   "a\x01\0\x01"
                   "b\x80"),
     GH_MQTT_FAULT_QOS, 0},
    {"SUBSCRIBE, empty filter", GH_MQTT_SERVER, GH_SLICE_INIT("\x82\x05\0\x01\0\0\0"),
     GH_MQTT_FAULT_FILTER, 0},
    {"SUBSCRIBE, # inside", GH_MQTT_SERVER, GH_SLICE_INIT("\x82\x08\0\x01\0\x03#/a\0"),
     GH_MQTT_FAULT_FILTER, 0},
    {"SUBSCRIBE, filter is not UTF-8", GH_MQTT_SERVER, GH_SLICE_INIT("\x82\x06\0\x01\0\x01\x80\0"),
     GH_MQTT_FAULT_UTF8, 0},
    {"SUBSCRIBE, filter without QoS", GH_MQTT_SERVER,
     GH_SLICE_INIT("\x82\x05\0\x01\0\x01"
                   "a"),
     GH_MQTT_FAULT_TRUNCATED, 0},
    {"SUBSCRIBE to a client", GH_MQTT_CLIENT,
     GH_SLICE_INIT("\x82\x06\0\x01\0\x01"
                   "a\0"),
     GH_MQTT_FAULT_TYPE, 0},
    /* §3.9 SUBACK */
    {"SUBACK, every code", GH_MQTT_CLIENT, GH_SLICE_INIT("\x90\x06\0\x01\0\x01\x02\x80"), NONE, 3},
    {"SUBACK, code 3", GH_MQTT_CLIENT, GH_SLICE_INIT("\x90\x03\0\x01\x03"), GH_MQTT_FAULT_CODE, 0},
    {"SUBACK, code 81", GH_MQTT_CLIENT, GH_SLICE_INIT("\x90\x03\0\x01\x81"), GH_MQTT_FAULT_CODE, 0},
    {"SUBACK, no code", GH_MQTT_CLIENT, GH_SLICE_INIT("\x90\x02\0\x01"), GH_MQTT_FAULT_TRUNCATED,
     0},
    {"SUBACK, id 0", GH_MQTT_CLIENT, GH_SLICE_INIT("\x90\x03\0\0\0"), GH_MQTT_FAULT_PACKET_ID, 0},
    /* §3.10 UNSUBSCRIBE */
    {"UNSUBSCRIBE, figure 3.30: a/b, c/d", GH_MQTT_SERVER,
     GH_SLICE_INIT("\xa2\x0c\0\x0a\0\x03"
                   "a/b\0\x03"
                   "c/d"),
     NONE, 1},
    {"UNSUBSCRIBE, no filter", GH_MQTT_SERVER, GH_SLICE_INIT("\xa2\x02\0\x01"),
     GH_MQTT_FAULT_NO_FILTER, 0},
    {"UNSUBSCRIBE, id 0", GH_MQTT_SERVER,
     GH_SLICE_INIT("\xa2\x05\0\0\0\x01"
                   "a"),
     GH_MQTT_FAULT_PACKET_ID, 0},
    {"UNSUBSCRIBE, a wildcard inside a level", GH_MQTT_SERVER,
     GH_SLICE_INIT("\xa2\x06\0\x01\0\x02"
                   "a+"),
     GH_MQTT_FAULT_FILTER, 0},
    /* §3.12 to §3.14, and AUTH of MQTT 5 */
    {"PINGREQ", GH_MQTT_SERVER, GH_SLICE_INIT("\xc0\0"), NONE, 0},
    {"PINGREQ with a body", GH_MQTT_SERVER, GH_SLICE_INIT("\xc0\x01x"), GH_MQTT_FAULT_TRAILING, 0},
    {"PINGREQ to a client", GH_MQTT_CLIENT, GH_SLICE_INIT("\xc0\0"), GH_MQTT_FAULT_TYPE, 0},
    {"PINGRESP", GH_MQTT_CLIENT, GH_SLICE_INIT("\xd0\0"), NONE, 0},
    {"PINGRESP to a server", GH_MQTT_SERVER, GH_SLICE_INIT("\xd0\0"), GH_MQTT_FAULT_TYPE, 0},
    {"DISCONNECT", GH_MQTT_SERVER, GH_SLICE_INIT("\xe0\0"), NONE, 0},
    {"DISCONNECT with a reason as in MQTT 5", GH_MQTT_SERVER, GH_SLICE_INIT("\xe0\x01\0"),
     GH_MQTT_FAULT_TRAILING, 0},
    {"DISCONNECT to a client", GH_MQTT_CLIENT, GH_SLICE_INIT("\xe0\0"), GH_MQTT_FAULT_TYPE, 0},
    {"AUTH to a server", GH_MQTT_SERVER, GH_SLICE_INIT("\xf0\0"), GH_MQTT_FAULT_TYPE, 0},
    {"AUTH to a client", GH_MQTT_CLIENT, GH_SLICE_INIT("\xf0\0"), GH_MQTT_FAULT_TYPE, 0},
};

static void connect_fields(void)
{
    struct gh_slice wire = cases[1].wire;
    struct gh_mqtt_frame frame;
    struct gh_mqtt_packet packet;
    REQUIRE("a frame", gh_mqtt_frame_read(wire, 128, &frame) == GH_MQTT_FRAME_OK);
    REQUIRE("a packet", gh_mqtt_packet_read(&frame, GH_MQTT_V311, GH_MQTT_SERVER, &packet) == NONE);
    const struct gh_mqtt_connect *c = &packet.connect;
    CHECK("level and keep-alive", c->level == 4 && c->keep_alive_s == 10 && c->clean);
    CHECK("client id", gh_slice_equal(c->client_id, GH_SLICE("a")));
    CHECK("will", c->has_will && c->will_qos == 1 && !c->will_retain &&
                      gh_slice_equal(c->will_topic, GH_SLICE("t")) &&
                      gh_slice_equal(c->will_payload, GH_SLICE("w")));
    CHECK("user name", c->has_user_name && gh_slice_equal(c->user_name, GH_SLICE("u")));
    CHECK("password", c->has_password && gh_slice_equal(c->password, GH_SLICE("pw")));
}

/* Sizes around each step of the length (§2.2.3, table 2.4), as far as memory is small. */
static void lengths(void)
{
    static const size_t bodies[] = {3, 127, 128, 129, 16383, 16384, 16385, 2097151, 2097152};
    static uint8_t payload[2097152];
    for (size_t i = 0; i < GH_COUNT(bodies); i++) {
        struct gh_mqtt_publish publish = {.topic = GH_SLICE("a"),
                                          .payload = gh_slice(payload, bodies[i] - 3)};
        struct gh_mqtt_frame frame = {0};
        struct gh_buffer out;
        gh_buffer_init(&out, 3 << 20);
        CHECK("written", gh_mqtt_write_publish(GH_MQTT_V311, &publish, &out));
        CHECK("of the size foretold", out.size == gh_mqtt_publish_size(GH_MQTT_V311, &publish));
        CHECK("read",
              gh_mqtt_frame_read(gh_buffer_slice(&out), out.size, &frame) == GH_MQTT_FRAME_OK);
        CHECK("body", frame.body.size == bodies[i]);
        gh_buffer_deinit(&out);
    }
}

static void fields_over_the_limit(void)
{
    static uint8_t bytes[65536];
    struct gh_slice large = gh_slice(bytes, sizeof bytes);
    struct gh_buffer out;
    struct gh_mqtt_filters head = {.packet_id = 1};
    struct gh_mqtt_filter filter = {.filter = large};
    gh_buffer_init(&out, 1 << 20);
    CHECK("a topic of 65536 bytes",
          !gh_mqtt_write_publish(GH_MQTT_V311, &(struct gh_mqtt_publish){.topic = large}, &out) &&
              out.overflow);
    gh_buffer_clear(&out);
    CHECK("a client id of 65536 bytes",
          !gh_mqtt_write_connect(
              &(struct gh_mqtt_connect){.version = GH_MQTT_V311, .client_id = large}, &out) &&
              out.overflow);
    gh_buffer_clear(&out);
    CHECK("a filter of 65536 bytes",
          !gh_mqtt_write_filters(GH_MQTT_V311, GH_MQTT_SUBSCRIBE, &head, &filter, 1, &out) &&
              out.overflow);
    CHECK("nothing was written", out.size == 0);
    gh_buffer_deinit(&out);
}

int main(void)
{
    for (size_t i = 0; i < GH_COUNT(cases); i++)
        testbed_run(GH_MQTT_V311, &cases[i], cases[i].wire);
    connect_fields();
    lengths();
    fields_over_the_limit();
    return check_report();
}
