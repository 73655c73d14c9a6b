/* Memory of connections that have gone. The allocator keeps what lies between blocks that are in
 * use: after ten thousand connections some ten megabytes stay with the process for ever. So, a
 * while after many have gone, a worker has it give whole free pages back to the system. */
#include "base/time.h"
#include "io/conn_internal.h"
#include <malloc.h>

enum {
    WAIT_MS = 2000, /* for the others of a crowd */
    GONE_MIN = 256, /* fewer are not worth it */
};

static void trim(struct gh_job *job)
{
    struct gh_tidy *tidy = (struct gh_tidy *)(void *)((char *)job - offsetof(struct gh_tidy, job));
    (void)malloc_trim(0);
    atomic_store(&tidy->is_away, false);
}

static void on_time(struct gh_timer *timer)
{
    struct gh_loop *loop =
        (struct gh_loop *)(void *)((char *)timer - offsetof(struct gh_loop, tidy) -
                                   offsetof(struct gh_tidy, timer));
    size_t gone = loop->conns_peak - loop->conns_count;
    loop->conns_peak = loop->conns_count;
    if (gone < GONE_MIN || atomic_exchange(&loop->tidy.is_away, true))
        return;
    loop->tidy.job.run = trim;
    if (!gh_workers_submit(loop->tidy.workers, &loop->tidy.job))
        atomic_store(&loop->tidy.is_away, false);
}

void conn_note_here(struct gh_loop *loop)
{
    if (loop->conns_count > loop->conns_peak)
        loop->conns_peak = loop->conns_count;
}

void conn_note_gone(struct gh_conn *conn)
{
    struct gh_loop *loop = conn->loop;
    if (conn->origin->workers == NULL || loop->draining || gh_timer_is_set(&loop->tidy.timer) ||
        loop->conns_peak - loop->conns_count < GONE_MIN)
        return;
    loop->tidy.workers = conn->origin->workers;
    gh_timer_set(loop, &loop->tidy.timer, loop->now_ns + WAIT_MS * GH_MS_NS, on_time);
}
