/* Reach: can a device ever publish, or receive, a message on one of these topics? Where
 * gh_statements_allow answers for one topic, this answers for all of them at once, by walking the
 * patterns as automata: a topic is received when `receive` allows it and some filter that matches
 * it may be subscribed to, a shared one too. An answer of POSSIBLE comes with the topic and the
 * filter, which gh_statements_allow allows; NEVER is a proof over all topics and filters. The walk
 * is bounded; where the bound is reached the answer is UNKNOWN.
 *
 * The answer is about the variables that the statements were compiled with, the client id too. That
 * the device may connect is asked for separately.
 *
 * Pure: no I/O. Memory: results live in the caller's arena or are borrowed from the statements.
 * Threads: any. */
#ifndef GH_POLICY_REACH_H
#define GH_POLICY_REACH_H

#include "base/arena.h"
#include "policy/statement.h"

enum {
    GH_REACH_NODES_MAX = 32 * 1024,         /* letters and wildcards of all patterns together */
    GH_REACH_STATES_MAX = 200 * 1000,       /* looked at for one answer */
    GH_REACH_BYTES_MAX = 64 << 20,          /* of memory for them */
    GH_REACH_BYPASSES_MAX = 32,             /* named by one call */
    GH_REACH_BYPASS_STATES_MAX = 20 * 1000, /* looked at for each Deny */
};

enum gh_reach_answer { GH_REACH_NEVER, GH_REACH_POSSIBLE, GH_REACH_UNKNOWN };
/* "never", "possible", "unknown"; static. */
const char *gh_reach_answer_name(enum gh_reach_answer answer);

struct gh_reach {
    enum gh_reach_answer answer;
    struct gh_slice topic;  /* POSSIBLE: one of the topics, as short as there is */
    struct gh_slice filter; /* and for `receive` the subscription that brings it */
};

/* `action` is PUBLISH or RECEIVE; `topics` a topic, or a filter for all topics that it matches.
 * INVALID for another action, for what is no filter and for $share/…; MEMORY. */
GH_MUST_USE enum gh_error_code gh_statements_reach(const struct gh_statements *statements,
                                                   enum gh_device_action action,
                                                   struct gh_slice topics, struct gh_arena *arena,
                                                   struct gh_reach *out, struct gh_error *error);

/* A Deny on filters, and a subscription that brings messages of those filters all the same. */
struct gh_reach_bypass {
    struct gh_policy_reason deny; /* which statement */
    struct gh_slice topic, filter;
};
struct gh_reach_bypasses {
    size_t count, unknown; /* unknown: statements for which the bound was reached */
    struct gh_reach_bypass items[GH_REACH_BYPASSES_MAX];
};

/* Every Deny of `subscribe` that another allowed subscription passes by; one finding a statement. A
 * Deny of a filter that begins with + or #, or has one behind a star at its beginning, is passed
 * over: it is there to stop wide filters and leave narrow ones. Deny with NotResource is not looked
 * at. MEMORY. */
GH_MUST_USE enum gh_error_code gh_statements_bypasses(const struct gh_statements *statements,
                                                      struct gh_arena *arena,
                                                      struct gh_reach_bypasses *out,
                                                      struct gh_error *error);
#endif
