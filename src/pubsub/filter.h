/* Filters of subscriptions over the attributes of messages, in Pub/Sub's filter language:
 *
 *   attributes:KEY                      the attribute is there
 *   attributes.KEY = "value"            it has that value; != it has not, or is not there
 *   hasPrefix(attributes.KEY, "value")  its value begins so
 *   NOT x, -x, x AND y, x OR y, (x)     AND and OR are mixed with parentheses only
 *
 * KEY is a word of letters, digits, '-' and '_', or a text in quotes; in quotes a backslash takes
 * the next character as it is. A filter is read once, into a flat list of steps that refers to a
 * copy of its text; asking it costs a walk over the steps. No I/O. Memory: opened and closed by the
 * caller. Threads: a filter never changes. */
#ifndef GH_PUBSUB_FILTER_H
#define GH_PUBSUB_FILTER_H

#include "pubsub/message.h"

enum {
    GH_FILTER_BYTES_MAX = 256,
    GH_FILTER_DEPTH_MAX = 32, /* of parentheses and negations */
};

struct gh_filter;

/* NULL with GH_ERROR_INVALID, which says where it is wrong, or MEMORY. */
GH_MUST_USE struct gh_filter *gh_filter_open(struct gh_slice text, struct gh_error *error);
void gh_filter_close(struct gh_filter *filter);
bool gh_filter_matches(const struct gh_filter *filter, const struct gh_message *message);
#endif
