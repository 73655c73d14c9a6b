/* The back end as a client of the public API: pulls telemetry, runs the core, sends commands,
 * publishes zones.
 *
 * Speaks the Google dialect's REST for messages and commands and the native API for zones, through
 * a transport that the program gives (HTTPS) or a test plays. One turn does a bounded amount of
 * work and never waits by itself; it says when the next is due. Order within a turn is what makes
 * restarts safe: telemetry is acknowledged after it is in the core, and the core is on disk before
 * a command leaves. What may go wrong has one line in the log when it begins, one a minute while it
 * lasts, one when it is over. Memory: the service's. Threads: one at a time. */
#ifndef GH_CLIMATE_SERVICE_H
#define GH_CLIMATE_SERVICE_H

#include "base/buffer.h"
#include "base/error.h"

struct gh_service_options {
    const char *project, *location, *registry, *tenant, *subscription;
    const char *state_file;
};

/* One call: `path` begins with '/', `body` may be empty. OK and `*status` when an HTTP answer came,
 * appended to `answer`; else why none came. */
struct gh_service_transport {
    enum gh_error_code (*call)(void *context, const char *method, const char *path,
                               struct gh_slice body, struct gh_buffer *answer, int *status,
                               struct gh_error *error);
};

struct gh_service;

/* Reads the state file when there is one. NULL with `error` when it cannot be used. Options and
 * transport are borrowed. */
GH_MUST_USE struct gh_service *gh_service_open(const struct gh_service_options *options,
                                               const struct gh_service_transport *transport,
                                               void *context, struct gh_error *error);
/* Saves what is not saved. */
void gh_service_close(struct gh_service *service);

/* One turn at UTC `now_ms`; returns the milliseconds until the next. */
int64_t gh_service_turn(struct gh_service *service, int64_t now_ms);

/* Counters for a status line. */
struct gh_service_counts {
    uint64_t messages, refused_messages, commands, failed_calls;
};
struct gh_service_counts gh_service_counts(const struct gh_service *service);
#endif
