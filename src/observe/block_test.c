#include "observe/block.h"
#include "tests/check.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECORDS = 50 };

static struct gh_telemetry_record records[GH_BLOCK_RECORDS_MAX + 1];

static void make_records(size_t count)
{
    static char payloads[RECORDS][64];
    for (size_t i = 0; i < count; i++) {
        char *text = payloads[i % RECORDS];
        int size = snprintf(text, 64, "{\"temperature_c\":%zu.5}", i % RECORDS);
        records[i] = (struct gh_telemetry_record){
            .at_ms = 1800000000000 + (int64_t)(i / 3) * 1000,
            .id = 1000 + 7 * i,
            .channel = i % 4 == 0 ? GH_SLICE("") : GH_SLICE("climate"),
            .payload = i % 5 == 0 ? gh_slice(NULL, 0) : gh_slice(text, (size_t)size)};
    }
}

static bool same(const struct gh_telemetry_record *a, const struct gh_telemetry_record *b)
{
    return a->at_ms == b->at_ms && a->id == b->id && gh_slice_equal(a->channel, b->channel) &&
           gh_slice_equal(a->payload, b->payload);
}

static void check_round_trip(size_t count)
{
    struct gh_buffer out;
    struct gh_block block;
    make_records(count);
    gh_buffer_init(&out, 1 << 24);
    gh_block_init(&block);
    CHECK("sealed", gh_block_seal(records, count, &out));
    CHECK("opened", gh_block_open(&block, gh_buffer_slice(&out)) && block.count == count);
    for (size_t i = 0; i < block.count; i++)
        CHECK("the same", same(&records[i], &block.records[i]));
    gh_block_deinit(&block);
    gh_buffer_deinit(&out);
}

static void check_refused(void)
{
    struct gh_buffer out;
    struct gh_block block;
    make_records(RECORDS);
    gh_buffer_init(&out, 1 << 24);
    gh_block_init(&block);
    CHECK("too many", !gh_block_seal(records, GH_BLOCK_RECORDS_MAX + 1, &out));
    gh_buffer_clear(&out);
    CHECK("sealed", gh_block_seal(records, RECORDS, &out));
    for (size_t cut = 0; cut < out.size; cut++) {
        uint8_t *exact = malloc(cut + 1);
        memcpy(exact, out.data, cut);
        CHECK("cut", !gh_block_open(&block, gh_slice(exact, cut)));
        free(exact);
    }
    for (size_t i = 0; i < out.size; i++) { /* zlib's own check sees what the rest lets pass */
        out.data[i] ^= 0x10;
        CHECK("one bit changed", !gh_block_open(&block, gh_buffer_slice(&out)));
        out.data[i] ^= 0x10;
    }
    memset(out.data + 1, 0xff, 4);
    CHECK("a claim of 4 GB", !gh_block_open(&block, gh_buffer_slice(&out)));
    gh_block_deinit(&block);
    gh_buffer_deinit(&out);
}

int main(void)
{
    check_round_trip(0);
    check_round_trip(1);
    check_round_trip(RECORDS);
    check_round_trip(GH_BLOCK_RECORDS_MAX);
    check_refused();
    return check_report();
}
