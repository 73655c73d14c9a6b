/* Page tokens come back from clients: any bytes are either refused or a page whose print is the
 * same token. */
#include "registry/directory_internal.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gh_arena arena;
    struct gh_page page;
    struct gh_slice again;
    gh_arena_init(&arena, 1 << 16);
    if (gh_page_parse(gh_slice(data, size), 0x12345678, &arena, &page, NULL) == GH_OK && size > 0) {
        assert(gh_page_print(&page, &arena, &again));
        assert(gh_slice_equal(again, gh_slice(data, size)));
    }
    gh_arena_deinit(&arena);
    return 0;
}
