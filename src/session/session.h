/* MQTT session: the server side of one connection of MQTT 3.1.1 or MQTT 5.0 as a state machine over
 * bytes and time. It owns the rules of the protocol: order of packets, keep-alive, the exchanges of
 * QoS 1 and 2 in both directions, topic aliases, receive maximum, packet limits, throttle, reason
 * codes. Who may connect, what a topic means, what is stored, when a will is due and the queue of a
 * stored session are its host's business, asked through struct gh_session_host.
 *
 * One of these lives as long as one connection. What a stored session keeps across connections the
 * host gives back: the ids of QoS 2 publishes that were taken and not released
 * (gh_session_admission.received), messages with the ids they had (gh_session_message.packet_id),
 * and releases that were not completed (gh_session_resume_release).
 *
 * It does no I/O and reads no clock: input bytes + now -> consumed, bytes appended to `out`, next
 * deadline. `out` is the connection's bounded queue, the same at each call; what waits for an
 * answer always finds room in it, because new work is not begun when less than
 * gh_session_headroom() is free.
 *
 * When something is full nothing is lost: the session stops consuming input (backpressure) while an
 * answer to `authenticate`, `reauthenticate`, `subscribe` or `unsubscribe` is due, while
 * `inflight_in_max` answers to `publish` and `release` are due, while the peer is over its rate,
 * and while `out` lacks room. gh_session_resumable tells when to offer the held bytes again. A peer
 * of MQTT 5 was told `inflight_in_max` as Receive Maximum and is not held but ended when it sends
 * more.
 *
 * Memory: given by gh_session_open, freed by gh_session_close, or the caller's own
 * (gh_session_init, gh_session_deinit). An idle session is one block of 80 bytes (asserted) and no
 * other heap, but for the method when it signed in by AUTH. One that has had a message at QoS 1 or
 * 2 has 48 more, and the lists of what is in flight, which grow while something is (4 bytes for
 * each message in, at most 65535 of them; 32 for each message out, and its bytes when it is
 * repeated) and are then given back. Tables of topic aliases exist once
 * one is used and stay; the topics in each have at most GH_SESSION_ALIAS_BYTES_MAX together. The
 * limits and the host table are shared and outlive the session. Slices in callbacks are valid
 * during the call.
 *
 * Threads: the one of its connection. Any function below but gh_session_close, gh_session_input and
 * gh_session_tick may be called from inside a callback. */
#ifndef GH_SESSION_SESSION_H
#define GH_SESSION_SESSION_H

#include "base/buffer.h"
#include "wire/mqtt/packet.h"

struct gh_session;

enum {
    GH_SESSION_FILTERS_MAX = 1024,         /* in one SUBSCRIBE or UNSUBSCRIBE */
    GH_SESSION_ALIAS_BYTES_MAX = 64 << 10, /* topics known by an alias, for each direction */
    GH_SESSION_AUTH_METHOD_BYTES_MAX = 64, /* a longer method gets REFUSED_AUTH_METHOD */
};

struct gh_session_limits {
    size_t connect_bytes_max;      /* a CONNECT packet: nobody is known yet */
    size_t packet_bytes_max;       /* any other packet; MQTT 5: told as Maximum Packet Size */
    uint16_t inflight_in_max;      /* answers due to `publish` (QoS 1 and 2) and `release`; MQTT 5:
                                      told as Receive Maximum */
    uint16_t inflight_out_max;     /* QoS 1 and 2 messages that wait for the peer, and at most its
                                      Receive Maximum */
    size_t inflight_out_bytes_max; /* and the bytes kept for their repetition; one always fits */
    uint16_t topic_alias_in_max;   /* MQTT 5: aliases that the peer may use; told */
    uint16_t topic_alias_out_max;  /* MQTT 5: aliases towards it, and at most what it allows */
    uint16_t keep_alive_max_s;     /* MQTT 5: Server Keep Alive when the peer wants more or none;
                                      0 is no limit; not enforced in 3.1.1 */
    uint8_t qos_max;               /* of a PUBLISH in: a higher one ends it with QOS2 */
    uint32_t messages_per_second;  /* PUBLISH, SUBSCRIBE, UNSUBSCRIBE, PINGREQ, AUTH; 0: no limit */
    uint32_t messages_burst;       /* above the rate after silence; 0 is one second's worth */
    int64_t connect_ns;            /* for the CONNECT packet, and again for the answer to it */
    int64_t idle_ns;               /* without a packet in either direction; 0 is no limit */
    int64_t repeat_ns; /* 3.1.1: between repetitions of what is unacknowledged; 0 is never, and then
                          no copies are kept. MQTT 5 forbids it [MQTT-4.4.0-1] */
    int64_t stall_ns;  /* that `out` may lack room for the input's answers; 0 is no limit */
};
/* 16 KiB, 272 KiB, 64, 16, 1 MiB, 16, 16, no keep-alive limit, QoS 2, 100/s, 100, 10 s, 20 min,
 * 20 s, 60 s. */
extern const struct gh_session_limits gh_session_limits_default;

/* Why a session ended. The name is the enumerator's last part and is stable: logs and metrics use
 * it. Behind it the reason code of the DISCONNECT that a peer of MQTT 5 is sent, if any. */
enum gh_session_end {
    GH_SESSION_END_CLIENT_CLOSED,   /* DISCONNECT came: see gh_session_farewell */
    GH_SESSION_END_NETWORK,         /* the connection broke or the peer stopped reading */
    GH_SESSION_END_CONNECT_TIMEOUT, /* before the CONNACK nothing is sent */
    GH_SESSION_END_KEEPALIVE,       /* 0x8D */
    GH_SESSION_END_IDLE,            /* 0x98 */
    GH_SESSION_END_PROTOCOL,        /* the fault's own code, or 0x82 */
    GH_SESSION_END_TOO_LARGE,       /* 0x95 */
    GH_SESSION_END_QOS2,            /* 0x9B: a QoS over `qos_max` */
    GH_SESSION_END_REFUSED,         /* CONNACK with a code that is not 0; after AUTH 0x87 */
    GH_SESSION_END_TAKEN_OVER,      /* 0x8E */
    GH_SESSION_END_TOKEN_EXPIRED,   /* 0xA0 */
    GH_SESSION_END_BLOCKED,         /* 0x98, as the next three */
    GH_SESSION_END_DELETED,
    GH_SESSION_END_CREDENTIAL_REMOVED,
    GH_SESSION_END_REGISTRY_DISABLED,
    GH_SESSION_END_TOPIC_FORBIDDEN,    /* 0x87 */
    GH_SESSION_END_NO_TELEMETRY_TOPIC, /* 0x83 */
    GH_SESSION_END_RATE,               /* 0x96 */
    GH_SESSION_END_OVERLOAD,           /* 0x97: no memory, or a store that does not answer */
    GH_SESSION_END_SHUTDOWN,           /* 0x8B */
    GH_SESSION_END_KICKED,             /* 0x98 */
    GH_SESSION_END_BANNED,             /* 0x98 */
    GH_SESSION_END_TENANT_DISABLED,    /* 0x98 */
    GH_SESSION_END_POLICY,             /* 0x87 */
    GH_SESSION_END_RECEIVE_MAX,        /* 0x93: more unanswered publishes than Receive Maximum */
    GH_SESSION_END_TOPIC_ALIAS,        /* 0x94: alias 0, or over Topic Alias Maximum */
    GH_SESSION_END_QUOTA,              /* 0x97 */
    GH_SESSION_END_COUNT
};
/* "CLIENT_CLOSED" */
const char *gh_session_end_name(enum gh_session_end why);

/* Why a CONNECT is refused, with the CONNACK code of 3.1.1 and the reason code of MQTT 5. */
enum gh_session_refusal {
    GH_SESSION_REFUSED_LEVEL,        /* 1, 0x84: not spoken here */
    GH_SESSION_REFUSED_CLIENT_ID,    /* 2, 0x85 */
    GH_SESSION_REFUSED_UNAVAILABLE,  /* 3, 0x88 */
    GH_SESSION_REFUSED_BUSY,         /* 3, 0x89 */
    GH_SESSION_REFUSED_QUOTA,        /* 3, 0x97 */
    GH_SESSION_REFUSED_RATE,         /* 3, 0x9F */
    GH_SESSION_REFUSED_CREDENTIALS,  /* 4, 0x86 */
    GH_SESSION_REFUSED_UNAUTHORISED, /* 5, 0x87 */
    GH_SESSION_REFUSED_BANNED,       /* 5, 0x8A */
    GH_SESSION_REFUSED_AUTH_METHOD,  /* 5, 0x8C */
    GH_SESSION_REFUSED_WILL_TOPIC,   /* 5, 0x90 */
    GH_SESSION_REFUSED_WILL_SIZE,    /* 3, 0x95 */
    GH_SESSION_REFUSED_WILL_QOS,     /* 5, 0x9B */
    GH_SESSION_REFUSED_WILL_RETAIN,  /* 5, 0x9A */
    GH_SESSION_REFUSED_COUNT
};
/* The enumerator's last part. */
const char *gh_session_refusal_name(enum gh_session_refusal refusal);

/* What the host grants with a CONNECT. The peer of 3.1.1 is told `session_present` only. */
struct gh_session_admission {
    const struct gh_session_limits *limits; /* from here on; NULL: those of gh_session_open stay */
    bool session_present;                   /* never with a clean CONNECT [MQTT-3.2.2-2] */
    struct gh_slice client_id; /* assigned, when that of CONNECT was empty: then not empty */
    bool has_session_expiry;   /* it differs from what CONNECT asked for */
    uint32_t session_expiry_s;
    struct gh_slice response_information; /* told when it was asked for and fits; empty: none */
    const uint16_t *received; /* ids of QoS 2 publishes taken in earlier connections and not
                                 released; borrowed during the call */
    size_t received_count;
    /* Told when false. The session itself refuses a PUBLISH or will with RETAIN; the other three
     * the host refuses by the codes of gh_session_suback. */
    bool retain_available, wildcard_available, identifiers_available, shared_available;
};
/* With everything available and nothing else. */
extern const struct gh_session_admission gh_session_admission_default;

/* Called from inside gh_session_input, gh_session_tick and the functions below. Every entry is set.
 */
struct gh_session_host {
    /* Answer by gh_session_admit or gh_session_refuse, now or later; input waits until then. */
    void (*authenticate)(void *context, const struct gh_mqtt_connect *connect);
    /* MQTT 5, AUTH 0x19 with the method of CONNECT. Answer by gh_session_reauthenticated, now or
     * later; input waits until then. */
    void (*reauthenticate)(void *context, struct gh_slice data);
    /* QoS 0 to `qos_max`, with its topic even when it came by alias (which still stands in its
     * properties); a QoS 2 message once, however often it is sent. At QoS 1 and 2 answer by
     * gh_session_acknowledge, now or later. */
    void (*publish)(void *context, const struct gh_mqtt_publish *publish);
    /* PUBREL: the id of a QoS 2 publish that was acknowledged may be forgotten. Answer by
     * gh_session_complete, now or later; until then the id stays taken. */
    void (*release)(void *context, uint16_t packet_id);
    /* The whole packet, at most GH_SESSION_FILTERS_MAX. Answer by gh_session_suback, now or later;
     * input waits until then. */
    void (*subscribe)(void *context, const struct gh_mqtt_filters *filters);
    /* The same by gh_session_unsuback. */
    void (*unsubscribe)(void *context, const struct gh_mqtt_filters *filters);
    /* PUBREC with success for a QoS 2 message of ours: the message may be forgotten, its id not.
     * Answer by gh_session_release, now or later. */
    void (*received)(void *context, uint64_t token);
    /* QoS 0: true once queued. QoS 1 and 2: true on PUBACK, PUBCOMP, and a PUBREC that refuses it
     * (a reason of 0x80 and more is the peer's final word); false when withdrawn or when the
     * session ended. */
    void (*delivered)(void *context, uint64_t token, bool acknowledged);
    void (*heartbeat)(void *context); /* PINGREQ */
    /* Each whole packet in either direction, only while gh_session_trace is on. AUTH packets hold
     * secrets. */
    void (*traced)(void *context, bool inbound, struct gh_slice packet);
    /* Once: flush `out`, then close the connection. `detail` is static text or what gh_session_end
     * was given. The session stays valid until gh_session_close, and does nothing more. */
    void (*end)(void *context, enum gh_session_end why, const char *detail);
};

/* NULL when there is no memory. Time begins with the first tick or input: until then the deadline
 * is 0. */
GH_MUST_USE struct gh_session *gh_session_open(const struct gh_session_limits *limits,
                                               const struct gh_session_host *host, void *context);
/* Calls nobody; end it first if the host wants to know. NULL is allowed. */
void gh_session_close(struct gh_session *session);
/* The same for who has room for it in a block of its own: so many bytes, aligned as a pointer. */
size_t gh_session_size(void);
struct gh_session *gh_session_init(void *room, const struct gh_session_limits *limits,
                                   const struct gh_session_host *host, void *context);
void gh_session_deinit(struct gh_session *session);

/* Handles the whole packets at the start of `bytes` and returns how many bytes it is done with. The
 * rest is offered again, with more bytes behind it or when gh_session_resumable says so. 0 after
 * the end. */
GH_MUST_USE size_t gh_session_input(struct gh_session *session, struct gh_slice bytes,
                                    int64_t now_ns, struct gh_buffer *out);
/* Whether the last input stopped short of a packet that could be handled now. Ask after every
 * answer of the host, after gh_session_tick, and when `out` has drained. */
bool gh_session_resumable(const struct gh_session *session, const struct gh_buffer *out);

/* Time has passed: timeouts, repetition, the end of a throttle. */
void gh_session_tick(struct gh_session *session, int64_t now_ns, struct gh_buffer *out);
/* When gh_session_tick is due; INT64_MAX for never. Changes with every call of the session. */
int64_t gh_session_deadline_ns(const struct gh_session *session);

/* The answers to `authenticate`. Ignored when none is due, or after the end. A refusal ends the
 * session. A peer of MQTT 5 whose will has a QoS or RETAIN that is not granted is refused by the
 * session itself. */
void gh_session_admit(struct gh_session *session, const struct gh_session_admission *admission,
                      struct gh_buffer *out);
void gh_session_refuse(struct gh_session *session, enum gh_session_refusal refusal,
                       struct gh_buffer *out);
/* The answer to `reauthenticate`: AUTH 0x00, or the end (REFUSED). Ignored when none is due. */
void gh_session_reauthenticated(struct gh_session *session, bool accepted, struct gh_buffer *out);
/* The publish with this id is safe, or in MQTT 5 refused: PUBACK or PUBREC as its QoS was. `reason`
 * is GH_MQTT_REASON_SUCCESS, GH_MQTT_REASON_NO_MATCHING_SUBSCRIBERS, or in MQTT 5 only one of 0x80
 * and more, which with QoS 2 frees the id. An id that waits for nothing is ignored. */
void gh_session_acknowledge(struct gh_session *session, uint16_t packet_id, uint8_t reason,
                            struct gh_buffer *out);
/* The publish with this id is not answered: what came is passed over and its id is free again. Of
 * QoS 1, in 3.1.1, where a refusal has no other word. */
void gh_session_forgo(struct gh_session *session, uint16_t packet_id);
/* The id is forgotten: PUBCOMP. Ignored when no answer to `release` is due for it. */
void gh_session_complete(struct gh_session *session, uint16_t packet_id, struct gh_buffer *out);
/* One code for each filter of the packet, in its order; ignored when no such answer is due. SUBACK:
 * 0 to 2, the granted QoS, or 0x80 and more, which a peer of 3.1.1 sees as 0x80. UNSUBACK: 0, 0x11
 * or 0x80 and more; told in MQTT 5 only. */
void gh_session_suback(struct gh_session *session, const uint8_t *codes, size_t count,
                       struct gh_buffer *out);
void gh_session_unsuback(struct gh_session *session, const uint8_t *codes, size_t count,
                         struct gh_buffer *out);

/* Ends it from outside. Only the first end counts. A connected peer of MQTT 5 is sent a DISCONNECT
 * with the reason that stands at `why`, unless `out` is NULL: then nothing can be written. */
void gh_session_end(struct gh_session *session, enum gh_session_end why, const char *detail,
                    struct gh_buffer *out);
bool gh_session_ended(const struct gh_session *session);
/* Admitted and not ended. */
bool gh_session_connected(const struct gh_session *session);
/* Of the CONNECT; 3.1.1 before it came. */
enum gh_mqtt_version gh_session_version(const struct gh_session *session);
/* The host slows the peer down: its next packet that messages_per_second counts waits until then,
 * and what that allows at once is used up. */
void gh_session_slow(struct gh_session *session, int64_t until_ns);
/* Whether input waits because the peer is over its messages per second, or was slowed down. */
bool gh_session_throttled(const struct gh_session *session);
/* Whether `traced` is called from now on. */
void gh_session_trace(struct gh_session *session, bool on);

/* What the client's DISCONNECT said; all false when the session ended in another way. */
struct gh_session_farewell {
    bool will;       /* its reason was not 0x00: the will is to be published [MQTT-3.14.4-3] */
    bool has_expiry; /* a new Session Expiry Interval */
    uint32_t expiry_s;
};
struct gh_session_farewell gh_session_farewell(const struct gh_session *session);

struct gh_session_message {
    struct gh_slice topic, payload;
    /* Passed on to a peer of MQTT 5: a valid block as wire/mqtt/property.h has it, without alias,
     * expiry and subscription identifiers. */
    struct gh_slice properties;
    const uint32_t *identifiers; /* subscription identifiers, MQTT 5 */
    size_t identifiers_count;
    bool has_expiry;   /* MQTT 5 */
    uint32_t expiry_s; /* what is left of it */
    uint8_t qos;
    bool retain, dup;
    uint16_t packet_id; /* QoS 1 and 2; 0: the session chooses. One session does the one or the
                           other; an id that is in flight is not given twice */
};

enum gh_session_sending {
    GH_SESSION_SENT,
    GH_SESSION_FULL,      /* inflight bound or Receive Maximum, room in `out`, or memory: again
                             after `delivered` or when drained */
    GH_SESSION_TOO_LARGE, /* never fits into `out` or the peer's Maximum Packet Size: treat as
                             delivered [MQTT-3.1.2-25] */
    GH_SESSION_GONE,      /* not connected; or no memory for `out`, and the session has ended over
                             it */
};
/* Sends a message to the peer; `token` comes back in `received` and `delivered`. What is needed
 * later is copied. */
enum gh_session_sending gh_session_publish(struct gh_session *session,
                                           const struct gh_session_message *message, uint64_t token,
                                           int64_t now_ns, struct gh_buffer *out);
/* The answer to `received`: PUBREL. Ignored when none is due. */
void gh_session_release(struct gh_session *session, uint64_t token, struct gh_buffer *out);
/* After a reconnect: sends the PUBREL of a message whose PUBREC came in an earlier connection;
 * `delivered` comes with its PUBCOMP. */
enum gh_session_sending gh_session_resume_release(struct gh_session *session, uint16_t packet_id,
                                                  uint64_t token, struct gh_buffer *out);
/* Gives up what was sent with this token (a newer configuration replaces an unacknowledged older
 * one): `delivered` says false, it is repeated no more, and a QoS 2 exchange is finished without
 * the host. In MQTT 5 it takes part of the peer's Receive Maximum until the peer has answered.
 * False when nothing with this token is in flight, or `received` was told: then the peer has it. */
bool gh_session_withdraw(struct gh_session *session, uint64_t token);

/* QoS 1 and 2 messages that wait for the peer, without those withdrawn. */
size_t gh_session_inflight_out(const struct gh_session *session);
/* Room that `out` must have beyond a message for gh_session_publish to take it. `out` itself must
 * be larger than that. */
size_t gh_session_headroom(const struct gh_session *session);
#endif
