/* The steps of TLS handshakes. One costs some 0.3 ms of arithmetic (P-256), and whoever is
 * connected already would wait for it: so workers take them, if the listener has any, a few at a
 * time for each loop. A connection is away meanwhile: its loop notes what it is told of it, but
 * touches neither its TLS nor frees it. Without workers, or when their queue is full, the loop
 * takes the steps itself, within its budget, behind everything else of a turn.
 *
 * One step is shorter than the way to a worker and back: the last one of a client that shows no
 * certificate. The loop takes it, within the same budget, when so little has come that no
 * certificate and no signature can be in it; a client that sends one in pieces has one such step,
 * in which nothing can be verified, and all others of its are a worker's. */
#include "base/log.h"
#include "base/time.h"
#include "io/conn_internal.h"
#include "io/loop_internal.h"
#include <assert.h>
#include <stdlib.h>

enum { SHORT_BYTES_MAX = 256 }; /* Finished, and a small CONNECT behind it */

struct step {
    struct gh_job job;
    struct gh_letter letter;
    struct gh_conn *conn;
    struct gh_loop *loop;
    struct gh_tls *tls;
    enum gh_tls_status status;
    bool answers; /* this step sends the last that the server has to say */
    struct gh_error error;
};

static bool open_tls(struct gh_conn *conn)
{
    struct gh_tls_context *tls = conn->origin->tls(conn->origin);
    conn->stream.tls = gh_tls_open(tls, conn->origin->keeps_openssl ? NULL : loop_desk(conn->loop),
                                   conn->stream.fd, NULL);
    gh_tls_context_unref(tls);
    return conn->stream.tls != NULL;
}

static void conclude(struct gh_conn *conn, enum gh_tls_status status, const struct gh_error *error)
{
    switch (status) {
    case GH_TLS_OK:
        gh_metric_add(conn->origin->metrics, GH_METRIC_tls_handshakes_total, 1);
        if (gh_tls_is_resumed(conn->stream.tls))
            gh_metric_add(conn->origin->metrics, GH_METRIC_tls_handshakes_resumed_total, 1);
        conn_begin(conn);
        break;
    case GH_TLS_FAILED:
        gh_metric_add(conn->origin->metrics, GH_METRIC_tls_handshakes_failed_total, 1);
        gh_log(GH_LOG_DEBUG, "io", "%s: %s", conn->peer, error->text);
        gh_conn_abort(conn, "the TLS handshake failed");
        break;
    default:
        break;
    }
}

/* ---- away */

static void run_step(struct gh_job *job)
{
    struct step *step = (struct step *)(void *)job;
    bool was_answered = gh_tls_has_answered(step->tls);
    step->status = gh_tls_handshake(step->tls, &step->error);
    step->answers = !was_answered && gh_tls_has_answered(step->tls);
    gh_loop_send(step->loop, &step->letter);
}

static void come_back(struct gh_letter *letter)
{
    struct step *step = (struct step *)(void *)((char *)letter - offsetof(struct step, letter));
    struct gh_conn *conn = step->conn;
    conn->is_away = false;
    conn->stream.answered = step->answers;
    conn->loop->steps_away--;
    stream_shaken(&conn->stream, step->status);
    if (conn->phase == CONN_HANDSHAKE)
        conclude(conn, step->status, &step->error);
    conn_set_pending(conn); /* to read what came behind the handshake, or to be freed */
    free(step);
}

static bool send_away(struct gh_conn *conn)
{
    struct gh_workers *workers = conn->origin->workers;
    struct step *step;
    if (workers == NULL || conn->loop->draining || (step = calloc(1, sizeof *step)) == NULL)
        return false;
    *step = (struct step){.job.run = run_step,
                          .letter.open = come_back,
                          .conn = conn,
                          .loop = conn->loop,
                          .tls = conn->stream.tls};
    struct stream before = conn->stream;
    stream_shakes(&conn->stream);
    conn->is_away = true;
    if (gh_workers_submit(workers, &step->job)) {
        conn->loop->steps_away++;
        return true;
    }
    conn->is_away = false;
    conn->stream = before;
    free(step);
    return false;
}

/* ---- a turn's */

/* What has come for a client's last step, or more than SHORT_BYTES_MAX when it is no short one. */
static size_t last_bytes(struct gh_conn *conn)
{
    size_t got;
    if (!conn->stream.answered || conn->stream.shake_writes ||
        !stream_peek(&conn->stream, conn->loop->scratch, SHORT_BYTES_MAX + 1, &got))
        return SHORT_BYTES_MAX + 1;
    return got;
}

void conn_shake(struct gh_conn *conn)
{
    struct gh_error error = {0};

    if (conn->is_away ||
        !(conn->stream.shake_writes ? conn->stream.writable : conn->stream.readable))
        return;
    if (conn->stream.tls == NULL && !open_tls(conn)) {
        gh_conn_abort(conn, "no memory for TLS");
        return;
    }
    size_t last = last_bytes(conn);
    if (last == 0) { /* what epoll told of is read already */
        conn->stream.readable = false;
        return;
    }
    conn->stream.answered = false;
    if (last > SHORT_BYTES_MAX && send_away(conn))
        return;
    conclude(conn, stream_handshake(&conn->stream, &error), &error);
    if (conn->phase == CONN_FIRST_BYTE || conn->phase == CONN_OPEN)
        conn_read(conn);
}

void conn_wait_for_step(struct gh_conn *conn)
{
    struct gh_loop *loop = conn->loop;
    conn->pending_next = NULL; /* and pending as before */
    *loop->steps_end = conn;
    loop->steps_end = &conn->pending_next;
    atomic_fetch_add_explicit(&loop->handshakes_queued, 1, memory_order_relaxed);
}

void conns_shake(struct gh_loop *loop)
{
    int64_t end_ns = gh_time_monotonic_ns() + LOOP_HANDSHAKE_NS_PER_TURN;
    while (conns_may_shake(loop)) {
        struct gh_conn *conn = loop->steps_first;
        loop->steps_first = conn->pending_next;
        if (loop->steps_first == NULL)
            loop->steps_end = &loop->steps_first;
        atomic_fetch_sub_explicit(&loop->handshakes_queued, 1, memory_order_relaxed);
        conn_finish_turn(conn);
        if (gh_time_monotonic_ns() >= end_ns)
            break;
    }
}
