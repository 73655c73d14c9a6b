/* Conversations of MQTT 3.1.1, and what both versions share: bounds, time, room. */
#include "session/session_testbed.h"

/* Small numbers, so that scripts reach every limit. */
static const struct gh_session_limits small = {
    .connect_bytes_max = 64,
    .packet_bytes_max = 32,
    .inflight_in_max = 2,
    .inflight_out_max = 2,
    .inflight_out_bytes_max = 1024,
    .connect_ns = 10 * GH_SECOND_NS,
    .idle_ns = 1200 * GH_SECOND_NS,
    .qos_max = 1,
    .repeat_ns = 20 * GH_SECOND_NS,
    .stall_ns = 60 * GH_SECOND_NS,
};
static const struct gh_session_limits two_per_second = {
    .connect_bytes_max = 64,
    .packet_bytes_max = 32,
    .inflight_in_max = 2,
    .inflight_out_max = 2,
    .inflight_out_bytes_max = 1024,
    .messages_per_second = 2,
    .messages_burst = 3,
    .connect_ns = 10 * GH_SECOND_NS,
};

#define CONNECT                                                                                    \
    "\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01"                                                       \
    "a" /* keep-alive 60 s */
#define CONNECT_0                                                                                  \
    "\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01"                                                         \
    "a" /* no keep-alive */
#define CONNACK "\x20\x02\0\0"
#define UP                                                                                         \
    {IN, 0, BYTES(CONNECT), NO_BYTES, "authenticate a keep=60;"},                                  \
    {                                                                                              \
        ADMIT, 0, NO_BYTES, BYTES(CONNACK), NULL                                                   \
    }
#define UP_0                                                                                       \
    {IN, 0, BYTES(CONNECT_0), NO_BYTES, "authenticate a keep=0;"},                                 \
    {                                                                                              \
        ADMIT, 0, NO_BYTES, BYTES(CONNACK), NULL                                                   \
    }

/* §3.1, §3.2: before the session is up. */
static const struct step first_is_not_connect[] = {
    {IN, 0, BYTES("\xc0"), NO_BYTES, "end PROTOCOL;"}, /* [MQTT-3.1.0-1], known from one byte */
    {IN, 0, BYTES("\0"), NO_BYTES, NULL},
    {HELD, 2, NO_BYTES, NO_BYTES, NULL},
    {DUE, -1, NO_BYTES, NO_BYTES, NULL},
};
static const struct step garbage_first[] = {{IN, 0, BYTES("GET /"), NO_BYTES, "end PROTOCOL;"}};
static const struct step connect_in_pieces[] = {
    {IN, 0, BYTES("\x10\x0d\0\x04MQTT\x04"), NO_BYTES, NULL},
    {IN, 0, BYTES("\x02\0\x3c\0\x01"), NO_BYTES, NULL},
    {IN, 0, BYTES("a"), NO_BYTES, "authenticate a keep=60;"},
    {HELD, 0, NO_BYTES, NO_BYTES, NULL},
};
static const struct step connect_too_late[] = {
    {DUE, 0, NO_BYTES, NO_BYTES, NULL},     {AT, 1000, NO_BYTES, NO_BYTES, NULL},
    {DUE, 11000, NO_BYTES, NO_BYTES, NULL}, {IN, 0, BYTES("\x10\x0d\0\x04MQTT"), NO_BYTES, NULL},
    {AT, 10999, NO_BYTES, NO_BYTES, NULL},  {AT, 11000, NO_BYTES, NO_BYTES, "end CONNECT_TIMEOUT;"},
};
static const struct step verdict_too_late[] = {
    {AT, 1000, NO_BYTES, NO_BYTES, NULL},
    {IN, 0, BYTES(CONNECT), NO_BYTES, "authenticate a keep=60;"},
    {DUE, 11000, NO_BYTES, NO_BYTES, NULL},
    {AT, 11000, NO_BYTES, NO_BYTES, "end CONNECT_TIMEOUT;"},
    {ADMIT, 0, NO_BYTES, NO_BYTES, NULL},
};
static const struct step wrong_level[] = {
    {IN, 0,
     BYTES("\x10\x0e\0\x04MQTT\x06\x02\0\0\0\0\x01"
           "a"),
     BYTES("\x20\x02\0\x01"), "end REFUSED;"},
};
static const struct step mqtt_31[] = {
    {IN, 0,
     BYTES("\x10\x0f\0\x06MQIsdp\x03\x02\0\0\0\x01"
           "a"),
     BYTES("\x20\x02\0\x01"), "end REFUSED;"},
};
static const struct step empty_client_id[] = {
    {IN, 0, BYTES("\x10\x0c\0\x04MQTT\x04\0\0\0\0\0"), BYTES("\x20\x02\0\x02"), "end REFUSED;"},
};
static const struct step empty_client_id_clean[] = {
    {IN, 0, BYTES("\x10\x0c\0\x04MQTT\x04\x02\0\0\0\0"), NO_BYTES, "authenticate  keep=0;"},
};
static const struct step not_clean[] = {
    {IN, 0,
     BYTES("\x10\x0d\0\x04MQTT\x04\0\0\x3c\0\x01"
           "a"),
     NO_BYTES, "authenticate a keep=60;"},
    {ADMIT, 0, NO_BYTES, BYTES(CONNACK), NULL}, /* session present 0 */
};
static const struct step malformed_connect[] = {
    {IN, 0,
     BYTES("\x10\x0d\0\x04MQTT\x04\x03\0\x3c\0\x01"
           "a"),
     NO_BYTES, "end PROTOCOL;"},
};
static const struct step connect_too_large[] = {
    {IN, 0, BYTES("\x10\x3f"), NO_BYTES, "end TOO_LARGE;"},
};
static const struct step refused[] = {
    {IN, 0, BYTES(CONNECT), NO_BYTES, "authenticate a keep=60;"},
    {REFUSE, GH_SESSION_REFUSED_UNAUTHORISED, NO_BYTES, BYTES("\x20\x02\0\x05"), "end REFUSED;"},
    {ADMIT, 0, NO_BYTES, NO_BYTES, NULL},
    {SEND0, 1, BYTES("x"), NO_BYTES, NULL},
};
static const struct step pipelined[] = {
    {IN, 0,
     BYTES(CONNECT "\xc0\0\x30\x03\0\x01"
                   "a"),
     NO_BYTES, "authenticate a keep=60;"},
    {HELD, 7, NO_BYTES, NO_BYTES, NULL},
    {SEND0, 1, BYTES("x"), NO_BYTES, NULL}, /* not yet */
    {ADMIT, 0, NO_BYTES, BYTES(CONNACK "\xd0\0"), "heartbeat;publish a= q0 id0;"},
    {HELD, 0, NO_BYTES, NO_BYTES, NULL},
};
static const struct step second_connect[] = {
    UP,
    {IN, 0, BYTES("\x10"), NO_BYTES, "end PROTOCOL;"},
};
static const struct step second_connect_pipelined[] = {
    {IN, 0, BYTES(CONNECT CONNECT), NO_BYTES, "authenticate a keep=60;"},
    {ADMIT, 0, NO_BYTES, BYTES(CONNACK), "end PROTOCOL;"},
};

/* §3.1.2.10: time. */
static const struct step keep_alive[] = {
    UP,
    {DUE, 0, NO_BYTES, NO_BYTES, NULL}, /* time begins anew with the verdict */
    {AT, 5000, NO_BYTES, NO_BYTES, NULL},
    {DUE, 95000, NO_BYTES, NO_BYTES, NULL},
    {AT, 60000, NO_BYTES, NO_BYTES, NULL},
    {IN, 0, BYTES("\xc0\0"), BYTES("\xd0\0"), "heartbeat;"},
    {DUE, 150000, NO_BYTES, NO_BYTES, NULL},
    {IN, 0, BYTES("\x30\x7f"), NO_BYTES, "end TOO_LARGE;"},
};
static const struct step keep_alive_passed[] = {
    UP,
    {AT, 0, NO_BYTES, NO_BYTES, NULL},
    {SEND0, 1, BYTES("x"), BYTES("\x30\x04\0\x01tx"), "delivered 1;"},
    {IN, 0, BYTES("\x30\x03"), NO_BYTES, NULL}, /* half a packet is no packet */
    {AT, 89999, NO_BYTES, NO_BYTES, NULL},
    {AT, 90000, NO_BYTES, NO_BYTES, "end KEEPALIVE;"},
};
static const struct step idle_without_keep_alive[] = {
    UP_0,
    {AT, 1000, NO_BYTES, NO_BYTES, NULL},
    {DUE, 1201000, NO_BYTES, NO_BYTES, NULL},
    {AT, 600000, NO_BYTES, NO_BYTES, NULL},
    {SEND0, 1, BYTES("x"), BYTES("\x30\x04\0\x01tx"), "delivered 1;"},
    {DUE, 1800000, NO_BYTES, NO_BYTES, NULL}, /* a packet to the peer counts */
    {AT, 1800000, NO_BYTES, NO_BYTES, "end IDLE;"},
};

/* §3.3, §4.3: messages in. */
static const struct step qos_0_and_1[] = {
    UP,
    {IN, 0, BYTES("\x30\x04\0\x01tx\x32\x06\0\x01t\0\x07y"), NO_BYTES,
     "publish t=x q0 id0;publish t=y q1 id7;"},
    {ACK, 7, NO_BYTES, BYTES("\x40\x02\0\x07"), NULL},
    {ACK, 7, NO_BYTES, NO_BYTES, NULL},
    {ACK, 8, NO_BYTES, NO_BYTES, NULL},
};
static const struct step qos_2[] = {UP, {IN, 0, BYTES("\x34"), NO_BYTES, "end QOS2;"}};
static const struct step qos_2_pipelined[] = {
    {IN, 0, BYTES(CONNECT "\x3d\x05\0\x01t\0\x01"), NO_BYTES, "authenticate a keep=60;"},
    {ADMIT, 0, NO_BYTES, BYTES(CONNACK), "end QOS2;"},
};
static const struct step qos_2_acknowledged[] = {
    UP,
    {IN, 0, BYTES("\x62\x02\0\x01"), NO_BYTES, "end PROTOCOL;"},
};
static const struct step dup_of_unacknowledged[] = {
    UP,
    {IN, 0, BYTES("\x32\x06\0\x01t\0\x07y\x3a\x06\0\x01t\0\x07y"), NO_BYTES, "publish t=y q1 id7;"},
    {ACK, 7, NO_BYTES, BYTES("\x40\x02\0\x07"), NULL},
    {ACK, 7, NO_BYTES, NO_BYTES, NULL},
    {IN, 0, BYTES("\x3a\x06\0\x01t\0\x07y"), NO_BYTES, "publish t=y q1 id7;"}, /* at least once */
    {ACK, 7, NO_BYTES, BYTES("\x40\x02\0\x07"), NULL},
};
static const struct step same_id_without_dup[] = {
    UP,
    {IN, 0, BYTES("\x32\x06\0\x01t\0\x01y\x32\x06\0\x01t\0\x01z"), NO_BYTES,
     "publish t=y q1 id1;publish t=z q1 id1;"},
    {ACK, 1, NO_BYTES, BYTES("\x40\x02\0\x01"), NULL},
    {ACK, 1, NO_BYTES, BYTES("\x40\x02\0\x01"), NULL},
    {ACK, 1, NO_BYTES, NO_BYTES, NULL},
};
static const struct step inflight_in_full[] = {
    UP,
    {IN, 0, BYTES("\x32\x05\0\x01t\0\x01\x32\x05\0\x01t\0\x02\x32\x05\0\x01t\0\x03\xc0\0"),
     NO_BYTES, "publish t= q1 id1;publish t= q1 id2;"},
    {HELD, 9, NO_BYTES, NO_BYTES, NULL},
    {AT, 86400000, NO_BYTES, NO_BYTES, NULL}, /* we hold the input: the peer is not silent */
    {ACK, 2, NO_BYTES, BYTES("\x40\x02\0\x02\xd0\0"), "publish t= q1 id3;heartbeat;"},
    {HELD, 0, NO_BYTES, NO_BYTES, NULL},
    {DUE, 86490000, NO_BYTES, NO_BYTES, NULL},
    {IN, 0, BYTES("\x3a\x05\0\x01t\0\x03"), NO_BYTES, NULL}, /* a repeat passes when full */
    {HELD, 0, NO_BYTES, NO_BYTES, NULL},
    {ACK, 1, NO_BYTES, BYTES("\x40\x02\0\x01"), NULL},
    {ACK, 3, NO_BYTES, BYTES("\x40\x02\0\x03"), NULL},
};
static const struct step host_ends_over_topic[] = {
    UP,
    {IN, 0,
     BYTES("\x30\x0b\0\x09"
           "forbidden\xc0\0"),
     NO_BYTES, "publish forbidden= q0 id0;end TOPIC_FORBIDDEN;"},
    {IN, 0, BYTES("\xc0\0"), NO_BYTES, NULL},
    {AT, 100000000, NO_BYTES, NO_BYTES, NULL},
};
static const struct step publish_too_large[] = {
    UP,
    {IN, 0, BYTES("\x30\x1f"), NO_BYTES, "end TOO_LARGE;"}, /* 33 of 32 bytes, before the body */
};
static const struct step malformed_publish[] = {
    UP,
    {IN, 0, BYTES("\x30\x03\0\x01#"), NO_BYTES, "end PROTOCOL;"},
};
static const struct step throttled[] = {
    {IN, 0, BYTES(CONNECT_0), NO_BYTES, "authenticate a keep=0;"},
    {ADMIT, 0, NO_BYTES, BYTES(CONNACK), NULL},
    {AT, 10000, NO_BYTES, NO_BYTES, NULL},
    {IN, 0, BYTES("\xc0\0\xc0\0\xc0\0\xc0\0\xc0\0\xc0\0"), BYTES("\xd0\0\xd0\0\xd0\0"),
     "heartbeat;heartbeat;heartbeat;"},
    {HELD, 6, NO_BYTES, NO_BYTES, NULL},
    {DUE, 10500, NO_BYTES, NO_BYTES, NULL},
    {AT, 10499, NO_BYTES, NO_BYTES, NULL},
    {AT, 10500, NO_BYTES, BYTES("\xd0\0"), "heartbeat;"},
    {DUE, 11000, NO_BYTES, NO_BYTES, NULL},
    {AT, 11500, NO_BYTES, BYTES("\xd0\0\xd0\0"), "heartbeat;heartbeat;"},
    {HELD, 0, NO_BYTES, NO_BYTES, NULL},
    {DUE, -1, NO_BYTES, NO_BYTES, NULL},
};
static const struct step slowed_down[] = {
    UP_0,
    {SLOW, 10500, NO_BYTES, NO_BYTES, NULL},
    {AT, 10000, NO_BYTES, NO_BYTES, NULL},
    {SEND1, 5, BYTES("x"), BYTES("\x32\x06\0\x01t\0\x01x"), NULL},
    {IN, 0, BYTES("\x40\x02\0\x01\xc0\0"), NO_BYTES, "delivered 5;"}, /* acks pass */
    {HELD, 2, NO_BYTES, NO_BYTES, NULL},
    {DUE, 10500, NO_BYTES, NO_BYTES, NULL},
    {AT, 10499, NO_BYTES, NO_BYTES, NULL},
    {AT, 10500, NO_BYTES, BYTES("\xd0\0"), "heartbeat;"},
    {HELD, 0, NO_BYTES, NO_BYTES, NULL},
};
static const struct step throttle_spares_acks[] = {
    UP_0,
    {SEND1, 5, BYTES("x"), BYTES("\x32\x06\0\x01t\0\x01x"), NULL},
    {IN, 0, BYTES("\xc0\0\xc0\0\xc0\0"), BYTES("\xd0\0\xd0\0\xd0\0"),
     "heartbeat;heartbeat;heartbeat;"},
    {IN, 0, BYTES("\x40\x02\0\x01\xe0\0"), NO_BYTES, "delivered 5;end CLIENT_CLOSED;"},
};

/* §3.8 to §3.11: subscriptions. */
static const struct step subscriptions[] = {
    UP,
    {IN, 0,
     BYTES("\x82\x0f\0\x0a\0\x01"
           "a\x02\0\x02no\x01\0\x01"
           "b\0"),
     BYTES("\x90\x05\0\x0a\x02\x80\0"), "subscribe a q2;subscribe no q1;subscribe b q0;"},
    {IN, 0,
     BYTES("\xa2\x09\0\x0b\0\x01"
           "a\0\x02no"),
     BYTES("\xb0\x02\0\x0b"), "unsubscribe a;unsubscribe no;"},
};
static const struct step config_behind_suback[] = {
    UP,
    {IN, 0,
     BYTES("\x82\x0b\0\x01\0\x06"
           "config\x01"),
     BYTES("\x90\x03\0\x01\x01\x32\x0b\0\x06"
           "config\0\x01"
           "c"),
     "subscribe config q1;"},
    {IN, 0, BYTES("\x40\x02\0\x01"), NO_BYTES, "delivered 99;"},
};
static const struct step subscribe_nothing[] = {
    UP, {IN, 0, BYTES("\x82\x02\0\x01"), NO_BYTES, "end PROTOCOL;"}, /* [MQTT-3.8.3-3] */
};

/* §3.4, §4.4: messages out. */
static const struct step out_qos_1[] = {
    UP_0,
    {AT, 0, NO_BYTES, NO_BYTES, NULL},
    {SEND1, 11, BYTES("x"), BYTES("\x32\x06\0\x01t\0\x01x"), NULL},
    {AT, 5000, NO_BYTES, NO_BYTES, NULL},
    {SEND1, 12, BYTES("y"), BYTES("\x32\x06\0\x01t\0\x02y"), NULL},
    {FULL1, 13, BYTES("z"), NO_BYTES, NULL},
    {DUE, 20000, NO_BYTES, NO_BYTES, NULL},
    {AT, 19999, NO_BYTES, NO_BYTES, NULL},
    {AT, 20000, NO_BYTES, BYTES("\x3a\x06\0\x01t\0\x01x"), NULL},
    {DUE, 25000, NO_BYTES, NO_BYTES, NULL},
    {AT, 25000, NO_BYTES, BYTES("\x3a\x06\0\x01t\0\x02y"), NULL},
    {IN, 0, BYTES("\x40\x02\0\x02"), NO_BYTES, "delivered 12;"},
    {IN, 0, BYTES("\x40\x02\0\x02"), NO_BYTES, NULL}, /* the answer to the repetition */
    {AT, 40000, NO_BYTES, BYTES("\x3a\x06\0\x01t\0\x01x"), NULL},
    {SEND1, 13, BYTES("z"), BYTES("\x32\x06\0\x01t\0\x03z"), NULL},
    {IN, 0, BYTES("\x40\x02\0\x01\x40\x02\0\x03"), NO_BYTES, "delivered 11;delivered 13;"},
    {DUE, 1240000, NO_BYTES, NO_BYTES, NULL},
};
static const struct step withdrawn[] = {
    UP_0,
    {AT, 0, NO_BYTES, NO_BYTES, NULL},
    {SEND1, 1, BYTES("x"), BYTES("\x32\x06\0\x01t\0\x01x"), NULL},
    {WITHDRAW, 1, NO_BYTES, NO_BYTES, "dropped 1;"},
    {SEND1, 2, BYTES("y"), BYTES("\x32\x06\0\x01t\0\x02y"), NULL},
    {IN, 0, BYTES("\x40\x02\0\x01"), NO_BYTES, NULL}, /* too late, and not for the new one */
    {AT, 20000, NO_BYTES, BYTES("\x3a\x06\0\x01t\0\x02y"), NULL},
    {IN, 0, BYTES("\x40\x02\0\x02"), NO_BYTES, "delivered 2;"},
};
static const struct step dropped_at_end[] = {
    UP,
    {SEND1, 1, BYTES("x"), BYTES("\x32\x06\0\x01t\0\x01x"), NULL},
    {SEND1, 2, BYTES("y"), BYTES("\x32\x06\0\x01t\0\x02y"), NULL},
    {END, GH_SESSION_END_TAKEN_OVER, NO_BYTES, NO_BYTES, "dropped 1;dropped 2;end TAKEN_OVER;"},
    {END, GH_SESSION_END_SHUTDOWN, NO_BYTES, NO_BYTES, NULL},
    {SEND0, 3, BYTES("x"), NO_BYTES, NULL},
    {WITHDRAW, 1, NO_BYTES, NO_BYTES, NULL},
};

/* §3.14 */
static const struct step disconnect[] = {
    UP,
    {IN, 0, BYTES("\x32\x05\0\x01t\0\x01\xe0\0\xc0\0"), NO_BYTES,
     "publish t= q1 id1;end CLIENT_CLOSED;"},
    {HELD, 2, NO_BYTES, NO_BYTES, NULL},
    {ACK, 1, NO_BYTES, NO_BYTES, NULL}, /* after the end nothing is sent */
};

static const struct script scripts[] = {
    {"a first packet that is not CONNECT ends it", &small, SCRIPT(first_is_not_connect)},
    {"HTTP ends it", &small, SCRIPT(garbage_first)},
    {"CONNECT may come in pieces", &small, SCRIPT(connect_in_pieces)},
    {"CONNECT has a time limit", &small, SCRIPT(connect_too_late)},
    {"the verdict has a time limit", &small, SCRIPT(verdict_too_late)},
    {"another level gets CONNACK 1", &small, SCRIPT(wrong_level)},
    {"MQTT 3.1 gets CONNACK 1", &small, SCRIPT(mqtt_31)},
    {"no client id and no clean session gets CONNACK 2", &small, SCRIPT(empty_client_id)},
    {"no client id with clean session is the host's to judge", &small,
     SCRIPT(empty_client_id_clean)},
    {"clean session 0 is treated as 1", &small, SCRIPT(not_clean)},
    {"a malformed CONNECT gets no answer", &small, SCRIPT(malformed_connect)},
    {"a CONNECT over its limit is known by its length", &small, SCRIPT(connect_too_large)},
    {"a refusal ends it", &small, SCRIPT(refused)},
    {"what follows CONNECT waits for the verdict", &small, SCRIPT(pipelined)},
    {"a second CONNECT ends it", &small, SCRIPT(second_connect)},
    {"a second CONNECT in the same bytes ends it", &small, SCRIPT(second_connect_pipelined)},
    {"the keep-alive counts 1.5 times from each packet", &small, SCRIPT(keep_alive)},
    {"the keep-alive passes", &small, SCRIPT(keep_alive_passed)},
    {"idle ends a session without keep-alive", &small, SCRIPT(idle_without_keep_alive)},
    {"PUBACK comes when the host says so, once", &small, SCRIPT(qos_0_and_1)},
    {"QoS 2 ends it", &small, SCRIPT(qos_2)},
    {"QoS 2 behind CONNECT ends it", &small, SCRIPT(qos_2_pipelined)},
    {"PUBREL for nothing ends it", &small, SCRIPT(qos_2_acknowledged)},
    {"a repeat of what waits is dropped", &small, SCRIPT(dup_of_unacknowledged)},
    {"an id used again without DUP is another message", &small, SCRIPT(same_id_without_dup)},
    {"too many unacknowledged messages hold the input", &small, SCRIPT(inflight_in_full)},
    {"the host ends it from inside a callback", &small, SCRIPT(host_ends_over_topic)},
    {"a packet over the limit is known by its length", &small, SCRIPT(publish_too_large)},
    {"a malformed packet ends it", &small, SCRIPT(malformed_publish)},
    {"over its rate the peer waits", &two_per_second, SCRIPT(throttled)},
    {"a peer that is slowed down waits, without a rate", &small, SCRIPT(slowed_down)},
    {"and with one", &two_per_second, SCRIPT(slowed_down)},
    {"acknowledgements do not count against the rate", &two_per_second,
     SCRIPT(throttle_spares_acks)},
    {"each filter has its answer", &small, SCRIPT(subscriptions)},
    {"what is sent on subscribing follows the SUBACK", &small, SCRIPT(config_behind_suback)},
    {"SUBSCRIBE without a filter ends it", &small, SCRIPT(subscribe_nothing)},
    {"QoS 1 is repeated until PUBACK", &small, SCRIPT(out_qos_1)},
    {"what is withdrawn is not repeated", &small, SCRIPT(withdrawn)},
    {"what is in flight is dropped at the end", &small, SCRIPT(dropped_at_end)},
    {"DISCONNECT ends it", &small, SCRIPT(disconnect)},
};

/* The output queue is bounded: input waits for room, answers owed always find it. */
static void room_is_kept(void)
{
    struct world world;
    uint8_t filler[4096] = {0};
    struct gh_slice publish_1 = GH_SLICE("\x32\x05\0\x01t\0\x01"), ping = GH_SLICE("\xc0\0");

    world_begin(&world, &small);
    world.admits = true;
    gh_buffer_put(&world.input, GH_SLICE(CONNECT));
    offer(&world);
    gh_buffer_put(&world.input, publish_1);
    offer(&world);
    gh_buffer_clear(&world.out);
    gh_buffer_clear(&world.events);

    size_t headroom = gh_session_headroom(world.session);
    struct gh_slice fits = gh_slice(filler, world.out.size_max - headroom - 6);
    CHECK("a message that can never fit",
          send_text(&world, gh_slice(filler, 4096), 0, 1) == GH_SESSION_TOO_LARGE);
    CHECK("a message that fits", send_text(&world, fits, 0, 1) == GH_SESSION_SENT);
    CHECK("the next one does not", send_text(&world, GH_SLICE(""), 0, 2) == GH_SESSION_FULL);
    /* Room for the largest answer, a DISCONNECT and 4 of the 5 bytes of the PUBACK that is owed. */
    unsigned acks = small.inflight_in_max + small.inflight_out_max - 1u;
    gh_buffer_put(&world.out, gh_slice(filler, acks * 5 + 1));
    gh_buffer_put(&world.input, ping);
    offer(&world);
    CHECK("input waits for room", world.input.size == ping.size);
    CHECK("until the stall limit", gh_session_deadline_ns(world.session) == small.stall_ns);
    gh_session_acknowledge(world.session, 1, 0, &world.out);
    CHECK("what is owed has room", !world.out.overflow && !gh_session_ended(world.session));
    gh_buffer_clear(&world.out);
    CHECK("drained", gh_session_resumable(world.session, &world.out));
    offer(&world);
    CHECK("input goes on", world.input.size == 0 && world.out.size == 2);

    gh_buffer_put(&world.out, gh_slice(filler, world.out.size_max - 4));
    gh_buffer_put(&world.input, ping);
    world.now_ns = 1000 * GH_SECOND_NS;
    offer(&world);
    gh_buffer_clear(&world.events);
    gh_session_tick(world.session, world.now_ns + small.stall_ns - 1, &world.out);
    CHECK("a peer may be slow", world.events.size == 0);
    gh_session_tick(world.session, world.now_ns + small.stall_ns, &world.out);
    CHECK("but not for ever",
          gh_slice_equal(gh_buffer_slice(&world.events), GH_SLICE("end NETWORK;")));
    world_end(&world);
}

/* Ids pass 65535 and never name two messages at once. */
static void packet_ids_go_round(void)
{
    struct world world;
    uint32_t seen_zero = 0, seen_first = 0;

    world_begin(&world, &small);
    world.admits = true;
    gh_buffer_put(&world.input, GH_SLICE(CONNECT));
    offer(&world);
    send_text(&world, GH_SLICE(""), 1, 1);
    for (unsigned i = 0; i < 2 * 65536; i++) {
        gh_buffer_clear(&world.out);
        send_text(&world, GH_SLICE(""), 1, 2);
        uint16_t id = (uint16_t)(world.out.data[5] << 8 | world.out.data[6]);
        seen_zero += id == 0;
        seen_first += id == 1;
        gh_session_withdraw(world.session, 2);
    }
    CHECK("0 is no id", seen_zero == 0);
    CHECK("an id in flight is passed over", seen_first == 0);
    CHECK("one is left", gh_session_inflight_out(world.session) == 1);
    world_end(&world);
}

/* splitmix64: the seed is the whole state, so that a failure can be repeated. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static const char stream[] =
    CONNECT "\x82\x0b\0\x01\0\x06"
            "config\x01"
            "\x82\x0f\0\x0a\0\x01"
            "a\x02\0\x02no\x01\0\x01"
            "b\0"
            "\x30\x04\0\x01tx"
            "\x32\x06\0\x01t\0\x07y"
            "\x3a\x06\0\x01t\0\x08z"
            "\xc0\0"
            "\x32\x80\x00" /* a length of zero in two bytes, of a packet that lacks its fields */;

static void feed(struct world *world, uint64_t seed)
{
    uint64_t random = seed;
    for (size_t at = 0; at < sizeof stream - 1;) {
        size_t size = seed == 0 ? sizeof stream - 1 : 1 + next_random(&random) % 12;
        struct gh_slice piece = gh_slice_sub(gh_slice(stream, sizeof stream - 1), at, size);
        gh_buffer_put(&world->input, piece);
        offer(world);
        at += piece.size;
    }
}

static void pieces_do_not_matter(void)
{
    struct world whole;
    world_begin(&whole, &small);
    whole.admits = whole.acknowledges = true;
    feed(&whole, 0);
    CHECK("the stream ends in a malformed packet",
          gh_slice_ends(gh_buffer_slice(&whole.events),
                        GH_SLICE("heartbeat;dropped 99;end PROTOCOL;")));
    for (uint64_t seed = 1; seed <= 1000; seed++) {
        struct world pieces;
        world_begin(&pieces, &small);
        pieces.admits = pieces.acknowledges = true;
        feed(&pieces, seed);
        bool same =
            gh_slice_equal(gh_buffer_slice(&pieces.events), gh_buffer_slice(&whole.events)) &&
            gh_slice_equal(gh_buffer_slice(&pieces.out), gh_buffer_slice(&whole.out));
        if (!CHECK("the same in any pieces", same))
            printf("  seed %llu\n", (unsigned long long)seed);
        world_end(&pieces);
    }
    world_end(&whole);
}

static void many_filters(void)
{
    struct world world;
    struct gh_session_limits limits = small;
    struct gh_mqtt_filter filters[GH_SESSION_FILTERS_MAX + 1] = {0};
    struct gh_mqtt_filters first = {.packet_id = 1}, second = {.packet_id = 2};

    limits.packet_bytes_max = 8192;
    for (size_t i = 0; i < GH_COUNT(filters); i++)
        filters[i].filter = GH_SLICE("f");
    world_begin(&world, &limits);
    world.admits = true;
    gh_buffer_put(&world.input, GH_SLICE(CONNECT));
    gh_mqtt_write_filters(GH_MQTT_V311, GH_MQTT_SUBSCRIBE, &first, filters, GH_SESSION_FILTERS_MAX,
                          &world.input);
    offer(&world);
    CHECK("so many filters have as many answers", world.out.size == 4 + 5 + GH_SESSION_FILTERS_MAX);
    gh_buffer_clear(&world.events);
    gh_mqtt_write_filters(GH_MQTT_V311, GH_MQTT_SUBSCRIBE, &second, filters,
                          GH_SESSION_FILTERS_MAX + 1, &world.input);
    offer(&world);
    CHECK("one more ends it",
          gh_slice_equal(gh_buffer_slice(&world.events), GH_SLICE("end TOO_LARGE;")));
    world_end(&world);
}

int main(void)
{
    for (size_t i = 0; i < GH_COUNT(scripts); i++)
        run_script(&scripts[i]);
    room_is_kept();
    packet_ids_go_round();
    pieces_do_not_matter();
    many_filters();
    for (int why = 0; why < GH_SESSION_END_COUNT; why++)
        CHECK("every end has a name", gh_session_end_name((enum gh_session_end)why)[0] != '\0');
    return check_report();
}
