/* What the files of io/ share about the loop: sources of events, and the queue of connections that
 * have something to do in this turn. Nobody outside the folder includes this. */
#ifndef GH_IO_LOOP_INTERNAL_H
#define GH_IO_LOOP_INTERNAL_H

#include "base/buffer.h"
#include "crypto/tls.h"
#include "io/loop.h"
#include "io/worker.h"
#include <stdatomic.h>
#include <sys/epoll.h>

enum {
    LOOP_SCRATCH_BYTES = 64 * 1024,
    LOOP_HANDSHAKE_NS_PER_TURN = 100 * 1000, /* the step that passes it (about 0.3 ms with P-256) is
                                                the last of a turn: that is what others wait */
    LOOP_HANDSHAKES_AWAY_MAX = 4, /* at workers: what else has work for them is not to wait long */
    LOOP_BURIALS_PER_TURN = 32, /* a TLS connection is freed in about 0.1 ms: when many end at once,
                                   telling the rest comes first */
    LOOP_BLOCKS_MAX = 64,       /* of output, kept for whoever writes next */
    LOOP_BLOCK_BYTES_MAX = 32 * 1024, /* larger ones go back to the system */
    LOOP_HANDSHAKES_QUEUED_MAX = 256, /* that wait for their turn; with more nothing is accepted */
};

/* Something with a descriptor. */
struct gh_source {
    void (*ready)(struct gh_source *source, uint32_t events);
};

/* Gives memory back when many connections have gone. */
struct gh_tidy {
    struct gh_timer timer;
    struct gh_job job;
    struct gh_workers *workers;
    atomic_bool is_away; /* the job */
};

struct conn_list {
    struct gh_conn *first, **end;
};

enum {
    WHEEL_LEVELS = 4,
    WHEEL_SLOT_BITS = 6,
    WHEEL_SLOTS = 1 << WHEEL_SLOT_BITS, /* of 1, 64, 4,096 and 262,144 ms: 4.6 h */
};

/* The loop's connections by when they are due (conn_wheel.c), but for those on their way. */
struct conn_wheel {
    int64_t now_ms;
    struct gh_conn *quiet;        /* nothing is due */
    struct gh_conn *due;          /* their slot has come round in this turn */
    uint64_t taken[WHEEL_LEVELS]; /* slots in which somebody may hang */
    struct gh_conn *slots[WHEEL_LEVELS * WHEEL_SLOTS];
};

struct gh_loop {
    int epoll_fd, wake_fd;
    bool is_coarse; /* the kernel (before Linux 5.11) or a sandbox has no epoll_pwait2: waits in ms
                     */
    atomic_bool stopping;
    bool draining;
    struct gh_conn *steps_first, **steps_end; /* handshakes that wait for this loop */
    atomic_size_t handshakes_queued;          /* how many, for whoever accepts */
    size_t steps_away;                        /* others, that workers are at */
    int64_t now_ns;
    struct gh_mailbox box;
    atomic_bool sleeping; /* or about to: only then does a letter need to wake it */
    struct gh_timer *timers, drain;
    struct conn_wheel wheel;                      /* connections, open and closing */
    struct conn_list shaking;                     /* on their way there, by their limit */
    size_t conns_count, shaking_count;            /* of all; of the second list */
    struct gh_conn *pending_first, **pending_end; /* to be looked at in this turn, or in the next */
    size_t conns_peak;                            /* since the last tidying */
    struct gh_tidy tidy;                          /* conn_tidy.c */
    int burials;                                  /* how many more may be freed in this turn */
    struct gh_tls_desk *desk;                     /* made with the first connection that needs it */
    uint8_t *scratch;                          /* LOOP_SCRATCH_BYTES: every read goes here first */
    struct gh_buffer *blocks[LOOP_BLOCKS_MAX]; /* empty: a connection leases one for its output */
    size_t blocks_count;
    struct gh_buffer nowhere;                /* what a connection writes to that can have none */
    const struct gh_listener_protocol *heir; /* within a connection's input: who takes it over */
};

/* Level-triggered or edge-triggered as `events` says. */
GH_MUST_USE bool loop_watch(struct gh_loop *loop, int fd, struct gh_source *source,
                            uint32_t events);
void loop_unwatch(struct gh_loop *loop, int fd);

/* The desk of its TLS connections; NULL without memory. */
struct gh_tls_desk *loop_desk(struct gh_loop *loop);

/* conn.c: reads, handles, opens letters, writes, frees: everything pending but handshakes. */
void conns_turn(struct gh_loop *loop);
/* conn_shake.c: steps of handshakes, as many as a turn has time for. */
void conns_shake(struct gh_loop *loop);
static inline bool conns_may_shake(const struct gh_loop *loop)
{
    return loop->steps_first != NULL && loop->steps_away < LOOP_HANDSHAKES_AWAY_MAX;
}
/* conn.c: asks all to close. */
void conns_close(struct gh_loop *loop, const char *why);
/* conn.c: closes all at once. */
void conns_abort(struct gh_loop *loop, const char *why);
#endif
