#include "io/conn.h"
#include "base/log.h"
#include "base/time.h"
#include "io/conn_internal.h"
#include "io/loop_internal.h"
#include "io/network.h"
#include "io/stream_internal.h"
#include "wire/proxy.h"
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    READ_BYTES_PER_TURN = LOOP_SCRATCH_BYTES, /* of one connection */
    LINGER_BYTES_PER_TURN = LOOP_SCRATCH_BYTES,
    FIRST_BYTES = 4096, /* read before the protocol is known; every input_max is at least that */
    LINGER_MS = 2000,
    LINGER_STOPPING_MS = 200,
};

/* Each phase has one time limit of its own (limit_ns), beside the protocol's deadline. */
enum phase {
    CONNECTING, /* dialled: limit handshake_ms */
    PREFACE,    /* accepted, the balancer's header first: the same limit */
    HANDSHAKE,  /* the same limit; what was accepted gets its TLS with the first byte, so that a
                   peer that says nothing costs no more than a descriptor */
    FIRST_BYTE, /* accepted, no protocol yet: limit first_byte_ms */
    OPEN,       /* limit stuck_ms while a full input is not taken */
    CLOSING,    /* writes what is queued: limit close_ms */
    LINGERING,  /* the protocol is gone; reads past what the peer still sends, because closing with
                   unread  input resets the connection and destroys what it has not read yet; limit
                   LINGER_MS */
    DEAD,
};

struct gh_conn {
    struct gh_source source;
    struct gh_loop *loop;
    struct gh_conn *next, **link;  /* one of the loop's two lists */
    struct gh_conn *pending_next;  /* the loop's queue */
    struct gh_timer timer;         /* for the earlier of the two times below, or before it */
    int64_t deadline_ns, limit_ns; /* the protocol's, the phase's; 0: none */
    struct conn_origin *origin;
    const struct gh_protocol *protocol;
    void *state;
    const char *why;
    struct stream stream;
    struct gh_buffer in, out;
    struct gh_framing *framing; /* NULL: the stream's bytes are the protocol's */
    enum phase phase : 8;
    bool is_pending : 1;
    bool again : 1;   /* work is left for the next turn */
    bool resumed : 1; /* offer the held input */
    bool told_end : 1;
    bool is_shaking : 1; /* in that list */
    bool is_counted : 1; /* by the origin's crowd */
    bool is_fresh : 1;   /* upgraded, and no byte of the protocol has come yet */
    char peer[];         /* NUL-terminated */
};

static const struct gh_conn_limits limits_default = {.handshake_ms = 10 * 1000,
                                                     .first_byte_ms = 10 * 1000,
                                                     .stuck_ms = 30 * 1000,
                                                     .close_ms = 5 * 1000};

/* Of dialled connections. */
static struct conn_origin origin_dialled = {.limits = {.handshake_ms = 10 * 1000,
                                                       .first_byte_ms = 10 * 1000,
                                                       .stuck_ms = 30 * 1000,
                                                       .close_ms = 5 * 1000}};

static void on_event(struct gh_source *source, uint32_t events);
static void on_time(struct gh_timer *timer);
static void end_input(struct gh_conn *conn);
static void work(struct gh_conn *conn);
static void open_protocol(struct gh_conn *conn, const struct gh_listener_protocol *chosen);

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

size_t conn_bytes(void)
{
    return sizeof(struct gh_conn);
}

/* Puts it into the queue of this turn, or of the next when this turn has passed it. */
static void set_pending(struct gh_conn *conn)
{
    if (conn->is_pending)
        return;
    conn->is_pending = true;
    conn->pending_next = NULL;
    *conn->loop->pending_end = conn;
    conn->loop->pending_end = &conn->pending_next;
}

/* The timer is moved only to an earlier time: a deadline that is pushed back at every packet costs
 * nothing until the timer fires and finds that it is not due. */
static void arm_timer(struct gh_conn *conn)
{
    int64_t at_ns = conn->deadline_ns;

    if (at_ns == 0 || (conn->limit_ns != 0 && conn->limit_ns < at_ns))
        at_ns = conn->limit_ns;
    if (at_ns != 0 && (!gh_timer_is_set(&conn->timer) || at_ns < conn->timer.at_ns))
        gh_timer_set(conn->loop, &conn->timer, at_ns, on_time);
}

static void set_limit(struct gh_conn *conn, int limit_ms)
{
    conn->limit_ns = conn->loop->now_ns + limit_ms * GH_MS_NS;
    arm_timer(conn);
}

static void set_phase(struct gh_conn *conn, enum phase phase, int limit_ms)
{
    conn->phase = phase;
    conn->limit_ns = 0;
    if (limit_ms != 0)
        set_limit(conn, limit_ms);
}

/* ---- beginning */

static void list_add(struct conn_list *list, struct gh_conn *conn)
{
    conn->next = NULL;
    conn->link = list->end;
    *list->end = conn;
    list->end = &conn->next;
}

static void list_remove(struct conn_list *list, struct gh_conn *conn)
{
    *conn->link = conn->next;
    if (conn->next != NULL)
        conn->next->link = conn->link;
    else
        list->end = conn->link;
}

/* Moves an accepted connection between the list of those that are on their way and that of the
 * open ones. */
static void set_shaking(struct gh_conn *conn, bool is_shaking)
{
    struct gh_loop *loop = conn->loop;

    if (conn->is_shaking == is_shaking)
        return;
    list_remove(conn->is_shaking ? &loop->shaking : &loop->conns, conn);
    list_add(is_shaking ? &loop->shaking : &loop->conns, conn);
    loop->shaking_count += is_shaking ? 1 : (size_t)-1;
    gh_metric_add(conn->origin->metrics, GH_METRIC_handshakes_open, is_shaking ? 1 : -1);
    conn->is_shaking = is_shaking;
}

static struct gh_conn *conn_new(struct gh_loop *loop, int fd, struct conn_origin *origin,
                                const struct gh_address *peer)
{
    char text[GH_ADDRESS_TEXT_MAX] = {0};
    size_t size = strlen(gh_address_print(peer, text)) + 1;

    if (origin->expects_proxy) /* another address will take its place */
        size = sizeof text;
    struct gh_conn *conn = calloc(1, sizeof *conn + size);

    if (conn == NULL)
        return NULL;
    memcpy(conn->peer, text, size);
    conn->source.ready = on_event;
    conn->loop = loop;
    conn->origin = origin;
    conn->why = "closed by the server";
    conn->stream =
        (struct stream){.fd = fd, .writable = true}; /* epoll tells about input that is there */
    if (!loop_watch(loop, fd, &conn->source, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)) {
        free(conn);
        return NULL;
    }
    list_add(&loop->conns, conn);
    loop->conns_count++;
    gh_metric_add(origin->metrics, GH_METRIC_connections_open, 1);
    set_pending(conn);
    return conn;
}

/* After the handshake, or at once on a plain connection. */
static void begin(struct gh_conn *conn)
{
    const struct gh_listener_protocol *first = conn->origin->protocols;

    set_shaking(conn, false);
    if (conn->protocol != NULL) { /* dialled */
        set_phase(conn, OPEN, 0);
        if (conn->protocol->established != NULL)
            conn->protocol->established(conn->state);
        return;
    }
    set_phase(conn, FIRST_BYTE, conn->origin->limits.first_byte_ms);
    if (conn->origin->protocols_count > 0 && first->protocol->claims == NULL)
        open_protocol(conn, first);
}

/* The peer is known: whether its address has room left. */
static bool enter_crowd(struct gh_conn *conn, const struct gh_address *peer)
{
    enum gh_crowd_verdict verdict =
        conn->origin->crowd == NULL ? GH_CROWD_FREE : gh_crowd_enter(conn->origin->crowd, peer);

    conn->is_counted = verdict == GH_CROWD_COUNTED;
    if (verdict != GH_CROWD_FULL)
        return true;
    gh_metric_add(conn->origin->metrics, GH_METRIC_connections_address_refused_total, 1);
    gh_log(GH_LOG_DEBUG, "io", "%s: too many connections of this address", conn->peer);
    gh_conn_abort(conn, "too many connections of this address");
    return false;
}

/* What was counted has an address that reads back from its text. */
static void leave_crowd(struct gh_conn *conn)
{
    struct gh_address peer;

    if (!conn->is_counted)
        return;
    bool is_read = gh_address_parse(conn->peer, &peer);
    assert(is_read);
    (void)is_read;
    gh_crowd_leave(conn->origin->crowd, &peer);
}

/* Makes room when too many are on their way: the one goes that has made its peer's step wait for
 * longest. Those that wait for this loop stay, they are next; there are few of them, because the
 * listener holds new ones back. */
static void evict_oldest(struct gh_loop *loop, size_t max)
{
    if (loop->shaking_count <= max)
        return;
    for (struct gh_conn *conn = loop->shaking.first; conn != NULL; conn = conn->next) {
        if (conn->is_pending || conn->phase == DEAD)
            continue;
        gh_metric_add(conn->origin->metrics, GH_METRIC_handshakes_evicted_total, 1);
        gh_conn_abort(conn, "too many handshakes, and this one waited longest for its peer");
        return;
    }
}

/* The client's own bytes are next. */
static void begin_stream(struct gh_conn *conn)
{
    if (conn->origin->is_secure)
        conn->phase = HANDSHAKE; /* under the limit that is set */
    else
        begin(conn);
}

void conn_accept(struct gh_loop *loop, int fd, struct conn_origin *origin,
                 const struct gh_address *peer)
{
    struct gh_conn *conn = loop->draining ? NULL : conn_new(loop, fd, origin, peer);

    if (conn == NULL) {
        close(fd);
        origin->gone(origin);
        return;
    }
    gh_metric_add(origin->metrics, GH_METRIC_connections_opened_total, 1);
    set_phase(conn, PREFACE, origin->limits.handshake_ms);
    set_shaking(conn, true);
    evict_oldest(loop, origin->handshakes_max);
    if (!origin->expects_proxy && enter_crowd(conn, peer))
        begin_stream(conn);
}

static bool numeric_address(const char *host, uint16_t port, struct gh_address *out)
{
    char text[GH_ADDRESS_TEXT_MAX];
    int size = snprintf(text, sizeof text, strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u", host,
                        (unsigned)port);
    return size > 0 && (size_t)size < sizeof text && host[0] != '/' && host[0] != '.' &&
           gh_address_parse(text, out);
}

struct gh_conn *gh_conn_connect(struct gh_loop *loop, const char *host, uint16_t port,
                                struct gh_tls_context *tls, const char *server_name,
                                const struct gh_protocol *protocol, void *context,
                                struct gh_error *error)
{
    struct gh_address address;
    int fd;

    if (loop->draining || !numeric_address(host, port, &address)) {
        gh_error_set(error, GH_ERROR_CONNECT, "%s:%u: %s", host, (unsigned)port,
                     loop->draining ? "the loop is stopping" : "not an address");
        return NULL;
    }
    if ((fd = gh_socket_dial(&address, error)) < 0)
        return NULL;
    struct gh_conn *conn = conn_new(loop, fd, &origin_dialled, &address);
    if (conn == NULL) {
        close(fd);
        gh_error_set(error, GH_ERROR_MEMORY, "connection to %s:%u", host, (unsigned)port);
        return NULL;
    }
    conn->stream.writable = false; /* until epoll says that it is connected */
    conn->stream.shake_writes = true;
    set_phase(conn, CONNECTING, origin_dialled.limits.handshake_ms);
    if (tls != NULL)
        conn->stream.tls = gh_tls_open(tls, fd, server_name != NULL ? server_name : host);
    if (tls == NULL || conn->stream.tls != NULL)
        open_protocol(conn, &(struct gh_listener_protocol){protocol, context});
    if (conn->state == NULL) {
        gh_conn_abort(conn, "refused by the protocol");
        gh_error_set(error, GH_ERROR_CONNECT, "connection to %s:%u: no memory or refused", host,
                     (unsigned)port);
        return NULL;
    }
    return conn;
}

static size_t input_max_of(const struct gh_protocol *protocol)
{
    return protocol->input_max != 0 ? protocol->input_max : GH_CONN_INPUT_MAX;
}

static size_t output_max_of(const struct gh_protocol *protocol)
{
    return protocol->output_max != 0 ? protocol->output_max : GH_CONN_OUTPUT_MAX;
}

static void open_protocol(struct gh_conn *conn, const struct gh_listener_protocol *chosen)
{
    const struct gh_protocol *protocol = chosen->protocol;

    gh_buffer_init(&conn->in, input_max_of(protocol));
    gh_buffer_init(&conn->out, output_max_of(protocol));
    assert(conn->in.size_max >= FIRST_BYTES);
    conn->protocol = protocol;
    if (conn->phase == FIRST_BYTE)
        set_phase(conn, OPEN, 0);
    conn->state = protocol->open(chosen->context, conn);
    if (conn->state == NULL)
        gh_conn_abort(conn, "refused by the protocol");
}

/* ---- what the loop tells */

static void on_event(struct gh_source *source, uint32_t events)
{
    struct gh_conn *conn =
        (struct gh_conn *)(void *)((char *)source - offsetof(struct gh_conn, source));
    stream_note(&conn->stream, events);
    set_pending(conn);
}

static const char *limit_text(const struct gh_conn *conn)
{
    static const char *const texts[] = {
        [CONNECTING] = "connecting took too long",
        [PREFACE] = "no header of the PROXY protocol in time",
        [HANDSHAKE] = "the TLS handshake took too long",
        [FIRST_BYTE] = "no first byte in time",
        [OPEN] = "the input was full for too long",
        [CLOSING] = "the peer did not read its last bytes",
        [LINGERING] = "the peer did not close",
    };
    return conn->is_fresh && conn->phase == OPEN ? texts[FIRST_BYTE] : texts[conn->phase];
}

static void on_time(struct gh_timer *timer)
{
    struct gh_conn *conn =
        (struct gh_conn *)(void *)((char *)timer - offsetof(struct gh_conn, timer));
    int64_t now_ns = conn->loop->now_ns;

    if (conn->phase == DEAD)
        return;
    if (conn->limit_ns != 0 && conn->limit_ns <= now_ns) {
        if (conn->phase == HANDSHAKE)
            gh_metric_add(conn->origin->metrics, GH_METRIC_tls_handshakes_failed_total, 1);
        if (conn->phase == PREFACE)
            gh_metric_add(conn->origin->metrics, GH_METRIC_proxy_headers_refused_total, 1);
        gh_conn_abort(conn, limit_text(conn));
        return;
    }
    if (conn->deadline_ns != 0 && conn->deadline_ns <= now_ns) {
        conn->deadline_ns = 0;
        if (conn->phase == OPEN && conn->protocol->tick != NULL)
            conn->protocol->tick(conn->state);
    }
    arm_timer(conn);
}

/* ---- reading */

/* The protocol's input has returned after gh_conn_upgrade; `left` bytes were not consumed. */
static void switch_protocol(struct gh_conn *conn, size_t left)
{
    struct gh_framing *framing = conn->framing;
    const struct gh_protocol *next = framing->next;
    void *state = conn->state;

    framing->next = NULL;
    conn->state = NULL;
    conn->deadline_ns = 0;
    conn->protocol->closed(state, "upgraded");
    if (conn->phase != OPEN)
        return;
    if (left > 0) {
        gh_conn_abort(conn, "bytes before the upgrade was answered");
        return;
    }
    gh_buffer_release(&conn->in);
    conn->in.size_max = input_max_of(next);
    /* What the framing adds does not count against the protocol's limit. */
    conn->out.size_max = conn->out.size + output_max_of(next) + GH_FRAMING_HEAD_MAX;
    framing->framed = conn->out.size;
    conn->protocol = next;
    conn->is_fresh = true;
    set_limit(conn, conn->origin->limits.first_byte_ms);
    conn->state = next->open(framing->next_context, conn);
    if (conn->state == NULL)
        gh_conn_abort(conn, "refused by the protocol");
}

/* Hands `bytes` to the protocol; how many of them it consumed. */
static size_t call_input(struct gh_conn *conn, struct gh_slice bytes)
{
    size_t consumed = conn->protocol->input(conn->state, bytes);

    assert(consumed <= bytes.size || conn->phase != OPEN);
    if (conn->phase == OPEN && conn->framing != NULL && conn->framing->next != NULL) {
        switch_protocol(conn, bytes.size - consumed);
        return bytes.size;
    }
    return consumed;
}

/* Keeps what the protocol did not consume. */
static void offer(struct gh_conn *conn)
{
    size_t consumed = call_input(conn, gh_buffer_slice(&conn->in));

    if (conn->phase != OPEN || conn->is_fresh)
        return;
    gh_buffer_drop(&conn->in, consumed);
    if (consumed > 0)
        conn->limit_ns = 0;
    if (conn->in.size == 0)
        gh_buffer_release(&conn->in);
}

static void deliver(struct gh_conn *conn, struct gh_slice bytes)
{
    if (conn->in.size == 0) { /* straight from the loop's buffer */
        size_t consumed = call_input(conn, bytes);
        assert(consumed <= bytes.size);
        bytes = gh_slice_sub(bytes, consumed, bytes.size);
        if (conn->phase == OPEN && bytes.size > 0 && !gh_buffer_put(&conn->in, bytes))
            gh_conn_abort(conn, "no memory for input");
        return;
    }
    if (gh_buffer_put(&conn->in, bytes))
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
    enum gh_framing_status status = framing->kind->read(framing, bytes, &size, &conn->out);

    if (size > 0 && !may_begin(conn, bytes[0])) {
        gh_framing_finish(framing, GH_FRAMING_UNACCEPTABLE, &conn->out);
        refuse_framed(conn, "unknown protocol");
        return;
    }
    if (size > 0)
        deliver(conn, gh_slice(bytes, size));
    if (conn->phase != OPEN)
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
            open_protocol(conn, &origin->protocols[i]);
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
    if (conn->phase != OPEN)
        return FIRST_BYTES;
    size_t room = conn->in.size_max - conn->in.size;
    if (room == 0 && conn->limit_ns == 0)
        set_limit(conn, conn->origin->limits.stuck_ms);
    return room < READ_BYTES_PER_TURN ? room : READ_BYTES_PER_TURN;
}

static void end_input(struct gh_conn *conn)
{
    if (conn->told_end)
        return;
    conn->told_end = true;
    if (conn->phase == OPEN && conn->protocol->ended != NULL)
        conn->protocol->ended(conn->state);
    else if (conn->phase == OPEN)
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
    if (got > 0 && conn->phase == FIRST_BYTE)
        choose_protocol(conn, scratch[0]);
    if (got > 0 && conn->phase == OPEN && conn->framing != NULL)
        unframe(conn, scratch, got);
    else if (got > 0 && conn->phase == OPEN)
        deliver(conn, gh_slice(scratch, got));
    if (!is_sound && conn->phase < CLOSING)
        gh_conn_abort(conn, "the connection was lost");
    if (conn->phase < CLOSING) {
        if (conn->stream.ended)
            end_input(conn);
        conn->again |= conn->stream.readable && !conn->stream.ended && room_of(conn) > 0;
    }
}

static void read_open(struct gh_conn *conn)
{
    if (conn->resumed) {
        conn->resumed = false;
        if (conn->in.size > 0)
            offer(conn);
    }
    if (conn->phase == OPEN || conn->phase == FIRST_BYTE)
        read_some(conn);
}

static bool open_tls(struct gh_conn *conn)
{
    struct gh_tls_context *tls = conn->origin->tls(conn->origin);
    conn->stream.tls = gh_tls_open(tls, conn->stream.fd, NULL);
    gh_tls_context_unref(tls);
    return conn->stream.tls != NULL;
}

static void take_step(struct gh_conn *conn)
{
    struct gh_error error = {0};

    if (conn->stream.tls == NULL && !open_tls(conn)) {
        gh_conn_abort(conn, "no memory for TLS");
        return;
    }
    switch (stream_handshake(&conn->stream, &error)) {
    case GH_TLS_OK:
        gh_metric_add(conn->origin->metrics, GH_METRIC_tls_handshakes_total, 1);
        begin(conn);
        break;
    case GH_TLS_FAILED:
        gh_metric_add(conn->origin->metrics, GH_METRIC_tls_handshakes_failed_total, 1);
        gh_log(GH_LOG_DEBUG, "io", "%s: %s", conn->peer, error.text);
        gh_conn_abort(conn, "the TLS handshake failed");
        break;
    default:
        break;
    }
}

/* One step of a handshake, when this turn has time for it left. */
static void shake(struct gh_conn *conn)
{
    if (!(conn->stream.shake_writes ? conn->stream.writable : conn->stream.readable))
        return;
    if (conn->loop->handshake_ns_left <= 0) {
        conn->loop->handshakes_deferred++;
        conn->again = true;
        return;
    }
    int64_t before_ns = gh_time_monotonic_ns();
    take_step(conn);
    conn->loop->handshake_ns_left -= gh_time_monotonic_ns() - before_ns;
    if (conn->phase == FIRST_BYTE || conn->phase == OPEN)
        read_open(conn);
}

static void finish_connecting(struct gh_conn *conn)
{
    int failure = 0;
    socklen_t size = sizeof failure;

    if (!conn->stream.writable)
        return;
    if (getsockopt(conn->stream.fd, SOL_SOCKET, SO_ERROR, &failure, &size) != 0 || failure != 0) {
        gh_conn_abort(conn, failure == ECONNREFUSED ? "connection refused" : "cannot connect");
        return;
    }
    if (conn->stream.tls == NULL) {
        begin(conn);
        read_open(conn);
        return;
    }
    conn->phase = HANDSHAKE; /* under the limit of connecting */
    shake(conn);
}

/* The client that the header names; the balancer itself is not counted. */
static void set_peer(struct gh_conn *conn, const struct gh_proxy_header *header)
{
    struct gh_address address = {.name.any.sa_family = AF_UNIX};

    if (header->family == GH_PROXY_UNKNOWN)
        return;
    if (header->family != GH_PROXY_UNIX) {
        bool is_set = gh_address_set(header->address, header->port, &address);
        assert(is_set); /* the reader hands out 4 or 16 bytes */
        (void)is_set;
    }
    gh_address_print(&address, conn->peer);
    (void)enter_crowd(conn, &address);
}

static void begin_behind(struct gh_conn *conn, size_t header_size)
{
    if (!stream_skip(&conn->stream, conn->loop->scratch, header_size)) {
        gh_conn_abort(conn, "the connection was lost");
        return;
    }
    begin_stream(conn);
    work(conn);
}

/* Looks at what has come without taking it: what follows the header is TLS's, or the protocol's. */
static void read_preface(struct gh_conn *conn)
{
    uint8_t *scratch = conn->loop->scratch;
    struct gh_proxy_header header;
    size_t got;

    if (!conn->stream.readable)
        return;
    if (!stream_peek(&conn->stream, scratch, GH_PROXY_HEADER_MAX, &got)) {
        gh_conn_abort(conn, "closed before the first byte");
        return;
    }
    enum gh_proxy_status status =
        gh_proxy_read(gh_slice(scratch, got), GH_PROXY_HEADER_MAX, &header);
    if (status == GH_PROXY_MORE && !conn->stream.hung_up) {
        conn->stream.readable = false;
    } else if (status == GH_PROXY_OK) {
        set_peer(conn, &header);
        if (conn->phase == PREFACE)
            begin_behind(conn, header.size);
    } else {
        gh_metric_add(conn->origin->metrics, GH_METRIC_proxy_headers_refused_total, 1);
        gh_log(GH_LOG_WARN, "io", "%s: PROXY protocol: %s", conn->peer,
               status == GH_PROXY_REFUSED ? header.why : "closed within the header");
        gh_conn_abort(conn, "no valid header of the PROXY protocol");
    }
}

/* The first half of a turn for one connection. */
static void work(struct gh_conn *conn)
{
    switch (conn->phase) {
    case CONNECTING:
        finish_connecting(conn);
        break;
    case PREFACE:
        read_preface(conn);
        break;
    case HANDSHAKE:
        shake(conn);
        break;
    case FIRST_BYTE:
    case OPEN:
        read_open(conn);
        break;
    case LINGERING:
        stream_discard(&conn->stream, conn->loop->scratch, LINGER_BYTES_PER_TURN);
        conn->again |= conn->stream.readable && !conn->stream.ended;
        if (conn->stream.ended)
            conn->phase = DEAD;
        break;
    case CLOSING:
    case DEAD:
        break;
    }
}

/* ---- writing and ending */

/* How much of the output may be written as it is. With a framing: what has been framed before,
 * else all that there is becomes one frame. A slow peer's output so becomes few large frames. */
static size_t writable_bytes(struct gh_conn *conn)
{
    if (conn->framing == NULL)
        return conn->out.size;
    if (conn->framing->framed == 0)
        gh_framing_wrap(conn->framing, &conn->out);
    return conn->framing->framed;
}

static bool write_some(struct gh_conn *conn)
{
    size_t sent;
    struct gh_slice bytes = gh_slice(conn->out.data, writable_bytes(conn));
    bool is_sound = stream_write(&conn->stream, bytes, &sent);

    gh_metric_add(conn->origin->metrics, GH_METRIC_bytes_sent_total, (int64_t)sent);
    gh_buffer_drop(&conn->out, sent);
    if (conn->framing != NULL)
        conn->framing->framed -= sent;
    return is_sound;
}

static void write_out(struct gh_conn *conn)
{
    bool is_sound = true;

    if (conn->phase == CLOSING && conn->framing != NULL)
        gh_framing_finish(conn->framing,
                          conn->loop->draining ? GH_FRAMING_GOING_AWAY : GH_FRAMING_NORMAL,
                          &conn->out);
    if (conn->out.size == 0 && !conn->out.overflow)
        return;
    while (is_sound && !conn->out.overflow && conn->out.size > 0 && conn->stream.writable)
        is_sound = write_some(conn);
    if (conn->out.overflow) {
        gh_conn_abort(conn, "the peer does not read: its output queue is full");
        return;
    }
    if (!is_sound) {
        gh_conn_abort(conn, "the connection was lost");
        return;
    }
    if (conn->out.size > 0)
        return;
    gh_buffer_release(&conn->out);
    if (conn->phase == OPEN && conn->protocol->drained != NULL)
        conn->protocol->drained(conn->state);
}

static void end_protocol(struct gh_conn *conn)
{
    void *state = conn->state;

    conn->state = NULL;
    gh_buffer_release(&conn->in);
    gh_buffer_release(&conn->out);
    if (state != NULL)
        conn->protocol->closed(state, conn->why);
}

static void destroy(struct gh_conn *conn)
{
    struct conn_origin *origin = conn->origin;

    conn->is_pending = true; /* whatever `closed` calls does not queue what is about to be freed */
    end_protocol(conn);
    gh_timer_cancel(conn->loop, &conn->timer);
    if (conn->framing != NULL)
        conn->framing->kind->close(conn->framing);
    stream_close(&conn->stream);
    leave_crowd(conn);
    set_shaking(conn, false);
    list_remove(&conn->loop->conns, conn);
    conn->loop->conns_count--;
    gh_metric_add(origin->metrics, GH_METRIC_connections_open, -1);
    free(conn);
    if (origin->gone != NULL)
        origin->gone(origin);
}

/* The second half of a turn: writes once, and lets go of what has ended. */
static void settle(struct gh_conn *conn)
{
    conn->is_pending = false;
    if (conn->phase == OPEN || conn->phase == CLOSING)
        write_out(conn);
    if (conn->phase == CLOSING && conn->out.size == 0) {
        stream_finish(&conn->stream);
        end_protocol(conn);
        if (conn->stream.ended)
            conn->phase = DEAD;
        else
            set_phase(conn, LINGERING, conn->loop->draining ? LINGER_STOPPING_MS : LINGER_MS);
        conn->again = true;
    }
    if (conn->phase == DEAD) {
        if (!conn->is_pending) /* else a callback queued it again: it goes in the next turn */
            destroy(conn);
        return;
    }
    conn->resumed &= conn->phase != OPEN || conn->in.size > 0;
    if (conn->again || (conn->resumed && conn->phase == OPEN))
        set_pending(conn);
    conn->again = false;
}

void conns_turn(struct gh_loop *loop)
{
    loop->handshake_ns_left = LOOP_HANDSHAKE_NS_PER_TURN;
    loop->handshakes_deferred = 0;
    for (struct gh_conn *conn = loop->pending_first; conn != NULL; conn = conn->pending_next)
        work(conn); /* what becomes pending in this loop is behind it in the queue */

    atomic_store_explicit(&loop->handshakes_queued, loop->handshakes_deferred,
                          memory_order_relaxed);
    struct gh_conn *next, *conn = loop->pending_first;
    loop->pending_first = NULL;
    loop->pending_end = &loop->pending_first;
    for (; conn != NULL; conn = next) {
        next = conn->pending_next;
        settle(conn);
    }
}

static void for_all(struct gh_loop *loop, void (*end)(struct gh_conn *conn, const char *why),
                    const char *why)
{
    for (struct gh_conn *conn = loop->conns.first; conn != NULL; conn = conn->next)
        end(conn, why);
    for (struct gh_conn *conn = loop->shaking.first; conn != NULL; conn = conn->next)
        end(conn, why);
}

void conns_close(struct gh_loop *loop, const char *why)
{
    for_all(loop, gh_conn_close_why, why);
}

void conns_abort(struct gh_loop *loop, const char *why)
{
    for_all(loop, gh_conn_abort, why);
}

/* ---- for protocols */

struct gh_buffer *gh_conn_out(struct gh_conn *conn)
{
    return &conn->out;
}

void gh_conn_dirty(struct gh_conn *conn)
{
    set_pending(conn);
}

void gh_conn_close(struct gh_conn *conn)
{
    gh_conn_close_why(conn, "closed by the server");
}

void gh_conn_close_why(struct gh_conn *conn, const char *why)
{
    if (conn->phase >= CLOSING)
        return;
    if (conn->phase != OPEN) {
        gh_conn_abort(conn, why);
        return;
    }
    conn->why = why;
    conn->deadline_ns = 0;
    set_phase(conn, CLOSING, conn->origin->limits.close_ms);
    set_pending(conn);
}

void gh_conn_abort(struct gh_conn *conn, const char *why)
{
    if (conn->phase == DEAD)
        return;
    if (conn->phase < CLOSING || conn->out.size > 0)
        conn->why = why;
    conn->phase = DEAD;
    set_pending(conn);
}

void gh_conn_resume(struct gh_conn *conn)
{
    conn->resumed = true;
    set_pending(conn);
}

void gh_conn_set_deadline(struct gh_conn *conn, int64_t at_ns)
{
    conn->deadline_ns = conn->phase < CLOSING ? at_ns : 0;
    arm_timer(conn);
}

void gh_conn_upgrade(struct gh_conn *conn, struct gh_framing *framing,
                     const struct gh_protocol *protocol, void *context)
{
    assert(conn->framing == NULL && conn->state != NULL);
    assert(input_max_of(protocol) >= FIRST_BYTES);
    framing->next = protocol;
    framing->next_context = context;
    conn->framing = framing;
}

const char *gh_conn_peer(const struct gh_conn *conn)
{
    return conn->peer;
}

struct gh_loop *gh_conn_loop(const struct gh_conn *conn)
{
    return conn->loop;
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
