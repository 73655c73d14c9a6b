/* What the files about the outside provider share. */
#ifndef GH_IDENTITY_OIDC_INTERNAL_H
#define GH_IDENTITY_OIDC_INTERNAL_H

#include "base/buffer.h"
#include "crypto/key.h"
#include "crypto/seal.h"
#include "identity/oidc.h"
#include <jansson.h>
#include <pthread.h>

enum { OIDC_KEYS_MAX = 16, OIDC_URL_MAX = 1024, OIDC_KID_MAX = 128 };

/* What the provider says about itself, fetched. */
struct oidc_provider {
    char authorization[OIDC_URL_MAX], token[OIDC_URL_MAX], jwks[OIDC_URL_MAX];
    struct oidc_key {
        struct gh_key *key;
        char kid[OIDC_KID_MAX + 1];
    } keys[OIDC_KEYS_MAX];
    size_t keys_count;
    int64_t fetched_ms; /* 0: never */
};

struct gh_oidc {
    struct gh_store *store;
    char *issuer, *client_id, *ca_path;
    struct gh_secret *secret; /* NULL: a public client */
    bool by_email;
    uint8_t key[GH_SEAL_KEY_BYTES]; /* of this process, for the cookies */
    pthread_mutex_t lock;           /* guards `provider`; held while it is fetched */
    struct oidc_provider provider;
};

/* Appends with everything but RFC 3986's unreserved characters escaped. */
void oidc_put_escaped(struct gh_buffer *out, struct gh_slice text);
/* A JSON object from an HTTPS call; `form` is a body to post, or NULL for a GET. NULL with the
 * cause. The caller's to json_decref. */
json_t *oidc_fetch(struct gh_oidc *oidc, const char *url, const char *form,
                   const char *authorization, struct gh_error *error);
/* --- oidc_provider.c: with the lock held */

/* Fetches what is not there or too old. */
GH_MUST_USE enum gh_error_code oidc_provider_refresh(struct gh_oidc *oidc, int64_t now_ms,
                                                     struct gh_error *error);
/* The keys of that id (empty: all) into `keys`; fetched again when there is none. */
GH_MUST_USE enum gh_error_code oidc_provider_keys(struct gh_oidc *oidc, struct gh_slice kid,
                                                  int64_t now_ms,
                                                  const struct gh_key *keys[OIDC_KEYS_MAX],
                                                  size_t *count, struct gh_error *error);
void oidc_provider_clear(struct oidc_provider *provider);
#endif
