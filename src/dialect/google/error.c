#include "dialect/google/rest_internal.h"

/* google.rpc.Code with the HTTP status of google/rpc/code.proto; what is not named here is
 * INTERNAL. Errors of the store and the log carry paths and causes that are the operator's. */
static const struct {
    enum gh_error_code code;
    struct google_status status;
} statuses[] = {
    {GH_ERROR_INVALID, {"INVALID_ARGUMENT", 3, 400, false}},
    {GH_ERROR_RANGE, {"INVALID_ARGUMENT", 3, 400, false}},
    {GH_ERROR_USAGE, {"INVALID_ARGUMENT", 3, 400, false}},
    {GH_ERROR_TIMEOUT, {"DEADLINE_EXCEEDED", 4, 504, false}},
    {GH_ERROR_NOT_FOUND, {"NOT_FOUND", 5, 404, false}},
    {GH_ERROR_EXISTS, {"ALREADY_EXISTS", 6, 409, false}},
    {GH_ERROR_DENIED, {"PERMISSION_DENIED", 7, 403, false}},
    {GH_ERROR_LIMIT, {"RESOURCE_EXHAUSTED", 8, 429, false}},
    {GH_ERROR_PRECONDITION, {"FAILED_PRECONDITION", 9, 400, false}},
    {GH_ERROR_CONFLICT, {"ABORTED", 10, 409, false}},
    {GH_ERROR_UNSUPPORTED, {"UNIMPLEMENTED", 12, 501, false}},
    {GH_ERROR_UNAVAILABLE, {"UNAVAILABLE", 14, 503, true}},
    {GH_ERROR_MEMORY, {"UNAVAILABLE", 14, 503, true}},
    {GH_ERROR_STORE_WRITE, {"UNAVAILABLE", 14, 503, true}},
    {GH_ERROR_LOG_FULL, {"UNAVAILABLE", 14, 503, true}},
    {GH_ERROR_AUDIT, {"UNAVAILABLE", 14, 503, true}},
    {GH_ERROR_UNAUTHENTICATED, {"UNAUTHENTICATED", 16, 401, true}},
};
static const struct google_status internal = {"INTERNAL", 13, 500, true};

const struct google_status *google_status_of(enum gh_error_code code)
{
    for (size_t i = 0; i < GH_COUNT(statuses); i++) {
        if (statuses[i].code == code)
            return &statuses[i].status;
    }
    return &internal;
}
