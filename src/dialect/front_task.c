#include "dialect/front_internal.h"
#include <stdlib.h>

static struct task *task_of(struct gh_letter *letter)
{
    return (struct task *)(void *)((char *)letter - offsetof(struct task, letter));
}

void task_close(struct task *task)
{
    gh_arena_deinit(&task->arena);
    free(task);
}

/* Back on the loop. The link may have lost its connection meanwhile, but it is still there. */
static void open_task(struct gh_letter *letter)
{
    struct task *task = task_of(letter);
    struct link *link = task->link;
    struct party *party = task->party;
    link->pending--;
    task->done(task);
    task_close(task);
    party->pending--;
    gateway_forget(party);
    link_settle(link);
    link_release(link);
}

static void run_task(struct gh_job *job)
{
    struct task *task = (struct task *)job;
    task->work(task);
    gh_loop_send(task->loop, &task->letter);
}

struct task *task_open(struct link *link, size_t arena_max, void (*work)(struct task *),
                       void (*done)(struct task *))
{
    return task_open_for(&link->own, arena_max, work, done);
}

struct task *task_open_for(struct party *party, size_t arena_max, void (*work)(struct task *),
                           void (*done)(struct task *))
{
    struct link *link = party_link(party);
    struct task *task = calloc(1, sizeof *task);
    if (task == NULL)
        return NULL;
    task->job.run = run_task;
    task->letter.open = open_task;
    task->link = link;
    task->party = party;
    task->front = link_port(link)->front;
    task->loop = link_port(link)->port.loop;
    task->device = party->place.device;
    task->work = work;
    task->done = done;
    gh_arena_init(&task->arena, arena_max);
    return task;
}

bool task_start(struct task *task)
{
    task->link->pending++;
    task->party->pending++;
    if (gh_workers_submit(task->front->services.workers, &task->job))
        return true;
    task->link->pending--;
    task->party->pending--;
    task_close(task);
    return false;
}
