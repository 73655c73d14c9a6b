#include "io/loop.h"
#include "base/log.h"
#include "base/time.h"
#include "io/conn_internal.h"
#include "io/loop_internal.h"
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    EVENTS_PER_TURN = 256,
    TIMERS_PER_TURN = 4096,
};

struct gh_loop *gh_loop_open(struct gh_error *error)
{
    struct gh_loop *loop = calloc(1, sizeof *loop);

    if (loop == NULL || (loop->scratch = malloc(LOOP_SCRATCH_BYTES)) == NULL) {
        free(loop);
        gh_error_set(error, GH_ERROR_MEMORY, "event loop");
        return NULL;
    }
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    loop->pending_end = &loop->pending_first;
    loop->steps_end = &loop->steps_first;
    loop->shaking.end = &loop->shaking.first;
    loop->now_ns = gh_time_monotonic_ns();
    loop->wheel.now_ms = loop->now_ns / GH_MS_NS;
    gh_mailbox_init(&loop->box);
    /* Edge-triggered, each write to it wakes once and it is never read. */
    if (loop->epoll_fd < 0 || loop->wake_fd < 0 ||
        !loop_watch(loop, loop->wake_fd, NULL, EPOLLIN | EPOLLET)) {
        gh_error_set(error, GH_ERROR_INTERNAL, "event loop: %s", strerror(errno));
        gh_loop_close(loop);
        return NULL;
    }
    return loop;
}

void gh_loop_close(struct gh_loop *loop)
{
    if (loop == NULL)
        return;
    loop->draining = true; /* a letter may bring a connection */
    do {
        gh_mailbox_deliver(&loop->box);
        conns_abort(loop, "shutdown");
        conns_turn(loop);
        conns_shake(loop);
    } while (loop->conns_count > 0 || atomic_load(&loop->box.newest) != NULL);
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
    if (loop->wake_fd >= 0)
        close(loop->wake_fd);
    while (loop->blocks_count > 0)
        gh_buffer_free(loop->blocks[--loop->blocks_count]);
    gh_tls_desk_close(loop->desk);
    free(loop->scratch);
    free(loop);
}

bool loop_watch(struct gh_loop *loop, int fd, struct gh_source *source, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = source};
    return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

void loop_unwatch(struct gh_loop *loop, int fd)
{
    (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

static void wake(struct gh_loop *loop)
{
    uint64_t one = 1;
    while (write(loop->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        continue;
}

void gh_loop_send(struct gh_loop *loop, struct gh_letter *letter)
{
    if (gh_mailbox_send(&loop->box, letter) && atomic_load(&loop->sleeping))
        wake(loop);
}

void gh_loop_stop(struct gh_loop *loop)
{
    atomic_store(&loop->stopping, true);
    wake(loop);
}

int64_t gh_loop_now_ns(const struct gh_loop *loop)
{
    return loop->now_ns;
}

size_t gh_loop_connections(const struct gh_loop *loop)
{
    return loop->conns_count;
}

/* How long the turn may sleep: until the next timer; -1 without one. */
static int64_t wait_ns(struct gh_loop *loop)
{
    if (loop->pending_first != NULL || conns_may_shake(loop) ||
        atomic_load(&loop->stopping) != loop->draining)
        return 0;
    if (atomic_load(&loop->box.newest) != NULL)
        return 0;
    int64_t next_ns = conn_wheel_next_ns(loop);
    if (loop->timers != NULL && loop->timers->at_ns < next_ns)
        next_ns = loop->timers->at_ns;
    if (next_ns >= INT64_MAX / GH_MS_NS * GH_MS_NS)
        return -1;
    int64_t left_ns = next_ns - gh_time_monotonic_ns();
    return left_ns > 0 ? left_ns : 0;
}

/* Rounded up, so that the timer is due when the wait is over. */
static int in_ms(int64_t wait_ns)
{
    if (wait_ns <= 0)
        return (int)wait_ns;
    int64_t wait_ms = (wait_ns - 1) / GH_MS_NS + 1;
    return wait_ms > INT_MAX ? INT_MAX : (int)wait_ms;
}

static int wait_events(struct gh_loop *loop, struct epoll_event events[], int64_t wait_ns)
{
    if (wait_ns > 0 && !loop->is_coarse) {
        struct timespec wait = {.tv_sec = wait_ns / GH_SECOND_NS,
                                .tv_nsec = wait_ns % GH_SECOND_NS};
        int count = epoll_pwait2(loop->epoll_fd, events, EVENTS_PER_TURN, &wait, NULL);
        loop->is_coarse = count < 0 && (errno == ENOSYS || errno == EPERM);
        if (!loop->is_coarse)
            return count;
    }
    return epoll_wait(loop->epoll_fd, events, EVENTS_PER_TURN, in_ms(wait_ns));
}

static void take_events(struct gh_loop *loop)
{
    GH_UNINITIALIZED struct epoll_event events[EVENTS_PER_TURN];

    /* Either the sender of a letter sees that the loop sleeps, or the loop sees the letter: both
     * write first and then look, in one order for all (sequential consistency). */
    atomic_store(&loop->sleeping, true);
    int count = wait_events(loop, events, wait_ns(loop));
    atomic_store(&loop->sleeping, false);

    loop->now_ns = gh_time_monotonic_ns();
    for (int i = 0; i < count; i++) {
        struct gh_source *source = events[i].data.ptr;
        if (source != NULL) /* NULL is the wake-up */
            source->ready(source, events[i].events);
    }
}

static struct gh_timer *take_first(struct gh_loop *loop);

static void fire_timers(struct gh_loop *loop)
{
    for (unsigned i = 0; i < TIMERS_PER_TURN && loop->timers != NULL; i++) {
        if (loop->timers->at_ns > loop->now_ns)
            return;
        struct gh_timer *timer = take_first(loop);
        void (*fire)(struct gh_timer *) = timer->fire;
        timer->fire = NULL;
        fire(timer);
    }
}

static void drain_is_over(struct gh_timer *timer)
{
    struct gh_loop *loop =
        (struct gh_loop *)(void *)((char *)timer - offsetof(struct gh_loop, drain));
    conns_abort(loop, "shutdown");
}

void gh_loop_run(struct gh_loop *loop)
{
    sigset_t pipe_signal;

    /* OpenSSL writes to sockets without MSG_NOSIGNAL. */
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, NULL);
    for (;;) {
        take_events(loop);
        fire_timers(loop);
        conn_wheel_turn(loop);
        if (atomic_load(&loop->stopping) && !loop->draining) {
            loop->draining = true;
            gh_timer_set(loop, &loop->drain, loop->now_ns + GH_LOOP_DRAIN_MS * GH_MS_NS,
                         drain_is_over);
            conns_close(loop, "shutdown");
        }
        conns_turn(loop);
        /* Handshakes come last, behind everything that this turn has to say to others. */
        if (conns_may_shake(loop))
            conns_shake(loop);
        if (loop->draining && loop->conns_count == 0)
            break;
    }
    gh_timer_cancel(loop, &loop->drain);
}

/* The pairing heap. Two heaps become one in one comparison; taking the first pairs its children
 * from left to right and joins the pairs from right to left. */
static struct gh_timer *join(struct gh_timer *a, struct gh_timer *b)
{
    if (a == NULL)
        return b;
    if (b == NULL)
        return a;
    if (b->at_ns < a->at_ns) {
        struct gh_timer *swapped = a;
        a = b;
        b = swapped;
    }
    b->before = a;
    b->sibling = a->child;
    if (a->child != NULL)
        a->child->before = b;
    a->child = b;
    return a;
}

static struct gh_timer *join_all(struct gh_timer *first)
{
    struct gh_timer *pairs = NULL, *whole = NULL;

    while (first != NULL) {
        struct gh_timer *second = first->sibling, *next = second == NULL ? NULL : second->sibling;
        first->sibling = first->before = NULL;
        if (second != NULL)
            second->sibling = second->before = NULL;
        struct gh_timer *pair = join(first, second);
        pair->sibling = pairs;
        pairs = pair;
        first = next;
    }
    while (pairs != NULL) {
        struct gh_timer *next = pairs->sibling;
        pairs->sibling = NULL;
        whole = join(whole, pairs);
        pairs = next;
    }
    return whole;
}

static struct gh_timer *take_first(struct gh_loop *loop)
{
    struct gh_timer *first = loop->timers;
    loop->timers = join_all(first->child);
    first->child = NULL;
    return first;
}

void gh_timer_set(struct gh_loop *loop, struct gh_timer *timer, int64_t at_ns,
                  void (*fire)(struct gh_timer *timer))
{
    assert(fire != NULL);
    gh_timer_cancel(loop, timer);
    /* Later than now, so that a timer which sets itself again cannot hold up the turn. */
    timer->at_ns = at_ns > loop->now_ns ? at_ns : loop->now_ns + 1;
    timer->fire = fire;
    loop->timers = join(loop->timers, timer);
}

void gh_timer_cancel(struct gh_loop *loop, struct gh_timer *timer)
{
    if (timer->fire == NULL)
        return;
    timer->fire = NULL;
    if (timer == loop->timers) {
        take_first(loop);
        return;
    }
    if (timer->before->child == timer)
        timer->before->child = timer->sibling;
    else
        timer->before->sibling = timer->sibling;
    if (timer->sibling != NULL)
        timer->sibling->before = timer->before;
    timer->before = timer->sibling = NULL;
    struct gh_timer *orphans = join_all(timer->child);
    timer->child = NULL;
    loop->timers = join(loop->timers, orphans);
}

struct gh_tls_desk *loop_desk(struct gh_loop *loop)
{
    if (loop->desk == NULL)
        loop->desk = gh_tls_desk_open();
    return loop->desk;
}
