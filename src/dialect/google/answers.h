/* Who wants to know which messages have been answered (acknowledged, given back, or asked to be
 * kept longer), by whatever call: the streams, whose window is open again then. Google's Node
 * library pulls by a stream and acknowledges by calls of their own.
 *
 * Memory: a listener is embedded in who listens. Threads: any; a listener is called with the lock
 * held, so it neither adds nor removes one, and is called no more once it is removed. */
#ifndef GOOGLE_ANSWERS_H
#define GOOGLE_ANSWERS_H

#include "base/slice.h"
#include <stddef.h>
#include <stdint.h>

struct google_answers;

struct google_listener {
    struct google_listener *next, **place;
    /* `deadline_s` 0: they are done with; else they are kept for as long. */
    void (*answered)(struct google_listener *listener, const struct gh_slice ack_ids[],
                     size_t count, int64_t deadline_s);
};

/* NULL when there is no memory. */
struct google_answers *google_answers_open(void);
/* Nobody listens any more. NULL is fine. */
void google_answers_close(struct google_answers *answers);
/* All of these do nothing when `answers` is NULL. */
void google_answers_add(struct google_answers *answers, struct google_listener *listener);
void google_answers_remove(struct google_answers *answers, struct google_listener *listener);
void google_answers_tell(struct google_answers *answers, const struct gh_slice ack_ids[],
                         size_t count, int64_t deadline_s);
#endif
