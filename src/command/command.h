/* Command: one message to one connected device, now or never. It is not stored and not repeated
 * after a reconnect; whoever sends it learns what became of it. This is the plain value and its
 * outcomes; finding the device's session is route/, which the sender reaches through a function
 * given to it at start.
 *
 * Memory: the sender makes the command and all it points to, and owns it again when `complete` is
 * called. Whoever holds it in between calls `complete` exactly once, with an outcome, and then
 * never touches it again. Threads: `complete` runs on whatever thread decided the outcome and must
 * not block. */
#ifndef GH_COMMAND_COMMAND_H
#define GH_COMMAND_COMMAND_H

#include "base/slice.h"

enum {
    GH_COMMAND_PAYLOAD_BYTES_MAX = 262144,
    GH_COMMAND_CHANNEL_CHARACTERS_MAX = 256,
    GH_COMMAND_ANSWER_S_MAX = 60, /* without an acknowledgement by then: TIMEOUT */
};

enum gh_command_outcome {
    GH_COMMAND_OK,            /* QoS 1: the device acknowledged it; QoS 0: the bytes were written */
    GH_COMMAND_NOT_CONNECTED, /* no session, or it ended before the device acknowledged */
    GH_COMMAND_NOT_SUBSCRIBED, /* connected, but not subscribed to its commands */
    GH_COMMAND_TIMEOUT,        /* no acknowledgement within GH_COMMAND_ANSWER_S_MAX */
    GH_COMMAND_FULL,           /* the device's queue of unacknowledged messages is full */
};

struct gh_command {
    uint64_t device;
    struct gh_slice channel; /* the subfolder; empty for none */
    struct gh_slice payload;
    void (*complete)(struct gh_command *command, enum gh_command_outcome outcome);
};

/* False when no topic can carry this channel: longer than the limit, or holding a wildcard or a
 * control character. That it is UTF-8 is the caller's to know. */
GH_MUST_USE bool gh_command_channel_valid(struct gh_slice channel);

/* "NOT_CONNECTED", and a sentence for a person. Static. */
const char *gh_command_outcome_name(enum gh_command_outcome outcome);
const char *gh_command_outcome_text(enum gh_command_outcome outcome);
#endif
