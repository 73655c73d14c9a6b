/* Access tokens: JSON Web Tokens of our own making (RFC 9068), which a device gets for a proof and
 * shows instead of it until they expire. Makes them, verifies them at every use, publishes the keys
 * that verify them, remembers which ids are spent, and slows down whoever guesses.
 *
 * A token names its issuer, which is also its audience: this server, under one address for all its
 * listeners; its subject, TENANT/REGISTRY/DEVICE; the number of the device and the id of the
 * credential that it was given for, so that it ends with either; an id of its own, by which it can
 * be revoked; what it is good for (`scope`: "mqtt", "api"); and, when it was given to the owner of
 * a certificate, the digest of that certificate (RFC 8705 §3.1), without which it is refused.
 *
 * The private keys are somebody else's (`gh_access_signer`; in the server the keys process). For
 * each algorithm up to three keys are published: the one that signs, the one that will sign after
 * the next rotation, so that nobody who caches the set is surprised, and the one that signed
 * before. Which of them verifies is said by `kid`, compared with these and nothing else.
 *
 * Memory: results in arenas and buffers of the caller. Threads: any, a lock inside; signing and the
 * store block, so it runs on workers. */
#ifndef GH_IDENTITY_ACCESS_H
#define GH_IDENTITY_ACCESS_H

#include "identity/device.h"
#include "identity/jwk.h"

enum {
    GH_ACCESS_TTL_S = 3600,
    GH_ACCESS_SKEW_S = 60,
    GH_ACCESS_KEYS_MAX = 6,         /* next, current and previous of two algorithms */
    GH_ACCESS_JWKS_MAX_AGE_S = 900, /* how long the published set may be kept; far shorter than a
                                       previous key stays in it */
    GH_ACCESS_SPENT_MAX = 1000000,  /* assertions in GH_ACCESS_SPENT_WINDOW_S; more are refused */
    GH_ACCESS_SPENT_WINDOW_S = 420,
    GH_ACCESS_DELAYS_MAX = 10000,
    GH_ACCESS_ID_MAX = 44, /* room for a token's id and its NUL */
    GH_ACCESS_TOKEN_MAX = 4096,
};

enum gh_access_key_state { GH_ACCESS_KEY_NEXT, GH_ACCESS_KEY_CURRENT, GH_ACCESS_KEY_PREVIOUS };
/* "current". Static. */
const char *gh_access_key_state_name(enum gh_access_key_state state);

/* A public key as its holder lists it; the PEM is the arena's. */
struct gh_access_key_row {
    struct gh_slice pem;
    enum gh_access_key_state state;
    int64_t created_at_s;
};

/* Who holds the private keys. Functions block; any thread calls them. */
struct gh_access_signer {
    void *context;
    enum gh_error_code (*list)(void *context, struct gh_arena *arena,
                               struct gh_access_key_row rows[GH_ACCESS_KEYS_MAX], size_t *count,
                               struct gh_error *error);
    /* Appends the signature over `message` by the key whose thumbprint is `kid`; NOT_FOUND when
     * there is none. */
    enum gh_error_code (*sign)(void *context, struct gh_slice kid, struct gh_slice message,
                               struct gh_buffer *out, struct gh_error *error);
    /* Next becomes current, current previous, and there is a new next; without any key of that
     * kind, makes them. */
    enum gh_error_code (*rotate)(void *context, enum gh_key_kind kind, struct gh_error *error);
};

struct gh_access;

/* The store and the signer's context outlive it. Asks the signer for its keys. NULL with `error`.
 */
GH_MUST_USE struct gh_access *gh_access_open(struct gh_store *store,
                                             const struct gh_access_signer *signer,
                                             struct gh_error *error);
void gh_access_close(struct gh_access *access); /* NULL is fine */

/* "https://host:port": before any other thread calls. False without memory. */
GH_MUST_USE bool gh_access_set_issuer(struct gh_access *access, struct gh_slice issuer);
struct gh_slice gh_access_issuer(const struct gh_access *access);

/* --- keys */

struct gh_access_key {
    char kid[GH_JWK_THUMBPRINT_MAX];
    const char *algorithm; /* "ES256" */
    enum gh_access_key_state state;
    int64_t created_at_s;
};
/* What is published, the ones that sign first. */
size_t gh_access_keys(struct gh_access *access, struct gh_access_key out[GH_ACCESS_KEYS_MAX]);
/* {"keys":[…]}; new reference, NULL without memory. */
json_t *gh_access_jwks(struct gh_access *access);
/* Rotates the keys of one kind; the new set is in use when it returns. */
GH_MUST_USE enum gh_error_code gh_access_rotate(struct gh_access *access, enum gh_key_kind kind,
                                                struct gh_error *error);
/* Asks the signer again: previous keys whose time is over go. */
GH_MUST_USE enum gh_error_code gh_access_refresh(struct gh_access *access, struct gh_error *error);

/* --- making */

struct gh_access_grant {
    const struct gh_principal *principal; /* device and the credential that it proved */
    enum gh_key_kind kind;                /* P256, or RSA when it was asked for */
    struct gh_slice scope;                /* as gh_access_scope made it */
    struct gh_slice certificate;          /* SHA-256 of the DER certificate; empty: not bound */
    int64_t ttl_s;                        /* 1 … GH_ACCESS_TTL_S */
};
/* Appends the token to `out`, empty before; its id goes to `id`: the number of its device, a dot
 * and base64url of 128 random bits. */
GH_MUST_USE enum gh_error_code gh_access_issue(struct gh_access *access,
                                               const struct gh_access_grant *grant, int64_t now_s,
                                               struct gh_buffer *out, char id[GH_ACCESS_ID_MAX],
                                               struct gh_error *error);
/* The header of such a token, to the byte: what a signer holds a message against. */
GH_MUST_USE bool gh_access_header(const char *algorithm, const char *kid, struct gh_buffer *out);

/* A token that says to somebody else who calls him (OpenID Connect Core §2): by its `typ` it is no
 * access token, and good for nothing here. */
struct gh_access_identity {
    struct gh_slice email, audience; /* `sub` is the email too */
    int64_t ttl_s;                   /* 1 … GH_ACCESS_TTL_S */
};
/* Appends it to `out`, empty before, signed with RS256. */
GH_MUST_USE enum gh_error_code gh_access_identify(struct gh_access *access,
                                                  const struct gh_access_identity *identity,
                                                  int64_t now_s, struct gh_buffer *out,
                                                  struct gh_error *error);
GH_MUST_USE bool gh_access_identity_header(const char *algorithm, const char *kid,
                                           struct gh_buffer *out);
/* The scope that is given for the one asked for (RFC 6749 §3.3; empty: all): static text. False
 * when it names one that does not exist. */
GH_MUST_USE bool gh_access_scope(struct gh_slice asked, struct gh_slice *out);

/* --- verifying */

struct gh_access_claims {
    struct gh_slice subject, credential, token_id, scope, certificate; /* the last one: 32 bytes */
    struct gh_slice tenant, registry, device;                          /* parts of the subject */
    uint64_t number;                                                   /* of the device */
    int64_t issued_at_s, expires_at_s;
};
/* Whether `typ` says that this is an access token: it is then one or nothing. */
bool gh_access_is_one(const struct gh_jose *jose);
/* Ours, whole, of this time, not revoked. ACCEPTED: all claims. Refused: those whose signature was
 * good (empty subject: not even that); why goes to `detail`. */
GH_MUST_USE enum gh_identity_reason gh_access_verify(struct gh_access *access,
                                                     struct gh_slice token, int64_t now_s,
                                                     struct gh_arena *arena,
                                                     struct gh_access_claims *out,
                                                     char detail[GH_IDENTITY_DETAIL_MAX]);
/* Whether the token of that id was taken back; UNAVAILABLE counts as yes. */
bool gh_access_is_revoked(struct gh_access *access, struct gh_slice token_id);

/* --- ids that are spent */

/* Whether a token of that id would be that device's: the id says so itself, as it is kept nowhere
 * which ids were given. */
bool gh_access_id_is_of(struct gh_slice token_id, uint64_t device);
GH_MUST_USE enum gh_error_code gh_access_revoke(struct gh_access *access,
                                                const struct gh_access_claims *claims,
                                                struct gh_error *error);
/* Uses up the id of an assertion of `client`: EXISTS when it was used before, LIMIT when too many
 * are remembered. */
GH_MUST_USE enum gh_error_code gh_access_spend(struct gh_access *access, struct gh_slice client,
                                               struct gh_slice id, int64_t expires_at_s,
                                               int64_t now_s, struct gh_error *error);

/* --- wrong proofs: identity/delay.h under the lock of this room. `name` is of whoever guesses */

int64_t gh_access_wait_ms(struct gh_access *access, struct gh_slice name, int64_t now_ms);
void gh_access_proved(struct gh_access *access, struct gh_slice name, bool right, int64_t now_ms);
#endif
