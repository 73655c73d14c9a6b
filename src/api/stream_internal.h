/* The hub of live streams: who listens, and to what. An event is written as text once and offered
 * to every listener that may and wants to see it; a listener that reads too slowly loses its
 * stream, and reconnects, as does one whose token has ended: it is told nothing any more. (One
 * whose rights have ended is finished by api/standing_internal.h.)
 * Threads: any, one lock; nothing in it blocks. */
#ifndef GH_API_STREAM_INTERNAL_H
#define GH_API_STREAM_INTERNAL_H

#include "base/slice.h"

struct gh_exchange;
struct gh_loop;
struct gh_stream_hub;
struct standing_call;

enum { STREAM_LISTENERS_MAX = 256, STREAM_KEEPALIVE_S = 15 };

/* What a listener sees. Empty texts are no restriction; tenant 0 is all tenants. */
struct stream_scope {
    int64_t tenant;
    struct gh_slice tenant_name, registry, device;
    int64_t until_ms;               /* when its token ends, UTC; 0: never */
    struct standing_call *standing; /* given: left when the stream is over */
};

/* What happened, and to whom. `data` is one line of JSON. */
struct stream_event {
    const char *name; /* "telemetry", "connection", "zone" */
    int64_t tenant;
    struct gh_slice tenant_name, registry, device;
    struct gh_slice data;
};

struct gh_stream_hub *stream_hub_open(struct gh_loop *loop, int64_t (*utc_ms)(void));
void stream_hub_close(struct gh_stream_hub *hub);
/* Begins the stream and keeps the exchange until its peer goes. False when there are too many
 * listeners: `scope->standing` stays the caller's. */
bool stream_hub_join(struct gh_stream_hub *hub, struct gh_exchange *exchange,
                     const struct stream_scope *scope);
/* Whether anybody listens at all: an event that nobody wants need not be written. */
bool stream_hub_idle(const struct gh_stream_hub *hub);
void stream_hub_send(struct gh_stream_hub *hub, const struct stream_event *event);
#endif
