/* The form of a seal is read from a database that somebody may have changed. */
#include "base/slice.h"
#include "crypto/seal.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t key[GH_SEAL_KEY_BYTES] = {1};
    static uint8_t block[GH_SEAL_TEXT_BYTES_MAX + 1];
    struct gh_seal_cipher cipher = gh_seal_cipher(key);
    struct gh_seal_place place = {1, GH_SLICE("field"), GH_SLICE("row")};
    struct gh_buffer out = gh_buffer_fixed(block, sizeof block);
    struct gh_sealed read;
    enum gh_seal_status form = gh_sealed_read(gh_slice(data, size), &read);
    enum gh_seal_status opened = gh_unseal(&cipher, &place, gh_slice(data, size), &out);
    if (form != GH_SEAL_OK)
        assert(opened == form && out.size == 0);
    else
        assert(read.nonce.size + read.text.size + GH_SEAL_HEAD_BYTES == size &&
               (opened == GH_SEAL_OK || (opened == GH_SEAL_REFUSED && out.size == 0)));
    return 0;
}
