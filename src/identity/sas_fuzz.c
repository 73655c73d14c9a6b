/* Any bytes as a shared access signature. What is read was written within bounds; what a key signed
 * stays signed by that key only. */
#include "identity/sas.h"
#include <stdlib.h>

static void require(bool held)
{
    if (!held)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t key[32];
    struct gh_slice token = gh_slice(data, size);
    struct gh_arena arena;
    struct gh_sas sas;

    gh_arena_init(&arena, 1 << 16);
    if (gh_sas_read(token, &arena, &sas) == NULL) {
        require(gh_sas_is_one(token) && sas.resource.size > 0 && sas.expires_at_s >= 0);
        require(sas.signed_resource.size + sas.signed_expiry.size < size);
        if (gh_sas_signed_by(&sas, gh_slice(key, sizeof key)))
            require(!gh_sas_signed_by(&sas, GH_SLICE("another key")));
    }
    gh_arena_deinit(&arena);
    return 0;
}
