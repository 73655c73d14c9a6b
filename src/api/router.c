#include "api/assets_internal.h"
#include "api/call_internal.h"
#include "base/log.h"
#include "base/time.h"
#include "identity/bearer.h"
#include "identity/operator.h"
#include "observe/trail.h"
#include "wire/http/path.h"
#include <stdlib.h>
#include <string.h>

/* OPEN: no sign-in; BODY: takes a JSON object; TENANT: the first capture is a tenant; LIST: the
 * handler asks for permission per item, or where the body says.
 *
 * OWN: for a person who is signed in, about his own account, whatever his role; STAGE: also while a
 * second factor is missing; ENROL: also while the first one is still to be added; PROVEN: a person
 * has shown a proof not long ago; SLOW: the handler ends with call_slowly.
 *
 * Every route but those of GET leaves a row in the audit trail. READS: not this one, it changes
 * nothing, or is what a control program reports every second. AHEAD: the row is written before it
 * begins, as what it does is not in the database; of GET too (listening in). LAST: who calls is
 * known only at the end; of GET too. */
enum {
    OPEN = 1 << 0,
    BODY = 1 << 1,
    TENANT = 1 << 2,
    LIST = 1 << 3,
    READS = 1 << 4,
    AHEAD = 1 << 5,
    LAST = 1 << 6,
    OWN = 1 << 7,
    STAGE = 1 << 8,
    ENROL = 1 << 9,
    PROVEN = 1 << 10,
    SLOW = 1 << 11,
};

struct route {
    const char *method, *pattern;
    handler *run;
    enum gh_permission permission;
    unsigned flags;
};

#define DEVICE "/api/v1/tenants/{t}/registries/{r}/devices/{d}"
#define REGISTRY "/api/v1/tenants/{t}/registries/{r}"
#define CAS "/api/v1/tenants/{t}/registries/{r}/cas"
#define EST "/.well-known/est/"
#define POLICIES "/api/v1/tenants/{t}/policies"
#define GROUPS "/api/v1/tenants/{t}/groups"
#define ROLES "/api/v1/tenants/{t}/roles"
#define ACCOUNT "/api/v1/account"
#define OPERATORS "/api/v1/operators"
#define ACCOUNTS "/api/v1/tenants/{t}/service-accounts"
#define P(name) GH_PERMISSION_##name

static const struct route routes[] = {
    {"GET", "/healthz", api_health, 0, OPEN},
    {"GET", "/metrics", api_metrics, P(METRICS_READ), OPEN},
    {"POST", "/api/v1/session", api_sign_in, 0, OPEN | BODY | LAST | SLOW},
    {"POST", "/api/v1/session/invitation", api_session_invitation, 0, OPEN | BODY | LAST | SLOW},
    {"GET", "/api/v1/session/provider", api_session_provider, 0, OPEN},
    {"GET", "/api/v1/session/oidc", api_session_oidc, 0, OPEN},
    {"GET", "/api/v1/session/oidc/callback", api_session_oidc_back, 0, OPEN | LAST},
    {"GET", "/api/v1/session", api_session, 0, LIST | STAGE},
    {"DELETE", "/api/v1/session", api_sign_out, 0, LIST | STAGE},
    {"POST", "/api/v1/session/factor", api_session_factor, 0, OWN | STAGE | BODY},
    {"POST", "/api/v1/session/challenge", api_session_challenge, 0, OWN | STAGE},
    {"POST", "/api/v1/session/proof", api_session_prove, 0, OWN | BODY | SLOW},
    {"GET", ACCOUNT, api_account, 0, OWN | ENROL},
    {"POST", ACCOUNT "/password", api_account_password, 0, OWN | PROVEN | BODY | SLOW},
    {"POST", ACCOUNT "/totp", api_factor_totp, 0, OWN | ENROL | PROVEN | BODY},
    {"POST", ACCOUNT "/security-keys/challenge", api_factor_challenge, 0, OWN | ENROL | PROVEN},
    {"POST", ACCOUNT "/security-keys", api_factor_webauthn, 0, OWN | ENROL | PROVEN | BODY},
    {"POST", ACCOUNT "/factors/{f}/confirm", api_factor_confirm, 0, OWN | ENROL | PROVEN | BODY},
    {"DELETE", ACCOUNT "/factors/{f}", api_factor_delete, 0, OWN | PROVEN},
    {"POST", ACCOUNT "/recovery-codes", api_factor_recovery, 0, OWN | PROVEN},
    {"GET", ACCOUNT "/sessions", api_account_sessions, 0, OWN},
    {"DELETE", ACCOUNT "/sessions", api_account_sessions_end, 0, OWN},
    {"DELETE", ACCOUNT "/sessions/{s}", api_account_session_end, 0, OWN},
    {"GET", ACCOUNT "/tokens", api_account_tokens, 0, OWN},
    {"POST", ACCOUNT "/tokens", api_account_token_create, 0, OWN | PROVEN | BODY},
    {"DELETE", ACCOUNT "/tokens/{i}", api_account_token_delete, 0, OWN},
    {"GET", OPERATORS, api_operator_list, P(OPERATORS_LIST), 0},
    {"POST", OPERATORS, api_operator_create, P(OPERATORS_CREATE), BODY | PROVEN | SLOW},
    {"GET", OPERATORS "/{o}", api_operator_get, P(OPERATORS_LIST), 0},
    {"PATCH", OPERATORS "/{o}", api_operator_update, P(OPERATORS_UPDATE), BODY | PROVEN},
    {"DELETE", OPERATORS "/{o}", api_operator_delete, P(OPERATORS_DELETE), PROVEN},
    {"POST", OPERATORS "/{o}/password", api_operator_password, P(OPERATORS_UPDATE), PROVEN | SLOW},
    {"POST", OPERATORS "/{o}/invitation", api_operator_invite, P(OPERATORS_UPDATE), PROVEN},
    {"DELETE", OPERATORS "/{o}/factors", api_operator_factors, P(OPERATORS_UPDATE), PROVEN},
    {"DELETE", OPERATORS "/{o}/sessions", api_operator_sessions, P(OPERATORS_UPDATE), 0},
    {"POST", OPERATORS "/{o}/tokens", api_operator_token_create, P(OPERATORS_UPDATE),
     BODY | PROVEN},
    {"GET", "/api/v1/sign-in-policy", api_sign_in_policy_get, P(OPERATORS_LIST), 0},
    {"PUT", "/api/v1/sign-in-policy", api_sign_in_policy_put, P(OPERATORS_UPDATE), BODY | PROVEN},
    {"GET", "/api/v1/tenants/{t}/sign-in-policy", api_sign_in_policy_get, P(TENANTS_GET), TENANT},
    {"PUT", "/api/v1/tenants/{t}/sign-in-policy", api_sign_in_policy_put, P(TENANTS_UPDATE),
     TENANT | BODY | PROVEN},
    {"GET", "/api/v1/tokens", api_token_list, P(TOKENS_LIST), 0},
    {"POST", "/api/v1/tokens", api_token_create, P(TOKENS_CREATE), BODY | PROVEN},
    {"DELETE", "/api/v1/tokens/{i}", api_token_delete, P(TOKENS_DELETE), 0},
    {"GET", "/api/v1/token-keys", api_token_key_list, P(TOKEN_KEYS_LIST), 0},
    {"POST", "/api/v1/token-keys/rotate", api_token_key_rotate, P(TOKEN_KEYS_ROTATE),
     BODY | PROVEN | AHEAD},
    {"POST", "/api/v1/keys/rotate", api_keys_rotate, P(KEYS_ROTATE), PROVEN | AHEAD},
    {"GET", "/api/v1/ca", api_authorities_get, P(STATUS_READ), 0},
    {"POST", "/api/v1/ca/request", api_authorities_request, P(KEYS_ROTATE), PROVEN | AHEAD},
    {"POST", "/api/v1/ca/install", api_authorities_install, P(KEYS_ROTATE), BODY | PROVEN | AHEAD},
    {"POST", "/api/v1/tenants/{t}/keys/rotate", api_tenant_keys_rotate, P(KEYS_ROTATE),
     TENANT | PROVEN | AHEAD},
    {"POST", "/oauth2/token", api_oauth_token, 0, OPEN | LAST},
    {"POST", "/token", api_oauth_token, 0, OPEN | LAST},
    {"POST", "/oauth2/introspect", api_oauth_introspect, 0, OPEN | READS},
    {"POST", "/oauth2/revoke", api_oauth_revoke, 0, OPEN | LAST},
    {"GET", "/oauth2/jwks", api_oauth_keys, 0, OPEN},
    {"GET", "/.well-known/oauth-authorization-server", api_oauth_metadata, 0, OPEN},
    {"GET", "/.well-known/openid-configuration", api_oauth_metadata, 0, OPEN},
    {"GET", "/api/v1/device", api_device_self, 0, LIST},
    {"GET", "/api/v1/status", api_status, 0, LIST},
    {"GET", "/api/v1/tenants", api_tenant_list, P(TENANTS_GET), LIST},
    {"POST", "/api/v1/tenants", api_tenant_create, P(TENANTS_CREATE), BODY},
    {"GET", "/api/v1/tenants/{t}", api_tenant_get, P(TENANTS_GET), TENANT},
    {"PATCH", "/api/v1/tenants/{t}", api_tenant_update, P(TENANTS_DISABLE), TENANT | BODY},
    {"DELETE", "/api/v1/tenants/{t}", api_tenant_delete, P(TENANTS_DELETE), TENANT},
    {"GET", "/api/v1/tenants/{t}/registries", api_registry_list, P(REGISTRIES_LIST), TENANT},
    {"POST", "/api/v1/tenants/{t}/registries", api_registry_create, P(REGISTRIES_CREATE),
     TENANT | BODY},
    {"GET", REGISTRY, api_registry_get, P(REGISTRIES_GET), TENANT},
    {"PATCH", REGISTRY, api_registry_update, P(REGISTRIES_UPDATE), TENANT | BODY},
    {"DELETE", REGISTRY, api_registry_delete, P(REGISTRIES_DELETE), TENANT},
    {"GET", REGISTRY "/devices", api_device_list, P(DEVICES_LIST), TENANT},
    {"POST", REGISTRY "/devices", api_device_create, P(DEVICES_CREATE), TENANT | BODY},
    {"POST", REGISTRY "/import", api_device_import, P(DEVICES_CREATE), TENANT | BODY},
    {"GET", "/api/v1/tenants/{t}/ca", api_tenant_ca, P(TENANTS_GET), TENANT},
    {"POST", DEVICE "/certificates", api_certificate_issue, P(DEVICES_UPDATE), TENANT | BODY},
    {"GET", DEVICE "/certificates", api_certificate_list, P(DEVICES_GET), TENANT},
    {"GET", DEVICE "/credentials", api_credential_list, P(DEVICES_GET), TENANT},
    {"PATCH", DEVICE "/credentials/{c}", api_credential_update, P(DEVICES_UPDATE), TENANT | BODY},
    {"DELETE", DEVICE "/credentials/{c}", api_credential_delete, P(DEVICES_UPDATE), TENANT},
    {"DELETE", DEVICE "/tokens/{i}", api_device_token_revoke, P(DEVICES_UPDATE), TENANT},
    {"POST", DEVICE "/enrolment", api_enrolment, P(DEVICES_UPDATE), TENANT | BODY},
    /* For devices; who they are is their token's or their certificate's to say. */
    {"GET", EST "cacerts", api_est_cacerts, 0, OPEN},
    {"GET", EST "csrattrs", api_est_csrattrs, 0, OPEN},
    {"POST", EST "simpleenroll", api_est_enroll, 0, OPEN | LAST},
    {"POST", EST "simplereenroll", api_est_reenroll, 0, OPEN | LAST},
    {"GET", EST "{t}/cacerts", api_est_cacerts, 0, OPEN},
    {"GET", EST "{t}/csrattrs", api_est_csrattrs, 0, OPEN},
    {"POST", EST "{t}/simpleenroll", api_est_enroll, 0, OPEN | LAST},
    {"POST", EST "{t}/simplereenroll", api_est_reenroll, 0, OPEN | LAST},
    {"GET", "/pki/root.crl", api_pki_root_crl, 0, OPEN},
    {"GET", "/pki/intermediate.crl", api_pki_intermediate_crl, 0, OPEN},
    {"GET", "/pki/{t}/ca.crt", api_pki_ca, 0, OPEN},
    {"GET", "/pki/{t}/ca.cer", api_pki_ca_der, 0, OPEN},
    {"GET", "/pki/{t}/ca.crl", api_pki_crl, 0, OPEN},
    {"POST", "/pki/{t}/ocsp", api_pki_ocsp, 0, OPEN | READS},
    {"GET", "/pki/{t}/ocsp/{o}", api_pki_ocsp_get, 0, OPEN},
    {"GET", CAS, api_ca_list, P(REGISTRIES_GET), TENANT},
    {"POST", CAS, api_ca_add, P(REGISTRIES_UPDATE), TENANT | BODY},
    {"GET", CAS "/{a}", api_ca_get, P(REGISTRIES_GET), TENANT},
    {"PATCH", CAS "/{a}", api_ca_update, P(REGISTRIES_UPDATE), TENANT | BODY},
    {"DELETE", CAS "/{a}", api_ca_remove, P(REGISTRIES_UPDATE), TENANT},
    {"POST", CAS "/{a}/verify", api_ca_verify, P(REGISTRIES_UPDATE), TENANT | BODY},
    {"POST", CAS "/{a}/crl", api_ca_crl, P(REGISTRIES_UPDATE), TENANT | BODY},
    {"GET", CAS "/{a}/revocations", api_ca_revocations, P(REGISTRIES_GET), TENANT},
    {"POST", CAS "/{a}/revocations", api_ca_revoke, P(REGISTRIES_UPDATE), TENANT | BODY},
    {"GET", DEVICE, api_device_get, P(DEVICES_GET), TENANT},
    {"PATCH", DEVICE, api_device_update, P(DEVICES_UPDATE), TENANT | BODY},
    {"DELETE", DEVICE, api_device_delete, P(DEVICES_DELETE), TENANT},
    {"GET", DEVICE "/configs", api_config_list, P(DEVICES_GET), TENANT},
    {"POST", DEVICE "/config", api_config_set, P(DEVICES_UPDATE_CONFIG), TENANT | BODY},
    {"GET", DEVICE "/states", api_state_list, P(DEVICES_GET), TENANT},
    {"POST", DEVICE "/commands", api_command_send, P(DEVICES_SEND_COMMAND), TENANT | BODY | AHEAD},
    {"GET", DEVICE "/log", api_device_log, P(TRAIL_READ), TENANT},
    {"GET", DEVICE "/telemetry", api_telemetry, P(TELEMETRY_READ), TENANT},
    {"POST", DEVICE "/kick", api_kick, P(DEVICES_KICK), TENANT | AHEAD},
    {"POST", DEVICE "/ban", api_ban, P(DEVICES_BAN), TENANT | BODY},
    {"DELETE", DEVICE "/ban", api_unban, P(DEVICES_BAN), TENANT},
    {"GET", DEVICE "/trace", api_trace, P(DEVICES_TRACE), TENANT | AHEAD},
    {"GET", DEVICE "/connections", api_device_connections, P(DEVICES_GET), TENANT},
    {"GET", "/api/v1/tenants/{t}/durability", api_durability_get, P(TENANTS_GET), TENANT},
    {"PUT", "/api/v1/tenants/{t}/durability", api_durability_put, P(TENANTS_UPDATE), TENANT | BODY},
    {"GET", "/api/v1/tenants/{t}/limits", api_limits_get, P(TENANTS_GET), TENANT},
    {"PUT", "/api/v1/tenants/{t}/limits", api_limits_put, P(TENANTS_UPDATE), TENANT | BODY},
    {"GET", "/api/v1/tenants/{t}/alerts", api_alerts_get, P(TENANTS_GET), TENANT},
    {"PUT", "/api/v1/tenants/{t}/alerts", api_alerts_put, P(TENANTS_UPDATE), TENANT | BODY},
    {"GET", "/api/v1/tenants/{t}/away", api_away_list, P(DEVICES_LIST), TENANT},
    {"GET", "/api/v1/tenants/{t}/connections", api_connection_list, P(DEVICES_LIST), TENANT},
    {"GET", DEVICE "/policies", api_device_policies, P(POLICIES_GET), TENANT},
    {"POST", DEVICE "/explain", api_device_explain, P(POLICIES_GET), TENANT | BODY | READS},
    {"POST", DEVICE "/check", api_device_check, P(POLICIES_GET), TENANT | BODY | READS},
    {"GET", POLICIES, api_policy_list, P(POLICIES_LIST), TENANT},
    {"GET", POLICIES "/{p}", api_policy_get, P(POLICIES_GET), TENANT},
    {"PUT", POLICIES "/{p}", api_policy_put, P(POLICIES_PUT), TENANT | BODY},
    {"DELETE", POLICIES "/{p}", api_policy_delete, P(POLICIES_DELETE), TENANT},
    {"POST", POLICIES "/{p}/check", api_policy_check, P(POLICIES_GET), TENANT | BODY | READS},
    {"POST", POLICIES "/{p}/attach", api_policy_attach, P(POLICIES_ATTACH), TENANT | BODY | LIST},
    {"POST", POLICIES "/{p}/detach", api_policy_detach, P(POLICIES_ATTACH), TENANT | BODY | LIST},
    {"POST", "/api/v1/tenants/{t}/access/explain", api_access_explain, P(REGISTRIES_GET_IAM_POLICY),
     TENANT | BODY | READS},
    {"GET", GROUPS, api_group_list, P(POLICIES_LIST), TENANT},
    {"GET", GROUPS "/{g}", api_group_get, P(POLICIES_GET), TENANT},
    {"PUT", GROUPS "/{g}", api_group_create, P(POLICIES_PUT), TENANT},
    {"DELETE", GROUPS "/{g}", api_group_delete, P(POLICIES_DELETE), TENANT},
    {"POST", GROUPS "/{g}/add", api_group_add, P(POLICIES_ATTACH), TENANT | BODY},
    {"POST", GROUPS "/{g}/remove", api_group_remove, P(POLICIES_ATTACH), TENANT | BODY},
    {"GET", "/api/v1/roles", api_role_list, P(ROLES_LIST), 0},
    {"GET", "/api/v1/roles/{n}", api_role_get, P(ROLES_GET), 0},
    {"PUT", "/api/v1/roles/{n}", api_role_put, P(ROLES_PUT), BODY | PROVEN},
    {"DELETE", "/api/v1/roles/{n}", api_role_delete, P(ROLES_DELETE), PROVEN},
    {"GET", ROLES, api_role_list, P(ROLES_LIST), TENANT},
    {"GET", ROLES "/{n}", api_role_get, P(ROLES_GET), TENANT},
    {"PUT", ROLES "/{n}", api_role_put, P(ROLES_PUT), TENANT | BODY | PROVEN},
    {"DELETE", ROLES "/{n}", api_role_delete, P(ROLES_DELETE), TENANT | PROVEN},
    {"GET", "/api/v1/bindings", api_bindings_get, P(BINDINGS_GET), 0},
    {"PUT", "/api/v1/bindings", api_bindings_put, P(BINDINGS_SET), BODY | PROVEN},
    {"GET", ACCOUNTS, api_service_account_list, P(SERVICE_ACCOUNTS_GET), TENANT},
    {"POST", ACCOUNTS, api_service_account_create, P(SERVICE_ACCOUNTS_SET), TENANT | BODY},
    {"GET", ACCOUNTS "/{a}", api_service_account_get, P(SERVICE_ACCOUNTS_GET), TENANT},
    {"PATCH", ACCOUNTS "/{a}", api_service_account_update, P(SERVICE_ACCOUNTS_SET), TENANT | BODY},
    {"DELETE", ACCOUNTS "/{a}", api_service_account_delete, P(SERVICE_ACCOUNTS_SET), TENANT},
    {"GET", ACCOUNTS "/{a}/keys", api_service_key_list, P(SERVICE_ACCOUNTS_GET), TENANT},
    {"POST", ACCOUNTS "/{a}/keys", api_service_key_create, P(SERVICE_ACCOUNTS_SET),
     TENANT | BODY | PROVEN},
    {"PATCH", ACCOUNTS "/{a}/keys/{k}", api_service_key_update, P(SERVICE_ACCOUNTS_SET),
     TENANT | BODY},
    {"DELETE", ACCOUNTS "/{a}/keys/{k}", api_service_key_delete, P(SERVICE_ACCOUNTS_SET), TENANT},
    {"GET", "/api/v1/tenants/{t}/bindings", api_bindings_get, P(BINDINGS_GET), TENANT},
    {"PUT", "/api/v1/tenants/{t}/bindings", api_bindings_put, P(BINDINGS_SET),
     TENANT | BODY | PROVEN},
    {"GET", REGISTRY "/bindings", api_bindings_get, P(BINDINGS_GET), TENANT},
    {"PUT", REGISTRY "/bindings", api_bindings_put, P(BINDINGS_SET), TENANT | BODY | PROVEN},
    {"GET", GROUPS "/{g}/bindings", api_bindings_get, P(BINDINGS_GET), TENANT},
    {"PUT", GROUPS "/{g}/bindings", api_bindings_put, P(BINDINGS_SET), TENANT | BODY | PROVEN},
    {"GET", DEVICE "/bindings", api_bindings_get, P(BINDINGS_GET), TENANT},
    {"PUT", DEVICE "/bindings", api_bindings_put, P(BINDINGS_SET), TENANT | BODY | PROVEN},
    {"GET", "/api/v1/devices", api_fleet, P(DEVICES_LIST), LIST},
    {"GET", "/api/v1/refusals", api_refusals, P(TRAIL_READ), LIST},
    {"GET", "/api/v1/zones", api_zone_list_all, P(ZONES_READ), LIST},
    {"GET", "/api/v1/tenants/{t}/zones", api_zone_list, P(ZONES_READ), TENANT},
    {"GET", "/api/v1/tenants/{t}/zones/{z}", api_zone_get, P(ZONES_READ), TENANT},
    {"PUT", "/api/v1/tenants/{t}/zones/{z}", api_zone_put, P(ZONES_WRITE), TENANT | BODY | READS},
    {"DELETE", "/api/v1/tenants/{t}/zones/{z}", api_zone_delete, P(ZONES_WRITE), TENANT},
    {"POST", "/api/v1/keys/export", api_keys_export, P(KEYS_ROTATE), BODY | PROVEN | AHEAD},
    {"GET", "/api/v1/audit", api_audit_list, P(AUDIT_READ), 0},
    {"GET", "/api/v1/tenants/{t}/audit", api_audit_list, P(AUDIT_READ), TENANT},
    {"GET", "/api/v1/audit/verify", api_audit_verify, P(AUDIT_READ), 0},
    {"GET", "/api/v1/audit/checkpoints", api_audit_checkpoints, P(AUDIT_READ), 0},
    {"GET", "/api/v1/audit/rows/{s}/proof", api_audit_prove, P(AUDIT_READ), 0},
    {"POST", "/api/v1/audit/checkpoint", api_audit_checkpoint, P(AUDIT_READ), LAST},
    {"POST", "/api/v1/audit/cut", api_audit_cut, P(AUDIT_CUT), BODY | PROVEN | LAST},
    {"POST", "/api/v1/audit/forget", api_audit_forget, P(AUDIT_CUT), BODY | PROVEN | LAST},
    {"GET", "/api/v1/stream", api_stream, P(TELEMETRY_READ), LIST | AHEAD},
};

/* Finds the route; `*path_known` tells 405 from 404. */
static const struct route *find_route(struct call *call, bool *path_known)
{
    bool is_head = gh_slice_equal(call->request->method, GH_SLICE("HEAD"));
    *path_known = false;
    for (size_t i = 0; i < GH_COUNT(routes); i++) {
        if (!gh_path_match(routes[i].pattern, call->request->path, call->captures,
                           CALL_CAPTURES_MAX, call->arena))
            continue;
        *path_known = true;
        const char *method = is_head ? "GET" : NULL;
        if (gh_slice_equal(method == NULL ? call->request->method : gh_slice_text(method),
                           gh_slice_text(routes[i].method)))
            return &routes[i];
    }
    return NULL;
}

static struct gh_slice bearer_of(const struct gh_http_request *request)
{
    struct gh_slice value = gh_http_header_get(request, "authorization");
    return gh_slice_equal_nocase(gh_slice_sub(value, 0, 7), GH_SLICE("bearer "))
               ? gh_slice_sub(value, 7, value.size)
               : (struct gh_slice){0};
}

struct gh_slice call_cookie(const struct gh_http_request *request, const char *name)
{
    struct gh_slice rest = gh_http_header_get(request, "cookie");
    while (rest.size > 0) {
        struct gh_slice pair = gh_slice_split(&rest, ';');
        while (pair.size > 0 && pair.data[0] == ' ')
            pair = gh_slice_sub(pair, 1, pair.size);
        if (gh_slice_equal(gh_slice_split(&pair, '='), gh_slice_text(name)))
            return pair;
    }
    return (struct gh_slice){0};
}

bool call_is_foreign(const struct call *call)
{
    static const struct gh_slice schemes[] = {GH_SLICE_INIT("https://"), GH_SLICE_INIT("http://")};
    struct gh_slice origin = gh_http_header_get(call->request, "origin");
    struct gh_slice host = gh_http_header_get(call->request, "host");
    for (size_t i = 0; i < GH_COUNT(schemes); i++)
        if (gh_slice_starts(origin, schemes[i]))
            return !gh_slice_equal_nocase(gh_slice_sub(origin, schemes[i].size, origin.size), host);
    return origin.size > 0; /* "null", and what is no origin */
}

/* A browser sends the cookie by itself; what changes something must come from our own pages, and
 * carry a header that no foreign page can add. */
static bool is_forged(const struct call *call)
{
    bool reads = gh_slice_equal(call->request->method, GH_SLICE("GET")) ||
                 gh_slice_equal(call->request->method, GH_SLICE("HEAD"));
    return !reads &&
           (gh_http_header_get(call->request, "x-gatehouse").size == 0 || call_is_foreign(call));
}

/* A device's or service account's token that was refused: the exact reason, for the operator. */
static void note_refusal(const struct call *call, const struct gh_identity_verdict *verdict)
{
    struct gh_trail_entry entry = {.at_ms = call->now_ms,
                                   .address = gh_slice_text(call->request->peer)};
    if (gh_bearer_refusal(verdict, &entry))
        gh_trail_note(call->api->services.trail, &entry);
}

static enum gh_error_code authenticate_bearer(struct call *call, struct gh_slice token)
{
    const struct gh_api_services *services = &call->api->services;
    const struct gh_bearer_services rooms = {
        .store = services->store, .directory = services->directory, .access = services->access};
    const struct gh_bearer bearer = {.token = token,
                                     .chain = call->request->certificates,
                                     .chain_count = call->request->certificates_count,
                                     .now_ms = call->now_ms};
    struct gh_identity_verdict verdict;
    enum gh_error_code code =
        gh_bearer_check(&rooms, &bearer, call->arena, &call->caller, &verdict, &call->error);
    note_refusal(call, &verdict);
    call->device = verdict.principal.device;
    call->bearer_failed = code == GH_ERROR_UNAUTHENTICATED;
    return code;
}

static enum gh_error_code find_caller(struct call *call)
{
    const struct gh_api_services *services = &call->api->services;
    struct gh_slice bearer = bearer_of(call->request),
                    cookie = call_cookie(call->request, CALL_COOKIE_SESSION);
    if (bearer.size > 0)
        return authenticate_bearer(call, bearer);
    if (call->local) {
        call->caller = (struct gh_caller){
            .kind = GH_CALLER_LOCAL, .name = GH_SLICE("local"), .role = GH_SLICE("administrator")};
        return GH_OK;
    }
    if (cookie.size == 0)
        return call_fail(call, GH_ERROR_UNAUTHENTICATED, "sign in, or send a bearer token");
    if (is_forged(call))
        return call_fail(call, GH_ERROR_DENIED,
                         "a change by cookie needs the header X-Gatehouse and this origin");
    enum gh_error_code code = (call->looks ? gh_operators_look : gh_operators_session)(
        services->operators, cookie, call->now_ms, call->arena, &call->session, &call->error);
    call->caller = call->session.caller;
    return code;
}

/* What a session still lacks for this route. */
static enum gh_error_code check_session(struct call *call)
{
    static const unsigned allowed_at[] = {
        [GH_SIGN_IN_NEEDS_FACTOR] = STAGE, [GH_SIGN_IN_MUST_ENROL] = STAGE | ENROL};
    const struct gh_sign_in_row *session = &call->session.row;
    unsigned flags = call->route->flags;
    bool is_person = session->operator_number != 0;
    if ((flags & OWN) && !is_person)
        return call_fail(call, GH_ERROR_DENIED, "only for a person who is signed in");
    if (is_person && session->stage != GH_SIGN_IN_WHOLE && !(flags & allowed_at[session->stage]))
        return call_fail(call, GH_ERROR_UNAUTHENTICATED, "the second factor is missing");
    if (is_person && (flags & PROVEN) &&
        !gh_operator_session_is_proven(&call->session, call->now_ms))
        return call_fail(call, GH_ERROR_PROOF_NEEDED, "the last proof is older than %d minutes",
                         GH_OPERATOR_PROVEN_S / 60);
    return GH_OK;
}

/* Who belongs to a tenant is let in as long as it is enabled. */
enum gh_error_code call_authenticate(struct call *call)
{
    struct gh_tenant own;
    enum gh_error_code code = find_caller(call);
    if (code != GH_OK || call->caller.tenant == 0)
        return code;
    code = gh_directory_tenant_get(call->api->services.directory, call->caller.tenant, call->arena,
                                   &own, &call->error);
    return code == GH_OK && own.disabled
               ? call_fail(call, GH_ERROR_DENIED, "the tenant %.*s is disabled", GH_PRINT(own.name))
               : code;
}

/* Whether the path is `place` or something below it. */
static bool is_below(const char *pattern, const char *place)
{
    size_t size = strlen(place);
    return strncmp(pattern, place, size) == 0 && (pattern[size] == '\0' || pattern[size] == '/');
}

static enum call_level level_of(const char *pattern)
{
    static const struct {
        const char *place;
        enum call_level level;
    } places[] = {{"/api/v1/bindings", CALL_HOUSE},
                  {DEVICE, CALL_DEVICE},
                  {REGISTRY, CALL_REGISTRY},
                  {GROUPS "/{g}", CALL_GROUP}};
    for (size_t i = 0; i < GH_COUNT(places); i++)
        if (is_below(pattern, places[i].place))
            return places[i].level;
    return CALL_TENANT;
}

/* The tenant of the path. Who may not see it is told the same whether it exists or not. */
static enum gh_error_code authorize(struct call *call)
{
    const struct route *route = call->route;
    bool found = true;
    enum gh_error_code lacks = check_session(call);
    if (lacks != GH_OK)
        return lacks;
    if (route->flags & TENANT) {
        enum gh_error_code code =
            gh_directory_tenant_find(call->api->services.directory, call->captures[0], call->arena,
                                     &call->tenant, &call->error);
        if (code != GH_OK && code != GH_ERROR_NOT_FOUND)
            return code;
        found = code == GH_OK;
    }
    if ((route->flags & OWN) || ((route->flags & LIST) && found))
        return GH_OK;
    if (!found && call->caller.tenant != 0)
        return call_fail(call, GH_ERROR_DENIED, "%s", gh_permission_name(route->permission));
    call->level = level_of(route->pattern);
    enum gh_error_code code = call_scope_of_path(call);
    if (code != GH_OK)
        return code;
    if (!gh_policy_may(&call->caller, route->permission, &call->scope, NULL))
        return call_fail(call, GH_ERROR_DENIED, "%s", gh_permission_name(route->permission));
    return found ? GH_OK
                 : call_fail(call, GH_ERROR_NOT_FOUND, "tenant %.*s", GH_PRINT(call->captures[0]));
}

enum gh_error_code call_judge(struct call *call)
{
    enum gh_error_code code = call_authenticate(call);
    if (code == GH_OK)
        code = authorize(call);
    if (code != GH_OK || !(call->route->flags & LIST))
        return code;
    return call_may(call, call->route->permission, call->caller.tenant)
               ? GH_OK
               : call_fail(call, GH_ERROR_DENIED, "%s",
                           gh_permission_name(call->route->permission));
}

static enum gh_error_code read_body(struct call *call)
{
    if (!(call->route->flags & BODY))
        return GH_OK;
    call->body = gh_json_read(call->request->body, &call->error);
    if (call->body == NULL)
        return call->error.code;
    return json_is_object(call->body)
               ? GH_OK
               : call_fail(call, GH_ERROR_INVALID, "the body is not a JSON object");
}

static json_t *error_to_json(const struct call *call, const struct gh_error_info *info)
{
    char code[16];
    snprintf(code, sizeof code, "GH%d", (int)info->code);
    json_t *error = json_pack(
        "{s:s, s:i, s:s, s:s}", "code", code, "status", info->http_status, "message",
        call->error.text[0] != '\0' ? call->error.text : info->meaning, "action", info->action);
    if (error != NULL && call->retry_after_s > 0)
        json_object_set_new(error, "retry_after_s", json_integer(call->retry_after_s));
    return json_pack("{s:o}", "error", error);
}

static void answer_json(struct call *call, int status, const json_t *value)
{
    struct gh_buffer body;
    struct gh_http_header headers[2 + CALL_COOKIES_MAX];
    char retry[24];
    size_t count = 0;
    gh_buffer_init(&body, GH_EXCHANGE_ANSWER_BYTES_MAX);
    if (!gh_json_write(value, &body))
        status = 500;
    if (status == 401) /* RFC 6750 §3 */
        headers[count++] = (struct gh_http_header){
            GH_SLICE("www-authenticate"),
            call->bearer_failed ? GH_SLICE("Bearer realm=\"gatehouse\", error=\"invalid_token\"")
                                : GH_SLICE("Bearer realm=\"gatehouse\"")};
    for (size_t i = 0; i < CALL_COOKIES_MAX; i++)
        if (call->cookies[i][0] != '\0')
            headers[count++] =
                (struct gh_http_header){GH_SLICE("set-cookie"), gh_slice_text(call->cookies[i])};
    if (call->retry_after_s > 0) {
        snprintf(retry, sizeof retry, "%lld", (long long)call->retry_after_s);
        headers[count++] = (struct gh_http_header){GH_SLICE("retry-after"), gh_slice_text(retry)};
    }
    gh_exchange_answer(call->exchange, &(struct gh_http_answer){.status = status,
                                                                .content_type = "application/json",
                                                                .body = gh_buffer_slice(&body),
                                                                .headers = headers,
                                                                .headers_count = count});
    gh_buffer_deinit(&body);
}

void call_answer(struct call *call, enum gh_error_code code)
{
    json_t *value;
    code = gh_audit_end(&call->deed, code, &call->error);
    if (code == GH_ERROR_AUDIT)
        memset(call->cookies, 0, sizeof call->cookies); /* nobody is signed in without a row */
    if (call->taken)
        return;
    const struct gh_error_info *info = gh_error_info(code);
    if (code == GH_OK) {
        value = call->answer != NULL ? call->answer : json_object();
        call->answer = NULL;
    } else {
        value = error_to_json(call, info);
        if (info->http_status >= 500)
            gh_log(GH_LOG_ERROR, "api", "%.*s %.*s: GH%d %s", GH_PRINT(call->request->method),
                   GH_PRINT(call->request->path), (int)code, call->error.text);
    }
    int status = code == GH_OK ? call->status : info->http_status;
    gh_metric_add(call->api->services.metrics, GH_METRIC_http_requests_total, 1);
    if (status >= 500)
        gh_metric_add(call->api->services.metrics, GH_METRIC_http_errors_total, 1);
    answer_json(call, status, value);
    json_decref(value);
}

/* --- the row that a call leaves in the audit trail --- */

static bool is_audited(const struct route *route)
{
    return (route->flags & (AHEAD | LAST)) != 0 ||
           (strcmp(route->method, "GET") != 0 && (route->flags & READS) == 0);
}

static enum gh_audit_mode audit_mode(const struct route *route)
{
    return (route->flags & AHEAD) != 0  ? GH_AUDIT_AHEAD
           : (route->flags & LAST) != 0 ? GH_AUDIT_LAST
                                        : GH_AUDIT_RIDE;
}

bool call_settle(struct call *call, enum gh_error_code code)
{
    return gh_audit_end(&call->deed, code, &call->error) == code;
}

/* --- serving --- */

static enum gh_error_code admit(struct call *call)
{
    enum gh_error_code code = GH_OK;
    if (!(call->route->flags & OPEN) && (code = call_authenticate(call)) == GH_OK)
        code = authorize(call);
    return code == GH_OK ? read_body(call) : code;
}

static enum gh_error_code serve(struct call *call)
{
    const struct route *route = call->route;
    bool audited = is_audited(route);
    if (audited)
        call_deed_open(call, route->method, route->pattern);
    enum gh_error_code code = admit(call);
    if (audited && !(route->flags & OPEN))
        call_deed_caller(call);
    if (code == GH_OK && audited && !(route->flags & SLOW))
        code = gh_audit_begin(&call->deed, audit_mode(route), &call->error);
    if (code == GH_OK)
        code = route->run(call);
    if (code == GH_OK && call->later != NULL && call->slow == NULL)
        gh_audit_pause(&call->deed); /* it goes on on another thread; a slow one begins there */
    return code;
}

/* On a thread for passwords. */
static void run_slowly(struct gh_job *job)
{
    struct call *call = (struct call *)job;
    struct gh_exchange *exchange = call->exchange;
    enum gh_error_code code = gh_audit_begin(&call->deed, audit_mode(call->route), &call->error);
    if (code == GH_OK)
        code = call->slow(call);
    else if (call->slow_refused != NULL)
        call->slow_refused(call);
    json_decref(call->body);
    call_answer(call, code);
    json_decref(call->answer);
    gh_exchange_unref(exchange);
}

static void submit_slowly(struct call *call)
{
    call->job.run = run_slowly;
    if (gh_workers_submit(call->api->services.passwords, &call->job))
        return;
    if (call->slow_refused != NULL)
        call->slow_refused(call);
    json_decref(call->body);
    call->retry_after_s = 1;
    enum gh_error_code code = call_fail(call, GH_ERROR_UNAVAILABLE, "too many passwords at once");
    call_answer(call, code);
    gh_exchange_unref(call->exchange);
}

enum gh_error_code call_slowly(struct call *call, handler *slow, void (*refused)(struct call *call))
{
    call->slow = slow;
    call->slow_refused = refused;
    call->later = submit_slowly;
    json_incref(call->body);
    gh_exchange_ref(call->exchange);
    return GH_OK;
}

static void run_call(struct gh_job *job)
{
    struct call *call = (struct call *)job;
    struct gh_exchange *exchange = call->exchange;
    enum gh_error_code code = serve(call);
    json_decref(call->body);
    if (code == GH_OK && call->later != NULL) {
        call->later(call); /* from here on the call belongs to whoever answers it */
    } else {
        call_answer(call, code);
        json_decref(call->answer);
    }
    gh_exchange_unref(
        exchange); /* and the call with its arena, unless the handler kept a reference */
}

/* Refusals that need no worker. */
static void answer_early(struct call *call, enum gh_error_code code, const char *text)
{
    call_fail(call, code, "%s", text);
    call_answer(call, code);
    gh_exchange_unref(call->exchange);
}

static void start_call(const struct gh_api_door *door, struct gh_exchange *exchange)
{
    struct gh_arena *arena = gh_exchange_arena(exchange);
    struct call *call = gh_arena_alloc(arena, sizeof *call);
    bool path_known;
    if (call == NULL) {
        gh_exchange_answer(exchange, &(struct gh_http_answer){.status = 503});
        return;
    }
    *call = (struct call){.job.run = run_call,
                          .api = door->api,
                          .local = door->local,
                          .exchange = gh_exchange_ref(exchange),
                          .request = gh_exchange_request(exchange),
                          .arena = arena,
                          .status = 200,
                          .now_ms = door->api->services.utc_ms()};
    call->route = find_route(call, &path_known);
    if (call->route == NULL && path_known)
        answer_early(call, GH_ERROR_INVALID, "this path does not take that method");
    else if (call->route == NULL)
        answer_early(call, GH_ERROR_NOT_FOUND, "there is no such path in the API");
    else if (!gh_workers_submit(door->api->services.workers, &call->job))
        answer_early(call, GH_ERROR_UNAVAILABLE, "the queue of requests is full");
}

void gh_api_http(void *context, struct gh_exchange *exchange)
{
    const struct gh_api_door *door = context;
    const struct gh_api_services *services = &door->api->services;
    const struct gh_http_request *request = gh_exchange_request(exchange);
    for (size_t i = 0; i < services->guests_count; i++)
        if (services->guests[i].http(services->guests[i].context, exchange))
            return;
    static const struct gh_slice folders[] = {GH_SLICE_INIT("/api/"), GH_SLICE_INIT("/oauth2/"),
                                              GH_SLICE_INIT("/.well-known/"),
                                              GH_SLICE_INIT("/pki/")};
    bool is_api = gh_slice_equal(request->path, GH_SLICE("/healthz")) ||
                  gh_slice_equal(request->path, GH_SLICE("/metrics")) ||
                  gh_slice_equal(request->path, GH_SLICE("/token"));
    for (size_t i = 0; i < GH_COUNT(folders); i++)
        is_api = is_api || gh_slice_starts(request->path, folders[i]);
    if (is_api && !gh_slice_equal(request->path, GH_SLICE("/api/v1/openapi.json")))
        start_call(door, exchange);
    else
        assets_answer(exchange);
}
