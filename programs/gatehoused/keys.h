/* The `keys` process: holds the key of the built-in authority and nothing else. It reads
 * DIR/keys/ca.key at start, has no network and opens no file afterwards. The `core` process, which
 * reads hostile bytes, makes a short-lived key of its own at start and has it certified here, over
 * a socket pair of whole messages: request   u8 1, text32 public key PEM answer    u8 0, text32
 * certificate PEM     or     u8 1, text32 what is wrong Which names stand in the certificate is
 * decided by this process's configuration, never by the request. */
#ifndef GATEHOUSED_KEYS_H
#define GATEHOUSED_KEYS_H

#include "base/buffer.h"
#include "programs/gatehoused/config.h"

/* The body of the process: serves until the other end closes. Returns the exit code. */
int keys_run(const struct config *config, int socket);

/* Asks for a certificate over `public_key_pem`; appends its PEM. Blocks, at most 10 s. */
GH_MUST_USE enum gh_error_code keys_certify(int socket, struct gh_slice public_key_pem,
                                            struct gh_buffer *certificate_pem,
                                            struct gh_error *error);

/* Reads a whole file of at most `size_max` bytes, appended to `out`. */
GH_MUST_USE enum gh_error_code file_read(const char *path, size_t size_max, struct gh_buffer *out,
                                         struct gh_error *error);
#endif
