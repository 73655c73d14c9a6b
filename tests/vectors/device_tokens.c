/* The two sets made for this project: tokens and credentials for the Google dialect
 * (google-jwt-vectors.json) and the attack corpus on device tokens (device_jwt_policy.json). Both
 * carry their own clock, keys and policy. */
#include "crypto/certificate.h"
#include "identity/jwt.h"
#include "tests/vectors/vectors.h"
#include <assert.h>
#include <string.h>

enum { ARENA_BYTES = 1 << 20, TAKEN_MAX = 16 };

static enum gh_jwt_verdict verify(struct gh_slice token, struct gh_slice key_pem,
                                  const struct gh_jwt_policy *policy, int64_t now_s)
{
    struct gh_key *key = gh_key_open(key_pem, NULL);
    const struct gh_key *keys[] = {key};
    struct gh_jwt_outcome outcome;
    struct gh_arena arena;

    gh_arena_init(&arena, ARENA_BYTES);
    enum gh_jwt_verdict verdict =
        gh_jwt_verify(token, keys, key == NULL ? 0 : 1, policy, now_s, &arena, &outcome);
    gh_arena_deinit(&arena);
    gh_key_close(key);
    return verdict;
}

/* The project of "projects/PROJECT/locations/…". */
static struct gh_slice project_of(struct gh_slice client_id)
{
    (void)gh_slice_split(&client_id, '/');
    return gh_slice_split(&client_id, '/');
}

/* "accept-lenient" is right when the Google dialect accepts and everybody else refuses;
 * "reject-malformed" when the verdict is the one that leads to CONNACK 4. */
static bool as_expected(struct gh_slice expect, struct gh_slice token, struct gh_slice key,
                        const struct gh_jwt_policy *google, int64_t now_s)
{
    struct gh_jwt_policy strict = *google;
    enum gh_jwt_verdict verdict = verify(token, key, google, now_s);

    strict.lenient_base64 = false;
    if (gh_slice_equal(expect, GH_SLICE("accept")))
        return verdict == GH_JWT_ACCEPTED;
    if (gh_slice_equal(expect, GH_SLICE("accept-lenient")))
        return verdict == GH_JWT_ACCEPTED && verify(token, key, &strict, now_s) != GH_JWT_ACCEPTED;
    if (gh_slice_equal(expect, GH_SLICE("reject-malformed")))
        return verdict == GH_JWT_MALFORMED;
    return verdict != GH_JWT_ACCEPTED && verdict != GH_JWT_MALFORMED;
}

bool vectors_google_tokens(struct set *set, const json_t *file)
{
    const json_t *tokens = json_object_get(file, "vectors"), *keys = json_object_get(file, "keys");
    const json_t *one;
    struct gh_jwt_policy policy = gh_jwt_google;
    size_t index;

    if (!json_is_array(tokens) || json_object_get(file, "clientId") == NULL)
        return false;
    policy.audience = project_of(vectors_text(file, "clientId"));
    assert(policy.skew_s == json_integer_value(json_object_get(file, "skewSeconds")));
    json_array_foreach(tokens, index, one)
    {
        struct gh_slice expect = vectors_text(one, "expect");
        bool right = as_expected(expect, vectors_text(one, "token"),
                                 vectors_text(keys, json_string_value(json_object_get(one, "key"))),
                                 &policy, json_integer_value(json_object_get(one, "now")));
        vectors_judge(set, json_string_value(json_object_get(one, "name")),
                      json_string_value(json_object_get(one, "expect")), EXPECT_ACCEPT,
                      right ? ANSWER_ACCEPT : ANSWER_REJECT);
    }
    return true;
}

static const struct {
    const char *name;
    enum gh_key_kind kind;
    enum gh_key_form form;
} formats[] = {{"RSA_X509_PEM", GH_KEY_RSA, GH_KEY_FORM_CERTIFICATE},
               {"ES256_PEM", GH_KEY_P256, GH_KEY_FORM_PUBLIC_KEY},
               {"RSA_PEM", GH_KEY_RSA, GH_KEY_FORM_PUBLIC_KEY},
               {"ES256_X509_PEM", GH_KEY_P256, GH_KEY_FORM_CERTIFICATE}};

static enum answer offer(const json_t *one, struct gh_slice authority, int64_t now_s)
{
    struct gh_credential_offer offer = {.pem = vectors_text(one, "key"),
                                        .registry_certificates = &authority};
    struct gh_slice format = vectors_text(one, "format");
    bool known = false;

    for (size_t i = 0; i < GH_COUNT(formats); i++) {
        if (!gh_slice_equal(format, gh_slice_text(formats[i].name)))
            continue;
        known = true;
        offer.kind = formats[i].kind;
        offer.form = formats[i].form;
    }
    offer.registry_certificates_count = json_is_true(json_object_get(one, "registryCA"));
    if (json_object_get(one, "now") != NULL)
        now_s = json_integer_value(json_object_get(one, "now"));
    return known && gh_key_check_credential(&offer, now_s, NULL, NULL) == GH_OK ? ANSWER_ACCEPT
                                                                                : ANSWER_REJECT;
}

bool vectors_google_registration(struct set *set, const json_t *file)
{
    const json_t *offers = json_object_get(file, "registration"), *one;
    struct gh_slice authority = vectors_text(file, "registryCA");
    size_t index;

    if (!json_is_array(offers))
        return false;
    /* The file has no clock for these: it is read as of the day on which its CA was made. */
    struct gh_certificate *certificate = gh_certificate_open(authority, NULL);
    int64_t now_s = certificate == NULL ? 0 : gh_certificate_not_before_s(certificate);
    gh_certificate_close(certificate);
    json_array_foreach(offers, index, one)
    {
        bool ok = gh_slice_equal(vectors_text(one, "expect"), GH_SLICE("OK"));
        vectors_judge(set, json_string_value(json_object_get(one, "name")), "registration",
                      ok ? EXPECT_ACCEPT : EXPECT_REJECT, offer(one, authority, now_s));
    }
    return true;
}

bool vectors_device_policy(struct set *set, const json_t *file)
{
    const json_t *cases = json_object_get(file, "cases"), *keys = json_object_get(file, "keys");
    const json_t *rules = json_object_get(file, "policy"), *one;
    struct gh_jwt_policy policy = gh_jwt_native;
    int64_t now_s = json_integer_value(json_object_get(file, "now"));
    size_t index;

    if (!json_is_array(cases) || rules == NULL || keys == NULL)
        return false;
    policy.audience = vectors_text(file, "audience");
    policy.skew_s = json_integer_value(json_object_get(rules, "skew_s"));
    policy.lifetime_max_s = json_integer_value(json_object_get(rules, "max_lifetime_s"));
    json_array_foreach(cases, index, one)
    {
        struct gh_slice expect = vectors_text(one, "expect");
        const char *key = json_string_value(json_object_get(one, "registered_key"));
        enum gh_jwt_verdict verdict =
            verify(vectors_text(one, "token"), vectors_text(keys, key), &policy, now_s);
        vectors_judge(set, json_string_value(json_object_get(one, "id")),
                      json_string_value(json_object_get(one, "why")),
                      gh_slice_equal(expect, GH_SLICE("accept"))   ? EXPECT_ACCEPT
                      : gh_slice_equal(expect, GH_SLICE("reject")) ? EXPECT_REJECT
                                                                   : EXPECT_EITHER,
                      verdict == GH_JWT_ACCEPTED ? ANSWER_ACCEPT : ANSWER_REJECT);
    }
    return true;
}
