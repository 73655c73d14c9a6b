/* The authentication service over HTTP: what identity/oauth.h decided, in the words of RFC 6749
 * §5, RFC 7009, RFC 7662, RFC 8414 and RFC 7517. The peer gets one word; the reason goes to the
 * trail. */
#include "identity/oauth.h"
#include "api/call_internal.h"
#include "base/log.h"
#include "observe/trail.h"
#include "route/sessions.h"
#include "wire/base64.h"
#include <stdio.h>

static struct gh_oauth_services services_of(const struct call *call)
{
    return (struct gh_oauth_services){.directory = call->api->services.directory,
                                      .access = call->api->services.access,
                                      .store = call->api->services.store};
}

static struct gh_oauth_request request_of(const struct call *call)
{
    return (struct gh_oauth_request){
        .body = call->request->body,
        .content_type = gh_http_header_get(call->request, "content-type"),
        .authorization = gh_http_header_get(call->request, "authorization"),
        .source = call_source(call),
        .chain = call->request->certificates,
        .chain_count = call->request->certificates_count,
        .now_ms = call->now_ms};
}

/* Takes `value`. */
static enum gh_error_code answer(struct call *call, int status, json_t *value,
                                 const struct gh_http_header *headers, size_t count)
{
    struct gh_buffer body;
    gh_buffer_init(&body, GH_EXCHANGE_ANSWER_BYTES_MAX);
    if (!call_settle(call, status < 400    ? GH_OK
                           : status == 401 ? GH_ERROR_UNAUTHENTICATED
                                           : GH_ERROR_INVALID)) {
        json_decref(value);
        value = json_pack("{s:s, s:s}", "error", "temporarily_unavailable", "error_description",
                          gh_error_info(GH_ERROR_AUDIT)->meaning);
        status = gh_error_info(GH_ERROR_AUDIT)->http_status;
    }
    if (!gh_json_write(value, &body))
        status = 500;
    gh_exchange_answer(call->exchange, &(struct gh_http_answer){.status = status,
                                                                .content_type = "application/json",
                                                                .body = gh_buffer_slice(&body),
                                                                .headers = headers,
                                                                .headers_count = count});
    gh_metric_add(call->api->services.metrics, GH_METRIC_http_requests_total, 1);
    gh_buffer_deinit(&body);
    json_decref(value);
    call->taken = true;
    return GH_OK;
}

static void note(struct call *call, const struct gh_oauth_outcome *outcome)
{
    const struct gh_device *device = outcome->verdict.device;
    bool good = outcome->error == GH_OAUTH_OK;
    if (good) /* one that was refused is named in the device's log, as whom it said to be */
        call_deed_device(call, outcome->tenant, outcome->registry, outcome->device);
    gh_metric_add(call->api->services.metrics,
                  good ? GH_METRIC_tokens_issued_total : GH_METRIC_tokens_refused_total, 1);
    if (!good)
        gh_log(GH_LOG_WARN, "oauth", "refused %.*s/%.*s/%.*s from %s: %s, %s",
               GH_PRINT(outcome->tenant), GH_PRINT(outcome->registry), GH_PRINT(outcome->device),
               call->request->peer, outcome->reason, outcome->detail);
    gh_trail_note(call->api->services.trail,
                  &(struct gh_trail_entry){
                      .at_ms = call->now_ms,
                      .device = device != NULL ? device->number : 0,
                      .tenant = device != NULL ? device->tenant_name : outcome->tenant,
                      .registry = device != NULL ? device->registry_name : outcome->registry,
                      .device_id = device != NULL ? device->id : outcome->device,
                      .kind = good ? GH_TRAIL_TOKEN : GH_TRAIL_REFUSAL,
                      .reason = gh_slice_text(outcome->reason),
                      .detail = gh_slice_text(outcome->detail),
                      .address = gh_slice_text(call->request->peer)});
}

/* RFC 6749 §5.2. */
static enum gh_error_code answer_error(struct call *call, enum gh_oauth_error error,
                                       int64_t retry_after_s)
{
    const struct gh_oauth_error_info *info = gh_oauth_error_info(error);
    struct gh_http_header headers[3];
    char retry[24];
    size_t count = 0;
    headers[count++] = (struct gh_http_header){GH_SLICE("pragma"), GH_SLICE("no-cache")};
    if (info->status == 401)
        headers[count++] = (struct gh_http_header){GH_SLICE("www-authenticate"),
                                                   GH_SLICE("Basic realm=\"gatehouse\"")};
    if (retry_after_s > 0) {
        snprintf(retry, sizeof retry, "%lld", (long long)retry_after_s);
        headers[count++] = (struct gh_http_header){GH_SLICE("retry-after"), gh_slice_text(retry)};
    }
    return answer(call, info->status, json_pack("{s:s}", "error", info->name), headers, count);
}

enum gh_error_code api_oauth_token(struct call *call)
{
    static const struct gh_http_header headers[] = {
        {GH_SLICE_INIT("pragma"), GH_SLICE_INIT("no-cache")}};
    struct gh_oauth_services services = services_of(call);
    struct gh_oauth_request request = request_of(call);
    struct gh_oauth_outcome outcome;
    enum gh_oauth_error error = gh_oauth_token(&services, &request, call->arena, &outcome);
    note(call, &outcome);
    if (error != GH_OAUTH_OK)
        return answer_error(call, error, outcome.retry_after_s);
    json_t *value =
        json_pack("{s:o, s:s, s:I}", "access_token", json_slice(outcome.token), "token_type",
                  "Bearer", "expires_in", (json_int_t)outcome.expires_in_s);
    if (value != NULL && outcome.scope.size > 0)
        json_object_set_new(value, "scope", json_slice(outcome.scope));
    if (value != NULL && outcome.exchanged)
        json_object_set_new(value, "issued_token_type",
                            json_string("urn:ietf:params:oauth:token-type:access_token"));
    return answer(call, 200, value, headers, GH_COUNT(headers));
}

/* Who asks about a token: a device about its own, or a program with a bearer token of ours about
 * those of its tenants. `*owner` is the device's number, 0 for a program. False when the exchange
 * is answered. */
static bool find_asker(struct call *call, struct gh_slice *token, uint64_t *owner)
{
    struct gh_oauth_services services = services_of(call);
    struct gh_oauth_request request = request_of(call);
    struct gh_oauth_outcome outcome;
    enum gh_oauth_error error;
    *owner = 0;
    if (call->local ||
        gh_slice_equal_nocase(gh_slice_sub(request.authorization, 0, 7), GH_SLICE("bearer "))) {
        error = gh_oauth_form(&request, call->arena, token, &outcome);
        if (call_authenticate(call) != GH_OK || call->caller.kind == GH_CALLER_DEVICE)
            error = GH_OAUTH_INVALID_CLIENT;
        call_deed_caller(call);
    } else {
        error = gh_oauth_client(&services, &request, call->arena, token, &outcome);
        if (error == GH_OAUTH_OK)
            *owner = outcome.verdict.principal.device;
        else
            note(call, &outcome);
        if (error == GH_OAUTH_OK)
            call_deed_device(call, outcome.tenant, outcome.registry, outcome.device);
    }
    if (error != GH_OAUTH_OK)
        answer_error(call, error, outcome.retry_after_s);
    return error == GH_OAUTH_OK;
}

/* Whether the asker may know of, or end, the tokens of that tenant. */
static bool may(struct call *call, uint64_t owner, uint64_t device, enum gh_permission permission,
                struct gh_slice tenant)
{
    if (owner != 0)
        return owner == device;
    return gh_directory_tenant_find(call->api->services.directory, tenant, call->arena,
                                    &call->tenant, &call->error) == GH_OK &&
           call_may(call, permission, call->tenant.number);
}

/* RFC 8705 §3.2. */
static json_t *confirmation(struct gh_slice certificate)
{
    uint8_t block[64];
    struct gh_buffer text = gh_buffer_fixed(block, sizeof block);
    (void)gh_base64_encode(certificate, GH_BASE64_URL_NOPAD, &text);
    return json_pack("{s:o}", "x5t#S256", json_slice(gh_buffer_slice(&text)));
}

/* RFC 7662: what is not active is told no more about. */
enum gh_error_code api_oauth_introspect(struct call *call)
{
    struct gh_oauth_services services = services_of(call);
    struct gh_access_claims claims;
    struct gh_identity_verdict verdict;
    struct gh_slice token;
    uint64_t owner;
    if (!find_asker(call, &token, &owner))
        return GH_OK;
    if (!gh_oauth_inspect(&services, token, call->now_ms, call->arena, &claims, &verdict) ||
        !may(call, owner, claims.number, GH_PERMISSION_DEVICES_GET, claims.tenant))
        return answer(call, 200, json_pack("{s:b}", "active", 0), NULL, 0);
    json_t *issuer = json_slice(gh_access_issuer(services.access));
    json_t *value =
        json_pack("{s:b, s:O, s:o, s:o, s:o, s:s, s:o, s:I, s:I, s:o}", "active", 1, "iss", issuer,
                  "aud", issuer, "sub", json_slice(claims.subject), "client_id",
                  json_slice(claims.subject), "token_type", "Bearer", "scope",
                  json_slice(claims.scope), "iat", (json_int_t)claims.issued_at_s, "exp",
                  (json_int_t)claims.expires_at_s, "jti", json_slice(claims.token_id));
    if (value != NULL && claims.certificate.size > 0)
        json_object_set_new(value, "cnf", confirmation(claims.certificate));
    return answer(call, 200, value, NULL, 0);
}

/* RFC 7009: 200 also for a token that is none. The sessions that were made with it end. */
enum gh_error_code api_oauth_revoke(struct call *call)
{
    struct gh_oauth_services services = services_of(call);
    struct gh_access_claims claims;
    struct gh_identity_verdict verdict;
    struct gh_slice token;
    uint64_t owner;
    if (!find_asker(call, &token, &owner))
        return GH_OK;
    if (owner == 0 &&
        (!gh_oauth_inspect(&services, token, call->now_ms, call->arena, &claims, &verdict) ||
         !may(call, 0, claims.number, GH_PERMISSION_DEVICES_UPDATE, claims.tenant)))
        return answer(call, 200, json_object(), NULL, 0);
    enum gh_oauth_error error =
        gh_oauth_revoke(&services, token, owner, call->now_ms, call->arena, &claims);
    if (error != GH_OAUTH_OK)
        return answer_error(call, error, 0);
    if (claims.subject.size > 0) {
        gh_sessions_order(call->api->services.sessions, claims.number, GH_ORDER_CREDENTIALS);
        gh_trail_note(call->api->services.trail,
                      &(struct gh_trail_entry){.at_ms = call->now_ms,
                                               .device = claims.number,
                                               .tenant = claims.tenant,
                                               .registry = claims.registry,
                                               .device_id = claims.device,
                                               .kind = GH_TRAIL_TOKEN,
                                               .reason = GH_SLICE("TOKEN_REVOKED"),
                                               .detail = claims.token_id,
                                               .address = gh_slice_text(call->request->peer)});
    }
    return answer(call, 200, json_object(), NULL, 0);
}

/* By its id, as the device's log has it from when the token was given: an operator does not have
 * the token itself. Which ids there are is kept nowhere, so one that was never given to this device
 * is taken back too; one of another device is none here. */
enum gh_error_code api_device_token_revoke(struct call *call)
{
    struct gh_device device;
    struct gh_slice id = call->captures[3];
    enum gh_error_code code = call_device(call, &device);
    if (code != GH_OK)
        return code;
    if (!gh_access_id_is_of(id, device.number))
        return call_fail(call, GH_ERROR_NOT_FOUND,
                         "this device has no such access token; its log has their ids");
    struct gh_access_claims claims = {.token_id = id,
                                      .number = device.number,
                                      .expires_at_s = call->now_ms / 1000 + GH_ACCESS_TTL_S};
    code = gh_access_revoke(call->api->services.access, &claims, &call->error);
    if (code != GH_OK)
        return code;
    gh_sessions_order(call->api->services.sessions, device.number, GH_ORDER_CREDENTIALS);
    call_note(call, "TOKEN_REVOKED", device.registry_name, &device, id);
    return GH_OK;
}

enum gh_error_code api_oauth_keys(struct call *call)
{
    char cache[48];
    snprintf(cache, sizeof cache, "public, max-age=%d", GH_ACCESS_JWKS_MAX_AGE_S);
    const struct gh_http_header headers[] = {{GH_SLICE("cache-control"), gh_slice_text(cache)}};
    return answer(call, 200, gh_access_jwks(call->api->services.access), headers,
                  GH_COUNT(headers));
}

/* Appends the addresses below the issuer. A certificate is shown at the same ones: every listener
 * asks for it and takes also none. */
static void add_addresses(json_t *value, struct gh_slice issuer)
{
    static const struct {
        const char *name, *path;
        bool by_client;
    } rows[] = {
        {"token_endpoint", "/oauth2/token", true},
        {"jwks_uri", "/oauth2/jwks", false},
        {"introspection_endpoint", "/oauth2/introspect", true},
        {"revocation_endpoint", "/oauth2/revoke", true},
    };
    json_t *aliases = json_object();
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        json_t *address = json_sprintf("%.*s%s", GH_PRINT(issuer), rows[i].path);
        if (rows[i].by_client)
            json_object_set(aliases, rows[i].name, address);
        json_object_set_new(value, rows[i].name, address);
    }
    json_object_set_new(value, "mtls_endpoint_aliases", aliases);
    json_object_set_new(value, "tls_client_certificate_bound_access_tokens", json_true());
}

/* RFC 8414 §2; the same document stands where OpenID Connect's clients look. */
enum gh_error_code api_oauth_metadata(struct call *call)
{
    static const struct gh_http_header headers[] = {
        {GH_SLICE_INIT("cache-control"), GH_SLICE_INIT("public, max-age=900")}};
    static const char *const by_client[] = {"token_endpoint", "introspection_endpoint",
                                            "revocation_endpoint"};
    struct gh_slice issuer = gh_access_issuer(call->api->services.access);
    json_t *value = json_pack("{s:o, s:[s, s, s], s:[], s:[s, s], s:[s, s]}", "issuer",
                              json_slice(issuer), "grant_types_supported", "client_credentials",
                              "urn:ietf:params:oauth:grant-type:token-exchange",
                              "urn:ietf:params:oauth:grant-type:jwt-bearer",
                              "response_types_supported", "scopes_supported", "mqtt", "api",
                              "token_signing_alg_values_supported", "ES256", "RS256");
    if (value == NULL)
        return call_fail(call, GH_ERROR_MEMORY, "the metadata");
    add_addresses(value, issuer);
    for (size_t i = 0; i < GH_COUNT(by_client); i++) {
        char name[96];
        snprintf(name, sizeof name, "%s_auth_methods_supported", by_client[i]);
        json_object_set_new(value, name,
                            json_pack("[s, s, s, s]", "client_secret_basic", "private_key_jwt",
                                      "tls_client_auth", "self_signed_tls_client_auth"));
        snprintf(name, sizeof name, "%s_auth_signing_alg_values_supported", by_client[i]);
        json_object_set_new(value, name, json_pack("[s, s]", "ES256", "RS256"));
    }
    return answer(call, 200, value, headers, GH_COUNT(headers));
}
