/* One call of the native API: what its handler sees, and the small words that handlers share. A
 * handler is a plain function on a worker thread: it reads the captures, the query and the body,
 * asks the rooms below, and leaves a JSON value in `answer` (nothing left there is answered `{}`).
 * When it returns an error, its `error` is the answer. Permission was checked before it runs. */
#ifndef GH_API_CALL_INTERNAL_H
#define GH_API_CALL_INTERNAL_H

#include "api/api.h"
#include "api/auditing_internal.h"
#include "api/stream_internal.h"
#include "identity/operator.h"
#include "io/http_server.h"
#include "io/worker.h"
#include "policy/permission.h"
#include "registry/anchors.h"
#include "registry/directory.h"
#include "wire/json.h"
#include <pthread.h>

enum { CALL_CAPTURES_MAX = 4, CALL_COOKIE_MAX = 256, CALL_COOKIES_MAX = 3 };

struct gh_api {
    struct gh_api_services services;
    struct gh_stream_hub *hub;
    struct tenant_names *tenants;
    struct gh_tap *tap;
    struct gh_trail_watch *watch;
    struct trace_streams *trace_streams;
    struct standing *standing;
    pthread_mutex_t settings_lock; /* one change of a tenant's settings at a time */
    int64_t started_ms;
};

/* What a path is about: the last of these that it names. */
enum call_level { CALL_HOUSE, CALL_TENANT, CALL_REGISTRY, CALL_GROUP, CALL_DEVICE };

struct call;
typedef enum gh_error_code handler(struct call *call);

struct call {
    struct gh_job job;
    struct gh_api *api;
    bool local;
    bool looks; /* it goes on by itself: its session does not count as seen */
    struct gh_exchange *exchange;
    const struct gh_http_request *request;
    const struct route *route;
    struct gh_arena *arena;
    struct gh_slice captures[CALL_CAPTURES_MAX];
    struct gh_caller caller;
    struct gh_operator_session session; /* of a caller by cookie; else its operator_number is 0 */
    uint64_t device;                    /* of a caller that is a device: its number */
    bool bearer_failed;                 /* there was a bearer token, and it is not valid */
    struct gh_tenant tenant;            /* of routes below a tenant */
    enum call_level level;              /* of the route */
    struct gh_policy_scope scope; /* what the path names; its policies only where they decide */
    int64_t now_ms;
    json_t *body;                     /* of routes that take one: an object */
    json_t *answer;                   /* given by the handler */
    int status;                       /* 200 unless the handler says otherwise */
    bool taken;                       /* the handler has answered the exchange itself */
    void *pending;                    /* what `later` works on */
    void (*later)(struct call *call); /* when set: run last, and answers in its own time */
    char cookies[CALL_COOKIES_MAX][CALL_COOKIE_MAX]; /* Set-Cookie, those that are not empty */
    handler *slow;                                   /* of call_slowly */
    void (*slow_refused)(struct call *call);         /* NULL: nothing to take back */
    int64_t retry_after_s;
    struct gh_audit_deed deed; /* of routes that leave a row in the audit trail */
    char action[GH_AUDIT_ACTION_MAX];
    struct gh_error error;
};

/* Sets call->error. */
enum gh_error_code call_fail(struct call *call, enum gh_error_code code, const char *format, ...)
    GH_PRINTF(3, 4);

/* The query parameter, or `fallback`. INVALID when it is there and not understood. */
struct gh_slice call_query(struct call *call, const char *name);
GH_MUST_USE bool call_query_u64(struct call *call, const char *name, uint64_t low, uint64_t high,
                                uint64_t fallback, uint64_t *out);
GH_MUST_USE bool call_query_time(struct call *call, const char *name, int64_t fallback,
                                 int64_t *out);

/* --- scope.c: where something is to be done */

/* Fills call->scope for the route. */
GH_MUST_USE enum gh_error_code call_scope_of_path(struct call *call);
/* The custom roles that may be meant in `tenant` (0: the house's). */
GH_MUST_USE enum gh_error_code call_roles(struct call *call, int64_t tenant,
                                          struct gh_policy_roles *out);
/* The tenant as a whole (its number 0: the server), and what stands below it. */
GH_MUST_USE enum gh_error_code call_scope(struct call *call, const struct gh_tenant *tenant,
                                          struct gh_policy_scope *out);
GH_MUST_USE enum gh_error_code call_scope_group(struct call *call,
                                                const struct gh_device_group *group,
                                                struct gh_policy_scope *scope);
GH_MUST_USE enum gh_error_code call_scope_device(struct call *call, const struct gh_device *device,
                                                 struct gh_policy_scope *scope);
/* Whether the caller may, in `tenant` as a whole (0: the server). For handlers that list across
 * tenants or need more than the route's permission, which stands in the table. */
bool call_may(struct call *call, enum gh_permission permission, int64_t tenant);
/* The same on a device of the call's tenant. */
bool call_may_on_device(struct call *call, enum gh_permission permission,
                        const struct gh_device *device);
/* DENIED when the role may there what the caller may not. */
GH_MUST_USE enum gh_error_code call_covers(struct call *call, struct gh_slice role,
                                           const struct gh_policy_scope *scope);

/* JSON values: a time or null, a text, a 64-bit number as text. */
json_t *json_time(int64_t utc_ms);
json_t *json_slice(struct gh_slice text);
json_t *json_number_text(uint64_t value);
/* Adds "subject", "issuer", "fingerprint", "not_before" and "not_after" of the certificate; nothing
 * for what is none. */
void json_add_certificate(json_t *out, struct gh_slice pem);
/* The payload as a JSON value when it is one, else null; then `*base64` is its base64. */
json_t *json_payload(struct gh_slice payload, json_t **base64);
/* Reads {"data": any JSON} or {"data_base64": text} into the arena. */
GH_MUST_USE enum gh_error_code call_read_payload(struct call *call, struct gh_slice *out);

/* The registry or device that the captures name (tenant 0, registry 1, device 2). */
GH_MUST_USE enum gh_error_code call_registry(struct call *call, struct gh_registry *out);
GH_MUST_USE enum gh_error_code call_device(struct call *call, struct gh_device *out);

/* Handlers, by the file that has them. */
handler api_sign_in, api_sign_out, api_session, api_session_factor, api_session_prove,
    api_session_invitation;                                               /* session.c */
handler api_session_provider, api_session_oidc, api_session_oidc_back;    /* oidc.c */
handler api_session_challenge, api_factor_challenge, api_factor_webauthn; /* security_keys.c */
handler api_account, api_account_password, api_factor_totp, api_factor_confirm, api_factor_delete,
    api_factor_recovery, api_account_sessions, api_account_session_end,
    api_account_sessions_end; /* account.c */
handler api_account_tokens, api_account_token_create, api_account_token_delete, api_token_create,
    api_token_list, api_token_delete, api_operator_token_create; /* tokens.c */
handler api_operator_list, api_operator_create, api_operator_get, api_operator_update,
    api_operator_delete, api_operator_password, api_operator_invite, api_operator_factors,
    api_operator_sessions, api_sign_in_policy_get, api_sign_in_policy_put; /* operators.c */
handler api_oauth_token, api_oauth_introspect, api_oauth_revoke, api_device_token_revoke,
    api_oauth_keys, api_oauth_metadata;                                        /* oauth.c */
handler api_token_key_list, api_token_key_rotate, api_device_self;             /* token_keys.c */
handler api_keys_rotate, api_tenant_keys_rotate, api_keys_export;              /* keys.c */
handler api_authorities_get, api_authorities_request, api_authorities_install; /* authorities.c */
handler api_status, api_metrics, api_health;                                   /* status.c */
handler api_tenant_list, api_tenant_create, api_tenant_get, api_tenant_update,
    api_tenant_delete; /* tenants.c */
handler api_registry_list, api_registry_create, api_registry_get, api_registry_update,
    api_registry_delete; /* registries.c */
handler api_device_list, api_device_create, api_device_get, api_device_update, api_device_delete,
    api_device_import, api_fleet; /* devices.c */
handler api_policy_list, api_policy_get, api_policy_put, api_policy_delete, api_policy_attach,
    api_policy_detach, api_device_policies, api_device_explain; /* policies.c */
handler api_policy_check, api_device_check;                     /* reach.c */
handler api_group_list, api_group_create, api_group_get, api_group_delete, api_group_add,
    api_group_remove; /* groups.c */
handler api_ca_list, api_ca_get, api_ca_add, api_ca_verify, api_ca_update, api_ca_remove,
    api_ca_crl, api_ca_revoke, api_ca_revocations;                                 /* anchors.c */
handler api_certificate_issue, api_certificate_list, api_enrolment, api_tenant_ca; /* issuing.c */
handler api_est_cacerts, api_est_csrattrs, api_est_enroll, api_est_reenroll, api_pki_crl,
    api_pki_ca, api_pki_ca_der, api_pki_ocsp, api_pki_ocsp_get, api_pki_root_crl,
    api_pki_intermediate_crl;                                              /* est.c */
handler api_config_list, api_config_set, api_state_list, api_command_send; /* documents.c */
handler api_device_log, api_refusals, api_telemetry;                       /* history.c */
handler api_zone_list, api_zone_list_all, api_zone_get, api_zone_put, api_zone_delete; /* zones.c */
handler api_connection_list, api_device_connections;                /* connections.c */
handler api_kick, api_ban, api_unban;                               /* bans.c */
handler api_durability_get, api_durability_put;                     /* durability.c */
handler api_limits_get, api_limits_put;                             /* limits.c */
handler api_alerts_get, api_alerts_put, api_away_list;              /* alerts.c */
handler api_trace;                                                  /* trace.c */
handler api_access_explain;                                         /* access.c */
handler api_role_list, api_role_get, api_role_put, api_role_delete; /* roles.c */
handler api_bindings_get, api_bindings_put;                         /* bindings.c */
handler api_service_account_list, api_service_account_create, api_service_account_get,
    api_service_account_update, api_service_account_delete, api_service_key_list,
    api_service_key_create, api_service_key_update, api_service_key_delete; /* service_accounts.c */
handler api_audit_list, api_audit_verify, api_audit_checkpoints, api_audit_prove,
    api_audit_checkpoint, api_audit_cut, api_audit_forget; /* audit.c */
handler api_stream;                                        /* stream.c */

handler api_credential_list, api_credential_update, api_credential_delete; /* credentials.c */

/* A credential as the API shows it; new reference. */
json_t *credential_to_json(const struct call *call, const struct gh_credential *credential);
/* The device as the API shows it; new reference, NULL without memory. */
/* The handler's last word: `slow` goes on with this call on the threads for passwords, where its
 * result is answered. When they are busy the call is answered with 503, after `refused` (NULL:
 * nothing to take back). The body stays. */
enum gh_error_code call_slowly(struct call *call, handler *slow,
                               void (*refused)(struct call *call));
/* Answers the exchange, once, unless the handler took that upon itself. */
void call_answer(struct call *call, enum gh_error_code code);
/* Before a handler answers its exchange itself: the call's row is written, with what became of it.
 * False when it could not be; then the handler returns what call->error says. */
GH_MUST_USE bool call_settle(struct call *call, enum gh_error_code code);
/* Who is calling, into call->caller; sets call->error. */
enum gh_error_code call_authenticate(struct call *call);
/* Who is calling, and that it may: as before a handler runs, and again for calls that last. Of a
 * list: the permission of its route, in the caller's own tenant or in all. Sets call->error. */
enum gh_error_code call_judge(struct call *call);
/* The peer's address without its port. */
struct gh_slice call_source(const struct call *call);
/* Of the cookies that signing in sets, by name; empty when it is not there. */
#define CALL_COOKIE_SESSION "__Host-gatehouse"
#define CALL_COOKIE_BROWSER "__Host-gatehouse-known"
struct gh_slice call_cookie(const struct gh_http_request *request, const char *name);
/* Whether a page of another origin makes a browser send this. */
bool call_is_foreign(const struct call *call);

json_t *anchor_to_json(const struct gh_anchor *anchor);
json_t *device_to_json(struct call *call, const struct gh_device *device);
/* The newest refusal in the device's trail, or null; a new reference. */
json_t *call_last_refusal(struct call *call, uint64_t device);
/* An operator's deed in the trail, of a device or (NULL) of the call's tenant: who did it, and
 * `more` (empty: nothing). */
void call_note(struct call *call, const char *what, struct gh_slice registry,
               const struct gh_device *device, struct gh_slice more);
/* The same about the call's tenant as a whole. */
void call_tenant_note(struct call *call, const char *what);
#endif
