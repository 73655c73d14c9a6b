/* Live traces: who reads the packets of which device now. Loops hand over the packets of devices
 * that somebody reads; each becomes a line (observe/trace_line.h) that every reader of the device
 * is offered. A reader that takes no more loses lines, which are counted and told in front of the
 * next one that it takes: {"dropped":12}. Nobody waits for a reader.
 *
 * Bounds: GH_TRACE_READERS_MAX readers on the server. Memory: a line is made once for all readers,
 * twice when some want payloads. Threads: any, one lock; gh_traces_any is one relaxed load. */
#ifndef GH_OBSERVE_TRACE_H
#define GH_OBSERVE_TRACE_H

#include "base/attributes.h"
#include "observe/trace_line.h"

struct gh_traces;
struct gh_tracer; /* one reader */

enum { GH_TRACE_READERS_MAX = 64 };

/* NULL when there is no memory. */
GH_MUST_USE struct gh_traces *gh_traces_open(void);
/* Every reader has left. */
void gh_traces_close(struct gh_traces *traces);

/* Takes one line, one JSON object; borrowed for the call, must not block or call back. False: not
 * taken. */
typedef bool gh_tracer_fn(void *context, struct gh_slice line);
/* Reads the device from now on. NULL at GH_TRACE_READERS_MAX or without memory. */
GH_MUST_USE struct gh_tracer *gh_traces_join(struct gh_traces *traces, uint64_t device,
                                             bool payloads, gh_tracer_fn *fn, void *context);
/* After the return `fn` is not called again. Frees the reader. */
void gh_traces_leave(struct gh_traces *traces, struct gh_tracer *tracer);

/* Whether anybody reads anything. */
bool gh_traces_any(const struct gh_traces *traces);
/* Whether somebody reads this device. */
bool gh_traces_wants(struct gh_traces *traces, uint64_t device);
void gh_traces_packet(struct gh_traces *traces, uint64_t device,
                      const struct gh_trace_packet *packet);
/* For a packet that had to be told before it was known whose it is: a line already made. */
void gh_traces_line(struct gh_traces *traces, uint64_t device, struct gh_slice line);
#endif
