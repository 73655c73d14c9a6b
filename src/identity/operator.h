/* Operators: the people at the console. Creates them, checks their passwords with argon2id behind a
 * progressive delay, asks for their second factor (identity/factor.h), and keeps their sessions.
 * Wrong name and wrong password look alike: same answer, same work.
 *
 * After a wrong password an account and a source address wait 1, 2, 4 … 300 s, each on its own,
 * before the next guess is looked at; nobody is locked for good, a right password clears the
 * account, and a source that guessed many accounts keeps its own delay. A browser in which the
 * person has signed in before carries a token of its own (identity/browser.h) and waits for its own
 * wrong guesses alone, so that strangers' guesses never keep the owner out. The table of delays
 * holds GH_OPERATOR_DELAYS_MAX entries and forgets the oldest.
 *
 * A check takes the memory of the cost for a quarter of a second. At most GH_OPERATOR_CHECKS_MAX
 * wait or run at a time, one of each account; the last GH_OPERATOR_CHECKS_KEPT places are for known
 * browsers. Who finds none is refused at once. The threads are the caller's: gh_operators_admit is
 * quick and may refuse, gh_operators_check is slow.
 *
 * A password is stored as "$peppered$" and the PHC string of its HMAC-SHA-256 under a key of the
 * keyring, so that the database alone is not enough to guess at it; PHC strings of before are taken
 * too and made anew at the next sign-in, as are those of a lesser cost.
 *
 * Memory: texts are the arena's. Threads: any; blocks on the store, and where it says so on
 * argon2id. */
#ifndef GH_IDENTITY_OPERATOR_H
#define GH_IDENTITY_OPERATOR_H

#include "base/arena.h"
#include "base/error.h"
#include "base/metric.h"
#include "crypto/password.h"
#include "identity/browser.h"
#include "registry/principal.h"
#include "store/records.h"

struct gh_store;
struct gh_operators;

enum {
    GH_OPERATOR_NAME_MAX = 64,
    GH_OPERATOR_EMAIL_MAX = 254,
    GH_OPERATOR_AGENT_MAX = 160, /* what is kept of a browser's name for itself */
    GH_OPERATOR_DELAYS_MAX = 16384,
    GH_OPERATOR_THREADS = 2, /* argon2id at once, each with the memory of the cost */
    GH_OPERATOR_CHECKS_MAX = 18,
    GH_OPERATOR_CHECKS_KEPT = 4,
    /* Of a password that is the only proof (NIST SP 800-63B). A shorter one, which was chosen
     * beside a second factor, lets nobody in alone when that is gone: another is added first. */
    GH_OPERATOR_ALONE_BYTES_MIN = 15,
    GH_OPERATOR_COOKIE_MAX = 43 + 1,
    GH_OPERATOR_IDLE_S = 30 * 60,
    GH_OPERATOR_ABSOLUTE_S = 12 * 3600,
    GH_OPERATOR_STEP_S = 10 * 60,   /* from the password to the second factor */
    GH_OPERATOR_PROVEN_S = 10 * 60, /* how long a proof is recent enough for what needs one */
};

struct gh_operators_options {
    struct gh_store *store; /* the caller's, outlives it */
    struct gh_password_cost cost;
    struct gh_slice key;        /* of the keyring, 32 bytes; copied */
    struct gh_metrics *metrics; /* or NULL */
    const char *breached;       /* path of a list (identity/breached.h), or NULL */
};
/* NULL with the cause. */
GH_MUST_USE struct gh_operators *gh_operators_open(const struct gh_operators_options *options,
                                                   struct gh_error *error);
void gh_operators_close(struct gh_operators *operators);

/* --- accounts; creating and giving a password run argon2id */

/* Name: 1 to 64 of letters, digits, '.', '-', '_', '@'. Password: 12 to 128 bytes, 15 where it is
 * the only proof, none of the breached list; empty: none, the outside provider lets them in. */
struct gh_operator_draft {
    struct gh_slice name, password, role, email;
    int64_t tenant; /* 0: all */
};
GH_MUST_USE enum gh_error_code gh_operators_create(struct gh_operators *operators,
                                                   const struct gh_operator_draft *draft,
                                                   int64_t now_ms, struct gh_error *error);
/* Ends all sessions of the operator too. */
GH_MUST_USE enum gh_error_code gh_operators_set_password(struct gh_operators *operators,
                                                         struct gh_slice name,
                                                         struct gh_slice password,
                                                         struct gh_error *error);
/* INVALID with the rule that an e-mail address breaks; empty is fine. */
GH_MUST_USE enum gh_error_code gh_operator_email_check(struct gh_slice email,
                                                       struct gh_error *error);

/* --- signing in */

struct gh_sign_in {
    struct gh_slice name, password;
    struct gh_slice source;  /* the peer's address without its port */
    struct gh_slice browser; /* the token that it carries, or empty */
    struct gh_slice agent;   /* its name for itself, for the list of sessions */
};
/* An attempt that was let through to its check. */
struct gh_attempt {
    uint8_t subject[32], source[32]; /* digests of what waits after a wrong guess */
    bool known;                      /* the browser is: its source does not wait */
};

struct gh_operator_session {
    struct gh_caller caller; /* OPERATOR when the stage is WHOLE, else NOBODY */
    struct gh_sign_in_row row;
};
struct gh_sign_in_outcome {
    struct gh_operator_session session;
    char cookie[GH_OPERATOR_COOKIE_MAX]; /* the session's secret: for Set-Cookie, then wiped */
    char browser[GH_BROWSER_MAX];        /* the browser's new token, when the stage is WHOLE */
    int64_t retry_after_s;               /* with LIMIT and UNAVAILABLE */
};

/* LIMIT when the account or the source has to wait; UNAVAILABLE when all places are taken. After
 * GH_OK a place is held until _check or _withdraw. */
GH_MUST_USE enum gh_error_code gh_operators_admit(struct gh_operators *operators,
                                                  const struct gh_sign_in *sign_in, int64_t now_ms,
                                                  struct gh_attempt *attempt,
                                                  int64_t *retry_after_s, struct gh_error *error);
void gh_operators_withdraw(struct gh_operators *operators, const struct gh_attempt *attempt);
/* GH_OK and a new session, whose stage says what is still missing; UNAUTHENTICATED. Runs argon2id.
 */
GH_MUST_USE enum gh_error_code
gh_operators_check(struct gh_operators *operators, const struct gh_sign_in *sign_in,
                   const struct gh_attempt *attempt, int64_t now_ms, struct gh_arena *arena,
                   struct gh_sign_in_outcome *out, struct gh_error *error);
/* The same for somebody who is signed in already: no session begins. */
GH_MUST_USE enum gh_error_code gh_operators_confirm(struct gh_operators *operators,
                                                    const struct gh_sign_in *sign_in,
                                                    const struct gh_attempt *attempt,
                                                    int64_t now_ms, struct gh_arena *arena,
                                                    struct gh_error *error);
/* Admitting and checking in one, where the thread may wait. */
GH_MUST_USE enum gh_error_code gh_operators_sign_in(struct gh_operators *operators,
                                                    const struct gh_sign_in *sign_in,
                                                    int64_t now_ms, struct gh_arena *arena,
                                                    struct gh_sign_in_outcome *out,
                                                    struct gh_error *error);
/* The session of somebody whom an outside provider has named: `row` as the store has it, `method`
 * "oidc". What is demanded beside it is asked for as after a password. */
GH_MUST_USE enum gh_error_code
gh_operators_let_in(struct gh_operators *operators, const struct gh_operator_row *row,
                    const struct gh_sign_in *sign_in, const char *method, int64_t now_ms,
                    struct gh_arena *arena, struct gh_sign_in_outcome *out, struct gh_error *error);

/* --- sessions */

/* The session of a cookie: GH_OK and it counts as seen now; UNAUTHENTICATED when it is unknown,
 * idle for 30 min, older than 12 h, or its second factor did not come in time. Whoever asks looks
 * at the stage. */
GH_MUST_USE enum gh_error_code gh_operators_session(struct gh_operators *operators,
                                                    struct gh_slice cookie, int64_t now_ms,
                                                    struct gh_arena *arena,
                                                    struct gh_operator_session *out,
                                                    struct gh_error *error);
/* The same, and it does not count as seen: for what goes on by itself. */
GH_MUST_USE enum gh_error_code
gh_operators_look(struct gh_operators *operators, struct gh_slice cookie, int64_t now_ms,
                  struct gh_arena *arena, struct gh_operator_session *out, struct gh_error *error);
/* Whether its person has shown a proof in the last GH_OPERATOR_PROVEN_S. */
bool gh_operator_session_is_proven(const struct gh_operator_session *session, int64_t now_ms);
/* The person has shown `proof` ("totp", "webauthn", "recovery", "password"; NULL: nothing new) and
 * the session has come to `stage`: it goes on under a new secret, proven now. */
GH_MUST_USE enum gh_error_code
gh_operators_go_on(struct gh_operators *operators, const struct gh_operator_session *session,
                   enum gh_sign_in_stage stage, const char *proof, int64_t now_ms,
                   struct gh_arena *arena, struct gh_sign_in_outcome *out, struct gh_error *error);
/* A session anew, where the old one went with all others of the operator. */
GH_MUST_USE enum gh_error_code gh_operators_begin_again(struct gh_operators *operators,
                                                        const struct gh_operator_session *session,
                                                        int64_t now_ms, struct gh_arena *arena,
                                                        struct gh_sign_in_outcome *out,
                                                        struct gh_error *error);
GH_MUST_USE enum gh_error_code gh_operators_sign_out(struct gh_operators *operators,
                                                     struct gh_slice cookie,
                                                     struct gh_error *error);
/* By what the list shows of it, gh_session_id. NOT_FOUND when the operator has none such. */
GH_MUST_USE enum gh_error_code gh_operators_end_session(struct gh_operators *operators,
                                                        int64_t operator_number, struct gh_slice id,
                                                        struct gh_arena *arena,
                                                        struct gh_error *error);
/* A name for a session or token that tells nothing of its secret: 16 hex digits of its hash. */
enum { GH_SESSION_ID_MAX = 16 + 1 };
char *gh_session_id(struct gh_slice hash, char out[GH_SESSION_ID_MAX]);
#endif
