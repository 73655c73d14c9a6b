/* Static files: the console (embedded from console/dist) and the OpenAPI document. Every unknown path is the
 * console's, which routes in the browser. Threads: any. */
#ifndef GH_API_ASSETS_INTERNAL_H
#define GH_API_ASSETS_INTERNAL_H

struct gh_exchange;

void assets_answer(struct gh_exchange *exchange);
#endif
