/* Reads the revocation lists of CAs that say where theirs is. A list that cannot be read leaves the
 * one before in force until it runs out; then nobody signs in by that CA, as nobody can say who was
 * revoked. */
#ifndef GATEHOUSED_CRLS_H
#define GATEHOUSED_CRLS_H

#include "registry/anchors.h"

/* Blocks for the time of the fetches, bounded for each by a minute. */
void crls_fetch(struct gh_directory *directory, bool private_too);
#endif
