/* Any bytes as a sealed block; and, when the first byte is odd, as what is inside one, so that the
 * fuzzer need not learn to deflate. */
#include "observe/block.h"
#include <assert.h>
#include <stdlib.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void open_block(struct gh_slice bytes)
{
    struct gh_block block;
    gh_block_init(&block);
    if (gh_block_open(&block, bytes)) {
        uint64_t sum = 0;
        assert(block.count <= GH_BLOCK_RECORDS_MAX);
        for (size_t i = 0; i < block.count; i++) {
            for (size_t n = 0; n < block.records[i].payload.size; n++)
                sum += block.records[i].payload.data[n];
            for (size_t n = 0; n < block.records[i].channel.size; n++)
                sum += block.records[i].channel.data[n];
        }
        assert(sum <= UINT64_MAX - 1);
    }
    gh_block_deinit(&block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 65536)
        return 0;
    struct gh_slice rest = gh_slice(data + 1, size - 1);
    if ((data[0] & 1) == 0) {
        open_block(rest);
        return 0;
    }
    struct gh_buffer out;
    gh_buffer_init(&out, 1 << 20);
    gh_buffer_u8(&out, 1);
    gh_buffer_u32(&out, (uint32_t)rest.size);
    uLongf bound = compressBound((uLong)rest.size);
    uint8_t *room = gh_buffer_reserve(&out, bound);
    if (room != NULL && compress2(room, &bound, rest.data, (uLong)rest.size, 1) == Z_OK) {
        gh_buffer_commit(&out, bound);
        open_block(gh_buffer_slice(&out));
    }
    gh_buffer_deinit(&out);
    return 0;
}
