/* Any bytes as CBOR, as authenticator data and as an attestation object. What is read lies within
 * the input. */
#include "wire/cbor.h"
#include "wire/webauthn.h"
#include <stdlib.h>

static void require(bool held)
{
    if (!held)
        abort();
}

static void within(struct gh_slice in, struct gh_slice part)
{
    require(part.size == 0 || (part.data >= in.data && part.data + part.size <= in.data + in.size));
}

static void read_data(struct gh_slice in)
{
    struct gh_webauthn_data data;
    if (!gh_webauthn_data_read(in, &data))
        return;
    within(in, data.rp_hash);
    within(in, data.credential);
    within(in, data.key_bytes);
    bool has = (data.flags & GH_WEBAUTHN_CREDENTIAL) != 0;
    require(has == (data.credential.size > 0));
    require(!has || data.key.x.size == GH_COSE_NUMBER_BYTES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gh_slice in = gh_slice(data, size), inner = {0};
    struct gh_cursor at = gh_cursor(in);

    while (gh_cursor_left(&at) > 0 && gh_cbor_skip(&at))
        continue;
    read_data(in);
    if (gh_webauthn_attestation_read(in, &inner)) {
        within(in, inner);
        read_data(inner);
    }
    return 0;
}
