/* How a connection begins: accepted or dialled, counted, named by a balancer's header, through its
 * TLS handshake, until its protocol is open or its first byte is awaited. */
#include "base/log.h"
#include "base/slots.h"
#include "base/time.h"
#include "io/conn_internal.h"
#include "io/loop_internal.h"
#include "io/network.h"
#include "wire/proxy.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of dialled connections. */
static struct conn_origin origin_dialled = {.limits = {.handshake_ms = 10 * 1000,
                                                       .first_byte_ms = 10 * 1000,
                                                       .stuck_ms = 30 * 1000,
                                                       .close_ms = 5 * 1000}};

static void leave_crowd(struct gh_conn *conn);

/* ---- the loop's lists */

/* Moves an accepted connection between the list of those that are on their way and that of the
 * open ones. */
static void set_shaking(struct gh_conn *conn, bool is_shaking)
{
    struct gh_loop *loop = conn->loop;

    if (conn->is_shaking == is_shaking)
        return;
    if (is_shaking)
        conn_wheel_begin_shaking(conn);
    else
        conn_wheel_end_shaking(conn);
    loop->shaking_count += is_shaking ? 1 : (size_t)-1;
    gh_metric_add(conn->origin->metrics, GH_METRIC_handshakes_open, is_shaking ? 1 : -1);
}

static size_t bytes_with(size_t peer_size)
{
    size_t bytes = offsetof(struct gh_conn, peer) + peer_size;
    return bytes < sizeof(struct gh_conn) ? sizeof(struct gh_conn) : bytes;
}

/* Of the text of an address that may become another one, or not. */
static size_t peer_size(const struct conn_origin *origin, const char *text)
{
    return origin->expects_proxy ? GH_ADDRESS_TEXT_MAX : strlen(text) + 1;
}

void conn_free(struct gh_conn *conn)
{
    gh_slot_give(conn, bytes_with(peer_size(conn->origin, conn->peer)));
}

static struct gh_conn *conn_new(struct gh_loop *loop, int fd, struct conn_origin *origin,
                                const struct gh_address *peer)
{
    char text[GH_ADDRESS_TEXT_MAX] = {0};
    size_t size = peer_size(origin, gh_address_print(peer, text));
    struct gh_conn *conn = gh_slot_take(bytes_with(size));

    if (conn == NULL)
        return NULL;
    memcpy(conn->peer, text, size);
    conn->source.ready = conn_on_event;
    conn->loop = loop;
    conn->origin = origin;
    conn->stream =
        (struct stream){.fd = fd, .writable = true}; /* epoll tells about input that is there */
    if (!loop_watch(loop, fd, &conn->source, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)) {
        gh_slot_give(conn, bytes_with(size));
        return NULL;
    }
    conn_wheel_add(conn);
    loop->conns_count++;
    conn_note_here(loop);
    gh_metric_add(origin->metrics, GH_METRIC_connections_open, 1);
    conn_set_pending(conn);
    return conn;
}

void conn_forget(struct gh_conn *conn)
{
    leave_crowd(conn);
    set_shaking(conn, false);
    conn_wheel_remove(conn);
    conn->loop->conns_count--;
    conn_note_gone(conn);
    gh_metric_add(conn->origin->metrics, GH_METRIC_connections_open, -1);
}

/* ---- protocols */

size_t conn_input_max(const struct gh_protocol *protocol)
{
    return protocol->input_max != 0 ? protocol->input_max : GH_CONN_INPUT_MAX;
}

size_t conn_output_max(const struct gh_protocol *protocol)
{
    return protocol->output_max != 0 ? protocol->output_max : GH_CONN_OUTPUT_MAX;
}

void conn_open_protocol(struct gh_conn *conn, const struct gh_listener_protocol *chosen)
{
    const struct gh_protocol *protocol = chosen->protocol;

    assert(conn_input_max(protocol) >= CONN_FIRST_BYTES);
    conn->protocol = protocol;
    if (conn->phase == CONN_FIRST_BYTE)
        conn_set_phase(conn, CONN_OPEN, 0);
    conn->state = protocol->open(chosen->context, conn);
    if (conn->state == NULL)
        gh_conn_abort(conn, "refused by the protocol");
}

void conn_begin(struct gh_conn *conn)
{
    const struct gh_listener_protocol *first = conn->origin->protocols;

    set_shaking(conn, false);
    if (conn->protocol != NULL) { /* dialled */
        conn_set_phase(conn, CONN_OPEN, 0);
        if (conn->protocol->established != NULL)
            conn->protocol->established(conn->state);
        return;
    }
    conn_set_phase(conn, CONN_FIRST_BYTE, conn->origin->limits.first_byte_ms);
    if (conn->origin->protocols_count > 0 && first->protocol->claims == NULL)
        conn_open_protocol(conn, first);
}

/* ---- accepting */

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
        if (conn->is_pending || conn->is_away || conn->phase == CONN_DEAD)
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
        conn->phase = CONN_HANDSHAKE; /* under the limit that is set */
    else
        conn_begin(conn);
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
    conn_set_phase(conn, CONN_PREFACE, origin->limits.handshake_ms);
    set_shaking(conn, true);
    evict_oldest(loop, origin->handshakes_max);
    if (!origin->expects_proxy && enter_crowd(conn, peer))
        begin_stream(conn);
}

/* ---- the PROXY protocol */

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
    if (conn->phase == CONN_HANDSHAKE)
        conn->again = true; /* behind the others that wait for a step */
    else
        conn_read(conn);
}

/* Looks at what has come without taking it: what follows the header is TLS's, or the protocol's. */
void conn_read_preface(struct gh_conn *conn)
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
        if (conn->phase == CONN_PREFACE)
            begin_behind(conn, header.size);
    } else {
        gh_metric_add(conn->origin->metrics, GH_METRIC_proxy_headers_refused_total, 1);
        gh_log(GH_LOG_WARN, "io", "%s: PROXY protocol: %s", conn->peer,
               status == GH_PROXY_REFUSED ? header.why : "closed within the header");
        gh_conn_abort(conn, "no valid header of the PROXY protocol");
    }
}

/* ---- dialling */

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
    conn_set_phase(conn, CONN_CONNECTING, origin_dialled.limits.handshake_ms);
    if (tls != NULL)
        conn->stream.tls = gh_tls_open(tls, NULL, fd, server_name != NULL ? server_name : host);
    if (tls == NULL || conn->stream.tls != NULL)
        conn_open_protocol(conn, &(struct gh_listener_protocol){protocol, context});
    if (conn->state == NULL) {
        gh_conn_abort(conn, "refused by the protocol");
        gh_error_set(error, GH_ERROR_CONNECT, "connection to %s:%u: no memory or refused", host,
                     (unsigned)port);
        return NULL;
    }
    return conn;
}

void conn_finish_connecting(struct gh_conn *conn)
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
        conn_begin(conn);
        conn_read(conn);
        return;
    }
    conn->phase = CONN_HANDSHAKE; /* under the limit of connecting */
    conn->again = true;
}
