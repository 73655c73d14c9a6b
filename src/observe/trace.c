#include "observe/trace.h"
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct gh_tracer {
    struct gh_tracer *next;
    uint64_t device;
    bool payloads;
    gh_tracer_fn *fn;
    void *context;
    size_t dropped; /* since the last line that was taken */
};

struct gh_traces {
    pthread_mutex_t lock;
    struct gh_tracer *readers; /* few: a list is walked for each packet of a traced device */
    atomic_size_t count;
};

struct gh_traces *gh_traces_open(void)
{
    struct gh_traces *traces = calloc(1, sizeof *traces);
    if (traces != NULL)
        pthread_mutex_init(&traces->lock, NULL);
    return traces;
}

void gh_traces_close(struct gh_traces *traces)
{
    if (traces == NULL)
        return;
    assert(traces->readers == NULL);
    pthread_mutex_destroy(&traces->lock);
    free(traces);
}

struct gh_tracer *gh_traces_join(struct gh_traces *traces, uint64_t device, bool payloads,
                                 gh_tracer_fn *fn, void *context)
{
    struct gh_tracer *tracer = calloc(1, sizeof *tracer);
    if (tracer == NULL)
        return NULL;
    pthread_mutex_lock(&traces->lock);
    bool room = atomic_load(&traces->count) < GH_TRACE_READERS_MAX;
    if (room) {
        *tracer = (struct gh_tracer){.next = traces->readers,
                                     .device = device,
                                     .payloads = payloads,
                                     .fn = fn,
                                     .context = context};
        traces->readers = tracer;
        atomic_fetch_add(&traces->count, 1);
    }
    pthread_mutex_unlock(&traces->lock);
    if (room)
        return tracer;
    free(tracer);
    return NULL;
}

void gh_traces_leave(struct gh_traces *traces, struct gh_tracer *tracer)
{
    pthread_mutex_lock(&traces->lock);
    struct gh_tracer **at = &traces->readers;
    while (*at != tracer)
        at = &(*at)->next;
    *at = tracer->next;
    atomic_fetch_sub(&traces->count, 1);
    pthread_mutex_unlock(&traces->lock);
    free(tracer);
}

bool gh_traces_any(const struct gh_traces *traces)
{
    return traces != NULL && atomic_load_explicit(&traces->count, memory_order_relaxed) > 0;
}

/* How a device is read. */
enum { READ = 1, READ_PAYLOADS = 2, READ_WITHOUT = 4 };

static unsigned how_read(struct gh_traces *traces, uint64_t device)
{
    unsigned how = 0;
    pthread_mutex_lock(&traces->lock);
    for (const struct gh_tracer *tracer = traces->readers; tracer != NULL; tracer = tracer->next)
        if (tracer->device == device)
            how |= READ | (tracer->payloads ? READ_PAYLOADS : READ_WITHOUT);
    pthread_mutex_unlock(&traces->lock);
    return how;
}

bool gh_traces_wants(struct gh_traces *traces, uint64_t device)
{
    return gh_traces_any(traces) && how_read(traces, device) != 0;
}

static bool take(struct gh_tracer *tracer, struct gh_slice line)
{
    char text[48];
    struct gh_buffer note = gh_buffer_fixed(text, sizeof text);
    if (tracer->dropped > 0) {
        gh_buffer_print(&note, "{\"dropped\":%zu}", tracer->dropped);
        if (!tracer->fn(tracer->context, gh_buffer_slice(&note)))
            return false;
        tracer->dropped = 0;
    }
    return tracer->fn(tracer->context, line);
}

/* Offers the line to the readers of that sort. */
static void offer(struct gh_traces *traces, uint64_t device, unsigned sort, struct gh_slice line)
{
    pthread_mutex_lock(&traces->lock);
    for (struct gh_tracer *tracer = traces->readers; tracer != NULL; tracer = tracer->next)
        if (tracer->device == device &&
            (sort & (tracer->payloads ? READ_PAYLOADS : READ_WITHOUT)) != 0 &&
            (line.size == 0 || !take(tracer, line)))
            tracer->dropped++;
    pthread_mutex_unlock(&traces->lock);
}

static void offer_packet(struct gh_traces *traces, uint64_t device, unsigned sort,
                         const struct gh_trace_packet *packet)
{
    struct gh_buffer line;
    gh_buffer_init(&line, GH_TRACE_LINE_BYTES_MAX);
    bool made = gh_trace_line(packet, sort == READ_PAYLOADS, &line);
    offer(traces, device, sort, made ? gh_buffer_slice(&line) : (struct gh_slice){0});
    gh_buffer_deinit(&line);
}

void gh_traces_packet(struct gh_traces *traces, uint64_t device,
                      const struct gh_trace_packet *packet)
{
    static const unsigned sorts[] = {READ_PAYLOADS, READ_WITHOUT};
    unsigned how = gh_traces_any(traces) ? how_read(traces, device) : 0;
    for (size_t i = 0; i < GH_COUNT(sorts); i++)
        if (how & sorts[i])
            offer_packet(traces, device, sorts[i], packet);
}

void gh_traces_line(struct gh_traces *traces, uint64_t device, struct gh_slice line)
{
    if (gh_traces_any(traces))
        offer(traces, device, READ_PAYLOADS | READ_WITHOUT, line);
}
