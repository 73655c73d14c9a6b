/* Session tickets of TLS 1.3 (RFC 8446 §4.6.1), and what is in them. A ticket is the evidence of a
 * handshake in an envelope that the server alone can open: the pre-shared key that the next
 * handshake is to prove, when the certificate's key was proved, and the certificates that were
 * shown, as they came. It holds no verdict: whoever decides about a resumed connection reads the
 * same certificates as in a full handshake, and asks the same questions of them (identity/).
 *
 * A ticket is good for `life_s` from the full handshake on, however often it was resumed and
 * renewed since, so that a key has to be proved that often at least. The envelope is libssl's: a
 * key's name, an IV, AES-256-CBC, HMAC-SHA-256 over all. Its keys are random, are used for half a
 * life to seal and are forgotten when what they have sealed has run out; they are in memory alone,
 * so that a server that starts again opens none of the tickets of before.
 *
 * Memory: a gh_tickets outlives the contexts that it was given to (crypto/tls.h). Threads: any; a
 * lock is held while a key is copied. */
#ifndef GH_CRYPTO_TICKET_H
#define GH_CRYPTO_TICKET_H

#include "base/buffer.h"

struct gh_tickets;

/* NULL without memory. */
GH_MUST_USE struct gh_tickets *gh_tickets_open(int64_t life_s, int64_t (*utc_ms)(void));
void gh_tickets_close(struct gh_tickets *tickets); /* NULL is allowed */

enum { GH_TICKET_CHAIN_MAX = 8, GH_TICKET_CHAIN_BYTES_MAX = 4096 };

/* What a full handshake has shown. */
struct gh_evidence {
    int64_t proved_at_s;
    const struct gh_slice *chain; /* DER, the leaf first */
    size_t count;
};
/* Appends its bytes; false when there are more certificates, or larger ones, than a ticket takes.
 */
GH_MUST_USE bool gh_evidence_print(const struct gh_evidence *evidence, struct gh_buffer *out);
/* `chain` borrows from `bytes`. False for whatever gh_evidence_print does not write. */
GH_MUST_USE bool gh_evidence_read(struct gh_slice bytes, struct gh_slice chain[GH_TICKET_CHAIN_MAX],
                                  struct gh_evidence *out);
/* Seconds that a ticket with it is good for; 0: none any more. */
int64_t gh_tickets_left_s(const struct gh_tickets *tickets, int64_t proved_at_s);
int64_t gh_tickets_now_s(const struct gh_tickets *tickets);

enum { GH_TICKET_NAME_BYTES = 16, GH_TICKET_IV_BYTES = 16, GH_TICKET_KEY_BYTES = 32 };

struct gh_ticket_key {
    uint8_t name[GH_TICKET_NAME_BYTES];
    uint8_t cipher[GH_TICKET_KEY_BYTES], mac[GH_TICKET_KEY_BYTES];
};
/* A copy, to be wiped by the caller: the one that seals now; false without memory. */
GH_MUST_USE bool gh_tickets_current(struct gh_tickets *tickets, struct gh_ticket_key *out);
/* The one of that name; false when it was never, or is no more. */
GH_MUST_USE bool gh_tickets_find(struct gh_tickets *tickets,
                                 const uint8_t name[GH_TICKET_NAME_BYTES],
                                 struct gh_ticket_key *out);
/* Appends `text` in an envelope. */
GH_MUST_USE bool gh_tickets_seal(struct gh_tickets *tickets, struct gh_slice text,
                                 struct gh_buffer *out);
#endif
