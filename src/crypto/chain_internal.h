/* Paths that were found sound, remembered: a device that comes back shows the same certificates to
 * the same anchors, and to verify the signatures among them takes as long as the rest of its
 * handshake. Whether a path is sound depends on nothing but these bytes, the purpose and the time:
 * so what is remembered is the answer to a question (all of its certificates, in their order, by
 * their digests) and the time in which all certificates of the path hold. Nothing is remembered of
 * what may change: whether an anchor is active, what was revoked, whose certificate it is. Those
 * are asked anew by whoever asked for the path; a question that brings revocation lists or a host
 * name is never answered from here.
 *
 * The process's, as what library.c remembers is, and as harmless to share. A new path takes the
 * place of another one. Threads: any. Nobody outside the folder includes this. */
#ifndef GH_CRYPTO_CHAIN_INTERNAL_H
#define GH_CRYPTO_CHAIN_INTERNAL_H

#include "crypto/chain.h"
#include "crypto/digest.h"

/* A digest over all that the question asks but its time; false when it is not to be remembered. */
GH_MUST_USE bool chain_name(const struct gh_chain_question *question,
                            uint8_t name[GH_SHA256_BYTES]);
/* The verdict on a sound path; false when none is known for that time, and `*out` is as it was. */
GH_MUST_USE bool chain_recall(const uint8_t name[GH_SHA256_BYTES], int64_t now_s,
                              struct gh_chain_verdict *out);
/* `verdict` is SOUND. */
void chain_remember(const uint8_t name[GH_SHA256_BYTES], const struct gh_chain_verdict *verdict);
#endif
