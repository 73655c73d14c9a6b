/* JSON Web Keys (RFC 7517, RFC 7518 §6) as the vectors bring them, turned into the PEM that an
 * operator would register, so that the production reader of keys judges them. The server itself
 * takes no JWK. */
#include "tests/vectors/vectors.h"
#include "wire/base64.h"
#include <string.h>

enum { DER_MAX = 4096, COORDINATE_BYTES = 32 };

static bool is_text(const json_t *jwk, const char *key, struct gh_slice wanted)
{
    return gh_slice_equal(vectors_text(jwk, key), wanted);
}

static bool decode_member(const json_t *jwk, const char *key, struct gh_buffer *out)
{
    struct gh_slice text = vectors_text(jwk, key);
    return text.size > 0 && gh_base64_decode(text, GH_BASE64_STRICT_URL, out);
}

/* One DER value: tag, length in the shortest form, content. */
static void put_tlv(struct gh_buffer *out, uint8_t tag, struct gh_slice content)
{
    (void)gh_buffer_u8(out, tag);
    if (content.size >= 0x100) {
        (void)gh_buffer_u8(out, 0x82);
        (void)gh_buffer_u16(out, (uint16_t)content.size);
    } else {
        if (content.size >= 0x80)
            (void)gh_buffer_u8(out, 0x81);
        (void)gh_buffer_u8(out, (uint8_t)content.size);
    }
    (void)gh_buffer_put(out, content);
}

static void put_integer(struct gh_buffer *out, struct gh_slice number)
{
    uint8_t block[DER_MAX];
    struct gh_buffer content = gh_buffer_fixed(block, sizeof block);
    while (number.size > 1 && number.data[0] == 0)
        number = gh_slice_sub(number, 1, number.size);
    if (number.size > 0 && (number.data[0] & 0x80u) != 0)
        (void)gh_buffer_u8(&content, 0);
    (void)gh_buffer_put(&content, number);
    put_tlv(out, 0x02, gh_buffer_slice(&content));
}

static bool ec_to_der(const json_t *jwk, struct gh_buffer *der)
{
    /* SubjectPublicKeyInfo of P-256 up to the point (RFC 5480 §2). */
    static const uint8_t head[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                   0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                                   0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04};
    uint8_t block[2 * COORDINATE_BYTES + 4]; /* the decoder reserves in whole quanta */
    struct gh_buffer point = gh_buffer_fixed(block, sizeof block);

    (void)gh_buffer_put(der, gh_slice(head, sizeof head));
    return decode_member(jwk, "x", &point) && point.size == COORDINATE_BYTES &&
           decode_member(jwk, "y", &point) && point.size == 2 * COORDINATE_BYTES &&
           gh_buffer_put(der, gh_buffer_slice(&point));
}

static bool rsa_to_der(const json_t *jwk, struct gh_buffer *der)
{
    /* AlgorithmIdentifier rsaEncryption with NULL (RFC 8017 A.1). */
    static const uint8_t algorithm[] = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                        0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00};
    uint8_t blocks[5][DER_MAX];
    struct gh_buffer n = gh_buffer_fixed(blocks[0], DER_MAX),
                     e = gh_buffer_fixed(blocks[1], DER_MAX),
                     pair = gh_buffer_fixed(blocks[2], DER_MAX),
                     key = gh_buffer_fixed(blocks[3], DER_MAX),
                     info = gh_buffer_fixed(blocks[4], DER_MAX);

    if (!decode_member(jwk, "n", &n) || !decode_member(jwk, "e", &e))
        return false;
    put_integer(&pair, gh_buffer_slice(&n));
    put_integer(&pair, gh_buffer_slice(&e));
    (void)gh_buffer_u8(&key, 0); /* BIT STRING without unused bits */
    put_tlv(&key, 0x30, gh_buffer_slice(&pair));
    (void)gh_buffer_put(&info, gh_slice(algorithm, sizeof algorithm));
    put_tlv(&info, 0x03, gh_buffer_slice(&key));
    put_tlv(der, 0x30, gh_buffer_slice(&info));
    return !pair.overflow && !key.overflow && !info.overflow && !der->overflow;
}

static struct gh_key *open_der(struct gh_slice der)
{
    struct gh_buffer text, pem;
    gh_buffer_init(&text, 2 * DER_MAX);
    gh_buffer_init(&pem, GH_KEY_PEM_MAX);
    (void)gh_base64_encode(der, GH_BASE64_STANDARD, &text);
    (void)gh_buffer_print(&pem, "-----BEGIN PUBLIC KEY-----\n");
    struct gh_slice rest = gh_buffer_slice(&text);
    while (rest.size > 0) {
        (void)gh_buffer_put(&pem, gh_slice_sub(rest, 0, 64));
        (void)gh_buffer_u8(&pem, '\n');
        rest = gh_slice_sub(rest, 64, rest.size);
    }
    (void)gh_buffer_print(&pem, "-----END PUBLIC KEY-----\n");
    struct gh_key *key = pem.overflow ? NULL : gh_key_open(gh_buffer_slice(&pem), NULL);
    gh_buffer_deinit(&text);
    gh_buffer_deinit(&pem);
    return key;
}

/* `use` and `key_ops` (RFC 7517 §4.2, §4.3), where they are there, must allow to verify. */
static bool may_verify(const json_t *jwk)
{
    const json_t *operations = json_object_get(jwk, "key_ops"), *one;
    size_t index;

    if (json_object_get(jwk, "use") != NULL && !is_text(jwk, "use", GH_SLICE("sig")))
        return false;
    if (operations == NULL)
        return true;
    json_array_foreach(operations, index, one)
    {
        if (json_is_string(one) && strcmp(json_string_value(one), "verify") == 0)
            return true;
    }
    return false;
}

/* RSA keys of these are sound keys for algorithms that the house does not do. */
static bool is_other_rsa(const json_t *jwk)
{
    static const char *const others[] = {"RS384", "RS512", "PS256", "PS384", "PS512"};
    for (size_t i = 0; i < GH_COUNT(others); i++) {
        if (is_text(jwk, "alg", gh_slice_text(others[i])))
            return true;
    }
    return false;
}

/* NULL for a key that the house may do. */
static const char *unsupported_kind(const json_t *jwk)
{
    return is_text(jwk, "kty", GH_SLICE("oct"))   ? "HS256 and its like: a token of a shared key"
           : is_text(jwk, "kty", GH_SLICE("OKP")) ? "EdDSA"
           : is_text(jwk, "kty", GH_SLICE("EC")) && !is_text(jwk, "crv", GH_SLICE("P-256"))
               ? "ES384, ES512, ES256K: another curve than P-256"
           : is_text(jwk, "kty", GH_SLICE("RSA")) && is_other_rsa(jwk)
               ? "RS384, RS512, PS256, PS384, PS512"
               : NULL;
}

static struct gh_key *open_one(const json_t *jwk)
{
    static const struct {
        struct gh_slice type, algorithm;
        bool (*to_der)(const json_t *jwk, struct gh_buffer *der);
    } forms[] = {{GH_SLICE_INIT("EC"), GH_SLICE_INIT("ES256"), ec_to_der},
                 {GH_SLICE_INIT("RSA"), GH_SLICE_INIT("RS256"), rsa_to_der}};
    uint8_t block[DER_MAX];
    struct gh_buffer der = gh_buffer_fixed(block, sizeof block);

    for (size_t i = 0; i < GH_COUNT(forms); i++) {
        if (!is_text(jwk, "kty", forms[i].type))
            continue;
        if (json_object_get(jwk, "alg") != NULL && !is_text(jwk, "alg", forms[i].algorithm))
            return NULL;
        if (!may_verify(jwk) || !forms[i].to_der(jwk, &der))
            return NULL;
        return open_der(gh_buffer_slice(&der));
    }
    return NULL;
}

static bool is_secret(const json_t *jwk)
{
    return json_object_get(jwk, "d") != NULL || json_object_get(jwk, "k") != NULL;
}

/* A set is refused whole when two keys share a `kid`, or when it mixes secret keys with public
 * ones: then nobody can say which key is meant, or who else can sign. */
static bool set_sound(const json_t *keys)
{
    size_t count = json_array_size(keys);
    for (size_t i = 0; i < count; i++) {
        const json_t *one = json_array_get(keys, i);
        if (is_secret(one) != is_secret(json_array_get(keys, 0)) ||
            is_text(one, "kty", GH_SLICE("oct")) !=
                is_text(json_array_get(keys, 0), "kty", GH_SLICE("oct")))
            return false;
        for (size_t j = 0; j < i; j++) {
            if (gh_slice_equal(vectors_text(one, "kid"),
                               vectors_text(json_array_get(keys, j), "kid")))
                return false;
        }
    }
    return count > 0;
}

struct gh_key *vectors_jwk(const json_t *jwk, struct gh_slice kid, const char **unsupported)
{
    const json_t *keys = json_object_get(jwk, "keys"), *chosen = keys == NULL ? jwk : NULL;

    *unsupported = NULL;
    if (keys != NULL && !set_sound(keys))
        return NULL;
    for (size_t i = 0; i < json_array_size(keys); i++) {
        if (is_text(json_array_get(keys, i), "kid", kid))
            chosen = json_array_get(keys, i);
    }
    if (chosen == NULL)
        return NULL;
    *unsupported = unsupported_kind(chosen);
    return *unsupported != NULL ? NULL : open_one(chosen);
}
