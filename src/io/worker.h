/* Workers: threads for what blocks (SQL, signatures, password hashes, files), with one bounded
 * queue in front. A full queue refuses: the caller answers "busy" at once. A job is embedded in
 * what it is about; when done it sends its own letter. Workers run at a lower priority than the
 * thread that opens them, so that loops go first, but for real-time policies. Threads: any. */
#ifndef GH_IO_WORKER_H
#define GH_IO_WORKER_H

#include "base/error.h"
#include <stddef.h>

struct gh_workers;

struct gh_job {
    struct gh_job *next;
    void (*run)(struct gh_job *job); /* on a worker thread; the job is its owner's again and may be
                                        freed in it */
};

GH_MUST_USE struct gh_workers *gh_workers_open(unsigned threads, size_t queue_max,
                                               struct gh_error *error);
/* Runs what is queued, then ends the threads: from here on every job is refused, as by a full
 * queue. For an end in which those who may still submit are closed afterwards. By one thread. */
void gh_workers_stop(struct gh_workers *workers);
/* The same, and frees them. Nobody submits any more, nor is still about to return from it. NULL is
 * none. */
void gh_workers_close(struct gh_workers *workers);
/* Never blocks for a job to end. False when `queue_max` jobs are waiting, and after a stop: the job
 * was not taken. */
GH_MUST_USE bool gh_workers_submit(struct gh_workers *workers, struct gh_job *job);
/* Jobs that wait. */
size_t gh_workers_waiting(struct gh_workers *workers);
#endif
