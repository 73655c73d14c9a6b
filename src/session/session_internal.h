/* What the two files of the session share: session.c has its life, its input and its timeouts,
 * outbound.c what it sends and repeats. Nobody else includes this. */
#ifndef GH_SESSION_SESSION_INTERNAL_H
#define GH_SESSION_SESSION_INTERNAL_H

#include "session/session.h"
#include <assert.h>

enum gh_session_phase {
    GH_SESSION_CONNECTING,     /* nothing came yet, or only a part of the CONNECT */
    GH_SESSION_AUTHENTICATING, /* the host has the CONNECT and owes a verdict */
    GH_SESSION_UP,
    GH_SESSION_ENDED,
};

/* What keeps the next packet waiting. */
enum gh_session_hold {
    GH_SESSION_HOLD_NONE,
    GH_SESSION_HOLD_VERDICT,
    GH_SESSION_HOLD_INFLIGHT,
    GH_SESSION_HOLD_RATE,
    GH_SESSION_HOLD_RATE_OVER, /* was HOLD_RATE; the time has passed */
    GH_SESSION_HOLD_ROOM,
};

/* A QoS 1 message that the peer has not acknowledged. */
struct gh_session_outbound {
    uint64_t token;
    int64_t sent_ns;
    uint8_t *packet; /* as it was sent; NULL when nothing is repeated */
    size_t size;     /* of `packet` */
    uint16_t packet_id;
};

struct gh_session {
    const struct gh_session_limits *limits;
    const struct gh_session_host *host;
    void *context;
    struct gh_session_outbound *out; /* in the order of sending */
    uint16_t *in;                    /* packet ids in the order of arrival; one may stand twice */
    size_t out_bytes;                /* of the packets kept */
    int64_t in_ns, out_ns; /* last packet in each direction; before UP the begin of the phase */
    int64_t hold_ns;       /* when input was first held */
    int64_t rate_ns;       /* when the throttle's bucket is full again */
    uint16_t out_count, out_capacity, in_count, in_capacity;
    uint16_t last_id, keep_alive_s;
    uint8_t phase, hold;
    bool
        clock_runs; /* in_ns is set; false at the start and after a verdict, until the next `now` */
};
static_assert(sizeof(struct gh_session) <= 160, "the header promises a small idle session");

/* Room for one entry more in a list that doubles; NULL when there is no memory, and the list is as
 * it was. */
void *gh_session_list_grow(void *list, uint16_t count, uint16_t *capacity, size_t entry_size);
/* Free bytes of `out`; 0 once it has overflown. */
size_t gh_session_room(const struct gh_buffer *out);
/* Ends the session when `out` took less than the room promised: the system has no memory. */
void gh_session_check_written(struct gh_session *session, const struct gh_buffer *out);
/* from + limit; INT64_MAX when the limit is 0, which is none. */
int64_t gh_session_after(int64_t from_ns, int64_t limit_ns);

/* PUBACK came. Tells the host; ignores an id that is not in flight. */
void gh_session_outbound_acknowledged(struct gh_session *session, uint16_t packet_id);
/* Tells the host that all of them are dropped. */
void gh_session_outbound_drop(struct gh_session *session);
/* Frees them and tells nobody. */
void gh_session_outbound_free(struct gh_session *session);
/* Sends again what is due. */
void gh_session_outbound_repeat(struct gh_session *session, int64_t now_ns, struct gh_buffer *out);
int64_t gh_session_outbound_deadline_ns(const struct gh_session *session);
#endif
