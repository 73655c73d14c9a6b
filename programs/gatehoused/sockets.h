/* Sockets that the service manager opened before the program ran (systemd's socket activation,
 * sd_listen_fds(3)): they are listened on in addition to what `listen` names, and in place of its
 * defaults. FileDescriptorName= says what a socket is for:
 *   tls, plain               as --listen and --listen-plain
 *   tls-proxy, plain-proxy   with the PROXY protocol before it
 * and any other name means tls. The parent process takes them, `core` inherits them at every start,
 * `keys` closes them. */
#ifndef GATEHOUSED_SOCKETS_H
#define GATEHOUSED_SOCKETS_H

#include "programs/gatehoused/config.h"

/* Fills `config->sockets`; nothing happens when none were given to this process. */
GH_MUST_USE enum gh_error_code sockets_take(struct config *config, struct gh_error *error);
void sockets_close(const struct config *config);
#endif
