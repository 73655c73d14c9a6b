/* The methods of gRPC, each as the call of the service API that it is another spelling of: which
 * HTTP method and path, where the parts of its request go (google.api.http, the "transcoding" of
 * Google's own front, read backwards), and which handler of the route table must answer. */
#ifndef GH_DIALECT_GOOGLE_GRPC_INTERNAL_H
#define GH_DIALECT_GOOGLE_GRPC_INTERNAL_H

#include "dialect/google/protobuf_internal.h"
#include "dialect/google/rest_internal.h"
#include "io/rpc.h"

struct google_method {
    const char *name; /* "/google.cloud.iot.v1.DeviceManager/GetDevice" */
    const ProtobufCMessageDescriptor *request, *response;
    const char *http;
    const char *resource, *suffix; /* of the path: "name", "device.name"; "/devices", ":publish" */
    const char *body; /* a member of the request, "*" for all that is left, NULL for none */
    google_handler *handler;
    void (*waiting)(struct google_call *call);
};

/* NULL when there is none. */
const struct google_method *google_method_find(struct gh_slice path);

/* Fills method, path, query and document of the call; takes `request`, also when it fails. */
GH_MUST_USE enum gh_error_code google_method_call(const struct google_method *method,
                                                  json_t *request, struct google_call *call);

/* The token of a gRPC call; empty when there is none. */
struct gh_slice google_rpc_token(const struct gh_rpc *rpc);
/* Ends it with the outcome of `call`. */
void google_rpc_fail(struct gh_rpc *rpc, struct google_call *call);

/* ---- grpc_stream.c: StreamingPull */
void google_stream_begin(const struct gh_google *google, struct gh_rpc *rpc);
#endif
