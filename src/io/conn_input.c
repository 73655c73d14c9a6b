/* What a connection reads: takes the framing off, hands bytes to the protocol, keeps what it
 * leaves. */
#include "base/log.h"
#include "io/conn_internal.h"
#include "io/loop_internal.h"
#include <assert.h>
#include <string.h>

enum { READ_BYTES_PER_TURN = LOOP_SCRATCH_BYTES }; /* of one connection */

static void end_input(struct gh_conn *conn);

/* The protocol's input has returned after gh_conn_upgrade; `left` bytes were not consumed. */
static void switch_protocol(struct gh_conn *conn, size_t left)
{
    struct gh_framing *framing = conn->framing;
    const struct gh_protocol *next = framing->next;
    void *state = conn->state;

    framing->next = NULL;
    conn->state = NULL;
    gh_conn_set_deadline(conn, 0);
    conn->protocol->closed(state, "upgraded");
    if (conn->phase != CONN_OPEN)
        return;
    if (left > 0) {
        gh_conn_abort(conn, "bytes before the upgrade was answered");
        return;
    }
    conn_drop_input(conn);
    if (conn->out != NULL) /* nor does what is still to be written of the protocol before */
        conn->out->size_max = conn->out->size + conn_output_max(next) + GH_FRAMING_HEAD_MAX;
    framing->framed = conn_out_size(conn);
    conn->protocol = next;
    conn->is_fresh = true;
    conn_set_limit(conn, conn->origin->limits.first_byte_ms);
    conn->state = next->open(framing->next_context, conn);
    if (conn->state == NULL)
        gh_conn_abort(conn, "refused by the protocol");
}

/* The protocol's input has returned after gh_conn_hand_over. */
static void hand_over(struct gh_conn *conn, const struct gh_listener_protocol *heir)
{
    void *state = conn->state;

    conn->state = NULL;
    gh_conn_set_deadline(conn, 0);
    conn->protocol->closed(state, "handed over");
    conn->protocol = heir->protocol;
    if (conn->in != NULL)
        conn->in->size_max = conn_input_max(heir->protocol);
    if (conn->out != NULL)
        conn->out->size_max = conn->out->size + conn_output_max(heir->protocol);
    conn->state = heir->protocol->open(heir->context, conn);
    if (conn->state == NULL)
        gh_conn_abort(conn, "refused by the protocol");
}

/* Hands `bytes` to the protocol; how many of them it consumed. */
static size_t call_input(struct gh_conn *conn, struct gh_slice bytes)
{
    size_t consumed = conn->protocol->input(conn->state, bytes);
    const struct gh_listener_protocol *heir = conn->loop->heir;

    conn->loop->heir = NULL; /* whatever has become of the connection */
    assert(consumed <= bytes.size || conn->phase != CONN_OPEN);
    if (conn->phase == CONN_OPEN && heir != NULL) {
        hand_over(conn, heir);
        bytes = gh_slice_sub(bytes, consumed, bytes.size);
        return conn->phase != CONN_OPEN || bytes.size == 0
                   ? consumed + bytes.size
                   : consumed + conn->protocol->input(conn->state, bytes);
    }
    if (conn->phase == CONN_OPEN && conn->framing != NULL && conn->framing->next != NULL) {
        switch_protocol(conn, bytes.size - consumed);
        return bytes.size;
    }
    return consumed;
}

static bool keep(struct gh_conn *conn, struct gh_slice bytes)
{
    if (conn->in == NULL)
        conn->in = gh_buffer_new(conn_input_max(conn->protocol));
    return conn->in != NULL && gh_buffer_put(conn->in, bytes);
}

/* Keeps what the protocol did not consume. */
static void offer(struct gh_conn *conn)
{
    size_t consumed = call_input(conn, gh_buffer_slice(conn->in));

    if (conn->phase != CONN_OPEN || conn->is_fresh)
        return;
    gh_buffer_drop(conn->in, consumed);
    if (consumed > 0)
        conn->limit_ns = 0;
    if (conn->in->size == 0)
        conn_drop_input(conn);
}

static void deliver(struct gh_conn *conn, struct gh_slice bytes)
{
    if (conn_in_size(conn) == 0) { /* straight from the loop's buffer */
        size_t consumed = call_input(conn, bytes);
        assert(consumed <= bytes.size);
        bytes = gh_slice_sub(bytes, consumed, bytes.size);
        if (conn->phase == CONN_OPEN && bytes.size > 0 && !keep(conn, bytes))
            gh_conn_abort(conn, "no memory for input");
        return;
    }
    if (keep(conn, bytes))
        offer(conn);
    else
        gh_conn_abort(conn, "no memory for input");
}

static bool may_begin(struct gh_conn *conn, uint8_t first_byte)
{
    if (!conn->is_fresh)
        return true;
    conn->is_fresh = false;
    conn->limit_ns = 0;
    return conn->protocol->claims == NULL || conn->protocol->claims(first_byte);
}

static void refuse_framed(struct gh_conn *conn, const char *why)
{
    gh_metric_add(conn->origin->metrics, GH_METRIC_packets_malformed_total, 1);
    gh_log(GH_LOG_DEBUG, "io", "%s: %s: %s", conn->peer, conn->framing->kind->name, why);
    gh_conn_close_why(conn, why);
}

/* What has arrived, on a connection with a framing. */
static void unframe(struct gh_conn *conn, uint8_t *bytes, size_t size)
{
    struct gh_framing *framing = conn->framing;
    enum gh_framing_status status = framing->kind->read(framing, bytes, &size, gh_conn_out(conn));

    if (size > 0 && !may_begin(conn, bytes[0])) {
        gh_framing_finish(framing, GH_FRAMING_UNACCEPTABLE, gh_conn_out(conn));
        refuse_framed(conn, "unknown protocol");
        return;
    }
    if (size > 0)
        deliver(conn, gh_slice(bytes, size));
    if (conn->phase != CONN_OPEN)
        return;
    if (status == GH_FRAMING_BROKEN)
        refuse_framed(conn, framing->why);
    if (status == GH_FRAMING_ENDED)
        end_input(conn);
}

static void choose_protocol(struct gh_conn *conn, uint8_t first_byte)
{
    const struct conn_origin *origin = conn->origin;

    for (size_t i = 0; i < origin->protocols_count; i++) {
        const struct gh_protocol *protocol = origin->protocols[i].protocol;
        if (protocol->claims != NULL && protocol->claims(first_byte)) {
            conn_open_protocol(conn, &origin->protocols[i]);
            return;
        }
    }
    gh_metric_add(origin->metrics, GH_METRIC_packets_malformed_total, 1);
    gh_log(GH_LOG_DEBUG, "io", "%s: no protocol begins with byte 0x%02x", conn->peer, first_byte);
    gh_conn_abort(conn, "unknown protocol");
}

/* How many bytes may be read now; 0 holds the reading up. */
static size_t room_of(struct gh_conn *conn)
{
    if (conn->phase != CONN_OPEN)
        return CONN_FIRST_BYTES;
    size_t room = conn_input_max(conn->protocol) - conn_in_size(conn);
    if (room == 0 && conn->limit_ns == 0)
        conn_set_limit(conn, conn->origin->limits.stuck_ms);
    return room < READ_BYTES_PER_TURN ? room : READ_BYTES_PER_TURN;
}

static void end_input(struct gh_conn *conn)
{
    if (conn->told_end)
        return;
    conn->told_end = true;
    if (conn->phase == CONN_OPEN && conn->protocol->ended != NULL)
        conn->protocol->ended(conn->state);
    else if (conn->phase == CONN_OPEN)
        gh_conn_close_why(conn, "closed by the peer");
    else
        gh_conn_abort(conn, "closed before the first byte");
}

static void read_some(struct gh_conn *conn)
{
    size_t room = room_of(conn), got;
    uint8_t *scratch = conn->loop->scratch;

    if (room == 0 || (!conn->stream.readable && !conn->stream.ended))
        return;
    bool is_sound = stream_read(&conn->stream, scratch, room, &got);
    gh_metric_add(conn->origin->metrics, GH_METRIC_bytes_received_total, (int64_t)got);
    if (got > 0 && conn->phase == CONN_FIRST_BYTE)
        choose_protocol(conn, scratch[0]);
    if (got > 0 && conn->phase == CONN_OPEN && conn->framing != NULL)
        unframe(conn, scratch, got);
    else if (got > 0 && conn->phase == CONN_OPEN)
        deliver(conn, gh_slice(scratch, got));
    memset(scratch, 0, got); /* it may be a password, and the next read may be long after */
    if (!is_sound && conn->phase < CONN_CLOSING)
        gh_conn_abort(conn, "the connection was lost");
    if (conn->phase < CONN_CLOSING) {
        if (conn->stream.ended)
            end_input(conn);
        conn->again |= conn->stream.readable && !conn->stream.ended && room_of(conn) > 0;
    }
}

void conn_read(struct gh_conn *conn)
{
    if (conn->resumed) {
        conn->resumed = false;
        if (conn_in_size(conn) > 0)
            offer(conn);
    }
    if (conn->phase == CONN_OPEN || conn->phase == CONN_FIRST_BYTE)
        read_some(conn);
}
