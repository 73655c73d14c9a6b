#include "io/conn.h"
#include "base/log.h"
#include "base/time.h"
#include "io/conn_internal.h"
#include "io/loop_internal.h"
#include "io/stream_internal.h"
#include <assert.h>
#include <stdlib.h>

enum {
    LINGER_BYTES_PER_TURN = LOOP_SCRATCH_BYTES,
    LINGER_MS = 2000,
    LINGER_STOPPING_MS = 200,
};

static const struct gh_conn_limits limits_default = {.handshake_ms = 10 * 1000,
                                                     .first_byte_ms = 10 * 1000,
                                                     .stuck_ms = 30 * 1000,
                                                     .close_ms = 5 * 1000};

struct gh_conn_limits conn_limits_whole(struct gh_conn_limits limits)
{
    if (limits.handshake_ms == 0)
        limits.handshake_ms = limits_default.handshake_ms;
    if (limits.first_byte_ms == 0)
        limits.first_byte_ms = limits_default.first_byte_ms;
    if (limits.stuck_ms == 0)
        limits.stuck_ms = limits_default.stuck_ms;
    if (limits.close_ms == 0)
        limits.close_ms = limits_default.close_ms;
    return limits;
}

void conn_set_pending(struct gh_conn *conn)
{
    if (conn->is_pending)
        return;
    conn->is_pending = true;
    conn->pending_next = NULL;
    *conn->loop->pending_end = conn;
    conn->loop->pending_end = &conn->pending_next;
}

/* The protocol's; 0: none. */
static int64_t deadline_of(const struct gh_conn *conn)
{
    return conn->phase < CONN_CLOSING ? conn->deadline_ns : 0;
}

/* It is armed only for an earlier time: a deadline that is pushed back at every packet costs
 * nothing until the slot comes round and nothing is due. */
static void arm_timer(struct gh_conn *conn)
{
    int64_t at_ns = deadline_of(conn);

    if (at_ns == 0 || (conn->limit_ns != 0 && conn->limit_ns < at_ns))
        at_ns = conn->limit_ns;
    if (at_ns != 0)
        conn_wheel_arm(conn, at_ns);
}

void conn_set_limit(struct gh_conn *conn, int limit_ms)
{
    conn->limit_ns = conn->loop->now_ns + limit_ms * GH_MS_NS;
    arm_timer(conn);
}

void conn_set_phase(struct gh_conn *conn, enum conn_phase phase, int limit_ms)
{
    conn->phase = phase;
    conn->limit_ns = 0;
    if (limit_ms != 0)
        conn_set_limit(conn, limit_ms);
}

/* ---- what the loop tells */

void conn_on_event(struct gh_source *source, uint32_t events)
{
    struct gh_conn *conn =
        (struct gh_conn *)(void *)((char *)source - offsetof(struct gh_conn, source));
    stream_note(&conn->stream, events);
    conn_set_pending(conn);
}

static const char *limit_text(const struct gh_conn *conn)
{
    static const char *const texts[] = {
        [CONN_CONNECTING] = "connecting took too long",
        [CONN_PREFACE] = "no header of the PROXY protocol in time",
        [CONN_HANDSHAKE] = "the TLS handshake took too long",
        [CONN_FIRST_BYTE] = "no first byte in time",
        [CONN_OPEN] = "the input was full for too long",
        [CONN_CLOSING] = "the peer did not read its last bytes",
        [CONN_LINGERING] = "the peer did not close",
    };
    return conn->is_fresh && conn->phase == CONN_OPEN ? texts[CONN_FIRST_BYTE] : texts[conn->phase];
}

void conn_on_time(struct gh_conn *conn)
{
    int64_t now_ns = conn->loop->now_ns;

    if (conn->phase == CONN_DEAD)
        return;
    if (conn->limit_ns != 0 && conn->limit_ns <= now_ns) {
        if (conn->phase == CONN_HANDSHAKE)
            gh_metric_add(conn->origin->metrics, GH_METRIC_tls_handshakes_failed_total, 1);
        if (conn->phase == CONN_PREFACE)
            gh_metric_add(conn->origin->metrics, GH_METRIC_proxy_headers_refused_total, 1);
        gh_conn_abort(conn, limit_text(conn));
        return;
    }
    if (deadline_of(conn) != 0 && conn->deadline_ns <= now_ns) {
        conn->deadline_ns = 0;
        if (conn->phase == CONN_OPEN && conn->protocol->tick != NULL)
            conn->protocol->tick(conn->state);
    }
    arm_timer(conn);
}

/* The first half of a turn for one connection. */
static void work(struct gh_conn *conn)
{
    switch (conn->phase) {
    case CONN_CONNECTING:
        conn_finish_connecting(conn);
        break;
    case CONN_PREFACE:
        conn_read_preface(conn);
        break;
    case CONN_HANDSHAKE:
        conn_shake(conn);
        break;
    case CONN_FIRST_BYTE:
    case CONN_OPEN:
        conn_read(conn);
        break;
    case CONN_LINGERING:
        stream_discard(&conn->stream, conn->loop->scratch, LINGER_BYTES_PER_TURN);
        conn->again |= conn->stream.readable && !conn->stream.ended;
        if (conn->stream.ended)
            conn->phase = CONN_DEAD;
        break;
    case CONN_CLOSING:
    case CONN_DEAD:
        break;
    }
}

/* ---- writing and ending */

/* An idle connection has no buffer for output: what it sends goes into one that has grown to the
 * size that turns need, and which the loop gets back once it is written. */
static void lease_block(struct gh_conn *conn)
{
    struct gh_loop *loop = conn->loop;
    size_t size_max = conn_output_max(conn->protocol);
    if (conn->framing != NULL) /* what it adds does not count against the protocol's limit */
        size_max += GH_FRAMING_HEAD_MAX;
    if (loop->blocks_count > 0)
        conn->out = loop->blocks[--loop->blocks_count];
    else
        conn->out = gh_buffer_new(size_max);
    if (conn->out != NULL)
        conn->out->size_max = size_max;
    conn_set_pending(conn); /* so that it comes back in this turn even when nothing is written */
}

static void return_block(struct gh_conn *conn)
{
    struct gh_loop *loop = conn->loop;
    struct gh_buffer *block = conn->out;
    conn->out = NULL;
    if (block == NULL || block->capacity > LOOP_BLOCK_BYTES_MAX ||
        loop->blocks_count == LOOP_BLOCKS_MAX) {
        gh_buffer_free(block);
        return;
    }
    gh_buffer_clear(block);
    loop->blocks[loop->blocks_count++] = block;
}

void conn_drop_input(struct gh_conn *conn)
{
    gh_buffer_free(conn->in);
    conn->in = NULL;
}

static void drop_output(struct gh_conn *conn)
{
    gh_buffer_free(conn->out);
    conn->out = NULL;
}

/* How much of the output may be written as it is. With a framing: what has been framed before,
 * else all that there is becomes one frame. A slow peer's output so becomes few large frames. */
static size_t writable_bytes(struct gh_conn *conn)
{
    if (conn->framing == NULL)
        return conn->out->size;
    if (conn->framing->framed == 0)
        gh_framing_wrap(conn->framing, conn->out);
    return conn->framing->framed;
}

static bool write_some(struct gh_conn *conn)
{
    size_t sent;
    struct gh_slice bytes = gh_slice(conn->out->data, writable_bytes(conn));
    bool is_sound = stream_write(&conn->stream, bytes, &sent);

    gh_metric_add(conn->origin->metrics, GH_METRIC_bytes_sent_total, (int64_t)sent);
    gh_buffer_drop(conn->out, sent);
    if (conn->framing != NULL)
        conn->framing->framed -= sent;
    return is_sound;
}

static void write_out(struct gh_conn *conn)
{
    bool is_sound = true;

    if (conn->phase == CONN_CLOSING && conn->framing != NULL && !conn->framing->is_finished)
        gh_framing_finish(conn->framing,
                          conn->loop->draining ? GH_FRAMING_GOING_AWAY : GH_FRAMING_NORMAL,
                          gh_conn_out(conn));
    if (conn_out_size(conn) == 0 && (conn->out == NULL || !conn->out->overflow)) {
        return_block(conn);
        return;
    }
    while (is_sound && !conn->out->overflow && conn->out->size > 0 && conn->stream.writable)
        is_sound = write_some(conn);
    if (conn->out->overflow) {
        gh_conn_abort(conn, "the peer does not read: its output queue is full");
        return;
    }
    if (!is_sound) {
        gh_conn_abort(conn, "the connection was lost");
        return;
    }
    if (conn->out->size > 0)
        return;
    return_block(conn);
    if (conn->phase == CONN_OPEN && conn->protocol->drained != NULL)
        conn->protocol->drained(conn->state);
}

static void end_protocol(struct gh_conn *conn)
{
    void *state = conn->state;

    conn->state = NULL;
    conn_drop_input(conn);
    drop_output(conn);
    if (state != NULL)
        conn->protocol->closed(state, conn->why);
}

static void destroy(struct gh_conn *conn)
{
    struct conn_origin *origin = conn->origin;

    conn->is_pending = true; /* whatever `closed` calls does not queue what is about to be freed */
    end_protocol(conn);
    if (conn->framing != NULL)
        conn->framing->kind->close(conn->framing);
    drop_output(conn); /* of a protocol that wrote when it was told of the end */
    stream_close(&conn->stream);
    conn_forget(conn);
    conn_free(conn);
    if (origin->gone != NULL)
        origin->gone(origin);
}

/* The second half of a turn: writes once, and lets go of what has ended. */
static void settle(struct gh_conn *conn)
{
    conn->is_pending = false;
    if (conn->phase == CONN_OPEN || conn->phase == CONN_CLOSING)
        write_out(conn);
    if (conn->phase == CONN_CLOSING && conn_out_size(conn) == 0) {
        stream_finish(&conn->stream);
        end_protocol(conn);
        if (conn->stream.ended)
            conn->phase = CONN_DEAD;
        else
            conn_set_phase(conn, CONN_LINGERING,
                           conn->loop->draining ? LINGER_STOPPING_MS : LINGER_MS);
        conn->again = true;
    }
    if (conn->phase == CONN_DEAD) {
        /* Else it is queued again, or will be when it is back: it goes then. */
        if (conn->is_pending || conn->is_away)
            return;
        if (conn->loop->burials-- > 0)
            destroy(conn);
        else
            conn_set_pending(conn);
        return;
    }
    conn->resumed &= conn->phase != CONN_OPEN || conn_in_size(conn) > 0;
    if (conn->again || (conn->resumed && conn->phase == CONN_OPEN))
        conn_set_pending(conn);
    conn->again = false;
}

static void settle_all(struct gh_loop *loop)
{
    struct gh_conn *next, *conn = loop->pending_first;
    loop->burials = LOOP_BURIALS_PER_TURN;
    loop->pending_first = NULL;
    loop->pending_end = &loop->pending_first;
    for (; conn != NULL; conn = next) {
        next = conn->pending_next;
        settle(conn);
    }
}

/* From `link` to the end of the queue, which what becomes pending meanwhile moves on. Returns the
 * new end. */
static struct gh_conn **work_from(struct gh_loop *loop, struct gh_conn **link)
{
    for (struct gh_conn *conn; (conn = *link) != NULL;) {
        if (conn->phase != CONN_HANDSHAKE) {
            work(conn);
            link = &conn->pending_next;
            continue;
        }
        *link = conn->pending_next;
        if (*link == NULL)
            loop->pending_end = link;
        conn_wait_for_step(conn);
    }
    return link;
}

/* The connections from `link` on go to the head of the queue. */
static void put_first(struct gh_loop *loop, struct gh_conn **link)
{
    if (*link == NULL || link == &loop->pending_first)
        return;
    *loop->pending_end = loop->pending_first;
    loop->pending_first = *link;
    loop->pending_end = link;
    *link = NULL;
}

void conns_turn(struct gh_loop *loop)
{
    struct gh_conn **told = work_from(loop, &loop->pending_first);
    /* What was read for other connections of this loop is on its way to them as letters: it goes
     * out in this turn, and before the answers to those who sent it. */
    gh_mailbox_deliver(&loop->box);
    (void)work_from(loop, told);
    put_first(loop, told);
    settle_all(loop);
}

void conn_finish_turn(struct gh_conn *conn)
{
    work(conn);
    settle(conn);
}

/* Whoever is told of an end may hang itself or others elsewhere: so they stand in line first, in
 * one of the two queues. */
static void for_all(struct gh_loop *loop, void (*end)(struct gh_conn *conn, const char *why),
                    const char *why)
{
    conn_wheel_line_up(loop);
    for (struct gh_conn *conn = loop->pending_first; conn != NULL; conn = conn->pending_next)
        end(conn, why);
    for (struct gh_conn *conn = loop->steps_first; conn != NULL; conn = conn->pending_next)
        end(conn, why);
}

static void stop(struct gh_conn *conn, const char *why)
{
    if (conn->phase == CONN_OPEN && conn->protocol->stopping != NULL)
        conn->protocol->stopping(conn->state);
    gh_conn_close_why(conn, why);
}

void conns_close(struct gh_loop *loop, const char *why)
{
    for_all(loop, stop, why);
}

void conns_abort(struct gh_loop *loop, const char *why)
{
    for_all(loop, gh_conn_abort, why);
}

/* ---- for protocols */

struct gh_buffer *gh_conn_out(struct gh_conn *conn)
{
    if (conn->out == NULL)
        lease_block(conn);
    if (conn->out != NULL)
        return conn->out;
    gh_conn_abort(conn, "no memory for output");
    conn->loop->nowhere = (struct gh_buffer){.overflow = true};
    return &conn->loop->nowhere;
}

void gh_conn_dirty(struct gh_conn *conn)
{
    conn_set_pending(conn);
}

void gh_conn_close(struct gh_conn *conn)
{
    gh_conn_close_why(conn, "closed by the server");
}

void gh_conn_close_why(struct gh_conn *conn, const char *why)
{
    if (conn->phase >= CONN_CLOSING)
        return;
    if (conn->phase != CONN_OPEN) {
        gh_conn_abort(conn, why);
        return;
    }
    conn->why = why; /* in the place of the deadline */
    conn_set_phase(conn, CONN_CLOSING, conn->origin->limits.close_ms);
    conn_set_pending(conn);
}

void gh_conn_abort(struct gh_conn *conn, const char *why)
{
    if (conn->phase == CONN_DEAD)
        return;
    if (conn->phase < CONN_CLOSING || conn_out_size(conn) > 0)
        conn->why = why;
    conn->phase = CONN_DEAD;
    conn_set_pending(conn);
}

void gh_conn_resume(struct gh_conn *conn)
{
    conn->resumed = true;
    conn_set_pending(conn);
}

void gh_conn_set_deadline(struct gh_conn *conn, int64_t at_ns)
{
    if (conn->phase >= CONN_CLOSING)
        return;
    conn->deadline_ns = at_ns;
    arm_timer(conn);
}

void gh_conn_upgrade(struct gh_conn *conn, struct gh_framing *framing,
                     const struct gh_protocol *protocol, void *context)
{
    assert(conn->framing == NULL && conn->state != NULL);
    assert(conn_input_max(protocol) >= CONN_FIRST_BYTES);
    framing->next = protocol;
    framing->next_context = context;
    conn->framing = framing;
}

void gh_conn_hand_over(struct gh_conn *conn, const struct gh_listener_protocol *heir)
{
    assert(conn->framing == NULL && conn->state != NULL && conn->loop->heir == NULL);
    assert(conn_input_max(heir->protocol) >= CONN_FIRST_BYTES);
    conn->loop->heir = heir;
}

const char *gh_conn_peer(const struct gh_conn *conn)
{
    return conn->peer;
}

struct gh_loop *gh_conn_loop(const struct gh_conn *conn)
{
    return conn->loop;
}

const char *gh_conn_framing(const struct gh_conn *conn)
{
    return conn->framing != NULL ? conn->framing->kind->name : NULL;
}

bool gh_conn_is_secure(const struct gh_conn *conn)
{
    return conn->stream.tls != NULL;
}

const struct gh_tls *gh_conn_tls(const struct gh_conn *conn)
{
    return conn->stream.tls;
}

struct gh_metrics *gh_conn_metrics(const struct gh_conn *conn)
{
    return conn->origin->metrics;
}
