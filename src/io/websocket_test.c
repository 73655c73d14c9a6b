/* WebSocket over real sockets: the handshake through the HTTP server, then a protocol that does not
 * know what carries it. */
#include "base/cursor.h"
#include "io/http_server.h"
#include "io/rig_internal.h"
#include "io/websocket.h"
#include "wire/websocket.h"
#include <stdio.h>
#include <stdlib.h>

enum { INPUT_MAX = 8192, OUTPUT_MAX = 256 * 1024, LARGE = 200 * 1024, HEARD_MAX = 8 << 20 };

/* Echoes lines that begin with a small letter; some do more. */
struct line_conn {
    struct gh_conn *conn;
    bool holds;
    struct gh_timer release;
};

static struct rig rig;
static struct rig_pki pki;
static struct gh_metrics metrics;
static struct tally opened = TALLY, closed = TALLY, drained = TALLY;
static char last_why[64]; /* of the last closed; read after `closed` was awaited */

static bool claims(uint8_t first_byte)
{
    return first_byte >= 'a' && first_byte <= 'z';
}

static void *open_line(void *context, struct gh_conn *conn)
{
    struct line_conn *line = calloc(1, sizeof *line);
    CHECK("the context is the configuration's", context == &opened);
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
}

static void obey(struct line_conn *line, struct gh_slice text)
{
    struct gh_conn *conn = line->conn;
    if (gh_slice_equal(text, GH_SLICE("close"))) {
        gh_buffer_put(gh_conn_out(conn), GH_SLICE("bye\n"));
        gh_conn_close_why(conn, "asked to");
    } else if (gh_slice_equal(text, GH_SLICE("large"))) {
        put_large(line);
    } else if (gh_slice_equal(text, GH_SLICE("overflow"))) {
        put_large(line);
        put_large(line);
    } else if (gh_slice_equal(text, GH_SLICE("hold"))) {
        line->holds = true;
        gh_timer_set(gh_conn_loop(conn), &line->release,
                     gh_loop_now_ns(gh_conn_loop(conn)) + 20 * GH_MS_NS, on_release);
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

static void on_drained(void *state)
{
    (void)state;
    tally_add(&drained);
}

static void on_closed(void *state, const char *why)
{
    struct line_conn *line = state;
    gh_timer_cancel(gh_conn_loop(line->conn), &line->release);
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
    .drained = on_drained,
    .closed = on_closed,
};

static const char *const paths[] = {"/mqtt", "/"};
static const char *const subprotocols[] = {"mqtt", "mqttv3.1"};
static const char *const origins[] = {"https://console.example"};
static const struct gh_websocket_config websocket = {.protocol = &lines,
                                                     .context = &opened,
                                                     .paths = paths,
                                                     .paths_count = GH_COUNT(paths),
                                                     .subprotocols = subprotocols,
                                                     .subprotocols_count = GH_COUNT(subprotocols),
                                                     .origins = origins,
                                                     .origins_count = GH_COUNT(origins)};

static void handler(void *context, struct gh_exchange *exchange)
{
    (void)context;
    gh_exchange_answer(exchange, &(struct gh_http_answer){.status = 200,
                                                          .content_type = "text/plain",
                                                          .body = GH_SLICE("handled")});
}

/* ---- the peer's side */

#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" /* RFC 6455 §1.3, with its answer */
#define ACCEPT "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
#define UPGRADE "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define HOST "Host: h.example:8883\r\n"
#define MQTT "Sec-WebSocket-Protocol: mqtt\r\n"
#define ASK(path, more) "GET " path " HTTP/1.1\r\n" HOST UPGRADE VERSION KEY more "\r\n"

static void put_frame(struct gh_buffer *out, uint8_t first, struct gh_slice payload)
{
    static const uint8_t mask[4] = {0x9a, 0x01, 0xff, 0x42};
    uint8_t head[GH_WEBSOCKET_HEAD_MAX];
    size_t size = gh_websocket_head(GH_WEBSOCKET_BINARY, payload.size, head);
    head[0] = first;
    head[1] |= 0x80;
    gh_buffer_put(out, gh_slice(head, size));
    gh_buffer_put(out, gh_slice(mask, sizeof mask));
    for (size_t i = 0; i < payload.size; i++)
        gh_buffer_u8(out, payload.data[i] ^ mask[i % 4]);
}

static bool send_frame(struct peer *peer, uint8_t first, struct gh_slice payload)
{
    struct gh_buffer wire;
    gh_buffer_init(&wire, HEARD_MAX);
    put_frame(&wire, first, payload);
    bool sent = peer_send(peer, gh_buffer_slice(&wire));
    gh_buffer_deinit(&wire);
    return sent;
}

static bool send_text(struct peer *peer, const char *text)
{
    return send_frame(peer, 0x82, gh_slice_text(text));
}

static struct peer peer_upgraded(uint16_t port, struct gh_tls_context *tls)
{
    struct peer peer = peer_open(port, tls);
    struct gh_buffer heard;
    gh_buffer_init(&heard, HEARD_MAX);
    REQUIRE("asked", peer_say(&peer, ASK("/mqtt", MQTT)));
    REQUIRE("upgraded", peer_read_text(&peer, &heard, "\r\n\r\n"));
    CHECK("and nothing else is said",
          gh_slice_starts(gh_buffer_slice(&heard), GH_SLICE("HTTP/1.1 101 ")) &&
              gh_slice_ends(gh_buffer_slice(&heard), GH_SLICE("\r\n\r\n")));
    gh_buffer_deinit(&heard);
    return peer;
}

/* One frame of the server at the front of `heard`; false when it is not whole. */
static bool next_frame(struct gh_slice *heard, uint8_t *first, struct gh_slice *payload)
{
    struct gh_cursor at = gh_cursor(*heard);
    uint8_t second;
    uint16_t length_16;
    uint64_t length;
    if (!gh_cursor_u8(&at, first) || !gh_cursor_u8(&at, &second))
        return false;
    CHECK("a server does not mask", second < 0x80);
    length = second;
    if (second == 126) {
        if (!gh_cursor_u16(&at, &length_16))
            return false;
        length = length_16;
    } else if (second == 127 && !gh_cursor_u64(&at, &length)) {
        return false;
    }
    if (!gh_cursor_take(&at, (size_t)length, payload))
        return false;
    *heard = at.rest;
    return true;
}

/* What is heard, as text: data as it is, other frames as <opcode payload>. */
struct ear {
    struct gh_buffer raw, text;
    size_t frames;
};

static void ear_init(struct ear *ear)
{
    gh_buffer_init(&ear->raw, HEARD_MAX);
    gh_buffer_init(&ear->text, HEARD_MAX);
    ear->frames = 0;
}

static void ear_deinit(struct ear *ear)
{
    gh_buffer_deinit(&ear->raw);
    gh_buffer_deinit(&ear->text);
}

static void ear_take(struct ear *ear)
{
    struct gh_slice rest = gh_buffer_slice(&ear->raw), payload;
    uint8_t first;
    uint16_t code = 0;
    while (next_frame(&rest, &first, &payload)) {
        struct gh_cursor at = gh_cursor(payload);
        ear->frames++;
        if (first == 0x82)
            gh_buffer_put(&ear->text, payload);
        else if (first == 0x88)
            gh_buffer_print(&ear->text, "<close %u>", gh_cursor_u16(&at, &code) ? code : 0u);
        else
            gh_buffer_print(&ear->text, "<%02x %.*s>", first, GH_PRINT(payload));
    }
    gh_buffer_drop(&ear->raw, ear->raw.size - rest.size);
}

static bool hears(struct peer *peer, struct ear *ear, const char *text)
{
    while (!peer->ended && !peer_has(&ear->text, text)) {
        peer_read(peer, &ear->raw);
        ear_take(ear);
    }
    return peer_has(&ear->text, text);
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

/* ---- tests */

static const struct {
    const char *claim, *request;
    int status;
    const char *contains;
} handshakes[] = {
    {"RFC 6455's example", ASK("/mqtt", MQTT), 101, ACCEPT},
    {"the root path", ASK("/", MQTT), 101, ACCEPT},
    {"a query is no part of the path", ASK("/mqtt?x=1", MQTT), 101, ACCEPT},
    {"the older name", ASK("/mqtt", "Sec-WebSocket-Protocol: mqttv3.1\r\n"), 101,
     "sec-websocket-protocol: mqttv3.1\r\n"},
    {"of several the first that is known",
     ASK("/mqtt", "Sec-WebSocket-Protocol: amqp, mqttv3.1,mqtt\r\n"), 101,
     "sec-websocket-protocol: mqttv3.1\r\n"},
    {"in two fields",
     ASK("/mqtt", "Sec-WebSocket-Protocol: amqp\r\nSec-WebSocket-Protocol: mqtt\r\n"), 101,
     "sec-websocket-protocol: mqtt\r\n"},
    {"compression is not agreed to",
     ASK("/mqtt", MQTT "Sec-WebSocket-Extensions: permessage-deflate\r\n"), 101,
     "sec-websocket-protocol: mqtt\r\n\r\n"},
    {"a page of our own", ASK("/mqtt", MQTT "Origin: https://h.example:8883\r\n"), 101, ACCEPT},
    {"a page of an origin that is listed", ASK("/mqtt", MQTT "Origin: https://console.example\r\n"),
     101, ACCEPT},
    {"another path", ASK("/ws", MQTT), 404, "no WebSocket under this path"},
    {"another origin", ASK("/mqtt", MQTT "Origin: https://evil.example\r\n"), 403,
     "another origin"},
    {"an origin that begins like ours", ASK("/mqtt", MQTT "Origin: https://h.example:88831\r\n"),
     403, "another origin"},
    {"a page without an origin", ASK("/mqtt", MQTT "Origin: null\r\n"), 403, "another origin"},
    {"two origins",
     ASK("/mqtt", MQTT "Origin: https://h.example:8883\r\nOrigin: https://evil.example\r\n"), 403,
     "another origin"},
    {"no subprotocol", ASK("/mqtt", ""), 400, "no subprotocol"},
    {"only others", ASK("/mqtt", "Sec-WebSocket-Protocol: amqp, MQTT\r\n"), 400, "no subprotocol"},
    {"version 8", "GET /mqtt HTTP/1.1\r\n" HOST UPGRADE KEY MQTT "Sec-WebSocket-Version: 8\r\n\r\n",
     426, "sec-websocket-version: 13\r\n"},
    {"no version", "GET /mqtt HTTP/1.1\r\n" HOST UPGRADE KEY MQTT "\r\n", 426,
     "sec-websocket-version: 13\r\n"},
    {"no key", "GET /mqtt HTTP/1.1\r\n" HOST UPGRADE VERSION MQTT "\r\n", 400, "key"},
    {"a short key",
     "GET /mqtt HTTP/1.1\r\n" HOST UPGRADE VERSION MQTT "Sec-WebSocket-Key: AAAA\r\n\r\n", 400,
     "key"},
    {"two keys", ASK("/mqtt", MQTT KEY), 400, "key"},
    {"Connection without upgrade",
     "GET /mqtt HTTP/1.1\r\n" HOST "Upgrade: websocket\r\n" VERSION KEY MQTT "\r\n", 400,
     "Connection"},
    {"POST", "POST /mqtt HTTP/1.1\r\n" HOST UPGRADE VERSION KEY MQTT "\r\n", 400, "GET"},
    {"a body", "GET /mqtt HTTP/1.1\r\n" HOST UPGRADE VERSION KEY MQTT "Content-Length: 2\r\n\r\nhi",
     400, "GET"},
    {"HTTP/1.0", "GET /mqtt HTTP/1.0\r\n" HOST UPGRADE VERSION KEY MQTT "\r\n", 400, "GET"},
    {"another upgrade is not taken, and the request answered",
     "GET /x HTTP/1.1\r\n" HOST "Upgrade: h2c\r\nConnection: Upgrade, close\r\n\r\n", 200,
     "handled"},
};

static void check_handshakes(uint16_t port, struct gh_tls_context *tls)
{
    for (size_t i = 0; i < GH_COUNT(handshakes); i++) {
        struct peer peer = peer_open(port, tls);
        struct gh_buffer heard;
        char status[32];
        gh_buffer_init(&heard, HEARD_MAX);
        snprintf(status, sizeof status, "HTTP/1.1 %d ", handshakes[i].status);
        CHECK("sent", peer_say(&peer, handshakes[i].request));
        CHECK(handshakes[i].claim, peer_read_text(&peer, &heard, handshakes[i].contains));
        CHECK(handshakes[i].claim, gh_slice_starts(gh_buffer_slice(&heard), gh_slice_text(status)));
        if (handshakes[i].status != 101)
            peer_read_end(&peer, &heard);
        peer_close(&peer);
        gh_buffer_deinit(&heard);
    }
}

static void echo(uint16_t port, struct gh_tls_context *tls)
{
    struct peer peer = peer_upgraded(port, tls);
    struct ear ear;
    ear_init(&ear);
    CHECK("sent", send_text(&peer, "one\ntwo\n"));
    CHECK("two lines of one frame", hears(&peer, &ear, "one\ntwo\n"));
    CHECK("are answered in one", ear.frames == 1);
    CHECK("sent", send_frame(&peer, 0x02, GH_SLICE("th")));
    CHECK("sent", send_frame(&peer, 0x89, GH_SLICE("are you there")));
    CHECK("sent", send_frame(&peer, 0x00, GH_SLICE("re")));
    CHECK("a ping between fragments", hears(&peer, &ear, "<8a are you there>"));
    CHECK("sent", send_frame(&peer, 0x80, GH_SLICE("e\nfour\n")));
    CHECK("a line of three fragments", hears(&peer, &ear, "three\nfour\n"));
    CHECK("sent", send_frame(&peer, 0x88,
                             GH_SLICE("\x03\xe8"
                                      "done")));
    CHECK("a close is answered", hears(&peer, &ear, "<close 1000>"));
    while (!peer.ended)
        peer_read(&peer, &ear.raw);
    CHECK("and the server ends", ear.raw.size == 0);
    CHECK("the reason", closed_because("closed by the peer"));
    peer_close(&peer);
    ear_deinit(&ear);
}

/* Every byte in a segment of its own, and everything in one. */
static void cut_everywhere(uint16_t port, struct gh_tls_context *tls)
{
    struct peer peer = peer_upgraded(port, tls);
    struct gh_buffer wire;
    struct ear ear;
    ear_init(&ear);
    gh_buffer_init(&wire, HEARD_MAX);
    put_frame(&wire, 0x82, GH_SLICE("line\n"));
    put_frame(&wire, 0x89, GH_SLICE("p"));
    put_frame(&wire, 0x82, GH_SLICE("last\n"));
    for (size_t i = 0; i < wire.size; i++)
        CHECK("sent", peer_send(&peer, gh_slice(wire.data + i, 1)));
    CHECK("byte by byte", hears(&peer, &ear, "line\n") && hears(&peer, &ear, "last\n"));
    CHECK("a pong may overtake data", hears(&peer, &ear, "<8a p>"));
    gh_buffer_clear(&ear.text);
    CHECK("sent", peer_send(&peer, gh_buffer_slice(&wire)));
    CHECK("at once", hears(&peer, &ear, "line\nlast\n") && hears(&peer, &ear, "<8a p>"));
    peer_close(&peer);
    CHECK("the reason", closed_because("closed by the peer"));
    gh_buffer_deinit(&wire);
    ear_deinit(&ear);
}

static const struct {
    const char *claim;
    uint8_t first;
    const char *wire;
    size_t size;
    const char *heard, *why;
} refusals[] = {
    {"text", 0x81, NULL, 0, "<close 1003>", "a text message"},
    {"a reserved bit", 0xc2, NULL, 0, "<close 1002>", "a reserved bit"},
    {"not masked", 0, "\x82\x02hi", 4, "<close 1002>", "a frame that is not masked"},
    {"above the limit", 0, "\x82\xff\0\0\0\0\1\0\0\1zzzz", 14, "<close 1009>",
     "a frame above the limit"},
    {"another protocol", 0, "\x82\x81\0\0\0\0\x10", 7, "<close 1003>", "unknown protocol"},
};

static void check_refusals(uint16_t port, struct gh_tls_context *tls)
{
    for (size_t i = 0; i < GH_COUNT(refusals); i++) {
        int64_t before = gh_metric_get(&metrics, GH_METRIC_packets_malformed_total);
        struct peer peer = peer_upgraded(port, tls);
        struct ear ear;
        ear_init(&ear);
        CHECK("sent", refusals[i].wire != NULL
                          ? peer_send(&peer, gh_slice(refusals[i].wire, refusals[i].size))
                          : send_frame(&peer, refusals[i].first, GH_SLICE("hi\n")));
        CHECK(refusals[i].claim, hears(&peer, &ear, refusals[i].heard));
        while (!peer.ended)
            peer_read(&peer, &ear.raw);
        CHECK(refusals[i].claim, closed_because(refusals[i].why));
        CHECK("counted", gh_metric_get(&metrics, GH_METRIC_packets_malformed_total) == before + 1);
        peer_close(&peer);
        ear_deinit(&ear);
    }
}

static void server_closes(uint16_t port, struct gh_tls_context *tls)
{
    struct peer peer = peer_upgraded(port, tls);
    struct ear ear;
    ear_init(&ear);
    CHECK("sent", send_text(&peer, "close\n"));
    CHECK("what was queued, then the close frame", hears(&peer, &ear, "bye\n<close 1000>"));
    CHECK("the reason", closed_because("asked to"));
    peer_close(&peer);
    ear_deinit(&ear);
}

/* Large answers come whole, and what is beyond the limit ends the connection. */
static void backpressure(uint16_t port, struct gh_tls_context *tls)
{
    struct peer peer = peer_upgraded(port, tls);
    struct ear ear;
    ear_init(&ear);
    size_t before = tally_get(&drained);
    for (int i = 0; i < 3; i++) {
        CHECK("sent", send_text(&peer, "large\n"));
        CHECK("sent", send_frame(&peer, 0x89, GH_SLICE("x")));
        while (!peer.ended && ear.text.size < (size_t)(i + 1) * (LARGE + strlen("<8a x>"))) {
            peer_read(&peer, &ear.raw); /* the pong may come before */
            ear_take(&ear);
        }
    }
    CHECK("sent", send_text(&peer, "end\n"));
    CHECK("heard", hears(&peer, &ear, "end\n"));
    CHECK("whole", ear.text.size == 3 * (LARGE + strlen("<8a x>")) + strlen("end\n"));
    CHECK("it was drained", tally_wait(&drained, before + 1));
    CHECK("sent", send_text(&peer, "overflow\n"));
    while (!peer.ended)
        peer_read(&peer, &ear.raw);
    CHECK("the reason", closed_because("the peer does not read: its output queue is full"));
    peer_close(&peer);
    ear_deinit(&ear);
}

static void held_input(uint16_t port, struct gh_tls_context *tls)
{
    struct peer peer = peer_upgraded(port, tls);
    struct ear ear;
    ear_init(&ear);
    CHECK("sent", send_text(&peer, "hold\none\n"));
    for (int i = 0; i < 3000; i++) /* more than the input takes, so that reading stops */
        CHECK("sent", send_text(&peer, "filler\n"));
    CHECK("sent", send_text(&peer, "last\n"));
    CHECK("held input is offered again, and reading goes on", hears(&peer, &ear, "last\n"));
    CHECK("nothing is lost", ear.text.size == strlen("one\nlast\n") + 3000 * strlen("filler\n"));
    peer_close(&peer);
    CHECK("the reason", closed_because("closed by the peer"));
    ear_deinit(&ear);
}

static void hasty(uint16_t port, struct gh_tls_context *tls)
{
    struct peer peer = peer_open(port, tls);
    struct gh_buffer heard, wire;
    gh_buffer_init(&heard, HEARD_MAX);
    gh_buffer_init(&wire, HEARD_MAX);
    gh_buffer_put(&wire, GH_SLICE(ASK("/mqtt", MQTT)));
    put_frame(&wire, 0x82, GH_SLICE("hi\n"));
    CHECK("sent", peer_send(&peer, gh_buffer_slice(&wire)));
    peer_read_end(&peer, &heard);
    CHECK("who does not wait for the answer is cut off", heard.size == 0);
    peer_close(&peer);
    gh_buffer_deinit(&heard);
    gh_buffer_deinit(&wire);
}

static void silent(uint16_t port, struct gh_tls_context *tls)
{
    struct peer peer = peer_upgraded(port, tls);
    struct ear ear;
    ear_init(&ear);
    CHECK("sent", send_frame(&peer, 0x89, GH_SLICE(""))); /* is no byte of the protocol */
    while (!peer.ended)
        peer_read(&peer, &ear.raw);
    CHECK("no first byte", closed_because("no first byte in time"));
    peer_close(&peer);
    ear_deinit(&ear);
}

static void both(struct gh_http_server *http, struct gh_conn_limits limits,
                 void (*test)(uint16_t port, struct gh_tls_context *tls))
{
    struct gh_listener_protocol served[] = {{&lines, &opened}, {&gh_http_protocol, http}};
    for (int secure = 0; secure < 2; secure++) {
        struct gh_listener_config config = {.loops = rig.loops,
                                            .loops_count = rig.count,
                                            .address = "127.0.0.1:0",
                                            .tls = secure ? pki.server : NULL,
                                            .protocols = served,
                                            .protocols_count = GH_COUNT(served),
                                            .limits = limits,
                                            .metrics = &metrics};
        struct gh_listener *listener = gh_listener_open(&config, NULL);
        REQUIRE("listens", listener != NULL);
        test(gh_listener_port(listener), secure ? pki.client : NULL);
        CHECK("all are closed", tally_wait(&closed, tally_get(&opened)));
        gh_listener_close(listener);
    }
}

/* The loops stop: who is connected is told that the server goes. */
static void going_away(struct gh_http_server *http)
{
    struct gh_listener_protocol served[] = {{&gh_http_protocol, http}};
    struct gh_listener_config config = {.loops = rig.loops,
                                        .loops_count = rig.count,
                                        .address = "127.0.0.1:0",
                                        .protocols = served,
                                        .protocols_count = GH_COUNT(served),
                                        .metrics = &metrics};
    struct gh_listener *listener = gh_listener_open(&config, NULL);
    struct peer peer = peer_upgraded(gh_listener_port(listener), NULL);
    struct ear ear;
    ear_init(&ear);
    CHECK("sent", send_text(&peer, "hi\n"));
    CHECK("heard", hears(&peer, &ear, "hi\n"));
    gh_listener_close(listener);
    rig_stop(&rig);
    CHECK("told", hears(&peer, &ear, "<close 1001>"));
    CHECK("the reason", closed_because("shutdown"));
    CHECK("nothing is left", gh_metric_get(&metrics, GH_METRIC_connections_open) == 0);
    peer_close(&peer);
    ear_deinit(&ear);
    rig_close(&rig);
}

int main(void)
{
    struct gh_http_server_config config = {.handler = handler, .websocket = &websocket};
    struct gh_http_server *http = gh_http_server_open(&config, NULL);
    struct gh_conn_limits none = {0};

    signal(SIGPIPE, SIG_IGN); /* the peers' */
    rig_pki_open(&pki);
    rig_start(&rig, 2);
    both(http, none, check_handshakes);
    CHECK("upgrades are counted",
          gh_metric_get(&metrics, GH_METRIC_websocket_upgrades_total) == 18);
    CHECK("and refusals", gh_metric_get(&metrics, GH_METRIC_websocket_refused_total) == 32);
    both(http, none, echo);
    both(http, none, cut_everywhere);
    both(http, none, check_refusals);
    both(http, none, server_closes);
    both(http, none, backpressure);
    both(http, none, held_input);
    both(http, none, hasty);
    both(http, (struct gh_conn_limits){.first_byte_ms = 50}, silent);
    going_away(http);
    gh_http_server_close(http);
    rig_pki_close(&pki);
    return check_report();
}
