/* What the files about operators share. */
#ifndef GH_IDENTITY_OPERATOR_INTERNAL_H
#define GH_IDENTITY_OPERATOR_INTERNAL_H

#include "base/buffer.h"
#include "crypto/digest.h"
#include "identity/delay.h"
#include "identity/factor.h"
#include "store/store.h"
#include <pthread.h>

/* The keys that are made of the keyring's one, each for one use. */
enum operator_key {
    OPERATOR_KEY_PASSWORDS, /* HMAC of passwords before argon2id */
    OPERATOR_KEY_BROWSERS,  /* tokens of known browsers */
    OPERATOR_KEY_FACTORS,   /* seals of one-time codes' secrets */
    OPERATOR_KEY_RECOVERY,  /* HMAC of recovery codes */
    OPERATOR_KEY_INVITATIONS,
    OPERATOR_KEYS,
};

struct gh_operators {
    struct gh_store *store;
    struct gh_password_cost cost;
    struct gh_metrics *metrics;
    struct gh_breached *breached;
    struct gh_secret *keys[OPERATOR_KEYS];
    pthread_mutex_t lock; /* guards what follows */
    struct gh_delays delays;
    uint8_t under_way[GH_OPERATOR_CHECKS_MAX][GH_SHA256_BYTES]; /* subjects of the checks */
    size_t checks;
};

struct gh_slice operator_key(const struct gh_operators *operators, enum operator_key key);
/* What is stored of a password: the buffer is of OPERATOR_STORED_MAX bytes. INVALID with the rule
 * that the password breaks. Runs argon2id. */
enum { OPERATOR_STORED_MAX = 16 + GH_PASSWORD_PHC_MAX };
enum gh_error_code operator_hash_new(struct gh_operators *operators,
                                     const struct gh_operator_row *row, struct gh_slice password,
                                     struct gh_arena *arena, struct gh_buffer *out,
                                     struct gh_error *error);
/* The name under which something waits: a digest of what it is and of which one. */
void operator_waits_as(const char *kind, struct gh_slice of, uint8_t out[GH_SHA256_BYTES]);
/* LIMIT with the seconds, "too many attempts". */
enum gh_error_code operator_must_wait(int64_t wait_ms, int64_t *retry_after_s,
                                      struct gh_error *error);
/* A session of an operator that begins, in place of the one of `before` unless that is empty. */
enum gh_error_code operator_session_begin(struct gh_operators *operators,
                                          const struct gh_sign_in_row *row, struct gh_slice before,
                                          struct gh_arena *arena, struct gh_sign_in_outcome *out,
                                          struct gh_error *error);
#endif
