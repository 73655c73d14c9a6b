/* Changes of stored sessions on their way to the journal: what one loop changes in one turn goes as
 * one record. A record that could not be written (the disk is full) is kept and written again; who
 * waited for it is told at once that it is not safe. */
#include "base/log.h"
#include "base/time.h"
#include "route/broker_internal.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    BATCH_BYTES = 256 * 1024, /* a fuller one is written before the turn ends */
    KEPT_BYTES_MAX = 64 << 20,
};
#define RETRY_NS GH_SECOND_NS

struct batch {
    struct gh_append append; /* first */
    struct port *port;
    struct gh_buffer changes;
    struct waiter *waiters, **last;
};

static struct batch *open_batch(struct port *port)
{
    struct batch *batch = port->batch;
    if (batch != NULL)
        return batch;
    batch = calloc(1, sizeof *batch);
    if (batch == NULL)
        return NULL;
    batch->port = port;
    batch->last = &batch->waiters;
    gh_buffer_init(&batch->changes, SIZE_MAX / 2);
    port->batch = batch;
    return batch;
}

static void call_waiters(struct batch *batch, bool stored)
{
    struct waiter *waiter = batch->waiters;
    batch->waiters = NULL;
    for (struct waiter *next; waiter != NULL; waiter = next) {
        next = waiter->next;
        waiter->call(waiter, stored);
    }
}

static void free_batch(struct batch *batch)
{
    gh_buffer_deinit(&batch->changes);
    free(batch);
}

static void retry(struct gh_timer *timer)
{
    struct port *port = (struct port *)((char *)timer - offsetof(struct port, retry));
    port_flush(port);
}

static void keep(struct port *port, struct batch *batch)
{
    struct gh_slice changes = gh_buffer_slice(&batch->changes);
    if (port->kept.size + changes.size > KEPT_BYTES_MAX || !gh_buffer_put(&port->kept, changes))
        gh_log(GH_LOG_ERROR, "broker",
               "the journal of MQTT sessions cannot be written and too much waits for it: after a "
               "restart, messages that were acknowledged by their receivers may be sent again");
    port->kept.overflow = false;
    if (!atomic_load(&port->broker->stopped))
        gh_timer_set(port->loop, &port->retry, gh_time_monotonic_ns() + RETRY_NS, retry);
}

static void flush_soon(struct port *port);

/* What follows a batch that failed is written again behind it, although it is stored: the order of
 * changes is the order of the last time that they were written. */
static void settled(struct gh_letter *letter)
{
    struct batch *batch = (struct batch *)letter;
    struct port *port = batch->port;
    bool stored = batch->append.result == GH_OK && port->kept.size == 0;
    port->batches_flying--;
    if (!stored)
        keep(port, batch);
    call_waiters(batch, stored);
    free_batch(batch);
    if (port->batches_flying == 0 && port->kept.size > 0 && port->batch != NULL)
        flush_soon(port);
}

static void send_to_loop(void *context, struct gh_letter *done)
{
    gh_loop_send(context, done);
}

static void give_up(struct port *port, struct batch *batch)
{
    keep(port, batch);
    call_waiters(batch, false);
    free_batch(batch);
}

void port_flush(struct port *port)
{
    struct batch *batch = port->batch;
    if (port->kept.size > 0 && port->batches_flying > 0)
        return; /* what still flies is older; its end comes back here */
    if (port->kept.size > 0 && (batch != NULL || (batch = open_batch(port)) != NULL)) {
        struct gh_buffer later = batch->changes; /* what is older comes first */
        batch->changes = port->kept;
        gh_buffer_init(&port->kept, SIZE_MAX / 2);
        gh_buffer_put(&batch->changes, gh_buffer_slice(&later));
        gh_buffer_deinit(&later);
    }
    if (batch == NULL)
        return;
    port->batch = NULL;
    batch->append = (struct gh_append){.done.open = settled,
                                       .reply = send_to_loop,
                                       .reply_context = port->loop,
                                       .tag = GH_JOURNAL_CHANGES,
                                       .body = gh_buffer_slice(&batch->changes)};
    port->batches_flying++;
    if (!atomic_load(&port->broker->stopped) && gh_log_append(port->broker->log, &batch->append))
        return;
    port->batches_flying--;
    give_up(port, batch);
}

static void flush_letter(struct gh_letter *letter)
{
    struct port *port = (struct port *)((char *)letter - offsetof(struct port, flush));
    port->flush_sent = false;
    port_flush(port);
}

static void flush_soon(struct port *port)
{
    if (port->flush_sent || atomic_load(&port->broker->stopped))
        return;
    port->flush_sent = true;
    port->flush.open = flush_letter;
    gh_loop_send(port->loop, &port->flush);
}

void port_change(struct port *port, const struct gh_journal_change *change)
{
    struct batch *batch = open_batch(port);
    if (batch == NULL || !gh_journal_write(&batch->changes, change)) {
        gh_log(GH_LOG_ERROR, "broker", "no memory for a change of a stored MQTT session");
        return;
    }
    if (batch->changes.size >= BATCH_BYTES)
        port_flush(port);
    else
        flush_soon(port);
}

void port_wait(struct port *port, struct waiter *waiter)
{
    waiter->next = NULL;
    if (port->batch == NULL && port->batches_flying == 0 && port->kept.size == 0) {
        waiter->call(waiter, true);
        return;
    }
    struct batch *batch = open_batch(port); /* perhaps an empty one, behind those that fly */
    if (batch == NULL) {
        waiter->call(waiter, false);
        return;
    }
    *batch->last = waiter;
    batch->last = &waiter->next;
    flush_soon(port);
}

void port_close(struct port *port)
{
    if (port->batch != NULL)
        give_up(port, port->batch);
    gh_buffer_deinit(&port->kept);
    gh_buffer_deinit(&port->key);
    gh_map_deinit(&port->matches);
    free(port->identifiers);
    free(port->received);
}
