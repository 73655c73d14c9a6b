/* What a peer may do after the handshake: each input is a suite and then records, a byte of type
 * and two of length before what they protect; the type 0 is for bytes that are on the wire as they
 * are. Whatever comes, the reader stays within its bytes and ends for good when it says so. */
#include "base/cursor.h"
#include "crypto/record.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct gh_record *end_of(enum gh_record_suite suite, const uint8_t *reads,
                                const uint8_t *writes)
{
    return gh_record_open(&(struct gh_record_keys){.suite = suite,
                                                   .read_secret = reads,
                                                   .write_secret = writes,
                                                   .text_max = GH_RECORD_TEXT_MAX});
}

/* False when the connection is over. */
static bool feed(struct gh_record *reader, struct gh_record_desk *desk, struct gh_buffer *wire)
{
    struct gh_record_opened opened;
    enum gh_record_status status = gh_record_read(reader, desk, wire->data, wire->size, &opened);
    if (status == GH_RECORD_MORE || status >= GH_RECORD_END)
        return false;
    assert(opened.size <= wire->size);
    assert(status != GH_RECORD_TEXT ||
           (opened.text.size > 0 && opened.text.data >= wire->data &&
            opened.text.data + opened.text.size <= wire->data + opened.size));
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t one[GH_RECORD_SECRET_MAX] = {1}, two[GH_RECORD_SECRET_MAX] = {2};
    struct gh_cursor at = gh_cursor(gh_slice(data, size));
    uint8_t suite, type;
    uint16_t length;
    struct gh_slice text;
    struct gh_buffer wire;

    if (!gh_cursor_u8(&at, &suite))
        return 0;
    suite %= GH_RECORD_SUITE_COUNT;
    struct gh_record_desk *desk = gh_record_desk_open();
    struct gh_record *reader = end_of(suite, one, two), *writer = end_of(suite, two, one);
    gh_buffer_init(&wire, (size_t)2 * GH_RECORD_BYTES_MAX);
    bool is_open = desk != NULL && reader != NULL && writer != NULL;
    while (is_open && gh_cursor_u8(&at, &type) && gh_cursor_u16(&at, &length) &&
           length <= GH_RECORD_TEXT_MAX && gh_cursor_take(&at, length, &text)) {
        gh_buffer_clear(&wire);
        bool written = type == 0 ? gh_buffer_put(&wire, text)
                                 : gh_record_write(writer, desk, type, text, &wire);
        is_open = written && feed(reader, desk, &wire);
    }
    gh_buffer_deinit(&wire);
    gh_record_close(reader);
    gh_record_close(writer);
    gh_record_desk_close(desk);
    return 0;
}
