#include "base/time.h"
#include "identity/jwt.h"
#include "tests/check.h"
#include <stdio.h>
#include <string.h>

/* Tokens are signed here with fresh keys; published vectors are judged by tests/vectors. */
#define NOW INT64_C(1700000000)
enum { ARENA_BYTES = 1 << 20, TOKEN_MAX = 4096 };

struct signer {
    struct gh_private_key *private_key;
    struct gh_key *key;
};

static struct signer signer_open(enum gh_key_kind kind)
{
    uint8_t block[2048];
    struct gh_buffer pem = gh_buffer_fixed(block, sizeof block);
    struct signer signer = {.private_key = gh_private_key_generate(kind, NULL)};
    REQUIRE("a key is generated", signer.private_key != NULL);
    REQUIRE("its public half is written", gh_private_key_print_public(signer.private_key, &pem));
    signer.key = gh_key_open(gh_buffer_slice(&pem), NULL);
    REQUIRE("and read", signer.key != NULL);
    return signer;
}

static void signer_close(struct signer *signer)
{
    gh_private_key_close(signer->private_key);
    gh_key_close(signer->key);
}

/* A token of JSON texts as they are, signed. */
static struct gh_slice sign(const struct signer *signer, const char *header, const char *payload,
                            struct gh_buffer *out)
{
    uint8_t signature[GH_KEY_SIGNATURE_MAX];
    size_t size;
    gh_buffer_clear(out);
    REQUIRE("begun", gh_jose_begin_raw(out, gh_slice_text(header), gh_slice_text(payload)));
    REQUIRE("signed",
            gh_private_key_sign(signer->private_key, gh_buffer_slice(out), signature, &size));
    REQUIRE("finished", gh_jose_finish(out, gh_slice(signature, size)));
    return gh_buffer_slice(out);
}

static enum gh_jwt_verdict verify(struct gh_slice token, const struct gh_key *key,
                                  const struct gh_jwt_policy *base, struct gh_jwt_outcome *out)
{
    struct gh_jwt_policy policy = *base;
    struct gh_arena arena;
    if (policy.audience.size == 0)
        policy.audience = GH_SLICE("demo");
    gh_arena_init(&arena, ARENA_BYTES);
    enum gh_jwt_verdict verdict =
        gh_jwt_verify(token, &key, key == NULL ? 0 : 1, &policy, NOW, &arena, out);
    CHECK("the verdict is in the outcome", out->verdict == verdict);
    CHECK("every verdict says something", out->detail[0] != '\0');
    gh_arena_deinit(&arena);
    return verdict;
}

#define ES256 "{\"alg\":\"ES256\",\"typ\":\"JWT\"}"
#define BODY(rest) "{\"aud\":\"demo\",\"iat\":1700000000,\"exp\":1700003600" rest "}"
#define TIMES(iat, exp) "{\"aud\":\"demo\",\"iat\":" iat ",\"exp\":" exp "}"

/* All signed by the registered P-256 key. NOW is 1 700 000 000; skew 600 s; 24 h at most. */
static const struct {
    const char *claim, *header, *payload;
    enum gh_jwt_verdict native, google;
} cases[] = {
    {"plain", ES256, BODY(""), GH_JWT_ACCEPTED, GH_JWT_ACCEPTED},
    {"no typ", "{\"alg\":\"ES256\"}", BODY(""), GH_JWT_ACCEPTED, GH_JWT_ACCEPTED},
    {"typ in small letters", "{\"alg\":\"ES256\",\"typ\":\"jwt\"}", BODY(""), GH_JWT_ACCEPTED,
     GH_JWT_ACCEPTED},
    {"typ of an access token", "{\"alg\":\"ES256\",\"typ\":\"at+jwt\"}", BODY(""), GH_JWT_HEADER,
     GH_JWT_ACCEPTED},
    {"typ is a number", "{\"alg\":\"ES256\",\"typ\":1}", BODY(""), GH_JWT_HEADER, GH_JWT_ACCEPTED},
    {"kid is a number", "{\"alg\":\"ES256\",\"kid\":1}", BODY(""), GH_JWT_HEADER, GH_JWT_ACCEPTED},
    {"kid is a path", "{\"alg\":\"ES256\",\"kid\":\"../../x\"}", BODY(""), GH_JWT_ACCEPTED,
     GH_JWT_ACCEPTED},
    {"crit", "{\"alg\":\"ES256\",\"crit\":[\"x\"],\"x\":1}", BODY(""), GH_JWT_HEADER,
     GH_JWT_HEADER},
    {"alg none", "{\"alg\":\"none\"}", BODY(""), GH_JWT_ALGORITHM, GH_JWT_ALGORITHM},
    {"alg in small letters", "{\"alg\":\"es256\"}", BODY(""), GH_JWT_ALGORITHM, GH_JWT_ALGORITHM},
    {"alg of the other kind", "{\"alg\":\"RS256\"}", BODY(""), GH_JWT_ALGORITHM, GH_JWT_ALGORITHM},
    {"alg ES384", "{\"alg\":\"ES384\"}", BODY(""), GH_JWT_ALGORITHM, GH_JWT_ALGORITHM},
    {"alg HS256", "{\"alg\":\"HS256\"}", BODY(""), GH_JWT_ALGORITHM, GH_JWT_ALGORITHM},
    {"alg with a blank", "{\"alg\":\"ES256 \"}", BODY(""), GH_JWT_ALGORITHM, GH_JWT_ALGORITHM},
    {"no alg", "{}", BODY(""), GH_JWT_ALGORITHM, GH_JWT_ALGORITHM},
    {"payload is no object", ES256, "[]", GH_JWT_MALFORMED, GH_JWT_MALFORMED},
    {"payload is empty", ES256, "", GH_JWT_MALFORMED, GH_JWT_MALFORMED},
    {"exp twice", ES256, "{\"aud\":\"demo\",\"iat\":1700000000,\"exp\":1,\"exp\":1700000060}",
     GH_JWT_MALFORMED, GH_JWT_MALFORMED},
    {"another audience", ES256, "{\"aud\":\"demo2\",\"iat\":1700000000,\"exp\":1700003600}",
     GH_JWT_AUDIENCE, GH_JWT_AUDIENCE},
    {"the beginning of the audience", ES256,
     "{\"aud\":\"dem\",\"iat\":1700000000,\"exp\":1700003600}", GH_JWT_AUDIENCE, GH_JWT_AUDIENCE},
    {"audience in capitals", ES256, "{\"aud\":\"Demo\",\"iat\":1700000000,\"exp\":1700003600}",
     GH_JWT_AUDIENCE, GH_JWT_AUDIENCE},
    {"an array with the audience", ES256,
     "{\"aud\":[\"x\",\"demo\"],\"iat\":1700000000,\"exp\":1700003600}", GH_JWT_ACCEPTED,
     GH_JWT_AUDIENCE},
    {"an empty array", ES256, "{\"aud\":[],\"iat\":1700000000,\"exp\":1700003600}", GH_JWT_AUDIENCE,
     GH_JWT_AUDIENCE},
    {"audience is a number", ES256, "{\"aud\":1,\"iat\":1700000000,\"exp\":1700003600}",
     GH_JWT_AUDIENCE, GH_JWT_AUDIENCE},
    {"no audience", ES256, "{\"iat\":1700000000,\"exp\":1700003600}", GH_JWT_AUDIENCE,
     GH_JWT_AUDIENCE},
    {"no iat", ES256, "{\"aud\":\"demo\",\"exp\":1700003600}", GH_JWT_CLAIMS, GH_JWT_CLAIMS},
    {"no exp", ES256, "{\"aud\":\"demo\",\"iat\":1700000000}", GH_JWT_CLAIMS, GH_JWT_CLAIMS},
    {"iat is text", ES256, TIMES("\"1700000000\"", "1700003600"), GH_JWT_CLAIMS, GH_JWT_CLAIMS},
    {"exp is true", ES256, TIMES("1700000000", "true"), GH_JWT_CLAIMS, GH_JWT_CLAIMS},
    {"exp has a fraction", ES256, TIMES("1700000000", "1700003600.5"), GH_JWT_ACCEPTED,
     GH_JWT_ACCEPTED},
    {"expired 599 s ago", ES256, TIMES("1699999000", "1699999401"), GH_JWT_ACCEPTED,
     GH_JWT_ACCEPTED},
    {"expired 600 s ago: inside for Google only", ES256, TIMES("1699999000", "1699999400"),
     GH_JWT_EXPIRED, GH_JWT_ACCEPTED},
    {"expired 601 s ago", ES256, TIMES("1699999000", "1699999399"), GH_JWT_EXPIRED, GH_JWT_EXPIRED},
    {"issued 600 s ahead", ES256, TIMES("1700000600", "1700003600"), GH_JWT_ACCEPTED,
     GH_JWT_ACCEPTED},
    {"issued 601 s ahead", ES256, TIMES("1700000601", "1700003600"), GH_JWT_NOT_YET_VALID,
     GH_JWT_NOT_YET_VALID},
    {"lives 24 h", ES256, TIMES("1700000000", "1700086400"), GH_JWT_ACCEPTED, GH_JWT_ACCEPTED},
    {"lives 24 h and 1 s", ES256, TIMES("1700000000", "1700086401"), GH_JWT_LIFETIME,
     GH_JWT_ACCEPTED},
    {"lives 24 h and the skew", ES256, TIMES("1700000000", "1700087000"), GH_JWT_LIFETIME,
     GH_JWT_ACCEPTED},
    {"lives a second longer", ES256, TIMES("1700000000", "1700087001"), GH_JWT_LIFETIME,
     GH_JWT_LIFETIME},
    {"lives not at all", ES256, TIMES("1700000000", "1700000000"), GH_JWT_LIFETIME,
     GH_JWT_ACCEPTED},
    {"ends before it begins", ES256, TIMES("1700000000", "1699999999"), GH_JWT_LIFETIME,
     GH_JWT_LIFETIME},
    {"nbf in the past", ES256, BODY(",\"nbf\":1"), GH_JWT_ACCEPTED, GH_JWT_ACCEPTED},
    {"nbf 600 s ahead", ES256, BODY(",\"nbf\":1700000600"), GH_JWT_ACCEPTED, GH_JWT_ACCEPTED},
    {"nbf 601 s ahead", ES256, BODY(",\"nbf\":1700000601"), GH_JWT_NOT_YET_VALID, GH_JWT_ACCEPTED},
    {"nbf is text", ES256, BODY(",\"nbf\":\"0\""), GH_JWT_CLAIMS, GH_JWT_ACCEPTED},
    {"sub is a number", ES256, BODY(",\"sub\":1"), GH_JWT_CLAIMS, GH_JWT_ACCEPTED},
    {"claims nobody knows", ES256, BODY(",\"x\":{\"y\":[1]}"), GH_JWT_ACCEPTED, GH_JWT_ACCEPTED},
};

static void judge_cases(const struct signer *device)
{
    struct gh_jwt_outcome outcome;
    struct gh_buffer block;

    gh_buffer_init(&block, TOKEN_MAX);
    for (size_t i = 0; i < GH_COUNT(cases); i++) {
        struct gh_slice token = sign(device, cases[i].header, cases[i].payload, &block);
        enum gh_jwt_verdict native = verify(token, device->key, &gh_jwt_native, &outcome);
        enum gh_jwt_verdict google = verify(token, device->key, &gh_jwt_google, &outcome);
        if (!CHECK(cases[i].claim, native == cases[i].native) ||
            !CHECK(cases[i].claim, google == cases[i].google))
            fprintf(stderr, "  native %s, google %s\n", gh_jwt_verdict_name(native),
                    gh_jwt_verdict_name(google));
    }
    gh_buffer_deinit(&block);
}

/* Nothing of a payload counts before its signature is good, but for its form in Google's dialect.
 */
static void signature_first(const struct signer *device, const struct signer *stranger)
{
    struct gh_jwt_outcome outcome;
    struct gh_buffer block;

    gh_buffer_init(&block, TOKEN_MAX);
    struct gh_slice token = sign(stranger, ES256, TIMES("1", "2"), &block);
    CHECK("signed by a stranger",
          verify(token, device->key, &gh_jwt_native, &outcome) == GH_JWT_SIGNATURE);
    CHECK("the detail counts the credentials",
          strcmp(outcome.detail, "signed by none of its credentials (1)") == 0);
    CHECK("no key at all", verify(token, NULL, &gh_jwt_native, &outcome) == GH_JWT_SIGNATURE);
    token = sign(stranger, ES256, "x", &block);
    CHECK("a stranger's payload is not read",
          verify(token, device->key, &gh_jwt_native, &outcome) == GH_JWT_SIGNATURE);
    CHECK("but for its form where CONNACK 4 needs it",
          verify(token, device->key, &gh_jwt_google, &outcome) == GH_JWT_MALFORMED);
    gh_buffer_deinit(&block);
}

/* Every byte of a token counts: flipped or cut, it is no longer accepted. */
static void every_byte(const struct signer *signer)
{
    struct gh_jose_issue issue = {.audience = GH_SLICE("demo"),
                                  .subject = GH_SLICE("d1"),
                                  .issuer = GH_SLICE("d1"),
                                  .issued_at_s = NOW,
                                  .expires_at_s = NOW + 3600};
    struct gh_jwt_outcome outcome;
    struct gh_buffer token;

    gh_buffer_init(&token, TOKEN_MAX);
    REQUIRE("signed", gh_jwt_sign(signer->private_key, &issue, &token));
    CHECK("accepted", verify(gh_buffer_slice(&token), signer->key, &gh_jwt_native, &outcome) ==
                          GH_JWT_ACCEPTED);
    CHECK("times come out", outcome.issued_at_s == NOW && outcome.expires_at_s == NOW + 3600);
    CHECK("and when the connection ends", outcome.valid_until_s == NOW + 3600 + 600);
    for (size_t i = 0; i < token.size; i++) {
        uint8_t kept = token.data[i];
        CHECK("a token cut short", verify(gh_slice(token.data, i), signer->key, &gh_jwt_google,
                                          &outcome) != GH_JWT_ACCEPTED);
        for (const char *other = "AQgw_.\x80"; *other != '\0'; other++) {
            if (kept == (uint8_t)*other)
                continue;
            token.data[i] = (uint8_t)*other;
            CHECK("a byte changed", verify(gh_buffer_slice(&token), signer->key, &gh_jwt_native,
                                           &outcome) != GH_JWT_ACCEPTED);
        }
        token.data[i] = kept;
    }
    gh_buffer_deinit(&token);
}

static void details(const struct signer *device)
{
    static const struct {
        const char *payload, *detail;
    } rows[] = {
        {TIMES("1699990000", "1699999288"),
         "token expired 712 s ago, server clock 2023-11-14T22:13:20.000Z"},
        {TIMES("1700001000", "1700003600"),
         "token was issued 1000 s in the future, server clock 2023-11-14T22:13:20.000Z"},
        {TIMES("1700000000", "1700100000"), "lives for 100000 s, at most 86400 s are allowed"},
        {"{\"aud\":\"other\",\"iat\":1700000000,\"exp\":1700003600}",
         "aud is \"other\", expected \"demo\""},
        {"{\"aud\":\"\\u00e4\\n\",\"iat\":1700000000,\"exp\":1700003600}",
         "aud is \"\?\?\?\", expected \"demo\""},
        {TIMES("1700000000", "null"), "exp has a type or value that is not allowed"},
        {"{\"aud\":\"demo\",\"exp\":1700003600}", "iat is missing"},
    };
    struct gh_jwt_outcome outcome;
    struct gh_buffer block;

    gh_buffer_init(&block, TOKEN_MAX);
    for (size_t i = 0; i < GH_COUNT(rows); i++) {
        CHECK(rows[i].detail, verify(sign(device, ES256, rows[i].payload, &block), device->key,
                                     &gh_jwt_native, &outcome) != GH_JWT_ACCEPTED);
        if (!CHECK(rows[i].detail, strcmp(outcome.detail, rows[i].detail) == 0))
            fprintf(stderr, "  %s\n", outcome.detail);
    }
    gh_buffer_deinit(&block);
}

static void subjects(const struct signer *device)
{
    struct gh_jwt_policy policy = gh_jwt_native;
    struct gh_jwt_outcome outcome;
    struct gh_buffer block;

    gh_buffer_init(&block, TOKEN_MAX);
    policy.subject = GH_SLICE("d1");
    CHECK("the right subject", verify(sign(device, ES256, BODY(",\"sub\":\"d1\""), &block),
                                      device->key, &policy, &outcome) == GH_JWT_ACCEPTED);
    CHECK("another one", verify(sign(device, ES256, BODY(",\"sub\":\"d2\""), &block), device->key,
                                &policy, &outcome) == GH_JWT_SUBJECT);
    CHECK("none", verify(sign(device, ES256, BODY(""), &block), device->key, &policy, &outcome) ==
                      GH_JWT_CLAIMS);
    policy = gh_jwt_native;
    policy.audience = GH_SLICE("");
    struct gh_arena arena;
    gh_arena_init(&arena, ARENA_BYTES);
    struct gh_slice empty =
        sign(device, ES256, "{\"aud\":\"\",\"iat\":1700000000,\"exp\":1700003600}", &block);
    const struct gh_key *key = device->key;
    CHECK("an empty audience is nobody's",
          gh_jwt_verify(empty, &key, 1, &policy, NOW, &arena, &outcome) == GH_JWT_AUDIENCE);
    gh_arena_deinit(&arena);
    gh_arena_init(&arena, 64);
    CHECK("without memory nothing is decided",
          gh_jwt_verify(empty, &key, 1, &policy, NOW, &arena, &outcome) == GH_JWT_MEMORY);
    gh_arena_deinit(&arena);
    gh_buffer_deinit(&block);
}

/* Three credentials of both kinds: the one that signed is named. */
static void several_keys(const struct signer *one, const struct signer *two,
                         const struct signer *rsa)
{
    const struct gh_key *keys[] = {one->key, rsa->key, two->key};
    struct gh_jwt_policy policy = gh_jwt_native;
    struct gh_jwt_outcome outcome;
    struct gh_buffer block;
    struct gh_arena arena;

    policy.audience = GH_SLICE("demo");
    gh_buffer_init(&block, TOKEN_MAX);
    gh_arena_init(&arena, ARENA_BYTES);
    CHECK("the last key", gh_jwt_verify(sign(two, ES256, BODY(""), &block), keys, 3, &policy, NOW,
                                        &arena, &outcome) == GH_JWT_ACCEPTED &&
                              outcome.key == 2);
    CHECK("the RSA key", gh_jwt_verify(sign(rsa, "{\"alg\":\"RS256\"}", BODY(""), &block), keys, 3,
                                       &policy, NOW, &arena, &outcome) == GH_JWT_ACCEPTED &&
                             outcome.key == 1);
    CHECK("an RSA signature under alg ES256",
          gh_jwt_verify(sign(rsa, ES256, BODY(""), &block), keys, 3, &policy, NOW, &arena,
                        &outcome) == GH_JWT_SIGNATURE);
    gh_arena_deinit(&arena);
    gh_buffer_deinit(&block);
}

int main(void)
{
    struct signer device = signer_open(GH_KEY_P256), other = signer_open(GH_KEY_P256);
    struct signer rsa = signer_open(GH_KEY_RSA);

    judge_cases(&device);
    signature_first(&device, &other);
    every_byte(&device);
    every_byte(&rsa);
    details(&device);
    subjects(&device);
    several_keys(&device, &other, &rsa);
    signer_close(&device);
    signer_close(&other);
    signer_close(&rsa);
    return check_report();
}
