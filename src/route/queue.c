#include "route/queue.h"
#include <assert.h>
#include <stdlib.h>

enum { CAPACITY_FIRST = 4 };

static_assert(sizeof(struct gh_queue_entry) == 32, "a hundred thousand queues hold these");

void gh_queue_init(struct gh_queue *queue, size_t span_max)
{
    assert(span_max >= 1 && span_max <= UINT64_C(1) << 31);
    *queue = (struct gh_queue){.head = 1, .tail = 1, .span_max = (uint32_t)span_max};
}

void gh_queue_deinit(struct gh_queue *queue)
{
    free(queue->ring);
    queue->ring = NULL;
    queue->head = queue->tail;
    queue->count = queue->capacity = 0;
}

static struct gh_queue_entry *slot(const struct gh_queue *queue, uint64_t seq)
{
    return &queue->ring[seq & (queue->capacity - 1)];
}

/* A ring for all numbers from `head` on and before `tail`, which has the present entries in it. */
static bool widen(struct gh_queue *queue, uint64_t head, uint64_t tail)
{
    uint32_t capacity = queue->capacity == 0 ? CAPACITY_FIRST : queue->capacity;
    struct gh_queue wide = {.head = head, .tail = tail};

    if (tail - head > queue->span_max)
        return false;
    while (capacity < tail - head)
        capacity *= 2;
    if (capacity != queue->capacity) {
        wide.ring = calloc(capacity, sizeof *wide.ring);
        if (wide.ring == NULL)
            return false;
        wide.capacity = capacity;
        for (uint64_t seq = queue->head; seq < queue->tail; seq++)
            *slot(&wide, seq) = *slot(queue, seq);
        free(queue->ring);
        queue->ring = wide.ring;
        queue->capacity = capacity;
    }
    queue->head = head;
    queue->tail = tail;
    return true;
}

static void set(struct gh_queue *queue, uint64_t seq, const struct gh_queue_entry *entry)
{
    assert(entry->state != GH_QUEUE_NONE);
    assert(slot(queue, seq)->state == GH_QUEUE_NONE);
    *slot(queue, seq) = *entry;
    queue->count++;
}

uint64_t gh_queue_push(struct gh_queue *queue, const struct gh_queue_entry *entry)
{
    uint64_t seq = queue->tail;
    if (!widen(queue, queue->head, seq + 1))
        return 0;
    set(queue, seq, entry);
    return seq;
}

bool gh_queue_restore(struct gh_queue *queue, uint64_t seq, const struct gh_queue_entry *entry)
{
    uint64_t head = queue->count == 0 || seq < queue->head ? seq : queue->head;
    uint64_t tail = seq >= queue->tail ? seq + 1 : queue->tail;

    assert(seq >= 1 && seq < UINT64_MAX);
    if (!widen(queue, head, tail))
        return false;
    set(queue, seq, entry);
    return true;
}

bool gh_queue_resume(struct gh_queue *queue, uint64_t next)
{
    if (next <= queue->tail)
        return true;
    if (queue->count == 0) {
        queue->head = queue->tail = next;
        return true;
    }
    return widen(queue, queue->head, next);
}

struct gh_queue_entry *gh_queue_entry(const struct gh_queue *queue, uint64_t seq)
{
    if (seq < queue->head || seq >= queue->tail)
        return NULL;
    struct gh_queue_entry *entry = slot(queue, seq);
    return entry->state == GH_QUEUE_NONE ? NULL : entry;
}

bool gh_queue_done(struct gh_queue *queue, uint64_t seq, struct gh_queue_entry *before)
{
    struct gh_queue_entry *entry = gh_queue_entry(queue, seq);
    if (entry == NULL)
        return false;
    if (before != NULL)
        *before = *entry;
    *entry = (struct gh_queue_entry){0};
    if (--queue->count == 0)
        gh_queue_deinit(queue);
    else
        while (slot(queue, queue->head)->state == GH_QUEUE_NONE)
            queue->head++;
    return true;
}

struct gh_queue_entry *gh_queue_next(const struct gh_queue *queue, uint64_t *seq)
{
    if (*seq < queue->head)
        *seq = queue->head;
    for (; *seq < queue->tail; ++*seq) {
        struct gh_queue_entry *entry = slot(queue, *seq);
        if (entry->state != GH_QUEUE_NONE)
            return entry;
    }
    *seq = queue->tail;
    return NULL;
}

size_t gh_queue_count(const struct gh_queue *queue)
{
    return queue->count;
}

size_t gh_queue_bytes(const struct gh_queue *queue)
{
    return queue->capacity * sizeof *queue->ring;
}
