/* The `keys` process: holds the keys that outlive a start and nothing else. It opens the keyring of
 * the data folder (vault/keyring.h) at start and has no network. The `core` process, which reads
 * hostile bytes, asks it over a socket pair of whole messages:
 *
 *     request   u32 number, u8 kind (enum keys_kind), the kind's own fields
 *     answer    the same u32 number, u16 code (enum gh_error_code, 0: done), then the kind's
 *               answer or, when refused, the text that says why
 *
 * Each kind of request is one row of the table in keys.c with its own file for what it does
 * (keys_internal.h); the asking side of a kind is a function here over keys_ask. What a request may
 * have done is decided by this process's configuration, never by the request. */
#ifndef GATEHOUSED_KEYS_H
#define GATEHOUSED_KEYS_H

#include "audit/audit.h"
#include "base/buffer.h"
#include "identity/access.h"
#include "identity/authorities.h"
#include "identity/issuing.h"
#include "programs/gatehoused/config.h"
#include <pthread.h>

enum keys_kind {
    KEYS_CERTIFY = 1,   /* text32 public key PEM -> text32 certificate PEM, text32 its issuer's */
    KEYS_PASSWORD_KEY,  /* -> the key of registry/password.h */
    KEYS_DATA_KEY_MAKE, /* u64 tenant, u32 number -> text32 key, text32 the same sealed */
    KEYS_DATA_KEY_OPEN, /* u64 tenant, u32 number, text32 sealed -> key */
    KEYS_TOKEN_LIST,    /* nothing -> for each key u8 state, u64 created_at_s, text32 public PEM */
    KEYS_TOKEN_SIGN,    /* text32 kid, text32 signing input of an access token -> signature */
    KEYS_TOKEN_ROTATE,  /* u8 kind of key -> nothing */
    /* text32 name -> text32 certificate PEM, text32 sealed key, of a new issuing CA. The kinds that
     * use it begin with these two. */
    KEYS_ISSUER_CREATE,
    /* text32 common name, text32 URI, text32 public key PEM, u64 from, u64 to (seconds) ->
     * certificate PEM */
    KEYS_ISSUE,
    /* u64 number, u64 from, u64 to, then for each text16 serial, u8 reason, u64 at -> CRL, DER */
    KEYS_CRL,
    /* text32 request, u8 status (enum gh_ocsp_status), u8 reason, u64 revoked at, u64 from, u64 to
     * -> OCSP answer, DER. In this kind and the one before an empty issuing CA is the intermediate
     * CA. */
    KEYS_OCSP,
    /* Rotating the key-encryption key: nothing -> nothing, a new one beside the old one; u64
     * tenant, u32 number, text32 sealed -> the same sealed anew; nothing -> nothing, the old one
     * goes. */
    KEYS_KEK_RENEW,
    KEYS_DATA_KEY_REWRAP,
    KEYS_KEK_SETTLE,
    KEYS_AUDIT_KEY,  /* nothing -> text32 public PEM, text32 key of digests */
    KEYS_AUDIT_SIGN, /* u64 seq, u64 at ms, 32 bytes hash, 32 bytes root -> signature, r||s */
    /* The built-in CA (vault/ca.h): nothing -> u8 whether the root is online, text32 its
     * certificate PEM, text32 chain of intermediate CAs PEM, text32 root's list DER, after what was
     * due was renewed; nothing -> public key PEM of the next intermediate CA; text32 certificate
     * PEM, text32 list DER, u8 whether the root's key goes -> nothing. The last one cannot be asked
     * for without the root's signature. */
    KEYS_CA_SHOW,
    KEYS_CA_REQUEST,
    KEYS_CA_INSTALL,
    KEYS_ISSUER_RENEW, /* an issuing CA -> as of KEYS_ISSUER_CREATE, the same below the CA of now */
    KEYS_KINDS,
};

enum { KEYS_MESSAGE_MAX = 32 * 1024, KEYS_ANSWER_MS_MAX = 10000 };

/* The body of the process: serves until the other end closes. Returns the exit code. */
int keys_run(const struct config *config, int socket);

/* The asking end. One question is on its way at a time; others wait. Threads: any, but no loop, as
 * a question blocks for the time of its answer, at most KEYS_ANSWER_MS_MAX. */
struct keys_line {
    int socket;
    uint32_t number; /* of the last question, so that an answer that came too late is known */
    pthread_mutex_t lock;
};
void keys_line_init(struct keys_line *line, int socket);
void keys_line_deinit(struct keys_line *line); /* the socket stays the caller's */

/* Sends a question and appends the answer to `out`. A refusal comes back with its own code and
 * text; TIMEOUT and UNAVAILABLE when there is no answer. The message's copy here is wiped. */
GH_MUST_USE enum gh_error_code keys_ask(struct keys_line *line, enum keys_kind kind,
                                        struct gh_slice fields, struct gh_buffer *out,
                                        struct gh_error *error);

/* Asks for a certificate over `public_key_pem`; appends its PEM, and that of the CA that issued it.
 * Which names stand in it is configuration. */
GH_MUST_USE enum gh_error_code keys_certify(struct keys_line *line, struct gh_slice public_key_pem,
                                            struct gh_buffer *certificate_pem,
                                            struct gh_buffer *issuer_pem, struct gh_error *error);

/* The key under which the secrets of devices are stored, appended to `out`, which is the caller's
 * to wipe. */
GH_MUST_USE enum gh_error_code keys_password_key(struct keys_line *line, struct gh_buffer *out,
                                                 struct gh_error *error);

/* What registry/sealing.h asks for; the context is the line. */
struct gh_sealing_keys;
extern const struct gh_sealing_keys keys_sealing;
/* The keys of access tokens, for gh_access_open; `line` outlives it. */
struct gh_access_signer keys_token_signer(struct keys_line *line);

/* The word of the intermediate CA, which issued this certificate of ours, that it is good until
 * `to_s`: appends an OCSP answer. */
GH_MUST_USE enum gh_error_code keys_vouch(struct keys_line *line, struct gh_slice certificate_pem,
                                          struct gh_slice issuer_pem, int64_t to_s,
                                          struct gh_buffer *out, struct gh_error *error);

/* The issuing CAs, for gh_issuing_open; `line` outlives it. */
struct gh_issuing_signer keys_issuing_signer(struct keys_line *line);
/* The CAs above them, for gh_authorities_open; the context is the line. */
extern const struct gh_authorities_keeper keys_authorities_keeper;

/* What gh_audit_open asks for. The texts borrow from `out`, which is the caller's to wipe. */
GH_MUST_USE enum gh_error_code keys_audit_key(struct keys_line *line, struct gh_buffer *out,
                                              struct gh_slice *public_pem,
                                              struct gh_slice *detail_key, struct gh_error *error);
struct gh_audit_signer keys_audit_signer(struct keys_line *line);

/* Reads a whole file of at most `size_max` bytes, appended to `out`. */
GH_MUST_USE enum gh_error_code file_read(const char *path, size_t size_max, struct gh_buffer *out,
                                         struct gh_error *error);
#endif
