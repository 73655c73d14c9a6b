/* Asks the responders of CAs about the certificates of their devices (registry/anchors.h says
 * which, and takes what came). A thread of its own, which looks every second: while a responder
 * does not answer, nobody waits but those whom it has not said anything about. */
#ifndef GATEHOUSED_OCSPS_H
#define GATEHOUSED_OCSPS_H

#include "registry/anchors.h"

struct ocsps;

/* The directory outlives it. NULL with `error`. */
GH_MUST_USE struct ocsps *ocsps_open(struct gh_directory *directory, bool private_too,
                                     struct gh_error *error);
/* Waits for the call under way, a few seconds at most. NULL is fine. */
void ocsps_close(struct ocsps *ocsps);
#endif
