#include "api/standing_internal.h"
#include "api/stream_internal.h"
#include "base/buffer.h"
#include "base/time.h"
#include "io/http_server.h"
#include "io/loop.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { EVENT_BYTES_MAX = 64 * 1024, NAME_MAX_BYTES = 256 };

struct listener {
    struct listener *next;
    struct gh_stream_hub *hub;
    struct gh_exchange *exchange;
    int64_t tenant;
    struct gh_slice tenant_name, registry, device;
    int64_t until_ms; /* 0: never */
    struct standing_call *standing;
    uint8_t names[3 * NAME_MAX_BYTES];
};

struct gh_stream_hub {
    pthread_mutex_t lock;
    struct listener *listeners;
    atomic_size_t count;
    struct gh_loop *loop;
    int64_t (*utc_ms)(void);
    struct gh_timer keepalive;
};

static void send_keepalive(struct gh_timer *timer);

struct gh_stream_hub *stream_hub_open(struct gh_loop *loop, int64_t (*utc_ms)(void))
{
    struct gh_stream_hub *hub = calloc(1, sizeof *hub);
    if (hub == NULL)
        return NULL;
    pthread_mutex_init(&hub->lock, NULL);
    hub->loop = loop;
    hub->utc_ms = utc_ms;
    if (loop != NULL) /* set before the loop runs */
        gh_timer_set(loop, &hub->keepalive,
                     gh_time_monotonic_ns() + STREAM_KEEPALIVE_S * GH_SECOND_NS, send_keepalive);
    return hub;
}

static void drop(struct gh_stream_hub *hub, struct listener **link)
{
    struct listener *listener = *link;
    *link = listener->next;
    atomic_fetch_sub(&hub->count, 1);
    standing_leave(listener->standing);
    gh_exchange_unref(listener->exchange);
    free(listener);
}

void stream_hub_close(struct gh_stream_hub *hub)
{
    if (hub == NULL)
        return;
    while (hub->listeners != NULL)
        drop(hub, &hub->listeners);
    pthread_mutex_destroy(&hub->lock);
    free(hub);
}

bool stream_hub_idle(const struct gh_stream_hub *hub)
{
    return atomic_load_explicit(&hub->count, memory_order_relaxed) == 0;
}

/* Moves a text into the listener's own block. */
static struct gh_slice keep(uint8_t *block, struct gh_slice text)
{
    size_t size = text.size < NAME_MAX_BYTES ? text.size : NAME_MAX_BYTES;
    if (size != 0)
        memcpy(block, text.data, size);
    return gh_slice(block, size);
}

bool stream_hub_join(struct gh_stream_hub *hub, struct gh_exchange *exchange,
                     const struct stream_scope *scope)
{
    if (atomic_load(&hub->count) >= STREAM_LISTENERS_MAX)
        return false;
    struct listener *listener = calloc(1, sizeof *listener);
    if (listener == NULL)
        return false;
    listener->hub = hub;
    listener->tenant = scope->tenant;
    listener->tenant_name = keep(listener->names, scope->tenant_name);
    listener->registry = keep(listener->names + NAME_MAX_BYTES, scope->registry);
    listener->device = keep(listener->names + 2 * (size_t)NAME_MAX_BYTES, scope->device);
    listener->until_ms = scope->until_ms;
    listener->standing = scope->standing;
    if (!gh_exchange_stream(exchange, 200, "text/event-stream")) {
        standing_leave(listener->standing);
        free(listener);
        return true; /* the peer has left already: nothing to answer */
    }
    listener->exchange = gh_exchange_ref(exchange);
    (void)!gh_exchange_send(exchange, GH_SLICE("retry: 2000\n\n"));
    pthread_mutex_lock(&hub->lock);
    listener->next = hub->listeners;
    hub->listeners = listener;
    atomic_fetch_add(&hub->count, 1);
    pthread_mutex_unlock(&hub->lock);
    return true;
}

static bool wants(const struct listener *listener, const struct stream_event *event)
{
    return (listener->tenant == 0 || listener->tenant == event->tenant) &&
           (listener->tenant_name.size == 0 ||
            gh_slice_equal(listener->tenant_name, event->tenant_name)) &&
           (listener->registry.size == 0 || gh_slice_equal(listener->registry, event->registry)) &&
           (listener->device.size == 0 || gh_slice_equal(listener->device, event->device));
}

/* Offers `text` to whoever wants it; a listener that cannot take it is at its end. */
static void offer(struct gh_stream_hub *hub, const struct stream_event *event, struct gh_slice text)
{
    int64_t now_ms = hub->utc_ms();
    pthread_mutex_lock(&hub->lock);
    for (struct listener **link = &hub->listeners; *link != NULL;) {
        struct listener *listener = *link;
        bool over = listener->until_ms != 0 && listener->until_ms <= now_ms;
        if (!over && ((event != NULL && !wants(listener, event)) ||
                      gh_exchange_send(listener->exchange, text))) {
            link = &listener->next;
            continue;
        }
        gh_exchange_finish(listener->exchange);
        drop(hub, link);
    }
    pthread_mutex_unlock(&hub->lock);
}

static void send_keepalive(struct gh_timer *timer)
{
    struct gh_stream_hub *hub =
        (struct gh_stream_hub *)(void *)((char *)timer - offsetof(struct gh_stream_hub, keepalive));
    offer(hub, NULL, GH_SLICE(": keep-alive\n\n"));
    gh_timer_set(hub->loop, timer, gh_loop_now_ns(hub->loop) + STREAM_KEEPALIVE_S * GH_SECOND_NS,
                 send_keepalive);
}

void stream_hub_send(struct gh_stream_hub *hub, const struct stream_event *event)
{
    struct gh_buffer text;
    if (stream_hub_idle(hub))
        return;
    gh_buffer_init(&text, EVENT_BYTES_MAX);
    gh_buffer_print(&text, "event: %s\ndata: ", event->name);
    gh_buffer_put(&text, event->data);
    gh_buffer_put(&text, GH_SLICE("\n\n"));
    if (!text.overflow)
        offer(hub, event, gh_buffer_slice(&text));
    gh_buffer_deinit(&text);
}
