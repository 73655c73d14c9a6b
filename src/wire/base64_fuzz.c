#include "wire/base64.h"
#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the strict reading takes has exactly one text; what the lenient one takes comes back as
 * bytes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gh_slice text = {data, size};
    struct gh_buffer bytes, again, more;
    gh_buffer_init(&bytes, 1 << 20);
    gh_buffer_init(&again, 1 << 20);
    gh_buffer_init(&more, 1 << 20);

    if (gh_base64_decode(text, GH_BASE64_STRICT_URL, &bytes)) {
        gh_base64_encode(gh_buffer_slice(&bytes), GH_BASE64_URL_NOPAD, &again);
        assert(gh_slice_equal(gh_buffer_slice(&again), text));
        bool lenient = gh_base64_decode(text, GH_BASE64_ANY, &more);
        assert(lenient && gh_slice_equal(gh_buffer_slice(&more), gh_buffer_slice(&bytes)));
    } else if (gh_base64_decode(text, GH_BASE64_ANY, &bytes)) {
        gh_base64_encode(gh_buffer_slice(&bytes), GH_BASE64_STANDARD, &again);
        bool back = gh_base64_decode(gh_buffer_slice(&again), GH_BASE64_ANY, &more);
        assert(back && gh_slice_equal(gh_buffer_slice(&more), gh_buffer_slice(&bytes)));
    }
    gh_buffer_deinit(&bytes);
    gh_buffer_deinit(&again);
    gh_buffer_deinit(&more);
    return 0;
}
