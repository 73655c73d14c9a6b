#include "base/cursor.h"
#include "pubsub/segment.h"
#include "tests/check.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECORDS = 5, BYTES_MAX = 4096, SALT = 0x5a17 };

struct image {
    uint8_t bytes[BYTES_MAX];
    uint32_t size;
    uint32_t at[RECORDS + 1]; /* where each record begins, and the end */
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

static const char *const bodies[RECORDS] = {"one", "", "a third, longer body", "four", "five"};

static struct image image_make(void)
{
    struct image image = {0};
    struct gh_segment_header header = {
        .version = GH_SEGMENT_VERSION, .salt = SALT, .base = 100, .created_at_ms = 7};
    gh_segment_header_write(&header, image.bytes);
    image.size = GH_SEGMENT_HEADER_BYTES;
    for (size_t i = 0; i < RECORDS; i++) {
        struct gh_slice body = gh_slice_text(bodies[i]);
        struct gh_segment_record record = {
            .offset = 100 + i, .at_ms = 1000 + (int64_t)i, .tag = 9, .length = (uint32_t)body.size};
        image.at[i] = image.size;
        gh_segment_record_write(SALT, &record, body, image.bytes + image.size);
        memcpy(image.bytes + image.size + GH_SEGMENT_RECORD_BYTES, bodies[i], body.size);
        image.size += GH_SEGMENT_RECORD_BYTES + record.length;
    }
    image.at[RECORDS] = image.size;
    return image;
}

/* What a scan says of the image: "100 101 [damage] 103 .", with "!" for bytes behind the end that
 * are not zeros. */
static const char *scan_text(struct image *image)
{
    static char text[256];
    struct gh_segment_header header;
    struct gh_segment_scan scan;
    struct gh_segment_record record;
    struct gh_slice body;
    uint32_t from;
    size_t used = 0;

    if (gh_segment_header_read(gh_slice(image->bytes, image->size), &header) != GH_SEGMENT_OURS)
        return "no header";
    gh_segment_scan_init(&scan, (struct gh_segment_source){image_read, image}, &header, 1024);
    scan.end = image->size;
    for (enum gh_segment_step step = GH_SEGMENT_RECORD; step != GH_SEGMENT_END;) {
        step = gh_segment_scan_next(&scan, &record, &body, &from);
        if (step == GH_SEGMENT_RECORD) {
            bool right = gh_slice_equal(body, gh_slice_text(bodies[record.offset - 100]));
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%d ",
                                     right ? "" : "wrong ", (int)record.offset);
        } else if (step == GH_SEGMENT_DAMAGE) {
            used += (size_t)snprintf(text + used, sizeof text - used, "[%d-%d] ", (int)from,
                                     (int)scan.position);
        } else if (step == GH_SEGMENT_FAILED) {
            used += (size_t)snprintf(text + used, sizeof text - used, "failed");
            break;
        }
    }
    snprintf(text + used, sizeof text - used, gh_segment_scan_rest_is_zero(&scan) ? "." : "!");
    gh_segment_scan_deinit(&scan);
    return text;
}

static void check_headers(void)
{
    struct image image = image_make();
    struct gh_segment_header header;
    static const struct {
        const char *claim, *bytes;
        size_t size;
        enum gh_segment_kind kind;
    } cases[] = {
        {"an empty file", "", 0, GH_SEGMENT_EMPTY},
        {"a header cut off", "GHLOGSEG\0\0\0\1abc", 15, GH_SEGMENT_EMPTY},
        {"its first letters", "GHLO", 4, GH_SEGMENT_EMPTY},
        {"something short", "hello", 5, GH_SEGMENT_FOREIGN},
        {"something else of the same size",
         "SQLite format 3-----------------------------------------"
         "------------",
         64, GH_SEGMENT_FOREIGN},
    };
    for (size_t i = 0; i < GH_COUNT(cases); i++)
        CHECK(cases[i].claim, gh_segment_header_read(gh_slice(cases[i].bytes, cases[i].size),
                                                     &header) == cases[i].kind);
    uint8_t zeros[GH_SEGMENT_HEADER_BYTES] = {0};
    CHECK("zeros are no header yet",
          gh_segment_header_read(gh_slice(zeros, sizeof zeros), &header) == GH_SEGMENT_EMPTY);

    struct gh_slice bytes = gh_slice(image.bytes, image.size);
    CHECK("ours", gh_segment_header_read(bytes, &header) == GH_SEGMENT_OURS && header.base == 100 &&
                      header.salt == SALT && header.created_at_ms == 7);
    for (size_t i = 8; i < 36; i++) {
        image.bytes[i] ^= 1;
        CHECK("a bit of the header flipped",
              gh_segment_header_read(bytes, &header) == GH_SEGMENT_DAMAGED);
        image.bytes[i] ^= 1;
    }
    header = (struct gh_segment_header){.version = GH_SEGMENT_VERSION + 1, .base = 1};
    gh_segment_header_write(&header, image.bytes);
    CHECK("a newer format is named", gh_segment_header_read(bytes, &header) == GH_SEGMENT_NEWER &&
                                         header.version == GH_SEGMENT_VERSION + 1);
}

static void check_cuts(void)
{
    struct image whole = image_make();
    CHECK("all records", !strcmp(scan_text(&whole), "100 101 102 103 104 ."));
    for (uint32_t cut = GH_SEGMENT_HEADER_BYTES; cut < whole.size; cut++) {
        struct image image = whole;
        char want[64] = "";
        size_t records = 0;
        while (image.at[records + 1] <= cut)
            records++;
        for (size_t i = 0; i < records; i++)
            snprintf(want + strlen(want), sizeof want - strlen(want), "%d ", (int)(100 + i));
        image.size = cut;
        CHECK("a file cut anywhere keeps the records before",
              !strncmp(scan_text(&image), want, strlen(want)) && !strchr(scan_text(&image), '['));
        image = whole;
        memset(image.bytes + cut, 0, image.size - cut);
        image.size = BYTES_MAX;
        CHECK("so does one with zeros behind",
              !strncmp(scan_text(&image), want, strlen(want)) && !strchr(scan_text(&image), '['));
    }
}

static void check_flips(void)
{
    struct image whole = image_make();
    for (uint32_t i = GH_SEGMENT_HEADER_BYTES; i < whole.size; i++) {
        struct image image = whole;
        char want[128] = "", gap[32];
        size_t hit = 0;
        while (image.at[hit + 1] <= i)
            hit++;
        image.bytes[i] ^= 0x20;
        snprintf(gap, sizeof gap, "[%d-%d] ", (int)image.at[hit], (int)image.at[hit + 1]);
        for (size_t n = 0; n < RECORDS; n++) {
            char number[16];
            snprintf(number, sizeof number, "%d ", (int)(100 + n));
            strcat(want, n != hit ? number : hit == RECORDS - 1 ? "!" : gap);
        }
        if (hit != RECORDS - 1)
            strcat(want, ".");
        CHECK("one flipped bit costs one record, and is seen", !strcmp(scan_text(&image), want));
    }
}

/* A publisher who knows the format puts records into a body. */
static void check_forged(void)
{
    struct image image = image_make();
    uint8_t forged[GH_SEGMENT_RECORD_BYTES];
    struct gh_segment_record record = {.offset = 103, .at_ms = 1, .tag = 9, .length = 0};
    gh_segment_record_write(SALT + 1, &record, gh_slice(NULL, 0), forged);
    memset(image.bytes + image.at[1], 0xff, image.at[3] - image.at[1]);
    memcpy(image.bytes + image.at[1] + 8, forged, sizeof forged);
    char want[64];
    snprintf(want, sizeof want, "100 [%d-%d] 103 104 .", (int)image.at[1], (int)image.at[3]);
    CHECK("a record inside a damaged body does not know the salt",
          !strcmp(scan_text(&image), want));

    image = image_make();
    gh_segment_record_write(SALT, &record, gh_slice(NULL, 0), image.bytes + image.at[1]);
    CHECK("offsets never go back", strstr(scan_text(&image), "103 103") == NULL);
}

int main(void)
{
    check_headers();
    check_cuts();
    check_flips();
    check_forged();
    return check_report();
}
