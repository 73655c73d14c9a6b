#include "wire/jose.h"
#include "wire/base64.h"
#include "wire/json.h"
#include <assert.h>
#include <math.h>
#include <string.h>

/* Past 2^53 a double no longer holds every whole number, and no date is that far away. */
#define TIME_MAX INT64_C(9007199254740992)

static const char *const status_texts[] = {
    [GH_JOSE_OK] = "the token is well formed",
    [GH_JOSE_TOO_LARGE] = "the token is longer than 16 KiB, or its header longer than 4 KiB",
    [GH_JOSE_PARTS] = "the token is not three parts joined by dots",
    [GH_JOSE_BASE64] = "a part of the token is not base64url",
    [GH_JOSE_HEADER] = "the token's header is not a JSON object, or names a member twice",
    [GH_JOSE_CRITICAL] = "the token's header demands an extension (crit or b64)",
    [GH_JOSE_CLAIMS] = "the token's payload is not a JSON object, or names a member twice",
    [GH_JOSE_MEMORY] = "there is no memory to read the token",
};

const char *gh_jose_status_text(enum gh_jose_status status)
{
    assert((size_t)status < GH_COUNT(status_texts));
    return status_texts[status];
}

/* Decodes into the arena; the result is never longer than the text. */
static enum gh_jose_status decode(struct gh_slice text, bool lenient, struct gh_arena *arena,
                                  struct gh_slice *out)
{
    *out = (struct gh_slice){0};
    if (text.size == 0)
        return GH_JOSE_OK;
    uint8_t *block = gh_arena_alloc(arena, text.size);
    if (block == NULL)
        return GH_JOSE_MEMORY;
    struct gh_buffer buffer = gh_buffer_fixed(block, text.size);
    if (!gh_base64_decode(text, lenient ? GH_BASE64_ANY : GH_BASE64_STRICT_URL, &buffer))
        return GH_JOSE_BASE64;
    *out = gh_buffer_slice(&buffer);
    return GH_JOSE_OK;
}

static size_t depth_of(const json_t *value, size_t limit)
{
    size_t deepest = 0, index;
    const char *key;
    json_t *member;

    if (limit == 0 || (!json_is_object(value) && !json_is_array(value)))
        return 0;
    /* jansson's walkers take a json_t that is not const, and change nothing. */
    json_object_foreach((json_t *)(uintptr_t)value, key, member)
    {
        size_t depth = depth_of(member, limit - 1);
        deepest = depth > deepest ? depth : deepest;
    }
    json_array_foreach(value, index, member)
    {
        size_t depth = depth_of(member, limit - 1);
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest + 1;
}

/* `crit` names extensions that must be understood, and we understand none; an empty list is
 * malformed (RFC 7515 §4.1.11). `b64` other than true would change what is signed (RFC 7797) and is
 * void without `crit`. */
static bool demands_extension(const json_t *header)
{
    const json_t *b64 = json_object_get(header, "b64");
    return json_object_get(header, "crit") != NULL || (b64 != NULL && !json_is_true(b64));
}

static enum gh_jose_status read_header(struct gh_slice json, struct gh_arena *arena,
                                       struct gh_jose *out)
{
    json_t *header = gh_json_read(json, NULL);
    enum gh_jose_status status = GH_JOSE_OK;

    if (!json_is_object(header) ||
        depth_of(header, GH_JOSE_HEADER_DEPTH_MAX + 1) > GH_JOSE_HEADER_DEPTH_MAX) {
        status = GH_JOSE_HEADER;
    } else if (demands_extension(header)) {
        status = GH_JOSE_CRITICAL;
    } else {
        const json_t *type = json_object_get(header, "typ");
        const json_t *kid = json_object_get(header, "kid");
        out->type_refused = type != NULL && !json_is_string(type);
        out->kid_refused = kid != NULL && (!json_is_string(kid) ||
                                           json_string_length(kid) > GH_JOSE_KID_BYTES_MAX);
        if (!gh_arena_copy(arena, gh_json_slice(json_object_get(header, "alg")), &out->algorithm) ||
            !gh_arena_copy(arena, gh_json_slice(type), &out->type) ||
            (!out->kid_refused && !gh_arena_copy(arena, gh_json_slice(kid), &out->kid)))
            status = GH_JOSE_MEMORY;
    }
    json_decref(header);
    return status;
}

enum gh_jose_status gh_jose_read(struct gh_slice token, bool lenient, struct gh_arena *arena,
                                 struct gh_jose *out)
{
    struct gh_jose jose = {0};
    struct gh_slice header_text, payload_text, header, rest = token;
    enum gh_jose_status status;

    if (token.size > GH_JOSE_TOKEN_MAX)
        return GH_JOSE_TOO_LARGE;
    size_t dots = 0;
    for (size_t i = 0; i < token.size; i++)
        dots += token.data[i] == '.';
    if (dots != 2)
        return GH_JOSE_PARTS;
    header_text = gh_slice_split(&rest, '.');
    payload_text = gh_slice_split(&rest, '.');
    if (header_text.size > GH_JOSE_HEADER_MAX)
        return GH_JOSE_TOO_LARGE;
    jose.signing_input = gh_slice_sub(token, 0, header_text.size + 1 + payload_text.size);

    if ((status = decode(header_text, lenient, arena, &header)) != GH_JOSE_OK ||
        (status = decode(payload_text, lenient, arena, &jose.payload)) != GH_JOSE_OK ||
        (status = decode(rest, lenient, arena, &jose.signature)) != GH_JOSE_OK ||
        (status = read_header(header, arena, &jose)) != GH_JOSE_OK)
        return status;
    *out = jose;
    return GH_JOSE_OK;
}

/* RFC 7519 §2: a JSON number, which may have a fraction; never text. */
static struct gh_jose_time read_time(const json_t *value)
{
    struct gh_jose_time refused = {.is = GH_JOSE_REFUSED};

    if (value == NULL)
        return (struct gh_jose_time){.is = GH_JOSE_ABSENT};
    if (json_is_integer(value)) {
        json_int_t s = json_integer_value(value);
        if (s < 0 || s > TIME_MAX)
            return refused;
        return (struct gh_jose_time){.is = GH_JOSE_PRESENT, .s = s};
    }
    if (json_is_real(value)) {
        double s = json_real_value(value);
        if (!isfinite(s) || signbit(s) || s > (double)TIME_MAX)
            return refused;
        return (struct gh_jose_time){.is = GH_JOSE_PRESENT, .s = (int64_t)s};
    }
    return refused;
}

static bool read_text(const json_t *value, struct gh_arena *arena, struct gh_jose_text *out)
{
    *out = (struct gh_jose_text){.is = GH_JOSE_ABSENT};
    if (value == NULL)
        return true;
    out->is = json_is_string(value) ? GH_JOSE_PRESENT : GH_JOSE_REFUSED;
    return gh_arena_copy(arena, gh_json_slice(value), &out->text);
}

/* RFC 7519 §4.1.3: a string, or an array of strings. */
static bool read_audience(const json_t *value, struct gh_arena *arena, struct gh_jose_claims *out)
{
    if (value == NULL)
        return true;
    out->audience = GH_JOSE_REFUSED;
    out->audience_is_array = json_is_array(value);
    size_t count = out->audience_is_array ? json_array_size(value) : 1;
    if (!out->audience_is_array && !json_is_string(value))
        return true;
    if (count > 0 &&
        (out->audiences = gh_arena_array(arena, count, sizeof *out->audiences)) == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        const json_t *one = out->audience_is_array ? json_array_get(value, i) : value;
        if (!json_is_string(one))
            return true;
        if (!gh_arena_copy(arena, gh_json_slice(one), &out->audiences[i]))
            return false;
    }
    out->audience = GH_JOSE_PRESENT;
    out->audiences_count = count;
    return true;
}

enum gh_jose_status gh_jose_claims(struct gh_slice payload, struct gh_arena *arena,
                                   struct gh_jose_claims *out)
{
    json_t *claims = gh_json_read(payload, NULL);
    enum gh_jose_status status = GH_JOSE_OK;

    *out = (struct gh_jose_claims){0};
    if (!json_is_object(claims)) {
        status = GH_JOSE_CLAIMS;
    } else {
        out->issued_at = read_time(json_object_get(claims, "iat"));
        out->expires_at = read_time(json_object_get(claims, "exp"));
        out->not_before = read_time(json_object_get(claims, "nbf"));
        if (!read_text(json_object_get(claims, "sub"), arena, &out->subject) ||
            !read_text(json_object_get(claims, "iss"), arena, &out->issuer) ||
            !read_text(json_object_get(claims, "jti"), arena, &out->token_id) ||
            !read_audience(json_object_get(claims, "aud"), arena, out))
            status = GH_JOSE_MEMORY;
    }
    json_decref(claims);
    return status;
}

bool gh_jose_begin_raw(struct gh_buffer *out, struct gh_slice header, struct gh_slice payload)
{
    assert(out->size == 0);
    return gh_base64_encode(header, GH_BASE64_URL_NOPAD, out) && gh_buffer_u8(out, '.') &&
           gh_base64_encode(payload, GH_BASE64_URL_NOPAD, out);
}

bool gh_jose_begin(struct gh_buffer *out, struct gh_slice algorithm,
                   const struct gh_jose_issue *issue)
{
    const struct {
        const char *name;
        struct gh_slice text;
    } texts[] = {{"iss", issue->issuer}, {"sub", issue->subject}, {"aud", issue->audience}};
    uint8_t block[64];
    struct gh_buffer header = gh_buffer_fixed(block, sizeof block), payload;
    json_t *claims = json_pack("{s:I, s:I}", "iat", (json_int_t)issue->issued_at_s, "exp",
                               (json_int_t)issue->expires_at_s);
    bool done = claims != NULL;

    (void)gh_buffer_print(&header, "{\"alg\":\"%.*s\",\"typ\":\"JWT\"}", GH_PRINT(algorithm));
    gh_buffer_init(&payload, GH_JOSE_TOKEN_MAX);
    for (size_t i = 0; done && i < GH_COUNT(texts); i++)
        done = texts[i].text.size == 0 ||
               json_object_set_new(claims, texts[i].name, gh_json_new_text(texts[i].text)) == 0;
    done = done && !header.overflow && gh_json_write(claims, &payload) &&
           gh_jose_begin_raw(out, gh_buffer_slice(&header), gh_buffer_slice(&payload));
    gh_buffer_deinit(&payload);
    json_decref(claims);
    return done;
}

bool gh_jose_finish(struct gh_buffer *out, struct gh_slice signature)
{
    return gh_buffer_u8(out, '.') && gh_base64_encode(signature, GH_BASE64_URL_NOPAD, out);
}
