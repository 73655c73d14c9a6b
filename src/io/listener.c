#include "io/listener.h"
#include "base/log.h"
#include "base/time.h"
#include "io/conn_internal.h"
#include "io/loop_internal.h"
#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    ACCEPTS_PER_TURN = 16, /* about 20 us each */
    HOLD_MS = 5,           /* while the handshakes that were accepted are worked off */
    PAUSE_MS = 100,        /* after the system had no descriptor or memory for another connection */
};

/* Counted: its owner, each of its connections and each connection on its way to a loop. */
struct gh_listener {
    struct gh_source source;
    struct conn_origin origin;
    struct gh_loop *home; /* accepts here, deals out to all */
    struct gh_loop **loops;
    struct gh_network *proxy_from;
    size_t proxy_from_count;
    size_t loops_count, next_loop, connections_max;
    int fd;            /* -1 once closed; home's */
    bool is_inherited; /* its maker removes the path */
    struct gh_timer pause;
    struct gh_letter closing, opening;
    struct gh_address address;
    char text[GH_ADDRESS_TEXT_MAX];
    atomic_size_t references, connections;
    pthread_mutex_t tls_lock; /* around the pointer */
    struct gh_tls_context *tls;
};

/* An accepted socket on its way to the loop that is to own it. */
struct arrival {
    struct gh_letter letter;
    struct gh_listener *listener;
    struct gh_loop *loop;
    int fd;
    struct gh_address peer;
};

static void on_arrivals(struct gh_source *source, uint32_t events);

static void listener_unref(struct gh_listener *listener)
{
    if (atomic_fetch_sub_explicit(&listener->references, 1, memory_order_acq_rel) != 1)
        return;
    gh_tls_context_unref(listener->tls);
    pthread_mutex_destroy(&listener->tls_lock);
    free(listener->loops);
    free(listener->proxy_from);
    free(listener);
}

static void on_gone(struct conn_origin *origin)
{
    struct gh_listener *listener =
        (struct gh_listener *)(void *)((char *)origin - offsetof(struct gh_listener, origin));
    atomic_fetch_sub_explicit(&listener->connections, 1, memory_order_relaxed);
    listener_unref(listener);
}

/* ---- accepting */

static struct gh_tls_context *current_tls(struct conn_origin *origin)
{
    struct gh_listener *listener =
        (struct gh_listener *)(void *)((char *)origin - offsetof(struct gh_listener, origin));
    pthread_mutex_lock(&listener->tls_lock);
    struct gh_tls_context *tls = listener->tls == NULL ? NULL : gh_tls_context_ref(listener->tls);
    pthread_mutex_unlock(&listener->tls_lock);
    return tls;
}

static void open_arrival(struct gh_letter *letter)
{
    struct arrival *arrival = (struct arrival *)(void *)letter;
    conn_accept(arrival->loop, arrival->fd, &arrival->listener->origin, &arrival->peer);
    free(arrival);
}

static void deal(struct gh_listener *listener, int fd, const struct gh_address *peer)
{
    struct gh_loop *loop = listener->loops[listener->next_loop++ % listener->loops_count];
    struct arrival *arrival = NULL;

    atomic_fetch_add_explicit(&listener->references, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&listener->connections, 1, memory_order_relaxed);
    if (loop != listener->home && (arrival = malloc(sizeof *arrival)) != NULL) {
        *arrival = (struct arrival){.letter.open = open_arrival,
                                    .listener = listener,
                                    .loop = loop,
                                    .fd = fd,
                                    .peer = *peer};
        gh_loop_send(loop, &arrival->letter);
        return;
    }
    conn_accept(listener->home, fd, &listener->origin, peer); /* ours, or no memory for the way */
}

static void start_listening(struct gh_timer *timer)
{
    struct gh_listener *listener =
        (struct gh_listener *)(void *)((char *)timer - offsetof(struct gh_listener, pause));
    if (!loop_watch(listener->home, listener->fd, &listener->source, EPOLLIN))
        gh_timer_set(listener->home, timer, gh_loop_now_ns(listener->home) + PAUSE_MS * GH_MS_NS,
                     start_listening);
}

/* What waits to be accepted would make the listening socket ready all the time. */
static void pause_for(struct gh_listener *listener, int pause_ms)
{
    loop_unwatch(listener->home, listener->fd);
    gh_timer_set(listener->home, &listener->pause,
                 gh_loop_now_ns(listener->home) + pause_ms * GH_MS_NS, start_listening);
}

/* Without a free descriptor. */
static void take_a_pause(struct gh_listener *listener)
{
    gh_log(GH_LOG_WARN, "io", "%s: cannot accept: %s", listener->text, strerror(errno));
    pause_for(listener, PAUSE_MS);
}

/* Whether one of its loops has enough handshakes to do. */
static bool is_behind(const struct gh_listener *listener)
{
    for (size_t i = 0; i < listener->loops_count; i++)
        if (atomic_load_explicit(&listener->loops[i]->handshakes_queued, memory_order_relaxed) >
            LOOP_HANDSHAKES_QUEUED_MAX)
            return true;
    return false;
}

/* Whether a balancer may stand there. */
static bool may_speak_for_others(const struct gh_listener *listener, const struct gh_address *peer)
{
    if (peer->name.any.sa_family == AF_UNIX)
        return true; /* the mode of its file has decided */
    for (size_t i = 0; i < listener->proxy_from_count; i++)
        if (gh_network_has(&listener->proxy_from[i], peer))
            return true;
    return false;
}

/* The metric under which the connection is refused, and why; NULL when it may come. */
static const char *refusal_of(struct gh_listener *listener, const struct gh_address *peer,
                              enum gh_metric *metric)
{
    if (atomic_load_explicit(&listener->connections, memory_order_relaxed) >=
        listener->connections_max) {
        *metric = GH_METRIC_connections_refused_total;
        return "too many connections";
    }
    if (listener->origin.expects_proxy && !may_speak_for_others(listener, peer)) {
        *metric = GH_METRIC_proxy_headers_refused_total;
        return "not among the addresses that may speak the PROXY protocol";
    }
    return NULL;
}

static void refuse(struct gh_listener *listener, int fd, const struct gh_address *peer,
                   enum gh_metric metric, const char *why)
{
    char text[GH_ADDRESS_TEXT_MAX];
    gh_metric_add(listener->origin.metrics, metric, 1);
    gh_log(GH_LOG_DEBUG, "io", "%s: refused %s: %s", listener->text, gh_address_print(peer, text),
           why);
    close(fd);
}

static void on_arrivals(struct gh_source *source, uint32_t events)
{
    struct gh_listener *listener =
        (struct gh_listener *)(void *)((char *)source - offsetof(struct gh_listener, source));
    (void)events;

    if (listener->origin.is_secure && is_behind(listener)) {
        gh_metric_add(listener->origin.metrics, GH_METRIC_accepts_held_total, 1);
        pause_for(listener, HOLD_MS);
        return;
    }
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        struct gh_address peer = {.size = sizeof peer.name};
        int fd = accept4(listener->fd, &peer.name.any, &peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                take_a_pause(listener);
            if (errno == ECONNABORTED || errno == EINTR || errno == EPROTO)
                continue;
            return;
        }
        /* A socket that the service manager opened may take both families: an IPv4 peer is shown
         * and counted as what it is. */
        if (peer.name.any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&peer.name.ip6.sin6_addr)) {
            struct gh_address mapped = peer;
            (void)!gh_address_set(gh_address_bytes(&mapped), gh_address_port(&mapped), &peer);
        }
        enum gh_metric metric;
        const char *why = refusal_of(listener, &peer, &metric);
        if (why != NULL) {
            refuse(listener, fd, &peer, metric, why);
            continue;
        }
        if (peer.name.any.sa_family != AF_UNIX)
            (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        deal(listener, fd, &peer);
    }
}

/* ---- opening and closing */

static void open_on_home(struct gh_letter *letter)
{
    struct gh_listener *listener =
        (struct gh_listener *)(void *)((char *)letter - offsetof(struct gh_listener, opening));
    if (listener->fd >= 0)
        start_listening(&listener->pause);
    listener_unref(listener);
}

static void close_on_home(struct gh_letter *letter)
{
    struct gh_listener *listener =
        (struct gh_listener *)(void *)((char *)letter - offsetof(struct gh_listener, closing));
    gh_timer_cancel(listener->home, &listener->pause);
    close(listener->fd);
    listener->fd = -1;
    if (listener->address.name.any.sa_family == AF_UNIX && !listener->is_inherited)
        unlink(listener->address.name.local.sun_path);
    listener_unref(listener);
}

static bool address_is_allowed(const struct gh_listener_config *config, struct gh_address *out,
                               struct gh_error *error)
{
    char text[GH_ADDRESS_TEXT_MAX];

    if (config->socket != 0) {
        *out = (struct gh_address){.size = sizeof out->name};
        if (getsockname(config->socket, &out->name.any, &out->size) != 0) {
            gh_error_set(error, GH_ERROR_LISTEN, "descriptor %d: %s", config->socket,
                         strerror(errno));
            return false;
        }
    } else if (!gh_address_parse(config->address, out)) {
        gh_error_set(error, GH_ERROR_LISTEN,
                     "%s: not an address (127.0.0.1:8883, [::1]:8883 or a path)", config->address);
        return false;
    }
    if (config->tls == NULL && !gh_address_is_loopback(out)) {
        gh_error_set(error, GH_ERROR_LISTEN,
                     "%s: without TLS only loopback addresses and Unix sockets are listened on",
                     gh_address_print(out, text));
        return false;
    }
    return true;
}

static size_t handshakes_of_a_loop(const struct gh_listener_config *config)
{
    size_t max = config->handshakes_max != 0 ? config->handshakes_max : GH_LISTENER_HANDSHAKES_MAX;
    return (max + config->loops_count - 1) / config->loops_count;
}

static struct gh_listener *listener_new(const struct gh_listener_config *config)
{
    struct gh_listener *listener = calloc(1, sizeof *listener);
    struct gh_loop **loops = calloc(config->loops_count, sizeof *loops);
    struct gh_network *from = calloc(config->proxy_from_count + 1, sizeof *from);

    if (listener == NULL || loops == NULL || from == NULL) {
        free(listener);
        free(loops);
        free(from);
        return NULL;
    }
    for (size_t i = 0; i < config->proxy_from_count; i++)
        from[i] = config->proxy_from[i];
    memcpy(loops, config->loops, config->loops_count * sizeof *loops);
    *listener = (struct gh_listener){
        .source.ready = on_arrivals,
        .origin = {.limits = conn_limits_whole(config->limits),
                   .metrics = config->metrics,
                   .protocols_count = config->protocols_count,
                   .handshakes_max = handshakes_of_a_loop(config),
                   .crowd = config->crowd,
                   .workers = config->workers,
                   .is_secure = config->tls != NULL,
                   .keeps_openssl = config->keeps_openssl,
                   .expects_proxy = config->expects_proxy,
                   .tls = current_tls,
                   .gone = on_gone},
        .home = loops[0],
        .loops = loops,
        .loops_count = config->loops_count,
        .proxy_from = from,
        .proxy_from_count = config->proxy_from_count,
        .connections_max =
            config->connections_max != 0 ? config->connections_max : GH_LISTENER_CONNECTIONS_MAX,
        .closing.open = close_on_home,
        .opening.open = open_on_home,
        .references = 1,
        .tls = config->tls == NULL ? NULL : gh_tls_context_ref(config->tls),
    };
    memcpy(listener->origin.protocols, config->protocols,
           config->protocols_count * sizeof *config->protocols);
    pthread_mutex_init(&listener->tls_lock, NULL);
    return listener;
}

/* The socket that was given, or one of our own; -1. */
static int listening_socket(const struct gh_listener_config *config, struct gh_address *address,
                            struct gh_error *error)
{
    bool allowed = address_is_allowed(config, address, error);

    if (allowed)
        return config->socket != 0 ? config->socket : gh_socket_listen(address, error);
    if (config->socket != 0)
        close(config->socket);
    return -1;
}

struct gh_listener *gh_listener_open(const struct gh_listener_config *config,
                                     struct gh_error *error)
{
    struct gh_address address;

    assert(config->loops_count > 0);
    assert(config->protocols_count > 0 && config->protocols_count <= GH_LISTENER_PROTOCOLS_MAX);
    int fd = listening_socket(config, &address, error);
    if (fd < 0)
        return NULL;
    struct gh_listener *listener = listener_new(config);
    if (listener == NULL) {
        close(fd);
        gh_error_set(error, GH_ERROR_MEMORY, "a listener");
        return NULL;
    }
    listener->fd = fd;
    listener->is_inherited = config->socket != 0;
    listener->address = address;
    if (address.name.any.sa_family != AF_UNIX)
        (void)getsockname(listener->fd, &listener->address.name.any, &listener->address.size);
    gh_address_print(&listener->address, listener->text);
    atomic_fetch_add(&listener->references, 1); /* of the letter that begins the accepting */
    gh_loop_send(listener->home, &listener->opening);
    return listener;
}

void gh_listener_close(struct gh_listener *listener)
{
    if (listener != NULL)
        gh_loop_send(listener->home, &listener->closing);
}

void gh_listener_set_tls(struct gh_listener *listener, struct gh_tls_context *tls)
{
    assert((tls == NULL) == (listener->tls == NULL));
    pthread_mutex_lock(&listener->tls_lock);
    struct gh_tls_context *before = listener->tls;
    listener->tls = gh_tls_context_ref(tls);
    pthread_mutex_unlock(&listener->tls_lock);
    gh_tls_context_unref(before);
}

uint16_t gh_listener_port(const struct gh_listener *listener)
{
    return gh_address_port(&listener->address);
}

const char *gh_listener_address(const struct gh_listener *listener)
{
    return listener->text;
}

size_t gh_listener_connections(const struct gh_listener *listener)
{
    return atomic_load_explicit(&listener->connections, memory_order_relaxed);
}
