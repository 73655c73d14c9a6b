#include "observe/telemetry.h"
#include "pubsub/pubsub.h"
#include "store/registry.h"
#include "store/store.h"
#include "tests/check.h"
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bed {
    const char *folder;
    struct gh_store *store;
    struct gh_pubsub *ps;
    struct gh_telemetry *telemetry;
    size_t tail_bytes_max;
    int64_t tenant;
};

static _Atomic int64_t utc_ms;

static int64_t test_utc(void *context)
{
    (void)context;
    return utc_ms;
}

static void start(struct bed *bed)
{
    struct gh_error error = {0};
    struct gh_pubsub_options options = {
        .folder = bed->folder,
        .store = bed->store,
        .log = {.segment_bytes = 256 * 1024, .clock = {.utc_ms = test_utc}}};
    bed->ps = gh_pubsub_open(&options, &error);
    REQUIRE("pubsub opens", bed->ps != NULL);
    struct gh_telemetry_options telemetry = {.pubsub = bed->ps,
                                             .store = bed->store,
                                             .tail_bytes_max = bed->tail_bytes_max,
                                             .utc_ms = test_utc};
    bed->telemetry = gh_telemetry_open(&telemetry, &error);
    if (bed->telemetry == NULL)
        fprintf(stderr, "%s\n", error.text);
    REQUIRE("telemetry opens", bed->telemetry != NULL);
}

static void stop(struct bed *bed)
{
    gh_telemetry_close(bed->telemetry);
    gh_pubsub_close(bed->ps);
}

static struct bed bed_open(size_t tail_bytes_max)
{
    struct gh_error error = {0};
    struct gh_arena arena;
    struct gh_slice name = GH_SLICE("demo-tenant");
    struct gh_tenant tenant = {
        .name = name, .google_project = name, .azure_hub = name, .aws_account = name};
    struct bed bed = {.folder = check_folder(), .tail_bytes_max = tail_bytes_max};
    utc_ms = 1800000000000;
    bed.store = gh_store_open(bed.folder, GH_STORE_CREATE, &error);
    REQUIRE("a store", bed.store != NULL);
    REQUIRE("a tenant", gh_store_tenant_create(bed.store, &tenant, &error) == GH_OK);
    bed.tenant = tenant.number;
    start(&bed);
    gh_arena_init(&arena, 1 << 20);
    CHECK("a topic", gh_pubsub_topic_create(bed.ps, bed.tenant, GH_SLICE("telemetry"),
                                            gh_slice(NULL, 0), &arena, NULL, NULL) == GH_OK);
    gh_arena_deinit(&arena);
    return bed;
}

static void bed_close(struct bed *bed)
{
    stop(bed);
    gh_store_close(bed->store);
}

/* `count` events of a device, "first", "first + 1", ..., a millisecond apart; every third on
 * channel "air". */
static void publish(struct bed *bed, uint64_t device, unsigned first, unsigned count)
{
    static struct gh_message messages[1000];
    static char texts[1000][16];
    static uint64_t ids[1000];
    for (unsigned i = 0; i < count; i++) {
        int size = snprintf(texts[i], sizeof texts[i], "%u", first + i);
        messages[i] = (struct gh_message){.data = gh_slice(texts[i], (size_t)size),
                                          .device = device,
                                          .channel = (first + i) % 3 == 0 ? GH_SLICE("air")
                                                                          : GH_SLICE("climate")};
    }
    utc_ms++;
    CHECK("published", gh_pubsub_publish_wait(bed->ps, bed->tenant, GH_SLICE("telemetry"), messages,
                                              count, ids, NULL) == GH_OK);
}

/* The answer as "first-last count", "!" when truncated; "gap" when numbers do not follow each other
 * by `step`. */
static const char *query(struct bed *bed, struct gh_telemetry_query what, unsigned step)
{
    static char text[64];
    struct gh_telemetry_answer answer;
    struct gh_arena arena;
    struct gh_error error = {0};
    unsigned first = 0, last = 0;
    bool gap = false;
    gh_arena_init(&arena, 8 << 20);
    if (gh_telemetry_query(bed->telemetry, &what, &arena, &answer, &error) != GH_OK) {
        fprintf(stderr, "%s\n", error.text);
        gh_arena_deinit(&arena);
        return "failed";
    }
    for (size_t i = 0; i < answer.count; i++) {
        char number[16] = "";
        memcpy(number, answer.records[i].payload.data,
               answer.records[i].payload.size < 15 ? answer.records[i].payload.size : 15);
        unsigned value = (unsigned)strtoul(number, NULL, 10);
        gap = gap || (i > 0 && value != last + step);
        gap = gap || (i > 0 && answer.records[i].id <= answer.records[i - 1].id);
        first = i == 0 ? value : first;
        last = value;
    }
    snprintf(text, sizeof text, "%s%u-%u %zu%s", gap ? "gap " : "", first, last, answer.count,
             answer.truncated ? "!" : "");
    gh_arena_deinit(&arena);
    return text;
}

#define ASK(step, ...) query(&bed, (struct gh_telemetry_query){__VA_ARGS__}, step)

static void check_places(void)
{
    struct bed bed = bed_open(0);
    for (unsigned i = 0; i < 10; i++) {
        publish(&bed, 7, i * 100, 100);
        publish(&bed, 8, i * 10, 10);
        publish(&bed, 0, 0, 5); /* not a device's event */
    }
    for (int place = 0; place < 4; place++) { /* in memory, sealed, sealed and restarted, mixed */
        CHECK("all of one device", !strcmp(ASK(1, .device = 7, .limit = 5000), "0-999 1000"));
        CHECK("and of another", !strcmp(ASK(1, .device = 8), "0-99 100"));
        CHECK("none of a third", !strcmp(ASK(1, .device = 9), "0-0 0"));
        CHECK("nor of what is no device's", !strcmp(ASK(1, .device = 0), "0-0 0"));
        CHECK("the newest", !strcmp(ASK(1, .device = 7, .limit = 10), "990-999 10!"));
        CHECK("one", !strcmp(ASK(1, .device = 7, .limit = 1), "999-999 1!"));
        CHECK("500 unless asked for more", !strcmp(ASK(1, .device = 7), "500-999 500!"));
        CHECK("a channel", !strcmp(ASK(3, .device = 7, .has_channel = true,
                                       .channel = GH_SLICE("air"), .limit = 5000),
                                   "0-999 334"));
        CHECK("another channel", !strcmp(ASK(1, .device = 7, .has_channel = true), "0-0 0"));
        if (place == 0 || place == 2)
            CHECK("sealed",
                  gh_telemetry_seal(bed.telemetry, NULL) == GH_OK &&
                      gh_telemetry_status(bed.telemetry).sealed_to == gh_pubsub_next(bed.ps));
        if (place == 1) {
            stop(&bed);
            start(&bed);
        }
    }
    publish(&bed, 7, 1000, 500);
    CHECK("sealed and young together", !strcmp(ASK(1, .device = 7, .limit = 5000), "0-1499 1500"));
    stop(&bed); /* the young are only in the log now */
    start(&bed);
    CHECK("after a restart nothing is missing or twice",
          !strcmp(ASK(1, .device = 7, .limit = 5000), "0-1499 1500"));
    CHECK("sealed", gh_telemetry_seal(bed.telemetry, NULL) == GH_OK);
    CHECK("in two blocks", !strcmp(ASK(1, .device = 7, .limit = 5000), "0-1499 1500"));
    CHECK("a limit over both", !strcmp(ASK(1, .device = 7, .limit = 700), "800-1499 700!"));
    bed_close(&bed);
}

static void check_times(void)
{
    struct bed bed = bed_open(0);
    int64_t begin = utc_ms + 1;
    for (unsigned i = 0; i < 100; i++)
        publish(&bed, 7, i, 1);
    for (int place = 0; place < 2; place++) {
        CHECK("from", !strcmp(ASK(1, .device = 7, .from_ms = begin + 90), "90-99 10"));
        CHECK("to is not included",
              !strcmp(ASK(1, .device = 7, .from_ms = begin + 10, .to_ms = begin + 20), "10-19 10"));
        CHECK("the newest of a range",
              !strcmp(ASK(1, .device = 7, .from_ms = begin + 10, .to_ms = begin + 20, .limit = 3),
                      "17-19 3!"));
        CHECK("before all", !strcmp(ASK(1, .device = 7, .to_ms = begin), "0-0 0"));
        CHECK("after all", !strcmp(ASK(1, .device = 7, .from_ms = begin + 100), "0-0 0"));
        CHECK("nothing between",
              !strcmp(ASK(1, .device = 7, .from_ms = begin + 5, .to_ms = begin + 5), "0-0 0"));
        CHECK("sealed", gh_telemetry_seal(bed.telemetry, NULL) == GH_OK);
    }
    bed_close(&bed);
}

/* The newest by time, not by id. */
static void check_clock_step(void)
{
    struct bed bed = bed_open(0);
    int64_t begin = utc_ms + 1;
    publish(&bed, 7, 0, 10);
    utc_ms += 3600 * 1000;
    publish(&bed, 7, 100, 10); /* an hour ahead */
    utc_ms -= 3600 * 1000;
    publish(&bed, 7, 10, 10);
    for (int place = 0; place < 3; place++) {
        CHECK("a clock that was ahead",
              !strcmp(ASK(1, .device = 7, .from_ms = begin, .to_ms = begin + 1000), "0-19 20"));
        CHECK("its records have its time",
              !strcmp(ASK(1, .device = 7, .limit = 10), "100-109 10!"));
        CHECK("sealed", gh_telemetry_seal(bed.telemetry, NULL) == GH_OK);
        if (place == 1) {
            stop(&bed);
            start(&bed);
        }
    }
    bed_close(&bed);
}

/* A small memory seals by itself again and again; queries meanwhile see each record once. */
static void check_pressure(void)
{
    enum { DEVICES = 20, ROUNDS = 100 };
    struct bed bed = bed_open(64 * 1024);
    for (unsigned i = 0; i < ROUNDS; i++) {
        for (uint64_t device = 1; device <= DEVICES; device++)
            publish(&bed, device, i * 10, 10);
        char want[64];
        snprintf(want, sizeof want, "0-%u %u", i * 10 + 9, i * 10 + 10);
        CHECK("while sealing goes on nothing is missing or twice",
              !strcmp(ASK(1, .device = 1 + i % DEVICES, .limit = 5000), want));
        CHECK("memory is bounded", gh_telemetry_status(bed.telemetry).tail_bytes < 96 * 1024);
        if (i % 30 == 29) {
            stop(&bed);
            start(&bed);
        }
    }
    CHECK("most is sealed", gh_telemetry_status(bed.telemetry).sealed_to >
                                gh_pubsub_next(bed.ps) - gh_pubsub_next(bed.ps) / 10);
    bed_close(&bed);
}

/* A crash between two commits of one sealing leaves records in the store that the log gives again.
 */
static void check_half_sealed(void)
{
    struct bed bed = bed_open(0);
    struct gh_error error;
    uint64_t sealed = 0;
    publish(&bed, 7, 0, 100);
    CHECK("sealed", gh_telemetry_seal(bed.telemetry, NULL) == GH_OK);
    stop(&bed);
    CHECK("the mark", gh_store_blocks_sealed(bed.store, &sealed, &error) == GH_OK && sealed == 101);
    CHECK("goes back", gh_store_blocks_put(bed.store, NULL, 0, 1, &error) == GH_OK);
    start(&bed);
    CHECK("in the store and in memory, once in the answer",
          !strcmp(ASK(1, .device = 7, .limit = 5000), "0-99 100"));
    CHECK("sealed again", gh_telemetry_seal(bed.telemetry, NULL) == GH_OK);
    CHECK("twice in the store, once in the answer",
          !strcmp(ASK(1, .device = 7, .limit = 5000), "0-99 100"));
    bed_close(&bed);
}

static void check_damaged(void)
{
    struct bed bed = bed_open(0);
    struct gh_error error = {0};
    struct gh_telemetry_answer answer;
    struct gh_arena arena;
    struct gh_block_row row = {.device = 7, /* young: what is old may be trimmed away meanwhile */
                               .first_ms = utc_ms,
                               .last_ms = utc_ms + 1,
                               .count = 1,
                               .bytes = GH_SLICE("no block")};
    gh_arena_init(&arena, 1 << 20);
    CHECK("put", gh_store_blocks_put(bed.store, &row, 1, 1, &error) == GH_OK);
    CHECK("a damaged block is told",
          gh_telemetry_query(bed.telemetry, &(struct gh_telemetry_query){.device = 7}, &arena,
                             &answer, &error) == GH_ERROR_STORE_CORRUPT &&
              error.code == GH_ERROR_STORE_CORRUPT);
    gh_arena_deinit(&arena);
    gh_arena_init(&arena, 3000); /* room for some records only */
    publish(&bed, 8, 0, 10);
    CHECK("a full arena",
          gh_telemetry_query(bed.telemetry, &(struct gh_telemetry_query){.device = 8, .limit = 10},
                             &arena, &answer, &error) == GH_OK &&
              (answer.count == 10 || answer.truncated));
    gh_arena_deinit(&arena);
    bed_close(&bed);
}

int main(void)
{
    check_places();
    check_times();
    check_clock_step();
    check_pressure();
    check_half_sealed();
    check_damaged();
    return check_report();
}
