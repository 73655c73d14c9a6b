#include "observe/trace.h"
#include "api/call_internal.h"
#include "api/standing_internal.h"
#include "api/trace_internal.h"
#include "base/time.h"
#include "io/loop.h"
#include "observe/trail.h"
#include "route/sessions.h"
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* GET …/devices/{d}/trace: the packets of a device as server-sent events, `packet` for each and
 * `dropped` for those that the reader was too slow for. That somebody reads is written to the
 * device's trail, at its beginning and its end, with the operator's name. */

enum { EVENT_BYTES_MAX = GH_TRACE_LINE_BYTES_MAX + 64, NAMES_BYTES_MAX = 1024 };

struct trace_stream {
    struct trace_stream *next;
    struct trace_streams *streams;
    struct gh_exchange *exchange;
    struct gh_tracer *tracer;
    struct standing_call *standing;
    uint64_t device;
    int64_t until_ms; /* when the reader's token ends; 0: never */
    struct gh_slice tenant, registry, device_id, caller, address; /* in `names` */
    char names[NAMES_BYTES_MAX];
};

struct trace_streams {
    struct gh_api_services services;
    pthread_mutex_t lock; /* guards the list */
    struct trace_stream *first;
    struct gh_timer keepalive;
};

/* Nothing is told any more once the reader's token has ended. */
static bool send(const struct trace_stream *stream, struct gh_slice text)
{
    if (stream->until_ms == 0 || stream->until_ms > stream->streams->services.utc_ms())
        return gh_exchange_send(stream->exchange, text);
    gh_exchange_finish(stream->exchange);
    return false;
}

static void send_keepalive(struct gh_timer *timer)
{
    struct trace_streams *streams =
        (struct trace_streams *)(void *)((char *)timer - offsetof(struct trace_streams, keepalive));
    struct gh_loop *loop = streams->services.loop;
    pthread_mutex_lock(&streams->lock);
    for (const struct trace_stream *stream = streams->first; stream != NULL; stream = stream->next)
        (void)!send(stream, GH_SLICE(": keep-alive\n\n"));
    pthread_mutex_unlock(&streams->lock);
    gh_timer_set(loop, timer, gh_loop_now_ns(loop) + STREAM_KEEPALIVE_S * GH_SECOND_NS,
                 send_keepalive);
}

struct trace_streams *trace_streams_open(const struct gh_api_services *services)
{
    struct trace_streams *streams = calloc(1, sizeof *streams);
    if (streams == NULL)
        return NULL;
    streams->services = *services;
    pthread_mutex_init(&streams->lock, NULL);
    if (services->loop != NULL) /* set before the loop runs */
        gh_timer_set(services->loop, &streams->keepalive,
                     gh_time_monotonic_ns() + STREAM_KEEPALIVE_S * GH_SECOND_NS, send_keepalive);
    return streams;
}

static void note(const struct trace_stream *stream, const char *what)
{
    const struct gh_api_services *services = &stream->streams->services;
    gh_trail_note(services->trail, &(struct gh_trail_entry){.at_ms = services->utc_ms(),
                                                            .device = stream->device,
                                                            .tenant = stream->tenant,
                                                            .registry = stream->registry,
                                                            .device_id = stream->device_id,
                                                            .kind = GH_TRAIL_OPERATOR,
                                                            .reason = gh_slice_text(what),
                                                            .detail = stream->caller,
                                                            .address = stream->address});
}

/* The peer has gone: on its loop, or at once when it went before. */
static void end(void *context)
{
    struct trace_stream *stream = context;
    struct trace_streams *streams = stream->streams;
    gh_traces_leave(streams->services.traces, stream->tracer);
    gh_sessions_order(streams->services.sessions, stream->device, GH_ORDER_TRACE);
    note(stream, "TRACE_ENDED");
    pthread_mutex_lock(&streams->lock);
    struct trace_stream **at = &streams->first;
    while (*at != stream)
        at = &(*at)->next;
    *at = stream->next;
    pthread_mutex_unlock(&streams->lock);
    standing_leave(stream->standing);
    gh_exchange_unref(stream->exchange);
    free(stream);
}

void trace_streams_close(struct trace_streams *streams)
{
    if (streams == NULL)
        return;
    while (streams->first != NULL) {
        struct trace_stream *stream = streams->first;
        streams->first = stream->next;
        gh_traces_leave(streams->services.traces, stream->tracer);
        standing_leave(stream->standing);
        gh_exchange_unref(stream->exchange);
        free(stream);
    }
    pthread_mutex_destroy(&streams->lock);
    free(streams);
}

static bool send_line(void *context, struct gh_slice line)
{
    struct trace_stream *stream = context;
    struct gh_buffer event;
    bool is_note = gh_slice_starts(line, GH_SLICE("{\"dropped\""));
    gh_buffer_init(&event, EVENT_BYTES_MAX);
    gh_buffer_print(&event, "event: %s\ndata: ", is_note ? "dropped" : "packet");
    gh_buffer_put(&event, line);
    gh_buffer_put(&event, GH_SLICE("\n\n"));
    bool sent = !event.overflow && send(stream, gh_buffer_slice(&event));
    gh_buffer_deinit(&event);
    return sent;
}

static struct gh_slice keep(struct gh_buffer *names, struct gh_slice text)
{
    size_t at = names->size;
    return gh_buffer_put(names, text) ? gh_slice(names->data + at, text.size)
                                      : (struct gh_slice){0};
}

static struct trace_stream *open_stream(struct call *call, const struct gh_device *device,
                                        bool payloads)
{
    struct trace_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL)
        return NULL;
    struct gh_buffer names = gh_buffer_fixed(stream->names, sizeof stream->names);
    const char *caller = gh_arena_print(call->arena, "%.*s%s", GH_PRINT(call->caller.name),
                                        payloads ? ", with payloads" : "");
    stream->streams = call->api->trace_streams;
    stream->device = device->number;
    stream->until_ms = call->caller.expires_at_ms;
    stream->tenant = keep(&names, device->tenant_name);
    stream->registry = keep(&names, device->registry_name);
    stream->device_id = keep(&names, device->id);
    stream->address = keep(&names, gh_slice_text(call->request->peer));
    stream->caller = keep(&names, gh_slice_text(caller));
    stream->exchange = gh_exchange_ref(call->exchange);
    return stream;
}

/* Orders the device's connections to tell their packets, and only then says that it traces: what
 * the reader has a device do after that is not missed. From here on the stream ends itself. */
static void begin(struct trace_stream *stream)
{
    struct trace_streams *streams = stream->streams;
    pthread_mutex_lock(&streams->lock);
    stream->next = streams->first;
    streams->first = stream;
    pthread_mutex_unlock(&streams->lock);
    note(stream, "TRACE_BEGAN");
    (void)gh_exchange_stream(stream->exchange, 200, "text/event-stream");
    gh_sessions_order(streams->services.sessions, stream->device, GH_ORDER_TRACE);
    (void)!gh_exchange_send(stream->exchange, GH_SLICE(": tracing\n\n"));
    gh_exchange_on_gone(stream->exchange, end, stream);
}

enum gh_error_code api_trace(struct call *call)
{
    struct gh_device device;
    struct gh_slice asked = call_query(call, "payloads");
    bool payloads = gh_slice_equal(asked, GH_SLICE("true"));
    enum gh_error_code code = call_device(call, &device);
    if (code != GH_OK)
        return code;
    if (asked.size > 0 && !payloads && !gh_slice_equal(asked, GH_SLICE("false")))
        return call_fail(call, GH_ERROR_INVALID, "payloads is true or false");
    struct trace_stream *stream = open_stream(call, &device, payloads);
    if (stream == NULL)
        return call_fail(call, GH_ERROR_MEMORY, "trace");
    stream->standing = standing_join(call->api->standing, call);
    stream->tracer =
        gh_traces_join(call->api->services.traces, device.number, payloads, send_line, stream);
    if (stream->standing == NULL || stream->tracer == NULL) {
        if (stream->tracer != NULL)
            gh_traces_leave(call->api->services.traces, stream->tracer);
        standing_leave(stream->standing);
        gh_exchange_unref(stream->exchange);
        free(stream);
        return call_fail(call, GH_ERROR_LIMIT, "there are %d traces already", GH_TRACE_READERS_MAX);
    }
    call->taken = true;
    begin(stream);
    return GH_OK;
}
