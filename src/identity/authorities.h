/* The CAs above the tenants' issuing CAs (vault/ca.h), as the process that serves knows them: their
 * certificates and the root's list, as the `keys` process said last. The keys stay there: what is
 * done with them is a table of functions given at start.
 *
 * Memory: results live in the caller's arena. Threads: any, but no loop for what asks the keys
 * process. */
#ifndef GH_IDENTITY_AUTHORITIES_H
#define GH_IDENTITY_AUTHORITIES_H

#include "base/arena.h"
#include "crypto/certificate.h"
#include "vault/ca.h"

/* What the keys process does; each may fail with UNAVAILABLE. */
struct gh_authorities_keeper {
    /* What is known of the CA, after what is due was renewed; the facts borrow from `block`. */
    enum gh_error_code (*show)(void *context, struct gh_buffer *block, struct gh_ca_facts *facts,
                               struct gh_error *error);
    /* gh_ca_request and gh_ca_install. */
    enum gh_error_code (*request)(void *context, struct gh_buffer *public_key_pem,
                                  struct gh_error *error);
    enum gh_error_code (*install)(void *context, const struct gh_ca_delivery *delivery,
                                  struct gh_error *error);
    /* Appends the intermediate CA's own list, which revokes nothing, DER. */
    enum gh_error_code (*list)(void *context, int64_t number, struct gh_validity validity,
                               struct gh_buffer *out, struct gh_error *error);
};

struct gh_authorities;
/* NULL with the cause when there is no memory or the keys process does not answer. */
GH_MUST_USE struct gh_authorities *gh_authorities_open(const struct gh_authorities_keeper *keeper,
                                                       void *context, struct gh_error *error);
void gh_authorities_close(struct gh_authorities *authorities); /* NULL is fine */

/* Asks anew, which also lets the keys process renew what is due. */
GH_MUST_USE enum gh_error_code gh_authorities_refresh(struct gh_authorities *authorities,
                                                      struct gh_error *error);
/* Counts the intermediate CAs that there have been since the start: whoever has made something of
 * one sees that there is another. Asks nobody. */
uint64_t gh_authorities_generation(struct gh_authorities *authorities);
/* Whether the intermediate CA of now issued this certificate, by its name, which no two have. Asks
 * nobody. */
bool gh_authorities_issued(struct gh_authorities *authorities,
                           const struct gh_certificate *certificate);
/* Asks nobody. */
GH_MUST_USE enum gh_error_code gh_authorities_facts(struct gh_authorities *authorities,
                                                    struct gh_arena *arena, struct gh_ca_facts *out,
                                                    struct gh_error *error);

GH_MUST_USE enum gh_error_code gh_authorities_request(struct gh_authorities *authorities,
                                                      struct gh_arena *arena, struct gh_slice *out,
                                                      struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_authorities_install(struct gh_authorities *authorities,
                                                      const struct gh_ca_delivery *delivery,
                                                      struct gh_error *error);
/* The list of the intermediate CA about the CAs of tenants, DER, good for a day: whoever checks a
 * whole path asks for it. Signed anew when there is another intermediate CA, or after an hour; who
 * asks meanwhile waits for it, but only for the list. */
GH_MUST_USE enum gh_error_code gh_authorities_list(struct gh_authorities *authorities,
                                                   int64_t now_s, struct gh_arena *arena,
                                                   struct gh_slice *out, struct gh_error *error);
#endif
