/* Push: sends the messages of subscriptions that have a push configuration to their endpoints, each
 * as one HTTPS request, and acknowledges those that are answered with 102, 200, 201, 202 or 204;
 * anything else, or no answer within the ack deadline, gives the message back.
 *
 * Where to: only to hosts that the operator has listed, so that nobody who may make subscriptions
 * makes the server ask its neighbours. Who it is: with an OIDC token of our own
 * (identity/access.h), which the receiver verifies by the published keys.
 *
 * Pace: a subscription has a window of messages under way, which begins at 1, grows with answers
 * and halves with failures; a subscription without a retry policy of its own rests between failures
 * from 100 ms, doubling to 60 s. Senders are threads that block: as many requests are under way at
 * a time as there are of them, over all subscriptions; what waits for one is bounded by the
 * windows.
 *
 * Memory: its own. Threads: any; its own are started at open and ended at close. */
#ifndef GH_DIALECT_GOOGLE_PUSH_H
#define GH_DIALECT_GOOGLE_PUSH_H

#include "base/error.h"
#include "base/slice.h"
#include <stddef.h>
#include <stdint.h>

struct gh_access;
struct gh_directory;
struct gh_google_push;
struct gh_pubsub;

enum {
    GH_GOOGLE_PUSH_SENDERS = 8,
    GH_GOOGLE_PUSH_WINDOW_MAX = 100, /* messages of one subscription under way */
};

struct gh_google_push_options {
    struct gh_pubsub *pubsub; /* outlives it, as the others */
    struct gh_directory *directory;
    struct gh_access *access; /* NULL: no tokens */
    const char *const *hosts; /* "host", "host:port"; outlive it */
    size_t hosts_count;
    const char *ca_path; /* trust anchors, read by each sender at its start; NULL: the system's */
    int64_t (*utc_ms)(void);
};

GH_MUST_USE struct gh_google_push *gh_google_push_open(const struct gh_google_push_options *options,
                                                       struct gh_error *error);
/* Before the pubsub is closed. Waits for requests under way. NULL is fine. */
void gh_google_push_close(struct gh_google_push *push);
/* Whether messages may go there; INVALID when it is no https URL, PRECONDITION when its host is not
 * listed or `push` is NULL. */
GH_MUST_USE enum gh_error_code gh_google_push_allows(const struct gh_google_push *push,
                                                     struct gh_slice url, struct gh_error *error);
/* Subscriptions have changed: they are looked at again. NULL is fine. Never blocks. */
void gh_google_push_look(struct gh_google_push *push);
#endif
