/* The keyring's file: whatever is read is written back as it was. */
#include "vault/keyring.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct gh_keyring_form form;
    struct gh_buffer again;
    if (!gh_keyring_form_read(gh_slice(data, size), &form))
        return 0;
    assert(form.keks_count > 0);
    gh_buffer_init(&again, size + 1);
    gh_keyring_form_write(&form, &again);
    assert(!again.overflow && gh_slice_equal(gh_buffer_slice(&again), gh_slice(data, size)));
    gh_buffer_deinit(&again);
    return 0;
}
