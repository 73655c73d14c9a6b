/* Event loop: one thread that owns connections, listeners and timers. One per core; nothing in it
 * is locked, and nothing called from it may block. Other threads reach it by letters
 * (base/mailbox.h).
 *
 * A turn: wait; fire the due timers; read and handle what has arrived, with a budget for each
 * connection and for accepting, so that no peer starves another; open the letters, among them those
 * that this turn's input has sent to its own loop; then write each connection that has output once,
 * those first that letters have given something; then, behind all that, go on with handshakes,
 * within a budget of theirs. Work beyond a budget is continued in the next turn, which does not
 * wait.
 *
 * Memory: the loop owns its connections; timers and letters are embedded in their owners'. Threads:
 * what says "any thread" may be called from any; everything else only on the loop's own thread, or
 * while it is not running. */
#ifndef GH_IO_LOOP_H
#define GH_IO_LOOP_H

#include "base/error.h"
#include "base/mailbox.h"
#include <stdint.h>

struct gh_loop;

enum { GH_LOOP_DRAIN_MS = 5000 }; /* what gh_loop_stop grants to connections for their last bytes */

GH_MUST_USE struct gh_loop *gh_loop_open(struct gh_error *error);
/* After gh_loop_run has returned and nobody sends any more. Opens the letters that are still there.
 */
void gh_loop_close(struct gh_loop *loop);

/* The thread's body: returns after gh_loop_stop, once every connection is closed and its `closed`
 * has run. */
void gh_loop_run(struct gh_loop *loop);
/* Any thread. Connections send what is queued, for GH_LOOP_DRAIN_MS at most. */
void gh_loop_stop(struct gh_loop *loop);
/* Any thread; never blocks or fails. `letter->open` runs on the loop's thread. */
void gh_loop_send(struct gh_loop *loop, struct gh_letter *letter);
/* Monotonic, read once a turn. */
int64_t gh_loop_now_ns(const struct gh_loop *loop);
/* Connections of this loop. */
size_t gh_loop_connections(const struct gh_loop *loop);

/* A timer is embedded in what it is for; zeroed means not set. A node of a pairing heap (Fredman,
 * Sedgewick, Sleator, Tarjan 1986): setting needs no memory and cannot fail. */
struct gh_timer {
    struct gh_timer *child, *sibling,
        *before; /* `before`: the parent, or the sibling to the left */
    int64_t at_ns;
    void (*fire)(
        struct gh_timer *timer); /* NULL when not set; may set the timer again, or free it */
};

/* Sets or moves it. A time that has passed fires in the next turn. What it is late by is what the
 * kernel needs to wake the thread (before Linux 5.11: up to a millisecond more). */
void gh_timer_set(struct gh_loop *loop, struct gh_timer *timer, int64_t at_ns,
                  void (*fire)(struct gh_timer *timer));
/* Nothing happens when it is not set. */
void gh_timer_cancel(struct gh_loop *loop, struct gh_timer *timer);
static inline bool gh_timer_is_set(const struct gh_timer *timer)
{
    return timer->fire != NULL;
}
#endif
