/* The inside of push: who is served when (push.c), and what one request says (push_request.c). */
#ifndef GH_DIALECT_GOOGLE_PUSH_INTERNAL_H
#define GH_DIALECT_GOOGLE_PUSH_INTERNAL_H

#include "base/arena.h"
#include "dialect/google/push.h"
#include "pubsub/pubsub.h"

/* One message to one endpoint, ready for gh_http_client_call. Everything is the arena's. */
struct google_push_request {
    const char *url;
    const char **headers; /* NULL at its end */
    struct gh_slice body;
};

struct google_push_message {
    const struct gh_received *received;
    struct gh_slice config;       /* as rest_push.c keeps it */
    struct gh_slice subscription; /* "projects/p/subscriptions/s" */
    bool has_attempts;            /* deliveryAttempt is told */
};

/* Whether the URL is an https one of a listed host. */
GH_MUST_USE enum gh_error_code google_push_allows(const struct gh_google_push_options *options,
                                                  struct gh_slice url, struct gh_error *error);

GH_MUST_USE enum gh_error_code
google_push_request_make(const struct gh_google_push_options *options,
                         const struct google_push_message *message, struct gh_arena *arena,
                         struct google_push_request *out, struct gh_error *error);
#endif
