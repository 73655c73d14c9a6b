/* What the files of the keys process share. A kind of request is a function here and a row of the
 * table in keys.c. */
#ifndef GATEHOUSED_KEYS_INTERNAL_H
#define GATEHOUSED_KEYS_INTERNAL_H

#include "base/cursor.h"
#include "programs/gatehoused/keys.h"
#include "vault/ca.h"

enum { KEYS_PEM_MAX = 16 * 1024 };

/* What the process holds, opened at start. */
struct keys {
    const struct config *config;
    struct gh_keyring *keyring;
    struct gh_ca *ca;
    struct keys_tokens *tokens;
    struct gh_private_key *audit;
};

/* The body of a kind: reads its fields from `at`, which must then be empty, and appends its answer
 * to `out`, which is wiped once it is sent. Returns INVALID for fields that are none. */
typedef enum gh_error_code keys_handler(struct keys *keys, struct gh_cursor *at,
                                        struct gh_buffer *out, struct gh_error *error);

/* --- keys_ring.c: the keyring, the password key and the data keys of tenants */
GH_MUST_USE bool keys_ring_open(struct keys *keys, struct gh_error *error);
void keys_ring_close(struct keys *keys);
keys_handler keys_handle_password_key, keys_handle_data_key_make, keys_handle_data_key_open,
    keys_handle_kek_renew, keys_handle_data_key_rewrap, keys_handle_kek_settle;

/* --- keys_ca.c: the built-in CA */
GH_MUST_USE bool keys_ca_open(struct keys *keys, struct gh_error *error);
void keys_ca_close(struct keys *keys);
keys_handler keys_handle_ca_show, keys_handle_ca_request, keys_handle_ca_install;
/* What certifies now. */
GH_MUST_USE enum gh_error_code keys_ca_parent(const struct keys *keys, struct gh_issuer_parent *out,
                                              struct gh_error *error);

/* --- keys_certify.c: the server's own certificate */
keys_handler keys_handle_certify;

/* --- keys_token.c: the keys that sign access tokens */
GH_MUST_USE bool keys_tokens_open(struct keys *keys, struct gh_error *error);
void keys_tokens_close(struct keys *keys);
keys_handler keys_handle_token_list, keys_handle_token_sign, keys_handle_token_rotate;

/* --- keys_audit.c: the key that signs checkpoints of the audit trail */
GH_MUST_USE bool keys_audit_open(struct keys *keys, struct gh_error *error);
void keys_audit_close(struct keys *keys);
keys_handler keys_handle_audit_key, keys_handle_audit_sign;

/* --- keys_issuer.c */
keys_handler keys_handle_issuer_create, keys_handle_issuer_renew, keys_handle_issue,
    keys_handle_crl, keys_handle_ocsp;
#endif
