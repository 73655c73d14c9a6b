/* Whose work the last step of a handshake is, the loop's or a worker's: the one worker is held up
 * before it comes. The client's bytes go through a pair of sockets, so that its last ones arrive
 * all at once, with as much text behind them as a row says. */
#include "io/listener.h"
#include "io/rig_internal.h"
#include "io/worker.h"
#include <sched.h>
#include <stdlib.h>

enum { BYTES_MAX = 8192 };

static const struct {
    const char *claim;
    size_t text_bytes;
    bool is_loops;
} rows[] = {
    {"Finished alone is the loop's", 0, true},
    {"with a small CONNECT behind it as well", 100, true},
    {"so much that a certificate could be in it is a worker's", 400, false},
};

/* What is said after the handshake is nobody's. */
static bool claims_nothing(uint8_t first_byte)
{
    (void)first_byte;
    return false;
}

static const struct gh_protocol nothing = {.name = "nothing", .claims = claims_nothing};
static const struct gh_listener_protocol served[] = {{&nothing, NULL}};

static struct rig rig;
static struct rig_pki pki;
static struct gh_metrics metrics;

static int64_t shaken(void)
{
    return gh_metric_get(&metrics, GH_METRIC_tls_handshakes_total);
}

/* Until one or the other has happened. */
static void wait_for_end(struct gh_workers *workers, int64_t shaken_before)
{
    int64_t end_ns = gh_time_monotonic_ns() + PATIENCE_MS * GH_MS_NS;
    while (shaken() == shaken_before && gh_workers_waiting(workers) == 0 &&
           gh_time_monotonic_ns() < end_ns)
        sched_yield();
}

static size_t take(int fd, uint8_t *block)
{
    ssize_t got = recv(fd, block, BYTES_MAX, 0);
    REQUIRE("bytes", got > 0);
    return (size_t)got;
}

/* The client up to its last flight, which stays in the pair. */
static struct gh_tls *shake(struct peer *peer, int fds[2])
{
    uint8_t block[BYTES_MAX];
    struct gh_tls *tls = gh_tls_open(pki.client, NULL, fds[0], "localhost");
    REQUIRE("a client", tls != NULL);
    while (gh_tls_handshake(tls, NULL) == GH_TLS_WANT_READ) {
        struct pollfd said = {.fd = fds[1], .events = POLLIN};
        if (poll(&said, 1, 0) > 0)
            REQUIRE("to the server", peer_send(peer, gh_slice(block, take(fds[1], block))));
        peer_wait(peer, false);
        size_t size = take(peer->fd, block);
        REQUIRE("to the client", send(fds[1], block, size, MSG_NOSIGNAL) == (ssize_t)size);
    }
    return tls;
}

static void last_step(size_t row, uint16_t port, struct gh_workers *workers)
{
    static struct rig_holdup holdups[GH_COUNT(rows)]; /* they are left after the row */
    struct rig_holdup *holdup = &holdups[row];
    uint8_t block[BYTES_MAX], text[BYTES_MAX] = {0};
    size_t sent;
    int fds[2];
    int64_t before = shaken();
    *holdup = (struct rig_holdup)RIG_HOLDUP;
    struct peer peer = peer_open(port, NULL);
    REQUIRE("a pair", socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    struct gh_tls *tls = shake(&peer, fds);
    CHECK("busy", gh_workers_submit(workers, &holdup->job) && tally_wait(&holdup->begun, 1));
    if (rows[row].text_bytes > 0)
        CHECK("text", gh_tls_write(tls, gh_slice(text, rows[row].text_bytes), &sent) == GH_TLS_OK);
    CHECK("the last flight", peer_send(&peer, gh_slice(block, take(fds[1], block))));
    wait_for_end(workers, before);
    CHECK(rows[row].claim, shaken() == before + rows[row].is_loops &&
                               gh_workers_waiting(workers) == !rows[row].is_loops);
    tally_add(&holdup->released);
    gh_tls_close(tls);
    peer_close(&peer);
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    rig_pki_open(&pki);
    rig_start(&rig, 1);
    struct gh_workers *workers = gh_workers_open(1, 100, NULL);
    struct gh_listener_config config = {.loops = rig.loops,
                                        .loops_count = rig.count,
                                        .address = "127.0.0.1:0",
                                        .tls = pki.server,
                                        .protocols = served,
                                        .protocols_count = GH_COUNT(served),
                                        .workers = workers,
                                        .metrics = &metrics};
    struct gh_listener *listener = gh_listener_open(&config, NULL);
    REQUIRE("a listener", workers != NULL && listener != NULL);
    for (size_t i = 0; i < GH_COUNT(rows); i++)
        last_step(i, gh_listener_port(listener), workers);
    gh_listener_close(listener);
    rig_stop(&rig);
    gh_workers_close(workers);
    rig_close(&rig);
    rig_pki_close(&pki);
    return check_report();
}
