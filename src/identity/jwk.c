#include "identity/jwk.h"
#include "wire/base64.h"
#include "wire/json.h"
#include <assert.h>

enum { NUMBER_TEXT_MAX = (GH_KEY_RSA_BITS_MAX / 8 + 2) / 3 * 4, CANONICAL_MAX = 1024 };

/* Both numbers in base64url. */
struct numbers {
    uint8_t first[NUMBER_TEXT_MAX], second[NUMBER_TEXT_MAX];
    struct gh_slice texts[2];
};

static struct gh_slice encode(const uint8_t *number, size_t size, uint8_t out[NUMBER_TEXT_MAX])
{
    struct gh_buffer text = gh_buffer_fixed(out, NUMBER_TEXT_MAX);
    bool fits = gh_base64_encode(gh_slice(number, size), GH_BASE64_URL_NOPAD, &text);
    assert(fits);
    return gh_buffer_slice(&text);
}

static bool read_numbers(const struct gh_key *key, struct numbers *out)
{
    struct gh_key_numbers numbers;
    if (!gh_key_numbers(key, &numbers))
        return false;
    out->texts[0] = encode(numbers.first, numbers.first_size, out->first);
    out->texts[1] = encode(numbers.second, numbers.second_size, out->second);
    return true;
}

/* The members that RFC 7638 §3.2 asks for, in the order of their names. */
bool gh_jwk_thumbprint(const struct gh_key *key, char out[GH_JWK_THUMBPRINT_MAX])
{
    uint8_t block[CANONICAL_MAX], digest[GH_SHA256_BYTES];
    struct gh_buffer canonical = gh_buffer_fixed(block, sizeof block);
    struct gh_buffer text = gh_buffer_fixed(out, GH_JWK_THUMBPRINT_MAX);
    struct numbers numbers;
    if (!read_numbers(key, &numbers))
        return false;
    if (gh_key_kind(key) == GH_KEY_P256)
        gh_buffer_print(&canonical,
                        "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%.*s\",\"y\":\"%.*s\"}",
                        GH_PRINT(numbers.texts[0]), GH_PRINT(numbers.texts[1]));
    else
        gh_buffer_print(&canonical, "{\"e\":\"%.*s\",\"kty\":\"RSA\",\"n\":\"%.*s\"}",
                        GH_PRINT(numbers.texts[1]), GH_PRINT(numbers.texts[0]));
    assert(!canonical.overflow);
    gh_sha256(gh_buffer_slice(&canonical), digest);
    return gh_base64_encode(gh_slice(digest, sizeof digest), GH_BASE64_URL_NOPAD, &text) &&
           gh_buffer_u8(&text, '\0');
}

json_t *gh_jwk_new(const struct gh_key *key)
{
    char kid[GH_JWK_THUMBPRINT_MAX];
    struct numbers numbers;
    bool is_curve = gh_key_kind(key) == GH_KEY_P256;
    if (!gh_jwk_thumbprint(key, kid) || !read_numbers(key, &numbers))
        return NULL;
    json_t *jwk = json_pack("{s:s, s:o, s:o, s:s, s:o, s:s}", "kty", is_curve ? "EC" : "RSA",
                            is_curve ? "x" : "n", gh_json_new_text(numbers.texts[0]),
                            is_curve ? "y" : "e", gh_json_new_text(numbers.texts[1]), "use", "sig",
                            "alg", gh_json_new_text(gh_key_algorithm(key)), "kid", kid);
    if (jwk != NULL && is_curve)
        json_object_set_new(jwk, "crv", json_string("P-256"));
    return jwk;
}
