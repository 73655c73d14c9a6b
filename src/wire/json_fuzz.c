#include "wire/json.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is read can be written, and what was written reads back as an equal value. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gh_error error = {0};
    struct gh_buffer out;
    json_t *value = gh_json_read_limited(gh_slice(data, size), 1 << 16, &error);

    if (value == NULL) {
        assert(error.code == GH_ERROR_INVALID && error.text[0] != '\0');
        return 0;
    }
    gh_buffer_init(&out, 1 << 20);
    bool written = gh_json_write(value, &out);
    assert(written);
    json_t *again = gh_json_read(gh_buffer_slice(&out), &error);
    assert(again != NULL && json_equal(value, again));
    json_decref(again);
    json_decref(value);
    gh_buffer_deinit(&out);
    return 0;
}
