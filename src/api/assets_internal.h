/* Static files: the console (embedded from console/dist) and the OpenAPI document. Every unknown
 * path is the console's, which routes in the browser. Threads: any. */
#ifndef GH_API_ASSETS_INTERNAL_H
#define GH_API_ASSETS_INTERNAL_H

#include "base/slice.h"

struct gh_exchange;

void assets_answer(struct gh_exchange *exchange);

/* src/api/openapi.json; static. */
struct gh_slice openapi_document(void);
#endif
