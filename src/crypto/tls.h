/* TLS over a non-blocking socket: the one place where connections are encrypted, and (with the rest
 * of crypto/) the only includer of OpenSSL. Two parts: a context (certificate, key, trust anchors,
 * rules), shared by many connections and by threads, counted, so that a listener's certificate can
 * be swapped while connections under the old one live on; and a connection, which belongs to one
 * thread at a time.
 *
 * Rules (RFC 8446, RFC 5246, RFC 9325): TLS 1.2 and 1.3; ephemeral ECDH over X25519 or P-256 with
 * AES-GCM or ChaCha20-Poly1305 only; no renegotiation, compression, early data or session cache.
 * A server that was given tickets (crypto/ticket.h) lets connections of TLS 1.3 be resumed, always
 * with a fresh key exchange (psk_dhe_ke): what the client showed in its full handshake is shown
 * again, and nothing that was concluded from it. A server asks for a client certificate and takes
 * whatever comes, also nothing: the handshake proves that the peer holds its key, and whose it is,
 * whether its chain is sound and whether it was revoked is decided above (identity/), with the
 * reason for the operator, which an alert could not carry. A client always verifies the chain and
 * the name or address it was told. An idle connection holds no record buffers; a server's under
 * TLS 1.3 that has a desk not even OpenSSL's state: after the handshake it is a few hundred bytes
 * of keys and names (crypto/record.h).
 *
 * Not here: issuing or parsing certificates (crypto/authority.h, crypto/certificate.h), waiting for
 * the socket (io/loop.h). Threads: a context any; a connection one at a time. */
#ifndef GH_CRYPTO_TLS_H
#define GH_CRYPTO_TLS_H

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"

struct gh_tls_context;

/* `cert_pem` is the chain, leaf first; `key_pem` the leaf's private key. Both are borrowed for the
 * call. NULL with GH_ERROR_TLS when either cannot be read or they do not belong together. */
GH_MUST_USE struct gh_tls_context *
gh_tls_server_open(struct gh_slice cert_pem, struct gh_slice key_pem, struct gh_error *error);
/* What clients that ask for it (RFC 6066 §8) get beside the certificate: an OCSP answer, DER,
 * copied. Before the context is used. False without memory. */
GH_MUST_USE bool gh_tls_server_staple(struct gh_tls_context *context, struct gh_slice answer);
/* Its connections that have a desk give a ticket, one each, and take those of all contexts with the
 * same `tickets`, which is borrowed and outlives them. Before the context is used. False without
 * memory. */
struct gh_tickets;
GH_MUST_USE bool gh_tls_server_resume(struct gh_tls_context *context, struct gh_tickets *tickets);
/* `ca_pem` holds the trust anchors; empty means the system's. */
GH_MUST_USE struct gh_tls_context *gh_tls_client_open(struct gh_slice ca_pem,
                                                      struct gh_error *error);
/* What a client shows when it is asked for a certificate: the chain, leaf first, and the leaf's
 * private key, PEM, borrowed for the call. Before the context is used. False as
 * gh_tls_server_open. */
GH_MUST_USE bool gh_tls_client_present(struct gh_tls_context *context, struct gh_slice cert_pem,
                                       struct gh_slice key_pem, struct gh_error *error);
/* The client's connections show the ticket that one of them got last, and so spare both sides the
 * certificates. Before the context is used. */
void gh_tls_client_resume(struct gh_tls_context *context);
struct gh_tls_context *gh_tls_context_ref(struct gh_tls_context *context);
/* NULL is allowed. */
void gh_tls_context_unref(struct gh_tls_context *context);

struct gh_tls;

enum gh_tls_status {
    GH_TLS_OK,
    GH_TLS_WANT_READ,  /* again when the socket is readable */
    GH_TLS_WANT_WRITE, /* again when the socket is writable */
    GH_TLS_END,    /* the peer sent close_notify, or closed the socket: nothing more can be read */
    GH_TLS_FAILED, /* close the socket; nothing more can be read or written */
};

/* What the connections of one thread share: room for records on their way. */
struct gh_tls_desk;
GH_MUST_USE struct gh_tls_desk *gh_tls_desk_open(void); /* NULL without memory */
/* After the connections. NULL is allowed. */
void gh_tls_desk_close(struct gh_tls_desk *desk);

/* Over a connected, non-blocking socket, which stays the caller's. A client names whom it expects
 * in `server_name` (a DNS name or an address); a server passes NULL. With a `desk` (NULL: OpenSSL
 * keeps the connection for its whole life) reading, writing and shutting down are its thread's; a
 * handshake may be another's. NULL when there is no memory. */
GH_MUST_USE struct gh_tls *gh_tls_open(struct gh_tls_context *context, struct gh_tls_desk *desk,
                                       int fd, const char *server_name);
void gh_tls_close(struct gh_tls *tls);

/* Until it says OK, or FAILED with the reason in `error`. */
GH_MUST_USE enum gh_tls_status gh_tls_handshake(struct gh_tls *tls, struct gh_error *error);
/* A server's, of TLS 1.3 with a desk: it has said all that it has to say, its signature too, and
 * waits for the client's Finished. What is left is short work (some 25 microseconds) unless the
 * client shows a certificate before it. */
bool gh_tls_has_answered(const struct gh_tls *tls);
/* OK with `*got` >= 1 bytes. Bytes may be held inside: read until WANT_READ before waiting. */
GH_MUST_USE enum gh_tls_status gh_tls_read(struct gh_tls *tls, void *block, size_t size,
                                           size_t *got);
/* Nothing is held, and what was read last has emptied the socket: unless it has ended, epoll will
 * tell of more. False when that is not known. */
bool gh_tls_is_drained(const struct gh_tls *tls);
/* OK with `*sent` >= 1 bytes, perhaps fewer than all. After WANT_* the same bytes must be offered
 * again, perhaps elsewhere in memory and with more behind them. `bytes` is not empty. */
GH_MUST_USE enum gh_tls_status gh_tls_write(struct gh_tls *tls, struct gh_slice bytes,
                                            size_t *sent);
/* Sends close_notify if it can be sent now. */
void gh_tls_shutdown(struct gh_tls *tls);

/* The certificates that a client showed, in this handshake or in the one that this resumes, DER,
 * the leaf first, in the arena; `*count` 0 when it showed none. False when the arena is full or
 * there are more than `max`. */
GH_MUST_USE bool gh_tls_peer_chain(const struct gh_tls *tls, size_t max, struct gh_arena *arena,
                                   struct gh_slice *out, size_t *count);
bool gh_tls_has_peer_certificate(const struct gh_tls *tls);

/* What was agreed, for logs and for choosing by name; static or borrowed from the connection, empty
 * when there is none: the server name (SNI) that the client asked for, ALPN, "TLSv1.3", the cipher
 * suite. */
struct gh_slice gh_tls_server_name(const struct gh_tls *tls);
struct gh_slice gh_tls_alpn(const struct gh_tls *tls);
bool gh_tls_is_resumed(const struct gh_tls *tls);
const char *gh_tls_version(const struct gh_tls *tls);
const char *gh_tls_cipher(const struct gh_tls *tls);
#endif
