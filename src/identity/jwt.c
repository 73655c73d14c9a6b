#include "identity/jwt.h"
#include "base/time.h"
#include "identity/detail_internal.h"
#include <assert.h>

const struct gh_jwt_policy gh_jwt_native = {.skew_s = 600, .lifetime_max_s = INT64_C(24) * 3600};

const struct gh_jwt_policy gh_jwt_assertion = {
    .skew_s = 60, .lifetime_max_s = 300, .audience_text_only = true, .token_id_needed = true};

const struct gh_jwt_policy gh_jwt_google = {
    .skew_s = 600,
    .lifetime_max_s = INT64_C(24) * 3600 + 600, /* documented as "24 hours plus skew" */
    .lenient_base64 = true,
    .audience_text_only = true,
    .others_ignored = true,
    .bounds_inside = true,
    .payload_first = true,
};

static const char *const verdict_names[] = {
    [GH_JWT_ACCEPTED] = "ACCEPTED",
    [GH_JWT_MALFORMED] = "MALFORMED",
    [GH_JWT_HEADER] = "HEADER",
    [GH_JWT_ALGORITHM] = "ALGORITHM",
    [GH_JWT_SIGNATURE] = "SIGNATURE",
    [GH_JWT_CLAIMS] = "CLAIMS",
    [GH_JWT_AUDIENCE] = "AUDIENCE",
    [GH_JWT_ISSUER] = "ISSUER",
    [GH_JWT_SUBJECT] = "SUBJECT",
    [GH_JWT_LIFETIME] = "LIFETIME",
    [GH_JWT_EXPIRED] = "EXPIRED",
    [GH_JWT_MEMORY] = "MEMORY",
    [GH_JWT_NOT_YET_VALID] = "NOT_YET_VALID",
};
static_assert(GH_COUNT(verdict_names) == GH_JWT_VERDICT_COUNT, "a name for each verdict");

const char *gh_jwt_verdict_name(enum gh_jwt_verdict verdict)
{
    assert((size_t)verdict < GH_COUNT(verdict_names));
    return verdict_names[verdict];
}

static enum gh_jwt_verdict decide(struct gh_jwt_outcome *out, enum gh_jwt_verdict verdict,
                                  const char *format, ...) GH_PRINTF(3, 4);

static enum gh_jwt_verdict decide(struct gh_jwt_outcome *out, enum gh_jwt_verdict verdict,
                                  const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    gh_detail_print(out->detail, sizeof out->detail, format, arguments);
    va_end(arguments);
    out->verdict = verdict;
    return verdict;
}

static enum gh_jwt_verdict decide_form(struct gh_jwt_outcome *out, enum gh_jose_status status)
{
    enum gh_jwt_verdict verdict = status == GH_JOSE_MEMORY     ? GH_JWT_MEMORY
                                  : status == GH_JOSE_CRITICAL ? GH_JWT_HEADER
                                                               : GH_JWT_MALFORMED;
    return decide(out, verdict, "%s", gh_jose_status_text(status));
}

/* "application/" may stand before it (RFC 7515 §4.1.9). */
static bool is_type(struct gh_slice type, struct gh_slice wanted)
{
    const struct gh_slice prefix = GH_SLICE("application/");
    if (gh_slice_equal_nocase(gh_slice_sub(type, 0, prefix.size), prefix))
        type = gh_slice_sub(type, prefix.size, type.size);
    return gh_slice_equal_nocase(type, wanted);
}

static enum gh_jwt_verdict check_header(const struct gh_jose *jose,
                                        const struct gh_jwt_policy *policy,
                                        struct gh_jwt_outcome *out)
{
    if (policy->others_ignored)
        return GH_JWT_ACCEPTED;
    if (jose->kid_refused)
        return decide(out, GH_JWT_HEADER, "kid is not text of at most %d bytes",
                      GH_JOSE_KID_BYTES_MAX);
    if (policy->type.size > 0)
        return is_type(jose->type, policy->type)
                   ? GH_JWT_ACCEPTED
                   : decide(out, GH_JWT_HEADER, "typ is \"%.*s\", expected \"%.*s\"",
                            GH_PRINT(gh_detail_quoted(jose->type)), GH_PRINT(policy->type));
    /* Media type names match in either case (RFC 7515 §4.1.9). */
    if (jose->type_refused ||
        (jose->type.size > 0 && !gh_slice_equal_nocase(jose->type, GH_SLICE("JWT"))))
        return decide(out, GH_JWT_HEADER, "typ is \"%.*s\", a device's token has JWT or none",
                      GH_PRINT(gh_detail_quoted(jose->type)));
    return GH_JWT_ACCEPTED;
}

/* The keys say which algorithm; a key of another one is never tried. */
static enum gh_jwt_verdict check_signature(const struct gh_jose *jose,
                                           const struct gh_key *const *keys, size_t count,
                                           struct gh_jwt_outcome *out)
{
    size_t fitting = 0;

    for (size_t i = 0; i < count; i++) {
        if (!gh_slice_equal(gh_key_algorithm(keys[i]), jose->algorithm))
            continue;
        fitting++;
        if (gh_key_verify(keys[i], jose->signing_input, jose->signature)) {
            out->key = i;
            return GH_JWT_ACCEPTED;
        }
    }
    if (count > 0 && fitting == 0)
        return decide(out, GH_JWT_ALGORITHM,
                      "alg is \"%.*s\", which none of the %zu credentials has",
                      GH_PRINT(gh_detail_quoted(jose->algorithm)), count);
    return decide(out, GH_JWT_SIGNATURE, "signed by none of its credentials (%zu)", count);
}

static enum gh_jwt_verdict check_audience(const struct gh_jose_claims *claims,
                                          const struct gh_jwt_policy *policy,
                                          struct gh_jwt_outcome *out)
{
    struct gh_slice wanted = policy->audience, first = {0};

    if (policy->audience_any)
        return GH_JWT_ACCEPTED;
    if (claims->audience == GH_JOSE_ABSENT)
        return decide(out, GH_JWT_AUDIENCE, "aud is missing");
    if (claims->audience == GH_JOSE_REFUSED ||
        (policy->audience_text_only && claims->audience_is_array))
        return decide(out, GH_JWT_AUDIENCE, "aud is not %s",
                      policy->audience_text_only ? "text" : "text or an array of texts");
    for (size_t i = 0; i < claims->audiences_count; i++) {
        if (wanted.size > 0 && gh_slice_equal(claims->audiences[i], wanted))
            return GH_JWT_ACCEPTED;
    }
    if (claims->audiences_count > 0)
        first = gh_detail_quoted(claims->audiences[0]);
    return decide(out, GH_JWT_AUDIENCE, "aud is \"%.*s\", expected \"%.*s\"", GH_PRINT(first),
                  GH_PRINT(gh_detail_quoted(wanted)));
}

static enum gh_jwt_verdict check_members(const struct gh_jose_claims *claims,
                                         const struct gh_jwt_policy *policy,
                                         struct gh_jwt_outcome *out)
{
    const struct {
        const char *name;
        enum gh_jose_member is;
        bool required, looked_at;
    } rules[] = {
        {"iat", claims->issued_at.is, true, true},
        {"exp", claims->expires_at.is, true, true},
        {"nbf", claims->not_before.is, false, !policy->others_ignored},
        {"iss", claims->issuer.is, policy->issuer.size > 0, !policy->others_ignored},
        {"sub", claims->subject.is, policy->subject.size > 0, !policy->others_ignored},
        {"jti", claims->token_id.is, policy->token_id_needed, policy->token_id_needed},
    };

    for (size_t i = 0; i < GH_COUNT(rules); i++) {
        if (rules[i].looked_at && rules[i].is == GH_JOSE_REFUSED)
            return decide(out, GH_JWT_CLAIMS, "%s has a type or value that is not allowed",
                          rules[i].name);
        if (rules[i].required && rules[i].is == GH_JOSE_ABSENT)
            return decide(out, GH_JWT_CLAIMS, "%s is missing", rules[i].name);
    }
    if (policy->subject.size > 0 && !gh_slice_equal(claims->subject.text, policy->subject))
        return decide(out, GH_JWT_SUBJECT, "sub is \"%.*s\", expected \"%.*s\"",
                      GH_PRINT(gh_detail_quoted(claims->subject.text)),
                      GH_PRINT(gh_detail_quoted(policy->subject)));
    if (policy->issuer.size > 0 && !gh_slice_equal(claims->issuer.text, policy->issuer))
        return decide(out, GH_JWT_ISSUER, "iss is \"%.*s\", expected \"%.*s\"",
                      GH_PRINT(gh_detail_quoted(claims->issuer.text)),
                      GH_PRINT(gh_detail_quoted(policy->issuer)));
    if (policy->token_id_needed && claims->token_id.text.size == 0)
        return decide(out, GH_JWT_CLAIMS, "jti is empty");
    return GH_JWT_ACCEPTED;
}

static enum gh_jwt_verdict check_times(const struct gh_jose_claims *claims,
                                       const struct gh_jwt_policy *policy, int64_t now_s,
                                       struct gh_jwt_outcome *out)
{
    int64_t issued = claims->issued_at.s, expires = claims->expires_at.s;
    int64_t lifetime = expires - issued, since = now_s - expires;
    bool ends = policy->bounds_inside ? since > policy->skew_s : since >= policy->skew_s;
    bool empty = policy->bounds_inside ? lifetime < 0 : lifetime <= 0;
    char clock[GH_TIME_TEXT_MAX];

    (void)gh_time_print(now_s * 1000, clock);
    if (empty)
        return decide(out, GH_JWT_LIFETIME, "exp is not after iat");
    if (lifetime > policy->lifetime_max_s)
        return decide(out, GH_JWT_LIFETIME, "lives for %lld s, at most %lld s are allowed",
                      (long long)lifetime, (long long)policy->lifetime_max_s);
    if (ends)
        return decide(out, GH_JWT_EXPIRED, "token expired %lld s ago, server clock %s",
                      (long long)since, clock);
    if (issued - now_s > policy->skew_s)
        return decide(out, GH_JWT_NOT_YET_VALID,
                      "token was issued %lld s in the future, server clock %s",
                      (long long)(issued - now_s), clock);
    if (!policy->others_ignored && claims->not_before.is == GH_JOSE_PRESENT &&
        claims->not_before.s - now_s > policy->skew_s)
        return decide(out, GH_JWT_NOT_YET_VALID,
                      "token begins to be valid in %lld s, server clock %s",
                      (long long)(claims->not_before.s - now_s), clock);
    return GH_JWT_ACCEPTED;
}

/* Everything that is said in the payload. */
static enum gh_jwt_verdict check_claims(const struct gh_jose_claims *claims,
                                        const struct gh_jwt_policy *policy, int64_t now_s,
                                        struct gh_jwt_outcome *out)
{
    enum gh_jwt_verdict verdict;

    if ((verdict = check_audience(claims, policy, out)) != GH_JWT_ACCEPTED ||
        (verdict = check_members(claims, policy, out)) != GH_JWT_ACCEPTED ||
        (verdict = check_times(claims, policy, now_s, out)) != GH_JWT_ACCEPTED)
        return verdict;
    out->issued_at_s = claims->issued_at.s;
    out->expires_at_s = claims->expires_at.s;
    out->valid_until_s = claims->expires_at.s + policy->skew_s;
    out->subject = claims->subject.text;
    out->issuer = claims->issuer.text;
    out->token_id = claims->token_id.text;
    return decide(out, GH_JWT_ACCEPTED, "accepted");
}

enum gh_jwt_verdict gh_jwt_check_form(struct gh_slice token, const struct gh_jwt_policy *policy,
                                      struct gh_arena *arena, struct gh_jose *jose,
                                      struct gh_jwt_outcome *out)
{
    struct gh_jose_claims claims;
    enum gh_jose_status status = gh_jose_read(token, policy->lenient_base64, arena, jose);

    *out = (struct gh_jwt_outcome){0};
    if (status == GH_JOSE_OK && policy->payload_first)
        status = gh_jose_claims(jose->payload, arena, &claims);
    return status == GH_JOSE_OK ? GH_JWT_ACCEPTED : decide_form(out, status);
}

enum gh_jwt_verdict gh_jwt_verify(struct gh_slice token, const struct gh_key *const *keys,
                                  size_t keys_count, const struct gh_jwt_policy *policy,
                                  int64_t now_s, struct gh_arena *arena, struct gh_jwt_outcome *out)
{
    struct gh_jose jose;
    struct gh_jose_claims claims;
    enum gh_jose_status status;
    enum gh_jwt_verdict verdict = gh_jwt_check_form(token, policy, arena, &jose, out);

    if (verdict != GH_JWT_ACCEPTED ||
        (verdict = check_header(&jose, policy, out)) != GH_JWT_ACCEPTED ||
        (verdict = check_signature(&jose, keys, keys_count, out)) != GH_JWT_ACCEPTED)
        return verdict;
    if ((status = gh_jose_claims(jose.payload, arena, &claims)) != GH_JOSE_OK)
        return decide_form(out, status);
    return check_claims(&claims, policy, now_s, out);
}

bool gh_jwt_sign(const struct gh_private_key *key, const struct gh_jose_issue *issue,
                 struct gh_buffer *out)
{
    uint8_t signature[GH_KEY_SIGNATURE_MAX];
    size_t size;

    return gh_jose_begin(out, gh_private_key_algorithm(key), issue) &&
           gh_private_key_sign(key, gh_buffer_slice(out), signature, &size) &&
           gh_jose_finish(out, gh_slice(signature, size));
}
