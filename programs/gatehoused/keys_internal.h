/* What the files of the keys process share. A kind of request is a function here and a row of the
 * table in keys.c. */
#ifndef GATEHOUSED_KEYS_INTERNAL_H
#define GATEHOUSED_KEYS_INTERNAL_H

#include "base/cursor.h"
#include "crypto/authority.h"
#include "programs/gatehoused/keys.h"

enum { KEYS_PEM_MAX = 16 * 1024 };

/* What the process holds, opened at start. */
struct keys {
    const struct config *config;
    struct gh_authority *authority;
};

/* The body of a kind: reads its fields from `at`, which must then be empty, and appends its answer
 * to `out`, which is wiped once it is sent. Returns INVALID for fields that are none. */
typedef enum gh_error_code keys_handler(struct keys *keys, struct gh_cursor *at,
                                        struct gh_buffer *out, struct gh_error *error);

/* --- keys_certify.c: the built-in authority and the server's own certificate */
GH_MUST_USE bool keys_authority_open(struct keys *keys, struct gh_error *error);
void keys_authority_close(struct keys *keys);
keys_handler keys_handle_certify;

/* --- keys_issuer.c */
keys_handler keys_handle_issuer_create, keys_handle_issue, keys_handle_crl, keys_handle_ocsp;
#endif
