/* Wycheproof's JSON (C2SP/wycheproof, testvectors_v1): groups with a type and a key, tests with a
 * result of valid, invalid or acceptable. Signatures of ES256 and RS256, HMAC-SHA-256, and compact
 * JWS are decided; every other group is unsupported. */
#include "base/secret.h"
#include "tests/vectors/vectors.h"
#include "wire/jose.h"
#include <stdio.h>
#include <string.h>

enum { BYTES_MAX = 1 << 20 };

struct gh_slice vectors_text(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_string(value) ? gh_slice(json_string_value(value), json_string_length(value))
                                 : (struct gh_slice){0};
}

static int digit(uint8_t letter)
{
    const char *digits = "0123456789abcdef";
    const char *at = letter == '\0' ? NULL : strchr(digits, letter | 0x20);
    return at == NULL ? -1 : (int)(at - digits);
}

bool vectors_hex(struct gh_slice hex, struct gh_buffer *out)
{
    for (size_t i = 0; i + 1 < hex.size; i += 2) {
        int high = digit(hex.data[i]), low = digit(hex.data[i + 1]);
        if (high < 0 || low < 0 || !gh_buffer_u8(out, (uint8_t)(high << 4 | low)))
            return false;
    }
    return hex.size % 2 == 0;
}

/* The hex members of one test, decoded. */
struct bytes {
    struct gh_buffer message, signature, key;
};

static void bytes_open(struct bytes *bytes, const json_t *test)
{
    static const char *const signatures[] = {"sig", "tag"};
    gh_buffer_init(&bytes->message, BYTES_MAX);
    gh_buffer_init(&bytes->signature, BYTES_MAX);
    gh_buffer_init(&bytes->key, BYTES_MAX);
    (void)vectors_hex(vectors_text(test, "msg"), &bytes->message);
    (void)vectors_hex(vectors_text(test, "key"), &bytes->key);
    for (size_t i = 0; i < GH_COUNT(signatures); i++)
        (void)vectors_hex(vectors_text(test, signatures[i]), &bytes->signature);
}

static void bytes_close(struct bytes *bytes)
{
    gh_buffer_deinit(&bytes->message);
    gh_buffer_deinit(&bytes->signature);
    gh_buffer_deinit(&bytes->key);
}

static enum answer answer_if(bool accepted)
{
    return accepted ? ANSWER_ACCEPT : ANSWER_REJECT;
}

typedef bool verifier(const struct gh_key *key, struct gh_slice message, struct gh_slice signature);

static enum answer verify(const json_t *group, const json_t *test, verifier *run)
{
    struct bytes bytes;
    struct gh_key *key = gh_key_open(vectors_text(group, "publicKeyPem"), NULL);

    bytes_open(&bytes, test);
    bool accepted =
        key != NULL && run(key, gh_buffer_slice(&bytes.message), gh_buffer_slice(&bytes.signature));
    bytes_close(&bytes);
    gh_key_close(key);
    return answer_if(accepted);
}

static bool is_sha256(const json_t *group)
{
    return gh_slice_equal(vectors_text(group, "sha"), GH_SLICE("SHA-256"));
}

static bool is_p256(const json_t *group)
{
    return gh_slice_equal(vectors_text(json_object_get(group, "publicKey"), "curve"),
                          GH_SLICE("secp256r1"));
}

static const char other_ecdsa[] = "another curve or digest than ES256's",
                  other_rsa[] = "another digest than RS256's";

static enum answer ecdsa_raw(const json_t *group, const json_t *test)
{
    return is_sha256(group) && is_p256(group) ? verify(group, test, gh_key_verify_es256)
                                              : vectors_unsupported(other_ecdsa);
}

static enum answer ecdsa_der(const json_t *group, const json_t *test)
{
    return is_sha256(group) && is_p256(group) ? verify(group, test, gh_key_verify_es256_der)
                                              : vectors_unsupported(other_ecdsa);
}

/* Exponents below 65537 verify fine and are refused when a key is registered (security rule 8):
 * such a group says nothing about signatures. */
static bool is_small_exponent(const json_t *group)
{
    uint8_t block[8];
    struct gh_buffer exponent = gh_buffer_fixed(block, sizeof block);
    uint64_t value = 0;

    if (!vectors_hex(vectors_text(json_object_get(group, "publicKey"), "publicExponent"),
                     &exponent))
        return false;
    for (size_t i = 0; i < exponent.size; i++)
        value = value << 8 | block[i];
    return value < 65537;
}

static enum answer rsa_verify(const json_t *group, const json_t *test)
{
    enum answer answer = is_sha256(group) ? verify(group, test, gh_key_verify_rs256)
                                          : vectors_unsupported(other_rsa);
    return answer == ANSWER_REJECT && is_small_exponent(group)
               ? vectors_unsupported("an exponent below 65537: such a key is not registered")
               : answer;
}

static enum answer rsa_sign(const json_t *group, const json_t *test)
{
    struct bytes bytes;
    uint8_t signature[GH_KEY_SIGNATURE_MAX];
    size_t size = 0;

    if (!is_sha256(group))
        return vectors_unsupported(other_rsa);
    struct gh_private_key *key = gh_private_key_open(vectors_text(group, "privateKeyPem"), NULL);
    bytes_open(&bytes, test);
    bool same = key != NULL &&
                gh_private_key_sign(key, gh_buffer_slice(&bytes.message), signature, &size) &&
                gh_slice_equal(gh_slice(signature, size), gh_buffer_slice(&bytes.signature));
    bytes_close(&bytes);
    gh_private_key_close(key);
    return answer_if(same);
}

static enum answer hmac(const json_t *group, const json_t *test)
{
    struct bytes bytes;
    uint8_t tag[GH_SHA256_BYTES];
    size_t tag_bytes = (size_t)json_integer_value(json_object_get(group, "tagSize")) / 8;

    bytes_open(&bytes, test);
    gh_hmac_sha256(gh_buffer_slice(&bytes.key), gh_buffer_slice(&bytes.message), tag);
    bool same = tag_bytes <= sizeof tag &&
                gh_secret_equal(gh_slice(tag, tag_bytes), gh_buffer_slice(&bytes.signature));
    bytes_close(&bytes);
    return answer_if(same);
}

/* The `kid` of a token's header without judging the token. */
static struct gh_slice kid_of(struct gh_slice token, struct gh_arena *arena)
{
    struct gh_jose jose;
    return gh_jose_read(token, false, arena, &jose) == GH_JOSE_OK ? jose.kid : (struct gh_slice){0};
}

static enum answer jws(const json_t *group, const json_t *test)
{
    const json_t *jwk = json_object_get(group, "public");
    struct gh_slice token = vectors_text(test, "jws");
    struct gh_jose jose;
    struct gh_arena arena;
    const char *unsupported = NULL;

    if (json_object_get(test, "jws") == NULL)
        return vectors_unsupported("JWE: tokens are signed, never encrypted");
    if (jwk == NULL)
        jwk = json_object_get(group, "private"); /* a symmetric key has no public half */
    gh_arena_init(&arena, BYTES_MAX);
    struct gh_key *key = vectors_jwk(jwk, kid_of(token, &arena), &unsupported);
    bool accepted = key != NULL && gh_jose_read(token, false, &arena, &jose) == GH_JOSE_OK &&
                    gh_slice_equal(jose.algorithm, gh_key_algorithm(key)) &&
                    gh_key_verify(key, jose.signing_input, jose.signature);
    gh_key_close(key);
    gh_arena_deinit(&arena);
    return unsupported != NULL ? vectors_unsupported(unsupported) : answer_if(accepted);
}

static const struct {
    const char *type;
    enum answer (*run)(const json_t *group, const json_t *test);
} kinds[] = {
    {"EcdsaP1363Verify", ecdsa_raw},
    {"EcdsaVerify", ecdsa_der},
    {"RsassaPkcs1Verify", rsa_verify},
    {"RsassaPkcs1Generate", rsa_sign},
    {"JsonWebSignature", jws},
    {"JsonWebKey", jws},
    {"JsonWebCrypto", jws},
};

static enum expectation expected_of(const json_t *test)
{
    struct gh_slice result = vectors_text(test, "result");
    return gh_slice_equal(result, GH_SLICE("valid"))     ? EXPECT_ACCEPT
           : gh_slice_equal(result, GH_SLICE("invalid")) ? EXPECT_REJECT
                                                         : EXPECT_EITHER;
}

static void run_group(struct set *set, const json_t *file, const json_t *group)
{
    const json_t *tests = json_object_get(group, "tests"), *test;
    struct gh_slice type = vectors_text(group, "type");
    enum answer (*run)(const json_t *group, const json_t *test) = NULL;
    size_t index;

    for (size_t i = 0; i < GH_COUNT(kinds); i++) {
        if (gh_slice_equal(type, gh_slice_text(kinds[i].type)))
            run = kinds[i].run;
    }
    if (gh_slice_equal(vectors_text(file, "algorithm"), GH_SLICE("HMACSHA256")))
        run = hmac;
    json_array_foreach(tests, index, test)
    {
        char id[32];
        (void)snprintf(id, sizeof id, "tcId %lld",
                       (long long)json_integer_value(json_object_get(test, "tcId")));
        vectors_judge(
            set, id, json_string_value(json_object_get(test, "comment")), expected_of(test),
            run == NULL ? vectors_unsupported("nothing here does this") : run(group, test));
    }
}

bool vectors_wycheproof(struct set *set, const json_t *file)
{
    const json_t *groups = json_object_get(file, "testGroups"), *group;
    size_t index;

    if (!json_is_array(groups))
        return false;
    json_array_foreach(groups, index, group)
    {
        run_group(set, file, group);
    }
    return true;
}
