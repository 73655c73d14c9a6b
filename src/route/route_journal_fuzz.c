/* Any bytes as changes of the sessions' journal; what is read is written again and must be the
 * same.
 */
#include "route/journal.h"
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gh_journal_change read;
    struct gh_slice at = gh_slice(data, size);
    struct gh_buffer again;
    gh_buffer_init(&again, size + 1);
    while (gh_journal_next(&at, &read) == GH_JOURNAL_CHANGE)
        assert(gh_journal_write(&again, &read));
    assert(gh_slice_equal(gh_buffer_slice(&again), gh_slice(data, size - at.size)));
    gh_buffer_deinit(&again);
    return 0;
}
