/* The built-in CA of a data folder, at rest:
 *
 *     root                    DIR/ca.crt, what devices trust; its key is needed for the next row
 * alone └─ intermediate CA      certifies from day to day, and its key is always here ├─ the server
 * its own short-lived certificate └─ issuing CAs       one for each tenant (crypto/issuer.h), which
 * certify devices
 *
 * The root also signs the list of intermediate CAs that are revoked. So its key may be kept
 * elsewhere, in a safe: while it is in the keyring the root is online, and what is due is renewed
 * by gh_ca_tend; while it is not, whoever has it renews in three steps, of which the middle one
 * can be done on another machine: gh_ca_request makes the new key pair and tells the public half,
 * gh_ca_sign signs that and the list, gh_ca_install takes both. A list that is newer than the one
 * at hand is also the proof that somebody has the root's key, without which it is never removed.
 *
 * Beside ca.key, the root's, the keyring holds intermediate.key and intermediate.crt (PEM; behind
 * the current certificate those before it, as long as they are good), intermediate.next (the key of
 * a request), ca.crl (the root's list, DER) and issuing.key (under which the keys of the issuing
 * CAs are sealed). They change together, with one write. Certificates lie there because they change
 * with their keys, not because they are secret.
 *
 * Errors are KEYS when something is not as it has to be here, INVALID and PRECONDITION for what is
 * to be installed. Memory: owned by the CA; the keyring is borrowed and outlives it. Threads: one
 * at a time. */
#ifndef GH_VAULT_CA_H
#define GH_VAULT_CA_H

#include "crypto/authority.h"
#include "crypto/issuer.h"
#include "vault/keyring.h"

#define GH_KEYRING_INTERMEDIATE "intermediate.key"
#define GH_KEYRING_INTERMEDIATE_CHAIN "intermediate.crt"
#define GH_KEYRING_INTERMEDIATE_NEXT "intermediate.next"
#define GH_KEYRING_ROOT_LIST "ca.crl"
#define GH_KEYRING_ISSUING "issuing.key"

enum {
    GH_CA_ROOT_DAYS = 20 * 365,
    GH_CA_INTERMEDIATE_DAYS = 10 * 365,
    GH_CA_LIST_DAYS = 365,
    GH_CA_PEM_MAX = 16 * 1024,
};

struct gh_ca;
/* Reads DIR/ca.crt and what the keyring holds, whatever that is; changes nothing. */
GH_MUST_USE struct gh_ca *gh_ca_open(struct gh_keyring *keyring, const char *data_folder,
                                     struct gh_error *error);
void gh_ca_close(struct gh_ca *ca); /* NULL is fine */

/* While the root is online: makes what is not there yet, as in a folder of a version before
 * intermediate CAs, and renews what is due: an intermediate CA in the last third of its life, a
 * list after a month. Without the root it does nothing. `*changed` (may be NULL) when it did. */
GH_MUST_USE enum gh_error_code gh_ca_tend(struct gh_ca *ca, int64_t now_s, bool *changed,
                                          struct gh_error *error);

/* What certifies, and under what the keys of issuing CAs are sealed. KEYS when there is none, or it
 * has run out, with the command that helps. Borrowed until the next renewal. */
GH_MUST_USE enum gh_error_code gh_ca_parent(const struct gh_ca *ca, int64_t now_s,
                                            struct gh_issuer_parent *out, struct gh_error *error);

/* What everybody may know of it; borrowed until the next change. */
struct gh_ca_facts {
    bool root_online;
    struct gh_slice root_pem;
    struct gh_slice chain_pem; /* the intermediate CA, then those before it; empty: none yet */
    struct gh_slice list_der;  /* empty: none yet */
};
struct gh_ca_facts gh_ca_facts(const struct gh_ca *ca);

/* When each of them runs out, Unix seconds; 0 for what is not there. */
struct gh_ca_times {
    int64_t root_s, intermediate_s, list_s;
};
struct gh_ca_times gh_ca_times(const struct gh_ca_facts *facts);
/* The warning that something runs out before long, or has; false when there is none to give, as
 * while the root is online. */
enum { GH_CA_WARNING_MAX = 256 };
bool gh_ca_warn(const struct gh_ca_facts *facts, int64_t now_s, char out[GH_CA_WARNING_MAX]);

/* --- with a root that is elsewhere */

/* Appends the public key (PEM) of the next intermediate CA; the same again until it is installed.
 */
GH_MUST_USE enum gh_error_code gh_ca_request(struct gh_ca *ca, struct gh_buffer *public_key_pem,
                                             struct gh_error *error);

/* What the root is to sign. */
struct gh_ca_order {
    struct gh_slice public_key_pem; /* of the next intermediate CA; empty: the list alone */
    struct gh_slice list_der;       /* the one before; empty: there was none */
    struct gh_slice revoked_pem;    /* an intermediate CA to be revoked; empty: none */
    int reason;                     /* CRLReason */
};
/* Appends the certificate (PEM; nothing for an order without a key) and the list (DER). */
GH_MUST_USE enum gh_error_code gh_ca_sign(const struct gh_authority *root,
                                          const struct gh_ca_order *order, int64_t now_s,
                                          struct gh_buffer *certificate_pem,
                                          struct gh_buffer *list_der, struct gh_error *error);

struct gh_ca_delivery {
    struct gh_slice certificate_pem; /* over the key of gh_ca_request; empty: the list alone */
    struct gh_slice list_der;        /* newer than the one at hand */
    bool removes_root;               /* and the root's key leaves the keyring */
};
/* Checks everything against the root's certificate and saves. PRECONDITION when the list revokes
 * the intermediate CA that would be in use. */
GH_MUST_USE enum gh_error_code gh_ca_install(struct gh_ca *ca,
                                             const struct gh_ca_delivery *delivery, int64_t now_s,
                                             struct gh_error *error);
#endif
