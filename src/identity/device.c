#include "identity/device.h"
#include "base/log.h"
#include "base/time.h"
#include "identity/access.h"
#include "identity/certificate_internal.h"
#include "identity/credential_internal.h"
#include "identity/detail_internal.h"
#include "identity/shared_key_internal.h"
#include "registry/anchors.h"
#include "registry/password.h"
#include <assert.h>
#include <string.h>

static const char *const reason_names[] = {
    [GH_IDENTITY_ACCEPTED] = "ACCEPTED",
    [GH_IDENTITY_UNKNOWN_TENANT] = "UNKNOWN_TENANT",
    [GH_IDENTITY_UNKNOWN_REGISTRY] = "UNKNOWN_REGISTRY",
    [GH_IDENTITY_UNKNOWN_DEVICE] = "UNKNOWN_DEVICE",
    [GH_IDENTITY_TENANT_DISABLED] = "TENANT_DISABLED",
    [GH_IDENTITY_BLOCKED] = "BLOCKED",
    [GH_IDENTITY_BANNED] = "BANNED",
    [GH_IDENTITY_MQTT_DISABLED] = "MQTT_DISABLED",
    [GH_IDENTITY_HTTP_DISABLED] = "HTTP_DISABLED",
    [GH_IDENTITY_NO_CREDENTIAL] = "NO_CREDENTIAL",
    [GH_IDENTITY_CREDENTIAL_EXPIRED] = "CREDENTIAL_EXPIRED",
    [GH_IDENTITY_CREDENTIAL_NOT_YET_VALID] = "CREDENTIAL_NOT_YET_VALID",
    [GH_IDENTITY_CREDENTIAL_DISABLED] = "CREDENTIAL_DISABLED",
    [GH_IDENTITY_TOKEN_MALFORMED] = "TOKEN_MALFORMED",
    [GH_IDENTITY_TOKEN_HEADER] = "TOKEN_HEADER",
    [GH_IDENTITY_ALGORITHM] = "ALGORITHM",
    [GH_IDENTITY_SIGNATURE] = "SIGNATURE",
    [GH_IDENTITY_CLAIMS] = "CLAIMS",
    [GH_IDENTITY_AUDIENCE] = "AUDIENCE",
    [GH_IDENTITY_SUBJECT] = "SUBJECT",
    [GH_IDENTITY_LIFETIME] = "LIFETIME",
    [GH_IDENTITY_TOKEN_EXPIRED] = "TOKEN_EXPIRED",
    [GH_IDENTITY_TOKEN_NOT_YET_VALID] = "TOKEN_NOT_YET_VALID",
    [GH_IDENTITY_SECRET] = "SECRET",
    [GH_IDENTITY_ISSUER] = "ISSUER",
    [GH_IDENTITY_TOKEN_REVOKED] = "TOKEN_REVOKED",
    [GH_IDENTITY_TOKEN_REPLAYED] = "TOKEN_REPLAYED",
    [GH_IDENTITY_TOKEN_BINDING] = "TOKEN_BINDING",
    [GH_IDENTITY_SCOPE] = "SCOPE",
    [GH_IDENTITY_CERTIFICATE] = "CERTIFICATE",
    [GH_IDENTITY_CERTIFICATE_UNKNOWN] = "CERTIFICATE_UNKNOWN",
    [GH_IDENTITY_CERTIFICATE_EXPIRED] = "CERTIFICATE_EXPIRED",
    [GH_IDENTITY_CERTIFICATE_NOT_YET_VALID] = "CERTIFICATE_NOT_YET_VALID",
    [GH_IDENTITY_CERTIFICATE_NAME] = "CERTIFICATE_NAME",
    [GH_IDENTITY_CERTIFICATE_REVOKED] = "CERTIFICATE_REVOKED",
    [GH_IDENTITY_REVOCATION_UNKNOWN] = "REVOCATION_UNKNOWN",
    [GH_IDENTITY_CA_NOT_VERIFIED] = "CA_NOT_VERIFIED",
    [GH_IDENTITY_CA_DISABLED] = "CA_DISABLED",
    [GH_IDENTITY_GATEWAY] = "GATEWAY",
    [GH_IDENTITY_NOT_BOUND] = "NOT_BOUND",
    [GH_IDENTITY_UNKNOWN_ACCOUNT] = "UNKNOWN_ACCOUNT",
    [GH_IDENTITY_ACCOUNT_DISABLED] = "ACCOUNT_DISABLED",
    [GH_IDENTITY_UNAVAILABLE] = "UNAVAILABLE",
};
static_assert(GH_COUNT(reason_names) == GH_IDENTITY_REASON_COUNT, "a name for each reason");

static const enum gh_identity_reason reasons_of_verdicts[] = {
    [GH_JWT_ACCEPTED] = GH_IDENTITY_ACCEPTED,
    [GH_JWT_MALFORMED] = GH_IDENTITY_TOKEN_MALFORMED,
    [GH_JWT_HEADER] = GH_IDENTITY_TOKEN_HEADER,
    [GH_JWT_ALGORITHM] = GH_IDENTITY_ALGORITHM,
    [GH_JWT_SIGNATURE] = GH_IDENTITY_SIGNATURE,
    [GH_JWT_CLAIMS] = GH_IDENTITY_CLAIMS,
    [GH_JWT_AUDIENCE] = GH_IDENTITY_AUDIENCE,
    [GH_JWT_SUBJECT] = GH_IDENTITY_SUBJECT,
    [GH_JWT_ISSUER] = GH_IDENTITY_ISSUER,
    [GH_JWT_LIFETIME] = GH_IDENTITY_LIFETIME,
    [GH_JWT_EXPIRED] = GH_IDENTITY_TOKEN_EXPIRED,
    [GH_JWT_NOT_YET_VALID] = GH_IDENTITY_TOKEN_NOT_YET_VALID,
    [GH_JWT_MEMORY] = GH_IDENTITY_UNAVAILABLE,
};
static_assert(GH_COUNT(reasons_of_verdicts) == GH_JWT_VERDICT_COUNT, "a reason for each verdict");

/* Public keys of nobody: their private halves were never written down. A refusal that needs no
 * signature verifies against the one that fits, so that it takes the time of one that does. */
static const char *const nobody[] = {
    "-----BEGIN PUBLIC KEY-----\n"
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEXDWzecuOgaCGguK4KV+1Hj5Ih6Vm\n"
    "N9hi/Louprc5ip9wp7IBqL6A/WeAU1tNXifsdJrhLPdXr9w5LuZH8Nn4iw==\n"
    "-----END PUBLIC KEY-----\n",
    "-----BEGIN PUBLIC KEY-----\n"
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAvxIPSrqaUv/6glc/h55i\n"
    "zJJ1IFNWXsr/GEarrNENOT/xdH7H1TKIrEfh+NL4SwtP+m/rlZ166oruAmb5jLOr\n"
    "34rahcvZqjB2dojSw3afRV1E4C6QjMgtTEy5MQ3W5kxHk1Hhnt2f0hzx8ilh21PR\n"
    "U++5km4XbqBejaeXcFSCFydNhjM36WBIBbQI/H2F1g0zbK7PQVSipL4yojbq97Fv\n"
    "4KpHWOYaD+EaVNv9h4tkW+wYWtD1W/ZDJp2NEvrc+gCcRUqRDh7jUG1SDUF3murK\n"
    "/bUjUGcm7Zfs9rKupWlyGm5LomsWN6mLIdsMSsIfUwlhamWHCyAXbtjGuuMN6SIO\n"
    "oQIDAQAB\n"
    "-----END PUBLIC KEY-----\n",
};

enum gh_identity_reason gh_identity_reason_of_token(enum gh_jwt_verdict verdict)
{
    assert((size_t)verdict < GH_COUNT(reasons_of_verdicts));
    return reasons_of_verdicts[verdict];
}

const char *gh_identity_reason_name(enum gh_identity_reason reason)
{
    assert((size_t)reason < GH_COUNT(reason_names));
    return reason_names[reason];
}

/* What one decision knows; the functions below fill it from top to bottom. */
struct decision {
    struct gh_directory *directory;
    const struct gh_identity_claim *claim;
    struct gh_jwt_policy policy;
    int64_t now_ms;
    struct gh_arena *arena;
    struct gh_jose jose;
    bool by_ca; /* it may be a CA that speaks for the device, which needs no credential then */
    struct gh_identity_verdict *out;
};

static enum gh_identity_reason decide(struct decision *d, enum gh_identity_reason reason,
                                      const char *format, ...) GH_PRINTF(3, 4);

static enum gh_identity_reason decide(struct decision *d, enum gh_identity_reason reason,
                                      const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    gh_detail_print(d->out->detail, sizeof d->out->detail, format, arguments);
    va_end(arguments);
    d->out->reason = reason;
    return reason;
}

/* A row that is not there is a refusal; everything else that goes wrong in the store decides
 * nothing. */
static enum gh_identity_reason decide_lookup(struct decision *d, enum gh_identity_reason unknown,
                                             const struct gh_error *error, struct gh_slice name)
{
    static const char *const nouns[] = {[GH_IDENTITY_UNKNOWN_TENANT] = "tenant",
                                        [GH_IDENTITY_UNKNOWN_REGISTRY] = "registry",
                                        [GH_IDENTITY_UNKNOWN_DEVICE] = "device"};
    /* A name that breaks the rules for names is one that does not exist. */
    if (error->code != GH_ERROR_NOT_FOUND && error->code != GH_ERROR_INVALID)
        return decide(d, GH_IDENTITY_UNAVAILABLE, "the store did not answer: %s", error->text);
    return decide(d, unknown, "there is no %s \"%.*s\"", nouns[unknown],
                  GH_PRINT(gh_detail_quoted(name)));
}

static enum gh_identity_reason find_tenant(struct decision *d, struct gh_tenant *tenant)
{
    struct gh_error error = {0};
    bool by_project = d->claim->by == GH_IDENTITY_BY_GOOGLE_PROJECT;
    if (gh_directory_sign_in_tenant(d->directory, by_project, d->claim->tenant, d->claim->at_once,
                                    d->arena, tenant, &error) != GH_OK)
        return decide_lookup(d, GH_IDENTITY_UNKNOWN_TENANT, &error, d->claim->tenant);
    d->out->principal.tenant = tenant->number;
    d->out->principal.tenant_name = tenant->name;
    return GH_IDENTITY_ACCEPTED;
}

static enum gh_identity_reason find_registry(struct decision *d, const struct gh_tenant *tenant)
{
    const struct gh_identity_claim *claim = d->claim;
    struct gh_registry *registry = gh_arena_alloc(d->arena, sizeof *registry);
    struct gh_error error = {0};

    if (registry == NULL)
        return decide(d, GH_IDENTITY_UNAVAILABLE, "no memory for the decision");
    if (gh_directory_sign_in_registry(d->directory, tenant->number, claim->registry,
                                      claim->location, claim->at_once, d->arena, registry,
                                      &error) != GH_OK)
        return decide_lookup(d, GH_IDENTITY_UNKNOWN_REGISTRY, &error, claim->registry);
    d->out->registry = registry;
    d->out->principal.registry = registry->number;
    d->out->principal.registry_name = registry->name;
    d->out->principal.location = registry->location;
    return GH_IDENTITY_ACCEPTED;
}

static enum gh_identity_reason find_device(struct decision *d, const struct gh_tenant *tenant)
{
    const struct gh_identity_claim *claim = d->claim;
    struct gh_principal *principal = &d->out->principal;
    struct gh_device *device = gh_arena_alloc(d->arena, sizeof *device);
    struct gh_error error = {0};

    if (device == NULL)
        return decide(d, GH_IDENTITY_UNAVAILABLE, "no memory for the decision");
    if (gh_directory_sign_in_device(d->directory, tenant, d->out->registry, claim->device,
                                    claim->at_once, d->arena, device, &error) != GH_OK)
        return decide_lookup(d, GH_IDENTITY_UNKNOWN_DEVICE, &error, claim->device);
    d->out->device = device;
    principal->device = device->number;
    principal->device_id = device->id;
    principal->is_gateway = device->is_gateway;
    principal->log_level = device->log_level != GH_DEVICE_LOG_DEFAULT ? device->log_level
                                                                      : d->out->registry->log_level;
    return GH_IDENTITY_ACCEPTED;
}

/* Whether the device may connect at all, whatever its token says. */
static enum gh_identity_reason check_allowed(struct decision *d)
{
    const struct gh_device *device = d->out->device;

    if (device->tenant_disabled)
        return decide(d, GH_IDENTITY_TENANT_DISABLED, "the tenant is disabled");
    if (device->blocked)
        return decide(d, GH_IDENTITY_BLOCKED, "the device is blocked");
    if (d->claim->over == GH_IDENTITY_OVER_MQTT && !d->out->registry->mqtt_enabled)
        return decide(d, GH_IDENTITY_MQTT_DISABLED, "MQTT is switched off for the registry");
    if (d->claim->over == GH_IDENTITY_OVER_HTTP && !d->out->registry->http_enabled)
        return decide(d, GH_IDENTITY_HTTP_DISABLED, "HTTP is switched off for the registry");
    /* Nor does one that its gateway speaks for. */
    if (device->credentials_count == 0 && !d->by_ca && !d->claim->vouched)
        return decide(d, GH_IDENTITY_NO_CREDENTIAL, "the device has no credential");
    return GH_IDENTITY_ACCEPTED;
}

/* Empty for a credential that signs nothing. */
static struct gh_slice algorithm_of(enum gh_credential_format format)
{
    static const char *const algorithms[] = {[GH_CREDENTIAL_RSA_X509_PEM] = "RS256",
                                             [GH_CREDENTIAL_ES256_PEM] = "ES256",
                                             [GH_CREDENTIAL_RSA_PEM] = "RS256",
                                             [GH_CREDENTIAL_ES256_X509_PEM] = "ES256"};
    return gh_slice_text((size_t)format < GH_COUNT(algorithms) ? algorithms[format] : NULL);
}

/* The device's keys that fit the token's `alg`: those in force first, then the others, which
 * are tried only so that the operator reads why. */
struct keys {
    struct gh_key *open[GH_DEVICE_CREDENTIALS_MAX];
    const struct gh_credential *of[GH_DEVICE_CREDENTIALS_MAX];
    size_t count, valid;
};

static void keys_add(struct decision *d, struct keys *keys, bool in_force)
{
    const struct gh_device *device = d->out->device;

    for (size_t i = 0; i < device->credentials_count; i++) {
        const struct gh_credential *credential = &device->credentials[i];
        struct gh_error error = {0};
        struct gh_slice algorithm = algorithm_of(credential->format);
        if ((gh_credential_state(credential, d->now_ms) == GH_CREDENTIAL_ENABLED) != in_force ||
            algorithm.size == 0 || !gh_slice_equal(algorithm, d->jose.algorithm))
            continue;
        struct gh_key *key = gh_key_open(credential->pem, &error);
        if (key == NULL) {
            gh_log(GH_LOG_ERROR, "identity", "credential %.*s of device %llu cannot be used: %s",
                   GH_PRINT(credential->id), (unsigned long long)device->number, error.text);
            continue;
        }
        keys->open[keys->count] = key;
        keys->of[keys->count++] = credential;
    }
}

static void keys_close(struct keys *keys)
{
    for (size_t i = 0; i < keys->count; i++)
        gh_key_close(keys->open[i]);
}

static enum gh_identity_reason decide_token(struct decision *d, const struct keys *keys)
{
    struct gh_jwt_outcome outcome;
    struct gh_identity_verdict *out = d->out;
    enum gh_jwt_verdict verdict =
        gh_jwt_verify(d->claim->token, (const struct gh_key *const *)keys->open, keys->count,
                      &d->policy, d->now_ms / 1000, d->arena, &outcome);
    bool is_signed = verdict != GH_JWT_SIGNATURE && verdict != GH_JWT_ALGORITHM &&
                     verdict != GH_JWT_HEADER && verdict != GH_JWT_MALFORMED;

    if (verdict == GH_JWT_SIGNATURE)
        return decide(d, GH_IDENTITY_SIGNATURE, "signed by none of its credentials (%zu)%s",
                      out->device->credentials_count,
                      keys->valid < keys->count ? ", those not in force included" : "");
    if (is_signed && outcome.key >= keys->valid && keys->count > 0)
        return gh_identity_check_credential(keys->of[outcome.key], d->now_ms, out);
    if (verdict == GH_JWT_ACCEPTED) {
        out->principal.credential_id = keys->of[outcome.key]->id;
        out->token_id = outcome.token_id;
        out->token_expires_at_s = outcome.expires_at_s;
        out->valid_until_s = outcome.valid_until_s;
    }
    return decide(d, reasons_of_verdicts[verdict], "%s", outcome.detail);
}

static enum gh_identity_reason check_token(struct decision *d)
{
    struct keys keys = {0};

    keys_add(d, &keys, true);
    keys.valid = keys.count;
    keys_add(d, &keys, false);
    enum gh_identity_reason reason =
        keys.count > 0 ? decide_token(d, &keys)
                       : decide(d, GH_IDENTITY_ALGORITHM,
                                "alg is \"%.*s\", which none of the %zu credentials has",
                                GH_PRINT(gh_detail_quoted(d->jose.algorithm)),
                                d->out->device->credentials_count);
    keys_close(&keys);
    return reason;
}

/* The work of one verification, for nothing. */
static void verify_as_nobody(struct decision *d)
{
    struct gh_key *keys[GH_COUNT(nobody)];
    struct gh_jwt_outcome outcome;
    size_t count = 0;

    for (size_t i = 0; i < GH_COUNT(nobody); i++) {
        bool fits =
            gh_slice_equal(d->jose.algorithm, i == 0 ? GH_SLICE("ES256") : GH_SLICE("RS256"));
        if (fits && (keys[count] = gh_key_open(gh_slice_text(nobody[i]), NULL)) != NULL)
            count++;
    }
    enum gh_jwt_verdict verdict =
        gh_jwt_verify(d->claim->token, (const struct gh_key *const *)keys, count, &d->policy,
                      d->now_ms / 1000, d->arena, &outcome);
    (void)verdict; /* whatever it says: the refusal stands */
    while (count > 0)
        gh_key_close(keys[--count]);
}

static enum gh_identity_reason locate(struct decision *d)
{
    struct gh_tenant tenant;
    enum gh_identity_reason reason;

    if ((reason = find_tenant(d, &tenant)) != GH_IDENTITY_ACCEPTED ||
        (reason = find_registry(d, &tenant)) != GH_IDENTITY_ACCEPTED)
        return reason;
    return find_device(d, &tenant);
}

/* --- secrets --- */

/* Compares with every password of the device, expired ones too, so that the operator reads why.
 * `mine` false: the work of it, for nothing. */
static enum gh_identity_reason check_secret(struct decision *d, bool mine)
{
    const struct gh_device *device = d->out->device;
    struct gh_device_passwords *passwords = gh_directory_passwords(d->directory);
    struct gh_slice stored[GH_DEVICE_CREDENTIALS_MAX];
    const struct gh_credential *of[GH_DEVICE_CREDENTIALS_MAX];
    size_t count = 0, which = 0;

    if (passwords == NULL)
        return decide(d, GH_IDENTITY_UNAVAILABLE, "this server keeps no device passwords");
    for (size_t i = 0; mine && i < device->credentials_count; i++) {
        if (device->credentials[i].format != GH_CREDENTIAL_PASSWORD)
            continue;
        of[count] = &device->credentials[i];
        stored[count++] = device->credentials[i].pem;
    }
    bool right = gh_device_password_verify(passwords, d->claim->secret, stored, count, &which);
    if (count == 0)
        return decide(d, GH_IDENTITY_NO_CREDENTIAL, "the device has no password");
    if (!right)
        return decide(d, GH_IDENTITY_SECRET, "the secret is none of the device's %zu password%s",
                      count, count == 1 ? "" : "s");
    enum gh_identity_reason reason = gh_identity_check_credential(of[which], d->now_ms, d->out);
    if (reason != GH_IDENTITY_ACCEPTED)
        return reason;
    if (d->claim->at_once && of[which]->mark.size == 0)
        return decide(d, GH_IDENTITY_UNAVAILABLE, "its mark is to be written");
    gh_directory_mark_used(d->directory, d->out->device, of[which], d->claim->secret);
    d->out->principal.credential_id = of[which]->id;
    d->out->valid_until_s =
        of[which]->expires_at_ms != 0 ? of[which]->expires_at_ms / 1000 : GH_IDENTITY_FOR_EVER_S;
    return decide(d, GH_IDENTITY_ACCEPTED, "accepted");
}

static enum gh_identity_reason decide_secret(struct decision *d)
{
    enum gh_identity_reason reason = locate(d);
    if (reason == GH_IDENTITY_ACCEPTED)
        reason = check_allowed(d);
    if (reason == GH_IDENTITY_ACCEPTED)
        return check_secret(d, true);
    if (reason == GH_IDENTITY_UNAVAILABLE && !d->claim->at_once)
        return reason;
    char detail[GH_IDENTITY_DETAIL_MAX];
    memcpy(detail, d->out->detail, sizeof detail);
    (void)check_secret(d, false);
    return decide(d, reason, "%s", detail); /* whatever the comparison said, the refusal stands */
}

/* --- shared access signatures --- */

static enum gh_identity_reason decide_by_sas(struct decision *d)
{
    struct gh_sas sas;
    const char *why = gh_sas_read(d->claim->sas, d->arena, &sas);
    enum gh_identity_reason reason = locate(d);
    if (why != NULL)
        return decide(d, GH_IDENTITY_TOKEN_MALFORMED, "the shared access signature: %s", why);
    if (reason == GH_IDENTITY_ACCEPTED)
        reason = check_allowed(d);
    if (reason == GH_IDENTITY_ACCEPTED)
        return gh_identity_by_shared_key(d->directory, d->claim, &sas, d->now_ms, d->out);
    if (reason != GH_IDENTITY_UNAVAILABLE)
        gh_identity_shared_key_of_nobody(&sas);
    return reason;
}

static enum gh_identity_reason decide_by_chain(struct decision *d)
{
    enum gh_identity_reason reason = locate(d);
    if (reason == GH_IDENTITY_ACCEPTED)
        reason = check_allowed(d);
    if (reason == GH_IDENTITY_ACCEPTED && d->claim->chain_count == 0)
        reason = decide(d, GH_IDENTITY_CERTIFICATE, "no certificate was shown");
    return reason != GH_IDENTITY_ACCEPTED
               ? reason
               : gh_identity_by_certificate(d->directory, d->claim, d->now_ms, d->arena, d->out);
}

static enum gh_identity_reason decide_vouched(struct decision *d)
{
    enum gh_identity_reason reason = locate(d);
    if (reason == GH_IDENTITY_ACCEPTED)
        reason = check_allowed(d);
    d->out->valid_until_s = GH_IDENTITY_FOR_EVER_S;
    return reason == GH_IDENTITY_ACCEPTED ? decide(d, reason, "accepted") : reason;
}

bool gh_identity_is_token(struct gh_slice password)
{
    struct gh_slice rest = password;
    gh_slice_split(&rest, '.');
    bool first = rest.size > 0;
    gh_slice_split(&rest, '.');
    return first && rest.size > 0 && gh_slice_starts(password, GH_SLICE("eyJ")) &&
           gh_slice_find(rest, '.') == rest.size;
}

/* --- access tokens --- */

/* The credential that the token was given for: it must still be there, and hold. One that a CA
 * vouched for holds as long as the CA does and the certificate is not revoked. */
static enum gh_identity_reason check_given_for(struct decision *d,
                                               const struct gh_access_claims *claims)
{
    const struct gh_device *device = d->out->device;

    if (device->number != claims->number)
        return decide(d, GH_IDENTITY_SUBJECT, "the token was given to a device of the same name");
    if (d->by_ca)
        return gh_identity_check_anchored(d->directory, claims->credential, d->now_ms, d->arena,
                                          d->out);
    for (size_t i = 0; i < device->credentials_count; i++) {
        const struct gh_credential *credential = &device->credentials[i];
        if (!gh_slice_equal(credential->id, claims->credential))
            continue;
        d->out->principal.credential_id = credential->id;
        return gh_identity_check_credential(credential, d->now_ms, d->out);
    }
    return decide(d, GH_IDENTITY_NO_CREDENTIAL,
                  "credential %.*s, for which the token was given, was taken away",
                  GH_PRINT(gh_detail_quoted(claims->credential)));
}

static bool is_bound_to(const struct gh_access_claims *claims,
                        const struct gh_identity_claim *claim)
{
    uint8_t digest[GH_SHA256_BYTES];
    if (claim->chain_count == 0)
        return false;
    gh_sha256(claim->chain[0], digest);
    return gh_slice_equal(claims->certificate, gh_slice(digest, sizeof digest));
}

static enum gh_identity_reason check_use(struct decision *d, const struct gh_access_claims *claims)
{
    static const char *const scopes[] = {
        [GH_IDENTITY_OVER_MQTT] = "mqtt", [GH_IDENTITY_OVER_HTTP] = "api"};
    const struct gh_identity_claim *claim = d->claim;
    struct gh_slice rest = claims->scope;
    bool good = false;

    if (claim->over == GH_IDENTITY_OVER_TOKEN) /* it is asked about, not used */
        return GH_IDENTITY_ACCEPTED;
    if (claims->certificate.size > 0 && !is_bound_to(claims, claim))
        return decide(d, GH_IDENTITY_TOKEN_BINDING,
                      claim->chain_count > 0
                          ? "the token is bound to another certificate than the connection's"
                          : "the token is bound to a certificate, the connection showed none");
    while (!good && rest.size > 0)
        good = gh_slice_equal(gh_slice_split(&rest, ' '), gh_slice_text(scopes[claim->over]));
    return good ? GH_IDENTITY_ACCEPTED
                : decide(d, GH_IDENTITY_SCOPE, "the token's scope is \"%.*s\"",
                         GH_PRINT(gh_detail_quoted(claims->scope)));
}

static bool names_are(const struct gh_identity_claim *claim, const struct gh_access_claims *claims)
{
    return gh_slice_equal(claim->tenant, claims->tenant) &&
           gh_slice_equal(claim->registry, claims->registry) &&
           gh_slice_equal(claim->device, claims->device);
}

/* The token is verified first, whoever is named, so that time tells nothing. `named` is the claim
 * with the names of the subject where it had none. */
static enum gh_identity_reason decide_by_access(struct decision *d, struct gh_identity_claim *named)
{
    struct gh_access_claims claims = {0};
    struct gh_slice serial;
    char detail[GH_IDENTITY_DETAIL_MAX] = "";
    enum gh_identity_reason verified =
        gh_access_verify(named->access, named->token, d->now_ms / 1000, d->arena, &claims, detail);

    if (named->device.size == 0) {
        named->tenant = claims.tenant;
        named->registry = claims.registry;
        named->device = claims.device;
    }
    d->claim = named;
    d->by_ca = gh_anchor_credential_read(claims.credential, 0, &serial);
    enum gh_identity_reason reason = locate(d);
    if (verified != GH_IDENTITY_ACCEPTED)
        return decide(d, verified, "%s", detail);
    if (!names_are(named, &claims))
        return decide(d, GH_IDENTITY_SUBJECT, "the token was given to \"%.*s\"",
                      GH_PRINT(gh_detail_quoted(claims.subject)));
    if (reason != GH_IDENTITY_ACCEPTED || (reason = check_allowed(d)) != GH_IDENTITY_ACCEPTED ||
        (reason = check_given_for(d, &claims)) != GH_IDENTITY_ACCEPTED ||
        (reason = check_use(d, &claims)) != GH_IDENTITY_ACCEPTED)
        return reason;
    d->out->principal.token_id = claims.token_id;
    d->out->token_expires_at_s = claims.expires_at_s;
    d->out->valid_until_s = claims.expires_at_s + GH_ACCESS_SKEW_S;
    return decide(d, GH_IDENTITY_ACCEPTED, "accepted");
}

static enum gh_identity_reason decide_by_token(struct decision *d)
{
    struct gh_identity_claim named = *d->claim;
    struct gh_jwt_outcome form;
    enum gh_jwt_verdict verdict =
        gh_jwt_check_form(d->claim->token, &d->policy, d->arena, &d->jose, &form);
    if (verdict == GH_JWT_ACCEPTED && named.access_taken && named.access != NULL &&
        gh_access_is_one(&d->jose))
        return decide_by_access(d, &named);
    /* A malformed token is refused as that whoever sent it; who it was is for the operator's page.
     */
    enum gh_identity_reason reason = locate(d);

    if (verdict != GH_JWT_ACCEPTED)
        return decide(d, reasons_of_verdicts[verdict], "%s", form.detail);
    if (reason == GH_IDENTITY_ACCEPTED)
        reason = check_allowed(d);
    if (reason == GH_IDENTITY_ACCEPTED)
        return check_token(d);
    if (reason != GH_IDENTITY_UNAVAILABLE)
        verify_as_nobody(d);
    return reason;
}

/* Of a device that has proved who it is: nobody else learns of its ban. */
static enum gh_identity_reason check_ban(struct decision *d)
{
    const struct gh_device *device = d->out->device;
    char until[GH_TIME_TEXT_MAX];

    if (device->banned_until_ms <= d->now_ms)
        return GH_IDENTITY_ACCEPTED;
    d->out->token_expires_at_s = d->out->valid_until_s = 0;
    return decide(d, GH_IDENTITY_BANNED, "an operator banned the device until %s",
                  device->banned_until_ms == GH_DEVICE_BANNED_FOR_EVER
                      ? "the ban is lifted"
                      : gh_time_print(device->banned_until_ms, until));
}

bool gh_identity_is_quick(const struct gh_identity_claim *claim)
{
    return claim->secret.size >= GH_SECRET_LONG_BYTES_MIN && claim->sas.size == 0 &&
           !claim->by_certificate && !claim->vouched;
}

enum gh_identity_reason gh_identity_device(struct gh_directory *directory,
                                           const struct gh_identity_claim *claim, int64_t now_ms,
                                           struct gh_arena *arena, struct gh_identity_verdict *out)
{
    struct decision d = {.directory = directory,
                         .claim = claim,
                         .policy = claim->policy,
                         .now_ms = now_ms,
                         .arena = arena,
                         .by_ca = claim->by_certificate,
                         .out = out};

    assert(!claim->at_once || gh_identity_is_quick(claim));
    *out = (struct gh_identity_verdict){0};
    if (d.policy.audience.size == 0)
        d.policy.audience = claim->tenant;
    enum gh_identity_reason reason = claim->vouched           ? decide_vouched(&d)
                                     : claim->by_certificate  ? decide_by_chain(&d)
                                     : claim->sas.size > 0    ? decide_by_sas(&d)
                                     : claim->secret.size > 0 ? decide_secret(&d)
                                                              : decide_by_token(&d);
    if (reason == GH_IDENTITY_ACCEPTED)
        reason = check_ban(&d);
    if (reason != GH_IDENTITY_ACCEPTED && claim->at_once)
        return decide(&d, GH_IDENTITY_UNAVAILABLE, "it cannot be accepted at once");
    /* An access token stands for a credential that was shown when it was given. */
    if (reason == GH_IDENTITY_ACCEPTED && out->principal.token_id.size == 0)
        gh_directory_note_use(
            directory, &(struct gh_credential_use){.device = out->device->number,
                                                   .credential = out->principal.credential_id,
                                                   .at_ms = now_ms,
                                                   .not_before_ms = out->not_before_s * 1000,
                                                   .not_after_ms = out->not_after_s * 1000});
    return reason;
}
