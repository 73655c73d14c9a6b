/* Any bytes as a segment: the scan ends, yields only records whose CRCs are right, and moves
 * forward. The first byte chooses whether the header is made good, so that mutations behind it are
 * reached. */
#include "pubsub/segment.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct image {
    uint8_t *bytes;
    uint32_t size;
};

static long image_read(void *context, void *into, size_t size, uint32_t position)
{
    const struct image *image = context;
    if (position >= image->size)
        return 0;
    size = size < image->size - position ? size : image->size - position;
    memcpy(into, image->bytes + position, size);
    return (long)size;
}

/* Puts right CRCs into what stands where records are expected. */
static void mend(struct image *image, uint32_t salt)
{
    struct gh_segment_record record;
    uint32_t at = GH_SEGMENT_HEADER_BYTES;
    while (at + GH_SEGMENT_RECORD_BYTES <= image->size) {
        uint8_t *head = image->bytes + at;
        (void)!gh_segment_record_read(salt, head, &record);
        uint32_t left = image->size - at - GH_SEGMENT_RECORD_BYTES;
        if (record.length > left)
            record.length %= left + 1;
        if ((record.tag & 3) != 3) /* some stay broken */
            gh_segment_record_write(salt, &record,
                                    gh_slice(head + GH_SEGMENT_RECORD_BYTES, record.length), head);
        at += GH_SEGMENT_RECORD_BYTES + record.length;
    }
}

static void scan_all(struct image *image, const struct gh_segment_header *header)
{
    struct gh_segment_scan scan;
    struct gh_segment_record record;
    struct gh_slice body;
    uint32_t from, before = 0;
    uint64_t last = 0;
    enum gh_segment_step step;

    gh_segment_scan_init(&scan, (struct gh_segment_source){image_read, image}, header, 4096);
    scan.end = image->size;
    do {
        before = scan.position;
        step = gh_segment_scan_next(&scan, &record, &body, &from);
        if (step == GH_SEGMENT_RECORD) {
            assert(record.offset > last && record.offset >= header->base);
            assert(gh_segment_body_valid(header->salt, &record, body));
            last = record.offset;
        }
        assert(step == GH_SEGMENT_RECORD || step == GH_SEGMENT_DAMAGE ? scan.position > before
                                                                      : scan.position == before);
        assert(step != GH_SEGMENT_FAILED && scan.position <= scan.end);
    } while (step != GH_SEGMENT_END);
    (void)!gh_segment_scan_rest_is_zero(&scan);
    gh_segment_scan_deinit(&scan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gh_segment_header header = {0};
    if (size == 0 || size > 64 * 1024)
        return 0;
    struct image image = {.bytes = malloc(size), .size = (uint32_t)size - 1};
    if (image.bytes == NULL)
        return 0;
    memcpy(image.bytes, data + 1, size - 1);
    if ((data[0] & 1) != 0 && image.size >= GH_SEGMENT_HEADER_BYTES) {
        header = (struct gh_segment_header){.version = GH_SEGMENT_VERSION, .salt = 7, .base = 1};
        gh_segment_header_write(&header, image.bytes);
    }
    if ((data[0] & 2) != 0)
        mend(&image, 7);
    if (gh_segment_header_read(gh_slice(image.bytes, image.size), &header) == GH_SEGMENT_OURS)
        scan_all(&image, &header);
    free(image.bytes);
    return 0;
}
