/* What the files of io/ share about the loop: sources of events, and the queue of connections that
 * have something to do in this turn. Nobody outside the folder includes this. */
#ifndef GH_IO_LOOP_INTERNAL_H
#define GH_IO_LOOP_INTERNAL_H

#include "io/loop.h"
#include <stdatomic.h>
#include <sys/epoll.h>

enum {
    LOOP_SCRATCH_BYTES = 64 * 1024,
    LOOP_HANDSHAKES_PER_TURN = 8, /* steps of about 0.3 ms (P-256): 2 to 3 ms of delay for others */
};

/* Something with a descriptor. */
struct gh_source {
    void (*ready)(struct gh_source *source, uint32_t events);
};

struct gh_loop {
    int epoll_fd, wake_fd;
    atomic_bool stopping;
    bool draining;
    unsigned handshakes_left; /* in this turn */
    int64_t now_ns;
    struct gh_mailbox box;
    struct gh_timer *timers, drain;
    struct gh_conn *conns;
    size_t conns_count;
    struct gh_conn *pending_first, **pending_end; /* to be looked at in this turn, or in the next */
    uint8_t *scratch; /* LOOP_SCRATCH_BYTES: every read goes here first */
};

/* Level-triggered or edge-triggered as `events` says. */
GH_MUST_USE bool loop_watch(struct gh_loop *loop, int fd, struct gh_source *source,
                            uint32_t events);
void loop_unwatch(struct gh_loop *loop, int fd);

/* conn.c: reads, handles, writes, frees: everything pending. */
void conns_turn(struct gh_loop *loop);
/* conn.c: asks all to close. */
void conns_close(struct gh_loop *loop, const char *why);
/* conn.c: closes all at once. */
void conns_abort(struct gh_loop *loop, const char *why);
#endif
