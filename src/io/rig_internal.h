/* What the tests of io/ share: loops on threads, a certificate, and a peer that blocks. A peer's
 * every wait ends after PATIENCE_MS, so that a test that fails ends too. Tests only. */
#ifndef GH_IO_RIG_INTERNAL_H
#define GH_IO_RIG_INTERNAL_H

#include "base/time.h"
#include "crypto/authority.h"
#include "crypto/key.h"
#include "crypto/tls.h"
#include "io/listener.h"
#include "io/loop.h"
#include "io/socket.h"
#include "io/worker.h"
#include "tests/check.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { RIG_LOOPS_MAX = 4, PATIENCE_MS = 20 * 1000 };

struct rig {
    struct gh_loop *loops[RIG_LOOPS_MAX];
    pthread_t threads[RIG_LOOPS_MAX];
    size_t count;
};

static inline void *rig_run(void *context)
{
    gh_loop_run(context);
    return NULL;
}

static inline void rig_start(struct rig *rig, size_t count)
{
    rig->count = count;
    for (size_t i = 0; i < count; i++) {
        rig->loops[i] = gh_loop_open(NULL);
        REQUIRE("a loop", rig->loops[i] != NULL);
        REQUIRE("its thread", pthread_create(&rig->threads[i], NULL, rig_run, rig->loops[i]) == 0);
    }
}

/* Loops end first, then whoever sends letters, then rig_close. */
static inline void rig_stop(struct rig *rig)
{
    for (size_t i = 0; i < rig->count; i++)
        gh_loop_stop(rig->loops[i]);
    for (size_t i = 0; i < rig->count; i++)
        pthread_join(rig->threads[i], NULL);
}

static inline void rig_close(struct rig *rig)
{
    for (size_t i = 0; i < rig->count; i++)
        gh_loop_close(rig->loops[i]);
}

/* A root, and a server's certificate for localhost, 127.0.0.1 and ::1. */
struct rig_pki {
    struct gh_buffer ca, certificate, key;
    struct gh_tls_context *server, *client;
};

static inline void rig_pki_open(struct rig_pki *pki)
{
    struct gh_slice names[] = {GH_SLICE("localhost"), GH_SLICE("127.0.0.1"), GH_SLICE("::1")};
    int64_t now_s = gh_time_utc_ms() / 1000;
    struct gh_validity validity = {now_s - 3600, now_s + 24 * 3600};
    struct gh_buffer ca_key, public_key;

    gh_buffer_init(&pki->ca, 8192);
    gh_buffer_init(&pki->certificate, 8192);
    gh_buffer_init(&pki->key, 8192);
    gh_buffer_init(&ca_key, 8192);
    gh_buffer_init(&public_key, 8192);
    REQUIRE("a root",
            gh_authority_create(GH_SLICE("Test root"), validity, &ca_key, &pki->ca, NULL) == GH_OK);
    struct gh_authority *authority =
        gh_authority_open(gh_buffer_slice(&pki->ca), gh_buffer_slice(&ca_key), NULL);
    struct gh_private_key *key = gh_private_key_generate(GH_KEY_P256, NULL);
    REQUIRE("keys", authority != NULL && key != NULL && gh_private_key_print(key, &pki->key) &&
                        gh_private_key_print_public(key, &public_key));
    struct gh_leaf leaf = {.common_name = GH_SLICE("localhost"),
                           .public_key_pem = gh_buffer_slice(&public_key),
                           .names = names,
                           .names_count = GH_COUNT(names),
                           .validity = validity};
    REQUIRE("a leaf", gh_authority_issue(authority, &leaf, &pki->certificate, NULL) == GH_OK);
    gh_private_key_close(key);
    gh_authority_close(authority);
    gh_buffer_deinit(&ca_key);
    gh_buffer_deinit(&public_key);
    pki->server =
        gh_tls_server_open(gh_buffer_slice(&pki->certificate), gh_buffer_slice(&pki->key), NULL);
    pki->client = gh_tls_client_open(gh_buffer_slice(&pki->ca), NULL);
    REQUIRE("contexts", pki->server != NULL && pki->client != NULL);
}

static inline void rig_pki_close(struct rig_pki *pki)
{
    gh_tls_context_unref(pki->server);
    gh_tls_context_unref(pki->client);
    gh_buffer_deinit(&pki->ca);
    gh_buffer_deinit(&pki->certificate);
    gh_buffer_deinit(&pki->key);
}

/* The other end of a connection. */
struct peer {
    int fd;
    struct gh_tls *tls;
    bool ended; /* the server sent its last byte, or the connection was lost */
};

static inline void peer_wait(const struct peer *peer, bool write)
{
    struct pollfd waiting = {.fd = peer->fd, .events = write ? POLLOUT : POLLIN};
    REQUIRE("the server does something in time", poll(&waiting, 1, PATIENCE_MS) > 0);
}

static inline bool peer_shake(struct peer *peer, struct gh_tls_context *tls, struct gh_error *error)
{
    peer->tls = gh_tls_open(tls, NULL, peer->fd, "localhost");
    REQUIRE("a TLS client", peer->tls != NULL);
    for (;;) {
        enum gh_tls_status status = gh_tls_handshake(peer->tls, error);
        if (status != GH_TLS_WANT_READ && status != GH_TLS_WANT_WRITE)
            return status == GH_TLS_OK;
        peer_wait(peer, status == GH_TLS_WANT_WRITE);
    }
}

static inline struct peer peer_open_at(const char *host, uint16_t port, struct gh_tls_context *tls)
{
    struct peer peer = {.fd = gh_connect_tcp(host, port, PATIENCE_MS, NULL)};
    REQUIRE("connected", peer.fd >= 0);
    fcntl(peer.fd, F_SETFL, fcntl(peer.fd, F_GETFL) | O_NONBLOCK);
    if (tls != NULL)
        REQUIRE("handshake", peer_shake(&peer, tls, NULL));
    return peer;
}

static inline struct peer peer_open(uint16_t port, struct gh_tls_context *tls)
{
    return peer_open_at("127.0.0.1", port, tls);
}

static inline void peer_close(struct peer *peer)
{
    if (peer->tls != NULL)
        gh_tls_close(peer->tls);
    close(peer->fd);
}

/* False when the connection is lost. */
static inline bool peer_send(struct peer *peer, struct gh_slice bytes)
{
    while (bytes.size > 0) {
        size_t sent = 0;
        if (peer->tls != NULL) {
            enum gh_tls_status status = gh_tls_write(peer->tls, bytes, &sent);
            if (status == GH_TLS_FAILED)
                return false;
            if (status != GH_TLS_OK)
                peer_wait(peer, status == GH_TLS_WANT_WRITE);
        } else {
            ssize_t count = send(peer->fd, bytes.data, bytes.size, MSG_NOSIGNAL);
            if (count < 0 && errno != EAGAIN)
                return false;
            if (count < 0)
                peer_wait(peer, true);
            sent = count < 0 ? 0 : (size_t)count;
        }
        bytes = gh_slice_sub(bytes, sent, bytes.size);
    }
    return true;
}

static inline bool peer_say(struct peer *peer, const char *text)
{
    return peer_send(peer, gh_slice_text(text));
}

/* Appends what there is, at least one byte unless the server has ended. */
static inline void peer_read(struct peer *peer, struct gh_buffer *out)
{
    uint8_t block[16384];
    size_t got = 0;

    while (!peer->ended && got == 0) {
        if (peer->tls != NULL) {
            enum gh_tls_status status = gh_tls_read(peer->tls, block, sizeof block, &got);
            peer->ended = status == GH_TLS_END || status == GH_TLS_FAILED;
            if (status == GH_TLS_WANT_READ || status == GH_TLS_WANT_WRITE)
                peer_wait(peer, status == GH_TLS_WANT_WRITE);
        } else {
            ssize_t count = recv(peer->fd, block, sizeof block, 0);
            peer->ended = count == 0 || (count < 0 && errno != EAGAIN);
            if (count < 0 && errno == EAGAIN)
                peer_wait(peer, false);
            got = count > 0 ? (size_t)count : 0;
        }
    }
    REQUIRE("room for what the server says", gh_buffer_put(out, gh_slice(block, got)));
}

/* Until so many bytes are there or the server has ended. */
static inline void peer_read_bytes(struct peer *peer, struct gh_buffer *out, size_t size)
{
    while (out->size < size && !peer->ended)
        peer_read(peer, out);
}

static inline bool peer_has(const struct gh_buffer *out, const char *text)
{
    return out->size > 0 && memmem(out->data, out->size, text, strlen(text)) != NULL;
}

/* Until the text is there or the server has ended; whether it came. */
static inline bool peer_read_text(struct peer *peer, struct gh_buffer *out, const char *text)
{
    while (!peer->ended && !peer_has(out, text))
        peer_read(peer, out);
    return peer_has(out, text);
}

static inline void peer_read_end(struct peer *peer, struct gh_buffer *out)
{
    while (!peer->ended)
        peer_read(peer, out);
}

/* A count that other threads raise. */
struct tally {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t count;
};
#define TALLY                                                                                      \
    {                                                                                              \
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0                                     \
    }

static inline void tally_add(struct tally *tally)
{
    pthread_mutex_lock(&tally->lock);
    tally->count++;
    pthread_cond_broadcast(&tally->changed);
    pthread_mutex_unlock(&tally->lock);
}

static inline size_t tally_get(struct tally *tally)
{
    pthread_mutex_lock(&tally->lock);
    size_t count = tally->count;
    pthread_mutex_unlock(&tally->lock);
    return count;
}

/* Until it is at least `count`; false when it does not come to that. */
static inline bool tally_wait(struct tally *tally, size_t count)
{
    struct timespec until;
    int result = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_MS / 1000;
    pthread_mutex_lock(&tally->lock);
    while (tally->count < count && result == 0)
        result = pthread_cond_timedwait(&tally->changed, &tally->lock, &until);
    bool reached = tally->count >= count;
    pthread_mutex_unlock(&tally->lock);
    return reached;
}

/* Keeps a worker busy until it is let go. */
struct rig_holdup {
    struct gh_job job;
    struct tally begun, released;
};

static inline void rig_hold_up(struct gh_job *job)
{
    struct rig_holdup *holdup = (struct rig_holdup *)(void *)job;
    tally_add(&holdup->begun);
    CHECK("let go", tally_wait(&holdup->released, 1));
}

#define RIG_HOLDUP                                                                                 \
    {                                                                                              \
        {.run = rig_hold_up}, TALLY, TALLY                                                         \
    }
#endif
