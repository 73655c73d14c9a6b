#include "tests/check.h"
#include "wire/base64.h"
#include "wire/jose.h"
#include <string.h>

enum { ARENA_BYTES = 1 << 20 };

/* Builds header.payload.signature out of JSON texts; the signature is three bytes of nothing. */
static struct gh_slice token_of(struct gh_buffer *out, const char *header, const char *payload)
{
    gh_buffer_clear(out);
    REQUIRE("a token is begun",
            gh_jose_begin_raw(out, gh_slice_text(header), gh_slice_text(payload)));
    REQUIRE("and finished", gh_jose_finish(out, GH_SLICE("sig")));
    return gh_buffer_slice(out);
}

/* RFC 7515 §4, RFC 8725 §2 and §3; the payload plays no part here. */
static const struct {
    const char *claim, *header;
    enum gh_jose_status status;
    const char *algorithm;
} headers[] = {
    {"alg alone", "{\"alg\":\"ES256\"}", GH_JOSE_OK, "ES256"},
    {"white space inside", " { \"alg\" : \"ES256\" }\n", GH_JOSE_OK, "ES256"},
    {"unknown members", "{\"alg\":\"ES256\",\"jku\":\"http://x/\",\"zip\":\"DEF\"}", GH_JOSE_OK,
     "ES256"},
    {"no alg", "{}", GH_JOSE_OK, ""},
    {"alg is null", "{\"alg\":null}", GH_JOSE_OK, ""},
    {"alg is an array", "{\"alg\":[\"ES256\"]}", GH_JOSE_OK, ""},
    {"b64 true changes nothing", "{\"alg\":\"ES256\",\"b64\":true}", GH_JOSE_OK, "ES256"},
    {"eight levels", "{\"alg\":\"ES256\",\"x\":[[[[[[[]]]]]]]}", GH_JOSE_OK, "ES256"},
    {"nine levels", "{\"alg\":\"ES256\",\"x\":[[[[[[[[]]]]]]]]}", GH_JOSE_HEADER, NULL},
    {"nine levels of objects", "{\"x\":{\"x\":{\"x\":{\"x\":{\"x\":{\"x\":{\"x\":{\"x\":{}}}}}}}}}",
     GH_JOSE_HEADER, NULL},
    {"alg twice", "{\"alg\":\"none\",\"alg\":\"ES256\"}", GH_JOSE_HEADER, NULL},
    {"twice under an escape", "{\"alg\":\"none\",\"\\u0061lg\":\"ES256\"}", GH_JOSE_HEADER, NULL},
    {"a member twice, deep inside", "{\"alg\":\"ES256\",\"x\":{\"a\":1,\"a\":2}}", GH_JOSE_HEADER,
     NULL},
    {"something after the object", "{\"alg\":\"ES256\"}x", GH_JOSE_HEADER, NULL},
    {"two objects", "{\"alg\":\"ES256\"}{}", GH_JOSE_HEADER, NULL},
    {"an array", "[\"ES256\"]", GH_JOSE_HEADER, NULL},
    {"a string", "\"ES256\"", GH_JOSE_HEADER, NULL},
    {"nothing", "", GH_JOSE_HEADER, NULL},
    {"bytes that are not UTF-8", "{\"alg\":\"ES256\",\"x\":\"\xff\"}", GH_JOSE_HEADER, NULL},
    {"a byte order mark", "\xef\xbb\xbf{\"alg\":\"ES256\"}", GH_JOSE_HEADER, NULL},
    {"single quotes", "{'alg':'ES256'}", GH_JOSE_HEADER, NULL},
    {"crit", "{\"alg\":\"ES256\",\"crit\":[\"exp\"],\"exp\":1}", GH_JOSE_CRITICAL, NULL},
    {"an empty crit", "{\"alg\":\"ES256\",\"crit\":[]}", GH_JOSE_CRITICAL, NULL},
    {"crit is null", "{\"alg\":\"ES256\",\"crit\":null}", GH_JOSE_CRITICAL, NULL},
    {"b64 false", "{\"alg\":\"ES256\",\"b64\":false}", GH_JOSE_CRITICAL, NULL},
    {"b64 false, critical", "{\"alg\":\"ES256\",\"b64\":false,\"crit\":[\"b64\"]}",
     GH_JOSE_CRITICAL, NULL},
};

static void read_headers(struct gh_arena *arena, struct gh_buffer *block)
{
    for (size_t i = 0; i < GH_COUNT(headers); i++) {
        struct gh_jose jose = {0};
        struct gh_slice token = token_of(block, headers[i].header, "{}");
        CHECK(headers[i].claim, gh_jose_read(token, false, arena, &jose) == headers[i].status);
        if (headers[i].status == GH_JOSE_OK)
            CHECK(headers[i].claim,
                  gh_slice_equal(jose.algorithm, gh_slice_text(headers[i].algorithm)));
        gh_arena_reset(arena);
    }
}

/* `{"alg":"ES256"}` is eyJhbGciOiJFUzI1NiJ9, `{}` is e30, "sig" is c2ln. */
#define HEADER "eyJhbGciOiJFUzI1NiJ9"
static const struct {
    const char *claim, *token;
    enum gh_jose_status strict, lenient;
} forms[] = {
    {"three parts", HEADER ".e30.c2ln", GH_JOSE_OK, GH_JOSE_OK},
    {"an empty signature", HEADER ".e30.", GH_JOSE_OK, GH_JOSE_OK},
    {"an empty payload", HEADER "..c2ln", GH_JOSE_OK, GH_JOSE_OK},
    {"an empty header", ".e30.c2ln", GH_JOSE_HEADER, GH_JOSE_HEADER},
    {"nothing", "", GH_JOSE_PARTS, GH_JOSE_PARTS},
    {"no dot", HEADER, GH_JOSE_PARTS, GH_JOSE_PARTS},
    {"one dot", HEADER ".e30", GH_JOSE_PARTS, GH_JOSE_PARTS},
    {"four parts", HEADER ".e30.c2ln.c2ln", GH_JOSE_PARTS, GH_JOSE_PARTS},
    {"five parts, a JWE", HEADER ".e30.c2ln.c2ln.c2ln", GH_JOSE_PARTS, GH_JOSE_PARTS},
    {"a dot at the end", HEADER ".e30.c2ln.", GH_JOSE_PARTS, GH_JOSE_PARTS},
    {"JSON serialisation", "{\"payload\":\"e30\"}", GH_JOSE_PARTS, GH_JOSE_PARTS},
    {"padding", HEADER ".e30=.c2ln", GH_JOSE_BASE64, GH_JOSE_OK},
    {"padding that is too much", HEADER ".e30==.c2ln", GH_JOSE_BASE64, GH_JOSE_BASE64},
    {"standard alphabet", HEADER ".e30.//++", GH_JOSE_BASE64, GH_JOSE_OK},
    {"URL alphabet", HEADER ".e30.__--", GH_JOSE_OK, GH_JOSE_OK},
    {"a length of 1 modulo 4", HEADER ".e30.c2lnc", GH_JOSE_BASE64, GH_JOSE_BASE64},
    {"spare bits that are set", HEADER ".e30.c2l", GH_JOSE_BASE64, GH_JOSE_OK},
    {"a space in front", " " HEADER ".e30.c2ln", GH_JOSE_BASE64, GH_JOSE_BASE64},
    {"a newline at the end", HEADER ".e30.c2ln\n", GH_JOSE_BASE64, GH_JOSE_BASE64},
    {"a newline inside", HEADER ".e3\n0.c2ln", GH_JOSE_BASE64, GH_JOSE_BASE64},
    {"a percent sign", HEADER ".e30.c2%n", GH_JOSE_BASE64, GH_JOSE_BASE64},
};

static void read_forms(struct gh_arena *arena)
{
    struct gh_jose jose;
    for (size_t i = 0; i < GH_COUNT(forms); i++) {
        struct gh_slice token = gh_slice_text(forms[i].token);
        CHECK(forms[i].claim, gh_jose_read(token, false, arena, &jose) == forms[i].strict);
        CHECK(forms[i].claim, gh_jose_read(token, true, arena, &jose) == forms[i].lenient);
        gh_arena_reset(arena);
    }
    struct gh_slice with_nul = gh_slice(HEADER ".e30.c2\0n", sizeof HEADER - 1 + 9);
    CHECK("a NUL", gh_jose_read(with_nul, true, arena, &jose) == GH_JOSE_BASE64);
    struct gh_slice good = GH_SLICE(HEADER ".e30.c2ln");
    REQUIRE("a good token", gh_jose_read(good, false, arena, &jose) == GH_JOSE_OK);
    CHECK("the signing input is the text as received",
          gh_slice_equal(jose.signing_input, GH_SLICE(HEADER ".e30")));
    CHECK("the payload is decoded", gh_slice_equal(jose.payload, GH_SLICE("{}")));
    CHECK("the signature is decoded", gh_slice_equal(jose.signature, GH_SLICE("sig")));
    for (size_t cut = 0; cut < sizeof HEADER + 4; cut++)
        CHECK("a token cut before its second dot is none",
              gh_jose_read(gh_slice(good.data, cut), false, arena, &jose) == GH_JOSE_PARTS);
}

static void read_sizes(struct gh_arena *arena)
{
    static char text[GH_JOSE_TOKEN_MAX + 2];
    struct gh_jose jose;

    memset(text, 'A', sizeof text);
    memcpy(text, HEADER ".e30.", sizeof HEADER + 4);
    CHECK("a token of exactly 16 KiB is read",
          gh_jose_read(gh_slice(text, GH_JOSE_TOKEN_MAX), false, arena, &jose) !=
              GH_JOSE_TOO_LARGE);
    CHECK("one byte more is not", gh_jose_read(gh_slice(text, GH_JOSE_TOKEN_MAX + 1), false, arena,
                                               &jose) == GH_JOSE_TOO_LARGE);
    memset(text, 'A', sizeof text);
    memcpy(text + GH_JOSE_HEADER_MAX + 1, ".e30.c2ln", 9);
    CHECK("a header over 4 KiB is not decoded",
          gh_jose_read(gh_slice(text, GH_JOSE_HEADER_MAX + 10), false, arena, &jose) ==
              GH_JOSE_TOO_LARGE);
    struct gh_arena tiny;
    gh_arena_init(&tiny, 8);
    CHECK("a full arena is said",
          gh_jose_read(GH_SLICE(HEADER ".e30.c2ln"), false, &tiny, &jose) == GH_JOSE_MEMORY);
    gh_arena_deinit(&tiny);
}

static void read_names(struct gh_arena *arena, struct gh_buffer *block)
{
    char header[256];
    struct gh_jose jose;

    memcpy(header, "{\"kid\":\"", 8);
    memset(header + 8, 'k', 129);
    memcpy(header + 8 + 129, "\"}", 3);
    REQUIRE("read", gh_jose_read(token_of(block, header, "{}"), false, arena, &jose) == GH_JOSE_OK);
    CHECK("a kid of 129 bytes is refused", jose.kid_refused && jose.kid.size == 0);
    memcpy(header + 8 + 128, "\"}", 3);
    REQUIRE("read", gh_jose_read(token_of(block, header, "{}"), false, arena, &jose) == GH_JOSE_OK);
    CHECK("a kid of 128 bytes is not", !jose.kid_refused && jose.kid.size == 128);
    REQUIRE("read", gh_jose_read(token_of(block, "{\"kid\":7,\"typ\":[]}", "{}"), false, arena,
                                 &jose) == GH_JOSE_OK);
    CHECK("a kid and a typ that are no text are refused", jose.kid_refused && jose.type_refused);
}

/* RFC 7519 §2 and §4.1.4: numbers, in 0..2^53, a fraction is cut off. */
static const struct {
    const char *claim, *value;
    enum gh_jose_member is;
    int64_t s;
} times[] = {
    {"a whole number", "1700000000", GH_JOSE_PRESENT, 1700000000},
    {"a fraction", "1700000000.9", GH_JOSE_PRESENT, 1700000000},
    {"an exponent", "1.7e9", GH_JOSE_PRESENT, 1700000000},
    {"zero", "0", GH_JOSE_PRESENT, 0},
    {"2^53", "9007199254740992", GH_JOSE_PRESENT, INT64_C(9007199254740992)},
    {"2^53 + 1", "9007199254740993", GH_JOSE_REFUSED, 0},
    {"2^53 + 2 as a real", "9007199254740994.0", GH_JOSE_REFUSED, 0},
    {"1e300", "1e300", GH_JOSE_REFUSED, 0},
    {"negative", "-1", GH_JOSE_REFUSED, 0},
    {"a negative fraction", "-0.5", GH_JOSE_REFUSED, 0},
    {"text", "\"1700000000\"", GH_JOSE_REFUSED, 0},
    {"null", "null", GH_JOSE_REFUSED, 0},
    {"true", "true", GH_JOSE_REFUSED, 0},
    {"an array", "[1700000000]", GH_JOSE_REFUSED, 0},
    {"an object", "{}", GH_JOSE_REFUSED, 0},
};

static void read_times(struct gh_arena *arena)
{
    struct gh_jose_claims claims;
    for (size_t i = 0; i < GH_COUNT(times); i++) {
        char *payload = gh_arena_print(arena, "{\"exp\":%s}", times[i].value);
        REQUIRE(times[i].claim,
                gh_jose_claims(gh_slice_text(payload), arena, &claims) == GH_JOSE_OK);
        CHECK(times[i].claim, claims.expires_at.is == times[i].is);
        CHECK(times[i].claim, claims.expires_at.s == times[i].s);
        CHECK("what is not there is absent", claims.issued_at.is == GH_JOSE_ABSENT);
        gh_arena_reset(arena);
    }
}

static const struct {
    const char *claim, *payload;
    enum gh_jose_status status;
    enum gh_jose_member audience;
    size_t count;
} payloads[] = {
    {"no audience", "{}", GH_JOSE_OK, GH_JOSE_ABSENT, 0},
    {"one text", "{\"aud\":\"a\"}", GH_JOSE_OK, GH_JOSE_PRESENT, 1},
    {"an array", "{\"aud\":[\"a\",\"b\"]}", GH_JOSE_OK, GH_JOSE_PRESENT, 2},
    {"an empty array", "{\"aud\":[]}", GH_JOSE_OK, GH_JOSE_PRESENT, 0},
    {"an array with a number", "{\"aud\":[\"a\",1]}", GH_JOSE_OK, GH_JOSE_REFUSED, 0},
    {"a number", "{\"aud\":1}", GH_JOSE_OK, GH_JOSE_REFUSED, 0},
    {"null", "{\"aud\":null}", GH_JOSE_OK, GH_JOSE_REFUSED, 0},
    {"a claim twice", "{\"exp\":1,\"exp\":2}", GH_JOSE_CLAIMS, GH_JOSE_ABSENT, 0},
    {"not an object", "[]", GH_JOSE_CLAIMS, GH_JOSE_ABSENT, 0},
    {"nothing", "", GH_JOSE_CLAIMS, GH_JOSE_ABSENT, 0},
    {"NaN", "{\"exp\":NaN}", GH_JOSE_CLAIMS, GH_JOSE_ABSENT, 0},
    {"a number over any range", "{\"exp\":1e400}", GH_JOSE_CLAIMS, GH_JOSE_ABSENT, 0},
    {"a number with a leading zero", "{\"exp\":01}", GH_JOSE_CLAIMS, GH_JOSE_ABSENT, 0},
    {"a comment", "{}//", GH_JOSE_CLAIMS, GH_JOSE_ABSENT, 0},
};

static void read_payloads(struct gh_arena *arena)
{
    struct gh_jose_claims claims;
    for (size_t i = 0; i < GH_COUNT(payloads); i++) {
        struct gh_slice payload = gh_slice_text(payloads[i].payload);
        CHECK(payloads[i].claim, gh_jose_claims(payload, arena, &claims) == payloads[i].status);
        CHECK(payloads[i].claim, claims.audience == payloads[i].audience);
        CHECK(payloads[i].claim, claims.audiences_count == payloads[i].count);
        for (size_t cut = 0; cut < payload.size; cut++)
            CHECK("claims cut short are none",
                  gh_jose_claims(gh_slice(payload.data, cut), arena, &claims) == GH_JOSE_CLAIMS ||
                      payload.data[payload.size - 1] != '}');
        gh_arena_reset(arena);
    }
}

static void write_tokens(struct gh_arena *arena)
{
    struct gh_jose_issue issue = {.audience = GH_SLICE("demo"),
                                  .subject = GH_SLICE("hall-1 \"\xc3\xa4\""),
                                  .issued_at_s = 1700000000,
                                  .expires_at_s = 1700003600};
    struct gh_buffer out;
    struct gh_jose jose;
    struct gh_jose_claims claims;

    gh_buffer_init(&out, 4096);
    REQUIRE("a token is begun", gh_jose_begin(&out, GH_SLICE("ES256"), &issue));
    REQUIRE("and finished", gh_jose_finish(&out, GH_SLICE("sig")));
    REQUIRE("and read", gh_jose_read(gh_buffer_slice(&out), false, arena, &jose) == GH_JOSE_OK &&
                            gh_jose_claims(jose.payload, arena, &claims) == GH_JOSE_OK);
    CHECK("alg", gh_slice_equal(jose.algorithm, GH_SLICE("ES256")));
    CHECK("typ", gh_slice_equal(jose.type, GH_SLICE("JWT")));
    CHECK("iat and exp", claims.issued_at.s == 1700000000 && claims.expires_at.s == 1700003600);
    CHECK("aud", gh_slice_equal(claims.audiences[0], issue.audience));
    CHECK("sub", gh_slice_equal(claims.subject.text, issue.subject));
    CHECK("an empty iss is left out", claims.issuer.is == GH_JOSE_ABSENT);
    gh_buffer_clear(&out);
    issue.subject = GH_SLICE("\xff");
    CHECK("a text that is not UTF-8 is refused", !gh_jose_begin(&out, GH_SLICE("ES256"), &issue));
    struct gh_buffer small = gh_buffer_fixed(&jose, 8);
    issue.subject = GH_SLICE("x");
    CHECK("a full buffer is said", !gh_jose_begin(&small, GH_SLICE("ES256"), &issue));
    gh_buffer_deinit(&out);
}

int main(void)
{
    struct gh_arena arena;
    struct gh_buffer block;

    gh_arena_init(&arena, ARENA_BYTES);
    gh_buffer_init(&block, 4 * GH_JOSE_TOKEN_MAX);
    read_headers(&arena, &block);
    read_forms(&arena);
    read_sizes(&arena);
    read_names(&arena, &block);
    read_times(&arena);
    read_payloads(&arena);
    write_tokens(&arena);
    gh_buffer_deinit(&block);
    gh_arena_deinit(&arena);
    return check_report();
}
