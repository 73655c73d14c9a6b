/* Who wants to know which messages of a subscription have been answered (acknowledged, given back,
 * or asked to be kept longer), by whatever call: the streams, whose window is open again then.
 * Google's Node library pulls by a stream and acknowledges by calls of their own.
 *
 * Listeners stand in a list per subscription, with a lock per list: an answer costs a look-up and
 * the listeners of its own subscription, however many streams others have open.
 *
 * Memory: a listener is embedded in who listens; a list lives as long as somebody is in it.
 * Threads: any, one at a time for each listener. A listener is called with its list's lock held, so
 * that it neither joins nor leaves there, and is called no more once it has left. */
#ifndef GH_DIALECT_GOOGLE_ANSWERS_H
#define GH_DIALECT_GOOGLE_ANSWERS_H

#include "base/slice.h"

struct google_answers;
struct google_answers_list;

struct google_answer {
    const struct gh_slice *ack_ids;
    size_t count;
    int64_t deadline_s; /* 0: the messages are done with; else they are kept for as long */
};

struct google_listener {
    void (*answered)(struct google_listener *listener, const struct google_answer *answer);
    /* The module's own. */
    struct google_answers_list *list; /* NULL: it listens to nothing */
    struct google_listener *next, **place;
};

/* NULL when there is no memory. */
struct google_answers *google_answers_open(void);
/* Everybody has left. NULL is fine. */
void google_answers_close(struct google_answers *answers);
/* A listener that listens already goes on as it does. False: no memory, it hears nothing. */
GH_MUST_USE bool google_answers_join(struct google_answers *answers, int64_t tenant,
                                     struct gh_slice subscription,
                                     struct google_listener *listener);
/* Waits for the call at hand. One that listens to nothing is fine. */
void google_answers_leave(struct google_answers *answers, struct google_listener *listener);
/* Does nothing when `answers` is NULL. */
void google_answers_tell(struct google_answers *answers, int64_t tenant,
                         struct gh_slice subscription, const struct google_answer *answer);
#endif
