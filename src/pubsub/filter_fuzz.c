/* Any text as a filter, asked of a message whose attributes are the text's own parts. */
#include "pubsub/filter.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gh_error error = {0};
    struct gh_slice text = gh_slice(data, size);
    struct gh_filter *filter = gh_filter_open(text, &error);
    assert((filter == NULL) == (error.code != GH_OK));
    if (filter == NULL)
        return 0;
    const struct gh_message_attribute attributes[] = {
        {gh_slice_sub(text, 0, size / 2), gh_slice_sub(text, size / 2, size)},
        {GH_SLICE("k"), GH_SLICE("v")},
    };
    struct gh_message message = {.attributes = attributes,
                                 .attributes_count = GH_COUNT(attributes)};
    (void)gh_filter_matches(filter, &message);
    gh_filter_close(filter);
    return 0;
}
