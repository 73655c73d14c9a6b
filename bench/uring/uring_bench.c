/* What io_uring would save on the shape of a fleet:   bench-uring epoll|uring CONNECTIONS
 * MILLISECONDS CONNECTIONS publishers send a message of 270 bytes and the next one when its PUBACK
 * of 4 bytes has come; all goes on to one subscriber, batched. The server does nothing else: what
 * is left are the system calls. epoll is what io/loop does: one recv and one send for each
 * publisher's message, nothing registered again. uring: multishot receives into provided buffers,
 * sends queued, one system call for all that a turn has. The server is on core 0, the load on
 * core 1. One JSON line.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    MESSAGE_BYTES = 270,
    ACK_BYTES = 4,
    EVENTS = 256,
    CHUNK_BYTES = 64 * 1024,
    OUT_BYTES = 8 << 20,
    RING_ENTRIES = 4096,
    BUFFERS = 2048, /* provided; a power of two */
    BUFFER_BYTES = 1024,
    SUBSCRIBER = 0, /* the first connection */
    OF_SEND = -1,   /* user data of what needs no look */
    OF_OUT = -2,
};

static const uint8_t ack[ACK_BYTES] = {0x40, 2, 0, 1};

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static double cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void pin(size_t core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    (void)sched_setaffinity(0, sizeof set, &set);
}

static void no_delay(int socket)
{
    int on = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void watch(int epoll, int socket, uint32_t at)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u32 = at};
    int added = epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event);
    assert(added == 0);
    (void)added;
}

/* --- the load: until it is killed */

static void load(const struct sockaddr_in *address, size_t count)
{
    static uint8_t message[MESSAGE_BYTES], in[CHUNK_BYTES];
    int *sockets = calloc(count, sizeof *sockets), epoll = epoll_create1(0);
    assert(sockets != NULL);
    pin(1);
    for (size_t i = 0; i < count; i++) {
        sockets[i] = socket(AF_INET, SOCK_STREAM, 0);
        int connected = connect(sockets[i], (const struct sockaddr *)address, sizeof *address);
        assert(connected == 0);
        (void)connected;
        no_delay(sockets[i]);
        watch(epoll, sockets[i], (uint32_t)i);
    }
    for (size_t i = SUBSCRIBER + 1; i < count; i++)
        (void)!write(sockets[i], message, sizeof message);
    for (;;) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            uint32_t at = events[i].data.u32;
            ssize_t got;
            while (at == SUBSCRIBER &&
                   (got = recv(sockets[at], in, sizeof in, MSG_DONTWAIT)) == sizeof in)
                continue;
            if (at != SUBSCRIBER && recv(sockets[at], in, sizeof in, MSG_DONTWAIT) == ACK_BYTES)
                (void)!write(sockets[at], message, sizeof message);
        }
    }
}

/* --- both servers */

struct server {
    int *sockets;
    size_t count;
    uint64_t messages;
    double end_s;
    uint8_t *out[2]; /* to the subscriber: one is filled while the other is sent */
    size_t out_size[2];
    int filling;
};

/* False when there is no room: the rest waits, as for a slow subscriber. */
static void pass_on(struct server *server, const uint8_t *bytes, size_t size)
{
    size_t *used = &server->out_size[server->filling];
    if (*used + size <= OUT_BYTES) {
        memcpy(server->out[server->filling] + *used, bytes, size);
        *used += size;
    }
    server->messages++;
}

static void serve_epoll(struct server *server)
{
    static uint8_t in[CHUNK_BYTES];
    int epoll = epoll_create1(0);
    for (size_t i = 0; i < server->count; i++)
        watch(epoll, server->sockets[i], (uint32_t)i);
    while (now_s() < server->end_s) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll, events, EVENTS, 100);
        for (int i = 0; i < ready; i++) {
            ssize_t got = recv(server->sockets[events[i].data.u32], in, sizeof in, MSG_DONTWAIT);
            if (got > 0)
                pass_on(server, in, (size_t)got);
        }
        for (int i = 0; i < ready; i++)
            (void)!send(server->sockets[events[i].data.u32], ack, sizeof ack,
                        MSG_DONTWAIT | MSG_NOSIGNAL);
        if (server->out_size[0] == 0)
            continue;
        ssize_t put = send(server->sockets[SUBSCRIBER], server->out[0], server->out_size[0],
                           MSG_DONTWAIT | MSG_NOSIGNAL);
        if (put > 0) {
            server->out_size[0] -= (size_t)put;
            memmove(server->out[0], server->out[0] + put, server->out_size[0]);
        }
    }
}

struct uring {
    struct io_uring ring;
    struct io_uring_buf_ring *buffers;
    uint8_t *block;
    bool sending;
};

static uint8_t *buffer_at(const struct uring *uring, unsigned id)
{
    return uring->block + (size_t)id * BUFFER_BYTES;
}

static struct io_uring_sqe *next_entry(struct uring *uring)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(&uring->ring);
    while (entry == NULL) {
        io_uring_submit(&uring->ring);
        entry = io_uring_get_sqe(&uring->ring);
    }
    return entry;
}

static void receive(struct uring *uring, const struct server *server, size_t at)
{
    struct io_uring_sqe *entry = next_entry(uring);
    io_uring_prep_recv_multishot(entry, server->sockets[at], NULL, 0, 0);
    entry->flags |= IOSQE_BUFFER_SELECT;
    entry->buf_group = 0;
    entry->user_data = at;
}

static void acknowledge(struct uring *uring, const struct server *server, size_t at)
{
    struct io_uring_sqe *entry = next_entry(uring);
    io_uring_prep_send(entry, server->sockets[at], ack, sizeof ack, MSG_NOSIGNAL);
    entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
    entry->user_data = (uint64_t)OF_SEND;
}

static void send_out(struct uring *uring, struct server *server)
{
    if (uring->sending || server->out_size[server->filling] == 0)
        return;
    struct io_uring_sqe *entry = next_entry(uring);
    io_uring_prep_send(entry, server->sockets[SUBSCRIBER], server->out[server->filling],
                       server->out_size[server->filling], MSG_NOSIGNAL | MSG_WAITALL);
    entry->user_data = (uint64_t)OF_OUT;
    uring->sending = true;
    server->filling = !server->filling;
}

static void give_buffer(struct uring *uring, unsigned id, int place)
{
    io_uring_buf_ring_add(uring->buffers, buffer_at(uring, id), BUFFER_BYTES, (unsigned short)id,
                          io_uring_buf_ring_mask(BUFFERS), place);
}

static void complete(struct uring *uring, struct server *server, const struct io_uring_cqe *done,
                     int *given)
{
    if (done->user_data == (uint64_t)OF_OUT) {
        uring->sending = false;
        server->out_size[!server->filling] = 0;
        return;
    }
    if (done->user_data == (uint64_t)OF_SEND)
        return;
    size_t at = (size_t)done->user_data;
    if (done->res > 0) {
        unsigned id = done->flags >> IORING_CQE_BUFFER_SHIFT;
        pass_on(server, buffer_at(uring, id), (size_t)done->res);
        give_buffer(uring, id, (*given)++);
        acknowledge(uring, server, at);
    }
    if ((done->flags & IORING_CQE_F_MORE) == 0) /* it ran out of buffers */
        receive(uring, server, at);
}

static bool open_uring(struct uring *uring)
{
    struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER |
                                              IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
                                     .cq_entries = 4 * RING_ENTRIES};
    int failed = io_uring_queue_init_params(RING_ENTRIES, &uring->ring, &params);
    if (failed != 0) {
        fprintf(stderr, "bench-uring: no io_uring here: %s\n", strerror(-failed));
        return false;
    }
    uring->block = malloc((size_t)BUFFERS * BUFFER_BYTES);
    void *ring = NULL;
    if (uring->block == NULL ||
        posix_memalign(&ring, 4096, BUFFERS * sizeof(struct io_uring_buf)) != 0)
        return false;
    uring->buffers = ring;
    io_uring_buf_ring_init(uring->buffers);
    struct io_uring_buf_reg reg = {
        .ring_addr = (uint64_t)(uintptr_t)ring, .ring_entries = BUFFERS, .bgid = 0};
    if (io_uring_register_buf_ring(&uring->ring, &reg, 0) != 0)
        return false;
    for (unsigned id = 0; id < BUFFERS; id++)
        give_buffer(uring, id, (int)id);
    io_uring_buf_ring_advance(uring->buffers, BUFFERS);
    return true;
}

static bool serve_uring(struct server *server)
{
    struct uring uring = {.sending = false};
    if (!open_uring(&uring))
        return false;
    for (size_t i = SUBSCRIBER + 1; i < server->count; i++)
        receive(&uring, server, i);
    while (now_s() < server->end_s) {
        struct io_uring_cqe *done;
        struct __kernel_timespec wait = {.tv_nsec = 100 * 1000 * 1000};
        unsigned head, seen = 0;
        int given = 0;
        io_uring_submit_and_wait_timeout(&uring.ring, &done, 1, &wait, NULL);
        io_uring_for_each_cqe(&uring.ring, head, done)
        {
            complete(&uring, server, done, &given);
            seen++;
        }
        io_uring_buf_ring_advance(uring.buffers, given);
        io_uring_cq_advance(&uring.ring, seen);
        send_out(&uring, server);
    }
    return true;
}

int main(int argc, char **argv)
{
    bool uring = argc == 4 && strcmp(argv[1], "uring") == 0;
    if (argc != 4 || (!uring && strcmp(argv[1], "epoll") != 0)) {
        fputs("usage: bench-uring epoll|uring CONNECTIONS MILLISECONDS\n", stderr);
        return 2;
    }
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    struct server server = {.count = (size_t)atol(argv[2]) + 1};
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 4096) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        return 1;
    pid_t child = fork();
    if (child == 0)
        load(&address, server.count);
    pin(0);
    server.sockets = calloc(server.count, sizeof *server.sockets);
    for (size_t i = 0; i < server.count; i++) {
        server.sockets[i] = accept(listener, NULL, NULL);
        no_delay(server.sockets[i]);
    }
    server.out[0] = malloc(OUT_BYTES);
    server.out[1] = malloc(OUT_BYTES);
    double from_cpu_s = cpu_s(), from_s = now_s();
    server.end_s = from_s + atof(argv[3]) / 1e3;
    bool served = true;
    if (uring)
        served = serve_uring(&server);
    else
        serve_epoll(&server);
    double used_s = cpu_s() - from_cpu_s;
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    printf("{\"backend\":\"%s\",\"messages\":%llu,\"per_s\":%.0f,\"cpu_us_per_message\":%.3f}\n",
           argv[1], (unsigned long long)server.messages,
           (double)server.messages / (now_s() - from_s),
           used_s * 1e6 / (double)(server.messages > 0 ? server.messages : 1));
    return served ? 0 : 1;
}
