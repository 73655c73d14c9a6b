#include "pubsub/journal.h"
#include "tests/check.h"
#include <stdlib.h>
#include <string.h>

static void check_acks(void)
{
    static const uint64_t offsets[] = {1, 2, 130, 131, 20000, UINT64_C(1) << 40, UINT64_MAX};
    struct gh_buffer buffer;
    struct gh_journal_ack ack;
    uint64_t offset;
    gh_buffer_init(&buffer, 1024);
    CHECK("written", gh_journal_ack_write(77, offsets, GH_COUNT(offsets), &buffer));
    CHECK("read", gh_journal_ack_read(gh_buffer_slice(&buffer), &ack) && ack.subscription == 77);
    for (size_t i = 0; i < GH_COUNT(offsets); i++)
        CHECK("each", gh_journal_ack_next(&ack, &offset) && offset == offsets[i]);
    CHECK("no more", !gh_journal_ack_next(&ack, &offset) && ack.left == 0);
    for (size_t cut = 0; cut < buffer.size; cut++) {
        uint8_t *exact = malloc(cut + 1);
        memcpy(exact, buffer.data, cut);
        bool whole = gh_journal_ack_read(gh_slice(exact, cut), &ack);
        while (whole && gh_journal_ack_next(&ack, &offset))
            continue;
        CHECK("cut, some are left", !whole || ack.left > 0);
        free(exact);
    }
    buffer.data[0] = 9;
    CHECK("another format", !gh_journal_ack_read(gh_buffer_slice(&buffer), &ack));
    gh_buffer_deinit(&buffer);
}

static void check_checkpoint(void)
{
    struct gh_checkpoint out, in = {.ack_key = "0123456789abcde", .replay_from = 99, .count = 1};
    struct gh_checkpoint_subscription sub,
        head = {.number = 3, .topic = 4, .read_to = 50, .active_at_ms = 7};
    struct gh_checkpoint_entry entry,
        one = {.offset = 44, .key = UINT64_MAX, .position = 640, .attempts = 2, .failures = 3};
    struct gh_buffer buffer;
    struct gh_cursor at;
    uint32_t count;
    gh_buffer_init(&buffer, 1024);
    gh_checkpoint_begin(&buffer, &in);
    gh_checkpoint_subscription(&buffer, &head);
    gh_buffer_u32(&buffer, 1);
    gh_checkpoint_entry(&buffer, &one);
    gh_buffer_u32(&buffer, 0);
    CHECK("written", gh_checkpoint_end(&buffer));
    CHECK("read", gh_checkpoint_open(gh_buffer_slice(&buffer), &at, &out) &&
                      out.replay_from == 99 && out.count == 1 &&
                      !memcmp(out.ack_key, in.ack_key, sizeof in.ack_key));
    CHECK("a subscription", gh_checkpoint_subscription_read(&at, out.format, &sub) &&
                                sub.number == 3 && sub.active_at_ms == 7 && sub.topic == 4 &&
                                sub.read_to == 50);
    CHECK("an entry", gh_cursor_u32(&at, &count) && count == 1 &&
                          gh_checkpoint_entry_read(&at, out.format, &entry) && entry.offset == 44 &&
                          entry.key == UINT64_MAX && entry.failures == 3 && entry.position == 640 &&
                          entry.attempts == 2);
    for (size_t i = 0; i < buffer.size; i++) {
        buffer.data[i] ^= 4;
        CHECK("one bit changed", !gh_checkpoint_open(gh_buffer_slice(&buffer), &at, &out));
        buffer.data[i] ^= 4;
        CHECK("cut", !gh_checkpoint_open(gh_slice(buffer.data, i), &at, &out));
    }
    gh_buffer_deinit(&buffer);
}

/* The bytes of a checkpoint as the release before wrote them. */
static void check_old_checkpoint(void)
{
    struct gh_checkpoint out;
    struct gh_checkpoint_subscription sub;
    struct gh_checkpoint_entry entry;
    struct gh_buffer buffer;
    struct gh_cursor at;
    uint32_t count;
    gh_buffer_init(&buffer, 1024);
    gh_buffer_put(&buffer, GH_SLICE("GHPUBSUB"));
    gh_buffer_u32(&buffer, 1);
    gh_buffer_put(&buffer, GH_SLICE("0123456789abcdef"));
    gh_buffer_u64(&buffer, 99);
    gh_buffer_u32(&buffer, 1);
    gh_buffer_u32(&buffer, 3);
    gh_buffer_u32(&buffer, 4);
    gh_buffer_u64(&buffer, 50);
    gh_buffer_u32(&buffer, 1);
    gh_buffer_u64(&buffer, 44);
    gh_buffer_u32(&buffer, 640);
    gh_buffer_u32(&buffer, 2);
    gh_buffer_u32(&buffer, 0);
    CHECK("written", gh_checkpoint_end(&buffer));
    CHECK("read", gh_checkpoint_open(gh_buffer_slice(&buffer), &at, &out) && out.format == 1 &&
                      gh_checkpoint_subscription_read(&at, out.format, &sub) && sub.read_to == 50 &&
                      sub.active_at_ms == 0 && gh_cursor_u32(&at, &count) &&
                      gh_checkpoint_entry_read(&at, out.format, &entry) && entry.attempts == 2 &&
                      entry.failures == 0 && entry.key == 0 && gh_cursor_u32(&at, &count) &&
                      count == 0 && gh_cursor_left(&at) == 0);
    gh_buffer_deinit(&buffer);
}

static void check_seeks(void)
{
    struct gh_journal_seek out, in = {.subscription = 7, .from = 8, .again_from = UINT64_MAX};
    struct gh_journal_ack ack;
    struct gh_buffer buffer;
    struct gh_cursor at;
    gh_buffer_init(&buffer, 64);
    CHECK("written", gh_journal_seek_write(&in, &buffer));
    CHECK("read", gh_journal_seek_read(gh_buffer_slice(&buffer), &out) && out.subscription == 7 &&
                      out.from == 8 && out.again_from == UINT64_MAX);
    CHECK("no other record", !gh_journal_ack_read(gh_buffer_slice(&buffer), &ack) &&
                                 !gh_journal_state_open(gh_buffer_slice(&buffer), &at));
    for (size_t cut = 0; cut < buffer.size; cut++)
        CHECK("cut", !gh_journal_seek_read(gh_slice(buffer.data, cut), &out));
    gh_buffer_clear(&buffer);
    gh_journal_state_begin(&buffer);
    CHECK("a state", gh_journal_state_open(gh_buffer_slice(&buffer), &at) &&
                         !gh_journal_seek_read(gh_buffer_slice(&buffer), &out));
    gh_buffer_deinit(&buffer);
}

int main(void)
{
    check_old_checkpoint();
    check_seeks();
    check_acks();
    check_checkpoint();
    return check_report();
}
