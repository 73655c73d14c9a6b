/* What gRPC says beside HTTP/2 and protobuf ("gRPC over HTTP2", the protocol's description): the
 * prefix of a message, the text of a deadline, and the text of a status. Holds no state and does no
 * I/O. Memory: slices borrow from the input. Threads: any. */
#ifndef GH_WIRE_GRPC_H
#define GH_WIRE_GRPC_H

#include "base/buffer.h"

enum {
    GH_GRPC_PREFIX_BYTES = 5,
    GH_GRPC_STATUS_TEXT_MAX = 1024, /* of a status' text before it is encoded; cut above */
};

/* google.rpc.Code, as in the trailer grpc-status. */
enum gh_grpc_status {
    GH_GRPC_OK = 0,
    GH_GRPC_CANCELLED = 1,
    GH_GRPC_UNKNOWN = 2,
    GH_GRPC_INVALID_ARGUMENT = 3,
    GH_GRPC_DEADLINE_EXCEEDED = 4,
    GH_GRPC_RESOURCE_EXHAUSTED = 8,
    GH_GRPC_UNIMPLEMENTED = 12,
    GH_GRPC_INTERNAL = 13,
    GH_GRPC_UNAVAILABLE = 14,
    GH_GRPC_UNAUTHENTICATED = 16,
};

enum gh_grpc_read {
    GH_GRPC_MESSAGE,
    GH_GRPC_MORE,       /* nothing was consumed */
    GH_GRPC_TOO_LARGE,  /* known once the prefix is there */
    GH_GRPC_COMPRESSED, /* no encoding was agreed on: identity is the only one here */
    GH_GRPC_MALFORMED,  /* the flag is neither 0 nor 1 */
};

/* Reads the message at the start of `in`; `*out` is its body and `*size` what it takes with its
 * prefix. They are written only on MESSAGE. */
GH_MUST_USE enum gh_grpc_read gh_grpc_message_read(struct gh_slice in, size_t body_max,
                                                   struct gh_slice *out, size_t *size);
/* Appends prefix and body; false, and nothing appended, when they do not fit. */
GH_MUST_USE bool gh_grpc_message_write(struct gh_buffer *out, struct gh_slice body);

/* The value of grpc-timeout: at most eight digits and a unit of H M S m u n. */
GH_MUST_USE bool gh_grpc_timeout_read(struct gh_slice text, int64_t *out_ns);

/* The value of grpc-message: printable ASCII but '%' as it is, the rest as %XX. */
void gh_grpc_text_write(struct gh_buffer *out, struct gh_slice text);
#endif
