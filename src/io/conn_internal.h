/* What the files of a connection share: where it comes from, its phases and its state. conn.c has
 * its life: turns, times, writing, the end; conn_entry.c how it begins; conn_input.c what it reads.
 * Nobody outside the folder includes this. */
#ifndef GH_IO_CONN_INTERNAL_H
#define GH_IO_CONN_INTERNAL_H

#include "io/conn.h"
#include "io/crowd.h"
#include "io/listener.h"
#include "io/loop_internal.h"
#include "io/socket.h"
#include "io/stream_internal.h"
#include "io/worker.h"
#include <assert.h>

/* Outlives its connections. */
struct conn_origin {
    struct gh_conn_limits limits; /* without zeros */
    struct gh_metrics *metrics;
    struct gh_listener_protocol protocols[GH_LISTENER_PROTOCOLS_MAX];
    size_t protocols_count;
    size_t handshakes_max;      /* on one loop */
    struct gh_crowd *crowd;     /* may be NULL */
    struct gh_workers *workers; /* take the steps of handshakes; NULL: the loops do */
    bool is_secure;             /* TLS */
    bool keeps_openssl;         /* for the whole life of a connection, not its handshake alone */
    bool expects_proxy;         /* a header of the PROXY protocol comes first */
    /* A reference to the context of now. On the connection's loop's thread; NULL when plain. */
    struct gh_tls_context *(*tls)(struct conn_origin *origin);
    void (*gone)(struct conn_origin *origin); /* a connection has ended; on its loop's thread */
};

/* Zeros become the defaults. */
struct gh_conn_limits conn_limits_whole(struct gh_conn_limits limits);

/* Takes `fd`, also when it fails; `origin->gone` is called in either case at the end. */
void conn_accept(struct gh_loop *loop, int fd, struct conn_origin *origin,
                 const struct gh_address *peer);

/* Each phase has one time limit of its own (limit_ns), beside the protocol's deadline. */
enum conn_phase {
    CONN_CONNECTING, /* dialled: limit handshake_ms */
    CONN_PREFACE,    /* accepted, the balancer's header comes first: the same limit */
    /* The same limit. What was accepted gets its TLS with the first byte, so that a peer that says
     * nothing costs no more than a descriptor. */
    CONN_HANDSHAKE,
    CONN_FIRST_BYTE, /* accepted, no protocol yet: limit first_byte_ms */
    CONN_OPEN,       /* limit stuck_ms while a full input is not taken */
    CONN_CLOSING,    /* writes what is queued: limit close_ms */
    /* The protocol is gone. Reads past what the peer still sends, because closing with unread input
     * resets the connection and destroys what it has not read yet: limit LINGER_MS. */
    CONN_LINGERING,
    CONN_DEAD,
};

/* Bytes read before the protocol is known; every input_max is at least that. */
enum { CONN_FIRST_BYTES = 4096 };

struct gh_conn {
    struct gh_source source;
    struct gh_loop *loop;
    struct gh_conn *next, **link; /* of the loop's wheel, or those on their way */
    struct gh_conn *pending_next; /* the loop's queue */
    union {
        int64_t deadline_ns; /* the protocol's; 0: none; from CONN_CLOSING on it has none, and */
        const char *why;     /* this is why it closes */
    };
    int64_t limit_ns; /* the phase's; 0: none */
    struct conn_origin *origin;
    const struct gh_protocol *protocol;
    void *state;
    struct stream stream;
    struct gh_buffer *in, *out; /* NULL while there is nothing in them */
    struct gh_framing *framing; /* NULL: the stream's bytes are the protocol's */
    enum conn_phase phase : 8;
    bool is_pending : 1;
    bool again : 1;   /* work is left for the next turn */
    bool resumed : 1; /* offer the held input */
    bool told_end : 1;
    bool is_shaking : 1; /* in that list */
    bool is_counted : 1; /* by the origin's crowd */
    bool is_away : 1;    /* a worker takes a step of its handshake */
    bool is_fresh : 1;   /* upgraded, and no byte of the protocol has come yet */
    bool
        is_armed : 1; /* hangs in `slot` of the wheel, for the earlier of its two times or before */
    uint8_t slot;
    char peer[]; /* NUL-terminated */
};

static inline size_t conn_in_size(const struct gh_conn *conn)
{
    return conn->in == NULL ? 0 : conn->in->size;
}
static inline size_t conn_out_size(const struct gh_conn *conn)
{
    return conn->out == NULL ? 0 : conn->out->size;
}
/* Frees what its protocol has not read. */
void conn_drop_input(struct gh_conn *conn);

static_assert(offsetof(struct gh_conn, peer) <= 124, "a hundred thousand of them are idle");

/* ---- conn.c */
/* Puts it into the queue of this turn, or of the next when this turn has passed it. */
void conn_set_pending(struct gh_conn *conn);
void conn_set_limit(struct gh_conn *conn, int limit_ms);
void conn_set_phase(struct gh_conn *conn, enum conn_phase phase, int limit_ms);
void conn_on_event(struct gh_source *source, uint32_t events);

/* Its time may have come. */
void conn_on_time(struct gh_conn *conn);

/* Both halves of a turn for one connection, out of the order of the others. */
void conn_finish_turn(struct gh_conn *conn);

/* ---- conn_wheel.c: the loop's connections, by when something of them is due
 *
 * A hashed and hierarchical timing wheel (Varghese, Lauck 1987): a connection hangs in a list that
 * it needs anyway, and has no timer beside it. What is far away hangs in a slot of a coarser level,
 * comes round at the slot's begin and is armed again. Those on their way to being open stand in a
 * list of their own, because the one that waits longest is to be found; their one limit is looked
 * at there. */
/* Of this loop from now on, with nothing due; and of none. */
void conn_wheel_add(struct gh_conn *conn);
void conn_wheel_remove(struct gh_conn *conn);
/* To the list of those on their way, with its limit set, and back. */
void conn_wheel_begin_shaking(struct gh_conn *conn);
void conn_wheel_end_shaking(struct gh_conn *conn);
/* conn_on_time comes in the millisecond of `at_ns` or before it. Only moved to an earlier time; not
 * of one on its way. */
void conn_wheel_arm(struct gh_conn *conn, int64_t at_ns);
/* When conn_wheel_turn has to be called again. */
int64_t conn_wheel_next_ns(struct gh_loop *loop);
void conn_wheel_turn(struct gh_loop *loop);
/* Makes all of the loop's pending. */
void conn_wheel_line_up(struct gh_loop *loop);

static inline struct gh_conn *conn_before(struct gh_conn **link)
{
    return (struct gh_conn *)(void *)((char *)link - offsetof(struct gh_conn, next));
}

/* ---- conn_entry.c: a step of each phase before CONN_FIRST_BYTE, as far as it goes in this turn */
void conn_finish_connecting(struct gh_conn *conn);
void conn_read_preface(struct gh_conn *conn);
/* After the handshake, or at once on a plain connection. */
void conn_begin(struct gh_conn *conn);
void conn_open_protocol(struct gh_conn *conn, const struct gh_listener_protocol *chosen);
size_t conn_input_max(const struct gh_protocol *protocol);
size_t conn_output_max(const struct gh_protocol *protocol);
/* Out of every list and count, before it is freed. */
void conn_forget(struct gh_conn *conn);
void conn_free(struct gh_conn *conn);

/* ---- conn_shake.c: of CONN_HANDSHAKE */
/* Takes a step, or sends it to a worker; only in the turn's time for handshakes. */
void conn_shake(struct gh_conn *conn);
/* It is pending and gets its step when the others of this turn have been served. */
void conn_wait_for_step(struct gh_conn *conn);

/* ---- conn_tidy.c */
/* One of the loop's has come, or is about to go. */
void conn_note_here(struct gh_loop *loop);
void conn_note_gone(struct gh_conn *conn);

/* ---- conn_input.c: of CONN_FIRST_BYTE and CONN_OPEN */
void conn_read(struct gh_conn *conn);
#endif
