/* What a ticket says was shown: it comes back from the clients that were given it, behind a MAC
 * that is ours. What is read is written as the same bytes again. */
#include "crypto/ticket.h"
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t block[GH_TICKET_CHAIN_BYTES_MAX + 64];
    struct gh_slice chain[GH_TICKET_CHAIN_MAX];
    struct gh_evidence evidence;
    struct gh_buffer out = gh_buffer_fixed(block, sizeof block);

    if (!gh_evidence_read(gh_slice(data, size), chain, &evidence))
        return 0;
    assert(evidence.count <= GH_TICKET_CHAIN_MAX && evidence.proved_at_s >= 0);
    if (gh_evidence_print(&evidence, &out))
        assert(out.size == size && memcmp(out.data, data, size) == 0);
    return 0;
}
