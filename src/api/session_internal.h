/* What signing in and going on with a session answer. */
#ifndef GH_API_SESSION_INTERNAL_H
#define GH_API_SESSION_INTERNAL_H

#include "api/call_internal.h"
#include "identity/factor.h"

/* The cookies of a session that has begun, or goes on under a new secret, and the session itself
 * as the answer; the outcome's secrets are wiped. */
enum gh_error_code session_answer(struct call *call, struct gh_sign_in_outcome *outcome);
/* Set-Cookie of one that only we read, for the whole host. */
void session_cookie(char cookie[CALL_COOKIE_MAX], const char *name, const char *value,
                    int max_age_s, const char *same_site);
/* Takes both cookies of a session away. */
void session_forget(struct call *call);
/* What the caller's session is like, {operator, stage, …}; a new reference. */
json_t *session_to_json(struct call *call, const struct gh_operator_session *session);

/* {id, label, …} of a token; a new reference. */
json_t *token_to_json(const struct call *call, const struct gh_token_row *row);
/* [{id, kind, label, …}]; a new reference. */
json_t *factors_to_json(const struct gh_factors *factors);
/* {credential, client_data, authenticator_data, signature}, in base64url, as this site gets it. */
enum gh_error_code security_key_read(struct call *call, const json_t *object,
                                     const struct gh_webauthn_assertion **out);
/* A second factor has worked for the first time: the session goes on under a new secret and is
 * whole; with the first factor come recovery codes. `proof` as of gh_factor_name. */
enum gh_error_code account_factor_added(struct call *call, const char *proof);
/* DENIED unless the caller may all that an administrator of the house may. */
enum gh_error_code account_administrates(struct call *call);
/* A person's deed about an account in the trail: who, and about whom. */
void account_note(struct call *call, const char *what, struct gh_slice about);
#endif
