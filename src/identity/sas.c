#include "identity/sas.h"
#include "base/buffer.h"
#include "base/secret.h"
#include "wire/base64.h"
#include "wire/http/path.h"
#include <assert.h>

enum {
    EXPIRY_DIGITS_MAX = 11, /* to the year 5138 */
    SIGNATURE_TEXT_MAX = 64,
};

static const struct gh_slice prefix = GH_SLICE_INIT("SharedAccessSignature ");

enum field { RESOURCE, SIGNATURE, EXPIRY, POLICY, FIELD_COUNT };
static const struct gh_slice names[FIELD_COUNT] = {
    [RESOURCE] = GH_SLICE_INIT("sr"),
    [SIGNATURE] = GH_SLICE_INIT("sig"),
    [EXPIRY] = GH_SLICE_INIT("se"),
    [POLICY] = GH_SLICE_INIT("skn"),
};

bool gh_sas_is_one(struct gh_slice password)
{
    return gh_slice_starts(password, prefix);
}

static const char *split_fields(struct gh_slice rest, struct gh_slice fields[FIELD_COUNT])
{
    bool seen[FIELD_COUNT] = {false};
    while (rest.size > 0) {
        struct gh_slice value = gh_slice_split(&rest, '&'), name = gh_slice_split(&value, '=');
        size_t which = 0;
        while (which < FIELD_COUNT && !gh_slice_equal(names[which], name))
            which++;
        if (which == FIELD_COUNT)
            return "it has a field besides sr, sig, se and skn";
        if (seen[which])
            return "a field stands twice";
        seen[which] = true;
        fields[which] = value;
    }
    return seen[RESOURCE] && seen[SIGNATURE] && seen[EXPIRY] ? NULL
                                                             : "one of sr, sig and se is missing";
}

static bool read_signature(struct gh_slice text, struct gh_arena *arena, struct gh_sas *out)
{
    uint8_t block[GH_SHA256_BYTES + 4];
    struct gh_buffer bytes = gh_buffer_fixed(block, sizeof block);
    struct gh_slice base64;
    if (text.size > 3 * SIGNATURE_TEXT_MAX || !gh_path_decode(text, arena, &base64) ||
        !gh_base64_decode(base64, GH_BASE64_ANY, &bytes) || bytes.size != GH_SHA256_BYTES)
        return false;
    for (size_t i = 0; i < GH_SHA256_BYTES; i++)
        out->signature[i] = block[i];
    return true;
}

static bool read_expiry(struct gh_slice text, int64_t *out)
{
    uint64_t seconds;
    if (text.size > EXPIRY_DIGITS_MAX || !gh_slice_to_u64(text, &seconds))
        return false;
    *out = (int64_t)seconds;
    return true;
}

const char *gh_sas_read(struct gh_slice token, struct gh_arena *arena, struct gh_sas *out)
{
    struct gh_slice fields[FIELD_COUNT] = {{0}};
    const char *why;
    *out = (struct gh_sas){0};
    if (token.size > GH_SAS_BYTES_MAX)
        return "it is longer than 4,096 bytes";
    if (!gh_sas_is_one(token))
        return "it does not begin with SharedAccessSignature";
    if ((why = split_fields(gh_slice_sub(token, prefix.size, token.size), fields)) != NULL)
        return why;
    if (!gh_path_decode(fields[RESOURCE], arena, &out->resource) || out->resource.size == 0)
        return "sr is empty or not percent-encoded";
    if (!gh_path_decode(fields[POLICY], arena, &out->policy))
        return "skn is not percent-encoded";
    if (!read_signature(fields[SIGNATURE], arena, out))
        return "sig is not the base64 of 32 bytes";
    if (!read_expiry(fields[EXPIRY], &out->expires_at_s))
        return "se is not a time in seconds";
    out->signed_resource = fields[RESOURCE];
    out->signed_expiry = fields[EXPIRY];
    return NULL;
}

bool gh_sas_signed_by(const struct gh_sas *sas, struct gh_slice key)
{
    uint8_t block[GH_SAS_BYTES_MAX], digest[GH_SHA256_BYTES];
    struct gh_buffer text = gh_buffer_fixed(block, sizeof block);
    gh_buffer_put(&text, sas->signed_resource);
    gh_buffer_u8(&text, '\n');
    gh_buffer_put(&text, sas->signed_expiry);
    assert(!text.overflow); /* both stand in one token */
    gh_hmac_sha256(key, gh_buffer_slice(&text), digest);
    bool same = gh_secret_equal(gh_slice(digest, sizeof digest),
                                gh_slice(sas->signature, sizeof sas->signature));
    gh_secret_wipe(digest, sizeof digest);
    return same;
}
