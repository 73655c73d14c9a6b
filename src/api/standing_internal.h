/* Standing: calls that last. Live streams and traces are judged anew every STANDING_CHECK_MS, on a
 * worker, as if their request came now: by the same token or session cookie, from the same address,
 * for the permission of their route. One that would be refused is finished: its token was revoked
 * or has ended, its operator signed out, its binding or its condition is over, its tenant was
 * disabled. When the store does not answer nothing is decided.
 *
 * Threads: any, a lock inside; join, leave and the timer do not block. */
#ifndef GH_API_STANDING_INTERNAL_H
#define GH_API_STANDING_INTERNAL_H

#include <stdbool.h>

enum { STANDING_CHECK_MS = 500 };

struct call;
struct gh_api;
struct standing;
struct standing_call;

/* NULL without memory. The timer runs on the API's loop, if it has one. */
struct standing *standing_open(struct gh_api *api);
/* The loops and the workers have ended. */
void standing_close(struct standing *standing);

/* From here on the exchange of `call`, which has begun its stream, is finished when the call would
 * be refused. NULL without memory. */
struct standing_call *standing_join(struct standing *standing, const struct call *call);
/* It is judged no more; NULL is fine. */
void standing_leave(struct standing_call *standing_call);
#endif
