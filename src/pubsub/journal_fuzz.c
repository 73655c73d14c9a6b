/* Any bytes as a journal record, a message, a checkpoint (whose CRC is made right when the first
 * byte is odd). */
#include "base/hash.h"
#include "pubsub/journal.h"
#include "pubsub/message.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_ack(struct gh_slice bytes)
{
    struct gh_journal_ack ack;
    struct gh_journal_seek seek;
    struct gh_cursor at;
    uint64_t offset, count = 0;
    (void)!gh_journal_seek_read(bytes, &seek);
    (void)!gh_journal_state_open(bytes, &at);
    if (!gh_journal_ack_read(bytes, &ack))
        return;
    while (gh_journal_ack_next(&ack, &offset))
        count++;
    assert(count <= bytes.size);
}

static void read_message(struct gh_slice bytes)
{
    struct gh_message_attribute attributes[GH_MESSAGE_ATTRIBUTES_MAX];
    struct gh_message message;
    struct gh_buffer again;
    if (!gh_message_decode(bytes, attributes, &message))
        return;
    gh_buffer_init(&again, bytes.size + 1);
    assert(gh_message_encode(&message, &again));
    assert(gh_slice_equal(gh_buffer_slice(&again), bytes));
    (void)!gh_message_check(&message, NULL);
    gh_buffer_deinit(&again);
}

static void read_checkpoint(struct gh_slice bytes, bool mend)
{
    struct gh_checkpoint checkpoint;
    struct gh_checkpoint_subscription head;
    struct gh_checkpoint_entry entry;
    struct gh_cursor at;
    struct gh_buffer copy;
    gh_buffer_init(&copy, bytes.size + 4);
    gh_buffer_put(&copy, bytes);
    if (mend)
        gh_buffer_u32(&copy, gh_hash_crc32c(0, bytes));
    if (gh_checkpoint_open(gh_buffer_slice(&copy), &at, &checkpoint))
        while (gh_checkpoint_subscription_read(&at, checkpoint.format, &head) &&
               gh_checkpoint_entry_read(&at, checkpoint.format, &entry))
            continue;
    gh_buffer_deinit(&copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct gh_slice rest = gh_slice(data + 1, size - 1);
    read_ack(rest);
    read_message(rest);
    read_checkpoint(rest, (data[0] & 1) != 0);
    return 0;
}
