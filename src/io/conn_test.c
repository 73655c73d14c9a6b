/* Connections over real sockets: listener and loop are tested here with them. */
#include "io/conn.h"
#include "io/conn_internal.h"
#include "io/rig_internal.h"
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* A protocol of lines: what a line begins with says what is done. Everything else is echoed. */
/* LARGE does not fit the peer's window: its end waits in the kernel when the connection is closed.
 */
enum { INPUT_MAX = 8192, OUTPUT_MAX = 1024 * 1024, LARGE = 900 * 1024 };

struct line_conn {
    struct gh_conn *conn;
    bool holds;
    struct gh_timer release;
};

static struct tally opened = TALLY, closed = TALLY, ticked = TALLY;
static char last_why[64]; /* of the last closed; read after `closed` was awaited */

static bool claims(uint8_t first_byte)
{
    return first_byte >= 'a' && first_byte <= 'z';
}

static void *open_line(void *context, struct gh_conn *conn)
{
    struct line_conn *line = calloc(1, sizeof *line);
    CHECK("the context is the listener's", context == &opened);
    line->conn = conn;
    tally_add(&opened);
    return line;
}

static void on_release(struct gh_timer *timer)
{
    struct line_conn *line =
        (struct line_conn *)(void *)((char *)timer - offsetof(struct line_conn, release));
    line->holds = false;
    gh_conn_resume(line->conn);
}

static void put_large(struct line_conn *line)
{
    static uint8_t large[LARGE];
    memset(large, 'x', sizeof large);
    gh_buffer_put(gh_conn_out(line->conn), gh_slice(large, sizeof large));
    gh_conn_dirty(line->conn);
}

static void obey(struct line_conn *line, struct gh_slice text)
{
    struct gh_conn *conn = line->conn;
    int64_t now_ns = gh_loop_now_ns(gh_conn_loop(conn));

    if (gh_slice_equal(text, GH_SLICE("close"))) {
        put_large(line);
        gh_conn_close_why(conn, "asked to");
    } else if (gh_slice_equal(text, GH_SLICE("abort"))) {
        gh_conn_abort(conn, "aborted");
    } else if (gh_slice_equal(text, GH_SLICE("overflow"))) {
        put_large(line);
        put_large(line);
    } else if (gh_slice_equal(text, GH_SLICE("hold"))) {
        line->holds = true;
        gh_timer_set(gh_conn_loop(conn), &line->release, now_ns + 20 * GH_MS_NS, on_release);
    } else if (gh_slice_equal(text, GH_SLICE("stall"))) {
        line->holds = true;
    } else if (gh_slice_equal(text, GH_SLICE("tick"))) {
        gh_conn_set_deadline(conn, now_ns + 10 * GH_MS_NS);
        gh_conn_set_deadline(conn, now_ns + 20 * GH_MS_NS);
    } else if (gh_slice_equal(text, GH_SLICE("peer"))) {
        gh_buffer_print(gh_conn_out(conn), "%s %s\n", gh_conn_peer(conn),
                        gh_conn_is_secure(conn) ? gh_tls_version(gh_conn_tls(conn)) : "plain");
    } else {
        gh_buffer_print(gh_conn_out(conn), "%.*s\n", GH_PRINT(text));
    }
    gh_conn_dirty(conn);
}

static size_t on_input(void *state, struct gh_slice bytes)
{
    struct line_conn *line = state;
    size_t consumed = 0;

    while (!line->holds) {
        struct gh_slice rest = gh_slice_sub(bytes, consumed, bytes.size);
        size_t end = gh_slice_find(rest, '\n');
        if (end == rest.size)
            break;
        consumed += end + 1;
        obey(line, gh_slice_sub(rest, 0, end));
    }
    return consumed;
}

static void on_tick(void *state)
{
    struct line_conn *line = state;
    tally_add(&ticked);
    gh_buffer_put(gh_conn_out(line->conn), GH_SLICE("tock\n"));
    gh_conn_dirty(line->conn);
}

static void on_closed(void *state, const char *why)
{
    struct line_conn *line = state;
    gh_timer_cancel(gh_conn_loop(line->conn), &line->release);
    gh_conn_dirty(line->conn); /* too late, and harmless */
    gh_conn_set_deadline(line->conn, 1);
    gh_conn_close(line->conn);
    free(line);
    pthread_mutex_lock(&closed.lock);
    snprintf(last_why, sizeof last_why, "%s", why);
    pthread_mutex_unlock(&closed.lock);
    tally_add(&closed);
}

static const struct gh_protocol lines = {
    .name = "lines",
    .input_max = INPUT_MAX,
    .output_max = OUTPUT_MAX,
    .claims = claims,
    .open = open_line,
    .input = on_input,
    .tick = on_tick,
    .closed = on_closed,
};

static const struct gh_listener_protocol served[] = {{&lines, &opened}};
static struct rig rig;
static struct rig_pki pki;
static struct gh_metrics metrics;
static struct gh_workers *workers; /* NULL: the loops shake hands themselves */

static struct gh_listener *listen_with(struct gh_tls_context *tls, struct gh_conn_limits limits,
                                       size_t connections_max)
{
    struct gh_listener_config config = {.loops = rig.loops,
                                        .loops_count = rig.count,
                                        .address = "127.0.0.1:0",
                                        .tls = tls,
                                        .protocols = served,
                                        .protocols_count = GH_COUNT(served),
                                        .limits = limits,
                                        .connections_max = connections_max,
                                        .workers = workers,
                                        .metrics = &metrics};
    struct gh_error error = {0};
    struct gh_listener *listener = gh_listener_open(&config, &error);
    REQUIRE(error.text, listener != NULL && gh_listener_port(listener) != 0);
    return listener;
}

/* Runs `test` plain and over TLS. */
static void both(const char *name, void (*test)(uint16_t port, struct gh_tls_context *tls),
                 struct gh_conn_limits limits)
{
    for (int secure = 0; secure < 2; secure++) {
        struct gh_listener *listener = listen_with(secure ? pki.server : NULL, limits, 0);
        size_t before = tally_get(&opened);
        test(gh_listener_port(listener), secure ? pki.client : NULL);
        CHECK(name, tally_wait(&closed, tally_get(&opened)) && tally_get(&opened) >= before);
        gh_listener_close(listener);
    }
}

static bool closed_because(const char *why)
{
    REQUIRE("closed", tally_wait(&closed, tally_get(&opened)));
    pthread_mutex_lock(&closed.lock);
    bool same = strcmp(last_why, why) == 0;
    if (!same)
        printf("closed because: %s\n", last_why);
    pthread_mutex_unlock(&closed.lock);
    return same;
}

static void echo(uint16_t port, struct gh_tls_context *tls)
{
    struct peer peer = peer_open(port, tls);
    struct gh_buffer heard;
    gh_buffer_init(&heard, 1 << 20);
    CHECK("sent", peer_say(&peer, "hel"));
    CHECK("sent", peer_say(&peer, "lo\nworld\npeer\n"));
    CHECK("echoed", peer_read_text(&peer, &heard, "hello\nworld\n127.0.0.1:"));
    CHECK("what it is", peer_read_text(&peer, &heard, tls != NULL ? " TLSv1.3\n" : " plain\n"));
    peer_close(&peer);
    CHECK("the reason", closed_because("closed by the peer"));
    gh_buffer_deinit(&heard);
}

static void close_delivers(uint16_t port, struct gh_tls_context *tls)
{
    static uint8_t unread[100 * 1024];
    struct peer peer = peer_open(port, tls);
    struct gh_buffer heard;
    gh_buffer_init(&heard, 1 << 20);
    memset(unread, 'u', sizeof unread);
    CHECK("sent", peer_say(&peer, "close\n"));
    (void)peer_send(&peer,
                    gh_slice(unread, sizeof unread)); /* still on its way when the server closes */
    peer_read_end(&peer, &heard);
    CHECK("closing delivers what was queued, whatever the peer was still sending",
          heard.size == LARGE);
    CHECK("the reason", closed_because("asked to"));
    peer_close(&peer);
    gh_buffer_deinit(&heard);
}

static void abort_and_overflow(uint16_t port, struct gh_tls_context *tls)
{
    static const struct {
        const char *line, *why;
    } rows[] = {
        {"abort\n", "aborted"},
        {"overflow\n", "the peer does not read: its output queue is full"},
    };
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        struct peer peer = peer_open(port, tls);
        struct gh_buffer heard;
        gh_buffer_init(&heard, 1 << 20);
        CHECK(rows[i].line, peer_say(&peer, rows[i].line));
        peer_read_end(&peer, &heard);
        CHECK(rows[i].line, closed_because(rows[i].why));
        peer_close(&peer);
        gh_buffer_deinit(&heard);
    }
}

static void held_input(uint16_t port, struct gh_tls_context *tls)
{
    struct peer peer = peer_open(port, tls);
    struct gh_buffer heard;
    gh_buffer_init(&heard, 1 << 20);
    CHECK("sent", peer_say(&peer, "hold\none\ntwo\n"));
    for (int i = 0; i < 3000; i++) /* more than the input takes, so that reading stops */
        CHECK("sent", peer_say(&peer, "filler\n"));
    CHECK("sent", peer_say(&peer, "last\n"));
    CHECK("held input is offered again at resume",
          peer_read_text(&peer, &heard, "one\ntwo\nfiller"));
    CHECK("and reading goes on", peer_read_text(&peer, &heard, "last\n"));
    CHECK("nothing is lost", heard.size == strlen("one\ntwo\nlast\n") + 3000 * strlen("filler\n"));
    peer_close(&peer);
    gh_buffer_deinit(&heard);
}

/* Held again and again, longer in all than a stuck input is borne, but each time it goes on. */
static void held_often(uint16_t port, struct gh_tls_context *tls)
{
    struct peer peer = peer_open(port, tls);
    struct gh_buffer heard;
    gh_buffer_init(&heard, 1 << 20);
    for (int round = 0; round < 60; round++) {
        CHECK("sent", peer_say(&peer, "hold\n"));
        for (int i = 0; i < 1500; i++)
            CHECK("sent", peer_say(&peer, "filler\n"));
        CHECK("sent", peer_say(&peer, "last\n"));
        gh_buffer_clear(&heard);
        CHECK("what goes on is not stuck", peer_read_text(&peer, &heard, "last\n"));
    }
    peer_close(&peer);
    gh_buffer_deinit(&heard);
}

static void stuck_input(uint16_t port, struct gh_tls_context *tls)
{
    struct peer peer = peer_open(port, tls);
    struct gh_buffer heard;
    gh_buffer_init(&heard, 1 << 20);
    CHECK("sent", peer_say(&peer, "stall\n"));
    for (int i = 0; i < 3000; i++)
        if (!peer_say(&peer, "filler\n"))
            break;
    peer_read_end(&peer, &heard);
    CHECK("a full input that nobody takes", closed_because("the input was full for too long"));
    peer_close(&peer);
    gh_buffer_deinit(&heard);
}

static void ticks(uint16_t port, struct gh_tls_context *tls)
{
    struct peer peer = peer_open(port, tls);
    struct gh_buffer heard;
    size_t before = tally_get(&ticked);
    gh_buffer_init(&heard, 1 << 20);
    CHECK("sent", peer_say(&peer, "tick\n"));
    CHECK("the deadline comes", peer_read_text(&peer, &heard, "tock\n"));
    CHECK("sent", peer_say(&peer, "again\n"));
    CHECK("answered", peer_read_text(&peer, &heard, "again\n"));
    CHECK("once, though it was moved", tally_get(&ticked) == before + 1);
    peer_close(&peer);
    gh_buffer_deinit(&heard);
}

static void unknown_byte(uint16_t port, struct gh_tls_context *tls)
{
    struct peer peer = peer_open(port, tls);
    struct gh_buffer heard;
    int64_t before = gh_metric_get(&metrics, GH_METRIC_packets_malformed_total);
    gh_buffer_init(&heard, 1 << 20);
    CHECK("sent", peer_say(&peer, "\x16\x03\x01"));
    peer_read_end(&peer, &heard);
    CHECK("closed without a word", heard.size == 0);
    CHECK("and counted", gh_metric_get(&metrics, GH_METRIC_packets_malformed_total) == before + 1);
    peer_close(&peer);
    gh_buffer_deinit(&heard);
}

static void silent(uint16_t port, struct gh_tls_context *tls)
{
    struct peer peer = peer_open(port, tls);
    struct gh_buffer heard;
    gh_buffer_init(&heard, 1 << 20);
    peer_read_end(&peer, &heard);
    CHECK("no first byte: closed", heard.size == 0);
    peer_close(&peer);
    gh_buffer_deinit(&heard);
}

/* A TLS listener whose peer never finishes its handshake. */
static void half_handshakes(void)
{
    static const char *const beginnings[] = {"", "\x16", "\x16\x03\x01\x02",
                                             "GET / HTTP/1.1\r\n\r\n", "\x10\x0c\x00\x04MQTT"};
    struct gh_listener *listener =
        listen_with(pki.server, (struct gh_conn_limits){.handshake_ms = 50}, 0);
    int64_t before = gh_metric_get(&metrics, GH_METRIC_tls_handshakes_failed_total);
    for (size_t i = 0; i < GH_COUNT(beginnings); i++) {
        struct peer peer = peer_open(gh_listener_port(listener), NULL);
        struct gh_buffer heard;
        gh_buffer_init(&heard, 1 << 20);
        CHECK("sent", peer_say(&peer, beginnings[i]));
        peer_read_end(&peer, &heard);
        CHECK("at most an alert comes back", heard.size <= 7);
        peer_close(&peer);
        gh_buffer_deinit(&heard);
    }
    CHECK("each is counted", gh_metric_get(&metrics, GH_METRIC_tls_handshakes_failed_total) ==
                                 before + (int64_t)GH_COUNT(beginnings));
    gh_listener_close(listener);
}

/* Half-open handshakes up to the ceiling: a newcomer is served, and the oldest of them goes. */
static void evicted(void)
{
    enum { MAX = 4 };
    struct gh_listener_config config = {.loops = rig.loops,
                                        .loops_count = 1,
                                        .address = "127.0.0.1:0",
                                        .tls = pki.server,
                                        .protocols = served,
                                        .protocols_count = GH_COUNT(served),
                                        .handshakes_max = MAX,
                                        .workers = workers,
                                        .metrics = &metrics};
    struct gh_listener *listener = gh_listener_open(&config, NULL);
    int64_t before = gh_metric_get(&metrics, GH_METRIC_handshakes_evicted_total);
    struct peer half[MAX], whole[2];
    struct gh_buffer heard;
    REQUIRE("listens", listener != NULL);
    while (gh_metric_get(&metrics, GH_METRIC_handshakes_open) > 0) /* of those before: the loop's */
        sched_yield();
    gh_buffer_init(&heard, 1 << 20);
    for (size_t i = 0; i < MAX; i++) {
        half[i] = peer_open(gh_listener_port(listener), NULL);
        CHECK("sent", i % 2 == 0 || peer_say(&half[i], "\x16\x03\x01"));
        while (gh_metric_get(&metrics, GH_METRIC_handshakes_open) < (int64_t)i + 1)
            sched_yield();
    }
    for (size_t i = 0; i < GH_COUNT(whole); i++) {
        whole[i] = peer_open(gh_listener_port(listener), pki.client);
        gh_buffer_clear(&heard);
        CHECK("sent", peer_say(&whole[i], "hi\n"));
        CHECK("who goes on is served", peer_read_text(&whole[i], &heard, "hi\n"));
        if (i == 0) { /* what it took has been given back: the next one takes no other's place */
            gh_buffer_clear(&heard);
            peer_read_end(&half[0], &heard);
            CHECK("the oldest is closed, without a word", heard.size == 0);
        }
    }
    CHECK("and counted, once",
          gh_metric_get(&metrics, GH_METRIC_handshakes_evicted_total) == before + 1);
    CHECK("the others wait on", gh_metric_get(&metrics, GH_METRIC_handshakes_open) == MAX - 1);
    for (size_t i = 0; i < MAX; i++)
        peer_close(&half[i]);
    for (size_t i = 0; i < GH_COUNT(whole); i++)
        peer_close(&whole[i]);
    gh_listener_close(listener);
    while (gh_metric_get(&metrics, GH_METRIC_handshakes_open) > 0)
        sched_yield();
    gh_buffer_deinit(&heard);
}

static void ceiling(void)
{
    struct gh_listener *listener = listen_with(NULL, (struct gh_conn_limits){0}, 2);
    uint16_t port = gh_listener_port(listener);
    struct peer peers[3];
    struct gh_buffer heard;
    gh_buffer_init(&heard, 1 << 20);
    for (size_t i = 0; i < 3; i++) {
        peers[i] = peer_open(port, NULL);
        if (i < 2) { /* answered, so that it is counted before the next one comes */
            CHECK("sent", peer_say(&peers[i], "hi\n"));
            gh_buffer_clear(&heard);
            CHECK("up to the ceiling they are served", peer_read_text(&peers[i], &heard, "hi\n"));
        }
    }
    peer_read_end(&peers[2], &heard);
    CHECK("one more is closed", peers[2].ended);
    CHECK("and counted", gh_metric_get(&metrics, GH_METRIC_connections_refused_total) == 1);
    CHECK("two are open", gh_listener_connections(listener) == 2);
    peer_close(&peers[0]);
    CHECK("closed", tally_wait(&closed, tally_get(&opened) - 1));
    while (gh_listener_connections(listener) == 2) /* the count falls right after `closed` */
        sched_yield();
    peers[0] = peer_open(port, NULL);
    gh_buffer_clear(&heard);
    CHECK("sent", peer_say(&peers[0], "hi\n"));
    CHECK("then there is room again", peer_read_text(&peers[0], &heard, "hi\n"));
    for (size_t i = 0; i < 3; i++)
        peer_close(&peers[i]);
    gh_buffer_deinit(&heard);
    gh_listener_close(listener);
}

static void swapped_certificate(void)
{
    struct rig_pki other;
    struct gh_listener *listener = listen_with(pki.server, (struct gh_conn_limits){0}, 0);
    uint16_t port = gh_listener_port(listener);
    struct gh_buffer heard;
    gh_buffer_init(&heard, 1 << 20);
    rig_pki_open(&other);
    struct peer before = peer_open(port, pki.client);
    gh_listener_set_tls(listener, other.server);
    struct peer after = peer_open(port, other.client);
    CHECK("sent", peer_say(&before, "old\n") && peer_say(&after, "new\n"));
    CHECK("old connections live on", peer_read_text(&before, &heard, "old\n"));
    CHECK("new ones see the new certificate", peer_read_text(&after, &heard, "new\n"));
    struct peer stranger = {.fd = gh_connect_tcp("127.0.0.1", port, PATIENCE_MS, NULL)};
    struct gh_error error = {0};
    fcntl(stranger.fd, F_SETFL, O_NONBLOCK);
    CHECK("who trusts the old root alone does not connect",
          !peer_shake(&stranger, pki.client, &error) && error.code == GH_ERROR_TLS);
    peer_close(&before);
    peer_close(&after);
    peer_close(&stranger);
    rig_pki_close(&other);
    gh_buffer_deinit(&heard);
    gh_listener_close(listener);
}

static void not_listened_on(void)
{
    static const struct {
        const char *address, *words;
    } rows[] = {
        {"0.0.0.0:0", "without TLS"},
        {"[::]:0", "without TLS"},
        {"nonsense", "not an address"},
        {"/nowhere/at/all", "bind"},
    };
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        struct gh_listener_config config = {.loops = rig.loops,
                                            .loops_count = rig.count,
                                            .address = rows[i].address,
                                            .protocols = served,
                                            .protocols_count = GH_COUNT(served)};
        struct gh_error error = {0};
        CHECK(rows[i].address, gh_listener_open(&config, &error) == NULL);
        CHECK(rows[i].address, error.code == GH_ERROR_LISTEN && strstr(error.text, rows[i].words));
    }
}

enum { CROWD = 1000, AT_ONCE = 100 };

static void crowd(uint16_t port, struct gh_tls_context *tls)
{
    static struct peer peers[AT_ONCE];
    struct gh_buffer heard;
    size_t count = tls != NULL ? CROWD / 4 : CROWD;
    gh_buffer_init(&heard, 1 << 20);
    for (size_t done = 0; done < count; done += AT_ONCE) {
        for (size_t i = 0; i < AT_ONCE; i++) {
            peers[i] = peer_open(port, tls);
            CHECK("sent", peer_say(&peers[i], "hi\n"));
        }
        for (size_t i = 0; i < AT_ONCE; i++) {
            gh_buffer_clear(&heard);
            CHECK("answered", peer_read_text(&peers[i], &heard, "hi\n"));
            peer_close(&peers[i]);
        }
    }
    gh_buffer_deinit(&heard);
}

/* Dialled connections: the same protocol, from the other side. */
struct caller {
    struct gh_letter letter;
    uint16_t port;
    struct gh_tls_context *tls;
    const char *server_name;
    struct gh_conn *conn;
    struct gh_buffer heard;
    struct tally established, ended;
    char why[64];
    bool dialled;
    struct gh_loop *loop;
};

static void *open_caller(void *context, struct gh_conn *conn)
{
    struct caller *caller = context;
    caller->conn = conn;
    gh_buffer_put(gh_conn_out(conn), GH_SLICE("hello\n")); /* before there is a connection */
    gh_conn_dirty(conn);
    return caller;
}

static size_t on_caller_input(void *state, struct gh_slice bytes)
{
    struct caller *caller = state;
    gh_buffer_put(&caller->heard, bytes);
    if (peer_has(&caller->heard, "hello\n"))
        gh_conn_close(caller->conn);
    return bytes.size;
}

static void on_established(void *state)
{
    struct caller *caller = state;
    tally_add(&caller->established);
}

static void on_caller_closed(void *state, const char *why)
{
    struct caller *caller = state;
    snprintf(caller->why, sizeof caller->why, "%s", why);
    tally_add(&caller->ended);
}

static const struct gh_protocol calling = {
    .name = "calling",
    .open = open_caller,
    .input = on_caller_input,
    .established = on_established,
    .closed = on_caller_closed,
};

static void dial(struct gh_letter *letter)
{
    struct caller *caller = (struct caller *)(void *)letter;
    struct gh_error error = {0};
    caller->dialled = gh_conn_connect(caller->loop, "127.0.0.1", caller->port, caller->tls,
                                      caller->server_name, &calling, caller, &error) != NULL;
    CHECK("names are not dialled", gh_conn_connect(caller->loop, "example.com", 1, NULL, NULL,
                                                   &calling, caller, &error) == NULL);
    if (!caller->dialled)
        tally_add(&caller->ended);
}

static void call(uint16_t port, struct gh_tls_context *tls, const char *server_name,
                 const char *why, bool is_established)
{
    struct caller caller = {.letter.open = dial,
                            .port = port,
                            .tls = tls,
                            .server_name = server_name,
                            .established = TALLY,
                            .ended = TALLY,
                            .loop = rig.loops[0]};
    gh_buffer_init(&caller.heard, 1 << 20);
    gh_loop_send(caller.loop, &caller.letter);
    CHECK("it ends", tally_wait(&caller.ended, 1));
    CHECK(why, strcmp(caller.why, why) == 0);
    CHECK("established first", tally_get(&caller.established) == is_established);
    CHECK("and heard", peer_has(&caller.heard, "hello\n") == is_established);
    gh_buffer_deinit(&caller.heard);
}

static void dialled(uint16_t port, struct gh_tls_context *tls)
{
    call(port, tls, NULL, "closed by the server", true);
    if (tls == NULL)
        return;
    call(port, tls, "localhost", "closed by the server", true);
    call(port, tls, "other.example", "the TLS handshake failed", false);
}

static void dialled_in_vain(void)
{
    struct gh_listener *listener = listen_with(NULL, (struct gh_conn_limits){0}, 0);
    uint16_t port = gh_listener_port(listener);
    call(port, pki.client, NULL, "the TLS handshake failed", false); /* no TLS there */
    gh_listener_close(listener);
    int fd = gh_connect_tcp("127.0.0.1", port, PATIENCE_MS, NULL);
    while (fd >= 0) { /* until the loop has closed its socket */
        close(fd);
        fd = gh_connect_tcp("127.0.0.1", port, PATIENCE_MS, NULL);
    }
    call(port, NULL, NULL, "connection refused", false);
}

static void close_all(void)
{
    gh_workers_close(workers);
    workers = NULL;
    rig_close(&rig);
}

/* The loops stop while connections are open, some with output that waits. */
static void drained(void)
{
    struct gh_listener *listener = listen_with(pki.server, (struct gh_conn_limits){0}, 0);
    struct peer peers[8];
    struct gh_buffer heard;
    gh_buffer_init(&heard, 1 << 20);
    for (size_t i = 0; i < GH_COUNT(peers); i++) {
        peers[i] = peer_open(gh_listener_port(listener), pki.client);
        CHECK("sent", peer_say(&peers[i], "hi\n"));
        gh_buffer_clear(&heard);
        CHECK("answered", peer_read_text(&peers[i], &heard, "hi\n"));
    }
    gh_listener_close(listener);
    rig_stop(&rig);
    CHECK("every connection was told", tally_get(&closed) == tally_get(&opened));
    CHECK("why", closed_because("shutdown"));
    for (size_t i = 0; i < GH_COUNT(peers); i++) {
        peer_read_end(&peers[i], &heard);
        peer_close(&peers[i]);
    }
    CHECK("nothing is left", gh_metric_get(&metrics, GH_METRIC_connections_open) == 0);
    gh_buffer_deinit(&heard);
    close_all();
}

static void held_up(void)
{
    struct rig_holdup holdup = RIG_HOLDUP;
    struct gh_tls *tls;
    memset(&metrics, 0, sizeof metrics);
    workers = gh_workers_open(1, 100, NULL);
    REQUIRE("a worker", workers != NULL);
    rig_start(&rig, 1);
    struct gh_listener *listener =
        listen_with(pki.server, (struct gh_conn_limits){.handshake_ms = 2000}, 0);
    CHECK("busy", gh_workers_submit(workers, &holdup.job) && tally_wait(&holdup.begun, 1));
    struct peer peer = peer_open(gh_listener_port(listener), NULL);
    REQUIRE("TLS", (tls = gh_tls_open(pki.client, NULL, peer.fd, "localhost")) != NULL);
    CHECK("hello", gh_tls_handshake(tls, NULL) == GH_TLS_WANT_READ);
    for (int64_t end_ns = gh_time_monotonic_ns() + PATIENCE_MS * GH_MS_NS;
         gh_metric_get(&metrics, GH_METRIC_tls_handshakes_failed_total) == 0 &&
         gh_time_monotonic_ns() < end_ns;)
        sched_yield();
    CHECK("out of time", gh_metric_get(&metrics, GH_METRIC_tls_handshakes_failed_total) == 1);
    CHECK("but there", gh_metric_get(&metrics, GH_METRIC_connections_open) == 1);
    tally_add(&holdup.released);
    gh_listener_close(listener);
    rig_stop(&rig);
    CHECK("and gone when it is back", gh_metric_get(&metrics, GH_METRIC_connections_open) == 0);
    CHECK("not counted twice", gh_metric_get(&metrics, GH_METRIC_tls_handshakes_failed_total) == 1);
    gh_tls_close(tls);
    peer_close(&peer);
    close_all();
}

static void all(void)
{
    struct gh_conn_limits none = {0};
    memset(&metrics, 0, sizeof metrics);
    rig_start(&rig, 2);
    half_handshakes(); /* first: it counts what failed */
    both("echo", echo, none);
    both("close", close_delivers, none);
    both("abort", abort_and_overflow, none);
    both("hold", held_input, none);
    both("held often", held_often, (struct gh_conn_limits){.stuck_ms = 1000});
    both("stuck", stuck_input, (struct gh_conn_limits){.stuck_ms = 50});
    both("tick", ticks, none);
    both("unknown", unknown_byte, none);
    both("silent", silent, (struct gh_conn_limits){.first_byte_ms = 30});
    both("crowd", crowd, none);
    both("dialled", dialled, none);
    evicted();
    ceiling();
    swapped_certificate();
    not_listened_on();
    dialled_in_vain();
    drained();
}

/* Once with handshakes on the loops, then with workers that take them. One worker, which is held
 * up while a handshake runs out of time, shows that a connection outlives its end until it is back.
 */
int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* the peers' */
    rig_pki_open(&pki);
    all();
    workers = gh_workers_open(2, 100, NULL);
    REQUIRE("workers", workers != NULL);
    all();
    held_up();
    rig_pki_close(&pki);
    return check_report();
}
