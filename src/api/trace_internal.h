/* The live traces that are being read over HTTP: one stream for each reader, until its peer goes.
 * Threads: any, one lock. */
#ifndef GH_API_TRACE_INTERNAL_H
#define GH_API_TRACE_INTERNAL_H

#include "api/api.h"

struct trace_streams;

struct trace_streams *trace_streams_open(const struct gh_api_services *services);
/* The loops have ended. */
void trace_streams_close(struct trace_streams *streams);
#endif
