/* Conversations of MQTT 5.0: what CONNECT and CONNACK agree on, topic aliases, properties, packet
 * sizes, AUTH, reasons. Section numbers are of the standard. */
#include "session/session_testbed.h"
#include <string.h>

#define LIMITS                                                                                     \
    .connect_bytes_max = 128, .packet_bytes_max = 64, .inflight_in_max = 2, .inflight_out_max = 2, \
    .inflight_out_bytes_max = 1024, .connect_ns = 10 * GH_SECOND_NS, .stall_ns = 60 * GH_SECOND_NS
static const struct gh_session_limits limits = {LIMITS, .qos_max = 2};
static const struct gh_session_limits narrow = {LIMITS, .qos_max = 1, .keep_alive_max_s = 30};
static const struct gh_session_limits aliases = {LIMITS, .qos_max = 2, .topic_alias_in_max = 2,
                                                 .topic_alias_out_max = 2};
static const struct gh_session_limits plain = {.connect_bytes_max = 128,
                                               .packet_bytes_max = SIZE_MAX,
                                               .inflight_in_max = UINT16_MAX,
                                               .inflight_out_max = 2,
                                               .qos_max = 2,
                                               .connect_ns = 10 * GH_SECOND_NS};
static const struct gh_session_limits idle = {LIMITS, .qos_max = 2, .idle_ns = 5 * GH_SECOND_NS};

/* Without reason strings, and keep-alive 60 s, or none, or with properties P of size S. */
#define CONNECT                                                                                    \
    "\x10\x10\0\x04MQTT\x05\x02\0\x3c\x02\x17\0\0\x01"                                             \
    "a"
#define CONNECT_0                                                                                  \
    "\x10\x10\0\x04MQTT\x05\x02\0\0\x02\x17\0\0\x01"                                               \
    "a"
#define CONNACK "\x20\x0b\0\0\x08\x21\0\x02\x27\0\0\0\x40"
#define UP TOLD(CONNECT_0, "authenticate a keep=0;"), DOES(ADMIT, 0, CONNACK)

/* §3.1, §3.2 */

static const struct step nothing_to_tell[] = {
    TOLD(CONNECT, "authenticate a keep=60;"), DOES(ADMIT, 0, "\x20\x03\0\0\0"),
    DOES(ADMIT, 0, ""), /* once [MQTT-3.2.0-2] */
};
static const struct gh_session_limits other_limits = {LIMITS, .qos_max = 0};
static const struct gh_session_admission everything = {
    .limits = &narrow,
    .client_id = GH_SLICE_INIT("d1"),
    .has_session_expiry = true,
    .session_expiry_s = 3600,
    .response_information = GH_SLICE_INIT("r/"),
};
static const struct gh_session_admission closest = {.limits = &other_limits,
                                                    .retain_available = true,
                                                    .wildcard_available = true,
                                                    .identifiers_available = true,
                                                    .shared_available = true};
/* No client id, clean, keep-alive 60, request response information. */
static const struct step all_told[] = {
    TOLD("\x10\x11\0\x04MQTT\x05\x02\0\x3c\x04\x19\1\x17\0\0\0", "authenticate  keep=60;"),
    {ADMIT, 0, WITH(everything),
     BYTES("\x20\x27\0\0\x24"
           "\x11\0\0\x0e\x10\x21\0\x02\x24\1\x25\0\x27\0\0\0\x40\x28\0\x29\0\x2a\0\x13\0\x1e"
           "\x12\0\x02"
           "d1\x1a\0\x02r/"),
     NULL},
};
static const struct step only_what_was_asked[] = {
    /* with a client id and without asking for response information [MQTT-3.1.2-28] */
    TOLD(CONNECT, "authenticate a keep=60;"),
    {ADMIT, 0, WITH(everything),
     BYTES("\x20\x1d\0\0\x1a"
           "\x11\0\0\x0e\x10\x21\0\x02\x24\1\x25\0\x27\0\0\0\x40\x28\0\x29\0\x2a\0\x13\0\x1e"),
     NULL},
    {AT, 0, NO_BYTES, NO_BYTES, NULL},
    {DUE, 45000, NO_BYTES, NO_BYTES, NULL}, /* 1.5 times Server Keep Alive */
    {AT, 45000, NO_BYTES, BYTES("\xe0\x01\x8d"), "end KEEPALIVE;"},
};
static const struct step keep_alive_of_server[] = {
    TOLD(CONNECT_0, "authenticate a keep=0;"),
    DOES(ADMIT, 0, "\x20\x10\0\0\x0d\x21\0\x02\x24\1\x27\0\0\0\x40\x13\0\x1e"),
    {AT, 0, NO_BYTES, NO_BYTES, NULL},
    {AT, 44999, NO_BYTES, NO_BYTES, NULL},
    {AT, 45000, NO_BYTES, BYTES("\xe0\x01\x8d"), "end KEEPALIVE;"},
};
static const struct step keep_alive_of_client[] = {
    TOLD("\x10\x10\0\x04MQTT\x05\x02\0\x0a\x02\x17\0\0\x01"
         "a",
         "authenticate a keep=10;"),
    DOES(ADMIT, 0, "\x20\x0d\0\0\x0a\x21\0\x02\x24\1\x27\0\0\0\x40"),
    {AT, 0, NO_BYTES, NO_BYTES, NULL},
    {DUE, 15000, NO_BYTES, NO_BYTES, NULL}, /* [MQTT-3.2.2-22] */
};
static const struct step keep_alive_311[] = {
    TOLD("\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01"
         "a",
         "authenticate a keep=0;"),
    {ADMIT, 0, WITH(everything), BYTES("\x20\x02\0\0"), NULL},
    {AT, 0, NO_BYTES, NO_BYTES, NULL},
    {DUE, -1, NO_BYTES, NO_BYTES, NULL},
};
static const struct step limits_exchanged[] = {
    TOLD(CONNECT_0, "authenticate a keep=0;"),
    {ADMIT, 0, WITH(closest), BYTES("\x20\x0d\0\0\x0a\x21\0\x02\x24\0\x27\0\0\0\x40"), NULL},
    BOTH("\x32", "\xe0\x01\x9b", "end QOS2;"), /* [MQTT-3.2.2-11] */
};
static const struct step will_qos[] = {
    TOLD("\x10\x15\0\x04MQTT\x05\x16\0\0\0\0\x01"
         "a\0\0\x01w\0\x01p",
         "authenticate a keep=0;"),
    {ADMIT, 0, NO_BYTES, BYTES("\x20\x03\0\x9b\0"), "end REFUSED;"}, /* [MQTT-3.2.2-12] */
};
static const struct step will_retain[] = {
    TOLD("\x10\x15\0\x04MQTT\x05\x26\0\0\0\0\x01"
         "a\0\0\x01w\0\x01p",
         "authenticate a keep=0;"),
    {ADMIT, 0, WITH(everything), BYTES("\x20\x03\0\x9a\0"), "end REFUSED;"}, /* [MQTT-3.2.2-13] */
};
static const struct step malformed[] = {
    {IN, 0,
     BYTES("\x10\x0e\0\x04MQTT\x05\x03\0\0\0\0\x01"
           "a"),
     BYTES("\x20\x03\0\x81\0"), "end PROTOCOL;"}, /* the reserved flag [MQTT-3.1.2-3] */
};
static const struct step property_twice[] = {
    {IN, 0,
     BYTES("\x10\x12\0\x04MQTT\x05\x02\0\0\x04\x17\0\x17\0\0\x01"
           "a"),
     BYTES("\x20\x03\0\x82\0"), "end PROTOCOL;"},
};
static const struct step before_the_verdict[] = {
    TOLD(CONNECT, "authenticate a keep=60;"),
    {SEND0, 1, BYTES("x"), NO_BYTES, NULL}, /* [MQTT-3.2.0-1] */
    {END, GH_SESSION_END_SHUTDOWN, NO_BYTES, NO_BYTES,
     "end SHUTDOWN;"}, /* no DISCONNECT before CONNACK [MQTT-3.14.0-1] */
};
static const struct step connack_too_large[] = {
    /* Maximum Packet Size 12: one less than the CONNACK has. */
    TOLD("\x10\x13\0\x04MQTT\x05\x02\0\0\x05\x27\0\0\0\x0c\0\x01"
         "a",
         "authenticate a keep=0;"),
    {ADMIT, 0, NO_BYTES, NO_BYTES, "end TOO_LARGE;"}, /* and no DISCONNECT [MQTT-3.14.0-1] */
};

/* §3.3.2.3.4 */

#define CONNACK_ALIAS "\x20\x0e\0\0\x0b\x21\0\x02\x27\0\0\0\x40\x22\0\x02"
#define UP_ALIAS TOLD(CONNECT_0, "authenticate a keep=0;"), DOES(ADMIT, 0, CONNACK_ALIAS)
static const struct step alias_in[] = {
    UP_ALIAS,
    TOLD("\x30\x08\0\x01t\x03\x23\0\x01x", "publish t=x q0 id0;"),
    TOLD("\x30\x07\0\0\x03\x23\0\x01y", "publish t=y q0 id0;"),
    TOLD("\x30\x09\0\x02tu\x03\x23\0\x02x", "publish tu=x q0 id0;"),
    TOLD("\x32\x09\0\0\0\x07\x03\x23\0\x02z", "publish tu=z q1 id7;"),
    TOLD("\x30\x08\0\x01v\x03\x23\0\x01x", "publish v=x q0 id0;"), /* another meaning */
    TOLD("\x30\x07\0\0\x03\x23\0\x01y", "publish v=y q0 id0;"),
    BOTH("\x30\x07\0\0\x03\x23\0\x03y", "\xe0\x01\x94", "end TOPIC_ALIAS;"), /* [MQTT-3.3.2-9] */
};
static const struct step alias_with_duplicate[] = {
    UP_ALIAS,
    TOLD("\x34\x09\0\x01t\0\x01\x03\x23\0\x01", "publish t= q2 id1;"),
    DOES(ACK, 1, "\x50\x02\0\x01"),
    /* A message again gives its alias a meaning as any other. */
    BOTH("\x3c\x09\0\x01u\0\x01\x03\x23\0\x01", "\x50\x02\0\x01", NULL),
    TOLD("\x30\x06\0\0\x03\x23\0\x01", "publish u= q0 id0;"),
};
static const struct step alias_zero[] = {
    UP_ALIAS,
    BOTH("\x30\x08\0\x01t\x03\x23\0\0y", "\xe0\x01\x94", "end TOPIC_ALIAS;"), /* 3.3.2-8 */
};
static const struct step alias_unknown[] = {
    UP_ALIAS,
    BOTH("\x30\x07\0\0\x03\x23\0\x01y", "\xe0\x01\x82", "end PROTOCOL;"),
};
static const struct step alias_refused[] = {
    UP, BOTH("\x30\x08\0\x01t\x03\x23\0\x01y", "\xe0\x01\x94", "end TOPIC_ALIAS;"), /* 3.2.2-18 */
};

static const struct gh_session_message alpha = {.topic = GH_SLICE_INIT("alpha")};
static const struct gh_session_message beta = {.topic = GH_SLICE_INIT("beta")};
static const struct gh_session_message gamma_1 = {.topic = GH_SLICE_INIT("gamma"), .qos = 1};
static const struct gh_session_message tau = {.topic = GH_SLICE_INIT("tau")};
static const uint8_t filler[8192];
static const struct gh_session_message large = {.topic = GH_SLICE_INIT("large"),
                                                .payload = {filler, sizeof filler}};
/* Topic Alias Maximum 9 of the peer; ours is 2. */
static const struct step alias_out[] = {
    TOLD("\x10\x13\0\x04MQTT\x05\x02\0\0\x05\x17\0\x22\0\x09\0\x01"
         "a",
         "authenticate a keep=0;"),
    DOES(ADMIT, 0, CONNACK_ALIAS),
    {SEND, 1, WITH(tau), BYTES("\x30\x06\0\x03tau\0"), "delivered 1;"}, /* is as short */
    {TOO_BIG, 1, WITH(large), NO_BYTES, NULL},                          /* takes no alias */
    {SEND, 2, WITH(alpha),
     BYTES("\x30\x0b\0\x05"
           "alpha\x03\x23\0\x01"),
     "delivered 2;"},
    {SEND, 3, WITH(alpha), BYTES("\x30\x06\0\0\x03\x23\0\x01"), "delivered 3;"},
    {SEND, 4, WITH(gamma_1), BYTES("\x32\x0d\0\x05gamma\0\x01\x03\x23\0\x02"), NULL},
    {SEND, 5, WITH(gamma_1), BYTES("\x32\x08\0\0\0\x02\x03\x23\0\x02"), NULL},
    {FULL, 6, WITH(gamma_1), NO_BYTES, NULL},
    {SEND, 6, WITH(beta),
     BYTES("\x30\x07\0\x04"
           "beta\0"),
     "delivered 6;"},
    {SEND, 7, WITH(alpha), BYTES("\x30\x06\0\0\x03\x23\0\x01"), "delivered 7;"},
};
/* Topic Alias Maximum 1 of the peer [MQTT-3.1.2-26]. */
static const struct step alias_out_one[] = {
    TOLD("\x10\x13\0\x04MQTT\x05\x02\0\0\x05\x17\0\x22\0\x01\0\x01"
         "a",
         "authenticate a keep=0;"),
    DOES(ADMIT, 0, CONNACK_ALIAS),
    {SEND, 1, WITH(alpha),
     BYTES("\x30\x0b\0\x05"
           "alpha\x03\x23\0\x01"),
     "delivered 1;"},
    {SEND, 2, WITH(beta),
     BYTES("\x30\x07\0\x04"
           "beta\0"),
     "delivered 2;"},
};
/* A peer that gave none [MQTT-3.1.2-27]. */
static const struct step alias_out_none[] = {
    UP_ALIAS,
    {SEND, 1, WITH(alpha),
     BYTES("\x30\x08\0\x05"
           "alpha\0"),
     "delivered 1;"},
};

/* §3.3.2.3, §3.1.2.11.4 */

static const uint32_t identifiers[] = {1, 200};
static const struct gh_session_message rich = {
    .topic = GH_SLICE_INIT("t"),
    .payload = GH_SLICE_INIT("x"),
    .properties = GH_SLICE_INIT("\x01\x01\x26\0\x01k\0\x01v"),
    .identifiers = identifiers,
    .identifiers_count = 2,
    .has_expiry = true,
    .expiry_s = 9,
    .retain = true,
};
static const struct step properties_out[] = {
    UP,
    {SEND, 1, WITH(rich),
     BYTES("\x31\x18\0\x01t\x13\x02\0\0\0\x09\x0b\x01\x0b\xc8\x01\x01\x01\x26\0\x01k\0\x01vx"),
     "delivered 1;"},
};
static const struct step properties_out_311[] = {
    TOLD("\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01"
         "a",
         "authenticate a keep=0;"),
    DOES(ADMIT, 0, "\x20\x02\0\0"),
    {SEND, 1, WITH(rich), BYTES("\x31\x04\0\x01tx"), "delivered 1;"},
};
/* Maximum Packet Size 13 of the peer. */
#define CONNECT_SMALL                                                                              \
    "\x10\x13\0\x04MQTT\x05\x02\0\0\x05\x27\0\0\0\x0d\0\x01"                                       \
    "a"
static const struct gh_session_message eight = {.topic = GH_SLICE_INIT("t"),
                                                .payload = {filler, 7}};
static const struct gh_session_message nine = {.topic = GH_SLICE_INIT("t"), .payload = {filler, 8}};
static const struct step peer_takes_little[] = {
    TOLD(CONNECT_SMALL, "authenticate a keep=0;"),
    DOES(ADMIT, 0, CONNACK),
    {SEND, 1, WITH(eight), BYTES("\x30\x0b\0\x01t\0\0\0\0\0\0\0\0"), "delivered 1;"},
    {TOO_BIG, 2, WITH(nine), NO_BYTES, NULL}, /* [MQTT-3.1.2-25] */
};
static const struct step answer_too_large[] = {
    TOLD(CONNECT_SMALL, "authenticate a keep=0;"),
    DOES(ADMIT, 0, CONNACK),
    {IN, 0,
     BYTES("\x82\x27\0\x01\0\0\x01"
           "a\0\0\x01"
           "b\0\0\x01"
           "c\0\0\x01"
           "d\0\0\x01"
           "e\0\0\x01"
           "f\0\0\x01"
           "g\0\0\x01"
           "h\0\0\x01i\0"),
     BYTES("\xe0\x01\x95"),
     "subscribe a q0;subscribe b q0;subscribe c q0;subscribe d q0;subscribe e q0;subscribe f q0;"
     "subscribe g q0;subscribe h q0;subscribe i q0;end TOO_LARGE;"}, /* [MQTT-3.1.2-24] */
};
static const struct step retain_refused[] = {
    TOLD(CONNECT, "authenticate a keep=60;"),
    {ADMIT, 0, WITH(everything),
     BYTES("\x20\x1d\0\0\x1a"
           "\x11\0\0\x0e\x10\x21\0\x02\x24\1\x25\0\x27\0\0\0\x40\x28\0\x29\0\x2a\0\x13\0\x1e"),
     NULL},
    TOLD("\x30\x05\0\x01t\0x", "publish t=x q0 id0;"),
    BOTH("\x31\x05\0\x01t\0x", "\xe0\x01\x9a", "end PROTOCOL;"), /* [MQTT-3.2.2-14] */
};

/* §3.8 to §3.11 */

static const struct step filters[] = {
    UP,
    {IN, 0,
     BYTES("\x82\x15\0\x0a\x02\x0b\x05\0\x01"
           "a\x02\0\x02no\x01\0\x04"
           "b/+c\x2c"),
     BYTES("\xe0\x01\x8f"), "end PROTOCOL;"},
};
static const struct step filters_answered[] = {
    UP,
    {IN, 0,
     BYTES("\x82\x15\0\x0a\x02\x0b\x05\0\x01"
           "a\x02\0\x02no\x01\0\x04"
           "b/+/\x2c"),
     BYTES("\x90\x06\0\x0a\0\x02\x87\0"), "subscribe a q2;subscribe no q1;subscribe b/+/ q0;"},
    {IN, 0,
     BYTES("\xa2\x0a\0\x0b\0\0\x01"
           "a\0\x02no"),
     BYTES("\xb0\x05\0\x0b\0\0\x11"), "unsubscribe a;unsubscribe no;"},
};
static const struct step filters_later[] = {
    UP,
    {WAIT, 1, NO_BYTES, NO_BYTES, NULL},
    TOLD("\x82\x07\0\x0a\0\0\x01"
         "a\x02\xc0\0",
         "subscribe a q2;"),
    {HELD, 2, NO_BYTES, NO_BYTES, NULL},
    {SEND0, 1, BYTES(""), BYTES("\x30\x04\0\x01t\0"), "delivered 1;"}, /* may be before SUBACK */
    {UNSUBACK, 0, BYTES("\0"), NO_BYTES, NULL},                        /* not what is due */
    {AT, 3600000, NO_BYTES, NO_BYTES, NULL},
    {SUBACK, 0, BYTES("\x01"), BYTES("\x90\x04\0\x0a\0\x01\xd0\0"), "heartbeat;"},
    {SUBACK, 0, BYTES("\x01"), NO_BYTES, NULL},
    TOLD("\xa2\x06\0\x0b\0\0\x01"
         "a\xc0\0",
         "unsubscribe a;"),
    {SUBACK, 0, BYTES("\x01"), NO_BYTES, NULL},
    {UNSUBACK, 0, BYTES("\x11"), BYTES("\xb0\x04\0\x0b\0\x11\xd0\0"), "heartbeat;"},
    {HELD, 0, NO_BYTES, NO_BYTES, NULL},
    TOLD("\xa2\x06\0\x0c\0\0\x01"
         "a",
         "unsubscribe a;"),
    {END, GH_SESSION_END_BLOCKED, NO_BYTES, BYTES("\xe0\x01\x98"), "end BLOCKED;"},
    {UNSUBACK, 0, BYTES("\0"), NO_BYTES, NULL},
};
static const struct step codes_311[] = {
    TOLD("\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01"
         "a",
         "authenticate a keep=0;"),
    DOES(ADMIT, 0, "\x20\x02\0\0"),
    {WAIT, 1, NO_BYTES, NO_BYTES, NULL},
    TOLD("\x82\x0a\0\x0a\0\x01"
         "a\x02\0\x01"
         "b\x01",
         "subscribe a q2;subscribe b q1;"),
    {SUBACK, 0, BYTES("\x02\x97"), BYTES("\x90\x04\0\x0a\x02\x80"), NULL}, /* [MQTT-3.9.3-2] */
    TOLD("\xa2\x05\0\x0b\0\x01"
         "a",
         "unsubscribe a;"),
    {UNSUBACK, 0, BYTES("\x11"), BYTES("\xb0\x02\0\x0b"), NULL},
};

/* §3.14 */

static const struct step goodbye[] = {
    UP, TOLD("\xe0\0", "end CLIENT_CLOSED;"), {FAREWELL, 0, NO_BYTES, NO_BYTES, NULL}};
static const struct step goodbye_with_will[] = {
    UP, TOLD("\xe0\x01\x04", "end CLIENT_CLOSED;"), {FAREWELL, 1, NO_BYTES, NO_BYTES, NULL}};
static const struct step goodbye_in_trouble[] = {
    UP, TOLD("\xe0\x01\x81", "end CLIENT_CLOSED;"), {FAREWELL, 1, NO_BYTES, NO_BYTES, NULL}};
/* CONNECT with a Session Expiry Interval of 5 s. */
#define CONNECT_STAYS                                                                              \
    "\x10\x13\0\x04MQTT\x05\x02\0\0\x05\x11\0\0\0\x05\0\x01"                                       \
    "a"
static const struct step goodbye_with_expiry[] = {
    TOLD(CONNECT_STAYS, "authenticate a keep=0;"),
    DOES(ADMIT, 0, CONNACK),
    TOLD("\xe0\x07\0\x05\x11\0\0\0\x07", "end CLIENT_CLOSED;"),
    {FAREWELL, 2, BYTES("\x07"), NO_BYTES, NULL},
};
static const struct step goodbye_for_good[] = {
    TOLD(CONNECT_STAYS, "authenticate a keep=0;"),
    DOES(ADMIT, 0, CONNACK),
    TOLD("\xe0\x07\x04\x05\x11\0\0\0\0", "end CLIENT_CLOSED;"),
    {FAREWELL, 3, NO_BYTES, NO_BYTES, NULL},
};
static const struct step goodbye_too_late[] = {
    UP, /* whose session ends with the connection */
    BOTH("\xe0\x07\0\x05\x11\0\0\0\x07", "\xe0\x01\x82", "end PROTOCOL;"),
    {FAREWELL, 0, NO_BYTES, NO_BYTES, NULL},
};
static const struct step goodbye_311[] = {
    TOLD("\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01"
         "a",
         "authenticate a keep=0;"),
    DOES(ADMIT, 0, "\x20\x02\0\0"),
    TOLD("\xe0\0", "end CLIENT_CLOSED;"),
    {FAREWELL, 0, NO_BYTES, NO_BYTES, NULL},
};
static const struct step idle_ends[] = {
    UP,
    {AT, 0, NO_BYTES, NO_BYTES, NULL},
    {AT, 5000, NO_BYTES, BYTES("\xe0\x01\x98"), "end IDLE;"},
};
static const struct step second_connect[] = {
    UP, BOTH("\x10", "\xe0\x01\x82", "end PROTOCOL;")}; /* [MQTT-3.1.0-2] */
static const struct step too_large[] = {UP, BOTH("\x30\x40", "\xe0\x01\x95", "end TOO_LARGE;")};
static const struct step malformed_later[] = {
    UP, BOTH("\x36\x05\0\x01t\0x", "\xe0\x01\x81", "end PROTOCOL;")}; /* [MQTT-3.3.1-4] */
static const struct step malformed_header[] = {
    UP, BOTH("\x60\x02\0\x01", "\xe0\x01\x81", "end PROTOCOL;")}; /* [MQTT-3.6.1-1] */
static const struct step topic_invalid[] = {
    UP, BOTH("\x30\x04\0\x01#\0", "\xe0\x01\x90", "end PROTOCOL;")}; /* [MQTT-3.3.2-2] */
static const struct step from_inside[] = {
    UP,
    BOTH("\x30\x0c\0\x09"
         "forbidden\0\xc0\0",
         "\xe0\x01\x87", "publish forbidden= q0 id0;end TOPIC_FORBIDDEN;"),
};

/* §4.12 */

#define CONNECT_AUTH                                                                               \
    "\x10\x16\0\x04MQTT\x05\x02\0\0\x08\x17\0\x15\0\x03jwt\0\x01"                                  \
    "a"
#define CONNACK_AUTH "\x20\x11\0\0\x0e\x21\0\x02\x27\0\0\0\x40\x15\0\x03jwt"
#define UP_AUTH TOLD(CONNECT_AUTH, "authenticate a keep=0;"), DOES(ADMIT, 0, CONNACK_AUTH)
#define AUTH "\xf0\x0d\x19\x0b\x15\0\x03jwt\x16\0\x02t2"
static const struct step renewed[] = {
    UP_AUTH,
    TOLD(AUTH "\xc0\0", "reauthenticate t2;"),
    {HELD, 2, NO_BYTES, NO_BYTES, NULL},
    {SEND0, 1, BYTES(""), BYTES("\x30\x04\0\x01t\0"), "delivered 1;"},
    {RENEW, 1, NO_BYTES, BYTES("\xf0\x08\0\x06\x15\0\x03jwt\xd0\0"), "heartbeat;"},
    DOES(RENEW, 1, ""),
    DOES(RENEW, 0, ""),
    TOLD(AUTH, "reauthenticate t2;"),
    {RENEW, 0, NO_BYTES, BYTES("\xe0\x01\x87"), "end REFUSED;"}, /* [MQTT-4.12.1-2] */
};
static const struct step renewed_without_data[] = {
    UP_AUTH,
    TOLD("\xf0\x08\x19\x06\x15\0\x03jwt", "reauthenticate ;"),
};
static const struct step another_method[] = {
    UP_AUTH, BOTH("\xf0\x08\x19\x06\x15\0\x03jws", "\xe0\x01\x82", "end PROTOCOL;"), /* 4.12.1-1 */
};
static const struct step continued_nothing[] = {
    UP_AUTH,
    BOTH("\xf0\x08\x18\x06\x15\0\x03jwt", "\xe0\x01\x82", "end PROTOCOL;"),
};
static const struct step auth_without_method[] = {
    UP, BOTH(AUTH, "\xe0\x01\x82", "end PROTOCOL;")}; /* [MQTT-4.12.0-7] */
static const struct step auth_before_connack[] = {
    TOLD(CONNECT_AUTH AUTH, "authenticate a keep=0;"),
    {HELD, 15, NO_BYTES, NO_BYTES, NULL},
    {ADMIT, 0, NO_BYTES, BYTES(CONNACK_AUTH), "reauthenticate t2;"},
};
static const struct step empty_method[] = {
    {IN, 0,
     BYTES("\x10\x11\0\x04MQTT\x05\x02\0\0\x03\x15\0\0\0\x01"
           "a"),
     BYTES("\x20\x03\0\x8c\0"), "end REFUSED;"}, /* [MQTT-4.12.0-1] */
};
static const struct step long_method[] = {
    {IN, 0,
     BYTES("\x10\x52\0\x04MQTT\x05\x02\0\0\x44\x15\0\x41"
           "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\0\x01"
           "a"),
     BYTES("\x20\x03\0\x8c\0"), "end REFUSED;"},
};

static const struct step traced[] = {
    UP,
    {TRACE, 1, NO_BYTES, NO_BYTES, NULL},
    BOTH("\xc0\0", "\xd0\0", "<c000;heartbeat;>d000;"),
    {SEND1, 1, BYTES("x"), BYTES("\x32\x07\0\x01t\0\x01\0x"), ">320700017400010078;"},
    TOLD("\x40\x02\0\x01", "<40020001;delivered 1;"),
    {TRACE, 0, NO_BYTES, NO_BYTES, NULL},
    BOTH("\xc0\0", "\xd0\0", "heartbeat;"),
    {TRACE, 1, NO_BYTES, NO_BYTES, NULL},
    BOTH("\x30\x04\0\x01#\0", "\xe0\x01\x90", "<300400012300;>e00190;end PROTOCOL;"),
};

static const struct script scripts[] = {
    {"a CONNACK says what is not the default", &plain, SCRIPT(nothing_to_tell)},
    {"all that a CONNACK can say", &limits, SCRIPT(all_told)},
    {"not what was not asked for", &limits, SCRIPT(only_what_was_asked)},
    {"the server's keep-alive instead of none", &narrow, SCRIPT(keep_alive_of_server)},
    {"the client's keep-alive when it is shorter", &narrow, SCRIPT(keep_alive_of_client)},
    {"3.1.1 hears nothing of it", &narrow, SCRIPT(keep_alive_311)},
    {"the limits of the verdict hold", &limits, SCRIPT(limits_exchanged)},
    {"a will over the QoS that is offered", &narrow, SCRIPT(will_qos)},
    {"a will with RETAIN that is not offered", &limits, SCRIPT(will_retain)},
    {"a malformed CONNECT is told why", &limits, SCRIPT(malformed)},
    {"a CONNECT with a property twice", &limits, SCRIPT(property_twice)},
    {"before CONNACK nothing is sent", &limits, SCRIPT(before_the_verdict)},
    {"a CONNACK over Maximum Packet Size", &limits, SCRIPT(connack_too_large)},
    {"aliases of the peer", &aliases, SCRIPT(alias_in)},
    {"an alias in a message that comes again", &aliases, SCRIPT(alias_with_duplicate)},
    {"an alias of 0", &aliases, SCRIPT(alias_zero)},
    {"an alias that stands for nothing", &aliases, SCRIPT(alias_unknown)},
    {"an alias where none is allowed", &limits, SCRIPT(alias_refused)},
    {"aliases towards the peer", &aliases, SCRIPT(alias_out)},
    {"no more of them than it allows", &aliases, SCRIPT(alias_out_one)},
    {"none when it allows none", &aliases, SCRIPT(alias_out_none)},
    {"a message with all it can have", &limits, SCRIPT(properties_out)},
    {"the same message to 3.1.1", &limits, SCRIPT(properties_out_311)},
    {"a message over Maximum Packet Size", &limits, SCRIPT(peer_takes_little)},
    {"an answer over Maximum Packet Size", &limits, SCRIPT(answer_too_large)},
    {"RETAIN that is not offered", &limits, SCRIPT(retain_refused)},
    {"a filter that is none", &limits, SCRIPT(filters)},
    {"each filter has its reason", &limits, SCRIPT(filters_answered)},
    {"answers to filters may come later", &limits, SCRIPT(filters_later)},
    {"3.1.1 has one code for refusals", &limits, SCRIPT(codes_311)},
    {"DISCONNECT", &limits, SCRIPT(goodbye)},
    {"DISCONNECT that asks for the will", &limits, SCRIPT(goodbye_with_will)},
    {"DISCONNECT over an error", &limits, SCRIPT(goodbye_in_trouble)},
    {"DISCONNECT with another expiry", &limits, SCRIPT(goodbye_with_expiry)},
    {"DISCONNECT that gives the session up", &limits, SCRIPT(goodbye_for_good)},
    {"DISCONNECT that would revive the session", &limits, SCRIPT(goodbye_too_late)},
    {"DISCONNECT of 3.1.1", &limits, SCRIPT(goodbye_311)},
    {"an idle session is told", &idle, SCRIPT(idle_ends)},
    {"a second CONNECT", &limits, SCRIPT(second_connect)},
    {"a packet over the limit", &limits, SCRIPT(too_large)},
    {"QoS 3", &limits, SCRIPT(malformed_later)},
    {"flags that are reserved", &limits, SCRIPT(malformed_header)},
    {"a topic with a wildcard", &limits, SCRIPT(topic_invalid)},
    {"an end from inside a callback", &limits, SCRIPT(from_inside)},
    {"a sign-in is renewed", &limits, SCRIPT(renewed)},
    {"a renewal without data", &limits, SCRIPT(renewed_without_data)},
    {"a renewal by another method", &limits, SCRIPT(another_method)},
    {"AUTH that continues nothing", &limits, SCRIPT(continued_nothing)},
    {"AUTH without a method in CONNECT", &limits, SCRIPT(auth_without_method)},
    {"AUTH before CONNACK waits", &limits, SCRIPT(auth_before_connack)},
    {"an empty method", &limits, SCRIPT(empty_method)},
    {"a method that is too long", &limits, SCRIPT(long_method)},
    {"a trace has every packet", &limits, SCRIPT(traced)},
};

/* Both codes of each refusal. */
static const struct {
    const char *name;
    uint8_t code, reason;
} refusals[] = {
    [GH_SESSION_REFUSED_LEVEL] = {"LEVEL", 1, 0x84},
    [GH_SESSION_REFUSED_CLIENT_ID] = {"CLIENT_ID", 2, 0x85},
    [GH_SESSION_REFUSED_UNAVAILABLE] = {"UNAVAILABLE", 3, 0x88},
    [GH_SESSION_REFUSED_BUSY] = {"BUSY", 3, 0x89},
    [GH_SESSION_REFUSED_QUOTA] = {"QUOTA", 3, 0x97},
    [GH_SESSION_REFUSED_RATE] = {"RATE", 3, 0x9f},
    [GH_SESSION_REFUSED_CREDENTIALS] = {"CREDENTIALS", 4, 0x86},
    [GH_SESSION_REFUSED_UNAUTHORISED] = {"UNAUTHORISED", 5, 0x87},
    [GH_SESSION_REFUSED_BANNED] = {"BANNED", 5, 0x8a},
    [GH_SESSION_REFUSED_AUTH_METHOD] = {"AUTH_METHOD", 5, 0x8c},
    [GH_SESSION_REFUSED_WILL_TOPIC] = {"WILL_TOPIC", 5, 0x90},
    [GH_SESSION_REFUSED_WILL_SIZE] = {"WILL_SIZE", 3, 0x95},
    [GH_SESSION_REFUSED_WILL_QOS] = {"WILL_QOS", 5, 0x9b},
    [GH_SESSION_REFUSED_WILL_RETAIN] = {"WILL_RETAIN", 5, 0x9a},
};

static void refusal_has_codes(enum gh_session_refusal refusal)
{
    const char *name = refusals[refusal].name;
    for (int version = GH_MQTT_V311; version <= GH_MQTT_V5; version++) {
        const uint8_t connack[] = {0x20, 2, 0, refusals[refusal].code};
        const uint8_t connack_5[] = {0x20, 3, 0, refusals[refusal].reason, 0};
        bool is_5 = version == GH_MQTT_V5;
        struct world world;
        world_begin(&world, &limits);
        arrive(&world, is_5 ? GH_SLICE(CONNECT)
                            : GH_SLICE("\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01"
                                       "a"));
        CHECK(name, gh_session_version(world.session) == (enum gh_mqtt_version)version);
        gh_session_refuse(world.session, refusal, &world.out);
        CHECK(name, gh_slice_equal(gh_buffer_slice(&world.out),
                                   is_5 ? gh_slice(connack_5, sizeof connack_5)
                                        : gh_slice(connack, sizeof connack)));
        CHECK(name, gh_slice_ends(gh_buffer_slice(&world.events), GH_SLICE("end REFUSED;")));
        CHECK(name, strcmp(gh_session_refusal_name(refusal), name) == 0);
        world_end(&world);
    }
}

/* What the peer of MQTT 5 is told of each end; 0: nothing. */
static const struct {
    const char *name;
    uint8_t reason;
} ends[] = {
    [GH_SESSION_END_CLIENT_CLOSED] = {"CLIENT_CLOSED", 0},
    [GH_SESSION_END_NETWORK] = {"NETWORK", 0},
    [GH_SESSION_END_CONNECT_TIMEOUT] = {"CONNECT_TIMEOUT", 0},
    [GH_SESSION_END_KEEPALIVE] = {"KEEPALIVE", 0x8d},
    [GH_SESSION_END_IDLE] = {"IDLE", 0x98},
    [GH_SESSION_END_PROTOCOL] = {"PROTOCOL", 0x82},
    [GH_SESSION_END_TOO_LARGE] = {"TOO_LARGE", 0x95},
    [GH_SESSION_END_QOS2] = {"QOS2", 0x9b},
    [GH_SESSION_END_REFUSED] = {"REFUSED", 0x87},
    [GH_SESSION_END_TAKEN_OVER] = {"TAKEN_OVER", 0x8e},
    [GH_SESSION_END_TOKEN_EXPIRED] = {"TOKEN_EXPIRED", 0xa0},
    [GH_SESSION_END_BLOCKED] = {"BLOCKED", 0x98},
    [GH_SESSION_END_DELETED] = {"DELETED", 0x98},
    [GH_SESSION_END_CREDENTIAL_REMOVED] = {"CREDENTIAL_REMOVED", 0x98},
    [GH_SESSION_END_REGISTRY_DISABLED] = {"REGISTRY_DISABLED", 0x98},
    [GH_SESSION_END_TOPIC_FORBIDDEN] = {"TOPIC_FORBIDDEN", 0x87},
    [GH_SESSION_END_NO_TELEMETRY_TOPIC] = {"NO_TELEMETRY_TOPIC", 0x83},
    [GH_SESSION_END_RATE] = {"RATE", 0x96},
    [GH_SESSION_END_OVERLOAD] = {"OVERLOAD", 0x97},
    [GH_SESSION_END_SHUTDOWN] = {"SHUTDOWN", 0x8b},
    [GH_SESSION_END_KICKED] = {"KICKED", 0x98},
    [GH_SESSION_END_BANNED] = {"BANNED", 0x98},
    [GH_SESSION_END_TENANT_DISABLED] = {"TENANT_DISABLED", 0x98},
    [GH_SESSION_END_POLICY] = {"POLICY", 0x87},
    [GH_SESSION_END_RECEIVE_MAX] = {"RECEIVE_MAX", 0x93},
    [GH_SESSION_END_TOPIC_ALIAS] = {"TOPIC_ALIAS", 0x94},
    [GH_SESSION_END_QUOTA] = {"QUOTA", 0x97},
};

static void end_has_reason(enum gh_session_end why)
{
    const uint8_t disconnect[] = {0xe0, 1, ends[why].reason};
    const char *name = ends[why].name;
    for (unsigned run = 0; run < 3; run++) { /* 3.1.1, MQTT 5, MQTT 5 that cannot be written to */
        struct world world;
        world_begin(&world, &limits);
        world.admits = true;
        arrive(&world, run != 0 ? GH_SLICE(CONNECT)
                                : GH_SLICE("\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01"
                                           "a"));
        gh_buffer_clear(&world.out);
        gh_session_end(world.session, why, "a reason", run == 2 ? NULL : &world.out);
        size_t size = run == 1 && ends[why].reason != 0 ? sizeof disconnect : 0;
        CHECK(name, gh_slice_equal(gh_buffer_slice(&world.out), gh_slice(disconnect, size)));
        CHECK(name, strcmp(gh_session_end_name(why), name) == 0);
        world_end(&world);
    }
}

/* A DISCONNECT with a reason string, only when it was not declined and fits. */
static void reason_strings(void)
{
    static const struct {
        const char *claim;
        struct gh_slice connect;
        enum gh_session_end why;
        size_t room;
        struct gh_slice out;
    } rows[] = {
        {"a fault is told",
         BYTES("\x10\x0e\0\x04MQTT\x05\x02\0\0\0\0\x01"
               "a"),
         GH_SESSION_END_PROTOCOL, 4096,
         BYTES("\xe0\x0a\x82\x08\x1f\0\x05"
               "fault")},
        {"a person's reasons are not",
         BYTES("\x10\x0e\0\x04MQTT\x05\x02\0\0\0\0\x01"
               "a"),
         GH_SESSION_END_KICKED, 4096, BYTES("\xe0\x01\x98")},
        {"not when declined", BYTES(CONNECT), GH_SESSION_END_PROTOCOL, 4096, BYTES("\xe0\x01\x82")},
        {"not over Maximum Packet Size", BYTES(CONNECT_SMALL), GH_SESSION_END_PROTOCOL, 4096,
         BYTES("\xe0\x01\x82")},
        {"not without room",
         BYTES("\x10\x0e\0\x04MQTT\x05\x02\0\0\0\0\x01"
               "a"),
         GH_SESSION_END_PROTOCOL, 11, BYTES("\xe0\x01\x82")},
        {"nothing without any room",
         BYTES("\x10\x0e\0\x04MQTT\x05\x02\0\0\0\0\x01"
               "a"),
         GH_SESSION_END_PROTOCOL, 3, NO_BYTES},
    };
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        struct world world;
        world_begin(&world, &limits);
        world.admits = true;
        arrive(&world, rows[i].connect);
        gh_buffer_clear(&world.out);
        size_t fill = world.out.size_max - rows[i].room;
        gh_buffer_put(&world.out, gh_slice(filler, fill));
        gh_session_end(world.session, rows[i].why, "fault", &world.out);
        CHECK(rows[i].claim,
              gh_slice_equal(gh_slice_sub(gh_buffer_slice(&world.out), fill, 4096), rows[i].out));
        CHECK(rows[i].claim, !world.out.overflow);
        world_end(&world);
    }
}

/* Topics with an alias are bounded together. */
static void alias_bytes_are_bounded(void)
{
    struct gh_session_limits wide = aliases;
    struct world world;
    uint8_t publish[4 + 2 + 40000 + 4] = {0x30, 0xc6, 0xb8, 0x02, 0x9c, 0x40};
    uint8_t *alias = publish + 6 + 40000;

    wide.packet_bytes_max = 1 << 16;
    memset(publish + 6, 'a', 40000);
    memcpy(alias, "\x03\x23\0\x01", 4);
    world_begin(&world, &wide);
    world.admits = true;
    arrive(&world, GH_SLICE(CONNECT));
    gh_buffer_clear(&world.out);
    arrive(&world, gh_slice(publish, sizeof publish));
    publish[7] = 'b'; /* another topic for the same alias: the first is forgotten */
    arrive(&world, gh_slice(publish, sizeof publish));
    CHECK("one long topic is kept", !gh_session_ended(world.session));
    alias[3] = 2;
    arrive(&world, gh_slice(publish, sizeof publish));
    CHECK("not two", gh_slice_ends(gh_buffer_slice(&world.events), GH_SLICE("end QUOTA;")));
    CHECK("and the peer is told",
          gh_slice_equal(gh_buffer_slice(&world.out), GH_SLICE("\xe0\x01\x97")));
    world_end(&world);
}

int main(void)
{
    for (size_t i = 0; i < GH_COUNT(scripts); i++)
        run_script(&scripts[i]);
    for (size_t i = 0; i < GH_COUNT(refusals); i++)
        refusal_has_codes((enum gh_session_refusal)i);
    for (size_t i = 0; i < GH_COUNT(ends); i++)
        end_has_reason((enum gh_session_end)i);
    CHECK("all of them",
          GH_COUNT(refusals) == GH_SESSION_REFUSED_COUNT && GH_COUNT(ends) == GH_SESSION_END_COUNT);
    reason_strings();
    alias_bytes_are_bounded();
    return check_report();
}
