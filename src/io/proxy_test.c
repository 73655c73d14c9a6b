/* Where a connection comes from: behind a balancer that speaks the PROXY protocol, over IPv6, over
 * a Unix socket. A protocol answers every line with the peer that it sees. */
#include "base/log.h"
#include "io/conn.h"
#include "io/rig_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>

enum {
    HASTY_MS = 200, /* where it is waited until somebody silent is closed */
    PORTS_MAX = 20,
};

static struct rig rig;
static struct rig_pki pki;
static struct gh_metrics metrics;
static struct gh_crowd *crowd; /* two of each address */
static struct tally opened = TALLY, closed = TALLY;

static bool claims(uint8_t first_byte)
{
    return first_byte >= 'a' && first_byte <= 'z';
}

static void *open_line(void *context, struct gh_conn *conn)
{
    (void)context;
    tally_add(&opened);
    return conn;
}

static size_t on_input(void *state, struct gh_slice bytes)
{
    struct gh_conn *conn = state;
    if (gh_slice_find(bytes, '\n') == bytes.size)
        return 0;
    gh_buffer_print(gh_conn_out(conn), "%s %s\n", gh_conn_peer(conn),
                    gh_conn_is_secure(conn) ? "secure" : "plain");
    gh_conn_dirty(conn);
    return bytes.size;
}

static void on_closed(void *state, const char *why)
{
    (void)state;
    (void)why;
    tally_add(&closed);
}

static const struct gh_protocol lines = {
    .name = "lines", .claims = claims, .open = open_line, .input = on_input, .closed = on_closed};
static const struct gh_listener_protocol served[] = {{&lines, NULL}};

/* `handshake_ms`: for the header and the handshake behind it. */
static struct gh_listener *listen_for(const char *address, bool secure, const char *from,
                                      int handshake_ms, struct gh_error *error)
{
    struct gh_network network = {0};
    struct gh_listener_config config = {.loops = rig.loops,
                                        .loops_count = rig.count,
                                        .address = address,
                                        .tls = secure ? pki.server : NULL,
                                        .protocols = served,
                                        .protocols_count = GH_COUNT(served),
                                        .expects_proxy = from != NULL,
                                        .proxy_from = &network,
                                        .proxy_from_count = from != NULL,
                                        .limits = {.handshake_ms = handshake_ms},
                                        .crowd = crowd,
                                        .metrics = &metrics};
    if (from != NULL)
        REQUIRE("a network", gh_network_parse(from, &network));
    return gh_listener_open(&config, error);
}

static struct gh_listener *listen_at(const char *address, bool secure, const char *from,
                                     struct gh_error *error)
{
    return listen_for(address, secure, from, PATIENCE_MS, error);
}

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define IP4 "\xc0\x00\x02\x07\x0a\x00\x00\x01\xcb\xa1\x22\xb3"
#define IP6                                                                                        \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"                                                   \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\xcb\xa1\x22\xb3"
#define MAPPED                                                                                     \
    "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x07"                                                 \
    "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x00\x00\x01\xcb\xa1\x22\xb3"
#define PATH "/run/\x1b[31mred\n"

static const struct {
    const char *claim;
    const char *header;
    size_t size;
    const char *peer; /* NULL: closed without a word */
} headers[] = {
#define WIRE(text) text, sizeof(text) - 1
    {"IPv4", WIRE(SIGNATURE "\x21\x11\x00\x0c" IP4), "192.0.2.7:52129 "},
    {"IPv6", WIRE(SIGNATURE "\x21\x21\x00\x24" IP6), "[2001:db8::7]:52129 "},
    {"IPv4 in IPv6's clothes", WIRE(SIGNATURE "\x21\x21\x00\x24" MAPPED), "192.0.2.7:52129 "},
    {"values behind it", WIRE(SIGNATURE "\x21\x11\x00\x10" IP4 "\x04\x00\x01z"),
     "192.0.2.7:52129 "},
    {"LOCAL: the balancer itself", WIRE(SIGNATURE "\x20\x00\x00\x00"), "127.0.0.1:"},
    {"a broken header", WIRE(SIGNATURE "\x31\x11\x00\x0c" IP4), NULL},
    {"no header", WIRE("hello\n"), NULL},
    {"version 1", WIRE("PROXY TCP4 192.0.2.1 10.0.0.1 52129 8883\r\n"), NULL},
    {"half a header, then silence", WIRE(SIGNATURE "\x21\x11\x00\x0c\xc0\x00"), NULL},
#undef WIRE
};
enum { SILENT = GH_COUNT(headers) - 1 }; /* the last one is closed when its time is over */

static void check_header(uint16_t port, struct gh_tls_context *tls, size_t i, size_t piece)
{
    struct peer peer = peer_open(port, NULL);
    struct gh_slice wire = gh_slice(headers[i].header, headers[i].size);
    struct gh_buffer heard;
    int64_t refused = gh_metric_get(&metrics, GH_METRIC_proxy_headers_refused_total);
    gh_buffer_init(&heard, 1 << 16);
    for (; wire.size > 0; wire = gh_slice_sub(wire, piece, wire.size))
        CHECK("sent", peer_send(&peer, gh_slice_sub(wire, 0, piece)) || headers[i].peer == NULL);
    if (headers[i].peer == NULL) {
        peer_read_end(&peer, &heard);
        CHECK(headers[i].claim, heard.size == 0);
        CHECK(headers[i].claim,
              gh_metric_get(&metrics, GH_METRIC_proxy_headers_refused_total) == refused + 1);
    } else {
        if (tls != NULL)
            REQUIRE("a handshake behind it", peer_shake(&peer, tls, NULL));
        CHECK("sent", peer_say(&peer, "who\n"));
        CHECK(headers[i].claim, peer_read_text(&peer, &heard, "\n"));
        CHECK(headers[i].claim,
              gh_slice_starts(gh_buffer_slice(&heard), gh_slice_text(headers[i].peer)));
        CHECK("over what it came", peer_has(&heard, tls != NULL ? " secure\n" : " plain\n"));
    }
    peer_close(&peer);
    gh_buffer_deinit(&heard);
}

static void each_header(void)
{
    for (int secure = 0; secure < 2; secure++) {
        struct gh_listener *patient = listen_at("127.0.0.1:0", secure, "127.0.0.0/8", NULL);
        struct gh_listener *hasty =
            listen_for("127.0.0.1:0", secure, "127.0.0.0/8", HASTY_MS, NULL);
        REQUIRE("listens", patient != NULL && hasty != NULL);
        for (size_t i = 0; i < GH_COUNT(headers); i++)
            for (size_t piece = 1; piece < 40; piece += 37)
                check_header(gh_listener_port(i == SILENT ? hasty : patient),
                             secure ? pki.client : NULL, i, piece);
        gh_listener_close(patient);
        gh_listener_close(hasty);
    }
}

/* Header and the client's first bytes in one segment. */
static void at_once(void)
{
    struct gh_listener *listener = listen_at("127.0.0.1:0", false, "127.0.0.1", NULL);
    struct peer peer = peer_open(gh_listener_port(listener), NULL);
    struct gh_buffer heard;
    gh_buffer_init(&heard, 1 << 16);
    CHECK("sent", peer_send(&peer, GH_SLICE(SIGNATURE "\x21\x11\x00\x0c" IP4 "who\n")));
    CHECK("what follows is the client's", peer_read_text(&peer, &heard, "192.0.2.7:52129 plain\n"));
    peer_close(&peer);
    gh_buffer_deinit(&heard);
    gh_listener_close(listener);
}

static void not_listed(void)
{
    struct gh_listener *listener = listen_at("127.0.0.1:0", false, "10.0.0.0/8", NULL);
    int64_t refused = gh_metric_get(&metrics, GH_METRIC_proxy_headers_refused_total);
    struct peer peer = peer_open(gh_listener_port(listener), NULL);
    struct gh_buffer heard;
    gh_buffer_init(&heard, 1 << 16);
    (void)peer_send(&peer, GH_SLICE(SIGNATURE "\x21\x11\x00\x0c" IP4 "who\n"));
    peer_read_end(&peer, &heard);
    CHECK("who is not listed is not heard", heard.size == 0);
    CHECK("and counted",
          gh_metric_get(&metrics, GH_METRIC_proxy_headers_refused_total) == refused + 1);
    peer_close(&peer);
    gh_buffer_deinit(&heard);
    gh_listener_close(listener);
}

/* Two of an address are served; a third is not, until one of them has gone. */
static void ceiling_of_an_address(void)
{
    static const struct {
        const char *claim;
        struct gh_slice header;
        bool is_served;
    } rows[] = {
        {"the first", GH_SLICE_INIT(SIGNATURE "\x21\x11\x00\x0c" IP4), true},
        {"the second", GH_SLICE_INIT(SIGNATURE "\x21\x21\x00\x24" MAPPED), true},
        {"the third", GH_SLICE_INIT(SIGNATURE "\x21\x11\x00\x0c" IP4), false},
        {"another address", GH_SLICE_INIT(SIGNATURE "\x21\x21\x00\x24" IP6), true},
        {"the balancer itself", GH_SLICE_INIT(SIGNATURE "\x20\x00\x00\x00"), true},
        {"when one has gone", GH_SLICE_INIT(SIGNATURE "\x21\x11\x00\x0c" IP4), true},
    };
    struct gh_listener *listener = listen_at("127.0.0.1:0", false, "127.0.0.0/8", NULL);
    struct peer peers[GH_COUNT(rows)];
    struct gh_buffer heard;
    gh_buffer_init(&heard, 1 << 16);
    while (gh_crowd_addresses(crowd) > 0) /* of the tests before */
        sched_yield();
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        if (i + 1 == GH_COUNT(rows)) {
            size_t before = tally_get(&closed);
            peer_close(&peers[0]);
            REQUIRE("gone", tally_wait(&closed, before + 1));
        }
        peers[i] = peer_open(gh_listener_port(listener), NULL);
        gh_buffer_clear(&heard);
        CHECK("sent", peer_send(&peers[i], rows[i].header));
        (void)peer_say(&peers[i], "who\n");
        CHECK(rows[i].claim, peer_read_text(&peers[i], &heard, "plain\n") == rows[i].is_served);
    }
    CHECK("counted", gh_metric_get(&metrics, GH_METRIC_connections_address_refused_total) == 1);
    CHECK("two addresses are counted, loopback is not", gh_crowd_addresses(crowd) == 2);
    for (size_t i = 1; i < GH_COUNT(rows); i++)
        peer_close(&peers[i]);
    gh_buffer_deinit(&heard);
    gh_listener_close(listener);
}

static void local_balancer(void)
{
    char path[GH_ADDRESS_TEXT_MAX];
    struct gh_address address;
    struct gh_buffer heard;
    uint8_t block[216] = {0};
    snprintf(path, sizeof path, "%s/lb", check_folder());
    struct gh_listener *listener = listen_at(path, false, "10.0.0.0/8", NULL);
    REQUIRE("listens", listener != NULL && gh_address_parse(path, &address));
    struct peer peer = {.fd = gh_socket_dial(&address, NULL)};
    memcpy(block, PATH, strlen(PATH));
    gh_buffer_init(&heard, 1 << 16);
    CHECK("sent", peer_send(&peer, GH_SLICE(SIGNATURE "\x21\x31\x00\xd8")) &&
                      peer_send(&peer, gh_slice(block, sizeof block)) && peer_say(&peer, "who\n"));
    CHECK("a path that a peer names is not repeated",
          peer_read_text(&peer, &heard, "unix plain\n"));
    peer_close(&peer);
    gh_buffer_deinit(&heard);
    gh_listener_close(listener);
}

/* All addresses of IPv6, and of IPv4 at the same port; `*ip4` is NULL when none of some ports is
 * free for both: other programs have connections of IPv4 from ports that IPv6 may be given. */
static void listen_on_both(struct gh_listener **any, struct gh_listener **ip4)
{
    char text[64];
    for (int attempt = 0; attempt < PORTS_MAX; attempt++) {
        *any = listen_at("[::]:0", true, NULL, NULL);
        REQUIRE("all addresses", *any != NULL);
        snprintf(text, sizeof text, "0.0.0.0:%u", gh_listener_port(*any));
        *ip4 = listen_at(text, true, NULL, NULL);
        if (*ip4 != NULL || attempt + 1 == PORTS_MAX)
            return;
        gh_listener_close(*any);
    }
}

/* IPv6: the peer is written with brackets; "[::]" takes IPv6 alone, so that the port is free for
 * IPv4. */
static void over_ip6(void)
{
    struct gh_error error = {0};
    struct gh_listener *listener = listen_at("[::1]:0", true, NULL, &error), *any, *ip4;
    struct gh_buffer heard;
    if (listener == NULL) {
        printf("SKIPPED: this machine has no ::1 (%s)\n", error.text);
        return;
    }
    CHECK("its name",
          gh_slice_starts(gh_slice_text(gh_listener_address(listener)), GH_SLICE("[::1]:")));
    struct peer peer = peer_open_at("::1", gh_listener_port(listener), pki.client);
    gh_buffer_init(&heard, 1 << 16);
    CHECK("sent", peer_say(&peer, "who\n"));
    CHECK("its peer", peer_read_text(&peer, &heard, "\n") &&
                          gh_slice_starts(gh_buffer_slice(&heard), GH_SLICE("[::1]:")));
    peer_close(&peer);
    listen_on_both(&any, &ip4);
    CHECK("IPv4 has a listener of its own at the same port", ip4 != NULL);
    if (ip4 != NULL) {
        peer = peer_open_at("127.0.0.1", gh_listener_port(ip4), pki.client);
        gh_buffer_clear(&heard);
        CHECK("sent", peer_say(&peer, "who\n"));
        CHECK("its peer", peer_read_text(&peer, &heard, "\n") &&
                              gh_slice_starts(gh_buffer_slice(&heard), GH_SLICE("127.0.0.1:")));
        peer_close(&peer);
    }
    CHECK("plain on all IPv6 addresses is refused",
          listen_at("[::]:0", false, NULL, &error) == NULL);
    gh_listener_close(any);
    gh_listener_close(ip4);
    gh_listener_close(listener);
    gh_buffer_deinit(&heard);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* the peers' */
    gh_log_set_level(GH_LOG_ERROR);
    rig_pki_open(&pki);
    rig_start(&rig, 2);
    REQUIRE("a crowd", (crowd = gh_crowd_open(2, NULL)) != NULL);
    each_header();
    at_once();
    not_listed();
    ceiling_of_an_address();
    local_balancer();
    over_ip6();
    rig_stop(&rig);
    CHECK("nothing is left", gh_metric_get(&metrics, GH_METRIC_connections_open) == 0);
    CHECK("and all were told", tally_get(&opened) == tally_get(&closed));
    rig_close(&rig);
    gh_crowd_close(crowd);
    rig_pki_close(&pki);
    return check_report();
}
