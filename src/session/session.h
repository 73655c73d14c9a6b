/* MQTT session: the server side of one MQTT 3.1.1 connection as a state machine over bytes and
 * time. It owns the rules of the protocol: order of packets, keep-alive, acknowledgement,
 * repetition, inflight bounds, packet limits, throttle. Who may connect, what a topic means and
 * what is stored is its host's business, asked through struct gh_session_host. Sessions are clean
 * only: a CONNECT with clean session 0 is treated as 1 and Session Present is 0; the will is handed
 * to the host with the CONNECT and not published by the session; QoS 2 is not offered.
 *
 * It does no I/O and reads no clock: input bytes + now -> consumed, bytes appended to `out`, next
 * deadline. `out` is the connection's bounded queue, the same at each call; what waits for an
 * answer always finds room in it, because new work is not begun when less than
 * gh_session_headroom() is free.
 *
 * When something is full nothing is lost: the session stops consuming input (backpressure) while an
 * answer to `authenticate` is due, while `inflight_in_max` publishes wait for gh_session_puback,
 * while the peer is over its rate, and while `out` lacks room. gh_session_resumable tells when to
 * offer the held bytes again.
 *
 * Memory: given by gh_session_open, freed by gh_session_close. An idle session is one block of 96
 * bytes (asserted; 104 as glibc gives it) and no other heap. The lists of what is in flight grow
 * while something is (8 bytes for up to 4 messages in; 160 for up to 4 messages out, and the bytes
 * of each, kept for its repetition) and are then given back. The limits and the host table are
 * shared and outlive the session. Slices in callbacks are valid during the call.
 *
 * Threads: the one of its connection. Any function below but gh_session_close and gh_session_input
 * may be called from inside a callback, except that `subscribe` and `unsubscribe` must not send:
 * their answer goes first.
 */
#ifndef GH_SESSION_SESSION_H
#define GH_SESSION_SESSION_H

#include "base/buffer.h"
#include "wire/mqtt/packet.h"

struct gh_session;

enum { GH_SESSION_FILTERS_MAX = 64 }; /* in one SUBSCRIBE or UNSUBSCRIBE */

struct gh_session_limits {
    size_t connect_bytes_max;      /* a CONNECT packet: nobody is known yet */
    size_t packet_bytes_max;       /* any other packet */
    uint16_t inflight_in_max;      /* QoS 1 publishes that wait for gh_session_puback */
    uint16_t inflight_out_max;     /* QoS 1 publishes that wait for the peer's PUBACK */
    size_t inflight_out_bytes_max; /* and the bytes kept for their repetition; one always fits */
    uint32_t messages_per_second;  /* PUBLISH, SUBSCRIBE, UNSUBSCRIBE, PINGREQ; 0 is no limit */
    uint32_t messages_burst;       /* above the rate after silence; 0 is one second's worth */
    int64_t connect_ns;            /* for the CONNECT packet, and again for the answer to it */
    int64_t idle_ns;               /* without a packet in either direction; 0 is no limit */
    int64_t repeat_ns; /* between repetitions of an unacknowledged QoS 1 publish; 0 is never */
    int64_t stall_ns;  /* that `out` may lack room for the input's answers; 0 is no limit */
};
/* 16 KiB, 272 KiB, 64, 16, 1 MiB, 100/s, 100, 10 s, 20 min, 20 s, 60 s. */
extern const struct gh_session_limits gh_session_limits_default;

/* Why a session ended. The name is the enumerator's last part and is stable: logs and metrics use
 * it. */
enum gh_session_end {
    GH_SESSION_END_CLIENT_CLOSED, /* DISCONNECT */
    GH_SESSION_END_NETWORK,       /* the connection broke or the peer stopped reading */
    GH_SESSION_END_CONNECT_TIMEOUT,
    GH_SESSION_END_KEEPALIVE,
    GH_SESSION_END_IDLE,
    GH_SESSION_END_PROTOCOL,
    GH_SESSION_END_TOO_LARGE,
    GH_SESSION_END_QOS2,
    GH_SESSION_END_REFUSED, /* CONNACK with a code that is not 0 */
    GH_SESSION_END_TAKEN_OVER,
    GH_SESSION_END_TOKEN_EXPIRED,
    GH_SESSION_END_BLOCKED,
    GH_SESSION_END_DELETED,
    GH_SESSION_END_CREDENTIAL_REMOVED,
    GH_SESSION_END_REGISTRY_DISABLED,
    GH_SESSION_END_TOPIC_FORBIDDEN,
    GH_SESSION_END_NO_TELEMETRY_TOPIC,
    GH_SESSION_END_RATE,
    GH_SESSION_END_OVERLOAD, /* no memory, or a store that does not answer */
    GH_SESSION_END_SHUTDOWN,
    GH_SESSION_END_COUNT
};
/* "CLIENT_CLOSED" */
const char *gh_session_end_name(enum gh_session_end why);

/* Called from inside gh_session_input, gh_session_tick and the answers below. Every entry is set.
 */
struct gh_session_host {
    /* Answer by gh_session_admit or gh_session_refuse, now or later; input waits until then. */
    void (*authenticate)(void *context, const struct gh_mqtt_connect *connect);
    /* QoS 0 or 1. At QoS 1 answer by gh_session_puback, now or later. */
    void (*publish)(void *context, const struct gh_mqtt_publish *publish);
    /* What is granted: 0, 1 or GH_MQTT_SUBACK_REFUSED; `qos` is what was asked, 0 to 2. */
    uint8_t (*subscribe)(void *context, struct gh_slice filter, uint8_t qos);
    /* After the SUBACK is queued, for each filter in order. */
    void (*subscribed)(void *context, struct gh_slice filter, uint8_t granted);
    void (*unsubscribe)(void *context, struct gh_slice filter);
    /* QoS 0: true once queued. QoS 1: true on PUBACK; false when withdrawn or when the session
     * ended. */
    void (*delivered)(void *context, uint64_t token, bool acknowledged);
    void (*heartbeat)(void *context); /* PINGREQ */
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

/* Handles the whole packets at the start of `bytes` and returns how many bytes it is done with. The
 * rest is offered again, with more bytes behind it or when gh_session_resumable says so. 0 after
 * the end. */
GH_MUST_USE size_t gh_session_input(struct gh_session *session, struct gh_slice bytes,
                                    int64_t now_ns, struct gh_buffer *out);
/* Whether the last input stopped short of a packet that could be handled now. Ask after
 * gh_session_admit, gh_session_puback, gh_session_tick, and when `out` has drained. */
bool gh_session_resumable(const struct gh_session *session, const struct gh_buffer *out);

/* Time has passed: timeouts, repetition, the end of a throttle. */
void gh_session_tick(struct gh_session *session, int64_t now_ns, struct gh_buffer *out);
/* When gh_session_tick is due; INT64_MAX for never. Changes with every call of the session. */
int64_t gh_session_deadline_ns(const struct gh_session *session);

/* The answer to `authenticate`. Ignored when none is due, or after the end. A refusal ends the
 * session. */
void gh_session_admit(struct gh_session *session, struct gh_buffer *out);
void gh_session_refuse(struct gh_session *session, uint8_t connack_code, struct gh_buffer *out);
/* The publish with this id is safe: PUBACK. An id that waits for nothing is ignored. */
void gh_session_puback(struct gh_session *session, uint16_t packet_id, struct gh_buffer *out);
/* Ends it from outside. Only the first end counts. */
void gh_session_end(struct gh_session *session, enum gh_session_end why, const char *detail);
bool gh_session_ended(const struct gh_session *session);
/* Admitted and not ended. */
bool gh_session_connected(const struct gh_session *session);

enum gh_session_sending {
    GH_SESSION_SENT,
    GH_SESSION_FULL, /* inflight bound, room in `out`, or memory: again after `delivered` or when
                        drained */
    GH_SESSION_TOO_LARGE, /* never fits into `out` */
    GH_SESSION_GONE, /* not connected; or no memory for `out`, and the session has ended over it */
};
/* Sends a message to the peer. `qos` is 0 or 1; `token` comes back in `delivered`. Payload and
 * topic are copied as far as they are still needed. */
enum gh_session_sending gh_session_publish(struct gh_session *session, struct gh_slice topic,
                                           struct gh_slice payload, uint8_t qos, uint64_t token,
                                           int64_t now_ns, struct gh_buffer *out);
/* Stops repeating what was sent with this token (a newer configuration replaces an unacknowledged
 * older one): `delivered` says false. False when nothing with this token is in flight. */
bool gh_session_withdraw(struct gh_session *session, uint64_t token);

/* QoS 1 messages that wait for the peer's PUBACK. */
size_t gh_session_inflight_out(const struct gh_session *session);
/* Room that `out` must have beyond a message for gh_session_publish to take it: 325 bytes with the
 * default limits. `out` itself must be larger than that. */
size_t gh_session_headroom(const struct gh_session *session);
#endif
