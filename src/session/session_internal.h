/* What the files of the session share: session.c has its life, its input and its timeouts,
 * connect.c the way from CONNECT to CONNACK, inbound.c what each packet of the peer does, hold.c
 * what keeps it waiting, outbound.c what is sent and repeated, alias.c topic aliases, end.c why it
 * ends. Nobody else includes this.
 *
 * Numbers like [MQTT-3.1.0-1] are of both standards where both have them; those of 5.0 alone stand
 * behind a stroke, those of 3.1.1 alone before one. */
#ifndef GH_SESSION_SESSION_INTERNAL_H
#define GH_SESSION_SESSION_INTERNAL_H

#include "session/session.h"
#include <assert.h>

enum {
    GH_SESSION_ACK_BYTES = 5,       /* PUBACK, PUBREC, PUBREL, PUBCOMP with a reason */
    GH_SESSION_ANSWER_BYTES = 1032, /* SUBACK and UNSUBACK of 1024 filters; AUTH with its method */
    GH_SESSION_FAREWELL_BYTES = 4,  /* DISCONNECT with a reason */
};
static_assert(GH_SESSION_ANSWER_BYTES >= 2 + 2 + 1 + GH_SESSION_FILTERS_MAX, "a SUBACK fits");
static_assert(GH_SESSION_ANSWER_BYTES >= 2 + 2 + 3 + GH_SESSION_AUTH_METHOD_BYTES_MAX,
              "an AUTH fits");

enum gh_session_phase {
    GH_SESSION_CONNECTING,     /* nothing came yet, or only a part of the CONNECT */
    GH_SESSION_AUTHENTICATING, /* the host has the CONNECT and owes a verdict */
    GH_SESSION_UP,
    GH_SESSION_ENDED,
};

/* What the host owes before the next packet is looked at. */
enum gh_session_due {
    GH_SESSION_DUE_NOTHING,
    GH_SESSION_DUE_VERDICT,
    GH_SESSION_DUE_SUBACK,
    GH_SESSION_DUE_UNSUBACK,
    GH_SESSION_DUE_REAUTHENTICATION,
};

/* What keeps the next packet waiting. */
enum gh_session_hold {
    GH_SESSION_HOLD_NONE,
    GH_SESSION_HOLD_DUE,
    GH_SESSION_HOLD_INFLIGHT,
    GH_SESSION_HOLD_RATE,
    GH_SESSION_HOLD_RATE_OVER, /* was HOLD_RATE; the time has passed */
    GH_SESSION_HOLD_ROOM,
};

/* A QoS 1 or 2 message of the peer, by where its exchange stands. */
enum gh_session_inbound_state {
    GH_SESSION_IN_QOS1,     /* the host owes the PUBACK */
    GH_SESSION_IN_QOS2,     /* the host owes the PUBREC */
    GH_SESSION_IN_RECEIVED, /* the peer owes the PUBREL */
    GH_SESSION_IN_RELEASED, /* the host owes the PUBCOMP */
};
struct gh_session_inbound {
    uint16_t packet_id;
    uint8_t state;
    bool counted; /* against the Receive Maximum: its PUBLISH came in this connection */
};

/* A QoS 1 or 2 message to the peer. */
enum gh_session_outbound_state {
    GH_SESSION_OUT_QOS1,     /* the peer owes the PUBACK */
    GH_SESSION_OUT_QOS2,     /* the peer owes the PUBREC */
    GH_SESSION_OUT_RECEIVED, /* the host owes the PUBREL */
    GH_SESSION_OUT_RELEASED, /* the peer owes the PUBCOMP */
};
struct gh_session_outbound {
    uint64_t token;
    int64_t sent_ns;
    uint8_t *packet; /* as it was sent; NULL when it is not repeated */
    uint32_t size;   /* of `packet` */
    uint16_t packet_id;
    uint8_t state;
    bool counted : 1;   /* against the peer's Receive Maximum */
    bool withdrawn : 1; /* the host has been told; only the peer's answer is waited for */
};
static_assert(sizeof(struct gh_session_outbound) == 32, "the header says so");

struct gh_session_alias {
    uint8_t *topic; /* NULL: this alias is not used */
    uint16_t size;
};
struct gh_session_aliases {
    struct gh_session_alias *entries; /* that of alias N is N - 1 */
    uint16_t count, used;
    size_t bytes; /* of all topics */
};
/* What most sessions do not have. */
struct gh_session_extra {
    struct gh_session_aliases in, out;
    uint8_t method_size; /* of the authentication method; 0: none */
    uint8_t method[GH_SESSION_AUTH_METHOD_BYTES_MAX];
};

/* What is under way, and what only a few have. It is made for the first message at QoS 1 or 2 in
 * either direction, topic alias or authentication method, and stays as long as the session; one
 * that has not needed it reads gh_session_no_flow. */
struct gh_session_flow {
    struct gh_session_outbound *out; /* in the order of sending */
    union {                          /* by packet id; one of QoS 1 may stand twice */
        struct gh_session_inbound *list;
        struct gh_session_inbound one; /* while in_capacity is 0: most have no more */
    } in;
    struct gh_session_extra *extra; /* NULL until needed */
    uint32_t out_bytes;             /* of the packets kept */
    uint16_t out_first;             /* entries of `out` before it are over */
    uint16_t out_count, out_capacity, in_count, in_capacity;
    uint16_t in_due;      /* entries of `in` that the host owes an answer */
    uint16_t in_counted;  /* against our Receive Maximum */
    uint16_t out_due;     /* entries of `out` that the host owes a PUBREL */
    uint16_t out_counted; /* against the peer's Receive Maximum */
    uint16_t last_id;
};
static_assert(sizeof(struct gh_session_flow) <= 48, "every device that publishes has one");

struct gh_session {
    const struct gh_session_limits *limits;
    const struct gh_session_host *host;
    void *context;
    struct gh_session_flow *flow; /* gh_session_no_flow until needed; never NULL */
    /* Last packet in each direction; before UP the begin of the phase. While input is held, when
     * that began: then no silence of the peer counts. */
    int64_t in_ns, out_ns;
    int64_t rate_ns;      /* when the throttle's bucket is full again */
    uint32_t peer_bytes;  /* Maximum Packet Size of the peer; 0: any */
    uint32_t expiry_s;    /* of the DISCONNECT */
    uint16_t receive_max; /* the peer's */
    uint16_t alias_max;   /* the peer's Topic Alias Maximum */
    uint16_t keep_alive_s;
    uint16_t due_id;    /* of the SUBSCRIBE or UNSUBSCRIBE */
    uint16_t due_count; /* and its filters */
    uint8_t due, phase, hold, version;
    uint8_t will_qos : 2; /* of the CONNECT, as the next five */
    bool will_retain : 1;
    bool clean : 1, unnamed : 1, ephemeral : 1; /* an expiry of 0 */
    bool asks_response : 1, hears_problems : 1;
    bool retain_refused : 1;
    bool farewell_will : 1, farewell_expiry : 1;
    bool traced : 1;
    bool clock_runs : 1; /* in_ns is set; false at the start and after a verdict, until the next
                            `now` */
};
static_assert(sizeof(struct gh_session) <= 80, "the header promises a small idle session");

/* How each type of packet is treated, and by what. */
struct gh_session_rule {
    void (*handle)(struct gh_session *session, struct gh_mqtt_packet *packet,
                   struct gh_buffer *out);
    uint16_t room; /* bytes of the answer */
    bool counts;   /* against the rate */
};

/* --- session.c */
/* Room for one entry more in a list that doubles; NULL when there is no memory or it has 65535, and
 * the list is as it was. */
void *gh_session_list_grow(void *list, uint16_t count, uint16_t *capacity, size_t entry_size);
/* from + limit; INT64_MAX when the limit is 0, which is none. */
int64_t gh_session_after(int64_t from_ns, int64_t limit_ns);
bool gh_session_speaks_5(const struct gh_session *session);
/* Of all sessions that have none of their own; read only. */
extern const struct gh_session_flow gh_session_no_flow;
/* Its own, made when it is not there; NULL when there is no memory. */
struct gh_session_flow *gh_session_flow(struct gh_session *session);
/* The same of the optional part. */
struct gh_session_extra *gh_session_extra(struct gh_session *session);

/* --- end.c */
/* As gh_session_end with another reason code; 0 sends nothing. */
void gh_session_end_for(struct gh_session *session, enum gh_session_end why, uint8_t reason,
                        const char *detail, struct gh_buffer *out);
/* Ends it over a rule of the protocol: PROTOCOL, 0x82. */
void gh_session_break(struct gh_session *session, const char *detail, struct gh_buffer *out);
/* Ends it over what a packet was refused for. */
void gh_session_end_for_fault(struct gh_session *session, enum gh_mqtt_fault fault,
                              struct gh_buffer *out);
/* After one packet was written to `out`, which had `begin` bytes before. Ends the session when it
 * took less than the room promised, because the system has no memory, or when the packet is larger
 * than the peer takes; it is taken back then. */
void gh_session_written(struct gh_session *session, size_t begin, struct gh_buffer *out);

/* --- connect.c */
void gh_session_handle_connect(struct gh_session *session, struct gh_mqtt_packet *packet,
                               struct gh_buffer *out);
/* Over a CONNECT that could not be read. */
void gh_session_refuse_fault(struct gh_session *session, const struct gh_mqtt_frame *frame,
                             enum gh_mqtt_fault fault, struct gh_buffer *out);

/* --- hold.c */
/* Free bytes of `out`; 0 once it has overflown. */
size_t gh_session_room(const struct gh_buffer *out);
/* What keeps this packet waiting now. */
enum gh_session_hold gh_session_obstacle(const struct gh_session *session,
                                         const struct gh_mqtt_packet *packet, int64_t now_ns,
                                         const struct gh_buffer *out);
void gh_session_hold_input(struct gh_session *session, enum gh_session_hold hold, int64_t now_ns);
/* Counts a packet against the rate. */
void gh_session_rate_take(struct gh_session *session, int64_t now_ns);
/* When the next one fits: without a rate at once, or when the host has slowed the peer down. */
int64_t gh_session_rate_next_ns(const struct gh_session *session);

/* --- inbound.c */
extern const struct gh_session_rule gh_session_rules[16];
/* NULL when the id is free. */
struct gh_session_inbound *gh_session_inbound_find(const struct gh_session *session,
                                                   uint16_t packet_id);
/* Takes over what earlier connections received and did not release; false when there is no memory.
 */
bool gh_session_inbound_restore(struct gh_session *session, const uint16_t *received, size_t count);
void gh_session_inbound_free(struct gh_session *session);

/* --- outbound.c */
void gh_session_handle_puback(struct gh_session *session, struct gh_mqtt_packet *packet,
                              struct gh_buffer *out);
void gh_session_handle_pubrec(struct gh_session *session, struct gh_mqtt_packet *packet,
                              struct gh_buffer *out);
void gh_session_handle_pubcomp(struct gh_session *session, struct gh_mqtt_packet *packet,
                               struct gh_buffer *out);
/* Tells the host that all of them are dropped. */
void gh_session_outbound_drop(struct gh_session *session);
/* Frees them and tells nobody. */
void gh_session_outbound_free(struct gh_session *session);
/* Sends again what is due. */
void gh_session_outbound_repeat(struct gh_session *session, int64_t now_ns, struct gh_buffer *out);
int64_t gh_session_outbound_deadline_ns(const struct gh_session *session);

/* --- alias.c */
/* Puts the topic of its alias into a PUBLISH of the peer, or learns the alias; false when the
 * session has ended over it. */
bool gh_session_alias_resolve(struct gh_session *session, struct gh_mqtt_publish *publish,
                              struct gh_buffer *out);
/* An alias for a topic to the peer; 0 for none. `*is_new`: the topic must go with it. */
uint16_t gh_session_alias_choose(struct gh_session *session, struct gh_slice topic, bool *is_new);
/* The new alias was not sent after all. */
void gh_session_alias_undo(struct gh_session *session);
void gh_session_aliases_free(struct gh_session *session);
#endif
