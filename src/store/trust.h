/* The store's half of trust: the CAs whose certificates prove devices ("anchors"), what was revoked
 * under them, what the built-in CA has issued, and one-time enrolments. Called by
 * registry/anchors.h and identity/issuing.h alone, which own the rules. The promises of
 * store/store.h hold. */
#ifndef GH_STORE_TRUST_H
#define GH_STORE_TRUST_H

#include "store/store.h"

enum {
    GH_ANCHORS_OF_REGISTRY_MAX = 32,
    GH_ANCHOR_CODE_BYTES = 32, /* hex digits */
    GH_SERIAL_HEX_MAX = 41,    /* 20 octets in hex, and a NUL */
};

enum gh_anchor_state {
    GH_ANCHOR_PENDING = 0, /* nobody has shown that they hold its key */
    GH_ANCHOR_ACTIVE = 1,
    GH_ANCHOR_DISABLED = 2, /* revoked as a whole: nobody signs in with it */
};

/* A CA that may sign the certificates of devices. */
struct gh_anchor {
    int64_t number; /* from 1, never reused */
    int64_t tenant;
    int64_t registry;            /* 0: for all registries of the tenant: its built-in issuing CA */
    struct gh_slice id;          /* the first 16 digits of the fingerprint */
    struct gh_slice fingerprint; /* SHA-256 of the DER, 64 hex digits; of a built-in one that was
                                  * renewed: of its first certificate, so that its id stays */
    struct gh_slice pem;
    enum gh_anchor_state state;
    struct gh_slice code; /* what the proof of possession has to name */
    struct gh_slice key;  /* of a built-in one: its private key, sealed; empty otherwise */
    struct gh_slice crl_url;
    struct gh_slice ocsp_url; /* of its responder; empty: it is not asked */
    int64_t crl_number;       /* of the newest list, imported or (built-in) published */
    int64_t crl_next_ms;      /* when the imported list runs out; 0: there is none */
    int64_t crl_read_ms;      /* when it was imported */
    int64_t created_at_ms, verified_at_ms;
};

/* Fills `number`. EXISTS when the registry (or tenant) has it, LIMIT for one more than
 * GH_ANCHORS_OF_REGISTRY_MAX, NOT_FOUND without the tenant or registry. */
GH_MUST_USE enum gh_error_code gh_store_anchor_create(struct gh_store *store, struct gh_anchor *row,
                                                      struct gh_error *error);
/* Those of the registry and those of its tenant, in the order of their numbers. With `registry` 0
 * the tenant's alone. */
GH_MUST_USE enum gh_error_code gh_store_anchor_list(struct gh_store *store, int64_t tenant,
                                                    int64_t registry, struct gh_arena *arena,
                                                    struct gh_anchor **out, size_t *count,
                                                    struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_store_anchor_get(struct gh_store *store, int64_t number,
                                                   struct gh_arena *arena, struct gh_anchor *out,
                                                   struct gh_error *error);
/* All of the server that have a list to fetch (crl_url). */
GH_MUST_USE enum gh_error_code gh_store_anchor_list_fetched(struct gh_store *store,
                                                            struct gh_arena *arena,
                                                            struct gh_anchor **out, size_t *count,
                                                            struct gh_error *error);
/* Writes state, code and verified_at_ms. */
GH_MUST_USE enum gh_error_code gh_store_anchor_set_state(struct gh_store *store,
                                                         const struct gh_anchor *row,
                                                         struct gh_error *error);
/* Another certificate over the same key: `pem` and `key` of the row. */
GH_MUST_USE enum gh_error_code
gh_store_anchor_renew(struct gh_store *store, const struct gh_anchor *row, struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_store_anchor_delete(struct gh_store *store, int64_t number,
                                                      struct gh_error *error);
/* Takes the next number of a built-in one's list, from 1. */
GH_MUST_USE enum gh_error_code gh_store_anchor_next_crl(struct gh_store *store, int64_t number,
                                                        int64_t *out, struct gh_error *error);

/* A certificate that counts no more. */
struct gh_revocation {
    int64_t anchor;
    struct gh_slice serial; /* lower-case hex without leading zeros */
    int reason;             /* CRLReason (RFC 5280 §5.3.1) */
    int64_t at_ms;
};

/* By hand; EXISTS when it is there already. */
GH_MUST_USE enum gh_error_code gh_store_revocation_put(struct gh_store *store,
                                                       const struct gh_revocation *row,
                                                       struct gh_error *error);
/* Replaces what came from the anchor's list by `rows` (their anchor is ignored) and writes
 * crl_number, crl_next_ms and crl_read_ms of `anchor`. What was revoked by hand stays. */
GH_MUST_USE enum gh_error_code gh_store_crl_put(struct gh_store *store,
                                                const struct gh_anchor *anchor,
                                                const struct gh_revocation *rows, size_t count,
                                                struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_store_revocation_find(struct gh_store *store, int64_t anchor,
                                                        struct gh_slice serial, bool *found,
                                                        struct gh_revocation *out,
                                                        struct gh_error *error);
/* By serial number. */
GH_MUST_USE enum gh_error_code gh_store_revocation_list(struct gh_store *store, int64_t anchor,
                                                        size_t limit, struct gh_arena *arena,
                                                        struct gh_revocation **out, size_t *count,
                                                        struct gh_error *error);

/* What the responder of a CA said about one certificate, and when it is asked again. */
struct gh_ocsp_row {
    int64_t anchor;
    struct gh_slice serial;
    int64_t good_until_ms; /* 0: it has not said that it is good */
    int64_t due_ms;
    int64_t not_after_ms;                /* of the certificate: it is asked no more then */
    struct gh_slice anchor_id, pem, url; /* read only: of the CA */
};

/* NOT_FOUND when it was never asked about. */
GH_MUST_USE enum gh_error_code gh_store_ocsp_find(struct gh_store *store, int64_t anchor,
                                                  struct gh_slice serial, struct gh_ocsp_row *out,
                                                  struct gh_error *error);
/* Creates or replaces; NOT_FOUND without the CA. */
GH_MUST_USE enum gh_error_code
gh_store_ocsp_put(struct gh_store *store, const struct gh_ocsp_row *row, struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_store_ocsp_delete(struct gh_store *store, int64_t anchor,
                                                    struct gh_slice serial, struct gh_error *error);
/* Those of active CAs that are due, the longest first. */
GH_MUST_USE enum gh_error_code gh_store_ocsp_due(struct gh_store *store, int64_t now_ms,
                                                 size_t limit, struct gh_arena *arena,
                                                 struct gh_ocsp_row **out, size_t *count,
                                                 struct gh_error *error);

/* A certificate of the built-in CA. */
struct gh_issued {
    int64_t anchor;
    struct gh_slice serial;
    uint64_t device;
    struct gh_slice registry_name, device_id; /* read only */
    struct gh_slice pem;
    int64_t not_before_ms, not_after_ms, issued_at_ms;
    bool revoked; /* read only */
    int64_t revoked_at_ms;
};

GH_MUST_USE enum gh_error_code
gh_store_issued_put(struct gh_store *store, const struct gh_issued *row, struct gh_error *error);
/* Newest first, of the device or with 0 of the anchor; PEM is left out. */
GH_MUST_USE enum gh_error_code gh_store_issued_list(struct gh_store *store, int64_t anchor,
                                                    uint64_t device, size_t limit,
                                                    struct gh_arena *arena, struct gh_issued **out,
                                                    size_t *count, struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_store_issued_get(struct gh_store *store, int64_t anchor,
                                                   struct gh_slice serial, struct gh_arena *arena,
                                                   struct gh_issued *out, struct gh_error *error);

/* A certificate by a CA that proved a device, or was issued to it. */
struct gh_certificate_use {
    int64_t anchor;
    struct gh_slice anchor_id, serial;
    enum gh_anchor_state anchor_state;
    int64_t not_before_ms, not_after_ms;
    int64_t first_ms; /* when it was issued here, or first used */
    int64_t last_used_ms;
    int64_t revoked_at_ms; /* 0: it was not revoked */
};
enum { GH_CERTIFICATE_USES_MAX = 8 }; /* remembered of a device */

/* Those that it used, the last first, then those that it has not used yet and that have not
 * expired. */
GH_MUST_USE enum gh_error_code gh_store_certificate_use_list(struct gh_store *store,
                                                             uint64_t device, int64_t now_ms,
                                                             struct gh_arena *arena,
                                                             struct gh_certificate_use **out,
                                                             size_t *count, struct gh_error *error);

/* A token with which a device may enrol once. */
struct gh_enrolment {
    struct gh_slice id;   /* read only: the first digits of its hash, unique in its device */
    struct gh_slice hash; /* SHA-256 */
    uint64_t device;
    bool disabled;
    int64_t created_at_ms, expires_at_ms;
    int64_t used_at_ms; /* 0: was not used yet */
};

GH_MUST_USE enum gh_error_code gh_store_enrolment_put(struct gh_store *store,
                                                      const struct gh_enrolment *row,
                                                      struct gh_error *error);
/* Finds it and marks it as used: a token is good once. `out` is the row as it was before, so that
 * it says why when it is not good; NOT_FOUND for one that is not there at all. */
GH_MUST_USE enum gh_error_code gh_store_enrolment_take(struct gh_store *store, uint64_t device,
                                                       struct gh_slice hash, int64_t now_ms,
                                                       struct gh_enrolment *out,
                                                       struct gh_error *error);
/* Those of the device, newest first; hashes are left out. */
GH_MUST_USE enum gh_error_code gh_store_enrolment_list(struct gh_store *store, uint64_t device,
                                                       struct gh_arena *arena,
                                                       struct gh_enrolment **out, size_t *count,
                                                       struct gh_error *error);
/* NOT_FOUND when the device has none of this id. */
GH_MUST_USE enum gh_error_code gh_store_enrolment_disable(struct gh_store *store, uint64_t device,
                                                          struct gh_slice id, bool disabled,
                                                          struct gh_error *error);
#endif
