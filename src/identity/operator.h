/* Operators: the people at the console. Creates them, checks their passwords with argon2id behind a
 * progressive delay, and keeps their sessions. Wrong name and wrong password look alike: same
 * answer, same work. After a wrong password an account and a source address wait 1, 2, 4 … 300 s,
 * each on its own, before the next guess is looked at; nobody is locked for good, a right password
 * clears the account, and a source that guessed many accounts keeps its own delay. The table of
 * delays holds GH_OPERATOR_DELAYS_MAX entries and forgets the oldest.
 *
 * Memory: texts are the arena's. Threads: any; blocks on the store and on argon2id (a quarter of a
 * second and the memory of the cost), so it runs on worker threads. */
#ifndef GH_IDENTITY_OPERATOR_H
#define GH_IDENTITY_OPERATOR_H

#include "base/arena.h"
#include "base/error.h"
#include "crypto/password.h"
#include "registry/principal.h"

struct gh_store;
struct gh_operators;

enum {
    GH_OPERATOR_NAME_MAX = 64,
    GH_OPERATOR_DELAYS_MAX = 16384,
    GH_OPERATOR_CHECKS_MAX = 2, /* argon2id at once, each with the memory of the cost */
    GH_OPERATOR_COOKIE_MAX = 43 + 1,
    GH_OPERATOR_IDLE_S = 30 * 60,
    GH_OPERATOR_ABSOLUTE_S = 12 * 3600,
};

/* `store` stays the caller's and outlives it. NULL when there is no memory. */
struct gh_operators *gh_operators_open(struct gh_store *store, struct gh_password_cost cost);
void gh_operators_close(struct gh_operators *operators);

/* Name: 1 to 64 of letters, digits, '.', '-', '_', '@'. Password: 12 to 128 bytes. */
GH_MUST_USE enum gh_error_code gh_operators_create(struct gh_operators *operators,
                                                   struct gh_slice name, struct gh_slice password,
                                                   struct gh_slice role, int64_t now_ms,
                                                   struct gh_error *error);
/* Ends all sessions of the operator too. */
GH_MUST_USE enum gh_error_code gh_operators_set_password(struct gh_operators *operators,
                                                         struct gh_slice name,
                                                         struct gh_slice password, int64_t now_ms,
                                                         struct gh_error *error);

struct gh_sign_in {
    struct gh_slice name, password;
    struct gh_slice source; /* the peer's address without its port */
};
struct gh_sign_in_outcome {
    struct gh_caller caller;
    char cookie[GH_OPERATOR_COOKIE_MAX]; /* the session's secret: for Set-Cookie, then wiped */
    int64_t retry_after_s;               /* with GH_ERROR_LIMIT */
};
/* GH_OK and a new session; GH_ERROR_UNAUTHENTICATED; GH_ERROR_LIMIT when the account or the source
 * has to wait, or when GH_OPERATOR_CHECKS_MAX checks are under way already; then argon2id was not
 * run. */
GH_MUST_USE enum gh_error_code gh_operators_sign_in(struct gh_operators *operators,
                                                    const struct gh_sign_in *sign_in,
                                                    int64_t now_ms, struct gh_arena *arena,
                                                    struct gh_sign_in_outcome *out,
                                                    struct gh_error *error);

/* The session of a cookie: GH_OK and it counts as seen now; GH_ERROR_UNAUTHENTICATED when it is
 * unknown, idle for 30 min or older than 12 h. */
GH_MUST_USE enum gh_error_code gh_operators_session(struct gh_operators *operators,
                                                    struct gh_slice cookie, int64_t now_ms,
                                                    struct gh_arena *arena, struct gh_caller *out,
                                                    struct gh_error *error);
/* The same, and it does not count as seen: for what goes on by itself. */
GH_MUST_USE enum gh_error_code gh_operators_look(struct gh_operators *operators,
                                                 struct gh_slice cookie, int64_t now_ms,
                                                 struct gh_arena *arena, struct gh_caller *out,
                                                 struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_operators_sign_out(struct gh_operators *operators,
                                                     struct gh_slice cookie,
                                                     struct gh_error *error);
#endif
