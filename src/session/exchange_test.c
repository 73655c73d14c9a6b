/* The exchanges of QoS 1 and 2 in both directions and both versions (3.1.1 §4.3, 5.0 §4.3, §4.9).
 */
#include "session/session_testbed.h"

#define LIMITS                                                                                     \
    .connect_bytes_max = 128, .packet_bytes_max = 64, .inflight_in_max = 2, .inflight_out_max = 2, \
    .inflight_out_bytes_max = 1024, .qos_max = 2, .connect_ns = 10 * GH_SECOND_NS,                 \
    .stall_ns = 60 * GH_SECOND_NS
static const struct gh_session_limits limits = {LIMITS};
#define WIDE_LIMITS                                                                                \
    .connect_bytes_max = 128, .packet_bytes_max = 64, .inflight_in_max = 2, .inflight_out_max = 9, \
    .qos_max = 2, .connect_ns = 10 * GH_SECOND_NS
static const struct gh_session_limits repeating = {LIMITS, .repeat_ns = 20 * GH_SECOND_NS};

#define CONNECT                                                                                    \
    "\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01"                                                         \
    "a"
/* Without reason strings. */
#define CONNECT_5                                                                                  \
    "\x10\x10\0\x04MQTT\x05\x02\0\0\x02\x17\0\0\x01"                                               \
    "a"
/* The same with Receive Maximum 1. */
#define CONNECT_5_ONE                                                                              \
    "\x10\x13\0\x04MQTT\x05\x02\0\0\x05\x17\0\x21\0\x01\0\x01"                                     \
    "a"
#define CONNACK_5 "\x20\x0b\0\0\x08\x21\0\x02\x27\0\0\0\x40"
#define UP TOLD(CONNECT, "authenticate a keep=0;"), DOES(ADMIT, 0, "\x20\x02\0\0")
#define UP_5 TOLD(CONNECT_5, "authenticate a keep=0;"), DOES(ADMIT, 0, CONNACK_5)
#define UP_5_ONE TOLD(CONNECT_5_ONE, "authenticate a keep=0;"), DOES(ADMIT, 0, CONNACK_5)

/* From the peer. */

static const struct step taken[] = {
    UP,
    TOLD("\x34\x06\0\x01t\0\x07y", "publish t=y q2 id7;"),
    DOES(ACK, 7, "\x50\x02\0\x07"),
    DOES(ACK, 7, ""),
    BOTH("\x62\x02\0\x07", "\x70\x02\0\x07", "release 7;"),
    TOLD("\x34\x06\0\x01t\0\x07z", "publish t=z q2 id7;"), /* the id is free */
};
/* Two answers may be due: what is forgone makes room as an answer does. */
static const struct step forgone[] = {
    UP,
    {WAIT, 1, NO_BYTES, NO_BYTES, NULL},
    TOLD("\x32\x06\0\x01t\0\x01y", "publish t=y q1 id1;"),
    TOLD("\x32\x06\0\x01t\0\x02y", "publish t=y q1 id2;"),
    DOES(FORGO, 1, ""),
    TOLD("\x32\x06\0\x01t\0\x01z", "publish t=z q1 id1;"), /* the id is free */
    DOES(FORGO, 7, ""),
    DOES(ACK, 2, "\x40\x02\0\x02"),
    DOES(ACK, 1, "\x40\x02\0\x01"),
};
static const struct step taken_5[] = {
    UP_5,
    TOLD("\x34\x07\0\x01t\0\x07\0y", "publish t=y q2 id7;"),
    {ANSWER, 7, BYTES("\x10"), BYTES("\x50\x03\0\x07\x10"), NULL},
    BOTH("\x62\x02\0\x07", "\x70\x02\0\x07", "release 7;"),
    TOLD("\x34\x07\0\x01t\0\x07\0z", "publish t=z q2 id7;"), /* [MQTT-4.3.3-12] */
};
static const struct step taken_slowly[] = {
    UP,
    {WAIT, 1, NO_BYTES, NO_BYTES, NULL},
    TOLD("\x34\x06\0\x01t\0\x07y", "publish t=y q2 id7;"),
    BOTH("\x3c\x06\0\x01t\0\x07y", "", NULL), /* the PUBREC to come answers both */
    BOTH("\x34\x06\0\x01t\0\x07y", "", NULL), /* with DUP or without */
    DOES(COMPLETE, 7, ""),
    DOES(ACK, 7, "\x50\x02\0\x07"),
    BOTH("\x3c\x06\0\x01t\0\x07y", "\x50\x02\0\x07", NULL), /* [MQTT-4.3.3-10] */
    TOLD("\x62\x02\0\x07", "release 7;"),
    BOTH("\x62\x02\0\x07", "", NULL),
    BOTH("\x3c\x06\0\x01t\0\x07y", "\x50\x02\0\x07", NULL), /* until the PUBCOMP */
    DOES(ACK, 7, ""),
    DOES(COMPLETE, 7, "\x70\x02\0\x07"),
    DOES(COMPLETE, 7, ""),
    BOTH("\x62\x02\0\x07", "\x70\x02\0\x07", NULL), /* the PUBCOMP was lost */
};
static const struct step refused_5[] = {
    UP_5,
    TOLD("\x34\x07\0\x01t\0\x07\0y", "publish t=y q2 id7;"),
    {ANSWER, 7, BYTES("\x87"), BYTES("\x50\x03\0\x07\x87"), NULL},
    TOLD("\x34\x07\0\x01t\0\x07\0y", "publish t=y q2 id7;"), /* [MQTT-4.3.3-9] */
    DOES(ACK, 7, "\x50\x02\0\x07"),
    TOLD("\x32\x07\0\x01t\0\x08\0y", "publish t=y q1 id8;"),
    {ANSWER, 8, BYTES("\x97"), BYTES("\x40\x03\0\x08\x97"), NULL},
};
static const struct step no_subscribers[] = {
    UP,
    TOLD("\x32\x06\0\x01t\0\x07y", "publish t=y q1 id7;"),
    {ANSWER, 7, BYTES("\x10"), BYTES("\x40\x02\0\x07"), NULL},
};
static const struct step released_nothing[] = {UP, BOTH("\x62\x02\0\x09", "\x70\x02\0\x09", NULL)};
static const struct step released_nothing_5[] = {
    UP_5,
    BOTH("\x62\x02\0\x09", "\x70\x03\0\x09\x92", NULL),
    TOLD("\x32\x07\0\x01t\0\x09\0y", "publish t=y q1 id9;"),
    BOTH("\x62\x02\0\x09", "\x70\x03\0\x09\x92", NULL), /* QoS 1 is not released */
    DOES(ACK, 9, "\x40\x02\0\x09"),
};
static const struct step released_early[] = {
    UP,
    TOLD("\x34\x06\0\x01t\0\x07y", "publish t=y q2 id7;"),
    TOLD("\x62\x02\0\x07", "end PROTOCOL;"),
};
static const struct step released_early_5[] = {
    UP_5,
    TOLD("\x34\x07\0\x01t\0\x07\0y", "publish t=y q2 id7;"),
    BOTH("\x62\x02\0\x07", "\xe0\x01\x82", "end PROTOCOL;"),
};
static const struct step id_in_use[] = {
    UP,
    TOLD("\x32\x06\0\x01t\0\x07y", "publish t=y q1 id7;"),
    TOLD("\x34\x06\0\x01t\0\x07y", "end PROTOCOL;"),
};
static const struct step id_in_use_5[] = {
    UP_5,
    TOLD("\x32\x07\0\x01t\0\x07\0y", "publish t=y q1 id7;"),
    BOTH("\x34\x07\0\x01t\0\x07\0y", "\x50\x03\0\x07\x91", NULL),
    DOES(ACK, 7, "\x40\x02\0\x07"),
    TOLD("\x34\x07\0\x01t\0\x07\0y", "publish t=y q2 id7;"),
    DOES(ACK, 7, "\x50\x02\0\x07"),
    BOTH("\x32\x07\0\x01t\0\x07\0y", "\x40\x03\0\x07\x91", NULL),
};

static const uint16_t before[] = {7, 3};
static const struct gh_session_admission with_received = {.session_present = true,
                                                          .received = before,
                                                          .received_count = 2,
                                                          .retain_available = true,
                                                          .wildcard_available = true,
                                                          .identifiers_available = true,
                                                          .shared_available = true};
static const struct step taken_before[] = {
    TOLD("\x10\x0d\0\x04MQTT\x04\0\0\0\0\x01"
         "a",
         "authenticate a keep=0;"),
    {ADMIT, 0, WITH(with_received), BYTES("\x20\x02\1\0"), NULL},
    BOTH("\x3c\x06\0\x01t\0\x07y", "\x50\x02\0\x07", NULL), /* its PUBREC was lost */
    BOTH("\x62\x02\0\x03", "\x70\x02\0\x03", "release 3;"), /* its PUBREL was lost */
    BOTH("\x62\x02\0\x07", "\x70\x02\0\x07", "release 7;"),
    TOLD("\x34\x06\0\x01t\0\x07z", "publish t=z q2 id7;"),
};
static const struct step taken_before_5[] = {
    TOLD("\x10\x10\0\x04MQTT\x05\0\0\0\x02\x17\0\0\x01"
         "a",
         "authenticate a keep=0;"),
    {ADMIT, 0, WITH(with_received), BYTES("\x20\x0b\1\0\x08\x21\0\x02\x27\0\0\0\x40"), NULL},
    TOLD("\x32\x06\0\x01t\0\x01\0", "publish t= q1 id1;"),
    BOTH("\x3c\x06\0\x01t\0\x07\0", "\x50\x02\0\x07", NULL),
    /* Two of this connection wait: the ids of before are none of them until sent again. */
    BOTH("\x62\x02\0\x03", "\x70\x02\0\x03", "release 3;"),
    BOTH("\x32\x06\0\x01t\0\x02\0", "\xe0\x01\x93", "end RECEIVE_MAX;"),
};

/* As long as the host owes answers the input waits; ids that only wait for PUBREL hold nothing,
 * because the PUBREL may stand behind a hundred publishes. */
static const struct step held[] = {
    UP,
    {WAIT, 1, NO_BYTES, NO_BYTES, NULL},
    TOLD("\x34\x05\0\x01t\0\x01\x34\x05\0\x01t\0\x02\x34\x05\0\x01t\0\x03",
         "publish t= q2 id1;publish t= q2 id2;"),
    {HELD, 7, NO_BYTES, NO_BYTES, NULL},
    {ACK, 1, NO_BYTES, BYTES("\x50\x02\0\x01"), "publish t= q2 id3;"},
    DOES(ACK, 2, "\x50\x02\0\x02"),
    TOLD("\x62\x02\0\x01", "release 1;"),
    BOTH("\x62\x02\0\x02", "", NULL), /* a release is work of the host as well */
    {HELD, 4, NO_BYTES, NO_BYTES, NULL},
    {COMPLETE, 1, NO_BYTES, BYTES("\x70\x02\0\x01"), "release 2;"},
    {HELD, 0, NO_BYTES, NO_BYTES, NULL},
};
static const struct step over_receive_max[] = {
    UP_5,
    TOLD("\x34\x06\0\x01t\0\x01\0\x32\x06\0\x01t\0\x02\0", "publish t= q2 id1;publish t= q1 id2;"),
    DOES(ACK, 1, "\x50\x02\0\x01"),                        /* PUBREC leaves it in the count */
    DOES(ACK, 2, "\x40\x02\0\x02"),                        /* PUBACK does not */
    TOLD("\x30\x04\0\x01t\0", "publish t= q0 id0;"),       /* nor does QoS 0 count */
    TOLD("\x32\x06\0\x01t\0\x02\0", "publish t= q1 id2;"), /* two again */
    BOTH("\x62\x02\0\x01", "\x70\x02\0\x01", "release 1;"),
    TOLD("\x34\x06\0\x01t\0\x03\0", "publish t= q2 id3;"),
    {ANSWER, 3, BYTES("\x80"), BYTES("\x50\x03\0\x03\x80"), NULL},
    TOLD("\x34\x06\0\x01t\0\x04\0", "publish t= q2 id4;"),
    BOTH("\x34\x06\0\x01t\0\x05\0", "\xe0\x01\x93", "end RECEIVE_MAX;"), /* [MQTT-3.3.4-7] */
};

/* To the peer. */

static const struct step sent[] = {
    UP,
    {SEND2, 5, BYTES("x"), BYTES("\x34\x06\0\x01t\0\x01x"), NULL},
    BOTH("\x50\x02\0\x01", "\x62\x02\0\x01", "received 5;"),
    TOLD("\x70\x02\0\x01", "delivered 5;"),
    BOTH("\x70\x02\0\x01", "", NULL),
};
static const struct step sent_5[] = {
    UP_5,
    {SEND2, 5, BYTES("x"), BYTES("\x34\x07\0\x01t\0\x01\0x"), NULL},
    BOTH("\x50\x02\0\x01", "\x62\x02\0\x01", "received 5;"),
    TOLD("\x70\x03\0\x01\x92", "delivered 5;"), /* a PUBCOMP is the end, whatever it says */
};
static const struct step sent_slowly[] = {
    UP,
    {WAIT, 1, NO_BYTES, NO_BYTES, NULL},
    {SEND2, 5, BYTES("x"), BYTES("\x34\x06\0\x01t\0\x01x"), NULL},
    DOES(RELEASE, 5, ""),
    TOLD("\x50\x02\0\x01", "received 5;"),
    BOTH("\x50\x02\0\x01", "", NULL),
    DOES(RELEASE, 6, ""),
    DOES(RELEASE, 5, "\x62\x02\0\x01"),
    DOES(RELEASE, 5, ""),
    BOTH("\x50\x02\0\x01", "\x62\x02\0\x01", NULL), /* the PUBREL was lost */
    TOLD("\x70\x02\0\x01", "delivered 5;"),
};
static const struct step refused_by_peer[] = {
    UP_5,
    {SEND2, 5, BYTES(""), BYTES("\x34\x06\0\x01t\0\x01\0"), NULL},
    {SEND1, 6, BYTES(""), BYTES("\x32\x06\0\x01t\0\x02\0"), NULL},
    TOLD("\x50\x03\0\x01\x87", "delivered 5;"), /* [MQTT-4.4.0-2] */
    TOLD("\x40\x03\0\x02\x97", "delivered 6;"),
    BOTH("\x50\x02\0\x01", "\x62\x03\0\x01\x92", NULL),
    BOTH("\x50\x03\0\x01\x87", "", NULL),
};
static const struct step received_nothing[] = {
    UP,
    BOTH("\x50\x02\0\x09", "\x62\x02\0\x09", NULL), /* so that the peer can forget it */
    BOTH("\x70\x02\0\x09", "", NULL),
};
static const struct step completed_early[] = {
    UP,
    {SEND2, 5, BYTES("x"), BYTES("\x34\x06\0\x01t\0\x01x"), NULL},
    TOLD("\x70\x02\0\x01", "dropped 5;end PROTOCOL;"),
};
static const struct step completed_before_release[] = {
    UP_5,
    {WAIT, 1, NO_BYTES, NO_BYTES, NULL},
    {SEND2, 5, BYTES("x"), BYTES("\x34\x07\0\x01t\0\x01\0x"), NULL},
    TOLD("\x50\x02\0\x01", "received 5;"),
    BOTH("\x70\x02\0\x01", "\xe0\x01\x82", "dropped 5;end PROTOCOL;"),
};
static const struct step puback_for_qos2[] = {
    UP,
    {SEND2, 5, BYTES("x"), BYTES("\x34\x06\0\x01t\0\x01x"), NULL},
    TOLD("\x40\x02\0\x01", "dropped 5;end PROTOCOL;"),
};
static const struct step pubrec_for_qos1[] = {
    UP,
    {SEND1, 5, BYTES("x"), BYTES("\x32\x06\0\x01t\0\x01x"), NULL},
    TOLD("\x50\x02\0\x01", "dropped 5;end PROTOCOL;"),
};
static const struct gh_session_limits wide = {WIDE_LIMITS};
static const struct gh_session_admission wider = {.limits = &wide,
                                                  .retain_available = true,
                                                  .wildcard_available = true,
                                                  .identifiers_available = true,
                                                  .shared_available = true};
static const struct step peers_receive_max[] = {
    UP_5_ONE,
    {SEND2, 5, BYTES(""), BYTES("\x34\x06\0\x01t\0\x01\0"), NULL},
    {FULL1, 6, BYTES(""), NO_BYTES, NULL},
    {SEND0, 7, BYTES(""), BYTES("\x30\x04\0\x01t\0"), "delivered 7;"},
    BOTH("\x50\x02\0\x01", "\x62\x02\0\x01", "received 5;"),
    {FULL1, 6, BYTES(""), NO_BYTES, NULL}, /* PUBREC does not end it [MQTT-3.3.4-9] */
    TOLD("\x70\x02\0\x01", "delivered 5;"),
    {SEND2, 6, BYTES(""), BYTES("\x34\x06\0\x01t\0\x02\0"), NULL},
    TOLD("\x50\x03\0\x02\x80", "delivered 6;"),
    {SEND1, 8, BYTES(""), BYTES("\x32\x06\0\x01t\0\x03\0"), NULL},
    TOLD("\x40\x02\0\x03", "delivered 8;"),
    {SEND1, 9, BYTES(""), BYTES("\x32\x06\0\x01t\0\x04\0"), NULL},
};

/* The same with Receive Maximum 2. */
static const struct step peers_receive_max_2[] = {
    TOLD("\x10\x13\0\x04MQTT\x05\x02\0\0\x05\x17\0\x21\0\x02\0\x01"
         "a",
         "authenticate a keep=0;"),
    {ADMIT, 0, WITH(wider), BYTES(CONNACK_5), NULL},
    {SEND1, 1, BYTES(""), BYTES("\x32\x06\0\x01t\0\x01\0"), NULL},
    {SEND1, 2, BYTES(""), BYTES("\x32\x06\0\x01t\0\x02\0"), NULL},
    {FULL1, 3, BYTES(""), NO_BYTES, NULL},
    TOLD("\x40\x02\0\x01", "delivered 1;"),
    {SEND1, 3, BYTES(""), BYTES("\x32\x06\0\x01t\0\x03\0"), NULL},
    {FULL1, 4, BYTES(""), NO_BYTES, NULL},
    TOLD("\x40\x02\0\x02\x40\x02\0\x03", "delivered 2;delivered 3;"),
};

static const struct gh_session_message again = {
    .topic = GH_SLICE_INIT("t"), .qos = 2, .dup = true, .packet_id = 500};
static const struct gh_session_message once = {
    .topic = GH_SLICE_INIT("t"), .qos = 1, .retain = true, .packet_id = 7};
static const struct gh_session_message never_dup = {
    .topic = GH_SLICE_INIT("t"), .dup = true, .packet_id = 8};
static const struct step own_ids[] = {
    UP,
    {SEND, 1, WITH(again), BYTES("\x3c\x05\0\x01t\x01\xf4"), NULL},
    {SEND, 2, WITH(once), BYTES("\x33\x05\0\x01t\0\x07"), NULL},
    BOTH("\x50\x02\x01\xf4", "\x62\x02\x01\xf4", "received 1;"),
    TOLD("\x40\x02\0\x07\x70\x02\x01\xf4", "delivered 2;delivered 1;"),
    {SEND, 3, WITH(never_dup), BYTES("\x30\x03\0\x01t"), "delivered 3;"}, /* [MQTT-3.3.1-2] */
};
static const struct step resumed[] = {
    UP_5_ONE,
    DOES(RESUME, 33, "\x62\x02\0\x21"),
    {SEND, 2, WITH(once), BYTES("\x33\x06\0\x01t\0\x07\0"), NULL}, /* 33 is not in the count */
    DOES(RESUME, 34, ""),                                          /* but in our own */
    BOTH("\x50\x02\0\x21", "\x62\x02\0\x21", NULL),
    TOLD("\x70\x02\0\x21", "delivered 33;"),
    {FULL, 4, WITH(again), NO_BYTES, NULL},
    DOES(RESUME, 34, "\x62\x02\0\x22"),
    {END, GH_SESSION_END_NETWORK, NO_BYTES, NO_BYTES, "dropped 2;dropped 34;end NETWORK;"},
};
static const struct step withdrawn_qos2[] = {
    UP,
    {SEND2, 5, BYTES("x"), BYTES("\x34\x06\0\x01t\0\x01x"), NULL},
    {WITHDRAW, 5, NO_BYTES, NO_BYTES, "dropped 5;"},
    {WITHDRAW, 5, NO_BYTES, NO_BYTES, NULL},
    BOTH("\x50\x02\0\x01", "\x62\x02\0\x01", NULL), /* the exchange is finished */
    BOTH("\x70\x02\0\x01", "", NULL),
    {WAIT, 1, NO_BYTES, NO_BYTES, NULL},
    {SEND2, 6, BYTES("x"), BYTES("\x34\x06\0\x01t\0\x02x"), NULL},
    TOLD("\x50\x02\0\x02", "received 6;"),
    {WITHDRAW, 6, NO_BYTES, NO_BYTES, NULL}, /* the peer has it */
};
static const struct step withdrawn_5[] = {
    UP_5_ONE,
    {SEND1, 5, BYTES(""), BYTES("\x32\x06\0\x01t\0\x01\0"), NULL},
    {WITHDRAW, 5, NO_BYTES, NO_BYTES, "dropped 5;"},
    {FULL1, 6, BYTES(""), NO_BYTES, NULL}, /* the peer still counts it */
    BOTH("\x40\x02\0\x01", "", NULL),
    {SEND1, 6, BYTES(""), BYTES("\x32\x06\0\x01t\0\x02\0"), NULL},
};
static const struct step dropped[] = {
    UP_5,
    {WAIT, 1, NO_BYTES, NO_BYTES, NULL},
    {SEND2, 5, BYTES(""), BYTES("\x34\x06\0\x01t\0\x01\0"), NULL},
    {SEND1, 6, BYTES(""), BYTES("\x32\x06\0\x01t\0\x02\0"), NULL},
    TOLD("\x50\x02\0\x01", "received 5;"),
    TOLD("\x34\x06\0\x01t\0\x01\0", "publish t= q2 id1;"), /* ids of the peer are its own */
    {END, GH_SESSION_END_KICKED, NO_BYTES, BYTES("\xe0\x01\x98"),
     "dropped 5;dropped 6;end KICKED;"},
    DOES(RELEASE, 5, ""),
    DOES(ACK, 1, ""),
    DOES(COMPLETE, 1, ""),
};

static const struct step repeated[] = {
    UP,
    {AT, 0, NO_BYTES, NO_BYTES, NULL},
    {SEND2, 5, BYTES("x"), BYTES("\x34\x06\0\x01t\0\x01x"), NULL},
    DOES(AT, 20000, "\x3c\x06\0\x01t\0\x01x"),
    {WAIT, 1, NO_BYTES, NO_BYTES, NULL},
    {AT, 30000, NO_BYTES, NO_BYTES, NULL},
    TOLD("\x50\x02\0\x01", "received 5;"),
    {DUE, -1, NO_BYTES, NO_BYTES, NULL},
    DOES(RELEASE, 5, "\x62\x02\0\x01"),
    {DUE, 50000, NO_BYTES, NO_BYTES, NULL},
    DOES(AT, 50000, "\x62\x02\0\x01"), /* never the PUBLISH again [MQTT-4.3.3-1] */
    TOLD("\x70\x02\0\x01", "delivered 5;"),
    {DUE, -1, NO_BYTES, NO_BYTES, NULL},
};
static const struct step never_repeated_5[] = {
    UP_5,
    {AT, 0, NO_BYTES, NO_BYTES, NULL},
    {SEND2, 5, BYTES("x"), BYTES("\x34\x07\0\x01t\0\x01\0x"), NULL},
    {DUE, -1, NO_BYTES, NO_BYTES, NULL}, /* [MQTT-4.4.0-1] */
    {AT, 90000, NO_BYTES, NO_BYTES, NULL},
};

static const struct script scripts[] = {
    {"a QoS 2 message is taken, released, completed", &limits, SCRIPT(taken)},
    {"the same in MQTT 5", &limits, SCRIPT(taken_5)},
    {"repeats are answered by the session", &limits, SCRIPT(taken_slowly)},
    {"what is not answered makes room", &limits, SCRIPT(forgone)},
    {"a refused message frees its id", &limits, SCRIPT(refused_5)},
    {"3.1.1 has no reasons", &limits, SCRIPT(no_subscribers)},
    {"PUBREL for nothing gets PUBCOMP", &limits, SCRIPT(released_nothing)},
    {"and in MQTT 5 is told so", &limits, SCRIPT(released_nothing_5)},
    {"PUBREL before PUBREC ends it", &limits, SCRIPT(released_early)},
    {"PUBREL before PUBREC ends it", &limits, SCRIPT(released_early_5)},
    {"an id for two messages ends it", &limits, SCRIPT(id_in_use)},
    {"an id for two messages is refused", &limits, SCRIPT(id_in_use_5)},
    {"ids of earlier connections are taken", &limits, SCRIPT(taken_before)},
    {"ids of earlier connections are taken", &limits, SCRIPT(taken_before_5)},
    {"the input waits for the host, not for PUBREL", &limits, SCRIPT(held)},
    {"Receive Maximum is kept", &limits, SCRIPT(over_receive_max)},
    {"a QoS 2 message is sent, released, delivered", &limits, SCRIPT(sent)},
    {"the same in MQTT 5", &limits, SCRIPT(sent_5)},
    {"the host releases when it is ready", &limits, SCRIPT(sent_slowly)},
    {"a refusal by the peer is its final word", &limits, SCRIPT(refused_by_peer)},
    {"PUBREC for nothing gets PUBREL", &limits, SCRIPT(received_nothing)},
    {"PUBCOMP before PUBREC ends it", &limits, SCRIPT(completed_early)},
    {"PUBCOMP before PUBREL ends it", &limits, SCRIPT(completed_before_release)},
    {"PUBACK for QoS 2 ends it", &limits, SCRIPT(puback_for_qos2)},
    {"PUBREC for QoS 1 ends it", &limits, SCRIPT(pubrec_for_qos1)},
    {"the peer's Receive Maximum is kept", &limits, SCRIPT(peers_receive_max)},
    {"and free again with each answer", &limits, SCRIPT(peers_receive_max_2)},
    {"the host may choose the ids", &limits, SCRIPT(own_ids)},
    {"releases of earlier connections go on", &limits, SCRIPT(resumed)},
    {"what is withdrawn is still finished", &limits, SCRIPT(withdrawn_qos2)},
    {"what is withdrawn still counts", &limits, SCRIPT(withdrawn_5)},
    {"what is in flight is dropped at the end", &limits, SCRIPT(dropped)},
    {"3.1.1 may repeat QoS 2", &repeating, SCRIPT(repeated)},
    {"MQTT 5 may not", &repeating, SCRIPT(never_repeated_5)},
};

/* A client of 3.1.1 that sends all its messages before it reads: all 65535 ids wait for PUBREL. */
static void all_ids_at_once(void)
{
    struct world world;
    bool all = true;

    world_begin(&world, &limits);
    world.admits = world.acknowledges = true;
    arrive(&world, GH_SLICE(CONNECT));
    for (unsigned id = 1; id <= 65535; id++) {
        uint8_t publish[] = {0x34, 5, 0, 1, 't', (uint8_t)(id >> 8), (uint8_t)id};
        gh_buffer_clear(&world.out);
        arrive(&world, gh_slice(publish, sizeof publish));
        all &= world.out.size == 4 && world.out.data[0] == 0x50;
    }
    CHECK("each has its PUBREC", all);
    for (unsigned id = 65535; id > 0; id--) {
        uint8_t pubrel[] = {0x62, 2, (uint8_t)(id >> 8), (uint8_t)id};
        gh_buffer_clear(&world.out);
        arrive(&world, gh_slice(pubrel, sizeof pubrel));
        all &= world.out.size == 4 && world.out.data[0] == 0x70;
    }
    CHECK("each has its PUBCOMP", all && !gh_session_ended(world.session));
    world_end(&world);
}

/* Bytes of room that a PINGREQ needs now. */
static size_t room_needed(struct world *world)
{
    static const uint8_t filler[4096];
    size_t begin = world->out.size, room = world->out.size_max - begin;
    for (size_t left = 0; left <= room; left++) {
        gh_buffer_put(&world->out, gh_slice(filler, room - left));
        size_t consumed =
            gh_session_input(world->session, GH_SLICE("\xc0\0"), world->now_ns, &world->out);
        world->out.size = begin;
        if (consumed != 0)
            return left;
    }
    return SIZE_MAX;
}

/* Every answer that is owed keeps its room: PUBACK, PUBREC and PUBCOMP of the host, PUBREL. */
static void owed_room(void)
{
    enum { ACK_BYTES = 5 };
    struct world world;
    world_begin(&world, &limits);
    world.admits = world.waits = true;
    arrive(&world, GH_SLICE(CONNECT_5));
    size_t nothing = room_needed(&world);
    send_text(&world, GH_SLICE("x"), 2, 1);
    CHECK("what the peer owes needs none", room_needed(&world) == nothing);
    arrive(&world, GH_SLICE("\x50\x02\0\x01"));
    CHECK("PUBREL", room_needed(&world) == nothing + ACK_BYTES);
    arrive(&world, GH_SLICE("\x34\x06\0\x01t\0\x07\0"));
    CHECK("PUBREC", room_needed(&world) == nothing + 2 * ACK_BYTES);
    gh_session_acknowledge(world.session, 7, 0, &world.out);
    CHECK("given", room_needed(&world) == nothing + ACK_BYTES);
    arrive(&world, GH_SLICE("\x62\x02\0\x07"));
    CHECK("PUBCOMP", room_needed(&world) == nothing + 2 * ACK_BYTES);
    gh_session_complete(world.session, 7, &world.out);
    gh_session_release(world.session, 1, &world.out);
    CHECK("all given", room_needed(&world) == nothing);
    CHECK("the headroom has it all", gh_session_headroom(world.session) == nothing + 4 * ACK_BYTES);
    world_end(&world);
}

int main(void)
{
    for (size_t i = 0; i < GH_COUNT(scripts); i++)
        run_script(&scripts[i]);
    all_ids_at_once();
    owed_room();
    return check_report();
}
