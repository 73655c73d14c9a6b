#include "wire/webauthn.h"
#include "wire/cbor.h"
#include <assert.h>

enum { AAGUID_BYTES = 16, ATTESTATION_MEMBERS = 3 };

static bool read_credential(struct gh_cursor *at, struct gh_webauthn_data *out)
{
    struct gh_slice aaguid;
    if (!gh_cursor_take(at, AAGUID_BYTES, &aaguid) || !gh_cursor_take16(at, &out->credential) ||
        out->credential.size == 0 || out->credential.size > GH_WEBAUTHN_CREDENTIAL_BYTES_MAX)
        return false;
    struct gh_slice rest = at->rest;
    if (!gh_cose_key_read(at, &out->key))
        return false;
    out->key_bytes = gh_slice_sub(rest, 0, rest.size - gh_cursor_left(at));
    return true;
}

/* A map, of which nothing is used. */
static bool pass_extensions(struct gh_cursor *at)
{
    struct gh_cursor ahead = *at;
    struct gh_cbor_item map;
    return gh_cbor_read(&ahead, &map) && map.kind == GH_CBOR_MAP && gh_cbor_skip(at);
}

bool gh_webauthn_data_read(struct gh_slice in, struct gh_webauthn_data *out)
{
    struct gh_cursor at = gh_cursor(in);

    assert(out != NULL);
    *out = (struct gh_webauthn_data){0};
    if (!gh_cursor_take(&at, GH_WEBAUTHN_RP_HASH_BYTES, &out->rp_hash) ||
        !gh_cursor_u8(&at, &out->flags) || !gh_cursor_u32(&at, &out->sign_count))
        return false;
    if ((out->flags & GH_WEBAUTHN_CREDENTIAL) != 0 && !read_credential(&at, out))
        return false;
    if ((out->flags & GH_WEBAUTHN_EXTENSIONS) != 0 && !pass_extensions(&at))
        return false;
    return gh_cursor_left(&at) == 0;
}

/* One of the members by its name; each must come once. */
static bool read_member(struct gh_cursor *at, unsigned *seen, struct gh_slice *data)
{
    static const struct {
        struct gh_slice name;
        enum gh_cbor_kind kind;
    } members[ATTESTATION_MEMBERS] = {{GH_SLICE_INIT("fmt"), GH_CBOR_TEXT},
                                      {GH_SLICE_INIT("attStmt"), GH_CBOR_MAP},
                                      {GH_SLICE_INIT("authData"), GH_CBOR_BYTES}};
    struct gh_cbor_item name, value;
    size_t i = 0;

    if (!gh_cbor_read(at, &name) || name.kind != GH_CBOR_TEXT || !gh_cbor_read(at, &value))
        return false;
    while (i < ATTESTATION_MEMBERS && !gh_slice_equal(members[i].name, name.bytes))
        i++;
    if (i == ATTESTATION_MEMBERS || (*seen & 1u << i) != 0 || value.kind != members[i].kind)
        return false;
    *seen |= 1u << i;
    if (value.kind == GH_CBOR_BYTES)
        *data = value.bytes;
    return value.kind == GH_CBOR_TEXT  ? gh_slice_equal(value.bytes, GH_SLICE("none"))
           : value.kind == GH_CBOR_MAP ? value.value == 0
                                       : true;
}

bool gh_webauthn_attestation_read(struct gh_slice in, struct gh_slice *data)
{
    struct gh_cursor at = gh_cursor(in);
    struct gh_cbor_item map;
    unsigned seen = 0;

    if (!gh_cbor_read(&at, &map) || map.kind != GH_CBOR_MAP || map.value != ATTESTATION_MEMBERS)
        return false;
    for (size_t i = 0; i < ATTESTATION_MEMBERS; i++)
        if (!read_member(&at, &seen, data))
            return false;
    return gh_cursor_left(&at) == 0;
}
